"""Names a cause: one sentence for the behaviour, and where to look for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from conformance.rulebook import RULES
from conformance.text import cut, plural
from reports.causes.evidence import Answer, Evidence, Precondition
from reports.causes.groups import Group, Pattern
from reports.causes.uniting import FORM_OF_A_CALL
from reports.causes.units import violation_of

__all__ = ["place_of", "sentence_of"]

MAX_SENTENCE_CHARACTERS = 240
MAX_NAMED_FUNCTIONS = 3
#: A precondition names the requests of a group if this share of the findings has it.
MIN_TYPICAL_SHARE = 0.7

_SUBJECTS = {
    Precondition.VERB: "Requests with another verb than POST",
    Precondition.PATH: "Requests to a path that is not an endpoint",
    Precondition.BODY: "Bodies that are not JSON",
    Precondition.TYPE: "Requests with another Content-Type",
    Precondition.CALL: "Bodies that are no call",
    Precondition.METHOD: "Calls of a function that does not exist",
    Precondition.SESSION: "Calls without a valid session",
    Precondition.PAGING: "Calls with an invalid pageStart or pageLength",
    Precondition.DATA: "Calls whose data is not an object",
    Precondition.SHAPE: "Calls with arguments that are missing or of another type",
    Precondition.VALUES: "Calls",
}

_LAYERS = {
    Precondition.TYPE: "The Content-Type of a request decides how its body is read",
    Precondition.PAGING: "pageStart and pageLength are not validated",
    Precondition.DATA: "data that is not an object is not refused with 400",
    Precondition.BODY: "Some bodies that are not valid JSON are not refused with 400",
    Precondition.CALL: "JSON that is no call (no object, or without a method) is not refused with 400",
}

_PLACES = {
    Precondition.VERB: "the router: which verbs reach the functions",
    Precondition.PATH: "the router: which paths reach the functions",
    Precondition.BODY: "the JSON parser and its settings, before any function",
    Precondition.TYPE: "the body parser: its condition on the Content-Type, and its limit",
    Precondition.CALL: "where the body is taken for a call, before the function is looked up",
    Precondition.METHOD: "the lookup of the function by `method`",
    Precondition.SESSION: "the check of the session, before any protected function",
    Precondition.PAGING: "where pageStart and pageLength are read, before any function",
    Precondition.DATA: "where data is taken from the body, before any function",
}


def _functions(members: Sequence[Evidence]) -> str:
    names = list(dict.fromkeys(each.function for each in members if each.function))
    more = len(names) - MAX_NAMED_FUNCTIONS
    if not names:
        return "the target"
    return ", ".join(names[:MAX_NAMED_FUNCTIONS]) + (f" and {more} more" if more > 0 else "")


def _typical(members: Sequence[Evidence]) -> Precondition | None:
    """Return the precondition that most findings of a group have; None if they have several."""
    found, count = Counter(each.precondition for each in members).most_common(1)[0]
    return found if count >= MIN_TYPICAL_SHARE * len(members) else None


def _statuses(members: Sequence[Evidence]) -> str:
    statuses = sorted({each.status for each in members if each.status is not None})
    parts = [f"status {', '.join(map(str, statuses))}"] if statuses else []
    parts += ["no answer"] if any(each.status is None for each in members) else []
    return " or ".join(parts)


def _main(members: Sequence[Evidence]) -> Evidence:
    """Return a finding of the rule that the group breaks most often, must rules first."""
    counts = Counter(each.rule for each in members)
    return min(members, key=lambda each: (each.level != "must", -counts[each.rule], each.position))


def sentence_of(group: Group) -> str:
    """Return one sentence that names the behaviour."""
    members = group.members
    if group.pattern is Pattern.DEAD:
        text = f"{group.key[0]} does not work at all: {_statuses(members)} to every call"
    elif group.pattern is Pattern.FORM:
        text = _form(group)
    elif group.pattern is Pattern.LAYER:
        text = f"{_layer(group)} ({_statuses(members)})"
    elif group.pattern is Pattern.REFUSAL:
        text = _refusal(members)
    elif group.pattern is Pattern.CRASH:
        text = _crash(group)
    elif group.pattern is Pattern.UNCHECKED:
        kinds = {violation[0] for each in members if (violation := violation_of(each))}
        text = (
            f"Arguments are not checked against their declaration: {plural(len(kinds), 'kind')} of invalid "
            f"arguments pass or crash in {_functions(members)}"
        )
    elif group.pattern is Pattern.ACCEPTED:
        text = _accepted(group)
    else:
        text = f"{_claim(members)} ({_functions(members)})"
    # The name of a function or a member keeps its letters.
    if text.split(" ", 1)[0].rstrip(",:").isalpha() and text.split(" ", 1)[0].islower():
        text = text[:1].upper() + text[1:]
    return cut(text, MAX_SENTENCE_CHARACTERS)


def _layer(group: Group) -> str:
    if group.key == FORM_OF_A_CALL:
        return "The form of a call is not checked: neither the body, nor method, nor data"
    layer = Precondition(group.key[0])
    if layer is Precondition.TYPE and any(each.status == 413 for each in group.members):
        return "Bodies of another Content-Type, and larger ones, are not read"
    if layer is Precondition.PAGING and any(each.precondition is not layer for each in group.members):
        return "pageStart and pageLength are not implemented but for the usual values"
    return _LAYERS[layer]


def _form(group: Group) -> str:
    members, skeleton = group.members, group.key[0]
    shape = "JSON of another shape"
    if skeleton.startswith("HTML"):
        shape = "an HTML page"
    elif skeleton == "text":
        shape = "plain text"
    elif skeleton == "nothing":
        shape = "an empty body"
    elif skeleton == "JSON null":
        shape = "null"
    if len(group.key) > 2:
        return f"Calls are answered with {_statuses(members)} and {shape}"
    if group.key[1] == "without a route":
        subject = "Requests that the router has no route for"
    else:
        typical = _typical(members)
        errors = any(each.status is not None and each.status >= 400 for each in members)
        subject = _SUBJECTS[typical] if typical not in (None, Precondition.VALUES) else ""
        subject = subject or ("Errors" if errors else "Calls")
    return f"{subject} are answered with {shape} instead of the envelope ({_statuses(members)})"


def _claim(members: Sequence[Evidence]) -> str:
    """Return what the main finding of a group says, without the example in it."""
    main = _main(members)
    finding = main.finding
    record = RULES.get(main.rule)
    # The message of a test says which status one call got; the kind is the same for all of them.
    by_check = record is None or record.check is not None
    first, second = ("message", "kind") if by_check else ("kind", "message")
    return str(finding[first] or finding[second] or main.rule)


def _refusal(members: Sequence[Evidence]) -> str:
    main = _main(members)
    typical = _typical(members)
    subject = _SUBJECTS[typical] if typical not in (None, Precondition.VALUES, Precondition.SHAPE) else ""
    if not subject and any(each.precondition is Precondition.SESSION for each in members):
        subject = _SUBJECTS[Precondition.SESSION]
    if not subject:
        return f"{_claim(members)}: refused with {_statuses(members)} ({_functions(members)})"
    if main.status == 200:
        return f"{subject} are refused in the envelope, but with status 200"
    return f"{subject} are refused with {_statuses(members)} instead of {_expected(main)}"


def _expected(evidence: Evidence) -> str:
    return str(evidence.finding["expected"]).partition(":")[0]


def _crash(group: Group) -> str:
    members = group.members
    if group.key[0].startswith("status "):
        return f"Errors have {_statuses(members)}, which no rule allows"
    if len(group.key) == 1:
        return f"{_SUBJECTS[Precondition(group.key[0])]} end in {_statuses(members)}"
    specific = [each for each in members if "below 500" not in str(each.finding["expected"])] or members
    ends = "ends" if len({each.function for each in members}) == 1 else "end"
    return f"{_functions(members)} {ends} in {_statuses(members)}: {_claim(specific)}"


def _accepted(group: Group) -> str:
    members = group.members
    if group.key[0] == "an argument":
        kinds = list(dict.fromkeys(violation[0] for each in members if (violation := violation_of(each))))
        return f"Invalid arguments are not refused: {', '.join(kinds[:3])} ({_functions(members)})"
    typical = _typical(members)
    if group.key[0] == "a layer" and typical is not None and typical is not Precondition.VALUES:
        return f"{_SUBJECTS[typical]} are answered as if they were valid ({_statuses(members)})"
    return f"{_claim(members)} ({_functions(members)})"


def place_of(group: Group) -> str:
    """Return where in a server to look for the cause."""
    members = group.members
    if group.pattern is Pattern.FORM:
        if group.key[1] == "without a route":
            return "the fallback of the router: what answers when no route matches"
        return "the error handler, which answers for the framework and for every function"
    if group.pattern is Pattern.UNCHECKED:
        return "one validation of all arguments by the declared types and bounds, before any function"
    if group.pattern is Pattern.DEAD:
        return f"{group.key[0]}: its first statements, and what it needs from outside"
    if group.key == FORM_OF_A_CALL:
        return _PLACES[Precondition.CALL]
    typical = Precondition(group.key[0]) if group.pattern is Pattern.LAYER else _typical(members)
    if typical in _PLACES and group.pattern is not Pattern.RULE:
        return _PLACES[typical]
    if any(each.precondition is Precondition.SESSION for each in members):
        return _PLACES[Precondition.SESSION]
    if all(each.answer in (Answer.CRASH, Answer.NONE) for each in members):
        return f"{_functions(members)}: the case that is not handled and throws"
    functions = {each.function for each in members}
    if len(functions) > MAX_NAMED_FUNCTIONS:
        return "what all functions share: it deviates in many of them in the same way"
    return _functions(members)
