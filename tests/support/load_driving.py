"""Send the calls of a load one after the other, as the engine would, without Locust and its event loop."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.catalog.model import Catalog
from conformance.protocol import profile_reader
from conformance.protocol.client import Client
from conformance.protocol.profile import Profile
from conformance.protocol.wire import Address, Connection, WireError
from load.workload.calls import Call
from load.workload.workload import Work
from tests.support.events import record_of

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILE = ROOT / "fixtures" / "service" / "conform.toml"


@dataclass
class Answer:
    """What came back for a call, as the load's transport would show it."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    failure: str | None = None
    detail: str = ""


@dataclass
class Driver:
    """Sends what a work hands out; `refusals` are the calls answered 401, each with how it was settled."""

    work: Work
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    refusals: list[tuple[Call, bool]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.address = Address.of(self.work.profile.url)
        self.connection: Connection | None = None

    def send(self, call: Call) -> Answer:
        """Send one call, have it learnt from, and wait until a refusal is settled."""
        deadline = time.monotonic() + 10
        if self.connection is None or self.connection.stale:
            self.connection = Connection(self.address, None, deadline=deadline)
        try:
            self.connection.send(call.raw, deadline=deadline)
            response = self.connection.read("POST", deadline=deadline)
        except WireError as error:
            self.connection = None
            answer = Answer(failure=error.failure.kind)
        else:
            answer = Answer(
                response.status, response.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", response.body
            )
        self.calls.append(call)
        self.statuses[call.function, answer.status] += 1
        if answer.status == 401 and call.virtual_user is not None:
            settled = threading.Event()
            reported: list[bool] = []

            def settle(renewed: bool) -> None:
                reported.append(renewed)
                settled.set()

            self.work.refused(call, settle)
            assert settled.wait(240)
            self.refusals.append((call, reported[0]))
        if call.learn is not None:
            call.learn(call, answer)
        return answer

    def drive(self, count: int) -> Counter[str]:
        """Send the next so many calls; return how often each function was called."""
        sent: Counter[str] = Counter()
        for _ in range(count):
            call = self.work.next()
            sent[call.function] += 1
            self.send(call)
        return sent

    def close(self) -> list[dict[str, Any]]:
        """End the work; return what is left over."""
        if self.connection is not None:
            self.connection.close()
        return [record_of(event) for event in self.work.close()]


def embedded(url: str) -> tuple[Profile, Catalog]:
    """Return the reference service's profile, aimed at this URL, and its catalogue."""
    profile = profile_reader.load(PROFILE).with_target(url)
    assert profile.catalog_path is not None
    return profile, Catalog.load(profile.catalog_path)


def without_mix(profile: Profile) -> Profile:
    """Return a profile that says nothing of a load."""
    return replace(profile, load={})


@contextmanager
def driving(profile: Profile, catalog: Catalog, **options: Any) -> Iterator[Driver]:
    """Prepare a load's work, and end it whatever comes."""
    options.setdefault("users", 4)
    options.setdefault("seed", 7)
    driver = Driver(Work.prepare(profile, catalog, **options))
    try:
        yield driver
    finally:
        driver.close()


class Outsider:
    """Somebody else at the same target: looks, deletes and ends sessions behind the load's back."""

    def __init__(self, profile: Profile, catalog: Catalog) -> None:
        from conformance.protocol.caller import Caller
        from conformance.protocol.session import Sessions

        self.profile = profile
        self.client = Client(profile.url)
        login = profile.auth.login
        self.caller = Caller(self.client, catalog, [login.function] if login else [])
        self.sessions = Sessions(self.caller, profile)

    def call(self, function: str, data: Any = None, user: str = "owner", **options: Any) -> Any:
        """Call a function as a user; return `data` of the answer."""
        token = self.sessions.of(user).token
        return self.caller.call(function, data or {}, user=user, token=token, **options).data

    def end(self, token: str) -> None:
        """End somebody's session."""
        assert self.profile.auth.logout is not None
        assert self.caller.call(self.profile.auth.logout, token=token).status == 200

    def close(self) -> None:
        """Sign out."""
        self.sessions.end_all()
        self.client.close()
