"""Errors that are shown to a person in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["UsageError", "suggestion"]


class UsageError(Exception):
    """The command line, the profile or the catalogue is wrong; one line says what, where and how to mend."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean "…"?' with the known word that comes closest, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""
