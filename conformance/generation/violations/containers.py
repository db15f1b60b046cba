"""Arrays and objects that violate a schema: their size, their items and members, the names of members."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

from conformance.generation.boundaries import MAX_BUILT_ITEMS
from conformance.generation.builders import Builders, BuildValue
from conformance.generation.builders.steps import constant
from conformance.generation.choices import Choices
from conformance.generation.patterns import settled
from conformance.generation.shape import Shape
from conformance.generation.violations.branches import schemas_of_all_paths
from conformance.schema.bundle import Json

__all__ = ["bad_arrays", "bad_objects"]

#: A member that schemas do not declare.
_UNDECLARED = "surplusMember"

#: Names that few schemas allow, and how many of them are tried at one place.
_UNLIKELY_NAMES = ("", "not a name", "Surplus", "x", "0", "-", "é", "y" * 300)
_MAX_BAD_NAMES = 3

# --- arrays -------------------------------------------------------------------------------------------------


def bad_arrays(builders: Builders, shape: Shape) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield (keyword, what is wrong, builder) for arrays that a shape refuses."""
    low, high = shape.fewest, shape.room()
    bare = replace(shape, fewest=0, most=None, contains=[], checks=[])
    if low > 0:
        what = "empty" if low == 1 else f"fewer than {low} items"
        yield "minItems", what, builders.array(bare, length=low - 1)
    if high is not None and high < MAX_BUILT_ITEMS:
        yield _too_many_items(builders, shape, bare, high)
    if shape.unique and (high is None or high > 1):
        yield "uniqueItems", "an item twice", _twins(builders, shape)
    for node, least, most in shape.contains:
        yield from _bad_contents(builders, shape, node, least, most)


def _too_many_items(builders: Builders, shape: Shape, bare: Shape, high: int) -> tuple[str, str, BuildValue]:
    closed = shape.most is None or shape.item(shape.most) == (False,)
    if not (closed and shape.item(high) == (False,)):
        return "maxItems", f"more than {high} items", builders.array(bare, length=high + 1, repeat=True)
    full = builders.array(replace(shape, contains=[], checks=[]), length=high)
    extra = builders.array(replace(bare, lists=[], closed_items=False), length=1)

    def both(choices: Choices, depth: int) -> Json:
        return [*full(choices, depth), *extra(choices, depth)]

    return "items", f"an item past the first {high}", both


def _twins(builders: Builders, shape: Shape) -> BuildValue:
    """Return the builder of arrays that have an item twice."""
    room = shape.room()
    build = builders.array(replace(shape, checks=[]), length=max(1, shape.fewest - 1))

    def twice(choices: Choices, depth: int) -> Json:
        items = build(choices, depth)
        twin = copy.deepcopy(items[choices.index(len(items))])
        if room is not None and len(items) >= room:
            items[-1] = twin
        else:
            items.append(twin)
        return items

    return twice


def _bad_contents(
    builders: Builders, shape: Shape, node: Json, least: int, most: int | None
) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield arrays with too few or too many items that satisfy `contains`."""
    shapes, first = builders.shapes, shape.first_items
    lists: list[tuple[list[Json], Json]] = [([], shapes.join([*shape.item(first), shapes.opposite(node)]))]
    without = replace(shape, contains=[], checks=[], lists=lists)
    if least == 1:
        yield "contains", "without an item that must be there", builders.array(without)
    elif least > 1:
        inner = builders.node(shapes.join([*shape.item(first), node]))
        few = builders.array(without, forced=dict.fromkeys(range(least - 1), inner))
        yield "contains", f"fewer than {least} such items", few
    if most is not None and most < MAX_BUILT_ITEMS:
        inner = builders.node(shapes.join([*shape.item(first), node]))
        forced = dict.fromkeys(range(first, first + most + 1), inner)
        many = builders.array(replace(shape, contains=[], checks=[]), forced=forced)
        yield "maxContains", f"more than {most} such items", many


# --- objects ------------------------------------------------------------------------------------------------


def bad_objects(builders: Builders, shape: Shape) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield (keyword, what is wrong, builder) for objects that a shape refuses."""
    low, high = shape.least, shape.largest
    if low > len(shape.required):
        few = builders.object(replace(shape, least=0, checks=[]), count=low - 1)
        yield "minProperties", f"fewer than {low} members", few
    if high is not None and high < MAX_BUILT_ITEMS:
        many = builders.object(replace(shape, largest=None, checks=[]), count=high + 1)
        yield "maxProperties", f"more than {high} members", many
    yield from _without_dependents(builders, shape)
    yield from _refused_members(builders, shape)
    for number, bad in enumerate(_bad_names(builders, shape), 1):
        loose = replace(shape, names=[])
        nodes = loose.member(bad)
        inner = builders.node(builders.shapes.join(nodes)) if nodes != (False,) else constant(1)
        what = f"a member name that is not allowed ({number})"
        yield "propertyNames", what, builders.object(loose, forced={bad: inner})


def _without_dependents(builders: Builders, shape: Shape) -> Iterator[tuple[str, str, BuildValue]]:
    for name, others in shape.dependent.items():
        for other in others:
            if other in shape.required or shape.member(name) == (False,):
                continue
            inner = builders.node(builders.shapes.join(shape.member(name)))
            alone = builders.object(replace(shape, dependent={}), forced={name: inner}, omit={other})
            yield "dependentRequired", f"{name} without {other}", alone


def _refused_members(builders: Builders, shape: Shape) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield objects with a member that is undeclared, forbidden, or of a refused name."""
    if _UNDECLARED not in shape.declared and shape.member(_UNDECLARED) == (False,):
        keyword = "unevaluatedProperties" if shape.closed else "additionalProperties"
        rules = [replace(each, additional=None) for each in shape.member_rules]
        opened = replace(shape, member_rules=rules, closed=False)
        yield keyword, "an undeclared member", builders.object(opened, forced={_UNDECLARED: constant(1)})
    for name in shape.forbidden:
        freed = replace(shape, forbidden={k: None for k in shape.forbidden if k != name}, checks=[])
        nodes = freed.member(name)
        if nodes != (False,):
            inner = builders.node(builders.shapes.join(nodes))
            what = f"with {name}, which may not be there"
            yield "not", what, builders.object(freed, forced={name: inner})
    for each in shape.member_rules:
        for pattern, node in each.patterns.items():
            if node is False:
                rules = [replace(other, patterns={}, additional=None) for other in shape.member_rules]
                opened = replace(shape, member_rules=rules)
                build = builders.object(opened, forced_rest=(pattern, constant(1)))
                yield "patternProperties", f"a member by {pattern}", build


def _bad_names(builders: Builders, shape: Shape) -> list[str]:
    """Return names that `propertyNames` refuses, whatever the dialect of its patterns."""
    found: dict[str, None] = {}
    for node in shape.names:
        if isinstance(node, bool):
            continue
        test = builders.schema.branch(node).valid
        parts = schemas_of_all_paths(builders.schema.document, node)
        patterns = [part["pattern"] for part in parts if "pattern" in part]
        for name in _UNLIKELY_NAMES:
            if not test(name) and all(settled(pattern, name) is not None for pattern in patterns):
                found[name] = None
    return list(found)[:_MAX_BAD_NAMES]
