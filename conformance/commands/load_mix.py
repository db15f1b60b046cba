"""`conform load --mix-from`: reads a capture, and takes the mix of a load from it. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.events import EventError, RunEvent, decode
from conformance.learning.load_mix import balanced, mix_of_capture
from conformance.protocol.profile import Profile
from conformance.traffic.capture import Capture, read_capture
from conformance.traffic.run_log import EVENTS
from load.as_seen import sources_of
from load.options import Wish
from load.workload.mix import unfit_reason
from load.workload.seen import FORMAT, MIX_FILE, LeftOut, SeenMix
from load.workload.workload import Work

__all__ = ["seen_mix"]

_MAX_HEAD_BYTES = 4_096


def seen_mix(wish: Wish, profile: Profile, catalog: Catalog, *, read_only: bool) -> SeenMix | None:
    """Return the mix of the captures that the options or the profile name; None if they name none.

    Raises:
        UsageError: a capture cannot be read, or has no call that can be sent.

    """
    folder = Path(profile.path).parent if profile.path else Path.cwd()
    sources = sources_of(wish, profile.load, folder)
    if not sources:
        return None
    if catalog.is_implicit:
        raise UsageError(
            "--mix-from: the profile names no catalogue, which says what can be sent: set catalog in [target]"
        )
    ready = _made_before(sources)
    # Nothing is sent, so any address stands for the embedded service, which may not run yet.
    addressed = profile if profile.target.url else profile.with_target("http://127.0.0.1/api/")
    work = Work(addressed, catalog, read_only=read_only)
    resources = work.resources

    def why_not(name: str) -> str | None:
        return unfit_reason(addressed, resources, catalog[name])

    def kinds(name: str) -> tuple[str | None, str | None]:
        method = catalog[name]
        role = method.object
        makes = role.kind if role is not None and role.does == "create" else None
        return makes, next(iter(resources.spends(method)), None)

    try:
        if ready is not None:
            mix = _narrowed(ready, catalog, why_not)
        else:
            source = ", ".join(path.name or str(path) for path in sources)
            content = mix_of_capture(_capture(sources, addressed.url), catalog, profile.auth, why_not, source)
            mix = msgspec.convert(content, SeenMix)
        shares, taken = balanced(mix.functions, {name: kinds(name) for name in mix.functions})
    finally:
        work.client.close()
    if not shares:
        raise UsageError(
            f"{mix.source}: none of the functions in it can be called ({taken[0][0]}: {taken[0][2]})"
        )
    less = [LeftOut(name, share / mix.total, why) for name, share, why in taken]
    return msgspec.structs.replace(mix, functions=shares, left_out=[*mix.left_out, *less])


def _made_before(sources: Sequence[Path]) -> SeenMix | None:
    """Return the mix that an earlier run made; None if the sources are captures. Raises UsageError."""
    for path in sources:
        file = path / MIX_FILE if path.is_dir() else path
        try:
            with file.open("rb") as opened:
                is_mix = path.is_dir() or FORMAT.encode() in opened.read(_MAX_HEAD_BYTES)
        except OSError:
            continue  # the reader of captures says what is wrong
        if is_mix:
            if len(sources) > 1:
                raise UsageError(f"--mix-from: {file} is a mix of its own: give it alone")
            return SeenMix.read(path)
    return None


def _capture(sources: Sequence[Path], url: str) -> Capture:
    """Read the captures: their calls of the target, or where there are none those of the target called most."""
    for path in sources:
        _refuse_load(path)
    try:
        return read_capture(sources, url)
    except UsageError:
        # It was recorded elsewhere, or its files cannot be read.
        return read_capture(sources)


def _refuse_load(path: Path) -> None:
    """Raise UsageError for the folder of a load, which has no log of its requests."""
    try:
        with (path / EVENTS if path.is_dir() else path).open("rb") as opened:
            event = decode(opened.readline())
    except (OSError, EventError):
        return
    if isinstance(event, RunEvent) and event.verb == "load":
        raise UsageError(f"{path}: is a load, whose requests are not in its log: give what it was made of")


def _narrowed(mix: SeenMix, catalog: Catalog, why_not: Callable[[str], str | None]) -> SeenMix:
    """Return a mix of an earlier run without the functions that this one cannot call."""
    left: list[LeftOut] = list(mix.left_out)
    shares: dict[str, float] = {}
    for name, share in mix.functions.items():
        why = why_not(name) if name in catalog else "the catalogue does not have it"
        if why is None:
            shares[name] = share
        else:
            left.append(LeftOut(name, share / mix.total, why))
    if not shares:
        raise UsageError(
            f"{mix.source}: none of the functions in it can be called ({left[-1].function}: {left[-1].reason})"
        )
    return msgspec.structs.replace(mix, functions=shares, left_out=left)
