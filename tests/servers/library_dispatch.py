"""How the lending library reads a request, finds the function and writes the answer."""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import time
import unicodedata
import urllib.parse
from typing import Any

from tests.servers import schema
from tests.servers.library_declared import Declared
from tests.servers.library_model import (
    BASE,
    ESCAPED,
    Call,
    Dropped,
    Refused,
    Reply,
    Request,
    Session,
    User,
    injected,
)


# One class, though it is long: one server, with a switch for each defect where it acts.
class Dispatch(Declared):
    """From a request to a reply, and from a body to a function."""

    # -- from a request to a reply ------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """Answer a request."""
        path, _, query = request.target.partition("?")
        name: str | None = None
        try:
            if request.verb != "POST":
                return self._other_verb(request, path, query)
            name, data = self.call(request, path, query)
        except Refused as refused:
            extra = self._guess(request, path)
            return self.error(refused.status, refused.message, extra)
        except RecursionError:
            if self.bug("deep-nesting-dropped"):
                raise Dropped from None
            if self.bug("deep-nesting-crash"):
                return self.error(500, "Something went wrong.", None)
            return self.error(400, "The body is nested too deeply.", None)
        return self.success(name, data)

    def _guess(self, request: Request, path: str) -> str | None:
        """The function that a refused request named, for defects that sit in one function's errors."""
        with contextlib.suppress(ValueError, RecursionError, AttributeError, TypeError):
            body = schema.parse(request.body.decode())
            return f"{path.removeprefix(BASE)}.{body.get('method')}"
        return None

    def _other_verb(self, request: Request, path: str, query: str) -> Reply:
        if self.bug("get-runs-query") and request.verb == "GET":
            asked = dict(urllib.parse.parse_qsl(query))
            with contextlib.suppress(ValueError):
                body = {"method": asked.get("method"), "data": json.loads(asked.get("data", "{}"))}
                return self.answer(Request("POST", path, request.headers, json.dumps(body).encode()))
        if self.bug("put-runs-body") and request.verb == "PUT" and request.body:
            return self.answer(Request("POST", path, request.headers, request.body))
        if self.bug("delete-verb-runs-unseen") and request.verb == "DELETE" and request.body:
            self.answer(Request("POST", path, request.headers, request.body))
        reply = self.error(405, "Only POST is answered here.", None)
        if self.bug("other-verb-plain-text"):
            reply.headers["Content-Type"] = "text/plain"
            reply.body = b"Method Not Allowed"
        if self.bug("other-verb-says-success") and request.verb == "PATCH":
            reply = self.success("desk.hours", {})
            reply.status = 405
        reply.headers["Allow"] = "POST"
        return reply

    def success(self, name: str, data: Any) -> Reply:
        """A success, with the defects that sit in it."""
        status = 200
        envelope: dict[str, Any] = {"isError": False, "errMsg": None, "data": data}
        if self.bug("created-201") and name == "book.create":
            status = 201
        if self.bug("success-called-error") and name == "book.destroy":
            envelope["isError"] = True
        if self.bug("message-on-success") and name == "session.close":
            envelope["errMsg"] = "Welcome back."
        if self.bug("is-error-number") and name == "shelf.get":
            envelope["isError"] = 0
        if self.bug("extra-member") and name == "loan.list":
            envelope["pageCount"] = 1
        if self.bug("snake-envelope-member") and name == "desk.news":
            envelope["next_page"] = None
        reply = self.reply(status, envelope)
        if self.bug("nan-in-result") and name == "loan.get":
            reply.body = reply.body.replace(b'"remark"', b'"rating":NaN,"remark"', 1)
        if self.bug("byte-order-mark") and name == "desk.hours":
            reply.body = b"\xef\xbb\xbf" + reply.body
        if self.bug("notice-after-json") and name == "book.list":
            reply.body += b"<!-- 3 queries -->"
        if self.bug("latin-1-result") and name == "session.whoAmI":
            reply.body = json.dumps(envelope, ensure_ascii=False).encode("latin-1", "replace")
        if self.bug("cacheable") and name == "session.whoAmI":
            reply.headers["Cache-Control"] = "max-age=60"
        if self.bug("no-nosniff"):
            del reply.headers["X-Content-Type-Options"]
        return reply

    def error(self, status: int, message: Any, name: str | None) -> Reply:
        """An error, with the defects that sit in it."""
        envelope: dict[str, Any] = {"isError": True, "errMsg": message, "data": {}}
        if self.bug("no-data-member-on-401") and status == 401:
            del envelope["data"]
        if self.bug("is-error-text") and status == 400:
            envelope["isError"] = "true"
        if self.bug("message-list") and status == 400:
            envelope["errMsg"] = [message]
        if self.bug("blank-message-on-403") and status == 403:
            envelope["errMsg"] = " "
        if self.bug("null-message-on-unknown-endpoint") and message == "No such endpoint.":
            envelope["errMsg"] = None
        if self.bug("partial-data-on-error") and status == 403:
            envelope["data"] = {"handle": "guest"}
        if self.bug("debug-member-on-error"):
            envelope["trace"] = secrets.token_hex(4)
        if self.bug("error-not-flagged") and status == 404:
            envelope["isError"] = False
        if self.bug("unknown-function-200") and message == "No such function.":
            status = 200
        if self.bug("validation-422") and status == 400 and message == "The data is not valid.":
            status = 422
        if self.bug("stack-trace-on-one-error") and status == 400 and name == "shelf.get":
            envelope["errMsg"] = (
                "Traceback (most recent call last):\n"
                '  File "/srv/library/shelf.py", line 31, in get\nKeyError: 1'
            )
        if self.bug("sql-in-error") and status == 400 and name == "book.list":
            envelope["errMsg"] = "SELECT id, title FROM books WHERE owner = 3 AND title LIKE: syntax error"
        reply = self.reply(status, envelope)
        if self.bug("duplicate-member-on-403") and status == 403:
            reply.body = reply.body[:-1] + b',"isError":true}'
        if self.bug("html-type-on-404") and status == 404:
            reply.headers["Content-Type"] = "text/html; charset=utf-8"
        return reply

    def reply(self, status: int, envelope: dict[str, Any]) -> Reply:
        """An envelope on the wire."""
        body = json.dumps(envelope, separators=(",", ":")).encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Reply(status, headers, body)

    # -- from a body to a function ------------------------------------------------------------------

    def call(self, request: Request, path: str, query: str) -> tuple[str, Any]:
        """Run the function that the request names."""
        body = self._body(request)
        entity = self._entity(path)
        method = body.get("method")
        if self.bug("number-as-method") and isinstance(method, int):
            raise Refused(404, "No such function.")
        if not isinstance(method, str):
            raise Refused(400, "The method must be a string.")
        if self.bug("order-of-members-matters") and next(iter(body)) != "method":
            raise Refused(400, "The method must come first.")
        if self.bug("unknown-member-refused") and body.keys() - {"method", "data", "pageStart", "pageLength"}:
            raise Refused(400, "The request has members of no meaning.")
        name = self._function(entity, method)
        if self.bug("session-mix-up"):
            self.current = None
        with self.lock:
            token, user = self._session(request, query, body)
            if self.bug("validation-before-session"):
                self._valid(name, body)
            self._admit(name, token, user, request)
            start, length = self._page(name, body)
            if self.bug("session-mix-up") and user is not None:
                self.current = user
                time.sleep(0.002)
                user = self.current or user
            data = self._valid(name, body)
            paged = start > 0 or length is not None
            call = Call(name, data, user, token, request, paged, self._extra(name, body))
            result = self.functions[name](call)
            return name, self._paged(name, result, start, length, data)

    def _body(self, request: Request) -> dict[str, Any]:
        kind = (request.values("content-type") or [""])[0].lower()
        if self.bug("form-type-refused") and "form" in kind:
            raise Refused(400, "The body must be application/json.")
        if self.bug("missing-type-refused") and not kind:
            raise Refused(400, "The body must be application/json.")
        try:
            text = request.body.decode("utf-8", "replace" if self.bug("bad-utf-8-replaced") else "strict")
            if self.bug("escapes-not-read") and ESCAPED.search(text):
                raise Refused(400, "The method must be a string.")
            if self.bug("trailing-comma-read") and text.rstrip().endswith(",}"):
                text = text.rstrip()[:-2] + "}"
            if self.bug("single-quotes-read") and text.startswith("{'"):
                text = text.replace("'", '"')
            if self.bug("second-text-ignored"):
                _, end = json.JSONDecoder().raw_decode(text)
                text = text[:end]
            body = schema.parse(text)
        except ValueError:
            raise Refused(400, "The body is not JSON.") from None
        if self.bug("batch-accepted") and isinstance(body, list) and body and isinstance(body[0], dict):
            body = body[0]
        if not isinstance(body, dict):
            raise Refused(404 if self.bug("scalar-body-404") else 400, "The body must be an object.")
        return body

    def _entity(self, path: str) -> str:
        if self.bug("traversal-resolved") and ".." in path:
            steps: list[str] = []
            for step in path.split("/"):
                if step == "..":
                    del steps[-1:]
                else:
                    steps.append(step)
            path = "/".join(steps)
        if self.bug("path-decoded"):
            path = urllib.parse.unquote(path).split("\0")[0]
        if self.bug("double-slash-merged"):
            while "//" in path:
                path = path.replace("//", "/")
        if (
            self.bug("trailing-slash-redirect")
            and path.endswith("/")
            and path[len(BASE) : -1] in self.entities
        ):
            raise Refused(301, "The endpoint is elsewhere.")
        entity = path.removeprefix(BASE)
        if not path.startswith(BASE) or entity not in self.entities:
            status = 400 if self.bug("unknown-endpoint-400") else 404
            raise Refused(status, "No such endpoint.")
        return entity

    def _function(self, entity: str, method: str) -> str:
        name = f"{entity}.{method}"
        if self.bug("function-missing") and name == "book.change":
            raise Refused(404, "No such function.")
        if self.bug("function-in-any-case"):
            name = {known.lower(): known for known in self.functions}.get(name.lower(), name)
        if self.bug("function-trimmed"):
            name = name.rstrip()
        if self.bug("snake-function-known"):
            head, *rest = method.split("_")
            name = f"{entity}.{head}" + "".join(part[:1].upper() + part[1:] for part in rest)
        if self.bug("dunder-callable") and method in ("__init__", "__class__", "__str__", "toString"):
            return "desk.hours"
        if self.bug("prototype-crash") and method in (
            "constructor",
            "__proto__",
            "toString",
            "hasOwnProperty",
        ):
            raise Refused(500, "Something went wrong.")
        if name not in self.functions:
            status = 400 if self.bug("unknown-function-400") else 404
            raise Refused(status, "No such function.")
        return name

    def _session(self, request: Request, query: str, body: dict[str, Any]) -> tuple[str | None, User | None]:
        """The token that was sent, and whose session it is."""
        tokens = request.values("token")
        if self.bug("token-header-case"):
            tokens = [value for key, value in request.headers if key == "Token"]
        if not tokens and self.bug("token-in-query"):
            tokens = [value for key, value in urllib.parse.parse_qsl(query) if key.lower() == "token"]
        if not tokens and self.bug("token-in-cookie"):
            for pair in ";".join(request.values("cookie")).split(";"):
                key, _, baked = pair.strip().partition("=")
                if key.lower() in ("token", "sessionid"):
                    tokens = [baked]
        if not tokens and self.bug("token-in-body"):
            tokens = [
                value for key in ("token", "Token", "sessionId") if isinstance(value := body.get(key), str)
            ]
        if not tokens:
            return None, None
        token = tokens[0] if len(tokens) == 1 else ""
        if self.bug("token-crash-outside-ascii") and not token.isascii():
            raise Refused(500, "Something went wrong.")
        if self.bug("token-length-crash") and len(token) > 1000:
            raise Refused(500, "Something went wrong.")
        session = self.sessions.get(token)
        if session is None and self.bug("token-by-prefix") and len(token) >= 16:
            found = [known for known in self.sessions if known[:16] == token[:16]]
            session = self.sessions[found[0]] if found else None
        if session is None and self.bug("token-in-any-case"):
            found = [known for known in self.sessions if known.lower() == token.lower()]
            session = self.sessions[found[0]] if found else None
        if session is None and self.bug("token-quote-is-anyone") and injected(token):
            session = Session(self.users["marian"], 0)
        if session is None:
            return token, None
        session.calls += 1
        if self.bug("session-tied-to-connection") and session.peer != request.peer:
            return token, None
        if self.bug("session-ends-after-20-calls") and session.calls > 20:
            return token, None
        return token, session.user

    def _admit(self, name: str, token: str | None, user: User | None, request: Request) -> None:
        auth = self.methods[name].get("x-auth", "session")
        if auth == "none":
            if self.bug("public-needs-session") and name == "desk.hours" and user is None:
                raise Refused(401, "Sign in first.")
            adopting = self.bug("token-adopted-by-login") and name == "session.open"
            if token is not None and user is None and not adopting:
                raise Refused(403 if self.bug("public-refuses-with-403") else 401, "The token is unknown.")
            return
        if user is None:
            if self.bug("one-function-open") and name == "loan.get" and token is None:
                return
            if self.bug("no-session-403-once") and name == "loan.list" and token is None:
                raise Refused(403, "This is not for you.")
            if self.bug("no-session-404-once") and name == "shelf.get" and token is None:
                raise Refused(404, "There is none.")
            if self.bug("no-session-empty-list") and name == "book.list" and token is None:
                return
            raise Refused(401, "Sign in first.")
        if self.bug("session-shut-out-of-one-endpoint") and name.startswith("shelf."):
            calls = self.sessions[token or ""].calls if token in self.sessions else 0
            if calls > 15:
                raise Refused(401, "Sign in first.")
        if auth != "session" and auth not in user.roles:
            if self.bug("role-unchecked-in-list") and name == "reader.list":
                return
            if self.bug("role-refusal-401"):
                raise Refused(401, "Sign in first.")
            raise Refused(403, "This is not for you.")
        if self.bug("role-refused-to-its-own") and name == "reader.get":
            raise Refused(403, "This is not for you.")

    def _page(self, name: str, body: dict[str, Any]) -> tuple[int, int | None]:
        start, length = body.get("pageStart", 0), body.get("pageLength", -1)
        if self.bug("page-length-needs-start") and "pageLength" in body and "pageStart" not in body:
            raise Refused(400, "pageLength needs pageStart.")
        if start is None:
            start = 0
        if self.bug("page-start-in-text") and isinstance(start, str) and start.isdecimal():
            start = int(start)
        if self.bug("page-start-true") and isinstance(start, bool):
            start = int(start)
        if self.bug("page-fraction-cut") and isinstance(start, float):
            start = int(start) if abs(start) < 2**31 else 0
        if self.bug("page-start-negative") and isinstance(start, int) and start < 0:
            start = 0
        if self.bug("page-start-huge-crash") and isinstance(start, int) and start >= 2**63:
            raise Refused(500, "Something went wrong.")
        if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start < 2**31:
            raise Refused(400, "pageStart is not a row.")
        if "pageLength" not in body:
            return start, None
        if self.bug("page-length-zero-is-all") and length == 0 and not isinstance(length, bool):
            return start, None
        if self.bug("page-length-negative-is-all") and isinstance(length, int) and length < 0:
            return start, None
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise Refused(400, "pageLength is not a number of rows.")
        return start, length

    def _valid(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        data = body.get("data")
        if self.bug("null-data-refused") and data is None and "data" in body:
            raise Refused(400, "The data must be an object.")
        if self.bug("missing-data-refused") and "data" not in body:
            raise Refused(400, "The data must be an object.")
        if self.bug("empty-array-as-data") and data in ([], "") and not isinstance(data, dict):
            data = {}
        if self.bug("number-as-data") and schema.is_number(data):
            data = {}
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise Refused(400, "The data must be an object.")
        spec = self.specs[name]
        obeyed = self._extra(name, body)
        data = {key: value for key, value in data.items() if key not in obeyed}
        if self.bug("object-as-pass-phrase") and isinstance(data.get("passPhrase"), dict):
            known = data.get("userName")
            data["passPhrase"] = self.phrases.get(known, "?") if isinstance(known, str) else "?"
        if self.bug("type-crash") and name == "shelf.create" and isinstance(data.get("label"), dict):
            raise Refused(500, "Something went wrong.")
        if self.bug("refused-change-half-done") and name == "book.change":
            self._half(data)
        if self.bug("utf-16-lengths") and len(str(data.get("title", "")).encode("utf-16", "ignore")) > 402:
            raise Refused(400, "The data is not valid.")
        if self.bug("many-members-slow") and len(data) > 1000:
            time.sleep(4)
        if (broken := schema.violation(data, spec, self.catalog)) is not None:
            if broken == "additionalProperties" and self.bug("undeclared-crash"):
                raise Refused(500, "Something went wrong.")
            if broken == "required" and self.bug("missing-argument-500"):
                raise Refused(500, "Something went wrong.")
            if self.bug("pass-phrase-in-error") and name == "session.open":
                raise Refused(400, f"The data is not valid: {json.dumps(data)}")
            raise Refused(400, "The data is not valid.")
        if not schema.storable(data):
            if self.bug("text-cut-at-nul"):
                data = {
                    key: value.split("\0")[0] if isinstance(value, str) else value
                    for key, value in data.items()
                }
            elif self.bug("surrogate-crash"):
                raise Refused(500, "Something went wrong.")
            if not schema.storable(data):
                raise Refused(400, "The data holds characters that cannot be kept.")
        settled: dict[str, Any] = schema.settle(data, spec, self.catalog)
        for key, value in settled.items():
            if isinstance(value, str) and name.split(".")[0] in ("book", "shelf"):
                settled[key] = self._text(value)
        if self.bug("large-integer-rounded") and isinstance(settled.get("floor"), int):
            with contextlib.suppress(OverflowError):
                settled["floor"] = int(float(settled["floor"]))
        return settled

    def _extra(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """The undeclared members of data that a defect obeys; none without one."""
        names: tuple[str, ...] = ()
        if self.bug("roles-through-data") and name == "reader.change":
            names = ("role", "roles")
        if self.bug("owner-through-data") and name in ("book.create", "shelf.create"):
            names = ("ownerId", "userId", "owner")
        data = body.get("data")
        return {key: data[key] for key in names if key in data} if isinstance(data, dict) else {}

    def _half(self, data: dict[str, Any]) -> None:
        """Write a valid title although the rest may be refused."""
        ident, title = data.get("bookId"), data.get("title")
        if (
            isinstance(ident, str)
            and ident in self.books
            and isinstance(title, str)
            and 0 < len(title) <= 200
        ):
            self.books[ident].values["title"] = title

    def _text(self, text: str) -> str:
        if self.bug("text-normalised"):
            return unicodedata.normalize("NFC", text)
        if self.bug("text-trimmed"):
            return text.strip() or text
        if self.bug("text-cut-at-20000"):
            return text[:20000]
        if self.bug("astral-lost"):
            return "".join(character if ord(character) < 65536 else "?" for character in text)
        if self.bug("text-html-escaped"):
            return text.replace("&", "&amp;").replace("<", "&lt;")
        return text

    def _paged(self, name: str, result: Any, start: int, length: int | None, data: dict[str, Any]) -> Any:
        """Cut the rows of a list to the page, and put them where the catalogue says."""
        pointer = self.methods[name].get("x-rows")
        if pointer is None:
            return result
        rows: list[Any] = result
        total = len(rows)
        filtered = bool(data)
        page = rows[start:] if length is None else rows[start : start + length]
        if self.bug("page-length-plus-one") and length is not None and name == "book.list":
            page = rows[start : start + length + 1]
        if self.bug("page-start-is-page-number") and length is not None:
            page = rows[start * length : (start + 1) * length]
        if self.bug("page-border-twice") and length is not None and length > 1 and start:
            page = rows[start - 1 : start - 1 + length]
        if self.bug("last-page-short") and length is not None and 0 < len(page) < length and start:
            page = page[:-1]
        if self.bug("page-start-ignored-with-filter") and filtered and length is not None:
            page = rows[:length]
        if self.bug("page-start-alone-ignored") and length is None:
            page = rows
        if self.bug("limit-25") and length is None:
            page = page[:25]
        if self.bug("limit-100") and length is None:
            page = page[:100]
        if self.bug("page-length-capped-at-20") and length is not None:
            page = page[:20]
        if self.bug("past-end-404") and start >= total and start:
            raise Refused(404, "There is no such page.")
        if self.bug("past-end-is-last-page") and start >= total and start and rows:
            page = rows[-(length or 1) :]
        if self.bug("order-moves") and name == "shelf.list" and length is None and len(page) > 1:
            self.rotation += 1
            turn = self.rotation % len(page)
            page = page[turn:] + page[:turn]
        if self.bug("order-random-when-paged") and length is not None and len(page) > 1:
            random.shuffle(page)
        if pointer == "":
            return page
        if pointer == "/result/items":
            if self.bug("empty-list-is-array") and not page:
                return []
            return {"result": {"items": page, "total": total}}
        return {pointer[1:]: page}
