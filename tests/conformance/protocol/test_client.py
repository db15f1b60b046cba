"""The client sends the bytes it is given, reuses connections where it may, and adds nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance.protocol.client import Client, OutOfTimeError, compact
from conformance.protocol.exchange import Exchange
from conformance.protocol.redaction import SecretRegistry
from tests.conformance.protocol.test_wire import CHUNKED
from tests.support.scripted_client import connect
from tests.support.scripted_server import (
    always,
    answer,
    replying,
    reset,
    running,
    serving,
    take,
)

# What goes out


def test_a_request_byte_by_byte() -> None:
    with serving(always(answer())) as served:
        client = connect(served, headers=[("X-Gate", "nightly")])
        exchange = client.send("course", b'{"method":"read"}', headers=[("tOKEN", "s\xe9\xff")])
        client.close()
    assert served.requests == [
        b"POST /api/course HTTP/1.1\r\nHost: %s\r\n"
        b"User-Agent: coursio-conform\r\nAccept: application/json\r\nX-Gate: nightly\r\n"
        b"Content-Type: application/json\r\nContent-Length: 17\r\ntOKEN: s\xe9\xff\r\n\r\n"
        b'{"method":"read"}' % served.address.authority.encode()
    ]
    request = exchange.request
    assert request.raw == served.requests[0]
    assert [name for name, _ in request.headers][-4:] == ["X-Gate", "Content-Type", "Content-Length", "tOKEN"]
    assert request.header("TOKEN") == "s\xe9\xff"
    assert request.url == f"{served.url}course"
    assert request.well_formed
    assert exchange.status == 200
    assert exchange.response is not None
    assert exchange.response.raw == answer()
    assert 0 < exchange.seconds < 5


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("a/../b", "/api/a/../b"),
        ("..%2f%00//x", "/api/..%2f%00//x"),
        ("/elsewhere?x=1", "/elsewhere?x=1"),
        ("", "/api/"),
        ("course?Token=a&b=[]", "/api/course?Token=a&b=[]"),
    ],
)
def test_a_target_goes_out_as_it_is(target: str, path: str) -> None:
    with serving(always(answer())) as served:
        client = connect(served)
        exchange = client.send(target, b"{}")
        client.close()
    assert served.requests[0].split(b" ")[1] == path.encode()
    assert exchange.request.url.endswith(path)
    assert exchange.request.well_formed


@pytest.mark.parametrize("verb", ["POST", "GET", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_lengths(verb: str, body: bytes) -> None:
    with serving(always(answer(b"", "Content-Length: 0", length=False))) as served:
        client = connect(served)
        assert client.send("x", body, verb=verb, content_type=None).status == 200
        client.close()
    reported = b"Content-Length: %d" % len(body) in served.requests[0]
    assert reported is (bool(body) or verb not in ("GET", "HEAD"))
    assert b"Content-Type" not in served.requests[0]


@pytest.mark.parametrize("body", [b"", b"1", b"{}", b"x" * 100_000])
def test_chunked(body: bytes) -> None:
    with serving(always(answer())) as served:
        client = connect(served)
        exchange = client.send("x", body, chunked=True)
        client.close()
    head, _, sent = served.requests[0].partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert sent.endswith(b"0\r\n\r\n")
    assert _unchunked(sent) == exchange.request.body == body


def _unchunked(data: bytes) -> bytes:
    out = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return out
        out, data = out + data[:length], data[length + 2 :]


@pytest.mark.parametrize(
    ("options", "well_formed"),
    [
        ({"body": b"x" * (1 << 20)}, True),
        ({"body": b"x" * ((1 << 20) + 1)}, False),
        ({"headers": [("X", "y" * 7000)]}, True),
        ({"headers": [("X", "y" * 8200)]}, False),
        ({"headers": [("X", "a\r\nY: b")]}, False),
        ({"headers": [("X", "a\nY: b")]}, False),
        ({"headers": [("X", "a\rb")]}, False),
        ({"headers": [("Token", "\xe5\xff")]}, True),
        ({"headers": [("Token", "")]}, True),
        ({"target": "a b"}, False),
        ({"target": "a\xe5"}, False),
        ({"target": "a#b"}, False),
        ({"target": "%00%2f..//"}, True),
    ],
)
def test_well_formed(options: dict[str, object], well_formed: bool) -> None:
    with serving(always(answer())) as served:
        client = connect(served)
        exchange = client.send(**{"target": "x", "body": b"{}", **options})  # type: ignore[arg-type]
        client.close()
    assert exchange.request.well_formed is well_formed


def test_beyond_latin_1() -> None:
    with serving(always(answer())) as served:
        client = connect(served)
        first = client.send("\u20ac", b"{}", headers=[("Token", "\u20ac")])
        again = client.resend(first, "\u20ac\u20ac")
        client.close()
    assert b"Token: \xe2\x82\xac\r\n" in served.requests[0]
    assert b"Token: \xe2\x82\xac\xe2\x82\xac\r\n" in served.requests[1]
    assert again.request.raw == served.requests[1]


def test_resend_changes_the_token_alone() -> None:
    with serving(always(answer())) as served:
        client = connect(served)
        first = client.send("x", b'{"a":"\r\n\r\nToken: b"}', headers=[("token", "one\\1")], user="owner")
        same = client.resend(first, None)
        other = client.resend(first, r"two\1\g<0>")
        client.close()
    assert served.requests[0] == served.requests[1] == first.request.raw == same.request.raw
    assert served.requests[2] == first.request.raw.replace(rb"one\1", rb"two\1\g<0>")
    assert other.request.header("Token") == r"two\1\g<0>"
    assert (other.number, other.user, first.number) == (3, "owner", 1)


# Connections


def test_a_connection_is_used_again() -> None:
    with serving(always(CHUNKED)) as served:
        client = connect(served)
        for _ in range(5):
            assert client.send("x", b"{}").status == 200
        assert served.accepted == 1
        assert client.send("x", b"{}", fresh=True).status == 200
        assert served.accepted == 2
        assert client.send("x", b"{}").status == 200
        assert served.accepted == 2
        client.close()
    assert client.sent == 7


@pytest.mark.parametrize("last", [answer(b"{}", "Connection: close"), answer(b"", length=False)])
def test_a_connection_that_ends_is_not(last: bytes) -> None:
    with serving(always(last) if b"close" in last else replying(last)) as served:
        client = connect(served)
        assert [client.send("x", b"{}").status for _ in range(3)] == [200] * 3
        assert served.accepted == 3
        client.close()


def test_head_does_not_break_the_next_call() -> None:
    head = answer(b"", "Content-Length: 5", length=False)
    with serving(replying(head, close=False), always(answer(b"{}"))) as served:
        client = connect(served)
        assert client.send("x", verb="HEAD").status == 200
        exchange = client.send("x", b"{}")
        client.close()
    assert (exchange.status, exchange.failure) == (200, None)


def test_a_second_answer_is_never_taken_for_the_next() -> None:
    first = answer(b'{"n":1}') + answer(b'{"n":"smuggled"}')
    with serving(replying(first, close=False), always(answer(b'{"n":2}'))) as served:
        client = connect(served)
        assert client.send("x", b"{}").json.value == {"n": 1}
        assert client.send("x", b"{}").json.value == {"n": 2}
        client.close()


def test_a_late_second_answer_is_never_taken_for_the_next() -> None:
    asked, smuggled = threading.Event(), threading.Event()

    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(answer(b'{"n":1}'))
        asked.wait(60)
        taken.sendall(answer(b'{"n":"smuggled"}'))
        smuggled.set()
        running[-1].done.wait(60)

    with serving(script, always(answer(b'{"n":2}'))) as served:
        client = connect(served)
        assert client.send("x", b"{}").json.value == {"n": 1}
        asked.set()
        assert smuggled.wait(60)
        assert client.send("x", b"{}").json.value == {"n": 2}
        client.close()


def test_an_answer_after_the_timeout_is_never_taken_for_the_next() -> None:
    given_up, late_answer = threading.Event(), threading.Event()

    def script(taken: socket.socket) -> None:
        take(taken)
        assert given_up.wait(60)
        taken.sendall(answer(b'{"n":"late"}'))
        late_answer.set()
        running[-1].done.wait(60)

    with serving(script, always(answer(b'{"n":2}'))) as served:
        client = connect(served, timeout=0.3)
        late = client.send("x", b"{}")
        assert late.failure is not None
        assert late.failure.kind == "timeout"
        client.timeout = 60
        given_up.set()
        assert late_answer.wait(60)
        assert client.send("x", b"{}").json.value == {"n": 2}
        client.close()


def test_an_interruption_takes_the_connection_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(always(answer())) as served:
        client = connect(served)
        client.send("x", b"{}")
        with monkeypatch.context() as patch:
            patch.setattr("conformance.protocol.wire.Connection.read", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.send("x", b"{}")
        assert client.send("x", b"{}").status == 200
        assert served.accepted == 2
        client.close()


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def closing_on_second(taken: socket.socket) -> None:
    """Answer once; take the second request and close without an answer."""
    take(taken)
    taken.sendall(answer())
    take(taken)


def test_a_stale_connection_is_left_at_once() -> None:
    with serving(replying(answer()), always(answer(b'{"n":2}'))) as served:
        client = connect(served)
        client.send("x", b"{}")
        time.sleep(0.05)
        assert client.send("x", b"{}").json.value == {"n": 2}
        client.close()
    assert len(served.requests) == 2


def test_a_reused_connection_that_closes_is_tried_once_more() -> None:
    with serving(closing_on_second, always(answer(b'{"n":2}'))) as served:
        client = connect(served)
        client.send("x", b"{}")
        assert client.send("x", b"{}").json.value == {"n": 2}
        client.close()
    assert len(served.requests) == 3
    assert client.sent == 2


def test_and_no_more_than_once() -> None:
    with serving(closing_on_second, replying(b"")) as served:
        client = connect(served)
        client.send("x", b"{}")
        exchange = client.send("x", b"{}")
        client.close()
    assert exchange.response is None
    assert exchange.failure is not None
    assert exchange.failure.kind == "closed"
    assert len(served.requests) == 3


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_a_new_connection_is_never_tried_twice(sent: bytes) -> None:
    with serving(replying(sent)) as served:
        client = connect(served)
        exchange = client.send("x", b"{}")
        client.close()
    assert exchange.failure is not None
    assert exchange.failure.kind == "closed"
    assert len(served.requests) == 1


def test_half_an_answer_is_not_tried_again() -> None:
    with serving(replying(answer(), b"HTTP/1.1 2"), always(answer())) as served:
        client = connect(served)
        client.send("x", b"{}")
        assert client.send("x", b"{}").failure is not None
        assert client.send("x", b"{}").status == 200
        client.close()
    assert len(served.requests) == 3


def test_a_reset_of_a_reused_connection_is_tried_again() -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(answer())
        take(taken)
        reset(taken)

    with serving(script, always(answer())) as served:
        client = connect(served)
        assert [client.send("x", b"{}").status for _ in range(2)] == [200, 200]
        client.close()


def test_an_early_answer_ends_the_connection() -> None:
    def script(taken: socket.socket) -> None:
        taken.recv(1000)
        taken.sendall(answer(b'{"early":true}', status="413 Payload Too Large"))
        running[-1].done.wait(5)

    with serving(script, always(answer())) as served:
        client = connect(served)
        early = client.send("x", b"x" * (24 << 20))
        assert early.status == 413
        assert early.json.value == {"early": True}
        assert client.send("x", b"{}").status == 200
        assert served.accepted == 2
        client.close()


def test_the_timeout_is_for_the_whole_call() -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        with contextlib.suppress(OSError):
            for byte in answer(b" " * 1000):
                taken.sendall(bytes([byte]))
                time.sleep(0.05)

    with serving(script) as served:
        client = connect(served, timeout=0.4)
        begun = time.monotonic()
        exchange = client.send("x", b"{}")
        assert time.monotonic() - begun < 30  # all of it takes 50 s
        client.close()
    assert exchange.failure is not None
    assert exchange.failure.kind == "timeout"
    assert exchange.seconds >= 0.4


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{free.getsockname()[1]}/", timeout=2)
    observed: list[Exchange] = []
    client.observe = observed.append
    exchange = client.send("x", b"{}")
    assert exchange.failure is not None
    assert exchange.failure.kind == "unreachable"
    assert observed == [exchange]
    sent, received = client.send_bytes(b"POST / HTTP/1.1\r\n\r\n")
    assert sent.failure is not None
    assert sent.failure.kind == "unreachable"
    assert received == b""


def test_no_redirect_is_followed_and_no_cookie_retained() -> None:
    with serving(
        always(answer(b"", "Location: /api/y", "Set-Cookie: s=1", status="307 Temporary Redirect"))
    ) as served:
        client = connect(served)
        assert [client.send("x", b"{}").status for _ in range(2)] == [307, 307]
        client.close()
    assert len(served.requests) == 2
    assert all(b"ookie" not in request for request in served.requests)


def test_the_runs_deadline() -> None:
    with serving(always(answer())) as served:
        observed: list[Exchange] = []
        client = connect(served, until=time.monotonic() + 1.5, observe=observed.append)
        client.send("x", b"{}")
        time.sleep(1.6)
        with pytest.raises(OutOfTimeError):
            client.send("x", b"{}")
        with pytest.raises(OutOfTimeError):
            client.send_bytes(b"POST / HTTP/1.1\r\n\r\n")
        client.close()
    assert len(served.requests) == len(observed) == client.sent == 1


# Threads


def test_many_threads() -> None:
    observed: list[int] = []

    def script(taken: socket.socket) -> None:
        while request := take(taken):
            body = request.partition(b"\r\n\r\n")[2]
            taken.sendall(answer(body))

    with serving(script) as served:
        client = connect(served, observe=lambda exchange: observed.append(exchange.number))

        def call(number: int) -> bool:
            return bool(client.send("x", b'{"n":%d}' % number).json.value == {"n": number})

        for _ in range(3):
            with ThreadPoolExecutor(12) as pool:
                assert all(pool.map(call, range(200)))
        # Threads come and go; connections stay.
        assert served.accepted <= 12
        client.close()
    assert sorted(observed) == list(range(1, 601))


def test_threads_that_end_leave_no_connection_behind() -> None:
    with serving(always(answer())) as served:
        client = connect(served)
        for _ in range(20):
            thread = threading.Thread(target=client.send, args=("x", b"{}"))
            thread.start()
            thread.join()
        assert served.accepted == 1
        client.close()


# Other networks


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 loopback here")
    with serving(always(answer()), host="::1") as served:
        client = connect(served)
        assert client.send("x", b"{}").status == 200
        client.close()
    assert f"Host: [::1]:{served.port}\r\n".encode() in served.requests[0]


# The properties of an exchange that the caller gives


def test_what_the_exchange_carries() -> None:
    secret_registry = SecretRegistry()
    with serving(always(answer())) as served:
        client = connect(served, secret_registry=secret_registry, envelope_extra=frozenset({"time"}))
        exchange = client.send("x", b"{}", function="x.y", user="owner", in_session=True, login=True)
        client.close()
    assert exchange.secret_registry is secret_registry
    assert exchange.envelope_extra == {"time"}
    assert (exchange.function, exchange.user, exchange.in_session, exchange.login) == (
        "x.y",
        "owner",
        True,
        True,
    )
    assert exchange.number == 1


def test_compact() -> None:
    assert compact({"a": [1, "å"], "b": None}) == '{"a":[1,"å"],"b":null}'.encode()
    assert compact({"a": "\ud800å"}) == b'{"a":"\\ud800\\u00e5"}'
