"""Recovery of a run from resets, ended sessions, silence and flaky responses, which say nothing about a test."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from conformance.engine.conclusion import Conclusion
from conformance.engine.not_judged import TargetDownError
from conformance.engine.reset_detection import SAME_AGE, Diagnosis
from conformance.engine.runnable import Runnable
from conformance.events import ErrorEvent, NotJudgedEvent, ResetEvent
from conformance.protocol.exchange import Exchange, Failure
from conformance.protocol.session import SetUpFailedError
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding

if TYPE_CHECKING:
    from conformance.engine.runner import Run

__all__ = ["MIN_SESSION_SECONDS", "Recovery"]

#: Attempts of a test that are repeated because of resets, before the target counts as too unstable to judge.
MAX_RESETS = 8
#: The same for attempts in which the target was away, or left a call unanswered that it answers when re-sent.
MAX_SILENCES = 4
#: Attempts of a test that are repeated because sessions ended by their age.
MAX_EXPIRIES = 3
#: Age that a session has to reach to keep AUT-3, in seconds.
MIN_SESSION_SECONDS = 60
#: Calls of a run that may be answered only when they are re-sent: their number, and their share of all calls.
MAX_FLAKY_CALLS, MAX_FLAKY_SHARE = 4, 0.001
#: Tests in a row without a single answer, after which the target counts as gone.
MAX_UNANSWERED_TESTS = 8
#: Unanswered calls that are re-sent to see whether a silence has passed.
MAX_RESENT_CALLS = 3


class Recovery:
    """Finds out after an attempt whether the environment disturbed it, restores what it takes, and keeps count."""

    def __init__(self, run: Run) -> None:
        self._run = run
        #: Resets of the test environment, silences of the target, and attempts that the age of sessions cut short.
        self.resets = 0
        self.silences = 0
        self.expired = 0
        #: Why the target is gone; None as long as it answers.
        self.down: str | None = None
        self._expiries: Counter[str] = Counter()
        self._flaky: Counter[tuple[str, str]] = Counter()
        #: Tests in a row without an answer, whether there ever was one, and what came instead of one.
        self._unanswered = 0
        self._ever_answered = False
        self._silence: Failure | None = None
        #: Users whose lost sessions were reported.
        self._lost_reported: set[str] = set()
        #: Whether a short life of sessions was looked into, and whether it was reported.
        self._age_tried = self._age_reported = False

    @property
    def patience(self) -> float:
        """Return for how many seconds a target that answered before is waited for."""
        return min(10.0, max(5.0, 2 * self._run.profile.target.timeout))

    @property
    def never_answered(self) -> bool:
        """Return whether the target was called, and gave no answer to any test yet."""
        return bool(self._unanswered) and not self._ever_answered

    @property
    def no_answer(self) -> str:
        """Return why a target that never answered is not judged."""
        return f"no call was answered: {self._silence.detail}" if self._silence else "no call was answered"

    # -- after an attempt --------------------------------------------------------------------------------------

    def must_repeat(self, test: Runnable, conclusion: Conclusion) -> bool:
        """Return whether the environment disturbed an attempt, so that it has to be repeated.

        Raises:
            TargetDownError: the target stopped answering and did not come back.

        """
        run = self._run
        if run.observer.silent and not run.environment.await_target(self.patience):
            run.discard(keep_undisturbed=True)
            raise self.went_down("stopped")
        if run.observer.silent and self._silence_passed(conclusion):
            self.silences += 1
            # A target that was restarted may have lost the sessions, the data, or both.
            found = run.environment.diagnose() if run.sessions.mains() else None
            if found is not None and found.state == "reset":
                self.reset()
            elif found is not None and found.state == "sentinel lost":
                run.environment.create_sentinel()
            elif found is not None:
                for user in found.users:
                    run.sessions.drop(user)
            return True
        if not run.sessions.mains():
            return False
        diagnosis = run.environment.diagnose()
        if diagnosis.state in ("sessions lost", "sentinel lost"):
            # A reset in the middle of the diagnosis looks like half of one.
            diagnosis = run.environment.diagnose()
        if diagnosis.state == "reset":
            self.reset()
            return True
        if diagnosis.state == "sentinel lost":
            run.environment.create_sentinel()
            return False
        if diagnosis.state == "sessions lost":
            for user in diagnosis.users:
                run.sessions.drop(user)
            if test.disturbs_sessions:
                return False
            run.preconditions.session_lost()
            return self._sessions_lost(test, conclusion, diagnosis)
        return self._rests_on_expired_session() and self._expire(test, conclusion)

    def _silence_passed(self, conclusion: Conclusion) -> bool:
        """Return whether the target was away for a while, or answers now what it left unanswered."""
        if self._run.observer.unreached:
            return True
        unanswered = [
            finding.exchange
            for finding in self._run.observer.take().values()
            if RULES[finding.rule].check is None and finding.exchange and finding.exchange.failure
        ]
        if conclusion.stuck is not None and conclusion.stuck.failure:
            unanswered.append(conclusion.stuck)
        again = [self.resend(exchange) for exchange in unanswered[:MAX_RESENT_CALLS]]
        return bool(again) and all(each is not None and each.failure is None for each in again)

    def start_over_after_reset(self) -> bool:
        """Return whether the target was reset in the middle of a test; if it was, start over for what follows."""
        run = self._run
        if not run.sessions.mains() or run.environment.diagnose().state == "steady":
            return False
        if run.environment.diagnose().state != "reset":
            return False
        self.reset()
        run.observer.refused = 0
        return True

    def reset(self) -> None:
        """Count a reset of the test environment, and start over."""
        self.resets += 1
        self._run.emit(ResetEvent(at=self._run.seconds))
        self._run.environment.renew()

    def drop_ended_sessions(self) -> None:
        """Drop the main sessions that ended with a test which ends sessions."""
        for session in self._run.sessions.mains():
            valid, _ = self._run.environment.is_valid(session)
            if valid is False:
                self._run.sessions.drop(session.user)

    # -- sessions that ended by themselves ---------------------------------------------------------------------

    def _rests_on_expired_session(self) -> bool:
        """Return whether a finding rests on a session that had reached the age at which the target ends them."""
        lifetime = self._run.environment.lifetime
        if lifetime is None:
            return False
        for finding in self._run.observer.take().values():
            exchange = finding.exchange
            token = exchange.request.header("Token") if exchange is not None else None
            session = self._run.sessions.known(token) if token is not None else None
            if (
                exchange is not None
                and exchange.status == 401
                and session is not None
                and session.age >= lifetime * SAME_AGE
            ):
                return True
        return False

    def _expire(self, test: Runnable, conclusion: Conclusion) -> bool:
        """Count an attempt that the age of sessions cut short; return whether it is to be repeated."""
        self.expired += 1
        self._expiries[test.name] += 1
        if self._expiries[test.name] <= MAX_EXPIRIES:
            return True
        self._run.observer.discard()
        conclusion.not_judged = "the target ends sessions by their age before this is done"
        conclusion.events += [NotJudgedEvent(rule, reason=conclusion.not_judged) for rule in test.rules]
        return False

    def _sessions_lost(self, test: Runnable, conclusion: Conclusion, diagnosis: Diagnosis) -> bool:
        """Report sessions that ended by themselves, once; return whether the attempt is to be repeated."""
        ages = [session.age for session in diagnosis.sessions]
        by_age = self._ended_by_age(diagnosis)
        again = True
        if by_age:
            again = self._expire(test, conclusion)
            if min(ages) >= MIN_SESSION_SECONDS or self._age_reported:
                return again
            self._age_reported = True
        elif self._lost_reported.issuperset(diagnosis.users):
            return False
        self._lost_reported.update(diagnosis.users)
        exchange = diagnosis.exchange
        age = f" {min(ages):.0f} s after it was begun" if ages else ""
        trail = self._run.observer.trail.since(diagnosis.sessions[0].token) if diagnosis.sessions else None
        finding = Finding(
            "AUT-3",
            exchange.function if exchange else None,
            "a session ended by itself",
            RULES["AUT-3"].title,
            f"the session keeps working for {MIN_SESSION_SECONDS} s or more"
            if by_age
            else "the session keeps working: nobody ended it",
            f"it is refused{age} ({exchange.summary() if exchange else 'no answer'}); "
            f"{trail or f'this was during the test {test.name}'}"
            + (": sessions end at this age, called or not" if by_age else ""),
            exchange,
        )
        self._run.observer.judged("AUT-3")
        if finding.rule in self._run.options.rules:
            self._run.confirmation.publish({finding.key: finding})
        return again

    def _ended_by_age(self, diagnosis: Diagnosis) -> bool:
        """Return whether sessions ended by their age; it is measured only for those that end too young."""
        if not diagnosis.sessions:
            return False
        oldest = max(diagnosis.sessions, key=lambda session: session.age)
        if oldest.age >= MIN_SESSION_SECONDS:
            return True
        environment = self._run.environment
        if environment.lifetime is None and self._age_tried:
            return False
        self._age_tried = True
        return environment.ended_by_age(oldest, oldest.age, self._run.client.until) is True

    # -- calls without an answer -------------------------------------------------------------------------------

    def count_unanswered(self) -> None:
        """Note whether anything was answered in the attempt that ended.

        Raises:
            TargetDownError: nothing was, in too many tests in a row.

        """
        run = self._run
        if run.observer.answered:
            self._unanswered, self._ever_answered = 0, True
        elif run.observer.last_failure is not None:
            self._unanswered += 1
            self._silence = run.environment.silence = run.observer.last_failure
            if self._unanswered >= MAX_UNANSWERED_TESTS:
                run.discard(keep_undisturbed=True)
                raise self.went_down("stopped" if self._ever_answered else "does not")

    def end(self) -> None:
        """Report a target that never answered as one that does not; its few tests did not say so."""
        if self.down is None and self.never_answered:
            self._run.environment.silence = self._silence
            self.went_down("does not")

    def went_down(self, since: str) -> TargetDownError:
        """Report that the target "does not" answer, or "stopped"; return the error to raise."""
        run = self._run
        silence = run.environment.silence
        doing = {"does not": ("answer", "speak HTTP"), "stopped": ("answering", "speaking HTTP")}[since]
        self.down = f"the target {since} {doing[silence is not None and silence.kind == 'garbled']}"
        if silence is not None and silence.kind == "oversize":
            self.down = "the target gives no answer that can be read"
        detail = f" ({run.secret_registry.mask(silence.detail)})" if silence is not None else ""
        message = f"{self.down}{detail}: {run.profile.shown_url}"
        run.emit(ErrorEvent(None, message))
        return TargetDownError(self.down)

    def resend(self, exchange: Exchange) -> Exchange | None:
        """Send a request again, in a fresh session if it was sent in one; return None where that cannot be done."""
        if not exchange.request.well_formed:
            return None
        token: str | None = None
        if exchange.in_session and exchange.user is not None:
            try:
                token = self._run.sessions.of(exchange.user).token
            except SetUpFailedError:
                return None
        return self._run.client.resend(exchange, token)

    def is_flaky(self, exchange: Exchange) -> bool:
        """Return whether a call got no readable answer, and gets one when the same bytes are sent again."""
        failure = exchange.failure
        if failure is None or exchange.withheld or not exchange.request.well_formed:
            return False
        if self._run.client.resend(exchange, None).failure is not None:
            return False
        self._flaky[failure.kind, failure.detail] += 1
        return True

    def report(self) -> None:
        """Note what the run recovered from; too many flaky responses are an error."""
        notes = self._run.notes
        if self.silences:
            times = "once" if self.silences == 1 else f"{self.silences} times"
            notes.append(
                f"the target was not there, or left a call unanswered that it answered later, {times} in all; "
                "what was being judged was judged again"
            )
        if self.expired:
            notes.append(
                "the target ends sessions by their age; they were renewed, and what was interrupted was tried again"
            )
        # COD-8 reports closed connections, and a target that was not reached was not asked.
        counts = {
            detail: count
            for (kind, detail), count in self._flaky.most_common()
            if kind not in ("closed", "unreachable")
        }
        times_flaky, sent = sum(counts.values()), self._run.client.sent
        if not times_flaky:
            return
        message = (
            f"the target gave no answer to {times_flaky} of {sent} calls ({next(iter(counts))}), and one when "
            "the same was sent again"
        )
        if times_flaky > MAX_FLAKY_CALLS and times_flaky > sent * MAX_FLAKY_SHARE:
            message = f"{message}: it is too unstable to judge"
            self._run.emit(ErrorEvent(None, message))
        else:
            notes.append(message)
