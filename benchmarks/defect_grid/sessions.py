"""Templates: signing in and out, tokens, and what one function takes for a session."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes

from benchmarks.defect_grid.catalogue_view import Function, View, at_pointer
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Spot, template

AREAS = (
    "AUT-3",
    "AUT-4",
    "AUT-5",
    "AUT-8",
    "AUT-9",
    "AUT-10",
    "AUT-11",
    "AUT-15",
    "COD-6",
    "STA-6",
    "COD-8",
    "COD-2",
)


def _label(f: Function) -> str:
    return f.does or "other"


def _forged(name: str, tells: tuple[str, ...], read: Callable[[Any], bytes | None]) -> None:
    """Register: one function takes what `read(request)` finds for the token."""

    def spots(view: View) -> Iterator[Spot]:
        for f in view.protected:

            def apply(host: Host, f: Function = f) -> None:
                known = host.sessions()

                def other(call: Any) -> Any:
                    given = read(call) if call.name == f.name else None
                    if given in known:
                        call.token = given
                        return known[given]
                    return None

                host.admit(other)

            yield f.name, _label(f), apply

    template(f"token.{name}", *tells, areas=AREAS)(spots)


def _header(call: Any) -> bytes:
    return bytes(call.request.header(b"token") or b"")


def _authorization(call: Any) -> bytes | None:
    return (call.request.header(b"authorization") or b"").removeprefix(b"Bearer ") or None


def _cookie(call: Any) -> bytes | None:
    for pair in (call.request.header(b"cookie") or b"").split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name.lower() in (b"token", b"sessionid"):
            return bytes(value)
    return None


def _query(call: Any) -> bytes | None:
    found = parse_qs(call.request.query.decode("latin-1"))
    return next(
        (found[name][0].encode("latin-1") for name in ("token", "Token", "sessionId") if name in found), None
    )


def _body(call: Any) -> bytes | None:
    for holder in (call.message, call.message.get("data")):
        for name in ("token", "Token", "sessionId"):
            if isinstance(holder, dict) and isinstance(holder.get(name), str):
                return str(holder[name]).encode("utf-8", "replace")
    return None


_forged("quoted", ("AUT-5",), lambda call: _header(call).strip(b'"'))
_forged("bearer", ("AUT-5",), lambda call: _header(call).removeprefix(b"Bearer "))
_forged("percent-decoded", ("AUT-5",), lambda call: unquote_to_bytes(_header(call)))
_forged("from-authorization", ("AUT-15", "AUT-4"), _authorization)
_forged("from-cookie", ("AUT-15", "AUT-4"), _cookie)
_forged("from-query", ("AUT-15", "AUT-4"), _query)
_forged("from-body", ("AUT-15", "AUT-4"), _body)


def _matched(name: str, matches: Callable[[bytes, bytes], bool]) -> None:
    """Register: one function takes a token that matches a session in some loose way."""

    def spots(view: View) -> Iterator[Spot]:
        for f in view.protected:

            def apply(host: Host, f: Function = f) -> None:
                known = host.sessions()

                def other(call: Any) -> Any:
                    given = _header(call)
                    if call.name != f.name or not given:
                        return None
                    return next(
                        (user for token, user in known.items() if token != given and matches(token, given)),
                        None,
                    )

                host.admit(other)

            yield f.name, _label(f), apply

    template(f"token.{name}", "AUT-5", areas=AREAS)(spots)


_matched("in-any-case", lambda token, given: token.lower() == given.lower())
_matched(
    "by-its-beginning",
    lambda token, given: len(given) >= 8 and token[: len(token) - 1] == given[: len(token) - 1],
)
_matched("prefix-of-it", lambda token, given: len(given) >= 4 and token.startswith(given))
_matched("longer-than-it", lambda token, given: given.startswith(token))
_matched("wildcard", lambda token, given: given in (b"*", b"%", b".*"))
_matched("null-word", lambda token, given: given in (b"null", b"undefined", b"None"))
_matched("zero", lambda token, given: given in (b"0", b"00", b"0.0", b"false"))
_matched("inherited-name", lambda token, given: given in (b"constructor", b"__proto__", b"toString"))
_matched("quote-in-it", lambda token, given: b"'" in given)
_matched("any-of-its-length", lambda token, given: len(given) == len(token))


@template("token.user-identifier", "AUT-5", areas=AREAS)
def user_identifier(view: View) -> Iterator[Spot]:
    for f in view.protected:

        def apply(host: Host, f: Function = f) -> None:
            known = host.sessions()

            def other(call: Any) -> Any:
                given = _header(call).decode("latin-1")
                if call.name != f.name or not given:
                    return None
                return next((u for u in known.values() if given in map(str, u.values())), None)

            host.admit(other)

        yield f.name, _label(f), apply


@template("token.missing-is-somebody", "AUT-4", "COD-6", areas=AREAS)
def missing_is_somebody(view: View) -> Iterator[Spot]:
    for f in view.protected:

        def apply(host: Host, f: Function = f) -> None:
            known = host.sessions()

            def other(call: Any) -> Any:
                if call.name == f.name and call.request.header(b"token") is None:
                    return next(iter(known.values()), None)
                return None

            host.admit(other)

        yield f.name, _label(f), apply


@template("token.missing-with-header", "AUT-4", areas=AREAS)
def missing_with_header(view: View) -> Iterator[Spot]:
    for header in (
        b"x-forwarded-for",
        b"x-forwarded-user",
        b"x-original-url",
        b"x-role",
        b"x-real-ip",
        b"remote-user",
    ):
        for f in view.protected:

            def apply(host: Host, f: Function = f, header: bytes = header) -> None:
                known = host.sessions()

                def other(call: Any) -> Any:
                    named = call.request.header(header) is not None and call.request.header(b"token") is None
                    return next(iter(known.values()), None) if call.name == f.name and named else None

                host.admit(other)

            yield f"{f.name}:{header.decode()}", f"{_label(f)}, header", apply


@template("token.of-a-logged-out-session", "AUT-8", areas=AREAS)
def logged_out(view: View) -> Iterator[Spot]:
    for f in view.protected:

        def apply(host: Host, f: Function = f) -> None:
            known = host.sessions()
            host.admit(lambda call: known.get(_header(call)) if call.name == f.name else None)

        yield f.name, _label(f), apply


# All tests together call a function often enough; what they see is AUT-3's to say.
@template("token.refused-by-one-function-after-calls", "AUT-3", areas=(*AREAS, "PAG-2", "STA-1"), whole=True)
def refused_after_calls(view: View) -> Iterator[Spot]:
    for count in (10, 41):
        for f in view.protected:

            def apply(host: Host, f: Function = f, count: int = count) -> None:
                calls: Counter[bytes] = Counter()

                def authenticate(inner: Any, call: Any) -> Any:
                    user = inner(call)
                    if call.name == f.name and call.token:
                        calls[call.token] += 1
                        if calls[call.token] > count:
                            raise host.refuse(401, "Sign in first")
                    return user

                host.wrap("authenticate", authenticate)

            yield f"{f.name} after {count}", _label(f), apply


@template("session.ends-at-another-login-of-the-user", "AUT-9", areas=(*AREAS, "STA-1", "AUT-3"))
def ends_at_login(view: View) -> Iterator[Spot]:
    yield view.login.name, "signing in", lambda host: _newest_only(host, lambda call, user, older: True)


@template("session.ends-at-a-login-of-another-user", "AUT-3", "AUT-11", "AUT-10", areas=AREAS)
def ends_at_any_login(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        ended: set[bytes] = set()
        seen: dict[bytes, Any] = {}

        def authenticate(inner: Any, call: Any) -> Any:
            user = inner(call)
            if call.token and user is not None:
                if call.token in ended:
                    raise host.refuse(401, "Sign in first")
                seen[call.token] = user
            return user

        def login(inner: Any, service: Any, call: Any) -> Any:
            data = inner(service, call)
            ended.update(list(seen)[-1:])
            return data

        host.wrap("authenticate", authenticate)
        host.on_handler(host.view.login.name, login)

    yield view.login.name, "signing in", apply


def _newest_only(host: Host, _when: Any) -> None:
    newest: dict[str, int] = {}
    number: dict[str, tuple[str, int]] = {}

    def login(inner: Any, service: Any, call: Any) -> Any:
        data = inner(service, call)
        name = call.args[host.view.user_param]
        newest[name] = newest.get(name, 0) + 1
        at_pointer(
            data, host.view.session, lambda token: number.update({token: (name, newest[name])}) or token
        )
        return data

    def authenticate(inner: Any, call: Any) -> Any:
        user = inner(call)
        found = number.get((call.token or b"").decode("latin-1"))
        if found is not None and newest[found[0]] != found[1]:
            raise host.refuse(401, "Sign in first")
        return user

    host.on_handler(host.view.login.name, login)
    host.wrap("authenticate", authenticate)


@template("session.logout-ends-all-of-the-user", "AUT-10", areas=AREAS)
def logout_ends_all(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        known = host.sessions()
        ended: set[bytes] = set()

        def logout(inner: Any, service: Any, call: Any) -> Any:
            ended.update(token for token, user in known.items() if user["userId"] == call.user["userId"])
            return inner(service, call)

        def authenticate(inner: Any, call: Any) -> Any:
            user = inner(call)
            if call.token in ended:
                raise host.refuse(401, "Sign in first")
            return user

        host.on_handler(host.view.logout.name, logout)
        host.wrap("authenticate", authenticate)

    yield view.logout.name, "signing out", apply


@template("session.logout-does-nothing", "AUT-8", areas=AREAS)
def logout_does_nothing(view: View) -> Iterator[Spot]:
    yield view.logout.name, "signing out", lambda host: host.on_handler(host.view.logout.name, lambda *_: {})


@template("session.ended-by-a-failed-login", "AUT-3", "AUT-11", "AUT-2", areas=AREAS)
def ended_by_failed_login(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        ended: set[bytes] = set()

        def login(inner: Any, service: Any, call: Any) -> Any:
            try:
                return inner(service, call)
            except Exception:
                ended.add(_header(call))
                raise

        def authenticate(inner: Any, call: Any) -> Any:
            user = inner(call)
            if call.token in ended:
                raise host.refuse(401, "Sign in first")
            return user

        host.on_handler(host.view.login.name, login)
        host.wrap("authenticate", authenticate)

    yield view.login.name, "signing in", apply


@template("session.one-token-for-all-logins", "AUT-9", "AUT-14", areas=AREAS)
def one_token(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        first: dict[str, Any] = {}

        def login(inner: Any, service: Any, call: Any) -> Any:
            data = inner(service, call)
            return first.setdefault(call.args[host.view.user_param], data)

        host.on_handler(host.view.login.name, login)

    yield view.login.name, "signing in", apply


# --- passwords and names


def _spelling(name: str, tells: tuple[str, ...], parameter: str, change: Callable[[str], str]) -> None:
    """Register: the login takes a changed spelling of the name or the password for the right one."""

    def spots(view: View) -> Iterator[Spot]:
        param = view.secret_param if parameter == "secret" else view.user_param
        right = {user["secret" if parameter == "secret" else "user"] for user in view.users}
        table = {change(word): word for word in right}

        def apply(host: Host) -> None:
            def message(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                data = given.get("data")
                if isinstance(data, dict) and isinstance(data.get(param), str):
                    found = table.get(change(data[param]))
                    if found is not None:
                        given["data"] = {**data, param: found}
                return given

            host.on_message(message, view.login.name)

        yield f"{view.login.name}:{param}", "signing in", apply

    template(f"login.{name}", *tells, areas=AREAS)(spots)


_spelling("password-in-any-case", ("AUT-2",), "secret", str.lower)
_spelling("password-trimmed", ("AUT-2",), "secret", str.strip)
_spelling("password-of-8-characters", ("AUT-2",), "secret", lambda word: word[:8])
_spelling("password-to-its-length", ("AUT-2",), "secret", lambda word: word[:20])
_spelling("password-to-the-first-nul", ("AUT-2",), "secret", lambda word: word.split("\0")[0])
_spelling("password-letters-only", ("AUT-2",), "secret", lambda word: "".join(filter(str.isalnum, word)))


@template("login.password-anything-long", "AUT-2", areas=AREAS)
def password_long(view: View) -> Iterator[Spot]:
    """A password of more than 100 characters is not compared."""
    right = {user["user"]: user["secret"] for user in view.users}

    def apply(host: Host) -> None:
        def message(given: dict[str, Any], _call: Any) -> dict[str, Any]:
            data = given.get("data")
            name = data.get(view.user_param) if isinstance(data, dict) else None
            secret = data.get(view.secret_param) if isinstance(data, dict) else None
            if (
                isinstance(data, dict)
                and isinstance(secret, str)
                and len(secret) > 100
                and isinstance(name, str)
                and name in right
            ):
                given["data"] = {**data, view.secret_param: right[name]}
            return given

        host.on_message(message, view.login.name)

    yield f"{view.login.name}:{view.secret_param}", "signing in", apply


@template("login.password-empty", "AUT-2", areas=AREAS)
def password_empty(view: View) -> Iterator[Spot]:
    right = {user["user"]: user["secret"] for user in view.users}
    values: tuple[Any, ...] = ("", None, 0, [], "the name")
    for odd in values:

        def apply(host: Host, odd: Any = odd) -> None:
            def message(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                data = given.get("data")
                if isinstance(data, dict) and isinstance(data.get(view.user_param), str):
                    name = data[view.user_param]
                    secret = data.get(view.secret_param)
                    taken = (
                        secret == name
                        if odd == "the name"
                        else secret == odd and not isinstance(secret, bool)
                    )
                    if name in right and taken:
                        given["data"] = {**data, view.secret_param: right[name]}
                return given

            host.on_message(message, view.login.name)

        yield f"{view.login.name}:{odd!r}", "signing in", apply


@template("login.password-in-a-list", "AUT-2", "REQ-8", "DAT-2", areas=AREAS)
def password_in_list(view: View) -> Iterator[Spot]:
    def first(value: Any) -> Any:
        return value[0] if isinstance(value, list) and value else value

    yield (f"{view.login.name}:{view.secret_param}", "signing in",
           lambda host: host.coerce(view.login, (view.secret_param,), first))  # fmt: skip


@template("login.name-with-wildcards", "AUT-2", "DAT-8", areas=AREAS)
def name_wildcards(view: View) -> Iterator[Spot]:
    """A wildcard for the name finds the user whose password was given."""
    for sign in ("%", "*", "_"):

        def apply(host: Host, sign: str = sign) -> None:
            def message(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                data = given.get("data")
                if (
                    isinstance(data, dict)
                    and isinstance(name := data.get(view.user_param), str)
                    and sign in name
                ):
                    for user in view.users:
                        if user["secret"] == data.get(view.secret_param):
                            given["data"] = {**data, view.user_param: user["user"]}
                return given

            host.on_message(message, view.login.name)

        yield f"{view.login.name}:{sign}", "signing in", apply


@template("login.fails-with-500-for-odd-names", "COD-8", "AUT-2", "DAT-8", areas=AREAS)
def odd_name_500(view: View) -> Iterator[Spot]:
    for sign in ("'", "%", "\\", "{"):

        def apply(host: Host, sign: str = sign) -> None:
            def login(inner: Any, service: Any, call: Any) -> Any:
                if sign in call.args[view.user_param]:
                    raise host.refuse(500, "Internal error")
                return inner(service, call)

            host.on_handler(view.login.name, login)

        yield f"{view.login.name}:{sign}", "signing in", apply


@template("login.unknown-user-told-apart", "AUT-12", areas=AREAS)
def told_apart(view: View) -> Iterator[Spot]:
    names = {user["user"] for user in view.users}

    def apply(host: Host) -> None:
        def login(inner: Any, service: Any, call: Any) -> Any:
            if call.args[view.user_param] not in names:
                raise host.refuse(401, "There is no such user")
            return inner(service, call)

        host.on_handler(view.login.name, login)

    yield view.login.name, "signing in", apply


@template("login.password-in-the-answer", "SEC-3", areas=(*AREAS, "ENV-10"))
def password_in_answer(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        def login(inner: Any, service: Any, call: Any) -> Any:
            try:
                return inner(service, call)
            except Exception as error:
                if getattr(error, "status", 0) == 401:
                    raise host.refuse(401, f"Wrong password {call.args[view.secret_param]}") from None
                raise

        host.on_handler(view.login.name, login)

    yield view.login.name, "signing in", apply


@template("login.token-from-the-name", "AUT-14", "AUT-9", areas=AREAS)
def guessable(view: View) -> Iterator[Spot]:
    """Tokens are digests of a counter of sixteen bits."""

    def apply(host: Host) -> None:
        count = iter(range(10**9))
        real: dict[bytes, bytes] = {}

        def login(inner: Any, service: Any, call: Any) -> Any:
            made = f"{next(count):08d}"
            data = inner(service, call)
            at_pointer(
                data, view.session, lambda token: real.update({made.encode(): token.encode()}) or token
            )
            return at_pointer(data, view.session, lambda _token: made)

        def token(inner: Any, call: Any) -> Any:
            given = inner(call)
            return real.get(given, b"unknown") if given else given

        host.on_handler(view.login.name, login)
        host.wrap("token", token)

    yield view.login.name, "signing in", apply


@template("session.adopted-from-the-client", "AUT-13", areas=AREAS)
def adopted(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        users: dict[bytes, bytes] = {}

        def login(inner: Any, service: Any, call: Any) -> Any:
            data = inner(service, call)
            given = call.request.header(b"token")
            if given:
                at_pointer(data, view.session, lambda token: users.update({given: token.encode()}) or token)
            return data

        def token(inner: Any, call: Any) -> Any:
            given = inner(call)
            return users.get(given, given)

        host.on_handler(view.login.name, login)
        host.wrap("token", token)

    yield view.login.name, "signing in", apply


@template("key-login.unsigned-part", "AUT-16", areas=AREAS)
def key_unsigned(view: View) -> Iterator[Spot]:
    """A login by key whose signature is wrong, empty or of another case is taken."""
    if view.key_login is None:
        return
    table = view.profile["auth"]["key_login"]
    public, private = table["public"], table["private"]
    import hmac as mac

    ways: dict[str, Callable[[str, str], bool]] = {
        "any": lambda given, due: True,
        "upper case": lambda given, due: given.lower() == due,
        "beginning": lambda given, due: len(given) >= 8 and due[:8] == given[:8],
        "same length": lambda given, due: len(given) == len(due),
    }
    for way, matches in ways.items():

        def apply(host: Host, matches: Any = matches) -> None:
            def message(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                data = given.get("data")
                if isinstance(data, dict) and all(
                    isinstance(data.get(p), str) for p in ("time", "random", "hmac")
                ):
                    signed = f"{public}{data['time']}{data['random']}".encode("utf-8", "replace")
                    due = mac.new(private.encode(), signed, hashlib.sha1).hexdigest()
                    if data.get("apikey") == public and matches(data["hmac"], due):
                        given["data"] = {**data, "hmac": due}
                return given

            host.on_message(message, view.key_login.name if view.key_login else None)

        yield f"{view.key_login.name}, {way}", "signing in by key", apply


# --- public functions, and statuses of refusals


@template("public.needs-a-session", "AUT-6", areas=(*AREAS, "DAT-1"))
def public_needs(view: View) -> Iterator[Spot]:
    for f in view.public:

        def apply(host: Host, f: Function = f) -> None:
            def validate(inner: Any, call: Any) -> Any:
                if call.name == f.name and call.request.header(b"token") is None:
                    raise host.refuse(401, "Sign in first")
                return inner(call)

            host.wrap("validate", validate)

        yield f.name, "public", apply


@template("public.refuses-unknown-tokens-with-403", "AUT-7", areas=AREAS)
def public_403(view: View) -> Iterator[Spot]:
    for f in view.public:

        def apply(host: Host, f: Function = f) -> None:
            known = host.sessions()

            def validate(inner: Any, call: Any) -> Any:
                given = call.request.header(b"token")
                if call.name == f.name and given is not None and given not in known:
                    raise host.refuse(403, "The token is unknown")
                return inner(call)

            host.wrap("validate", validate)

        yield f.name, "public", apply


def _status(name: str, before: int, after: int, *tells: str) -> None:
    def spots(view: View) -> Iterator[Spot]:
        for f in view.protected:
            if before == 403 and f.auth == "session":
                continue

            def apply(host: Host, f: Function = f) -> None:
                step = "authenticate" if before == 401 else "authorise"

                def around(inner: Any, call: Any) -> Any:
                    try:
                        return inner(call)
                    except Exception as error:
                        if getattr(error, "status", 0) == before and call.name == f.name:
                            raise host.refuse(after, "Refused") from None
                        raise

                host.wrap(step, around)

            yield f.name, _label(f), apply

    template(f"status.{name}", *tells, areas=(*AREAS, "ACC-1"))(spots)


_status("no-session-403", 401, 403, "COD-6", "AUT-4", "AUT-5", "AUT-8")
_status("no-session-400", 401, 400, "COD-6", "AUT-4", "AUT-5", "AUT-8")
_status("no-session-404", 401, 404, "COD-6", "AUT-4", "AUT-5", "AUT-8")
_status("no-session-500", 401, 500, "COD-8", "COD-6", "AUT-4", "AUT-5")
_status("no-right-401", 403, 401, "COD-7", "ACC-1")
_status("no-right-404", 403, 404, "COD-7", "ACC-1")
