"""The flow of identifiers: which answers make them, which calls carry them, which rows have them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from conformance.learning.calls import Call, Json, is_masked, is_secret_name, leaves
from conformance.learning.evidence import Confidence
from conformance.learning.words import CREATES, is_identifier_name, kind_of_member, names_kind, verb_of

__all__ = ["Flow", "Kind", "Reference", "is_identifier", "member_of"]

#: A longer text is not an identifier.
_MAX_IDENTIFIER_CHARACTERS = 128
#: The share of new values among those at a place that makes identifiers. A target that is reset makes some again.
_NEW_SHARE = 0.8
#: The share of a place's values that were in earlier answers, for texts and for whole numbers, which meet by chance.
_TEXT_SHARE, _NUMBER_SHARE = 0.7, 0.5
#: Different numbers that make a reference of a place whose name names no kind.
_DIFFERENT_NUMBERS = 5
#: Calls that make objects, for their answers to say which member is the identifier.
_MIN_MADE = 2


def is_identifier(value: Json) -> bool:
    """Return whether a value may be an identifier."""
    if type(value) is int:
        return value >= 0
    return (
        isinstance(value, str)
        and 0 < len(value) <= _MAX_IDENTIFIER_CHARACTERS
        and len(value.split()) == 1
        and not is_masked(value)
    )


def member_of(pointer: str) -> str:
    """Return the name of the member that a pointer leads to, past the items of an array."""
    while pointer.endswith("/*"):
        pointer = pointer[:-2]
    return pointer.rpartition("/")[2]


#: Names of identifiers that say nothing about the kind of object.
_GENERIC = frozenset({"id", "ids", "uuid", "guid", "key", "slug"})
#: Names of members that hold the object or the rows that an answer is about.
_HOLDERS = frozenset(
    {
        "",
        "data",
        "entries",
        "item",
        "items",
        "list",
        "object",
        "objects",
        "records",
        "result",
        "results",
        "rows",
    }
)


def owned_member(function: str, pointer: str) -> str:
    """Return the name of the member at a pointer; where it is generic, with the name of what it identifies.

    That is the endpoint at the top of an answer and in its rows, and the name of the member around it elsewhere.
    """
    member = member_of(pointer)
    if member.lower() not in _GENERIC:
        return member
    entity = function.partition(".")[0]
    around = member_of(pointer.rpartition("/")[0])
    own = around.lower() in _HOLDERS or around.lower().startswith(entity.lower())
    return f"{entity if own else around.removesuffix('s')}.{member}"


@dataclass
class Kind:
    """A kind of object: the member that holds its identifier, and when each identifier was first in an answer."""

    name: str
    member: str
    entity: str
    #: The function that makes objects of it, and the pointer to the identifier in its result.
    made_by: str | None = None
    made_at: str = ""
    because: str = ""
    seen: dict[Json, int] = field(default_factory=dict)
    uses_numbers: bool = False

    @property
    def owned(self) -> str:
        """The name of the member as `owned_member` has it."""
        return f"{self.entity}.{self.member}" if self.member.lower() in _GENERIC else self.member


@dataclass(frozen=True)
class Reference:
    """A place that takes the identifier of an object."""

    kind: str
    confidence: Confidence
    because: str


@dataclass
class _Place:
    """The values at one place of a function's arguments or results, each with the index of its call."""

    values: list[tuple[int, Json]] = field(default_factory=list)
    calls: set[int] = field(default_factory=set)


class Flow:
    """Follows identifiers through calls, which are given in the order of their time."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self._answers: dict[str, dict[str, _Place]] = defaultdict(lambda: defaultdict(_Place))
        self._arguments: dict[str, dict[str, _Place]] = defaultdict(lambda: defaultdict(_Place))
        self._successes: dict[str, list[int]] = defaultdict(list)
        #: By name of the member (`owned_member`): when each value was first in an answer.
        self._first_by_member: dict[str, dict[Json, int]] = defaultdict(dict)
        self._carried: dict[Json, list[tuple[int, str, str]]] = defaultdict(list)
        for index, call in enumerate(calls):
            if call.succeeded:
                self._read(index, call)
        self.kinds: dict[str, Kind] = {}
        self._find_kinds()
        self._fill_pools()
        self.references = self._references()

    def _read(self, index: int, call: Call) -> None:
        self._successes[call.function].append(index)
        for pointer, value in leaves(call.arguments):
            if is_identifier(value):
                place = self._arguments[call.function][pointer]
                place.values.append((index, value))
                place.calls.add(index)
                self._carried[value].append((index, call.function, pointer))
        if call.has_result:
            for pointer, value in leaves(call.result):
                if is_identifier(value):
                    place = self._answers[call.function][pointer]
                    place.values.append((index, value))
                    place.calls.add(index)
                    self._first_by_member[owned_member(call.function, pointer)].setdefault(value, index)

    # --- kinds

    def _find_kinds(self) -> None:
        found: list[tuple[Kind, int]] = []
        for function, places in self._answers.items():
            best: tuple[tuple[int, ...], Kind] | None = None
            for pointer, place in places.items():
                if "*" in pointer or is_secret_name(member_of(pointer)):
                    continue
                made = self._made(function, pointer, place)
                if made is not None and (best is None or made[0] > best[0]):
                    best = made
            if best is not None:
                found.append((best[1], best[0][0]))
        # Where two functions seem to make one kind, the one whose objects are used more is taken first.
        for kind, _used in sorted(found, key=lambda each: -each[1]):
            self.kinds.setdefault(kind.name, kind)
        for function, places in self._answers.items():
            for pointer in list(places):
                if "/*" in pointer:
                    self._kind_of_rows(function, pointer)

    def _made(self, function: str, pointer: str, place: _Place) -> tuple[tuple[int, ...], Kind] | None:
        """Return the kind whose identifiers a place of an answer makes, with its rank; None if it makes none."""
        total = len(self._successes[function])
        if total < _MIN_MADE or len(place.calls) < total * _NEW_SHARE:
            return None
        member = member_of(pointer)
        owned = owned_member(function, pointer)
        by_name = is_identifier_name(member)
        new = carried = 0
        example: tuple[Json, str] | None = None
        for index, value in place.values:
            own = any(value == given for _, given in leaves(self.calls[index].arguments))
            if own or self._first_by_member[owned].get(value) != index:
                continue
            new += 1
            uses = [
                use
                for use in self._carried.get(value, ())
                if use[0] > index and (isinstance(value, str) or is_identifier_name(member_of(use[2])))
            ]
            if uses:
                carried += 1
                example = example or (value, f"{self.calls[uses[0][0]].label or uses[0][1]}")
        if new < max(_MIN_MADE, _NEW_SHARE * len(place.values)):
            return None
        entity = function.partition(".")[0]
        in_rows = sum(value in self._row_values(owned) for _, value in place.values)
        if not carried and not (by_name and (in_rows or verb_of(function) in CREATES)):
            return None
        if not by_name and carried < _MIN_MADE:
            return None
        because = f"a new value of {pointer} in {new} of {len(place.values)} answers"
        if example is not None:
            shown = example[0] if isinstance(example[0], int) else f"{str(example[0])[:12]}…"
            because += f"; {carried} of them carried by later calls ({shown} in {example[1]})"
        kind = Kind(
            kind_of_member(member, entity), member, entity, function, pointer, because,
            uses_numbers=isinstance(place.values[0][1], int),
        )  # fmt: skip
        return (carried, by_name, in_rows, -pointer.count("/")), kind

    def _row_values(self, owned: str) -> frozenset[Json]:
        if not hasattr(self, "_rows"):
            self._rows: dict[str, frozenset[Json]] = {}
            gathered: dict[str, set[Json]] = defaultdict(set)
            for function, places in self._answers.items():
                for pointer, place in places.items():
                    if "*" in pointer:
                        gathered[owned_member(function, pointer)].update(value for _, value in place.values)
            self._rows = {name: frozenset(values) for name, values in gathered.items()}
        return self._rows.get(owned, frozenset())

    def _kind_of_rows(self, function: str, pointer: str) -> None:
        """Take a kind from the rows of a list where no function makes objects of it."""
        member = member_of(pointer)
        entity = function.partition(".")[0]
        name = kind_of_member(member, entity)
        names_rows = is_identifier_name(member) and name.lower() == entity.lower()
        if pointer.count("*") != 1 or not names_rows or name in self.kinds:
            return
        if any(kind.owned == owned_member(function, pointer) for kind in self.kinds.values()):
            return
        if self.is_distinct(function, pointer):
            values = self._answers[function][pointer].values
            self.kinds[name] = Kind(
                name, member, entity, because=f"the rows of {function} have it at {pointer}",
                uses_numbers=isinstance(values[0][1], int),
            )  # fmt: skip

    def is_distinct(self, function: str, pointer: str) -> bool:
        """Return whether the values at a place of rows differ in every answer, and some answer has several rows."""
        several = False
        by_call: dict[int, list[Json]] = defaultdict(list)
        for index, value in self._answers[function][pointer].values:
            by_call[index].append(value)
        for values in by_call.values():
            if len(set(values)) != len(values):
                return False
            several |= len(values) > 1
        return several

    def _fill_pools(self) -> None:
        for kind in self.kinds.values():
            for function, places in self._answers.items():
                for pointer, place in places.items():
                    if owned_member(function, pointer) == kind.owned:
                        for index, value in place.values:
                            kind.seen[value] = min(index, kind.seen.get(value, index))

    # --- references

    def _references(self) -> dict[str, dict[str, Reference]]:
        found: dict[str, dict[str, Reference]] = {}
        for function, places in self._arguments.items():
            for pointer, place in places.items():
                if is_secret_name(member_of(pointer)):
                    continue
                reference = self._reference(function, pointer, place)
                if reference is not None:
                    found.setdefault(function, {})[pointer] = reference
        return found

    def _reference(self, function: str, pointer: str, place: _Place) -> Reference | None:
        different = dict.fromkeys(value for _, value in place.values)
        best: tuple[tuple[float, ...], Reference] | None = None
        for kind in self.kinds.values():
            named = self._is_named(function, pointer, kind)
            earlier = {value for index, value in place.values if kind.seen.get(value, index) < index}
            share = len(earlier) / len(different)
            numbers = all(isinstance(value, int) for value in different)
            if numbers != kind.uses_numbers and kind.seen:
                continue
            if numbers:
                enough = named and share >= _NUMBER_SHARE
                enough |= (
                    is_identifier_name(member_of(pointer))
                    and len(earlier) >= _DIFFERENT_NUMBERS
                    and share >= 0.95
                )
            else:
                enough = share >= _TEXT_SHARE and (named or len(earlier) >= _MIN_MADE)
            exact = named and member_of(pointer) in (kind.member, f"{kind.member}s")
            if not enough and not exact:
                continue
            because = f"{len(earlier)} of {len(different)} values were in earlier answers as {kind.member}"
            sure = enough and named
            confidence = Confidence.HIGH if sure else Confidence.MEDIUM if enough else Confidence.LOW
            rank = (float(enough), float(exact), float(named), share)
            if best is None or rank > best[0]:
                best = rank, Reference(kind.name, confidence, because)
        return None if best is None else best[1]

    def _is_named(self, function: str, pointer: str, kind: Kind) -> bool:
        member = member_of(pointer)
        if member.lower() in _GENERIC:
            return owned_member(function, pointer).partition(".")[0].lower() in (
                kind.entity.lower(),
                kind.name.lower(),
            )
        if member.lower() in (kind.name.lower(), f"{kind.name.lower()}s"):
            return True
        return is_identifier_name(member) and names_kind(member, kind.name)

    # --- what functions do with identifiers

    def answer_places(self, function: str) -> Iterator[tuple[str, list[tuple[int, Json]]]]:
        """Yield (JSON pointer, values with the index of their call) for each place of a function's answers."""
        for pointer, place in self._answers.get(function, {}).items():
            yield pointer, place.values

    def argument_values(self, function: str, pointer: str) -> list[tuple[int, Json]]:
        """Return the values at a place of a function's arguments, each with the index of its call."""
        places = self._arguments.get(function, {})
        return places[pointer].values if pointer in places else []

    def successes(self, function: str) -> list[int]:
        """Return the indices of the calls of a function that succeeded."""
        return self._successes.get(function, [])

    def is_public(self, function: str) -> bool:
        """Return whether a function was called with success without a token."""
        return any(self.calls[index].session is None for index in self.successes(function))

    def listed(self, function: str, pointer: str, kind: Kind) -> tuple[int, int]:
        """Return how many answers of a list have the object that its caller made last, and how many have it not.

        Only answers to calls without filters and pages count, before the next call of the same session that names the
        object.
        """
        made: dict[str | None, Json] = {}
        rows: dict[int, set[Json]] = defaultdict(set)
        for index, value in self._answers[function][pointer].values:
            rows[index].add(value)
        by_call = dict(self._answers[kind.made_by][kind.made_at].values) if kind.made_by else {}
        listed = missing = 0
        for index, call in enumerate(self.calls):
            latest = made.get(call.session)
            if not call.succeeded:
                continue
            if call.function == kind.made_by:
                made[call.session] = by_call.get(index)
            elif call.function != function:
                if any(value == latest for _, value in leaves(call.arguments)):
                    made.pop(call.session, None)
            elif (
                latest is not None and not call.arguments and call.page_length is None and not call.page_start
            ):
                listed += latest in rows[index]
                missing += latest not in rows[index]
        return listed, missing

    def repeats(self, function: str, pointer: str, parameter: str) -> tuple[int, int]:
        """Return in how many answers a place repeats a parameter, and how many answers to calls with it there are."""
        given = dict(self.argument_values(function, f"/{parameter}"))
        answered = dict(self._answers[function][pointer].values) if function in self._answers else {}
        same = sum(answered.get(index) == value for index, value in given.items())
        return same, len(given)
