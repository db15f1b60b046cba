"""Settings of all the suite's own tests.

Hypothesis draws the same values in each run, Ctrl-C is handled, and the temporary folder is empty at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import shutil
import signal
import sys
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

#: The option of glibc's `mallopt` for the number of heaps.
_M_ARENA_MAX = -8
# Servers run in threads here. Each thread would get a heap of its own, and what it frees there no other thread uses: a
# process would grow to twice the size.
with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)

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


def pytest_sessionstart(session: pytest.Session) -> None:
    """Import a part of the test modules, another one in each process of pytest-xdist.

    pytest rewrites the assertions of a module when it is first imported, and stores the result. Otherwise all
    processes would rewrite all modules at the same time, in a copy of the repository that has not been tested yet.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    # Until all is collected there is hardly any garbage.
    gc.disable()
    if sys.dont_write_bytecode:
        return
    tests = Path(__file__).parent
    paths = sorted(tests.rglob("test_*.py"))
    for path in paths[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        name = ".".join(path.relative_to(tests.parent).with_suffix("").parts)
        with contextlib.suppress(Exception):  # what is wrong with it is reported by the collection
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the loads first: they mostly wait, and the other processes use the processors meanwhile."""
    loads = Path(__file__).parent / "load"
    items.sort(key=lambda item: not item.path.is_relative_to(loads))


def pytest_collection_finish() -> None:
    """Exclude what was imported and collected from garbage collection: it lasts as long as the process."""
    gc.freeze()
    gc.enable()


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
