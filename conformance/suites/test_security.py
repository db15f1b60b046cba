"""SEC: which functions can be called, and which names and paths reach them."""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_endpoint, each_function, judges
from conformance.helpers.builtin_names import PROTOTYPE_NAMES, rotated
from conformance.helpers.probing import probing_status, send_probe
from conformance.protocol.client import compact

#: Names of languages and frameworks: reflection must not reach them (SEC-1).
INTERNAL_NAMES = (
    "__construct", "__destruct", "__call", "__get", "__toString", "__invoke", "__init__", "__class__", "__dict__",
    "__import__", "__getattribute__", "__proto__", "constructor", "prototype", "toString", "valueOf", "hasOwnProperty",
    "isPrototypeOf", "getClass", "hashCode", "notify", "wait", "finalize", "GetType", "MemberwiseClone", "Equals",
    "index", "indexAction", "init", "main", "eval", "exec", "system", "send", "instance_eval", "method_missing", "self",
)  # fmt: skip

#: Long names, and names with invisible or non-ASCII characters.
UNUSUAL_NAMES = (
    "x" * 300, "x" * 5000, "m\u00e9thode", "\u65b9\u6cd5", "\U0001f3b5", "a\u0000b", "\u202ea", "a\r\nb", "'", "../x",
)  # fmt: skip


@judges("SEC-1")
@each_endpoint()
def test_names_of_the_inside(ctx: TestContext, endpoint: str) -> None:
    """Call names of the language and the framework: dispatch must not reach them."""
    # A careless target may execute what such a name contains.
    ctx.need_writing()
    endpoint = endpoint or ctx.endpoint()
    published = {m.name.partition(".")[2] for m in ctx.catalog.methods.values() if m.entity == endpoint}
    names = [*INTERNAL_NAMES, *PROTOTYPE_NAMES, *UNUSUAL_NAMES]
    candidates = [name for name in dict.fromkeys([PROTOTYPE_NAMES[0], *names]) if name not in published]
    for name in [candidates[0], *rotated(ctx, candidates[1:], budgets.UNPUBLISHED_NAMES)]:
        datas: list[dict[str, Any]] = [{}] if ctx.quick else [{}, {"args": []}]
        for data in datas:
            exchange = send_probe(ctx, endpoint, function=name, data=data)
            probing_status(
                ctx,
                "SEC-1",
                exchange,
                {400, 404},
                endpoint=endpoint,
                kind="a name of the language's or the framework's own can be called",
                otherwise="a name of the language's or the framework's own is refused with another status",
                function=ctx.caller.label(f"{endpoint}."),
                because=f"{name!r} is no published function",
            )


@judges("SEC-1")
@each_function()
def test_published_names_spelt_otherwise(ctx: TestContext, function: Method) -> None:
    """Send names in another case and with white space: they must be unknown functions."""
    user = ctx.who(function)
    name = function.name.partition(".")[2]
    published = {
        m.name.partition(".")[2] for m in ctx.catalog.methods.values() if m.entity == function.entity
    }
    spellings = [
        name.upper(),
        name.capitalize(),
        name.lower(),
        name.swapcase(),
        f" {name}",
        f"{name} ",
        f"{name}\n",
        f"\t{name}",
        f"{name}\u0000",
        f"{name}()",
        f"{function.entity}.{name}",
        f"{name}\u200b",
        f"{name}\u0301",
        # Full-width letters, which compatibility normalisation (NFKC) makes plain letters.
        "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in name),
        name.replace("s", "\u017f").replace("k", "\u212a"),
        f"%{ord(name[0]):02x}{name[1:]}",
    ]
    data = ctx.valid(function, user)
    for spelt in rotated(
        ctx, list(dict.fromkeys(s for s in spellings if s not in published)), budgets.RESPELLED_NAMES
    ):
        exchange = ctx.caller.call(
            function,
            user=user,
            token=ctx.sessions.of(user).token if user else None,
            body=compact({"method": spelt, "data": data}),
        )
        probing_status(
            ctx,
            "SEC-1",
            exchange,
            {400, 404},
            endpoint=function.entity,
            kind="a published name in another spelling can be called",
            otherwise="a published name in another spelling is refused with another status",
            because=f"{spelt!r} is no published function",
        )
        if exchange.status == 200 and function.effect == "delete":
            data = ctx.valid(function, user)


# One function, though it is long: one list of spellings.
@judges("SEC-4")
@each_function(
    lambda method: method.effect == "read",
    otherwise="no function of the catalogue is harmless enough to be called so",
)
def test_other_spellings_of_an_endpoint(ctx: TestContext, function: Method) -> None:
    """Send path traversal and encodings, which must not reach a function.

    A trailing slash or another case may reach the same function, or none.
    """
    user = ctx.who(function)
    data = ctx.valid(function, user, optional="none")
    entity = function.entity
    plain = ctx.call(function, data, as_=user)
    entities = [*_open_to(ctx, user, entity), "other"]
    base = ctx.client.address.path.rstrip("/").rpartition("/")[2] or "api"
    nowhere = [
        f"../{base}/{entity}",
        f"{entities[0]}/../{entity}",
        f"./{entity}/.",
        f"..%2f{base}%2f{entity}",
        f"{entities[0]}%2f..%2f{entity}",
        f"%2e%2e/{base}/{entity}",
        f"{entity}%00",
        f"{entity}%00.json",
        f"{entity}%2f",
        f"/{entity}" if not ctx.client.address.path.startswith("//") else f"{entity}//",
        f"{entity}//",
        f"%{ord(entity[0]):02x}{entity[1:]}",
        f"{entity[:-1]}%{ord(entity[-1]):02X}",
        "".join(f"%{byte:02x}" for byte in entity.encode()),
        f"%25{ord(entity[0]):02x}{entity[1:]}",
        f"%u00{ord(entity[0]):02x}{entity[1:]}",
    ]
    for target in rotated(ctx, nowhere, budgets.UNKNOWN_PATHS):
        path = ctx.client.address.path + target
        exchange = ctx.call(function, data, as_=user, target=path)
        probing_status(
            ctx,
            "SEC-4",
            exchange,
            {400, 404},
            endpoint=target,
            kind="a traversing or encoded spelling of an endpoint is not refused",
            because=f"the path ends in {target!r}",
        )
    for what, target in (
        ("a trailing slash", f"{entity}/"),
        ("upper case", entity.upper()),
        ("a capital", entity.capitalize()),
    ):
        if target == entity:
            continue
        exchange = ctx.call(function, data, as_=user, target=target)
        if user is None and exchange.status == 401 and plain.status != 401:
            # A guard requires a session for everything that is not public.
            continue
        ctx.judge(
            "SEC-4",
            exchange.status == 404 or (exchange.status == plain.status),
            kind=f"an endpoint spelt with {what} is neither the same endpoint nor unknown",
            expected=f"the answer of {entity} ({plain.status}), or 404",
            actual=exchange.summary(),
            exchange=exchange,
            accepted={404} | ({plain.status} if plain.status is not None else set()),
        )


def _open_to(ctx: TestContext, user: str | None, entity: str) -> list[str]:
    """Return the other endpoints that are not guarded from a user (None for a request without a session)."""
    found = []
    for other in sorted({method.entity for method in ctx.catalog} - {entity}):
        functions = [method for method in ctx.catalog if method.entity == other]
        if user is None:
            usable = all(method.auth == "none" for method in functions)
        else:
            usable = any(ctx.resources.may_call(user, method) for method in functions)
        if usable:
            found.append(other)
    return found
