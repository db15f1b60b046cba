"""Decide whether a text was refused for its length alone (DAT-1)."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from conformance.generation import payloads
from conformance.helpers.fuzz_target import FuzzTarget

__all__ = ["length_alone"]


def length_alone(fuzz_target: FuzzTarget, data: Any, keyword: str) -> bool:
    """Return whether unusual text was refused for its length alone: shorter such text and equally long plain text pass.

    Lengths are counted in characters (JSON Schema). Unusual characters may be refused (DAT-5), but not for length.
    """
    if keyword not in ("maxLength", "minLength", "pattern") or not payloads.unusual_features(data):
        return False
    plain = _respelled(data, lambda text: "x" * len(text))
    # One character may be fewer than the schema allows.
    shorter = (_respelled(data, itemgetter(slice(length))) for length in (1, 3, 8))
    short = next((other for other in shorter if other != data and fuzz_target.allows(other)), None)
    answers = []
    for other in (plain, short):
        if other is None or other == data or not fuzz_target.allows(other):
            return False
        exchange = fuzz_target.send(other)
        fuzz_target.clear(exchange, other)
        answers.append(exchange.status)
    return answers == [200, 200]


def _respelled(value: Any, spell: Callable[[str], str]) -> Any:
    """Return the value with each text that has unusual characters replaced."""
    if isinstance(value, str):
        return spell(value) if payloads.unusual_features(value) else value
    if isinstance(value, dict):
        return {name: _respelled(item, spell) for name, item in value.items()}
    return [_respelled(item, spell) for item in value] if isinstance(value, list) else value
