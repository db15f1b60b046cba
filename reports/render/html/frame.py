"""What every page is made with: the one place where values become markup, and the head that all pages share.

What does not print is shown as an escape (`reports.text.reveal`), and then escaped for HTML; a page's policy lets
nothing run but the one script and the one style whose hashes it names.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conformance.rulebook.model import Verdict
from conformance.text import reveal

__all__ = ["environment", "frame", "lines"]

_HERE = Path(__file__).resolve().parent

_GLYPHS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.WARN: "!",
    Verdict.WAIVED: "~",
    Verdict.NOT_JUDGED: "–",
    Verdict.ERROR: "⚠",
}


def _shown(value: object) -> object:
    """Prepare a value for the page: what does not print becomes an escape; the escaping for HTML follows."""
    if isinstance(value, Markup):
        return value
    return reveal(value) if isinstance(value, str) else value


def lines(text: str) -> Markup:
    """Prepare a text of several lines."""
    return Markup("\n").join(reveal(line) for line in str(text).split("\n"))


def _glyph(verdict: str, tile: bool = False) -> str:
    return "" if tile and verdict == Verdict.PASS else _GLYPHS.get(Verdict(verdict), "")


def _sentence(text: str) -> str:
    """Return a text as a sentence; what begins as a name (p95) keeps its letter."""
    begin = text[:1].upper() if text[:2].isalpha() else text[:1]
    return f"{begin}{text[1:]}."


@functools.cache
def environment() -> Environment:
    """Return what every page is made with; nothing else in the house turns text into HTML."""
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(glyph=_glyph, lines=lines, sentence=_sentence)
    return made


@functools.cache
def _piece(name: str) -> tuple[Markup, str]:
    """Return our own style or script, and its hash as a policy names it."""
    text = (_HERE / name).read_text("utf-8").replace("\r\n", "\n")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"'sha256-{digest}'"  # noqa: S704  (our own file)


def frame(title: str) -> dict[str, Any]:
    """Return what the head of every page needs: title, style, script, and the policy that lets only them in."""
    css, css_hash = _piece("page.css")
    script, script_hash = _piece("page.js")
    policy = f"default-src 'none'; style-src {css_hash}; script-src {script_hash}; base-uri 'none'; form-action 'none'"
    return {"title": title, "css": css, "script": script, "policy": policy}
