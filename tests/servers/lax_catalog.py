"""The catalogue and the profile of the lenient server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

USERS = {"ann": "ann-Secret-1", "bo": "bo-Secret-2", "carl": "carl-Secret-3", "dora": "dora-Secret-4"}


def catalogue() -> dict[str, Any]:
    """Return the server's catalogue."""
    text = {"type": "string", "maxLength": 200}
    number = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
    ids: dict[str, dict[str, Any]] = {
        "folder": number,
        "note": number,
        "card": {"type": "string", "format": "uuid"},
    }
    note = {**number, "x-ref": "note"}
    fields: dict[str, Any] = {
        "folder": {"name": text},
        "note": {"title": text, "folderId": {"type": ["integer", "null"], "x-ref": "folder"}},
        "card": {
            "text": text,
            "noteIds": {"type": "array", "items": note, "maxItems": 4},
            "links": {
                "type": "array",
                "maxItems": 3,
                "items": {"type": "object", "properties": {"noteId": note}, "required": ["noteId"]},
            },
        },
    }
    methods: list[dict[str, Any]] = [
        _method("auth.login", "write", {"identity": text, "credential": text}, auth="none"),
        _method("auth.logout", "write", {}),
        _method("auth.status", "read", {}),
        _method("note.archive", "write", {"noteId": note}),
    ]
    for kind, own in ids.items():
        name, first = f"{kind}Id", next(iter(fields[kind]))
        own = {**own, "x-ref": kind}
        methods += [
            _method(f"{kind}.add", "write", fields[kind], (kind, "create", f"/{name}"), required=[first]),
            _method(f"{kind}.read", "read", {name: own}, (kind, "read", name)),
            _method(
                f"{kind}.update",
                "write",
                {name: own, **fields[kind]},
                (kind, "update", name),
                required=[name],
            ),
            _method(f"{kind}.remove", "delete", {name: own}, (kind, "delete", name)),
            {**_method(f"{kind}.find", "read", {}, (kind, "list", f"/{name}")), "x-rows": "/rows"},
        ]
    return {"openrpc": "1.2.6", "info": {"title": "notes", "version": "1"}, "methods": methods}


def _method(
    name: str,
    effect: str,
    fields: dict[str, Any],
    role: tuple[str, str, str] | None = None,
    *,
    auth: str = "session",
    required: Sequence[str] | None = None,
) -> dict[str, Any]:
    wanted = list(fields) if required is None else required
    method: dict[str, Any] = {
        "name": name,
        "params": [
            {"name": each, "required": each in wanted, "schema": schema} for each, schema in fields.items()
        ],
        "result": {"name": "data", "schema": {"type": "object"}},
        "x-auth": auth,
        "x-effect": effect,
    }
    if role is not None:
        method["x-object"] = dict(zip(("kind", "does", "id"), role, strict=True))
    return method


def profile(folder: Path, url: str) -> Path:
    """Write the catalogue and a profile with two of the users; return the profile's path."""
    (folder / "catalogue.openrpc.json").write_text(json.dumps(catalogue()), "utf-8")
    path = folder / "conform.toml"
    path.write_text(
        f"""[target]
url = "{url}"
environment = "test"
catalog = "catalogue.openrpc.json"

[auth]
login = {{ function = "auth.login", user = "identity", secret = "credential" }}
logout = "auth.logout"
whoami = {{ function = "auth.status", field = "/user" }}

[users.ann]
user = "ann"
secret = "{USERS["ann"]}"
roles = ["user"]

[users.bo]
user = "bo"
secret = "{USERS["bo"]}"
roles = ["user"]
""",
        "utf-8",
    )
    return path
