"""Formats a request and a response for reading: indented, cut, and marked at the place of the finding.

JSON is formatted token by token and not decoded and encoded again, so duplicate members, escapes and numbers of thirty
digits are shown as they were sent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.text import reveal

__all__ = ["Shown", "indent_json", "show_request", "show_response"]

#: Characters of a container that is written on one line.
MAX_INLINE_CHARACTERS = 64

#: Marked lines of a container that the finding names.
MAX_MARKED_LINES = 12

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_STATUS = re.compile(r"\bstatus (\d{3})\b")
#: A JSON pointer into an answer as findings write it: /errMsg, /data/rows/0, or data/user in the error of a schema.
_POINTER = re.compile(
    r"(?:^|(?<=[\s'\"(]))(?:/?((?:errMsg|isError|data)(?:/[^\s:'\",;()]+)+)"
    r"|/(errMsg|isError|data)\b|(?:^)(errMsg|isError|data)(?=:))"
)
_QUOTED = re.compile(r"'([^']{2,80})'|\"([^\"]{2,80})\"|«([^»]{2,80})»")
_FIELD = re.compile(r"\b([A-Z][A-Za-z0-9]*(?:-[A-Z][A-Za-z0-9]*)+)\b")
_WHOLE = re.compile(r"… \((\d+) bytes in all\)$")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a message; `marked` if the finding is about it."""

    text: str
    marked: bool = False
    head: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A message in lines; `note` says what was cut from its body."""

    lines: tuple[Line, ...]
    note: str | None


# One function, though it is long: one branch for each token of JSON.
def indent_json(text: str) -> list[tuple[str, str]] | None:
    """Return indented JSON as lines, each with the JSON pointer of its first value; None if it is not JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    tokens = _TOKEN.findall(text)
    closes = _closes(tokens)
    lines: list[tuple[str, str]] = []
    path: list[str | int] = []
    line, where = "", ""
    position = 0

    def at() -> str:
        return "".join(f"/{part}" for part in path)

    def end() -> None:
        nonlocal line
        if line:
            lines.append((line, where))
        line = "  " * len(path)

    while position < len(tokens):
        # The outermost container is never written on one line, so that each member can be marked.
        piece = tokens[position]
        follows = tokens[position + 1] if position + 1 < len(tokens) else ""
        if piece in "{[":
            flat = (
                _inline(tokens, position, closes[position])
                if path or closes[position] == position + 1
                else None
            )
            if flat is not None:
                line += flat
                position = closes[position]
            else:
                line += piece
                path.append(0 if piece == "[" else "")
                end()
                where = at()
        elif piece in "}]":
            path.pop()
            end()
            line += piece
            where = at()
        elif piece == ",":
            line += piece
            if path and isinstance(path[-1], int):
                path[-1] += 1
            end()
            where = at()
        elif piece == ":":
            line += ": "
        else:
            if follows == ":":
                path[-1] = _name(piece)
                where = at()
            line += piece
        position += 1
    if line.strip():
        lines.append((line, where))
    return lines


def _closes(tokens: list[str]) -> dict[int, int]:
    closes: dict[int, int] = {}
    opened: list[int] = []
    for position, piece in enumerate(tokens):
        if piece in "{[":
            opened.append(position)
        elif piece in "}]":
            closes[opened.pop()] = position
    return closes


def _inline(tokens: list[str], begin: int, end: int) -> str | None:
    if end - begin > MAX_INLINE_CHARACTERS:
        return None
    text = ""
    for piece in tokens[begin : end + 1]:
        text += {",": ", ", ":": ": "}.get(piece, piece)
        if len(text) > MAX_INLINE_CHARACTERS:
            return None
    # A list that contains containers is easier to read on several lines.
    return text if not any(piece in "{[" for piece in tokens[begin + 1 : end]) else None


def _name(piece: str) -> str:
    try:
        return str(json.loads(piece))
    except ValueError:
        return piece


def _body(text: str, limit: int, marks: Collection[str], quoted: Collection[str]) -> Shown:
    """Return a body in lines, cut after `limit` characters, and marked at the pointers or the quoted texts."""
    note = None
    # A body that was cut when it was recorded is not JSON any more.
    rows = [] if not text else None if text.endswith(" bytes in all)") else indent_json(text)
    if rows is None:
        shown = text[:limit]
        lines = [(line, "") for line in shown.split("\n")]
        if len(text) > limit:
            note = _cut_note(text, limit)
        elif _WHOLE.search(text):
            note = _cut_note(text, len(text))
    else:
        lines, left = [], limit
        for line, where in rows:
            if left <= 0 or len(line) > left:
                if left > 0:
                    lines.append((line[:left], where))
                note = _cut_note(text, limit)
                break
            lines.append((line, where))
            left -= len(line) + 1
    return Shown(tuple(_mark(lines, marks, quoted)), note)


def _cut_note(text: str, shown: int) -> str:
    whole = _WHOLE.search(text)
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    part = (
        f"the first {shown:,} of {len(text):,} characters"
        if shown < len(text)
        else "cut when it was recorded"
    )
    length = f"; {int(whole[1]):,} bytes in all" if whole else ""
    return f"{part}{length}; SHA-256 of what report.json holds: {digest[:16]}"


def _mark(lines: list[tuple[str, str]], marks: Collection[str], quoted: Collection[str]) -> Iterator[Line]:
    places = {where for _, where in lines}
    # If there is nothing at a pointer, the finding is about a missing member: mark its parent.
    wanted = {_nearest(mark, places) for mark in marks} - {None, ""}
    counts: dict[str, int] = {}
    for line, where in lines:
        marked = False
        for mark in wanted:
            assert mark is not None
            if where == mark or where.startswith(mark + "/"):
                counts[mark] = counts.get(mark, 0) + 1
                marked = counts[mark] <= MAX_MARKED_LINES
        if not marked and not wanted:
            marked = any(text in line for text in quoted)
        yield Line(line, marked)


def _nearest(pointer: str, places: Collection[str]) -> str | None:
    while pointer:
        if pointer in places:
            return pointer
        pointer = pointer.rpartition("/")[0]
    return None


def _places(text: str) -> set[str]:
    """Return the JSON pointers that a text names, without those that others extend."""
    found = {"/" + next(part for part in groups if part).rstrip("/") for groups in _POINTER.findall(text)}
    return {place for place in found if not any(other.startswith(place + "/") for other in found)}


def _finding_text(finding: Mapping[str, Any]) -> str:
    return "\n".join(str(finding.get(part) or "")[:1000] for part in ("kind", "expected", "actual"))


def _quotes(text: str) -> set[str]:
    return {next(part for part in found if part) for found in _QUOTED.findall(text)}


def show_request(finding: Mapping[str, Any], limit: int) -> Shown | None:
    """Return the request of a finding; what the finding quotes is marked."""
    request = finding.get("request")
    if not request:
        return None
    quoted = _quotes(_finding_text(finding)) - {"OK"}
    head = [Line(f"{request['verb']} {request['url']}", head=True)]
    head += [
        Line(
            f"{name}: {value}",
            name.lower() in _finding_text(finding).lower() and name.lower() == "token",
            head=True,
        )
        for name, value in request["headers"].items()
    ]
    body = _body(str(request.get("body") or ""), limit, (), quoted)
    return Shown((*head, Line(""), *body.lines) if body.lines else tuple(head), body.note)


def show_response(finding: Mapping[str, Any], limit: int) -> Shown | None:
    """Return the response of a finding: status, headers and body, marked at the place of the finding."""
    response = finding.get("response")
    if not response:
        return None
    said, actual = _finding_text(finding), str(finding.get("actual") or "")
    status = str(response["status"])
    expected = str(finding.get("expected") or "")
    marks = _places(actual)
    by_status = status in _STATUS.findall(f"{finding.get('kind')}\n{actual}") and (
        "status" in expected or "below 500" in expected or not marks
    )
    lines = [Line(f"HTTP {status}  ({1000 * float(response['seconds']):.1f} ms)", by_status, head=True)]
    named = {name.lower() for name in _FIELD.findall(said)}
    for name, value in response["headers"].items():
        lines.append(Line(f"{name}: {value}", name.lower() in named, head=True))
    there = {name.lower() for name in response["headers"]}
    missing = [name for name in dict.fromkeys(_FIELD.findall(expected)) if name.lower() not in there]
    if re.search(r"^no |without|missing|absent", actual):
        lines += [Line(f"{name}: (absent)", marked=True, head=True) for name in missing]
    quoted = _quotes(actual) - {"OK"} if not by_status else set()
    body = _body(str(response.get("body") or ""), limit, marks, quoted)
    return Shown((*lines, Line(""), *body.lines) if body.lines else tuple(lines), body.note)


def plain(shown: Shown) -> str:
    """Return a message as plain text, with escapes for characters that do not print."""
    return "\n".join(reveal(line.text) for line in shown.lines)
