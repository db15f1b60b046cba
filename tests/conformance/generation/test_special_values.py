"""Special values have unique names, and are encoded exactly as they are written."""

from __future__ import annotations

import json

from conformance.generation import payloads
from conformance.generation.payloads import encode


def test_names_are_unique() -> None:
    for table in (payloads.TEXTS, payloads.NUMBERS, payloads.INJECTIONS, payloads.OPERATORS):
        names = [entry.name for entry in table]
        assert len(set(names)) == len(names)


def test_literals_are_written_as_they_stand() -> None:
    for number in payloads.NUMBERS:
        assert encode({"a": [number.literal]}) == b'{"a":[' + number.text.encode() + b"]}"
        json.loads(number.text)
    for text in payloads.TEXTS:
        assert json.loads(encode({"a": text.value})) == {"a": text.value}
        assert encode([text.value]).decode("utf-8")
