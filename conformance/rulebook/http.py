"""Rules on HTTP: verbs, bodies and headers."""

from __future__ import annotations

import re
from functools import lru_cache

from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
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
)

suite_rule(
    id="HTTP-2",
    level=Level.MUST,
    clause=_CALL,
    title="Verbs other than POST never run a function",
    why="Proxies, crawlers and prefetching browsers send GET and HEAD on their own; such a request must not "
    "read or write anything.",
)

suite_rule(
    id="HTTP-3",
    level=Level.SHOULD,
    clause="hardening (General: «always called via an HTTP POST request»)",
    title="The refusal of another verb is an error envelope with a documented status, or 405",
    why="A client that takes the wrong verb by mistake reads its answer with the same code as every other.",
)


def _bytes_shown(body: bytes) -> str:
    """Return the beginning of a body as a bytes literal."""
    return repr(body if len(body) <= 60 else body[:60] + b"...")


@rule(
    id="HTTP-4",
    level=Level.MUST,
    clause="General: «encoded as a JSON string»; Responses structure",
    title="Every response body is exactly one JSON text",
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
        actual=f"{error}: {_bytes_shown(response.body)}" if response.body else f"{error} ({response.status})",
        kind=_kind(error),
    )


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
)

suite_rule(
    id="HTTP-7",
    level=Level.SHOULD,
    clause="hardening (General: «an HTTP POST request»)",
    title="A chunked request body works as one with Content-Length does",
    why="Libraries that stream a body send it chunked, and proxies may turn one form into the other.",
)

suite_rule(
    id="HTTP-8",
    level=Level.MUST,
    clause="Authentication: «Identifier is sent in an HTTP header Token»",
    title="Header names are case-insensitive",
    why="Many libraries and proxies send header names in lower case: the session would be lost.",
)
