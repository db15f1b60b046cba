"""Templates of defects, and the instances that a catalogue gives of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.defect_grid.catalogue_view import View
from benchmarks.defect_grid.injector import Host

Apply = Callable[[Host], Any]
Spot = tuple[str, str, Apply]
"""Where: a label, the kind of place, and what changes the host."""
Spots = Callable[[View], Iterable[Spot]]


@dataclass(frozen=True)
class Template:
    """One mechanism. `tells`: the rules that name it; `areas`: rules that would show it without naming it.

    `whole`: a check of those rules alone shows less than a whole one, since the number of all calls counts.
    """

    name: str
    tells: tuple[str, ...]
    areas: tuple[str, ...]
    spots: Spots
    whole: bool = False

    @property
    def rules(self) -> tuple[str, ...]:
        """All rules that may show the defect."""
        return (*self.tells, *self.areas)


@dataclass(frozen=True)
class Instance:
    """A template at one place of one server."""

    template: Template
    server: str
    label: str
    kind: str
    apply: Apply

    @property
    def key(self) -> str:
        """The name of the instance: server, template and place."""
        return f"{self.server} {self.template.name} {self.label}"


TEMPLATES: dict[str, Template] = {}

#: Rules that tell of nearly every defect in some way.
ALWAYS = ("COD-8", "COD-2", "STA-6", "ENV-10", "STA-1", "STA-2", "DAT-1")


def template(
    name: str, *tells: str, areas: Iterable[str] = ALWAYS, whole: bool = False
) -> Callable[[Spots], Spots]:
    """Register a template: a function from a catalogue's view to the places where it can be put."""

    def put(spots: Spots) -> Spots:
        if name in TEMPLATES:
            raise ValueError(f"{name}: there are two of that name")
        rest = tuple(rule for rule in areas if rule not in tells)
        TEMPLATES[name] = Template(name, tells, rest, spots, whole)
        return spots

    return put


def instances(view: View, server: str, only: Template | None = None) -> Iterator[Instance]:
    """Yield every instance that a server's catalogue gives; those that would change nothing are left out."""
    for entry in [only] if only is not None else TEMPLATES.values():
        for label, kind, apply in entry.spots(view):
            yield Instance(entry, server, label, kind, apply)
