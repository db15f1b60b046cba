"""Fixed bodies that are not JSON (RFC 8259): one or more of each way to break the bytes of a valid call.

The groups are those of the JSON grammar: the encoding, white space, punctuation, names, numbers, words and strings.
What a body adds stands in a member that no function knows, so that the call is valid for a reader that accepts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

__all__ = ["broken_bodies", "lenient_bodies"]

_NAME = b'"method"'

#: Values and texts in a member that no function knows, which break JSON for any reader (REQ-4).
_BROKEN_MEMBERS: tuple[tuple[str, bytes], ...] = (
    ("invalid UTF-8", b'"\xff\xfe\xc3"'),
    ("a character cut in the middle", b'"\xf0\x9f\x98"'),
    ("bytes past the last character", b'"\xf4\x90\x80\x80"'),
    ("Latin-1", '"café"'.encode("latin-1")),
    ("a trailing comma in an array", b"[1,]"),
    ("a text in single quotes", b"'a'"),
    ("a quote that is not escaped", b'"a" b "c"'),
    ("an expression", b"1+(1)"),
    ("an array as a name", b"{[1]:1}"),
    ("a colon lost", b'{"a" 1}'),
    ("a bracket lost", b"[1"),
    ("the wrong bracket", b"[1}"),
)

#: Values and texts that only lenient readers accept (REQ-12).
_LENIENT_MEMBERS: tuple[tuple[str, bytes], ...] = (
    ("NaN", b"NaN"),
    ("Infinity", b"Infinity"),
    ("-Infinity", b"-Infinity"),
    ("the word True", b"True"),
    ("the word undefined", b"undefined"),
    ("a word without quotes", b"all"),
    ("a number that begins with its point", b".5"),
    ("a number that ends with its point", b"1."),
    ("an exponent without digits", b"1e"),
    ("a hexadecimal number", b"0x1"),
    ("a number with a leading zero", b"01"),
    ("a number with a plus sign", b"+1"),
    ("a number with an underscore", b"1_000"),
    ("a sign without a number", b"-"),
    ("a digit of another script", b"\xef\xbc\x91"),
    ("a tab in a text", b'"a\tb"'),
    ("a line feed in a text", b'"a\nb"'),
    ("a NUL in a text", b'"a\x00b"'),
    ("a control character in a text", b'"a\x1fb"'),
    ("the escape \\x41", b'"\\x41"'),
    ("the escape \\'", b'"\\\'"'),
    ("the escape \\u12", b'"\\u12"'),
    ("the escape \\u{41}", b'"\\u{41}"'),
    ("the escape \\a", b'"\\a"'),
    ("an escaped line feed", b'"\\\n"'),
    ("a missing item", b"[1,,2]"),
    ("a missing first item", b"[,1]"),
    ("a comma alone", b"[,]"),
    ("a comma lost", b"[1 2]"),
    ("a semicolon for a comma", b"[1;2]"),
    ("an equals sign for a colon", b'{"a"=1}'),
    ("a number as a name", b"{1:1}"),
    ("a word as a name", b"{null:1}"),
    ("overlong UTF-8", b'"\xc0\x80"'),
    ("overlong UTF-8 of three bytes", b'"\xe0\x80\xaf"'),
    ("a surrogate as bytes", b'"\xed\xa0\x80"'),
    ("a pair of surrogates as bytes", b'"\xed\xa0\xbd\xed\xb8\x80"'),
)


def _with_member(call: bytes, value: bytes) -> bytes:
    """Return a call with one more member, which has this value."""
    return call[:-1] + b',"x":' + value + b"}"


def broken_bodies(call: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (what, body): bodies that are not JSON, from the body of a valid call of the function `name`."""
    yield "empty", b""
    yield "white space alone", b" \r\n\t"
    yield "truncated", call[: max(2, len(call) - 1)]
    yield "truncated by two characters", call[: max(2, len(call) - 2)]
    yield "cut in the middle", call[: len(call) // 2]
    yield "cut in a text", call[: call.find(b'"') + 3]
    yield "a trailing comma", call[:-1] + b",}"
    yield "single quotes", call.replace(b'"', b"'")
    yield "plain text", b"find courses"
    yield "form data", b"method=" + name.encode() + b"&data=%7B%7D"
    yield "the call as form data", b"json=" + quote(call).encode()
    yield "two texts in a row", call + call
    yield "two texts in two lines", call + b"\n" + call
    yield "a text and a word", call + b" end"
    yield "a NUL after the text", call + b"\x00"
    yield "a bracket after the text", call + b"}"
    yield "a comma after the text", call + b","
    yield "a semicolon after the text", call + b";"
    yield "a guard before the text", b")]}',\n" + call
    yield "a statement before the text", b"while(1);" + call
    yield "a call of a function", b"cb(" + call + b");"
    yield "a byte-order mark alone", b"\xef\xbb\xbf"
    yield "half a byte-order mark", b"\xef\xbb" + call
    yield "an invalid byte outside texts", call[:-1] + b"\xe5}"
    yield "XML", b"<?xml version='1.0'?><method>" + name.encode() + b"</method>"
    yield "YAML", b"method: " + name.encode() + b"\ndata: {}\n"
    yield (
        "MessagePack",
        b"\x82\xa6method" + bytes([0xA0 | min(len(name), 31)]) + name.encode() + b"\xa4data\x80",
    )
    for what, value in _BROKEN_MEMBERS:
        yield what, _with_member(call, value)


def lenient_bodies(call: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (what, body): bodies that only a lenient reader takes for JSON, from the body of a valid call."""
    for what, value in _LENIENT_MEMBERS:
        yield what, _with_member(call, value)
    yield "a comment", call[:-1] + b"/* all */}"
    yield "a comment to the end of the line", call[:-1] + b"// all\n}"
    yield "a comment after a number sign", b"# all\n" + call
    yield "a comment after the text", call + b"// end"
    yield "a comment that is not closed", call + b"/* end"
    yield "a name without quotes", call.replace(_NAME, b"method", 1)
    yield "a comma before the first member", b"{," + call[1:]
    yield "two commas between members", call[:-1] + b',,"x":1}'
    yield "no comma between members", call[:-1] + b' "x":1}'
    yield "an equals sign after a name", call.replace(_NAME + b":", _NAME + b"=", 1)
    for what, space in (
        ("a no-break space", b"\xc2\xa0"),
        ("a vertical tab", b"\x0b"),
        ("a form feed", b"\x0c"),
        ("a line separator", b"\xe2\x80\xa8"),
        ("a word joiner", b"\xe2\x81\xa0"),
    ):
        yield f"{what} as white space", b"{" + space + call[1:]
    yield "a byte-order mark after the text", call + b"\xef\xbb\xbf"
    text = call.decode("utf-8", "replace")
    yield "UTF-16", b"\xff\xfe" + text.encode("utf-16-le")
    yield "UTF-16, big end first", b"\xfe\xff" + text.encode("utf-16-be")
    yield "UTF-16 without a mark", text.encode("utf-16-le")
    yield "UTF-32", b"\xff\xfe\x00\x00" + text.encode("utf-32-le")
    yield "UTF-32 without a mark", text.encode("utf-32-be")
