"""`conform catalog`: operations on a catalogue that call no target.

`validate` reports every error in a catalogue. `export` writes it for other tools or for people. `import` and `learn`,
which make catalogues, have modules of their own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.catalog import yaml_patch as yamltext
from conformance.catalog.importing.merging import questions
from conformance.catalog.lines import line_of
from conformance.catalog.markdown_export import document as markdown
from conformance.catalog.model import Catalog, problems
from conformance.catalog.openapi_export import describe
from conformance.catalog.reader import is_json, read_text
from conformance.engine.harness import EMBEDDED_PROFILE
from conformance.errors import UsageError
from conformance.generation.catalog_review import mistakes, remarks_on
from conformance.protocol import profile_reader
from conformance.protocol.profile import Profile

__all__ = ["export_markdown", "export_openapi", "save_catalogue", "validate"]


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

    The default catalogue is that of the profile; the default profile is `conform.toml` in the current folder if it
    exists, else that of the embedded service. The document names the server of `target`, or else of the profile.

    Raises UsageError: the catalogue or the profile is wrong, or `out` cannot be written.
    """
    read, path, about = _wanted(catalog, profile, target)
    document = describe(
        read,
        url=None if about.target.url is None else about.shown_url,
        per_function=per_function,
        strict=strict,
        envelope_extra=about.target.envelope_extra,
    )
    _write(json.dumps(document, indent=2) + "\n", out, "--openapi", path, read)


def export_markdown(
    out: Path, *, catalog: Path | None = None, profile: Path | None = None, target: str | None = None
) -> None:
    """Write a catalogue as Markdown for people; the arguments and errors are those of `export_openapi`."""
    read, path, about = _wanted(catalog, profile, target)
    text = markdown(read, url=None if about.target.url is None else about.shown_url)
    _write(text, out, "--markdown", path, read)


def _wanted(catalog: Path | None, profile: Path | None, target: str | None) -> tuple[Catalog, Path, Profile]:
    """Return the catalogue to export, its file and its profile."""
    if profile is None and catalog is None:
        here = Path("conform.toml")
        profile = here if here.is_file() else EMBEDDED_PROFILE
    about = Profile.empty() if profile is None else profile_reader.load(profile)
    if target is not None:
        about = about.with_target(target)
    path = catalog or about.catalog_path
    if path is None:
        raise UsageError(f"{profile}: names no catalogue: add catalog to [target], or give the file itself")
    if catalog is not None and not catalog.exists():
        raise UsageError(f"{catalog}: there is no such catalogue")
    return Catalog.load(path), path, about


def _write(text: str, out: Path, option: str, path: Path, read: Catalog) -> None:
    if str(out) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    if out.exists() and out.samefile(path):
        raise UsageError(f"{option} {out}: is the catalogue itself, which would be lost")
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{option} {out}: cannot be written: {error.strerror}") from None
    print(f"{out}: {len(read)} functions of {len(read.entities)} endpoints", flush=True)


# --- validate ---------------------------------------------------------------------------------------------


def validate(path: Path) -> int:
    """Print one line for each error in a catalogue; return 0, or 2 if there is an error.

    Raises UsageError: the catalogue cannot be read, or is neither JSON nor YAML.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such catalogue")
    found, catalog = problems(path)
    text = path.read_bytes().decode("utf-8-sig")
    as_json = is_json(path, text)
    if catalog is not None:
        for mistake in mistakes(catalog):
            found.append((line_of(text, mistake.pointer, is_json=as_json), mistake.pointer, mistake.text))
    for line, pointer, why in sorted(found):
        print(f"{path}:{line}: {pointer}: {why}", file=sys.stderr)
    if found or catalog is None:
        return 2
    for remark in remarks_on(catalog):
        line = line_of(text, remark.pointer, is_json=as_json)
        print(f"{path}:{line}: {remark.pointer}: note: {remark.text}")
    unanswered = questions(catalog.raw)
    asked = "; ".join(f"{name} of {len(functions)}" for name, functions in unanswered.items())
    print(
        f"{path}: {len(catalog)} functions of {len(catalog.entities)} endpoints"
        + (f"; still to answer: {asked}" if asked else ""),
        flush=True,
    )
    return 0


# --- writing ----------------------------------------------------------------------------------------------


def save_catalogue(document: Mapping[str, Any], out: Path, former: Any) -> list[str]:
    """Write a catalogue atomically, as YAML or JSON according to the name of the file; return notes for the user.

    `former` is the present content of the file, None if there is no file. Comments, order and quoting of a YAML file
    are preserved.
    """
    remarks: list[str] = []
    if str(out) == "-":
        sys.stdout.write(_as_json(document))
        sys.stdout.flush()
        return remarks
    temporary = out.with_name(f".{out.name}.new")
    try:
        typed = "" if former is None else out.read_bytes().decode("utf-8-sig")
        if former is None:
            is_yaml = out.suffix.lower() in (".yaml", ".yml")
            text = yamltext.dump(dict(document)) if is_yaml else _as_json(document)
        elif is_json(out, typed):
            text = _as_json(document)
        elif patch := yamltext.patched(typed, former, dict(document), read_text):
            text, lost = patch
            if lost:
                remarks = [f"comments that went with what they stood at: {len(lost)}"]
                remarks += [f"  {comment}" for comment in lost]
        else:
            text = yamltext.dump(dict(document))
            backup = out.with_name(f"{out.name}.old")
            backup.write_bytes(out.read_bytes())
            remarks = [f"the file was laid out anew, and its comments are lost: {backup} is what it was"]
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
        temporary.replace(out)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from None
    return remarks


def _as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
