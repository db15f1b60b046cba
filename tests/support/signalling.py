"""Reset signals for processes that tests start: a child inherits the ignored signals of its parents."""

from __future__ import annotations

import signal
from collections.abc import Callable

__all__ = ["ignores_hangups", "obeys_signals"]


def obeys_signals(then: Callable[[], None] | None = None) -> Callable[[], None]:
    """Return a `preexec_fn` that gives signals their ordinary effect, under nohup and in the background, too.

    `then` is called after it.
    """

    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if then is not None:
            then()

    return prepare


def ignores_hangups() -> None:
    """Have a child begin as under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
