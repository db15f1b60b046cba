"""A reset of the test environment is detected, and nothing else is taken for one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from conformance.engine.conclusion import Options
from conformance.engine.runner import Run
from conformance.protocol.session import Session
from conformance.resources.registry import Resource
from tests.support.judging import serving
from tests.support.load_driving import embedded


@contextmanager
def prepared(url: str) -> Iterator[Run]:
    profile, catalog = embedded(url)
    run = Run(profile, catalog, Options(budget="quick"), lambda event: None)
    for user in profile.users:
        run.sessions.of(user)
    run.environment.prepare()
    try:
        yield run
    finally:
        run.client.close()


def refused(run: Run, sessions: list[Session], seconds: float = 20.0) -> None:
    """Wait until these sessions were ended."""
    until = time.monotonic() + seconds
    while any(run.environment.is_valid(session)[0] for session in sessions):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_steady() -> None:
    with serving() as url, prepared(url) as run:
        assert run.environment.sentinel is not None
        assert run.environment.diagnose().state == "steady"


def test_a_reset_while_no_session_was_open_is_one() -> None:
    with serving("--resync-every", "3") as url, prepared(url) as run:
        before = run.sessions.mains()
        run.sessions.drop()
        refused(run, before)
        for user in run.profile.users:
            run.sessions.of(user)
        assert run.environment.diagnose().state == "reset"


def test_sessions_that_outlive_the_marker_are_no_reset() -> None:
    with serving() as url, prepared(url) as run:
        sentinels = list(run.environment.sentinels)
        assert len({sentinel.kind for sentinel in sentinels}) > 1
        for sentinel in sentinels:
            _remove_unnoticed(run, sentinel)
        assert run.environment.diagnose().state == "sentinel lost"
        run.environment.create_sentinel()
        assert run.environment.diagnose().state == "steady"


def _remove_unnoticed(run: Run, sentinel: Resource) -> None:
    """Remove an object as somebody else would."""
    assert run.resources.remove(sentinel) is None
    sentinel.gone = False


def test_a_deletion_of_our_own_and_lost_sessions_are_no_reset() -> None:
    with serving() as url, prepared(url) as run:
        for sentinel in list(run.environment.sentinels):
            assert run.resources.remove(sentinel) is None
        for session in run.sessions.mains():
            session.open = run.caller.call("auth.logout", user=session.user, token=session.token) is not None
        assert run.environment.diagnose().state == "sessions lost"


def test_one_sentinel_that_is_gone_is_no_reset() -> None:
    with serving() as url, prepared(url) as run:
        _remove_unnoticed(run, run.environment.sentinels[0])
        for session in run.sessions.mains():
            session.open = run.caller.call("auth.logout", user=session.user, token=session.token) is not None
        assert run.environment.diagnose().state == "sessions lost"


def test_sessions_that_the_run_ended_are_no_lost_ones() -> None:
    with serving() as url, prepared(url) as run:
        for session in run.sessions.mains():
            run.sessions.end(session)
        assert run.environment.diagnose().state == "steady"


def test_without_a_sentinel_lost_sessions_are_no_reset() -> None:
    with serving() as url, prepared(url) as run:
        run.environment.sentinels.clear()
        for session in run.sessions.mains():
            session.open = run.caller.call("auth.logout", user=session.user, token=session.token) is not None
        assert run.environment.diagnose().state == "sessions lost"


def test_sessions_that_end_alone_are_no_reset() -> None:
    with serving() as url, prepared(url) as run:
        for session in run.sessions.mains():
            session.open = run.caller.call("auth.logout", user=session.user, token=session.token) is not None
        assert run.environment.diagnose().state == "sessions lost"
