"""Postman collections: requests are calls, saved answers are their results, and secrets stay out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.catalog.importing import merging
from conformance.catalog.importing.entries import Imported
from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.learning.postman import read_postman
from conformance.schema.dialect import SUGGESTED
from tests.support import import_documents


def document_of(read: Imported) -> dict[str, Any]:
    return merging.build(read.title, read.functions, ["x"])


@pytest.fixture(scope="module")
def courses() -> Imported:
    return read_postman(import_documents.postman(), "x.json")


def test_requests_are_functions(courses: Imported) -> None:
    catalog = Catalog.parse(document_of(courses))
    assert set(catalog.methods) == {
        *("auth.login", "auth.status", "auth.logout"),
        *("course.find", "course.read", "course.add", "course.remove"),
    }
    assert (courses.title, courses.server) == ("Courses", "http://127.0.0.1:8000/api/")
    assert {name: method.auth for name, method in catalog.methods.items() if method.auth == "none"} == {
        "auth.login": "none"
    }
    assert {name for name, method in catalog.methods.items() if method.effect == "read"} == {
        *("auth.status", "course.find", "course.read"),
    }
    assert catalog["course.find"].description == "List courses of one's own."
    assert catalog["auth.status"].description == "Who am I"
    assert catalog["course.find"].rows == "/courses"
    # One saved answer decides no type; it only says what is likely.
    (read,) = [param.schema for param in catalog["course.read"].params]
    assert read[SUGGESTED]["type"] == "integer"
    assert "type" not in read


def test_what_is_not_known_is_asked(courses: Imported) -> None:
    open_ = merging.questions(document_of(courses))
    assert set(open_["result"]) == {"auth.logout", "course.remove"}
    assert "course.find" in open_["x-auth"]
    assert "auth.login" not in open_.get("x-effect", [])


def test_what_is_no_call_is_noted(courses: Imported) -> None:
    assert courses.notes == [
        "requests left out since the verb is not POST: 1 (such as «Courses / Health»)",
        "requests left out since the body is formdata, not raw: 1 (such as «Courses / Form»)",
    ]


def test_secrets_stay_out(courses: Imported) -> None:
    text = json.dumps(document_of(courses))
    assert import_documents.PASSWORD not in text
    assert import_documents.SESSION not in text
    assert "ann@example.com" not in text


def test_tokens_stay_out_of_the_evidence() -> None:
    def call(token: str, code: int) -> dict[str, Any]:
        found = request('{"method": "purge"}', header=[{"key": "Token", "value": token}])
        body: Any = {"isError": code != 200, "errMsg": None if code == 200 else "no", "data": {}}
        return {**found, "response": [{"code": code, "body": json.dumps(body)}]}

    read = collection(call("Oak-Leaf-2291", 200), call("Fir-Cone-5580", 403))
    entry = read.functions["course.purge"].entry()
    assert "session 2" in entry["x-evidence"]["x-auth"]["because"]
    assert not [token for token in ("Oak-Leaf-2291", "Fir-Cone-5580") if token in json.dumps(entry)]


def collection(*items: Any, **more: Any) -> Imported:
    return read_postman({"info": {"name": "t"}, "item": list(items), **more}, "x.json")


def request(raw: str, url: Any = "http://h.example/api/course", **more: Any) -> dict[str, Any]:
    return {
        "name": "r",
        "request": {"method": "POST", "url": url, "body": {"mode": "raw", "raw": raw}, **more},
    }


FIND = '{"method": "find", "data": {}}'


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://h.example/api/course?x=1", "http://h.example/api/"),
        ("h.example/api/course/", "http://h.example/api/"),
        ("{{baseUrl}}/course", "http://127.0.0.1:1/api/"),
        ("{{unknown}}/course", None),
        (
            {"raw": "{{baseUrl}}/:entity", "variable": [{"key": "entity", "value": "course"}]},
            "http://127.0.0.1:1/api/",
        ),
        ({"host": ["h", "example"], "path": ["api", "course"]}, "http://h.example/api/"),
        ({"host": "{{baseUrl}}", "path": "{{name}}"}, "http://127.0.0.1:1/api/"),
        (
            {"protocol": "https", "host": ["localhost"], "port": "5000", "path": ["api", "course"]},
            "https://localhost:5000/api/",
        ),
    ],
)
def test_addresses(url: Any, server: str | None) -> None:
    variables = [{"key": "baseUrl", "value": "http://127.0.0.1:1/api"}, {"key": "name", "value": "course"}]
    read = collection(request(FIND, url), variable=variables)
    assert list(read.functions) == ["course.find"]
    assert read.server == server


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ('{"method": "find", "data": {"id": {{id}}, "n": {{known}}}}', ["id", "n"]),
        ('{"method": "find", // why\n "data": {"a": "x // y", /* b */ "c": "\\"{{id}}"}}', ["a", "c"]),
        ('{"method": "{{fn}}", "data": {"a": "{{$guid}}"}}', ["a"]),
    ],
)
def test_bodies_with_variables_and_comments(raw: str, names: list[str]) -> None:
    read = collection(request(raw), variable=[{"key": "known", "value": 5}, {"key": "fn", "value": "find"}])
    (function,) = read.functions.values()
    assert function.name == "course.find"
    assert [param["name"] for param in function.entry()["params"]] == names


@pytest.mark.parametrize(
    ("more", "auth"),
    [
        ({"header": [{"key": "token", "value": "abc"}]}, "session"),
        ({"header": [{"key": "Token", "value": "abc", "disabled": True}]}, "none"),
        ({"header": "Token: abc\nX: y"}, "session"),
        ({"auth": {"type": "bearer"}}, "session"),
        ({"auth": {"type": "noauth"}}, "none"),
        ({}, "none"),
    ],
)
def test_who_may_call(more: dict[str, Any], auth: str) -> None:
    other = request('{"method": "status"}', header=[{"key": "Token", "value": "x"}])
    read = collection(request(FIND, **more), other)
    entry = read.functions["course.find"].entry()
    assert entry["x-auth"] == auth
    assert "x-auth" in entry["x-questions"]


def test_without_any_token_sessions_are_taken_to_be_needed() -> None:
    read = collection(request(FIND), request('{"method": "login", "data": {"name": "a", "password": "b"}}'))
    assert {name: each.entry()["x-auth"] for name, each in read.functions.items()} == {
        "course.find": "session",
        "course.login": "none",
    }
    assert any("no request carries a Token" in note for note in read.notes)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"name": "r", "request": "http://h.example/x"}, "the verb is not POST"),
        (request('{"amount": 5}'), "the call names no function"),
        (request("{"), "is not JSON"),
        (request("[1]"), "not a JSON object"),
        (request(""), "there is no body"),
        (request(FIND, "http://h.example"), "the path is that of no endpoint"),
        (request(FIND, "{{base}}/{{entity}}"), "the path is that of no endpoint"),
        (request(FIND, None), "the path is that of no endpoint"),
        ({"name": "r", "request": {"method": "POST", "body": None, "url": 5}}, "there is no body"),
        (5, "0 requests"),
    ],
)
def test_a_collection_without_calls_is_one_line(item: Any, reason: str) -> None:
    with pytest.raises(UsageError) as error:
        collection(item)
    message = str(error.value)
    assert message.startswith("x.json: is a Postman collection with ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "example", [{"body": None}, {"body": "<p>"}, {"body": "{}", "code": 200}, {"code": "x", "body": 5}]
)
def test_answers_that_are_no_envelopes_are_passed_over(example: dict[str, Any]) -> None:
    read = collection({**request(FIND), "response": [example]})
    assert "result" not in read.functions["course.find"].entry()
    assert any("(example)" in note for note in read.notes)
