"""Injections sent together locate the argument that breaks the target at one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.judging import judge, profile_of, serving_here


@pytest.mark.parametrize(
    ("fault", "function", "label"),
    [
        ("data.path-in-text-500", "lesson.add", "title"),
        ("data.line-end-in-header", "message.add", "subject"),
        ("data.format-in-query", "course.find", "query"),
    ],
)
def test_quick_check_locates_the_argument(fault: str, function: str, label: str, tmp_path: Path) -> None:
    with serving_here(fault) as (url, catalogue):
        profile = profile_of(catalogue, tmp_path)
        report = judge(profile=profile, target=url, rules=["DAT-8"], budget="quick", seed=1)
    found = {
        (finding["function"], finding["kind"])
        for rule in report["rules"]
        for finding in rule["findings"]
        if rule["id"] == "DAT-8"
    }
    assert (function, f"an injection in {label} is not taken as data") in found
