"""ENV: «Responses structure», and the other rules that one exchange is enough to judge.

They are judged on every exchange of a run, whatever it was sent for. The conversation here makes sure that each
function was heard in each of the ways in which it can answer; the last tests say what came of it.
"""

from __future__ import annotations

import json

from conformance.protocol.catalog import Method
from conformance.rulebook import RULES
from conformance.run import Talk
from conformance.suite import Scope, each_endpoint, each_function, judges, on
from conformance.watch import bound

PURE = tuple(rule.id for rule in RULES.values() if rule.check)


@judges(*PURE)
@each_function(silent=True)
def test_each_way_to_answer(talk: Talk, function: Method) -> None:
    """A success, a refusal for its data, one for want of a session, one for want of a right."""
    talk.call(function, talk.data_for(function, None))
    users = talk.estate.callers(function) if talk.somebody() else []
    if users:
        user = users[0]
        valid = talk.data_for(function, user)
        talk.call(function, valid, as_=user)
        talk.call(function, [], as_=user)
        talk.call(function, {param.name: {"no": []} for param in function.params} or "x", as_=user)
        for param in function.params:
            talk.call(function, {**talk.data_for(function, user), param.name: {"no": []}}, as_=user)
        if function.effect == "read":
            talk.call(function, {**valid, "undeclaredMember": {"deep": [None]}}, as_=user)
        if function.rows is not None:
            talk.call(function, talk.data_for(function, user), as_=user, page_length=2)
        role = function.object
        if role is not None and role.does in ("read", "list") and talk.estate.creator(role.kind, user):
            # An object with nothing but what it must have reads otherwise than one that has it all.
            least = talk.estate.new(role.kind, user, optional="none")
            if role.does == "read":
                talk.call(function, bound(talk, function, least), as_=user)
            else:
                talk.call(function, valid, as_=user)
    for other in talk.profile.users if talk.somebody() else ():
        if other not in users or (function.effect == "read" and not function.params):
            talk.call(function, talk.data_for(function, other), as_=other)


@judges(*PURE)
@each_endpoint()
def test_each_endpoint_in_short(talk: Talk, endpoint: str) -> None:
    """An unknown function, an unreadable body, no object, no method."""
    endpoint = endpoint or talk.guess() or talk.unknown_name()
    user = talk.somebody()
    talk.call(f"{endpoint}.{talk.unknown_name()}", {}, as_=user)
    for body in (b"{", b"[]", b"{}"):
        talk.caller.call(f"{endpoint}.", body=body)


@judges("COD-2", "COD-8", "ENV-1")
@each_endpoint()
def test_bodies_that_break_parsers(talk: Talk, endpoint: str) -> None:
    """Depth, size, numbers and characters at which parsers and runtimes give in: any documented code will do."""
    endpoint = endpoint or talk.guess() or talk.unknown_name()
    readers = [m for m in talk.catalog.methods.values() if m.entity == endpoint and m.effect == "read"]
    for method in [*readers[:2], None]:
        user = talk.who(method) if method is not None else talk.somebody()
        token = talk.sessions.of(user).token if user is not None else None
        name = json.dumps(method.function if method is not None else talk.unknown_name()).encode()
        for data in (
            b"[" * 20_000 + b"]" * 20_000,
            b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
            b'{"a":"\\ud800"}',
            b'{"\\udfff":1}',
            b'{"a":1e400,"b":-1e400}',
            b'{"a":' + b"9" * 5000 + b"}",
            b'{"a":"' + b"x" * 200_000 + b'"}',
            b'{"a":"\\u0000"}',
            b'{"a":NaN}',
            b'{"__proto__":{"a":1},"constructor":{}}',
        ):
            talk.caller.call(
                f"{endpoint}.", user=user, token=token, body=b'{"method":' + name + b',"data":' + data + b"}"
            )


@judges(*PURE)
@on(Scope("rule", lambda run: [rule for rule in PURE if rule in run.options.rules]))
def test_every_exchange(talk: Talk, rule: str) -> None:
    """What the exchanges of the whole run say of a rule; this runs last."""
    if not talk.run.referee.total_judged[rule]:
        talk.give_up("no exchange of this run was of a kind that it speaks of")
