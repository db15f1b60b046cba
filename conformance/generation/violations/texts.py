"""Texts that violate a schema: outside of each length, of no format, and beside each pattern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from conformance.generation.boundaries import MAX_BUILT_TEXT
from conformance.generation.builders import Builders, BuildValue
from conformance.generation.builders.steps import constant, one_of
from conformance.generation.patterns import MISMATCHES, extremes, settled
from conformance.generation.plain_text import UNUSUAL, WORDS, stretched
from conformance.generation.shape import Shape
from conformance.schema.bundle import Json

__all__ = ["bad_texts"]

#: Per format: (what is wrong, the text). All dialects of the format refuse these texts.
_NOT_OF_FORMAT: dict[str, Sequence[tuple[str, str]]] = {
    "email": (
        ("no @", "nobody.example.com"),
        ("two @", "no@body@example.com"),
        ("white space", "no body@example.com"),
        ("nothing before the @", "@example.com"),
        ("nothing behind the @", "nobody@"),
    ),
    "date": (
        ("no such day", "2026-02-30"),
        ("no such month", "2026-13-01"),
        ("a word", "yesterday"),
        ("another order", "31/12/2026"),
    ),
    "time": (("no such hour", "25:00:00Z"), ("a word", "noon")),
    "date-time": (
        ("no zone", "2026-02-03T10:20:30"),
        ("no such day", "2026-02-30T10:20:30Z"),
        ("no such hour", "2026-02-03T25:20:30Z"),
        ("a date alone", "2026-02-03"),
        ("a word", "yesterday"),
    ),
    "duration": (("a word", "soon"), ("nothing behind the P", "P")),
    "uuid": (
        ("a word", "not-a-uuid"),
        ("a digit that is none", "12345678-1234-4234-8234-12345678901g"),
        ("one digit short", "12345678-1234-4234-8234-12345678901"),
    ),
    "ipv4": (("past 255", "192.0.2.256"), ("three numbers", "192.0.2"), ("a word", "localhost")),
    "ipv6": (
        ("two gaps", "2001:db8::1::2"),
        ("a digit that is none", "2001:db8::g"),
        ("a word", "localhost"),
    ),
    "hostname": (
        ("white space", "not a host"),
        ("an empty label", "example..com"),
        ("a hyphen first", "-x.example"),
    ),
    "uri": (("words", "not a uri"), ("no scheme", "example.com/x y")),
    "iri": (("words", "not an iri"),),
    "uri-reference": (("white space", "not a reference"),),
    "json-pointer": (("no slash", "rows/0"),),
    "regex": (("an open bracket", "("),),
}
_NOT_OF_FORMAT["idn-email"] = _NOT_OF_FORMAT["email"]

#: Characters of the longest `maxLength` that is exceeded.
_MAX_VIOLATED_LENGTH = 1_000_000

#: Texts that do not match a pattern, each a violation of its own.
_MAX_MISMATCHES = 3

#: Characters of the longest text that almost matches a pattern.
_MAX_NEAR_MISS = 40


def bad_texts(builders: Builders, shape: Shape) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield (keyword, what is wrong, builder) for texts that a shape refuses."""
    yield from _bad_lengths(builders, shape)
    for name in shape.formats:
        fits = builders.text_fits(replace(shape, formats=[]))
        for what, text in _NOT_OF_FORMAT.get(name, ()):
            if fits(text):
                yield "format", f"no {name} ({what})", constant(text)
    for pattern in shape.patterns:
        yield from _mismatches(builders, shape, pattern)


def _bad_lengths(builders: Builders, shape: Shape) -> Iterator[tuple[str, str, BuildValue]]:
    low, high = shape.shortest, shape.longest
    any_length = replace(shape, shortest=0, longest=None)
    if low > 0:
        text = builders.text_of_length(any_length, low - 1)
        what = "empty" if low == 1 else f"shorter than {low}"
        yield "minLength", what, constant("x" * (low - 1) if text is None else text)
    if high is not None and high < _MAX_VIOLATED_LENGTH:
        text = builders.text_of_length(any_length, high + 1) or "x" * (high + 1)
        yield "maxLength", f"longer than {high}", constant(text)
        length = min(high * 10 + 1000, MAX_BUILT_TEXT)
        if length > high + 1:
            yield "maxLength", f"much longer than {high}", constant(stretched(text, length, length))
        if not shape.patterns and not shape.formats and high < MAX_BUILT_TEXT:
            yield "maxLength", f"longer than {high}, astral characters", constant("😀" * (high + 1))


def _mismatches(builders: Builders, shape: Shape, pattern: str) -> Iterator[tuple[str, str, BuildValue]]:
    others = [other for other in shape.patterns if other != pattern]
    rest = replace(shape, patterns=others, formats=[])
    fits = builders.text_fits(rest)
    found: list[Json] = [
        text for text in (*MISMATCHES, *WORDS, *UNUSUAL) if settled(pattern, text) is False and fits(text)
    ]
    for number, text in enumerate(found[:_MAX_MISMATCHES], 1):
        yield "pattern", f"does not match the pattern ({number})", constant(text)
    near: list[Json] = [
        text
        for text in _near_misses(pattern, _MAX_NEAR_MISS if shape.longest is None else shape.longest)
        if settled(pattern, text) is False and fits(text)
    ]
    if near:
        yield "pattern", "does not match the pattern (one sign off)", one_of(near)
    if found[_MAX_MISMATCHES:]:
        yield "pattern", "does not match the pattern", one_of(found[_MAX_MISMATCHES:])


def _near_misses(pattern: str, longest: int) -> Iterator[str]:
    """Yield texts that differ in one character from texts that match."""
    found: dict[str, None] = {}
    for text in extremes(pattern, min(_MAX_NEAR_MISS, longest)):
        if text is None:
            continue
        near = (f"{text}!", f"!{text}", f"{text[:-1]}!", f" {text}", f"{text} ", text.swapcase())
        found |= dict.fromkeys(near)
        if text:
            found |= dict.fromkeys((text + text[-1], text[:-1]))
        if len(text) > 1:
            found[f"{text[: len(text) // 2]}\t{text[len(text) // 2 + 1 :]}"] = None
    yield from found
