"""JSON pointers (RFC 6901) into a target's answers."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["MISSING", "Missing", "assign", "resolve"]


class Missing:
    """The type of `MISSING`: there is nothing at that place. It is false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def resolve(value: Any, pointer: str) -> Any:
    """Return what stands at the pointer, or MISSING."""
    for token in _tokens(pointer):
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return MISSING
    return value


def assign(value: Any, pointer: str, new: Any) -> Any:
    """Return a copy of the value with `new` at the pointer; the place's parents must exist."""
    tokens = _tokens(pointer)
    if not tokens:
        return new
    head, rest = tokens[0], "".join(f"/{token.replace('~', '~0').replace('/', '~1')}" for token in tokens[1:])
    if isinstance(value, dict):
        return {**value, head: assign(value.get(head), rest, new)}
    copy = list(value)
    copy[int(head)] = assign(copy[int(head)], rest, new)
    return copy
