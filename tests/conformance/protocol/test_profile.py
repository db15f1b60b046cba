"""The profile: what it reads, what it hides, what it refuses, and one clear line for every mistake."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.errors import UsageError
from conformance.protocol.base_url import base_url
from conformance.protocol.profile import Profile, User
from conformance.protocol.profile_reader import load

WHOLE = """
[target]
url = "https://t-api.example.com/api"
environment = "test"
production = ["api.example.com", "other.example.com:8443"]
catalog = "api.openrpc.json"
timeout = 2
headers = { "X-Gate" = "nightly", "X-Key" = "key ${GATE}" }
envelope_extra = ["time", "memory"]

[auth]
login = { function = "auth.login", user = "identity", secret = "credential" }
logout = "auth.logout"
whoami = { function = "auth.status", field = "/user/email" }
session = "/session/id"
key_login = { function = "auth.loginHmac", public = "${PUBLIC}", private = "${PRIVATE}" }

[users.owner]
user = "owner@example.com"
secret = "${OWNER}"
roles = ["user"]

[users.admin]
user = "admin@example.com"
secret = "letmein"

[[waivers]]
rule = "ENV-6"
function = "auth.login"
reason = "the v3 line sends an empty string"
until = 2027-06-30

[[waivers]]
rule = "ENV-8"
reason = "known"
until = "2027-07-01"

[load]
scenario = "steady"
rate = 200
duration = "60s"
mix = { "course.find" = 6, "course.read" = 3 }
slo = ["p95 < 300ms"]
"""
ENV = {"GATE": "g4te", "PUBLIC": "pub", "PRIVATE": "priv", "OWNER": "s3cret"}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "conform.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_load_takes_all_its_keys(write: Any) -> None:
    text = """
        [load]
        rate = "ramp 10/s to 200/s"
        ceiling = 500
        abort_when = ["errors > 50% over 5s"]
        search = "10/s to 2000/s, 10s each"
        users = 50
        think = "1s..3s"
        warmup = "5s"
        connections = 128
        workers = 2
        isolation = 0.05
        sample = 0
    """
    load_part = load(write(text), {}).load
    assert load_part["ceiling"] == 500
    assert load_part["rate"] == "ramp 10/s to 200/s"
    assert load_part["abort_when"] == ["errors > 50% over 5s"]
    assert (load_part["users"], load_part["connections"], load_part["workers"]) == (50, 128, 2)
    assert (load_part["isolation"], load_part["sample"]) == (0.05, 0)


def test_a_whole_profile_is_read(write: Any) -> None:
    path = write(WHOLE)
    profile = load(path, ENV)
    assert profile.url == "https://t-api.example.com/api/"
    assert profile.target.environment == "test"
    assert profile.target.timeout == 2.0
    assert profile.target.headers == {"X-Gate": "nightly", "X-Key": "key g4te"}
    assert profile.target.envelope_extra == {"time", "memory"}
    assert profile.catalog_path == path.parent / "api.openrpc.json"
    assert profile.auth.login is not None
    assert profile.auth.login.secret == "credential"
    assert profile.auth.logout == "auth.logout"
    assert profile.auth.whoami is not None
    assert profile.auth.whoami.field == "/user/email"
    assert profile.auth.session == "/session/id"
    assert profile.auth.key_login is not None
    assert (profile.auth.key_login.public, profile.auth.key_login.private) == ("pub", "priv")
    assert profile.users["owner"] == User("owner", "owner@example.com", "s3cret", ("user",))
    assert profile.users["admin"].roles == ()
    assert [(w.rule, w.function, w.until) for w in profile.waivers] == [
        ("ENV-6", "auth.login", dt.date(2027, 6, 30)),
        ("ENV-8", None, dt.date(2027, 7, 1)),
    ]
    assert profile.load["rate"] == 200
    assert profile.load["mix"] == {"course.find": 6, "course.read": 3}


def test_everything_is_optional(write: Any) -> None:
    profile = load(write(""), {})
    assert profile.target.url is None
    assert profile.auth.session == "/sessionId"
    assert profile.target.timeout == 10.0
    assert profile.secrets() == ()
    with pytest.raises(UsageError, match="--target"):
        _ = profile.url


def test_secrets_are_listed_and_stay_out_of_reprs(write: Any) -> None:
    text = WHOLE.replace("https://t-api", "https://me:p%40ss@t-api")
    profile = load(write(text), ENV)
    assert set(profile.secrets()) == {
        "s3cret",
        "letmein",
        "priv",
        "key g4te",
        "g4te",
        "p%40ss",
        "p@ss",
        "bWU6cEBzcw==",
    }
    for secret in profile.secrets():
        assert secret not in repr(profile)
    assert profile.shown_url == "https://t-api.example.com/api/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h", "http://h/"),
        ("http://h/", "http://h/"),
        ("HTTP://Host.Example/Api", "http://host.example/Api/"),
        ("https://h:8443/a/b", "https://h:8443/a/b/"),
        ("http://[::1]:80/api", "http://[::1]:80/api/"),
        ("http://User:Pw@Host/api", "http://User:Pw@host/api/"),
        ("http://my_service:8080/api/", "http://my_service:8080/api/"),
        ("http://bücher.example/", "http://bücher.example/"),
    ],
)
def test_a_base_url_has_one_spelling(text: Any, expected: Any) -> None:
    assert base_url(text, "--target") == expected
    assert base_url(expected, "--target") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h/api",
        "ftp://h/",
        "http://",
        "http:///api",
        "http://h:99999/",
        "http://h:0/",
        "http://h:x/",
        "http://h/?a=1",
        "http://h/?",
        "http://h/#a",
        "http://h /",
        "http://h\\@x/",
        "http://h\n/",
        "http://a%2eb/",
        "http://[::1/",
        "http://a..b/",
    ],
)
def test_what_is_no_base_url_is_refused(text: Any) -> None:
    with pytest.raises(UsageError) as caught:
        Profile.empty(text)
    assert str(caught.value).startswith("--target: ")
    assert "\n" not in str(caught.value)


def test_a_password_in_a_wrong_url_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        Profile.empty("https://me:hunter2@host/api?x=1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "environment", "may"),
    [
        ("http://127.0.0.1:8000/", None, True),
        ("http://127.9.9.9/", None, True),
        ("http://[::1]/", None, True),
        ("http://[::ffff:127.0.0.1]/", None, True),
        ("http://localhost/", None, True),
        ("http://LOCALHOST./", None, True),
        ("http://localhost.example.com/", None, False),
        ("http://128.0.0.1/", None, False),
        ("http://10.0.0.1/", None, False),
        ("http://0.0.0.0/", None, False),
        ("https://h/", None, False),
        ("https://h/", "test", True),
        ("https://h/", "production", False),
        ("http://127.0.0.1/", "production", False),
        ("http://127.0.0.1/", "test", True),
    ],
)
def test_only_a_test_environment_is_written_to(write: Any, url: Any, environment: Any, may: Any) -> None:
    reported = f'environment = "{environment}"' if environment else ""
    profile = load(write(f'[target]\nurl = "{url}"\n{reported}'), {})
    assert profile.may_write is may


@pytest.mark.parametrize(
    ("listed", "url", "refused"),
    [
        ("api.example.com", "https://api.example.com/api", True),
        ("api.example.com", "https://API.EXAMPLE.COM:8443/api", True),
        ("API.example.com", "https://api.example.com./api", True),
        ("api.example.com.", "https://api.example.com/api", True),
        ("api.example.com", "https://user@api.example.com/api", True),
        ("api.example.com", "https://t-api.example.com/api", False),
        ("api.example.com", "https://api.example.com.evil.org/", False),
        ("api.example.com:8443", "https://api.example.com:8443/api", True),
        ("api.example.com:8443", "https://api.example.com/api", False),
        ("api.example.com:443", "https://api.example.com/api", True),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
        ("xn--bcher-kva.example", "https://BÜCHER.example/", True),
        ("192.0.2.1", "http://192.0.2.1:99/", True),
        ("2001:db8::1", "http://[2001:DB8:0::1]/", True),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080/", True),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:81/", False),
    ],
)
def test_production_hosts_are_refused(write: Any, listed: Any, url: Any, refused: Any) -> None:
    profile = load(write(f'[target]\nenvironment = "test"\nproduction = ["{listed}"]'), {}).with_target(url)
    if refused:
        with pytest.raises(UsageError, match="production"):
            profile.refuse_production()
    else:
        profile.refuse_production()


def test_another_target_keeps_the_rest(write: Any) -> None:
    profile = load(write(WHOLE), ENV).with_target("http://other/x")
    assert profile.url == "http://other/x/"
    assert profile.users["owner"].secret == "s3cret"
    assert profile.target.timeout == 2.0


WRONG = [
    # (the file, what the line must say)
    ("[taget]\n", r'taget: unknown key; did you mean "target"\?'),
    ("[target]\nulr = 'http://h/'", r'\[target\] ulr: unknown key; did you mean "url"\?'),
    ("[target]\nzzz = 1", r"\[target\] zzz: unknown key; known here: url, "),
    ("[target]\nurl = 5", r"\[target\] url: must be a string, not 5"),
    ("[target]\nurl = 'h/api'", r"\[target\] url: 'h/api' must begin with http"),
    ("[target]\nurl = 'http:///api'", r"\[target\] url: .* has no host"),
    ("[target]\nurl = 'https://${HOST}/api'", r"\[target\] url: the environment variable HOST is not set"),
    (
        "[target]\nurl = 'https://${HO ST}/api'",
        r"\[target\] url: '\$\{HO ST\}' names no environment variable",
    ),
    ("[target]\nurl = 'https://${HOST'", r"\[target\] url: '\$\{HOST' names no environment variable"),
    ("[target]\nenvironment = 'staging'", r"\[target\] environment: must be \"test\" or \"production\""),
    ("[target]\nenvironment = true", r"\[target\] environment: must be a string, not true"),
    ("[target]\nproduction = 'h'", r"\[target\] production: must be a list"),
    ("[target]\nproduction = [1]", r"\[target\] production: must be a list of strings, but 1 is in it"),
    ("[target]\nproduction = ['https://h/']", r"\[target\] production: 'https://h/' is no host"),
    ("[target]\nproduction = ['h:port']", r"\[target\] production: 'h:port' is no host"),
    ("[target]\ntimeout = 0", r"\[target\] timeout: must be more than 0 seconds, not 0"),
    ("[target]\ntimeout = -1.5", r"\[target\] timeout: must be more than 0 seconds, not -1.5"),
    ("[target]\ntimeout = inf", r"\[target\] timeout: must be more than 0 seconds, not inf"),
    ("[target]\ntimeout = '5'", r"\[target\] timeout: must be a number"),
    ("[target]\ntimeout = true", r"\[target\] timeout: must be a number, not true"),
    ("[target]\ncatalog = ''", r"\[target\] catalog: must name a file"),
    ("[target]\nca = 'missing.pem'", r"\[target\] ca: .*missing.pem is no file"),
    ("[target]\nheaders = ['X']", r"\[target\] headers: must be a table"),
    ("[target]\nheaders = { X = 5 }", r"\[target\] headers.X: must be a string, not 5"),
    ("[target]\nheaders = { 'X Y' = 'a' }", r"\[target\] headers.X Y: 'X Y' is no name of a header"),
    ("[target]\nheaders = { token = 'a' }", r"\[target\] headers.token: the suite sets this header itself"),
    ("[target]\nheaders = { X = 'a', x = 'b' }", r"\[target\] headers.x: stands twice"),
    (
        '[target]\nheaders = { X = "a\\nb" }',
        r"\[target\] headers.X: has a character that no header may carry",
    ),
    ("[target]\nheaders = { X = '${NO}' }", r"\[target\] headers.X: the environment variable NO is not set"),
    ("[target]\nenvelope_extra = 'time'", r"\[target\] envelope_extra: must be a list"),
    ("target = 5", r"target: must be a section: write \[target\]"),
    ("[auth]\nlogin = 'auth.login'", r"\[auth\] login: must be a table"),
    ("[auth]\nlogin = { function = 'auth.login', user = 'i' }", r"\[auth\] login secret: is missing"),
    ("[auth]\nlogin = { function = 'login', user = 'i', secret = 'c' }", r"'login' names no function"),
    (
        "[auth]\nlogin = { function = 'a.b', user = 'i', password = 'c' }",
        r"\[auth\] login password: unknown key",
    ),
    (
        "[auth]\nlogout = 'logout'",
        r"\[auth\] logout: 'logout' names no function: write it as entity.function",
    ),
    (
        "[auth]\nsession = 'sessionId'",
        r"\[auth\] session: 'sessionId' is no JSON pointer: begin it with \"/\"",
    ),
    ("[auth]\nsession = '/a~2'", r"\[auth\] session: '/a~2' is no JSON pointer"),
    ("[auth]\nwhoami = { function = 'a.b' }", r"\[auth\] whoami field: is missing"),
    ("[auth]\nwhoami = { function = 'a.b', field = 'x' }", r"\[auth\] whoami field: 'x' is no JSON pointer"),
    ("[auth]\nkey_login = { function = 'a.b', public = 'p' }", r"\[auth\] key_login private: is missing"),
    ("[auth]\nlogon = 1", r'\[auth\] logon: unknown key; did you mean "login"\?'),
    ("[users]\nowner = 'x'", r"\[users\] owner: must be a table with user and secret"),
    ("[users.owner]\nsecret = 's'", r"\[users.owner\] user: is missing"),
    ("[users.owner]\nuser = 'u'\nsecret = ''", r"\[users.owner\] secret: must not be empty"),
    (
        "[users.owner]\nuser = 'u'\nsecret = 's'\nrole = 'x'",
        r'\[users.owner\] role: .* did you mean "roles"\?',
    ),
    ("[users.owner]\nuser = 'u'\nsecret = 's'\nroles = 'x'", r"\[users.owner\] roles: must be a list"),
    ("[users.owner]\nuser = 'u'\nsecret = '${S}'", r"\[users.owner\] secret: the environment variable S is"),
    ("[[waivers]]\nreason = 'r'\nuntil = 2027-01-01", r"\[\[waivers\]\] #1 rule: is missing"),
    ("[[waivers]]\nrule = 'ENV-6'\nuntil = 2027-01-01", r"\[\[waivers\]\] #1 reason: is missing"),
    ("[[waivers]]\nrule = 'ENV-6'\nreason = 'r'", r"\[\[waivers\]\] #1 until: is missing; it must be a day"),
    (
        "[[waivers]]\nrule = 'ENV-6'\nreason = 'r'\nuntil = '2027-02-30'",
        r'#1 until: must be a day, not "2027-02-30"',
    ),
    (
        "[[waivers]]\nrule = 'E'\nreason = 'r'\nuntil = 2027-01-01T10:00:00Z",
        r"#1 until: must be a day, not 2027",
    ),
    ("[[waivers]]\nrule = 'E'\nreason = 'r'\nuntil = 2027", r"#1 until: must be a day, not 2027"),
    ("[waivers]\nrule = 'E'", r"waivers: must be a list of tables: begin each with \[\[waivers\]\]"),
    ("[load]\nrate = 0", r"\[load\] rate: must be more than 0 arrivals per second"),
    ("[load]\nraet = 5", r'\[load\] raet: unknown key; did you mean "rate"\?'),
    ("[load]\nduration = 60", r"\[load\] duration: must be a string such as \"60s\""),
    ("[load]\nmix = { find = 6 }", r"\[load\] mix: 'find' names no function"),
    ("[load]\nmix = { 'a.b' = -1 }", r"\[load\] mix.a.b: must be a share of 0 or more"),
    ("[load]\nslo = 'p95 < 1s'", r"\[load\] slo: must be a list"),
    ("[load]\nrate = ''", r"\[load\] rate: must not be empty"),
    ("[load]\nrate = true", r"\[load\] rate: must be a number, not true"),
    ("[load]\nabort_when = 'errors > 50%'", r"\[load\] abort_when: must be a list"),
    ("[load]\nceiling = 0", r"\[load\] ceiling: must be more than 0 requests per second, not 0"),
    ("[load]\nceiling = inf", r"\[load\] ceiling: must be more than 0 requests per second, not inf"),
    ("[load]\nceiling = '500'", r"\[load\] ceiling: must be a number, not \"500\""),
    ("[load]\nceilling = 500", r'\[load\] ceilling: unknown key; did you mean "ceiling"\?'),
    ("[load]\nthink = 1", r"\[load\] think: must be a string such as \"1s..3s\", not 1"),
    ("[load]\nwarmup = ''", r"\[load\] warmup: must be a string such as \"5s\""),
    ("[load]\nsearch = 5", r"\[load\] search: must be a string, not 5"),
    ("[load]\nusers = 0", r"\[load\] users: must be 1 or more, not 0"),
    ("[load]\nconnections = 1.5", r"\[load\] connections: must be an integer, not 1.5"),
    ("[load]\nworkers = true", r"\[load\] workers: must be an integer, not true"),
    ("[load]\nisolation = 2", r"\[load\] isolation: must be a share from 0 to 1, as in 0.02, not 2"),
    ("[load]\nsample = nan", r"\[load\] sample: must be a share from 0 to 1, as in 0.02, not nan"),
    ("[target]\nurl = ", r"is no TOML: .*line 2"),
    ("[target]\nurl = 'a'\nurl = 'b'", r"is no TOML: .*line 3"),
]


@pytest.mark.parametrize(("text", "line"), WRONG, ids=[text.replace("\n", " ")[:60] for text, _ in WRONG])
def test_every_mistake_is_one_clear_line(write: Any, text: Any, line: Any) -> None:
    path = write(text)
    with pytest.raises(UsageError) as caught:
        load(path, {})
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{path}: ")
    assert re.search(line, said), said


def test_a_wrong_secret_is_not_shown(write: Any) -> None:
    with pytest.raises(UsageError) as caught:
        load(write("[users.owner]\nuser = 'u'\nsecret = 8151623"), {})
    assert "8151623" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="there is no such profile"):
        load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe5\n")
    with pytest.raises(UsageError, match="is not UTF-8: byte 0xe5"):
        load(tmp_path / "latin.toml")


def test_the_environment_is_the_process_own_by_default(write: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("CONFORM_TEST_HOST", "from-env")
    assert load(write("[target]\nurl = 'http://${CONFORM_TEST_HOST}/'")).url == "http://from-env/"
