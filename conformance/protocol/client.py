"""The client: sends one call, times it, returns an `Exchange`. It repairs nothing, and sends again in two cases only.

Where a kept connection turns out to have been closed by the other side before a byte of the answer came, the call is
sent once more on a new one (RFC 9112, section 9.3.1); whoever closes a *new* connection without an answer has answered
with that. A 429 or 503 with `Retry-After` is observed like any other answer; then the client waits as long as it asks,
and sends the same bytes again: the target has said that it did not deal with them.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from conformance.catalog.contract import Contract
from conformance.protocol.exchange import Exchange, Failure, Request, field_bytes, one_at_a_time
from conformance.protocol.ownership import Ownership, UnownedTargetError
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.throttle import MAX_RESENDS, Throttle
from conformance.protocol.wire import Address, Connection, WireError, first_response

__all__ = ["Client", "OutOfTimeError", "compact"]

#: COD-2 speaks of headers to 8 kB and a body to 1 MB.
_ORDINARY_HEAD = 8 * 1024
_ORDINARY_BODY = 1024 * 1024

#: By the letter of HTTP a target is of visible ASCII characters and has no fragment.
_ORDINARY_TARGET = re.compile(r"[!-\"$-~]+")

#: So long bytes that no library would send are given to be answered, in seconds.
_LINGER = 3.0


class OutOfTimeError(Exception):
    """The deadline of the whole run has passed."""


def compact(value: Any) -> bytes:
    """Return a value as compact JSON in UTF-8; unpaired surrogates are escaped, since UTF-8 has none."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


class Client:
    """Sends calls to one base URL over kept connections; any thread may call.

    `timeout` is in seconds for one call, connecting included. `until` is a moment of `time.monotonic` past
    which nothing more is sent. `observe` is called with every exchange as it ends, in its own thread. Whatever is sent
    is sent within a `turn`, and at most `rate` requests a second; how long that is waited for counts neither as the
    call's time nor against its timeout.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        headers: Iterable[tuple[str, str]] = (),
        ca: Path | None = None,
        secret_registry: SecretRegistry | None = None,
        envelope_extra: frozenset[str] = frozenset(),
        observe: Callable[[Exchange], None] = lambda exchange: None,
        until: float | None = None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
        rate: float | None = None,
    ) -> None:
        self.url = url
        self.address = Address.of(url)
        self.timeout = timeout
        self.secret_registry = secret_registry or SecretRegistry()
        self.observe = observe
        self.until = until
        self.turn = turn
        self.throttle = Throttle(rate)
        #: Decides which requests must not be sent, since they could act on objects that the run did not make.
        self.ownership: Ownership | None = None
        self.sent = 0
        self._extra = envelope_extra
        self._tls = (
            ssl.create_default_context(cafile=str(ca) if ca else None)
            if self.address.scheme == "https"
            else None
        )
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._common = [
            ("Host", self.address.authority),
            ("User-Agent", "coursio-conform"),
            ("Accept", "application/json"),
            *headers,
        ]

    @classmethod
    def of(cls, profile: Profile, **options: Any) -> Self:
        """Return a client of the profile's target, with a vault that knows its secrets; `options` as for a client."""
        return cls(
            profile.url,
            timeout=profile.target.timeout,
            headers=list(profile.headers.items()),
            ca=profile.target.ca,
            secret_registry=options.pop("secret_registry", None) or profile.secret_registry(),
            envelope_extra=profile.target.envelope_extra,
            rate=profile.target.rate,
            **options,
        )

    def close(self) -> None:
        """Close every connection that is kept."""
        while self._idle:
            self._idle.pop().close()

    def send(
        self,
        target: str,
        body: bytes = b"",
        *,
        verb: str = "POST",
        headers: Sequence[tuple[str, str]] = (),
        content_type: str | None = "application/json",
        chunked: bool | Callable[[bytes], bytes] = False,
        fresh: bool = False,
        function: str | None = None,
        user: str | None = None,
        in_session: bool = False,
        contract: Contract | None = None,
        login: bool = False,
        withhold: bool = False,
    ) -> Exchange:
        """Send one request and return what became of it.

        `target` is appended to the base path as it is (no normalising, no quoting), unless it begins with
        "/". With `fresh` the call gets a connection of its own. `chunked` sends the body in two chunks, or in those
        that a function of it returns, the last chunk and any trailers included. A request that could act on an object
        that the run did not make is not sent: with `withhold` its exchange has a failure of the kind "withheld".

        Raises:
            OutOfTimeError: the deadline of the run has passed.
            UnownedTargetError: the request must not be sent, and `withhold` is not set.

        """
        path = target if target.startswith("/") else self.address.path + target
        lines = [*self._common]
        if content_type is not None:
            lines.append(("Content-Type", content_type))
        if chunked:
            lines.append(("Transfer-Encoding", "chunked"))
        elif body or verb not in ("GET", "HEAD"):
            lines.append(("Content-Length", str(len(body))))
        lines += headers
        text = f"{verb} {path} HTTP/1.1\r\n" + "".join([f"{name}: {value}\r\n" for name, value in lines])
        head = field_bytes(text)
        raw = head + b"\r\n" + (chunked(body) if callable(chunked) else _chunks(body) if chunked else body)
        request = Request(
            verb,
            f"{self.address.scheme}://{self.address.authority}{path}",
            tuple(lines),
            body,
            raw,
            well_formed=len(head) <= _ORDINARY_HEAD
            and len(body) <= _ORDINARY_BODY
            and text.count("\n") == text.count("\r") == len(lines) + 1
            and _ORDINARY_TARGET.fullmatch(path) is not None,
            exact=callable(chunked),
        )
        exchange = Exchange(
            request,
            function=function,
            user=user,
            in_session=in_session,
            contract=contract,
            secret_registry=self.secret_registry,
            login=login,
            envelope_extra=self._extra,
        )
        return self._settled(exchange, fresh=fresh, withhold=withhold)

    def _settled(self, exchange: Exchange, *, fresh: bool, withhold: bool) -> Exchange:
        """Send a request, and again after each pause that the target asks for; return the last exchange."""
        try:
            self._check(
                "/" + exchange.request.url.partition("://")[2].partition("/")[2], exchange.request.body
            )
        except UnownedTargetError as error:
            if not withhold:
                raise
            exchange.failure = Failure("withheld", str(error))
            return exchange
        for number in range(MAX_RESENDS + 1):
            if number:
                exchange = replace(exchange, response=None, failure=None, number=0)
            self._perform(exchange, fresh=fresh)
            with one_at_a_time(exchange):
                self.observe(exchange)
            if number == MAX_RESENDS or not self.throttle.pause(exchange.response, self.until):
                break
        return exchange

    def _check(self, target: str, body: bytes, *, raw: bool = False) -> None:
        if self.ownership is not None:
            self.ownership.check(target, body, raw=raw)

    def resend(self, exchange: Exchange, token: str | None) -> Exchange:
        """Send the bytes of an exchange again, with another token in the header `Token` if one is given."""
        request = exchange.request
        if token is not None:
            head, gap, rest = request.raw.partition(b"\r\n\r\n")
            head = re.sub(
                rb"(?im)^(token): [^\r]*",
                lambda match: match.group(1) + b": " + field_bytes(token),
                head,
            )
            headers = tuple(
                (name, token if name.lower() == "token" else value) for name, value in request.headers
            )
            request = replace(request, raw=head + gap + rest, headers=headers)
        again = replace(exchange, request=request, response=None, failure=None, number=0)
        # What was the run's own may be another's after a reset of the target's data.
        return self._settled(again, fresh=False, withhold=True)

    def send_bytes(
        self,
        data: bytes,
        *,
        function: str | None = None,
        user: str | None = None,
        first: bytes = b"",
        linger: float = _LINGER,
    ) -> tuple[Exchange, bytes]:
        """Send bytes that are no well-formed request on a connection of their own, and read until it closes.

        `first` is an honest request that is sent and answered before, on the same connection. `linger` is how many
        seconds the connection is read for. Returns the exchange (with the first response, where there is one) and all
        that came back.

        Raises:
            UnownedTargetError: the bytes must not be sent.

        """
        self._check("", data, raw=True)
        for number in range(MAX_RESENDS + 1):
            exchange, received = self._send_bytes(data, first, linger, function=function, user=user)
            if number == MAX_RESENDS or not self.throttle.pause(exchange.response, self.until):
                break
        return exchange, received

    def _send_bytes(
        self, data: bytes, first: bytes, linger: float, *, function: str | None, user: str | None
    ) -> tuple[Exchange, bytes]:
        deadline = self._deadline()
        verb, _, rest = data.partition(b" ")
        path = rest.partition(b" ")[0].decode("latin-1")
        head, _, body = data.partition(b"\r\n\r\n")
        headers = tuple(
            (name.decode("latin-1").strip(), value.decode("latin-1").strip())
            for name, _, value in (line.partition(b":") for line in head.splitlines()[1:])
        )
        url = f"{self.address.scheme}://{self.address.authority}{path}"
        request = Request(verb.decode("latin-1"), url, headers, body, data, well_formed=False, exact=True)
        exchange = Exchange(
            request,
            function=function,
            user=user,
            secret_registry=self.secret_registry,
            envelope_extra=self._extra,
        )
        begun = time.perf_counter()
        received = b""
        try:
            with self._waited() as waited:
                deadline, begun = deadline + waited, begun + waited
                connection = Connection(self.address, self._tls, deadline=deadline)
                with _closed_if_it_fails(connection):
                    if first:
                        connection.send(first, deadline=deadline)
                        connection.read("POST", deadline=deadline)
                        if not connection.open:
                            # Who closes after each answer has no kept connections.
                            connection = Connection(self.address, self._tls, deadline=deadline)
                    connection.send(data, deadline=deadline)
            try:
                received, closed = connection.read_all(deadline=min(deadline, time.monotonic() + linger))
            finally:
                connection.close()
            if not received and not closed:
                raise WireError("timeout", "no answer, and the connection stays open")
            exchange.response = first_response(received, request.verb)
        except WireError as error:
            exchange.failure = error.failure
        exchange.seconds = time.perf_counter() - begun
        with self._lock:
            self.sent += 1
            exchange.number = self.sent
        with one_at_a_time(exchange):
            self.observe(exchange)
        return exchange, received

    def head(self, verb: str, target: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """Return the head of a request, without the empty line that ends it, for `send_bytes`."""
        path = target if target.startswith("/") else self.address.path + target
        lines = [
            f"{verb} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in (*self._common, *headers)),
        ]
        return field_bytes("\r\n".join(lines)) + b"\r\n"

    def _deadline(self) -> float:
        now = time.monotonic()
        if self.until is not None and now >= self.until:
            raise OutOfTimeError
        return now + self.timeout

    def _perform(self, exchange: Exchange, *, fresh: bool) -> None:
        deadline = self._deadline()
        begun = time.perf_counter()
        again = False
        try:
            while True:
                reused = False
                try:
                    with self._waited() as waited:
                        deadline, begun = deadline + waited, begun + waited
                        connection = None if fresh or again else self._kept()
                        reused = connection is not None
                        if connection is None:
                            connection = Connection(self.address, self._tls, deadline=deadline)
                        with _closed_if_it_fails(connection):
                            connection.send(exchange.request.raw, deadline=deadline)
                    with _closed_if_it_fails(connection):
                        exchange.response = connection.read(exchange.request.verb, deadline=deadline)
                    break
                except WireError as error:
                    if not (reused and error.failure.kind == "closed" and not error.received):
                        raise
                    again = True
        except WireError as error:
            exchange.failure = error.failure
        else:
            # Who refuses another verb may leave its body unread, and take it for the next request of the connection.
            # SEC-6 tests that; the answer must not be blamed on whatever is asked next.
            if fresh or (exchange.request.verb != "POST" and exchange.request.body):
                connection.close()
            elif connection.open:
                self._idle.append(connection)
        exchange.seconds = time.perf_counter() - begun
        with self._lock:
            self.sent += 1
            exchange.number = self.sent

    @contextmanager
    def _waited(self) -> Iterator[float]:
        """Wait for a turn, and tell how many seconds that took."""
        asked = time.monotonic()
        self.throttle.wait()
        with self.turn():
            yield time.monotonic() - asked

    def _kept(self) -> Connection | None:
        """Return a connection that an earlier call left open and that still is."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not connection.stale:
                return connection
            connection.close()


@contextmanager
def _closed_if_it_fails(connection: Connection) -> Iterator[None]:
    """Close a connection over which something failed or was cut short: its answer must not be taken for the next."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _chunks(body: bytes) -> bytes:
    """Return the body in the chunked coding, in two chunks where it can be cut."""
    cut = max(1, len(body) // 2)
    parts = [part for part in (body[:cut], body[cut:]) if part]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
