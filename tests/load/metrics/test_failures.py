"""Why requests failed: rows by function, kind and message, each with one exchange, in every report."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from load.metrics.failures import MAX_KINDS, Failures, FailureTable, normalize_message
from load.metrics.slowest import MAX_SLOWEST, Slowest, slowest_of
from tests.support.loading import Target
from tests.support.recording import ran, report_in


@dataclass
class Call:
    index: int = 0


@dataclass
class Reply:
    body: bytes = b""
    failure: str | None = None
    detail: str = ""
    status: int = 404
    sent: float = 0.0
    done_at: float = 0.0
    answer: Any = None


def refusal(message: Any) -> Reply:
    return Reply(json.dumps({"isError": True, "errMsg": message, "data": None}).encode())


@pytest.mark.parametrize(
    ("message", "normalized"),
    [
        ("no course 17", "no course #"),
        ("no course  c-99x for\nuser 4", "no course c-# for user #"),
        ("12 of 300.5 s are over", "# of # s are over"),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301 is unknown", "id # is unknown"),
        ("owner@example.com may not", "# may not"),
        ("you may not", "you may not"),
        ("note.find7: a-b 5", "note.#: a-b #"),
        ("a@ b, @c and d.e+f@host.", "a@ b, @c and #."),
        ("x1:2.3-y (7)", "# (#)"),
        ("größe12 ist zu groß", "# ist zu groß"),
        ("x" * 500, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_messages_that_differ_in_identifiers_alone_are_one(message: str, normalized: str) -> None:
    assert normalize_message(message) == normalized


def test_a_failure_that_is_no_answers_keeps_its_place() -> None:
    failures = Failures(["course.find", "task Buyer.buy"], mask=lambda text: text.replace("pepper", "***"))
    for number in range(3):
        failures.add(
            "task Buyer.buy", "task error", "checkout.py:14", f"KeyError: pepper {number}", 1.0 + number
        )
    table = FailureTable()
    news = failures.news()
    assert news is not None
    (event,) = table.take(news)
    assert (event.function, event.message) == ("task Buyer.buy", "checkout.py:14: KeyError: *** #")
    (row,) = table.to_json()["rows"]
    assert (row["count"], row["first"], row["last"], row["exchange"]) == (3, 1.0, 3.0, None)


@pytest.mark.parametrize("unit", ["a", "a.", "a-", "a+", "é_", "1", "1:", "@", "a@", "a@."])
def test_a_message_takes_time_in_proportion_to_its_length(unit: str) -> None:
    """A search that begins again at each character of a word would take thousands of times as long."""

    def seconds(text: str) -> float:
        times = []
        for _ in range(5):
            begun = time.process_time()
            for _ in range(20):
                normalize_message(text)
            times.append(time.process_time() - begun)
        return min(times)

    assert seconds(unit * 5_000) < 40 * seconds("no course 17 for owner@example.com, " * 30)


def test_messages_are_masked_before_identifiers_are_replaced() -> None:
    """A part of a secret may look like an identifier, and the rest of it must not be shown."""
    masked: list[str] = []

    def mask(text: str) -> str:
        masked.append(text)
        return text.replace("correct 7orse battery", "***")

    failures = Failures(["note.find"], mask=mask)
    for number in range(50):
        failures.take(Call(), refusal(f"correct 7orse battery is no password of {number}"), "status 403", 1.0)
    news = failures.news()
    assert news is not None
    assert [(row["message"], row["count"]) for row in news["rows"]] == [("*** is no password of #", 50)]
    # Masking is what takes longest: once for messages that only differ in identifiers.
    assert len(masked) == 1


def test_failures_are_rows_of_function_kind_and_message() -> None:
    failures = Failures(["note.find", "note.read"], show=lambda call, reply: {"curl": f"call {call.index}"})
    for number in range(5):
        failures.take(Call(1), refusal(f"no note {number}"), "status 404", 2.0 + number)
    failures.take(Call(0), refusal("full"), "status 404", 1.0)
    failures.take(Call(0), Reply(failure="closed", detail="reset after 12 bytes"), "closed", 9.0)
    failures.take(Call(0), Reply(b"<html>"), "status 502", 3.0)
    failures.take(Call(0), refusal({"code": "a"}), "status 500", 3.0)
    table = FailureTable()
    news = failures.news()
    assert news is not None
    assert len(table.take(news)) == 5
    shown = table.to_json([("note.find", "no connection", 3), (None, "no connection", 2)])
    rows = [(row["function"], row["kind"], row["message"], row["count"]) for row in shown["rows"]]
    assert rows == [
        ("note.read", "status 404", "no note #", 5),
        ("note.find", "no connection", "", 3),
        (None, "no connection", "", 2),
        ("note.find", "closed", "reset after # bytes", 1),
        ("note.find", "status 404", "full", 1),
        ("note.find", "status 500", '{"code":"a"}', 1),
        ("note.find", "status 502", "", 1),
    ]
    assert (shown["rows"][0]["first"], shown["rows"][0]["last"]) == (2.0, 6.0)
    assert shown["rows"][0]["exchange"] == {"curl": "call 1"}
    assert failures.news() is None


def test_several_processes_make_one_table() -> None:
    table = FailureTable()
    processes = [Failures(["note.find"], show=lambda call, reply: {"curl": "here"}) for _ in range(3)]
    for moment in range(4):
        for failures in processes:
            failures.take(Call(), refusal("full"), "status 503", float(moment))
            news = json.loads(json.dumps(failures.news()))
            table.take(news)
    (row,) = table.to_json()["rows"]
    assert (row["count"], row["first"], row["last"], row["exchange"]) == (12, 0.0, 3.0, {"curl": "here"})


def test_memory_is_bounded_and_the_rest_is_counted() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    failures = Failures(["note.find"])
    table = FailureTable()
    for one in letters:
        for other in letters:
            for _ in range(2):
                failures.take(Call(), refusal(f"{one}{other}"), "status 400", 1.0)
    news = failures.news()
    assert news is not None
    table.take(news)
    shown = table.to_json()
    assert len(shown["rows"]) == MAX_KINDS
    assert sum(row["count"] for row in shown["rows"]) + shown["beyond"] == 2 * 26 * 26
    # Another process with other kinds.
    elsewhere = Failures(["note.find"])
    for one in letters:
        elsewhere.take(Call(), refusal(f"more {one}"), "status 400", 1.0)
    news = elsewhere.news()
    assert news is not None
    table.take(news)
    assert sum(row["count"] for row in table.to_json()["rows"]) + table.beyond == 2 * 26 * 26 + 26


def test_a_secret_in_a_message_is_masked() -> None:
    failures = Failures(["note.find"], mask=lambda text: text.replace("hush", "***"))
    failures.take(Call(), refusal("wrong password hush"), "status 401", 1.0)
    news = failures.news()
    assert news is not None
    assert news["rows"][0]["message"] == "wrong password ***"


def test_the_slowest_are_retained() -> None:
    slowest = Slowest()
    for number in range(1, 101):
        took = 0.25 + number / 100
        if took > slowest.least:
            slowest.take("note.find", 1.0, 1.25, 1.0 + took, 7, None, number)
    entries = slowest.news()
    assert entries is not None
    assert slowest.news() is None
    shown = slowest_of({"1": entries, "2": entries[:1]})
    assert len(shown) == MAX_SLOWEST
    assert shown[0]["connection"] == 100
    assert (shown[0]["due"], shown[0]["sent"]) == pytest.approx((1250.0, 1000.0))
    assert [entry["due"] for entry in shown] == sorted((entry["due"] for entry in shown), reverse=True)


# --- a whole load -------------------------------------------------------------------------------------------

CATALOGUE = {
    "openrpc": "1.3.2",
    "info": {"title": "Notes", "version": "1"},
    "methods": [
        {
            "name": name,
            "x-auth": "none",
            "x-effect": "read",
            "params": [],
            "result": {"name": "r", "schema": {"type": "object"}},
        }
        for name in ("note.find", "memo.find")
    ],
}


def test_a_load_says_why_its_requests_failed(tmp_path: Path) -> None:
    """Each third call of one endpoint is refused, and one call in twenty takes longer than a call may."""

    def answer(number: int, path: str) -> tuple[int, float]:
        if number % 20 == 0:
            return 200, 3.0
        return (403, 0.0) if path.endswith("memo") and number % 3 == 0 else (200, 0.0)

    (tmp_path / "catalogue.json").write_text(json.dumps(CATALOGUE), "utf-8")
    with Target(answer) as target:
        (tmp_path / "conform.toml").write_text(
            f'[target]\nurl = "{target.url}"\nenvironment = "test"\ncatalog = "catalogue.json"\ntimeout = 1.0\n'
            'headers = { "Authorization" = "Bearer gate-word-of-the-target" }\n'
            '[load]\nslo = ["errors < 1%", "memo.find errors < 1%"]\n',
            "utf-8",
        )
        asked = ("--rate", "100/s", "--duration", "4s", "--warmup", "1s", "--seed", "3", "--no-calibration")
        status, out, err = ran("load", "--out", "o", *asked, cwd=tmp_path)
    assert status in (1, 3), out + err
    load = report_in(tmp_path / "o")["load"]
    rows = load["failures"]["rows"]
    found = {(row["function"], row["kind"]): row for row in rows}
    assert sum(row["count"] for row in rows) == load["total"]["failed"]
    refused = found["memo.find", "status 403"]
    assert refused["message"] == "Log in"
    assert 1.0 <= refused["first"] <= refused["last"]
    assert refused["exchange"]["response"]["status"] == 403
    assert refused["exchange"]["curl"].startswith("curl ")
    late = next(row for (_, kind), row in found.items() if kind == "timeout")
    assert late["exchange"]["failure"].startswith("timeout")
    assert late["exchange"]["request"]["url"].startswith(target.url)
    assert len(load["slowest"]) == 10
    assert all(entry["due"] >= entry["sent"] > 0 and entry["connection"] for entry in load["slowest"])
    screen = " ".join(out.split())
    assert "why requests failed" in screen
    assert "memo.find: status 403, Log in" in screen
    for name in ("report.html", "report.md"):
        text = (tmp_path / "o" / name).read_text("utf-8")
        assert "status 403" in text
        assert "Log in" in text
    cases = ElementTree.parse(tmp_path / "o" / "junit.xml").iter("testcase")
    failed = {
        case.get("name"): "".join(case.itertext()) for case in cases if case.find("failure") is not None
    }
    if load["health"]["valid"]:
        assert "memo.find: status 403, Log in" in failed["memo.find errors < 1%"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "o").iterdir()).decode("utf-8", "replace")
    assert "gate-word" not in written
