"""Sessions in recorded traffic: which login gave a token, whose it is, and when it ended."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from conformance.protocol.profile import Login, Profile
from conformance.protocol.redaction import SecretRegistry, is_secret_member
from conformance.schema.bundle import resolve_pointer
from conformance.traffic.recorded import Recorded, is_masked
from conformance.traffic.results import Results

__all__ = ["Session", "Sessions"]

#: Sessions that are remembered; the oldest are forgotten.
MAX_SESSIONS = 10_000
#: The login that the documentation names, where the profile names none.
USUAL_LOGIN = Login("auth.login", "identity", "credential")
USUAL_LOGOUT = "auth.logout"
#: Tokens of as many logins must be refused from their first call on before AUT-3 is broken: a reset of the target ends
#: sessions, too.
MIN_REFUSED_TOKENS = 2


@dataclass(slots=True, eq=False)
class Session:
    """A session: its token, the identity that signed in (None: unknown), and the time from which it is over."""

    token: str
    identity: str | None = None
    label: str | None = None
    roles: frozenset[str] | None = None
    from_login: bool = False
    ended: float | None = None
    answers: int = 0
    refused: int = 0
    whoami: Any = None


class Sessions:
    """Follows logins, logouts and tokens, and judges what they show (AUT-1, AUT-3, AUT-8, AUT-9, AUT-11)."""

    def __init__(self, profile: Profile, results: Results, registry: SecretRegistry) -> None:
        auth = profile.auth
        self._results = results
        self._registry = registry
        self._login = auth.login or USUAL_LOGIN
        self._is_named = auth.login is not None
        self._key_login = auth.key_login.function if auth.key_login else None
        self._logout = auth.logout or USUAL_LOGOUT
        self._whoami = auth.whoami
        self._pointer = auth.session
        self._users = {user.user.strip().casefold(): user for user in profile.users.values()}
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        #: The identity of the first session that was answered as each user.
        self._owners: dict[Any, str | None] = {}
        self._refused_first = 0
        self.logins = 0
        registry.member(self._login.secret)
        registry.member(self._pointer.rpartition("/")[2])

    def is_login(self, recorded: Recorded) -> bool:
        """Return whether a call signs in."""
        return recorded.function in (self._login.function, self._key_login)

    def prepare(self, recorded: Recorded) -> Session | None:
        """Note whose call an exchange is, and what is secret in it; return its session, if its token is known."""
        exchange = recorded.exchange
        exchange.secret_registry = self._registry
        exchange.login = self.is_login(recorded)
        for name, value in recorded.arguments.items():
            is_text = isinstance(value, str) and len(value) >= 6 and not is_masked(value)
            if is_text and is_secret_member(name.encode("utf-8", "surrogatepass")):
                self._registry.add(value, lasting=False)
        token = recorded.token
        if token is None:
            return None
        if not self._registry.knows(token):
            self._registry.add(token, lasting=False)
        session = self._sessions.get(token)
        if session is None:
            session = self._remember(Session(token))
        if session.label is not None:
            exchange.user = session.label
        exchange.in_session = exchange.status != 401 and (session.from_login or recorded.accepted)
        return session

    def _remember(self, session: Session) -> Session:
        self._sessions[session.token] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    # --- what a call shows of sessions

    def observe(self, recorded: Recorded, session: Session | None, protected: bool | None) -> None:
        """Judge an exchange by what is known of its session, and note what it changes."""
        if self.is_login(recorded):
            self._observe_login(recorded)
        elif session is not None:
            if protected:
                self._observe_protected(recorded, session)
            if recorded.function == self._logout:
                if recorded.accepted and recorded.ended is not None:
                    session.ended = recorded.ended
            elif self._whoami is not None and recorded.function == self._whoami.function:
                self._observe_whoami(recorded, session)

    def _observe_protected(self, recorded: Recorded, session: Session) -> None:
        exchange = recorded.exchange
        if exchange.status not in (200, 401) or exchange.json.error is not None:
            return
        works = recorded.accepted
        if session.ended is not None:
            if recorded.at is not None and recorded.at >= session.ended:
                self._results.judge(
                    "AUT-8",
                    not works,
                    recorded,
                    kind="an ended session is accepted",
                    expected="status 401: a logout with this token succeeded before",
                )
            return
        response = exchange.response
        if response is None or response.header("WWW-Authenticate"):
            return
        session.answers += works
        session.refused += not works
        if session.from_login and works:
            self._results.judge("AUT-3", True, recorded, kind="", expected="")
        elif session.from_login and not session.answers and session.refused == 2:
            self._refused_first += 1
            if self._refused_first >= MIN_REFUSED_TOKENS:
                self._results.judge(
                    "AUT-3",
                    False,
                    recorded,
                    kind="a new session is refused",
                    expected="the token that a login gave works with any later call",
                    actual=f"{exchange.summary()}; no call with this token was accepted since its login",
                )

    def _observe_login(self, recorded: Recorded) -> None:
        exchange = recorded.exchange
        if not recorded.accepted or exchange.json.error is not None:
            return
        token = _at(exchange.data, self._pointer)
        is_token = isinstance(token, str) and bool(token)
        if self._is_named:
            self._results.judge(
                "AUT-1",
                is_token,
                recorded,
                kind="a login without a session",
                expected=f"a login that succeeds has a text that is not empty at data{self._pointer}",
                actual=f"{exchange.summary()}; there is {'another value' if token else 'none'}",
            )
        if not isinstance(token, str) or not token or is_masked(token):
            return
        self.logins += 1
        by_key = recorded.function == self._key_login
        identity = None if by_key else self._identity(recorded)
        secret = recorded.arguments.get(self._login.secret)
        if isinstance(secret, str) and not is_masked(secret) and not by_key:
            self._registry.password(secret)
        user = self._users.get(identity or "")
        label = user.name if user else identity
        self._registry.session(token, label)
        before = self._sessions.get(token)
        if before is not None and before.from_login and before.ended is None and not recorded.has_token:
            self._judge_same_token(recorded, before, identity)
        elif identity is not None:
            self._results.judge("AUT-9", True, recorded, kind="", expected="")
        self._remember(
            Session(token, identity, label, frozenset(user.roles) if user else None, from_login=True)
        )

    def _identity(self, recorded: Recorded) -> str | None:
        value = recorded.arguments.get(self._login.user)
        return value.strip().casefold() if isinstance(value, str) and value.strip() else None

    def _judge_same_token(self, recorded: Recorded, before: Session, identity: str | None) -> None:
        """Judge a login that gave a token which another login gave before, and which is not over."""
        if identity is None or before.identity is None:
            return
        if identity == before.identity:
            rule, kind = "AUT-9", "two logins give one session"
        else:
            rule, kind = "AUT-11", "the logins of two users give one session"
        self._results.judge(
            rule, False, recorded, kind=kind, expected="each login gives a session of its own", actual=kind
        )

    def _observe_whoami(self, recorded: Recorded, session: Session) -> None:
        """Judge whether a session is answered as its own user."""
        assert self._whoami is not None
        if not recorded.accepted:
            return
        value = _at(recorded.exchange.data, self._whoami.field)
        if not isinstance(value, str | int) or isinstance(value, bool) or is_masked(str(value)):
            return
        before, session.whoami = session.whoami, value
        owner = self._owners.setdefault(value, session.identity) if len(self._owners) < MAX_SESSIONS else None
        if before is None:
            return
        # A user may be renamed. What must not be is that the session becomes that of another user who signed in.
        good = before == value or None in (owner, session.identity) or owner == session.identity
        self._results.judge(
            "AUT-11",
            good,
            recorded,
            kind="a session is answered as another user",
            expected="the session is answered as its own user",
            actual=f"{self._whoami.function} names the user of another session, and named another user before",
        )


def _at(data: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer; None if there is none."""
    try:
        return resolve_pointer(data, pointer)
    except LookupError:
        return None
