"""The pytest plugin that runs the suites: options, collection, order, execution and report.

`conftest.py` loads it. `conform check` and `pytest conformance --target URL` both run the suites through it.
The project's own tests in `tests/` do not use it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.engine.collection import SuiteTest, describe, may_judge, values_of
from conformance.engine.harness import Harness
from conformance.engine.markers import Facts, Scope
from conformance.engine.pytest_plugin.items import continuation, is_suite, key_of, names_suites
from conformance.engine.pytest_plugin.options import add_options, request_of
from conformance.engine.pytest_plugin.reported_run import ReportedRun
from conformance.errors import UsageError
from conformance.events import ErrorEvent
from conformance.rulebook import RULES, own_rules
from conformance.rulebook.findings import Finding
from reports.model.event_log import LogError
from reports.model.files import REPORT, exit_status
from reports.render.terminal.closing_screen import print_closing
from reports.render.terminal.progress import Progress

#: Findings that the failure of one test shows at most.
MAX_SHOWN_FINDINGS = 20

_RUN = pytest.StashKey[ReportedRun]()
_TEST = pytest.StashKey[SuiteTest]()
_runs: list[ReportedRun] = []


def _run_of(config: pytest.Config) -> ReportedRun:
    """Return the run of the suites of this run of pytest; open it when a suite is first collected."""
    reported = config.stash.get(_RUN, None)
    if reported is None:
        if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
            raise pytest.exit.Exception(
                "conform: a run is one process: leave out -n; --jobs N makes calls at the same time",
                returncode=2,
            )
        ready: Harness | None = config.pluginmanager.get_plugin("conform-harness")
        try:
            harness = ready or Harness.prepare(request_of(config))
            reported = config.stash[_RUN] = ReportedRun(harness, alone=ready is None)
            _runs.append(reported)
            reported.open()
        except UsageError as error:
            raise pytest.exit.Exception(f"conform: {error}", returncode=2) from error
    return reported


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
        _run_of(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test over the parts of the catalogue and the profile that it applies to."""
    scope: Scope | None = getattr(metafunc.function, "scope", None)
    if scope is None:
        return
    values = values_of(_run_of(metafunc.config).open(), scope)
    metafunc.parametrize(scope.name, values, ids=[describe(value) for value in values])


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, obj: object
) -> list[pytest.Item] | None:
    """Collect no test of a check that judges no wanted rule: that would take longer than many a run.

    A run that pytest's own command line starts collects all, since that may name any of them.
    """
    if not is_suite(collector.path) or not callable(obj):
        return None
    facts = Facts.of(obj)
    reported = _run_of(collector.config)
    if facts is None or reported.alone or may_judge(facts, reported.harness.wanted):
        return None
    return []


@pytest.fixture(scope="session")
def ctx() -> None:
    """Stand for the test's context: the runner makes one for each attempt."""


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Report a suite that cannot be collected as an error of ours."""
    if report.failed:
        for reported in _runs:
            message = f"the suite itself failed: {report.nodeid} cannot be collected"
            reported.emit(ErrorEvent(None, message, ours=True, trace=str(report.longrepr)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests that judge wanted rules, and sort them."""
    suites = {
        key_of(item): item for item in items if isinstance(item, pytest.Function) and is_suite(item.path)
    }
    if not suites and config.stash.get(_RUN, None) is None:
        return
    reported = _run_of(config)
    harness, suite_run = reported.harness, reported.suite_run
    tests = []
    chosen: list[pytest.Item] = []
    for test in suite_run.collect():
        item = suites.get((test.module, test.kind, test.position))
        # An option of pytest, as -k, may have left it out.
        if item is not None:
            tests.append(test)
            chosen.append(continuation(item) if test.further else item)
            chosen[-1].stash[_TEST] = test
    dropped = [item for item in suites.values() if _TEST not in item.stash]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = [*chosen, *(item for item in items if not is_suite(item.path))]
    judged = {rule for test in tests for rule in test.rules}
    for rule, record in RULES.items():
        # A rule of the team's own without a check is judged by the team's own tests.
        if rule in own_rules.ids() and record.check is None:
            continue
        if rule in harness.wanted and rule not in judged:
            suite_run.leave_out(rule, "left out on pytest's command line")
    suite_run.plan(tests, sheds=not harness.request.plan)
    if not reported.alone and not harness.request.plan:
        reported.progress = Progress(
            len(items),
            quiet=harness.request.quiet,
            color=harness.request.color,
            total=sum(suite_run.weight_of(test) for test in tests),
            file=sys.__stderr__,
        )


# --- execution


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the suites in the order for which the target leaves time."""
    reported = session.config.stash.get(_RUN, None)
    failed = session.testsfailed and not session.config.option.continue_on_collection_errors
    if reported is None or reported.suite_run.shedding is None or failed or session.config.option.collectonly:
        return None
    items = {item.stash[_TEST]: item for item in session.items if _TEST in item.stash}
    others = [item for item in session.items if _TEST not in item.stash]
    left = dict.fromkeys(items)
    for item in itertools.chain((items[test] for test in reported.suite_run.schedule()), others):
        # The next test is not known yet. Fixtures that tests share are made once for the whole run anyhow.
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if _TEST in item.stash:
            left.pop(item.stash[_TEST], None)
        if session.shouldfail:
            reported.suite_run.stop_after_failures(session.testsfailed, left)
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count a test for the progress bar."""
    result = yield
    reported, test = item.config.stash.get(_RUN, None), item.stash.get(_TEST, None)
    if reported is not None and reported.progress is not None and test is not None:
        reported.progress.advance(reported.suite_run.weight_of(test))
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test of the suites through the engine, which repeats attempts and confirms findings."""
    test = pyfuncitem.stash.get(_TEST, None)
    if test is None:
        return None
    reported = _run_of(pyfuncitem.config)
    conclusion = reported.suite_run.execute(test)
    stopped = reported.suite_run.stopped or reported.lost
    if stopped is not None:
        pyfuncitem.session.shouldstop = f"{stopped}"
    if conclusion.crashed is not None:
        pytest.fail(f"the suite itself failed: {conclusion.crashed}", pytrace=False)
    failing = [finding for finding in conclusion.findings if reported.fails(finding)]
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
    for reported in _runs:
        # pytest's own ways to stop early are subclasses of KeyboardInterrupt; a person's Ctrl-C is the class itself.
        if type(excinfo.value) is KeyboardInterrupt:
            reported.interrupted = True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the report, and take the exit status from it."""
    reported = session.config.stash.get(_RUN, None)
    if reported is None:
        return
    _runs.remove(reported)
    try:
        reported.close()
    except LogError as error:
        reported.harness.problem = f"{error}"
        session.exitstatus = 3
        if reported.alone:
            print(f"conform: {error}", file=sys.stderr)
    if reported.report is not None:
        session.exitstatus = exit_status(reported.report)
    elif reported.interrupted:
        session.exitstatus = 130
    elif reported.harness.plan is not None:
        session.exitstatus = 0


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the closing screen under pytest started by hand, too."""
    reported = config.stash.get(_RUN, None)
    if reported is None or not reported.alone:
        return
    if reported.report is not None:
        terminalreporter.write_line("")
        folder = reported.harness.out if (reported.harness.out / REPORT).is_file() else None
        request = reported.harness.request
        print_closing(reported.report, color=request.color, folder=folder, every=request.every)
    elif reported.harness.plan is not None:
        terminalreporter.write_line("")
        terminalreporter.write_line(reported.harness.plan)
