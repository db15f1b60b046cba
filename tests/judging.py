"""Judging a target inside a test: the same conversations as `conform check`, without pytest around them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from conformance.harness import Embedded, Harness, Request
from conformance.protocol.client import OutOfTimeError
from conformance.run import Options, Run, TargetDownError
from conformance.suite import conversations
from reports.run import build, validate

ROOT = Path(__file__).resolve().parent.parent


def judge(
    *,
    target: str | None = None,
    profile: Path | None = None,
    rules: Sequence[str] = (),
    seed: int = 7,
    budget: str = "standard",
    read_only: bool = False,
    jobs: int = 1,
) -> dict[str, Any]:
    """Judge a target by these rules (all of them by default) and return the report, validated."""
    request = Request(
        target=target,
        profile=profile,
        rules=tuple(rules),
        seed=seed,
        budget=budget,
        read_only=read_only,
        jobs=jobs,
    )
    harness = Harness.prepare(request)
    events: list[dict[str, Any]] = []

    def emit(event: dict[str, Any]) -> None:
        if event["event"] != "exchange":
            events.append(json.loads(json.dumps(event)))

    try:
        harness.connect()
        emit(harness.header("test"))
        for rule in harness.header("test")["rules"]:
            if rule["id"] not in harness.wanted:
                emit(
                    {
                        "event": "not judged",
                        "rule": rule["id"],
                        "function": None,
                        "reason": "left out",
                        "lines": None,
                    }
                )
        options = Options(
            seed=harness.seed,
            budget=budget,
            read_only=read_only,
            jobs=jobs,
            rules=harness.wanted,
            deadline=300.0,
        )
        run = Run(harness.profile, harness.catalog, options, emit)
        try:
            for conversation in conversations(run, harness.wanted):
                run.conduct(
                    conversation.name, conversation.rules, conversation.body, disturbs=conversation.disturbs
                )
        except (TargetDownError, OutOfTimeError):
            pass
        finally:
            run.finish()
        emit({"event": "end", "seconds": run.seconds, "requests": run.client.sent})
    finally:
        harness.close()
    report = build(events)
    validate(report)
    return report


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """Return each rule's verdict."""
    return {rule["id"]: rule["verdict"] for rule in report["rules"]}


def broken(report: dict[str, Any]) -> dict[str, list[str]]:
    """Return the rules that failed or warned, each with its findings in a line."""
    return {
        rule["id"]: [
            f"{f['function']}: {f['kind']} | {f['expected']} | {f['actual']} ({f['reproduced']})"
            for f in rule["findings"]
        ]
        for rule in report["rules"]
        if rule["verdict"] in ("fail", "warn")
    }


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run the reference service, with faults or without, and yield its base URL."""
    service = Embedded(*arguments)
    service.start()
    try:
        yield service.url
    finally:
        service.stop()


def profile_of(url: str, folder: Path) -> Path:
    """Return the embedded service's profile, with the catalogue that a running service publishes of itself."""
    published = httpx.get(url.replace("/api/", "/openrpc.json"))
    (folder / "coursio.openrpc.json").write_bytes(published.content)
    path = folder / "conform.toml"
    path.write_text(
        (ROOT / "fixtures" / "service" / "conform.toml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    return path


@contextlib.contextmanager
def foreign(module: str, *arguments: str) -> Iterator[dict[str, str]]:
    """Run one of tests/servers and yield what it says of itself: url, profile, catalog."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.servers.{module}", "--port", "0", "--exit-with-parent", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(5)
        process.stdout.close()
