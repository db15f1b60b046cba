"""The closing screen and the progress display."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from conformance.text import cut, cut_middle, reveal
from reports.render.terminal.closing_screen import print_closing, render
from reports.render.terminal.progress import LoadProgress, Progress
from reports.text import merge_lines
from tests.reports.model.test_builder import COVERAGE, a_case
from tests.support.events import event_of
from tests.support.run_events import (
    ALL,
    END,
    Event,
    a_rule,
    error,
    finding,
    header,
    judged,
    report_of,
    waiver,
)

AREAS = ("HTTP", "ENV", "AUT", "SEC")
RULES = [a_rule(f"{area}-{n}", "should" if n == 4 else "must") for area in AREAS for n in range(1, 5)]


def screen(*events: Event, color: bool = False, width: int | None = 80, **options: Any) -> str:
    return render(report_of(*events), color=color, width=width, every=True, **options)


def causes_screen(*events: Event, width: int = 140) -> str:
    return render(report_of(*events), color=False, width=width)


def lacking(rule: str, reason: str, lines: str | None = None) -> Event:
    return {"event": "not judged", "rule": rule, "function": None, "reason": reason, "lines": lines}


OWNER = '[users.owner]\nuser = "…"\nsecret = "${OWNER_SECRET}"'


def a_run(**members: Any) -> list[Event]:
    three = [
        finding("ENV-1", f, count=n) for f, n in (("course.read", 8), ("course.add", 4), ("user.find", 2))
    ]
    return [
        header(*RULES, waivers=[waiver("ENV-3"), waiver("HTTP-1", until="2026-01-01")], **members),
        judged(ENV_1=380, ENV_2=380, ENV_3=380, ENV_4=380, HTTP_1=12, HTTP_2=12, HTTP_3=12, HTTP_4=12),
        *three,
        finding("ENV-4", "course.find", message="members beside the three", reproduced="1/4"),
        finding("ENV-3", "auth.login"),
        *(lacking(f"AUT-{n}", "no user to sign in with", OWNER) for n in range(1, 5)),
        lacking("SEC-1", "no user to sign in with", OWNER),
        lacking("SEC-2", "no catalogue", '[target]\ncatalog = "openrpc.json"'),
        {"event": "leftover", "kind": "course", "id": 5, "function": "course.remove", "reason": "403"},
        {"event": "leftover", "kind": "course", "id": 6, "function": "course.remove", "reason": "403"},
        {"event": "reset", "at": 3.1},
        END,
    ]


def test_the_verdict_and_why_come_first() -> None:
    first = screen(*a_run()).splitlines()[0]
    assert first == "nonconformant  1 must rule failed (ENV-1); 1 should rule warns (ENV-4)"


def test_the_areas_are_a_table() -> None:
    lines = screen(*a_run()).splitlines()
    assert lines[3].split("  ")[-6:] == ["passed", "failed", "warned", "waived", "not judged", "error"]
    table = {line.split()[0]: line.split()[1:] for line in lines[4:9]}
    assert table == {
        "HTTP": ["4", "·", "·", "·", "·", "·"],
        "Envelope": ["1", "1", "1", "1", "·", "·"],
        "Authentication": ["·", "·", "·", "·", "4", "·"],
        "Security": ["·", "·", "·", "·", "4", "·"],
        "all": ["5", "1", "1", "1", "8", "·"],
    }


def test_a_finding_reads_as_the_design_shows_it() -> None:
    text = screen(*a_run(), width=130)
    start = text.index("✗ ENV-1")
    block = text[start : text.index("\n\n", start)].splitlines()
    assert re.fullmatch(
        r"✗ ENV-1 must  Title of ENV-1 +"
        r"course\.read, \+2 functions · 14 of 380 exchanges · came back 3/3",
        block[0],
    )
    assert cell_len(block[0]) == 130
    assert block[1:] == [
        "  says       «what the documentation says»",
        "  found      the message is blank",
        "  expected   a message",
        "  got        errMsg: '' (404)",
        "  repeat     curl -sS https://t-api.example/api/course",
        "  rerun      conform check --target https://t-api.example/api/ --seed 7 --rule ENV-1",
    ]


def test_a_warning_that_comes_and_goes_says_so() -> None:
    text = screen(*a_run())
    assert "! ENV-4 should  Title of ENV-4\n  course.find · 1 of 380 exchanges · intermittent 1/4" in text


def test_reasons_stand_there_once_with_the_lines_to_add() -> None:
    text = screen(*a_run())
    assert "Not judged (8 rules)" in text
    assert "no user to sign in with: AUT-1 to AUT-4, SEC-1" in text
    assert "no test of this run judged it: SEC-3, SEC-4" in text
    assert text.count("no user to sign in with") == 1
    assert text.count("[users.owner]") == 1
    assert (
        '    [users.owner]\n    user = "…"\n    secret = "${OWNER_SECRET}"\n\n    [target]\n    catalog ='
        in text
    )


def test_the_footer_reports_the_run(tmp_path: Path) -> None:
    text = screen(*a_run(), folder=Path("reports/runs/x"))
    for line in (
        "  report     reports/runs/x/report.json",
        "  live       conform explore reports/runs/x",
        "  run        seed 7 · 5210 requests · 41.3 s · 1 reset of the target",
        "  left over  2 course: 403",
        "  waiver     HTTP-1: ran out on 2026-01-01",
        "  ENV-3 auth.login · 1 of 380 exchanges: known: ENV-3",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("width", [40, 80, 100, 130])
def test_nothing_but_what_is_to_be_copied_is_wider_than_the_screen(width: int) -> None:
    events = [
        *a_run()[:-1],
        finding("ENV-2", "f" * 300, message="m" * 900, actual="漢" * 900),
        error("e" * 900),
        END,
    ]
    for line in screen(*events, width=width).splitlines():
        if line.startswith(("  repeat ", "  rerun ", "    ")):
            continue
        # The table is as wide as its six heads.
        assert cell_len(line) <= max(width, 71), line


def test_a_clean_run_is_short() -> None:
    text = screen(header(), ALL, END)
    assert text.startswith("conformant  no must rule failed; 2 of 2 rules judged\n")
    assert len(text.splitlines()) < 10
    assert "Not judged" not in text


def test_all_shows_every_finding() -> None:
    rules = [a_rule(f"ENV-{n}") for n in range(1, 61)]
    text = screen(header(*rules), *(finding(rule["id"]) for rule in rules), END)
    assert len(re.findall(r"^  says ", text, re.M)) == 12
    assert len(re.findall(r"^✗ ENV-\d+ must", text, re.M)) == 60
    assert "more finding" not in text


def test_a_load_is_one_page_however_much_is_found() -> None:
    rules = [a_rule(f"ENV-{n}") for n in range(1, 61)]
    report = report_of(header(*rules), *(finding(rule["id"]) for rule in rules), END) | {"verb": "load"}
    text = render(report, color=False, width=80)
    assert len(re.findall(r"^✗ ENV-\d+ must", text, re.M)) == 27
    assert "and 33 more findings in report.json" in text


def test_a_finding_names_its_case_below_the_line_that_repeats_it() -> None:
    lines = screen(header(), ALL, finding("ENV-1"), a_case("ENV-1"), END).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  rerun "))
    assert lines[at + 1] == "  case       cases/ENV-1-course.read-00000000.json"
    assert not any(line.startswith("  case ") for line in screen(*a_run()).splitlines())


def test_the_coverage_is_two_lines() -> None:
    text = screen(header(), ALL, COVERAGE, END, width=100)
    start = text.index("  coverage")
    assert text[start : text.index("  run ")].splitlines() == [
        "  coverage   2 functions: 2,207 examples, of the valid 1,100 accepted and 107 refused · 1 of 2",
        "             parameters both ways · never accepted: payment.add",
    ]
    assert "coverage" not in screen(header(), ALL, END)


def test_errors_say_whose_they_are() -> None:
    ours = screen(header(), ALL, error("KeyError: 'x'", "ENV-1", ours=True, trace="t"), END)
    assert ours.startswith("undecided  the suite itself failed: KeyError: 'x'")
    assert "ENV-1: the suite itself failed, not the target: KeyError: 'x'" in ours
    theirs = screen(header(), error("connection refused"), END)
    assert theirs.startswith("undecided  connection refused")
    assert "  the target: connection refused" in theirs


HOSTILE = "[bold red]x[/] \x1b[2J\x1b]0;t\x07\r\n\x9b1m \u202egnp\u2066 \u200b \ud800 :smile: ]]>"


@pytest.mark.parametrize("color", [False, True])
def test_what_comes_from_the_target_is_shown_as_text(color: bool) -> None:
    members = {"message": HOSTILE, "expected": HOSTILE + "e", "actual": HOSTILE + "a", "curl": HOSTILE}
    text = screen(
        header(),
        judged(ENV_8=1),
        finding("ENV-1", HOSTILE, kind=HOSTILE, **members),
        lacking("ENV-8", HOSTILE),
        error(HOSTILE),
        {"event": "note", "message": HOSTILE},
        {"event": "leftover", "kind": HOSTILE, "id": HOSTILE, "function": None, "reason": HOSTILE},
        END,
        color=color,
        width=300,
    )
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text) if color else text
    assert all(c.isprintable() or c == "\n" for c in bare)
    assert color == ("\x1b[1;31m" in text)
    assert (
        "[bold red]x[/] \\x1b[2J\\x1b]0;t\\x07\\r\\n\\x9b1m \\u202egnp\\u2066 \\u200b \\ud800 :smile: ]]>"
        in bare
    )
    text.encode("utf-8")


def test_a_curl_line_is_left_in_one_piece_and_a_huge_one_is_cut() -> None:
    line = "curl -sS " + "x" * 500
    assert f"  repeat     {line}\n" in screen(header(), finding("ENV-1", curl=line), END)
    huge = screen(header(), finding("ENV-1", curl="c" * 100_000), END)
    assert "… (in full in report.json)" in huge
    assert len(huge) < 5000


class Screen(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_encoding_will_do(encoding: str) -> None:
    file = Screen(encoding)
    report = report_of(*a_run()[:-1], finding("ENV-2", message="漢字 é"), END)
    print_closing(report, file, width=80, every=True)
    text = file.text()
    assert ("✗ ENV-1" if encoding == "utf-8" else "x ENV-1") in text
    assert ("漢字" if encoding == "utf-8" else "\\u6f22\\u5b57") in text
    assert ("«what" in text) == (encoding != "ascii")


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_of(*a_run())

    def coloured(*, terminal: bool) -> bool:
        file = Screen(terminal=terminal)
        print_closing(report, file)
        return "\x1b[" in file.text()

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured(terminal=True)
    assert not coloured(terminal=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(terminal=True)


# --- text ---


def test_reveal_and_cut() -> None:
    assert (
        reveal("a\tb\n\x7f\x85\u2028\ufeff\U000e0041é漢") == "a\\tb\\n\\x7f\\x85\\u2028\\ufeff\\U000e0041é漢"
    )
    assert reveal("a\nb\x00", keep="\n") == "a\nb\\x00"
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6, " (more)") == "abcde… (more)"


def test_lines_of_a_profile_are_laid_together() -> None:
    merged = merge_lines(
        [
            '[users.owner]\nuser = "a"',
            '[target]\ncatalog = "c"',
            '[users.owner]\nuser = "a"\nsecret = "s"',
            '[[waivers]]\nrule = "ENV-1"',
            '[[waivers]]\nrule = "ENV-2"',
            '[[waivers]]\nrule = "ENV-1"',
        ]
    )
    assert "\n".join(merged) == (
        '[users.owner]\nuser = "a"\nsecret = "s"\n\n[target]\ncatalog = "c"\n\n'
        '[[waivers]]\nrule = "ENV-1"\n\n[[waivers]]\nrule = "ENV-2"'
    )


# --- progress ---


def test_a_line_every_ten_seconds_away_from_a_terminal() -> None:
    file = Screen()
    now = [0.0]
    with Progress(50, file=file, total=100.0, clock=lambda: now[0]) as progress:
        progress.finding("ENV-5", "course.read", "blank \x1b[2J")
        progress.finding("ENV-5", "course.read", "blank \x1b[2J")
        for _ in range(49):
            now[0] += 1.0
            progress.advance(2.0)
        progress.finding("COD-8", None, "y")
        now[0] += 1.0
        progress.advance(2.0)
    lines = file.text().splitlines()
    assert lines == [
        " 20%  10 of 50 tests  40 s left  1 finding (ENV-5)",
        " 40%  20 of 50 tests  30 s left  1 finding (ENV-5)",
        " 60%  30 of 50 tests  20 s left  1 finding (ENV-5)",
        " 80%  40 of 50 tests  10 s left  1 finding (ENV-5)",
        "100%  50 of 50 tests  2 findings (ENV-5, COD-8)",
    ]


def test_a_short_run_has_no_line_away_from_a_terminal() -> None:
    file = Screen()
    with Progress(1, file=file) as progress:
        progress.finding("ENV-5", None, "m")
        progress.advance()
    assert file.text() == ""


def test_such_a_line_names_the_first_rules() -> None:
    file = Screen()
    now = [0.0]
    with Progress(2, file=file, clock=lambda: now[0]) as progress:
        for number in range(1, 8):
            progress.finding(f"ENV-{number}", None, "m")
        now[0] = 10.0
        progress.advance()
    assert file.text() == (
        " 50%  1 of 2 tests  10 s left  7 findings (ENV-1, ENV-2, ENV-3, ENV-4, ENV-5 and 2 more rules)\n"
    )


@pytest.mark.parametrize("fails", [True, False])
def test_only_what_fails_the_gate_is_a_red_cross(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    check, load = Screen(terminal=True), io.StringIO()
    with Progress(1, color=True, file=check) as progress:
        progress.finding("SEC-7", "course.find", "no such header", fails=fails)
    lenient = frozenset() if fails else frozenset({"SEC-7"})
    event = {"event": "finding", "rule": "SEC-7", "function": "course.find", "message": "no such header"}
    with LoadProgress(1.0, color=True, file=load, lenient=lenient) as shown:
        shown.take(event_of(event))
    line = "SEC-7  course.find  no such header\x1b[0m"
    for text in (check.text(), load.getvalue()):
        assert (f"\x1b[31m✗ {line}" if fails else f"\x1b[33m! {line}") in text


def test_a_display_that_cannot_be_written_does_not_matter() -> None:
    with (
        contextlib.suppress(OSError),  # buffered text is written again when the file is closed
        Path("/dev/full").open("w") as full,
        Progress(1, file=full) as progress,
    ):
        progress.finding("SEC-7", None, "no such header")
        progress.advance()


def test_quiet_says_nothing_and_a_flood_is_dammed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    quiet, loud = Screen(terminal=True), Screen(terminal=True)
    for progress in (Progress(1, True, file=quiet), Progress(1, False, False, file=loud)):
        for number in range(500):
            progress.finding("ENV-1", f"f{number}", "m")
        progress.advance()
        progress.close()
        progress.close()
        progress.advance()
    assert quiet.text() == ""
    assert loud.text().count("✗ ENV-1") == 12
    assert "… more findings" in loud.text()


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    file = Screen(terminal=True)
    with Progress(2, color=False, file=file) as progress:
        progress.advance()
        progress.finding("ENV-5", None, "[bold]blank[/]")
        progress.advance()
    text = file.text()
    assert "✗ ENV-5  [bold]blank[/]" in text
    assert re.search(r"100%\s+1 finding\b", text)
    assert " of 2 tests" not in text


def test_a_bar_is_not_for_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    file = Screen(terminal=True)
    now = [0.0]
    with Progress(1, color=True, file=file, clock=lambda: now[0]) as progress:
        progress.finding("ENV-5", None, "m")
        now[0] = 10.0
        progress.advance()
    assert file.text() == "100%  1 of 1 test  1 finding (ENV-5)\n"


def some_causes(most: int) -> list[Event]:
    """Return findings of so many rules; each is a cause by itself."""
    answer = {"status": 200, "headers": {}, "body": '{"isError":false,"data":{}}', "seconds": 0.1}
    members = {"expected": "a text", "actual": "none", "count": 3, "response": answer}
    return [
        finding(f"{area}-{level}", "course.read", "blank", exchange=10 * number + level, **members)
        for number, area in enumerate(AREAS)
        for level in range(1, 5)
    ][:most]


def test_causes_come_after_the_verdict_with_an_example() -> None:
    lines = causes_screen(header(*RULES), *some_causes(1), END).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("1 cause of 1 finding"))
    assert place < next(number for number, line in enumerate(lines) if "not judged  error" in line)
    assert lines[place + 2].startswith("✗ 1  ")
    labels = [line[:13].strip() for line in lines[place + 3 : place + 9]]
    assert labels == ["breaks", "shown by", "expected", "got", "repeat", "look at"]


def test_five_causes_are_shown_in_full_and_the_others_in_a_line() -> None:
    text = causes_screen(header(*RULES), *some_causes(8), END)
    assert text.count("  shown by   ") == 5
    assert [line for line in text.splitlines() if line.startswith(("✗ 7  ", "! 8  "))]


def test_with_all_every_finding_is_shown_and_no_cause() -> None:
    text = screen(header(*RULES), *some_causes(3), END)
    assert "cause" not in text.replace("because", "")
    assert text.count("  says       ") == 3


def test_a_run_without_findings_speaks_of_no_causes() -> None:
    assert "cause" not in causes_screen(header(*RULES), judged(ENV_1=3), END)


def test_long_lines_are_cut_where_they_do_not_differ() -> None:
    one = cut_middle("a body that only a lenient reader takes for JSON is not refused: Infinity", 40)
    other = cut_middle("a body that only a lenient reader takes for JSON is not refused: a comment", 40)
    assert one.endswith("Infinity")
    assert other.endswith("a comment")
    assert max(len(one), len(other)) <= 40
    assert cut_middle("short", 40) == "short"
