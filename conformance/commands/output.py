"""Standard output of the command: its failures have their own exception, and a closed pipe is no error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

__all__ = ["OutputError", "discard_output", "guarded_streams", "print_error", "tolerate_closed_pipe"]


@contextlib.contextmanager
def tolerate_closed_pipe() -> Iterator[None]:
    """Ignore that the reader has closed the pipe (`| head`): the exit status still states the result."""
    try:
        yield
    except BrokenPipeError:
        discard_output()


class OutputError(Exception):
    """Standard output cannot be written."""


class _Output:
    """Standard output that raises OutputError, so that its failures differ from those of other files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            OutputError: it cannot be written.

        """
        with self._reported():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write the buffered text.

        Raises:
            OutputError: it cannot be written.

        """
        with self._reported():
            self._stream.flush()

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.strerror or str(error)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """Write characters that an encoding lacks as escapes, and raise OutputError if standard output fails."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    stdout, stderr = sys.stdout, sys.stderr
    with contextlib.ExitStack() as streams:
        # Python has no stream object if the stream was closed before the start.
        null_device = streams.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        sys.stdout, sys.stderr = cast(TextIO, _Output(stdout or null_device)), stderr or null_device
        try:
            yield
            with tolerate_closed_pipe():
                sys.stdout.flush()
        finally:
            sys.stdout, sys.stderr = stdout, stderr


def print_error(line: str) -> None:
    """Print a line on standard error; ignore that it cannot be written."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)


def discard_output() -> None:
    """Discard buffered standard output, so that Python does not fail when it flushes the stream at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
