"""The catalogue that recorded calls teach: one method per function, each guess with its evidence."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from conformance.catalog.importing.entries import EVIDENCE, QUESTIONS
from conformance.learning.calls import Call, Json
from conformance.learning.evidence import Confidence, Evidence, Thresholds, counted
from conformance.learning.identifiers import Flow
from conformance.learning.objects import (
    Effect,
    Role,
    Rows,
    effects_of,
    roles_of,
    rows_of,
    volatile_places,
)
from conformance.learning.refusals import refusals_of
from conformance.learning.rights import Facts, Right, rights_of, session_functions
from conformance.learning.schemas import Hint, ParameterSchemas, ResultSchemas, Words
from conformance.learning.server_members import server_places
from conformance.learning.statistics import Node, ObjectStatistics, TextStatistics
from conformance.schema.bundle import point
from conformance.schema.dialect import SUGGESTED

__all__ = ["EVIDENCE", "QUESTIONS", "Learned", "learn"]

#: The share of a function's calls in which a parameter is given. A target ignores members that it does not know, so one
#: that was sent now and then may be none of its parameters.
_GIVEN_SHARE = 0.04
#: The same for a member that was sent to several functions as seldom as this, and how many those are.
_TRIED_SHARE, _TRIED_FUNCTIONS = 0.35, 3
#: Calls of a function, for such a share to mean anything.
_MIN_CALLS_TO_SAY, _MANY_CALLS = 10, 50
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: Answers to a call of a function that does not exist.
_UNKNOWN_FUNCTION = frozenset({404, 405, 501})
_MAX_LISTED = 8
_OF_ONE_OBJECT = frozenset({"read", "update", "delete"})
#: Different texts of a place, for them to be words of an enumeration.
_MAX_WORDS = 60


@dataclass
class Learned:
    """A learnt catalogue; `notes` say what was left out, one line each."""

    document: dict[str, Json]
    notes: list[str] = field(default_factory=list)


@dataclass
class _Seen:
    """What was seen of one function."""

    accepted: list[Call] = field(default_factory=list)
    refused: list[Call] = field(default_factory=list)
    #: Calls that were answered 401: their arguments passed validation, and were wrong.
    denied: list[Call] = field(default_factory=list)
    total: int = 0
    #: Names that were sent and are not taken for parameters.
    stray: list[str] = field(default_factory=list)
    node: Node = field(default_factory=Node)
    #: How often each parameter was given, and the different arguments.
    given: Counter[str] = field(default_factory=Counter)
    arguments: set[str] = field(default_factory=set)
    result: Node = field(default_factory=Node)
    schemas: ParameterSchemas = field(default_factory=ParameterSchemas)


# One function, though it is long: each step of the inference needs the results of those before.
def learn(
    calls: Sequence[Call],
    *,
    title: str = "API",
    limits: Thresholds | None = None,
    facts: Facts | None = None,
    sources: Sequence[str] = (),
) -> Learned:
    """Return the catalogue of the functions that were called with success; `calls` are in the order of their time."""
    limits, facts = limits or Thresholds(), facts or Facts()
    seen, notes = _sorted_out(calls)
    logins, logouts = session_functions(calls, facts)
    ordinary = _without_stray_members(calls, seen, logins)
    functions = list(seen)
    flow = Flow(ordinary)
    roles = roles_of(flow, functions)
    effects = effects_of(flow, functions, roles, logins | logouts)
    reading = frozenset(name for name, effect in effects.items() if effect.value == "read")
    rights = rights_of(calls, functions, flow, reading, facts, logins)
    volatile = volatile_places(ordinary, effects)
    for name, places in server_places(flow, roles).items():
        volatile[name] = volatile.get(name, frozenset()) | places
    vocabularies = _vocabularies(seen)
    for name, about in seen.items():
        refs = {place: reference.kind for place, reference in flow.references.get(name, {}).items()}
        about.schemas = ParameterSchemas(
            _refusals(about, signs_in=name in logins),
            refs,
            limits,
            with_values=name not in logins,
            vocabulary=vocabularies[name.partition(".")[0]],
            subject=roles[name].id if name in roles and roles[name].does in _OF_ONE_OBJECT else None,
            signs_in=name in logins,
        )
    hints = _hints(seen)
    methods = []
    for name, about in seen.items():
        evidence = Evidence()
        entry = _entry(name, about, flow, evidence)
        rows = rows_of(about.accepted, roles.get(name))
        _add_extensions(entry, rights[name], effects[name], roles.get(name), rows, evidence)
        results = ResultSchemas(hints, volatile.get(name, frozenset()), limits)
        entry["result"] = {"name": "data", "schema": _result_schema(about, results)}
        entry[EVIDENCE] = {
            "calls": counted(len(about.accepted), about.total, "calls succeeded"),
            **evidence.guesses,
        }
        if asked := evidence.questions():
            entry[QUESTIONS] = asked
        methods.append(entry)
    if stray := Counter(member for about in seen.values() for member in about.stray):
        notes.append(
            _listed("sent too seldom to be parameters", [member for member, _ in stray.most_common()])
        )
    document: dict[str, Json] = {
        "openrpc": "1.3.2",
        "info": {"title": title, "version": "1"},
        "methods": methods,
    }
    if sources:
        document["x-learned"] = {"from": list(sources)}
    return Learned(document, notes)


def _refusals(about: _Seen, *, signs_in: bool) -> Counter[tuple[str, str]]:
    """Return how often each way to be wrong was refused."""
    refusals = refusals_of(about.node, about.refused)
    if not signs_in:
        return refusals
    # What is denied as a wrong credential is no mistake of form, even if some values like it are refused.
    denied = refusals_of(about.node, about.denied)
    return Counter({way: number for way, number in refusals.items() if way not in denied})


def _sorted_out(calls: Sequence[Call]) -> tuple[dict[str, _Seen], list[str]]:
    """Return what was seen of each function that succeeded once, by endpoint, and notes on the others."""
    everything: dict[str, _Seen] = defaultdict(_Seen)
    for call in calls:
        about = everything[call.function]
        about.total += 1
        if call.succeeded:
            about.accepted.append(call)
        elif call.refused_arguments:
            about.refused.append(call)
        elif call.status == 401:
            about.denied.append(call)
    entities = dict.fromkeys(name.partition(".")[0] for name in everything)
    order = {entity: number for number, entity in enumerate(entities)}
    names = sorted(
        (name for name, about in everything.items() if about.accepted),
        key=lambda name: order[name.partition(".")[0]],
    )
    notes: list[str] = []
    known = {call.function for call in calls if call.status not in _UNKNOWN_FUNCTION}
    left = [name for name, about in everything.items() if not about.accepted and name in known]
    if left:
        notes.append(_listed("never answered with a success, so left out", sorted(left)))
    return {name: everything[name] for name in names}, notes


def _listed(what: str, names: Sequence[str]) -> str:
    """Return a note on some names."""
    more = f", … ({len(names)} in all)" if len(names) > _MAX_LISTED else ""
    return f"{what}: {', '.join(names[:_MAX_LISTED])}{more}"


def _without_stray_members(
    calls: Sequence[Call], seen: Mapping[str, _Seen], logins: frozenset[str]
) -> list[Call]:
    """Count the samples of each function; return the calls without arguments that are none of its parameters."""
    shares = {name: _given(about) for name, about in seen.items()}
    seldom = Counter(
        member for given in shares.values() for member, share in given.items() if share < _GIVEN_SHARE
    )
    for name, about in seen.items():
        # A member that several functions were seldom sent is one that clients try, as tests of a target do.
        doubtful = [
            member
            for member, share in shares[name].items()
            if share < _least_share(member, seldom[member], len(about.accepted))
        ]
        validated = _validated(about) if doubtful else frozenset()
        about.stray = [member for member in doubtful if member not in validated]
    cleaned: list[Call] = []
    for call in calls:
        found = seen.get(call.function)
        if found is None:
            continue
        arguments = {name: value for name, value in call.arguments.items() if name not in found.stray}
        cleaned.append(call if len(arguments) == len(call.arguments) else replace(call, arguments=arguments))
        if call.succeeded:
            found.given.update(arguments.keys())
            # Calls that are the same are one sample. Whoever signs in says the same each time.
            text = json.dumps(arguments, sort_keys=True)
            if text not in found.arguments or call.function in logins:
                found.arguments.add(text)
                found.node.add_object(arguments)
            if call.has_result:
                found.result.add_object(call.result)
    return cleaned


def _given(about: _Seen) -> dict[str, float]:
    """Return the share of a function's calls in which each member was given; 1 where too few calls were made to say."""
    given = Counter(name for call in about.accepted for name in call.arguments)
    if len(about.accepted) < _MIN_CALLS_TO_SAY:
        return dict.fromkeys(given, 1.0)
    return {name: number / len(about.accepted) for name, number in given.items()}


def _least_share(member: str, functions: int, calls: int) -> float:
    """Return the share of so many calls in which a member has to be given; `functions` were seldom sent it."""
    if functions >= _TRIED_FUNCTIONS:
        return _TRIED_SHARE
    return _GIVEN_SHARE if calls >= _MANY_CALLS or not _NAME.fullmatch(member) else 0.0


def _validated(about: _Seen) -> frozenset[str]:
    """Return the members whose values were refused, which a target does with its parameters alone."""
    node = Node()
    for call in about.accepted:
        node.add_object(call.arguments)
    return frozenset(pointer.split("/")[1] for pointer, _ in refusals_of(node, about.refused) if pointer)


def _vocabularies(seen: Mapping[str, _Seen]) -> dict[str, dict[str, Words]]:
    """Return by endpoint and name of a member the texts that it had."""
    found: dict[str, dict[str, Words]] = defaultdict(lambda: defaultdict(Words))

    def visit(node: Node, name: str, entity: str, *, given: bool) -> None:
        texts = node.counted(TextStatistics)
        if texts is not None and len(texts.values) <= _MAX_WORDS and not texts.masked:
            words = found[entity][name]
            words.values |= texts.values.keys()
            words.number += texts.known if given else 0
        for member, child in node.members.items():
            visit(child, member, entity, given=given)
        if node.items is not None:
            visit(node.items, name, entity, given=given)

    for name, about in seen.items():
        entity = name.partition(".")[0]
        visit(about.node, "", entity, given=True)
        visit(about.result, "", entity, given=False)
    return found


def _hints(seen: Mapping[str, _Seen]) -> dict[str, Hint]:
    """Return what the parameters say about members of the same names in results."""
    hints: dict[str, Hint] = {}

    def visit(about: _Seen, objects: ObjectStatistics | None, pointer: str) -> None:
        for name, node in {} if objects is None else objects.members.items():
            place = point(pointer, name)
            hint = hints.setdefault(name, Hint())
            if place not in about.schemas.refs:
                hint.may_be_null |= not about.schemas.excludes_null(node, place)
                hint.may_be_fraction |= "number" in node.types and not about.schemas.is_whole(node, place)
                hint.types |= node.types.keys()
            assert objects is not None
            hint.is_optional |= not about.schemas.is_required(objects, pointer, name)
            visit(about, node.counted(ObjectStatistics), place)
            if node.items is not None:
                visit(about, node.items.counted(ObjectStatistics), f"{place}/*")

    for about in seen.values():
        visit(about, about.node.counted(ObjectStatistics), "")
    return hints


def _entry(name: str, about: _Seen, flow: Flow, evidence: Evidence) -> dict[str, Json]:
    """Return the method of a function with its parameters."""
    objects = about.node.counted(ObjectStatistics)
    schemas, total = about.schemas, len(about.accepted)
    members = {} if objects is None else objects.members
    required = [param for param in members if schemas.is_required(objects, "", param)]
    schemas.required_pointers = frozenset(point("", param) for param in required)
    params: list[dict[str, Json]] = []
    for param, node in members.items():
        place = point("", param)
        params.append({"name": param, "required": param in required, "schema": schemas.schema(node, place)})
        evidence.add(param, *_about_parameter(param, node, about, param in required, total))
        for pointer, reference in flow.references.get(name, {}).items():
            if pointer == place or pointer.startswith(f"{place}/"):
                evidence.add(f"x-ref {pointer[1:]}", reference.confidence, reference.because)
    params.sort(key=lambda entry: not entry["required"])
    entry: dict[str, Json] = {"name": name, "paramStructure": "by-name", "params": params}
    likely = [param for param in members if objects and param in objects.always and param not in required]
    if likely:
        entry[SUGGESTED] = {"required": likely}
    if any(point("", param) not in schemas.refs for param in members):
        entry["x-beyond-schema"] = True
        evidence.add(
            "x-beyond-schema", Confidence.LOW, "lengths, ranges and rules between parameters were not learnt"
        )
    return entry


def _about_parameter(
    param: str, node: Node, about: _Seen, required: bool, total: int
) -> tuple[Confidence, str]:
    """Return how sure a parameter is, and why."""
    refused = about.schemas.refusals
    missing = refused.get((point("", param), "missing"), 0)
    given = about.given[param]
    because = [f"given in {counted(given, total)}"]
    if missing:
        because.append(f"{missing} refused without it")
    of_it = {
        way: number
        for (place, way), number in refused.items()
        if place == point("", param) and way != "missing"
    }
    because += [f"{number} refused for {_WAYS.get(way, way)}" for way, number in of_it.items()]
    if not node.nulls and "null" not in of_it:
        because.append("never null")
    names_object = required and point("", param) in about.schemas.refs
    decided = bool(missing) or given < total or names_object
    sure = Confidence.HIGH if decided and total > 1 else Confidence.MEDIUM if required else Confidence.LOW
    return sure, "; ".join(because)


_WAYS = {
    "word": "a word that is none of these",
    "format": "another format",
    "range": "a number out of the range seen",
    "length": "another length",
    "items": "another number of items",
    "unknown": "an unknown member",
    "string": "a text",
}


def _result_schema(about: _Seen, results: ResultSchemas) -> Json:
    node = about.result
    if not node.count:
        return True
    objects = node.counted(ObjectStatistics)
    # Answers repeat each other, so only different ones are evidence; the type alone is what every answer shows.
    samples = (
        node.count if objects is None else max(objects.different, min(node.count, results.limits.result_type))
    )
    schema = results.schema(node, "", samples)
    if objects is not None and not node.nulls and "type" in schema and len(node.types) == 1:
        schema["type"] = "object"
    return schema or True


def _add_extensions(
    entry: dict[str, Json],
    right: Right,
    effect: Effect,
    role: Role | None,
    rows: Rows | None,
    evidence: Evidence,
) -> None:
    entry["x-auth"] = right.value
    evidence.add("x-auth", right.confidence, right.because)
    entry["x-effect"] = effect.value
    evidence.add("x-effect", effect.confidence, effect.because)
    if role is not None:
        entry["x-object"] = role.to_json()
        evidence.add("x-object", role.confidence, role.because)
    if rows is not None:
        entry["x-rows"] = rows.pointer
        evidence.add("x-rows", rows.confidence, rows.because)
