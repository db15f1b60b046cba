"""Creates case files for findings: the requests sent, with symbols for users, identifiers and secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from conformance import __version__
from conformance.cases.case_writer import CaseWriter
from conformance.cases.format import FOLDER, Case, Expect, Step, file_name, symbols
from conformance.cases.symbol_writer import identified
from conformance.catalog.model import Catalog, Method
from conformance.events import CaseEvent
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.session import Sessions
from conformance.resources.registry import Resources
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding, Key

__all__ = ["Recorder"]


@dataclass(eq=False)
class ObjectRecord:
    """One object of the run; `created` and `deleted` are the numbers of these exchanges."""

    kind: str
    id: Any
    owner: str
    method: Method | None
    sent: dict[str, Any]
    created: int = 0
    deleted: int | None = None


@dataclass(eq=False)
class _Session:
    owner: str
    ended: int | None = None


class Recorder:
    """Records the objects and sessions of a run, and creates the cases of its findings.

    It remains valid after a reset of the target: the object of an identifier is found by the time it was sent.
    """

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        caller: Caller,
        sessions: Sessions,
        resources: Resources,
        secret_registry: SecretRegistry,
    ) -> None:
        self.profile = profile
        self.catalog = catalog
        self.caller = caller
        self.sessions = sessions
        self.resources = resources
        self.secret_registry = secret_registry
        self._records: dict[tuple[str, str], list[ObjectRecord]] = {}
        self.tokens: dict[str, _Session] = {}
        self.offered: dict[str, str | None] = {}
        self._sizes: dict[Key, tuple[int, int]] = {}
        #: The kind of object that a member of this name identifies, in any place.
        self.kinds: dict[str, str] = {}
        for method in catalog.methods.values():
            for pointer, kind in identified(method):
                name = pointer.rpartition("/")[2]
                if name and name != "*":
                    self.kinds.setdefault(name, kind)

    # -- keeping account ---------------------------------------------------------------------------------------

    def learn_session(self, exchange: Exchange) -> None:
        """Record a session that a login created or a logout ended."""
        if exchange.login:
            token = self.sessions.session_value(exchange)
            offered = exchange.request.header("Token")
            if offered and offered not in self.tokens and exchange.succeeded:
                # The client chose this token; no login returned it.
                self.offered.setdefault(offered, exchange.user or self._user_named_in(exchange))
            if isinstance(token, str) and token and token != offered:
                owner = self.secret_registry.sessions().get(token)
                self.tokens[token] = _Session(owner or exchange.user or "")
        elif exchange.status == 200 and exchange.function == self.profile.auth.logout:
            token = exchange.request.header("Token")
            known = self.tokens.get(token or "")
            if known is not None and known.ended is None:
                known.ended = exchange.number

    def _user_named_in(self, exchange: Exchange) -> str | None:
        """Return the user of the profile whose name a login contains, or None."""
        login = self.profile.auth.login
        body = exchange.request.body
        return next(
            (
                name
                for name, user in self.profile.users.items()
                if login is not None and exchange.function == login.function and user.user.encode() in body
            ),
            None,
        )

    def created(self, exchange: Exchange, method: Method, identifier: Any, owner: str, sent: Any) -> None:
        """Record an object that a call created."""
        assert method.object is not None
        records = self._records.setdefault((method.object.kind, str(identifier)), [])
        if not records or records[-1].deleted is not None:
            data = sent if isinstance(sent, dict) else {}
            records.append(ObjectRecord(method.object.kind, identifier, owner, method, data, exchange.number))

    def deleted(self, exchange: Exchange, kind: str, identifier: Any) -> None:
        """Record that a call deleted an object."""
        records = self._records.get((kind, str(identifier)))
        if records and records[-1].deleted is None:
            records[-1].deleted = exchange.number

    def object_at(self, kind: str, value: Any, at: int | None) -> ObjectRecord | None:
        """Return the object that had this identifier when exchange `at` was sent (None: now)."""
        if value is None or isinstance(value, bool | float | dict | list):
            return None
        for record in reversed(self._records.get((kind, str(value)), ())):
            if at is None or record.created < at:
                return record
        owner = self.resources.finder(kind, value)
        return ObjectRecord(kind, value, owner, None, {}) if owner is not None else None

    # -- cases -------------------------------------------------------------------------------------------------

    def event(self, finding: Finding) -> CaseEvent | None:
        """Return the event with the case of a finding; None if it has no case, or a smaller one was reported before.

        Its `case` is the content of the file.
        """
        mask = self.secret_registry.mask
        size = _size(finding)
        if size is None or self._sizes.get(finding.key, (size[0] + 1, 0)) <= size:
            return None
        self._sizes[finding.key] = size
        case = self.case(finding)
        if case is None:
            return None
        name = file_name(case.rule, case.function, case.kind)
        text = json.dumps(case.to_json(), ensure_ascii=False, allow_nan=False)
        masked = mask(text)
        content = case.to_json()
        if masked is not text:
            before, content = content["steps"], json.loads(masked)
            if content["steps"] != before:
                # Masked text cannot be sent again, so nothing can be expected of the responses.
                for step in content["steps"]:
                    step.pop("expect", None)
        return CaseEvent(finding.rule, finding.function, mask(finding.kind), f"{FOLDER}/{name}", content)

    def case(self, finding: Finding) -> Case | None:
        """Return the case of a finding, or None if no request shows it."""
        if finding.exchange is not None and finding.exchange.request.packets is not None:
            # A case says what is sent, and not in which packets.
            return None
        writer = CaseWriter(self, finding.exchange, symbolic=finding.case is not None)
        if finding.case is not None:
            given = [Step.from_json(step, f"steps[{number}]") for number, step in enumerate(finding.case)]
            steps = [
                replace(step, data=writer.value(step.data, self.method(step.function)))
                if step.data is not OMIT
                else step
                for step in given
            ]
        elif finding.exchange is not None:
            steps = writer.steps(finding.exchange)
        else:
            return None
        if not steps:
            return None
        if not any(step.expect for step in steps):
            steps[-1] = replace(steps[-1], expect=_expectation(finding))
        for_people = writer.for_people
        kind, message = for_people(finding.kind), for_people(finding.message)
        users = {step.user for step in steps}
        for _, argument in (each for step in steps for each in symbols(step.to_json())):
            of = argument.get("of") if isinstance(argument, dict) else argument
            users.add(of.removeprefix("users.").removesuffix(".secret") if isinstance(of, str) else None)
        return Case(
            finding.rule,
            finding.function,
            kind,
            message,
            for_people(finding.expected),
            for_people(finding.actual),
            tuple(steps),
            __version__,
            {name: user.roles for name, user in self.profile.users.items() if name in users},
        )

    def method(self, function: str | None) -> Method | None:
        """Return the function of this name from the catalogue, or None."""
        return self.catalog.methods.get(function or "")


def _size(finding: Finding) -> tuple[int, int] | None:
    """Return the size of an example, as (steps, characters of the requests); None if there is no example."""
    if finding.case is not None:
        return len(finding.case), len(json.dumps(finding.case, default=str))
    return (1, len(finding.exchange.request.body)) if finding.exchange is not None else None


def _expectation(finding: Finding) -> Expect:
    """Return what is expected of the last response of a case."""
    exchange = finding.exchange
    check = RULES[finding.rule].check
    if check is not None and exchange is not None and check(exchange).broken:
        return Expect(rule=finding.rule)
    if finding.accepted is not None:
        return Expect(status=tuple(sorted(finding.accepted)))
    return Expect()
