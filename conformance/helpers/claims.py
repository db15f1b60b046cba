"""Undeclared claims in requests: rights, and the identity of the caller (ACC-3, AUT-4)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.helpers.identities import learned

__all__ = ["claiming_headers", "nested", "rights", "undeclared"]

Headers = list[tuple[str, str]]


def rights(ctx: TestContext) -> dict[str, Any]:
    """Return undeclared members that claim rights."""
    roles = sorted(ctx.catalog.roles) or ["admin"]
    return {
        "role": roles[0],
        "roles": roles,
        "isAdmin": True,
        "admin": True,
        "userRole": roles[0],
        "permissions": [*roles, "*"],
        "scope": " ".join(roles),
        "groups": roles,
        "isSuperuser": True,
        "accountType": roles[0],
        "privileges": roles,
    }


def undeclared(function: Method, claim: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a claim that the function does not declare at the top level of `data`."""
    declared = {param.name for param in function.params}
    return {name: value for name, value in claim.items() if name not in declared}


def nested(function: Method, data: dict[str, Any], claim: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield `data` with the claim below its top level: in a new object, and in declared objects and items."""
    wrapped = {
        name: {"id": claim.get("userId", 1), **claim}
        for name in ("user", "owner", "account")
        if name not in data and function.param(name) is None
    }
    if wrapped:
        yield {**data, **wrapped}
    inside = {name: _within(value, claim) for name, value in data.items()}
    if inside != data and function.data.valid(inside):
        yield inside


def _within(value: Any, claim: dict[str, Any]) -> Any:
    """Return a value whose objects have the members of the claim that they do not have already."""
    if isinstance(value, dict):
        return {**claim, **{name: _within(item, claim) for name, item in value.items()}}
    if isinstance(value, list):
        return [_within(item, claim) for item in value]
    return value


def claiming_headers(ctx: TestContext, function: Method, user: str | None) -> list[tuple[str, Headers]]:
    """Return headers that claim to be a user or to come from a trusted host, by description.

    A proxy may set such headers. A target must not trust them when a client sets them.
    """
    name = ctx.profile.users[user].user if user is not None else "admin"
    value = next((str(known) for _, known in learned(ctx).values.get(user or "", [])), name)
    role = next(iter(sorted(ctx.catalog.roles)), "admin")
    public = next((m for m in ctx.catalog.methods.values() if m.auth == "none"), function)
    path = ctx.client.address.path + public.entity
    known = base64.b64encode(f"{name}:".encode()).decode()
    secret = ctx.profile.users[user].secret if user is not None else "admin"
    credentials = base64.b64encode(f"{name}:{secret}".encode()).decode()
    ctx.secret_registry.add(credentials)
    found: list[tuple[str, Headers]] = [
        ("X-Forwarded-For", [("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1")]),
        ("Forwarded", [("Forwarded", "for=127.0.0.1;host=localhost;proto=https")]),
        ("X-Forwarded-Host", [("X-Forwarded-Host", "localhost")]),
        ("X-Forwarded-User", [("X-Forwarded-User", name)]),
        ("X-Remote-User", [("X-Remote-User", name), ("Remote-User", name)]),
        ("X-Authenticated-User", [("X-Authenticated-User", name), ("X-Auth-User", name)]),
        ("X-User", [("X-User", name)]),
        ("X-User-Id", [("X-User-Id", value)]),
        ("X-Role", [("X-Role", role), ("X-Roles", role), ("X-User-Role", role)]),
        ("X-Admin", [("X-Admin", "true"), ("X-Is-Admin", "1")]),
        ("X-Internal", [("X-Internal", "true"), ("X-Debug", "1")]),
        ("X-Original-URL", [("X-Original-URL", path)]),
        ("X-Rewrite-URL", [("X-Rewrite-URL", path)]),
        ("Authorization: Basic", [("Authorization", f"Basic {known}")]),
        ("Authorization: Basic with the password", [("Authorization", f"Basic {credentials}")]),
        ("X-Middleware-Subrequest", [("X-Middleware-Subrequest", ":".join(["middleware"] * 5))]),
        ("Authorization: Bearer", [("Authorization", "Bearer null")]),
        ("a cookie", [("Cookie", f"role={role}; admin=true; user={name}; loggedIn=1")]),
    ]
    gate = {header.lower() for header in ctx.profile.headers}
    return [
        (what, headers)
        for what, headers in found
        if all(header.lower() not in gate and text.isascii() for header, text in headers)
    ]
