"""JSON values in messages for people: written as JSON, never as Python literals."""

from __future__ import annotations

import json
from typing import Any

from conformance.schema.pointer import MISSING

__all__ = ["as_json"]

MAX_CHARACTERS = 300


def as_json(value: Any, most: int = MAX_CHARACTERS) -> str:
    """Return a value as JSON of at most `most` characters; a text that is cut is followed by its length."""
    if value is MISSING:
        return "nothing"
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = str(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= most:
        return text
    more = f" ({len(value)} characters)" if isinstance(value, str) else ""
    end = min(20, most // 4)
    return f"{text[: most - end - 1]}…{text[-end:]}{more}"
