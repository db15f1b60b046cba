"""A catalogue is learnt from recorded calls, with no constraint that they do not show."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.generation import payloads
from conformance.learning.calls import Call
from conformance.learning.catalogue import learn
from conformance.learning.evidence import Thresholds
from conformance.learning.rights import Facts
from conformance.schema.validation import Schema
from tests.support.recorded_calls import calls_of_a_shop


@pytest.fixture(scope="module")
def learnt() -> dict[str, Any]:
    facts = Facts(roles={"root": frozenset({"user", "admin"}), "ann": frozenset({"user"})})
    return learn(calls_of_a_shop(), facts=facts).document


@pytest.fixture(scope="module")
def methods(learnt: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {method["name"]: method for method in learnt["methods"]}


def param(method: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in method["params"] if each["name"] == name)
    return found


def test_it_is_a_valid_catalogue(learnt: dict[str, Any]) -> None:
    catalog = Catalog.parse(learnt)
    assert {method.name for method in catalog} == {
        *("gate.enter", "gate.stats", "item.add", "item.read", "item.change", "item.remove", "item.find"),
        *("item.words", "box.add", "box.get", "box.find"),
    }


def test_objects_follow_from_the_flow_of_identifiers(methods: dict[str, dict[str, Any]]) -> None:
    roles = {name: method["x-object"] for name, method in methods.items() if "x-object" in method}
    assert roles == {
        "item.add": {"kind": "item", "does": "create", "id": "/itemId"},
        "item.read": {"kind": "item", "does": "read", "id": "itemId"},
        "item.change": {"kind": "item", "does": "update", "id": "itemId"},
        "item.remove": {"kind": "item", "does": "delete", "id": "itemId"},
        "item.find": {"kind": "item", "does": "list", "id": "/itemId"},
        "box.add": {"kind": "box", "does": "create", "id": "/box/boxId", "at": "/box"},
        "box.get": {"kind": "box", "does": "read", "id": "boxId", "at": "/box"},
        "box.find": {"kind": "box", "does": "list", "id": "/boxId"},
    }


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return a value with other names of members, at any depth."""
    if isinstance(value, dict):
        return {names.get(name, name): renamed(item, names) for name, item in value.items()}
    return [renamed(item, names) for item in value] if isinstance(value, list) else value


def test_identifiers_may_be_called_id() -> None:
    calls = []
    for each in calls_of_a_shop():
        names = {"itemId": "id"} if each.entity == "item" else {"itemId": "item", "boxId": "id"}
        calls.append(
            replace(each, arguments=renamed(each.arguments, names), result=renamed(each.result, names))
        )
    document = learn(calls).document
    roles = {method["name"]: method["x-object"] for method in document["methods"] if "x-object" in method}
    assert roles["item.add"] == {"kind": "item", "does": "create", "id": "/id"}
    assert roles["item.change"] == {"kind": "item", "does": "update", "id": "id"}
    assert roles["box.add"] == {"kind": "box", "does": "create", "id": "/box/id", "at": "/box"}
    assert roles["box.find"] == {"kind": "box", "does": "list", "id": "/id"}
    assert len(roles) == 8
    catalog = Catalog.parse(document)
    assert catalog["item.read"].refs == (("/id", "item"),)
    assert catalog["box.add"].refs == (("/lines/*/item", "item"),)


def test_references_are_found_at_any_depth(learnt: dict[str, Any]) -> None:
    catalog = Catalog.parse(learnt)
    assert catalog["box.add"].refs == (("/lines/*/itemId", "item"),)
    assert catalog["item.read"].refs == (("/itemId", "item"),)
    assert catalog["item.add"].refs == ()


def test_rights_effects_and_rows(methods: dict[str, dict[str, Any]]) -> None:
    rights = {name: method["x-auth"] for name, method in methods.items()}
    assert rights["item.words"] == rights["gate.enter"] == "none"
    assert rights["item.find"] == "session"
    assert rights["gate.stats"] == "admin"
    effects = {name: method["x-effect"] for name, method in methods.items()}
    assert effects["item.remove"] == "delete"
    assert {name for name, effect in effects.items() if effect == "read"} == {
        *("item.read", "item.find", "item.words", "box.get", "box.find", "gate.stats")
    }
    assert methods["item.find"]["x-rows"] == "/items"
    assert "x-rows" not in methods["box.find"]


def test_what_was_always_given_or_refused_without_is_required(methods: dict[str, dict[str, Any]]) -> None:
    add = methods["item.add"]
    assert [each["name"] for each in add["params"] if each["required"]] == ["title"]
    assert "3 refused without it" in add["x-evidence"]["title"]["because"]


def test_constraints_need_evidence(methods: dict[str, dict[str, Any]]) -> None:
    add = methods["item.add"]
    assert param(add, "title")["schema"]["type"] == "string"  # null was refused
    assert param(add, "note")["schema"]["type"] == ["string", "null"]  # null was accepted
    assert param(add, "state")["schema"]["type"] == ["string", "null"]  # null was not tried
    assert param(add, "seats")["schema"]["type"] == ["integer", "null"]  # 1.5 was refused
    assert "number" in param(add, "price")["schema"]["type"]
    for each in add["params"]:
        assert not {"minLength", "maxLength", "minimum", "maximum", "pattern"} & each["schema"].keys()
    labels = param(add, "labels")["schema"]
    assert "properties" not in labels
    assert "string" in labels["additionalProperties"]["type"]


def test_suggestions_bound_what_is_generated_and_nothing_else(learnt: dict[str, Any]) -> None:
    method = Catalog.parse(learnt)["item.add"]
    price = next(each for each in method.params if each.name == "price")
    assert price.schema["x-suggested"]["maximum"] <= 100
    drawn = payloads.draw(payloads.valid(method), 1, 40)
    assert all(0 <= data.get("price", 0) <= 100 for data in drawn)
    assert all(data.get("state", "draft") in ("draft", "open", "closed") for data in drawn)
    assert all(data.get("note", "") is None or len(data.get("note", "")) <= 20 for data in drawn)
    assert method.data.valid({"title": "x", "price": 10_000})
    assert not [kind for kind in payloads.violations(method) if "price" in kind and "maximum" in kind]


def test_results_fit_the_answers_to_come(learnt: dict[str, Any]) -> None:
    for seed in range(2, 6):
        catalog = Catalog.parse(learnt)
        for call in calls_of_a_shop(seed):
            if call.succeeded and call.function in catalog:
                assert catalog[call.function].mismatch(call.result) is None, call.function


@pytest.mark.parametrize("seed", range(8))
def test_a_few_calls_make_no_false_constraint(seed: int) -> None:
    catalog = Catalog.parse(learn(calls_of_a_shop(seed, rounds=6)).document)
    for call in calls_of_a_shop(seed + 100):
        if call.succeeded and call.function in catalog:
            method = catalog[call.function]
            assert method.mismatch(call.result) is None, call.function
            assert method.data.valid(call.arguments), (call.function, call.arguments)


def call(arguments: dict[str, Any], *, status: int = 200, **more: Any) -> Call:
    return Call("note.add", arguments, status, status == 200, {}, status == 200, "session 1", **more)


def each_call(name: str, values: list[Any]) -> list[Call]:
    """Return a call for each value, all of them different."""
    return [call({name: value, "number": at}) for at, value in enumerate(values)]


def schema_of(calls: list[Call], name: str) -> tuple[bool, dict[str, Any]]:
    found = learn(calls).document["methods"][0]["params"]
    entry = next(each for each in found if each["name"] == name)
    return entry["required"], entry["schema"]


@pytest.mark.parametrize("times", [1, 30])
def test_one_sample_is_no_constraint(times: int) -> None:
    required, schema = schema_of([call({"text": "2026-11-01"})] * times, "text")
    assert not required
    assert schema.keys() == {"x-suggested"}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("email", ["ann@example.com", "bo@example.org", "cy@example.net"]),
        ("date", ["2026-11-01", "2026-12-24", "2027-01-31"]),
        ("date-time", ["2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z", "2026-11-03T10:00:00Z"]),
        ("uri", ["https://example.com/a", "https://example.com/b", "http://example.org/"]),
        ("uuid", [f"123e4567-e89b-42d3-a456-42661417400{n}" for n in range(3)]),
    ],
)
def test_a_format_needs_several_different_texts(name: str, texts: list[str]) -> None:
    _, schema = schema_of(each_call("text", texts * 2), "text")
    assert schema["format"] == name
    _, schema = schema_of(each_call("text", texts[:1] * 6), "text")
    assert "format" not in schema
    _, schema = schema_of(each_call("text", [*texts * 2, "none"]), "text")
    assert "format" not in schema
    assert schema["x-suggested"]["format"] == name


def test_an_enumeration_needs_words_that_repeat() -> None:
    words = ["low", "normal", "high"]
    _, schema = schema_of(each_call("level", words * 14), "level")
    assert schema["enum"] == ["high", "low", "normal", None]
    _, schema = schema_of(each_call("level", words * 2), "level")
    assert "enum" not in schema
    assert schema["x-suggested"]["enum"] == ["high", "low", "normal"]
    refused = [call({"level": "noSuchLevel", "number": 1}, status=400)]
    _, schema = schema_of([*each_call("level", words * 6), *refused], "level")
    assert schema["enum"] == ["high", "low", "normal", None]


def test_a_refusal_counts_where_one_thing_alone_is_different() -> None:
    accepted = [call({"a": "x", "b": n}) for n in range(6)]
    both = [call({"a": None, "b": None}, status=400) for _ in range(5)]
    assert "null" in schema_of([*accepted, *both], "a")[1]["type"]
    assert schema_of([*accepted, call({"a": None, "b": 2}, status=400)], "a")[1]["type"] == "string"
    other_page = call({"a": None, "b": 2}, status=400, is_ordinary=False)
    assert "null" in schema_of([*accepted, other_page], "a")[1]["type"]


def test_members_that_are_sent_now_and_then_are_no_parameters() -> None:
    calls = [call({"a": "x"}) for _ in range(60)]
    calls += [call({"a": "x", "undeclared": 1}), call({"a": "x", "isAdmin": True})]
    learned = learn(calls)
    assert [each["name"] for each in learned.document["methods"][0]["params"]] == ["a"]
    assert learned.notes == ["sent too seldom to be parameters: undeclared, isAdmin"]


def test_functions_that_never_succeeded_are_left_out() -> None:
    calls = [call({}), Call("note.burn", {}, 403, False), Call("note.nothing", {}, 404, False)]
    learned = learn(calls)
    assert [method["name"] for method in learned.document["methods"]] == ["note.add"]
    assert learned.notes == ["never answered with a success, so left out: note.burn"]


def test_what_clients_always_give_may_be_optional() -> None:
    calls = calls_of_a_shop()
    lists = [
        replace(
            each, function="box.seek", arguments={"itemId": each.arguments["itemId"]}, result={"boxes": []}
        )
        for each in calls
        if each.function == "item.read" and each.succeeded
    ]
    method = next(
        each for each in learn([*calls, *lists[:7]]).document["methods"] if each["name"] == "box.seek"
    )
    assert param(method, "itemId")["schema"]["x-ref"] == "item"
    assert not param(method, "itemId")["required"]
    add = next(each for each in learn(calls).document["methods"] if each["name"] == "box.add")
    line = param(add, "lines")["schema"]["items"]
    assert "required" not in line
    assert line["x-suggested"]["required"] == ["itemId", "count"]


def test_more_samples_may_be_asked_for() -> None:
    calls = [call({"a": f"x{number}"}) for number in range(12)]
    assert learn(calls).document["methods"][0]["params"][0]["required"]
    strict = learn(calls, limits=Thresholds.of(30)).document
    assert not strict["methods"][0]["params"][0]["required"]
    assert strict["methods"][0]["x-suggested"] == {"required": ["a"]}


def test_a_public_list_is_not_that_of_ones_own_objects() -> None:
    shop = calls_of_a_shop()
    public = [
        Call("item.catalog", {}, 200, True, {"items": each.result["items"][:2]}, True)
        for each in shop
        if each.function == "item.find" and each.succeeded
    ]
    methods = {method["name"]: method for method in learn([*shop, *public]).document["methods"]}
    assert "x-object" not in methods["item.catalog"]
    assert methods["item.catalog"]["x-auth"] == "none"


def test_no_value_of_a_secret_is_written() -> None:
    calls = [
        Call(
            "gate.enter", {"name": "ann", "password": "Pine-Cone-77"}, 200, True, {"sessionId": "tok-1"}, True
        )
    ] * 12
    text = json.dumps(learn(calls).document)
    assert "Pine-Cone-77" not in text
    assert "tok-1" not in text


def test_credentials_may_be_of_another_type() -> None:
    given = {"key": "k", "time": "2026-11-01"}
    accepted = [Call("gate.enter", given, 200, True, {"sessionId": "***"}, True)] * 6
    wrong, late, huge = {**given, "key": 5}, {**given, "time": 17}, {**given, "time": 1e300}
    refused = [Call("gate.enter", each, 400, False) for each in (wrong, huge)]
    calls = [*accepted, *refused, Call("gate.enter", late, 401, False)]
    params = learn(calls).document["methods"][0]["params"]
    schemas = {each["name"]: each["schema"] for each in params}
    assert "string" in schemas["key"]["type"]
    assert schemas["time"] == {"x-suggested": {"type": "string"}}


def test_the_same_calls_make_the_same_catalogue() -> None:
    assert json.dumps(learn(calls_of_a_shop()).document) == json.dumps(learn(calls_of_a_shop()).document)


def test_schemas_of_results_are_schemas(methods: dict[str, dict[str, Any]]) -> None:
    find = Schema(methods["item.find"]["result"]["schema"])
    assert find.valid({"items": [], "total": 0})
    assert not find.valid([])
