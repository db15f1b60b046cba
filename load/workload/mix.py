"""The mix of a load: which functions may be called, how often each is called, and in which order."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from conformance.catalog.model import Catalog, Method
from conformance.errors import UsageError, suggestion
from conformance.protocol.profile import Profile
from conformance.resources.registry import Resources

__all__ = ["WeightedCycle", "creates", "mix_of", "unfit_reason"]

#: The largest number of calls in one round of the mix.
MAX_ROUND_CALLS = 1_000

#: The default shares of the mix, by what a function does.
_SHARES = {"list": 6, "read": 3, "create": 1, "delete": 1}


def mix_of(
    profile: Profile, catalog: Catalog, resources: Resources, mix: Mapping[str, float] | None
) -> tuple[dict[str, Fraction], list[tuple[str, str]]]:
    """Return the share of each function, and (function, reason) for each function that is left out.

    Without a mix the load calls the functions that read, lists most often, and those that create together with those
    that delete. Functions that write are left out of a read-only run.

    Raises:
        UsageError: the mix names a function that cannot be called, or no function is left.

    """
    where = f"{profile.path}: [load] mix" if profile.path else "[load] mix"
    if mix is None:
        chosen, left = _default_shares(profile, catalog, resources)
    else:
        chosen, left = _given_shares(profile, catalog, resources, mix, where)
    if not chosen:
        reasons = "; ".join(f"{name}: {why}" for name, why in left[:3])
        raise UsageError(
            f"there is nothing to send{f' ({reasons})' if reasons else ''}: "
            "give [load] mix functions that this run may call, or the profile a catalogue that says which ones read"
        )
    _check_supply(catalog, resources, chosen, where)
    return chosen, left


def _check_supply(catalog: Catalog, resources: Resources, chosen: Mapping[str, Fraction], where: str) -> None:
    """Check that the mix creates as many objects of each kind as its functions consume.

    Raises:
        UsageError: a function consumes more objects than the mix creates.

    """
    for name in chosen:
        for kind in resources.spends(catalog[name])[:1]:
            supply = sum(
                (share for each, share in chosen.items() if creates(catalog[each], kind)), Fraction()
            )
            demand = sum(
                (share for each, share in chosen.items() if kind in resources.spends(catalog[each])[:1]),
                Fraction(),
            )
            if demand > supply:
                creator = catalog.create(kind)
                raise UsageError(
                    f"{where}: {name} uses up a {kind} with each call, so the mix has to create as many: "
                    f"give {creator.name if creator else f'a function that creates a {kind}'} "
                    f"a share of {float(demand):g} or more"
                )


def creates(method: Method, kind: str) -> bool:
    """Return whether a function creates objects of a kind."""
    return method.object is not None and method.object.does == "create" and method.object.kind == kind


def unfit_reason(profile: Profile, resources: Resources, method: Method) -> str | None:
    """Return why a function cannot be part of a load; None if it can."""
    if method.name == profile.auth.logout:
        return "it ends the session that it is called in"
    if method.effect != "read" and not resources.writable:
        return "it does not only read, and this run is read-only"
    openers = [opener.function for opener in (profile.auth.login, profile.auth.key_login) if opener]
    if method.name in openers:
        return None if profile.users else "the profile has no users"
    if any(param.required and resources.locks_out(method, param.name) for param in method.params):
        return "it changes how the user signs in"
    if not resources.harmless(method):
        return "it deletes what the run has no function to make"
    if method.auth == "none":
        return None
    if method.auth is not None and not profile.users:
        return "it needs a session, and the profile has no users ([users.NAME])"
    if profile.users and not resources.callers(method):
        return f'it needs the role "{method.auth}", which no user of the profile has'
    return None


def _given_shares(
    profile: Profile, catalog: Catalog, resources: Resources, mix: Mapping[str, float], where: str
) -> tuple[dict[str, Fraction], list[tuple[str, str]]]:
    """Return the shares of the mix that the profile or the command line gives."""
    chosen: dict[str, Fraction] = {}
    left: list[tuple[str, str]] = []
    for name, share in mix.items():
        if not share:
            continue
        if name not in catalog:
            mend = (
                ": the profile names no catalogue; set catalog in [target]"
                if catalog.is_implicit
                else suggestion(name, list(catalog.methods))
            )
            raise UsageError(f"{where}: the catalogue has no function {name}{mend}")
        why = unfit_reason(profile, resources, catalog[name])
        if why is None:
            chosen[name] = Fraction(str(share))
        elif catalog[name].effect != "read" and not resources.writable:
            left.append((name, why))
        else:
            raise UsageError(f"{where}: {name} cannot be called: {why}")
    return chosen, left


def _default_shares(
    profile: Profile, catalog: Catalog, resources: Resources
) -> tuple[dict[str, Fraction], list[tuple[str, str]]]:
    """Return the default shares."""
    chosen: dict[str, Fraction] = {}
    left: list[tuple[str, str]] = []
    for method in catalog:
        does = method.object.does if method.object else ""
        if method.effect != "read":
            # Created objects are deleted again, so that lists do not grow while they are measured.
            pair = does in ("create", "delete") and method.object is not None
            if not pair or not all(_paired(resources, catalog, method)):
                continue
        why = unfit_reason(profile, resources, method)
        if why is not None:
            left.append((method.name, why))
        else:
            chosen[method.name] = Fraction(_SHARES.get(does, 1))
    return chosen, left


def _paired(resources: Resources, catalog: Catalog, method: Method) -> Iterator[bool]:
    """Yield whether objects of the function's kind can be created, and whether they can be deleted."""
    assert method.object is not None
    for one in (catalog.create(method.object.kind), catalog.delete(method.object.kind)):
        yield one is not None and one.effect != "read" and bool(resources.callers(one))


class WeightedCycle:
    """Returns indices in rounds that contain each index in proportion to its share; a seed decides the order.

    Where the shares have no round of at most `MAX_ROUND_CALLS`, the remainder of a round is carried to the next one.
    """

    def __init__(self, shares: Sequence[Fraction], rng: random.Random) -> None:
        self._rng = rng
        whole = math.lcm(*(share.denominator for share in shares))
        counts = [int(share * whole) for share in shares]
        divisor = math.gcd(*counts) or 1
        self.round = min(sum(counts) // divisor, MAX_ROUND_CALLS)
        total = sum(shares)
        self._quota = [share * self.round / total for share in shares]
        self._carried = [Fraction()] * len(shares)
        #: The indices of a round, where all rounds contain the same ones.
        self._every_round: list[int] | None = None
        if all(quota.denominator == 1 for quota in self._quota):
            self._every_round = [at for at, quota in enumerate(self._quota) for _ in range(int(quota))]
        self._indices: list[int] = []

    def next(self) -> int:
        """Return the next index."""
        if len(self._carried) == 1:
            return 0
        if not self._indices:
            self._shuffle()
        return self._indices.pop()

    def _shuffle(self) -> None:
        if self._every_round is not None:
            self._indices = self._every_round.copy()
            self._rng.shuffle(self._indices)
            return
        self._carried = [carried + quota for carried, quota in zip(self._carried, self._quota, strict=True)]
        counts = [max(0, math.floor(carried)) for carried in self._carried]
        rest = sorted(range(len(counts)), key=lambda at: counts[at] - self._carried[at])
        for at in rest[: max(0, self.round - sum(counts))]:
            counts[at] += 1
        self._carried = [carried - count for carried, count in zip(self._carried, counts, strict=True)]
        self._indices = [at for at, count in enumerate(counts) for _ in range(count)]
        self._rng.shuffle(self._indices)
