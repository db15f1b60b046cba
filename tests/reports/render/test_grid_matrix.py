"""The matrix of places and families in report.html."""

from __future__ import annotations

from reports.render.html.page import _grid


def test_matrix_shows_the_most_important_outcome() -> None:
    matrix = _grid(
        {
            "/title": {"type": {"refused_as_due": 3, "not_refused": 1}, "blanks": {"came_back": 2}},
            "/body": {"blanks": {"refused": 1}},
        },
        {},
    )
    assert matrix == {
        "families": ["blanks", "type"],
        "rows": [{"place": "/body", "cells": ["r", ""]}, {"place": "/title", "cells": ["✓", "✗"]}],
        "tried": "3 of 4",
        "legend": [],
    }


def test_matrix_says_why_cells_are_empty() -> None:
    grid = {"/title": {"blanks": {"came_back": 2}}}
    not_tried = {"no time": {"/title": ["type"], "/body": ["blanks"]}, "a reason": {"/body": ["type"]}}
    matrix = _grid(grid, not_tried)
    assert matrix is not None
    assert matrix["rows"] == [
        {"place": "/body", "cells": ["b", "a"]},
        {"place": "/title", "cells": ["✓", "b"]},
    ]
    assert matrix["legend"] == ["a not tried: a reason", "b not tried: no time"]


def test_no_matrix_where_nothing_was_counted() -> None:
    assert _grid({}, {}) is None
