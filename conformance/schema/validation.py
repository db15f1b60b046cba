"""JSON Schema 2020-12 in the dialect of the rulebook: is a value valid, where not, which schemas speak of it.

The dialect (rulebook, the paragraph after DAT-9): `format` is binding; an e-mail address is valid in the
plain forms only; `pattern` is ECMA-262 and unanchored; lengths count code points; 1.0 is an integer, true is
no number.
"""

from __future__ import annotations

import json
import marshal
import math
import re
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote

import jsonschema
import jsonschema.validators
import jsonschema_rs
from jsonschema.exceptions import FormatError

from conformance.schema.dialect import original_path, translated, translated_node

__all__ = [
    "Json",
    "Schema",
    "SchemaError",
    "bundle",
    "ecma",
    "json_type",
    "matcher",
    "places",
    "point",
    "resolve_pointer",
]

#: Any JSON value, as Python's json module reads it.
Json: TypeAlias = Any
_T = TypeVar("_T")

SINGLE = (
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
)
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
MAPS = ("properties", "patternProperties", "dependentSchemas")
#: Keywords that say nothing by themselves of a value, but of what is in it or with others beside them.
_INWARDS = frozenset(
    [*SINGLE, *MAPS, "allOf", "prefixItems", "$ref", "$defs", "minContains", "maxContains"]
) - {"contains", "not", "propertyNames", "dependentSchemas"}
#: What a value takes as marshal writes it, in bytes, from where on it is large.
_LARGE = 1 << 18
#: Members that a bundle does without: references are resolved, definitions are gathered.
_DROPPED = frozenset({"$id", "$schema", "$anchor", "$comment", "$defs", "definitions"})


class SchemaError(Exception):
    """A schema is none; `pointer` (JSON pointer inside the schema) says where, the message says why."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer


def point(pointer: str, *tokens: str | int) -> str:
    """Return a JSON pointer (RFC 6901) with further tokens behind it."""
    for token in tokens:
        pointer += "/" + str(token).replace("~", "~0").replace("/", "~1")
    return pointer


def resolve_pointer(document: Json, pointer: str) -> Json:
    """Return what a JSON pointer points at; raises LookupError when there is nothing."""
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document[token]
        elif isinstance(document, list) and re.fullmatch(r"0|[1-9][0-9]*", token):
            document = document[int(token)]
        else:
            raise LookupError(pointer)
    return document


def json_type(value: Json) -> str:
    """Return the JSON type of a value: null, boolean, number, string, array or object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


# --- one schema by itself -----------------------------------------------------------------------------------


class _Bundler:
    """Copies a schema, and gathers whatever it refers to under its own `$defs`."""

    def __init__(self, root: Json) -> None:
        self.root = root
        self.definitions: dict[str, Json] = {}
        self._names: dict[int, str] = {}

    def copy(self, schema: Json, scope: Json, pointer: str) -> Json:
        if not isinstance(schema, dict):
            return schema
        schema = translated_node(schema)
        out: dict[str, Json] = {}
        for key, value in schema.items():
            here = point(pointer, key)
            if key in _DROPPED:
                continue
            if key == "$ref":
                out[key] = self._ref(value, scope, here)
            elif key in ("$dynamicRef", "$recursiveRef"):
                raise SchemaError(here, f"{key} is not supported: use $ref")
            elif key in SINGLE:
                out[key] = self.copy(value, scope, here)
            elif key in LISTS and isinstance(value, list):
                out[key] = [self.copy(item, scope, point(here, i)) for i, item in enumerate(value)]
            elif key in MAPS and isinstance(value, dict):
                out[key] = {name: self.copy(item, scope, point(here, name)) for name, item in value.items()}
            else:
                out[key] = value
        return out

    def _ref(self, ref: Json, scope: Json, pointer: str) -> str:
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
            raise SchemaError(
                pointer, f"{ref!r} leads out of this document: only references with #/ are followed"
            )
        path = unquote(ref[1:])
        target, found_in = self._find(path, scope)
        if target is None:
            raise SchemaError(pointer, f"{ref!r} leads nowhere in this document")
        if id(target) not in self._names:
            base = re.sub(r"[^A-Za-z0-9]+", "", path.rpartition("/")[2]) or "schema"
            name = base
            number = 1
            while name in self.definitions:
                number += 1
                name = f"{base}{number}"
            self._names[id(target)] = name
            self.definitions[name] = None
            self.definitions[name] = self.copy(target, found_in, pointer)
        return f"#/$defs/{self._names[id(target)]}"

    def _find(self, path: str, scope: Json) -> tuple[Json, Json]:
        # A reference counts from the document; one that a tool wrote for the schema alone counts from there.
        for start in (self.root, scope) if path else (scope,):
            try:
                target = resolve_pointer(start, path)
            except LookupError:
                continue
            if isinstance(target, dict | bool):
                return target, scope if start is scope else None
        return None, None


def bundle(schema: Json, root: Json = None, pointer: str = "") -> Json:
    """Return the schema by itself: what it refers to inside `root` (or inside itself) is under its `$defs`.

    Raises SchemaError, with `pointer` before its own, when a reference leads nowhere.
    """
    if not isinstance(schema, dict):
        return schema
    bundler = _Bundler(root)
    out = bundler.copy(schema, schema, pointer)
    if bundler.definitions:
        out["$defs"] = bundler.definitions
    return out


def bundle_object(properties: Mapping[str, Json], required: list[str], root: Json = None) -> dict[str, Json]:
    """Return the schema, by itself, of an open object of members that may refer into `root` or themselves.

    Raises SchemaError when a reference leads nowhere.
    """
    bundler = _Bundler(root)
    members = {name: bundler.copy(schema, schema, point("", name)) for name, schema in properties.items()}
    out: dict[str, Json] = {"type": "object", "properties": members}
    if required:
        out["required"] = required
    if bundler.definitions:
        out["$defs"] = bundler.definitions
    return out


def places(document: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield (pointer pattern, schema) for each place of a bundled schema; `*` stands for any item or any key.

    What recurs is entered once on each way down.
    """
    stack: list[tuple[str, Json, frozenset[str]]] = [("", document, frozenset())]
    while stack:
        pointer, node, met = stack.pop()
        if not isinstance(node, dict):
            continue
        yield pointer, node
        below: list[tuple[str, Json, frozenset[str]]] = []
        ref = node.get("$ref")
        if isinstance(ref, str) and ref not in met:
            below.append((pointer, resolve_pointer(document, ref[1:]), met | {ref}))
        for key in ("allOf", "anyOf", "oneOf"):
            below += [(pointer, branch, met) for branch in node.get(key, [])]
        below += [(pointer, node[key], met) for key in ("then", "else") if key in node]
        below += [(point(pointer, name), child, met) for name, child in node.get("properties", {}).items()]
        below += [(pointer, child, met) for child in node.get("dependentSchemas", {}).values()]
        below += [(point(pointer, i), child, met) for i, child in enumerate(node.get("prefixItems", []))]
        below += [(pointer + "/*", child, met) for child in node.get("patternProperties", {}).values()]
        below += [
            (pointer + "/*", node[key], met)
            for key in ("additionalProperties", "items", "contains")
            if key in node
        ]
        stack += reversed(below)


# --- patterns -----------------------------------------------------------------------------------------------

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

    `\d`, `\w`, `\s`, `\b` mean what ECMA-262 means by them, `$` is the very end. Raises ValueError for what
    has no counterpart (Unicode properties) or is no pattern.
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
                "\\" + text if inside and text in "&~|-[" and _doubled(pattern, match.start()) else text
            )
    translated = "".join(out)
    try:
        re.compile(translated)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return translated


def _doubled(pattern: str, at: int) -> bool:
    # Python warns of "--", "&&", "||", "~~" in a class, which it may read otherwise one day.
    return pattern[at : at + 1] in (pattern[at + 1 : at + 2], pattern[at - 1 : at] if at else "")


def _escape(letter: str, inside: bool) -> str:
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


# --- formats ------------------------------------------------------------------------------------------------

_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_LOOSE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20]*")
_LOOSE_HOST = re.compile(
    r"(?=.{1,254}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?)*\.?"
)


def _plain_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        bool(_PLAIN_EMAIL.fullmatch(text))
        and len(local) <= 64
        and len(domain) <= 253
        and max(map(len, labels)) <= 63
    )


@lru_cache(maxsize=64)
def _usual(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True)


def _loose_email(text: str) -> bool:
    return "@" in text


def _loose_uri(text: str) -> bool:
    return bool(_LOOSE_URI.fullmatch(text)) or _usual("uri").is_valid(text)


def _loose_host(text: str) -> bool:
    return bool(_LOOSE_HOST.fullmatch(text)) or _usual("hostname").is_valid(text)


_STRICT: dict[str, Callable[[str], bool]] = {"email": _plain_email}
_LENIENT: dict[str, Callable[[str], bool]] = {
    "email": _loose_email,
    "idn-email": _loose_email,
    "uri": _loose_uri,
    "iri": _loose_uri,
    "hostname": _loose_host,
    "idn-hostname": _loose_host,
}


class _Formats(jsonschema.FormatChecker):
    """The same formats for the slow path: each is asked of the fast one, text that is no Unicode has none."""

    def __init__(self, own: Mapping[str, Callable[[str], bool]]) -> None:
        super().__init__(formats=())
        self._own = own

    def check(self, instance: object, format: str) -> None:
        if isinstance(instance, str) and not self._holds(instance, format):
            raise FormatError(f"{instance!r} is not a {format!r}")

    def _holds(self, text: str, name: str) -> bool:
        try:
            return self._own[name](text) if name in self._own else bool(_usual(name).is_valid(text))
        except UnicodeEncodeError:
            return not _known_format(name)


@lru_cache(maxsize=64)
def _known_format(name: str) -> bool:
    return not _usual(name).is_valid("\x00 ")


# --- the slow path: values that the fast validator cannot take ----------------------------------------


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(_: object, value: object) -> bool:
    if isinstance(value, float):
        # A JSON number past the range of a float was a whole one: nobody writes 300 decimals behind it.
        return value.is_integer() or math.isinf(value)
    return isinstance(value, int) and not isinstance(value, bool)


@lru_cache(maxsize=2048)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what says whether an ECMA-262 pattern matches within a text; raises ValueError if it is none."""
    try:
        search = re.compile(ecma(pattern)).search
    except ValueError as why:
        # Unicode properties are what the fast validator has, and Python has not.
        try:
            other = jsonschema_rs.Draft202012Validator({"pattern": pattern})
        except (ValueError, jsonschema_rs.ValidationError):
            raise why from None
        return lambda text: other.is_valid(_mend(text))
    return lambda text: search(text) is not None


def _pattern(_: Json, pattern: str, value: Json, __: Json) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not matcher(pattern)(value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _multiple_of(_: Json, step: Json, value: Json, __: Json) -> Iterator[jsonschema.ValidationError]:
    if not _is_number(None, value) or (isinstance(value, float) and not math.isfinite(value)):
        return
    exact = Fraction(value) if isinstance(value, int) else Fraction(repr(value))
    if exact % Fraction(repr(step)):
        yield jsonschema.ValidationError(f"{value!r} is not a multiple of {step}")


_Slow: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {"multipleOf": _multiple_of, "pattern": _pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number).redefine(
        "integer", _is_integer
    ),
)


def _in_python(schema: Json) -> Json:
    """Return a bundled schema, names of members by Python's patterns; raises ValueError if it cannot."""
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key, value in schema.items():
        if key in SINGLE:
            out[key] = _in_python(value)
        elif key in LISTS:
            out[key] = [_in_python(item) for item in value]
        elif key == "patternProperties":
            out[key] = {ecma(name): _in_python(item) for name, item in value.items()}
        elif key in MAPS or key == "$defs":
            out[key] = {name: _in_python(item) for name, item in value.items()}
    return out


#: Infinity and NaN as marshal writes them; what else happens to have these bytes is looked at once more.
_ODD_BYTES = tuple(struct.pack("<d", odd)[1:] for odd in (math.inf, -math.inf, math.nan))
#: From here on Python refuses to write an integer down.
_HUGE_BITS = 14_000


def _has_odd_numbers(value: Json) -> bool:
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
        elif isinstance(item, int) and item.bit_length() > _HUGE_BITS:
            return True
    return False


def _without_huge(value: Json) -> Json:
    """Return a value with infinity in place of each integer that Python does not write down."""
    if isinstance(value, list):
        return [_without_huge(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_huge(item) for name, item in value.items()}
    if isinstance(value, int) and value.bit_length() > _HUGE_BITS:
        return math.copysign(math.inf, value > 0 or -1)
    return value


def _mend(value: Json) -> Json:
    """Return a value with U+FFFD in place of each unpaired surrogate."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(name): _mend(item) for name, item in value.items()}
    return value


_STACK = threading.Lock()


def _on_a_tall_stack(work: Callable[[], _T]) -> _T:
    """Run something that recurses deeply where it cannot run out of stack."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    with _STACK:
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


# --- a schema -----------------------------------------------------------------------------------------------


class Schema:
    """A compiled schema.

    `schema` may refer into `root`, the document it stands in (`#/components/schemas/…`), or into itself. A
    `lenient` one, for judging results, accepts an e-mail address, a URI or a host name that any of the usual
    validators accepts. Raises SchemaError, with `pointer` before its own, when it is no schema.

    `document` is the schema by itself, with whatever it refers to under `$defs`.
    """

    def __init__(self, schema: Json, root: Json = None, *, lenient: bool = False, pointer: str = "") -> None:
        self._formats = _LENIENT if lenient else _STRICT
        self._branches: dict[int, Schema] = {}
        self._keep: list[Json] = []
        if not isinstance(schema, dict | bool):
            raise SchemaError(pointer, f"a schema must be an object or a boolean, not {schema!r}"[:160])
        if not lenient:
            _check_meta(schema, pointer)
        self.document: Json = bundle(schema, root, pointer)
        self._fast = self._compile(pointer)

    def _compile(self, pointer: str) -> jsonschema_rs.Draft202012Validator | None:
        try:
            return jsonschema_rs.Draft202012Validator(
                self.document, validate_formats=True, formats=self._formats
            )
        except (ValueError, jsonschema_rs.ValidationError) as error:
            message = _short(getattr(error, "message", str(error)))
        # What the fast validator's regular expressions lack (back references), Python's may have.
        for where, node in places(self.document):
            for pattern in [node.get("pattern"), *node.get("patternProperties", {})]:
                if isinstance(pattern, str):
                    try:
                        matcher(pattern)
                    except ValueError as why:
                        raise SchemaError(
                            pointer, f"{pattern!r} (at {where or 'the top'}) is no pattern: {why}"
                        ) from None
        try:
            _Slow.check_schema(_in_python(self.document), format_checker=jsonschema.FormatChecker(()))
        except (ValueError, jsonschema.SchemaError):
            raise SchemaError(pointer, message) from None
        return None

    @cached_property
    def _slow(self) -> Json:
        try:
            return _Slow(_in_python(self.document), format_checker=_Formats(self._formats))
        except ValueError:
            return None

    def valid(self, value: Json) -> bool:
        """Whether the value is valid (dialect: rulebook, after DAT-9)."""
        try:
            dump = marshal.dumps(value)  # the quickest way to learn how deep a value is
        except ValueError:
            return _on_a_tall_stack(lambda: self._valid(value, _has_odd_numbers(value)))
        return self._valid(value, any(odd in dump for odd in _ODD_BYTES))

    def _valid(self, value: Json, odd: bool) -> bool:
        if self._fast is not None and not odd:
            try:
                if self._fast.is_valid(value):
                    return True
                if not _has_odd_numbers(value):
                    return False
            except UnicodeEncodeError:
                pass
        if self._slow is not None:
            try:
                return bool(self._slow.is_valid(_without_huge(value)))
            except RecursionError:
                if self._fast is None:
                    raise
        assert self._fast is not None
        return self._fast.is_valid(_mend(value))

    def errors(self, value: Json) -> list[tuple[str, str, str]]:
        """Return (JSON pointer into the value, keyword, message) for each departure from the schema.

        Of a large value only the first: the validators keep, and print, a copy of the value for each.
        """
        if self.valid(value):
            return []
        try:
            dump = marshal.dumps(value)
        except ValueError:
            return _on_a_tall_stack(lambda: self._errors(value))
        return self._errors(value) if len(dump) <= _LARGE else [self._first_error(value)]

    def _first_error(self, value: Json) -> tuple[str, str, str]:
        pointer, nodes = "", [self.document]
        while True:
            if False in nodes:
                return pointer, "falseSchema", f"False schema does not allow {_clipped(value)}"
            parts = self.parts(nodes, value)
            for part in parts:
                for keyword in part:
                    if keyword not in _INWARDS and not self._holds(part, keyword, value):
                        told = _short(json.dumps(part[keyword]), 80)
                        return pointer, keyword, f"{_clipped(value)} departs from {keyword} {told}"
            inside = next(
                (
                    (point(pointer, at), below, child)
                    for at, below, child in _children(parts, value)
                    if not all(self.branch(node).valid(child) for node in below)
                ),
                None,
            )
            if inside is None:
                return pointer, "schema", f"{_clipped(value)} does not match the schema"
            pointer, nodes, value = inside

    def _holds(self, part: dict[str, Json], keyword: str, value: Json) -> bool:
        alone = {"$defs": self.document.get("$defs", {}), keyword: part[keyword]}
        if keyword == "contains":
            alone |= {name: part[name] for name in ("minContains", "maxContains") if name in part}
        return Schema(alone, lenient=self._formats is _LENIENT).valid(value)

    def _errors(self, value: Json) -> list[tuple[str, str, str]]:
        if self._fast is not None and not _has_odd_numbers(value):
            try:
                return [
                    (point("", *error.instance_path), error.kind.name, _short(error.message))
                    for error in self._fast.iter_errors(value)
                ]
            except UnicodeEncodeError:
                pass
        if self._slow is not None:
            return [
                (point("", *error.absolute_path), str(error.validator), _departs(error))
                for error in self._slow.iter_errors(_without_huge(value))
            ]
        return [("", "schema", "does not match the schema")]

    # --- which schemas speak of a value

    def parts(self, nodes: list[Json], value: Json) -> list[dict[str, Json]]:
        """Return the schemas that speak of a value: through `$ref`, `allOf` and the branches that apply.

        Of `anyOf` and `oneOf` the branches that the value matches apply, or all when it matches none.
        """
        found: list[dict[str, Json]] = []
        seen: set[int] = set()
        stack = list(reversed(nodes))
        while stack:
            node = stack.pop()
            if not isinstance(node, dict) or id(node) in seen:
                continue
            seen.add(id(node))
            found.append(node)
            below: list[Json] = []
            if "$ref" in node:
                below.append(resolve_pointer(self.document, node["$ref"][1:]))
            below += node.get("allOf", ())
            for key in ("anyOf", "oneOf"):
                if key in node:
                    branches = node[key]
                    below += [branch for branch in branches if self.branch(branch).valid(value)] or branches
            if "if" in node:
                key = "then" if self.branch(node["if"]).valid(value) else "else"
                below.append(node.get(key))
            if "dependentSchemas" in node and isinstance(value, dict):
                below += [child for name, child in node["dependentSchemas"].items() if name in value]
            stack += reversed(below)
        return found

    def branch(self, node: Json) -> Schema:
        """Return a schema inside this one, compiled."""
        found = self._branches.get(id(node))
        if found is None:
            whole = node
            if isinstance(node, dict) and "$defs" in self.document:
                whole = {**node, "$defs": self.document["$defs"]}
            found = Schema(whole, lenient=True) if self._formats is _LENIENT else Schema(whole)
            self._branches[id(node)] = found
            self._keep.append(node)
        return found

    def walk(self, value: Json) -> Iterator[tuple[str, list[dict[str, Json]], Json]]:
        """Yield (JSON pointer, the schemas that speak of it, value) for a value and all that is in it."""
        stack: list[tuple[str, list[Json], Json]] = [("", [self.document], value)]
        while stack:
            pointer, nodes, item = stack.pop()
            parts = self.parts(nodes, item)
            yield pointer, parts, item
            below = [(point(pointer, at), nodes, child) for at, nodes, child in _children(parts, item)]
            stack += reversed(below)


def member_schemas(parts: list[dict[str, Json]], name: str) -> list[Json]:
    """Return what schemas say of the member of an object."""
    found: list[Json] = []
    for part in parts:
        named = False
        if name in part.get("properties", ()):
            found.append(part["properties"][name])
            named = True
        for pattern, child in part.get("patternProperties", {}).items():
            if matcher(pattern)(name):
                found.append(child)
                named = True
        if not named and "additionalProperties" in part:
            found.append(part["additionalProperties"])
    return found


def item_schemas(parts: list[dict[str, Json]], index: int) -> list[Json]:
    """Return what schemas say of the item of an array."""
    found: list[Json] = []
    for part in parts:
        first = part.get("prefixItems", ())
        if index < len(first):
            found.append(first[index])
        elif "items" in part:
            found.append(part["items"])
    return found


def _children(parts: list[dict[str, Json]], value: Json) -> Iterator[tuple[str | int, list[Json], Json]]:
    """Yield (name or index, the schemas that speak of it, value) for what is in an object or an array."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield name, member_schemas(parts, name), child
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield index, item_schemas(parts, index), child


def _clipped(value: Json, levels: int = 3) -> str:
    """Return the beginning of a value of any size, as JSON."""
    if isinstance(value, str):
        return json.dumps(_mend(value[:40]), ensure_ascii=False) + "…" * (len(value) > 40)
    if isinstance(value, list | dict) and value and not levels:
        return "[…]" if isinstance(value, list) else "{…}"
    more = ", …" if isinstance(value, list | dict) and len(value) > 2 else ""
    if isinstance(value, list):
        return f"[{', '.join(_clipped(item, levels - 1) for item in value[:2])}{more}]"
    if isinstance(value, dict):
        first = islice(value.items(), 2)
        return f"{{{', '.join(f'{_clipped(name)}: {_clipped(item, levels - 1)}' for name, item in first)}{more}}}"
    if isinstance(value, int) and value.bit_length() > _HUGE_BITS:
        return f"a number of {value.bit_length()} bits"
    return json.dumps(value)


def _check_meta(schema: Json, pointer: str) -> None:
    try:
        meta = _meta_schema()
        error = next(iter(meta.iter_errors(translated(schema))), None)
    except UnicodeEncodeError:
        raise SchemaError(pointer, "has an unpaired surrogate in it") from None
    if error is not None:
        where = point(pointer, *original_path(schema, list(error.instance_path)))
        raise SchemaError(where, _short(error.message))


@lru_cache(maxsize=1)
def _meta_schema() -> jsonschema_rs.Draft202012Validator:
    # Formats are left out: the meta-schema's "regex" refuses patterns that ECMA-262 has.
    return jsonschema_rs.Draft202012Validator(
        {"$ref": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=False
    )


def _departs(error: jsonschema.ValidationError) -> str:
    """Return what the slow validator found, with its values as JSON: its own messages have them as Python does."""
    if error.validator is None:
        return "the schema lets nothing pass"
    told = _short(json.dumps(error.validator_value), 80)
    return f"{_clipped(error.instance)} departs from {error.validator} {told}"


def _short(message: str, limit: int = 160) -> str:
    message = " ".join(message.split())
    return message if len(message) <= limit else f"{message[: limit - 50]}…{message[-45:]}"
