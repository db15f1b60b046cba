"""The spellings that the command accepts, and its behaviour when its output cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from conformance.engine.harness import Harness, Request
from conformance.errors import UsageError
from conformance.protocol import profile_reader
from conformance.protocol.base_url import base_url
from tests.support.judging import serving
from tests.support.recording import MAX_SECONDS, PROFILE, ROOT, command, ran, report_in


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.mark.parametrize(
    ("rules", "areas", "wanted"),
    [
        (("env-1",), (), {"ENV-1"}),
        ((" Env-1\n", "ENV-1"), (), {"ENV-1"}),
        (("env-1", "nam-2"), ("nam",), {"NAM-2"}),
        (("pag-2",), (" Paging ",), {"PAG-2"}),
    ],
)
def test_rules_and_areas_are_taken_however_they_are_written(
    rules: tuple[str, ...], areas: tuple[str, ...], wanted: set[str]
) -> None:
    harness = Harness.prepare(Request(rules=rules, areas=areas, plan=True))
    assert harness.wanted == wanted
    assert len(harness.request.rules) == len({rule.strip().upper() for rule in rules})


@pytest.mark.parametrize("rule", ["ENV", "env1", "", "ENV-1,ENV-2"])
def test_a_rule_that_is_not_there_is_named(rule: str) -> None:
    with pytest.raises(UsageError, match=r"--rule .*: there is no such rule"):
        Harness.prepare(Request(rules=(rule,), plan=True))


def test_a_rule_in_small_letters_is_judged(url: str, tmp_path: Path) -> None:
    arguments = ("--rule", "nam-2", "--rule", " nam-3 ", "--budget", "quick", "--out", "o", "--area", "nam")
    status, out, err = ran("check", "--target", f" {url}\n", "--profile", PROFILE, *arguments, cwd=tmp_path)
    assert status == 0, out + err
    verdicts = {rule["id"]: rule["verdict"] for rule in report_in(tmp_path / "o")["rules"]}
    assert verdicts["NAM-2"] == verdicts["NAM-3"] == "pass"


def test_a_url_has_no_white_space_around_it() -> None:
    assert base_url(" HTTP://Example.COM/api\r\n", "url") == "http://example.com/api/"
    with pytest.raises(UsageError):
        base_url("http://example.com/a b", "url")


def test_a_profile_may_begin_with_a_byte_order_mark_and_waive_in_small_letters(tmp_path: Path) -> None:
    path = tmp_path / "conform.toml"
    text = '[[waivers]]\nrule = "env-1"\nreason = "known"\nuntil = 2099-01-01\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [waiver.rule for waiver in profile_reader.load(path).waivers] == ["ENV-1"]


def test_a_secret_that_ends_with_a_line_break_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "conform.toml"
    path.write_text(
        '[auth]\nlogin = { function = "auth.login", user = "u", secret = "s" }\n'
        'key_login = { function = "auth.key", public = "p", private = "${KEY}" }\n'
        '[users.a]\nuser = "a"\nsecret = "${SECRET}"\n[users.b]\nuser = "b"\nsecret = "kept"\n',
        encoding="utf-8",
    )
    hints = profile_reader.load(path, {"SECRET": "hush-1\n", "KEY": "hush-2\r\n"}).hints()
    assert [hint.split(": ")[1].split(" ends")[0] for hint in hints] == [
        "[users.a] secret",
        "[auth] key_login.private",
    ]
    assert "hush" not in "".join(hints)
    assert profile_reader.load(path, {"SECRET": "hush-1", "KEY": "hush-2"}).hints() == []


FULL = "cannot write standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("check", "--rule", "NAM-2", "--budget", "quick", "--out", "o"), f"conform check: {FULL}"),
        (
            ("check", "--rule", "NAM-2", "--budget", "quick", "--out", "o", "--quiet"),
            f"conform check: {FULL}",
        ),
        (("check", "--rule", "NAM-2", "--plan"), f"conform check: {FULL}"),
        (("serve", "--list-faults"), f"conform serve: {FULL}"),
        (("--help",), f"conform: {FULL}"),
        (("call", "course.find"), f"conform call: {FULL}"),
    ],
)
def test_standard_output_on_a_full_disk(arguments: tuple[str, ...], reported: str, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        status, _, err = ran(*arguments, cwd=tmp_path, stdout=full.fileno())
    assert status == 3, err
    assert err.endswith(reported)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("closed", [1, 2])
def test_a_stream_that_was_closed_before_the_start(closed: int, tmp_path: Path) -> None:
    process = command(
        "check",
        "--rule",
        "NAM-2",
        "--budget",
        "quick",
        "--out",
        "o",
        cwd=tmp_path,
        preexec_fn=partial(os.close, closed),
    )
    out, err = process.communicate(timeout=MAX_SECONDS)
    assert process.returncode == 0, out + err
    assert report_in(tmp_path / "o")["verdict"] == "conformant"


#: Runs the command and presses Ctrl-C in the moment in which a module is imported.
PRESSED = """
import os, signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
            # Signals are handled between two steps of the interpreter.
            for _ in range(1000): pass
sys.meta_path.insert(0, Press())
name, sys.argv[:] = sys.argv[1], ["conform", *sys.argv[2:]]
sys.argv.insert(1, name)
from conformance.startup import leave_at_once
argv = sys.argv
leave_at_once()
from conform import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    "module",
    ["conformance.engine.harness", "hypothesis", "conformance.catalog.model", "load.options",
    "reports.model.event_log", "pytest",
     "_pytest.config", "conformance.engine.payload_budget", "conformance.suites.test_http"],
)  # fmt: skip
def test_an_interruption_while_modules_are_imported(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRESSED, module, "check", "--rule", "HTTP-1", "--out", "o"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
