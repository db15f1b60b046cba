"""Two loads compared: is one slower, or is it the same within noise?

Neighbouring requests are not independent: a slow second is slow for all of them. So nothing here is tested over single
requests.

- Whether a *percentile* differs is asked of shares: at the percentile of both runs together, are as many requests of
  one above it as of the other? The shares' seconds are a series, and the long-run variance of its mean counts what one
  second says of those after it: it is the mean of the squares of the series' first few cosine transforms (EWC), which
  leaves a Student's t with as many degrees of freedom. E. Lazarus, D. Lewis, J. Stock and M. Watson, «HAR Inference:
  Recommendations for Practice», Journal of Business & Economic Statistics 36 (2018). No density has to be guessed, and
  no window to be chosen. Inverted at the percentile (R. Woodruff, «Confidence Intervals for Medians and Other Position
  Measures», Journal of the American Statistical Association 47, 1952), the same variance says how far off the
  percentile itself may be.
- The measured time is also cut into windows, long enough that one says little of the next. A *difference* (of p50, p95,
  p99, the error rate, the rate reached) has a confidence interval by bootstrap over whole windows, whose histograms
  merge exactly; for a percentile it is made as wide as the long-run variance says. The windows' percentiles are put to
  Mann-Whitney (is one side mostly higher?) and Kolmogorov-Smirnov (are the two distributions the same?).
- A *claim* needs a difference of at least the smallest effect that matters, a p-value that stands after Holm's
  correction for everything that is compared, and, for a latency, Mann-Whitney on its side. All else is «same within
  noise».

Of a function there is the histogram of the whole run alone. Its interval is that of its own requests, widened by what
the windows of the total show beyond that of theirs: what moves the service from one second to the next moves all of
its functions.

The windows of a run know nothing of what differs between two runs of one service: another day, another neighbour on the
machine. Where there are three earlier runs or more, a claim needs a value that is unlikely among theirs, too.

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
from reports.text import latency

__all__ = ["compare", "levels"]

Floats = npt.NDArray[np.float64]

PERCENTILES = ((50.0, "p50"), (95.0, "p95"), (99.0, "p99"))

#: So many windows are made at first, and no fewer than that at last.
_WINDOWS = (24, 18, 14)
_FEWEST = 8

#: Windows that say less of the next one than this count as independent.
_DEPENDENT = 0.2

_RESAMPLES = 1000

#: What is claimed falsely at most, of the totals and of the functions, each corrected for all of its comparisons.
_ALPHA, _ALPHA_FUNCTIONS = 0.04, 0.01

#: An error rate has to differ by so much at least, whatever it was before.
_LEAST_ERRORS = 0.001

#: From so many earlier runs on, a claim needs a value that is unlikely among theirs, too.
_SEVERAL, _ALONE = 3, 0.05

#: So many runs at least for a search for changes of level.
_RUNS = 5


@dataclass(frozen=True, slots=True)
class _Windows:
    """The measured time of a run in windows: counts of cells a window, and what was done in it.

    `finest` is the same in seconds, or, of a long run, in hundredths of it.
    """

    counts: Floats  # windows x cells
    values: Floats  # of each cell, in milliseconds
    done: Floats
    failed: Floats
    seconds: float  # of one window
    finest: _Windows | None = None

    def percentiles(self, wanted: Sequence[float], weights: Floats | None = None) -> Floats:
        """Return percentiles of each row of weights over the windows (each window alone where there are none)."""
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
    """Cut the measured time into windows; None where it is too short."""
    warmup = float(load.get("warmup") or 0)
    seconds = [each for each in load.get("series") or [] if float(each["at"]) >= warmup and each.get("due")]
    if len(seconds) < _FEWEST:
        return None
    # A long run is taken in pieces from the start: no window is ever shorter than a hundredth of it.
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
        np.asarray([sum(float(each.get("done") or 0) for each in part) for part in pieces]),
        np.asarray(
            [float(sum(sum((each.get("errors") or {}).values()) for each in part)) for part in pieces]
        ),
        float(piece),
    )
    for most in _WINDOWS:
        made = _joined(finest, max(1, len(pieces) // most))
        if _dependence(made) <= _DEPENDENT:
            break
    return made


def _joined(finest: _Windows, width: int) -> _Windows:
    """Join so many windows to one, each."""
    number = len(finest.done) // width

    def joined(values: Floats) -> Floats:
        summed: Floats = values[: number * width].reshape(number, width, *values.shape[1:]).sum(axis=1)
        return summed

    return _Windows(
        joined(finest.counts),
        finest.values,
        joined(finest.done),
        joined(finest.failed),
        finest.seconds * width,
        finest,
    )


def _dependence(windows: _Windows) -> float:
    """Return how much a window says of the next one, by the percentile for which that is most."""
    logs = np.log(np.maximum(windows.percentiles([percentile for percentile, _ in PERCENTILES]), 1e-9))
    return max(_next_alike(logs[:, column]) for column in range(len(PERCENTILES)))


def _next_alike(values: Floats) -> float:
    """Return how much a window says of the next one: the correlation of neighbours."""
    values = values[np.isfinite(values)]
    if len(values) < 4 or np.ptp(values) == 0:
        return 0.0
    centred = values - values.mean()
    # With few windows the estimate lies about 1/n too low.
    found = float((centred[1:] * centred[:-1]).sum() / (centred**2).sum()) + 1 / len(values)
    return min(max(found, 0.0), 0.8)


# --- percentiles, by shares


def _terms(pieces: int) -> int:
    """Return how many cosines the long-run variance of so many pieces' mean is made of.

    Few see slow dependence best, many leave more degrees of freedom: 0.4 n^(2/3) is what the authors recommend for a
    test that is all size. Here a difference has to matter, too, and half n^(2/3) finds more.
    """
    return max(2, round(0.5 * math.pow(pieces, 2 / 3)))


def _below(side: _Windows, value: float) -> Floats:
    """Return how many requests of each piece took no longer than that."""
    below: Floats = side.counts[:, : np.searchsorted(side.values, value, side="right")].sum(axis=1)
    return below


def _share_error(side: _Windows, value: float, share: float) -> float:
    """Return the standard error of the share of requests that took no longer than a value.

    It is never less than what it were if all requests were independent of each other.
    """
    below, all_of = _below(side, value), side.counts.sum(axis=1)
    total = float(all_of.sum())
    series = below - below.sum() / total * all_of
    pieces = len(series)
    places = np.arange(pieces) + 0.5
    cosines = np.cos(np.pi * np.outer(np.arange(1, _terms(pieces) + 1), places) / pieces)
    long_run = float(((math.sqrt(2 / pieces) * cosines @ series) ** 2).mean())
    return max(math.sqrt(pieces * long_run), math.sqrt(share * (1 - share) * total)) / total


def _both(before: _Windows, now: _Windows, percentile: float) -> float:
    """Return the percentile of both runs together, each counting for half."""
    values = np.concatenate([before.values, now.values])
    weights = np.concatenate([side.counts.sum(axis=0) / side.counts.sum() for side in (before, now)])
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(np.cumsum(weights[order]) / 2, percentile / 100)
    return float(values[order][min(int(place), len(order) - 1)])


def _differs(before: _Windows, now: _Windows, percentile: float) -> tuple[float, list[float]]:
    """Return how likely shares this far apart are where there is no difference, and each percentile's own error.

    The errors are those of the percentiles' logarithms.
    """
    value, share = _both(before, now, percentile), percentile / 100
    parts, errors, own = [], [], []
    for side in (before, now):
        parts.append(float(_below(side, value).sum()) / float(side.counts.sum()))
        errors.append(_share_error(side, value, share))
        sums = np.cumsum(side.counts.sum(axis=0))
        at = side.percentiles([percentile], np.ones((1, len(side.done))))[0, 0]
        own.append(_log_error(side.values, sums, percentile, _share_error(side, float(at), share)))
    sizes = [_terms(len(side.done)) + 1 for side in (before, now)]
    return _p(parts[1] - parts[0], errors, sizes), own


# --- the comparison


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
        why.append(f"fewer than {_FEWEST} seconds were measured: too short to tell a difference from noise")
        nothing: dict[str, Any] = {"windows": None, "grain": None, "rows": [], "claims": []}
        return {"comparable": False, "why": why, "notes": [], **nothing}
    rng = np.random.default_rng(seed)
    rows = _totals(before, now, base, new, rng)
    extra = {row["metric"]: row["_excess"] for row in rows if "_excess" in row}
    parts = []
    for name in sorted(base["functions"].keys() & new["functions"].keys()):
        parts += _function(
            name, base["functions"][name], new["functions"][name], extra, (len(before.done), len(now.done))
        )
    other_mix = mix_note(base, new)
    if other_mix is None:
        _correct(rows, _ALPHA)
    _correct(parts, _ALPHA_FUNCTIONS)
    rows += parts
    grain = _grain(base, new)
    claims = []
    for row in rows:
        row["runs"] = _among(row, [load for load in (*earlier, base) if _same_load(load, new)])
        compared = not why and (other_mix is None or row["function"] is not None)
        row["claim"] = "same" if compared else "not compared"
        if compared and _claimed(row, min_effect, grain):
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
            "before": len(before.done),
            "after": len(now.done),
            "seconds": [before.seconds, now.seconds],
        },
        "grain": grain,
        "rows": rows,
        "claims": claims,
    }


def _grain(base: Mapping[str, Any], new: Mapping[str, Any]) -> float:
    """Return how much of a difference of two latencies, in ms, may be the generators' own: what they were late (p99).

    A latency runs from the moment due, so that the lag of its generator is in it; and how late a generator is differs
    from run to run with what else its machine does, which the windows of one run cannot tell.
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
        rng.multinomial(len(side.done), np.full(len(side.done), 1 / len(side.done)), _RESAMPLES).astype(float)
        for side in (before, now)
    ]
    sides = (before, now)
    sizes = (len(before.done), len(now.done))
    assert before.finest is not None
    assert now.finest is not None
    freedom = _terms(len(before.finest.done)) + _terms(len(now.finest.done))
    spread = [
        np.log(np.maximum(side.percentiles(wanted, draw), 1e-9))
        for side, draw in zip(sides, draws, strict=True)
    ]
    whole = [side.percentiles(wanted, np.ones((1, len(side.done))))[0] for side in sides]
    alone = [side.percentiles(wanted) for side in sides]
    rows = []
    for column, (percentile, name) in enumerate(PERCENTILES):
        first, second = float(whole[0][column]), float(whole[1][column])
        if not (first > 0 and second > 0):
            continue
        p, errors = _differs(before.finest, now.finest, percentile)
        apart = math.log(second / first)
        drawn = spread[1][:, column] - spread[0][:, column]
        # As wide as Student's t makes it with the long-run variance, and as lopsided as the windows make it.
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
    speeds = [side.done / side.seconds for side in sides]
    means = [float(speed.mean()) for speed in speeds]
    reached = [(draw @ speed) / len(speed) for draw, speed in zip(draws, speeds, strict=True)]
    apart = means[1] - means[0]
    errors = [float(each.std(ddof=1)) for each in reached]
    low, high = (float(q) for q in np.quantile(reached[1] - reached[0], (0.025, 0.975)))
    interval = [low / means[0], high / means[0]] if means[0] > 0 else None
    rows.append(_row(None, "rate", "/s", *means, interval=interval, p=_p(apart, errors, sizes)))
    return rows


def _share(before: _Windows, now: _Windows, draws: Sequence[Floats], sizes: Sequence[int]) -> dict[str, Any]:
    """Compare the share of requests that failed."""
    shares, errors, drawn = [], [], []
    for side, draw in zip((before, now), draws, strict=True):
        total = max(1.0, float(side.done.sum()))
        shares.append(float(side.failed.sum()) / total)
        each = (draw @ side.failed) / np.maximum(draw @ side.done, 1)
        drawn.append(each)
        errors.append(float(each.std(ddof=1)))
    low, high = (float(q) for q in np.quantile(drawn[1] - drawn[0], (0.025, 0.975)))
    # Where nothing failed nothing is tested, and nothing has to be corrected for.
    p = _p(shares[1] - shares[0], errors, sizes) if any(shares) else None
    return _row(None, "errors", "%", 100 * shares[0], 100 * shares[1], interval=[100 * low, 100 * high], p=p)


def _p(apart: float, errors: Sequence[float], sizes: Sequence[int]) -> float:
    """Return how likely a difference this large is where there is none (Welch's t-test, two sides)."""
    from scipy import stats

    error = math.hypot(*errors)
    if not error > 0:
        return 1.0 if apart == 0 else 0.0
    parts = sum((each / error) ** 4 / max(1, size - 1) for each, size in zip(errors, sizes, strict=True))
    return float(2 * stats.t.sf(abs(apart) / error, 1 / parts))


def _excess(
    errors: Sequence[float], before: _Windows, now: _Windows, percentile: float, first: float, second: float
) -> tuple[float, float]:
    """Return the variance, on each side, that the total's windows show beyond that of independent requests."""
    out = []
    for error, side in zip(errors, (before, now), strict=True):
        counts = side.counts.sum(axis=0)
        own = _own_error(side.values, np.cumsum(counts), percentile)
        out.append(max(0.0, error**2 - own**2))
    return out[0], out[1]


def _own_error(values: Floats, sums: Floats, percentile: float) -> float:
    """Return the standard error of a percentile's logarithm, were the requests independent: from their order alone."""
    total, share = float(sums[-1]), percentile / 100
    return _log_error(values, sums, percentile, math.sqrt(share * (1 - share) / max(total, 1.0)))


def _log_error(values: Floats, sums: Floats, percentile: float, sway: float) -> float:
    """Return the standard error of a percentile's logarithm, given that of the share of requests below it."""
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
                continue  # too few lie above it
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

    done = [max(0, int(each["requests"])) for each in (base, new)]
    failed = [min(int(each["failed"]), total) for each, total in zip((base, new), done, strict=True)]
    if min(done):
        table = [[bad, total - bad] for bad, total in zip(failed, done, strict=True)]
        before, after = (100 * bad / total for bad, total in zip(failed, done, strict=True))
        # Errors come in flocks: Fisher's p-value is for independent ones, so a hundredth of it is asked for.
        p = min(1.0, 100 * float(stats.fisher_exact(table).pvalue)) if any(failed) else None
        rows.append(_row(name, "errors", "%", before, after, p=p))
    return rows


def _correct(rows: Sequence[dict[str, Any]], alpha: float) -> None:
    """Say which p-values stand after Holm's correction for all of them."""
    still = True
    ordered = sorted((row for row in rows if row["p"] is not None), key=lambda row: float(row["p"]))
    for number, row in enumerate(ordered):
        still = still and row["p"] < alpha / (len(ordered) - number)
        row["_stands"] = still


def _claimed(row: Mapping[str, Any], min_effect: float, grain: float) -> bool:
    if not row.get("_stands") or (row["runs"] is not None and row["runs"] >= _ALONE):
        return False
    if row["metric"] == "errors":
        apart = abs(row["after"] - row["before"]) / 100
        return bool(apart >= max(_LEAST_ERRORS, min_effect * row["before"] / 100))
    if row["change"] is None or abs(row["change"]) < min_effect:
        return False
    if row["unit"] == "ms" and abs(row["after"] - row["before"]) <= grain:
        return False
    return row["mann_whitney"] is None or bool(row["mann_whitney"] < 0.05)


def _among(row: Mapping[str, Any], loads: Sequence[Mapping[str, Any]]) -> float | None:
    """Return how likely a value this far off is among those of earlier loads; None where there are too few.

    The windows of one run cannot tell how far apart two runs of one service lie, on another day or beside another
    neighbour; several runs can. (The logarithm of a new value against Student's prediction interval of the old ones.)
    """
    from scipy import stats

    metric, name = row["metric"], row["function"]
    counts = [load["total"] if name is None else load["functions"].get(name) for load in loads]
    values = [
        each["reached"] if metric == "rate" else latency(each, "due", metric) for each in counts if each
    ]
    logs = np.log([float(value) for value in values if value]) if metric != "errors" else np.zeros(0)
    if len(logs) < _SEVERAL or not row["after"] > 0:
        return None
    error = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs))
    return float(
        2 * stats.t.sf(abs(math.log(row["after"]) - float(logs.mean())) / max(error, 1e-9), len(logs) - 1)
    )


def _text(row: Mapping[str, Any]) -> str:
    where = row["function"] or "in total"
    name = {"errors": "error rate", "rate": "rate reached"}.get(row["metric"], row["metric"])
    if row["metric"] == "errors":
        return f"{name} {where}: {row['before']:.3g} %, now {row['after']:.3g} %"
    unit = " ms" if row["unit"] == "ms" else row["unit"]
    return f"{name} {where}: {row['before']:.3g}{unit}, now {row['after']:.3g}{unit} ({100 * row['change']:+.1f} %)"


# --- many runs


def levels(runs: Sequence[Stored], *, min_effect: float = 0.05) -> list[dict[str, Any]]:
    """Search a series of runs, the earliest first, for changes of level in p50, p95, p99 and the rate reached.

    Returns one record for each change; none where there are too few runs to see one.
    """
    if len(runs) < _RUNS:
        return []
    import ruptures

    found = []
    for metric in ("p50", "p95", "p99", "rate"):
        values = np.asarray([_level(run.report["load"], metric) for run in runs])
        if not np.all(values > 0):
            continue
        logs = np.log(values)
        # The noise from one run to the next, told from neighbours, so that a change of level does not count as noise.
        noise = float(np.median(np.abs(np.diff(logs)))) / (0.6745 * math.sqrt(2))
        noise = max(noise, min_effect / 4)
        signal = (logs / noise).reshape(-1, 1)
        # BIC for a change of mean of unit noise, doubled: a change that is not there costs more than one missed late.
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
    return float(total["reached"] if metric == "rate" else latency(total, "due", metric) or 0.0)
