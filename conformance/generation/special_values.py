"""Texts, numbers and injections that targets often handle wrongly, and the JSON encoding that preserves them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from conformance.schema.bundle import Json

__all__ = [
    "INJECTIONS",
    "NUMBERS",
    "OPERATORS",
    "TEXTS",
    "Injection",
    "Literal",
    "Number",
    "Text",
    "encode",
    "received",
]


@dataclass(frozen=True)
class Text:
    """A text that is often altered in transit or storage, with a name."""

    name: str
    value: str


@dataclass(frozen=True)
class Injection:
    """A value that an interpreter behind the target may execute, with a name."""

    name: str
    value: Json


class Literal(float):
    """A number that `encode` writes as `text`, whatever value Python reads there."""

    text: str

    def __new__(cls, text: str) -> Literal:
        """Create the number that Python reads in a text."""
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __repr__(self) -> str:
        return self.text

    def __copy__(self) -> Literal:
        return self

    def __deepcopy__(self, memo: Any) -> Literal:
        return self

    def __reduce__(self) -> tuple[type[Literal], tuple[str]]:
        return Literal, (self.text,)


@dataclass(frozen=True)
class Number:
    """A number that is often altered: `text` is its JSON, `value` what Python reads there."""

    name: str
    text: str

    @property
    def value(self) -> int | float:
        """The value that Python reads: an integer, or a float (infinity where it overflows)."""
        return json.loads(self.text)  # type: ignore[no-any-return]

    @property
    def literal(self) -> int | float:
        """The value that makes `encode` write exactly `text`."""
        value = self.value
        return value if json.dumps(value) == self.text else Literal(self.text)


_MARK = "\ue000#{}\ue001"


def encode(value: Json) -> bytes:
    """Return a value as compact JSON in UTF-8, as `client.compact` does, with the text of each Literal.

    Unpaired surrogates are escaped, because UTF-8 cannot encode them.
    """
    literals: list[str] = []

    def swap(item: Json) -> Json:
        if isinstance(item, Literal):
            literals.append(item.text)
            return _MARK.format(len(literals) - 1)
        if isinstance(item, dict):
            return {name: swap(child) for name, child in item.items()}
        if isinstance(item, list):
            return [swap(child) for child in item]
        return item

    swapped = swap(value)
    text = json.dumps(swapped if literals else value, ensure_ascii=False, separators=(",", ":"))
    for number, literal in enumerate(literals):
        text = text.replace(f'"{_MARK.format(number)}"', literal, 1)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", lambda sign: f"\\u{ord(sign[0]):04x}", text).encode()


def received(value: Json) -> Json:
    """Return a value as its receiver reads it."""
    return json.loads(encode(value))


#: Texts for DAT-5.
TEXTS: tuple[Text, ...] = (
    Text("astral", "𝒞𝓸𝓾𝓻𝓼𝓮 😀🦊"),
    Text("emoji joined", "👩‍👩‍👧‍👦 🏳️‍🌈 🇸🇪"),
    Text("combining", "e\u0301a\u030ao\u0308 Z̷̢͓a̵l̶g̸o"),
    Text("precomposed", "éåö"),
    Text("singleton", "\u212b\u2126"),
    Text("compatibility", "ﬁ①ﾊ²"),
    Text("right to left", "שלום עולם"),
    Text("right to left, Arabic", "مرحبا بالعالم"),
    Text("direction marks", "a\u202eb\u202cc\u200f\u200e\u2066d\u2069"),
    Text("zero width", "a\u200bb\u200cc\u200dd\ufeffe"),
    Text("byte-order mark first", "\ufeffa"),
    Text("U+0000", "a\x00b"),
    Text("U+0000 alone", "\x00"),
    Text("control characters", "\x01\x07\x08\x1b[31m\x7f\x85"),
    Text("line ends", "a\nb\r\nc\rd\u2028e\u2029f"),
    Text("tab", "a\tb"),
    Text("blank", " "),
    Text("blanks around", "  a  "),
    Text("unusual blanks", "\xa0a\u2003b\u3000"),
    Text("high surrogate alone", "a\ud800b"),
    Text("low surrogate alone", "a\udc00b"),
    Text("surrogates in the wrong order", "\udc00\ud800"),
    Text("noncharacters", "\ufffe\uffff\U0001ffff\U0010ffff"),
    Text("private use", "\ue000\U000f0000"),
    Text("replacement character", "a\ufffdb"),
    Text("case that grows", "ßİıſŉ"),
    Text("Latin-1", "åäö ÿ"),
    Text("quotes", "\"'`´«»"),
    Text("backslashes", "\\ \\\\ \\n \\u0041 \\x41"),
    Text("markup", "<b>&amp;&lt;</b><!-- -->"),
    Text("percent", "%41%00%%s%n"),
    Text("plus", "a+b c"),
    Text("digits alone", "007"),
    Text("number", "1e3"),
    Text("null", "null"),
    Text("true", "true"),
    Text("JSON", '{"a":[1]}'),
    Text("255 characters", "x" * 255),
    Text("256 characters", "y" * 256),
    Text("2-byte characters to 64 kB", "ö" * 32768),
    Text("64 kB", "0123456789abcdef" * 4096),
    Text("64 kB of astral characters", "😀" * 16384),
)

#: Numbers for DAT-6. A schema without bounds allows all of them; 1.0 and 1e2 are integers.
NUMBERS: tuple[Number, ...] = (
    Number("2^31 - 1", "2147483647"),
    Number("2^31", "2147483648"),
    Number("-2^31 - 1", "-2147483649"),
    Number("2^32", "4294967296"),
    Number("2^53 - 1", "9007199254740991"),
    Number("2^53", "9007199254740992"),
    Number("2^53 + 1", "9007199254740993"),
    Number("-2^53 - 1", "-9007199254740993"),
    Number("2^63 - 1", "9223372036854775807"),
    Number("2^63", "9223372036854775808"),
    Number("-2^63", "-9223372036854775808"),
    Number("-2^63 - 1", "-9223372036854775809"),
    Number("2^64", "18446744073709551616"),
    Number("10^30", "1" + "0" * 30),
    Number("an integer of 400 digits", "1" + "0" * 399),
    Number("1e400", "1e400"),
    Number("-1e400", "-1e400"),
    Number("1e-400", "1e-400"),
    Number("-0", "-0"),
    Number("-0.0", "-0.0"),
    Number("1.0", "1.0"),
    Number("1e2", "1e2"),
    Number("1E+2", "1E+2"),
    Number("0.1", "0.1"),
    Number("0.30000000000000004", "0.30000000000000004"),
    Number("many decimals", "3.14159265358979323846264338327950288"),
    Number("largest float", "1.7976931348623157e308"),
    Number("least normal float", "2.2250738585072014e-308"),
    Number("least float", "5e-324"),
    Number("money", "19.99"),
    Number("money that floats lose", "1.005"),
    Number("16777217", "16777217"),
    Number("65536", "65536"),
)

#: Strings for DAT-8.
INJECTIONS: tuple[Injection, ...] = (
    Injection("SQL, always true", "' OR '1'='1"),
    Injection("SQL, always true, double quotes", '" OR ""="'),
    Injection("SQL, comment", "x' -- "),
    Injection("SQL, second statement", "1; DROP TABLE users; --"),
    Injection("SQL, union", "' UNION SELECT NULL,NULL,NULL -- "),
    Injection("SQL, open quote", "'"),
    Injection("SQL, open double quote", '"'),
    Injection("SQL, backslash quote", "\\'"),
    Injection("SQL, wildcard", "%"),
    Injection("SQL, one-sign wildcard", "_"),
    Injection("SQL, wildcards around", "%a%"),
    Injection("glob", "*"),
    Injection("regular expression, anything", ".*"),
    Injection("regular expression, open group", "("),
    Injection("regular expression, open class", "["),
    Injection("NoSQL, operator as text", '{"$gt": ""}'),
    Injection("NoSQL, code", "'; return true; var x='"),
    Injection("template, braces", "{{7*7}}"),
    Injection("template, dollar", "${7*7}"),
    Injection("template, percent", "<%= 7*7 %>"),
    Injection("template, hash", "#{7*7}"),
    Injection("lookup", "${jndi:ldap://127.0.0.1/x}"),
    Injection("format, Python", "{0.__class__.__mro__}"),
    Injection("format, C", "%s%s%n%x"),
    Injection("path", "../../../../etc/passwd"),
    Injection("path, Windows", "..\\..\\windows\\win.ini"),
    Injection("path, encoded", "..%2f..%2fetc%2fpasswd"),
    Injection("path, NUL", "x\x00.txt"),
    Injection("file address", "file:///etc/passwd"),
    Injection("header", "x\r\nX-Injected: 1"),
    Injection("header and body", "x\r\n\r\n<b>1</b>"),
    Injection("shell, command", "; id"),
    Injection("shell, substitution", "$(id)"),
    Injection("shell, backquotes", "`id`"),
    Injection("shell, pipe", "| id"),
    Injection("markup, script", "<script>alert(1)</script>"),
    Injection("markup, attribute", '"><img src=x onerror=alert(1)>'),
    Injection("XML, entity", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    Injection("LDAP", "*)(uid=*))(|(uid=*"),
    Injection("XPath", "' or count(/*)=1 or 'a'='b"),
    Injection("spreadsheet", "=1+1"),
    Injection("prototype", "__proto__"),
    Injection("constructor", "constructor"),
)

#: Values for DAT-8 that are not strings, for places where a string or an identifier is declared.
OPERATORS: tuple[Injection, ...] = (
    Injection("NoSQL, greater", {"$gt": ""}),
    Injection("NoSQL, not equal", {"$ne": None}),
    Injection("NoSQL, pattern", {"$regex": ".*"}),
    Injection("NoSQL, where", {"$where": "1 == 1"}),
    Injection("NoSQL, in", {"$in": [None, "", 0, 1]}),
    Injection("NoSQL, or", {"$or": [{}, {"a": 1}]}),
    Injection("ORM, operator", {"gte": 0}),
    Injection("list of one", ["%"]),
    Injection("prototype", {"__proto__": {"isAdmin": True}}),
    Injection("constructor", {"constructor": {"prototype": {"isAdmin": True}}}),
    Injection("always true", True),
)
