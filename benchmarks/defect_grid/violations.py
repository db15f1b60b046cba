"""Templates: an argument is not checked for a keyword, is read leniently, or is refused although it is valid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.defect_grid.catalogue_view import (
    ANY_KEY,
    EACH,
    Place,
    Schema,
    View,
    types,
    validator,
    witness,
)
from benchmarks.defect_grid.template import Spot, template

REFUSE = ("REQ-9", "DAT-2", "REQ-8", "COD-5")
DOES = ("create", "update", "list", "read", "delete", "other")


def _plain(schema: Schema) -> list[Any]:
    """Return a few values, of which some are near what a schema allows."""
    low: int = schema.get("minLength", 0)
    high: int = schema.get("maxLength", 200)
    minimum: Any = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    maximum: Any = schema.get("maximum", schema.get("exclusiveMaximum", 0))
    items = _items(schema.get("items", {}), schema.get("maxItems", 3) + 1)
    texts = ["a" * (high + 1), "1" * (high + 1), "a" * max(low - 1, 0), "", "zz", "ZZ", "a b", "!", "0", "a", "1",
             "1" * max(low - 1, 0), "+46" + "1" * high, "a@b", "2026-13-41", "no uuid", "A-1"]  # fmt: skip
    numbers = [
        minimum - 1,
        maximum + 1,
        minimum,
        maximum,
        minimum - 0.5,
        maximum + 0.5,
        0.3,
        7,
        0.00001,
        2**31,
        2**63,
    ]
    arrays = [items, items[:1] * 2, items[:1], []]
    sample = _sample(schema)
    whole = sample if isinstance(sample, dict) else {}
    objects: list[Any] = [
        {},
        {"zzUnknown": 1},
        {**whole, "zzUnknown": 1},
        {f"k{n}": "a" for n in range(schema.get("maxProperties", 3) + 1)},
    ]
    objects += [{f"k{n}": 1 for n in range(schema.get("maxProperties", 3) + 1)}, {"k": "a"}, {"k" * 40: "a"}]
    return [*texts, *numbers, *arrays, *objects, None, True, [1], {"a": 1}]


def _items(schema: Schema, count: int) -> list[Any]:
    valid = validator(schema)
    words = [
        *schema.get("enum", ()),
        *(f"{a}{n}" for n in range(1, count + 2) for a in ("a", "A")),
        *range(1, count + 2),
    ]
    words += [{name: _sample(part) for name, part in schema.get("properties", {}).items()}]
    return [word for word in words if valid(word)][:count] or []


def _sample(schema: Schema) -> Any:
    valid = validator(schema)
    if "properties" in schema:
        return {name: _sample(schema["properties"][name]) for name in schema.get("required", ())}
    samples = [
        "a",
        "ab",
        "a@example.com",
        "https://e.org/",
        "2026-01-02",
        "2026-01-02T03:04:05Z",
        1,
        0.5,
        5,
        True,
        [],
        {},
    ]
    return next((value for value in [*schema.get("enum", ()), *samples, None] if valid(value)), None)


def _without(*words: str) -> Callable[[Schema], Schema]:
    return lambda schema: {key: value for key, value in schema.items() if key not in words}


def _untyped(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key in ("properties", "x-ref")}


def _checked(view: View, *does: str) -> Iterator[Place]:
    """Yield the places whose values are checked: not identifiers, since an unknown one is refused all the same."""
    for place in view.arguments(*(does or DOES)):
        if "x-ref" not in place.schema and not place.function.beyond_schema:
            if place.function.name != view.logout.name:
                yield place


def _names_objects(place: Place) -> bool:
    """Return whether a function that writes takes identifiers here: no value is sent that could be taken for others."""
    return place.function.effect != "read" and "x-ref" in place.schema.get("items", {})


def _kind(place: Place) -> str:
    return f"{place.function.does or 'other'}, {place.depth}"


def _keyword(word: str, change: Callable[[Schema], Schema], *tells: str, name: str = "") -> None:
    def spots(view: View) -> Iterator[Spot]:
        for place in _checked(view):
            if word != "type" and word not in place.schema:
                continue
            if witness(place.schema, change(place.schema), _plain(place.schema)) is None:
                continue
            yield place.label, _kind(place), lambda host, p=place: host.loosen(p.function, p.path, change)

    template(f"unchecked.{name or word}", *(tells or REFUSE), areas=("DAT-7", "DAT-3"))(spots)


def _shifted(word: str, by: int) -> Callable[[Schema], Schema]:
    return lambda schema: {**schema, word: schema[word] + by}


for _word in ("enum", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
              "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems", "maxProperties",
              "propertyNames"):  # fmt: skip
    _keyword(_word, _without(_word))
_keyword("type", _untyped, "REQ-8", "DAT-2", "COD-5", "REQ-7", "REQ-9")
_keyword("maxLength", _shifted("maxLength", 1), name="maxLength-by-one")
_keyword("maximum", _shifted("maximum", 1), name="maximum-by-one")
_keyword("minimum", _shifted("minimum", -1), name="minimum-by-one")
_keyword("maxItems", _shifted("maxItems", 1), name="maxItems-by-one")
_keyword("additionalProperties", lambda s: {**s, "additionalProperties": True} if s.get("additionalProperties") is False else s,
         name="additionalProperties")  # fmt: skip


@template("unchecked.required", "REQ-7", "DAT-2", "COD-5")
def required_unchecked(view: View) -> Iterator[Spot]:
    for place in _checked(view):
        needed = place.schema.get("required", [])
        for name in needed:

            def change(schema: Schema, name: str = name) -> Schema:
                return {**schema, "required": [other for other in schema["required"] if other != name]}

            yield (f"{place.label}.{name}", _kind(place),
                   lambda host, p=place, change=change: host.loosen(p.function, p.path, change))  # fmt: skip


@template("unchecked.null", "REQ-7", "REQ-8", "DAT-2", "COD-5")
def null_unchecked(view: View) -> Iterator[Spot]:
    def change(schema: Schema) -> Schema:
        out = {**schema, "type": [*types(schema), "null"]}
        return {**out, "enum": [*out["enum"], None]} if "enum" in out else out

    for place in _checked(view, "create", "update", "list"):
        if (
            types(place.schema)
            and "null" not in types(place.schema)
            and place.path[-1] not in (EACH, ANY_KEY)
            and not _names_objects(place)
        ):
            yield place.label, _kind(place), lambda host, p=place: host.loosen(p.function, p.path, change)


# --- lenient readers: an invalid value is made valid before it is checked

Coercion = Callable[[Any, Schema], Any]


def _as_number(value: Any, schema: Schema) -> Any:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return value


def _nearest(value: Any, schema: Schema) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return min(max(value, schema.get("minimum", value)), schema.get("maximum", value))
    return value


def _cut(value: Any, schema: Schema) -> Any:
    most = schema.get("maxLength", schema.get("maxItems"))
    return value[:most] if isinstance(value, str | list) else value


def _known(value: Any, schema: Schema) -> Any:
    words = {word.lower(): word for word in schema.get("enum", ()) if isinstance(word, str)}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _by_ordinal(value: Any, schema: Schema) -> Any:
    words = schema.get("enum", [])
    inside = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(words)
    return words[value] if inside else value


def _first_of(value: Any, schema: Schema) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _wrapped(value: Any, schema: Schema) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def _as_text(value: Any, schema: Schema) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _as_boolean(value: Any, schema: Schema) -> Any:
    words = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, bool):
        return value
    return words.get(str(value), value) if isinstance(value, str | int) else value


def _stripped(value: Any, schema: Schema) -> Any:
    return value.strip() if isinstance(value, str) else value


def _truncated(value: Any, schema: Schema) -> Any:
    return int(value) if isinstance(value, float) and abs(value) < 2**53 else value


def _parsed(value: Any, schema: Schema) -> Any:
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _zero_of_null(value: Any, schema: Schema) -> Any:
    return "" if value is None else value


def _ascii_digits(value: Any, schema: Schema) -> Any:
    import unicodedata

    if not isinstance(value, str):
        return value
    return "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in value)


def _deduplicated(value: Any, schema: Schema) -> Any:
    return [v for i, v in enumerate(value) if v not in value[:i]] if isinstance(value, list) else value


def _day_time(value: Any, schema: Schema) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", value):
        return f"{value[:10]}T{value[11:] or '00:00:00'}Z"
    return value


def _day_of(value: Any, schema: Schema) -> Any:
    return value[:10] if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else value


def _rolled(value: Any, schema: Schema) -> Any:
    if isinstance(value, str) and re.match(r"\d{4}-02-(29|30|31)", value):
        return value.replace("-02-29", "-03-01").replace("-02-30", "-03-02").replace("-02-31", "-03-03")
    return value


def _has(*names: str) -> Callable[[Schema], bool]:
    return lambda schema: bool(types(schema) & set(names))


#: By name: what a lenient reader does, and the schemas for which it makes a valid value of an invalid one.
COERCIONS: dict[str, tuple[Coercion, Callable[[Schema], bool]]] = {
    "number-in-text": (_as_number, lambda s: _has("integer", "number")(s) and "string" not in types(s)),
    "clamped": (_nearest, lambda s: "minimum" in s or "maximum" in s),
    "cut": (_cut, lambda s: "maxLength" in s or "maxItems" in s),
    "enum-in-any-case": (_known, lambda s: any(isinstance(word, str) and word.swapcase() != word for word in s.get("enum", ()))),
    "enum-ordinal": (_by_ordinal, lambda s: "enum" in s),
    "single-of-array": (_first_of, lambda s: bool(types(s)) and "array" not in types(s)),
    "array-of-single": (_wrapped, lambda s: _has("array")(s) and _has("string", "integer", "number")(s.get("items", {}))),
    "text-of-number": (_as_text, lambda s: _has("string")(s) and not {"pattern", "format", "enum"} & set(s)),
    "boolean-of-word": (_as_boolean, _has("boolean")),
    "blanks-around": (_stripped, lambda s: bool({"enum", "format", "pattern"} & set(s))),
    "fraction-truncated": (_truncated, lambda s: types(s) - {"null"} == {"integer"}),
    "json-in-text": (_parsed, _has("array", "object")),
    "null-is-empty-text": (_zero_of_null, lambda s: types(s) == {"string"} and validator(s)("")),
    "digits-of-other-scripts": (_ascii_digits, lambda s: "[0-9]" in s.get("pattern", "") or s.get("format") in ("date", "date-time")),
    "duplicates-merged": (_deduplicated, lambda s: s.get("uniqueItems") is True and s.get("maxItems", 2) > 1),
    "date-for-date-time": (_day_time, lambda s: s.get("format") == "date-time"),
    "date-time-for-date": (_day_of, lambda s: s.get("format") == "date"),
    "day-rolled-over": (_rolled, lambda s: s.get("format") in ("date", "date-time")),
}  # fmt: skip


def _misspelt(schema: Schema) -> list[Any]:
    """Return spellings of valid values that a lenient reader may take for them."""
    valid = validator(schema)
    items = _items(schema.get("items", {}), max(schema.get("minItems", 1), 1))
    samples = [
        v for v in [*schema.get("enum", ()), _sample(schema), *_plain(schema), items, items * 2] if valid(v)
    ]
    samples += ["2024-01-31", "2024-01-31T10:20:30Z", "+4670123456", "1234567890123", "A1"]
    out: list[Any] = [*range(len(schema.get("enum", ()))), "x" * (schema.get("maxLength", 0) + 1)]
    for value in samples:
        out += [[value], f" {value} ", str(value), json.dumps(value), value]
        if isinstance(value, str):
            out += [
                value.swapcase(),
                value.replace("1", "١"),
                value[:10],
                f"{value[:10]}T00:00:00Z",
                "2024-02-30",
            ]
        if isinstance(value, bool):
            out += [str(value).lower(), int(value)]
        elif isinstance(value, int | float):
            out += [value + 0.5, value + 10**6, value - 10**6]
        if isinstance(value, list):
            out += [value * 2, value * 30, *value]
    return [*out, *_plain(schema), None, "2024-02-30T10:20:30Z"]


def _makes_valid(schema: Schema, change: Coercion) -> bool:
    """Return whether the reader makes a valid value of an invalid one: else the defect changes nothing."""
    valid = validator(schema)
    for value in _misspelt(schema):
        if not valid(value):
            read = change(value, schema)
            if read != value and valid(read):
                return True
    return False


def _coercions() -> None:
    for name, (change, fits) in COERCIONS.items():

        def spots(
            view: View, change: Coercion = change, fits: Callable[[Schema], bool] = fits
        ) -> Iterator[Spot]:
            for place in _checked(view, "create", "update", "list", "other"):
                if place.function.name in view.signing or not fits(place.schema):
                    continue
                if not _makes_valid(place.schema, change) or _names_objects(place):
                    continue
                yield (place.label, _kind(place),
                       lambda host, p=place: host.coerce(p.function, p.path, lambda v: change(v, p.schema)))  # fmt: skip

        template(f"lenient.{name}", *REFUSE, "REQ-7", areas=("DAT-7",))(spots)


_coercions()


@template("lenient.identifier-as-text-or-number", "REQ-8", "DAT-2", "COD-5", "COD-10")
def identifier_coerced(view: View) -> Iterator[Spot]:
    for place in view.arguments("read", "update", "delete"):
        if len(place.path) == 1 and "integer" in types(place.schema) and "x-ref" in place.schema:
            yield (place.label, place.function.does,
                   lambda host, p=place: host.coerce(p.function, p.path, lambda v: _as_number(v, p.schema)))  # fmt: skip


@template("lenient.identifier-operator", "REQ-8", "DAT-2", "DAT-8", "COD-5")
def identifier_operator(view: View) -> Iterator[Spot]:
    """An object for an identifier is an operator: it finds the caller's newest object."""
    # A function that writes gets no such value: it could act on an object that the run did not make.
    for function in view.that("read"):
        name = function.object["id"]

        def apply(host: Any, function: Any = function, name: str = name) -> None:
            def message(given: dict[str, Any], call: Any) -> dict[str, Any]:
                data = given.get("data")
                if isinstance(data, dict) and isinstance(data.get(name), dict):
                    for owner, body in reversed(host.objects(function.kind)):
                        if owner == call.user_id:
                            given["data"] = {**data, name: body[host.view.identifier(function.kind)]}
                            break
                return given

            host.on_message(message, function.name)

        yield f"{function.name}:{name}", function.does, apply


@template("lenient.other-spelling-of-a-parameter", "REQ-7", "REQ-1", "DAT-2", "COD-5")
def other_spelling(view: View) -> Iterator[Spot]:
    def snake(name: str) -> str:
        return re.sub("([A-Z])", lambda m: f"_{m[1].lower()}", name)

    for function in view.functions.values():
        for way in ("any case", "snake_case"):
            if way == "snake_case" and not any(snake(name) != name for name in function.required):
                continue
            if not function.required or function.beyond_schema:
                continue

            def apply(host: Any, function: Any = function, way: str = way) -> None:
                if way == "any case":
                    known = {name.lower(): name for name in function.params}
                else:
                    known = {snake(name): name for name in function.params}

                def message(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                    data = given.get("data")
                    if isinstance(data, dict):
                        found = {
                            known.get(key.lower() if way == "any case" else key, key): v
                            for key, v in data.items()
                        }
                        given["data"] = {**found, **{k: v for k, v in data.items() if k in function.params}}
                    return given

                host.on_message(message, function.name)

            yield f"{function.name}, {way}", function.does or "other", apply


# --- valid data refused


def _refusal(name: str, when: Callable[[Any, Schema], bool], values: Callable[[Schema], list[Any]]) -> None:
    def spots(view: View) -> Iterator[Spot]:
        for place in _checked(view, "create", "update", "list"):
            valid = validator(place.schema)
            if any(valid(value) and when(value, place.schema) for value in values(place.schema)):
                yield (place.label, _kind(place),
                       lambda host, p=place: host.also_refuse(p.function, p.path, lambda v: when(v, p.schema)))  # fmt: skip

    template(
        f"refused.{name}", "DAT-1", "DAT-5", "DAT-6", "STA-1", "STA-2", areas=("STA-6", "PAG-2", "REQ-2")
    )(spots)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_refusal("maximum", lambda v, s: _number(v) and v == s.get("maximum"), lambda s: [s.get("maximum")])
_refusal("minimum", lambda v, s: _number(v) and v == s.get("minimum"), lambda s: [s.get("minimum")])
_refusal("zero", lambda v, s: _number(v) and v == 0, lambda s: [0])
_refusal("empty-text", lambda v, s: v == "", lambda s: [""])
_refusal("empty-array", lambda v, s: v == [], lambda s: [[]])
_refusal("empty-object", lambda v, s: v == {}, lambda s: [{}])
_refusal("false", lambda v, s: v is False, lambda s: [False])
_refusal("null", lambda v, s: v is None, lambda s: [None])
_refusal(
    "last-of-the-enum", lambda v, s: "enum" in s and v == s["enum"][-1], lambda s: s.get("enum", [])[-1:]
)
_refusal("longest-text", lambda v, s: isinstance(v, str) and len(v) == s.get("maxLength"),
         lambda s: ["a" * s.get("maxLength", 0), "1" * s.get("maxLength", 0)])  # fmt: skip
_refusal("longest-in-utf16", lambda v, s: isinstance(v, str) and len(v.encode("utf-16-le", "replace")) // 2 > s.get("maxLength", 10**9),
         lambda s: ["😀" * s.get("maxLength", 0)])  # fmt: skip
_refusal("longest-in-bytes", lambda v, s: isinstance(v, str) and len(v.encode("utf-8", "replace")) > s.get("maxLength", 10**9),
         lambda s: ["é" * s.get("maxLength", 0)])  # fmt: skip
_refusal("full-array", lambda v, s: isinstance(v, list) and len(v) == s.get("maxItems") and len(v) > 0,
         lambda s: [_items(s.get("items", {}), s.get("maxItems", 0))])  # fmt: skip
_refusal("leap-day", lambda v, s: isinstance(v, str) and re.match(r"\d{4}-02-29", v) is not None,
         lambda s: ["2024-02-29", "2024-02-29T00:00:00Z"] if s.get("format") in ("date", "date-time") else [])  # fmt: skip
_refusal("offset", lambda v, s: isinstance(v, str) and re.search(r"[+-]\d\d:\d\d$", v) is not None,
         lambda s: ["2024-02-29T00:00:00+02:00"] if s.get("format") == "date-time" else [])  # fmt: skip
_refusal("plus-in-address", lambda v, s: isinstance(v, str) and re.fullmatch(r"[^@]*\+[^@]*@.*", v) is not None,
         lambda s: ["a+b@example.com"] if s.get("format") == "email" else [])  # fmt: skip
_refusal("beyond-32-bits", lambda v, s: _number(v) and v > 2**31 - 1, lambda s: [s.get("maximum", 2**40)])
