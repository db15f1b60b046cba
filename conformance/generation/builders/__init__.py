"""Builders of values: functions that take choices, compiled once from the shapes of a schema."""

from __future__ import annotations

from conformance.generation.builders.builders import Builders, BuildValue, first_accepted
from conformance.generation.builders.numbers import number_edges
from conformance.generation.builders.steps import Step

__all__ = ["BuildValue", "Builders", "Step", "first_accepted", "number_edges"]
