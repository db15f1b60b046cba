"""The functions of a target for the parts of a scenario, found by what they do with objects (`x-object`).

A scenario names no function. It says what its users do with objects: list them, read one, change it. The catalogue
says which functions of the target do that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conformance.catalog.model import Catalog, Method
from conformance.errors import UsageError
from conformance.protocol.profile import Profile

__all__ = ["PARTS", "Cast", "cast"]

#: Per scenario: the parts that the target must have functions for, and those that are optional.
PARTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "student": (("list", "read"), ("whoami",)),
    "teacher": (("create", "read", "update"), ("list", "delete")),
    "signin": (("login",), ("whoami",)),
}

_WORDS = {"list": "lists", "read": "reads", "create": "creates", "update": "changes", "delete": "deletes"}


@dataclass(frozen=True)
class Cast:
    """The functions of a scenario's parts, and the kind of their objects; None if they have none."""

    scenario: str
    kind: str | None
    functions: Mapping[str, str]

    def __getitem__(self, part: str) -> str:
        return self.functions[part]

    def __contains__(self, part: object) -> bool:
        return part in self.functions


def cast(scenario: str, profile: Profile, catalog: Catalog, *, writable: bool = True) -> Cast:
    """Return the functions of this target for the parts of a scenario.

    Of several suitable kinds of objects it is the one with the most parts; of several such, the first.

    Raises:
        UsageError: the profile or the catalogue lacks what the scenario needs; the line says what.

    """
    needed, welcome = PARTS[scenario]
    fixed = _fixed(scenario, profile, catalog, needed, welcome)
    about = [part for part in needed if part in _WORDS]
    if not about:
        return Cast(scenario, None, fixed)
    kinds = {kind: _doing(kind, profile, catalog, writable=writable) for kind in catalog.kinds}
    able = [kind for kind, found in kinds.items() if all(part in found for part in about)]
    if not able:
        raise UsageError(_lacking(scenario, about, kinds, catalog, writable=writable))
    parts = [part for part in (*needed, *welcome) if part in _WORDS]
    best = max(able, key=lambda kind: (sum(part in kinds[kind] for part in parts), len(kinds[kind])))
    return Cast(
        scenario, best, {**fixed, **{part: kinds[best][part] for part in parts if part in kinds[best]}}
    )


def _fixed(
    scenario: str, profile: Profile, catalog: Catalog, needed: Sequence[str], welcome: Sequence[str]
) -> dict[str, str]:
    """Return the functions that the profile names: for signing in, and for asking whose a session is."""
    auth = profile.auth
    known = {
        "login": auth.login.function if auth.login else None,
        "whoami": auth.whoami.function if auth.whoami else None,
    }
    found = {
        part: name
        for part in (*needed, *welcome)
        if (name := known.get(part)) is not None and name in catalog
    }
    if "login" in needed and ("login" not in found or not profile.users):
        lacks = "login function ([auth] login)" if "login" not in found else "users ([users.NAME])"
        raise UsageError(f'the scenario "{scenario}" signs users in, and the profile names no {lacks}')
    return found


def _doing(kind: str, profile: Profile, catalog: Catalog, *, writable: bool) -> dict[str, str]:
    """Return the functions that users of the profile may call on a kind of object, by what they do."""
    found: dict[str, str] = {}
    for method in catalog:
        role = method.object
        if role is None or role.kind != kind or role.does in found:
            continue
        if (writable or method.effect == "read") and _callable(profile, method):
            found[role.does] = method.name
    return found


def _callable(profile: Profile, method: Method) -> bool:
    if method.auth == "none":
        return True
    if method.auth in ("session", None):
        return bool(profile.users)
    return any(method.auth in user.roles for user in profile.users.values())


def _lacking(
    scenario: str,
    about: Sequence[str],
    kinds: Mapping[str, Mapping[str, str]],
    catalog: Catalog,
    *,
    writable: bool,
) -> str:
    does = ", ".join(_WORDS[part] for part in about[:-1]) + f" and {_WORDS[about[-1]]}"
    begin = f'the scenario "{scenario}" {does} objects of one kind'
    if catalog.is_implicit:
        return f"{begin}, and there is no catalogue to tell how: set catalog in [target] of the profile"
    if not writable and not set(about) <= {"list", "read"}:
        return f"{begin}, which a read-only run may not"
    if not kinds:
        return (
            f"{begin}, and the catalogue says of no function what it does with objects: add x-object to them"
        )
    nearest = max(kinds, key=lambda kind: sum(part in kinds[kind] for part in about))
    missing = " and ".join(_WORDS[part] for part in about if part not in kinds[nearest])
    return (
        f"{begin}, and the catalogue has none such: the nearest is {nearest}, of which no function that the "
        f"profile's users may call {missing} it (x-object)"
    )
