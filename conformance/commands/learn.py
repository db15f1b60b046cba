"""`conform catalog learn`: make a catalogue of recorded traffic, update one, or check one for drift.

`conform compare` of two catalogues is here, too.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.catalog.importing.merging import questions
from conformance.catalog.model import Catalog
from conformance.catalog.reader import read_document
from conformance.commands.catalog import save_catalogue
from conformance.errors import UsageError
from conformance.learning.calls import Call
from conformance.learning.catalogue import Learned, learn
from conformance.learning.changes import changes
from conformance.learning.drift import contradictions, merge, recorded
from conformance.learning.evidence import Thresholds
from conformance.learning.recorded import calls_of
from conformance.learning.rights import Facts
from conformance.protocol import profile_reader
from conformance.protocol.profile import Profile
from conformance.traffic.capture import read_capture

__all__ = ["are_catalogues", "compare_catalogues", "learn_catalogue"]

#: Lines of one list that are shown.
_MAX_LINES = 40
_SUFFIXES = (".json", ".yaml", ".yml")


def learn_catalogue(options: argparse.Namespace) -> int:
    """Learn a catalogue from the files of `options`, write or check it, and print a summary; return the exit status.

    The status is 1 if `--check` finds drift, and 3 if no call succeeded.

    Raises:
        UsageError: a file, the profile or the catalogue is wrong, or the catalogue cannot be written.

    """
    out: Path = options.out
    existing = options.update or options.check
    if existing and str(out) == "-":
        raise UsageError("--out -: only a file can be updated or checked")
    if existing and not out.is_file():
        raise UsageError(f"--out {out}: there is no such catalogue")
    if not existing and str(out) != "-" and out.exists():
        raise UsageError(f"--out {out}: is there already; --update brings it up to the traffic")
    profile = _profile(options.profile)
    calls, left = _calls(options.sources, options.target)
    stream = sys.stderr if str(out) == "-" else sys.stdout
    names = [source.name for source in options.sources]
    title = "API" if profile.target.url is None else f"API of {profile.shown_url}"
    learned = learn(calls, title=title, limits=Thresholds.of(options.min_samples), facts=_facts(profile))
    if not learned.document["methods"]:
        print("conform catalog: no call in the traffic succeeded, so nothing can be learnt", file=sys.stderr)
        return 3
    lines = [f"{len(calls)} calls of {len(learned.document['methods'])} functions"]
    lines += _left_out(left, learned)
    if existing:
        former = read_document(out)
        catalog = Catalog.parse(former, str(out))
        drift = contradictions(catalog, calls, learned.document)
        if options.check:
            lines += _shown("the traffic contradicts the catalogue", "≠", drift)
            lines.append(f"{out}: {'drift' if drift else 'no drift'}")
            print("\n".join(lines), file=stream, flush=True)
            return 1 if drift else 0
        merged = merge(former, learned.document, names)
        document = merged.document
        lines += _shown("came", "+", merged.added)
        lines += _shown("changed", "~", merged.changed)
        lines += _shown("written by hand, so it stays", "!", merged.preserved)
        lines += _shown("the traffic contradicts what was there", "≠", drift)
    else:
        former, document = None, recorded(learned.document, names)
    Catalog.parse(document, str(out))
    lines += _questions(document)
    lines += save_catalogue(document, out, former)
    if str(out) != "-":
        lines.append(f"{out}: written")
    print("\n".join(lines), file=stream, flush=True)
    return 0


def _profile(given: Path | None) -> Profile:
    here = Path("conform.toml")
    path = given or (here if here.is_file() else None)
    return Profile.empty() if path is None else profile_reader.load(path)


def _facts(profile: Profile) -> Facts:
    """Return what a profile says about sessions and users."""
    auth = profile.auth
    logins = {each.function for each in (auth.login, auth.key_login) if each is not None}
    return Facts(
        frozenset(logins), auth.logout, {name: frozenset(user.roles) for name, user in profile.users.items()}
    )


def _calls(sources: Sequence[Path], target: str | None) -> tuple[list[Call], Counter[str]]:
    """Return the calls of all files in the order of the files, and why other exchanges teach nothing."""
    calls: list[Call] = []
    left: Counter[str] = Counter()
    for source in sources:
        capture = read_capture([source], target)
        sessions = {call.session for call in calls}
        found, passed = calls_of(capture.exchanges, capture.base_url, len(sessions) + 1)
        calls += found
        left += passed
        left += capture.passed
        left["another host or path"] += sum(capture.others.values())
    return calls, +left


def _left_out(left: Mapping[str, int], learned: Learned) -> list[str]:
    total = sum(left.values())
    lines = [f"exchanges that teach nothing: {total}"] if total else []
    lines += [f"  {number} × {why}" for why, number in Counter(dict(left)).most_common(8)]
    return [*lines, *learned.notes]


def _shown(title: str, mark: str, entries: Sequence[str]) -> list[str]:
    """Return a list with its title and length; nothing if it is empty."""
    if not entries:
        return []
    lines = [f"{title}: {len(entries)}", *(f"  {mark} {entry}" for entry in entries[:_MAX_LINES])]
    return [*lines, f"  … and {len(entries) - _MAX_LINES} more"] if len(entries) > _MAX_LINES else lines


def _questions(document: Mapping[str, Any]) -> list[str]:
    """Return the open questions, those of extensions first, each with its functions."""
    open_ = questions(document)
    if not open_:
        return []
    lines = ["to answer, under x-questions of each function (x-evidence says why):"]
    about_parameters: Counter[str] = Counter()
    for question, names in open_.items():
        if not question.startswith("x-"):
            about_parameters.update(names)
            continue
        shown = ", ".join(names[:4]) + (f", … ({len(names)} in all)" if len(names) > 4 else "")
        lines.append(f"  {question}: {shown}")
    if about_parameters:
        total = sum(about_parameters.values())
        lines.append(f"  parameters that too few calls decide: {total} of {len(about_parameters)} functions")
    return lines


# --- compare --------------------------------------------------------------------------------------------------


def are_catalogues(options: argparse.Namespace) -> bool:
    """Return whether `conform compare` was given two catalogues instead of two runs."""
    paths = (options.base, options.new)
    return not options.baseline and all(path is not None and _is_catalogue(path) for path in paths)


def _is_catalogue(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        document = read_document(path)
    except UsageError:
        return False
    return isinstance(document, dict) and "openrpc" in document


def compare_catalogues(options: argparse.Namespace) -> int:
    """Print what differs between two catalogues; return 0.

    Raises:
        UsageError: a catalogue is wrong, or an option is for runs alone.

    """
    for name in ("json", "markdown", "html", "fail_on"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')}: is for runs; catalogues are compared as text")
    found = changes(Catalog.load(options.base), Catalog.load(options.new))
    if not options.quiet:
        print("\n".join(found) if found else "", end="\n" if found else "")
    counts = Counter(line[0] for line in found)
    summary = ", ".join(
        f"{counts[mark]} {word}" for mark, word in (("+", "came"), ("-", "went"), ("~", "changed"))
    )
    print(f"{options.new}: {summary}" if found else f"{options.new}: as {options.base}", flush=True)
    return 0
