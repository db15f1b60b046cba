"""Rules on security: what must not leak, and what must not be accepted."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from urllib.parse import quote
from weakref import WeakKeyDictionary

from conformance.protocol.exchange import Exchange, Request
from conformance.protocol.redaction import FormSearch, SecretForm, SecretRegistry
from conformance.rulebook.envelope import is_error
from conformance.rulebook.leak_patterns import find_leak
from conformance.rulebook.model import (
    Example,
    Level,
    Outcome,
    broken,
    holds,
    not_applicable,
    reply,
    rule,
    shown,
    suite_rule,
)

suite_rule(
    id="SEC-1",
    level=Level.MUST,
    clause="Available functions: «a list of functions contained»; 404 «Function doesn't exist»",
    title="Only published functions can be called",
    why="A name taken from the request and looked up on an object reaches whatever else that object has.",
    causes="The function is looked up as a method or attribute of an object (`handler[method]`, `getattr`, "
    "`$this->$method()`, reflection) or without regard to case and white space.",
    remedy="Keep a fixed map from published names to functions (a Map, `Object.create(null)`, a dict) and "
    "look up by exact name.",
    example=Example(sent='{"method":"constructor"}', right="404", wrong="200 or 500"),
)


def _error(
    message: str, *, sent: bytes = b'{"method":"read"}', url: str = "http://host/api/course"
) -> Exchange:
    return reply(400, isError=True, errMsg=message, data=None, sent=sent, url=url)


def _page(body: str, *, status: int = 500, well_formed: bool = True) -> Exchange:
    return reply(
        status, body=body.encode(), headers=(("Content-Type", "text/html"),), well_formed=well_formed
    )


#: Ordinary error messages.
_HARMLESS_MESSAGES = (
    "No such course",
    "Please select a course from the list",
    "PLEASE SELECT A COURSE FROM THE LIST",
    "Select one of the courses from your list where seats are left",
    "Update your profile, then insert coin into slot",
    "Could not update course: set a title first",
    "delete from list",
    "/api/course not found",
    "Unknown endpoint /v2/rpc/foo/../bar",
    "Type error: string expected",
    "Validation error: /data/rows/0/title is not a string",
    "Error: an exception to the rule",
    "at least 3 characters (see line 12)",
    "The course starts at 10:30:15 at Stockholm (main hall)",
    "See https://docs.example.com/usr/share/errors.php:12 for help",
    'File "import.csv", line 12: a comma is missing',
    "The title must match ^[a-z]:\\d+$",
    "Access denied for user owner",
    "Column 3 does not exist in the table",
    "course.find is not a function of this endpoint",
    "Courses can be moved to /home/settings, and/or/etc.",
    "Course «Python 3.11 and Django» is full",
    "HTTP/1.1 and application/json are required",
    "Unexpected token } in JSON at position 12",
)

#: Messages that reveal internal details of the server.
_LEAKS = (
    # Stack traces
    'Traceback (most recent call last):\n  File "/srv/app/course.py", line 12, in find',
    'File "course.py", line 12, in find',
    "Internal error\n\tat com.coursio.course.CourseService.find(CourseService.java:42)",
    "at CourseServiceKt.find(CourseService.kt:42)",
    "at java.base/java.lang.Thread.run(Unknown Source)",
    "   at Coursio.Api.Controllers.CourseController.Find(Int32 id)",
    "x is undefined\n    at find (/app/course.js:10:5)",
    "at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "at Object.<anonymous>",
    "#0 index.php(12): Course->find()\n#1 {main}",
    "Division by zero in course.php on line 12",
    "course.rb:12:in `find'",
    "goroutine 12 [running]:",
    "main.go:33 +0x1d",
    # Paths
    "Cannot open /var/www/html/config",
    "No such file: '/etc/coursio/secret'",
    "open /opt/coursio/keys: permission denied",
    "/home/deploy/app/index.html is not readable",
    "could not write (/tmp/php8Xb1)",
    "/app/service/course.py failed",
    "file:///srv/data",
    "C:\\inetpub\\wwwroot\\web.config",
    "d:\\projects\\coursio\\course",
    "C:/Users/anna/course",
    # SQL
    "SELECT * FROM course WHERE id = 1",
    "SELECT id, title FROM course",
    "select `c`.`title` from `course` as `c`",
    "select title from course where owner = $1",
    "insert into course (title, owner) values (?, ?)",
    "UPDATE course SET title = 'x'",
    "DELETE FROM course WHERE id = 1",
    "You have an error in your SQL syntax near 'x'",
    "SQLSTATE[42S22]: no field",
    "Unknown column 'x' in 'where clause'",
    "Duplicate entry 'x' for key 'title'",
    'syntax error at or near "x"',
    'relation "course" does not exist',
    'duplicate key value violates unique constraint "course_pkey"',
    "UNIQUE constraint failed: course.title",
    "no such table: course",
    'near "x": syntax error',
    "ORA-00942: table or view does not exist",
    "Unclosed quotation mark after the character string 'x'.",
    "Incorrect syntax near 'x'.",
    "cannot connect to postgres://coursio@db.internal/coursio",
    # Classes
    "java.lang.IllegalStateException",
    "NullPointerException",
    "sqlite3.OperationalError: locked",
    "KeyError: 'title'",
    "TypeError: x",
    "No query results for model [App\\Models\\Course] 3",
    "Illuminate\\Database\\QueryException",
    "ActiveRecord::RecordNotFound",
    "System.NullReferenceException",
    "The JSON value could not be converted to System.Int32.",
    "'NoneType' object has no attribute 'title'",
    "Cannot read properties of undefined (reading 'title')",
    # Banners
    "nginx/1.18.0",
    "Apache/2.4.41 (Ubuntu) PHP/7.4.3",
)


@rule(
    id="SEC-2",
    level=Level.MUST,
    clause="HTTP response codes: «Internal error or an undefined situation» (and no more than that)",
    title="Errors reveal no insides",
    causes="The text of an exception is returned as errMsg, debug mode is on, or the framework's and the "
    "server's error pages get out.",
    remedy="Log the exception and return a general message («Internal error»). Switch off debug mode and the "
    "banners of framework and server (`x-powered-by`, `server_tokens`, `expose_php`).",
    passes=[
        *(_error(message) for message in _HARMLESS_MESSAGES),
        # Text of the request that is repeated reveals nothing.
        _error("No course is called SELECT * FROM course", sent=b'{"data":{"query":"SELECT * FROM course"}}'),
        _error("Unknown function java.lang.Runtime.exec()", sent=b'{"method":"java.lang.Runtime.exec()"}'),
        _error("Unknown path C:\\Windows\\win.ini", sent=b'{"data":{"path":"C:\\\\Windows\\\\win.ini"}}'),
        _error("Not found: ../../etc/passwd", sent=b'{"data":{"path":"..\\/..\\/etc\\/passwd"}}'),
        _error("No endpoint /etc/passwd", url="http://host/api/%2e%2e/%2e%2e/etc/passwd"),
        _error("Cannot parse 'TypeError: {'", sent=b"TypeError: {"),
        _error("Course TypeError ÄÖ is full", sent=b'{"data":{"title":"TypeError \\u00c4\\u00d6"}}'),
        reply(404, isError=True, errMsg="No such course", data={}),
        reply(502, body=b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"),
        _page("<html><script>throw new TypeError('x')</script><a href='/var/www/'>Not found</a></html>"),
        _page("<html><center>nginx/1.18.0</center></html>", status=400, well_formed=False),
    ],
    fails=[
        *(_error(message) for message in _LEAKS),
        reply(400, isError=True, errMsg="No", data={"trace": ["course.php on line 12"]}),
        reply(400, isError=True, errMsg="No", data={"exception": {"class": "App\\Http\\Kernel"}}),
        reply(200, isError=True, errMsg="ORA-00942", data=None),
        reply(500, isError=False, errMsg=None, data={"sql": "SELECT * FROM course"}),
        reply(400, isError=True, errMsg="No", data=None, trace="at a.b.C.d(C.java:1)"),
        reply(500, error="Internal Server Error", exception="java.lang.NullPointerException"),
        _page("<h1>TypeError at /api/course</h1><p>Django Version: 4.2</p>"),
        _page("<title>Werkzeug Debugger</title>"),
        _page("<b>Warning</b>: fopen() in <b>/var/www/html/x.php</b> on line <b>12</b>"),
        _page("<pre>File &quot;course.py&quot;, line 3, in find</pre>"),
        _page("<hr><center>nginx/1.18.0</center>"),
        _page("<pre>java.lang.IllegalArgumentException</pre>", status=400, well_formed=False),
        reply(405, body=b"Traceback (most recent call last):", verb="GET"),
        # A leak next to repeated text is still a leak.
        _error('relation "corse" does not exist', sent=b'{"data":{"query":"corse"}}'),
        _error("You have an error in your SQL syntax near 'SELECT'", sent=b'{"data":{"query":"SELECT"}}'),
        _error("no such column: foo", sent=b'{"data":{"sort":"foo"}}'),
        _error("NullPointerException", sent=b'{"data":{"query":"Exception"}}'),
    ],
)
def error_reveals_nothing(exchange: Exchange) -> Outcome:
    """A path, a table's name or the version of a framework is the first thing that an attacker looks for."""
    if not is_error(exchange) or exchange.response is None or not exchange.response.body:
        return not_applicable
    found = find_leak(exchange)
    if found is None:
        return holds
    kind, evidence = found
    return broken(
        expected="an error without stack trace, path, SQL, exception class or name of the software",
        actual=f"{kind}: {shown(evidence, exchange)}",
        kind=kind,
    )


@lru_cache(maxsize=1024)
def _forms(secret: str) -> tuple[str, ...]:
    """Return the forms in which a response may repeat a secret: plain, JSON-escaped, URL-encoded.

    Each is a text whose code points are the bytes of the form, since Python searches a text much faster than bytes.
    """
    plain = {secret, quote(secret.encode("utf-8", "surrogatepass"), safe="")}
    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        plain.add(escaped)
        plain.add(escaped.replace("/", "\\/"))
        plain.add(re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found.group()[2:].upper(), escaped))
    return tuple(sorted(form.encode("utf-8", "surrogatepass").decode("latin-1") for form in plain))


@lru_cache(maxsize=1024)
def _password_forms(secret: str) -> tuple[str, ...]:
    """Return the forms of a password that cannot be mistaken for ordinary text; none for any other."""
    classes = (str.islower, str.isupper, str.isdecimal, lambda sign: not sign.isalnum())
    kinds = sum(any(belongs(sign) for sign in secret) for belongs in classes)
    return _forms(secret) if len(secret) >= 12 or (len(secret) >= 8 and kinds >= 2) else ()


@lru_cache(maxsize=1024)
def _session_forms(identifier: str) -> tuple[str, ...]:
    """Return the forms of a session identifier; none for a short one."""
    return _forms(identifier) if len(identifier) >= 12 else ()


@lru_cache(maxsize=1024)
def _password_bytes(secret: str) -> tuple[bytes, ...]:
    """Return the forms of a password as bytes."""
    return tuple(form.encode("latin-1") for form in _password_forms(secret))


@lru_cache(maxsize=1024)
def _session_bytes(identifier: str) -> tuple[bytes, ...]:
    """Return the forms of a session identifier as bytes."""
    return tuple(form.encode("latin-1") for form in _session_forms(identifier))


@lru_cache(maxsize=16)
def _secret_texts(passwords: tuple[str, ...], sessions: tuple[str, ...]) -> tuple[str, ...]:
    """Return every form of every secret, of all users."""
    forms = [*map(_password_forms, passwords), *map(_session_forms, sessions)]
    return tuple(form for some in forms for form in some)


def secret_needles(secret_registry: SecretRegistry) -> tuple[str, ...]:
    """Return every text that `nothing_secret_is_repeated` searches for; its code points are bytes.

    A response without any of them, in its body and in the values of its headers, repeats no secret.
    """
    return _secret_texts(tuple(secret_registry.passwords()), tuple(secret_registry.sessions()))


@dataclass(frozen=True, slots=True)
class _Secrets:
    """The secrets of a registry at one moment, and a search for all their forms (`texts`)."""

    changes: int = -1
    passwords: tuple[str, ...] = ()
    sessions: dict[str, str | None] = field(default_factory=dict)
    texts: frozenset[bytes] = frozenset()
    search: FormSearch = field(default_factory=FormSearch)


#: In a larger body each form is searched for by itself, which is faster than all of them by their index.
MAX_INDEXED_BYTES = 100_000
#: What is known of each registry.
_latest_secrets: WeakKeyDictionary[SecretRegistry, _Secrets] = WeakKeyDictionary()


def _secrets_of(secret_registry: SecretRegistry) -> _Secrets:
    """Return the secrets of a registry; the search is changed only when the registry was."""
    known = _latest_secrets.get(secret_registry)
    # The count is read first: a secret that is added meanwhile changes it again.
    changes = secret_registry.changes
    if known is not None and known.changes == changes:
        return known
    known = known or _Secrets()
    passwords, sessions = tuple(secret_registry.passwords()), secret_registry.sessions()
    texts = frozenset(chain(*map(_password_bytes, passwords), *map(_session_bytes, sessions)))
    search = known.search.changed(
        [SecretForm(text, None, len(text)) for text in texts - known.texts],
        [[SecretForm(text, None, len(text)) for text in known.texts - texts]],
    )
    # The whole is replaced at once, since several threads may be here.
    _latest_secrets[secret_registry] = secrets = _Secrets(changes, passwords, sessions, texts, search)
    return secrets


def _secret_registry(
    passwords: Sequence[str] = ("Tr0ub4dor&3",),
    sessions: Sequence[tuple[str, str | None]] = (
        ("5f2c9a7e41d84b06", "owner"),
        ("c0ffee0123456789", "admin"),
    ),
) -> SecretRegistry:
    secret_registry = SecretRegistry()
    for secret in passwords:
        secret_registry.password(secret)
    for identifier, user in sessions:
        secret_registry.session(identifier, user)
    return secret_registry


_SECRET_REGISTRY = _secret_registry()
_ADMIN_SESSION = "c0ffee0123456789"


def _success(
    data: object,
    *,
    user: str | None = "owner",
    login: bool = False,
    secret_registry: SecretRegistry = _SECRET_REGISTRY,
) -> Exchange:
    return reply(
        200, isError=False, errMsg=None, data=data, user=user, login=login, secret_registry=secret_registry
    )


def _echo(data: object, *, sent: bytes) -> Exchange:
    return reply(200, isError=False, errMsg=None, data=data, sent=sent, secret_registry=_SECRET_REGISTRY)


def _carries(request: Request, identifier: str) -> bool:
    """Return whether a request contains a session identifier in any place."""
    values = "\n".join([request.url, *(value for _, value in request.headers)])
    sent = f"{values}\n{request.body.decode('latin-1')}"
    return any(form in sent for form in _session_forms(identifier))


@rule(
    id="SEC-3",
    level=Level.MUST,
    clause="Authentication: «session identifier», «to work within the same login session»",
    title="No answer repeats a password, or another user's session",
    causes="Rows of users or sessions are returned whole, an input is repeated in a message, or the login's "
    "own answer lists the user's sessions.",
    remedy="Return only declared members. Leave password and session columns out of the query, and never "
    "quote input in messages about credentials.",
    passes=[
        _success({}),
        _success({"sessionId": "5f2c9a7e41d84b06"}),
        _success({"sessionId": "5f2c9a7e41d84b06"}, login=True),
        _success({"sessionId": "c0ffee0123456789"}, user=None, login=True),
        _success({"title": "Tr0ub4dor"}),
        _success({"title": "password"}, secret_registry=_secret_registry(["password"])),
        _success({"title": "course a1"}, secret_registry=_secret_registry(["a1"])),
        _success({"id": "abc123"}, secret_registry=_secret_registry(sessions=[("abc123", "admin")])),
        _success(
            {"id": "0123456789abcdef"},
            secret_registry=_secret_registry(sessions=[("0123456789abcdef", None)]),
        ),
        # The sender knows the session in its own request; AUT-13 and AUT-15 test whether it works.
        *(
            reply(
                200,
                isError=False,
                errMsg=None,
                data={"sessionId": _ADMIN_SESSION},
                secret_registry=_SECRET_REGISTRY,
                **carried,
            )
            for carried in (
                {"sent_headers": (("Token", _ADMIN_SESSION),)},
                {"sent_headers": (("Token", _ADMIN_SESSION),), "user": None, "login": True},
                {"sent_headers": (("Cookie", f"Token={_ADMIN_SESSION}"),), "user": None},
                {"url": f"http://host/api/auth?Token={_ADMIN_SESSION}", "user": None},
                {"sent": f'{{"method":"status","Token":"{_ADMIN_SESSION}"}}'.encode(), "user": None},
            )
        ),
    ],
    fails=[
        _success({"credential": "Tr0ub4dor&3"}),
        _success({"user": {"note": "the password is Tr0ub4dor&3."}}),
        _success({"credential": "Tr0ub4dor&3"}, login=True),
        reply(
            401,
            isError=True,
            errMsg="Wrong password: Tr0ub4dor&3",
            data=None,
            secret_registry=_SECRET_REGISTRY,
        ),
        reply(500, body=b"<p>Tr0ub4dor&3</p>", secret_registry=_SECRET_REGISTRY, well_formed=False),
        _success({"credential": 'pass"word\\1'}, secret_registry=_secret_registry(['pass"word\\1'])),
        _success({"credential": "lösenord-é"}, secret_registry=_secret_registry(["lösenord-é"])),
        reply(
            200, body=b'{"data":"l\\u00f6senord-\\u00e9"}', secret_registry=_secret_registry(["lösenord-é"])
        ),
        reply(
            200, body=b'{"data":"l\\u00F6senord-\\u00E9"}', secret_registry=_secret_registry(["lösenord-é"])
        ),
        reply(200, body=b'{"data":"a\\/b\\/c\\/d-7"}', secret_registry=_secret_registry(["a/b/c/d-7"])),
        _success(
            {"credential": "correcthorsebattery"}, secret_registry=_secret_registry(["correcthorsebattery"])
        ),
        reply(200, body=b"{}", headers=(("X-Debug", "pw=Tr0ub4dor&3"),), secret_registry=_SECRET_REGISTRY),
        reply(
            302,
            body=b"{}",
            headers=(("Location", "/?credential=Tr0ub4dor%263"),),
            secret_registry=_SECRET_REGISTRY,
        ),
        _success({"sessionId": "c0ffee0123456789"}),
        _success({"sessionId": "c0ffee0123456789"}, login=True),
        _success({"sessions": [{"id": "c0ffee0123456789"}]}, user=None),
        _success({"sessionId": "5f2c9a7e41d84b06"}, user="admin"),
        reply(
            200,
            body=b"{}",
            headers=(("Set-Cookie", "Token=c0ffee0123456789"),),
            secret_registry=_SECRET_REGISTRY,
        ),
        # A password of the request must not be repeated either.
        _echo({"credential": "Tr0ub4dor&3"}, sent=b'{"data":{"credential":"Tr0ub4dor&3"}}'),
        _echo({"sessionId": _ADMIN_SESSION}, sent=b'{"data":{"sessionId":"5f2c9a7e41d84b06"}}'),
    ],
)
def nothing_secret_is_repeated(exchange: Exchange) -> Outcome:
    """Answers are logged, cached and shown on screens; a password or a session that stands there is lost."""
    response = exchange.response
    secret_registry = exchange.secret_registry
    if response is None or secret_registry is None:
        return not_applicable
    headers = "\n".join([value for _, value in response.headers])
    parts = [response.body, headers.encode("latin-1", "replace")]
    if not headers.isascii():
        parts.append(headers.encode("utf-8", "surrogatepass"))
    secrets = _secrets_of(secret_registry)
    is_large = len(response.body) > MAX_INDEXED_BYTES
    if not is_large and not secrets.search.found(b"\n".join(parts)):
        return holds
    body = response.body.decode("latin-1")
    text = "\n".join([body, headers, *(part.decode("latin-1") for part in parts[2:])])
    if is_large and not any(map(text.__contains__, secret_needles(secret_registry))):
        return holds
    for secret in secrets.passwords:
        for form in _password_forms(secret):
            if form in text:
                place = "the body" if form in body else "a header"
                return broken(
                    expected="no password in any answer",
                    actual=f"a password of this run stands in {place}",
                    kind="a password is repeated",
                )
    user = exchange.user
    if user is None and exchange.login:
        return holds
    for identifier, owner in secrets.sessions.items():
        if owner is None or owner == user:
            continue
        for form in _session_forms(identifier):
            if form in text and not _carries(exchange.request, identifier):
                place = "the body" if form in body else "a header"
                return broken(
                    expected="no session identifier of another user in any answer",
                    actual=f"the session of {owner!r} stands in {place} of an answer to {user or 'nobody'!r}",
                    kind="another user's session is repeated",
                )
    return holds


suite_rule(
    id="SEC-4",
    level=Level.SHOULD,
    clause="hardening (General: «an entity-named endpoint»)",
    title="Odd spellings of an endpoint are refused",
    why="A proxy that checks one spelling and a server that runs another are a way round the check.",
    causes="The web server or the framework normalizes, decodes or redirects paths before the route is found.",
    remedy="Match the endpoint on the path as it was sent. Answer 404 to other spellings, and switch off "
    "redirects and the merging of slashes.",
    example=Example(
        sent="POST /api/%63ourse, /api//course, /api/x/../course",
        right="400 or 404",
        wrong="200, or a redirect",
    ),
)


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')


@lru_cache(maxsize=256)
def _is_uncacheable(values: tuple[str, ...]) -> bool:
    """Return whether Cache-Control keeps a response out of shared caches; `private="name"` is about one field only."""
    directives = _QUOTED.sub('""', ",".join(values)).split(",")
    return any(directive.strip().lower() in ("no-store", "private") for directive in directives)


@lru_cache(maxsize=256)
def _is_nosniff(values: tuple[str, ...]) -> bool:
    """Return whether a browser reads X-Content-Type-Options as nosniff; it uses only the first value."""
    return ",".join(values).split(",")[0].strip(" \t").lower() == "nosniff"


def _sealed(*headers: tuple[str, str], status: int = 200) -> Exchange:
    return reply(status, body=b"{}", headers=(("Content-Type", "application/json"), *headers))


_NOSNIFF = ("X-Content-Type-Options", "nosniff")


@rule(
    id="SEC-5",
    level=Level.SHOULD,
    clause="hardening (Authentication: «within the same login session»)",
    title="Answers inside a session are not cacheable, and nosniff",
    causes="The headers are set on pages or on successes only, and errors go another way.",
    remedy="Set `Cache-Control: no-store` and `X-Content-Type-Options: nosniff` in the one place that writes "
    "responses, or in the proxy with `always`.",
    passes=[
        _sealed(("Cache-Control", "no-store"), _NOSNIFF),
        _sealed(("cache-control", "Private, max-age=0"), ("x-content-type-options", "NoSniff")),
        _sealed(("Cache-Control", "no-cache"), ("Cache-Control", "must-revalidate, no-store"), _NOSNIFF),
        _sealed(("Cache-Control", 'ext="a, b", no-store'), _NOSNIFF),
        _sealed(("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff, nosniff")),
        _sealed(("Cache-Control", "no-store"), _NOSNIFF, status=403),
    ],
    fails=[
        _sealed(),
        _sealed(_NOSNIFF),
        _sealed(("Cache-Control", "no-store")),
        _sealed(("Cache-Control", "public, max-age=60"), _NOSNIFF),
        _sealed(("Cache-Control", "no-cache"), _NOSNIFF),
        _sealed(("Cache-Control", "max-age=0, no-storey"), _NOSNIFF),
        _sealed(("Cache-Control", 'private="Set-Cookie"'), _NOSNIFF),
        _sealed(("Cache-Control", 'ext="private, no-store"'), _NOSNIFF),
        _sealed(("Cache-Control", 'ext="a\\", no-store'), _NOSNIFF),
        _sealed(("Cache-Control", '"no-store"'), _NOSNIFF),
        _sealed(("Cache-Control", "max-age=0; no-store"), _NOSNIFF),
        _sealed(("Pragma", "no-cache"), _NOSNIFF),
        _sealed(("Cache-Control", "no-store"), ("X-Content-Type-Options", "sniff")),
        _sealed(("Cache-Control", "no-store"), ("X-Content-Type-Options", "none"), _NOSNIFF),
        _sealed(status=500),
    ],
)
def session_answers_are_sealed(exchange: Exchange) -> Outcome:
    """A shared cache hands one user's answer to the next; a sniffing browser runs stored text as a page."""
    response = exchange.response
    if response is None or not exchange.in_session or not exchange.is_post:
        return not_applicable
    caching: list[str] = []
    sniffing: list[str] = []
    for name, value in response.headers:
        lowered = name.lower()
        if lowered == "cache-control":
            caching.append(value)
        elif lowered == "x-content-type-options":
            sniffing.append(value)
    uncacheable = _is_uncacheable(tuple(caching))
    nosniff = _is_nosniff(tuple(sniffing))
    if uncacheable and nosniff:
        return holds
    cache_shown = f"Cache-Control: {', '.join(caching)[:80]!r}" if caching else "no Cache-Control"
    sniff_shown = f"X-Content-Type-Options: {sniffing[0][:60]!r}" if sniffing else "no X-Content-Type-Options"
    if nosniff:
        expected, actual, kind = "Cache-Control: no-store or private", cache_shown, "cacheable"
    elif uncacheable:
        expected, actual, kind = "X-Content-Type-Options: nosniff", sniff_shown, "not nosniff"
    else:
        expected = "Cache-Control: no-store or private; X-Content-Type-Options: nosniff"
        actual, kind = f"{cache_shown}; {sniff_shown}", "cacheable, and not nosniff"
    return broken(expected=expected, actual=actual, kind=kind)


suite_rule(
    id="SEC-6",
    level=Level.SHOULD,
    clause="hardening (General: «an HTTP POST request»)",
    title="A request whose end is ambiguous is never taken for two",
    why="A proxy and a server that disagree where a request ends let one user prefix the next one's request.",
    causes="The HTTP parser is lenient: both lengths are accepted, numbers are read with a general parser "
    "(`int()` takes +5 and 5_0), a bare LF ends a line; the body of a refused request is not read and "
    "is taken for the next request.",
    remedy="Use an up-to-date HTTP server in strict mode (no `--insecure-http-parser`), answer 400 and close "
    "the connection where the length is ambiguous, and close or drain the body after an early refusal.",
    example=Example(
        sent="Content-Length: 5 with Transfer-Encoding: chunked",
        right="400, or one answer",
        wrong="two answers",
    ),
)
