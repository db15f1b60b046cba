"""Validation by JSON Schema 2020-12 in the dialect of the rulebook.

The dialect (rulebook, the paragraph after DAT-9): `format` is binding; only plain forms of e-mail addresses are valid;
`pattern` is ECMA-262 and not anchored; lengths count code points; 1.0 is an integer, and true is not a number.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import islice

import jsonschema
import jsonschema_rs

from conformance.schema.bundle import (
    MAPS,
    SINGLE,
    Json,
    SchemaError,
    bundle,
    places,
    point,
    resolve_pointer,
)
from conformance.schema.dialect import original_path, translated
from conformance.schema.ecma import matcher, replace_surrogates
from conformance.schema.exact import (
    MAX_INTEGER_BITS,
    SPECIAL_NUMBER_BYTES,
    ExactValidator,
    has_special_numbers,
    run_with_large_stack,
    with_python_patterns,
    without_huge_integers,
)
from conformance.schema.formats import LENIENT_FORMATS, STRICT_FORMATS, FormatChecker

__all__ = ["Schema", "item_schemas", "member_schemas"]

#: Keywords that apply to the contents of a value, or only together with other keywords.
_NESTED_KEYWORDS = frozenset(
    [*SINGLE, *MAPS, "allOf", "prefixItems", "$ref", "$defs", "minContains", "maxContains"]
) - {"contains", "not", "propertyNames", "dependentSchemas"}
#: Keywords by which a value decides which schemas apply to it.
_CONDITIONS = frozenset({"anyOf", "oneOf", "if", "dependentSchemas"})
#: For a value that takes more bytes (by `marshal`), only the first error is reported.
MAX_BYTES_FOR_ALL_ERRORS = 1 << 18
#: A run compiles each schema of a catalogue about six times: for the catalogue, its review, and each kind of data.
_MAX_CACHED_SCHEMAS = 1024
#: Later versions of the format write the same value in several ways.
_MARSHAL_WITHOUT_REFERENCES = 2


class Schema:
    """A compiled schema.

    `schema` may refer into `root`, the document that contains it (`#/components/schemas/…`), or into itself. A
    `lenient` schema, for results, accepts every e-mail address, URI or host name that any common validator accepts.
    SchemaError is raised, with `pointer` as prefix, if it is not a schema.

    `document` is the self-contained schema, with everything that it refers to under `$defs`.
    """

    def __init__(self, schema: Json, root: Json = None, *, lenient: bool = False, pointer: str = "") -> None:
        self._formats = LENIENT_FORMATS if lenient else STRICT_FORMATS
        self._branches: dict[int, Schema] = {}
        self._branch_nodes: list[Json] = []
        #: For schemas without conditions: the schemas, and what applies to any value.
        self._parts_of_any: dict[tuple[int, ...], tuple[tuple[Json, ...], list[dict[str, Json]]]] = {}
        if not isinstance(schema, dict | bool):
            raise SchemaError(pointer, f"a schema must be an object or a boolean, not {schema!r}"[:160])
        if not lenient:
            _check_meta(schema, pointer)
        self.document: Json = bundle(schema, root, pointer)
        self._fast_validator = self._compile(pointer)

    def _compile(self, pointer: str) -> jsonschema_rs.Draft202012Validator | None:
        try:
            return _fast_validator(self.document, self._formats is LENIENT_FORMATS)
        except (ValueError, jsonschema_rs.ValidationError) as error:
            message = _short(getattr(error, "message", str(error)))
        # Python may support a regular expression that the fast validator does not (back references).
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
            ExactValidator.check_schema(
                with_python_patterns(self.document), format_checker=jsonschema.FormatChecker(())
            )
        except (ValueError, jsonschema.SchemaError):
            raise SchemaError(pointer, message) from None
        return None

    @cached_property
    def _exact_validator(self) -> Json:
        try:
            return ExactValidator(
                with_python_patterns(self.document), format_checker=FormatChecker(self._formats)
            )
        except ValueError:
            return None

    def valid(self, value: Json) -> bool:
        """Return whether the value is valid (dialect: rulebook, after DAT-9)."""
        try:
            dump = marshal.dumps(value)  # the fastest way to detect deep nesting
        except ValueError:
            return run_with_large_stack(lambda: self._valid(value, has_special_numbers(value)))
        infinity, minus_infinity, not_a_number = SPECIAL_NUMBER_BYTES
        return self._valid(value, infinity in dump or minus_infinity in dump or not_a_number in dump)

    def _valid(self, value: Json, has_special: bool) -> bool:
        if self._fast_validator is not None and not has_special:
            try:
                if self._fast_validator.is_valid(value):
                    return True
                if not has_special_numbers(value):
                    return False
            except UnicodeEncodeError:
                pass
        if self._exact_validator is not None:
            try:
                return bool(self._exact_validator.is_valid(without_huge_integers(value)))
            except RecursionError:
                if self._fast_validator is None:
                    raise
        assert self._fast_validator is not None
        return self._fast_validator.is_valid(replace_surrogates(value))

    def errors(self, value: Json) -> list[tuple[str, str, str]]:
        """Return (JSON pointer into the value, keyword, message) for each violation of the schema.

        For a large value only the first is returned, since the validators copy and print the value for each one.
        """
        if self.valid(value):
            return []
        try:
            dump = marshal.dumps(value)
        except ValueError:
            return run_with_large_stack(lambda: self._errors(value))
        return self._errors(value) if len(dump) <= MAX_BYTES_FOR_ALL_ERRORS else [self._first_error(value)]

    def _first_error(self, value: Json) -> tuple[str, str, str]:
        """Return the first error of an invalid value, without copying the value."""
        pointer, nodes = "", [self.document]
        while True:
            if False in nodes:
                return pointer, "falseSchema", f"False schema does not allow {_clipped(value)}"
            parts = self.parts(nodes, value)
            for part in parts:
                for keyword in part:
                    if keyword not in _NESTED_KEYWORDS and not self._holds(part, keyword, value):
                        limit = _short(json.dumps(part[keyword]), 80)
                        return pointer, keyword, f"{_clipped(value)} departs from {keyword} {limit}"
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
        """Return whether a value satisfies one keyword of a schema."""
        alone = {"$defs": self.document.get("$defs", {}), keyword: part[keyword]}
        if keyword == "contains":
            alone |= {name: part[name] for name in ("minContains", "maxContains") if name in part}
        return Schema(alone, lenient=self._formats is LENIENT_FORMATS).valid(value)

    def _errors(self, value: Json) -> list[tuple[str, str, str]]:
        """Return all errors of a value."""
        if self._fast_validator is not None and not has_special_numbers(value):
            try:
                return [
                    (point("", *error.instance_path), error.kind.name, _short(error.message))
                    for error in self._fast_validator.iter_errors(value)
                ]
            except UnicodeEncodeError:
                pass
        if self._exact_validator is not None:
            return [
                (point("", *error.absolute_path), str(error.validator), _exact_message(error))
                for error in self._exact_validator.iter_errors(without_huge_integers(value))
            ]
        return [("", "schema", "does not match the schema")]

    # --- which schemas speak of a value

    def parts(self, nodes: list[Json], value: Json) -> list[dict[str, Json]]:
        """Return the schemas that apply to a value: through `$ref`, `allOf` and the matching branches.

        Of `anyOf` and `oneOf` the branches that the value matches apply, or all of them if it matches none.
        """
        # Identities are compared as long as the nodes are retained here, so no other node has one of them.
        key = tuple(map(id, nodes))
        retained = self._parts_of_any.get(key)
        if retained is not None:
            return list(retained[1])
        found, depends = self._parts(nodes, value)
        if not depends:
            self._parts_of_any[key] = (tuple(nodes), found)
            return list(found)
        return found

    def _parts(self, nodes: list[Json], value: Json) -> tuple[list[dict[str, Json]], bool]:
        """Return the schemas that apply to a value, and whether others would apply to another value."""
        depends = False
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
            depends = depends or not _CONDITIONS.isdisjoint(node)
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
        return found, depends

    def branch(self, node: Json) -> Schema:
        """Return a subschema of this schema, compiled."""
        found = self._branches.get(id(node))
        if found is None:
            whole = node
            if isinstance(node, dict) and "$defs" in self.document:
                whole = {**node, "$defs": self.document["$defs"]}
            found = Schema(whole, lenient=True) if self._formats is LENIENT_FORMATS else Schema(whole)
            self._branches[id(node)] = found
            self._branch_nodes.append(node)
        return found

    def walk(self, value: Json) -> Iterator[tuple[str, list[dict[str, Json]], Json]]:
        """Yield (JSON pointer, the schemas that apply, value) for a value and everything in it."""
        stack: list[tuple[str, list[Json], Json]] = [("", [self.document], value)]
        while stack:
            pointer, nodes, item = stack.pop()
            parts = self.parts(nodes, item)
            yield pointer, parts, item
            below = [(point(pointer, at), nodes, child) for at, nodes, child in _children(parts, item)]
            stack += reversed(below)


def member_schemas(parts: list[dict[str, Json]], name: str) -> list[Json]:
    """Return the subschemas that apply to a member of an object."""
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
    """Return the subschemas that apply to an item of an array."""
    found: list[Json] = []
    for part in parts:
        first = part.get("prefixItems", ())
        if index < len(first):
            found.append(first[index])
        elif "items" in part:
            found.append(part["items"])
    return found


def _children(parts: list[dict[str, Json]], value: Json) -> Iterator[tuple[str | int, list[Json], Json]]:
    """Yield (name or index, the schemas that apply, value) for each member or item."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield name, member_schemas(parts, name), child
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield index, item_schemas(parts, index), child


def _clipped(value: Json, levels: int = 3) -> str:
    """Return the beginning of a value as JSON."""
    if isinstance(value, str):
        return json.dumps(replace_surrogates(value[:40]), ensure_ascii=False) + "…" * (len(value) > 40)
    if isinstance(value, list | dict) and value and not levels:
        return "[…]" if isinstance(value, list) else "{…}"
    more = ", …" if isinstance(value, list | dict) and len(value) > 2 else ""
    if isinstance(value, list):
        return f"[{', '.join(_clipped(item, levels - 1) for item in value[:2])}{more}]"
    if isinstance(value, dict):
        first = islice(value.items(), 2)
        return f"{{{', '.join(f'{_clipped(name)}: {_clipped(item, levels - 1)}' for name, item in first)}{more}}}"
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return f"a number of {value.bit_length()} bits"
    return json.dumps(value)


def _fast_validator(document: Json, lenient: bool) -> jsonschema_rs.Draft202012Validator:
    """Return the fast validator of a bundled schema; the same one for the same schema."""
    dump = _dump(document)
    return _compiled(document, lenient) if dump is None else _compiled_once(dump, lenient)


def _compiled(document: Json, lenient: bool) -> jsonschema_rs.Draft202012Validator:
    formats = LENIENT_FORMATS if lenient else STRICT_FORMATS
    return jsonschema_rs.Draft202012Validator(document, validate_formats=True, formats=formats)


@lru_cache(maxsize=_MAX_CACHED_SCHEMAS)
def _compiled_once(dump: bytes, lenient: bool) -> jsonschema_rs.Draft202012Validator:
    return _compiled(marshal.loads(dump), lenient)  # noqa: S302 - `_dump` made it in this process


def _dump(schema: Json) -> bytes | None:
    """Return bytes that differ for different schemas, also for 1, 1.0 and true; None where a schema has none."""
    try:
        return marshal.dumps(schema, _MARSHAL_WITHOUT_REFERENCES)
    except ValueError:
        return None


@lru_cache(maxsize=_MAX_CACHED_SCHEMAS)
def _conforms_to_meta(dump: bytes) -> bool:
    return bool(_meta_schema().is_valid(translated(marshal.loads(dump))))  # noqa: S302 - as above


def _check_meta(schema: Json, pointer: str) -> None:
    """Raise SchemaError if a schema does not conform to the meta-schema."""
    try:
        dump = _dump(schema)
        if dump is not None and _conforms_to_meta(dump):
            return
        meta = _meta_schema()
        error = next(iter(meta.iter_errors(translated(schema))), None)
    except UnicodeEncodeError:
        raise SchemaError(pointer, "has an unpaired surrogate in it") from None
    if error is not None:
        where = point(pointer, *original_path(schema, list(error.instance_path)))
        raise SchemaError(where, _short(error.message))


@lru_cache(maxsize=1)
def _meta_schema() -> jsonschema_rs.Draft202012Validator:
    # Formats are not checked, since the meta-schema's "regex" refuses valid patterns of ECMA-262.
    return jsonschema_rs.Draft202012Validator(
        {"$ref": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=False
    )


def _exact_message(error: jsonschema.ValidationError) -> str:
    """Return the message of the exact validator with values as JSON, not as Python literals."""
    if error.validator is None:
        return "the schema lets nothing pass"
    limit = _short(json.dumps(error.validator_value), 80)
    return f"{_clipped(error.instance)} departs from {error.validator} {limit}"


def _short(message: str, limit: int = 160) -> str:
    """Return a message on one line; the middle of a long one is left out."""
    message = " ".join(message.split())
    return message if len(message) <= limit else f"{message[: limit - 50]}…{message[-45:]}"
