"""HTTP, COD, DAT: the same call in several packets, and with ordinary headers that must change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.helpers.builtin_names import in_turn, position_of, rotated
from conformance.helpers.comparison import same_answer

#: Packets that a request is cut into at most.
MAX_PACKETS = 12

END_OF_HEAD = b"\r\n\r\n"

#: Cuts the bytes of a request into packets.
Cut = Callable[[bytes], list[bytes]]


def _split(raw: bytes, *places: int) -> list[bytes]:
    """Return the bytes, cut at these places."""
    inside = sorted({place for place in places if 0 < place < len(raw)})
    return [raw[start:end] for start, end in zip([0, *inside], [*inside, len(raw)], strict=True)]


def _body_at(raw: bytes) -> int:
    return raw.find(END_OF_HEAD) + len(END_OF_HEAD)


def _even(raw: bytes, start: int) -> list[bytes]:
    """Return the bytes, cut into even packets from `start` on."""
    step = max(1, -(-(len(raw) - start) // (MAX_PACKETS - 1)))
    return _split(raw, *range(start, len(raw), step))


def body_apart(raw: bytes) -> list[bytes]:
    """Return the head of a request and its body, each in a packet of its own."""
    return _split(raw, _body_at(raw))


#: Ways to cut a request, all of the same bytes.
CUTS: tuple[tuple[str, Cut], ...] = (
    ("the body in a packet of its own", body_apart),
    ("the body in many packets", lambda raw: _even(raw, _body_at(raw))),
    ("a body whose last byte comes late", lambda raw: _split(raw, len(raw) - 1)),
    ("a body whose first byte comes with the head", lambda raw: _split(raw, _body_at(raw) + 1)),
    ("a head that ends between two packets", lambda raw: _split(raw, _body_at(raw) - 2, _body_at(raw) - 1)),
    ("head and body in many packets", lambda raw: _even(raw, 1)),
)


@judges("HTTP-7")
@each_function()
def test_calls_in_several_packets(ctx: TestContext, function: Method) -> None:
    """Send the bytes of a call in several packets, with and without chunks: the call is the same."""
    if not in_turn(ctx, "HTTP-7", 2, 3):
        return
    for what, cut in rotated(ctx, list(CUTS), budgets.PACKET_CUTS, of=3):
        same_answer(
            ctx,
            "HTTP-7",
            function,
            kind="a call in several packets is answered otherwise than in one",
            what=what,
            packets=cut,
            chunked=bool(ctx.rng.getrandbits(2) == 0),
        )


#: Headers that clients and proxies send, and that must not change the status of a call.
HEADERS: tuple[tuple[str, str], ...] = (
    ("Accept", "text/html, application/xhtml+xml"),
    ("Accept", "*/*"),
    ("Accept", "application/xml;q=0.9"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Accept-Encoding", "identity"),
    ("Accept-Language", "sv-SE, sv;q=0.9, *;q=0.1"),
    ("Accept-Language", "tr"),
    ("Accept-Language", "*;q=x"),
    ("Accept-Charset", "iso-8859-1"),
    ("Range", "bytes=0-9"),
    ("Range", "bytes=100000-"),
    ("If-Range", '"x"'),
    ("If-Match", '"none-of-these"'),
    ("If-None-Match", "*"),
    ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Expect", "100-continue"),
)

#: Bytes outside ASCII in headers that no function reads; they may be refused with 400.
NON_ASCII_HEADERS: tuple[tuple[str, str], ...] = (
    ("Accept-Language", "sv\xe9"),
    ("Referer", "http://localhost/\xff\xfe"),
    ("User-Agent", "caf\xc3\xa9/1 \xff"),
    ("Cookie", "name=\xe9\xfc; other=\xc3\xa9"),
    ("X-Note", "\xc3\xa9\xa0"),
)


@judges("HTTP-4", "COD-1", "COD-2", "COD-8", "ENV-1", "DAT-1")
@each_function()
def test_ordinary_headers(ctx: TestContext, function: Method) -> None:
    """Send a valid call with headers of caches, browsers and proxies: its status must stay 200."""
    if not in_turn(ctx, "headers", 0, 2):
        return
    user = ctx.who(function)
    plain = ctx.call(function, ctx.valid(function, user), as_=user)
    if plain.status != 200:
        raise NotJudgedError(f"the plain call does not succeed: {function.name} gave {plain.summary()}")
    for (name, value), accepted in _headers(ctx):
        data = ctx.valid(function, user)
        exchange = ctx.call(function, data, as_=user, headers=[(name, value)])
        if exchange.status not in accepted and ctx.call(function, data, as_=user).status != 200:
            # A rule beyond the schema refuses this data, whatever the headers.
            continue
        ctx.status(
            "DAT-1",
            exchange,
            accepted,
            kind=f"valid data is refused for a header: {name}",
            because=f"{name}: {value!a} changes nothing of a call",
        )


def _headers(ctx: TestContext) -> Iterator[tuple[tuple[str, str], set[int]]]:
    for header in rotated(ctx, list(HEADERS), budgets.ORDINARY_HEADERS, of=2):
        yield header, {200}
    for header in rotated(ctx, list(NON_ASCII_HEADERS), budgets.NON_ASCII_HEADERS, of=2):
        yield header, {200, 400}


#: Headers of one call that change nothing of it: (Content-Type, whether Accept is sent, the other headers). One that
#: another of the call would make ineffective (RFC 9110, section 13.2.2) is in another call.
_TOGETHER: tuple[tuple[str | None, bool, tuple[tuple[str, str], ...]], ...] = (
    (
        None,
        False,
        (
            ("Accept-Encoding", "gzip, deflate"),
            ("Accept-Language", "tr"),
            ("Cache-Control", "no-cache"),
            ("Cookie", "theme=dark; lang=tr"),
            ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
            ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("Range", "bytes=0-9"),
            ("User-Agent", "curl/8.5.0"),
            ("X-Requested-With", "XMLHttpRequest"),
        ),
    ),
    (
        "application/x-www-form-urlencoded",
        True,
        (
            ("Accept", "application/xml;q=0.9, text/plain"),
            ("Accept-Charset", "iso-8859-1"),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "*;q=x"),
            ("Expect", "100-continue"),
            ("If-Match", '"none-of-these"'),
            ("If-None-Match", "*"),
            ("If-Range", '"x"'),
            ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ),
    ),
)


#: Values of Accept-Language, of which each function gets another one.
_LANGUAGES = ("tr", "sv-SE, sv;q=0.9, *;q=0.1", "en-US, en;q=0.5")


@judges("HTTP-6", "HTTP-4", "COD-1", "COD-2", "COD-8", "DAT-1")
@each_function()
def test_usual_headers_together(ctx: TestContext, function: Method) -> None:
    """Send a valid call with many headers that change nothing, and each alone where the call does not succeed."""
    user = ctx.who(function)
    plain = ctx.call(function, ctx.valid(function, user), as_=user)
    if plain.status != 200:
        raise NotJudgedError(f"the plain call does not succeed: {function.name} gave {plain.summary()}")
    language = _LANGUAGES[position_of(ctx) % len(_LANGUAGES)]
    for content_type, accept, headers in _TOGETHER:
        parts = [
            _header(name, language if (name, value) == ("Accept-Language", "tr") else value)
            for name, value in headers
        ]
        parts.append((f"Content-Type {content_type}", "HTTP-6", {"content_type": content_type}))
        if not accept:
            parts.append(("Accept: left out", "DAT-1", {"accept": False}))
        _judge_together(ctx, function, user, parts, {200})
    unusual = [
        _header(*header) for header in {name: (name, value) for name, value in NON_ASCII_HEADERS}.values()
    ]
    unusual.append(("Content-Type text/plain", "HTTP-6", {"content_type": "text/plain"}))
    _judge_together(ctx, function, user, unusual, {200, 400})


#: What, the rule for a call that is refused for it, and the options of the call.
_Part = tuple[str, str, dict[str, Any]]


def _header(name: str, value: str) -> _Part:
    options: dict[str, Any] = {"headers": [(name, value)]}
    if name == "Expect":
        options["packets"] = body_apart
    return f"{name}: {value!a}", "DAT-1", options


def _judge_together(
    ctx: TestContext, function: Method, user: str | None, parts: list[_Part], accepted: set[int]
) -> None:
    """Judge a call with all these parts; where it does not succeed, find those that make the difference."""
    together: dict[str, Any] = {}
    for _, _, options in parts:
        together |= {**options, "headers": [*together.get("headers", ()), *options.get("headers", ())]}
    data = ctx.valid(function, user)
    exchange = ctx.call(function, data, as_=user, **together)
    if exchange.status == 200 or exchange.withheld:
        for rule in ("HTTP-6", "DAT-1"):
            ctx.status(rule, exchange, accepted, kind="valid data is refused for several headers")
        return
    if ctx.call(function, data, as_=user).status != 200:
        # A rule beyond the schema refuses this data, whatever the headers.
        return
    if exchange.status in accepted:
        # Some of the headers may be refused: a few are sent alone, since another status may be behind it.
        parts = rotated(ctx, parts, budgets.HEADERS_BEHIND_A_REFUSAL)
    good = True
    for what, rule, options in parts:
        data = ctx.valid(function, user)
        alone = ctx.call(function, data, as_=user, **options)
        allowed = {200} if rule == "HTTP-6" else accepted
        if alone.status not in allowed and ctx.call(function, data, as_=user).status != 200:
            continue
        kind = (
            "the request's Content-Type changes the answer"
            if rule == "HTTP-6"
            else f"valid data is refused for a header: {what.partition(':')[0]}"
        )
        good &= ctx.status(rule, alone, allowed, kind=kind, because=f"{what} changes nothing of a call")
    if good and exchange.status not in accepted:
        ctx.status("DAT-1", exchange, accepted, kind="valid data is refused for several headers")
