"""The report that is built from the events of a run: verdicts, findings, waivers, coverage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reports.model.event_log import LogError
from reports.model.files import exit_status, validate
from reports.text import rerun_of
from tests.support.events import build
from tests.support.run_events import (
    ALL,
    END,
    TODAY,
    Event,
    a_rule,
    error,
    finding,
    header,
    judged,
    report_of,
    rule_of,
    waiver,
)

SEEN = finding("ENV-1") | {"event": "seen", "reproduced": None}


CTX = {"event": "conversation", "name": "t"}


NOT_ONE = {"event": "not judged", "rule": "ENV-1", "function": None, "reason": "no user", "lines": None}


@pytest.mark.parametrize(
    ("events", "verdicts", "verdict", "status"),
    [
        pytest.param([header(), ALL, END], ("pass", "pass"), "conformant", 0, id="all pass"),
        pytest.param(
            [header(), ALL, finding("ENV-1"), END], ("fail", "pass"), "nonconformant", 1, id="must fails"
        ),
        pytest.param(
            [header(), ALL, finding("ENV-8"), END], ("pass", "warn"), "conformant", 0, id="should warns"
        ),
        pytest.param(
            [header(strict=True), ALL, finding("ENV-8"), END],
            ("pass", "warn"),
            "nonconformant",
            1,
            id="strict",
        ),
        pytest.param(
            [header(strict=True), ALL, END], ("pass", "pass"), "conformant", 0, id="strict and clean"
        ),
        pytest.param([header(), END], ("not judged", "not judged"), "undecided", 3, id="nothing judged"),
        pytest.param(
            [header(), NOT_ONE, judged(ENV_8=1), END],
            ("not judged", "pass"),
            "conformant",
            0,
            id="one not judged",
        ),
        pytest.param(
            [header(), NOT_ONE, judged(ENV_1=1, ENV_8=1), END],
            ("pass", "pass"),
            "conformant",
            0,
            id="partly judged",
        ),
        pytest.param(
            [header(), finding("ENV-1"), END], ("fail", "not judged"), "nonconformant", 1, id="uncounted"
        ),
        pytest.param(
            [header(), error("connection refused"), END], ("error", "error"), "undecided", 3, id="unreachable"
        ),
        pytest.param(
            [header(), NOT_ONE, error("refused"), END],
            ("not judged", "error"),
            "undecided",
            3,
            id="also lacked",
        ),
        pytest.param(
            [header(), judged(ENV_8=2), error("went away"), END],
            ("error", "pass"),
            "undecided",
            3,
            id="went away",
        ),
        pytest.param(
            [header(), ALL, finding("ENV-1"), error("went away"), END],
            ("fail", "pass"),
            "nonconformant",
            1,
            id="failed, then went away",
        ),
        pytest.param(
            [header(), judged(ENV_8=1), error("unstable", "ENV-1"), END],
            ("error", "pass"),
            "conformant",
            0,
            id="one rule in error",
        ),
        pytest.param(
            [header(), ALL, error("unstable", "ENV-1"), END],
            ("pass", "pass"),
            "conformant",
            0,
            id="judged elsewhere",
        ),
        pytest.param(
            [header(), ALL, error("KeyError", "ENV-1", ours=True, trace="…"), END],
            ("error", "pass"),
            "undecided",
            3,
            id="we crashed",
        ),
        pytest.param(
            [header(), ALL, finding("ENV-1"), error("KeyError", "ENV-8", ours=True), END],
            ("fail", "error"),
            "nonconformant",
            1,
            id="we crashed, they failed",
        ),
        pytest.param([header(), ALL], ("pass", "pass"), "undecided", 130, id="no footer"),
        pytest.param(
            [header(), ALL, {"event": "interrupted"}, END],
            ("pass", "pass"),
            "undecided",
            130,
            id="interrupted",
        ),
        pytest.param(
            [header(), ALL, finding("ENV-1"), {"event": "interrupted"}, END],
            ("fail", "pass"),
            "nonconformant",
            130,
            id="interrupted after a fail",
        ),
        pytest.param(
            [header(waivers=[waiver("ENV-1")]), ALL, finding("ENV-1"), END],
            ("waived", "pass"),
            "conformant",
            0,
            id="waived",
        ),
        pytest.param(
            [header(waivers=[waiver("ENV-8")], strict=True), ALL, finding("ENV-8"), END],
            ("pass", "waived"),
            "conformant",
            0,
            id="should waived, strict",
        ),
        pytest.param(
            [header(waivers=[waiver("ENV-1", until=TODAY)]), ALL, finding("ENV-1"), END],
            ("waived", "pass"),
            "conformant",
            0,
            id="last day of a waiver",
        ),
        pytest.param(
            [header(waivers=[waiver("ENV-1", until="2026-11-22")]), ALL, finding("ENV-1"), END],
            ("fail", "pass"),
            "nonconformant",
            1,
            id="expired",
        ),
        pytest.param(
            [
                header(waivers=[waiver("ENV-1", "course.read")]),
                ALL,
                finding("ENV-1"),
                finding("ENV-1", "x.y"),
                END,
            ],
            ("fail", "pass"),
            "nonconformant",
            1,
            id="waived for another function",
        ),
        pytest.param(
            [header(waivers=[waiver("ENV-1", "course.read")]), ALL, finding("ENV-1", None), END],
            ("fail", "pass"),
            "nonconformant",
            1,
            id="a waiver for one function is none for all",
        ),
        pytest.param(
            [header(waivers=[waiver("ENV-2")]), ALL, finding("ENV-1"), END],
            ("fail", "pass"),
            "nonconformant",
            1,
            id="waiver of another rule",
        ),
    ],
)
def test_verdicts(events: list[Event], verdicts: tuple[str, str], verdict: str, status: int) -> None:
    report = report_of(*events)
    assert (report["rules"][0]["verdict"], report["rules"][1]["verdict"]) == verdicts
    assert report["verdict"] == verdict
    assert (
        report["gate"] == {"conformant": "pass", "nonconformant": "fail", "undecided": "undecided"}[verdict]
    )
    assert exit_status(report) == status


def test_every_rule_has_its_entry_and_the_header_is_retained() -> None:
    report = report_of(header(), END)
    assert [rule["id"] for rule in report["rules"]] == ["ENV-1", "ENV-8"]
    assert rule_of(report, "ENV-1")["reason"] == "no test of this run judged it"
    assert (report["seed"], report["seconds"], report["requests"], report["load"]) == (7, 41.3, 5210, None)
    assert report["target"]["url"] == "https://t-api.example/api/"
    assert report["started"] == "2026-11-23T10:00:00Z"


def test_counts_add_up_and_the_smallest_example_is_shown() -> None:
    report = report_of(
        header(),
        judged(ENV_1=300),
        judged(ENV_1=80, ENV_8=1),
        finding("ENV-1", count=2, body="x" * 50, reproduced=None, message="first"),
        finding(
            "ENV-1", count=3, body="x" * 10, actual="smaller", message="second", reproduced="1/4", exchange=8
        ),
        finding("ENV-1", count=9, body="x" * 20, actual="larger", reproduced="3/3"),
        END,
    )
    rule = rule_of(report, "ENV-1")
    assert rule["judged"] == 380
    (only,) = rule["findings"]
    assert (only["count"], only["message"], only["reproduced"]) == (14, "second", "1/4")
    assert only["request"]["body"] == "x" * 10
    assert (only["actual"], only["exchange"]) == ("smaller", 8)
    assert only["response"]["seconds"] == 0.004


def test_a_finding_without_a_request_takes_one_that_comes_later() -> None:
    first = finding("ENV-1", request=None, response=None, curl=None)
    (only,) = report_of(header(), first, finding("ENV-1"), first, END)["rules"][0]["findings"]
    assert only["request"]["body"] == '{"method":"read"}'
    assert only["count"] == 3


def test_findings_are_apart_by_function_and_kind() -> None:
    events = [
        finding("ENV-1"),
        finding("ENV-1", "course.add"),
        finding("ENV-1", kind="null"),
        finding("ENV-1"),
    ]
    findings = report_of(header(), *events, END)["rules"][0]["findings"]
    assert [(f["function"], f["kind"], f["count"]) for f in findings] == [
        ("course.read", "blank", 2),
        ("course.add", "blank", 1),
        ("course.read", "null", 1),
    ]


def test_reasons_and_lines_are_merged_without_repeats() -> None:
    def lacking(function: str | None, reason: str, lines: str | None) -> Event:
        return {
            "event": "not judged",
            "rule": "ENV-1",
            "function": function,
            "reason": reason,
            "lines": lines,
        }

    report = report_of(
        header(),
        lacking("a.b", "no user", "[users.owner]\nuser = 1\n"),
        lacking("a.c", "no user", "[users.owner]\nuser = 1\n"),
        lacking(None, "no catalogue", "[target]\ncatalog = 1"),
        END,
    )
    rule = rule_of(report, "ENV-1")
    assert rule["reason"] == "no user; no catalogue"
    assert rule["lines"] == "[users.owner]\nuser = 1\n\n[target]\ncatalog = 1"
    assert [left["function"] for left in rule["left_out"]] == ["a.b", "a.c", None]


def test_waivers_mark_their_findings() -> None:
    report = report_of(
        header(waivers=[waiver("ENV-1", "course.read")]), ALL, finding("ENV-1"), finding("ENV-1", "x.y"), END
    )
    marks = [(f["function"], f["waived"], f["waiver"]) for f in rule_of(report, "ENV-1")["findings"]]
    assert marks == [("course.read", True, "known: ENV-1"), ("x.y", False, None)]
    assert report["waivers"] == []


def test_waivers_that_ran_out_or_are_not_needed_are_listed() -> None:
    waivers = [
        waiver("ENV-1", until="2026-01-31"),
        waiver("ENV-1", "x.y"),
        waiver("ENV-8"),
        waiver("COD-1"),
        waiver("ENV-99"),
    ]
    rules = [a_rule("ENV-1"), a_rule("ENV-8", "should"), a_rule("COD-1")]
    report = report_of(header(*rules, waivers=waivers), ALL, finding("ENV-1"), finding("ENV-8"), END)
    # ENV-8's is used; COD-1 was not judged, so nobody can say that its waiver is not needed.
    assert [(w["rule"], w["function"], w["status"]) for w in report["waivers"]] == [
        ("ENV-1", None, "expired"),
        ("ENV-1", "x.y", "unneeded"),
        ("ENV-99", None, "unneeded"),
    ]
    assert report["waivers"][0]["message"] == "ran out on 2026-01-31; 1 finding would have been waived"
    assert report["waivers"][2]["message"] == "there is no such rule"


def test_an_interrupted_run_calls_no_waiver_unneeded() -> None:
    assert report_of(header(waivers=[waiver("ENV-1")]), ALL)["waivers"] == []


def test_leftovers_resets_errors_and_notes() -> None:
    left = {"kind": "course", "id": 5, "function": "course.remove", "reason": "403"}
    report = report_of(
        header(),
        ALL,
        {"event": "reset", "at": 3.0},
        {"event": "reset", "at": 9.0},
        {"event": "leftover"} | left,
        {"event": "note", "message": "slow"},
        {"event": "note", "message": "slow"},
        error("boom", ours=True, trace="Traceback"),
        error("boom", ours=True, trace="Traceback"),
        {"event": "of a later version", "x": 1},
        END,
    )
    assert (report["resets"], report["leftovers"], report["notes"]) == (2, [left], ["slow"])
    assert report["errors"] == [
        {"rule": None, "message": "boom", "ours": True, "whose": None, "trace": "Traceback", "count": 2},
    ]
    assert report["reason"] == "the suite itself failed: boom"


def test_an_event_of_an_unknown_rule_is_an_error_of_ours() -> None:
    report = report_of(header(), ALL, finding("ENV-77"), END)
    assert (report["verdict"], report["errors"][0]["ours"]) == ("undecided", True)
    assert "ENV-77" in report["errors"][0]["message"]


def test_the_reason_says_why() -> None:
    assert report_of(header(), ALL, finding("ENV-1"), END)["reason"] == "1 must rule failed (ENV-1)"
    strict = report_of(header(strict=True), ALL, finding("ENV-8"), END)
    assert strict["reason"] == "1 should rule failed, and the run is strict (ENV-8)"
    assert report_of(header(), ALL, END)["reason"] == "no must rule failed; 2 of 2 rules judged"
    assert report_of(header(), error("connection refused"), END)["reason"] == "connection refused"


def test_a_log_without_a_run_is_refused() -> None:
    with pytest.raises(LogError, match="does not begin with a run"):
        build([END])


def test_exchanges_are_not_retained() -> None:
    import tracemalloc

    def events(count: int) -> Iterator[Event]:
        yield header()
        yield ALL
        for number in range(count):
            response = {"status": 200, "headers": {}, "body": "x" * 1000, "seconds": 0.1}
            yield {"event": "exchange", "number": number, "response": response}

    def peak(count: int) -> int:
        tracemalloc.start()
        report = build(events(count))
        assert report["requests"] == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    # The exchanges take 20 MB. Other threads of the process may allocate some memory meanwhile.
    assert peak(20_000) < peak(10) + 1_000_000


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "fine"),
        (("surprise",), 1),
        (("rules", 0, "verdict"), "pass"),
        (("rules", 0, "findings", 0, "surprise"), 1),
        (("rules", 0, "findings", 0, "request", "body"), None),
        (("rules", 1, "judged"), 0),
        (("rules", 1, "id"), "env 8"),
        (("target", "environment"), "staging"),
        (("load",), []),
    ],
)
def test_the_schema_refuses_what_is_no_report(path: tuple[str | int, ...], value: Any) -> None:
    report = json.loads(json.dumps(report_of(header(), ALL, finding("ENV-1"), END)))
    inner = report
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=r"^report"):
        validate(report)


COVERAGE: Event = {
    "event": "coverage",
    "functions": {
        "course.add": {
            "examples": {"valid": 900, "edge": 300, "violation": 1000},
            "accepted": 1100,
            "refused": 100,
            "beyond_schema": 3,
            "parameters": {"title": {"accepted": 4, "refused": 2}, "price": {"accepted": 1, "refused": 0}},
            "keywords": {"/title minLength": {"accepted": 1, "refused": 1}},
            "grid": {"/title": {"minLength": {"accepted": 1, "refused_as_due": 1}, "blanks": {"altered": 2}}},
            "not_tried": {"a larger budget sends it": {"/title": ["long"]}},
        },
        "payment.add": {
            "examples": {"valid": 7},
            "accepted": 0,
            "refused": 7,
            "beyond_schema": 0,
            "parameters": {},
            "keywords": {},
        },
    },
}


def test_the_coverage_of_generated_data_is_retained_as_it_was_reported() -> None:
    assert report_of(header(), ALL, END)["coverage"] is None
    report = report_of(header(), ALL, COVERAGE | {"at": 3.0}, END)
    assert report["coverage"] == {"functions": COVERAGE["functions"]}


def a_case(
    rule: str, function: str | None = "course.read", kind: str = "blank", digest: str = "0" * 8
) -> Event:
    name = f"cases/{rule}-course.read-{digest}.json"
    return {"event": "case", "rule": rule, "function": function, "kind": kind, "file": name}


def test_a_finding_names_its_case() -> None:
    report = report_of(
        header(), ALL, finding("ENV-1"), a_case("ENV-1"), finding("ENV-1", kind="null"), finding("ENV-8"),
        a_case("ENV-8", kind="of no finding"), END,
    )  # fmt: skip
    cases = {(f["kind"], rule["id"]): f["case"] for rule in report["rules"] for f in rule["findings"]}
    assert cases == {
        ("blank", "ENV-1"): "cases/ENV-1-course.read-00000000.json",
        ("null", "ENV-1"): None,
        ("blank", "ENV-8"): None,
    }


@pytest.mark.parametrize("name", ["cases/../x.json", "/cases/ENV-1-a-00000000.json", "ENV-1-a-00000000.json"])
def test_a_case_lies_in_its_folder(name: str) -> None:
    report = build(iter([header(), ALL, finding("ENV-1"), a_case("ENV-1") | {"file": name}, END]))
    with pytest.raises(ValueError, match="case"):
        validate(report)


@pytest.mark.parametrize(
    ("events", "verdict", "count"),
    [
        pytest.param([CTX, SEEN], "fail", 1, id="killed in the middle"),
        pytest.param([CTX, SEEN, finding("ENV-1")], "fail", 1, id="killed when it was told"),
        pytest.param([CTX, SEEN, {"event": "withdrawn"}], "not judged", 0, id="a reset, and killed"),
        pytest.param([CTX, SEEN, CTX], "not judged", 0, id="killed in the next one"),
        pytest.param([CTX, SEEN, ALL, END], "pass", 0, id="a whole run"),
    ],
)
def test_what_was_seen_counts_where_the_log_ends_before_the_conversation(
    events: list[Event], verdict: str, count: int
) -> None:
    found = rule_of(report_of(header(), *events), "ENV-1")
    assert found["verdict"] == verdict
    assert sum(one["count"] for one in found["findings"]) == count


def test_the_line_that_runs_a_rule_again_names_the_rule_whose_test_found_it() -> None:
    begin = header(rerun="conform check --seed 7")
    by_another = finding("ENV-1", kind="b", test_rule="PAG-2")
    report = report_of(begin, finding("ENV-1"), by_another, ALL, END)
    assert [each["test_rule"] for each in rule_of(report, "ENV-1")["findings"]] == [None, "PAG-2"]
    assert rerun_of(report, "ENV-1") == "conform check --seed 7 --rule ENV-1 --rule PAG-2"
    # Its own tests found it, too.
    again = report_of(begin, by_another, finding("ENV-1", kind="b"), ALL, END)
    assert rerun_of(again, "ENV-1") == "conform check --seed 7 --rule ENV-1"
