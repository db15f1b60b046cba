"""Readings of a request by lax targets: the function it may call, its data, and the objects it may identify.

Languages and databases convert values: PHP and MySQL read `"5abc"` as 5, JavaScript reads `[5]` as 5, Python reads
`true` as 1, a conversion truncates `5.7` to 5 and 4294967301 to 5, and an ORM drops `null` from a condition. All
conversions are listed here, for the decision about what may be sent (`conformance.protocol.ownership`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import math
import re
import unicodedata
import zlib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, unquote_plus

from conformance.catalog.model import Method

__all__ = ["EVERYTHING", "Reading", "Scan", "calls", "path_words", "plain", "readings"]


class _Every(Enum):
    EVERYTHING = "everything"


#: The reading of a value that may identify every object, or the first or last one.
EVERYTHING: Final = _Every.EVERYTHING
#: An identifier as text, or `EVERYTHING`.
Reading: TypeAlias = str | _Every

#: Words that some targets read as no condition, as a truth value or as a position in a list.
_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        "null none nil nan undefined void empty true false yes no on off all any every each first last latest newest "
        "oldest next previous prev me self own mine current default root inf infinity new",
    )
)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_LEADING = re.compile(r"[+-]?[0-9]+")
#: Characters with a meaning in some query language, in texts of numbers and in other texts.
_UNSAFE_NUMBER, _UNSAFE_TEXT = re.compile(r"[^\w.+\- ]"), re.compile(r"[^\w\-:]|_")


def plain(identifier: Any) -> str:
    """Return an identifier as text; equal numbers have the same text."""
    if isinstance(identifier, bool):
        return str(identifier).lower()
    if isinstance(identifier, float) and identifier.is_integer():
        return str(int(identifier))
    return str(identifier)


def readings(value: Any, *, numeric: bool) -> Iterator[Reading]:
    """Yield the readings of a value as an identifier; `numeric` says whether identifiers of its kind are numbers."""
    if value is None or isinstance(value, bool):
        yield EVERYTHING
    elif isinstance(value, int | float | Decimal):
        if not numeric:
            # MySQL compares a text with a number by the number at the beginning of the text.
            yield EVERYTHING
            return
        yield from _of_number(value)
    elif isinstance(value, str):
        yield from _of_text(value, numeric=numeric)
    elif isinstance(value, list | dict):
        yield from _of_container(value, numeric=numeric)
    else:
        yield EVERYTHING


def _of_container(value: list[Any] | dict[str, Any], *, numeric: bool) -> Iterator[Reading]:
    if not value or isinstance(value, dict):
        # Query builders read an object as a condition, and some comparisons take every object for true.
        yield EVERYTHING
        return
    if numeric:
        # PHP converts an array that is not empty to 1.
        yield "1"
    for item in value:
        yield from readings(item, numeric=numeric)


def _of_number(value: int | float | Decimal) -> Iterator[Reading]:
    if isinstance(value, float) and not math.isfinite(value):
        yield EVERYTHING
        return
    exact = Decimal(value)
    if not exact.is_finite() or exact.adjusted() > 400:
        yield EVERYTHING
        return
    for number in {math.floor(exact), math.ceil(exact), round(exact), int(exact)}:
        for width in (32, 64):
            unsigned = number % 2**width
            yield from (str(unsigned), str(unsigned - 2**width if unsigned >> (width - 1) else unsigned))
        yield str(number)
        if abs(number) > 2**53 and abs(number) < 10**300:
            yield str(int(float(number)))


def _of_text(value: str, *, numeric: bool) -> Iterator[Reading]:
    text = unicodedata.normalize("NFKC", value.partition("\0")[0]).strip().strip("\u200b\ufeff")
    if not text or text.casefold() in _WORDS or (_UNSAFE_NUMBER if numeric else _UNSAFE_TEXT).search(text):
        yield EVERYTHING
        return
    if not numeric:
        if _FLOAT.fullmatch(text):
            # PHP compares texts of numbers as numbers ("0e1" == "0").
            yield EVERYTHING
        yield text
        return
    ascii_text = "".join(
        str(unicodedata.decimal(sign)) if unicodedata.decimal(sign, None) is not None else sign
        for sign in text
    )
    given = value.partition("\0")[0].strip()
    if not _FLOAT.fullmatch(given):
        # A target that converts neither digits of other scripts nor compatible characters reads the ASCII digits only.
        first = _LEADING.match(given)
        yield from _of_number(int(first[0][:4000])) if first else [EVERYTHING]
    leading = _LEADING.match(ascii_text)
    if _FLOAT.fullmatch(ascii_text):
        try:
            yield from _of_number(Decimal(ascii_text))
        except InvalidOperation:
            yield EVERYTHING
        if leading:
            yield from _of_number(int(leading[0][:4000]))
        if re.fullmatch(r"0[0-7]+", ascii_text):
            yield str(int(ascii_text, 8))
        return
    if leading is None:
        # PHP and MySQL read 0, which many programs treat as "no condition".
        yield EVERYTHING
        return
    runs = re.findall(r"[0-9]{1,4000}", ascii_text)
    for run in {leading[0][:4000], *runs, "".join(runs)[:4000]}:
        yield from _of_number(int(run))


# -- which function is called, with which data -----------------------------------------------------------------


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object in their order, including repeated names."""


def calls(
    target: str, body: bytes, methods: Collection[Method]
) -> list[tuple[Method, list[Mapping[str, Any]]]] | None:
    """Return (function, objects that may be its data) for each function that a request could call; None: unreadable."""
    path, _, query = target.partition("?")
    words = path_words(path)
    here = [method for method in methods if method.entity.casefold() in words]
    if not here:
        return []
    envelopes: list[list[tuple[str, Any]]] = []
    if query:
        envelopes.append([(name, _parsed(value)) for name, value in parse_qsl(query, keep_blank_values=True)])
    if body.strip():
        try:
            parsed = json.loads(body, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError):
            return None
        items = [parsed] if isinstance(parsed, _Pairs) else parsed if isinstance(parsed, list) else []
        envelopes += [item for item in items if isinstance(item, _Pairs)]
    found: list[tuple[Method, list[Mapping[str, Any]]]] = []
    named = [name for pairs in envelopes for name in _names(pairs)]
    named += re.split(r"[^\w-]+", unquote(unquote(path)))
    for method in here:
        if not any(_calls(name, method) for name in named):
            continue
        sources: list[Mapping[str, Any]] = []
        for pairs in envelopes:
            sources.append(_object(_Pairs(pair for pair in pairs if pair[0].casefold() not in _ENVELOPE)))
            for name, value in pairs:
                if name.casefold() == "data":
                    sources += _as_data(value)
        found.append((method, sources))
    return found


_ENVELOPE = frozenset({"method", "data", "pagestart", "pagelength"})


_BETWEEN_PATH_WORDS = re.compile(r"[^\w-]+")


def _path_words(path: str) -> frozenset[str]:
    """Return the words of a path in any spelling, without letter case: a function's endpoint is one of them."""
    words: set[str] = set()
    for _ in range(3):
        words.update(_BETWEEN_PATH_WORDS.split(path.casefold()))
        if "%" not in path:
            break
        path = unquote(path)
    return frozenset(words)


path_words = lru_cache(maxsize=256)(_path_words)


def _names(pairs: list[tuple[str, Any]]) -> Iterator[str]:
    for name, value in pairs:
        if name.casefold().lstrip("_") == "method":
            for each in value if isinstance(value, list) and not isinstance(value, _Pairs) else [value]:
                if isinstance(each, str):
                    yield each


def _calls(name: str, method: Method) -> bool:
    wanted = _spellings(method.name)
    return _letters(name) in wanted or _letters(name.partition("\0")[0]) in wanted


@lru_cache(maxsize=4096)
def _spellings(name: str) -> frozenset[str]:
    """Return the names by which a function may be called, with and without its entity."""
    return frozenset({_letters(name.partition(".")[2]), _letters(name)})


def _letters(text: str) -> str:
    """Return a text without punctuation, in the form in which targets that are lax about names compare it."""
    if text.isascii() and text.isalnum():  # nearly all words, of which a body may have a hundred thousand
        return text.lower()
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _parsed(text: str) -> Any:
    """Return the value of a text in a query if it is a JSON array or object, else the text."""
    if text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text, object_pairs_hook=_Pairs)
    return text


def _as_data(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects that a target may read as `data`: the value itself, items of an array, JSON in a text."""
    if isinstance(value, _Pairs):
        return [_object(value)]
    if isinstance(value, list):
        return [_object(item) for item in value if isinstance(item, _Pairs)]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return _as_data(json.loads(value, object_pairs_hook=_Pairs))
        except (ValueError, RecursionError):
            return []
    return []


def _object(pairs: _Pairs) -> dict[str, Any]:
    """Return an object; further values of a repeated name are stored under other spellings of it."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        while name in found:
            # Names are compared without punctuation, so this value is found, too.
            name += "_"
        found[name] = _value(value)
    return found


def _value(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return _object(value)
    return [_value(item) for item in value] if isinstance(value, list) else value


# -- bytes that cannot be read for certain ---------------------------------------------------------------------


_PUNCTUATION = re.compile(r"[\W_]")
_BETWEEN_WORDS = re.compile(r"[^\w.]+")
_HEADER = re.compile(r"(?m)^[!#$%&'*+.^`|~\w-]+[ \t]*:[^\r\n]*\r?\n?")


class Scan:
    """The bytes of a request that cannot be read for certain, in each decoding, for any function."""

    def __init__(self, target: str, body: bytes) -> None:
        # In the bytes of a whole request the name of a header ("Accept: …") is not the name of a function.
        texts = dict.fromkeys(_texts(body))
        self._texts = [_ScannedText(text if target else _HEADER.sub("", text)) for text in texts]
        self._path_words = path_words(target)

    def values(self, method: Method, names: Collection[str]) -> Iterator[Mapping[str, list[Any]]]:
        """Yield the values next to names, for each decoding that may call the function."""
        spellings, entity = _spellings(method.name), method.entity.casefold()
        for text in self._texts:
            if text.words.isdisjoint(spellings):
                continue
            if entity in self._path_words or entity in text.path_words:
                yield {name: list(_beside(text.text, name)) for name in names}


class _ScannedText:
    """A text with its words, which are the same for every function."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(map(_letters, set(_BETWEEN_WORDS.split(self.text))))

    @cached_property
    def path_words(self) -> frozenset[str]:
        return _path_words(self.text)


def _texts(body: bytes) -> Iterator[str]:
    """Yield the body as text: plain, without NULs (UTF-16), unescaped, decompressed, and joined from chunks."""
    every = [body, re.sub(rb"\r\n[0-9a-fA-F]+(?:;[^\r\n]*)?\r\n", b"", body)]
    for wbits in (zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS):
        try:
            every.append(zlib.decompressobj(wbits).decompress(body, 1 << 22))
        except zlib.error:
            continue
    with contextlib.suppress(binascii.Error, ValueError):
        every.append(base64.b64decode(body, validate=True))
    for each in every:
        text = each.decode("utf-8", "replace").replace("\0", "")
        yield text
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
        if "%" in text or "+" in text:
            yield unquote_plus(text)


def _beside(text: str, name: str) -> Iterator[Any]:
    """Yield the values after a name: as JSON if possible, else as a word."""
    loose = r"[\W_]?".join(re.escape(part) for part in name if part.isalnum())
    pattern = rf"(?i)(?<!\w){loose}(?!\w)[\"'\\\s\]]*[:=]+>?\s*"
    decoder = json.JSONDecoder()
    for match in re.finditer(pattern, text):
        rest = text[match.end() : match.end() + 4096].lstrip("\\")
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            word = re.match(r"'[^']*'?|[^\s,}\]&;]*", rest)
            yield word[0].strip("'\"\\") if word else ""
            if rest.startswith('"'):
                # A reader that closes an open text itself reads all that follows as part of it.
                yield rest[1:].replace('\\"', '"')
            continue
        yield value
        tail = re.match(r"[\w.+-]+", rest[end:])
        if tail:
            # A number with further characters, as in 5_0 or 5abc, may be read as another number.
            yield rest[:end] + tail[0]
