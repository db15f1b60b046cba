"""A YAML document gets a new content and keeps what a person has typed: comments, order, quoting, layout."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import conform
from conformance.catalog.model import Catalog
from conformance.catalog.reader import read_text
from conformance.catalog.yaml_patch import dump, patched, same
from tests.conformance.catalog.test_documentation_page import page, row

TYPED = """\
# The catalogue of the school.
openrpc: "1.3.2"   # as the suite wants it
info: {title: School, version: '4'}

methods:
  # Who signs in
  - name: auth.login   # everybody
    x-auth: none
    params:
      # their e-mail
      - name: identity
        required: true
        schema: {type: string}   # no pattern: Bo, in May
      # the password
      - name: credential
        # never shown
        schema:
          type: string
          maxLength: 80   # bytes?
      # - name: struck
    x-questions:
      - x-effect   # ask Bo
      - result

  # --- courses ---

  # Reviewed
  - name: course.find
    description: >-
      Looks for courses;
      # no comment
    params: []   # none yet
  - name: course.read
    params: [{name: courseId, schema: {type: integer}}]
# the end
x-imported: {}
# really
"""


def changed(change: Callable[[dict[str, Any]], object], text: str = TYPED) -> tuple[str, list[str]]:
    document = read_text(text)
    change(document)
    found = patched(text, read_text(text), document, read_text)
    assert found is not None
    assert same(read_text(found[0]), document)
    return found


def lines(one: str, other: str) -> tuple[list[str], list[str]]:
    """Return which lines only the first text has, and which only the second."""
    left, right = one.splitlines(), other.splitlines()
    return [line for line in left if line not in right], [line for line in right if line not in left]


def test_nothing_new_changes_nothing() -> None:
    assert changed(lambda document: None) == (TYPED, [])


def test_only_what_differs_is_written() -> None:
    def change(document: dict[str, Any]) -> None:
        login, find, read = document["methods"]
        login["params"][1]["schema"]["maxLength"] = 72
        login["x-questions"].remove("result")
        find["params"] = [{"name": "query", "schema": {"type": "string", "default": "1e3"}}]
        read["params"][0]["schema"]["minimum"] = 1
        document["info"]["version"] = "5"

    text, lost = changed(change)
    assert lost == []
    assert lines(TYPED, text) == (
        [
            "info: {title: School, version: '4'}",
            "          maxLength: 80   # bytes?",
            "      - result",
            "    params: []   # none yet",
            "    params: [{name: courseId, schema: {type: integer}}]",
        ],
        [
            "info: {title: School, version: '5'}",
            "          maxLength: 72   # bytes?",
            "    params:   # none yet",
            "      - name: query",
            "          default: '1e3'",
            "    params: [{name: courseId, schema: {type: integer, minimum: 1}}]",
        ],
    )


def test_a_comment_goes_where_its_entry_goes() -> None:
    text, lost = changed(lambda document: document["methods"][0]["params"].reverse())
    assert lost == []
    inner = text.partition("    params:\n")[2].partition("    x-questions")[0]
    assert [line.strip() for line in inner.splitlines()] == [
        "# the password",
        "- name: credential",
        "# never shown",
        "schema:",
        "type: string",
        "maxLength: 80   # bytes?",
        "# - name: struck",
        "# their e-mail",
        "- name: identity",
        "required: true",
        "schema: {type: string}   # no pattern: Bo, in May",
    ]


def test_what_goes_is_reported_and_a_heading_stays() -> None:
    text, lost = changed(lambda document: document["methods"].pop(1))
    assert lost == ["# Reviewed", "# none yet"]
    assert "  # --- courses ---\n\n  - name: course.read\n" in text
    text, lost = changed(lambda document: document["methods"].pop(0))
    assert lost[:2] == ["# Who signs in", "# everybody"]
    assert "# ask Bo" in lost
    assert "# Who signs in" not in text
    _, lost = changed(lambda document: document["methods"][0].pop("x-questions"))
    assert lost == ["# ask Bo"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("- name: x\n  a: 1\n", "name"),
        ("-\n  # about it\n  name: x\n  a: 1\n", "name"),
        ("- name: x # here\n  # above\n  a: 1 # there\n", "name"),
        ("- name: x\n\n  a: 1\n", "name"),
    ],
)
def test_the_first_member_of_an_item_goes(text: str, name: str) -> None:
    made, _ = changed(lambda document: document["l"][0].pop(name), "l:\n" + text + "m: 1\n")
    assert made.endswith("m: 1\n")


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "---\na: 1\n",
        "a:\n  - - 1\n    - 2\n  - - 3\n",
        'a: "x"   # c\nb: |\n  text # no comment\n\n\nc: >\n   more\n',
        "a:   # c\n  b: {x: 1,\n      y: 2}  # d\n  c: [1, # e\n    2]\n",
        "? a\n: b\n",
        "a:\n\nb: ~\n",
        "'a: b': 1\n\"c\": 2 # x\n",
        "a: &x {b: 1}\nc: 2\n",
    ],
)
def test_unusual_layouts(text: str) -> None:
    for change in (
        lambda document: document.update(new={"x": ["1", 2]}),
        lambda document: document.update(dict.fromkeys(document, "no")),
        lambda document: document.update({key: [{"x": "yes"}, 1.5] for key in document}),
        lambda document: document.update({name: {} for name in document}),
        lambda document: document.pop(next(iter(document))) and document.update(z=1),
    ):
        changed(change, text)


@pytest.mark.parametrize("text", ["\ud800", "😀", "yes", "1e3", "012", "a: b", "", "\x07", "x" * 300])
def test_what_is_written_is_read(text: str) -> None:
    for indented in (False, True):
        assert read_text(dump({"a": [text]}, indented=indented)) == {"a": [text]}


def test_windows_lines_stay() -> None:
    text, _ = changed(lambda document: document["info"].update(title="x"), TYPED.replace("\n", "\r\n"))
    assert text.count("\n") == text.count("\r\n")


@pytest.mark.parametrize("text", ["a: &x {b: 1}\nc: *x\n", "{a: 1, c: 2}"])
def test_what_cannot_be_retained_is_reported(text: str) -> None:
    document = read_text(text)
    document["c"] = {"d": 1}
    made = patched(text, read_text(text), document, read_text)
    assert made is None or same(read_text(made[0]), document)
    document["a"] = 5
    made = patched(text, read_text(text), document, read_text)
    assert made is None or same(read_text(made[0]), document)


names = st.sampled_from(["name", "a", "b", "1", "yes", "x: y", "#", ""])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(
        ["", "text", "1e3", "0o7", "a # b", "two\nlines", " - ", "null", "'", "é", "1_0", "=", "<<"]
    )
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(names, values, min_size=1, max_size=4)


def mixed(draw: st.DrawFn, value: Any) -> Any:
    """Change a value here and there."""
    deed = draw(st.integers(0, 5))
    if deed == 0:
        return draw(values)
    if isinstance(value, list):
        retained = [mixed(draw, item) for item in value if draw(st.integers(0, 4))]
        if deed == 1:
            retained.insert(draw(st.integers(0, len(retained))), draw(values))
        return draw(st.permutations(retained)) if deed == 2 else retained
    if isinstance(value, dict):
        retained_ = {key: mixed(draw, item) for key, item in value.items() if draw(st.integers(0, 4))}
        return retained_ | draw(st.dictionaries(names, values, max_size=1)) if deed == 1 else retained_
    return value


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    document = draw(documents)
    text: list[str] = []
    for number, line in enumerate(dump(document, indented=draw(st.booleans())).splitlines()):
        # Within a text of several lines a comment would be text, or an error.
        if draw(st.booleans()) and re.match(r" *(- )*(\w+|'[^']*'):( |$)", line):
            text.append(" " * draw(st.integers(0, 6)) + f"# above {number}")
        plain = re.fullmatch(r" *(- )*\w+:( \w+)?", line)
        text.append(line + f"  # behind {number}" if plain and draw(st.booleans()) else line)
    new = {key: mixed(draw, value) for key, value in document.items() if draw(st.integers(0, 4))}
    return "\n".join(text) + "\n", new | draw(st.dictionaries(names, values, min_size=not new, max_size=2))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits())
@example(
    edit=(
        "name: null\na: null\nb:\n  name: null\n  a: null\n  '1':\n  - null\n  - null\n"
        "'1':\n- {}\n # above 10\n- name: null\n- name: null\n  a: null\n  b: null\n",
        {"name": None, "a": None, "1": [{}, {}]},
    )
)
def test_whatever_changes_the_content_is_right_and_no_comment_goes_without_a_word(
    edit: tuple[str, dict[str, Any]],
) -> None:
    text, new = edit
    made = patched(text, read_text(text), new, read_text)
    assert made is not None
    assert same(read_text(made[0]), new)
    comment = re.compile(r"# (?:above|behind) \d+\n")
    reported = [line + "\n" for line in made[1] if comment.fullmatch(line + "\n")]
    assert sorted(comment.findall(text)) == sorted(comment.findall(made[0]) + reported)


# --- the command


def test_an_update_keeps_the_comments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "page.html", tmp_path / "made.yaml"
    source.write_text(page(course={"find": [row("query")], "drop": [], "add": [row("title")]}), "utf-8")
    assert conform.main(["catalog", "import", str(source), "--out", str(out)]) == 0
    typed = "# Ours since May.\n" + out.read_text("utf-8").replace(
        "- name: course.find\n", "# A person's word\n- name: course.find   # yes, it reads\n"
    ).replace("- name: course.drop\n", "# going\n- name: course.drop\n").replace(
        "- name: course.add\n", "# answered\n- name: course.add\n"
    ).replace("  x-effect: write\n", '  x-effect: "read"   # seen in its source\n', 1)
    out.write_text(typed, "utf-8")
    source.write_text(
        page(course={"find": [row("query", "int"), row("sort")], "add": [row("title")]}), "utf-8"
    )
    capsys.readouterr()
    assert conform.main(["catalog", "import", str(source), "--out", str(out), "--check"]) == 1
    assert out.read_text("utf-8") == typed
    capsys.readouterr()
    assert conform.main(["catalog", "import", str(source), "--out", str(out), "--update"]) == 0
    reported = capsys.readouterr().out
    assert "comments that went with what they stood at: 1\n  # going\n" in reported
    text = out.read_text("utf-8")
    assert text.startswith("# Ours since May.\nopenrpc: ")
    assert "# A person's word\n- name: course.find   # yes, it reads\n" in text
    assert '  x-effect: "read"   # seen in its source\n' in text
    assert "# answered\n- name: course.add\n" in text
    assert [param.name for param in Catalog.load(out)["course.find"].params] == ["query", "sort"]
    assert not out.with_name("made.yaml.old").exists()


def test_where_the_layout_cannot_be_retained_the_former_file_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "page.html", tmp_path / "made.yaml"
    source.write_text(page(course={"find": [row("query")]}), "utf-8")
    typed = (
        "{openrpc: 1.3.2, info: {title: t, version: '1'}, # mine\n methods: []}\n"  # a flow from end to end
    )
    out.write_text(typed, "utf-8")
    assert conform.main(["catalog", "import", str(source), "--out", str(out), "--update"]) == 0
    assert "made.yaml.old is what it was" in capsys.readouterr().out
    assert out.with_name("made.yaml.old").read_text("utf-8") == typed
    assert "course.find" in Catalog.load(out)
