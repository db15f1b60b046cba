"""Settings of all the suite's own tests.

What Hypothesis draws is the same each time, Ctrl-C is heard, and nothing stays behind in the temporary folder.
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

# Machines differ in speed, and a test that fails at random tells whoever meets it nothing.
settings.register_profile(
    "tests", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background deaf to it, and what the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A request that the suite itself must not have tried to send is a crash here, and "not judged" elsewhere.
os.environ["CONFORM_UNOWNED_IS_A_CRASH"] = "1"

_TEMPORARY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests, and what they start, a folder for temporary files that nobody else writes to."""
    if hasattr(config, "workerinput"):
        return  # one of pytest-xdist's, which has it from the process that started it
    # pytest's own folders stay where they are looked for.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = config.stash[_TEMPORARY] = Path(tempfile.mkdtemp(prefix="conform-tests-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """See that whatever the tests started has removed what it made there."""
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
    """Give each process a half of the tests, and of the other's what is left when it is done with its own.

    So a file's servers, browsers and compiled schemas are made once, and nobody waits at the end.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None
