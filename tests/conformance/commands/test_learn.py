"""`conform catalog learn` makes a catalogue of traffic, updates one and checks one; `compare` lists what changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.learning.calls import Call
from tests.support.captures import BASE, entry
from tests.support.recorded_calls import calls_of_a_shop
from tests.support.recording import ran_here

TOKENS = {"session 1": "5f2c9a7e41d84b06", "session 2": "0a8d31f7c2b94e65"}
PASSWORD = "Pine-Cone-77"


def har(path: Path, calls: Sequence[Call]) -> Path:
    """Write calls as a HAR, with the secrets that a browser would save."""
    entries = []
    for number, call in enumerate(calls):
        arguments, data = dict(call.arguments), call.result
        if call.function == "gate.enter":
            arguments, data = {"name": "ann", "password": PASSWORD}, {"sessionId": TOKENS["session 1"]}
        more: dict[str, Any] = {"data": arguments} if arguments else {}
        if call.page_length is not None:
            more["pageLength"] = call.page_length
        token = None if call.session is None else TOKENS[call.session]
        made = entry(
            call.function, data, status=call.status, token=token, at=number * 0.01, more=more,
            url=f"{BASE}{call.entity}",
        )  # fmt: skip
        entries.append(made)
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}), "utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    har(tmp_path / "monday.har", calls_of_a_shop())
    status, out, err = ran_here("catalog", "learn", "monday.har", cwd=tmp_path)
    assert status == 0, err
    assert "calls of 11 functions" in out
    assert "catalogue.openrpc.json: written" in out
    return tmp_path


def catalogue(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "catalogue.openrpc.json").read_text("utf-8"))
    return found


def test_a_catalogue_is_learnt_checked_and_updated(folder: Path) -> None:
    text = (folder / "catalogue.openrpc.json").read_text("utf-8")
    assert PASSWORD not in text
    assert not [token for token in TOKENS.values() if token in text]
    status, out, _ = ran_here("catalog", "validate", "catalogue.openrpc.json", cwd=folder)
    assert (status, "11 functions" in out) == (0, True)

    har(folder / "tuesday.har", calls_of_a_shop(7))
    status, out, _ = ran_here("catalog", "learn", "tuesday.har", "--check", cwd=folder)
    assert (status, "no drift" in out) == (0, True)

    document = catalogue(folder)
    find = next(method for method in document["methods"] if method["name"] == "item.find")
    find["x-auth"], find["description"] = "none", "Find items."
    (folder / "catalogue.openrpc.json").write_text(json.dumps(document), "utf-8")
    status, out, _ = ran_here("catalog", "learn", "tuesday.har", "--check", cwd=folder)
    assert status == 1
    assert "item.find: x-auth is none, calls show session" in out
    status, out, _ = ran_here("catalog", "learn", "tuesday.har", "--update", cwd=folder)
    assert status == 0
    assert "item.find x-auth: was written by hand, so it stays" in out
    updated = next(method for method in catalogue(folder)["methods"] if method["name"] == "item.find")
    assert (updated["x-auth"], updated["description"]) == ("none", "Find items.")


def test_two_catalogues_are_compared(folder: Path) -> None:
    document = catalogue(folder)
    document["methods"] = [method for method in document["methods"] if method["name"] != "box.find"]
    (folder / "later.json").write_text(json.dumps(document), "utf-8")
    status, out, _ = ran_here("compare", "catalogue.openrpc.json", "later.json", cwd=folder)
    assert (status, out) == (0, "- box.find\nlater.json: 0 came, 1 went, 0 changed\n")
    status, out, _ = ran_here("compare", "later.json", "later.json", cwd=folder)
    assert (status, out) == (0, "later.json: as later.json\n")
    status, _, err = ran_here("compare", "later.json", "later.json", "--html", "x.html", cwd=folder)
    assert (status, "--html: is for runs" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("monday.har",), 2, "is there already; --update"),
        (("none.har", "--out", "new.json"), 2, "none.har: there is no such file"),
        (("monday.har", "--out", "-", "--check"), 2, "only a file can be updated or checked"),
        (("monday.har", "--out", "other.json", "--update"), 2, "there is no such catalogue"),
        (("refused.har", "--out", "new.json", "--target", BASE), 3, "no call in the traffic succeeded"),
    ],
)
def test_mistakes(folder: Path, arguments: tuple[str, ...], status: int, message: str) -> None:
    har(folder / "refused.har", [Call("item.find", {}, 401, False)])
    found, _, err = ran_here("catalog", "learn", *arguments, cwd=folder)
    assert (found, message in err) == (status, True), err
