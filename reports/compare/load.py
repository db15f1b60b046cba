"""Compares two loads: is one slower, or are they the same within noise?

Neighbouring requests are not independent: a slow second is slow for all its requests. So no test treats single requests
as a sample.

- A *percentile* is compared by shares: at the percentile of both runs together, do both have the same share of requests
  above it? The shares per second are a time series. The long-run variance of its mean includes the dependence between
  seconds. It is estimated by the mean of the squares of the series' first cosine transforms (EWC), which gives a
  Student's t with as many degrees of freedom: E. Lazarus, D. Lewis, J. Stock and M. Watson, «HAR Inference:
  Recommendations for Practice», Journal of Business & Economic Statistics 36 (2018). No density is estimated and no
  window is chosen. Inverted at the percentile, the same variance gives the error of the percentile itself: R. Woodruff,
  «Confidence Intervals for Medians and Other Position Measures», Journal of the American Statistical Association 47
  (1952).
- The measured time is also cut into windows that are long enough to be nearly independent. The confidence interval of a
  *difference* (of p50, p95, p99, the error rate, the rate served) is a bootstrap over whole windows, whose histograms
  merge exactly. For a percentile it is widened to the long-run variance. The percentiles of the windows are compared by
  Mann-Whitney (is one side mostly higher?) and Kolmogorov-Smirnov (are the distributions the same?).
- A *claim* needs a difference of at least the smallest effect that matters, a p-value that is significant after Holm's
  correction for all comparisons, and, for a latency, a significant Mann-Whitney test. Everything else is «same within
  noise».

A function has only the histogram of the whole run. Its interval is that of independent requests, widened by the excess
variance of the total's windows: what changes the service from one second to the next changes all its functions.

The windows of one run do not show the variation between runs, on another day or beside other load on the machine. With
three or more earlier runs, a claim also needs a value that is unlikely among theirs.

Changes of level over several runs are searched with ruptures (PELT, a change of mean in the logarithm).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from load.metrics.histogram import Histogram
from reports.compare.alike import differences, mix_note
from reports.model.store import Stored
from reports.text import error_share, goodput, latency

__all__ = ["compare", "levels"]

Floats = npt.NDArray[np.float64]

PERCENTILES = ((50.0, "p50"), (95.0, "p95"), (99.0, "p99"))

#: Numbers of windows to try, until the windows are independent.
WINDOW_COUNTS = (24, 18, 14)
#: Seconds of measured time that a comparison needs.
MIN_SECONDS = 8

#: Correlation of neighbouring windows up to which they count as independent.
MAX_CORRELATION = 0.2

_RESAMPLES = 1000

#: Probability of any false claim, for the totals and for the functions.
_ALPHA, _ALPHA_FUNCTIONS = 0.04, 0.01

#: The smallest difference of error rates that matters.
MIN_ERROR_RATE_DIFFERENCE = 0.001

#: With this many earlier runs, a claim needs a value that is unlikely among theirs.
MIN_EARLIER_RUNS, MAX_P_AMONG_RUNS = 3, 0.05

#: Runs that a search for changes of level needs.
MIN_RUNS_FOR_LEVELS = 5


@dataclass(frozen=True, slots=True)
class _Windows:
    """The measured time of a run in windows, each with the counts of its histogram's cells.

    `wanted` are the requests that the error rate refers to, `failed` those of them that were not served: the same
    definition as in the report. `finest` has the smallest windows: seconds, or hundredths of a long run.
    """

    counts: Floats  # windows x cells
    values: Floats  # of each cell, in milliseconds
    wanted: Floats
    failed: Floats
    seconds: float  # of one window
    finest: _Windows | None = None

    def percentiles(self, wanted: Sequence[float], weights: Floats | None = None) -> Floats:
        """Return the percentiles for each row of weights of the windows; without weights, for each window."""
        sums = np.cumsum(self.counts if weights is None else weights @ self.counts, axis=1)
        total = sums[:, -1]
        out = np.full((len(sums), len(wanted)), np.nan)
        for column, percentile in enumerate(wanted):
            ranks = np.maximum(1.0, np.ceil(total * percentile / 100))
            places = (sums < ranks[:, None]).sum(axis=1)
            out[:, column] = self.values[np.minimum(places, len(self.values) - 1)]
        out[total <= 0] = np.nan
        return out


def _windows(load: Mapping[str, Any]) -> _Windows | None:
    """Cut the measured time into windows; None if it is too short."""
    warmup = float(load.get("warmup") or 0)
    seconds = [each for each in load.get("series") or [] if float(each["at"]) >= warmup and each.get("due")]
    if len(seconds) < MIN_SECONDS:
        return None
    # The smallest windows of a long run are hundredths of it.
    piece = max(1, len(seconds) // 100)
    pieces = [seconds[begin : begin + piece] for begin in range(0, len(seconds) - piece + 1, piece)]
    cells = []
    for part in pieces:
        whole = Histogram()
        for each in part:
            whole.merge(Histogram.decode(each["due"]))
        cells.append(whole.cells())
    highest = sorted({high for each in cells for _, high, _ in each})
    places = {high: place for place, high in enumerate(highest)}
    counts = np.zeros((len(pieces), max(1, len(highest))))
    for row, filled in enumerate(cells):
        for _, high, count in filled:
            counts[row, places[high]] = count
    finest = _Windows(
        counts,
        np.asarray(highest or [0], dtype=float) / 1000,
        np.asarray([float(sum(_wanted(each) for each in part)) for part in pieces]),
        np.asarray([float(sum(_unserved(each) for each in part)) for part in pieces]),
        float(piece),
    )
    for most in WINDOW_COUNTS:
        made = _joined(finest, max(1, len(pieces) // most))
        if _max_correlation(made) <= MAX_CORRELATION:
            break
    return made


def _wanted(second: Mapping[str, Any]) -> int:
    """Return the number of requests of a second that the error rate refers to, as `Counts.wanted` does."""
    return int(second.get("done") or 0) + int(second.get("no_connection") or 0)


def _unserved(second: Mapping[str, Any]) -> int:
    """Return the number of requests of a second that were not served, as `Counts.unserved` does.

    The errors include the requests that found no connection.
    """
    return sum((second.get("errors") or {}).values())


def _joined(finest: _Windows, width: int) -> _Windows:
    """Join each `width` neighbouring windows to one."""
    number = len(finest.wanted) // width

    def joined(values: Floats) -> Floats:
        summed: Floats = values[: number * width].reshape(number, width, *values.shape[1:]).sum(axis=1)
        return summed

    return _Windows(
        joined(finest.counts),
        finest.values,
        joined(finest.wanted),
        joined(finest.failed),
        finest.seconds * width,
        finest,
    )


def _max_correlation(windows: _Windows) -> float:
    """Return the correlation of neighbouring windows, for the percentile with the highest."""
    logs = np.log(np.maximum(windows.percentiles([percentile for percentile, _ in PERCENTILES]), 1e-9))
    return max(_correlation(logs[:, column]) for column in range(len(PERCENTILES)))


def _correlation(values: Floats) -> float:
    """Return the correlation of neighbouring values."""
    values = values[np.isfinite(values)]
    if len(values) < 4 or np.ptp(values) == 0:
        return 0.0
    centred = values - values.mean()
    # The estimate is too low by about 1/n.
    found = float((centred[1:] * centred[:-1]).sum() / (centred**2).sum()) + 1 / len(values)
    return min(max(found, 0.0), 0.8)


# --- percentiles, by shares


def _cosine_count(pieces: int) -> int:
    """Return the number of cosines for the long-run variance of the mean of `pieces` values.

    Few cosines show slow dependence, many give more degrees of freedom. The authors recommend 0.4 n^(2/3) for a test
    of exact size. Here a difference must also have a minimum size, and 0.5 n^(2/3) has more power.
    """
    return max(2, round(0.5 * math.pow(pieces, 2 / 3)))


def _below(side: _Windows, value: float) -> Floats:
    """Return the number of requests in each window that took at most `value`."""
    below: Floats = side.counts[:, : np.searchsorted(side.values, value, side="right")].sum(axis=1)
    return below


def _share_error(side: _Windows, value: float, share: float) -> float:
    """Return the standard error of the share of requests that took at most `value`.

    It is at least that of independent requests.
    """
    below, all_of = _below(side, value), side.counts.sum(axis=1)
    total = float(all_of.sum())
    series = below - below.sum() / total * all_of
    pieces = len(series)
    places = np.arange(pieces) + 0.5
    cosines = np.cos(np.pi * np.outer(np.arange(1, _cosine_count(pieces) + 1), places) / pieces)
    long_run = float(((math.sqrt(2 / pieces) * cosines @ series) ** 2).mean())
    return max(math.sqrt(pieces * long_run), math.sqrt(share * (1 - share) * total)) / total


def _pooled_percentile(before: _Windows, now: _Windows, percentile: float) -> float:
    """Return the percentile of both runs together, with equal weights."""
    values = np.concatenate([before.values, now.values])
    weights = np.concatenate([side.counts.sum(axis=0) / side.counts.sum() for side in (before, now)])
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(np.cumsum(weights[order]) / 2, percentile / 100)
    return float(values[order][min(int(place), len(order) - 1)])


def _percentile_test(before: _Windows, now: _Windows, percentile: float) -> tuple[float, list[float]]:
    """Return the p-value of the difference of a percentile, and the standard errors of its logarithm in both runs."""
    value, share = _pooled_percentile(before, now, percentile), percentile / 100
    parts, errors, own = [], [], []
    for side in (before, now):
        parts.append(float(_below(side, value).sum()) / float(side.counts.sum()))
        errors.append(_share_error(side, value, share))
        sums = np.cumsum(side.counts.sum(axis=0))
        at = side.percentiles([percentile], np.ones((1, len(side.wanted))))[0, 0]
        own.append(_log_error(side.values, sums, percentile, _share_error(side, float(at), share)))
    sizes = [_cosine_count(len(side.wanted)) + 1 for side in (before, now)]
    return _p(parts[1] - parts[0], errors, sizes), own


# --- the comparison


# One function, though it is long: the claims depend on all rows.
def compare(
    base: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    min_effect: float = 0.05,
    earlier: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two loads; `min_effect` is the smallest relative difference that matters, `earlier` are further loads."""
    why = _incomparable(base, new)
    before, now = _windows(base), _windows(new)
    if before is None or now is None:
        why.append(
            f"fewer than {MIN_SECONDS} seconds were measured: too short to tell a difference from noise"
        )
        nothing: dict[str, Any] = {"windows": None, "grain": None, "rows": [], "claims": []}
        return {"comparable": False, "why": why, "notes": [], **nothing}
    rng = np.random.default_rng(seed)
    rows = _totals(before, now, base, new, rng)
    extra = {row["metric"]: row["_excess"] for row in rows if "_excess" in row}
    parts = []
    for name in sorted(base["functions"].keys() & new["functions"].keys()):
        parts += _function(
            name,
            base["functions"][name],
            new["functions"][name],
            extra,
            (len(before.wanted), len(now.wanted)),
        )
    other_mix = mix_note(base, new)
    if other_mix is None:
        _mark_significant(rows, _ALPHA)
    _mark_significant(parts, _ALPHA_FUNCTIONS)
    rows += parts
    grain = _lag_error(base, new)
    claims = []
    for row in rows:
        row["runs"] = _p_among_runs(row, [load for load in (*earlier, base) if _same_load(load, new)])
        compared = not why and (other_mix is None or row["function"] is not None)
        row["claim"] = "same" if compared else "not compared"
        if compared and _is_claimed(row, min_effect, grain):
            worse = (row["after"] > row["before"]) != (row["metric"] == "rate")
            row["claim"] = "worse" if worse else "better"
            claims.append(
                {"metric": row["metric"], "function": row["function"], "worse": worse, "text": _text(row)}
            )
        for name in [name for name in row if name.startswith("_")]:
            del row[name]
    return {
        "comparable": not why,
        "why": why,
        "notes": [other_mix] if other_mix is not None and not why else [],
        "windows": {
            "before": len(before.wanted),
            "after": len(now.wanted),
            "seconds": [before.seconds, now.seconds],
        },
        "grain": grain,
        "rows": rows,
        "claims": claims,
    }


def _lag_error(base: Mapping[str, Any], new: Mapping[str, Any]) -> float:
    """Return the difference of two latencies, in ms, that the lags of the generators (p99) may explain.

    A latency is measured from the moment due, so it includes the lag of the generator. The lag depends on what else
    the machine does during a run, which the windows of one run do not show.
    """
    lags = [((load.get("health") or {}).get("lag") or {}).get("p99") for load in (base, new)]
    return float(sum(lag for lag in lags if lag is not None))


def _incomparable(base: Mapping[str, Any], new: Mapping[str, Any], *, durations: bool = True) -> list[str]:
    why = []
    for name, load in (("earlier", base), ("newer", new)):
        if (load.get("health") or {}).get("valid") is False:
            why.append(f"the generator of the {name} run was not fit to say so")
    why += differences(base, new, durations=durations)
    return why


def _same_load(base: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return not _incomparable(base, new, durations=False) and mix_note(base, new) is None


def _row(
    function: str | None, metric: str, unit: str, before: float, after: float, **more: Any
) -> dict[str, Any]:
    return {
        "function": function,
        "metric": metric,
        "unit": unit,
        "before": before,
        "after": after,
        "change": after / before - 1 if before > 0 else None,
        "interval": None,
        "p": None,
        "mann_whitney": None,
        "kolmogorov_smirnov": None,
        **more,
    }


def _totals(
    before: _Windows, now: _Windows, base: Mapping[str, Any], new: Mapping[str, Any], rng: np.random.Generator
) -> list[dict[str, Any]]:
    from scipy import stats

    wanted = [percentile for percentile, _ in PERCENTILES]
    draws = [
        rng.multinomial(len(side.wanted), np.full(len(side.wanted), 1 / len(side.wanted)), _RESAMPLES).astype(
            float
        )
        for side in (before, now)
    ]
    sides = (before, now)
    sizes = (len(before.wanted), len(now.wanted))
    assert before.finest is not None
    assert now.finest is not None
    freedom = _cosine_count(len(before.finest.wanted)) + _cosine_count(len(now.finest.wanted))
    spread = [
        np.log(np.maximum(side.percentiles(wanted, draw), 1e-9))
        for side, draw in zip(sides, draws, strict=True)
    ]
    whole = [side.percentiles(wanted, np.ones((1, len(side.wanted))))[0] for side in sides]
    alone = [side.percentiles(wanted) for side in sides]
    rows = []
    for column, (percentile, name) in enumerate(PERCENTILES):
        first, second = float(whole[0][column]), float(whole[1][column])
        if not (first > 0 and second > 0):
            continue
        p, errors = _percentile_test(before.finest, now.finest, percentile)
        apart = math.log(second / first)
        drawn = spread[1][:, column] - spread[0][:, column]
        # The width is that of Student's t with the long-run variance; the asymmetry is that of the windows.
        student = float(stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975))
        wider = student * math.hypot(*errors) / max(float(np.nanstd(drawn, ddof=1)), 1e-9)
        middle = float(np.nanmedian(drawn))
        low, high = (apart + wider * (float(q) - middle) for q in np.nanquantile(drawn, (0.025, 0.975)))
        mine, theirs = (each[:, column][np.isfinite(each[:, column])] for each in alone)
        rows.append(
            _row(
                None, name, "ms", first, second,
                interval=[math.expm1(low), math.expm1(high)],
                p=p,
                mann_whitney=float(stats.mannwhitneyu(mine, theirs).pvalue),
                kolmogorov_smirnov=float(stats.ks_2samp(mine, theirs).pvalue),
                _excess=_excess(errors, before, now, percentile, first, second),
            )
        )  # fmt: skip
    rows.append(_share(before, now, draws, sizes))
    speeds = [(side.wanted - side.failed) / side.seconds for side in sides]
    means = [float(speed.mean()) for speed in speeds]
    resampled = [(draw @ speed) / len(speed) for draw, speed in zip(draws, speeds, strict=True)]
    apart = means[1] - means[0]
    errors = [float(each.std(ddof=1)) for each in resampled]
    low, high = (float(q) for q in np.quantile(resampled[1] - resampled[0], (0.025, 0.975)))
    interval = [low / means[0], high / means[0]] if means[0] > 0 else None
    rows.append(_row(None, "rate", "/s", *means, interval=interval, p=_p(apart, errors, sizes)))
    return rows


def _share(before: _Windows, now: _Windows, draws: Sequence[Floats], sizes: Sequence[int]) -> dict[str, Any]:
    """Compare the share of requests that were not served."""
    shares, errors, drawn = [], [], []
    for side, draw in zip((before, now), draws, strict=True):
        total = max(1.0, float(side.wanted.sum()))
        shares.append(float(side.failed.sum()) / total)
        each = (draw @ side.failed) / np.maximum(draw @ side.wanted, 1)
        drawn.append(each)
        errors.append(float(each.std(ddof=1)))
    low, high = (float(q) for q in np.quantile(drawn[1] - drawn[0], (0.025, 0.975)))
    # Without failures there is no test, and so no correction for it.
    p = _p(shares[1] - shares[0], errors, sizes) if any(shares) else None
    return _row(None, "errors", "%", 100 * shares[0], 100 * shares[1], interval=[100 * low, 100 * high], p=p)


def _p(apart: float, errors: Sequence[float], sizes: Sequence[int]) -> float:
    """Return the two-sided p-value of a difference by Welch's t-test."""
    from scipy import stats

    error = math.hypot(*errors)
    if not error > 0:
        return 1.0 if apart == 0 else 0.0
    parts = sum((each / error) ** 4 / max(1, size - 1) for each, size in zip(errors, sizes, strict=True))
    return float(2 * stats.t.sf(abs(apart) / error, 1 / parts))


def _excess(
    errors: Sequence[float], before: _Windows, now: _Windows, percentile: float, first: float, second: float
) -> tuple[float, float]:
    """Return, for each run, the variance of the total beyond that of independent requests."""
    out = []
    for error, side in zip(errors, (before, now), strict=True):
        counts = side.counts.sum(axis=0)
        own = _own_error(side.values, np.cumsum(counts), percentile)
        out.append(max(0.0, error**2 - own**2))
    return out[0], out[1]


def _own_error(values: Floats, sums: Floats, percentile: float) -> float:
    """Return the standard error of a percentile's logarithm for independent requests, from order statistics."""
    total, share = float(sums[-1]), percentile / 100
    return _log_error(values, sums, percentile, math.sqrt(share * (1 - share) / max(total, 1.0)))


def _log_error(values: Floats, sums: Floats, percentile: float, sway: float) -> float:
    """Return the standard error of a percentile's logarithm from that of the share below it."""
    total, share = float(sums[-1]), percentile / 100
    if total < 1:
        return math.inf
    at = [min(max(math.ceil(total * part), 1), int(total)) for part in (share - sway, share + sway)]
    low, high = (float(values[np.searchsorted(sums, rank)]) for rank in at)
    return max(math.log(max(high, 1e-9) / max(low, 1e-9)) / 2, 1e-4)


def _function(
    name: str,
    base: Mapping[str, Any],
    new: Mapping[str, Any],
    extra: Mapping[str, tuple[float, float]],
    sizes: Sequence[int],
) -> list[dict[str, Any]]:
    rows = []
    sides = [
        Histogram.decode(each["due"]["histogram"]) if each["due"] else Histogram() for each in (base, new)
    ]
    cells = [side.cells() for side in sides]
    if min(side.count for side in sides):
        highs = [np.asarray([high for _, high, _ in each], dtype=float) / 1000 for each in cells]
        sums = [np.cumsum([float(count) for _, _, count in each]) for each in cells]
        for percentile, metric in PERCENTILES:
            if min(side.count for side in sides) * (1 - percentile / 100) < 5:
                continue  # too few requests above it
            first, second = (side.percentile(percentile) / 1000 for side in sides)
            errors = [
                math.sqrt(_own_error(high, total, percentile) ** 2 + more)
                for high, total, more in zip(highs, sums, extra.get(metric, (0.0, 0.0)), strict=True)
            ]
            error = math.hypot(*errors)
            apart = math.log(second / first)
            interval = [math.expm1(apart - 1.96 * error), math.expm1(apart + 1.96 * error)]
            rows.append(
                _row(name, metric, "ms", first, second, interval=interval, p=_p(apart, errors, sizes))
            )
    from scipy import stats

    starved = [int(each.get("no_connection") or 0) for each in (base, new)]
    wanted = [int(each["requests"]) + unsent for each, unsent in zip((base, new), starved, strict=True)]
    failed = [int(each["failed"]) + unsent for each, unsent in zip((base, new), starved, strict=True)]
    if min(wanted):
        table = [[bad, total - bad] for bad, total in zip(failed, wanted, strict=True)]
        before, after = (100 * error_share(each) for each in (base, new))
        # Errors occur in clusters, and Fisher's test assumes independence: so p must be a hundred times smaller.
        p = min(1.0, 100 * float(stats.fisher_exact(table).pvalue)) if any(failed) else None
        rows.append(_row(name, "errors", "%", before, after, p=p))
    return rows


def _mark_significant(rows: Sequence[dict[str, Any]], alpha: float) -> None:
    """Mark the rows that are significant after Holm's correction for all rows."""
    still = True
    ordered = sorted((row for row in rows if row["p"] is not None), key=lambda row: float(row["p"]))
    for number, row in enumerate(ordered):
        still = still and row["p"] < alpha / (len(ordered) - number)
        row["_significant"] = still


def _is_claimed(row: Mapping[str, Any], min_effect: float, grain: float) -> bool:
    if not row.get("_significant") or (row["runs"] is not None and row["runs"] >= MAX_P_AMONG_RUNS):
        return False
    if row["metric"] == "errors":
        apart = abs(row["after"] - row["before"]) / 100
        return bool(apart >= max(MIN_ERROR_RATE_DIFFERENCE, min_effect * row["before"] / 100))
    if row["change"] is None or abs(row["change"]) < min_effect:
        return False
    if row["unit"] == "ms" and abs(row["after"] - row["before"]) <= grain:
        return False
    return row["mann_whitney"] is None or bool(row["mann_whitney"] < 0.05)


def _p_among_runs(row: Mapping[str, Any], loads: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the p-value of a value among those of earlier loads; None if there are too few loads.

    Several runs show the variation between runs, which the windows of one run do not. The test compares the logarithm
    of the new value with Student's prediction interval of the earlier ones.
    """
    from scipy import stats

    metric, name = row["metric"], row["function"]
    counts = [load["total"] if name is None else load["functions"].get(name) for load in loads]
    values = [goodput(each) if metric == "rate" else latency(each, "due", metric) for each in counts if each]
    logs = np.log([float(value) for value in values if value]) if metric != "errors" else np.zeros(0)
    if len(logs) < MIN_EARLIER_RUNS or not row["after"] > 0:
        return None
    error = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs))
    return float(
        2 * stats.t.sf(abs(math.log(row["after"]) - float(logs.mean())) / max(error, 1e-9), len(logs) - 1)
    )


def _text(row: Mapping[str, Any]) -> str:
    where = row["function"] or "in total"
    name = {"errors": "error rate", "rate": "rate served"}.get(row["metric"], row["metric"])
    if row["metric"] == "errors":
        return f"{name} {where}: {row['before']:.3g} %, now {row['after']:.3g} %"
    unit = " ms" if row["unit"] == "ms" else row["unit"]
    return f"{name} {where}: {row['before']:.3g}{unit}, now {row['after']:.3g}{unit} ({100 * row['change']:+.1f} %)"


# --- many runs


def levels(runs: Sequence[Stored], *, min_effect: float = 0.05) -> list[dict[str, Any]]:
    """Search a series of runs, the earliest first, for changes of level in p50, p95, p99 and the rate served.

    Returns one record for each change; none if there are too few runs.
    """
    if len(runs) < MIN_RUNS_FOR_LEVELS:
        return []
    import ruptures

    found = []
    for metric in ("p50", "p95", "p99", "rate"):
        values = np.asarray([_level(run.report["load"], metric) for run in runs])
        if not np.all(values > 0):
            continue
        logs = np.log(values)
        # The noise between runs is estimated from neighbours, so that a change of level does not count as noise.
        noise = float(np.median(np.abs(np.diff(logs)))) / (0.6745 * math.sqrt(2))
        noise = max(noise, min_effect / 4)
        signal = (logs / noise).reshape(-1, 1)
        # Twice the BIC penalty for a change of mean with unit noise: a false change is worse than a late one.
        ends = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(signal).predict(pen=4 * math.log(len(runs)))
        starts = [0, *ends[:-1]]
        for before, (start, end) in zip(starts, zip(starts[1:], ends[1:], strict=True), strict=False):
            old, new = float(np.exp(logs[before:start].mean())), float(np.exp(logs[start:end].mean()))
            if abs(new / old - 1) >= min_effect:
                found.append(
                    {
                        "metric": metric,
                        "since": runs[start].name,
                        "before": old,
                        "after": new,
                        "change": new / old - 1,
                    }
                )
    return found


def _level(load: Mapping[str, Any], metric: str) -> float:
    total = load["total"]
    return float(goodput(total) if metric == "rate" else latency(total, "due", metric) or 0.0)
