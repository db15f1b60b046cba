"""Malformed bodies (DAT-4): the bytes of a valid call, changed where the grammar of JSON breaks.

Each mutation has a name. Some leave valid JSON (a member twice, a huge number, deep nesting), so the bytes decide
whether a body is JSON, never the name.
"""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from hypothesis.strategies import SearchStrategy

from conformance.generation.choices import Choices
from conformance.generation.drawing import strategy_of

__all__ = ["MUTATIONS", "MalformedBody", "any_bytes", "malformed"]


class MalformedBody(NamedTuple):
    """A body, and the name of its mutation."""

    kind: str
    body: bytes


Mutation: TypeAlias = Callable[[Choices, bytes], bytes]

_PIECE = re.compile(
    rb'(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>true|false|null)'
    rb"|(?P<mark>[{}\[\]:,])",
    re.DOTALL,
)

#: Every mutation, by name.
MUTATIONS: dict[str, Mutation] = {}


def _mutation(name: str) -> Callable[[Mutation], Mutation]:
    def enter(mutate: Mutation) -> Mutation:
        MUTATIONS[name] = mutate
        return mutate

    return enter


def _one(choices: Choices, values: tuple[bytes, ...]) -> bytes:
    return values[choices.index(len(values))]


def _spots(body: bytes, *kinds: str) -> list[tuple[int, int]]:
    return [match.span() for match in _PIECE.finditer(body) if match.lastgroup in kinds]


def _values(body: bytes) -> list[tuple[int, int]]:
    """Return where the scalar values stand: strings that are not names, numbers, words."""
    return [
        (start, end)
        for start, end in _spots(body, "string", "number", "word")
        if not body[end:].lstrip().startswith(b":")
    ]


def _names(body: bytes) -> list[tuple[int, int]]:
    return [span for span in _spots(body, "string") if body[span[1] :].lstrip().startswith(b":")]


def _swap(choices: Choices, body: bytes, spots: list[tuple[int, int]], new: bytes) -> bytes:
    if not spots:
        return body + new
    start, end = spots[choices.index(len(spots))]
    return body[:start] + new + body[end:]


def _in_string(choices: Choices, body: bytes, new: bytes) -> bytes:
    """Insert bytes into one of the strings."""
    spots = _spots(body, "string")
    if not spots:
        return b'{"method":"' + new + b'"}'
    end = spots[choices.index(len(spots))][1]
    return body[: end - 1] + new + body[end - 1 :]


def _replaces(name: str, where: Callable[[bytes], list[tuple[int, int]]], *values: bytes) -> None:
    MUTATIONS[name] = lambda choices, body: _swap(choices, body, where(body), _one(choices, values))


def _writes(name: str, *values: bytes) -> None:
    MUTATIONS[name] = lambda choices, body: _in_string(choices, body, _one(choices, values))


def _wraps(name: str, *around: tuple[bytes, bytes]) -> None:
    def wrapped(choices: Choices, body: bytes) -> bytes:
        before, after = around[choices.index(len(around))]
        return before + body + after

    MUTATIONS[name] = wrapped


# --- cut ----------------------------------------------------------------------------------------------------


@_mutation("cut anywhere")
def _cut(choices: Choices, body: bytes) -> bytes:
    return body[: choices.integer(0, max(0, len(body) - 1), len(body) - 1)]


@_mutation("cut between tokens")
def _cut_token(choices: Choices, body: bytes) -> bytes:
    ends = [match.end() for match in _PIECE.finditer(body)][:-1] or [0]
    return body[: ends[-1 - choices.index(len(ends))]]


@_mutation("cut within a character")
def _cut_character(choices: Choices, body: bytes) -> bytes:
    whole = _in_string(choices, body, "ö😀".encode())
    return whole[: whole.rindex("😀".encode()) + 1 + choices.index(3)]


@_mutation("beginning cut off")
def _headless(choices: Choices, body: bytes) -> bytes:
    return body[1 + choices.integer(0, max(0, len(body) - 2)) :]


MUTATIONS["empty"] = lambda choices, body: b""
MUTATIONS["white space alone"] = lambda choices, body: _one(choices, (b" ", b"\n", b"\t\r\n ", b" " * 4096))

# --- members, values, punctuation ---------------------------------------------------------------------------


def _member(body: bytes, at: tuple[int, int]) -> bytes:
    """Return a member, from its name on; null stands for a value that is an object or an array."""
    start, end = at
    rest = body[end:]
    match = re.match(rb'\s*:\s*("(?:[^"\\]|\\.)*"|[-\d.eE+]+|true|false|null)', rest, re.DOTALL)
    return body[start:end] + (match[0] if match else b":null")


@_mutation("a member twice")
def _twice(choices: Choices, body: bytes) -> bytes:
    names = _names(body)
    if not names:
        return b'{"method":"x","method":"x"}'
    at = names[choices.index(len(names))]
    return body[: at[0]] + _member(body, at) + b"," + body[at[0] :]


@_mutation("a member twice, another value")
def _twice_other(choices: Choices, body: bytes) -> bytes:
    names = _names(body)
    if not names:
        return b'{"method":"x","method":null}'
    start, end = names[choices.index(len(names))]
    other = _one(choices, (b"null", b'"x"', b"0", b"{}", b"[]", b"true"))
    return body[:start] + body[start:end] + b":" + other + b"," + body[start:]


@_mutation("a member twice, its name escaped")
def _twice_escaped(choices: Choices, body: bytes) -> bytes:
    names = [span for span in _names(body) if span[1] - span[0] > 2]
    if not names:
        return b'{"method":"x","\\u006dethod":"x"}'
    start, end = names[choices.index(len(names))]
    name = body[start:end]
    spelt = b'"' + b"".join(b"\\u%04x" % sign for sign in name[1:-1] if sign < 128 and sign != 92) + b'"'
    return body[:start] + spelt + b":null," + body[start:]


_replaces(
    "a huge number", _values, b"1e400", b"-1e400", b"1" * 400, b"9" * 5000, b"1e999999999", b"1e-999999999"
)
_replaces("many digits behind the point", _values, b"0." + b"1" * 5000, b"1." + b"0" * 5000 + b"1")
_replaces(
    "a number that is none",
    _values,
    *(b"01 +1 .5 1. 1e 1e+ - -- -01 0x10 1_000 0b1 1f 1n 1/2 \xef\xbc\x91".split()),
)
_replaces(
    "no JSON constant", _values, *(b"NaN Infinity -Infinity -NaN undefined None True FALSE nil Null".split())
)
_replaces("single quotes", _values, b"'x'", b"''", b"`x`", "“x”".encode())
_replaces("a name in single quotes", _names, b"'method'", b"'data'")
_replaces("a name without quotes", _names, b"method", b"data", b"a-b", b"0")
_replaces("a name that is no string", _names, b"0", b"null", b"{}", b"[1]", b"true")
_replaces("an odd name", _names, b'""', b'"__proto__"', b'"\\u0000"', b'"$ref"', b'"\\ud800"')
_replaces(
    "an expression", _values, b"1+1", b"new Date()", b"function(){}", b"/a/", b"(1)", b"x", b"@", b"<x/>"
)
_replaces(
    "a value of another type", _values, b"null", b"{}", b"[]", b"true", b"0", b'""', b"[[]]", b'{"$gt":""}'
)
_replaces("deep arrays", _values, *(b"[" * depth + b"]" * depth for depth in (100, 1000, 10_000, 100_000)))
_replaces("deep objects", _values, *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (100, 1000, 20_000)))
_replaces("deep and open", _values, b"[" * 100_000, b'{"a":' * 50_000, b'[{"a":' * 30_000)
_replaces("a long string", _values, b'"' + b"x" * 200_000 + b'"', b'"' + b"\\u0041" * 30_000 + b'"')
_replaces("a long name", _names, b'"' + b"x" * 100_000 + b'"')
_replaces(
    "a comment", lambda body: [(end, end) for _, end in _spots(body, "mark")], b"/* x */", b"// x\n", b"# x\n"
)
_replaces("a surplus comma", lambda body: [(end, end) for _, end in _spots(body, "mark")], b",", b",,")
_replaces("punctuation lost", lambda body: _spots(body, "mark"), b"", b" ")
_replaces("punctuation swapped", lambda body: _spots(body, "mark"), *(b"{ } [ ] : , ; = =>".split()))


@_mutation("trailing comma")
def _trailing(choices: Choices, body: bytes) -> bytes:
    closers = [match.start() for match in re.finditer(rb"[}\]]", body)] or [len(body)]
    at = closers[-1 - choices.index(len(closers))]
    return body[:at] + b"," + body[at:]


# --- strings ------------------------------------------------------------------------------------------------

_writes(
    "unpaired surrogate, escaped", b"\\ud800", b"\\udc00", b"\\udc00\\ud800", b"\\ud83d", b"\\uD800\\u0041"
)
_writes("unpaired surrogate, as bytes", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xed\xa0\xbd\xed\xb8\x80")
_writes("overlong UTF-8", b"\xc0\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf")
_writes(
    "invalid UTF-8",
    b"\xff",
    b"\xfe",
    b"\x80",
    b"\xbf\xbf",
    b"\xc3",
    b"\xe2\x82",
    b"\xf5\x80\x80\x80",
    b"\xe5",
)
_writes("past the last character", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\\u110000")
_writes("Latin-1", "åäö".encode("latin-1"), "café".encode("latin-1"))
_writes("control character", *(bytes([code]) for code in (0, 1, 7, 8, 9, 10, 13, 27, 31)))
_writes("U+0000, escaped", b"\\u0000", b"a\\u0000b")
_writes(
    "an escape that is none", b"\\x41", b"\\'", b"\\u12", b"\\u{41}", b"\\U00000041", b"\\a", b"\\0", b"\\\n"
)
_writes("quote not escaped", b'"', b'""', b'"x"')
_writes("backslash at the end", b"\\", b"\\\\\\")
_writes("noncharacters", b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf")

# --- around -------------------------------------------------------------------------------------------------

_wraps("byte-order mark", (b"\xef\xbb\xbf", b""), (b"\xef\xbb\xbf\xef\xbb\xbf", b""), (b"", b"\xef\xbb\xbf"))
_wraps(
    "something behind",
    *((b"", tail) for tail in (b"x", b"}", b"]", b",", b";", b"\x00", b"null", b"//", b"0")),
)
_wraps(
    "something before",
    *((head, b"") for head in (b"x", b")]}',\n", b"while(1);", b"data=", b"\x00", b"\x1e")),
)
_wraps(
    "wrapped",
    (b"[", b"]"),
    (b'{"a":', b"}"),
    (b"(", b")"),
    (b"cb(", b");"),
    (b"<x>", b"</x>"),
    (b"```\n", b"\n```"),
)
_wraps(
    "unusual white space",
    (b"\xc2\xa0", b""),
    (b"\x0b", b""),
    (b"\x0c", b""),
    (b"", b"\xe2\x80\xa8"),
    (b"\x85", b""),
)
_wraps("much white space", (b" " * 65_536, b""), (b"", b"\n" * 65_536))
MUTATIONS["two texts in a row"] = lambda choices, body: (
    body + _one(choices, (b"", b"\n", b" ", b",", b"\x1e")) + body
)


@_mutation("as one string")
def _as_string(choices: Choices, body: bytes) -> bytes:
    return b'"' + body.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _recoded(codec: str, mark: bytes = b"") -> Mutation:
    return lambda choices, body: mark + body.decode("utf-8", "replace").encode(codec, "replace")


MUTATIONS["UTF-16"] = _recoded("utf-16-le", b"\xff\xfe")
MUTATIONS["UTF-16, big end first"] = _recoded("utf-16-be", b"\xfe\xff")
MUTATIONS["UTF-16 without a mark"] = _recoded("utf-16-le")
MUTATIONS["UTF-32"] = _recoded("utf-32-le", b"\xff\xfe\x00\x00")
MUTATIONS["UTF-7"] = _recoded("utf-7")
MUTATIONS["EBCDIC"] = _recoded("cp500")
MUTATIONS["gzip"] = lambda choices, body: gzip.compress(body, mtime=0)
MUTATIONS["deflate"] = lambda choices, body: zlib.compress(body)
MUTATIONS["base64"] = lambda choices, body: base64.b64encode(body)
MUTATIONS["percent-encoded"] = lambda choices, body: quote(body).encode()
MUTATIONS["form data"] = lambda choices, body: b"json=" + quote(body).encode() + b"&method=x"
MUTATIONS["multipart"] = lambda choices, body: (
    b'--b\r\nContent-Disposition: form-data; name="json"\r\n\r\n' + body + b"\r\n--b--\r\n"
)
MUTATIONS["another language"] = lambda choices, body: _one(
    choices,
    (
        b"<?xml version='1.0'?><method>x</method>",
        b"method: x\ndata: {}\n",
        b"\x82\xa6method\xa1x\xa4data\x80",
        b'a:1:{s:6:"method";s:1:"x";}',
        b"\x80\x04}\x94.",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"0\r\n\r\n",
    ),
)
MUTATIONS["another text"] = lambda choices, body: _one(
    choices, (b"null", b"true", b"0", b'""', b'"x"', b"[]", b"{}", b"[{}]", b"-0", b"1e400", b"[null]")
)

# --- anywhere --------------------------------------------------------------------------------------------------


@_mutation("a bit flipped")
def _flipped(choices: Choices, body: bytes) -> bytes:
    if not body:
        return b"\x01"
    at = choices.index(len(body))
    return body[:at] + bytes([body[at] ^ 1 << choices.index(8)]) + body[at + 1 :]


@_mutation("a byte lost")
def _lost(choices: Choices, body: bytes) -> bytes:
    at = choices.index(max(1, len(body)))
    return body[:at] + body[at + 1 :]


@_mutation("a byte more")
def _more(choices: Choices, body: bytes) -> bytes:
    at = choices.index(len(body) + 1)
    return body[:at] + bytes([choices.index(256)]) + body[at:]


@_mutation("a part moved")
def _moved(choices: Choices, body: bytes) -> bytes:
    first, second = sorted((choices.index(len(body) + 1), choices.index(len(body) + 1)))
    return body[second:] + body[first:second] + body[:first]


@_mutation("a part repeated")
def _repeated(choices: Choices, body: bytes) -> bytes:
    first, second = sorted((choices.index(len(body) + 1), choices.index(len(body) + 1)))
    return body[:second] + body[first:second] * (1 + choices.index(4)) + body[second:]


@_mutation("any bytes")
def _noise(choices: Choices, body: bytes) -> bytes:
    return bytes([choices.index(256) for _ in range(choices.index(40))])


def malformed(call: bytes, name: str) -> SearchStrategy[MalformedBody]:
    """Return the strategy of bodies that are malformed in the way of that name, made from the body of a valid call."""
    return strategy_of(lambda choices: MalformedBody(name, MUTATIONS[name](choices, call)), name)


def any_bytes(call: bytes) -> SearchStrategy[MalformedBody]:
    """Return the strategy of malformed bodies, made from the body of a valid call; all kinds equally often.

    One body in eight has two mutations, and its kind names both.
    """
    kinds = list(MUTATIONS.items())

    def broken(choices: Choices) -> MalformedBody:
        name, mutate = kinds[choices.index(len(kinds))]
        body = mutate(choices, call)
        if choices.index(8) == 7 and len(body) < 100_000:
            other, again = kinds[choices.index(len(kinds))]
            return MalformedBody(f"{name}, then {other}", again(choices, body))
        return MalformedBody(name, body)

    return strategy_of(broken, "malformed bodies")
