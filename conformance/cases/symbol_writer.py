"""Symbols in the data of a case: replace identifiers, users' names and secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from conformance.cases.format import escaped, symbol
from conformance.catalog.model import Method
from conformance.protocol.exchange import Exchange, field_bytes

if TYPE_CHECKING:
    from conformance.cases.recording import ObjectRecord, Recorder

__all__ = ["SymbolWriter", "identified", "in_case", "is_deep"]

#: Data that is nested deeper is written to a case as the text that was sent.
MAX_DATA_LEVELS = 60

#: Characters of an object's creation data that a case includes.
MAX_CREATION_CHARACTERS = 4_000


def identified(method: Method) -> list[tuple[str, str]]:
    """Return the places of identifiers in a function's data, as (JSON pointer with `*`, kind)."""
    places = list(method.refs)
    role = method.object
    if role is not None and role.does in ("read", "update", "delete"):
        places.append((f"/{role.id}", role.kind))
    return places


def is_deep(value: Any) -> bool:
    """Return whether a value is nested deeper than `MAX_DATA_LEVELS`."""
    level = [value]
    for _ in range(MAX_DATA_LEVELS):
        level = [
            below
            for each in level
            if isinstance(each, dict | list)
            for below in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


class SymbolWriter:
    """Replaces identifiers, users' names and secrets of one case by symbols."""

    def __init__(self, recorder: Recorder, exchange: Exchange | None, *, symbolic: bool) -> None:
        """Create a writer; `symbolic` says whether the data already contains symbols."""
        self.recorder = recorder
        self._symbolic = symbolic
        self.profile = recorder.profile
        self.at = exchange.number if exchange is not None else None
        self._names: dict[ObjectRecord, str] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._secrets: list[tuple[bytes, dict[str, Any]]] = []
        for name, user in self.profile.users.items():
            if len(user.secret) >= 3:
                self._secrets.append((user.secret.encode(), {"$secret": f"users.{name}.secret"}))
        key = self.profile.auth.key_login
        if key is not None:
            self._secrets.append((key.private.encode(), {"$secret": "wrong"}))
            self._secrets.append((key.public.encode(), {"$secret": "auth.key_login.public"}))
        tokens = dict(recorder.secret_registry.sessions())
        if exchange is not None and (sent := exchange.request.header("Token")):
            tokens.setdefault(sent, exchange.user)
        for token, owner in tokens.items():
            if len(token) >= 6:
                known = {"$session": {"of": owner}} if owner in self.profile.users else {"$token": len(token)}
                self._secrets.append((field_bytes(token), known))
        for secret, known in list(self._secrets):
            spelled = escaped(secret.decode("utf-8", "replace")).encode()
            self._secrets.append((spelled, {"$escaped": known}))
        self._secrets.sort(key=lambda pair: -len(pair[0]))

    # -- identifiers -------------------------------------------------------------------------------------------

    def _identifier_symbol(self, kind: str, value: Any) -> Any:
        """Return the symbol of an identifier, or the value itself if it is not an identifier."""
        record = self.recorder.object_at(kind, value, self.at)
        if record is None or record.owner not in self.profile.users:
            return value
        if type(value) is type(record.id):
            return {"$object": self._object(record)}
        # A text of the number is the same identifier.
        return {"$text": [{"$object": self._object(record)}]} if isinstance(value, str) else value

    def _object(self, record: ObjectRecord) -> dict[str, Any]:
        first = record not in self._names
        if first:
            number = sum(known.kind == record.kind for known in self._names) + 1
            self._names[record] = f"{record.kind}{number}"
        argument: dict[str, Any] = {"kind": record.kind, "of": record.owner, "name": self._names[record]}
        if record.deleted is not None and (self.at is None or record.deleted < self.at):
            argument["state"] = "deleted"
        if first and record.method is not None and not is_deep(record.sent):
            made = self.value(record.sent, record.method)
            if (
                isinstance(made, dict)
                and symbol(made) is None
                and len(json.dumps(made)) <= MAX_CREATION_CHARACTERS
            ):
                argument["with"] = made
        return argument

    def for_people(self, text: str) -> str:
        """Return a message with its secrets masked, and with names for the identifiers of this case."""
        for record, name in self._names.items():
            shown = re.escape(str(record.id))
            text = re.sub(rf"(?<!status )(?<![\w.-]){shown}(?![\w-])", f"<{name}>", text)
        return self.recorder.secret_registry.mask(text)

    # -- values ------------------------------------------------------------------------------------------------

    def value(self, value: Any, method: Method | None) -> Any:
        """Return data with symbols for the identifiers, users' names and secrets in it."""
        patterns = [(tuple(p.split("/")[1:]), kind) for p, kind in identified(method)] if method else []
        return self._value(value, (), patterns)

    def _value(
        self, value: Any, place: tuple[str, ...], patterns: Sequence[tuple[tuple[str, ...], str]]
    ) -> Any:
        if isinstance(value, dict):
            if symbol(value) is not None:
                return value if self._symbolic else {"$literal": value}
            return {name: self._value(each, (*place, name), patterns) for name, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, (*place, str(i)), patterns) for i, each in enumerate(value)]
        if place and value is not None and not isinstance(value, bool | float):
            kind = next((kind for pattern, kind in patterns if _fits(pattern, place)), None)
            kind = kind or self.recorder.kinds.get(place[-1])
            if kind is not None:
                found = self._identifier_symbol(kind, value)
                if found is not value:
                    return found
        return self.text(value) if isinstance(value, str) else value

    def text(self, value: str) -> Any:
        """Return a text with symbols for the secrets and the users' names in it."""
        for name, user in self.profile.users.items():
            if value == user.user:
                return {"$user": name}
        parts = self._parts(value.encode("utf-8", "surrogatepass"))
        if not any(isinstance(part, dict) for part in parts):
            return value
        shown = [part if isinstance(part, dict) else part.decode("utf-8", "surrogatepass") for part in parts]
        return shown[0] if len(shown) == 1 else {"$text": shown}

    def _parts(self, data: bytes) -> list[bytes | dict[str, Any]]:
        """Return the data as a list of texts and symbols of secrets."""
        parts: list[bytes | dict[str, Any]] = [data]
        for secret, known in self._secrets:
            if secret not in data:
                continue
            cut: list[bytes | dict[str, Any]] = []
            for part in parts:
                if isinstance(part, dict):
                    cut.append(part)
                    continue
                for number, piece in enumerate(part.split(secret)):
                    if number:
                        cut.append(known)
                    if piece:
                        cut.append(piece)
            parts = cut
        return parts

    def credential(self, value: Any) -> Any:
        """Return a symbol for the secret in a login: a text similar to a real secret must not be written, either."""
        if not isinstance(value, str) or not value:
            return value
        shown = self.text(value)
        if shown != value:
            return shown
        for name, user in self.profile.users.items():
            of = f"users.{name}.secret"
            for letter_case in ("upper", "lower", "swap"):
                if value == in_case(user.secret, letter_case):
                    return {"$secret": {"of": of, "case": letter_case}}
            if user.secret.startswith(value):
                return {"$secret": {"of": of, "cut": len(value)}}
        return {"$secret": "wrong"}

    def raw(self, data: bytes, *, login: bool = False) -> Any:
        """Return the bytes of a body, or of a whole request, as a text with symbols, or as bytes."""
        users: list[tuple[str, dict[str, Any]]]
        users = [(user.user, {"$user": name}) for name, user in self.profile.users.items() if user.user]
        names = [(text.encode(), known) for text, known in users]
        names += [(escaped(text).encode(), {"$escaped": known}) for text, known in users]
        parts = self._parts(data)
        for plain, known in [*names, *self._identifiers(data)]:
            parts = [
                piece
                for part in parts
                for piece in ([part] if isinstance(part, dict) else _split(part, plain, known))
            ]
        if login:
            parts = [each for part in parts for each in self._rest(part, last=part is parts[-1])]
        out: list[Any] = []
        for part in parts:
            if isinstance(part, dict):
                out.append(part)
                continue
            try:
                out.append(part.decode("utf-8"))
            except UnicodeDecodeError:
                out.append({"$bytes": base64.b64encode(part).decode()})
        return out[0] if len(out) == 1 else {"$text": out} if out else ""

    def _identifiers(self, data: bytes) -> list[tuple[bytes, dict[str, Any]]]:
        """Return (text, symbol) for each identifier that is a member of a JSON text, which may be malformed."""
        found: dict[bytes, dict[str, Any]] = {}
        for name, kind in self.recorder.kinds.items():
            pattern = rb'("%s"\s*:\s*)("(?:[^"\\]|\\.)*(?:"|\Z)|-?[0-9]+)' % re.escape(name.encode())
            for match in re.finditer(pattern, data):
                written = match.group(2).removesuffix(b'"').removeprefix(b'"')
                try:
                    value = json.loads(b'"%s"' % written if match.group(2)[:1] == b'"' else written)
                except ValueError:
                    continue
                known = self._identifier_symbol(kind, value)
                if known is value:
                    continue
                quoted = isinstance(value, str)
                # Replace only the value itself: the text around it may be what the case is about.
                head = match.group(1) + (b'"' if quoted else b"")
                found[head + written] = {"head": head, **known}
        return list(found.items())

    def _rest(self, part: bytes | dict[str, Any], *, last: bool) -> list[bytes | dict[str, Any]]:
        """Replace a truncated or modified secret in a part of a login."""
        login = self.profile.auth.login
        if isinstance(part, dict) or login is None:
            return [part]
        ends = rb'(?="|\Z)' if last else rb'(?=")'
        pattern = rb'("%s"\s*:\s*")((?:[^"\\]|\\.)+)%s' % (re.escape(login.secret.encode()), ends)
        match = re.search(pattern, part)
        if match is None:
            return [part]
        written = match.group(2)
        try:
            value = str(json.loads(b'"%s"' % written))
        except ValueError:
            value = written.decode("utf-8", "replace")
        known = self.credential(value)
        if not isinstance(known, dict):
            return [part]
        middle: list[Any] = known.get("$text", [known])
        if written == escaped(value).encode():
            middle = [escaped(each) if isinstance(each, str) else {"$escaped": each} for each in middle]
        return [
            part[: match.end(1)],
            *(each.encode() if isinstance(each, str) else each for each in middle),
            *([part[match.end() :]] if part[match.end() :] else []),
        ]


def _fits(pattern: Sequence[str], place: Sequence[str]) -> bool:
    return len(pattern) == len(place) and all(
        part in ("*", name) for part, name in zip(pattern, place, strict=True)
    )


def _split(part: bytes, plain: bytes, known: dict[str, Any]) -> Iterable[bytes | dict[str, Any]]:
    """Replace a text in a part by its symbol; the member "head" of the symbol is the text to keep before it."""
    head = known.get("head", b"")
    shown = {name: value for name, value in known.items() if name != "head"}
    # An identifier ends where its digits or letters end.
    ends = rb"(?![0-9A-Za-z])" if head else b""
    out: list[bytes | dict[str, Any]] = []
    for number, piece in enumerate(re.split(re.escape(plain) + ends, part)):
        if number:
            out += [each for each in (head, shown) if each]
        if piece:
            out.append(piece)
    merged: list[bytes | dict[str, Any]] = []
    for each in out:
        if merged and isinstance(each, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += each
        else:
            merged.append(each)
    return merged


def in_case(text: str, letter_case: str) -> str:
    """Return a text in upper, lower or swapped case."""
    return {"upper": text.upper, "lower": text.lower}.get(letter_case, text.swapcase)()
