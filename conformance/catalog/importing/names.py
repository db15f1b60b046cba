"""Names of imported functions and parameters: `course_find` is `course.find`, `flag.name` is a member of `flag`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from conformance.errors import UsageError
from conformance.schema.bundle import Json

__all__ = ["FUNCTION_NAME", "Parameter", "function_name", "nested", "without_separator"]

#: A name as the catalogue has it.
FUNCTION_NAME = re.compile(r"([^\s./]+)\.([^\s./]+)")
#: The parts of a parameter's name: `flag`, then `.name`, `[]`, `[0]`, `[name]`.
_FIRST = re.compile(r"[^\s.\[\]]+")
_PART = re.compile(r"\.(?P<member>[^\s.\[\]]+)|\[(?P<key>[^\s.\[\]]*)\]")
_MAX_SHOWN = 4


@dataclass(frozen=True)
class Parameter:
    """A parameter of an imported function."""

    name: str
    schema: Json
    required: bool = False
    description: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the parameter as a catalogue has it."""
        found: dict[str, Json] = {"name": self.name, "required": self.required, "schema": self.schema}
        return found | ({"description": self.description} if self.description else {})


def function_name(name: str, separator: str | None) -> str | None:
    """Return a name as `entity.function`; None if it has no entity.

    Without a separator a name needs one dot. With one the name is divided where the separator first stands, if
    something stands on both sides of it.
    """
    if separator is not None and not FUNCTION_NAME.fullmatch(name):
        at = name.find(separator, 1)
        if at > 0 and len(name) > at + len(separator):
            name = f"{name[:at]}.{name[at + len(separator) :]}"
    return name if FUNCTION_NAME.fullmatch(name) else None


def without_separator(where: str, names: Sequence[str], total: int, separator: str | None) -> UsageError:
    """Return the error for a document whose functions name no entity."""
    shown = ", ".join(names[:_MAX_SHOWN]) + (", …" if len(names) > _MAX_SHOWN else "")
    signs = [sign for sign in ("_", "/", ":", "-") if any(sign in name[1:-1] for name in names)]
    problem = f"{where}: {len(names)} of {total} functions are not named entity.function ({shown})"
    if separator is not None:
        problem += f", and {separator!r} divides none of them"
    if signs and signs[0] != separator:
        return UsageError(
            f"{problem}: give the text between entity and function, as in --entity-from {signs[0]!r}"
        )
    return UsageError(f"{problem}: a call of this protocol needs an endpoint, so rename them in the document")


# --- nested parameters ----------------------------------------------------------------------------------------


@dataclass
class _Node:
    """A parameter or a member, and what lies below it; `items` are the items of an array."""

    param: Parameter | None = None
    members: dict[str, _Node] = field(default_factory=dict)
    items: _Node | None = None

    def below(self) -> Iterator[_Node]:
        yield from self.members.values()
        if self.items is not None:
            yield self.items


def nested(params: Sequence[Parameter]) -> tuple[tuple[Parameter, ...], list[str]]:
    """Return parameters with names such as `flag.name` and `file[].name` as objects and arrays, and notes.

    A parent that is not described itself is required if one of its members is. Where a name does not fit its parent's
    type, its parameter stays as it is written.
    """
    if not any("." in param.name or "[" in param.name for param in params):
        return tuple(params), []
    roots: dict[str, _Node] = {}
    flat: list[Parameter] = []
    notes: list[str] = []
    # A parent that is described comes first, wherever it stands.
    for param in sorted(params, key=lambda each: _depth(each.name)):
        parts = _parts(param.name)
        if parts is None:
            flat.append(param)
            notes.append(f"{param.name}: names no member that can be made out, so it stays one parameter")
            continue
        first, below = parts
        node = roots.setdefault(first, _Node())
        for part in below:
            if part is None:
                node.items = node.items or _Node()
                node = node.items
            else:
                node = node.members.setdefault(part, _Node())
        if node.param is None:
            node.param = param
        else:
            notes.append(f"{param.name}: is described twice: the first is taken")
    order = [parts[0] for param in params if (parts := _parts(param.name)) is not None]
    made = [_parameter(name, roots[name], notes) for name in dict.fromkeys(order)]
    return (*made, *flat), notes


def _depth(name: str) -> int:
    parts = _parts(name)
    return 0 if parts is None else len(parts[1])


def _parts(name: str) -> tuple[str, list[str | None]] | None:
    """Return the first part of a name and the others, None for an item of an array; None if it has no such parts."""
    first = _FIRST.match(name)
    if first is None:
        return None
    parts: list[str | None] = []
    at = first.end()
    while at < len(name):
        found = _PART.match(name, at)
        if found is None:
            return None
        key = found["member"] or found["key"]
        parts.append(None if not key or (found["member"] is None and key.isdigit()) else key)
        at = found.end()
    return first[0], parts


def _parameter(name: str | None, node: _Node, notes: list[str]) -> Parameter:
    own = node.param
    required = _is_required(node)
    schema = _schema(node, notes)
    return Parameter(name or "", schema, required, own.description if own else "")


def _is_required(node: _Node) -> bool:
    """Return whether a parameter or member is required: as it says itself, else as one of those below it is."""
    return node.param.required if node.param is not None else any(map(_is_required, node.below()))


def _schema(node: _Node, notes: list[str]) -> Json:
    own: Json = node.param.schema if node.param is not None else {}
    if not node.members and node.items is None:
        return own
    kind = "object" if node.members else "array"
    types = own.get("type", kind) if isinstance(own, dict) else kind
    if kind not in ([types] if isinstance(types, str) else types) or (node.members and node.items):
        shown = node.param.name if node.param is not None else ", ".join(node.members)
        notes.append(f"{shown}: is described as {types}, so its members are left out of the schema")
        return own
    out: dict[str, Json] = {**own, "type": types} if isinstance(own, dict) else {"type": types}
    if node.items is not None:
        items = _schema(node.items, notes)
        return {**out, "items": items} if items else out
    properties = dict(out.get("properties", {}))
    required = list(out.get("required", ()))
    for name, below in node.members.items():
        schema = _schema(below, notes)
        about = below.param.description if below.param is not None else ""
        if about and isinstance(schema, dict):
            schema = {**schema, "description": about}
        properties[name] = schema
        if _is_required(below) and name not in required:
            required.append(name)
    out["properties"] = properties
    if required:
        out["required"] = required
    return out
