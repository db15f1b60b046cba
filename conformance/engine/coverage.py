"""The coverage of generated data: which functions, parameters and keywords were exercised, with what answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from conformance.events import CoverageEvent

__all__ = ["Coverage", "Gap", "GridSize"]


class Gap(StrEnum):
    """Why a family of values was not tried at a place."""

    TYPE = "the type of the place does not admit it"
    BUDGET = "a larger budget sends it"
    OBJECT = "it could name what is not the run's own"
    NOTHING_STORED = "the function stores nothing that could come back"
    NO_CALL = "no valid call of the function succeeded"


@dataclass(frozen=True)
class GridSize:
    """How large the grid of a run is: places, families, the cells that were tried, and the others by reason."""

    places: int
    families: int
    tried: int
    gaps: Mapping[Gap, int]

    @property
    def admitted(self) -> int:
        """The cells whose place admits the family."""
        return self.tried + sum(count for gap, count in self.gaps.items() if gap is not Gap.TYPE)


@dataclass
class _Answers:
    """What one function answered to generated data."""

    examples: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    refused: int = 0
    beyond: int = 0
    parameters: dict[str, list[int]] = field(default_factory=dict)
    keywords: dict[str, list[int]] = field(default_factory=dict)
    #: By place and family of values: how often the target answered in each way.
    grid: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    #: By place and family of values that the place admits: why it is not tried, if it is not.
    planned: dict[str, dict[str, Gap]] = field(default_factory=dict)

    @property
    def families(self) -> set[str]:
        """The families that were tried at any place, or that any place admits."""
        tables: tuple[Mapping[str, Mapping[str, object]], ...] = (self.grid, self.planned)
        return {family for table in tables for cells in table.values() for family in cells}

    def gaps(self) -> dict[Gap, dict[str, list[str]]]:
        """Return, by reason and place, the families that were not tried."""
        families = self.families
        found: dict[Gap, dict[str, list[str]]] = {}
        for pointer in sorted(self.grid.keys() | self.planned.keys()):
            planned = self.planned.get(pointer, {})
            for family in sorted(families - self.grid.get(pointer, {}).keys()):
                gap = planned.get(family, Gap.TYPE)
                if not self.accepted and gap in (Gap.TYPE, Gap.BUDGET):
                    gap = Gap.NO_CALL
                found.setdefault(gap, {}).setdefault(pointer, []).append(family)
        return found


class Coverage:
    """Counts which functions, parameters and keywords were exercised, and what the target answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: dict[str, _Answers] = {}

    def add(
        self,
        function: str,
        kind: str,
        status: int | None,
        *,
        valid: bool | None = None,
        place: tuple[str, str] | None = None,
        beyond: bool = False,
    ) -> None:
        """Count an example: its kind ("valid", "edge", "violation", …), what the schema says of it, the answer.

        `place` is the (parameter, "pointer keyword") that an edge or a violation is about; `beyond` says that a
        rule beyond the schema may be why it was refused.
        """
        with self._lock:
            answers = self._functions.setdefault(function, _Answers())
            answers.examples[kind] += 1
            answers.beyond += beyond
            if valid is None or status is None:
                return
            if valid:
                answers.accepted += status == 200
                answers.refused += status != 200
            if place is not None:
                pointer, _, keyword = place[1].rpartition(" ")
                _count_cell(answers, pointer or f"/{place[0]}", keyword, _outcome(status, valid))
                # Two counts: valid and accepted (within), invalid and refused (without).
                within = valid and status == 200
                without = not valid and status == 400
                for table, name in ((answers.parameters, place[0]), (answers.keywords, place[1])):
                    both = table.setdefault(name, [0, 0])
                    both[0] += within
                    both[1] += without

    def add_accepted(self, function: str, parameter: str, place: str) -> None:
        """Count a valid edge that was accepted in one call with others; `place` is its "pointer keyword"."""
        with self._lock:
            answers = self._functions.setdefault(function, _Answers())
            answers.parameters.setdefault(parameter, [0, 0])[0] += 1
            answers.keywords.setdefault(place, [0, 0])[0] += 1

    def add_cell(self, function: str, pointer: str, family: str, outcome: str) -> None:
        """Count what became of one value of a family at one place: `came_back`, `altered` or `refused`."""
        with self._lock:
            _count_cell(self._functions.setdefault(function, _Answers()), pointer, family, outcome)

    def add_planned(self, function: str, pointer: str, family: str, gap: Gap = Gap.BUDGET) -> None:
        """Note that a place admits a family of values, and why it is not tried there, if it is not."""
        with self._lock:
            answers = self._functions.setdefault(function, _Answers())
            answers.planned.setdefault(pointer, {}).setdefault(family, gap)

    def grid_size(self) -> GridSize:
        """Return how large the grid is, and how much of it was tried."""
        with self._lock:
            gaps: Counter[Gap] = Counter()
            families: set[str] = set()
            places = tried = 0
            for answers in self._functions.values():
                families |= answers.families
                places += len(answers.grid.keys() | answers.planned.keys())
                tried += sum(map(len, answers.grid.values()))
                for gap, found in answers.gaps().items():
                    gaps[gap] += sum(map(len, found.values()))
            return GridSize(places, len(families), tried, gaps)

    def never_accepted(self) -> list[str]:
        """Return the functions that refused whatever valid data they were sent."""
        with self._lock:
            return [
                name for name, answers in self._functions.items() if answers.refused and not answers.accepted
            ]

    def event(self) -> CoverageEvent | None:
        """Return the event that reports what was generated; None where nothing was generated."""
        with self._lock:
            if not self._functions:
                return None
            return CoverageEvent(
                {
                    name: {
                        "examples": dict(answers.examples),
                        "accepted": answers.accepted,
                        "refused": answers.refused,
                        "beyond_schema": answers.beyond,
                        "parameters": {key: _both(pair) for key, pair in answers.parameters.items()},
                        "keywords": {key: _both(pair) for key, pair in answers.keywords.items()},
                        "grid": {
                            pointer: {family: dict(counts) for family, counts in families.items()}
                            for pointer, families in answers.grid.items()
                        },
                        "not_tried": {gap.value: places for gap, places in answers.gaps().items()},
                    }
                    for name, answers in self._functions.items()
                }
            )


def _outcome(status: int, valid: bool) -> str:
    """Return what became of a valid or an invalid value: whether it was refused, and whether that was due."""
    if valid:
        return "accepted" if status == 200 else "refused"
    return "refused_as_due" if status == 400 else "not_refused"


def _count_cell(answers: _Answers, pointer: str, family: str, outcome: str) -> None:
    answers.grid.setdefault(pointer, {}).setdefault(family, Counter())[outcome] += 1


def _both(pair: list[int]) -> dict[str, int]:
    return {"accepted": pair[0], "refused": pair[1]}
