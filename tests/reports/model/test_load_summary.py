"""A load in the report: totals, verdict and screen from its events, however they come and wherever they end."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.events import MarkEvent, SecondEvent
from conformance.units import format_milliseconds
from load.metrics.histogram import Histogram
from reports.headline import headline
from reports.model.files import exit_status, serialize, validate, write_report
from reports.model.load_summary import LoadPart, overall
from reports.render import junit, markdown
from reports.render.html import load_section as shown_loads
from reports.render.html import page as html
from reports.render.terminal.closing_screen import render
from reports.render.terminal.progress import LoadProgress, bar_line, load_line
from tests.support.events import build, event_of
from tests.support.run_events import Event, a_rule, error, finding, header

END: Event = {"event": "end", "seconds": 12.0}

RULES = [a_rule("ENV-1"), a_rule("ENV-5"), a_rule("STA-1")]


def a_load(**members: Any) -> Event:
    event = {
        "event": "load",
        "scenario": "steady",
        "arrivals": "open",
        "executor": "calls",
        "schedule": {"kind": "constant", "text": "200/s for 4 s", "spacing": "even"},
        "warmup": 1.0,
        "duration": 4.0,
        "users": 20,
        "connections": {"limit": 256},
        "workers": 1,
        "slo": ["p95 < 300ms"],
        "abort": [],
    }
    return event | members


def a_second(at: int, latencies_ms: tuple[float, ...] = (2.0, 4.0, 8.0), **members: Any) -> Event:
    due = Histogram.of(np.array([1000 * value for value in latencies_ms], np.int64))
    p50, p95, p99 = due.percentiles((50, 95, 99))
    event = {
        "event": "second",
        "at": at,
        "asked": 200.0,
        "sent": len(latencies_ms),
        "done": len(latencies_ms),
        "failed": 0,
        "nonconformant": 0,
        "dropped": 0,
        "late": 0,
        "errors": {},
        "due": due.encode(),
        "p50": p50 / 1000,
        "p95": p95 / 1000,
        "p99": p99 / 1000,
        "max": due.max / 1000,
        "lag": 0.4,
        "users": 20,
        "cpu": 0.1,
        "connections": 3,
        "functions": {
            "course.find": {"requests": len(latencies_ms), "errors": 0, "nonconformant": 0},
        },
    }
    return event | members


def shown_second(at: int, latencies_ms: tuple[float, ...] = (2.0, 4.0, 8.0), **members: Any) -> SecondEvent:
    event = event_of(a_second(at, latencies_ms, **members))
    assert isinstance(event, SecondEvent)
    return event


def counts(requests: int = 600, **members: Any) -> dict[str, Any]:
    due = Histogram.of(np.full(requests, 4000, np.int64)).figures()
    record = {
        "requests": requests,
        "asked": 200.0,
        "reached": 199.5,
        "errors": {},
        "failed": 0,
        "nonconformant": 0,
        "dropped": 0,
        "bytes": 1000,
        "due": due,
        "sent": due,
    }
    return record | members


def an_slo(verdict: str = "pass", **members: Any) -> dict[str, Any]:
    record = {
        "text": "p95 < 300ms",
        "function": None,
        "metric": "p95",
        "op": "<",
        "limit": 300.0,
        "unit": "ms",
        "value": {"pass": 181.2, "fail": 412.0}.get(verdict),
        "margin": {"pass": 0.396, "fail": -0.373}.get(verdict),
        "samples": 600,
        "needed": 200,
        "verdict": verdict,
        "reason": "12 samples; p95 needs 200" if verdict == "not judged" else None,
    }
    return record | members


def health(*why: str, **members: Any) -> dict[str, Any]:
    record = {
        "valid": not why,
        "why": list(why),
        "remarks": [],
        "cpu": {"mean": 0.1, "most": 0.2, "cores": 2},
        "lag": {"p50": 0.1, "p99": 0.4, "max": 1.0},
        "dropped": 0,
        "dropped_share": 0.0,
        "gc": {"count": 3, "longest": 1.0, "total": 2.0},
        "calibration": {"rate": 18000.0, "cpu_us": 12.0},
        "workers": [{"name": "local", "cpu": 0.1, "lost": False}],
    }
    return record | members


def load_end(*slos: dict[str, Any], **members: Any) -> Event:
    event = {
        "event": "load-end",
        "seconds": 4.0,
        "connections": {"limit": 256, "opened": 5, "most": 3},
        "marks": [],
        "total": counts(),
        "functions": {"course.find": counts()},
        "warmed": counts(200),
        "rules": {"ENV-1": {"judged": 800, "broken": 0}, "ENV-5": {"judged": 3, "broken": 0}},
        "findings": [],
        "schema": {"judged": 16, "of": 800},
        "slos": list(slos) or [an_slo()],
        "search": None,
        "health": health(),
    }
    return event | members


def of(*events: Event, strict: bool = False) -> dict[str, Any]:
    report = build([header(*RULES, verb="load", strict=strict), *events])
    validate(report)
    return report


def whole(*slos: dict[str, Any], **members: Any) -> dict[str, Any]:
    return of(a_load(), *(a_second(at) for at in range(4)), load_end(*slos, **members), END)


# --- the verdict --------------------------------------------------------------------------------------------


def test_all_slos_held() -> None:
    report = whole()
    assert (report["verdict"], exit_status(report)) == ("conformant", 0)
    assert report["reason"].startswith("1 SLO held on 600 requests")
    assert report["requests"] == 800
    assert {rule["id"]: rule["judged"] for rule in report["rules"]} == {"ENV-1": 800, "ENV-5": 3, "STA-1": 0}


def test_slo_missed() -> None:
    report = whole(an_slo(), an_slo("fail", text="p99 < 300ms"))
    assert (report["verdict"], exit_status(report)) == ("nonconformant", 1)
    assert report["reason"] == "1 SLO of 2 missed (p99 < 300ms: 412 ms)"


def test_slo_that_was_not_judged_is_no_pass() -> None:
    report = whole(an_slo(), an_slo("not judged"))
    assert (report["verdict"], exit_status(report)) == ("undecided", 3)
    assert "12 samples; p95 needs 200" in report["reason"]


def test_generator_that_was_the_bottleneck_says_nothing() -> None:
    report = whole(an_slo("fail"), health=health("the generator took 99% of a core"))
    assert (report["verdict"], exit_status(report)) == ("undecided", 3)
    assert "took 99% of a core" in report["reason"]


def test_broken_rule_fails_whatever_the_generator_was() -> None:
    reported = finding("ENV-5", "course.find", "blank", count=1)
    end = load_end(
        health=health("too late"),
        rules={"ENV-5": {"judged": 600, "broken": 40}},
        findings=[{"rule": "ENV-5", "function": "course.find", "kind": "blank", "count": 40}],
    )
    report = of(a_load(), a_second(0), reported, end, END)
    assert (report["verdict"], exit_status(report)) == ("nonconformant", 1)
    rule = next(rule for rule in report["rules"] if rule["id"] == "ENV-5")
    assert (rule["verdict"], rule["judged"], rule["findings"][0]["count"]) == ("fail", 600, 40)


def test_rule_that_was_counted_as_broken_never_passes_for_want_of_an_example() -> None:
    report = whole(rules={"ENV-1": {"judged": 800, "broken": 2}})
    assert report["verdict"] == "nonconformant"


def test_target_that_answers_nothing() -> None:
    report = whole(an_slo("fail"), total=counts(errors={"unreachable": 600}, failed=600))
    assert exit_status(report) == 3
    assert "does not answer" in report["reason"]


def test_stop_condition_is_no_pass() -> None:
    mark = {"at": 2.0, "kind": "abort", "text": "errors > 50% over 5s (errors was 80 %)"}
    report = whole(marks=[mark])
    assert exit_status(report) == 3
    assert "stopped early: errors > 50%" in report["reason"]


def test_interruption_keeps_what_was_found() -> None:
    report = of(a_load(), a_second(0), load_end(an_slo("not judged")), {"event": "interrupted"}, END)
    assert exit_status(report) == 130
    assert report["load"]["total"]["requests"] == 600


@pytest.mark.parametrize(
    ("passed", "result", "status"),
    [((True, False), 100.0, 0), ((False,), None, 1), ((None, None), None, 3)],
)
def test_search(passed: tuple[bool | None, ...], result: float | None, status: int) -> None:
    search = {
        "kind": "search",
        "text": "search 100/s to 400/s, 10 s each",
        "stop": "ends when …",
        "trials": [
            {"rate": 100.0 * 2**place, "seconds": 10.0, "held": each} for place, each in enumerate(passed)
        ],
        "result": result,
        "why": "100/s held and 200/s did not",
    }
    report = of(
        a_load(schedule=search), load_end(search=search, health=health("the last trial was too much")), END
    )
    assert exit_status(report) == status
    assert report["load"]["schedule"] is None
    assert report["load"]["search"]["result"] == result
    assert "held" in render(report, color=False)


# --- a run that was killed ----------------------------------------------------------------------------------


def test_killed_run_is_put_together_from_its_seconds() -> None:
    report = of(
        a_load(),
        a_second(0, (900.0,)),
        a_second(1, (2.0, 4.0), errors={"timeout": 1}, failed=1),
        a_second(2, (8.0, 500.0), dropped=3),
    )
    load = report["load"]
    assert exit_status(report) == 130  # it has no end: nobody let it finish
    assert not load["complete"]
    assert load["total"]["requests"] == 4  # the first second is warm-up
    assert load["warmed"]["requests"] == 1
    assert load["total"]["errors"] == {"timeout": 1}
    assert load["total"]["dropped"] == 3
    merged = Histogram.of(np.array([2000, 4000, 8000, 500_000], np.int64))
    assert Histogram.decode(load["total"]["due"]["histogram"]) == merged
    assert load["total"]["due"]["p99"] == merged.percentile(99) / 1000
    assert load["total"]["sent"] is None
    assert load["functions"]["course.find"]["requests"] == 4
    assert [slo["verdict"] for slo in load["slos"]] == ["not judged"]
    assert not load["health"]["valid"]
    assert "cut short" in render(report, color=False)


def test_locust_that_crashed_is_ours() -> None:
    crash = error("Locust ended in the middle of the load (killed by signal 9)", ours=True)
    report = of(a_load(), a_second(0), crash, END)
    assert exit_status(report) == 3
    assert "killed by signal 9" in report["reason"]


def test_load_that_could_not_be_prepared_has_no_load_part() -> None:
    report = of(error("the load cannot be prepared: could not sign in", ours=False), END)
    assert report["load"] is None
    assert exit_status(report) == 3


# --- whatever comes, the report validates ---------------------------------------------------------------------

number = st.integers(0, 10**9)
share = st.floats(0, 1e6, allow_nan=False)
text = st.text(max_size=20)
histogram = st.lists(st.integers(1, 3_600_000_000), max_size=6).map(
    lambda values: Histogram.of(np.array(values, np.int64)).encode()
)
seconds = st.builds(
    a_second,
    st.integers(0, 100),
    asked=st.none() | share,
    done=number,
    failed=number,
    dropped=number,
    errors=st.dictionaries(text, number, max_size=3),
    due=histogram,
    p99=share,
    lag=share,
    cpu=share,
    functions=st.dictionaries(
        text, st.fixed_dictionaries({"requests": number, "errors": number}), max_size=3
    ),
)
marks = st.builds(
    lambda at, kind, reported: {"event": "mark", "at": at, "kind": kind, "text": reported}, share, text, text
)
ends = st.builds(
    load_end,
    st.sampled_from(("pass", "fail", "not judged")).map(an_slo),
    health=st.lists(text, max_size=3).map(lambda why: health(*why)),
    functions=st.dictionaries(text, st.just(counts(3, errors={"timeout": 1}, failed=1)), max_size=3),
    marks=st.lists(marks, max_size=2),
)
loads = st.builds(
    a_load, arrivals=st.sampled_from(("open", "closed")), warmup=st.floats(0, 50), duration=st.none() | share
)
others = st.sampled_from(
    [
        finding("ENV-5"),
        finding("STA-1", None),
        {"event": "calibration", "rate": 18_000.0, "cpu_us": 12.0},
        {"event": "leftover", "kind": "course", "id": 3, "function": None, "reason": "refused"},
        {"event": "note", "message": "x"},
        {"event": "interrupted"},
        {"event": "of a later version", "x": 1},
        error("went away", ours=False),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(loads | seconds | marks | ends | others, max_size=12), st.booleans())
def test_whatever_events_come_the_report_is_one_and_can_be_shown(events: list[Event], ended: bool) -> None:
    report = build([header(*RULES, verb="load"), *events, *([END] if ended else [])])
    validate(report)
    validate(json.loads(json.dumps(report)))
    assert report["verdict"] in ("conformant", "nonconformant", "undecided")
    assert exit_status(report) in (0, 1, 3, 130)
    for width in (40, 80, 140):
        assert headline(report).split()[0] in render(report, color=False, width=width)
    ET.fromstring(junit.render(report))


def test_nothing_passes_without_a_valid_end() -> None:
    part = LoadPart()
    part.take(event_of(a_load()))
    for at in range(5):
        part.take(event_of(a_second(at)))
    record = part.record()
    assert record is not None
    assert overall(record)[0] == "undecided"


# --- what is seen of it ---------------------------------------------------------------------------------------


def test_screen_has_functions_slos_and_health() -> None:
    shown = render(whole(an_slo(), an_slo("fail", text="p99 < 300ms")), color=False, width=100)
    lines = shown.splitlines()
    assert any(line.split()[:2] == ["course.find", "600"] for line in lines)
    assert any(line.startswith("✓ p95 < 300ms") and "40% of the limit left" in line for line in lines)
    assert any(line.startswith("✗ p99 < 300ms") and "37% beyond the limit" in line for line in lines)
    assert "fit" in shown
    assert "18,000/s at most" in shown
    assert "Not judged" not in shown


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_screen_keeps_within_its_width(width: int) -> None:
    shown = render(
        whole(total=counts(errors={"status 503": 7, "timeout": 1}, failed=8)), color=False, width=width
    )
    rows = [
        line for line in shown.splitlines() if not line.lstrip().startswith(("report", "rerun", "repeat"))
    ]
    assert max(map(len, rows)) <= width


def test_closed_users_are_labelled() -> None:
    report = of(a_load(arrivals="closed", executor="users", schedule=None), load_end(), END)
    assert "closed: 20 users" in render(report, color=False)


def test_hostile_names_are_shown_as_text() -> None:
    report = whole(
        functions={"course.\x1b[31mfind": counts()}, total=counts(errors={"status\x07": 3}, failed=3)
    )
    shown = render(report, color=False)
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_slos_are_test_cases() -> None:
    report = whole(an_slo(), an_slo("fail", text="p99 < 300ms"), an_slo("not judged", text="mean < 1s"))
    root = ET.fromstring(junit.render(report))
    suite = next(each for each in root if each.get("name") == "LOAD Load")
    outcomes = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert outcomes["p95 < 300ms"] == ["system-out"]
    assert outcomes["p99 < 300ms"] == ["failure"]
    assert outcomes["mean < 1s"] == ["skipped"]
    assert outcomes["the generator was fit to say so"] == []
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    assert int(root.get("failures", "0")) == 1


def test_unfit_generator_is_an_error_and_misses_no_slo() -> None:
    root = ET.fromstring(junit.render(whole(an_slo("fail"), health=health("too late"))))
    suite = next(each for each in root if each.get("name") == "LOAD Load")
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "1", "1")


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_unfit_generator_has_no_slo_held_or_missed_on_any_page(verdict: str) -> None:
    report = whole(an_slo(verdict), health=health("too late"))
    page, summary = html.render(report).decode(), markdown.render(report).decode()
    assert "not valid</span>" in page
    assert not re.search(
        r"(held|missed|pass|fail)</span>", page.partition("Objectives")[2].partition("</table>")[0]
    )
    assert "⚪ not valid" in summary
    assert "held" not in summary.partition("| SLO")[2].partition("\n\n")[0]
    fit = html.render(whole(an_slo(verdict))).decode()
    assert {"pass": "held</span>", "fail": "missed</span>"}[verdict] in fit


def test_line_merges_its_seconds() -> None:
    line = load_line([shown_second(0, (1.0,) * 99), shown_second(1, (1000.0,), failed=1)])
    assert "p50  1.00 ms" in line
    assert "p99  1.00 ms" in line
    assert "asked   200.0/s" in line
    assert "reached    50.0/s" in line
    assert "errors 1" in line


def test_bar_has_room_for_its_line() -> None:
    line = bar_line(shown_second(0, (1234.0,) * 3, asked=200.0, done=200, lag=123.4, failed=12))
    p50 = round(a_second(0, (1234.0,))["p50"])
    assert line == f"200/200 per s · p50 {p50} · p95 {p50} · p99 {p50} ms · errors 12 · lag 123"
    assert len(line) <= 72


def test_progress_writes_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    file = io.StringIO()
    with LoadProgress(4.0, file=file) as progress:
        for event in (
            a_load(),
            a_second(0),
            a_second(1),
            {"event": "mark", "at": 1.0, "kind": "reset", "text": "gone"},
        ):
            progress.take(event_of(event))
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].lstrip().startswith("1 s  asked")
    assert "reset: gone" in lines[2]


def test_long_load_has_about_sixty_lines() -> None:
    file = io.StringIO()
    with LoadProgress(600.0, file=file) as progress:
        for at in range(600):
            progress.take(shown_second(at))
    assert 55 <= len(file.getvalue().splitlines()) <= 65


def test_quiet_says_nothing() -> None:
    file = io.StringIO()
    with LoadProgress(4.0, quiet=True, file=file) as progress:
        progress.take(shown_second(0))
        progress.take(MarkEvent("abort", "x", at=1.0))
        progress.say("x")
    assert file.getvalue() == ""


def test_what_is_small_is_not_shown_as_nothing() -> None:
    shown = [shown_loads.milliseconds(value) for value in (0.0, 0.001, 0.8, 10.44, 512.2, 1250.0)]
    assert shown == ["0.00 ms", "0.001 ms", "0.80 ms", "10.4 ms", "512 ms", "1.25 s"]
    assert format_milliseconds(0.001) == "0.001 ms"


# --- hours ------------------------------------------------------------------------------------------------------


def test_report_of_a_soak_has_every_second_on_a_line_and_a_page_of_bearable_size(tmp_path: Path) -> None:
    hours = 10
    seconds = [a_second(at, (2.0, 4.0, 8.0 + at % 9)) for at in range(600)] * (6 * hours)
    log = [
        header(*RULES),
        a_load(),
        *({**each, "at": at} for at, each in enumerate(seconds)),
        load_end(),
        END,
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in log), "utf-8")
    report = write_report(tmp_path)
    assert [second["at"] for second in report["load"]["series"]] == list(range(3600 * hours))
    stored = (tmp_path / "report.json").read_text("utf-8")
    assert json.loads(stored) == json.loads(json.dumps(report))
    # Whatever surrounds it is indented; a second is one line.
    assert stored.count("\n") < 3600 * hours + 2_000
    assert len(stored) < 600 * 3600 * hours
    page = (tmp_path / "report.html").read_bytes()
    assert len(page) <= 3_000_000
    # The charts have steps of two minutes, whose histograms are merged, and say so.
    assert b"each 2:00" in page


def test_series_is_stored_whatever_stands_around_it() -> None:
    report = of(a_load(), a_second(0), a_second(1), load_end())
    assert json.loads(serialize(report)) == json.loads(json.dumps(report))
    assert json.loads(serialize({**report, "load": None})) == {**json.loads(json.dumps(report)), "load": None}
