"""Values of a wrong type or spelling that lenient readers convert to the valid value, made from valid data.

A wrong value that is also out of bounds is refused by a reader that converts it, too. Therefore each value here says
the same as the valid value that it replaces: `"12"` for 12, `[v]` for v, JSON text for an object, the ordinal of a
member of an enumeration, the valid text with blanks around it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from conformance.catalog.model import Method
from conformance.generation.compiled import compiled
from conformance.generation.data_walker import LocatedValue, located_values, removed, replaced
from conformance.generation.insertion_points import Place
from conformance.generation.patterns import settled
from conformance.generation.special_values import received
from conformance.schema.bundle import Json

__all__ = ["LenientValue", "lenient_values", "respelled_members"]

#: Digits of other scripts that `int` of Python and `Character.isDigit` of Java accept: Arabic-Indic, Devanagari.
_OTHER_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")

#: Formats whose standard allows no character outside ASCII, and those whose standard allows no ASCII blank.
_ASCII_FORMATS = frozenset({"date", "time", "date-time", "duration", "uuid", "ipv4", "ipv6"})
_FORMATS_WITHOUT_BLANKS = _ASCII_FORMATS | {"email", "idn-email", "hostname", "uri"}

#: Groups of families, by the beginnings of their names; the first that fits counts.
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "boolean from another type": (
        "a boolean as a number in text",
        "a boolean as a word",
        "a boolean as capitalized",
    ),
    "number from odd text": ("a valid number as text with",),
    "listed value in another case": ("a listed value in",),
    "listed value with blanks": ("a listed value with",),
    "array from text or object": ("an array as an object", "an array as text with commas"),
}

#: Words of families in which digits are other characters.
_OTHER_DIGITS_WORDS = ("digits of another script", "full-width digits")


@dataclass(frozen=True)
class LenientValue:
    """Invalid data that a lenient reader takes for valid data.

    `rule` is REQ-7, REQ-8 or REQ-9, `family` what is done to the value, and `label` and `pointer` the place. Values of
    one `group` at one place are converted by the same mechanism.
    """

    rule: str
    family: str
    label: str
    pointer: str
    parameter: str
    data: dict[str, Json]

    @property
    def group(self) -> str:
        """What the families that one mechanism converts have in common."""
        for group, words in _GROUPS.items():
            if self.family.startswith(words):
                return group
        if ", with " in self.family:
            return "text in other digits" if self.family.endswith(_OTHER_DIGITS_WORDS) else "text with blanks"
        return self.family

    @property
    def kind(self) -> str:
        """What is wrong, the same in every run."""
        return f"{self.label}: {self.family}"


def lenient_values(method: Method, data: dict[str, Json]) -> Iterator[LenientValue]:
    """Yield copies of valid data, each with one value that only a lenient reader takes, at every depth."""
    schema = compiled(method).schema
    for located in located_values(method, data):
        for rule, family, value in _variants(located):
            changed = replaced(data, located.path, value)
            if not schema.valid(received(changed)):
                yield _lenient(located, rule, family, changed)


def _lenient(located: LocatedValue, rule: str, family: str, data: dict[str, Json]) -> LenientValue:
    place = located.place
    return LenientValue(rule, family, place.label, place.pointer, located.parameter, data)


def _variants(located: LocatedValue) -> Iterator[tuple[str, str, Json]]:
    """Yield (rule, family, value) for one value of valid data."""
    value, place = located.value, located.place
    if value is None:
        yield "REQ-8", "null as text", "null"
        return
    if isinstance(value, bool):
        yield from _of_boolean(value)
    elif isinstance(value, int | float):
        yield from _of_number(value, place)
    elif isinstance(value, str):
        yield from _of_text(value, place)
    elif isinstance(value, list):
        yield from _of_array(value, place)
    else:
        yield from _of_object(value)
    if not isinstance(value, list):
        yield "REQ-8", "a valid value in an array", [value]


def _of_boolean(value: bool) -> Iterator[tuple[str, str, Json]]:
    yield "REQ-8", "a boolean as text", json.dumps(value)
    yield "REQ-8", "a boolean as a number", int(value)
    yield "REQ-8", "a boolean as a number in text", str(int(value))
    yield "REQ-8", "a boolean as a word", "yes" if value else "no"
    yield "REQ-8", "a boolean as capitalized text", str(value)


def _of_number(value: float, place: Place) -> Iterator[tuple[str, str, Json]]:
    text = json.dumps(value)
    yield "REQ-8", "a valid number as text", text
    yield "REQ-8", "a valid number as text with blanks around it", f" {text} "
    yield "REQ-8", "a valid number as text with a plus sign", f"+{text}"
    yield "REQ-8", "a valid number as text in digits of another script", text.translate(_OTHER_DIGITS)
    if value in (0, 1):
        yield "REQ-8", "a boolean for a valid number", bool(value)
    if isinstance(value, int):
        yield "REQ-8", "a valid number as text with a fraction of 0", f"{text}.0"
    yield from _of_enumeration(value, place)


def _of_text(value: str, place: Place) -> Iterator[tuple[str, str, Json]]:
    yield from _of_enumeration(value, place)
    strings = [shape for shape in place.shapes if "string" in shape.types]
    strict = [name for shape in strings for name in shape.formats]
    patterns = [pattern for shape in strings for pattern in shape.patterns]
    if not strict and not patterns:
        if not any(shape.values is not None for shape in strings):
            shortest = max((shape.shortest for shape in strings), default=0)
            yield "REQ-8", "a number for a text", int("12345678"[: max(1, len(value))].ljust(shortest, "9"))
        return
    if not set(strict) <= _FORMATS_WITHOUT_BLANKS:
        return
    family = f"a valid {strict[0]}" if strict else "a text of the pattern"
    spelled = [
        ("a blank before", f" {value}"),
        ("a blank behind", f"{value} "),
        ("a line end behind", f"{value}\n"),
        ("a tab before", f"\t{value}"),
    ]
    if set(strict) <= _ASCII_FORMATS:
        spelled += [
            ("a no-break space behind", f"{value}\u00a0"),
            ("digits of another script", value.translate(_OTHER_DIGITS)),
            ("full-width digits", value.translate(_FULL_WIDTH)),
        ]
    if strict == ["date"]:
        yield "REQ-9", "a valid date, as a date-time", f"{value}T00:00:00Z"
    elif strict == ["date-time"]:
        yield "REQ-9", "a valid date-time, as a date", value[:10]
        yield "REQ-9", "a valid date-time, without its offset", value[:19]
    for what, text in spelled:
        # Where the dialects of patterns differ, a text is neither allowed nor forbidden.
        if text != value and all(settled(pattern, text) is not None for pattern in patterns):
            yield "REQ-9", f"{family}, with {what}", text


def _of_enumeration(value: Json, place: Place) -> Iterator[tuple[str, str, Json]]:
    values = [each for shape in place.shapes if shape.values is not None for each in shape.values]
    if value not in values:
        return
    ordinal = values.index(value)
    if isinstance(value, str):
        yield "REQ-9", "the ordinal of a listed value", ordinal
        yield "REQ-9", "the ordinal of a listed value as text", str(ordinal)
        yield "REQ-9", "a listed value with a blank behind", f"{value} "
        yield "REQ-9", "a listed value with a blank before", f" {value}"
        yield "REQ-9", "a listed value with a line end behind", f"{value}\n"
        for what, text in (("in upper case", value.upper()), ("in lower case", value.lower())):
            if text not in values:
                yield "REQ-9", f"a listed value {what}", text
        if len(value) > 2 and value[:-1] not in values:
            yield "REQ-9", "the beginning of a listed value", value[:-1]


def _of_array(value: list[Json], place: Place) -> Iterator[tuple[str, str, Json]]:
    if value and any(shape.unique for shape in place.shapes):
        yield "REQ-9", "an array with an item twice", [*value, value[0]]
    yield "REQ-8", "an array as JSON text", json.dumps(value, ensure_ascii=False)
    yield "REQ-8", "an array as an object with indices", {str(key): item for key, item in enumerate(value)}
    if value:
        yield "REQ-8", "a valid item without its array", value[0]
    if value and all(isinstance(item, str) for item in value):
        yield "REQ-8", "an array as text with commas", ",".join(value)


def _of_object(value: dict[str, Json]) -> Iterator[tuple[str, str, Json]]:
    yield "REQ-8", "an object as JSON text", json.dumps(value, ensure_ascii=False)
    yield "REQ-8", "an object as pairs", [[name, item] for name, item in value.items()]


# --- names of members ---------------------------------------------------------------------------------------


def respelled_members(method: Method, data: dict[str, Json]) -> Iterator[LenientValue]:
    """Yield copies of valid data with the name of one required member in another spelling, at every depth.

    The member is then left out (REQ-7): an undeclared member is ignored or refused.
    """
    schema = compiled(method).schema
    for located in located_values(method, data):
        name = located.path[-1]
        if not located.place.required or not isinstance(name, str):
            continue
        for family, spelling in spellings_of_name(name):
            without = removed(data, located.path)
            changed = replaced(without, (*located.path[:-1], spelling), located.value)
            if not schema.valid(received(changed)):
                yield _lenient(located, "REQ-7", family, changed)


def spellings_of_name(name: str) -> list[tuple[str, str]]:
    """Return (what is done, the name) for spellings that lenient readers take for the name."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    spelled = [
        ("its name with a capital first", name[:1].upper() + name[1:]),
        ("its name in upper case", name.upper()),
        ("its name in lower case", name.lower()),
        ("its name with underscores", words),
        ("its name with hyphens", words.replace("_", "-")),
        ("its name with a blank behind", f"{name} "),
        ("its name with a blank before", f" {name}"),
        ("its name with a zero-width space", f"{name}\u200b"),
        ("its name with brackets", f"{name}[]"),
    ]
    return [(what, spelling) for what, spelling in spelled if spelling != name]
