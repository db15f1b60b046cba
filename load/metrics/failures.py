"""Why requests failed: by function, kind and message, how often, from when to when, with one exchange of each.

A failed request is looked at once, when it ends; a request that was served costs nothing here. Messages are folded, so
that those that differ in identifiers and numbers alone count as one. Memory is bounded: past `MAX_KINDS` rows the rest
is counted without telling its kinds apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["MAX_KINDS", "FailureTable", "Failures", "Held", "fold_message", "hold"]

#: Rows in a table of failures.
MAX_KINDS = 100
#: Characters of a folded message, and of a message that is folded at all.
MAX_MESSAGE = 200
_MAX_FOLDED = 2_000
#: Answers whose row is remembered by their very bytes, and how long such an answer may be, in bytes.
_MAX_KNOWN = 1_024
_MAX_KNOWN_BYTES = 2_048

_decode = msgspec.json.Decoder().decode

#: What stands for an identifier: an address, a UUID, a word with a digit in it.
_IDENTIFIER = re.compile(r"[\w.+-]+@[\w.-]+\w|\w*\d[\w-]*(?:[.:]\d[\w-]*)*")


def fold_message(text: str) -> str:
    """Return a message with its identifiers and numbers folded, and no longer than `MAX_MESSAGE` characters."""
    aggregated = " ".join(_IDENTIFIER.sub("#", text[:_MAX_FOLDED]).split())
    return aggregated if len(aggregated) <= MAX_MESSAGE else aggregated[: MAX_MESSAGE - 1] + "…"


@dataclass(slots=True)
class Held:
    """What became of a call, kept beyond its connection's next request."""

    status: int
    answer: Any
    body: bytes
    failure: str | None
    detail: str
    sent: float
    done_at: float
    opened: bool = False
    met: bool = False


def hold(line: Any) -> Held:
    """Return what a connection holds of the answer that came last."""
    return Held(
        line.status,
        getattr(line, "answer", None),
        line.body,
        line.failure,
        line.detail,
        line.sent,
        line.done_at,
    )


def message_of(reply: Any) -> str:
    """Return what the target said of a failed call: `errMsg`, or what is known of a missing answer."""
    if reply.failure is not None:
        return str(reply.detail or "")
    try:
        envelope = _decode(reply.body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    told = envelope.get("errMsg") if isinstance(envelope, dict) else None
    return told if isinstance(told, str) else "" if told is None else msgspec.json.encode(told).decode()


@dataclass(slots=True, eq=False)
class Row:
    """Failures of one function that are alike; `first` and `last` are seconds since the run's beginning."""

    function: str | None
    kind: str
    message: str
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    exchange: Mapping[str, Any] | None = None
    #: How much of the count was told already, and whether the exchange was.
    told: int = 0
    shown: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {
            "function": self.function,
            "kind": self.kind,
            "message": self.message,
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "exchange": self.exchange,
        }


class Failures:
    """The failures of one process, taken in as they happen."""

    def __init__(
        self,
        functions: Sequence[str],
        *,
        show: Callable[[Any, Any], Mapping[str, Any]] | None = None,
        mask: Callable[[str], str] = str,
    ) -> None:
        """`show` returns a call and its answer as they may be written down; `mask` hides secrets in a message."""
        self.functions = functions
        #: Failed requests that are in no row.
        self.beyond = 0
        self._beyond_told = 0
        self._show = show
        self._mask = mask
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._known: dict[tuple[int, str, bytes], Row | None] = {}

    def take(self, call: Any, reply: Any, kind: str, at: float) -> None:
        """Take in a failed request that ended at a moment of the run."""
        key = (
            call.index,
            kind,
            reply.body if reply.failure is None else reply.detail.encode("utf-8", "replace"),
        )
        try:
            row = self._known[key]
        except KeyError:
            row = self._row(call, reply, kind, at)
            if len(key[2]) <= _MAX_KNOWN_BYTES:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known[key] = row
        if row is None:
            self.beyond += 1
            return
        row.count += 1
        row.last = at

    def _row(self, call: Any, reply: Any, kind: str, at: float) -> Row | None:
        function = self.functions[call.index]
        message = fold_message(self._mask(message_of(reply)))
        row = self._rows.get((function, kind, message))
        if row is None and len(self._rows) < MAX_KINDS:
            shown = self._show(call, reply) if self._show is not None else None
            row = self._rows[function, kind, message] = Row(function, kind, message, first=at, exchange=shown)
        return row

    def news(self) -> dict[str, Any] | None:
        """Return what has come about since this was last asked, for `FailureTable.take`; None for nothing."""
        changed = [row for row in self._rows.values() if row.count > row.told]
        if not changed and self.beyond == self._beyond_told:
            return None
        rows = []
        for row in changed:
            told = {**row.to_json(), "count": row.count - row.told}
            if row.shown:
                told["exchange"] = None
            row.told, row.shown = row.count, True
            rows.append(told)
        beyond, self._beyond_told = self.beyond - self._beyond_told, self.beyond
        return {"rows": rows, "beyond": beyond}


class FailureTable:
    """The failures of all processes."""

    def __init__(self) -> None:
        #: Failed requests that are in no row.
        self.beyond = 0
        self._rows: dict[tuple[str | None, str, str], Row] = {}

    def take(self, news: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take in what a process told (`Failures.news`); return the rows that are new."""
        self.beyond += int(news["beyond"])
        new = []
        for told in news["rows"]:
            key = (told["function"], told["kind"], told["message"])
            row = self._rows.get(key)
            if row is None:
                if len(self._rows) >= MAX_KINDS:
                    self.beyond += int(told["count"])
                    continue
                row = self._rows[key] = Row(*key, first=told["first"], exchange=told["exchange"])
                new.append(row)
            row.count += told["count"]
            row.first = min(row.first, told["first"])
            row.last = max(row.last, told["last"])
            row.exchange = row.exchange or told["exchange"]
        return [row.to_json() for row in new]

    def to_json(self, unsent: Iterable[tuple[str | None, str, int]] = ()) -> dict[str, Any]:
        """Return it as the report has it, the largest first.

        `unsent` are requests that failed before they were sent: function, kind, number.
        """
        rows = [row.to_json() for row in self._rows.values()]
        for function, kind, count in unsent:
            rows.append({**Row(function, kind, "", count).to_json(), "first": None, "last": None})
        rows.sort(key=lambda row: (-row["count"], row["function"] or "", row["kind"], row["message"]))
        return {"rows": rows, "beyond": self.beyond}
