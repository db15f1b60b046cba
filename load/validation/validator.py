"""Every answer judged by the pure rules of the rulebook, cheaply where it is surely right.

There are three ways, each tried where the one before it says nothing:

1. An answer whose head and whose very body were judged before is what it was then.
2. A body that is the compact spelling of known members in their known order is read and written again by a
   decoder made for it. Where that gives the same bytes, the body is one JSON text in UTF-8, no member stands in
   it twice, and its names are those of an answer to the same function that every rule held for.
3. Anything else becomes an `Exchange`, and each rule of the rulebook is asked.

So the cheap ways can only ever say «as good as one that the rules have seen»; what is broken is always said by
the rules themselves. The declared result (ENV-10) alone is judged on a sample, whose rate is told.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import GenericAlias
from typing import Any, Protocol, Union

import msgspec

from conformance.catalog.contract import Contract
from conformance.catalog.model import Catalog
from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.wire import Address
from conformance.rulebook import RULES, Rule
from conformance.rulebook import Outcome as RuleOutcome
from conformance.rulebook.envelope import MEMBERS
from conformance.rulebook.naming import is_camel_case
from conformance.rulebook.security import secret_needles
from load.metrics.endings import ERROR_ON_200, NO_ENVELOPE

__all__ = ["AnswerValidator", "Called", "Outcome", "Replied", "Signed", "exchange_of"]

#: The one rule that is judged on a sample, and those that a head alone decides.
_SAMPLED = "ENV-10"
_OF_HEADS = ("HTTP-5", "SEC-5")
_ORDINARY_HEAD = 8 * 1024
_ORDINARY_BODY = 1024 * 1024

#: Bodies and heads that are remembered, and how long a body may be for that.
_BODIES = 4096
_BODY = 4096
_HEADS = 1024

#: Verdicts that are kept at most without looking whether anything leads to them any more.
_VERDICTS = 1024

#: Members of one object and readers made for one function, at most; past them it is no shape but a map.
_MEMBERS = 64
_LEARNED = 32
_DEPTH = 16


class Signed(Protocol):
    """Whose session a call carries, as far as a judge needs it."""

    @property
    def user(self) -> str | None:
        """The profile's name of the user."""


class Called(Protocol):
    """A call, as far as a judge needs it."""

    @property
    def function(self) -> str:
        """Its name, with the endpoint."""

    @property
    def index(self) -> int:
        """The place of the function in the run's list."""

    @property
    def raw(self) -> bytes:
        """The whole request."""

    @property
    def virtual_user(self) -> Signed | None:
        """Whose session it carries; None: nobody's."""

    @property
    def expects(self) -> frozenset[int] | None:
        """The statuses that it counts as answered with; None: a success."""


class Heading(Protocol):
    """A head that was read, with room for what is found out about it."""

    @property
    def raw(self) -> bytes:
        """Its bytes."""

    @property
    def status(self) -> int:
        """The status."""

    @property
    def version(self) -> str:
        """The version of HTTP, as 1.1."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers, in their order."""

    @property
    def verdicts(self) -> dict[Any, Any]:
        """Room for what is found out about it."""


class Answered(Protocol):
    """What became of a call, as far as it can be shown."""

    @property
    def failure(self) -> str | None:
        """The kind of the failure, None where there is an answer."""

    @property
    def detail(self) -> str:
        """What is known of the failure."""

    @property
    def body(self) -> bytes:
        """The body, decoded."""


class Replied(Answered, Protocol):
    """What became of a call, as far as a judge needs it."""

    @property
    def sent(self) -> float:
        """When the request was sent."""

    @property
    def done_at(self) -> float:
        """When the answer was whole."""

    @property
    def opened(self) -> bool:
        """Whether a connection was made for it."""

    @property
    def answer(self) -> Heading:
        """The head of the answer."""

    @property
    def met(self) -> bool:
        """Whether a byte of an answer came."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: the kind of its error, None for none, and the rules that its answer broke."""

    error: str | None = None
    rules: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is a success that breaks no rule."""
        return self.error is None and not self.rules


@dataclass(slots=True, eq=False)
class _Finding:
    """A rule seen broken under load: how often, and the first exchanges that show it."""

    event: dict[str, Any]
    count: int = 0
    exchanges: list[dict[str, Any]] = field(default_factory=list)
    told: int = 0


class _Group:
    """Heads that are alike to every rule: the same status, the same broken rules, no secret in them."""

    __slots__ = ("broken", "status")

    def __init__(self, status: int, broken: frozenset[tuple[str, str]]) -> None:
        self.status = status
        self.broken = broken


class _Verdict:
    """What was said of one answer, and how many were found to be like it."""

    __slots__ = ("bad", "code", "count", "findings", "good", "judged", "schema")

    def __init__(
        self, code: int, good: int, bad: int, judged: tuple[str, ...], findings: tuple[_Finding, ...]
    ) -> None:
        #: The code where a success is expected; where a status is expected that it has, or has not.
        self.code = code
        self.good = good
        self.bad = bad
        self.judged = judged
        self.findings = findings
        self.count = 0


class _Way:
    """What is known of the answers to one function with heads of one group."""

    __slots__ = ("bodies", "hits", "remembers", "verdict")

    def __init__(self) -> None:
        self.bodies: dict[bytes, _Verdict] = {}
        self.remembers = True
        self.hits = 0
        #: The verdict on every body that has the shape that was learnt.
        self.verdict: _Verdict | None = None


class _Reading:
    """How the answers to one function are read."""

    __slots__ = ("contract", "decode", "first", "function", "label", "learnt", "login", "shape", "ways")

    def __init__(self, function: str, label: str | None, contract: Contract | None, login: bool) -> None:
        self.function = function
        self.label = label
        self.contract = contract
        self.login = login
        self.ways: dict[_Group, _Way] = {}
        self.shape: _Shape | None = _Shape()
        self.decode: Callable[[bytes], Any] | None = None
        self.learnt = 0
        self.first = True


class AnswerValidator:
    """Judges the answers to the calls of one process.

    `functions` are the names by index. Of each rule, function and kind of violation the first `keep` exchanges are
    kept. `sample` is the share of successes that the declared result is judged on; the first of each function
    always is.
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
        self.keep = keep
        self.secret_registry = secret_registry
        self.outcomes: list[Outcome] = [Outcome()]
        #: How many answers went the slow way, to every rule.
        self.slow = 0
        self._codes: dict[Outcome, int] = {Outcome(): 0}
        self._judged: Counter[str] = Counter()
        self._findings: dict[tuple[str, str | None, str], _Finding] = {}
        self._verdicts: list[_Verdict] = []
        self._many = _VERDICTS  # so many there may be before it is looked which of them are of use
        self._failures: dict[tuple[int, str, bool], _Verdict] = {}
        self._rules = [rule for rule in RULES.values() if rule.check is not None]
        self._extra = profile.target.envelope_extra
        self._address = Address.of(profile.url)
        self._random = random.Random(seed)
        self._left = self._gap()
        auth = profile.auth
        logins = {opener.function for opener in (auth.login, auth.key_login) if opener is not None}
        self._readings = [_reading(name, catalog, name in logins) for name in functions]
        self._groups: dict[tuple[int, bool, frozenset[tuple[str, str]]], _Group] = {}
        self._heads: dict[tuple[int, bytes], _Group] = {}
        self._number = 0
        self._changes = -1
        self._key = 0
        self._secrets = _Secrets(())

    # What is asked of it.

    def judge(self, call: Called, reply: Replied) -> int:
        """Return the code of the outcome: its place in `outcomes`, 0 for a success that breaks no rule."""
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
        way = reading.ways.get(group)
        if way is None:
            return self._slowly(call, reply, reading, group)
        body = reply.body
        verdict = way.bodies.get(body) if way.remembers else None
        if verdict is not None:
            way.hits += 1
        else:
            verdict = way.verdict
            if verdict is None or not self._fits(reading, body):
                return self._slowly(call, reply, reading, group)
            if way.remembers and len(body) <= _BODY:
                self._remember(way, body, verdict)
        if group.status == 200:
            self._left -= 1
            if self._left < 0 and self._departs(reply, reading):
                return self._slowly(call, reply, reading, group)
        verdict.count += 1
        expects = call.expects
        if expects is None:
            return verdict.code
        return verdict.good if group.status in expects else verdict.bad

    def rules(self) -> dict[str, dict[str, int]]:
        """Return, by rule, how many answers it judged and how many broke it."""
        judged = Counter(self._judged)
        broken: Counter[str] = Counter()
        for verdict in self._verdicts:
            if verdict.count:
                for name in verdict.judged:
                    judged[name] += verdict.count
        for finding in self._every():
            broken[finding["rule"]] += finding["count"]
        return {name: {"judged": judged[name], "broken": broken[name]} for name in RULES if judged[name]}

    def schema(self) -> dict[str, int]:
        """Return how many successes were judged by the declared result, of how many."""
        of = self._judged["COD-1"] + sum(one.count for one in self._verdicts if "COD-1" in one.judged)
        return {"judged": self._judged[_SAMPLED], "of": of}

    def findings(self) -> list[dict[str, Any]]:
        """Return what was found, as events: the finding, its count, and the first exchanges that show it."""
        return list(self._every())

    def fresh(self) -> list[dict[str, Any]]:
        """Return the findings that are new since this was last asked."""
        new = [finding for finding in self._findings.values() if not finding.told]
        for finding in new:
            finding.told = 1
        return [self._event(finding) for finding in new]

    def _every(self) -> Iterable[dict[str, Any]]:
        return (self._event(finding) for finding in self._findings.values())

    def _event(self, finding: _Finding) -> dict[str, Any]:
        count = finding.count + sum(one.count for one in self._verdicts if finding in one.findings)
        return {**finding.event, "count": count, "exchanges": finding.exchanges}

    # The cheap ways.

    def _fits(self, reading: _Reading, body: bytes) -> bool:
        """Whether a body is the compact spelling of members that were seen, no secret in it."""
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

    def _remember(self, way: _Way, body: bytes, verdict: _Verdict) -> None:
        bodies = way.bodies
        if len(bodies) < _BODIES:
            bodies[body] = verdict
        elif way.hits < _BODIES:
            # They hardly ever come again.
            way.remembers = False
            bodies.clear()

    def _gap(self) -> int:
        """Return how many successes go by until the next one that the declared result is judged on."""
        if self.sample >= 1:
            return 0
        if self.sample <= 0:
            return 1 << 62
        return int(math.log(1 - self._random.random()) / math.log(1 - self.sample))

    def _departs(self, reply: Replied, reading: _Reading) -> bool:
        """Whether this success departs from the declared result."""
        self._left = self._gap()
        if reading.contract is None or reading.contract.mismatch is None:
            return False
        try:
            # These bytes are read alike by any reader: a way led here.
            mismatch = reading.contract.mismatch(_decode(reply.body)["data"])
        except Exception:
            # Whatever is the matter with it, the rule will say.
            return True
        if mismatch is not None:
            return True
        self._judged[_SAMPLED] += 1
        return False

    # Heads.

    def _learn_secrets(self) -> None:
        """Begin anew with what depends on the secrets there are."""
        self._changes = self.secret_registry.changes
        self._secrets = _Secrets(secret_needles(self.secret_registry))
        self._key += 2
        self._heads.clear()
        for reading in self._readings:
            for way in reading.ways.values():
                way.bodies.clear()

    def _group(self, head: Heading, key: int) -> _Group:
        """Return the group of a head; one by itself where a secret stands in it."""
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
        broken = [(name, outcome.kind) for name in _OF_HEADS if (outcome := _check(name, probe)).broken]
        if self._secrets.within(values.encode("utf-8", "surrogatepass")) or self._secrets.within(
            values.encode("latin-1", "replace")
        ):
            group = _Group(head.status, frozenset())
            group.status = -head.status
        else:
            kinds = frozenset(broken)
            group = self._groups.setdefault((head.status, signed, kinds), _Group(head.status, kinds))
        if len(self._heads) >= _HEADS:
            self._heads.clear()
        self._heads[key, plain] = group
        return group

    # The slow way.

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
        """Return a call and its answer as they may be written down."""
        shown = self._exchange(call, reply, self._readings[call.index]).record()
        return {name: shown[name] for name in ("request", "response", "failure", "curl")}

    def _failed(self, call: Called, reply: Replied) -> int:
        assert reply.failure is not None
        if reply.failure == "closed" and not reply.opened and not reply.met:
            # A kept connection may end at any moment; that the request crossed its end on the way is no answer.
            return self._code(Outcome("closed"))
        key = (call.index, reply.failure, call.virtual_user is not None)
        known = self._failures.get(key)
        if known is not None:
            known.count += 1
            return known.code
        reading = self._readings[call.index]
        exchange = self._exchange(call, reply, reading)
        judged, findings = self._put(exchange)
        code = self._code(Outcome(reply.failure, tuple(one.event["rule"] for one in findings)))
        if self._kept(findings):
            self._failures[key] = self._verdict(code, code, code, judged, findings)
        return code

    def _slowly(self, call: Called, reply: Replied, reading: _Reading, group: _Group) -> int:
        """Put an answer to every rule, and learn from it what makes the next one like it cheap."""
        if len(self._verdicts) >= self._many:
            self._settle()
        exchange = self._exchange(call, reply, reading)
        judged, findings = self._put(exchange)
        broken = tuple(one.event["rule"] for one in findings)
        status = reply.answer.status
        error = _error(exchange)
        good, bad = Outcome(None, broken), Outcome(f"status {status}", broken)
        code = self._code(Outcome(error, broken))
        if self._kept(findings) and group.status > 0 and not self._secrets.within(reply.body):
            way = reading.ways.get(group)
            if way is None:
                way = reading.ways[group] = _Way()
            # What the answer was judged by, but for the declared result: that one is judged on a sample.
            passed = tuple(name for name in judged if name != _SAMPLED)
            verdict = self._verdict(code, self._code(good), self._code(bad), passed, findings)
            if way.remembers and len(reply.body) <= _BODY and _stands_alone(exchange, broken):
                self._remember(way, reply.body, verdict)
            body_broken = [one for one in findings if one.event["rule"] != _SAMPLED]
            kinds = {(one.event["rule"], one.event["kind"]) for one in body_broken}
            if error is None and status == 200 and kinds == group.broken:
                if _SAMPLED in broken:
                    rules = tuple(name for name in broken if name != _SAMPLED)
                    verdict = self._verdict(
                        self._code(Outcome(None, rules)),
                        self._code(Outcome(None, rules)),
                        self._code(Outcome("status 200", rules)),
                        passed,
                        body_broken,
                    )
                way.verdict = verdict
                self._learn(reading, exchange)
        expects = call.expects
        if expects is None:
            return code
        return self._code(good if status in expects else bad)

    def _put(self, exchange: Exchange) -> tuple[tuple[str, ...], list[_Finding]]:
        """Put an exchange to every rule; returns the rules that judged it, and what was found."""
        self.slow += 1
        judged: list[str] = []
        findings: list[_Finding] = []
        for rule in self._rules:
            assert rule.check is not None
            outcome = rule.check(exchange)
            if outcome.judged:
                judged.append(rule.id)
            if outcome.broken:
                key = (rule.id, exchange.function, outcome.kind)
                finding = self._findings.get(key)
                if finding is None:
                    finding = self._findings[key] = _Finding(_described(rule, exchange, outcome))
                finding.count += 1
                if len(finding.exchanges) < self.keep:
                    finding.exchanges.append(exchange.record())
                findings.append(finding)
        self._judged.update(judged)
        return tuple(judged), findings

    def _kept(self, findings: Sequence[_Finding]) -> bool:
        """Whether enough exchanges were kept of each."""
        return all(len(one.exchanges) >= self.keep for one in findings)

    def _verdict(
        self, code: int, good: int, bad: int, judged: tuple[str, ...], findings: Sequence[_Finding]
    ) -> _Verdict:
        verdict = _Verdict(code, good, bad, judged, tuple(findings))
        self._verdicts.append(verdict)
        return verdict

    def _settle(self) -> None:
        """Count what was found like verdicts that nothing leads to any more, and forget them."""
        ways = [way for reading in self._readings for way in reading.ways.values()]
        known = {id(one) for one in self._failures.values()}
        known |= {id(way.verdict) for way in ways} | {id(one) for way in ways for one in way.bodies.values()}
        kept = []
        for verdict in self._verdicts:
            if id(verdict) in known:
                kept.append(verdict)
                continue
            if verdict.count:
                self._judged.update(dict.fromkeys(verdict.judged, verdict.count))
            for finding in verdict.findings:
                finding.count += verdict.count
        self._verdicts = kept
        self._many = max(_VERDICTS, 2 * len(kept))

    def _code(self, outcome: Outcome) -> int:
        code = self._codes.get(outcome)
        if code is None:
            code = self._codes[outcome] = len(self.outcomes)
            self.outcomes.append(outcome)
        return code

    # What is learnt of shapes.

    def _learn(self, reading: _Reading, exchange: Exchange) -> None:
        """Make a reader that knows the members of this answer, beside those of the ones before it."""
        shape = reading.shape
        if shape is None or reading.learnt >= _LEARNED or not isinstance(exchange.data, dict | list):
            return
        before = shape.size
        try:
            shape.take(exchange.envelope, allowed=self._extra)
            if shape.size != before:
                reading.learnt += 1
                reading.decode = msgspec.json.Decoder(shape.type()).decode
        except _ShapelessError:
            reading.shape = reading.decode = None


class _ShapelessError(ValueError):
    """A value has no shape that is worth learning: names that come and go, or too deep."""


_Scalar = bool | int | float | str | None


class _Shape:
    """What was seen at one place of the answers to a function: members in their order, items, or neither.

    A plain value may always stand there as well: no rule of names, and none of what the rulebook says of `data`
    beyond its own type, tells plain values apart.
    """

    __slots__ = ("items", "members", "root", "seen", "size")

    def __init__(self, *, root: bool = True) -> None:
        self.root = root
        #: By name: the shape there, and how often it was met.
        self.members: dict[str, list[Any]] | None = None
        self.items: _Shape | None = None
        self.seen = 0
        #: Grows with whatever is learnt.
        self.size = 0

    def take(self, value: Any, *, allowed: Iterable[str] = (), depth: int = 0) -> None:
        """Learn from a value.

        Raises:
            _ShapelessError: it cannot be.

        """
        if depth > _DEPTH:
            raise _ShapelessError
        if isinstance(value, dict):
            self._take_object(value, allowed, depth)
        elif isinstance(value, list):
            if self.items is None:
                self.items = _Shape(root=False)
                self.size += 1
            before = self.items.size
            for item in value:
                self.items.take(item, depth=depth + 1)
            self.size += self.items.size - before

    def _take_object(self, value: dict[str, Any], allowed: Iterable[str], depth: int) -> None:
        if self.members is None:
            self.members = {}
            self.size += 1
        members = self.members
        order = list(members)
        at = -1
        for name in value:
            if name in members:
                place = order.index(name)
                if place <= at:
                    raise _ShapelessError
                at = place
                continue
            if not is_camel_case(name) and name not in allowed:
                raise _ShapelessError
            at += 1
            order.insert(at, name)
            # Where others came before without it, it may be missing.
            members[name] = [_Shape(root=False), 0]
            self.size += 1
        if len(order) > _MEMBERS:
            raise _ShapelessError
        if order != list(members):
            self.members = members = {name: members[name] for name in order}
        self.seen += 1
        for name, entry in members.items():
            shape, met = entry
            if name in value:
                entry[1] = met + 1
                before = shape.size
                shape.take(value[name], depth=depth + 1)
                self.size += shape.size - before
            elif met == self.seen - 1:
                # The first time that it is missing.
                self.size += 1

    def type(self) -> Any:
        """Return the type that reads such values, and nothing with other members."""
        kinds: list[Any] = []
        if self.members is not None:
            kinds.append(self._struct())
        if self.items is not None:
            kinds.append(GenericAlias(list, (self.items.type(),)))
        if self.root:
            return kinds[0]
        return Union[(*kinds, _Scalar)]

    def _struct(self) -> Any:
        assert self.members is not None
        fields: list[Any] = []
        names: dict[str, str] = {}
        for number, (name, (shape, met)) in enumerate(self.members.items()):
            told = name if self.root and name in MEMBERS else f"m{number}"
            names[told] = name
            kind = shape.data_type() if self.root and name == "data" else shape.type()
            if met == self.seen:
                fields.append((told, kind))
            else:
                fields.append((told, Union[kind, msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007
        return msgspec.defstruct(
            "Answer", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False
        )

    def data_type(self) -> Any:
        """Return the type of `data`: only what was seen there, for its own type is ruled (ENV-7)."""
        kinds: list[Any] = []
        if self.members is not None:
            kinds.append(self._struct())
        if self.items is not None:
            kinds.append(GenericAlias(list, (self.items.type(),)))
        return Union[tuple(kinds)]  # noqa: UP007


#: Bytes that few answers hold, most of them in passwords rather than in JSON.
_RARE = frozenset("!#$%&()*+;<=>?@\\^`|~'")
_SOLID = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")


class _Secrets:
    """Says whether any of some texts stands in bytes; nearly always none does, and that is found fast.

    One pass over the bytes makes each a sign: `a` where it may be of a session's identifier, `b` where it is one of
    the rare ones that tell the passwords. A text can only stand where there is a run of the first kind as long as
    the shortest identifier, or a byte of the second; then, and for texts of neither kind, it is looked for.
    """

    def __init__(self, needles: Sequence[str]) -> None:
        solid = [needle for needle in needles if len(needle) >= 16 and _SOLID.issuperset(needle)]
        others = [needle for needle in needles if needle not in set(solid)]
        marked = [needle for needle in others if not _RARE.isdisjoint(needle)]
        self._solid = tuple(solid)
        self._marked = tuple(marked)
        self._others = tuple(needle for needle in others if _RARE.isdisjoint(needle))
        alphabet = set().union(*solid)
        marks = {next(iter(_RARE & set(needle))) for needle in marked}
        signs = bytearray(b" " * 256)
        for sign in alphabet:
            signs[ord(sign)] = 97
        for sign in marks:
            signs[ord(sign)] = 98
        self._signs = bytes(signs)
        self._run = b"a" * min(map(len, solid), default=0)

    def within(self, data: bytes) -> bool:
        """Whether one of the texts stands in these bytes."""
        signs = data.translate(self._signs)
        if self._solid and self._run in signs and self._any(self._solid, data):
            return True
        if 98 in signs and self._any(self._marked, data):
            return True
        return bool(self._others) and self._any(self._others, data)

    @staticmethod
    def _any(texts: Sequence[str], data: bytes) -> bool:
        # Python looks for text in text far faster than for bytes in bytes.
        text = data.decode("latin-1")
        return any(map(text.__contains__, texts))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def _check(name: str, exchange: Exchange) -> RuleOutcome:
    check = RULES[name].check
    assert check is not None
    return check(exchange)


def _reading(name: str, catalog: Catalog, login: bool) -> _Reading:
    method = catalog.methods.get(name)
    entity = name.partition(".")[0]
    label = name if method is not None else entity if entity in catalog.entities else None
    return _Reading(name, label, method.contract if method is not None else None, login)


def _error(exchange: Exchange) -> str | None:
    """Return the kind of error that an answer is where a success was expected, or None."""
    if exchange.status != 200:
        return f"status {exchange.status}"
    if exchange.envelope is None:
        return NO_ENVELOPE
    return ERROR_ON_200 if exchange.envelope.get("isError") is True else None


def _stands_alone(exchange: Exchange, broken: Sequence[str]) -> bool:
    """Whether another answer of the same bytes would be judged alike, whatever was asked."""
    if not exchange.request.well_formed or exchange.request.verb != "POST" or "SEC-2" in broken:
        return False
    bare = replace(exchange, request=Request("POST", "", (), b""))
    # What the request brought along is no leak; without it none may be left.
    return "SEC-3" not in broken and not _check("SEC-2", bare).broken


def _described(rule: Rule, exchange: Exchange, outcome: RuleOutcome) -> dict[str, Any]:
    mask = exchange.secret_registry.mask if exchange.secret_registry else str
    shown = exchange.record()
    return {
        "event": "finding",
        "rule": rule.id,
        "function": exchange.function,
        "kind": mask(outcome.kind),
        "message": rule.title,
        "expected": mask(outcome.expected),
        "actual": mask(outcome.actual),
        "reproduced": None,
        "exchange": shown["number"],
        "request": shown["request"],
        "response": shown["response"],
        "failure": shown["failure"],
        "curl": shown["curl"],
    }


def exchange_of(
    call: Called,
    reply: Answered,
    head: Heading | None,
    address: Address,
    secret_registry: SecretRegistry,
    **more: Any,
) -> Exchange:
    """Return a call and its answer as an exchange, which knows what of it may be shown.

    `head` is the answer's, None where there is no answer; `more` is what else an exchange may be told.
    """
    virtual_user = call.virtual_user
    start, _, body = call.raw.partition(b"\r\n\r\n")
    first, *lines = start.decode("latin-1").split("\r\n")
    verb, _, rest = first.partition(" ")
    path = rest.partition(" ")[0]
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    ordinary = len(start) + 2 <= _ORDINARY_HEAD and len(body) <= _ORDINARY_BODY
    response = failure = None
    if head is None:
        failure = Failure(reply.failure or "", reply.detail)
    else:
        response = Response(
            head.status, tuple(head.headers), reply.body, head.raw + reply.body, f"HTTP/{head.version}"
        )
    return Exchange(
        Request(
            verb,
            f"{address.scheme}://{address.authority}{path}",
            headers,
            body,
            call.raw,
            well_formed=ordinary,
        ),
        response,
        failure,
        **{
            "function": call.function,
            "user": None if virtual_user is None else virtual_user.user,
            "in_session": virtual_user is not None,
            "secret_registry": secret_registry,
            **more,
        },
    )
