"""The test environment under a run: is the target still up, and was it reset?

«Test database is at regular intervals synchronized with a production one.» Such a reset ends every session and takes
the run's data away, both at once (protocol, section 4). One of the two alone is a finding.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from conformance.catalog.model import Catalog, Method
from conformance.protocol.caller import Caller
from conformance.protocol.exchange import Exchange, Failure
from conformance.protocol.session import Session, Sessions, SetUpFailedError
from conformance.resources.registry import Resource, Resources

__all__ = ["SAME_AGE", "Diagnosis", "Environment"]

#: Sentinel objects that a run makes at most.
MAX_SENTINELS = 3
#: The share of a lifetime from which on another session's end is taken for the same cause.
SAME_AGE = 0.75


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What has become of the environment: "steady", "reset", "sessions lost" or "sentinel lost"."""

    state: str
    users: tuple[str, ...] = ()
    exchange: Exchange | None = None
    evidence: tuple[Exchange, ...] = field(default=())
    sessions: tuple[Session, ...] = field(default=())


class Environment:
    """Watches the sessions and the sentinel objects for signs of a reset."""

    def __init__(self, caller: Caller, sessions: Sessions, resources: Resources, catalog: Catalog) -> None:
        self.caller = caller
        self.sessions = sessions
        self.resources = resources
        self.catalog = catalog
        #: Objects that nothing in the run changes or deletes, of several kinds and users.
        self.sentinels: list[Resource] = []
        #: Why the target did not answer when it was last waited for in vain.
        self.silence: Failure | None = None
        #: The age in seconds after which sessions end by themselves, where that was measured.
        self.lifetime: float | None = None
        self._tried = False
        #: Tokens of sessions that were valid when the sentinels were last seen.
        self._steady: frozenset[str] = frozenset()

    @property
    def sentinel(self) -> Resource | None:
        """The first of the sentinel objects; None where none can be made."""
        return self.sentinels[0] if self.sentinels else None

    def prepare(self) -> None:
        """Make sentinel objects; without one a reset looks like lost sessions."""
        if self._tried or not self.resources.writable:
            return
        self._tried = True
        # What can be deleted leaves nothing behind, so those kinds come first.
        kinds = sorted(self.catalog.kinds, key=lambda kind: self.catalog.delete(kind) is None)
        for kind in kinds:
            if len(self.sentinels) == MAX_SENTINELS or (self.sentinels and self.catalog.delete(kind) is None):
                break
            sentinel = self._lay(kind)
            if sentinel is not None:
                self.sentinels.append(sentinel)
        if self.sentinels:
            self._steady = frozenset(session.token for session in self.sessions.mains())

    def _lay(self, kind: str) -> Resource | None:
        create, read = self.catalog.create(kind), self.catalog.read(kind)
        if create is None or read is None:
            return None
        # Another user for each, so that what deletes all objects of one user is not taken for a reset.
        users = [user for user in self.resources.callers(create) if self.resources.may_call(user, read)]
        taken = {sentinel.user for sentinel in self.sentinels}
        for user in sorted(users, key=lambda user: user in taken)[:1]:
            try:
                sentinel = self.resources.new(kind, user)
            except SetUpFailedError:
                return None
            if self._present(sentinel) is True:
                return sentinel
        return None

    def probe(self, user: str) -> Method | None:
        """Return a function that shows whether a session of this user is still valid, and that changes nothing."""
        whoami = self.sessions.profile.auth.whoami
        if whoami is not None and whoami.function in self.catalog.methods:
            method = self.catalog.methods[whoami.function]
            if method.auth != "none":
                return method
        for method in self.catalog.methods.values():
            if (
                method.auth not in ("none", None)
                and method.effect == "read"
                and self.resources.may_call(user, method)
                and not any(param.required for param in method.params)
            ):
                return method
        return None

    def is_valid(self, session: Session) -> tuple[bool | None, Exchange | None]:
        """Return whether a session is still valid; None where no function shows it."""
        method = self.probe(session.user)
        if method is None:
            return None, None
        exchange = self.caller.call(method, {}, user=session.user, token=session.token)
        if exchange.status is None:
            return None, exchange
        return exchange.status != 401, exchange

    def _present(self, sentinel: Resource) -> bool | None:
        read = self.catalog.read(sentinel.kind)
        if read is None or read.object is None:
            return None
        try:
            token = self.sessions.of(sentinel.user).token
            valid, _ = self.is_valid(Session(sentinel.user, token))
            if valid is False:
                token = self.sessions.sign_in(sentinel.user).token
            data = self.resources.valid(read, sentinel.user, optional="none", **{read.object.id: sentinel.id})
            for param in read.params:
                if param.required and param.name in sentinel.sent:
                    data[param.name] = sentinel.sent[param.name]
            exchange = self.caller.call(read, data, user=sentinel.user, token=token)
        except SetUpFailedError:
            return None
        if exchange.status == 200:
            return True
        return False if exchange.status in (400, 403, 404) else None

    def diagnose(self) -> Diagnosis:
        """Say what has become of the environment; a reset takes every sentinel object and every session away."""
        refused: list[Session] = []
        valid_tokens: set[str] = set()
        evidence: list[Exchange] = []
        judged = 0
        later = True
        for session in self.sessions.mains():
            if not session.open:
                continue  # the run itself ended it
            valid, exchange = self.is_valid(session)
            if valid is not None:
                judged += 1
                # Sessions come in the order in which they were made: those made after a reset are good.
                later = later and not (valid is False and len(refused) < judged - 1)
            if valid:
                valid_tokens.add(session.token)
            if valid is False and exchange is not None:
                refused.append(session)
                evidence.append(exchange)
        present = self._any_present()
        users = tuple(session.user for session in refused)
        if refused and present is False and (len(refused) == judged or later):
            return Diagnosis("reset", users)
        if refused:
            return Diagnosis("sessions lost", users, evidence[0], tuple(evidence), tuple(refused))
        if present is False and valid_tokens and not valid_tokens & self._steady and self._earlier_refused():
            return Diagnosis("reset")
        if present is False:
            return Diagnosis("sentinel lost")
        self._steady = frozenset(valid_tokens)
        return Diagnosis("steady")

    def _any_present(self) -> bool | None:
        """Say whether a sentinel object is still there; None where there is none, or none can be read."""
        # What a call of the run deleted is no sign of a reset.
        self.sentinels = [sentinel for sentinel in self.sentinels if not sentinel.gone]
        seen = [self._present(sentinel) for sentinel in self.sentinels]
        if True in seen:
            self.sentinels = [
                sentinel for sentinel, there in zip(self.sentinels, seen, strict=True) if there is not False
            ]
            return True
        return False if False in seen else None

    def _earlier_refused(self) -> bool:
        """Return whether the open sessions that were valid when the sentinels were last seen are refused."""
        earlier = [self.sessions.known(token) for token in self._steady]
        found = [self.is_valid(session)[0] for session in earlier if session is not None and session.open]
        return bool(found) and not any(valid for valid in found)

    def ended_by_age(self, session: Session, age: float, until: float | None) -> bool | None:
        """Say whether sessions of a user end at an age, called or not: a new one is left alone for as long.

        `age` is that at which the session was refused, in seconds; None: there is no time to find out.
        """
        if self.lifetime is not None and age >= self.lifetime * SAME_AGE:
            return True
        wait = age * 1.1 + 0.5
        if until is not None and time.monotonic() + 4 * wait > until:
            return None
        try:
            fresh = self.sessions.sign_in(session.user)
        except SetUpFailedError:
            return None
        if self.is_valid(fresh)[0] is not True:
            return None
        time.sleep(wait)
        if self.is_valid(fresh)[0] is not False:
            return False
        self.sessions.forget(fresh.token)
        self.lifetime = self.sessions.lifetime = age
        return True

    def create_sentinel(self) -> None:
        """Make the sentinel objects anew: those that there were are gone."""
        self.sentinels, self._tried = [], False
        self.prepare()

    def renew(self) -> None:
        """Start over after a reset: no session, no object of before is good any more."""
        self.sessions.drop()
        self.resources.reset()
        self.create_sentinel()

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
