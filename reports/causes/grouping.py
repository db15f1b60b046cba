"""Gathers the findings of a run into groups that have one cause each.

The steps, each of which takes the findings that it explains and leaves the others:

1. A function that never worked: all its crashes.
2. An answer that is not the envelope: by the shape of the answer, and whether a route was found. A deviation that
   proper answers show too is not explained by this and goes on to the later steps.
3. A layer: whatever has another Content-Type, invalid paging, or data of another type.
4. A refusal with the wrong status, or a refusal that says 200: rules that share the answer.
5. A crash: by its precondition; crashes of plain-looking calls by function, and functions by their first rule.
6. Invalid arguments that were accepted or crashed: by kind; all of them together if so many kinds pass that
   nothing is checked.
7. Other invalid requests that were accepted: by precondition, or by the functions that accept them.
8. Everything else: by rule.
9. What these steps took apart, and the same layer or the same exchanges unite (`uniting.py`).

Each step looks only at findings of its own kind, so a group does not depend on findings of other groups.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from conformance.rulebook.verdicts import normal
from reports.causes.evidence import LAYERS, Answer, Evidence, Precondition
from reports.causes.groups import Group, Groups, Pattern
from reports.causes.uniting import unite
from reports.causes.units import (
    by_errors,
    by_exchanges,
    by_places,
    by_shared,
    components,
    parameter_of,
    pointer_of,
    violation_of,
)

__all__ = ["Group", "Pattern", "group"]

#: Kinds of invalid argument that must pass before the cause is that arguments are not checked at all.
MIN_KINDS_UNCHECKED = 5
#: Functions that must crash, without a rule of their own that says in which case, for the cause to be before them.
MIN_CRASHING_FUNCTIONS = 3


#: Preconditions with which a request is one layer's matter, however it was answered.
DECIDED_TOGETHER = (
    Precondition.TYPE,
    Precondition.PAGING,
    Precondition.DATA,
    Precondition.BODY,
    Precondition.CALL,
)

_CRASHES = (Answer.CRASH, Answer.NONE)

Units = defaultdict[Hashable, list[Evidence]]


def group(evidence: Iterable[Evidence]) -> list[Group]:
    """Return the groups of findings; each finding is in exactly one."""
    left = sorted(evidence, key=_order)
    groups: Groups = {}
    for step in STEPS:
        left = step(left, groups)
    unite(groups)
    return list(groups.values())


def _order(evidence: Evidence) -> tuple[object, ...]:
    return (evidence.position, evidence.function or "", str(evidence.finding["kind"]))


def _put(groups: Groups, pattern: Pattern, key: tuple[str, ...], members: Iterable[Evidence]) -> None:
    groups.setdefault((pattern, key), Group(pattern, key)).members.extend(members)


def _deviation(evidence: Evidence) -> tuple[str, str]:
    """Return the rule and the first clause of the kind of violation."""
    return (evidence.rule, normal(str(evidence.finding["kind"])).partition(",")[0].partition(":")[0])


def _unknown_statuses(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take the errors whose status no rule knows: that status itself is what is wrong, wherever it occurs."""
    unknown = {
        each.status
        for each in left
        if each.answer in (Answer.CRASH, Answer.REFUSAL)
        and each.wrong_status
        and {400, 401, 404, 500} <= each.named_statuses - {each.status}
    }
    rest: list[Evidence] = []
    for each in left:
        if each.status in unknown and each.wrong_status and each.answer in (Answer.CRASH, Answer.REFUSAL):
            _put(groups, Pattern.CRASH, (f"status {each.status}",), [each])
        else:
            rest.append(each)
    return rest


def _dead(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take the crashes of functions that do not work at all."""
    rest: list[Evidence] = []
    for each in left:
        function = each.function
        crashed = each.answer in _CRASHES and each.wrong_status
        if crashed and function is not None and each.knowledge.is_dead(function):
            _put(groups, Pattern.DEAD, (function,), [each])
        else:
            rest.append(each)
    return rest


def _forms(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take what is wrong since the answer is not the envelope."""
    proper = {_deviation(each) for each in left if each.is_envelope and not each.wrong_status}
    rest: list[Evidence] = []
    forms: defaultdict[tuple[str, str], list[Evidence]] = defaultdict(list)
    statuses: defaultdict[tuple[str, str, str], list[Evidence]] = defaultdict(list)
    for each in left:
        layer = "without a route" if each.unrouted else "with a route"
        foreign = each.status is not None and not each.is_envelope
        key = (each.skeleton, layer)
        by_type = each.precondition is Precondition.TYPE and each.wrong_status
        if not foreign or by_type or _deviation(each) in proper:
            rest.append(each)
        elif not each.wrong_status:
            forms[key].append(each)
        elif each.answer is Answer.FOREIGN:
            statuses[*key, str(each.status)].append(each)
        else:
            rest.append(each)
    for key, members in forms.items():
        _put(groups, Pattern.FORM, _widened(key, forms), members)
    for (skeleton, layer, status), members in statuses.items():
        # The status belongs to the form if most answers of this form have it.
        form = forms.get((skeleton, layer), [])
        usual = Counter(str(each.status) for each in form)[status]
        same = bool(form) and 2 * usual >= len(form)
        key = _widened((skeleton, layer), forms)
        _put(groups, Pattern.FORM, key if same else (*key, status), members)
    return rest


def _widened(key: tuple[str, str], forms: Mapping[tuple[str, str], Sequence[Evidence]]) -> tuple[str, str]:
    """Return the key of a form: what successes show too is no matter of a route."""
    skeleton, _ = key
    routed = (skeleton, "with a route")
    return routed if any(each.status == 200 for each in forms.get(routed, ())) else key


def _layers(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take what one layer decides, whichever way it was answered."""
    rest: list[Evidence] = []
    unchecked = any(
        each.wrong_status
        and each.precondition is Precondition.DATA
        and each.answer is not Answer.REFUSAL
        and not each.any_answer
        for each in left
    )
    for each in left:
        layer = each.precondition
        if unchecked and layer is Precondition.SHAPE and each.null_data and each.answer in _CRASHES:
            # Data is used before it is looked at. Elsewhere null is to have no arguments.
            layer = Precondition.DATA
        if layer is Precondition.DATA and each.any_answer and not unchecked:
            rest.append(each)
            continue
        # Another status than the right one may be that of every refusal.
        refused = layer is not Precondition.TYPE and each.answer is Answer.REFUSAL
        if each.wrong_status and layer in DECIDED_TOGETHER and not refused:
            _put(groups, Pattern.LAYER, (layer.value,), [each])
        else:
            rest.append(each)
    return rest


def _refusals(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take refusals with the wrong status: rules that are broken by the same answer have one cause."""
    units: Units = defaultdict(list)
    rest: list[Evidence] = []
    for each in left:
        if each.answer is Answer.REFUSAL and each.wrong_status:
            units[each.status, each.rule].append(each)
        else:
            rest.append(each)
    # A deviation that these answers alone show belongs to them: `isError` is true, and the status 200.
    answers = {each.fingerprint for members in units.values() for each in members}
    others: Units = defaultdict(list)
    for each in rest:
        others[_deviation(each)].append(each)
    rest = []
    for deviation, members in others.items():
        if all(each.fingerprint in answers and each.answer is Answer.REFUSAL for each in members):
            units["", deviation].extend(members)
        else:
            rest += members
    links = by_shared(units, lambda each: [each.fingerprint])
    for key, members in _components(units, links).items():
        for part in _by_expected(members):
            layer = Counter(each.precondition for each in part).most_common(1)[0][0]
            if layer is Precondition.CALL:
                _put(groups, Pattern.LAYER, (layer.value,), part)
            else:
                _put(groups, Pattern.REFUSAL, key if part is members else (*key, layer.value), part)
    return rest


def _by_expected(members: list[Evidence]) -> list[list[Evidence]]:
    """Split one answer that stands for two: mending it with one status leaves what expects another.

    Where different answers have the same status, or one answer stands for more than two, the status itself is wrong.
    """
    if len({each.fingerprint for each in members}) > 1:
        return [members]
    right: dict[Precondition, set[int]] = {}
    for each in members:
        if each.wrong_status and each.named_statuses:
            common = right.get(each.precondition, each.named_statuses) & each.named_statuses
            right[each.precondition] = common or right[each.precondition]
    names = list(right)
    links = [
        (one, other)
        for one in range(len(names))
        for other in range(one + 1, len(names))
        if right[names[one]] & right[names[other]]
    ]
    roots = dict(zip(names, components(len(names), links), strict=True))
    if len(set(roots.values())) != 2:
        return [members]
    parts: defaultdict[int, list[Evidence]] = defaultdict(list)
    for each in members:
        parts[roots.get(each.precondition, 0)].append(each)
    return list(parts.values())


def _components(units: Units, links: Iterable[tuple[int, int]]) -> dict[tuple[str, ...], list[Evidence]]:
    """Return the members of united units, by the name of their first unit."""
    names = list(units)
    found: defaultdict[tuple[str, ...], list[Evidence]] = defaultdict(list)
    for number, root in enumerate(components(len(names), links)):
        found[str(names[root]),] += units[names[number]]
    return found


def _put_components(
    groups: Groups,
    pattern: Pattern,
    units: Units,
    links: Iterable[tuple[int, int]],
    prefix: tuple[str, ...] = (),
) -> None:
    """Put united units into one group each; its key is that of its first unit."""
    for key, members in _components(units, links).items():
        _put(groups, pattern, (*prefix, *key), members)


#: Layers that pass a request on to a function, where it may crash as any call of it does.
PASSED_ON = (Precondition.VERB, Precondition.DATA)


def _crashes(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take what ends in a status of 500 or above, or in no answer, where a refusal is expected."""
    rest: list[Evidence] = []
    functions: Units = defaultdict(list)
    for each in left:
        passed_on = each.any_answer and each.precondition in PASSED_ON
        if each.answer not in _CRASHES or not each.wrong_status or passed_on:
            rest.append(each)
        elif each.precondition in LAYERS:
            _put(groups, Pattern.CRASH, (each.precondition.value,), [each])
        elif violation_of(each) is not None or each.any_answer:
            rest.append(each)
        else:
            functions[each.function].append(each)
    _put_functions(groups, functions)
    return rest


def _put_functions(groups: Groups, functions: Units) -> None:
    """Put crashes into groups: functions whose crashes break the same rule first have the same unhandled case."""
    first = {
        function: next(
            (each.rule for each in members if "below 500" not in str(each.finding["expected"])), function
        )
        for function, members in functions.items()
    }
    links = by_shared(functions, lambda each: [first[each.function]])
    # Many functions that crash in usual calls have one cause before them.
    bare = [number for number, function in enumerate(functions) if first[function] == function]
    if len(bare) >= MIN_CRASHING_FUNCTIONS:
        links += [(bare[0], other) for other in bare[1:]]
    _put_components(groups, Pattern.CRASH, functions, links, ("a call",))


def _arguments(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take invalid arguments that were accepted or crashed, and what their values break later."""
    rest: list[Evidence] = []
    kinds: Units = defaultdict(list)
    for each in left:
        violation = violation_of(each) if each.wrong_status else None
        if violation is None:
            rest.append(each)
        else:
            kinds[violation[0]].append(each)
    if len(kinds) < MIN_KINDS_UNCHECKED:
        links = by_places(kinds, lambda each: (each.function, parameter_of(each)))
        # Crashes of the same functions have one cause, whichever parameter was seen first.
        names = list(kinds)
        crashing = [name for name in names if all(each.answer in _CRASHES for each in kinds[name])]
        links += [
            (names.index(crashing[one]), names.index(crashing[other]))
            for one, other in by_places({name: kinds[name] for name in crashing}, lambda each: each.function)
        ]
        _put_components(groups, Pattern.ACCEPTED, kinds, links, ("an argument",))
        return _without_stored(rest, [each for each in groups.values() if each.key[0] == "an argument"])
    members = [each for found in kinds.values() for each in found]
    more = [
        each
        for each in rest
        if each.wrong_status and each.precondition is Precondition.SHAPE and each.named_statuses == {400}
    ]
    _put(groups, Pattern.UNCHECKED, (), members + more)
    unchecked = groups[Pattern.UNCHECKED, ()]
    return _without_stored([each for each in rest if each not in more], [unchecked])


def _without_stored(left: list[Evidence], accepting: Sequence[Group]) -> list[Evidence]:
    """Give answers that show what an invalid argument stored to the group that accepted it; return the others."""
    names = [
        {re.split(r"[\[/.]", parameter_of(each))[0] for each in group.members} - {""} for group in accepting
    ]
    rest: list[Evidence] = []
    for each in left:
        shown = set(pointer_of(each)) if each.answer is Answer.SUCCESS and not each.wrong_status else set()
        found = [group for group, parameters in zip(accepting, names, strict=True) if parameters & shown]
        if len(found) == 1:
            found[0].members.append(each)
        else:
            rest.append(each)
    return rest


def _any_call(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take what says only that a function crashed: it follows the other crashes of the function."""
    crashing: defaultdict[tuple[bool, str | None], list[Group]] = defaultdict(list)
    for found in groups.values():
        by_arguments = found.pattern in (Pattern.UNCHECKED, Pattern.ACCEPTED)
        if by_arguments or found.pattern is Pattern.CRASH:
            for function in {each.function for each in found.members if each.answer in _CRASHES}:
                crashing[by_arguments, function].append(found)
    rest: list[Evidence] = []
    functions: Units = defaultdict(list)
    for each in left:
        if not each.any_answer or each.answer not in _CRASHES or not each.wrong_status:
            rest.append(each)
            continue
        shaped = each.precondition is Precondition.SHAPE
        candidates = crashing[shaped, each.function] or crashing[not shaped, each.function]
        if candidates:
            candidates[0].members.append(each)
        else:
            functions[each.function].append(each)
    _put_functions(groups, functions)
    return rest


def _accepted(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take invalid requests that were answered as if they were valid."""
    rest: list[Evidence] = []
    layers: Units = defaultdict(list)
    plain: Units = defaultdict(list)
    for each in left:
        if not each.wrong_status or (each.members and each.precondition is Precondition.VALUES):
            rest.append(each)
        else:
            (layers if each.precondition in LAYERS else plain)[each.rule].append(each)
    # A rule that is broken by a status and by an effect has one cause.
    taken = {*layers, *plain}
    for each in rest:
        for units in (layers, plain):
            if each.rule in units:
                units[each.rule].append(each)
                break
    # So has a rule that is broken behind the same layer alone.
    seen = {each.precondition for members in layers.values() for each in members if each.wrong_status}
    behind: defaultdict[str, set[Precondition]] = defaultdict(set)
    for each in rest:
        behind[each.rule].add(each.precondition)
    for each in rest:
        hidden = len(behind[each.rule]) == 1 and behind[each.rule] <= seen
        if hidden and each.rule not in taken:
            layers[each.rule].append(each)
    rest = [each for each in rest if each.rule not in layers and each.rule not in plain]
    shared = by_shared(layers, lambda each: [each.precondition] if each.precondition in seen else [])
    _put_components(groups, Pattern.ACCEPTED, layers, shared, ("a layer",))
    links = by_places(plain, lambda each: each.function)
    _put_components(groups, Pattern.ACCEPTED, plain, links, ("a call",))
    return rest


def _rules(left: Sequence[Evidence], groups: Groups) -> list[Evidence]:
    """Take the rest by rule; rules that the same exchanges break, or the same special members, are united."""
    units: Units = defaultdict(list)
    for each in left:
        units[each.rule].append(each)
    links = by_shared(units, lambda each: [(each.area, each.function, name) for name in each.members])
    links += by_exchanges(units)
    links += by_errors(units)
    _put_components(groups, Pattern.RULE, units, links)
    return []


STEPS = (
    _unknown_statuses,
    _dead,
    _forms,
    _layers,
    _refusals,
    _crashes,
    _arguments,
    _any_call,
    _accepted,
    _rules,
)
