"""One exchange: the bytes that went out, the bytes that came back, and how long it took.

Everything that is judged, recorded or shown is read from an `Exchange`. Redaction lives here and nowhere
else: `SecretRegistry` knows the secrets by value, and `Exchange.record` is the only way into a file or onto a screen.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
import shlex
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html.entities import codepoint2name
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

from conformance.catalog.contract import Contract

__all__ = [
    "MASK",
    "TOO_DEEP",
    "Exchange",
    "Failure",
    "JsonText",
    "Request",
    "Response",
    "SecretRegistry",
    "field_bytes",
    "one_at_a_time",
    "read_json",
]

#: Of a larger response no more than so many bytes are kept beyond the conversation that it was an answer in.
_KEPT = 65_536
#: And no more than so many headers, of which few tell anything.
_MANY = 500

MASK = "***"
_MASK = MASK.encode()

#: Headers whose value is never shown, whoever made it: a token that only resembles a session still tells it.
_SECRET_HEADER = re.compile(r"token|session|secret|password|authorization|cookie|hmac", re.IGNORECASE)

#: Members that are masked in a login, where the session or the secret may lie elsewhere than expected.
_SECRET_MEMBER = re.compile(
    rb"session|token|ticket|jwt|secret|passw|passphrase|pwd|credential|hmac|signature", re.IGNORECASE
)

#: What a JSON text is made of, as far as masking needs it; a string that was cut counts as one.
_JSON_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent. `raw` is what went over the wire, `well_formed` says whether COD-2 and ENV-1 apply.

    A request is well-formed when it is HTTP/1.1 by the letter and of ordinary size: headers to 8 kB, a body
    to 1 MB (COD-2).
    """

    verb: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = b""
    well_formed: bool = True
    #: Whether only these very bytes are the request: no line of curl repeats it.
    exact: bool = False

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case, or None."""
        return _header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: `body` as its Content-Encoding decodes, `raw` as it came over the wire.

    `length` is how long the body was, where only its beginning was kept, and `headers_in_all` how many headers there
    were, where only the first were.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = b""
    version: str = "HTTP/1.1"
    length: int | None = None
    headers_in_all: int | None = None

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case, or None."""
        return _header(self.headers, name)

    def values(self, name: str) -> list[str]:
        """Return all values of a header, whatever its case."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer.

    `kind` is one of "unreachable" (no connection), "closed" (the connection ended before an answer did),
    "timeout" (no whole answer before the deadline), "garbled" (what came is not HTTP), "oversize" (the body
    passed the cap of the client), "withheld" (the request was not sent, see `conformance.protocol.ownership`).
    """

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class JsonText:
    """A body read as one JSON text by RFC 8259: its `value`, or the `error` that says why it is none."""

    value: Any = None
    error: str | None = None


class _NotJsonError(ValueError):
    """A body is not one JSON text; the message says why."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                told = name if len(name) <= 80 else f"{name[:79]}…"
                raise _NotJsonError(f"member name {told!r} appears twice")
            seen.add(name)
    return members


def _constant(text: str) -> Any:
    raise _NotJsonError(f"{text} is not JSON")


def _long_int(text: str) -> float | int:
    # Python refuses to read integers past 4,300 digits; JSON does not.
    return int(text) if len(text) < 4000 else float(text)


#: JSON of more levels is not read (RFC 8259, section 9), so that whatever walks through an answer comes to its end: the
#: interpreter's own limit would stop a walk sooner or later, by how deep in the stack it began, and jsonschema-rs
#: takes no more than 255.
_LEVELS = 250
sys.setrecursionlimit(max(sys.getrecursionlimit(), 20 * _LEVELS))
TOO_DEEP = "nested too deep to read"

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = [1 if byte in b"[{" else -1 for byte in range(256)]


def _too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= _LEVELS:
        return False
    brackets = _STRING.sub(b"", body).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > _LEVELS


_FAST = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)
_SLOW = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_int=_long_int)


def read_json(body: bytes) -> JsonText:
    """Read bytes as exactly one JSON text (HTTP-4, RFC 8259): strict UTF-8, no byte-order mark, no NaN or
    Infinity, no member name twice, nothing but white space around it.
    """
    if not body:
        return JsonText(error="the body is empty")
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return JsonText(error="the body begins with a byte-order mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return JsonText(error=f"the body is not UTF-8: byte {body[error.start]:#04x} at offset {error.start}")
    if _too_deep(body):
        return JsonText(error=TOO_DEEP)
    try:
        try:
            return JsonText(_FAST.decode(text))
        except (_NotJsonError, json.JSONDecodeError):
            raise
        except ValueError:
            return JsonText(_SLOW.decode(text))
    except json.JSONDecodeError as error:
        return JsonText(error=f"{error.msg} at character {error.pos}")
    except _NotJsonError as error:
        return JsonText(error=str(error))
    except RecursionError:
        return JsonText(error=TOO_DEEP)


class SecretRegistry:
    """The secrets of a run, by value, so that whatever quotes one can be masked.

    Passwords, keys and sessions in use are masked in every form in which a server or a library may quote
    them. Of the sessions only the latest `keep` are looked for: a run may open thousands.
    """

    def __init__(self, keep: int = 48) -> None:
        self._lock = threading.Lock()
        self._forms: OrderedDict[str, tuple[_Form, ...]] = OrderedDict()
        self._lasting: set[str] = set()
        self._keep = keep
        self._sessions: OrderedDict[str, str | None] = OrderedDict()
        self._passwords: OrderedDict[str, None] = OrderedDict()
        self._search = _Search()
        self.members: frozenset[bytes] = frozenset()
        #: Grows with every change of the passwords and sessions that SEC-3 looks for.
        self.changes = 0

    def add(self, secret: str, *, lasting: bool = True) -> None:
        """Mask this text from now on, wherever it appears and however it is written."""
        if len(secret) < 3 or secret in self._lasting:
            return
        with self._lock:
            if lasting:
                self._lasting.add(secret)
            if secret in self._forms:
                self._forms.move_to_end(secret)
                return
            self._forms[secret] = forms = _forms(secret)
            passing = [name for name in self._forms if name not in self._lasting]
            gone = [self._forms.pop(name) for name in passing[: max(0, len(passing) - self._keep)]]
            self._search = self._search.changed(forms, gone)

    def member(self, name: str) -> None:
        """Mask whatever stands under this member name in a login, both ways, before its value is known."""
        with self._lock:
            self.members |= {name.lower().encode("utf-8", "surrogatepass")}

    def password(self, secret: str) -> None:
        """Register a password: it is masked, and SEC-3 looks for it in every response."""
        self.add(secret)
        with self._lock:
            self.changes += secret not in self._passwords
            self._passwords[secret] = None
            while len(self._passwords) > 64:
                self._passwords.popitem(last=False)

    def session(self, identifier: str, user: str | None, *, lasting: bool = False) -> None:
        """Register a session identifier and the user it belongs to."""
        self.add(identifier, lasting=lasting)
        with self._lock:
            self.changes += identifier not in self._sessions or self._sessions[identifier] != user
            self._sessions[identifier] = user
            while len(self._sessions) > self._keep:
                self._sessions.popitem(last=False)

    def passwords(self) -> list[str]:
        """Return the passwords that a response must not repeat (SEC-3)."""
        return list(self._passwords)

    def sessions(self) -> dict[str, str | None]:
        """Return the latest sessions, each with the user it belongs to (SEC-3)."""
        return dict(self._sessions)

    def knows(self, secret: str) -> bool:
        """Say whether this text is masked already."""
        return secret in self._forms

    def search(self) -> _Search:
        """Return what finds the secrets there are by now."""
        return self._search

    def mask_bytes(self, data: bytes) -> bytes:
        """Return the bytes with every known secret masked, in whichever form it stands."""
        return _masked(data, self.search().found(data))

    def mask(self, text: str) -> str:
        """Return the text with every known secret masked."""
        encoded = text.encode("utf-8", "surrogatepass")
        masked = self.mask_bytes(encoded)
        # A secret that is half a surrogate pair leaves bytes behind that are no text.
        return text if masked is encoded else masked.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Form:
    """One way in which a secret may be written: as these very bytes, or by a pattern around them."""

    text: bytes
    pattern: bytes | None = None
    longest: int = 0
    parts: tuple[bytes, ...] = ()

    def stands_in(self, data: bytes) -> bool:
        if self.pattern is None:
            return True
        # Few patterns are ever needed, so each is compiled (and kept by `re`) when all its bytes are met.
        return all(part in data for part in self.parts) and re.search(self.pattern, data) is not None

    def replace(self, data: bytes) -> bytes:
        if self.pattern is not None:
            return re.sub(self.pattern, _MASK, data)
        return data.replace(self.text, _MASK)


#: Most forms of a secret are of these bytes alone and long; they can stand only where a run of them does.
_SOLID = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-+/=%\\")
_GAPS = bytes(byte if byte in _SOLID else 32 for byte in range(256))
#: A run is looked up every so many bytes, by so many bytes; a form this long or longer is met by one of them.
_STEP = 6
_LEAST = 2 * _STEP - 1


def _windows(form: _Form) -> tuple[bytes, ...]:
    """Return the pieces of a form of which one stands wherever the form does; none if it must be searched for."""
    text = form.text
    if len(text) < _LEAST or not _SOLID.issuperset(text):
        return ()
    return tuple(text[start : start + _STEP] for start in range(_STEP))


class _Search:
    """Finds forms of secrets in bytes, for every exchange, at a cost that hardly grows with their number."""

    def __init__(self) -> None:
        self._windows: dict[bytes, tuple[_Form, ...]] = {}
        self._others: tuple[_Form, ...] = ()
        self.longest = 1

    def changed(self, new: Iterable[_Form], gone: Iterable[Iterable[_Form]]) -> _Search:
        """Return a search for other forms, too, and for some no more; this one goes on as it is."""
        after = _Search()
        after.longest = self.longest
        index = after._windows = dict(self._windows)
        after._others = self._others
        for form in (form for forms in gone for form in forms):
            windows = _windows(form)
            for window in windows:
                index[window] = tuple(one for one in index.get(window, ()) if one != form)
                if not index[window]:
                    del index[window]
            if not windows:
                after._others = tuple(one for one in after._others if one != form)
        for form in new:
            after.longest = max(after.longest, form.longest)
            windows = _windows(form)
            for window in windows:
                index[window] = (*index.get(window, ()), form)
            if not windows:
                after._others = (*after._others, form)
        return after

    def found(self, data: bytes) -> list[_Form]:
        """Return the forms that the bytes hold, the longest first."""
        found = [form for form in self._others if form.text in data]
        index = self._windows
        if index:
            for run in data.translate(_GAPS).split():
                # Where a run says the same again and again, its forms are looked for once.
                met: set[bytes] = set()
                for start in range(0, len(run) - _STEP + 1, _STEP):
                    window = run[start : start + _STEP]
                    if window in index and window not in met:
                        met.add(window)
                        found += [form for form in index[window] if form.text in run]
        if found:
            found = [form for form in dict.fromkeys(found) if form.stands_in(data)]
            found.sort(key=lambda form: form.longest, reverse=True)
        return found


def _masked(data: bytes, forms: Iterable[_Form]) -> bytes:
    for form in forms:
        data = form.replace(data)
    return data


def _forms(secret: str) -> tuple[_Form, ...]:
    """Return the ways to write a secret: as it is, JSON-escaped, URL-encoded, in HTML, hex, base64."""
    plain = secret.encode("utf-8", "surrogatepass")
    texts: set[bytes] = set()
    units = secret.encode("utf-16-be", "surrogatepass").hex()
    escapes = [units[i : i + 4] for i in range(0, len(units), 4)]
    for backslash in ("\\u", "\\\\u"):
        texts.add("".join(f"{backslash}{unit}" for unit in escapes).encode())
        texts.add("".join(f"{backslash}{unit.upper()}" for unit in escapes).encode())
    texts.add("".join(f"%{byte:02X}" for byte in plain).encode())
    texts.add("".join(f"%{byte:02x}" for byte in plain).encode())
    texts.add(plain.hex().encode())
    texts.add(plain.hex().upper().encode())
    if len(plain) >= 6:
        for inner in _base64_forms(plain):
            texts.add(inner)
            texts.add(inner.replace(b"+", b"-").replace(b"/", b"_"))
            texts.add(inner.replace(b"/", b"\\/"))
            texts.add(inner.replace(b"+", b"%2B").replace(b"/", b"%2F"))
            texts.add(inner.replace(b"+", b"%2b").replace(b"/", b"%2f"))
    solid = _SIMPLE.findall(secret)
    if solid == [secret]:
        texts.add(plain)
        spelled: list[_Form] = []
    else:
        pattern = b"".join(_spellings(part) for part in _PARTS.findall(secret))
        parts = sorted((part.encode() for part in solid), key=len, reverse=True)
        spelled = [_Form(parts[0] if parts else b"", pattern, 16 * len(plain), tuple(parts[1:]))]
    return (*(_Form(text, None, len(text)) for text in texts), *spelled)


def _base64_forms(plain: bytes) -> Iterator[bytes]:
    """Yield what is seen of the bytes in base64: within a longer text, at each alignment, another text."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + plain)
        # The first and the last characters also hold bits of what stands around.
        tail = (0, 3, 2)[(before + len(plain)) % 3]
        inner = coded[(0, 2, 3)[before] : len(coded) - tail]
        if len(inner) >= 6:
            yield inner


#: Characters that every way of writing leaves as they are, unless it writes all of them otherwise.
_SIMPLE = re.compile(r"[A-Za-z0-9]+")
_PARTS = re.compile(r"[A-Za-z0-9]+|\\+|(?s:.)")


def _spellings(part: str) -> bytes:
    """Return a pattern for the ways in which a part of a secret may be written among others."""
    if _SIMPLE.fullmatch(part):
        return part.encode()
    if part.startswith("\\"):
        count = len(part)
        coded = rb"(?:\\{1,8}(?i:u005c)|%%(?:25)?5[Cc]|&#92;|&#(?i:x5c);){%d}" % count
        return rb"(?:\\{%d,%d}|%s)" % (count, 8 * count, coded)
    point = ord(part)
    coded = part.encode("utf-8", "surrogatepass")
    units = part.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\{{1,8}}u{units[i : i + 4]}" for i in range(0, len(units), 4))
    ways = [
        (rb"\\{0,8}" if point < 128 else b"") + re.escape(coded),
        b"(?i:%s)" % escaped.encode(),
        b"(?i:%s)" % b"".join(b"%%(?:25)?%02x" % byte for byte in coded),
        b"&#0{0,4}%d;" % point,
        b"(?i:&#x0{0,4}%x;)" % point,
    ]
    if point == 32:
        ways.append(rb"\+")
    if part in "\b\f\n\r\t":
        ways.append(rb"\\{1,8}" + "bfnrt"["\b\f\n\r\t".index(part)].encode())
    if point < 256:
        ways.append(rb"\\{1,8}(?i:x%02x)" % point)
    if 128 <= point < 256:
        ways.append(re.escape(bytes([point])))
        ways.append(b"%%(?i:%02x)" % point)
    name = "apos" if part == "'" else codepoint2name.get(point)
    if name is not None:
        ways.append(f"&{name};".encode())
    return b"(?:%s)" % b"|".join(ways)


#: What somebody typed is looked for by so many of its first characters: no secret is longer, only data that is to break
#: something is, and each form of it takes a multiple of its size.
_TYPED = 4_096


@lru_cache(maxsize=64)
def _search_for(secret: str) -> _Search:
    return _Search().changed(_forms(secret), ())


@lru_cache(maxsize=512)
def _is_secret_header(name: str) -> bool:
    return _SECRET_HEADER.search(name) is not None


class _Large:
    """The exchange with a large response whose JSON was read last; what it is judged by waits for its turn.

    Read, decoded and masked, one of them takes some hundred megabytes.
    """

    exchange: Exchange | None = None

    def __init__(self) -> None:
        self.turn = threading.RLock()

    def take(self, exchange: Exchange) -> None:
        """Keep what was read of this one instead of the one before."""
        if self.exchange is not None and self.exchange is not exchange:
            self.exchange._json = None
        self.exchange = exchange


_large = _Large()


def one_at_a_time(exchange: Exchange) -> contextlib.AbstractContextManager[object]:
    """Return what lets exchanges with large responses be dealt with one after the other, and others at once."""
    return _large.turn if exchange.large else contextlib.nullcontext()


@dataclass
class Exchange:
    """A request and what became of it: a response, or a failure that says why there is none."""

    request: Request
    response: Response | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    number: int = 0
    function: str | None = None
    user: str | None = None
    in_session: bool = False
    contract: Contract | None = None
    secret_registry: SecretRegistry | None = None
    login: bool = False
    envelope_extra: frozenset[str] = field(default_factory=frozenset)
    _json: JsonText | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def status(self) -> int | None:
        """The status of the response, or None when there is none."""
        return self.response.status if self.response else None

    @property
    def large(self) -> bool:
        """Whether the response is so large that few like it should be held at once."""
        return self.response is not None and len(self.response.body) > 16 * _KEPT

    @property
    def json(self) -> JsonText:
        """The response's body read as JSON; of large ones only the last one is kept."""
        known = self._json
        if known is None:
            with one_at_a_time(self):
                known = (
                    JsonText(error="no response") if self.response is None else read_json(self.response.body)
                )
                if self.large:
                    _large.take(self)
                self._json = known
        return known

    @property
    def coding(self) -> tuple[str, bool] | None:
        """The content coding (RFC 9110, section 8.4) of a body that is not JSON, and whether the request asked for it.

        None where the body is JSON after decoding, or has no coding.
        """
        if self.response is None or self.json.error is None:
            return None
        names = ",".join(self.response.values("Content-Encoding")).lower().split(",")
        coding = ", ".join(name for name in map(str.strip, names) if name not in ("", "identity"))
        if not coding:
            return None
        asked = ",".join(value for name, value in self.request.headers if name.lower() == "accept-encoding")
        accepted = {part.partition(";")[0].strip().lower() for part in asked.split(",")}
        return coding, accepted >= set(coding.split(", ")) or "*" in accepted

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The response's envelope: the JSON object of the body, or None when it is none."""
        value = self.json.value
        return value if isinstance(value, dict) else None

    @property
    def data(self) -> Any:
        """The member `data` of the envelope, or None."""
        return (self.envelope or {}).get("data")

    @property
    def message(self) -> Any:
        """The member `errMsg` of the envelope, or None."""
        return (self.envelope or {}).get("errMsg")

    @property
    def is_post(self) -> bool:
        """Whether it is a call of the protocol: a well-formed POST of ordinary size (COD-2)."""
        return self.request.verb == "POST" and self.request.well_formed

    @property
    def succeeded(self) -> bool:
        """Whether the target says that the function ran: a 2xx status and no `isError: true`."""
        return (
            self.response is not None
            and 200 <= self.response.status < 300
            and (self.envelope or {}).get("isError") is not True
        )

    @property
    def withheld(self) -> bool:
        """Whether the request was not sent, since it could act on an object that the run did not make."""
        return self.failure is not None and self.failure.kind == "withheld"

    def brief(self) -> Exchange:
        """Return what can be kept of the exchange: the same one, unless the response is large, then its beginning."""
        response = self.response
        if response is None:
            return self
        many = len(response.headers) > _MANY
        if not many and len(response.body) + len(response.raw) <= 4 * _KEPT:
            return self
        kept = replace(response, body=response.body[:_KEPT], raw=b"", length=len(response.body))
        if many:
            # Each takes some hundred bytes, whatever it is long.
            kept = replace(kept, headers=response.headers[:_MANY], headers_in_all=len(response.headers))
        return replace(self, response=kept)

    def summary(self) -> str:
        """Say in a few words what came back."""
        if self.failure:
            told = "not sent" if self.withheld else "no answer"
            return f"{told}: {self.failure.detail}"
        assert self.response is not None
        message = self.message
        told = f", errMsg {message!r}" if isinstance(message, str) and message else ""
        for secret in self._typed():
            told = told.replace(secret, MASK)
        return f"status {self.response.status}{told[:160]}"

    def _typed(self) -> list[str]:
        """Return what a login gave as its secret, right or wrong: its answer may repeat it."""
        if not self.login:
            return []
        members = self.secret_registry.members if self.secret_registry else frozenset()
        try:
            data = json.loads(self.request.body)["data"]
            given = data.items()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return []
        return [
            value
            for name, value in given
            if isinstance(value, str)
            and len(value) >= 6
            and (
                name.lower().encode("utf-8", "surrogatepass") in members
                or _SECRET_MEMBER.search(name.encode("utf-8", "surrogatepass"))
            )
        ][:4]

    def record(self, *, limit: int = 16_384) -> dict[str, Any]:
        """Return the exchange as it may be written down: secrets masked, bodies cut after `limit` bytes."""
        secret_registry = self.secret_registry or SecretRegistry()
        request, response, failure = self.request, self.response, self.failure
        searches = [secret_registry.search()]
        token = request.header("Token")
        if token and len(token) >= 6 and not secret_registry.knows(token):
            searches.append(_search_for(token[:_TYPED]))
        searches += [
            _search_for(secret[:_TYPED]) for secret in self._typed() if not secret_registry.knows(secret)
        ]
        # Of a body only so much is looked at that a secret which begins before the limit is seen whole.
        longest = max(search.longest for search in searches)
        window = limit + longest
        url = _text_bytes(request.url)
        sent, came = _heads(request.headers), _heads(response.headers) if response else []
        everything = [
            url,
            # What stands in a secret header is never shown, so it is not looked at either.
            *(value for name, value in (*sent, *came) if not _is_secret_header(name)),
            request.body[:window],
            response.body[:window] if response else b"",
            _text_bytes(failure.detail) if failure else b"",
        ]
        whole = b"\n".join(everything)
        forms = [form for search in searches for form in search.found(whole)]

        def show(data: bytes, length: int | None = None) -> bytes:
            cut = len(data) > window
            text = data[:window]
            if forms:
                text = _masked(text, forms)
                if cut:
                    # The last bytes may be the beginning of a secret.
                    text = text[:-longest]
            cut = cut or len(text) > limit
            text = text[:limit]
            if self.login:
                text = _mask_members(text, secret_registry.members)
            return text + f"… ({length or len(data)} bytes in all)".encode() if cut else text

        def heads(
            headers: list[tuple[str, bytes]], room: float = math.inf, in_all: int | None = None
        ) -> dict[str, str]:
            out: dict[str, list[str]] = {}
            told = 0
            for name, value in headers[:_MANY]:
                shown = (
                    (MASK if value else "")
                    if _is_secret_header(name)
                    else _readable(_masked(value, forms) if forms else value)
                )
                room -= len(name) + len(shown)
                if room < 0:
                    break
                out.setdefault(name, []).append(shown)
                told += 1
            in_all = in_all or len(headers)
            if told < in_all:
                out["…"] = [f"{in_all - told} of {in_all} headers are not shown"]
            return {name: ", ".join(values) for name, values in out.items()}

        body = show(request.body)
        recorded = {
            "verb": request.verb,
            "url": _readable(_masked(url, forms)),
            "headers": heads(sent),
            "body": _readable(body),
        }
        answer: dict[str, Any] | None = None
        if response is not None:
            answer = {
                "status": response.status,
                "headers": heads(came, limit, response.headers_in_all),
                "body": _readable(show(response.body, response.length)),
                "seconds": round(self.seconds, 6),
            }
        told = None
        if failure is not None:
            told = f"{failure.kind}: {_readable(_masked(_text_bytes(failure.detail), forms))}"
        return {
            "number": self.number,
            "function": self.function,
            "user": self.user,
            "request": recorded,
            "response": answer,
            "failure": told,
            "curl": _curl(recorded, body)
            if not request.exact
            else _netcat(request.url, show(_hide_fields(request.raw))),
        }


def _text_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _heads(headers: Iterable[tuple[str, str]]) -> list[tuple[str, bytes]]:
    """Return headers with their values as the bytes that went or came over the wire."""
    return [(name, field_bytes(value)) for name, value in headers]


def field_bytes(text: str) -> bytes:
    """Return the bytes of a piece of a head: Latin-1, and UTF-8 where that cannot be."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _readable(data: bytes) -> str:
    """Return bytes as text: UTF-8 where they are, else each odd byte as \\xNN."""
    return data.decode("utf-8", "backslashreplace")


def _mask_members(data: bytes, names: frozenset[bytes]) -> bytes:
    """Mask the values of secret members in a JSON text, at any depth, whether or not the text is whole."""
    out: list[bytes] = []
    end = 0
    #: For each open bracket, whether all within is secret.
    hidden = [False]
    secret = False
    last: re.Match[bytes] | None = None
    for piece in _JSON_PIECE.finditer(data):
        text = piece.group()
        mark = text[:1]
        if mark == b":":
            name = last.group()[1:-1] if last is not None else b""
            if b"\\" in name:
                with contextlib.suppress(ValueError):
                    name = str(json.loads(b'"%s"' % name)).encode("utf-8", "surrogatepass")
            secret = hidden[-1] or name.lower() in names or _SECRET_MEMBER.search(name) is not None
        elif mark in b"{[":
            hidden.append(secret or hidden[-1])
            secret = hidden[-1] and mark == b"["
        elif mark in b"}]":
            if len(hidden) > 1:
                hidden.pop()
            secret = False
        elif mark == b",":
            secret = False
        elif (secret or hidden[-1]) and text not in (b"true", b"false", b"null", b'""'):
            # Inside a secret object names stay readable; they are told from values by the colon that follows.
            follows = data[piece.end() : piece.end() + 64].lstrip()[:1]
            if follows != b":":
                out += [data[end : piece.start()], b'"***"']
                end = piece.end()
        last = piece
    return b"".join([*out, data[end:]]) if out else data


#: Headers that curl sends of its own accord.
_CURLS_OWN = frozenset({"host", "content-length", "connection", "accept", "user-agent"})


def _curl(request: Mapping[str, Any], body: bytes) -> str:
    """Return a curl line that repeats a recorded (masked) request."""
    names = {name.lower() for name in request["headers"]}
    verb, url = request["verb"], request["url"]
    has_body = bool(body) or "content-length" in names or "transfer-encoding" in names
    parts = ["curl", "-sS"]
    if verb == "HEAD" and not has_body:
        parts.append("--head")
    elif verb == "HEAD":
        # With a body curl waits for one in return, in vain.
        parts += ["-X", "HEAD", "--max-time", "5"]
    elif verb != ("POST" if has_body else "GET"):
        parts += ["-X", shlex.quote(verb)]
    path = url.partition("://")[2]
    if "/." in path or "//" in path or "/%2" in path:
        parts.append("--path-as-is")
    if any(mark in path for mark in "[]{}"):
        parts.append("--globoff")
    parts.append(shlex.quote(url))
    for name, value in request["headers"].items():
        if name.lower() not in _CURLS_OWN:
            # curl drops a header that has a name and no value unless it ends with a semicolon.
            parts += ["-H", shlex.quote(f"{name}: {value}" if value else f"{name};")]
    if not has_body:
        return " ".join(parts)
    if "content-type" not in names:
        parts += ["-H", "'Content-Type:'"]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # No command line holds such bytes.
        return f"printf {_octal(body)} | {' '.join([*parts, '--data-binary', '@-'])}"
    return " ".join([*parts, "--data-raw", shlex.quote(text)])


#: Header fields whose values are secrets, in the bytes of a request.
_SECRET_FIELDS = re.compile(
    rb"(?im)^(token|authorization|proxy-authorization|cookie|x-coursio-hmac)[ \t]*:[^\r\n]*"
)


def _hide_fields(raw: bytes) -> bytes:
    return _SECRET_FIELDS.sub(lambda match: match[1] + b": ***", raw)


def _netcat(url: str, raw: bytes) -> str:
    """Return a line that sends the (masked) bytes of a request as they are, and shows what comes back."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        address = shlex.quote(f"{f'[{host}]' if ':' in host else host}:{parts.port or 443}")
        return f"printf {_octal(raw)} | openssl s_client -quiet -connect {address}"
    return f"printf {_octal(raw)} | nc {shlex.quote(host)} {parts.port or 80}"


def _octal(data: bytes) -> str:
    """Return the bytes as printf writes them, quoted for the shell."""
    plain = frozenset(range(32, 127)) - frozenset(b"%'\\")
    return (
        "'"
        + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in data).replace("\\045", "%%")
        + "'"
    )


def _header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    wanted = name.lower()
    for key, value in headers:
        if key.lower() == wanted:
            return value
    return None
