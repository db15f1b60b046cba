"""Findings are gathered into causes by what the exchanges show."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from reports.causes.evidence import Knowledge
from reports.model.files import validate
from tests.reports.causes.events import (
    DEFECTS,
    RULES,
    Event,
    exchange,
    finding,
    headers,
    logins,
    lookups,
    page,
    pages,
    refusal,
    request,
    response,
    routes,
    run_of,
    sessions,
    success,
    texts,
)
from tests.support.events import build, event_of

Key = tuple[str, str | None, str]


def report_of(*found: list[Event], log: list[Event] | None = None, **members: Any) -> dict[str, Any]:
    """Return the report of a run with these findings."""
    events = [run_of(RULES, should=("HTTP-5", "SEC-5", "AUT-12")) | members]
    events += [*(log or []), *itertools.chain(*found), {"event": "end", "seconds": 1.0}]
    report = build(events)
    validate(report)
    return report


def partition(report: dict[str, Any]) -> dict[str, set[Key]]:
    """Return the findings of each cause."""
    causes: dict[str, set[Key]] = {cause["id"]: set() for cause in report["causes"]}
    for rule in report["rules"]:
        for each in rule["findings"]:
            causes[each["cause"]].add((rule["id"], each["function"], each["kind"]))
    return causes


def only(report: dict[str, Any]) -> dict[str, Any]:
    """Return the only cause of a report."""
    assert len(report["causes"]) == 1, [cause["sentence"] for cause in report["causes"]]
    cause: dict[str, Any] = report["causes"][0]
    return cause


@pytest.mark.parametrize("name", DEFECTS)
def test_one_defect_is_one_cause(name: str) -> None:
    cause = only(report_of(DEFECTS[name]()))
    assert cause["findings"] == len(DEFECTS[name]())


@pytest.mark.parametrize("names", list(itertools.combinations(DEFECTS, 2)), ids="+".join)
def test_two_defects_are_two_causes_with_their_own_findings(names: tuple[str, str]) -> None:
    alone = [partition(report_of(DEFECTS[name]())) for name in names]
    together = partition(report_of(*(DEFECTS[name]() for name in names)))
    assert together == {**alone[0], **alone[1]}


def test_the_order_of_findings_does_not_matter() -> None:
    found = list(itertools.chain(*(make() for make in DEFECTS.values())))
    report = report_of(found)
    for seed in range(5):
        shuffled = found[:]
        random.Random(seed).shuffle(shuffled)
        again = report_of(shuffled)
        assert partition(again) == partition(report)
        assert [cause["id"] for cause in again["causes"]] == [cause["id"] for cause in report["causes"]]
        assert [cause["sentence"] for cause in again["causes"]] == [
            cause["sentence"] for cause in report["causes"]
        ]


def test_each_finding_is_in_exactly_one_cause() -> None:
    report = report_of(*(make() for make in DEFECTS.values()))
    number = sum(len(rule["findings"]) for rule in report["rules"])
    assert sum(cause["findings"] for cause in report["causes"]) == number
    assert sum(map(len, partition(report).values())) == number


def test_without_the_findings_of_a_cause_the_others_are_the_same() -> None:
    found = list(itertools.chain(*(make() for make in DEFECTS.values())))
    whole = partition(report_of(found))
    for gone in whole:
        left = [each for each in found if (each["rule"], each["function"], each["kind"]) not in whole[gone]]
        assert partition(report_of(left)) == {key: keys for key, keys in whole.items() if key != gone}


def test_names_of_functions_and_parameters_decide_nothing() -> None:
    def renamed(event: Event) -> Event:
        text = json.dumps(event)
        for old, new in (("note", "bok"), ("auth", "konto"), ("login", "in"), ("priority", "rang")):
            text = text.replace(old, new)
        changed: Event = json.loads(text)
        return changed

    found = list(itertools.chain(*(make() for make in DEFECTS.values())))
    before, after = report_of(found), report_of([renamed(event) for event in found])
    assert [cause["rules"] for cause in after["causes"]] == [cause["rules"] for cause in before["causes"]]


def test_a_page_of_the_framework_is_named_with_advice() -> None:
    cause = only(report_of(pages()))
    assert cause["sentence"] == (
        "Bodies that are not JSON are answered with an HTML page instead of the envelope (status 400)"
    )
    assert cause["advice"].startswith("Express: ")
    assert cause["mends"] == ["HTTP-4", "HTTP-5", "ENV-1", "SEC-2"]
    assert cause["level"] == "must"
    assert cause["example"]["rule"] == "HTTP-4"


def test_a_missing_route_is_another_cause_than_an_error() -> None:
    report = report_of(pages(), routes())
    assert [cause["mends"] for cause in report["causes"]] == [["HTTP-5", "SEC-2"], []]
    assert "no route" in report["causes"][1]["sentence"]


def test_advice_decides_nothing() -> None:
    found = json.loads(json.dumps(pages()).replace("Express", "Other"))
    assert partition(report_of(found)) == partition(report_of(pages()))


def test_a_deviation_of_proper_answers_is_not_explained_by_a_page() -> None:
    report = report_of(pages(), headers())
    assert sorted(cause["rules"] for cause in report["causes"]) == [
        ["HTTP-4", "HTTP-5", "ENV-1", "SEC-2"],
        ["SEC-5"],
    ]


def test_the_wrong_logins_are_one_cause() -> None:
    cause = only(report_of(logins()))
    assert cause["rules"] == ["AUT-2", "AUT-12"]
    assert cause["functions"] == ["auth.login"]
    assert cause["sentence"].startswith("auth.login ends in status 500")


def test_a_rule_of_every_answer_follows_the_crash_of_its_function() -> None:
    also = [
        finding(
            "COD-8",
            function,
            "status 500",
            request(function, {"noteId": 1}),
            refusal(500, "x"),
            expected="an answer below 500",
        )
        for function in ("auth.login", "note.read", "note.find")
    ]
    causes = partition(report_of(logins(), lookups(), also))
    assert sorted(sorted({key[0] for key in keys}) for keys in causes.values()) == [
        ["AUT-12", "AUT-2", "COD-8"],
        ["COD-10", "COD-8"],
        ["COD-8"],
    ]


def test_refusals_with_the_wrong_status_are_one_cause() -> None:
    cause = only(report_of(sessions(), log=log_of("note.read") + log_of("note.find")))
    assert cause["sentence"] == (
        "Calls without a valid session are refused with status 403 instead of status 401"
    )
    assert cause["where"].startswith("the check of the session")


def log_of(function: str) -> list[Event]:
    return [exchange(number, function, request(function, {"noteId": 1}), success()) for number in range(20)]


def test_one_kind_of_invalid_argument_is_one_cause() -> None:
    assert only(report_of(texts()))["rules"] == ["REQ-8", "COD-5"]


def test_two_kinds_at_other_parameters_are_two_causes() -> None:
    longer = [
        finding("REQ-8", "note.create", "title: longer than 100", request("note.create", {}), success()),
        finding("REQ-8", "note.update", "title: longer than 100", request("note.update", {}), success()),
    ]
    assert len(report_of(texts(), longer)["causes"]) == 2


def test_many_kinds_that_pass_are_a_missing_validation() -> None:
    kinds = (
        *("title left out", "title: number instead of string", "pinned: string instead of boolean"),
        *("priority: above 5", "title: longer than 100", "title: empty"),
    )
    found = [
        finding("REQ-8", f"note.{verb}", kind, request(f"note.{verb}", {}), success())
        for kind in kinds
        for verb in ("create", "update")
    ]
    assert only(report_of(found))["sentence"].startswith("Arguments are not checked")


def test_a_function_that_never_worked_is_one_cause() -> None:
    call = request("note.find", {})
    log = [exchange(number, "note.find", call, refusal(500, "error")) for number in range(6)]
    found = [
        finding(rule, "note.find", "status 500", call, refusal(500, "error"), expected=expected)
        for rule, expected in (
            ("COD-8", "an answer below 500"),
            ("REQ-8", "status 200"),
            ("PAG-5", "status 200"),
        )
    ]
    cause = only(report_of(found, log=log))
    assert cause["sentence"] == "note.find does not work at all: status 500 to every call"


def test_a_stack_that_answers_422_is_one_cause() -> None:
    body = {"detail": [{"loc": ["body"], "msg": "x"}]}
    answer = response(422, body, Server="uvicorn")
    found = [
        finding(rule, function, kind, request(function, "{"), answer, expected=expected, actual=actual)
        for function in ("note", "auth")
        for rule, kind, expected, actual in (
            ("REQ-8", "is refused with another status", "status 400", "status 422"),
            ("ENV-1", "no envelope", "an object with the members isError", "detail alone"),
        )
    ]
    cause = only(report_of(found))
    assert cause["rules"] == ["REQ-8", "ENV-1"]
    assert cause["advice"].startswith("FastAPI: ")


def test_must_comes_before_should_and_many_rules_before_few() -> None:
    report = report_of(headers(), lookups(), sessions())
    assert [cause["rules"] for cause in report["causes"]] == [["COD-6", "AUT-4"], ["COD-10"], ["SEC-5"]]


def test_a_waived_cause_comes_last_and_says_so() -> None:
    waiver = {"rule": "COD-10", "function": None, "reason": "known", "until": "2027-01-01"}
    report = report_of(lookups(), headers(), waivers=[waiver])
    assert [(cause["rules"], cause["waived"]) for cause in report["causes"]] == [
        (["SEC-5"], False),
        (["COD-10"], True),
    ]


def test_a_finding_without_an_exchange_has_a_cause() -> None:
    alone = finding("PAG-5", "note.find", "flaky", request("note.find"), None)
    alone |= {"request": None, "failure": None, "curl": None}
    assert only(report_of([alone]))["rules"] == ["PAG-5"]


def test_the_id_of_a_cause_does_not_depend_on_the_run() -> None:
    text = json.dumps(lookups()).replace("99", "1234567").replace("127.0.0.1:1/", "127.0.0.1:9/")
    assert only(report_of(json.loads(text)))["id"] == only(report_of(lookups()))["id"]


def test_a_page_that_was_cut_is_no_envelope_and_an_envelope_that_was_cut_is() -> None:
    cut = '{"data":{"text":"xxxx… (90000 bytes in all)'
    found = [
        finding("REQ-8", "note.read", "text: longer than 5", request("note.read", {}), response(200, cut))
    ]
    assert only(report_of(found))["sentence"].startswith("Invalid arguments are not refused")
    found = [finding("REQ-8", "note.read", "text: longer than 5", request("note.read", {}), page(413))]
    assert "HTML page" in only(report_of(found))["sentence"]


def test_a_report_without_findings_has_no_causes() -> None:
    assert report_of([])["causes"] == []


def test_knowledge_ignores_what_is_not_a_call() -> None:
    knowledge = Knowledge()
    for body in ("{", "[]", '{"data":5}', "[" * 5000):
        knowledge.take(event_of(exchange(1, "note.read", request("note.read", body), success())))  # type: ignore[arg-type]
    assert knowledge.is_usual("note.read", {"x": 1})
    assert knowledge.is_usual("unknown.function", {})


def test_rules_that_the_same_exchanges_break_are_one_cause() -> None:
    answer = success({"a_b": 1})
    found = [
        finding(rule, f"note.{verb}", "deviates", request(f"note.{verb}"), answer, expected="a b", actual="c")
        | {"exchange": number, "count": number}
        for rule in ("ENV-1", "SEC-5")
        for number, verb in enumerate(("read", "find"), 1)
    ]
    assert only(report_of(found))["rules"] == ["ENV-1", "SEC-5"]
    apart = [each | {"count": 9} if each["rule"] == "SEC-5" else each for each in found]
    assert len(report_of(apart)["causes"]) == 2


def test_a_form_that_successes_have_too_is_no_matter_of_routes() -> None:
    damaged = [
        finding("HTTP-4", "note.read", "cut", request("note.read"), response(200, '{"isEr', "application/json"),
                expected="exactly one JSON text", actual="Expecting value"),
        finding("ENV-1", None, "cut", request(None), response(404, '{"isEr', "application/json"),
                expected="an object", actual="no JSON"),
    ]  # fmt: skip
    assert only(report_of(damaged))["rules"] == ["HTTP-4", "ENV-1"]


def test_a_refusal_that_should_have_been_401_is_about_the_session() -> None:
    found = [
        finding("COD-6", function, "not answered 401", request(function, body, Token=""), refusal(400, "x is bad"),
                expected="status 401: data is wrong")
        for function, body in (("note.read", {"noteId": "x"}), ("note.find", '{"method":"find","data":[]}'))
    ]  # fmt: skip
    assert only(report_of(found))["where"].startswith("the check of the session")
