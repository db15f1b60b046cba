"""Rules of a team's own in whole runs: judged beside ours, in every report, under load and in a single call.

The page docs/extend.md shows how; what it shows is run here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from conformance.rulebook import RULES, own_rules
from reports.render.html import page as html
from tests.support.judging import ROOT, serving_here
from tests.support.recording import PROFILE, ran, ran_here, report_in

PAGE = (ROOT / "docs" / "extend.md").read_text("utf-8")
CRASHES = """

@rule(
    id="ACME-2", level=Level.SHOULD, clause="ADR 13", title="A price comes with a currency",
    passes=[reply(200, data={"price": 1, "currency": "SEK"})], fails=[reply(200, data={"price": 1, "currency": ""})],
)
def has_currency(exchange: Exchange) -> Outcome:
    if not exchange.succeeded or not isinstance(exchange.data, dict) or "price" not in exchange.data:
        return not_applicable
    return holds if exchange.data["currency"] else broken(expected="a currency", actual="none")
"""


def snippet(name: str) -> str:
    """Return the Python code of the page that goes into a file."""
    (found,) = re.findall(rf"<!-- {re.escape(name)} -->\n```python\n(.*?)^```", PAGE, re.S | re.M)
    return str(found)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder with the page's file of rules."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "our_rules.py").write_text(snippet("checks/our_rules.py"), "utf-8")
    yield tmp_path
    own_rules.install(())


def profile(folder: Path, url: str, more: str = "") -> Path:
    """Write the profile of the reference service with the page's section `[suite]`."""
    (section,) = re.findall(r"```toml\n(\[suite\]\n.*?)^```", PAGE, re.S | re.M)
    text = PROFILE.read_text("utf-8").replace('catalog = "', f'catalog = "{PROFILE.parent}/')
    path = folder / "conform.toml"
    path.write_text(f"{text}\n{section}\n{more}", "utf-8")
    assert url.startswith("http://127.0.0.1")
    return path


def test_a_run_judges_them_beside_ours_and_every_report_has_them(folder: Path) -> None:
    file = folder / "checks" / "our_rules.py"
    file.write_text(file.read_text("utf-8") + CRASHES, "utf-8")
    waiver = """
[[waivers]]
rule = "ACME-1"
function = "course.read"
reason = "öre come with v5"
until = 2999-01-01
"""
    with serving_here() as (url, _):
        profile(folder, url, waiver)
        arguments = (
            "check",
            "--target",
            url,
            "--budget",
            "quick",
            "--seed",
            "1",
            "--area",
            "acme",
            "--out",
            "a",
        )
        status, out, err = ran(*arguments, "--require", "ACME", cwd=folder)
    assert status == 1, err
    report = report_in(folder / "a")
    assert list(RULES) == [rule["id"] for rule in report["rules"]][: len(RULES)]
    first, second = report["rules"][len(RULES) :]
    assert (first["id"], first["area"], first["verdict"]) == ("ACME-1", "ACME", "fail")
    assert {finding["function"] for finding in first["findings"]} == {
        "course.add",
        "course.read",
        "course.update",
    }
    waived = {finding["function"] for finding in first["findings"] if finding["waived"]}
    assert waived == {"course.read"}
    assert all(finding["reproduced"] for finding in first["findings"])
    assert (second["id"], second["verdict"]) == ("ACME-2", "error")
    assert re.fullmatch(r"checks/our_rules\.py:3\d: KeyError: 'currency' \(\d+ exchanges\)", second["reason"])
    assert report["gate"] == "fail"
    assert "ACME-1" in out
    assert "the rule's own code: checks/our_rules.py:3" in out
    for name in ("report.md", "report.sarif", "report.html"):
        assert "A price is an integer" in (folder / "a" / name).read_text("utf-8"), name
    suites = ET.parse(folder / "a" / "junit.xml").getroot()
    assert suites.find(".//testsuite[@name='ACME ACME']") is not None
    assert html.render(report)
    case = next(finding["case"] for finding in first["findings"] if finding["case"])
    with serving_here() as (url, _):
        status, out, err = ran("replay", folder / "a" / case, "--target", url, cwd=folder)
        known = ran(*arguments[:2], url, *arguments[3:-1], "b", "--baseline-findings", "a", cwd=folder)[0]
    assert (status, "ACME-1" in out, err) == (1, True, "")
    assert known == 0


def test_a_load_judges_every_answer(folder: Path) -> None:
    with serving_here() as (url, _):
        profile(folder, url)
        arguments = (
            "load",
            "--target",
            url,
            "--rate",
            "20/s",
            "--duration",
            "3s",
            "--mix",
            "course.add=1,course.read=2",
        )
        status, _, err = ran(*arguments, "--no-calibration", "--seed", "1", "--out", "a", cwd=folder)
    report = report_in(folder / "a")
    assert status == 1, err
    rule = report["rules"][-1]
    assert (rule["id"], rule["verdict"]) == ("ACME-1", "fail")
    assert rule["judged"] >= 40
    assert report["errors"] == []


def test_a_call_judges_its_exchange(folder: Path) -> None:
    with serving_here() as (url, catalogue):
        profile(folder, url)
        lists = next(method["name"] for method in catalogue["methods"] if method["name"] == "course.find")
        status, out, err = ran_here("call", lists, "--as", "owner", "--target", url, "--quiet", cwd=folder)
        assert (status, err) == (0, "")
        number = json.loads(out)["data"]["rows"][0]["courseId"] if "rows" in json.loads(out)["data"] else 1
        data = json.dumps({"courseId": number})
        status, _, err = ran_here(
            "call", "course.read", data, "--as", "owner", "--target", url, "--quiet", cwd=folder
        )
    assert status in (0, 1)
    assert (status == 1) == ("ACME-1 must  A price is an integer" in err)


@pytest.mark.parametrize("verb", [("check",), ("call", "sys.ping"), ("load", "--plan"), ("explore",)])
def test_a_rule_that_disagrees_with_its_examples_sends_nothing(folder: Path, verb: tuple[str, ...]) -> None:
    file = folder / "checks" / "our_rules.py"
    file.write_text(file.read_text("utf-8").replace("19.5", "195"), "utf-8")
    status, out, err = ran_here(
        *verb, "--target", "http://127.0.0.1:9/api/", "--rules", "checks/our_rules.py", cwd=folder
    )
    assert (status, out) == (2, "")
    assert err == f"conform {verb[0]}: checks/our_rules.py:12: rule ACME-1: fails[0]: keeps the rule\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rules", "nothing.py"), "--rules: there is no file nothing.py"),
        (("--rules", "checks/our_rules.py", "--rule", "ACME-2"), 'no such rule; did you mean "ACME-1"?'),
        (("--rules", "checks/our_rules.py", "--require", "ACMX"), "--require 'ACMX' is not a requirement"),
        (("--rules", ""), "argument --rules: is empty"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_a_usage_error(folder: Path, options: tuple[str, ...], message: str) -> None:
    status, out, err = ran_here("check", "--target", "http://127.0.0.1:9/api/", *options, cwd=folder)
    assert (status, out) == (2, "")
    assert message in err


def test_the_profile_says_which_file_is_not_there(folder: Path) -> None:
    (folder / "conform.toml").write_text("[suite]\nrules = ['checks/none.py']\n", "utf-8")
    status, _, err = ran_here("check", "--target", "http://127.0.0.1:9/api/", cwd=folder)
    assert status == 2
    assert "conform.toml: [suite] rules: there is no file checks/none.py" in err


def test_the_page_names_what_can_be_imported() -> None:
    import conformance.rulebook as public

    names = set(re.findall(r"^\| `(\w+)|, `(\w+)`", PAGE, re.M))
    named = {name for pair in names for name in pair if name}
    assert named >= {
        "rule",
        "suite_rule",
        "Level",
        "holds",
        "not_applicable",
        "broken",
        "Exchange",
        "reply",
        "shown",
    }
    assert all(
        hasattr(public, name)
        for name in ("no_reply", *(named - {"MUST", "SHOULD"}))
        if name in public.__all__
    )
    assert set(re.findall(r"^from conformance.rulebook import (.*)$", PAGE, re.M)[0].split(", ")) <= set(
        public.__all__
    )
