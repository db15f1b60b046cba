"""Ctrl-C while the command still imports its modules: that takes longer than a person needs to press it."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the standard module takes longer to import
import os
import sys

__all__ = ["leave_at_once", "release"]

_NAMES = ("conform", "conform.py", "conform.exe")


def _leave(number: int, frame: object) -> None:
    os._exit(130)


def leave_at_once() -> None:
    """End the process without a word on Ctrl-C, if it is the command's own: nothing has begun that has to be ended."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler and sys.argv[0].endswith(_NAMES):
        signal.signal(signal.SIGINT, _leave)


def release() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
