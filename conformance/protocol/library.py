"""Sends calls through httpcore, the network part of httpx, to targets that the wire module does not reach.

Those are behind a proxy, at a Unix socket, or speak HTTP/2. The network
backend records the bytes of both directions. What no HTTP library
sends (malformed bytes, unusual spellings, a request in several packets) raises `UnsendableError`, so that the rule is
not judged.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from conformance.protocol.exchange import Request, Response, field_bytes
from conformance.protocol.network import Network, UnsendableError
from conformance.protocol.wire import MAX_RESPONSE_BYTES, MAX_RETAINED_RAW_BYTES, Address, WireError, decoded

__all__ = ["LibraryChannel", "Recording", "RecordingBackend", "RecordingTransport"]


class Recording:
    """The bytes of one request and its response, and the moment by which it must be over."""

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.received_bytes = 0
        self.connected = False

    def clear(self) -> None:
        """Forget the bytes: they set up a tunnel or the connection to a proxy."""
        self.sent.clear()
        self.received.clear()
        self.received_bytes = 0

    def timeout(self, timeout: float | None) -> float | None:
        """Return the seconds for one operation; raise TimeoutError after the deadline."""
        if self.deadline is None:
            return timeout
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if timeout is None else min(left, timeout)


class _RecordingStream(httpcore.NetworkStream):
    """A connection that adds its bytes to the recording of the calling thread."""

    def __init__(self, inner: httpcore.NetworkStream, current: threading.local) -> None:
        self._inner = inner
        self._current = current

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        recording: Recording | None = getattr(self._current, "recording", None)
        if recording is None:
            return self._inner.read(max_bytes, timeout)
        try:
            timeout = recording.timeout(timeout)
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        data = self._inner.read(max_bytes, timeout)
        recording.received_bytes += len(data)
        if recording.received_bytes <= MAX_RETAINED_RAW_BYTES:
            recording.received.append(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        recording: Recording | None = getattr(self._current, "recording", None)
        if recording is not None:
            try:
                timeout = recording.timeout(timeout)
            except TimeoutError as error:
                raise httpcore.WriteTimeout from error
            recording.sent.append(bytes(buffer))
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        recording: Recording | None = getattr(self._current, "recording", None)
        if recording is not None:
            recording.clear()
        return _RecordingStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._current)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class RecordingBackend(httpcore.NetworkBackend):
    """A network backend that records the bytes of each request, by the thread that sends it."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()
        self._current = threading.local()

    @contextlib.contextmanager
    def recording(self, deadline: float | None = None) -> Iterator[Recording]:
        """Record what the calling thread sends and receives within the context."""
        recording = Recording(deadline)
        self._current.recording = recording
        try:
            yield recording
        finally:
            self._current.recording = None

    def _made(self, inner: httpcore.NetworkStream) -> httpcore.NetworkStream:
        recording: Recording | None = getattr(self._current, "recording", None)
        if recording is not None:
            recording.connected = True
        return _RecordingStream(inner, self._current)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a host."""
        return self._made(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Connect to a Unix socket."""
        return self._made(self._inner.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._inner.sleep(seconds)


def _pool(network: Network, scheme: str, backend: RecordingBackend) -> httpcore.ConnectionPool:
    """Return a pool of connections on the way that the profile asks for."""
    options: dict[str, Any] = {
        "ssl_context": network.tls(http2=network.http2),
        "max_connections": None,
        # Without TLS there is nothing to agree on: the target speaks HTTP/2, or it does not (RFC 9113, section 3.3).
        "http1": scheme == "https" or not network.http2,
        "http2": network.http2,
        "network_backend": backend,
    }
    if network.proxy is None:
        return httpcore.ConnectionPool(uds=None if network.uds is None else str(network.uds), **options)
    proxy = httpx.Proxy(network.proxy)
    return httpcore.HTTPProxy(
        proxy_url=httpcore.URL(
            scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=b"/"
        ),
        proxy_auth=None if proxy.raw_auth is None else proxy.raw_auth,
        proxy_ssl_context=network.tls() if proxy.url.scheme == "https" else None,
        **options,
    )


class RecordingTransport(httpx.BaseTransport):
    """A transport for any httpx client that retains the bytes of its last exchange in `last`."""

    def __init__(self, network: Network, scheme: str = "http") -> None:
        self._backend = RecordingBackend()
        self._pool = _pool(network, scheme, self._backend)
        self.last: Recording | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, read to the end."""
        url = request.url
        with self._backend.recording() as self.last:
            answer = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            content = answer.read()
            answer.close()
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=httpx.ByteStream(content),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class LibraryChannel:
    """Sends the requests of a client through httpcore; thread-safe."""

    def __init__(self, address: Address, network: Network) -> None:
        self._address = address
        self._network = network
        self._backend = RecordingBackend()
        self._pool = _pool(network, address.scheme, self._backend)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def refuse(self, what: str) -> UnsendableError:
        """Return the error for a request that no HTTP library sends."""
        return UnsendableError(
            f"{what} cannot be sent {self._network.way}: an HTTP library sends the calls there, and none of these"
        )

    def perform(self, request: Request, deadline: float, *, fresh: bool) -> tuple[Request, Response]:
        """Send a request, and return it with the bytes that were sent, and its response.

        A request on a connection that the target closed while it was idle is sent once more.

        Raises:
            WireError: there is no response.
            UnsendableError: no HTTP library sends such a request.

        """
        if request.packets is not None or request.exact:
            raise self.refuse("a request that depends on its exact bytes")
        pool = _pool(self._network, self._address.scheme, self._backend) if fresh else self._pool
        try:
            for _ in range(2):
                with self._backend.recording(deadline) as recording:
                    try:
                        return self._sent(pool, request, recording)
                    except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError) as error:
                        if recording.connected or recording.received_bytes:
                            raise self._failure(error, recording) from error
                        last = self._failure(error, recording)
                    except (httpcore.LocalProtocolError, UnicodeError) as error:
                        raise self.refuse(f"a request that is not well-formed ({error})") from error
                    except (
                        httpcore.TimeoutException,
                        httpcore.NetworkError,
                        httpcore.ProtocolError,
                        httpcore.ProxyError,
                        TimeoutError,
                        OSError,
                    ) as error:
                        raise self._failure(error, recording) from error
            raise last
        finally:
            if fresh:
                pool.close()

    def _sent(
        self, pool: httpcore.ConnectionPool, request: Request, recording: Recording
    ) -> tuple[Request, Response]:
        where = self._address
        target = field_bytes("/" + request.url.partition("://")[2].partition("/")[2])
        left = recording.timeout(None)
        made = httpcore.Request(
            request.verb,
            httpcore.URL(scheme=where.scheme, host=where.host, port=where.port, target=target),
            headers=[(field_bytes(name), field_bytes(value)) for name, value in request.headers],
            content=_content(request),
            extensions={"timeout": {"connect": left, "read": left, "write": left, "pool": left}},
        )
        answer = pool.handle_request(made)
        body: list[bytes] = []
        total = 0
        try:
            for part in answer.iter_stream():
                body.append(part)
                total += len(part)
                if total > MAX_RESPONSE_BYTES:
                    raise WireError(
                        "oversize", f"the response is larger than {MAX_RESPONSE_BYTES // 1024 // 1024} MB"
                    )
        finally:
            answer.close()
        version = answer.extensions.get("http_version", b"HTTP/1.1").decode("latin-1")
        if self._network.http2 and version != "HTTP/2":
            raise WireError(
                "unreachable",
                f"the target did not agree to HTTP/2 (ALPN) and answered {version}: leave out http2 in [target]",
            )
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
        if answer.status == 407 and self._network.proxy is not None and where.scheme == "http":
            raise WireError("unreachable", "the proxy refused: 407: write its name and password into proxy")
        response = Response(
            answer.status, headers, decoded(b"".join(body), headers), b"".join(recording.received), version
        )
        return request, response

    def _failure(self, error: Exception, recording: Recording) -> WireError:
        """Return an error of the library as one of the wire module."""
        text = re.sub(r"^\[Errno -?\d+\] ", "", str(error)).lower()
        received = b"".join(recording.received[:2])[:4096]
        if isinstance(error, httpcore.ProxyError):
            return WireError("unreachable", f"the proxy refused: {error}")
        if isinstance(error, httpcore.ConnectTimeout | httpcore.PoolTimeout):
            return WireError("unreachable", f"no connection within the deadline {self._network.way}")
        if isinstance(error, httpcore.ConnectError):
            return WireError("unreachable", f"{self._connect_error(error, text)} ({self._network.way})")
        if isinstance(error, httpcore.TimeoutException | TimeoutError):
            progress = (
                f"after {recording.received_bytes} bytes of it" if recording.received_bytes else "not a byte"
            )
            return WireError("timeout", f"no whole answer within the deadline, {progress}", received)
        if isinstance(error, httpcore.RemoteProtocolError):
            if "disconnected" in text or "without sending" in text or "incomplete" in text:
                where = "in the middle of the answer" if received else "without an answer"
                return WireError("closed", f"the connection was closed {where}", received)
            return WireError("garbled", f"not an HTTP response: {text}", received)
        if self._network.tls_asks(error):
            return WireError("unreachable", f"TLS: {text}", received)
        return WireError("closed", text or "the connection was closed", received)

    def _connect_error(self, error: Exception, text: str) -> str:
        uds = self._network.uds
        if uds is not None and not uds.exists():
            return f"there is no socket {uds}"
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return f"TLS: the certificate is not trusted: {cause.verify_message}"
            if isinstance(cause, ssl.SSLError):
                return f"TLS: {(cause.reason or str(cause)).lower().replace('_', ' ')}"
            cause = cause.__cause__ or cause.__context__
        return text or "no connection"


def _content(request: Request) -> bytes | Iterable[bytes]:
    """Return the body of a request: in two parts if it is sent in chunks."""
    if (request.header("Transfer-Encoding") or "").lower() != "chunked":
        return request.body
    cut = max(1, len(request.body) // 2)
    return [part for part in (request.body[:cut], request.body[cut:]) if part]
