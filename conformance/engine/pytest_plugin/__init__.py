"""The pytest plugin that runs the suites: options, collection, order, execution and report.

`conftest.py` loads it. `conform check` and `pytest conformance --target URL` both run the suites through it.
The project's own tests in `tests/` do not use it.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.engine.context import TestContext
from conformance.engine.harness import Harness
from conformance.engine.markers import Scope, describe, hold
from conformance.engine.not_judged import TargetDownError
from conformance.engine.payload_budget import SHARES
from conformance.engine.pytest_plugin.items import (
    area_of,
    continuation,
    function_name,
    is_suite,
    names_suites,
    order_of,
    rules_of,
)
from conformance.engine.pytest_plugin.options import add_options, request_of
from conformance.engine.pytest_plugin.suite_run import SuiteRun
from conformance.errors import UsageError
from conformance.events import ErrorEvent
from conformance.protocol.client import OutOfTimeError
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding
from reports.model.event_log import LogError
from reports.model.files import REPORT, exit_status
from reports.render.terminal.closing_screen import print_closing
from reports.render.terminal.progress import Progress

#: Findings that the failure of one test shows at most.
MAX_SHOWN_FINDINGS = 20

_SUITE_RUN = pytest.StashKey[SuiteRun]()
_suite_runs: list[SuiteRun] = []


def _suite_run_of(config: pytest.Config) -> SuiteRun:
    """Return the run of the suites of this run of pytest; open it when a suite is first collected."""
    suite_run = config.stash.get(_SUITE_RUN, None)
    if suite_run is None:
        if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
            raise pytest.exit.Exception(
                "conform: a run is one process: leave out -n; --jobs N makes calls at the same time",
                returncode=2,
            )
        ready: Harness | None = config.pluginmanager.get_plugin("conform-harness")
        try:
            harness = ready or Harness.prepare(request_of(config))
            suite_run = config.stash[_SUITE_RUN] = SuiteRun(harness, alone=ready is None)
            _suite_runs.append(suite_run)
            suite_run.open()
        except UsageError as error:
            raise pytest.exit.Exception(f"conform: {error}", returncode=2) from error
    return suite_run


# --- options and collection


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers of the suites; an installed package has no pyproject.toml beside it."""
    config.addinivalue_line("markers", "judges(*ids): the rules of the rulebook that a test judges")
    config.addinivalue_line("markers", "disturbs_sessions: the test itself ends sessions")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `conform check`."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Open the run before anything is collected, so that a usage error is reported once."""
    if any(names_suites(argument) for argument in session.config.args):
        _suite_run_of(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test over the parts of the catalogue and the profile that it applies to."""
    scope: Scope | None = getattr(metafunc.function, "scope", None)
    if scope is None:
        return
    found = scope.values(_suite_run_of(metafunc.config).open())
    values = found if isinstance(found, list) else [found]
    metafunc.parametrize(scope.name, values, ids=[describe(value) for value in values])


@pytest.fixture(scope="session")
def ctx() -> None:
    """Stand for the test's context: the runner makes one for each attempt."""


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Report a suite that cannot be collected as an error of ours."""
    if report.failed:
        for suite_run in _suite_runs:
            message = f"the suite itself failed: {report.nodeid} cannot be collected"
            suite_run.emit(ErrorEvent(None, message, ours=True, trace=str(report.longrepr)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests that judge wanted rules, and sort them."""
    suites = {item for item in items if is_suite(item.path)}
    if not suites:
        return
    suite_run = _suite_run_of(config)
    wanted = suite_run.harness.wanted
    everything = suite_run.harness.pure_only_by_rule

    def is_selected(item: pytest.Item) -> bool:
        rules = rules_of(item)
        if function_name(item) == "test_every_exchange":
            return any(rule in wanted for rule in item.callspec.params.values())  # type: ignore[attr-defined]
        return (everything and bool(rules)) or any(rule in wanted for rule in rules)

    chosen = [item for item in items if item not in suites or is_selected(item)]
    dropped = [item for item in items if item in suites and not is_selected(item)]
    if suite_run.run is not None and suite_run.run.payload_budget.sweeps:
        chosen += [
            continuation(item) for item in chosen if is_suite(item.path) and function_name(item) in SHARES
        ]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    chosen.sort(key=order_of)
    items[:] = chosen
    judged = {rule for item in chosen for rule in rules_of(item)}
    for rule in RULES.values():
        if rule.id in wanted and rule.id not in judged:
            suite_run.leave_out(rule.id, "left out on pytest's command line")
    suite_run.plan([item for item in chosen if is_suite(item.path)])
    request = suite_run.harness.request
    if not suite_run.alone and not request.plan:
        suite_run.progress = Progress(
            len(chosen),
            quiet=request.quiet,
            color=request.color,
            areas=Counter(area_of(item) for item in chosen),
            file=sys.__stderr__,
        )


# --- execution


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the suites in the order for which the target leaves time."""
    suite_run = session.config.stash.get(_SUITE_RUN, None)
    failed = session.testsfailed and not session.config.option.continue_on_collection_errors
    if suite_run is None or suite_run.shedding is None or failed or session.config.option.collectonly:
        return None
    suites = [item for item in session.items if is_suite(item.path)]
    others = [item for item in session.items if not is_suite(item.path)]
    for item in itertools.chain(suite_run.schedule(suites), others):
        # The next test is not known yet. Fixtures that tests share are made once for the whole run anyhow.
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count a test for the progress bar, and its whole time for the budget of generated payloads."""
    suite_run = item.config.stash.get(_SUITE_RUN, None)
    run = suite_run.run if suite_run is not None and function_name(item) in SHARES else None
    with run.payload_budget.around() if run is not None else contextlib.nullcontext():
        result = yield
    suite_run = item.config.stash.get(_SUITE_RUN, None)
    if suite_run is not None and suite_run.progress is not None and is_suite(item.path):
        suite_run.progress.advance(item.name, area=area_of(item))
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test of the suites through the runner, which repeats attempts and confirms findings."""
    if not is_suite(pyfuncitem.path):
        return None
    suite_run = _suite_run_of(pyfuncitem.config)
    if pyfuncitem in suite_run.skipped:
        pytest.skip("left out: the target is slow")
    run = suite_run.open()
    if suite_run.shedding is not None and function_name(pyfuncitem) in SHARES:
        run.payload_budget.within(suite_run.shedding.left)
    parameters = dict(pyfuncitem.callspec.params) if hasattr(pyfuncitem, "callspec") else {}
    every_exchange = function_name(pyfuncitem) == "test_every_exchange"
    rules = (str(parameters["rule"]),) if every_exchange else rules_of(pyfuncitem)

    def body(ctx: TestContext) -> None:
        hold(ctx, pyfuncitem.obj, parameters)

    try:
        conclusion = run.run_test(
            f"{pyfuncitem.path.stem}.{pyfuncitem.name}",
            [rule for rule in rules if rule in suite_run.harness.wanted],
            body,
            disturbs=pyfuncitem.get_closest_marker("disturbs_sessions") is not None,
        )
    except TargetDownError as error:
        pyfuncitem.session.shouldstop = f"{error}"
        pytest.skip(f"{error}")
    except OutOfTimeError:
        why = f"the run's own deadline has passed, {run.options.deadline:.0f} s"
        mend = "a larger --budget has more time, --area takes less"
        suite_run.emit(ErrorEvent(None, f"{why}: {mend}", whose="out of time"))
        pyfuncitem.session.shouldstop = why
        pytest.skip(why)
    if not conclusion.late:
        suite_run.extent.done(pyfuncitem)
    if suite_run.lost is not None:
        pyfuncitem.session.shouldstop = f"{suite_run.lost}"
    if conclusion.crashed is not None:
        pytest.fail(f"the suite itself failed: {conclusion.crashed}", pytrace=False)
    findings = conclusion.findings
    if every_exchange:
        findings = [finding for key, finding in run.observer.every.items() if key[0] in rules]
    failing = [finding for finding in findings if suite_run.counts(finding)]
    if failing:
        shown = [_describe_finding(finding) for finding in failing[:MAX_SHOWN_FINDINGS]]
        pytest.fail("\n\n".join(shown), pytrace=False)
    if conclusion.not_judged is not None:
        pytest.skip(conclusion.not_judged)
    return True


def _describe_finding(finding: Finding) -> str:
    event = finding.event(count=finding.count, reproduced=None)
    lines = [
        f"{event.rule} {RULES[finding.rule].level}  {event.message}  [{event.function}]",
        f"  kind      {event.kind}",
        f"  says      {RULES[finding.rule].clause}",
        f"  expected  {event.expected}",
        f"  got       {event.actual}",
    ]
    return "\n".join([*lines, f"  repeat    {event.curl}"] if event.curl else lines)


# --- end


def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Note that the run was interrupted; its report has what was found until then."""
    for suite_run in _suite_runs:
        # pytest's own ways to stop early are subclasses of KeyboardInterrupt; a person's Ctrl-C is the class itself.
        if type(excinfo.value) is KeyboardInterrupt:
            suite_run.interrupted = True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the report, and take the exit status from it."""
    suite_run = session.config.stash.get(_SUITE_RUN, None)
    if suite_run is None:
        return
    _suite_runs.remove(suite_run)
    try:
        suite_run.close()
    except LogError as error:
        suite_run.harness.problem = f"{error}"
        session.exitstatus = 3
        if suite_run.alone:
            print(f"conform: {error}", file=sys.stderr)
    if suite_run.report is not None:
        session.exitstatus = exit_status(suite_run.report)
    elif suite_run.interrupted:
        session.exitstatus = 130
    elif suite_run.harness.plan is not None:
        session.exitstatus = 0


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the closing screen under pytest started by hand, too."""
    suite_run = config.stash.get(_SUITE_RUN, None)
    if suite_run is None or not suite_run.alone:
        return
    if suite_run.report is not None:
        terminalreporter.write_line("")
        folder = suite_run.harness.out if (suite_run.harness.out / REPORT).is_file() else None
        print_closing(suite_run.report, color=suite_run.harness.request.color, folder=folder)
    elif suite_run.harness.plan is not None:
        terminalreporter.write_line("")
        terminalreporter.write_line(suite_run.harness.plan)
