"""The options of the commands that make a catalogue or a profile: `catalog import`, `catalog learn` and `init`.

It imports none of these commands, since the parser is built for every run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.engine.harness import named_path, positive

__all__ = ["add_import", "add_init", "add_learn"]

_CATALOGUE = "catalogue.openrpc.json"


def add_import(deeds: Any) -> argparse.ArgumentParser:
    """Add `conform catalog import`."""
    parser: argparse.ArgumentParser = deeds.add_parser(
        "import",
        allow_abbrev=False,
        help="make a catalogue of a documentation page, OpenAPI, Swagger, Postman or OpenRPC",
    )
    parser.add_argument("sources", nargs="+", metavar="URL|FILE", help="a document, or several")
    _add_out(parser)
    _add_entity(parser)
    parser.add_argument("--guess", action="store_true", help="take find, read, get, list, status for reading")
    renewed = parser.add_mutually_exclusive_group()
    renewed.add_argument(
        "--update", action="store_true", help="keep what was answered since; say what changed"
    )
    renewed.add_argument(
        "--check", action="store_true", help="write nothing; status 1 if the document has moved on"
    )
    return parser


def add_learn(deeds: Any) -> argparse.ArgumentParser:
    """Add `conform catalog learn`."""
    learn: argparse.ArgumentParser = deeds.add_parser(
        "learn", allow_abbrev=False, help="make a catalogue of recorded traffic"
    )
    learn.add_argument(
        "sources", nargs="+", type=named_path, metavar="FILE|RUN", help="HAR files, and folders of runs"
    )
    _add_out(learn)
    learn.add_argument(
        "--target", metavar="URL", help="the target's base URL (default: that of most of the calls)"
    )
    learn.add_argument(
        "--profile", metavar="FILE", type=named_path, help="default: conform.toml here, when there is one"
    )
    learn.add_argument(
        "--min-samples", type=positive, default=10, metavar="N", help="calls that make a constraint (10)"
    )
    renewed = learn.add_mutually_exclusive_group()
    renewed.add_argument(
        "--update",
        action="store_true",
        help="keep what was written by hand; say what came and what contradicts it",
    )
    renewed.add_argument(
        "--check",
        action="store_true",
        help="write nothing; status 1 if the traffic contradicts the catalogue",
    )
    return learn


def add_init(verbs: Any, user: Callable[[str], object]) -> argparse.ArgumentParser:
    """Add `conform init`; `user` parses the option --user."""
    init: argparse.ArgumentParser = verbs.add_parser(
        "init", allow_abbrev=False, help="write a profile and a catalogue to begin with"
    )
    init.add_argument("--target", metavar="URL", help="the target's base URL")
    init.add_argument(
        "--from",
        "--page",
        dest="source",
        metavar="URL|FILE",
        help="a document to make the catalogue of: all that `catalog import` reads",
    )
    _add_entity(init)
    init.add_argument("--login", metavar="ENTITY.FUNCTION", help="default: auth.login")
    init.add_argument(
        "--session", metavar="POINTER", help="the JSON pointer to the session in the login's data"
    )
    init.add_argument(
        "--user",
        action="append",
        default=[],
        type=user,
        metavar="NAME[:VARIABLE:VARIABLE]",
        help="a user, and the variables of the name and the secret (repeatable)",
    )
    init.add_argument("--environment", choices=("test", "production"))
    init.add_argument(
        "--dir", type=named_path, default=Path(), metavar="DIR", help="where to write (default: here)"
    )
    init.add_argument("--yes", action="store_true", help="ask nothing: take the options and the defaults")
    init.add_argument(
        "--no-check", action="store_true", help="call nothing: try no login, and run no rules that only read"
    )
    init.add_argument("--no-color", action="store_true")
    return init


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=named_path,
        default=Path(_CATALOGUE),
        metavar="FILE",
        help=f"default: {_CATALOGUE}; - is the screen",
    )


def _add_entity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--entity-from",
        metavar="TEXT",
        help='what divides entity and function in names without a dot: "_" makes course_find course.find',
    )
