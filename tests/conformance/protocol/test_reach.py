"""What stands between the suite and a target: a gate that asks for a name and a password, and a proxy."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import conform
from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from conformance.protocol.profile_reader import load
from conformance.protocol.reach import basic_authorization, proxy_hint
from fixtures.faults import FAULTS
from fixtures.service.service import Service
from fixtures.service.wire import Call, Response
from tests.support.judging import broken, judge, profile_of, serving_here

PASSWORD = "gate-Wörd:7"
GATE = "Basic " + base64.b64encode(f"nightly:{PASSWORD}".encode()).decode()
IN_URL = "nightly:gate-W%C3%B6rd%3A7@"


def gated(service: Service) -> Service:
    """Let nobody in without a name and a password, as a web server before the service does."""

    async def answer(inner: Callable[[Call], Any], call: Call) -> Response:
        if call.request.header(b"authorization") == GATE.encode():
            let_in: Response = await inner(call)
            return let_in
        fields = [(b"www-authenticate", b'Basic realm="nightly"'), (b"content-type", b"text/html")]
        return Response(401, fields, b"<h1>401 Authorization Required</h1>")

    service.wrap("answer", answer)
    return service


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("http://host/api/", None),
        ("http://a:b@host/", "Basic YTpi"),
        ("http://a@host/", "Basic YTo="),
        ("http://a:b:c@host/", "Basic YTpiOmM="),
        ("http://%C3%A5:p%40ss@host/", "Basic " + base64.b64encode("å:p@ss".encode()).decode()),
    ],
)
def test_name_and_password_of_a_url(url: str, value: str | None) -> None:
    assert basic_authorization(url) == value


def test_a_url_with_a_password_signs_in_at_the_gate_and_shows_it_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(FAULTS, "gate.change", gated)
    monkeypatch.chdir(tmp_path)
    with serving_here("gate.change") as (url, catalogue):
        profile = profile_of(catalogue, tmp_path)
        signed = url.replace("//", f"//{IN_URL}")
        rules = ["--rule", "AUT-1", "--rule", "AUT-4", "--rule", "AUT-15", "--rule", "COD-3"]
        arguments = ["check", "--profile", str(profile), "--target", signed, "--out", "run", "--seed", "3"]
        assert conform.main([*arguments, *rules]) == 0
        assert (
            conform.main(
                ["call", "auth.status", "--profile", str(profile), "--target", signed, "--as", "owner"]
            )
            == 0
        )
    reported = "".join(capfd.readouterr())
    written = "".join(path.read_text("utf-8") for path in Path("run").rglob("*") if path.is_file())
    for secret in (PASSWORD, "gate-W", GATE.partition(" ")[2]):
        assert secret not in reported
        assert secret not in written
    assert "Authorization: ***" in written or '"Authorization": "***"' in written or "Basic ***" in written


def test_a_gate_is_named_where_the_login_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(FAULTS, "gate.change", gated)
    with serving_here("gate.change") as (url, catalogue):
        report = judge(profile=profile_of(catalogue, tmp_path), target=url, rules=["AUT-1"])
    (found, *_) = broken(report)["AUT-1"]
    assert "a gate before it asks for Basic authorization" in found
    assert "https://USER:PASSWORD@host/" in found


@pytest.mark.parametrize(
    ("url", "reported"),
    [("http://a%3Ab:c@127.0.0.1/", "a name with a colon"), ("http://a:b@127.0.0.1/", "leave one out")],
)
def test_credentials_that_cannot_be_sent_are_one_line(url: str, reported: str, tmp_path: Path) -> None:
    profile = tmp_path / "conform.toml"
    profile.write_text('[target]\nheaders = { authorization = "Basic x" }\n', encoding="utf-8")
    with pytest.raises(UsageError, match=reported) as raised:
        load(profile, {}).with_target(url)
    assert ":c@" not in str(raised.value)
    profile.write_text(
        f'[target]\nurl = "{url}"\nheaders = {{ authorization = "Basic x" }}\n', encoding="utf-8"
    )
    with pytest.raises(UsageError, match=reported):
        load(profile, {})


def test_headers_of_the_profile_stay() -> None:
    profile = Profile.empty("http://a:b@127.0.0.1/api/")
    assert profile.headers == {"Authorization": "Basic YTpi"}
    assert {"b", "YTpi"} <= set(profile.secrets())


@pytest.mark.parametrize(
    ("variables", "scheme", "host", "named"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https", "api.example.com", "HTTPS_PROXY"),
        ({"https_proxy": "http://proxy:3128"}, "https", "api.example.com", "HTTPS_PROXY"),
        ({"ALL_PROXY": "socks5://proxy:1080"}, "http", "api.example.com", "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http", "api.example.com", ""),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https", "localhost", ""),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http", "127.0.0.1", ""),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http", "::1", ""),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".example.com"}, "https", "api.example.com", ""),
        ({"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "*"}, "https", "api.example.com", ""),
        ({}, "https", "api.example.com", ""),
    ],
)
def test_a_proxy_is_named_where_it_would_be_needed(
    variables: dict[str, str], scheme: str, host: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hint = proxy_hint(scheme, host)
    assert hint.startswith(f" ({named} is set") if named else hint == ""


def test_no_command_takes_a_proxy_for_loopback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens at the proxy's address: whatever went there would fail."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.chdir(tmp_path)
    with serving_here() as (url, catalogue):
        profile = str(profile_of(catalogue, tmp_path))
        target = ["--profile", profile, "--target", url]
        assert conform.main(["call", "auth.status", *target, "--as", "owner"]) == 0
        assert conform.main(["check", *target, "--rule", "AUT-1", "--out", "run"]) == 0
        page = url.replace("/api/", "/docs/")
        assert conform.main(["catalog", "import", page, "--out", "made.json"]) == 0
    assert json.loads(Path("made.json").read_text("utf-8"))["methods"]
    capfd.readouterr()
