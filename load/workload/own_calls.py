"""Calls of a team's own scenarios: any function, with any data, in the session of a user.

The calls of a mix are prepared ahead. Those of a scenario depend on earlier answers, so each body is written when it is
called; the rest of the request is prepared.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from conformance.catalog.model import Catalog, Method
from conformance.errors import UsageError, suggestion
from conformance.protocol.answer import BaseAnswer
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.client import compact
from conformance.protocol.profile import Profile
from conformance.resources.registry import Resource, Resources
from load.workload.calls import Call, Learn
from load.workload.created import Created
from load.workload.virtual_users import VirtualUser

__all__ = ["Answer", "Needs", "OwnCalls"]

#: Objects of a kind that are created for the users of one process before the load begins.
MAX_PREPARED_OBJECTS = 24

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Needs:
    """What a scenario file names: functions, kinds of objects, and users of the profile."""

    functions: Sequence[str] = ()
    kinds: Sequence[str] = ()
    users: Sequence[str] = ()
    #: The names under which errors of its tasks are counted.
    tasks: Sequence[str] = ()


class Answer(BaseAnswer):
    """The answer to a call of a scenario."""

    __slots__ = ("_envelope", "_function", "_reply")

    def __init__(self, function: _Function, reply: Any) -> None:
        """`reply` is None for a call that was dropped; its code is 0 where the rules found what was expected."""
        self._function = function
        self._reply = reply
        self._envelope: Any = OMIT

    @property
    def ok(self) -> bool:
        """Whether the call succeeded: a 2xx status, and no `isError: true`."""
        reply = self._reply
        # Then the rules have read the envelope.
        return (reply is not None and reply.status == 200 and reply.code == 0) or super().ok

    @property
    def status(self) -> int | None:
        """The status; None where there was no answer."""
        return None if self.failure is not None else int(self._reply.status)

    @property
    def failure(self) -> str | None:
        """Why there is no answer: `timeout`, `dropped` …; None where there is one."""
        reply = self._reply
        if reply is None:
            return "dropped"
        failure: str | None = reply.failure
        return failure

    @property
    def seconds(self) -> float:
        """The time from the request to the last byte of the answer; 0 for a call that was dropped."""
        return 0.0 if self._reply is None else float(self._reply.seconds)

    @property
    def body(self) -> bytes:
        """The body as it came; empty where there was no answer."""
        return b"" if self._reply is None else bytes(self._reply.body)

    @property
    def function(self) -> str | None:
        """The name of the function that was called."""
        return self._function.name

    @property
    def rows_pointer(self) -> str | None:
        """The JSON pointer in `data` to the rows of a list, as the catalogue declares it."""
        return self._function.rows

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The body, where it is a JSON object; None otherwise."""
        if self._envelope is OMIT:
            try:
                found = _decode(self.body) if self.failure is None else None
            except (msgspec.DecodeError, ValueError, RecursionError):
                found = None
            self._envelope = found if isinstance(found, dict) else None
        envelope: dict[str, Any] | None = self._envelope
        return envelope

    def summary(self) -> str:
        """Return the status and the message in a few words."""
        return f"no answer: {self.failure}" if self.failure is not None else super().summary()


@dataclass(slots=True)
class _Function:
    """What is prepared of the calls of a function."""

    name: str
    index: int
    head: bytes
    #: The members of the body that come before the data.
    members: dict[str, Any]
    method: Method | None
    learn: Learn | None
    in_session: bool
    creates: bool
    deletes: bool
    rows: str | None
    expects: dict[Any, frozenset[int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Sent:
    """What has to be remembered of an object that a call creates (`Created.learn_created`)."""

    data: dict[str, Any]


class OwnCalls:
    """Builds the calls of scenarios, and lends them objects of the run."""

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        caller: Caller,
        resources: Resources,
        created: Created,
        functions: list[str],
        learn_whoami: Learn,
        unique: Callable[[], str],
    ) -> None:
        self.profile = profile
        self.functions = functions
        #: Returns a text that no other call of the run has, which contains the run's tag.
        self.unique = unique
        #: Counts the resets of the target: objects that were lent before are gone.
        self.epoch = 0
        self._catalog = catalog
        self._caller = caller
        self._resources = resources
        self._created = created
        self._learn_whoami = learn_whoami
        #: The functions that may be called, by name.
        self.known: dict[str, _Function] = {}
        self._refused: dict[str, str] = {}
        self._spare: dict[tuple[str, str], deque[Resource]] = {}
        self._making = threading.Lock()
        logins = caller.logins
        for index, name in enumerate(functions):
            if name in catalog or (catalog.is_implicit and "." in name and " " not in name):
                function = self._prepared(name, index, logins)
                reads = function.method is not None and function.method.effect == "read"
                if resources.writable or name in logins or reads:
                    self.known[name] = function
                else:
                    self._refused[name] = (
                        f"{name} is not called: it does not only read, and this run is read-only"
                    )

    def _prepared(self, name: str, index: int, logins: Collection[str]) -> _Function:
        method = self._catalog.methods.get(name)
        entity, _, short = name.partition(".")
        lines = [("Content-Type", "application/json")]
        head = self._caller.client.head("POST", entity, lines) + b"Content-Length: "
        role = method.object if method is not None else None
        login = name in logins
        creates = not login and role is not None and role.does == "create"
        deletes = role is not None and role.does == "delete"
        whoami = self.profile.auth.whoami
        learn: Learn | None = None
        if login:
            learn = self._created.learn_login
        elif creates:
            learn = self._created.learn_created
        elif deletes:
            learn = self._created.learn_consumed
        elif whoami is not None and name == whoami.function:
            learn = self._learn_whoami
        return _Function(
            name,
            index,
            head,
            {"method": short},
            method,
            learn,
            not login and (method is None or method.auth != "none"),
            creates,
            deletes,
            method.rows if method is not None else None,
        )

    # -- calls -------------------------------------------------------------------------------------------------

    def function(self, name: str) -> _Function:
        """Return what is prepared of a function's calls.

        Raises:
            UsageError: the catalogue has no such function, or this run may not call it.

        """
        found = self.known.get(name)
        if found is not None:
            return found
        if name in self._refused:
            raise UsageError(self._refused[name])
        raise UsageError(f"the catalogue has no function {name}{suggestion(str(name), self.known)}")

    def build(
        self,
        function: _Function,
        data: Any,
        virtual_user: VirtualUser | None,
        page_start: Any = OMIT,
        page_length: Any = OMIT,
        expected: Any = None,
    ) -> Call:
        """Return a call of a function for a virtual user, in their session if the function needs one.

        Raises:
            UsageError: the data is no JSON.

        """
        members = function.members.copy()
        if data is not OMIT:
            members["data"] = data
        if page_start is not OMIT:
            members["pageStart"] = page_start
        if page_length is not OMIT:
            members["pageLength"] = page_length
        try:
            body = _encode(members)
        except (TypeError, ValueError, msgspec.MsgspecError):
            body = _compact(function.name, members)
        if virtual_user is not None and function.in_session:
            raw = function.head + b"%d\r\n" % len(body) + virtual_user.line + body
            signed, epoch = virtual_user, virtual_user.epoch
        else:
            raw = function.head + b"%d\r\n\r\n" % len(body) + body
            signed, epoch = None, 0
        call = Call(function.name, function.index, raw, signed, None, function.learn, True, epoch)
        if expected is not None:
            call.expects = self._expected(function, expected)
        if function.creates or function.deletes:
            self._remember(function, call, data, virtual_user.user if virtual_user is not None else None)
        return call

    def _expected(self, function: _Function, expected: Any) -> frozenset[int]:
        try:
            return function.expects[expected]
        except (KeyError, TypeError):
            found = frozenset((expected,) if isinstance(expected, int) else expected)
            if isinstance(expected, int | tuple | frozenset):
                function.expects[expected] = found
            return found

    def _remember(self, function: _Function, call: Call, data: Any, user: str | None) -> None:
        """Note what the answer to a create or a delete is about."""
        method = function.method
        user = user or next(iter(self.profile.users), "")
        assert method is not None
        assert method.object is not None
        given: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        if function.creates:
            names = [param.name for param in method.params if param.required and param.ref]
            sent = _Sent({name: given[name] for name in names if name in given})
            self._created.unanswered[function.name, user] += 1
            call.about = sent if call.virtual_user is not None else (user, sent)
        else:
            kind, identifier = method.object.kind, given.get(method.object.id)
            call.about = self._created.find(kind, identifier) or self._resources.resource(
                kind, identifier, user
            )

    # -- objects of the run ------------------------------------------------------------------------------------

    def prepare_objects(self, kinds: Sequence[str], users: Sequence[VirtualUser]) -> None:
        """Create objects of these kinds, so that users find them when the load begins.

        Raises:
            SetUpFailedError: there is none, and none can be created.

        """
        names = list(dict.fromkeys(each.user for each in users))
        for kind in kinds:
            able = [name for name in names if self._resources.creator(kind, name) is not None]
            each = math.ceil(min(len(users), MAX_PREPARED_OBJECTS) / max(1, len(able)))
            for name in able:
                spare = self._spare.setdefault((kind, name), deque())
                while len(spare) < each:
                    spare.append(self._resources.new(kind, name, optional="none"))
            if not able and names:
                self._resources.any(kind, names[0])

    def lease(self, kind: str, user: str) -> Resource:
        """Return an object of the run for one user alone; create it where there is none.

        Raises:
            UsageError: the catalogue has no such kind.
            SetUpFailedError: there is none, and none can be created.

        """
        spare = self._spare.get((kind, user))
        while spare:
            resource = spare.popleft()
            if not resource.gone:
                return resource
        if kind not in self._catalog.kinds:
            near = suggestion(kind, list(self._catalog.kinds))
            raise UsageError(f"the catalogue has no kind of objects {kind}{near}")
        with self._making:
            return self._resources.new(kind, user, optional="none")

    def begin_again(self) -> None:
        """Forget the objects that were lent: the target was reset."""
        self.epoch += 1
        self._spare.clear()


def _compact(name: str, members: dict[str, Any]) -> bytes:
    """Return a body that the fast encoder cannot write.

    Raises:
        UsageError: it is no JSON.

    """
    try:
        return compact(members)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: the data is no JSON: {error}") from error
