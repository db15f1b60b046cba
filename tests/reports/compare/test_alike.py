"""Like with like: what forbids a comparison of two loads, what limits it, and what is named beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from load.metrics.machine import machine_facts
from load.schedule.parsing import parse
from reports.compare import load as compare_load
from reports.compare import render as compare_show
from reports.compare.alike import beside, differences, mix_note
from reports.compare.rules import compare
from reports.model.store import Stored
from tests.support.reporting import load_part, loaded

#: What a run records of itself today.
RECORDED: dict[str, Any] = {
    "executor": "calls", "per_session": 1, "think": [1.0, 1.0], "read_only": False, "ceiling": None,
    "mix": {"course.find": 1.0, "course.read": 1.0, "course.add": 1.0},
    "connections": {"limit": 256, "policy": "kept open", "opened": 24, "most": 24},
    "search": None, "generator": machine_facts(),
}  # fmt: skip


def schedule(text: str) -> dict[str, Any]:
    return {"schedule": parse(text).to_json()}


def a_load(**members: Any) -> dict[str, Any]:
    return {**load_part(30, 100, seed=1), **RECORDED, **schedule("100/s for 30s"), **members}


def stored(load: dict[str, Any]) -> Stored:
    return Stored(Path("nowhere") / "run", loaded(seconds=10) | {"load": load})


def reported(base: dict[str, Any], new: dict[str, Any]) -> str:
    return "; ".join(differences(base, new))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (schedule("poisson 100/s for 30s"), "another shape: "),
        (schedule("ramp 50/s to 150/s for 30s"), "another shape: "),
        ({"users": 40}, "another number of sessions: 20, then 40"),
        ({"per_session": "any"}, "another number of calls at a time in a session: 1, then any"),
        (
            {"connections": {**RECORDED["connections"], "limit": 8}},
            "another limit of connections: 256, then 8",
        ),
        ({"connections": {**RECORDED["connections"], "policy": "new"}}, "another policy of connections"),
        ({"workers": 2}, "another number of workers: 1, then 2"),
        ({"warmup": 2.0}, "another warm-up: 5, then 2"),
        ({"seconds": 46.0}, "another duration: 30.2 s, then 46 s"),
        ({"read_only": True}, "another choice of functions (read-only): no, then yes"),
        ({"executor": "tasks"}, "another kind of arrivals: calls, then tasks"),
    ],
)
def test_what_was_not_the_same_load_is_not_compared(change: dict[str, Any], why: str) -> None:
    base, new = a_load(), a_load(**change)
    assert why in reported(base, new)
    found = compare_load.compare(base, {**new, "series": load_part(30, 100, seed=2, slower=3)["series"]})
    assert not found["comparable"]
    assert found["claims"] == []


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"seconds": 40.0, **schedule("100/s for 40s")},
        schedule("101/s for 30s"),
        {"think": [2.0, 2.0]},  # of closed users only
        {"connections": {"limit": 256, "policy": "kept open", "opened": 99, "most": 60}},
        # An earlier version recorded less.
        {"per_session": None, "read_only": None, "executor": None, "generator": None},
        {"schedule": {"kind": "constant", "text": "100/s for 30 s"}},
    ],
)
def test_what_was_the_same_load_is_compared(change: dict[str, Any]) -> None:
    assert reported(a_load(), a_load(**change)) == ""


def test_think_time_counts_of_closed_users() -> None:
    closed = {"arrivals": "closed", "schedule": None}
    base, new = a_load(**closed), a_load(**closed, think=[2.0, 3.0])
    assert "another think time: 1 s, then 2 to 3 s" in reported(base, new)


def test_a_ramp_is_no_other_ramp() -> None:
    one = a_load(**schedule("ramp 10/s to 200/s for 30s"))
    assert reported(one, a_load(**schedule("ramp 10/s to 200/s for 33s"))) == ""
    assert "another shape" in reported(one, a_load(**schedule("ramp 60/s to 150/s for 30s")))


def test_searches_are_the_same_where_they_try_the_same() -> None:
    search = {"text": "s", "low": 10, "high": 20, "seconds": 5, "factor": 2, "tolerance": 0.05, "trials": [1]}
    base = a_load(search=search, schedule=None)
    assert reported(base, a_load(search={**search, "trials": []}, schedule=None)) == ""
    assert "another shape" in reported(base, a_load(search={**search, "high": 30}, schedule=None))
    assert "another shape" in reported(base, a_load())


def with_requests(load: dict[str, Any], **requests: int) -> dict[str, Any]:
    functions = {
        name.replace("_", "."): {**load["functions"]["course.find"], "requests": count}
        for name, count in requests.items()
    }
    return {**load, "functions": functions}


def test_a_mix_that_was_asked_for_has_to_be_the_same() -> None:
    base = with_requests(a_load(), course_find=500, course_read=500)
    assert reported(base, with_requests(a_load(), course_find=515, course_read=485)) == ""
    other = with_requests(a_load(), course_find=530, course_read=470)
    assert "another mix: course.find 50.0%, then 53.0%" in reported(base, other)
    # Tasks draw what they call.
    few = {"scenario": "student", "executor": "tasks"}
    drawn = [with_requests(a_load(**few), course_find=50 + by, course_read=50 - by) for by in (0, 5)]
    assert reported(*drawn) == ""


def test_a_new_function_does_not_look_like_a_regression() -> None:
    """Without a mix the mix follows the catalogue: a slow new function changes the totals, and is no regression."""
    base = a_load(mix=None)
    slow = load_part(30, 100, seed=2, slower=3, functions=("report.find",))
    new = {**slow, **RECORDED, **schedule("100/s for 30s"), "mix": None}
    new["functions"] = {**load_part(30, 100, seed=3)["functions"], **slow["functions"]}
    note = mix_note(base, new)
    assert note is not None
    assert "totals are not compared" in note
    found = compare(stored(base), stored(new))
    load = found["load"]
    assert load["comparable"]
    assert load["claims"] == []
    assert {row["claim"] for row in load["rows"] if row["function"] is None} == {"not compared"}
    assert {row["claim"] for row in load["rows"] if row["function"] is not None} == {"same"}
    assert found["verdict"] != "regression"
    for text in (
        compare_show.text(found),
        "\n".join(compare_show.markdown(found)),
        str(compare_show.part(found)),
    ):
        assert "the mix follows the catalogue" in " ".join(text.split())


def test_functions_are_compared_by_themselves_where_the_mix_follows_the_catalogue() -> None:
    base, new = a_load(mix=None), a_load(mix=None)
    slower = load_part(30, 100, seed=2, slower=3)
    new["functions"] = {**slower["functions"], "report.find": slower["functions"]["course.find"]}
    found = compare_load.compare(base, new)
    assert found["comparable"]
    assert {claim["function"] for claim in found["claims"]} == {"course.find", "course.read", "course.add"}
    assert all(claim["worse"] for claim in found["claims"])


def test_what_differs_beside_is_named() -> None:
    machine = {**machine_facts(), "memory": 2**31}
    other = {**machine, "cpu": "Another CPU", "memory": 2**33, "python": "3.99.1"}
    base, new = a_load(generator=machine), a_load(generator=other)
    lines = beside(base, new, [{"commit": ["abc"]}, {"commit": ["def", "x"]}])
    assert lines[0] == "the target's build (commit): abc, then def, x"
    assert any(line.endswith("then Another CPU") for line in lines)
    assert "the generator's memory: 2.0 GiB, then 8.0 GiB" in lines
    assert any(line.startswith("Python: ") for line in lines)
    assert beside(base, base) == []
    assert beside(base, base, suites=["0.1.0", "0.2.0"]) == ["the suite's version: 0.1.0, then 0.2.0"]
    found = compare(stored(base), stored(new))
    assert found["load"]["comparable"]
    for text in (
        compare_show.text(found),
        "\n".join(compare_show.markdown(found)),
        str(compare_show.part(found)),
    ):
        assert "Another CPU" in text


def test_latencies_of_an_earlier_version_are_compared_without_failures_only() -> None:
    """Earlier versions measured refused requests together with served ones."""
    older, newer = a_load(), a_load()
    newer["total"] = {**newer["total"], "served": newer["total"]["requests"]}
    assert reported(older, newer) == ""
    older["total"] = {**older["total"], "failed": 400}
    assert "another definition of latencies: those of one run include its failed requests" in reported(
        older, newer
    )
    assert "another definition of latencies" in reported(newer, older)
    assert reported(older, older) == ""


def test_a_machine_is_known() -> None:
    facts = machine_facts()
    assert set(facts) == {"cpu", "cores", "memory", "kernel", "python"}
    assert facts["cores"]
