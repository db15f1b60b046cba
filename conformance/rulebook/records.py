"""The rulebook as JSON, for the explorer page, which imports nothing of this package.

`python -m conformance.rulebook.records` writes `fixtures/explorer/rules.json` in the current folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from conformance.rulebook import RULES

__all__ = ["FILE", "text"]

FILE = Path("fixtures/explorer/rules.json")


def text() -> str:
    """Return the records as a JSON array, one per line, in the order of the rulebook."""
    lines = [json.dumps(msgspec.to_builtins(rule.record()), ensure_ascii=False) for rule in RULES.values()]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def main() -> int:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
