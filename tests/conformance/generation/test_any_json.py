"""Any JSON is JSON, of every type."""

from __future__ import annotations

import json

from conformance.generation import payloads
from conformance.generation.payloads import draw, encode


def test_any_json_is_json_of_every_type() -> None:
    drawn = draw(payloads.any_json(), 1, 600)
    assert {type(value) for value in drawn} == {type(None), bool, int, float, str, list, dict}
    for value in drawn:
        assert json.loads(encode(value)) == value
    assert max(len(encode(value)) for value in drawn) < 100_000
