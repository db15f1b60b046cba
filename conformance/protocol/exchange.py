"""One exchange: the bytes that went out, the bytes that came back, and how long it took.

Everything that is judged, recorded or shown is read from an `Exchange`. Redaction lives here and nowhere
else: `Vault` knows the secrets by value, and `Exchange.record` is the only way into a file or onto a screen.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

__all__ = [
    "MASK",
    "Contract",
    "Exchange",
    "Failure",
    "JsonText",
    "Request",
    "Response",
    "Vault",
    "read_json",
]

MASK = "***"

#: Headers whose value is never shown, whoever made it: a token that only resembles a session still tells it.
_SECRET_HEADERS = frozenset(
    {"token", "authorization", "proxy-authorization", "cookie", "set-cookie", "x-coursio-hmac"}
)

#: Members whose text is masked in a reply to a login, where the session may lie elsewhere than expected.
_SECRET_MEMBER = re.compile(
    rb'("(?:[^"\\]*(?:session|token|ticket|jwt|secret|password|credential|hmac)[^"\\]*)"\s*:\s*)"((?:[^"\\]|\\.)*)"',
    re.IGNORECASE,
)


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

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case, or None."""
        return _header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: `body` as its Content-Encoding decodes, `raw` as it came over the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = b""
    version: str = "HTTP/1.1"

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
    passed the cap of the client).
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
                raise _NotJsonError(f"member name {name!r} appears twice")
            seen.add(name)
    return members


def _constant(text: str) -> Any:
    raise _NotJsonError(f"{text} is not JSON")


def _long_int(text: str) -> float | int:
    # Python refuses to read integers past 4,300 digits; JSON does not.
    return int(text) if len(text) < 4000 else float(text)


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
        return JsonText(error="nested too deep to read")


@dataclass(frozen=True, slots=True)
class Contract:
    """What the catalogue promises of one function's answer, as far as a pure rule needs it.

    `result_types` are the JSON types that `data` of a success may have (None: any; ENV-7); `mismatch` says in
    one line where `data` departs from the result schema (ENV-10), or None; `names` yields (JSON pointer,
    member name) for each member of `data` that is not a key of a declared map (NAM-1).
    """

    function: str
    result_types: frozenset[str] | None = frozenset({"object"})
    mismatch: Callable[[Any], str | None] | None = None
    names: Callable[[Any], Iterator[tuple[str, str]]] | None = None


class Vault:
    """The secrets of a run, by value, so that whatever quotes one can be masked.

    Passwords, keys and sessions in use are masked in every form in which a server or a library may quote
    them. Of the sessions only the latest `keep` are looked for: a run may open thousands.
    """

    def __init__(self, keep: int = 48) -> None:
        self._lock = threading.Lock()
        self._forms: OrderedDict[str, tuple[bytes, ...]] = OrderedDict()
        self._lasting: set[str] = set()
        self._keep = keep
        self._sessions: OrderedDict[str, str | None] = OrderedDict()
        self._passwords: OrderedDict[str, None] = OrderedDict()
        self._patterns: tuple[bytes, ...] | None = None

    def add(self, secret: str, *, lasting: bool = True) -> None:
        """Mask this text from now on, wherever it appears and however it is written."""
        if len(secret) < 3 or secret in self._lasting:
            return
        with self._lock:
            if lasting:
                self._lasting.add(secret)
            self._forms[secret] = _forms(secret)
            self._forms.move_to_end(secret)
            passing = [name for name in self._forms if name not in self._lasting]
            for name in passing[: max(0, len(passing) - self._keep)]:
                del self._forms[name]
            self._patterns = None

    def password(self, secret: str) -> None:
        """Register a password: it is masked, and SEC-3 looks for it in every response."""
        self.add(secret)
        with self._lock:
            self._passwords[secret] = None
            while len(self._passwords) > 64:
                self._passwords.popitem(last=False)

    def session(self, identifier: str, user: str | None, *, lasting: bool = False) -> None:
        """Register a session identifier and the user it belongs to."""
        self.add(identifier, lasting=lasting)
        with self._lock:
            self._sessions[identifier] = user
            while len(self._sessions) > self._keep:
                self._sessions.popitem(last=False)

    def passwords(self) -> list[str]:
        """Return the passwords that a response must not repeat (SEC-3)."""
        return list(self._passwords)

    def sessions(self) -> dict[str, str | None]:
        """Return the latest sessions, each with the user it belongs to (SEC-3)."""
        return dict(self._sessions)

    def mask_bytes(self, data: bytes) -> bytes:
        """Return the bytes with every known secret masked, in whichever form it stands."""
        patterns = self._patterns
        if patterns is None:
            with self._lock:
                every = {form for forms in self._forms.values() for form in forms}
                patterns = self._patterns = tuple(sorted(every, key=len, reverse=True))
        for pattern in patterns:
            if pattern in data:
                data = data.replace(pattern, MASK.encode())
        return data

    def mask(self, text: str) -> str:
        """Return the text with every known secret masked."""
        encoded = text.encode("utf-8", "surrogatepass")
        masked = self.mask_bytes(encoded)
        return text if masked is encoded else masked.decode("utf-8", "surrogatepass")


def _forms(secret: str) -> tuple[bytes, ...]:
    """Return the ways in which a secret may be written: as it is, JSON-escaped, URL-encoded, in HTML, hex, base64."""
    plain = secret.encode("utf-8", "surrogatepass")
    forms: set[bytes] = {plain}
    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        forms.add(escaped.encode("utf-8", "surrogatepass"))
        forms.add(escaped.replace("/", "\\/").encode("utf-8", "surrogatepass"))
        twice = json.dumps(escaped, ensure_ascii=ascii_only)[1:-1]
        forms.add(twice.encode("utf-8", "surrogatepass"))
    units = plain.decode("utf-8", "surrogatepass").encode("utf-16-be", "surrogatepass").hex()
    escapes = [units[i : i + 4] for i in range(0, len(units), 4)]
    forms.add("".join(f"\\u{unit}" for unit in escapes).encode())
    forms.add("".join(f"\\u{unit.upper()}" for unit in escapes).encode())
    for encoded in (quote(plain, safe=""), quote_plus(plain), quote(plain)):
        forms.add(encoded.encode())
        forms.add(re.sub("%[0-9A-F]{2}", lambda m: m.group().lower(), encoded).encode())
    forms.add("".join(f"%{byte:02X}" for byte in plain).encode())
    forms.add("".join(f"%{byte:02x}" for byte in plain).encode())
    forms.add(html.escape(secret).encode("utf-8", "surrogatepass"))
    forms.add(plain.hex().encode())
    forms.add(plain.hex().upper().encode())
    if len(plain) >= 6:
        # Inside a longer text (`user:secret`) the same bytes look different at each of three alignments.
        for before in range(3):
            padded = base64.b64encode(b"\0" * before + plain)
            start = (0, 2, 3)[before]
            end = (
                len(padded) - (0, 2, 3)[(3 - (before + len(plain)) % 3) % 3]
                if before or len(plain) % 3
                else None
            )
            inner = padded[start:end].rstrip(b"=")
            if len(inner) >= 6:
                forms.add(inner)
                forms.add(inner.replace(b"+", b"-").replace(b"/", b"_"))
    return tuple(form for form in forms if len(form) >= 3)


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
    vault: Vault | None = None
    login: bool = False
    envelope_extra: frozenset[str] = field(default_factory=frozenset)

    @property
    def status(self) -> int | None:
        """The status of the response, or None when there is none."""
        return self.response.status if self.response else None

    @cached_property
    def json(self) -> JsonText:
        """The response's body read as JSON."""
        return read_json(self.response.body) if self.response else JsonText(error="no response")

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

    def summary(self) -> str:
        """Say in a few words what came back."""
        if self.failure:
            return f"no answer: {self.failure.detail}"
        assert self.response is not None
        message = self.message
        told = f", errMsg {message!r}" if isinstance(message, str) and message else ""
        return f"status {self.response.status}{told[:160]}"

    def record(self, *, limit: int = 16_384) -> dict[str, Any]:
        """Return the exchange as it may be written down: secrets masked, bodies cut after `limit` bytes."""
        vault = self.vault or Vault()
        extra = _own_token(self.request)

        def mask(data: bytes) -> bytes:
            data = vault.mask_bytes(data)
            for token in extra:
                data = data.replace(token, MASK.encode())
            return data

        def show(data: bytes) -> str:
            masked = mask(data)
            if self.login:
                masked = _SECRET_MEMBER.sub(rb'\1"***"', masked)
            if len(masked) > limit:
                cut = masked[:limit]
                return _readable(cut) + f"… ({len(data)} bytes in all)"
            return _readable(masked)

        def heads(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
            out: dict[str, str] = {}
            for name, value in headers:
                shown = (
                    MASK
                    if name.lower() in _SECRET_HEADERS
                    else _readable(mask(value.encode("latin-1", "replace")))
                )
                out[name] = f"{out[name]}, {shown}" if name in out else shown
            return out

        url = vault.mask(self.request.url)
        request = {
            "verb": self.request.verb,
            "url": url,
            "headers": heads(self.request.headers),
            "body": show(self.request.body),
        }
        response: dict[str, Any] | None = None
        if self.response is not None:
            response = {
                "status": self.response.status,
                "headers": heads(self.response.headers),
                "body": show(self.response.body),
                "seconds": round(self.seconds, 6),
            }
        return {
            "number": self.number,
            "function": self.function,
            "user": self.user,
            "request": request,
            "response": response,
            "failure": None
            if self.failure is None
            else f"{self.failure.kind}: {vault.mask(self.failure.detail)}",
            "curl": curl(request),
        }


def _own_token(request: Request) -> list[bytes]:
    token = request.header("Token")
    return [token.encode("latin-1", "replace")] if token and len(token) >= 6 else []


def _readable(data: bytes) -> str:
    """Return bytes as text: UTF-8 where they are, else each odd byte as \\xNN."""
    return data.decode("utf-8", "backslashreplace")


def curl(request: Mapping[str, Any]) -> str:
    """Return a curl line that repeats a recorded (masked) request."""
    parts = ["curl", "-sS"]
    if request["verb"] == "HEAD":
        parts.append("--head")
    elif request["verb"] != "POST" or not request["body"]:
        parts += ["-X", request["verb"]]
    path = request["url"].partition("://")[2]
    if "/." in path or "//" in path:
        parts.append("--path-as-is")
    parts.append(shlex.quote(request["url"]))
    for name, value in request["headers"].items():
        if name.lower() in {
            "host",
            "content-length",
            "connection",
            "transfer-encoding",
            "accept",
            "user-agent",
        }:
            if name.lower() == "transfer-encoding":
                parts += ["-H", shlex.quote(f"{name}: {value}")]
            continue
        # curl drops a header that has a name and no value unless it ends with a semicolon.
        parts += ["-H", shlex.quote(f"{name}: {value}" if value else f"{name};")]
    if request["body"]:
        if not any(name.lower() == "content-type" for name in request["headers"]):
            parts += ["-H", "'Content-Type:'"]
        parts += ["--data-binary", shlex.quote(request["body"])]
    return " ".join(parts)


def _header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    wanted = name.lower()
    for key, value in headers:
        if key.lower() == wanted:
            return value
    return None
