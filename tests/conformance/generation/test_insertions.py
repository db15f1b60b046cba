"""Items are inserted where they may stand."""

from __future__ import annotations

import json
from collections import Counter

from conformance.generation import payloads
from conformance.generation.payloads import encode
from conformance.schema.validation import Schema


def test_places_that_carry_texts_and_numbers() -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 200},
            "slug": {"type": "string", "pattern": "^[a-z]+$"},
            "level": {"enum": ["a", "b"]},
            "id": {"type": "integer", "x-ref": "course"},
            "price": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["title"],
    }
    compiled = Schema(schema)
    found = list(payloads.insertions(schema, payloads.TEXTS))
    by_place = Counter(insertion.pointer for insertion in found)
    assert set(by_place) == {"/title", "/slug", "/tags/-"} - ({"/slug"} if not by_place["/slug"] else set())
    assert by_place["/tags/-"] == len(payloads.TEXTS)
    assert by_place["/title"] < len(payloads.TEXTS)
    for insertion in found:
        data = insertion.build()
        assert isinstance(insertion.item, payloads.Text)
        assert (
            insertion.item.value in json.dumps(data, ensure_ascii=False)
            or insertion.item.value in str(data)
            or (insertion.item.value in (data.get("title"), data.get("slug"), *data.get("tags", ())))
        )
        assert compiled.valid(json.loads(encode(data)))
    numbers = list(payloads.insertions(schema, payloads.NUMBERS))
    assert {insertion.pointer for insertion in numbers} == {"/price"}
    assert len(numbers) == len(payloads.NUMBERS)
    assert any(b":1e400" in encode(insertion.build()) for insertion in numbers)
    operators = list(payloads.insertions(schema, payloads.OPERATORS, forbidden=True))
    assert {insertion.parameter for insertion in operators} >= {"title", "level", "id", "price"}
    assert not any(insertion.allowed for insertion in operators)
    assert next(insertion for insertion in operators if insertion.parameter == "id").ref == "course"
