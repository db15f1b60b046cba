"""Text from a target made safe to show, in characters that the output can encode."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

__all__ = [
    "FOLDER_VARIABLE",
    "cut",
    "cut_middle",
    "located",
    "plural",
    "reveal",
    "wants_color",
    "writable",
]

#: Names the folder of the command, from which files are shown, in processes that run in another folder.
FOLDER_VARIABLE = "CONFORM_FOLDER"

#: What stands in for a mark that the output's encoding does not have.
_PLAIN = str.maketrans(
    {"✗": "x", "✓": "+", "·": "-", "…": "...", "«": '"', "»": '"', "–": "-", "—": "-", "→": "->", "’": "'"}
)


def located(path: Path) -> str:
    """Return a path as it is shown: from the folder of the command, if the file lies below it."""
    try:
        return str(path.relative_to(os.environ.get(FOLDER_VARIABLE) or Path.cwd()))
    except ValueError:
        return str(path)


_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def reveal(text: str, *, keep: str = "") -> str:
    """Return the text with everything that does not print as an escape, but for the characters in `keep`.

    A target may send what moves a cursor, hides text or turns it around (control characters, bidirectional
    overrides, zero-width characters), or half a surrogate pair, which no encoding writes.
    """
    others = text
    for character in keep:
        others = others.replace(character, "")
    if others.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def cut(text: str, limit: int, note: str = "") -> str:
    """Return the text; one longer than `limit` is cut there, with an ellipsis and the note after it."""
    return text if len(text) <= limit else text[: max(1, limit - 1)].rstrip() + "…" + note


def cut_middle(text: str, limit: int) -> str:
    """Return the text; a longer one lacks a piece before its end, since texts often differ in their last words."""
    if len(text) <= limit:
        return text
    tail = text[-max(1, (limit - 1) // 2) :]
    # A whole word is better than a part of one.
    tail = tail[tail.find(" ") + 1 :] if " " in tail[: len(tail) // 2] else tail
    return text[: max(1, limit - 1 - len(tail))].rstrip() + "…" + tail


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return the count with its noun: `1 finding`, `2 findings`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def writable(text: str, encoding: str | None) -> str:
    """Return the text as that encoding can write it: marks as ASCII, all else as escapes."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        pass
    else:
        return text
    try:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")


def wants_color(file: TextIO) -> bool:
    """Whether to colour what is written there: a terminal that can, and nobody who said no (NO_COLOR)."""
    try:
        terminal = file.isatty()
    except ValueError:
        return False
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
