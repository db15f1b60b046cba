"""The options of a load: the same for `conform load` and for `locust -f load/locustfile.py`.

An option that is not given is taken from [load] of the profile, or has a default. `settle` combines the three, or
reports in one line what is wrong. Both commands use it, so that they read the options alike.

    [load]                                      # option
    scenario = "steady"                         # --scenario
    scenario_file = "checkout.py"               # --scenario-file: the team's own users, instead of a scenario
    rate = 200                                  # --rate: 200, "200/s", "ramp 10/s to 200/s", "poisson 50/s" …
    duration = "60s"                            # --duration
    users = 50                                  # --users: alone, closed; with a rate, so many sessions
    think = "1s..3s"                            # --think, of closed users
    mix = { "course.find" = 6 }                 # --mix course.find=6,course.read=3
    mix_from = "monday.har"                     # --mix-from, repeatable; then rate = "as-seen" is its own rate
    speed = "4x"                                # --speed
    slo = ["p95 < 300ms"]                       # --slo, repeatable
    abort_when = ["errors > 50% over 5s"]       # --abort-when, repeatable
    fail_fast = true                            # --fail-fast
    warmup = "5s"                               # --warmup
    connections = 256                           # --connections
    workers = 2                                 # --workers
    search = "10/s to 2000/s, 10s each"         # --search
    ceiling = 500                               # the rate limit; there is no option for it
    per_session = 1                             # calls under way in a session at a time, or "any"; no option either
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.catalog.model import Catalog
from conformance.errors import UsageError, suggestion
from conformance.protocol.profile import Profile
from conformance.protocol.profile_reader import load as load_profile
from conformance.rulebook import own_rules
from conformance.units import parse_duration
from load.as_seen import AsSeen, as_seen, check_speed, is_as_seen
from load.workload.scenario_file import read_scenario_file
from load.workload.seen import SeenMix

if TYPE_CHECKING:
    # They import numpy, which only a load needs: `settle` imports them.
    from load.schedule.profiles import Schedule
    from load.schedule.search import Search

__all__ = [
    "SCENARIOS",
    "Scenario",
    "Settings",
    "Wish",
    "add_arguments",
    "settle",
    "target_of",
]


@dataclass(frozen=True)
class Scenario:
    """A kind of load; with `tasks`, an arrival runs a task of a scenario's user instead of a single call."""

    name: str
    text: str
    tasks: bool = False


SCENARIOS: Mapping[str, Scenario] = {
    each.name: each
    for each in (
        Scenario("steady", "single calls, drawn from the profile's mix over the catalogue"),
        Scenario("student", "a student who signs in, looks through courses and opens some", tasks=True),
        Scenario("teacher", "a teacher who makes, changes and removes courses", tasks=True),
        Scenario("signin", "a storm of sign-ins, each with the call that follows it", tasks=True),
    )
}

DURATION = 60.0
RATE = 10.0
USERS = 20
THINK = (1.0, 1.0)
CONNECTIONS = 256
#: The longest default warm-up, in seconds; a shorter load has a tenth of its duration.
WARMUP = 5.0


@dataclass(frozen=True)
class Wish:
    """The options of a command line, as they were written; None for those that were not given."""

    scenario: str | None = None
    scenario_file: str | None = None
    rate: str | None = None
    duration: str | None = None
    users: int | None = None
    think: str | None = None
    mix: str | None = None
    mix_from: tuple[str, ...] | None = None
    speed: str | None = None
    slo: tuple[str, ...] | None = None
    abort_when: tuple[str, ...] | None = None
    warmup: str | None = None
    connections: int | None = None
    workers: int | None = None
    search: str | None = None
    fail_fast: bool | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Wish:
        """Return the options of the load from parsed options; Locust calls the users `num_users`."""
        given: dict[str, Any] = {each.name: getattr(options, each.name, None) for each in fields(cls)}
        if given["users"] is None:
            given["users"] = getattr(options, "num_users", None)
        for name in ("mix_from", "slo", "abort_when"):
            given[name] = tuple(given[name]) if given[name] else None
        return cls(**given)

    def arguments(self) -> list[str]:
        """Return the options as arguments, except the workers, which Locust counts in its own way."""
        line: list[str] = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None or value is False or each.name == "workers":
                continue
            if value is True:
                line.append(f"--{each.name.replace('_', '-')}")
                continue
            for one in value if isinstance(value, tuple) else (value,):
                line.append(f"--{each.name.replace('_', '-')}={one}")
        return line


def add_arguments(parser: Any, *, under_locust: bool = False) -> None:
    """Add the options of the load to a parser of argparse, or of Locust, which has some of them already.

    Locust's `--host` is the target, its `--users` the users and its `--profile` the profile's file.
    """
    group = parser.add_argument_group("load", "What is not given is taken from [load] of the profile.")

    def add(name: str, **more: Any) -> None:
        group.add_argument(name, default=None, **more)

    add("--scenario", metavar="NAME", help=f"one of {', '.join(SCENARIOS)} (default: steady)")
    add(
        "--scenario-file",
        metavar="FILE",
        help="users of your own: a Python file with classes derived from load.RpcUser",
    )
    add(
        "--rate",
        metavar="RATE",
        help="open arrivals, as in 200/s, 'poisson 50/s', 'ramp 10/s to 200/s', FILE.csv, FILE.py:FUNCTION, "
        "'as-seen' with --mix-from (default: 10/s)",
    )
    add("--duration", metavar="DURATION", help="as in 90s, 10m, 1h30m (default: 60s)")
    if not under_locust:
        add(
            "--users",
            type=_positive,
            metavar="N",
            help="alone: closed, N users in turn; with a rate: N sessions",
        )
    add(
        "--think",
        metavar="TIME",
        help="what closed users wait between tasks, as in 2s or 1s..3s (default: 1s)",
    )
    add("--mix", metavar="SHARES", help="functions and their shares, as in course.find=6,course.read=3")
    add(
        "--mix-from",
        action="append",
        metavar="FILE|RUN",
        help="the mix of recorded traffic: a HAR file, or the folder of a run (repeatable)",
    )
    add("--speed", metavar="FACTOR", help="with --mix-from: faster than recorded, as in 4x")
    _add_conditions(add)
    if under_locust:
        add("--target", metavar="URL", help="the same as --host")
        add("--seed", type=int, metavar="N", help="the same seed sends the same requests at the same moments")
        group.add_argument("--read-only", action="store_true", help="call only functions that read")
        group.add_argument(
            "--rules", action="append", default=[], metavar="FILE", help="rules of your own (repeatable)"
        )
        add("--calibration", metavar="RATE,US", help=argparse.SUPPRESS)
    else:
        add(
            "--workers",
            type=_positive,
            metavar="N",
            help="send from N processes; with --master, wait for N workers",
        )


def _add_conditions(add: Callable[..., None]) -> None:
    """Add the options of objectives, warm-up, connections and the search."""
    add(
        "--slo",
        action="append",
        metavar="SLO",
        help="as in 'p95 < 300ms' or 'course.find errors < 0.1%%' (repeatable)",
    )
    add(
        "--abort-when",
        action="append",
        metavar="CONDITION",
        help="stop early, as in 'errors > 50%% over 5s' (repeatable)",
    )
    add(
        "--fail-fast",
        action="store_true",
        help="stop, with status 1, as soon as an SLO cannot be held any more",
    )
    add("--warmup", metavar="DURATION", help="not counted (default: a tenth of the duration, 5s at most)")
    add(
        "--connections",
        type=_positive,
        metavar="N",
        help=f"at most so many at a time (default: {CONNECTIONS})",
    )
    add(
        "--search",
        metavar="RATES",
        help="find the highest rate that keeps the SLOs, as in '10/s to 2000/s, 10s each'",
    )


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


@dataclass(frozen=True)
class Settings:
    """The settings of a load, complete and checked."""

    scenario: Scenario
    schedule: Schedule | None
    search: Search | None
    users: int
    think: tuple[float, float]
    seconds: float
    warmup: float
    mix: Mapping[str, float] | None
    slos: tuple[str, ...]
    aborts: tuple[str, ...]
    connections: int
    workers: int
    rate_limit: float | None
    #: How many calls may be under way in a session before it counts as occupied; None: any number.
    per_session: int | None = 1
    fail_fast: bool = False
    #: The rate, or the search, as it was written.
    wording: str | None = None
    #: The team's own scenario file, in place of a scenario of ours.
    scenario_file: Path | None = None
    #: The mix of recorded traffic, where the load follows it.
    seen: AsSeen | None = None

    @property
    def open(self) -> bool:
        """Whether arrivals follow a schedule."""
        return self.schedule is not None or self.search is not None

    @property
    def peak(self) -> float | None:
        """The highest rate that is asked for at any moment; None with closed users."""
        if self.search is not None:
            return self.search.high
        return None if self.schedule is None else self.schedule.peak

    @property
    def text(self) -> str:
        """The load, in words."""
        if self.search is not None:
            return self.search.text
        if self.schedule is not None:
            return self.schedule.text
        low, high = self.think
        wait = f"{low:g} s" if low == high else f"{low:g} to {high:g} s"
        return f"{self.users} closed users, {wait} between tasks, for {self.seconds:g} s"


# One function, though it is long: an option may depend on any of those before it.
def settle(
    wish: Wish,
    profile: Profile,
    functions: Collection[str] | None = None,
    *,
    where: str | None = None,
    mix_seen: SeenMix | None = None,
) -> Settings:
    """Return the settings from the command line, the profile and the defaults.

    `functions` are those of the catalogue, if there is one. `mix_seen` is the mix of the capture that the options name;
    without it, it is read from the file of a run.

    Raises:
        UsageError: an option is wrong; one line says which and why.

    """
    from load.metrics import slo

    load = profile.load
    place = where or (f"{profile.path}: [load]" if profile.path else "[load]")

    pick = partial(_pick, load, place)
    folder = Path(profile.path).parent if profile.path else Path.cwd()
    seen = as_seen(wish, load, folder, mix_seen)
    scenario, scenario_file = (
        _scenario_of(wish, load, place, folder) if seen is None else (SCENARIOS["steady"], None)
    )
    if wish.rate is not None and wish.search is not None:
        raise UsageError("--rate and --search: a search tries several rates by itself; give one of the two")
    users = _users(*pick("users", wish.users))
    # The command line goes before the profile as a whole: --users alone asks for closed users, whatever rate that has.
    closed = (
        wish.rate is None
        and wish.search is None
        and (wish.users is not None or (users is not None and "rate" not in load and "search" not in load))
    )
    duration = _duration(*pick("duration", wish.duration), default=DURATION)
    schedule, search, wording = (
        (None, None, None) if closed else _arrivals(wish, load, place, duration, folder, seen)
    )
    check_speed(wish, wording)
    seconds = duration if schedule is None else schedule.duration
    rate_limit = _number(load.get("ceiling"), f"{place} ceiling")
    _check_rate_limit(rate_limit, schedule, search, place)
    connections = _whole(*pick("connections", wish.connections, CONNECTIONS))
    workers = _whole(*pick("workers", wish.workers, 1))
    if connections < workers:
        raise UsageError(f"{connections} connections are too few for {workers} workers: each needs one")
    mix = None if scenario_file is not None else _mix(*pick("mix", wish.mix), functions)
    if seen is not None:
        mix = _mix(seen.mix.functions, f"the mix of {seen.mix.source}", functions)
    slos = _texts(*pick("slo", wish.slo), functions, slo.parse)
    _timed(slos, pick("slo", wish.slo)[1], schedule, search, seconds)
    if search is not None:
        search = replace(search, samples=_samples(slos, mix))
    return Settings(
        scenario=scenario,
        schedule=schedule,
        search=search,
        users=users or USERS,
        think=_think(*pick("think", wish.think)),
        seconds=math.inf if search is not None else seconds,
        warmup=_warmup(*pick("warmup", wish.warmup), seconds, search, asked=wish.warmup is not None),
        mix=mix,
        slos=slos,
        aborts=_texts(*pick("abort_when", wish.abort_when), functions, slo.parse_abort),
        connections=connections,
        workers=workers,
        rate_limit=rate_limit,
        per_session=None if (many := load.get("per_session", 1)) == "any" else int(many),
        fail_fast=bool(pick("fail_fast", wish.fail_fast, False)[0]),
        wording=wording,
        scenario_file=scenario_file,
        seen=seen,
    )


def _pick(
    load: Mapping[str, Any], place: str, name: str, option: Any, default: Any = None
) -> tuple[Any, str]:
    """Return a value of the command line, or else of the profile, and where it is from."""
    if option is not None:
        return option, f"--{name.replace('_', '-')}"
    return load.get(name, default), f"{place} {name}"


def _scenario_of(
    wish: Wish, load: Mapping[str, Any], place: str, folder: Path
) -> tuple[Scenario, Path | None]:
    """Return the scenario, and the file where it is of the team's own. The command line goes before the profile."""
    file: Any = wish.scenario_file
    base, spot = Path.cwd(), "--scenario-file"
    if file is None and wish.scenario is None and "scenario_file" in load:
        file, base, spot = load["scenario_file"], folder, f"{place} scenario_file"
        if "scenario" in load:
            raise UsageError(f"{place} scenario and scenario_file: leave one out")
    if file is None:
        return _scenario(*_pick(load, place, "scenario", wish.scenario, "steady")), None
    for option, value in (("--scenario", wish.scenario), ("--mix", wish.mix)):
        if value is not None:
            raise UsageError(
                f"{spot} and {option}: a scenario file says itself what is called; leave one out"
            )
    path = (base / str(file)).resolve()
    with _at(spot):
        read_scenario_file(path)
    return Scenario(path.name, "users of a scenario file of your own", tasks=True), path


def _scenario(value: Any, spot: str) -> Scenario:
    scenario = SCENARIOS.get(str(value))
    if scenario is None:
        known = suggestion(str(value), SCENARIOS) or f"; there are {', '.join(SCENARIOS)}"
        raise UsageError(f"{spot}: there is no scenario {value!r}{known}")
    return scenario


def _users(value: Any, spot: str) -> int | None:
    return None if value is None else _whole(value, spot)


def _check_rate_limit(
    rate_limit: float | None, schedule: Schedule | None, search: Search | None, place: str
) -> None:
    """Raise UsageError if more is asked for than the profile allows."""
    most = search.high if search is not None else schedule.peak if schedule is not None else 0.0
    if rate_limit is not None and most > rate_limit:
        raise UsageError(
            f"{most:g}/s is more than the ceiling of {rate_limit:g}/s that the profile sets "
            f"({place} ceiling): ask for less"
        )


def _timed(
    slos: Sequence[str], spot: str, schedule: Schedule | None, search: Search | None, seconds: float
) -> None:
    """Raise UsageError if an SLO is about a part of the run that this load does not have."""
    from load.metrics import slo
    from load.metrics.windows import TimedSlos

    for each in map(slo.parse, slos):
        if not each.timed:
            continue
        if search is not None:
            raise UsageError(f"{spot}: {each.text!r}: a search judges each rate as a whole")
        if (why := TimedSlos.wrong(each, schedule, seconds)) is not None:
            raise UsageError(f"{spot}: {each.text!r}: {why}")


def _samples(slos: Sequence[str], mix: Mapping[str, float] | None) -> int:
    """Return the number of arrivals that a trial of a search needs for its SLOs, as far as it is known beforehand."""
    from load.metrics import slo

    needed = [0.0]
    for each in map(slo.parse, slos):
        if each.metric == "rate":
            continue  # it needs seconds
        if each.function is None:
            needed.append(each.needed)
        elif mix and mix.get(each.function):
            needed.append(each.needed * sum(mix.values()) / mix[each.function])
    return math.ceil(max(needed))


def _arrivals(
    wish: Wish, load: Mapping[str, Any], place: str, duration: float, folder: Path, seen: AsSeen | None = None
) -> tuple[Schedule | None, Search | None, str]:
    """Return the schedule or the search, and its text: from the command line, or else from the profile.

    A file that the profile names is relative to `folder`.
    """
    from load.schedule import parsing, shapes

    text, spot = wish.search, "--search"
    if text is None and wish.rate is None and "search" in load and "rate" not in load:
        text, spot = str(load["search"]), f"{place} search"
    if text is not None:
        words = text.strip()
        with _at(spot):
            words = words if words.startswith("search") else f"search {words}"
            return None, parsing.parse_search(words), words
    rate, spot = (wish.rate, "--rate") if wish.rate is not None else (load.get("rate", RATE), f"{place} rate")
    with _at(spot):
        wording = rate if isinstance(rate, str) else f"{_number(rate, spot):.10g}/s"
        if is_as_seen(wording):
            if seen is None:
                raise UsageError(f"{wording!r} is the rate of a capture: give one with --mix-from")
            schedule = seen.schedule(wording)
        elif shapes.is_shape(wording):
            # Locust runs in another folder.
            wording = shapes.resolve_shape(wording, Path.cwd() if wish.rate is not None else folder)
            schedule = shapes.parse_shape(wording, duration)
        else:
            schedule = parsing.parse(wording, duration)
    if wish.duration is not None and schedule.duration != duration:
        raise UsageError(
            f"--duration {wish.duration}: {str(rate)!r} says itself how long it goes on; leave one out"
        )
    return schedule, None, wording


class _at:  # noqa: N801  (it reads as a word)
    """Adds the option or the member of the profile to a usage error."""

    def __init__(self, spot: str) -> None:
        self.spot = spot

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UsageError):
            raise UsageError(f"{self.spot}: {error}") from None


def _number(value: Any, spot: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(f"{spot}: {value!r} is no number above 0")
    return float(value)


def _whole(value: Any, spot: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{spot}: {value!r} is no number from 1 on")
    return value


def _duration(value: Any, spot: str, *, default: float) -> float:
    if value is None:
        return default
    with _at(spot):
        return parse_duration(str(value))


def _warmup(value: Any, spot: str, seconds: float, search: Search | None, *, asked: bool) -> float:
    if search is not None:
        if asked and value not in ("0", "0s"):
            raise UsageError(f"{spot}: a search has no warm-up; its first trials are one")
        return 0.0
    if value is None:
        return min(WARMUP, seconds / 10)
    if re.fullmatch(r"0+(\.0*)?\s*(ms|s|m|h)?", str(value).strip()):
        return 0.0
    warmup = _duration(value, spot, default=0.0)
    if warmup >= seconds:
        raise UsageError(f"{spot}: {warmup:g} s of warm-up leave nothing to measure of {seconds:g} s")
    return warmup


def _think(value: Any, spot: str) -> tuple[float, float]:
    if value is None:
        return THINK
    text = str(value).strip()
    if re.fullmatch(r"0\s*s?", text):
        return 0.0, 0.0
    low, dots, high = text.partition("..")
    with _at(spot):
        first = 0.0 if dots and re.fullmatch(r"0\s*s?", low.strip()) else parse_duration(low)
        last = parse_duration(high) if dots else first
    if last < first:
        raise UsageError(f"{spot}: {text!r} ends before it begins: write it as 1s..3s")
    return first, last


def _mix(value: Any, spot: str, functions: Collection[str] | None) -> dict[str, float] | None:
    if value is None:
        return None
    shares: dict[str, float] = {}
    if isinstance(value, Mapping):
        shares = {str(name): float(share) for name, share in value.items()}
    else:
        for piece in str(value).split(","):
            name, equals, share = piece.partition("=")
            try:
                shares[name.strip()] = float(share) if equals else 1.0
            except ValueError:
                raise UsageError(
                    f"{spot}: {piece.strip()!r} is no share: write it as course.find=6"
                ) from None
    for name, number in shares.items():
        if not 0 <= number < math.inf:
            raise UsageError(f"{spot}: the share of {name} must be 0 or more, not {number:g}")
        if functions is not None and name not in functions:
            raise UsageError(f"{spot}: the catalogue has no function {name}{suggestion(name, functions)}")
    if not any(shares.values()):
        raise UsageError(f"{spot}: no function has a share above 0")
    return shares


def _texts(value: Any, spot: str, functions: Collection[str] | None, parse: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    texts: Iterable[Any] = (value,) if isinstance(value, str) else value
    found = []
    for text in texts:
        with _at(spot):
            found.append(parse(str(text), functions).text)
    return tuple(dict.fromkeys(found))


# --- the target ---------------------------------------------------------------------------------------------


def target_of(
    profile: Path | None, url: str | None, rule_files: Sequence[Path] = ()
) -> tuple[Profile, Catalog]:
    """Return the profile and its catalogue: from a file, from `conform.toml` in this folder, or for a URL alone.

    The team's own rules are added to the rulebook: those of the profile and of `rule_files`.

    Raises:
        UsageError: one of them is wrong, or the target must not be loaded.

    """
    path = profile
    if path is None and Path("conform.toml").is_file():
        path = Path("conform.toml")
    found = load_profile(path) if path is not None else Profile.empty(url)
    if url is not None:
        found = found.with_target(url)
    found.refuse_load()
    own_rules.install((*found.rule_files, *rule_files))
    catalog = Catalog.load(found.catalog_path) if found.catalog_path else Catalog.implicit(found.auth.effects)
    return found, catalog


def calibration_of(text: str | None) -> tuple[float, float] | None:
    """Read a calibration that `conform load` passes to Locust: requests per second, and CPU µs of each."""
    if not text:
        return None
    rate, _, cost = text.partition(",")
    try:
        return float(rate), float(cost)
    except ValueError:
        raise UsageError(f"--calibration: {text!r} is no RATE,US") from None
