"""The log of a run, `events.jsonl`: reads its exchanges as recorded ones. Secrets are masked in it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

from conformance.errors import UsageError
from conformance.events import EventError, ExchangeEvent, RequestRecord, ResponseRecord, RunEvent, decode
from conformance.protocol.exchange import Exchange, Request, Response
from conformance.traffic.recorded import Gap, Recorded, is_ordinary

__all__ = ["EVENTS", "base_of_run", "read_run_log"]

#: The name of the log in the folder of a run.
EVENTS = "events.jsonl"

#: What ends a body of which only the beginning is in the log.
_CUT = re.compile(r"… \(\d+ bytes in all\)\Z")


def read_run_log(path: Path, content: bytes) -> Iterator[Recorded]:
    """Yield the exchanges of a log in their order; a last line that was cut off is ignored.

    Raises:
        UsageError: a line is not an event.

    """
    began = 0.0
    lines = content.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            event = decode(line)
        except EventError as error:
            if number == len(lines):
                return
            raise UsageError(f"{path}: line {number}: {error}") from None
        if isinstance(event, RunEvent):
            began = _time(event.started)
        if isinstance(event, ExchangeEvent) and event.request is not None and event.response is not None:
            ended = began + event.at if isinstance(event.at, float | int) else None
            yield _recorded(event, event.request, event.response, ended, str(path), number)


def base_of_run(content: bytes) -> str | None:
    """Return the base URL of the target that a log names; None if it names none."""
    try:
        event = decode(content.partition(b"\n")[0])
    except EventError:
        return None
    return event.target.url if isinstance(event, RunEvent) else None


def _recorded(
    event: ExchangeEvent,
    sent: RequestRecord,
    received: ResponseRecord,
    ended: float | None,
    source: str,
    place: int,
) -> Recorded:
    gaps = {Gap.BYTES, Gap.SECRETS}
    headers = tuple((name, value) for name, value in sent.headers.items() if name != "…")
    body, answer = _whole(sent.body), _whole(received.body)
    if body is None:
        gaps.add(Gap.REQUEST_BODY)
    if answer is None:
        gaps.add(Gap.RESPONSE_BODY)
    # A request that curl cannot repeat is one of deliberately malformed bytes.
    is_malformed = (event.curl or "").startswith("printf") and "| curl" not in (event.curl or "")
    request = Request(
        sent.verb,
        sent.url,
        headers,
        (body or "").encode("utf-8", "surrogatepass"),
        well_formed=not is_malformed
        and body is not None
        and is_ordinary(headers, body.encode("utf-8", "replace")),
    )
    response = Response(
        received.status,
        tuple(_received_headers(received.headers)),
        (answer or "").encode("utf-8", "surrogatepass"),
    )
    exchange = Exchange(
        request,
        response,
        seconds=received.seconds,
        function=event.function,
        user=event.user,
        in_session=event.user is not None and bool(request.header("Token")),
    )
    at = None if ended is None else ended - received.seconds
    return Recorded(exchange, at=at, source=source, place=place, gaps=frozenset(gaps))


def _received_headers(headers: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield headers one by one; the log joins the values of one name."""
    for name, value in headers.items():
        if name == "…":
            continue
        if name.lower() == "content-encoding":
            continue  # The body is in the log after it was decoded.
        parts = value.split(", ") if name.lower() == "content-type" else [value]
        yield from ((name, part) for part in parts)


def _whole(body: str) -> str | None:
    """Return a body; None if only its beginning is in the log."""
    return None if _CUT.search(body) else body


def _time(started: str) -> float:
    try:
        return dt.datetime.fromisoformat(started).timestamp()
    except ValueError:
        return 0.0
