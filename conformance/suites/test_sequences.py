"""STA-6: random sequences of calls of several users in several sessions, and a model that knows what they leave."""

from __future__ import annotations

from typing import Any

from conformance.engine.markers import disturbs_sessions, judges
from conformance.engine.runner import LINES, TestContext
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.domain import domain_of
from conformance.stateful.entities import Disagreement, Knowledge
from conformance.stateful.executor import ScriptExecutor
from conformance.stateful.exploration import explore
from conformance.stateful.script import StepResult
from conformance.stateful.shrinking import Verdict, case_of, replay, shrink, verdict

#: So many calls a walk sends at most, without its end; and the fewest that are worth beginning one.
WALK = 60
LEAST = 24

#: So many findings are enough: each costs a shrinking, and the walks go around what is known to be broken.
MOST = 5

#: What finding the smallest script may cost: calls and seconds.
SHRINKING = {"quick": (150, 3.0), "standard": (250, 6.0), "deep": (900, 60.0)}


@judges("STA-6")
@disturbs_sessions
def test_sequences_agree_with_a_model(ctx: TestContext) -> None:
    """Walks over all kinds that can be made; where the target disagrees, the smallest script that shows it."""
    if ctx.catalog.is_implicit:
        ctx.give_up("there is no catalogue of the target's functions", LINES["catalog"])
    ctx.need_users()
    knowledge = Knowledge()
    with ctx.budget_slice() as budget_slice:
        if ctx.only is not None:
            _again(ctx, knowledge)
            return
        domain = domain_of(ctx)
        if not domain.kinds:
            ctx.give_up(
                "no kind of object can be made, and then read or listed"
                if ctx.run.writable
                else "no kind of object can be listed, and nothing may be written"
            )
        number = found = idle = 0
        reason: SetUpFailedError | None = None
        # Where sessions are broken, nothing that is said in them can be trusted.
        while budget_slice.more(LEAST) and found < MOST and "sessions" not in knowledge.broken_areas:
            focuses = domain.focuses(knowledge.broken_areas)
            if not focuses or idle >= 2 * len(focuses):
                break
            focus = focuses[number % len(focuses)]
            limit = min(WALK * (1 + number % 3 if ctx.deep else 1), budget_slice.left - 8)
            before = ctx.client.sent
            executor = ScriptExecutor(ctx, knowledge)
            failed: SetUpFailedError | None = None
            disagreement: Disagreement | None = None
            try:
                disagreement = explore(domain, executor, focus, number, limit, budget_slice.more)
            except SetUpFailedError as error:
                failed = error
            finally:
                executor.clean_up()
            if (disagreement or failed) and ctx.run.renewed():
                # A reset in the middle: this one walk was in vain, those before it were not.
                knowledge.identities.clear()
                knowledge.existing.clear()
                if budget_slice.requests is not None:
                    budget_slice.requests += ctx.client.sent - before
                continue
            if failed is not None:
                if failed.exchange is not None and failed.exchange.status == 401:
                    raise failed
                reason = failed
                idle += 1
            else:
                idle = 0
            number += 1
            ctx.run.observer.judged("STA-6", max(0, len(executor.transcript)))
            if disagreement is not None:
                sent = ctx.client.sent
                found += _report(ctx, knowledge, disagreement, executor.transcript)
                if budget_slice.requests is not None:
                    budget_slice.requests += ctx.client.sent - sent
            elif ctx.client.sent == before:
                break
        if not number or (idle >= number and reason is not None):
            raise reason or SetUpFailedError("no sequence of calls could be begun")


def _report(ctx: TestContext, knowledge: Knowledge, found: Disagreement, script: list[StepResult]) -> int:
    """Shrink a disagreement, and take it down as a finding; return how many findings that makes."""
    calls, seconds = SHRINKING[ctx.run.options.budget]
    if found.check == "session refused":
        # Were it a reset of the target, nothing of the script would come back; the run only_reads into it afterwards.
        calls = 0
    shown, result, minimal = shrink(ctx, knowledge, found, script, calls=calls, seconds=seconds)
    judged = verdict(shown, result, minimal=minimal)
    if judged is None:
        # Nothing in the script accounts for it: it moves by itself, or others are at work there.
        if shown.member is None:
            knowledge.broken_areas.add(shown.area)
        knowledge.volatile.add((shown.area, shown.member or ""))
        return 0
    knowledge.broken_areas.add(found.area)
    _judge(ctx, judged, shown, result)
    again = (shown.signature, [each.step for each in result], dict(knowledge.identities))
    ctx.run.remembered[ctx.name, ("STA-6", judged.function, judged.kind)] = [again]
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


def _again(ctx: TestContext, knowledge: Knowledge) -> None:
    """Play the scripts of what was found once more, to confirm it."""
    assert ctx.only is not None
    for key in sorted(ctx.only, key=str):
        kept: list[Any] = ctx.run.remembered.get((ctx.name, key), [])
        if not kept:
            continue
        # Who a user is was learnt before the script began.
        signature, script, knowledge.identities = kept[0]
        chancy = signature[1] == "sessions" or any(step.at_once for step in script)
        for _ in range(3 if chancy else 1):
            shown, result = replay(ctx, knowledge, script)
            if shown is None or shown.signature != signature:
                continue
            judged = verdict(shown, result, minimal=True)
            if judged is not None:
                _judge(ctx, Verdict(key[2], key[1] or "", judged.expected, judged.actual), shown, result)
            break
