"""Measure what judging one exchange costs: CPU microseconds of every pure rule, for a typical answer of 600 bytes.

Run `python -m benchmarks.rulebook_cost`. Reading the body as JSON is done once for each exchange, and shown
apart. Nothing here is asserted: the numbers belong to the machine that prints them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

from conformance.catalog.contract import Contract
from conformance.protocol.exchange import Exchange
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.strict_json import read_json
from conformance.rulebook import RULES
from conformance.rulebook.model import Check, reply

ROUNDS = 20_000


def _secret_registry() -> SecretRegistry:
    secret_registry = SecretRegistry()
    for number in range(4):
        secret_registry.password(f"Tr0ub4dor&{number}")
    for number in range(48):
        secret_registry.session(f"{number:016x}{number * 7919:016x}", ("owner", "other", "admin")[number % 3])
    return secret_registry


def _typical(secret_registry: SecretRegistry) -> Exchange:
    rows = [
        {"courseId": 1000 + i, "title": f"Course number {i}", "ownerId": 7, "isPublic": True, "price": 12.5}
        for i in range(6)
    ]
    body = json.dumps(
        {"isError": False, "errMsg": None, "data": {"rows": rows}}, separators=(",", ":")
    ).encode()
    contract = Contract("course.find", mismatch=lambda data: None)
    return reply(200, body=body.ljust(600), secret_registry=secret_registry, contract=contract)


def _error(secret_registry: SecretRegistry) -> Exchange:
    return reply(
        404,
        isError=True,
        errMsg="There is no course with this courseId",
        data=None,
        secret_registry=secret_registry,
    )


def _cost(call: Callable[[], object]) -> float:
    """Return the least CPU time of a call among several runs, in microseconds."""
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(ROUNDS // 5):
            call()
        best = min(best, (time.process_time() - started) / (ROUNDS // 5))
    return best * 1e6


def main() -> None:
    """Print the cost of each rule, and of all of them, for a success and for a refusal."""
    secret_registry = _secret_registry()
    checks = [(rule.id, rule.check) for rule in RULES.values() if rule.check is not None]
    for name, exchange in (
        ("a success of 600 bytes", _typical(secret_registry)),
        ("a refusal", _error(secret_registry)),
    ):
        assert exchange.response is not None
        body = exchange.response.body
        print(f"{name} ({len(body)} bytes)")
        print(f"  reading it as JSON  {_cost(partial(read_json, body)):7.2f} µs")
        for rule_id, check in checks:
            print(f"  {rule_id:<18}  {_cost(partial(check, exchange)):7.2f} µs")
        print(f"  all {len(checks)} rules        {_cost(partial(_judge, checks, exchange)):7.2f} µs")


def _judge(checks: list[tuple[str, Check]], exchange: Exchange) -> None:
    for _, check in checks:
        check(exchange)


if __name__ == "__main__":
    main()
