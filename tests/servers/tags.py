"""A service of tags: its catalogue has formats that nobody knows and no examples, but its lists show such texts.

`refuses_shown` refuses a colour that it shows; `unique_only` takes each serial once, as a service may.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, ClassVar

from tests.servers import formats

__all__ = ["CATALOGUE", "serving"]

_COLOUR = {"type": "string", "format": "hex-colour"}
_SERIAL = {"type": "string", "format": "serial-9", "maxLength": 40}
_DEFINED = {"$ref": "#/components/schemas/Serial"}
_TAG = {
    "type": "object",
    "required": ["tagId", "colour", "serial"],
    "properties": {"tagId": {"type": "integer"}, "colour": _COLOUR, "serial": {"type": "string"}},
}


def _method(
    name: str, effect: str, params: dict[str, Any], result: dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "x-auth": "none",
        "x-effect": effect,
        "params": [{"name": each, "required": True, "schema": schema} for each, schema in params.items()],
        "result": {"name": "r", "schema": result},
        **more,
    }


CATALOGUE: dict[str, Any] = {
    "openrpc": "1.3.2",
    "info": {"title": "Tags", "version": "1"},
    "components": {"schemas": {"Serial": _SERIAL}},
    "methods": [
        _method("tag.list", "read", {}, {"type": "array", "items": _TAG}, **{"x-rows": ""}),
        _method("tag.byColour", "read", {"colour": _COLOUR}, {"type": "array", "items": _TAG}),
        _method("tag.check", "read", {"serial": _DEFINED}, {"type": "object"}),
        _method("tag.claim", "write", {"serial": _DEFINED}, {"type": "object"}),
        _method("tag.seal", "read", {"seal": {"type": "string", "format": "wax"}}, {"type": "object"}),
    ],
}  # fmt: skip

TAGS = [{"tagId": n, "colour": f"#0{n}0c0a", "serial": f"S{n}-{n:07d}"} for n in range(1, 6)]


class _Handler(formats._Handler):
    defect: ClassVar[str] = ""
    claimed: ClassVar[set[str]] = set()
    #: The data of each call of a function that was answered 200.
    accepted: ClassVar[list[tuple[str, Any]]] = []

    endpoint = "/api/tag"
    functions: ClassVar[Collection[str]] = {
        method["name"].partition(".")[2] for method in CATALOGUE["methods"]
    }

    def _run(self, name: str, data: Any, page: slice) -> tuple[int, Any]:
        data = {} if data is None else data
        if not isinstance(data, dict):
            return 400, None
        if name == "list":
            return 200, TAGS[page]
        field, pattern = {
            "byColour": ("colour", "#[0-9a-f]{6}"),
            "check": ("serial", r"S\d-\d{7}"),
            "claim": ("serial", r"S\d-\d{7}"),
            "seal": ("seal", "wax-[a-z]{9}"),
        }[name]
        value = data.get(field)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            return 400, None
        if self.defect == "refuses_shown" and value == TAGS[0]["colour"]:
            return 400, None
        if name == "claim" and self.defect == "unique_only":
            if value in self.claimed:
                return 400, None
            self.claimed.add(value)
        self.accepted.append((name, value))
        if name == "byColour":
            return 200, [tag for tag in TAGS if tag["colour"] == value]
        return 200, {}


@contextlib.contextmanager
def serving(folder: Path, defect: str = "") -> Iterator[tuple[Path, list[tuple[str, Any]]]]:
    """Serve in a thread; yield the profile, which lies in `folder`, and the list of accepted values."""
    accepted: list[tuple[str, Any]] = []
    members = {"defect": defect, "claimed": set(), "accepted": accepted}
    with formats.serving_handler(_Handler, CATALOGUE, folder, **members) as profile:
        yield profile, accepted
