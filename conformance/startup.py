"""What the command does before it imports its modules: it takes Ctrl-C over, and makes sure that they are its own.

The imports take longer than a person needs to press Ctrl-C.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the standard module takes longer to import
import os
import sys

__all__ = ["leave_at_once", "prefer_own_modules", "release"]

_NAMES = ("conform", "conform.py", "conform.exe")


def _leave(number: int, frame: object) -> None:
    os._exit(130)


def leave_at_once() -> None:
    """End the process without a word on Ctrl-C, if it is the command's own: nothing has begun that has to be ended."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler and sys.argv[0].endswith(_NAMES):
        signal.signal(signal.SIGINT, _leave)


def prefer_own_modules() -> None:
    """Put the folder of the package first on the path if a folder before it has `fixtures`, `load` or `reports`.

    A team's repository may have folders of these names, and `PYTHONPATH=.`.
    """
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH120, PTH100  (pathlib takes long)
    for folder in sys.path:
        place = os.path.abspath(folder)  # noqa: PTH100
        if place == own:
            return
        for name in ("fixtures", "load", "reports"):
            if os.path.exists(os.path.join(place, name)):  # noqa: PTH110, PTH118
                sys.path.insert(0, own)
                return


def release() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
