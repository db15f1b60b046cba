"""Rules on names: all are camelCase."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from conformance.catalog.contract import Contract
from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
    Example,
    Level,
    Outcome,
    broken,
    holds,
    not_applicable,
    reply,
    rule,
    shown,
    suite_rule,
)

_CASE = "General: «API uses camelCased names rather than under_scored»"

#: A cache of camelCase names: an API has few names, and every response repeats them.
_camel_case_names: set[str] = {"isError", "errMsg", "data"}
MAX_CACHED_NAMES = 8192
_CONTAINERS = (dict, list)


def is_camel_case(name: str) -> bool:
    """Return whether a name begins with a lower-case letter and has only letters and digits."""
    if not name:
        return False
    first = name[0]
    if not first.isalpha() or first.isupper() or first.istitle():
        return False
    return (name.isascii() and name.isalnum()) or all(c.isalpha() or c.isdecimal() for c in name)


def _is_cached_camel_case(name: str) -> bool:
    if name in _camel_case_names:
        return True
    if not is_camel_case(name):
        return False
    if len(_camel_case_names) < MAX_CACHED_NAMES and len(name) <= 64:
        _camel_case_names.add(name)
    return True


def _are_camel_case(names: Iterable[str]) -> bool:
    """Return whether all names are camelCase."""
    return _camel_case_names.issuperset(names) or all(map(_is_cached_camel_case, names))


def _all_camel_case(value: object) -> bool:
    """Return whether every member name at any depth is camelCase; fast, without a pointer to the first other one."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if not _are_camel_case(item):
                return False
            stack += [member for member in item.values() if member.__class__ in _CONTAINERS]
        elif isinstance(item, list):
            stack += [member for member in item if member.__class__ in _CONTAINERS]
    return True


def _names(value: object, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield (JSON pointer, name) for each member at any depth, in document order."""
    stack: list[tuple[str, str | None, object]] = [(pointer, None, value)]
    while stack:
        place, name, item = stack.pop()
        if name is not None:
            yield place, name
        if isinstance(item, dict):
            stack.extend((f"{place}/{_escaped(key)}", key, item[key]) for key in reversed(item))
        elif isinstance(item, list):
            stack.extend((f"{place}/{i}", None, item[i]) for i in reversed(range(len(item))))


def _escaped(name: str) -> str:
    return name[:80].replace("~", "~0").replace("/", "~1")


def _checked_names(exchange: Exchange, value: object) -> Iterator[tuple[str, str]]:
    """Yield the names to check, without keys of declared maps and extra members that the profile allows."""
    if not isinstance(value, dict):
        yield from _names(value)
        return
    contract = exchange.contract
    for name, member in value.items():
        pointer = f"/{_escaped(name)}"
        if name not in exchange.envelope_extra:
            yield pointer, name
        if name == "data" and contract is not None and contract.names is not None:
            for place, inner in contract.names(member, _camel_case_names):
                yield f"/data{place}", inner
        else:
            yield from _names(member, pointer)


def _names_outside_marks(data: object, known: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """Replace a result schema in the examples: `marks` is declared as a map with arbitrary keys."""
    for pointer, name in _names(data):
        if not pointer.startswith("/marks/"):
            yield pointer, name


_MAP = Contract("course.read", names=_names_outside_marks)


def _named(data: object) -> Exchange:
    return reply(200, isError=False, errMsg=None, data=data)


@rule(
    id="NAM-1",
    level=Level.MUST,
    clause=_CASE,
    title="Every member name in every answer is camelCase",
    causes="Results are serialized with the names of database columns or of the language's fields "
    "(`created_at`, `CourseId`); errors of the framework have names of their own.",
    remedy="Rename in the serializer: `alias_generator=to_camel`, JSON tags in Go, a naming strategy in "
    "Jackson. Declare maps that are keyed by data as such in the catalogue.",
    passes=[
        _named({}),
        _named({"courseId": 1, "title": "under_scored text is no name", "a": 1, "x2": 2, "nameASCII": 3}),
        _named({"rows": [[{"courseId": 1, "owner": {"firstName": "Åsa"}}]]}),
        _named({"användare": 1, "straßeNummer": 2, "éa": 3, "名前": 4}),
        reply(200, isError=False, errMsg=None, data={"marks": {"ann_lee": 5, "2024": 3}}, contract=_MAP),
        reply(200, isError=False, errMsg=None, data={}, memory_kb=3, envelope_extra=["memory_kb"]),
        reply(400, isError=True, errMsg="course_id is missing", data=None),
        reply(400, isError=True, errMsg="No", data={"given": {"Method": 1}}, sent=b'{"Method":"read"}'),
        reply(200, body=b"[1,2,3]"),
    ],
    fails=[
        _named({"course_id": 1}),
        _named({"CourseId": 1}),
        _named({"_id": 1}),
        _named({"rows": [{"courseId": 1}, {"owner": {"first-name": "Åsa"}}]}),
        _named({"": 1}),
        _named({"course id": 1}),
        _named({"$ref": 1}),
        _named({"1st": 1}),
        _named({"a.b": 1}),
        _named({"title ": 1}),
        _named({"Äpple": 1}),
        _named({"ǅep": 1}),
        _named({"x²": 1}),
        reply(200, isError=False, errMsg=None, data={}, memory_kb=3),
        reply(200, isError=False, errMsg=None, data={}, debug={"sql_ms": 3}, envelope_extra=["debug"]),
        reply(200, isError=False, errMsg=None, data={"marks": {"a_b": 1}, "course_id": 2}, contract=_MAP),
        reply(400, isError=True, errMsg="No", data={"field_errors": {}}),
        reply(200, isError=False, errMsg=None, data={"Method": 1}, sent=b'{"method":"read","Method":1}'),
        reply(200, body=b'[{"course_id":1}]'),
    ],
)
def names_are_camel_case(exchange: Exchange) -> Outcome:
    """Clients map members to fields by their names; one under_scored name is a field that stays empty."""
    if exchange.response is None or not exchange.is_post:
        return not_applicable
    read = exchange.json
    if read.error is not None:
        return not_applicable
    if _are_camel_case(read.names) if read.names is not None else _all_camel_case(read.value):
        return holds
    try:
        for pointer, name in _checked_names(exchange, read.value):
            if not _is_cached_camel_case(name) and not _is_repeated(exchange, name):
                return broken(
                    expected="every member name in camelCase",
                    actual=f"{shown(name, exchange, 60)} at {shown(pointer, exchange, 110)}",
                    kind=_kind(name),
                )
    except (RecursionError, UnicodeError):
        return not_applicable  # nested too deep for the catalogue, or an unpaired surrogate
    return holds


def _is_repeated(exchange: Exchange, name: str) -> bool:
    """Return whether a refusal repeats a member name of the call that it refuses: the caller chose that name."""
    refused = exchange.response is not None and exchange.response.status >= 400
    body = exchange.request.body
    return refused and any(
        json.dumps(name, ensure_ascii=in_ascii).encode("utf-8", "surrogatepass") in body
        for in_ascii in (False, True)
    )


def _kind(name: str) -> str:
    if "_" in name:
        return "an under_scored name"
    if name[:1].isupper() or name[:1].istitle():
        return "a name that begins with a capital"
    return "a name that is not camelCase"


suite_rule(
    id="NAM-2",
    level=Level.MUST,
    clause=_CASE,
    title="Every published function and parameter name is camelCase",
    why="Wrappers build calls from the names by one convention; an exception needs code of its own.",
    causes="The catalogue takes names from code or from columns, or one function was added with another "
    "convention.",
    remedy="Rename the function or the parameter. If clients rely on the old name, waive the rule for it with "
    "a date.",
    example=Example(
        sent="a parameter of the catalogue",
        right="courseId",
        wrong="course_id",
    ),
)

suite_rule(
    id="NAM-3",
    level=Level.SHOULD,
    clause="hardening (General: «camelCased names rather than under_scored»)",
    title="The under_scored spelling of a function is unknown",
    why="A second spelling is a second way in, past whatever is checked by name.",
    causes="Names are normalized before the lookup (case, underscores), or functions are found by reflection "
    "under both spellings.",
    remedy="Look functions up by their published name alone.",
    example=Example(
        sent='{"method":"find_all"} where findAll is published',
        right="404",
        wrong="the answer of findAll",
    ),
)
