"""ECMA-262 patterns in Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import jsonschema_rs

from conformance.schema.bundle import Json

__all__ = ["ecma", "matcher", "replace_surrogates"]

_SPACE = r"\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": _SPACE}
_TOKEN = re.compile(
    r"\\u\{(?P<code>[0-9a-fA-F]+)\}|\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\c(?P<control>[A-Za-z])|\\k<(?P<back>\w+)>|\\(?P<escape>u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|0|[1-9]\d*|.)"
    r"|\(\?<(?P<name>[A-Za-z_]\w*)>|(?P<empty>\[\]|\[\^\])|(?P<open>\[\^?)|(?P<char>.)",
    re.DOTALL,
)


@lru_cache(maxsize=4096)
def ecma(pattern: str) -> str:
    r"""Return an ECMA-262 pattern (with the flag u) as a pattern of Python's re.

    `\d`, `\w`, `\s`, `\b` have their meaning in ECMA-262, and `$` matches only at the very end.

    Raises:
        ValueError: the text is not a pattern, or has no counterpart in Python (Unicode properties).

    """
    out: list[str] = []
    inside = False
    for match in _TOKEN.finditer(pattern):
        kind, text = match.lastgroup, match[0]
        if kind in ("code", "high", "low"):
            if match["code"]:
                number = int(match["code"], 16)
            else:
                number = 0x10000 + ((int(match["high"], 16) - 0xD800) << 10) + int(match["low"], 16) - 0xDC00
            if number > 0x10FFFF:
                raise ValueError(f"{text} is no character")
            out.append(re.escape(chr(number)))
        elif kind == "control":
            out.append(re.escape(chr(ord(match["control"].upper()) - 64)))
        elif kind == "back":
            out.append(f"(?P={match['back']})")
        elif kind == "name":
            out.append(f"(?P<{match['name']}>" if not inside else re.escape("(?<") + match["name"] + ">")
        elif kind == "empty":
            out.append(("(?!)" if text == "[]" else r"[\s\S]") if not inside else re.escape(text))
            if inside:
                raise ValueError("a bracket inside a character class must be escaped")
        elif kind == "open":
            out.append(text if not inside else re.escape(text))
            inside = True
        elif kind == "escape":
            out.append(_escape(match["escape"], inside))
        elif text == "]" and inside:
            inside = False
            out.append(text)
        elif text == "$" and not inside:
            out.append(r"\Z")
        elif text == "." and not inside:
            out.append(r"[^\n\r\u2028\u2029]")
        else:
            out.append(
                "\\" + text if inside and text in "&~|-[" and _is_doubled(pattern, match.start()) else text
            )
    translated = "".join(out)
    try:
        re.compile(translated)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return translated


def _is_doubled(pattern: str, at: int) -> bool:
    """Return whether a character is doubled: Python warns of "--", "&&", "||", "~~" in a character class."""
    return pattern[at : at + 1] in (pattern[at + 1 : at + 2], pattern[at - 1 : at] if at else "")


def _escape(letter: str, inside: bool) -> str:
    """Return the translation of an escape, outside or inside a character class."""
    if letter in _CLASSES:
        return _CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"
    if letter.lower() in _CLASSES:
        if inside:
            raise ValueError(rf"\{letter} inside a character class has no counterpart")
        return f"[^{_CLASSES[letter.lower()]}]"
    if letter in "pP":
        raise ValueError(rf"\{letter}{{…}} has no counterpart")
    if letter in "bB":
        return r"\x08" if inside else rf"(?a:\{letter})"
    if letter == "0":
        return r"\x00"
    if letter in ("t", "n", "v", "f", "r") or letter[0] in "ux" or letter.isdigit():
        return "\\" + letter
    if letter.isalpha():
        raise ValueError(rf"\{letter} is no escape")
    return re.escape(letter)


@lru_cache(maxsize=2048)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that searches a text for an ECMA-262 pattern; raises ValueError if it is not a pattern."""
    try:
        search = re.compile(ecma(pattern)).search
    except ValueError as why:
        # The fast validator supports Unicode properties, Python does not.
        try:
            other = jsonschema_rs.Draft202012Validator({"pattern": pattern})
        except (ValueError, jsonschema_rs.ValidationError):
            raise why from None
        return lambda text: other.is_valid(replace_surrogates(text))
    return lambda text: search(text) is not None


def replace_surrogates(value: Json) -> Json:
    """Return a value with each unpaired surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {replace_surrogates(name): replace_surrogates(item) for name, item in value.items()}
    return value
