"""What in a value a target may refuse by DAT-5 and DAT-6, although the schema allows it."""

from __future__ import annotations

import math
import unicodedata

from conformance.generation.special_values import Literal
from conformance.schema.bundle import Json

__all__ = ["unusual_features"]

_MAX_SAFE = 2**53 - 1

#: Characters, and bytes of UTF-8, from which a text counts as large.
_LARGE_CHARACTERS = 16_000
_LARGE_BYTES = 64_000

#: Controls, formats (a zero-width joiner, a byte-order mark), private and unassigned characters, line separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})


def unusual_features(value: Json) -> frozenset[str]:
    """Return the names of the unusual features of a value, at any depth."""
    found: set[str] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
            stack += item
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, str):
            found |= _features_of_text(item)
        elif isinstance(item, float):
            if not math.isfinite(item) or abs(item) >= _MAX_SAFE or isinstance(item, Literal):
                found.add("number of unusual size")
            if item == 0 and math.copysign(1, item) < 0:
                found.add("-0")
            elif item.is_integer():
                found.add("1.0")
        elif isinstance(item, int) and abs(item) >= _MAX_SAFE:
            found.add("number of unusual size")
    return frozenset(found)


def _features_of_text(text: str) -> set[str]:
    found: set[str] = set()
    if len(text) >= _LARGE_CHARACTERS and len(text.encode("utf-8", "surrogatepass")) >= _LARGE_BYTES:
        found.add("64 kB")
    if "\x00" in text:
        found.add("U+0000")
    if text.isascii() and text.isprintable():
        return found
    for sign in set(text):
        if unicodedata.category(sign) in _INVISIBLE and sign not in "\0\t\n\r":
            found.add("control or format character")
        if sign > "\uffff":
            found.add("astral")
        elif "\ud800" <= sign <= "\udfff":
            found.add("unpaired surrogate")
        if unicodedata.combining(sign) or unicodedata.category(sign).startswith("M"):
            found.add("combining")
        if unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT:
            found.add("right to left")
    return found
