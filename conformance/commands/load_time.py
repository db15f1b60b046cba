"""Fit the load of a verification into the time that the budget has for it: a longer load is shortened or refused.

A rate that states its own duration is never cut, since its parts belong together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from conformance.engine import budgets
from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from conformance.units import format_duration
from load.command import expected, samples_short
from load.metrics import slo
from load.options import DURATION, Settings, Wish, settle
from load.workload.seen import SeenMix

__all__ = ["SECONDS_AROUND_LOAD", "fit"]

#: Seconds around those of the load itself: calibration, start, sign-in, clean-up and report.
SECONDS_AROUND_LOAD = 20.0


def fit(
    wish: Wish,
    profile: Profile,
    budget: str,
    functions: Collection[str] | None = None,
    mix_seen: SeenMix | None = None,
) -> tuple[Wish, Settings, list[str]]:
    """Return a load that fits the budget: the options, the settings that they give, and notes for the user.

    `mix_seen` is the mix of recorded traffic that the options name.

    Raises:
        UsageError: an option is wrong, or the load takes longer than the budget has and cannot be shortened.

    """
    settings = settle(wish, profile, functions, mix_seen=mix_seen)
    most = budgets.MAX_LOAD_SECONDS.of(budget)
    if settings.seconds <= most:
        return *(_usual(wish, settings, profile, budget, functions, mix_seen) or (wish, settings)), []
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
        settled = settle(shorter, profile, functions, mix_seen=mix_seen)
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
    wish: Wish,
    settings: Settings,
    profile: Profile,
    budget: str,
    functions: Collection[str] | None,
    mix_seen: SeenMix | None,
) -> tuple[Wish, Settings] | None:
    """Return the load with the usual duration of the budget; None if its own duration is to stay.

    The duration stays if it was given, or if the SLOs need that many samples.
    """
    usual = budgets.USUAL_LOAD_SECONDS.of(budget) or DURATION
    if wish.duration is not None or "duration" in profile.load or settings.seconds <= usual:
        return None
    shorter = replace(wish, duration=f"{usual:.10g}s")
    try:
        settled = settle(shorter, profile, functions, mix_seen=mix_seen)
    except UsageError:
        return None
    # The number of samples is not known for closed-loop users, for tasks, and for a single function.
    alone = any(slo.parse(text).function is not None for text in settled.slos)
    unknown = settled.slos and (alone or settled.scenario.tasks or expected(settled) is None)
    return None if unknown or samples_short(settled) else (shorter, settled)
