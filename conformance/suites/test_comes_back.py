"""DAT-5, DAT-6, STA-1 and STA-2: telling values at every place come back as they went in, from every view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.generation.grid import (
    EMPTY_FAMILY,
    MIXTURE_FAMILY,
    Cell,
    GridRound,
    carrying,
    grid_cells,
    grid_rounds,
)
from conformance.generation.telling_values import ORDINARY_NUMBERS
from conformance.helpers.builtin_names import position_of
from conformance.helpers.comparison import equal, listers, pairs, seen
from conformance.helpers.fuzz_target import FuzzTarget
from conformance.protocol.exchange import Exchange
from conformance.schema.pointer import MISSING, resolve
from conformance.suites.test_data import brief

#: What languages make of null, beside nothing: such a value in place of null is an alteration.
_ZEROS: tuple[Any, ...] = (
    *("", 0, False, [], {}, "null", "None", "NULL", "nil", "undefined", "NaN"),
    *("0001-01-01", "0001-01-01T00:00:00Z", "1970-01-01", "1970-01-01T00:00:00Z", "0000-00-00"),
    "00000000-0000-0000-0000-000000000000",
)


#: Families that are sent to functions that store nothing: only an error can be seen there.
_OF_ANY_FUNCTION = frozenset(
    {MIXTURE_FAMILY, "balanced quotes", "escapes of programs", "a word of a language"}
)


@judges("DAT-1", "DAT-5", "DAT-6", "STA-1", "STA-2", calls=60)
@each_function(lambda method: bool(method.params), otherwise="no function has arguments")
def test_telling_values_alone(ctx: TestContext, function: Method) -> None:
    """Send each telling value alone in each member, many members in one call: each must come back, or be refused."""
    fuzz_target = FuzzTarget(ctx, function)
    if fuzz_target.login:
        ctx.give_up("the tests of logins send such values")
    with fuzz_target:
        example = _example(fuzz_target)
        cells = grid_cells(function, example, turn=position_of(ctx), every=not ctx.quick)
        cells = [wanted for row in cells if (wanted := [cell for cell in row if _sent(fuzz_target, cell)])]
        if not cells:
            ctx.give_up("no member takes any of the values")
        test = _Grid(fuzz_target, example)
        for number, cells_of_call in enumerate(grid_rounds(cells)):
            if not fuzz_target.may_go_on:
                break
            test.send(cells_of_call, lists=number % ctx.amount(budgets.GRID_LIST_STEP) == 0)


def _sent(fuzz_target: FuzzTarget, cell: Cell) -> bool:
    """Return whether a cell is sent to the function under test."""
    if cell.parameter == fuzz_target.own or fuzz_target.hands_off(cell.parameter):
        return False
    if not fuzz_target.stores and cell.family not in _OF_ANY_FUNCTION:
        return False
    return _sought(fuzz_target.ctx, fuzz_target.function, cell)


def _example(fuzz_target: FuzzTarget) -> dict[str, Any]:
    """Return valid data with which the function succeeds, with as many members as possible.

    Raises:
        NotJudgedError: there is none.

    """
    for optional in ("all", "none"):
        data = fuzz_target.fit(
            fuzz_target.ctx.valid(fuzz_target.function, fuzz_target.user, optional=optional)
        )
        exchange = fuzz_target.send(data)
        fuzz_target.clear(exchange, data)
        if exchange.status == 200:
            return dict(data)
    raise NotJudgedError(
        f"valid data does not succeed: {fuzz_target.function.name} gave {exchange.summary()}"
    )


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


class _Grid:
    """Sends the calls of the grid for one function."""

    def __init__(self, fuzz_target: FuzzTarget, example: dict[str, Any]) -> None:
        self.fuzz_target = fuzz_target
        self.ctx = fuzz_target.ctx
        self.function = fuzz_target.function
        self.example = example
        #: The places and values that the target refuses: they are not sent with others again.
        self._refused: set[tuple[str, str]] = set()
        self._calls_apart = 0

    def send(self, cells: GridRound, *, lists: bool) -> None:
        """Send one call with these cells; where it is refused, find out which of them is."""
        wanted = [cell for cell in cells if (cell.pointer, cell.family) not in self._refused]
        data, carried = carrying(self.function, self.example, wanted)
        if not carried:
            return
        exchange = self.fuzz_target.send(data)
        self.fuzz_target.count("telling values", exchange, valid=True)
        if exchange.status == 200:
            self._compare(data, carried, exchange, lists=lists)
            self.fuzz_target.clear(exchange, data)
            return
        if len(carried) == 1:
            self._judge_refusal(carried[0], data, exchange)
            return
        half = len(carried) // 2
        for part in (carried[:half], carried[half:]):
            if self._calls_apart >= self.ctx.amount(budgets.GRID_CALLS_APART):
                return
            self._calls_apart += 1
            self.send(part, lists=lists)

    def _judge_refusal(self, cell: Cell, data: dict[str, Any], exchange: Exchange) -> None:
        """Check the answer to a call that carries one value: unusual values may be refused, with 400."""
        self._refused.add((cell.pointer, cell.family))
        self._count(cell, "refused")
        accepted = self.fuzz_target.accepts_by_rule(data)
        if cell.family in ORDINARY_NUMBERS and exchange.status == 400:
            because = "the schema allows this number"
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

    def _compare(self, data: dict[str, Any], cells: GridRound, exchange: Exchange, *, lists: bool) -> None:
        altered: set[str] = set()
        compared: dict[str, Cell] = {}
        for source, there, shown in self._views(exchange, data, lists=lists):
            for name, sent, got, schema in pairs(self.ctx, self.function, data, there):
                param = self.function.param(name)
                if name == self.fuzz_target.own or param is None or param.ref:
                    continue
                whole = seen(sent, got, schema)
                for cell in (cell for cell in cells if cell.parameter == name):
                    came = cell.value if whole else _value_at(got, cell.path[1:])
                    good = whole or _came_back(cell.value, came, schema)
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

    def _count(self, cell: Cell, outcome: str) -> None:
        self.ctx.run.coverage.add_cell(self.function.name, cell.pointer, cell.family, outcome)

    def _views(
        self, exchange: Exchange, data: dict[str, Any], *, lists: bool
    ) -> Iterator[tuple[str, Any, Exchange]]:
        """Yield where the stored object is shown: the answer, its read function, and the lists."""
        yield from self.fuzz_target.shown(exchange, data)
        role = self.function.object
        resource = (
            self.fuzz_target.resource or self.fuzz_target.made(exchange, data) if role is not None else None
        )
        if not lists or resource is None or role is None or self.ctx.catalog.read(role.kind) is None:
            return
        for lister in listers(self.ctx, role.kind, resource.user, resource):
            assert lister.function.object is not None
            listed = lister.exchange()
            for row in self.ctx.resources.rows(lister.function, listed):
                if isinstance(row, dict) and equal(resolve(row, lister.function.object.id), resource.id):
                    yield lister.function.name, row, listed
            return


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


def _came_back(sent: Any, got: Any, schema: dict[str, Any]) -> bool:
    """Return whether a value came back: null may be left out, or be replaced by a declared default."""
    if sent is None:
        return got is MISSING or got is None or not any(equal(got, zero) for zero in _ZEROS)
    return got is not MISSING and equal(sent, got)
