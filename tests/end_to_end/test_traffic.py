"""Recorded traffic is judged from the command line, and what passes `conform watch` is recorded."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.captures import BASE, entry, write_har
from tests.support.recording import command, ran_here, report_in
from tests.support.scripted_server import serving, take

PROFILE = Path(__file__).resolve().parents[2] / "fixtures" / "service" / "conform.toml"


def test_a_capture_is_judged(tmp_path: Path) -> None:
    elsewhere = entry(url="https://app.example.test/", verb="GET", body="<html></html>")
    good = entry("course.seek", None, status=404, message="Function doesn't exist")
    bad = entry("user.seek", None, status=404, message=" ", at=1)
    write_har(tmp_path / "good.har", [good, elsewhere])
    write_har(tmp_path / "bad.har", [good, bad])

    status, out, err = ran_here("judge", "good.har", "--out", "good", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert out.startswith("passes what was judged: ")
    report = report_in(tmp_path / "good")
    assert (report["verb"], report["target"]["url"], report["requests"]) == ("judge", BASE, 1)
    assert any(
        "1 request elsewhere passed over: https://app.example.test (1)" in note for note in report["notes"]
    )

    arguments = ("check", "--har", "bad.har", "--profile", PROFILE, "--out", "bad", "--quiet")
    status, out, err = ran_here(*arguments, cwd=tmp_path)
    assert (status, err) == (1, "")
    report = report_in(tmp_path / "bad")
    assert [rule["id"] for rule in report["rules"] if rule["verdict"] == "fail"] == ["ENV-5"]
    unknown = "a function that the catalogue does not have"
    assert [(each["function"], each["kind"]) for each in report["client_findings"]] == [
        ("course.seek", unknown),
        ("user.seek", unknown),
    ]
    for name in ("report.html", "report.md"):
        assert "What clients sent wrong" in (tmp_path / "bad" / name).read_text("utf-8")


def test_a_broken_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "cut.har").write_text('{"log": {"entries": [', "utf-8")
    status, out, err = ran_here("judge", "cut.har", cwd=tmp_path)
    assert (status, out) == (2, "")
    where = "conform judge: cut.har: line 1, column 22: is not JSON (Expecting value)"
    assert err == f"{where}: the file ends too early; save it again\n"
    status, _, err = ran_here("check", "--har", "cut.har", "--plan", cwd=tmp_path)
    assert status == 2
    assert "--plan is for requests of a check's own" in err


def three_answers(taken: socket.socket) -> None:
    """Answer three requests in three ways, the last with a body that ends too early."""
    for answer in ANSWERS:
        take(taken)
        taken.sendall(answer)


GOOD = json.dumps({"isError": False, "errMsg": None, "data": {}}).encode()
SEALED = b"Content-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\nT: x\r\n\r\n" % (len(GOOD), GOOD)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\n" + SEALED + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    b"HTTP/1.1 418 I'm a  teapot\r\n" + SEALED + b"content-length:2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n" + SEALED + b"Content-Length: 900\r\n\r\n{",
)


def test_what_passes_is_unchanged_and_judged(tmp_path: Path) -> None:
    with serving(three_answers) as target:
        arguments = ("watch", "--target", target.url, "--out", "run", "--har", "passed.har")
        process = command(*arguments, cwd=tmp_path, stderr=subprocess.PIPE)
        assert process.stdout is not None
        url = urlsplit(json.loads(process.stdout.readline())["url"])
        body = b'{"method":"find","data":{"credential":"Correct-Horse-7"}}'
        head = b"POST /api/course HTTP/1.1\r\nHost: here\r\ntoKen: of-no-known-login\r\nContent-Length: %d\r\n\r\n"
        received = []
        with socket.create_connection((url.hostname, url.port), timeout=20) as client:
            for answer in ANSWERS:
                client.sendall(head % len(body) + body)
                data = b""
                while len(data) < len(answer):
                    part = client.recv(65_536)
                    assert part
                    data += part
                received.append(data)
            assert client.recv(1) == b""
        assert received == list(ANSWERS)
        expected = (head % len(body) + body).replace(b"here", f"{target.host}:{target.port}".encode())
        assert target.requests == [expected] * 3
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1, out + err
    report = report_in(tmp_path / "run")
    assert (report["verb"], report["requests"], report["interrupted"]) == ("watch", 3, False)
    broken = {rule["id"] for rule in report["rules"] if rule["findings"]}
    assert broken == {"COD-2", "COD-8", "ENV-1"}
    assert "course.find  ✗ ENV-1" in err.replace("COD-2, ", "")
    har = (tmp_path / "passed.har").read_text("utf-8")
    assert len(json.loads(har)["log"]["entries"]) == 3
    for secret in ("of-no-known-login", "Correct-Horse-7"):
        assert not any(
            secret in path.read_text("utf-8")
            for path in [*(tmp_path / "run").iterdir(), tmp_path / "passed.har"]
        )


def test_an_address_is_refused_in_one_line(tmp_path: Path) -> None:
    for listen, says in (
        ("0.0.0.0:0", "add --allow-remote if they are to"),
        ("8900", "is not HOST:PORT"),
        ("127.0.0.1:70000", "is not HOST:PORT"),
    ):
        status, _, err = ran_here("watch", "--listen", listen, cwd=tmp_path)
        assert (status, err.count("\n")) == (2, 1)
        assert says in err
