"""Templates: how an answer looks. Statuses, envelopes, names of members, types, headers and bytes."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.defect_grid.catalogue_view import Function, View, at_pointer
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Spot, template

AREAS = ("ENV-1", "ENV-2", "ENV-3", "ENV-4", "ENV-5", "ENV-6", "ENV-7", "ENV-8", "ENV-9", "ENV-10",
         "COD-1", "COD-2", "COD-8", "HTTP-4", "HTTP-5", "NAM-1", "SEC-2", "SEC-5", "STA-1")  # fmt: skip

Envelope = dict[str, Any]


def _functions(view: View) -> list[Function]:
    return list(view.functions.values())


def _on_envelope(step: str, name: str, change: Callable[[Envelope], Envelope]) -> Callable[[Host], None]:
    def apply(host: Host) -> None:
        def around(inner: Any, call: Any, value: Any) -> Any:
            envelope = inner(call, value)
            return change(copy.deepcopy(envelope)) if call.name == name else envelope

        host.wrap(step, around)

    return apply


def _envelope(name: str, step: str, tells: tuple[str, ...], change: Callable[[Envelope], Envelope]) -> None:
    def spots(view: View) -> Iterator[Spot]:
        for f in _functions(view):
            yield f.name, f"{f.does or 'other'}, {step}", _on_envelope(step, f.name, change)

    template(f"envelope.{name}", *tells, areas=AREAS)(spots)


_envelope(
    "success-without-errMsg", "success", ("ENV-1",), lambda e: {k: v for k, v in e.items() if k != "errMsg"}
)
_envelope("success-with-empty-errMsg", "success", ("ENV-6",), lambda e: {**e, "errMsg": ""})
_envelope("success-isError-as-text", "success", ("ENV-2",), lambda e: {**e, "isError": "false"})
_envelope("success-isError-as-number", "success", ("ENV-2",), lambda e: {**e, "isError": 0})
_envelope("success-isError-true", "success", ("ENV-4",), lambda e: {**e, "isError": True})
_envelope("success-with-more", "success", ("ENV-9",), lambda e: {**e, "took": 3})
_envelope("success-data-null", "success", ("ENV-7", "ENV-10"), lambda e: {**e, "data": None})
_envelope("success-data-in-a-list", "success", ("ENV-7", "ENV-10"), lambda e: {**e, "data": [e["data"]]})
_envelope(
    "refusal-without-data", "failure", ("ENV-1",), lambda e: {k: v for k, v in e.items() if k != "data"}
)
_envelope("refusal-without-message", "failure", ("ENV-5",), lambda e: {**e, "errMsg": ""})
_envelope("refusal-message-null", "failure", ("ENV-5",), lambda e: {**e, "errMsg": None})
_envelope("refusal-message-object", "failure", ("ENV-3", "ENV-5"), lambda e: {**e, "errMsg": {"text": "no"}})
_envelope("refusal-isError-false", "failure", ("ENV-4",), lambda e: {**e, "isError": False})
_envelope("refusal-with-partial-data", "failure", ("ENV-8",), lambda e: {**e, "data": {"id": 1}})
_envelope("refusal-shows-a-path", "failure", ("SEC-2",),
          lambda e: {**e, "errMsg": 'File "/srv/app/handlers/course.py", line 41, in find'})  # fmt: skip
_envelope("refusal-shows-sql", "failure", ("SEC-2",),
          lambda e: {**e, "errMsg": "SQLSTATE[42000]: syntax error near 'SELECT id FROM users WHERE'"})  # fmt: skip
_envelope("refusal-shows-a-class", "failure", ("SEC-2",),
          lambda e: {**e, "errMsg": "java.lang.NullPointerException: null"})  # fmt: skip


# --- statuses


def _status(name: str, before: int, after: int, *tells: str) -> None:
    def spots(view: View) -> Iterator[Spot]:
        for f in _functions(view):
            if before == 404 and not any("x-ref" in part for part in f.params.values()):
                continue
            if before == 400 and not f.params:
                continue
            if before == 403 and f.auth in ("none", "session"):
                continue

            def change(answer: Any, _call: Any) -> None:
                if answer.status == before:
                    answer.status = after

            yield f.name, f.does or "other", lambda host, f=f, change=change: host.on_reply(change, f.name)

    template(f"status.{name}", *tells, areas=(*AREAS, "DAT-2", "COD-10", "COD-5", "REQ-7", "REQ-9"))(spots)


_status("success-201", 200, 201, "COD-1", "COD-2")
_status("success-202", 200, 202, "COD-1", "COD-2")
_status("invalid-422", 400, 422, "COD-2", "DAT-2", "REQ-9")
_status("invalid-409", 400, 409, "COD-2", "DAT-2", "REQ-9")
# At a function that deletes, few invalid calls may be sent: those of REQ-8 among them.
_status("invalid-500", 400, 500, "COD-8", "COD-5", "COD-2", "REQ-8")
_status("invalid-403", 400, 403, "DAT-2", "REQ-8", "REQ-9", "REQ-7", "COD-5")
_status("invalid-404", 400, 404, "DAT-2", "REQ-8", "REQ-9", "REQ-7", "COD-5")
_status("missing-object-500", 404, 500, "COD-8", "COD-10", "COD-2")
_status("missing-object-410", 404, 410, "COD-2", "COD-10")


@template("status.missing-object-is-null", "COD-10", "STA-3", "ACC-2", areas=AREAS)
def missing_is_null(view: View) -> Iterator[Spot]:
    for f in view.that("read", "update", "delete"):

        def change(answer: Any, call: Any, f: Function = f) -> None:
            if (
                answer.status in (403, 404)
                and call.function is not None
                and call.user is not None
                and call.args
            ):
                answer.status = 200
                answer.body = b'{"isError":false,"errMsg":null,"data":null}'

        yield f.name, f.does, lambda host, f=f, change=change: host.on_reply(change, f.name)


@template("status.unknown-function-400", "COD-3", areas=AREAS)
def unknown_function(view: View) -> Iterator[Spot]:
    for status in (400, 200, 500, 405):
        yield f"{status}", "endpoint", _unknown(status, known_endpoint=True)


@template("status.unknown-endpoint-400", "COD-4", areas=AREAS)
def unknown_endpoint(view: View) -> Iterator[Spot]:
    for status in (400, 200, 500, 403):
        yield f"{status}", "endpoint", _unknown(status, known_endpoint=False)


def _unknown(status: int, *, known_endpoint: bool) -> Callable[[Host], None]:
    def apply(host: Host) -> None:
        entities = {f.entity for f in host.view.functions.values()}

        def change(answer: Any, call: Any) -> None:
            known = call.request.path.rsplit("/", 1)[-1] in entities
            if answer.status == 404 and call.function is None and call.message and known is known_endpoint:
                answer.status = status
                if status == 200:
                    answer.body = b'{"isError":false,"errMsg":null,"data":{}}'

        host.on_reply(change)

    return apply


# --- headers and bytes


def _bytes(name: str, tells: tuple[str, ...], change: Callable[[Any], None]) -> None:
    def spots(view: View) -> Iterator[Spot]:
        for f in _functions(view):
            yield (
                f.name,
                f"{f.does or 'other'}, bytes",
                lambda host, f=f: host.on_reply(lambda answer, _call: change(answer), f.name),
            )

    template(f"answer.{name}", *tells, areas=AREAS)(spots)


def _set(header: bytes, value: bytes | None) -> Callable[[Any], None]:
    def change(answer: Any) -> None:
        answer.headers = [(n, v) for n, v in answer.headers if n.lower() != header]
        if value is not None:
            answer.headers.append((header, value))

    return change


def _body(change: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    def apply(answer: Any) -> None:
        answer.body = change(answer.body)

    return apply


_bytes("content-type-html", ("HTTP-5",), _set(b"content-type", b"text/html"))
_bytes("content-type-missing", ("HTTP-5",), _set(b"content-type", None))
_bytes("content-type-latin1", ("HTTP-5",), _set(b"content-type", b"application/json; charset=iso-8859-1"))
_bytes("cacheable", ("SEC-5",), _set(b"cache-control", b"public, max-age=60"))
_bytes("without-nosniff", ("SEC-5",), _set(b"x-content-type-options", None))
_bytes("byte-order-mark", ("HTTP-4",), _body(lambda body: b"\xef\xbb\xbf" + body))
_bytes("text-behind", ("HTTP-4",), _body(lambda body: body + b"<!-- 3 ms -->"))
_bytes(
    "member-twice", ("HTTP-4",), _body(lambda body: body.replace(b'"errMsg":', b'"errMsg":null,"errMsg":', 1))
)
_bytes("isError-twice", ("HTTP-4",), _body(lambda body: body[:-1] + b',"isError":false}'))


def _when(
    name: str, tells: tuple[str, ...], when: Callable[[Any, Any], bool], change: Callable[[Any], None]
) -> None:
    def spots(view: View) -> Iterator[Spot]:
        yield (
            "every call",
            "bytes",
            lambda host: host.on_reply(lambda answer, call: change(answer) if when(answer, call) else None),
        )

    template(f"answer.{name}", *tells, areas=(*AREAS, "COD-2", "STA-1", "DAT-5", "DAT-1"))(spots)


def _gzip(answer: Any) -> None:
    answer.body = gzip.compress(answer.body)
    answer.headers.append((b"content-encoding", b"gzip"))


def _gzip_unmarked(answer: Any) -> None:
    answer.body = gzip.compress(answer.body)


def _asked(request: Any) -> bool:
    return b"gzip" in (request.header(b"accept-encoding") or b"")


_when("compressed-unmarked", ("HTTP-4",), lambda a, c: _asked(c.request), _gzip_unmarked)
_when(
    "over-8-kB-compressed-unasked",
    ("HTTP-4",),
    lambda a, c: len(a.body) > 8192 and not _asked(c.request),
    _gzip,
)
_when("over-16-kB-cut", ("HTTP-4",), lambda a, c: len(a.body) > 16384, _body(lambda body: body[:16384]))
_when("over-64-kB-cut", ("HTTP-4",), lambda a, c: len(a.body) > 65536, _body(lambda body: body[:65536]))
_when("escapes-split-astral", ("HTTP-4", "DAT-5"), lambda a, c: b"\xf0\x9f" in a.body,
      _body(lambda body: body.decode("utf-8").encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00").replace(b"\\U000", b"\\u")))  # fmt: skip


# --- what a result says


def _schema_at(f: Function, view: View) -> dict[str, Any]:
    members: dict[str, Any] = view.shown(f).get("properties", {})
    return members


@template("result.member-in-snake-case", "NAM-1", "ENV-10", areas=AREAS)
def snake_member(view: View) -> Iterator[Spot]:
    for f in view.functions.values():
        for name in _schema_at(f, view):
            if name != name.lower() and f.does in ("create", "read", "update", "list"):
                snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)

                def change(value: Any, name: str = name, snake: str = snake) -> Any:
                    if not isinstance(value, dict):
                        return value
                    return {snake if key == name else key: part for key, part in value.items()}

                yield f"{f.name}:{name}", f.does, lambda host, f=f, change=change: host.on_shown(f, change)


@template("result.member-of-another-type", "ENV-10", areas=AREAS)
def other_type(view: View) -> Iterator[Spot]:
    def change(value: Any) -> Any:
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int | float):
            return str(value)
        return {"text": value} if isinstance(value, str) else value

    for f in view.functions.values():
        for name, part in _schema_at(f, view).items():
            if f.does in ("create", "read", "update", "list") and part.get("type") in (
                "boolean",
                "integer",
                "number",
                "string",
            ):

                def turned(value: Any, name: str = name) -> Any:
                    if isinstance(value, dict) and name in value:
                        return {**value, name: change(value[name])}
                    return value

                yield f"{f.name}:{name}", f.does, lambda host, f=f, turned=turned: host.on_shown(f, turned)


@template("result.required-member-missing", "ENV-10", areas=AREAS)
def member_missing(view: View) -> Iterator[Spot]:
    for f in view.functions.values():
        for name in view.shown(f).get("required", ()):
            if f.does in ("create", "read", "update", "list"):

                def change(value: Any, name: str = name) -> Any:
                    return {k: v for k, v in value.items() if k != name} if isinstance(value, dict) else value

                yield f"{f.name}:{name}", f.does, lambda host, f=f, change=change: host.on_shown(f, change)


@template("result.undeclared-member", "ENV-10", areas=AREAS)
def undeclared(view: View) -> Iterator[Spot]:
    for f in view.functions.values():
        closed = view.shown(f).get("additionalProperties") is False
        if closed and f.does in ("create", "read", "update", "list"):
            yield (f.name, f.does,
                   lambda host, f=f: host.on_shown(f, lambda v: {**v, "internalNote": "x"} if isinstance(v, dict) else v))  # fmt: skip


@template("result.number-as-text", "ENV-10", "ENV-7", areas=AREAS)
def number_text(view: View) -> Iterator[Spot]:
    for f in view.functions.values():
        if f.result.get("type") == "integer":
            yield (
                f.name,
                f.does or "other",
                lambda host, f=f: host.on_result(f.name, lambda data, _call: str(data)),
            )


@template("result.rows-as-an-object", "ENV-10", "ENV-7", areas=AREAS)
def rows_object(view: View) -> Iterator[Spot]:
    for f in view.functions.values():
        if f.rows is not None:
            yield (f.name, "list",
                   lambda host, f=f: host.on_result(f.name, lambda data, _call: at_pointer(
                       data, f.rows or "", lambda rows: {str(i): row for i, row in enumerate(rows)})))  # fmt: skip


assert json
