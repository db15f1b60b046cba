"""Keep the prose of the project plain: private words, comments of constants, commit subjects.

    python .ci/prose.py                 check the files that git tracks
    python .ci/prose.py --since COMMIT  check the subjects of the commits after COMMIT, too

It uses the standard library alone, so that it runs before anything is installed. The exit status is 1 if something
must be changed; each line says where, what, and what to write instead.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: The folders and files whose words are checked.
CHECKED = ("conform.py", "conftest.py", "conformance/", "load/", "reports/", "fixtures/", "tests/")

#: Words that no identifier, docstring or comment may have, with the standard term to use.
BANNED = {
    "talk": "ctx, test context",
    "estate": "resources",
    "referee": "rule observer",
    "vault": "secret registry",
    "clockwork": "scheduler",
    "crew": "worker's resources",
    "heir": "takeover",
    "tally": "aggregator",
    "waver": "flaky response",
    "lore": "knowledge",
    "oddity": "edge case",
    "told": "reported, message, text",
    "tell": "report, return, distinguish",
    "heard": "observed",
    "held": "validated, passed, buffered",
    "kept": "retained, stored, preserved",
    "laid": "created, formatted",
    "odd": "unusual, invalid",
    "carrier": "insertion point",
    "anatomy": "schema walker",
    "stage": "bootstrap, phase",
    "deck": "weighted cycle",
    "conversation": "test",
    "thing": "resource, object",
    "allowance": "budget",
    "portion": "budget slice",
    "pace": "load shedding, rate",
    "circle": "closed-loop user",
    "spoil": "violation",
    "spoilt": "invalid",
    "haunt": "use after delete",
    "trespass": "unauthorized access",
    "insides": "leak patterns, internal details",
    "he": "they",
    "his": "their",
}

#: Words that are to be replaced as well. They are counted, but are not errors yet.
LEAVING: tuple[str, ...] = ()

#: Uses of these words that are allowed: names of tests, from which seeds derive, and texts that users see in reports
#: and catalogues.
ALLOWED = re.compile(
    r"\btest_\w+|\btells that person nothing|\bkept for ever|\bthe first thing that"
    r"|\bTell (?:whose session|that the service)"
)

#: Characters of a commit subject, as git and code hosts show it in one line.
MAX_SUBJECT = 72

#: How the comment of a constant must not begin: the name of the constant says that.
VAGUE_COMMENT = re.compile(r"#:? ?(So many|So long|So often|So much|Of what|Of which|Of whom)\b")

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def tracked() -> list[Path]:
    """Return the Python files of the product that git tracks; without git, all of them."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        names = [name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py")]
    return [ROOT / name for name in sorted(names) if name.startswith(CHECKED) and (ROOT / name).is_file()]


def words(text: str) -> Iterator[str]:
    """Yield the words of an identifier or a sentence in lower case, without the plural's s."""
    for match in WORD.finditer(ALLOWED.sub("", text)):
        word = match[0].lower()
        yield word
        if word.endswith("s") and len(word) > 3:
            yield word[:-1]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment and each docstring of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield node.body[0].lineno, text


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each name that a module uses or defines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def problems_of(sources: Mapping[str, str]) -> list[str]:
    """Return a line for each private word and each vague comment of modules, given by their paths."""
    return [
        line
        for where, source in sources.items()
        for line in [*private_words(where, source), *vague_comments(where, source)]
    ]


def private_words(where: str, source: str) -> list[str]:
    """Return a line for each private word of a module."""
    found: list[str] = []
    # Splitting the whole text into words takes a tenth of the time of reading its tokens.
    if BANNED.keys().isdisjoint(words(source)):
        return found
    for line, text in [*identifiers(source), *prose(source)]:
        for word in dict.fromkeys(words(text)):
            if word in BANNED:
                found.append(f"{where}:{line}: «{word}» is a private word; write: {BANNED[word]}")
    return found


def vague_comments(where: str, source: str) -> list[str]:
    """Return a line for each comment of a constant that repeats its name instead of saying what it is."""
    if not VAGUE_COMMENT.search(source):
        return []
    return [
        f"{where}:{line}: say what the constant is, with its unit: {text[:60]}"
        for line, text in prose(source)
        if VAGUE_COMMENT.match(text)
    ]


def problems_of_subjects(subjects: Iterable[str]) -> list[str]:
    """Return a line for each commit subject that is too long."""
    return [
        f"commit subject of {len(subject)} characters, {MAX_SUBJECT} at most: {subject}"
        for subject in subjects
        if len(subject) > MAX_SUBJECT
    ]


def subjects_since(commit: str) -> list[str]:
    """Return the subjects of the commits after one, the newest first."""
    done = subprocess.run(
        ["git", "log", "--no-merges", "--format=%s", f"{commit}..HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def left(sources: Iterable[str]) -> Counter[str]:
    """Count the words that are to be replaced as well, in names, comments and docstrings."""
    counts: Counter[str] = Counter()
    for source in sources if LEAVING else ():
        for _, text in [*identifiers(source), *prose(source)]:
            counts.update(word for word in words(text) if word in LEAVING)
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Check the files and, with --since, the commit subjects; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--since", metavar="COMMIT", help="check the subjects of the commits after this one")
    options = parser.parse_args(arguments)
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in tracked()}
    problems = problems_of(sources)
    if options.since:
        try:
            problems += problems_of_subjects(subjects_since(options.since))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"prose: cannot list the commits since {options.since}: {error}", file=sys.stderr)
            return 2
    counts = left(sources.values())
    print(f"{len(sources)} files, {len(problems)} problems")
    if counts:
        found = ", ".join(f"{word} {count}" for word, count in counts.most_common())
        print(f"  words that are to be replaced as well: {found}")
    for line in problems:
        print(line)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
