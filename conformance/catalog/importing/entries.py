"""The entry of an imported function in a catalogue: what its document states, and cautious values for the rest.

No document contains everything that a catalogue needs. The missing values get cautious defaults: `x-auth` is "session",
`x-effect` is "write", and `x-beyond-schema` is true for a function with parameters. These values are listed under
`x-questions`. A person answers a question by writing the right value or by deleting the question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from conformance.catalog.importing.names import Parameter, nested
from conformance.schema.bundle import Json

__all__ = [
    "EVIDENCE",
    "EXTENSIONS",
    "QUESTIONS",
    "Function",
    "Importable",
    "Imported",
    "entry_of",
    "extensions_of",
]

QUESTIONS, EVIDENCE = "x-questions", "x-evidence"
#: Members of a catalogue that other documents may have, too.
EXTENSIONS = ("x-auth", "x-effect", "x-rows", "x-object", "x-beyond-schema", "x-suggested")
_READS = re.compile(r"(?:find|read|get|list|status)(?![a-z])")
_LOGS_IN = re.compile(r"log[iI]n(?![a-z])|signIn(?![a-z])")
#: The order of the members of an entry.
_STATED = ("x-auth", "x-effect", "x-rows", "x-object", "x-beyond-schema", "result")


class Importable(Protocol):
    """A function that a document describes."""

    @property
    def name(self) -> str:
        """The name, `entity.function`."""

    def entry(self, *, guess: bool = False, flat: bool = False) -> dict[str, Json]:
        """Return the function as a method of a catalogue.

        With `guess` unknown members follow from the name. With `flat` names such as `flag.name` stay as they are.
        """

    def notes(self) -> list[str]:
        """Return one line for each part that the document leaves open."""

    def to_json(self) -> Json:
        """Return the function as it is stored under `x-imported`; None if digests of its values are enough."""


@dataclass(frozen=True)
class Function:
    """A function as a document describes it.

    `stated` has the members of its entry that the document states, such as `x-auth` or `result`. `questions` are
    further subjects that it leaves open.
    """

    name: str
    description: str = ""
    params: tuple[Parameter, ...] = ()
    stated: Mapping[str, Json] = field(default_factory=dict)
    questions: tuple[str, ...] = ()

    def entry(self, *, guess: bool = False, flat: bool = False) -> dict[str, Json]:
        """Return the function as a method of a catalogue."""
        return entry_of(
            self.name,
            self.description,
            self.params if flat else nested(self.params)[0],
            self.stated,
            self.questions,
            guess=guess,
        )

    def notes(self) -> list[str]:
        """Return one line for each parameter whose place is not clear."""
        return [f"{self.name} {note}" for note in nested(self.params)[1]]

    def to_json(self) -> Json:
        """Return None: digests of the values are stored."""
        return None


@dataclass
class Imported:
    """What was read from a document: its functions by name, in its order, and notes on what it leaves open.

    `kind` names the format for people, as in "an OpenAPI 3.0 document". `server` is the base URL that it names.
    """

    kind: str
    title: str
    functions: dict[str, Importable] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    server: str | None = None

    def add(self, function: Importable) -> None:
        """Add a function; the first of a name is taken, and a different second one is noted."""
        if self.functions.setdefault(function.name, function) != function:
            self.notes.append(f"{function.name} is described twice, and not alike: the first is taken")


def extensions_of(node: Mapping[str, Json]) -> dict[str, Json]:
    """Return the extensions of a function's description.

    A document with both `x-auth` and `x-effect` knows the extensions, so it says by leaving `x-beyond-schema` out that
    there are no such rules.
    """
    found = {key: node[key] for key in EXTENSIONS if key in node}
    if {"x-auth", "x-effect"} <= found.keys():
        found.setdefault("x-beyond-schema", False)
    return found


def entry_of(
    name: str,
    description: str,
    params: Sequence[Parameter],
    stated: Mapping[str, Json] | None = None,
    questions: Sequence[str] = (),
    *,
    guess: bool = False,
) -> dict[str, Json]:
    """Return a method of a catalogue, with cautious values for what is not `stated`."""
    stated = stated or {}
    entity, _, function = name.partition(".")
    method: dict[str, Json] = {"name": name}
    if description:
        method["description"] = description
    method["tags"] = stated.get("tags", [{"name": entity}])
    method["paramStructure"] = "by-name"
    method["params"] = [param.to_json() for param in sorted(params, key=lambda each: not each.required)]
    method |= {key: value for key, value in stated.items() if key not in (*_STATED, "tags")}
    usual: dict[str, Json] = {
        "x-auth": "none" if guess and _LOGS_IN.match(function) else "session",
        "x-effect": "read" if guess and _READS.match(function) else "write",
    }
    if params:
        usual["x-beyond-schema"] = True
    for key in _STATED:
        if key in stated or key in usual:
            method[key] = stated.get(key, usual.get(key))
    if method.get("x-beyond-schema") is False:
        del method["x-beyond-schema"]
    open_ = [key for key in usual if key not in stated]
    open_ += [each for each in questions if each not in stated]
    if "result" not in stated:
        open_.append("result")
    if open_:
        method[QUESTIONS] = open_
    return method
