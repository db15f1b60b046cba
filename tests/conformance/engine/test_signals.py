"""An interruption is raised once: no alarm follows it while its traceback is formatted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from conformance.engine.signals import Interruption


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    made = Interruption()
    made.watch()
    try:
        yield made
    finally:
        made.release()


def test_signal_waits_for_the_answer(interruption: Interruption) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert interruption.pending
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0


def test_no_alarm_follows_an_interruption(interruption: Interruption) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        interruption.answered()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_alarm_interrupts_a_call_that_gets_no_answer(interruption: Interruption) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGALRM)
