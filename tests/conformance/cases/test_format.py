"""The format of case files: what they contain, and what is rejected."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conformance.cases.format import (
    CaseError,
    Expect,
    Step,
    file_name,
    load,
    load_folder,
    save,
    symbol,
    symbols,
)
from conformance.rulebook import RULES
from tests.support.case_files import BAD, OBJECT, STEPS, a_case


@pytest.mark.parametrize("step", STEPS, ids=range(len(STEPS)))
def test_a_step_comes_back_as_it_was_written(step: Step) -> None:
    written = json.loads(json.dumps(step.to_json()))
    assert Step.from_json(written) == step
    assert Step.from_json(written).to_json() == written


def test_a_case_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    case = a_case(*STEPS, users={"owner": ("user",)}, message="\ud800\0\n漢", suite="0.1")
    save(tmp_path / "new" / "x.json", case.to_json())
    found = load(tmp_path / "new" / "x.json")
    assert found == case
    assert found.name == "x"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.json"]


@pytest.mark.parametrize(("text", "reported"), BAD, ids=range(len(BAD)))
def test_what_is_no_case_is_reported_in_one_line(text: str, reported: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CaseError) as caught:
        load(path)
    assert reported in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(CaseError, match=re.escape(str(path))):
        load_folder(tmp_path)


def test_a_folder_without_cases_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no case files"):
        load_folder(tmp_path)
    with pytest.raises(CaseError, match="no such folder"):
        load_folder(tmp_path / "none")
    with pytest.raises(CaseError, match="No such file"):
        load(tmp_path / "none.json")


HOSTILE = [
    "../../etc/passwd",
    "a\0b",
    "漢" * 300,
    "x" * 3000,
    "",
    "..",
    "con:",
    "A.b",
    "a.b",
    "a/b",
    "a b",
    None,
]


def test_any_function_has_a_safe_file_name(tmp_path: Path) -> None:
    names = [file_name("ENV-5", function, "kind") for function in HOSTILE]
    for name in names:
        assert re.fullmatch(r"ENV-5-[A-Za-z0-9][A-Za-z0-9._]*-[0-9a-f]{8}\.json", name), name
        assert len(name) < 100
    # Nothing and the empty name are the same; every other has its own, on a disk without letter case, too.
    assert len({name.lower() for name in names}) == len(HOSTILE) - 1
    assert file_name("ENV-5", "a.b", "one") != file_name("ENV-5", "a.b", "two")


def test_symbols_are_found_at_any_depth() -> None:
    value = {"a": [OBJECT, {"$gt": ""}], "b": {"$text": ["x", {"$user": "o"}]}, "c": {"$user": "a", "d": 1}}
    assert [name for name, _ in symbols(value)] == ["$object", "$text", "$user"]
    assert symbol({"$gt": ""}) is None


def test_every_pure_rule_can_be_expected() -> None:
    for rule in RULES.values():
        if rule.check is not None:
            assert Expect.from_json({"rule": rule.id}).rule == rule.id
