"""`conform explore`: the documentation page for any target, on this machine only.

The same-origin policy prevents a page from calling a target that did not serve it. Therefore a server on the loopback
address serves the page and passes its calls on, as typed, to the target of the profile.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import socket
import sys

from conformance.commands.explorer_run import StoredFindings, options_of
from conformance.commands.explorer_server import Explorer
from conformance.commands.request import stored_run
from conformance.engine.harness import Harness, Request
from conformance.errors import UsageError

__all__ = ["explore"]


# One function, though it is long: the parts of the page live as long as this function.
def explore(request: Request, options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, then log out every session.

    With a run, the page shows its findings, and the target and the profile are by default those of the run.

    Raises:
        UsageError: the options, the run, the profile or the catalogue are wrong, or the port is taken.

    """
    import uvicorn

    if options.finding is not None and options.run_folder is None:
        raise UsageError("--finding ID needs the run that has it: conform explore RUN --finding ID")
    run = stored_run("RUN", options.run_folder) if options.run_folder is not None else None
    if run is not None:
        target, profile = (None, request.profile) if request.target else options_of(run, request.profile)
        request = dataclasses.replace(request, target=request.target or target, profile=profile)
    harness = Harness.prepare(request)
    stored = StoredFindings(run, harness.profile) if run is not None else None
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    explorer: Explorer | None = None
    try:
        wanted = stored.find(options.finding) if stored is not None and options.finding is not None else None
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", options.port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"--port {options.port}: cannot listen there: {why}") from None
        listener.listen(64)
        harness.connect()
        port = listener.getsockname()[1]
        explorer = Explorer(harness, port=port, stored=stored)
        url = f"http://127.0.0.1:{port}/{explorer.key}/"
        if stored is not None:
            url += f"#finding-{wanted}" if wanted is not None else "#findings"
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
