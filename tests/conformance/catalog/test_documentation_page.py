"""A documentation page read into a catalogue, brought up to the page again, and checked with line numbers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

import conform
from conformance.catalog import documentation_page as docpage
from conformance.catalog.documentation_page import PageParam, read, schema_of, text_of
from conformance.catalog.importing import merging
from conformance.catalog.importing.merging import merge
from conformance.catalog.model import Catalog
from fixtures import explorer
from fixtures.service import Service
from tests.support.service_client import Client


def row(
    name: str, words: str = "string", *, required: bool = False, default: str = "", about: str = ""
) -> str:
    return (
        f'<tr class="{"required" if required else ""}"><td class="name">{name}</td><td class="type">{words}</td>'
        f'<td class="description">{about}</td><td class="parameter"><input value="{default}"></td></tr>'
    )


def page(**entities: dict[str, list[str]]) -> str:
    return "<title>Things</title><ul>" + "".join(
        f'<li class="collection" data-url="/api/{entity}"><h3>{entity}</h3><ul>'
        + "".join(
            f'<li class="procedure" data-method="{name}"><p class="description">About {name}</p>'
            f"<table>{''.join(rows)}</table></li>"
            for name, rows in functions.items()
        )
        + "</ul></li>"
        for entity, functions in entities.items()
    )


def functions_of(html: str) -> dict[str, docpage.PageFunction]:
    return read(html)[1]


def built(html: str, **options: bool) -> dict[str, Any]:
    return merging.build("Things", functions_of(html), ["page.html"], **options)


def method(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["methods"] if each["name"] == name)
    return found


# --- reading


def test_a_page_is_read() -> None:
    html = page(
        course={
            "find": [row("query", "string = 'x'", about="What &amp; where"), row("id", "int", required=True)]
        }
    )
    title, functions, notes = read(html)
    assert title == "Things"
    assert notes == []
    find = functions["course.find"]
    assert find.description == "About find"
    assert find.params == (
        PageParam("query", "string", False, "'x'", "What & where"),
        PageParam("id", "int", True, None, ""),
    )
    catalog = Catalog.parse(built(html))
    assert [param.name for param in catalog["course.find"].params] == ["id", "query"]
    assert catalog["course.find"].params[1].schema == {"type": "string", "default": "x"}


def test_broken_markup_is_read_all_the_same() -> None:
    html = """
    <div class="open collection big" data-url='https://host/api/auth/?v=3'>
      <div data-method=login class="x procedure y"><h4>login</h4><span class="long description">Sign
         in &lt;here&gt; &eacute;&nbsp;!</span>
        <table><tr class="odd required"><td class="x name">identity<td class=type>STRING
        <tr><td class=name><b>cre</b>dential
        <tr><td class=type>int</td></tr>
        <tr class=required><td class=name>identity<td class=type>int
    <div class="procedure" data-method="">nameless</div>
    <div class="procedure" data-method="lost">
    """
    _, functions, notes = read(html)
    login = functions["auth.login"]
    assert login.description == "Sign in <here> é !"
    assert [(param.name, param.type, param.required) for param in login.params] == [
        ("identity", "STRING", True),
        ("credential", "", False),
    ]
    assert "auth.login: a parameter stands twice: identity" in notes
    assert any("its name is missing" in note for note in notes)


def test_what_belongs_to_no_endpoint_is_reported() -> None:
    _, functions, notes = read('<li class="procedure" data-method="login">')
    assert functions == {}
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        ("int", {"type": "integer"}),
        ("Integer", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("array", {"type": "array"}),
        ("object", {"type": "object"}),
        ("mixed", {}),
        ("string|int", {"type": ["string", "integer"]}),
        ("string | null", {"type": ["string", "null"]}),
        ("?int", {"type": ["integer", "null"]}),
        ("int[]", {"type": "array", "items": {"type": "integer"}}),
        ("mixed[]", {"type": "array"}),
        ("array<string>", {"type": "array", "items": {"type": "string"}}),
        ("int[][]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        ("int[]|null", {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]}),
        ("int|integer", {"type": "integer"}),
    ],
)
def test_types(words: str, schema: dict[str, Any]) -> None:
    assert schema_of(PageParam("x", words)) == (schema, [])


@pytest.mark.parametrize("words", ["Course", "int|Course", "Course[]", "date", ""])
def test_unknown_types_allow_everything_and_say_so(words: str) -> None:
    schema, notes = schema_of(PageParam("x", words))
    assert schema.keys() == {"$comment"}
    assert len(notes) == 1
    assert words in schema["$comment"]


@pytest.mark.parametrize(
    ("words", "text", "value"),
    [
        ("int", "10", 10),
        ("string", "10", "10"),
        ("string", "'10'", "10"),
        ("string", "true", "true"),
        ("bool", "TRUE", True),
        ("float", "0.5", 0.5),
        ("array", "[1]", [1]),
        ("string|null", "null", None),
        ("mixed", "7", 7),
    ],
)
def test_defaults(words: str, text: str, value: object) -> None:
    schema, notes = schema_of(PageParam("x", words, default=text))
    assert schema["default"] == value
    assert type(schema["default"]) is type(value)
    assert notes == []


def test_a_default_of_another_type_is_left_out_and_reported() -> None:
    schema, notes = schema_of(PageParam("x", "int", default="many"))
    assert schema == {"type": "integer"}
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("content", "header", "text"),
    [
        ("é".encode(), "", "é"),
        ("é".encode("latin-1"), "text/html; charset=ISO-8859-1", "é"),
        (b'<meta charset="iso-8859-1">\xe9', "", '<meta charset="iso-8859-1">é'),
        (b"\xe9", "", "é"),
        ("é".encode("utf-16"), "", "é"),
        ("é".encode(), "text/html; charset=nonsense", "é"),
    ],
)
def test_encodings(content: bytes, header: str, text: str) -> None:
    assert text_of(content, header) == text


def test_what_a_page_cannot_say_is_asked() -> None:
    html = page(course={"find": [], "add": [], "getter": []}, auth={"login": [], "logins": []})
    plain = built(html)
    assert {each["x-auth"] for each in plain["methods"]} == {"session"}
    assert {each["x-effect"] for each in plain["methods"]} == {"write"}
    assert merging.questions(plain)["x-auth"] == [each["name"] for each in plain["methods"]]
    guessed = built(html, guess=True)
    assert method(guessed, "course.find")["x-effect"] == "read"
    assert method(guessed, "course.getter")["x-effect"] == "write"
    assert method(guessed, "auth.login")["x-auth"] == "none"
    assert method(guessed, "auth.logins")["x-auth"] == "session"
    assert "x-beyond-schema" not in method(plain, "course.find")
    limited = built(page(course={"find": [row("query")]}))
    assert Catalog.parse(limited)["course.find"].beyond_schema
    # A guess is no answer.
    assert merging.questions(guessed) == merging.questions(plain)


# --- the page of our own


def test_our_own_page_is_read_back() -> None:
    service = Service()
    reply = Client(service).raw("/docs/", b"", verb="GET")
    service.close()
    assert reply.status == 200
    original = Catalog.parse(service.catalogue())
    title, functions, notes = read(reply.body.decode())
    again = Catalog.parse(merging.build(title, functions, ["docs"]))
    assert notes == []
    assert list(again.methods) == list(original.methods)
    for function in original:
        back = again[function.name]
        assert back.description == function.description
        assert [(param.name, param.required) for param in back.params] == [
            (param.name, param.required) for param in function.params
        ]
        for mine, theirs in zip(back.params, function.params, strict=True):
            assert explorer.type_words(mine.schema) == explorer.type_words(theirs.schema)
            assert mine.schema.get("type") == theirs.schema.get("type"), (function.name, mine.name)
            if theirs.schema.get("default") not in (None, ""):
                assert mine.schema["default"] == theirs.schema["default"]


def test_hostile_names_are_text_on_the_page() -> None:
    evil = '"><script>alert(1)</script>'
    methods = [
        {
            "name": f"x{evil}.y'{evil}",
            "description": f"<img src=x>{evil}<!-- functions -->",
            "params": [{"name": evil, "schema": {"type": "string", "default": evil}, "description": evil}],
            "x-auth": evil,
        }
    ]
    html = explorer.page(methods, {"base": "/api/", "title": evil, "mode": "direct"}).decode()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    _, functions, _ = read(html.replace("x&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;", "x"))
    assert len(functions) <= 1


def test_names_of_members_become_objects_and_arrays() -> None:
    html = page(course={"add": [row("flag.name", required=True), row("file[].size", "int"), row("title")]})
    params = {param.name: param for param in Catalog.parse(built(html))["course.add"].params}
    assert list(params) == ["flag", "file", "title"]
    assert params["flag"].required
    assert params["flag"].schema["required"] == ["name"]
    assert params["file"].schema["items"]["properties"] == {"size": {"type": "integer"}}


def test_names_of_members_stay_as_they_are_in_a_catalogue_that_has_them() -> None:
    """Earlier releases wrote them as parameters of their own; a person may have edited these."""
    html = page(course={"add": [row("flag.name"), row("title")]})
    document = built(html)
    add = method(document, "course.add")
    add["params"] = [
        {"name": name, "required": False, "schema": {"type": "string"}} for name in ("flag.name", "title")
    ]
    merged, changes = merge(document, functions_of(html), ["page.html"])
    assert not changes
    assert merged == document


# --- reading again


def test_nothing_new_changes_nothing() -> None:
    html = page(course={"find": [row("query")]})
    document = built(html)
    again, changes = merge(document, functions_of(html), ["page.html"])
    assert not changes
    assert again == document


def test_answers_stay_and_the_page_is_followed() -> None:
    before = page(
        course={
            "find": [row("query"), row("limit", "int")],
            "read": [row("id", "int")],
            "drop": [],
            "gone": [],
        }
    )
    now = page(
        course={
            "find": [row("query", "string|null"), row("limit", "int", required=True), row("sort")],
            "read": [row("key", "int")],
            "fresh": [],
        }
    )
    document = built(before)
    find = method(document, "course.find")
    find["x-auth"], find["x-effect"] = "admin", "read"
    find["result"] = {"name": "data", "schema": {"type": "array"}}
    find["params"][0]["schema"]["maxLength"] = 80
    read_ = method(document, "course.read")
    read_["params"][0]["schema"]["x-ref"] = "course"
    method(document, "course.drop")["x-effect"] = "delete"
    merged, changes = merge(document, functions_of(now), ["page.html"])
    Catalog.parse(merged)

    found = method(merged, "course.find")
    assert (found["x-auth"], found["x-effect"], found["result"]) == ("admin", "read", find["result"])
    # What a page cannot limit stays open until a person has stated it.
    assert found["x-questions"] == ["x-beyond-schema"]
    query = next(param for param in found["params"] if param["name"] == "query")
    assert query["schema"] == {"type": "string", "maxLength": 80}
    assert found["params"][0] == {"name": "limit", "required": True, "schema": {"type": "integer"}}
    assert any("course.find query" in line and "stays" in line for line in changes.conflicts)
    assert "course.find sort" in changes.added
    assert "course.fresh" in changes.added
    assert any(line.startswith("course.find limit: required") for line in changes.changed)
    # A removed parameter stays, and is reported, if a person has changed it.
    assert [param["name"] for param in method(merged, "course.read")["params"]] == ["key", "id"]
    assert {"course.read id", "course.drop", "course.gone"} == set(changes.removed)
    assert {each["name"] for each in merged["methods"]} == {"course.find", "course.read", "course.fresh"}
    # What was answered waits for a function that comes back.
    assert merged["x-imported"]["gone"].keys() == {"course.drop"}
    back, _ = merge(merged, functions_of(before), ["page.html"])
    assert method(back, "course.drop")["x-effect"] == "delete"
    assert method(back, "course.gone")["x-effect"] == "write"


def test_a_first_parameter_brings_its_question() -> None:
    document = built(page(course={"find": []}))
    merged, changes = merge(document, functions_of(page(course={"find": [row("query")]})), ["p"])
    assert changes.added == ["course.find query"]
    found = method(merged, "course.find")
    assert found["x-beyond-schema"] is True
    assert "x-beyond-schema" in found["x-questions"]


def test_what_was_struck_out_stays_out() -> None:
    html = page(course={"find": [row("query"), row("internal")], "secret": []})
    document = built(html)
    document["methods"] = [method(document, "course.find")]
    document["methods"][0]["params"] = document["methods"][0]["params"][:1]
    merged, changes = merge(document, functions_of(html), ["page.html"])
    assert not changes
    assert [each["name"] for each in merged["methods"]] == ["course.find"]
    assert len(merged["methods"][0]["params"]) == 1


def test_a_catalogue_written_by_hand_is_compared_and_retained() -> None:
    document = {
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [
            {
                "name": "course.find",
                "params": [{"name": "query", "required": True, "schema": {"maxLength": 3}}],
            },
            {"name": "own.thing", "params": []},
        ],
    }
    merged, changes = merge(document, functions_of(page(course={"find": [row("query"), row("sort")]})), ["p"])
    assert merged["methods"] == document["methods"]
    assert len(changes.conflicts) == 2


# --- the command


def run(*arguments: str) -> int:
    return conform.main(["catalog", *arguments])


def test_import_update_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "page.html", tmp_path / "made.json"
    source.write_text(page(course={"find": [row("query"), row("odd", "Course")]}), "utf-8")
    assert run("import", str(source), "--out", str(out)) == 0
    reported = capsys.readouterr().out
    assert "1 functions of 1 endpoints" in reported
    assert "course.find odd: the page's type «Course» is not known" in reported
    assert "x-auth: who may call it" in reported
    assert run("validate", str(out)) == 0
    assert "still to answer: x-auth of 1" in capsys.readouterr().out
    assert run("import", str(source), "--out", str(out)) == 2
    assert "--update" in capsys.readouterr().err

    assert run("import", str(source), "--out", str(out), "--check") == 0
    source.write_text(page(course={"find": [row("query")], "add": []}), "utf-8")
    before = out.read_bytes()
    assert run("import", str(source), "--out", str(out), "--check") == 1
    assert out.read_bytes() == before
    assert "  + course.add\n" in capsys.readouterr().out
    assert run("import", str(source), "--out", str(out), "--update") == 0
    assert run("import", str(source), "--out", str(out), "--check") == 0
    assert "course.add" in Catalog.load(out)


def test_several_pages_and_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, out = tmp_path / "1.html", tmp_path / "2.html", tmp_path / "made.yaml"
    one.write_text(page(course={"find": [row("query")]}), "utf-8")
    two.write_text(page(user={"find": []}, course={"find": []}), "utf-8")
    assert run("import", str(one), str(two), "--out", str(out), "--guess") == 0
    assert "course.find is on several pages, and not alike" in capsys.readouterr().out
    assert list(Catalog.load(out).methods) == ["course.find", "user.find"]
    assert yaml.safe_load(out.read_text("utf-8"))["methods"][0]["x-effect"] == "read"


def test_to_the_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "page.html"
    source.write_text(page(course={"find": []}), "utf-8")
    assert run("import", str(source), "--out", "-") == 0
    captured = capsys.readouterr()
    assert "course.find" in Catalog.parse(json.loads(captured.out))
    assert "to answer" in captured.err


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["nowhere.html"], "cannot be read"),
        (["empty.html"], "has no functions of the markup"),
        (["ftp://host/page"], "http:// or https://"),
        (["empty.html", "--out", "none.json", "--update"], "there is no such catalogue"),
        (["empty.html", "--out", "-", "--check"], "only a file"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    reported: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.html").write_text("<p>Hello", "utf-8")
    assert run("import", *arguments) == 2
    error = capsys.readouterr().err
    assert reported in error
    assert error.count("\n") == 1


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path.startswith("/docs")
        body = page(course={"find": [row("wörter")]}).encode("latin-1") if found else b"no"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=latin-1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_from_an_address(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made.json"
    assert run("import", f"{server}/docs?key=secret-in-the-query", "--out", str(out)) == 0
    assert Catalog.load(out)["course.find"].param("wörter") is not None
    assert "secret-in-the-query" not in out.read_text("utf-8")
    assert run("import", f"{server}/other", "--out", str(tmp_path / "x.json")) == 3
    assert "was answered 404" in capsys.readouterr().err
    assert run("import", "http://127.0.0.1:1/", "--out", str(tmp_path / "x.json")) == 3
    assert capsys.readouterr().err.count("\n") == 1


GOOD = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": []}


def test_validate_reports_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.json"
    path.write_text(
        """{
  "openrpc": "1.3.2",
  "info": {"title": "a \\"quoted\\" {title}", "version": "1"},
  "methods": [
    {"name": "a.good", "params": []},
    {"name": "a.bad", "params": [],
     "x-effect": "reads"},
    {"name": "a.worse", "params": [
      {"name": "x", "schema": {"type": "string"}},
      {"name": "y",
       "schema": {"type": "strong"}}
    ]},
\t{"name": "a.good", "params": []}
  ]
}
""",
        "utf-8",
    )
    assert run("validate", str(path)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in lines] == ["7", "11", "13"]
    assert 'did you mean "read"?' in lines[0]
    assert "stands twice" in lines[2]


def test_validate_yaml_and_nonsense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "openrpc: 1.3.2\ninfo:\n  title: t\n  version: '1'\nmethods:\n- name: a\n  params: []\n", "utf-8"
    )
    assert run("validate", str(path)) == 2
    assert f"{path}:6: /methods/0/name: 'a' names no function" in capsys.readouterr().err
    path.write_text("openrpc: [", "utf-8")
    assert run("validate", str(path)) == 2
    assert "line " in capsys.readouterr().err
    path.write_text("[]", "utf-8")
    assert run("validate", str(path)) == 2
    assert run("validate", str(tmp_path / "none.json")) == 2


def test_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.json"
    params = [
        {"name": "a|b", "required": True, "schema": {"type": "string", "default": "`x`", "pattern": "a|b"}},
        {"name": "n", "schema": {"type": ["integer", "null"]}, "description": "<b>*no markup*</b>"},
    ]
    methods = [{"name": "x.y", "params": params, "x-auth": "admin", "x-effect": "read", "x-rows": "/rows"}]
    path.write_text(json.dumps({**GOOD, "methods": methods}), "utf-8")
    assert run("export", str(path), "--markdown", "-") == 0
    text = capsys.readouterr().out
    assert "role admin · read · paged" in text
    assert "| `a\\|b` | string | yes |" in text
    assert "\\<b\\>\\*no markup\\*" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 2
    assert run("export", str(path)) == 2


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (lambda methods: methods[0]["params"].pop(), "course.find sort: only on the page"),
        (
            lambda methods: methods[0]["params"].append({"name": "more", "schema": {}}),
            "course.find more: only in the catalogue",
        ),
        (lambda methods: methods.pop(), "course.add: only on the page"),
        (
            lambda methods: methods.append({"name": "course.drop", "params": []}),
            "course.drop: only in the catalogue",
        ),
        (
            lambda methods: methods[0]["params"][0].update(required=False),
            "course.find query: required on the page, not required in the catalogue",
        ),
        (
            lambda methods: methods[0]["params"][0].update(schema={"type": "integer"}),
            "course.find query: string on the page, integer in the catalogue",
        ),
    ],
)
def test_check_compares_both_ways(
    change: Any, reported: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Report changes made by hand as well, with the side that has them."""
    source, out = tmp_path / "page.html", tmp_path / "made.json"
    rows = [row("query", required=True), row("sort")]
    source.write_text(page(course={"find": rows, "add": [row("title")]}), "utf-8")
    assert run("import", str(source), "--out", str(out)) == 0
    assert run("import", str(source), "--out", str(out), "--check") == 0
    assert f"{out}: as the page has it" in capsys.readouterr().out
    document = json.loads(out.read_text("utf-8"))
    change(document["methods"])
    out.write_text(json.dumps(document), "utf-8")
    assert run("import", str(source), "--out", str(out), "--check") == 1
    shown = capsys.readouterr().out
    assert reported in shown
    assert f"{out}: as the page has it" not in shown


def test_what_narrows_the_page_is_as_the_page_has_it(tmp_path: Path) -> None:
    source, out = tmp_path / "page.html", tmp_path / "made.json"
    source.write_text(page(course={"find": [row("query"), row("count", "float")]}), "utf-8")
    assert run("import", str(source), "--out", str(out)) == 0
    document = json.loads(out.read_text("utf-8"))
    (find,) = document["methods"]
    find["params"][0]["schema"] |= {"maxLength": 80}
    find["params"][1]["schema"] = {"type": "integer", "minimum": 0}
    find |= {"x-auth": "none", "x-effect": "read", "result": {"name": "r", "schema": {"type": "object"}}}
    out.write_text(json.dumps(document), "utf-8")
    assert run("import", str(source), "--out", str(out), "--check") == 0
