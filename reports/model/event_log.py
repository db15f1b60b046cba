"""The event log of a run: JSON lines, written while the run goes on, and read back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from conformance.events import AnyEvent, Event, EventError, ExchangeEvent, JudgedEvent, decode, encode

__all__ = ["EVENTS", "LogError", "RunLog", "read_events"]

EVENTS = "events.jsonl"

#: Events that come by the thousand and may be buffered. Every other event is written to the file at once.
BUFFERED_EVENTS = (ExchangeEvent, JudgedEvent)


class LogError(Exception):
    """The log of a run cannot be written, or cannot be read."""


class RunLog:
    """The log of a run: `events.jsonl` in a folder, one JSON object per line.

    Any thread may write. Exchanges and counts are buffered until there are `batch` bytes of them or `delay`
    seconds have passed. Every other event is written at once, after the buffered ones, so a process that is
    killed loses no finding. Each line is written whole, so several processes may append to one log.

    If the disk is full or gone, the write that fails raises `LogError`, once. Later writes are dropped silently.
    Such a log has no `end` event, so a reader knows that it is incomplete.
    """

    def __init__(
        self,
        folder: Path,
        *,
        append: bool = False,
        batch: int = 32_768,
        delay: float = 0.2,
        since: float | None = None,
    ) -> None:
        """Open the log; `since` is the time (`time.monotonic`) that `at` counts from, by default now."""
        self.path = Path(folder) / EVENTS
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._size = 0
        self._batch = batch
        self._delay = delay
        self._flushed = time.monotonic()
        self._began = self._flushed if since is None else since
        self._broken = False
        self._file = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if append else os.O_TRUNC)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise LogError(f"cannot write {self.path}: {error.strerror}") from error

    def write(self, event: Event) -> None:
        """Append an event; one without `at` gets it: the seconds since the log was opened."""
        if self._broken:
            return
        now = time.monotonic()
        line = encode(event, now - self._began)
        patient = isinstance(event, BUFFERED_EVENTS)
        with self._lock:
            self._waiting.append(line)
            self._size += len(line)
            if not patient or self._size >= self._batch or now - self._flushed >= self._delay:
                self._write_out(now)

    def flush(self) -> None:
        """Write the buffered events to the file."""
        with self._lock:
            self._write_out(time.monotonic())

    def close(self) -> None:
        """Write the buffered events and close the file; closing twice is allowed."""
        with self._lock:
            try:
                self._write_out(time.monotonic())
            finally:
                if self._file >= 0:
                    os.close(self._file)
                self._file = -1
                self._broken = True

    def _write_out(self, now: float) -> None:
        self._flushed = now
        if not self._waiting or self._broken:
            return
        data = memoryview(("\n".join(self._waiting) + "\n").encode())
        self._waiting.clear()
        self._size = 0
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._broken = True
            raise LogError(f"cannot write {self.path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path) -> Iterator[AnyEvent]:
    """Yield the events of a log one by one, without a last line that was cut off. Raises LogError.

    Events of types that this version does not know are left out.
    """
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    event = decode(line)
                except EventError as error:
                    if line.endswith(b"\n"):
                        raise LogError(f"{path}, line {number}: {error}") from error
                    return
                if event is not None:
                    yield event
    except OSError as error:
        raise LogError(f"cannot read {path}: {error.strerror}") from error
