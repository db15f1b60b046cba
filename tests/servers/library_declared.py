"""The state of the lending library, and what it declares of its functions."""

from __future__ import annotations

import contextlib
import copy
import secrets
import threading
from collections.abc import Callable
from typing import Any

from tests.servers import schema
from tests.servers.library_catalog import document
from tests.servers.library_defects import DEFECTS
from tests.servers.library_model import (
    Call,
    Item,
    Session,
    User,
    digest,
)


class Declared:
    """The users, entries and sessions of the library, and the schemas of its functions."""

    def __init__(self, defect: str | None = None) -> None:
        if defect is not None and defect not in DEFECTS:
            raise ValueError(f"no such defect: {defect}")
        self.defect = defect
        self.lock: contextlib.AbstractContextManager[Any] = threading.RLock()
        if self.bug("session-mix-up", "concurrent-creates-lost", "concurrent-creates-one-id"):
            self.lock = contextlib.nullcontext()
        self.catalog = document()
        if self.bug("snake-parameter"):
            self._rename_parameter("shelf.change", "label", "shelf_label")
        self.methods: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in self.catalog["methods"]}
        self.entities = {name.split(".")[0] for name in self.methods}
        self.specs = {name: self._spec(entry) for name, entry in self.methods.items()}
        self.functions: dict[str, Callable[[Call], Any]] = {
            name: getattr(self, "do_" + name.replace(".", "_")) for name in self.methods
        }
        self.users: dict[str, User] = {}
        self.phrases: dict[str, str] = {}  # for defects alone
        for name, phrase, role in (
            ("marian", "Quiet Please, 1957", "member"),
            ("Åsa_K", "lånekort?Blått!88", "member"),
            ("head-of-house", "DeweyDecimal/025.431", "librarian"),
            ("idle-reader", secrets.token_hex(8), "member"),
            ("Zoë", secrets.token_hex(8), "member"),
        ):
            self.users[name] = User(name, digest(phrase), {role})
            self.phrases[name] = phrase
        self.sessions: dict[str, Session] = {}
        self.books: dict[str, Item] = {}
        self.shelves: dict[int, Item] = {}
        self.loans: dict[str, Item] = {}
        self.remarks: dict[int, Item] = {}
        self.last_remark = 0
        self.gone: set[str] = set()
        self.attic: dict[str, dict[str, Any]] = {}  # for defects alone
        self.counter = 1000
        self.current: User | None = None
        self.rotation = 0

    def bug(self, *names: str) -> bool:
        """Whether the server has one of these defects."""
        return self.defect in names

    def _rename_parameter(self, name: str, old: str, new: str) -> None:
        for entry in self.catalog["methods"]:
            if entry["name"] == name:
                for param in entry["params"]:
                    if param["name"] == old:
                        param["name"] = new

    def _spec(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The schema of a function's data."""
        params = [schema.resolve(param, self.catalog) for param in entry["params"]]
        spec = {
            "type": "object",
            "properties": {param["name"]: param["schema"] for param in params},
            "required": [param["name"] for param in params if param.get("required")],
            "additionalProperties": False,
        }
        spec = copy.deepcopy(spec)
        self._loosen(entry["name"], spec)
        return spec

    def _loosen(self, name: str, spec: dict[str, Any]) -> None:
        """Schema defects."""
        properties = spec["properties"]
        if name == "book.create":
            if self.bug("bool-as-int"):
                properties["copies"] = {"anyOf": [properties["copies"], {"type": "boolean"}], "default": 1}
            if self.bug("maximum-off-by-one"):
                properties["copies"]["maximum"] += 1
            if self.bug("pattern-not-anchored"):
                properties["isbn"]["pattern"] = "[0-9]{13}"
            if self.bug("nested-required-ignored"):
                properties["size"] = {"type": ["object", "null"]}
            if self.bug("unique-items-ignored"):
                properties["tags"]["uniqueItems"] = False
            if self.bug("email-unchecked"):
                del properties["keeper"]["format"]
        if name == "book.change" and self.bug("enum-unchecked-on-change"):
            properties["language"] = {"type": "string"}
        if name == "loan.create" and self.bug("date-by-shape"):
            properties["fromDay"] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
        if name == "shelf.create":
            if self.bug("null-for-required"):
                properties["label"]["type"] = ["string", "null"]
            if self.bug("numeric-text-as-number"):
                properties["floor"] = {
                    "anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]
                }
            if self.bug("multiple-unchecked"):
                del properties["fee"]["multipleOf"]
            if self.bug("minimum-length-ignored"):
                del properties["label"]["minLength"]
