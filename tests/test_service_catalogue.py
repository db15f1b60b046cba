"""The reference service's catalogue is an OpenRPC document, says what the service does, and
does not drift.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from fixtures.service import Service
from tests.service_client import Client

HERE = Path(__file__).parent.parent / "fixtures" / "service"
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*\Z")
KINDS = {"course", "lesson", "invitation", "payment", "message", "user"}
METHOD_MEMBERS = {
    "name", "summary", "description", "tags", "paramStructure", "params", "result", "errors",
    "links", "examples",
    "deprecated", "servers", "externalDocs",
}  # fmt: skip
CONTENT_MEMBERS = {"name", "summary", "description", "required", "schema", "deprecated"}


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(json.dumps(Service().catalogue()))


@pytest.fixture(scope="module")
def methods(document: Any) -> list[Any]:
    found: list[Any] = document["methods"]
    return found


def subschemas(schema: Any) -> Iterator[Any]:
    yield schema
    for part in schema.get("properties", {}).values():
        yield from subschemas(part)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key])


def at(schema: Any, pointer: str) -> Any:
    """Follow a pointer into a value through the value's schema; every step must be declared and required."""
    for step in pointer.split("/")[1:]:
        assert step in schema["required"], (pointer, schema)
        schema = schema["properties"][step]
    return schema


def test_the_document(document: Any) -> None:
    assert re.fullmatch(r"1\.[0-3]\.[0-9]+", document["openrpc"])
    assert set(document) <= {"openrpc", "info", "servers", "methods", "components", "externalDocs", "$schema"}
    assert isinstance(document["info"]["title"], str)
    assert isinstance(document["info"]["version"], str)
    names = [method["name"] for method in document["methods"]]
    assert len(names) == len(set(names)) >= 30


def test_every_method(methods: list[Any]) -> None:
    for method in methods:
        assert {member for member in method if not member.startswith("x-")} <= METHOD_MEMBERS
        assert method["paramStructure"] == "by-name"
        entity, _, function = method["name"].partition(".")
        assert CAMEL.match(entity)
        assert CAMEL.match(function)
        names = [param["name"] for param in method["params"]]
        assert len(names) == len(set(names))
        assert all(CAMEL.match(name) for name in names)
        required = [param["required"] for param in method["params"]]
        assert required == sorted(required, reverse=True), "required parameters stand first"
        for content in (*method["params"], method["result"]):
            assert set(content) <= CONTENT_MEMBERS
            assert isinstance(content["name"], str)
            jsonschema.Draft202012Validator.check_schema(content["schema"])
            jsonschema_rs.meta.validate(
                {"$schema": "https://json-schema.org/draft/2020-12/schema"} | content["schema"]
            )
            for part in subschemas(content["schema"]):
                assert part.get("x-ref") in {None, *KINDS}
                if "default" in part:
                    assert jsonschema.Draft202012Validator(part).is_valid(part["default"])


def test_what_openrpc_has_no_word_for(methods: list[Any]) -> None:
    does: dict[str, set[str]] = {}
    for method in methods:
        assert method["x-auth"] in {"none", "session", "admin"}
        assert method["x-effect"] in {"read", "write", "delete"}
        result = method["result"]["schema"]
        if "x-rows" in method:
            assert at(result, method["x-rows"])["type"] == "array"
            assert method["x-effect"] == "read"
        declared = method.get("x-object")
        if declared is None:
            continue
        does.setdefault(declared["kind"], set()).add(declared["does"])
        if declared["does"] == "create":
            assert at(result, declared["id"])["type"] in ("integer", "string")
            members = at(result, declared.get("at", ""))["properties"]
            assert {param["name"] for param in method["params"]} <= set(members)
        elif declared["does"] == "list":
            at(at(result, method["x-rows"])["items"], declared["id"])
        else:
            named = {param["name"]: param for param in method["params"]}
            assert named[declared["id"]]["schema"]["x-ref"] == declared["kind"]
            at(result, declared.get("at", ""))
        expected = {"create": "write", "update": "write", "delete": "delete"}.get(declared["does"], "read")
        assert method["x-effect"] == expected
    assert {"create", "read", "update", "delete", "list"} == does["course"] == does["lesson"]
    assert [method["name"] for method in methods if method.get("x-beyond-schema")] == ["auth.loginHmac"]


def test_names_in_results_are_camel_case_and_maps_are_declared(methods: list[Any]) -> None:
    maps = 0
    for method in methods:
        for part in subschemas(method["result"]["schema"]):
            assert all(CAMEL.match(name) for name in part.get("properties", {}))
            if "object" in str(part.get("type")):
                maps += "properties" not in part
                assert "properties" in part or isinstance(part["additionalProperties"], dict)
    assert maps


def test_the_schemas_are_rich(methods: list[Any]) -> None:
    """A suite that is tried on this service meets every kind of constraint."""
    words: set[str] = set()
    formats: set[str] = set()
    nested_refs = 0
    for method in methods:
        for param in method["params"]:
            for part in subschemas(param["schema"]):
                words |= set(part)
                formats.add(part.get("format", ""))
                nested_refs += part is not param["schema"] and "x-ref" in part
    assert words >= {
        "minLength", "maxLength", "pattern", "format", "enum", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "uniqueItems", "minItems", "maxItems",
        "required", "additionalProperties",
        "x-ref", "default",
    }  # fmt: skip
    assert formats >= {"email", "date", "date-time", "uri", "uuid"}
    assert nested_refs >= 3


def test_the_file_beside_the_profile_is_the_catalogue(document: Any) -> None:
    """Written by ``python -m fixtures.service --print-catalogue``."""
    assert json.loads((HERE / "coursio.openrpc.json").read_text("utf-8")) == document


def test_the_catalogue_is_served_outside_the_base(document: Any) -> None:
    client = Client(Service())
    reply = client.raw("/openrpc.json", b"", verb="GET")
    assert reply.status == 200
    assert json.loads(reply.body) == document
    assert client.raw("/api/openrpc.json", b"", verb="GET").status == 405


def test_the_profile_fits_the_seed(methods: list[Any]) -> None:
    profile = tomllib.loads((HERE / "conform.toml").read_text("utf-8"))
    names = {method["name"] for method in methods}
    client = Client(Service())
    login = profile["auth"]["login"]
    for user in profile["users"].values():
        reply = client.call(login["function"], {login["user"]: user["user"], login["secret"]: user["secret"]})
        assert reply.status == 200
        assert reply.data["user"]["roles"] == user["roles"]
        status = client.call(profile["auth"]["whoami"]["function"], None, reply.data["sessionId"])
        assert status.data["user"]["email"] == user["user"]
    assert {
        profile["auth"]["logout"],
        profile["auth"]["key_login"]["function"],
        *profile["load"]["mix"],
    } <= names
    assert client.call("course.find", None, client.login("owner")).data["total"] >= 12
