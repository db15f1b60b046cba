"""Responses of any bytes, in any pieces, are read as another client reads them."""

from __future__ import annotations

import _socket
import gzip
import json
import socket
from collections import Counter
from time import perf_counter

import gevent  # type: ignore[import-untyped]
import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conformance.protocol.wire import WireError, first_response
from load.http.connection import Connection
from load.http.endpoint import Endpoint
from load.http.pool import Pool
from tests.conformance.protocol.test_wire import CHUNKED, TRAILED
from tests.load.http.test_client import pooled
from tests.servers.unusual import numbered
from tests.servers.unusual import unusual as unusual
from tests.support.scripted_server import answer, serving

# Any bytes, in any pieces


#: The kind of a failure, or status, body and headers.
Result = str | tuple[int, bytes, tuple[tuple[str, str], ...]]


def fed(pieces: list[bytes]) -> tuple[Result, bool]:
    """Return the result of an answer that comes in these pieces, and whether the connection stays open."""
    pool = Pool(Endpoint("h", 1, ((int(socket.AF_INET), ("127.0.0.1", 9)),)))
    ours, theirs = socket.socketpair()
    results: list[tuple[Result, bool]] = []

    def done(connection: Connection) -> None:
        result: Result = connection.failure or (connection.status, connection.body, connection.answer.headers)
        results.append((result, connection.open))

    try:
        connection = pool.take()
        assert connection is not None
        adopt(connection, ours)
        connection.send(b"x", perf_counter() + 5, done)
        for piece in pieces:
            if piece and connection._socket is not None:
                theirs.sendall(piece)
                connection._readable()
                while len(piece) > 65_536 and connection.busy and not results:
                    connection._readable()
        if connection._socket is not None:
            theirs.shutdown(socket.SHUT_WR)
            connection._readable()
        assert len(results) == 1
        return results[0]
    finally:
        pool.close()
        theirs.close()


def adopt(connection: Connection, made: socket.socket) -> None:
    """Give a connection a socket that is open already."""
    made.setblocking(False)
    connection._socket = raw = _socket.socket(fileno=made.detach())
    connection._recv, connection._send = raw.recv, raw.send
    connection._phase = 3
    assert connection.open


EXAMPLES = [
    answer(b'{"isError":false}', "Date: now"),
    CHUNKED,
    TRAILED,
    answer(b"to the end", length=False),
    b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"{}"),
    answer(b"{}") + answer(b"second"),
    answer(b"", status="204 None", length=False),
    answer(b"{}", "Connection: close"),
    answer(gzip.compress(b"{}", mtime=0), "Content-Encoding: gzip"),
]


@pytest.mark.parametrize("sent", EXAMPLES)
def test_every_cut_is_the_same_answer(sent: bytes) -> None:
    whole, _ = fed([sent])
    for at in range(1, len(sent)):
        assert fed([sent[:at], sent[at:]])[0] == whole
    assert fed([bytes([sign]) for sign in sent])[0] == whole


@pytest.mark.parametrize("sent", EXAMPLES)
def test_every_beginning_is_no_answer(sent: bytes) -> None:
    result, _ = fed([sent])
    assert isinstance(result, tuple)
    for at in range(len(sent)):
        ended = fed([sent[:at]])[0]
        if ended != result:
            # Only an answer that lasts to the end of the connection can be cut unnoticed.
            to_the_end = b"Content-Length" not in sent and b"chunked" not in sent
            assert ended == "closed" or to_the_end, at


@st.composite
def invalid(draw: st.DrawFn) -> bytes:
    """Draw an answer with a few bytes put in, left out or exchanged, or another answer behind it."""
    data = bytearray(draw(st.sampled_from(EXAMPLES)))
    pieces = st.sampled_from(
        [b"\r", b"\n", b"\r\n", b" ", b":", b"0", b"5", b"\0", b";", b",", b"\xff", b"\t"]
    )
    lines = st.sampled_from(
        [b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"]
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at:at] = draw(pieces)
            case 1:
                del data[at : at + draw(st.integers(1, 3))]
            case 2:
                data[at : at + 1] = draw(pieces)
            case _:
                data[data.find(b"\r\n") + 2 : data.find(b"\r\n") + 2] = draw(lines)
    return bytes(data)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(invalid(), st.lists(st.integers(0, 300), max_size=4))
@example(answer(b"{}", "Transfer-Encoding : chunked"), [])
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\n{}", [])
def test_whatever_is_taken_for_an_answer_is_one_to_another_parser_too(sent: bytes, cuts: list[int]) -> None:
    result, stays_open = fed([sent])
    places = sorted({min(cut, len(sent)) for cut in cuts})
    pieces = [sent[a:b] for a, b in zip([0, *places], [*places, len(sent)], strict=True)]
    assert fed(pieces)[0] == result
    if isinstance(result, str):
        return
    try:
        response = first_response(sent, "POST")
    except WireError as error:
        # White space before a chunk's extension is "bad", and has to be read (RFC 9112, 7.1.1); llhttp refuses it.
        if "chunk extensions" not in str(error):
            raise AssertionError(f"{sent!r}: {result} and {error}") from error
        return
    status, body, headers = result
    assert (response.status, response.body) == (status, body)
    assert [(name, value.strip(" \t")) for name, value in response.headers] == list(headers)
    if stays_open:
        # llhttp refuses some folded headers, which have to be read (RFC 9112, 5.2).
        folded = b"\r\n " in sent or b"\r\n\t" in sent
        assert whole_length(sent) in ((len(sent), -1) if folded else (len(sent),))


def whole_length(sent: bytes) -> int:
    """Return how many bytes another parser takes for one answer, 1xx before it included."""
    for size in range(1, len(sent) + 1):
        reading = _Reading()
        try:
            reading.parser.feed_data(sent[:size])
        except httptools.HttpParserError:
            return -1
        if reading.statuses and reading.statuses[-1] >= 200:
            return size
    return -1


class _Reading:
    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_message_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_an_answer(sent: bytes) -> None:
    assert fed([sent])[0] in ("closed", "garbled")


@pytest.mark.parametrize("seed", range(4))
def test_a_storm_of_unusual_servers_mixes_nothing_up(seed: int) -> None:
    wanted, users = 400, 16
    ends: list[tuple[int, str | None]] = []
    wrong: list[tuple[int, bytes]] = []
    numbers = iter(range(wanted))
    at_work = set[int]()

    with serving(unusual(seed)) as served, pooled(served, limit=users) as pool:

        def next_one(connection: Connection) -> None:
            number = next(numbers, None)
            pool.give(connection)
            if number is None:
                return
            taken = pool.take()
            assert taken is not None
            body = b"%d:%s" % (number, b"x" * (number % 7 * 40))
            taken.call = number
            at_work.add(number)
            raw = b"POST /api/x HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            taken.send(raw, perf_counter() + 0.2, done)

        def done(connection: Connection) -> None:
            at_work.remove(connection.call)
            ends.append((connection.call, connection.failure))
            if connection.failure is None:
                try:
                    right = json.loads(connection.body)["number"] == connection.call
                except ValueError:
                    right = False
                if not right:
                    wrong.append((connection.call, connection.body[:60]))
            next_one(connection)

        for _ in range(users):
            first = pool.take()
            assert first is not None
            next_one(first)
        until_all = perf_counter() + 30
        while at_work and perf_counter() < until_all:
            gevent.sleep(0.01)
    assert not at_work
    assert not wrong
    assert sorted(number for number, _ in ends) == list(range(wanted))
    kinds = Counter(kind for _, kind in ends)
    assert kinds[None] > wanted / 4
    assert {"closed", "garbled", "timeout"} <= kinds.keys()
    assert numbered(7) == b'{"number":7,"padding":""}'
