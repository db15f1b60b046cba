"""Unites groups that the steps took apart: what one layer decides, and what the same exchanges show.

Groups are united where the evidence of both is one layer of a server, or where the findings of one are in the exchanges
of the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from conformance.rulebook.verdicts import normal
from reports.causes.evidence import Answer, Evidence, Precondition
from reports.causes.groups import Group, Groups, Pattern

__all__ = ["FORM_OF_A_CALL", "unite"]

#: Kinds of invalid paging that must pass before the cause is that paging is hardly implemented.
MIN_KINDS_OF_PAGING = 5

FORM_OF_A_CALL = ("the form of a call",)

#: A finding that is seen in the answer to a later call.
_THEN = re.compile(r"; then ([^\s:]+): status 200\b")

_CRASHES = (Answer.CRASH, Answer.NONE)


def unite(groups: Groups) -> None:
    """Unite groups of one cause; their findings move to one of them."""
    for step in STEPS:
        step(groups)


def _move(groups: Groups, group: Group, into: Group) -> None:
    into.members.extend(group.members)
    del groups[group.pattern, group.key]


def _layer(groups: Groups, layer: Precondition) -> Group | None:
    return groups.get((Pattern.LAYER, (layer.value,)))


def _form_of_a_call(groups: Groups) -> None:
    """Unite what is not checked of a call: that it is an object, has a method, and has an object as data."""
    calls, data = _layer(groups, Precondition.CALL), _layer(groups, Precondition.DATA)
    if calls is None or data is None or len({_is_object(each) for each in calls.members}) < 2:
        return
    both = Group(Pattern.LAYER, FORM_OF_A_CALL)
    groups[both.pattern, both.key] = both
    _move(groups, calls, both)
    _move(groups, data, both)


def _is_object(evidence: Evidence) -> bool:
    request = evidence.finding["request"]
    try:
        return isinstance(json.loads(request["body"]), dict)
    except (TypeError, ValueError, RecursionError):
        return False


def _parser(groups: Groups) -> None:
    """Unite the refusals of what reads the body: they have the same page, and are of no function."""
    reading = _layer(groups, Precondition.TYPE)
    if reading is None:
        return
    pages = {each.skeleton for each in reading.members if each.answer is Answer.FOREIGN}
    for group in list(groups.values()):
        refused = group.pattern is Pattern.FORM and group.key[2:] == ("413",)
        if refused and group.key[0] in pages:
            _move(groups, group, reading)


def _paging(groups: Groups) -> None:
    """Unite what pageStart and pageLength do not do with that they are not validated at all."""
    layer = _layer(groups, Precondition.PAGING)
    if layer is None:
        return
    if len({normal(str(each.finding["kind"])) for each in layer.members}) < MIN_KINDS_OF_PAGING:
        return
    functions = {each.function for each in layer.members}
    for group in list(groups.values()):
        if group.pattern is Pattern.RULE and all(
            each.members and each.function in functions for each in group.members
        ):
            _move(groups, group, layer)


def _pages_of_crashes(groups: Groups) -> None:
    """Unite a page of the framework that one crash alone shows with that crash."""
    for form in list(groups.values()):
        if form.pattern is not Pattern.FORM or any(each.answer is not Answer.CRASH for each in form.members):
            continue
        shown = _places(form.members)
        found = [
            group
            for group in groups.values()
            if group is not form
            and shown
            <= _places(each for each in group.members if each.answer in _CRASHES and each.wrong_status)
        ]
        if len(found) == 1:
            _move(groups, form, found[0])


def _places(members: Iterable[Evidence]) -> set[tuple[Precondition, str | None]]:
    return {(each.precondition, each.function) for each in members}


def _later_refusals(groups: Groups) -> None:
    """Unite refusals of one rule with what breaks it otherwise: what was accepted was refused by the next step."""
    for refusal in list(groups.values()):
        rules = {each.rule for each in refusal.members}
        if refusal.pattern is not Pattern.REFUSAL or len(rules) > 1:
            continue
        found = [
            group
            for group in groups.values()
            if group is not refusal
            and group.pattern in (Pattern.ACCEPTED, Pattern.UNCHECKED, Pattern.RULE, Pattern.LAYER)
            and rules <= {each.rule for each in group.members}
        ]
        if len(found) == 1:
            _move(groups, refusal, found[0])


def _other_types(groups: Groups) -> None:
    """Unite what is no JSON under another Content-Type with what is none under the right one, if answers are alike."""
    typed, bodies = _layer(groups, Precondition.TYPE), _layer(groups, Precondition.BODY)
    if typed is None or bodies is None:
        return
    answers = {each.fingerprint for each in bodies.members}
    if all(not each.is_json and each.fingerprint in answers for each in typed.members):
        _move(groups, typed, bodies)


def _pages_of_layers(groups: Groups) -> None:
    """Unite crashes of a layer with the pages of the framework that the same rules get from it otherwise."""
    for layer in list(groups.values()):
        if layer.pattern is not Pattern.LAYER or any(each.answer not in _CRASHES for each in layer.members):
            continue
        broken = {(each.rule, each.precondition) for each in layer.members if not each.any_answer}
        found = [
            group
            for group in groups.values()
            if group.pattern is Pattern.FORM
            and broken
            and broken <= {(each.rule, each.precondition) for each in group.members if each.wrong_status}
        ]
        if len(found) == 1:
            _move(groups, layer, found[0])


def _shown_by_others(groups: Groups) -> None:
    """Unite what was seen by a call that should have been refused with what accepts such calls."""
    for group in list(groups.values()):
        seen = [_THEN.search(str(each.finding["actual"])) for each in group.members]
        areas = {each.area for each in group.members}
        found = [
            other
            for other in groups.values()
            if other is not group
            and other.pattern is Pattern.ACCEPTED
            and areas == {each.area for each in other.members}
            and all(
                then is not None
                and then[1] in {each.function for each in other.members if each.answer is Answer.SUCCESS}
                for then in seen
            )
        ]
        if len(found) == 1:
            _move(groups, group, found[0])


def _same_exchanges(groups: Groups) -> None:
    """Unite a deviation of data with the one cause that the same requests show, at the same functions."""
    for group in list(groups.values()):
        shown = _requests(group.members)
        of_data = all("/data" in str(each.finding["actual"]) for each in group.members)
        if group.pattern is not Pattern.RULE or not of_data or not shown:
            continue
        found = [
            other
            for other in groups.values()
            if other is not group
            and other.pattern in (Pattern.ACCEPTED, Pattern.RULE)
            and shown <= _requests(other.members)
        ]
        if len(found) == 1:
            _move(groups, group, found[0])


def _requests(members: Iterable[Evidence]) -> set[tuple[str | None, str, str]]:
    """Return the functions of findings with what was sent."""
    return {
        (each.function, request["url"], request["body"])
        for each in members
        if (request := each.finding["request"]) is not None
    }


def _accepted_shapes(groups: Groups) -> None:
    """Unite calls with arguments of another shape that are accepted with what says so of each argument."""
    for group in list(groups.values()):
        if group.pattern is not Pattern.ACCEPTED or group.key[0] != "a call":
            continue
        if any(each.precondition is not Precondition.SHAPE for each in group.members):
            continue
        functions = {each.function for each in group.members}
        found = [
            other
            for other in groups.values()
            if (other.pattern is Pattern.UNCHECKED or other.key[:1] == ("an argument",))
            and functions <= {each.function for each in other.members if each.answer is Answer.SUCCESS}
        ]
        if len(found) == 1:
            _move(groups, group, found[0])


STEPS = (
    _form_of_a_call,
    _other_types,
    _parser,
    _paging,
    _pages_of_crashes,
    _pages_of_layers,
    _later_refusals,
    _shown_by_others,
    _same_exchanges,
    _accepted_shapes,
)
