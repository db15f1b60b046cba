"""Rules on status codes: which ones are allowed, and which one a response must have."""

from __future__ import annotations

import re

from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
    Level,
    Outcome,
    broken,
    holds,
    no_reply,
    not_applicable,
    reply,
    rule,
    shown,
    suite_rule,
)

#: The statuses that the documentation lists, and 200.
DOCUMENTED = frozenset({200, 400, 401, 403, 404, 500})
_CODES = "HTTP response codes"
_CHARSET = re.compile(r"(?i);\s*charset\s*=\s*[\"']?([^\s;\"']+)")


def _status(status: int, *, verb: str = "POST", well_formed: bool = True) -> Exchange:
    """Return an example of a response with this status and a matching envelope."""
    ok = status == 200
    message = None if ok else "No"
    data: dict[str, object] | None = {} if ok else None
    return reply(status, verb=verb, well_formed=well_formed, isError=not ok, errMsg=message, data=data)


def _refused_type(content_type: str) -> Exchange:
    """Return an example of a request whose Content-Type is refused with 415."""
    return reply(415, sent_headers=(("Content-Type", content_type),), isError=True, errMsg="No", data=None)


def _names_another_charset(exchange: Exchange) -> bool:
    """Return whether a request says that its body is in another charset than UTF-8.

    A refusal of that charset with 415 (RFC 9110, section 15.5.16) is a matter of HTTP-6 alone.
    """
    for name, value in exchange.request.headers:
        found = _CHARSET.search(value) if name.lower() == "content-type" else None
        if found is not None:
            return found[1].lower() not in ("utf-8", "utf8")
    return False


@rule(
    id="COD-1",
    level=Level.MUST,
    clause=f"{_CODES} (no other success and no redirect is listed)",
    title="A success is 200, no other 2xx or 3xx",
    passes=[_status(200), reply(200, isError=True, errMsg="No", data=None)],
    fails=[
        _status(201),
        reply(202, isError=False, errMsg=None, data={}),
        reply(204, body=b""),
        reply(206, isError=False, errMsg=None, data={}),
        reply(301, body=b"", headers=(("Location", "/api/course/"),)),
        reply(302, isError=False, errMsg=None, data={}),
        reply(304, body=b""),
        reply(399, body=b"?"),
    ],
)
def success_is_200(exchange: Exchange) -> Outcome:
    """Clients compare with 200; most libraries follow a redirected POST by a GET, without its body."""
    response = exchange.response
    if response is None or not exchange.is_post or not 200 <= response.status < 400:
        return not_applicable
    if response.status == 200:
        return holds
    return broken(
        expected="status 200 for a success, no other 2xx and no 3xx",
        actual=f"status {response.status}",
        kind=f"status {response.status}",
    )


@rule(
    id="COD-2",
    level=Level.MUST,
    clause=f"{_CODES}: «400», «401», «403», «404», «500»",
    title="A call is answered with 200, 400, 401, 403, 404 or 500",
    passes=[_status(status) for status in sorted(DOCUMENTED)],
    fails=[
        _refused_type("text/plain"),
        _refused_type("application/json; charset=UTF-8"),
        *(
            _status(s)
            for s in (199, 201, 204, 301, 402, 405, 409, 413, 415, 418, 422, 429, 501, 502, 503, 600)
        ),
    ],
)
def status_is_documented(exchange: Exchange) -> Outcome:
    """Clients branch on the codes that are listed; any other falls through to code that nobody tested."""
    response = exchange.response
    if response is None or not exchange.is_post:
        return not_applicable
    if response.status in DOCUMENTED:
        return holds
    if response.status == 415 and _names_another_charset(exchange):
        return not_applicable
    return broken(
        expected="status 200, 400, 401, 403, 404 or 500",
        actual=f"status {response.status}",
        kind=f"status {response.status}",
    )


suite_rule(
    id="COD-3",
    level=Level.MUST,
    clause=f"{_CODES}: «Function doesn't exist»",
    title="An unknown function of a known endpoint is 404",
    why="A client that asks an older server for a newer function must see that its data was not the reason.",
)

suite_rule(
    id="COD-4",
    level=Level.MUST,
    clause=f"{_CODES}: «Function doesn't exist»",
    title="An unknown endpoint is 404",
    why="A misspelt address must not be answered as if somebody were there: a guard that compares paths "
    "lets such spellings pass.",
)

suite_rule(
    id="COD-5",
    level=Level.MUST,
    clause=f"{_CODES}: «Invalid data was sent»",
    title="Invalid data is never answered 200 or 500",
    why="A 200 says that it was done, a 500 that it may work next time; the caller has to change the data.",
)

suite_rule(
    id="COD-6",
    level=Level.MUST,
    clause=f"{_CODES}: «Function requires proper authentication»",
    title="Without a session a protected function is 401",
    why="401 is the sign by which clients ask for a password; by any other code they give up.",
)

suite_rule(
    id="COD-7",
    level=Level.MUST,
    clause=f"{_CODES}: «Access for the current user is denied»",
    title="With a session that lacks the right it is 403",
    why="A client that gets 401 signs in again, and again, and never gets any further.",
)


@rule(
    id="COD-8",
    level=Level.MUST,
    clause=f"{_CODES}: «Internal error or an undefined situation»",
    title="No request is answered 5xx, or by a closed connection",
    passes=[
        _status(200),
        _status(400),
        _status(499),
        _status(405, verb="GET"),
        _status(400, well_formed=False),
    ],
    fails=[
        _status(500),
        _status(501),
        _status(502),
        _status(503),
        _status(599),
        reply(500, body=b""),
        _status(500, verb="GET"),
        _status(500, well_formed=False),
        _status(502, verb="DELETE", well_formed=False),
        no_reply("closed"),
        no_reply("closed", verb="GET"),
    ],
)
def no_internal_error(exchange: Exchange) -> Outcome:
    """A 500 is an exception nobody caught: it may have stopped halfway, and the next caller meets it too."""
    response = exchange.response
    expected = "an answer below 500"
    if response is None:
        failure = exchange.failure
        if failure is None or failure.kind != "closed" or not exchange.request.well_formed:
            return not_applicable
        kind = "closed without an answer"
        return broken(expected=expected, actual="the connection was closed without an answer", kind=kind)
    status = response.status
    if not 500 <= status < 600:
        return holds
    if status in (501, 505) and not exchange.is_post:
        return not_applicable  # the statuses of HTTP itself for another verb or version
    message = exchange.message
    text = f", errMsg {shown(message, exchange)}" if message else ""
    return broken(expected=expected, actual=f"status {status}{text}", kind=f"status {status}")


suite_rule(
    id="COD-9",
    level=Level.SHOULD,
    clause=f"hardening ({_CODES}: «Function requires proper authentication»)",
    title="Without a session invalid data is 401 too",
    why="An answer about the data tells a stranger what would be valid, and which objects there are.",
)

suite_rule(
    id="COD-10",
    level=Level.MUST,
    clause=f"{_CODES}: «Invalid data was sent»",
    title="An identifier of no object is 400, 403 or 404",
    why="Objects vanish between a list and a read every day; that is neither a success nor a crash.",
)
