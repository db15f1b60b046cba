"""Mistakes in a catalogue: each is one line that names the place and the correction."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from tests.support.catalogues import DOCUMENT

# --- mistakes -----------------------------------------------------------------------------------------------


def edit(path: str, value: Any) -> Any:
    """Return the document with one place changed; `...` removes it."""
    document = copy.deepcopy(DOCUMENT)
    *way, last = path.split("/")[1:]
    here: Any = document
    for token in way:
        here = here[int(token) if isinstance(here, list) else token]
    if value is ...:
        del here[last]
    elif isinstance(here, list):
        here[int(last)] = value
    else:
        here[last] = value
    return document


ADD = "/methods/1"


WRONG = [
    # (where, what is put there, how the line goes on behind the file's name)
    ("/openrpc", ..., '/openrpc: is missing: write "openrpc": "1.3.2"'),
    ("/openrpc", "2.0.0", "/openrpc: '2.0.0' is no version that is read here"),
    ("/openrpc", 1.3, "/openrpc: 1.3 is no version that is read here"),
    ("/info", ..., "/info: is missing; it must be an object"),
    ("/info", [], "/info: must be an object, not an array"),
    ("/info/title", ..., "/info/title: is missing"),
    ("/info/version", 1, "/info/version: must be a string, not 1"),
    ("/methods", ..., "/methods: is missing; it must be an array"),
    ("/methods", {}, "/methods: must be an array, not an object"),
    (ADD, 5, "/methods/1: must be an object, not 5"),
    (f"{ADD}/name", ..., "/methods/1/name: is missing"),
    (f"{ADD}/name", "add", "/methods/1/name: 'add' names no function: write it as entity.function"),
    (f"{ADD}/name", "a.b.c", "/methods/1/name: 'a.b.c' names no function"),
    (f"{ADD}/name", "auth.login", "/methods/1/name: 'auth.login' stands twice"),
    (f"{ADD}/parms", [], '/methods/1/parms: unknown member; did you mean "params"?'),
    (f"{ADD}/x-efect", "read", '/methods/1/x-efect: unknown member; did you mean "x-effect"?'),
    (f"{ADD}/zzz", 1, "/methods/1/zzz: unknown member; its own members begin with x-"),
    (f"{ADD}/paramStructure", "by-position", "/methods/1/paramStructure: 'by-position' cannot be"),
    (f"{ADD}/params", ..., "/methods/1/params: is missing; it must be an array"),
    (f"{ADD}/params/0", [], "/methods/1/params/0: must be an object, not an array"),
    (f"{ADD}/params/0/name", ..., "/methods/1/params/0/name: is missing"),
    (f"{ADD}/params/1/name", "title", "/methods/1/params/1/name: 'title' stands twice"),
    (f"{ADD}/params/0/required", "yes", '/methods/1/params/0/required: must be true or false, not "yes"'),
    (f"{ADD}/params/0/schema", ..., "/methods/1/params/0/schema: is missing; it must be a JSON Schema"),
    (f"{ADD}/params/0/schema", 5, "/methods/1/params/0/schema: a schema must be an object or a boolean"),
    (f"{ADD}/params/1/schema/type", "int", '/methods/1/params/1/schema/type: "int" is not valid'),
    (
        f"{ADD}/params/1/schema/minimum",
        "1",
        '/methods/1/params/1/schema/minimum: "1" is not of type "number"',
    ),
    (f"{ADD}/params/1/schema/pattern", "(", "/methods/1/params/1/schema: '(' (at the top) is no pattern"),
    (f"{ADD}/params/0/schema/$ref", "#/components/schemas/No", "/methods/1/params/0/schema/$ref: '#/comp"),
    (f"{ADD}/params/0/schema/$ref", "http://x/y", "/methods/1/params/0/schema/$ref: 'http://x/y' leads out"),
    (f"{ADD}/params/1/schema/x-ref", "", "/methods/1/params/1/schema: x-ref must be the name of a kind"),
    (f"{ADD}/params/1/schema/x-ref", 5, "/methods/1/params/1/schema: x-ref must be the name of a kind"),
    ("/methods/2/params/0/$ref", "#/nowhere", "/methods/2/params/0/$ref: '#/nowhere' leads nowhere"),
    ("/methods/2/params/0/$ref", "other.json", "/methods/2/params/0/$ref: 'other.json' leads out"),
    (
        "/components/contentDescriptors/courseId",
        {"$ref": "#/components/contentDescriptors/courseId"},
        "/methods/2/params/0/$ref: '#/components/contentDescriptors/courseId' leads in a circle",
    ),
    (f"{ADD}/result", 5, "/methods/1/result: must be an object, not 5"),
    (f"{ADD}/result/schema", ..., "/methods/1/result/schema: is missing"),
    (f"{ADD}/result/schema", {"type": 5}, "/methods/1/result/schema/type: 5 is not valid"),
    (f"{ADD}/x-auth", 5, "/methods/1/x-auth: must be a string, not 5"),
    (f"{ADD}/x-auth", " ", '/methods/1/x-auth: must be "none", "session" or the name of a role'),
    (
        f"{ADD}/x-effect",
        "reads",
        '/methods/1/x-effect: must be "read", "write" or "delete", not \'reads\'; did',
    ),
    (f"{ADD}/x-rows", "rows", "/methods/1/x-rows: 'rows' is no JSON pointer"),
    (f"{ADD}/x-beyond-schema", 1, "/methods/1/x-beyond-schema: must be true or false, not 1"),
    (f"{ADD}/x-object", "course", '/methods/1/x-object: must be an object, not "course"'),
    (f"{ADD}/x-object/kind", ..., "/methods/1/x-object/kind: is missing"),
    (f"{ADD}/x-object/does", "make", '/methods/1/x-object/does: must be "create", "read", '),
    (f"{ADD}/x-object/id", ..., "/methods/1/x-object/id: is missing"),
    (f"{ADD}/x-object/ids", "x", '/methods/1/x-object/ids: unknown member; did you mean "id"?'),
    (f"{ADD}/x-object/at", "course", "/methods/1/x-object/at: 'course' is no JSON pointer"),
    (
        "/methods/2/x-object/id",
        "courseID",
        "/methods/2/x-object/id: 'courseID' is no parameter of course.read; did you mean \"courseId\"?",
    ),
]


@pytest.mark.parametrize(("place", "value", "line"), WRONG, ids=[f"{p} {v!r}"[:60] for p, v, _ in WRONG])
def test_every_mistake_is_one_clear_line(tmp_path: Any, place: Any, value: Any, line: Any) -> None:
    path = tmp_path / "api.json"
    path.write_text(json.dumps(edit(place, value)))
    with pytest.raises(UsageError) as caught:
        Catalog.load(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{path}: {line}"), said


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.json", b'{\n "openrpc": \n}', r"line 3, column 1: no JSON"),
        ("a.json", b"", r"line 1, column 1: no JSON"),
        ("a.json", b"[]", r"/: an OpenRPC document is an object, not an array"),
        ("a.json", b'{"a": 1, "a": 2}', r"the member name 'a' stands twice"),
        ("a.json", b'{"a": NaN}', r"NaN is not JSON"),
        ("a.json", b'{"a": "\xe5"}', r"is not UTF-8: byte 0xe5 at 7"),
        ("a.json", b"[" * 100_000, r"nested too deep"),
        ("a.yaml", b"a: b: c", r"line 1, column 5: no YAML"),
        (
            "a.yaml",
            b"a: 1\nb: 2\na: 3\n",
            r"line 3, column 1: no YAML that can be read: the key 'a' stands twice",
        ),
        ("a.yaml", b"1: 2", r"line 1, column 1: .*the key 1 is no string"),
        ("a.yaml", b"a: !!python/object/apply:os.getcwd []", r"line 1, column 4: no YAML"),
        ("a.yaml", b"&a [*a]", r"Circular reference"),
        ("a.yaml", b"a: [", r"line 1, column \d+: no YAML"),
        ("a.yaml", b"", r"/: an OpenRPC document is an object, not null"),
        ("a.yaml", b"a: !!binary aGk=", r"holds what JSON cannot"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(tmp_path: Any, name: Any, content: Any, line: Any) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        Catalog.load(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{path}: ")
    assert re.search(line, said), said


def test_a_file_that_is_not_there_is_named(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="there is no such catalogue"):
        Catalog.load(tmp_path / "none.json")
    with pytest.raises(UsageError, match="cannot be read"):
        Catalog.load(tmp_path)
