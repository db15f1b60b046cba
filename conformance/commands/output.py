"""What the command prints: failures of standard output are told apart, and a reader may go away early."""

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
    """Let a reader go away early (`| head`): what the run came to is said by the exit status all the same."""
    try:
        yield
    except BrokenPipeError:
        discard_output()


class OutputError(Exception):
    """Standard output cannot be written."""


class _Output:
    """Standard output whose failures cannot be taken for those of any other file; a reader may go away early."""

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
        """Write what is held back.

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
    """Write what the streams' encodings cannot show as escapes, and tell failures of standard output apart."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    stdout, stderr = sys.stdout, sys.stderr
    with contextlib.ExitStack() as opened:
        # Python has no such stream where it was closed before the start.
        nowhere = opened.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        sys.stdout, sys.stderr = cast(TextIO, _Output(stdout or nowhere)), stderr or nowhere
        try:
            yield
            with tolerate_closed_pipe():
                sys.stdout.flush()
        finally:
            sys.stdout, sys.stderr = stdout, stderr


def print_error(line: str) -> None:
    """Print a line on standard error, where that can be written."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)


def discard_output() -> None:
    """Send what is still to be written to standard output nowhere, so that Python does not fail over it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
