"""The generic injector: mechanisms of defects, put into any service that has the steps of the reference service.

The reference service and the engine of `tests/servers` have the same steps with the same arguments, which can be
replaced one by one. Nothing here knows a function or a member by name: templates take them from the catalogue.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import jsonschema_rs

from benchmarks.defect_grid.catalogue_view import (
    Function,
    Path,
    Schema,
    View,
    altered,
    altered_schema,
    at_pointer,
    bounded,
)

Call = Any
Around = Callable[..., Any]


class Host:
    """A service that is to get one defect."""

    def __init__(self, service: Any, view: View, refuse: Callable[[int, str], Exception]) -> None:
        self.service = service
        self.view = view
        self.refuse = refuse
        """Makes the service's own kind of refusal."""

    # --- steps

    def wrap(self, step: str, around: Around) -> None:
        """Put `around(inner, *args)` in place of a step."""
        self.service.wrap(step, around)

    def on_handler(self, name: str, around: Around) -> None:
        """Put `around(inner, service, call)` in place of a function's code."""
        self.service.functions[name].wrap(around)

    def on_result(self, name: str, change: Callable[[Any, Call], Any]) -> None:
        """Change a copy of a function's results."""

        def around(inner: Around, service: Any, call: Call) -> Any:
            return change(copy.deepcopy(inner(service, call)), call)

        self.on_handler(name, around)

    def on_reply(self, change: Callable[[Any, Call], None], name: str | None = None) -> None:
        """Change responses in place before they leave."""

        def respond(inner: Around, call: Call, response: Any) -> Any:
            answer = inner(call, response)
            if name is None or call.name == name:
                change(answer, call)
            return answer

        self.wrap("respond", respond)

    def on_message(
        self, change: Callable[[dict[str, Any], Call], dict[str, Any]], name: str | None = None
    ) -> None:
        """Change the message of calls before their data is validated."""

        def validate(inner: Around, call: Call) -> Any:
            if name is None or call.name == name:
                call.message = change(dict(call.message), call)
            return inner(call)

        self.wrap("validate", validate)

    def on_request(self, change: Callable[[Any, Call], None]) -> None:
        """Change requests in place before anything is looked at."""

        def check_verb(inner: Around, call: Call) -> Any:
            change(call.request, call)
            return inner(call)

        self.wrap("check_verb", check_verb)

    # --- arguments

    def loosen(self, function: Function, path: Path, change: Callable[[Schema], Schema]) -> None:
        """Check a function's arguments by a schema that is changed at a path."""
        whole: Schema = {"type": "object", "properties": function.params, "required": list(function.required)}
        changed = altered_schema(whole, path, change)
        self.service.functions[function.name].check = self._check(changed)

    def _check(self, schema: Schema) -> Callable[[Any], str | None]:
        compiler = getattr(self.service, "compile", None)
        if compiler is not None:
            check: Callable[[Any], str | None] = compiler(schema)
            return check
        compiled = jsonschema_rs.Draft202012Validator(bounded(schema), validate_formats=True)

        def judge(args: Any) -> str | None:
            try:
                return None if compiled.is_valid(args) else "Invalid data: not as described"
            except (ValueError, OverflowError, RecursionError):
                return "Invalid data: out of range"

        return judge

    def coerce(self, function: Function, path: Path, change: Callable[[Any], Any]) -> None:
        """Change a function's argument at a path before it is checked."""

        def message(given: dict[str, Any], _call: Call) -> dict[str, Any]:
            if isinstance(given.get("data"), dict):
                given["data"] = altered(given["data"], path, change)
            return given

        self.on_message(message, function.name)

    def also_refuse(self, function: Function, path: Path, when: Callable[[Any], bool]) -> None:
        """Refuse valid arguments with some values at a path."""
        declared = self.service.functions[function.name]
        inner = declared.check

        def check(args: Any) -> Any:
            seen: list[Any] = []
            try:
                altered(args, path, lambda value: seen.append(value) or value)
            except RecursionError:
                seen.clear()
            return inner(args) or ("Invalid data: not as described" if any(map(when, seen)) else None)

        declared.check = check

    # --- what is kept and what is shown

    def on_stored(self, kind: str, does: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change what is kept when an object of a kind is created or updated."""

        def add(inner: Around, call: Call, named: str, args: dict[str, Any], **more: Any) -> Any:
            return inner(call, named, change(args) if named == kind else args, **more)

        def update(
            inner: Around, call: Call, named: str, body: dict[str, Any], changes: dict[str, Any]
        ) -> Any:
            return inner(call, named, body, change(changes) if named == kind else changes)

        self.wrap("add_object" if does == "create" else "change_object", add if does == "create" else update)

    def on_shown(self, function: Function, change: Callable[[Any], Any]) -> None:
        """Change the objects or rows that a function returns."""
        if function.rows is not None:
            self.on_result(function.name, lambda data, _call: at_pointer(data, f"{function.rows}/*", change))
        else:
            pointer = function.object.get("at", "")
            self.on_result(function.name, lambda data, _call: at_pointer(data, pointer, change))

    def on_rows(self, function: Function, change: Callable[[list[Any], Call], list[Any]]) -> None:
        """Change the rows of a list."""

        def result(data: Any, call: Call) -> Any:
            return at_pointer(data, function.rows or "", lambda rows: change(rows, call))

        self.on_result(function.name, result)

    def row(self, function: Function, body: dict[str, Any]) -> Any:
        """Return an object as a list shows it."""
        schema = self.view.shown(function)
        members = schema.get("properties")
        if members is None:
            return body[self.view.identifier(function.kind)]
        return {name: body[name] for name in members if name in body}

    # --- objects and their owners

    def objects(self, kind: str) -> list[tuple[Any, dict[str, Any]]]:
        """Return owner and state of every object of a kind."""
        service = self.service
        if hasattr(service, "items"):
            return [(item.owner, item.body) for item in service.items[kind].values()]
        import json

        found = service.store.db.execute(f"SELECT owner, body FROM {kind}").fetchall()
        return [(owner, json.loads(body)) for owner, body in found]

    def find(self, kind: str, identifier: Any) -> dict[str, Any] | None:
        """Return an object, whoever owns it."""
        name = self.view.identifier(kind)
        return next((body for _, body in self.objects(kind) if body[name] == identifier), None)

    def everybody(self, when: Callable[[Call, str], bool]) -> None:
        """Begin lists with the objects of all users, for some calls."""

        def own(inner: Around, call: Call, kind: str) -> Any:
            query = inner(call, kind)
            return type(query)(kind) if when(call, kind) else query

        self.wrap("own", own)

    def may_use(self, when: Callable[[Call, str], bool]) -> None:
        """Let some calls use the objects of all users."""

        def allowed(inner: Around, call: Call, kind: str, owner: Any) -> bool:
            return bool(inner(call, kind, owner)) or when(call, kind)

        self.wrap("may_use", allowed)

    # --- sessions

    def sessions(self) -> dict[bytes, Any]:
        """Return the users of all sessions that begin from now on, also of those that have ended; kept up to date."""
        known: dict[bytes, Any] = {}

        def authenticate(inner: Around, call: Call) -> Any:
            user = inner(call)
            if call.token and user is not None:
                known[call.token] = user
            return user

        def login(inner: Around, service: Any, call: Call) -> Any:
            data = inner(service, call)
            at_pointer(data, self.view.session, lambda token: self._note(known, token) or token)
            return data

        self.wrap("authenticate", authenticate)
        for function in filter(None, (self.view.login, self.view.key_login)):
            self.on_handler(function.name, login)
        return known

    def _note(self, known: dict[bytes, Any], token: Any) -> None:
        """Note the user of a session that has just begun."""
        service = self.service
        if not isinstance(token, str):
            return
        if hasattr(service, "users"):
            user = service.users.get(service.sessions.get(token))
        else:
            found = service.store.get("user", service.sessions.lookup(token.encode("latin-1")))
            user = found[1] if found is not None else None
        if user is not None:
            known[token.encode("latin-1")] = user

    def admit(self, other: Callable[[Call], Any]) -> None:
        """Take calls whose token is refused as the user that `other(call)` returns, if it returns one."""

        def authenticate(inner: Around, call: Call) -> Any:
            try:
                return inner(call)
            except Exception as error:
                found = other(call) if getattr(error, "status", None) == 401 else None
                if found is None:
                    raise
                return found

        self.wrap("authenticate", authenticate)
