"""A client of a scripted server."""

from __future__ import annotations

from conformance.protocol.client import Client
from tests.support.scripted_server import (
    Served,
)


def connect(served: Served, **options: object) -> Client:
    return Client(served.url, **{"timeout": 5.0, **options})  # type: ignore[arg-type]
