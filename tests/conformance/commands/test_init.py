"""`conform init`: what it writes, and what it leaves alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import conform
from conformance.catalog.model import Catalog
from conformance.protocol import profile_reader
from conformance.protocol.profile import Login, Whoami
from fixtures.service.service import Service
from tests.support import import_documents
from tests.support.exploring import embedded
from tests.support.judging import serving_here
from tests.support.service_client import PASSWORDS


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with embedded() as url:
        yield url


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, without a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())


def run(*arguments: str) -> int:
    return conform.main(["init", *arguments])


def test_a_profile_and_a_catalogue_are_written(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = service.replace("/api/", "/docs/")
    users = ["--user", "owner", "--user", "peer:PEER_NAME:PEER_WORD"]
    assert run("--target", service, "--page", page, *users, "--environment", "test", "--no-check") == 0
    reported = capsys.readouterr().out
    assert "COURSIO_OWNER_USER, COURSIO_OWNER_SECRET, PEER_NAME, PEER_WORD" in reported
    names = ("COURSIO_OWNER_USER", "COURSIO_OWNER_SECRET", "PEER_NAME", "PEER_WORD")
    made = profile_reader.load("conform.toml", {name: f"value of {name}" for name in names})
    assert made.url == service
    assert made.may_write
    assert made.users["peer"].secret == "value of PEER_WORD"
    assert made.auth.login == Login("auth.login", "identity", "credential")
    assert made.auth.logout == "auth.logout"
    assert made.catalog_path is not None
    catalog = Catalog.load(made.catalog_path)
    assert catalog["course.find"].effect == "read"
    assert catalog["auth.login"].auth == "none"


def test_nothing_is_written_over(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("conform.toml").write_text("# mine\n", "utf-8")
    assert run("--target", service, "--no-check") == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("conform.toml").read_text("utf-8") == "# mine\n"


def test_a_target_alone_is_enough(service: str) -> None:
    assert run("--target", service, "--no-check") == 0
    made = profile_reader.load("conform.toml", {})
    assert made.url == service
    assert made.catalog_path is None


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ([], "no target"),
        (["--target", "nonsense"], "must begin with http"),
        (["--target", "http://127.0.0.1:1/", "--dir", "none"], "no such folder"),
        (["--target", "http://127.0.0.1:1/", "--page", "none.html"], "cannot be read"),
        (["--target", "http://127.0.0.1:1/", "--login", "nonsense"], "names no function"),
        (["--target", "http://127.0.0.1:1/", "--session", "sessionId"], "--session sessionId: "),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--no-check") == 2
    error = capsys.readouterr().err
    assert reported in error
    assert error.count("\n") == 1
    assert not list(Path().iterdir())


def test_a_page_that_cannot_be_fetched_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--target", "http://127.0.0.1:1/", "--page", "http://127.0.0.1:1/docs/") == 3
    assert not list(Path().iterdir())


def test_answers_are_asked_for(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(f"{service}\n\nowner peer\nno\n"))
    assert run("--no-check") == 0
    text = Path("conform.toml").read_text("utf-8")
    assert "[users.peer]" in text
    assert 'environment = "production"' in text


def test_credentials_are_asked_for_and_not_written(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The document names the target, which is proposed; what is asked for is known to this process alone."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    Path("openapi.yaml").write_text(
        import_documents.OPENAPI.replace("127.0.0.1:8000", service[7:].split("/")[0]), "utf-8"
    )
    monkeypatch.setattr("sys.stdin", Terminal("\nowner\nyes\nowner@example.com\n"))
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: PASSWORDS["owner"])
    for name in ("COURSIO_OWNER_USER", "COURSIO_OWNER_SECRET"):
        # What the command sets for its own check is removed with the test.
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setattr("conformance.commands.check.run_check", lambda harness: 0)
    assert run("--from", "openapi.yaml") == 0
    text = Path("conform.toml").read_text("utf-8")
    assert f'url = "{service}"' in text
    assert 'session = "/sessionId"' in text
    assert 'logout = "auth.logout"' in text
    assert 'whoami = { function = "auth.status", field = "/user/email" }' in text
    shown = capsys.readouterr()
    assert PASSWORDS["owner"] not in text + shown.out + shown.err + Path("catalogue.openrpc.json").read_text(
        "utf-8"
    )


def with_methods(*methods: tuple[str, list[str]]) -> None:
    entries = [
        {"name": name, "params": [{"name": param, "required": True, "schema": {}} for param in params]}
        for name, params in methods
    ]
    Path("rpc.json").write_text(json.dumps({"openrpc": "1.3.2", "methods": entries}), "utf-8")


@pytest.mark.parametrize(
    ("methods", "login"),
    [
        ([("session.signIn", ["email", "pin"])], Login("session.signIn", "email", "pin")),
        ([("door.log_in", ["passphrase", "name"])], Login("door.log_in", "name", "passphrase")),
        ([("a.login", []), ("b.authenticate", ["who", "what"])], Login("b.authenticate", "who", "what")),
        ([("course.find", [])], None),
    ],
)
def test_the_login_is_found_by_its_name(methods: list[tuple[str, list[str]]], login: Login | None) -> None:
    with_methods(*methods)
    assert run("--target", "http://127.0.0.1:1/", "--from", "rpc.json", "--no-check") == 0
    assert profile_reader.load("conform.toml", {}).auth.login == login


def test_a_login_of_another_name_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with_methods(("door.open", ["name", "word"]))
    for answer, status in (("door.opens", 2), ("door.open", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(f"http://127.0.0.1:1/\n\nno\n{answer}\n"))
        assert run("--from", "rpc.json", "--no-check") == status
        assert status == 0 or [path.name for path in Path().iterdir()] == ["rpc.json"]
    assert (
        'door.opens: the document has no such function; did you mean "door.open"?' in capsys.readouterr().err
    )
    assert profile_reader.load("conform.toml", {}).auth.login == Login("door.open", "name", "word")


def test_with_yes_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, *_: object) -> Any:
            raise AssertionError("it waits for an answer")

    Path("openapi.yaml").write_text(import_documents.OPENAPI, "utf-8")
    monkeypatch.setattr("sys.stdin", Terminal())
    assert run("--from", "openapi.yaml", "--yes") == 2
    error = capsys.readouterr().err
    assert "no target: give --target URL; openapi.yaml names http://127.0.0.1:8000/api/" in error
    assert [path.name for path in Path().iterdir()] == ["openapi.yaml"]
    assert run("--from", "openapi.yaml", "--target", "http://127.0.0.1:1/", "--yes", "--no-check") == 0


def of_courses(service: Service) -> Service:
    """Remove the functions of other entities: they would make the check of the new profile longer, and no other."""
    for name in list(service.functions):
        if name.partition(".")[0] not in ("auth", "course", "sys"):
            del service.functions[name]
    return service


@pytest.fixture
def small_service() -> Iterator[str]:
    with serving_here(change=of_courses) as (url, _):
        yield url


def test_the_rules_that_only_read_are_run(
    small_service: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OWNER_NAME", "owner@example.com")
    monkeypatch.setenv("OWNER_WORD", PASSWORDS["owner"])
    page = small_service.replace("/api/", "/docs/")
    users = ("--user", "owner:OWNER_NAME:OWNER_WORD")
    run("--target", small_service, "--page", page, *users, "--environment", "test")
    reported = capfd.readouterr().out
    made = profile_reader.load("conform.toml")
    assert (made.auth.session, made.auth.logout) == ("/sessionId", "auth.logout")
    assert made.auth.whoami == Whoami("auth.status", "/user/email")
    assert "Tried with owner:\n  the session is at /sessionId\n" in reported
    assert reported.index("Next:") < reported.index("The rules that only read:")
    assert re.search(r"rules? judged|must rules? failed", reported)
    (folder,) = Path("reports/runs").iterdir()
    catalog = Catalog.load("catalogue.openrpc.json")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    called = {
        event["function"] for event in events if event["event"] == "exchange" and event["function"] in catalog
    }
    assert "course.find" in called
    # Signing in and out is no writing.
    assert {name for name in called if catalog[name].effect != "read"} <= {"auth.login", "auth.logout"}
    assert PASSWORDS["owner"] not in (folder / "events.jsonl").read_text("utf-8")


def test_without_the_users_variables_it_is_judged_what_needs_none(
    service: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The profile of that run is gone with it: the line that runs it again names the one that was written."""
    monkeypatch.delenv("OWNER_NAME", raising=False)
    run("--target", service, "--user", "owner:OWNER_NAME:OWNER_WORD", "--environment", "test")
    assert re.search(r"rules? judged|must rules? failed", capfd.readouterr().out)
    (folder,) = Path("reports/runs").iterdir()
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert "--profile conform.toml --budget quick --read-only" in report["rerun"]


@pytest.mark.parametrize("way", ["option", "variable"])
def test_colours_are_left_out_of_its_check(
    way: str, service: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    arguments = ["--no-color"] if way == "option" else []
    if way == "variable":
        monkeypatch.setenv("NO_COLOR", "1")
    run("--target", service, *arguments)
    reported = capfd.readouterr().out
    assert "judged" in reported
    assert "\x1b[" not in reported


@pytest.mark.parametrize(
    "url", ["http://bob:s3cr%40t-x9@127.0.0.1:9/api/", "http://:s3cr%40t-x9@127.0.0.1:9/api/"]
)
def test_the_password_of_the_target_is_not_written(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COURSIO_TARGET_PASSWORD", raising=False)
    # What the command sets for its own check is removed with the test.
    monkeypatch.setenv("COURSIO_TARGET_PASSWORD", "s3cr%40t-x9")
    assert run("--target", url, "--no-check") == 0
    shown = capsys.readouterr().out + Path("conform.toml").read_text(encoding="utf-8")
    assert "s3cr" not in shown
    assert "environment variable COURSIO_TARGET_PASSWORD" in shown
    made = profile_reader.load("conform.toml", {"COURSIO_TARGET_PASSWORD": "s3cr%40t-x9"})
    assert made.shown_url == "http://127.0.0.1:9/api/"
    assert made.headers["Authorization"].startswith("Basic ")
