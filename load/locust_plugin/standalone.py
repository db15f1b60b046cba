"""Locust's hooks: the options of the load, and its set-up when Locust's environment is there.

`load/locustfile.py` and a scenario file under `locust -f` both need them, each once.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

from locust import events

from conformance.errors import UsageError
from conformance.events import RefusedEvent
from load.distributed.results import Events
from load.locust_plugin.hooks import EVENTS
from load.options import add_arguments

__all__ = ["listen"]

_listening = False


def listen(begin: Callable[[Any], None] | None = None) -> None:
    """Add the options of the load to Locust's, and call `begin` with Locust's environment; do so only once.

    Without `begin`, the users of the scenario file that Locust has loaded are set up.
    """
    global _listening
    if _listening:
        return
    _listening = True

    @events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
    def options(parser: Any) -> None:
        add_arguments(parser, under_locust=True)

    @events.init.add_listener  # type: ignore[untyped-decorator]
    def set_up(environment: Any, **more: Any) -> None:
        gc.freeze()
        gc.enable()  # `load.locust_plugin.main` disables it for the imports
        try:
            (begin or _begin_scenario_file)(environment)
        except UsageError as error:
            sys.stderr.write(f"locust: {error}\n")
            _report(str(error))
            raise SystemExit(2) from None


def _report(why: str) -> None:
    """Report a usage error to whoever reads the events."""
    with contextlib.suppress(OSError):
        events_file = Events(os.environ.get(EVENTS))
        events_file.write(RefusedEvent("usage", why))
        events_file.close()


def _begin_scenario_file(environment: Any) -> None:
    # It needs Locust's environment, and imports most of the load.
    from load.locust_plugin.bootstrap import bootstrap_scenario_file

    bootstrap_scenario_file(environment)
