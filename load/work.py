"""What is sent: calls whose bytes are prepared ahead, drawn from the catalogue, the mix and the payload strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from load.members import Member

__all__ = ["Call", "Learn", "Reply", "Source"]


class Reply(Protocol):
    """What came back, as the transport's connection shows it."""

    status: int
    head: bytes
    body: bytes


@dataclass(slots=True, eq=False)
class Call:
    """One request, ready to be sent: `raw` is all of its bytes, the header `Token` included.

    `index` is the function's place in the source's `functions`. `member` is whose session it is in, None for a call
    outside any; `epoch` counts that member's sessions. `expects` are the statuses that are no failure (None: 200).
    `learn` is called with every answer, whatever its status, in the transport's callback: it must not block.
    `counted` is false for what is outside the latencies.
    """

    function: str
    index: int
    raw: bytes
    member: Member | None = None
    expects: frozenset[int] | None = None
    learn: Learn | None = None
    counted: bool = True
    epoch: int = 0
    #: What `learn` needs to know of the call: whom it created for, what it deletes.
    about: object = field(default=None, repr=False)


Learn = Callable[[Call, Reply], None]


class Source(Protocol):
    """Where calls come from. Both methods are called in the event loop: neither blocks."""

    functions: list[str]

    def next(self) -> Call:
        """Return the call that is to be sent now."""
        ...

    def refused(self, call: Call, settle: Callable[[bool], None]) -> None:
        """Take note that a call inside a session was answered 401.

        `settle` is called once, at once or later, from a greenlet or the loop: with True where the session had ended
        and is renewed (a reset of the test environment: the call is counted as renewed and is no failure), with
        False where the session is good or cannot be renewed: then it is the failure that it looks like.
        """
        ...
