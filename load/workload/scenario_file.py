"""A team's own scenario file, read without being executed: the functions and kinds of objects that it names.

Locust patches sockets, so only its own process executes the file (`load.locust_plugin.own_scenarios`). What can be
known without that is checked before anything is started: that there is such a file, its syntax, the functions' names.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from conformance.catalog.model import Catalog
from conformance.errors import UsageError, suggestion
from conformance.protocol.profile import Profile
from conformance.rulebook.own_rules import located

__all__ = ["ScenarioFile", "read_scenario_file"]


@dataclass(frozen=True)
class _Name:
    """A function or a kind of objects that the file names, and the line."""

    text: str
    line: int


@dataclass(frozen=True)
class ScenarioFile:
    """What a scenario file names in its text."""

    path: Path
    functions: tuple[_Name, ...]
    kinds: tuple[_Name, ...]
    #: By class: the functions that it names.
    by_class: Mapping[str, tuple[str, ...]]
    #: The names of users of the profile whose sessions a class asks for.
    users: tuple[_Name, ...]
    digest: str

    @property
    def called(self) -> list[str]:
        """The functions that it names, each once."""
        return list(dict.fromkeys(name.text for name in self.functions))

    def check(self, profile: Profile, catalog: Catalog, *, writable: bool) -> None:
        """Check what the file names against the profile and the catalogue.

        Raises:
            UsageError: the catalogue has no such function or kind, the profile no such user, or a function writes
                where nothing may be written; the line says where the file names it.

        """
        shown = located(self.path)
        if not catalog.is_implicit:
            for name in self.functions:
                if name.text not in catalog:
                    near = suggestion(name.text, list(catalog.methods))
                    raise UsageError(f"{shown}:{name.line}: the catalogue has no function {name.text}{near}")
        for name in self.functions:
            reads = name.text in catalog and catalog[name.text].effect == "read"
            if not writable and not reads and name.text not in _logins(profile):
                raise UsageError(
                    f"{shown}:{name.line}: {name.text} does not only read, and this run is read-only"
                )
        for kind in self.kinds:
            if kind.text not in catalog.kinds:
                near = suggestion(kind.text, list(catalog.kinds))
                raise UsageError(
                    f"{shown}:{kind.line}: the catalogue has no kind of objects {kind.text}{near}"
                )
        for user in self.users:
            if user.text not in profile.users:
                known = ", ".join(profile.users) or "none"
                raise UsageError(
                    f"{shown}:{user.line}: the profile has no user {user.text} (it has: {known})"
                )


def _logins(profile: Profile) -> set[str]:
    auth = profile.auth
    return {opener.function for opener in (auth.login, auth.key_login) if opener is not None}


def read_scenario_file(path: Path) -> ScenarioFile:
    """Return what a scenario file names.

    Raises:
        UsageError: it cannot be read, its syntax is wrong, or it has no class that could be a user.

    """
    shown = located(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"there is no file {shown}"
            if isinstance(error, FileNotFoundError)
            else f"{shown}: {error.strerror}"
        ) from None
    try:
        tree = ast.parse(text, filename=str(path))
    except SyntaxError as error:
        raise UsageError(f"{shown}:{error.lineno or 1}: {error.msg}") from None
    except ValueError as error:
        raise UsageError(f"{shown}: is no Python source: {error}") from None
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.bases]
    if not classes:
        raise UsageError(f"{shown}: {NO_USER}")
    return ScenarioFile(
        path,
        tuple(_first_arguments(tree, "call", dotted=True)),
        tuple(_first_arguments(tree, "resource", dotted=False)),
        {
            node.name: tuple(name.text for name in _first_arguments(node, "call", dotted=True))
            for node in classes
        },
        tuple(_named_users(classes)),
        hashlib.sha256(text).hexdigest(),
    )


#: Why a file is no scenario file.
NO_USER = "has no user: write a class derived from load.RpcUser, with methods under @task"


def _first_arguments(tree: ast.AST, method: str, *, dotted: bool) -> Iterator[_Name]:
    """Yield the texts that are the first argument of `self.METHOD(…)`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        first = node.args[0]
        if node.func.attr != method or not isinstance(first, ast.Constant):
            continue
        if isinstance(first.value, str) and (not dotted or "." in first.value):
            yield _Name(first.value, first.lineno)


def _named_users(classes: list[ast.ClassDef]) -> Iterator[_Name]:
    """Yield the users that classes ask for by `profile_user = "…"`."""
    for each in classes:
        for node in each.body:
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any(isinstance(target, ast.Name) and target.id == "profile_user" for target in targets)
            if named and isinstance(node.value.value, str):
                yield _Name(node.value.value, node.value.lineno)
