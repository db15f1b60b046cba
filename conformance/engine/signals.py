"""Ctrl-C, and what it may break off: the first one ends the judging, a later one the clean-up, none the report.

What a call under way creates on the target is known only when its answer has come, so an interruption waits for that
answer, but no longer than a moment.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

__all__ = ["Interruption"]

#: Seconds that an interruption waits for the answer of the call under way.
_PATIENCE = 2.0

#: A second Ctrl-C that comes sooner than this is the same one, pressed twice.
_AGAIN = 0.5

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Takes SIGINT and SIGTERM while a run lasts. `phase` is "judging", "clean-up" or "report"."""

    def __init__(self) -> None:
        self.phase = "judging"
        self.pending = False
        self.seen = False
        self._last = 0.0
        self._before: dict[int, Any] = {}

    def watch(self) -> None:
        """Take the signals over, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:  # started in the background, or under nohup
                continue
            self._before[number] = signal.signal(number, self._on_signal)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)

    def release(self) -> None:
        """Give the signals back to whoever had them."""
        if self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def enter(self, phase: str) -> None:
        """Go on to the next phase; messages about the one before are not printed any more."""
        self.phase = phase
        self.pending = False
        if self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def answered(self) -> None:
        """Break the judging off if it is to be: a call has ended, and it is known what it created.

        Raises:
            KeyboardInterrupt: a signal came during the call.

        """
        if self.pending and self.phase == "judging":
            # Whoever breaks off now may need longer than the alarm's time, e.g. to format a traceback.
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self.seen and now - self._last > _AGAIN
        soon = self.seen and not again
        self.seen = True
        self._last = now
        if self.phase == "report" or soon:
            return
        if self.phase == "judging" and not again:
            self.pending = True
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
            return
        raise KeyboardInterrupt

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if self.pending and self.phase == "judging":
            raise KeyboardInterrupt
