"""Calls as the learner sees them: a function, its arguments, who called it, and how it was answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from conformance.protocol.redaction import MASK, is_secret_member

__all__ = [
    "FUNCTION_NAME_CHARACTERS",
    "Call",
    "Json",
    "NotACallError",
    "arguments_of",
    "data_of",
    "is_masked",
    "is_secret_name",
    "leaves",
]

Json: TypeAlias = Any

#: Paging members of a call (protocol, section 1).
PAGE_START, PAGE_LENGTH = "pageStart", "pageLength"
_KNOWN_MEMBERS = frozenset({"method", "data", PAGE_START, PAGE_LENGTH})

#: A longer name is a test of the target, not a function of it.
FUNCTION_NAME_CHARACTERS = 80

#: Statuses that say that the arguments are wrong. 404, 409 and the like may come from the state of the target.
REFUSED_ARGUMENTS = frozenset({400, 422})


class NotACallError(ValueError):
    """A recorded exchange teaches nothing; the message says why."""


@dataclass(frozen=True)
class Call:
    """One recorded call.

    `session` distinguishes sessions (or users, where the record hides tokens); None for a call without a token.
    `user` is the name of the user, where it is known. `status` is that of the answer, `result` the `data` of a success.
    `label` names the call for people, as in "call 41 of run/events.jsonl".
    """

    function: str
    arguments: dict[str, Json]
    status: int
    succeeded: bool
    result: Json = None
    has_result: bool = False
    session: str | None = None
    user: str | None = None
    page_start: int | None = None
    page_length: int | None = None
    #: Whether a paging member has a value that no rule allows.
    invalid_page: bool = False
    label: str = ""
    #: Whether the answer has a token that later calls carry.
    gives_token: bool = False
    #: False for a call that no client makes, whose refusal therefore says nothing about its arguments.
    is_ordinary: bool = True

    @property
    def entity(self) -> str:
        """The endpoint."""
        return self.function.partition(".")[0]

    @property
    def refused_arguments(self) -> bool:
        """Whether the target refused the arguments of an otherwise ordinary call."""
        return not self.succeeded and self.status in REFUSED_ARGUMENTS and self.is_ordinary


def _without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotACallError("a member of the call stands twice")
    return found


def _no_constant(word: str) -> Json:
    raise NotACallError(f"{word} is not JSON")


def _parsed(body: bytes | str, what: str) -> Json:
    try:
        return json.loads(body, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except NotACallError:
        raise
    except (ValueError, RecursionError):
        raise NotACallError(
            f"the body of the {what} is not JSON, or the record has only a part of it"
        ) from None


def arguments_of(body: bytes | str) -> tuple[str, dict[str, Json], dict[str, Json]]:
    """Return the method, the arguments and the other members of a call. Raises NotACallError."""
    sent = _parsed(body, "request")
    if not isinstance(sent, dict):
        raise NotACallError("the body of the request is not a JSON object")
    method, data = sent.get("method"), sent.get("data")
    if not isinstance(method, str) or not method or "." in method or len(method) > FUNCTION_NAME_CHARACTERS:
        raise NotACallError("the call names no function")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise NotACallError("the arguments are not an object")
    return method, data, {name: value for name, value in sent.items() if name not in ("method", "data")}


def page_of(others: Mapping[str, Json]) -> tuple[int | None, int | None, bool, bool]:
    """Return the start and the length of the page, whether one is invalid, and whether other members were sent."""
    page: list[int | None] = []
    is_invalid = False
    for name, least in ((PAGE_START, 0), (PAGE_LENGTH, 1)):
        value = others.get(name)
        is_valid = type(value) is int and value >= least
        is_invalid |= name in others and not is_valid
        page.append(value if is_valid else None)
    return page[0], page[1], is_invalid, bool(others.keys() - _KNOWN_MEMBERS)


def data_of(body: bytes | str) -> tuple[bool, Json]:
    """Return whether an answer is a success, and its data. Raises NotACallError."""
    answer = _parsed(body, "response")
    if not isinstance(answer, dict) or not isinstance(answer.get("isError"), bool):
        raise NotACallError("the response is not an envelope")
    return not answer["isError"], answer.get("data")


def is_masked(value: Json) -> bool:
    """Return whether a text was masked in the record, in whole or in part."""
    return isinstance(value, str) and MASK in value


def is_secret_name(name: str) -> bool:
    """Return whether the values of a member of this name are never written down."""
    return is_secret_member(name.encode("utf-8", "surrogatepass"))


#: The items of an array of which identifiers are taken, and the depth to which values are visited.
MAX_ITEMS = 200
MAX_DEPTH = 12


def leaves(value: Json, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, Json]]:
    """Yield (JSON pointer with `*` for any item, value) for each scalar of a value."""
    if isinstance(value, dict):
        if depth < MAX_DEPTH:
            for name, item in value.items():
                yield from leaves(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", depth + 1)
    elif isinstance(value, list):
        if depth < MAX_DEPTH:
            for item in value[:MAX_ITEMS]:
                yield from leaves(item, f"{pointer}/*", depth + 1)
    else:
        yield pointer, value
