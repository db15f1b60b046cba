"""Functions of the lending library for sessions, the desk and readers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Any

from tests.servers.library_dispatch import Dispatch
from tests.servers.library_model import (
    KEY_PARTS,
    KEYS,
    Call,
    Item,
    Refused,
    Request,
    Session,
    User,
    digest,
    injected,
    now,
)


class Readers(Dispatch):
    """Sessions, the desk and readers."""

    # -- sessions -----------------------------------------------------------------------------------

    def new_session(self, user: User, request: Request) -> dict[str, Any]:
        """Open a session, and the data that says so."""
        token = secrets.token_urlsafe(24)
        if self.bug("session-sequential"):
            self.counter += 1
            token = f"visit-{self.counter:012d}"
        if self.bug("session-from-clock"):
            self.counter += 1
            token = f"{time.time_ns() // 1000:016x}{self.counter:04x}"
        if self.bug("session-32-bits"):
            token = "library-visit-" + secrets.token_hex(4) + "-0000000000000000"
        if self.bug("session-of-the-user"):
            for known, session in self.sessions.items():
                if session.user is user:
                    token = known
        if self.bug("token-adopted-by-login") and request.values("token"):
            token = request.values("token")[0] or token
        if self.bug("one-session-per-user"):
            for known in [known for known, session in self.sessions.items() if session.user is user]:
                del self.sessions[known]
        self.sessions[token] = Session(user, request.peer)
        result: dict[str, Any] = {"ticket": {"id": token, "since": now()}}
        if self.bug("session-not-text"):
            result["ticket"]["id"] = ""
        return result

    def do_session_open(self, call: Call) -> Any:
        """Sign in with name and pass phrase."""
        name, phrase = call.data["userName"], call.data["passPhrase"]
        user = self.users.get(name)
        if user is None:
            if self.bug("unknown-user-told"):
                raise Refused(403, "There is no such reader.")
            if self.bug("unknown-user-401"):
                raise Refused(401, "The name or the pass phrase is wrong.")
        known = self.phrases.get(name, "")
        right = user is not None and hmac.compare_digest(digest(phrase), user.digest)
        if user is not None:
            if self.bug("pass-phrase-in-any-case"):
                right = right or phrase.lower() == known.lower()
            if self.bug("pass-phrase-first-8"):
                right = right or phrase[:8] == known[:8]
            if self.bug("pass-phrase-prefix"):
                right = right or known.startswith(phrase)
            if self.bug("pass-phrase-sql"):
                right = right or injected(phrase)
        if user is None or not right:
            raise Refused(403, "The name or the pass phrase is wrong.")
        result = self.new_session(user, call.request)
        if self.bug("pass-phrase-echoed"):
            result["ticket"]["credentials"] = {"userName": name, "passPhrase": phrase}
        return result

    def do_session_openKey(self, call: Call) -> Any:  # noqa: N802
        """Sign in with a signature."""
        parts = {key: call.data[key] for key in KEY_PARTS if key in call.data}
        if not parts and not self.bug("key-login-headers-dead"):
            for key in KEY_PARTS:
                sent = call.request.values("x-coursio-" + key)
                if len(sent) == 1:
                    parts[key] = sent[0]
        if len(parts) != len(KEY_PARTS) or not all(parts.values()):
            if not (self.bug("key-login-unsigned") and parts.get("apikey") in KEYS):
                raise Refused(400, "A value of the signature is missing.")
            return self.new_session(self.users["marian"], call.request)
        private, name = KEYS.get(parts["apikey"], (secrets.token_hex(8), ""))
        signed = (parts["apikey"] + parts["time"] + parts["random"]).encode("utf-8", "replace")
        right = hmac.new(private.encode(), signed, hashlib.sha1).hexdigest()
        given = parts["hmac"].encode("utf-8", "replace")
        good = hmac.compare_digest(right.encode(), given)
        if self.bug("key-login-first-half"):
            good = right[:20].encode() == given[:20]
        if not good or not name:
            if self.bug("key-login-wrong-500"):
                raise Refused(500, "Something went wrong.")
            raise Refused(403, "The signature is wrong.")
        return self.new_session(self.users[name], call.request)

    def do_session_close(self, call: Call) -> Any:
        """Sign out."""
        if self.bug("logout-does-nothing"):
            return None
        if self.bug("logout-ends-all"):
            for known in [known for known, session in self.sessions.items() if session.user is call.user]:
                del self.sessions[known]
        if self.bug("logout-only-here"):
            self.sessions[call.token or ""].calls = -1000
            return None
        self.sessions.pop(call.token or "", None)
        return None

    def _reader(self, user: User) -> dict[str, Any]:
        return {"handle": user.name, "nickname": user.nickname, "roles": sorted(user.roles)}

    def do_session_whoAmI(self, call: Call) -> Any:  # noqa: N802
        """Whose session it is."""
        if self.bug("logout-only-here") and self.sessions[call.token or ""].calls < 0:
            raise Refused(401, "Sign in first.")
        reader = self._reader(call.caller)
        if self.bug("other-sessions-shown"):
            others = [token for token, session in self.sessions.items() if session.user is not call.user]
            reader["visitors"] = others[-20:]
        return {"reader": reader}

    # -- the desk and the readers -------------------------------------------------------------------

    def do_desk_hours(self, _call: Call) -> Any:
        """When the library is open."""
        return {"hours": {"mon_fri": "9-18", "Saturday": "10-14", "24 dec": "-"}, "closedToday": False}

    def do_desk_news(self, _call: Call) -> Any:
        """What is new."""
        return [{"newsId": number, "headline": f"Item number {number}"} for number in range(30, 18, -1)]

    def do_reader_list(self, _call: Call) -> Any:
        """All readers."""
        return [{"handle": user.name, "nickname": user.nickname} for user in self.users.values()]

    def do_reader_get(self, call: Call) -> Any:
        """One reader."""
        user = self.users.get(call.data["handle"])
        if user is None:
            raise Refused(403, "There is no such reader.")
        return {"reader": self._reader(user)}

    def do_reader_change(self, call: Call) -> Any:
        """Choose a nickname."""
        asked = call.extra.get("roles", call.extra.get("role"))
        for role in asked if isinstance(asked, list) else [asked]:
            if isinstance(role, str):
                call.caller.roles.add(role)
        call.caller.nickname = call.data["nickname"]
        return {"reader": self._reader(call.caller)}

    # -- what users enter ---------------------------------------------------------------------------

    def _owner(self, call: Call) -> User:
        for name in call.extra.values():
            if isinstance(name, str) and name in self.users:
                return self.users[name]
        return call.caller

    def _own(self, call: Call, kind: str, key: Any) -> Item:
        """The caller's object, or the refusal."""
        stores: dict[str, dict[Any, Item]] = {
            "book": self.books,
            "shelf": self.shelves,
            "loan": self.loans,
            "remark": self.remarks,
        }
        store = stores[kind]
        item = store.get(key)
        verb = call.name.split(".")[1]
        if item is None or item.gone:
            if verb == "destroy" and f"{kind}:{key}" in self.gone:
                raise Refused(403, f"The {kind} is gone.")
            if self.bug("unknown-identifier-crash") and kind == "shelf" and key >= 2**31:
                raise Refused(500, "Something went wrong.")
            status = {"book": 400, "remark": 404}.get(kind, 403)
            raise Refused(status, f"There is no such {kind}.")
        if item.owner is not call.user:
            if self.bug("others-book-readable") and call.name == "book.get":
                return item
            if self.bug("others-loan-destroyable") and call.name == "loan.destroy":
                return item
            if self.bug("others-shelf-changed-unseen") and call.name == "shelf.change":
                item.values.update({key: value for key, value in call.data.items() if key != "shelfId"})
            if self.bug("others-shelf-400") and verb == "get" and kind == "shelf":
                raise Refused(400, "There is no such shelf.")
            librarian = call.user is not None and "librarian" in call.user.roles
            if self.bug("librarian-destroys-books") and call.name == "book.destroy" and librarian:
                return item
            if self.bug("one-function-open") and call.user is None:
                return item
            raise Refused(403, f"The {kind} is not yours.")
        return item

    def _refer(self, call: Call, shelf: Any) -> None:
        if shelf is not None:
            self._own(Call("shelf.get", {}, call.user, None, call.request), "shelf", shelf)

    def _mine(self, call: Call, store: dict[Any, Item]) -> list[dict[str, Any]]:
        return [item.values for item in list(store.values()) if item.owner is call.user]
