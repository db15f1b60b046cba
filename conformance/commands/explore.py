"""`conform explore`: the documentation page over any target, on this machine alone.

A browser's cross-origin rules keep a page from calling a target that did not send it. So a server on the loopback
address gives the page and passes its calls on, as typed, to the one target of the profile. Each exchange is masked, put
to every pure rule, and told to the page; passwords and sessions stay here.

It is no open proxy. Calls go to the profile's base URL and below, nowhere else. Whoever calls has to know the key,
which is made anew at each start and stands in the address that is printed, and has to be this page: the header `Host`
must name the loopback address (so a name that was bound to it elsewhere is of no use), `Origin` must be the page's own,
and the key must stand in a header that no other site's page can send. There is no CORS.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import json
import re
import secrets
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any

from conformance import __version__
from conformance.cases.format import Case, Expect, Step, file_name
from conformance.catalog.model import Method
from conformance.engine.harness import Harness, Request
from conformance.errors import UsageError
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.redaction import MASK
from conformance.protocol.session import Session, Sessions, SetUpFailedError
from conformance.rulebook import RULES, Verdict
from conformance.rulebook.verdicts import Policy
from conformance.schema.pointer import MISSING

__all__ = ["Explorer", "explore"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: The longest request of the page that is read, and the longest body that is told to it, in bytes.
_LONGEST = 16 * 1024 * 1024
_SHOWN = 2_000_000

#: Exchanges retained, so that case files can be made of them.
_KEPT = 200

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

#: Headers that say where a request ends or who it is for: typed by hand, they could make two requests of one.
_FRAMING = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)


class RefusedError(Exception):
    """The page asked for what is not done; the message is for the person in front of it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Explorer:
    """The page and the way to the target, as an ASGI application.

    `port` is the one that it listens on; requests for another host than the loopback address at that port are refused.
    """

    def __init__(self, harness: Harness, *, port: int, key: str | None = None) -> None:
        from fixtures import explorer

        self.key = key or secrets.token_urlsafe(24)
        self._pages = explorer
        self._harness = harness
        self._profile = profile = harness.profile
        self._catalog = harness.catalog
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._secret_registry = profile.secret_registry()
        openers = (profile.auth.login, profile.auth.key_login)
        self._client = Client.of(profile, secret_registry=self._secret_registry)
        logins = [opener.function for opener in openers if opener is not None]
        self._caller = Caller(self._client, self._catalog, logins)
        self._signing = Sessions(self._caller, profile)
        self._client.observe = self._signing.learn
        self._sessions: dict[str, Session] = {}
        self._exchanges: OrderedDict[str, Exchange] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0
        self._page, self._forms = self._rendered()
        self._deeds: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]] = {
            "call": self._call,
            "login": self._login,
            "logout": self._logout,
            "case": self._case,
        }

    def close(self) -> None:
        """Log out every session that was begun here, and close the connections."""
        with contextlib.suppress(Exception):
            self._signing.end_all()
        self._client.close()

    # --- the page

    def _rendered(self) -> tuple[bytes, bytes]:
        """Return the page and the catalogue that its forms are made from."""
        methods = [_described(method, implicit=self._catalog.is_implicit) for method in self._catalog]
        profile, auth = self._profile, self._profile.auth
        title = "Coursio API"
        if isinstance(self._catalog.raw, dict):
            title = str(self._catalog.raw["info"]["title"])
        facts = {
            "mode": "relay",
            "key": self.key,
            "title": title,
            "target": profile.shown_url,
            "base": self._client.address.path,
            "environment": profile.target.environment,
            "writes": self._writes,
            "login": None
            if auth.login is None
            else {"function": auth.login.function, "user": auth.login.user, "secret": auth.login.secret},
            "logout": auth.logout,
            "users": [{"name": user.name, "roles": list(user.roles)} for user in profile.users.values()],
        }
        return self._pages.page(methods, facts), self._pages.catalogue(methods)

    @property
    def _writes(self) -> bool:
        return self._profile.may_write and not self._harness.request.read_only

    # --- HTTP

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a browser."""
        if scope["type"] != "http":
            return
        try:
            status, kind, body = await self._answer(scope, receive)
        except RefusedError as error:
            status, kind, body = error.status, "application/json", _json({"error": str(error)})
        except Exception as error:
            # A crash of ours is told as ours; its text may quote what was sent, so it is masked.
            told = self._secret_registry.mask(f"The explorer itself failed: {type(error).__name__}: {error}")
            status, kind, body = 500, "application/json", _json({"error": told[:500]})
        headers = {**self._pages.HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            if key in headers and key in ("host", "origin", "x-explorer-key"):
                raise RefusedError(f"The header {key} stands twice.")
            headers[key] = value.decode("latin-1")
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            raise RefusedError("This page is for the loopback address alone.", 421)
        place, _, name = scope["path"].removeprefix("/").partition("/")
        if not secrets.compare_digest(place.encode("utf-8", "replace"), self.key.encode()):
            raise RefusedError("Open the address that conform explore has printed: it holds the key.", 403)
        if scope["method"] in ("GET", "HEAD"):
            return self._file(name)
        if scope["method"] != "POST" or name not in self._deeds:
            raise RefusedError("There is nothing here of that kind.", 405)
        if headers.get("origin", "").lower() != f"http://{host}":
            raise RefusedError("Only the explorer's own page may call.", 403)
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise RefusedError("Only the explorer's own page may call.", 403)
        if not secrets.compare_digest(headers.get("x-explorer-key", "").encode("latin-1"), self.key.encode()):
            raise RefusedError("The key is missing, or it is that of an earlier start.", 403)
        asked = await _asked(receive)
        told = await asyncio.to_thread(self._deeds[name], asked)
        return 200, "application/json", _json(told)

    def _file(self, name: str) -> tuple[int, str, bytes]:
        if name == "":
            return 200, "text/html; charset=utf-8", self._page
        if name == "catalogue.json":
            return 200, "application/json", self._forms
        found = self._pages.asset(name)
        if found is None:
            raise RefusedError("There is nothing here.", 404)
        return 200, *found

    # --- what the page asks for

    def _call(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Pass one call on, exactly as it was typed."""
        verb, endpoint, text = _text(asked, "verb"), _text(asked, "endpoint"), _text(asked, "body")
        headers = _headers(asked.get("headers", []))
        for what, value in (("verb", verb), ("endpoint", endpoint)):
            if not value.isprintable() or " " in value:
                raise RefusedError(f"The {what} has white space or a control character in it.")
        if not _HEADER_NAME.fullmatch(verb):
            raise RefusedError("The verb is missing, or none that HTTP knows the form of.")
        session = self._session(asked.get("session"))
        method = self._named(endpoint, text)
        name = f"{endpoint}." if method is None else method.name
        self._permit(method, verb)
        typed = any(header.lower() == "token" for header, _ in headers)
        token = session.token if session is not None and not typed else None
        exchange = self._caller.call(
            method or name,
            body=text.encode("utf-8", "surrogatepass"),
            target=self._client.address.path + endpoint,
            verb=verb,
            headers=headers,
            content_type=None,
            user=(session.user or None) if token is not None and session is not None else None,
            token=token,
            in_session=token is not None,
            login=method is not None and method.name in self._caller.logins,
        )
        told = self._told(exchange)
        if session is not None and not session.open:
            # It was logged out by that call.
            told["ended"] = self._forget(session)
        return told

    def _login(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Sign in, as a user of the profile or with what was typed; the session stays here."""
        try:
            login = self._signing.login
            user = asked.get("user")
            if user is not None:
                if user not in self._profile.users:
                    raise RefusedError("The profile has no such user.")
                data = self._signing.credentials(user)
            else:
                data = {login.user: _text(asked, "identity"), login.secret: _text(asked, "credential")}
                self._secret_registry.add(data[login.secret], lasting=False)
            exchange, found = self._signing.attempt(data, user=user)
        except SetUpFailedError as error:
            raise RefusedError(error.reason) from error
        told = self._told(exchange)
        if exchange.status == 200 and found is MISSING:
            raise RefusedError(
                f"{login.function} gave no session at {self._profile.auth.session}: mend session in [auth]"
            )
        return told

    def _logout(self, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
        session = self._session(asked.get("session"))
        if session is None:
            raise RefusedError("There is no session to end.")
        self._forget(session)
        exchange = self._signing.end(session)
        return None if exchange is None else self._told(exchange)

    def _case(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a case file of an exchange."""
        exchange = self._exchanges.get(str(asked.get("id")))
        if exchange is None:
            raise RefusedError("That call was made too long ago: send it again.")
        case = self._case_of(exchange)
        return {"name": file_name(case.rule, case.function, case.kind), "case": case.to_json()}

    # --- words

    def _session(self, identifier: object) -> Session | None:
        if identifier is None:
            return None
        session = self._sessions.get(str(identifier))
        if session is None:
            raise RefusedError("That session has ended: log in again.")
        return session

    def _forget(self, session: Session) -> str | None:
        with self._lock:
            known = next((each for each, kept in self._sessions.items() if kept is session), None)
            if known is not None:
                del self._sessions[known]
        return known

    def _named(self, endpoint: str, text: str) -> Method | None:
        """Return the function that a body calls, as far as it can be read."""
        try:
            return self._catalog.methods.get(f"{endpoint}.{json.loads(text)['method']}")
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def _permit(self, method: Method | None, verb: str) -> None:
        """Refuse what would write to a target that is only read."""
        if self._writes:
            return
        auth = self._profile.auth
        harmless = (
            auth.login and auth.login.function,
            auth.logout,
            auth.key_login and auth.key_login.function,
        )
        if method is not None and verb == "POST" and (method.effect == "read" or method.name in harmless):
            return
        why = (
            "--read-only was given"
            if self._profile.may_write
            else f"{self._profile.host} is no test environment "
            '(set environment = "test" in [target] of the profile if it is one)'
        )
        raise RefusedError(
            f"Not sent: {why}, so only functions that the catalogue calls read are called.", 403
        )

    def _told(self, exchange: Exchange) -> dict[str, Any]:
        """Return what the page may know of an exchange: masked, and judged by every pure rule."""
        opened = None
        if exchange.login and exchange.status == 200:
            found = self._signing.session_value(exchange)
            if isinstance(found, str) and found:
                opened = self._opened(found, exchange)
        with self._lock:
            self._count += 1
            identifier = f"e{self._count}"
            self._exchanges[identifier] = exchange
            while len(self._exchanges) > _KEPT:
                self._exchanges.popitem(last=False)
        record = exchange.record(limit=_SHOWN)
        return {
            "id": identifier,
            "request": record["request"],
            "response": record["response"],
            "failure": record["failure"],
            "curl": record["curl"],
            "verdicts": list(self._verdicts(exchange)),
            "session": opened,
        }

    def _opened(self, token: str, exchange: Exchange) -> Mapping[str, Any]:
        """Take note of the session that a login gave."""
        owner = self._secret_registry.sessions().get(token) or exchange.user or ""
        session = self._signing.known(token) or Session(owner, token)
        with self._lock:
            identifier = f"s{secrets.token_hex(6)}"
            self._sessions[identifier] = session
        label = session.user
        if not label:
            with contextlib.suppress(ValueError, AttributeError, KeyError, SetUpFailedError):
                label = str(json.loads(exchange.request.body)["data"][self._signing.login.user])
        return {"id": identifier, "label": self._secret_registry.mask(label)[:80] or "a user"}

    def _verdicts(self, exchange: Exchange) -> Iterator[Mapping[str, str]]:
        policy = Policy(today=datetime.date.today(), waivers=self._profile.waivers)
        for rule in RULES.values():
            outcome = rule.check(exchange) if rule.check is not None else None
            if outcome is None or not outcome.judged:
                continue
            verdict = Verdict.PASS
            if outcome.broken:
                verdict = policy.verdict(rule.level, rule.id, exchange.function, outcome.kind)
            yield {
                "id": rule.id,
                "level": str(rule.level),
                "title": rule.title,
                "verdict": str(verdict),
                "expected": self._secret_registry.mask(outcome.expected),
                "actual": self._secret_registry.mask(outcome.actual),
            }

    # --- case files

    def _case_of(self, exchange: Exchange) -> Case:
        """Return an exchange as a case: of the first rule that it breaks, else of the answer that it got.

        Names and passwords of the profile's users stand in it as symbols.

        Raises:
            RefusedError: it holds a secret, or a session that no user of the profile began.

        """
        broken = [
            (rule, outcome)
            for rule in RULES.values()
            if rule.check is not None and (outcome := rule.check(exchange)).broken
        ]
        request = exchange.request
        user = exchange.user if exchange.in_session else None
        if exchange.in_session and user is None:
            raise RefusedError(
                "The session is of nobody in the profile: add the user under [users], and log in by name."
            )
        headers = [(name, value) for name, value in request.headers if not self._own(name)]
        if any(_shown(exchange, name) == MASK for name, value in headers if value):
            raise RefusedError("A header of this call is secret: case files hold no secrets.")
        kind = next((value for name, value in headers if name.lower() == "content-type"), None)
        if broken:
            rule, outcome = broken[0]
            expect, told, expected = Expect(rule=rule.id), rule.title, outcome.expected
            actual, sort = outcome.actual, outcome.kind
        else:
            rule, expected = RULES["COD-2"], f"status {exchange.status}"
            expect = Expect(status=(exchange.status,) if exchange.status else (200,))
            told, actual = "The answer is as it was", exchange.summary()
            sort = f"status {exchange.status} to {request.body.decode('utf-8', 'replace')[:200]}"
        step = Step(
            user=user,
            function=exchange.function if exchange.function and "." in exchange.function else None,
            verb=request.verb,
            headers=tuple((name, value) for name, value in headers if name.lower() != "content-type"),
            content_type=kind,
            expect=expect,
            **self._sent(exchange),
        )
        case = Case(
            rule=rule.id,
            function=exchange.function,
            kind=self._secret_registry.mask(sort),
            message=told,
            expected=self._secret_registry.mask(expected),
            actual=self._secret_registry.mask(actual),
            steps=(step,),
            suite=__version__,
            users={user: self._profile.users[user].roles} if user else {},
        )
        text = json.dumps(case.to_json(), ensure_ascii=False)
        if self._secret_registry.mask(text) != text:
            raise RefusedError("This call holds a secret: case files hold none.")
        return case

    def _own(self, name: str) -> bool:
        """Say whether a header is put in by the client or the profile, whoever calls."""
        usual = {"host", "user-agent", "accept", "content-length", "token"}
        return name.lower() in usual | {name.lower() for name in self._profile.headers}

    def _sent(self, exchange: Exchange) -> dict[str, Any]:
        """Return what a step says of the request's body: data where it is a plain call, else the body itself."""
        request = exchange.request
        endpoint = request.url.partition(self._client.address.authority)[2]
        endpoint = endpoint.removeprefix(self._client.address.path)
        plain = exchange.function is not None and "." in exchange.function and request.verb == "POST"
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            body = None
        members = {"method", "data", "pageStart", "pageLength"}
        again = None
        if plain and isinstance(body, dict) and body.keys() <= members:
            paging = {
                name: body[member]
                for name, member in (("page_start", "pageStart"), ("page_length", "pageLength"))
                if member in body
            }
            data = body.get("data", OMIT)
            again = self._caller.body(exchange.function or "", data, **paging)
            if again == request.body:
                return {"data": data if data is OMIT else self._symbols(data), **paging}
        try:
            text: Any = request.body.decode()
        except UnicodeDecodeError:
            import base64

            text = {"$bytes": base64.b64encode(request.body).decode()}
        function = exchange.function or ""
        return {
            "body": text,
            "target": None if function.partition(".")[0] == endpoint and plain else endpoint,
        }

    def _symbols(self, data: Any) -> Any:
        """Return data with the names and the passwords of the profile's users as symbols."""
        if not isinstance(data, dict):
            return data
        names = {user.user: {"$user": user.name} for user in self._profile.users.values()}
        words = {
            user.secret: {"$secret": f"users.{user.name}.secret"} for user in self._profile.users.values()
        }
        known = {**names, **words}
        return {
            name: known[value] if isinstance(value, str) and value in known else value
            for name, value in data.items()
        }


def _shown(exchange: Exchange, name: str) -> str | None:
    """Return a header of a request as it may be shown."""
    shown: str | None = exchange.record(limit=0)["request"]["headers"].get(name)
    return shown


def _described(method: Method, *, implicit: bool) -> Mapping[str, Any]:
    """Return a function as the page needs it: each parameter's schema stands by itself."""
    described: dict[str, Any] = {
        "name": method.name,
        "description": method.description,
        "params": [
            {
                "name": param.name,
                "required": param.required,
                "schema": param.schema,
                "description": param.description,
            }
            for param in method.params
        ],
    }
    if not implicit:
        described |= {"x-auth": method.auth, "x-effect": method.effect}
    if method.rows is not None:
        described["x-rows"] = method.rows
    return described


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _asked(receive: Receive) -> Mapping[str, Any]:
    """Read what the page asks for: a JSON object.

    Raises:
        RefusedError: it is none, or too long.

    """
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError("The page went away.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LONGEST:
            raise RefusedError(f"A call of more than {_LONGEST // 1024 // 1024} MB is not passed on.", 413)
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise RefusedError("The page asked in a way that is not understood.")
    return asked


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise RefusedError(f"{name} is no text.")
    return value


def _headers(pairs: object) -> list[tuple[str, str]]:
    """Read the headers that were typed.

    Raises:
        RefusedError: one is none, or would say where the request ends.

    """
    if not isinstance(pairs, list) or len(pairs) > 100:
        raise RefusedError("The headers are no list, or too many.")
    headers: list[tuple[str, str]] = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise RefusedError("A header is no name with a value.")
        name, value = pair
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise RefusedError(f"The header {name[:40]!r} has a character in it that HTTP forbids.")
        if name.lower() in _FRAMING:
            raise RefusedError(f"The header {name} is the connection's own: it is not typed.")
        headers.append((name, value))
    return headers


# --- the command ------------------------------------------------------------------------------------------


def explore(request: Request, options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, and log out what it signed in.

    Raises:
        UsageError: the options, the profile or the catalogue are wrong, or the port is taken.

    """
    import uvicorn

    harness = Harness.prepare(request)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    explorer: Explorer | None = None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", options.port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"--port {options.port}: cannot listen there: {why}") from None
        listener.listen(64)
        harness.connect()
        port = listener.getsockname()[1]
        explorer = Explorer(harness, port=port)
        url = f"http://127.0.0.1:{port}/{explorer.key}/"
        print(json.dumps({"url": url, "target": harness.profile.shown_url}), flush=True)
        if not request.quiet:
            print(
                f"The explorer of {harness.shown_url} is at {url} (Ctrl-C ends it).\n"
                "Whoever has this address can call the target as the profile's users: keep it to yourself.",
                file=sys.stderr,
                flush=True,
            )
        config = uvicorn.Config(
            explorer,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        if explorer is not None:
            explorer.close()
        harness.close()
    return 0
