"""Every command that the README and the guide show is run as it stands there, on servers of this machine.

Only what cannot stand in a text is put in its place: addresses, and what makes a run short.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.protocol.profile_reader import load
from reports.render.html.page import anchor_of
from tests.support.captures import entry, write_har
from tests.support.guide import ROOT, RUN_HERE
from tests.support.judging import serving
from tests.support.recording import command, ran, ran_bare_pytest

SERVICE = ROOT / "fixtures" / "service"
LINES = {
    *re.findall(r"^    ((?:conform|pytest) .*?)(?: {2,}.*)?$", RUN_HERE, re.M),
    *re.findall(r"(?<!`)`(conform \w+ [^`\n]*-[^`\n]+)`(?!`)", RUN_HERE),
}

#: What keeps a run short; the options that the guide shows stay.
CHECK = "--rule COD-4 --rule NAM-2 --for 1s"
LOAD = "--duration 2s --no-calibration"
#: A load of seconds has too few samples for its SLOs: that is no pass, and no mistake.
SHORT = frozenset({0, 3})


@dataclass(frozen=True)
class Way:
    """How a line of the guide is run here: with `more` options, to end with one of `statuses`.

    A line that goes on until it is ended `stays`; one that is `beside` another is run with it. What it makes is not
    there `before`; a `thorough` one shows little that the others do not.
    """

    more: str = ""
    statuses: frozenset[int] = frozenset({0})
    stays: bool = False
    beside: bool = False
    before: tuple[str, ...] = ()
    thorough: bool = False


MASTER = "conform load --master --workers 8 --target URL --profile conform.toml"
WORKER = "conform load --worker --master-host HOST --target URL --profile conform.toml"
WAYS = {
    "conform check": Way(CHECK),
    "conform check --plan": Way(),
    "conform check --target URL": Way("--budget quick", before=("conform.toml",)),
    "conform check --target URL --profile fixtures/service/conform.toml": Way(CHECK),
    "conform check --target URL --profile fixtures/service/conform.toml --rule PAG-2": Way(),
    "conform check --cases corpus --for 10m": Way("--profile conform.toml --target URL --rule COD-4"),
    "pytest conformance --target URL --profile conform.toml --rule PAG-2": Way(),
    "conform verify --profile conform.toml --baseline reports/runs/last-release --fail-on regression": Way(
        f"--target URL {CHECK} {LOAD}", frozenset({0, 1, 3})
    ),
    "conform verify --budget quick --slo 'p95 < 300ms'": Way(f"{CHECK} {LOAD}", SHORT),
    "conform load": Way(LOAD, SHORT),
    "conform load --target URL --plan": Way(),
    "conform load --rate 'ramp 10/s to 400/s' --duration 5m --slo 'p95 < 300ms' --slo 'course.find errors < 0.5%'": Way(
        LOAD, SHORT, thorough=True
    ),
    "conform load --search '10/s to 2000/s, 10s each' --slo 'p99 < 50ms'": Way("--plan"),
    "conform load --users 50 --think 1s..3s --scenario student": Way(LOAD, SHORT, thorough=True),
    "conform load -- --csv figures": Way(LOAD, SHORT, thorough=True),
    MASTER: Way(beside=True),
    WORKER: Way(beside=True),
    "conform report reports/runs/20261123T135517Z-check": Way(
        before=("reports/runs/20261123T135517Z-check/report.html",)
    ),
    "conform report --index reports/runs": Way(),
    "conform compare BEFORE AFTER --fail-on regression": Way("", SHORT),
    "conform explore": Way(stays=True),
    "conform explore --target URL --profile conform.toml": Way(stays=True),
    "conform explore reports/runs/20261123T135517Z-check": Way(stays=True),
    "conform explore reports/runs/20261123T135517Z-check --finding ENV-5-702befc8": Way(stays=True),
    # test_own_rules.py and test_own_tests.py run these, with the files of docs/extend.md.
    "conform check --rules checks/our_rules.py": Way(beside=True),
    "conform check --suite tests": Way(beside=True),
    "pytest --conform-target URL tests": Way(beside=True),
    "conform catalog import DOCS --out catalogue.openrpc.json": Way(before=("catalogue.openrpc.json",)),
    "conform catalog validate catalogue.openrpc.json": Way(),
    "conform catalog learn reports/runs/20261123T135517Z-check --out learnt.openrpc.json": Way(),
    "conform catalog learn reports/runs/20261123T135517Z-check --out catalogue.openrpc.json --check": Way(),
    "conform init --target URL --from DOCS --user owner --user peer": Way(
        before=("conform.toml", "catalogue.openrpc.json")
    ),
    "conform replay cases/ENV-5-user.find-a9c96b4d.json --target URL --profile conform.toml": Way(),
    "conform judge traffic.har": Way(),
    "conform watch --listen 127.0.0.1:8900 --profile conform.toml": Way(stays=True),
    "conform check --har traffic.har --profile conform.toml": Way(),
    "conform catalog export --openapi coursio.json": Way(),
    "conform catalog export catalogue.json --openapi coursio.json --per-function --strict --target URL": Way(),
    'conform call course.find \'{"query": "python"}\' --as owner --page-length 1': Way(),
    'conform call --raw \'{"method": "ping"}\' --endpoint sys --verb PUT': Way("", frozenset({1})),
    "conform serve --port 8765": Way(stays=True),
    "conform serve --port 8765 --fault paging.last-page-short": Way(stays=True),
    "conform serve --list-faults": Way(),
    "conform serve --list-hostile": Way(),
    "conform serve --hostile NAME": Way(stays=True),
    "conform serve --port 8765 --fault envelope.blank-message --fault security.no-nosniff-on-404": Way(
        stays=True
    ),
}


def named(line: str) -> str:
    """Return a line with the addresses that the guide uses as names."""
    line = re.sub(r"https://t-api\.example\.com/api/|http://127\.0\.0\.1:8765/api/", "URL", line)
    return line.replace("https://t-api.example.com/docs/", "DOCS")


def test_each_command_is_known_here() -> None:
    assert sorted(map(named, LINES)) == sorted(WAYS)


def conform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    status, out, err = ran(*arguments, cwd=folder)
    return subprocess.CompletedProcess(arguments, status, out, err)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def prepared(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the guide's lines name: a profile, catalogues, earlier runs, a case file."""
    folder = tmp_path_factory.mktemp("guide")
    for name in ("conform.toml", "coursio.openrpc.json", "seed.toml"):
        target = folder / "fixtures" / "service" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SERVICE / name, target)
        shutil.copy(SERVICE / name, folder / name)
    profile = folder / "conform.toml"
    profile.write_text(profile.read_text("utf-8").replace("[target]", f'[target]\nurl = "{url}"'), "utf-8")
    for name in ("catalogue.json", "catalogue.openrpc.json"):
        shutil.copy(SERVICE / "coursio.openrpc.json", folder / name)
    runs = folder / "reports" / "runs"
    given = ("--profile", "conform.toml", "--seed", "7", "--for", "1s", "--quiet")
    with serving("--fault", "codes.unknown-endpoint-400") as broken:
        done = conform(
            folder, "check", "--target", broken, "--rule", "COD-4", "--out", str(runs / "first"), *given
        )
        assert done.returncode == 1, done.stderr
    for copied in ("reports/runs/20261123T135517Z-check", "reports/runs/last-release", "BEFORE", "AFTER"):
        shutil.copytree(runs / "first", folder / copied)
    unknown = entry("course.seek", None, status=404, message="Function doesn't exist", url=f"{url}course")
    write_har(folder / "traffic.har", [unknown])
    case = next((runs / "first" / "cases").glob("COD-4-*.json"))
    for retained in ("cases", "corpus"):
        (folder / retained).mkdir()
        shutil.copy(case, folder / retained / "ENV-5-user.find-a9c96b4d.json")
    return folder


def words(line: str, url: str, more: str) -> list[str]:
    """Return the arguments that stand for a line here."""
    docs = url.removesuffix("api/") + "docs/"
    before, dashes, after = line.partition(" -- ")
    text = f"{before} {more}{dashes}{after}"
    given = [
        {"URL": url, "DOCS": docs, "HOST": "127.0.0.1", "NAME": "text.poison"}.get(word, word)
        for word in shlex.split(text)
    ]
    free = {"--port": "0", "--listen": "127.0.0.1:0"}
    return [free.get(before, word) for before, word in zip(["", *given], given, strict=False)][1:]


def ends_as_expected(status: int | None, said: str, statuses: frozenset[int]) -> bool:
    """Return whether a command ended as it may: a short load on a busy machine may truly miss an SLO."""
    missed = statuses >= SHORT and status == 1 and re.search(r"SLOs? of \d+ missed", said) is not None
    return missed or status in statuses


def clean(folder: Path, done: subprocess.CompletedProcess[str], statuses: frozenset[int]) -> None:
    said = done.stdout + done.stderr
    assert ends_as_expected(done.returncode, said, statuses), said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=[pytest.mark.thorough] * way.thorough)
        for line, way in WAYS.items()
        if not way.stays and not way.beside
    ],
)
def test_a_command_does_what_it_says(line: str, url: str, prepared: Path, tmp_path: Path) -> None:
    way, folder = WAYS[line], tmp_path / "here"
    shutil.copytree(prepared, folder)
    for name in way.before:
        (folder / name).unlink()
    given = words(line, url, way.more)
    if line.startswith("pytest"):
        options = [*given, "--out", str(folder / "out"), "--seed", "7"]
        options = [str(folder / each) if each == "conform.toml" else each for each in options]
        clean(
            folder, subprocess.CompletedProcess(options, *ran_bare_pytest(*options, cwd=ROOT)), way.statuses
        )
        assert (folder / "out" / "report.json").exists()
        return
    before = {path for path in folder.rglob("*") if path.is_file()}
    clean(folder, conform(folder, *given), way.statuses)
    made = {path.name for path in folder.rglob("*") if path.is_file() and path not in before}
    verb = given[0]
    if verb in ("check", "load", "verify") and "--plan" not in given:
        assert {"events.jsonl", "report.json", "report.html", "report.md", "junit.xml"} <= made
        assert ("statement.txt" in made) == (verb == "verify")
        assert "--csv" not in given or "figures_stats.csv" in made
    if verb == "report":
        assert {"report.html", "index.html"} & made
    if "--openapi" in given:
        written = json.loads((folder / "coursio.json").read_text(encoding="utf-8"))
        assert written["openapi"].startswith("3.1")
    if verb == "init":
        text = (folder / "conform.toml").read_text(encoding="utf-8")
        assert set(
            load(folder / "conform.toml", dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "s")).users
        ) == {"owner", "peer"}


def first_finding(run: Path) -> str:
    """Return the id of the first finding of a run's report."""
    report = json.loads((run / "report.json").read_text("utf-8"))
    return next(
        anchor_of(rule["id"], finding["function"], finding["kind"])
        for rule in report["rules"]
        for finding in rule["findings"]
    )


@pytest.mark.parametrize("line", [line for line, way in WAYS.items() if way.stays])
def test_a_server_serves_until_it_is_ended(line: str, url: str, prepared: Path) -> None:
    named_here = line.replace("ENV-5-702befc8", first_finding(prepared / "reports" / "runs" / "first"))
    process = command(
        *words(named_here, url, WAYS[line].more), cwd=prepared, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        shown = json.loads(said)["url"]
        page = shown if "explore" in line else shown.removesuffix("api/") + "docs/"
        with urllib.request.urlopen(page, timeout=240) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGINT)
        _, wrong = process.communicate(timeout=600)
    # The page is no call, so a proxy that judges calls has nothing to say.
    assert process.returncode == 3 if "watch" in line else process.returncode in (0, 130)
    assert "Traceback" not in wrong


def test_a_master_and_its_workers(url: str, prepared: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    one = MASTER.replace("--workers 8", "--workers 1")
    master, worker = (
        command(*words(line, url, f"--master-port {port} {more}"), cwd=prepared)
        for line, more in ((one, f"{LOAD} --out {tmp_path / 'run'}"), (WORKER, ""))
    )
    try:
        said = [*master.communicate(timeout=600), *worker.communicate(timeout=600)]
    finally:
        for process in (master, worker):
            process.kill()
            process.wait()
    assert ends_as_expected(master.returncode, "".join(said), SHORT), said
    assert worker.returncode == 0, said
    assert (
        json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["load"]["total"][
            "requests"
        ]
        > 0
    )
