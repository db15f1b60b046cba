"""A call of the load: one request as bytes, and what is done with its response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from load.workload.virtual_users import VirtualUser

__all__ = ["Call", "Learn", "Reply", "Source"]


class Reply(Protocol):
    """A response, as the transport's connection shows it."""

    @property
    def status(self) -> int:
        """The status of the response."""

    @property
    def head(self) -> bytes:
        """The head of the response, as it was received."""

    @property
    def body(self) -> bytes:
        """The body of the response, without its framing."""

    @property
    def failure(self) -> str | None:
        """Why there is no response; None where there is one."""


@dataclass(slots=True, eq=False)
class Call:
    """One request, ready to be sent: `raw` is all of its bytes, the header `Token` included.

    `index` is the function's place in the source's `functions`. `virtual_user` is whose session the call is in, None
    for a call outside any session; `epoch` counts that virtual user's sessions. `expects` are the statuses that are
    not a failure (None: 200). `learn` is called with every response, whatever its status, in the transport's
    callback: it must not block. `counted` is false for calls whose latency is not measured.
    """

    function: str
    index: int
    raw: bytes
    virtual_user: VirtualUser | None = None
    expects: frozenset[int] | None = None
    learn: Learn | None = None
    counted: bool = True
    epoch: int = 0
    #: What `learn` needs to know of the call: for whom it creates, or what it deletes.
    about: Any = field(default=None, repr=False)


Learn = Callable[[Call, Reply], None]


class Source(Protocol):
    """Supplies calls. Both methods are called in the event loop and must not block."""

    functions: list[str]

    def next(self) -> Call:
        """Return the next call to send."""
        ...

    def refused(self, call: Call, settle: Callable[[bool], None]) -> None:
        """Handle a call inside a session that was answered 401.

        `settle` is called once, immediately or later, from a greenlet or the loop. It is called with True where the
        session had ended and is renewed: the test environment was reset, so the call counts as renewed and not as a
        failure. It is called with False where the session is valid or cannot be renewed: then the call failed.
        """
        ...
