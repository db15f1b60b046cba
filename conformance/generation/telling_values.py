"""Values that targets often alter when they stand alone in a member, by family: texts, numbers, and empty values.

A mixture of texts shows what is done to a part of a text. What is done to a whole text (`null` becomes null, `1e5`
becomes 100000, blanks at its ends are removed) shows only where the text is the whole value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.generation.special_values import Literal
from conformance.schema.bundle import Json

__all__ = [
    "EMPTY",
    "INSIDE",
    "INSIDE_SIZES",
    "NUMBER_FAMILIES",
    "ORDINARY_NUMBERS",
    "TEXT_FAMILIES",
    "is_long",
]

#: Characters from which a text is long: only a few such texts are sent in one call.
_LONG = 16_000

#: Families of texts. Those of one family are altered by the same mechanism; the most telling come first.
TEXT_FAMILIES: Mapping[str, Sequence[str]] = {
    "a word of a language": ("null", "NULL", "true", "undefined", "None", "NaN", "FALSE", "nil", "yes", "off", "N/A"),
    "escapes of URLs": ("a+b", "%20", "+", "a%20b", "%2B", "%C3%A9", "a&b=c", "%"),
    "escapes of markup": ("&amp;", "<b>x</b>", "&lt;b&gt;", "a<b", "&#65;", "&nbsp;", "<!-- x -->", "a&b"),
    "a number as text": ("1e5", "007", "1.0", "0", "0x1F", "+5", "1,000", "-0", "Infinity", "12345678901234567890"),
    "letters whose case is a language's own": ("İ", "ı", "ß", "ſ", "Straße", "İstanbul", "ς", "ŉ", "ǅ"),
    "blanks at the ends": ("a ", " a", "a\u00a0", "\ta", "a\n", "\u3000a", "a  b", "\u200ba"),
    "balanced quotes": ("a''b", "a'||'b", "a' 'b", 'a""b', "''", "a\\'b", "`a``b`", "a';--"),
    "a date as text": ("2026-02-03", "2026-02-03T10:20:30Z", "03/02/2026", "12:30", "2026-02-03T10:20:30+02:00"),
    "escapes of programs": ("\\n", "C:\\new", "\\u0041", "\\\\", "%s", "${x}", "{{x}}", "$1", "\\0"),
    "composed characters": ("e\u0301", "é", "\u212b", "ﬁ", "\u1100\u1161", "①", "ﾊ"),
    "JSON as text": ('{"a":1}', "[1]", '"a"', "{}", "[]", "[object Object]"),
    "a sign first": ("=1+1", "@a", "-a", "#a", "/a", "~", "$a", "'a", "*"),
    "a text at a usual limit": (
        "x" * 256,
        "ö" * 255,
        "x" * 255,
        "😀" * 256,
        "ö" * 128,
        "x" * 1_025,
        "x" * 101,
        "x" * 51,
    ),
    "a long text": ("x" * 65_537, "ö" * 32_769, "y" * 65_536, "ö" * 65_537, "x" * 65_535, "z" * 20_001),
    "line ends inside": ("a\u2028b", "a\r\nb", "a\nb", "a\u0085b", "a\rb", "a\u2029b", "a\tb"),
    "letters of both cases": ("MiXeD Case", "UPPER", "a@EXAMPLE.COM", "camelCase", "snake_case"),
    "characters of four bytes": ("😀", "𝒞a", "👩\u200d👧", "🇸🇪"),
}  # fmt: skip

#: Texts that are altered wherever they stand in a text. They are joined to the longest mixtures that a place admits, so
#: that one call shows at many places whether any of them is altered.
INSIDE: Sequence[str] = (
    "a  b\u00a0c\u2003d",
    "a+b%20c%2Bd&e=f",
    "a&amp;b&lt;c<i>d</i>",
    "e\u0301é\u212bﬁ①å",
    "İıßſŉǅς",
    "a''b\"c\\'d`e'||'f",
    "a\u2028b\r\nc\td\ne\rf",
    "%s%d{0}${x}{{y}}#{z}",
    "😀𝒞👩\u200d👧",
    "שלום\u200fمرحبا",
    "\\n\\u0041C:\\new",
    "a,b;c|d/e?f#g*h",
    "AbCdE ÄÖ_x-y",
)  # fmt: skip

#: How many of them one mixture joins; the first number is used whose mixtures a place admits.
INSIDE_SIZES = (len(INSIDE), 7, 4, 2, 1)

#: Families of numbers. A schema without bounds allows all of them.
NUMBER_FAMILIES: Mapping[str, Sequence[int | float]] = {
    "an integer past 2^53": (2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**53 + 3),
    "an integer past 32 bits": (2**31, 2**32, -(2**31) - 1, 2**40 + 1),
    "a fraction": (0.1, 1.005, 0.30000000000000004, 19.99, 0.5, 0.25, 0.75),
    "a number of unusual size": (1e21, 1.7976931348623157e308, Literal("1e2"), 1e16),
    "a small number": (1e-7, 5e-324, 2.2250738585072014e-308, 0.000125, -1e-9),
    "an integer past the precision of 32-bit floats": (16_777_217, 99_999_999),
    "an integer past 16 bits": (65_536, 32_768, 256, 300),
}

#: Families of numbers that no target may refuse where the schema allows them (DAT-6 names those that it may).
ORDINARY_NUMBERS = frozenset(
    {
        "an integer past 32 bits",
        "a fraction",
        "an integer past the precision of 32-bit floats",
        "an integer past 16 bits",
    }
)

#: Values that languages take for nothing, by the type they belong to.
EMPTY: Mapping[str, Json] = {
    "string": "",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "array": [],
    "object": {},
    "null": None,
}


def is_long(value: Json) -> bool:
    """Return whether a value is a long text."""
    return isinstance(value, str) and len(value) >= _LONG
