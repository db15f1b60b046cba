"""JSON values as JSON Schema compares them, and exact arithmetic on their numbers."""

from __future__ import annotations

import json
import math
from fractions import Fraction

from conformance.schema.bundle import Json

__all__ = ["exact", "json_key", "least_common_multiple", "plain_number", "same_json"]


def exact(number: float) -> Fraction:
    """Return a number exactly as its JSON text says."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def plain_number(number: Fraction) -> int | float:
    """Return a number as JSON writes it: as an integer where it is one."""
    return int(number) if number.denominator == 1 else float(number)


def least_common_multiple(one: Fraction, other: Fraction) -> Fraction:
    """Return the smallest number that is a multiple of both."""
    return Fraction(math.lcm(one.numerator, other.numerator), math.gcd(one.denominator, other.denominator))


def same_json(one: Json, other: Json) -> bool:
    """Return whether JSON Schema regards two values as equal."""
    return json_key(one) == json_key(other)


def json_key(value: Json) -> str:
    """Return a text that is the same for two values exactly when JSON Schema regards them as equal."""
    return json.dumps(_integers(value), sort_keys=True)


def _integers(value: Json) -> Json:
    """Return a value with each whole float as an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_integers(item) for item in value]
    if isinstance(value, dict):
        return {name: _integers(item) for name, item in value.items()}
    return value
