"""Texts of the formats of JSON Schema: texts at the edges of each format, and builders of others."""

from __future__ import annotations

import base64
import contextlib
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from conformance.generation.choices import Choices
from conformance.generation.errors import CannotGenerate
from conformance.generation.plain_text import fit_tag

__all__ = ["FORMATS", "Format", "is_base64", "text_of_format"]

#: Builds a text within lengths (low, high) that contains a label.
BuildFormat: TypeAlias = Callable[[Choices, str, int, int | None], str]

_UNLIMITED = 2**53 - 1
_MIN_TAG = 6


@dataclass(frozen=True)
class Format:
    """One format: texts at its edges, and the builder of others."""

    edges: Sequence[str]
    build: BuildFormat


def text_of_format(choices: Choices, name: str, low: int, high: int | None) -> str:
    """Build a text of a format, within the lengths where that is possible."""
    known = FORMATS[name]
    ordinary = choices.ordinary
    if ordinary is not None:
        return known.build(choices, _slug(ordinary.fresh()), low, high)
    if choices.index(2):
        text = known.edges[choices.index(len(known.edges))]
        if low <= len(text) and (high is None or len(text) <= high):
            return text
    with contextlib.suppress(CannotGenerate):
        return known.build(choices, _label(choices), low, high)
    return known.edges[0]


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def is_base64(text: str) -> bool:
    """Return whether a text is padded base64 (RFC 4648, section 4)."""
    return bool(text) and bool(_BASE64.fullmatch(text))


# --- labels -------------------------------------------------------------------------------------------------

_LETTERS = string.ascii_lowercase + string.digits


def _label(choices: Choices) -> str:
    """Build a short text of lower-case letters and digits."""
    number = choices.integer(0, 36**6 - 1)
    out = _LETTERS[number % 36]
    while number := number // 36:
        out += _LETTERS[number % 36]
    return out


def _slug(tag: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-") or "x"


def _between(low: int, high: int | None, label: str, heads: Sequence[str], tail: str = "") -> str:
    """Return head + label + tail, with the first head that leaves room for a part of the label."""
    for head in heads:
        room = _UNLIMITED if high is None else high - len(head) - len(tail)
        if room >= min(_MIN_TAG, len(label)) or (head == heads[-1] and room >= 1):
            return head + fit_tag(label, low - len(head) - len(tail), room) + tail
    raise CannotGenerate("format", f"maxLength {high} leaves no room for the format")


# --- dates and times ----------------------------------------------------------------------------------------

_FRACTIONS = ("", ".5", ".123", ".000001", ".999999")
_ZONES = ("Z", "+00:00", "-00:30", "+05:30", "+14:00", "-12:00")


def _date(choices: Choices) -> str:
    # One choice gives the month and the day, because choices are what costs time.
    first, last = (1900, 2100) if choices.ordinary is None else (2020, 2029)
    day = choices.integer(0, 12 * 28 - 1)
    return f"{choices.integer(first, last, 2024)}-{day // 28 + 1:02}-{day % 28 + 1:02}"


def _time(choices: Choices) -> str:
    second = choices.integer(0, 86399)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    if choices.ordinary is not None:
        return f"{clock}Z"
    tail = choices.index(len(_FRACTIONS) * len(_ZONES))
    return clock + _FRACTIONS[tail % len(_FRACTIONS)] + _ZONES[tail // len(_FRACTIONS)]


def _duration(choices: Choices, label: str, low: int, high: int | None) -> str:
    return f"P{choices.integer(1, 400 if choices.ordinary is None else 28, 1)}D"


# --- identifiers and addresses ------------------------------------------------------------------------------


def _uuid(choices: Choices, label: str, low: int, high: int | None) -> str:
    digits = f"{choices.integer(0, 16**30 - 1):030x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}"


def _ipv4(choices: Choices, label: str, low: int, high: int | None) -> str:
    if choices.ordinary is not None:
        return f"192.0.2.{choices.integer(1, 254)}"
    number = choices.integer(0, 2**32 - 1)
    return ".".join([str(number >> shift & 255) for shift in (24, 16, 8, 0)])


def _ipv6(choices: Choices, label: str, low: int, high: int | None) -> str:
    if choices.ordinary is not None:
        return f"2001:db8::{choices.integer(1, 0xFFFF):x}"
    number = choices.integer(0, 2**32 - 1)
    return f"2001:db8::{(number >> 16) or 1:x}:{(number & 0xFFFF) or 1:x}"


_DOMAINS = ("com", "org", "co.uk", "x-y.io")


def _email(choices: Choices, label: str, low: int, high: int | None) -> str:
    domain = f"@example.{_DOMAINS[0 if choices.ordinary is not None else choices.index(len(_DOMAINS))]}"
    if high is not None and high < len(domain) + 4:
        domain = "@ex.io"
    room = _UNLIMITED if high is None else high - len(domain)
    if room < 1:
        raise CannotGenerate("format", f"maxLength {high} leaves no room for an e-mail address")
    local = fit_tag(label, min(low - len(domain), 64), min(64, room)).strip("-") or "x"
    missing = low - len(local) - len(domain)
    while missing > 0:
        length = max(1, min(missing - 1, 60))
        domain = f"@{'x' * length}.{domain[1:]}"
        missing -= length + 1
    return local + domain


def _host(choices: Choices, label: str, low: int, high: int | None) -> str:
    tail = ".example.com" if high is None or high >= 16 else ""
    host = _between(0, high, label[-63:].strip("-"), ("",), tail)
    while len(host) < low:
        host = f"{'x' * max(1, min(low - len(host) - 1, 60))}.{host}"
    return host


def _link(*heads: str, tail: str = "") -> BuildFormat:
    """Return the builder of one of the heads, the label, and outside of ordinary values a tail."""

    def build(choices: Choices, label: str, low: int, high: int | None) -> str:
        end = tail if choices.ordinary is None and high is None else ""
        return _between(low, high, label, heads, end)

    return build


def _base64(choices: Choices, label: str, low: int, high: int | None) -> str:
    room = _UNLIMITED if high is None else high // 4 * 3
    if room < 3:
        raise CannotGenerate("format", f"maxLength {high} leaves no room for base64")
    text = fit_tag(label, (low + 3) // 4 * 3, room)
    return base64.b64encode(text.encode()).decode()


def _relative_pointer(choices: Choices, label: str, low: int, high: int | None) -> str:
    up = 0 if choices.ordinary is not None else choices.integer(0, 9)
    return _between(low, high, label, (f"{up}/",))


def _regex(choices: Choices, label: str, low: int, high: int | None) -> str:
    return _between(low, high, label, ("^",), "$" if choices.ordinary is None else "")


_LINK = _link("https://example.com/", "https://ex.io/", "urn:x:", tail="?q=1")
_PATH = _link("https://example.com/", "/", tail="?q=1")

#: The formats that texts are built for, by name.
FORMATS: dict[str, Format] = {
    "byte": Format(("YQ==", "YWI=", "YWJj", "+/+/"), _base64),
    "email": Format(
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
    "date": Format(
        ("2024-02-29", "2000-02-29", "1999-12-31", "1970-01-01", "1969-12-31", "2038-01-20", "9999-12-31"),
        lambda choices, label, low, high: _date(choices),
    ),
    "time": Format(
        ("00:00:00Z", "23:59:59Z", "12:00:00.5Z", "12:00:00+05:30", "00:00:00-12:00"),
        lambda choices, label, low, high: _time(choices),
    ),
    "date-time": Format(
        (
            "2024-02-29T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2038-01-19T03:14:08Z",
            "2026-06-30T23:59:59.999999+14:00",
            "2026-01-01T00:30:00-12:00",
            "9999-12-31T00:00:00Z",
        ),
        lambda choices, label, low, high: f"{_date(choices)}T{_time(choices)}",
    ),
    "duration": Format(("P1D", "PT0S", "P1Y2M3DT4H5M6S", "P4W", "PT36H"), _duration),
    "uuid": Format(
        (
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "12345678-1234-4234-8234-123456789012",
            "ABCDEF12-3456-4ABC-9DEF-ABCDEF123456",
        ),
        _uuid,
    ),
    "ipv4": Format(("0.0.0.0", "255.255.255.255", "127.0.0.1", "192.0.2.1", "10.0.0.0"), _ipv4),  # noqa: S104
    "ipv6": Format(
        ("::", "::1", "2001:db8::1", "::ffff:192.0.2.1", "2001:0db8:0000:0000:0000:0000:0000:0001"), _ipv6
    ),
    "hostname": Format(
        ("a", "localhost", "example.com", "a-b.example", "1.example.com", "x" * 63 + ".example"), _host
    ),
    "uri": Format(
        (
            "https://example.com",
            "http://example.com:8080/a/b?c=d&e=%20#f",
            "https://example.com/%C3%A5",
            "mailto:a@example.com",
            "urn:x:1",
            "https://user@example.com/",
            "https://[2001:db8::1]/",
        ),
        _LINK,
    ),
    "iri": Format(("https://example.com/", "https://example.com/å", "urn:x:1"), _LINK),
    "uri-reference": Format(("/", "a", "?q", "#f", "//example.com/x", "https://example.com/"), _PATH),
    "iri-reference": Format(("/", "å", "?q", "https://example.com/"), _PATH),
    "uri-template": Format(
        ("/", "/{id}", "https://example.com/{a}{?b}"), _link("https://example.com/{id}/", "/{id}/")
    ),
    "json-pointer": Format(("", "/", "/a/0", "/~0~1"), _link("/")),
    "relative-json-pointer": Format(("0", "1/a", "0#"), _relative_pointer),
    "regex": Format(("", "a", "^a+$", "[0-9]{3}", "(?:x|y)"), _regex),
}
FORMATS["idn-email"] = FORMATS["email"]
FORMATS["idn-hostname"] = FORMATS["hostname"]
