"""The evidence of a finding: which precondition its request meets, how it was answered, what is wrong with that.

Nothing here depends on names of functions, parameters or products. A request is compared with the successful calls of
the same function, and an answer is reduced to its shape: identifiers, numbers and texts of the target are left out.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from conformance.events import ExchangeEvent
from conformance.rulebook.verdicts import normal

__all__ = ["Answer", "Evidence", "Knowledge", "Precondition"]

#: Bodies above this are not parsed: they say nothing of the usual shape of a call.
MAX_PARSED_CHARACTERS = 20_000

#: A type of an argument is usual if this share of the successful calls with the argument have it.
MIN_USUAL_SHARE = 0.2
#: An argument is expected if this share of the successful calls have it.
MIN_EXPECTED_SHARE = 0.95

#: A function that never succeeded does not work if it was called so often, and this share of its calls crashed.
MIN_DEAD_CALLS = 5
MIN_DEAD_SHARE = 0.5

#: The members of a call that choose a page.
PAGING_MEMBERS = ("pageStart", "pageLength")
_LOWER_PAGING_MEMBERS = frozenset(name.lower() for name in PAGING_MEMBERS)

_CUT = re.compile(r"… \(\d+ bytes in all\)$")
_STATUSES = re.compile(r"\bstatus(?:es)? (\d{3}(?:(?:,? or |, )\d{3})*)")
_USUAL_STATUS = re.compile(r"\((\d{3})\)")
_TAG = re.compile(r"<\s*(/?[a-zA-Z!][a-zA-Z0-9]*)")
_ENVELOPE_BEGINS = re.compile(r'\s*\{\s*"(?:isError|errMsg|data)"')
_UNROUTED = frozenset({301, 302, 303, 307, 308, 404, 405})


class Precondition(StrEnum):
    """What is special about a request, beside a plain valid call."""

    VERB = "another verb"
    PATH = "another path"
    BODY = "a malformed body"
    CALL = "a body that is no call"
    TYPE = "another Content-Type"
    METHOD = "no published function"
    SESSION = "no session"
    PAGING = "invalid paging"
    DATA = "data of another type"
    SHAPE = "arguments of another shape"
    VALUES = "arguments of the usual shape"


#: Preconditions that are decided before a function sees its arguments.
LAYERS = frozenset(set(Precondition) - {Precondition.SHAPE, Precondition.VALUES, Precondition.PAGING})


class Answer(StrEnum):
    """How a request was answered."""

    NONE = "none"
    CRASH = "crash"
    FOREIGN = "foreign"
    REFUSAL = "refusal"
    SUCCESS = "success"


def kind_of(value: object) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _refuse(word: str) -> Any:
    """Refuse what Python takes for a number, and JSON does not have."""
    raise ValueError(word)


def _parse(text: str) -> Any:
    """Return the value of a JSON text; raise ValueError if it is not one."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("too deep") from error


@dataclass(slots=True)
class _Calls:
    """The calls of one function; of those that succeeded: how many, with a token, and the types of each argument."""

    sent: int = 0
    crashed: int = 0
    number: int = 0
    with_token: int = 0
    types: defaultdict[str, Counter[str]] | None = None


class Knowledge:
    """What the successful calls of a log look like, by function. Memory does not grow with a run."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, _Calls] = defaultdict(_Calls)

    def take(self, event: ExchangeEvent) -> None:
        """Take the next exchange of the log."""
        request, response = event.request, event.response
        if request is None or event.function is None:
            return
        seen = self._calls[event.function]
        seen.sent += 1
        if response is None or response.status != 200:
            seen.crashed += response is None or response.status >= 500
            return
        if len(request.body) > MAX_PARSED_CHARACTERS or '"isError":true' in response.body[:200]:
            return
        try:
            body = _parse(request.body)
        except ValueError:
            return
        if not isinstance(body, dict):
            return
        calls = self._calls[event.function]
        calls.number += 1
        calls.with_token += any(name.lower() == "token" for name in request.headers)
        data = body.get("data")
        if isinstance(data, dict):
            if calls.types is None:
                calls.types = defaultdict(Counter)
            for name, value in data.items():
                if name in calls.types or len(calls.types) < 200:
                    calls.types[name][kind_of(value)] += 1

    def is_dead(self, function: str) -> bool:
        """Return whether a function never succeeded and mostly crashed."""
        calls = self._calls.get(function)
        return (
            calls is not None
            and not calls.number
            and calls.sent >= MIN_DEAD_CALLS
            and calls.crashed >= MIN_DEAD_SHARE * calls.sent
        )

    def succeeded(self, function: str) -> bool:
        """Return whether a call of a function succeeded."""
        calls = self._calls.get(function)
        return calls is not None and calls.number > 0

    def needs_token(self, function: str) -> bool:
        """Return whether nearly all successful calls of a function had a token."""
        calls = self._calls.get(function)
        return calls is not None and calls.with_token > MIN_EXPECTED_SHARE * calls.number

    def is_usual(self, function: str, data: Mapping[str, Any]) -> bool:
        """Return whether arguments have the shape that successful calls have."""
        calls = self._calls.get(function)
        if calls is None or calls.types is None:
            return True
        for name, types in calls.types.items():
            total = types.total()
            if name not in data:
                if total >= MIN_EXPECTED_SHARE * calls.number:
                    return False
            elif types[kind_of(data[name])] < MIN_USUAL_SHARE * total:
                return False
        return True


def _is_envelope(value: object) -> bool:
    return isinstance(value, dict) and "isError" in value and "data" in value


@dataclass(frozen=True)
class Evidence:
    """A finding with what its exchange shows; `position` is the place of its rule in the rulebook."""

    rule: str
    level: str
    area: str
    position: int
    finding: Mapping[str, Any]
    knowledge: Knowledge

    @property
    def function(self) -> str | None:
        """The function of the finding."""
        function: str | None = self.finding["function"]
        return function

    @cached_property
    def status(self) -> int | None:
        """The status of the answer."""
        response = self.finding["response"]
        return int(response["status"]) if response else None

    @cached_property
    def _body(self) -> str:
        response = self.finding["response"]
        return str(response.get("body") or "") if response else ""

    @cached_property
    def _parsed(self) -> Any:
        try:
            return _parse(self._body)
        except ValueError:
            return _Broken

    @property
    def _is_head(self) -> bool:
        request = self.finding["request"]
        return bool(request) and request["verb"] == "HEAD"

    @cached_property
    def content_type(self) -> str:
        """The media type of the answer."""
        response = self.finding["response"]
        headers = response["headers"] if response else {}
        return next(
            (
                str(value).partition(";")[0].strip().lower()
                for name, value in headers.items()
                if name.lower() == "content-type"
            ),
            "",
        )

    @cached_property
    def is_envelope(self) -> bool:
        """Whether the answer is the protocol's envelope; a body that was cut counts if it begins like one.

        An answer to HEAD has no body, so that only its status can be wrong.
        """
        if self._is_head:
            return True
        if self._parsed is _Broken:
            return bool(_CUT.search(self._body) and _ENVELOPE_BEGINS.match(self._body))
        return _is_envelope(self._parsed)

    @cached_property
    def answer(self) -> Answer:
        """How the request was answered."""
        if self.status is None:
            return Answer.NONE
        if self.status >= 500:
            return Answer.CRASH
        if not self.is_envelope:
            return Answer.FOREIGN
        body = self._parsed if isinstance(self._parsed, dict) else {}
        if self.status >= 400 or body.get("isError") is True:
            return Answer.REFUSAL
        return Answer.SUCCESS

    @cached_property
    def unrouted(self) -> bool:
        """Whether the answer is one of a router that found no route."""
        return self.status in _UNROUTED

    @cached_property
    def skeleton(self) -> str:
        """The shape of an answer that is not the envelope, without its texts and numbers."""
        if not self._body.strip():
            return "nothing"
        if self._parsed is not _Broken and self.content_type not in ("text/html", "text/plain"):
            value = self._parsed
            return "JSON " + (
                ",".join(sorted(map(normal, value))) if isinstance(value, dict) else kind_of(value)
            )
        tags = [tag.lower() for tag in _TAG.findall(self._body[:4000])]
        if self.content_type == "text/html" or tags[:1] in (["!doctype"], ["html"]):
            return "HTML " + ",".join(dict.fromkeys(tags))
        return "text"

    @cached_property
    def fingerprint(self) -> tuple[str, ...]:
        """The answer with identifiers and numbers folded."""
        message = self._parsed.get("errMsg") if isinstance(self._parsed, dict) else None
        if self.answer is Answer.REFUSAL:
            return (str(self.status), normal(str(message)))
        if self.answer is Answer.SUCCESS:
            empty = isinstance(self._parsed, dict) and not self._parsed.get("data")
            return (str(self.status), "nothing" if empty else "data")
        return (str(self.status), self.skeleton)

    @cached_property
    def wrong_status(self) -> bool:
        """Whether the finding is that the status should have been another, or that there is no answer."""
        if self.status is None:
            return self.finding["failure"] is not None
        expected = str(self.finding["expected"])
        if "below 500" in expected or "5xx" in expected:
            return True
        if str(self.finding["actual"]).startswith("status 5"):
            return True
        if "from 400 to 499" in expected:
            return not 400 <= self.status <= 499
        return bool(self.named_statuses) and self.status not in self.named_statuses

    @cached_property
    def any_answer(self) -> bool:
        """Whether the finding says only that a call crashed: it leaves open whether the call is valid."""
        return (
            "below 500" in str(self.finding["expected"])
            or {200, 400} <= self.named_statuses
            or (self.status is not None and not self.named_statuses)
        )

    @cached_property
    def named_statuses(self) -> set[int]:
        """The statuses that the finding names as right."""
        expected = str(self.finding["expected"])
        named = {
            int(number) for found in _STATUSES.findall(expected) for number in re.findall(r"\d{3}", found)
        }
        return named or {int(number) for number in _USUAL_STATUS.findall(expected)}

    @cached_property
    def members(self) -> frozenset[str]:
        """The special members of the request, beside the method and the data."""
        request = self.finding["request"]
        try:
            body = _parse(request["body"]) if request else None
        except ValueError:
            body = None
        return frozenset(body) & set(PAGING_MEMBERS) if isinstance(body, dict) else frozenset()

    @cached_property
    def is_json(self) -> bool:
        """Whether the body of the request is JSON."""
        request = self.finding["request"]
        try:
            _parse(request["body"] if request else "")
        except ValueError:
            return False
        return True

    @cached_property
    def null_data(self) -> bool:
        """Whether the data of the call is null."""
        request = self.finding["request"]
        try:
            body = _parse(request["body"]) if request else None
        except ValueError:
            return False
        return isinstance(body, dict) and "data" in body and body["data"] is None

    @cached_property
    def precondition(self) -> Precondition:
        """What is special about the request."""
        request = self.finding["request"]
        if not request:
            return Precondition.VALUES
        if request["verb"] != "POST":
            return Precondition.VERB
        function = self._called or self.function
        if function is None or not _at_endpoint(request["url"], function):
            return Precondition.PATH
        headers = {name.lower(): str(value) for name, value in request["headers"].items()}
        if headers.get("content-type", "").lower() != "application/json":
            return Precondition.TYPE
        return self._of_body(function, request["body"], headers)

    @cached_property
    def _called(self) -> str | None:
        """The function that the request calls, if it is one that has succeeded; the finding may be of another."""
        request = self.finding["request"]
        try:
            body = _parse(request["body"])
        except ValueError:
            return None
        method = body.get("method") if isinstance(body, dict) else None
        called = f"{urlsplit(request['url']).path.rpartition('/')[2]}.{method}"
        return called if isinstance(method, str) and self.knowledge.succeeded(called) else None

    def _of_body(self, function: str, text: str, headers: Mapping[str, str]) -> Precondition:
        if _CUT.search(text):
            return Precondition.VALUES
        try:
            body = _parse(text)
        except ValueError:
            return Precondition.BODY
        if not isinstance(body, dict) or not isinstance(body.get("method"), str):
            return Precondition.CALL
        if "." not in function or body["method"] != function.partition(".")[2]:
            return Precondition.METHOD
        if self._lacks_session(function, headers):
            return Precondition.SESSION
        for name, value in body.items():
            # A lenient reader takes a member in another case for the member.
            if name.lower() not in _LOWER_PAGING_MEMBERS:
                continue
            if value is not None and (type(value) is not int or value < 0):
                return Precondition.PAGING
        data = body.get("data")
        if data is not None and not isinstance(data, dict):
            return Precondition.DATA
        # Data may be null, which is to have no arguments.
        if not self.knowledge.is_usual(function, data or {}):
            return Precondition.SHAPE
        return Precondition.VALUES

    def _lacks_session(self, function: str, headers: Mapping[str, str]) -> bool:
        if self.knowledge.needs_token(function):
            return "token" not in headers or self.named_statuses == {401}
        return self.named_statuses == {401} and not self.knowledge.succeeded(function)


class _Broken:
    """Stands for a body that is not JSON."""


def _at_endpoint(url: str, function: str) -> bool:
    path = urlsplit(url).path
    entity = function.partition(".")[0]
    return path.endswith(f"/{entity}") and "//" not in path and ".." not in path and "/./" not in path
