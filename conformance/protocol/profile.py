"""The profile (`conform.toml`): the target, its sign-in, its users and the waivers."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from conformance.errors import UsageError
from conformance.protocol.base_url import base_url, host_and_port, is_loopback_host, plain_host
from conformance.protocol.curl import Route
from conformance.protocol.reach import basic_authorization
from conformance.protocol.redaction import MASK, SecretRegistry
from conformance.text import located

__all__ = ["Auth", "KeyLogin", "Login", "Profile", "Target", "User", "Waiver", "Whoami"]


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
    """The function that signs in with an API key, and the key's public and private part (AUT-16)."""

    function: str
    public: str
    private: str = field(repr=False)


@dataclass(frozen=True)
class User:
    """A user of the target: `name` is used within the profile; `user` and `secret` are sent to the login."""

    name: str
    user: str
    secret: str = field(repr=False)
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiver:
    """A known failure that is waived until the end of the day `until`; `function` None means any function."""

    rule: str
    reason: str
    until: dt.date
    function: str | None = None


@dataclass(frozen=True)
class Target:
    """The target of the calls.

    `url` ends in "/" and the entity is appended to it. `timeout` is in seconds, for one call. `production` lists
    hosts (or host:port) that are always refused. `ca` is a file of certificates to trust for TLS. The paths
    `catalog`, `ca`, `cert`, `key` and `uds` are resolved against the profile's folder. `rate` is the maximum number of
    requests per second.
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
    #: The URL of a proxy, with its name and password.
    proxy: str | None = field(default=None, repr=False)
    #: The client certificate and its key (PEM files).
    cert: Path | None = None
    key: Path | None = None
    http2: bool = False
    uds: Path | None = None
    #: The value of Authorization on every request.
    auth: str | None = field(default=None, repr=False)
    #: The file and the name of the function that returns an `httpx.Auth`.
    auth_hook: tuple[Path, str] | None = None

    @property
    def route(self) -> Route:
        """How the lines that send a request again reach the target: files as they are shown, and no secrets."""
        cert, key, ca, uds = (
            None if file is None else located(file) for file in (self.cert, self.key, self.ca, self.uds)
        )
        return Route(None if self.proxy is None else _without_password(self.proxy), cert, key, ca, uds)


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
        """The functions that the profile names, each with its effect (`x-effect`)."""
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
    """Everything that a run knows about its target beforehand (formats, section 2)."""

    target: Target = field(default_factory=Target)
    auth: Auth = field(default_factory=Auth)
    users: Mapping[str, User] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    #: What the gate requires to be judged: areas, rules' ids, or `judged >= N` (section `[gate]`).
    required: tuple[str, ...] = ()
    #: Files of the team's own rules (section `[suite]`), resolved against the profile's folder.
    rule_files: tuple[Path, ...] = ()
    load: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    #: Header values from environment variables, which are never shown.
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def empty(cls, url: str | None = None) -> Profile:
        """Return the profile of a target of which only the base URL is known.

        Raises:
            UsageError: the URL is not valid.

        """
        return cls().with_target(url) if url is not None else cls()

    def with_target(self, url: str) -> Profile:
        """Return the same profile for another base URL.

        Raises:
            UsageError: the URL is not valid.

        """
        profile = replace(self, target=replace(self.target, url=base_url(url, "--target")))
        profile.refuse_two_authorizations("--target")
        return profile

    def refuse_two_authorizations(self, where: str) -> None:
        """Raise UsageError, beginning with `where`, if the URL and the headers of `[target]` both authorize."""
        ways = [
            "has a name and a password" if "@" in urlsplit(self.target.url or "").netloc else "",
            "headers of [target] have Authorization"
            if any(name.lower() == "authorization" for name in self.target.headers)
            else "",
            "[target] has auth" if self.target.auth else "",
        ]
        given = [way for way in ways if way]
        if len(given) > 1:
            raise UsageError(f"{where}: {', and '.join(given)}: leave one out")

    def with_rate(self, rate: float) -> Profile:
        """Return the same profile with another limit on requests per second."""
        return replace(self, target=replace(self.target, rate=rate))

    @property
    def url(self) -> str:
        """The base URL, ending in "/"; raises UsageError if the profile has no URL."""
        if self.target.url is None:
            raise UsageError(
                f"no target: give --target URL, or add url to [target] in {self.path or 'a conform.toml'}"
            )
        return self.target.url

    @property
    def shown_url(self) -> str:
        """The base URL without user name and password, as it may be shown."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request: those of `[target]`, and Authorization for credentials in the URL."""
        basic = self.target.auth or (basic_authorization(self.target.url) if self.target.url else None)
        return {**self.target.headers, **({"Authorization": basic} if basic else {})}

    @property
    def host(self) -> str:
        """The target's host: lower-case, ASCII (IDNA), without port and trailing dot."""
        return plain_host(urlsplit(self.url).hostname or "")

    @property
    def catalog_path(self) -> Path | None:
        """The catalogue's file, resolved against the profile's folder; None if the profile names no catalogue."""
        return self.target.catalog

    @property
    def is_loopback(self) -> bool:
        """Whether the target is on this machine: 127.0.0.0/8, ::1 or localhost."""
        return self.target.url is not None and is_loopback_host(self.host)

    @property
    def may_write(self) -> bool:
        """Whether the target may be written to, fuzzed and loaded (rulebook, section 4).

        It may if it is a test environment, or on a loopback address and not "production" in the profile.
        """
        if self.target.environment is not None:
            return self.target.environment == "test"
        return self.is_loopback

    def refuse_production(self) -> None:
        """Raise UsageError if the target's host is listed as production in the profile."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        for listed in self.target.production:
            host, listed_port = host_and_port(listed)
            if host == self.host and listed_port in (None, port):
                where = f"{self.path}: [target] production" if self.path else "[target] production"
                raise UsageError(
                    f"{self.host} is a production host ({where} lists {listed}): nothing was sent; "
                    f"give the URL of a test environment"
                )

    def refuse_load(self) -> None:
        """Raise UsageError if the target must not be put under load, because it is not a test environment."""
        self.refuse_production()
        if not self.may_write:
            raise UsageError(
                f"{self.host} is no test environment, so no load is put on it: "
                f'set environment = "test" in [target] of {self.path or "a profile"} if it is one'
            )
        for key, why in (
            ("proxy", "the limits of the proxy would be measured"),
            ("http2", "the load generator speaks HTTP/1.1"),
            ("uds", "the load generator connects over TCP"),
            ("auth_hook", "signing each request would measure the signing"),
        ):
            if getattr(self.target, key):
                raise UsageError(
                    f"{self.path or 'the profile'}: [target] {key}: no load is put on a target with it, since {why}; "
                    "give --profile FILE without it"
                )

    def hints(self) -> list[str]:
        """Return a hint for each credential that ends with a line break, probably because it comes from a file."""
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
        if self.target.auth:
            found += _authorization_secrets(self.target.auth)
        if self.target.proxy and (login := basic_authorization(self.target.proxy)):
            found += [urlsplit(self.target.proxy).password or "", *_authorization_secrets(login)]
        return tuple(dict.fromkeys(value for value in found if value))

    def secret_registry(self) -> SecretRegistry:
        """Return a registry of these secrets, and of the members of a login that contain further ones."""
        secret_registry = SecretRegistry()
        for secret in self.secrets():
            secret_registry.add(secret)
        for name in self.headers:
            # A configured header may let requests pass a gateway, whatever its name.
            secret_registry.header(name)
        for user in self.users.values():
            secret_registry.password(user.secret)
        if self.auth.login is not None:
            # In every login and its response, these members are masked whatever their value.
            secret_registry.member(self.auth.login.secret)
            secret_registry.member(self.auth.session.rpartition("/")[2])
        secret_registry.route = self.target.route
        return secret_registry


def _without_password(url: str) -> str:
    """Return a URL with a mask in place of the name and the password in it."""
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{MASK}@{host}" if at else host).geturl()


def _authorization_secrets(value: str) -> list[str]:
    """Return what must not be shown of a value of Authorization: its credentials, and the password in them."""
    scheme, _, credentials = value.partition(" ")
    if scheme != "Basic":
        return [credentials]
    return [credentials, base64.b64decode(credentials).decode().partition(":")[2]]
