"""What a verification may take in all, and what of it is the load's: one that takes more is shortened or refused.

A rate that says itself how long it goes on is never cut: what is asked of such a load hangs together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from conformance.units import format_duration
from load.command import expected, samples_short
from load.metrics import slo
from load.options import DURATION, Settings, Wish, settle

__all__ = ["AROUND", "BUDGETS", "Budget", "fit"]


@dataclass(frozen=True)
class Budget:
    """Seconds: of the whole verification, of the load within it at most, and of a load that nobody said more of."""

    total: float
    load: float
    usual: float = DURATION


BUDGETS = {
    "quick": Budget(120.0, 60.0, 30.0),
    "standard": Budget(900.0, 300.0),
    "deep": Budget(36_000.0, 25_200.0),
}

#: What a load takes beside its own seconds: the calibration, the start, signing in, tidying up, and the report.
AROUND = 20.0


def fit(
    wish: Wish, profile: Profile, budget: str, functions: Collection[str] | None = None
) -> tuple[Wish, Settings, list[str]]:
    """Settle a load that has its place in a budget; return what is wished then, its settings, and what to say of it.

    Raises:
        UsageError: something of it is wrong, or it takes longer than the budget has and cannot be shortened.

    """
    settings = settle(wish, profile, functions)
    most = BUDGETS[budget].load
    if settings.seconds <= most:
        return *(_usual(wish, settings, profile, budget, functions) or (wish, settings)), []
    allowed = format_duration(most, decimals=3)
    if settings.search is not None:
        return (
            wish,
            settings,
            [f"budget {budget}: the search is ended after {allowed} at the latest"],
        )
    asked = format_duration(settings.seconds, decimals=3)
    too_long = f"a load of {asked} is more than the {allowed} that budget {budget} has for it"
    if wish.duration is not None:
        raise UsageError(f"--duration {wish.duration}: {too_long}; ask for less, or for another --budget")
    shorter = replace(wish, duration=f"{most:.10g}s")
    try:
        settled = settle(shorter, profile, functions)
    except UsageError as error:
        raise UsageError(
            f"{too_long}, and it cannot be shortened; give another --rate, or another --budget"
        ) from error
    return (
        shorter,
        settled,
        [f"budget {budget}: the load takes {allowed} instead of {asked}"],
    )


def _usual(
    wish: Wish, settings: Settings, profile: Profile, budget: str, functions: Collection[str] | None
) -> tuple[Wish, Settings] | None:
    """Return the load as long as is usual in the budget; None: it is to be as long as it is.

    So it is where somebody said how long, or where its SLOs could not be judged on less.
    """
    usual = BUDGETS[budget].usual
    if wish.duration is not None or "duration" in profile.load or settings.seconds <= usual:
        return None
    shorter = replace(wish, duration=f"{usual:.10g}s")
    try:
        settled = settle(shorter, profile, functions)
    except UsageError:
        return None
    # How many samples there will be is not known of users who wait for their answers, of tasks, and of one function.
    alone = any(slo.parse(text).function is not None for text in settled.slos)
    unknown = settled.slos and (alone or settled.scenario.tasks or expected(settled) is None)
    return None if unknown or samples_short(settled) else (shorter, settled)
