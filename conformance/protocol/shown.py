"""Values of JSON as they stand in messages for people: as JSON, never as Python spells them."""

from __future__ import annotations

import json
from typing import Any

from conformance.schema.pointer import MISSING

__all__ = ["as_json"]

MAX_CHARACTERS = 300


def as_json(value: Any, most: int = MAX_CHARACTERS) -> str:
    """Return a value as JSON of at most so many characters, with its own length where a text is cut."""
    if value is MISSING:
        return "nothing"
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    try:
        told = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        told = str(value)
    told = told.encode("utf-8", "backslashreplace").decode()
    if len(told) <= most:
        return told
    more = f" ({len(value)} characters)" if isinstance(value, str) else ""
    end = min(20, most // 4)
    return f"{told[: most - end - 1]}…{told[-end:]}{more}"
