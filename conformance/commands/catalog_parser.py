"""The options of the verbs of `conform catalog`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from conformance.engine.harness import named_path, positive

__all__ = ["add_entity", "add_verbs"]


def add_verbs(verbs: Any) -> None:
    """Add the verbs with their options; `verbs` has the method `add_parser` of argparse."""
    _add_import(verbs)
    _add_learn(verbs)
    _add_validate(verbs)
    _add_export(verbs)


def add_entity(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the names of functions are divided."""
    parser.add_argument(
        "--entity-from",
        metavar="TEXT",
        help='what divides entity and function in names without a dot: "_" makes course_find course.find',
    )


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=named_path,
        default=Path("catalogue.openrpc.json"),
        metavar="FILE",
        help="default: catalogue.openrpc.json; - is the screen",
    )


def _add_import(verbs: Any) -> None:
    imports = verbs.add_parser(
        "import", help="make a catalogue of a documentation page, OpenAPI, Swagger, Postman or OpenRPC"
    )
    imports.add_argument("sources", nargs="+", metavar="URL|FILE", help="a document, or several")
    _add_out(imports)
    add_entity(imports)
    imports.add_argument(
        "--guess", action="store_true", help="take find, read, get, list, status for reading"
    )
    renewed = imports.add_mutually_exclusive_group()
    renewed.add_argument(
        "--update", action="store_true", help="keep what was answered since; say what changed"
    )
    renewed.add_argument(
        "--check", action="store_true", help="write nothing; status 1 if the document has moved on"
    )
    imports.set_defaults(command="catalog import")


def _add_learn(verbs: Any) -> None:
    learn = verbs.add_parser("learn", help="make a catalogue of recorded traffic")
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
    learn.set_defaults(command="catalog learn")


def _add_validate(verbs: Any) -> None:
    validate = verbs.add_parser("validate", help="check a catalogue, with line numbers")
    validate.add_argument("catalog", type=named_path, metavar="FILE")
    validate.set_defaults(command="catalog validate")


def _add_export(verbs: Any) -> None:
    export = verbs.add_parser("export", help="write an OpenAPI 3.1 description of the functions")
    export.add_argument(
        "catalog",
        nargs="?",
        type=named_path,
        metavar="CATALOGUE",
        help="default: that of the profile, or of the embedded service",
    )
    written = export.add_mutually_exclusive_group(required=True)
    written.add_argument("--openapi", type=named_path, metavar="FILE", help="what to write; - is the screen")
    written.add_argument(
        "--markdown", type=named_path, metavar="FILE", help="write it for people; - is the screen"
    )
    export.add_argument(
        "--profile", metavar="FILE", type=named_path, help="default: conform.toml here, when there is one"
    )
    export.add_argument(
        "--target", metavar="URL", help="the base URL to name (default: the profile's, if it has one)"
    )
    export.add_argument(
        "--per-function",
        action="store_true",
        help="an operation for each function (POST /course#find) instead of one for each endpoint",
    )
    export.add_argument("--strict", action="store_true", help="describe what should hold, too")
    export.set_defaults(command="catalog export")
