"""The benchmark of learnt catalogues counts what agrees with the true one, and names what does not."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from benchmarks.learning import Recorder, learnt
from benchmarks.learning_score import Score, Share, scored
from conformance.catalog.model import Catalog
from conformance.learning.catalogue import learn
from tests.servers import clinic
from tests.servers.engine import Engine
from tests.servers.engine_model import Request
from tests.support.recorded_calls import calls_of_a_shop


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return learn(calls_of_a_shop()).document


def score(true: dict[str, Any], other: dict[str, Any]) -> Score:
    sent = {method["name"]: {param["name"] for param in method["params"]} for method in true["methods"]}
    return scored(Catalog.parse(true), Catalog.parse(other), sent)


def test_a_catalogue_agrees_with_itself(document: dict[str, Any]) -> None:
    found = score(document, document)
    for each in fields(found):
        share: Share = getattr(found, each.name)
        assert share.total > 0, each.name
        assert share.right == share.total, each.name


def test_each_kind_of_mistake_is_counted(document: dict[str, Any]) -> None:
    other = deepcopy(document)
    methods = {method["name"]: method for method in other["methods"]}
    other["methods"].remove(methods["box.find"])
    add = methods["item.add"]
    by_name = {param["name"]: param for param in add["params"]}
    by_name["title"]["required"] = False
    by_name["price"]["schema"] = {"type": "number", "maximum": 1}
    by_name["state"]["schema"] = {"type": "boolean"}
    add["params"].append({"name": "colour", "schema": {}})
    add["x-object"]["kind"] = "other"
    methods["item.read"]["params"][0]["schema"] = {"type": "integer", "x-ref": "other"}
    methods["item.find"]["x-rows"] = ""
    methods["item.find"]["x-auth"] = "none"
    methods["item.words"]["x-effect"] = "write"
    found = score(document, other)
    wrong = {each.name for each in fields(found) if getattr(found, each.name).named}
    assert wrong == {
        *("functions", "no_other_parameters", "required", "types", "nothing_more_allowed", "auth", "effect"),
        *(
            "objects_precision",
            "objects_recall",
            "refs_precision",
            "refs_recall",
            "rows",
            "no_false_constraint",
        ),
    }
    assert found.functions.named == ["box.find"]
    assert found.required.named == ["item.add title"]


def test_what_a_server_answers_is_recorded_and_learnt(tmp_path: Path) -> None:
    recorder, engine = Recorder(), Engine(clinic.domain())
    engine.wrap("respond", recorder.around)
    entity, _, function = engine.domain.login[0].partition(".")
    user, (secret, _) = next(iter(engine.domain.users.items()))
    data = {engine.domain.login[1]: user, engine.domain.login[2]: secret}
    body = json.dumps({"method": function, "data": data}).encode()
    for _ in range(3):
        engine.answer(Request("POST", f"{engine.domain.base}{entity}", b"", [], body))
    path = tmp_path / "traffic.har"
    path.write_text(json.dumps({"log": {"entries": recorder.entries}}), "utf-8")
    document, sent = learnt(path, f"http://127.0.0.1{engine.domain.base}")
    assert sent == {engine.domain.login[0]: {"name", "password"}}
    assert secret not in json.dumps(document)
    assert document["methods"][0]["x-auth"] == "none"
    assert all(param["required"] for param in document["methods"][0]["params"])
