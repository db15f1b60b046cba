"""Which functions may be called: a name of an object is no name of an account."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.protocol.profile import Auth, Login, Profile
from conformance.resources.permissions import Permissions


def method(name: str, does: str, kind: str, *params: str) -> dict[str, Any]:
    return {
        "name": name,
        "params": [{"name": param, "required": True, "schema": {"type": "string"}} for param in params],
        "result": {"name": "r", "schema": {}},
        "x-effect": "write",
    } | (
        {"x-object": {"kind": kind, "does": does, "id": f"{kind}Id" if does != "create" else f"/{kind}Id"}}
        if does
        else {}
    )


@pytest.fixture
def permissions() -> Permissions:
    methods = [
        method("desk.signIn", "", "", "name", "password"),
        method("patient.add", "create", "patient", "name"),
        method("patient.change", "update", "patient", "patientId", "name"),
        method("nurse.add", "create", "nurse", "name", "password"),
        method("nurse.change", "update", "nurse", "nurseId", "name"),
        method("ward.change", "update", "ward", "wardId", "name"),
        method("desk.rename", "", "", "name"),
    ]
    catalog = Catalog.parse({"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": methods})
    auth = Auth(login=Login("desk.signIn", "name", "password"))
    return Permissions(Profile(auth=auth), catalog, writable=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The name of a patient, of which the run makes its own, is nobody's name to sign in with.
        ("patient.add", False),
        ("patient.change", False),
        # These are accounts: they have a name and a password.
        ("nurse.add", True),
        ("nurse.change", True),
        # A ward cannot be made, so the change is one of an object that was there before.
        ("ward.change", True),
        ("desk.rename", True),
        ("desk.signIn", False),
    ],
)
def test_names_that_may_lock_a_user_out(permissions: Permissions, name: str, expected: bool) -> None:
    function = permissions.catalog[name]
    assert permissions.locks_out(function, "name") is expected
    assert permissions.harmless(function) is not expected
