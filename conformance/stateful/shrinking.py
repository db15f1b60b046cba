"""Shrink a script to the smallest one that still shows a disagreement.

A script is run again on fresh objects and in fresh sessions, with steps left out: first those that seem unrelated,
then half of the others, then single steps, then members of the data. What remains is necessary, so it shows the
cause: a refused call that had an effect, calls at the same time, or a change of another object.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.cases.format import Expect
from conformance.cases.format import Step as CaseStep
from conformance.catalog.model import Catalog
from conformance.engine.runner import TestContext
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.entities import Disagreement, Knowledge
from conformance.stateful.executor import ScriptExecutor
from conformance.stateful.script import Ref, Step, StepResult, groups, named_in, numbered, render

__all__ = ["Verdict", "case_of", "replay", "shrink", "verdict"]


@dataclass(frozen=True)
class Verdict:
    """What is reported of a disagreement: its kind, the function it is filed under, and the script."""

    kind: str
    function: str
    expected: str
    actual: str


def replay(
    ctx: TestContext, knowledge: Knowledge, script: Sequence[Step]
) -> tuple[Disagreement | None, list[StepResult]]:
    """Play a script on unseen objects and in unseen sessions; return where it first disagrees, and what was result."""
    executor = ScriptExecutor(ctx, knowledge)
    found: Disagreement | None = None
    try:
        for group in groups(script):
            found = executor.execute(group)
            if found is not None:
                break
    except SetUpFailedError:
        found = None
    finally:
        executor.clean_up()
    return found, executor.transcript


class _Shrinker:
    def __init__(
        self, ctx: TestContext, knowledge: Knowledge, like: Disagreement, calls: int, seconds: float
    ) -> None:
        self.ctx = ctx
        self.knowledge = knowledge
        self.like = like
        self.calls = ctx.client.sent + calls
        self.until = time.monotonic() + seconds
        self.tried: set[str] = set()
        self.best: tuple[Disagreement, list[StepResult]] | None = None

    @property
    def spent(self) -> bool:
        return self.ctx.client.sent >= self.calls or time.monotonic() >= self.until

    def holds(self, script: Sequence[Step]) -> list[Step] | None:
        """Play a script; return what of it was result where it shows the same, else None."""
        script = _single(script)
        key = repr(script)
        if not script or key in self.tried or self.spent:
            return None
        self.tried.add(key)
        # What depends on how two calls meet, or on how many sessions there were, does not come every time.
        chancy = self.like.area == "sessions" or any(step.at_once for step in script)
        for _ in range(2 if chancy else 1):
            found, result = replay(self.ctx, self.knowledge, script)
            if found is not None and found.signature == self.like.signature:
                self.best = (found, result)
                return [each.step for each in result]
            if self.spent:
                break
        return None


def _single(script: Sequence[Step]) -> list[Step]:
    """Return a script in which nothing is said to be at the same time as nothing."""
    return [
        replace(group[0], at_once=0) if len(group) == 1 else step
        for group in groups(script)
        for step in group
    ]


def shrink(
    ctx: TestContext,
    knowledge: Knowledge,
    found: Disagreement,
    script: Sequence[StepResult],
    *,
    calls: int,
    seconds: float,
) -> tuple[Disagreement, list[StepResult], bool]:
    """Return the disagreement as the smallest script found shows it, that script, and whether nothing of it can go.

    At most so many calls are made, and none after so many seconds. Where it does not come back, or the calls do not
    suffice, the script may hold more than it needs.
    """
    shrinker = _Shrinker(ctx, knowledge, found, calls, seconds)
    best: list[Step] | None = None
    for slice_ in _slices(list(script), found):
        best = shrinker.holds(slice_)
        if best is not None:
            break
    if best is None or shrinker.best is None:
        return found, list(script), False
    best = _fewer(shrinker, best)
    best = _plainer(shrinker, best)
    minimal = not shrinker.spent
    best = _fewer(shrinker, best)
    return shrinker.best[0], shrinker.best[1], minimal


def _slices(script: list[StepResult], found: Disagreement) -> Iterator[list[Step]]:
    """Yield parts of a script in which the cause may lie, the smallest first; the last at last."""
    last = groups([result.step for result in script])[-1]
    before = script[: len(script) - len(last)]
    made = {each.step.about: each.step for each in before if each.step.does == "create"}
    names = {step.about for step in last if step.about} if found.about is None else {found.about}
    if not names:
        names |= {name for name, step in made.items() if name and step.kind == found.area}
    more = list(names)
    while more:
        creation = made.get(more.pop())
        for name in named_in(creation.data) if creation else ():
            if name not in names:
                names.add(name)
                more.append(name)

    def part(keep: Callable[[StepResult], bool]) -> list[Step]:
        return [*(result.step for result in before if keep(result)), *last]

    def session(result: StepResult) -> bool:
        return result.step.does in ("login", "logout")

    def wrote(result: StepResult) -> bool:
        return not result.step.only_reads and result.status == 200 and not session(result)

    def same_list(result: StepResult) -> bool:
        return result.step.does == "list" and result.step.function == found.function and not result.step.page

    if found.area == "sessions":
        yield part(session)
        yield part(lambda each: session(each) or each.step.does == "whoami")
    elif found.check in ("page", "list stray", "list lost"):
        # These compare with what the same list showed before.
        lists = [each for each in before if same_list(each)][-1:] if found.check == "page" else before
        yield part(
            lambda each: (wrote(each) and each.step.about in names) or (each in lists and same_list(each))
        )
        yield part(
            lambda each: (
                (not each.step.only_reads and not session(each)) or (each in lists and same_list(each))
            )
        )
    else:
        yield part(lambda each: wrote(each) and each.step.about in names)
        yield part(lambda each: not each.step.only_reads and each.step.about in names)
        yield part(lambda each: each.step.about in names)
        yield part(wrote)
        yield part(lambda each: not session(each) and not each.step.only_reads)
    yield part(lambda each: not each.step.only_reads)
    yield part(lambda each: not each.step.only_reads or each.step.about in names)
    yield part(lambda each: True)


def _fewer(shrinker: _Shrinker, script: list[Step]) -> list[Step]:
    """Leave out steps: by halves, quarters, …, one by one; the last group is what shows it."""
    size = max(1, (len(groups(script)) - 1) // 2)
    while True:
        parts = groups(script)
        at = 0
        shorter = False
        while at < len(parts) - 1 and not shrinker.spent:
            # From the end: what came last is most often the cause, what came first what it needs.
            end = len(parts) - 1 - at
            candidate = [*parts[: max(0, end - size)], *parts[end:]]
            kept = shrinker.holds([step for group in candidate for step in group])
            if kept is not None:
                script, parts, shorter = kept, groups(kept), True
            else:
                at += size
        if shrinker.spent or (size == 1 and not shorter):
            return _apart(shrinker, script)
        size = max(1, size // 2)


def _apart(shrinker: _Shrinker, script: list[Step]) -> list[Step]:
    """Send one after the other what was sent together, or less of it."""
    for number in sorted({step.at_once for step in script} - {0}):
        alone = [replace(step, at_once=0) if step.at_once == number else step for step in script]
        kept = shrinker.holds(alone)
        if kept is not None:
            script = kept
            continue
        for step in [each for each in script if each.at_once == number]:
            rest = [each for each in script if each is not step]
            if (
                sum(each.at_once == number for each in rest) > 1
                and (kept := shrinker.holds(rest)) is not None
            ):
                script = kept
    return script


def _plainer(shrinker: _Shrinker, script: list[Step]) -> list[Step]:
    """Leave members out of the data, and put one session in place of several."""
    one = [replace(step, session=step.user) if step.does != "login" else step for step in script]
    if one != script:
        script = shrinker.holds([step for step in one if step.does != "login"]) or script
    methods = shrinker.ctx.catalog.methods

    def cut(step: Step, keep: Callable[[str], bool]) -> Step:
        method = methods.get(step.function)
        if method is None or step.does not in ("create", "update") or not isinstance(step.data, dict):
            return step
        required = {param.name for param in method.params if param.required}
        own = method.object.id if method.object and step.does == "update" else ""
        data = {
            name: value for name, value in step.data.items() if name in required or name == own or keep(name)
        }
        bare = step.does == "update" and len(data) < 2
        return step if bare else replace(step, data=data)

    member = shrinker.like.member or ""
    for keep in (lambda name: False, lambda name: name == member):
        kept = shrinker.holds([cut(step, keep) for step in script])
        if kept is not None:
            script = kept
            break
    for index in range(len(script)):
        script = _barer(shrinker, script, index, cut)
    return script


def _barer(
    shrinker: _Shrinker, script: list[Step], index: int, cut: Callable[[Step, Callable[[str], bool]], Step]
) -> list[Step]:
    """Leave members out of one step's data: by halves, quarters, …, one by one."""
    if index >= len(script) or not isinstance(script[index].data, dict):
        return script
    names = list(script[index].data)
    size = max(1, len(names) // 2)
    while not shrinker.spent:
        for start in range(0, len(names), size):
            some = names[start : start + size]
            step = cut(script[index], lambda name, some=some: name not in some)  # type: ignore[misc]
            if step == script[index]:
                continue
            kept = shrinker.holds([*script[:index], step, *script[index + 1 :]])
            if kept is not None and len(kept) == len(script):
                script = kept
        if size == 1:
            break
        names = [name for name in names if name in (script[index].data or {})]
        size = max(1, size // 2)
    return script


# --- what it is called --------------------------------------------------------------------------------------

_MOVED = "a change of one object moves another"
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


def verdict(found: Disagreement, script: Sequence[StepResult], *, minimal: bool) -> Verdict | None:
    """Say what a disagreement is called; None where nothing in the script accounts for it but the passing of time."""
    writes = [result for result in script if not result.step.only_reads]
    final = script[-1] if script else None
    causes = [result for result in writes if result is not final]
    function = found.function
    refused = [
        result
        for result in causes
        if result.status not in (200, None) and result.step.does in ("create", "update", "delete", "act")
    ]
    value = found.check in ("unlike", "moved")
    elsewhere = found.check == "list row" and causes and causes[-1].step.about != found.about
    changed = [
        result for result in causes if result.status == 200 and result.step.does not in ("login", "logout")
    ]
    if minimal and refused and found.check not in ("stranger", "not found"):
        kind, function = "a refused call had an effect", refused[-1].step.function
    elif minimal and any(result.step.at_once for result in script):
        kind = "calls at the same time get in each other's way"
        function = next(result.step.function for result in script if result.step.at_once)
    elif value or elsewhere:
        own = [result for result in changed if result.step.about == found.about]
        naming = [
            result
            for result in own
            if isinstance(result.step.data, dict) and found.member in result.step.data
        ]
        if minimal and found.check == "moved" and len(own) <= 1 and len(changed) == len(own):
            return None
        if not changed:
            return None if minimal else Verdict(_MOVED, function, found.expected, found.actual)
        if naming and naming[-1] is changed[-1] and naming[-1].step.does == "update":
            kind = "an update is lost"
        elif own and own[-1] is changed[-1] and own[-1].step.does == "update":
            kind = "a change of one member moves another"
        elif naming and changed and naming[-1] is changed[-1]:
            kind = "an object does not read as it was made"
        else:
            kind = _MOVED
        function = changed[-1].step.function
    elif minimal and not changed and found.area != "sessions" and found.check not in ("page", "stranger"):
        return None
    else:
        kind = _KINDS[found.check]
        if found.check in ("missing", "list lost", "not found") and changed:
            function = changed[-1].step.function
    lines = "; ".join(render(result) for result in numbered(script)[-40:])
    return Verdict(kind, function, found.expected[:300], f"{found.actual[:300]}, after: {lines}")


#: The statuses that are right where a check of this check fails.
_RIGHT: dict[str, tuple[int, ...]] = {
    "dead read": (400, 403, 404),
    "dead changed": (400, 403, 404),
    "dead deleted": (400, 403, 404),
    "dead used": (400, 403, 404),
    "missing": (200,),
    "not found": (200,),
    "stranger": (403, 404),
    "session dead": (401,),
    "session refused": (200,),
}


def case_of(catalog: Catalog, found: Disagreement, script: Sequence[StepResult]) -> list[dict[str, Any]]:
    """Return a script as the steps of a case file, with what is expected of the last one."""
    owners: dict[str, dict[str, Any]] = {}
    steps: list[CaseStep] = []
    sessions: dict[str, list[str]] = {}
    for result in numbered(script):
        step = result.step
        if step.does == "create" and step.about is not None and step.kind is not None:
            owners.setdefault(step.about, {"kind": step.kind, "of": step.user, "name": step.about})
        number = 0
        # The oldest session of a user is the run's own, which a case file counts as 0.
        if step.session and not step.session.endswith("/oldest"):
            own = sessions.setdefault(step.user, [step.user])
            if step.session not in own:
                own.append(step.session)
            number = own.index(step.session) + 1
        message = result.exchange.message
        saw: dict[str, Any] = {"status": result.status}
        if isinstance(message, str):
            saw["errMsg"] = message[:200]
        paging: dict[str, Any] = {}
        if result.page is not None:
            paging = {"page_start": result.page[0], "page_length": result.page[1]}
        steps.append(
            CaseStep(
                user=step.user or None,
                session=0 if step.does == "login" else number,
                function=step.function,
                data=_symbolic(step.data, owners),
                opens=number if step.does == "login" else None,
                gives=step.about if step.does == "create" and result.status == 200 else None,
                together=step.at_once or None,
                saw=saw,
                **paging,
            )
        )
    if steps:
        steps[-1] = replace(steps[-1], expect=_expected(catalog, found, script, owners))
    return [step.to_json() for step in steps]


def _expected(
    catalog: Catalog, found: Disagreement, script: Sequence[StepResult], owners: dict[str, dict[str, Any]]
) -> Expect:
    last = script[-1].step
    about = owners.get(found.about or "")
    if found.check in _RIGHT:
        return Expect(status=_RIGHT[found.check])
    if about is not None and found.check == "list dead":
        return Expect(status=(200,), lacks=({"$object": about},))
    if about is not None and found.check == "list missing":
        return Expect(status=(200,), has=({"$object": about},))
    method = catalog.methods.get(last.function)
    if found.member is None or last.does != "read" or method is None or method.object is None:
        return Expect()
    given = [
        result.step.data[found.member]
        for result in script
        if result.step.about == found.about
        and result.step.does in ("create", "update")
        and result.status == 200
        and isinstance(result.step.data, dict)
        and found.member in result.step.data
    ]
    if not given:
        return Expect(status=(200,))
    pointer = f"{method.object.at}/{found.member.replace('~', '~0').replace('/', '~1')}"
    return Expect(status=(200,), equals={pointer: _symbolic(given[-1], owners)})


def _symbolic(data: Any, owners: dict[str, dict[str, Any]]) -> Any:
    if isinstance(data, Ref):
        return {"$object": owners.get(data.name, {"name": data.name})}
    if isinstance(data, dict):
        return {name: _symbolic(value, owners) for name, value in data.items()}
    if isinstance(data, list):
        return [_symbolic(value, owners) for value in data]
    return data
