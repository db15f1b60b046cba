"""How well a learnt catalogue agrees with the true one: what it has of it, and what it says that is not so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields

from conformance.catalog.methods import Method, refs
from conformance.catalog.model import Catalog
from conformance.generation import payloads
from conformance.schema.bundle import Json, json_type, places

__all__ = ["Score", "Share", "scored"]

#: Payloads that the true catalogue allows, which the learnt one has to allow, too.
_DRAWN = 40


@dataclass
class Share:
    """How many of some guesses are right; `named` are the others."""

    right: int = 0
    total: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, is_right: bool, name: str) -> None:
        """Count one."""
        self.right += is_right
        self.total += 1
        if not is_right:
            self.named.append(name)

    def __iadd__(self, other: Share) -> Share:
        self.right, self.total = self.right + other.right, self.total + other.total
        self.named += other.named
        return self

    def __str__(self) -> str:
        return f"{self.right}/{self.total}" + (f" ({self.right / self.total:.1%})" if self.total else "")


@dataclass
class Score:
    """The agreement of a learnt catalogue with the true one, over the functions that the learnt one has."""

    functions: Share = field(default_factory=Share)
    parameters: Share = field(default_factory=Share)
    no_other_parameters: Share = field(default_factory=Share)
    #: How many of the truly required parameters are learnt as required, and how many learnt as required truly are.
    required: Share = field(default_factory=Share)
    required_is_true: Share = field(default_factory=Share)
    #: The types of the parameters' places, apart from null and from fractions, which few calls exclude.
    types: Share = field(default_factory=Share)
    nothing_more_allowed: Share = field(default_factory=Share)
    objects_precision: Share = field(default_factory=Share)
    objects_recall: Share = field(default_factory=Share)
    refs_precision: Share = field(default_factory=Share)
    refs_recall: Share = field(default_factory=Share)
    auth: Share = field(default_factory=Share)
    effect: Share = field(default_factory=Share)
    rows: Share = field(default_factory=Share)
    #: Payloads that are valid in truth, and that the learnt schemas allow.
    no_false_constraint: Share = field(default_factory=Share)

    def __iadd__(self, other: Score) -> Score:
        for each in fields(self):
            share = getattr(self, each.name)
            share += getattr(other, each.name)
        return self


def scored(true: Catalog, learnt: Catalog, sent: Mapping[str, Collection[str]], seed: int = 1) -> Score:
    """Return the score of a learnt catalogue; `sent` has the parameters that each function was called with."""
    score = Score()
    for method in true:
        if method.name in sent:
            score.functions.add(method.name in learnt, method.name)
        if method.name in learnt:
            _of_methods(method, learnt[method.name], score, sent.get(method.name, ()), seed)
    for method in learnt:
        if method.name not in true:
            score.functions.add(False, f"{method.name} (does not exist)")
    return score


def _of_methods(true: Method, learnt: Method, score: Score, sent: Collection[str], seed: int) -> None:
    name = true.name
    for param in true.params:
        own = learnt.param(param.name)
        if own is not None or param.name in sent:
            score.parameters.add(own is not None, f"{name} {param.name}")
        if own is None:
            continue
        if param.required:
            score.required.add(own.required, f"{name} {param.name}")
        if own.required:
            score.required_is_true.add(param.required, f"{name} {param.name}")
        _of_types(f"{name} {param.name}", param.schema, own.schema, score)
    for param in learnt.params:
        known = true.param(param.name) is not None
        score.no_other_parameters.add(known, f"{name} {param.name}")
    if learnt.object is not None:
        score.objects_precision.add(_same_role(true, learnt), f"{name}: {learnt.object}, not {true.object}")
    if true.object is not None:
        score.objects_recall.add(_same_role(true, learnt), f"{name}: {true.object}, not {learnt.object}")
    _of_refs(true, learnt, score)
    score.auth.add(true.auth == learnt.auth, f"{name}: {learnt.auth}, not {true.auth}")
    score.effect.add(true.effect == learnt.effect, f"{name}: {learnt.effect}, not {true.effect}")
    if true.rows is not None or learnt.rows is not None:
        score.rows.add(true.rows == learnt.rows, f"{name}: {learnt.rows}, not {true.rows}")
    try:
        drawn = payloads.draw(payloads.valid(true), seed, _DRAWN)
    except payloads.CannotGenerate:
        return
    for data in drawn:
        errors = learnt.data.errors(data)
        score.no_false_constraint.add(not errors, f"{name}: {errors[:1]}")


def _same_role(true: Method, learnt: Method) -> bool:
    """Return whether two functions do the same; kinds may be called otherwise, and lists have no `at`."""
    one, other = true.object, learnt.object
    if one is None or other is None:
        return False
    same = (one.does, one.id, one.kind) == (other.does, other.id, other.kind)
    return same and (one.does in ("list", "delete") or one.at == other.at)


def _of_refs(true: Method, learnt: Method, score: Score) -> None:
    """Count the references at places that calls had; nobody can learn those that none had."""
    in_truth, found = set(refs(true.data_schema)), set(refs(learnt.data_schema))
    had = {pointer for pointer, _ in places(learnt.data_schema)}
    for each in found:
        score.refs_precision.add(each in in_truth, f"{true.name}{each[0]} {each[1]}")
    for each in in_truth:
        if each[0] in had:
            score.refs_recall.add(each in found, f"{true.name}{each[0]} {each[1]}")


def _types(schema: Json) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for pointer, node in places(schema):
        declared = node.get("type")
        kinds = [declared] if isinstance(declared, str) else declared
        if kinds is None and "enum" in node:
            kinds = [json_type(value) for value in node["enum"]]
        if kinds:
            names = {"number" if kind == "integer" else kind for kind in kinds}
            found[pointer] = frozenset(names - {"null"})
    return found


def _of_types(name: str, true: Json, learnt: Json, score: Score) -> None:
    in_truth, found = _types(true), _types(learnt)
    for pointer, kinds in found.items():
        if in_truth.get(pointer):
            score.types.add(bool(kinds) and kinds <= in_truth[pointer], f"{name}{pointer}: {sorted(kinds)}")
            score.nothing_more_allowed.add(
                _raw(learnt, pointer) == _raw(true, pointer), f"{name}{pointer}: {_raw(learnt, pointer)}"
            )


def _raw(schema: Json, pointer: str) -> frozenset[str]:
    for place, node in places(schema):
        if place == pointer and "type" in node:
            return frozenset([node["type"]] if isinstance(node["type"], str) else node["type"])
    return frozenset()


def lines(score: Score, shown: int) -> Iterator[str]:
    """Yield a line for each figure, followed by some examples of its errors."""
    for each in fields(score):
        share: Share = getattr(score, each.name)
        yield f"  {each.name.replace('_', ' '):24} {share}"
        yield from (f"      {name}" for name in list(dict.fromkeys(share.named))[:shown])
