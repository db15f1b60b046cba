"""Wiring: pytest's options, the run that the suites share, and where it is written down.

`conform check` is a thin front over this; `pytest conformance --target URL` does the same. The suite's own tests in
`tests/` do not use it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance import __version__
from conformance.cases.format import Case, save
from conformance.engine import dry_run as plan
from conformance.engine.dry_run import StandIn
from conformance.engine.extent import Extent
from conformance.engine.harness import Harness, Request, duration, named_path, per_second, positive
from conformance.engine.history import lately
from conformance.engine.markers import SUITES as ORDER
from conformance.engine.markers import Scope, describe, hold
from conformance.engine.payload_budget import SHARES
from conformance.engine.runner import FURTHER, Options, Run, TargetDownError, TestContext
from conformance.engine.scheduling import LoadShedding, Planned
from conformance.engine.signals import Interruption
from conformance.errors import UsageError
from conformance.protocol.client import OutOfTimeError
from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES, Level
from conformance.rulebook.findings import Finding
from conformance.rulebook.model import AREAS
from reports.model.event_log import LogError, RunLog
from reports.model.files import REPORT, begin, exit_status, write_report
from reports.model.rule_results import normal
from reports.model.store import known_findings, read_run
from reports.render.terminal.progress import Progress

SUITES = Path(__file__).resolve().parent / "conformance" / "suites"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks of the conversations; an installed suite has no pyproject.toml beside it."""
    config.addinivalue_line("markers", "judges(*ids): the rules of the rulebook that a conversation judges")
    config.addinivalue_line("markers", "disturbs_sessions: the conversation itself ends sessions")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `conform check`; --strict and --quiet are pytest's own."""
    group = parser.getgroup("conform", "conformance of a target")
    group.addoption("--target", metavar="URL", help="the target's base URL (default: the embedded service)")
    group.addoption(
        "--profile",
        metavar="FILE",
        type=named_path,
        help="the profile (default: conform.toml, when there is one)",
    )
    group.addoption(
        "--out",
        metavar="DIR",
        type=named_path,
        help="where the run is written (default: reports/runs/<time>-check)",
    )
    group.addoption("--read-only", action="store_true", help="call only functions that read")
    group.addoption("--seed", type=int, metavar="N", help="the same seed sends the same requests")
    group.addoption("--budget", choices=("quick", "standard", "deep"), default="standard")
    group.addoption(
        "--for",
        dest="generate_for",
        type=duration,
        metavar="DURATION",
        help="time for generated payloads, as in 90s, 10m, 1h30m",
    )
    group.addoption(
        "--cases", type=named_path, metavar="DIR", help="play the case files of this folder first"
    )
    group.addoption("--jobs", type=positive, default=1, metavar="N", help="calls at the same time")
    group.addoption("--rate-limit", type=per_second, metavar="RATE", help="requests per second at most")
    group.addoption("--rule", action="append", default=[], metavar="ID", help="judge this rule (repeatable)")
    group.addoption(
        "--area", action="append", default=[], metavar="AREA", help="judge this area (repeatable)"
    )
    group.addoption(
        "--baseline-findings",
        type=named_path,
        metavar="RUN",
        help="what this earlier run found is known: fail on new findings only",
    )
    group.addoption("--plan", action="store_true", help="send nothing; print what would be sent")
    group.addoption("--no-color", action="store_true", help="the same as --color=no")


#: Seconds in which a plan draws payloads that a run would draw for longer.
PLANNED = 5.0


class Gate:
    """One run of the suites inside one run of pytest."""

    def __init__(self, harness: Harness, config: pytest.Config, *, alone: bool) -> None:
        self.harness = harness
        self.config = config
        self.alone = alone
        self.run: Run | None = None
        self.log: RunLog | None = None
        self.progress: Progress | None = None
        self.pace: LoadShedding | None = None
        self.extent = Extent()
        #: The tests that the pace decides on, and those that it left out.
        self.paced: list[pytest.Item] = []
        self.skipped: set[pytest.Item] = set()
        self.generates = False
        self.report: dict[str, Any] | None = None
        self.interrupted = False
        self.interruption = Interruption()
        self.lost: LogError | None = None

    def open(self) -> Run:
        """Begin the run: the log first, so that whatever happens is in it.

        Raises:
            UsageError: the log cannot be written, or the embedded service does not start.

        """
        if self.run is None:
            harness = self.harness
            self.interruption.watch()
            if not harness.request.plan:
                try:
                    harness.claim()
                    self.log = begin(harness.out)
                except (LogError, OSError) as error:
                    why = error.strerror if isinstance(error, OSError) else error
                    raise UsageError(f"--out {harness.out}: {why}") from error
            harness.connect()
            self.emit(harness.header(__version__))
            if harness.goes_on:
                self.emit({"event": "phase", "name": "check"})
            if self.lost is not None:
                raise UsageError(f"--out {harness.out}: {self.lost}")
            for rule in RULES.values():
                if rule.id not in harness.wanted:
                    self.leave_out(rule.id, harness.left_out)
            request = harness.request
            options = Options(
                seed=harness.seed,
                budget=request.budget,
                read_only=request.read_only,
                jobs=max(1, request.jobs),
                rules=harness.wanted,
                deadline=harness.deadline
                or {"quick": 300.0, "standard": 1800.0, "deep": 36_000.0}[request.budget]
                + (request.generate_for or 0.0),
                strict=request.strict,
                generate_for=request.generate_for,
                cases=tuple(case for case in harness.cases if case.rule in harness.wanted),
            )
            stand_in = StandIn(harness.profile, harness.catalog) if request.plan else None
            self.run = Run(
                harness.profile,
                harness.catalog,
                options,
                self.emit,
                client=stand_in,
                confirm=stand_in is None,
            )
            self.run.notes += harness.profile.hints()
            if stand_in is not None:
                # Where only time ends generated payloads, a plan shows how they begin; else the requests decide.
                endless = self.run.payload_budget.requests is None
                self.run.payload_budget.seconds = PLANNED if endless else math.inf
                self.run.payload_budget.sweeps = False
            target = harness.header(__version__)["target"]
            self.run.first = lately(harness.out.parent, target, harness.catalog.methods)
        return self.run

    def emit(self, event: dict[str, Any]) -> None:
        """Write an event down, and show a finding as it comes."""
        if self.log is None:
            return
        try:
            if event["event"] == "case":
                event = dict(event)
                save(self.harness.out / event["file"], event.pop("case"))
            self.log.write(event)
        except LogError as error:
            self.lost = error
        except OSError as error:
            self.lost = LogError(f"cannot write {self.harness.out / event['file']}: {error.strerror}")
        if event["event"] == "exchange":
            self.interruption.answered()
        elif event["event"] == "finding" and event["count"] and self.progress is not None:
            rule, function = event["rule"], event["function"]
            fails = self.fails(rule, function, event["kind"])
            self.progress.finding(rule, function, event["message"], RULES[rule].area, fails=fails)

    def fails(self, rule: str, function: str | None, kind: str) -> bool:
        """Whether a finding fails the gate: one that only warns, is waived or is known does not."""
        if RULES[rule].level is not Level.MUST and not self.harness.request.strict:
            return False
        key = (rule, function, normal(kind))
        if any((known[0], known[1], normal(known[2])) == key for known in self.harness.request.known or ()):
            return False
        today = self.harness.started.date()
        return not any(
            waiver.rule == rule and waiver.function in (None, function) and waiver.until >= today
            for waiver in self.harness.profile.waivers
        )

    def plan(self, items: Sequence[pytest.Item]) -> None:
        """Take the tests that are to run, in their order."""
        run = self.run
        kinds = [_kind(item) for item in items]
        self.generates = not SHARES.keys().isdisjoint(kinds)
        for item, kind in zip(items, kinds, strict=True):
            if kind not in _UNPACED and not item.name.endswith(FURTHER):
                self.extent.plan(item, self._wanted(item), *_scope(item))
        if run is None or self.harness.request.plan:
            return
        self.paced = [
            item
            for item, kind in zip(items, kinds, strict=True)
            if kind not in SHARES and kind not in _UNPACED
        ]
        planned = [Planned(_kind(item), _scope(item)[1]) for item in self.paced]
        pace = self.pace = LoadShedding(planned, run.options.deadline)
        observe = run.client.observe

        def measure(exchange: Exchange) -> None:
            pace.observe(exchange.function, exchange.seconds, login=exchange.login)
            observe(exchange)

        run.client.observe = measure

    def schedule(self, items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
        """Yield the tests in the order in which they run; those for which there is no time come last, to be skipped.

        Generated payloads wait for the other tests, and every exchange is judged at the end.
        """
        pace, run = self.pace, self.run
        assert pace is not None
        assert run is not None
        paced = set(self.paced)
        others = [item for item in items if item not in paced]
        first = [item for item in others if _kind(item) == "test_a_case"]
        last = [item for item in others if _kind(item) == "test_every_exchange"]
        yield from first
        yield from self._paced(run, pace, last=not self.generates)
        yield from (item for item in others if item not in first and item not in last)
        yield from self._paced(run, pace, last=True)
        self.skipped.update(self.paced[index] for index in pace.end())
        yield from (item for item in self.paced if item in self.skipped)
        yield from last

    def _paced(self, run: Run, pace: LoadShedding, *, last: bool) -> Iterator[pytest.Item]:
        def due(index: int) -> bool:
            # Nothing else has judged one of its rules.
            return not all(run.observer.total_judged[rule] for rule in self._wanted(self.paced[index]))

        while True:
            payload_budget = run.payload_budget
            call = pace.call
            generated = (payload_budget.seconds - payload_budget.spent) * self.generates
            if payload_budget.requests is not None:
                generated = min(generated, payload_budget.requests * call * _AROUND_CALLS)
            removal = call * sum(1 for _ in run.resources.owned())
            index = pace.next(generated=generated, removal=removal, due=due, last=last)
            if index is None:
                return
            yield self.paced[index]
            pace.ran(index)

    def _wanted(self, item: pytest.Item) -> list[str]:
        return [rule for rule in _rules(item) if rule in self.harness.wanted]

    def leave_out(self, rule: str, reason: str) -> None:
        """Write down that a rule is not judged, for a reason that lies in what was asked for."""
        self.emit({"event": "not judged", "rule": rule, "function": None, "reason": reason, "lines": None})

    def close(self) -> None:
        """End the run and make its report."""
        try:
            if self.interruption.pending:
                self.interrupted = True
            if self.run is not None and self.log is not None:
                self._clean_up(self.run)
                self.interruption.enter("report")
                if self.interrupted:
                    self.emit({"event": "interrupted"})
                told = {"seconds": self.run.seconds, "requests": self.run.client.sent}
                self.harness.sent = self.run.client.sent
                if self.harness.goes_on:
                    self.emit({"event": "phase-end", "name": "check", **told})
                else:
                    self.emit({"event": "end", **told})
                if self.progress is not None:
                    self.progress.close()
                if self.lost is None and self.harness.goes_on:
                    self.log.close()
                    self.harness.done = True
                elif self.lost is None:
                    self.log.close()
                    self.report = self.harness.report = write_report(self.harness.out)
            elif self.run is not None and not self.interrupted:
                self.run.finish()
                client = self.run.client
                assert isinstance(client, StandIn)
                self.harness.plan = plan.render(
                    self.harness.catalog,
                    client.aggregator,
                    url=self.harness.shown_url,
                    budget=self.harness.request.budget,
                    endless=self.run.payload_budget.requests is None,
                )
            if self.lost is not None:
                self._save_what_there_is(self.lost)
                raise self.lost
        finally:
            self.harness.interrupted = self.interrupted
            if not self.harness.goes_on:
                self.harness.close()
            self.interruption.release()

    def _save_what_there_is(self, lost: LogError) -> None:
        """Make the report of what was written before the log broke off; show it, if it cannot be written either."""
        if self.run is None or self.log is None:
            return
        told: dict[str, Any] = {"event": "error", "rule": None, "whose": "this machine", "message": f"{lost}"}
        end = {"event": "end", "seconds": self.run.seconds, "requests": self.run.client.sent}
        more = [told, {"event": "cut"}, *[{"event": "interrupted"}] * self.interrupted, end]
        with contextlib.suppress(LogError):
            self.log.close()
        for kept in (True, False):
            try:
                self.report = self.harness.report = write_report(self.harness.out, more, kept=kept)
            except (LogError, OSError):
                continue
            return

    def _clean_up(self, run: Run) -> None:
        """Remove what the run made, unless a person has no patience for it; a failure of ours is told as one."""
        if self.interrupted and not self.harness.request.quiet:
            print(
                "interrupted: removing what the run made; Ctrl-C again leaves it there",
                file=sys.__stderr__,
                flush=True,
            )
        if self.pace is not None and self.pace.note is not None:
            run.notes.insert(0, self.pace.note)
        for event in self.extent.events():
            self.emit(event)
        self.interruption.enter("clean-up")
        try:
            run.finish()
        except KeyboardInterrupt:
            self.interrupted = True
            self.interruption.enter("report")
            for resource in run.resources.owned():
                self.emit(
                    {
                        "event": "leftover",
                        "kind": resource.kind,
                        "id": str(resource.id),
                        "function": None,
                        "reason": "the clean-up was interrupted",
                    }
                )
        except Exception as error:
            mask = run.secret_registry.mask
            self.emit(
                {
                    "event": "error",
                    "rule": None,
                    "ours": True,
                    "message": mask(
                        f"the suite itself failed in the clean-up: {type(error).__name__}: {error}"
                    ),
                    "trace": mask(traceback.format_exc()),
                }
            )


_GATE = pytest.StashKey[Gate]()
_open_gates: list[Gate] = []


def _gate(config: pytest.Config) -> Gate:
    """Return the gate of this run of pytest, made when a suite is first collected."""
    gate = config.stash.get(_GATE, None)
    if gate is None:
        if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
            raise pytest.exit.Exception(
                "conform: a run is one process: leave out -n; --jobs N makes calls at the same time",
                returncode=2,
            )
        ready: Harness | None = config.pluginmanager.get_plugin("conform-harness")
        try:
            harness = ready or Harness.prepare(_request(config))
            gate = config.stash[_GATE] = Gate(harness, config, alone=ready is None)
            _open_gates.append(gate)
            gate.open()
        except UsageError as error:
            raise pytest.exit.Exception(f"conform: {error}", returncode=2) from error
    return gate


def _known(path: Path) -> tuple[tuple[tuple[str, str | None, str], ...], int | None]:
    """Return the findings of an earlier run, and its seed, which this one takes unless it was given another."""
    try:
        run = read_run(path)
        return known_findings(run), run.report["seed"]
    except LogError as error:
        raise UsageError(f"--baseline-findings {error}") from error


def _request(config: pytest.Config) -> Request:
    option = config.getoption
    known_from: Path | None = option("--baseline-findings")
    known, of_then = (None, None) if known_from is None else _known(known_from)
    return Request(
        target=option("--target"),
        profile=option("--profile"),
        out=option("--out"),
        strict=bool(config.getini("strict")),
        read_only=option("--read-only"),
        seed=option("--seed") if option("--seed") is not None else of_then,
        budget=option("--budget"),
        jobs=option("--jobs"),
        rate_limit=option("--rate-limit"),
        rules=tuple(option("--rule")),
        areas=tuple(option("--area")),
        plan=option("--plan"),
        generate_for=option("generate_for"),
        cases=option("--cases"),
        known=known,
        known_from=known_from,
        color=False if option("--no-color") or option("color") == "no" else None,
    )


def _is_suite(path: Path) -> bool:
    return path.parent == SUITES


def _names_suites(argument: str) -> bool:
    path = Path(argument.partition("::")[0]).absolute()
    return path in (SUITES, SUITES.parent) or SUITES in path.parents


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Begin before anything is collected where the suites are asked for: what is wrong is then told once."""
    if any(_names_suites(argument) for argument in session.config.args):
        _gate(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put each conversation to what the catalogue and the profile say that it applies to."""
    scope: Scope | None = getattr(metafunc.function, "scope", None)
    if scope is None:
        return
    found = scope.values(_gate(metafunc.config).open())
    values = found if isinstance(found, list) else [found]
    metafunc.parametrize(scope.name, values, ids=[describe(value) for value in values])


@pytest.fixture(scope="session")
def ctx() -> None:
    """Stand for the conversation, which begins only when it is held (and again when it has to be)."""


def _rules(item: pytest.Item) -> tuple[str, ...]:
    marker = item.get_closest_marker("judges")
    case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
    if isinstance(case, Case):
        return (case.rule,)
    return tuple(marker.args) if marker else ()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what judges nothing that is wanted; hear every exchange before the run's word on them."""
    suites = [item for item in items if _is_suite(item.path)]
    if not suites:
        return
    gate = _gate(config)
    wanted = gate.harness.wanted
    everything = gate.harness.pure_only_by_rule

    def kept(item: pytest.Item) -> bool:
        rules = _rules(item)
        if _kind(item) == "test_every_exchange":
            return any(rule in wanted for rule in item.callspec.params.values())  # type: ignore[attr-defined]
        return (everything and bool(rules)) or any(rule in wanted for rule in rules)

    def turn(item: pytest.Item) -> tuple[int, int]:
        # Cases first, then the suites in their order, and last the run's word on every exchange.
        if _kind(item) == "test_a_case":
            return 0, 0
        stem = item.path.stem
        place = ORDER.index(stem) if stem in ORDER else len(ORDER)
        return (3 if _kind(item) == "test_every_exchange" else 2 if item.name.endswith(FURTHER) else 1), place

    chosen = [item for item in items if item not in set(suites) or kept(item)]
    if gate.run is not None and gate.run.payload_budget.sweeps:
        chosen += [_further(item) for item in chosen if _is_suite(item.path) and _kind(item) in SHARES]
    dropped = [item for item in suites if not kept(item)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    chosen.sort(key=turn)
    items[:] = chosen
    judged = {rule for item in chosen for rule in _rules(item)}
    for rule in RULES.values():
        if rule.id in wanted and rule.id not in judged:
            gate.leave_out(rule.id, "left out on pytest's command line")
    gate.plan([item for item in chosen if _is_suite(item.path)])
    areas: dict[str, int] = {}
    for item in chosen:
        area = _area(item)
        areas[area] = areas.get(area, 0) + 1
    if not gate.alone and not gate.harness.request.plan:
        request = gate.harness.request
        gate.progress = Progress(
            len(chosen), quiet=request.quiet, color=request.color, areas=areas, file=sys.__stderr__
        )


#: A call of a generated payload takes so much longer than its answer does.
_AROUND_CALLS = 1.5
#: What was asked for by name, and what sends nothing.
_UNPACED = ("test_a_case", "test_every_exchange")


def _kind(item: pytest.Item) -> str:
    return item.name.removesuffix(FURTHER).partition("[")[0]


def _scope(item: pytest.Item) -> tuple[str, str]:
    """Return what a test is parametrized over, and the value there."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for name, value in parameters.items():
        return name, describe(value)
    return "tests", _kind(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the suites in the order that the time there is allows."""
    gate = session.config.stash.get(_GATE, None)
    failed = session.testsfailed and not session.config.option.continue_on_collection_errors
    if gate is None or gate.pace is None or failed or session.config.option.collectonly:
        return None
    suites = [item for item in session.items if _is_suite(item.path)]
    others = [item for item in session.items if not _is_suite(item.path)]
    for item in itertools.chain(gate.schedule(suites), others):
        # Which test comes next is not known yet; all that they share is made once for the whole run anyhow.
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
    return True


def _further(item: pytest.Item) -> pytest.Item:
    """Return the conversation that goes on with another, when all of them were held once."""
    assert isinstance(item, pytest.Function)
    return pytest.Function.from_parent(
        item.parent,
        name=item.name + FURTHER,
        callspec=getattr(item, "callspec", None),
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,
        originalname=item.originalname + FURTHER,
    )


def _area(item: pytest.Item) -> str:
    rules = _rules(item)
    name = item.path.stem.removeprefix("test_")
    by_file = {
        "request": "REQ",
        "envelope": "ENV",
        "codes": "COD",
        "authentication": "AUT",
        "key_login": "AUT",
        "claims": "ACC",
        "framing": "SEC",
        "access": "ACC",
        "naming": "NAM",
        "paging": "PAG",
        "state": "STA",
        "concurrency": "STA",
        "security": "SEC",
        "http": "HTTP",
        "data": "DAT",
        "stored": "DAT",
        "refused": "DAT",
        "injected": "DAT",
        "sequences": "STA",
    }
    return by_file.get(name) or (rules[0].split("-")[0] if rules else next(iter(AREAS)))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Hold a conversation instead of calling a test once: it may have to be begun again, or confirmed."""
    if not _is_suite(pyfuncitem.path):
        return None
    gate = _gate(pyfuncitem.config)
    run = gate.open()
    parameters = dict(pyfuncitem.callspec.params) if hasattr(pyfuncitem, "callspec") else {}
    rules = _rules(pyfuncitem)
    name = f"{pyfuncitem.path.stem}.{pyfuncitem.name}"
    if pyfuncitem.name.startswith("test_every_exchange"):
        rules = (str(parameters["rule"]),)
    wanted = [rule for rule in rules if rule in gate.harness.wanted]

    def body(ctx: TestContext) -> None:
        hold(ctx, pyfuncitem.obj, parameters)

    if pyfuncitem in gate.skipped:
        pytest.skip("left out: the target is slow")
    if gate.pace is not None and _kind(pyfuncitem) in SHARES:
        run.payload_budget.within(gate.pace.left)
    try:
        conclusion = run.run_test(
            name, wanted, body, disturbs=pyfuncitem.get_closest_marker("disturbs_sessions") is not None
        )
    except TargetDownError as error:
        pyfuncitem.session.shouldstop = f"{error}"
        pytest.skip(f"{error}")
    except OutOfTimeError:
        why = f"the run's own deadline has passed, {run.options.deadline:.0f} s"
        mend = "a larger --budget has more time, --area takes less"
        gate.emit({"event": "error", "rule": None, "whose": "out of time", "message": f"{why}: {mend}"})
        pyfuncitem.session.shouldstop = why
        pytest.skip(why)
    if not conclusion.late:
        gate.extent.done(pyfuncitem)
    if gate.lost is not None:
        pyfuncitem.session.shouldstop = f"{gate.lost}"
    if conclusion.crashed is not None:
        pytest.fail(f"the suite itself failed: {conclusion.crashed}", pytrace=False)
    found = [finding for finding in conclusion.findings if _counts(gate, finding)]
    if pyfuncitem.name.startswith("test_every_exchange"):
        found = [
            finding
            for key, finding in run.observer.every.items()
            if key[0] in rules and _counts(gate, finding)
        ]
    if found:
        pytest.fail("\n\n".join(_text(finding) for finding in found[:20]), pytrace=False)
    if conclusion.not_judged is not None:
        pytest.skip(conclusion.not_judged)
    return True


def _counts(gate: Gate, finding: Finding) -> bool:
    """Whether a finding fails the gate."""
    mask = gate.run.secret_registry.mask if gate.run is not None else str
    return gate.fails(finding.rule, finding.function, mask(finding.kind))


def _text(finding: Finding) -> str:
    event = finding.event(count=finding.count, reproduced=None)
    lines = [
        f"{event['rule']} {RULES[finding.rule].level}  {event['message']}  [{event['function']}]",
        f"  kind      {event['kind']}",
        f"  says      {RULES[finding.rule].clause}",
        f"  expected  {event['expected']}",
        f"  got       {event['actual']}",
    ]
    return "\n".join([*lines, f"  repeat    {event['curl']}"] if event["curl"] else lines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count what is done, and what it took: generated payloads pay for what is done around them, too."""
    gate = item.config.stash.get(_GATE, None)
    run = gate.run if gate is not None and _kind(item) in SHARES else None
    with run.payload_budget.around() if run is not None else contextlib.nullcontext():
        result = yield
    gate = item.config.stash.get(_GATE, None)
    if gate is not None and gate.progress is not None and _is_suite(item.path):
        gate.progress.advance(item.name, area=_area(item))
    return result


def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Remember that the run was interrupted; what was found by then is in the report."""
    for gate in _open_gates:
        # pytest's own ways to stop early are KeyboardInterrupts, too; a person's is nothing more.
        if type(excinfo.value) is KeyboardInterrupt:
            gate.interrupted = True


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A suite that cannot be read is a fault of ours."""
    if report.failed:
        for gate in _open_gates:
            message = f"the suite itself failed: {report.nodeid} cannot be collected"
            gate.emit(
                {
                    "event": "error",
                    "rule": None,
                    "ours": True,
                    "message": message,
                    "trace": str(report.longrepr),
                }
            )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the report, and let it decide the exit status."""
    gate = session.config.stash.get(_GATE, None)
    if gate is None:
        return
    _open_gates.remove(gate)
    try:
        gate.close()
    except LogError as error:
        gate.harness.problem = f"{error}"
        session.exitstatus = 3
        if gate.alone:
            print(f"conform: {error}", file=sys.stderr)
    if gate.report is not None:
        session.exitstatus = exit_status(gate.report)
    elif gate.interrupted:
        session.exitstatus = 130
    elif gate.harness.plan is not None:
        session.exitstatus = 0


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the closing screen under bare pytest, too."""
    gate = config.stash.get(_GATE, None)
    if gate is None or not gate.alone:
        return
    if gate.report is not None:
        from reports.render.terminal.closing_screen import print_closing

        terminalreporter.write_line("")
        folder = gate.harness.out if (gate.harness.out / REPORT).is_file() else None
        print_closing(gate.report, color=gate.harness.request.color, folder=folder)
    elif gate.harness.plan is not None:
        terminalreporter.write_line("")
        terminalreporter.write_line(gate.harness.plan)
