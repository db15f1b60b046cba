"""The pytest plugin of the installed package (entry point `pytest11`), for tests in a team's own repository.

It does nothing until a test asks for one of its fixtures: `conform`, `ctx`, `call` or `httpx_client`. It imports the
engine only then, and nothing outside `conformance`: the names `fixtures`, `load` and `reports` are the team's.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from conformance.own_tests.calling import Call
    from conformance.own_tests.run import OwnContext, OwnRun

__all__: list[str] = []

#: The folder that holds the package.
ROOT = Path(__file__).resolve().parents[2]

#: Names the folder for the events of tests that `conform check --suite` runs, which reports them itself.
PARTS_VARIABLE = "CONFORM_OWN_TESTS_PARTS"
#: Its options, as JSON (`conformance.own_tests.run.Wanted`).
WANTED_VARIABLE = "CONFORM_OWN_TESTS"

#: Seconds that making the report may take.
MAX_REPORT_SECONDS = 120

_STATE = pytest.StashKey["_State"]()


class _State:
    """The run of one pytest process: made when a test first asks for it."""

    def __init__(self, config: pytest.Config, out: Path, seed: int | None, part: str) -> None:
        self.config = config
        self.out = out
        self.seed = seed
        self.part = part
        self.own: OwnRun | None = None
        #: Why there is no run, once that is known.
        self.problem: str | None = None
        #: What the command prints about the report.
        self.screen = ""

    @property
    def joined(self) -> bool:
        """Whether `conform check --suite` runs these tests, and reports them."""
        return PARTS_VARIABLE in os.environ

    def open(self) -> OwnRun:
        """Return the run; open it first. Where that cannot be done, fail the test that asked for it."""
        if self.problem is not None:
            pytest.fail(self.problem, pytrace=False)
        option = self.config.getoption
        named = option("conform_target") or option("conform_profile") or self.joined
        if self.own is None and not named and not Path("conform.toml").is_file():
            # Before the engine is imported, which takes seconds.
            pytest.fail(
                "conform: no target: give --conform-target URL, or write a conform.toml with url in [target]",
                pytrace=False,
            )
        if self.own is None:
            from conformance.errors import UsageError
            from conformance.own_tests.run import OwnRun, Wanted

            wanted = Wanted.from_environment(os.environ.get(WANTED_VARIABLE)) or Wanted(
                target=option("conform_target"),
                profile=option("conform_profile"),
                rules=tuple(option("conform_rules")),
                strict=option("conform_strict"),
                read_only=option("conform_read_only"),
                seed=self.seed,
                suites=tuple(
                    dict.fromkeys(
                        path
                        for argument in self.config.args
                        if Path(path := argument.partition("::")[0]).exists()
                    )
                ),
            )
            try:
                self.own = OwnRun.open(wanted, self.out, self.part)
            except UsageError as error:
                self.problem = f"conform: {error}"
                if self.joined:
                    raise pytest.exit.Exception(self.problem, returncode=2) from error
                pytest.fail(self.problem, pytrace=False)
        return self.own


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a team's own tests; all begin with --conform."""
    group = parser.getgroup("conform", "tests of an API with conform")
    group.addoption("--conform-target", metavar="URL", help="the target's base URL (default: the profile's)")
    group.addoption("--conform-profile", metavar="FILE", help="default: conform.toml, when there is one")
    group.addoption("--conform-out", metavar="DIR", help="default: reports/runs/<time>-pytest")
    group.addoption(
        "--conform-rules", action="append", default=[], metavar="FILE", help="rules of your own (repeatable)"
    )
    group.addoption("--conform-seed", type=int, metavar="N", help="the seed of generated data")
    group.addoption("--conform-strict", action="store_true", help="a broken should fails a test, too")
    group.addoption("--conform-read-only", action="store_true", help="call only functions that read")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the state; nothing is read or sent yet."""
    # The engine imports decorators of the suites; under --strict-markers unknown ones are errors.
    config.addinivalue_line("markers", "judges: conform's own")
    config.addinivalue_line("markers", "disturbs_sessions: conform's own")
    given: dict[str, Any] = getattr(config, "workerinput", {}).get("conform", {})
    named = given.get("out") or os.environ.get(PARTS_VARIABLE) or config.getoption("conform_out")
    now = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
    out = Path(named or f"reports/runs/{now}-pytest").absolute()
    seed = given.get("seed", config.getoption("conform_seed"))
    part = getattr(config, "workerinput", {}).get("workerid", "main")
    config.stash[_STATE] = _State(config, out, seed, part)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give the processes of pytest-xdist the folder of the run."""
    state = node.config.stash[_STATE]
    node.workerinput["conform"] = {"out": str(state.out), "seed": state.seed}


# --- fixtures


@pytest.fixture(scope="session")
def conform(pytestconfig: pytest.Config) -> OwnRun:
    """The run: its profile, catalogue, sessions, resources and events."""
    return pytestconfig.stash[_STATE].open()


@pytest.fixture
def ctx(conform: OwnRun, request: pytest.FixtureRequest) -> OwnContext:
    """The context of a test: users, sessions, resources that are removed at the end, and `ctx.check(rule, …)`."""
    return conform.context(request.node.nodeid)


@pytest.fixture
def call(ctx: OwnContext) -> Call:
    """Calls functions: `call.as_("owner").course.find(query="x")` returns an answer; the exchange is judged."""
    from conformance.own_tests.calling import Call

    return Call(ctx.run)


@pytest.fixture
def httpx_client(ctx: OwnContext) -> Iterator[httpx.Client]:
    """An `httpx.Client` of the target whose every exchange is recorded and judged."""
    from conformance.own_tests.transport import client_of

    with client_of(ctx.run) as client:
        yield client


# --- tests


def _own_of(item: pytest.Item) -> OwnRun | None:
    """Return the run that a test belongs to; None if the test uses none of the fixtures."""
    state = item.config.stash[_STATE]
    uses = "conform" in getattr(item, "fixturenames", ())
    return state.open() if state.joined else state.own if uses else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Publish what a test found when it has ended."""
    result = yield
    own = _own_of(item)
    if own is not None:
        own.end_test()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test in which a rule was broken that fails the gate."""
    result = yield
    own = _own_of(item)
    if own is not None and (found := own.failing()):
        pytest.fail("\n\n".join(found), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge TEST-1 by the outcome of a test."""
    report = yield
    own = _own_of(item)
    if own is not None and (report.when == "call" or report.failed):
        own.judge_outcome(item.nodeid, failed=report.failed, passed=report.passed, text=_message(report))
    return report


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", "") or report.longreprtext).strip()


# --- the end


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what the tests created, and make the report."""
    state = session.config.stash[_STATE]
    if state.own is not None:
        state.own.close()
    if hasattr(session.config, "workerinput") or state.joined or not list(state.out.glob("part-*.jsonl")):
        return
    # In a process of its own, whose modules cannot be mixed up with the team's.
    command = [sys.executable, "-P", "-m", "conformance.commands.own_tests", str(state.out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(  # noqa: S603  (our own interpreter, our own module)
        command, env=environment, capture_output=True, text=True, timeout=MAX_REPORT_SECONDS
    )
    state.screen = made.stdout or made.stderr
    if made.returncode and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = made.returncode


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the verdict."""
    if config.stash[_STATE].screen:
        terminalreporter.section("conform")
        terminalreporter.write_line(config.stash[_STATE].screen.rstrip())
