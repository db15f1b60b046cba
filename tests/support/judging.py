"""Check a target inside a test: the engine of `conform check`, run without pytest."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import logging
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import uvicorn

from conformance.catalog.model import Catalog
from conformance.engine.harness import Harness, Request
from conformance.engine.suite_run import SuiteRun
from conformance.events import Event, ExchangeEvent
from conformance.generation import payloads
from fixtures.faults import FAULTS
from fixtures.service import server
from fixtures.service.service import BASE, Service
from reports.causes.diagnosis import diagnose
from reports.causes.evidence import Knowledge
from reports.model.files import validate
from tests.servers import library
from tests.support import evidence
from tests.support.events import build, record_of
from tests.support.processes import start

#: Seconds that a check may take here. On a busy machine no test is left out for lack of time.
MAX_SECONDS = 3600.0

#: Kinds of objects that have all that most rules ask for: parents, owners, lists, changes and messages to others.
FEW_ENTITIES = ("auth", "course", "lesson", "message", "sys")

ROOT = Path(__file__).resolve().parent.parent.parent

#: Valid catalogues by the digest of their files.
_catalogs: dict[bytes, Catalog] = {}
_load = Catalog.load


def _load_once(path: Path | str) -> Catalog:
    """Load a catalogue, or return the one of an earlier run in this process that has the same content.

    Compiling its schemas takes a quarter of a second, and hundreds of targets here publish the same catalogue.
    """
    path = Path(path)
    digest = hashlib.sha256(path.read_bytes()).digest()
    if digest not in _catalogs:
        _catalogs[digest] = _load(path)
    return dataclasses.replace(_catalogs[digest], path=path)


# One function, though it is long: half of it lists and explains the parameters.
def judge(
    *,
    target: str | None = None,
    profile: Path | None = None,
    rules: Sequence[str] = (),
    seed: int = 7,
    budget: str = "standard",
    read_only: bool = False,
    jobs: int = 1,
    until_found: bool = False,
    until_any: Sequence[str] = (),
    until: Callable[[], bool] = lambda: False,
    generated: float = 1.0,
    seconds: float = MAX_SECONDS,
    watch: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Check a target against these rules (all by default) and return the validated report.

    With `until_found` the run ends as soon as each of the rules has a finding, and none is confirmed; with `until_any`
    as soon as one of those rules has one; with `until` after the test after which that is true. `generated` is the
    part of the budget's requests that generated payloads get. `watch` is called with each event of the run.
    """
    request = Request(
        target=target,
        profile=profile,
        rules=tuple(rules),
        seed=seed,
        budget=budget,
        read_only=read_only,
        jobs=jobs,
    )
    with mock.patch.object(Catalog, "load", staticmethod(_load_once)):
        harness = Harness.prepare(request)
    events: list[dict[str, Any]] = []
    knowledge = Knowledge()

    def emit(event: Event) -> None:
        if watch is not None:
            watch(event)
        if isinstance(event, ExchangeEvent):
            knowledge.take(event)
        else:
            events.append(record_of(event))

    def found() -> bool:
        assert suite_run.run is not None
        observer = suite_run.run.observer
        seen = {key[0] for key in (*observer.every, *observer.take())}
        return bool(seen & set(until_any)) if until_any else harness.wanted <= seen

    ends_early = until_found or bool(until_any)
    suite_run = SuiteRun(harness, emit)
    try:
        suite_run.begin("test")
        run = suite_run.open(confirm=not ends_early, deadline=seconds)
        suite_run.plan(suite_run.collect())
        if run.payload_budget.requests is not None:
            # The requests of a budget decide here; how fast this machine sends them must not.
            run.payload_budget.seconds *= 20
            run.payload_budget.requests = round(run.payload_budget.requests * generated)
        if ends_early:
            run.payload_budget.enough = found
        try:
            suite_run.run_all(until=lambda: until() or (ends_early and found()))
        finally:
            if ends_early:
                run.client.close()
            else:
                suite_run.finish()
        suite_run.end()
    finally:
        harness.close()
        # A run of the command ends with its process; here many follow each other in one.
        payloads.clear_cache()
    report = build(events)
    # The exchanges themselves are not retained: what the causes need of them was taken above.
    report["causes"] = diagnose(report["rules"], knowledge)
    validate(report)
    problems = evidence.problems(events)
    assert problems == [], problems
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


def findings_of(rules: Sequence[str], run: Callable[[str], dict[str, Any]]) -> dict[str, list[str]]:
    """Return what a run with the smaller budget finds; if it misses a rule, what the standard budget finds.

    `run` checks a new server with a budget until each rule has a finding, and returns the report.
    """
    found: dict[str, list[str]] = {}
    for budget in ("quick", "standard"):
        report = run(budget)
        found = broken(report)
        if not report["errors"] and found.keys() >= set(rules):
            return found
    assert not report["errors"], report["errors"]
    return found


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run the reference service in a process of its own, with faults or without, and yield its base URL."""
    module = "fixtures.faults" if "--fault" in arguments else "fixtures.service"
    with _server(module, "--ready-line", *arguments) as ready:
        yield str(ready["url"])


@contextlib.contextmanager
def _server(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run a server as a program of its own, and yield the line that it prints when it listens."""
    process = start(
        module,
        "--port",
        "0",
        "--exit-with-parent",
        *arguments,
        stdin=subprocess.PIPE,
        # What it says of itself beside that line is for people.
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(300)
        process.stdout.close()


@contextlib.contextmanager
def serving_here(
    *faults: str, change: Callable[[Service], Service] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the reference service in a thread, with these faults or a change; yield its base URL and its catalogue.

    This saves the start of a process, which for hundreds of faults takes most of the time.
    """
    # Uvicorn logs a warning for each malformed request, and the tests send many.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    ready = threading.Event()
    started: dict[str, Any] = {}

    def serve() -> None:
        service = Service(":memory:")
        for name in faults:
            service = FAULTS[name](service)
        if change is not None:
            service = change(service)
        config = uvicorn.Config(
            service,
            http=service.protocol or server.Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        started["server"] = running = server.Server(config, ready.set)
        started["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}{BASE}"
        started["catalogue"] = service.catalogue()
        try:
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(server.run(service, running, listener, None))
        finally:
            listener.close()
            service.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    if not ready.wait(240):
        raise TimeoutError("the reference service did not start")
    try:
        yield started["url"], started["catalogue"]
    finally:
        started["server"].stop()
        thread.join(240)


def profile_of(catalogue: dict[str, Any], folder: Path, *, entities: Collection[str] = ()) -> Path:
    """Return the embedded service's profile, with the catalogue that a service publishes of itself.

    With `entities` the catalogue has the functions of those alone, and a check sends as much less.
    """
    if entities:
        methods = [each for each in catalogue["methods"] if each["name"].partition(".")[0] in entities]
        assert {each["name"].partition(".")[0] for each in methods} == set(entities)
        catalogue = {**catalogue, "methods": methods}
    (folder / "coursio.openrpc.json").write_text(json.dumps(catalogue), encoding="utf-8")
    path = folder / "conform.toml"
    path.write_bytes((ROOT / "fixtures" / "service" / "conform.toml").read_bytes())
    return path


@contextlib.contextmanager
def foreign(module: str, *arguments: str) -> Iterator[dict[str, str]]:
    """Run one of tests/servers and yield its url, profile and catalog.

    A library with a defect runs in a thread. A server that is expected to be correct has its own process, so that
    its timing is not disturbed.
    """
    with tempfile.TemporaryDirectory(prefix="conform-server-") as place:
        if module == "library" and arguments[:1] == ("--defect",):
            with library.serving(Path(place), *arguments[1:]) as ready:
                yield {name: str(value) for name, value in ready._asdict().items()}
            return
        with _server(f"tests.servers.{module}", "--dir", place, *arguments) as ready_line:
            yield ready_line
