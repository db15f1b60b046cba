"""Lines for a terminal that keep within a width, with or without colour. Their content is never interpreted."""

from __future__ import annotations

import io

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from conformance.text import cut, reveal, writable

__all__ = ["LABEL", "Page"]

#: Columns of a label.
LABEL = 13


class Page:
    """A page of lines that keep within a width, with or without colour."""

    def __init__(self, *, color: bool, width: int, encoding: str | None) -> None:
        self.width = max(40, width)
        self._encoding = encoding
        self._out = io.StringIO()
        self._console = Console(
            file=self._out,
            width=self.width,
            force_terminal=color,
            color_system="standard" if color else None,
            no_color=not color,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
            _environ={},
        )

    def safe(self, text: object) -> str:
        """Return text that is safe to show in this encoding."""
        return writable(reveal(str(text)), self._encoding)

    def line(self, *parts: tuple[str, str], wrap: bool = True, indent: int = 0) -> None:
        """Write one line of styled parts; the rest of a long line follows below, indented."""
        text = Text.assemble(*((self.safe(part), style) for part, style in parts))
        if not wrap or text.cell_len <= self.width:
            self._console.print(text, soft_wrap=True)
            return
        rest = Text()
        for number, piece in enumerate(text.wrap(self._console, self.width - indent)):
            piece.rstrip()
            rest = Text(" " * indent if number else "")
            rest.append_text(piece)
            self._console.print(rest, soft_wrap=True)

    def gap(self) -> None:
        """Write an empty line."""
        self._console.print()

    def field(self, label: str, text: str, *, style: str = "", lines: int = 3) -> None:
        """Write a labelled text, wrapped beside its label and cut after about `lines` lines."""
        room = self.width - LABEL
        shown = self.safe(text)
        wide = max(1.0, cell_len(shown[: 2 * room * lines]) / max(1, len(shown[: 2 * room * lines])))
        pieces = Text(self.safe(cut(shown, int(room * lines / wide)))).wrap(self._console, room)
        head = f"  {label:<{LABEL - 2}}"
        for number, piece in enumerate(pieces[: lines + 1]):
            piece.rstrip()
            start = Text(" " * LABEL) if number else Text.assemble((head, "dim"))
            start.append(piece.plain, style=style)
            self._console.print(start, soft_wrap=True)

    def raw(self, label: str, text: str) -> None:
        """Write a labelled line for copying, without wrapping it."""
        self.line((f"  {label:<{LABEL - 2}}", "dim"), (text, ""), wrap=False)

    def text(self) -> str:
        """Return the whole page."""
        return self._out.getvalue()
