"""Fingerprints of widespread stacks (reports.causes.stacks): each names its own answers and no other's."""

from __future__ import annotations

import pytest

from reports.causes.stacks import stack_of


@pytest.mark.parametrize(
    ("body", "headers", "name"),
    [
        ("<pre>Cannot GET /api/x</pre>", {}, "Express"),
        ("{}", {"X-Powered-By": "Express"}, "Express"),
        ("404 page not found\n", {}, "Go net/http"),
        ("Method Not Allowed\n", {}, "Go net/http"),
        ("Not Found", {"Content-Type": "text/plain; charset=utf-8"}, "Koa"),
        ("method not allowed\n", {}, None),
        ("Not Found\n", {}, None),
        ('{"isError":true,"errMsg":"Not Found","data":null}', {}, None),
        ("", {}, None),
    ],
)
def test_a_stack_is_known_by_its_own_answers(body: str, headers: dict[str, str], name: str | None) -> None:
    found = stack_of([None, {"body": body, "headers": headers}])
    assert (found.name if found else None) == name
