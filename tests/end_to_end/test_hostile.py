"""Targets that misbehave below the protocol: a run survives each, and reports what it did and no more.

The whole of it, every misbehaviour by itself and amid answers, with users and all functions, is
`python -m benchmarks.hostile_table`; here each is met once, and the parts that hold it are looked at one by one.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.hostile_table import FAULT, RULE, Ran, profile_in, run
from conformance.engine import harness as harnesses
from conformance.engine.conclusion import Options
from conformance.engine.observer import RuleObserver
from conformance.engine.runner import Run
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.strict_json import TOO_DEEP, read_json
from conformance.protocol.wire import MAX_JSON_VALUES, MAX_RESPONSE_BYTES
from conformance.rulebook.findings import Finding
from fixtures.faults import FAULTS
from fixtures.faults.shapes import slow
from fixtures.faults.steps import on_success
from fixtures.hostile import HOSTILE, serving
from fixtures.hostile.__main__ import main
from fixtures.hostile.registry import hostile
from fixtures.hostile.server import Peer
from fixtures.service.service import Service
from tests.support.events import build, json_of
from tests.support.judging import broken, judge, profile_of, serving_here, verdicts
from tests.support.recording import ROOT, ran_here

#: One of each family; every one of them takes seconds, so that the others are in thorough runs and in the table.
ONE_EACH = frozenset(
    {
        "connection.refused", "connection.closed", "body.short", "body.bomb", "body.deep", "head.not-http",
        "head.tls-garbage", "redirect.away", "text.poison",
    }
)  # fmt: skip

ALWAYS = [name for name, kind in HOSTILE.items() if not kind.behind]


def checked(name: str, *options: str, every: int | None = None, after: int | None = None) -> Ran:
    """Check a misbehaving server, and look at what is left of the run as the table does."""
    amid = every is not None or after is not None
    with serving(name, every=every, after=after, options=("--fault", FAULT) if amid else ()) as server:
        reported = run(server, name, *options, timeout=1.0, budget="quick", found=amid, whole=amid)
        if server.strayed:
            reported.wrong.append("a request went to another host")
    return reported


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.thorough] * (name not in ONE_EACH)) for name in ALWAYS]
)
def test_who_always_misbehaves(name: str) -> None:
    reported = checked(name)
    assert reported.wrong == [], reported


@pytest.mark.parametrize(
    ("name", "every", "after"),
    [
        ("connection.closed", 25, 0),
        ("connection.dies", 1, 120),
        ("body.bomb", 25, 0),
        *(
            pytest.param(*each, marks=pytest.mark.thorough)
            for each in (
                ("connection.silent", 60, 0),
                ("connection.dies-talking", 1, 120),
                ("connection.outages", 90, 0),
                ("body.short", 25, 0),
                ("head.garbage", 25, 0),
                ("head.ten-thousand", 25, 0),
            )
        ),
    ],
)
def test_what_was_found_amid_misbehaviour_is_reported(name: str, every: int, after: int) -> None:
    reported = checked(name, "--rule", RULE, every=every, after=after)
    assert reported.wrong == [], reported


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name, kind in HOSTILE.items() if kind.behind])
def test_who_misbehaves_now_and_then(name: str) -> None:
    with serving(name) as server:
        reported = run(server, name, timeout=2.0, budget="quick", found=False)
    assert reported.wrong == [], reported


# The parts, one by one


def test_every_misbehaviour_is_listed_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(HOSTILE)
    assert all(line.endswith(".") for line in lines)


@pytest.mark.parametrize("name", ["Connection.Silent", "elsewhere.silent", "connection.silent"])
def test_a_name_says_where_and_what_and_is_there_once(name: str) -> None:
    def act(peer: Peer) -> None:
        """Does nothing."""

    with pytest.raises(ValueError, match="name"):
        hostile(name, statuses=(3,), reports=".")(act)


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--hostile", "connection.silnt"], "did you mean connection.silent?"),
        (["--hostile", "body.deep", "--fault", "data.x"], "--hostile takes no option beside it but --port"),
        (["--hostile", "body.deep", "--port", "99999"], "cannot listen on port 99999"),
    ],
)  # fmt: skip
def test_serving_one_by_name_says_what_is_wrong(arguments: list[str], reported: str, tmp_path: Path) -> None:
    status, out, err = ran_here("serve", *arguments, cwd=tmp_path)
    assert (status, out) == (2, "")
    assert reported in err
    assert len(err.splitlines()) == 1


def test_one_is_served_by_name_until_its_parent_goes() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "fixtures.hostile", "redirect.away", "--exit-with-parent"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    assert httpx.post(f"{url}course", json={"method": "read"}).status_code == 307
    process.stdin.close()
    assert process.wait(300) == 0
    process.stdout.close()


@pytest.mark.parametrize("name", ["redirect.away", "redirect.loop"])
def test_a_token_follows_nobody(name: str) -> None:
    with serving(name) as server:
        client = Client(server.url, timeout=5.0)
        for verb in ("POST", "GET", "PUT", "HEAD"):
            exchange = client.send("course", b"{}", verb=verb, headers=[("Token", "kept-to-itself")])
            assert exchange.status in (302, 307)
        client.send_bytes(client.head("POST", "course", [("Token", "kept-to-itself")]) + b"\r\n")
        client.close()
        # A library that follows redirects shows that the other host would have counted it.
        if name == "redirect.away":
            assert server.strayed == []
            httpx.post(f"{server.url}course", headers={"Token": "given away"}, follow_redirects=True)
            assert any(b"given away" in data for data in server.strayed)


def test_every_kth_request_after_the_first_n_meets_it() -> None:
    with serving("body.html", every=3, after=4, options=("--fault", FAULT)) as server:
        client = Client(server.url, timeout=5.0)
        statuses = [client.send("sys", b'{"method":"ping"}').status for _ in range(12)]
        client.close()
    assert [number for number, status in enumerate(statuses, 1) if status == 502] == [7, 10]
    assert {status for status in statuses if status != 502} == {200}


@pytest.mark.parametrize(
    ("levels", "readable"),
    [(1, True), (249, True), (250, True), (251, False), (900, False), (100_000, False)],
)
@pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_how_deep_is_read_depends_on_the_text_alone(
    levels: int, readable: bool, opens: bytes, closes: bytes
) -> None:
    text = opens * levels + b"1" + closes * levels
    assert (read_json(text).error == TOO_DEEP) is not readable

    def deeper(left: int) -> str | None:
        return deeper(left - 1) if left else read_json(text).error

    assert (deeper(500) == TOO_DEEP) is not readable


@pytest.mark.parametrize(
    "text", [b'["' + b"[" * 5000 + b'"]', b'["\\"' + b"{" * 5000 + b'"]', b"[" + b"[]," * 5000 + b"1]"]
)
def test_brackets_in_strings_and_beside_each_other_are_not_deep(text: bytes) -> None:
    assert read_json(text).error is None


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("body.many-members", "the response is gzip of more than"),
        ("body.bomb-in-bomb", "decodes to more than"),
        ("body.tiny-objects", f"the response holds more than {MAX_JSON_VALUES:,} values"),
        ("head.megabyte", "the head of the response is larger than"),
    ],
)
def test_what_would_take_too_much_is_not_read(name: str, detail: str) -> None:
    with serving(name) as server:
        client = Client(server.url, timeout=20.0)
        one = client.send("course", b"{}")
        other, received = client.send_bytes(
            client.head("POST", "course", [("Content-Length", "2")]) + b"\r\n{}"
        )
        client.close()
    assert one.failure is not None
    assert one.failure.kind == "oversize"
    assert detail in one.failure.detail
    assert other.failure is not None
    assert len(received) <= 2 * MAX_RESPONSE_BYTES


def exchange_of(body: bytes = b"{}", *headers: tuple[str, str], failure: Failure | None = None) -> Exchange:
    request = Request("POST", "http://host/api/course", (), b'{"method":"read"}')
    response = None if failure else Response(200, headers, body, b"raw" * 1000)
    return Exchange(request, response, failure, function="course.read")


def test_ten_thousand_headers_are_not_written_down() -> None:
    many = json_of(exchange_of(b"{}", *((f"X-{number}", "1") for number in range(10_000))).record())[
        "response"
    ]["headers"]
    assert many["X-0"] == "1"
    assert len(json.dumps(many)) < 100_000
    assert many["…"].endswith("of 10000 headers are not shown")
    same = json_of(exchange_of(b"{}", *(("X-Same", f"{number}") for number in range(10_000))).record())
    assert same["response"]["headers"]["X-Same"].startswith("0, 1, 2, ")
    assert len(json.dumps(same)) < 100_000


def test_a_large_answer_is_retained_in_brief() -> None:
    small, large = exchange_of(b'{"a":1}'), exchange_of(b'{"a":"' + b"x" * 3_000_000 + b'"}')
    assert small.brief() is small
    retained = large.brief()
    assert retained.response is not None
    assert len(retained.response.body) + len(retained.response.raw) < 100_000
    assert json_of(retained.record()) == json_of(large.record())
    assert "(3000008 bytes in all)" in json_of(retained.record())["response"]["body"]


def test_of_ten_thousand_headers_the_first_are_retained() -> None:
    many = exchange_of(b"{}", *((f"X-{number}", "1") for number in range(10_000)))
    retained = many.brief()
    assert retained.response is not None
    assert len(retained.response.headers) <= 1000
    assert retained.response.headers == many.response.headers[: len(retained.response.headers)]  # type: ignore[union-attr]
    assert json_of(retained.record()) == json_of(many.record())
    assert json_of(retained.brief().record()) == json_of(many.record())


def test_of_large_answers_one_is_retained_read() -> None:
    first, second = (exchange_of(b'{"data":"' + b"x" * 2_000_000 + b'"}') for _ in range(2))
    assert first.data == second.data == first.data
    assert [each._json is not None for each in (first, second)] == [True, False]


def test_what_was_found_before_the_silence_is_separate() -> None:
    observer = RuleObserver(lambda event: None, ["REQ-1", "COD-8"])
    observer.begin("test")
    observer.found(Finding("REQ-1", "course.read", "before", "", "", "", exchange_of()))
    observer.observe(exchange_of(failure=Failure("closed", "closed")))
    observer.found(Finding("REQ-1", "course.read", "after", "", "", "", exchange_of()))
    assert {key[2] for key in observer.discard(keep_undisturbed=True)} == {
        "before",
        "closed without an answer",
    }
    assert {key[2] for key in observer.discard()} == {"closed without an answer"}


def test_an_outage_is_waited_for_and_breaks_no_rule() -> None:
    with serving("connection.outages", every=150) as server:
        report = judge(
            target=server.url,
            profile=ROOT / "fixtures/service/conform.toml",
            rules=["HTTP-2", "HTTP-3"],
            budget="quick",
        )
    assert {verdicts(report)[rule] for rule in ("HTTP-2", "HTTP-3")} == {"pass"}
    assert report["gate"] == "pass"
    assert any("was not there" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("name", "rules", "every"),
    [
        ("body.endless", ("HTTP-2", "REQ-2", "REQ-5", "AUT-11", "STA-3", "STA-4"), 17),
        ("connection.silent", ("REQ-2", "COD-3"), 7),
        ("head.not-http", ("REQ-2", "REQ-5", "REQ-6", "ACC-2"), 9),
    ],
)
def test_calls_that_are_answered_the_second_time_break_no_other_rule(
    name: str, rules: tuple[str, ...], every: int, tmp_path: Path
) -> None:
    """They leave nothing to rely on where they are many; what they asked for was never refused, nor granted."""
    with serving(name, every=every, options=("--fault", FAULT)) as server:
        report = judge(target=server.url, profile=profile_in(tmp_path, 0.3), rules=rules, budget="quick")
    assert set(broken(report)) == ({RULE} if RULE in rules else set())
    reported = [error["message"] for error in report["errors"]]
    assert any(
        "one when the same was sent again: it is too unstable to judge" in each for each in reported
    ), reported
    assert report["gate"] == ("fail" if RULE in rules else "undecided")


def test_few_calls_that_are_answered_the_second_time_are_a_note(tmp_path: Path) -> None:
    with serving("connection.silent", every=100) as server:
        report = judge(
            target=server.url, profile=profile_in(tmp_path, 0.3), rules=["REQ-6", "COD-3"], budget="quick"
        )
    assert report["gate"] == "pass"
    assert report["errors"] == []
    assert [note for note in report["notes"] if "one when the same was sent again" in note]


def test_calls_of_one_kind_that_are_never_answered_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def silent(service: Service) -> Service:
        return slow(
            service,
            "parse_body",
            lambda call: 2.0 * (b'"data":[' in call.request.body and "/sys" in call.request.path),
        )

    monkeypatch.setitem(FAULTS, "requests.silent", silent)
    with serving_here("requests.silent") as (url, catalogue):
        profile = profile_of(catalogue, tmp_path)
        profile.write_text(
            profile.read_text("utf-8").replace("[target]", "[target]\ntimeout = 0.3", 1), "utf-8"
        )
        report = judge(target=url, profile=profile, rules=["REQ-6"], budget="quick")
    assert set(broken(report)) == {"REQ-6"}
    rule = next(rule for rule in report["rules"] if rule["id"] == "REQ-6")
    assert {finding["kind"] for finding in rule["findings"]} == {"data that is an array is not refused"}
    assert all("no answer" in finding["actual"] for finding in rule["findings"])


@pytest.mark.parametrize("instead", [None, [], {}, {"course": []}])
def test_an_object_that_reads_as_another_one_sometimes_stops_no_test(
    instead: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = itertools.count(1)

    def forgets(service: Service) -> Service:
        def change(envelope: dict[str, Any]) -> dict[str, Any]:
            return envelope | {"data": instead} if next(numbers) % 7 == 0 else envelope

        return on_success(service, ("course.read",), change)

    monkeypatch.setitem(FAULTS, "state.forgets", forgets)
    with serving_here("state.forgets") as (url, catalogue):
        profile = profile_of(catalogue, tmp_path, entities=("auth", "course", "lesson", "sys"))
        report = judge(target=url, profile=profile, rules=["STA-1", "STA-2"], budget="quick")
    assert report["errors"] == []
    assert "STA-2" in broken(report)


def test_who_is_blamed_for_what_stops_a_run() -> None:
    """Neither the target nor the suite, where it is the time or the machine."""
    from reports.render.terminal.closing_screen import render
    from tests.support.run_events import a_rule, header

    reported = {
        "event": "error",
        "rule": None,
        "whose": "this machine",
        "message": "cannot write o/events.jsonl",
    }
    report = build(
        [header(a_rule("ENV-1")), reported, {"event": "cut"}, {"event": "end", "seconds": 1.0, "requests": 1}]
    )
    shown = render(report, color=False)
    assert "this machine: cannot write o/events.jsonl" in shown
    assert "the target:" not in shown
    assert report["gate"] == "undecided"


def test_a_clock_that_leaps_backwards_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's own machine sets its clock in the middle of a run: time is taken from another one."""
    leaps = iter(range(10**6))
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + (-1) ** next(leaps) * 86_400 * 365)
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
    report = judge(rules=["HTTP-8", "AUT-1"], budget="quick")
    assert {verdicts(report)[rule] for rule in ("HTTP-8", "AUT-1")} == {"pass"}
    assert 0 <= report["seconds"] < 120


def test_a_delete_with_data_too_deep_to_be_read_is_taken_note_of() -> None:
    """A target in another language may read what Python does not, and ignore what the function does not declare."""
    with serving_here() as (url, _):
        harness = harnesses.Harness.prepare(
            harnesses.Request(target=url, profile=ROOT / "fixtures/service/conform.toml")
        )
        run = Run(harness.profile, harness.catalog, Options(seed=7), lambda event: None)
        gone, other = (run.resources.new("course", "owner") for _ in range(2))
        method = run.catalog.delete("course")
        assert method is not None
        reported = json.dumps({"method": "remove", "data": {"courseId": gone.id}})[:-2]
        body = f'{reported},"x":{"[" * 100_000}{"]" * 100_000}}}}}'.encode()
        answer = Response(200, (), b'{"isError":false,"errMsg":null,"data":{}}', b"")
        run.ledger._note_change(
            Exchange(Request("POST", f"{url}course", (), body), answer, function=method.name), method
        )
        assert list(run.resources.owned()) == [other]
        run.clean_up.run()
        run.client.close()
