"""What CI servers read: annotations that hold whatever a target sends, sections, and nothing where nobody asks."""

from __future__ import annotations

import io
import re

import pytest

from reports.render.ci import annotate, commands, guarded, section
from tests.reports.model.test_load_summary import an_slo, health, whole
from tests.support.run_events import ALL, END, finding, header, report_of, waiver

NASTY = "a: b, c%\r\n::error title=x::y\x1b[2J"


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_said_where_no_server_reads() -> None:
    file = io.StringIO()
    with section("check", "title", file), guarded(file):
        file.write("text\n")
    annotate(report_of(header(), ALL, finding("ENV-1"), END), file)
    assert file.getvalue() == "text\n"


def test_failed_rules_are_errors_and_others_warnings() -> None:
    events = (ALL, finding("ENV-1"), finding("ENV-1", "course.find"), finding("ENV-8"), END)
    error, warning = commands(report_of(header(), *events))
    assert error.startswith("::error title=ENV-1 Title of ENV-1::course.read, and 1 more finding%0A")
    assert "expected%3A" not in error  # a colon is no end of the data
    assert warning.startswith("::warning title=ENV-8 ")
    assert [line.split()[0] for line in commands(report_of(header(strict=True), *events))] == [
        "::error",
        "::error",
    ]


def test_waived_is_not_marked_and_an_old_waiver_is() -> None:
    assert commands(report_of(header(waivers=[waiver("ENV-1")]), ALL, finding("ENV-1"), END)) == []
    old = report_of(header(waivers=[waiver("ENV-1", until="2026-01-01")]), ALL, END)
    assert [line.split("::")[1] for line in commands(old)] == ["warning title=Waiver of ENV-1"]


def test_missed_slo_is_marked_unless_the_generator_was_unfit() -> None:
    assert commands(whole(an_slo("fail")))[0].startswith("::error title=SLO missed%3A p95 < 300ms::412 ms")
    unfit = commands(whole(an_slo("fail"), health=health("it was late")))
    assert [line.split("::")[1] for line in unfit] == ["error title=Nothing can be said"]


def test_no_text_of_a_target_ends_a_command() -> None:
    report = report_of(header(), ALL, finding("ENV-1", NASTY, expected=NASTY, actual=NASTY), END)
    (line,) = commands(report)
    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line
    title = line.removeprefix("::error title=").partition("::")[0]
    assert title == "ENV-1 Title of ENV-1"


def test_more_than_is_shown_are_named_in_one() -> None:
    from tests.support.run_events import a_rule, judged

    rules = [a_rule(f"ENV-{number}") for number in range(1, 15)]
    report = report_of(header(*rules), judged(ENV_1=1), *(finding(rule["id"]) for rule in rules), END)
    lines = commands(report)
    assert len(lines) == 10
    assert lines[-1].startswith("::error title=5 more::ENV-10 ")


def test_github_takes_nothing_within_for_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    words = set()
    for _ in range(2):
        file = io.StringIO()
        with section("check", "a title", file):
            file.write("::error::no\n")
        found = re.fullmatch(
            r"::group::a title\n::stop-commands::(\w{32})\n::error::no\n::\1::\n::endgroup::\n",
            file.getvalue(),
        )
        assert found is not None
        words.add(found[1])
    assert len(words) == 2
    quiet = io.StringIO()
    with section("check", "a title", quiet, quiet=True):
        pass
    assert "group" not in quiet.getvalue()


def test_gitlab_section_ends_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    file = io.StringIO()
    with pytest.raises(KeyError), section("load", "a\x1btitle", file):
        raise KeyError
    assert re.fullmatch(
        r"\x1b\[0Ksection_start:\d+:conform_load\r\x1b\[0Ka\\x1btitle\n"
        r"\x1b\[0Ksection_end:\d+:conform_load\r\x1b\[0K\n",
        file.getvalue(),
    )


def test_title_is_for_people_elsewhere() -> None:
    file = io.StringIO()
    with section("load", "phase 2", file, plain=True):
        pass
    assert file.getvalue() == "phase 2\n"
