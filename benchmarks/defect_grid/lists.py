"""Templates: lists. Paging, filters, and rows that are missing, doubled, stale or in another order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.defect_grid.access import mixed
from benchmarks.defect_grid.catalogue_view import Function, View
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Spot, template

AREAS = ("PAG-1", "PAG-2", "PAG-3", "PAG-4", "PAG-5", "PAG-6", "PAG-7", "PAG-8", "STA-1", "STA-3", "STA-6", "ACC-4", "DAT-8",
         "COD-8", "REQ-3", "DAT-1")  # fmt: skip


def paged(view: View) -> list[Function]:
    """Return the functions with rows that the run can fill."""
    return view.that("list")


def _start(call: Any) -> Any:
    return call.message.get("pageStart")


def _length(call: Any) -> Any:
    return call.message.get("pageLength")


def _rows(name: str, tells: tuple[str, ...], change: Callable[[list[Any], Any], list[Any]]) -> None:
    def spots(view: View) -> Iterator[Spot]:
        for f in paged(view):
            yield f.name, "list", lambda host, f=f: host.on_rows(f, change)

    template(f"page.{name}", *tells, areas=AREAS)(spots)


def _short_last(rows: list[Any], call: Any) -> list[Any]:
    length = _length(call)
    return rows[:-1] if isinstance(length, int) and 0 < len(rows) < length and call.page.start > 0 else rows


_rows("last-short", ("PAG-2",), _short_last)
_rows(
    "one-too-many",
    ("PAG-1", "PAG-2", "PAG-7"),
    lambda rows, call: rows + rows[-1:] if _length(call) and len(rows) == _length(call) else rows,
)
_rows(
    "one-missing",
    ("PAG-2", "PAG-1"),
    lambda rows, call: rows[:-1] if _length(call) and len(rows) == _length(call) and len(rows) > 1 else rows,
)
_rows("cap-of-10", ("PAG-3", "PAG-2"), lambda rows, call: rows[:10] if _length(call) is None else rows)
_rows(
    "cap-of-100-with-length",
    ("PAG-2", "PAG-3"),
    lambda rows, call: rows[:100] if _length(call) and _length(call) > 100 else rows,
)
_rows(
    "cap-of-20-with-large-length",
    ("PAG-2",),
    lambda rows, call: rows[:20] if _length(call) and _length(call) >= 1000 else rows,
)
_rows("order-random", ("PAG-6", "PAG-2"), lambda rows, call: random.sample(rows, len(rows)))
_rows("order-reversed-when-paged", ("PAG-2",), lambda rows, call: rows[::-1] if _start(call) else rows)
_rows(
    "first-twice",
    ("PAG-2", "PAG-1", "STA-1", "ACC-4", "STA-6"),
    lambda rows, call: rows[:1] + rows if _length(call) is None else rows,
)


def _paging(name: str, tells: tuple[str, ...], change: Callable[[Any, Any], tuple[int, int | None]]) -> None:
    """Register: one list takes another page than the call asks for."""

    def spots(view: View) -> Iterator[Spot]:
        for f in paged(view):

            def apply(host: Host, f: Function = f) -> None:
                def page(inner: Any, call: Any) -> Any:
                    asked = inner(call)
                    if call.name != f.name:
                        return asked
                    start, length = change(asked, call)
                    return type(asked)(start, length)

                host.wrap("page", page)

            yield f.name, "list", apply

    template(f"page.{name}", *tells, areas=AREAS)(spots)


_paging("start-ignored", ("PAG-2", "PAG-4"), lambda p, c: (0, p.length))
_paging(
    "start-ignored-without-length",
    ("PAG-3", "PAG-2", "PAG-4"),
    lambda p, c: (p.start if p.length is not None else 0, p.length),
)
_paging("start-counted-in-pages", ("PAG-2", "PAG-4"), lambda p, c: (p.start * (p.length or 1), p.length))
_paging("start-off-by-one", ("PAG-2",), lambda p, c: (p.start - 1 if p.start > 1 else p.start, p.length))
_paging("length-ignored", ("PAG-1", "PAG-2"), lambda p, c: (p.start, None))
_paging(
    "length-ignored-without-start",
    ("PAG-1",),
    lambda p, c: (p.start, p.length if _start(c) is not None else None),
)
_paging("length-zero-is-all", ("PAG-7",), lambda p, c: (p.start, p.length or None))
_paging(
    "past-the-end-is-the-last",
    ("PAG-4",),
    lambda p, c: (min(p.start, 1) if p.start > 10_000 else p.start, p.length),
)
_paging(
    "sum-in-32-bits",
    ("PAG-2", "PAG-4"),
    lambda p, c: (p.start, 0 if p.length and 0 < p.start < 2**31 <= p.start + p.length else p.length),
)
_paging(
    "large-start-wraps",
    ("PAG-4",),
    lambda p, c: (
        (p.start % 2**31 if p.start < 2**62 else p.start, p.length) if p.start != 2**31 - 1 else (0, p.length)
    ),
)
_paging(
    "ignored-with-a-filter",
    ("PAG-1", "PAG-2", "PAG-4"),
    lambda p, c: (
        (0, None)
        if any(v is not None and n not in c.function.name for n, v in c.args.items())
        else (p.start, p.length)
    ),
)
_paging(
    "ignored-without-data",
    ("PAG-1", "PAG-2", "PAG-4", "REQ-2", "REQ-3"),
    lambda p, c: (0, None) if "data" not in c.message else (p.start, p.length),
)


def _number(name: str, tells: tuple[str, ...], read: Callable[[Any], Any]) -> None:
    """Register: a page's number of another type is read leniently, by one list."""

    def spots(view: View) -> Iterator[Spot]:
        for member in ("pageStart", "pageLength"):
            for f in paged(view):

                def apply(host: Host, f: Function = f, member: str = member) -> None:
                    def row_number(inner: Any, call: Any, which: str) -> Any:
                        if which == member and call.name == f.name and which in call.message:
                            call.message = {**call.message, which: read(call.message[which])}
                        return inner(call, which)

                    host.wrap("row_number", row_number)

                yield f"{f.name}:{member}", "list", apply

    template(f"page-number.{name}", *tells, areas=AREAS)(spots)


def _crash_huge(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**63:
        raise OverflowError("too large for the database")
    return value


_number(
    "negative-is-zero",
    ("PAG-5",),
    lambda v: 0 if isinstance(v, int | float) and not isinstance(v, bool) and v < 0 else v,
)
_number("text-read", ("PAG-5",), lambda v: int(v) if isinstance(v, str) and v.isdecimal() else v)
_number("boolean-read", ("PAG-5",), lambda v: int(v) if isinstance(v, bool) else v)
_number("fraction-cut", ("PAG-5",), lambda v: int(v) if isinstance(v, float) and abs(v) < 2**53 else v)
_number("huge-500", ("PAG-5", "COD-8"), _crash_huge)
_number("other-types-are-none", ("PAG-5",), lambda v: None if isinstance(v, str | list | dict) else v)


@template("page.start-needs-length", "REQ-3", "PAG-3", areas=AREAS)
def needs_length(view: View) -> Iterator[Spot]:
    for one, other in (("pageStart", "pageLength"), ("pageLength", "pageStart")):
        for f in paged(view):

            def apply(host: Host, f: Function = f, one: str = one, other: str = other) -> None:
                def change(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                    if given.get(one) is not None and given.get(other) is None:
                        raise host.refuse(400, f"{one} needs {other}")
                    return given

                host.on_message(change, f.name)

            yield f"{f.name}:{one}", "list", apply


@template("page.paged-shows-others", "PAG-8", "ACC-4", areas=AREAS)
def paged_shows_others(view: View) -> Iterator[Spot]:
    for f in mixed(view):
        if f.auth != "none":
            yield (f.name, "list",
                   lambda host, f=f: host.everybody(
                       lambda call, kind: call.name == f.name and kind == f.kind and call.page.length is not None))  # fmt: skip


# --- filters


@template("filter.text-as-a-pattern", "DAT-8", areas=AREAS)
def text_pattern(view: View) -> Iterator[Spot]:
    """A wildcard in a text filter shows everything of the caller's."""
    for sign in ("%", "_", "*", ".*", "'"):
        for f in paged(view):
            for name, part in f.params.items():
                if (
                    name not in f.required
                    and "enum" not in part
                    and "x-ref" not in part
                    and "string" in str(part.get("type"))
                ):
                    if "format" in part or "pattern" in part:
                        continue

                    def apply(host: Host, f: Function = f, name: str = name, sign: str = sign) -> None:
                        def handle(inner: Any, call: Any) -> Any:
                            if call.name == f.name and sign in str(call.args.get(name) or ""):
                                call.args = {key: value for key, value in call.args.items() if key != name}
                            return inner(call)

                        host.wrap("handle", handle)

                    yield f"{f.name}:{name} {sign}", "list, filter", apply


@template("filter.fails-with-500", "DAT-8", "COD-8", areas=AREAS)
def filter_fails(view: View) -> Iterator[Spot]:
    for sign in ("'", '"', "\\", "%", "(", "$"):
        for f in paged(view):
            for name, part in f.params.items():
                if (
                    name in f.required
                    or "string" not in str(part.get("type"))
                    or {"enum", "x-ref", "format", "pattern"} & set(part)
                ):
                    continue

                def apply(host: Host, f: Function = f, name: str = name, sign: str = sign) -> None:
                    def handle(inner: Any, call: Any) -> Any:
                        if call.name == f.name and sign in str(call.args.get(name) or ""):
                            raise host.refuse(500, "Internal error")
                        return inner(call)

                    host.wrap("handle", handle)

                yield f"{f.name}:{name} {sign}", "list, filter", apply


@template("filter.null-fails", "DAT-1", "COD-8", areas=AREAS)
def filter_null(view: View) -> Iterator[Spot]:
    for f in paged(view):
        for name, part in f.params.items():
            if "null" in part.get("type", ()):

                def apply(host: Host, f: Function = f, name: str = name) -> None:
                    def handle(inner: Any, call: Any) -> Any:
                        if call.name == f.name and call.args.get(name, 0) is None:
                            raise host.refuse(500, "Internal error")
                        return inner(call)

                    host.wrap("handle", handle)

                yield f"{f.name}:{name}", "list, filter", apply


# --- what a list keeps of objects that are gone


@template("list.shows-the-deleted", "STA-3", "STA-6", areas=AREAS)
def shows_deleted(view: View) -> Iterator[Spot]:
    for f in paged(view):
        if view.of(f.kind, "delete") is not None:
            yield f.name, "list", lambda host, f=f: _ghosts(host, f, lambda call: True)


@template("list.shows-the-deleted-with-filter", "STA-3", "STA-6", areas=AREAS)
def shows_deleted_filtered(view: View) -> Iterator[Spot]:
    for f in paged(view):
        if view.of(f.kind, "delete") is None:
            continue
        for name in f.params:
            if name not in f.required:
                yield (f"{f.name}:{name}", "list, by filter",
                       lambda host, f=f, name=name: _ghosts(host, f, lambda call: call.args.get(name) is not None))  # fmt: skip


@template("list.shows-the-deleted-on-pages", "STA-3", "PAG-8", "STA-6", areas=AREAS)
def shows_deleted_paged(view: View) -> Iterator[Spot]:
    for f in paged(view):
        if view.of(f.kind, "delete") is not None:
            yield (
                f.name,
                "list, paged",
                lambda host, f=f: _ghosts(host, f, lambda call: call.page.length is not None),
            )


def _ghosts(host: Host, f: Function, when: Callable[[Any], bool]) -> None:
    """Show deleted objects in a list, where the call's filters fit them or do not look at them."""
    gone: list[tuple[Any, dict[str, Any]]] = []

    def remove(inner: Any, call: Any, kind: str, identifier: Any) -> Any:
        if kind == f.kind:
            name = host.view.identifier(kind)
            gone.extend((o, b) for o, b in host.objects(kind) if b[name] == identifier and o == call.user_id)
        return inner(call, kind, identifier)

    def fits(body: dict[str, Any], call: Any) -> bool:
        return all(body.get(name, value) == value for name, value in call.args.items() if value is not None)

    def change(rows: list[Any], call: Any) -> list[Any]:
        if not when(call):
            return rows
        more = [host.row(f, body) for owner, body in gone if owner == call.user_id and fits(body, call)]
        rows = [*more, *rows]
        return rows if call.page.length is None else rows[: call.page.length]

    host.wrap("remove_object", remove)
    host.on_rows(f, change)


@template("list.misses-the-newest", "STA-1", "STA-6", areas=AREAS)
def misses_newest(view: View) -> Iterator[Spot]:
    """A list shows an object only from its second call after the create."""
    for f in paged(view):

        def apply(host: Host, f: Function = f) -> None:
            seen: set[str] = set()

            def change(rows: list[Any], call: Any) -> list[Any]:
                fresh = [row for row in rows if repr(row) not in seen]
                seen.update(map(repr, fresh))
                return [row for row in rows if row not in fresh] if fresh and len(fresh) < len(rows) else rows

            host.on_rows(f, change)

        yield f.name, "list", apply
