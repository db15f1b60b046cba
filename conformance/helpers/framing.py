"""Requests whose end can be read in two ways (RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 6.3 and 7.1; SEC-6).

In one reading the body contains a second request, in the other that one is a request of its own. Two servers in a row
that read differently let an attacker put requests before those of another client (request smuggling).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.protocol.client import Client, compact

__all__ = ["Ambiguous", "Framing", "statuses"]

#: The end of the last chunk and of the body.
END = b"\r\n0\r\n\r\n"
FRAMED = b"Transfer-Encoding: chunked\r\n"


@dataclass(frozen=True)
class Ambiguous:
    """An ambiguous request with a hidden one after or inside it; `what` describes the ambiguity."""

    what: str
    data: bytes


class Framing:
    """Build ambiguous requests to one endpoint; `token` is sent so that a guard does not refuse them."""

    def __init__(self, client: Client, endpoint: str, name: str, token: str | None) -> None:
        self._client = client
        self._endpoint = endpoint
        self._fields = [
            ("Content-Type", "application/json"),
            *([("Token", token)] if token is not None else []),
        ]
        self._head = self._begin("POST", endpoint)
        self._call = compact({"method": name, "data": {}})
        call = compact({"method": f"{name}Hidden", "data": {}})
        #: A complete call of an unknown function, and one without a method that asks to close the connection.
        self.hidden = self._head + b"Content-Length: %d\r\n\r\n" % len(call) + call
        # Inside a chunk, the end of the chunks belongs to the hidden request's body, so that nothing is left over.
        self._within = self._head + b"Content-Length: %d\r\n\r\n" % (len(call) + len(END)) + call
        closing = self._head + b"Connection: close\r\n"
        self.last = closing + b"Content-Length: 2\r\n\r\n{}"
        #: The statuses of those two when sent alone, as far as they are known.
        self.alone: dict[bytes, int] = {}

    def _begin(self, verb: str, target: str) -> bytes:
        """Return the head of a request, without Accept, which a scan of the bytes for calls may take for a function."""
        lines = self._client.head(verb, target, self._fields).split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.lower().startswith(b"accept:"))

    def plain(self) -> bytes:
        """Return an unambiguous call that leaves the connection open."""
        return self._head + b"Content-Length: %d\r\n\r\n" % len(self._call) + self._call

    def usual(self) -> Iterator[Ambiguous]:
        """Yield unambiguous requests without a hidden one, for each way in which a target may refuse."""
        call = self._call
        length = b"Content-Length: %d\r\n\r\n"
        open_head = self._client.head("POST", self._endpoint, [("Content-Type", "application/json")])
        nowhere = self._begin("POST", f"{self._endpoint}/nowhere")
        broken = call[:-1]
        yield Ambiguous("an unknown function", self.plain())
        yield Ambiguous("a body that is not JSON", self._head + length % len(broken) + broken)
        yield Ambiguous("an empty body", self._head + length % 0)
        yield Ambiguous("a call without a session", open_head + length % len(call) + call)
        yield Ambiguous("a call to no endpoint", nowhere + length % len(call) + call)
        for verb in ("GET", "OPTIONS", "DELETE"):
            yield Ambiguous(f"{verb} without a body", self._begin(verb, self._endpoint) + b"\r\n")

    def every(self) -> Iterator[Ambiguous]:
        """Yield the ambiguous requests."""
        yield from self._two_lengths()
        yield from self._codings()
        yield from self._numbers()
        yield from self._lines()
        yield from self._bodies()

    def _chunks(self, size: bytes = b"", extension: bytes = b"") -> bytes:
        return (size or b"%x" % len(self._call)) + extension + b"\r\n" + self._call + b"\r\n0\r\n\r\n"

    def _made(self, what: str, fields: bytes, body: bytes) -> Ambiguous:
        return Ambiguous(what, self._head + fields + b"\r\n" + body + self.hidden)

    def _length(self, body: bytes) -> bytes:
        """Return a Content-Length that covers the body and the hidden request."""
        return b"Content-Length: %d\r\n" % (len(body) + len(self.hidden))

    def _two_lengths(self) -> Iterator[Ambiguous]:
        call = self._call
        short, long = b"Content-Length: %d\r\n" % len(call), self._length(call)
        yield self._made("two Content-Lengths", long + short, call)
        yield self._made("two Content-Lengths, the shorter first", short + long, call)
        both = b"%d, %d" % (len(call), len(call) + len(self.hidden))
        yield self._made("a list of two Content-Lengths", b"Content-Length: " + both + b"\r\n", call)
        for what, extension in (
            ("", b""),
            (", with a chunk extension", b";name=value"),
            (", with a quoted chunk extension", b';a="\\";\\""'),
        ):
            chunks = self._chunks(extension=extension)
            length = self._length(chunks)
            yield self._made(f"Content-Length and Transfer-Encoding{what}", length + FRAMED, chunks)
            yield self._made(f"Transfer-Encoding before Content-Length{what}", FRAMED + length, chunks)
        # Read by the shorter length, the content of the chunk is a request.
        size = b"%x\r\n" % len(self._within)
        inside = size + self._within + END
        length = b"Content-Length: %d\r\n" % len(size)
        yield Ambiguous(
            "a Content-Length shorter than the chunks", self._head + length + FRAMED + b"\r\n" + inside
        )

    def _codings(self) -> Iterator[Ambiguous]:
        chunks = self._chunks()
        length = self._length(chunks)
        for field in (
            b"Transfer-Encoding: Chunked",
            b"TRANSFER-ENCODING: CHUNKED",
            b"Transfer-Encoding:chunked",
            b"Transfer-Encoding: chunked ",
            b"Transfer-Encoding:\tchunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding: \x0bchunked",
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: identity, chunked",
            b"Transfer-Encoding: chunked, identity",
            b"Transfer-Encoding: xchunked",
            b'Transfer-Encoding: "chunked"',
            b"Transfer-Encoding: chunked;q=1",
            b"Transfer-Encoding:\r\n chunked",
            b" Transfer-Encoding: chunked",
            b"X-Note: a\nTransfer-Encoding: chunked",
            b"X-Note: a\rTransfer-Encoding: chunked",
        ):
            what = f"Content-Length and {field.decode('latin-1')!r}"
            yield self._made(what, length + field + b"\r\n", chunks)

    def _numbers(self) -> Iterator[Ambiguous]:
        """Yield lengths and chunk sizes that are not plain digits, although a lenient number parser accepts them."""
        count = len(self._call)
        digits, hexed = b"%d" % count, b"%x" % count
        for what, length in (
            ("a sign", b"+" + digits),
            ("an underscore", digits[:1] + b"_" + digits[1:]),
            ("a hexadecimal number", b"0x" + hexed),
            ("a fraction", digits + b".0"),
            ("something behind it", digits + b"x"),
            ("a list", digits + b", " + digits + b"0"),
        ):
            yield self._made(
                f"a Content-Length with {what}", b"Content-Length: " + length + b"\r\n", self._call
            )
        for what, size in (
            ("a sign", b"+" + hexed),
            ("an underscore", hexed[:1] + b"_" + hexed[1:]),
            ("a prefix", b"0x" + hexed),
            ("more than 64 bits", b"1" + b"%016x" % count),
            ("something behind it", hexed + b"x"),
        ):
            yield self._made(f"a chunk size with {what}", FRAMED, self._chunks(size))
        for what, length in (("an empty Content-Length", b""), ("a negative Content-Length", b"-1")):
            yield self._made(what, b"Content-Length: " + length + b"\r\n", b"")
        size = b"%x" % count
        for what, chunks in (
            ("a chunk size that ends with a bare carriage return", size + b"\r" + self._call + END),
            ("a chunk that ends with other bytes", size + b"\r\n" + self._call + b"xx0\r\n\r\n"),
            ("a chunk that ends with a bare line feed", size + b"\r\n" + self._call + b"\n0\r\n\r\n"),
            ("a last chunk with bare line feeds", size + b"\r\n" + self._call + b"\r\n0\n\n"),
        ):
            yield self._made(what, FRAMED, chunks)
        bare = b"%x;a\n" % count + self._call + b"\r\n0\r\n\r\n"
        yield self._made("a chunk size that ends with a bare line feed", FRAMED, bare)

    def _lines(self) -> Iterator[Ambiguous]:
        """Yield heads with ambiguous line ends or field names."""
        call = self._call
        short, long = b"Content-Length: %d\r\n" % len(call), self._length(call)
        yield self._made(
            "a bare line feed in the head", b"X-Note: a\n" + short + b"X-Rest: b\r\n" + long, call
        )
        yield self._made("a bare carriage return in the head", b"X-Note: a\r" + short + long, call)
        spaced = b"Content-Length : %d\r\n" % len(call)
        yield self._made("white space before a colon", spaced + long, call)
        yield self._made("white space before a colon, the other length first", long + spaced, call)
        yield self._made("a folded header", b"X-Note: a\r\n " + short + long, call)

    def _bodies(self) -> Iterator[Ambiguous]:
        """Yield well-formed requests whose body is a request; a target that refuses early must not answer the body."""
        length = b"Content-Length: %d\r\n\r\n" % len(self.hidden)
        for verb in ("GET", "DELETE", "OPTIONS", "PUT"):
            head = self._begin(verb, self._endpoint)
            yield Ambiguous(f"a {verb} whose body is a request", head + length + self.hidden)
        yield Ambiguous("a body that is a request", self._head + length + self.hidden)
        open_head = self._client.head("POST", self._endpoint, [("Content-Type", "application/json")])
        yield Ambiguous("a body that is a request, without a session", open_head + length + self.hidden)
        nowhere = self._begin("POST", f"{self._endpoint}/nowhere")
        yield Ambiguous("a body that is a request, to no endpoint", nowhere + length + self.hidden)
        chunks = b"%x\r\n" % len(self._within) + self._within + END
        yield Ambiguous("a chunk that is a request", self._head + FRAMED + b"\r\n" + chunks)
        expecting = self._head + b"Expect: something-else\r\n"
        yield Ambiguous("a body that is a request, after an expectation", expecting + length + self.hidden)


def statuses(received: bytes) -> list[int]:
    """Return the statuses of the responses in the bytes received, without 1xx."""
    found = []
    for line in received.split(b"\r\n"):
        _, mark, rest = line.rpartition(b"HTTP/1.")
        if mark and len(rest) >= 5 and rest[:1].isdigit() and rest[1:2] == b" " and rest[2:5].isdigit():
            found.append(int(rest[2:5]))
    return [status for status in found if status >= 200]
