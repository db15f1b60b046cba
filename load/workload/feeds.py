"""Data feeds of scenario files: rows of a CSV or JSON lines file, each of which is used once.

A feed is made when the scenario file is imported, read when the load is set up, and divided among the processes: each
row belongs to one of them.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from conformance.errors import UsageError
from conformance.protocol.redaction import MASK, is_secret_member
from conformance.rulebook.own_rules import located

__all__ = ["FEEDS", "Feed", "NoRowsLeft", "csv_feed", "forget", "json_feed", "masked", "share"]

AtEnd = Literal["stop", "circulate"]

#: The largest number of rows of a feed.
MAX_ROWS = 5_000_000
#: Rows given out last, whose secrets are masked in the messages of errors, and the shortest such secret.
MAX_RECENT_ROWS = 512
MIN_SECRET_CHARACTERS = 4

#: The feeds of the scenario file, in the order in which it makes them.
FEEDS: list[Feed] = []


class NoRowsLeft(Exception):  # noqa: N818  (it ends a user, and is no error)
    """A feed that stops the load has no row left."""


class Feed:
    """The rows of a file; `next()` returns one that was not returned before."""

    def __init__(self, file: Path, read: Callable[[Path], Iterator[Any]], at_end: AtEnd, place: str) -> None:
        self.file = file
        self.at_end = at_end
        #: Where the scenario file makes it.
        self.place = place
        #: Called when the last row was taken of a feed that stops the load.
        self.on_last: Callable[[str], None] = _nothing
        self._read = read
        self._rows: list[Any] | None = None
        self._own: list[Any] | None = None
        self._at = 0
        self._recent: deque[Any] = deque(maxlen=MAX_RECENT_ROWS)

    def __len__(self) -> int:
        """Return the number of rows of the file."""
        return len(self._all())

    def _all(self) -> list[Any]:
        if self._rows is None:
            shown = located(self.file)
            try:
                self._rows = list(self._read(self.file))
            except OSError as error:
                raise UsageError(
                    f"{self.place}: the feed {shown} cannot be read: {error.strerror or error}"
                ) from None
            except (UnicodeDecodeError, csv.Error) as error:
                raise UsageError(f"{self.place}: the feed {shown}: {error}") from None
            if not self._rows:
                raise UsageError(f"{self.place}: the feed {shown} has no rows")
        return self._rows

    def share(self, index: int, of: int) -> None:
        """Keep the rows of process `index` of `of`, and begin with the first of them.

        Raises:
            UsageError: the file cannot be read, or has fewer rows than there are processes.

        """
        rows = self._all()
        if len(rows) < of:
            raise UsageError(
                f"{self.place}: the feed {located(self.file)} has {len(rows)} rows for {of} workers: each needs one"
            )
        self._own = rows[index::of]
        self._at = 0

    def next(self) -> Any:
        """Return the next row: a dictionary of texts (CSV), or the value of a line (JSON lines).

        Raises:
            NoRowsLeft: there is none, and the feed stops the load.
            UsageError: the load has not begun.

        """
        rows = self._own
        if rows is None:
            raise UsageError(f"{self.place}: a feed has rows while the load runs: call next() in a task")
        if self._at >= len(rows):
            if self.at_end == "stop":
                raise NoRowsLeft(f"the feed {self.file.name} has no rows left")
            self._at = 0
        row = rows[self._at]
        self._at += 1
        if self._at == len(rows) and self.at_end == "stop":
            self.on_last(f"the feed {self.file.name} has no rows left")
        self._recent.append(row)
        return row

    def __next__(self) -> Any:
        return self.next()

    def __iter__(self) -> Feed:
        return self

    def secrets(self) -> Iterator[str]:
        """Yield the secrets of the rows that were given out last."""
        for row in self._recent:
            if isinstance(row, Mapping):
                for name, value in row.items():
                    long = isinstance(value, str) and len(value) >= MIN_SECRET_CHARACTERS
                    if long and is_secret_member(name.encode("utf-8", "surrogatepass")):
                        yield value


def _nothing(why: str) -> None:
    pass


def csv_feed(file: str, *, at_end: AtEnd = "stop") -> Feed:
    """Return a feed of the rows of a CSV file, whose first row names the columns.

    A relative path is relative to the file that calls this. When the rows are used up, the load ends (`at_end="stop"`)
    or they are used again (`at_end="circulate"`).

    Raises:
        UsageError: `at_end` is neither.

    """
    return _made(file, _csv_rows, at_end)


def json_feed(file: str, *, at_end: AtEnd = "stop") -> Feed:
    """Return a feed of the lines of a file, each of which is a JSON value; otherwise as `csv_feed`.

    Raises:
        UsageError: `at_end` is neither "stop" nor "circulate".

    """
    return _made(file, _json_rows, at_end)


def _made(file: str, read: Callable[[Path], Iterator[Any]], at_end: AtEnd) -> Feed:
    frame = sys._getframe(2)
    caller = Path(frame.f_code.co_filename)
    place = f"{located(caller)}:{frame.f_lineno}"
    if at_end not in ("stop", "circulate"):
        raise UsageError(f'{place}: at_end is "stop" or "circulate", not {at_end!r}')
    feed = Feed((caller.parent / file).resolve(), read, at_end, place)
    FEEDS.append(feed)
    return feed


def _csv_rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.reader(opened)
        names: list[str] | None = None
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            place = f"{located(file)}:{reader.line_num}"
            if names is None:
                names = [name.strip() for name in row]
                if not all(names) or len(set(names)) < len(names):
                    raise UsageError(f"{place}: the first row names the columns, each by a name of its own")
                continue
            if len(row) != len(names):
                raise UsageError(f"{place}: {len(row)} columns, where the first row names {len(names)}")
            _refuse_many(reader.line_num, place)
            yield dict(zip(names, row, strict=True))


def _json_rows(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8-sig") as opened:
        for number, line in enumerate(opened, 1):
            if line.strip():
                place = f"{located(file)}:{number}"
                _refuse_many(number, place)
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise UsageError(f"{place}: is no JSON: {error}") from None


def _refuse_many(number: int, place: str) -> None:
    if number > MAX_ROWS + 1:
        raise UsageError(f"{place}: more than {MAX_ROWS:,} rows; divide the file")


def share(index: int, of: int, on_last: Callable[[str], None]) -> None:
    """Give process `index` of `of` its rows of each feed; `on_last` is called when a feed that stops has none left.

    Raises:
        UsageError: a feed cannot be read, or has too few rows.

    """
    for feed in FEEDS:
        feed.share(index, of)
        feed.on_last = on_last


def masked(text: str) -> str:
    """Return a text without the secrets of the rows that were given out last."""
    for feed in FEEDS:
        for secret in feed.secrets():
            text = text.replace(secret, MASK)
    return text


def forget() -> None:
    """Forget all feeds: another scenario file is read."""
    FEEDS.clear()
