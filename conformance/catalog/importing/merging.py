"""The catalogue of an imported document, and its update when the document has changed.

What was imported is stored under `x-imported`: the functions of documentation pages, digests of the values of others.
An update is therefore a three-way merge of the document as it was, the document as it is, and the changes that people
have made in the catalogue.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from conformance.catalog.documentation_page import PageFunction, PageParam
from conformance.catalog.importing.entries import EVIDENCE, QUESTIONS, Importable
from conformance.catalog.model import Catalog
from conformance.schema.bundle import Json

__all__ = ["RECORD", "Changes", "build", "differences", "digest", "merge", "questions"]

RECORD = "x-imported"
_PARTS = ("required", "schema", "description")
#: Members of an entry that are no values of their own.
_NO_VALUES = frozenset({"name", "params", "tags", "paramStructure", EVIDENCE})


def digest(value: Json) -> str:
    """Return a short digest of a JSON value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@dataclass
class Changes:
    """The result of an update: one line for each function or parameter that was added, removed or changed.

    `source` is the word for what was imported: "page" or "document".
    """

    source: str = "page"
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    #: Changes of the document that were not applied, because a person has changed the same value.
    conflicts: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.conflicts)


@dataclass
class _Before:
    """A function as it was at the last import: digests by path, and the values themselves where they are known."""

    digests: dict[str, str]
    values: dict[str, Json] | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Json]) -> _Before:
        values = _values(entry)
        return cls({path: digest(value) for path, value in values.items()}, values)

    @property
    def params(self) -> set[str]:
        return {
            path.split("/", 1)[1].rpartition("/")[0] for path in self.digests if path.startswith("params/")
        }


def _values(entry: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values of an entry by path, as "x-auth" and "params/query/schema"."""
    found = {key: value for key, value in entry.items() if key not in _NO_VALUES}
    for param in entry.get("params", ()):
        if isinstance(param, dict) and "name" in param:
            found |= {f"params/{param['name']}/{part}": param[part] for part in _PARTS if part in param}
    return found


@dataclass
class _Record:
    """What `x-imported` has.

    It consists of the functions at the last import, the edited entries of functions that the document no longer has,
    and the names of the functions whose values were guessed.
    """

    before: dict[str, _Before] = field(default_factory=dict)
    gone: dict[str, Json] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)


def _record_of(document: Mapping[str, Json]) -> _Record:
    record = document.get(RECORD)
    if not isinstance(record, dict):
        return _Record()
    gone, guessed = record.get("gone"), record.get("guessed")
    out = _Record({}, gone if isinstance(gone, dict) else {}, guessed if isinstance(guessed, list) else [])
    ours = {method.get("name"): method for method in document.get("methods", []) if isinstance(method, dict)}
    try:
        for name, (description, params) in record.get("functions", {}).items():
            function = PageFunction(name, description, tuple(PageParam(*param) for param in params))
            entry = function.entry(guess=name in out.guessed, flat=_is_flat(ours.get(name)))
            out.before[name] = _Before.of(entry)
        for name, digests in record.get("digests", {}).items():
            out.before[name] = _Before({str(path): str(value) for path, value in digests.items()})
    except (TypeError, ValueError, AttributeError):
        return _Record()
    return out


def _is_flat(mine: Mapping[str, Json] | None) -> bool:
    """Return whether a catalogue has parameters such as `flag.name`, as those of earlier releases had."""
    names = [str(param.get("name")) for param in (mine or {}).get("params", ()) if isinstance(param, dict)]
    return any("." in name or "[" in name for name in names)


def build(
    title: str, functions: Mapping[str, Importable], sources: Sequence[str], *, guess: bool = False
) -> dict[str, Json]:
    """Return the catalogue of a document that was not imported before."""
    return {
        "openrpc": "1.3.2",
        "info": {"title": title, "version": "1"},
        "methods": [deepcopy(function.entry(guess=guess)) for function in functions.values()],
        RECORD: _imported(functions, sources, {}, functions if guess else ()),
    }


def _imported(
    functions: Mapping[str, Importable],
    sources: Sequence[str],
    gone: Mapping[str, Json],
    guessed: Iterable[str],
) -> dict[str, Json]:
    guessed = [name for name in guessed if name in functions]
    whole = {name: function.to_json() for name, function in functions.items()}
    record: dict[str, Json] = {
        "from": list(sources),
        "functions": {name: value for name, value in whole.items() if value is not None},
    }
    digests = {
        name: _Before.of(functions[name].entry(guess=name in guessed)).digests
        for name, value in whole.items()
        if value is None
    }
    if digests:
        record["digests"] = digests
        if not record["functions"]:
            del record["functions"]
    if gone:
        record["gone"] = dict(gone)
    # The guessed values of these functions do not answer their questions.
    if guessed:
        record["guessed"] = guessed
    return record


def questions(document: Mapping[str, Json]) -> dict[str, list[str]]:
    """Return the unanswered questions, each with the functions for which it is open."""
    found: dict[str, list[str]] = {}
    for method in document.get("methods", []):
        for question in method.get(QUESTIONS, []) if isinstance(method, dict) else []:
            if question != "result" or "result" not in method:
                found.setdefault(str(question), []).append(method["name"])
    return found


def merge(
    document: Mapping[str, Json],
    functions: Mapping[str, Importable],
    sources: Sequence[str],
    *,
    guess: bool = False,
    source: str = "page",
) -> tuple[dict[str, Json], Changes]:
    """Return a catalogue updated to a document as it is now, and the changes.

    The changes of people take precedence; where the document has changed the same value, a conflict is reported. A
    function that the document no longer has is removed from the catalogue. If a person has edited it, its entry is
    stored under `x-imported` and restored when the document has the function again.
    """
    record = _record_of(document)
    before, gone, guessed = record.before, dict(record.gone), list(record.guessed)
    ours = {method["name"]: method for method in document.get("methods", [])}
    changes = Changes(source)
    merged: dict[str, Json] = {}

    def now(name: str, mine: Mapping[str, Json] | None = None) -> dict[str, Json]:
        return functions[name].entry(guess=name in guessed, flat=_is_flat(mine))

    for name, mine in ours.items():
        if name in functions and name in before:
            merged[name] = _merged(mine, before[name], now(name, mine), changes)
        elif name in functions:
            merged[name] = mine
            _compare(mine, now(name, mine), changes)
        elif name in before:
            changes.removed.append(name)
            if _Before.of(mine).digests != before[name].digests:
                gone[name] = mine
        else:
            merged[name] = mine
    for name in functions:
        if name in ours:
            continue
        if name not in before:
            changes.added.append(name)
            if guess:
                guessed.append(name)
            back = gone.pop(name, None)
            fresh = deepcopy(now(name))
            merged[name] = (
                {**back, "params": _restored_params(back, fresh)} if isinstance(back, dict) else fresh
            )
        elif before[name].digests != _Before.of(now(name)).digests:
            changes.changed.append(f"{name} (struck out of the catalogue by hand: it stays out)")
    out = {**deepcopy(dict(document)), "methods": list(merged.values())}
    out[RECORD] = _imported(functions, sources, gone, guessed)
    return out, changes


def _restored_params(back: Mapping[str, Json], fresh: Mapping[str, Json]) -> list[Json]:
    """Return the parameters of a function that is in the document again, each with the earlier edits of people."""
    known = {param["name"]: param for param in back.get("params", [])}
    return [known.get(param["name"], param) for param in fresh["params"]]


def differences(catalog: Catalog, functions: Mapping[str, Importable], source: str = "page") -> list[str]:
    """Return one line for each difference between a catalogue and a document, whoever made it."""
    found = [f"{name}: only on the {source}" for name in functions if name not in catalog]
    found += [f"{method.name}: only in the catalogue" for method in catalog if method.name not in functions]
    raw = {method.get("name"): method for method in (catalog.raw or {}).get("methods", [])}
    for name, function in functions.items():
        if name not in catalog:
            continue
        method = catalog[name]
        entry = function.entry(flat=_is_flat(raw.get(name)))
        for param in entry["params"]:
            own = method.param(param["name"])
            if own is None:
                found.append(f"{name} {param['name']}: only on the {source}")
                continue
            sides = {True: "required", False: "not required"}
            if own.required != param["required"]:
                found.append(
                    f"{name} {own.name}: {sides[param['required']]} on the {source}, "
                    f"{sides[own.required]} in the catalogue"
                )
            types = [_type_of(param["schema"]), _type_of(own.schema)]
            if None not in types and types[0] != types[1] and types != ["number", "integer"]:
                found.append(f"{name} {own.name}: {types[0]} on the {source}, {types[1]} in the catalogue")
        described = {param["name"] for param in entry["params"]}
        found += [
            f"{name} {own.name}: only in the catalogue" for own in method.params if own.name not in described
        ]
    return found


def _type_of(schema: Json) -> str | None:
    name = schema.get("type") if isinstance(schema, dict) else None
    return name if isinstance(name, str) else None


def _compare(mine: Mapping[str, Json], becomes: Mapping[str, Json], changes: Changes) -> None:
    """Record how a function that a person has added to the catalogue differs from the document."""
    own = {param.get("name"): bool(param.get("required")) for param in mine.get("params", [])}
    new = {param["name"]: bool(param["required"]) for param in becomes["params"]}
    name = becomes["name"]
    for param in new.keys() - own.keys():
        changes.conflicts.append(
            f"{name}: the {changes.source} has a parameter {param}, the catalogue has none"
        )
    for param in own.keys() - new.keys():
        changes.conflicts.append(f"{name}: the {changes.source} has no parameter {param}")
    for param in own.keys() & new.keys():
        if own[param] != new[param]:
            state = "required" if new[param] else "not required"
            changes.conflicts.append(f"{name} {param}: {state} on the {changes.source}, not in the catalogue")


def _merged(
    mine: Mapping[str, Json], before: _Before, becomes: Mapping[str, Json], changes: Changes
) -> dict[str, Json]:
    """Merge a function of the catalogue with its earlier and its present form in the document."""
    name = becomes["name"]
    out = dict(mine)
    open_now = becomes.get(QUESTIONS, ())
    members = [
        key for key in {**before.digests, **becomes} if "/" not in key and key not in (*_NO_VALUES, QUESTIONS)
    ]
    for key in members:
        # A value that only stands in for an answer is no statement of the document.
        if key not in open_now:
            _merge_member(out, mine, before, becomes, key, key, name, changes)
    own = {param["name"]: param for param in mine.get("params", [])}
    params: list[Json] = []
    for param in becomes["params"]:
        key = param["name"]
        where = f"{name} {key}"
        if key not in before.params:
            changes.added.append(where)
            params.append(own.get(key, deepcopy(param)))
        elif key in own:
            merged = dict(own[key])
            for part in _PARTS:
                _merge_member(merged, own[key], before, param, part, f"params/{key}/{part}", where, changes)
            params.append(merged)
        elif any(
            before.digests.get(f"params/{key}/{part}") != (digest(param[part]) if part in param else None)
            for part in _PARTS
        ):
            changes.changed.append(f"{where} (struck out of the catalogue by hand: it stays out)")
    params += _left_params(name, own, before, {param["name"] for param in becomes["params"]}, changes)
    out["params"] = sorted(params, key=lambda param: not param.get("required"))
    if EVIDENCE in becomes:
        out[EVIDENCE] = deepcopy(becomes[EVIDENCE])
    _merge_questions(out, mine, before, becomes)
    return out


def _left_params(
    name: str, own: Mapping[str, Json], before: _Before, present: set[str], changes: Changes
) -> list[Json]:
    """Return the parameters that stay although the document has them no longer, or never had them."""
    found = []
    for key, param in own.items():
        if key in present:
            continue
        if key in before.params:
            changes.removed.append(f"{name} {key}")
            parts = {
                part: before.digests[f"params/{key}/{part}"]
                for part in _PARTS
                if f"params/{key}/{part}" in before.digests
            }
            if {part: digest(value) for part, value in param.items() if part != "name"} == parts:
                continue
            changes.conflicts.append(
                f"{name} {key} went from the {changes.source}, but was changed by hand: it stays"
            )
        found.append(param)
    return found


def _merge_questions(
    out: dict[str, Json], mine: Mapping[str, Json], before: _Before, becomes: Mapping[str, Json]
) -> None:
    """Leave out the questions that a person or the document has answered."""
    if becomes["params"] and not before.params and "x-beyond-schema" not in mine:
        if (value := becomes.get("x-beyond-schema")) is not None:
            out["x-beyond-schema"] = value
            if "x-beyond-schema" in becomes.get(QUESTIONS, ()):
                out[QUESTIONS] = [*out.get(QUESTIONS, []), "x-beyond-schema"]
        return
    open_ = out.get(QUESTIONS)
    if not isinstance(open_, list):
        return
    still = []
    for question in open_:
        own = digest(mine[question]) if question in mine else None
        is_answered = question in out and own != before.digests.get(question)
        is_stated = question in becomes and question not in becomes.get(QUESTIONS, ())
        if not (is_answered or is_stated or (question == "result" and "result" in mine)):
            still.append(question)
    out[QUESTIONS] = still
    if not still:
        del out[QUESTIONS]


def _merge_member(
    out: dict[str, Json],
    mine: Mapping[str, Json],
    before: _Before,
    becomes: Mapping[str, Json],
    key: str,
    path: str,
    where: str,
    changes: Changes,
) -> None:
    """Merge one member: take the new value of the document, unless a person has changed the old one."""
    old, new = before.digests.get(path), digest(becomes[key]) if key in becomes else None
    own = digest(mine[key]) if key in mine else None
    if old == new:
        return
    if own == old:
        if new is None:
            out.pop(key, None)
        else:
            out[key] = deepcopy(becomes[key])
    elif own != new:
        changes.conflicts.append(
            f"{where}: the {changes.source} has a new {key}, but it was changed by hand: it stays"
        )
    was = before.values.get(path) if before.values is not None else mine.get(key) if own == old else "…"
    changes.changed.append(f"{where}: {key} {_short(was)} → {_short(becomes.get(key))}")


def _short(value: Json) -> str:
    """Return the beginning of a value as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
