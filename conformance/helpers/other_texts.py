"""Texts that differ from a given one in every letter and digit."""

from __future__ import annotations

import random

__all__ = ["another"]


def another(rng: random.Random, text: str) -> str:
    """Return a text of the same form: each letter and digit is replaced with another of its class.

    The number of draws from `rng` does not depend on the text, which may come from the target.
    """
    rng = random.Random(rng.getrandbits(64))
    return "".join(_other(rng, character) for character in text) or "x"


def _other(rng: random.Random, character: str) -> str:
    for alphabet in ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ"):
        if character in alphabet:
            return rng.choice(alphabet.replace(character, ""))
    return character
