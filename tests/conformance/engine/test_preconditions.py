"""One cause is reported by one rule: a rule does not judge answers that say nothing about it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from fixtures.faults import FAULTS
from fixtures.service.service import Service
from fixtures.service.wire import Call, Response
from tests.support.judging import broken, judge, profile_of, serving_here, verdicts

Change = Callable[[Service], Service]

#: Rules that see every exchange, and report what no other rule has to.
CAUSES = frozenset({"COD-2", "COD-8", "AUT-3", "HTTP-1", "HTTP-4", "HTTP-5", "ENV-1", "ENV-4", "SEC-5"})


def refusal(status: int, *headers: tuple[bytes, bytes], message: str = "Not now") -> Response:
    body = json.dumps({"isError": True, "errMsg": message, "data": None}, separators=(",", ":")).encode()
    usual = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return Response(status, [*usual, *headers], body)


def instead(when: Callable[[Call], Response | None]) -> Change:
    """Change a service so that some calls are answered before they run."""

    def change(service: Service) -> Service:
        async def answer(inner: Callable[..., Any], call: Call) -> Response:
            early = when(call)
            return await inner(call) if early is None else early

        service.wrap("answer", answer)
        return service

    return change


def named(call: Call) -> str:
    """Return the function that a call names, as `entity.function`."""
    try:
        method = json.loads(call.request.body).get("method")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return f"{call.request.path.rstrip('/').rpartition('/')[2]}.{method}"


def limited(rate: int, *, header: bool) -> Change:
    """Answer 429 to requests beyond `rate` in a second."""
    moments: list[float] = []

    def when(_: Call) -> Response | None:
        now = time.monotonic()
        moments[:] = [moment for moment in moments if moment > now - 1]
        if len(moments) >= rate:
            return refusal(429, *[(b"retry-after", b"1")] * header)
        moments.append(now)
        return None

    return instead(when)


def every_nth(status: int, nth: int) -> Change:
    """Answer one request of `nth` as a gateway does."""
    numbers = itertools.count(1)
    return instead(lambda _: refusal(status) if next(numbers) % nth == 0 else None)


def missing(function: str) -> Change:
    return instead(
        lambda call: refusal(404, message="Function doesn't exist") if named(call) == function else None
    )


def always_500(function: str) -> Change:
    return instead(lambda call: refusal(500, message="Internal error") if named(call) == function else None)


def verdicts_of(
    change: Change,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    entities: Collection[str] = (),
    **options: Any,
) -> dict[str, Any]:
    monkeypatch.setitem(FAULTS, "changed.here", change)
    with serving_here("changed.here") as (url, catalogue):
        return judge(profile=profile_of(catalogue, folder, entities=entities), target=url, **options)


def beside(report: dict[str, Any], causes: Collection[str]) -> dict[str, list[str]]:
    return {rule: found for rule, found in broken(report).items() if rule not in causes}


COMPARING = (
    "HTTP-1", "HTTP-2", "HTTP-3", "HTTP-6", "HTTP-7", "HTTP-8", "REQ-1", "REQ-4", "REQ-5", "REQ-6", "REQ-8", "REQ-9",
    "REQ-10", "REQ-11", "COD-2", "COD-3", "COD-6", "COD-8", "COD-9", "PAG-5", "NAM-3", "SEC-1", "AUT-4", "STA-4",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "causes"),
    [
        pytest.param(every_nth(502, 60), {"COD-2", "COD-8"}, marks=pytest.mark.thorough),
        (every_nth(429, 7), {"COD-2"}),
        pytest.param(every_nth(503, 25), {"COD-2", "COD-8"}, marks=pytest.mark.thorough),
        pytest.param(limited(150, header=False), {"COD-2"}, marks=pytest.mark.thorough),
    ],
    ids=["502", "429", "503", "limited"],
)
def test_not_now_is_reported_by_its_status_alone(
    change: Change, causes: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = verdicts_of(
        change,
        tmp_path,
        monkeypatch,
        entities=("auth", "message", "sys", "user"),
        rules=COMPARING,
        budget="quick",
        generated=0.1,
    )
    assert beside(report, causes) == {}
    assert "COD-2" in broken(report)
    assert report["errors"] == []


def test_who_asks_to_wait_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = ("COD-2", "COD-3", "HTTP-3")
    report = verdicts_of(limited(400, header=True), tmp_path, monkeypatch, rules=rules, budget="quick")
    assert beside(report, {"COD-2"}) == {}
    judged = verdicts(report)
    assert judged["COD-3"] == judged["HTTP-3"] == "pass"


#: The cases of the ordinary run. Each takes seconds.
EACH_TIME = {(missing, "course.read"), (always_500, "course.find")}


@pytest.mark.parametrize(
    ("how", "function"),
    [
        pytest.param(how, function, marks=[pytest.mark.thorough] * ((how, function) not in EACH_TIME))
        for how in (missing, always_500)
        for function in ("course.find", "course.read", "course.update", "message.add", "sys.stats")
    ],
)
def test_a_function_that_does_not_work_is_reported_once(
    how: Callable[[str], Change], function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (*COMPARING, "REQ-2", "REQ-3", "REQ-7", "COD-5", "ACC-1", "ACC-3", "DAT-3", "DAT-4", "DAT-8")
    report = verdicts_of(
        how(function),
        tmp_path,
        monkeypatch,
        # The rules that compare answers have all that they need in the functions of the entity.
        entities=() if function.startswith("message") else ("auth", "course", "sys"),
        rules=rules,
        budget="quick",
        generated=0.2,
    )
    causes = {"HTTP-1"} if how is missing else {"COD-8"}
    assert beside(report, causes) == {}
    assert causes <= set(broken(report))


@pytest.mark.parametrize("name", ["data.refused-change-half-kept", "data.unknown-prerequisite-half-kept"])
def test_a_half_applied_change_is_laid_at_its_own_call(name: str, tmp_path: Path) -> None:
    """A later call that is refused without a session must not be blamed: it would read as a way around the login."""
    with serving_here(name) as (url, catalogue):
        report = judge(profile=profile_of(catalogue, tmp_path), target=url, rules=["DAT-7"], budget="quick")
    (rule,) = [rule for rule in report["rules"] if rule["id"] == "DAT-7"]
    assert rule["verdict"] == "fail"
    for finding in rule["findings"]:
        assert "want of a session" not in finding["actual"], finding["actual"]
        assert "another user" not in finding["actual"], finding["actual"]
        assert finding["request"] is not None
        assert "Token" in finding["request"]["headers"]
        assert finding["response"]["status"] in (400, 404)


def test_what_was_given_away_is_used_no_more(tmp_path: Path) -> None:
    """Confirm a defect on a new object each time, since it makes an object unusable."""
    with serving_here("access.owner-on-update") as (url, catalogue):
        report = judge(profile=profile_of(catalogue, tmp_path), target=url, rules=["ACC-3"], budget="quick")
    findings = [finding for rule in report["rules"] for finding in rule["findings"]]
    assert findings
    assert {finding["reproduced"] for finding in findings} <= {"3/3", "1/1"}


def public_logout(service: Service) -> Service:
    """Make logout need no session: it ends the session of the token, and accepts any token."""
    declared = service.functions["auth.logout"]
    declared.auth = "none"

    def end(_: Callable[..., Any], service: Service, call: Call) -> dict[str, Any]:
        service.sessions.end(service.token(call) or b"")
        return {}

    declared.wrap(end)
    return service


def test_a_public_logout_may_be_content_with_an_ended_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = ("AUT-6", "AUT-7", "AUT-8", "AUT-10")
    report = verdicts_of(public_logout, tmp_path, monkeypatch, rules=rules)
    assert broken(report) == {}
    assert verdicts(report)["AUT-8"] == "pass"
