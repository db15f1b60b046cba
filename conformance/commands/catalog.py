"""`conform catalog`: operations on a catalogue that call no target.

`import` creates a catalogue from a documentation page, or updates one when the page has changed. `validate` reports
every error in a catalogue. `export` writes it for other tools or for people.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.catalog import documentation_page as docpage
from conformance.catalog import yaml_patch as yamltext
from conformance.catalog.documentation_page import Changes, PageFunction
from conformance.catalog.lines import line_of
from conformance.catalog.markdown_export import document as markdown
from conformance.catalog.model import Catalog, problems
from conformance.catalog.openapi_export import describe
from conformance.catalog.reader import is_json, read_document, read_text
from conformance.engine.harness import EMBEDDED_PROFILE
from conformance.errors import UsageError
from conformance.generation.catalog_review import mistakes, remarks_on
from conformance.protocol import profile_reader
from conformance.protocol.profile import Profile
from conformance.protocol.reach import shown_source

__all__ = ["export_markdown", "export_openapi", "import_pages", "save_catalogue", "validate"]

#: Maximum size of a documentation page.
_MAX_PAGE_BYTES = 64 * 1024 * 1024


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
    unanswered = docpage.questions(catalog.raw)
    asked = "; ".join(f"{name} of {len(functions)}" for name, functions in unanswered.items())
    print(
        f"{path}: {len(catalog)} functions of {len(catalog.entities)} endpoints"
        + (f"; still to answer: {asked}" if asked else ""),
        flush=True,
    )
    return 0


# --- import -----------------------------------------------------------------------------------------------


class _UnreachableError(Exception):
    """A page cannot be downloaded, which is not an error in the catalogue."""


def import_pages(
    sources: Sequence[str], out: Path, *, update: bool = False, check: bool = False, guess: bool = False
) -> int:
    """Import documentation pages into the catalogue `out` (`-`: standard output), and print a summary.

    With `update` an existing catalogue is updated to the pages. With `check` nothing is written, and 1 is returned if
    the pages have changed or differ from the catalogue. Returns 3 if a page cannot be downloaded, else 0.

    Raises UsageError: a page has no functions, the catalogue exists (or does not, for an update), or cannot be written.
    """
    if (update or check) and str(out) == "-":
        raise UsageError("--out -: only a file can be brought up to a page")
    if (update or check) and not out.is_file():
        raise UsageError(f"--out {out}: there is no such catalogue to bring up to the page")
    if not update and not check and str(out) != "-" and out.exists():
        raise UsageError(f"--out {out}: is there already; --update brings it up to the page")
    try:
        title, functions, notes = _pages(sources)
    except _UnreachableError as error:
        print(f"conform catalog: {error}", file=sys.stderr)
        return 3
    names = [shown_source(source) for source in sources]
    stream = sys.stderr if str(out) == "-" else sys.stdout
    if not update and not check:
        former = None
        document, changes = docpage.build(title, functions, names, guess=guess), None
    else:
        former = read_document(out)
        catalog = Catalog.parse(former, str(out))
        document, changes = docpage.merge(former, functions, names, guess=guess)
    Catalog.parse(document, str(out))
    lines = _summary(document, functions, notes, changes)
    if check:
        differ = docpage.differences(catalog, functions)
        if differ:
            lines.append(f"the page and the catalogue differ: {len(differ)}")
            lines += [f"  ≠ {line}" for line in differ]
        print("\n".join(lines), file=stream, flush=True)
        verdict = (
            "the page has moved on"
            if changes
            else "not as the page has it"
            if differ
            else "as the page has it"
        )
        print(f"{out}: {verdict}", file=stream, flush=True)
        return 1 if changes or differ else 0
    lines += save_catalogue(document, out, former)
    count = len({name.partition(".")[0] for name in functions})
    print(
        "\n".join([f"{out}: {len(functions)} functions of {count} endpoints", *lines]),
        file=stream,
        flush=True,
    )
    return 0


def _pages(sources: Sequence[str]) -> tuple[str, dict[str, PageFunction], list[str]]:
    title = ""
    functions: dict[str, PageFunction] = {}
    notes: list[str] = []
    for source in sources:
        name, found, about = docpage.read(_fetched(source))
        if not found:
            raise UsageError(
                f"{shown_source(source)}: has no functions of the markup that is read here: "
                'li.collection[data-url="/api/auth"] > li.procedure[data-method="login"]'
            )
        title = title or name
        notes += about
        for function in found.values():
            if functions.setdefault(function.name, function) != function:
                notes.append(f"{function.name} is on several pages, and not alike: the first is taken")
    return title, functions, notes + docpage.notes_on(functions)


def _fetched(source: str) -> str:
    if re.match(r"https?://", source, re.IGNORECASE):
        # Importing httpx takes long, and only an address needs it.
        from conformance.protocol.fetch import FetchError, fetch

        try:
            content, kind = fetch(source, accept="text/html", max_bytes=_MAX_PAGE_BYTES)
        except FetchError as error:
            raise _UnreachableError(f"{shown_source(source)}: {error}") from None
    elif "://" in source:
        raise UsageError(
            f"{shown_source(source)}: give a file, or an address that begins with http:// or https://"
        )
    else:
        kind = ""
        try:
            with Path(source).open("rb") as file:
                content = file.read(_MAX_PAGE_BYTES + 1)
        except OSError as error:
            raise UsageError(f"{source}: cannot be read: {error.strerror}") from None
    if len(content) > _MAX_PAGE_BYTES:
        raise UsageError(f"{shown_source(source)}: is larger than {_MAX_PAGE_BYTES // 1024 // 1024} MB")
    return docpage.text_of(content, kind)


def _summary(
    document: Mapping[str, Any],
    functions: Mapping[str, PageFunction],
    notes: Sequence[str],
    changes: Changes | None,
) -> list[str]:
    lines: list[str] = []
    if changes is not None:
        for mark, title, entries in (
            ("+", "came", changes.added),
            ("-", "went", changes.removed),
            ("~", "changed", changes.changed),
            ("!", "to settle by hand", changes.conflicts),
        ):
            if entries:
                lines.append(f"{title}: {len(entries)}")
                lines += [f"  {mark} {entry}" for entry in entries]
    if notes:
        lines.append(f"the page left open: {len(notes)}")
        lines += [f"  {note}" for note in notes[:40]]
        lines += [f"  … and {len(notes) - 40} more"] if len(notes) > 40 else []
    words = {
        "x-auth": 'who may call it ("none", "session" or a role; "session" stands in)',
        "x-effect": 'what it does ("read", "write" or "delete"; "write" stands in)',
        "x-beyond-schema": "whether it has rules beyond its parameters' schemas (true stands in)",
        "result": "what its data looks like (result.schema)",
    }
    unanswered = docpage.questions(document)
    if unanswered:
        lines.append("to answer, under x-questions of each function:")
        for question, names in unanswered.items():
            shown = ", ".join(names[:4]) + (f", … ({len(names)} in all)" if len(names) > 4 else "")
            lines.append(f"  {question}: {words.get(question, '')}: {shown}")
    return lines


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
