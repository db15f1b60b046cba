"""Small logs in which a defect is seen: a run, exchanges and findings."""

from __future__ import annotations

import json
from typing import Any

Event = dict[str, Any]

EXPRESS = (
    "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><pre>SyntaxError: x</pre></body></html>"
)
MISSING = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><pre>Cannot POST /api/x</pre></body></html>"

MUST = {"level": "must", "clause": "«clause»", "why": "why"}


def run_of(rules: list[str], should: tuple[str, ...] = ()) -> Event:
    """Return the first event of a log."""
    return {
        "event": "run",
        "verb": "check",
        "target": {"url": "http://127.0.0.1:1/api/", "environment": "test", "embedded": False},
        "started": "2026-11-23T10:00:00Z",
        "rules": [
            {
                "id": rule,
                "area": rule.partition("-")[0],
                "title": f"Title of {rule}",
                **MUST,
                **({"level": "should"} if rule in should else {}),
            }
            for rule in rules
        ],
    }


def request(function: str | None, body: Any = None, *, verb: str = "POST", **headers: str) -> Event:
    """Return a request for a function; `body` is the data of a call, or a text to send as it is."""
    entity, _, method = (function or "x").partition(".")
    text = body if isinstance(body, str) else json.dumps({"method": method, "data": body or {}})
    sent = {"Content-Type": "application/json", "Token": "***", **headers}
    return {
        "verb": verb,
        "url": f"http://127.0.0.1:1/api/{entity}",
        "headers": {name: value for name, value in sent.items() if value},
        "body": text,
    }


def response(status: int, body: Any, kind: str = "application/json", **headers: str) -> Event:
    """Return a response; `body` is a text, or a value to encode."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {"status": status, "headers": {"Content-Type": kind, **headers}, "body": text, "seconds": 0.01}


def success(data: Any = None) -> Event:
    """Return a success."""
    return response(200, {"isError": False, "errMsg": None, "data": {} if data is None else data})


def refusal(status: int, message: str) -> Event:
    """Return an error in the envelope."""
    return response(status, {"isError": True, "errMsg": message, "data": None})


def page(status: int, body: str = EXPRESS) -> Event:
    """Return an error page of a framework."""
    return response(status, body, "text/html; charset=utf-8", **{"X-Powered-By": "Express"})


def exchange(number: int, function: str, sent: Event, answer: Event | None) -> Event:
    """Return an exchange of the log."""
    return {
        "event": "exchange",
        "test": "t",
        "number": number,
        "function": function,
        "user": "a",
        "request": sent,
        "response": answer,
        "failure": None if answer else "closed: no answer",
        "curl": "curl x",
    }


def finding(
    rule: str,
    function: str | None,
    kind: str,
    sent: Event,
    answer: Event | None,
    *,
    expected: str = "status 400",
    actual: str | None = None,
) -> Event:
    """Return a finding with its exchange."""
    return {
        "event": "finding",
        "rule": rule,
        "function": function,
        "kind": kind,
        "message": kind,
        "expected": expected,
        "actual": actual or (f"status {answer['status']}" if answer else "no answer"),
        "count": 1,
        "reproduced": None,
        "exchange": 1,
        "request": sent,
        "response": answer,
        "failure": None if answer else "closed: no answer",
        "curl": "curl x",
    }


def pages(functions: tuple[str, ...] = ("note.read", "note.find")) -> list[Event]:
    """Return what is found where bodies that are not JSON get a page of the framework."""
    return [
        finding(rule, function, kind, request(function, "{"), page(400), expected=expected, actual=actual)
        for function in functions
        for rule, kind, expected, actual in (
            ("HTTP-4", "the body is not JSON", "a body that is exactly one JSON text", "b'<!DOCTYPE'"),
            ("HTTP-5", "another Content-Type", "Content-Type: application/json", "Content-Type: 'text/html'"),
            ("ENV-1", "no JSON", "an object with the members isError, errMsg and data", "no JSON"),
            (
                "SEC-2",
                "a stack trace",
                "an error without stack trace, path, SQL, exception class or name of the software",
                "a stack",
            ),
        )
    ]


def routes() -> list[Event]:
    """Return what is found where unknown endpoints get a page of the framework."""
    return [
        finding(
            rule,
            None,
            kind,
            request(None),
            page(404, MISSING),
            expected="a body that is exactly one JSON text",
            actual="b'<!DOCTYPE'",
        )
        for rule, kind in (("HTTP-4", "the body is not JSON"), ("ENV-1", "no JSON"))
    ]


def logins() -> list[Event]:
    """Return what is found where every wrong login ends in 500."""
    answer = refusal(500, "no such user")
    login = {"identity": "a", "credential": "***"}
    found = [
        finding("AUT-2", "auth.login", kind, request("auth.login", login, Token=""), answer)
        for kind in ("a wrong password is not refused", "an unknown user is not refused")
    ]
    found.append(
        finding(
            "AUT-12", "auth.login", "answered differently", request("auth.login", login, Token=""), answer
        )
    )
    return found


def lookups() -> list[Event]:
    """Return what is found where an object that does not exist ends in 500."""
    return [
        finding(
            "COD-10",
            f"note.{verb}",
            "noteId of a note that does not exist is not refused",
            request(f"note.{verb}", {"noteId": 99}),
            refusal(500, "Something went wrong"),
            expected="status 400 or 403 or 404",
        )
        for verb in ("read", "update", "delete")
    ]


def sessions() -> list[Event]:
    """Return what is found where calls without a session are refused with 403."""
    return [
        finding(
            rule,
            function,
            kind,
            request(function, Token=""),
            refusal(403, "Not logged in"),
            expected="status 401",
        )
        for function in ("note.read", "note.find")
        for rule, kind in (("COD-6", "not answered 401"), ("AUT-4", "runs, or refuses it otherwise"))
    ]


def texts() -> list[Event]:
    """Return what is found where every integer takes its text."""
    return [
        finding(
            rule,
            function,
            kind,
            request(function, {name: "5"}),
            success(),
            actual="status 200"
            if rule == "REQ-8"
            else f"status 200, where {name}: string instead of integer",
            expected="status 400" if rule == "REQ-8" else "neither 200 nor 5xx",
        )
        for function, name in (("note.read", "noteId"), ("note.create", "priority"))
        for rule, kind in (
            ("REQ-8", f"{name}: string instead of integer"),
            ("COD-5", "invalid data is answered as if it were valid"),
        )
    ]


def paging() -> list[Event]:
    """Return what is found where paging is not validated."""
    return [
        finding(
            "PAG-5",
            function,
            f"a {what} pageStart is not refused",
            request(function, json.dumps({"method": "find", "data": {}, "pageStart": value})),
            answer,
        )
        for function in ("note.find", "user.find")
        for what, value, answer in (("negative", -1, success()), ("textual", "x", refusal(500, "error")))
    ]


def headers() -> list[Event]:
    """Return what is found where no answer says that it must not be cached."""
    return [
        finding(
            "SEC-5",
            "note.read",
            kind,
            request("note.read", body),
            answer,
            expected="Cache-Control: no-store",
            actual="no Cache-Control",
        )
        for kind, body, answer in (
            ("cacheable, and not nosniff", None, success({"note": {}})),
            ("cacheable", "{", page(400)),
        )
    ]


DEFECTS = {make.__name__: make for make in (pages, routes, logins, lookups, sessions, texts, paging, headers)}

RULES = [
    *("HTTP-4", "HTTP-5", "REQ-8", "ENV-1", "COD-5", "COD-6", "COD-8", "COD-10"),
    *("AUT-2", "AUT-4", "AUT-12", "PAG-5", "SEC-2", "SEC-5"),
]
