"""What has to hold before an answer says anything about the rule that is being tested.

One cause is reported by one rule (protocol, section 3). An answer that says «not now», a session that has ended and a
function that does not work at all are reported by COD-2, COD-8, AUT-3 and HTTP-1, which see every exchange. Whatever
other rule was being tested at that moment is not judged by that answer.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from conformance.catalog.model import Method
from conformance.protocol.client import OutOfTimeError
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import Session, SetUpFailedError
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding, Key

if TYPE_CHECKING:
    from conformance.engine.runner import Run

__all__ = ["NOT_NOW", "Preconditions"]

#: Statuses that mean «not now»: they say nothing about the request.
NOT_NOW = frozenset({429, 502, 503, 504})

#: Rules about sessions and about signing in: an answer of 401 within a session is what they are about.
ABOUT_SESSIONS = frozenset(
    {"AUT-1", "AUT-3", "AUT-9", "AUT-10", "AUT-11", "AUT-13", "AUT-15", "AUT-16", "STA-6"}
)

#: Rules that say by themselves that a function does not work.
ABOUT_WORKING = frozenset({"HTTP-1", "AUT-1", "AUT-3", "AUT-16", "STA-6"})

#: Further rules under which a valid call has to succeed: a refusal (4xx) of such a call is what they are about, where
#: the accepted statuses do not say otherwise.
EXPECT_SUCCESS = frozenset(
    {"ACC-1", "ACC-4", "AUT-6", "AUT-9", "AUT-10", "AUT-11", "AUT-13", "DAT-1", "STA-1", "STA-2", "STA-3", "STA-5"}
)  # fmt: skip

#: Attempts of a test that are made anew in one run because an answer said «not now» or a session ended.
MAX_REPEATS = 40


class Preconditions:
    """Watches one attempt of a test after the other for what makes its answers say nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._repeats = 0
        self._session_lock = threading.Lock()
        #: By token and function: whether the function refuses that session alone.
        self._refused_here: dict[tuple[str, str], bool] = {}
        self.begin()

    def begin(self) -> None:
        """Start an attempt."""
        self._worked: set[str] = set()
        self._ended: dict[str, bool] = {}
        self._not_now = 0
        self._lost = False
        #: Whether an answer was excused in the attempt.
        self.excused = False

    def observe(self, exchange: Exchange) -> None:
        """Take note of an exchange of the attempt."""
        status = exchange.status
        with self._lock:
            if status == 200 and exchange.function is not None:
                self._worked.add(exchange.function)
            self._not_now += status in NOT_NOW

    def session_lost(self) -> None:
        """Take note that a session ended in the middle of the attempt."""
        self._lost = True

    # -- at the moment of a judgement ----------------------------------------------------------------------------

    def excuse(self, rule: str, exchange: Exchange) -> str | None:
        """Return why an unexpected answer says nothing about a rule; None where it may."""
        status = exchange.status
        if status in NOT_NOW:
            self.excused = True
            return f"the target answered {status}, which says nothing about this rule"
        if status == 401 and rule not in ABOUT_SESSIONS and self._session_ended(exchange):
            self.excused = True
            return "the session that it was tested with had ended"
        if status == 401 and rule not in ABOUT_SESSIONS and self._session_refused_here(exchange):
            return "the function refuses a session that is still valid, which AUT-3 judges"
        return None

    def _session_ended(self, exchange: Exchange) -> bool:
        """Whether a call was refused since its session is no longer one, though nobody ended it."""
        token = exchange.request.header("Token")
        if not exchange.in_session or exchange.user is None or token is None:
            return False
        if token not in self._ended:
            valid, _ = self._run.environment.is_valid(Session(exchange.user, token))
            self._ended[token] = valid is False and self._fresh_session_is_valid(exchange.user)
        return self._ended[token]

    def _session_refused_here(self, exchange: Exchange) -> bool:
        """Whether a function refuses a valid session, while it accepts the same call in a new one; AUT-3 reports it."""
        token = exchange.request.header("Token")
        method = self._run.catalog.methods.get(exchange.function or "")
        if not exchange.in_session or exchange.user is None or token is None or method is None:
            return False
        key = (token, method.name)
        with self._session_lock:
            if key not in self._refused_here:
                self._refused_here[key] = self._refuses_one_session(method, Session(exchange.user, token))
        return self._refused_here[key]

    def _refuses_one_session(self, method: Method, session: Session) -> bool:
        run = self._run
        if method.auth in ("none", None) or not run.resources.harmless(method):
            return False
        if (
            not run.resources.may_call(session.user, method)
            or session.token != run.sessions.of(session.user).token
        ):
            return False
        try:
            fresh = run.sessions.sign_in(session.user)
            old, new = (
                run.caller.call(
                    method, run.resources.valid(method, session.user), user=session.user, token=token
                )
                for token in (session.token, fresh.token)
            )
            run.sessions.end(fresh)
        except (SetUpFailedError, OutOfTimeError):
            return False
        if old.status != 401 or new.status in (None, 401):
            return False
        finding = Finding(
            "AUT-3",
            method.name,
            "a function refuses a session that works elsewhere",
            RULES["AUT-3"].title,
            "any answer but 401: the session is valid, and a new one is accepted here",
            old.summary(),
            old,
        )
        run.observer.judged("AUT-3")
        if finding.rule in run.options.rules:
            run.confirmation.publish({finding.key: finding})
        # What follows is tested in another session.
        run.sessions.drop(session.user)
        return True

    def _fresh_session_is_valid(self, user: str) -> bool:
        """Whether a new session of the user is accepted where the old one is refused."""
        try:
            session = self._run.sessions.sign_in(user)
        except SetUpFailedError:
            return False
        valid, _ = self._run.environment.is_valid(session)
        self._run.sessions.end(session)
        return valid is True

    # -- after an attempt ----------------------------------------------------------------------------------------

    @property
    def hindered(self) -> bool:
        """Whether anything in the attempt said nothing."""
        return self.excused or self._lost or bool(self._not_now)

    def repeat(self, *, found: bool, stuck: Exchange | None) -> bool:
        """Say whether the attempt has to be made anew: something in it said nothing, so that it may have misled.

        `found` says whether it led to findings of the test's own, `stuck` is the answer that ended it early.
        """
        hindered = self.excused or (self.hindered and found)
        if stuck is not None:
            hindered = hindered or stuck.status in NOT_NOW or (self._lost and stuck.status == 401)
        if not hindered or self._repeats >= MAX_REPEATS:
            return False
        self._repeats += 1
        return True

    def withdrawn(self, findings: dict[Key, Finding]) -> dict[Key, str]:
        """Return the findings that a function's not working at all accounts for, each with the reason.

        For each function that did not succeed once in the attempt a control call is made: valid, by a user who may
        call it. Where it is answered as the call was that broke the rule, the answer is the function's own.
        """
        answers: dict[str, Exchange | None] = {}
        reasons: dict[Key, str] = {}
        for key, finding in findings.items():
            suspect = self._suspect(finding)
            if suspect is None:
                continue
            method, exchange = suspect
            if method.name not in answers:
                answers[method.name] = self._control(method)
            control = answers[method.name]
            if (
                control is not None
                and not control.withheld
                and self._accounts_for(finding, exchange, control)
            ):
                reasons[key] = f"a valid call of {method.name} does not succeed either: {control.summary()}"
        return reasons

    def _suspect(self, finding: Finding) -> tuple[Method, Exchange] | None:
        """Return the function that may not work at all, and its answer; None where a finding cannot be due to that."""
        if RULES[finding.rule].check is not None or finding.rule in ABOUT_WORKING:
            return None
        for exchange in (finding.exchange, finding.witness):
            if exchange is None or (exchange.status is not None and exchange.status < 400):
                continue
            method = self._run.catalog.methods.get(exchange.function or "")
            if method is not None and method.name not in self._worked:
                return method, exchange
        return None

    @staticmethod
    def _accounts_for(finding: Finding, exchange: Exchange, control: Exchange) -> bool:
        succeeds = finding.rule in EXPECT_SUCCESS and 200 in (finding.accepted or (200,))
        if control.status in NOT_NOW:
            return True
        if control.status is None:
            return exchange.status is None and not succeeds
        if control.status < 400 or control.status != exchange.status:
            return False
        return control.status >= 500 or not succeeds

    def _control(self, method: Method) -> Exchange | None:
        """Return a valid call's exchange; None where none can be made without harm."""
        run = self._run
        if method.name == run.profile.auth.logout:
            return self._control_of_logout()
        if not run.resources.harmless(method):
            return None
        user = None
        if method.auth != "none" or (run.profile.users and run.profile.auth.login is not None):
            if run.profile.auth.login is None:
                return None
            user = next(iter(run.resources.callers(method)), None)
            if user is None:
                return None
        login = method.name in run.caller.logins
        exchange = None
        try:
            # A rule beyond the schema may refuse one call and let the next one pass.
            for _ in range(3 if method.beyond_schema else 1):
                for optional in ("all", "none"):
                    data = run.resources.valid(method, user, optional=optional)
                    exchange = run.resources.call(method, data, None if login else user)
                    if exchange.status == 200:
                        return exchange
        except (SetUpFailedError, OutOfTimeError):
            pass
        return exchange

    def _control_of_logout(self) -> Exchange | None:
        run = self._run
        user = next(iter(run.profile.users), None)
        if user is None:
            return None
        try:
            return run.sessions.end(run.sessions.sign_in(user))
        except (SetUpFailedError, OutOfTimeError):
            return None
