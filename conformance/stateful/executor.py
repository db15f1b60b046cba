"""Scripts played against a target: names become identifiers and sessions, answers go to the model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from conformance.engine.runner import TestContext
from conformance.helpers.comparison import bound
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.model import Disagreement, Knowledge, Model, Played, Step, put_in

__all__ = ["OLDEST", "World", "groups"]

#: What is put behind a user's name for the session that he had before the script, which no script ends.
OLDEST = "/oldest"


class World:
    """A model, and the target beside it. `transcript` has every step that was played."""

    def __init__(self, ctx: TestContext, knowledge: Knowledge) -> None:
        self.ctx = ctx
        self.model = Model(ctx.catalog, ctx.profile, knowledge)
        self.transcript: list[Played] = []
        self._brief = 0
        self._tokens: dict[str, str] = {}

    def play(self, group: Sequence[Step]) -> Disagreement | None:
        """Play a step, or several at the same time, and say where the target and the model disagree.

        A step on an object that there is not in this world is left out.

        Raises:
            SetUpFailedError: a user cannot be signed in.

        """
        calls: list[tuple[Step, Any, tuple[int, int] | None, Callable[[], Exchange]]] = []
        for step in group:
            try:
                sent = put_in(step.data, lambda name: self.model.entities[name].id)
            except LookupError:
                continue
            if step.about is not None and step.does != "create" and step.about not in self.model.entities:
                continue
            if step.session and step.does != "login" and step.session not in self._tokens:
                self.sign_in(step.session)
            page = step.page
            if page is not None and page[0] < 0:
                listed = self.model.listed(step, sent)
                if listed is None:
                    continue
                page = (max(0, len(listed) + page[0]), page[1])
            # What a logout does to the user's other sessions is for the model to say; it is no sign of a reset.
            settled = not any(each.does == "logout" and each.user == step.user for each in group)
            calls.append((step, sent, page, functools.partial(self._send, step, sent, page, settled=settled)))
        exchanges = self.ctx.together([call for *_, call in calls], at_once=len(calls))
        played = [
            Played(step, sent, exchange, page)
            for (step, sent, page, _), exchange in zip(calls, exchanges, strict=True)
        ]
        for each in played:
            if each.step.does == "login":
                self._keep(each)
            self._count(each)
        # Of what came before the beginning is enough: a walk may meet many large answers.
        for number in range(self._brief, len(self.transcript)):
            past = self.transcript[number]
            self.transcript[number] = replace(past, exchange=past.exchange.brief())
        self._brief = len(self.transcript)
        self.transcript += played
        return self.model.take(played)

    def _send(
        self, step: Step, sent: Any, page: tuple[int, int] | None = None, *, settled: bool = True
    ) -> Exchange:
        ctx = self.ctx
        if step.does == "login":
            exchange, _ = ctx.sessions.attempt(sent, user=step.user)
            return exchange
        options: dict[str, Any] = {}
        if page is not None:
            options["page_start"], options["page_length"] = page
        token = self._tokens.get(step.session)
        alive = self.model.sessions.get(step.session) == "open"
        return ctx.caller.call(
            step.function,
            OMIT if sent is None else sent,
            user=step.user or None,
            token=token,
            in_session=settled and alive and token is not None,
            **options,
        )

    def _count(self, played: Played) -> None:
        step = played.step
        method = self.ctx.catalog.methods.get(step.function)
        if method is not None and step.does not in ("login", "logout", "whoami"):
            sound = step.valid and step.does in ("create", "update") and step.session != ""
            self.ctx.run.coverage.tell(
                step.function,
                "sequence",
                played.status,
                valid=True if sound and played.status == 200 else None,
                beyond=sound and method.beyond_schema and played.status == 400,
            )

    # -- sessions ------------------------------------------------------------------------------------------------

    def login(self, session: str) -> Step:
        """Return the step that begins a session of this name."""
        user = session.partition("/")[0]
        sessions = self.ctx.sessions
        return Step(session, "login", sessions.login.function, sessions.credentials(user))

    def sign_in(self, session: str) -> None:
        """Begin a session without a step of its own, as a script does that only names it.

        The user's oldest one is there already: whether it is still good is not known.

        Raises:
            SetUpFailedError: it is refused, or gives no session.

        """
        if session.endswith(OLDEST):
            self._tokens[session] = self.ctx.sessions.oldest(session.partition("/")[0]).token
            self.model.sessions[session] = "unsure"
            return
        step = self.login(session)
        exchange = self._send(step, step.data)
        played = Played(step, step.data, exchange)
        self._keep(played)
        self.model.take([played])

    def _keep(self, played: Played) -> None:
        token = self.ctx.sessions.session_value(played.exchange)
        if played.status != 200 or not isinstance(token, str) or not token:
            raise SetUpFailedError(
                f"could not sign in as {played.step.user}: {played.step.function} gave "
                f"{played.exchange.summary()}",
                played.exchange,
            )
        self._tokens[played.step.session] = token

    # -- the end -------------------------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Remove what the script made, the latest first, and end its sessions."""
        ctx, model = self.ctx, self.model
        for being in reversed(list(model.entities.values())):
            resource = ctx.resources.resource(being.kind, being.id, being.owner)
            delete = ctx.catalog.delete(being.kind)
            if being.state == "gone" and not being.missed:
                ctx.resources.forget(being.kind, being.id)
                continue
            if (
                not being.made
                or delete is None
                or resource.gone
                or not ctx.resources.may_call(being.owner, delete)
            ):
                continue
            resource.sent = resource.sent or being.sent
            try:
                token = self._living(being.owner)
                exchange = ctx.call(delete, bound(ctx, delete, resource), as_=being.owner, token=token)
            except SetUpFailedError:
                continue
            if exchange.status == 404 or (exchange.status in (400, 403) and being.state == "doubtful"):
                ctx.resources.forget(being.kind, being.id)
        logout = ctx.profile.auth.logout
        if logout is not None:
            for session, token in self._tokens.items():
                if model.sessions.get(session) != "ended" and not session.endswith(OLDEST):
                    ctx.caller.call(logout, user=session.partition("/")[0], token=token, in_session=False)

    def _living(self, user: str) -> str:
        for session, token in self._tokens.items():
            if session.partition("/")[0] == user and self.model.sessions.get(session) == "open":
                return token
        name = f"{user}/end"
        self.sign_in(name)
        return self._tokens[name]


def groups(script: Sequence[Step]) -> list[list[Step]]:
    """Return a script as it is sent: step by step, those of one number together."""
    found: list[list[Step]] = []
    for step in script:
        if step.at_once and found and found[-1][0].at_once == step.at_once:
            found[-1].append(step)
        else:
            found.append([step])
    return found
