"""A team's own rules judge every answer of a load, on the fast paths, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.rulebook import own_rules
from load.validation.validator import Outcome
from tests.load.validation.test_validator import CALL, Call, Reply, VirtualUser, judge_of, reply, success

RULES = """
from conformance.rulebook import *

EXAMPLES = {"clause": "c", "passes": [reply(200, data=1)], "fails": [reply(200, data=2)]}


@rule(id="ACME-1", level=Level.MUST, title="The request and its answer agree", **EXAMPLES)
def agrees(exchange):
    sent = exchange.request.body
    if exchange.response is None: return not_applicable
    good = exchange.data != 2 and b"wrong" not in sent and exchange.response.header("X-Special") is None
    return holds if good else broken(expected="agreement", actual="none")


@rule(id="ACME-2", level=Level.MUST, title="This one is wrong", **EXAMPLES)
def crashes(exchange):
    if exchange.data == {"n": 3}: return 1 / 0
    return broken(expected="another", actual="2") if exchange.data == 2 else holds
"""


@pytest.fixture(autouse=True)
def _rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    Path("rules.py").write_text(RULES, "utf-8")
    own_rules.install([Path("rules.py")])
    yield
    own_rules.install(())


def test_each_answer_is_judged_whatever_its_path() -> None:
    judge = judge_of()
    wrong = Call(CALL.raw.replace(b'"read"', b'"wrong"'), VirtualUser("owner"))
    same = reply(success({"n": 1}))
    assert [judge.outcomes[judge.judge(CALL, same)].rules for _ in range(5)] == [()] * 5
    slow = judge.slow
    # The same bytes in answer to another request, on the path of answers that were seen before.
    assert judge.outcomes[judge.judge(wrong, same)] == Outcome(None, ("ACME-1",))
    assert judge.slow == slow
    assert judge.outcomes[judge.judge(CALL, same)].ok
    assert judge.rules()["ACME-1"] == {"judged": 7, "broken": 1}
    (finding,) = judge.findings()
    assert (finding.rule, finding.count) == ("ACME-1", 1)


def test_a_head_that_only_such_a_rule_looks_at_counts() -> None:
    judge = judge_of()
    head = reply(b"").answer.headers
    judge.judge(CALL, reply(success({"n": 1})))
    special = reply(success({"n": 1}), headers=(*head, ("X-Special", "1")))
    assert judge.outcomes[judge.judge(CALL, special)].rules == ("ACME-1",)
    assert judge.outcomes[judge.judge(CALL, reply(success({"n": 1})))].ok


def test_a_crash_is_an_error_of_its_rule_and_the_others_judge() -> None:
    judge = judge_of()
    for _ in range(3):
        assert judge.outcomes[judge.judge(CALL, reply(success({"n": 3})))].ok
    rules = judge.rules()
    assert rules["ACME-1"] == {"judged": 3, "broken": 0}
    assert "ACME-2" not in rules
    (error,) = own_rules.events(under_load=True)
    assert error.message == "rules.py:17: ZeroDivisionError: division by zero"


def test_a_connection_that_closed_idle_is_not_judged() -> None:
    judge = judge_of()
    judge.judge(CALL, Reply(reply(b"").answer, failure="closed", opened=False, met=False))
    assert judge.rules() == {}
