"""Measure what a generated payload costs: CPU microseconds per example, beside the cost of judging one.

Run `python -m benchmarks.payload_cost`. The object has six members: two texts, a choice, a price, a number
that may be null, and a list. Nothing here is asserted: the numbers belong to the machine that prints them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import jsonschema_rs

from conformance.catalog.model import Catalog
from conformance.generation import malformed, payloads
from conformance.schema.bundle import Json
from conformance.schema.validation import Schema

COUNT = 1000
ROUNDS = 5
CATALOGUE = Path(__file__).resolve().parent.parent / "fixtures" / "service" / "coursio.openrpc.json"

OBJECT: dict[str, Json] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": {"type": "string", "maxLength": 1000},
        "level": {"enum": ["beginner", "intermediate", "advanced"]},
        "price": {"type": "number", "minimum": 0, "exclusiveMaximum": 100000, "multipleOf": 0.25},
        "seats": {"type": ["integer", "null"], "minimum": 1, "maximum": 10000},
        "tags": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 30},
            "maxItems": 10,
        },
    },
    "required": ["title", "level", "price"],
    "additionalProperties": False,
}


def _least(work: Callable[[int], object], count: int = COUNT) -> float:
    """Return the least CPU time of one of `count` pieces of work, in microseconds."""
    best = float("inf")
    for number in range(ROUNDS):
        begun = time.process_time()
        work(number)
        best = min(best, (time.process_time() - begun) / count)
    return best * 1e6


def _row(name: str, cost: float) -> None:
    print(f"  {name:<52} {cost:9.1f}")


def main() -> None:
    """Print the costs."""
    schema = Schema(OBJECT)
    print("CPU per example, in µs: an object of six members")
    _row("valid", _least(lambda seed: payloads.draw(payloads.valid(schema), seed, COUNT)))
    _row("with one violation", _least(lambda seed: payloads.draw(payloads.invalid_data(schema), seed, COUNT)))
    _row("any JSON", _least(lambda seed: payloads.draw(payloads.any_json(), seed, COUNT)))
    body = payloads.encode({"method": "add", "data": payloads.draw(payloads.valid(schema), 1, 2)[1]})
    _row("malformed bodies", _least(lambda seed: payloads.draw(malformed.any_bytes(body), seed, COUNT)))
    drawn = payloads.draw(payloads.valid(schema), 1, COUNT)
    slow = jsonschema.Draft202012Validator(OBJECT)
    fast = jsonschema_rs.Draft202012Validator(OBJECT)

    def judge(judged: Callable[[Json], object]) -> Callable[[int], object]:
        return lambda _: [judged(value) for value in drawn]

    print("CPU to judge one of them, in µs")
    _row("schema.Schema.valid", _least(judge(schema.valid)))
    _row("jsonschema-rs", _least(judge(fast.is_valid)))
    _row("jsonschema", _least(judge(slow.is_valid)))
    print("CPU per function of the service's catalogue, in ms: all edges and violations, found and proven")
    total = cases = 0.0
    for method in Catalog.load(CATALOGUE):
        begun = time.process_time()
        cases += sum(1 for _ in payloads.boundaries(method))
        total += time.process_time() - begun
    _row(f"together, {cases:.0f} cases", total * 1e3)
    catalog = Catalog.load(CATALOGUE)
    print("CPU per example of some functions, in µs: valid, with one violation")
    for name in ("course.add", "payment.add", "lesson.add", "user.update"):
        method = catalog[name]
        good = _least(lambda seed, m=method: payloads.draw(payloads.valid(m), seed, COUNT))  # type: ignore[misc]
        bad = _least(lambda seed, m=method: payloads.draw(payloads.invalid_data(m), seed, COUNT))  # type: ignore[misc]
        print(f"  {name:<20} {len(method.params):3} parameters {good:12.1f} {bad:9.1f}")


if __name__ == "__main__":
    main()
