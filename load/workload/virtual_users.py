"""Virtual users: who a call is sent as, in which session, and whether sessions are kept apart (AUT-11).

Each member has a session of its own, also where several are one user of the profile. Signing in is set-up: it goes
through the suite's ordinary client and never into a latency. Waiting is done in threads of the standard library,
which are greenlets wherever Locust runs (it patches them), so that the event loop is never held up.
"""

from __future__ import annotations

import itertools
import math
import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from conformance.errors import UsageError
from conformance.protocol.caller import Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.protocol.strict_json import read_json
from conformance.schema.pointer import MISSING, resolve
from load.validation.exchange import exchange_of

__all__ = ["Lease", "Mark", "VirtualUser", "VirtualUsers", "lease"]

#: So many members sign in, or out, at the same time.
_AT_ONCE = 16

#: So many greenlets renew sessions and tidy up while the load runs.
_KEEPERS = 8

#: After a renewal that failed, so many seconds go by before the next is tried for the same member.
_PAUSE = 1.0

#: Renewals with no longer gap than this, in seconds, are one reset of the target and get one mark.
_BURST = 5.0

#: So many different answers are remembered, with whom they are for.
_READ = 1_024

#: The same remark is put on the time axis once in so many seconds; and so many marks there are at most.
_PATIENCE = 60.0
_MARKS = 500

#: The sessions of so many members are masked wherever they appear; a call's own session always is.
_MASKED = 48


@dataclass(slots=True, eq=False)
class VirtualUser:
    """A virtual user with a session of its own; `user` is the profile's name of the user that it is.

    `epoch` counts its sessions: a call that was made in an earlier one may come back refused. `line` is the header
    `Token` with the empty line that ends the head of a request. While `ready` is false its session is being renewed.
    """

    number: int
    user: str
    token: str = field(default="", repr=False)
    line: bytes = field(default=b"\r\n", repr=False)
    epoch: int = 0
    ready: bool = False
    #: How many calls are under way in the session, and the groups that it is part of (`load.workload.occupancy`).
    under_way: int = 0
    places: list[tuple[Any, int]] = field(default_factory=list, repr=False)

    def enter(self, token: str) -> None:
        """Begin a session."""
        self.token = token
        self.line = b"Token: " + token.encode("utf-8", "surrogatepass") + b"\r\n\r\n"
        self.epoch += 1


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to be seen on the time axis; `at` is a moment of `time.perf_counter`."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The users of the profile that one of several workers acts as; `shared` are those that others act as, too."""

    users: tuple[str, ...]
    shared: tuple[str, ...] = ()


def lease(
    profile: Profile, roles: Collection[str], needed: Collection[str] = (), index: int = 0, of: int = 1
) -> Lease:
    """Return the users for worker `index` of `of`: disjoint ones, as far as the profile gives enough.

    `roles` are those that some function of the catalogue asks for, `needed` those that the load's functions ask for.
    Users are told apart by the roles that they have of these: each kind is dealt out by itself, so that no worker
    lacks one. Users with special rights are taken only where the load needs these, or where there are no others.

    Raises:
        UsageError: a role is needed that no user of the profile has.

    """
    kinds: dict[frozenset[str], list[str]] = {}
    for name, user in profile.users.items():
        kinds.setdefault(frozenset(user.roles) & frozenset(roles), []).append(name)
    for role in needed:
        if not any(role in kind for kind in kinds):
            raise UsageError(
                f'the load needs the role "{role}", which no user of the profile has: '
                f'add a user with roles = ["{role}"] to [users], or take its functions out of the mix'
            )
    least = min((len(kind) for kind in kinds), default=0)
    users: list[str] = []
    shared: list[str] = []
    for kind, names in kinds.items():
        if len(kind) > least and not kind & frozenset(needed):
            continue
        if len(names) >= of:
            users += names[index::of]
        else:
            users += names
            shared += names if of > 1 else ()
    return Lease(tuple(users), tuple(shared))


class VirtualUsers:
    """The virtual users of one process: signs them in and out, renews their sessions, watches that none is mixed up.

    `renewed` is called, in the greenlet that renews, after a member's session was found to have ended and before it
    is used again; `mark` with what belongs on the time axis; `found` with each finding, as an event of a check.
    """

    def __init__(
        self,
        caller: Caller,
        sessions: Sessions,
        profile: Profile,
        *,
        renewed: Callable[[VirtualUser], None] = lambda virtual_user: None,
        mark: Callable[[Mark], None] = lambda mark: None,
        found: Callable[[dict[str, Any]], None] = lambda event: None,
    ) -> None:
        self.caller = caller
        self.sessions = sessions
        self.profile = profile
        self.all: list[VirtualUser] = []
        #: Sessions that were refused and renewed; calls that came back refused because of it.
        self.renewals = 0
        self.excused = 0
        #: How often AUT-11 was judged and broken.
        self.judged = 0
        self.broken = 0
        self.marks: list[Mark] = []
        self.shared: tuple[str, ...] = ()
        self._renewed, self._mark, self._found = renewed, mark, found
        self._identities: dict[str, Any] = {}
        #: Who answers say that they are for, by their bodies.
        self._read: dict[bytes, Any] = {}
        self._waiting: dict[VirtualUser, list[tuple[Any, Callable[[bool], None]]]] = {}
        self._paused: dict[VirtualUser, float] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._last_renewal = -_BURST
        self._noted: dict[str, float] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._keepers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    # -- set-up ------------------------------------------------------------------------------------------------

    def gather(self, users: Sequence[str], count: int) -> None:
        """Sign `count` members in, dealt out evenly among the users, several at once.

        Raises:
            SetUpFailedError: one cannot be signed in, or the answer does not say who a session is.

        """
        if not users:
            return
        fresh = [
            VirtualUser(number, users[number % len(users)])
            for number in itertools.islice(self._numbers, max(count, len(users)))
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for virtual_user, token in zip(fresh, pool.map(self._sign_in, fresh), strict=True):
                virtual_user.enter(token)
                if len(self.all) < _MASKED:
                    self.secret_registry.session(token, virtual_user.user, lasting=True)
                virtual_user.ready = True
                self.all.append(virtual_user)
        for user in users:
            if user not in self._identities:
                self._identities[user] = self._identity(next(m for m in self.all if m.user == user))
        self._tell_apart()
        while len(self._keepers) < _KEEPERS:
            keeper = threading.Thread(target=self._keep, daemon=True)
            self._keepers.append(keeper)
            keeper.start()

    @property
    def secret_registry(self) -> SecretRegistry:
        """What masks secrets."""
        return self.caller.client.secret_registry

    def _sign_in(self, virtual_user: VirtualUser) -> str:
        return self.sessions.sign_in(virtual_user.user).token

    def _identity(self, virtual_user: VirtualUser) -> Any:
        """Return who the target says that a member is, asked alone; MISSING where the profile does not say how."""
        whoami = self.profile.auth.whoami
        if whoami is None:
            return MISSING
        exchange = self.caller.call(whoami.function, user=virtual_user.user, token=virtual_user.token)
        found = resolve(exchange.data, whoami.field) if exchange.status == 200 else MISSING
        if found is MISSING:
            raise SetUpFailedError(
                f"{whoami.function} does not say who the session is at {whoami.field}: {exchange.summary()}",
                exchange,
            )
        return found

    def _tell_apart(self) -> None:
        """Two users must not be the same one to the target, or no mix-up of theirs could ever be seen."""
        whoami = self.profile.auth.whoami
        if whoami is None:
            return
        for one, other in itertools.combinations(self._identities, 2):
            if self.profile.users[one].user == self.profile.users[other].user:
                continue
            self.judged += 1
            if _same(self._identities[one], self._identities[other]):
                self._tell(
                    "two users have the same identity",
                    f"{one} and {other} differ at {whoami.field}",
                    f"both are {self._identities[one]!r}",
                )

    # -- while the load runs -----------------------------------------------------------------------------------

    def later(self, job: Callable[[], None]) -> None:
        """Have a job done that may wait, by one of the keepers; never blocks."""
        self._jobs.put(job)

    def _keep(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except SetUpFailedError as error:
                self.note(error.reason)
            except Exception as error:  # a crash of ours: told, and the next job is done all the same
                self.note(f"the load itself failed: {type(error).__name__}: {error}")

    def note(self, text: str) -> None:
        """Put a remark on the time axis, the same one not over and over."""
        now, text = time.perf_counter(), self.secret_registry.mask(text)
        if now - self._noted.get(text, -math.inf) > _PATIENCE:
            self.mark("note", text, now)

    def mark(self, kind: str, text: str, at: float) -> None:
        """Put something on the time axis, as long as there is room."""
        if len(self.marks) < _MARKS:
            self._noted[text] = at
            self.marks.append(Mark(at, kind, text))
            self._mark(self.marks[-1])

    def refused(self, call: Any, settle: Callable[[bool], None]) -> None:
        """Take note that a call was answered 401 (`work.Source.refused`); never blocks."""
        virtual_user: VirtualUser | None = call.virtual_user
        if virtual_user is None:
            settle(False)
            return
        if call.epoch < virtual_user.epoch:
            # Sent in a session that has been found to be over.
            self.excused += 1
            settle(True)
            return
        if self._paused.get(virtual_user, 0.0) > time.perf_counter():
            settle(False)
            return
        waiting = self._waiting.get(virtual_user)
        if waiting is not None:
            waiting.append((call, settle))
            return
        self._waiting[virtual_user] = [(call, settle)]
        virtual_user.ready = False
        self.later(lambda: self._renew(virtual_user))

    def _renew(self, virtual_user: VirtualUser) -> None:
        """Find out whether a refused session had ended; if so, begin another. Settle all calls that wait for it."""
        over, verdicts = False, {}
        try:
            if not self._alive(virtual_user):
                before, token = virtual_user.token, self._sign_in(virtual_user)
                # A target that refuses the new session, too, does not mean the session.
                verdicts = self._again(virtual_user, token)
                over = any(verdicts.values()) if verdicts else True
                if over:
                    self._renewed(virtual_user)
                    virtual_user.enter(token)
                    self._count(before)
        except SetUpFailedError as error:
            self._paused[virtual_user] = time.perf_counter() + _PAUSE
            self.note(f"a refused session was not renewed: {error.reason}")
            over = False
        finally:
            virtual_user.ready = True
            waiting = self._waiting.pop(virtual_user, [])
            for call, settle in waiting:
                excused = over and verdicts.get(call.function, True)
                self.excused += excused
                settle(excused)

    def _alive(self, virtual_user: VirtualUser) -> bool:
        """Whether the target still knows a session; where the profile names no whoami, nobody can say: no."""
        whoami = self.profile.auth.whoami
        if whoami is None:
            return False
        exchange = self.caller.call(whoami.function, user=virtual_user.user, token=virtual_user.token)
        if exchange.status not in (200, 401):
            raise SetUpFailedError(f"{whoami.function} gave {exchange.summary()}", exchange)
        return exchange.status == 200

    def _again(self, virtual_user: VirtualUser, token: str) -> dict[str, bool]:
        """Say of each refused function whether a new session mends it, where there is no whoami to tell."""
        if self.profile.auth.whoami is not None:
            return {}
        verdicts: dict[str, bool] = {}
        for call, _ in list(self._waiting.get(virtual_user, ())):
            if call.function not in verdicts:
                body = call.raw.partition(b"\r\n\r\n")[2]
                again = self.caller.call(call.function, body=body, user=virtual_user.user, token=token)
                verdicts[call.function] = again.status != 401
        return verdicts

    def _count(self, before: str) -> None:
        self.sessions.forget(before)
        with self._lock:
            self.renewals += 1
            now = time.perf_counter()
            first = now - self._last_renewal > _BURST
            self._last_renewal = now
        if first:
            self.mark("renewal", "sessions had ended, and are renewed", now)

    # -- are sessions kept apart (AUT-11) ----------------------------------------------------------------------

    def watch(self, call: Any, reply: Any) -> None:
        """Judge the answer to a whoami call: it is the member's own user, or sessions are mixed up."""
        whoami = self.profile.auth.whoami
        if whoami is None or call.virtual_user is None or reply.failure is not None or reply.status != 200:
            return
        found = self._read.get(reply.body, MISSING)
        if found is MISSING:
            # A member's answers are mostly alike to the byte.
            envelope = read_json(reply.body).value
            found = resolve(envelope.get("data"), whoami.field) if isinstance(envelope, dict) else MISSING
            if len(self._read) >= _READ:
                self._read.clear()
            self._read[reply.body] = found
        expected = self._identities.get(call.virtual_user.user, MISSING)
        self.judged += 1
        if expected is MISSING or _same(found, expected):
            return
        self._tell(
            "a call is answered as another user (under load)",
            f"{whoami.field} is {expected!r}",
            repr(None if found is MISSING else found),
            lambda: self._shown(call, reply),
        )

    def _shown(self, call: Any, reply: Any) -> Exchange:
        # Only where Locust runs is there a transport; who only plans a load needs none.
        from load.http.head import Head

        return exchange_of(call, reply, Head(reply.head), self.caller.client.address, self.secret_registry)

    def _tell(
        self, kind: str, expected: str, actual: str, exchange: Callable[[], Exchange] | None = None
    ) -> None:
        self.broken += 1
        told = self._told.get(kind)
        if told is not None:
            told["count"] += 1
            return
        whoami = self.profile.auth.whoami
        shown = exchange().record() if exchange else {}
        mask = self.secret_registry.mask
        told = self._told[kind] = {
            "event": "finding",
            "rule": "AUT-11",
            "function": whoami.function if whoami else None,
            "kind": kind,
            "message": kind,
            "expected": mask(expected),
            "actual": mask(actual),
            "count": 1,
            "reproduced": None,
            "exchange": None,
            "request": shown.get("request"),
            "response": shown.get("response"),
            "failure": shown.get("failure"),
            "curl": shown.get("curl"),
        }
        self._found(dict(told))

    def findings(self) -> list[dict[str, Any]]:
        """Return what was found, as events of a check: one for each kind, with its count and its first exchange."""
        return [dict(told) for told in self._told.values()]

    # -- the end -----------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Stop the keepers, as soon as what waits for them is done."""
        for _ in self._keepers:
            self._jobs.put(None)
        for keeper in self._keepers:
            keeper.join(5.0)
        self._keepers.clear()

    def sign_out(self) -> None:
        """End every session there is, several at once."""
        self.all.clear()
        self.sessions.end_all(at_once=_AT_ONCE)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON value."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
