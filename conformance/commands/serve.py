"""`conform serve`: run the reference service, one of its faults, or a hostile server."""

from __future__ import annotations

import argparse

from conformance.commands.output import tolerate_closed_pipe
from conformance.errors import UsageError
from fixtures.faults.__main__ import main as faulty
from fixtures.hostile.__main__ import main as misbehave
from fixtures.service.server import main as service

__all__ = ["serve"]


def serve(options: argparse.Namespace) -> int:
    """Run a server until it is interrupted; return the exit status.

    Raises:
        UsageError: the options exclude one another.

    """
    prog = "conform serve"
    with tolerate_closed_pipe():
        if options.list_faults:
            return faulty(["--list-faults"])
        if options.list_hostile:
            return misbehave(["--list"])
        if options.hostile is not None:
            others = (options.db, options.resync_every, *options.fault)
            if options.host != "127.0.0.1" or any(other is not None for other in others):
                raise UsageError("--hostile takes no option beside it but --port")
            return misbehave([options.hostile, f"--port={options.port}"], prog=f"{prog} --hostile")
        arguments = [f"--host={options.host}", f"--port={options.port}"]
        if options.db:
            arguments.append(f"--db={options.db}")
        if options.resync_every is not None:
            arguments.append(f"--resync-every={options.resync_every}")
        if options.fault:
            return faulty([*arguments, *(f"--fault={name}" for name in options.fault)], prog=prog)
        return service(arguments, prog=prog)
    return 0
