"""Run coroutines one after another in an event loop, for thousands of calls of a service.

`asyncio.run` creates a loop for each of them, and a runner of asyncio looks at the handlers of signals before and after
each: both take longer than a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoop:
    """An event loop of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.get_loop().run_until_complete(work)

    def close(self) -> None:
        self._runner.close()
