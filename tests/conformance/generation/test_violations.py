"""Each violation makes data invalid in one place, the same way every time."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from conformance.catalog.model import Catalog, Method
from conformance.generation import payloads
from conformance.generation.errors import CannotGenerate
from conformance.generation.sampler import Sampler
from conformance.generation.violations import Violation
from tests.support.random_schemas import schemas
from tests.support.sample_schemas import IDS, SCHEMAS, TREE

settings = hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)


def sampler(seed: int = 7) -> Sampler:
    count = iter(range(1, 10**9))
    return Sampler(random.Random(seed), lambda: f"conform-1a2b-{next(count)}", lambda kind: 17)


def method(*params: dict[str, Any]) -> Method:
    document = {
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [{"name": "course.add", "params": list(params)}],
    }
    return Catalog.parse(document)["course.add"]


def param(name: str, schema: Any, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "schema": schema, "required": required}


def violations(method: Method) -> list[Violation]:
    return list(payloads.violations(method).values())


def table(method: Method) -> dict[str, list[Violation]]:
    found: dict[str, list[Violation]] = {"REQ-7": [], "REQ-8": [], "REQ-9": []}
    for violation in violations(method):
        found[violation.rule].append(violation)
    return found


def kinds(method: Method, rule: str) -> list[str]:
    return [violation.kind for violation in table(method)[rule]]


def value_of(method: Method, kind: str, data: dict[str, Any]) -> Any:
    violation = next(violation for violation in violations(method) if violation.kind == kind)
    return violation.apply(data).get(violation.parameter, "left out")


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_invalid_data_is_invalid_in_one_place(schema: Any, required: Any) -> None:
    add = method(param("it", schema, required=required), param("other", {"type": "string"}, required=True))
    maker = sampler()
    found = list(violations(add))
    assert len({violation.kind for violation in found}) == len(found)
    assert any(violation.rule == "REQ-7" and violation.parameter == "other" for violation in found)
    if required:
        assert any(violation.kind == "it left out" for violation in found)
    for optional in ("none", "all"):
        data = maker.sample(add.data, optional=optional)
        before = copy.deepcopy(data)
        for violation in found:
            invalid = violation.apply(data)
            assert data == before
            assert not add.data.valid(json.loads(json.dumps(invalid))), violation.kind
            untouched = "other" if violation.parameter == "it" else "it"
            assert invalid.get(untouched) == data.get(untouched), violation.kind
            pointers = {pointer.split("/")[1] for pointer, _, _ in add.data.errors(invalid) if pointer}
            assert pointers <= {violation.parameter}


@pytest.mark.parametrize("seed", range(3))
def test_violations_are_the_same_every_time(seed: Any) -> None:
    add = method(*(param(f"p{i}", schema) for i, schema in enumerate(SCHEMAS[:40])))
    data = sampler(seed).sample(add.data, optional="all")
    one, two = ([(s.rule, s.kind, json.dumps(s.apply(data))) for s in violations(add)] for _ in range(2))
    assert one == two


def test_many_parameters_in_doubt_are_made_together() -> None:
    count = 0
    for first in range(0, len(SCHEMAS), 20):
        schemas = SCHEMAS[first : first + 20]
        add = method(*(param(f"p{i}", schema, required=True) for i, schema in enumerate(schemas)))
        data = sampler().sample(add.data, optional="all")
        for violation in violations(add):
            assert not add.data.valid(violation.apply(data))
            count += 1
    assert count > 600


TYPES = [
    ("integer", [None, "5", 0.5, True, [], {}]),
    ("number", [None, "5", True, [], {}]),
    ("string", [None, 5, True, [], {}]),
    ("boolean", [None, "true", 5, 1, 0, [], {}]),
    ("array", [None, "x", 5, True, {}]),
    ("object", [None, "x", 5, True, []]),
]


@pytest.mark.parametrize(("kind", "values"), TYPES)
def test_each_other_type(kind: Any, values: Any) -> None:
    add = method(param("it", {"type": kind}))
    data = sampler().sample(add.data, optional="all")
    found = [violation.apply(data)["it"] for violation in table(add)["REQ-8"]]
    assert list(map(json.dumps, found)) == list(map(json.dumps, values))


def test_null_and_left_out() -> None:
    required = method(param("it", {"type": "string"}, required=True))
    assert kinds(required, "REQ-7") == ["it left out", "it: null"]
    assert "it: null instead of string" not in kinds(required, "REQ-8")
    nullable = method(param("it", {"type": ["string", "null"]}, required=True))
    assert kinds(nullable, "REQ-7") == ["it left out"]
    optional = method(param("it", {"type": "string"}))
    assert kinds(optional, "REQ-7") == []
    assert "it: null instead of string" in kinds(optional, "REQ-8")
    either = method(param("it", {"anyOf": [{"type": "string"}, {"type": "null"}]}))
    assert [k for k in kinds(either, "REQ-8") if "null" in k] == []


LIMITS = [
    ({"type": "integer", "minimum": 1, "maximum": 5}, [0, -1, 6, 7]),
    ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 5}, [1, 0, 5, 6]),
    ({"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 20}, [-5, -10, 25, 30, 6]),
    ({"type": "number", "minimum": 0, "exclusiveMaximum": 100}, [-0.01, -0.02, 100, 100.01]),
    ({"type": "number", "multipleOf": 0.25, "minimum": 0}, [-0.25, -0.5, 0.375, 0.25025]),
    ({"enum": ["draft", "done"]}, ["noSuchValue", "DRAFT", "draftx", ""]),
    ({"enum": ["a", "A", "b"]}, ["noSuchValue", "B", "bx", ""]),
    ({"enum": [1, 5]}, [6, 0]),
    ({"const": True}, [False]),
    ({"type": "string", "minLength": 1}, [""]),
    ({"type": "string", "pattern": "^[a-z]+$", "maxLength": 8, "minLength": 2}, None),
    ({"type": "string", "format": "date"}, ["2026-02-30", "2026-13-01", "yesterday", "31/12/2026"]),
    ({"type": "array", "items": {"const": 1}, "minItems": 1, "maxItems": 2}, None),
]


@pytest.mark.parametrize(("schema", "values"), LIMITS, ids=str)
def test_just_outside(schema: Any, values: Any) -> None:
    add = method(param("it", schema))
    data = sampler().sample(add.data, optional="all")
    found = [violation.apply(data)["it"] for violation in table(add)["REQ-9"]]
    assert found
    if values is not None:
        assert list(map(json.dumps, found)) == list(map(json.dumps, values))


def test_lengths() -> None:
    add = method(param("it", {"type": "string", "minLength": 5, "maxLength": 120}))
    data = {"it": "abcdefgh"}
    assert len(value_of(add, "it: shorter than 5", data)) == 4
    assert len(value_of(add, "it: longer than 120", data)) == 121
    assert len(value_of(add, "it: much longer than 120", data)) == 2200


def test_arrays_and_objects() -> None:
    schema = {
        "type": "array",
        "minItems": 2,
        "maxItems": 3,
        "uniqueItems": True,
        "items": {
            "type": "object",
            "properties": {"a": {"type": "integer", "maximum": 3}, "b": {}},
            "required": ["a"],
            "additionalProperties": False,
            "minProperties": 1,
        },
    }
    add = method(param("it", schema))
    data = {"it": [{"a": 1}, {"a": 2}]}
    assert value_of(add, "it: fewer than 2 items", data) == [{"a": 1}]
    assert len(value_of(add, "it: more than 3 items", data)) == 4
    twice = value_of(add, "it: an item twice", data)
    assert len({json.dumps(item) for item in twice}) < len(twice)
    assert value_of(add, "it[].a left out", data) == [{}, {"a": 2}]
    assert value_of(add, "it[].a: null", data) == [{"a": None}, {"a": 2}]
    assert value_of(add, "it[].a: above 3", data) == [{"a": 4}, {"a": 2}]
    assert value_of(add, "it[].a: string instead of integer", data) == [{"a": "5"}, {"a": 2}]
    assert value_of(add, "it[]: an undeclared member", data) == [{"a": 1, "surplusMember": 1}, {"a": 2}]
    assert value_of(add, "it[]: null instead of object", data) == [None, {"a": 2}]


def test_members_of_objects() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {}},
        "maxProperties": 4,
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9]+$"},
        "dependentRequired": {"a": ["b"]},
    }
    add = method(param("it", schema))
    data = {"it": {"a": 1, "b": 2}}
    assert value_of(add, "it: fewer than 1 members", data) == {}
    assert len(value_of(add, "it: more than 4 members", data)) == 5
    assert value_of(add, "it: a without b", data) == {"a": 1}
    assert set(value_of(add, "it: a member name that is not allowed (2)", data)) == {
        "a",
        "b",
        "not a name",
    }
    mapped = method(
        param("it", {"type": "object", "additionalProperties": {"type": "string", "maxLength": 5}})
    )
    assert value_of(mapped, "it.*: longer than 5", {"it": {"k": "abc"}}) == {"k": "confor"}
    assert value_of(mapped, "it.*: number instead of string", {"it": {"k": "abc"}}) == {"k": 5}


def test_each_branch_is_violated() -> None:
    schema = SCHEMAS[next(i for i, s in enumerate(SCHEMAS) if "iban" in json.dumps(s))]
    add = method(param("it", schema, required=True))
    found = kinds(add, "REQ-7")
    assert "it.number left out" in found
    assert "it.iban left out" in found
    for data in ({"it": {"kind": "bank", "iban": "x"}}, {"it": {"kind": "card", "number": "1" * 16}}):
        invalid = value_of(add, "it.number left out", data)
        assert invalid == {"kind": "card"}


def test_identifiers_violate_schemas_outside_their_form_alone() -> None:
    add = method(
        param("courseId", {"type": "integer", "minimum": 1, "x-ref": "course"}, required=True),
        param(
            "lessonIds",
            {"type": "array", "maxItems": 2, "items": {"type": "string", "minLength": 3, "x-ref": "lesson"}},
        ),
    )
    found = table(add)
    kinds = [s.kind for s in found["REQ-9"]]
    assert any(kind.startswith("courseId: ") for kind in kinds)
    assert any(kind.startswith("lessonIds[]: ") for kind in kinds)
    more = next(s for s in found["REQ-9"] if s.kind == "lessonIds: more than 2 items")
    data = {"courseId": 5, "lessonIds": ["abc"]}
    assert [json.dumps(s.apply(data)["courseId"]) for s in found["REQ-8"] if s.parameter == "courseId"] == [
        '"5"',
        "1.01",
        "true",
        "[]",
        "{}",
    ]
    assert more.apply(data)["lessonIds"] == ["abc", "abc", "abc"]
    # Where the data has no identifier at hand, one is asked for, or none is made up.
    with pytest.raises(CannotGenerate, match="x-ref"):
        more.apply({"courseId": 5})
    assert set(more.apply({"courseId": 5}, lambda kind: f"{kind}-1")["lessonIds"]) == {"lesson-1"}


def test_recursive_data_is_violated_to_some_depth() -> None:
    add = method(param("tree", TREE, required=True))
    found = [violation.kind for violation in violations(add)]
    assert "tree.name left out" in found
    assert len(found) < 100


def test_what_has_no_parameters_has_no_violations() -> None:
    assert list(violations(method())) == []
    assert list(violations(method(param("it", {})))) == []


def test_what_would_be_valid_is_not_handed_out() -> None:
    add = method(param("it", {"type": "string", "enum": ["a"], "pattern": "^"}))
    assert "it: does not match the pattern (1)" not in [s.kind for s in violations(add)]
    loose = method(
        param("it", {"anyOf": [{"type": "integer", "minimum": 5}, {"type": "integer", "maximum": 4}]})
    )
    assert kinds(loose, "REQ-9") == ["it: none of the alternatives"]
    assert loose.data.valid({"it": 5})


def test_patterns_are_not_tested_where_dialects_differ() -> None:
    add = method(param("it", {"type": "string", "pattern": "^[a-z]+$"}))
    data = {"it": "abc"}
    for violation in table(add)["REQ-9"]:
        assert "\n" not in violation.apply(data)["it"]


@settings
@hypothesis.given(schemas, st.booleans(), st.sampled_from(["none", "all", "some"]))
def test_whatever_the_schema_invalid_data_is_invalid(schema: Any, required: Any, optional: Any) -> None:
    add = method(param("it", schema, required=required))
    try:
        data = sampler().sample(add.data, optional=optional)
        found = list(violations(add))
    except CannotGenerate:
        hypothesis.reject()
    before = copy.deepcopy(data)
    for violation in found:
        try:
            invalid = violation.apply(data)
        except CannotGenerate:
            continue
        assert not add.data.valid(json.loads(json.dumps(invalid)))
        assert data == before


def test_number_that_is_nearly_a_multiple_is_a_violation() -> None:
    spec = {
        "type": "object",
        "properties": {
            "price": {"type": "number", "multipleOf": 0.01, "minimum": 0},
            "count": {"type": "integer", "multipleOf": 5},
        },
        "required": ["price"],
    }
    found = {kind: violation for kind, violation in payloads.violations(spec).items() if "nearly" in kind}
    assert list(found) == ["price: nearly a multiple of 0.01"]
    value = found["price: nearly a multiple of 0.01"].build()["price"]
    assert 0 < abs(value * 100 - round(value * 100)) < 0.01


def test_item_that_violates_comes_after_a_valid_one() -> None:
    item = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    items = {"type": "array", "items": item, "maxItems": 3}
    function = method(param("rows", items), param("one", {"type": "array", "items": item, "maxItems": 1}))
    found = payloads.violations(function)
    valid = {"rows": [{"n": 5}], "one": [{"n": 5}]}
    bad = {"rows": [{"n": "x"}], "one": [{"n": "x"}]}
    rows = found["rows[].n: string instead of integer"]
    assert rows.after_valid_item(bad, valid) == {**bad, "rows": [{"n": 5}, {"n": "x"}]}
    assert rows.after_valid_item({}, valid) is None
    assert found["one[].n: string instead of integer"].after_valid_item(bad, valid) is None
    assert found["rows: string instead of array"].after_valid_item(bad, valid) is None
