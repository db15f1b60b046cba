"""Which sessions have a call under way: a session stands for one client, which waits for its response.

Open-loop arrivals do not wait for earlier calls. Each is sent in a session without a call under way, if there is one;
otherwise it overlaps another call of its session, and is counted. On a target that locks its sessions, overlapping
calls wait for each other, which calls of different clients would not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from load.workload.virtual_users import VirtualUser

__all__ = ["Group", "Occupancy", "Seats"]


class Group:
    """Virtual users that may send the same calls, with the number of their calls under way."""

    __slots__ = ("full", "under_way", "virtual_users")

    def __init__(self, virtual_users: Sequence[VirtualUser]) -> None:
        self.virtual_users = list(virtual_users)
        #: By position: 1 where a session has the largest number of calls under way.
        self.full = bytearray(len(self.virtual_users))
        self.under_way = 0


class Seats:
    """Returns the virtual users of a group in rotation, skipping occupied ones while others are free."""

    __slots__ = ("_at", "group")

    def __init__(self, group: Group, at: int = 0) -> None:
        self.group = group
        self._at = at

    def next(self) -> VirtualUser:
        """Return a virtual user whose session is free; where none is, the next in rotation."""
        virtual_users, full = self.group.virtual_users, self.group.full
        size = len(virtual_users)
        at = self._at
        if at >= size:
            at = 0
        if not full[at]:  # nearly always
            virtual_user = virtual_users[at]
            if virtual_user.ready:
                self._at = at + 1
                return virtual_user
        for start, end in ((at, size), (0, at)):
            while (place := full.find(0, start, end)) >= 0:
                if virtual_users[place].ready:
                    self._at = place + 1
                    return virtual_users[place]
                start = place + 1
        # None is free. A session that is being renewed is the worst choice.
        place = at
        for step in range(size):
            place = (at + step) % size
            if virtual_users[place].ready:
                break
        self._at = place + 1
        return virtual_users[place]


class Occupancy:
    """Counts the calls under way in each session of one process, and the calls that overlapped another.

    `per_session` calls may be under way in a session before it counts as occupied; None: any number. Calls that were
    due before `warmup` seconds are not counted.
    """

    def __init__(self, per_session: int | None = 1) -> None:
        self.per_session = per_session
        self.warmup = 0.0
        #: The number of sessions of this process.
        self.sessions = 0
        #: The number of calls that were sent in a session, and of those that overlapped another call in it.
        self.calls = 0
        self.overlapped = 0
        #: The number of sessions, divided among the same users, that would avoid every overlap.
        self.needed = 0
        self._limit = math.inf if per_session is None else per_session
        self._groups: dict[tuple[int, ...], Group] = {}

    def seats(self, virtual_users: Sequence[VirtualUser], at: int = 0) -> Seats:
        """Return a rotation of these virtual users from a position on; equal rotations share their state."""
        key = tuple(virtual_user.number for virtual_user in virtual_users)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(virtual_users)
            for place, virtual_user in enumerate(virtual_users):
                virtual_user.places.append((group, place))
                group.full[place] = virtual_user.under_way >= self._limit
                group.under_way += virtual_user.under_way
        return Seats(group, at)

    def begin(self, virtual_user: VirtualUser, due: float) -> None:
        """Record that a call is sent in a session."""
        before = virtual_user.under_way
        virtual_user.under_way = before + 1
        full = before + 1 >= self._limit
        for group, place in virtual_user.places:
            group.under_way += 1
            if full:
                group.full[place] = 1
        if due >= self.warmup:
            self.calls += 1
            if before:
                self.overlapped += 1
                self._count_needed(virtual_user)

    def end(self, virtual_user: VirtualUser) -> None:
        """Record that a call in a session has ended."""
        left = virtual_user.under_way = virtual_user.under_way - 1
        free = left < self._limit
        for group, place in virtual_user.places:
            group.under_way -= 1
            if free:
                group.full[place] = 0

    def _count_needed(self, virtual_user: VirtualUser) -> None:
        for group, _ in virtual_user.places:
            if 0 not in group.full:
                needed = math.ceil(group.under_way * self.sessions / len(group.virtual_users))
                self.needed = max(self.needed, needed)

    def counts(self) -> list[int]:
        """Return the calls in sessions, those that overlapped, and the sessions that would avoid that."""
        return [self.calls, self.overlapped, self.needed]
