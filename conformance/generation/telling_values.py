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
    "FORMAT_TEXTS",
    "INSIDE",
    "INSIDE_UNUSUAL",
    "NUMBER_FAMILIES",
    "ORDINARY_NUMBERS",
    "PART_FAMILIES",
    "RARE_CHARACTERS",
    "SIZE_FAMILIES",
    "TEXT_FAMILIES",
    "WHOLE_FAMILIES",
    "is_long",
]

#: Characters from which a text is long: only a few such texts are sent in one call.
_LONG = 16_000

#: Families of texts that are altered as a whole. Those of one family are altered by the same mechanism; the most
#: telling come first.
WHOLE_FAMILIES: Mapping[str, Sequence[str]] = {
    "the word null": ("null", "Null", "nil"),
    "the word NULL": ("NULL", "None", "NaN", "N/A"),
    "a word for true or false": ("true", "false", "FALSE", "yes", "off"),
    "the word undefined": ("undefined", "(null)"),
    "digits with zeros first": ("007", "0000000000001", "00000001", "0001", "0x1F", "-0"),
    "a number as text": ("1e5", "1.50", "0", "+5", "1,000", "12345678901234567890", "Infinity"),
    "a date as text": ("2026-02-03", "2026-02-03T10:20:30Z", "03/02/2026", "12:30"),
    "blanks at both ends": (" a ", "a ", " a", "\ta", "a\u00a0", "\u3000a"),
    "a line end behind": ("a\n", "a\r\n", "\na"),
    "a byte-order mark first": ("\ufeffa", "\u200ba"),
    "a name of a language's own": ("__proto__", "constructor", "toString", "hasOwnProperty", "__class__"),
    "JSON as text": ('{"a":1}', "[1]", '"a"', "{}", "[object Object]"),
    "a sign first": ("=1+1", "@a", "-a", "#a", "/a", "~", "$a", "'a", "*"),
    "a control character": ("a\x01b\x7fc", "a\x7fb", "a\x1bb", "a\x08b"),
}  # fmt: skip

#: Families of texts at limits that storages have.
SIZE_FAMILIES: Mapping[str, Sequence[str]] = {
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
}  # fmt: skip

#: Families of texts that are altered in their middle, too: mixtures carry the same.
PART_FAMILIES: Mapping[str, Sequence[str]] = {
    "escapes of URLs": ("a+b", "a%20b", "%20", "+", "%2B", "%C3%A9", "a&b=c", "%"),
    "escapes of markup": ("&amp;", "<b>x</b>", "&lt;b&gt;", "a<b", "&#65;", "&nbsp;", "<!-- x -->", "a&b"),
    "letters whose case is a language's own": ("İ", "ı", "ß", "ſ", "Straße", "İstanbul", "ς", "ŉ", "ǅ"),
    "balanced quotes": ("a''b", "a'||'b", "a' 'b", 'a""b', "''", "a\\'b", "`a``b`", "a';--"),
    "escapes of programs": ("\\n", "C:\\new", "\\u0041", "\\\\", "%s", "${x}", "{{x}}", "$1", "\\0"),
    "composed characters": ("e\u0301", "é", "\u212b", "ﬁ", "\u1100\u1161", "①", "ﾊ"),
    "line ends inside": ("a\u2028b", "a\r\nb", "a\nb", "a\u0085b", "a\rb", "a\u2029b", "a\tb"),
    "letters of both cases": ("MiXeD Case", "UPPER", "a@EXAMPLE.COM", "camelCase", "snake_case"),
    "characters of four bytes": ("😀", "𝒞a", "👩\u200d👧", "🇸🇪"),
    "characters that are not seen": ("a\u00adb\u200bc", "a\u202eb", "a\ufeffb", "a\u2066b\u2069"),
    "digits of other scripts": ("٣٤", "３４", "४", "²"),
    "paths and comments": ("../../a", "a -- b", "a /* b */ c", "100%%", "a...b", "a  b"),
}  # fmt: skip

#: All families of texts.
TEXT_FAMILIES: Mapping[str, Sequence[str]] = {**WHOLE_FAMILIES, **PART_FAMILIES, **SIZE_FAMILIES}

#: Short texts that are altered wherever they stand in a text. They are joined to the longest mixtures that a place
#: admits, so that one call shows at many places whether any of them is altered. All targets have to take them.
INSIDE: Sequence[str] = (
    "a  b\u00a0c",
    "a+b%20c",
    "%2Bd&e",
    "&amp;a",
    "&lt;b",
    "<i>d</i>",
    "İıßſŉǅς",
    "a''b\"c",
    "\\'d`e'",
    "b\r\nc\td",
    "\ne\rf",
    "%s%d{0}",
    "${x}%%",
    "{{y}}",
    "\\n\\u0041",
    "C:\\new",
    "éÅﬁ①å３",
    "a -- b",
    "/* c */",
    "../d",
    "<script>",
    "e...f",
    "a,b;c|d?",
    "AbCdE_x",
)

#: Such texts with characters that a target may refuse. They are joined apart from the others.
INSIDE_UNUSUAL: Sequence[str] = (
    "e\u0301\u0327\u212b",
    "a\u2028b\u0085c",
    "😀𝒞",
    "👩\u200d👧",
    "שלום\u200fم",
    "٣٤४",
    "a\u00adb\u200bc",
    "a\ufeffb\u202ec",
)

#: Texts with a character at which libraries end a text or break, and that many targets refuse.
RARE_CHARACTERS: Mapping[str, str] = {"U+0000": "a\x00b", "an unpaired surrogate": "a\ud800b"}

#: Texts of formats that are altered as other texts are.
FORMAT_TEXTS: Mapping[str, Sequence[str]] = {
    "uri": ("https://example.com/Ab+c%20d?e='f'&amp;g=%2B", "https://example.com/a+b"),
    "uri-reference": ("/Ab+c%20d?e='f'&amp;g=%2B",),
    "email": ("a+b.C_d@example.com",),
}  # fmt: skip

#: Families of numbers. A schema without bounds allows all of them.
NUMBER_FAMILIES: Mapping[str, Sequence[int | float]] = {
    "an integer past 2^53": (2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**53 + 3),
    "an integer past 32 bits": (2**31, 2**32, -(2**31) - 1, 2**40 + 1),
    "a fraction": (0.1, 19.99, 0.5, 0.25, 0.75, 1.5),
    "a fraction of many digits": (1.0005, 0.30000000000000004, 0.0001, 0.0009765625, 0.005, 0.125),
    "a negative number": (-1, -5, -0.5, -1_000),
    "a number of unusual size": (1e21, 1.7976931348623157e308, Literal("1e2"), 1e16),
    "a small number": (1e-7, 5e-324, 2.2250738585072014e-308, 2.0**-24, -1e-9),
    "an integer past the precision of 32-bit floats": (16_777_217, 99_999_999),
    "an integer past 16 bits": (65_536, 32_768, 256, 300),
}

#: Families of numbers that no target may refuse where the schema allows them (DAT-6 names those that it may).
ORDINARY_NUMBERS = frozenset(
    {
        "an integer past 32 bits",
        "a fraction",
        "a fraction of many digits",
        "a negative number",
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
