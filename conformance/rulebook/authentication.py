"""Rules on login, sessions and logout."""

from __future__ import annotations

from conformance.rulebook.model import Example, Level, suite_rule

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
    causes="The login answers a success without an identifier, puts it under another name or into a cookie or "
    "header, or makes it a number.",
    remedy="Return the identifier as a non-empty string at `data.sessionId`, or correct `session` in `[auth]` "
    "of the profile if the API puts it elsewhere.",
    example=Example(
        sent="auth.login with the right credentials",
        right='200 {"data":{"sessionId":"9f…"}}',
        wrong='200 {"data":{"ok":true}}',
    ),
)

suite_rule(
    id="AUT-2",
    level=Level.MUST,
    clause=_LOGIN,
    title="Wrong credentials give no session",
    why="A password that need not match in case, in length or at all protects nobody; "
    "nor does a name that is looked up as a pattern.",
    causes="Passwords are compared without regard to case, after trimming, up to a length (bcrypt ends at 72 "
    "bytes or at U+0000), or loosely (`==` with an array or a number); the name is looked up with "
    "LIKE, a regular expression or a query operator; a missing user crashes the comparison.",
    remedy="Check that both credentials are strings that are not empty. Look the user up by equality, compare "
    "with the library's own verify function on the unchanged bytes, and answer 401 in every other case.",
    example=Example(
        sent="auth.login with the password's first letters only",
        right="401 without a session",
        wrong="200 with a session, or 500",
    ),
)

suite_rule(
    id="AUT-3",
    level=Level.MUST,
    clause=_TOGETHER,
    title="The session works with any later call",
    why="Clients keep one session for hours, over many connections and behind load balancers; "
    "a login of somebody else's that fails inside it must not end it.",
    causes="Sessions live in the memory of one process behind a load balancer; the lifetime is very short or "
    "is not prolonged by calls; a session is bound to a connection or an endpoint; an error, a failed "
    "login or another user's login clears it.",
    remedy="Keep sessions in a store that all processes share, with a lifetime of hours that each call "
    "prolongs. End a session only at its own logout. The finding names the call after which the "
    "session was refused: look at what that call does.",
    example=Example(
        sent="a protected function with a session, after other calls",
        right="200",
        wrong="401",
    ),
)

suite_rule(
    id="AUT-4",
    level=Level.MUST,
    clause=_REQUIRED,
    title="Every protected function without a token is refused with 401",
    why="One function that forgot to ask is an open door, and clients know by 401 that they must sign in. "
    "Headers that a proxy would set can be set by anyone.",
    causes="Each function asks for the session on its own and one forgot; a middleware lists protected paths "
    "and misses a spelling; headers such as `X-Forwarded-User` or `X-Role` are trusted from anyone.",
    remedy="Require a session in the dispatcher by default and list the public functions. Drop identity "
    "headers at the edge, and trust them only from the proxy's address.",
    example=Example(
        sent="a protected function without Token",
        right="401",
        wrong="200, 400 or 500",
    ),
)

suite_rule(
    id="AUT-5",
    level=Level.MUST,
    clause=_REQUIRED,
    title="A token that no login gave is refused with 401",
    why="A token that is only compared in part, or looked up by pasting it into a query, lets strangers in; "
    "so does one whose claims are believed without a signature.",
    causes="The token is compared in part or without regard to case; it is pasted into a query; a lookup in a "
    "plain object finds `constructor` or `__proto__`; claims of a JWT are read without verifying the "
    "signature, or `alg: none` is accepted; a token that cannot be decoded crashes.",
    remedy="Look the token up by exact equality in a Map or with a bound parameter. Verify signed tokens with "
    "a fixed algorithm, and answer 401 for whatever cannot be decoded.",
    example=Example(
        sent="Token: constructor",
        right="401",
        wrong="200 or 500",
    ),
)

suite_rule(
    id="AUT-6",
    level=Level.MUST,
    clause="Available functions: «the majority of function will require authentication», the others do not",
    title="A public function works without a token",
    why="Whoever has no session yet must be able to sign in, sign up and look around.",
    causes="The check for a session stands before every function, the login included; the catalogue calls a "
    "function public that the code protects.",
    remedy="Leave functions declared `x-auth: none` out of the check, or correct the catalogue.",
    example=Example(
        sent="a public function without Token",
        right="200",
        wrong="401",
    ),
)

suite_rule(
    id="AUT-7",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="A public function with an unknown token works, or is refused with 401",
    why="A client whose session has ended still sends its token, most of all when it signs in again.",
    causes="A token is looked up before the function is known, and a token without a session crashes or is "
    "answered 400 or 403.",
    remedy="For public functions ignore the token, or answer 401 as everywhere else.",
    example=Example(
        sent="auth.login with Token: <expired>",
        right="200 or 401",
        wrong="400, 403 or 500",
    ),
)

suite_rule(
    id="AUT-8",
    level=Level.MUST,
    clause=_TOGETHER,
    title="After logout the token is refused with 401",
    why="Who signs out at a shared computer trusts that the session is over, not only forgotten there.",
    causes="Logout only clears a cookie or tells the client to forget the token; signed tokens are valid "
    "until they expire; sessions are cached and the cache is not cleared.",
    remedy="Delete the session on the server at logout, in every cache too. Give signed tokens an identifier "
    "and keep a list of those that were ended.",
    example=Example(
        sent="a protected function with the token after logout",
        right="401",
        wrong="200",
    ),
)

suite_rule(
    id="AUT-9",
    level=Level.MUST,
    clause=_LOGIN,
    title="Two logins of one user give two sessions, and both work",
    why="People use a phone and a computer; with one session for both, signing out of one ends the other. "
    "Logins in the same instant must not share one either.",
    causes="The identifier is derived from the user (a hash of the name, a column in the table of users) or "
    "the second login replaces the first; the identifier is made from the time, so that two logins at "
    "once share it.",
    remedy="Draw a new random identifier at each login and store sessions in a table of their own, several "
    "for each user.",
    example=Example(
        sent="two logins of one user, then one call in each session",
        right="two different sessions, 200 and 200",
        wrong="one identifier twice, or 401 for the first",
    ),
)

suite_rule(
    id="AUT-10",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="Ending one session leaves the user's others",
    why="Signing out on the phone must not lose what is open on the computer.",
    causes="Logout deletes all sessions of the user instead of the one that the call was made in.",
    remedy="Delete by the session's identifier, not by the user. Offer «log out everywhere» as another "
    "function.",
    example=Example(
        sent="logout in one of two sessions, then a call in the other",
        right="200",
        wrong="401",
    ),
)

suite_rule(
    id="AUT-11",
    level=Level.MUST,
    clause=_TOGETHER,
    title="Sessions do not mix",
    why="A user kept in a global, a pooled connection or a cache answers one user with another's data, "
    "and only when calls interleave.",
    causes="The current user stands in a global variable, a module, a class attribute or a pooled connection; "
    "a cache of responses has no user in its key; an asynchronous handler reads shared state after an "
    "await.",
    remedy="Pass the user along as an argument or in request-scoped state (contextvars, AsyncLocalStorage, "
    "`context.Context`). Put the session into the key of every cache.",
    example=Example(
        sent="concurrent calls of auth.status in two sessions",
        right="each its own user",
        wrong="the other's user now and then",
    ),
)

suite_rule(
    id="AUT-12",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="An unknown user and a wrong password are answered alike",
    why="The difference tells strangers which addresses have an account.",
    causes="The user is looked up first and a missing one has its own message or status.",
    remedy="Answer both cases with the same status and message, and compute a dummy hash for an unknown user "
    "so that the time is alike too.",
    example=Example(
        sent="auth.login as nobody@example.com, and with a wrong password",
        right="401 «Wrong name or password» twice",
        wrong="404 «No such user» and 401 «Wrong password»",
    ),
)

suite_rule(
    id="AUT-13",
    level=Level.MUST,
    clause=_LOGIN,
    title="A login does not adopt a token of the client's choosing",
    why="Whoever plants a token before the victim signs in would share the session afterwards (fixation). "
    "A token that was logged out is such a token.",
    causes="The login reuses the session that the request's token names, or creates one under the given token "
    "if there is none (PHP without `session.use_strict_mode`).",
    remedy="Always draw a new identifier at login and ignore the token of the request "
    "(`session_regenerate_id(true)`).",
    example=Example(
        sent="auth.login with Token: chosen-by-client",
        right="a sessionId of the server's own; chosen-by-client stays unknown",
        wrong="chosen-by-client is a session afterwards",
    ),
)

suite_rule(
    id="AUT-14",
    level=Level.SHOULD,
    clause="hardening (Authentication)",
    title="Session identifiers cannot be guessed",
    why="A counter or a time stamp in place of chance lets anybody count on to the next user's session.",
    causes="Identifiers are counters, times, `Math.random()`, `rand()` or hashes of the user and the time.",
    remedy="Draw at least 16 bytes from the system's secure source: `secrets.token_urlsafe()`, "
    "`crypto.randomBytes(32)`, `crypto/rand`, `random_bytes(32)`.",
    example=Example(
        sent="200 logins",
        right="200 identifiers without a pattern",
        wrong="s-1001, s-1002, s-1003, …",
    ),
)

suite_rule(
    id="AUT-15",
    level=Level.SHOULD,
    clause=f"hardening ({_TOKEN})",
    title="The session identifier is taken from the Token header alone",
    why="Identifiers in addresses end up in logs and referrers; cookies are sent by other sites too.",
    causes="The framework's session support reads a cookie, or a helper merges query string, body and headers "
    "into one set of parameters.",
    remedy="Read the identifier from the header `Token` alone, and switch off cookie sessions for the API.",
    example=Example(
        sent="POST course?Token=<session> without the header",
        right="401",
        wrong="200",
    ),
)

suite_rule(
    id="AUT-16",
    level=Level.MUST,
    clause="wire (Authentication: auth.loginHmac, HMAC-SHA1 over public key, time and random)",
    title="Key login: a right signature gives a session, anything else none",
    why="Integrations sign in with keys; a signature that is not checked makes the public key a password.",
    causes="The signature is computed and not compared, or compared without a constant length; a missing "
    "value is signed as an empty text; the values are read from headers or from `data`, but not from "
    "both; the key is looked up and the rest is not checked.",
    remedy="Compute HMAC-SHA1 (hex) over public key + time + random with the private key, exactly as they "
    "were sent, compare with a constant-time function, and refuse if any of the four values is missing "
    "or the key is unknown.",
    example=Example(
        sent="auth.loginHmac with one digit of the signature changed",
        right="401 without a session",
        wrong="200 with a session",
    ),
)
