"""The suite finds nothing on two correct servers whose catalogues have what the other servers lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import clinic, engine_http, warehouse
from tests.servers.engine import Engine
from tests.servers.engine_model import Domain
from tests.support.judging import broken, judge, verdicts

DOMAINS = {"clinic": clinic.domain(), "warehouse": warehouse.domain()}

#: Rules that need what a domain does not have: the warehouse has no login by key, and no function of two words.
LACKING = {"clinic": set[str](), "warehouse": {"AUT-16", "NAM-3"}}

#: Rules about parents, roles, lists and identifiers: what these domains are for.
RULES = ("ACC-1", "ACC-2", "ACC-4", "PAG-2", "STA-3", "AUT-8", "COD-10")


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize(("budget", "seed"), [("quick", 7), ("quick", 8), ("standard", 7)])
@pytest.mark.thorough
def test_domain_is_clean(name: str, budget: str, seed: int, tmp_path: Path) -> None:
    with engine_http.serving(Engine(DOMAINS[name]), tmp_path) as ready:
        report = judge(target=ready.url, profile=ready.profile, budget=budget, seed=seed)
    assert broken(report) == {}
    assert {rule for rule, verdict in verdicts(report).items() if verdict != "pass"} == LACKING[name]
    assert report["leftovers"] == []


def test_clinic_is_clean_for_parents_and_roles(tmp_path: Path) -> None:
    with engine_http.serving(Engine(DOMAINS["clinic"]), tmp_path) as ready:
        report = judge(target=ready.url, profile=ready.profile, rules=RULES, budget="quick")
    assert broken(report) == {}
    assert {rule for rule, verdict in verdicts(report).items() if verdict == "pass"} == set(RULES)


def test_catalogues_have_what_they_are_for() -> None:
    for domain in DOMAINS.values():
        check_of(domain)


def check_of(domain: Domain) -> None:
    methods = domain.document["methods"]
    nested = [
        method for method in methods if len([p for p in method["params"] if "x-ref" in p["schema"]]) > 1
    ]
    assert nested, "no call names a child and its parent"
    does: dict[str, set[str]] = {}
    for method in methods:
        if "x-object" in method:
            does.setdefault(method["x-object"]["kind"], set()).add(method["x-object"]["does"])
    assert any("update" not in found for found in does.values())
    assert any("read" not in found for found in does.values())
    shapes = {str(method["result"]["schema"].get("type")) for method in methods}
    assert {"integer", "array", "object"} <= shapes
