"""The client: sends one call, times it and returns an `Exchange`.

It repairs nothing, and sends a request again in two cases only. If the target closed an idle connection before the
first byte of the response, the call is sent once more on a new connection (RFC 9112, section 9.3.1). A *new*
connection that is closed without a response is a failure of the target. A 429 or 503 with `Retry-After` is observed
like any other response; then the client waits as long as the target asks and sends the same bytes again, since the
target says that it did not process them.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from conformance.catalog.contract import Contract
from conformance.protocol.exchange import Exchange, Failure, Request, field_bytes, one_at_a_time
from conformance.protocol.network import Network, UnsendableError
from conformance.protocol.ownership import Ownership, UnownedTargetError
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.throttle import MAX_RESENDS, Throttle
from conformance.protocol.wire import Address, Connection, WireError, first_response

if TYPE_CHECKING:
    import httpx

    from conformance.protocol.library import LibraryChannel

__all__ = ["Client", "OutOfTimeError", "compact"]

#: The limits of an ordinary request (COD-2).
MAX_ORDINARY_HEAD_BYTES = 8 * 1024
MAX_ORDINARY_BODY_BYTES = 1024 * 1024

#: Strictly, a request target consists of visible ASCII characters and has no fragment (RFC 9112, section 3.2).
_ORDINARY_TARGET = re.compile(r"[!-\"$-~]+")

#: Exchanges that are stored with the bytes that followed their response, and an answer that a target may send unasked.
MAX_SURPLUS = 20
_TIMED_OUT = re.compile(rb"\s*HTTP/1\.[01] 408")

#: Headers of every request that a call may replace by its own.
_REPLACED = frozenset({"accept", "user-agent"})

#: Seconds to wait for the response to a malformed request.
READ_MALFORMED_SECONDS = 3.0
#: A connection that stays open is read until nothing has arrived for so many times the time to the first byte, and for
#: at least `MIN_SILENCE_SECONDS`: a second answer takes about as long as the first.
SILENCE_FACTOR = 10.0
MIN_SILENCE_SECONDS = 0.3

#: Seconds between the packets of a request that is sent in several.
PACKET_PAUSE_SECONDS = 0.02


class OutOfTimeError(Exception):
    """The deadline of the whole run has passed."""


def compact(value: Any) -> bytes:
    """Return a value as compact JSON in UTF-8; unpaired surrogates are escaped, since UTF-8 cannot encode them."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


# One class, though it is long: sending a call again, pauses and limits all depend on the state of its connections.
class Client:
    """Sends calls to one base URL over persistent connections; thread-safe.

    `timeout` is in seconds for one call, including the connect. `until` is a time of `time.monotonic` after which
    nothing is sent. `observe` is called with every exchange when it ends, in the thread of the call. Every request is
    sent within a `turn`, and at most `rate` requests are sent per second. The time spent waiting for the turn or the
    rate is not part of the call's time or timeout.
    """

    #: Whether the responses are simulated, so that they prove nothing about a target.
    simulated = False
    #: Whether a proxy that the environment names for the target is used.
    environment_proxies = True

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        headers: Iterable[tuple[str, str]] = (),
        ca: Path | None = None,
        network: Network | None = None,
        auth: httpx.Auth | None = None,
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
        #: Decides which requests must not be sent, because they could act on objects that the run did not create.
        self.ownership: Ownership | None = None
        self.sent = 0
        self._envelope_extra = envelope_extra
        network = network or Network(ca=ca)
        self._tls = network.tls() if self.address.scheme == "https" else None
        self._auth = auth
        self._channel: LibraryChannel | None = None
        if network.needs_library:
            # Importing httpcore takes long, and few targets need it.
            from conformance.protocol.library import LibraryChannel

            self._channel = LibraryChannel(self.address, network)
        self._lock = threading.Lock()
        #: Idle connections, each with the last exchange on it.
        self._idle: list[tuple[Connection, Exchange]] = []
        self._surplus: list[tuple[Exchange, bytes]] = []
        self._common = [
            ("Host", self.address.authority),
            ("User-Agent", "coursio-conform"),
            ("Accept", "application/json"),
            *headers,
        ]

    @classmethod
    def of(cls, profile: Profile, **options: Any) -> Self:
        """Return a client for the profile's target, with its secrets registered; `options` are those of `Client`."""
        return cls(
            profile.url,
            timeout=profile.target.timeout,
            headers=list(profile.headers.items()),
            network=Network.of(profile.target, environment=cls.environment_proxies),
            auth=_auth_of(profile),
            secret_registry=options.pop("secret_registry", None) or profile.secret_registry(),
            envelope_extra=profile.target.envelope_extra,
            rate=profile.target.rate,
            **options,
        )

    def close(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.pop()[0].close()
        if self._channel is not None:
            self._channel.close()

    # One function, though it is long: half of it lists and explains what of a request can be chosen.
    def send(
        self,
        target: str,
        body: bytes = b"",
        *,
        verb: str = "POST",
        headers: Sequence[tuple[str, str]] = (),
        content_type: str | None = "application/json",
        chunked: bool | Callable[[bytes], bytes] = False,
        packets: Callable[[bytes], list[bytes]] | None = None,
        respell: Callable[[bytes], bytes] | None = None,
        accept: bool = True,
        fresh: bool = False,
        function: str | None = None,
        user: str | None = None,
        in_session: bool = False,
        contract: Contract | None = None,
        login: bool = False,
        withhold: bool = False,
    ) -> Exchange:
        """Send one request and return its exchange.

        `target` is appended to the base path without normalization or quoting, unless it begins with "/". With
        `fresh` the call uses a connection of its own. `chunked` sends the body in two chunks; a function receives the
        body and returns all chunks, including the last chunk and any trailers. `packets` cuts the bytes of the request
        into packets that are sent one by one. `respell` writes the head of the request in another way that means the
        same. Without `accept` the request has no header of that name. A request that could act on an object that the
        run did not create is not sent: with `withhold` its exchange has a failure of the kind "withheld".

        Raises:
            OutOfTimeError: the deadline of the run has passed.
            UnownedTargetError: the request must not be sent, and `withhold` is not set.

        """
        path = target if target.startswith("/") else self.address.path + target
        # A call that tests Accept or User-Agent sends its own.
        own = {name.lower() for name, _ in headers} & _REPLACED
        own |= set() if accept else {"accept"}
        lines = [line for line in self._common if line[0].lower() not in own]
        lines += [*_body_headers(verb, body, content_type, chunked=bool(chunked)), *headers]
        text = f"{verb} {path} HTTP/1.1\r\n" + "".join([f"{name}: {value}\r\n" for name, value in lines])
        head = field_bytes(text)
        sent = head if respell is None else respell(head)
        request = Request(
            verb,
            f"{self.address.scheme}://{self.address.authority}{path}",
            tuple(lines),
            body,
            sent + b"\r\n" + (chunked(body) if callable(chunked) else _chunks(body) if chunked else body),
            well_formed=_is_ordinary(path, text, head, body, len(lines)),
            exact=callable(chunked) or respell is not None,
            packets=packets,
        )
        exchange = Exchange(
            request,
            function=function,
            user=user,
            in_session=in_session,
            contract=contract,
            secret_registry=self.secret_registry,
            login=login,
            envelope_extra=self._envelope_extra,
        )
        return self._send_with_retries(exchange, fresh=fresh, withhold=withhold)

    def _send_with_retries(self, exchange: Exchange, *, fresh: bool, withhold: bool) -> Exchange:
        """Send a request, again after each pause that the target asks for, and return the last exchange."""
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
            self._perform_signed(exchange, fresh=fresh)
            with one_at_a_time(exchange):
                self.observe(exchange)
            if number == MAX_RESENDS or not self.throttle.pause(exchange.response, self.until):
                break
        return exchange

    def _perform_signed(self, exchange: Exchange, *, fresh: bool) -> None:
        """Sign a request if the profile says how, and send it; again if the scheme answers a challenge."""
        if self._auth is None:
            self._perform(exchange, fresh=fresh)
            return
        # Importing httpx takes long, and few targets need it.
        from conformance.protocol.signing import SignedRequest

        signed = SignedRequest(self._auth, exchange.request, self.secret_registry)
        request: Request | None = signed.request
        while request is not None:
            exchange.request, exchange.response, exchange.failure = request, None, None
            self._perform(exchange, fresh=fresh)
            request = signed.answered(exchange.response)

    def _check(self, target: str, body: bytes, *, raw: bool = False) -> None:
        """Raise UnownedTargetError if the request must not be sent."""
        if self.ownership is not None:
            self.ownership.check(target, body, raw=raw)

    def resend(self, exchange: Exchange, token: str | None) -> Exchange:
        """Send the bytes of an exchange again; a `token` replaces the value of the header `Token`."""
        request = exchange.request if token is None else _with_token(exchange.request, token)
        again = replace(exchange, request=request, response=None, failure=None, number=0)
        # After a reset of the target's data an identifier of the run may belong to another object.
        return self._send_with_retries(again, fresh=False, withhold=True)

    def send_bytes(
        self,
        data: bytes,
        *,
        function: str | None = None,
        user: str | None = None,
        first: bytes = b"",
        linger: float = READ_MALFORMED_SECONDS,
    ) -> tuple[Exchange, bytes]:
        """Send a malformed request on a connection of its own, and read until the target closes it.

        `first` is a well-formed request that is sent and answered first on the same connection. `linger` is the
        maximum number of seconds to read. Reading ends earlier when nothing more arrives (`SILENCE_FACTOR`). Return
        the exchange (with the first response, if there is one) and all bytes received.

        Raises:
            UnownedTargetError: the bytes must not be sent.
            UnsendableError: they cannot be sent on the way that the profile asks for.

        """
        self._check("", data, raw=True)
        if self._auth is not None:
            raise UnsendableError(
                "the profile's auth_hook signs requests, and malformed ones cannot be signed"
            )
        if self._channel is not None:
            raise self._channel.refuse("malformed or pipelined requests")
        for number in range(MAX_RESENDS + 1):
            exchange, received = self._send_bytes(data, first, linger, function=function, user=user)
            if number == MAX_RESENDS or not self.throttle.pause(exchange.response, self.until):
                break
        return exchange, received

    def _send_bytes(
        self, data: bytes, first: bytes, linger: float, *, function: str | None, user: str | None
    ) -> tuple[Exchange, bytes]:
        """Send the bytes once and return the exchange and all bytes received; see `send_bytes`."""
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
            envelope_extra=self._envelope_extra,
        )
        begun = time.perf_counter()
        received = b""
        try:
            with self._turn() as waited:
                deadline, begun = deadline + waited, begun + waited
                connection = Connection(self.address, self._tls, deadline=deadline)
                with _close_on_error(connection):
                    if first:
                        connection.send(first, deadline=deadline)
                        connection.read("POST", deadline=deadline)
                        if not connection.open:
                            # The target closes after each response, so it has no persistent connections.
                            connection = Connection(self.address, self._tls, deadline=deadline)
                    connection.send(data, deadline=deadline)
            try:
                received, closed = connection.read_all(
                    deadline=min(deadline, time.monotonic() + linger),
                    silence=lambda waited: max(MIN_SILENCE_SECONDS, SILENCE_FACTOR * waited),
                )
            finally:
                connection.close()
            if not received and not closed:
                raise WireError("timeout", "no answer, and the connection stays open")
            exchange.response = first_response(received, request.verb)
        except WireError as error:
            exchange.failure = error.failure
        self._number(exchange, begun)
        with one_at_a_time(exchange):
            self.observe(exchange)
        return exchange, received

    def head(self, verb: str, target: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """Return the head of a request for `send_bytes`, without the final empty line."""
        path = target if target.startswith("/") else self.address.path + target
        fields = [f"{name}: {value}" for name, value in (*self._common, *headers)]
        return field_bytes("\r\n".join([f"{verb} {path} HTTP/1.1", *fields])) + b"\r\n"

    def _deadline(self) -> float:
        """Return the deadline of a call that begins now; raise OutOfTimeError after the run's own deadline."""
        now = time.monotonic()
        if self.until is not None and now >= self.until:
            raise OutOfTimeError
        return now + self.timeout

    def _perform(self, exchange: Exchange, *, fresh: bool) -> None:
        """Send the request of an exchange and fill in its response or failure, its time and its number."""
        deadline = self._deadline()
        begun = time.perf_counter()
        if self._channel is not None:
            self._perform_by_library(self._channel, exchange, deadline, fresh=fresh)
            return
        again = False
        try:
            while True:
                reused = False
                try:
                    with self._turn() as waited:
                        deadline, begun = deadline + waited, begun + waited
                        connection = None if fresh or again else self._take_idle()
                        reused = connection is not None
                        if connection is None:
                            connection = Connection(self.address, self._tls, deadline=deadline)
                        with _close_on_error(connection):
                            _send_packets(connection, exchange.request, deadline)
                    with _close_on_error(connection):
                        exchange.response = connection.read(exchange.request.verb, deadline=deadline)
                    break
                except WireError as error:
                    if not (reused and error.failure.kind == "closed" and not error.received):
                        raise
                    again = True
        except WireError as error:
            exchange.failure = error.failure
        else:
            self._note_surplus(connection, exchange)
            # A target that refuses another verb may leave its body unread and take it for the next request. SEC-6
            # tests that; no other request may get that response.
            if fresh or (exchange.request.verb != "POST" and exchange.request.body):
                connection.close()
            elif connection.open:
                self._idle.append((connection, exchange))
        self._number(exchange, begun)

    def _perform_by_library(
        self, channel: LibraryChannel, exchange: Exchange, deadline: float, *, fresh: bool
    ) -> None:
        """Send the request of an exchange through the library, as `_perform` does over the wire module."""
        begun = time.perf_counter()
        try:
            with self._turn() as waited:
                begun += waited
                exchange.request, exchange.response = channel.perform(
                    exchange.request, deadline + waited, fresh=fresh
                )
        except WireError as error:
            exchange.failure = error.failure
        self._number(exchange, begun)

    def _take_idle(self) -> Connection | None:
        """Remove and return an idle connection that is still open, or None; close the stale ones."""
        while True:
            try:
                connection, last = self._idle.pop()
            except IndexError:
                return None
            if not connection.stale:
                return connection
            self._note_surplus(connection, last)
            connection.close()

    def _note_surplus(self, connection: Connection, exchange: Exchange) -> None:
        """Take note of bytes that followed a response; a 408 (Request Timeout) may be sent to an idle connection."""
        surplus, connection.surplus = connection.surplus, b""
        unasked = surplus.strip() and not _TIMED_OUT.match(surplus) and exchange.request.well_formed
        if unasked and len(self._surplus) < MAX_SURPLUS:
            self._surplus.append((exchange, surplus))

    def take_surplus(self) -> list[tuple[Exchange, bytes]]:
        """Return the exchanges after whose response more bytes arrived, each with them, and forget them."""
        found, self._surplus = self._surplus, []
        return found

    def _number(self, exchange: Exchange, begun: float) -> None:
        """Set the time that an exchange took, and its number in the order of completion."""
        exchange.seconds = time.perf_counter() - begun
        with self._lock:
            self.sent += 1
            exchange.number = self.sent

    @contextmanager
    def _turn(self) -> Iterator[float]:
        """Wait until a request may be sent, and yield the number of seconds waited."""
        asked = time.monotonic()
        self.throttle.wait()
        with self.turn():
            yield time.monotonic() - asked


@contextmanager
def _close_on_error(connection: Connection) -> Iterator[None]:
    """Close a connection on any error: a late response must not be taken for that of the next request."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _send_packets(connection: Connection, request: Request, deadline: float) -> None:
    """Send the bytes of a request, at once or in packets, until the target stops reading."""
    packets = [request.raw] if request.packets is None else request.packets(request.raw)
    for number, packet in enumerate(packets):
        if number:
            time.sleep(PACKET_PAUSE_SECONDS)
        if not connection.send(packet, deadline=deadline):
            break


def _chunks(body: bytes) -> bytes:
    """Return the body in the chunked transfer coding, in two chunks if it has at least two bytes."""
    cut = max(1, len(body) // 2)
    parts = [part for part in (body[:cut], body[cut:]) if part]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _is_ordinary(path: str, text: str, head: bytes, body: bytes, lines: int) -> bool:
    """Return whether a request is strictly HTTP/1.1 and of ordinary size (COD-2); `lines` is its number of headers."""
    return (
        len(head) <= MAX_ORDINARY_HEAD_BYTES
        and len(body) <= MAX_ORDINARY_BODY_BYTES
        and text.count("\n") == text.count("\r") == lines + 1
        and _ORDINARY_TARGET.fullmatch(path) is not None
    )


def _with_token(request: Request, token: str) -> Request:
    """Return a request with another value of the header `Token`."""
    head, gap, rest = request.raw.partition(b"\r\n\r\n")
    head = re.sub(rb"(?im)^(token): [^\r]*", lambda match: match.group(1) + b": " + field_bytes(token), head)
    headers = tuple((name, token if name.lower() == "token" else value) for name, value in request.headers)
    return replace(request, raw=head + gap + rest, headers=headers)


def _body_headers(
    verb: str, body: bytes, content_type: str | None, *, chunked: bool
) -> Iterator[tuple[str, str]]:
    """Yield the headers that describe the body of a request."""
    if content_type is not None:
        yield "Content-Type", content_type
    if chunked:
        yield "Transfer-Encoding", "chunked"
    elif body or verb not in ("GET", "HEAD"):
        yield "Content-Length", str(len(body))


def _auth_of(profile: Profile) -> httpx.Auth | None:
    """Return what signs the requests to the profile's target, if anything does."""
    hook = profile.target.auth_hook
    if hook is None:
        return None
    # Importing httpx takes long, and few targets need it.
    from conformance.protocol.signing import load_auth

    return load_auth(*hook)
