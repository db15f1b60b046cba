"""Members that the target keeps itself: which an object shows and no argument of a function sets (STA-2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.generation.errors import CannotGenerate
from conformance.helpers.claims import rights
from conformance.helpers.comparison import equal
from conformance.helpers.identities import is_name_of_user
from conformance.protocol.session import SetUpFailedError
from conformance.schema.bundle import resolve_pointer

__all__ = ["ServerMember", "server_members", "taken_over"]

#: Added to a number. What a target counts itself moves by less during a test.
FAR = 1_007

_MOMENT = re.compile(r"\d{4}(-\d\d-\d\d)")
_REFERENCE = re.compile(r"(?:id|ids|uid|uuid|guid|ref|no|nr|number|key|code|by)$", re.IGNORECASE)


@dataclass(frozen=True)
class ServerMember:
    """A member that the target keeps: its value in an object, and another one to be sent."""

    name: str
    now: Any
    value: Any


def server_members(
    ctx: TestContext, function: Method, reader: Method, shown: Any, user: str
) -> list[ServerMember]:
    """Return the members that an object shows and a function does not declare, each with another value.

    Rights and owners are left out, which ACC-3 claims, and identifiers of objects that the run cannot create.
    """
    if not isinstance(shown, dict) or reader.object is None:
        return []
    declared = {param.name for param in function.params}
    referring = {
        param.name: param.ref for method in ctx.catalog for param in method.params if param.ref is not None
    }
    schemas = _properties(reader)
    found: list[ServerMember] = []
    for name, value in shown.items():
        if name in declared or name in rights(ctx) or is_name_of_user(name) or name == reader.object.id:
            continue
        other: Any = None
        if name in referring:
            other = _other_object(ctx, referring[name], user)
        elif not _REFERENCE.search(name):
            other = _other_value(ctx, schemas.get(name), value, user)
        if other is not None and not equal(other, value):
            found.append(ServerMember(name, value, other))
    return found


def _other_object(ctx: TestContext, kind: str, user: str) -> Any:
    """Return the identifier of another own object; None where the user can create none."""
    if ctx.resources.creator(kind, user) is None:
        return None
    try:
        return ctx.resources.new(kind, user).id
    except SetUpFailedError:
        return None


def _other_value(ctx: TestContext, schema: Any, value: Any, user: str) -> Any:
    """Return another value of the same type, far from the value; None where there is none."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + FAR
    if isinstance(value, str) and _MOMENT.match(value):
        return _MOMENT.sub(r"2001\1", value, count=1)
    if schema is not None and isinstance(value, str | list | None):
        try:
            return ctx.resources.sampler(user).other_than(schema, value)
        except (CannotGenerate, SetUpFailedError):
            return None
    return f"{value}x" if isinstance(value, str) else None


def _properties(reader: Method) -> dict[str, Any]:
    """Return the schemas of the members of the object that a function shows."""
    root = reader.result_schema
    if not isinstance(root, dict) or reader.object is None:
        return {}
    node = _followed(root, root)
    for token in reader.object.at.split("/")[1:]:
        properties = node.get("properties") if isinstance(node, dict) else None
        items = node.get("items") if isinstance(node, dict) else None
        node = _followed(root, properties.get(token) if isinstance(properties, dict) else items)
    properties = node.get("properties") if isinstance(node, dict) else None
    shared = {"$defs": root["$defs"]} if "$defs" in root else {}
    return {
        name: {**schema, **shared} for name, schema in (properties or {}).items() if isinstance(schema, dict)
    }


def _followed(root: dict[str, Any], node: Any) -> Any:
    """Return a schema, or the one that its reference leads to."""
    for _ in range(8):
        reference = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        try:
            node = resolve_pointer(root, reference[1:])
        except LookupError:
            return None
    return node


def taken_over(member: ServerMember, after: Any) -> bool:
    """Return whether a member has the value that was sent, or one that the target derived from it."""
    before = member.now
    if equal(before, after):
        return False
    if equal(after, member.value):
        return True
    if isinstance(after, int | float) and not isinstance(after, bool) and isinstance(before, int | float):
        return bool(abs(after - member.value) < abs(after - before))
    if isinstance(member.value, str) and isinstance(after, str) and _MOMENT.match(member.value):
        return after[:10] == member.value[:10]
    return False
