"""A correct service for any catalogue: objects in memory, and every mechanism in one place that can be replaced.

A domain is a catalogue with `x-object`, and a few facts that no catalogue has: the users, and how they sign in. The
engine takes everything else from the catalogue: the kinds of objects, their identifiers, which members the caller gives
and which the server adds, filters, parents, results. The steps of a call have the names and the arguments of those
of the reference service, so that one set of defects fits both.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

from tests.servers import schema
from tests.servers.engine_functions import DOES, login, login_by_key, logout, who_am_i
from tests.servers.engine_model import (
    ApiError,
    Call,
    Check,
    Document,
    Domain,
    Function,
    Item,
    Json,
    Kind,
    Page,
    Query,
    Request,
    Response,
    now,
    references,
    shaped,
    whole,
)


class Engine:
    """A service of one domain. Every method is a seam: `wrap("validate", around)` replaces it on this instance."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.root = domain.document
        self.error_type = ApiError
        self.lock = threading.RLock()
        self.items: dict[str, dict[Any, Item]] = {}
        self.numbers: dict[str, int] = {}
        self.sessions: dict[str, str] = {}
        self.users: dict[str, Document] = {}
        self.digests: dict[str, bytes] = {}
        for number, (name, (secret, roles)) in enumerate(domain.users.items(), 1):
            self.users[name] = {"userId": f"user-{number}", "name": name, "roles": list(roles)}
            self.digests[name] = hashlib.sha256(secret.encode()).digest()
        self.functions = {method["name"]: self._function(method) for method in self.root["methods"]}
        declared = [function for function in self.functions.values() if function.object]
        names = dict.fromkeys(function.object["kind"] for function in declared)
        self.kinds = {name: Kind(name, declared, self.root) for name in names}
        self.items = {name: {} for name in names}

    def _function(self, method: Document) -> Function:
        domain, name = self.domain, method["name"]
        params = {param["name"]: param["schema"] for param in method["params"]}
        required = [param["name"] for param in method["params"] if param.get("required")]
        check = self.compile({"type": "object", "properties": params, "required": required})
        special = {domain.login[0]: login, domain.logout: logout, domain.whoami: who_am_i}
        if domain.key_login is not None:
            special[domain.key_login] = login_by_key
        handler = special.get(name) or domain.handlers.get(name) or DOES[method["x-object"]["does"]]
        return Function(name, method, params, method.get("x-auth", "session"), check, handler)

    def compile(self, declared: Document) -> Check:
        """Return a check of arguments by the schema of an object."""
        return lambda args: "Invalid data" if schema.violation(args, declared, self.root) else None

    def wrap(self, step: str, around: Callable[..., Any]) -> None:
        """Replace a step on this instance: `around(inner, *args)` is called where `inner(*args)` was."""
        setattr(self, step, functools.partial(around, getattr(self, step)))

    def catalogue(self) -> Document:
        """Return the OpenRPC document."""
        return self.root

    # HTTP in and out

    def answer(self, request: Request) -> Response:
        """Answer one HTTP request."""
        call = Call(request)
        with self.lock:
            try:
                data = self.run(call)
                status, envelope = 200, self.success(call, data)
            except ApiError as error:
                call.error = error
            except Exception:
                call.error = ApiError(500, "Internal error")
            if call.error is not None:
                status, envelope = call.error.status, self.failure(call, call.error)
            response = Response(status, self.headers(call, status), self.render(call, envelope))
            return self.respond(call, response)

    def run(self, call: Call) -> Json:
        """Take a call through its steps; return the data of its success."""
        self.check_verb(call)
        call.message = self.parse_body(call)
        call.function = self.route(call)
        call.user = self.authenticate(call)
        self.authorise(call)
        self.validate(call)
        self.resolve(call)
        return self.handle(call)

    def headers(self, call: Call, status: int) -> list[tuple[bytes, bytes]]:
        """Return the headers of every response."""
        fields = [
            (b"Content-Type", b"application/json"),
            (b"Cache-Control", b"no-store"),
            (b"X-Content-Type-Options", b"nosniff"),
        ]
        return [*fields, (b"Allow", b"POST")] if status == 405 else fields

    def success(self, call: Call, data: Json) -> Document:
        """Return the envelope of a success."""
        return {"isError": False, "errMsg": None, "data": data}

    def failure(self, call: Call, error: ApiError) -> Document:
        """Return the envelope of a refusal."""
        return {"isError": True, "errMsg": error.message, "data": None}

    def render(self, call: Call, envelope: Document) -> bytes:
        """Return the envelope as compact JSON."""
        return json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    def respond(self, call: Call, response: Response) -> Response:
        """Return the response as it goes out."""
        return response

    # the steps of a call

    def check_verb(self, call: Call) -> None:
        """Refuse every verb but POST."""
        if call.request.verb != "POST":
            raise ApiError(405, "Functions are called by POST")

    def parse_body(self, call: Call) -> Document:
        """Read the body as JSON, and see that it names a method."""
        try:
            message = schema.parse(call.request.body.decode("utf-8"), duplicates=True)
        except (ValueError, RecursionError):
            raise ApiError(400, "The body is not valid JSON") from None
        if not isinstance(message, dict):
            raise ApiError(400, "The body is not a JSON object")
        if not isinstance(message.get("method"), str) or not message["method"]:
            raise ApiError(400, "The method's name is missing")
        return message

    def route(self, call: Call) -> Function:
        """Find the function on exactly its own endpoint."""
        path, base = call.request.path, self.domain.base
        entity = path[len(base) :] if path.startswith(base) else ""
        found = self.functions.get(f"{entity}.{call.message['method']}")
        if found is None or found.entity != entity:
            raise ApiError(404, "Function doesn't exist")
        return found

    def token(self, call: Call) -> bytes | None:
        """Return the session identifier of the Token header."""
        return call.request.header(b"token")

    def authenticate(self, call: Call) -> Document | None:
        """Return the session's user; a public function asks for none."""
        assert call.function is not None
        if call.function.auth == "none":
            return None
        call.token = self.token(call)
        name = self.sessions.get(call.token.decode("latin-1")) if call.token else None
        if name is None:
            raise ApiError(401, "Sign in first")
        return self.users[name]

    def authorise(self, call: Call) -> None:
        """See that the user has the function's role."""
        assert call.function is not None
        if call.function.auth not in ("none", "session") and call.function.auth not in call.roles:
            raise ApiError(403, "This is not for you")

    def validate(self, call: Call) -> None:
        """Validate the arguments by the schema, and the page; retain what is declared."""
        function = call.function
        assert function is not None
        data = call.message.get("data")
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise ApiError(400, "An object is expected as data")
        args = {name: value for name, value in data.items() if name in function.params}
        try:
            complaint = "Invalid data" if not schema.storable(args) else function.check(args)
            if complaint is not None:
                raise ApiError(400, complaint)
            call.args = {
                name: shaped(value, function.params[name], self.root) for name, value in args.items()
            }
        except RecursionError:
            raise ApiError(400, "The data is nested too deeply") from None
        call.page = self.page(call)

    def page(self, call: Call) -> Page:
        """Read `pageStart` and `pageLength`."""
        start = self.row_number(call, "pageStart")
        return Page(0 if start is None else start, self.row_number(call, "pageLength"))

    def row_number(self, call: Call, member: str) -> int | None:
        """Read one of the page's numbers; absent and null are the same."""
        value = call.message.get(member)
        if value is None:
            return None
        number = whole(value)
        if number is None:
            raise ApiError(400, f"{member} is not a row number")
        return number

    def resolve(self, call: Call) -> None:
        """See that every object which the arguments name is one that the caller may use."""
        assert call.function is not None
        for name, part in call.function.params.items():
            for kind, identifier in references(part, call.args.get(name), self.root):
                if (kind, identifier) not in call.objects:
                    found = self.load(call, kind, identifier)
                    if found is None:
                        raise ApiError(404, f"No such {kind}")
                    call.objects[kind, identifier] = found
        self.under_parents(call)

    def under_parents(self, call: Call) -> None:
        """See that an object is named with its own parent, where a call names both."""
        assert call.function is not None
        table = call.function.object
        if table.get("does") not in ("read", "update", "delete"):
            return
        body = call.objects.get((table["kind"], call.args.get(table["id"])), {})
        for name, _ in self.kinds[table["kind"]].parents:
            if call.args.get(name, body.get(name)) != body.get(name):
                raise ApiError(404, f"No such {table['kind']}")

    def load(self, call: Call, kind: str, identifier: Any) -> Document | None:
        """Return an object that the caller may use; None if there is none."""
        found = self.items[kind].get(identifier) if isinstance(identifier, str | int) else None
        if found is None:
            return None
        if not self.may_use(call, kind, found.owner):
            raise ApiError(self.domain.foreign, f"No such {kind}")
        return found.body

    def may_use(self, call: Call, kind: str, owner: str) -> bool:
        """Return whether the caller may use an object of this owner."""
        return owner == call.user_id

    def handle(self, call: Call) -> Json:
        """Run the function itself."""
        assert call.function is not None
        return call.function.handler(self, call)

    # what the functions share

    def own(self, call: Call, kind: str) -> Query:
        """Begin a list of the caller's own objects."""
        return Query(kind, [lambda item: item.owner == call.user_id])

    def list_rows(self, call: Call, query: Query) -> tuple[list[Document], int]:
        """Return one page of a list, and the number of rows without paging."""
        found = [
            item.body
            for item in self.items[query.kind].values()
            if all(condition(item) for condition in query.conditions)
        ]
        return self.cut(call, found), len(found)

    def cut(self, call: Call, rows: list[Any]) -> list[Any]:
        """Return one page of rows."""
        start, length = call.page.start, call.page.length
        return rows[start:] if length is None else rows[start : start + length]

    def add_object(self, call: Call, kind: str, args: Document, **more: Json) -> Document:
        """Keep a new object of the caller's own."""
        number = self.numbers[kind] = self.numbers.get(kind, 0) + 1
        identifier = self.kinds[kind].new_id(number, args)
        body = self.kinds[kind].new(identifier, args | more)
        self.items[kind][identifier] = Item(call.user_id, body)
        return body

    def change_object(self, call: Call, kind: str, body: Document, changes: Document) -> Document:
        """Change an object by the members that were given; nothing given, nothing moves."""
        if not changes:
            return body
        item = self.items[kind][body[self.kinds[kind].identifier]]
        item.body = body | changes
        if "revision" in body:
            item.body["revision"] = body["revision"] + 1
        if "changedAt" in body:
            item.body["changedAt"] = now()
        return item.body

    def remove_object(self, call: Call, kind: str, identifier: Any) -> int:
        """Delete an object and what lies under it; return how many objects are gone."""
        gone = 1 if self.items[kind].pop(identifier, None) is not None else 0
        for below in self.kinds.values():
            for name, parent in below.parents:
                if parent == kind:
                    items = self.items[below.name].items()
                    under = [key for key, item in items if item.body.get(name) == identifier]
                    gone += sum(self.remove_object(call, below.name, key) for key in under)
        return gone
