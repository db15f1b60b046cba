"""Keywords of other JSON Schema dialects, translated to JSON Schema 2020-12.

Catalogues are often generated from OpenAPI 3.0, Draft-04 or Draft-07. A keyword with one meaning in 2020-12 is
translated (`translated`). Any other keyword is reported by `remarks`, with the way to write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

__all__ = [
    "BINDING_FORMATS",
    "FREE_TEXT_FORMATS",
    "INTEGER_FORMATS",
    "MAX_FLOAT",
    "NUMBER_FORMATS",
    "SHOWN",
    "SUGGESTED",
    "ignored",
    "is_format_bound",
    "is_known_text",
    "original_path",
    "remarks",
    "translated",
    "translated_node",
]

Json: TypeAlias = Any

#: The largest finite IEEE 754 number of 32 bits.
MAX_FLOAT = 3.4028234663852886e38
_MAX_DOUBLE = 1.7976931348623157e308

#: The minimum and maximum of each integer format.
INTEGER_FORMATS: dict[str, tuple[int, int]] = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
#: Formats that limit numbers. Beyond 53 bits JSON parsers differ, so the formats of 64 bits are not binding.
BINDING_FORMATS: dict[str, tuple[int | float, int | float]] = {
    **{name: ends for name, ends in INTEGER_FORMATS.items() if not name.endswith("64")},
    "float": (-MAX_FLOAT, MAX_FLOAT),
    "double": (-_MAX_DOUBLE, _MAX_DOUBLE),
}
NUMBER_FORMATS = frozenset({*INTEGER_FORMATS, "float", "double"})
#: Marks a schema whose `examples` are values that the target showed in this run.
SHOWN = "x-shown"
#: Keywords that are likely to hold: generated valid data keeps to them, and nothing is expected to enforce them.
SUGGESTED = "x-suggested"
#: Formats that describe how a text is displayed, not which texts are valid.
FREE_TEXT_FORMATS = frozenset({"password", "textarea", "multiline", "markdown"})

#: Formats for which texts can be generated, and validated if 2020-12 defines them.
KNOWN_TEXT_FORMATS = frozenset(
    {"byte", "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri",
     "iri-reference", "json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference", "uri-template",
     "uuid"}
)  # fmt: skip

_ONE_SCHEMA = (
    "additionalProperties",
    "additionalItems",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LISTS = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_MAPS = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")
_JOINING = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas"})
_TRIGGERS = frozenset(
    {"nullable", "format", "items", "additionalItems", "dependencies", "exclusiveMinimum", "exclusiveMaximum",
     "divisibleBy", "example"}
)  # fmt: skip


def translated_node(node: dict[str, Json]) -> dict[str, Json]:
    """Return one schema with keywords of 2020-12; its subschemas are not translated."""
    if _TRIGGERS.isdisjoint(node):
        return node
    out = dict(node)
    _items(out)
    _dependencies(out)
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(out.get(key), bool) and (out.pop(key) and _is_number(out.get(bound))):
            out[key] = out.pop(bound)
    if _is_number(out.get("divisibleBy")):
        out.setdefault("multipleOf", out.pop("divisibleBy"))
    if "example" in out and "examples" not in out:
        out["examples"] = [out["example"]]
    out.pop("example", None)
    _bounds(out)
    if isinstance(out.get("nullable"), bool) and out.pop("nullable"):
        return _with_null(out)
    return out


def is_format_bound(node: dict[str, Json], key: str) -> bool:
    """Return whether minimum or maximum is the limit of `float` or `double`, which is not a boundary to test."""
    name = node.get("format")
    return name in ("float", "double") and node.get(key) in BINDING_FORMATS[name]


def is_known_text(name: str) -> bool:
    """Return whether texts of a format are known, or may be any text."""
    return name in FREE_TEXT_FORMATS or name in KNOWN_TEXT_FORMATS


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _items(out: dict[str, Json]) -> None:
    """Translate a list of `items`, and `additionalItems`."""
    further = out.pop("additionalItems", None)
    if isinstance(out.get("items"), list) and "prefixItems" not in out:
        first = out.pop("items")
        if first:
            out["prefixItems"] = first
        if further is not None:
            out["items"] = further


def _dependencies(out: dict[str, Json]) -> None:
    """Translate `dependencies`."""
    declared = out.get("dependencies")
    if not isinstance(declared, dict):
        return
    del out["dependencies"]
    names = {name: value for name, value in declared.items() if isinstance(value, list)}
    names |= {name: [value] for name, value in declared.items() if isinstance(value, str)}
    schemas = {name: value for name, value in declared.items() if isinstance(value, dict | bool)}
    if names:
        out["dependentRequired"] = {**names, **out.get("dependentRequired", {})}
    if schemas:
        out["dependentSchemas"] = {**schemas, **out.get("dependentSchemas", {})}


def _bounds(out: dict[str, Json]) -> None:
    """Add the limits of a numeric format."""
    name = out.get("format")
    if not isinstance(name, str) or name not in BINDING_FORMATS:
        return
    low, high = BINDING_FORMATS[name]
    if "minimum" not in out or (_is_number(out["minimum"]) and out["minimum"] < low):
        out["minimum"] = low
    if "maximum" not in out or (_is_number(out["maximum"]) and out["maximum"] > high):
        out["maximum"] = high


def _with_null(out: dict[str, Json]) -> dict[str, Json]:
    """Return a schema that also allows null."""
    if not _JOINING.isdisjoint(out):
        return {"anyOf": [out, {"type": "null"}]}
    if "type" in out:
        types = out["type"] if isinstance(out["type"], list) else [out["type"]]
        out["type"] = types if "null" in types else [*types, "null"]
    if "const" in out:
        out["enum"] = [out.pop("const")]
    if isinstance(out.get("enum"), list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    return out


def translated(schema: Json) -> Json:
    """Return a schema and all its subschemas with keywords of 2020-12."""
    if not isinstance(schema, dict):
        return schema
    out = dict(translated_node(schema))
    for key in out.keys() & set(_ONE_SCHEMA):
        if isinstance(out[key], dict):
            out[key] = translated(out[key])
    for key in out.keys() & set(_LISTS):
        if isinstance(out[key], list):
            out[key] = [translated(item) for item in out[key]]
    for key in out.keys() & set(_MAPS):
        if isinstance(out[key], dict):
            out[key] = {name: translated(item) for name, item in out[key].items()}
    return out


def original_path(schema: Json, path: list[str | int]) -> list[str | int]:
    """Return the path in a schema for a path in its translation."""
    found: list[str | int] = []
    for key in path:
        if isinstance(schema, dict) and key not in schema:
            if "nullable" in schema and key == "anyOf":
                return found
            renamed = {
                "prefixItems": "items",
                "dependentRequired": "dependencies",
                "dependentSchemas": "dependencies",
                "multipleOf": "divisibleBy",
                "examples": "example",
            }.get(str(key))
            if renamed is None or renamed not in schema:
                return found
            key = renamed
        elif key == "items" and isinstance(schema, dict) and isinstance(schema.get("items"), list):
            key = "additionalItems"
        try:
            schema = schema[key]
        except (KeyError, IndexError, TypeError):
            return found
        found.append(key)
    return found


def remarks(schema: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (path, remark) for each keyword of another dialect: how it is translated, or that it is ignored."""
    if not isinstance(schema, dict):
        return
    yield from (((*path, key), why) for key, why in _remarks_here(schema))
    for key in _ONE_SCHEMA:
        if isinstance(schema.get(key), dict):
            yield from remarks(schema[key], (*path, key))
    for key in _LISTS:
        if isinstance(schema.get(key), list):
            for index, item in enumerate(schema[key]):
                yield from remarks(item, (*path, key, index))
    for key in _MAPS:
        if isinstance(schema.get(key), dict):
            for name, item in schema[key].items():
                yield from remarks(item, (*path, key, name))


def _translations(schema: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield (keyword, how it is translated) for each keyword of one schema that is translated."""
    if isinstance(schema.get("nullable"), bool):
        yield "nullable", 'is read as 2020-12 spells it: "type": ["string", "null"]'
    if isinstance(schema.get("items"), list):
        yield "items", "is a list, and is read as prefixItems; additionalItems beside it as items"
    if isinstance(schema.get("dependencies"), dict):
        yield "dependencies", "is read as dependentRequired and dependentSchemas"
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(key), bool) and (bound in schema or not schema[key]):
            yield key, f"is true or false, and is read with {bound}: 2020-12 writes the number itself"
    if "divisibleBy" in schema:
        yield "divisibleBy", "is read as multipleOf"


_IGNORED_KEYWORDS = {
    "extends": "is a word of Draft-03: write allOf",
    "disallow": 'is a word of Draft-03: write not, as in {"not": {"type": "string"}}',
    "optional": "is no word of JSON Schema: a parameter says required, an object lists its required members",
}


#: Syntax of Python's regular expressions that ECMA-262 does not have.
_PYTHON_PATTERNS = {
    "(?P<": "has a group as only Python spells it: ECMA-262 writes (?<name>…)",
    "(?P=": "refers to a group as only Python does: ECMA-262 writes \\k<name>",
    "(?i)": "has a flag that ECMA-262 has not: write both cases, as in [Aa]",
    "(?x)": "has a flag that ECMA-262 has not",
    "(?s)": "has a flag that ECMA-262 has not: write [^] for any character",
    "\\A": "has an anchor that ECMA-262 has not: write ^",
    "\\Z": "has an anchor that ECMA-262 has not: write $",
    "(?#": "has a comment, which ECMA-262 has not",
}


def _remarks_here(schema: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield (keyword, remark) for each keyword of one schema that is from another dialect."""
    yield from _translations(schema)
    yield from ignored(schema)


def ignored(schema: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield (keyword, remark) for each keyword of one schema that has no meaning in 2020-12."""
    if "additionalItems" in schema and not isinstance(schema.get("items"), list):
        yield (
            "additionalItems",
            "says nothing unless items is a list: for a closed list write prefixItems and items: false",
        )
    for key, why in _IGNORED_KEYWORDS.items():
        if key in schema:
            yield key, f"{why}; it is ignored"
    if isinstance(schema.get("pattern"), str):
        yield from (("pattern", why) for sign, why in _PYTHON_PATTERNS.items() if sign in schema["pattern"])
    if isinstance(schema.get("required"), bool):
        yield (
            "required",
            "is a list of member names in 2020-12; in OpenRPC required stands beside a parameter's schema",
        )
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(key) is True and bound not in schema:
            yield key, f'is true without {bound}: write the number itself, as in {{"{key}": 0}}'
