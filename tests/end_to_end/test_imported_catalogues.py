"""Catalogues that were imported from other documents judge the clean service, and accuse it of nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import conform
from tests.support import import_documents
from tests.support.judging import judge, serving_here

PROFILE = """
[target]
environment = "test"
catalog = "catalogue.openrpc.json"

[auth]
login = { function = "auth.login", user = "identity", secret = "credential" }
logout = "auth.logout"
whoami = { function = "auth.status", field = "/user/email" }
session = "/sessionId"

[users.owner]
user = "owner@example.com"
secret = "Correct-Horse-7-owner"
roles = ["user"]

[users.peer]
user = "peer@example.com"
secret = "Battery-Staple-8-peer"
roles = ["user"]
"""
#: Rules that rest on what a catalogue says: parameters, types, bounds, results, rights, objects, paging.
RULES = ("HTTP-1", "REQ-7", "REQ-8", "REQ-9", "ENV-10", "AUT-3", "COD-5", "PAG-1", "DAT-1")


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with serving_here() as (url, _):
        yield url


@pytest.mark.parametrize("kind", ["openapi", "postman", "openrpc"])
def test_no_false_alarm(kind: str, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "openapi":
        text = import_documents.OPENAPI
    else:
        text = json.dumps(import_documents.postman() if kind == "postman" else import_documents.openrpc())
    Path("document").write_text(text, "utf-8")
    assert conform.main(["catalog", "import", "document", "--guess", "--entity-from", "_"]) == 0
    assert conform.main(["catalog", "validate", "catalogue.openrpc.json"]) == 0
    Path("conform.toml").write_text(PROFILE, "utf-8")
    report = judge(target=service, profile=Path("conform.toml"), rules=RULES, budget="quick")
    found = {rule["id"]: rule["findings"] for rule in report["rules"] if rule["findings"]}
    assert found == {}
    judged = {rule["id"]: rule["judged"] for rule in report["rules"]}
    assert judged["HTTP-1"] > 0
    assert judged["ENV-10"] > 0
    if kind != "postman":
        assert min(judged["REQ-7"], judged["REQ-8"], judged["REQ-9"]) > 0
