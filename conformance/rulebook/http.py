"""Rules on HTTP: verbs, bodies and headers."""

from __future__ import annotations

import re
from functools import lru_cache

from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
    Example,
    Level,
    Outcome,
    broken,
    holds,
    not_applicable,
    reply,
    rule,
    suite_rule,
)

#: Verbs whose answers have a JSON body: of all others (OPTIONS, TRACE, an invented one) the rulebook leaves the answer
#: open, and servers and proxies answer some of them themselves.
_VERBS_WITH_JSON = frozenset({"POST", "GET", "PUT", "PATCH", "DELETE"})
_ENVELOPE = b'{"isError":false,"errMsg":null,"data":{}}'
_BROTLI = b"\x1b\x2c\x00\xf8\xa5\x01"
_IN_BROTLI = (("Content-Type", "application/json"), ("Content-Encoding", "br"))
#: The headers of a body that is shown as it is after decoding.
_IN_GZIP = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
_CALL = "General: «An API method is always called via an HTTP POST request to an entity-named endpoint»"

suite_rule(
    id="HTTP-1",
    level=Level.MUST,
    clause=_CALL,
    title="Every published function exists",
    why="A client is written against the published list; a function on it that answers 404 was never there.",
    causes="The function was renamed or never deployed; the route is registered under another spelling or "
    "another base path; the dispatcher loads its list of functions from a file that the deployment "
    "left out.",
    remedy="Register every function of the catalogue at its entity's endpoint, or remove it from the "
    "catalogue. Compare both lists when the service starts, so that a difference stops the deployment.",
    example=Example(
        sent='POST course {"method":"find"}',
        right="any answer but 404 «Function doesn't exist»",
        wrong='404 {"isError":true,"errMsg":"Function doesn\'t exist","data":null}',
    ),
)

suite_rule(
    id="HTTP-2",
    level=Level.MUST,
    clause=_CALL,
    title="Verbs other than POST never run a function",
    why="Proxies, crawlers and prefetching browsers send GET and HEAD on their own; such a request must not "
    "read or write anything.",
    causes="The route accepts any verb (`app.all`, `@RequestMapping` without a method, a handler that never "
    "looks at the verb); a middleware for method overrides is on; arguments are read from the query "
    "string as well as from the body.",
    remedy="Register the route for POST alone and answer every other verb with 405 before the body is read. "
    "Remove middleware that honours `X-HTTP-Method-Override` or `_method`, and read arguments from the "
    "body alone.",
    example=Example(
        sent='GET course {"method":"find"}',
        right='405 {"isError":true,"errMsg":"Use POST","data":null}',
        wrong='200 {"isError":false,"errMsg":null,"data":{"courses":[]}}',
    ),
)

suite_rule(
    id="HTTP-3",
    level=Level.SHOULD,
    clause="hardening (General: «always called via an HTTP POST request»)",
    title="The refusal of another verb is an error envelope with a documented status, or 405",
    why="A client that takes the wrong verb by mistake reads its answer with the same code as every other.",
    causes="The refusal of a verb comes from the router or from the web server, which answers with a page or "
    "a text of its own.",
    remedy="Add a catch-all handler for other verbs that writes the error envelope with status 405 (or 400, "
    "404). Where the web server in front refuses first, configure its error page to be the envelope.",
    example=Example(
        sent="PUT course",
        right='405 {"isError":true,"errMsg":"Use POST","data":null}',
        wrong="405 <h1>Method Not Allowed</h1>",
    ),
)


def _bytes_shown(body: bytes) -> str:
    """Return the beginning of a body in quotes; bytes that are not UTF-8 are escaped (`\\xff`)."""
    start = body if len(body) <= 60 else body[:60] + b"..."
    try:
        return repr(start.decode("utf-8"))
    except UnicodeDecodeError:
        return repr(start)[1:]


@rule(
    id="HTTP-4",
    level=Level.MUST,
    clause="General: «encoded as a JSON string»; Responses structure",
    title="Every response body is exactly one JSON text",
    causes="Error pages of the framework, the web server or a proxy are HTML or text; debug output or a "
    "warning is printed before the JSON; JSON is put together by hand; a writer emits NaN, Infinity or "
    "a byte-order mark; text is cut in the middle of a UTF-8 character; a response is cut or "
    "compressed and labelled wrongly.",
    remedy="Build every body, errors included, with one JSON serializer in strict mode (`allow_nan=False` and "
    "the like) and write it once. Replace the default error pages of the framework and of the proxy "
    "with the envelope, and turn off output of warnings.",
    passes=[
        reply(200, isError=False, errMsg=None, data={"courseId": 1}),
        reply(404, isError=True, errMsg="Function doesn't exist", data=None),
        reply(200, body=b' \r\n{"isError": false, "errMsg": null, "data": {}}\n'),
        reply(200, body='{"isError":false,"errMsg":null,"data":{"title":"Åsa 🎓 \\ud800"}}'.encode()),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{"n":' + b"9" * 5000 + b',"m":1e400}}'),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":[{"id":1},{"id":2}]}'),
        reply(405, body=b'"no such verb"', verb="GET"),
        reply(200, body=_ENVELOPE, headers=_IN_GZIP, sent_headers=(("Accept-Encoding", "deflate, gzip"),)),
    ],
    fails=[
        reply(200, body=b""),
        reply(204, body=b""),
        reply(500, body=b"<html><body>Internal Server Error</body></html>"),
        reply(200, body=b"\xef\xbb\xbf" + _ENVELOPE),
        reply(200, body=_ENVELOPE + b"\n<!-- 3 ms -->"),
        reply(200, body=b"Notice: something\n" + _ENVELOPE),
        reply(200, body=_ENVELOPE + _ENVELOPE),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{"score":NaN}}'),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{"score":-Infinity}}'),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{"id":1,"id":2}}'),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{"title":"\xff"}}'),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{},}'),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{"title":"a\tb"}}'),
        reply(200, body=_ENVELOPE[:-1]),
        reply(405, body=b"Method Not Allowed", verb="PUT"),
        reply(200, body=_BROTLI, headers=_IN_BROTLI),
        reply(200, body=_ENVELOPE, headers=_IN_GZIP),
        reply(200, body=_BROTLI, headers=_IN_BROTLI, sent_headers=(("Accept-Encoding", "gzip"),)),
    ],
)
def body_is_json(exchange: Exchange) -> Outcome:
    """A client hands the body to its JSON parser; whatever that refuses, or reads in two ways, is lost."""
    response = exchange.response
    request = exchange.request
    if response is None or not request.well_formed or request.verb not in _VERBS_WITH_JSON:
        return not_applicable
    if not response.body and request.verb != "POST":
        return not_applicable
    error = exchange.json.error
    if error is None and exchange.unasked_coding is None:
        return holds
    if error is None:
        return broken(
            expected="a body that is exactly one JSON text (RFC 8259), not compressed unless the request accepts that",
            actual=f"Content-Encoding: {exchange.unasked_coding}, which the request did not ask for",
            kind="a content coding that was not asked for",
        )
    if error.startswith("nested too deep"):
        return (
            not_applicable  # RFC 8259 lets a parser limit the depth, and this one cannot read deeper texts.
        )
    if (coded := exchange.coding) is not None and _not_gzip(coded[0]):
        if coded[1]:
            return not_applicable  # The request accepts this coding, but the suite cannot decode it.
        return broken(
            expected="a body that is exactly one JSON text (RFC 8259)",
            actual=f"Content-Encoding: {coded[0]}, which the request did not ask for: {_bytes_shown(response.body)}",
            kind="a content coding that was not asked for",
        )
    return broken(
        expected="a body that is exactly one JSON text (RFC 8259)",
        actual=_described(error, response.body, response.status),
        kind=_kind(error),
    )


def _described(error: str, body: bytes, status: int) -> str:
    """Return what is wrong with a body, in words that need no knowledge of parsers where it is not JSON at all."""
    if not body:
        return f"{error} ({status})"
    start = body.lstrip()[:1]
    if "character 0" in error or start not in b"{[":
        what = "an HTML or XML text" if start == b"<" else "a plain text" if start.isalnum() else ""
        if what and not error.endswith(("is not JSON", "byte-order mark")):
            return f"{what} instead of JSON: {_bytes_shown(body)}"
    return f"{error}: {_bytes_shown(body)}"


def _not_gzip(coding: str) -> bool:
    """Return whether a content coding includes one that the suite does not decode."""
    return any(name not in ("gzip", "x-gzip", "deflate") for name in coding.split(", "))


def _kind(error: str) -> str:
    """Return the kind of violation, without its values."""
    if error == "the body is empty" or "byte-order mark" in error:
        return error
    if "not UTF-8" in error:
        return "the body is not UTF-8"
    if error.endswith("appears twice"):
        return "a member name appears twice"
    if error.endswith("is not JSON"):
        return "NaN or Infinity"
    if error.startswith("Extra data"):
        return "something follows the JSON text"
    return "the body is not JSON"


_JSON_TYPE = re.compile(
    r'[ \t]*application/json[ \t]*(?:;[ \t]*)*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*(?:;[ \t]*)*)?',
    re.IGNORECASE,
)


@lru_cache(maxsize=256)
def _is_json_type(value: str) -> bool:
    """Return whether a Content-Type is application/json without a charset or with UTF-8."""
    return _JSON_TYPE.fullmatch(value) is not None


def _type(value: str) -> tuple[tuple[str, str], ...]:
    return (("Content-Type", value),)


@rule(
    id="HTTP-5",
    level=Level.SHOULD,
    clause="wire (General: «encoded as a JSON string»)",
    title="Every response says that it is JSON",
    causes="The body is written as a string, so that the framework labels it text/html or text/plain; errors "
    "take another path than successes; a charset other than UTF-8 is set globally.",
    remedy="Set `Content-Type: application/json` in the one place that writes responses, errors included. "
    "Leave the charset out, or say utf-8.",
    passes=[
        reply(200, body=_ENVELOPE),
        reply(200, body=_ENVELOPE, headers=_type("application/json; charset=utf-8")),
        reply(200, body=_ENVELOPE, headers=_type("Application/JSON;charset=UTF-8")),
        reply(400, body=_ENVELOPE, headers=_type('application/json ; charset="utf-8"')),
        reply(200, body=_ENVELOPE, headers=_type("application/json;")),
        reply(200, body=_ENVELOPE, headers=_type("application/json") + _type(" application/json")),
        reply(405, body=b"{}", verb="GET"),
    ],
    fails=[
        reply(200, body=_ENVELOPE, headers=()),
        reply(200, body=_ENVELOPE, headers=_type("")),
        reply(200, body=_ENVELOPE, headers=_type("text/html; charset=utf-8")),
        reply(200, body=_ENVELOPE, headers=_type("text/json")),
        reply(200, body=_ENVELOPE, headers=_type("application/problem+json")),
        reply(200, body=_ENVELOPE, headers=_type("application/jsonp")),
        reply(200, body=_ENVELOPE, headers=_type("application/json; charset=iso-8859-1")),
        reply(200, body=_ENVELOPE, headers=_type('application/json; charset="utf-8')),
        reply(200, body=_ENVELOPE, headers=_type("application/json; profile=x")),
        reply(200, body=_ENVELOPE, headers=_type("application/json, text/html")),
        reply(200, body=_ENVELOPE, headers=_type("application/json") + _type("text/html")),
        reply(
            200, body=_ENVELOPE, headers=_type("application/json") + _type("application/json;charset=utf-8")
        ),
        reply(502, body=b"<html></html>", headers=_type("text/html")),
        reply(405, body=b"no", headers=_type("text/plain"), verb="DELETE"),
    ],
)
def body_is_declared_json(exchange: Exchange) -> Outcome:
    """HTTP libraries decide by Content-Type whether to parse a body, and in which charset; browsers, whether
    to render it.
    """
    response = exchange.response
    request = exchange.request
    if (
        response is None
        or not response.body
        or not request.well_formed
        or request.verb not in _VERBS_WITH_JSON
    ):
        return not_applicable
    values = response.values("content-type")
    if len(values) == 1 and _is_json_type(values[0]):
        return holds
    expected = "Content-Type: application/json, with no charset or utf-8"
    if not values:
        return broken(expected=expected, actual="no Content-Type", kind="no Content-Type")
    actual = " and ".join(f"Content-Type: {value[:80]!r}" for value in values[:3])
    bad = next((value for value in values if not _is_json_type(value)), None)
    if bad is None:
        if len({value.strip().lower() for value in values}) == 1:
            return holds
        return broken(expected=expected, actual=actual, kind="two different Content-Types")
    if bad.split(";")[0].strip().lower() == "application/json":
        return broken(expected=expected, actual=actual, kind="another charset or parameter")
    return broken(expected=expected, actual=actual, kind="another Content-Type")


suite_rule(
    id="HTTP-6",
    level=Level.SHOULD,
    clause="wire (HTTP request structure: the body is JSON whatever the library calls it)",
    title="The request's Content-Type does not matter",
    why="The public wrappers send no Content-Type, or the form type that an HTTP library adds by itself.",
    causes="A JSON body parser parses only bodies labelled application/json (`express.json()`, model binding "
    "of FastAPI or Spring), and a form type sends the body to a form parser; other types are refused "
    "with 415.",
    remedy="Read the raw body and parse it as JSON whatever its Content-Type: `express.json({type: () => "
    "true})`, `json.loads(await request.body())`, `json.NewDecoder(r.Body)`. Turn off form parsing for "
    "the API's routes.",
    example=Example(
        sent='Content-Type: application/x-www-form-urlencoded, body {"method":"find"}',
        right="the answer that application/json gets",
        wrong="400 or 415",
    ),
)

suite_rule(
    id="HTTP-7",
    level=Level.SHOULD,
    clause="hardening (General: «an HTTP POST request»)",
    title="A chunked request body works as one with Content-Length does",
    why="Libraries that stream a body send it chunked, and proxies may turn one form into the other.",
    causes="The handler reads as many bytes as Content-Length says, and none without it (CGI, WSGI "
    "applications, hand-written servers); a proxy refuses requests without a length with 411.",
    remedy="Read the body to its end through the framework's stream, not by Content-Length. Let the proxy "
    "buffer chunked requests (nginx: `proxy_request_buffering on`).",
    example=Example(
        sent='Transfer-Encoding: chunked, body {"method":"find"}',
        right="the answer that Content-Length gets",
        wrong="400 or 411",
    ),
)

suite_rule(
    id="HTTP-8",
    level=Level.MUST,
    clause="Authentication: «Identifier is sent in an HTTP header Token»",
    title="Header names are case-insensitive",
    why="Many libraries and proxies send header names in lower case: the session would be lost.",
    causes="Headers are looked up in a plain map by their exact spelling, or a proxy or cache in front copies "
    "only headers it knows by exact spelling.",
    remedy="Use the framework's header lookup, which ignores case, or turn names into lower case before they "
    "are compared.",
    example=Example(
        sent="token: <session>",
        right="the answer that Token: <session> gets",
        wrong="401",
    ),
)
