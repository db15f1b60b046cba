"""Rules of a team's own: read from Python files, verified by their examples, and added to the rulebook for a run.

`install` adds the rules of some files to `RULES`, in place of those of an earlier call. Each check is guarded: an
exception in it is an error of its rule, and its cost is measured. `events` reports both at the end of a run.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from types import ModuleType, TracebackType

from conformance.errors import UsageError
from conformance.events import ErrorEvent, NoteEvent
from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
    AREAS,
    OWN_ID,
    RULES,
    Level,
    Outcome,
    Rule,
    not_applicable,
    registering,
)
from conformance.text import FOLDER_VARIABLE, located, plural

__all__ = [
    "FOLDER_VARIABLE",
    "OWN_TESTS",
    "WHOSE",
    "areas",
    "checked",
    "events",
    "execute",
    "files",
    "ids",
    "install",
    "line_in",
    "located",
]

#: Whose error a crash of a rule of the team's own is.
WHOSE = "the rule's own code"

#: The rule that a team's own tests are reported under, and its area.
OWN_TESTS = "TEST-1"
_TEST_AREA = OWN_TESTS.partition("-")[0]

#: Mean time of one check from which on a rule is named as slow, in a check and in a load.
MAX_USUAL_SECONDS = 0.001
MAX_USUAL_SECONDS_UNDER_LOAD = 0.0002

#: Time that a rule must have taken in all to be named as slow.
MIN_NOTED_SECONDS = 0.5

#: Different failures of one rule that are reported.
MAX_REPORTED_FAILURES = 5


@dataclass
class _OwnRule:
    """A rule of the team's own: its record, where it stands, and what its check cost so far."""

    record: Rule
    path: Path
    line: int
    exchanges: int = 0
    seconds: float = 0.0
    #: How often the check failed, by place and error.
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The file and line of the registration."""
        return f"{located(self.path)}:{self.line}"

    def guarded(self) -> Rule:
        """Return the record with a check that raises nothing and measures itself."""
        check = self.record.check
        if check is None:
            return self.record

        @functools.wraps(check)
        def guard(exchange: Exchange) -> Outcome:
            began = perf_counter()
            try:
                outcome = check(exchange)
                if isinstance(outcome, Outcome):
                    return outcome
                failure = f"{self.place}: {_NO_OUTCOME.format(outcome)}"
            except Exception as error:
                line = line_in(self.path, error.__traceback__) or self.line
                failure = f"{located(self.path)}:{line}: {type(error).__name__}: {error}"
            finally:
                self.exchanges += 1
                self.seconds += perf_counter() - began
            self.failures[failure] = self.failures.get(failure, 0) + 1
            return replace(not_applicable, crash=failure)

        return replace(self.record, check=guard)


_NO_OUTCOME = "the check returned {!r:.40}; return holds, broken(…) or not_applicable"

_installed: dict[str, _OwnRule] = {}
_files: tuple[Path, ...] = ()


def install(paths: Iterable[Path], where: str = "--rules", *, tests: bool = False) -> None:
    """Add the rules of these files to the rulebook, in place of those that were added before.

    With `tests` the rule that the team's own tests pass is added, too.

    Raises:
        UsageError: a file cannot be read, or a rule is wrong or disagrees with its own examples; the line says which
            and where. `where` is what names the files.

    """
    global _files
    files = list(dict.fromkeys(path.resolve() for path in paths))
    found: dict[str, _OwnRule] = {}
    for path in files:
        for own in _read(path, where):
            known = found.get(own.record.id)
            if known is not None:
                raise UsageError(
                    f"{own.place}: rule {own.record.id} stands twice: it is at {known.place}, too"
                )
            found[own.record.id] = own
    if tests:
        found[OWN_TESTS] = _OwnRule(
            Rule(
                OWN_TESTS,
                Level.MUST,
                "the team's own tests",
                "Every test of the team's own passes",
                "A test of the team's own states what its clients rely on.",
                "",
                "",
            ),
            Path(__file__),
            1,
        )
    for identifier in _installed:
        RULES.pop(identifier, None)
    _installed.clear()
    _installed.update(found)
    _files = tuple(files)
    RULES.update({identifier: own.guarded() for identifier, own in found.items()})


def files() -> tuple[Path, ...]:
    """Return the files whose rules were added."""
    return _files


def ids() -> tuple[str, ...]:
    """Return the ids of the rules that were added."""
    return tuple(_installed)


def checked() -> tuple[str, ...]:
    """Return the ids of those that are checked on every exchange."""
    return tuple(identifier for identifier, own in _installed.items() if own.record.check is not None)


def areas() -> dict[str, str]:
    """Return the areas of the rulebook and those of the team's own rules, each with its title."""
    return {**AREAS, **{own.record.area: own.record.area for own in _installed.values()}}


def events(mask: Callable[[str], str] = str, *, under_load: bool = False) -> Iterator[ErrorEvent | NoteEvent]:
    """Yield the failures of the checks as errors of their rules, and a note on each rule that is slow."""
    usual = MAX_USUAL_SECONDS_UNDER_LOAD if under_load else MAX_USUAL_SECONDS
    for identifier, own in _installed.items():
        for failure, count in list(own.failures.items())[:MAX_REPORTED_FAILURES]:
            # Under load several processes report the same failure: without counts they are one.
            times = "" if under_load else f" ({plural(count, 'exchange')})"
            yield ErrorEvent(identifier, mask(f"{failure}{times}"), ours=False, whose=WHOSE)
        mean = own.seconds / max(1, own.exchanges)
        if mean > usual and own.seconds >= MIN_NOTED_SECONDS:
            yield NoteEvent(
                f"the rule {identifier} ({own.place}) took {1000 * mean:.2g} ms for each exchange, "
                f"{own.seconds:.1f} s in all: it slows the {'load generator' if under_load else 'run'}"
            )


# --- reading


def _read(path: Path, where: str) -> list[_OwnRule]:
    """Return the rules of a file, verified."""
    shown = located(path)
    if not path.is_file():
        raise UsageError(f"{where}: there is no file {shown}")
    found: list[_OwnRule] = []

    def take(record: Rule, file: str, line: int) -> None:
        found.append(_OwnRule(record, Path(file).resolve(), line))

    try:
        with registering(take):
            execute(path)
    except SyntaxError as error:
        raise UsageError(f"{shown}:{error.lineno or 1}: {error.msg}") from error
    except Exception as error:
        line = line_in(path, error.__traceback__)
        raise UsageError(f"{shown}:{line or 1}: {type(error).__name__}: {error}") from error
    if not found:
        raise UsageError(
            f"{shown}: has no rule: write a function under @rule(…), imported from conformance.rulebook"
        )
    for own in found:
        _verify(own)
    return found


def execute(path: Path, purpose: str = "rules") -> ModuleType:
    """Execute a file of a team's own as a module; it may import what stands beside it."""
    name = f"conform_own_{purpose}_{abs(hash(path)):x}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"a file of {purpose} is Python source, with the ending .py")
    folder = str(path.parent)
    if folder not in sys.path:
        # At the end: a folder of the team's with the name of one of ours hides none.
        sys.path.append(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _verify(own: _OwnRule) -> None:
    """Raise UsageError if a record is wrong, or its check disagrees with its own examples."""
    record, place = own.record, own.place
    if not isinstance(record.id, str) or not OWN_ID.fullmatch(record.id):
        raise UsageError(
            f"{place}: the id {record.id!r} is a prefix of 2 to 12 capital letters and a number, as in ACME-1"
        )
    if record.area in (*AREAS, _TEST_AREA):
        raise UsageError(
            f"{place}: rule {record.id}: the prefix {record.area} is the rulebook's; take one of your own, as in "
            "ACME-1"
        )
    if record.level not in set(Level):
        raise UsageError(f"{place}: rule {record.id}: the level is Level.MUST or Level.SHOULD")
    for name in ("title", "clause"):
        text = getattr(record, name)
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"{place}: rule {record.id}: {name} is a text of one line, and not empty")
    own.record = record = replace(record, level=Level(record.level), title=" ".join(record.title.split()))
    if record.check is None:
        return
    for name, examples in (("passes", record.passes), ("fails", record.fails)):
        if not examples:
            raise UsageError(f"{place}: rule {record.id}: {name} has no example: write one with reply(…)")
        for number, example in enumerate(examples):
            if (why := _disagreement(own, name, example)) is not None:
                line = _example_line(own, name, number)
                raise UsageError(f"{located(own.path)}:{line}: rule {record.id}: {name}[{number}]: {why}")


def _disagreement(own: _OwnRule, name: str, example: Exchange) -> str | None:
    """Return how the check of a rule disagrees with one of its examples; None if it does not."""
    assert own.record.check is not None
    if not isinstance(example, Exchange):
        return f"is {example!r:.40}, not an exchange: write it with reply(…)"
    try:
        outcome = own.record.check(example)
    except Exception as error:
        line = line_in(own.path, error.__traceback__) or own.line
        return f"makes the check fail, at line {line}: {type(error).__name__}: {error}"
    if not isinstance(outcome, Outcome):
        return _NO_OUTCOME.format(outcome)
    if not outcome.judged:
        return "is not judged: the check returned not_applicable"
    if name == "passes" and outcome.broken:
        return f"breaks the rule: expected {outcome.expected}, got {outcome.actual}"
    return "keeps the rule" if name == "fails" and not outcome.broken else None


# --- places


def line_in(path: Path, trace: TracebackType | None) -> int | None:
    """Return the line of a file that an exception passed last; None if it passed none."""
    line = None
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _example_line(own: _OwnRule, name: str, number: int) -> int:
    """Return the line of an example where it stands in the decorator; that of the decorator if it stands elsewhere."""
    for node in ast.walk(ast.parse(own.path.read_bytes())):
        if isinstance(node, ast.Call) and node.lineno <= own.line <= (node.end_lineno or node.lineno):
            values = _literal(next((each.value for each in node.keywords if each.arg == name), None))
            if number < len(values):
                return values[number].lineno
    return own.line


def _literal(node: ast.expr | None) -> Sequence[ast.expr]:
    items = node.elts if isinstance(node, ast.List | ast.Tuple) else ()
    return () if any(isinstance(item, ast.Starred) for item in items) else items
