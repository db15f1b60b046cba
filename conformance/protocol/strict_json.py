"""Strict reading of JSON texts (RFC 8259)."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec

__all__ = ["TOO_DEEP", "JsonText", "read_json"]


@dataclass(frozen=True, slots=True)
class JsonText:
    """The result of reading bytes as one JSON text: its `value`, or the `error` that says why it is not JSON.

    `names` are the member names at any depth, where the reader collected them.
    """

    value: Any = None
    error: str | None = None
    names: frozenset[str] | None = None


class _NotJsonError(ValueError):
    """The bytes are not one JSON text; the message says why."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object; reject a name that appears twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                short = name if len(name) <= 80 else f"{name[:79]}…"
                raise _NotJsonError(f"member name {short!r} appears twice")
            seen.add(name)
    return members


def _constant(text: str) -> Any:
    """Reject NaN and Infinity, which Python's decoder accepts."""
    raise _NotJsonError(f"{text} is not JSON")


def _long_int(text: str) -> float | int:
    """Return an integer of any length: Python refuses to read more than 4,300 digits, JSON does not."""
    return int(text) if len(text) < 4000 else float(text)


#: Deeper JSON is not read (RFC 8259, section 9), so that recursive code always finishes. The interpreter's own limit
#: would depend on the depth of the stack where the recursion started, and jsonschema-rs accepts at most 255 levels.
MAX_NESTING_LEVELS = 250
sys.setrecursionlimit(max(sys.getrecursionlimit(), 20 * MAX_NESTING_LEVELS))
TOO_DEEP = "nested too deep to read"

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_DEPTH_CHANGE = [1 if byte in b"[{" else -1 for byte in range(256)]


def _too_deep(body: bytes) -> bool:
    """Return whether a JSON text is nested deeper than `MAX_NESTING_LEVELS`."""
    if body.count(b"[") + body.count(b"{") <= MAX_NESTING_LEVELS:
        return False
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_DEPTH_CHANGE.__getitem__, brackets)), default=0) > MAX_NESTING_LEVELS


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)
_LONG_INTEGER_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_constant, parse_int=_long_int
)


_FAST_DECODER = msgspec.json.Decoder()
_CONTAINERS = frozenset((dict, list))
_WHITE_SPACE = b" \t\r\n"


def _max_members(body: bytes) -> int:
    """Return at least the number of members that a JSON text has in all its objects.

    It is their exact number unless a string contains a colon right after a quotation mark.
    """
    return body.translate(None, _WHITE_SPACE).count(b'":')


def _read_fast(body: bytes) -> JsonText | None:
    """Read a JSON text that is certainly correct; return None for any other, which the slow reader judges.

    The fast decoder accepts nothing that the slow one refuses, except repeated names and deep nesting. A repeated name
    leaves fewer members in the value than there are in the text.
    """
    try:
        value = _FAST_DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    count = depth = 0
    names: set[str] = set()
    level: list[Any] = [value] if value.__class__ in _CONTAINERS else []
    while level:
        depth += 1
        if depth > MAX_NESTING_LEVELS:
            return None
        below: list[Any] = []
        for item in level:
            if item.__class__ is dict:
                count += len(item)
                names.update(item)
                item = item.values()
            if not _CONTAINERS.isdisjoint(map(type, item)):
                below += [child for child in item if child.__class__ in _CONTAINERS]
        level = below
    return JsonText(value, names=frozenset(names)) if count == _max_members(body) else None


def read_json(body: bytes) -> JsonText:
    """Read bytes as exactly one JSON text (HTTP-4, RFC 8259).

    Strict means: UTF-8 without errors, no byte-order mark, no NaN or Infinity, no member name twice, and only
    white space around the text.
    """
    return _read_fast(body) or _read_slowly(body)


def _read_slowly(body: bytes) -> JsonText:
    """Read bytes as exactly one JSON text, and say why they are not one."""
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
            return JsonText(_DECODER.decode(text))
        except (_NotJsonError, json.JSONDecodeError):
            raise
        except ValueError:
            return JsonText(_LONG_INTEGER_DECODER.decode(text))
    except json.JSONDecodeError as error:
        return JsonText(error=f"{error.msg} at character {error.pos}")
    except _NotJsonError as error:
        return JsonText(error=str(error))
    except RecursionError:
        return JsonText(error=TOO_DEEP)
