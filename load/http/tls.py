"""A connection within TLS: the bytes that are sent and received pass through memory (`ssl.MemoryBIO`)."""

from __future__ import annotations

import _socket
import contextlib
import ssl

from load.http.connection import MAX_READ_BYTES, READ, WRITE, Connection
from load.http.response import HANDSHAKE, IDLE, SENDING

__all__ = ["TlsConnection"]


class TlsConnection(Connection):
    """A connection that encrypts what it sends and decrypts what it receives."""

    __slots__ = ("_in", "_out", "_tls")

    def _ready(self, made: _socket.socket) -> None:
        endpoint = self._pool.endpoint
        assert endpoint.tls is not None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = endpoint.tls.wrap_bio(self._in, self._out, server_hostname=endpoint.server_hostname)
        self._recv = self._decrypt
        self._send = self._encrypt
        self._phase = HANDSHAKE
        self._continue_handshake()

    def _continue_handshake(self) -> None:
        """Carry the handshake on with the bytes that were received."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLCertVerificationError as error:
            self._flush()
            self._fail("unreachable", f"TLS: the certificate is not trusted: {error.verify_message}")
        except (ssl.SSLError, ValueError) as error:
            self._flush()
            why = (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")
            self._fail("unreachable", f"TLS: {why}")
        else:
            self._flush()
            self._opened()

    def _flush(self) -> None:
        """Send the messages of TLS itself; whether they arrive is seen in the server's response."""
        data = self._out.read()
        if data and self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(data)

    def _encrypt(self, raw: bytes) -> int:
        """Send within TLS; return the size, or -1 where the kernel does not take all of it now."""
        at = 0
        while at < len(raw):
            at += self._tls.write(raw[at:] if at else raw)
        data = self._out.read()
        assert self._socket is not None
        try:
            count = self._socket.send(data)
        except BlockingIOError:
            count = 0
        if count == len(data):
            return len(raw)
        self._unsent = data[count:]
        return -1

    def _linger(self, raw: bytes, count: int) -> None:
        self._phase = SENDING
        self._watch(READ | WRITE, self._sendable)

    def _decrypt(self, limit: int) -> bytes:
        """Receive decrypted bytes.

        Raises:
            BlockingIOError: there are none yet.
            OSError: the connection broke, or the bytes received are not TLS.

        """
        assert self._socket is not None
        data = self._socket.recv(limit)
        if not data:
            return data
        coming, tls = self._in, self._tls
        coming.write(data)
        if self._phase == HANDSHAKE:
            self._continue_handshake()
            if self._tls is not tls or self._phase <= HANDSHAKE:
                raise BlockingIOError
        parts: list[bytes] = []
        first: ssl.SSLError | None = None
        while True:
            try:
                data = tls.read(MAX_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                # OpenSSL keeps one queue of errors for a thread, so an error may be of another connection: then it
                # is gone when the read is repeated. An error of this connection is raised again.
                if first is not None:
                    raise first from None
                first = error
                continue
            if not data:
                if first is not None:
                    # The connection broke; this is not a regular end.
                    raise first
                if not parts:
                    return data
                # The server has closed TLS: the bytes are taken first, then the end.
                self._pool.loop.run_callback(self._end_of, tls)
                break
            first = None
            parts.append(data)
            if not coming.pending:
                break
        if not parts:
            self._flush()
            raise BlockingIOError
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _end_of(self, tls: ssl.SSLObject) -> None:
        """Handle the end of a TLS stream."""
        if self._tls is tls and self._phase >= IDLE:
            self._arrived(b"")
