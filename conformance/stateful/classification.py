"""What a disagreement is reported as: the kind of finding, the function, and the script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.stateful.entities import Disagreement
from conformance.stateful.script import StepResult, numbered, render

__all__ = ["Verdict", "verdict"]

#: Steps of a script that a finding shows, and characters of each of its values.
_MAX_REPORTED_STEPS = 40
_MAX_VALUE_CHARS = 300

_MOVED = "a change of one object moves another"

#: The kind of finding that each check of the model makes by itself.
_KINDS = {
    "dead read": "an object that was deleted can still be read",
    "dead changed": "an object that was deleted can still be changed",
    "dead deleted": "an object that was deleted can be deleted again",
    "dead used": "an object that was deleted can still be used",
    "missing": "an object that exists cannot be read",
    "not found": "an object that exists is not found",
    "twin": "an identifier is given twice",
    "stranger": "another user reaches an object that was refused to him",
    "list missing": "a list disagrees with what was made",
    "list twice": "a list disagrees with what was made",
    "list dead": "a list shows what was deleted",
    "list row": "a list disagrees with what was changed",
    "list stray": "a list shows what nobody made",
    "list lost": "an object goes that nobody deleted",
    "list foreign": "a list shows another user's object",
    "page": "pages laid end to end are not the list",
    "session other": "a session is another user's",
    "session dead": "a session that was ended is still heard",
    "session refused": "a good session is refused",
    "session taken": "a logout ends another session that is in use",
}


@dataclass(frozen=True)
class Verdict:
    """What is reported of a disagreement.

    `kind` is the kind of the finding, and `function` the one it is reported for. `actual` ends with the script.
    """

    kind: str
    function: str
    expected: str
    actual: str


def verdict(found: Disagreement, script: Sequence[StepResult], *, minimal: bool) -> Verdict | None:
    """Return the finding that a disagreement makes; None where no call of the script can be its cause.

    A script is `minimal` where every step of it is necessary.
    """
    final = script[-1] if script else None
    causes = [result for result in script if not result.step.only_reads and result is not final]
    refused = [
        result
        for result in causes
        if result.status not in (200, None) and result.step.does in ("create", "update", "delete", "act")
    ]
    changed = [
        result for result in causes if result.status == 200 and result.step.does not in ("login", "logout")
    ]
    elsewhere = found.check == "list row" and causes and causes[-1].step.about != found.about
    named: tuple[str, str] | None
    if minimal and refused and found.check not in ("stranger", "not found"):
        named = "a refused call had an effect", refused[-1].step.function
    elif minimal and any(result.step.at_once for result in script):
        function = next(result.step.function for result in script if result.step.at_once)
        named = "calls at the same time get in each other's way", function
    elif found.check in ("unlike", "moved") or elsewhere:
        if not changed and not minimal:
            return Verdict(_MOVED, found.function, found.expected, found.actual)
        named = _wrong_value(found, changed, minimal=minimal)
    elif minimal and not changed and found.area != "sessions" and found.check not in ("page", "stranger"):
        named = None
    elif found.check in ("missing", "list lost", "not found") and changed:
        named = _KINDS[found.check], changed[-1].step.function
    else:
        named = _KINDS[found.check], found.function
    if named is None:
        return None
    kind, function = named
    lines = "; ".join(render(result) for result in numbered(script)[-_MAX_REPORTED_STEPS:])
    actual = f"{found.actual[:_MAX_VALUE_CHARS]}, after: {lines}"
    return Verdict(kind, function, found.expected[:_MAX_VALUE_CHARS], actual)


def _wrong_value(
    found: Disagreement, changed: Sequence[StepResult], *, minimal: bool
) -> tuple[str, str] | None:
    """Return the kind and the function of a finding about a wrong value; None where no call changed it."""
    own = [result for result in changed if result.step.about == found.about]
    naming = [
        result for result in own if isinstance(result.step.data, dict) and found.member in result.step.data
    ]
    if minimal and found.check == "moved" and len(own) <= 1 and len(changed) == len(own):
        return None
    if not changed:
        return None
    last = changed[-1]
    if naming and naming[-1] is last and last.step.does == "update":
        kind = "an update is lost"
    elif own and own[-1] is last and last.step.does == "update":
        kind = "a change of one member moves another"
    elif naming and naming[-1] is last:
        kind = "an object does not read as it was made"
    else:
        kind = _MOVED
    return kind, last.step.function
