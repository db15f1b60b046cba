"""The trial of a login: the session, whoami and logout are found by calls that change nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.commands.trial import Tried, try_login
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Login, Whoami
from tests.servers import library
from tests.support.judging import serving_here
from tests.support.service_client import PASSWORDS

ROOT = Path(__file__).resolve().parents[3]
LOGIN = Login("auth.login", "identity", "credential")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_here() as (running, _):
        yield running


def catalogue() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (ROOT / "fixtures" / "service" / "coursio.openrpc.json").read_text("utf-8")
    )
    return found


def tried(url: str, secret: str = PASSWORDS["owner"], **options: Any) -> tuple[Tried, list[tuple[str, bool]]]:
    """Return what was found, and the functions that were called, each with whether it was in a session."""
    calls: list[tuple[str, bool]] = []

    def observe(exchange: Exchange) -> None:
        body = json.loads(exchange.request.body)
        entity = exchange.request.url.rpartition("/")[2]
        calls.append((f"{entity}.{body['method']}", exchange.request.header("Token") is not None))

    catalog = options.pop("catalog", Catalog.parse(catalogue()))
    client = Client(url, observe=observe)
    try:
        return try_login(client, catalog, LOGIN, "owner@example.com", secret, **options), calls
    finally:
        client.close()


def test_all_is_found(url: str) -> None:
    found, calls = tried(url)
    assert found.signed_in
    assert (found.session, found.logout) == ("/sessionId", "auth.logout")
    assert found.whoami == Whoami("auth.status", "/user/email")
    catalog = Catalog.parse(catalogue())
    assert {name for name, _ in calls if catalog[name].effect != "read"} == {"auth.login", "auth.logout"}
    assert [name for name, _ in calls].count("auth.login") == 2
    # Every session that the trial began is ended.
    assert calls.count(("auth.logout", True)) == 2
    assert "the session is at /sessionId" in found.lines


def test_functions_that_write_are_never_called(url: str) -> None:
    document = catalogue()
    for method in document["methods"]:
        method["x-effect"] = "write"
    found, calls = tried(url, catalog=Catalog.parse(document))
    assert {name for name, _ in calls} == {"auth.login"}
    assert (found.session, found.whoami, found.logout) == ("/sessionId", None, None)
    assert "no function that reads was there to try it with" in found.lines[0]


def test_a_wrong_password_is_tried_once(url: str) -> None:
    found, calls = tried(url, "not-the-password-1")
    assert (found.signed_in, found.session) == (False, None)
    assert calls == [("auth.login", False)]
    assert found.lines[0].startswith("auth.login: the login was answered 401")


def test_a_pointer_to_nothing_is_reported(url: str) -> None:
    found, _ = tried(url, session="/token")
    assert found.lines == ["auth.login: signed in, but its data has nothing at /token"]
    assert found.session is None


def test_a_target_that_does_not_answer() -> None:
    client = Client("http://127.0.0.1:1/api/")
    found = try_login(client, None, LOGIN, "a", "b")
    client.close()
    assert "got no answer" in found.lines[0]


def test_a_service_of_another_domain(tmp_path: Path) -> None:
    """Its session, whoami and logout have other names and places."""
    with library.serving(tmp_path, None) as ready:
        assert ready.catalog is not None
        client = Client(ready.url)
        login = Login("session.open", "userName", "passPhrase")
        catalog = Catalog.load(ready.catalog)
        found = try_login(client, catalog, login, "marian", "Quiet Please, 1957")
        client.close()
    assert (found.session, found.logout) == ("/ticket/id", "session.close")
    assert found.whoami == Whoami("session.whoAmI", "/reader/handle")
