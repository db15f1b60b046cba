"""The answer to a call, as a team's own tests and scenarios read it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from conformance.schema.pointer import MISSING, resolve

__all__ = ["BaseAnswer"]


class BaseAnswer(ABC):
    """What an answer says; subclasses know where its envelope comes from."""

    __slots__ = ()

    @property
    @abstractmethod
    def status(self) -> int | None:
        """The status; None where there was no answer."""

    @property
    @abstractmethod
    def envelope(self) -> dict[str, Any] | None:
        """The body, where it is a JSON object; None otherwise."""

    @property
    @abstractmethod
    def function(self) -> str | None:
        """The name of the function that was called."""

    @property
    def rows_pointer(self) -> str | None:
        """The JSON pointer in `data` to the rows of a list, as the catalogue declares it; None if it declares none."""
        return None

    @property
    def ok(self) -> bool:
        """Whether the call succeeded: a 2xx status, and no `isError: true`."""
        status, envelope = self.status, self.envelope
        if status is None or not 200 <= status < 300:
            return False
        return envelope is not None and envelope.get("isError") is not True

    @property
    def data(self) -> Any:
        """The member `data`; None where there is none."""
        envelope = self.envelope
        return None if envelope is None else envelope.get("data")

    @property
    def result(self) -> Any:
        """The result of the call: the member `data`."""
        return self.data

    @property
    def message(self) -> Any:
        """The member `errMsg`; None where there is none."""
        envelope = self.envelope
        return None if envelope is None else envelope.get("errMsg")

    @property
    def rows(self) -> list[Any]:
        """The rows of a list: where the catalogue says, else `data` if it is an array; empty where there are none."""
        if not self.ok:
            return []
        found = resolve(self.data, self.rows_pointer or "")
        return found if isinstance(found, list) else []

    def at(self, pointer: str, default: Any = MISSING) -> Any:
        """Return the value in `data` at a JSON pointer, as in `answer.at("/rows/0/courseId")`.

        Raises:
            LookupError: there is no value, and no `default` was given.

        """
        found = resolve(self.data, pointer)
        if found is not MISSING:
            return found
        if default is MISSING:
            raise LookupError(
                f"{self.function or 'the call'}: data has nothing at {pointer} ({self.summary()})"
            )
        return default

    def summary(self) -> str:
        """Return the status and the message in a few words."""
        if self.status is None:
            return "no answer"
        return f"{self.status}{f': {self.message}' if self.message else ''}"

    def __repr__(self) -> str:
        return f"<{self.function or 'a call'}: {self.summary()}>"
