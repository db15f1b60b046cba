"""Rules on status codes: which ones are allowed, and which one a response must have."""

from __future__ import annotations

import re

from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
    Example,
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
    causes="A framework answers 201 for a create or 204 for a delete by convention, or redirects to another "
    "spelling of the path.",
    remedy="Answer every success with 200 and the envelope. Switch off redirects of slashes and of letter "
    "case (`redirect_slashes=False`, `RedirectTrailingSlash = false`).",
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
    causes="Statuses of REST conventions or of the framework get out: 422 for invalid data, 409, 405, 415 for "
    "a Content-Type, 413 for a body over the framework's default limit (100 kB in Express, 1 MB in "
    "nginx), 429 of a rate limiter.",
    remedy="Map every error to 400, 401, 403, 404 or 500 in one place. Raise limits so that headers up to 8 "
    "kB and bodies up to 1 MB (1,000,000 bytes) get through: they count as ordinary "
    '(`express.json({limit: "2mb"})`, `client_max_body_size 2m`).',
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
        actual=f"status {response.status}{_explained(exchange, response.status)}",
        kind=f"status {response.status}",
    )


#: Why the status of HTTP does not fit here, and what the protocol has for it.
_EXPLAINED = {
    405: ", although the verb is POST",
    409: "; the protocol has no code of its own for conflicts: 400",
    415: "; a body is read as JSON whatever its Content-Type says",
    422: "; invalid data has status 400 here",
    429: "; the protocol has no code for too many calls",
}


def _explained(exchange: Exchange, status: int) -> str:
    """Return what there is to know about an undocumented status."""
    request, response = exchange.request, exchange.response
    if status == 413:
        return f" to a body of {len(request.body):,} bytes; up to 1 MB counts as ordinary"
    if status in (414, 431):
        return "; headers of up to 8 kB count as ordinary"
    if 300 <= status < 400 and response is not None and (place := response.header("Location")):
        return f", a redirect to {shown(place, exchange, 80)}: clients follow it by GET, without the body"
    return _EXPLAINED.get(status, "")


suite_rule(
    id="COD-3",
    level=Level.MUST,
    clause=f"{_CODES}: «Function doesn't exist»",
    title="An unknown function of a known endpoint is 404",
    why="A client that asks an older server for a newer function must see that its data was not the reason.",
    causes="An unknown function ends in the same branch as invalid data (400), in an exception (500), or in a "
    "default function.",
    remedy="Look the function up in the list of published functions of this endpoint first, and answer 404 "
    "with the envelope if it is not there.",
    example=Example(
        sent='POST course {"method":"noSuchFunction"}',
        right="404",
        wrong="400 or 500",
    ),
)

suite_rule(
    id="COD-4",
    level=Level.MUST,
    clause=f"{_CODES}: «Function doesn't exist»",
    title="An unknown endpoint is 404",
    why="A misspelt address must not be answered as if somebody were there: a guard that compares paths "
    "lets such spellings pass.",
    causes="One route takes any path and fails later; the entity is looked up as a class, a file or a member "
    "of an object, so that names such as `constructor` exist; extensions, path parameters or a second "
    "decoding are stripped before the lookup.",
    remedy="Look the endpoint up in a fixed list by its exact name (a Map, or `Object.hasOwn`). Answer 404 "
    "with the envelope for everything else.",
    example=Example(
        sent='POST noSuchEntity {"method":"find"}',
        right="404",
        wrong="200, 401 or 500",
    ),
)

suite_rule(
    id="COD-5",
    level=Level.MUST,
    clause=f"{_CODES}: «Invalid data was sent»",
    title="Invalid data is never answered 200 or 500",
    why="A 200 says that it was done, a 500 that it may work next time; the caller has to change the data.",
    causes="Arguments are not validated, so invalid data is accepted with 200 or ends as an uncaught "
    "exception with 500.",
    remedy="Validate arguments against their declared schema before the function runs, and answer 400. Catch "
    "conversion errors of the database as 400, too.",
    example=Example(
        sent='{"method":"read","data":{"courseId":"not a number"}}',
        right="400",
        wrong="200 or 500",
    ),
)

suite_rule(
    id="COD-6",
    level=Level.MUST,
    clause=f"{_CODES}: «Function requires proper authentication»",
    title="Without a session a protected function is 401",
    why="401 is the sign by which clients ask for a password; by any other code they give up.",
    causes="The session is checked inside each function, after its arguments; a missing session is answered "
    "403, 400 or with a redirect to a login page.",
    remedy="Check the session in the dispatcher, before arguments, for every function that is not declared "
    "public. Answer 401.",
    example=Example(
        sent='{"method":"find"} without a Token',
        right="401",
        wrong="200, 400 or 403",
    ),
)

suite_rule(
    id="COD-7",
    level=Level.MUST,
    clause=f"{_CODES}: «Access for the current user is denied»",
    title="With a session that lacks the right it is 403",
    why="A client that gets 401 signs in again, and again, and never gets any further.",
    causes="One check answers both «no session» and «no right» with 401; or the function runs, finds nothing "
    "and answers 404 or an empty 200.",
    remedy="Answer 401 only if there is no valid session. If the session is valid and lacks the right, answer "
    "403.",
    example=Example(
        sent='{"method":"stats"} as a user without the role',
        right="403",
        wrong="401",
    ),
)


@rule(
    id="COD-8",
    level=Level.MUST,
    clause=f"{_CODES}: «Internal error or an undefined situation»",
    title="No request is answered 5xx, or by a closed connection",
    causes="An exception is not caught: null where an object was expected, a text where a number was, an "
    "identifier out of the database's range, an encoding error, recursion in the parser. A closed "
    "connection is usually a process that ended or a limit of the server.",
    remedy="Look up the exception in the server's log under the time of the example. Validate the input that "
    "caused it and answer 400. Add a last handler for exceptions, so that the process goes on and the "
    "envelope is written.",
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
    causes="Arguments are validated by the framework (request models, decorators) before the session is "
    "checked.",
    remedy="Check the session first: as middleware or in the dispatcher, not inside the function or after "
    "model binding.",
    example=Example(
        sent='{"method":"read","data":{"courseId":"x"}} without a Token',
        right="401",
        wrong="400",
    ),
)

suite_rule(
    id="COD-10",
    level=Level.MUST,
    clause=f"{_CODES}: «Invalid data was sent»",
    title="An identifier of no object is 400, 403 or 404",
    why="Objects vanish between a list and a read every day; that is neither a success nor a crash.",
    causes="A lookup without a result is used without a check (500), returned as null or `{}` (200), or an "
    "UPDATE or DELETE that met no row is reported as a success.",
    remedy="Check the result of each lookup and the number of rows that were changed. Answer 404 (or 403) if "
    "there is none.",
    example=Example(
        sent='{"method":"read","data":{"courseId":999999999}}',
        right="404",
        wrong='200 {"data":{"course":null}}, or 500',
    ),
)
