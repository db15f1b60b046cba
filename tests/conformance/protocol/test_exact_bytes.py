"""What only its very bytes repeat is repeated by them: no line of curl is shown for it."""

from __future__ import annotations

import subprocess

import pytest

from conformance.protocol.exchange import Exchange, Request
from conformance.protocol.redaction import SecretRegistry
from tests.support.events import json_of

RAW = b"POST /api/a HTTP/1.1\r\nHost: h\r\nToken: s3ss10n\r\nContent-Length: +2\r\nX: 50%\\'\x0b\xe9\r\n\r\n{}POST /"


def line(url: str, raw: bytes = RAW) -> str:
    request = Request("POST", url, (("Token", "s3ss10n"),), b"{}", raw, well_formed=False, exact=True)
    return str(json_of(Exchange(request, secret_registry=SecretRegistry()).record())["curl"])


@pytest.mark.parametrize(
    ("url", "sends"),
    [
        ("http://127.0.0.1:81/api/a", "nc 127.0.0.1 81"),
        ("http://localhost/api/a", "nc localhost 80"),
        ("https://example.com/api/a", "openssl s_client -quiet -connect example.com:443"),
    ],
)
def test_the_bytes_go_through_a_pipe(url: str, sends: str) -> None:
    shown, _, command = line(url).partition(" | ")
    assert command == sends
    printed = subprocess.run(["sh", "-c", shown], capture_output=True, check=True).stdout
    assert printed == RAW.replace(b"s3ss10n", b"***")


def test_a_token_in_a_trailer_is_hidden() -> None:
    assert "s3ss10n" not in line("http://h/api/a", b"POST /api/a HTTP/1.1\r\n\r\n0\r\nToken: s3ss10n\r\n\r\n")


def test_other_requests_have_a_line_of_curl() -> None:
    request = Request("POST", "http://h/api/a", (), b"{}", b"POST /api/a HTTP/1.1\r\n\r\n{}")
    assert str(json_of(Exchange(request, secret_registry=SecretRegistry()).record())["curl"]).startswith(
        "curl "
    )


def test_packets_are_sent_apart() -> None:
    raw = b"POST /api/a HTTP/1.1\r\nHost: h\r\nToken: s3ss10n\r\n\r\n{}"
    request = Request("POST", "http://h/api/a", (), b"{}", raw, packets=lambda data: [data])
    shown, _, command = Exchange(request, secret_registry=SecretRegistry()).record().curl.rpartition(" | ")
    assert command == "nc h 80"
    assert shown.count("printf") == 2
    printed = subprocess.run(
        ["sh", "-c", shown.replace("sleep 1", ":")], capture_output=True, check=True
    ).stdout
    assert printed == raw.replace(b"s3ss10n", b"***")


@pytest.mark.parametrize("exact", [False, True])
def test_values_of_configured_headers_are_hidden(exact: bool) -> None:
    registry = SecretRegistry()
    registry.header("X-Gate")
    raw = b"POST /api/a HTTP/1.1\r\nHost: h\r\nx-gate: nightly\r\n\r\n{}nightly"
    request = Request("POST", "http://h/api/a", (("x-gate", "nightly"),), b"{}", raw, exact=exact)
    record = Exchange(request, secret_registry=registry).record()
    assert record.request.headers == {"x-gate": "***"}
    assert record.curl.count("nightly") == exact
    assert "gate: ***" in record.curl
