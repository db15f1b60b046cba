"""A load on a server that fails fast: what failed is not fast, and a load that served nothing passes nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load_truth_failing import truth_of
from tests.support.recording import MAX_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent
METHOD = {
    "x-auth": "none",
    "x-effect": "read",
    "params": [],
    "result": {"name": "r", "schema": {"type": "object"}},
}
CATALOG = {
    "openrpc": "1.3.2",
    "info": {"title": "Boxes", "version": "1"},
    "methods": [{"name": name, **METHOD} for name in ("box.find", "box.read")],
}


@contextmanager
def serving(mode: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.servers.failing", "--mode", mode, "--exit-with-parent"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def load(folder: Path, mode: str, *arguments: str, timeout: float = 10.0) -> tuple[int, str, dict[str, Any]]:
    """Return status, first line and report of a load on such a server."""
    (folder / "catalog.json").write_text(json.dumps(CATALOG), "utf-8")
    with serving(mode) as url:
        (folder / "conform.toml").write_text(
            f'[target]\nurl = "{url}"\nenvironment = "test"\ncatalog = "catalog.json"\ntimeout = {timeout}\n',
            "utf-8",
        )
        done = subprocess.run(
            [sys.executable, str(ROOT / "conform.py"), "load", "--no-calibration", "--out", "o", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
        )
    report = json.loads((folder / "o" / "report.json").read_text("utf-8"))
    return done.returncode, done.stdout.splitlines()[0], report


def slos(report: dict[str, Any]) -> dict[str, str]:
    return {slo["text"]: slo["verdict"] for slo in report["load"]["slos"]}


@pytest.mark.parametrize(
    "lines", [(), ("--slo", "p95 < 300ms", "--slo", "rate > 90/s"), ("--slo", "errors <= 100%")]
)
def test_a_load_of_which_nothing_was_served_fails(lines: tuple[str, ...], tmp_path: Path) -> None:
    status, first, report = load(tmp_path, "refuse", "--rate", "100/s", "--duration", "6s", *lines)
    total = report["load"]["total"]
    assert (status, report["verdict"]) == (1, "nonconformant")
    assert first.strip().startswith("nonconformant  nothing was served: every one of")
    assert (total["served"], total["rate"], total["due"]["count"]) == (0, 0, 0)
    assert total["refused"]["count"] == total["requests"] == total["arrivals"]
    verdicts = slos(report)
    for text in ("p95 < 300ms", "rate > 90/s", "errors < 1%"):
        assert verdicts.get(text, "fail") == "fail"
    assert ("errors < 1%" in verdicts) is ("errors <= 100%" not in lines)
    assert "lifts it" in (tmp_path / "o" / "report.md").read_text("utf-8") or "errors <= 100%" in lines


def test_what_is_refused_at_once_makes_no_latency_better(tmp_path: Path) -> None:
    status, _, report = load(
        tmp_path,
        "shed",
        "--rate",
        "200/s",
        "--duration",
        "8s",
        "--slo",
        "p95 < 300ms",
        "--slo",
        "errors <= 100%",
    )
    total = report["load"]["total"]
    assert (status, slos(report)["p95 < 300ms"]) == (1, "fail")
    assert total["due"]["p50"] >= 1000 * 2 > total["refused"]["p95"]
    assert total["rate"] == pytest.approx(8, rel=0.1)
    assert total["answered"] == total["arrivals"]


def test_an_overload_is_the_targets_to_the_last_arrival(tmp_path: Path) -> None:
    """A third of the calls is served. What waits when the last arrival comes is waited for until its own end."""
    options = ("--rate", "60/s", "--duration", "6s", "--connections", "24", "--warmup", "0s")
    status, first, report = load(tmp_path, "queue", *options, timeout=1.5)
    total = report["load"]["total"]
    # Whatever else the machine does, the generator is not blamed for the waits that the target caused.
    assert status == 1, first
    assert not any("nothing took them up" in why for why in report["load"]["health"]["why"])
    assert slos(report)["errors < 1%"] == "fail"
    ended = total["served"] + total["refused"]["count"] + total["unanswered"] + total["dropped"]
    assert ended == total["arrivals"] == 360
    # No arrival was cut off by the end of the run: each found no connection or had an answer.
    assert total["dropped"] == total["no_connection"] > 0
    # Each of them had to wait, and counts as a latency of that length at least.
    assert total["due"]["count"] == total["arrivals"]
    assert total["due"]["p95"] >= 1500


def test_a_search_holds_what_is_served(tmp_path: Path) -> None:
    _, _, report = load(tmp_path, "limit", "--search", "200/s to 800/s, 3s each", "--slo", "p50 < 5s")
    search = report["load"]["search"]
    met = [trial["rate"] for trial in search["trials"] if trial["held"]]
    assert all(rate <= 300 * 1.02 for rate in met), search
    # A busy machine may not get as far as the rates that the target does not serve.
    above = [trial for trial in search["trials"] if trial["rate"] > 300]
    assert above or report["load"]["health"]["why"] or not all(trial["held"] for trial in search["trials"])
    assert all(trial["held"] is not True for trial in above if trial["rate"] > 300 * 1.02)


def test_an_outage_is_named_with_its_window(tmp_path: Path) -> None:
    status, _, report = load(
        tmp_path, "outage", "--rate", "50/s", "--duration", "20s", "--warmup", "0s", "--slo", "errors < 15% in every 5s"
    )  # fmt: skip
    (slo,) = report["load"]["slos"]
    assert (status, slo["verdict"]) == (1, "fail")
    assert [(each["from"], each["to"]) for each in slo["windows"]["missed"]] == [(10, 15)]
    assert slo["windows"]["missed"][0]["value"] == pytest.approx(40, abs=6)


def test_what_such_servers_serve_follows_from_arithmetic() -> None:
    assert (truth_of("shed").goodput, truth_of("shed").percentiles[50]) == (8, 2000)
    assert truth_of("limit").goodput == 300
    assert truth_of("limit").percentiles == {50: 296, 95: 476, 99: 492}
    assert truth_of("limit").refused == pytest.approx(0.4)
    assert truth_of("outage").refused == pytest.approx(2 / 30)
