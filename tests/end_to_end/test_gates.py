"""No finding on targets that check the session or the role before they read the body or find the function."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.faults import FAULTS
from fixtures.service.service import BASE, Service
from fixtures.service.wire import ApiError, Call
from tests.support.judging import broken, judge, profile_of, serving_here

#: The rules whose requests are about an endpoint, or about a body, rather than about a function.
RULES = ("REQ-1", "REQ-4", "REQ-5", "COD-3", "COD-4", "NAM-3", "SEC-1", "SEC-4", "HTTP-2", "HTTP-3")
Gate = Callable[[Service, Call], None]


def entity_of(call: Call) -> str:
    """Return the endpoint that a guard of path prefixes sees."""
    return call.request.path.removeprefix(BASE).partition("/")[0]


def signed_in(service: Service, call: Call) -> dict[str, Any]:
    token = service.token(call)
    user_id = service.sessions.lookup(token) if token else None
    found = service.store.get("user", user_id) if user_id is not None else None
    if found is None:
        raise ApiError(401, "Please sign in")
    return found[1]


def rights(service: Service, entity: str) -> set[str]:
    return {function.auth for function in service.functions.values() if function.entity == entity}


def session_before_the_body(service: Service, call: Call) -> None:
    """A guard of each endpoint that has no public function."""
    wanted = rights(service, entity_of(call))
    if wanted and "none" not in wanted:
        signed_in(service, call)


def session_before_the_endpoint(service: Service, call: Call) -> None:
    """A guard of everything but the endpoints that have a public function: of unknown ones, too."""
    if "none" not in rights(service, entity_of(call)):
        signed_in(service, call)


def role_before_the_body(service: Service, call: Call) -> None:
    """A guard that also asks for the role that all functions of the endpoint need."""
    wanted = rights(service, entity_of(call))
    if wanted and "none" not in wanted:
        user = signed_in(service, call)
        if "session" not in wanted and not wanted & set(user["roles"]):
            raise ApiError(403, "Not allowed")


def public_list_before_the_function(service: Service, call: Call) -> None:
    """A guard that reads the body as JSON, and lets only named public functions pass without a session."""
    try:
        message = json.loads(call.request.body)
        name = f"{entity_of(call)}.{message['method']}"
    except (ValueError, TypeError, KeyError, RecursionError):
        name = ""
    found = service.functions.get(name)
    if found is None or found.auth != "none":
        signed_in(service, call)


GATES = (
    session_before_the_body,
    session_before_the_endpoint,
    role_before_the_body,
    public_list_before_the_function,
)


def guarded(gate: Gate) -> Callable[[Service], Service]:
    def change(service: Service) -> Service:
        # One endpoint is an administrator's alone.
        for name, function in list(service.functions.items()):
            if function.entity == "sys" and function.auth == "none":
                del service.functions[name]
        inner = service.check_verb

        def check(call: Call) -> None:
            if call.request.path.startswith(BASE):
                gate(service, call)
            inner(call)

        service.check_verb = check  # type: ignore[method-assign]
        return service

    return change


def without_users(profile: Path, name: str | None = None) -> Path:
    """Write a profile anew without its users, or without one of them."""
    text = profile.read_text("utf-8")
    head, *tables = text.split("\n[users.")
    retained = [] if name is None else [table for table in tables if not table.startswith(f"{name}]")]
    profile.write_text("\n[users.".join([head, *retained]), encoding="utf-8")
    return profile


def _scenes() -> list[Any]:
    """Return each guard with all users and with none; one of them without the user who has the role."""
    scenes = [
        pytest.param(gate, users, id=f"{gate.__name__}, {users}")
        for gate in GATES
        for users in ("all", "none")
    ]
    for gate in GATES:
        marks = [] if gate is role_before_the_body else [pytest.mark.thorough]
        scenes.append(
            pytest.param(gate, "no administrator", id=f"{gate.__name__}, no administrator", marks=marks)
        )
    return scenes


@pytest.mark.parametrize(("gate", "users"), _scenes())
def test_a_guarded_endpoint_is_no_finding(
    gate: Gate, users: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(FAULTS, "gate.change", guarded(gate))
    with serving_here("gate.change") as (url, catalogue):
        profile = profile_of(catalogue, tmp_path)
        if users == "none":
            without_users(profile)
        elif users == "no administrator":
            without_users(profile, "admin")
        report = judge(profile=profile, target=url, rules=RULES, seed=3, budget="quick")
    assert broken(report) == {}
    assert report["errors"] == []
    entries = {rule["id"]: rule for rule in report["rules"]}
    if users == "all":
        assert {entries[rule]["verdict"] for rule in RULES} == {"pass"}
    else:
        # What is open is judged all the same; what is not says which lines are missing.
        assert entries["REQ-4"]["judged"] > 0 or entries["REQ-4"]["lines"]


def test_a_refusal_that_is_no_guard_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """401 inside a session, or on an endpoint that is public, is none of a guard's."""

    def change(service: Service) -> Service:
        def parse(inner: Callable[[Call], Any], call: Call) -> Any:
            try:
                return inner(call)
            except ApiError as error:
                raise ApiError(401, "Please sign in") from error

        service.wrap("parse_body", parse)
        return service

    monkeypatch.setitem(FAULTS, "gate.change", change)
    with serving_here("gate.change") as (url, catalogue):
        report = judge(profile=profile_of(catalogue, tmp_path), target=url, rules=["REQ-1", "REQ-4", "REQ-5"])
    assert set(broken(report)) == {"REQ-1", "REQ-4", "REQ-5"}


def test_a_role_that_the_catalogue_does_not_name_is_no_finding_on_bodies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A catalogue of `init` calls every function open to any session until its questions are answered."""
    monkeypatch.setitem(FAULTS, "gate.change", guarded(role_before_the_body))
    with serving_here("gate.change") as (url, catalogue):
        for method in catalogue["methods"]:
            if method["name"].startswith("sys."):
                method["x-auth"] = "session"
        profile = without_users(profile_of(catalogue, tmp_path), "admin")
        report = judge(
            profile=profile,
            target=url,
            rules=["REQ-1", "REQ-4", "REQ-5", "COD-3", "COD-4"],
            seed=3,
            budget="quick",
        )
    assert broken(report) == {}
