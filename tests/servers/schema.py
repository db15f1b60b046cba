"""The part of JSON Schema that the servers need, and JSON as it was written.

Numbers keep their spelling until they are judged, so that a value which a double cannot hold is refused, not
rounded.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+")
UNSTORABLE = re.compile("[\\0\\ud800-\\udfff]")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DATE_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
    r"(?:\.[0-9]+)?(?P<offset>[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://)?[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class Written(float):
    """A number with a fraction or an exponent, and how it was spelt."""

    text: str

    def __new__(cls, text: str) -> Written:
        """Read the number; whatever is too large becomes infinite."""
        value = super().__new__(cls, text)
        value.text = text
        return value


def _integer(text: str) -> int | Written:
    if text == "-0":
        return Written("-0.0")
    try:
        return int(text)
    except ValueError:  # longer than the interpreter turns into an int
        return Written(text)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name twice")
    return members


def parse(text: str, *, duplicates: bool = False) -> Any:
    """Read exactly one JSON text; ValueError or RecursionError when it is none."""
    return json.loads(
        text,
        parse_float=Written,
        parse_int=_integer,
        parse_constant=_no_constant,
        object_pairs_hook=dict if duplicates else _members,
    )


def exact(value: Any) -> bool:
    """Return whether a number can be stored as it was written."""
    if not isinstance(value, Written):
        return True
    if not math.isfinite(value):
        return False
    try:
        return Decimal(value.text) == Decimal(repr(float(value)))
    except (InvalidOperation, ArithmeticError):
        return False


def is_integer(value: Any) -> bool:
    """Whether JSON Schema calls it an integer: 1.0 is one, true is none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (
        isinstance(value, float) and math.isfinite(value) and value.is_integer()
    )


def is_number(value: Any) -> bool:
    """Whether it is a number that a double or an int can hold."""
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(float_of(value))


def float_of(value: int | float) -> float:
    """The value as a double, 0 for an int beyond its range (which Python holds all the same)."""
    try:
        return float(value)
    except OverflowError:
        return 0.0


TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: 1 is 1.0, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def is_date(text: str) -> bool:
    """Whether it is a full-date of RFC 3339."""
    if not DATE.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_date_time(text: str) -> bool:
    """Whether it is a date-time of RFC 3339; a leap second may stand at the end of a minute."""
    found = DATE_TIME.fullmatch(text)
    if found is None or not is_date(found["date"]):
        return False
    offset = found["offset"]
    ahead = 0 if offset in "Zz" else int(offset[1:3]) * 60 + int(offset[4:])
    if offset not in "Zz" and int(offset[4:]) > 59:
        return False
    minute = int(found["hour"]) * 60 + int(found["minute"])
    if int(found["hour"]) > 23 or int(found["minute"]) > 59 or ahead >= 1440:
        return False
    last = (minute + (ahead if offset[0] == "-" else -ahead)) % 1440 == 1439
    return int(found["second"]) < (61 if last else 60)


def is_uri(text: str) -> bool:
    """Whether it is a URI of RFC 3986 with a scheme."""
    return URI.fullmatch(text) is not None and BAD_ESCAPE.search(text) is None


FORMATS: dict[str, Callable[[str], bool]] = {
    "email": lambda text: EMAIL.fullmatch(text) is not None,
    "date": is_date,
    "date-time": is_date_time,
    "uuid": lambda text: UUID.fullmatch(text) is not None,
    "uri": is_uri,
}
#: The formats of numbers, which are bounds.
BOUNDS: dict[str, tuple[float, float]] = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32)},
    "float": (-3.4028234663852886e38, 3.4028234663852886e38),
}


def resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow `$ref` into the document."""
    while "$ref" in schema:
        found: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def violation(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> str | None:
    """The keyword that the value breaks, or None."""
    schema = resolve(schema, root)
    if value is None and schema.get("nullable") is True:
        return None
    if "anyOf" in schema and all(violation(value, option, root) for option in schema["anyOf"]):
        return "anyOf"
    kinds = schema.get("type")
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(TYPES[kind](value) for kind in kinds):
            return "type"
    if "enum" in schema and not any(same(value, allowed) for allowed in schema["enum"]):
        return "enum"
    if isinstance(value, str):
        return _string(value, schema)
    if isinstance(value, list):
        return _array(value, schema, root)
    if isinstance(value, dict):
        return _object(value, schema, root)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, schema)
    return None


def _string(value: str, schema: dict[str, Any]) -> str | None:
    if len(value) < schema.get("minLength", 0):
        return "minLength"
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        return "maxLength"
    if "pattern" in schema and not re.search(re.sub(r"\$$", r"\\Z", schema["pattern"]), value):
        return "pattern"
    if "format" in schema and schema["format"] in FORMATS and not FORMATS[schema["format"]](value):
        return "format"
    return None


def _number(value: int | float, schema: dict[str, Any]) -> str | None:
    if not exact(value):
        return "exact"
    if "minimum" in schema and value < schema["minimum"]:
        return "minimum"
    if "maximum" in schema and value > schema["maximum"]:
        return "maximum"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return "exclusiveMinimum"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        return "exclusiveMaximum"
    low, high = BOUNDS.get(schema.get("format", ""), (-math.inf, math.inf))
    if not low <= value <= high:
        return "format"
    if "multipleOf" in schema and Fraction(repr_of(value)) % Fraction(str(schema["multipleOf"])) != 0:
        return "multipleOf"
    return None


def repr_of(value: int | float) -> str:
    """The number in decimal, in the fewest digits that a double needs."""
    return str(value) if isinstance(value, int) else repr(float(value))


def _array(value: list[Any], schema: dict[str, Any], root: dict[str, Any]) -> str | None:
    if len(value) < schema.get("minItems", 0):
        return "minItems"
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        return "maxItems"
    if schema.get("uniqueItems"):
        for index, item in enumerate(value):
            if any(same(item, earlier) for earlier in value[:index]):
                return "uniqueItems"
    if "items" in schema:
        for item in value:
            if broken := violation(item, schema["items"], root):
                return broken
    return None


def _object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any]) -> str | None:
    properties = schema.get("properties", {})
    if any(name not in value for name in schema.get("required", [])):
        return "required"
    if len(value) > schema.get("maxProperties", len(value)):
        return "maxProperties"
    if len(value) < schema.get("minProperties", 0):
        return "minProperties"
    if "propertyNames" in schema and any(violation(name, schema["propertyNames"], root) for name in value):
        return "propertyNames"
    others = schema.get("additionalProperties", True)
    for name, member in value.items():
        if name in properties:
            broken = violation(member, properties[name], root)
        elif others is False:
            broken = "additionalProperties"
        else:
            broken = violation(member, others, root) if isinstance(others, dict) else None
        if broken:
            return broken
    return None


def settle(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Return a valid value as it is stored: integers as int, other numbers as float."""
    schema = resolve(schema, root)
    if isinstance(value, list):
        return [settle(item, schema.get("items", {}), root) for item in value]
    if isinstance(value, dict):
        others = schema.get("additionalProperties", True)
        rest = others if isinstance(others, dict) else {}
        properties = schema.get("properties", {})
        return {name: settle(member, properties.get(name, rest), root) for name, member in value.items()}
    if isinstance(value, float):
        kinds = schema.get("type")
        whole = kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds)
        return int(value) if whole and is_integer(value) else float(value)
    return value


def storable(value: Any) -> bool:
    """Return whether every text in the value can be stored: no U+0000, no half of a surrogate pair."""
    if isinstance(value, str):
        return UNSTORABLE.search(value) is None
    if isinstance(value, list):
        return all(map(storable, value))
    if isinstance(value, dict):
        return all(storable(name) and storable(member) for name, member in value.items())
    return True
