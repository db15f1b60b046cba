"""How much of what a rule applies to it was tested on: a verdict that rests on less says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable

from conformance.events import PartlyJudgedEvent

__all__ = ["Extent"]

#: What a test is parametrized over, for people.
_WORDS = {"function": "functions", "endpoint": "endpoints", "kind": "kinds of objects", "user": "users"}


class Extent:
    """Counts, for each rule, the functions (or endpoints, kinds, users) that its tests were planned for and ran on."""

    def __init__(self) -> None:
        self._open: dict[Hashable, tuple[frozenset[str], str, str]] = {}
        self._subjects: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def plan(self, test: Hashable, rules: Collection[str], scope: str, subject: str) -> None:
        """Take a test that is to run: its rules, what it is parametrized over, and the value there."""
        self._open[test] = frozenset(rules), scope, subject
        for rule in rules:
            self._subjects[rule, scope].add(subject)

    def done(self, test: Hashable) -> None:
        """Take note that a test ran."""
        self._open.pop(test, None)

    def events(self) -> list[PartlyJudgedEvent]:
        """Return an event for each rule that was tested on less than it applies to: where the least was reached."""
        missing: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for rules, scope, subject in self._open.values():
            for rule in rules:
                missing[rule, scope].add(subject)
        least: dict[str, tuple[float, PartlyJudgedEvent]] = {}
        for (rule, scope), subjects in missing.items():
            every = len(self._subjects[rule, scope])
            done = every - len(subjects)
            event = PartlyJudgedEvent(rule, done, every, _WORDS.get(scope, scope))
            if rule not in least or done / every < least[rule][0]:
                least[rule] = done / every, event
        return [event for _, event in least.values()]
