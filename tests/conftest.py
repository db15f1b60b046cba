"""Settings of all the suite's own tests.

Hypothesis draws the same values in each run, Ctrl-C is handled, and the temporary folder is empty at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Machines differ in speed, and a test that fails at random informs nobody.
settings.register_profile(
    "tests", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores it for background jobs, and processes that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A request that the suite must not send is a crash here, and "not judged" elsewhere.
os.environ["CONFORM_UNOWNED_IS_A_CRASH"] = "1"

_TEMPORARY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Create a folder for the temporary files of the tests and of the processes that they start."""
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist inherits the folder
    # pytest's own folders stay where they are looked for.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = config.stash[_TEMPORARY] = Path(tempfile.mkdtemp(prefix="conform-tests-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a process has left files in the folder for temporary files."""
    folder = session.config.stash.get(_TEMPORARY, None)
    if folder is None:
        return
    left = sorted(path.name for path in folder.iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    if left:
        reported = f"left behind in the folder for temporary files: {', '.join(left[:20])}"
        session.config.get_terminal_writer().line(f"\n{reported}", red=True)
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process a contiguous share of the tests, and let it steal from others when its own are done.

    Servers, browsers and compiled schemas of a file are then created once, and no process waits at the end.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None
