"""The coverage: the grid of each function says what became of the values of each family at each place."""

from __future__ import annotations

from conformance.engine.coverage import Coverage, Gap
from conformance.engine.dry_run import _size


def test_grid_counts_what_became_of_each_family() -> None:
    coverage = Coverage()
    coverage.add("a.b", "edge", 200, valid=True, place=("title", "/title maxLength"))
    coverage.add("a.b", "edge", 400, valid=True, place=("title", "/title maxLength"))
    coverage.add("a.b", "violation", 400, valid=False, place=("title", "/title maxLength"))
    coverage.add("a.b", "violation", 200, valid=False, place=("title", "/title type"))
    coverage.add("a.b", "valid", 200, valid=True)
    coverage.add_cell("a.b", "/title", "balanced quotes", "came_back")
    coverage.add_cell("a.b", "/title", "balanced quotes", "altered")
    event = coverage.event()
    assert event is not None
    assert event.functions["a.b"]["grid"] == {
        "/title": {
            "maxLength": {"accepted": 1, "refused": 1, "refused_as_due": 1},
            "type": {"not_refused": 1},
            "balanced quotes": {"came_back": 1, "altered": 1},
        }
    }


def test_edges_accepted_together_count_for_their_parameter() -> None:
    coverage = Coverage()
    coverage.add("a.b", "violation", 400, valid=False, place=("title", "/title maxLength"))
    coverage.add_accepted("a.b", "title", "/title maxLength")
    event = coverage.event()
    assert event is not None
    assert event.functions["a.b"]["parameters"] == {"title": {"accepted": 1, "refused": 1}}


def test_each_empty_cell_of_the_grid_has_a_reason() -> None:
    coverage = Coverage()
    coverage.add("a.b", "valid", 200, valid=True)
    coverage.add_cell("a.b", "/title", "blanks", "came_back")
    coverage.add_planned("a.b", "/title", "blanks")
    coverage.add_planned("a.b", "/title", "long")
    coverage.add_planned("a.b", "/id", "operator", Gap.OBJECT)
    event = coverage.event()
    assert event is not None
    assert event.functions["a.b"]["not_tried"] == {
        Gap.OBJECT: {"/id": ["operator"]},
        Gap.TYPE: {"/id": ["blanks", "long"], "/title": ["operator"]},
        Gap.BUDGET: {"/title": ["long"]},
    }
    size = coverage.grid_size()
    assert (size.places, size.families, size.tried, size.admitted) == (2, 3, 1, 3)
    assert _size(size)[0] == (
        "The grid of values has 2 places × 3 families; 3 cells fit, and 1 of them would be tried."
    )
    assert any(line.endswith(f"1 would not: {Gap.BUDGET}") for line in _size(size))


def test_what_a_function_refuses_at_all_is_not_a_matter_of_the_budget() -> None:
    coverage = Coverage()
    coverage.add("a.b", "valid", 400, valid=True)
    coverage.add_cell("a.b", "/title", "blanks", "refused")
    coverage.add_planned("a.b", "/title", "long")
    event = coverage.event()
    assert event is not None
    assert event.functions["a.b"]["not_tried"] == {Gap.NO_CALL: {"/title": ["long"]}}
