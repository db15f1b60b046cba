"""The profile, `conform.toml`: which target, how its sign-in works, whom to be, what is waived."""

from __future__ import annotations

import datetime as dt
import difflib
import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import idna

from conformance.errors import UsageError, suggestion
from conformance.protocol.reach import basic_authorization
from conformance.protocol.redaction import SecretRegistry
from conformance.schema.pointer import check_pointer

#: Whatever a TOML file can hold.
Value: TypeAlias = Any

__all__ = [
    "Auth",
    "KeyLogin",
    "Login",
    "Profile",
    "Target",
    "User",
    "Waiver",
    "Whoami",
    "base_url",
    "load",
    "rule_id",
]


@dataclass(frozen=True)
class Login:
    """The login function, and the names of its two parameters."""

    function: str
    user: str
    secret: str


@dataclass(frozen=True)
class Whoami:
    """A function that says who the session is; `field` is a JSON pointer into its data."""

    function: str
    field: str


@dataclass(frozen=True)
class KeyLogin:
    """The function that signs in with an API key, and the key's two halves (AUT-16)."""

    function: str
    public: str
    private: str = field(repr=False)


@dataclass(frozen=True)
class User:
    """A user of the target: `name` is the profile's own word, `user` and `secret` are what login takes."""

    name: str
    user: str
    secret: str = field(repr=False)
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiver:
    """A failure that is known, and forgiven to the end of the day `until`; `function` None: of any."""

    rule: str
    reason: str
    until: dt.date
    function: str | None = None


@dataclass(frozen=True)
class Target:
    """Where the calls go.

    `url` ends in "/" and the entity is appended to it; `timeout` is in seconds, for one call; `production`
    lists hosts (or host:port) that are refused outright; `ca` is a file of certificates to trust for TLS.
    `catalog` and `ca` stand as resolved against the profile's folder. `rate` is in requests per second at most.
    """

    url: str | None = field(default=None, repr=False)
    environment: str | None = None
    production: tuple[str, ...] = ()
    catalog: Path | None = None
    timeout: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    envelope_extra: frozenset[str] = frozenset()
    ca: Path | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Auth:
    """How the target's sign-in works; `session` is a JSON pointer into the login's data."""

    login: Login | None = None
    logout: str | None = None
    whoami: Whoami | None = None
    session: str = "/sessionId"
    key_login: KeyLogin | None = None

    @property
    def effects(self) -> dict[str, str]:
        """Return the functions that the profile names, each with its effect (`x-effect`)."""
        names: dict[str, str] = {}
        if self.login:
            names[self.login.function] = "write"
        if self.logout:
            names[self.logout] = "write"
        if self.key_login:
            names[self.key_login.function] = "write"
        if self.whoami:
            names[self.whoami.function] = "read"
        return names


@dataclass(frozen=True)
class Profile:
    """All that a run knows of its target beforehand (formats, section 2)."""

    target: Target = field(default_factory=Target)
    auth: Auth = field(default_factory=Auth)
    users: Mapping[str, User] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    load: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    #: Header values that were taken from the environment: never shown.
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def empty(cls, url: str | None = None) -> Profile:
        """Return the profile of a target of which nothing but its base URL is known.

        Raises UsageError when the URL is none.
        """
        return cls().with_target(url) if url is not None else cls()

    def with_target(self, url: str) -> Profile:
        """Return the same profile for another base URL; raises UsageError when it is none."""
        made = replace(self, target=replace(self.target, url=base_url(url, "--target")))
        made.refuse_two_authorizations("--target")
        return made

    def refuse_two_authorizations(self, where: str) -> None:
        """Raise UsageError, beginning with `where`, when the URL and the headers of `[target]` both sign in."""
        if "@" not in urlsplit(self.target.url or "").netloc:
            return
        if any(name.lower() == "authorization" for name in self.target.headers):
            raise UsageError(
                f"{where}: has a name and a password, and headers of [target] have Authorization: leave one out"
            )

    def with_rate(self, rate: float) -> Profile:
        """Return the same profile with another bound on requests per second."""
        return replace(self, target=replace(self.target, rate=rate))

    @property
    def url(self) -> str:
        """The base URL, ending in "/"; raises UsageError when the profile names none."""
        if self.target.url is None:
            raise UsageError(
                f"no target: give --target URL, or add url to [target] in {self.path or 'a conform.toml'}"
            )
        return self.target.url

    @property
    def shown_url(self) -> str:
        """The base URL as it may be shown: without user name and password."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request: those of `[target]`, and Authorization for a name and password in the URL."""
        basic = basic_authorization(self.target.url) if self.target.url else None
        return {**self.target.headers, **({"Authorization": basic} if basic else {})}

    @property
    def host(self) -> str:
        """The target's host: lower-case, ASCII (IDNA), without port and trailing dot."""
        return _plain_host(urlsplit(self.url).hostname or "")

    @property
    def catalog_path(self) -> Path | None:
        """The catalogue's file, found from the profile's folder; None when the profile names none."""
        return self.target.catalog

    @property
    def is_loopback(self) -> bool:
        """Whether the target is this machine: 127.0.0.0/8, ::1 or localhost."""
        return self.target.url is not None and _is_loopback(self.host)

    @property
    def may_write(self) -> bool:
        """Whether the target may be written to, fuzzed and loaded (rulebook, section 4).

        It is a test environment, or on a loopback address and not called "production" by the profile.
        """
        if self.target.environment is not None:
            return self.target.environment == "test"
        return self.is_loopback

    def refuse_production(self) -> None:
        """Raise UsageError when the target's host is one that the profile calls production."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        for listed in self.target.production:
            host, listed_port = _host_and_port(listed)
            if host == self.host and listed_port in (None, port):
                where = f"{self.path}: [target] production" if self.path else "[target] production"
                raise UsageError(
                    f"{self.host} is a production host ({where} lists {listed}): nothing was sent; "
                    f"give the URL of a test environment"
                )

    def refuse_load(self) -> None:
        """Raise UsageError where the target may not be put under load: production, or not known to be a test's."""
        self.refuse_production()
        if not self.may_write:
            raise UsageError(
                f"{self.host} is no test environment, so no load is put on it: "
                f'set environment = "test" in [target] of {self.path or "a profile"} if it is one'
            )

    def hints(self) -> list[str]:
        """Return a line for each credential that ends with a line break, as one does that was read from a file."""
        given = {
            f"[users.{user.name}] {key}": value
            for user in self.users.values()
            for key, value in (("user", user.user), ("secret", user.secret))
        }
        if self.auth.key_login is not None:
            given["[auth] key_login.public"] = self.auth.key_login.public
            given["[auth] key_login.private"] = self.auth.key_login.private
        return [
            f"{self.path}: {place} ends with a line break: if it was read from a file, leave the line break out"
            for place, value in given.items()
            if value.endswith(("\n", "\r"))
        ]

    def secrets(self) -> tuple[str, ...]:
        """Return the values that must never be shown: passwords, keys, headers from the environment."""
        found = [user.secret for user in self.users.values()]
        if self.auth.key_login:
            found.append(self.auth.key_login.private)
        found += self.hidden
        if self.target.url and (password := urlsplit(self.target.url).password):
            found += [password, unquote(password)]
        if self.target.url and (basic := basic_authorization(self.target.url)):
            found.append(basic.partition(" ")[2])
        return tuple(dict.fromkeys(value for value in found if value))

    def secret_registry(self) -> SecretRegistry:
        """Return a vault that knows these secrets, and where a login and its answer hold further ones."""
        secret_registry = SecretRegistry()
        for secret in self.secrets():
            secret_registry.add(secret)
        for user in self.users.values():
            secret_registry.password(user.secret)
        if self.auth.login is not None:
            # Where a login or its answer is quoted, these members are masked whatever they hold.
            secret_registry.member(self.auth.login.secret)
            secret_registry.member(self.auth.session.rpartition("/")[2])
        return secret_registry


# --- reading the file -------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FUNCTION = re.compile(r"[^\s./]+\.[^\s./]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: Headers that the suite sets itself on every request.
_OWN_HEADERS = frozenset({"token", "content-length", "transfer-encoding"})
_TYPES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}
_LOAD_KEYS = (
    "scenario",
    "rate",
    "duration",
    "mix",
    "slo",
    "abort_when",
    "fail_fast",
    "search",
    "ceiling",
    "users",
    "think",
    "warmup",
    "connections",
    "workers",
    "per_session",
    "isolation",
    "sample",
)


def base_url(text: str, where: str) -> str:
    """Return a base URL in one spelling: scheme and host in lower case, ending in "/".

    Raises UsageError, which begins with `where`, when it is no http or https URL with a host, or has a query
    or a fragment.
    """
    text = text.strip()

    def wrong(why: str) -> NoReturn:
        raise UsageError(f"{where}: {_masked_url(text)!r} {why}")

    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        wrong("is no URL: it has white space, a backslash or a control character in it")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname
    except ValueError as error:
        wrong(f"is no URL: {error}")
    if parts.scheme.lower() not in ("http", "https"):
        wrong("must begin with http:// or https://")
    if not host or not _sound_host(host):
        wrong("has no host, or none that can be: write it as https://host/api/")
    if port == 0:
        wrong("has port 0: give the port the target listens on, 1 to 65535")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        wrong("must end with its path: leave out the query and the fragment")
    try:
        basic_authorization(text)
    except ValueError as error:
        wrong(str(error))
    login, at, _ = parts.netloc.rpartition("@")
    netloc = login + at + (f"[{host}]" if ":" in host else host.lower()) + (f":{port}" if port else "")
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return urlunsplit(SplitResult(parts.scheme.lower(), netloc, path, "", ""))


def rule_id(text: str) -> str:
    """Return the id of a rule in its one spelling, without checking that there is such a rule."""
    return text.strip().upper()


def _masked_url(text: str) -> str:
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", text)


def _plain_host(host: str) -> str:
    host = host.strip("[]").rstrip(".。．｡").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return host


def _sound_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Underscores are no part of a host name by the letter, but container networks use them.
        return bool(re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", _plain_host(host)))
    return True


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _host_and_port(listed: str) -> tuple[str, int | None]:
    try:
        return str(ipaddress.ip_address(listed.strip("[]"))), None
    except ValueError:
        parts = urlsplit(f"//{listed}")
        return _plain_host(parts.hostname or ""), parts.port


class _Reader:
    """Reads one parsed file; every mistake becomes a UsageError that names file, section and key."""

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        self.path = path
        self.env = env

    def wrong(self, where: str, why: str) -> NoReturn:
        raise UsageError(f"{self.path}: {where}: {why}")

    def fill(self, value: Value, where: str) -> Value:
        """Put the environment's values in place of `${NAME}`, at any depth."""
        if isinstance(value, dict):
            return {key: self.fill(item, f"{where}.{key}" if where else key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, where) for item in value]
        if not isinstance(value, str) or "${" not in value:
            return value

        def one(match: re.Match[str]) -> str:
            name = match[1]
            if not match[0].endswith("}") or not _NAME.fullmatch(name):
                self.wrong(_place(where), f"{match[0]!r} names no environment variable: write ${{NAME}}")
            if name not in self.env:
                self.wrong(
                    _place(where),
                    f"the environment variable {name} is not set: export it, or write the value",
                )
            return self.env[name]

        return _VARIABLE.sub(one, value)

    def known(self, table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
        keys = list(keys)
        for key in table:
            if key not in keys:
                hint = suggestion(key, keys) or f"; known here: {', '.join(keys)}"
                self.wrong(f"{where} {key}".strip(), f"unknown key{hint}")

    def get(
        self, table: Mapping[str, Any], key: str, kind: type, where: str, *, required: bool = False
    ) -> Value:
        place = f"{where} {key}".strip()
        if key not in table:
            if required:
                self.wrong(place, f"is missing; it must be {_TYPES[kind]}")
            return None
        value = table[key]
        right = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not right:
            told = "what stands there" if key in ("secret", "private") else _told(value)
            self.wrong(place, f"must be {_TYPES[kind]}, not {told}")
        if required and value == "":
            self.wrong(place, "must not be empty")
        return value

    def strings(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        values = self.get(table, key, list, where) or []
        for value in values:
            if not isinstance(value, str) or not value:
                self.wrong(f"{where} {key}", f"must be a list of strings, but {_told(value)} is in it")
        return tuple(values)

    def function(
        self, table: Mapping[str, Any], key: str, where: str, *, required: bool = False
    ) -> str | None:
        name: str | None = self.get(table, key, str, where, required=required)
        if name is not None and not _FUNCTION.fullmatch(name):
            self.wrong(f"{where} {key}", f"{name!r} names no function: write it as entity.function")
        return name

    def pointer(
        self, table: Mapping[str, Any], key: str, where: str, *, required: bool = False
    ) -> str | None:
        text: str | None = self.get(table, key, str, where)
        if text is None and required:
            self.wrong(f"{where} {key}", 'is missing; it must be a JSON pointer such as "/user/email"')
        if text is not None and (why := check_pointer(text)):
            self.wrong(f"{where} {key}", why)
        return text

    def file(self, table: Mapping[str, Any], key: str, where: str) -> Path | None:
        name = self.get(table, key, str, where)
        if name is None:
            return None
        if not name:
            self.wrong(f"{where} {key}", "must name a file, found from the profile's folder")
        return self.path.parent / Path(name).expanduser()

    # --- the sections

    def target(self, table: Mapping[str, Any]) -> Target:
        where = "[target]"
        names = (
            "url",
            "environment",
            "production",
            "catalog",
            "timeout",
            "headers",
            "envelope_extra",
            "ca",
            "rate",
        )
        self.known(table, names, where)
        url = self.get(table, "url", str, where)
        environment = self.get(table, "environment", str, where)
        if environment not in (None, "test", "production"):
            self.wrong(f"{where} environment", f'must be "test" or "production", not {environment!r}')
        production = self.strings(table, "production", where)
        for listed in production:
            self._production(listed, f"{where} production")
        timeout = self.get(table, "timeout", float, where)
        if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
            self.wrong(f"{where} timeout", f"must be more than 0 seconds, not {timeout:g}")
        rate = self.get(table, "rate", float, where)
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            self.wrong(f"{where} rate", f"must be more than 0 requests a second, not {rate:g}")
        ca = self.file(table, "ca", where)
        if ca is not None and not ca.is_file():
            self.wrong(f"{where} ca", f"{ca} is no file: give the PEM file of the certificates to trust")
        return Target(
            url=None if url is None else base_url(url, f"{self.path}: {where} url"),
            environment=environment,
            production=production,
            catalog=self.file(table, "catalog", where),
            timeout=10.0 if timeout is None else timeout,
            headers=self._headers(self.get(table, "headers", dict, where) or {}),
            envelope_extra=frozenset(self.strings(table, "envelope_extra", where)),
            ca=ca,
            rate=rate,
        )

    def _production(self, listed: str, where: str) -> None:
        try:
            sound = "/" not in listed and "@" not in listed and _sound_host(_host_and_port(listed)[0])
        except ValueError:
            sound = False
        if not sound:
            self.wrong(where, f"{listed!r} is no host: write api.example.com, or api.example.com:8443")

    def _headers(self, table: Mapping[str, Any]) -> dict[str, str]:
        seen: set[str] = set()
        for name, value in table.items():
            where = f"[target] headers.{name}"
            if not _HEADER_NAME.fullmatch(name):
                self.wrong(where, f"{name!r} is no name of a header")
            if name.lower() in _OWN_HEADERS:
                self.wrong(where, "the suite sets this header itself: remove it")
            if name.lower() in seen:
                self.wrong(where, "stands twice: header names are case-insensitive")
            seen.add(name.lower())
            if not isinstance(value, str):
                self.wrong(where, f"must be a string, not {_told(value)}")
            if not _HEADER_VALUE.fullmatch(value):
                self.wrong(where, "has a character that no header may carry, such as a line end")
        return dict(table)

    def auth(self, table: Mapping[str, Any]) -> Auth:
        where = "[auth]"
        self.known(table, ("login", "logout", "whoami", "session", "key_login"), where)
        login = self.get(table, "login", dict, where)
        whoami = self.get(table, "whoami", dict, where)
        key_login = self.get(table, "key_login", dict, where)
        session = self.pointer(table, "session", where)
        if login is not None:
            self._whole(login, ("function", "user", "secret"), "[auth] login")
        if whoami is not None:
            self.known(whoami, ("function", "field"), "[auth] whoami")
            self.function(whoami, "function", "[auth] whoami", required=True)
            self.pointer(whoami, "field", "[auth] whoami", required=True)
        if key_login is not None:
            self._whole(key_login, ("function", "public", "private"), "[auth] key_login")
        return Auth(
            login=None if login is None else Login(**login),
            logout=self.function(table, "logout", where),
            whoami=None if whoami is None else Whoami(**whoami),
            session="/sessionId" if session is None else session,
            key_login=None if key_login is None else KeyLogin(**key_login),
        )

    def _whole(self, table: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
        self.known(table, keys, where)
        self.function(table, "function", where, required=True)
        for key in keys[1:]:
            self.get(table, key, str, where, required=True)

    def users(self, table: Mapping[str, Any]) -> dict[str, User]:
        users: dict[str, User] = {}
        for name, entry in table.items():
            where = f"[users.{name}]"
            if not isinstance(entry, dict):
                self.wrong(f"[users] {name}", f"must be a table with user and secret, not {_told(entry)}")
            self.known(entry, ("user", "secret", "roles"), where)
            users[name] = User(
                name=name,
                user=self.get(entry, "user", str, where, required=True),
                secret=self.get(entry, "secret", str, where, required=True),
                roles=self.strings(entry, "roles", where),
            )
        return users

    def waivers(self, entries: list[Any]) -> tuple[Waiver, ...]:
        waivers: list[Waiver] = []
        for number, entry in enumerate(entries, 1):
            where = f"[[waivers]] #{number}"
            if not isinstance(entry, dict):
                self.wrong(where, f"must be a table, not {_told(entry)}")
            self.known(entry, ("rule", "function", "reason", "until"), where)
            waivers.append(
                Waiver(
                    rule=rule_id(self.get(entry, "rule", str, where, required=True)),
                    reason=self.get(entry, "reason", str, where, required=True),
                    until=self._day(entry, where),
                    function=self.function(entry, "function", where),
                )
            )
        return tuple(waivers)

    def _day(self, entry: Mapping[str, Any], where: str) -> dt.date:
        value = entry.get("until")
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            try:
                return dt.date.fromisoformat(value)
            except ValueError:
                pass
        told = "is missing; it must be a day" if value is None else f"must be a day, not {_told(value)}"
        return self.wrong(f"{where} until", f"{told}: write 2027-06-30")

    def load(self, table: Mapping[str, Any]) -> dict[str, Any]:
        where = "[load]"
        for key in table:
            if key not in _LOAD_KEYS and (
                close := difflib.get_close_matches(key, _LOAD_KEYS, n=1, cutoff=0.75)
            ):
                self.wrong(f"{where} {key}", f'unknown key; did you mean "{close[0]}"?')
        self.get(table, "scenario", str, where)
        if isinstance(table.get("rate"), str):
            # Arrivals in words, as in "ramp 10/s to 200/s": the load reads them.
            self.get(table, "rate", str, where, required=True)
        elif (rate := self.get(table, "rate", float, where)) is not None and not 0 < rate < math.inf:
            self.wrong(f"{where} rate", f"must be more than 0 arrivals per second, not {rate:g}")
        rate_limit = self.get(table, "ceiling", float, where)
        if rate_limit is not None and not 0 < rate_limit < math.inf:
            self.wrong(f"{where} ceiling", f"must be more than 0 requests per second, not {rate_limit:g}")
        for key, example in (("duration", "60s"), ("think", "1s..3s"), ("warmup", "5s")):
            if key in table and (not isinstance(table[key], str) or not table[key]):
                self.wrong(f"{where} {key}", f'must be a string such as "{example}", not {_told(table[key])}')
        self.get(table, "search", str, where)
        for key in ("users", "connections", "workers"):
            count = self.get(table, key, int, where)
            if count is not None and count < 1:
                self.wrong(f"{where} {key}", f"must be 1 or more, not {count}")
        many = table.get("per_session", 1)
        if many != "any" and (isinstance(many, bool) or not isinstance(many, int) or many < 1):
            self.wrong(f"{where} per_session", f'must be a number from 1 on, or "any", not {_told(many)}')
        for key in ("isolation", "sample"):
            part = self.get(table, key, float, where)
            if part is not None and not 0 <= part <= 1:
                self.wrong(f"{where} {key}", f"must be a share from 0 to 1, as in 0.02, not {part:g}")
        for name, share in (self.get(table, "mix", dict, where) or {}).items():
            if not _FUNCTION.fullmatch(name):
                self.wrong(
                    f"{where} mix", f'{name!r} names no function: write it as "entity.function" in quotes'
                )
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < math.inf:
                self.wrong(f"{where} mix.{name}", f"must be a share of 0 or more, not {_told(share)}")
        self.strings(table, "slo", where)
        self.strings(table, "abort_when", where)
        self.get(table, "fail_fast", bool, where)
        return dict(table)


def _told(value: Value) -> str:
    """Name a wrong value for an error line; a string is quoted only when it is short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 else "a string"
    return str(value)


def _place(where: str) -> str:
    """Write a dotted path as the sections of the file are written: `[target] url`."""
    section, _, key = where.partition(".")
    if section == "users" and "." in key:
        name, _, key = key.partition(".")
        section = f"users.{name}"
    brackets = f"[[{section}]]" if section == "waivers" else f"[{section}]"
    return f"{brackets} {key}".strip()


def load(path: Path | str, env: Mapping[str, str] | None = None) -> Profile:
    """Read a profile (formats, section 2); `env` is what `${NAME}` is taken from, the environment by default.

    Raises UsageError: one line that names the file, the section, the key, what is wrong and how to mend it.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such profile; give one with --profile FILE") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: is not UTF-8: byte {error.object[error.start]:#04x} at {error.start}"
        ) from None
    try:
        raw = tomllib.loads(text + "\n")  # so that a mistake at the very end has its line, too
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is no TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: is no TOML that can be read: nested too deep") from None
    reader = _Reader(path, os.environ if env is None else env)
    reader.known(raw, ("target", "auth", "users", "waivers", "load"), "")
    for section in ("target", "auth", "users", "load"):
        if section in raw and not isinstance(raw[section], dict):
            reader.wrong(section, f"must be a section: write [{section}], not {section} = …")
    if not isinstance(raw.get("waivers", []), list):
        reader.wrong("waivers", "must be a list of tables: begin each with [[waivers]]")
    filled = reader.fill(raw, "")
    profile = Profile(
        target=reader.target(filled.get("target", {})),
        auth=reader.auth(filled.get("auth", {})),
        users=reader.users(filled.get("users", {})),
        waivers=reader.waivers(filled.get("waivers", [])),
        load=reader.load(filled.get("load", {})),
        path=path,
    )
    profile.refuse_two_authorizations(f"{path}: [target] url")
    return replace(profile, hidden=_hidden_headers(raw, profile, reader.env))


def _hidden_headers(raw: Mapping[str, Any], profile: Profile, env: Mapping[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    for name, value in raw.get("target", {}).get("headers", {}).items():
        names = _VARIABLE.findall(value)
        if names:
            found.append(profile.target.headers[name])
            found += [env[each] for each in names]
    return tuple(dict.fromkeys(found))
