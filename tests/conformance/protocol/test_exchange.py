"""Exchanges: the records and the properties of a request and its response."""

from __future__ import annotations

import shutil

import pytest

from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.redaction import MASK
from tests.conformance.protocol.test_redaction import secret_registry_with
from tests.support.events import json_of

# What a curl line does


curl = shutil.which("curl")


needs_curl = pytest.mark.skipif(curl is None, reason="repeating a request takes the command curl")


# The rest of a record


def test_a_record() -> None:
    request = Request("POST", "http://h/api/x", (("Token", "t"),), b"{}")
    response = Response(404, (("Content-Type", "application/json"),), b'{"errMsg":"No"}')
    exchange = Exchange(request, response, seconds=0.1234567, number=7, function="x.y", user="owner")
    assert json_of(exchange.record()) == {
        "number": 7,
        "function": "x.y",
        "user": "owner",
        "request": {"verb": "POST", "url": "http://h/api/x", "headers": {"Token": MASK}, "body": "{}"},
        "response": {
            "status": 404,
            "headers": {"Content-Type": "application/json"},
            "body": '{"errMsg":"No"}',
            "seconds": 0.123457,
        },
        "failure": None,
        "curl": "curl -sS http://h/api/x -H 'Token: ***' -H 'Content-Type:' --data-raw '{}'",
    }
    failed = Exchange(
        request, failure=Failure("timeout", "not a byte"), secret_registry=secret_registry_with("byte")
    )
    assert json_of(failed.record())["failure"] == "timeout: not a ***"
    assert json_of(failed.record())["response"] is None


def test_what_an_exchange_says() -> None:
    request = Request("POST", "http://h/", (), b"")

    def came(status: int, body: bytes) -> Exchange:
        return Exchange(request, Response(status, (), body))

    good = came(200, b'{"isError":false,"errMsg":null,"data":{"a":1}}')
    assert (good.status, good.data, good.message, good.succeeded, good.is_post) == (
        200,
        {"a": 1},
        None,
        True,
        True,
    )
    bad = came(400, b'{"isError":true,"errMsg":"No","data":null}')
    assert (bad.succeeded, bad.summary()) == (False, "status 400, errMsg 'No'")
    unusual = came(200, b'{"isError":true}')
    assert (unusual.succeeded, unusual.data) == (False, None)
    page = came(200, b"<p>")
    assert (page.envelope, page.data, page.message, page.succeeded) == (None, None, None, True)
    none = Exchange(request, failure=Failure("closed", "gone"))
    assert (none.status, none.json.error, none.succeeded) == (None, "no response", False)
    assert none.summary() == "no answer: gone"
