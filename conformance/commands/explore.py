"""`conform explore`: the documentation page for any target, on this machine only.

The same-origin policy prevents a page from calling a target that did not serve it. Therefore a server on the loopback
address serves the page and passes its calls on, as typed, to the target of the profile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys

from conformance.commands.explorer_server import Explorer
from conformance.engine.harness import Harness, Request
from conformance.errors import UsageError

__all__ = ["explore"]


def explore(request: Request, options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, then log out every session.

    Raises:
        UsageError: the options, the profile or the catalogue are wrong, or the port is taken.

    """
    import uvicorn

    harness = Harness.prepare(request)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    explorer: Explorer | None = None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", options.port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"--port {options.port}: cannot listen there: {why}") from None
        listener.listen(64)
        harness.connect()
        port = listener.getsockname()[1]
        explorer = Explorer(harness, port=port)
        url = f"http://127.0.0.1:{port}/{explorer.key}/"
        print(json.dumps({"url": url, "target": harness.profile.shown_url}), flush=True)
        if not request.quiet:
            print(
                f"The explorer of {harness.shown_url} is at {url} (Ctrl-C ends it).\n"
                "Whoever has this address can call the target as the profile's users: keep it to yourself.",
                file=sys.stderr,
                flush=True,
            )
        config = uvicorn.Config(
            explorer,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        if explorer is not None:
            explorer.close()
        harness.close()
    return 0
