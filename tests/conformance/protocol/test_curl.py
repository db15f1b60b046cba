"""The curl command of a request sends the same bytes, and contains no secret."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, Request
from conformance.protocol.redaction import MASK
from tests.conformance.protocol.test_exchange import needs_curl
from tests.conformance.protocol.test_redaction import secret_registry_with
from tests.support.events import json_of
from tests.support.scripted_server import always, answer, serving

TOKEN = "s3cr3t-t0k3n"


REPEATED: list[tuple[str, dict[str, Any]]] = [
    ("plain", {"body": b'{"method":"read"}'}),
    ("with a token", {"body": b"{}", "headers": [("Token", TOKEN)]}),
    ("an empty token", {"body": b"{}", "headers": [("Token", "")]}),
    ("another case", {"body": b"{}", "headers": [("tOKEN", TOKEN)]}),
    ("no body", {"body": b""}),
    ("no content type", {"body": b"{}", "content_type": None}),
    ("no body, no content type", {"body": b"", "content_type": None}),
    ("another content type", {"body": b"a=b&c", "content_type": "application/x-www-form-urlencoded"}),
    ("at sign", {"body": b"@/etc/hostname"}),
    ("quotes", {"body": b"""{"a":"it's \\"quoted\\" `x` $HOME $(id) \\\\ !"}"""}),
    ("lines", {"body": b'{\r\n\t"a": 1\n}\n\n'}),
    ("percent", {"body": b"%s %n %% \\n \\x41"}),
    ("not ASCII", {"body": '{"a":"å😀"}'.encode()}),
    ("not UTF-8", {"body": b'{"a":"\xff\xfe%s\\\'x"}'}),
    ("NUL", {"body": b"a\0b%d\\0"}),
    ("other text", {"body": b"-d x"}),
    ("chunked", {"body": b'{"a":1}', "chunked": True}),
    ("get", {"verb": "GET"}),
    ("get with a body", {"verb": "GET", "body": b"{}"}),
    ("head", {"verb": "HEAD"}),
    ("put", {"verb": "PUT", "body": b"{}"}),
    ("delete without a body", {"verb": "DELETE"}),
    ("an odd verb", {"verb": "M-SEARCH", "body": b"{}"}),
    ("dots", {"target": "a/../b/./c", "body": b"{}"}),
    ("coded dots", {"target": "%2e%2e/b", "body": b"{}"}),
    ("slashes", {"target": "//x//", "body": b"{}"}),
    ("brackets", {"target": "x[1-3]{a,b}?q=[]", "body": b"{}"}),
    ("query", {"target": "x?a='b'&c=%20", "body": b"{}"}),
    ("quotes in a header", {"body": b"{}", "headers": [("X-Note", """a'b"c$d""")]}),
    ("large", {"body": b"x" * 16_000}),
]


@needs_curl
@pytest.mark.parametrize(("name", "options"), REPEATED, ids=[name for name, _ in REPEATED])
def test_curl_repeats_the_request(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    secret_registry = secret_registry_with(TOKEN)
    reply = answer(b"", "Content-Length: 0", "Connection: close", length=False)
    with serving(always(reply)) as served:
        client = Client(served.url, secret_registry=secret_registry, timeout=5)
        exchange = client.send(**{"target": "course", **options})
        client.close()
        line = json_of(exchange.record())["curl"]
        assert TOKEN not in line
        command = line.replace(MASK, TOKEN)
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        done = subprocess.run(
            ["sh", "-c", command],
            capture_output=True,
            timeout=10,
            cwd=tmp_path,
            env={**environment, "HOME": str(tmp_path)},
        )
    assert done.returncode == 0, done.stderr
    ours, theirs = (_parts(request) for request in served.requests)
    assert theirs == ours
    if b"\0" not in exchange.request.body and _is_text(exchange.request.body):
        words = shlex.split(line)
        assert words[:2] == ["curl", "-sS"]
        assert exchange.request.url in words


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parts(request: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return the first line, the headers but for those that each client sends in its own way, the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    names = [name.lower() for name, _ in headers]
    if b"transfer-encoding" in names:
        data = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            data, body = data + body[: int(size, 16)], body[int(size, 16) + 2 :]
        body = data
    own = (b"user-agent", b"accept", b"host")
    return first, sorted(pair for pair in headers if pair[0].lower() not in own), body


@needs_curl
def test_curl_repeats_head_with_a_body() -> None:
    with serving(always(answer(b"", "Content-Length: 0", "Connection: close", length=False))) as served:
        client = Client(served.url, timeout=5)
        exchange = client.send("x", b'{"method":"remove"}', verb="HEAD")
        client.close()
        subprocess.run(["sh", "-c", json_of(exchange.record())["curl"]], capture_output=True, timeout=10)
    ours, theirs = (_parts(request) for request in served.requests)
    assert theirs == ours


def test_curl_of_a_hostile_request_is_one_command() -> None:
    request = Request(
        "X;id", "http://h/$(id)`id`'\";id", (("A';id;'", "b';id;'"), ("Token", ""), ("B", "$(id)")), b"';id;'"
    )
    words = shlex.split(json_of(Exchange(request).record())["curl"])
    assert words == [
        *("curl", "-sS", "-X", "X;id", "http://h/$(id)`id`'\";id", "-H", "A';id;': b';id;'", "-H", "Token;"),
        *("-H", "B: $(id)", "-H", "Content-Type:", "--data-raw", "';id;'"),
    ]
