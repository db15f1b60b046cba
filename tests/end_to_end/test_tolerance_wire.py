"""No finding on correct targets: freedoms in reading requests that the rulebook leaves open."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.faults import FAULTS
from fixtures.faults.request import read_leniently
from fixtures.faults.steps import on_response, set_header
from fixtures.service.service import Service
from fixtures.service.wire import ApiError, Call, Response
from tests.support.judging import FEW_ENTITIES, broken, judge, profile_of, serving_here

Change = Callable[[Service], Service]

MARK = b"\xef\xbb\xbf"


def reads_behind_a_mark(service: Service) -> Service:
    """A byte-order mark before the JSON is ignored (RFC 8259, section 8.1)."""
    return read_leniently(service, lambda body: body.removeprefix(MARK))


def refuses_members_twice(service: Service) -> Service:
    """A body with a member twice is refused."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ApiError(400, "A member is there twice")
        return dict(pairs)

    def change(body: bytes) -> bytes:
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(body.decode(), object_pairs_hook=unique)
        return body

    return read_leniently(service, change)


def refuses_depth(service: Service) -> Service:
    """A body that is nested in more than 20 levels is refused."""

    def change(body: bytes) -> bytes:
        if body.count(b"[") + body.count(b"{") > 20:
            raise ApiError(400, "The body is nested too deep")
        return body

    return read_leniently(service, change)


def refuses_other_bytes(service: Service) -> Service:
    """Bytes outside ASCII in a header are refused (COD-2)."""

    def run(inner: Callable[..., Any], call: Call) -> Any:
        if not all(field.isascii() for _, field in call.request.headers):
            raise ApiError(400, "A header has a byte outside ASCII")
        return inner(call)

    service.wrap("run", run)
    return service


def compresses(service: Service) -> Service:
    """An answer is compressed if the request accepts that."""

    def change(call: Call, response: Response) -> None:
        response.body = gzip.compress(response.body)
        set_header(response, b"content-encoding", b"gzip")

    return on_response(
        service, lambda call, _: call.request.header(b"accept-encoding") == b"gzip, deflate", change
    )


def answers_options(service: Service) -> Service:
    """OPTIONS is answered with 204, TRACE with 501."""

    def change(call: Call, response: Response) -> None:
        response.status = {"OPTIONS": 204, "TRACE": 501}[call.request.verb]
        if response.status == 204:
            response.body = b""

    return on_response(service, lambda call, _: call.request.verb in ("OPTIONS", "TRACE"), change)


def refuses_two_tokens(service: Service) -> Service:
    """A request with two Token headers is refused with 400, whatever it asks for."""

    def run(inner: Callable[..., Any], call: Call) -> Any:
        if sum(name.lower() == b"token" for name, _ in call.request.headers) > 1:
            raise ApiError(400, "There are two tokens")
        return inner(call)

    service.wrap("run", run)
    return service


HEADERS = ("HTTP-4", "COD-1", "COD-2", "COD-8")
BODIES = ("REQ-4", "REQ-12", "DAT-4")


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (reads_behind_a_mark, BODIES),
        (refuses_members_twice, BODIES),
        (refuses_depth, BODIES),
        (refuses_other_bytes, HEADERS),
        (compresses, HEADERS),
        (answers_options, ("HTTP-2", "COD-2", "COD-8")),
        (refuses_two_tokens, ("COD-8", "AUT-3")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_no_finding(
    change: Change, rules: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(FAULTS, "allowed.change", change)
    with serving_here("allowed.change") as (url, catalogue):
        report = judge(
            profile=profile_of(catalogue, tmp_path, entities=FEW_ENTITIES),
            target=url,
            rules=rules,
            seed=5,
            generated=0.2,
            budget="quick",
        )
    assert broken(report) == {}
    assert report["errors"] == []
    assert {rule["verdict"] for rule in report["rules"] if rule["id"] in rules} == {"pass"}
