"""Which calls were made after a session was last valid, to say after which of them it was gone."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.protocol.exchange import Exchange

__all__ = ["SessionTrail"]

#: Calls after the last valid one that are named.
MAX_NAMED_CALLS = 3


@dataclass(slots=True)
class _Trail:
    """The last call in which a session was valid, and the first calls after it."""

    last: str
    after: list[str] = field(default_factory=list)


class SessionTrail:
    """The last call in which each session was valid, and the calls after it."""

    def __init__(self) -> None:
        self._trails: dict[str, _Trail] = {}
        #: Sessions after whose last valid call fewer than `MAX_NAMED_CALLS` calls were made.
        self._short: set[str] = set()

    def note(self, exchange: Exchange) -> None:
        """Note a call, and that its session was valid if it was not refused."""
        user = f" of {exchange.user}" if exchange.user else ""
        call = f"{exchange.function or 'a call'}{user} (exchange {exchange.number})"
        token = exchange.request.header("Token")
        if token and exchange.in_session and exchange.status not in (None, 401):
            self._trails[token] = _Trail(call)
            self._short.add(token)
        for other in list(self._short):
            if other == token and not self._trails[other].after and self._trails[other].last == call:
                continue
            after = self._trails[other].after
            after.append(call)
            if len(after) >= MAX_NAMED_CALLS:
                self._short.discard(other)

    def since(self, token: str) -> str | None:
        """Return which call a session was last valid in, and the first calls after it; None if it never was."""
        trail = self._trails.get(token)
        if trail is None:
            return None
        text = f"the last call that was answered in it is {trail.last}"
        return f"{text}; after it came {', '.join(trail.after)}" if trail.after else text
