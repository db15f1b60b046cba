"""Any JSON whatever (DAT-3): every type, unusual names, numbers and texts, deep nesting."""

from __future__ import annotations

import math

from hypothesis.strategies import SearchStrategy

from conformance.generation.builders.objects import MAP_KEYS
from conformance.generation.choices import Choices
from conformance.generation.drawing import strategy_of
from conformance.generation.plain_text import plain_text
from conformance.generation.special_values import NUMBERS, TEXTS, Literal
from conformance.schema.bundle import Json

__all__ = ["TELLING_JSON", "TYPE_TAGS", "any_json"]

_SHORT_TEXTS = tuple(text.value for text in TEXTS if len(text.value) <= 64)
_FINITE_NUMBERS = tuple(number.value for number in NUMBERS if number.value not in (math.inf, -math.inf))
#: Names by which readers of several languages choose the class of an object (polymorphic deserialization).
TYPE_TAGS = (
    "@type", "@class", "$type", "$ref", "$id", "__class__", "__type", "class", "_class", "py/object", "!type",
)  # fmt: skip

_NAMES = (
    *MAP_KEYS,
    *TYPE_TAGS,
    "method",
    "data",
    "id",
    "isError",
    "role",
    "\x00",
    "\ud800",
    "length",
    "x" * 300,
)

#: Levels of deeply nested values.
_NESTING = (10, 60, 200)


def _levels(count: int) -> Json:
    value: Json = "x"
    for _ in range(count):
        value = {"a": [value]}
    return value


#: Values at which readers of JSON and frameworks end in an error of their own.
TELLING_JSON: tuple[Json, ...] = (
    *(_levels(levels) for levels in (5, 20, 60)),
    *({"a": number} for number in (2**53 + 1, 2**63, 2**64, 10**30, -(2**63) - 1)),
    *({"a": Literal(text)} for text in ("1e400", "-0.0", "1e-400")),
    *({"a": text} for text in ("\x00", "\ud800", "x" * 70_000, "%s%n", "{{7*7}}")),
    *({name: {}} for name in ("", "__proto__", "constructor", "$where", "a.b", "a[b]", "\x00")),
    {f"a{number}": number for number in range(1_001)},
    {"a": [0] * 1_001},
    [{"a": 1}],
)


def any_json() -> SearchStrategy[Json]:
    """Return the strategy of any JSON; one value in forty is deeply nested."""
    return strategy_of(
        lambda choices: _nested(choices) if choices.index(40) == 39 else _value(choices, 0), "any JSON"
    )


def _value(choices: Choices, depth: int) -> Json:
    # The deeper, the fewer containers: the size of a value is bounded, and most are small.
    way = choices.index(12 if depth < 2 else 10 if depth < 4 else 8)
    if way < 3:
        return (None, False, True)[way]
    if way == 3:
        return choices.integer(-1000, 1000)
    if way == 4:
        return _FINITE_NUMBERS[choices.index(len(_FINITE_NUMBERS))]
    if way == 5:
        return choices.integer(-(10**6), 10**6) / 1000
    if way == 6:
        return plain_text(choices, 0, None, True)
    if way == 7:
        return _SHORT_TEXTS[choices.index(len(_SHORT_TEXTS))]
    if way in (8, 10):
        return [_value(choices, depth + 1) for _ in range(choices.index(5))]
    return {_NAMES[choices.index(len(_NAMES))]: _value(choices, depth + 1) for _ in range(choices.index(5))}


def _nested(choices: Choices) -> Json:
    value = _value(choices, 3)
    for _ in range(_NESTING[choices.index(len(_NESTING))]):
        value = [value] if choices.index(2) else {"a": value}
    return value
