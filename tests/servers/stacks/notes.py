"""The catalogue and the profile of the notes service, and the processes that serve it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["MENDS", "AbsentError", "command", "serving", "write_profile"]

HERE = Path(__file__).resolve().parent

#: The switches of each server. Each mends one defect.
MENDS: dict[str, tuple[str, ...]] = {
    "express": (
        *("json", "type", "size", "body", "route", "login", "unknown", "types", "required", "data"),
        *("missing", "paging", "headers"),
    ),
    "fastapi": (
        *("json", "pydantic", "types", "route", "crash", "login", "unknown", "missing", "owner"),
        *("paging", "random", "headers"),
    ),
    "go": (
        *("json", "route", "verb", "login", "unknown", "bounds", "required", "missing", "owner", "paging"),
        *("random", "session", "headers"),
    ),
    "plain": ("json", "route", "login", "unknown", "types", "missing", "paging", "session", "headers"),
}

Schema = dict[str, Any]

NOTE_ID: Schema = {"type": "integer", "minimum": 1, "x-ref": "note"}
FIELDS: dict[str, Schema] = {
    "title": {"type": "string", "minLength": 1, "maxLength": 100},
    "text": {"type": "string", "maxLength": 2000, "default": ""},
    "priority": {"type": "integer", "minimum": 1, "maximum": 5, "default": 3},
    "pinned": {"type": "boolean", "default": False},
    "tags": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 30},
        "maxItems": 10,
        "default": [],
    },
}


class AbsentError(Exception):
    """What a server needs is not on this machine; the text says what."""


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _plain(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in ("default", "x-ref")}


NOTE = _object(noteId=_plain(NOTE_ID), **{name: _plain(schema) for name, schema in FIELDS.items()})
USER = _object(
    userId={"type": "integer"},
    email={"type": "string"},
    roles={"type": "array", "items": {"type": "string"}},
)


def _method(
    name: str,
    summary: str,
    result: Schema,
    params: dict[str, Schema],
    needed: Sequence[str] = (),
    **more: Any,
) -> Schema:
    return {
        "name": name,
        "summary": summary,
        "paramStructure": "by-name",
        "params": [{"name": key, "required": key in needed, "schema": params[key]} for key in params],
        "result": {"name": "data", "schema": result},
        **{f"x-{key}": value for key, value in more.items()},
    }


def _of_note(does: str, **more: str) -> Schema:
    return {"kind": "note", "does": does, "id": "noteId", **more}


# One function, though it is long: one catalogue.
def catalogue() -> Schema:
    """Return the catalogue of the service."""
    changes = {name: {k: v for k, v in schema.items() if k != "default"} for name, schema in FIELDS.items()}
    text = {"type": "string", "minLength": 1}
    session = _object(sessionId=text)
    methods = [
        _method(
            "auth.login",
            "Log in",
            session,
            {"identity": text, "credential": text},
            ("identity", "credential"),
            auth="none",
        ),
        _method("auth.logout", "Log out", {"type": "object"}, {}),
        _method("auth.status", "Who is logged in", _object(user=USER), {}, effect="read"),
        _method(
            "user.find",
            "List the users",
            _object(users={"type": "array", "items": USER}),
            {},
            auth="admin",
            effect="read",
            rows="/users",
        ),
        _method(
            "note.create",
            "Write a note",
            _object(noteId=_plain(NOTE_ID)),
            FIELDS,
            ("title",),
            object=_of_note("create", id="/noteId"),
        ),
        _method(
            "note.read",
            "Read a note",
            _object(note=NOTE),
            {"noteId": NOTE_ID},
            ("noteId",),
            effect="read",
            object=_of_note("read", at="/note"),
        ),
        _method(
            "note.update",
            "Change a note",
            _object(note=NOTE),
            {"noteId": NOTE_ID, **changes},
            ("noteId",),
            object=_of_note("update", at="/note"),
        ),
        _method(
            "note.delete",
            "Remove a note",
            {"type": "object"},
            {"noteId": NOTE_ID},
            ("noteId",),
            effect="delete",
            object=_of_note("delete"),
        ),
        _method(
            "note.find",
            "List one's notes",
            _object(notes={"type": "array", "items": NOTE}),
            {"query": {"type": "string", "maxLength": 100, "default": ""}},
            effect="read",
            rows="/notes",
            object=_of_note("list", id="/noteId"),
        ),
    ]
    return {"openrpc": "1.3.2", "info": {"title": "Notes", "version": "1"}, "methods": methods}


PROFILE = """\
[target]
url = "{url}"
environment = "test"
catalog = "notes.openrpc.json"

[auth]
login = {{ function = "auth.login", user = "identity", secret = "credential" }}
logout = "auth.logout"
whoami = {{ function = "auth.status", field = "/user/email" }}
session = "/sessionId"

[users.ann]
user = "ann@example.com"
secret = "ann-Secret-1"
roles = ["user"]

[users.bo]
user = "bo@example.com"
secret = "bo-Secret-2"
roles = ["user"]

[users.root]
user = "root@example.com"
secret = "root-Secret-3"
roles = ["user", "admin"]
"""


def write_profile(folder: Path, url: str) -> Path:
    """Write the catalogue and the profile into a folder; return the profile's path."""
    (folder / "notes.openrpc.json").write_text(json.dumps(catalogue(), indent=1), "utf-8")
    profile = folder / "conform.toml"
    profile.write_text(PROFILE.format(url=url), "utf-8")
    return profile


def command(stack: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves a stack, and its environment; build it in the folder if need be.

    `CONFORM_NODE_MODULES` is a folder that has Express; `CONFORM_FASTAPI_PYTHON` a Python that has FastAPI.
    Raises AbsentError if the machine has not what is needed.
    """
    environment = dict(os.environ)
    if stack == "express":
        modules = os.environ.get("CONFORM_NODE_MODULES") or str(HERE / "express" / "node_modules")
        if shutil.which("node") is None or not (Path(modules) / "express").is_dir():
            raise AbsentError("node or Express is absent (CONFORM_NODE_MODULES names the folder that has it)")
        environment["NODE_PATH"] = modules
        return ["node", str(HERE / "express" / "server.js")], environment
    if stack == "fastapi":
        python = os.environ.get("CONFORM_FASTAPI_PYTHON") or sys.executable
        found = subprocess.run([python, "-c", "import fastapi, uvicorn"], capture_output=True, check=False)
        if found.returncode:
            raise AbsentError(
                "FastAPI or uvicorn is absent (CONFORM_FASTAPI_PYTHON names a Python that has them)"
            )
        return [python, str(HERE / "fastapi" / "server.py")], environment
    if stack == "go":
        if shutil.which("go") is None:
            raise AbsentError("go is absent")
        program = folder / "notes-server"
        if not program.exists():
            subprocess.run(["go", "build", "-o", str(program), "."], cwd=HERE / "go", check=True)
        return [str(program)], environment
    return [sys.executable, "-m", "tests.servers.stacks.plain"], environment


@contextmanager
def serving(stack: str, folder: Path, mended: Sequence[str] = ()) -> Iterator[Path]:
    """Serve a stack with defects mended, and yield the path of the profile. Raises AbsentError."""
    line, environment = command(stack, folder)
    environment["MEND"] = ",".join(mended)
    with subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=HERE.parents[2]
    ) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            yield write_profile(folder, url)
        finally:
            process.terminate()
