"""The messages of findings: what was sent, how it was answered, and how it should have been."""

from __future__ import annotations

import re
from collections.abc import Collection

from conformance.protocol.exchange import Exchange

__all__ = ["status_message"]

#: The words of a kind of finding that say how the call was answered; the message says it more precisely.
_ANSWERED = re.compile(
    r"\b(?P<verb>is|are) (?:not (?:refused|answered)(?: with)?(?: \d{3})?|refused(?: with another status)?)"
    r"(?=:|,|$| \()"
)


def status_message(kind: str, exchange: Exchange, accepted: Collection[int], what: str | None = None) -> str:
    """Return the message of a finding about a status: the kind, but with the status that came and those due.

    `what` names what was sent, for a kind that does not say it in words that can stand before an answer. A kind that
    says nothing of the answer is returned unchanged, and so is one whose call simply succeeded.
    """
    came = _came(exchange)
    if came is None:
        return f"{what} is not refused" if what is not None else kind
    due = _listed(accepted)

    def answered(verb: str) -> str:
        if exchange.status is None:
            return f"{'gets' if verb == 'is' else 'get'} no answer instead of status {due}"
        return f"{verb} {came} instead of {due}"

    if what is not None:
        return f"{what} {answered('is')}"
    return _ANSWERED.sub(lambda found: answered(found["verb"]), kind, count=1)


def _listed(statuses: Collection[int]) -> str:
    """Return statuses as a list in words: `400, 401 or 403`."""
    numbers = [str(each) for each in sorted(statuses)]
    return " or ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))


def _came(exchange: Exchange) -> str | None:
    """Return how a call was answered, as the end of `is …`; None for a success."""
    status = exchange.status
    if status is None:
        return "without an answer"
    if status == 200:
        envelope = exchange.envelope
        is_error = envelope is not None and envelope.get("isError") is True
        return "answered with status 200 and an error" if is_error else None
    return f"{'refused' if 400 <= status < 500 else 'answered'} with status {status}"
