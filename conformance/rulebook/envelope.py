"""Rules on the envelope of every response: isError, errMsg, data."""

from __future__ import annotations

import json
from collections.abc import Callable

from conformance.catalog.contract import Contract
from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
    Level,
    Outcome,
    broken,
    holds,
    not_applicable,
    reply,
    rule,
    shown,
)

MEMBERS = ("isError", "errMsg", "data")
_MEMBERS = frozenset(MEMBERS)
_STRUCTURE = "Responses structure"
_ABSENT: object = object()


def _member(exchange: Exchange, name: str) -> object:
    """Return a member of the envelope, or `_ABSENT` if it is missing, which ENV-1 reports."""
    envelope = exchange.envelope if exchange.is_post else None
    return _ABSENT if envelope is None else envelope.get(name, _ABSENT)


def is_error(exchange: Exchange) -> bool:
    """Return whether the response is an error, by its status or by isError."""
    response = exchange.response
    if response is None:
        return False
    if response.status >= 400:
        return True
    envelope = exchange.envelope
    return envelope is not None and envelope.get("isError") is True


def is_success(exchange: Exchange) -> bool:
    """Return whether the response is a success: status 200, and not an error by isError."""
    response = exchange.response
    return response is not None and response.status == 200 and not is_error(exchange)


def _short(body: bytes) -> str:
    """Return the beginning of a body as a quoted text."""
    text = body[:80].decode("utf-8", "backslashreplace")
    return json.dumps(text + "…" * (len(body) > 80), ensure_ascii=False)


@rule(
    id="ENV-1",
    level=Level.MUST,
    clause=f"{_STRUCTURE}: «isError», «errMsg», «data»",
    title="Every answer is an object with isError, errMsg and data",
    causes="Errors are written by the framework, the web server or a gateway, each in its own form "
    '(`{"detail": …}`, an HTML page, an empty body), and only the handlers of functions write the '
    "envelope.",
    remedy="Write every response in one function that takes status, message and data. Register it as the "
    "framework's handler for exceptions, unknown routes, unreadable bodies and bodies too large, and "
    "as the error page of the proxy.",
    passes=[
        reply(200, isError=False, errMsg=None, data={}),
        reply(404, isError=True, errMsg="Function doesn't exist", data=None),
        reply(200, isError=None, errMsg=7, data="x"),
        reply(200, isError=False, errMsg=None, data={}, time=3),
        reply(500, data=None, errMsg="Internal error", isError=True),
    ],
    fails=[
        reply(200, isError=False, data={}),
        reply(200, isError=False, errMsg=None),
        reply(400, errMsg="No", data=None),
        reply(200, iserror=False, errmsg=None, data={}),
        reply(400, error="Bad request"),
        reply(200, body=b"{}"),
        reply(200, body=b"[]"),
        reply(200, body=b"null"),
        reply(200, body=b'"isError errMsg data"'),
        reply(200, body=b""),
        reply(502, body=b"<html>Bad Gateway</html>"),
        reply(413, body=b"Payload Too Large"),
    ],
)
def is_envelope(exchange: Exchange) -> Outcome:
    """A client opens every answer with the same few lines of code; one without the envelope breaks them."""
    response = exchange.response
    if response is None or not exchange.is_post:
        return not_applicable
    value = exchange.json.value
    if isinstance(value, dict) and value.keys() >= _MEMBERS:
        return holds
    expected = "an object with the members isError, errMsg and data"
    if isinstance(value, dict):
        missing = ", ".join(name for name in MEMBERS if name not in value)
        actual = f"without {missing}: {shown(value, exchange)}"
        return broken(expected=expected, actual=actual, kind=f"without {missing}")
    if exchange.json.error is None:
        return broken(expected=expected, actual=shown(value, exchange), kind="not an object")
    if exchange.coding is not None:
        return not_applicable  # The encoded body is unknown; HTTP-4 reports the coding.
    if _nearly_envelope(response.body):
        return not_applicable  # The envelope is there; HTTP-4 reports what is wrong with the JSON text.
    if not response.body:
        return broken(expected=expected, actual="an empty body", kind="an empty body")
    return broken(expected=expected, actual=f"no JSON: {_short(response.body)}", kind="no JSON")


def _nearly_envelope(body: bytes) -> bool:
    """Return whether a lenient JSON parser finds an envelope in a body, or cannot decide."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() >= _MEMBERS


@rule(
    id="ENV-2",
    level=Level.MUST,
    clause=f"{_STRUCTURE}: «a boolean showing the overall operation result»",
    title="isError is a boolean",
    causes='The flag is a number, a text or a truthy value of the language (`0`, `"false"`, the error object '
    "itself), often from a database column or from PHP.",
    remedy="Compute it as a boolean in the one place that writes responses: `isError = status >= 400`.",
    passes=[
        reply(200, isError=False, errMsg=None, data={}),
        reply(400, isError=True, errMsg="No", data=None),
        reply(200, isError=True, errMsg=None, data={}),
    ],
    fails=[
        reply(200, isError=0, errMsg=None, data={}),
        reply(400, isError=1, errMsg="No", data=None),
        reply(200, isError="false", errMsg=None, data={}),
        reply(200, isError="", errMsg=None, data={}),
        reply(200, isError=None, errMsg=None, data={}),
        reply(400, isError={}, errMsg="No", data=None),
        reply(400, isError=[True], errMsg="No", data=None),
    ],
)
def is_error_is_boolean(exchange: Exchange) -> Outcome:
    """«false» as a text is true in most languages: the client shows an error for a call that succeeded."""
    value = _member(exchange, "isError")
    if value is _ABSENT:
        return not_applicable
    if value is True or value is False:
        return holds
    actual = f"/isError: {shown(value, exchange)}"
    return broken(expected="isError: true or false", actual=actual, kind="isError is not a boolean")


@rule(
    id="ENV-3",
    level=Level.MUST,
    clause=f"{_STRUCTURE}: «possible error message string»",
    title="errMsg is a string or null",
    causes="The exception, a list of validation errors or a boolean is passed in place of its text (`errMsg: "
    "err`, `errMsg: false`).",
    remedy="Pass a string on errors and null on success. Join several messages into one text.",
    passes=[
        reply(200, isError=False, errMsg=None, data={}),
        reply(400, isError=True, errMsg="No", data=None),
        reply(400, isError=True, errMsg="", data=None),
    ],
    fails=[
        reply(200, isError=False, errMsg=False, data={}),
        reply(400, isError=True, errMsg=42, data=None),
        reply(400, isError=True, errMsg=["title is missing"], data=None),
        reply(400, isError=True, errMsg={"title": "is missing"}, data=None),
        reply(200, isError=False, errMsg=[], data={}),
    ],
)
def message_is_string_or_null(exchange: Exchange) -> Outcome:
    """Clients put errMsg on the screen; an object there reads «[object Object]», or ends the client."""
    value = _member(exchange, "errMsg")
    if value is _ABSENT:
        return not_applicable
    if value is None or isinstance(value, str):
        return holds
    actual = f"/errMsg: {shown(value, exchange)}"
    return broken(
        expected="errMsg: a string or null", actual=actual, kind="errMsg is neither string nor null"
    )


@rule(
    id="ENV-4",
    level=Level.MUST,
    clause=f"{_STRUCTURE}: «a boolean showing the overall operation result»; HTTP response codes",
    title="isError agrees with the status",
    causes="Refusals are sent with the default status 200, or the status is set without the flag; two code "
    "paths set the two.",
    remedy="Derive isError from the status in one place, and set the status wherever a call is refused.",
    passes=[
        reply(200, isError=False, errMsg=None, data={}),
        reply(400, isError=True, errMsg="No", data=None),
        reply(404, isError=True, errMsg=None, data=None),
        reply(500, isError=True, errMsg="Internal error", data=None),
        reply(418, isError=True, errMsg="No", data=None),
    ],
    fails=[
        reply(200, isError=True, errMsg="No such course", data=None),
        reply(400, isError=False, errMsg="No", data=None),
        reply(500, isError=False, errMsg=None, data={}),
        reply(201, isError=False, errMsg=None, data={}),
        reply(201, isError=True, errMsg="No", data=None),
        reply(302, isError=False, errMsg=None, data={}),
        reply(399, isError=True, errMsg="No", data=None),
        reply(199, isError=False, errMsg=None, data={}),
    ],
)
def is_error_agrees_with_status(exchange: Exchange) -> Outcome:
    """Some clients look at the status, some at isError; where the two differ, half of them are wrong."""
    value = _member(exchange, "isError")
    if exchange.response is None or not (value is True or value is False):
        return not_applicable
    status = exchange.response.status
    if (value is False and status == 200) or (value is True and status >= 400):
        return holds
    shown_value = "true" if value else "false"
    expected = "isError: false exactly when the status is 200, true exactly when it is 400 or above"
    if status == 200:
        kind = "isError is true on 200"
    elif status >= 400:
        kind = "isError is false on an error"
    else:
        kind = "a status that is neither 200 nor an error"
    return broken(expected=expected, actual=f"/isError: {shown_value}, status {status}", kind=kind)


@rule(
    id="ENV-5",
    level=Level.MUST,
    clause=f"{_STRUCTURE}: «possible error message string»",
    title="An error carries a message",
    causes="The message is taken from an exception that has none; a refusal is sent without a text; the text "
    "is only white space or is lost in a conversion.",
    remedy="Give every refusal a text that a person understands, and fall back to the meaning of the status "
    "(«Access denied») where there is none.",
    passes=[
        reply(404, isError=True, errMsg="No such course", data=None),
        reply(400, isError=True, errMsg=" x ", data=None),
        reply(400, isError=True, errMsg="エラー", data=None),
        reply(400, isError=True, errMsg="0", data=None),
        reply(200, isError=True, errMsg="No such course", data=None),
    ],
    fails=[
        reply(404, isError=True, errMsg="", data=None),
        reply(404, isError=True, errMsg="  ", data=None),
        reply(404, isError=True, errMsg="\n\t\u00a0", data=None),
        reply(404, isError=True, errMsg="\u200b\ufeff", data=None),
        reply(404, isError=True, errMsg=None, data=None),
        reply(404, isError=True, errMsg=404, data=None),
        reply(500, isError=False, errMsg=None, data={}),
        reply(200, isError=True, errMsg=None, data={}),
    ],
)
def error_has_message(exchange: Exchange) -> Outcome:
    """Callers show errMsg to a person; a blank one tells that person nothing."""
    message = _member(exchange, "errMsg")
    if message is _ABSENT or not is_error(exchange):
        return not_applicable
    expected = "errMsg: a string with something in it"
    if not isinstance(message, str):
        kind = "errMsg is null" if message is None else "errMsg is not a string"
        return broken(expected=expected, actual=f"/errMsg: {shown(message, exchange)}", kind=kind)
    if any(sign.isprintable() and not sign.isspace() for sign in message):
        return holds
    return broken(expected=expected, actual=f"/errMsg: {shown(message, exchange)}", kind="errMsg is blank")


@rule(
    id="ENV-6",
    level=Level.MUST,
    clause=f'{_STRUCTURE}: «"errMsg": null»',
    title="On success errMsg is null",
    causes='The success answer carries "", "OK" or false in errMsg, or leaves a message of an earlier step.',
    remedy="Write null in errMsg for every status 200.",
    passes=[
        reply(200, isError=False, errMsg=None, data={}),
        reply(200, isError="false", errMsg=None, data={}),
    ],
    fails=[
        reply(200, isError=False, errMsg="", data={}),
        reply(200, isError=False, errMsg="OK", data={}),
        reply(200, isError=False, errMsg="null", data={}),
        reply(200, isError=False, errMsg=False, data={}),
        reply(200, isError=False, errMsg=[], data={}),
    ],
)
def success_has_no_message(exchange: Exchange) -> Outcome:
    """A client that asks «is there a message?» shows an error for every success that brings one."""
    message = _member(exchange, "errMsg")
    if message is _ABSENT or not is_success(exchange):
        return not_applicable
    if message is None:
        return holds
    kind = "errMsg is an empty string" if message == "" else "errMsg is not null"
    actual = f"/errMsg: {shown(message, exchange)}"
    return broken(expected="errMsg: null on a success", actual=actual, kind=kind)


def json_types(value: object) -> frozenset[str]:
    """Return the JSON Schema types of a value; 1.0 is an integer, too."""
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return _BOOLEAN
    if isinstance(value, dict):
        return _OBJECT
    if isinstance(value, list):
        return _ARRAY
    if isinstance(value, str):
        return _STRING
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return _INTEGER
    return _NUMBER


_NULL = frozenset({"null"})
_BOOLEAN = frozenset({"boolean"})
_OBJECT = frozenset({"object"})
_ARRAY = frozenset({"array"})
_STRING = frozenset({"string"})
_INTEGER = frozenset({"integer", "number"})
_NUMBER = frozenset({"number"})

_ROWS = Contract("course.find", _ARRAY)
_COUNT = Contract("course.count", _INTEGER)
_MAYBE = Contract("course.read", frozenset({"object", "null"}))


@rule(
    id="ENV-7",
    level=Level.MUST,
    clause=f"{_STRUCTURE}: «output from the called method»",
    title="On success data is an object, or what the catalogue declares",
    causes="A function returns a list, a scalar, null or nothing; PHP encodes an empty array as `[]` where an "
    "object was meant.",
    remedy='Wrap results in an object (`{"courses": […]}`), return `{}` for nothing (PHP: `new stdClass` or '
    "`JSON_FORCE_OBJECT`), or declare the other shape in the catalogue.",
    passes=[
        reply(200, isError=False, errMsg=None, data={}),
        reply(200, isError=False, errMsg=None, data={"courseId": 1}),
        reply(200, isError=False, errMsg=None, data=[], contract=_ROWS),
        reply(200, isError=False, errMsg=None, data=3, contract=_COUNT),
        reply(200, isError=False, errMsg=None, data=3.0, contract=_COUNT),
        reply(200, isError=False, errMsg=None, data=None, contract=_MAYBE),
        reply(200, isError=False, errMsg=None, data="x", contract=Contract("course.any", None)),
    ],
    fails=[
        reply(200, isError=False, errMsg=None, data=None),
        reply(200, isError=False, errMsg=None, data=[]),
        reply(200, isError=False, errMsg=None, data="ok"),
        reply(200, isError=False, errMsg=None, data=True),
        reply(200, isError=False, errMsg=None, data={}, contract=_ROWS),
        reply(200, isError=False, errMsg=None, data=None, contract=_ROWS),
        reply(200, isError=False, errMsg=None, data=True, contract=_COUNT),
        reply(200, isError=False, errMsg=None, data=[], contract=_MAYBE),
        reply(200, isError=False, errMsg=None, data=[], contract=Contract("course.read")),
    ],
)
def success_has_data(exchange: Exchange) -> Outcome:
    """A client reads members of data at once; an empty list in place of an empty object has none."""
    data = _member(exchange, "data")
    if data is _ABSENT or not is_success(exchange):
        return not_applicable
    contract = exchange.contract
    wanted = _OBJECT if contract is None else contract.result_types
    if wanted is None:
        return holds if contract is not None else not_applicable
    found = json_types(data)
    if not wanted.isdisjoint(found):
        return holds
    return broken(
        expected=f"data of type {' or '.join(sorted(wanted))}",
        actual=f"/data: {shown(data, exchange)}",
        kind=f"data is of type {min(found)}",
    )


@rule(
    id="ENV-8",
    level=Level.SHOULD,
    clause=f"hardening ({_STRUCTURE})",
    title="On an error data is null or {}",
    causes="Details of the error, the invalid input or a half-built result are returned in data together with "
    "an error.",
    remedy="Write null in data on every error, and put what the caller needs to know into errMsg.",
    passes=[
        reply(400, isError=True, errMsg="No", data=None),
        reply(400, isError=True, errMsg="No", data={}),
        reply(200, isError=True, errMsg="No", data=None),
    ],
    fails=[
        reply(400, isError=True, errMsg="No", data=[]),
        reply(400, isError=True, errMsg="No", data=""),
        reply(400, isError=True, errMsg="No", data=False),
        reply(403, isError=True, errMsg="No", data={"title": "Secret course"}),
        reply(500, isError=False, errMsg=None, data={"rows": []}),
        reply(200, isError=True, errMsg="No", data={"courseId": 1}),
    ],
)
def error_has_no_data(exchange: Exchange) -> Outcome:
    """Half a result beside an error is taken for a whole one, or shows what was just refused."""
    data = _member(exchange, "data")
    if data is _ABSENT or not is_error(exchange):
        return not_applicable
    if data is None or data == {}:
        return holds
    kind = "data is not empty" if isinstance(data, dict) else "data is neither null nor an object"
    return broken(expected="data: null or {}", actual=f"/data: {shown(data, exchange)}", kind=kind)


@rule(
    id="ENV-9",
    level=Level.SHOULD,
    clause=f"hardening ({_STRUCTURE})",
    title="No members beside isError, errMsg and data",
    causes="Debug members, timings, a status code or a trace identifier are added beside the three, often by "
    "a framework's error handler.",
    remedy="Move them into headers or logs, or declare them in the profile's `envelope_extra` if clients rely "
    "on them.",
    passes=[
        reply(200, isError=False, errMsg=None, data={}),
        reply(200, isError=False, errMsg=None, data={"time": 3}),
        reply(200, isError=False, errMsg=None, data={}, time=3, envelope_extra=["time", "memory"]),
        reply(400, isError=True, errMsg="No"),
    ],
    fails=[
        reply(200, isError=False, errMsg=None, data={}, time=3),
        reply(400, isError=True, errMsg="No", data=None, code=17),
        reply(200, isError=False, errMsg=None, data={}, time=3, debug={}, envelope_extra=["time"]),
        reply(200, isError=False, errMsg=None, data={}, Data={}),
        reply(200, body=b'{"isError":false,"errMsg":null,"data":{},"":null}'),
    ],
)
def envelope_has_no_more(exchange: Exchange) -> Outcome:
    """Members that nobody documented are relied on soon and kept for ever; debug output is one of them."""
    envelope = exchange.envelope if exchange.is_post else None
    if envelope is None or _MEMBERS.isdisjoint(envelope):
        return not_applicable
    if envelope.keys() == _MEMBERS:
        return holds
    extra = [name for name in envelope if name not in _MEMBERS and name not in exchange.envelope_extra]
    if not extra:
        return holds
    allowed = ", ".join([*MEMBERS, *sorted(exchange.envelope_extra)])
    return broken(
        expected=f"no top-level members but {allowed}",
        actual="more members: " + ", ".join(shown(name, exchange, 40) for name in extra[:4]),
        kind="undeclared top-level members",
    )


def _title_mismatch(data: object) -> str | None:
    """Replace a result schema in the examples: `data` needs a `title` that is a string."""
    if not isinstance(data, dict):
        return f"{json.dumps(data)} is not an object"
    if "title" not in data:
        return "the required member title is missing"
    title = data["title"]
    return None if isinstance(title, str) else f"/title: {json.dumps(title)} is not a string"


_CHECKED = Contract("course.read", mismatch=_title_mismatch)


@rule(
    id="ENV-10",
    level=Level.MUST,
    clause=f"{_STRUCTURE}: «output from the called method»; Available functions",
    title="data of a success matches the declared result",
    causes="A member is missing, renamed, null or of another type than the catalogue declares: the catalogue "
    "is out of date, a column is nullable, or numbers come from the database as text.",
    remedy="Serialize results through a declared model, convert values of the database to their declared "
    "types, and correct the catalogue where the result is right.",
    passes=[
        reply(200, isError=False, errMsg=None, data={"title": "Knots"}, contract=_CHECKED),
        reply(200, isError=False, errMsg=None, data={"title": ""}, contract=_CHECKED),
    ],
    fails=[
        reply(200, isError=False, errMsg=None, data={"title": None}, contract=_CHECKED),
        reply(200, isError=False, errMsg=None, data={}, contract=_CHECKED),
        reply(200, isError=False, errMsg=None, data=None, contract=_CHECKED),
    ],
)
def success_matches_contract(exchange: Exchange) -> Outcome:
    """Typed clients are generated from the declared result; one member that departs from it ends them."""
    contract = exchange.contract
    if contract is None or contract.mismatch is None or not is_success(exchange):
        return not_applicable
    data = _member(exchange, "data")
    if data is _ABSENT:
        return not_applicable
    found = _mismatch(contract.mismatch, data)
    if found is None:
        return holds
    if found is _ABSENT:
        return not_applicable
    masked = exchange.secret_registry.mask(str(found)) if exchange.secret_registry else str(found)
    return broken(
        expected=f"data as the result of {contract.function} is declared",
        actual=f"/data{masked[:180]}" if masked.startswith("/") else f"/data: {masked[:180]}",
        kind="data departs from the declared result",
    )


def _mismatch(mismatch: Callable[[object], str | None], data: object) -> object:
    """Return the mismatch with a schema, or `_ABSENT` if the validator cannot read the data.

    It cannot read data that is nested too deep, NaN and infinity, or unpaired surrogates.
    """
    try:
        return mismatch(data)
    except (RecursionError, UnicodeError, ArithmeticError):
        return _ABSENT
