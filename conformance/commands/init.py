"""`conform init`: write a first profile and catalogue, and print what to fill in next.

In a terminal, missing options are asked for. Without a terminal they have their defaults, and the target is required.
Existing files are never overwritten. Secrets are never asked for, since the profile names environment variables.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.catalog.model import Catalog
from conformance.commands.catalog_import import import_documents as import_pages
from conformance.engine.harness import Request
from conformance.errors import UsageError
from conformance.protocol.base_url import base_url
from conformance.protocol.profile import Profile

__all__ = ["User", "begin", "user"]

PROFILE = "conform.toml"
CATALOGUE = "catalogue.openrpc.json"
#: The environment variable from which a written profile takes the password of the target's URL.
PASSWORD_VARIABLE = "COURSIO_TARGET_PASSWORD"  # noqa: S105  (its name)

_SECRET = re.compile(r"credential|passw|secret|pwd", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class User:
    """A user of the profile, with the environment variables that contain the user name and the secret."""

    name: str
    identity: str
    secret: str


def user(text: str) -> User:
    """Parse `NAME` or `NAME:VARIABLE:VARIABLE` from the command line."""
    name, *variables = text.split(":")
    if not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is no name of a user: letters, digits, - and _")
    if not variables:
        stem = f"COURSIO_{name.upper().replace('-', '_')}"
        return User(name, f"{stem}_USER", f"{stem}_SECRET")
    if len(variables) != 2 or not all(map(_VARIABLE.fullmatch, variables)):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write NAME, or NAME:VARIABLE:VARIABLE (those of the user's name and secret)"
        )
    return User(name, *variables)


def begin(options: argparse.Namespace, until_done: contextlib.ExitStack) -> tuple[int, Request | None]:
    """Write the profile and the catalogue, and print the next steps.

    Returns the exit status, and the read-only check to run next, or None if there is none. A temporary profile for that
    check is removed when `until_done` closes.

    Raises UsageError: an option or an answer is wrong, or a file exists already.
    """
    folder: Path = options.dir
    profile, catalogue = folder / PROFILE, folder / CATALOGUE
    for path in (profile, catalogue):
        if path.exists():
            raise UsageError(f"{path}: is there already; nothing is written over")
    if not folder.is_dir():
        raise UsageError(f"--dir {folder}: there is no such folder")
    target = options.target or _ask("The target's base URL, such as https://t-api.example.com/api/")
    if not target:
        raise UsageError("no target: give --target URL")
    target, password = _without_password(base_url(target, "--target"))
    page = options.source or _ask("The documentation page, an address or a file (empty: none)")
    users: Sequence[User] = options.user or _asked_users()
    environment = options.environment
    if environment is None:
        answer = _ask("Is it a test environment, which may be written to? (yes/no)")
        environment = "test" if answer.lower() in ("y", "yes") else "production" if answer else None
    catalog: Catalog | None = None
    if page:
        status = import_pages([page], catalogue, guess=True)
        if status:
            return status, None
        catalog = Catalog.load(catalogue)
    login = options.login or _login(catalog)
    if options.login and (not re.fullmatch(r"[^\s./]+\.[^\s./]+", login)):
        raise UsageError(f"--login {login}: names no function: write it as entity.function")
    if catalog is not None and login not in catalog:
        if options.login:
            catalogue.unlink()
            raise UsageError(f"--login {login}: the page has no such function")
        login = ""
    text = _text(target, environment, catalog, login, users, catalogue=CATALOGUE)
    _write(profile, text)
    print(f"{profile}: written", flush=True)
    _say_password(profile, password)
    missing = [name for each in users for name in (each.identity, each.secret) if name not in os.environ]
    _say_next(profile, catalog, users, missing, environment, target)
    if options.no_check:
        return 0, None
    print("\nThe rules that only read:", flush=True)
    if catalog is not None:
        print(
            "(Findings on functions with open x-questions may be the catalogue's: answer these first.)",
            flush=True,
        )
    written = profile
    if missing:
        # A profile cannot be loaded while its variables are not set, so this check runs without users.
        folder = Path(until_done.enter_context(tempfile.TemporaryDirectory(prefix="conform-init-")))
        profile = folder / PROFILE
        _write(profile, _text(target, environment, catalog, login, (), catalogue=str(catalogue.resolve())))
    return 0, Request(profile=profile, shown_profile=written, read_only=True, budget="quick", verb="check")


def _without_password(url: str) -> tuple[str, str]:
    """Return a URL with a reference to an environment variable in place of its password, and the password."""
    found = re.match(r"(?P<before>[a-z]+://[^/@:]*:)(?P<password>[^/@]+)(?P<after>@.*)", url)
    if found is None or re.fullmatch(r"\$\{\w+\}", found["password"]):
        return url, ""
    return f"{found['before']}${{{PASSWORD_VARIABLE}}}{found['after']}", found["password"]


def _say_password(profile: Path, password: str) -> None:
    """Say where the profile takes the password of the target's URL from, and set the variable for this process."""
    if password:
        os.environ.setdefault(PASSWORD_VARIABLE, password)
        print(
            f"{profile}: the password of the target's URL is not written; the profile reads it from the environment "
            f"variable {PASSWORD_VARIABLE}, as it stands in the URL",
            flush=True,
        )


def _ask(question: str) -> str:
    """Ask a question in a terminal and return the answer; return "" without a terminal."""
    if not (sys.stdin and sys.stdin.isatty()):
        return ""
    try:
        return input(f"{question}: ").strip()
    except EOFError:
        return ""


def _asked_users() -> list[User]:
    answer = _ask("Users of the profile, as in «owner peer admin» (empty: none)")
    try:
        return [user(word) for word in answer.split()]
    except argparse.ArgumentTypeError as error:
        raise UsageError(str(error)) from None


def _login(catalog: Catalog | None) -> str:
    """Return the name of the login function: auth.login, or one of the catalogue with a similar name."""
    if catalog is None or "auth.login" in catalog:
        return "auth.login"
    return next((method.name for method in catalog if method.function.lower() in ("login", "signin")), "")


def _parameters(catalog: Catalog | None, login: str) -> tuple[str, str]:
    """Return the names of the two parameters of a login function: user name and secret."""
    method = catalog.methods.get(login) if catalog is not None else None
    if method is not None and len(method.params) >= 2:
        secret = next((param.name for param in method.params if _SECRET.search(param.name)), None)
        name = next((param.name for param in method.params if param.name != secret), None)
        if secret and name:
            return name, secret
    return "identity", "credential"


def _text(
    target: str,
    environment: str | None,
    catalog: Catalog | None,
    login: str,
    users: Sequence[User],
    *,
    catalogue: str,
) -> str:
    lines = ["[target]", f"url = {json.dumps(target)}"]
    if environment is not None:
        lines.append(f'environment = "{environment}"')
    else:
        lines.append('# environment = "test"     # only a test environment is written to')
    if catalog is not None:
        lines.append(f"catalog = {json.dumps(catalogue)}")
    else:
        lines.append(f'# catalog = "{CATALOGUE}"     # conform catalog import URL|FILE')
    lines += ["", "[auth]"]
    if login:
        name, secret = _parameters(catalog, login)
        login_table = f'function = "{login}", user = {json.dumps(name)}, secret = {json.dumps(secret)}'
        lines.append(f"login = {{ {login_table} }}")
        for key, function in (("logout", "logout"), ("whoami", "status")):
            full = f"{login.partition('.')[0]}.{function}"
            if catalog is None or full in catalog:
                value = (
                    f'"{full}"' if key == "logout" else f'{{ function = "{full}", field = "/user/email" }}'
                )
                comment = "" if key == "logout" and catalog is not None else "# "
                lines.append(f"{comment}{key} = {value}")
    else:
        lines.append('# login = { function = "auth.login", user = "identity", secret = "credential" }')
    for each in users:
        lines += [
            "",
            f"[users.{each.name}]",
            f'user = "${{{each.identity}}}"',
            f'secret = "${{{each.secret}}}"',
            'roles = ["user"]',
        ]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _say_next(
    profile: Path,
    catalog: Catalog | None,
    users: Sequence[User],
    missing: Sequence[str],
    environment: str | None,
    target: str,
) -> None:
    """Print the steps that are left for the user."""
    steps = []
    if environment is None and not Profile.empty(target).is_loopback:
        steps.append(f'{profile}: environment = "test" in [target], if it is a test environment')
    if catalog is None:
        steps.append("a catalogue: conform catalog import URL|FILE, and catalog = … in [target]")
    else:
        steps.append(f"{CATALOGUE}: answer the x-questions of each function; then conform catalog validate")
    if len(users) < 2:
        steps.append(f"{profile}: two users of the same roles under [users], and one for each further role")
    elif users:
        steps.append(f"{profile}: the roles of each user")
    if missing:
        steps.append(f"the environment variables {', '.join(missing)}")
    steps.append("conform check")
    print("Next:\n" + "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1)), flush=True)
