"""The README says what is true: its commands are those of CI, its options exist, its table is the rulebook's."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import trustme

from conformance.protocol import profile_reader
from conformance.protocol.profile import Auth, Target
from conformance.rulebook import RULES
from conformance.rulebook.table import inserted
from fixtures.faults import FAULTS
from tests.servers.library_defects import DEFECTS
from tests.support.recording import ran_here

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
VERBS = (
    "check",
    "call",
    "load",
    "verify",
    "serve",
    "report",
    "compare",
    "explore",
    "replay",
    "init",
    "judge",
    "watch",
)
PROFILES = re.findall(r"^```toml\n(.*?)^```", README, re.S | re.M)


@pytest.mark.parametrize(("name", "ends"), [("check", "conform check"), ("tests", "pytest -q -n 4 tests")])
def test_ci_takes_its_command_from_here(name: str, ends: str) -> None:
    found = re.findall(rf"<!-- ci:{name} -->\n```sh\n(.*?)\n```", README, re.S)
    assert len(found) == 1
    assert found[0].endswith(ends)
    assert "\n" not in found[0]
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("CI runs in bash")
    shown = subprocess.run([bash, ".ci/run", "--show", name], cwd=ROOT, capture_output=True, text=True)
    assert (shown.returncode, shown.stdout) == (0, found[0] + "\n"), shown.stderr


def test_there_are_two_commands_and_no_more() -> None:
    assert README.count("```sh") == 2


def test_the_table_is_the_rulebook() -> None:
    assert inserted(README) == README


@cache
def reported(*verb: str) -> frozenset[str]:
    """Return the options that a verb of the command has."""
    status, out, _ = ran_here(*verb, "--help", cwd=ROOT)
    assert status == 0
    return frozenset(OPTION.findall(out))


def commands(page: str) -> list[tuple[str, str]]:
    """Return the lines and code spans that begin with `conform VERB`, as pairs of verb and rest."""
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page)
    lines = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    found = (
        re.match(
            r"(?:\.venv/bin/)?conform (check|call|load|verify|serve|report|compare|explore|replay)\b(.*?)(?: -- .*)?$",
            text,
        )
        for text in [*spans, *lines]
    )
    return [(match[1], match[2]) for match in found if match]


@pytest.mark.parametrize("name", PAGES)
def test_options_exist(name: str) -> None:
    every = frozenset[str]().union(*(reported(verb) for verb in VERBS))
    every |= reported("catalog", "export") | reported("catalog", "import") | reported("catalog", "validate")
    every |= reported("catalog", "learn")
    others = {"--data-raw", "--host", "--csv", "--otel", "--conform-target"}  # curl's, Locust's, pytest's
    used = set(OPTION.findall(PAGES[name])) - others
    assert used <= every, sorted(used - every)


@pytest.mark.parametrize("name", PAGES)
def test_commands_have_the_options_that_they_are_given(name: str) -> None:
    assert commands(PAGES[name])
    for verb, rest in commands(PAGES[name]):
        words = [word for word in shlex.split(rest) if OPTION.fullmatch(word)]
        assert set(words) <= reported(verb), f"conform {verb}{rest}"


@pytest.mark.parametrize("verb", ["check", "load", "verify"])
def test_every_option_is_reported(verb: str) -> None:
    assert reported(verb) - {"--help"} <= set(OPTION.findall(README))


@pytest.mark.parametrize("name", PAGES)
def test_rules_and_faults_named_exist(name: str) -> None:
    areas = "|".join({rule.area for rule in RULES.values()})
    assert set(re.findall(rf"\b(?:{areas})-\d+", PAGES[name])) <= set(RULES)
    assert set(re.findall(r"--fault ([a-z]+\.[a-z0-9-]+)", PAGES[name])) <= set(FAULTS)


@pytest.mark.parametrize("name", [*PAGES, *DOCS, "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []
    assert links or name == "CHANGELOG.md"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", *DOCS])
def test_paths_named_exist(name: str) -> None:
    """What looks like a path of this project is one; `<area>` and `*` stand for any name."""
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w/.-])((?:conformance|load|reports|fixtures|tests|\.ci)/[\w/.<>*-]*)", text)
    assert paths
    missing = [path for path in paths if not any(ROOT.glob(re.sub(r"<\w+>", "*", path).rstrip("/.")))]
    assert missing == []


@pytest.mark.parametrize("name", re.findall(r"-m benchmarks\.(\w+)", PAGES["CONTRIBUTING.md"]))
def test_benchmarks_named_exist(name: str) -> None:
    folder = ROOT / "benchmarks"
    assert (folder / f"{name}.py").is_file() or (folder / name / "__main__.py").is_file()


def test_counts_are_true() -> None:
    texts = [README, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), PAGES["CONTRIBUTING.md"]]
    counted = {"rules": len(RULES), "known defects": len(DEFECTS)}
    for what, count in counted.items():
        found = [
            int(number)
            for text in texts
            for number in re.findall(rf"(?<![\d-])(\d\d+) {what}(?! failed)", text)
        ]
        assert found, what
        assert set(found) == {count}, what


def test_the_changelog_repeats_nothing() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    long = [line for line in lines if len(line) > 40]
    assert [line for line in long if long.count(line) > 1] == []


def test_the_profile_has_ten_lines() -> None:
    assert len(PROFILES[0].strip().splitlines()) == 10


@pytest.mark.parametrize("shown", range(4))
def test_the_profiles_are_such(shown: int, tmp_path: Path) -> None:
    assert len(PROFILES) == 4
    for named in ("catalogue.openrpc.json", "signing.py"):
        (tmp_path / named).write_text("{}", encoding="utf-8")
    authority = trustme.CA()
    certificate = authority.issue_cert("ann@example.com")
    authority.cert_pem.write_to_path(str(tmp_path / "test-ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "client-key.pem"))
    path = tmp_path / "conform.toml"
    path.write_text(PROFILES[shown], encoding="utf-8")
    names = re.findall(r"\$\{(\w+)\}", PROFILES[shown])
    read = profile_reader.load(
        path, {name: f"value of {name}" if "TOKEN" not in name else "token" for name in names}
    )
    assert bool(names) == (shown < 2)
    assert all(user.secret.startswith("value of ") for user in read.users.values())
    if shown == 0:
        assert set(read.users) == {"owner", "peer"}
        assert read.may_write
    elif shown == 1:
        assert read.auth.whoami is not None
    elif shown == 2:
        assert [waiver.rule for waiver in read.waivers] == ["ENV-6"]
    else:
        assert read.required == ("AUT", "ACC-2", "judged >= 80")


def test_every_key_of_the_target_is_shown() -> None:
    shown = [tomllib.loads(text) for text in PROFILES]
    keys = {key for each in shown for key in each.get("target", ())}
    keys |= set(re.findall(r"^# (\w+) = ", PROFILES[1], re.M))
    assert keys == set(Target.__dataclass_fields__)
    keys = {key for each in shown for key in each.get("auth", ())}
    assert keys == set(Auth.__dataclass_fields__)


def test_the_contents_lead_to_headings() -> None:
    headings = re.findall(r"^#{2,3} (.*)$", README, re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(#([^)]*)\)", README)
    assert len(links) > 15
    assert set(links) <= anchors


def explained(heading: str) -> str:
    """Return the words in code spans of the table under a heading."""
    section = README.partition(f"# {heading}\n")[2].partition("\n#")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert table
    return table


@pytest.mark.parametrize(
    ("screen", "heading", "elsewhere"),
    [
        (
            "closing_screen.py",
            "Every number, and what it means",
            {"says", "found", "expected", "got", "waiver", "note", ""},
        ),
        ("load_screen.py", "What the numbers mean", {"remark", "the search", ""}),
    ],
)
def test_every_number_of_a_closing_screen_is_explained(
    screen: str, heading: str, elsewhere: set[str]
) -> None:
    """`elsewhere` are the labels of lines that are words, not numbers."""
    source = (ROOT / "reports" / "render" / "terminal" / screen).read_text(encoding="utf-8")
    labels = set(re.findall(r"page\.field\(\s*\"([a-z ]*)\"", source))
    assert labels >= elsewhere
    table = explained(heading)
    assert [label for label in sorted(labels - elsewhere) if f"`{label}`" not in table] == []
