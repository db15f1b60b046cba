"""The shape of the responses to a function: learnt from valid ones, and read by a fast decoder made for it."""

from __future__ import annotations

from collections.abc import Iterable
from types import GenericAlias
from typing import Any, Union

import msgspec

from conformance.rulebook.envelope import MEMBERS
from conformance.rulebook.naming import is_camel_case

__all__ = ["Shape", "ShapelessError"]

#: The largest number of members of an object, and the largest depth; beyond them there is no shape to learn.
_MAX_MEMBERS = 64
_MAX_DEPTH = 16


class ShapelessError(ValueError):
    """A value without a shape to learn: its names vary, or it is too deep."""


_Scalar = bool | int | float | str | None


class Shape:
    """What was observed at one position of the responses to a function: members in their order, items, or neither.

    A scalar is always allowed as well: no rule about names or about `data` distinguishes scalars, except the rule
    about the type of `data` itself.
    """

    __slots__ = ("items", "members", "root", "seen", "size")

    def __init__(self, *, root: bool = True) -> None:
        self.root = root
        #: By name: the shape of the member, and how often it was observed.
        self.members: dict[str, list[Any]] | None = None
        self.items: Shape | None = None
        self.seen = 0
        #: Grows with everything that is learnt.
        self.size = 0

    def take(self, value: Any, *, allowed: Iterable[str] = (), depth: int = 0) -> None:
        """Learn from a value.

        Raises:
            ShapelessError: the value has no shape to learn.

        """
        if depth > _MAX_DEPTH:
            raise ShapelessError
        if isinstance(value, dict):
            self._take_object(value, allowed, depth)
        elif isinstance(value, list):
            if self.items is None:
                self.items = Shape(root=False)
                self.size += 1
            before = self.items.size
            for item in value:
                self.items.take(item, depth=depth + 1)
            self.size += self.items.size - before

    def _take_object(self, value: dict[str, Any], allowed: Iterable[str], depth: int) -> None:
        if self.members is None:
            self.members = {}
            self.size += 1
        members = self.members
        order = list(members)
        at = -1
        for name in value:
            if name in members:
                place = order.index(name)
                if place <= at:
                    raise ShapelessError
                at = place
                continue
            if not is_camel_case(name) and name not in allowed:
                raise ShapelessError
            at += 1
            order.insert(at, name)
            # It may be missing, since earlier values had no such member.
            members[name] = [Shape(root=False), 0]
            self.size += 1
        if len(order) > _MAX_MEMBERS:
            raise ShapelessError
        if order != list(members):
            self.members = members = {name: members[name] for name in order}
        self.seen += 1
        for name, entry in members.items():
            shape, met = entry
            if name in value:
                entry[1] = met + 1
                before = shape.size
                shape.take(value[name], depth=depth + 1)
                self.size += shape.size - before
            elif met == self.seen - 1:
                # It is missing for the first time.
                self.size += 1

    def type(self) -> Any:
        """Return the type that reads such values, and none with other members."""
        kinds: list[Any] = []
        if self.members is not None:
            kinds.append(self._struct())
        if self.items is not None:
            kinds.append(GenericAlias(list, (self.items.type(),)))
        if self.root:
            return kinds[0]
        return Union[(*kinds, _Scalar)]

    def _struct(self) -> Any:
        assert self.members is not None
        fields: list[Any] = []
        names: dict[str, str] = {}
        for number, (name, (shape, met)) in enumerate(self.members.items()):
            field = name if self.root and name in MEMBERS else f"m{number}"
            names[field] = name
            kind = shape.data_type() if self.root and name == "data" else shape.type()
            if met == self.seen:
                fields.append((field, kind))
            else:
                fields.append((field, Union[kind, msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007
        return msgspec.defstruct(
            "Answer", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False
        )

    def data_type(self) -> Any:
        """Return the type of `data`: only what was observed, since its type is subject to a rule (ENV-7)."""
        kinds: list[Any] = []
        if self.members is not None:
            kinds.append(self._struct())
        if self.items is not None:
            kinds.append(GenericAlias(list, (self.items.type(),)))
        return Union[tuple(kinds)]  # noqa: UP007
