"""README and guide say what is true: the commands are those of CI, the options exist, the table is the rulebook's."""

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
from conformance.rulebook.table import PAGE, inserted
from fixtures.faults import FAULTS
from tests.servers.library_defects import DEFECTS
from tests.support.guide import GUIDE, PAGES, README, ROOT
from tests.support.recording import ran_here

#: All texts that people read, by their path.
TEXTS = {
    "README.md": README,
    "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    **{f"docs/{name}": text for name, text in PAGES.items()},
}
DOCS = [name for name in TEXTS if name.startswith("docs/")]
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
PROFILES = re.findall(r"^```toml\n(.*?)^```", PAGES["profile.md"], re.S | re.M)


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
    page = PAGES[PAGE.name]
    assert inserted(page) == page


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


@pytest.mark.parametrize("name", TEXTS)
def test_options_exist(name: str) -> None:
    every = frozenset[str]().union(*(reported(verb) for verb in VERBS))
    every |= reported("catalog", "export") | reported("catalog", "import") | reported("catalog", "validate")
    every |= reported("catalog", "learn")
    # Options of curl, Locust, pytest and mitmproxy.
    others = {"--data-raw", "--host", "--csv", "--otel", "--headless", "--junitxml", "--lf", "--set"}
    used = set(OPTION.findall(TEXTS[name])) - others
    used = {option for option in used if not option.startswith("--conform-")}  # of the plugin for pytest
    assert used <= every, sorted(used - every)


@pytest.mark.parametrize("name", TEXTS)
def test_commands_have_the_options_that_they_are_given(name: str) -> None:
    for verb, rest in commands(TEXTS[name]):
        words = [word for word in shlex.split(rest) if OPTION.fullmatch(word)]
        assert set(words) <= reported(verb), f"conform {verb}{rest}"


@pytest.mark.parametrize("verb", ["check", "load", "verify"])
def test_every_option_is_reported(verb: str) -> None:
    assert reported(verb) - {"--help"} <= set(OPTION.findall(GUIDE))


@pytest.mark.parametrize("name", TEXTS)
def test_rules_and_faults_named_exist(name: str) -> None:
    areas = "|".join({rule.area for rule in RULES.values()})
    assert set(re.findall(rf"\b(?:{areas})-\d+", TEXTS[name])) <= set(RULES)
    assert set(re.findall(r"--fault ([a-z]+\.[a-z0-9-]+)", TEXTS[name])) <= set(FAULTS)


@pytest.mark.parametrize("name", [*TEXTS, "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_the_readers_of_texts_find_something() -> None:
    """What the tests of single pages read is there in the whole."""
    assert len(commands(GUIDE)) > 20
    assert sum(len(re.findall(r"\]\(", text)) for text in TEXTS.values()) > 100


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", *DOCS])
def test_paths_named_exist(name: str) -> None:
    """What looks like a path of this project is one; `<area>` and `*` stand for any name."""
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w/.-])((?:conformance|load|reports|fixtures|tests|\.ci)/[\w/.<>*-]*)", text)
    made = "reports/runs"  # the folder of the runs, which a clone does not have
    missing = [
        path
        for path in paths
        if not path.startswith(made) and not any(ROOT.glob(re.sub(r"<\w+>", "*", path).rstrip("/.")))
    ]
    assert missing == []


@pytest.mark.parametrize("name", re.findall(r"-m benchmarks\.(\w+)", TEXTS["CONTRIBUTING.md"]))
def test_benchmarks_named_exist(name: str) -> None:
    folder = ROOT / "benchmarks"
    assert (folder / f"{name}.py").is_file() or (folder / name / "__main__.py").is_file()


def test_counts_are_true() -> None:
    texts = [GUIDE, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), TEXTS["CONTRIBUTING.md"]]
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


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page."""
    headings = re.findall(r"^#{1,3} (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_to_headings_lead_to_some(name: str) -> None:
    for page, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", TEXTS[name]):
        path = (ROOT / name).parent.joinpath(page).resolve() if page else ROOT / name
        assert anchor in anchors(path.read_text(encoding="utf-8")), f"{page}#{anchor}"


def test_the_readme_is_short_and_the_guide_lists_every_page() -> None:
    assert len(README.splitlines()) <= 200
    listed = set(re.findall(r"\]\(([a-z]+\.md)", PAGES["README.md"]))
    assert listed == set(PAGES) - {"README.md"}


def explained(page: str, heading: str) -> str:
    """Return the table under a heading of a page."""
    section = PAGES[page].partition(f"# {heading}\n")[2].partition("\n#")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert table
    return table


@pytest.mark.parametrize(
    ("screen", "page", "heading", "elsewhere"),
    [
        (
            "closing_screen.py",
            "results.md",
            "Every number, and what it means",
            {"says", "found", "expected", "got", "waiver", "note", ""},
        ),
        ("load_screen.py", "load.md", "What the numbers mean", {"remark", "the search", ""}),
    ],
)
def test_every_number_of_a_closing_screen_is_explained(
    screen: str, page: str, heading: str, elsewhere: set[str]
) -> None:
    """`elsewhere` are the labels of lines that are words, not numbers."""
    source = (ROOT / "reports" / "render" / "terminal" / screen).read_text(encoding="utf-8")
    labels = set(re.findall(r"page\.field\(\s*\"([a-z ]*)\"", source))
    assert labels >= elsewhere
    table = explained(page, heading)
    assert [label for label in sorted(labels - elsewhere) if f"`{label}`" not in table] == []
