"""Plays a case on a target: sends its steps, and compares each answer with what is expected and with that of then."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from conformance.cases.format import Case, Expect, Step, symbols
from conformance.cases.symbol_writer import identified
from conformance.catalog.model import Catalog, Method
from conformance.engine.case_binding import CaseBinding, UnplayableError
from conformance.engine.case_text import brief_text
from conformance.engine.context import TestContext
from conformance.engine.not_judged import TargetDownError
from conformance.engine.runner import Run
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES
from conformance.schema.pointer import MISSING, resolve

__all__ = ["CasePlayer", "PlayedStep", "play_in_check", "writes"]

#: Steps that are sent at the same time.
MAX_CONCURRENT_STEPS = 16


@dataclass
class PlayedStep:
    """The result of a step: whether it is as expected (None: nothing is expected), and what has changed since then."""

    number: int
    step: Step
    exchange: Exchange
    holds: bool | None
    expected: str = ""
    actual: str = ""
    changes: list[str] = field(default_factory=list)


def writes(case: Case, catalog: Catalog) -> bool:
    """Return whether playing a case may write to the target: whatever is not surely a call of a reading function."""
    for step in case.steps:
        method = catalog.methods.get(step.function or "")
        if method is None or method.effect != "read" or step.verb != "POST" or not step.plain:
            return True
        objects = (argument for name, argument in symbols(step.data) if name == "$object")
        if any("state" in argument for argument in objects):
            return True
    return False


class CasePlayer:
    """Plays one case on a run's target."""

    def __init__(self, run: Run, case: Case) -> None:
        self.run = run
        self.case = case
        self.binding = CaseBinding(run, case)

    def play(self) -> Iterator[PlayedStep]:
        """Send the steps in their order; yield the result of each.

        Raises:
            UnplayableError: a step cannot be sent here.
            TargetDownError: the target takes no connection any more.

        """
        steps = list(enumerate(self.case.steps, 1))
        while steps:
            group = steps[0][1].together
            count = 1
            while group is not None and count < len(steps) and steps[count][1].together == group:
                count += 1
            now, steps = steps[:count], steps[count:]
            # All are bound before the first is sent: what one of them needs must not wait for another.
            calls = [self._bound(step) for _, step in now]
            if len(calls) == 1:
                exchanges = [self._send(*calls[0])]
            else:
                with ThreadPoolExecutor(max_workers=min(MAX_CONCURRENT_STEPS, len(calls))) as pool:
                    exchanges = list(pool.map(lambda call: self._send(*call), calls))
            for (_, step), exchange in zip(now, exchanges, strict=True):
                self.binding.learn(step, exchange)
            for (number, step), exchange in zip(now, exchanges, strict=True):
                if exchange.failure is not None and exchange.failure.kind == "unreachable":
                    raise TargetDownError(exchange.failure.detail)
                yield self._judged(number, step, exchange)

    # -- sending -----------------------------------------------------------------------------------------------

    def _bound(self, step: Step) -> tuple[Step, dict[str, Any]]:
        """Return a step with the options with which it is sent."""
        binding = self.binding
        binding.begin_step()
        user = binding.user(step.user) if step.user is not None else None
        options: dict[str, Any] = {"user": user}
        if step.token is not None:
            options["token"] = binding.token(step)
            options["in_session"] = False
        elif step.user is not None and step.opens is None:
            options["token"] = binding.session(step.user, step.session).token
        if step.raw is not None:
            return step, {"raw": binding.bytes(step.raw), "user": user}
        options["headers"] = [(name, str(binding.value(text))) for name, text in step.headers]
        options |= {
            "verb": step.verb,
            "content_type": step.content_type,
            "chunked": step.chunked,
            "token_header": step.token_header,
        }
        if step.target is not None:
            options["target"] = str(binding.value(step.target))
        if step.body is not None:
            options["body"] = binding.bytes(step.body)
            return step, options
        if step.data is not OMIT:
            options["data"] = self._data(step)
        for name, value in (("page_start", step.page_start), ("page_length", step.page_length)):
            if value is not OMIT:
                options[name] = binding.value(value)
        return step, options

    def _data(self, step: Step) -> Any:
        """Return a step's data.

        Raises:
            UnplayableError: it would delete an object that this run did not create.

        """
        data = self.binding.value(step.data)
        method = self.run.catalog.methods.get(step.function or "")
        if method is not None and _deletes(method) and isinstance(data, dict):
            for pointer, kind in identified(method):
                value = resolve(data, pointer) if "*" not in pointer else MISSING
                ours = value is not MISSING and self.binding.stands_for(value)
                if ours and not self.run.resources.resource(kind, value, "").made:
                    raise UnplayableError(f"{step.function} would delete a {kind} that was not made here")
        return data

    def _send(self, step: Step, options: dict[str, Any]) -> Exchange:
        run = self.run
        if "raw" in options:
            exchange, _ = run.client.send_bytes(options["raw"], function=step.function, user=options["user"])
            return exchange
        name = step.function if step.function is not None else f"{options['target']}."
        return run.caller.call(name, **options)

    # -- judging -----------------------------------------------------------------------------------------------

    def _judged(self, number: int, step: Step, exchange: Exchange) -> PlayedStep:
        played = PlayedStep(number, step, exchange, None, actual=exchange.summary())
        if step.expect:
            expectations = list(self._expectations(step, step.expect, exchange))
            wrong = [actual for _, good, actual in expectations if not good]
            played.holds = not wrong
            played.expected = "; ".join(expected for expected, _, _ in expectations)
            played.actual = "; ".join(dict.fromkeys(wrong)) or exchange.summary()
        played.changes = _changes(step.saw, exchange)
        return played

    def _expectations(
        self, step: Step, expect: Expect, exchange: Exchange
    ) -> Iterator[tuple[str, bool, str]]:
        """Yield what is expected, whether it is so, and what is instead."""
        value = self.binding.value
        if expect.status:
            wanted = " or ".join(str(code) for code in expect.status)
            yield f"status {wanted}", exchange.status in expect.status, exchange.summary()
        if expect.rule is not None:
            rule = RULES[expect.rule]
            assert rule.check is not None
            outcome = rule.check(exchange)
            expected = outcome.expected if outcome.broken else rule.title
            yield f"{rule.id}: {expected}", not outcome.broken, outcome.actual
        for pointer, recorded in expect.equals.items():
            found = resolve(exchange.data, pointer)
            yield (
                f"data{pointer} = {brief_text(recorded)}",
                found is not MISSING and _same(found, value(recorded)),
                f"data{pointer} = {brief_text(found) if found is not MISSING else 'nothing'}",
            )
        method = self.run.catalog.methods.get(step.function or "")
        rows = self.run.resources.rows(method, exchange) if method is not None else []
        pointer = method.object.id if method is not None and method.object is not None else ""
        shown = [resolve(row, pointer) for row in rows]
        for each in expect.has:
            yield f"a row of {brief_text(each)}", value(each) in shown, f"no row of {brief_text(each)}"
        for each in expect.lacks:
            yield f"no row of {brief_text(each)}", value(each) not in shown, f"a row of {brief_text(each)}"


def _deletes(method: Method) -> bool:
    return method.effect == "delete" or (method.object is not None and method.object.does == "delete")


def _same(found: Any, wanted: Any) -> bool:
    """Return whether two JSON values are the same; 1 and 1.0 are, 1 and true are not."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[name], wanted[name]) for name in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted)


def _changes(saw: Any, exchange: Exchange) -> list[str]:
    """Return how an answer differs from the one that the case recorded."""
    if not saw:
        return []
    if exchange.failure is not None:
        return [] if "failure" in saw else [f"status {saw.get('status')} then, no answer now"]
    if "failure" in saw:
        return [f"no answer then ({saw['failure']}), status {exchange.status} now"]
    changes = []
    if saw.get("status") != exchange.status:
        changes.append(f"status {saw.get('status')} then, {exchange.status} now")
    if "errMsg" in saw and type(saw["errMsg"]) is not type(exchange.message):
        changes.append(f"errMsg {brief_text(saw['errMsg'])} then, {brief_text(exchange.message)} now")
    then, now = saw.get("data"), exchange.data
    if isinstance(then, dict) and isinstance(now, dict) and then.keys() != now.keys():
        gone, new = sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys())
        changes += [f"data without {', '.join(gone)}"] * bool(gone)
        changes += [f"data with {', '.join(new)}"] * bool(new)
    elif "data" in saw and type(then) is not type(now):
        changes.append(f"data {brief_text(then)} then, {brief_text(now)} now")
    return changes


def play_in_check(ctx: TestContext, case: Case) -> None:
    """Play a case as a test of a check; what differs is a finding under the case's own rule.

    Raises:
        NotJudgedError: it cannot be played here, or nothing in it says what is expected.

    """
    if writes(case, ctx.catalog):
        ctx.need_writing()
    name = case.path.name if case.path else case.name
    judged = False
    try:
        for played in CasePlayer(ctx.run, case).play():
            if played.holds is None:
                continue
            judged = True
            expect = played.step.expect
            if expect.rule == case.rule and len(expect.to_json()) == 1:
                # The rules of single exchanges are checked against every exchange of a run anyhow.
                continue
            ctx.judge(
                case.rule,
                played.holds,
                kind=case.kind,
                expected=played.expected,
                actual=played.actual,
                exchange=played.exchange,
                function=case.function,
                message=case.message,
                case=[step.to_json() for step in case.steps],
            )
            if not played.holds:
                return
    except UnplayableError as error:
        ctx.give_up(f"the case {name} cannot be played: {error.reason}", error.lines)
    if not judged:
        ctx.give_up(f"the case {name} does not say what is expected of an answer: a person has to compare")
