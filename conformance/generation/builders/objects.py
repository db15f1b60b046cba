"""Builders of objects: with any of the optional members, or to order."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.generation.builders.steps import ATTEMPTS, MAX_FULL_DEPTH, BuildValue
from conformance.generation.choices import Choices, OptionalMembers
from conformance.generation.errors import CannotGenerate, Impossible
from conformance.generation.shape import Shape
from conformance.schema.bundle import Json

if TYPE_CHECKING:
    from conformance.generation.builders.builders import Builders

__all__ = ["MAP_KEYS", "ObjectBuilder", "ObjectOrder"]

#: Names of undeclared members where names are not data: camelCase, as all names in answers have to be (NAM-1).
MEMBER_NAMES = ("a", "key1", "toString", "constructor", "valueOf", "hasOwnProperty", "length")

#: Names of the members of a map, whose keys are data.
MAP_KEYS = (
    "a",
    "key1",
    "x-y",
    "Å",
    "a b",
    "0",
    "__proto__",
    "constructor",
    "😀",
    "",
    "a.b",
    "$a",
    "toString",
)

#: A name that no schema declares.
_UNDECLARED = "some other member"

#: Optional members that one choice decides on.
_MEMBERS_PER_CHOICE = 8


@dataclass(frozen=True)
class ObjectOrder:
    """How an object is to be: which members it has, and how many."""

    forced: Mapping[str, BuildValue] = field(default_factory=dict)
    #: A further member: (the pattern that its name matches or None, the builder of its value).
    forced_rest: tuple[str | None, BuildValue] | None = None
    omit: Collection[str] = ()
    optional: OptionalMembers = "some"
    count: int | None = None
    #: Whether the members that others require are added (dependentRequired).
    close: bool = True


class ObjectBuilder:
    """Builds the objects of one shape."""

    def __init__(self, builders: Builders, shape: Shape, order: ObjectOrder) -> None:
        """Compile the builders of the members; raises Impossible when a required member has none."""
        self.builders = builders
        self.shape = shape
        self.order = order
        self.members: dict[str, BuildValue] = dict(order.forced)
        needed = [name for name in (*shape.required, *order.forced) if name not in order.omit]
        self.needed = list(dict.fromkeys(needed))
        for name in self.needed:
            if name not in self.members:
                self.members[name] = builders.node(builders.shapes.join(shape.member(name)))
        declared = shape.declared
        free = self._compile_free(declared)
        has_dependents = bool(shape.dependent) and order.close
        #: By name: the members that a member requires.
        self.requires = {name: _required_by(shape, name) for name in self.members} if has_dependents else {}
        self.free = [
            name for name in free if all(other in self.members for other in self.requires.get(name, ()))
        ]
        self.names = [name for name in declared if name in self.members]
        self.names += [name for name in self.members if name not in self.names]
        self.least, self.largest = shape.least, shape.largest
        if order.count is not None:
            self.least = self.largest = order.count
        self.namers = _namers(builders, shape, None if order.forced_rest is None else order.forced_rest[0])
        self.name_tests = [
            builders.schema.branch(node).valid for node in shape.names if isinstance(node, dict)
        ]
        self.chunks = [
            self.free[i : i + _MEMBERS_PER_CHOICE] for i in range(0, len(self.free), _MEMBERS_PER_CHOICE)
        ]
        self.has_names = bool(declared)
        self.is_map = shape.is_map and bool(self.namers) and not shape.closed
        #: Whether nothing is declared of the members at all. Beside declared members, no others are built.
        self.is_open = not self.has_names and not shape.is_map and bool(self.namers)

    def _compile_free(self, declared: Collection[str]) -> list[str]:
        """Compile the builders of the optional members; return the names of those that have one."""
        free: list[str] = []
        for name in declared:
            if name in self.members or name in self.order.omit:
                continue
            nodes = self.shape.member(name)
            if nodes == (False,):
                continue
            try:
                self.members[name] = self.builders.node(self.builders.shapes.join(nodes))
            except Impossible:
                continue
            free.append(name)
        return free

    def __call__(self, choices: Choices, depth: int) -> Json:
        """Build an object."""
        optional = self.order.optional
        if choices.ordinary is not None and optional == "some":
            optional = "none" if depth > MAX_FULL_DEPTH else choices.ordinary.optional
        present = self._present(choices, depth, optional)
        out: dict[str, Json] = {}
        for name in self.names:
            if name in present:
                try:
                    out[name] = self.members[name](choices, depth + 1)
                except CannotGenerate:
                    if choices.ordinary is None or name in self.needed:
                        raise
        extra = self._extra(choices, depth, optional)
        if self.order.forced_rest is not None:
            name = self._new_name(choices, depth, out)
            out[name] = self.order.forced_rest[1](choices, depth + 1)
        wanted = max(self.least, len(out) + extra)
        if self.largest is not None:
            wanted = min(wanted, self.largest)
        while len(out) < wanted:
            name = self._new_name(choices, depth, out)
            try:
                build = self.builders.node(self.builders.shapes.join(self.shape.member(name)))
            except Impossible:
                choices.reject()
            out[name] = build(choices, depth + 1)
        return out

    def _present(self, choices: Choices, depth: int, optional: OptionalMembers) -> dict[str, None]:
        """Return the names of the declared members to build."""
        present = dict.fromkeys(self.needed)
        if optional == "all":
            present |= dict.fromkeys(self.free)
        elif optional == "some" and depth < MAX_FULL_DEPTH:
            for chunk in self.chunks:
                mask = choices.index(1 << len(chunk))
                for bit, name in enumerate(chunk):
                    if mask >> bit & 1:
                        present[name] = None
        if self.requires:
            for name in list(present):
                present |= dict.fromkeys(self.requires.get(name, ()))
        if self.largest is not None and len(present) > self.largest:
            self._shrink(present, self.largest)
        if len(present) < self.least:
            for name in self.free:
                if len(present) < self.least:
                    present[name] = None
                    present |= dict.fromkeys(self.requires.get(name, ()))
        return present

    def _shrink(self, present: dict[str, None], largest: int) -> None:
        for name in reversed([name for name in present if name not in self.needed]):
            if len(present) > largest and not any(name in self.requires.get(each, ()) for each in present):
                del present[name]

    def _extra(self, choices: Choices, depth: int, optional: OptionalMembers) -> int:
        """Return how many undeclared members to add."""
        if self.order.count is not None or optional == "none":
            return 0
        if choices.ordinary is not None:
            if self.has_names or not self.is_map:
                return 0
            return 2 if optional == "all" else choices.index(3)
        if optional == "all" or depth >= MAX_FULL_DEPTH:
            return 0
        if self.is_open:
            return choices.index(3) if depth else 0
        if self.is_map:
            return max(0, choices.index(4) - 2) if self.has_names else choices.index(3)
        return 0

    def _new_name(self, choices: Choices, depth: int, out: dict[str, Json]) -> str:
        """Return the name of a further member."""
        for _ in range(ATTEMPTS * 2 if self.namers else 0):
            choices.begin()
            name = self.namers[choices.index(len(self.namers))](choices, depth)
            fits = (
                name not in out
                and name not in self.shape.declared
                and self.shape.member(name) != (False,)
                and all(test(name) for test in self.name_tests)
            )
            choices.end(discard=not fits)
            if fits:
                return str(name)
        return choices.reject("propertyNames", "no name was found for a further member")


def _required_by(shape: Shape, name: str) -> list[str]:
    """Return the members that a member requires, directly or not."""
    found = [name]
    for each in found:
        found += [other for other in shape.dependent.get(each, ()) if other not in found]
    return found[1:]


def _namers(builders: Builders, shape: Shape, pattern: str | None) -> list[BuildValue]:
    """Return the builders of names for members that are not declared."""
    if pattern is not None:
        return [builders.text(Shape(patterns=[pattern]))]
    found: list[BuildValue] = []
    if shape.closed and not any(rules.patterns for rules in shape.member_rules):
        return found
    if shape.names:
        string = builders.shapes.derived(shape.names, "names", {"type": "string"})
        try:
            return [builders.node(builders.shapes.join([string, *shape.names]))]
        except Impossible:
            return found
    for rules in shape.member_rules:
        for each in rules.patterns:
            try:
                found.append(builders.text(Shape(patterns=[each])))
            except Impossible:
                continue
    if shape.member(_UNDECLARED) != (False,):
        names = MAP_KEYS if shape.is_map and not shape.declared else MEMBER_NAMES

        def listed_name(choices: Choices, depth: int) -> Json:
            return _tagged_name(choices) or names[choices.index(len(names))]

        def numbered_name(choices: Choices, depth: int) -> Json:
            return _tagged_name(choices) or f"k{choices.integer(0, 999_999)}"

        found += [listed_name, numbered_name]
    return found


def _tagged_name(choices: Choices) -> str:
    """Return a name of letters and digits from a tag of the run, "" where ordinary values are not asked for."""
    if choices.ordinary is None:
        return ""
    return re.sub("[^a-z0-9]", "", choices.ordinary.fresh().lower()) or "key"
