"""ENV: «Responses structure», and the other rules that one exchange is enough to judge.

They are judged on every exchange of a run, whatever it was sent for. The conversation here makes sure that each
function was heard in each of the ways in which it can answer; the last tests say what came of it.
"""

from __future__ import annotations

from conformance.protocol.catalog import Method
from conformance.rulebook import RULES
from conformance.run import Talk
from conformance.suite import Scope, each_endpoint, each_function, judges, on

PURE = tuple(rule.id for rule in RULES.values() if rule.check)


@judges(*PURE)
@each_function(silent=True)
def test_each_way_to_answer(talk: Talk, function: Method) -> None:
    """A success, a refusal for its data, one for want of a session, one for want of a right."""
    talk.call(function, talk.data_for(function, None))
    users = talk.estate.callers(function) if talk.somebody() else []
    if users:
        talk.call(function, talk.data_for(function, users[0]), as_=users[0])
        talk.call(function, [], as_=users[0])
        talk.call(function, {param.name: {"no": []} for param in function.params} or "x", as_=users[0])
        if function.rows is not None:
            talk.call(function, talk.data_for(function, users[0]), as_=users[0], page_length=2)
    for user in talk.profile.users if talk.somebody() else ():
        if user not in users:
            talk.call(function, talk.data_for(function, user), as_=user)
            break


@judges(*PURE)
@each_endpoint()
def test_each_endpoint_in_short(talk: Talk, endpoint: str) -> None:
    """An unknown function, an unreadable body, no object, no method."""
    endpoint = endpoint or talk.guess() or talk.unknown_name()
    user = talk.somebody()
    talk.call(f"{endpoint}.{talk.unknown_name()}", {}, as_=user)
    for body in (b"{", b"[]", b"{}"):
        talk.caller.call(f"{endpoint}.", body=body)


@judges(*PURE)
@on(Scope("rule", lambda run: [rule for rule in PURE if rule in run.options.rules]))
def test_every_exchange(talk: Talk, rule: str) -> None:
    """What the exchanges of the whole run say of a rule; this runs last."""
    if not talk.run.referee.total_judged[rule]:
        talk.give_up("no exchange of this run was of a kind that it speaks of")
