"""Runs compared: rules, findings, what the rulebook leaves open, and loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conform
from conformance.rulebook.verdicts import normal
from reports.compare import load as compare_load
from reports.compare import render as compare_show
from reports.compare.rules import compare, exit_status
from reports.model.event_log import LogError
from reports.model.files import write_report
from reports.model.store import Stored, find_runs, read_run
from reports.render.html import index
from tests.reports.render.html.test_page import Page
from tests.support.events import build
from tests.support.reporting import HOSTILE, hostile, load_part, loaded, sample
from tests.support.run_events import END, Event, finding, header, judged

ALL = judged(ENV_1=5, ENV_8=5)
NOT_ONE = {"event": "not judged", "rule": "ENV-1", "function": None, "reason": "no user", "lines": None}


def stored(*events: Event, report: dict[str, Any] | None = None, name: str = "run") -> Stored:
    return Stored(Path("nowhere") / name, report or build([header(), *events, END]))


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["id"] for entry in entries]


# --- rules and findings


@pytest.mark.parametrize(
    ("before", "now", "groups", "verdict"),
    [
        ([ALL], [ALL], {}, "same"),
        ([ALL], [ALL, finding("ENV-1")], {"newly_failing": ["ENV-1"]}, "regression"),
        ([NOT_ONE], [ALL, finding("ENV-1")], {"newly_failing": ["ENV-1"]}, "regression"),
        ([ALL, finding("ENV-1")], [ALL], {"mended": ["ENV-1"]}, "improvement"),
        ([ALL, finding("ENV-1")], [ALL, finding("ENV-1")], {"still_failing": ["ENV-1"]}, "same"),
        ([ALL, finding("ENV-1")], [judged(ENV_8=1), NOT_ONE], {"newly_not_judged": ["ENV-1"]}, "same"),
        ([ALL], [judged(ENV_8=1), NOT_ONE], {"newly_not_judged": ["ENV-1"]}, "same"),
        (
            [ALL],
            [ALL, finding("ENV-8")],
            {"newly_failing": ["ENV-8"]},
            "same",
        ),  # a should, and nobody is strict
        ([ALL], [], {"newly_not_judged": ["ENV-1", "ENV-8"]}, "undecided"),
    ],
)
def test_rules(before: list[Event], now: list[Event], groups: dict[str, list[str]], verdict: str) -> None:
    found = compare(stored(*before), stored(*now))
    assert {key: ids(value) for key, value in found["rules"].items() if key != "findings" and value} == groups
    assert found["verdict"] == verdict


def test_a_should_counts_where_the_run_is_strict() -> None:
    report = build([header(strict=True), ALL, finding("ENV-8"), END])
    assert compare(stored(ALL), stored(report=report))["verdict"] == "regression"


def test_another_seed_makes_no_finding_new() -> None:
    before = [
        ALL,
        finding("ENV-1", kind="pageLength 1.0 is answered 'a 7'"),
        finding("ENV-1", kind="10^30 rows"),
    ]
    now = [ALL, finding("ENV-1", kind="pageLength -17 is answered 'b'"), finding("ENV-1", kind="2e9 rows")]
    found = compare(stored(*before), stored(*now))["rules"]["findings"]
    assert (len(found["new"]), len(found["gone"]), len(found["still"])) == (0, 0, 2)
    assert normal("row 12 of «x 3»") == "row # of ''"


def test_a_new_finding_in_a_failing_rule_is_a_regression_unless_it_comes_and_goes() -> None:
    old = [ALL, finding("ENV-1")]
    new = finding("ENV-1", "course.find")
    assert compare(stored(*old), stored(*old, new))["verdict"] == "regression"
    assert compare(stored(*old), stored(*old, {**new, "reproduced": "1/4"}))["verdict"] == "same"
    found = compare(stored(*old, new), stored(*old))["rules"]["findings"]
    assert [each["function"] for each in found["gone"]] == ["course.find"]


def test_exit_statuses() -> None:
    worse = compare(stored(ALL), stored(ALL, finding("ENV-1")))
    nothing = compare(stored(ALL), stored())
    same = compare(stored(ALL), stored(ALL))
    assert [exit_status(each, "regression") for each in (worse, nothing, same)] == [1, 3, 0]
    assert [exit_status(each, None) for each in (worse, nothing, same)] == [0, 0, 0]


# --- what the rulebook leaves open


def exchange(data: object, status: int = 200, message: str | None = None, test: str = "t.test_a[x]") -> Event:
    body = {"isError": status != 200, "errMsg": message, "data": data}
    return {
        "event": "exchange", "test": test, "function": "course.read", "number": 1, "user": "owner",
        "request": {"verb": "POST", "url": "u", "headers": {}, "body": "{}"}, "failure": None,
        "response": {"status": status, "headers": {}, "body": json.dumps(body), "seconds": 0.1},
    }  # fmt: skip


def recorded(folder: Path, *exchanges: Event) -> Stored:
    folder.mkdir()
    lines = [json.dumps(event, separators=(",", ":")) for event in (header(), *exchanges, ALL, END)]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return read_run(folder)


def changes(tmp_path: Path, before: list[Event], now: list[Event]) -> list[tuple[str, str | None, Any, Any]]:
    found = compare(recorded(tmp_path / "a", *before), recorded(tmp_path / "b", *now))
    return [(each["what"], each["path"], each["before"], each["after"]) for each in found["behaviour"]]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([exchange({"a": 1})] * 5, [exchange({"a": 2})] * 5, []),
        ([exchange({"a": 1})] * 5, [exchange({"a": "1"})] * 5, [("type", "/data/a", "number", "string")]),
        ([exchange({"a": None})] * 5, [exchange({"a": 2})] * 5, []),
        ([exchange({"a": 1})] * 5, [exchange({})] * 5, [("member removed", "/data/a", "number", None)]),
        (
            [exchange([{"a": {"b": 1}}])] * 5,
            [exchange([{"c": 1}])] * 5,
            [("member removed", "/data/*/a", "object", None), ("member added", "/data/*/c", None, "number")],
        ),
        ([exchange({"a": 1}), exchange({})] * 5, [exchange({})] * 5, []),  # it was not always there
        ([exchange({"a": 1})] * 2, [exchange({})] * 2, []),  # too few to say
        ([exchange({"k1": {}})] * 5, [exchange({"k2": {}})] * 5, []),  # a map keyed by data
        (
            [exchange(None, 404, "No course 7")] * 5,
            [exchange(None, 404, "No course 8")] * 5,
            [],
        ),
        (
            [exchange(None, 404, "No course 7")] * 5,
            [exchange(None, 404, "Gone")] * 5,
            [("message", None, "404: No course #", "404: Gone")],
        ),
        ([exchange(None, 404)] * 5, [exchange(None, 400)] * 5, [("status", None, "404", "400")]),
        ([exchange(None, 404)] * 5, [exchange(None, 400, test="t.test_b")] * 5, []),  # another kind of call
        ([exchange(None, 404)] * 5, [exchange(None, 404)] * 5 + [exchange(None, 500)], []),
    ],
)
def test_behaviour(tmp_path: Path, before: list[Event], now: list[Event], expected: list[Any]) -> None:
    assert changes(tmp_path, before, now) == expected


def test_what_is_drawn_by_chance_needs_the_same_seed(tmp_path: Path) -> None:
    test = "test_data.test_any_json_as_data[x]"
    before, now = [exchange(None, 404, test=test)] * 5, [exchange(None, 400, test=test)] * 5
    base, new = recorded(tmp_path / "a", *before), recorded(tmp_path / "b", *now)
    assert len(compare(base, new)["behaviour"]) == 1
    new.report["seed"] = base.report["seed"] + 1
    assert compare(base, new)["behaviour"] == []


def test_a_log_that_ends_in_the_middle_is_read_so_far(tmp_path: Path) -> None:
    run = recorded(tmp_path / "a", *[exchange({"a": 1})] * 5)
    path = run.folder / "events.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event":"exchange","te')
    assert len(list(run.exchanges())) == 5


# --- loads


def test_two_loads_of_one_service_are_the_same_within_noise() -> None:
    for seed in range(0, 6, 2):
        found = compare_load.compare(load_part(40, 100, seed=seed), load_part(40, 100, seed=seed + 1))
        assert found["claims"] == []
        assert found["comparable"]
        assert {row["claim"] for row in found["rows"]} == {"same"}


def test_what_the_generators_were_late_is_no_difference_of_the_target() -> None:
    def late(load: dict[str, Any], lag: float) -> dict[str, Any]:
        return load | {"health": load["health"] | {"lag": {"p50": 0.1, "p99": lag, "max": 2 * lag}}}

    before, after = load_part(60, 200, seed=1), load_part(60, 200, seed=2, slower=1.3)
    reported = compare_load.compare(late(before, 0.1), late(after, 0.1))
    claimed = {claim["metric"] for claim in reported["claims"]}
    assert "p95" in claimed
    assert reported["grain"] == pytest.approx(0.2)
    row = next(row for row in reported["rows"] if row["metric"] == "p95" and row["function"] is None)
    apart = row["after"] - row["before"]
    reported = compare_load.compare(late(before, apart), late(after, 0.1))
    assert "p95" not in {claim["metric"] for claim in reported["claims"] if claim["function"] is None}


def test_a_slower_service_is_found_and_a_faster_one_too() -> None:
    fast, slow = load_part(60, 200, seed=1), load_part(60, 200, seed=2, slower=1.3)
    for base, new, worse in ((fast, slow, True), (slow, fast, False)):
        found = compare_load.compare(base, new)
        claims = {(claim["metric"], claim["function"]): claim["worse"] for claim in found["claims"]}
        assert claims["p95", None] is worse
        row = next(row for row in found["rows"] if row["metric"] == "p95" and row["function"] is None)
        low, high = row["interval"]
        assert low < row["change"] < high
        assert row["claim"] == ("worse" if worse else "better")
        assert row["mann_whitney"] < 0.01
        assert row["kolmogorov_smirnov"] < 0.01
        assert not any(claim["metric"] == "rate" for claim in found["claims"])


def test_what_matters_is_said_by_the_smallest_effect() -> None:
    fast, slow = load_part(60, 200, seed=1), load_part(60, 200, seed=2, slower=1.3)
    assert compare_load.compare(fast, slow, min_effect=0.6)["claims"] == []


def test_slow_seconds_in_a_row_count_less_than_the_same_ones_scattered() -> None:
    rng = np.random.default_rng(3)

    def error(levels: Any) -> float:
        # Of 100 requests a second, as many take 1 ms as the level says, the others 2 ms.
        counts = np.stack([100 * levels, 100 * (1 - levels)], axis=1)
        done = np.full(len(levels), 100.0)
        windows = compare_load._Windows(counts, np.array([1.0, 2.0]), done, 0 * done, 1.0)
        return compare_load._share_error(windows, 1.0, 0.5)

    scattered = 0.5 + 0.2 * rng.choice([-1.0, 1.0], 64)
    # The standard error of a mean of 64 independent values; the estimate has 8 degrees of freedom.
    assert error(scattered) == pytest.approx(0.2 / 8, rel=0.5)
    assert error(np.sort(scattered)) > 2.5 * error(scattered)
    # Never less than that of independent requests: 6,400 of them, half of which are quick.
    assert error(np.full(64, 0.5)) == pytest.approx(0.5 / 80)


def test_errors_that_come_to_stay_are_found() -> None:
    good, bad = load_part(60, 200, seed=1), load_part(60, 200, seed=2)
    for at, second in enumerate(bad["series"]):
        second["errors"] = {"status 503": 4 + at % 3}
    found = compare_load.compare(good, bad)
    assert [(c["metric"], c["function"], c["worse"]) for c in found["claims"]] == [("errors", None, True)]
    for second in bad["series"]:
        second["errors"] = {}
    bad["series"][30]["errors"] = {"timeout": 30}  # one bad second is no change of the rate
    assert compare_load.compare(good, bad)["claims"] == []


def test_a_rate_that_is_not_reached_any_more_is_found() -> None:
    before, now = load_part(60, 200, seed=1), load_part(60, 150, seed=2)
    now["total"]["asked"] = before["total"]["asked"]
    found = compare_load.compare(before, now)
    assert ("rate", True) in [(claim["metric"], claim["worse"]) for claim in found["claims"]]


def refusing(load: dict[str, Any], share: float) -> dict[str, Any]:
    """Change a load so that a share of what was asked is refused at once; the answers keep their number."""
    for second in load["series"]:
        failed = round(second["done"] * share)
        second |= {"failed": failed, "errors": {"status 503": failed}, "served": second["done"] - failed}
    total = load["total"]
    failed = round(total["requests"] * share)
    total |= {"failed": failed, "errors": {"status 503": failed}, "served": total["requests"] - failed}
    total["rate"] = total["reached"] * (1 - share)
    return load


def test_the_rate_of_a_comparison_is_what_was_served() -> None:
    """A target that refuses half of its calls answers as many per second, and serves half of them."""
    before, now = refusing(load_part(60, 200, seed=1), 0.0), refusing(load_part(60, 200, seed=2), 0.5)
    found = compare_load.compare(before, now)
    claims = {claim["metric"]: claim for claim in found["claims"] if claim["function"] is None}
    assert claims["rate"]["worse"]
    assert claims["errors"]["worse"]
    (rate,) = (row for row in found["rows"] if row["metric"] == "rate")
    assert rate["change"] == pytest.approx(-0.5, abs=0.05)
    assert "rate served in total" in claims["rate"]["text"]
    # Among earlier runs the same rate is meant: three that served as little make it nothing new.
    earlier = [refusing(load_part(60, 200, seed=number), 0.5) for number in (3, 4, 5)]
    again = compare_load.compare(before, now, earlier=earlier)
    assert not any(claim["metric"] == "rate" for claim in again["claims"])


def test_requests_without_a_connection_are_errors_of_a_comparison() -> None:
    before, now = load_part(60, 200, seed=1), load_part(60, 200, seed=2)
    for load, starved in ((before, 0), (now, 50)):
        for second in load["series"]:
            second |= {"no_connection": starved, "errors": {"no connection": starved} if starved else {}}
        for counts in load["functions"].values():
            counts["no_connection"] = 1000 if starved else 0
    found = compare_load.compare(before, now)
    errors = {row["function"]: row for row in found["rows"] if row["metric"] == "errors"}
    assert errors[None]["after"] == pytest.approx(100 * 50 / 250, rel=0.02)
    requests = now["functions"]["course.find"]["requests"]
    assert errors["course.find"]["after"] == pytest.approx(100 * 1000 / (requests + 1000))
    assert errors["course.find"]["claim"] == "worse"
    # What was sent was served: the rate is the same.
    assert not any(claim["metric"] == "rate" for claim in found["claims"])


def test_a_level_of_the_rate_is_what_was_served() -> None:
    def run(number: int, share: float) -> Stored:
        report = loaded(seconds=10, per_second=200, seed=number)
        return stored(report=report | {"load": refusing(report["load"], share)}, name=f"run-{number}")

    runs = [run(number, 0.0) for number in range(8)] + [run(number, 0.4) for number in range(8, 12)]
    assert [(each["metric"], each["since"]) for each in compare_load.levels(runs)] == [("rate", "run-8")]


def test_runs_that_differ_of_themselves_teach_what_noise_is() -> None:
    base, new = load_part(60, 200, seed=1), load_part(60, 200, seed=2, slower=1.3)
    alike = [load_part(20, 200, seed=number) for number in (3, 4)]
    apart = [load_part(20, 200, seed=number, slower=1.4) for number in (3, 4)]
    assert compare_load.compare(base, new)["claims"]
    assert compare_load.compare(base, new, earlier=alike)["claims"]
    assert compare_load.compare(base, new, earlier=apart)["claims"] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scenario": "spike"}, "another scenario: steady, then spike"),
        ({"arrivals": "closed"}, "another arrivals: open, then closed"),
        ({"health": {"valid": False}}, "the generator of the newer run was not fit to say so"),
        ({"total": {"asked": 300.0}}, "another rate was asked for"),
        ({"series": []}, "too short to tell a difference from noise"),
    ],
)
def test_loads_that_do_not_compare_claim_nothing(change: dict[str, Any], why: str) -> None:
    base, new = load_part(30, 100, seed=1), load_part(30, 100, seed=2, slower=3)
    if "total" in change:
        change = {"total": {**new["total"], **change["total"]}}
    found = compare_load.compare(base, {**new, **change})
    assert not found["comparable"]
    assert why in "; ".join(found["why"])
    assert found["claims"] == []
    runs = [stored(report=loaded(seconds=10) | {"load": load}) for load in (base, {**new, **change})]
    assert compare(*runs)["verdict"] == "undecided"


def test_a_change_of_level_over_many_runs_is_found() -> None:
    def run(number: int, slower: float) -> Stored:
        return stored(
            report=loaded(seconds=10, per_second=200, seed=number, slower=slower), name=f"run-{number}"
        )

    steady = [run(number, 1.0) for number in range(8)]
    assert compare_load.levels(steady) == []
    assert compare_load.levels(steady[:4]) == []
    found = compare_load.levels([*steady, *(run(number, 1.4) for number in range(8, 12))])
    assert {change["since"] for change in found} == {"run-8"}
    assert {change["metric"] for change in found} == {"p50", "p95", "p99"}


# --- runs in folders, and the command


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    a, b = recorded(tmp_path / "a"), recorded(tmp_path / "b")
    with (b.folder / "events.jsonl").open("a") as file:
        file.write(json.dumps(finding("ENV-1")) + "\n")
    write_report(a.folder)
    write_report(b.folder)
    return a.folder, b.folder


def test_the_command_compares(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    a, b = map(str, runs)
    assert conform.main(["compare", a, b]) == 0
    assert "regression  1 rule newly failing (ENV-1)" in capsys.readouterr().out
    assert conform.main(["compare", a, f"{b}/report.json", "--fail-on", "regression", "--quiet"]) == 1
    assert capsys.readouterr().out == "regression: 1 rule newly failing (ENV-1)\n"
    assert conform.main(["compare", b, "--baseline", a, a, a, a, "--fail-on", "regression"]) == 1
    capsys.readouterr()
    out = tmp_path / "made" / "c.html"
    assert conform.main(["compare", b, a, "--json", "-", "--html", str(out), "--fail-on", "regression"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "improvement"
    assert "ENV-1" in Page(out.read_bytes()).text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "no-such-run"], "name two runs"),
        (["compare", "no-such-run", "no-other"], "cannot read no-such-run"),
        (["report", "no-such-run"], "cannot read no-such-run"),
        (["report"], "name a run, or --index"),
        (["report", "--index", "no-such-folder"], "no-such-folder: there is no such folder"),
        (["compare", "a", "b", "--min-effect", "500%"], "no share"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = conform.main(arguments)
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_run_is_rendered_again_from_either_file(runs: tuple[Path, Path], tmp_path: Path) -> None:
    folder = runs[1]
    names = {"report.html", "report.md", "junit.xml", "report.sarif"}
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    assert conform.main(["report", str(folder)]) == 0
    assert {name: (folder / name).read_bytes() for name in names} == before
    (folder / "report.json").unlink()
    out = tmp_path / "again"
    assert conform.main(["report", str(folder), "--out", str(out)]) == 0
    assert {name: (out / name).read_bytes() for name in names} == before
    assert conform.main(["report", str(folder), "--out", str(tmp_path / "one"), "--format", "markdown"]) == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["report.md"]


def test_a_page_says_what_changed_since_a_baseline(runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert (
        conform.main(["report", str(runs[1]), "--baseline", str(runs[0]), "--out", str(tmp_path / "o")]) == 0
    )
    assert "What changed" in Page((tmp_path / "o" / "report.html").read_bytes()).text
    assert "newly failing: ENV-1" in (tmp_path / "o" / "report.md").read_text("utf-8")


def test_reports_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    old = {
        "verb": "check", "target": {"url": "http://h/"}, "started": "2025-01-01T00:00:00Z", "verdict": "nonconformant",
        "rules": [{"id": "ENV-1", "verdict": "fail", "findings": [{"function": "a.b", "message": "m"}]}],
    }  # fmt: skip
    (tmp_path / "report.json").write_text(json.dumps(old), "utf-8")
    run = read_run(tmp_path)
    assert "a.b" in Page(html_of(run)).text
    compare_show.text(compare(run, stored(ALL)))
    bad: Any
    for bad in (7, {"rules": []}, {**old, "format": 2}, {**old, "target": None}, {**old, "rules": [{}]}):
        (tmp_path / "report.json").write_text(json.dumps(bad), "utf-8")
        with pytest.raises(LogError):
            read_run(tmp_path)


def html_of(run: Stored) -> bytes:
    from reports.render.html import page as html

    return html.render(run.report)


def test_an_index_lists_runs(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = runs[0].parent
    for number in range(3):
        each = folder / f"load {number}"
        each.mkdir()
        (each / "report.json").write_text(json.dumps(loaded(seconds=10, seed=number)), "utf-8")
    (folder / "broken").mkdir()
    (folder / "broken" / "report.json").write_text("{", "utf-8")
    assert conform.main(["report", "--index", str(folder)]) == 0
    page = Page((folder / "index.html").read_bytes())
    assert {attrs["href"] for tag, attrs in page.elements if tag == "a"} == {
        "./a/report.html",
        "./b/report.html",
    }
    for reported in ("5 runs", "nonconformant", "Latency", "Rate served", "not JSON"):
        assert reported in page.text
    found, problems = find_runs(folder)
    assert [run.name for run in found][-1] == "load 2"
    assert len(problems) == 1


def test_a_hostile_run_is_shown_as_text_in_every_form() -> None:
    base = stored(report=sample(), name="a")
    new = Stored(Path(HOSTILE.replace("/", "_").replace("\0", "")), hostile())
    new.report["load"] = load_part(30, 30, functions=(HOSTILE,))
    new.report["load"]["scenario"] = HOSTILE
    base.report["load"] = load_part(30, 30, functions=(HOSTILE,))
    found = compare(base, new)
    found["behaviour"] = [
        {
            "function": HOSTILE,
            "call": HOSTILE,
            "what": "message",
            "before": HOSTILE,
            "after": HOSTILE,
            "path": None,
        }
    ]
    for data in (compare_show.page(found), index.render([base, new], [HOSTILE]), html_of(new)):
        page = Page(data)
        assert all(character.isprintable() or character == "\n" for character in data.decode("utf-8"))
        assert not {"img", "iframe", "details onload"} & {tag for tag, _ in page.elements}
        assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
        assert sum(tag == "script" for tag, _ in page.elements) == 1
    text = compare_show.text(found)
    assert all(character.isprintable() or character == "\n" for character in text)
