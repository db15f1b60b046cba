"""The pure parts of the comparison with Schemathesis: reading both reports, the command, the table, the choice."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peer_schemathesis import (
    Outcome,
    chosen,
    our_cases,
    our_failures,
    outcome,
    peer_cases,
    peer_command,
    peer_config,
    peer_failures,
    read,
    run,
    table,
)
from conformance.engine.harness import EMBEDDED_PROFILE
from conformance.errors import UsageError
from conformance.protocol import profile_reader
from fixtures.faults import FAULTS

PEER_REPORT: dict[str, Any] = {
    "schemathesis_version": "4.32.5",
    "stop_reason": "max_time",
    "test_cases": {"generated": 1599, "with_failures": 3, "unique_failures": 3},
    "failures": [
        {
            "type": "RejectedPositiveData",
            "code": "ST202",
            "title": "Schema-valid request rejected",
            "count": 2,
            "operations": ["POST /auth#loginHmac", "POST /course#find"],
        },
        {"type": "IgnoredAuth", "code": "ST301", "title": "…", "count": 1, "operations": []},
    ],
    "errors": [{"title": "Network Error", "count": 4}],
}
OUR_REPORT: dict[str, Any] = {
    "requests": 812,
    "rules": [
        {
            "id": "PAG-2",
            "verdict": "fail",
            "findings": [{"function": "course.find"}, {"function": "course.find"}],
        },
        {"id": "SEC-5", "verdict": "warn", "findings": [{"function": None}]},
        {"id": "ENV-1", "verdict": "waived", "findings": [{"function": "course.add"}]},
        {"id": "ENV-2", "verdict": "pass", "findings": []},
    ],
}


def test_reports_are_read() -> None:
    assert peer_failures(PEER_REPORT) == {
        ("POST /auth#loginHmac", "RejectedPositiveData"),
        ("POST /course#find", "RejectedPositiveData"),
        ("", "IgnoredAuth"),
        ("", "error: Network Error"),
    }
    assert peer_cases(PEER_REPORT) == 1599
    assert our_failures(OUR_REPORT) == {("course.find", "PAG-2"), ("", "SEC-5")}
    assert our_cases(OUR_REPORT) == 812


def test_only_what_the_clean_service_does_not_show_is_new() -> None:
    found = Outcome(peer_failures(PEER_REPORT), 10, 1.234, 0.5)
    clean = frozenset(
        {("POST /auth#loginHmac", "RejectedPositiveData"), ("POST /course#find", "IgnoredAuth")}
    )
    assert found.record(clean) == {
        "new": [
            ["", "IgnoredAuth"],
            ["", "error: Network Error"],
            ["POST /course#find", "RejectedPositiveData"],
        ],
        "cases": 10,
        "seconds": 1.23,
        "cpu": 0.5,
        "note": None,
    }
    assert found.record(found.failures)["new"] == []


def test_a_run_without_a_report_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 500 + "could not sign in\n", encoding="utf-8")
    found = outcome((2.0, 1.0), tmp_path / "none.json", log, peer_failures, peer_cases)
    assert (found.failures, found.cases, found.seconds, found.cpu) == (frozenset(), 0, 2.0, 1.0)
    assert found.note is not None
    assert found.note.endswith("could not sign in")
    assert len(found.note) < 330
    report = tmp_path / "peer.json"
    report.write_text(json.dumps(PEER_REPORT), encoding="utf-8")
    found = outcome((2.0, 1.0), report, log, peer_failures, peer_cases)
    assert (found.cases, found.note) == (1599, None)
    report.write_text(json.dumps({**PEER_REPORT, "test_cases": {"generated": 0}}), encoding="utf-8")
    assert outcome((2.0, 1.0), report, log, peer_failures, peer_cases).note == "no test case in this time"


def test_a_process_is_measured_and_ended_in_time(tmp_path: Path) -> None:
    busy = "import time\nuntil = time.process_time() + 0.2\nwhile time.process_time() < until: pass\nprint('done')"
    wall, cpu = run([sys.executable, "-c", busy], tmp_path, 30, tmp_path / "log")
    assert wall >= cpu / 2 > 0.1
    assert (tmp_path / "log").read_text() == "done\n"
    wall, _ = run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, 0.3, tmp_path / "log")
    assert 0.3 <= wall < 20


def test_the_peer_signs_in_as_each_user(tmp_path: Path) -> None:
    path = peer_config(profile_reader.load(EMBEDDED_PROFILE), "http://127.0.0.1:9/api/", tmp_path)
    configured = tomllib.loads(path.read_text("utf-8"))["auth"]["wfc"]
    # The administrator may see what is not hers.
    assert configured["peers"] == ["owner", "peer"]
    users = json.loads(Path(configured["path"]).read_text("utf-8"))["auth"]
    assert [user["name"] for user in users] == ["owner", "peer", "admin"]
    login = users[0]["loginEndpointAuth"]
    assert login["endpoint"] == "/api/auth"
    assert json.loads(login["payloadRaw"]) == {
        "method": "login",
        "data": {"identity": "owner@example.com", "credential": "Correct-Horse-7-owner"},
    }
    assert (login["token"]["extractSelector"], login["token"]["sendName"]) == ("/data/sessionId", "Token")
    command = peer_command("schemathesis", tmp_path, "http://127.0.0.1:9/api/", 20, 3)
    assert command[command.index("--config-file") + 1] == str(path)
    assert command[command.index("--url") + 1] == "http://127.0.0.1:9/api"
    assert command[command.index("--max-time") + 1] == "20"
    assert command[command.index("--seed") + 1] == "3"


def outcomes(peer: list[list[str]], ours: list[list[str]]) -> dict[str, Any]:
    common = {"seconds": 10.0, "note": None}
    return {
        "schemathesis": {"new": peer, "cases": 500, "cpu": 5.0, **common},
        "conform": {"new": ours, "cases": 5000, "cpu": 4.0, **common},
    }


def fault(name: str, *, subtle: bool, located: bool, **tools: Any) -> dict[str, Any]:
    members = {"fault": name, "area": name.partition(".")[0], "subtle": subtle, "located": located}
    return {"record": "fault", **members, **tools}


RECORDS: list[dict[str, Any]] = [
    {
        "record": "run",
        "version": "schemathesis 4.32.5",
        "seconds": 10,
        "seed": 7,
        "budget": "standard",
        "named_rules": False,
    },
    {"record": "clean", "seed": 7, **outcomes([["POST /a#b", "X"]], [])},
    {"record": "clean", "seed": 8, **outcomes([["POST /a#b", "X"], ["POST /a#b", "Y"]], [])},
    fault("paging.one", subtle=True, located=True, **outcomes([], [["a.b", "PAG-2"]])),
    fault("paging.two", subtle=False, located=False, **outcomes([["POST /a#b", "Z"]], [["a.b", "ENV-1"]])),
    fault("access.one", subtle=True, located=False, **outcomes([], [])),
]


def test_the_table_counts_what_was_caught() -> None:
    words = {line.split("  ")[0].strip(): line.split() for line in table(RECORDS).splitlines() if line}
    assert words["paging"][1:] == ["1", "1", "(100%)", "1", "(100%)", "1", "0", "(0%)", "1", "(100%)"]
    assert words["access"][1:] == ["0", "-", "-", "1", "0", "(0%)", "0", "(0%)"]
    assert words["all"][1:] == ["1", "1", "(100%)", "1", "(100%)", "2", "0", "(0%)", "1", "(50%)"]
    assert words["caught, of all"][-4:] == ["1", "(33%)", "2", "(67%)"]
    located = [line for line in table(RECORDS).splitlines() if "by a rule that the fault names" in line]
    assert [line.split()[-2:] for line in located] == [["1", "(33%)"]]
    assert words["false alarms on the clean service (2 runs)"][-2:] == ["2", "0"]
    assert words["test cases per second"][-2:] == ["50.00", "500.00"]
    assert words["CPU per test case, ms"][-2:] == ["10.00", "0.80"]
    assert "schemathesis, false alarm: POST /a#b Y" in table(RECORDS)


def test_the_table_of_an_unfinished_run(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(
        "".join(json.dumps(each) + "\n" for each in RECORDS) + '{"record": "fau', encoding="utf-8"
    )
    assert read(path) == RECORDS
    reported = table([{**RECORDS[0], "named_rules": True}])
    assert reported.startswith(
        "schemathesis 4.32.5 and conform check --budget standard with the rules that each fault names: 0 faults, 10 s"
    )
    assert [line.split()[-2:] for line in reported.splitlines() if line.startswith("CPU")] == [["-", "-"]]
    failed = {
        **RECORDS[3],
        "schemathesis": {**RECORDS[3]["schemathesis"], "note": "no report:\n …out of luck"},
    }
    assert "schemathesis, paging.one: no report: …out of luck" in table([*RECORDS[:3], failed])


def test_the_choice_of_faults() -> None:
    assert chosen([], None, 1) == list(FAULTS)
    assert set(chosen(["paging.*", "envelope.blank-message"], None, 1)) == {
        *(name for name in FAULTS if name.startswith("paging.")),
        "envelope.blank-message",
    }
    drawn = chosen([], 12, 1)
    assert len(drawn) == 12
    assert drawn == chosen([], 12, 1) != chosen([], 12, 2)
    assert drawn == [name for name in FAULTS if name in drawn]
    with pytest.raises(UsageError, match=r"paging\.nothing-\*: no fault"):
        chosen(["paging.nothing-*"], None, 1)
