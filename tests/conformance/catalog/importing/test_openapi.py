"""OpenAPI and Swagger documents: requests of the protocol in bodies, and operations with x-rpc."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from conformance.catalog.importing import merging
from conformance.catalog.importing.entries import Imported
from conformance.catalog.importing.openapi import read_openapi
from conformance.catalog.model import Catalog, Method
from conformance.catalog.openapi_export import describe
from conformance.catalog.reader import read_lenient
from conformance.errors import UsageError
from fixtures.service import Service
from tests.support import import_documents


def catalog_of(read: Imported, *, guess: bool = False) -> Catalog:
    return Catalog.parse(merging.build(read.title, read.functions, ["x"], guess=guess))


def read(document: Any, separator: str | None = None) -> Imported:
    return read_openapi(
        read_lenient(document) if isinstance(document, str) else document, "x.yaml", separator
    )


@pytest.fixture(scope="module")
def courses() -> Imported:
    return read(import_documents.OPENAPI)


def schema(method: Method, name: str) -> Any:
    param = method.param(name)
    assert param is not None
    return param.schema


def test_requests_are_functions(courses: Imported) -> None:
    catalog = catalog_of(courses)
    assert (courses.title, courses.server) == ("Courses", "http://127.0.0.1:8000/api/")
    assert list(catalog.methods) == [
        *("auth.login", "auth.status", "auth.logout"),
        *("course.find", "course.read", "course.add", "course.remove"),
    ]
    assert courses.notes == ["operations that are no functions, left out: 1 (GET /health)"]
    login, find, add = catalog["auth.login"], catalog["course.find"], catalog["course.add"]
    assert (login.auth, [param.name for param in login.params]) == ("none", ["identity", "credential"])
    assert (find.auth, find.effect, find.rows) == ("session", "read", "/courses")
    assert find.description == "List courses."
    assert schema(find, "query")["type"] == ["string", "null"]
    assert [param.name for param in add.params] == ["title", "status", "price", "seats"]
    assert schema(add, "price")["exclusiveMaximum"] == 100000
    assert add.object is not None
    assert add.object.id == "/courseId"
    assert [param.ref for param in catalog["course.remove"].params] == ["course"]
    assert "readOnly" in str(add.result_schema)


def test_what_is_not_stated_is_asked(courses: Imported) -> None:
    document = merging.build(courses.title, courses.functions, ["x"])
    open_ = merging.questions(document)
    assert open_["x-auth"] == ["auth.status", "auth.logout"]
    assert open_["x-effect"] == ["auth.login", "auth.logout", "course.add"]
    # Results that no schema of the answers belongs to by its name are not guessed.
    assert open_["result"] == ["auth.logout", "course.remove"]


@pytest.mark.parametrize("per_function", [False, True])
def test_the_export_of_a_catalogue_is_read_back(per_function: bool) -> None:
    service = Service()
    original = Catalog.parse(service.catalogue())
    service.close()
    again = catalog_of(read(describe(original, url="https://h.example/api/", per_function=per_function)))
    assert list(again.methods) == list(original.methods)
    for method in original:
        back = again[method.name]
        assert (back.auth, back.effect, back.rows, back.object, back.beyond_schema) == (
            method.auth, method.effect, method.rows, method.object, method.beyond_schema,
        )  # fmt: skip
        assert {param.name: (param.required, param.schema) for param in back.params} == {
            param.name: (param.required, param.schema) for param in method.params
        }
        assert back.result_schema == method.result_schema


SWAGGER = """
swagger: '2.0'
info: {title: Shop, version: '1'}
host: shop.example
basePath: /v2
schemes: [https, http]
paths:
  /api/item:
    post:
      security: []
      parameters:
      - {in: body, name: body, schema: {$ref: '#/definitions/Find'}}
      responses: {200: {schema: {properties: {isError: {}, errMsg: {}, data: {type: array, items: {type: integer}}}}}}
  /api/items/{id}:
    parameters: [{name: id, in: path, required: true, type: integer, minimum: 0, exclusiveMinimum: true}]
    get:
      x-rpc: item.read
      security: [{Token: [staff]}]
      responses: {200: {schema: {$ref: '#/definitions/Item'}}}
    delete: {x-rpc: {entity: item, function: remove}, responses: {204: {}}}
    post:
      x-rpc: {entity: item, method: change, auth: admin}
      parameters:
      - {name: flag.name, in: formData, type: string, required: true}
      - {name: file, in: formData, type: file}
      - {name: pageStart, in: query, type: integer}
      responses: {200: {schema: {type: object, properties: {list: {type: array}}}}}
  /other:
    post: {operationId: item_count, x-rpc: true}
    put: {x-rpc: nonsense}
    get: {}
definitions:
  Find:
    properties:
      method: {type: string, default: find}
      pageLength: {type: integer}
      data: {properties: {word: {type: string, x-nullable: true, description: What}}, required: [word]}
  Item: {type: object, properties: {id: {type: integer, readOnly: true}}}
"""


def test_swagger_and_x_rpc() -> None:
    found = read(SWAGGER, "_")
    catalog = catalog_of(found)
    assert list(catalog.methods) == ["item.find", "item.read", "item.change", "item.remove", "item.count"]
    find, item, change = catalog["item.find"], catalog["item.read"], catalog["item.change"]
    assert (find.auth, find.rows, schema(find, "word")["type"]) == ("none", "", ["string", "null"])
    assert (find.params[0].required, find.params[0].description) == (True, "What")
    assert (item.auth, item.effect) == ("staff", "read")
    assert schema(item, "id") == {"type": "integer", "exclusiveMinimum": 0}
    assert (item.params[0].required, item.result_schema["type"]) == (True, "object")
    assert catalog["item.remove"].effect == "delete"
    assert (change.auth, change.rows) == ("admin", "/list")
    assert [param.name for param in change.params] == ["id", "flag", "file"]
    assert schema(change, "flag")["required"] == ["name"]
    assert found.server == "https://shop.example/v2/api/"
    assert any("x-rpc does not say entity.function" in note and "PUT /other" in note for note in found.notes)
    assert any("item.change file: is a file" in note for note in found.notes)
    assert any(note.startswith("operations that are no functions") for note in found.notes)


def body(schema: Any, **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, **more.pop("content", {})}}
    return {"requestBody": {"content": content}, **more}


def document(**paths: Any) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "t"},
        "paths": {f"/{key}": {"post": each} for key, each in paths.items()},
    }


CALL = {"properties": {"method": {"const": "find"}, "data": {}}}


def test_where_the_names_come_from() -> None:
    anything = {"properties": {"method": {"type": "string"}, "data": {"type": "object"}}}
    found = read(
        {
            **document(
                several=body({"properties": {"method": {"enum": ["a", "b"]}, "data": {}}}),
                shown=body(anything, content={"examples": {"x": {"value": {"method": "count"}}}}),
                named=body(anything, operationId="named.list"),
                unnamed=body(anything),
            ),
        }
    )
    assert list(found.functions) == ["several.a", "several.b", "shown.count", "named.list"]
    assert any("POST /unnamed: a request names no function" in note for note in found.notes)
    paths = {
        "/{entity}": {
            "post": {
                **body(CALL),
                "parameters": [{"name": "entity", "in": "path", "schema": {"enum": ["x", "y"]}}],
            }
        },
        "/z#read": {"post": body(anything)},
    }
    found = read({"openapi": "3.0.0", "info": {}, "paths": paths})
    assert list(found.functions) == ["x.find", "y.find", "z.read"]


def test_alternatives_of_the_data_are_taken_together() -> None:
    one = {"type": "object", "properties": {"a": {"type": "string"}, "c": {}}, "required": ["a"]}
    two = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a", "b"]}
    data = {"oneOf": [one, two]}
    found = read(document(x=body({"properties": {"method": {"const": "go"}, "data": data}})))
    params = {param.name: param for param in catalog_of(found)["x.go"].params}
    assert {name: param.required for name, param in params.items()} == {"a": True, "b": False, "c": False}
    assert params["a"].schema == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert found.notes == ["x.go: its data has 2 alternatives, which are taken together"]


def test_requests_that_extend_a_request_with_a_discriminator() -> None:
    schemas = {
        "Call": {
            "type": "object",
            "properties": {"method": {"type": "string"}},
            "discriminator": {
                "propertyName": "method",
                "mapping": {"find": "Find", "drop": "#/components/schemas/Drop"},
            },
        },
        "Find": {
            "allOf": [
                {"$ref": "#/components/schemas/Call"},
                {"properties": {"data": {"properties": {"query": {"type": "string"}}}}},
            ]
        },
        "Drop": {"allOf": [{"$ref": "#/components/schemas/Call"}], "properties": {"data": {}}},
    }
    found = read(
        {**document(x=body({"$ref": "#/components/schemas/Call"})), "components": {"schemas": schemas}}
    )
    catalog = catalog_of(found)
    assert list(catalog.methods) == ["x.find", "x.drop"]
    assert [param.name for param in catalog["x.find"].params] == ["query"]


@pytest.mark.parametrize(
    ("security", "scheme", "auth"),
    [
        ([], {"type": "apiKey"}, "none"),
        ([{"t": []}], {"type": "apiKey"}, "session"),
        ([{"t": ["admin"]}], {"type": "apiKey"}, "admin"),
        ([{"t": ["a", "b"]}], {"type": "apiKey"}, None),
        ([{"t": ["read:all"]}], {"type": "oauth2"}, None),
        ([{}, {"t": []}], {"type": "apiKey"}, None),
        (None, {}, None),
    ],
)
def test_security(security: Any, scheme: Any, auth: str | None) -> None:
    made = document(x=body(CALL, **({} if security is None else {"security": security})))
    found = read({**made, "components": {"securitySchemes": {"t": scheme}}})
    entry = found.functions["x.find"].entry()
    assert (None if "x-auth" in entry["x-questions"] else entry["x-auth"]) == auth


@pytest.mark.parametrize(
    "given",
    [
        {"openapi": "3.0.0", "paths": {}},
        {"openapi": "3.0.0"},
        {"swagger": "2.0", "paths": []},
        document(pay=body({"properties": {"method": {"type": "string"}, "amount": {}}})),
        document(x={"requestBody": {"$ref": "#/none"}}),
        document(x=body({"$ref": "#/components/schemas/A"})),
        {
            **document(x=body({"$ref": "#/components/schemas/A"})),
            "components": {"schemas": {"A": {"$ref": "#/components/schemas/A"}}},
        },
        {
            **document(x=body({"$ref": "#/components/schemas/A"})),
            "components": {"schemas": {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}}},
        },
        {"openapi": "3.0.0", "paths": {"/x": {"post": {"requestBody": 5, "parameters": 5, "responses": []}}}},
        {"openapi": "3.0.0", "paths": {"/x": None, "/y": {"post": []}}},
    ],
)
def test_documents_without_functions_are_one_line(given: Any) -> None:
    with pytest.raises(UsageError) as error:
        read(given)
    message = str(error.value)
    assert message.startswith("x.yaml: is ")
    assert "none is a function" in message
    assert "\n" not in message


def test_the_document_of_the_tests_is_yaml_of_other_tools() -> None:
    """Other readers take its keys for numbers; here they are texts."""
    assert 200 in yaml.safe_load(import_documents.OPENAPI)["paths"]["/auth"]["post"]["responses"]


ENVELOPE = {
    "properties": {"isError": {}, "errMsg": {}, "data": {"type": "array", "items": {"type": "string"}}}
}


@pytest.mark.parametrize(
    ("responses", "is_known"),
    [
        ({"200": {"content": {"application/json": {"schema": ENVELOPE}}}}, True),
        ({"2XX": {"content": {"*/*": {"schema": ENVELOPE}}}}, True),
        ({"200": {"content": {"application/vnd.api+json": {"schema": ENVELOPE}}}}, True),
        ({"200": {"content": {"text/plain": {"schema": ENVELOPE}}}}, True),
        ({"default": {"content": {"application/json": {"schema": ENVELOPE}}}}, True),
        ({"default": {"content": {"application/json": {"schema": {"type": "object"}}}}}, False),
        ({"400": {"content": {"application/json": {"schema": ENVELOPE}}}}, False),
        ({"200": {"content": {"application/xml": {"schema": ENVELOPE}}}}, False),
    ],
)
def test_answers(responses: Any, is_known: bool) -> None:
    entry = read(document(x=body(CALL, responses=responses))).functions["x.find"].entry()
    assert ("result" in entry) == is_known
    assert ("result" in entry["x-questions"]) != is_known
