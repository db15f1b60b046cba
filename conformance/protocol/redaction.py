"""Redaction: the secrets of a run, every form in which one may be written, and their masking.

`SecretRegistry` knows the secrets by value. `Exchange.record` is the only way into a file or onto a screen.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html.entities import codepoint2name

from conformance.protocol.curl import DIRECT

__all__ = [
    "MASK",
    "MAX_TYPED_CHARACTERS",
    "FormSearch",
    "Redactor",
    "SecretForm",
    "SecretRegistry",
    "hide_secret_fields",
    "is_secret_header",
    "is_secret_member",
    "search_for",
]

MASK = "***"
_MASK = MASK.encode()

#: Headers whose value is never shown: even a token that only resembles a session may reveal it.
_SECRET_HEADER = re.compile(r"token|session|secret|password|authorization|cookie|hmac", re.IGNORECASE)

#: Members that are masked in a login, since the session or the secret may be in an unexpected place.
_SECRET_MEMBER = re.compile(
    rb"session|token|ticket|jwt|secret|passw|passphrase|pwd|credential|hmac|signature", re.IGNORECASE
)

#: The tokens of a JSON text that masking distinguishes. A truncated string counts as a string.
_JSON_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)


#: Passwords that SEC-3 looks for.
MAX_PASSWORDS = 64


class SecretRegistry:
    """The secrets of a run, by value, so that every text that quotes one can be masked.

    Passwords, keys and sessions are masked in every form in which a server or a library may write them. Only the
    latest `keep` sessions are looked for, since a run may open thousands.
    """

    def __init__(self, keep: int = 48) -> None:
        self._lock = threading.Lock()
        self._forms: OrderedDict[str, tuple[SecretForm, ...]] = OrderedDict()
        self._lasting: set[str] = set()
        self._keep = keep
        self._sessions: OrderedDict[str, str | None] = OrderedDict()
        self._passwords: OrderedDict[str, None] = OrderedDict()
        self._search = FormSearch()
        self.members: frozenset[bytes] = frozenset()
        #: Names, in lower case, of request headers whose values are never shown: those that the profile configures.
        self.headers: frozenset[str] = frozenset()
        #: How the lines that send a request again reach the target, without secrets.
        self.route = DIRECT
        #: Incremented by every change of the passwords and sessions that SEC-3 looks for.
        self.changes = 0

    def add(self, secret: str, *, lasting: bool = True) -> None:
        """Mask this text from now on, in every form."""
        if len(secret) < 3 or secret in self._lasting:
            return
        with self._lock:
            if lasting:
                self._lasting.add(secret)
            if secret in self._forms:
                self._forms.move_to_end(secret)
                return
            self._forms[secret] = forms = _forms(secret)
            temporary = [name for name in self._forms if name not in self._lasting]
            excess = temporary[: max(0, len(temporary) - self._keep)]
            removed = [self._forms.pop(name) for name in excess]
            self._search = self._search.changed(forms, removed)

    def member(self, name: str) -> None:
        """Mask the values of this member in logins, in request and response, before they are known."""
        with self._lock:
            self.members |= {name.lower().encode("utf-8", "surrogatepass")}

    def header(self, name: str) -> None:
        """Mask the values of this request header, whatever they are."""
        with self._lock:
            self.headers |= {name.lower()}

    def password(self, secret: str) -> None:
        """Register a password: it is masked, and SEC-3 looks for it in every response."""
        self.add(secret)
        with self._lock:
            self.changes += secret not in self._passwords
            self._passwords[secret] = None
            while len(self._passwords) > MAX_PASSWORDS:
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
        """Return the latest passwords, which a response must not repeat (SEC-3)."""
        return list(self._passwords)

    def sessions(self) -> dict[str, str | None]:
        """Return the latest session identifiers, each with the user it belongs to (SEC-3)."""
        return dict(self._sessions)

    def knows(self, secret: str) -> bool:
        """Return whether this text is masked already."""
        return secret in self._forms

    def search(self) -> FormSearch:
        """Return a search for the secrets that are registered now."""
        return self._search

    def mask_bytes(self, data: bytes) -> bytes:
        """Return the bytes with every known secret masked, in every form."""
        return _masked(data, self.search().found(data))

    def mask(self, text: str) -> str:
        """Return the text with every known secret masked."""
        encoded = text.encode("utf-8", "surrogatepass")
        masked = self.mask_bytes(encoded)
        # Masking half a surrogate pair may leave bytes that are not valid UTF-8.
        return text if masked is encoded else masked.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class SecretForm:
    """One form in which a secret may be written: exact bytes, or a pattern that contains these bytes."""

    text: bytes
    pattern: bytes | None = None
    longest: int = 0
    parts: tuple[bytes, ...] = ()
    #: The spelling that needs no search by the pattern; empty where the pattern may match more than it.
    plain: bytes = b""

    def matches(self, data: bytes) -> bool:
        """Return whether data that contains `text` contains the form."""
        if self.pattern is None or (self.plain and self.plain in data):
            return True
        # Few patterns are ever needed, so each is compiled (and cached by `re`) only when all its parts occur.
        return all(part in data for part in self.parts) and re.search(self.pattern, data) is not None

    def replace(self, data: bytes) -> bytes:
        """Return the data with this form masked."""
        if self.pattern is None:
            return data.replace(self.text, _MASK)
        if self.plain:
            # Most data has no other spelling. To compile a pattern takes longer than all else that a call needs.
            data = data.replace(self.plain, _MASK)
            if not all(part in data for part in (self.text, *self.parts)):
                return data
        return re.sub(self.pattern, _MASK, data)


#: Most forms of a secret are long and consist of these bytes alone. They occur only within a run of such bytes.
_TOKEN_BYTES = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-+/=%\\")
_SPACE_OUTSIDE_TOKENS = bytes(byte if byte in _TOKEN_BYTES else 32 for byte in range(256))
#: A run is looked up in windows of this size, one after the other.
_WINDOW_BYTES = 6
#: A form of this length or longer contains a whole window wherever it begins, so the index finds it.
_MIN_INDEXED_BYTES = 2 * _WINDOW_BYTES - 1
#: Runs that were searched in vain are remembered, since answers repeat member names and values: how many, and how long.
MAX_CLEAN_RUNS = 8_192
MAX_CLEAN_RUN_BYTES = 256


def _windows(form: SecretForm) -> tuple[bytes, ...]:
    """Return the windows that index a form; none if the form is too short or has other bytes."""
    text = form.text
    if len(text) < _MIN_INDEXED_BYTES or not _TOKEN_BYTES.issuperset(text):
        return ()
    return tuple(text[start : start + _WINDOW_BYTES] for start in range(_WINDOW_BYTES))


class FormSearch:
    """Finds forms of secrets in bytes, at a cost that hardly grows with the number of secrets."""

    def __init__(self) -> None:
        self._windows: dict[bytes, tuple[SecretForm, ...]] = {}
        self._others: tuple[SecretForm, ...] = ()
        self._clean_runs: set[bytes] = set()
        self.longest = 1

    def changed(self, new: Iterable[SecretForm], removed: Iterable[Iterable[SecretForm]]) -> FormSearch:
        """Return a search with new forms and without the removed ones; this search stays as it is."""
        after = FormSearch()
        after.longest = self.longest
        index = after._windows = dict(self._windows)
        after._others = self._others
        for form in (form for forms in removed for form in forms):
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

    def found(self, data: bytes) -> list[SecretForm]:
        """Return the forms that occur in the bytes, the longest first."""
        found = [form for form in self._others if form.text in data]
        if self._windows:
            runs = data.translate(_SPACE_OUTSIDE_TOKENS).split()
            if unknown := set(runs).difference(self._clean_runs):
                # In their order, so that the same bytes always give the same forms in the same order.
                for run in dict.fromkeys(run for run in runs if run in unknown):
                    found += self._found_in_run(run)
        if found:
            found = [form for form in dict.fromkeys(found) if form.matches(data)]
            found.sort(key=lambda form: form.longest, reverse=True)
        return found

    def _found_in_run(self, run: bytes) -> list[SecretForm]:
        """Return the forms that occur in a run of token bytes, and remember a run that has none."""
        found: list[SecretForm] = []
        index = self._windows
        if len(run) >= _MIN_INDEXED_BYTES:
            # A run may repeat a window many times; its forms are searched for once.
            seen: set[bytes] = set()
            for start in range(0, len(run) - _WINDOW_BYTES + 1, _WINDOW_BYTES):
                window = run[start : start + _WINDOW_BYTES]
                if window in index and window not in seen:
                    seen.add(window)
                    found += [form for form in index[window] if form.text in run]
        if not found and len(run) <= MAX_CLEAN_RUN_BYTES and len(self._clean_runs) < MAX_CLEAN_RUNS:
            self._clean_runs.add(run)
        return found


def _masked(data: bytes, forms: Iterable[SecretForm]) -> bytes:
    """Return the data with these forms masked, in their order."""
    for form in forms:
        data = form.replace(data)
    return data


def _forms(secret: str) -> tuple[SecretForm, ...]:
    """Return the forms of a secret: plain, JSON-escaped, URL-encoded, in HTML, hexadecimal, base64."""
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
    alphanumeric = _ALPHANUMERIC.findall(secret)
    if alphanumeric == [secret]:
        texts.add(plain)
        mixed: list[SecretForm] = []
    else:
        pattern = b"".join(_spellings(part) for part in _PARTS.findall(secret))
        parts = sorted((part.encode() for part in alphanumeric), key=len, reverse=True)
        # Backslashes before the first character, or after a last one that is a backslash, belong to its spelling.
        direct = plain if _ALPHANUMERIC.match(secret) and "\\" not in secret else b""
        mixed = [SecretForm(parts[0] if parts else b"", pattern, 16 * len(plain), tuple(parts[1:]), direct)]
    return (*(SecretForm(text, None, len(text)) for text in texts), *mixed)


def _base64_forms(plain: bytes) -> Iterator[bytes]:
    """Yield the base64 forms of bytes that may be part of a longer text: one for each alignment."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + plain)
        # The first and the last characters also encode bits of the surrounding bytes.
        tail = (0, 3, 2)[(before + len(plain)) % 3]
        inner = coded[(0, 2, 3)[before] : len(coded) - tail]
        if len(inner) >= 6:
            yield inner


#: Characters that an encoding leaves as they are, unless it encodes every character.
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
_PARTS = re.compile(r"[A-Za-z0-9]+|\\+|(?s:.)")


def _spellings(part: str) -> bytes:
    """Return a pattern for every spelling of a part of a secret, where encodings may be mixed."""
    if _ALPHANUMERIC.fullmatch(part):
        return part.encode()
    if part.startswith("\\"):
        count = len(part)
        coded = rb"(?:\\{1,8}(?i:u005c)|%%(?:25)?5[Cc]|&#92;|&#(?i:x5c);){%d}" % count
        return rb"(?:\\{%d,%d}|%s)" % (count, 8 * count, coded)
    point = ord(part)
    coded = part.encode("utf-8", "surrogatepass")
    units = part.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\{{1,8}}u{units[i : i + 4]}" for i in range(0, len(units), 4))
    spellings = [
        (rb"\\{0,8}" if point < 128 else b"") + re.escape(coded),
        b"(?i:%s)" % escaped.encode(),
        b"(?i:%s)" % b"".join(b"%%(?:25)?%02x" % byte for byte in coded),
        b"&#0{0,4}%d;" % point,
        b"(?i:&#x0{0,4}%x;)" % point,
    ]
    if point == 32:
        spellings.append(rb"\+")
    if part in "\b\f\n\r\t":
        spellings.append(rb"\\{1,8}" + "bfnrt"["\b\f\n\r\t".index(part)].encode())
    if point < 256:
        spellings.append(rb"\\{1,8}(?i:x%02x)" % point)
    if 128 <= point < 256:
        spellings.append(re.escape(bytes([point])))
        spellings.append(b"%%(?i:%02x)" % point)
    name = "apos" if part == "'" else codepoint2name.get(point)
    if name is not None:
        spellings.append(f"&{name};".encode())
    return b"(?:%s)" % b"|".join(spellings)


#: A secret that was only typed is searched for by its first characters: a real one is not longer, and each form of
#: generated data takes a multiple of its size.
MAX_TYPED_CHARACTERS = 4_096


@lru_cache(maxsize=64)
def search_for(secret: str) -> FormSearch:
    """Return a search for one secret that is not in the registry."""
    return FormSearch().changed(_forms(secret), ())


@lru_cache(maxsize=512)
def is_secret_header(name: str) -> bool:
    """Return whether the value of a header of this name is never shown."""
    return _SECRET_HEADER.search(name) is not None


def is_secret_member(name: bytes) -> bool:
    """Return whether a member of this name is masked in a login."""
    return _SECRET_MEMBER.search(name) is not None


class Redactor:
    """Masks secrets in the parts of one exchange, and truncates its bodies.

    `searches` find the secrets, and `limit` is the number of bytes that are shown of a body. Call `find` with all
    parts first: only the secrets that are found there are masked.
    """

    def __init__(self, searches: Sequence[FormSearch], limit: int) -> None:
        self.limit = limit
        self._searches = searches
        self._longest = max(search.longest for search in searches)
        #: Bytes of a body that are searched: a secret that begins before the limit is seen whole.
        self.window = limit + self._longest
        self._forms: list[SecretForm] = []

    def find(self, parts: Iterable[bytes]) -> None:
        """Find the secrets that occur in any part of the exchange."""
        whole = b"\n".join(parts)
        self._forms = [form for search in self._searches for form in search.found(whole)]

    def mask(self, data: bytes) -> bytes:
        """Return the data with the secrets that were found masked."""
        return _masked(data, self._forms)

    def body(self, data: bytes, members: frozenset[bytes] | None, total: int | None = None) -> bytes:
        """Return a body masked and truncated.

        `members` are names of members to mask as well, in a login; None for any other call. `total` is the length
        of the body in bytes where `data` is only its beginning.
        """
        cut = len(data) > self.window
        text = data[: self.window]
        if self._forms:
            text = self.mask(text)
            if cut:
                # The last bytes may be the beginning of a secret.
                text = text[: -self._longest]
        cut = cut or len(text) > self.limit
        text = text[: self.limit]
        if members is not None:
            text = _mask_members(text, members)
        return text + f"… ({total or len(data)} bytes in all)".encode() if cut else text


def _mask_members(data: bytes, names: frozenset[bytes]) -> bytes:
    """Mask the values of secret members in a JSON text, at any depth; the text may be truncated."""
    out: list[bytes] = []
    end = 0
    #: For each open bracket, whether everything inside is secret.
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
            secret = hidden[-1] or name.lower() in names or is_secret_member(name)
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
            # Inside a secret object the names stay readable: a colon follows them.
            follows = data[piece.end() : piece.end() + 64].lstrip()[:1]
            if follows != b":":
                out += [data[end : piece.start()], b'"***"']
                end = piece.end()
        last = piece
    return b"".join([*out, data[end:]]) if out else data


#: Header fields of a raw request whose values are secrets.
_SECRET_FIELDS = re.compile(
    rb"(?im)^(token|authorization|proxy-authorization|cookie|x-coursio-hmac)[ \t]*:[^\r\n]*"
)


def hide_secret_fields(raw: bytes, names: Collection[str] = (), *, known: bool = True) -> bytes:
    """Return the bytes of a request with the values of secret header fields masked, and of those with these names.

    Without `known` only those with these names are masked.
    """
    hidden = _SECRET_FIELDS.sub(lambda match: match[1] + b": ***", raw) if known else raw
    for name in names:
        field = rb"(?im)^(" + re.escape(name.encode("latin-1", "replace")) + rb")[ \t]*:[^\r\n]*"
        hidden = re.sub(field, lambda match: match[1] + b": ***", hidden)
    return hidden
