"""`conform catalog`: what can be done with a catalogue by itself, without calling any target."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from conformance.harness import EMBEDDED_PROFILE
from conformance.protocol import profile as profiles
from conformance.protocol.catalog import Catalog
from conformance.protocol.openapi import describe
from conformance.protocol.profile import Profile, UsageError

__all__ = ["export_openapi"]


def export_openapi(
    out: Path,
    *,
    catalog: Path | None = None,
    profile: Path | None = None,
    target: str | None = None,
    per_function: bool = False,
    strict: bool = False,
) -> None:
    """Write a catalogue as an OpenAPI 3.1 description (JSON); `-` is the standard output.

    The catalogue is the one that is named, else that of the profile (`conform.toml` here, when there is one), else
    that of the embedded service. The profile, or `target`, also says which server the document names.

    Raises UsageError: the catalogue or the profile is wrong, or `out` cannot be written.
    """
    if profile is None and catalog is None:
        here = Path("conform.toml")
        profile = here if here.is_file() else EMBEDDED_PROFILE
    about = Profile.empty() if profile is None else profiles.load(profile)
    if target is not None:
        about = about.with_target(target)
    path = catalog or about.catalog_path
    if path is None:
        raise UsageError(f"{profile}: names no catalogue: add catalog to [target], or give the file itself")
    if catalog is not None and not catalog.exists():
        raise UsageError(f"{catalog}: there is no such catalogue")
    read = Catalog.load(path)
    document = describe(
        read,
        url=None if about.target.url is None else about.shown_url,
        per_function=per_function,
        strict=strict,
        envelope_extra=about.target.envelope_extra,
    )
    text = json.dumps(document, indent=2) + "\n"
    if str(out) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    if out.exists() and out.samefile(path):
        raise UsageError(f"--openapi {out}: is the catalogue itself, which would be lost")
    try:
        out.write_text(text, encoding="ascii")
    except OSError as error:
        raise UsageError(f"--openapi {out}: cannot be written: {error.strerror}") from None
    print(f"{out}: {len(read)} functions of {len(read.entities)} endpoints", flush=True)
