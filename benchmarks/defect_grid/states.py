"""Templates: what creates, updates and deletes do, to the object and to others; at the same time, and when refused."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.defect_grid.catalogue_view import Function, View, types
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Spot, template

AREAS = (
    "STA-1",
    "STA-2",
    "STA-3",
    "STA-4",
    "STA-5",
    "STA-6",
    "DAT-7",
    "COD-8",
    "COD-10",
    "DAT-1",
    "ENV-10",
    "DAT-5",
    "DAT-6",
)
FALSY: dict[str, Any] = {
    "": "empty text",
    "0": "zero",
    "False": "false",
    "[]": "empty array",
    "{}": "empty object",
    "None": "null",
}


def _members(view: View, f: Function) -> dict[str, Any]:
    return {
        n: p
        for n, p in f.params.items()
        if n != f.object.get("id") and view.is_shown(f.kind, n) and n not in f.required
    }


@template("update.member-ignored", "STA-2", areas=AREAS)
def member_ignored(view: View) -> Iterator[Spot]:
    for f in view.that("update"):
        for name in _members(view, f):
            yield (f"{f.name}:{name}", "update",
                   lambda host, f=f, name=name: host.on_stored(
                       f.kind, "update", lambda changes: {k: v for k, v in changes.items() if k != name}))  # fmt: skip


@template("update.falsy-value-ignored", "STA-2", areas=AREAS)
def falsy_ignored(view: View) -> Iterator[Spot]:
    values: dict[str, Any] = {
        "string": "",
        "integer": 0,
        "number": 0,
        "boolean": False,
        "array": [],
        "object": {},
        "null": None,
    }
    for f in view.that("update"):
        for name, part in _members(view, f).items():
            for kind in sorted(types(part) & set(values)):
                low = {
                    "string": "minLength",
                    "integer": "minimum",
                    "number": "minimum",
                    "array": "minItems",
                    "object": "required",
                }
                if (
                    part.get(low.get(kind, ""), 0)
                    or (kind == "string" and {"format", "pattern", "enum"} & set(part))
                    or (kind in ("integer", "number") and "exclusiveMinimum" in part)
                ):
                    continue
                empty = values[kind]

                def change(changes: dict[str, Any], name: str = name, empty: Any = empty) -> dict[str, Any]:
                    return {
                        k: v
                        for k, v in changes.items()
                        if not (k == name and v == empty and type(v) is type(empty))
                    }

                yield (
                    f"{f.name}:{name} {kind}",
                    "update",
                    lambda host, f=f, change=change: host.on_stored(f.kind, "update", change),
                )


@template("update.resets-another-member", "STA-2", areas=AREAS)
def resets_another(view: View) -> Iterator[Spot]:
    """An update that does not name a member sets it to its default."""
    for f in view.that("update"):
        create = view.of(f.kind, "create")
        assert create is not None
        for name in _members(view, f):
            default = create.params.get(name, {}).get("default", None)
            if name in create.required or (
                "default" not in create.params.get(name, {})
                and "null" not in types(create.params.get(name, {}))
            ):
                continue

            def change(changes: dict[str, Any], name: str = name, default: Any = default) -> dict[str, Any]:
                return {name: copy.deepcopy(default), **changes} if changes else changes

            yield (
                f"{f.name}:{name}",
                "update",
                lambda host, f=f, change=change: host.on_stored(f.kind, "update", change),
            )


@template("update.merges-a-map-or-object", "STA-2", areas=AREAS)
def merges(view: View) -> Iterator[Spot]:
    for f in view.that("update"):
        for name, part in _members(view, f).items():
            if "object" in types(part) and (isinstance(part.get("additionalProperties"), dict)
                                            or len(part.get("properties", {})) > len(part.get("required", ()))):  # fmt: skip

                def apply(host: Host, f: Function = f, name: str = name) -> None:
                    def update(inner: Any, call: Any, kind: str, body: Any, changes: Any) -> Any:
                        old = body.get(name)
                        if kind == f.kind and isinstance(old, dict) and isinstance(changes.get(name), dict):
                            changes = {**changes, name: {**old, **changes[name]}}
                        return inner(call, kind, body, changes)

                    host.wrap("change_object", update)

                yield f"{f.name}:{name}", "update", apply


@template("update.appends-to-an-array", "STA-2", areas=AREAS)
def appends(view: View) -> Iterator[Spot]:
    for f in view.that("update"):
        for name, part in _members(view, f).items():
            if "array" in types(part) and part.get("minItems", 0) != part.get("maxItems", 1):

                def apply(host: Host, f: Function = f, name: str = name) -> None:
                    def update(inner: Any, call: Any, kind: str, body: Any, changes: Any) -> Any:
                        old = body.get(name)
                        if kind == f.kind and isinstance(old, list) and isinstance(changes.get(name), list):
                            changes = {**changes, name: [*old, *(v for v in changes[name] if v not in old)]}
                        return inner(call, kind, body, changes)

                    host.wrap("change_object", update)

                yield f"{f.name}:{name}", "update", apply


@template("update.answers-but-does-not-store", "STA-2", areas=AREAS)
def not_stored(view: View) -> Iterator[Spot]:
    for f in view.that("update"):
        if view.of(f.kind, "read") is None and view.of(f.kind, "list") is None:
            continue

        def apply(host: Host, f: Function = f) -> None:
            def update(inner: Any, call: Any, kind: str, body: Any, changes: Any) -> Any:
                return {**body, **changes} if kind == f.kind else inner(call, kind, body, changes)

            host.wrap("change_object", update)

        yield f.name, "update", apply


@template("object.shares-a-default", "STA-2", "STA-6", areas=AREAS)
def shares_default(view: View) -> Iterator[Spot]:
    """Objects made without a member share it: a change of one changes them all."""
    for f in view.that("update"):
        create = view.of(f.kind, "create")
        assert create is not None
        for name in set(_members(view, f)) & set(create.params):
            if name not in create.required and types(f.params[name]) & {"array", "object"}:
                yield f"{f.name}:{name}", "update", lambda host, f=f, name=name: _sharing(host, f, name)


def _sharing(host: Host, f: Function, name: str) -> None:
    identifier = host.view.identifier(f.kind)
    sharing: set[Any] = set()

    def add(inner: Any, call: Any, kind: str, args: Any, **more: Any) -> Any:
        body = inner(call, kind, args, **more)
        if kind == f.kind and name not in args:
            sharing.add(body[identifier])
        return body

    def update(inner: Any, call: Any, kind: str, body: Any, changes: Any) -> Any:
        result = inner(call, kind, body, changes)
        if kind == f.kind and name in changes and body[identifier] in sharing:
            for other in [
                b
                for _, b in host.objects(kind)
                if b[identifier] in sharing and b[identifier] != body[identifier]
            ]:
                inner(call, kind, other, {name: changes[name]})
        return result

    host.wrap("add_object", add)
    host.wrap("change_object", update)


@template("object.takes-from-the-one-before", "STA-1", "STA-6", areas=AREAS)
def takes_from_before(view: View) -> Iterator[Spot]:
    """A create without a member takes that of the create before, by anyone."""
    for f in view.that("create"):
        for name in f.params:
            if name in f.required or not view.is_shown(f.kind, name) or "x-ref" in str(f.params[name]):
                continue

            def apply(host: Host, f: Function = f, name: str = name) -> None:
                last: dict[str, Any] = {}

                def change(args: dict[str, Any]) -> dict[str, Any]:
                    if name in args:
                        last[name] = args[name]
                        return args
                    return {**args, **last}

                host.on_stored(f.kind, "create", change)

            yield f"{f.name}:{name}", "create", apply


@template("update.changes-a-neighbour", "STA-2", "STA-6", areas=AREAS)
def changes_neighbour(view: View) -> Iterator[Spot]:
    for f in view.that("update"):
        for name in _members(view, f):

            def apply(host: Host, f: Function = f, name: str = name) -> None:
                identifier = host.view.identifier(f.kind)

                def update(inner: Any, call: Any, kind: str, body: Any, changes: Any) -> Any:
                    result = inner(call, kind, body, changes)
                    if kind == f.kind and name in changes:
                        mine = [
                            b
                            for o, b in host.objects(kind)
                            if o == call.user_id and b[identifier] != body[identifier]
                        ]
                        if mine:
                            inner(call, kind, mine[-1], {name: changes[name]})
                    return result

                host.wrap("change_object", update)

            yield f"{f.name}:{name}", "update", apply


# --- deletes


@template("delete.does-nothing", "STA-3", areas=AREAS)
def delete_nothing(view: View) -> Iterator[Spot]:
    for f in view.that("delete"):
        yield (
            f.name,
            "delete",
            lambda host, f=f: host.wrap(
                "remove_object",
                lambda inner, call, kind, key: (
                    1 if kind == f.kind and call.name == f.name else inner(call, kind, key)
                ),
            ),
        )


@template("delete.leaves-it-to-one-function", "STA-3", "COD-10", areas=AREAS)
def delete_leaves(view: View) -> Iterator[Spot]:
    """One function still finds what was deleted."""
    for f in view.functions.values():
        for name, part in f.params.items():
            kind = part.get("x-ref")
            if kind not in view.kinds() or view.of(kind, "delete") is None or f.does == "delete":
                continue
            if f.kind == kind and f.does not in ("read", "update", "list"):
                continue

            def apply(host: Host, f: Function = f, kind: str = kind) -> None:
                gone: dict[Any, tuple[Any, dict[str, Any]]] = {}
                identifier = host.view.identifier(kind)

                def remove(inner: Any, call: Any, named: str, key: Any) -> Any:
                    if named == kind:
                        gone.update(
                            {b[identifier]: (o, b) for o, b in host.objects(kind) if b[identifier] == key}
                        )
                    return inner(call, named, key)

                def load(inner: Any, call: Any, named: str, key: Any) -> Any:
                    if named == kind and call.name == f.name and key in gone and gone[key][0] == call.user_id:
                        return gone[key][1]
                    return inner(call, named, key)

                host.wrap("remove_object", remove)
                host.wrap("load", load)

            yield f"{f.name}:{name}", f"{f.does or 'other'}, after a delete", apply


@template("delete.twice-is-a-success", "STA-3", "COD-10", areas=AREAS)
def delete_twice(view: View) -> Iterator[Spot]:
    for f in view.that("delete"):

        def apply(host: Host, f: Function = f) -> None:
            gone: set[Any] = set()

            def resolve(inner: Any, call: Any) -> Any:
                if call.name == f.name and call.args.get(f.object["id"]) in gone:
                    return None
                return inner(call)

            def remove(inner: Any, call: Any, kind: str, key: Any) -> Any:
                if kind == f.kind:
                    if key in gone:
                        return 1
                    gone.add(key)
                return inner(call, kind, key)

            host.wrap("resolve", resolve)
            host.wrap("remove_object", remove)

        yield f.name, "delete", apply


@template("delete.takes-another-along", "STA-3", "STA-6", "STA-1", "STA-2", areas=AREAS)
def takes_another(view: View) -> Iterator[Spot]:
    for f in view.that("delete"):

        def apply(host: Host, f: Function = f) -> None:
            identifier = host.view.identifier(f.kind)

            def remove(inner: Any, call: Any, kind: str, key: Any) -> Any:
                result = inner(call, kind, key)
                if kind == f.kind and call.name == f.name:
                    mine = [b[identifier] for o, b in host.objects(kind) if o == call.user_id]
                    if mine:
                        inner(call, kind, mine[-1])
                return result

            host.wrap("remove_object", remove)

        yield f.name, "delete", apply


# --- creates


@template("create.equal-ones-fail-with-500", "STA-5", "COD-8", areas=AREAS)
def equal_500(view: View) -> Iterator[Spot]:
    for f in view.that("create"):

        def apply(host: Host, f: Function = f) -> None:
            last: list[Any] = []

            def add(inner: Any, call: Any, kind: str, args: Any, **more: Any) -> Any:
                if kind == f.kind:
                    if last == [args]:
                        raise host.refuse(500, "Internal error")
                    last[:] = [copy.deepcopy(args)]
                return inner(call, kind, args, **more)

            host.wrap("add_object", add)

        yield f.name, "create", apply


@template("create.equal-ones-are-one", "STA-5", "STA-1", areas=AREAS)
def equal_one(view: View) -> Iterator[Spot]:
    """The second of two equal creates of a user is answered with the first object."""
    for f in view.that("create"):

        def apply(host: Host, f: Function = f) -> None:
            made: dict[str, Any] = {}
            identifier = host.view.identifier(f.kind)

            def add(inner: Any, call: Any, kind: str, args: Any, **more: Any) -> Any:
                if kind != f.kind:
                    return inner(call, kind, args, **more)
                key = repr((call.user_id, args))
                body = host.find(kind, made[key]) if key in made else None
                if body is None:
                    body = inner(call, kind, args, **more)
                    made[key] = body[identifier]
                return body

            host.wrap("add_object", add)

        yield f.name, "create", apply


@template("create.fails-after-many", "COD-8", "STA-5", "DAT-1", "STA-1", areas=(*AREAS, "PAG-2"))
def after_many(view: View) -> Iterator[Spot]:
    for count in (20, 64):
        for f in view.that("create"):

            def apply(host: Host, f: Function = f, count: int = count) -> None:
                made = iter(range(10**9))

                def add(inner: Any, call: Any, kind: str, args: Any, **more: Any) -> Any:
                    if kind == f.kind and next(made) % count == count - 1:
                        raise host.refuse(500, "Internal error")
                    return inner(call, kind, args, **more)

                host.wrap("add_object", add)

            yield f"{f.name}, every {count}th", "create", apply


@template("create.answered-but-lost", "STA-1", areas=AREAS)
def create_lost(view: View) -> Iterator[Spot]:
    for f in view.that("create"):
        if view.of(f.kind, "read") is None and view.of(f.kind, "list") is None:
            continue

        def apply(host: Host, f: Function = f) -> None:
            identifier = host.view.identifier(f.kind)
            count = iter(range(10**9))

            def add(inner: Any, call: Any, kind: str, args: Any, **more: Any) -> Any:
                body = inner(call, kind, args, **more)
                if kind == f.kind and next(count) % 3 == 2:
                    body = copy.deepcopy(body)
                    host.service.remove_object(call, kind, body[identifier])
                return body

            host.wrap("add_object", add)

        yield f.name, "create", apply


@template("create.stored-though-refused", "DAT-7", "STA-6", areas=AREAS)
def stored_though_refused(view: View) -> Iterator[Spot]:
    """An object is stored before its arguments are checked; what is refused stays."""
    for f in view.that("create"):
        if view.of(f.kind, "list") is None:
            continue

        def apply(host: Host, f: Function = f) -> None:
            declared = host.service.functions[f.name]
            inner = declared.check
            valid: list[Any] = []

            def validate(step: Any, call: Any) -> Any:
                try:
                    return step(call)
                except Exception:
                    data = call.message.get("data")
                    good = valid and call.name == f.name and isinstance(data, dict)
                    if good and not any("x-ref" in part for part in f.params.values()):
                        shown = {n: v for n, v in data.items() if n in f.params}
                        kept = {n: v for n, v in shown.items() if inner({**valid[0], n: v}) is None}
                        host.service.add_object(call, f.kind, {**valid[0], **kept})
                    raise

            def check(args: Any) -> Any:
                complaint = inner(args)
                if complaint is None and not valid:
                    valid.append({n: args[n] for n in f.required})
                return complaint

            declared.check = check
            host.wrap("validate", validate)

        if not any("x-ref" in part for part in f.params.values()):
            yield f.name, "create", apply


@template("update.applied-though-refused", "DAT-7", "STA-6", areas=AREAS)
def applied_though_refused(view: View) -> Iterator[Spot]:
    """The valid members of a refused update are stored all the same."""
    for f in view.that("update"):

        def apply(host: Host, f: Function = f) -> None:
            inner = host.service.functions[f.name].check
            identifier = f.object["id"]

            def validate(step: Any, call: Any) -> Any:
                try:
                    return step(call)
                except Exception:
                    data = call.message.get("data")
                    if (
                        call.name == f.name
                        and isinstance(data, dict)
                        and isinstance(data.get(identifier), str | int)
                    ):
                        found = [b for o, b in host.objects(f.kind)
                                 if o == call.user_id and b[host.view.identifier(f.kind)] == data[identifier]]  # fmt: skip
                        named = {n: data[n] for n in f.required if n in data}
                        kept = {n: v for n, v in data.items()
                                if n in f.params and n not in named and "x-ref" not in str(f.params[n])
                                and inner({**named, n: v}) is None}  # fmt: skip
                        if found and kept:
                            host.service.change_object(call, f.kind, found[0], kept)
                    raise

            host.wrap("validate", validate)

        yield f.name, "update", apply


# --- reads


@template("read.changes-the-object", "STA-4", "STA-2", areas=AREAS)
def read_changes(view: View) -> Iterator[Spot]:
    """A read sets a member of the object to another allowed value."""
    for f in view.that("read"):
        update = view.of(f.kind, "update")
        if update is None:
            continue
        for name, part in _members(view, update).items():
            value = next(
                (v for v in [*part.get("enum", [])[-1:], *([True] if part.get("type") == "boolean" else [])]),
                None,
            )
            if value is None:
                continue

            def apply(host: Host, f: Function = f, name: str = name, value: Any = value) -> None:
                identifier = host.view.identifier(f.kind)

                def read(inner: Any, service: Any, call: Any) -> Any:
                    data = copy.deepcopy(inner(service, call))
                    key = call.args.get(f.object["id"])
                    body = next((b for _, b in host.objects(f.kind) if b[identifier] == key), None)
                    if body is not None and body.get(name) != value:
                        service.change_object(call, f.kind, body, {name: value})
                    return data

                host.on_handler(f.name, read)

            yield f"{f.name}:{name}", "read", apply


@template("list.deletes-the-oldest", "STA-4", "STA-1", "STA-6", areas=AREAS)
def list_deletes(view: View) -> Iterator[Spot]:
    """A list of more than thirty objects forgets the oldest."""
    for f in view.that("list"):

        def apply(host: Host, f: Function = f) -> None:
            identifier = host.view.identifier(f.kind)

            def listed(inner: Any, service: Any, call: Any) -> Any:
                data = copy.deepcopy(inner(service, call))
                mine = [b[identifier] for o, b in host.objects(f.kind) if o == call.user_id]
                if len(mine) > 30:
                    service.remove_object(call, f.kind, mine[0])
                return data

            host.on_handler(f.name, listed)

        yield f.name, "list", apply


# --- texts that are obeyed


def _telling(name: str, texts: tuple[str, ...], *tells: str) -> None:
    """Register: a create or update with one of these texts anywhere in a member fails with 500."""

    def spots(view: View) -> Iterator[Spot]:
        for does in ("create", "update"):
            for place in view.stored(does):
                plain = types(place.schema) <= {"string", "null"} and not {"enum", "pattern", "format"} & set(
                    place.schema
                )
                if not plain or place.schema.get("maxLength", 100) < max(map(len, texts)):
                    continue

                def apply(host: Host, place: Any = place) -> None:
                    def change(value: Any) -> Any:
                        if isinstance(value, str) and any(text in value for text in texts):
                            raise host.refuse(500, "Internal error")
                        return value

                    from benchmarks.defect_grid.catalogue_view import altered

                    host.on_stored(
                        place.function.kind,
                        place.function.does,
                        lambda args: altered(args, place.path, change),
                    )

                yield place.label, f"{does}, {place.depth}", apply

    template(f"text-fails.{name}", *tells, areas=AREAS)(spots)


_telling("quote", ("'",), "DAT-8", "COD-8", "DAT-5")
_telling("percent-s", ("%s", "%d"), "DAT-8", "COD-8", "DAT-5")
_telling("backslash-at-the-end", ("\\",), "DAT-8", "COD-8", "DAT-5")
_telling("astral", ("😀", "𝄞", "💩"), "DAT-5", "COD-8")
_telling("template", ("{{", "${"), "DAT-8", "COD-8", "DAT-5")
_telling("angle", ("<script",), "DAT-8", "COD-8", "DAT-5")
assert Callable
