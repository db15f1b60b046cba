"""The mix of recorded traffic: what `--mix-from` takes from a capture, and the file that holds it (`mix.json`).

It has names of functions and of their parameters, numbers and times. No value of the capture is in it: no identifier,
token, password or text. The processes that send read this file alone, and never the capture.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from conformance.errors import UsageError

__all__ = ["BEGIN", "FORMAT", "MIX_FILE", "LeftOut", "SeenMix", "Shape", "Step", "Walk"]

#: The name of the file in the folder of a run.
MIX_FILE = "mix.json"
FORMAT = "conform-mix/1"

#: Stands for the time before the first call of a session.
BEGIN = ""

#: Functions of a chain that this process cannot call and that are passed over in a row, before a session begins anew.
_MAX_PASSED_OVER = 100


class Shape(msgspec.Struct, frozen=True):
    """The shape of one call: the arguments that it gave, and the length of its page; None where it had none.

    `given` has the length of each text and list, and null for any other argument.
    """

    given: dict[str, int | None] = msgspec.field(default_factory=dict)
    page: int | None = None


class Step(msgspec.Struct, frozen=True):
    """What followed a function in a session: another function (None: the end), how often, after how many seconds."""

    to: str | None
    count: int
    waits: list[float] = msgspec.field(default_factory=list)


class LeftOut(msgspec.Struct, frozen=True):
    """A function of the capture that is not called, or called less; `share` is its share of the capture's calls."""

    function: str
    share: float
    reason: str


class SeenMix(msgspec.Struct, frozen=True):
    """The mix of a capture.

    `calls` counts the calls of `functions`, which has the share of each; `total` counts all calls of the capture.
    `bins` has the number of calls in each `bin_seconds` of the capture; it is empty where the capture has no times.
    """

    source: str
    calls: int
    total: int
    functions: dict[str, float]
    left_out: list[LeftOut] = msgspec.field(default_factory=list)
    bin_seconds: float = 1.0
    bins: list[int] = msgspec.field(default_factory=list)
    sessions: int = 0
    steps: dict[str, list[Step]] = msgspec.field(default_factory=dict)
    shapes: dict[str, list[Shape]] = msgspec.field(default_factory=dict)
    format: str = FORMAT

    @classmethod
    def read(cls, path: Path) -> SeenMix:
        """Return the mix of a file, or of the folder of a run that has one.

        Raises:
            UsageError: there is no such file, or it is another.

        """
        file = path / MIX_FILE if path.is_dir() else path
        try:
            return cls.decode(file.read_bytes())
        except OSError as error:
            raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
        except (msgspec.MsgspecError, ValueError):
            raise UsageError(
                f"{file}: is no {MIX_FILE} of a run; conform load --mix-from makes one of a capture"
            ) from None

    @classmethod
    def decode(cls, content: bytes) -> SeenMix:
        """Return the mix of a file's bytes; raise ValueError or MsgspecError if they are none."""
        found = msgspec.json.decode(content, type=cls)
        shares = found.functions.values()
        if found.format != FORMAT or not shares or not all(0 < share < 1e9 for share in shares):
            raise ValueError(f"is no {FORMAT}")
        return found

    def write(self, file: Path) -> None:
        """Write it to a file; raise OSError if that fails."""
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @property
    def digest(self) -> str:
        """A digest that distinguishes mixes."""
        return hashlib.sha256(msgspec.json.encode((self.functions, self.steps, self.bins))).hexdigest()

    def asked(self) -> dict[str, float]:
        """Return the share of each function, all of them together being 1."""
        whole = sum(self.functions.values())
        return {name: share / whole for name, share in self.functions.items()}

    def record(self) -> dict[str, Any]:
        """Return what the report says of it."""
        return {
            "source": self.source,
            "calls": self.total,
            "asked": self.asked(),
            "left_out": [msgspec.to_builtins(each) for each in self.left_out],
        }

    def notes(self) -> list[str]:
        """Return a line for the functions that are left out, if there are any, and other remarks."""
        return [
            f"mix of {self.source}: left out {each.function} ({each.share:.1%} of the calls): {each.reason}"
            for each in self.left_out
        ]


class Walk:
    """The calls of one closed user: a walk along the chain of a capture, session after session.

    `pause` returns the seconds between two sessions; `speed` divides the waits of the capture.
    """

    def __init__(
        self,
        mix: SeenMix,
        known: Iterable[str],
        rng: random.Random,
        pause: Callable[[], float],
        speed: float = 1.0,
    ) -> None:
        self._rng, self._pause, self._speed = rng, pause, speed
        self._known = frozenset(known)
        self._steps: Mapping[str, list[Step]] = mix.steps
        self._sums = {
            name: list(accumulate(step.count for step in steps)) for name, steps in mix.steps.items()
        }
        self._at = BEGIN
        self.wait = 0.0

    def next(self) -> str | None:
        """Go one step on; return the function to call, None if there is none. `wait` is the time before it."""
        self.wait = 0.0
        for _ in range(_MAX_PASSED_OVER):
            step = self._drawn(self._at)
            if step is None or step.to is None:
                # The session is over, and the next one begins.
                if self._at != BEGIN:
                    self.wait += self._pause()
                self._at = BEGIN
                if step is None:
                    step = self._drawn(BEGIN)
                    if step is None or step.to is None:
                        return None
                else:
                    continue
            if step.waits:
                self.wait += self._rng.choice(step.waits) / self._speed
            self._at = step.to or BEGIN
            if self._at in self._known:
                return self._at
        return None

    def _drawn(self, name: str) -> Step | None:
        steps = self._steps.get(name)
        if not steps:
            return None
        sums = self._sums[name]
        draw = self._rng.random() * sums[-1]
        return next((step for step, until in zip(steps, sums, strict=True) if draw < until), steps[-1])
