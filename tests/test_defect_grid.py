"""The defect grid draws defects that show, and a check finds drawn ones; variants are correct."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from benchmarks import variants
from benchmarks.defect_grid import __main__ as grid
from benchmarks.defect_grid import judging, score, targets
from benchmarks.defect_grid.catalogue_view import Place, View, witness
from benchmarks.defect_grid.template import TEMPLATES, Instance, instances
from benchmarks.defect_grid.values import TEXTS, _shows
from conformance.rulebook import RULES

VIEWS = {server: targets.view_of(server) for server in targets.SERVERS}


@pytest.fixture(scope="module")
def every() -> list[Instance]:
    return [found for server, view in VIEWS.items() for found in instances(view, server)]


def test_templates_name_rules_that_exist() -> None:
    assert {rule for entry in TEMPLATES.values() for rule in entry.rules} <= set(RULES)


def test_every_template_has_places_and_every_place_a_name_of_its_own(every: list[Instance]) -> None:
    assert {found.template.name for found in every} == set(TEMPLATES)
    assert [key for key, count in Counter(found.key for found in every).items() if count > 1] == []


def test_a_sample_depends_on_its_seed_alone(every: list[Instance]) -> None:
    one, again, other = (grid.sample(every, 40, seed) for seed in (1, 1, 2))
    assert [found.key for found in one] == [found.key for found in again] != [found.key for found in other]
    assert len({found.template.name for found in one}) == 40


def test_what_changes_nothing_is_left_out() -> None:
    length = {"type": "string", "minLength": 0}
    assert witness(length, {"type": "string"}, ["", "a"]) is None
    word: dict[str, Any] = {"type": "string", "enum": ["red", "green"]}
    place = Place(next(iter(VIEWS["clinic"].functions.values())), ("colour",), word, True)
    change, values = TEXTS["plus-to-blank"]
    assert not _shows(place, change, values)


def test_score_has_intervals() -> None:
    low, high = score.wilson(18, 20)
    assert round(low, 2) == 0.70
    assert round(high, 2) == 0.97


#: Of each server one defect that a check finds in a second or two.
FOUND = [
    "reference envelope.success-with-more course.read",
    "clinic owner.unchecked patient.get",
    "warehouse list.of-everybody depot.search",
    "clinic owner.unchecked note.change",
    "clinic owner.unchecked-of-child-and-parent visit.get",
    "warehouse answer.over-16-kB-cut every call",
]

#: What changes nothing that a rule speaks of, so that no defect of these is drawn there.
SILENT = [
    ("clinic", "owner.unchecked", "visit.get"),
    ("clinic", "list.of-everybody", "note.list"),
    ("warehouse", "data.array-in-order", "order.drop"),
    ("warehouse", "method.snake-case", "every call"),
    ("warehouse", "owner.unchecked-for-a-role", "item.show by viewer"),
]


@pytest.mark.parametrize(("server", "name", "label"), SILENT)
def test_no_defect_is_drawn_where_it_would_be_allowed(server: str, name: str, label: str) -> None:
    drawn = {found.label for found in instances(VIEWS[server], server, TEMPLATES[name])}
    assert label not in drawn


@pytest.mark.parametrize("key", FOUND)
def test_a_drawn_defect_is_found(key: str) -> None:
    result = judging.judged(key, key.split()[0], "quick", 1, full=False, near=False)
    assert result["error"] is None
    assert result["located"]


#: Variants that contradict none of the others here, and rules that look at what they change.
TOGETHER = (
    "foreign-objects-403",
    "lists-newest-first",
    "tokens-are-structured",
    "refusals-with-an-empty-object",
)


@pytest.mark.parametrize("server", ["reference", "warehouse"])
def test_variants_are_not_accused(server: str) -> None:
    rules = ("ACC-2", "AUT-5", "AUT-8", "ENV-8", "PAG-2", "STA-3")
    assert variants.findings(TOGETHER, server, "quick", 1, rules) == {}


def test_there_are_forty_variants_and_combinations_hold_them_all() -> None:

    assert len(variants.VARIANTS) >= 40
    drawn = variants.drawn(random.Random(3), 3)
    assert sorted(name for names in drawn for name in names) == sorted(variants.VARIANTS)
    assert isinstance(VIEWS["clinic"], View)
