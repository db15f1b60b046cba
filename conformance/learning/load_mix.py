"""The mix of recorded calls, for a load: shares, arrivals, chains with think times, and the shapes of calls.

Nothing of the values that a capture has is taken: of texts and lists the length, of other arguments that they were
given. The result is the content of `mix.json` (`load.workload.seen`), which the load reads.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.protocol.profile import Auth
from conformance.schema.pointer import resolve
from conformance.traffic.capture import Capture
from conformance.traffic.recorded import Gap, Recorded, is_masked

__all__ = ["balanced", "mix_of_capture"]

#: A session whose next call comes later than that goes on as another one: its user had left.
MAX_THINK_SECONDS = 1_800.0
#: Think times and shapes that are retained: of each pair of functions, and of each function.
MAX_WAITS = 40
MAX_SHAPES = 48
#: Parts into which the time of a capture is divided, where seconds would be more.
MAX_BINS = 20_000
MAX_PAGE_LENGTH = 100_000
MAX_LENGTH = 100_000
#: Functions that are left out and named one by one; the rest are counted together.
MAX_LEFT_OUT = 20

_NAME = re.compile(r"[A-Za-z_][\w-]{0,60}\.[A-Za-z_][\w-]{0,60}", re.ASCII)

Json = dict[str, Any]


def mix_of_capture(
    capture: Capture, catalog: Catalog, auth: Auth, why_not: Callable[[str], str | None], source: str
) -> Json:
    """Return the mix of a capture; `why_not` says why a function of the catalogue is not called, None if it is.

    Raises:
        UsageError: no call of a function of the catalogue that can be made is in it.

    """
    calls = [each for each in capture.exchanges if _is_call(each)]
    if not calls:
        raise UsageError(f"{source}: no call of {capture.base_url} is in it")
    counts = Counter(each.function or "" for each in calls)
    shares: dict[str, float] = {}
    left: list[Json] = []
    for name, count in counts.most_common():
        why = why_not(name) if name in catalog else "the catalogue does not have it"
        if why is None:
            shares[name] = float(count)
        else:
            shown = name if _NAME.fullmatch(name) else "a function of another form of name"
            left.append({"function": shown, "share": count / len(calls), "reason": why})
    if not shares:
        first = "; ".join(f"{each['function']}: {each['reason']}" for each in left[:3])
        raise UsageError(f"{source}: none of the functions in it can be called ({first})")
    if len(left) > MAX_LEFT_OUT:
        rest = left[MAX_LEFT_OUT:]
        share = sum(each["share"] for each in rest)
        left = left[:MAX_LEFT_OUT]
        left.append({"function": f"{len(rest)} more", "share": share, "reason": "as those before"})
    sent = [each for each in calls if each.function in shares]
    width, bins = _arrivals(sent)
    sessions = _sessions(sent, auth)
    return {
        "format": "conform-mix/1",
        "source": source,
        "calls": len(sent),
        "total": len(calls),
        "functions": shares,
        "left_out": left,
        "bin_seconds": width,
        "bins": bins,
        "sessions": len(sessions),
        "steps": _steps(sessions),
        "shapes": _shapes(sent, catalog, auth),
    }


def _is_call(recorded: Recorded) -> bool:
    request = recorded.request
    return request.verb == "POST" and request.well_formed and recorded.function is not None


def _arrivals(calls: Sequence[Recorded]) -> tuple[float, list[int]]:
    """Return the number of calls in each part of the time, and how long a part is; no parts without times."""
    times = [each.at for each in calls if each.at is not None]
    if len(times) < len(calls):
        return 1.0, []
    first, last = min(times), max(times)
    # The last call takes up as much time as the calls before it do on average.
    seconds = (last - first) * len(times) / max(1, len(times) - 1) or 1.0
    width = max(seconds / MAX_BINS, min(1.0, seconds / 10))
    bins = [0] * max(1, math.ceil(seconds / width - 1e-9))
    for at in times:
        bins[min(len(bins) - 1, int((at - first) / width))] += 1
    return width, bins


# --- sessions, and what follows what


def _sessions(calls: Sequence[Recorded], auth: Auth) -> list[list[Recorded]]:
    """Return the calls of each session in the order of their time."""
    found: list[list[Recorded]] = []
    going: dict[str, list[Recorded]] = {}
    on_connection: dict[tuple[str, str | None], str] = {}
    logins = [each.function for each in (auth.login, auth.key_login) if each is not None]
    for recorded in calls:
        line = (recorded.source, recorded.connection)
        token = recorded.token
        if token is None and recorded.function in logins and recorded.accepted:
            given = resolve(recorded.exchange.data, auth.session)
            token = given if isinstance(given, str) and given and not is_masked(given) else None
        user = recorded.exchange.user
        if token is not None:
            key = f"token {token}"
        elif user is not None:
            key = f"user {recorded.source} {user}"
        else:
            key = on_connection.get(line, f"line {line}")
        on_connection[line] = key
        session = going.get(key)
        if session is None or _wait(session[-1], recorded) > MAX_THINK_SECONDS:
            session = going[key] = []
            found.append(session)
        session.append(recorded)
    return found


def _wait(before: Recorded, after: Recorded) -> float:
    """Return the seconds from a response to the next request; 0 where both were under way at a time."""
    if before.ended is None or after.at is None:
        return 0.0
    return max(0.0, after.at - before.ended)


def _steps(sessions: Sequence[Sequence[Recorded]]) -> dict[str, list[Json]]:
    """Return, for each function and for the beginning of a session (""), what came next, how often and how soon."""
    counts: dict[str, Counter[str | None]] = defaultdict(Counter)
    waits: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for session in sessions:
        before: Recorded | None = None
        for recorded in session:
            name = before.function or "" if before is not None else ""
            counts[name][recorded.function] += 1
            if before is not None and before.ended is not None and recorded.at is not None:
                waits[name, recorded.function].append(_wait(before, recorded))
            before = recorded
        if before is not None:
            counts[before.function or ""][None] += 1
    return {
        name: [
            {
                "to": to,
                "count": count,
                "waits": [round(each, 3) for each in _some(sorted(waits[name, to]), MAX_WAITS)],
            }
            for to, count in followers.most_common()
        ]
        for name, followers in counts.items()
    }


def _some(values: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many of sorted values, evenly spread."""
    if len(values) <= most:
        return list(values)
    return [values[int((number + 0.5) * len(values) / most)] for number in range(most)]


# --- the shapes of calls


def _shapes(calls: Sequence[Recorded], catalog: Catalog, auth: Auth) -> dict[str, list[Json]]:
    """Return the shapes of the accepted calls of each function, each as often as it was seen, as far as possible."""
    logins = [each.function for each in (auth.login, auth.key_login) if each is not None]
    found: dict[str, list[tuple[tuple[tuple[str, int | None], ...], int | None]]] = defaultdict(list)
    for recorded in calls:
        name = recorded.function
        if name is None or name in logins or not recorded.accepted or Gap.REQUEST_BODY in recorded.gaps:
            continue
        declared = {param.name for param in catalog[name].params}
        given = tuple(
            (argument, _length(value))
            for argument, value in sorted(recorded.arguments.items())
            if argument in declared and value is not None
        )
        page = recorded.call.get("pageLength")
        is_page = isinstance(page, int) and not isinstance(page, bool) and 0 < page <= MAX_PAGE_LENGTH
        found[name].append((given, page if is_page else None))
    return {
        name: [
            {"given": dict(given), "page": page}
            for given, page in _some(sorted(shapes, key=repr), MAX_SHAPES)
        ]
        for name, shapes in found.items()
    }


def _length(value: Any) -> int | None:
    """Return the length of a text or list, which is all that is taken of it; None for another value."""
    return min(len(value), MAX_LENGTH) if isinstance(value, str | list) else None


def balanced(
    shares: Mapping[str, float], kinds: Mapping[str, tuple[str | None, str | None]]
) -> tuple[dict[str, float], list[tuple[str, float, str]]]:
    """Return shares of which none uses up more objects than others make, and what was taken away.

    `kinds` has the kind of object that a function makes, and the kind that each of its calls uses up.
    """
    made: Counter[str] = Counter()
    used: Counter[str] = Counter()
    for name, share in shares.items():
        makes, uses = kinds[name]
        if makes is not None:
            made[makes] += share  # type: ignore[assignment]  # counters count fractions, too
        if uses is not None:
            used[uses] += share  # type: ignore[assignment]
    result: dict[str, float] = {}
    taken: list[tuple[str, float, str]] = []
    for name, share in shares.items():
        uses = kinds[name][1]
        if uses is None or used[uses] <= made[uses]:
            result[name] = share
            continue
        # Rounded down, so that what is left is not more than there is.
        less = math.floor(share * made[uses] / used[uses] * 1e6) / 1e6
        why = f"each call uses up a {uses}, and a load deletes only what it made"
        taken.append((name, share - less, why))
        if less > 0:
            result[name] = less
    return result, taken
