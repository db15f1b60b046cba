"""STA-6: random sequences of calls of several users in several sessions, and a model that knows what they leave."""

from __future__ import annotations

from typing import Any

from conformance.model import Disagreement, Lore, Played
from conformance.model_shrink import Verdict, case_of, replay, shrink, verdict
from conformance.model_walk import Walk, field_of
from conformance.model_world import World
from conformance.protocol.session import SetUpFailedError
from conformance.run import LINES, Talk
from conformance.suite import disturbs_sessions, judges

#: So many calls a walk sends at most, without its end; and the fewest that are worth beginning one.
WALK = 60
LEAST = 24

#: So many findings are enough: each costs a shrinking, and the walks go around what is known to be broken.
MOST = 5

#: What finding the smallest script may cost: calls and seconds.
SHRINKING = {"quick": (150, 3.0), "standard": (250, 6.0), "deep": (900, 60.0)}


@judges("STA-6")
@disturbs_sessions
def test_sequences_agree_with_a_model(talk: Talk) -> None:
    """Walks over all kinds that can be made; where the target disagrees, the smallest script that shows it."""
    if talk.catalog.is_implicit:
        talk.give_up("there is no catalogue of the target's functions", LINES["catalog"])
    talk.need_users()
    lore = Lore()
    with talk.portion() as portion:
        if talk.only is not None:
            _again(talk, lore)
            return
        ground = field_of(talk)
        if not ground.kinds:
            talk.give_up(
                "no kind of object can be made, and then read or listed"
                if talk.run.writable
                else "no kind of object can be listed, and nothing may be written"
            )
        number = found = idle = 0
        reason: SetUpFailedError | None = None
        # Where sessions are broken, nothing that is said in them can be trusted.
        while portion.more(LEAST) and found < MOST and "sessions" not in lore.known:
            focuses = ground.focuses(lore.known)
            if not focuses or idle >= 2 * len(focuses):
                break
            focus = focuses[number % len(focuses)]
            limit = min(WALK * (1 + number % 3 if talk.deep else 1), portion.left - 8)
            before = talk.client.sent
            world = World(talk, lore)
            failed: SetUpFailedError | None = None
            disagreement: Disagreement | None = None
            try:
                disagreement = Walk(ground, world, focus, number, limit, portion.more).run()
            except SetUpFailedError as error:
                failed = error
            finally:
                world.clean_up()
            if (disagreement or failed) and talk.run.renewed():
                # A reset in the middle: this one walk was in vain, those before it were not.
                lore.identities.clear()
                lore.found.clear()
                if portion.requests is not None:
                    portion.requests += talk.client.sent - before
                continue
            if failed is not None:
                if failed.exchange is not None and failed.exchange.status == 401:
                    raise failed
                reason = failed
                idle += 1
            else:
                idle = 0
            number += 1
            talk.run.referee.judged("STA-6", max(0, len(world.transcript)))
            if disagreement is not None:
                sent = talk.client.sent
                found += _report(talk, lore, disagreement, world.transcript)
                if portion.requests is not None:
                    portion.requests += talk.client.sent - sent
            elif talk.client.sent == before:
                break
        if not number or (idle >= number and reason is not None):
            raise reason or SetUpFailedError("no sequence of calls could be begun")


def _report(talk: Talk, lore: Lore, found: Disagreement, script: list[Played]) -> int:
    """Shrink a disagreement, and take it down as a finding; return how many findings that makes."""
    calls, seconds = SHRINKING[talk.run.options.budget]
    if found.nature == "session refused":
        # Were it a reset of the target, nothing of the script would come back; the run looks into it afterwards.
        calls = 0
    shown, played, minimal = shrink(talk, lore, found, script, calls=calls, seconds=seconds)
    judged = verdict(shown, played, minimal=minimal)
    if judged is None:
        # Nothing in the script accounts for it: it moves by itself, or others are at work there.
        if shown.member is None:
            lore.known.add(shown.area)
        lore.moving.add((shown.area, shown.member or ""))
        return 0
    lore.known.add(found.area)
    _judge(talk, judged, shown, played)
    again = (shown.likeness, [each.step for each in played], dict(lore.identities))
    talk.run.remembered[talk.name, ("STA-6", judged.function, judged.kind)] = [again]
    return 1


def _judge(talk: Talk, judged: Verdict, shown: Disagreement, played: list[Played]) -> None:
    talk.judge(
        "STA-6",
        False,
        kind=judged.kind,
        expected=judged.expected,
        actual=judged.actual,
        exchange=shown.exchange,
        function=judged.function,
        case=case_of(talk.catalog, shown, played),
    )


def _again(talk: Talk, lore: Lore) -> None:
    """Play the scripts of what was found once more, to confirm it."""
    assert talk.only is not None
    for key in sorted(talk.only, key=str):
        kept: list[Any] = talk.run.remembered.get((talk.name, key), [])
        if not kept:
            continue
        # Who a user is was learnt before the script began.
        likeness, script, lore.identities = kept[0]
        chancy = likeness[1] == "sessions" or any(step.at_once for step in script)
        for _ in range(3 if chancy else 1):
            shown, played = replay(talk, lore, script)
            if shown is None or shown.likeness != likeness:
                continue
            judged = verdict(shown, played, minimal=True)
            if judged is not None:
                _judge(talk, Verdict(key[2], key[1] or "", judged.expected, judged.actual), shown, played)
            break
