"""Captures: reads files of recorded traffic, finds the target in them, and passes over what is not its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from conformance.errors import UsageError
from conformance.protocol.base_url import base_url
from conformance.rulebook.envelope import MEMBERS
from conformance.traffic.har import read_har
from conformance.traffic.recorded import Gap, Recorded, entity_of
from conformance.traffic.run_log import EVENTS, base_of_run, read_run_log

__all__ = ["Capture", "is_call", "read_capture", "what_is_missing"]


@dataclass
class Capture:
    """The exchanges of a target in files of recorded traffic.

    `exchanges` are in the order of their time. `passed` counts what was passed over, by the reason. `others` counts
    the exchanges of other hosts and paths, by their origin.
    """

    base_url: str
    exchanges: list[Recorded] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    files: tuple[Path, ...] = ()


def read_capture(paths: Sequence[Path], target: str | None = None) -> Capture:
    """Read HAR files, logs of runs (`events.jsonl`) and folders of runs; return the exchanges of the target.

    `target` is its base URL. Without it, the target is the one to which most calls of the protocol go.

    Raises:
        UsageError: a file is missing or broken, or no call of the target is in it; one line says what and where.

    """
    passed: Counter[str] = Counter()
    found: list[Recorded] = []
    named: list[str] = []
    for path in paths:
        content, file = _content(path)
        if _is_run_log(content):
            named += [url for url in [base_of_run(content)] if url]
            found += read_run_log(file, content)
        else:
            found += read_har(file, content, passed)
    shown = ", ".join(map(str, paths))
    if target is not None:
        base = base_url(target, "--target")
    elif len(set(named)) == 1 and len(named) == len(paths):
        base = base_url(named[0], shown)
    else:
        base = _most_called(found) or ""
        if not base:
            raise UsageError(
                f"{shown}: no call of the protocol is in it (a POST whose body has a method, answered by an envelope); "
                "name the target with --target URL if it is another"
            )
    capture = Capture(base, passed=passed, files=tuple(paths))
    for recorded in found:
        _sort_in(recorded, capture)
    capture.exchanges.sort(key=lambda each: each.at if each.at is not None else 0.0)
    for number, recorded in enumerate(capture.exchanges, 1):
        recorded.exchange.number = number
    if not capture.exchanges:
        raise UsageError(f"{shown}: no request to {base} is in it; {_seen(capture)}")
    return capture


def _content(path: Path) -> tuple[bytes, Path]:
    """Return the bytes of a file, or of the log in the folder of a run, and its path. Raises UsageError."""
    file = path / EVENTS if path.is_dir() else path
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    if content.startswith(b"PK\x03\x04"):
        raise UsageError(f"{file}: is a ZIP archive: unpack it, and name the .har in it")
    if re.match(rb"\d+:\d+:", content):
        raise UsageError(
            f"{file}: is a flow file of mitmproxy: write it as HAR with mitmdump -nr {file} --set hardump=FILE.har"
        )
    if not content.strip():
        raise UsageError(f"{file}: is empty")
    return content, file


def _is_run_log(content: bytes) -> bool:
    first = content.partition(b"\n")[0]
    return first.lstrip().startswith(b'{"event"')


def is_call(recorded: Recorded) -> bool:
    """Return whether an exchange is a call of the protocol that is answered with an envelope."""
    envelope = recorded.exchange.envelope
    return (
        recorded.request.verb == "POST"
        and isinstance(recorded.call.get("method"), str)
        and envelope is not None
        and sum(name in envelope for name in MEMBERS) >= 2
    )


def _most_called(found: Sequence[Recorded]) -> str | None:
    """Return the base URL to which most calls of the protocol go; None if there is no call."""
    counts: Counter[str] = Counter()
    for recorded in found:
        if not is_call(recorded):
            continue
        parts = urlsplit(recorded.request.url)
        path = parts.path.rpartition("/")[0]
        counts[f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}/"] += 1
    return base_url(counts.most_common(1)[0][0], "the capture") if counts else None


def _sort_in(recorded: Recorded, capture: Capture) -> None:
    """Add an exchange to the capture, or count it among what is passed over."""
    request = recorded.request
    try:
        entity = entity_of(request.url, capture.base_url)
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    except ValueError:
        capture.passed["a URL that cannot be read"] += 1
        return
    if entity is None:
        capture.others[origin] += 1
    elif request.verb == "OPTIONS" and request.header("Access-Control-Request-Method"):
        capture.passed["CORS preflights"] += 1
    else:
        recorded.name_function(capture.base_url)
        capture.exchanges.append(recorded)


def _seen(capture: Capture) -> str:
    """Say which other hosts a capture has."""
    if not capture.others:
        return "it has no other request either"
    first = [origin for origin, _ in capture.others.most_common(3)]
    return f"there are requests to {', '.join(first)}"


def what_is_missing(exchanges: Sequence[Recorded]) -> Iterator[tuple[Gap, int]]:
    """Yield what the capture does not have, each with the number of exchanges without it."""
    counts: Counter[Gap] = Counter(gap for recorded in exchanges for gap in recorded.gaps)
    yield from sorted(counts.items())
