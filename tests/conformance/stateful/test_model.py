"""The model that watches the state: it finds what only sequences of calls show, and nothing where nothing is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.engine import budgets
from conformance.protocol.client import compact
from conformance.protocol.exchange import Exchange, Request, Response
from conformance.protocol.profile import Profile
from conformance.stateful.case_export import case_of
from conformance.stateful.entities import Disagreement, Entity, Knowledge
from conformance.stateful.model import Model
from conformance.stateful.script import Ref, Step, StepResult, numbered, put_in, render
from conformance.suites import test_sequences
from fixtures.faults import FAULTS
from fixtures.faults.registry import Fault
from fixtures.service.service import Service
from tests.support.judging import broken, foreign, judge, profile_of, serving_here, verdicts
from tests.support.model_faults import DEFECTS, Violation

RULE = "STA-6"
ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the requests decide how much is sent, however slow the machine is: the same seed finds the same."""
    unhurried = budgets.ByBudget(600.0, 600.0, 600.0)
    monkeypatch.setattr(budgets, "PAYLOAD_SECONDS", unhurried)
    monkeypatch.setattr(budgets, "SHRINKING_SECONDS", unhurried)


def put_on_list(monkeypatch: pytest.MonkeyPatch, name: str, violation: Violation) -> str:
    monkeypatch.setitem(FAULTS, name, Fault(name, (RULE,), f"{name}.", True, violation))
    return name


def judged(folder: Path, *faults: str, **options: Any) -> dict[str, Any]:
    with serving_here(*faults) as (url, catalogue):
        return judge(profile=profile_of(catalogue, folder), target=url, rules=[RULE], **options)


def findings(report: dict[str, Any]) -> list[dict[str, Any]]:
    return next(rule["findings"] for rule in report["rules"] if rule["id"] == RULE)


# --- nothing where nothing is wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "budget"),
    [(3, "quick"), *(pytest.param(seed, "standard", marks=pytest.mark.thorough) for seed in (1, 2))],
)
def test_the_clean_service_agrees(seed: int, budget: str, tmp_path: Path) -> None:
    report = judged(tmp_path, seed=seed, budget=budget)
    assert broken(report) == {}
    if budget == "quick":
        assert 300 < report["requests"] < 1_200
    assert verdicts(report)[RULE] == "pass"
    assert not report["errors"]
    # Nothing stays but what cannot be deleted.
    assert {each["kind"] for each in report["leftovers"]} <= {"message", "payment"}


@pytest.mark.parametrize("module", ["library", "tickets"])
@pytest.mark.parametrize("budget", ["quick", pytest.param("standard", marks=pytest.mark.thorough)])
def test_servers_of_other_domains_agree(module: str, budget: str) -> None:
    with foreign(module) as server:
        report = judge(
            profile=Path(server["profile"]), target=server["url"], rules=[RULE], seed=1, budget=budget
        )
    assert broken(report) == {}
    assert verdicts(report)[RULE] == "pass"
    assert {each["kind"] for each in report["leftovers"]} <= {"ticket"}


def test_a_target_that_is_not_written_to_is_looked_at(tmp_path: Path) -> None:
    report = judged(tmp_path, seed=3, budget="quick", read_only=True)
    assert verdicts(report)[RULE] == "pass"
    assert report["requests"] > 50
    assert report["leftovers"] == []


def test_a_reset_in_the_middle_is_no_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def violation(service: Service) -> Service:
        calls = 0

        async def run(inner: Any, call: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 150:
                service.resync()
            return await inner(call)

        service.wrap("run", run)
        return service

    report = judged(tmp_path, put_on_list(monkeypatch, "state.reset", violation), seed=2, budget="quick")
    assert report["resets"] == 1
    assert broken(report) == {}
    assert verdicts(report)[RULE] == "pass"


def test_the_same_seed_sends_the_same(tmp_path: Path) -> None:
    one, other = (judged(tmp_path, seed=11, budget="quick") for _ in range(2))
    assert one["requests"] == other["requests"]


# --- what only sequences show -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if number % 3 else [])
        for number, name in enumerate(DEFECTS)
    ],
)
def test_a_defect_of_sequences_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed misses one defect in fifty, so that a second one is tried before it counts as missed."""
    monkeypatch.setattr(test_sequences, "MAX_FINDINGS", 1)
    put_on_list(monkeypatch, name, DEFECTS[name])
    found: list[dict[str, Any]] = []
    for seed in (3, 4):
        report = judged(tmp_path, name, seed=seed, until_found=True)
        assert not report["errors"], report["errors"]
        found = findings(report)
        if found:
            break
    assert len(found) == 1


@pytest.mark.parametrize("name", ["change-cached", "destroy-takes-another", "third-change-lost"])
def test_a_defect_of_the_library_is_found(name: str) -> None:
    with foreign("library", "--defect", name) as server:
        report = judge(profile=Path(server["profile"]), target=server["url"], rules=[RULE], until_found=True)
    assert len(findings(report)) == 1
    assert findings(report)[0]["function"].partition(".")[0] in ("book", "shelf")


@pytest.mark.parametrize(
    ("name", "function", "kind"),
    [
        ("second-update-lost", "course.update", "an update is lost"),
        *(
            # That they are found, the defects above say; how a script is made short is the same for all.
            pytest.param(*each, marks=pytest.mark.thorough)
            for each in (
                ("delete-breaks-pages", "course.find", "pages laid end to end are not the list"),
                ("refused-update-applied", "course.update", "a refused call had an effect"),
                (
                    "deleted-served-from-cache",
                    "invitation.read",
                    "an object that was deleted can still be read",
                ),
            )
        ),
    ],
)
def test_a_finding_is_a_short_script(
    name: str, function: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_list(monkeypatch, name, DEFECTS[name])
    report = judged(tmp_path, name, seed=5)
    assert [(each["function"], each["kind"]) for each in findings(report)] == [(function, kind)]
    finding = findings(report)[0]
    assert finding["reproduced"] == "3/3"
    script = finding["actual"].partition(", after: ")[2].split("; ")
    assert 2 <= len(script) <= 10
    # It speaks of objects by name, and of no secret.
    assert re.search(r"→ \w+", script[0])
    assert "Correct-Horse" not in finding["actual"]


# --- the model by itself ------------------------------------------------------------------------------------


def answer(step: Step, status: int, data: Any, sent: Any = None) -> StepResult:
    body = compact({"isError": status != 200, "errMsg": None if status == 200 else "no", "data": data})
    request = Request("POST", "http://127.0.0.1/api/course", (), b"{}")
    sent = step.data if sent is None else sent
    return StepResult(step, sent, Exchange(request, Response(status, (), body)), step.page)


@pytest.fixture
def model() -> Model:
    catalog = Catalog.load(
        Path(__file__).parent.parent.parent.parent / "fixtures" / "service" / "coursio.openrpc.json"
    )
    made = Model(catalog, Profile.empty("http://127.0.0.1/api/"), Knowledge())
    made.sessions = {"owner": "open", "owner/2": "open", "peer": "open"}
    return made


def made(model: Model, name: str = "course1", number: int = 7, **data: Any) -> Entity:
    sent = {"title": "a", **data}
    step = Step("owner", "create", "course.add", sent, name, "course")
    assert model.take([answer(step, 200, {"courseId": number, **sent})]) is None
    return model.entities[name]


def read(name: str = "course1", session: str = "owner") -> Step:
    return Step(session, "read", "course.read", {"courseId": Ref(name)}, name, "course")


def test_a_read_must_show_what_was_given(model: Model) -> None:
    made(model)
    found = model.take([answer(read(), 200, {"courseId": 7, "title": "b"})])
    assert found is not None
    assert (found.check, found.member, found.actual) == ("unlike", "title", 'title: "b"')
    assert model.take([answer(read(), 200, {"courseId": 7, "title": "b"})]) is None


def test_what_is_shown_stays_until_it_is_changed(model: Model) -> None:
    made(model)
    assert model.take([answer(read(), 200, {"title": "a", "level": "beginner", "revision": 1})]) is None
    found = model.take([answer(read(), 200, {"title": "a", "level": "advanced", "revision": 2})])
    assert found is not None
    assert (found.check, found.member) == ("moved", "level")


def test_what_refers_to_an_object_may_move_its_numbers_but_not_its_texts(model: Model) -> None:
    made(model)
    assert model.take([answer(read(), 200, {"title": "a", "lessons": 0})]) is None
    child = Step("owner", "create", "lesson.add", {"courseId": Ref("course1"), "title": "x"}, "l", "lesson")
    assert (
        model.take([answer(child, 200, {"lesson": {"lessonId": "1"}}, {"courseId": 7, "title": "x"})]) is None
    )
    assert model.take([answer(read(), 200, {"title": "a", "lessons": 1})]) is None
    assert (
        model.take([answer(child, 200, {"lesson": {"lessonId": "2"}}, {"courseId": 7, "title": "x"})]) is None
    )
    found = model.take([answer(read(), 200, {"title": "b", "lessons": 2})])
    assert found is not None
    assert found.member == "title"


def test_what_was_under_a_deleted_object_may_be_gone_and_stays_so(model: Model) -> None:
    made(model)
    child = Step("owner", "create", "lesson.add", {"courseId": Ref("course1"), "title": "x"}, "l", "lesson")
    model.take([answer(child, 200, {"lesson": {"lessonId": "1"}}, {"courseId": 7, "title": "x"})])
    remove = Step("owner", "delete", "course.remove", {"courseId": Ref("course1")}, "course1", "course")
    assert model.take([answer(remove, 200, {})]) is None
    look = Step("owner", "read", "lesson.read", {"lessonId": Ref("l")}, "l", "lesson")
    shown = {"lesson": {"lessonId": "1", "title": "x"}}
    assert model.take([answer(look, 404, None)]) is None
    found = model.take([answer(look, 200, shown)])
    assert found is not None
    assert found.check == "dead read"


def test_a_refused_change_is_none(model: Model) -> None:
    made(model)
    data = {"courseId": Ref("course1"), "title": "b", "seats": "no"}
    step = Step("owner", "update", "course.update", data, "course1", "course", valid=False)
    assert model.take([answer(step, 400, None)]) is None
    assert model.take([answer(read(), 200, {"title": "a"})]) is None


def test_of_two_changes_at_the_same_time_either_may_be_the_last(model: Model) -> None:
    made(model)
    steps = [
        Step(
            "owner",
            "update",
            "course.update",
            {"courseId": 7, "title": title},
            "course1",
            "course",
            at_once=1,
        )
        for title in ("b", "c")
    ]
    for last in ("b", "c"):
        assert model.take([answer(step, 200, {}) for step in steps]) is None
        assert model.take([answer(read(), 200, {"title": last})]) is None
    model.take([answer(step, 200, {}) for step in steps])
    assert model.take([answer(read(), 200, {"title": "a"})]) is not None


def test_sessions_that_were_ended_are_refused_and_others_are_not(model: Model) -> None:
    made(model)
    assert model.take([answer(Step("owner/2", "logout", "auth.logout"), 200, {})]) is None
    # Whether a logout ends the others of the user is for other rules to say.
    assert model.take([answer(read(), 401, None)]) is None
    found = model.take([answer(read(session="owner/2"), 200, {"title": "a"})])
    assert found is not None
    assert found.check == "session dead"
    strange = model.take([answer(read(session="peer"), 401, None)])
    assert strange is not None
    assert strange.check == "session refused"


def test_a_list_has_each_object_once(model: Model) -> None:
    made(model)
    made(model, "course2", 8)
    step = Step("owner", "list", "course.find", {}, None, "course")
    rows = [{"courseId": 7, "title": "a"}, {"courseId": 8, "title": "a"}, {"courseId": 3, "title": "z"}]

    def check(shown: list[dict[str, Any]], page: tuple[int, int] | None = None) -> str | None:
        asked = Step("owner", "list", "course.find", {}, None, "course", page) if page else step
        found = model.take([answer(asked, 200, {"courses": shown, "total": 3})])
        return found.check if found else None

    assert check(rows) is None
    assert check(rows[1:2], (1, 1)) is None
    assert check(rows[2:], (1, 1)) == "page"
    assert check(rows[:1]) == "list missing"
    assert check([*rows, rows[0]]) == "list twice"
    assert check([{**rows[0], "title": "b"}, *rows[1:]]) == "list row"
    assert check(rows) is None
    assert check(rows[:2]) == "list lost"
    assert check(rows) == "list stray"


def test_a_script_is_reported_by_names() -> None:
    add = Step("owner", "create", "course.add", {"title": "x"}, "course#9", "course")
    data = {"courseId": Ref("course#9"), "tags": ["t"]}
    change = Step("owner/2", "update", "course.update", data, "course#9", "course")
    script = [answer(add, 200, {"courseId": 4}), answer(change, 403, None, {"courseId": 4, "tags": ["t"]})]
    assert [render(each) for each in numbered(script)] == [
        'owner: course.add {"title": "x"} → course1',
        'owner/2: course.update {"courseId": course1, "tags": ["t"]} → 403',
    ]
    found = Disagreement("dead changed", "course", "course.update", "", "", script[-1].exchange, "course1")
    course = {"$object": {"kind": "course", "of": "owner", "name": "course1"}}
    assert case_of(Catalog.load(ROOT / "fixtures" / "service" / "coursio.openrpc.json"), found, script) == [
        {
            "as": "owner",
            "session": 1,
            "function": "course.add",
            "data": {"title": "x"},
            "gives": "course1",
            "saw": {"status": 200},
        },
        {
            "as": "owner",
            "session": 2,
            "function": "course.update",
            "data": {"courseId": course, "tags": ["t"]},
            "expect": {"status": [400, 403, 404]},
            "saw": {"status": 403, "errMsg": "no"},
        },
    ]
    assert put_in(data, {"course#9": 4}.__getitem__) == {"courseId": 4, "tags": ["t"]}
