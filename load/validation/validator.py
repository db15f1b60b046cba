"""Validates the responses of a load by the rules of the rulebook, fast where they are surely valid.

There are three paths, each tried where the one before gives no verdict:

1. A response whose head and body, byte by byte, were checked before has the same verdict.
2. A body is decoded and encoded again by a decoder made for the members that were observed, in their order. Where that
   gives the same bytes, the body is one JSON text in UTF-8 without duplicate members, and its names are those of an
   earlier response to the same function that broke no rule.
3. Everything else becomes an `Exchange`, and each rule of the rulebook checks it.

The rules of a team's own check every response, on whichever path it came: they may depend on the request, the time or
the head.

So the fast paths only find that a response is equivalent to one that the rules have checked; a violation is always
found by the rules themselves. Only the declared result (ENV-10) is checked on a sample, whose rate is reported.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from conformance.catalog.contract import Contract
from conformance.catalog.model import Catalog
from conformance.events import FindingEvent
from conformance.protocol.exchange import Exchange, Request, Response
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.wire import Address
from conformance.rulebook.security import secret_needles
from load.metrics.endings import ERROR_ON_200, NO_ENVELOPE
from load.validation.exchange import Called, Heading, Replied, exchange_of
from load.validation.secret_finder import SecretFinder
from load.validation.shape import Shape, ShapelessError
from load.validation.verdicts import SAMPLED, Outcome, Verdict, Verdicts, check_rule

__all__ = ["AnswerValidator", "Outcome"]

#: The rules that a head alone decides.
_HEAD_RULES = ("HTTP-5", "SEC-5")

#: Bodies and heads that are retained, and the largest such body in bytes.
_MAX_BODIES = 4096
_MAX_BODY_BYTES = 4096
_MAX_HEADS = 1024

#: The number of times that a decoder is made for a function; beyond it, the shape of its responses varies too much.
_MAX_DECODERS = 32


class _Group:
    """Heads that are equal to every rule: the same status, the same broken rules, no secret in them."""

    __slots__ = ("broken", "status")

    def __init__(self, status: int, broken: frozenset[tuple[str, str]]) -> None:
        self.status = status
        self.broken = broken


class _Path:
    """The fast path for responses to one function with heads of one group."""

    __slots__ = ("bodies", "hits", "remembers", "verdict")

    def __init__(self) -> None:
        self.bodies: dict[bytes, Verdict] = {}
        self.remembers = True
        self.hits = 0
        #: The verdict on every body of the shape that was learnt.
        self.verdict: Verdict | None = None


class _Reading:
    """How the responses to one function are read."""

    __slots__ = ("contract", "decode", "first", "function", "label", "learnt", "login", "paths", "shape")

    def __init__(self, function: str, label: str | None, contract: Contract | None, login: bool) -> None:
        self.function = function
        self.label = label
        self.contract = contract
        self.login = login
        self.paths: dict[_Group, _Path] = {}
        self.shape: Shape | None = Shape()
        self.decode: Callable[[bytes], Any] | None = None
        self.learnt = 0
        self.first = True


# One class, though it is long: the paths of the hot loop share its caches.
class AnswerValidator:
    """Validates the responses to the calls of one process.

    `functions` are the names by index. The first `keep` exchanges of each rule, function and kind of violation are
    retained. `sample` is the share of successes on which the declared result is checked; it always is on the first of
    each function.
    """

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        secret_registry: SecretRegistry,
        *,
        sample: float = 0.02,
        keep: int = 3,
        seed: int = 0,
        functions: Sequence[str],
    ) -> None:
        self.sample = sample
        self.secret_registry = secret_registry
        self._verdicts = Verdicts(keep)
        #: The outcomes by their codes.
        self.outcomes = self._verdicts.outcomes
        self._failures: dict[tuple[int, str, bool], Verdict] = {}
        self._extra = profile.target.envelope_extra
        self._address = Address.of(profile.url)
        self._random = random.Random(seed)
        self._left = self._sample_gap()
        auth = profile.auth
        logins = {opener.function for opener in (auth.login, auth.key_login) if opener is not None}
        self._readings = [_reading(name, catalog, name in logins) for name in functions]
        self._groups: dict[tuple[int, bool, frozenset[tuple[str, str]]], _Group] = {}
        self._heads: dict[tuple[int, bytes], _Group] = {}
        self._number = 0
        self._changes = -1
        self._key = 0
        self._secrets = SecretFinder(())

    @property
    def slow(self) -> int:
        """The number of responses on the full path, which every rule checked."""
        return self._verdicts.checked

    def judge(self, call: Called, reply: Replied) -> int:
        """Return the code of the outcome: its index in `outcomes`, 0 for a success that breaks no rule."""
        code = self._judge(call, reply)
        if not self._verdicts.own or _is_idle_close(reply):
            return code
        exchange = self._exchange(call, reply, self._readings[call.index])
        return self._verdicts.check_own(exchange, code)

    def _judge(self, call: Called, reply: Replied) -> int:
        if reply.failure is not None:
            return self._failed(call, reply)
        if self._changes != self.secret_registry.changes:
            self._learn_secrets()
        reading = self._readings[call.index]
        head = reply.answer
        key = self._key if call.virtual_user is None else self._key + 1
        try:
            group = head.verdicts[key]
        except KeyError:
            group = head.verdicts[key] = self._group(head, key)
        path = reading.paths.get(group)
        if path is None:
            return self._full_path(call, reply, reading, group)
        body = reply.body
        verdict = path.bodies.get(body) if path.remembers else None
        if verdict is not None:
            path.hits += 1
        else:
            verdict = path.verdict
            if verdict is None or not self._has_known_shape(reading, body):
                return self._full_path(call, reply, reading, group)
            if path.remembers and len(body) <= _MAX_BODY_BYTES:
                self._remember(path, body, verdict)
        if group.status == 200:
            self._left -= 1
            if self._left < 0 and self._misses_result(reply, reading):
                return self._full_path(call, reply, reading, group)
        verdict.count += 1
        expects = call.expects
        if expects is None:
            return verdict.code
        return verdict.good if group.status in expects else verdict.bad

    def code_of(self, error: str) -> int:
        """Return the code of an error that is no answer's."""
        return self._verdicts.code(Outcome(error))

    def rules(self) -> dict[str, dict[str, int]]:
        """Return, by rule, the number of responses that it judged and the number that broke it."""
        return self._verdicts.rules()

    def schema(self) -> dict[str, int]:
        """Return the number of successes checked by the declared result, and the number of all successes."""
        return self._verdicts.schema()

    def findings(self) -> list[FindingEvent]:
        """Return the findings as events, each with its count and the first exchanges that show it."""
        return self._verdicts.events()

    def fresh(self) -> list[FindingEvent]:
        """Return the findings that are new since the last call."""
        return self._verdicts.fresh()

    # The cheap paths.

    def _has_known_shape(self, reading: _Reading, body: bytes) -> bool:
        """Return whether a body is the compact form of members that were observed, without a secret."""
        decode = reading.decode
        if decode is None:
            return False
        try:
            value = decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        return (
            value.isError is False
            and value.errMsg is None
            and _encode(value) == body
            and not self._secrets.within(body)
        )

    def _remember(self, path: _Path, body: bytes, verdict: Verdict) -> None:
        bodies = path.bodies
        if len(bodies) < _MAX_BODIES:
            bodies[body] = verdict
        elif path.hits < _MAX_BODIES:
            # The bodies hardly ever repeat.
            path.remembers = False
            bodies.clear()

    def _sample_gap(self) -> int:
        """Return the number of successes before the next one on which the declared result is checked."""
        if self.sample >= 1:
            return 0
        if self.sample <= 0:
            return 1 << 62
        return int(math.log(1 - self._random.random()) / math.log(1 - self.sample))

    def _misses_result(self, reply: Replied, reading: _Reading) -> bool:
        """Return whether this success differs from the declared result."""
        self._left = self._sample_gap()
        if reading.contract is None or reading.contract.mismatch is None:
            return False
        try:
            # Any decoder reads these bytes alike: they came by a fast path.
            mismatch = reading.contract.mismatch(_decode(reply.body)["data"])
        except Exception:
            # The rule reports whatever is wrong.
            return True
        if mismatch is not None:
            return True
        self._verdicts.judged[SAMPLED] += 1
        return False

    # --- heads ----------------------------------------------------------------------------------------------

    def _learn_secrets(self) -> None:
        """Reset everything that depends on the known secrets."""
        self._changes = self.secret_registry.changes
        self._secrets = SecretFinder(secret_needles(self.secret_registry))
        self._key += 2
        self._heads.clear()
        for reading in self._readings:
            for path in reading.paths.values():
                path.bodies.clear()

    def _group(self, head: Heading, key: int) -> _Group:
        """Return the group of a head; a group of its own where the head contains a secret."""
        plain = b"\r\n".join(
            line
            for line in head.raw.split(b"\r\n")
            if not line[:15].lower().startswith((b"date:", b"content-length:"))
        )
        try:
            return self._heads[key, plain]
        except KeyError:
            pass
        signed = key & 1 == 1
        values = "\n".join([value for _, value in head.headers])
        probe = Exchange(
            Request("POST", "", (), b""),
            Response(head.status, tuple(head.headers), b"{}"),
            in_session=signed,
            secret_registry=self.secret_registry,
        )
        broken = [(name, outcome.kind) for name in _HEAD_RULES if (outcome := check_rule(name, probe)).broken]
        if self._secrets.within(values.encode("utf-8", "surrogatepass")) or self._secrets.within(
            values.encode("latin-1", "replace")
        ):
            group = _Group(head.status, frozenset())
            group.status = -head.status
        else:
            kinds = frozenset(broken)
            group = self._groups.setdefault((head.status, signed, kinds), _Group(head.status, kinds))
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        self._heads[key, plain] = group
        return group

    # --- the full path --------------------------------------------------------------------------------------

    def _exchange(self, call: Called, reply: Replied, reading: _Reading) -> Exchange:
        self._number += 1
        return exchange_of(
            call,
            reply,
            None if reply.failure is not None else reply.answer,
            self._address,
            self.secret_registry,
            seconds=reply.done_at - reply.sent,
            number=self._number,
            function=reading.label,
            contract=reading.contract,
            login=reading.login,
            envelope_extra=self._extra,
        )

    def show(self, call: Called, reply: Replied) -> dict[str, Any]:
        """Return a call and its response for the report, with secrets masked."""
        record = self._exchange(call, reply, self._readings[call.index]).record().call
        shown: dict[str, Any] = msgspec.to_builtins(record)
        return shown

    def _failed(self, call: Called, reply: Replied) -> int:
        assert reply.failure is not None
        if _is_idle_close(reply):
            return self._verdicts.code(Outcome("closed"))
        key = (call.index, reply.failure, call.virtual_user is not None)
        known = self._failures.get(key)
        if known is not None:
            known.count += 1
            return known.code
        reading = self._readings[call.index]
        exchange = self._exchange(call, reply, reading)
        judged, findings = self._verdicts.check(exchange)
        code = self._verdicts.code(Outcome(reply.failure, tuple(one.event.rule for one in findings)))
        if self._verdicts.enough_retained(findings):
            self._failures[key] = self._verdicts.add(code, code, code, judged, findings)
        return code

    def _full_path(self, call: Called, reply: Replied, reading: _Reading, group: _Group) -> int:
        """Check a response by every rule, and learn from it so that an equivalent one takes a fast path."""
        if self._verdicts.are_many:
            self._verdicts.drop_unused(self._in_use())
        exchange = self._exchange(call, reply, reading)
        judged, findings = self._verdicts.check(exchange)
        broken = tuple(one.event.rule for one in findings)
        status = reply.answer.status
        error = _error(exchange)
        good, bad = Outcome(None, broken), Outcome(f"status {status}", broken)
        code = self._verdicts.code(Outcome(error, broken))
        if (
            self._verdicts.enough_retained(findings)
            and group.status > 0
            and not self._secrets.within(reply.body)
        ):
            path = reading.paths.get(group)
            if path is None:
                path = reading.paths[group] = _Path()
            # The rules that judged it, except the declared result, which is checked on a sample.
            passed = tuple(name for name in judged if name != SAMPLED)
            verdict = self._verdicts.add(
                code, self._verdicts.code(good), self._verdicts.code(bad), passed, findings
            )
            if path.remembers and len(reply.body) <= _MAX_BODY_BYTES and _stands_alone(exchange, broken):
                self._remember(path, reply.body, verdict)
            body_broken = [one for one in findings if one.event.rule != SAMPLED]
            kinds = {(one.event.rule, one.event.kind) for one in body_broken}
            if error is None and status == 200 and kinds == group.broken:
                if SAMPLED in broken:
                    rules = tuple(name for name in broken if name != SAMPLED)
                    verdict = self._verdicts.add(
                        self._verdicts.code(Outcome(None, rules)),
                        self._verdicts.code(Outcome(None, rules)),
                        self._verdicts.code(Outcome("status 200", rules)),
                        passed,
                        body_broken,
                    )
                path.verdict = verdict
                self._learn(reading, exchange)
        expects = call.expects
        if expects is None:
            return code
        return self._verdicts.code(good if status in expects else bad)

    def _in_use(self) -> set[int]:
        """Return the identities of the verdicts that a later response may get."""
        paths = [path for reading in self._readings for path in reading.paths.values()]
        known = {id(one) for one in self._failures.values()}
        known |= {id(path.verdict) for path in paths}
        return known | {id(one) for path in paths for one in path.bodies.values()}

    def _learn(self, reading: _Reading, exchange: Exchange) -> None:
        """Make a decoder for the members of this response and of the ones before it."""
        shape = reading.shape
        if shape is None or reading.learnt >= _MAX_DECODERS or not isinstance(exchange.data, dict | list):
            return
        before = shape.size
        try:
            shape.take(exchange.envelope, allowed=self._extra)
            if shape.size != before:
                reading.learnt += 1
                reading.decode = msgspec.json.Decoder(shape.type()).decode
        except ShapelessError:
            reading.shape = reading.decode = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def _reading(name: str, catalog: Catalog, login: bool) -> _Reading:
    method = catalog.methods.get(name)
    entity = name.partition(".")[0]
    label = name if method is not None else entity if entity in catalog.entities else None
    return _Reading(name, label, method.contract if method is not None else None, login)


def _is_idle_close(reply: Replied) -> bool:
    """Return whether an idle connection closed, as it may at any moment: a request that crosses it breaks no rule."""
    return reply.failure == "closed" and not reply.opened and not reply.met


def _error(exchange: Exchange) -> str | None:
    """Return the kind of error of a response where a success was expected; None for a success."""
    if exchange.status != 200:
        return f"status {exchange.status}"
    if exchange.envelope is None:
        return NO_ENVELOPE
    return ERROR_ON_200 if exchange.envelope.get("isError") is True else None


def _stands_alone(exchange: Exchange, broken: Sequence[str]) -> bool:
    """Return whether another response of the same bytes would have the same verdict, whatever the request."""
    if not exchange.request.well_formed or exchange.request.verb != "POST" or "SEC-2" in broken:
        return False
    bare = replace(exchange, request=Request("POST", "", (), b""))
    # What the request contained is not a leak; without the request there must be none left.
    return "SEC-3" not in broken and not check_rule("SEC-2", bare).broken
