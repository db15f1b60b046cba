"""The coverage: the grid of each function says what became of the values of each family at each place."""

from __future__ import annotations

from conformance.engine.coverage import Coverage


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
