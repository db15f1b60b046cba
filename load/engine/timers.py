"""Timers of the event loop that wake at a moment of `perf_counter`."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

from gevent import get_hub  # type: ignore[import-untyped]

__all__ = ["LoopTimer", "Timer", "precise_timer"]


class Timer(Protocol):
    """Wakes once, at a moment of `perf_counter`."""

    def set(self, at: float) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class LoopTimer:
    """The event loop's own timer, which is up to a millisecond late: epoll counts in milliseconds."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = get_hub().loop
        self._timer: Any = None

    def set(self, at: float) -> None:
        """Wake at a moment instead of any earlier one; inf for never."""
        self.close()
        if at < math.inf:
            self._timer = self._loop.timer(max(0.0, at - perf_counter()))
            self._timer.start(self._wake, update=True)

    def close(self) -> None:
        """Release the timer."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None


class _Timespec(ctypes.Structure):
    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


_MONOTONIC = 1
_ABSOLUTE = 1


class _TimerfdTimer:
    """A timer by Linux's timerfd, which is late by some ten microseconds: its clock is that of `perf_counter`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._fd: int = library.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._settime = library.timerfd_settime
        self._spec = _Timespec()
        self._reference = ctypes.byref(self._spec)
        # Setting the timer makes it unreadable again, so it need not be read.
        self._watcher = get_hub().loop.io(self._fd, 1)
        self._watcher.start(wake)

    def set(self, at: float) -> None:
        spec = self._spec
        if at < math.inf:
            seconds = int(at)
            spec.seconds = seconds
            spec.nanoseconds = int((at - seconds) * 1e9)
        else:
            spec.seconds = spec.nanoseconds = 0
        self._settime(self._fd, _ABSOLUTE, self._reference, None)

    def close(self) -> None:
        if self._fd >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1


def precise_timer(wake: Callable[[], None]) -> Timer:
    """Return the most precise timer of this system."""
    if sys.platform == "linux":
        try:
            return _TimerfdTimer(wake)
        except (OSError, AttributeError):
            pass
    return LoopTimer(wake)
