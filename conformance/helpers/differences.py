"""Differences between what was sent and what came back, and values as findings show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.helpers.comparison import equal
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING

__all__ = ["brief", "departure", "leaves"]


def brief(value: Any) -> str:
    """Return a value as shortened JSON, with its full length."""
    return as_json(value, 120)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the scalars of a value."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        else:
            yield item


def departure(sent: Any, got: Any, pointer: str = "") -> tuple[str, Any, Any]:
    """Return the first difference between sent and received data: (JSON pointer, sent value, received value)."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for name, item in sent.items():
            if name not in got:
                return f"{pointer}/{name}", next(leaves(item), item), MISSING
            if not equal(item, got[name]):
                return departure(item, got[name], f"{pointer}/{name}")
    if isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        for index, (one, other) in enumerate(zip(sent, got, strict=True)):
            if not equal(one, other):
                return departure(one, other, f"{pointer}/{index}")
    return pointer, sent, got
