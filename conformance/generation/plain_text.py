"""Free texts: words, unusual texts, texts of a length, and texts that contain a tag of the run."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.generation.choices import Choices

__all__ = ["UNUSUAL", "WORDS", "fit_tag", "plain_text", "spellings", "stretched"]

#: Ordinary words, for most of the texts.
WORDS = ("a", "0", "Kurs", "Intro to Python", "x_1", "A-b", "åäö", "the quick brown fox", "42", "true", "Zoë")

#: Unusual texts that every target should accept where the schema allows them; short, to fit most lengths.
UNUSUAL = (
    "😀",
    "e\u0301",
    "שלום",
    "a\u202eb",
    "\u200d",
    "İ",
    "a\x00",
    "\n",
    "\t",
    " ",
    "'",
    '"',
    "\\",
    "<b>",
    "%",
    "%00",
    "null",
    "{}",
    "\ufeff",
    "\u2028",
    "\x7f",
    "ﬁ",
    "𝒞",
    "مرحبا",
    "\x01",
    "&amp;",
    "../",
    "__proto__",
    "${x}",
)

_CHARACTERS = st.characters(codec="utf-8")

#: Characters of the longest text that is built whenever no maximum, or a large one, is declared.
_LONG = 300
_MAX_OFTEN = 2000


def plain_text(choices: Choices, low: int, high: int | None, unusual: bool) -> str:
    """Build a text of any characters: a word, an unusual text, or one of the lengths at the edges."""
    if choices.ordinary is not None:
        return fit_tag(choices.ordinary.fresh(), low, high)
    way = choices.index(16)
    if way < 3 and unusual and low <= 512:
        top = min(low + 24, high) if high is not None else low + 24
        return choices.draw(_any_text(low, top), lambda rng: stretched(WORDS[0], low, high))
    if way < 9 or (way < 13 and not unusual):
        return stretched(WORDS[choices.index(len(WORDS))], low, high)
    if way < 13:
        return stretched(UNUSUAL[choices.index(len(UNUSUAL))], low, high)
    if way == 13:
        return stretched("z", low, low)
    if way == 14:
        return stretched("a", low + 1, high)
    # The longest text: always where that is short, one time in eight where it is long.
    top = low + _LONG if high is None else high
    if top > _MAX_OFTEN and choices.index(8):
        top = max(low, _LONG)
    return stretched("Lorem ipsum ", top, top)


@lru_cache(maxsize=512)
def _any_text(low: int, high: int | None) -> SearchStrategy[str]:
    return st.text(_CHARACTERS, min_size=low, max_size=high)


def stretched(text: str, low: int, high: int | None) -> str:
    """Return a text repeated or cut until its length fits."""
    if len(text) < low:
        text = ((text or "x") * (low // max(1, len(text)) + 1))[:low]
    return text if high is None else text[:high]


# --- tags ---------------------------------------------------------------------------------------------------


def fit_tag(tag: str, low: int, high: int | None) -> str:
    """Return a tag cut to a length, or filled up; its end remains, which differs from tag to tag."""
    if high is not None and len(tag) > high:
        tag = tag[len(tag) - high :]
        if tag.startswith(("-", "_", ".")):
            tag = "x" + tag[1:]
    if len(tag) < low:
        tag += "-" * (low - len(tag) > 1) + "x" * (low - len(tag) - (low - len(tag) > 1))
    if high and not tag:
        tag = "x"
    return tag


def spellings(tag: str, low: int, high: int) -> Iterator[str]:
    """Yield a tag in forms that common patterns ask for: without hyphens, letters alone, capitals."""
    plain = re.sub(r"[^a-z0-9]", "", tag.lower())
    letters = plain.translate(str.maketrans(string.digits, "abcdefghij"))
    for each in (
        tag,
        plain,
        plain.upper(),
        letters,
        letters.upper(),
        letters.capitalize(),
        plain.capitalize(),
    ):
        text = fit_tag(each, low, high)
        yield text if text.isalnum() or each is tag else re.sub(r"[^A-Za-z0-9]", "x", text)
