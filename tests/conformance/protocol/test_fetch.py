"""Fetching pages: redirects, content codings, authorization, and the proxies of the environment."""

from __future__ import annotations

import gzip

import pytest

from conformance.protocol import reach
from conformance.protocol.fetch import FetchError, fetch
from tests.servers.proxy import proxying
from tests.support.scripted_server import always, answer, replying, serving


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def _reply(status: str, *headers: str, body: bytes = b"") -> bytes:
    fields = [*headers, f"Content-Length: {len(body)}", "Connection: close"]
    return (
        f"HTTP/1.1 {status}\r\n".encode()
        + "".join(f"{each}\r\n" for each in fields).encode()
        + b"\r\n"
        + body
    )


def test_redirects_and_codings() -> None:
    page = _reply(
        "200 OK",
        "Content-Type: text/html; charset=utf-8",
        "Content-Encoding: gzip",
        body=gzip.compress(b"<p>"),
    )
    with serving(replying(_reply("302 Found", "Location: /docs/")), replying(page)) as served:
        url = served.url.replace("//", "//ann:word@")
        assert fetch(url, accept="text/html", max_bytes=100) == (b"<p>", "text/html; charset=utf-8")
    assert all(b"\r\nAuthorization: Basic " in request for request in served.requests)
    assert served.requests[1].startswith(b"GET /docs/ ")


def test_credentials_stay_with_their_origin() -> None:
    with serving(replying(_reply("200 OK", body=b"x"))) as other:
        away = replying(_reply("302 Found", f"Location: {other.url}"))
        with serving(away) as served:
            assert fetch(served.url.replace("//", "//ann:word@"), accept="*/*", max_bytes=9)[0] == b"x"
    # The innermost server notes the requests of both.
    assert [b"Authorization" in request for request in served.requests] == [True, False]


def test_failures_are_one_line() -> None:
    with (
        serving(always(answer(status="404 Not Found"))) as served,
        pytest.raises(FetchError, match="was answered 404"),
    ):
        fetch(served.url, accept="*/*", max_bytes=9)
    with pytest.raises(FetchError, match=r"cannot be fetched: Connection refused$"):
        fetch("http://127.0.0.1:9/", accept="*/*", max_bytes=9)


def test_no_more_is_read_than_is_wanted() -> None:
    with serving(replying(_reply("200 OK", body=b"x" * 100_000))) as served:
        assert len(fetch(served.url, accept="*/*", max_bytes=99)[0]) == 100


def test_a_proxy_of_the_environment_but_not_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(always(_reply("200 OK", body=b"x"))) as served, proxying() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert fetch(served.url, accept="*/*", max_bytes=9)[0] == b"x"
        assert proxy.lines == []
        # Only this check of the address keeps the request from the proxy.
        monkeypatch.setattr(reach, "_is_loopback", lambda host: False)
        assert fetch(served.url, accept="*/*", max_bytes=9)[0] == b"x"
    assert proxy.lines == [f"GET {served.url} HTTP/1.1"]


@pytest.mark.parametrize(
    ("listed", "host", "exempt"),
    [
        ("example.com", "api.example.com", True),
        ("example.com", "badexample.com", False),
        (".example.com", "example.com", True),
        ("*.example.com", "a.example.com", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("other, *", "api.example.com", True),
        ("", "api.example.com", False),
    ],
)
def test_hosts_without_a_proxy(listed: str, host: str, exempt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", listed)
    found = reach.environment_proxy("http", host)
    assert found == (None if exempt else ("HTTP_PROXY", "http://proxy:3128"))
