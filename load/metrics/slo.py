"""SLOs of a load: reads them, judges them on enough samples, and decides when to stop early.

    [function] metric op limit        course.find p95 < 200ms · errors < 0.1% · nonconformant = 0 · rate > 190/s

Metrics: a percentile (p50, p95, p99.9), mean and max, from the moment due, of requests that were served or got no
answer in time; errors and nonconformant, as a share (with %) or a number; rate, the requests served per second. If
nothing was served, an SLO for a latency is missed. If no SLO is about errors, `errors < 1%` applies.

Each metric needs a minimum number of samples:

- percentile p: 10 / (1 - p/100), so that about ten samples are above it (p95: 200, p99: 1,000, p99.9: 10,000);
- mean: 30, max: 100;
- a share s of errors: 3 / s, since no error in fewer samples does not show a smaller share with 95 % confidence;
  100 where the limit is 0 or a number;
- a rate: 5 seconds of measured time.

With fewer samples, an SLO is *not judged*, which is not a pass. It is missed, however, if more samples break it than
the minimum number of samples allows.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from conformance.errors import UsageError, suggestion
from load.metrics.counts import Counts, Second
from load.metrics.histogram import Histogram

__all__ = [
    "DEFAULT",
    "DEFAULT_SLO",
    "Abort",
    "Doubt",
    "Result",
    "Slo",
    "Watch",
    "cannot_hold",
    "counts_of",
    "hopeless",
    "judge",
    "judge_default",
    "measured_text",
    "parse",
    "parse_abort",
]

_OPS = ("<=", ">=", "<", ">", "=")
_NAMES = ("errors", "nonconformant", "rate", "mean", "max", "recovery")
_TAIL = re.compile(
    r"(?P<objective>.*?)\s+(?:in\s+every\s+(?P<every>[0-9]{1,5}\s*(?:s|m))"
    r"|from\s+(?P<since>[0-9]{1,6}(?:\.[0-9]+)?\s*(?:s|m|h))"
    r"|at\s+(?P<at>[0-9]{1,7}(?:\.[0-9]+)?)\s*/\s*s)",
)
_PART_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TEXT = re.compile(
    r"(?:(?P<function>[^\s./<>=]+\.[^\s./<>=]+)\s+)?"
    r"(?P<metric>[A-Za-z][A-Za-z0-9.]*)\s*(?P<op><=|>=|==|<|>|=)\s*"
    r"(?P<limit>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(?P<unit>us|µs|μs|ms|s|%|/s)?",
)
_EXAMPLE = "write it as 'p95 < 300ms', 'errors < 0.1%' or 'course.find p99 < 1s'"
_LATENCY_UNITS = {"us": Fraction(1, 1000), "µs": Fraction(1, 1000), "μs": Fraction(1, 1000)}
_LATENCY_UNITS |= {"ms": Fraction(1), "s": Fraction(1000)}

#: The measured seconds that a rate needs.
RATE_SECONDS = 5
#: Samples above a percentile that it needs, and the factor of the rule of three for 95 % confidence.
_ABOVE = 10
_CONFIDENT = 3

#: The SLO that applies if none is about errors, and how to lift it.
DEFAULT = "errors < 1%"
LIFTED = "the default, as no SLO speaks of errors; --slo 'errors <= 100%' lifts it"
#: The samples from which on one failure can miss the default.
_REMARK = 100
#: Percentiles of the generator's lag that a miss is compared with.
_LATENESS = (50.0, 90.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True)
class Slo:
    """An SLO: latencies in ms, shares in %, rates per second, numbers without a unit."""

    text: str
    metric: str
    op: str
    limit: float
    unit: str
    function: str | None = None
    #: Whether it applies without being asked for.
    default: bool = False
    #: The length of its windows, the second from which on it applies, and the rate of its step; None for the whole run.
    every: float | None = None
    since: float | None = None
    at_rate: float | None = None

    @property
    def timed(self) -> bool:
        """Whether it is about a part of the run (`load.metrics.windows`)."""
        return (self.every, self.since, self.at_rate) != (None, None, None) or self.metric == "recovery"

    @property
    def percentile(self) -> float | None:
        """The percentile that it is about; None for another metric."""
        return float(self.metric[1:]) if re.fullmatch(r"p[0-9.]+", self.metric) else None

    @property
    def is_latency(self) -> bool:
        """Whether it is about latencies."""
        return self.unit == "ms" and self.metric != "recovery"

    @property
    def needed(self) -> int:
        """The minimum number of samples (for a rate, of seconds) to judge it."""
        if self.metric == "rate":
            return RATE_SECONDS
        if self.metric == "recovery":
            return 3
        if self.metric == "mean":
            return 30
        if (percentile := self.percentile) is not None:
            # Of the text: a float of 99.9 does not leave exactly a thousandth above it.
            return max(1, math.ceil(_ABOVE / (1 - Fraction(repr(percentile)) / 100)))
        if self.unit == "%" and self.limit > 0:
            return math.ceil(_CONFIDENT * 100 / Fraction(repr(self.limit)))
        return 100

    def holds(self, value: float) -> bool:
        """Return whether a value meets it."""
        match self.op:
            case "<":
                return value < self.limit
            case "<=":
                return value <= self.limit
            case ">":
                return value > self.limit
            case ">=":
                return value >= self.limit
            case _:
                return value == self.limit

    def margin(self, value: float) -> float | None:
        """Return the share of the limit that is left, negative if it is missed; None if the limit is 0."""
        if not self.limit or self.op == "=":
            return None
        left = self.limit - value if self.op in ("<", "<=") else value - self.limit
        return left / self.limit


@dataclass(frozen=True)
class Result:
    """The result of an SLO; `verdict` is "pass", "fail" or "not judged", which has a reason."""

    slo: Slo
    verdict: str
    value: float | None
    samples: int
    needed: int
    reason: str | None = None
    #: For an SLO of windows: how many were judged, how many were joined, and those that missed it.
    windows: Mapping[str, Any] | None = None

    @property
    def margin(self) -> float | None:
        """The share of the limit that is left; negative if it is missed."""
        return None if self.value is None else self.slo.margin(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return the result for the report."""
        return {
            "text": self.slo.text,
            "function": self.slo.function,
            "metric": self.slo.metric,
            "op": self.slo.op,
            "limit": self.slo.limit,
            "unit": self.slo.unit,
            "value": self.value,
            "margin": self.margin,
            "samples": self.samples,
            "needed": self.needed,
            "verdict": self.verdict,
            "reason": self.reason,
            "default": self.slo.default,
            **{
                name: value
                for name in ("every", "since", "at_rate")
                if (value := getattr(self.slo, name)) is not None
            },
            **({} if self.windows is None else {"windows": dict(self.windows)}),
        }


def measured_text(slo: Slo, value: float | None) -> str:
    """Return a value of an SLO with its unit, in words."""
    if value is None:
        return "nothing served"
    unit = f" {slo.unit}" if slo.unit == "ms" else slo.unit
    return f"{value:.4g}{unit}"


def parse(text: str, functions: Collection[str] | None = None) -> Slo:
    """Return the SLO of a text; `functions`, if given, are those that the load calls. Raises UsageError."""
    objective, parts = _parts(text.strip())
    found = _TEXT.fullmatch(objective)
    if not found:
        raise UsageError(f"{text!r} is no SLO: {_EXAMPLE}")
    metric, op, unit = found["metric"].lower(), found["op"], found["unit"] or ""
    op = "=" if op == "==" else op
    limit = Fraction(found["limit"])
    is_percentile = re.fullmatch(r"p[0-9]{1,2}(\.[0-9]{1,3})?", metric)
    if not is_percentile and metric not in _NAMES:
        more = suggestion(metric, _NAMES) or f"; known: p50 … p99.9, {', '.join(_NAMES)}"
        raise UsageError(f"{text!r} is no SLO: {metric!r} is no metric{more}")
    if is_percentile and not 0 < float(metric[1:]) < 100:
        raise UsageError(f"{text!r} is no SLO: a percentile lies between 0 and 100")
    if metric in ("errors", "nonconformant"):
        if unit not in ("%", ""):
            raise UsageError(f"{text!r} is no SLO: {metric} are a share, as in 0.1%, or a number")
        if unit == "%" and limit > 100:
            raise UsageError(f"{text!r} is no SLO: a share is 100% at most")
        if unit == "" and limit.denominator != 1:
            raise UsageError(f"{text!r} is no SLO: a number of {metric} is whole; a share is written as 0.1%")
    elif metric == "rate":
        if unit != "/s":
            raise UsageError(f"{text!r} is no SLO: a rate is per second, as in rate > 190/s")
    else:
        if unit not in _LATENCY_UNITS:
            raise UsageError(f"{text!r} is no SLO: {metric} is a time, as in {metric} < 300ms")
        limit, unit = limit * _LATENCY_UNITS[unit], "ms"
    if metric == "recovery" and (op not in ("<", "<=") or found["function"] or parts):
        raise UsageError(f"{text!r} is no SLO: a recovery is of the whole load, as in recovery < 10s")
    if op == "=" and not (metric in ("errors", "nonconformant") and unit in ("", "%")):
        raise UsageError(f"{text!r} is no SLO: {metric} is measured, not counted: use < or >")
    if op == "<" and not limit:
        raise UsageError(f"{text!r} is no SLO: nothing is less than 0: use = 0")
    function = found["function"]
    if function is not None and functions is not None and function not in functions:
        raise UsageError(f"{text!r}: this load does not call {function}{suggestion(function, functions)}")
    read = Slo(" ".join(text.split()), metric, op, float(limit), unit, function)
    return replace(read, **parts)  # type: ignore[arg-type]  # only those of time


def _parts(text: str) -> tuple[str, dict[str, float]]:
    """Return the text of an SLO without its times, and the times: `every`, `since`, `at_rate`. Raises UsageError."""
    parts: dict[str, float] = {}
    objective = text
    while found := _TAIL.fullmatch(objective):
        objective = found["objective"]
        name = "every" if found["every"] else "since" if found["since"] else "at_rate"
        if name in parts:
            raise UsageError(f"{text!r} is no SLO: it says twice of when it is")
        value = found["every"] or found["since"] or found["at"]
        parts[name] = float(value.rstrip("smh ")) * _PART_SECONDS.get(value[-1], 1)
        if not parts[name]:
            raise UsageError(
                f"{text!r} is no SLO: {value!r} is nothing; write it as in every 10s or at 100/s"
            )
    return objective, parts


DEFAULT_SLO = replace(parse(DEFAULT), default=True)


def judge(
    slos: Iterable[Slo],
    total: Counts,
    functions: Mapping[str, Counts],
    seconds: float,
    doubt: Doubt | None = None,
) -> list[Result]:
    """Judge SLOs on the counts of some measured seconds, excluding the warm-up.

    With a `doubt`, a miss that the generator may have caused is not judged, nor is a pass if the generator was unfit.
    """
    judged = []
    for slo in slos:
        counts = total if slo.function is None else functions.get(slo.function, Counts())
        result = _judged(slo, counts, seconds)
        judged.append(result if doubt is None else doubt.review(result, counts, seconds))
    return judged


def judge_default(
    slos: Collection[Slo], total: Counts, functions: Mapping[str, Counts], doubt: Doubt | None = None
) -> list[Result]:
    """Judge the default SLO for errors if none of these is about errors.

    It applies in total, and to each function with enough samples and without an SLO for its errors. Only functions that
    miss it have a result of their own.
    """
    spoken = {slo.function for slo in slos if slo.metric == "errors"}
    if None in spoken:
        return []
    results = []
    if not spoken:
        results.append(_default(replace(DEFAULT_SLO, text=DEFAULT), total))
    for name, counts in sorted(functions.items()):
        if name not in spoken:
            slo = replace(DEFAULT_SLO, text=f"{name} {DEFAULT}", function=name)
            result = _judged(slo, counts, 0.0)
            if result.verdict == "fail":
                results.append(replace(result, reason=LIFTED.partition(";")[0]))
    if doubt is None:
        return results
    of: dict[str | None, Counts] = {None: total}
    of.update(functions)
    return [doubt.review(result, of[result.slo.function], 0.0) for result in results]


def _default(slo: Slo, total: Counts) -> Result:
    """Judge the default in total, on any number of samples: otherwise a short load would have no gate."""
    samples = total.wanted
    if not samples:
        return Result(slo, "not judged", None, 0, 1, "nothing was measured")
    value = _value(slo, total)
    if total.unserved == 1 and 1 < samples < _REMARK:
        remark = f"1 of {samples} requests failed: a remark, on fewer than {_REMARK} samples"
        return Result(slo, "pass", value, samples, 1, f"{remark}; {LIFTED}")
    return Result(slo, "pass" if slo.holds(value) else "fail", value, samples, 1, LIFTED)


def _judged(slo: Slo, counts: Counts, seconds: float) -> Result:
    needed = slo.needed
    value: float | None = None
    if slo.metric == "rate":
        samples = max(0, math.floor(seconds + 1e-9))
        value = counts.served / seconds if seconds > 0 else None
        what = f"measured for {seconds:.3g} s; a rate needs {needed} s"
    else:
        served = slo.is_latency
        samples = counts.due.count if served else counts.wanted if slo.metric == "errors" else counts.requests
        if served and not counts.served and counts.wanted:
            value = _value(slo, counts) if samples else None
            verdict = "fail" if slo.op in ("<", "<=") else "not judged"
            return Result(slo, verdict, value, samples, needed, "nothing was served")
        value = _value(slo, counts) if samples else None
        what = f"{samples:,} {'served' if served and counts.failed else 'samples'}; {slo.metric} needs {needed:,}"
    if value is None or samples < needed:
        if value is not None and _surely_missed(slo, counts):
            return Result(slo, "fail", value, samples, needed)
        none = "nothing was measured" if slo.function is None else f"{slo.function} was not called"
        reason = what if samples or slo.metric == "rate" else none
        return Result(slo, "not judged", value, samples, needed, reason)
    return Result(slo, "pass" if slo.holds(value) else "fail", value, samples, needed)


def _value(slo: Slo, counts: Counts) -> float:
    if slo.metric == "errors":
        return 100 * counts.unserved / counts.wanted if slo.unit == "%" else float(counts.unserved)
    if slo.metric == "nonconformant":
        number = counts.nonconformant
        return 100 * number / counts.requests if slo.unit == "%" else float(number)
    if slo.metric == "mean":
        return counts.due.mean / 1000
    if slo.metric == "max":
        return counts.due.max / 1000
    percentile = slo.percentile
    assert percentile is not None
    return counts.due.percentile(percentile) / 1000


def _surely_missed(slo: Slo, counts: Counts) -> bool:
    """Return whether it would be missed even if all samples up to the minimum were good."""
    if slo.op not in ("<", "<=", "=") or slo.metric in ("rate", "mean"):
        return False
    if slo.metric in ("errors", "nonconformant"):
        number = counts.unserved if slo.metric == "errors" else counts.nonconformant
        return cannot_hold(slo, number, slo.needed)
    return cannot_hold(slo, counts.due.above(slo.limit * 1000), slo.needed)


def cannot_hold(slo: Slo, bad: int, samples: float) -> bool:
    """Return whether there are too many bad samples (errors, or latencies above the limit) among all."""
    if slo.metric in ("errors", "nonconformant"):
        return (100 * bad / samples if slo.unit == "%" else float(bad)) > slo.limit
    percentile = slo.percentile
    return bad > (0.0 if percentile is None else samples * (1 - percentile / 100)) + 1e-9


def hopeless(slo: Slo, counts: Counts, expected: float | None, seconds: float) -> bool:
    """Return whether an SLO cannot be met any more, whatever else comes.

    `expected` is how many requests there will be at most in `seconds` in all, None where that is not known.
    """
    needed = 1 if slo.default and slo.function is None else slo.needed
    if slo.metric == "rate":
        if expected is None or slo.op not in (">", ">="):
            return False
        left = max(0.0, expected - counts.wanted - counts.renewed)
        return seconds >= needed and not slo.holds((counts.served + left) / seconds)
    if slo.op not in ("<", "<=", "=") or slo.metric == "mean":
        return False
    if slo.is_latency:
        bad = counts.due.above(slo.limit * 1000)
    else:
        bad = counts.unserved if slo.metric == "errors" else counts.nonconformant
        if slo.unit == "" and slo.op == "<":
            return bad >= slo.limit
    if slo.unit == "" or slo.metric == "max":
        return cannot_hold(slo, bad, 1)
    return expected is not None and cannot_hold(slo, bad, max(expected, needed))


# --- the part of the generator in a miss -------------------------------------------------------------------------


@dataclass(frozen=True)
class Doubt:
    """What the generator may have added to the measurements.

    `lag` is how late arrivals were taken up; an answer may have been read as late. `why` says why the generator was
    not fit, None where it was. `unsent` is how many requests were due and never sent. A wait of more than
    `certain_after` seconds was the target's, even if the generator was not fit; `timeout` is how long each request
    waits for its answer at most.
    """

    lag: Histogram
    why: str | None = None
    unsent: float = 0.0
    open: bool = True
    certain_after: float = math.inf
    timeout: float = 0.0

    def review(self, result: Result, counts: Counts, seconds: float) -> Result:
        """Return a result with the verdict that is certain in spite of the generator."""
        if result.verdict == "pass" and self.why is not None:
            return replace(result, verdict="not judged", reason=f"the generator was not fit: {self.why}")
        if result.verdict == "fail" and (why := self._explains(result.slo, counts, seconds)) is not None:
            return replace(result, verdict="not judged", reason=why)
        return result

    def _explains(self, slo: Slo, counts: Counts, seconds: float) -> str | None:
        """Return how the generator alone may have caused a miss; None if it cannot have."""
        if slo.is_latency:
            return self._explains_latency(slo, counts)
        if self.why is None or slo.metric == "nonconformant":
            return None
        unfit = f"the generator was not fit: {self.why}"
        if slo.metric == "errors":
            sure = self._certain_errors(counts)
            if slo.unit == "":
                return None if not slo.holds(float(sure)) else unfit
            samples = max(counts.wanted, 1 if slo.default and slo.function is None else slo.needed)
            return None if not slo.holds(100 * sure / samples) else unfit
        if slo.op in ("<", "<=") or not self.open or seconds <= 0:
            return None if slo.op in ("<", "<=") else unfit
        return None if not slo.holds((counts.served + counts.dropped + self.unsent) / seconds) else unfit

    def _certain_errors(self, counts: Counts) -> int:
        """Return the number of errors that the generator cannot have caused, even if it was not fit.

        It may miss a deadline, or leave a connection busy. It never causes a refusal, or closes a connection.
        """
        certain = counts.failed
        if self.timeout <= self.certain_after:
            certain -= counts.errors["timeout"]
        if math.isfinite(self.certain_after):
            certain += counts.starved.above(1e6 * self.certain_after)
        return certain

    def _explains_latency(self, slo: Slo, counts: Counts) -> str | None:
        if slo.op not in ("<", "<=") or not counts.served:
            return None
        if not self.lag.count or not self.open:
            return None if self.why is None else f"the generator was not fit: {self.why}"
        limit = slo.limit * 1000
        doubtful = self.why is not None and math.isinf(self.certain_after)
        starved = counts.starved if doubtful else Histogram()
        if slo.metric == "mean":
            # A request that is sent late and read late is late twice.
            sure = counts.due.mean - 2 * self.lag.mean > limit and not starved.count
        else:
            sure = any(
                self._beyond(
                    histogram, starved if histogram is counts.due else Histogram(), slo, often, above
                )
                for histogram, often in ((counts.due, 2), (counts.sent, 1))
                for above in _LATENESS
            )
        if sure:
            return None
        late = self.lag.percentile(99) / 1000
        return (
            f"missed by no more than the generator's own lateness may explain: {late:.3g} ms at p99, "
            f"{self.lag.max / 1000:.3g} ms at most"
        )

    def _beyond(self, histogram: Histogram, starved: Histogram, slo: Slo, often: int, of: float) -> bool:
        """Return whether too many latencies are above the limit by more than a percentile of the lag."""
        bound = slo.limit * 1000 + often * self.lag.percentile(of)
        bad = histogram.above(bound) - starved.above(bound)
        samples = max(histogram.count - starved.count, slo.needed if histogram.count < slo.needed else 0)
        return cannot_hold(slo, math.floor(bad - often * (1 - of / 100) * samples), samples)


# --- stopping early -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Abort:
    """A condition that stops the run if it was true over the last `seconds`."""

    text: str
    condition: Slo
    seconds: int = 10


def parse_abort(text: str, functions: Collection[str] | None = None, *, seconds: int = 10) -> Abort:
    """Return the condition of a text: an SLO, and `over 15s` if not over the last 10 s. Raises UsageError."""
    found = re.fullmatch(r"(.*?)\s+over\s+([0-9]{1,4})\s*s", text.strip())
    if found:
        text, seconds = found[1], int(found[2])
    if not 1 <= seconds <= 600:
        raise UsageError(f"{text!r}: a condition looks back over 1 to 600 s, not {seconds} s")
    slo = parse(text, functions)
    if slo.timed:
        raise UsageError(f"{text!r}: a condition looks back: write it as 'errors > 50% over 10s'")
    if slo.metric == "rate" and seconds < RATE_SECONDS:
        raise UsageError(f"{text!r}: a rate needs {RATE_SECONDS} s, not {seconds} s")
    return Abort(f"{slo.text} over {seconds}s", slo, seconds)


@dataclass
class Watch:
    """Checks the conditions to stop, second by second.

    A condition is checked once its seconds have passed since the end of the warm-up (`start`). It needs as many samples
    as an SLO: with too few, nothing is stopped.
    """

    conditions: Sequence[Abort]
    start: float = 0.0
    _seconds: deque[Second] = field(default_factory=deque)

    @property
    def functions(self) -> frozenset[str]:
        """The functions whose latencies are recorded per second (`Aggregator.watch`)."""
        return frozenset(
            each.condition.function
            for each in self.conditions
            if each.condition.function is not None and each.condition.is_latency
        )

    def see(self, second: Second) -> str | None:
        """Add the next second; return why to stop, in words, or None."""
        if not self.conditions or second.at < self.start:
            return None
        self._seconds.append(second)
        if len(self._seconds) > max(each.seconds for each in self.conditions):
            self._seconds.popleft()
        for each in self.conditions:
            if len(self._seconds) < each.seconds:
                continue
            counts = self._counts(each)
            name = each.condition.function
            functions = {} if name is None else {name: counts}
            (result,) = judge([each.condition], counts, functions, float(each.seconds))
            if result.verdict == "pass" and result.value is not None:
                return f"{each.text} ({_said(each.condition, result.value)})"
        return None

    def _counts(self, abort: Abort) -> Counts:
        slo = abort.condition
        return Counts.sum(
            counts_of(second, slo.function, latencies=slo.is_latency)
            for second in list(self._seconds)[-abort.seconds :]
        )


def counts_of(second: Second, function: str | None, *, latencies: bool) -> Counts:
    """Return the counts of a second, of one function or of all; with `latencies`, including their histogram."""
    counts = Counts()
    latency: Histogram | None = second.due
    if function is None:
        counts.requests, counts.failed, counts.nonconformant = (
            second.done,
            second.failed,
            second.nonconformant,
        )
        # Their waits are in the latencies already.
        counts.starved.record(0, second.starved)
        counts.errors["timeout"] = second.errors["timeout"]
    else:
        counts.requests, counts.failed, counts.nonconformant = second.functions.get(function, (0, 0, 0))
        latency = second.watched.get(function)
    if latency is not None and latencies:
        counts.due.merge(latency)
    return counts


def _said(slo: Slo, value: float) -> str:
    unit = f" {slo.unit}" if slo.unit in ("ms", "%") else slo.unit
    return f"{slo.metric} was {value:.4g}{unit}"
