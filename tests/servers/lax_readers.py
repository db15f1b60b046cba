"""Lenient readers of identifiers: each finds objects by values that no identifier has."""

from __future__ import annotations

import contextlib
import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

#: Takes a value and the identifiers that exist, in their order; returns those that the value is taken for.
Reader = Callable[[Any, list[Any]], list[Any]]
#: The ways to take a value for an identifier, by name.
LAXNESS: dict[str, Reader] = {}


def lax(reader: Reader) -> Reader:
    LAXNESS[reader.__name__] = reader
    return reader


def _as_number(value: Any, convert: Callable[[Any], float]) -> list[Any]:
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return [int(convert(value))]
    return []


@lax
def text_for_number(value: Any, every: list[Any]) -> list[Any]:
    return _as_number(value, int) if isinstance(value, str) else []


@lax
def number_for_text(value: Any, every: list[Any]) -> list[Any]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []

    def leading(text: str) -> float:
        found = re.match(r"\d+", text)
        return float(found[0]) if found else 0.0

    return [each for each in every if isinstance(each, str) and leading(each) == value]


@lax
def prefix_of_digits(value: Any, every: list[Any]) -> list[Any]:
    found = re.match(r"\s*([+-]?\d+)", value) if isinstance(value, str) else None
    return [int(found[1])] if found else []


@lax
def no_digits_are_zero(value: Any, every: list[Any]) -> list[Any]:
    zero = isinstance(value, str) and not re.match(r"\s*[+-]?[1-9]", value)
    return every[:1] if zero and isinstance(every[0], int) else []


@lax
def zero_is_all(value: Any, every: list[Any]) -> list[Any]:
    return every if not isinstance(value, str) and value == 0 else []


@lax
def boolean(value: Any, every: list[Any]) -> list[Any]:
    return [int(value)] if isinstance(value, bool) else []


@lax
def boolean_text(value: Any, every: list[Any]) -> list[Any]:
    return [1] if isinstance(value, str) and value.strip().lower() in ("true", "yes", "on") else []


@lax
def fraction_cut(value: Any, every: list[Any]) -> list[Any]:
    return _as_number(value, math.trunc) if isinstance(value, float) else []


@lax
def fraction_rounded(value: Any, every: list[Any]) -> list[Any]:
    return _as_number(value, round) if isinstance(value, float) else []


@lax
def fraction_up(value: Any, every: list[Any]) -> list[Any]:
    return _as_number(value, math.ceil) if isinstance(value, float) else []


@lax
def fraction_text(value: Any, every: list[Any]) -> list[Any]:
    return _as_number(value, float) if isinstance(value, str) else []


@lax
def wraps_32(value: Any, every: list[Any]) -> list[Any]:
    return [value % 2**32] if isinstance(value, int) and abs(value) >= 2**31 else []


@lax
def wraps_64(value: Any, every: list[Any]) -> list[Any]:
    return [value % 2**64] if isinstance(value, int) and abs(value) >= 2**63 else []


@lax
def sign_ignored(value: Any, every: list[Any]) -> list[Any]:
    return [abs(value)] if isinstance(value, int) and value < 0 else []


@lax
def index_from_the_end(value: Any, every: list[Any]) -> list[Any]:
    return [every[value]] if isinstance(value, int) and -len(every) <= value < 0 else []


@lax
def hexadecimal(value: Any, every: list[Any]) -> list[Any]:
    return _as_number(value, lambda text: int(text, 0)) if isinstance(value, str) else []


@lax
def octal(value: Any, every: list[Any]) -> list[Any]:
    return [int(value, 8)] if isinstance(value, str) and re.fullmatch("0[0-7]+", value) else []


@lax
def null_is_all(value: Any, every: list[Any]) -> list[Any]:
    return every if value is None else []


@lax
def null_is_the_last(value: Any, every: list[Any]) -> list[Any]:
    return every[-1:] if value is None else []


@lax
def empty_is_all(value: Any, every: list[Any]) -> list[Any]:
    return every if value in ("", [], {}) or (isinstance(value, str) and not value.strip()) else []


@lax
def nothing_in_words(value: Any, every: list[Any]) -> list[Any]:
    words = ("null", "none", "undefined", "all", "*", "nan", "nil", "last", "any")
    return every if isinstance(value, str) and value.strip().lower() in words else []


@lax
def array_of_one(value: Any, every: list[Any]) -> list[Any]:
    return value[:1] if isinstance(value, list) else []


@lax
def array_of_any(value: Any, every: list[Any]) -> list[Any]:
    return value if isinstance(value, list) else []


@lax
def array_is_one(value: Any, every: list[Any]) -> list[Any]:
    return [1] if isinstance(value, list | dict) and value else []


@lax
def operators(value: Any, every: list[Any]) -> list[Any]:
    if not isinstance(value, dict) or not any(str(name).startswith("$") for name in value):
        return []
    if value.get("$eq") is not None:
        return [value["$eq"]]
    return value["$in"] if isinstance(value.get("$in"), list) else every


@lax
def any_object_is_all(value: Any, every: list[Any]) -> list[Any]:
    return every if isinstance(value, dict) else []


@lax
def other_case(value: Any, every: list[Any]) -> list[Any]:
    lowered = value.casefold() if isinstance(value, str) else None
    return [each for each in every if isinstance(each, str) and each.casefold() == lowered]


@lax
def white_space(value: Any, every: list[Any]) -> list[Any]:
    return [value.strip()] if isinstance(value, str) else []


@lax
def compatible_letters(value: Any, every: list[Any]) -> list[Any]:
    return [unicodedata.normalize("NFKC", value)] if isinstance(value, str) else []


@lax
def ends_at_nul(value: Any, every: list[Any]) -> list[Any]:
    return [value.partition("\0")[0]] if isinstance(value, str) else []


@lax
def beginning(value: Any, every: list[Any]) -> list[Any]:
    if not isinstance(value, str) or not value:
        return []
    return [each for each in every if isinstance(each, str) and each.startswith(value)]


@lax
def longer(value: Any, every: list[Any]) -> list[Any]:
    if not isinstance(value, str):
        return []
    return [each for each in every if isinstance(each, str) and value.startswith(each)]


@lax
def wildcards(value: Any, every: list[Any]) -> list[Any]:
    if not isinstance(value, str) or not re.search(r"[%_*]", value):
        return []
    pattern = re.escape(value).replace("%", ".*").replace("_", ".").replace(r"\*", ".*")
    return [each for each in every if re.fullmatch(pattern, str(each))]


@lax
def injection(value: Any, every: list[Any]) -> list[Any]:
    return every if isinstance(value, str) and re.search(r"['\";|]|--|\bor\b", value, re.I) else []


@lax
def lists_in_text(value: Any, every: list[Any]) -> list[Any]:
    parts = re.split(r"[,; ]", value) if isinstance(value, str) else []
    return [int(part) for part in parts if part.isascii() and part.isdigit()]


@lax
def digits_of_a_text(value: Any, every: list[Any]) -> list[Any]:
    digits = re.sub(r"[^0-9]", "", value) if isinstance(value, str) else ""
    return [int(digits)] if digits else []
