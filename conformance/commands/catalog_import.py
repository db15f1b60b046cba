"""`conform catalog import`: make a catalogue of documents of other formats, update one, or check one for drift.

The formats are documentation pages, OpenAPI and Swagger, Postman collections and OpenRPC. A document is recognised by
its content.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.catalog import documentation_page
from conformance.catalog.importing import merging
from conformance.catalog.importing.detection import detect, page_hint
from conformance.catalog.importing.entries import Imported
from conformance.catalog.importing.merging import Changes
from conformance.catalog.importing.openapi import read_openapi
from conformance.catalog.importing.openrpc import read_openrpc
from conformance.catalog.model import Catalog
from conformance.catalog.reader import read_document
from conformance.commands.catalog import save_catalogue
from conformance.errors import UsageError
from conformance.generation.catalog_review import mistakes
from conformance.learning.postman import read_postman
from conformance.protocol.reach import shown_source

__all__ = ["UnreachableError", "import_documents", "read_sources"]

#: Maximum size of a document.
_MAX_BYTES = 64 * 1024 * 1024
_MAX_NOTES = 40
_MAX_NAMES = 4
_WORDS = {
    "x-auth": 'who may call it ("none", "session" or a role; "session" stands in)',
    "x-effect": 'what it does ("read", "write" or "delete"; "write" stands in)',
    "x-rows": "which array of its data the paging applies to (a JSON pointer; it counts as not paged)",
    "x-object": "what it does to objects of which kind",
    "x-beyond-schema": "whether it has rules beyond its parameters' schemas (true stands in)",
    "result": "what its data looks like (result.schema)",
}


class UnreachableError(Exception):
    """A document cannot be downloaded, which is not an error in the catalogue."""


# One function, though it is long: each step needs what the one before read.
def import_documents(
    sources: Sequence[str],
    out: Path,
    *,
    update: bool = False,
    check: bool = False,
    guess: bool = False,
    separator: str | None = None,
    read: Imported | None = None,
) -> int:
    """Import documents into the catalogue `out` (`-`: standard output), and print a summary.

    `read` is what was read of them already. With `update` an existing catalogue is updated to the documents. With
    `check` nothing is written, and 1 is returned if the documents have changed or differ from the catalogue. Returns 3
    if one cannot be downloaded, else 0.

    Raises:
        UsageError: a document has no functions, the catalogue exists (or does not, for an update), or cannot be
            written.

    """
    existing = update or check
    _check_out(out, existing=existing)
    try:
        read = read or read_sources(sources, separator)
    except UnreachableError as error:
        print(f"conform catalog: {error}", file=sys.stderr)
        return 3
    names = [shown_source(source) for source in sources]
    stream = sys.stderr if str(out) == "-" else sys.stdout
    word = _word(read)
    catalog = None
    if existing:
        former = read_document(out)
        catalog = Catalog.parse(former, str(out))
        document, changes = merging.merge(former, read.functions, names, guess=guess, source=word)
    else:
        former, changes = None, None
        document = merging.build(read.title, read.functions, names, guess=guess)
    made = Catalog.parse(document, str(out))
    lines = _summary(document, read, changes)
    if check and catalog is not None:
        differ = merging.differences(catalog, read.functions, word)
        lines += _listed(f"the {word} and the catalogue differ", "≠", differ)
        lines.append(f"{out}: {_verdict(word, changes, differ)}")
        print("\n".join(lines), file=stream, flush=True)
        return 1 if changes or differ else 0
    lines += _listed("to mend by hand", "!", [f"{each.function}: {each.text}" for each in mistakes(made)])
    lines += save_catalogue(document, out, former)
    count = len({name.partition(".")[0] for name in read.functions})
    first = f"{out}: {len(read.functions)} functions of {count} endpoints"
    print(
        "\n".join([first + ("" if word == "page" else f", of {read.kind}"), *lines]), file=stream, flush=True
    )
    return 0


def _check_out(out: Path, *, existing: bool) -> None:
    """Raise UsageError unless the catalogue exists where it has to, and does not where it is made."""
    if existing and str(out) == "-":
        raise UsageError("--out -: only a file can be brought up to a document")
    if existing and not out.is_file():
        raise UsageError(f"--out {out}: there is no such catalogue to bring up to the document")
    if not existing and str(out) != "-" and out.exists():
        raise UsageError(f"--out {out}: is there already; --update brings it up to the document")


def _verdict(word: str, changes: Changes | None, differ: Sequence[str]) -> str:
    """Return the result of `--check` in a few words."""
    if changes:
        return f"the {word} has moved on"
    return f"not as the {word} has it" if differ else f"as the {word} has it"


def _word(read: Imported) -> str:
    return "page" if read.kind == _PAGE else "document"


# --- reading --------------------------------------------------------------------------------------------------

_PAGE = "a documentation page"


def read_sources(sources: Sequence[str], separator: str | None = None) -> Imported:
    """Return the functions of documents, each by its own format.

    Raises:
        UsageError: a document cannot be read, is of no known format, or has no functions.
        UnreachableError: it cannot be downloaded.

    """
    if separator == "":
        raise UsageError("--entity-from: give the text between entity and function, such as _")
    found = [_read(source, separator) for source in sources]
    out = Imported(" and ".join(dict.fromkeys(each.kind for each in found)), found[0].title)
    out.server = next((each.server for each in found if each.server), None)
    for each in found:
        out.notes += each.notes
        for function in each.functions.values():
            if out.functions.setdefault(function.name, function) != function:
                where = "pages" if each.kind == _PAGE else "documents"
                out.notes.append(f"{function.name} is on several {where}, and not alike: the first is taken")
    out.notes += [note for function in out.functions.values() for note in function.notes()]
    return out


def _read(source: str, separator: str | None) -> Imported:
    text, where = _fetched(source), shown_source(source)
    detected = detect(text, where)
    document = detected.document
    if document is None:
        title, functions, notes = documentation_page.read(text)
        if not functions:
            raise UsageError(
                f"{where}: has no functions of the markup that is read here: "
                'li.collection[data-url="/api/auth"] > li.procedure[data-method="login"]' + page_hint(text)
            )
        return Imported(_PAGE, title, dict(functions), notes)
    try:
        if detected.format == "postman":
            return read_postman(document, where)
        if detected.format == "openrpc":
            return read_openrpc(document, where, separator)
        return read_openapi(document, where, separator)
    except RecursionError:
        raise UsageError(f"{where}: is nested too deep, or refers to itself without end") from None


def _fetched(source: str) -> str:
    if re.match(r"https?://", source, re.IGNORECASE):
        # Importing httpx takes long, and only an address needs it.
        from conformance.protocol.fetch import FetchError, fetch

        try:
            content, kind = fetch(
                source,
                accept="application/json, text/html, application/yaml, */*;q=0.5",
                max_bytes=_MAX_BYTES,
            )
        except FetchError as error:
            raise UnreachableError(f"{shown_source(source)}: {error}") from None
    elif "://" in source:
        raise UsageError(
            f"{shown_source(source)}: give a file, or an address that begins with http:// or https://"
        )
    else:
        kind = ""
        try:
            with Path(source).open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise UsageError(f"{source}: cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{shown_source(source)}: is larger than {_MAX_BYTES // 1024 // 1024} MB")
    return documentation_page.text_of(content, kind)


# --- the summary ----------------------------------------------------------------------------------------------


def _summary(document: Mapping[str, Any], read: Imported, changes: Changes | None) -> list[str]:
    lines: list[str] = []
    if changes is not None:
        lines += _listed("came", "+", changes.added)
        lines += _listed("went", "-", changes.removed)
        lines += _listed("changed", "~", changes.changed)
        lines += _listed("to settle by hand", "!", changes.conflicts)
    if read.notes:
        lines.append(f"the {_word(read)} left open: {len(read.notes)}")
        notes = _grouped(read.notes)
        lines += [f"  {note}" for note in notes[:_MAX_NOTES]]
        more = len(notes) - _MAX_NOTES
        lines += [f"  … and {more} more"] if more > 0 else []
    return lines + _questions(document)


def _grouped(notes: Sequence[str]) -> list[str]:
    """Return notes with those that say the same of many functions or parameters in one line."""
    subjects: dict[str, list[str]] = {}
    for note in notes:
        subject, colon, text = note.partition(": ")
        subjects.setdefault(text if colon else note, []).append(subject)
    lines = []
    for text, same in subjects.items():
        if len(same) > _MAX_NAMES:
            lines.append(f"{', '.join(same[:_MAX_NAMES])}, … ({len(same)} in all): {text}")
        else:
            lines += [text if subject == text else f"{subject}: {text}" for subject in same]
    return lines


def _listed(title: str, mark: str, entries: Sequence[str]) -> list[str]:
    """Return a list with its title and length; nothing if it is empty."""
    return [f"{title}: {len(entries)}", *(f"  {mark} {entry}" for entry in entries)] if entries else []


def _questions(document: Mapping[str, Any]) -> list[str]:
    """Return the open questions, each with its functions; those about single parameters are counted."""
    lines: list[str] = []
    about_parameters: Counter[str] = Counter()
    for question, names in merging.questions(document).items():
        if question not in _WORDS:
            about_parameters.update(names)
            continue
        shown = ", ".join(names[:_MAX_NAMES]) + (
            f", … ({len(names)} in all)" if len(names) > _MAX_NAMES else ""
        )
        lines.append(f"  {question}: {_WORDS[question]}: {shown}")
    if about_parameters:
        total = sum(about_parameters.values())
        lines.append(f"  parameters that too few calls decide: {total} of {len(about_parameters)} functions")
    return ["to answer, under x-questions of each function:", *lines] if lines else []
