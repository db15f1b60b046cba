"""`conform catalog import` of OpenAPI, Postman and OpenRPC documents: summary, update, check, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import conform
from conformance.catalog.model import Catalog
from conformance.catalog.reader import read_lenient
from tests.support import import_documents


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("openapi.yaml").write_text(import_documents.OPENAPI, "utf-8")
    Path("postman.json").write_text(json.dumps(import_documents.postman()), "utf-8")
    Path("openrpc.json").write_text(json.dumps(import_documents.openrpc()), "utf-8")


def run(*arguments: str) -> int:
    return conform.main(["catalog", "import", *arguments])


def change(path: str, edit: Any) -> None:
    document = read_lenient(Path(path).read_text("utf-8"))
    edit(document)
    Path(path).write_text(json.dumps(document), "utf-8")


def method(name: str, path: str = "catalogue.openrpc.json") -> dict[str, Any]:
    methods = yaml.safe_load(Path(path).read_text("utf-8"))["methods"]
    found: dict[str, Any] = next(each for each in methods if each["name"] == name)
    return found


@pytest.mark.parametrize(
    ("source", "options", "kind"),
    [
        ("openapi.yaml", (), "7 functions of 2 endpoints, of an OpenAPI 3.0.3 document"),
        ("postman.json", (), "7 functions of 2 endpoints, of a Postman collection"),
        ("openrpc.json", ("--entity-from", "_"), "7 functions of 2 endpoints, of an OpenRPC 1.2.6 document"),
    ],
)
@pytest.mark.parametrize("out", ["made.json", "made.yaml"])
def test_import_check_and_update(
    source: str, options: tuple[str, ...], kind: str, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, "--out", out, "--guess", *options) == 0
    reported = capsys.readouterr().out
    assert f"{out}: {kind}" in reported
    assert "the document left open: " in reported
    assert "  x-beyond-schema: whether it has rules" in reported
    assert conform.main(["catalog", "validate", out]) == 0
    assert "still to answer" in capsys.readouterr().out
    assert run(source, "--out", out, "--check", *options) == 0
    assert f"{out}: as the document has it" in capsys.readouterr().out
    before = Path(out).read_bytes()
    assert run(source, "--out", out, "--update", *options) == 0
    assert Path(out).read_bytes() == before


def test_what_a_person_wrote_wins(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("openapi.yaml", "--guess") == 0
    answered = {"name": "data", "schema": {"type": "object"}}

    def answer(document: Any) -> None:
        methods = {each["name"]: each for each in document["methods"]}
        methods["course.remove"] |= {"result": answered, "x-effect": "write"}
        methods["course.find"]["params"][0]["schema"]["maxLength"] = 50
        methods["course.add"] |= {"x-auth": "admin"}
        methods["auth.logout"] |= {"x-questions": ["result"]}
        del methods["course.add"]["params"][2]

    change("catalogue.openrpc.json", answer)

    def move_on(document: Any) -> None:
        schemas = document["components"]["schemas"]
        find = schemas["FindCoursesRequest"]["allOf"][1]["properties"]["data"]["properties"]
        find["query"]["maxLength"] = 100
        find["sort"]["enum"].append("seats")
        find["level"] = {"type": "string"}
        schemas["AddCourseRequest"]["x-auth"] = "user"
        schemas["ReadCourseRequest"]["properties"]["method"] = {"enum": ["readOne"]}
        schemas["LogoutRequest"]["x-auth"] = "none"

    change("openapi.yaml", move_on)
    capsys.readouterr()
    assert run("openapi.yaml", "--check") == 1
    assert "the document has moved on" in capsys.readouterr().out
    assert run("openapi.yaml", "--update") == 0
    reported = capsys.readouterr().out
    assert "  + course.find level\n" in reported
    assert "  + course.readOne\n" in reported
    assert "  - course.read\n" in reported
    assert "  ~ course.find sort: schema " in reported
    assert (
        "  ! course.find query: the document has a new schema, but it was changed by hand: it stays"
        in reported
    )
    assert "  ! course.add: the document has a new x-auth, but it was changed by hand: it stays" in reported
    find, add, logout = method("course.find"), method("course.add"), method("auth.logout")
    schemas = {param["name"]: param["schema"] for param in find["params"]}
    assert schemas["query"]["maxLength"] == 50
    assert "seats" in schemas["sort"]["enum"]
    assert "level" in schemas
    assert (add["x-auth"], [param["name"] for param in add["params"]]) == (
        "admin",
        ["title", "status", "seats"],
    )
    assert (method("course.remove")["result"], method("course.remove")["x-effect"]) == (answered, "write")
    # What the document states now is no question any more.
    assert (logout["x-auth"], logout["x-questions"]) == ("none", ["result"])
    assert run("openapi.yaml", "--check") == 1
    assert "course.add price: only on the document" in capsys.readouterr().out


def test_questions_that_were_answered_are_not_asked_again() -> None:
    assert run("openrpc.json", "--entity-from", "_") == 0

    def answer(document: Any) -> None:
        for each in document["methods"]:
            each.pop("x-questions")
            each["x-effect"] = "read"

    change("catalogue.openrpc.json", answer)
    change("openrpc.json", lambda document: document["methods"].pop(0))
    assert run("openrpc.json", "--entity-from", "_", "--update") == 0
    catalog = Catalog.load("catalogue.openrpc.json")
    assert "auth.login" not in catalog
    assert "x-questions" not in method("course.find")
    # The entry that a person has edited waits for the function to come back.
    gone = json.loads(Path("catalogue.openrpc.json").read_text("utf-8"))["x-imported"]["gone"]
    assert gone["auth.login"]["x-effect"] == "read"


def test_several_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("openapi.yaml", "openrpc.json", "--entity-from", "_") == 0
    reported = capsys.readouterr().out
    assert "of an OpenAPI 3.0.3 document and an OpenRPC 1.2.6 document" in reported
    assert "course.add is on several documents, and not alike" in reported
    assert run("openapi.yaml", "openrpc.json", "--entity-from", "_", "--check") == 0


@pytest.mark.parametrize(
    ("content", "options", "reported"),
    [
        ("{}", (), "is an object with no members, which is not read here: give one of OpenAPI"),
        ('{"openrpc": "1.0.0", "methods": [{"name": "eth_call", "params": []}]}', (), "--entity-from '_'"),
        (
            '{"openapi": "3.0.0", "paths": {"/a": {"get": {}}}}',
            (),
            "1 operations (GET /a), and none is a function",
        ),
        ("openapi: 3.0.0", ("--entity-from", ""), "--entity-from: give the text"),
        ("a: [", (), "line "),
    ],
)
def test_mistakes_are_one_line(
    content: str, options: tuple[str, ...], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.yaml").write_text(content, "utf-8")
    assert run("x.yaml", *options) == 2
    error = capsys.readouterr().err
    assert reported in error
    assert error.count("\n") == 1
    assert not Path("catalogue.openrpc.json").exists()


def test_what_no_value_passes_is_to_be_mended(capsys: pytest.CaptureFixture[str]) -> None:
    schema = {"type": "integer", "minimum": 5, "maximum": 3}
    document = {"openrpc": "1.3.2", "methods": [{"name": "a.b", "params": [{"name": "n", "schema": schema}]}]}
    Path("x.json").write_text(json.dumps(document), "utf-8")
    assert run("x.json") == 0
    assert "to mend by hand: 1\n  ! a.b: no value can pass this schema" in capsys.readouterr().out


def test_what_is_said_of_many_functions_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    methods: list[Any] = [
        {"name": f"a.f{at}", "paramStructure": "by-position", "params": []} for at in range(60)
    ]
    methods.append({"name": "a.last", "params": [{"name": "x"}]})
    Path("x.json").write_text(json.dumps({"openrpc": "1.3.2", "methods": methods}), "utf-8")
    assert run("x.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "the document left open: 61",
        "  a.f0, a.f1, a.f2, a.f3, … (60 in all): takes its parameters by position; they go by name here",
        "  a.last x: has no schema, so any value stands in",
    ]


@pytest.mark.parametrize(
    ("member", "value", "note"),
    [
        ("x-effect", "reads", "a.b: x-effect is left out: must be"),
        ("x-auth", {"a": 1}, "a.b: x-auth is left out: must be a string"),
        ("x-rows", "rows", "a.b: x-rows is left out: "),
        (
            "x-object",
            {"kind": "a", "does": "read", "id": "none"},
            "a.b: x-object is left out: 'none' is no parameter",
        ),
        (
            "params",
            [{"name": "n", "schema": {"x-ref": 5}}],
            "a.b n: any value stands in for its schema: x-ref must",
        ),
    ],
)
def test_what_a_catalogue_cannot_have_is_left_out(
    member: str, value: Any, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    method = {"name": "a.b", "params": [], member: value}
    Path("x.json").write_text(json.dumps({"openrpc": "1.3.2", "methods": [method]}), "utf-8")
    assert run("x.json") == 0
    assert note in capsys.readouterr().out
    assert conform.main(["catalog", "validate", "catalogue.openrpc.json"]) == 0
