"""How a run keeps within its time on a slow target: which tests run next, and which are left out at the end.

A run has a deadline, and a target may take a hundred times as long for a call as another. Rather than to stop in the
middle, so that the last areas of the rulebook are not judged at all, a run that is going to be late postpones some
tests of the kinds that take most of the time, spread over all functions. Postponed tests run once the others are done,
for as long as they fit; only what does not fit then is left out, and is counted. The first test of each kind always
runs.

How long a test will take is predicted from the exchanges so far: the calls that tests of its kind made, times what a
call of its function takes. Logins are counted apart, since a slow password hash says nothing of other calls. Where the
time is enough, which is nearly always, nothing is postponed and the clock decides nothing.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["USUAL_CALLS", "Calls", "LoadShedding", "Planned"]

#: The part of the time for what cannot be foreseen: findings are confirmed, a reset is overcome.
RESERVED_PART = 0.1
#: The part of the time that generated payloads have at most while other tests wait.
MAX_GENERATED_PART = 0.4
#: The part of that which generated payloads have in any case, so that each of their rules is judged.
MIN_GENERATED_PART = 0.15
#: Before so many calls were measured nothing is postponed (a start-up is slower than what follows), unless they take
#: more than this part of the time; and nothing before the first part is over.
MIN_EVIDENCE_CALLS = 40
EVIDENCE_PARTS = (0.1, 0.2)
#: A function's own call time is used from so many calls on; until then, that of all calls.
MIN_FUNCTION_CALLS = 3
#: Tests of a kind that must have run before they predict what others of the kind take.
MIN_KIND_TESTS = 3
#: Share of the time that the tests which are run in any case may take.
MAX_LEARNING_PART = 0.02
#: Tests of so few calls are not postponed while generated payloads have time.
MAX_SINGLE_CALLS = 6.0
#: The demand is reckoned anew after so many seconds, and after this part of the time.
_RECKONED_EVERY = (0.5, 0.005)


class Calls(NamedTuple):
    """The calls that one test makes, and the logins among them."""

    all: int
    logins: int = 0


#: What most tests take.
USUAL_CALLS = Calls(8)


class Planned(NamedTuple):
    """A test to come: its kind (the name of its test function), and the function of the target it is about.

    `calls` is what a test of its kind takes, as far as that is known before the first one ran.
    """

    kind: str
    subject: str | None = None
    calls: Calls = USUAL_CALLS


@dataclass(slots=True)
class _Mean:
    """A mean of seconds."""

    count: int = 0
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else 0.0


@dataclass(slots=True)
class _Took:
    """What tests took: their calls by what was called, the seconds until those were answered, and all seconds."""

    ran: int = 0
    own: int = 0
    other: int = 0
    logins: int = 0
    answering: float = 0.0
    seconds: float = 0.0

    def add(self, more: _Took) -> None:
        self.ran += more.ran
        self.own += more.own
        self.other += more.other
        self.logins += more.logins
        self.answering += more.answering
        self.seconds += more.seconds


@dataclass(slots=True)
class _Kind:
    """What the tests of one kind took so far; without the longest of them, which says little about the others."""

    usual: _Took = field(default_factory=_Took)
    longest: _Took = field(default_factory=_Took)

    def add(self, took: _Took) -> None:
        if took.seconds > self.longest.seconds or not self.longest.ran:
            took, self.longest = self.longest, took
        self.usual.add(took)

    @property
    def ran(self) -> int:
        return self.usual.ran + self.longest.ran

    @property
    def is_known(self) -> bool:
        """Whether enough tests ran to say what others of the kind will take."""
        return self.ran >= MIN_KIND_TESTS

    @property
    def single(self) -> bool:
        """Whether a test is known to take very few calls."""
        usual = self.usual
        return self.is_known and usual.own + usual.other + usual.logins <= MAX_SINGLE_CALLS * usual.ran


class LoadShedding:
    """Decides which test runs next: `next` returns its index, `observe` and `ran` take what was measured."""

    def __init__(
        self, planned: Sequence[Planned], seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the tests to come, in their order, and the seconds that there are for all of them."""
        self.planned = tuple(planned)
        self._expected = {test.kind: test.calls for test in self.planned}
        self.left_out: list[int] = []
        self._seconds = seconds
        self._clock = clock
        self._began = clock()
        self._place = 0
        self._to_come: defaultdict[str, Counter[str | None]] = defaultdict(Counter)
        for test in self.planned:
            self._to_come[test.kind][test.subject] += 1
        self._postponed: defaultdict[str, deque[int]] = defaultdict(deque)
        self._kinds: defaultdict[str, _Kind] = defaultdict(_Kind)
        self._calls, self._logins = _Mean(), _Mean()
        self._functions: defaultdict[str, _Mean] = defaultdict(_Mean)
        self._current = _Took()
        self._subject: str | None = None
        self._started = self._began
        #: Of each kind that has to be brief: the seconds granted to each of its tests, and those saved up.
        self._granted: dict[str, float] = {}
        self._credit: defaultdict[str, float] = defaultdict(float)
        self._reckoned = -float("inf")

    @property
    def left(self) -> float:
        """Return how many seconds there are left that may be planned with."""
        return self._seconds * (1 - RESERVED_PART) - (self._clock() - self._began)

    @property
    def call(self) -> float:
        """Return how many seconds a call takes on average, logins apart."""
        return self._calls.value

    # --- measuring

    def observe(self, function: str | None, seconds: float, *, login: bool = False) -> None:
        """Take note of an exchange: what was called, and how long it took to be answered."""
        current = self._current
        current.answering += seconds
        if function is not None:
            self._functions[function].add(seconds)
        own = function is not None and function == self._subject
        if login:
            self._logins.add(seconds)
        else:
            self._calls.add(seconds)
        current.own += own
        current.logins += login and not own
        current.other += not login and not own

    def ran(self, index: int) -> None:
        """Take note that the test that `next` returned has ended."""
        current = self._current
        current.ran, current.seconds = 1, self._clock() - self._started
        self._kinds[self.planned[index].kind].add(current)

    def _call(self, function: str | None) -> float:
        known = self._functions.get(function) if function is not None else None
        return known.value if known is not None and known.count >= MIN_FUNCTION_CALLS else self._calls.value

    def cost(self, test: Planned) -> float:
        """Return how many seconds a test is going to take."""
        kind = self._kinds[test.kind]
        if not kind.is_known:
            calls, logins = self._expected.get(test.kind, test.calls)
            login = self._logins.value or self._calls.value
            return (calls - logins) * self._call(test.subject) + logins * login
        usual = kind.usual
        answering = (
            usual.own * self._call(test.subject)
            + usual.other * self._calls.value
            + usual.logins * self._logins.value
        )
        # Calls at the same time take less than their sum; what is done between them comes on top.
        overlap = min(1.0, usual.seconds / usual.answering) if usual.answering else 1.0
        return (answering * overlap + max(0.0, usual.seconds - usual.answering)) / usual.ran

    # --- deciding

    def next(
        self,
        *,
        generated: float = 0.0,
        removal: float = 0.0,
        due: Callable[[int], bool] = lambda index: False,
        last: bool = False,
    ) -> int | None:
        """Return the test to run now; None where none is left, or none that fits.

        `generated` is how many seconds generated payloads will take, `removal` how many it takes to remove what was
        made. A test that is `due` always runs. With `last` the time need not suffice for generated payloads.
        """
        index = self._in_order(min(generated, MAX_GENERATED_PART * self._seconds), removal, due)
        if index is None:
            index = self._that_fits(0.0 if last else generated, removal)
        if index is not None:
            self._current, self._subject, self._started = _Took(), self.planned[index].subject, self._clock()
        return index

    def _in_order(self, generated: float, removal: float, due: Callable[[int], bool]) -> int | None:
        while self._place < len(self.planned):
            index = self._place
            self._place += 1
            test = self.planned[index]
            known = self._is_known
            if known:
                self._reckon(generated, removal)
            self._to_come[test.kind][test.subject] -= 1
            if not known or self._is_new(test.kind) or due(index) or self._affords(test):
                return index
            self._postponed[test.kind].append(index)
        return None

    @property
    def _is_known(self) -> bool:
        """Whether enough was measured to say that the target is slow."""
        part = (self._clock() - self._began) / self._seconds
        return part >= EVIDENCE_PARTS[self._calls.count < MIN_EVIDENCE_CALLS]

    def _is_new(self, kind: str) -> bool:
        """Whether a test is the first of its kind, or one of those that it takes to know what they take."""
        took = self._kinds[kind]
        seconds = took.usual.seconds + took.longest.seconds
        return not took.ran or (not took.is_known and seconds <= MAX_LEARNING_PART * self._seconds)

    def _affords(self, test: Planned) -> bool:
        granted = self._granted.get(test.kind, float("inf"))
        if granted == float("inf"):
            return True
        # What takes longer than others of its kind has to save up for longer.
        self._credit[test.kind] += granted
        cost = self.cost(test)
        if self._credit[test.kind] >= cost:
            self._credit[test.kind] -= cost
            return True
        return False

    def _reckon(self, generated: float, removal: float) -> None:
        """Find out which part of the tests of each kind there is time for; now and then is enough."""
        now = self._clock()
        if now - self._reckoned < max(_RECKONED_EVERY[0], _RECKONED_EVERY[1] * self._seconds):
            return
        self._reckoned = now
        demand = {
            kind: sum(
                count * self.cost(Planned(kind, subject)) for subject, count in subjects.items() if count
            )
            for kind, subjects in self._to_come.items()
        }
        there = max(0.0, self.left - removal)
        if sum(demand.values()) + generated <= there:
            self._granted = {}
            return
        # The first test of each kind runs in any case.
        there = max(
            0.0, there - sum(self.cost(Planned(kind)) for kind in demand if not self._kinds[kind].ran)
        )
        single = {kind: seconds for kind, seconds in demand.items() if self._kinds[kind].single}
        least = MIN_GENERATED_PART * generated
        # Single calls come first, as far as half of the time goes.
        first = _shares(single, (there - least) / 2)
        wanting = {kind: seconds - first.get(kind, 0.0) for kind, seconds in demand.items()}
        rest = _shares({**wanting, "": generated - least}, there - least - sum(first.values()))
        # What they lack then, generated payloads give.
        lacking = {kind: wanting[kind] - rest[kind] for kind in single}
        more = _shares(lacking, min(rest[""], sum(lacking.values())))
        granted = {kind: first.get(kind, 0.0) + rest[kind] + more.get(kind, 0.0) for kind in demand}
        self._granted = {
            kind: granted[kind] / self._to_come[kind].total()
            for kind, seconds in demand.items()
            if granted[kind] < seconds * (1 - 1e-9)
        }

    def _that_fits(self, generated: float, removal: float) -> int | None:
        """Return a postponed test for which there is time: single calls first, then what ran least of all."""
        waiting = [kind for kind, indices in self._postponed.items() if indices]
        waiting.sort(
            key=lambda kind: self._kinds[kind].ran / (self._kinds[kind].ran + len(self._postponed[kind]))
        )
        for kind in waiting:
            index = self._postponed[kind][0]
            # Tests of single calls come before generated payloads, which have their least all the same.
            reserved = generated * (MIN_GENERATED_PART if self._kinds[kind].single else 1.0)
            if self.cost(self.planned[index]) <= self.left - removal - reserved:
                return self._postponed[kind].popleft()
        return None

    def end(self) -> list[int]:
        """Return the tests that did not run, in their order, and give them up."""
        waiting = [index for indices in self._postponed.values() for index in indices]
        self.left_out = sorted([*waiting, *range(self._place, len(self.planned))])
        self._postponed.clear()
        self._place = len(self.planned)
        return self.left_out

    @property
    def note(self) -> str | None:
        """Say what was left out; None: nothing."""
        if not self.left_out:
            return None
        call = f"a call takes {_seconds_text(self._calls.value)}"
        if self._logins.count and self._logins.value > 2 * self._calls.value:
            call += f", a login {_seconds_text(self._logins.value)}"
        return (
            f"{len(self.left_out)} of {len(self.planned)} tests were left out to keep within {self._seconds:.0f} s "
            f"({call}); a larger --budget runs them all"
        )


def _shares(demand: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Share seconds out so that nobody gets more than it needs, and nobody less than another unless it needs less."""
    shares: dict[str, float] = {}
    waiting = sorted(demand, key=lambda name: demand[name])
    for number, name in enumerate(waiting):
        shares[name] = min(demand[name], max(0.0, seconds) / (len(waiting) - number))
        seconds -= shares[name]
    return shares


def _seconds_text(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
