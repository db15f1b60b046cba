"""The shapes of the places of a schema: one for each path through its branches, flattened once."""

from __future__ import annotations

import contextlib

from conformance.generation.errors import Impossible
from conformance.generation.flattening import BranchScript, DerivedSchemas, Flattener
from conformance.generation.shape import Shape
from conformance.schema.bundle import Json
from conformance.schema.validation import Schema

__all__ = ["INFINITE_HEIGHT", "MAX_PATHS", "Shapes"]

#: Paths through the branches of one place that are followed.
MAX_PATHS = 48

#: The height of a value that contains itself without end.
INFINITE_HEIGHT = 99

_MAX_HEIGHT = 12


class Shapes(DerivedSchemas):
    """The shapes of the places of one bundled schema, each flattened once.

    A place has one shape for each path through `anyOf`, `oneOf` and `if`. What cannot be flattened (the rest of
    `oneOf`, most of `not`) remains as a check on the finished value.
    """

    def __init__(self, schema: Schema) -> None:
        """Flatten the parts of `schema` when they are asked for."""
        super().__init__()
        self.schema = schema
        self.document = schema.document
        #: By the identity of a schema: why some of its paths are not followed.
        self.too_many: dict[int, str] = {}
        self._flattener = Flattener(schema, self)
        self._shapes: dict[int, list[Shape]] = {}
        self._fits: dict[tuple[int, int], bool] = {}

    def valid(self, node: Json, value: Json) -> bool:
        """Return whether a value satisfies a schema that may refer into the document."""
        return node if isinstance(node, bool) else self.schema.branch(node).valid(value)

    def of(self, node: Json) -> list[Shape]:
        """Return the shapes of a schema; none when nothing is valid."""
        if isinstance(node, bool):
            return [Shape()] if node else []
        known = self._shapes.get(id(node))
        if known is not None:
            return known
        self.keep_alive(node)
        found: list[Shape] = []
        scripts: list[list[int]] = [[]]
        while scripts:
            if len(found) >= MAX_PATHS:
                self.too_many[id(node)] = f"only {MAX_PATHS} of its combinations of branches are made"
                break
            script = BranchScript(scripts.pop(0))
            with contextlib.suppress(Impossible):
                found.append(self._flattener.flatten(node, script))
            scripts += script.untried
        self._shapes[id(node)] = found
        return found

    def why_none(self, node: Json) -> Impossible:
        """Return why a schema has no shape."""
        if node is False:
            return Impossible("false", "the schema lets nothing pass")
        try:
            self._flattener.flatten(node, BranchScript([]))
        except Impossible as why:
            return why
        return Impossible("schema", "nothing passes")

    # --- nesting

    def height(self, node: Json) -> int:
        """Return how deep a value of a schema must nest at least."""
        return next((height for height in range(_MAX_HEIGHT + 1) if self._fit(node, height)), INFINITE_HEIGHT)

    def shape_height(self, shape: Shape, kind: str = "") -> int:
        """Return how deep a value of a shape must nest at least, of one type or of any."""
        if shape.values is not None:
            return 0
        kinds = (kind,) if kind else shape.types
        heights = range(_MAX_HEIGHT + 1)
        return next(
            (height for height in heights if any(self._type_fits(shape, each, height) for each in kinds)),
            INFINITE_HEIGHT,
        )

    def _fit(self, node: Json, height: int) -> bool:
        if isinstance(node, bool):
            return node
        key = (id(node), height)
        if key not in self._fits:
            self._fits[key] = any(self._shape_fits(shape, height) for shape in self.of(node))
        return self._fits[key]

    def _shape_fits(self, shape: Shape, height: int) -> bool:
        return shape.values is not None or any(self._type_fits(shape, kind, height) for kind in shape.types)

    def _type_fits(self, shape: Shape, kind: str, height: int) -> bool:
        """Return whether a value of a type can have no more than so many levels."""
        if kind == "object":
            nodes = [self.join(shape.member(name)) for name in shape.required]
        elif kind == "array":
            count = min(shape.fewest, shape.first_items + 1)
            nodes = [self.join(shape.item(index)) for index in range(count)]
            nodes += [node for node, least, _ in shape.contains if least]
        else:
            return True
        return not nodes or (height > 0 and all(self._fit(node, height - 1) for node in nodes))
