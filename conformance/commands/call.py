"""`conform call`: send one call, and print the exchange with the violations of the pure rules."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from conformance.catalog.model import Catalog, Method
from conformance.engine.harness import Harness, Request
from conformance.errors import UsageError, suggestion
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.rulebook import RULES
from conformance.rulebook.verdicts import broken_verdict, fails_gate

__all__ = ["print_call"]


def print_call(request: Request, options: argparse.Namespace) -> int:
    """Make the call that the options describe and print the exchange.

    Returns 0 if the target responded with status 200 and no *must* rule is broken, 3 if there was no response, else 1.

    Raises:
        UsageError: the options, the profile or the catalogue are wrong.

    """
    _check_options(options)
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
        return json.loads(options.data, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f'the data is not JSON: {error}; quote it for the shell, as in \'{{"query": "x"}}\''
        ) from error


def _no_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _check_options(options: argparse.Namespace) -> None:
    """Raise UsageError for options that exclude one another, instead of ignoring one of them."""
    if options.endpoint is not None or options.raw is not None:
        if options.endpoint is None:
            raise UsageError("--raw needs --endpoint ENTITY")
        if options.function is not None:
            raise UsageError("give either a function or --endpoint, not both")
        if options.page_start is not None or options.page_length is not None:
            raise UsageError(
                "--page-start and --page-length go with a function: put them into the --raw body"
            )
    elif options.function is None or not all(options.function.partition(".")):
        raise UsageError(
            "name a function as ENTITY.FUNCTION, for example course.find, or give --endpoint and --raw"
        )
    for name, text in (("--verb", options.http_verb), ("--endpoint", options.endpoint or "x")):
        if not text.isprintable() or not text or " " in text:
            raise UsageError(f"{name} {text!r}: has white space or a control character in it, or nothing")


def _named(options: argparse.Namespace, catalog: Catalog) -> Method | None:
    """Return the function that is called, by name or by a raw body; None if it is not in the catalogue."""
    if options.endpoint is None:
        return catalog.methods.get(options.function)
    try:
        return catalog.methods.get(f"{options.endpoint}.{json.loads(options.raw)['method']}")
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _print(harness: Harness, options: argparse.Namespace) -> int:
    from conformance.text import reveal

    profile, catalog = harness.profile, harness.catalog
    if options.user is not None and options.user not in profile.users:
        known = ", ".join(profile.users) or "none"
        raise UsageError(
            f"--as {options.user}: the profile has no such user (it has: {known})"
            + suggestion(options.user, profile.users)
        )
    data = _data(options)
    method = _named(options, catalog)
    reads = method is not None and method.effect == "read" and options.http_verb == "POST"
    if not profile.may_write and not reads:
        raise UsageError(
            f"{profile.host} is no test environment, so only functions that the catalogue calls read are called; "
            'set environment = "test" in [target] of the profile if it is one'
        )
    if harness.request.read_only and not reads:
        raise UsageError(f"--read-only: {options.function or options.endpoint} is not a function that reads")
    openers = (profile.auth.login, profile.auth.key_login)
    logins = [opener.function for opener in openers if opener is not None]
    client = Client.of(profile)
    caller = Caller(client, catalog, logins)
    sessions = Sessions(caller, profile)
    client.observe = sessions.learn
    try:
        token = sessions.of(options.user).token if options.user else None
        common: dict[str, Any] = {"user": options.user, "token": token, "verb": options.http_verb}
        if options.endpoint is not None:
            exchange = caller.call(
                method or f"{options.endpoint}.",
                body=os.fsencode(options.raw or ""),
                target=options.endpoint,
                **common,
            )
        else:
            paging = {
                name: value
                for name, value in (("page_start", options.page_start), ("page_length", options.page_length))
                if value is not None
            }
            exchange = caller.call(options.function, data, **common, **paging)
        return _show(exchange, quiet=harness.request.quiet, strict=harness.request.strict)
    except SetUpFailedError as error:
        for line in (client.secret_registry.mask(error.reason), *profile.hints()):
            print(f"conform call: {reveal(line)}", file=sys.stderr)
        return 3
    finally:
        sessions.end_all()
        client.close()


def _show(exchange: Exchange, *, quiet: bool, strict: bool) -> int:
    from conformance.text import reveal, writable

    record = exchange.record(limit=1_000_000)
    response = record.response
    if response is None:
        print(f"conform call: no answer: {reveal(record.failure or '')}", file=sys.stderr)
        return 3
    lines = []
    if not quiet:
        lines += [reveal(record.curl), f"{response.status}  {exchange.seconds * 1000:.1f} ms"]
        lines += [f"{reveal(name)}: {reveal(value)}" for name, value in response.headers.items()]
        lines.append("")
    lines += [reveal(line) for line in _indented(response.body).splitlines()]
    encoding = getattr(sys.stdout, "encoding", None)
    print("\n".join(writable(line, encoding) for line in lines), flush=True)
    failed = False
    for rule in RULES.values():
        if rule.check is None:
            continue
        outcome = rule.check(exchange)
        if outcome.crash:
            print(f"{rule.id} error  {reveal(_mask(exchange)(outcome.crash))}", file=sys.stderr)
        if outcome.broken:
            failed |= fails_gate(broken_verdict(rule.level), strict=strict)
            actual = reveal(_mask(exchange)(outcome.actual))
            print(f"{rule.id} {rule.level}  {rule.title}: {actual}", file=sys.stderr)
    return 1 if failed or response.status != 200 else 0


def _mask(exchange: Exchange) -> Callable[[str], str]:
    return exchange.secret_registry.mask if exchange.secret_registry else str


def _indented(body: str) -> str:
    """Return a JSON text with indentation, unless that would change it beyond white space."""
    try:
        value = json.loads(body)
        for separators in ((",", ":"), (", ", ": ")):
            for ascii_only in (False, True):
                if json.dumps(value, separators=separators, ensure_ascii=ascii_only) == body.strip():
                    return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    return body
