"""REQ, HTTP, COD: variants of member names, content types, chunks, packets and paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_endpoint, each_function, each_kind, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.engine.runner import Run
from conformance.helpers.builtin_names import PROTOTYPE_NAMES, in_turn, rotated
from conformance.helpers.comparison import equal, pairs, read, same_answer
from conformance.helpers.probing import callable_function
from conformance.protocol.client import compact
from conformance.protocol.exchange import Exchange
from conformance.schema.pointer import resolve

#: Text whose bytes mean something else, or nothing, in every charset but UTF-8.
NON_ASCII = "Åsé ñ € 日本 🎵"

#: Types that declare another charset than that of JSON, which is always UTF-8 (RFC 8259, section 8.1).
CHARSETS = (
    "application/json; charset=iso-8859-1",
    "application/x-www-form-urlencoded; charset=windows-1252",
    "text/plain; charset=us-ascii",
    "application/json; charset=utf-16",
    "application/json;charset=Shift_JIS",
)

#: Spellings of a Content-Type, types of other bodies, and values that are not types.
CONTENT_TYPES = (
    "APPLICATION/JSON",
    "application/json;charset=UTF-8",
    'application/json ; charset="utf-8"',
    "application/json; foo=bar; q=1",
    "application/vnd.api+json",
    "text/json",
    "application/xml",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/octet-stream",
    "json",
    "*/*",
    "",
    "application/json;",
    "application/json; charset=",
    'application/json; charset="utf-8',
    "application/json\t;\tcharset=utf-8",
    "application/json, text/plain",
    f"application/json; version={'1' * 2000}",
)


def _chunked(
    size: int, spelling: str = "%x", extension: bytes = b"", end: bytes = b"\r\n"
) -> Callable[[bytes], bytes]:
    """Return a chunked body with chunks of this size, with sizes written in this format (RFC 9112, section 7.1)."""

    def encode(body: bytes) -> bytes:
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        found = b"".join(
            (spelling % len(part)).encode() + extension + b"\r\n" + part + b"\r\n" for part in parts
        )
        return found + (spelling % 0).encode() + extension + b"\r\n" + end

    return encode


#: Ways to cut a body into chunks, all of the same body.
CHUNKS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("one chunk for each byte", _chunked(1)),
    ("chunks of 13 bytes", _chunked(13)),
    ("sizes in upper case", _chunked(43, "%X")),
    ("sizes with leading zeros", _chunked(31, "%06x")),
    ("chunk extensions", _chunked(17, extension=b";name=value")),
    ("quoted chunk extensions", _chunked(100_000, extension=b';a="x;y"')),
    ("a trailer", _chunked(100_000, end=b"X-Checksum: 1\r\n\r\n")),
)


@judges("REQ-10", "REQ-11")
@each_endpoint()
def test_members_that_differ_in_case_alone(ctx: TestContext, endpoint: str) -> None:
    """Send `METHOD` beside `method`, in any position: it is an unknown member and must change nothing."""
    function, user = callable_function(ctx, endpoint)
    data = ctx.valid(function, user, optional="none")
    plain = ctx.call(function, data, as_=user)
    if plain.status != 200:
        raise NotJudgedError(f"the plain call does not succeed: {function.name} gave {plain.summary()}")
    call: dict[str, Any] = {"method": function.function, "data": data}
    for what, other in _case_variants(ctx, function):
        after = _judge_variant(ctx, function, user, plain, {**call, **other}, what)
        before = _judge_variant(ctx, function, user, plain, {**other, **call}, what)
        worse = after if after.status != 200 else before
        ctx.judge(
            "REQ-11",
            after.status == before.status,
            kind="the order of members that differ in case alone changes the answer",
            expected=f"{what}: one answer, wherever it stands",
            actual=f"status {after.status} with it at the end, {before.status} at the beginning",
            exchange=worse,
        )


def _case_variants(ctx: TestContext, function: Method) -> list[tuple[str, dict[str, Any]]]:
    """Return members that a case-insensitive decoder takes for those of the protocol, with values that would show."""
    unknown = ctx.unknown_name()
    found: list[tuple[str, dict[str, Any]]] = [
        ("METHOD", {"METHOD": unknown}),
        ("Method", {"Method": unknown}),
    ]
    if function.effect == "read":
        found += [("DATA", {"DATA": [0]}), ("Data", {"Data": "x"})]
    found += [
        ("PageStart", {"PageStart": -1}),
        ("pagelength", {"pagelength": -1}),
        # The long s, which case folding turns into an s.
        ("page\u017ftart", {"page\u017ftart": -1}),
        ("page_length", {"page_length": -1}),
    ]
    return rotated(ctx, found, budgets.MEMBERS_IN_ANOTHER_CASE)


def _judge_variant(
    ctx: TestContext, function: Method, user: str | None, plain: Exchange, call: dict[str, Any], what: str
) -> Exchange:
    if function.effect != "read":
        call = {**call, "data": ctx.valid(function, user, optional="none")}
    varied = ctx.call(function, as_=user, body=compact(call))
    good, seen = varied.status == 200, ""
    if good and function.effect == "read" and function.rows is not None:
        rows = [resolve(function.volatile_mask(each.data), function.rows) for each in (plain, varied)]
        good, seen = equal(*rows), "other rows than without it"
        if not good:
            again = ctx.call(function, json.loads(plain.request.body).get("data"), as_=user)
            good = not equal(resolve(function.volatile_mask(again.data), function.rows), rows[0])
    ctx.judge(
        "REQ-10",
        good,
        kind="a member whose name differs in case alone changes the answer",
        expected=f"{what} is ignored: the answer that the call gives without it (200)",
        actual=seen,
        exchange=varied,
    )
    return varied


@judges("HTTP-6")
@each_function()
def test_content_types_in_other_spellings(ctx: TestContext, function: Method) -> None:
    """Vary the Content-Type: case, parameters, white space and other types must change nothing."""
    if not in_turn(ctx, "HTTP-6", 1, 2):
        return
    for content_type in rotated(ctx, list(CONTENT_TYPES), budgets.CONTENT_TYPE_SPELLINGS, of=2):
        same_answer(
            ctx,
            "HTTP-6",
            function,
            kind="the request's Content-Type changes the answer",
            what=f"Content-Type {content_type}",
            content_type=content_type,
        )


def _makeable(run: Run, kind: str) -> bool:
    return run.catalog.create(kind) is not None and run.catalog.read(kind) is not None


@judges("HTTP-6")
@each_kind(_makeable, otherwise="no kind of object can be both made and read")
def test_text_under_another_charset(ctx: TestContext, kind: str) -> None:
    """Declare other charsets: JSON is always UTF-8, so text must come back as it was sent."""
    ctx.need_writing()
    create = ctx.catalog.create(kind)
    assert create is not None
    user = ctx.who(create)
    assert user is not None
    for content_type in rotated(ctx, list(CHARSETS), budgets.CHARSETS):
        data = ctx.valid(create, user)
        texts = {
            param.name: NON_ASCII
            for param in create.params
            if isinstance(data.get(param.name), str)
            and not param.ref
            and create.data.valid({**data, param.name: NON_ASCII})
        }
        if not texts:
            ctx.skip("HTTP-6", f"no text of a {kind} may have characters outside ASCII")
            return
        sent = {**data, **texts}
        plain = ctx.call(create, sent, as_=user)
        if plain.status != 200:
            raise NotJudgedError(f"the plain call does not succeed: {create.name} gave {plain.summary()}")
        _judge_text(ctx, kind, create, user, ctx.valid(create, user) | texts, texts, content_type)


def _judge_text(
    ctx: TestContext,
    kind: str,
    create: Method,
    user: str,
    sent: dict[str, Any],
    texts: dict[str, str],
    content_type: str,
) -> None:
    exchange = ctx.call(create, sent, as_=user, content_type=content_type)
    if exchange.status != 200 and ctx.call(create, sent, as_=user).status != 200:
        # A rule beyond the schema refuses this data, whatever its type.
        return
    ctx.status("HTTP-6", exchange, {200}, kind="the request's Content-Type changes the answer")
    assert create.object is not None
    if exchange.status != 200:
        return
    resource = ctx.resources.resource(kind, resolve(exchange.data, create.object.id), user)
    shown = ctx.witness(read(ctx, resource, user))
    reader = ctx.catalog.read(kind)
    whole = resolve(shown.data, reader.object.at if reader is not None and reader.object is not None else "")
    for name, text, got, _ in pairs(ctx, create, texts, whole):
        ctx.judge(
            "HTTP-6",
            equal(text, got),
            kind="text is read by the charset of the request's Content-Type",
            expected=f"{name} comes back as it was sent with {content_type}: {text!r}",
            actual=f"{name} is {str(got)[:60]!r}",
            exchange=exchange,
            witness=shown,
        )


@judges("HTTP-7")
@each_function()
def test_chunks_of_any_size(ctx: TestContext, function: Method) -> None:
    """Cut a body into chunks in different ways: it must be read as the same body."""
    if not in_turn(ctx, "HTTP-7", 1, 3):
        return
    for what, encode in rotated(ctx, list(CHUNKS), budgets.CHUNKED_BODIES, of=3):
        same_answer(
            ctx,
            "HTTP-7",
            function,
            kind=f"a chunked body is not read: {what}",
            what=f"Transfer-Encoding: chunked, {what}",
            chunked=encode,
        )


@judges("COD-4")
@each_endpoint()
def test_endpoints_in_the_spelling_of_a_framework(ctx: TestContext, endpoint: str) -> None:
    """Send inherited names, and endings that frameworks cut off, as paths: they must not name an endpoint."""
    function, user = callable_function(ctx, endpoint)
    data = ctx.valid(function, user, optional="none")
    first = endpoint[:1]
    spelt = [
        f"{endpoint};x",
        f"{endpoint};jsessionid=1",
        f"{endpoint}.json",
        f"{endpoint}.php",
        f"..;/{endpoint}",
        f"{endpoint}%20",
        f"{endpoint}%0a",
        f"{endpoint}%2500",
        f"%25{ord(first or 'x'):02x}{endpoint[1:]}",
        f"{endpoint}%3fx",
        f"{endpoint}%23",
    ]
    wanted = [(path, {400, 404}) for path in spelt]
    wanted += [(name, {404}) for name in PROTOTYPE_NAMES[:6]]
    for path, accepted in rotated(ctx, wanted, budgets.PATH_SPELLINGS):
        exchange = ctx.call(function, data, as_=user, target=path)
        ctx.status(
            "COD-4",
            exchange,
            accepted if user is not None else accepted | {401},
            kind="an unknown endpoint is not answered 404",
            function=function.name,
            because=f"there is no endpoint {path}",
        )
