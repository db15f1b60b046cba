"""What the tests of access do not hold against a correct target."""

from __future__ import annotations

import pytest

from conformance.catalog.model import Method
from conformance.protocol.exchange import Exchange, Request, Response
from conformance.suites import test_access as access


@pytest.mark.parametrize(
    ("beyond_schema", "status", "excused"),
    [(True, 400, True), (True, 200, False), (True, 404, False), (False, 400, False)],
)
def test_data_may_be_refused_where_the_schema_does_not_say_all(
    beyond_schema: bool, status: int, excused: bool
) -> None:
    function = Method("note.change", beyond_schema=beyond_schema)
    request = Request("POST", "http://127.0.0.1/note", (), b"{}")
    exchange = Exchange(request=request, response=Response(status, (), b"{}"))
    assert access._may_refuse_its_data(function, exchange) is excused
