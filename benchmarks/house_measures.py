"""Measure the shape of the code: files, functions, classes, nesting of packages, tests that mirror modules.

    python -m benchmarks.house_measures             product and tests
    python -m benchmarks.house_measures --longest   the longest files, classes and functions as well
    python -m benchmarks.house_measures FOLDER…     other folders, such as another project's checkout

Nothing is asserted. Lines of a function or a class are counted from its `def` or `class` to its last line.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("conform.py", "conftest.py", "conformance", "load", "reports", "fixtures")
TESTS = ("tests",)

MAX_FILE_LINES = 600
MAX_CLASS_LINES = 300
MAX_FUNCTION_LINES = 60

#: How many of each kind `--longest` prints.
LONGEST_SHOWN = 12


@dataclass(frozen=True, order=True)
class Span:
    """A file, a class or a function, and its length in lines."""

    lines: int
    where: str


@dataclass
class Measures:
    """What was counted in some folders."""

    files: list[Span] = field(default_factory=list)
    classes: list[Span] = field(default_factory=list)
    functions: list[Span] = field(default_factory=list)
    documented: int = 0

    def add(self, name: str, source: str) -> None:
        """Count one file."""
        self.files.append(Span(len(source.splitlines()), name))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                span = Span(lines, f"{name}:{node.lineno} {node.name}")
                if isinstance(node, ast.ClassDef):
                    self.classes.append(span)
                else:
                    self.functions.append(span)
                    self.documented += ast.get_docstring(node) is not None

    def rows(self) -> list[tuple[str, str]]:
        """Return what is printed, as pairs of label and figure."""
        if not self.files:
            return [("files", "0")]
        lines = [each.lines for each in self.files]
        functions = max(1, len(self.functions))
        return [
            ("files, lines", f"{len(self.files)}, {sum(lines):,}"),
            ("median file, lines", f"{statistics.median(lines):.0f}"),
            ("median file without __init__.py", f"{statistics.median(self._without_init()):.0f}"),
            ("largest file", _shown(max(self.files))),
            over("files", MAX_FILE_LINES, self.files),
            over("classes", MAX_CLASS_LINES, self.classes),
            over("functions", MAX_FUNCTION_LINES, self.functions),
            ("functions with a docstring", f"{self.documented / functions:.0%}"),
        ]

    def _without_init(self) -> list[int]:
        return [each.lines for each in self.files if not each.where.endswith("__init__.py")] or [0]


def over(what: str, limit: int, spans: Sequence[Span]) -> tuple[str, str]:
    """Return the row that counts what is longer than a limit."""
    return f"{what} over {limit} lines", f"{sum(each.lines > limit for each in spans)} of {len(spans)}"


def _shown(span: Span) -> str:
    return f"{span.lines:,} · {span.where}"


def python_files(folder: Path) -> list[Path]:
    """Return a file itself, or the Python files below a folder, without hidden folders."""
    if folder.is_file():
        return [folder]
    found = sorted(folder.rglob("*.py"))
    return [
        path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def measured(root: Path, names: Iterable[str]) -> Measures:
    """Return the measures of files and folders below a root."""
    measures = Measures()
    for name in names:
        for path in python_files(root / name):
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            measures.add(str(shown), path.read_text("utf-8"))
    return measures


def without_test(root: Path) -> tuple[int, int]:
    """Return how many product modules have no test module of their name, of how many."""
    modules = [
        path
        for name in ("conformance", "load", "reports")
        for path in python_files(root / name)
        # The suites are tests themselves; the tests of the faults show what they find.
        if path.name != "__init__.py" and path.parent != root / "conformance" / "suites"
    ]
    mirrored = [root / "tests" / path.relative_to(root).parent / f"test_{path.stem}.py" for path in modules]
    return sum(not path.exists() for path in mirrored), len(modules)


def print_measures(title: str, measures: Measures, *, longest: bool) -> None:
    """Print a table, and the longest of each kind where that is wanted."""
    print(title)
    for label, figure in measures.rows():
        print(f"  {label:<34} {figure}")
    if longest:
        for label, spans in (
            ("files", measures.files),
            ("classes", measures.classes),
            ("functions", measures.functions),
        ):
            print(f"  longest {label}")
            for span in sorted(spans, reverse=True)[:LONGEST_SHOWN]:
                print(f"    {span.lines:>6,}  {span.where}")


def main(arguments: list[str] | None = None) -> int:
    """Print the measures; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", metavar="FOLDER", nargs="*", help="measure these instead of this project")
    parser.add_argument("--longest", action="store_true", help="print the longest files, classes, functions")
    options = parser.parse_args(arguments)
    missing = [name for name in options.folders if not Path(name).exists()]
    if missing:
        parser.error(f"no such folder: {', '.join(missing)}")
    if options.folders:
        for name in options.folders:
            print_measures(name, measured(Path(name).resolve(), ["."]), longest=options.longest)
        return 0
    print_measures("product", measured(ROOT, PRODUCT), longest=options.longest)
    print_measures("tests", measured(ROOT, TESTS), longest=options.longest)
    count, total = without_test(ROOT)
    print(f"  {'modules without a test module':<34} {count} of {total}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
