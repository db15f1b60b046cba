"""The user of a team's own scenario: calls functions by name, in a session of its own.

A task is an arrival of the schedule, or with closed arrivals what a user does between two think times. Tasks are run
here rather than by Locust's `TaskSet`, which costs more for each of them than the request itself.
"""

from __future__ import annotations

import contextlib
import inspect
import linecache
import logging
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import gevent  # type: ignore[import-untyped]
from gevent import Greenlet, GreenletExit
from gevent.pool import Group  # type: ignore[import-untyped]
from locust import TaskSet
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from conformance.errors import UsageError
from conformance.protocol.caller import OMIT
from conformance.resources.registry import Resource
from conformance.rulebook.own_rules import line_in, located
from conformance.schema.pointer import resolve
from load.engine.sender import Reply
from load.locust_plugin.users import SPREAD, LoadUser
from load.workload import feeds
from load.workload.calls import Call
from load.workload.own_calls import Answer, OwnCalls
from load.workload.virtual_users import VirtualUser
from load.workload.workload import Work

__all__ = ["RpcUser", "TaskFailedError"]

log = logging.getLogger(__name__)

_ENDS = (StopUser, StopTest, GreenletExit, feeds.NoRowsLeft)
_GOES_ON = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately)


class TaskFailedError(Exception):
    """Reports an exception in a task to Locust, without secrets."""


class RpcUser(LoadUser):
    """A user of a team's own scenario: `self.call("course.find", query="x")` returns an answer."""

    abstract = True
    #: The name of a user of the profile whose sessions this class uses; None for any user that may call what it calls.
    profile_user: ClassVar[str | None] = None
    #: The functions that the class names; the scenario file is read for them.
    called: ClassVar[tuple[str, ...]] = ()
    _number: ClassVar[int] = 0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        #: In whose session calls are sent; None where the profile has no users.
        self.virtual_user: VirtualUser | None = None
        self._joined: VirtualUser | None = None
        self._work: Work
        self._calls: OwnCalls
        self._send: Callable[..., Reply | None]
        self._watch: Callable[[VirtualUser | None], Call | None]
        self._lent: dict[str, tuple[int, Resource]] = {}
        self._task = ""
        self._has_called = False

    # --- for scenario files ---------------------------------------------------------------------------------

    def call(
        self,
        function: str,
        data: Any = OMIT,
        /,
        *,
        page_start: Any = OMIT,
        page_length: Any = OMIT,
        expected_status: int | Iterable[int] | None = None,
        **members: Any,
    ) -> Answer:
        """Call a function with these members of `data`, or with any JSON value as `data`; return the answer.

        `expected_status` are the statuses that are no failure, instead of 200.

        Raises:
            UsageError: the catalogue has no such function, or this run may not call it.

        """
        calls, virtual_user = self._calls, self.virtual_user
        target = calls.known.get(function)
        if target is None:
            target = calls.function(function)
        payload = members if members or data is OMIT else data
        self._has_called = True
        due, self._due = self._due, None
        call = calls.build(target, payload, virtual_user, page_start, page_length, expected_status)
        reply = self._send(call, due)
        if reply is not None and reply.renewed:
            # The session had ended, and there is a new one.
            call = calls.build(target, payload, virtual_user, page_start, page_length, expected_status)
            reply = self._send(call)
        if virtual_user is self._joined and (asking := self._watch(virtual_user)) is not None:
            self._send(asking)
        return Answer(target, reply)

    def resource(self, kind: str, *, new: bool = False) -> Resource:
        """Return an object of the run for this user alone, the same one each time; `resource.id` is its identifier.

        With `new`, and after it was deleted, it is another one. The run removes them at its end.

        Raises:
            UsageError: the catalogue has no such kind.
            SetUpFailedError: there is none, and none can be created.

        """
        epoch, known = self._lent.get(kind, (-1, None))
        if known is not None and not new and not known.gone and epoch == self._calls.epoch:
            return known
        if self.virtual_user is None:
            raise UsageError(f"there is no user of the profile who could have a {kind}: add [users.NAME]")
        made = self._calls.lease(kind, self.virtual_user.user)
        self._lent[kind] = (self._calls.epoch, made)
        return made

    def sign_in(self, user: str, secret: str) -> Answer:
        """Sign in as somebody whom the profile does not name; if that succeeds, later calls are in this session.

        Raises:
            UsageError: the profile names no login function.

        """
        auth = self._work.profile.auth
        if auth.login is None:
            raise UsageError("the profile names no login function: add login to [auth]")
        answer = self.call(auth.login.function, {auth.login.user: user, auth.login.secret: secret})
        token = resolve(answer.data, auth.session) if answer.ok else None
        if isinstance(token, str) and token:
            name = self._work.add_user(user, secret)
            RpcUser._number -= 1
            self.virtual_user = VirtualUser(RpcUser._number, name, ready=True)
            self.virtual_user.enter(token)
            self._lent.clear()
        return answer

    def unique_text(self) -> str:
        """Return a text that no other call of the run has. An object that contains it is found at the end."""
        return self._calls.unique()

    # --- the tasks ------------------------------------------------------------------------------------------

    @classmethod
    def task_names(cls) -> list[str]:
        """Return the names under which errors of the tasks are counted."""
        return [cls.task_name("on_start"), *dict.fromkeys(cls.task_name(_name(each)) for each in cls.tasks)]

    @classmethod
    def task_name(cls, task: str) -> str:
        """Return the name under which errors of a task are counted."""
        return f"task {cls.__name__}.{task}"

    @classmethod
    def file(cls) -> Path:
        """Return the file of the scenario."""
        return Path(inspect.getfile(sys.modules[cls.__module__])).resolve()

    def start(self, group: Group) -> Greenlet:
        """Run the tasks in a greenlet of the group."""
        self._group = group
        self._greenlet = group.spawn(_play, self)
        return self._greenlet

    def _play(self) -> None:
        generator = self.generator
        work = generator.worker_resources.source
        assert isinstance(work, Work)
        assert work.own_calls is not None
        self._work, self._calls = work, work.own_calls
        self._send, self._watch = generator.call, work.watch
        self._state = LOCUST_STATE_RUNNING
        try:
            known = [name for name in self.called if name in work.catalog]
            self._joined = self.virtual_user = work.join(known, self.profile_user)
            self._task = self.task_name("on_start")
            try:
                self.on_start()
            except _ENDS:
                raise
            except Exception as error:
                self.failed(error)
                raise StopUser from error
            if generator.turns is None:
                self._play_closed()
            else:
                self._play_open()
        except _ENDS:
            pass
        finally:
            self._leave()

    def _leave(self) -> None:
        """Give back what the user has."""
        if self._turn:
            self._turn = False
            assert self.generator.turns is not None
            self.generator.turns.done()
        try:
            with contextlib.suppress(*_ENDS):
                self.on_stop()  # type: ignore[no-untyped-call]
        except Exception as error:
            self._task = self.task_name("on_start")
            self.failed(error)
        if self._joined is not None:
            self._work.leave(self._joined)

    def _chosen(self) -> tuple[random.Random, list[tuple[str, Any]]]:
        """Return what chooses the next task, and the tasks, each as often as its weight says."""
        work = self._work
        RpcUser._number -= 1
        rng = random.Random(f"{work.seed}/{work.index}/{type(self).__name__}/{RpcUser._number}")
        return rng, [(self.task_name(_name(each)), _runner(each)) for each in self.tasks]

    def _play_open(self) -> NoReturn:
        """Run a task for each arrival that this user takes up."""
        rng, tasks = self._chosen()
        draw, count = rng.random, len(tasks)
        turns = self.generator.turns
        assert turns is not None
        while True:
            self._state = LOCUST_STATE_WAITING
            self._due = turns.next()
            self._turn = True
            self._state = LOCUST_STATE_RUNNING
            self._run(*tasks[int(draw() * count)])
            self._turn = False
            turns.done()
            if self._due is not None:
                self._send_nothing()
            if self._state == LOCUST_STATE_STOPPING:
                raise StopUser

    def _play_closed(self) -> NoReturn:
        """Run one task after the other, with the think time between them."""
        rng, tasks = self._chosen()
        draw, count = rng.random, len(tasks)
        generator = self.generator
        # Users that are spawned together do not begin in step.
        self._wait(max(0.0, -generator.now) + rng.random() * max(SPREAD, self.think()))
        while not generator.closing:
            self._has_called = False
            generator.tasks += 1
            try:
                self._run(*tasks[int(draw() * count)])
            finally:
                generator.tasks -= 1
            seconds = self.think()
            if seconds > 0 or not self._has_called:
                self._wait(seconds)
            elif self._state == LOCUST_STATE_STOPPING:
                raise StopUser
        raise StopUser

    def _wait(self, seconds: float) -> None:
        if self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        self._state = LOCUST_STATE_WAITING
        gevent.sleep(seconds)
        self._state = LOCUST_STATE_RUNNING

    def _next(self) -> None:
        """Wait for the next arrival; a nested set of tasks does so between two of them."""
        self._send_nothing()
        super()._next()

    def _send_nothing(self) -> None:
        """Record that the task of an arrival has ended without a call, where it has."""
        if self._due is not None:
            due, self._due = self._due, None
            self.generator.idle(due)

    def _run(self, name: str, task: Any) -> None:
        """Run a task; an exception in it is counted, and the user goes on."""
        self._task = name
        try:
            task(self)
        except _GOES_ON:
            pass
        except _ENDS:
            self._send_nothing()
            raise
        except Exception as error:
            self.failed(error)

    def failed(self, error: Exception) -> None:
        """Count an exception in a task, with its place in the scenario file."""
        due, self._due = self._due, None
        path = self.file()
        line = line_in(path, error.__traceback__)
        place = f"{located(path)}:{line}" if line is not None else located(path)
        text = str(error)
        if not text and isinstance(error, AssertionError) and line is not None:
            text = linecache.getline(str(path), line).strip()
        kind = "" if isinstance(error, UsageError) else type(error).__name__
        message = feeds.masked(" ".join(f"{kind}{': ' if kind and text else ''}{text}".split()))
        self.generator.fail_task(self._task, place, message, due)
        shown = TaskFailedError(self._work.secret_registry.mask(f"{place}: {message}"))
        if (place, type(error)) not in _logged:
            _logged.add((place, type(error)))
            log.warning("%s", shown)
        self.environment.events.user_error.fire(user_instance=self, exception=shown, tb=None)


#: The errors that are in the log: each place and kind once.
_logged: set[tuple[str, type[Exception]]] = set()


_sets: Any = TaskSet
_execute: Callable[[Any], None] = _sets.execute_next_task


def _execute_guarded(tasks: Any) -> None:
    """Run the next task of a nested set; an exception in it is counted as one in any task, and without secrets."""
    user = tasks.user
    try:
        _execute(tasks)
    except feeds.NoRowsLeft as none_left:
        raise StopUser from none_left
    except (*_ENDS, *_GOES_ON):
        raise
    except Exception as error:
        if not isinstance(user, RpcUser):
            raise
        user.failed(error)


_sets.execute_next_task = _execute_guarded


def _runner(task: Any) -> Callable[[Any], None]:
    """Return what runs a task: the function itself, or what runs a nested set of tasks."""
    if not isinstance(task, type):
        runner: Callable[[Any], None] = task
        return runner
    return lambda user: task(user).run()


def _name(task: Any) -> str:
    return str(getattr(task, "__name__", task))


def _play(user: RpcUser) -> None:
    """Run a user's tasks in its greenlet."""
    user._play()
