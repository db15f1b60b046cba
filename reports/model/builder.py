"""A run as JSON lines, written as it happens; and the report, made from those lines and nothing else.

`RunLog` writes events; `read_events` reads them back; `build` folds them into the report, one event at a
time: exchanges are counted and let go, so memory does not grow with a run. The verdicts are given here.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from conformance.rulebook.model import Level, Verdict
from reports.model import load_summary as loads
from reports.render import junit, statement
from reports.text import judged_on_told, plural

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

__all__ = [
    "EVENTS",
    "REPORT",
    "LogError",
    "RunLog",
    "begin",
    "build",
    "exit_status",
    "normal",
    "read_events",
    "render",
    "validate",
    "write_file",
    "write_report",
]

EVENTS = "events.jsonl"
REPORT = "report.json"
CASES = "cases"

#: What is made from the events of a run, beside them.
_MADE = (REPORT, junit.NAME, "report.html", "report.md", "report.sarif", statement.NAME)

#: The names that a run gives to its case files.
_CASE = re.compile(r"[A-Z]+-[0-9]+-[A-Za-z0-9._]+-[0-9a-f]{8}\.json")
FORMAT = 1

#: What is said of a rule that no conversation judged and that nobody gave a reason for.
NO_REASON = "no conversation of this run judged it"

#: The same of a load, which holds none.
NOT_BY_LOAD = "a load judges what one exchange is enough for; conform check judges the rest"

#: Events that come by the thousand and may wait a moment for company; every other is on the disk at once.
_PATIENT = frozenset({"exchange", "judged"})


class LogError(Exception):
    """The log of a run cannot be written, or cannot be read."""


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


class RunLog:
    """The log of a run: `events.jsonl` in a folder, one JSON object a line.

    Any thread may write. Exchanges and counts are held back until there are `batch` bytes of them or `delay`
    seconds have passed, and everything else takes them along to the file at once, in order: a process that is
    killed loses no finding. A line goes out whole, so that several processes may append to one log.

    When the disk is full (or gone) the write that meets it raises `LogError`, once; what is written after
    that is dropped without a word, and the log has no footer, by which a reader sees that it ends early.
    """

    def __init__(
        self,
        folder: Path,
        *,
        append: bool = False,
        batch: int = 32_768,
        delay: float = 0.2,
        since: float | None = None,
    ) -> None:
        """Open it; `since` is the moment (`time.monotonic`) that `at` counts from, where that is not now."""
        self.path = Path(folder) / EVENTS
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._size = 0
        self._batch = batch
        self._delay = delay
        self._flushed = time.monotonic()
        self._began = self._flushed if since is None else since
        self._broken = False
        self._file = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if append else os.O_TRUNC)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise LogError(f"cannot write {self.path}: {error.strerror}") from error

    def write(self, event: Mapping[str, Any]) -> None:
        """Append an event; `at`, the seconds since the log was opened, is added where the event has none."""
        if self._broken:
            return
        line = _encode(event)
        now = time.monotonic()
        if "at" not in event:
            line = f'{line[:-1]},"at":{now - self._began:.3f}}}'
        patient = event.get("event") in _PATIENT
        with self._lock:
            self._waiting.append(line)
            self._size += len(line)
            if not patient or self._size >= self._batch or now - self._flushed >= self._delay:
                self._write_out(now)

    def flush(self) -> None:
        """Write out what is held back."""
        with self._lock:
            self._write_out(time.monotonic())

    def close(self) -> None:
        """Write out what is held back and close the file; closing twice is fine."""
        with self._lock:
            try:
                self._write_out(time.monotonic())
            finally:
                if self._file >= 0:
                    os.close(self._file)
                self._file = -1
                self._broken = True

    def _write_out(self, now: float) -> None:
        self._flushed = now
        if not self._waiting or self._broken:
            return
        data = memoryview(("\n".join(self._waiting) + "\n").encode())
        self._waiting.clear()
        self._size = 0
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._broken = True
            raise LogError(f"cannot write {self.path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def begin(folder: Path) -> RunLog:
    """Begin the log of a run in a folder; what an earlier run left there goes, it would pass for this one's."""
    log = RunLog(folder)
    cases = [path for path in (Path(folder) / CASES).glob("*.json") if _CASE.fullmatch(path.name)]
    for path in (
        *(Path(folder) / name for name in _MADE),
        *cases,
    ):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.close()
            raise LogError(f"cannot replace {path}: {error.strerror}") from error
    return log


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Read the events of a log one by one; a last line that was cut off in the middle is left out."""
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    event = json.loads(line)
                except ValueError as error:
                    if line.endswith(b"\n"):
                        raise LogError(f"{path}, line {number}: not JSON") from error
                    return
                if not isinstance(event, dict):
                    raise LogError(f"{path}, line {number}: not an event")
                yield event
    except OSError as error:
        raise LogError(f"cannot read {path}: {error.strerror}") from error


# --- the report ---


@dataclass(slots=True)
class _Finding:
    """One cause: what broke a rule, in one function, in one way; with the smallest example of it."""

    function: str | None
    kind: str
    message: str
    count: int = 0
    reproduced: str | None = None
    example: dict[str, Any] = field(default_factory=dict)
    case: str | None = None

    _PARTS = ("expected", "actual", "exchange", "request", "response", "failure", "curl")

    def add(self, event: Mapping[str, Any]) -> None:
        self.count += int(event.get("count") or 1)
        if self.reproduced is None:
            self.reproduced = event.get("reproduced")
        if not self.example or self._smaller(event):
            # What was expected and what came belong to the exchange that is shown.
            self.example = {part: event.get(part) for part in self._PARTS}

    def _smaller(self, event: Mapping[str, Any]) -> bool:
        theirs, ours = event.get("request"), self.example.get("request")
        if theirs is None or ours is None:
            return theirs is not None
        return len(theirs.get("body") or "") < len(ours.get("body") or "")

    def record(self, waiver: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            "function": self.function,
            "kind": self.kind,
            "message": self.message,
            "expected": self.example.get("expected") or "",
            "actual": self.example.get("actual") or "",
            "count": self.count,
            "reproduced": self.reproduced,
            "waived": waiver is not None,
            "known": bool(waiver and waiver.get("known")),
            "waiver": waiver["reason"] if waiver else None,
            "exchange": self.example.get("exchange"),
            "curl": self.example.get("curl"),
            "request": self.example.get("request"),
            "response": self.example.get("response"),
            "failure": self.example.get("failure"),
            "case": self.case,
        }


@dataclass(slots=True)
class _Rule:
    """What the events say of one rule."""

    record: dict[str, Any]
    judged: int = 0
    #: Of those under load, how many broke it; the findings have the first of them.
    broken: int = 0
    findings: dict[tuple[str | None, str], _Finding] = field(default_factory=dict)
    left_out: dict[tuple[str | None, str], None] = field(default_factory=dict)
    lines: dict[str, None] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    crashed: bool = False
    #: How many of the functions (or the like) that it applies to it was judged on, where that is not all.
    judged_on: dict[str, Any] | None = None

    def judge(
        self,
        waiver_of: Mapping[tuple[str | None, str], Mapping[str, Any]],
        down: str | None,
        no_reason: str = NO_REASON,
    ) -> tuple[Verdict, str | None]:
        """Give the rule its verdict, and the reason for it where it needs one.

        `down` says what became of a target that was unreachable or unstable as a whole: what it kept from
        being judged is an error, but for what would not have been judged anyhow.
        """
        standing = [key for key in self.findings if key not in waiver_of]
        partly = judged_on_told(self.judged_on) if self.judged_on is not None else None
        if standing:
            return (Verdict.FAIL if self.record["level"] == Level.MUST else Verdict.WARN), partly
        if self.crashed or (self.errors and not self.judged and not self.findings):
            return Verdict.ERROR, "; ".join(dict.fromkeys(self.errors))
        if self.findings:
            return Verdict.WAIVED, "; ".join(dict.fromkeys(str(w["reason"]) for w in waiver_of.values()))
        if self.judged:
            return Verdict.PASS, partly
        if down and not self.left_out:
            return Verdict.ERROR, down
        return Verdict.NOT_JUDGED, "; ".join(
            dict.fromkeys(reason for _, reason in self.left_out)
        ) or no_reason


class _Builder:
    def __init__(self) -> None:
        self.run: dict[str, Any] | None = None
        self.rules: dict[str, _Rule] = {}
        self.exchanges = 0
        self.resets = 0
        self.at = 0.0
        self.errors: dict[tuple[str | None, str, bool], dict[str, Any]] = {}
        self.leftovers: dict[object, dict[str, Any]] = {}
        self.notes: dict[str, None] = {}
        self.coverage: dict[str, Any] | None = None
        self.interrupted = False
        self.cut = False
        self.seen: list[Mapping[str, Any]] = []
        self.end: Mapping[str, Any] | None = None
        self.build = statement.Build()
        self.phases: list[dict[str, Any]] = []
        self.load = loads.LoadPart()
        self.on_load = self.load.on_load
        self.on_calibration = self.load.on_calibration
        self.on_second = self.load.on_second

    # Each kind of event has its method; a kind that is unknown is of a later version and passed over.

    def take(self, event: Mapping[str, Any]) -> None:
        kind = str(event.get("event"))
        at = event.get("at")
        if isinstance(at, int | float):
            self.at = max(self.at, float(at))
        if kind == "exchange":
            self.exchanges += 1
            self.build.take(event)
            return
        method = getattr(self, "on_" + kind.replace(" ", "_").replace("-", "_"), None)
        if method is not None:
            method(event)

    def rule(self, event: Mapping[str, Any], name: str | None = None) -> _Rule | None:
        identifier = str(name or event.get("rule"))
        found = self.rules.get(identifier)
        if found is None:
            self.fault(f"an event names the rule {identifier}, which this run does not have")
        return found

    def fault(self, message: str) -> None:
        self.on_error({"rule": None, "message": message, "ours": True})

    def on_run(self, event: Mapping[str, Any]) -> None:
        if self.run is None:
            self.run = dict(event)
            self.rules = {record["id"]: _Rule(dict(record)) for record in event["rules"]}
            self.load.on_run(event)

    def on_judged(self, event: Mapping[str, Any]) -> None:
        for identifier, count in event["rules"].items():
            if found := self.rule(event, identifier):
                found.judged += int(count)

    def on_finding(self, event: Mapping[str, Any]) -> None:
        if found := self.rule(event):
            kind = str(event.get("kind") or "")
            key = (event.get("function"), kind)
            if key not in found.findings:
                found.findings[key] = _Finding(key[0], kind, str(event.get("message") or ""))
            found.findings[key].add(event)

    def on_seen(self, event: Mapping[str, Any]) -> None:
        """Keep what the running conversation found; it counts where the log ends before the conversation does."""
        self.seen.append(event)

    def on_suite_test(self, event: Mapping[str, Any]) -> None:
        """Begin anew: what the one before came to was told at its end."""
        self.seen.clear()

    def on_withdrawn(self, event: Mapping[str, Any]) -> None:
        """Forget it: the target was reset in the middle, or it was something else that went wrong."""
        self.seen.clear()

    def on_case(self, event: Mapping[str, Any]) -> None:
        if found := self.rule(event):
            finding = found.findings.get((event.get("function"), str(event.get("kind") or "")))
            if finding is not None:
                finding.case = str(event["file"])

    def on_coverage(self, event: Mapping[str, Any]) -> None:
        self.coverage = {name: value for name, value in event.items() if name not in ("event", "at")}

    def on_not_judged(self, event: Mapping[str, Any]) -> None:
        if found := self.rule(event):
            found.left_out[event.get("function"), str(event.get("reason") or NO_REASON)] = None
            if lines := (event.get("lines") or "").strip("\n"):
                found.lines[lines] = None

    def on_partly_judged(self, event: Mapping[str, Any]) -> None:
        """Take note that a rule was tested on less than it applies to."""
        if found := self.rule(event):
            found.judged_on = {name: event[name] for name in ("done", "of", "what")}

    def on_error(self, event: Mapping[str, Any]) -> None:
        identifier, message, ours = event.get("rule"), str(event.get("message")), bool(event.get("ours"))
        record = {
            "rule": identifier,
            "message": message,
            "ours": ours,
            "whose": event.get("whose"),
            "trace": event.get("trace"),
            "count": 0,
        }
        self.errors.setdefault((identifier, message, ours), record)["count"] += 1
        if identifier is not None and (found := self.rule(event)):
            found.errors.append(message) if message not in found.errors else None
            found.crashed |= ours

    def on_reset(self, event: Mapping[str, Any]) -> None:
        self.resets += 1

    def on_mark(self, event: Mapping[str, Any]) -> None:
        self.load.on_mark(event)
        if event.get("kind") == "reset":
            self.resets += 1

    def on_failure(self, event: Mapping[str, Any]) -> None:
        self.load.on_failure(event)

    def on_load_end(self, event: Mapping[str, Any]) -> None:
        self.load.on_load_end(event)
        for identifier, counts in (event.get("rules") or {}).items():
            if found := self.rule(event, identifier):
                found.judged += int(counts["judged"])
                found.broken += int(counts["broken"])
        for counted in event.get("findings") or ():
            if found := self.rule(counted):
                finding = found.findings.get((counted.get("function"), str(counted.get("kind") or "")))
                if finding is not None:
                    # It was told when it was seen first, with the count of then.
                    finding.count = max(finding.count, int(counted["count"]))

    def on_leftover(self, event: Mapping[str, Any]) -> None:
        record = {name: event.get(name) for name in ("kind", "id", "function", "reason")}
        if not isinstance(record["id"], str | int | None):
            record["id"] = str(record["id"])
        # What several attempts could not remove was left over once; the last reason tells.
        key = (record["kind"], record["id"]) if record["id"] is not None else len(self.leftovers)
        self.leftovers[key] = record

    def on_note(self, event: Mapping[str, Any]) -> None:
        self.notes[str(event.get("message"))] = None

    def on_interrupted(self, event: Mapping[str, Any]) -> None:
        self.interrupted = True

    def on_cut(self, event: Mapping[str, Any]) -> None:
        """Take it that the log ends before the run did: what was seen and not yet told counts."""
        self.cut = True

    def on_end(self, event: Mapping[str, Any]) -> None:
        self.end = event

    def on_phase(self, event: Mapping[str, Any]) -> None:
        """Begin a phase of a run that has several."""
        self.phases.append({"name": str(event["name"]), "seconds": None, "verdict": None, "reason": None})

    def on_phase_end(self, event: Mapping[str, Any]) -> None:
        """Say what the phase alone came to: what follows must not make up for what it could not judge."""
        phase = next((phase for phase in self.phases if phase["name"] == event["name"]), None)
        if phase is None or self.run is None:
            return
        if self.interrupted:
            self._take_unconfirmed()
        rules, _ = self._judge(self.run)
        phase["verdict"], phase["reason"] = _overall(
            rules,
            list(self.errors.values()),
            strict=bool(self.run.get("strict")),
            interrupted=self.interrupted,
        )
        phase["seconds"] = float(event["seconds"])

    # --- what it comes to

    def report(self) -> dict[str, Any]:
        run = self.run
        if run is None:
            raise LogError("the log does not begin with a run")
        interrupted = self.interrupted or self.end is None
        if interrupted or self.cut:
            self._take_unconfirmed()
        end = self.end or {}
        waivers: list[Mapping[str, Any]] = list(run.get("waivers") or ())
        today = _today(run)
        rules, used = self._judge(run)
        strict = bool(run.get("strict"))
        errors = list(self.errors.values())
        load = self.load.record()
        phases = self._phases(load, rules, interrupted=interrupted)
        outcome, reason = _overall(
            rules, errors, strict=strict, interrupted=interrupted, load=load, phases=phases
        )
        known = self._known(run, interrupted=interrupted or self.cut)
        return {
            "format": FORMAT,
            "suite": run.get("suite"),
            "verb": run["verb"],
            "target": run["target"],
            "build": self.build.record(),
            "catalogue": run.get("catalogue"),
            "started": run["started"],
            "seconds": round(float(end.get("seconds", self.at)), 3),
            "seed": run.get("seed"),
            "budget": run.get("budget"),
            "strict": strict,
            "requests": int(end.get("requests", self.exchanges)) + loads.requests(load),
            "resets": self.resets,
            "interrupted": interrupted,
            "verdict": outcome,
            "reason": reason,
            "gate": {"conformant": "pass", "nonconformant": "fail"}.get(outcome, "undecided"),
            "rerun": run.get("rerun"),
            "rerun_rule": run.get("rerun_rule"),
            "phases": phases or None,
            "rules": rules,
            "waivers": self._waivers(waivers, used, today, interrupted=interrupted or self.cut),
            "known": known,
            "leftovers": list(self.leftovers.values()),
            "errors": errors,
            "notes": list(self.notes),
            "coverage": self.coverage,
            "load": load,
        }

    def _phases(
        self, load: Mapping[str, Any] | None, rules: Iterable[Mapping[str, Any]], *, interrupted: bool
    ) -> list[dict[str, Any]]:
        """Return the phases with what each came to; those that never ended could not be judged."""
        failed = {rule["id"] for rule in rules if rule["verdict"] == Verdict.FAIL}
        whole = [error["message"] for error in self.errors.values() if error["rule"] is None]
        words = {"pass": "conformant", "fail": "nonconformant"}
        phases = []
        for phase in self.phases:
            told = dict(phase)
            if told["name"] == "load":
                gate, reason = loads.overall(load) if load is not None else ("undecided", "")
                if interrupted and gate != "fail":
                    gate, reason = "undecided", "interrupted before its end"
                elif gate == "undecided" and load is None:
                    reason = whole[-1] if whole else "it did not begin"
                counted = load["rules"] if load is not None else {}
                broken = [rule for rule in failed if rule in counted and counted[rule]["broken"]]
                if broken:
                    reason = f"{plural(len(broken), 'must rule')} broken under load ({_some(sorted(broken))})"
                    gate = "fail"
                told["verdict"], told["reason"] = words.get(gate, gate), reason
                told["seconds"] = None if load is None else load["seconds"]
            elif told["verdict"] is None:
                told["verdict"] = "undecided"
                told["reason"] = whole[-1] if whole else "it did not come to its end"
            phases.append(told)
        if phases and all(phase["name"] != "load" for phase in phases):
            reason = "interrupted before it began" if interrupted else "it did not begin"
            phases.append({"name": "load", "seconds": None, "verdict": "undecided", "reason": reason})
        return phases

    def _judge(self, run: Mapping[str, Any]) -> tuple[list[dict[str, Any]], set[int]]:
        """Give each rule its verdict; return them, and which of the waivers were needed."""
        waivers: list[Mapping[str, Any]] = list(run.get("waivers") or ())
        today = _today(run)
        known = _known_keys(run)
        rules: list[dict[str, Any]] = []
        used: set[int] = set()
        whole = (error for error in self.errors.values() if error["rule"] is None and not error["ours"])
        down = next((error["message"] for error in whole), None)
        for identifier, rule in self.rules.items():
            if rule.broken and not rule.findings:
                # Counted and not told: it must not pass for want of an example.
                rule.findings[None, "load"] = _Finding(
                    None, "load", "broken under load", rule.broken, example={"expected": rule.record["title"]}
                )
            covering: dict[tuple[str | None, str], Mapping[str, Any]] = {}
            for key in rule.findings:
                if (identifier, key[0], normal(key[1])) in known:
                    covering[key] = {"reason": f"known from {run['known']['from']}", "known": True}
            for number, waiver in enumerate(waivers):
                if waiver["rule"] != identifier or str(waiver["until"]) < today:
                    continue
                for key in rule.findings:
                    if _covers(waiver, key[0]):
                        used.add(number)
                        covering.setdefault(key, waiver)
            verdict, reason = rule.judge(covering, down, NOT_BY_LOAD if run["verb"] == "load" else NO_REASON)
            rules.append(
                rule.record
                | {
                    "verdict": str(verdict),
                    "reason": reason,
                    "lines": "\n\n".join(rule.lines) or None,
                    "judged": max(rule.judged, 1 if rule.findings else 0),
                    "judged_on": rule.judged_on if rule.judged or rule.findings else None,
                    "left_out": [{"function": function, "reason": why} for function, why in rule.left_out],
                    "findings": [finding.record(covering.get(key)) for key, finding in rule.findings.items()],
                }
            )
        return rules, used

    def _known(self, run: Mapping[str, Any], *, interrupted: bool) -> dict[str, Any] | None:
        """Say of the findings that an earlier run had what became of them; None where no run was named.

        Gone is what did not occur though its rule was judged; of a rule that was not, nobody can say.
        """
        if run.get("known") is None:
            return None
        seen = {
            (identifier, function, normal(kind))
            for identifier, rule in self.rules.items()
            for function, kind in rule.findings
        }
        lists: dict[str, list[dict[str, Any]]] = {"seen": [], "gone": [], "open": []}
        for key in sorted(_known_keys(run), key=str):
            rule = self.rules.get(key[0])
            if key in seen:
                place = "seen"
            elif interrupted or (rule is not None and not rule.judged and not rule.findings):
                place = "open"
            else:
                place = "gone"
            lists[place].append(dict(zip(("rule", "function", "kind"), key, strict=True)))
        return {"from": str(run["known"]["from"]), **lists}

    def _take_unconfirmed(self) -> None:
        for event in self.seen:
            found = self.rule(event)
            if found and (event.get("function"), str(event.get("kind") or "")) not in found.findings:
                self.on_finding(event)
        self.seen.clear()

    def _waivers(
        self, waivers: list[Mapping[str, Any]], used: set[int], today: str, *, interrupted: bool
    ) -> list[dict[str, Any]]:
        """List the waivers that have run out and those that nothing needs any more."""
        listed: list[dict[str, Any]] = []
        for number, waiver in enumerate(waivers):
            rule = self.rules.get(waiver["rule"])
            until = str(waiver["until"])
            if until < today:
                again = sum(_covers(waiver, function) for function, _ in rule.findings) if rule else 0
                status, message = "expired", f"ran out on {until}"
                if again:
                    message += f"; {plural(again, 'finding')} would have been waived"
            elif rule is None:
                status, message = "unneeded", "there is no such rule"
            elif number not in used and not interrupted and (rule.judged or rule.findings):
                # Of a rule that was not judged nobody can say whether the waiver is still needed.
                status, message = "unneeded", "nothing needs it any more"
            else:
                continue
            entry = {name: waiver.get(name) for name in ("rule", "function", "reason")}
            listed.append(entry | {"until": until, "status": status, "message": message})
        return listed


def normal(text: str) -> str:
    """Return a text without what a seed decides: numbers, what stands in quotes, and which filter was tried."""
    text = re.sub(r"\bfiltered by \S+", "filtered", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|«[^»]*»", "''", text)
    return re.sub(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?(?:\^\d+)?", "#", text, flags=re.IGNORECASE)


def _today(run: Mapping[str, Any]) -> str:
    return str(run.get("today") or str(run["started"])[:10])


def _known_keys(run: Mapping[str, Any]) -> set[tuple[str, str | None, str]]:
    """Return what an earlier run had found, as rule, function and kind without what a seed decides."""
    known = run.get("known") or {}
    return {
        (str(found["rule"]), found.get("function"), normal(str(found.get("kind") or "")))
        for found in known.get("findings") or ()
    }


def _covers(waiver: Mapping[str, Any], function: str | None) -> bool:
    return waiver.get("function") in (None, function)


def _overall(
    rules: list[dict[str, Any]],
    errors: list[dict[str, Any]],
    *,
    strict: bool,
    interrupted: bool,
    load: Mapping[str, Any] | None = None,
    phases: Iterable[Mapping[str, Any]] = (),
) -> tuple[str, str]:
    """Give the run its verdict, and say why in one line.

    What failed comes first: neither an interruption nor a phase that could not be judged takes it back. Then whatever
    keeps the run, or one of its phases, from being judged; a pass is only what is left when nothing does.
    """
    unjudged = [
        f"the {phase['name']} could not be judged: {phase['reason']}"
        for phase in phases
        if phase["verdict"] == "undecided"
    ]
    gate, told = loads.overall(load) if load is not None else ("pass", "")
    count = Counter(rule["verdict"] for rule in rules)
    failed = [rule["id"] for rule in rules if rule["verdict"] == Verdict.FAIL]
    warned = [rule["id"] for rule in rules if rule["verdict"] == Verdict.WARN]
    if failed or (strict and warned):
        parts = []
        if failed:
            parts.append(f"{plural(len(failed), 'must rule')} failed ({_some(failed)})")
        if warned:
            verb = "failed, and the run is strict" if strict else "warns" if len(warned) == 1 else "warn"
            parts.append(f"{plural(len(warned), 'should rule')} {verb} ({_some(warned)})")
        if gate == "fail":
            parts.append(told)
        return "nonconformant", "; ".join([*parts, *unjudged])
    if gate == "fail":
        return "nonconformant", "; ".join([told, *unjudged])
    if unjudged and not interrupted:
        return "undecided", "; ".join([*unjudged, *([told] if told and gate == "pass" else [])])
    for error in errors:
        if error["ours"]:
            return "undecided", f"the suite itself failed: {error['message']}"
        if error["rule"] is None:
            return "undecided", error["message"]
    if interrupted:
        return "undecided", "interrupted before the end; nothing had failed by then"
    if gate == "undecided":
        return "undecided", told
    if not any(rule["judged"] for rule in rules):
        return "undecided", "nothing could be judged"
    judged = sum(rule["judged"] > 0 for rule in rules)
    reason = f"{told}; " if told else ""
    reason += f"no must rule failed; {judged} of {plural(len(rules), 'rule')} judged"
    if warned:
        verb = "warns" if len(warned) == 1 else "warn"
        reason += f"; {plural(len(warned), 'should rule')} {verb} ({_some(warned)})"
    known = sum(bool(finding.get("known")) for rule in rules for finding in rule["findings"])
    only_known = sum(
        rule["verdict"] == Verdict.WAIVED and all(finding.get("known") for finding in rule["findings"])
        for rule in rules
    )
    if count[Verdict.WAIVED] > only_known:
        reason += f"; {count[Verdict.WAIVED] - only_known} waived"
    if known:
        reason += f"; {plural(known, 'known finding')}"
    return "conformant", reason


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def build(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Make the report of a run from its events."""
    builder = _Builder()
    for event in events:
        builder.take(event)
    return builder.report()


def write_report(
    folder: Path, more: Iterable[Mapping[str, Any]] = (), *, kept: bool = True
) -> dict[str, Any]:
    """Make the report of the run in a folder, and write `report.json` and what is made of it beside its events.

    `more` are events that could not be written any more; unless it is `kept`, the report is only returned.
    """
    folder = Path(folder)
    report = build(chain(read_events(folder / EVENTS), more))
    if not kept:
        return report
    text = written(report)
    # Half a surrogate pair has no UTF-8; its escape is the same string to whoever reads the JSON.
    write_file(folder / REPORT, text.encode("utf-8", "backslashreplace") + b"\n")
    for name, data in render(report).items():
        write_file(folder / name, data)
    return report


def written(report: Mapping[str, Any]) -> str:
    """Return a report as the text that is stored: indented, but for the seconds of a load, each of which is a line."""
    load: Mapping[str, Any] = report.get("load") or {}
    series = load.get("series")
    if not series:
        return json.dumps(report, ensure_ascii=False, indent=1, default=_plain)
    # A soak has tens of thousands: on a line for each of their members they would be twice as much.
    place = uuid4().hex  # stands nowhere else, whatever a target has answered
    whole = json.dumps(
        {**report, "load": {**load, "series": [place]}}, ensure_ascii=False, indent=1, default=_plain
    )
    before, _, after = whole.partition(json.dumps(place))
    lines = (json.dumps(each, ensure_ascii=False, separators=(",", ":"), default=_plain) for each in series)
    return before + ",\n   ".join(lines) + after


def render(report: Mapping[str, Any], *, comparison: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Return what is made of a report for its readers, by the names of the files.

    With a comparison (of `reports.compare.rules`) the page and the Markdown say what changed, too.
    """
    # They take a tenth of a second to load, which a command that makes no report need not wait for.
    from reports.render import markdown, sarif
    from reports.render.html import page as html

    changes: list[str] = []
    if comparison is not None:
        from reports.compare import render as compare_show

        changes = compare_show.markdown(comparison)
    return {
        junit.NAME: junit.render(report),
        html.NAME: html.render(report, comparison=comparison),
        markdown.NAME: markdown.render(report, changes=changes),
        sarif.NAME: sarif.render(report),
    }


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that whoever looks sees the old one or the new one, never half of it."""
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with passing.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        passing.replace(path)
    except OSError as error:
        passing.unlink(missing_ok=True)
        raise LogError(f"cannot write {path}: {error.strerror}") from error


def exit_status(report: Mapping[str, Any]) -> int:
    """Return the command's exit status for a report: 0 passes, 1 fails, 3 undecided, 130 interrupted."""
    if report["interrupted"]:
        return 130
    return {"pass": 0, "fail": 1}.get(report["gate"], 3)


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    schema = json.loads(Path(__file__).with_name("report.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema)


def validate(report: Mapping[str, Any]) -> None:
    """Hold a report against its JSON Schema; a ValueError says where it departs from it."""
    for error in _validator().iter_errors(report):
        raise ValueError(f"report{error.json_path[1:]}: {error.message[:400]}")
