"""The ways in which data can violate its schema: one catalogue, by kind, insertion point and value."""

from __future__ import annotations

from conformance.generation.violations.catalogue import violation_cases
from conformance.generation.violations.violation import Violation

__all__ = ["Violation", "violation_cases"]
