"""The catalogue and its schemas: what is read, what is promised of an answer, and every mistake's line."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.catalog.model import Catalog, ObjectRole, refs
from conformance.protocol.profile import Auth, KeyLogin, Login, Profile, Whoami
from conformance.schema.validation import Schema
from tests.support.catalogues import DOCUMENT


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.parse(DOCUMENT)


@pytest.fixture(params=["json", "yaml", "yml", "openrpc"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"api.{request.param}"
    path.write_text(yaml.safe_dump(DOCUMENT) if request.param.startswith("y") else json.dumps(DOCUMENT))
    return path


def test_json_and_yaml_say_the_same(written: Any, catalog: Any) -> None:
    loaded = Catalog.load(written)
    assert loaded.methods == catalog.methods
    assert loaded.raw == DOCUMENT
    assert loaded.sha256 == hashlib.sha256(written.read_bytes()).hexdigest()
    assert loaded.path == written


def test_yaml_means_what_json_means(tmp_path: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    text = yaml.safe_dump(document) + (
        "x-own: {day: 2026-02-03, word: yes, off: off, hex: 0x10, "
        "exponent: 1e3, plain: 12, octal: 010, none: }\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    assert Catalog.load(tmp_path / "a.yaml").raw["x-own"] == {
        "day": "2026-02-03",
        "word": "yes",
        "off": "off",
        "hex": "0x10",
        "exponent": 1000.0,
        "plain": 12,
        "octal": 10,
        "none": None,
    }


def test_methods_are_read(catalog: Any) -> None:
    assert list(catalog.methods) == ["auth.login", "course.add", "course.read", "course.find", "user.find"]
    assert [m.name for m in catalog] == list(catalog.methods)
    assert len(catalog) == 5
    assert "course.add" in catalog
    assert "course.drop" not in catalog
    add = catalog["course.add"]
    assert (add.entity, add.function, add.description) == ("course", "add", "Adds a course")
    assert (add.auth, add.effect, add.rows, add.beyond_schema) == ("session", "write", None, False)
    assert add.object == ObjectRole("course", "create", "/courseId", "")
    assert [(p.name, p.required, p.ref) for p in add.params] == [
        ("title", True, None),
        ("level", False, None),
        ("tagIds", False, None),
    ]
    assert add.param("level") is add.params[1]
    assert add.param("none") is None
    read = catalog["course.read"]
    assert (read.effect, read.object) == ("read", ObjectRole("course", "read", "courseId", "/course"))
    assert [(p.name, p.required, p.ref) for p in read.params] == [("courseId", True, "course")]
    assert catalog["course.find"].rows == "/courses"
    assert catalog["course.find"].object == ObjectRole("course", "list", "/courseId", "")
    assert catalog["user.find"].beyond_schema
    assert [m.protected for m in catalog] == [False, True, True, True, True]


def test_the_catalogue_answers_by_kind(catalog: Any) -> None:
    assert catalog.entities == ("auth", "course", "user")
    assert catalog.kinds == ("course",)
    assert catalog.roles == {"admin"}
    assert catalog.create("course") is catalog["course.add"]
    assert catalog.read("course") is catalog["course.read"]
    assert catalog.update("course") is None
    assert catalog.delete("course") is None
    assert catalog.lists("course") == (catalog["course.find"],)
    assert catalog.lists("lesson") == ()
    assert [m.name for m in catalog.doing("create")] == ["course.add"]


def test_data_is_an_open_object_of_the_parameters(catalog: Any) -> None:
    data = catalog["course.add"].data
    assert data.valid({"title": "x"})
    assert data.valid({"title": "x", "level": 5, "tagIds": [1], "more": None})
    assert data.valid({"title": "x", "level": 5.0})
    wrong: Any
    for wrong in ({}, {"title": ""}, {"title": "x", "level": 6}, {"title": "x", "tagIds": ["1"]}, [], None):
        assert not data.valid(wrong)
    assert catalog["user.find"].data.valid({})


def test_each_parameter_stands_by_itself(catalog: Any) -> None:
    for param in catalog["course.add"].params:
        assert not Schema(param.schema).valid(False)
    assert Schema(catalog["course.add"].params[2].schema).valid([1, 2])


def test_definitions_of_one_name_are_separate() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["methods"][4]["params"] = [
        {"name": "a", "schema": {"$ref": "#/$defs/it", "$defs": {"it": {"type": "string"}}}},
        {"name": "b", "schema": {"$ref": "#/$defs/it", "$defs": {"it": {"type": "integer"}}}},
    ]
    data = Catalog.parse(document)["user.find"].data
    assert data.valid({"a": "x", "b": 1})
    assert not data.valid({"a": 1})
    assert not data.valid({"b": "x"})


def test_references_to_objects_are_found_at_any_depth(catalog: Any) -> None:
    assert catalog["course.add"].refs == (("/tagIds/*", "tag"),)
    assert catalog["course.read"].refs == (("/courseId", "course"),)
    deep = {
        "properties": {
            "a": {"anyOf": [{"type": "null"}, {"type": "integer", "x-ref": "one"}]},
            "b": {"prefixItems": [{}, {"x-ref": "two"}], "items": {"allOf": [{"x-ref": "three"}]}},
            "c": {"additionalProperties": {"properties": {"d/e": {"x-ref": "four"}}}},
        },
        "if": {},
        "then": {"properties": {"f": {"x-ref": "five"}}},
    }
    assert set(refs(deep)) == {
        ("/a", "one"),
        ("/b/1", "two"),
        ("/b/*", "three"),
        ("/c/*/d~1e", "four"),
        ("/f", "five"),
    }


COURSE = {
    "courseId": 1,
    "title": "x",
    "revision": 3,
    "marks": {"ann_lee": {"score": 1, "at": "now", "odd_one": 1}},
    "related": [None, {"courseId": 2, "title": "y", "revision": 4}],
}


def test_names_leave_out_the_keys_of_maps(catalog: Any) -> None:
    assert sorted(catalog["course.add"].names(COURSE)) == sorted(
        [
            ("/courseId", "courseId"),
            ("/title", "title"),
            ("/revision", "revision"),
            ("/marks", "marks"),
            ("/marks/ann_lee/score", "score"),
            ("/marks/ann_lee/at", "at"),
            ("/marks/ann_lee/odd_one", "odd_one"),
            ("/related", "related"),
            ("/related/1/courseId", "courseId"),
            ("/related/1/title", "title"),
            ("/related/1/revision", "revision"),
        ]
    )


@pytest.mark.parametrize(
    ("schema", "data", "names"),
    [
        ({}, {"a": {"b_c": 1}}, ["a", "b_c"]),
        (True, {"a": [{"b_c": 1}]}, ["a", "b_c"]),
        ({"additionalProperties": True}, {"a_b": 1}, ["a_b"]),
        ({"additionalProperties": False}, {"a_b": 1}, ["a_b"]),
        ({"additionalProperties": {}}, {"a_b": {"c_d": 1}}, ["c_d"]),
        ({"additionalProperties": {}, "properties": {"a": {}}}, {"a": 1, "b_c": 2}, ["a", "b_c"]),
        ({"allOf": [{"type": "object"}, {"additionalProperties": {"type": "integer"}}]}, {"a_b": 1}, []),
        ({"anyOf": [{"additionalProperties": {"type": "integer"}}, {"type": "null"}]}, {"a_b": 1}, []),
        (
            {
                "oneOf": [
                    {"required": ["kind"], "properties": {"kind": {}}},
                    {"additionalProperties": {"type": "integer"}, "not": {"required": ["kind"]}},
                ]
            },
            {"kind": 1, "a_b": 1},
            ["kind", "a_b"],
        ),
        ({"additionalProperties": {"additionalProperties": {}}}, {"a_b": {"c_d": {"e_f": 1}}}, ["e_f"]),
        ({"items": {"additionalProperties": {}}}, [{"a_b": 1}], []),
        ({"prefixItems": [{"additionalProperties": {}}], "items": {}}, [{"a_b": 1}, {"c_d": 1}], ["c_d"]),
        (
            {"if": {"required": ["a"]}, "then": {"additionalProperties": {}}, "else": {}},
            {"a": 1, "b_c": 1},
            [],
        ),
        (
            {"patternProperties": {"^m": {"additionalProperties": {}}}},
            {"m": {"a_b": 1}, "n": {"c_d": 1}},
            "mnc_d",
        ),
    ],
)
def test_names_by_schema(schema: Any, data: Any, names: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["methods"][4]["result"] = {"name": "data", "schema": schema}
    found = [name for _, name in Catalog.parse(document)["user.find"].names(data)]
    assert sorted(found) == sorted(names if isinstance(names, list) else ["m", "n", "c_d"])


def test_readonly_members_are_masked(catalog: Any) -> None:
    add = catalog["course.add"]
    assert add.volatile_mask(COURSE) == {
        "title": "x",
        "marks": {"ann_lee": {"score": 1, "odd_one": 1}},
        "related": [None, {"title": "y"}],
    }
    assert catalog["course.read"].volatile_mask({"course": COURSE})["course"]["title"] == "x"
    assert catalog["course.find"].volatile_mask(COURSE) is COURSE
    assert add.volatile_mask("text") == "text"


def test_a_mismatch_is_one_line(catalog: Any) -> None:
    mismatch = catalog["course.add"].contract.mismatch
    assert mismatch is not None
    assert mismatch(COURSE) is None
    line = mismatch({"courseId": "x" * 1000, "title": "y"})
    assert line is not None
    assert line.startswith("data/courseId: ")
    assert line.endswith("(type)")
    assert "\n" not in line
    assert len(line) < 300
    assert "data: " in str(mismatch({"title": "y"}))
    assert "(required)" in str(mismatch({"title": "y"}))
    assert catalog["user.find"].contract.mismatch is None


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({}, None),
        (True, None),
        ({"type": "object"}, {"object"}),
        ({"type": ["object", "null"]}, {"object", "null"}),
        ({"type": "integer"}, {"number"}),
        ({"$ref": "#/components/schemas/Course"}, {"object"}),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Course"}]}, {"object", "null"}),
        ({"allOf": [{"type": ["object", "array"]}, {"type": ["array", "string"]}]}, {"array"}),
        ({"oneOf": [{"const": 1}, {"enum": ["a", True]}]}, {"number", "string", "boolean"}),
        ({"type": ["string", "null"], "enum": ["a", None, 5]}, {"string", "null"}),
    ],
)
def test_the_types_of_a_result(schema: Any, types: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["methods"][4]["result"] = {"name": "data", "schema": schema}
    assert Catalog.parse(document)["user.find"].contract.result_types == types


def test_without_a_result_data_is_an_object(catalog: Any) -> None:
    contract = catalog["user.find"].contract
    assert contract.function == "user.find"
    assert contract.result_types == {"object"}
    assert contract.names is not None
    assert list(contract.names({"a": [{"b_c": 1}]})) == [("/a", "a"), ("/a/0/b_c", "b_c")]


def test_a_profile_alone_names_some_functions() -> None:
    auth = Auth(
        login=Login("auth.login", "identity", "credential"),
        logout="auth.logout",
        whoami=Whoami("auth.status", "/user"),
        key_login=KeyLogin("auth.loginHmac", "p", "q"),
    )
    catalog = Catalog.implicit(auth.effects)
    assert catalog.is_implicit
    assert set(catalog.methods) == {"auth.login", "auth.logout", "auth.status", "auth.loginHmac"}
    for method in catalog:
        assert method.auth is None
        assert method.protected is None
        assert method.data.valid({"anything": 1})
        assert method.contract.mismatch is None
    assert catalog["auth.status"].effect == "read"
    assert len(Catalog.implicit(Profile.empty("http://h/").auth.effects)) == 0


def test_deep_answers_are_walked(catalog: Any) -> None:
    deep: dict[str, Any] = {"courseId": 1, "title": "x"}
    here = deep
    for _ in range(5000):
        here["related"] = [{"courseId": 1, "title": "x"}]
        here = here["related"][0]
    add = catalog["course.add"]
    assert add.result.valid(deep)
    here["title"] = 5
    assert not add.result.valid(deep)
