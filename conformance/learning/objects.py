"""What functions do with objects (`x-object`), whether they change anything (`x-effect`), and their rows (`x-rows`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.learning.calls import Call, Json, leaves
from conformance.learning.evidence import Confidence, counted
from conformance.learning.identifiers import Flow, Kind, member_of
from conformance.learning.words import CREATES, DELETES, READS, UPDATES, WRITES, verb_of

__all__ = ["Effect", "Role", "Rows", "effects_of", "roles_of", "rows_of", "volatile_places"]

#: Answers to a call for an object that is gone.
_GONE = frozenset({400, 403, 404, 410})
_MIN_CALLS = 2


@dataclass(frozen=True)
class Role:
    """The operation of a function on objects of a kind, as `x-object` has it."""

    kind: str
    does: str
    id: str
    at: str
    confidence: Confidence
    because: str

    def to_json(self) -> dict[str, Json]:
        """Return the value of `x-object`."""
        out = {"kind": self.kind, "does": self.does, "id": self.id}
        return {**out, "at": self.at} if self.at and self.does in ("create", "read", "update") else out


@dataclass(frozen=True)
class Effect:
    """The value of `x-effect`."""

    value: str
    confidence: Confidence
    because: str


@dataclass(frozen=True)
class Rows:
    """The value of `x-rows`."""

    pointer: str
    confidence: Confidence
    because: str


def _parent(pointer: str) -> str:
    return pointer.rpartition("/")[0]


# --- x-object -------------------------------------------------------------------------------------------------


def roles_of(flow: Flow, functions: Sequence[str]) -> dict[str, Role]:
    """Return the roles of functions."""
    found: dict[str, Role] = {}
    for kind in flow.kinds.values():
        if kind.made_by is not None:
            by_name = verb_of(kind.made_by) in CREATES
            found[kind.made_by] = Role(
                kind.name, "create", kind.made_at, _parent(kind.made_at),
                Confidence.HIGH if by_name else Confidence.MEDIUM, kind.because,
            )  # fmt: skip
    for function in functions:
        if function in found:
            continue
        role = _single_role(flow, function) or _list_role(flow, function)
        if role is not None:
            found[function] = role
    return found


def _list_role(flow: Flow, function: str) -> Role | None:
    """Return the role of a function whose answers have rows with identifiers.

    A function that can be called without a session lists nobody's own objects, so it has no role.
    """
    if verb_of(function) in WRITES or flow.is_public(function):
        return None
    entity = function.partition(".")[0]
    best: tuple[tuple[bool, bool, int], Role] | None = None
    for pointer, values in flow.answer_places(function):
        if pointer.count("*") != 1 or pointer.rpartition("/*")[2].count("/") > 1:
            continue
        for kind in flow.kinds.values():
            known = sum(kind.seen.get(value, index) <= index for index, value in values)
            named = member_of(pointer) == kind.member
            scalar = pointer.endswith("/*")
            if not (named or (scalar and known)) or known < 0.9 * len(values):
                continue
            own = kind.entity == entity or kind.name.lower() == entity.lower()
            if not flow.is_distinct(function, pointer) or not own:
                continue
            listed, missing = flow.listed(function, pointer, kind)
            if missing > listed:
                continue
            inside = pointer.rpartition("/*")[2]
            because = f"{counted(known, len(values), 'values')} of {pointer} are identifiers of {kind.name}"
            if listed:
                because += f"; {listed} new ones were listed, {missing} were not"
            role = Role(kind.name, "list", inside, "", Confidence.HIGH, because)
            rank = (own, named, -pointer.count("/"))
            if best is None or rank > best[0]:
                best = rank, role
    return None if best is None else best[1]


def _single_role(flow: Flow, function: str) -> Role | None:
    """Return the role of a function that is called with the identifier of one object."""
    entity, verb = function.partition(".")[0], verb_of(function)
    candidates: list[tuple[tuple[bool, bool], str, Kind]] = []
    for pointer, reference in flow.references.get(function, {}).items():
        if pointer.count("/") == 1 and "*" not in pointer:
            kind = flow.kinds[reference.kind]
            candidates.append(((kind.entity == entity, pointer[1:] == kind.member), pointer[1:], kind))
    for (own, named), parameter, kind in sorted(candidates, key=lambda each: each[0], reverse=True):
        if not own and not named:
            continue
        if own and (role := _deleting(flow, function, parameter, kind, verb)):
            return role
        place = _repeated_at(flow, function, parameter, kind)
        if place is None:
            continue
        pointer, same, given = place
        because = f"{counted(same, given, 'answers')} have the identifier at {pointer}"
        if verb in READS:
            sure = Confidence.HIGH if given >= _MIN_CALLS else Confidence.LOW
            return Role(kind.name, "read", parameter, _parent(pointer), sure, because)
        changed = _shared_parameters(flow, function, kind)
        if own and (verb in UPDATES or (changed and verb not in WRITES)):
            sure = Confidence.HIGH if verb in UPDATES and changed else Confidence.MEDIUM
            more = f"; it takes {', '.join(sorted(changed)[:3])} as {kind.made_by} does" if changed else ""
            return Role(kind.name, "update", parameter, _parent(pointer), sure, because + more)
    return None


def _repeated_at(flow: Flow, function: str, parameter: str, kind: Kind) -> tuple[str, int, int] | None:
    """Return the place of a function's answers that repeats the identifier it is called with."""
    best: tuple[tuple[bool, int], tuple[str, int, int]] | None = None
    for pointer, _ in flow.answer_places(function):
        if "*" in pointer or member_of(pointer) != kind.member:
            continue
        same, given = flow.repeats(function, pointer, parameter)
        if not same or same < 0.9 * given:
            continue
        rank = (pointer == kind.made_at, -pointer.count("/"))
        if best is None or rank > best[0]:
            best = rank, (pointer, same, given)
    return None if best is None else best[1]


def _shared_parameters(flow: Flow, function: str, kind: Kind) -> set[str]:
    """Return the parameters that a function has in common with the one that makes objects of a kind."""
    if kind.made_by is None:
        return set()
    names: list[set[str]] = []
    for each in (function, kind.made_by):
        names.append({name for index in flow.successes(each) for name in flow.calls[index].arguments})
    references = {pointer[1:] for pointer in flow.references.get(function, {})}
    return (names[0] & names[1]) - references


def _deleting(flow: Flow, function: str, parameter: str, kind: Kind, verb: str) -> Role | None:
    gone, alive, rows = _afterwards(flow, function, parameter, kind)
    by_name = verb in DELETES
    if by_name:
        # An object that is still there was not deleted, whatever the name says.
        if alive > gone:
            return None
    elif alive or gone < _MIN_CALLS or verb in READS or verb in UPDATES:
        return None
    because = f"{gone} identifiers were refused afterwards, {alive} were not"
    if rows:
        because += f"; {rows} were in no later rows"
    sure = Confidence.HIGH if by_name and gone + rows else Confidence.MEDIUM
    return Role(kind.name, "delete", parameter, "", sure, because)


def _afterwards(flow: Flow, function: str, parameter: str, kind: Kind) -> tuple[int, int, int]:
    """Return how many identifiers were refused after a call of a function, were not, and were missing in rows."""
    first: dict[Json, int] = {}
    for index, value in flow.argument_values(function, f"/{parameter}"):
        first.setdefault(value, index)
    refused: dict[Json, bool] = {}
    for index, call in enumerate(flow.calls):
        if call.entity != kind.entity:
            continue
        for name, value in call.arguments.items():
            if not isinstance(value, str | int) or first.get(value, index) >= index:
                continue
            if name != kind.member and name != parameter:
                continue
            if call.succeeded:
                refused[value] = False
            elif call.status in _GONE:
                refused.setdefault(value, True)
    last_row: dict[Json, int] = {}
    for other in {call.function for call in flow.calls if call.entity == kind.entity}:
        for pointer, values in flow.answer_places(other):
            if "*" in pointer and member_of(pointer) == kind.member:
                for index, value in values:
                    last_row[value] = max(index, last_row.get(value, -1))
    rows = sum(value in last_row and last_row[value] < index for value, index in first.items())
    return sum(refused.values()), sum(not gone for gone in refused.values()), rows


# --- x-effect -------------------------------------------------------------------------------------------------


def effects_of(
    flow: Flow, functions: Sequence[str], roles: Mapping[str, Role], sessions: frozenset[str]
) -> dict[str, Effect]:
    """Return what functions do; `sessions` are the functions that begin or end sessions."""
    repeated = _repeated_calls(flow.calls)
    found: dict[str, Effect] = {}
    for function in functions:
        role, verb = roles.get(function), verb_of(function)
        same, all_pairs = repeated.get(function, (0, 0))
        again = f"{counted(same, all_pairs, 'repeated calls')} had the same answer"
        if role is not None and role.does in ("create", "update", "delete"):
            value = "delete" if role.does == "delete" else "write"
            found[function] = Effect(value, role.confidence, f"it {role.does}s objects of {role.kind}")
        elif function in sessions:
            found[function] = Effect("write", Confidence.HIGH, "it begins or ends sessions")
        elif verb in READS:
            found[function] = Effect("read", Confidence.HIGH, f'its name begins with "{verb}"; {again}')
        elif role is not None:
            found[function] = Effect("read", Confidence.MEDIUM, f"it {role.does}s objects of {role.kind}")
        elif verb in DELETES:
            found[function] = Effect("delete", Confidence.MEDIUM, f'its name begins with "{verb}"')
        elif verb in WRITES:
            found[function] = Effect("write", Confidence.MEDIUM, f'its name begins with "{verb}"')
        elif all_pairs >= _MIN_CALLS and same == all_pairs:
            found[function] = Effect("read", Confidence.MEDIUM, again)
        else:
            found[function] = Effect(
                "write", Confidence.LOW, f'nothing shows it, and "write" is safe; {again}'
            )
    return found


def _repeated_calls(calls: Sequence[Call]) -> dict[str, tuple[int, int]]:
    """Return for each function how many successive calls of one session with the same arguments had one answer."""
    latest: dict[tuple[str, str], Json] = {}
    pairs: dict[str, list[bool]] = defaultdict(list)
    for call in calls:
        if not call.succeeded or not call.has_result:
            continue
        key = (call.function, repr((call.session, call.arguments, call.page_start, call.page_length)))
        if key in latest:
            pairs[call.function].append(_shape(latest[key]) == _shape(call.result))
        latest[key] = call.result
    return {function: (sum(same), len(same)) for function, same in pairs.items()}


def _shape(result: Json) -> str:
    """Return what two answers to a reading call have in common although others may have written in between."""
    pointers = sorted({pointer for pointer, _ in leaves(result) if "*" not in pointer})
    return repr(pointers)


def volatile_places(calls: Sequence[Call], effects: Mapping[str, Effect]) -> dict[str, frozenset[str]]:
    """Return by function the places whose values change between identical calls although nothing was written."""
    found: dict[str, set[str]] = defaultdict(set)
    latest: dict[str, tuple[str, Json]] = {}
    for call in calls:
        effect = effects.get(call.function)
        if effect is None or effect.value != "read":
            latest.clear()
            continue
        if not call.succeeded or not call.has_result:
            continue
        key = repr((call.function, call.session, call.arguments, call.page_start, call.page_length))
        before = latest.get(key)
        latest[key] = (call.function, call.result)
        if before is not None and before[1] != call.result:
            old, new = list(leaves(before[1])), list(leaves(call.result))
            if [pointer for pointer, _ in old] == [pointer for pointer, _ in new]:
                found[call.function] |= {
                    pointer for (pointer, value), (_, other) in zip(old, new, strict=True) if value != other
                }
    return {function: frozenset(places) for function, places in found.items()}


# --- x-rows ---------------------------------------------------------------------------------------------------


@dataclass
class _Lengths:
    """How long an array was in paged calls, and in calls for more."""

    paged: int = 0
    cut: int = 0
    within: int = 0
    longest: int = 0
    lengths: list[tuple[int, int]] = field(default_factory=list)


def rows_of(calls: Sequence[Call], role: Role | None) -> Rows | None:
    """Return the rows to which paging applies, from the successful calls of one function."""
    found: dict[str, _Lengths] = defaultdict(_Lengths)
    for call in calls:
        for pointer, length in _arrays(call.result):
            about = found[pointer]
            about.longest = max(about.longest, length)
            if call.page_length is not None:
                about.paged += 1
                about.within += length <= call.page_length
                about.lengths.append((length, call.page_length))
    best: tuple[tuple[bool, int], Rows] | None = None
    for pointer, about in found.items():
        if about.paged < _MIN_CALLS or about.within < about.paged:
            continue
        cut = sum(length == most < about.longest for length, most in about.lengths)
        is_listed = role is not None and role.does == "list"
        if not cut and not is_listed:
            continue
        because = f"{counted(about.within, about.paged, 'paged answers')} have no more rows than asked for"
        because += f"; {cut} of them were cut" if cut else "; none was long enough to be cut"
        rows = Rows(pointer, Confidence.HIGH if cut >= _MIN_CALLS else Confidence.MEDIUM, because)
        rank = (cut > 0, -pointer.count("/"))
        if best is None or rank > best[0]:
            best = rank, rows
    return None if best is None else best[1]


def _arrays(value: Json, pointer: str = "") -> Iterator[tuple[str, int]]:
    """Yield (JSON pointer, length) for each array that is not within another."""
    if isinstance(value, list):
        yield pointer, len(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _arrays(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
