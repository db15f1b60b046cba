"""Replaying cases: by the command, on any instance; in a check, before anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.cases.format import Case, Expect, Step, save
from conformance.engine.harness import Harness, Request, duration
from conformance.rulebook import RULES
from reports.model.event_log import read_events
from tests.support.case_files import BAD, OBJECT, a_case, invalid_data, opened
from tests.support.events import record_of
from tests.support.judging import ROOT, foreign, serving_here
from tests.support.recording import PROFILE, ran, ran_bare_pytest, ran_here, recording, report_in

LESSON = {"$object": {"kind": "lesson", "of": "owner", "name": "lesson1"}}
BLANK = "envelope.blank-message"


@pytest.fixture(scope="module")
def clean() -> Iterator[str]:
    with serving_here() as (url, _):
        yield url


def written(folder: Path, *cases: Case) -> Path:
    """Save cases as 0.json, 1.json … in a folder."""
    for number, case in enumerate(cases):
        save(folder / f"{number}.json", case.to_json())
    return folder


def replayed(url: str, *files: Path | str, cwd: Path) -> tuple[int, str, str]:
    return ran_here("replay", "--target", url, "--profile", PROFILE, *files, cwd=cwd)


def ends(out: str) -> dict[str, str]:
    """Return how each case ended, by its file's name, and why."""
    last = out.rstrip("\n").rsplit("\n\n", 1)[-1]
    found = {}
    for line in last.splitlines():
        match = re.fullmatch(r"(as expected now|still differs|cannot be \w+) +([^ :]+\.json)(: .*)?", line)
        assert match is not None, line
        found[match[2]] = match[1] + (match[3] or "")
    return found


#: What the owner has no right to.
REFUSED = a_case(
    Step(user="owner", function="sys.stats", data={}, expect=Expect(rule="ENV-5")),
    rule="ENV-5",
    function="sys.stats",
)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (BLANK, "ENV-5"),
        ("access.others-course-readable", "ACC-2"),
        ("request.truncated", "REQ-4"),
        ("authentication.token-in-any-case", "AUT-5"),
        ("authentication.password-prefix", "AUT-2"),
        ("authentication.public-needs-session", "AUT-6"),
    ],
)
def test_what_a_check_finds_differs_there_and_not_elsewhere(
    fault: str, rule: str, clean: str, tmp_path: Path
) -> None:
    with serving_here(fault) as (url, _):
        # Of a rule that every exchange is judged by, its area alone: the whole suite is not needed here.
        select = ("--area", "ENV") if rule == "ENV-5" else ("--rule", rule)
        status, _, err = ran(
            "check", "--target", url, "--profile", PROFILE, *select,
            "--budget", "quick", "--for", "1s", "--seed", "3", "--out", "o", cwd=tmp_path,
        )  # fmt: skip
        assert status == 1, err
        files = sorted((tmp_path / "o" / "cases").glob(f"{rule}-*.json"))
        assert files
        status, out, err = replayed(url, *files, cwd=tmp_path)
        assert (status, err) == (1, ""), out
        # A finding that several calls show together is in no single answer.
        there = [end.partition(":")[0] for end in ends(out).values()]
        assert there.count("still differs") > 0
        assert "as expected now" not in there
        assert "differs   " in out
    status, out, err = replayed(clean, tmp_path / "o" / "cases", cwd=tmp_path)
    assert (status, err) == (0, ""), out
    here = [end.partition(":")[0] for end in ends(out).values()]
    assert here.count("as expected now") == there.count("still differs")
    assert "still differs" not in here
    assert "came      status" in out


def test_each_step_is_reported(clean: str, tmp_path: Path) -> None:
    steps = (
        Step(user="peer", function="course.read", data={"courseId": OBJECT}, saw={"status": 200}),
        Step(function="course.find", page_length=2, expect=Expect(status=(200, 401))),
        Step(user="owner", function="course.find", body='{"method":"find",}', expect=Expect(status=(400,))),
    )
    folder = written(tmp_path / "cases", a_case(*steps))
    status, out, _ = replayed(clean, folder / "0.json", cwd=tmp_path)
    assert status == 0
    assert out.splitlines()[:2] == [
        f"0.json  REQ-8 must  {RULES['REQ-8'].title}",
        '  1  peer: course.read {"courseId": <course1 of owner>}',
    ]
    assert "     came      status 404" in out
    assert "     changed   status 200 then, 404 now" in out
    assert "  2  nobody: course.find, pageLength 2" in out
    assert "     expected  status 200 or 401" in out
    assert '  3  owner: course with {"method":"find",} as its body' in out
    status, quiet, _ = replayed(clean, folder / "0.json", "--quiet", cwd=tmp_path)
    assert (status, quiet) == (0, "as expected now  0.json\n")


#: A course from its making to its end, in three sessions, some of it at the same time.
STORY = (
    Step(
        user="owner",
        opens=2,
        function="auth.login",
        data={"identity": {"$user": "owner"}, "credential": {"$secret": "users.owner.secret"}},
        expect=Expect(status=(200,)),
    ),
    Step(
        user="owner",
        session=2,
        function="course.add",
        data={"title": "Story"},
        gives="course1",
        expect=Expect(status=(200,), equals={"/title": "Story", "/courseId": OBJECT}),
    ),
    *(
        Step(
            user=user,
            session=session,
            function="course.read",
            data={"courseId": OBJECT},
            together=1,
            expect=Expect(status=(status,)),
        )
        for user, session, status in (("owner", 0, 200), ("owner", 1, 200), ("peer", 0, 404), ("peer", 1, 404))
    ),
    Step(user="owner", function="course.find", data={}, expect=Expect(has=(OBJECT,))),
    Step(user="owner", session=2, function="auth.logout", expect=Expect(status=(200,))),
    Step(user="owner", session=2, function="course.read", data={"courseId": OBJECT}, expect=Expect(status=(401,))),
    Step(user="owner", session=1, function="course.remove", data={"courseId": OBJECT}, expect=Expect(status=(200,))),
    Step(user="owner", function="course.read", data={"courseId": OBJECT}, expect=Expect(status=(400, 403, 404))),
    Step(user="owner", function="course.find", data={}, expect=Expect(lacks=(OBJECT,))),
)  # fmt: skip


def test_a_story_of_many_calls(clean: str, tmp_path: Path) -> None:
    folder = written(
        tmp_path / "cases", a_case(*STORY, rule="STA-6", users={"owner": ("user",), "peer": ("user",)})
    )
    assert replayed(clean, folder, cwd=tmp_path)[0] == 0
    for fault, reported in (
        ("authentication.logout-does-nothing", "step 9: status 200"),
        ("access.others-course-readable", "step 5: status 200"),
    ):
        with serving_here(fault) as (url, _):
            status, out, _ = replayed(url, folder, cwd=tmp_path)
        assert status == 1
        assert ends(out)["0.json"] == f"still differs: {reported}"


@pytest.mark.parametrize(
    ("expect", "holds"),
    [
        (Expect(equals={"/title": "T", "/courseId": OBJECT}), True),
        (Expect(equals={"/title": "t"}), False),
        (Expect(equals={"/none": None}), False),
        (Expect(equals={"/isPrivate": 0}), False),
        (Expect(status=(404,)), False),
        (Expect(rule="ENV-6"), True),
        (Expect(rule="ENV-5"), True),
        (Expect(status=(200,), rule="ENV-6", equals={"/title": "t"}), False),
    ],
)
def test_whether_an_answer_is_as_expected(expect: Expect, holds: bool, clean: str) -> None:
    from conformance.engine.case_player import CasePlayer

    run = opened(clean)
    made = Step(user="owner", function="course.add", data={"title": "T"}, gives="course1")
    read = Step(user="owner", function="course.read", data={"courseId": OBJECT}, expect=expect)
    first, second = CasePlayer(run, a_case(made, read)).play()
    run.finish()
    assert (first.holds, second.holds) == (None, holds)
    assert second.expected
    assert second.actual


def test_what_a_replay_made_it_removes(clean: str, tmp_path: Path) -> None:
    deleted = {"$object": {"kind": "lesson", "of": "peer", "name": "lesson2", "state": "deleted"}}
    reading = [
        Step(user="owner", function="lesson.read", data={"lessonId": each}, expect=Expect(status=(200, 404)))
        for each in (LESSON, deleted)
    ]
    folder = written(tmp_path / "cases", a_case(*reading), a_case(*STORY))
    before = opened(clean)
    counted = before.resources.rows(
        before.catalog.methods["course.find"],
        before.caller.call("course.find", {}, user="owner", token=before.sessions.of("owner").token),
    )
    with recording(clean) as between:
        assert replayed(between.url, folder, cwd=tmp_path)[0] == 0
        assert {"lesson.add", "lesson.remove", "course.remove", "auth.logout"} <= between.functions
        sessions = between.sessions
    after = before.resources.rows(
        before.catalog.methods["course.find"],
        before.caller.call("course.find", {}, user="owner", token=before.sessions.of("owner").token),
    )
    assert after == counted
    assert len(sessions) >= 5
    for token in sessions:
        assert before.caller.call("auth.status", {}, user="owner", token=token).status == 401
    before.finish()


MISTAKES = [*BAD[:3], BAD[5], BAD[8], BAD[12], BAD[-3]]


@pytest.mark.parametrize(("text", "reported"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_bad_file_is_one_line_and_status_2(text: str, reported: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "cases", REFUSED)
    (folder / "bad.json").write_text(text, "utf-8")
    for arguments in (
        ("replay", "--target", "http://127.0.0.1:9/api/", "cases/0.json", "cases/bad.json"),
        ("replay", "--target", "http://127.0.0.1:9/api/", "cases"),
        ("check", "--target", "http://127.0.0.1:9/api/", "--cases", "cases", "--out", "o"),
    ):
        status, out, err = ran_here(*arguments, cwd=tmp_path)
        assert (status, out) == (2, ""), err
        assert re.fullmatch(rf"conform {arguments[0]}: .*bad\.json: .*\n", err), err
        assert reported in err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("replay",), "FILE"),
        (("replay", "none.json"), "none.json: No such file"),
        (("replay", "cases/0.json", "--profile", "none.toml"), "none.toml"),
        (("check", "--cases", "none"), "none: there is no such folder"),
        (("check", "--cases", "empty"), "empty: there are no case files"),
        (("check", "--cases", "o/cases", "--out", "o"), "--cases o/cases"),
        (("check", "--cases", ""), "--cases"),
        (("check", "--for", "0s"), "--for"),
        (("check", "--for", "10"), "--for"),
        (("check", "--for", "-5s"), "--for"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: tuple[str, ...], reported: str, tmp_path: Path
) -> None:
    written(tmp_path / "cases", REFUSED)
    (tmp_path / "empty").mkdir()
    written(tmp_path / "o" / "cases", REFUSED)
    status, out, err = ran_here(*arguments, cwd=tmp_path)
    assert (status, out) == (2, "")
    assert reported in err
    assert len(err.splitlines()) == 1
    assert (tmp_path / "o" / "cases" / "0.json").exists()


def test_a_target_that_is_not_there_is_reported(tmp_path: Path) -> None:
    folder = written(tmp_path / "cases", REFUSED)
    status, out, err = replayed("http://127.0.0.1:9/api/", folder, cwd=tmp_path)
    assert status == 3
    assert err == "conform replay: the target does not answer: http://127.0.0.1:9/api/\n"
    assert "as expected" not in out


def test_what_cannot_be_played_says_why(clean: str, tmp_path: Path) -> None:
    stranger = Step(user="stranger", function="course.find", expect=Expect(status=(200,)))
    unmade = {"$object": {"kind": "spaceship", "of": "owner", "name": "s"}}
    vain = Step(user="owner", function="course.read", data={"courseId": unmade}, expect=Expect(status=(404,)))
    silent = Step(user="owner", function="course.find", data={}, saw={"status": 200})
    folder = written(
        tmp_path / "cases",
        a_case(stranger, users={"stranger": ("pirate",)}),
        a_case(vain),
        a_case(silent, rule="DAT-5", function="course.find", expected="the text that was sent"),
        a_case(silent, rule="PAG-1", function="course.find"),
    )
    status, out, err = replayed(clean, folder, cwd=tmp_path)
    assert (status, err) == (3, "")
    reported = ends(out)
    assert reported["0.json"].startswith("cannot be played: the profile has no user 'stranger'")
    assert reported["1.json"].startswith("cannot be played: there is no spaceship")
    assert (
        reported["2.json"] == "cannot be judged: a person has to compare; the answers are as they were then"
    )
    assert "  expected  the text that was sent" in out
    assert re.search(r"  judge it  conform check --target \S+ --profile \S+ --seed \d+ --rule PAG-1\n", out)
    # One that can be judged decides.
    written(folder, REFUSED)
    assert replayed(clean, folder, cwd=tmp_path)[0] == 0


def test_a_user_of_another_name_stands_in_by_roles(clean: str, tmp_path: Path) -> None:
    step = Step(user="boss", function="sys.stats", data={}, expect=Expect(status=(200,)))
    folder = written(tmp_path / "cases", a_case(step, users={"boss": ("admin", "user")}))
    assert replayed(clean, folder, cwd=tmp_path)[0] == 0


def test_nothing_is_written_where_nothing_may_be(clean: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "cases", a_case(*STORY), REFUSED)
    with recording(clean) as between:
        status, out, _ = replayed(between.url, folder, "--read-only", cwd=tmp_path)
        assert status == 0
        assert between.functions <= {"auth.login", "auth.logout", "auth.status", "sys.stats"}
    assert ends(out) == {"0.json": "cannot be played: left out by --read-only", "1.json": "as expected now"}


def test_another_domain_plays_what_it_has(tmp_path: Path) -> None:
    """No case needs the reference service: another server, with kinds and users of its own."""
    with foreign("library") as reported:
        run = opened_at(reported)
        kind = next(kind for kind in run.catalog.kinds if run.catalog.create(kind) and run.catalog.read(kind))
        read = run.catalog.read(kind)
        assert read is not None
        assert read.object is not None
        user = run.resources.callers(read)[0]
        run.finish()
        resource = {"$object": {"kind": kind, "of": user, "name": "it", "with": {"no": "such member"}}}
        step = Step(
            user=user, function=read.name, data={read.object.id: resource}, expect=Expect(status=(200,))
        )
        folder = written(tmp_path / "cases", a_case(step, users={user: ()}))
        status, out, err = ran_here(
            "replay", "--target", reported["url"], "--profile", reported["profile"], folder, cwd=tmp_path
        )
    assert (status, err) == (0, ""), out


def opened_at(reported: dict[str, str]) -> Any:
    from conformance.engine.conclusion import Options
    from conformance.engine.runner import Run

    harness = Harness.prepare(Request(target=reported["url"], profile=Path(reported["profile"]), seed=1))
    return Run(harness.profile, harness.catalog, Options(deadline=60.0), lambda event: None, confirm=False)


# --- in a check ---


def events_in(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    records = (record_of(event) for event in read_events(folder / "events.jsonl"))
    return [record for record in records if record["event"] in kinds]


def test_a_check_looks_for_what_was_found_before_first(tmp_path: Path) -> None:
    by_status = a_case(
        Step(
            user="peer",
            function="course.read",
            data={"courseId": OBJECT},
            expect=Expect(status=(403, 404)),
        ),
        rule="ACC-2",
        function="course.read",
        kind="known",
        message="the old leak",
    )
    folder = written(tmp_path / "corpus", by_status, REFUSED)
    with serving_here("access.others-course-readable", BLANK) as (url, _):
        status, _, err = ran(
            "check", "--target", url, "--profile", PROFILE, "--rule", "ACC-2", "--rule", "ENV-5",
            "--cases", "corpus", "--budget", "quick", "--for", "1s", "--seed", "3", "--out", "o", cwd=tmp_path,
        )  # fmt: skip
    assert status == 1, err
    tests = [event["test"] for event in events_in(tmp_path / "o", "exchange")]
    played = [test for test in dict.fromkeys(tests) if test not in ("set-up", "clean-up")]
    assert played[:2] == ["test_cases.test_a_case[0]", "test_cases.test_a_case[1]"]
    assert not any(test.startswith("test_cases") for test in played[2:])
    first = events_in(tmp_path / "o", "finding")[0]
    assert (first["rule"], first["function"], first["kind"]) == ("ACC-2", "course.read", "known")
    assert first["message"] == "the old leak"
    report = report_in(tmp_path / "o")
    found = {rule["id"]: rule["findings"] for rule in report["rules"] if rule["findings"]}
    assert {"ACC-2", "ENV-5"} <= set(found)
    old = next(finding for finding in found["ACC-2"] if finding["kind"] == "known")
    assert old["reproduced"] == "3/3"
    assert (tmp_path / "o" / old["case"]).is_file()
    assert "--cases corpus" in report["rerun"]
    assert events_in(tmp_path / "o", "run")[0]["cases"] == len(list(folder.iterdir())) == 2


def test_cases_follow_the_selection_and_the_environment(clean: str, tmp_path: Path) -> None:
    written(tmp_path / "corpus", a_case(*STORY, rule="REQ-8"), REFUSED)
    common = (
        "check", "--target", clean, "--profile", PROFILE, "--cases", "corpus", "--out", "o",
        "--budget", "quick", "--for", "1s",
    )  # fmt: skip
    assert ran(*common, "--rule", "NAM-2", cwd=tmp_path)[0] == 0
    assert not any("test_cases" in event["test"] for event in events_in(tmp_path / "o", "exchange"))
    with recording(clean) as between:
        status, _, err = ran(*common, "--target", between.url, "--rule", "REQ-8", "--read-only", cwd=tmp_path)
        assert "course.remove" not in between.functions
    assert status == 0, err
    left = [event for event in events_in(tmp_path / "o", "not judged") if event["rule"] == "REQ-8"]
    assert "left out by --read-only" in {event["reason"] for event in left}


def test_a_case_that_cannot_be_judged_is_reported_as_that(clean: str, tmp_path: Path) -> None:
    stranger = Step(user="stranger", function="course.find", expect=Expect(status=(200,)))
    silent = Step(user="owner", function="course.find", data={})
    written(tmp_path / "corpus", a_case(stranger, rule="PAG-4"), a_case(silent, rule="PAG-4"))
    status, _, err = ran(
        "check", "--target", clean, "--profile", PROFILE, "--cases", "corpus", "--rule", "PAG-4",
        "--budget", "quick", "--for", "1s", "--out", "o", cwd=tmp_path,
    )  # fmt: skip
    assert status in (0, 3), err
    reasons = [
        event["reason"] for event in events_in(tmp_path / "o", "not judged") if event["rule"] == "PAG-4"
    ]
    assert any(
        reason.startswith("the case 0.json cannot be played: the profile has no user") for reason in reasons
    )
    assert any(reason.startswith("the case 1.json does not say what is expected") for reason in reasons)


def test_the_clean_service_passes_its_corpus(clean: str, tmp_path: Path) -> None:
    written(tmp_path / "corpus", a_case(*STORY, rule="STA-3"), REFUSED)
    status, out, err = ran(
        "check", "--target", clean, "--profile", PROFILE, "--cases", "corpus", "--rule", "STA-3",
        "--budget", "quick", "--out", "o", cwd=tmp_path,
    )  # fmt: skip
    assert status == 0, out + err
    assert any("test_cases" in event["test"] for event in events_in(tmp_path / "o", "exchange"))
    assert not (tmp_path / "o" / "cases").exists()


def test_bare_pytest_takes_the_same_options(tmp_path: Path) -> None:
    written(tmp_path / "corpus", REFUSED)
    with serving_here(BLANK) as (url, _):
        status, out, err = ran_bare_pytest(
            ROOT / "conformance", "--target", url, "--profile", PROFILE, "--out", "o", "--budget", "quick",
            "--seed", "3", "--cases", "corpus", "--for", "2s", "--rule", "ENV-5",
            "-k", "test_a_case or test_every_exchange", cwd=tmp_path,
        )  # fmt: skip
    assert status == 1, out + err
    report = report_in(tmp_path / "o")
    (finding,) = (f for rule in report["rules"] for f in rule["findings"] if f["function"] == "sys.stats")
    assert (tmp_path / "o" / finding["case"]).is_file()
    assert f"  case       {finding['case']}" in out
    assert report["rerun"].count("--for 2s --cases corpus") == 1


def test_a_plan_plays_them_without_sending(tmp_path: Path) -> None:
    written(tmp_path / "corpus", a_case(*STORY, rule="STA-3"))
    status, out, err = ran("check", "--plan", "--cases", "corpus", "--rule", "STA-3", cwd=tmp_path)
    assert status == 0, err
    assert "course.remove" in out


# --- how long ---


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("10m", 600.0), ("2h", 7200.0), ("0.5s", 0.5), ("1.5h", 5400.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds
    shown = Harness.prepare(Request(target="http://127.0.0.1:9/", generate_for=seconds, seed=1)).command()
    assert duration(shown.split()[shown.split().index("--for") + 1]) == seconds


def test_the_time_for_generated_payloads_reaches_the_run(clean: str, tmp_path: Path) -> None:
    status, _, err = ran(
        "check", "--target", clean, "--profile", PROFILE, "--rule", "NAM-2", "--for", "90s", "--out", "o",
        cwd=tmp_path,
    )  # fmt: skip
    assert status == 0, err
    assert events_in(tmp_path / "o", "run")[0]["for"] == 90.0
    assert "--for 90s" in report_in(tmp_path / "o")["rerun"]


def test_a_case_file_reads_well() -> None:
    """The format is for people, too: what is as usual stands nowhere."""
    assert json.loads(invalid_data())["steps"] == [{"as": None, "function": "sys.ping"}]
