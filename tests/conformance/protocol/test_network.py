"""The ways to a target, each with a real one: a proxy, client certificates, HTTP/2, a Unix socket, and signing."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from conformance.errors import UsageError
from conformance.protocol.client import Client
from conformance.protocol.curl import Route, netcat_line
from conformance.protocol.exchange import Exchange, Request
from conformance.protocol.network import UnsendableError
from conformance.protocol.profile_reader import load
from conformance.protocol.transport import WireTransport
from tests.conformance.protocol.test_exchange import needs_curl
from tests.servers.proxy import proxying
from tests.support.certificates import Certificates
from tests.support.scripted_server import always, answer, replying, serving

RAW = b"POST /y HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(name="client")
def client_maker(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Return a function that makes the client of a profile with these lines in `[target]`."""
    made: list[Client] = []

    def make(url: str, *lines: str) -> Client:
        made.append(Client.of(profile_of(tmp_path, url, *lines)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def profile_of(folder: Path, url: str, *lines: str, **env: str) -> Any:
    path = folder / "conform.toml"
    path.write_text("\n".join(["[target]", f'url = "{url}"', "timeout = 5", *lines]), "utf-8")
    return load(path, env)


def test_a_proxy_with_a_password(client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(always(answer())) as served, proxying("ann:word") as proxy:
        sending = client(served.url, f'proxy = "{proxy.url.replace("//", "//ann:word@")}"')
        exchange = sending.send("x", b"{}", headers=[("X-Odd", "A b")])
        assert exchange.status == 200
        assert exchange.response is not None
        assert exchange.response.raw == answer()
        assert sending.send("x", b"{}", chunked=True, fresh=True).status == 200
        with pytest.raises(
            UnsendableError, match=r"cannot be sent through the proxy 127\.0\.0\.1:\d+: an HTTP library"
        ):
            sending.send_bytes(RAW)
        with pytest.raises(UnsendableError):
            sending.send("x", b"{}", respell=lambda head: head)
        refused = client(served.url, f'proxy = "{proxy.url}"').send("x", b"{}").failure
    assert refused is not None
    assert (refused.kind, refused.detail[:22]) == ("unreachable", "the proxy refused: 407")
    assert proxy.lines[0] == f"POST {served.url}x HTTP/1.1"
    assert served.requests[0].startswith(b"POST /api/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-Odd: A b\r\n" in served.requests[0]
    assert b"ord@" not in repr(sending.address).encode()


def test_a_tunnel_of_a_proxy(client: Callable[..., Client], certificates: Certificates) -> None:
    trusted = f'ca = "{certificates.ca}"'
    with serving(always(answer()), tls=certificates.context()) as served, proxying() as proxy:
        sending = client(served.url, trusted, f'proxy = "{proxy.url}"')
        exchange = sending.send("x", b"{}")
        assert exchange.status == 200
        assert exchange.response is not None
        assert exchange.response.raw == answer()
        assert proxy.lines == [f"CONNECT 127.0.0.1:{served.port} HTTP/1.1"]
        with proxying(refuses=True) as refusing:
            failure = client(served.url, trusted, f'proxy = "{refusing.url}"').send("x", b"{}").failure
    assert failure is not None
    assert (failure.kind, failure.detail) == ("unreachable", "the proxy refused: 403 Forbidden")


def test_client_certificates(client: Callable[..., Client], certificates: Certificates) -> None:
    lines = [f'ca = "{certificates.ca}"', f'cert = "{certificates.cert}"', f'key = "{certificates.key}"']
    with serving(always(answer()), tls=certificates.context(asks=True)) as served:
        assert client(served.url, *lines).send("x", b"{}").status == 200
        failure = client(served.url, lines[0]).send("x", b"{}").failure
    assert failure is not None
    assert "certificate" in failure.detail or failure.kind in ("closed", "unreachable")


@needs_curl
def test_the_line_of_curl_goes_the_way_of_the_profile(
    client: Callable[..., Client], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(certificates.ca.parent)
    lines = [f'{name} = "{getattr(certificates, name)}"' for name in ("ca", "cert", "key")]
    with serving(always(answer()), tls=certificates.context(asks=True)) as served:
        line = client(served.url, *lines).send("x", b"{}").record().curl
        assert line.startswith("curl -sS --cacert ca.pem --cert cert.pem --key key.pem https://127.0.0.1:")
        done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=20, check=True)
    assert done.stdout == answer().partition(b"\r\n\r\n")[2]
    assert len(served.requests) == 2


def test_the_line_of_curl_has_the_proxy_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = "http://api.example.com/api/"
    through = profile_of(tmp_path, url, 'proxy = "http://ann:w0rd-17@proxy.example.com:3128"')
    registry = through.secret_registry()
    curl = Exchange(Request("POST", url, (), b"{}"), secret_registry=registry).record().curl
    assert curl.startswith("curl -sS --proxy 'http://***@proxy.example.com:3128' http://api")
    assert "ann" not in curl
    by_socket = profile_of(tmp_path, url, 'uds = "run/api.sock"').secret_registry()
    assert by_socket.route.curl() == ["--unix-socket", "run/api.sock"]
    assert netcat_line(url, b"x", route=by_socket.route) == "printf 'x' | nc -U run/api.sock"
    signed = Route(cert="a b.pem", key="k.pem", ca="c.pem")
    assert netcat_line("https://h/", b"x", route=signed) == (
        "printf 'x' | openssl s_client -quiet -CAfile c.pem -cert 'a b.pem' -key k.pem -connect h:443"
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['cert = "none.pem"'], r"\[target\] cert: .*none\.pem is no file"),
        (['cert = "{cert}"', 'key = "{other}"'], r"\[target\] key: .* is not the key of the certificate"),
        (['cert = "{ca}"'], r"\[target\] cert: .* cannot be used"),
        (['key = "{key}"'], r"\[target\] key: there is no cert"),
        (['proxy = "socks5://127.0.0.1:1"'], r"\[target\] proxy: must be the address of an HTTP proxy"),
        (['auth = "digest a:b"'], r'\[target\] auth: must be "basic'),
        (['auth_hook = "sign.py"'], r'\[target\] auth_hook: must be "file\.py:function"'),
        (['auth_hook = "sign.py:sign"'], r"\[target\] auth_hook: there is no file"),
        (['http2 = "yes"'], r"\[target\] http2: must be true or false"),
    ],
)
def test_mistakes_in_the_profile(
    lines: list[str], message: str, tmp_path: Path, certificates: Certificates
) -> None:
    filled = [line.format(**{k: str(v) for k, v in vars(certificates).items()}) for line in lines]
    with pytest.raises(UsageError, match=message) as caught:
        profile_of(tmp_path, "http://127.0.0.1:9/api/", *filled)
    assert "\n" not in str(caught.value)


def test_authorization_is_hidden(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "http://127.0.0.1:9/", 'auth = "basic ann:${WORD}"', WORD="s3cret-word")
    assert profile.headers["Authorization"] == "Basic YW5uOnMzY3JldC13b3Jk"
    assert {"s3cret-word", "YW5uOnMzY3JldC13b3Jk"} <= set(profile.secrets())
    bearer = profile_of(tmp_path, "http://127.0.0.1:9/", 'auth = "bearer ${T}"', T="abc.def")
    assert bearer.headers["Authorization"] == "Bearer abc.def"
    assert "abc.def" in bearer.secrets()
    proxy = profile_of(tmp_path, "http://127.0.0.1:9/", 'proxy = "http://ann:${WORD}@h:1"', WORD="s3cret")
    assert "s3cret" in proxy.secrets()
    assert not any(secret in repr((profile, bearer, proxy)) for secret in ("s3cret", "YW5u", "abc.def"))


@pytest.mark.parametrize(
    "line", ['proxy = "http://127.0.0.1:1"', "http2 = true", 'uds = "s"', 'auth_hook = "sign.py:f"']
)
def test_no_load_on_what_it_does_not_speak(line: str, tmp_path: Path) -> None:
    (tmp_path / "sign.py").touch()
    with pytest.raises(UsageError, match=rf"\[target\] {line.partition(' ')[0]}: no load is put"):
        profile_of(tmp_path, "http://127.0.0.1:9/api/", line).refuse_load()


def test_a_unix_socket(client: Callable[..., Client], tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    # The path of a socket is short.
    path = Path(f"/tmp/conform-{id(listener):x}.sock")
    listener.bind(str(path))
    listener.listen()

    def run() -> None:
        taken, _ = listener.accept()
        with taken:
            taken.recv(65536)
            taken.sendall(answer())

    threading.Thread(target=run, daemon=True).start()
    try:
        assert client("http://service/api/", f'uds = "{path}"').send("x", b"{}").status == 200
    finally:
        listener.close()
        path.unlink()
    failure = client("http://service/api/", f'uds = "{path}"').send("x", b"{}").failure
    assert failure is not None
    assert failure.kind == "unreachable"
    assert failure.detail.startswith(f"there is no socket {path}")


async def _application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = f'{{"version": "{scope["http_version"]}", "path": "{scope["path"]}"}}'.encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": body})


def test_http2(client: Callable[..., Client], certificates: Certificates) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.certfile = config.keyfile = str(certificates.server_file)
    config.accesslog = config.errorlog = None
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def until_end() -> None:
        await serve(_application, config, shutdown_trigger=end.wait)

    thread = threading.Thread(target=lambda: loop.run_until_complete(until_end()), daemon=True)
    thread.start()
    trusted = f'ca = "{certificates.ca}"'
    exchange = client(f"https://127.0.0.1:{port}/api/", "http2 = true", trusted).send("x", b"{}")
    loop.call_soon_threadsafe(end.set)
    thread.join(10)
    assert exchange.response is not None, exchange.failure
    assert (exchange.response.version, exchange.json.value) == ("HTTP/2", {"version": "2", "path": "/api/x"})
    with serving(always(answer()), tls=certificates.context()) as served:
        failure = client(served.url, "http2 = true", trusted).send("x", b"{}").failure
    assert failure is not None
    assert failure.kind == "unreachable"
    assert failure.detail.startswith("the target did not agree to HTTP/2")


_HOOK = """
import httpx

class Signed(httpx.Auth):
    def auth_flow(self, request):
        request.headers["X-Signature"] = f"{len(request.content)}-{request.headers['Token']}"
        answer = yield request
        if answer.status_code == 401:
            request.headers["X-Signature"] = answer.headers["X-Nonce"]
            yield request

def sign():
    return Signed()

def other():
    raise ValueError("s3cret")
"""


def test_signing(client: Callable[..., Client], tmp_path: Path) -> None:
    (tmp_path / "sign.py").write_text(_HOOK, "utf-8")
    challenge = answer(b"{}", "X-Nonce: n1", status="401 Unauthorized")
    with serving(replying(challenge, answer(), answer())) as served:
        sending = client(served.url, 'auth_hook = "sign.py:sign"')
        exchange = sending.send("x", b"{}", headers=[("Token", "t")])
        assert exchange.status == 200
        sending.send("x", b"{ }", headers=[("Token", "u")])
        with pytest.raises(UnsendableError, match="auth_hook"):
            sending.send_bytes(RAW)
        with pytest.raises(
            UsageError, match=r"auth_hook: sign\.py:other: fails in line \d+ with ValueError$"
        ):
            client(served.url, 'auth_hook = "sign.py:other"')
    signatures = [request.partition(b"X-Signature: ")[2].split(b"\r\n")[0] for request in served.requests]
    assert signatures == [b"2-t", b"n1", b"3-u"]
    assert exchange.record().request.headers["X-Signature"] != "n1"


def test_the_wire_as_a_transport() -> None:
    with serving(replying(answer(b'{"a": 1}')), replying(answer())) as served:
        client = Client(served.url)
        with httpx.Client(transport=WireTransport(client), base_url=served.url) as riding:
            response = riding.post("x", json={})
            assert response.json() == {"a": 1}
            assert response.extensions["exchange"].response.raw == answer(b'{"a": 1}')
            with pytest.raises(httpx.UnsupportedProtocol):
                riding.get("http://127.0.0.1:1/elsewhere")
