"""The rulebook as a Markdown table.

`python -m conformance.rulebook.table` writes it into docs/rulebook.md in the current folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from conformance.rulebook import RULES
from conformance.rulebook.model import AREAS
from conformance.rulebook.pages import path_of

__all__ = ["BEGIN", "END", "PAGE", "inserted", "table"]

PAGE = Path("docs/rulebook.md")

BEGIN = "<!-- rulebook -->"
END = "<!-- /rulebook -->"


def table() -> str:
    """Return the table: each rule with its level, title and clause."""
    lines = ["| rule | level | what it says | source |", "| --- | --- | --- | --- |"]
    area = ""
    for rule in RULES.values():
        if rule.area != area:
            area = rule.area
            lines.append(f"| **{AREAS[area]}** | | | |")
        page = Path(path_of(rule.id)).relative_to(PAGE.parent).as_posix()
        cells = (f"[{rule.id}]({page})", str(rule.level), rule.title, rule.clause)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def inserted(text: str) -> str:
    """Return a document with the current table between its markers.

    Raises:
        ValueError: the document has no markers.

    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Update the page in the current folder."""
    PAGE.write_text(inserted(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
