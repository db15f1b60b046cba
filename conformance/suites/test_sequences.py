"""STA-6: random sequences of calls of several users in several sessions, compared with a model of the state."""

from __future__ import annotations

from typing import Any

from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import disturbs_sessions, judges
from conformance.engine.not_judged import LINES
from conformance.engine.payload_budget import BudgetSlice, Share
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.case_export import case_of
from conformance.stateful.classification import Verdict, verdict
from conformance.stateful.domain import Domain, domain_of
from conformance.stateful.entities import Disagreement, Knowledge
from conformance.stateful.executor import ScriptExecutor
from conformance.stateful.exploration import explore
from conformance.stateful.script import StepResult
from conformance.stateful.shrinking import replay, shrink

#: Calls that an exploration sends, without those at its end, and the fewest for which one is started.
CALLS_PER_EXPLORATION = 60
MIN_CALLS = 24

#: Findings after which the test stops. Each is shrunk, and explorations avoid the areas that are known to be broken.
MAX_FINDINGS = 5


@judges("STA-6", share=Share(requests=0.26, seconds=0.18))
@disturbs_sessions
def test_sequences_agree_with_a_model(ctx: TestContext) -> None:
    """Explore all kinds that can be created; where the target disagrees with the model, report the smallest script."""
    if ctx.catalog.is_implicit:
        ctx.give_up("there is no catalogue of the target's functions", LINES["catalog"])
    ctx.need_users()
    knowledge = Knowledge()
    with ctx.budget_slice() as budget_slice:
        if ctx.only is not None:
            _run_again(ctx, knowledge)
            return
        domain = domain_of(ctx)
        if not domain.kinds:
            ctx.give_up(
                "no kind of object can be made, and then read or listed"
                if ctx.run.writable
                else "no kind of object can be listed, and nothing may be written"
            )
        budget_slice.at_least(ctx.amount(budgets.CALLS_OF_A_KIND) * len(domain.kinds))
        _Explorations(ctx, knowledge, domain, budget_slice).run()


class _Explorations:
    """Run explorations until the budget is spent, enough was found, or nothing more can be done."""

    def __init__(
        self, ctx: TestContext, knowledge: Knowledge, domain: Domain, budget_slice: BudgetSlice
    ) -> None:
        self.ctx = ctx
        self.knowledge = knowledge
        self.domain = domain
        self.budget_slice = budget_slice
        self.number = self.findings = 0
        #: Explorations in a row that could not be set up, and the reason of the last one.
        self.failures = 0
        self.reason: SetUpFailedError | None = None

    def run(self) -> None:
        """Run the explorations.

        Raises:
            SetUpFailedError: none could be set up.

        """
        # Where sessions are broken, no result of a call in a session can be trusted.
        while (
            self.budget_slice.more(MIN_CALLS)
            and self.findings < MAX_FINDINGS
            and "sessions" not in self.knowledge.broken_areas
        ):
            focuses = self.domain.focuses(self.knowledge.broken_areas)
            if not focuses or self.failures >= 2 * len(focuses):
                break
            if not self._explore(focuses[self.number % len(focuses)]):
                break
        if not self.number or (self.failures >= self.number and self.reason is not None):
            raise self.reason or SetUpFailedError("no sequence of calls could be begun")

    def _explore(self, focus: str) -> bool:
        """Run one exploration; return whether another one may be useful."""
        ctx, budget_slice = self.ctx, self.budget_slice
        rounds = 1 + self.number % ctx.amount(budgets.EXPLORATION_LENGTHS)
        limit = min(CALLS_PER_EXPLORATION * rounds, budget_slice.left - 8)
        before = ctx.client.sent
        executor = ScriptExecutor(ctx, self.knowledge)
        failed: SetUpFailedError | None = None
        disagreement: Disagreement | None = None
        try:
            disagreement = explore(self.domain, executor, focus, self.number, limit, budget_slice.more)
        except SetUpFailedError as error:
            failed = error
        finally:
            executor.clean_up()
        if (disagreement or failed) and ctx.run.recovery.start_over_after_reset():
            # The target was reset: this exploration is repeated, and those before it stay valid.
            self.knowledge.identities.clear()
            self.knowledge.existing.clear()
            self._refund(before)
            return True
        if failed is not None:
            if failed.exchange is not None and failed.exchange.status == 401:
                raise failed
            self.reason = failed
            self.failures += 1
        else:
            self.failures = 0
        self.number += 1
        ctx.run.observer.judged("STA-6", max(0, len(executor.transcript)))
        if disagreement is None:
            return ctx.client.sent != before
        sent = ctx.client.sent
        self.findings += _report(ctx, self.knowledge, disagreement, executor.transcript)
        self._refund(sent)
        return True

    def _refund(self, sent_before: int) -> None:
        """Give back the calls that were sent since, so that they do not count against the budget."""
        if self.budget_slice.requests is not None:
            self.budget_slice.requests += self.ctx.client.sent - sent_before


def _report(ctx: TestContext, knowledge: Knowledge, found: Disagreement, script: list[StepResult]) -> int:
    """Shrink a disagreement and report it; return the number of findings, 0 or 1."""
    calls, seconds = ctx.amount(budgets.SHRINKING_CALLS), ctx.amount(budgets.SHRINKING_SECONDS)
    if found.check == "session refused":
        # If the cause was a reset of the target, the script would show nothing. The run looks into it afterwards.
        calls = 0
    shown, result, minimal = shrink(ctx, knowledge, found, script, calls=calls, seconds=seconds)
    judged = verdict(shown, result, minimal=minimal)
    if judged is None:
        # No call of the script is the cause: the value changes by itself, or somebody else changes it.
        if shown.member is None:
            knowledge.broken_areas.add(shown.area)
        knowledge.volatile.add((shown.area, shown.member or ""))
        return 0
    knowledge.broken_areas.add(found.area)
    _judge(ctx, judged, shown, result)
    remembered = (shown.signature, [each.step for each in result], dict(knowledge.identities))
    ctx.run.remembered[ctx.name, ("STA-6", judged.function, judged.kind)] = [remembered]
    return 1


def _judge(ctx: TestContext, judged: Verdict, shown: Disagreement, result: list[StepResult]) -> None:
    ctx.judge(
        "STA-6",
        False,
        kind=judged.kind,
        expected=judged.expected,
        actual=judged.actual,
        exchange=shown.exchange,
        function=judged.function,
        case=case_of(ctx.catalog, shown, result),
    )


def _run_again(ctx: TestContext, knowledge: Knowledge) -> None:
    """Run the scripts of the findings again, to confirm them."""
    assert ctx.only is not None
    for key in sorted(ctx.only, key=str):
        remembered: list[Any] = ctx.run.remembered.get((ctx.name, key), [])
        if not remembered:
            continue
        # The identities of users were learned before the script was run.
        signature, script, knowledge.identities = remembered[0]
        unreliable = signature[1] == "sessions" or any(step.at_once for step in script)
        for _ in range(3 if unreliable else 1):
            shown, result = replay(ctx, knowledge, script)
            if shown is None or shown.signature != signature:
                continue
            judged = verdict(shown, result, minimal=True)
            if judged is not None:
                _judge(ctx, Verdict(key[2], key[1] or "", judged.expected, judged.actual), shown, result)
            break
