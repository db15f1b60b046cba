"""Drift: where recorded calls contradict a catalogue, and the update of a catalogue with what was learnt since.

What a person wrote wins. A digest of every learnt value stands under `x-learned`, so a value that no longer has its
digest was written by a person.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from conformance.catalog.importing.merging import digest
from conformance.catalog.model import Catalog, Method
from conformance.learning.calls import Call, Json, is_masked, leaves
from conformance.learning.catalogue import EVIDENCE, QUESTIONS
from conformance.learning.evidence import Confidence, counted
from conformance.schema.validation import Schema

__all__ = ["Merged", "contradictions", "merge", "recorded"]

RECORD = "x-learned"
_MEMBERS = ("x-auth", "x-effect", "x-object", "x-rows", "x-beyond-schema", "x-suggested", "result")
_COMPARED = ("x-auth", "x-effect", "x-object", "x-rows")
_MAX_SHOWN_CHARACTERS = 90
#: Calls that contradict a catalogue, or the share of a function's calls.
_MIN_CALLS, _CALLS_SHARE = 2, 0.05


# --- what contradicts a catalogue -----------------------------------------------------------------------------


def contradictions(catalog: Catalog, calls: Sequence[Call], learned: Mapping[str, Json]) -> list[str]:
    """Return one line for each way in which calls contradict a catalogue; functions that were not called do not."""
    found: list[str] = []
    by_function: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.succeeded:
            by_function[call.function].append(call)
    for entry in learned["methods"]:
        name = entry["name"]
        if name not in catalog:
            found.append(f"{name}: is not in the catalogue ({entry[EVIDENCE]['calls']})")
            continue
        method = catalog[name]
        found += _of_parameters(method, entry)
        found += _of_calls(method, by_function[name])
        found += _of_extensions(method, catalog, entry)
    return found


def _of_parameters(method: Method, entry: Mapping[str, Json]) -> Iterator[str]:
    for param in entry["params"]:
        own = method.param(param["name"])
        because = entry[EVIDENCE].get(param["name"], {}).get("because", "")
        if own is None:
            yield f"{method.name} {param['name']}: is no parameter in the catalogue ({because})"
        elif param["required"] and not own.required and "refused without it" in because:
            yield f"{method.name} {param['name']}: is not required in the catalogue ({because})"


def _of_calls(method: Method, calls: Sequence[Call]) -> Iterator[str]:
    """Yield what the accepted arguments and the results of a function break in its schemas, each difference once."""
    wrong: Counter[str] = Counter()
    for call in calls:
        if not any(is_masked(value) for _, value in leaves(call.arguments)):
            wrong.update({f"was accepted though {line}" for line in _errors(method.data, call.arguments)})
        if call.has_result and not any(is_masked(value) for _, value in leaves(call.result)):
            wrong.update({f"returned data though {line}" for line in _errors(method.result, call.result)})
    for line, number in wrong.items():
        # A target may be lax in a corner that one call among many hits. That is a finding of a check, not drift.
        if number >= _MIN_CALLS or number >= _CALLS_SHARE * len(calls):
            yield f"{method.name}: {line} ({counted(number, len(calls))})"


def _errors(schema: Schema, value: Json) -> Iterator[str]:
    for pointer, keyword, message in schema.errors(value)[:3]:
        place = "/".join("*" if part.isdigit() else part for part in pointer.split("/")) or "it"
        yield (
            f"{place} breaks {keyword}: {_short(message)}"
            if keyword == "required"
            else f"{place} breaks {keyword}"
        )


def _of_extensions(method: Method, catalog: Catalog, entry: Mapping[str, Json]) -> Iterator[str]:
    raw: dict[str, Json] = next(
        (each for each in catalog.raw["methods"] if each.get("name") == method.name), {}
    )
    usual = {"x-auth": "session", "x-effect": "write"}
    for member in _COMPARED:
        guess = entry[EVIDENCE].get(member)
        if guess is None or guess["confidence"] != Confidence.HIGH.value:
            continue
        own = raw.get(member, usual.get(member))
        if isinstance(own, dict):
            own = {key: value for key, value in own.items() if key != "at" or value}
        if own is not None and own != entry[member]:
            yield f"{method.name}: {member} is {_short(own)}, calls show {_short(entry[member])} ({guess['because']})"


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else text[: _MAX_SHOWN_CHARACTERS - 1] + "…"


# --- the update -----------------------------------------------------------------------------------------------


@dataclass
class Merged:
    """A catalogue with what was learnt since; `added` and `changed` say what came, one line each."""

    document: dict[str, Json]
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    #: Where a person wrote something else, which stays.
    preserved: list[str] = field(default_factory=list)


def _values(entry: Mapping[str, Json]) -> dict[str, Json]:
    """Return the learnt values of a method by the names under which their digests are recorded."""
    found = {member: entry[member] for member in _MEMBERS if member in entry}
    for param in entry.get("params", ()):
        if isinstance(param, dict) and "name" in param:
            own = {key: value for key, value in param.items() if key in ("required", "schema")}
            found[f"params/{param['name']}"] = own
    return found


def recorded(document: Mapping[str, Json], sources: Sequence[str] = ()) -> dict[str, Json]:
    """Return a learnt catalogue with the digests of its values."""
    digests = {
        entry["name"]: {name: digest(value) for name, value in _values(entry).items()}
        for entry in document["methods"]
    }
    asked = {entry["name"]: list(entry[QUESTIONS]) for entry in document["methods"] if entry.get(QUESTIONS)}
    return {**document, RECORD: {"from": list(sources), "digests": digests, "asked": asked}}


def merge(mine: Mapping[str, Json], learned: Mapping[str, Json], sources: Sequence[str]) -> Merged:
    """Return a catalogue updated with a learnt one; values that a person wrote stay."""
    written = mine.get(RECORD)
    record: dict[str, Json] = written if isinstance(written, dict) else {}
    digests, asked = dict(record.get("digests", {})), dict(record.get("asked", {}))
    new = {entry["name"]: entry for entry in learned["methods"]}
    ours = {entry.get("name") for entry in mine.get("methods", ())}
    out = Merged({**deepcopy(dict(mine))})
    methods: list[Json] = []
    for entry in out.document["methods"]:
        name = entry.get("name")
        if name in new:
            digests[name], asked[name] = _update(
                entry, new[name], digests.get(name, {}), asked.get(name, []), out
            )
        methods.append(entry)
    for name, entry in new.items():
        if name not in ours and name in digests:
            out.preserved.append(f"{name}: was struck out of the catalogue by hand: it stays out")
        elif name not in ours:
            out.added.append(name)
            methods.append(deepcopy(entry))
            digests[name] = {key: digest(value) for key, value in _values(entry).items()}
            asked[name] = list(entry.get(QUESTIONS, []))
    out.document["methods"] = methods
    seen = list(dict.fromkeys([*record.get("from", []), *sources]))
    out.document[RECORD] = {"from": seen, "digests": digests, "asked": asked}
    return out


def _update(
    entry: dict[str, Json],
    new: Mapping[str, Json],
    digests: Mapping[str, str],
    asked: Sequence[str],
    out: Merged,
) -> tuple[dict[str, str], list[str]]:
    """Update the method of a function; return the digests of its learnt values, and what was ever asked about it."""
    name = entry["name"]
    old, fresh = _values(entry), _values(new)
    answered: set[str] = set()
    known = dict(digests)
    for key, value in fresh.items():
        subject = key.removeprefix("params/")
        if key in old and digests.get(key) != digest(old[key]):
            answered.add(subject)
            if old[key] != value:
                out.preserved.append(f"{name} {subject}: was written by hand, so it stays")
        elif key not in old and key in digests:
            out.preserved.append(f"{name} {subject}: was struck out by hand: it stays out")
            answered.add(subject)
        else:
            if key not in old:
                out.added.append(f"{name} {subject}")
            elif old[key] != value:
                out.changed.append(f"{name} {subject}")
            _put(entry, key, value, new)
            known[key] = digest(value)
    entry["params"] = sorted(entry.get("params", []), key=lambda param: not param.get("required"))
    entry[EVIDENCE] = new[EVIDENCE]
    open_ = [question for question in entry.get(QUESTIONS, []) if question not in answered]
    open_ += [
        question
        for question in new.get(QUESTIONS, [])
        if question not in open_ and question not in answered and question not in asked
    ]
    # A question that is no longer asked has been answered by the calls.
    certain = {
        key
        for key, guess in new[EVIDENCE].items()
        if isinstance(guess, dict) and guess["confidence"] == "high"
    }
    open_ = [question for question in open_ if question not in certain]
    entry.pop(QUESTIONS, None)
    if open_:
        entry[QUESTIONS] = open_
    return known, list(dict.fromkeys([*asked, *new.get(QUESTIONS, [])]))


def _put(entry: dict[str, Json], key: str, value: Json, new: Mapping[str, Json]) -> None:
    """Write a learnt value into a method."""
    if not key.startswith("params/"):
        entry[key] = deepcopy(value)
        return
    name = key.removeprefix("params/")
    param = next(each for each in new["params"] if each["name"] == name)
    params = entry.setdefault("params", [])
    for at, own in enumerate(params):
        if own.get("name") == name:
            params[at] = {**own, **deepcopy(param)}
            return
    params.append(deepcopy(param))
