"""The engine behind HTTP: in a thread for tests, or as a process of its own."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.servers import launch, library_model, library_wire
from tests.servers.engine import Engine
from tests.servers.engine_model import ApiError, Call, Domain, Request


class Wire:
    """What the library's reader of HTTP asks of a service."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def bug(self, *_names: str) -> bool:
        """Return that no defect of the library is wanted."""
        return False

    def answer(self, request: library_model.Request) -> library_model.Reply:
        """Answer a request."""
        path, _, query = request.target.partition("?")
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
        given = Request(request.verb, path, query.encode("latin-1"), fields, request.body, request.peer)
        answer = self.engine.answer(given)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
        return library_model.Reply(answer.status, headers, answer.body)

    def error(self, status: int, message: str, _name: str | None) -> library_model.Reply:
        """Return the answer to a request that is not HTTP: a refusal."""
        engine, call = self.engine, Call(Request("POST", "", b"", [], b""))
        headers = {name.decode(): value.decode() for name, value in engine.headers(call, status)}
        body = engine.render(call, engine.failure(call, ApiError(status, message)))
        return library_model.Reply(status, headers, body)


def prepared(
    engine: Engine, place: Path, port: int = 0, handler: type[library_wire.Handler] = library_wire.Handler
) -> tuple[library_wire.Server, launch.Ready]:
    """Return a server that listens, and where it is, with its profile and its catalogue."""
    server = library_wire.Server(port, Wire(engine), handler)
    url = f"http://127.0.0.1:{server.server_port}{engine.domain.base}"
    catalog, profile = place / "catalogue.openrpc.json", place / "conform.toml"
    catalog.write_text(json.dumps(engine.catalogue(), indent=1), encoding="utf-8")
    profile.write_text(engine.domain.profile.format(url=url, catalog=catalog.name), encoding="utf-8")
    return server, launch.Ready(url, profile, catalog)


@contextlib.contextmanager
def serving(
    engine: Engine, place: Path, handler: type[library_wire.Handler] = library_wire.Handler
) -> Iterator[launch.Ready]:
    """Serve in a thread."""
    server, ready = prepared(engine, place, handler=handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield ready
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(domain: Callable[[], Domain], description: str) -> None:
    """Serve a domain until it is ended."""
    arguments = launch.options(description).parse_args()
    server, ready = prepared(Engine(domain()), launch.folder(arguments.dir), arguments.port)
    launch.end_with(server.shutdown, parent=arguments.exit_with_parent)
    launch.ready(*ready)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
