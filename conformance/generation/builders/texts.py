"""Builders of texts: free ones, those of a format, those that match a pattern, and those that a catalogue gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from hypothesis.strategies import SearchStrategy

from conformance.generation.builders.steps import ATTEMPTS, BuildValue
from conformance.generation.choices import Choices, MinimalChoices, Ordinary
from conformance.generation.errors import CannotGenerate, Impossible, unknown_format
from conformance.generation.formats import FORMATS, is_base64, text_of_format
from conformance.generation.patterns import MISMATCHES, extremes, from_pattern, parsed, settled, written
from conformance.generation.plain_text import UNUSUAL, WORDS, plain_text, spellings
from conformance.generation.shape import Shape
from conformance.generation.shapes import Shapes
from conformance.schema.bundle import Json

__all__ = ["text_builder", "text_fits"]

_UNLIMITED = 2**53 - 1
_ORDINARY_ATTEMPTS = 60


def text_builder(shapes: Shapes, shape: Shape, *, unusual: bool, placeholders: bool) -> BuildValue:
    """Return the builder of a shape's texts; raises Impossible when none is found.

    With `unusual` texts are of all kinds. With `placeholders` any text stands for one of an unknown format.
    """
    if shape.unknown_formats and not placeholders:
        return _given_texts(shapes, shape)
    low, high = shape.shortest, shape.longest
    known = [name for name in shape.formats if name in FORMATS]
    if not shape.patterns and not known:
        return lambda choices, depth: plain_text(choices, low, high, unusual)
    fits = text_fits(shapes, shape)
    texts = _MatchingTexts(shape, known, fits)
    build = texts.build
    if known and not shape.patterns and len(shape.formats) == 1:
        name = known[0]

        def build(choices: Choices) -> str:
            return text_of_format(choices, name, low, high)

    def fitting(choices: Choices, depth: int) -> Json:
        if choices.ordinary is not None:
            return texts.ordinary(choices, choices.ordinary)
        for _ in range(ATTEMPTS * 2):
            choices.begin()
            text = build(choices)
            if fits(text):
                choices.end()
                return text
            choices.end(discard=True)
        return choices.reject()

    for seed in range(4):
        try:
            fitting(MinimalChoices(seed), 0)
            return fitting
        except CannotGenerate:
            continue
    keyword = "pattern" if shape.patterns else "format"
    what = shape.patterns[0] if shape.patterns else shape.formats[0]
    raise Impossible(keyword, f"no text was found for {what!r} with these lengths")


def _given_texts(shapes: Shapes, shape: Shape) -> BuildValue:
    """Return the builder of the texts that the catalogue gives, for a format that is not known."""
    fits = text_fits(shapes, shape)
    given = [text for text in (*shape.examples, *shape.defaults) if isinstance(text, str) and fits(text)]
    if not given:
        raise Impossible("format", unknown_format(shape.unknown_formats[0]))
    return lambda choices, depth: given[choices.index(len(given))]


def text_fits(shapes: Shapes, shape: Shape) -> Callable[[str], bool]:
    """Return what says whether a text is valid beyond doubt: in lengths, patterns and formats."""
    low, high, patterns = shape.shortest, shape.longest, shape.patterns
    tests: list[Callable[[str], bool]] = [
        shapes.schema.branch(shapes.derived(shape.formats, name, {"format": name})).valid
        for name in shape.formats
    ]
    if "byte" in shape.formats:
        # No validator of 2020-12 knows this format, and readers differ in what else they accept.
        tests.append(is_base64)

    def fits(text: str) -> bool:
        return (
            len(text) >= low
            and (high is None or len(text) <= high)
            and all(settled(pattern, text) for pattern in patterns)
            and all(test(text) for test in tests)
        )

    return fits


class _MatchingTexts:
    """Texts that match the patterns of a shape, or have one of its formats; the caller checks each text."""

    def __init__(self, shape: Shape, known: list[str], fits: Callable[[str], bool]) -> None:
        self.known = known
        self.fits = fits
        self.low, self.high = shape.shortest, shape.longest
        self.patterns = shape.patterns
        self.pattern = shape.patterns[0] if shape.patterns else ""
        self.examples = [text for text in shape.examples if isinstance(text, str) and fits(text)]
        self.can_write = bool(self.pattern) and written(self.pattern, random.Random(0), 1) is not None
        self.extra_lengths = (2, 0, 6, max(self.low, 1), self.low + 6, 40)

    @cached_property
    def strategy(self) -> SearchStrategy[str] | None:
        """Hypothesis' strategy for the pattern, or None."""
        return from_pattern(self.pattern) if self.pattern else None

    @cached_property
    def pool(self) -> list[str]:
        """Texts that fit: examples, the shortest and the longest, and words where none can be written."""
        pool = list(self.examples)
        for each in self.patterns:
            for text in extremes(each, 300 if self.high is None else min(self.high, 2000)):
                if text is not None and self.fits(text) and text not in pool:
                    pool.append(text)
        if self.strategy is None and not self.can_write and not self.known:
            pool += [text for text in (*WORDS, *UNUSUAL, *MISMATCHES) if self.fits(text) and text not in pool]
            if not pool:
                raise Impossible("pattern", f"{self.pattern!r} cannot be read backwards")
        return pool

    def build(self, choices: Choices) -> str:
        """Return a text that may fit."""
        way = choices.index(8)
        if self.known and (way < 5 or not (self.pattern or self.pool)):
            return text_of_format(choices, self.known[choices.index(len(self.known))], self.low, self.high)
        if way >= 6 and self.pool:
            return self.pool[choices.index(len(self.pool))]
        if (way == 5 or not self.can_write) and self.strategy is not None:
            return choices.draw(self.strategy, lambda rng: written(self.pattern, rng, 2) or "")
        if self.can_write:
            max_extra = self.extra_lengths[choices.index(len(self.extra_lengths))]
            return written(self.pattern, random.Random(choices.integer(0, 1 << 16)), max_extra) or ""
        return self.pool[choices.index(len(self.pool))] if self.pool else ""

    def ordinary(self, choices: Choices, ordinary: Ordinary) -> str:
        """Return a fitting text that contains the tag where it can, without blanks at its ends."""
        for text in self._ordinary_attempts(choices, ordinary):
            if text == text.strip() and text.isprintable() and self.fits(text):
                return text
        if self.examples:
            return self.examples[0]
        keyword = "pattern" if self.pattern else "format"
        return choices.reject(keyword, f"no text was found that matches {self.pattern or self.known[0]!r}")

    def _ordinary_attempts(self, choices: Choices, ordinary: Ordinary) -> Iterator[str]:
        if self.known:
            for _ in range(ATTEMPTS * 2):
                yield text_of_format(choices, self.known[0], self.low, self.high)
        tree = _syntax_tree(self.pattern)
        if not self.known:
            width = _UNLIMITED if tree is None else int(tree.getwidth()[1])
            limit = min(width, _UNLIMITED if self.high is None else self.high)
            yield from spellings(ordinary.fresh(), self.low, limit)
        extra_lengths = (max(4, self.low), 2, self.low, 0, 12, 40)
        for attempt in range(_ORDINARY_ATTEMPTS if tree is not None else 0):
            text = written(self.pattern, ordinary.rng, extra_lengths[attempt % len(extra_lengths)])
            if text is not None:
                yield text


def _syntax_tree(pattern: str) -> Any:
    """Return the syntax tree of a pattern, or None where it is empty or not understood."""
    if not pattern:
        return None
    try:
        return parsed(pattern)
    except ValueError:
        return None
