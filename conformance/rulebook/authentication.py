"""Rules on login, sessions and logout."""

from __future__ import annotations

from conformance.rulebook.model import Level, suite_rule

_LOGIN = "Authentication: «If user login was successful the server sends back the session identifier»"
_REQUIRED = "HTTP response codes: «Function requires proper authentication»"
_TOGETHER = "Authentication: «sent together with any API call to work within the same login session»"
_TOKEN = "Authentication: «Identifier is sent in an HTTP header Token»"  # noqa: S105  (a quote)

suite_rule(
    id="AUT-1",
    level=Level.MUST,
    clause=_LOGIN,
    title="The right credentials give a session",
    why="Without a session identifier nothing behind a login can be called at all.",
)

suite_rule(
    id="AUT-2",
    level=Level.MUST,
    clause=_LOGIN,
    title="Wrong credentials give no session",
    why="A password that need not match in case, in length or at all protects nobody; "
    "nor does a name that is looked up as a pattern.",
)

suite_rule(
    id="AUT-3",
    level=Level.MUST,
    clause=_TOGETHER,
    title="The session works with any later call",
    why="Clients keep one session for hours, over many connections and behind load balancers; "
    "a login of somebody else's that fails inside it must not end it.",
)

suite_rule(
    id="AUT-4",
    level=Level.MUST,
    clause=_REQUIRED,
    title="Every protected function without a token is refused with 401",
    why="One function that forgot to ask is an open door, and clients know by 401 that they must sign in. "
    "Headers that a proxy would set can be set by anyone.",
)

suite_rule(
    id="AUT-5",
    level=Level.MUST,
    clause=_REQUIRED,
    title="A token that no login gave is refused with 401",
    why="A token that is only compared in part, or looked up by pasting it into a query, lets strangers in; "
    "so does one whose claims are believed without a signature.",
)

suite_rule(
    id="AUT-6",
    level=Level.MUST,
    clause="Available functions: «the majority of function will require authentication», the others do not",
    title="A public function works without a token",
    why="Whoever has no session yet must be able to sign in, sign up and look around.",
)

suite_rule(
    id="AUT-7",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="A public function with an unknown token works, or is refused with 401",
    why="A client whose session has ended still sends its token, most of all when it signs in again.",
)

suite_rule(
    id="AUT-8",
    level=Level.MUST,
    clause=_TOGETHER,
    title="After logout the token is refused with 401",
    why="Who signs out at a shared computer trusts that the session is over, not only forgotten there.",
)

suite_rule(
    id="AUT-9",
    level=Level.MUST,
    clause=_LOGIN,
    title="Two logins of one user give two sessions, and both work",
    why="People use a phone and a computer; with one session for both, signing out of one ends the other. "
    "Logins in the same instant must not share one either.",
)

suite_rule(
    id="AUT-10",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="Ending one session leaves the user's others",
    why="Signing out on the phone must not lose what is open on the computer.",
)

suite_rule(
    id="AUT-11",
    level=Level.MUST,
    clause=_TOGETHER,
    title="Sessions do not mix",
    why="A user kept in a global, a pooled connection or a cache answers one user with another's data, "
    "and only when calls interleave.",
)

suite_rule(
    id="AUT-12",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="An unknown user and a wrong password are answered alike",
    why="The difference tells strangers which addresses have an account.",
)

suite_rule(
    id="AUT-13",
    level=Level.MUST,
    clause=_LOGIN,
    title="A login does not adopt a token of the client's choosing",
    why="Whoever plants a token before the victim signs in would share the session afterwards (fixation). "
    "A token that was logged out is such a token.",
)

suite_rule(
    id="AUT-14",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="Session identifiers cannot be guessed",
    why="A counter or a time stamp in place of chance lets anybody count on to the next user's session.",
)

suite_rule(
    id="AUT-15",
    level=Level.SHOULD,
    clause=f"hardening ({_TOKEN})",
    title="The session identifier is taken from the Token header alone",
    why="Identifiers in addresses end up in logs and referrers; cookies are sent by other sites too.",
)

suite_rule(
    id="AUT-16",
    level=Level.MUST,
    clause="wire (Authentication: auth.loginHmac, HMAC-SHA1 over public key, time and random)",
    title="Key login: a right signature gives a session, anything else none",
    why="Integrations sign in with keys; a signature that is not checked makes the public key a password.",
)
