"""The texts for users: the README and the pages of the guide."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

#: Pages whose commands tests of their own run, with the files that the pages show.
RUN_ELSEWHERE = frozenset({"extend.md", "import.md", "network.md", "scenarios.md", "traffic.md"})

#: The pages of the guide, by name; the pages of the rules are generated.
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}

#: The README and the guide as one text.
GUIDE = "\n".join([README, *PAGES.values()])

#: The same without the pages whose commands are run elsewhere.
RUN_HERE = "\n".join([README, *(text for name, text in PAGES.items() if name not in RUN_ELSEWHERE)])
