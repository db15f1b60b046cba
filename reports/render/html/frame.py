"""The template environment and the head of all pages. Values become markup only here.

Characters that do not print become escapes (`conformance.text.reveal`), and the text is then escaped for HTML. The
policy of a page allows only the script and the style whose hashes it names.
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
    """Replace characters that do not print by escapes; the environment escapes for HTML afterwards."""
    if isinstance(value, Markup):
        return value
    return reveal(value) if isinstance(value, str) else value


def lines(text: str) -> Markup:
    """Return a text of several lines with escapes for all that does not print, but for line ends."""
    return Markup("\n").join(reveal(line) for line in str(text).split("\n"))


def _glyph(verdict: str, tile: bool = False) -> str:
    return "" if tile and verdict == Verdict.PASS else _GLYPHS.get(Verdict(verdict), "")


def _sentence(text: str) -> str:
    """Return a text as a sentence; a name at its beginning (p95) keeps its case."""
    begin = text[:1].upper() if text[:2].isalpha() else text[:1]
    return f"{begin}{text[1:]}."


@functools.cache
def environment() -> Environment:
    """Return the environment of all pages; nothing else in the project turns text into HTML."""
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
    """Return our style or script, and its hash in the form of a content security policy."""
    text = (_HERE / name).read_text("utf-8").replace("\r\n", "\n")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"'sha256-{digest}'"  # noqa: S704  (our own file)


def frame(title: str) -> dict[str, Any]:
    """Return the values of a page's head: title, style, script, and the policy that allows only these."""
    css, css_hash = _piece("page.css")
    script, script_hash = _piece("page.js")
    policy = f"default-src 'none'; style-src {css_hash}; script-src {script_hash}; base-uri 'none'; form-action 'none'"
    return {"title": title, "css": css, "script": script, "policy": policy}
