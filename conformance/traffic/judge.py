"""Judges recorded traffic: every rule that an exchange, the catalogue, or a sequence seen in passing is enough for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from conformance.catalog.model import Catalog
from conformance.engine.not_judged import LINES
from conformance.events import Event, ExchangeEvent, JudgedEvent, NotJudgedEvent, PartlyJudgedEvent
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import MASK
from conformance.rulebook import RULES, Rule
from conformance.rulebook.model import Outcome
from conformance.text import plural
from conformance.traffic.calls import JUDGED_BY_CATALOG, Calls
from conformance.traffic.capture import is_call
from conformance.traffic.recorded import Gap, Recorded, entity_of
from conformance.traffic.results import Results
from conformance.traffic.sequences import JUDGED_BY_SEQUENCES, Sequences
from conformance.traffic.sessions import Sessions

__all__ = ["TRAFFIC", "Seen", "TrafficJudge"]

#: The name of the one test in the log of judged traffic.
TRAFFIC = "recorded traffic"

#: Exchanges that the log has; of later ones it has those that show a finding.
MAX_LOGGED_EXCHANGES = 20_000

#: The rules that need the body of the response.
_NEED_BODY = frozenset(["HTTP-4", *(f"ENV-{number}" for number in range(1, 11)), "NAM-1", "SEC-2", "SEC-3"])
_NEED_HEADERS = frozenset({"HTTP-5", "SEC-5"})
#: The rules that need the request's body: it names the function, and an error may repeat it.
_NEED_SENT = frozenset({"ENV-7", "ENV-10", "NAM-1", "SEC-2", "SEC-3"})
#: The rules that compare values, which may be masked.
_NEED_VALUES = frozenset({"ENV-10", "SEC-3"})
#: A name that is certainly one of the API is under_scored in so many answers of a function, where no catalogue says
#: which objects are maps keyed by data.
MIN_UNDER_SCORED = 2

_SESSION_RULES = ("AUT-3", "AUT-8", "AUT-9", "AUT-11")
_VERBS_THAT_RUN_NOTHING = frozenset({"GET", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What judging one exchange led to: the rules it broke, and how many mistakes of the client it has."""

    recorded: Recorded
    broken: tuple[str, ...]
    client: int


class TrafficJudge:
    """Judges the exchanges of recorded traffic one by one; what is found goes out as events.

    Take the exchanges in the order in which their responses came.
    """

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        emit: Callable[[Event], None],
        wanted: Collection[str],
        *,
        tokens_are_recorded: bool,
        endpoints: Collection[str] = (),
    ) -> None:
        """Take the target's profile and catalogue, and the ids of the rules to judge.

        `tokens_are_recorded` says that a header Token that is not there was not sent, rather than left out by whoever
        saved the traffic. `endpoints` are known beside those of the catalogue.
        """
        self.profile, self.catalog = profile, catalog
        self.registry = profile.secret_registry()
        self._emit = emit
        self.results = Results(emit, wanted)
        self.sessions = Sessions(profile, self.results, self.registry)
        self.calls = Calls(catalog, self.results, tokens_are_recorded=tokens_are_recorded)
        auth = profile.auth
        harmless = [auth.login.function if auth.login else None, auth.logout]
        harmless.append(auth.key_login.function if auth.key_login else None)
        self.sequences = Sequences(catalog, self.results, [name for name in harmless if name])
        self._pure = [rule for rule in RULES.values() if rule.check is not None and rule.id in wanted]
        self._endpoints = set(endpoints) | set(() if catalog.is_implicit else catalog.entities)
        self._under_scored: Counter[tuple[str | None, str]] = Counter()
        self._gaps: Counter[Gap] = Counter()
        self._skipped: Counter[str] = Counter()
        self.taken = 0
        self.passed = 0
        self.unlogged = 0

    def take(self, recorded: Recorded) -> Seen | None:
        """Judge one exchange; None if it is none of the API, but of something else at the same address."""
        if not self._is_of_api(recorded):
            self.passed += 1
            return None
        self.taken += 1
        self._gaps.update(recorded.gaps)
        self.results.begin()
        exchange = recorded.exchange
        session = self.sessions.prepare(recorded)
        exchange.envelope_extra = self.profile.target.envelope_extra
        method = self.calls.method(recorded)
        if method is not None:
            exchange.contract = method.contract
        self._judge_pure(recorded)
        if recorded.request.verb == "POST":
            login = self.sessions.is_login(recorded)
            self.calls.judge(recorded, session, login=login)
            self.sessions.observe(recorded, session, method.protected if method is not None else None)
        else:
            self._judge_verb(recorded)
        self.sequences.take(recorded)
        seen = Seen(recorded, tuple(self.results.latest), self.results.latest_client)
        self._log(seen)
        return seen

    def close(self) -> None:
        """Judge what had to wait, and emit the findings, the counts, and why rules are not judged."""
        self.results.begin()
        self.sequences.settle()
        self.results.close()
        judged = self.results.judged
        if judged:
            self._emit(JudgedEvent(TRAFFIC, dict(judged)))
        for rule, skipped in self._skipped.items():
            if judged[rule] and rule != "ENV-7":
                self._emit(PartlyJudgedEvent(rule, judged[rule], judged[rule] + skipped, "exchanges"))
        for rule in RULES:
            if rule in self.results.wanted and not judged[rule]:
                reason, lines = self._why_not(rule)
                self._emit(NotJudgedEvent(rule, reason=reason, lines=lines))

    def _log(self, seen: Seen) -> None:
        if self.taken > MAX_LOGGED_EXCHANGES and not seen.broken:
            self.unlogged += 1
            return
        self._emit(ExchangeEvent.of(seen.recorded.exchange.record(), TRAFFIC))

    # --- one exchange

    def _is_of_api(self, recorded: Recorded) -> bool:
        """Return whether an exchange is of the API: a call, or another request to an endpoint that is known."""
        entity = entity_of(recorded.request.url, self.profile.url)
        if not entity:
            return False
        if recorded.exchange.status is None and recorded.exchange.failure is None:
            return False
        if is_call(recorded):
            self._endpoints.add(entity)
        named = isinstance(recorded.call.get("method"), str) and recorded.request.verb == "POST"
        return named or entity in self._endpoints

    def _judge_pure(self, recorded: Recorded) -> None:
        for rule in self._pure:
            assert rule.check is not None
            if self._is_blind(rule, recorded):
                self._skipped[rule.id] += 1
                continue
            outcome = rule.check(recorded.exchange)
            if rule.id == "NAM-1" and outcome.broken and recorded.exchange.contract is None:
                outcome = self._without_contract(recorded, outcome)
            self.results.take(rule.id, outcome, recorded)

    def _is_blind(self, rule: Rule, recorded: Recorded) -> bool:
        """Return whether the capture does not have what a rule reads."""
        gaps, exchange = recorded.gaps, recorded.exchange
        if Gap.RESPONSE_BODY in gaps and rule.id in _NEED_BODY:
            return True
        if Gap.RESPONSE_HEADERS in gaps and rule.id in _NEED_HEADERS:
            return True
        if Gap.REQUEST_BODY in gaps and rule.id in _NEED_SENT:
            return True
        if rule.id == "ENV-7" and exchange.contract is None:
            return True  # The function may have another result than an object: only a catalogue says it.
        if rule.id in _NEED_VALUES and Gap.SECRETS in gaps:
            response = exchange.response
            return rule.id == "SEC-3" or (response is not None and MASK.encode() in response.body)
        # A session whose user is unknown may be that of the user whose session stands in the answer.
        return rule.id == "SEC-3" and recorded.has_token and exchange.user is None

    def _without_contract(self, recorded: Recorded, outcome: Outcome) -> Outcome:
        """Return the outcome of NAM-1 where no catalogue says which objects are maps keyed by data."""
        if not outcome.kind.startswith("an under_scored"):
            return Outcome(judged=False)
        key = (recorded.function, outcome.actual)
        self._under_scored[key] += 1
        return outcome if self._under_scored[key] >= MIN_UNDER_SCORED else Outcome(judged=False)

    def _judge_verb(self, recorded: Recorded) -> None:
        """Judge a request with another verb to an endpoint: it must not run a function (HTTP-2)."""
        exchange = recorded.exchange
        if recorded.request.verb not in _VERBS_THAT_RUN_NOTHING or exchange.status is None:
            return
        envelope = exchange.envelope
        runs = recorded.accepted and envelope is not None and envelope.get("isError") is False
        if runs or exchange.status >= 400:
            self.results.judge(
                "HTTP-2",
                not runs,
                recorded,
                kind=f"{recorded.request.verb} is answered as a success",
                expected="status 4xx: verbs other than POST run no function",
            )
        self.results.client_mistake(
            recorded,
            f"the verb {recorded.request.verb}",
            expected="POST",
            actual=recorded.request.verb,
            function=entity_of(recorded.request.url, self.profile.url),
        )

    # --- what is not judged

    def _why_not(self, rule: str) -> tuple[str, str | None]:
        """Return why a rule was not judged, and the lines to add to the profile so that it is."""
        if rule == "ENV-7" and self.catalog.is_implicit:
            return "there is no catalogue", LINES["catalog"]
        if self._skipped[rule]:
            gaps = [gap for gap in self._gaps if gap is not Gap.BYTES]
            lacks = " and ".join(str(gap) for gap in sorted(gaps)) or "the user of a session"
            return f"the capture does not have {lacks}", None
        if self.catalog.is_implicit and rule in (*JUDGED_BY_CATALOG, *JUDGED_BY_SEQUENCES, "AUT-8", "AUT-3"):
            return "there is no catalogue", LINES["catalog"]
        if rule in _SESSION_RULES and not self.sessions.logins:
            return "no login is in the traffic, or its token is masked", None
        if rule == "AUT-1" and self.profile.auth.login is None:
            return "the profile does not name the login", LINES["login"]
        checkable = RULES[rule].check is not None or rule in JUDGED_ANYHOW
        if checkable:
            return "nothing in the traffic shows it", None
        return "recorded traffic does not show it: it needs requests of its own (conform check)", None

    def notes(self) -> list[str]:
        """Return notes about what was passed over, and what the traffic does not have."""
        found = []
        if self.passed:
            found.append(
                f"{plural(self.passed, 'request')} below the target's URL that are no calls: passed over"
            )
        if self._gaps[Gap.BYTES]:
            found.append(
                "a capture has texts, not bytes: the encoding of characters, chunks and the order of headers are "
                "not judged"
            )
        for gap in (Gap.RESPONSE_BODY, Gap.REQUEST_BODY, Gap.RESPONSE_HEADERS, Gap.REQUEST_HEADERS):
            if self._gaps[gap]:
                found.append(f"{plural(self._gaps[gap], 'exchange')} without {gap}")
        if self.unlogged:
            found.append(
                f"{plural(self.unlogged, 'exchange')} without a finding are judged, and left out of events.jsonl"
            )
        if self.results.unlisted_client_findings:
            found.append(f"{self.results.unlisted_client_findings} more mistakes of clients are not listed")
        return found


#: Rules without a check of one exchange that traffic may show all the same.
JUDGED_ANYHOW = frozenset(
    [*JUDGED_BY_CATALOG, *JUDGED_BY_SEQUENCES, *_SESSION_RULES, "AUT-1", "HTTP-2", "REQ-1", "REQ-5", "REQ-6"]
)
