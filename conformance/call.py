"""`conform call`: one call by hand, shown as it went, with what the pure rules say of it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from conformance.harness import Harness, Request
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, Vault
from conformance.protocol.profile import UsageError, suggestion
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.rulebook import RULES

__all__ = ["print_call"]


def print_call(request: Request, options: argparse.Namespace) -> int:
    """Make the call that the options describe and print the exchange.

    Returns 0 where the target answered without an error and every *must* rule holds, 1 where not, 3 where there was
    no answer.

    Raises:
        UsageError: the options, the profile or the catalogue are wrong.

    """
    harness = Harness.prepare(request)
    try:
        harness.connect()
        return _print(harness, options)
    finally:
        harness.close()


def _data(options: argparse.Namespace) -> Any:
    if options.data is None:
        return OMIT
    try:
        return json.loads(options.data)
    except ValueError as error:
        raise UsageError(
            f'the data is not JSON: {error}; quote it for the shell, as in \'{{"query": "x"}}\''
        ) from error


def _print(harness: Harness, options: argparse.Namespace) -> int:
    profile, catalog = harness.profile, harness.catalog
    if options.raw is not None or options.http_verb != "POST":
        if options.endpoint is None:
            raise UsageError("--raw and --verb need --endpoint ENTITY")
    elif options.function is None or "." not in options.function:
        raise UsageError(
            "name a function as ENTITY.FUNCTION, for example course.find, or give --raw and --endpoint"
        )
    if options.user is not None and options.user not in profile.users:
        known = ", ".join(profile.users) or "none"
        hint = suggestion(options.user, profile.users)
        raise UsageError(f"--as {options.user}: the profile has no such user (it has: {known}){hint}")
    data = _data(options)
    method = catalog.methods.get(options.function or "")
    if not profile.may_write and (options.raw is not None or method is None or method.effect != "read"):
        raise UsageError(
            f"{profile.host} is no test environment, so only functions that the catalogue calls read are called; "
            'set environment = "test" in [target] of the profile if it is one'
        )
    if harness.request.read_only and (method is None or method.effect != "read"):
        raise UsageError(f"--read-only: {options.function or options.endpoint} is not a function that reads")
    vault = Vault()
    for secret in profile.secrets():
        vault.add(secret)
    client = Client(
        profile.url,
        timeout=profile.target.timeout,
        headers=list(profile.target.headers.items()),
        ca=profile.target.ca,
        vault=vault,
        envelope_extra=profile.target.envelope_extra,
    )
    caller = Caller(client, catalog)
    sessions = Sessions(caller, profile)
    try:
        token = sessions.of(options.user).token if options.user else None
        common: dict[str, Any] = {"user": options.user, "token": token, "verb": options.http_verb}
        if options.endpoint is not None:
            body = (options.raw or "").encode("utf-8", "surrogateescape")
            exchange = caller.call(f"{options.endpoint}.", body=body, **common)
        else:
            paging = {
                name: value
                for name, value in (("page_start", options.page_start), ("page_length", options.page_length))
                if value is not None
            }
            exchange = caller.call(options.function, data, **common, **paging)
        return _show(exchange, quiet=harness.request.quiet)
    except SetUpFailedError as error:
        print(f"conform call: {vault.mask(error.reason)}", file=sys.stderr)
        return 3
    finally:
        sessions.end_all()
        client.close()


def _show(exchange: Exchange, *, quiet: bool) -> int:
    from reports.text import reveal

    record = exchange.record(limit=1_000_000)
    response = record["response"]
    if response is None:
        print(f"conform call: no answer: {reveal(record['failure'])}", file=sys.stderr)
        return 3
    if not quiet:
        print(reveal(record["curl"]))
        print(f"{response['status']}  {exchange.seconds * 1000:.1f} ms")
        for name, value in response["headers"].items():
            print(f"{reveal(name)}: {reveal(value)}")
        print()
    try:
        shown = json.dumps(json.loads(response["body"]), indent=2, ensure_ascii=False)
    except ValueError:
        shown = response["body"]
    print("\n".join(reveal(line) for line in shown.splitlines()))
    failed = False
    for rule in RULES.values():
        if rule.check is None:
            continue
        outcome = rule.check(exchange)
        if outcome.broken:
            failed = failed or rule.level == "must"
            mask = exchange.vault.mask if exchange.vault else str
            print(f"{rule.id} {rule.level}  {rule.title}: {reveal(mask(outcome.actual))}", file=sys.stderr)
    return 1 if failed or response["status"] != 200 else 0
