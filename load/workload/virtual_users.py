"""Virtual users: as whom and in which session a call is sent, and whether sessions are isolated (AUT-11).

Each virtual user has a session of its own, also where several are the same user of the profile. Signing in is part of
the set-up: it uses the suite's ordinary client and never counts as a latency. Blocking work is done in threads of the
standard library. Where Locust runs these are greenlets (it patches them), so the event loop is never blocked.
"""

from __future__ import annotations

import itertools
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from conformance.errors import UsageError
from conformance.events import FindingEvent
from conformance.protocol.caller import Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.protocol.strict_json import read_json
from conformance.schema.pointer import MISSING, resolve
from load.validation.exchange import exchange_of

__all__ = ["Lease", "Mark", "VirtualUser", "VirtualUsers", "lease"]

#: The number of virtual users that sign in, or out, at the same time.
_MAX_SIGN_INS = 16

#: The number of threads that renew sessions and remove objects while the load runs.
_JOB_THREADS = 8

#: The pause after a failed renewal before the next for the same virtual user.
_RENEWAL_PAUSE_SECONDS = 1.0

#: Renewals whose gap is not longer than this belong to one reset of the target and get one mark.
_MAX_GAP_SECONDS = 5.0

#: The number of different responses to whoami that are retained, with the user that each names.
_MAX_READ = 1_024

#: The time before the same remark is put on the time axis again, and the largest number of marks.
_REPEAT_SECONDS = 60.0
_MAX_MARKS = 500

#: The number of virtual users whose sessions are masked everywhere; a call's own session always is.
_MAX_MASKED = 48


@dataclass(slots=True, eq=False)
class VirtualUser:
    """A virtual user with a session of its own; `user` is the profile's name of the user.

    `epoch` counts its sessions: a call that was sent in an earlier one may be refused. `line` is the header
    `Token` with the empty line that ends the head of a request. While `ready` is false its session is being renewed.
    """

    number: int
    user: str
    token: str = field(default="", repr=False)
    line: bytes = field(default=b"\r\n", repr=False)
    epoch: int = 0
    ready: bool = False
    #: The number of calls under way in the session, and the groups that contain it (`load.workload.occupancy`).
    under_way: int = 0
    places: list[tuple[Any, int]] = field(default_factory=list, repr=False)

    def enter(self, token: str) -> None:
        """Begin a session."""
        self.token = token
        self.line = b"Token: " + token.encode("utf-8", "surrogatepass") + b"\r\n\r\n"
        self.epoch += 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark on the time axis; `at` is a moment of `time.perf_counter`."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The users of the profile that one worker uses; `shared` are those that other workers use as well."""

    users: tuple[str, ...]
    shared: tuple[str, ...] = ()


def lease(
    profile: Profile, roles: Collection[str], needed: Collection[str] = (), index: int = 0, of: int = 1
) -> Lease:
    """Return the users for worker `index` of `of`, disjoint as far as the profile has enough.

    `roles` are those that any function of the catalogue requires, `needed` those that the load's functions require.
    Users are grouped by which of these roles they have. Each group is divided among the workers, so that none lacks a
    group. Users with special rights are used only where the load needs them, or where there are no others.

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
    """The virtual users of one process: signs them in and out, renews sessions, checks that none are mixed up.

    `renewed` is called, in the thread that renews, after a session was found to have ended and before it is used
    again; `mark` with each mark of the time axis; `found` with each finding, as an event of a check.
    """

    def __init__(
        self,
        caller: Caller,
        sessions: Sessions,
        profile: Profile,
        *,
        renewed: Callable[[VirtualUser], None] = lambda virtual_user: None,
        mark: Callable[[Mark], None] = lambda mark: None,
        found: Callable[[FindingEvent], None] = lambda event: None,
    ) -> None:
        self.caller = caller
        self.sessions = sessions
        self.profile = profile
        self.all: list[VirtualUser] = []
        #: The number of sessions that were renewed, and of calls that were refused because their session had ended.
        self.renewals = 0
        self.excused = 0
        #: How often AUT-11 was judged, and how often it was broken.
        self.judged = 0
        self.broken = 0
        self.marks: list[Mark] = []
        self.shared: tuple[str, ...] = ()
        self._renewed, self._mark, self._found = renewed, mark, found
        self._identities: dict[str, Any] = {}
        #: By the body of a response: the user that it names.
        self._read: dict[bytes, Any] = {}
        self._waiting: dict[VirtualUser, list[tuple[Any, Callable[[bool], None]]]] = {}
        self._paused: dict[VirtualUser, float] = {}
        self._findings: dict[str, FindingEvent] = {}
        self._counts: Counter[str] = Counter()
        self._last_renewal = -_MAX_GAP_SECONDS
        self._noted: dict[str, float] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    # -- set-up ------------------------------------------------------------------------------------------------

    def gather(self, users: Sequence[str], count: int) -> None:
        """Sign `count` virtual users in, divided evenly among the users, several in parallel.

        Raises:
            SetUpFailedError: one cannot be signed in, or the response does not say who a session is.

        """
        if not users:
            return
        fresh = [
            VirtualUser(number, users[number % len(users)])
            for number in itertools.islice(self._numbers, max(count, len(users)))
        ]
        with ThreadPoolExecutor(_MAX_SIGN_INS) as pool:
            for virtual_user, token in zip(fresh, pool.map(self._sign_in, fresh), strict=True):
                virtual_user.enter(token)
                if len(self.all) < _MAX_MASKED:
                    self.secret_registry.session(token, virtual_user.user, lasting=True)
                virtual_user.ready = True
                self.all.append(virtual_user)
        for user in users:
            if user not in self._identities:
                self._identities[user] = self._identity(next(m for m in self.all if m.user == user))
        self._check_identities()
        while len(self._threads) < _JOB_THREADS:
            thread = threading.Thread(target=self._do_jobs, daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def secret_registry(self) -> SecretRegistry:
        """The registry that masks secrets."""
        return self.caller.client.secret_registry

    def _sign_in(self, virtual_user: VirtualUser) -> str:
        return self.sessions.sign_in(virtual_user.user).token

    def _identity(self, virtual_user: VirtualUser) -> Any:
        """Return the identity that the target reports without load; MISSING where the profile does not say how."""
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

    def _check_identities(self) -> None:
        """Check that different users have different identities: otherwise a mix-up could not be noticed."""
        whoami = self.profile.auth.whoami
        if whoami is None:
            return
        for one, other in itertools.combinations(self._identities, 2):
            if self.profile.users[one].user == self.profile.users[other].user:
                continue
            self.judged += 1
            if _same(self._identities[one], self._identities[other]):
                self._report(
                    "two users have the same identity",
                    f"{one} and {other} differ at {whoami.field}",
                    f"both are {self._identities[one]!r}",
                )

    # -- while the load runs -----------------------------------------------------------------------------------

    def later(self, job: Callable[[], None]) -> None:
        """Have a job done by one of the threads; never blocks."""
        self._jobs.put(job)

    def _do_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except SetUpFailedError as error:
                self.note(error.reason)
            except Exception as error:  # an internal error is reported, and the next job is done
                self.note(f"the load itself failed: {type(error).__name__}: {error}")

    def note(self, text: str) -> None:
        """Put a remark on the time axis; the same one is not repeated within a minute."""
        now, text = time.perf_counter(), self.secret_registry.mask(text)
        if now - self._noted.get(text, -math.inf) > _REPEAT_SECONDS:
            self.mark("note", text, now)

    def mark(self, kind: str, text: str, at: float) -> None:
        """Put a mark on the time axis, up to the largest number of marks."""
        if len(self.marks) < _MAX_MARKS:
            self._noted[text] = at
            self.marks.append(Mark(at, kind, text))
            self._mark(self.marks[-1])

    def refused(self, call: Any, settle: Callable[[bool], None]) -> None:
        """Handle a call that was answered 401 (`calls.Source.refused`); never blocks."""
        virtual_user: VirtualUser | None = call.virtual_user
        if virtual_user is None:
            settle(False)
            return
        if call.epoch < virtual_user.epoch:
            # It was sent in a session that has ended.
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
        """Find out whether a refused session had ended, and begin another if so; settle all calls that wait for it."""
        over, verdicts = False, {}
        try:
            if not self._alive(virtual_user):
                before, token = virtual_user.token, self._sign_in(virtual_user)
                # Where the target refuses the new session as well, the session is not the reason.
                verdicts = self._retried(virtual_user, token)
                over = any(verdicts.values()) if verdicts else True
                if over:
                    self._renewed(virtual_user)
                    virtual_user.enter(token)
                    self._count(before)
        except SetUpFailedError as error:
            self._paused[virtual_user] = time.perf_counter() + _RENEWAL_PAUSE_SECONDS
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
        """Return whether the target still accepts a session; False where the profile names no whoami."""
        whoami = self.profile.auth.whoami
        if whoami is None:
            return False
        exchange = self.caller.call(whoami.function, user=virtual_user.user, token=virtual_user.token)
        if exchange.status not in (200, 401):
            raise SetUpFailedError(f"{whoami.function} gave {exchange.summary()}", exchange)
        return exchange.status == 200

    def _retried(self, virtual_user: VirtualUser, token: str) -> dict[str, bool]:
        """Return for each refused function whether it accepts a new session, where there is no whoami."""
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
            first = now - self._last_renewal > _MAX_GAP_SECONDS
            self._last_renewal = now
        if first:
            self.mark("renewal", "sessions had ended, and are renewed", now)

    # -- are sessions isolated (AUT-11) ------------------------------------------------------------------------

    def watch(self, call: Any, reply: Any) -> None:
        """Check the response to a whoami call: it names the session's own user, unless sessions are mixed up."""
        whoami = self.profile.auth.whoami
        if whoami is None or call.virtual_user is None or reply.failure is not None or reply.status != 200:
            return
        found = self._read.get(reply.body, MISSING)
        if found is MISSING:
            # The responses of a virtual user mostly have the same bytes.
            envelope = read_json(reply.body).value
            found = resolve(envelope.get("data"), whoami.field) if isinstance(envelope, dict) else MISSING
            if len(self._read) >= _MAX_READ:
                self._read.clear()
            self._read[reply.body] = found
        expected = self._identities.get(call.virtual_user.user, MISSING)
        self.judged += 1
        if expected is MISSING or _same(found, expected):
            return
        self._report(
            "a call is answered as another user (under load)",
            f"{whoami.field} is {expected!r}",
            repr(None if found is MISSING else found),
            lambda: self._shown(call, reply),
        )

    def _shown(self, call: Any, reply: Any) -> Exchange:
        # Lazily: only a process that sends needs the transport, not one that plans a load.
        from load.http.head import Head

        return exchange_of(call, reply, Head(reply.head), self.caller.client.address, self.secret_registry)

    def _report(
        self, kind: str, expected: str, actual: str, exchange: Callable[[], Exchange] | None = None
    ) -> None:
        self.broken += 1
        self._counts[kind] += 1
        if kind in self._findings:
            return
        whoami = self.profile.auth.whoami
        mask = self.secret_registry.mask
        finding = self._findings[kind] = FindingEvent(
            rule="AUT-11",
            function=whoami.function if whoami else None,
            kind=kind,
            message=kind,
            expected=mask(expected),
            actual=mask(actual),
            count=1,
        )
        if exchange is not None:
            finding.show(exchange().record(), numbered=False)
        self._found(finding)

    def findings(self) -> list[FindingEvent]:
        """Return the findings as events of a check: one for each kind, with its count and its first exchange."""
        return [
            msgspec.structs.replace(finding, count=self._counts[kind])
            for kind, finding in self._findings.items()
        ]

    # -- the end -----------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Stop the threads, once their jobs are done."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(5.0)
        self._threads.clear()

    def sign_out(self) -> None:
        """End every session, several in parallel."""
        self.all.clear()
        self.sessions.end_all(at_once=_MAX_SIGN_INS)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON value."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
