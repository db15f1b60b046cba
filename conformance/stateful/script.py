"""Scripts: lists of steps that name objects and sessions, so that they can be run again on fresh ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.protocol.exchange import Exchange
from conformance.schema.pointer import MISSING

__all__ = ["Ref", "Step", "StepResult", "groups", "named_in", "numbered", "put_in", "render", "shortened"]


@dataclass(frozen=True)
class Ref:
    """Stand in a script's data for the identifier of the object of that name."""

    name: str


@dataclass(frozen=True)
class Step:
    """One call of a script.

    - `session`: the user's name, with a number if it is not the user's first session ("owner/2"); "" for no session.
    - `does`: create, read, update, delete or list as in x-object; `act` for any other function that takes an object;
      or login, logout, whoami.
    - `data`: has a `Ref` for each identifier.
    - `about`: the name of the object that is created or acted on. `kind`: its kind.
    - `page`: the first row and the number of rows. A negative first row counts from the end of the whole list, as it
      was shown last.
    - `at_once`: steps of one number (not 0) are sent at the same time.
    - `valid`: false where the data is invalid, so that the target must refuse it.
    """

    session: str
    does: str
    function: str
    data: Any = None
    about: str | None = None
    kind: str | None = None
    page: tuple[int, int] | None = None
    at_once: int = 0
    valid: bool = True

    @property
    def user(self) -> str:
        """The user whose session it is; "" for no session."""
        return self.session.partition("/")[0]

    @property
    def only_reads(self) -> bool:
        """Whether the step changes nothing."""
        return self.does in ("read", "list", "whoami")


@dataclass(frozen=True)
class StepResult:
    """A step that was sent: the data and the page as sent, and the exchange."""

    step: Step
    sent: Any
    exchange: Exchange
    page: tuple[int, int] | None = None

    @property
    def status(self) -> int | None:
        """The status of the response; None where there was none."""
        return self.exchange.status


def named_in(data: Any) -> set[str]:
    """Return the names of the objects that a step's data refers to."""
    if isinstance(data, Ref):
        return {data.name}
    if isinstance(data, dict):
        return set().union(*map(named_in, data.values()))
    if isinstance(data, list):
        return set().union(*map(named_in, data))
    return set()


def put_in(data: Any, ids: Callable[[str], Any]) -> Any:
    """Return data with identifiers in place of references.

    `ids` returns the identifier of a name, and may raise LookupError.
    """
    if isinstance(data, Ref):
        return ids(data.name)
    if isinstance(data, dict):
        return {name: put_in(value, ids) for name, value in data.items()}
    if isinstance(data, list):
        return [put_in(value, ids) for value in data]
    return data


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    """Return data with its references renamed."""
    if isinstance(data, Ref):
        return Ref(names.get(data.name, data.name))
    if isinstance(data, dict):
        return {name: _renamed(value, names) for name, value in data.items()}
    if isinstance(data, list):
        return [_renamed(value, names) for value in data]
    return data


def numbered(script: Sequence[StepResult]) -> list[StepResult]:
    """Return a script with its objects renamed by kind and number, in order of creation."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for result in script:
        step = result.step
        if step.does == "create" and step.about is not None and step.about not in names:
            kind = step.kind or "object"
            counts[kind] = counts.get(kind, 0) + 1
            names[step.about] = f"{kind}{counts[kind]}"
    return [
        replace(
            result,
            step=replace(
                result.step,
                data=_renamed(result.step.data, names),
                about=names.get(result.step.about or "", result.step.about),
            ),
        )
        for result in script
    ]


def render(result: StepResult) -> str:
    """Return a step as one line: `owner: course.add {"title": "x"} → course1`."""
    step = result.step
    line = f"{step.session or 'nobody'}: {step.function}"
    if step.does not in ("login", "logout", "whoami") and step.data:
        line += f" {_line(step.data)}"
    if result.page is not None:
        line += f" rows {result.page[0]} to {result.page[0] + result.page[1] - 1}"
    outcome = "no answer" if result.status is None else str(result.status)
    if step.does == "create" and result.status == 200 and step.about:
        outcome = step.about
    if not step.valid:
        outcome += " (its data is not valid)"
    return f"{line} → {outcome}" + (" (at the same time)" if step.at_once else "")


def _line(data: Any) -> str:
    """Return data as JSON on one line, with long values shortened and references by name."""
    if isinstance(data, Ref):
        return data.name
    if isinstance(data, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_line(item)}" for name, item in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(_line, data)) + "]"
    return shortened(data, 60)


def shortened(value: Any, max_chars: int = 200) -> str:
    """Return a value as JSON, cut to a length."""
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def groups(script: Sequence[Step]) -> list[list[Step]]:
    """Return the steps of a script in the groups in which they are sent."""
    found: list[list[Step]] = []
    for step in script:
        if step.at_once and found and found[-1][0].at_once == step.at_once:
            found[-1].append(step)
        else:
            found.append([step])
    return found
