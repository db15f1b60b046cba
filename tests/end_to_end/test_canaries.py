"""No output contains a secret: planted in the profile, the environment, and the target's answers.

The target repeats passwords and sessions in its error messages. The output and the files of each command are searched
for every spelling of them, also after a command was interrupted.
"""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from fixtures.hostile import serving as misbehaving
from tests.support.exploring import exploring
from tests.support.judging import serving
from tests.support.recording import PROFILE, Recorder, command, ran, recording, until
from tests.support.signalling import limits_file_size

#: Secrets of the environment: a header that a gateway before the target requires, a password, and a key that signs
#: logins.
PLANTED = {
    "GATE_CANARY": 'gate/canary+81722 "quoted"é',
    "OWNER_CANARY": "Correct-Horse-7-owner",
    "KEY_CANARY": "owner-private-key-4c1f9a",
}
#: Secrets in the profile itself.
WRITTEN = ("Battery-Staple-8-peer", "Quiet-Harbour-9-admin")
#: A password that is typed on the command line.
TYPED = "Wrong-Canary-55"
CHECK = ("--budget", "quick", "--seed", "7", "--for", "1s", "--rule", "AUT-2", "--rule", "COD-10")
LOAD = ("--rate", "40/s", "--duration", "3s", "--no-calibration")


@pytest.fixture(scope="module")
def target() -> Iterator[Recorder]:
    faults = (
        "security.password-in-message",
        "security.session-in-message",
        "authentication.password-in-any-case",
    )
    with serving(*(word for name in faults for word in ("--fault", name))) as url, recording(url) as recorder:
        yield recorder


@pytest.fixture(autouse=True)
def _anew(target: Recorder) -> None:
    """Forget the sessions of earlier tests, which this test's command never received."""
    target.answered.clear()


@pytest.fixture
def here(target: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a profile, some of whose secrets come from the environment."""
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "coursio.openrpc.json").write_bytes((PROFILE.parent / "coursio.openrpc.json").read_bytes())
    text = PROFILE.read_text(encoding="utf-8").replace('"Correct-Horse-7-owner"', '"${OWNER_CANARY}"')
    text = text.replace('"owner-private-key-4c1f9a"', '"${KEY_CANARY}"')
    gate = f'url = "{target.url}"\nheaders = {{ "X-Gate" = "${{GATE_CANARY}}" }}\n'
    assert text.count("${") == 2
    (tmp_path / "conform.toml").write_text(
        text.replace('environment = "test"', f'{gate}environment = "test"'), "utf-8"
    )
    return tmp_path


def spellings(secret: str) -> set[str]:
    """Return the forms in which a text may contain a secret."""
    plain = secret.encode()
    found = {secret, quote(secret, safe=""), quote_plus(secret), plain.hex()}
    found |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    # Base64 of a longer text has the secret at one of three offsets, without the characters shared with neighbours.
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + plain).decode().rstrip("=")
            found.add(text[(before * 8 + 5) // 6 : len(text) - (1 if (before + len(plain)) % 3 else 0)])
    return found


def assert_retained(folder: Path, target: Recorder, *reported: str) -> None:
    """Assert that no output and no written file contains a secret."""
    secrets = {*PLANTED.values(), *WRITTEN, TYPED, *target.sessions}
    assert target.sessions, "nobody signed in"
    texts = {f"output {number}": text for number, text in enumerate(reported)}
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("conform.toml", "coursio.openrpc.json"):
            texts[str(path.relative_to(folder))] = path.read_bytes().decode("utf-8", "replace")
    forms = {form for secret in secrets for form in spellings(secret)}
    assert [(name, form) for name, text in texts.items() for form in forms if form in text] == []


@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [
        (("check", *CHECK), {1}),
        (("load", *LOAD), {0, 1, 3}),
        pytest.param(("load", *LOAD, "--scenario", "signin"), {0, 1, 3}, marks=pytest.mark.thorough),
        (("verify", "--budget", "quick", "--seed", "7", "--for", "1s", "--rule", "AUT-2", *LOAD), {1}),
        (("call", "auth.login", '{"identity": "owner@example.com", "credential": "' + TYPED + '"}'), {1}),
        (("call", "auth.status", "--as", "owner"), {0}),
        (("call", "course.read", '{"courseId": "no-such-course"}', "--as", "peer"), {1}),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_run_to_its_end(
    arguments: tuple[str, ...], statuses: set[int], here: Path, target: Recorder
) -> None:
    status, out, err = ran(*arguments, cwd=here)
    assert status in statuses, out + err
    if TYPED in arguments[-1]:
        ran("call", "auth.status", "--as", "owner", cwd=here)
    assert_retained(here, target, out, err)
    if arguments[0] == "check":
        run = next((here / "reports" / "runs").iterdir())
        assert list((run / "cases").iterdir())
        again = ran("report", run, cwd=here)
        compared = ran("compare", run, run, cwd=here)
        assert_retained(here, target, *again[1:], *compared[1:])
        target.answered.clear()
        played = ran("replay", *(run / "cases").iterdir(), "--seed", "8", cwd=here)
        assert (again[0], compared[0]) == (0, 0), again + compared
        assert played[0] in (0, 1, 3), played
        assert_retained(here, target, *played[1:])


@pytest.mark.parametrize("verb", ["check", "load", "verify"])
def test_a_disk_that_is_full(verb: str, here: Path, target: Recorder) -> None:
    given: dict[str, tuple[str, ...]] = {
        "check": CHECK,
        "load": ("--rate", "300/s", "--duration", "4s", "--no-calibration"),
        "verify": (*CHECK, *LOAD),
    }
    status, out, err = ran(verb, *given[verb], cwd=here, preexec_fn=limits_file_size(150_000))
    assert "Traceback" not in out + err
    assert status in (0, 1, 3), out + err
    assert_retained(here, target, out, err)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
@pytest.mark.parametrize("verb", ["check", "load"])
def test_a_run_that_is_ended(verb: str, number: signal.Signals, here: Path, target: Recorder) -> None:
    given = CHECK if verb == "check" else ("--rate", "40/s", "--duration", "40s", "--no-calibration")
    process = command(verb, *given, "--out", "o", cwd=here)
    log = here / "o" / "events.jsonl"
    enough = b'"event":"exchange"' if verb == "check" else b'"event":"second"'
    until(lambda: log.exists() and log.read_bytes().count(enough) > 1)
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    assert "Traceback" not in out + err
    again = ran("report", "o", cwd=here)
    assert again[0] == 0, again
    assert_retained(here, target, out, err, *again[1:])


@pytest.mark.parametrize(
    "violation",
    [
        lambda text: text.replace('"user"]', '"user"', 1),
        lambda text: text.replace("[users.peer]", "[users.peer]\ncolour = 1"),
        lambda text: text.replace("auth.login", "auth.nothing"),
        lambda text: text.replace("GATE_CANARY", "NOT_SET"),
        lambda text: text.replace("/api/", "/nowhere/"),
        lambda text: text.replace('"${OWNER_CANARY}"', '["${OWNER_CANARY}"]'),
    ],
    ids=["syntax", "key", "login", "variable", "url", "type"],
)
def test_a_profile_that_is_wrong(violation: Callable[[str], str], here: Path, target: Recorder) -> None:
    path = here / "conform.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(violation(before), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before
    reported: list[str] = []
    for verb, more in (("check", CHECK), ("load", LOAD), ("call", ("auth.status", "--as", "owner"))):
        status, out, err = ran(verb, *more, cwd=here)
        assert "Traceback" not in out + err
        assert status != 0
        reported += [out, err]
    ran("call", "auth.status", "--target", target.url, "--profile", PROFILE, "--as", "owner", cwd=here.parent)
    assert_retained(here, target, *reported)


@pytest.mark.parametrize(
    "name",
    [
        "redirect.away",
        *(
            pytest.param(each, marks=pytest.mark.thorough)
            for each in ("body.short", "head.broken-status", "connection.dies")
        ),
    ],
)
def test_a_target_that_misbehaves(name: str, here: Path, target: Recorder) -> None:
    with misbehaving(name, every=40, options=("--fault", "security.password-in-message")) as server:
        for verb, more in (("check", CHECK), ("load", LOAD)):
            status, out, err = ran(verb, *more, "--target", server.url, cwd=here)
            assert "Traceback" not in out + err
            assert status in (0, 1, 3), out + err
            ran("call", "auth.status", "--as", "owner", cwd=here)
            assert_retained(here, target, out, err)


def test_the_page(here: Path, target: Recorder) -> None:
    reported: list[Any] = []
    with exploring("--profile", str(here / "conform.toml")) as page:
        signed = page.ask("login", {"user": "owner"})
        session = signed.json["session"]["id"]
        reported += [signed.body.decode(), page.call("auth.status", session=session)]
        reported += [page.call("course.read", {"courseId": "no-such-course"}, session=session)]
        typed = {"identity": "owner@example.com", "credential": PLANTED["OWNER_CANARY"].upper()}
        reported += [page.call("auth.login", typed)]
        process = page.process
    assert_retained(here, target, *(each if isinstance(each, str) else json.dumps(each) for each in reported))
    assert process.returncode == 0
