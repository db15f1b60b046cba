"""Data of the run's own in the shape of a recorded call: the same optional arguments, texts and lists as long."""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.generation.errors import CannotGenerate
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resources
from load.workload.seen import Shape

__all__ = ["data_as_seen"]

#: What makes a text longer. It begins and ends with a letter, so that no target trims it.
_FILLER = "lorem-ipsum-dolor-sit-amet-"

#: A text with one of these is no free text: its length is not its own.
_NOT_FREE = frozenset({"format", "pattern", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "not"})


def data_as_seen(
    method: Method, resources: Resources, user: str | None, plain: dict[str, Any], shape: Shape, mark: str
) -> dict[str, Any]:
    """Return valid data with the optional arguments and the lengths of a shape; where that is not valid, less of it.

    `plain` is the data with required arguments alone. `mark` makes texts unique: it is retained where objects are
    created or changed, since what the run made is found by it.
    """
    data = dict(plain)
    sampler = resources.sampler(user, avoid=frozenset(resources.spends(method)))
    for param in method.params:
        if param.name in data or param.name not in shape.given or resources.locks_out(method, param.name):
            continue
        try:
            value = sampler.sample(param.schema, optional="all")
        except (CannotGenerate, SetUpFailedError):
            continue
        if method.data.valid({**data, param.name: value}):
            data[param.name] = value
    own = method.object.id if method.object is not None else None
    for param in method.params:
        length = shape.given.get(param.name)
        value = data.get(param.name)
        if length is None or value is None or param.ref is not None or param.name == own:
            continue
        sized = _sized(value, length, param.schema, mark if method.effect != "read" else "")
        if sized != value and method.data.valid({**data, param.name: sized}):
            data[param.name] = sized
    return data


def _sized(value: Any, length: int, schema: Any, mark: str) -> Any:
    """Return a text or a list with a length; another value, and a text that is not free, as it is."""
    if isinstance(value, list) and value:
        return (value * (length // len(value) + 1))[:length]
    if not isinstance(value, str) or not isinstance(schema, dict) or _NOT_FREE & schema.keys():
        return value
    if length <= len(value):
        keep = value.find(mark) + len(mark) if mark and mark in value else 1
        return value[: max(length, keep)]
    more = length - len(value)
    filler = (_FILLER * (more // len(_FILLER) + 1))[:more]
    return value + (filler[:-1] + "x" if filler else "")
