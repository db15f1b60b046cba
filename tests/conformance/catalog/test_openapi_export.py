"""The catalogue as an OpenAPI 3.1 description: valid, complete, and true of the service that it describes."""

from __future__ import annotations

import copy
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from conformance.catalog.model import Catalog
from conformance.catalog.openapi_export import describe
from conformance.schema.bundle import places, resolve_pointer
from tests.servers import library_catalog
from tests.support.judging import ROOT, serving_here
from tests.support.recording import ran, ran_here

EMBEDDED = ROOT / "fixtures" / "service" / "coursio.openrpc.json"
STATUSES = {"200", "400", "401", "403", "404", "500"}
BOTH = pytest.mark.parametrize("per_function", [False, True], ids=["endpoints", "functions"])


def catalogue(*methods: dict[str, Any], **members: Any) -> Catalog:
    return Catalog.parse(
        {"openrpc": "1.3.2", "info": {"title": "T", "version": "9"}, "methods": list(methods), **members}
    )


def method(name: str, *params: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"name": name, "params": list(params), **members}


def param(name: str, schema: Any, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "schema": schema, "required": required}


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert all(set(item) == {"post"} for item in document["paths"].values())
    return {path: item["post"] for path, item in document["paths"].items()}


def resolved(document: dict[str, Any], node: Any) -> Any:
    while isinstance(node, dict) and set(node) == {"$ref"}:
        node = resolve_pointer(document, node["$ref"][1:])
    return node


def requests_of(document: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return [resolved(document, each) for each in schema.get("oneOf", [schema])]


def accepts(document: dict[str, Any], reference: dict[str, Any], value: Any) -> bool:
    """Judge a value by a schema of the document, with another implementation than the one that wrote it."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **reference, **document}
    return jsonschema.Draft202012Validator(whole).is_valid(value)


def sound(document: dict[str, Any]) -> None:
    """Assert that a document keeps the rules of OpenAPI 3.1, and each schema in it those of JSON Schema 2020-12."""
    document = json.loads(json.dumps(document))
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    schemas = document["components"]["schemas"]
    assert schemas
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for _, node in places({"$ref": f"#/components/schemas/{name}", **document}):
            assert "$defs" not in node, name
    assert "#/$defs/" not in json.dumps(document)


@pytest.mark.parametrize("strict", [False, True], ids=["must", "strict"])
@BOTH
def test_the_embedded_catalogue_is_described_whole(per_function: bool, strict: bool) -> None:
    catalog = Catalog.load(EMBEDDED)
    document = describe(catalog, per_function=per_function, strict=strict)
    sound(document)
    found = []
    for path, operation in operations(document).items():
        entity = path[1:].partition("#")[0]
        assert set(operation["responses"]) == STATUSES
        for request in requests_of(document, operation):
            found.append(f"{entity}.{request['properties']['method']['const']}")
    assert sorted(found) == sorted(catalog.methods)
    assert len(document["paths"]) == (len(catalog) if per_function else len(catalog.entities))


def test_a_broken_document_is_not_sound() -> None:
    document = describe(Catalog.load(EMBEDDED))
    del document["paths"]["/course"]["post"]["responses"]["404"]["$ref"]
    with pytest.raises(AssertionError):
        sound(document)


@BOTH
def test_a_catalogue_of_another_domain_with_references(per_function: bool) -> None:
    catalog = Catalog.parse(library_catalog.document())
    sound(describe(catalog, per_function=per_function, strict=True))
    assert "$ref" in json.dumps(library_catalog.document())


def test_one_operation_for_each_endpoint_distinguishes_functions_by_the_constant() -> None:
    document = describe(Catalog.load(EMBEDDED))
    schema = document["paths"]["/course"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    mapping = schema["discriminator"]["mapping"]
    assert schema["discriminator"]["propertyName"] == "method"
    assert [{"$ref": ref} for ref in mapping.values()] == schema["oneOf"]
    for name, ref in mapping.items():
        assert resolved(document, {"$ref": ref})["properties"]["method"]["const"] == name
    assert accepts(document, schema, {"method": "find", "data": {"query": "x"}, "pageLength": 3})
    assert accepts(document, schema, {"method": "read", "data": {"courseId": 1}})
    assert not accepts(document, schema, {"method": "read"})
    assert not accepts(document, schema, {"method": "read", "data": {}})
    assert not accepts(document, schema, {"method": "drop"})
    assert not accepts(document, schema, {"method": "find", "pageLength": -1})
    assert not accepts(document, schema, {"data": {}})


def test_requests_and_paging() -> None:
    document = describe(
        catalogue(
            method("a.list", param("q", {"type": "string"}), **{"x-rows": "/rows"}),
            method("a.put", param("n", {"type": "integer"}, required=True)),
        )
    )
    listing = {"$ref": "#/components/schemas/AListRequest"}
    put = {"$ref": "#/components/schemas/APutRequest"}
    right: list[dict[str, Any]] = [
        {},
        {"data": None},
        {"data": {"q": "x"}},
        {"pageStart": 2},
        {"pageLength": 0},
    ]
    wrong: list[dict[str, Any]] = [
        {"pageStart": "2"},
        {"pageStart": 1.5},
        {"data": []},
        {"data": {"q": 1}},
        {"method": "List"},
    ]
    assert [each for each in right if not accepts(document, listing, {"method": "list"} | each)] == []
    assert [each for each in wrong if accepts(document, listing, {"method": "list"} | each)] == []
    assert accepts(document, put, {"method": "put", "data": {"n": 1}})
    assert not accepts(document, put, {"method": "put", "data": None})
    assert "pageStart" not in resolved(document, put)["properties"]


@pytest.mark.parametrize("strict", [False, True])
def test_envelopes(strict: bool) -> None:
    document = describe(
        catalogue(
            method(
                "a.get", result={"name": "data", "schema": {"type": "array", "items": {"type": "integer"}}}
            ),
            method("a.free"),
        ),
        strict=strict,
        envelope_extra=["memory"],
    )

    def says(name: str, *values: Any, **extra: Any) -> bool:
        body = dict(zip(("isError", "errMsg", "data"), values, strict=False)) | extra
        return accepts(document, {"$ref": f"#/components/schemas/{name}"}, body)

    assert says("AGetSuccess", False, None, [1])
    assert says("AGetSuccess", False, None, [1], memory=12)
    assert says("AGetSuccess", False, None, [1], spare=12) is not strict
    assert not says("AGetSuccess", False, None, {})
    assert not says("AGetSuccess", False, "", [1])
    assert not says("AGetSuccess", True, None, [1])
    assert not says("AGetSuccess", False, None)
    assert says("AFreeSuccess", False, None, {"a": 1})
    assert not says("AFreeSuccess", False, None, None)
    assert says("Failure", True, "No", None)
    assert says("Failure", True, "No", {"a": 1}) is not strict
    assert not says("Failure", True, " ", None)
    assert not says("Failure", True, None, None)
    assert not says("Failure", False, "No", None)


def test_security() -> None:
    document = describe(
        catalogue(
            method("a.open", **{"x-auth": "none"}),
            method("a.mine"),
            method("b.boss", **{"x-auth": "admin"}),
            method("b.mine", **{"x-auth": "session"}),
            method("c.open", **{"x-auth": "none"}),
        ),
        strict=True,
    )
    scheme = document["components"]["securitySchemes"]["Token"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Token")
    by_endpoint = {path: each["security"] for path, each in operations(document).items()}
    assert by_endpoint == {"/a": [{}, {"Token": []}], "/b": [{"Token": []}], "/c": []}
    sealed = {path for path, each in operations(document).items() if "headers" in each["responses"]["200"]}
    assert sealed == {"/b"}
    alone = describe(
        catalogue(
            method("a.open", **{"x-auth": "none"}), method("a.mine"), method("b.boss", **{"x-auth": "admin"})
        ),
        per_function=True,
    )
    assert {path: each["security"] for path, each in operations(alone).items()} == {
        "/a#open": [],
        "/a#mine": [{"Token": []}],
        "/b#boss": [{"Token": ["admin"]}],
    }


def test_the_catalogues_own_members_are_carried_along() -> None:
    role = {"kind": "thing", "does": "list", "id": "thingId"}
    listing = method(
        "a.list",
        param("after", {"type": "integer", "x-ref": "thing"}),
        **{
            "x-auth": "admin",
            "x-effect": "read",
            "x-rows": "/rows",
            "x-object": role,
            "x-beyond-schema": True,
        },
    )
    document = describe(catalogue(listing, method("a.plain")), per_function=True)
    wanted = {
        "x-auth": "admin",
        "x-effect": "read",
        "x-rows": "/rows",
        "x-object": {"kind": "thing", "does": "list", "id": "/thingId", "at": ""},
        "x-beyond-schema": True,
    }
    request = document["components"]["schemas"]["AListRequest"]
    operation = document["paths"]["/a#list"]["post"]
    assert wanted.items() <= request.items()
    assert wanted.items() <= operation.items()
    assert request["properties"]["data"]["properties"]["after"]["x-ref"] == "thing"
    plain = document["components"]["schemas"]["APlainRequest"]
    assert {key: plain[key] for key in plain if key.startswith("x-")} == {
        "x-auth": "session",
        "x-effect": "write",
    }


def test_references_become_components() -> None:
    tree = {"type": "object", "properties": {"sub": {"$ref": "#/components/schemas/Tree"}}}
    document = describe(
        catalogue(
            method(
                "a.put",
                param("tree", {"$ref": "#/components/schemas/Tree"}, required=True),
                # What only looks like a reference is a value, and stays.
                param("constant", {"const": {"$ref": "#/$defs/Tree"}}),
                param("own", {"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "string"}}}),
                result={"name": "data", "schema": {"$ref": "#/components/schemas/Tree"}},
            ),
            components={"schemas": {"Tree": tree}},
        )
    )
    schemas = document["components"]["schemas"]
    # One for the tree, used in the request and in the result; another one for what has its name only.
    assert [name for name in schemas if name.startswith("Tree")] == ["Tree", "Tree2"]
    assert schemas["Tree"]["properties"]["sub"] == {"$ref": "#/components/schemas/Tree"}
    data = schemas["APutRequest"]["properties"]["data"]["properties"]
    assert (
        data["tree"] == schemas["APutSuccess"]["properties"]["data"] == {"$ref": "#/components/schemas/Tree"}
    )
    assert data["constant"] == {"const": {"$ref": "#/$defs/Tree"}}
    assert data["own"] == {"$ref": "#/components/schemas/Tree2"}
    assert accepts(document, {"$ref": "#/components/schemas/Tree"}, {"sub": {"sub": {}}})
    assert not accepts(document, {"$ref": "#/components/schemas/Tree"}, {"sub": {"sub": 1}})


def test_names_that_differ_only_in_what_a_component_cannot_have() -> None:
    document = describe(
        catalogue(method("a.b-c"), method("a.bC"), method("å{x}.y#z")), per_function=True, url="http://h/{a}/"
    )
    assert OpenAPIV31SpecValidator(document).is_valid()
    assert list(document["paths"]) == ["/a#b-c", "/a#bC", "/%C3%A5%7Bx%7D#y%23z"]
    assert document["servers"] == [{"url": "http://h/%7Ba%7D"}]
    refs = {
        each["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for each in operations(document).values()
    }
    assert len(refs) == 3


def test_describing_changes_no_catalogue() -> None:
    catalog = Catalog.load(EMBEDDED)
    before = copy.deepcopy([(each.data_schema, each.result_schema) for each in catalog])
    describe(catalog, per_function=True, strict=True)
    assert [(each.data_schema, each.result_schema) for each in catalog] == before


def send(url: str, body: Any, token: str | None = None) -> tuple[int, dict[str, Any], Any]:
    headers = {"Content-Type": "application/json", **({"Token": token} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as answer:
        return answer.code, dict(answer.headers), json.loads(answer.read())


def test_operations_by_function_can_be_called_as_they_stand() -> None:
    """What an ordinary client makes of the path reaches the service, whose answers are as described."""
    document = describe(Catalog.load(EMBEDDED), per_function=True, strict=True)
    with serving_here() as (url, _):
        login = {"identity": "owner@example.com", "credential": "Correct-Horse-7-owner"}
        token = send(f"{url}auth", {"method": "login", "data": login})[2]["data"]["sessionId"]
        statuses = set()
        for path, operation in operations(document).items():
            function = path.partition("#")[2]
            if function == "logout":
                continue
            secured = operation["security"] != []
            for as_whom in (token, None) if secured else (None,):
                status, headers, body = send(
                    url.rstrip("/") + path, {"method": function, "data": {}}, as_whom
                )
                statuses.add(status)
                assert "Function" not in str(body["errMsg"]), (path, body)
                answered = resolved(document, operation["responses"][str(status)])
                assert accepts(document, answered["content"]["application/json"]["schema"], body), (
                    path,
                    body,
                )
                assert (status == 401) is (secured and as_whom is None), (path, status)
                for name, header in answered.get("headers", {}).items():
                    assert accepts(document, header["schema"], headers[name.lower()]), (path, name)
        assert statuses == {200, 400, 401, 403}


def test_links_lead_from_a_new_object_to_it() -> None:
    document = describe(Catalog.load(EMBEDDED), per_function=True)
    links = document["paths"]["/lesson#add"]["post"]["responses"]["200"]["links"]
    assert links["lesson.read"] == {
        "operationId": "lesson.read",
        "requestBody": {"method": "read", "data": {"lessonId": "$response.body#/data/lesson/lessonId"}},
    }
    assert set(links) >= {"lesson.read", "lesson.update", "lesson.remove"}
    rows = document["paths"]["/lesson#find"]["post"]["responses"]["200"]["links"]
    assert rows["lesson.read"]["requestBody"]["data"] == {
        "lessonId": "$response.body#/data/lessons/0/lessonId"
    }
    # A lesson is made of a course and a title: with the identifier of a course alone it would be refused.
    assert "lesson.add" not in document["paths"]["/course#add"]["post"]["responses"]["200"]["links"]
    assert all(
        target in {each["operationId"] for each in operations(document).values()}
        for each in operations(document).values()
        for target in each["responses"]["200"].get("links", {})
    )


# --- the command --------------------------------------------------------------------------------------------


def export(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Export in this process, which saves the imports."""
    return subprocess.CompletedProcess(arguments, *ran_here("catalog", "export", *arguments, cwd=cwd))


def test_the_command_writes_the_embedded_catalogue(tmp_path: Path) -> None:
    status, out, err = ran("catalog", "export", "--openapi", "api.json", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert out == "api.json: 33 functions of 9 endpoints\n"
    document = json.loads((tmp_path / "api.json").read_text("utf-8"))
    assert document == describe(Catalog.load(EMBEDDED))
    assert "servers" not in document
    shown = export("--openapi", "-", "--per-function", "--strict", cwd=tmp_path)
    assert json.loads(shown.stdout) == describe(Catalog.load(EMBEDDED), per_function=True, strict=True)


def test_the_command_takes_a_profile_or_a_catalogue(tmp_path: Path) -> None:
    mine = {"openrpc": "1.3.2", "info": {"title": "Mine", "version": "3"}, "methods": [method("a.b")]}
    (tmp_path / "mine.json").write_text(json.dumps(mine), encoding="utf-8")
    (tmp_path / "conform.toml").write_text(
        '[target]\nurl = "https://name:secret@h.example/api/"\ncatalog = "mine.json"\nenvelope_extra = ["time"]\n',
        encoding="utf-8",
    )
    assert export("--openapi", "a.json", cwd=tmp_path).returncode == 0
    first = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert first["info"] == {"title": "Mine", "version": "3"}
    assert first["servers"] == [{"url": "https://h.example/api"}]
    other = tmp_path / "elsewhere"
    other.mkdir()
    for given in (["../mine.json"], ["--profile", "../conform.toml"]):
        assert export(*given, "--openapi", "b.json", "--strict", cwd=other).returncode == 0
        document = json.loads((other / "b.json").read_text("utf-8"))
        assert list(document["paths"]) == ["/a"]
        assert ("servers" in document) is ("--profile" in given)
        success = document["components"]["schemas"]["ABSuccess"]
        assert ("time" in success["properties"]) is ("--profile" in given)
    done = export("../mine.json", "--openapi", "c.json", "--target", "http://127.0.0.1:9/x/", cwd=other)
    assert done.returncode == 0
    assert json.loads((other / "c.json").read_text("utf-8"))["servers"] == [{"url": "http://127.0.0.1:9/x"}]


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ([], "--openapi"),
        (["--openapi", ""], "is empty"),
        (["--openapi", "no/such/folder.json"], "cannot be written"),
        (["gone.json", "--openapi", "a.json"], "gone.json: there is no such catalogue"),
        (["bad.json", "--openapi", "a.json"], "bad.json: /methods/0/name"),
        (["text.json", "--openapi", "a.json"], "text.json: line 1"),
        ([".", "--openapi", "a.json"], "cannot be read"),
        (["--profile", "gone.toml", "--openapi", "a.json"], "gone.toml: there is no such profile"),
        (["--profile", "bare.toml", "--openapi", "a.json"], "bare.toml: names no catalogue"),
        (["good.json", "--openapi", "good.json"], "is the catalogue itself"),
        (["good.json", "--openapi", "a.json", "--target", "nowhere"], "--target"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], reported: str, tmp_path: Path) -> None:
    good = {"openrpc": "1.3.2", "info": {"title": "T", "version": "1"}, "methods": []}
    (tmp_path / "good.json").write_text(json.dumps(good), encoding="utf-8")
    (tmp_path / "bad.json").write_text(json.dumps({**good, "methods": [method("ab")]}), encoding="utf-8")
    (tmp_path / "text.json").write_text("nothing", encoding="utf-8")
    (tmp_path / "bare.toml").write_text("[target]\n", encoding="utf-8")
    done = export(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert reported in done.stderr
    assert not (tmp_path / "a.json").exists()
    assert json.loads((tmp_path / "good.json").read_text("utf-8")) == good


def test_a_verb_of_the_catalogue_is_needed() -> None:
    status, out, err = ran("catalog", cwd=ROOT)
    assert (status, out, len(err.splitlines())) == (2, "", 1)


def test_a_catalogue_without_functions() -> None:
    document = describe(catalogue())
    assert OpenAPIV31SpecValidator(document).is_valid()
    assert document["paths"] == {}
