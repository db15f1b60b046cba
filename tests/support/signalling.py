"""Signals and limits of processes that tests start: a child inherits the ignored signals of its parents."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from functools import partial

__all__ = ["ignores_hangups", "limits_file_size", "obeys_signals"]


def obeys_signals(then: Callable[[], None] | None = None) -> Callable[[], None]:
    """Return a `preexec_fn` that gives signals their ordinary effect, under nohup and in the background, too.

    `then` is called after it.
    """
    return partial(_obey_signals, then)


def _obey_signals(then: Callable[[], None] | None) -> None:
    for number, effect in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        signal.signal(number, effect)
    if then is not None:
        then()


def ignores_hangups() -> None:
    """Have a child begin as under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def limits_file_size(size: int) -> Callable[[], None]:
    """Return a `preexec_fn` that makes writes beyond `size` bytes of a file fail, as on a full disk."""
    return partial(_limit_file_size, size)


def _limit_file_size(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
