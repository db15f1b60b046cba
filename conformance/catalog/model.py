"""The catalogue of a target's functions: an OpenRPC 1.x document in JSON or YAML (formats, section 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from conformance.catalog.lines import line_of
from conformance.catalog.methods import Method, ObjectRole, Param, refs
from conformance.catalog.reader import is_json, parse_document
from conformance.catalog.validator import CatalogError, Validator
from conformance.errors import UsageError
from conformance.schema.bundle import Json

__all__ = ["DOCUMENTED", "Catalog", "CatalogError", "Method", "ObjectRole", "Param", "problems", "refs"]

#: Functions that the API's documentation mentions; without a catalogue, a target may have these.
DOCUMENTED = ("auth.login", "user.find", "course.find")


@dataclass(frozen=True)
class Catalog:
    """The functions of a target: `methods` by name, in the order of the document.

    `raw` is the document. `sha256` is the digest of the file's bytes, None if the catalogue is not a file.
    `is_implicit` says whether the catalogue was derived from the profile alone.
    """

    methods: Mapping[str, Method]
    raw: Json = field(default=None, repr=False)
    sha256: str | None = None
    path: Path | None = None
    is_implicit: bool = False

    @classmethod
    def load(cls, path: Path | str) -> Catalog:
        """Read and validate a catalogue.

        Raises:
            UsageError: one line with the file, the JSON pointer (the line number, for a syntax error), what is wrong
                and how to correct it.

        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise UsageError(
                f"{path}: there is no such catalogue; mend catalog in [target] of the profile"
            ) from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
        raw = parse_document(content, path)
        return cls(Validator(raw, str(path)).methods(), raw, hashlib.sha256(content).hexdigest(), path)

    @classmethod
    def parse(cls, document: Json, where: str = "catalogue") -> Catalog:
        """Validate a catalogue that is not a file; raises UsageError, whose message begins with `where`."""
        return cls(Validator(document, where).methods(), document)

    @classmethod
    def implicit(cls, effects: Mapping[str, str]) -> Catalog:
        """Return a catalogue of functions of which only the effect is known; their schemas allow any data."""
        methods = {name: Method(name, auth=None, effect=effect) for name, effect in effects.items()}
        return cls(methods, is_implicit=True)

    def __getitem__(self, name: str) -> Method:
        return self.methods[name]

    def __contains__(self, name: object) -> bool:
        return name in self.methods

    def __iter__(self) -> Iterator[Method]:
        return iter(self.methods.values())

    def __len__(self) -> int:
        return len(self.methods)

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """The endpoints, in the order of the document."""
        return tuple(dict.fromkeys(method.entity for method in self))

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of objects that x-object names, in the order of the document."""
        return tuple(dict.fromkeys(method.object.kind for method in self if method.object))

    @cached_property
    def roles(self) -> frozenset[str]:
        """The roles that x-auth names."""
        return frozenset(method.auth for method in self if method.auth not in (None, "none", "session"))

    def doing(self, does: str, kind: str | None = None) -> tuple[Method, ...]:
        """Return the functions that create, read, update, delete or list objects (of this kind)."""
        return tuple(
            method
            for method in self
            if method.object and method.object.does == does and kind in (None, method.object.kind)
        )

    def create(self, kind: str) -> Method | None:
        """Return the first function that creates objects of that kind, or None."""
        return next(iter(self.doing("create", kind)), None)

    def read(self, kind: str) -> Method | None:
        """Return the first function that reads an object of that kind, or None."""
        return next(iter(self.doing("read", kind)), None)

    def update(self, kind: str) -> Method | None:
        """Return the first function that changes an object of that kind, or None."""
        return next(iter(self.doing("update", kind)), None)

    def delete(self, kind: str) -> Method | None:
        """Return the first function that deletes an object of that kind, or None."""
        return next(iter(self.doing("delete", kind)), None)

    def lists(self, kind: str) -> tuple[Method, ...]:
        """Return the functions that list objects of that kind."""
        return self.doing("list", kind)


def problems(path: Path) -> tuple[list[tuple[int, str, str]], Catalog | None]:
    """Return the first error of every function in a catalogue file, as (line number, JSON pointer, what is wrong).

    If there is no error, the catalogue is returned as well.

    Raises:
        UsageError: the file cannot be read, or is neither JSON nor YAML.

    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    document = parse_document(content, path)
    text = content.decode("utf-8-sig")
    as_json = is_json(path, text)
    validator = Validator(document, str(path))
    found: list[tuple[int, str, str]] = []
    for mistake in validator.everything():
        # The pointer may be followed by the name of the function.
        pointer = mistake.pointer.partition(" ")[0]
        found.append((line_of(text, pointer, is_json=as_json), mistake.pointer or "/", mistake.why))
    found.sort(key=lambda each: each[0])
    return found, None if found else Catalog.load(path)
