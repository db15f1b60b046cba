"""JSON pointers (RFC 6901) into a target's responses."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["MISSING", "Missing", "assign", "check_pointer", "resolve"]


class Missing:
    """The type of `MISSING`, the result for a place that does not exist. It is false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()


#: An index consists of ASCII digits without a sign or leading zero; ten digits are enough for any list.
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON pointer: it does not begin with a slash")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _index(value: list[Any], token: str) -> int | None:
    if _INDEX.fullmatch(token) and int(token) < len(value):
        return int(token)
    return None


def resolve(value: Any, pointer: str) -> Any:
    """Return the value at the pointer, or MISSING.

    Raises:
        ValueError: the text is not a pointer.

    """
    for token in _tokens(pointer):
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and (index := _index(value, token)) is not None:
            value = value[index]
        else:
            return MISSING
    return value


def assign(value: Any, pointer: str, new: Any) -> Any:
    """Return a copy of the value with `new` at the pointer.

    Raises:
        LookupError: the parent of the place does not exist.
        ValueError: the text is not a pointer.

    """
    return _assign(value, _tokens(pointer), new)


def _assign(value: Any, tokens: list[str], new: Any) -> Any:
    if not tokens:
        return new
    head, rest = tokens[0], tokens[1:]
    if isinstance(value, dict) and (head in value or not rest):
        return {**value, head: _assign(value.get(head), rest, new)}
    if isinstance(value, list) and (index := _index(value, head)) is not None:
        copy = list(value)
        copy[index] = _assign(copy[index], rest, new)
        return copy
    raise LookupError(f"there is nothing at {head!r}")


def check_pointer(text: str) -> str | None:
    """Return why a text is not a JSON pointer (RFC 6901), or None if it is one."""
    if text and not text.startswith("/"):
        return f'{text!r} is no JSON pointer: begin it with "/", or leave it empty for the whole'
    if re.search(r"~(?![01])", text):
        return f'{text!r} is no JSON pointer: write "~" as "~0"'
    return None
