"""The three servers that get defects: the reference service, the clinic and the warehouse."""

from __future__ import annotations

import contextlib
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.defect_grid.catalogue_view import View
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Apply
from fixtures.service import wire
from fixtures.service.service import Service
from tests.servers import clinic, engine_http, warehouse
from tests.servers.engine import Engine
from tests.servers.engine_model import ApiError, Domain

PROFILE = Path(__file__).resolve().parent.parent.parent / "fixtures" / "service" / "conform.toml"

DOMAINS: dict[str, Callable[[], Domain]] = {"clinic": clinic.domain, "warehouse": warehouse.domain}
SERVERS = ("reference", *DOMAINS)


def view_of(server: str) -> View:
    """Return what the templates read of a server."""
    if server == "reference":
        service = Service(":memory:")
        try:
            return View(service.catalogue(), tomllib.loads(PROFILE.read_text(encoding="utf-8")))
        finally:
            service.close()
    domain = DOMAINS[server]()
    profile = tomllib.loads(domain.profile.format(url="http://127.0.0.1/", catalog="-"))
    return View(domain.document, profile | {"steps": ("under_parents",), "raw_header_names": True})


@contextlib.contextmanager
def serving(server: str, view: View, apply: Apply) -> Iterator[tuple[str, Path]]:
    """Run a server with a defect in a thread; yield its base URL and its profile."""
    from tests.support import judging

    with tempfile.TemporaryDirectory(prefix="conform-grid-") as name:
        folder = Path(name)
        if server == "reference":

            def change(service: Service) -> Service:
                apply(Host(service, view, wire.ApiError))
                return service

            with judging.serving_here(change=change) as (url, catalogue):
                yield url, judging.profile_of(catalogue, folder)
            return
        engine: Any = Engine(DOMAINS[server]())
        apply(Host(engine, view, ApiError))
        with engine_http.serving(engine, folder) as ready:
            assert ready.profile is not None
            yield ready.url, ready.profile
