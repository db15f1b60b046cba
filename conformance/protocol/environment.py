"""The test environment under a run: is the target still up, and was it reset?

«Test database is at regular intervals synchronized with a production one.» Such a reset ends every session and takes
the run's data away, both at once (protocol, section 4). One of the two alone is a finding.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from conformance.protocol.caller import Caller
from conformance.protocol.catalog import Catalog, Method
from conformance.protocol.estate import Estate, Thing
from conformance.protocol.exchange import Exchange, Failure
from conformance.protocol.session import Session, Sessions, SetUpFailedError

__all__ = ["Diagnosis", "Environment"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What has become of the environment: "steady", "reset", "sessions lost", "marker lost" or "down"."""

    state: str
    users: tuple[str, ...] = ()
    exchange: Exchange | None = None
    evidence: tuple[Exchange, ...] = field(default=())


class Environment:
    """Watches the sessions and a marker object for signs of a reset."""

    def __init__(self, caller: Caller, sessions: Sessions, estate: Estate, catalog: Catalog) -> None:
        self.caller = caller
        self.sessions = sessions
        self.estate = estate
        self.catalog = catalog
        self.marker: Thing | None = None
        #: Why the target did not answer when it was last waited for in vain.
        self.silence: Failure | None = None
        self._tried = False
        #: Sessions that held when the marker was last seen.
        self._steady: frozenset[str] = frozenset()

    def prepare(self) -> None:
        """Lay the marker: an object that nothing in the run changes or deletes. Without one, sessions alone tell."""
        if self._tried or not self.estate.writable:
            return
        self._tried = True
        for kind in self.catalog.kinds:
            create, read = self.catalog.create(kind), self.catalog.read(kind)
            if create is None or read is None:
                continue
            for user in self.estate.callers(create):
                if not self.estate.may_call(user, read):
                    continue
                try:
                    marker = self.estate.new(kind, user)
                except SetUpFailedError:
                    break
                if self._present(marker) is True:
                    self.marker = marker
                    self._steady = frozenset(session.token for session in self.sessions.mains())
                    return
                break

    def probe(self, user: str) -> Method | None:
        """Return a function that tells whether a session of this user still holds, and that changes nothing."""
        whoami = self.sessions.profile.auth.whoami
        if whoami is not None and whoami.function in self.catalog.methods:
            method = self.catalog.methods[whoami.function]
            if method.auth != "none":
                return method
        for method in self.catalog.methods.values():
            if (
                method.auth not in ("none", None)
                and method.effect == "read"
                and self.estate.may_call(user, method)
                and not any(param.required for param in method.params)
            ):
                return method
        return None

    def holds(self, session: Session) -> tuple[bool | None, Exchange | None]:
        """Say whether a session is still taken for one; None where no function tells."""
        method = self.probe(session.user)
        if method is None:
            return None, None
        exchange = self.caller.call(method, {}, user=session.user, token=session.token)
        if exchange.status is None:
            return None, exchange
        return exchange.status != 401, exchange

    def _present(self, marker: Thing) -> bool | None:
        read = self.catalog.read(marker.kind)
        if read is None or read.object is None:
            return None
        try:
            token = self.sessions.of(marker.user).token
            held, _ = self.holds(Session(marker.user, token))
            if held is False:
                token = self.sessions.sign_in(marker.user).token
            data = self.estate.valid(read, marker.user, optional="none", **{read.object.id: marker.id})
            for param in read.params:
                if param.required and param.name in marker.sent:
                    data[param.name] = marker.sent[param.name]
            exchange = self.caller.call(read, data, user=marker.user, token=token)
        except SetUpFailedError:
            return None
        if exchange.status == 200:
            return True
        return False if exchange.status in (400, 403, 404) else None

    def diagnose(self) -> Diagnosis:
        """Say what has become of the environment."""
        refused: list[str] = []
        held_on: set[str] = set()
        evidence: list[Exchange] = []
        judged = 0
        later = True
        for session in self.sessions.mains():
            held, exchange = self.holds(session)
            if held is not None:
                judged += 1
                # Sessions come in the order in which they were made: those made after a reset are good.
                later = later and not (held is False and len(refused) < judged - 1)
            if held:
                held_on.add(session.token)
            if held is False and exchange is not None:
                refused.append(session.user)
                evidence.append(exchange)
        present = self._present(self.marker) if self.marker is not None else None
        if refused and len(refused) == judged and present is not True:
            return Diagnosis("reset", tuple(refused))
        if refused and later and present is False:
            return Diagnosis("reset", tuple(refused))
        if refused:
            return Diagnosis("sessions lost", tuple(refused), evidence[0], tuple(evidence))
        if present is False and held_on and not held_on & self._steady:
            # Every session was begun since the marker was last seen: those of before may have ended with it.
            return Diagnosis("reset")
        if present is False:
            return Diagnosis("marker lost")
        self._steady = frozenset(held_on)
        return Diagnosis("steady")

    def lay_marker(self) -> None:
        """Lay the marker anew: the one there was is gone."""
        self.marker, self._tried = None, False
        self.prepare()

    def renew(self) -> None:
        """Start over after a reset: no session, no object of before is good any more."""
        self.sessions.drop()
        self.estate.reset()
        self.lay_marker()

    def await_target(self, seconds: float) -> bool:
        """Wait until the target takes connections and answers again, at most so long; say whether it does."""
        until = time.monotonic() + seconds
        pause = 0.1
        while True:
            exchange = self.caller.client.send("", b"{}", fresh=True)
            if exchange.failure is None or exchange.failure.kind == "oversize":
                return True
            self.silence = exchange.failure
            if time.monotonic() + pause > until:
                return False
            time.sleep(pause)
            pause = min(1.0, pause * 2)
