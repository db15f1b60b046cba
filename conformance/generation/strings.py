"""Texts, numbers and text of a format or a pattern, as makers for `payloads_source.Source`."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.generation.choices import Source
from conformance.generation.samples import _FORMATS, CannotGenerate, _parsed, _Writer
from conformance.schema.bundle import Json
from conformance.schema.ecma import ecma, matcher

__all__ = [
    "FORMATS",
    "INJECTIONS",
    "NUMBERS",
    "OPERATORS",
    "TEXTS",
    "WORDS",
    "Injection",
    "Literal",
    "Number",
    "Text",
    "encode",
    "settled",
]


# --- what DAT-5, DAT-6 and DAT-8 send -----------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A text that is easily spoilt on its way, by name."""

    name: str
    value: str


@dataclass(frozen=True)
class Injection:
    """A value that means something to an interpreter behind the target, by name."""

    name: str
    value: Json


class Literal(float):
    """A number as it is to be written down: `encode` writes `text`, whatever Python makes of it."""

    text: str

    def __new__(cls, text: str) -> Literal:
        """Keep the text."""
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
    """A number that is easily spoilt on its way: `text` is its JSON, `value` what Python reads there."""

    name: str
    text: str

    @property
    def value(self) -> int | float:
        """What Python reads: an integer, or a float (infinity past its range)."""
        return json.loads(self.text)  # type: ignore[no-any-return]

    @property
    def literal(self) -> int | float:
        """What stands for it in data that `encode` writes, by the letter."""
        value = self.value
        return value if json.dumps(value) == self.text else Literal(self.text)


_MARK = "\ue000#{}\ue001"


def encode(value: Json) -> bytes:
    """Return a value as compact JSON in UTF-8, as `client.compact` does, each Literal as its text says.

    Unpaired surrogates are escaped, since UTF-8 has none.
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


#: For DAT-5.
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

#: For DAT-6. Where the schema names no bounds all are allowed; 1.0 and 1e2 are integers.
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

#: For DAT-8: strings.
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

#: For DAT-8: values that are no strings, for places where a string or an identifier is declared.
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

# --- patterns -----------------------------------------------------------------------------------------------


def _found(search: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda text: search(text) is not None


@lru_cache(maxsize=1024)
def _dialects(pattern: str) -> tuple[Callable[[str], bool], ...]:
    """Return what judges a pattern: as the rulebook reads it, then as others do."""
    readers = [matcher(pattern)]
    try:
        translated = ecma(pattern)
    except ValueError:
        return tuple(readers)
    for other in (pattern, translated.replace(r"\Z", "$")):
        try:
            readers.append(_found(re.compile(other).search))
        except (re.error, OverflowError, RecursionError):
            continue
    by_units = _found(re.compile(translated).search)
    readers.append(lambda text: by_units(_units(text)))
    return tuple(readers)


def _units(text: str) -> str:
    """Return a text with each astral character as its two surrogates, as patterns without u see it."""
    if text.isascii():
        return text
    out: list[str] = []
    for sign in text:
        code = ord(sign)
        if code > 0xFFFF:
            out += (chr(0xD800 + ((code - 0x10000) >> 10)), chr(0xDC00 + ((code - 0x10000) & 0x3FF)))
        else:
            out.append(sign)
    return "".join(out)


def settled(pattern: str, text: str) -> bool | None:
    """Whether a pattern matches, or None where dialects differ: a newline before `$`, Unicode digits …"""
    first, *others = _dialects(pattern)
    found = first(text)
    return found if all(other(text) == found for other in others) else None


class _Extreme(random.Random):
    """Always the first, or always the last."""

    def __init__(self, last: bool) -> None:
        super().__init__(0)
        self._last = last

    def randint(self, a: int, b: int) -> int:
        return b if self._last else a

    def choice(self, seq: Any) -> Any:
        return seq[-1] if self._last else seq[0]


def written(pattern: str, rng: random.Random, reach: int) -> str | None:
    """Return a text written by the pattern, each repetition at most `reach` more than it must; or None."""
    try:
        return _Writer(rng, reach).write(_parsed(pattern))
    except (ValueError, CannotGenerate):
        return None


def extremes(pattern: str, longest: int) -> tuple[str | None, str | None]:
    """Return the shortest text by the pattern, and one that is as long as it and the bound let it be."""
    short = written(pattern, _Extreme(False), 0)
    low, high = 0, longest + 1
    best = None
    while low <= high:
        reach = (low + high) // 2
        text = written(pattern, _Extreme(True), reach)
        if text is not None and len(text) <= longest:
            best, low = text, reach + 1
        else:
            high = reach - 1
    return short, best


@lru_cache(maxsize=512)
def from_pattern(pattern: str) -> SearchStrategy[str] | None:
    """Return Hypothesis' strategy for an ECMA-262 pattern; None for what it does not read."""
    try:
        strategy = st.from_regex(re.compile(ecma(pattern)), fullmatch=False)
        strategy.validate()
    except Exception:
        return None
    return strategy


# --- plain text ---------------------------------------------------------------------------------------------

#: Ordinary words, for the most part of the texts.
WORDS = ("a", "0", "Kurs", "Intro to Python", "x_1", "A-b", "åäö", "the quick brown fox", "42", "true", "Zoë")

#: Unusual texts that every target ought to take, where a schema lets them pass; short, so that they fit.
UNUSUAL = (
    "😀",
    "e\u0301",
    "שלום",
    "a\u202eb",
    "\u200d",
    "İ",
    "a\x00",
    "\n",
    "\t",
    " ",
    "'",
    '"',
    "\\",
    "<b>",
    "%",
    "%00",
    "null",
    "{}",
    "\ufeff",
    "\u2028",
    "\x7f",
    "ﬁ",
    "𝒞",
    "مرحبا",
    "\x01",
    "&amp;",
    "../",
    "__proto__",
    "${x}",
)

_SIGNS = st.characters(codec="utf-8")


@lru_cache(maxsize=512)
def _free(low: int, high: int | None) -> SearchStrategy[str]:
    return st.text(_SIGNS, min_size=low, max_size=high)


def stretched(text: str, low: int, high: int | None) -> str:
    """Return a text repeated or cut until its length fits."""
    if len(text) < low:
        text = ((text or "x") * (low // max(1, len(text)) + 1))[:low]
    return text if high is None else text[:high]


def plain_text(source: Source, low: int, high: int | None, unusual: bool) -> str:
    """Make a text: any, a word, an unusual one, or one of the lengths at the edges."""
    way = source.index(16)
    if way < 3 and unusual and low <= 512:
        top = min(low + 24, high) if high is not None else low + 24
        return source.draw(_free(low, top), lambda rng: stretched(WORDS[0], low, high))
    if way < 9 or (way < 13 and not unusual):
        return stretched(WORDS[source.index(len(WORDS))], low, high)
    if way < 13:
        return stretched(UNUSUAL[source.index(len(UNUSUAL))], low, high)
    if way == 13:
        return stretched("z", low, low)
    if way == 14:
        return stretched("a", low + 1, high)
    # The longest: always where that is short, now and then where it is long.
    top = low + 300 if high is None else high
    if top > 2000 and source.index(8):
        top = max(low, 300)
    return stretched("Lorem ipsum ", top, top)


# --- formats ------------------------------------------------------------------------------------------------

Maker: TypeAlias = Callable[[Source], str]


def _two(source: Source, low: int, high: int) -> str:
    return f"{source.integer(low, high, low):02}"


def _date(source: Source) -> str:
    # One choice for the month and the day: choices are what costs.
    day = source.integer(0, 12 * 28 - 1)
    return f"{source.integer(1900, 2100, 2024)}-{day // 28 + 1:02}-{day % 28 + 1:02}"


_FRACTIONS = ("", ".5", ".123", ".000001", ".999999")
_ZONES = ("Z", "+00:00", "-00:30", "+05:30", "+14:00", "-12:00")


def _time(source: Source) -> str:
    second = source.integer(0, 86399)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    tail = source.index(len(_FRACTIONS) * len(_ZONES))
    return clock + _FRACTIONS[tail % len(_FRACTIONS)] + _ZONES[tail // len(_FRACTIONS)]


def _uuid(source: Source) -> str:
    digits = f"{source.integer(0, 16**30 - 1):030x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}"


def _ipv4(source: Source) -> str:
    number = source.integer(0, 2**32 - 1)
    return ".".join([str(number >> shift & 255) for shift in (24, 16, 8, 0)])


def _ipv6(source: Source) -> str:
    number = source.integer(0, 2**32 - 1)
    return f"2001:db8::{(number >> 16) or 1:x}:{(number & 0xFFFF) or 1:x}"


_LETTERS = string.ascii_lowercase + string.digits


def _label(source: Source) -> str:
    number = source.integer(0, 36**6 - 1)
    out = _LETTERS[number % 36]
    while number := number // 36:
        out += _LETTERS[number % 36]
    return out


def _email(source: Source) -> str:
    return f"{_label(source)}@example.{('com', 'org', 'co.uk', 'x-y.io')[source.index(4)]}"


def _uri(source: Source) -> str:
    return f"https://{_label(source)}.example.com/{_label(source)}?q=1"


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def is_base64(text: str) -> bool:
    """Whether a text is base64 as RFC 4648 section 4 has it, padded."""
    return bool(text) and bool(_BASE64.fullmatch(text))


#: Per format: texts at its edges, and the maker of others.
FORMATS: dict[str, tuple[Sequence[str], Maker]] = {
    "email": (
        (
            "a@b.co",
            "first.last@example.com",
            "a+tag@example.com",
            "under_score-dash@sub.example.co.uk",
            "1@example.com",
            "UPPER@EXAMPLE.COM",
            "x" * 64 + "@example.com",
        ),
        _email,
    ),
    "date": (
        ("2024-02-29", "2000-02-29", "1999-12-31", "1970-01-01", "1969-12-31", "2038-01-20", "9999-12-31"),
        _date,
    ),
    "time": (("00:00:00Z", "23:59:59Z", "12:00:00.5Z", "12:00:00+05:30", "00:00:00-12:00"), _time),
    "date-time": (
        (
            "2024-02-29T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2038-01-19T03:14:08Z",
            "2026-06-30T23:59:59.999999+14:00",
            "2026-01-01T00:30:00-12:00",
            "9999-12-31T00:00:00Z",
        ),
        lambda source: f"{_date(source)}T{_time(source)}",
    ),
    "duration": (
        ("P1D", "PT0S", "P1Y2M3DT4H5M6S", "P4W", "PT36H"),
        lambda source: f"P{source.integer(1, 400, 1)}D",
    ),
    "uuid": (
        (
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "12345678-1234-4234-8234-123456789012",
            "ABCDEF12-3456-4ABC-9DEF-ABCDEF123456",
        ),
        _uuid,
    ),
    "ipv4": (("0.0.0.0", "255.255.255.255", "127.0.0.1", "192.0.2.1", "10.0.0.0"), _ipv4),  # noqa: S104
    "ipv6": (
        ("::", "::1", "2001:db8::1", "::ffff:192.0.2.1", "2001:0db8:0000:0000:0000:0000:0000:0001"),
        _ipv6,
    ),
    "hostname": (
        ("a", "localhost", "example.com", "a-b.example", "1.example.com", "x" * 63 + ".example"),
        lambda source: f"{_label(source)}.example.com",
    ),
    "uri": (
        (
            "https://example.com",
            "http://example.com:8080/a/b?c=d&e=%20#f",
            "https://example.com/%C3%A5",
            "mailto:a@example.com",
            "urn:x:1",
            "https://user@example.com/",
            "https://[2001:db8::1]/",
        ),
        _uri,
    ),
    "iri": (("https://example.com/", "https://example.com/å", "urn:x:1"), _uri),
    "uri-reference": (("/", "a", "?q", "#f", "//example.com/x", "https://example.com/"), _uri),
    "iri-reference": (("/", "å", "?q", "https://example.com/"), _uri),
    "uri-template": (("/", "/{id}", "https://example.com/{a}{?b}"), _uri),
    "json-pointer": (("", "/", "/a/0", "/~0~1"), lambda source: f"/{_label(source)}"),
    "relative-json-pointer": (("0", "1/a", "0#"), lambda source: f"{source.integer(0, 9)}/{_label(source)}"),
    "regex": (("", "a", "^a+$", "[0-9]{3}", "(?:x|y)"), lambda source: f"^{_label(source)}$"),
}
FORMATS["byte"] = (
    ("YQ==", "YWI=", "YWJj", "+/+/"),
    lambda source: base64.b64encode(_label(source).encode()).decode(),
)
FORMATS["idn-email"] = FORMATS["email"]
FORMATS["idn-hostname"] = FORMATS["hostname"]


def of_format(source: Source, name: str, low: int, high: int | None) -> str:
    """Make a text of a format; of the lengths, where it can."""
    edges, maker = FORMATS[name]
    text = edges[source.index(len(edges))] if source.index(2) else maker(source)
    if len(text) < low or (high is not None and len(text) > high):
        with contextlib.suppress(KeyError, CannotGenerate):
            text = _FORMATS[name](random.Random(source.integer(0, 9999)), _label(source), low, high)
    return text
