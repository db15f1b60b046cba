"""The documentation page as the reference service gives it, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fixtures import explorer
from fixtures.service import Service
from tests.service_client import Client


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    service = Service()
    yield Client(service)
    service.close()


def test_the_page_and_its_files(client: Client) -> None:
    moved = client.raw("/docs", b"", verb="GET")
    assert (moved.status, moved.headers["location"]) == (308, "/docs/")
    page = client.raw("/docs/", b"", verb="GET")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert b'<li class="procedure" data-method="login">' in page.body
    for name, kind in explorer.ASSETS.items():
        reply = client.raw(f"/docs/{name}", b"", verb="GET")
        assert (reply.status, reply.headers["content-type"]) == (200, kind)


def test_every_module_that_is_named_is_given() -> None:
    text = (explorer.FOLDER / "index.html").read_text("utf-8")
    modules = {path.name for path in explorer.FOLDER.glob("*.js")}
    assert modules <= explorer.ASSETS.keys()
    assert all(name == "app.js" or f'<link rel="modulepreload" href="{name}">' in text for name in modules)


def test_no_markup_is_made_of_strings() -> None:
    for path in explorer.FOLDER.glob("*.js"):
        script = path.read_text("utf-8")
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert way not in script, (path.name, way)


def test_the_forms_know_every_parameter(client: Client) -> None:
    forms = json.loads(client.raw("/docs/catalogue.json", b"", verb="GET").body)
    for function in client.service.functions.values():
        form = forms["methods"][function.name]
        assert {name: forms["schemas"][number] for name, number in form["params"].items()} == function.params
        assert form.get("paged", False) == (function.rows is not None)


@pytest.mark.parametrize(
    "path", ["/docs/none.js", "/docs/../seed.toml", "/docs/__init__.py", "/docsx", "/docs//"]
)
def test_there_is_nothing_else(client: Client, path: str) -> None:
    reply = client.raw(path, b"", verb="GET")
    assert reply.status == 404
    assert reply.envelope["isError"] is True


def test_the_page_is_no_endpoint(client: Client) -> None:
    assert client.raw("/docs/", b'{"method":"find"}').status == 404
    assert client.raw("/docs/app.js", b"", verb="DELETE").status == 404


def test_types_are_told_in_the_words_of_the_page() -> None:
    assert explorer.type_words({"type": ["integer", "null"]}) == "int|null"
    assert explorer.type_words({"type": "array", "items": {"type": "number"}}) == "float[]"
    assert explorer.type_words({"type": "array", "items": {"type": ["string", "null"]}}) == "array"
    assert explorer.type_words({"enum": ["a", 1, None]}) == "string|int|null"
    assert explorer.type_words({"anyOf": [{"type": "string"}, {"type": "integer"}]}) == "string|int"
    assert explorer.type_words({"anyOf": [{"type": "string"}, {}]}) == "mixed"
    assert explorer.type_words({}) == explorer.type_words(True) == "mixed"
