"""The command as users see it: exit statuses, one line for each mistake, nothing lost, no secret shown."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from conformance.events import ExchangeEvent
from conformance.rulebook import RULES
from conformance.rulebook.model import AREAS
from fixtures.faults import FAULTS
from fixtures.faults.registry import Fault
from fixtures.service.service import Service
from reports.model.builder import build
from reports.model.event_log import read_events
from reports.model.files import validate
from tests.support.judging import ROOT, broken, foreign, judge, profile_of, serving, serving_here, verdicts
from tests.support.recording import command, ran, ran_bare_pytest, ran_here

PROFILE = ROOT / "fixtures" / "service" / "conform.toml"


def conform(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> CompletedProcess[str]:
    status, out, err = ran(*arguments, cwd=cwd, env={**os.environ, **(env or {})})
    return CompletedProcess(arguments, status, out, err)


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    validate(found)
    return found


@pytest.fixture(scope="module")
def clean() -> Iterator[str]:
    with serving_here() as (url, _):
        yield url


class Listener:
    """Listens, and counts who comes."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()


def test_clean_target_passes_and_leaves_its_files(clean: str, tmp_path: Path) -> None:
    done = conform(
        "check",
        "--target",
        clean,
        "--profile",
        str(PROFILE),
        "--rule",
        "REQ-1",
        "--seed",
        "5",
        "--out",
        "o",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("passes what was judged: 1 of ")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    found = report(tmp_path / "o")
    assert found["seed"] == 5
    assert verdicts(found)["REQ-1"] == "pass"
    assert all(r["reason"] == "left out by --rule" for r in found["rules"] if r["id"] != "REQ-1")
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        "events.jsonl", "report.json", "report.html", "report.md", "report.sarif", "junit.xml",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "rule", "selection", "strict", "status"),
    [
        # The rule applies to all exchanges. Those of its area are enough.
        ("envelope.blank-message", "ENV-5", ("--area", "ENV"), False, 1),
        ("naming.function-in-both-spellings", "NAM-3", ("--rule", "NAM-3"), False, 0),
        ("naming.function-in-both-spellings", "NAM-3", ("--rule", "NAM-3"), True, 1),
    ],
)
def test_fault_decides_the_exit_status(
    fault: str, rule: str, selection: tuple[str, ...], strict: bool, status: int, tmp_path: Path
) -> None:
    with serving_here(fault) as (url, _):
        extra = ["--strict"] if strict else []
        done = conform(
            "check",
            "--target",
            url,
            "--profile",
            str(PROFILE),
            *selection,
            "--budget",
            "quick",
            "--for",
            "1s",
            "--out",
            "o",
            *extra,
            cwd=tmp_path,
        )
    assert done.returncode == status, done.stdout + done.stderr
    findings = next(r for r in report(tmp_path / "o")["rules"] if r["id"] == rule)["findings"]
    assert "3/3" in {finding["reproduced"] for finding in findings}
    assert all(finding["curl"].startswith("curl ") for finding in findings)
    assert f"  shown by   {rule} " in done.stdout


WRONG = [
    (["check", "--nonsense"], "--nonsense"),
    (["check", "--rule", "ENV-55"], "ENV-55"),
    (["check", "--area", "FOO"], "FOO"),
    (["check", "--rule", "ENV-5", "--area", "PAG"], "select nothing"),
    (["check", "--profile", "missing.toml"], "missing.toml"),
    (["check", "--profile", "broken.toml"], "broken.toml"),
    (["check", "--profile", "unset.toml"], "NOT_SET_ANYWHERE"),
    (["check", "--profile", "waiver.toml"], "ENV-77"),
    (["check", "--profile", "catalogue.toml"], "catalogue.json"),
    (["check", "--target", "ftp://host/api"], "ftp"),
    (["check", "--jobs", "0"], "--jobs"),
    (["check", "--seed", "x"], "--seed"),
    (["check", "--budget", "huge"], "--budget"),
    (["check", "--target", "http://127.0.0.1:9/", "--out", "a-file"], "a-file"),
    (["call", "course.find", "{nope"], "JSON"),
    (["call"], "ENTITY.FUNCTION"),
    (["call", "course.find", "--as", "nobody"], "nobody"),
    (["serve", "--fault", "paging.last-pag"], "paging.last-page"),
    ([], "VERB"),
]

#: Mistakes that are tried in a process of their own: one is found by the suites, which pytest runs.
IN_A_PROCESS = ("a-file", "FOO")


@pytest.mark.parametrize(("arguments", "reported"), WRONG, ids=[" ".join(a) or "nothing" for a, _ in WRONG])
def test_mistake_is_one_line_and_status_2(arguments: list[str], reported: str, tmp_path: Path) -> None:
    head = '[target]\nurl = "http://127.0.0.1:9/api/"\n'
    (tmp_path / "broken.toml").write_text("[target\n", encoding="utf-8")
    (tmp_path / "unset.toml").write_text(head + 'headers = { X = "${NOT_SET_ANYWHERE}" }\n', encoding="utf-8")
    (tmp_path / "waiver.toml").write_text(
        head + '[[waivers]]\nrule = "ENV-77"\nreason = "x"\nuntil = 2099-01-01\n', encoding="utf-8"
    )
    (tmp_path / "catalogue.toml").write_text(head + 'catalog = "catalogue.json"\n', encoding="utf-8")
    (tmp_path / "catalogue.json").write_text('{"openrpc": "1.3.2"', encoding="utf-8")
    (tmp_path / "a-file").write_text("", encoding="utf-8")
    run = ran if reported in IN_A_PROCESS else ran_here
    status, out, err = run(*arguments, cwd=tmp_path)
    assert status == 2, out + err
    assert reported in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_production_host_is_refused_before_a_byte_is_sent(tmp_path: Path) -> None:
    listener = Listener()
    (tmp_path / "conform.toml").write_text(
        f'[target]\nurl = "http://127.0.0.1:{listener.port}/api/"\nproduction = ["127.0.0.1"]\n',
        encoding="utf-8",
    )
    status, _, err = ran_here("check", cwd=tmp_path)
    assert status == 2
    assert "production" in err
    assert listener.connections == 0
    listener.socket.close()


def test_plan_sends_nothing(tmp_path: Path) -> None:
    listener = Listener()
    url = f"http://127.0.0.1:{listener.port}/api/"
    common = (
        "--target",
        url,
        "--profile",
        str(PROFILE),
        "--budget",
        "quick",
        "--rule",
        "REQ-8",
        "--rule",
        "STA-1",
    )
    plan = conform("check", "--plan", *common, cwd=tmp_path)
    reads = conform("check", "--plan", "--read-only", *common, cwd=tmp_path)
    assert plan.returncode == reads.returncode == 0, plan.stderr + reads.stderr
    assert listener.connections == 0
    rows = {
        line.split()[0]: line.split()[1:]
        for line in plan.stdout.splitlines()
        if line[:1].islower() and "." in line.split()[0]
    }
    assert rows["course.add"][0] == "write"
    assert int(rows["course.add"][1]) > int(rows["course.add"][2]) > 0
    assert "course.add" not in {
        line.split()[0] for line in reads.stdout.splitlines() if "write" in line and line[:1].islower()
    }
    listener.socket.close()


@pytest.mark.parametrize("kind", ["nobody listens", "no HTTP", "closes at once"])
def test_nothing_can_be_said_of_a_target_that_does_not_answer(kind: str, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if kind == "nobody listens":
        listener.close()
    else:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if kind == "no HTTP":
                    connection.recv(65536)
                    connection.sendall(b"220 mail.example.com ESMTP\r\n")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
    done = conform(
        "check", "--target", f"http://127.0.0.1:{port}/api/", "--budget", "quick", "--out", "o", cwd=tmp_path
    )
    listener.close()
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert report(tmp_path / "o")["verdict"] == "undecided"


def test_target_alone_is_judged_without_credentials(clean: str, tmp_path: Path) -> None:
    done = conform("check", "--target", clean, "--budget", "quick", "--for", "1s", "--out", "o", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = report(tmp_path / "o")
    said = verdicts(found)
    assert {said[rule] for rule in ("ENV-1", "HTTP-4", "COD-4", "REQ-1", "REQ-4", "REQ-5", "SEC-6")} == {
        "pass"
    }
    for rule in found["rules"]:
        if rule["id"] in ("AUT-1", "PAG-1", "STA-1", "ACC-2"):
            assert rule["verdict"] == "not judged"
            assert rule["lines"].startswith("[")
    assert "[auth]" in done.stdout


def test_wrong_password_is_one_finding_and_the_rest_is_not_judged(clean: str, tmp_path: Path) -> None:
    text = PROFILE.read_text(encoding="utf-8").replace("Correct-Horse-7-owner", "Another-Horse-7-owner")
    (tmp_path / "coursio.openrpc.json").write_bytes((PROFILE.parent / "coursio.openrpc.json").read_bytes())
    (tmp_path / "conform.toml").write_text(text, encoding="utf-8")
    rules = [*(rule for rule in RULES if rule.startswith("AUT-")), "ACC-2", "PAG-2", "NAM-1", "HTTP-3"]
    found = judge(target=clean, profile=tmp_path / "conform.toml", rules=rules, budget="quick", generated=0.1)
    assert set(broken(found)) == {"AUT-1"}
    assert any("could not sign in as owner" in (rule["reason"] or "") for rule in found["rules"])


#: Rules some of whose tests only read, and others write.
READING = ("REQ-1", "REQ-8", "STA-1", "STA-3", "PAG-2", "ACC-2", "DAT-1")


def test_read_only_calls_only_what_reads(clean: str, tmp_path: Path) -> None:
    done = conform(
        "check",
        "--read-only",
        "--target",
        clean,
        "--profile",
        str(PROFILE),
        *(option for rule in READING for option in ("--rule", rule)),
        "--budget",
        "quick",
        "--for",
        "1s",
        "--out",
        "o",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    catalogue = json.loads((PROFILE.parent / "coursio.openrpc.json").read_text(encoding="utf-8"))
    reads = {method["name"] for method in catalogue["methods"] if method.get("x-effect") == "read"}
    called = set()
    for event in read_events(tmp_path / "o" / "events.jsonl"):
        if isinstance(event, ExchangeEvent) and "." in (event.function or ""):
            called.add(event.function)
    assert called - reads <= {"auth.login", "auth.logout"}
    assert len(called & reads) > 10
    assert report(tmp_path / "o")["leftovers"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_keeps_what_was_found_and_cleans_up(number: int, tmp_path: Path) -> None:
    with serving("--fault", "envelope.blank-message") as url:
        before = _courses(url)
        process = command("check", "--target", url, "--profile", PROFILE, "--out", "o", cwd=tmp_path)
        log = tmp_path / "o" / "events.jsonl"
        until = time.monotonic() + 30
        while time.monotonic() < until and not (log.exists() and log.stat().st_size > 600_000):
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 130, out + err
        assert "Traceback" not in out + err
        found = report(tmp_path / "o")
        assert found["interrupted"]
        assert _courses(url) == before


def _courses(url: str) -> int:
    common = ("--as", "owner", "--quiet", "--target", url, "--profile", PROFILE)
    status, out, err = ran_here("call", "course.find", "{}", *common, cwd=ROOT)
    assert status == 0, err
    return len(json.loads(out)["data"]["courses"])


def test_killed_run_shows_what_was_found(tmp_path: Path) -> None:
    with serving("--fault", "http.html-for-unknown-endpoint") as url:
        process = command(
            "check",
            "--target",
            url,
            "--profile",
            PROFILE,
            "--area",
            "ENV",
            "--out",
            "o",
            "--quiet",
            cwd=tmp_path,
        )
        log = tmp_path / "o" / "events.jsonl"
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            if log.exists() and b'"event":"finding"' in log.read_bytes().replace(b'": "', b'":"'):
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
    found = build(read_events(log))
    assert found["interrupted"]


def test_bare_pytest_does_the_same(clean: str, tmp_path: Path) -> None:
    common = ["--profile", str(PROFILE), "--budget", "quick"]
    good, out, err = ran_bare_pytest(
        ROOT / "conformance", "--target", clean, "--out", tmp_path / "a", "--rule", "NAM-2", "--rule", "COD-4", *common,
        cwd=tmp_path,
    )  # fmt: skip
    assert good == 0, out + err
    assert "passes what was judged" in out
    with serving_here("paging.zero-is-all") as (url, _):
        bad, out, err = ran_bare_pytest(
            ROOT / "conformance",
            "--target",
            url,
            "--out",
            tmp_path / "b",
            "--rule",
            "PAG-7",
            *common,
            cwd=tmp_path,
        )
    assert bad == 1, out[-2000:] + err
    assert "PAG-7 must" in out
    assert report(tmp_path / "b")["verdict"] == "nonconformant"


def _spellings(secret: str) -> list[str]:
    plain = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(plain).decode().rstrip("="),
        plain.hex(),
    ]


@pytest.mark.parametrize(
    "fault",
    ["security.password-in-message", "security.session-in-message", "authentication.password-in-any-case"],
)
def test_no_secret_is_reported(fault: str, tmp_path: Path) -> None:
    with serving_here(fault) as (url, catalogue):
        path = profile_of(catalogue, tmp_path)
        text = path.read_text(encoding="utf-8").replace(
            "[auth]", 'headers = { "X-Gate" = "${GATE_CANARY}" }\n\n[auth]', 1
        )
        path.write_text(text.replace('"Correct-Horse-7-owner"', '"${OWNER_CANARY}"'), encoding="utf-8")
        env = {"GATE_CANARY": "gate/canary+81722", "OWNER_CANARY": "Correct-Horse-7-owner"}
        done = conform(
            "check",
            "--target",
            url,
            "--profile",
            str(path),
            *(option for rule in FAULTS[fault].trips for option in ("--rule", rule)),
            "--budget",
            "quick",
            "--for",
            "1s",
            "--out",
            "o",
            cwd=tmp_path,
            env=env,
        )
    assert done.returncode == 1, done.stdout + done.stderr
    reported = done.stdout + done.stderr
    reported += "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "o").rglob("*") if p.is_file())
    assert list((tmp_path / "o" / "cases").iterdir())
    secrets = [*env.values(), "Battery-Staple-8-peer", "Quiet-Harbour-9-admin", "owner-private-key-4c1f9a"]
    assert [form for secret in secrets for form in _spellings(secret) if form in reported] == []


def test_call_shows_the_exchange_and_what_the_rules_say(clean: str, tmp_path: Path) -> None:
    common = ["--target", clean, "--profile", str(PROFILE), "--no-color"]
    good = conform("call", "course.find", "{}", "--as", "owner", *common, cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    assert good.stdout.startswith("curl ")
    assert "Token: ***" in good.stdout
    status, out, _ = ran_here("call", "course.find", "{}", *common, cwd=tmp_path)
    assert status == 1
    assert "401" in out
    status, out, _ = ran_here("call", "--raw", "{nope", "--endpoint", "course", *common, cwd=tmp_path)
    assert status == 1
    assert "{nope" in out
    _, out, _ = ran_here("call", "--verb", "DELETE", "--endpoint", "course", *common, cwd=tmp_path)
    assert "405" in out
    status, *_ = ran_here("call", "course.find", "--target", "http://127.0.0.1:9/", cwd=tmp_path)
    assert status == 3


def test_waivers_count_until_their_day(tmp_path: Path) -> None:
    with serving_here("paging.zero-is-all") as (url, catalogue):
        path = profile_of(catalogue, tmp_path)
        text = path.read_text(encoding="utf-8")
        for until, status, verdict in (("2099-01-01", 0, "waived"), ("2020-01-01", 1, "fail")):
            path.write_text(
                f'{text}\n[[waivers]]\nrule = "PAG-7"\nreason = "known"\nuntil = {until}\n', encoding="utf-8"
            )
            done = conform(
                "check",
                "--target",
                url,
                "--profile",
                str(path),
                "--rule",
                "PAG-7",
                "--budget",
                "quick",
                "--out",
                until,
                cwd=tmp_path,
            )
            assert done.returncode == status, done.stdout
            assert verdicts(report(tmp_path / until))["PAG-7"] == verdict


def test_jobs_find_the_same(tmp_path: Path) -> None:
    with foreign("library", "--defect", "maximum-off-by-one") as server:
        alone = judge(profile=Path(server["profile"]), target=server["url"], rules=["REQ-9"])
        many = judge(profile=Path(server["profile"]), target=server["url"], rules=["REQ-9"], jobs=4)
    assert set(broken(alone)) == set(broken(many)) == {"REQ-9"}


#: The areas whose tests are most affected by a reset: sessions, objects, lists.
LOSING = ("AUT", "ACC", "PAG", "STA")


@pytest.mark.parametrize(
    ("areas", "entities", "every"),
    [
        (LOSING, ("auth", "course", "sys"), 600),
        pytest.param(AREAS, (), 700, marks=pytest.mark.thorough),
    ],
)
def test_reset_in_the_middle_is_overcome(
    areas: Collection[str],
    entities: Collection[str],
    every: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def violation(service: Service) -> Service:
        calls = 0

        async def run(inner: Any, call: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls % every == 0:
                service.resync()
            return await inner(call)

        service.wrap("run", run)
        return service

    monkeypatch.setitem(FAULTS, "reset", Fault("reset", (), "reset.", True, violation))
    rules = [rule for rule in RULES if rule.split("-")[0] in areas]
    with serving_here("reset") as (url, catalogue):
        profile = profile_of(catalogue, tmp_path, entities=entities)
        found = judge(target=url, profile=profile, budget="quick", rules=rules, generated=0.3)
    assert found["resets"] >= 2
    assert broken(found) == {}
    assert found["verdict"] == "conformant"


@pytest.mark.thorough
def test_one_rule_that_every_exchange_is_judged_by(clean: str, tmp_path: Path) -> None:
    """All tests are run for it, with those of generated payloads."""
    status, out, err = ran(
        "check", "--target", clean, "--profile", PROFILE, "--budget", "quick", "--for", "1s", "--rule", "ENV-8",
        "--out", "o", cwd=tmp_path,
    )  # fmt: skip
    assert status == 0, out + err
    found = report(tmp_path / "o")
    assert found["errors"] == []
    assert found["coverage"]["functions"]


def test_same_seed_sends_the_same_requests(tmp_path: Path) -> None:
    """Processes that Python starts differ in the seed of their hashes, and forked ones do not."""
    sent = []
    entities = ("auth", "course", "lesson", "message", "sys")
    profile = profile_of(Service(":memory:").catalogue(), tmp_path, entities=entities)
    for folder in ("a", "b"):
        with serving() as url:
            command_line = [
                *(sys.executable, ROOT / "conform.py", "check", "--target", url, "--profile", profile),
                # Rules without generated payloads: how many of those are sent depends on the time that they take.
                *(
                    word
                    for rule in ("ACC-1", "ACC-2", "ACC-3", "REQ-2", "REQ-8")
                    for word in ("--rule", rule)
                ),
                *("--budget", "quick", "--for", "1s", "--seed", "11", "--out", folder),
            ]
            done = subprocess.run(command_line, cwd=tmp_path, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, done.stdout
        port = url.split(":")[2].split("/")[0]
        events = read_events(tmp_path / folder / "events.jsonl")
        sent.append([_bytes(e).replace(port, "PORT") for e in events if isinstance(e, ExchangeEvent)])
    assert len(sent[0]) == len(sent[1]) > 300
    assert [pair for pair in zip(*sent, strict=True) if pair[0] != pair[1]] == []


def _bytes(event: ExchangeEvent) -> str:
    """Return what was sent, without identifiers that the target chose and key logins' moments."""
    sent = json.dumps(msgspec.to_builtins(event.request))
    request = re.sub(r"\\+u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), sent)
    # Identifiers are sent with digits of other scripts, too.
    request = "".join(str(unicodedata.digit(each, each)) for each in request)
    if (event.function or "").endswith("loginHmac"):
        return "key login"
    identifiers = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|pay_[0-9a-f]{24}"
    request = re.sub(identifiers, "ID", request)
    request = re.sub(r'"Content-Length": "\d+"', "", request)
    return f"{event.function} {request}"
