"""Load that is put on a target by Locust, measured from the moment each request was due.

A team's own scenario file imports what it needs from here (docs/scenarios.md):

    from load import RpcUser, csv_feed, task
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from locust import task

    from load.locust_plugin.rpc_user import RpcUser
    from load.workload.feeds import csv_feed, json_feed
    from load.workload.own_calls import Answer

__all__ = ["Answer", "RpcUser", "csv_feed", "json_feed", "task"]


def __getattr__(name: str) -> Any:
    """Return a name for scenario files; Locust, which patches sockets, is imported for them alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from load.locust_plugin import for_scenarios  # Locust is imported only where a scenario file is

    return getattr(for_scenarios, name)
