"""Virtual users: who a call is sent as, in which session, and whether sessions are kept apart (AUT-11)."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Member"]


@dataclass(slots=True, eq=False)
class Member:
    """A virtual user with a session of its own; `user` is the profile's name of the user that it is.

    `epoch` counts its sessions: a call that was made in an earlier one may come back refused.
    """

    number: int
    user: str
    token: str = field(default="", repr=False)
    epoch: int = 0
    ready: bool = False
