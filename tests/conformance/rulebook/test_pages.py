"""The pages of the rules: current, complete, and reachable from reports."""

from __future__ import annotations

import re
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest

from conformance.rulebook import RULES
from conformance.rulebook import pages as rule_pages
from conformance.rulebook.pages import FOLDER, INDEX, address_of, page, pages, path_of

ROOT = Path(__file__).resolve().parents[3]


def test_the_pages_are_current() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / FOLDER).glob("*")}
    assert found == pages(), "python -m conformance.rulebook.pages"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_how_it_is_broken_and_mended(name: str) -> None:
    rule = RULES[name]
    for text in (rule.causes, rule.remedy):
        assert len(text) >= 30
        assert text == " ".join(text.split())
        assert text[0].isupper() or text[0] in "`«"
        assert text[-1] == "."
        assert text.count("`") % 2 == 0
    if rule.example is not None:
        assert all((rule.example.sent, rule.example.right, rule.example.wrong))
        assert rule.example.right != rule.example.wrong
    else:
        assert rule.check is not None


def test_no_advice_is_given_twice() -> None:
    for texts in ([rule.causes for rule in RULES.values()], [rule.remedy for rule in RULES.values()]):
        assert len(set(texts)) == len(texts)


def test_a_page_has_everything() -> None:
    rule = RULES["ENV-5"]
    text = page(rule)
    for part in (rule.title, rule.clause, rule.why, rule.causes, rule.remedy, "conform check --rule ENV-5"):
        assert part in text
    assert text.count("\n- ") >= len(rule.passes) + 3
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## What it means",
        "## How it is usually broken",
        "## How it is mended",
        "## Examples",
        "## Try it",
    ]


def test_the_table_links_every_page() -> None:
    text = pages()[INDEX]
    assert re.findall(r"\| \[([A-Z]+-\d+)\]\(\1\.md\)", text) == list(RULES)
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_no_page_depends_on_the_words_of_the_json_parser() -> None:
    assert not [name for name, text in pages().items() if "Expecting " in text or "Extra data" in text]


def test_the_address_is_that_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    def stating(*urls: str) -> str:
        package = Message()
        for url in urls:
            package.add_header("Project-URL", url)
        monkeypatch.setattr(metadata, "metadata", lambda _: package)
        rule_pages._repository.cache_clear()
        return address_of("ENV-5")

    try:
        assert stating() == path_of("ENV-5") == "docs/rules/ENV-5.md"
        given = ("Homepage, https://conform.example/", "Repository, https://git.example/conform/")
        assert stating(*given) == "https://git.example/conform/blob/main/docs/rules/ENV-5.md"
    finally:
        monkeypatch.undo()
        rule_pages._repository.cache_clear()
