"""A catalogue is updated with what was learnt since, and traffic that contradicts it is listed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.learning.catalogue import learn
from conformance.learning.changes import changes
from conformance.learning.drift import contradictions, merge, recorded
from tests.support.recorded_calls import calls_of_a_shop


@pytest.fixture(scope="module")
def learnt() -> dict[str, Any]:
    return recorded(learn(calls_of_a_shop()).document, ["monday.har"])


@pytest.fixture(scope="module")
def later() -> dict[str, Any]:
    return learn(calls_of_a_shop(7, rounds=40)).document


def method(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["methods"] if each["name"] == name)
    return found


def drift(document: dict[str, Any], seed: int = 7) -> list[str]:
    calls = calls_of_a_shop(seed)
    return contradictions(Catalog.parse(document), calls, learn(calls).document)


def test_the_same_target_does_not_drift(learnt: dict[str, Any]) -> None:
    assert drift(learnt) == []


def test_what_calls_contradict_is_drift(learnt: dict[str, Any]) -> None:
    other = deepcopy(learnt)
    other["methods"] = [each for each in other["methods"] if each["name"] != "box.find"]
    add = method(other, "item.add")
    next(param for param in add["params"] if param["name"] == "title")["required"] = False
    add["params"] = [param for param in add["params"] if param["name"] != "note"]
    next(param for param in add["params"] if param["name"] == "price")["schema"] = {"type": "integer"}
    method(other, "item.find")["x-auth"] = "none"
    method(other, "item.read")["result"]["schema"]["properties"]["title"] = {"type": "string", "maxLength": 3}
    lines = drift(other)
    assert [line for line in lines if line.startswith("box.find: is not in the catalogue")]
    assert [line for line in lines if line.startswith("item.add title: is not required")]
    assert [line for line in lines if line.startswith("item.add note: is no parameter")]
    assert [line for line in lines if line.startswith("item.add: was accepted though /price breaks type")]
    assert [line for line in lines if line.startswith("item.find: x-auth is none, calls show session")]
    assert [
        line for line in lines if line.startswith("item.read: returned data though /title breaks maxLength")
    ]
    assert len(lines) == 6


def test_functions_that_were_not_called_are_no_drift(learnt: dict[str, Any]) -> None:
    more = {**learnt, "methods": [*learnt["methods"], {"name": "item.burn", "params": []}]}
    assert drift(more) == []


def test_an_update_takes_what_is_new(learnt: dict[str, Any], later: dict[str, Any]) -> None:
    former = deepcopy(learnt)
    former["methods"] = [each for each in former["methods"] if each["name"] != "box.find"]
    del former["x-learned"]["digests"]["box.find"]
    merged = merge(former, later, ["tuesday.har"])
    assert merged.added == ["box.find"]
    assert merged.preserved == []
    assert merged.document["x-learned"]["from"] == ["monday.har", "tuesday.har"]
    Catalog.parse(merged.document)
    again = merge(merged.document, later, ["tuesday.har"])
    assert (again.added, again.changed, again.preserved) == ([], [], [])
    assert again.document == merged.document


def test_what_a_person_wrote_stays(learnt: dict[str, Any], later: dict[str, Any]) -> None:
    former = deepcopy(learnt)
    read, change = method(former, "item.read"), method(former, "item.change")
    read["description"] = "Read an item."
    read["x-auth"] = "clerk"
    del change["x-object"]
    former["methods"] = [each for each in former["methods"] if each["name"] != "box.get"]
    add = method(former, "item.add")
    title = next(param for param in add["params"] if param["name"] == "title")
    title["schema"] = {"type": "string", "minLength": 1, "maxLength": 80}
    merged = merge(former, later, [])
    out = merged.document
    assert method(out, "item.read")["description"] == "Read an item."
    assert method(out, "item.read")["x-auth"] == "clerk"
    assert "x-object" not in method(out, "item.change")
    assert not [each for each in out["methods"] if each["name"] == "box.get"]
    assert (
        next(p for p in method(out, "item.add")["params"] if p["name"] == "title")["schema"]["maxLength"]
        == 80
    )
    assert len(merged.preserved) == 4


def test_a_question_that_was_answered_is_not_asked_again(
    learnt: dict[str, Any], later: dict[str, Any]
) -> None:
    former = deepcopy(learnt)
    add = method(former, "item.add")
    assert "x-beyond-schema" in add["x-questions"]
    add["x-questions"].remove("x-beyond-schema")
    out = merge(former, later, []).document
    assert "x-beyond-schema" not in method(out, "item.add").get("x-questions", [])


def test_a_catalogue_written_by_hand_is_updated_too(later: dict[str, Any]) -> None:
    mine = {
        "openrpc": "1.3.2",
        "info": {"title": "Shop", "version": "1"},
        "methods": [{"name": "item.read", "params": [], "x-effect": "read"}],
    }
    merged = merge(mine, later, ["a.har"])
    read = method(merged.document, "item.read")
    assert [param["name"] for param in read["params"]] == ["itemId"]
    assert read["x-effect"] == "read"
    assert "item.read itemId" in merged.added


def test_changes_of_catalogues(learnt: dict[str, Any]) -> None:
    other = deepcopy(learnt)
    other["methods"] = [each for each in other["methods"] if each["name"] != "box.find"]
    other["methods"].append({"name": "item.burn", "params": []})
    add = method(other, "item.add")
    next(param for param in add["params"] if param["name"] == "price")["schema"] = {"type": "integer"}
    add["params"].append({"name": "colour", "required": True, "schema": {"type": "string"}})
    method(other, "item.find")["x-rows"] = ""
    before, after = Catalog.parse(learnt), Catalog.parse(other)
    assert changes(before, before) == []
    assert changes(before, after) == [
        "- box.find",
        "+ item.burn",
        '~ item.add price: type ["null", "number"] → "integer"',
        "+ item.add colour (required)",
        '~ item.find: x-rows "/items" → ""',
    ]
