"""The Markdown of a run, read by a CommonMark parser: nothing of the target is read as Markdown."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from conformance.text import reveal
from reports.render import markdown
from tests.support.events import build
from tests.support.reporting import PAYLOADS, hostile, large, sample
from tests.support.run_events import END, finding, header

READER = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def tokens_of(text: str) -> list[Token]:
    found = []
    for token in READER.parse(text):
        found.append(token)
        found += token.children or []
    return found


def shown(text: str) -> str:
    """Return what a reader sees of a Markdown text."""
    return "".join(token.content for token in tokens_of(text) if token.type in ("text", "code_inline"))


def text_of(report: dict[str, Any], **more: Any) -> str:
    return markdown.render(report, **more).decode("utf-8")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_stays_text(payload: str) -> None:
    whole = reveal(payload)
    for made in (markdown.prose(payload), markdown.code(payload)):
        kinds = {token.type for token in tokens_of(made)} - {"paragraph_open", "paragraph_close", "inline"}
        assert kinds <= {"text", "code_inline", "text_special"}
    assert (
        "".join(t.content for t in tokens_of(markdown.prose(payload)) if t.type in ("text", "text_special"))
        == whole
    )
    cell = markdown.table(["a"], [[markdown.code(payload)]])
    body = [token for token in tokens_of("\n".join(cell)) if token.type == "td_open"]
    assert len(body) == 1


def test_a_hostile_target_adds_nothing() -> None:
    text = text_of(hostile())
    assert all(character.isprintable() or character in "\n️" for character in text)
    assert not {token.type for token in tokens_of(text)} & {
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "fence",
    }


def test_it_says_what_a_run_came_to() -> None:
    text = text_of(sample())
    assert text.startswith("## ❌ nonconformant\n")
    seen = shown(text)
    assert "ENV-5 Title of ENV-5" in seen.replace("❌ ", "")
    for reported in (
        "course.read",
        "came back 3/3",
        "not judged: PAG-1",
        "error: could not be set up",
        "a note",
    ):
        assert reported in seen, reported
    assert "ENV-6" not in seen  # it is waived


def test_broken_musts_come_before_shoulds_and_ten_are_shown() -> None:
    kinds = [finding("ENV-8", kind=f"k{n}", count=1000) for n in range(5)]
    kinds += [finding("ENV-1", kind=f"k{n}") for n in range(9)]
    text = text_of(build([header(), *kinds, END]))
    shown_rules = [line.split("**")[1].split()[-1] for line in text.splitlines() if line.startswith("**")]
    assert shown_rules == ["ENV-1"] * 9 + ["ENV-8"]
    assert "And 4 more: ENV-8 (4). All are in report.html." in text


def test_it_fits_on_a_summary_page() -> None:
    assert len(markdown.render(large())) < markdown.LIMIT
    long = "x" * 100_000
    events = [
        finding("ENV-1", f"f{long}", f"{n}", message=long, expected=long, actual=long, curl=long)
        for n in range(40)
    ]
    report = build([header(rerun=long), *events, END])
    assert len(markdown.render(report, changes=[long])) < markdown.LIMIT
    assert len(markdown.render(report | {"notes": [long] * 100})) < markdown.LIMIT


def test_a_clean_run_needs_few_lines() -> None:
    report = build([header(), {"event": "judged", "test": "t", "rules": {"ENV-1": 5, "ENV-8": 5}}, END])
    text = text_of(report)
    assert text.startswith("## ✅ conformant")
    assert "finding" not in text
    assert len(text.splitlines()) < 14


def test_a_finding_says_how_it_is_mended() -> None:
    text = markdown.render(sample()).decode()
    assert "mended by: Give every refusal a text that a person understands" in text
    assert "(`docs/rules/ENV-5.md`)" in text
