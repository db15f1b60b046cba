"""The exact validator: slow, for values that the fast validator cannot read."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, TypeVar

import jsonschema
import jsonschema.validators

from conformance.schema.bundle import LISTS, MAPS, SINGLE, Json
from conformance.schema.ecma import ecma, matcher

__all__ = [
    "MAX_INTEGER_BITS",
    "SPECIAL_NUMBER_BYTES",
    "ExactValidator",
    "has_special_numbers",
    "run_with_large_stack",
    "with_python_patterns",
    "without_huge_integers",
]

_T = TypeVar("_T")


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(_: object, value: object) -> bool:
    if isinstance(value, float):
        # A JSON number beyond the range of a float was an integer: nobody writes 300 decimals.
        return value.is_integer() or math.isinf(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: Json, pattern: str, value: Json, __: Json) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not matcher(pattern)(value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _multiple_of(_: Json, step: Json, value: Json, __: Json) -> Iterator[jsonschema.ValidationError]:
    if not _is_number(None, value) or (isinstance(value, float) and not math.isfinite(value)):
        return
    exact = Fraction(value) if isinstance(value, int) else Fraction(repr(value))
    if exact % Fraction(repr(step)):
        yield jsonschema.ValidationError(f"{value!r} is not a multiple of {step}")


ExactValidator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {"multipleOf": _multiple_of, "pattern": _pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number).redefine(
        "integer", _is_integer
    ),
)


def with_python_patterns(schema: Json) -> Json:
    """Return a bundled schema with `patternProperties` translated for Python; raises ValueError if it cannot be."""
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key, value in schema.items():
        if key in SINGLE:
            out[key] = with_python_patterns(value)
        elif key in LISTS:
            out[key] = [with_python_patterns(item) for item in value]
        elif key == "patternProperties":
            out[key] = {ecma(name): with_python_patterns(item) for name, item in value.items()}
        elif key in MAPS or key == "$defs":
            out[key] = {name: with_python_patterns(item) for name, item in value.items()}
    return out


#: The bytes of infinity and NaN in `marshal`; a value with these bytes is inspected by `has_special_numbers`.
SPECIAL_NUMBER_BYTES = tuple(struct.pack("<d", special)[1:] for special in (math.inf, -math.inf, math.nan))
#: Python refuses to format larger integers.
MAX_INTEGER_BITS = 14_000


def has_special_numbers(value: Json) -> bool:
    """Return whether a value contains infinity, NaN or an integer that Python cannot format."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, float):
            if not math.isfinite(item):
                return True
        elif isinstance(item, int) and item.bit_length() > MAX_INTEGER_BITS:
            return True
    return False


def without_huge_integers(value: Json) -> Json:
    """Return a value with each integer that Python cannot format replaced by infinity."""
    if isinstance(value, list):
        return [without_huge_integers(item) for item in value]
    if isinstance(value, dict):
        return {name: without_huge_integers(item) for name, item in value.items()}
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return math.copysign(math.inf, value > 0 or -1)
    return value


_STACK_SIZE_LOCK = threading.Lock()


def run_with_large_stack(work: Callable[[], _T]) -> _T:
    """Run a deeply recursive function in a thread with a large stack."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    with _STACK_SIZE_LOCK:
        before = threading.stack_size(512 * 1024 * 1024)
        try:
            thread = threading.Thread(target=run, name="deep-validation")
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
