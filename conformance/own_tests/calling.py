"""The fixture `call`: functions of the target as methods, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from conformance.engine.runner import Run
from conformance.protocol.answer import BaseAnswer
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError

__all__ = ["Answer", "Call"]


@dataclass(frozen=True, repr=False)
class Answer(BaseAnswer):
    """The answer to a call."""

    exchange: Exchange
    rows_at: str | None = None

    @property
    def status(self) -> int | None:
        """The status; None where there was no answer."""
        return self.exchange.status

    @property
    def ok(self) -> bool:
        """Whether the call succeeded: a 2xx status, and no `isError: true`."""
        return self.exchange.succeeded

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The body, where it is a JSON object; None otherwise."""
        return self.exchange.envelope

    @property
    def function(self) -> str | None:
        """The name of the function that was called."""
        return self.exchange.function

    @property
    def rows_pointer(self) -> str | None:
        """The JSON pointer in `data` to the rows of a list, as the catalogue declares it."""
        return self.rows_at

    @property
    def seconds(self) -> float:
        """The time from the request to the last byte of the answer."""
        return self.exchange.seconds

    def summary(self) -> str:
        """Return the status and the message in a few words."""
        return self.exchange.summary()


class Call:
    """Calls the functions of the target: `call.course.find(query="x")`, in a session with `call.as_("owner")`."""

    def __init__(self, run: Run, user: str | None = None, entity: str = "") -> None:
        self._run, self._user, self._entity = run, user, entity

    def as_(self, user: str) -> Call:
        """Return what calls functions in a session of this user of the profile."""
        if user not in self._run.profile.users:
            known = ", ".join(self._run.profile.users) or "none"
            pytest.fail(f"the profile has no user {user} (it has: {known})", pytrace=False)
        return Call(self._run, user)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if not self._entity:
            return Call(self._run, self._user, name)
        return _Function(self._run, self._user, f"{self._entity}.{name}")

    def __call__(self, function: str, data: Any = OMIT, **members: Any) -> Answer:
        """Call a function by its name, as in `call("course.find", query="x")`."""
        return _Function(self._run, self._user, function)(data, **members)


class _Function:
    def __init__(self, run: Run, user: str | None, name: str) -> None:
        self._run, self._user, self._name = run, user, name

    def __call__(
        self, data: Any = OMIT, *, page_start: Any = OMIT, page_length: Any = OMIT, **members: Any
    ) -> Answer:
        """Call it with these members of `data`, or with any JSON value as `data`."""
        run, user = self._run, self._user
        try:
            token = run.sessions.of(user).token if user is not None else None
        except SetUpFailedError as error:
            pytest.fail(run.secret_registry.mask(error.reason), pytrace=False)
        exchange = run.caller.call(
            self._name,
            members if members or data is OMIT else data,
            user=user,
            token=token,
            page_start=page_start,
            page_length=page_length,
        )
        if exchange.withheld and exchange.failure is not None:
            pytest.fail(f"not sent: {exchange.failure.detail}", pytrace=False)
        method = run.catalog.methods.get(self._name)
        return Answer(exchange, None if method is None else method.rows)
