"""`conform init`: write a first profile and catalogue, try the login, and print what to fill in next.

In a terminal, missing options are asked for. Without a terminal, or with `--yes`, they have their defaults, and the
target is required. Existing files are never overwritten. The profile names environment variables for secrets; a secret
that is asked for is known to this process alone.
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

from conformance.catalog.importing.entries import Imported
from conformance.catalog.importing.merging import build
from conformance.catalog.model import Catalog
from conformance.commands.catalog_import import UnreachableError, import_documents, read_sources
from conformance.commands.prompts import Prompts
from conformance.commands.trial import Tried, try_login
from conformance.engine.harness import Request
from conformance.errors import UsageError, suggestion
from conformance.protocol.base_url import base_url
from conformance.protocol.client import Client
from conformance.protocol.profile import Login, Profile, Whoami
from conformance.protocol.reach import shown_source
from conformance.schema.pointer import check_pointer

__all__ = ["User", "begin", "user"]

PROFILE = "conform.toml"
CATALOGUE = "catalogue.openrpc.json"
#: The environment variable from which a written profile takes the password of the target's URL.
PASSWORD_VARIABLE = "COURSIO_TARGET_PASSWORD"  # noqa: S105  (its name)

_SECRET = re.compile(r"credential|pass(?:w|phrase|code|\b)|secret|pwd|\bpin\b", re.IGNORECASE)
_SIGNS_IN = re.compile(r"(?:log|sign)_?(?:in|on)|authenticate|authorize", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class User:
    """A user of the profile, with the environment variables that contain the user name and the secret."""

    name: str
    identity: str
    secret: str


@dataclass(frozen=True)
class _Auth:
    """What the table `[auth]` gets; `login` is "" if no login function is known."""

    login: str
    user: str
    secret: str
    session: str | None = None
    whoami: Whoami | None = None
    logout: str | None = None


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


# One function, though it is long: one question after the other, each with what was answered before.
def begin(options: argparse.Namespace, until_done: contextlib.ExitStack) -> tuple[int, Request | None]:
    """Write the profile and the catalogue, try the login, and print the next steps.

    Returns the exit status, and the read-only check to run next, or None if there is none. A temporary profile for that
    check is removed when `until_done` closes.

    Raises:
        UsageError: an option or an answer is wrong, or a file exists already.

    """
    prompts = Prompts(enabled=not options.yes)
    folder: Path = options.dir
    profile, catalogue = folder / PROFILE, folder / CATALOGUE
    _check(options, profile, catalogue)
    try:
        plain, source, read = _asked_sources(options, prompts)
    except UnreachableError as error:
        print(f"conform init: {error}", file=sys.stderr)
        return 3, None
    target, password = _without_password(plain)
    users: Sequence[User] = options.user or _asked_users(prompts)
    environment = options.environment or _asked_environment(prompts)
    catalog: Catalog | None = None
    login = options.login or ""
    if read is not None:
        candidate = build(read.title, read.functions, [shown_source(source)], guess=True)
        catalog = Catalog.parse(candidate, shown_source(source))
        if login and login not in catalog:
            raise UsageError(f"--login {login}: {_the(read.kind)} has no such function")
    login = login or _login(catalog, prompts)
    if read is not None:
        import_documents([source], catalogue, guess=True, read=read)
    names = _parameters(catalog, login)
    tried = Tried()
    if login and not options.no_check:
        tried = _tried(plain, catalog, Login(login, *names), users, options.session, prompts)
    auth = _Auth(login, *names, options.session or tried.session, tried.whoami, tried.logout)
    _write(profile, _text(target, environment, catalog, auth, users, catalogue=CATALOGUE))
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
        _write(profile, _text(target, environment, catalog, auth, (), catalogue=str(catalogue.resolve())))
    return 0, Request(profile=profile, shown_profile=written, read_only=True, budget="quick", verb="check")


def _check(options: argparse.Namespace, *paths: Path) -> None:
    """Raise UsageError for a file that is there already, and for options that cannot be."""
    for path in paths:
        if path.exists():
            raise UsageError(f"{path}: is there already; nothing is written over")
    if not options.dir.is_dir():
        raise UsageError(f"--dir {options.dir}: there is no such folder")
    if options.login and not re.fullmatch(r"[^\s./]+\.[^\s./]+", options.login):
        raise UsageError(f"--login {options.login}: names no function: write it as entity.function")
    if options.session and (why := check_pointer(options.session)):
        raise UsageError(f"--session {options.session}: {why}")


def _asked_sources(options: argparse.Namespace, prompts: Prompts) -> tuple[str, str, Imported | None]:
    """Return the target's base URL, the document to start from, and what it says; "" and None without a document.

    Raises:
        UsageError: there is no target, or the document cannot be read.
        UnreachableError: the document cannot be downloaded.

    """
    # Where the document is known, it may name the target.
    read = read_sources([options.source], options.entity_from) if options.source else None
    target = options.target or prompts.ask(
        "The target's base URL, such as https://t-api.example.com/api/", _server_of(read)
    )
    if not target:
        named = f"; {options.source} names {_server_of(read)}" if _server_of(read) else ""
        raise UsageError(f"no target: give --target URL{named}")
    url = base_url(target, "--target")
    source = options.source or prompts.ask(
        "A documentation page, or an OpenAPI, Postman or OpenRPC document, an address or a file (empty: none)"
    )
    if source and read is None:
        read = read_sources([source], options.entity_from)
    return url, source, read


def _server_of(read: Imported | None) -> str:
    """Return the base URL that a document names, if it is one; "" else."""
    server = read.server if read is not None else None
    return server if server and re.match(r"https?://[^/{}]+/", server) else ""


def _the(kind: str) -> str:
    return "the page" if kind == "a documentation page" else "the document"


def _asked_environment(prompts: Prompts) -> str | None:
    answer = prompts.ask("Is it a test environment, which may be written to? (yes/no)")
    return "test" if answer.lower() in ("y", "yes") else "production" if answer else None


def _tried(
    url: str,
    catalog: Catalog | None,
    login: Login,
    users: Sequence[User],
    session: str | None,
    prompts: Prompts,
) -> Tried:
    """Try the login with the first user whose credentials are known, and print what was found."""
    for each in users[:1]:
        for variable, secret in ((each.identity, False), (each.secret, True)):
            if variable not in os.environ and (value := prompts.ask(variable, secret=secret)):
                os.environ[variable] = value
    known = next((each for each in users if {each.identity, each.secret} <= os.environ.keys()), None)
    if known is None:
        if users:
            print(f"{login.function}: not tried, since the credentials of no user are set", flush=True)
        return Tried()
    client = Client.of(Profile.empty(url))
    try:
        tried = try_login(
            client, catalog, login, os.environ[known.identity], os.environ[known.secret], session
        )
    finally:
        client.close()
    print(f"Tried with {known.name}:\n" + "\n".join(f"  {line}" for line in tried.lines), flush=True)
    if tried.signed_in and tried.session is None and session is None:
        pointer = prompts.ask("The JSON pointer to the session in the login's data", "/sessionId")
        tried.session = pointer if pointer and not check_pointer(pointer) else None
    return tried


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


def _asked_users(prompts: Prompts) -> list[User]:
    answer = prompts.ask("Users of the profile, as in «owner peer admin» (empty: none)")
    try:
        return [user(word) for word in answer.split()]
    except argparse.ArgumentTypeError as error:
        raise UsageError(str(error)) from None


def _login(catalog: Catalog | None, prompts: Prompts) -> str:
    """Return the name of the login function: auth.login, or one of the catalogue with a similar name."""
    if catalog is None or "auth.login" in catalog:
        return "auth.login"
    similar = [method for method in catalog if _SIGNS_IN.fullmatch(method.function)]
    # Whoever signs in gives a name and a secret, and has no session yet.
    similar.sort(key=lambda method: (len(method.params) < 2, method.auth != "none"))
    if similar:
        return similar[0].name
    answer = prompts.ask("The function that signs in, as entity.function (empty: none)")
    if answer and answer not in catalog:
        raise UsageError(f"{answer}: the document has no such function{suggestion(answer, catalog.methods)}")
    return answer


def _parameters(catalog: Catalog | None, login: str) -> tuple[str, str]:
    """Return the names of the two parameters of a login function: user name and secret."""
    method = catalog.methods.get(login) if catalog is not None else None
    if method is None or len(method.params) < 2:
        return "identity", "credential"
    secret = next(
        (param.name for param in method.params if _SECRET.search(param.name)), method.params[1].name
    )
    return next(param.name for param in method.params if param.name != secret), secret


def _text(
    target: str,
    environment: str | None,
    catalog: Catalog | None,
    auth: _Auth,
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
    if auth.login:
        table = (
            f'function = "{auth.login}", user = {json.dumps(auth.user)}, secret = {json.dumps(auth.secret)}'
        )
        lines.append(f"login = {{ {table} }}")
        lines += _session_lines(catalog, auth)
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


def _session_lines(catalog: Catalog | None, auth: _Auth) -> list[str]:
    """Return the lines of `[auth]` beside the login: what was found by trying, else what is usual, as comments."""
    lines = [f"session = {json.dumps(auth.session)}"] if auth.session else []
    entity = auth.login.partition(".")[0]
    logout = f"{entity}.logout"
    if auth.logout is not None:
        lines.append(f'logout = "{auth.logout}"')
    elif catalog is None or logout in catalog:
        lines.append(f'{"# " if catalog is None else ""}logout = "{logout}"')
    whoami = f"{entity}.status"
    if auth.whoami is not None:
        field = json.dumps(auth.whoami.field)
        lines.append(f'whoami = {{ function = "{auth.whoami.function}", field = {field} }}')
    elif catalog is None or whoami in catalog:
        lines.append(f'# whoami = {{ function = "{whoami}", field = "/user/email" }}')
    return lines


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
