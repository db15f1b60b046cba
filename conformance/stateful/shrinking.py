"""Shrink a script to the smallest one that still shows a disagreement.

A script is run again on fresh objects and in fresh sessions, with steps left out: first those that seem unrelated,
then half of the others, then single steps, then members of the data. What remains is necessary, so it shows the
cause: a refused call that had an effect, calls at the same time, or a change of another object.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from conformance.engine.context import TestContext
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.entities import Disagreement, Knowledge
from conformance.stateful.executor import ScriptExecutor
from conformance.stateful.script import Step, StepResult, groups, named_in

__all__ = ["replay", "shrink"]


def replay(
    ctx: TestContext, knowledge: Knowledge, script: Sequence[Step]
) -> tuple[Disagreement | None, list[StepResult]]:
    """Run a script on fresh objects and in fresh sessions; return where it first disagrees, and the results."""
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
    """Run shorter scripts, as long as calls and seconds are left, and remember the shortest that disagrees alike."""

    def __init__(
        self, ctx: TestContext, knowledge: Knowledge, original: Disagreement, calls: int, seconds: float
    ) -> None:
        self.ctx = ctx
        self.knowledge = knowledge
        self.original = original
        self.calls = ctx.client.sent + calls
        self.until = time.monotonic() + seconds
        self.tried: set[str] = set()
        self.best: tuple[Disagreement, list[StepResult]] | None = None

    @property
    def spent(self) -> bool:
        """Whether no calls or no seconds are left."""
        return self.ctx.client.sent >= self.calls or time.monotonic() >= self.until

    def reproduces(self, script: Sequence[Step]) -> list[Step] | None:
        """Run a script; return the steps that were sent if it shows the same disagreement, else None."""
        script = _single(script)
        key = repr(script)
        if not script or key in self.tried or self.spent:
            return None
        self.tried.add(key)
        # A disagreement that depends on timing or on the number of sessions does not appear every time.
        unreliable = self.original.area == "sessions" or any(step.at_once for step in script)
        for _ in range(2 if unreliable else 1):
            found, result = replay(self.ctx, self.knowledge, script)
            if found is not None and found.signature == self.original.signature:
                self.best = (found, result)
                return [each.step for each in result]
            if self.spent:
                break
        return None


def _single(script: Sequence[Step]) -> list[Step]:
    """Return a script in which groups of one step are single steps."""
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
    """Return the disagreement as the smallest script found shows it, that script, and whether it is minimal.

    At most `calls` calls are made, and none after `seconds` seconds. Where the disagreement does not appear again, or
    the calls do not suffice, the script may have unnecessary steps.
    """
    shrinker = _Shrinker(ctx, knowledge, found, calls, seconds)
    best: list[Step] | None = None
    for part in _parts(list(script), found):
        best = shrinker.reproduces(part)
        if best is not None:
            break
    if best is None or shrinker.best is None:
        return found, list(script), False
    best = _without_steps(shrinker, best)
    best = _simplified(shrinker, best)
    minimal = not shrinker.spent
    best = _without_steps(shrinker, best)
    return shrinker.best[0], shrinker.best[1], minimal


def _parts(script: list[StepResult], found: Disagreement) -> Iterator[list[Step]]:
    """Yield parts of a script that may contain the cause, the smallest first and the whole script last."""
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

    def is_session(result: StepResult) -> bool:
        return result.step.does in ("login", "logout")

    def wrote(result: StepResult) -> bool:
        return not result.step.only_reads and result.status == 200 and not is_session(result)

    def same_list(result: StepResult) -> bool:
        return result.step.does == "list" and result.step.function == found.function and not result.step.page

    if found.area == "sessions":
        yield part(is_session)
        yield part(lambda each: is_session(each) or each.step.does == "whoami")
    elif found.check in ("page", "list stray", "list lost"):
        # These checks compare with what the same list showed before.
        lists = [each for each in before if same_list(each)][-1:] if found.check == "page" else before
        yield part(
            lambda each: (wrote(each) and each.step.about in names) or (each in lists and same_list(each))
        )
        yield part(
            lambda each: (
                (not each.step.only_reads and not is_session(each)) or (each in lists and same_list(each))
            )
        )
    else:
        yield part(lambda each: wrote(each) and each.step.about in names)
        yield part(lambda each: not each.step.only_reads and each.step.about in names)
        yield part(lambda each: each.step.about in names)
        yield part(wrote)
        yield part(lambda each: not is_session(each) and not each.step.only_reads)
    yield part(lambda each: not each.step.only_reads)
    yield part(lambda each: not each.step.only_reads or each.step.about in names)
    yield part(lambda each: True)


def _without_steps(shrinker: _Shrinker, script: list[Step]) -> list[Step]:
    """Leave out steps: halves, quarters, …, single ones. The last group, which shows the disagreement, stays."""
    size = max(1, (len(groups(script)) - 1) // 2)
    while True:
        parts = groups(script)
        at = 0
        shorter = False
        while at < len(parts) - 1 and not shrinker.spent:
            # From the end: the last steps are most often the cause, the first steps what it depends on.
            end = len(parts) - 1 - at
            candidate = [*parts[: max(0, end - size)], *parts[end:]]
            shorter_script = shrinker.reproduces([step for group in candidate for step in group])
            if shorter_script is not None:
                script, parts, shorter = shorter_script, groups(shorter_script), True
            else:
                at += size
        if shrinker.spent or (size == 1 and not shorter):
            return _separated(shrinker, script)
        size = max(1, size // 2)


def _separated(shrinker: _Shrinker, script: list[Step]) -> list[Step]:
    """Send the steps of a group one after the other, or leave some of them out."""
    for number in sorted({step.at_once for step in script} - {0}):
        alone = [replace(step, at_once=0) if step.at_once == number else step for step in script]
        shorter_script = shrinker.reproduces(alone)
        if shorter_script is not None:
            script = shorter_script
            continue
        for step in [each for each in script if each.at_once == number]:
            rest = [each for each in script if each is not step]
            if (
                sum(each.at_once == number for each in rest) > 1
                and (shorter_script := shrinker.reproduces(rest)) is not None
            ):
                script = shorter_script
    return script


def _simplified(shrinker: _Shrinker, script: list[Step]) -> list[Step]:
    """Use one session per user, and leave members out of the data."""
    one = [replace(step, session=step.user) if step.does != "login" else step for step in script]
    if one != script:
        script = shrinker.reproduces([step for step in one if step.does != "login"]) or script
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

    member = shrinker.original.member or ""
    for keep in (lambda name: False, lambda name: name == member):
        shorter_script = shrinker.reproduces([cut(step, keep) for step in script])
        if shorter_script is not None:
            script = shorter_script
            break
    for index in range(len(script)):
        script = _without_members(shrinker, script, index, cut)
    return script


def _without_members(
    shrinker: _Shrinker, script: list[Step], index: int, cut: Callable[[Step, Callable[[str], bool]], Step]
) -> list[Step]:
    """Leave members out of the data of one step: halves, quarters, …, single ones."""
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
            shorter_script = shrinker.reproduces([*script[:index], step, *script[index + 1 :]])
            if shorter_script is not None and len(shorter_script) == len(script):
                script = shorter_script
        if size == 1:
            break
        names = [name for name in names if name in (script[index].data or {})]
        size = max(1, size // 2)
    return script
