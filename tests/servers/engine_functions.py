"""The functions of the engine: signing in and out, and what `x-object` says that a function does."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.servers import schema
from tests.servers.engine_model import (
    ApiError,
    Call,
    Handler,
    Item,
    Json,
    Kind,
    has_type,
    members_of,
    placed,
    pointed,
)

if TYPE_CHECKING:
    from tests.servers.engine import Engine

KEY_PARTS = ("apikey", "time", "random", "hmac")


def new_session(engine: Engine, name: str) -> Json:
    """Begin a session, whose identifier is always new."""
    token = secrets.token_hex(24)
    engine.sessions[token] = name
    return engine.domain.signed_in(token, engine.users[name])


def login(engine: Engine, call: Call) -> Json:
    """Sign in by name and password."""
    _, user, secret = engine.domain.login
    name, given = call.args[user], hashlib.sha256(call.args[secret].encode()).digest()
    if not hmac.compare_digest(engine.digests.get(name, b"\0" * 32), given):
        raise ApiError(401, "Wrong name or password")
    return new_session(engine, name)


def login_by_key(engine: Engine, call: Call) -> Json:
    """Sign in by a signature, of the data or of the headers."""
    args = call.args or {
        part: (call.request.header(f"x-coursio-{part}".encode()) or b"").decode("latin-1")
        for part in KEY_PARTS
    }
    values = [args.get(part) or "" for part in KEY_PARTS]
    if not all(values):
        raise ApiError(400, "All of apikey, time, random and hmac are needed")
    private, name = engine.domain.keys.get(values[0], ("no such key", ""))
    due = hmac.new(private.encode(), "".join(values[:3]).encode(), "sha1").hexdigest()
    if not hmac.compare_digest(due.encode(), values[3].encode()) or not name:
        raise ApiError(401, "Wrong key or signature")
    return new_session(engine, name)


def logout(engine: Engine, call: Call) -> Json:
    """End this session and no other."""
    engine.sessions.pop((call.token or b"").decode("latin-1"), None)
    return {}


def who_am_i(engine: Engine, call: Call) -> Json:
    """Return the session's user."""
    assert call.user is not None
    return {"user": call.user}


def create(engine: Engine, call: Call) -> Json:
    """Create an object."""
    assert call.function is not None
    table = call.function.object
    return placed(engine.add_object(call, table["kind"], call.args), table.get("at", ""))


def read(engine: Engine, call: Call) -> Json:
    """Read an object."""
    assert call.function is not None
    table = call.function.object
    return placed(call.objects[table["kind"], call.args[table["id"]]], table.get("at", ""))


def update(engine: Engine, call: Call) -> Json:
    """Change the members of an object that are given."""
    assert call.function is not None
    table = call.function.object
    kind = engine.kinds[table["kind"]]
    fixed = {table["id"], *(name for name, _ in kind.parents)}
    changes = {name: value for name, value in call.args.items() if name not in fixed}
    body = call.objects[kind.name, call.args[table["id"]]]
    return placed(engine.change_object(call, kind.name, body, changes), table.get("at", ""))


def delete(engine: Engine, call: Call) -> Json:
    """Delete an object; return how many are gone, where the result is a number."""
    assert call.function is not None
    table = call.function.object
    gone = engine.remove_object(call, table["kind"], call.args[table["id"]])
    return gone if has_type(call.function.method["result"]["schema"], "integer") else {}


def condition(name: str, wanted: Json, kind: Kind) -> Callable[[Item], bool]:
    """Return what a filter asks of an item, by the filter's name."""
    members = members_of(kind.schema)
    if name == "query":
        text = [member for member, part in members.items() if has_type(part, "string")]
        folded = wanted.casefold()
        return lambda item: any(folded in (item.body.get(member) or "").casefold() for member in text)
    if name in members:
        return lambda item: schema.same(item.body.get(name), wanted)
    if f"{name}s" in members:
        return lambda item: wanted in (item.body.get(f"{name}s") or ())
    bound, member = name[:3], name[3:4].lower() + name[4:]
    if bound == "min":
        return lambda item: item.body.get(member) is not None and item.body[member] >= wanted
    assert bound == "max", name
    return lambda item: item.body.get(member) is not None and item.body[member] <= wanted


def listing(engine: Engine, call: Call) -> Json:
    """List one's own objects that every given filter lets pass."""
    assert call.function is not None
    kind = engine.kinds[call.function.object["kind"]]
    query = engine.own(call, kind.name)
    for name, wanted in call.args.items():
        if wanted is not None:
            query.conditions.append(condition(name, wanted, kind))
    bodies, total = engine.list_rows(call, query)
    pointer = call.function.method.get("x-rows", "")
    shown = call.function.method["result"]["schema"]
    beside = {"total": total} if "total" in members_of(shown) else None
    for step in pointed(pointer):
        shown = members_of(schema.resolve(shown, engine.root))[step]
    row = schema.resolve(shown["items"], engine.root)
    if not has_type(row, "object"):
        return placed([body[kind.identifier] for body in bodies], pointer, beside)
    rows = [{name: body[name] for name in members_of(row) if name in body} for body in bodies]
    return placed(rows, pointer, beside)


DOES: dict[str, Handler] = {
    "create": create,
    "read": read,
    "update": update,
    "delete": delete,
    "list": listing,
}
