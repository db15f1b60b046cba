"""One place collects the tests: pytest runs those that the engine lists, in the same order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.engine.collection import SUITES, collect, functions_of_suites
from conformance.engine.conclusion import Options
from conformance.engine.early import EARLY
from conformance.engine.harness import Harness, Request
from conformance.engine.markers import Facts, When, disturbs_sessions, judges
from conformance.engine.payload_budget import Share
from conformance.engine.runner import Run
from conformance.engine.scheduling import USUAL_CALLS, Calls
from conformance.rulebook import RULES
from tests.support.judging import serving
from tests.support.recording import PROFILE, ROOT, ran, ran_bare_pytest


def listed(*rules: str, budget: str = "standard") -> list[str]:
    with serving() as url:
        harness = Harness.prepare(Request(target=url, profile=PROFILE, budget=budget, rules=rules))
        options = Options(seed=7, budget=budget, rules=harness.wanted)
        run = Run(harness.profile, harness.catalog, options, lambda event: None)
        names = [test.name for test in collect(run, harness.wanted)]
        run.client.close()
    return names


@pytest.mark.parametrize("rules", [("PAG-2", "DAT-3", "AUT-8"), ("ENV-5",)])
def test_pytest_runs_what_the_engine_lists(rules: tuple[str, ...], tmp_path: Path) -> None:
    chosen = [option for rule in rules for option in ("--rule", rule)]
    _, out, err = ran_bare_pytest(
        "conformance", "--collect-only", "-q", "--out", tmp_path / "o", *chosen, cwd=ROOT
    )
    lines = [line for line in out.splitlines() if "::test_" in line]
    names = [line.removeprefix("conformance/suites/").replace(".py::", ".") for line in lines]
    assert len(names) > 10, out + err
    assert names == listed(*rules)


def test_a_check_runs_all_that_the_engine_lists(tmp_path: Path) -> None:
    """It collects the tests of the wanted rules alone."""
    rules = ("PAG-7", "AUT-12")
    chosen = [option for rule in rules for option in ("--rule", rule)]
    with serving() as url:
        status, out, err = ran(
            "check",
            "--target",
            url,
            "--profile",
            PROFILE,
            "--budget",
            "quick",
            "--out",
            "o",
            *chosen,
            cwd=tmp_path,
        )
    assert status == 0, out + err
    records = map(json.loads, (tmp_path / "o" / "events.jsonl").read_text("utf-8").splitlines())
    names = [record["name"] for record in records if record["event"] == "conversation"]
    assert sorted(set(names)) == sorted(listed(*rules, budget="quick"))


def test_cases_come_first_and_the_rules_of_every_exchange_last() -> None:
    whens = {function.__name__: facts.when for _, function, facts in functions_of_suites()}
    assert whens.pop("test_a_case") is When.FIRST
    assert whens.pop("test_every_exchange") is When.LAST
    assert whens.pop("test_nothing_follows_an_answer") is When.LAST
    assert set(whens.values()) == {When.IN_ORDER}
    assert listed("ENV-5")[-1] == "test_envelope.test_every_exchange[ENV-5]"


def test_the_tests_that_find_most_come_first() -> None:
    facts = {f"{module}.{function.__name__}": facts for module, function, facts in functions_of_suites()}
    assert set(EARLY) <= set(facts)
    for name in EARLY:
        assert facts[name].when is When.IN_ORDER
        assert facts[name].share is None
        assert not facts[name].disturbs_sessions
    kinds = list(dict.fromkeys(name.partition("[")[0] for name in listed(*RULES)))
    assert kinds[: len(EARLY)] == list(EARLY)
    later = [name.partition(".")[0] for name in kinds[len(EARLY) :] if facts[name].when is When.IN_ORDER]
    assert list(dict.fromkeys(later)) == [module for module in SUITES if module in later]


def test_every_suite_is_listed() -> None:
    assert set(SUITES) == {path.stem for path in (ROOT / "conformance" / "suites").glob("test_*.py")}


def test_every_test_function_of_the_suites_names_its_rules() -> None:
    for module, function, facts in functions_of_suites():
        assert facts.when is When.FIRST or facts.rules, f"{module}.{function.__name__}"
        assert set(facts.rules) <= RULES.keys()


def test_the_decorators_say_what_a_test_costs() -> None:
    @judges("DAT-1", "DAT-2", share=Share(requests=0.5, seconds=0.25))
    @disturbs_sessions
    def generating() -> None: ...

    @judges("AUT-2", calls=27, logins=20)
    def expensive() -> None: ...

    def unmarked() -> None: ...

    facts = Facts.of(generating)
    assert facts == Facts(("DAT-1", "DAT-2"), Share(0.5, 0.25), disturbs_sessions=True)
    assert facts.calls == USUAL_CALLS
    assert Facts.of(expensive) == Facts(("AUT-2",), calls=Calls(27, 20))
    assert Facts.of(unmarked) is None
