"""Templates: what was sent comes back altered. Each change × member × create, update, read or list."""

from __future__ import annotations

import html
import math
import re
import struct
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from benchmarks.defect_grid.catalogue_view import (
    ANY_KEY,
    EACH,
    Place,
    Schema,
    View,
    altered,
    types,
    validator,
)
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Spot, template

Change = Callable[[Any], Any]

TELLS = ("DAT-5", "STA-1", "STA-2")
NUMBERS = ("DAT-6", "STA-1", "STA-2")

_LONG = "x" * 70_000

#: By name: what becomes of a text, and texts that show it. A place where none of them is allowed has no such defect.
TEXTS: dict[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
    "plus-to-blank": (
        lambda t: t.replace("+", " "),
        ("a+b", "a+b@example.com", "+4670123456", "https://e.org/a+b"),
    ),
    "percent-decoded": (unquote, ("a%20b", "100%25", "https://e.org/a%20b")),
    "entities-decoded": (html.unescape, ("a &amp; b", "https://e.org/?a=1&amp;b=2")),
    "entities-encoded": (lambda t: html.escape(t, quote=False), ("a & b < c", "https://e.org/?a=1&b=2")),
    "quotes-encoded": (lambda t: t.replace("'", "&#39;").replace('"', "&quot;"), ("it's", 'a "b"')),
    "quotes-doubled": (lambda t: t.replace("'", "''"), ("it's", "https://e.org/it's")),
    "backslashes-dropped": (lambda t: t.replace("\\", ""), ("a\\b",)),
    "escapes-read": (lambda t: t.replace("\\n", "\n").replace("\\t", "\t"), ("a\\nb",)),
    "unicode-escapes-read": (
        lambda t: re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), t),
        ("\\u00e9",),
    ),
    "trimmed": (str.strip, (" a ",)),
    "leading-blank-dropped": (str.lstrip, (" a",)),
    "last-newline-dropped": (lambda t: t.removesuffix("\n"), ("a\n",)),
    "blanks-collapsed": (lambda t: re.sub(" +", " ", t), ("a  b",)),
    "crlf-to-lf": (lambda t: t.replace("\r\n", "\n"), ("a\r\nb",)),
    "lf-to-crlf": (lambda t: re.sub("(?<!\r)\n", "\r\n", t), ("a\nb",)),
    "tab-to-blank": (lambda t: t.replace("\t", " "), ("a\tb",)),
    "no-break-space-to-blank": (lambda t: t.replace("\u00a0", " "), ("a\u00a0b",)),
    "null-text-to-null": (lambda t: None if t == "null" else t, ("null",)),
    "NULL-text-to-null": (lambda t: None if t == "NULL" else t, ("NULL",)),
    "undefined-to-empty": (lambda t: "" if t == "undefined" else t, ("undefined",)),
    "true-text-to-one": (lambda t: "1" if t == "true" else t, ("true",)),
    "empty-to-null": (lambda t: t or None, ("",)),
    "number-text-normalised": (
        lambda t: repr(float(t)) if re.fullmatch(r"\d+(\.\d+)?(e\d+)?", t) else t,
        ("1e5", "1.50"),
    ),
    "leading-zeros-dropped": (
        lambda t: t.lstrip("0") if re.fullmatch("0+[1-9][0-9]*", t) else t,
        ("007", "0000000000001"),
    ),
    "date-text-completed": (
        lambda t: f"{t}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", t) else t,
        ("2026-01-02",),
    ),
    "lower-case": (str.lower, ("AbC", "AB", "https://e.org/AbC", "Ab@example.com")),
    "capitalised": (lambda t: t[:1].upper() + t[1:], ("abc",)),
    "sharp-s-folded": (lambda t: t.replace("ß", "ss"), ("Straße",)),
    "dotless-i-folded": (lambda t: t.replace("ı", "i").replace("İ", "I"), ("ıİ",)),
    "long-s-folded": (lambda t: t.replace("ſ", "s"), ("ſo",)),
    "composed": (lambda t: unicodedata.normalize("NFC", t), ("e\u0301",)),
    "decomposed": (lambda t: unicodedata.normalize("NFD", t), ("é",)),
    "compatible-forms": (lambda t: unicodedata.normalize("NFKC", t), ("ﬁ①",)),
    "marks-dropped": (lambda t: "".join(c for c in t if not unicodedata.combining(c)), ("e\u0301\u0327",)),
    "astral-to-question-mark": (lambda t: re.sub("[\U00010000-\U0010ffff]", "?", t), ("a😀",)),
    "beyond-latin1-to-question-mark": (lambda t: t.encode("latin-1", "replace").decode("latin-1"), ("a€☃",)),
    "read-as-latin1": (lambda t: t.encode("utf-8", "replace").decode("latin-1"), ("é",)),
    "digits-of-other-scripts": (
        lambda t: "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in t),
        ("٣४",),
    ),
    "zero-width-dropped": (lambda t: re.sub("[\u200b\u200c\u200d\ufeff]", "", t), ("a\u200bb",)),
    "byte-order-mark-dropped": (lambda t: t.removeprefix("\ufeff"), ("\ufeffa",)),
    "soft-hyphen-dropped": (lambda t: t.replace("\u00ad", ""), ("a\u00adb",)),
    "directions-dropped": (
        lambda t: re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", t),
        ("a\u202eb",),
    ),
    "controls-dropped": (lambda t: re.sub("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]", "", t), ("a\x01b", "a\x7fb")),
    "line-separator-to-newline": (lambda t: t.replace("\u2028", "\n"), ("a\u2028b",)),
    "tags-dropped": (lambda t: re.sub("<[^<>]*>", "", t), ("<b>a</b>",)),
    "comments-dropped": (lambda t: re.sub(r"--.*|/\*.*?\*/", "", t), ("a -- b", "a /* b */")),
    "smart-dots": (lambda t: t.replace("...", "…"), ("a...",)),
    "smart-quotes": (lambda t: t.replace("'", "’"), ("it's",)),
    "template-filled": (lambda t: re.sub(r"\$\{[^}]*\}|\{\{[^}]*\}\}", "", t), ("${7*7}", "{{7*7}}")),
    "format-filled": (lambda t: t.replace("%s", "").replace("%d", "0"), ("%s%d",)),
    "double-percent": (lambda t: t.replace("%%", "%"), ("100%%",)),
    "formula-quoted": (lambda t: f"'{t}" if t[:1] in "=+@-" and t else t, ("=1+1", "@a", "-a")),
    "inherited-names-dropped": (lambda t: "" if t in ("__proto__", "constructor") else t, ("__proto__",)),
    "traversal-dropped": (lambda t: t.replace("../", ""), ("../../etc/passwd",)),
    "cut-at-255": (lambda t: t[:255], ("x" * 300,)),
    "cut-at-255-bytes": (lambda t: t.encode()[:255].decode("utf-8", "ignore"), ("é" * 150,)),
    "cut-at-1000": (lambda t: t[:1000], ("x" * 1500,)),
    "cut-at-4096-bytes": (lambda t: t.encode()[:4096].decode("utf-8", "ignore"), ("é" * 2500,)),
    "cut-at-65535-bytes": (lambda t: t.encode()[:65535].decode("utf-8", "ignore"), ("x" * 65536,)),
    "cut-at-65536": (lambda t: t[:65536], (_LONG,)),
    "last-of-longest-dropped": (lambda t: t, ()),
}


def _int32(number: Any) -> Any:
    return (number + 2**31) % 2**32 - 2**31 if isinstance(number, int) else number


def _single(number: Any) -> Any:
    try:
        return struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return number


NUMBER_CHANGES: dict[str, tuple[Change, tuple[Any, ...]]] = {
    "past-2-53-rounded": (lambda n: int(float(n)) if isinstance(n, int) else n, (2**53 + 1, 2**63 - 1)),
    "wrapped-to-32-bits": (_int32, (2**31, 2**32 + 5, -(2**31) - 1)),
    "clamped-to-32-bits": (lambda n: max(min(n, 2**31 - 1), -(2**31)), (2**31, 2**40)),
    "two-decimals": (lambda n: round(n, 2), (0.125, 0.0001, 0.3333)),
    "three-decimals": (lambda n: round(n, 3), (0.0001, 1.0005, 1e-9)),
    "single-precision": (_single, (0.1, 16777217, 1234.56)),
    "fraction-dropped": (lambda n: math.trunc(n), (0.5, 0.25, 1.75)),
    "zero-to-null": (lambda n: n or None, (0,)),
    "sign-dropped": (abs, (-1, -5)),
    "large-to-bound": (lambda n: min(n, 99999), (100_000, 2**40)),
    "small-to-zero": (lambda n: 0 if abs(n) < 1e-6 else n, (1e-7, 5e-324)),
}  # fmt: skip


def _drop_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if part not in (None, "", [], {})}
    return value


def _unique(items: Any) -> Any:
    return (
        [item for index, item in enumerate(items) if item not in items[:index]]
        if isinstance(items, list)
        else items
    )


def _sorted(items: Any) -> Any:
    return sorted(items, key=repr) if isinstance(items, list) else items


def _reversed(items: Any) -> Any:
    return items[::-1] if isinstance(items, list) else items


def _keys(change: Callable[[str], str]) -> Change:
    return lambda value: (
        {change(key): part for key, part in value.items()} if isinstance(value, dict) else value
    )


def _kept(when: Callable[[str, Any], bool]) -> Change:
    return lambda value: {k: v for k, v in value.items() if when(k, v)} if isinstance(value, dict) else value


LISTS: dict[str, Change] = {
    "array-sorted": _sorted,
    "array-reversed": _reversed,
    "equal-items-dropped": _unique,
    "array-cut-at-3": lambda v: v[:3],
    "array-last-dropped-when-full": lambda v: v,
    "empty-array-to-null": lambda v: v or None,
    "single-item-unwrapped": lambda v: v[0] if len(v) == 1 else v,
}
MAPS: dict[str, Change] = {
    "map-keys-lower": _keys(str.lower),
    "map-keys-composed": _keys(lambda key: unicodedata.normalize("NFC", key)),
    "map-keys-trimmed": _keys(str.strip),
    "map-keys-dots-replaced": _keys(lambda key: key.replace(".", "_")),
    "map-keys-camelised": _keys(lambda key: re.sub("_([a-z])", lambda m: m[1].upper(), key)),
    "map-empty-values-dropped": _kept(lambda _, value: value != ""),
    "map-inherited-keys-dropped": _kept(lambda key, _: key not in ("__proto__", "constructor", "prototype")),
    "map-dollar-keys-dropped": _kept(lambda key, _: not key.startswith("$")),
    "map-empty-key-dropped": _kept(lambda key, _: key != ""),
    "empty-map-to-array": lambda value: value or [],
}
#: Keys that show what a change of keys does.
KEYS = ("Ab", "e\u0301", " a", "a.b", "a_b", "constructor", "__proto__", "$a", "")


def _shows(place: Place, change: Change, values: tuple[Any, ...]) -> bool:
    """Return whether an allowed value is changed: else the defect changes nothing that can be seen."""
    valid = validator(place.schema)
    return any(valid(value) and change(value) != value for value in values)


def _channel(kind: str, place: Place, change: Change) -> Callable[[Host], Any]:
    """Return what puts a change into a member: where it is stored, or where it is shown."""
    if place.function.does in ("create", "update"):
        return lambda host: host.on_stored(
            kind, place.function.does, lambda args: altered(args, place.path, change)
        )
    return lambda host: host.on_shown(place.function, lambda value: altered(value, place.path, change))


def _spots(view: View, change: Change, fits: Callable[[Place], bool]) -> Iterator[Spot]:
    for does in ("create", "update", "read", "list"):
        found = view.stored(does) if does in ("create", "update") else view.observed(does)
        for place in found:
            if fits(place):
                yield place.label, f"{does}, {place.depth}", _channel(place.function.kind, place, change)


def _of_type(name: str, change: Change) -> Change:
    """Return a change of values of one type, and of no others."""
    kinds: dict[str, Any] = {"string": str, "number": int | float, "array": list, "object": dict}

    def only(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds[name]):
            return value
        return change(value)

    return only


def _texts() -> None:
    for name, (change, values) in TEXTS.items():
        if not values:
            continue

        def spots(view: View, change: Change = change, values: tuple[str, ...] = values) -> Iterator[Spot]:
            whole = _of_type("string", change)
            yield from _spots(
                view, whole, lambda p: "string" in types(p.schema) and _shows(p, change, values)
            )

        template(f"text.{name}", *TELLS)(spots)


def _numbers() -> None:
    for name, (change, values) in NUMBER_CHANGES.items():

        def spots(view: View, change: Change = change, values: tuple[Any, ...] = values) -> Iterator[Spot]:
            whole = _of_type("number", change)
            yield from _spots(
                view,
                whole,
                lambda p: bool(types(p.schema) & {"integer", "number"}) and _shows(p, change, values),
            )

        template(f"number.{name}", *NUMBERS)(spots)


def _items(schema: Schema) -> list[Any]:
    """Return arrays that show a change: unsorted, with equal items, long, of one item, empty."""
    valid = validator(schema.get("items", {}))
    some = [
        v
        for v in ("b", "a", "c", "d", 2, 1, 3, 4, "B1", "A1", "C1", "D1", "wed", "mon", "tue", "sun")
        if valid(v)
    ]
    if not some:
        return [[]]
    return [some[:2], some[:2][::-1], some[:4], [some[0], some[0]], some[:1], []]


def _arrays() -> None:
    for name, change in LISTS.items():
        if name == "array-last-dropped-when-full":
            continue

        def spots(view: View, change: Change = change) -> Iterator[Spot]:
            def fits(place: Place) -> bool:
                # The items of a set may come back in any order.
                is_set = place.schema.get("uniqueItems") is True and change in (_sorted, _reversed)
                arrays = "array" in types(place.schema) and not is_set
                return arrays and _shows(place, change, tuple(_items(place.schema)))

            yield from _spots(view, _of_type("array", change), fits)

        template(f"array.{name}", "STA-1", "STA-2", "DAT-5", "DAT-6")(spots)

    @template("array.last-dropped-when-full", "STA-1", "STA-2", "DAT-5", "DAT-6")
    def full(view: View) -> Iterator[Spot]:
        for does in ("create", "update"):
            for place in view.stored(does):
                most = place.schema.get("maxItems", 0)
                if most > 1 and "x-ref" not in place.schema.get("items", {}):

                    def cut(value: Any, most: int = most) -> Any:
                        return value[:-1] if isinstance(value, list) and len(value) == most else value

                    yield place.label, f"{does}, {place.depth}", _channel(place.function.kind, place, cut)


def _maps() -> None:
    for name, change in MAPS.items():

        def spots(view: View, change: Change = change) -> Iterator[Spot]:
            def fits(place: Place) -> bool:
                inner = place.schema.get("additionalProperties")
                if not isinstance(inner, dict):
                    return False
                value: Any = next((v for v in ("", "a", 1, {"count": 1}) if validator(inner)(v)), None)
                return _shows(place, change, (*({key: value} for key in KEYS), {}))

            yield from _spots(view, _of_type("object", change), fits)

        template(f"map.{name.removeprefix('map-')}", "STA-1", "STA-2", "DAT-5", "DAT-6")(spots)


#: What a language's zero is, by type.
ZEROS: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


@template("null.to-zero-of-the-type", "STA-1", "STA-2", "DAT-5", "DAT-6", "ENV-10")
def null_to_zero(view: View) -> Iterator[Spot]:
    def fits(place: Place) -> bool:
        return "null" in types(place.schema)

    for does in ("create", "update", "read", "list"):
        found = view.stored(does) if does in ("create", "update") else view.observed(does)
        for place in filter(fits, found):
            zero = ZEROS[next(iter(types(place.schema) - {"null"}))]

            def change(value: Any, zero: Any = zero) -> Any:
                return zero if value is None else value

            yield place.label, f"{does}, {place.depth}", _channel(place.function.kind, place, change)


@template("null.member-dropped", "STA-1", "STA-2", "ENV-10")
def null_dropped(view: View) -> Iterator[Spot]:
    for place in view.observed("read", "list"):
        if "object" in types(place.schema) and "properties" in place.schema:
            if any("null" in types(part) for part in place.schema["properties"].values()):
                change = _kept(lambda _, value: value is not None)
                yield (
                    place.label,
                    f"{place.function.does}, {place.depth}",
                    _channel(place.function.kind, place, change),
                )


@template("member.dropped-when-empty", "STA-1", "STA-2", "ENV-10", "DAT-5")
def member_dropped(view: View) -> Iterator[Spot]:
    for place in view.observed("read", "list"):
        last = place.path[-1]
        if last in (EACH, ANY_KEY) or not types(place.schema) & {"string", "array", "object"}:
            continue
        if place.function.does == "list" and not place.required and view.of(place.function.kind, "read"):
            # What a read shows, a list may leave out while it is empty.
            continue
        empty = {"string": "", "array": [], "object": {}}
        valid = validator(place.schema)
        if not any(valid(empty[kind]) for kind in types(place.schema) & set(empty)):
            continue

        def change(value: Any, last: str = last) -> Any:
            if isinstance(value, dict) and value.get(last, 0) in ("", [], {}):
                return {k: v for k, v in value.items() if k != last}
            return value

        yield (place.label, f"{place.function.does}, {place.depth}",
               lambda host, place=place, change=change: host.on_shown(
                   place.function, lambda value: altered(value, place.path[:-1], change)))  # fmt: skip


@template("boolean.false-to-null-or-missing", "STA-1", "STA-2", "ENV-10")
def false_lost(view: View) -> Iterator[Spot]:
    yield from _spots(view, lambda v: None if v is False else v, lambda p: "boolean" in types(p.schema))


@template("nested.first-member-lost", "STA-1", "STA-2", "DAT-5", "DAT-6", "ENV-10")
def nested_lost(view: View) -> Iterator[Spot]:
    def lose(value: Any) -> Any:
        return dict(list(value.items())[:-1]) if isinstance(value, dict) and len(value) > 1 else value

    yield from _spots(view, lose, lambda p: len(p.schema.get("properties", {})) > 1)


@template("map.last-entry-lost", "STA-1", "STA-2", "DAT-5", "DAT-6")
def map_entry_lost(view: View) -> Iterator[Spot]:
    def lose(value: Any) -> Any:
        return dict(list(value.items())[:-1]) if isinstance(value, dict) and len(value) > 1 else value

    yield from _spots(view, lose, lambda p: isinstance(p.schema.get("additionalProperties"), dict))


_texts()
_numbers()
_arrays()
_maps()
