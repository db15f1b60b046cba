"""Reads a profile file (`conform.toml`) and checks it."""

from __future__ import annotations

import base64
import datetime as dt
import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from urllib.parse import urlsplit

from conformance.errors import UsageError, suggestion
from conformance.protocol.base_url import base_url, host_and_port, is_valid_host
from conformance.protocol.network import tls_context
from conformance.protocol.profile import Auth, KeyLogin, Login, Profile, Target, User, Waiver, Whoami
from conformance.protocol.reach import basic_authorization
from conformance.schema.pointer import check_pointer

__all__ = ["load", "rule_id"]

#: Any value of a TOML file.
Value: TypeAlias = Any

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FUNCTION = re.compile(r"[^\s./]+\.[^\s./]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: Headers that the suite sets itself in every request.
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
    "scenario_file",
    "rate",
    "duration",
    "mix",
    "mix_from",
    "speed",
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


def rule_id(text: str) -> str:
    """Return the id of a rule in its one spelling, without checking that there is such a rule."""
    return text.strip().upper()


# One class, though it is long: one method for each section of the file.
class _Reader:
    """Reads a parsed file; every mistake is a UsageError that names the file, section and key."""

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        self.path = path
        self.env = env

    def wrong(self, where: str, why: str) -> NoReturn:
        """Raise a UsageError for the value at `where`."""
        raise UsageError(f"{self.path}: {where}: {why}")

    def fill(self, value: Value, where: str) -> Value:
        """Return a value with each `${NAME}` replaced by the environment variable, at any depth."""
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
        """Check that a table has no other keys than these."""
        keys = list(keys)
        for key in table:
            if key not in keys:
                hint = suggestion(key, keys) or f"; known here: {', '.join(keys)}"
                self.wrong(f"{where} {key}".strip(), f"unknown key{hint}")

    def get(
        self, table: Mapping[str, Any], key: str, kind: type, where: str, *, required: bool = False
    ) -> Value:
        """Return the value of a key, checked for its type; None if the key is missing and not required."""
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
            shown = "what stands there" if key in ("secret", "private") else _described(value)
            self.wrong(place, f"must be {_TYPES[kind]}, not {shown}")
        if required and value == "":
            self.wrong(place, "must not be empty")
        return value

    def strings(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        """Return a list of strings that are not empty."""
        values = self.get(table, key, list, where) or []
        for value in values:
            if not isinstance(value, str) or not value:
                self.wrong(f"{where} {key}", f"must be a list of strings, but {_described(value)} is in it")
        return tuple(values)

    def function(
        self, table: Mapping[str, Any], key: str, where: str, *, required: bool = False
    ) -> str | None:
        """Return the name of a function."""
        name: str | None = self.get(table, key, str, where, required=required)
        if name is not None and not _FUNCTION.fullmatch(name):
            self.wrong(f"{where} {key}", f"{name!r} names no function: write it as entity.function")
        return name

    def pointer(
        self, table: Mapping[str, Any], key: str, where: str, *, required: bool = False
    ) -> str | None:
        """Return a JSON pointer."""
        text: str | None = self.get(table, key, str, where)
        if text is None and required:
            self.wrong(f"{where} {key}", 'is missing; it must be a JSON pointer such as "/user/email"')
        if text is not None and (why := check_pointer(text)):
            self.wrong(f"{where} {key}", why)
        return text

    def file(self, table: Mapping[str, Any], key: str, where: str) -> Path | None:
        """Return the path of a file, resolved against the profile's folder."""
        name = self.get(table, key, str, where)
        if name is None:
            return None
        if not name:
            self.wrong(f"{where} {key}", "must name a file, found from the profile's folder")
        return self.path.parent / Path(name).expanduser()

    # --- the sections

    def target(self, table: Mapping[str, Any]) -> Target:
        """Read the section `[target]`."""
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
            "proxy",
            "cert",
            "key",
            "http2",
            "uds",
            "auth",
            "auth_hook",
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
            **self._network(table, ca),
        )

    def _network(self, table: Mapping[str, Any], ca: Path | None) -> dict[str, Any]:
        """Read what `[target]` says about the way to the target and the authorization on it."""
        where = "[target]"
        cert, key, uds = (self.file(table, name, where) for name in ("cert", "key", "uds"))
        for name, path in (("cert", cert), ("key", key)):
            if path is not None and not path.is_file():
                self.wrong(f"{where} {name}", f"{path} is no file: give a PEM file")
        if key is not None and cert is None:
            self.wrong(f"{where} key", "there is no cert: give the certificate that the key belongs to")
        if cert is not None or ca is not None:
            try:
                tls_context(ca, cert, key)
            except UsageError as error:
                name, _, why = str(error).partition(": ")
                self.wrong(f"{where} {name}", why)
        proxy = self._proxy(self.get(table, "proxy", str, where))
        if proxy is not None and uds is not None:
            self.wrong(f"{where} proxy", "a Unix socket (uds) is reached directly: leave one out")
        return {
            "proxy": proxy,
            "cert": cert,
            "key": key,
            "uds": uds,
            "http2": self.get(table, "http2", bool, where) or False,
            "auth": self._authorization(self.get(table, "auth", str, where)),
            "auth_hook": self._auth_hook(self.get(table, "auth_hook", str, where)),
        }

    def _proxy(self, url: str | None) -> str | None:
        """Check the URL of a proxy; it is not shown, since it may hold a password."""
        if url is None:
            return None
        where = "[target] proxy"
        try:
            parts = urlsplit(url)
            valid = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
            basic_authorization(url)
        except ValueError:
            valid = False
        if not valid or parts.path not in ("", "/") or parts.query or parts.fragment:
            self.wrong(where, "must be the address of an HTTP proxy: http://[NAME:PASSWORD@]host:port")
        return url

    def _authorization(self, text: str | None) -> str | None:
        """Return the value of Authorization for `basic NAME:PASSWORD` or `bearer TOKEN`."""
        if text is None:
            return None
        scheme, _, credentials = text.strip().partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "basic" and ":" in credentials:
            return "Basic " + base64.b64encode(credentials.encode()).decode()
        if scheme.lower() == "bearer" and re.fullmatch(r"[!-~]+", credentials):
            return f"Bearer {credentials}"
        return self.wrong("[target] auth", 'must be "basic ${NAME}:${PASSWORD}" or "bearer ${TOKEN}"')

    def _auth_hook(self, text: str | None) -> tuple[Path, str] | None:
        """Return the file and the function that sign requests."""
        if text is None:
            return None
        where = "[target] auth_hook"
        name, colon, function = text.rpartition(":")
        if not colon or not name or not function.isidentifier():
            self.wrong(where, f'must be "file.py:function", not {_described(text)}')
        path = self.path.parent / Path(name).expanduser()
        if not path.is_file():
            self.wrong(where, f"there is no file {path}")
        return path, function

    def _production(self, listed: str, where: str) -> None:
        """Check an entry of the list of production hosts."""
        try:
            valid = "/" not in listed and "@" not in listed and is_valid_host(host_and_port(listed)[0])
        except ValueError:
            valid = False
        if not valid:
            self.wrong(where, f"{listed!r} is no host: write api.example.com, or api.example.com:8443")

    def _headers(self, table: Mapping[str, Any]) -> dict[str, str]:
        """Check the headers that are added to every request."""
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
                self.wrong(where, f"must be a string, not {_described(value)}")
            if not _HEADER_VALUE.fullmatch(value):
                self.wrong(where, "has a character that no header may carry, such as a line end")
        return dict(table)

    def auth(self, table: Mapping[str, Any]) -> Auth:
        """Read the section `[auth]`."""
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
        """Check that a table has a function and all of these keys."""
        self.known(table, keys, where)
        self.function(table, "function", where, required=True)
        for key in keys[1:]:
            self.get(table, key, str, where, required=True)

    def users(self, table: Mapping[str, Any]) -> dict[str, User]:
        """Read the sections `[users.NAME]`."""
        users: dict[str, User] = {}
        for name, entry in table.items():
            where = f"[users.{name}]"
            if not isinstance(entry, dict):
                self.wrong(
                    f"[users] {name}", f"must be a table with user and secret, not {_described(entry)}"
                )
            self.known(entry, ("user", "secret", "roles"), where)
            users[name] = User(
                name=name,
                user=self.get(entry, "user", str, where, required=True),
                secret=self.get(entry, "secret", str, where, required=True),
                roles=self.strings(entry, "roles", where),
            )
        return users

    def waivers(self, entries: list[Any]) -> tuple[Waiver, ...]:
        """Read the list `[[waivers]]`."""
        waivers: list[Waiver] = []
        for number, entry in enumerate(entries, 1):
            where = f"[[waivers]] #{number}"
            if not isinstance(entry, dict):
                self.wrong(where, f"must be a table, not {_described(entry)}")
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

    def gate(self, table: Mapping[str, Any]) -> tuple[str, ...]:
        """Read the section `[gate]`: what must be judged. The rulebook's names are checked by the engine."""
        self.known(table, ("require",), "[gate]")
        return self.strings(table, "require", "[gate]")

    def suite(self, table: Mapping[str, Any]) -> tuple[Path, ...]:
        """Read the section `[suite]`: the files of the team's own rules, resolved against the profile's folder."""
        self.known(table, ("rules",), "[suite]")
        found = tuple(
            self.path.parent / Path(name).expanduser() for name in self.strings(table, "rules", "[suite]")
        )
        for path in found:
            if not path.is_file():
                self.wrong("[suite] rules", f"there is no file {path}")
        return found

    def _day(self, entry: Mapping[str, Any], where: str) -> dt.date:
        """Return the last day of a waiver."""
        value = entry.get("until")
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            try:
                return dt.date.fromisoformat(value)
            except ValueError:
                pass
        problem = (
            "is missing; it must be a day" if value is None else f"must be a day, not {_described(value)}"
        )
        return self.wrong(f"{where} until", f"{problem}: write 2027-06-30")

    def load(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Check the section `[load]`; its texts are parsed by the load generator."""
        where = "[load]"
        for key in table:
            if key not in _LOAD_KEYS and (
                close := difflib.get_close_matches(key, _LOAD_KEYS, n=1, cutoff=0.75)
            ):
                self.wrong(f"{where} {key}", f'unknown key; did you mean "{close[0]}"?')
        self.get(table, "scenario", str, where)
        self.get(table, "scenario_file", str, where)
        if isinstance(table.get("rate"), str):
            # A schedule such as "ramp 10/s to 200/s" is parsed by the load generator.
            self.get(table, "rate", str, where, required=True)
        elif (rate := self.get(table, "rate", float, where)) is not None and not 0 < rate < math.inf:
            self.wrong(f"{where} rate", f"must be more than 0 arrivals per second, not {rate:g}")
        rate_limit = self.get(table, "ceiling", float, where)
        if rate_limit is not None and not 0 < rate_limit < math.inf:
            self.wrong(f"{where} ceiling", f"must be more than 0 requests per second, not {rate_limit:g}")
        for key, example in (("duration", "60s"), ("think", "1s..3s"), ("warmup", "5s")):
            if key in table and (not isinstance(table[key], str) or not table[key]):
                self.wrong(
                    f"{where} {key}", f'must be a string such as "{example}", not {_described(table[key])}'
                )
        self.get(table, "search", str, where)
        if isinstance(table.get("mix_from"), list):
            self.strings(table, "mix_from", where)
        else:
            self.get(table, "mix_from", str, where)
        if not isinstance(table.get("speed"), int | float):
            self.get(table, "speed", str, where)
        for key in ("users", "connections", "workers"):
            count = self.get(table, key, int, where)
            if count is not None and count < 1:
                self.wrong(f"{where} {key}", f"must be 1 or more, not {count}")
        many = table.get("per_session", 1)
        if many != "any" and (isinstance(many, bool) or not isinstance(many, int) or many < 1):
            self.wrong(
                f"{where} per_session", f'must be a number from 1 on, or "any", not {_described(many)}'
            )
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
                self.wrong(f"{where} mix.{name}", f"must be a share of 0 or more, not {_described(share)}")
        self.strings(table, "slo", where)
        self.strings(table, "abort_when", where)
        self.get(table, "fail_fast", bool, where)
        return dict(table)


def _described(value: Value) -> str:
    """Return a wrong value as it is shown in an error message; only a short string is quoted."""
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
    """Return a dotted path as section and key of the file: `[target] url`."""
    section, _, key = where.partition(".")
    if section == "users" and "." in key:
        name, _, key = key.partition(".")
        section = f"users.{name}"
    brackets = f"[[{section}]]" if section == "waivers" else f"[{section}]"
    return f"{brackets} {key}".strip()


def load(path: Path | str, env: Mapping[str, str] | None = None) -> Profile:
    """Read a profile (formats, section 2); `env` holds the values of `${NAME}`, by default the environment.

    Raises:
        UsageError: one line that names the file, the section, the key, what is wrong and how to correct it.

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
        raw = tomllib.loads(text + "\n")  # so that a mistake at the very end has a line number, too
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is no TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: is no TOML that can be read: nested too deep") from None
    reader = _Reader(path, os.environ if env is None else env)
    reader.known(raw, ("target", "auth", "users", "waivers", "gate", "suite", "load"), "")
    for section in ("target", "auth", "users", "gate", "suite", "load"):
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
        required=reader.gate(filled.get("gate", {})),
        rule_files=reader.suite(filled.get("suite", {})),
        load=reader.load(filled.get("load", {})),
        path=path,
    )
    profile.refuse_two_authorizations(f"{path}: [target] url")
    return replace(profile, hidden=_hidden_headers(raw, profile, reader.env))


def _hidden_headers(raw: Mapping[str, Any], profile: Profile, env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the header values that come from environment variables."""
    found: list[str] = []
    for name, value in raw.get("target", {}).get("headers", {}).items():
        names = _VARIABLE.findall(value)
        if names:
            found.append(profile.target.headers[name])
            found += [env[each] for each in names]
    return tuple(dict.fromkeys(found))
