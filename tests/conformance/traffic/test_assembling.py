"""Frames of the forwarding process become recorded exchanges."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.protocol.redaction import SecretRegistry
from conformance.traffic.assembling import Assembler
from conformance.traffic.capture import read_capture
from conformance.traffic.frames import Frame, FrameReader, Kind, pack
from conformance.traffic.har_writer import HarWriter
from conformance.traffic.recorded import Recorded

HEAD = b"POST /api/course HTTP/1.1\r\nHost: x\r\nToken: 5f2c9a7e41d84b06\r\nContent-Length: 17\r\n\r\n"
BODY = b'{"method":"find"}'
ANSWER = b'{"isError":false,"errMsg":null,"data":{}}'
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 41\r\nContent-Type: application/json\r\n\r\n" + ANSWER

Made = tuple[Kind, bytes]
SENT: list[Made] = [(Kind.BEGIN, HEAD), (Kind.SENT, BODY), (Kind.SENT_ALL, b"")]


def assembled(*made: Made) -> tuple[list[Recorded], Assembler]:
    assembler = Assembler("http://x")
    found: list[Recorded] = []
    for number, (kind, data) in enumerate(made):
        found += assembler.take(Frame(kind, 1, 100.0 + number, data))
    return found, assembler


def test_frames_are_cut_from_the_pipe() -> None:
    data = pack(Kind.BEGIN, 7, 1.5, b"abc") + pack(Kind.CLIENT_CLOSED, 8, 2.5)
    reader = FrameReader()
    frames = [frame for start in range(len(data)) for frame in reader.feed(data[start : start + 1])]
    assert frames == [Frame(Kind.BEGIN, 7, 1.5, b"abc"), Frame(Kind.CLIENT_CLOSED, 8, 2.5, b"")]


def test_an_exchange_is_complete_with_its_response() -> None:
    found, assembler = assembled(*SENT, (Kind.RECEIVED, RESPONSE[:50]), (Kind.RECEIVED, RESPONSE[50:]), *SENT)
    (recorded,) = found
    recorded.name_function("http://x/api/")
    assert recorded.function == "course.find"
    assert (recorded.request.url, recorded.request.body, recorded.request.raw) == (
        "http://x/api/course",
        BODY,
        HEAD + BODY,
    )
    assert recorded.request.well_formed
    assert recorded.exchange.response is not None
    assert (recorded.exchange.response.body, recorded.exchange.response.raw) == (ANSWER, RESPONSE)
    assert (recorded.at, recorded.ended) == (100.0, 104.0)
    # The second request is under way.
    assert assembler.complete_until() == 105.0


def test_interim_responses_and_chunks_are_read() -> None:
    head = HEAD.replace(b"Content-Length: 17", b"Transfer-Encoding: chunked")
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n29\r\n" + ANSWER + b"\r\n0\r\n\r\n"
    found, _ = assembled(
        (Kind.BEGIN, head), (Kind.SENT, b"11\r\n" + BODY + b"\r\n0\r\n\r\n"), (Kind.SENT_ALL, b""),
        (Kind.RECEIVED, b"HTTP/1.1 100 Continue\r\n\r\n"), (Kind.RECEIVED, chunked),
    )  # fmt: skip
    assert [(each.request.body, each.exchange.status) for each in found] == [(BODY, 200)]
    assert found[0].exchange.envelope is not None


def test_a_broken_response_is_a_failure() -> None:
    for received, kind in ((b"", "closed"), (RESPONSE[:-1], "closed"), (b"nonsense\r\n\r\n", "garbled")):
        parts: list[Made] = [(Kind.RECEIVED, received)] if received else []
        found, _ = assembled(*SENT, *parts, (Kind.TARGET_CLOSED, b""))
        (recorded,) = found
        assert recorded.exchange.failure is not None
        assert recorded.exchange.failure.kind == kind


def test_a_response_may_end_with_its_connection() -> None:
    response = RESPONSE.replace(b"Content-Length: 41\r\n", b"")
    found, _ = assembled(*SENT, (Kind.RECEIVED, response), (Kind.TARGET_CLOSED, b""))
    assert [each.exchange.status for each in found] == [200]


def test_what_is_nobodys_fault_is_no_exchange() -> None:
    whole: list[Made] = [*SENT, (Kind.RECEIVED, RESPONSE)]
    # The client went away; an idle connection was closed as the next request was sent.
    for made in ([*SENT, (Kind.CLIENT_CLOSED, b"")], [*SENT, (Kind.LOST, b"")]):
        found, assembler = assembled(*made)
        assert (found, assembler.abandoned) == ([], 1)
    found, assembler = assembled(*whole, *SENT, (Kind.TARGET_CLOSED, b""))
    assert (len(found), assembler.abandoned) == (1, 1)
    # Pipelined requests, and what is not HTTP.
    found, assembler = assembled(*SENT, *SENT, (Kind.RECEIVED, RESPONSE))
    assert (found, assembler.opaque) == ([], 1)
    found, assembler = assembled((Kind.OPAQUE, b""), (Kind.RECEIVED, b"\x16\x03"), (Kind.CLIENT_CLOSED, b""))
    assert (found, assembler.opaque) == ([], 1)


def test_what_passed_is_written_as_har(tmp_path: Path) -> None:
    found, _ = assembled(*SENT, (Kind.RECEIVED, RESPONSE))
    found[0].exchange.secret_registry = SecretRegistry()
    for name, raw in (("masked", False), ("raw", True)):
        writer = HarWriter(tmp_path / f"{name}.har", raw=raw)
        writer.write(found[0])
        writer.write(found[0])
        writer.close()
        text = (tmp_path / f"{name}.har").read_text("utf-8")
        assert ("5f2c9a7e41d84b06" in text) is raw
        assert len(json.loads(text)["log"]["entries"]) == 2
        capture = read_capture([tmp_path / f"{name}.har"])
        assert capture.base_url == "http://x/api/"
        first, second = capture.exchanges
        assert (first.function, first.exchange.data, first.at) == ("course.find", {}, 100.0)
        assert (second.has_token, second.token is None) == (True, not raw)
