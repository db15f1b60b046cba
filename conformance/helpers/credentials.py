"""Credentials that a target must refuse: near misses of passwords, coerced logins, tokens that no login gave."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.budgets import Sample
from conformance.engine.context import TestContext
from conformance.helpers.builtin_names import (
    EMPTY_VALUES,
    PROTOTYPE_NAMES,
    WILDCARDS,
    accented,
    percent_escaped,
    rotated,
    same_java_hash,
    unsigned_tokens,
)
from conformance.helpers.identities import learned
from conformance.helpers.other_texts import another

__all__ = ["coerced_logins", "near_misses", "send_forged_tokens", "unlike"]


def near_misses(secret: str) -> Iterator[tuple[str, str]]:
    """Yield (description, password) of passwords close to the right one."""
    if secret.swapcase() != secret:
        yield "the password in another case", secret.swapcase()
    if secret.lower() != secret:
        yield "the password in lower case", secret.lower()
    if secret.upper() != secret:
        yield "the password in upper case", secret.upper()
    if len(secret) > 1:
        yield "the password without its last character", secret[:-1]
        yield "the first half of the password", secret[: len(secret) // 2]
        other = another(random.Random(len(secret)), secret[-1])
        yield (
            "the password with its last character changed",
            secret[:-1] + (other if other != secret[-1] else "x"),
        )
    # bcrypt reads 72 bytes.
    if len(secret.encode()) > 72:
        yield "the first 72 bytes of the password", secret.encode()[:72].decode(errors="ignore")
    yield "the password and one character more", secret + "x"
    yield "the password and a blank", secret + " "
    yield "a blank and the password", " " + secret
    # Whatever compares, hashes or logs it may give up on a long text.
    yield "a long text that begins with the password", (secret + "x" * 1000)[:1000]
    yield "the password and U+0000", secret + "\u0000"
    yield "the password, U+0000 and more", secret + "\u0000x"
    for what, changed in (
        ("the password with an accent", accented(secret)),
        ("another text of the same 32-bit hash", same_java_hash(secret)),
    ):
        if changed is not None:
            yield what, changed


def coerced_logins(
    right: dict[str, Any], user: str, secret: str, wrong: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return wrong logins that a loose comparison, a query by example or a dictionary lookup may accept."""
    found: list[tuple[str, dict[str, Any]]] = [
        ("the password in an array", {**right, secret: [right[secret]]}),
        ("the password in an object", {**right, secret: {"value": right[secret]}}),
        ("a password that is 0", {**right, secret: 0}),
        ("a password that is an empty array", {**right, secret: []}),
        ("a password that is an empty object", {**right, secret: {}}),
        ("a password that is an operator", {**right, secret: {"$gt": ""}}),
        ("a password that is an operator", {**right, secret: {"$regex": ".*"}}),
        ("a user that is an operator", {**right, user: {"$ne": None}, secret: wrong}),
        ("a user that is true", {**right, user: True}),
        ("a user that is 0", {**right, user: 0}),
    ]
    for name in PROTOTYPE_NAMES[:4]:
        found += [
            (f"a user named {name}", {user: name, secret: wrong}),
            (f"a user named {name} without a password", {user: name, secret: None}),
        ]
    return [*found, *((f"a user that is {name}", {**right, user: name}) for name in ("%", "*", "null"))]


def unlike(ctx: TestContext, name: str) -> str:
    """Return the name of a user that does not exist, in the form of one that does."""
    local, at, domain = name.partition("@")
    return another(ctx.rng, local) + at + domain


def _constant(text: str, _: random.Random) -> str:
    return text


def _forged_tokens(
    token: str, claims: dict[str, Any], secret: str = ""
) -> dict[str, tuple[Callable[[random.Random], str], set[int]]]:
    """Return makers of tokens that no login gave, by description, and the statuses to accept (AUT-5).

    `claims` are the user's own identifiers, and `secret` is the user's password. Random choices do not depend on the
    token, so a seed repeats them.
    """
    alphabet = sorted({c for c in token if c.isalnum()}) or list("0123456789abcdef")

    def changed(start: int) -> Callable[[random.Random], str]:
        places = [*range(start, len(token)), *range(start)]
        place = next((place for place in places if token[place].isalnum()), 0)
        return lambda rng: token[:place] + another(rng, token[place : place + 1]) + token[place + 1 :]

    twin = same_java_hash(token)
    respelled = {
        "in quotes": f'"{token}"',
        "with the word Bearer before it": f"Bearer {token}",
        "with a percent escape": percent_escaped(token),
        "as a path": f"./{token}",
        "with another of the same 32-bit hash": twin or "0",
    }
    texts = {
        **{what: text for what, text in respelled.items() if text != token},
        **{f"the text {text}": text for text in (*PROTOTYPE_NAMES, *EMPTY_VALUES, *WILDCARDS)},
        **unsigned_tokens(token, claims),
        **({"the user's own password": secret} if secret else {}),
        **{f"the user's own {name}": str(value) for name, value in claims.items() if str(value).isascii()},
    }
    fixed: dict[str, tuple[Callable[[random.Random], str], set[int]]] = {
        what: (functools.partial(_constant, text), {401}) for what, text in texts.items() if text != token
    }
    marked = accented(token)
    if marked is not None:
        fixed["with an accent"] = (functools.partial(_constant, marked), {400, 401})
    return {
        **fixed,
        "random": (lambda rng: "".join(rng.choice(alphabet) for _ in token), {401}),
        "truncated": (lambda _: token[:-1], {401}),
        "truncated to its half": (lambda _: token[: len(token) // 2], {401}),
        "with its first character changed": (changed(0), {401}),
        "with a character before the middle changed": (changed(len(token) // 3), {401}),
        "with its middle character changed": (changed(len(token) // 2), {401}),
        "with its last character changed": (changed(max(len(token) - 1, 0)), {401}),
        "with upper and lower case swapped": (lambda _: token.swapcase(), {401}),
        "empty": (lambda _: "", {401}),
        "4 kB long": (lambda _: (token + "a" * 4096)[:4096], {401}),
        "random and 4 kB long": (
            lambda rng: "".join(rng.choice("abcdef0123456789") for _ in range(4096)),
            {401},
        ),
        "a quote and SQL": (lambda _: "' OR '1'='1' -- ", {401}),
        "SQL after the session": (lambda _: f"{token}' OR 'a'='a", {401}),
        "with bytes outside ASCII": (lambda _: "s\xe9ss\xff\x80ion", {400, 401}),
    }


#: Tokens of one cause are one finding: the text of each stands beside the status that is expected.
_TOKEN_FAMILIES = {
    **{f"the text {text}": "a name that every object of the language has" for text in PROTOTYPE_NAMES},
    **{f"the text {text}": "a text that stands for no value" for text in EMPTY_VALUES},
    **{f"the text {text}": "a wildcard" for text in WILDCARDS},
}

#: The values that most often stand for nothing, for a number and for a pattern.
_USUAL_VALUES = {
    "a name": ("constructor", "__proto__", "toString"),
    "no value": ("null", "undefined", "None"),
    "a number or a truth value": ("0", "false"),
    "a wildcard": ("*", "%", ".*"),
}

#: What else takes turns where only some tokens of each kind are sent. All others are a kind of their own.
_TURNS = {
    **dict.fromkeys(_TOKEN_FAMILIES, "another value"),
    **{f"the text {text}": turn for turn, texts in _USUAL_VALUES.items() for text in texts},
    "truncated": "cut off",
    "truncated to its half": "cut off",
    "random": "changed",
    "with its first character changed": "changed",
    "with a character before the middle changed": "changed",
    "with its middle character changed": "changed",
    "as a path": "decoded",
    "with another of the same 32-bit hash": "decoded",
    "with an accent": "decoded",
    "empty": "of another sort",
    "4 kB long": "of another sort",
    "random and 4 kB long": "of another sort",
    "a quote and SQL": "of another sort",
    "with bytes outside ASCII": "of another sort",
    "the user's own password": "of another sort",
}


def _turn_of(what: str) -> str:
    """Return the kind of token with which a token takes turns."""
    if what.startswith("the user's own ") and what not in _TURNS:
        return "an identity"
    if what.startswith("structured, with alg ") or what == "structured, without a signature":
        return "unsigned"
    return _TURNS.get(what, what)


def _claims(ctx: TestContext, user: str | None) -> dict[str, Any]:
    """Return the identities of a user as the claims of a structured token."""
    if user is None:
        return {}
    return {name or "sub": value for name, value in reversed(learned(ctx).values.get(user, [])[:3])}


def send_forged_tokens(
    ctx: TestContext, function: Method, user: str | None, sample: Sample, *, of_each: bool = False
) -> None:
    """Call a function with tokens that no login gave; each must be refused with 401 (AUT-5).

    With `of_each` the sample is that of each kind of token, so that no function is left without one of a kind.
    """
    token = ctx.sessions.of(user).token if user else "0123456789abcdef0123456789abcdef"
    secret = ctx.profile.users[user].secret if user else ""
    secret = secret if secret.isascii() and secret.isprintable() else ""
    data = ctx.data_for(function, user) if ctx.resources.harmless(function) else {}
    groups: dict[str, list[tuple[str, tuple[Callable[[random.Random], str], set[int]]]]] = {}
    for what, entry in _forged_tokens(token, _claims(ctx, user), secret).items():
        groups.setdefault(_turn_of(what) if of_each else "", []).append((what, entry))
    chosen = [each for group in groups.values() for each in rotated(ctx, group, sample)]
    for what, (forge, accepted) in chosen:
        forged = forge(random.Random(ctx.rng.getrandbits(64)))
        if forged == token:
            continue
        exchange = ctx.call(function, data, token=forged)
        family = _TOKEN_FAMILIES.get(what, what)
        ctx.status(
            "AUT-5",
            exchange,
            accepted,
            kind=f"a token that no login gave is not refused with 401: {family}",
            because=f"the token was {what}" if family != what else "",
        )
