"""Repair of imported functions: what a catalogue cannot have is left out, each with a note."""

from __future__ import annotations

from dataclasses import replace

from conformance.catalog.importing.entries import Function
from conformance.catalog.validator import CatalogError, Validator

__all__ = ["repaired"]

_MAX_REPAIRS = 20


def repaired(function: Function, notes: list[str]) -> Function | None:
    """Return a function without the members that its document states wrongly; None if nothing valid is left."""
    for _ in range(_MAX_REPAIRS):
        entry = function.entry()
        try:
            Validator({"methods": [entry]}, "").method(entry, "")
        except CatalogError as error:
            place, why = error.pointer.partition(" ")[0].split("/")[1:], error.why
        except RecursionError:
            place, why = [], "it is nested too deep"
        else:
            return function
        if place and place[0] in function.stated:
            stated = {key: value for key, value in function.stated.items() if key != place[0]}
            function = replace(function, stated=stated)
            notes.append(f"{function.name}: {place[0]} is left out: {why}")
        elif place[:1] == ["params"] and len(place) > 1:
            name = entry["params"][int(place[1])]["name"]
            notes.append(f"{function.name} {name}: any value stands in for its schema: {why}")
            schema = {"$comment": "the schema of the document cannot be used"}
            params = [
                replace(param, schema=schema) if _top(param.name) == name else param
                for param in function.params
            ]
            if params == list(function.params):
                break
            function = replace(function, params=tuple(params))
        else:
            notes.append(f"{function.name}: is left out: {why}")
            return None
    notes.append(f"{function.name}: is left out, since its schemas cannot be used")
    return None


def _top(name: str) -> str:
    """Return the parameter to which a name such as `flag.name` belongs."""
    return name.partition(".")[0].partition("[")[0]
