"""The format of a document is recognised by its content; what is none is named in one line."""

from __future__ import annotations

import json

import pytest

from conformance.catalog.importing.detection import detect, page_hint
from conformance.errors import UsageError
from tests.support import import_documents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (import_documents.OPENAPI, "openapi"),
        ('\ufeff {"openapi": "3.1.0"}', "openapi"),
        ("swagger: 2.0\npaths: {}\n", "swagger"),
        (json.dumps(import_documents.postman()), "postman"),
        (json.dumps({"collection": import_documents.postman()}), "postman"),
        (json.dumps(import_documents.openrpc()), "openrpc"),
        ("<!doctype html><p>x", "page"),
        ("<?xml version='1.0'?>\n<html><body>", "page"),
        ('Hello <li class="procedure">', "page"),
    ],
)
def test_formats(text: str, expected: str) -> None:
    assert detect(text, "x").format == expected


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("<?xml version='1.0'?><wsdl:definitions/>", "an XML document (wsdl:definitions)"),
        ("<soap:Envelope>", "an XML document"),
        ("[1, 2]", "an array of 2"),
        ("Hello", "the text 'Hello'"),
        ("{}", "an object with no members"),
        ('{"a": 1, "b": 2}', "an object with a, b"),
        ('{"openapi": "4.0.0"}', "an OpenAPI document of version 4.0.0"),
        ('{"swagger": "1.2"}', "a Swagger document of version 1.2"),
        ('{"openrpc": "1.3.2"}', "an OpenRPC document without methods"),
        ('{"asyncapi": "2.6.0"}', "an AsyncAPI document"),
        ('{"log": {"entries": []}}', "conform catalog learn reads it"),
        ('{"requests": [], "order": []}', "a Postman collection of format 1"),
        ('{"values": [], "_postman_variable_scope": "environment"}', "a Postman environment"),
        ('{"$schema": "x"}', "a JSON Schema"),
        ('{"paths": {}}', "without the member openapi or swagger"),
        ('{"methods": []}', "without the member openrpc"),
    ],
)
def test_other_documents(text: str, seen: str) -> None:
    with pytest.raises(UsageError) as error:
        detect(text, "x.json")
    message = str(error.value)
    assert message.startswith("x.json: ")
    assert seen in message
    assert "give one of OpenAPI 3.0 and 3.1, Swagger 2.0, Postman" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text", ['{"openapi": ', "a: [", "a: b: c", '{"a": 1', "? [a]\n: b\n", "a: !!python/none x", '{"a": NaN}']
)
def test_broken_documents(text: str) -> None:
    with pytest.raises(UsageError, match=r"^x: ") as error:
        detect(text, "x")
    assert "\n" not in str(error.value)


def test_yaml_as_other_tools_write_it() -> None:
    text = "openapi: 3.0.0\nbase: &b {a: 1}\nx: {<<: *b, 200: yes, 1.5: 2020-01-01}\nopenapi: 3.0.1\n"
    document = detect(text, "x").document
    assert document == {
        "openapi": "3.0.1",
        "base": {"a": 1},
        "x": {"a": 1, "200": "yes", "1.5": "2020-01-01"},
    }


def test_pages_that_show_a_document() -> None:
    assert "(/v3/api-docs)" in page_hint(
        "<script>SwaggerUIBundle({url: '/v3/api-docs'})</script><i id=swagger-ui>"
    )
    assert page_hint("<p>x") == ""
