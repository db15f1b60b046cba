"""The faults in what is read of a request beside its data show in one request on a socket each."""

from __future__ import annotations

import json

import pytest

from conformance.framing import statuses
from fixtures.faults import FAULTS
from fixtures.service import Service
from tests.probing import of_modules
from tests.test_faults_registry import exchange, serving

PING = b'{"method":"ping"}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"
TITLE = json.dumps({"method": "add", "data": {"title": "å"}}, ensure_ascii=False).encode()


def post(path: str, body: bytes, *fields: bytes) -> bytes:
    framed = b"" if CHUNKED in fields else b"Content-Length: %d\r\n" % len(body)
    return (
        f"POST /api/{path} HTTP/1.1\r\nHost: test\r\n".encode() + framed + b"".join(fields) + b"\r\n" + body
    )


def chunks(*lines: bytes) -> bytes:
    return post("sys", b"".join(lines) + b"0\r\n\r\n", CHUNKED)


PROBES: dict[str, bytes] = {
    "request.members-in-any-case": post("sys", b'{"method":"ping","METHOD":"pong"}'),
    "request.page-length-in-any-case": post("sys", b'{"method":"ping","pagelength":-1}'),
    "request.last-member-in-any-case": post("sys", b'{"method":"ping","Method":"pong"}'),
    "http.charset-heeded": post(
        "course", TITLE, b"Content-Type: text/plain; charset=iso-8859-1\r\n", b"Token: %s\r\n"
    ),
    "http.type-in-capitals-refused": post("sys", PING, b"Content-Type: APPLICATION/JSON\r\n"),
    "http.type-parameters-refused": post("sys", PING, b"Content-Type: application/json; a=b\r\n"),
    "http.chunk-extensions-refused": chunks(b"11;a=b\r\n" + PING + b"\r\n"),
    "http.chunk-sizes-in-lower-case": chunks(b"A\r\n" + PING[:10] + b"\r\n", b"7\r\n" + PING[10:] + b"\r\n"),
    "http.many-chunks-refused": chunks(*(b"1\r\n%c\r\n" % byte for byte in PING)),
    "codes.endpoint-inherited-500": post("constructor", PING),
    "codes.path-parameters-cut": post("sys;x", PING),
    "codes.required-looked-at-first": post("lesson", b'{"method":"add","data":{"title":"x"}}'),
    "security.function-normalised": post("sys", '{"method":"ｐing"}'.encode()),
    "security.long-name-500": post("sys", b'{"method":"' + b"x" * 300 + b'"}'),
    "security.letters-unescaped": post("%73ys", PING),
}


HIDDEN = post("sys", PING, b"Connection: close\r\n")
CHUNK = b"11\r\n" + PING + b"\r\n0\r\n\r\n"


def framed(*fields: bytes, body: bytes = PING, verb: bytes = b"POST") -> bytes:
    return verb + b" /api/sys HTTP/1.1\r\nHost: test\r\n" + b"".join(fields) + b"\r\n" + body + HIDDEN


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % (len(body) + len(HIDDEN))


TWO_ENDS: dict[str, bytes] = {
    "security.coding-in-capitals": framed(length(CHUNK), CHUNKED.upper(), body=CHUNK),
    "security.coding-before-spaced-colon": framed(
        length(CHUNK), b"Transfer-Encoding : chunked\r\n", body=CHUNK
    ),
    "security.coding-twice": framed(length(CHUNK), CHUNKED, CHUNKED, body=CHUNK),
    "security.coding-by-its-end": framed(length(CHUNK), b"Transfer-Encoding: xchunked\r\n", body=CHUNK),
    "security.length-before-chunks": framed(b"Content-Length: 4\r\n", CHUNKED, body=b"%x\r\n" % len(HIDDEN)),
    "security.length-with-sign": framed(b"Content-Length: +17\r\n"),
    "security.length-with-underscore": framed(b"Content-Length: 1_7\r\n"),
    "security.folded-length": framed(b"X: a\r\n Content-Length: 17\r\n", length(PING)),
    "security.chunk-size-with-prefix": framed(CHUNKED, body=b"0x" + CHUNK),
    "security.body-of-a-get": framed(length(b""), body=b"", verb=b"GET"),
}


def test_each_is_probed() -> None:
    assert set(PROBES) == set(of_modules("channels"))
    assert set(TWO_ENDS) == set(of_modules("framing"))


@pytest.mark.parametrize("name", TWO_ENDS)
def test_one_request_is_answered_as_two(name: str) -> None:
    with serving(Service()) as port:
        assert len(statuses(exchange(port, TWO_ENDS[name]))) == 1
    with serving(FAULTS[name](Service())) as port:
        assert len(statuses(exchange(port, TWO_ENDS[name]))) == 2


@pytest.mark.parametrize("name", PROBES)
def test_it_shows(name: str) -> None:
    answers = []
    for service in (Service(), FAULTS[name](Service())):
        token = service.sessions.create(1).encode()
        with serving(service) as port:
            received = exchange(port, PROBES[name].replace(b"%s", token))
        head, _, body = received.partition(b"\r\n\r\n")
        course = json.loads(body)["data"] if name == "http.charset-heeded" else {}
        title = course.get("title")
        answers.append((head.split(b"\r\n")[0], title))
    assert answers[0] != answers[1]
