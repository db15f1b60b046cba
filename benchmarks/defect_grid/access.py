"""Templates: rights. Owners, parents, references and roles that one function does not look at; claims that are obeyed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from benchmarks.defect_grid.catalogue_view import Function, View, altered, places
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Spot, template

AREAS = ("STA-6", "ACC-1", "ACC-2", "ACC-3", "ACC-4", "COD-7", "COD-10", "STA-2", "DAT-7")


def owned(view: View, *does: str) -> list[Function]:
    """Return the functions that do this with a kind whose objects have an owner."""
    return [f for f in view.that(*does) if f.auth != "none"]


def _parents(view: View, f: Function) -> list[str]:
    """Return the required parameters that name a parent, whose owner is looked at as well."""
    if "under_parents" not in view.profile.get("steps", ()):
        return []
    kinds = view.kinds()
    return [n for n in f.required if n != f.object["id"] and f.params[n].get("x-ref") in kinds]


def _refers_to_its_kind(f: Function) -> bool:
    """Return whether other arguments than the identifier itself name objects of the function's own kind."""
    return any(
        part.get("x-ref") == f.kind and path[-1] != f.object["id"]
        for path, part, _ in places({"properties": f.params, "required": f.required})
    )


@template("owner.unchecked", "ACC-2", areas=AREAS)
def unchecked(view: View) -> Iterator[Spot]:
    """The object's owner is not looked at; nobody sees that where the owner of a required parent is."""
    for f in owned(view, "read", "update", "delete"):
        if _parents(view, f) and not _refers_to_its_kind(f):
            continue
        yield (
            f.name,
            f.does,
            lambda host, f=f: host.may_use(lambda call, kind: call.name == f.name and kind == f.kind),
        )


@template("owner.unchecked-of-child-and-parent", "ACC-2", areas=AREAS)
def unchecked_of_both(view: View) -> Iterator[Spot]:
    """Neither the owner of a child nor that of the parent that it is named with is looked at."""
    for f in owned(view, "read", "update", "delete"):
        if _parents(view, f):
            yield f.name, f.does, lambda host, f=f: host.may_use(lambda call, kind: call.name == f.name)


def _owns(view: View, f: Function, role: str) -> bool:
    """Return whether a user with a role may make what another user, who has no other role, reads."""
    create = view.of(f.kind, "create")
    roles = [set(user.get("roles", ())) for user in view.users]
    return create is not None and any(
        role in stranger <= owner and create.auth in ("session", *owner)
        for one, owner in enumerate(roles)
        for other, stranger in enumerate(roles)
        if one != other
    )


@template("owner.unchecked-for-a-role", "ACC-2", areas=AREAS)
def unchecked_for_role(view: View) -> Iterator[Spot]:
    """Each role that can call a function sees the objects of all; not a role that a list of all asks for.

    Which roles may read the objects of users without them is for the service to decide.
    """
    lists = {f.auth for f in view.functions.values() if f.rows is not None}
    for f in owned(view, "read", "update", "delete"):
        if _parents(view, f) and not _refers_to_its_kind(f):
            continue
        for role in sorted({role for user in view.users for role in user.get("roles", ())}):
            if (
                f.auth in ("session", role)
                and role not in lists
                and (f.does != "read" or _owns(view, f, role))
            ):
                yield (f"{f.name} by {role}", f"{f.does}, by role",
                       lambda host, f=f, role=role: host.may_use(
                           lambda call, kind: call.name == f.name and kind == f.kind and role in call.roles))  # fmt: skip


@template("owner.unchecked-with-own-parent", "ACC-2", areas=AREAS)
def unchecked_with_parent(view: View) -> Iterator[Spot]:
    """Where a call names a parent of the caller's own, the child's owner is not looked at, and neither is its parent."""
    for f in owned(view, "read", "update", "delete"):
        refs = [name for name, part in f.params.items() if "x-ref" in part and name != f.object["id"]]
        if not refs or (f.does == "update" and not set(refs) & set(f.required)):
            continue

        def apply(host: Host, f: Function = f) -> None:
            host.may_use(lambda call, kind: call.name == f.name and kind == f.kind)
            host.wrap("under_parents", lambda inner, call: None if call.name == f.name else inner(call))

        if "under_parents" in view.profile.get("steps", ()):
            yield f.name, f.does, apply


@template("owner.of-a-reference-unchecked", "ACC-2", "COD-10", areas=AREAS)
def reference_unchecked(view: View) -> Iterator[Spot]:
    for f in view.functions.values():
        if f.does not in ("create", "update", "list") or f.auth == "none":
            continue
        for path, part, _ in places({"properties": f.params, "required": f.required}):
            if "x-ref" not in part or path[-1] == f.object.get("id"):
                continue
            kind = part["x-ref"]
            if kind not in view.kinds():
                continue
            depth = "top level" if len(path) == 1 else "nested"
            yield (f"{f.name}:{'/'.join(path)}", f"{f.does}, reference {depth}",
                   lambda host, f=f, path=path, kind=kind: _skip_reference(host, f, path, kind, exists=True))  # fmt: skip


@template("reference.to-nothing-accepted", "COD-10", "ACC-2", areas=AREAS)
def reference_to_nothing(view: View) -> Iterator[Spot]:
    for f in view.functions.values():
        if f.does not in ("create", "update") or f.auth == "none":
            continue
        for path, part, _ in places({"properties": f.params, "required": f.required}):
            if "x-ref" in part and len(path) > 1 and part["x-ref"] in view.kinds():
                yield (f"{f.name}:{'/'.join(path)}", f"{f.does}, reference nested",
                       lambda host, f=f, path=path, kind=part["x-ref"]: _skip_reference(
                           host, f, path, kind, exists=False))  # fmt: skip


def _skip_reference(host: Host, f: Function, path: tuple[str, ...], kind: str, *, exists: bool) -> None:
    """Do not look at the identifiers at one path: at their owners, or not even whether they exist."""

    def named(call: Any) -> list[Any]:
        found: list[Any] = []
        altered(call.args, path, lambda value: found.append(value) or value)
        return found

    def load(inner: Any, call: Any, wanted: str, identifier: Any) -> Any:
        if call.name == f.name and wanted == kind and identifier in named(call):
            body = host.find(kind, identifier)
            if body is not None or not exists:
                return body or {host.view.identifier(kind): identifier}
        return inner(call, wanted, identifier)

    host.wrap("load", load)


# --- lists


def mixed(view: View) -> list[Function]:
    """Return the lists in which rows of several users could stand, of kinds that are read one by one as well.

    A list that asks for an object of the caller's own holds the caller's rows alone: nobody else can refer to it. Where
    nothing reads an object, no rule says that a list must not show it to others.
    """
    made = view.kinds()
    return [
        f
        for f in owned(view, "list")
        if view.of(f.kind, "read") and not any(f.params[name].get("x-ref") in made for name in f.required)
    ]


def _free(view: View, f: Function) -> list[str]:
    """Return the filters that rows of other users can pass."""
    made = view.kinds()
    return [
        name for name, part in f.params.items() if name not in f.required and part.get("x-ref") not in made
    ]


@template("list.of-everybody", "ACC-4", areas=AREAS)
def list_of_everybody(view: View) -> Iterator[Spot]:
    for f in mixed(view):
        yield (
            f.name,
            "list",
            lambda host, f=f: host.everybody(lambda call, kind: call.name == f.name and kind == f.kind),
        )


@template("list.of-everybody-with-filter", "ACC-4", "ACC-2", areas=(*AREAS, "PAG-8"))
def list_with_filter(view: View) -> Iterator[Spot]:
    for f in mixed(view):
        for name in _free(view, f):
            if name:
                yield (f"{f.name}:{name}", "list, by filter",
                       lambda host, f=f, name=name: host.everybody(
                           lambda call, kind: call.name == f.name and kind == f.kind
                           and call.args.get(name) is not None))  # fmt: skip


@template("list.of-everybody-with-two-filters", "ACC-4", "ACC-2", areas=(*AREAS, "PAG-8"))
def list_with_two_filters(view: View) -> Iterator[Spot]:
    for f in mixed(view):
        names = _free(view, f)
        for first, second in itertools.pairwise(names):
            yield (f"{f.name}:{first}+{second}", "list, by two filters",
                   lambda host, f=f, pair=(first, second): host.everybody(
                       lambda call, kind: call.name == f.name and kind == f.kind
                       and all(call.args.get(name) is not None for name in pair)))  # fmt: skip


@template("list.of-everybody-when-paged", "ACC-4", "PAG-8", areas=AREAS)
def list_when_paged(view: View) -> Iterator[Spot]:
    for f in mixed(view):
        for member in ("pageStart", "pageLength"):
            yield (f"{f.name}:{member}", "list, paged",
                   lambda host, f=f, member=member: host.everybody(
                       lambda call, kind: call.name == f.name and kind == f.kind
                       and call.message.get(member) is not None))  # fmt: skip


@template("list.under-another-users-parent", "ACC-2", "ACC-4", areas=AREAS)
def list_under_foreign_parent(view: View) -> Iterator[Spot]:
    """A list asked for with another user's object shows the rows of that user."""
    for f in owned(view, "list"):
        for name, part in f.params.items():
            if part.get("x-ref") in view.kinds():

                def apply(host: Host, f: Function = f, name: str = name, kind: str = part["x-ref"]) -> None:
                    host.may_use(lambda call, wanted: call.name == f.name and wanted == kind)
                    host.everybody(lambda call, wanted: call.name == f.name and wanted == f.kind
                                   and call.args.get(name) is not None)  # fmt: skip

                yield f"{f.name}:{name}", "list, by filter", apply


# --- roles


def _for_roles(view: View) -> list[Function]:
    """Return the functions for a role of which a user without it could have an object to name.

    Where nobody else can create what a call has to name, the owner of it is asked for, too, and refuses them alike.
    """
    made = {f.kind for f in view.that("create") if f.auth in ("none", "session")}
    return [
        f
        for f in view.protected
        if f.auth != "session" and all(f.params[name].get("x-ref") in made | {None} for name in f.required)
    ]


@template("role.unchecked", "ACC-1", areas=AREAS)
def role_unchecked(view: View) -> Iterator[Spot]:
    for f in _for_roles(view):
        yield (
            f.name,
            f"role, {f.does or 'other'}",
            lambda host, f=f: _no_role(host, lambda call: call.name == f.name),
        )


@template("role.from-a-header", "ACC-1", "AUT-4", areas=AREAS)
def role_from_header(view: View) -> Iterator[Spot]:
    for header in (b"x-role", b"x-forwarded-user", b"x-original-url", b"x-forwarded-for"):
        for f in _for_roles(view):
            yield (f"{f.name}:{header.decode()}", "role, header",
                   lambda host, f=f, header=header: _no_role(
                       host, lambda call: call.name == f.name and call.request.header(header) is not None))  # fmt: skip


@template("role.from-data", "ACC-3", areas=AREAS)
def role_from_data(view: View) -> Iterator[Spot]:
    for member in ("role", "roles", "isAdmin"):
        for f in _for_roles(view):

            def claimed(call: Any, f: Function = f, member: str = member) -> bool:
                data = call.message.get("data")
                return call.name == f.name and isinstance(data, dict) and bool(data.get(member))

            yield (
                f"{f.name}:{member}",
                "role, data",
                lambda host, claimed=claimed: _no_role(host, claimed),
            )


@template("role.refused-to-its-own", "ACC-1", "DAT-1", "COD-7", areas=(*AREAS, "HTTP-1", "STA-1"))
def role_refused(view: View) -> Iterator[Spot]:
    for f in view.protected:
        if f.auth != "session":

            def apply(host: Host, f: Function = f) -> None:
                def authorise(inner: Any, call: Any) -> None:
                    inner(call)
                    if call.name == f.name:
                        raise host.refuse(403, "This is not for you")

                host.wrap("authorise", authorise)

            yield f.name, f"role, {f.does or 'other'}", apply


def _no_role(host: Host, when: Any) -> None:
    def authorise(inner: Any, call: Any) -> None:
        if not when(call):
            inner(call)

    host.wrap("authorise", authorise)


# --- claims and members that the server keeps


@template("claim.owner-in-data", "ACC-3", areas=AREAS)
def owner_in_data(view: View) -> Iterator[Spot]:
    """A create with `userId` or `ownerId` of another makes that user the owner."""
    for f in owned(view, "create"):
        for member in ("userId", "ownerId"):

            def apply(host: Host, f: Function = f, member: str = member) -> None:
                def add(inner: Any, call: Any, kind: str, args: Any, **more: Any) -> Any:
                    data = call.message.get("data") or {}
                    claimed, user = data.get(member), call.user
                    users = known
                    if kind == f.kind and call.name == f.name and claimed in users:
                        call.user = users[claimed]
                    try:
                        return inner(call, kind, args, **more)
                    finally:
                        call.user = user

                known: dict[Any, Any] = {}

                def authenticate(inner: Any, call: Any) -> Any:
                    user = inner(call)
                    if user is not None:
                        known[user["userId"]] = user
                    return user

                host.wrap("authenticate", authenticate)
                host.wrap("add_object", add)

            yield f"{f.name}:{member}", "create, data", apply


@template("claim.kept-member-in-data", "STA-2", "ACC-3", "STA-1", "DAT-2", areas=AREAS)
def kept_member(view: View) -> Iterator[Spot]:
    """A member that the server keeps itself is taken from the data of an update."""
    for f in owned(view, "update"):
        shown = view.shown(f).get("properties", {})
        for name in sorted(set(shown) - set(f.params)):
            if name in ("revision", "changedAt", "updatedAt"):
                # The servers set them at every change, whatever was taken over.
                continue

            def apply(host: Host, f: Function = f, name: str = name) -> None:
                def change(inner: Any, call: Any, kind: str, body: Any, changes: Any) -> Any:
                    data = call.message.get("data") or {}
                    more = {name: data[name]} if kind == f.kind and name in data else {}
                    return inner(call, kind, body, changes | more)

                host.wrap("change_object", change)

            yield f"{f.name}:{name}", "update, data", apply


@template("claim.identifier-in-data-of-a-create", "STA-5", "STA-2", "ACC-3", "STA-1", "ACC-2", areas=AREAS)
def identifier_in_data(view: View) -> Iterator[Spot]:
    """A create with the identifier of an object of the caller's own changes that object."""
    for f in owned(view, "create"):
        name = view.identifier(f.kind)
        if view.of(f.kind, "read") is None or name in f.params or view.of(f.kind, "update") is None:
            continue

        def apply(host: Host, f: Function = f, name: str = name) -> None:
            def add(inner: Any, call: Any, kind: str, args: Any, **more: Any) -> Any:
                data = call.message.get("data") or {}
                if kind == f.kind and isinstance(data.get(name), str | int):
                    body = host.find(kind, data[name])
                    if body is not None and any(
                        o == call.user_id and b == body for o, b in host.objects(kind)
                    ):
                        return host.service.change_object(call, kind, body, args)
                return inner(call, kind, args, **more)

            host.wrap("add_object", add)

        yield f"{f.name}:{name}", "create, data", apply
