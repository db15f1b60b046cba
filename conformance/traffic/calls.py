"""Rules that the catalogue and one recorded call are enough for, and what the client sent wrong.

A call that the client sends wrong is a mistake of the client, not of the target. The target is judged by what it
answers: invalid data must not be accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from conformance.catalog.methods import Method
from conformance.catalog.model import Catalog
from conformance.protocol.redaction import MASK
from conformance.schema.bundle import resolve_pointer
from conformance.traffic.recorded import Gap, Recorded
from conformance.traffic.results import Results
from conformance.traffic.sessions import Session

__all__ = ["JUDGED_BY_CATALOG", "Calls"]

#: The rules of this module that need the catalogue.
JUDGED_BY_CATALOG = (
    "HTTP-1", "REQ-7", "REQ-8", "REQ-9", "COD-6", "AUT-4", "AUT-6", "ACC-1",
    "PAG-1", "PAG-5", "PAG-7", "DAT-1",
)  # fmt: skip

#: Which rule an accepted violation of a schema's keyword breaks. Dialects differ on the others.
_RULE_OF_KEYWORD = {
    "required": "REQ-7",
    "type": "REQ-8",
    **dict.fromkeys(
        (
            "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
            "minItems", "maxItems",
        ),
        "REQ-9",
    ),
}  # fmt: skip
#: A 404 with such a message says that the function does not exist.
_NO_FUNCTION = re.compile(
    r"(?i)\b(function|method|procedure)\b.*\b(exist|unknown|not found)"
    r"|\b(unknown|no such) (function|method|procedure)\b"
)
#: The number of an item within a JSON pointer.
_ITEM = re.compile(r"/\d+(?=/|$)")
MAX_EXACT_INTEGER = 2**53


class Calls:
    """Judges calls by the catalogue, one by one."""

    def __init__(self, catalog: Catalog, results: Results, *, tokens_are_recorded: bool) -> None:
        """Take the catalogue; `tokens_are_recorded` says that a missing token was not sent, rather than left out."""
        self._catalog = catalog
        self._results = results
        self.tokens_are_recorded = tokens_are_recorded
        self._has_catalog = not catalog.is_implicit

    def method(self, recorded: Recorded) -> Method | None:
        """Return the function of a call as the catalogue declares it."""
        name = recorded.function
        return self._catalog.methods.get(name) if name is not None else None

    def judge(self, recorded: Recorded, session: Session | None, *, login: bool) -> None:
        """Judge a POST by what the catalogue says of its function."""
        exchange = recorded.exchange
        if Gap.REQUEST_BODY in recorded.gaps or not recorded.request.well_formed or exchange.status is None:
            return
        if not self._is_call(recorded):
            return
        method = self.method(recorded)
        if method is None or not self._has_catalog:
            if self._has_catalog and recorded.function is not None:
                self._results.client_mistake(
                    recorded,
                    "a function that the catalogue does not have",
                    expected="a function of the catalogue",
                    actual=f"{recorded.function}, answered {exchange.summary()}",
                )
            return
        problems = self._problems(method, recorded)
        self._judge_existence(method, recorded)
        self._judge_paging(method, recorded)
        self._judge_data(method, recorded, problems, login=login)
        self._judge_access(method, recorded, session, valid=not problems, login=login)

    # --- the request itself

    def _is_call(self, recorded: Recorded) -> bool:
        """Return whether a request is a call; report what is wrong where it is none."""
        success = recorded.accepted
        sent = recorded.sent
        if sent.error is not None:
            self._results.client_mistake(
                recorded, "a body that is not JSON", expected="one JSON text (RFC 8259)", actual=sent.error
            )
            return False
        if not isinstance(sent.value, dict):
            self._results.judge(
                "REQ-5", not success, recorded, kind="no object is accepted", expected="status 400"
            )
            self._results.client_mistake(
                recorded,
                "a body that is not an object",
                expected='{"method": …}',
                actual="another JSON value",
            )
            return False
        method = recorded.call.get("method")
        if not isinstance(method, str):
            self._results.judge(
                "REQ-1", not success, recorded, kind="no method is accepted", expected="status 400"
            )
            self._results.client_mistake(
                recorded, "a call without a method", expected="method: the name of a function", actual="none"
            )
            return False
        data = recorded.call.get("data")
        if data is not None and not isinstance(data, dict):
            self._results.judge(
                "REQ-6",
                not success,
                recorded,
                kind="data that is no object is accepted",
                expected="status 400",
            )
            self._results.client_mistake(
                recorded,
                "data that is not an object",
                expected="data: an object, or none",
                actual="another value",
            )
            return False
        return True

    def _problems(self, method: Method, recorded: Recorded) -> list[tuple[str, str, str]]:
        """Return the violations of the function's schema in the arguments, and report them as the client's."""
        arguments = recorded.arguments
        if MASK.encode() in recorded.request.body:
            return [("", "masked", "a secret is masked")]
        try:
            found = list(self._violations(method, arguments))
        except (RecursionError, UnicodeError, ArithmeticError):
            return [("", "unreadable", "the data cannot be validated")]
        for pointer, keyword, message in found:
            place = _ITEM.sub("/*", pointer)
            self._results.client_mistake(
                recorded,
                f"{keyword} of {place or 'the arguments'}",
                expected="arguments as the catalogue declares them",
                actual=f"data{pointer}: {message}",
            )
        declared = {param.name for param in method.params}
        extra = [name for name in arguments if name not in declared]
        if extra and not any(keyword == "additionalProperties" for _, keyword, _ in found):
            self._results.client_mistake(
                recorded,
                "an argument that the catalogue does not declare",
                expected=f"one of {', '.join(sorted(declared)[:12]) or 'no arguments'}",
                actual=", ".join(extra[:6]),
            )
        return found

    @staticmethod
    def _violations(method: Method, arguments: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
        required = {param.name for param in method.params if param.required}
        for pointer, keyword, message in method.data.errors(arguments):
            first = pointer.split("/")[1] if pointer else ""
            is_null_option = (
                pointer.count("/") == 1 and first not in required and arguments.get(first, 0) is None
            )
            # Clients send null for an option that is not chosen; the rulebook does not decide on it.
            if not is_null_option:
                yield pointer, keyword, message

    # --- the answer

    def _judge_existence(self, method: Method, recorded: Recorded) -> None:
        exchange = recorded.exchange
        message = exchange.message
        denies = (
            exchange.status == 404 and isinstance(message, str) and _NO_FUNCTION.search(message) is not None
        )
        if recorded.accepted or denies:
            self._results.judge(
                "HTTP-1",
                not denies,
                recorded,
                kind="a published function does not exist",
                expected=f"{method.name} exists: the catalogue has it",
            )

    def _judge_data(
        self, method: Method, recorded: Recorded, problems: list[tuple[str, str, str]], *, login: bool
    ) -> None:
        exchange = recorded.exchange
        arguments = recorded.arguments
        for pointer, keyword, message in problems:
            rule = _RULE_OF_KEYWORD.get(keyword)
            if rule is None or not (recorded.accepted or exchange.status == 400):
                continue
            if keyword == "type" and _value_at(arguments, pointer) is None:
                rule = "REQ-7"
            self._results.judge(
                rule,
                not recorded.accepted,
                recorded,
                kind=f"{keyword} of {_ITEM.sub('/*', pointer) or 'the arguments'} is not enforced",
                expected=f"status 400: data{pointer}: {message}",
            )
            break
        if problems or login or method.effect != "read" or method.beyond_schema or method.refs:
            return
        if not method.data.valid(arguments):
            return
        if method.object is not None and method.object.does != "list":
            return
        if not _is_plain(arguments) or not all(_is_paging(recorded.call.get(name)) for name in _PAGING):
            return
        if recorded.accepted or exchange.status == 400:
            self._results.judge(
                "DAT-1",
                recorded.accepted,
                recorded,
                kind="valid data is refused",
                expected="status 200: the data is as the catalogue declares it",
            )

    def _judge_paging(self, method: Method, recorded: Recorded) -> None:
        call, exchange = recorded.call, recorded.exchange
        for name in _PAGING:
            value = call.get(name)
            if not _is_paging(value):
                self._results.client_mistake(
                    recorded,
                    f"{name} that is no row number",
                    expected="an integer from 0 on",
                    actual=f"{value!r:.60}",
                )
                if method.rows is not None and (recorded.accepted or exchange.status == 400):
                    self._results.judge(
                        "PAG-5",
                        not recorded.accepted,
                        recorded,
                        kind=f"{name} that is no row number is accepted",
                        expected="status 400",
                    )
                return
        length = call.get("pageLength")
        if method.rows is None or not recorded.accepted or length is None:
            return
        rows = rows_of(method, recorded)
        if rows is None:
            return
        self._results.judge(
            "PAG-1" if length else "PAG-7",
            len(rows) <= length,
            recorded,
            kind="more rows than pageLength",
            expected=f"at most {length:.0f} rows",
            actual=f"{len(rows)} rows",
        )

    def _judge_access(
        self, method: Method, recorded: Recorded, session: Session | None, *, valid: bool, login: bool
    ) -> None:
        exchange, response = recorded.exchange, recorded.exchange.response
        if Gap.REQUEST_HEADERS in recorded.gaps or response is None or response.header("WWW-Authenticate"):
            return
        if not recorded.has_token:
            if method.protected and self.tokens_are_recorded:
                self._judge_without_token(recorded, valid=valid)
            elif method.protected is False and not login and exchange.status in (200, 401):
                self._results.judge(
                    "AUT-6",
                    exchange.status != 401,
                    recorded,
                    kind="a public function asks for a session",
                    expected="no session is needed",
                )
            return
        roles = session.roles if session is not None else None
        if roles is None or method.auth in (None, "none", "session") or exchange.status not in (200, 403):
            return
        if method.auth not in roles:
            self._results.judge(
                "ACC-1",
                not recorded.accepted,
                recorded,
                kind="a function for another role works",
                expected=f"status 403: {method.name} is for the role {method.auth}",
            )

    def _judge_without_token(self, recorded: Recorded, *, valid: bool) -> None:
        exchange = recorded.exchange
        self._results.client_mistake(
            recorded,
            "a call without a token to a function that needs a session",
            expected="the header Token, with the session of a login",
            actual="no header Token",
        )
        if exchange.status not in (200, 400, 401, 403, 404):
            return
        if recorded.accepted or exchange.status == 401:
            self._results.judge(
                "AUT-4",
                not recorded.accepted,
                recorded,
                kind="a protected function works without a token",
                expected="status 401",
            )
        if valid and not recorded.accepted:
            self._results.judge(
                "COD-6",
                exchange.status == 401,
                recorded,
                kind=f"status {exchange.status} without a session",
                expected="status 401",
            )


_PAGING = ("pageStart", "pageLength")


def _is_paging(value: Any) -> bool:
    """Return whether a value is a row number, or one that the rulebook leaves open (null, 1.0, a huge integer)."""
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value >= 0 and (isinstance(value, int) or value.is_integer())


def rows_of(method: Method, recorded: Recorded) -> list[Any] | None:
    """Return the rows of a success; None if the function is not paged, or there are none where they are declared."""
    if method.rows is None or Gap.RESPONSE_BODY in recorded.gaps:
        return None
    rows = _value_at(recorded.exchange.data, method.rows)
    return rows if isinstance(rows, list) else None


def _value_at(data: Any, pointer: str) -> Any:
    try:
        return resolve_pointer(data, pointer)
    except LookupError:
        return None


def _is_plain(value: Any) -> bool:
    """Return whether a value has no text or number that a target may refuse (DAT-5, DAT-6)."""
    if isinstance(value, str):
        return len(value) <= 200 and value.isprintable() and all(ord(sign) < 0x2000 for sign in value)
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return abs(value) < MAX_EXACT_INTEGER
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    return all(_is_plain(item) for item in value)
