"""Sends the steps of scripts to the target: names become identifiers and sessions, results go to the model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from conformance.engine.context import TestContext
from conformance.helpers.comparison import bound
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.entities import Disagreement, Knowledge
from conformance.stateful.model import Model
from conformance.stateful.script import Step, StepResult, put_in

__all__ = ["OLDEST", "ScriptExecutor"]

#: Suffix of a user's name for the session that they had before the script. No script closes it.
OLDEST = "/oldest"


class ScriptExecutor:
    """Send steps to the target and compare it with a model. `transcript` has the result of every step."""

    def __init__(self, ctx: TestContext, knowledge: Knowledge) -> None:
        self.ctx = ctx
        self.model = Model(ctx.catalog, ctx.profile, knowledge)
        self.transcript: list[StepResult] = []
        self._shortened = 0
        self._tokens: dict[str, str] = {}

    def execute(self, group: Sequence[Step]) -> Disagreement | None:
        """Send a step, or several at the same time; return where the target and the model disagree, or None.

        Steps on objects that do not exist in this run of the script are left out.

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
            # The model judges what a logout does to the user's other sessions. A 401 there is not a sign of a reset.
            settled = not any(each.does == "logout" and each.user == step.user for each in group)
            calls.append((step, sent, page, functools.partial(self._send, step, sent, page, settled=settled)))
        exchanges = self.ctx.together([call for *_, call in calls], at_once=len(calls))
        results = [
            StepResult(step, sent, exchange, page)
            for (step, sent, page, _), exchange in zip(calls, exchanges, strict=True)
        ]
        for each in results:
            if each.step.does == "login":
                self._store_token(each)
            self._count(each)
        # Earlier responses are shortened, since an exploration may receive many large ones.
        for number in range(self._shortened, len(self.transcript)):
            past = self.transcript[number]
            self.transcript[number] = replace(past, exchange=past.exchange.brief())
        self._shortened = len(self.transcript)
        self.transcript += results
        return self.model.take(results)

    def _send(
        self, step: Step, sent: Any, page: tuple[int, int] | None = None, *, settled: bool = True
    ) -> Exchange:
        """Send the call of a step and return its exchange."""
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

    def _count(self, result: StepResult) -> None:
        """Report a call to the coverage of functions and payloads."""
        step = result.step
        method = self.ctx.catalog.methods.get(step.function)
        if method is not None and step.does not in ("login", "logout", "whoami"):
            sound = step.valid and step.does in ("create", "update") and step.session != ""
            self.ctx.run.coverage.add(
                step.function,
                "sequence",
                result.status,
                valid=True if sound and result.status == 200 else None,
                beyond=sound and method.beyond_schema and result.status == 400,
            )

    # -- sessions ------------------------------------------------------------------------------------------------

    def login(self, session: str) -> Step:
        """Return the step that opens a session of this name."""
        user = session.partition("/")[0]
        sessions = self.ctx.sessions
        return Step(session, "login", sessions.login.function, sessions.credentials(user))

    def sign_in(self, session: str) -> None:
        """Open a session that a script uses without a login step.

        The user's oldest session exists already. Whether it is still valid is not known.

        Raises:
            SetUpFailedError: it is refused, or gives no session.

        """
        if session.endswith(OLDEST):
            self._tokens[session] = self.ctx.sessions.oldest(session.partition("/")[0]).token
            self.model.sessions[session] = "uncertain"
            return
        step = self.login(session)
        exchange = self._send(step, step.data)
        result = StepResult(step, step.data, exchange)
        self._store_token(result)
        self.model.take([result])

    def _store_token(self, result: StepResult) -> None:
        """Store the token that a login gave.

        Raises:
            SetUpFailedError: the login was refused, or gave no token.

        """
        token = self.ctx.sessions.session_value(result.exchange)
        if result.status != 200 or not isinstance(token, str) or not token:
            raise SetUpFailedError(
                f"could not sign in as {result.step.user}: {result.step.function} gave "
                f"{result.exchange.summary()}",
                result.exchange,
            )
        self._tokens[result.step.session] = token

    # -- clean-up -----------------------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Delete what the script created, the latest first, and close its sessions."""
        ctx, model = self.ctx, self.model
        for entity in reversed(list(model.entities.values())):
            resource = ctx.resources.resource(entity.kind, entity.id, entity.owner)
            delete = ctx.catalog.delete(entity.kind)
            if entity.state == "gone" and not entity.lost:
                ctx.resources.forget(entity.kind, entity.id)
                continue
            if (
                not entity.created
                or delete is None
                or resource.gone
                or not ctx.resources.may_call(entity.owner, delete)
            ):
                continue
            resource.sent = resource.sent or entity.sent
            try:
                token = self._open_token(entity.owner)
                exchange = ctx.call(delete, bound(ctx, delete, resource), as_=entity.owner, token=token)
            except SetUpFailedError:
                continue
            if exchange.status == 404 or (exchange.status in (400, 403) and entity.state == "uncertain"):
                ctx.resources.forget(entity.kind, entity.id)
        logout = ctx.profile.auth.logout
        if logout is not None:
            for session, token in self._tokens.items():
                if model.sessions.get(session) != "ended" and not session.endswith(OLDEST):
                    ctx.caller.call(logout, user=session.partition("/")[0], token=token, in_session=False)

    def _open_token(self, user: str) -> str:
        """Return the token of an open session of the user; one is opened where there is none."""
        for session, token in self._tokens.items():
            if session.partition("/")[0] == user and self.model.sessions.get(session) == "open":
                return token
        name = f"{user}/end"
        self.sign_in(name)
        return self._tokens[name]
