"""Functions that failed lately, and those that are new, are known from the newest run of the same target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conformance.engine.history import lately
from conformance.events import TargetRecord

HERE = {"url": "http://127.0.0.1:1/api/", "embedded": False}
TARGET = TargetRecord(str(HERE["url"]))
FUNCTIONS = ("a.read", "a.add", "b.find")


def run(folder: Path, name: str, target: dict[str, Any], failed: str | None, known: list[str] | None) -> None:
    report: dict[str, Any] = {
        "target": target,
        "rules": [{"findings": [{"function": failed}]}],
        "coverage": None if known is None else {"functions": {key: {} for key in known}},
    }
    (folder / name).mkdir()
    (folder / name / "report.json").write_text(json.dumps(report))


def test_failed_and_new_functions_are_found(tmp_path: Path) -> None:
    run(tmp_path, "2026-01-01", HERE, "a.add", list(FUNCTIONS))
    run(tmp_path, "2026-01-02", HERE, "a.read", ["a.read", "a.add"])
    assert lately(tmp_path, TARGET, FUNCTIONS) == {"a.read", "b.find"}


def test_another_targets_run_says_nothing(tmp_path: Path) -> None:
    run(tmp_path, "2026-01-01", HERE | {"url": "http://127.0.0.1:2/api/"}, "a.read", ["a.read"])
    assert lately(tmp_path, TARGET, FUNCTIONS) == frozenset()
    embedded = {"url": "http://127.0.0.1:9/api/", "embedded": True}
    run(tmp_path, "2026-01-02", embedded, "a.add", None)
    assert lately(tmp_path, TargetRecord("http://127.0.0.1:8/api/", embedded=True), FUNCTIONS) == {"a.add"}


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text("{")
    assert lately(tmp_path, TARGET, FUNCTIONS) == frozenset()
    assert lately(tmp_path / "absent", TARGET, FUNCTIONS) == frozenset()
