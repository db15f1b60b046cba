"""HTTP, COD, AUT, REQ, DAT: other spellings of the same request, long connections, and large answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, each_kind, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.engine.runner import Run
from conformance.helpers.builtin_names import in_turn, rotated
from conformance.helpers.comparison import Lister, canonical, equal, listers, pairs, read, same_answer
from conformance.helpers.list_views import key
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange, field_bytes
from conformance.protocol.session import SetUpFailedError
from conformance.resources.ledger import Resource
from conformance.schema.pointer import resolve

#: Text with characters that JSON libraries escape: a slash, letters outside ASCII, and one outside the first plane.
ESCAPABLE = "a/b é 🎵 ü"

#: Headers of ordinary size (COD-2): 8 kB in all, in one or in many.
LONG_HEADERS: tuple[tuple[str, list[tuple[str, str]]], ...] = (
    ("a header of 6 kB", [("X-Note", "x" * 6000)]),
    ("a cookie of 4 kB", [("Cookie", "name=" + "y" * 4000)]),
    ("60 headers", [(f"X-Note-{number}", "z" * 60) for number in range(60)]),
)

#: Sizes of answers in bytes; buffers of 8, 16 and 64 kB are common.
LARGE_TEXTS = (9_000, 17_000, 66_000)


# -- heads ---------------------------------------------------------------------------------------------------


@judges("COD-2", "COD-8")
@each_function()
def test_target_in_absolute_form(ctx: TestContext, function: Method) -> None:
    """Send the whole URL as the target of a request (RFC 9112, section 3.2.2).

    No client of the API sends it, and ordinary servers take it for an unknown endpoint: the status alone is judged.
    """
    if not in_turn(ctx, "absolute", 0, 8):
        return

    def respell(head: bytes) -> bytes:
        verb, _, rest = head.partition(b" ")
        address = ctx.client.address
        return verb + b" " + field_bytes(f"{address.scheme}://{address.authority}") + rest

    user = ctx.who(function)
    ctx.call(function, ctx.valid(function, user), as_=user, respell=respell)


def _token_behind(space: bytes) -> Callable[[bytes], bytes]:
    """Return a function that changes the white space before the value of the Token header in a head."""
    return lambda head: re.sub(rb"(?im)^(token:) ", lambda found: found[1] + space, head)


#: White space before a header's value, which is not part of it (RFC 9112, section 5.1). Behind the value parsers in
#: common use leave it, so that it is not tried.
SPACED_TOKENS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("no blank before the token", _token_behind(b"")),
    ("a tab before the token", _token_behind(b"\t")),
    ("blanks and a tab before the token", _token_behind(b"  \t ")),
)


@judges("AUT-3")
@each_function(lambda method: method.auth not in ("none", None), otherwise="no function needs a session")
def test_white_space_before_the_token(ctx: TestContext, function: Method) -> None:
    """Vary the white space before the value of the Token header: the session is the same."""
    if not in_turn(ctx, "heads", 0, 3):
        return
    for what, respell in rotated(ctx, list(SPACED_TOKENS), budgets.SPACED_TOKENS, of=3):
        same_answer(
            ctx,
            "AUT-3",
            function,
            kind=f"white space before the token is taken for a part of it: {what}",
            what=what,
            respell=respell,
        )


@judges("COD-8")
@each_function(lambda method: method.auth not in ("none", None), otherwise="no function needs a session")
def test_token_header_twice(ctx: TestContext, function: Method) -> None:
    """Send two Token headers: any status but 5xx is right."""
    if not in_turn(ctx, "heads", 1, 3):
        return
    user = ctx.who(function)
    token = ctx.sessions.of(user).token if user is not None else ""
    data = ctx.data_for(function, user)
    for other in rotated(ctx, [token, "", "x"], budgets.SECOND_TOKENS, of=3):
        ctx.call(function, data, as_=user, headers=[("Token", other)], in_session=False)


@judges("COD-2")
@each_function()
def test_long_heads(ctx: TestContext, function: Method) -> None:
    """Send headers that are long or many, but of ordinary size: they change nothing."""
    if not in_turn(ctx, "heads", 2, 3):
        return
    for what, headers in rotated(ctx, list(LONG_HEADERS), budgets.LONG_HEADERS, of=3):
        same_answer(
            ctx,
            "COD-2",
            function,
            kind=f"a head of ordinary size changes the answer: {what}",
            what=what,
            headers=headers,
        )


# -- bodies --------------------------------------------------------------------------------------------------


def _units(text: str, spelling: str) -> str:
    """Return the \\u escapes of a text, in pairs where a character needs two."""
    raw = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(raw[at : at + 2]):{spelling}}" for at in range(0, len(raw), 2))


#: Ways to spell a character of a text in JSON (RFC 8259, section 7).
ESCAPES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("short escapes", lambda sign: "\\/" if sign == "/" else sign),
    ("\\u escapes in upper case", lambda sign: _units(sign, "04X") if not sign.isascii() else sign),
    ("\\u escapes in lower case", lambda sign: _units(sign, "04x") if not sign.isascii() else sign),
    ("\\u escapes of every character", lambda sign: _units(sign, "04X")),
)


def _readable(run: Run, kind: str) -> bool:
    return run.catalog.create(kind) is not None and run.catalog.read(kind) is not None


@judges("REQ-11")
@each_kind(_readable, otherwise="no kind of object can be both made and read")
def test_escapes_of_stored_text(ctx: TestContext, kind: str) -> None:
    """Spell a text with escapes: it must come back as the text that they stand for."""
    ctx.need_writing()
    create = ctx.catalog.create(kind)
    assert create is not None
    user = ctx.who(create)
    assert user is not None
    for what, spell in rotated(ctx, list(ESCAPES), budgets.ESCAPES):
        data = ctx.valid(create, user)
        texts = _texts(create, data, ESCAPABLE)
        if not texts:
            ctx.skip("REQ-11", f"no text of a {kind} may have characters outside ASCII")
            return
        sent = data | texts
        body = ctx.caller.body(create.name, sent).decode()
        spelt = json.dumps(ESCAPABLE, ensure_ascii=False)
        respelt = body.replace(spelt, '"' + "".join(map(spell, ESCAPABLE)) + '"')
        exchange = ctx.call(create, as_=user, body=respelt.encode())
        if (
            exchange.status != 200
            and ctx.call(create, ctx.valid(create, user) | texts, as_=user).status != 200
        ):
            # The same text, plainly written, is refused as well.
            continue
        if ctx.status("REQ-11", exchange, {200}, kind=f"{what} change the answer"):
            _judge_stored(
                ctx, "REQ-11", kind, exchange, user, texts, f"{what} are read otherwise than they are meant"
            )


def _texts(create: Method, data: dict[str, Any], text: str) -> dict[str, str]:
    """Return the text for each text argument that may have it."""
    return {
        param.name: text
        for param in create.params
        if isinstance(data.get(param.name), str)
        and not param.ref
        and create.data.valid({**data, param.name: text})
    }


def _judge_stored(
    ctx: TestContext, rule: str, kind: str, exchange: Exchange, user: str, texts: dict[str, str], what: str
) -> None:
    """Check that an object that was just created shows these texts, with and without compression."""
    create, reader = ctx.catalog.create(kind), ctx.catalog.read(kind)
    assert create is not None
    assert create.object is not None
    resource = ctx.resources.resource(kind, resolve(exchange.data, create.object.id), user)
    for headers in ((), (("Accept-Encoding", "gzip, deflate"),)):
        shown = ctx.witness(read(ctx, resource, user, headers=list(headers)))
        whole = resolve(
            shown.data, reader.object.at if reader is not None and reader.object is not None else ""
        )
        for name, text, got, _ in pairs(ctx, create, texts, whole):
            ctx.judge(
                rule,
                equal(text, got),
                kind=what,
                expected=f"{name} comes back as it was sent: {text[:60]!r} ({len(text)} characters)",
                actual=f"{name} is {str(got)[:60]!r} ({len(str(got))} characters)",
                exchange=exchange,
                witness=shown,
            )


@judges("REQ-2")
@each_function(
    lambda method: method.rows is not None and not any(param.required for param in method.params),
    otherwise="no list can be called without arguments",
)
def test_paging_without_data(ctx: TestContext, function: Method) -> None:
    """Send a page's numbers without data: the page is the one that empty data gives."""
    user = ctx.who(function)
    hidden = function.volatile_mask

    def ask(data: Any) -> Exchange:
        return ctx.call(function, data, as_=user, page_start=1, page_length=1)

    plain = ctx.witness(ask({}))
    for what, data in (("left out", OMIT), ("null", None)):
        varied = ask(data)
        good = varied.status == plain.status
        if good and plain.status == 200 and not equal(hidden(varied.data), hidden(plain.data)):
            # Members that change between two calls with {} show nothing.
            good = not equal(hidden(ask({}).data), hidden(plain.data))
        ctx.judge(
            "REQ-2",
            good,
            kind=f"data {what} beside a page's numbers changes the answer",
            expected=f"data {what}, with pageStart and pageLength: the answer that {{}} gives ({plain.summary()})",
            actual=varied.summary(),
            exchange=varied,
            witness=plain,
        )


# -- connections and answers ----------------------------------------------------------------------------------


@judges("HTTP-4", "COD-8", "AUT-3", calls=101)
def test_many_calls_of_a_connection(ctx: TestContext) -> None:
    """Send many calls one after another on one connection, known and unknown ones in turn."""
    function, user = _cheapest(ctx)
    data = ctx.valid(function, user, optional="none")
    wanted = ctx.call(function, data, as_=user)
    if wanted.status != 200:
        raise NotJudgedError(f"the plain call does not succeed: {function.name} gave {wanted.summary()}")
    hidden = function.volatile_mask
    unknown = f"{function.entity}.{ctx.unknown_name()}"
    # How an unknown function is answered is a matter of COD-3; here it is answered the same each time.
    of_unknown: int | None = None
    for number in range(2, ctx.amount(budgets.CALLS_OF_A_CONNECTION) + 1):
        # An answer that belongs to the call before would show.
        if number % 5 == 0:
            exchange = ctx.call(unknown, {}, as_=user)
            if of_unknown is None and exchange.data != wanted.data:
                of_unknown = exchange.status
            ctx.judge(
                "AUT-3",
                exchange.status in (404, of_unknown) and exchange.status is not None,
                kind="a later call of a connection is answered otherwise than the first",
                expected=f"call {number} of a connection, of an unknown function: answered as the first such call",
                exchange=exchange,
                witness=wanted,
            )
            continue
        exchange = ctx.call(function, data, as_=user)
        good = exchange.status == 200
        if good and exchange.status == 200 and not equal(hidden(exchange.data), hidden(wanted.data)):
            again = ctx.call(function, data, as_=user)
            good = not equal(hidden(again.data), hidden(wanted.data))
        if not ctx.judge(
            "AUT-3",
            good,
            kind="a later call of a connection is answered otherwise than the first",
            expected=f"call {number} of a connection: the answer that the first call gets",
            actual=f"call {number}: {exchange.summary()}",
            exchange=exchange,
            witness=wanted,
        ):
            return


def _cheapest(ctx: TestContext) -> tuple[Method, str | None]:
    """Return the function that reads with the fewest arguments, in a session if one is needed, and its caller.

    Raises:
        NotJudgedError: no function reads anything.

    """
    known = [method for method in ctx.catalog if method.effect == "read" and ctx.resources.harmless(method)]
    known.sort(key=lambda method: (method.auth == "none", method.rows is not None, len(method.params)))
    for method in known:
        try:
            user = ctx.who(method)
        except NotJudgedError:
            continue
        return method, user
    raise NotJudgedError("no function of the catalogue reads anything")


@judges("HTTP-4", "DAT-5")
@each_kind(_readable, otherwise="no kind of object can be both made and read")
def test_large_answers(ctx: TestContext, kind: str) -> None:
    """Store texts of 9, 17 and 66 kB: they come back whole, compressed where that was asked for, or are refused."""
    ctx.need_writing()
    create = ctx.catalog.create(kind)
    assert create is not None
    user = ctx.who(create)
    assert user is not None
    accepted = 0
    # The largest shows what the smaller ones show, unless it is refused.
    for size in sorted(LARGE_TEXTS, reverse=True):
        if accepted >= ctx.amount(budgets.LARGE_TEXTS):
            return
        data = ctx.valid(create, user)
        text = ("abc, " * size)[: size - 1] + "é"
        texts = _texts(create, data, text)
        if not texts:
            continue
        name = next(iter(texts))
        exchange = ctx.call(create, data | {name: text}, as_=user)
        if exchange.status == 200:
            accepted += 1
            what = f"{name} does not come back as it went in"
            _judge_stored(ctx, "DAT-5", kind, exchange, user, {name: text}, what)


#: Bytes that an answer of a long list has at least, and the objects that may be created for it.
LONG_LIST_BYTES = 66_000
MAX_LONG_LIST_OBJECTS = 60

#: Lengths of texts for a long list: the longest that a kind takes is used.
LONG_LIST_TEXTS = (8_000, 4_000, 3_000, 2_000, 1_200)


def _longest(ctx: TestContext) -> list[tuple[int, str, str]]:
    """Return (length, kind, argument) of the longest texts that kinds with a list take, the longest first."""
    found = []
    for kind in ctx.catalog.kinds:
        create = ctx.catalog.create(kind)
        if create is None or ctx.catalog.delete(kind) is None or not ctx.catalog.lists(kind):
            continue
        try:
            user = ctx.who(create)
            assert user is not None
            data = ctx.valid(create, user)
        except (NotJudgedError, SetUpFailedError):
            continue
        for length in (LONG_LIST_BYTES, *LONG_LIST_TEXTS):
            texts = _texts(create, data, "x" * length)
            if texts:
                found.append((length, kind, next(iter(texts))))
                break
    return sorted(found, key=lambda each: -each[0])


def _made(ctx: TestContext, create: Method, user: str, values: dict[str, Any]) -> Resource:
    """Create an object with these values."""
    assert create.object is not None
    data = {**ctx.valid(create, user), **values}
    exchange = ctx.must(ctx.call(create, data, as_=user), f"could not make a {create.object.kind}")
    identifier = resolve(exchange.data, create.object.id)
    return replace(ctx.resources.resource(create.object.kind, identifier, user), sent=data)


def _lists(lister: Lister, resource: Resource, text: str) -> bool:
    """Return whether a list shows an object with its long text, or shows nothing at all of it, whole or cut."""
    exchange = lister.exchange()
    rows = lister.ctx.resources.rows(lister.function, exchange)
    row = next((row for row in rows if key(lister, row) == canonical(resource.id)), None)
    return row is None or any(value == text for value in (row.values() if isinstance(row, dict) else ()))


@judges("HTTP-4", "STA-1", calls=80)
def test_list_of_more_than_64_kilobytes(ctx: TestContext) -> None:
    """Create objects with long texts until their list has more than 64 kB: it must come back whole."""
    ctx.need_writing()
    known = _longest(ctx)
    if not known:
        ctx.give_up("no kind of object that can be listed and deleted takes long texts")
    if known[0][0] >= LONG_LIST_BYTES and ctx.quick:
        ctx.give_up("a single text of that size is sent instead, by the test of large answers")
    # A list that does not show the text does not grow with it: the next kind is tried.
    for length, kind, name in [each for each in known if each[0] < LONG_LIST_BYTES] or known:
        create = ctx.catalog.create(kind)
        assert create is not None
        user = ctx.who(create)
        assert user is not None
        text = ("abc, " * length)[: length - 1] + "é"
        first = _made(ctx, create, user, {name: text})
        lister = next((each for each in listers(ctx, kind, user, first) if _lists(each, first, text)), None)
        if lister is not None:
            break
        ctx.resources.remove(first)
    else:
        ctx.give_up("no list that shows every object shows long texts")
    shared = {
        param.name: first.sent[param.name]
        for param in create.params
        if param.required and param.ref and param.name in first.sent
    }
    made = [first]
    for _ in range(min(LONG_LIST_BYTES // length + 1, MAX_LONG_LIST_OBJECTS)):
        made.append(_made(ctx, create, user, {**shared, name: text}))
    exchange = lister.exchange()
    listed = [key(lister, row) for row in ctx.resources.rows(lister.function, exchange)]
    missing = [resource for resource in made if canonical(resource.id) not in listed]
    ctx.judge(
        "STA-1",
        exchange.status == 200 and not missing,
        kind="a list of more than 64 kB does not show every object that was created",
        expected=f"{lister.function.name} shows the {len(made)} objects that were created",
        actual=exchange.summary() if exchange.status != 200 else f"{len(missing)} of them are not there",
        exchange=exchange,
        function=lister.function.name,
    )
    for resource in reversed(made):
        ctx.resources.remove(resource)
