"""DAT-5, DAT-6, STA-1 and STA-2: telling values at every place come back as they went in, from every view."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.coverage import Gap
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.generation.choices import OptionalMembers
from conformance.generation.data_walker import located_values
from conformance.generation.grid import (
    EMPTY_FAMILY,
    MIXTURE_FAMILY,
    UNUSUAL_MIXTURE_FAMILY,
    Cell,
    GridRound,
    carrying,
    grid_cells,
    grid_rounds,
    rare_rounds,
)
from conformance.generation.grid_edges import edge_values
from conformance.generation.telling_values import ORDINARY_NUMBERS
from conformance.helpers.builtin_names import position_of
from conformance.helpers.comparison import equal, listers, pairs, seen
from conformance.helpers.differences import brief
from conformance.helpers.fuzz_target import FuzzTarget
from conformance.helpers.length_alone import length_alone
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.schema.pointer import MISSING, resolve

#: What languages make of null, beside nothing: such a value in place of null is an alteration.
_ZEROS: tuple[Any, ...] = (
    *("", 0, False, [], {}, "null", "None", "NULL", "nil", "undefined", "NaN"),
    *("0001-01-01", "0001-01-01T00:00:00Z", "1970-01-01", "1970-01-01T00:00:00Z", "0000-00-00"),
    "00000000-0000-0000-0000-000000000000",
)


#: Objects that wait at most until the lists are compared with them.
_MOST_WAITING = 12

#: Objects that arrays of identifiers name.
_REFERRED_OBJECTS = 4

#: The members of the data that are tried as examples, until one succeeds. Their values differ from call to call.
_EXAMPLES: tuple[OptionalMembers, ...] = ("all", "none", "some")

#: Families that are sent to functions that store nothing: only an error can be seen there.
_OF_ANY_FUNCTION = frozenset(
    {
        MIXTURE_FAMILY,
        UNUSUAL_MIXTURE_FAMILY,
        EMPTY_FAMILY,
        "balanced quotes",
        "escapes of programs",
        "the word null",
        "a name of a language's own",
    }
)


@judges("DAT-1", "DAT-5", "DAT-6", "STA-1", "STA-2", calls=110)
@each_function(lambda method: bool(method.params), otherwise="no function has arguments")
def test_telling_values_alone(ctx: TestContext, function: Method) -> None:
    """Send each telling value alone in each member, many members in one call: each must come back, or be refused."""
    fuzz_target = FuzzTarget(ctx, function, undeletable=budgets.GRID_UNDELETABLE_OBJECTS)
    if fuzz_target.login:
        ctx.give_up("the tests of logins send such values")
    with fuzz_target:
        example = _example(fuzz_target)
        objects = _referred(fuzz_target, example)
        cells_of = functools.partial(
            grid_cells,
            function,
            example,
            turn=position_of(ctx),
            edges=edge_values(function, fuzz_target.identify),
            identifiers={kind: [each.id for each in made] for kind, made in objects.items()},
        )
        admitted = cells_of(every=True)
        _plan(fuzz_target, admitted)
        cells = cells_of(every=False) if ctx.quick else admitted
        cells = [wanted for row in cells if (wanted := [cell for cell in row if _sent(fuzz_target, cell)])]
        if not cells:
            ctx.give_up("no member takes any of the values")
        test = _Grid(fuzz_target, example)
        for cells_of_call in grid_rounds(cells):
            if not test.may_go_on:
                break
            test.send(cells_of_call)
        # Larger budgets send these characters by the test of texts and numbers, to each place alone.
        for rare in rare_rounds(function, example) if ctx.quick and fuzz_target.stores else ():
            if test.may_go_on:
                test.send_rare([cell for cell in rare if _sent(fuzz_target, cell)])
        test.compare_lists()
        for resource in (each for made in objects.values() for each in made):
            ctx.resources.remove(resource)


def _referred(fuzz_target: FuzzTarget, example: dict[str, Any]) -> dict[str, list[Resource]]:
    """Create objects for the arrays of identifiers that a function stores, by kind."""
    ctx, function, user = fuzz_target.ctx, fuzz_target.function, fuzz_target.user
    found: dict[str, list[Resource]] = {}
    if not fuzz_target.stores or user is None:
        return found
    for located in located_values(function, example):
        kind = located.place.ref
        in_array = isinstance(located.path[-1], int)
        if kind is None or not in_array or kind in found or ctx.catalog.delete(kind) is None:
            continue
        with contextlib.suppress(SetUpFailedError):
            found[kind] = [ctx.resources.new(kind, user) for _ in range(_REFERRED_OBJECTS)]
    return found


def _plan(fuzz_target: FuzzTarget, admitted: list[list[Cell]]) -> None:
    """Note the families that each place admits, for the coverage."""
    for cell in (cell for row in admitted for cell in row):
        gap = Gap.BUDGET
        if cell.parameter == fuzz_target.own or fuzz_target.hands_off(cell.parameter):
            gap = Gap.OBJECT
        elif not fuzz_target.stores and not cell.edge and cell.family not in _OF_ANY_FUNCTION:
            gap = Gap.NOTHING_STORED
        fuzz_target.ctx.run.coverage.add_planned(fuzz_target.function.name, cell.pointer, cell.family, gap)


def _sent(fuzz_target: FuzzTarget, cell: Cell) -> bool:
    """Return whether a cell is sent to the function under test."""
    if cell.parameter == fuzz_target.own or fuzz_target.hands_off(cell.parameter):
        return False
    if not fuzz_target.stores and not cell.edge and cell.family not in _OF_ANY_FUNCTION:
        return False
    return _sought(fuzz_target.ctx, fuzz_target.function, cell)


def _example(fuzz_target: FuzzTarget) -> dict[str, Any]:
    """Return valid data with which the function succeeds, with as many members as possible.

    Raises:
        NotJudgedError: there is none.

    """
    refused: dict[str, Any] | None = None
    for optional in _EXAMPLES:
        data = fuzz_target.fit(
            fuzz_target.ctx.valid(fuzz_target.function, fuzz_target.user, optional=optional)
        )
        exchange = fuzz_target.send(data)
        fuzz_target.clear(exchange, data)
        if exchange.status == 200:
            return dict(data) if refused is None else _completed(fuzz_target, dict(data), refused)
        if exchange.status == 400 and refused is None and 400 not in fuzz_target.accepts_by_rule(data):
            refused = dict(data)
    raise NotJudgedError(
        f"valid data does not succeed: {fuzz_target.function.name} gave {exchange.summary()}"
    )


def _completed(fuzz_target: FuzzTarget, example: dict[str, Any], refused: dict[str, Any]) -> dict[str, Any]:
    """Return an example with the arguments of a refused call that are accepted, and judge those that are not."""
    ctx, function = fuzz_target.ctx, fuzz_target.function
    for name, value in refused.items():
        param = function.param(name)
        if param is None or param.ref or name == fuzz_target.own or fuzz_target.hands_off(name):
            continue
        if name in example and equal(example[name], value):
            continue
        data = {**example, name: value}
        kind = f"valid data is refused: {name} (properties)"
        if not fuzz_target.allows(data) or not ctx.seeks("DAT-1", kind):
            continue
        exchange = fuzz_target.send(data)
        fuzz_target.count("telling values", exchange, valid=True)
        fuzz_target.clear(exchange, data)
        ctx.status(
            "DAT-1",
            exchange,
            fuzz_target.accepts_by_rule(data),
            kind=kind,
            because=f"the schema allows {brief(value)}; without it the call succeeds",
        )
        if exchange.status == 200:
            example = data
    return example


def _rule(function: Method, value: Any) -> str:
    """Return the rule that is broken where a value does not come back."""
    if isinstance(value, str):
        return "DAT-5"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "DAT-6"
    return "STA-2" if function.object is not None and function.object.does == "update" else "STA-1"


def _kind(cell: Cell) -> str:
    family = f"{EMPTY_FAMILY}, {brief(cell.value)}" if cell.family == EMPTY_FAMILY else cell.family
    return f"{cell.label} does not come back as it went in ({family})"


def _refusal(cell: Cell) -> str:
    return f"valid data is refused: {cell.label} ({cell.family})"


def _sought(ctx: TestContext, function: Method, cell: Cell) -> bool:
    return ctx.seeks("DAT-1", _refusal(cell)) or ctx.seeks(_rule(function, cell.value), _kind(cell))


@dataclass(frozen=True)
class _Stored:
    """A call that was accepted, and the object that it made or changed."""

    data: dict[str, Any]
    cells: GridRound
    exchange: Exchange
    resource: Resource | None


class _Grid:
    """Sends the calls of the grid for one function."""

    def __init__(self, fuzz_target: FuzzTarget, example: dict[str, Any]) -> None:
        self.fuzz_target = fuzz_target
        self.ctx = fuzz_target.ctx
        self.function = fuzz_target.function
        self.example = example
        #: The places and values that the target refuses: they are not sent with others again.
        self._refused: set[tuple[str, str]] = set()
        self._places_refused: set[str] = set()
        self._calls_apart = 0
        #: The members that each function has shown so far.
        self._names: dict[str, set[str]] = {}
        #: What was stored since the lists were compared last.
        self._stored: list[_Stored] = []

    @property
    def may_go_on(self) -> bool:
        """Whether more objects may be created, besides those that wait to be counted."""
        return self.fuzz_target.may_make(len(self._stored) + 1)

    def send(self, cells: GridRound) -> None:
        """Send one call with these cells; where it is refused, find out which of them is."""
        wanted = [cell for cell in cells if (cell.pointer, cell.family) not in self._refused]
        data, carried = carrying(self.function, self.example, wanted)
        if not carried:
            return
        exchange = self.fuzz_target.send(data)
        self.fuzz_target.count("telling values", exchange, valid=True)
        if exchange.status == 200:
            self._keep(data, carried, exchange)
            return
        if len(carried) == 1:
            self._judge_refusal(carried[0], data, exchange)
            return
        for part in self._parts(carried):
            most = self.ctx.amount(budgets.GRID_CALLS_APART)
            # Texts that a target may refuse must not use up the calls for values that it must take.
            sent = [cell for cell in part if cell.edge or self._calls_apart < most]
            if sent and self._calls_apart < 2 * most:
                self._calls_apart += 1
                self.send(sent)

    def send_rare(self, cells: GridRound) -> None:
        """Send one call with values that a target may refuse; which of them it refuses is not asked."""
        data, carried = carrying(self.function, self.example, cells)
        if not carried:
            return
        exchange = self.fuzz_target.send(data)
        self.fuzz_target.count("telling values", exchange, valid=True)
        if exchange.status == 200:
            self._keep(data, carried, exchange)
        elif exchange.status == 400 or len(carried) == 1:
            self._judge_refusal(carried[0], data, exchange)
        else:
            self.send(carried)

    def _parts(self, cells: GridRound) -> tuple[GridRound, GridRound]:
        """Divide the cells of a refused call: at places that refused a value before, and others; else in halves."""
        places = self._places_refused
        doubtful = [cell for cell in cells if cell.pointer in places]
        others = [cell for cell in cells if cell.pointer not in places]
        half = len(cells) // 2
        return (others, doubtful) if doubtful and others else (cells[:half], cells[half:])

    def _keep(self, data: dict[str, Any], carried: GridRound, exchange: Exchange) -> None:
        """Compare what an accepted call stored, and keep it until the lists are compared."""
        for cell in (each for each in carried if each.edge):
            place = f"{cell.pointer} {cell.family}"
            self.ctx.run.coverage.add_accepted(self.function.name, cell.parameter, place)
        self._compare(carried, data, exchange, self.fuzz_target.shown(exchange, data))
        role = self.function.object
        resource = None
        if role is not None and self.fuzz_target.stores:
            resource = self.fuzz_target.resource or self.fuzz_target.made(exchange, data)
        if self.fuzz_target.resource is not None:
            # A change replaces what the change before stored.
            self._stored.clear()
        self._stored.append(_Stored(data, carried, exchange, resource))
        if len(self._stored) >= _MOST_WAITING:
            self.compare_lists()

    def compare_lists(self) -> None:
        """Compare what was stored with what the lists show, in one call of each list, and delete it."""
        stored, self._stored = self._stored, []
        role = self.function.object
        first = next((each.resource for each in stored if each.resource is not None), None)
        if first is not None and role is not None and self._are_lists_compared(role.kind, role.does):
            for lister in listers(self.ctx, role.kind, first.user, first):
                assert lister.function.object is not None
                listed = lister.exchange()
                rows = [
                    (resolve(row, lister.function.object.id), row)
                    for row in self.ctx.resources.rows(lister.function, listed)
                    if isinstance(row, dict)
                ]
                for each in stored:
                    found = each.resource is not None and next(
                        (row for key, row in rows if equal(key, each.resource.id)), None
                    )
                    if found:
                        view = (lister.function.name, found, listed)
                        self._compare(each.cells, each.data, each.exchange, [view])
        for each in stored:
            self.fuzz_target.clear(each.exchange, each.data)

    def _are_lists_compared(self, kind: str, does: str) -> bool:
        """Return whether the lists show more: without a read function, the lists were compared at once.

        What a list alters, it alters of an object that was changed as of one that was made.
        """
        if self.ctx.catalog.read(kind) is None:
            return False
        return does == "create" or self.ctx.catalog.create(kind) is None

    def _judge_refusal(self, cell: Cell, data: dict[str, Any], exchange: Exchange) -> None:
        """Check the answer to a call that carries one value: unusual values may be refused, with 400."""
        self._places_refused.add(cell.pointer)
        self._count(cell, "refused")
        accepted = self.fuzz_target.accepts_by_rule(data)
        if exchange.status == 400 and cell.edge and length_alone(self.fuzz_target, data, cell.family):
            accepted = accepted - {400}
        if not cell.edge or exchange.status not in accepted:
            # One edge of unusual characters may be refused, and another of its keyword not.
            self._refused.add((cell.pointer, cell.family))
        if exchange.status == 400 and (cell.edge or cell.family in ORDINARY_NUMBERS):
            because = "the schema allows this value"
            self.ctx.status("DAT-1", exchange, accepted, kind=_refusal(cell), because=because)
            return
        accepted = accepted | {400}
        self.ctx.judge(
            _rule(self.function, cell.value),
            exchange.status in accepted,
            kind=_kind(cell),
            expected=f"{cell.label}: {brief(cell.value)} is stored, or status 400",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=accepted,
        )

    def _compare(
        self,
        cells: GridRound,
        data: dict[str, Any],
        exchange: Exchange,
        views: Iterable[tuple[str, Any, Exchange]],
    ) -> None:
        altered: set[str] = set()
        compared: dict[str, Cell] = {}
        for source, there, shown in views:
            for name, sent, got, schema in self._shown_pairs(source, data, there):
                param = self.function.param(name)
                if name == self.fuzz_target.own or param is None or param.ref:
                    continue
                whole = seen(sent, got, schema)
                for cell in (cell for cell in cells if cell.parameter == name):
                    came = cell.value if whole else _value_at(got, cell.path[1:])
                    good = whole or _came_back(cell, came)
                    if not good and cell.pointer in altered:
                        continue
                    altered |= set() if good else {cell.pointer}
                    compared[cell.pointer] = cell
                    self.ctx.judge(
                        _rule(self.function, cell.value),
                        good,
                        kind=_kind(cell),
                        expected=f"{cell.label}: {brief(cell.value)}",
                        actual=f"{brief(came) if came is not MISSING else 'nothing'} in {source}",
                        exchange=exchange,
                        witness=shown,
                        function=self.function.name,
                    )

        for pointer, cell in compared.items():
            self._count(cell, "altered" if pointer in altered else "came_back")

    def _shown_pairs(
        self, source: str, data: dict[str, Any], there: Any
    ) -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
        """Yield (name, sent, shown, schema) of members; also of one that was shown before, and is left out now.

        A list may leave out what is empty: STA-1 promises the same values where an object is read.
        """
        known = self._names.setdefault(source, set())
        found = {
            name: (sent, got, schema)
            for name, sent, got, schema in pairs(self.ctx, self.function, data, there)
        }
        for name in sorted(known - set(found)):
            param = self.function.param(name)
            if name in data and data[name] in ("", [], {}) and self._lists(source):
                continue
            if param is not None and name in data and isinstance(there, dict):
                found[name] = (data[name], None if data[name] is None else MISSING, param.schema)
        known |= set(found)
        yield from ((name, *each) for name, each in found.items())

    def _lists(self, source: str) -> bool:
        """Return whether a view is a list."""
        method = self.ctx.catalog.methods.get(source)
        return method is not None and method.object is not None and method.object.does == "list"

    def _count(self, cell: Cell, outcome: str) -> None:
        self.ctx.run.coverage.add_cell(self.function.name, cell.pointer, cell.family, outcome)


def _value_at(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return the value at the end of a path; MISSING where it leads nowhere."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key, MISSING)
        elif isinstance(key, int) and isinstance(value, list) and key < len(value):
            value = value[key]
        else:
            return MISSING
    return value


def _came_back(cell: Cell, got: Any) -> bool:
    """Return whether a value came back: null may be left out, or be replaced by a declared default."""
    if cell.value is None:
        return got is MISSING or got is None or not any(equal(got, zero) for zero in _ZEROS)
    schema = cell.node if isinstance(cell.node, dict) else {}
    return got is not MISSING and seen(cell.value, got, schema)
