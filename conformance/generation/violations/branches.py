"""Values that violate the keywords that join schemas: `not`, `if`, `anyOf`, `oneOf`, `dependentSchemas`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from conformance.generation.builders import BuildValue
from conformance.generation.errors import Impossible
from conformance.generation.insertion_points import Place, SchemaWalker
from conformance.schema.bundle import Json, resolve_pointer

__all__ = ["broken_branches", "schemas_of_all_paths"]

_JOINING = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
_CONDITION = ("if", "then", "else")

#: Branches of `oneOf` that are combined in pairs.
_MAX_PAIRED = 5


class _Broken(NamedTuple):
    """One joining keyword, violated."""

    keyword: str
    #: Names the violation, for people.
    what: str
    #: Schemas that are valid instead.
    instead: list[Json]
    #: The keywords of the schema that these replace.
    replaced: tuple[str, ...]


def broken_branches(walker: SchemaWalker, place: Place) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield (keyword, what is wrong, builder); all else that the schema says of the place remains valid."""
    parts = schemas_of_all_paths(walker.document, place.node)
    for part in parts:
        others = [other for other in parts if other is not part]
        rest = {key: value for key, value in part.items() if key not in _JOINING}
        plain = [{k: v for k, v in other.items() if k not in ("$ref", "allOf")} for other in others]
        for broken in _broken(part):
            joining = _JOINING - {"$ref", "allOf", *broken.replaced}
            unbroken = {key: value for key, value in part.items() if key in joining}
            whole = {"allOf": [rest, unbroken, *plain, *broken.instead]}
            walker.shapes.keep_alive(whole)
            try:
                yield broken.keyword, broken.what, walker.builders.node(whole)
            except Impossible:
                continue


def schemas_of_all_paths(document: Json, node: Json) -> list[dict[str, Json]]:
    """Return the schemas that apply to a place whichever branches are taken: references and `allOf`."""
    found: list[dict[str, Json]] = []
    stack = [node]
    while stack:
        each = stack.pop()
        if not isinstance(each, dict) or any(each is part for part in found):
            continue
        found.append(each)
        if "$ref" in each:
            stack.append(resolve_pointer(document, each["$ref"][1:]))
        stack += reversed(each.get("allOf", ()))
    return found


def _broken(part: dict[str, Json]) -> Iterator[_Broken]:
    if isinstance(part.get("not"), dict):
        yield _Broken("not", "what must not be", [part["not"]], ("not",))
    if "if" in part:
        yield from _broken_condition(part)
    if "anyOf" in part:
        yield _Broken("anyOf", "none of the alternatives", [{"not": {"anyOf": part["anyOf"]}}], ("anyOf",))
    branches = part.get("oneOf", [])
    if branches:
        yield _Broken("oneOf", "none of the alternatives", [{"not": {"anyOf": branches}}], ("oneOf",))
    for one in range(min(len(branches), _MAX_PAIRED)):
        for other in range(one + 1, min(len(branches), _MAX_PAIRED)):
            what = f"alternatives {one + 1} and {other + 1} at once"
            yield _Broken("oneOf", what, [branches[one], branches[other]], ("oneOf",))
    for name, child in part.get("dependentSchemas", {}).items():
        instead = [{"type": "object", "required": [name]}, {"not": child}]
        what = f"{name}, and not what it asks for"
        yield _Broken("dependentSchemas", what, instead, ("dependentSchemas",))


def _broken_condition(part: dict[str, Json]) -> Iterator[_Broken]:
    if "then" in part:
        instead = [part["if"], {"not": part["then"]}]
        yield _Broken("then", "not as the condition asks", instead, _CONDITION)
    if "else" in part:
        instead = [{"not": part["if"]}, {"not": part["else"]}]
        yield _Broken("else", "not as asked where the condition fails", instead, _CONDITION)
