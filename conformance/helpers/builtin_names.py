"""Names and texts that the dictionaries, decoders and comparisons of languages treat specially.

A lookup such as `sessions[token]` may find more than was stored: in JavaScript every object inherits `constructor`.
A comparison may fold case, accents or trailing blanks (MySQL), numbers in text (PHP), or compare 32-bit hashes. The
tests send such texts where the target compares, looks up or dispatches by a text.
"""

from __future__ import annotations

import base64
import json
import random
from typing import Any, TypeVar

from conformance.engine.budgets import ByBudget, Sample
from conformance.engine.context import TestContext

__all__ = [
    "EMPTY_VALUES",
    "PROTOTYPE_NAMES",
    "WILDCARDS",
    "accented",
    "dealt",
    "in_turn",
    "percent_escaped",
    "position_of",
    "rotated",
    "same_java_hash",
    "unsigned_tokens",
]

T = TypeVar("T")

#: Members that every JavaScript object inherits from `Object.prototype`.
PROTOTYPE_NAMES = (
    "constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "isPrototypeOf", "toLocaleString",
    "propertyIsEnumerable", "__defineGetter__", "__lookupSetter__",
)  # fmt: skip

#: Texts that languages make of values that are absent, empty or of another type.
EMPTY_VALUES = (
    "null", "undefined", "0", "[object Object]", "None", "nil", "NaN", "false", "true", "1", "-1", "0e0", "{}", "[]",
    "Array", "NULL", "0x0", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip

#: Patterns that match anything in a glob, a LIKE, a folder or a regular expression.
WILDCARDS = ("*", "%", ".*", "?", "_", ".", "..", "/", "[a-z]*")

_ACCENTS = str.maketrans("aceinouyACEINOUY", "áçéíñóúýÁÇÉÍÑÓÚÝ")


def same_java_hash(text: str) -> str | None:
    """Return another text with the same `String.hashCode` in Java, of letters and digits; None if none is found.

    31 * a + b stays the same where a grows by one and b falls by 31. CRC and other sums are not covered.
    """
    for place in range(len(text) - 1):
        first, second = text[place], text[place + 1]
        for step in (1, -1):
            one, two = chr(ord(first) + step), chr(max(0, ord(second) - 31 * step))
            if (one + two).isascii() and (one + two).isalnum():
                return text[:place] + one + two + text[place + 2 :]
    return None


def accented(text: str) -> str | None:
    """Return the text with its last letter that can have an accent given one; None where there is none."""
    for place in reversed(range(len(text))):
        changed = text[place].translate(_ACCENTS)
        if changed != text[place]:
            return text[:place] + changed + text[place + 1 :]
    return None


def percent_escaped(text: str) -> str:
    """Return the text with its first character as a percent escape, as in a URL."""
    return "".join(f"%{byte:02x}" for byte in text[:1].encode()) + text[1:]


def unsigned_tokens(token: str, claims: dict[str, Any]) -> dict[str, str]:
    """Return structured tokens that nobody signed (RFC 7519, or JSON in base64), by description.

    They have the claims in `claims` and that of an administrator, added to those of the token where that is structured.
    """
    parts = token.split(".")
    header, body = (_decoded(part) for part in (*parts, "", "")[:2])
    signed = len(parts) == 3 and header is not None and body is not None
    if header is None or body is None or not signed:
        header, body = {"alg": "HS256", "typ": "JWT"}, {"exp": 4102444800}
    more = {**claims, "admin": True, "role": "admin"}
    changed = _encoded({**body, **more})
    found = {
        f"structured, with alg {name}": f"{_encoded({**header, 'alg': name})}.{changed}."
        for name in ("none", "None", "nOnE")
    }
    found["structured, without a signature"] = f"{_encoded(header)}.{changed}."
    if signed:
        unsigned = _encoded({**header, "alg": "none"})
        found |= {
            "structured, with changed claims": f"{parts[0]}.{changed}.{parts[2]}",
            "structured, with its signature cut off": f"{parts[0]}.{parts[1]}.",
            "structured, of two parts": f"{parts[0]}.{parts[1]}",
            "structured, with alg none and the signature": f"{unsigned}.{changed}.{parts[2]}",
        }
    outer = _decoded(parts[0])
    if not signed and outer is not None and len(parts) <= 2:
        found["JSON in base64, with changed claims"] = ".".join([_encoded({**outer, **more}), *parts[1:]])
        if len(parts) == 2:
            found["JSON in base64, without its signature"] = parts[0]
    return found


def _decoded(part: str) -> dict[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _encoded(value: dict[str, Any]) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def rotated(ctx: TestContext, items: list[T], sample: Sample, *, of: int = 1) -> list[T]:
    """Return as many items as the budget allows; the next function that the test is run against gets the next items.

    A sample drawn for each function may leave some items out for all functions. A rotation tries every item if there
    are enough functions. The seed decides where it begins. `of` is that of `in_turn`, for a test that asks it.
    """
    most = ctx.limit(sample, len(items))
    if most >= len(items):
        return items
    position = position_of(ctx) // (of if ctx.quick else 1)
    test = ctx.name.partition("[")[0]
    order = random.Random(f"{ctx.run.options.seed}/{test}").sample(range(len(items)), len(items))
    chosen = {order[(position * most + step) % len(items)] for step in range(most)}
    return [items[index] for index in sorted(chosen)]


def dealt(ctx: TestContext, items: list[T], times: ByBudget[int | None]) -> list[T]:
    """Return the items that this one of what the test is run against gets, if each item is given out so many times.

    With None every one gets every item.
    """
    wanted = ctx.amount(times)
    if wanted is None:
        return items
    each = -(-len(items) * wanted // max(1, _count(ctx)))
    return rotated(ctx, items, ByBudget(each, each, each))


def in_turn(ctx: TestContext, rule: str, number: int, of: int) -> bool:
    """Return whether a test runs on this function in a quick run, where `of` tests of a rule share the functions.

    Each of them, from 0 on, runs on every `of`-th function, so that each function gets one of them.
    """
    if not ctx.quick or ctx.only is not None:
        return True
    first = random.Random(f"{ctx.run.options.seed}/{rule}").randrange(of)
    return (position_of(ctx) + first) % of == number


def _count(ctx: TestContext) -> int:
    """Return against how many values the test is run."""
    values = ctx.scope(ctx.run) if ctx.scope is not None else None
    return len(values) if isinstance(values, list) else 1


def position_of(ctx: TestContext) -> int:
    """Return the position of what the test is run against among all that it is run against."""
    values = ctx.scope(ctx.run) if ctx.scope is not None else None
    return values.index(ctx.put_to) if isinstance(values, list) and ctx.put_to in values else 0
