"""What a run can run: a test of the suites, or a single test that a command or a benchmark makes itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from conformance.engine.context import TestContext

__all__ = ["Runnable", "SingleTest"]


class Runnable(Protocol):
    """A test that `Run.run_test` runs."""

    @property
    def name(self) -> str:
        """The name, from which the test's random numbers are derived."""

    @property
    def rules(self) -> tuple[str, ...]:
        """The wanted rules that it judges."""

    @property
    def disturbs_sessions(self) -> bool:
        """Whether the test itself ends sessions, so that lost ones afterwards say nothing."""

    @property
    def body(self) -> Callable[[TestContext], None]:
        """The test itself."""


@dataclass(frozen=True, eq=False)
class SingleTest:
    """A test that is not one of the suites."""

    name: str
    body: Callable[[TestContext], None]
    rules: tuple[str, ...] = ()
    disturbs_sessions: bool = False
