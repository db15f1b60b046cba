"""Patterns of ECMA-262: texts that match them, and whether the common dialects agree on a text."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.generation.errors import CannotGenerate
from conformance.schema.ecma import ecma, matcher

__all__ = ["MISMATCHES", "extremes", "from_pattern", "parsed", "settled", "written"]

#: Short texts of many kinds: most patterns refuse some of them.
MISMATCHES = ("", "!", "0", "a", "A", "-", "conform", "CONFORM", "0123456789", "%$#", "x" * 64, "é")

_LETTERS_AND_DIGITS = string.ascii_lowercase + string.digits + string.ascii_uppercase
_KEYBOARD = _LETTERS_AND_DIGITS + "-_.:/@ " + string.punctuation


@lru_cache(maxsize=512)
def parsed(pattern: str) -> Any:
    """Return the syntax tree of a pattern; raises ValueError where it is not understood."""
    return _parser.parse(ecma(pattern))


# --- texts that match ---------------------------------------------------------------------------------------


class _PatternWriter:
    """Writes a text that matches a syntax tree. The caller checks assertions, which are skipped."""

    def __init__(self, rng: random.Random, max_extra: int) -> None:
        self.rng = rng
        self.max_extra = max_extra
        self.groups: dict[int, str] = {}

    def write(self, tree: Any) -> str:
        return "".join([self._one(str(op), argument) for op, argument in tree])

    def _one(self, op: str, argument: Any) -> str:
        if op == "LITERAL":
            return chr(argument)
        if op in ("NOT_LITERAL", "IN", "ANY"):
            return self._character(op, argument)
        if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = argument
            count = self.rng.randint(least, min(int(most), least + self.max_extra))
            return "".join([self.write(inner) for _ in range(count)])
        if op == "SUBPATTERN":
            text = self.write(argument[-1])
            if argument[0] is not None:
                self.groups[argument[0]] = text
            return text
        if op == "BRANCH":
            return self.write(self.rng.choice(argument[1]))
        if op == "GROUPREF":
            return self.groups.get(argument, "")
        if op == "ATOMIC_GROUP":
            return self.write(argument)
        return ""  # AT, ASSERT, ASSERT_NOT

    def _character(self, op: str, argument: Any) -> str:
        if op == "ANY":
            return self.rng.choice(_LETTERS_AND_DIGITS)
        members = (("NEGATE", None), ("LITERAL", argument)) if op == "NOT_LITERAL" else tuple(argument)
        return self.rng.choice(_characters(members))


@lru_cache(maxsize=512)
def _characters(members: tuple[tuple[Any, Any], ...]) -> str:
    """Return characters of a class: letters and digits, else other keys of a keyboard, else any."""
    named = [(str(kind), what) for kind, what in members]
    negated = named[0][0] == "NEGATE"
    ranges = [
        (what, what) if kind == "LITERAL" else what for kind, what in named if kind in ("LITERAL", "RANGE")
    ]
    typed = [sign for sign in _KEYBOARD if any(low <= ord(sign) <= high for low, high in ranges) != negated]
    if typed:
        return "".join([sign for sign in typed if sign in _LETTERS_AND_DIGITS] or typed)
    if negated:
        codes = [c for c in range(0xC0, 0x3000) if not any(low <= c <= high for low, high in ranges)][:64]
    else:
        some = [code for low, high in ranges for code in range(low, min(high, low + 64) + 1)]
        codes = [code for code in some if not 0xD800 <= code <= 0xDFFF]
    if not codes:
        raise CannotGenerate("pattern", "one of its character classes is empty")
    return "".join(map(chr, codes))


class _Extreme(random.Random):
    """Takes always the first, or always the last of what there is to choose from."""

    def __init__(self, last: bool) -> None:
        super().__init__(0)
        self._last = last

    def randint(self, a: int, b: int) -> int:
        return b if self._last else a

    def choice(self, seq: Any) -> Any:
        return seq[-1] if self._last else seq[0]


def written(pattern: str, rng: random.Random, max_extra: int) -> str | None:
    """Return a text that matches a pattern, or None; a repetition exceeds its minimum by `max_extra` at most."""
    try:
        return _PatternWriter(rng, max_extra).write(parsed(pattern))
    except (ValueError, CannotGenerate):
        return None


def extremes(pattern: str, longest: int) -> tuple[str | None, str | None]:
    """Return the shortest text that matches a pattern, and the longest one within a length."""
    short = written(pattern, _Extreme(False), 0)
    low, high = 0, longest + 1
    best = None
    while low <= high:
        max_extra = (low + high) // 2
        text = written(pattern, _Extreme(True), max_extra)
        if text is not None and len(text) <= longest:
            best, low = text, max_extra + 1
        else:
            high = max_extra - 1
    return short, best


@lru_cache(maxsize=512)
def from_pattern(pattern: str) -> SearchStrategy[str] | None:
    """Return Hypothesis' strategy for a pattern, or None where Hypothesis does not understand it."""
    try:
        strategy = st.from_regex(re.compile(ecma(pattern)), fullmatch=False)
        strategy.validate()
    except Exception:
        return None
    return strategy


# --- dialects -----------------------------------------------------------------------------------------------


def settled(pattern: str, text: str) -> bool | None:
    """Return whether a pattern matches, or None where dialects differ: a newline before `$`, Unicode digits."""
    first, *others = _dialects(pattern)
    found = first(text)
    return found if all(other(text) == found for other in others) else None


@lru_cache(maxsize=1024)
def _dialects(pattern: str) -> tuple[Callable[[str], bool], ...]:
    """Return the matchers of a pattern: as the rulebook reads it, then as other dialects do."""
    readers = [matcher(pattern)]
    try:
        translated = ecma(pattern)
    except ValueError:
        return tuple(readers)
    for other in (pattern, translated.replace(r"\Z", "$")):
        try:
            readers.append(_found(re.compile(other).search))
        except (re.error, OverflowError, RecursionError):
            continue
    by_units = _found(re.compile(translated).search)
    readers.append(lambda text: by_units(_utf16_units(text)))
    return tuple(readers)


def _found(search: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda text: search(text) is not None


def _utf16_units(text: str) -> str:
    """Return a text with each astral character as two surrogates, as patterns without the flag u see it."""
    if text.isascii():
        return text
    out: list[str] = []
    for sign in text:
        code = ord(sign)
        if code > 0xFFFF:
            out += (chr(0xD800 + ((code - 0x10000) >> 10)), chr(0xDC00 + ((code - 0x10000) & 0x3FF)))
        else:
            out.append(sign)
    return "".join(out)
