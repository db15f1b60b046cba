"""`conform explore RUN`: the findings of a run, what was sent, and what a new answer is judged by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.cases.format import Case, load
from conformance.commands.explorer_run import StoredFindings, filled, options_of
from conformance.errors import UsageError
from conformance.protocol import profile_reader
from reports.model.store import Stored, read_run
from tests.support.exploring import PROFILE, ROOT, RUN_FAULTS, Explore, embedded, exploring, recorded
from tests.support.recording import ran, ran_here
from tests.support.service_client import PASSWORDS


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with embedded(*RUN_FAULTS) as url:
        yield url


@pytest.fixture(scope="module")
def run(service: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explored") / "run"
    recorded(service, folder)
    return folder


@pytest.fixture(scope="module")
def findings(run: Path) -> StoredFindings:
    return StoredFindings(read_run(run), profile_reader.load(PROFILE))


@pytest.fixture(scope="module")
def explore(service: str, run: Path) -> Iterator[Explore]:
    with exploring(str(run), "--target", service, "--profile", str(PROFILE)) as running:
        yield running


def one(findings: StoredFindings, rule: str, kind: str) -> Any:
    return next(
        each for each in findings.findings.values() if each.rule == rule and each.shown["kind"] == kind
    )


def sent(finding: Any, **more: Any) -> dict[str, Any]:
    """Return what the page sends of a finding."""
    return {**finding.shown["request"], "session": None, "finding": finding.id, **more}


def test_every_finding_is_there_with_its_request(findings: StoredFindings) -> None:
    report = findings.run.report
    assert len(findings.findings) == sum(len(rule["findings"]) for rule in report["rules"]) > 10
    content = json.loads(findings.content())
    assert {each["cause"] for each in content["findings"]} == {cause["id"] for cause in content["causes"]}
    blank = one(findings, "ENV-5", "errMsg is blank").shown
    assert (blank["sender"], blank["user"] in ("owner", "peer")) == ("user", True)
    assert blank["request"]["headers"] == [["Content-Type", "application/json"]]
    assert json.loads(blank["request"]["body"])["method"] == blank["function"].partition(".")[2]
    assert blank["remedy"]
    assert blank["page"].endswith("docs/rules/ENV-5.md")


def test_a_password_is_a_placeholder(findings: StoredFindings) -> None:
    shown = one(findings, "AUT-2", "no user is refused with another status").shown
    assert '"credential":"{{users.' in shown["request"]["body"]
    assert shown["sender"] == "nobody"
    text = findings.content().decode()
    assert not [password for password in PASSWORDS.values() if password in text]
    altered = one(findings, "AUT-2", "the password in upper case is not refused").shown
    assert "***" in altered["request"]["body"]
    assert any("stands for a secret that is not known here" in note for note in altered["notes"])


def test_placeholders_are_filled_as_json() -> None:
    profile = profile_reader.load(PROFILE)
    assert filled('{"a":"{{users.owner.secret}}"}', profile) == f'{{"a":"{PASSWORDS["owner"]}"}}'
    assert filled('{"a":"{{users.nobody.secret}}"}', profile) == '{"a":"{{users.nobody.secret}}"}'


def test_a_finding_is_found_by_the_beginning_of_its_id(findings: StoredFindings) -> None:
    name = one(findings, "AUT-2", "no user is refused with another status").id
    assert findings.find(name) == findings.find(name[:-1]) == name
    with pytest.raises(UsageError, match="findings begin so"):
        findings.find("AUT-2")
    with pytest.raises(UsageError, match="no such finding"):
        findings.find("XXX-9")


def report_of(rerun: str, *, embedded: bool = False, url: str = "http://127.0.0.1:9/api/") -> dict[str, Any]:
    return {"rerun": rerun, "target": {"url": url, "environment": None, "embedded": embedded}}


def test_the_target_and_the_profile_are_those_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reports" / "runs" / "one"
    folder.mkdir(parents=True)
    (tmp_path / "mine.toml").write_text("", "utf-8")
    monkeypatch.chdir(folder)
    asked = "conform check --profile mine.toml --seed 7"
    assert options_of(Stored(folder, report_of(asked))) == (None, tmp_path / "mine.toml")
    assert options_of(Stored(folder, report_of("conform check --seed 7", embedded=True))) == (None, None)
    bare = report_of("conform check --target http://127.0.0.1:9/api/")
    assert options_of(Stored(folder, bare)) == ("http://127.0.0.1:9/api/", None)
    with pytest.raises(UsageError, match="which is not here"):
        options_of(Stored(folder, report_of("conform check --profile other.toml")))
    with pytest.raises(UsageError, match="name it with --target"):
        options_of(Stored(folder, report_of("conform check --target 'http://a:***@b/api/'")))


def test_a_session_of_nobody_in_the_profile_is_said(run: Path) -> None:
    profile = replace(profile_reader.load(PROFILE), users={})
    blank = one(StoredFindings(read_run(run), profile), "ENV-5", "errMsg is blank").shown
    assert blank["sender"] == "unknown"
    assert any("who is not in this profile: choose who sends the call" in note for note in blank["notes"])


def test_a_finding_is_sent_again_and_judged(explore: Explore, findings: StoredFindings) -> None:
    finding = one(findings, "AUT-2", "no user is refused with another status")
    answer = explore.ask("call", sent(finding)).json
    assert answer["finding"]["holds"] is False
    assert answer["finding"]["rule"] == "AUT-2"
    assert "422" in answer["finding"]["actual"]
    # The password was filled in, and does not come back.
    assert "{{" not in answer["request"]["body"]
    assert not [password for password in PASSWORDS.values() if password in json.dumps(answer)]
    changed = explore.ask(
        "call", sent(finding, body='{"method":"login","data":{"identity":"a@b.example","credential":"x"}}')
    )
    assert changed.json["finding"]["holds"] is True


def test_a_rule_of_one_answer_is_judged_by_it(explore: Explore, findings: StoredFindings) -> None:
    finding = one(findings, "ENV-5", "errMsg is blank")
    session = explore.ask("login", {"user": finding.shown["user"]}).json["session"]["id"]
    answer = explore.ask("call", sent(finding, session=session)).json
    assert answer["finding"]["holds"] is False
    assert {each["id"] for each in answer["verdicts"] if each["verdict"] == "fail"} == {"ENV-5"}
    case = explore.ask("case", {"id": answer["id"], "finding": finding.id}).json["case"]
    assert (case["rule"], case["steps"][0]["as"]) == ("ENV-5", finding.shown["user"])


def test_a_changed_call_is_saved_as_a_case_that_replays(
    explore: Explore, service: str, findings: StoredFindings, tmp_path: Path
) -> None:
    finding = one(findings, "AUT-2", "an empty login is refused with another status")
    answer = explore.ask("call", sent(finding, body='{"method":"login","data":{"identity":7}}')).json
    file = explore.ask("case", {"id": answer["id"], "finding": finding.id}).json
    path = tmp_path / file["name"]
    path.write_text(json.dumps(file["case"]), "utf-8")
    case: Case = load(path)
    assert case.rule == "AUT-2"
    assert set(case.steps[0].expect.status) == set(finding.case.steps[0].expect.status)
    status, out, err = ran("replay", path, "--target", service, "--profile", PROFILE, cwd=ROOT)
    assert (status, "still differs" in out) == (1, True), err


def test_the_whole_case_is_played(explore: Explore, findings: StoredFindings) -> None:
    finding = one(findings, "AUT-2", "the password in upper case is not refused")
    played = explore.ask("play", {"finding": finding.id}).json
    assert played["how"] == "still differs"
    assert any("expected" in line for line in played["lines"])
    assert not [password for password in PASSWORDS.values() if password.upper() in json.dumps(played)]
    assert explore.ask("recorded", {"finding": finding.id}).json["case"]["rule"] == "AUT-2"


def test_what_is_not_there_is_refused(explore: Explore, findings: StoredFindings) -> None:
    finding = one(findings, "ENV-5", "errMsg is blank")
    assert explore.ask("call", {**sent(finding), "finding": "ENV-5-00000000"}).status == 400
    assert explore.ask("play", {"finding": "ENV-5-00000000"}).status == 400
    assert explore.request("GET", f"{explore.path}findings.json").json["findings"]


def test_without_a_run_there_are_no_findings(service: str) -> None:
    with exploring("--target", service, "--profile", str(PROFILE)) as running:
        assert running.request("GET", f"{running.path}findings.json").status == 404
        assert "#" not in running.url


def test_mistakes_are_said_in_a_line(run: Path, tmp_path: Path) -> None:
    status, _, err = ran_here("explore", "--finding", "ENV-5-00000000", cwd=tmp_path)
    assert (status, "--finding ID needs the run that has it" in err) == (2, True)
    status, _, err = ran_here("explore", tmp_path, cwd=tmp_path)
    assert (status, "there is no run here" in err) == (2, True)
    status, _, err = ran_here("explore", run, "--profile", PROFILE, "--finding", "XXX-9", cwd=tmp_path)
    assert (status, "the run has no such finding" in err) == (2, True)
    assert "Traceback" not in err
