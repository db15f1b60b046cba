"""Rules of a team's own: their files, their examples, and what a mistake in a check does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.errors import UsageError
from conformance.events import ErrorEvent, NoteEvent
from conformance.rulebook import RULES, own_rules, reply, requirements

HEAD = "from conformance.rulebook import *\n"
RULE = """
@rule(
    id={id!r},
    level=Level.MUST,
    clause="our own",
    title="A price is an integer",
    passes=[
        reply(200, data={{"price": 1}}),
        {passes},
    ],
    fails=[
        reply(200, data={{"price": 1.5}}),
        {fails},
    ],
)
def check(exchange):
    \"\"\"Sums differ.\"\"\"
    {body}
"""
BODY = """
    if not isinstance(exchange.data, dict): return not_applicable
    price = exchange.data["price"]
    return holds if isinstance(price, int) else broken(expected="an integer", actual=shown(price, exchange))
""".strip()
GOOD, BAD = 'reply(200, data={"price": 2})', 'reply(200, data={"price": "2"})'


def text(id: str = "ACME-1", passes: str = GOOD, fails: str = BAD, body: str = BODY) -> str:
    return HEAD + RULE.format(id=id, passes=passes, fails=fails, body=body)


@pytest.fixture(autouse=True)
def _only_ours() -> Iterator[None]:
    before = dict(RULES)
    yield
    own_rules.install(())
    assert before == RULES


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "rules.py"


def test_rules_are_added_after_those_of_the_rulebook(file: Path) -> None:
    file.write_text(text() + text("ACME-2").removeprefix(HEAD), "utf-8")
    own_rules.install([file, file])
    assert list(RULES)[-2:] == ["ACME-1", "ACME-2"] == list(own_rules.ids())
    assert RULES["ACME-1"].area == "ACME"
    assert RULES["ACME-1"].why == "Sums differ."
    assert requirements.parse("acme") == "ACME"
    check = RULES["ACME-1"].check
    assert check is not None
    assert check(reply(200, data={"price": 0.5})).actual == "0.5"
    own_rules.install([])
    assert "ACME-1" not in RULES


@pytest.mark.parametrize(
    ("written", "line", "message"),
    [
        (text("ENV-11"), 3, "rule ENV-11: the prefix ENV is the rulebook's"),
        (text("acme-1"), 3, "the id 'acme-1' is a prefix of"),
        (text("ACME"), 3, "the id 'ACME' is a prefix of"),
        (text("ACME-01"), 3, "the id 'ACME-01' is a prefix of"),
        (text() + text().removeprefix(HEAD), 23, "rule ACME-1 stands twice: it is at rules.py:3"),
        (text(passes=BAD), 10, "rule ACME-1: passes[1]: breaks the rule: expected an integer, got '2'"),
        (text(fails=GOOD), 14, "rule ACME-1: fails[1]: keeps the rule"),
        (text(passes="reply(200, data=[])"), 10, "passes[1]: is not judged"),
        (text(passes="reply(200, data={})"), 10, "passes[1]: makes the check fail, at line 20: KeyError: 'price'"),
        (text(passes="1"), 10, "passes[1]: is 1, not an exchange"),
        (text(body="return None"), 9, "passes[0]: the check returned None; return holds, broken(…)"),
        (text().replace("our own", " "), 3, "rule ACME-1: clause is a text"),
        (text().replace("Level.MUST", "'may'"), 3, "rule ACME-1: the level is Level.MUST or Level.SHOULD"),
        (text().replace("    fails=", "    failing="), 3, "TypeError: rule() got an unexpected keyword"),
        (text().replace("def check", "def"), 17, "invalid syntax"),
        (HEAD + "\nimport a_module_that_is_not_there\n", 3, "ModuleNotFoundError"),
        (HEAD, None, "has no rule: write a function under @rule(…)"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_usage_error_with_its_line(
    file: Path, written: str, line: int | None, message: str
) -> None:
    file.write_text(written, "utf-8")
    with pytest.raises(UsageError) as error:
        own_rules.install([file])
    assert str(error.value).startswith("rules.py:" if line is None else f"rules.py:{line}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_without_examples_a_rule_is_refused(file: Path) -> None:
    file.write_text(
        HEAD + "@rule(id='ACME-1', level='must', clause='c', title='t', passes=[], fails=[])\n"
        "def check(exchange): return holds\n",
        "utf-8",
    )
    with pytest.raises(UsageError, match=r"rules\.py:2: rule ACME-1: passes has no example"):
        own_rules.install([file])


def test_a_file_that_is_not_there_is_a_usage_error(file: Path) -> None:
    with pytest.raises(UsageError, match=r"--rules: there is no file rules\.py"):
        own_rules.install([file])


def test_a_mistake_leaves_the_rulebook_as_it_was(file: Path, tmp_path: Path) -> None:
    file.write_text(text(), "utf-8")
    own_rules.install([file])
    (tmp_path / "other.py").write_text(text("ACME-2", fails=GOOD), "utf-8")
    with pytest.raises(UsageError):
        own_rules.install([file, tmp_path / "other.py"])
    assert own_rules.ids() == ("ACME-1",)


def test_what_stands_beside_a_file_can_be_imported(file: Path, tmp_path: Path) -> None:
    (tmp_path / "prices_of_acme.py").write_text("LIMIT = 3\n", "utf-8")
    file.write_text("import prices_of_acme\n" + text(), "utf-8")
    own_rules.install([file])
    assert own_rules.checked() == ("ACME-1",)


def test_a_rule_without_a_check_is_for_tests(file: Path) -> None:
    file.write_text(
        HEAD + "suite_rule(id='ACME-9', level=Level.MUST, clause='c', title='A sum adds up', why='w')\n",
        "utf-8",
    )
    own_rules.install([file])
    assert own_rules.ids() == ("ACME-9",)
    assert own_rules.checked() == ()
    assert list(own_rules.events()) == []


def test_a_crash_is_an_error_of_the_rule_with_its_line(file: Path) -> None:
    file.write_text(text(), "utf-8")
    own_rules.install([file])
    check = RULES["ACME-1"].check
    assert check is not None
    outcomes = [check(reply(200, data={})), check(reply(400, data={})), check(reply(200, data={"price": 1}))]
    assert [(each.judged, each.broken) for each in outcomes] == [
        (False, False),
        (False, False),
        (True, False),
    ]
    assert outcomes[0].crash == "rules.py:20: KeyError: 'price'"
    events = list(own_rules.events())
    assert [(each.rule, each.message, each.whose) for each in events if isinstance(each, ErrorEvent)] == [
        ("ACME-1", "rules.py:20: KeyError: 'price' (2 exchanges)", own_rules.WHOSE)
    ]
    assert len(events) == 1


def test_a_slow_rule_is_named_with_its_cost(file: Path) -> None:
    file.write_text(
        text(body=f"time.sleep(0 if len(exchange.request.body) < 99 else 0.26)\n    {BODY}"), "utf-8"
    )
    file.write_text("import time\n" + file.read_text("utf-8"), "utf-8")
    own_rules.install([file])
    check = RULES["ACME-1"].check
    assert check is not None
    began = time.perf_counter()
    for _ in range(2):
        check(reply(200, data={"price": 1}, sent=b"x" * 99))
    took = time.perf_counter() - began
    (note,) = own_rules.events()
    assert isinstance(note, NoteEvent)
    assert note.message.startswith("the rule ACME-1 (rules.py:4) took ")
    mean = float(note.message.partition("took ")[2].partition(" ms for each exchange")[0])
    assert 250 <= mean <= 500 * took + 10


def test_a_file_of_rules_can_be_imported_by_the_teams_own_tests(file: Path) -> None:
    file.write_text(text() + "\nprint(check(reply(200, data={'price': 1})).broken)\n", "utf-8")
    exec(compile(file.read_text("utf-8"), str(file), "exec"), {"__name__": "rules"})
    assert "ACME-1" not in RULES
