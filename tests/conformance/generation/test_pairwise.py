"""Each pair of choices of two arguments comes, in few rows."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from conformance.catalog.model import Method, Param
from conformance.generation.pairwise import Choice, choices, covering


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 4), max_size=7), st.integers(0, 99))
def test_every_pair_is_covered(sizes: dict[str, int], seed: int) -> None:
    levels = {name: list(range(size)) for name, size in sizes.items()}
    rows = list(covering(levels, random.Random(seed)))
    for (one, first), (other, second) in itertools.combinations(levels.items(), 2):
        assert {(row[one], row[other]) for row in rows} == set(itertools.product(first, second))
    assert all(row.keys() == levels.keys() for row in rows)
    assert len(rows) <= len({(r[a], r[b], a, b) for r in rows for a, b in itertools.combinations(levels, 2)})


def test_ten_parameters_take_a_dozen_rows() -> None:
    levels = {f"p{number}": [Choice.ABSENT, Choice.GIVEN] for number in range(10)}
    assert len(list(covering(levels, random.Random(1)))) <= 12


def test_same_seed_gives_the_same_rows() -> None:
    levels = {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2, 3]}
    assert list(covering(levels, random.Random(5))) == list(covering(levels, random.Random(5)))


def test_choices_follow_the_schemas() -> None:
    function = Method(
        "course.add",
        params=(
            Param("title", {"type": "string"}, required=True),
            Param("level", {"type": "string", "enum": ["low", "high"]}, required=True),
            Param("open", {"type": ["boolean", "null"]}),
            Param("note", {"type": "string"}),
        ),
    )
    assert choices(function) == {
        "level": ["low", "high"],
        "open": [Choice.ABSENT, False, True, None],
        "note": [Choice.ABSENT, Choice.GIVEN],
    }
