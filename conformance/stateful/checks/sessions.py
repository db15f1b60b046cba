"""Checks of sessions: whether a call is accepted, and whose session it is."""

from __future__ import annotations

from conformance.helpers.comparison import equal
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING, resolve
from conformance.stateful.entities import Disagreement
from conformance.stateful.script import Step, StepResult
from conformance.stateful.state import State

__all__ = ["check_logout", "check_session", "check_whoami", "set_other_sessions"]


def check_session(state: State, result: StepResult) -> tuple[bool, Disagreement | None]:
    """Return whether the call was accepted as its user's, and a disagreement if that is wrong."""
    step, status = result.step, result.status
    session_state = state.sessions.get(step.session, "ended")
    method = state.catalog.methods.get(step.function)
    if method is not None and method.auth == "none":
        return True, None
    if session_state == "ended":
        if status != 200:
            return False, None
        if not step.only_reads:
            state.note_unknown_outcome(step)
        what = "without a session" if not step.session else "in a session that was ended"
        return False, state.disagreement(
            result, "session dead", f"status 401: it is sent {what}", "status 200"
        )
    if session_state == "open" and status == 401:
        state.sessions[step.session] = "uncertain"
        return False, state.disagreement(
            result, "session refused", "the session works: nobody ended it", result.exchange.summary()
        )
    if status == 401:
        state.sessions[step.session] = "ended"
        state.knowledge.logout_ends_others |= session_state == "after logout"
        if (
            session_state == "during logout"
            and state.survived_logouts
            and not state.knowledge.logout_ends_others
        ):
            return False, state.disagreement(
                result,
                "session taken",
                "the session works: a logout leaves the user's other sessions, as it did before",
                result.exchange.summary(),
            )
        return False, None
    state.survived_logouts += session_state == "after logout"
    if step.user not in state.concurrent.leaving:
        state.sessions[step.session] = "open"
    return True, None


def set_other_sessions(state: State, step: Step, to: str) -> None:
    """Set the state of the user's other sessions after a login or a logout.

    Whether they stay valid is judged by other rules (AUT-9, AUT-10). The model learns it from the next call in each.
    But once a logout was seen to leave the others valid, it must not close them for calls sent at the same time.
    """
    for name, session_state in state.sessions.items():
        if name != step.session and session_state != "ended" and name.partition("/")[0] == step.user:
            state.sessions[name] = to if session_state == "open" else "uncertain"


def check_logout(state: State, result: StepResult) -> Disagreement | None:
    """Note that a session was closed."""
    step = result.step
    state.sessions[step.session] = "ended" if result.status == 200 else "uncertain"
    set_other_sessions(
        state, step, "during logout" if step.user in state.concurrent.leaving else "after logout"
    )
    return None


def check_whoami(state: State, result: StepResult) -> Disagreement | None:
    """Check that a session is its user's: the identity is the one seen first, and no other user's."""
    whoami = state.profile.auth.whoami
    if whoami is None or result.status != 200 or not result.step.session:
        return None
    user, found = result.step.user, resolve(result.exchange.data, whoami.field)
    if found is MISSING:
        return None
    known = state.knowledge.identities.get(user, MISSING)
    expected = f"{whoami.field} is {as_json(known)}"
    if known is MISSING:
        login_name = state.profile.users[user].user
        twins = [
            other
            for other, identity in state.knowledge.identities.items()
            if equal(identity, found) and state.profile.users[other].user != login_name
        ]
        if not twins:
            state.knowledge.identities[user] = found
            return None
        expected = f"{whoami.field} is not that of {twins[0]}"
    elif equal(known, found):
        return None
    return state.disagreement(result, "session other", expected, f"{whoami.field} is {as_json(found)}")
