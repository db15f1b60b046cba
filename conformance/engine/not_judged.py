"""Reasons that stop a test: nothing can be judged here, no time is left, or the target is gone."""

from __future__ import annotations

from conformance.rulebook.codes import DOCUMENTED

__all__ = ["ANSWERED", "LINES", "REFUSED", "NotJudgedError", "TargetDownError", "TimeOverError"]

#: Statuses that are documented for an answer to a call. A 5xx is no answer to it; COD-8 judges that.
ANSWERED = DOCUMENTED - {500}
#: Statuses that are documented for a refusal of a call.
REFUSED = ANSWERED - {200}

#: Lines to add to conform.toml, by what is missing in it.
LINES = {
    "catalog": '[target]\ncatalog = "catalogue.openrpc.json"',
    "login": '[auth]\nlogin = { function = "auth.login", user = "identity", secret = "credential" }',
    "logout": '[auth]\nlogout = "auth.logout"',
    "whoami": '[auth]\nwhoami = { function = "auth.status", field = "/user/email" }',
    "key": "[auth]\n"
    'key_login = { function = "auth.loginHmac", public = "${COURSIO_KEY}", private = "${COURSIO_SECRET}" }',
    "user": '[users.owner]\nuser = "owner@example.com"\nsecret = "${COURSIO_OWNER_SECRET}"\nroles = ["user"]',
    "peer": '[users.peer]\nuser = "peer@example.com"\nsecret = "${COURSIO_PEER_SECRET}"\nroles = ["user"]',
    "test": '[target]\nenvironment = "test"',
}


class NotJudgedError(Exception):
    """A rule cannot be judged here: the reason, and the lines to add to conform.toml so that it can."""

    def __init__(self, reason: str, lines: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lines = lines


class TimeOverError(NotJudgedError):
    """A rule is not judged because the run has no time left for it; the target is not to blame."""


class TargetDownError(Exception):
    """The target does not answer any more, so that nothing further can be judged."""
