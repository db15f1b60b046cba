"""HTTP, COD, DAT: the same call in several packets, and with ordinary headers that must change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.helpers.builtin_names import in_turn, rotated
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
