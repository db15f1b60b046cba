"""Without a profile, the guide, `--plan` and a run agree on what is judged and on how many requests are sent."""

from __future__ import annotations

import re

import pytest

import conform
from conformance.rulebook.requirements import is_judged
from tests.support.judging import ROOT, judge, serving

#: How far the numbers may be apart: findings are confirmed, and a plan has none.
MAX_DIFFERENCE = 0.1


def test_the_guide_the_plan_and_the_run_agree(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = re.search(
        r"judged: (\d+) of them, with about (\d+)\s+requests",
        (ROOT / "docs" / "profile.md").read_text("utf-8"),
    )
    assert said is not None
    monkeypatch.chdir(ROOT / "tests")
    with serving() as url:
        assert conform.main(["check", "--target", url, "--plan"]) == 0
        planned = re.search(r"would send about (\d+) requests", capsys.readouterr().out)
        report = judge(target=url)
    assert planned is not None
    sent = report["requests"]
    assert abs(int(planned[1]) - sent) <= MAX_DIFFERENCE * sent
    assert abs(int(said[2]) - sent) <= MAX_DIFFERENCE * sent
    assert int(said[1]) == sum(is_judged(rule) for rule in report["rules"])
