"""Binds the symbols of a case to this target: users, sessions, secrets, and objects that are created where needed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from typing import Any

from conformance.cases.format import Case, Step, escaped, symbol
from conformance.cases.symbol_writer import in_case
from conformance.engine.not_judged import LINES, NotJudgedError
from conformance.engine.runner import Run
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import Session, SetUpFailedError
from conformance.schema.pointer import MISSING, resolve

__all__ = ["CaseBinding", "UnplayableError"]

#: A password that no user has.
WRONG_PASSWORD = "conform-nobodys-secret"  # noqa: S105  (no one's password)

#: The text that a token of nobody repeats up to its length.
TOKEN_OF_NOBODY = "conformNobodysSession0"  # noqa: S105  (no one's token)


class UnplayableError(NotJudgedError):
    """A case cannot be played on this target: the reason, and the lines to add to the profile so that it can."""


class CaseBinding:
    """The users, sessions, secrets and objects of this target that stand for those of a case."""

    def __init__(self, run: Run, case: Case) -> None:
        """Choose a user of the profile for each user of the case."""
        self.run = run
        self._users = self._users_of(case)
        self._resources: dict[str, Any] = {}
        self._sessions: dict[tuple[str, int], Session] = {}
        self._key_login: dict[str, str] | None = None
        #: Objects that a step of the case creates.
        self._created_by_steps = {step.gives for step in case.steps if step.gives}

    def begin_step(self) -> None:
        """Forget the values of the last login by key: they are the same throughout one step."""
        self._key_login = None

    # -- users and sessions ------------------------------------------------------------------------------------

    def _users_of(self, case: Case) -> dict[str, str]:
        """Return for each user of the case one of the profile: of the same name, else one with the same roles."""
        profile_users = self.run.profile.users
        bound = {name: name for name in case.users if name in profile_users}
        for name, roles in case.users.items():
            if name in bound:
                continue
            alike = (
                other
                for other, user in profile_users.items()
                if other not in bound.values() and set(user.roles) == set(roles)
            )
            found = next(alike, None)
            if found is not None:
                bound[name] = found
        return bound

    def user(self, name: str) -> str:
        """Return the profile's user that stands for one of the case.

        Raises:
            UnplayableError: there is none.

        """
        if self.run.profile.auth.login is None:
            raise UnplayableError("the profile does not say how to sign in", LINES["login"])
        if name in self._users:
            return self._users[name]
        if name in self.run.profile.users:
            return name
        raise UnplayableError(
            f"the profile has no user {name!r}, and none with the same roles",
            f'[users.{name}]\nuser = "…"\nsecret = "${{…}}"' if name.isidentifier() else None,
        )

    def session(self, name: str, number: int) -> Session:
        """Return a session of a user of the case; number 0 is the one that all tests of the run use.

        Raises:
            UnplayableError: the user cannot be signed in.

        """
        user = self.user(name)
        try:
            if number == 0:
                return self.run.sessions.of(user)
            key = (user, number)
            if key not in self._sessions:
                self._sessions[key] = self.run.sessions.sign_in(user)
            return self._sessions[key]
        except SetUpFailedError as error:
            raise UnplayableError(error.reason) from error

    def token(self, step: Step) -> str:
        """Return the value of a step's Token header that is not a session.

        An altered token may be a valid one by chance. Then other sessions are opened.
        """
        found = symbol(step.token)
        if found is not None and found[0] == "$session" and not found[1].keys() & {"from", "cut", "case"}:
            return str(self.value(step.token))
        for _ in range(8):
            token = str(self.value(step.token))
            if token not in self.run.secret_registry.sessions():
                return token
            self.run.sessions.drop()
        return token

    def learn(self, step: Step, exchange: Exchange) -> None:
        """Note the object or the session that a step was to create."""
        method = self.run.catalog.methods.get(step.function or "")
        if step.gives and method is not None and method.object is not None and exchange.succeeded:
            identifier = resolve(exchange.data, method.object.id)
            if identifier is not MISSING and not isinstance(identifier, dict | list | None):
                self._resources[step.gives] = identifier
        if step.opens is not None and step.user is not None:
            token = self.run.sessions.session_value(exchange)
            if isinstance(token, str) and token:
                user = self.user(step.user)
                self._sessions[(user, step.opens)] = Session(user, token)

    # -- objects -----------------------------------------------------------------------------------------------

    def stands_for(self, identifier: Any) -> bool:
        """Return whether an identifier stands for an object of the case."""
        return identifier in self._resources.values()

    def _resource(self, record: dict[str, Any]) -> Any:
        """Return the identifier of an object of the case; create the object if need be."""
        name, kind = record["name"], record["kind"]
        if name in self._resources:
            return self._resources[name]
        if name in self._created_by_steps:
            raise UnplayableError(f"{name} was to be made by a step that made none")
        user = self.user(record["of"])
        deleted = record.get("state") == "deleted"
        run = self.run
        if deleted and not run.writable:
            raise UnplayableError(f"a deleted {kind} is needed, and nothing may be written here")
        try:
            resource = self._created(kind, user, record.get("with")) or run.resources.new(kind, user)
            if deleted:
                why = None if resource.made else f"no {kind} can be made here to be deleted"
                why = why or run.resources.remove(resource)
                if why is not None:
                    raise UnplayableError(f"no deleted {kind} can be had: {why}")
        except SetUpFailedError as error:
            raise UnplayableError(error.reason) from error
        self._resources[name] = resource.id
        return resource.id

    def _created(self, kind: str, user: str, data: Any) -> Any:
        """Create an object with the data that the case records; return None where the target refuses it."""
        resources = self.run.resources
        create = resources.creator(kind, user)
        if create is None or data is None:
            return None
        sent = self.value(data)
        return resources.learn(resources.call(create, sent, user), create, sent, user)

    # -- values ------------------------------------------------------------------------------------------------

    def value(self, value: Any) -> Any:
        """Return a value of the case with what its symbols stand for.

        Raises:
            UnplayableError: something is not available here.

        """
        found = symbol(value)
        if found is not None:
            return self._symbol(*found)
        if isinstance(value, dict):
            return {name: self.value(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.value(each) for each in value]
        return value

    def _symbol(self, name: str, argument: Any) -> Any:
        if name == "$object":
            return self._resource(argument)
        if name == "$user":
            return self.run.profile.users[self.user(argument)].user
        if name == "$secret":
            return self._secret(argument)
        if name == "$session":
            return _altered(self.session(argument["of"], argument.get("session", 0)).token, argument)
        if name == "$token":
            return (TOKEN_OF_NOBODY * (argument // len(TOKEN_OF_NOBODY) + 1))[:argument]
        if name == "$base":
            address = self.run.client.address
            return address.authority if argument == "authority" else address.path
        if name == "$literal":
            return argument
        if name == "$escaped":
            return escaped(str(self.value(argument)))
        data = self.bytes(argument if name == "$text" else [{name: argument}])
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def _secret(self, argument: Any) -> str:
        registry = self.run.secret_registry
        if argument == "wrong":
            # It counts as a password: no answer may repeat it either.
            registry.password(WRONG_PASSWORD)
            return WRONG_PASSWORD
        of = argument if isinstance(argument, str) else str(argument["of"])
        if of.startswith("auth.key_login."):
            key = self.run.profile.auth.key_login
            if key is None:
                raise UnplayableError("the profile does not say how to sign in with a key", LINES["key"])
            name = of.rpartition(".")[2]
            text = key.public if name == "public" else self._key_login_values()[name]
        else:
            name = of.removeprefix("users.").removesuffix(".secret")
            text = self.run.profile.users[self.user(name)].secret
        if isinstance(argument, dict):
            text = _altered(text, argument)
            if not of.startswith("auth."):
                registry.password(text)
        return text

    def _key_login_values(self) -> dict[str, str]:
        """Return the values of a login by key, the same throughout one step."""
        if self._key_login is None:
            self._key_login = self.run.sessions.key_login_data(str(int(time.time() * 1000)))
        return self._key_login

    def bytes(self, pieces: str | dict[str, Any] | Sequence[Any]) -> bytes:
        """Return a text of the case, or its pieces, as the bytes that are sent."""
        if isinstance(pieces, str):
            return pieces.encode("utf-8", "surrogatepass")
        if isinstance(pieces, dict):
            found = symbol(pieces)
            return self.bytes(found[1] if found and found[0] == "$text" else [pieces])
        out = b""
        for piece in pieces:
            found = symbol(piece)
            if found is not None and found[0] == "$bytes":
                out += base64.b64decode(found[1])
            else:
                value = self.value(piece)
                text = value if isinstance(value, str) else json.dumps(value)
                out += text.encode("utf-8", "surrogatepass")
        return out


def _altered(text: str, how: dict[str, Any]) -> str:
    """Return a secret that is not quite right: "case" in another case, "from" and "cut" a part of it."""
    text = in_case(text, how["case"]) if "case" in how else text
    return text[how.get("from", 0) : how.get("cut", len(text))]
