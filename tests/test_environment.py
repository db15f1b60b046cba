"""What a reset of the test environment is told by, and what is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from conformance.protocol.session import Session
from conformance.run import Options, Run
from tests.judging import serving
from tests.load_driving import embedded


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
    while any(run.environment.holds(session)[0] for session in sessions):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_steady() -> None:
    with serving() as url, prepared(url) as run:
        assert run.environment.marker is not None
        assert run.environment.diagnose().state == "steady"


def test_a_reset_while_no_session_was_open_is_one() -> None:
    with serving("--resync-every", "3") as url, prepared(url) as run:
        before = run.sessions.mains()
        run.sessions.drop()
        refused(run, before)
        for user in run.profile.users:
            run.sessions.of(user)
        assert run.environment.diagnose().state == "reset"


def test_sessions_that_outlive_the_marker_tell_of_no_reset() -> None:
    with serving() as url, prepared(url) as run:
        marker = run.environment.marker
        assert marker is not None
        assert run.estate.remove(marker) is None
        assert run.environment.diagnose().state == "marker lost"
        run.environment.lay_marker()
        assert run.environment.diagnose().state == "steady"


def test_sessions_that_end_alone_are_no_reset() -> None:
    with serving() as url, prepared(url) as run:
        for session in run.sessions.mains():
            run.caller.call("auth.logout", user=session.user, token=session.token)
        assert run.environment.diagnose().state == "sessions lost"
