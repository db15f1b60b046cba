"""The house stands as it is drawn: who imports whom, and every rule has someone who judges it."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from conformance.rulebook import RULES

ROOT = Path(__file__).resolve().parent.parent
OURS = ("conform", "conftest", "conformance", "fixtures", "load", "reports", "tests", "benchmarks")


@dataclass(frozen=True)
class Import:
    """One import of a module of ours by a module of ours; `lazy` when it stands inside a function."""

    by: str
    line: int
    module: str
    lazy: bool

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.module}"


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> set[str]:
    return {name_of(path) for path in sources(*(name for name in OURS if (ROOT / name).is_dir()))}


MODULES = modules()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports_of(path: Path) -> tuple[tuple[ast.AST, str, bool], ...]:
    """Return each import of a file: where, the module (or the one that is named in it), and whether lazy."""
    tree = tree_of(path)
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[ast.AST, str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                continue
            if isinstance(child, ast.Import):
                yield from ((child, alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    around = package.split(".")[: len(package.split(".")) - child.level + 1]
                    base = ".".join([*around, *([child.module] if child.module else [])])
                for alias in child.names:
                    inner = f"{base}.{alias.name}"
                    yield child, inner if inner in MODULES else base, lazy
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, lazy or inside)

    return tuple(walk(tree, lazy=False))


def inner_imports(*folders: str) -> list[Import]:
    return [
        Import(name_of(path), getattr(node, "lineno", 0), module, lazy)
        for path in sources(*folders)
        for node, module, lazy in imports_of(path)
        if module.partition(".")[0] in OURS
    ]


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_the_reader_of_imports_reads(tmp_path: Path) -> None:
    found = inner_imports("conformance", "reports", "fixtures")
    edges = {(each.by, each.module) for each in found}
    assert ("conformance.rulebook.model", "conformance.protocol.exchange") in edges
    assert ("conformance.rulebook", "conformance.rulebook.security") in edges
    assert ("reports.run", "conformance.rulebook.model") in edges
    assert ("reports.run", "reports.junit") in edges
    assert ("fixtures.service.server", "fixtures.service.service") in edges
    assert any(each.lazy for each in found)
    assert len(found) > 100


def test_the_rulebook_knows_the_exchange_alone() -> None:
    for each in inner_imports("conformance/rulebook"):
        assert (
            within(each.module, "conformance.rulebook") or each.module == "conformance.protocol.exchange"
        ), each


def test_the_protocol_knows_nothing_above_it() -> None:
    for each in inner_imports("conformance/protocol"):
        assert within(each.module, "conformance.protocol"), each


def test_the_exchange_knows_nothing() -> None:
    assert [each for each in inner_imports("conformance/protocol") if each.by.endswith(".exchange")] == []


def test_the_suites_know_conformance_alone() -> None:
    for each in inner_imports("conformance"):
        if each.by in ("conformance.call", "conformance.replay") and each.module == "reports.text":
            assert each.lazy, each
            continue
        if each.by == "conformance.explore" and each.module == "fixtures.explorer":
            assert each.lazy, each
            continue
        assert within(each.module, "conformance"), each


def test_the_reports_know_the_shape_of_a_rule_and_of_a_histogram_alone() -> None:
    for each in inner_imports("reports"):
        known = ("conformance.rulebook.model", "load.histogram")
        assert within(each.module, "reports") or each.module in known, each


def test_the_reference_service_is_an_independent_witness() -> None:
    for each in inner_imports("fixtures/service"):
        assert within(each.module, "fixtures.service", "fixtures.explorer"), each


def test_the_page_knows_nothing() -> None:
    assert inner_imports("fixtures/explorer") == []


def test_the_faults_know_the_fixtures_alone() -> None:
    for each in inner_imports("fixtures"):
        assert within(each.module, "fixtures"), each


def test_the_servers_of_the_tests_are_independent_witnesses() -> None:
    for each in inner_imports("tests/servers"):
        assert within(each.module, "tests.servers"), each


def test_the_load_knows_no_suite() -> None:
    for each in inner_imports("load"):
        assert within(each.module, "load", "conformance.rulebook", "conformance.protocol"), each


def test_nothing_of_ours_patches_sockets() -> None:
    """Locust patches them, by gevent.monkey, so it has a process of its own, and what tests run in that, too."""
    apart = {"tests.load_scene", "tests.load_fold"}
    for path in sources("conformance", "reports", "fixtures", "tests"):
        for node, module, _ in imports_of(path):
            where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
            patches = module.partition(".")[0] == "locust" or module == "gevent.monkey"
            # The load's event loop is gevent's; a test of it uses that, and patches nothing.
            foreign = module.partition(".")[0] == "gevent" and not where.startswith("tests.test_load_")
            assert not (patches or foreign) or name_of(path) in apart, where


def test_no_import_goes_round() -> None:
    """A module never needs itself to be loaded, but lazily."""
    edges: dict[str, set[str]] = {}
    for path in sources("conformance", "reports", "fixtures"):
        for _, module, lazy in imports_of(path):
            if module in MODULES and not lazy and module not in _for_types(path):
                edges.setdefault(name_of(path), set()).add(module)
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        # A package and its parts name each other; that is how a package is put together.
        assert module not in way, " → ".join([*way[way.index(module) :], module])
        if module in done:
            return
        for further in sorted(edges.get(module, ())):
            if not within(module, further) and further != module:
                visit(further, (*way, module))
        done.add(module)

    for module in sorted(edges):
        visit(module, ())


@cache
def _for_types(path: Path) -> set[str]:
    """Return the modules that a file imports under `if TYPE_CHECKING`."""
    tree = tree_of(path)
    return {
        node.module or ""
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
        if isinstance(node, ast.ImportFrom)
    }


# The rules and their judges


def judged() -> dict[str, set[str]]:
    """Return the rules that conversations name, each with the conversations that do."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "conformance").glob("test_*.py")):
        module = importlib.import_module(f"conformance.{path.stem}")
        for name, value in vars(module).items():
            for mark in getattr(value, "pytestmark", []) if name.startswith("test_") else []:
                if mark.name == "judges":
                    for rule in mark.args:
                        found.setdefault(rule, set()).add(f"{path.stem}.{name}")
    return found


JUDGED = judged()


def test_every_judge_names_rules_that_exist() -> None:
    assert {rule: where for rule, where in JUDGED.items() if rule not in RULES} == {}


@pytest.mark.parametrize("rule", list(RULES))
def test_every_rule_has_a_judge(rule: str) -> None:
    has_one = RULES[rule].check is not None or rule in JUDGED
    assert has_one, f"{rule} is neither judged on every exchange nor by a conversation"


def test_every_conversation_says_what_it_judges() -> None:
    silent = []
    for path in sorted((ROOT / "conformance").glob("test_*.py")):
        module = importlib.import_module(f"conformance.{path.stem}")
        silent += [
            f"{path.stem}.{name}"
            for name, value in vars(module).items()
            if name.startswith("test_")
            and callable(value)
            and not any(mark.name == "judges" for mark in getattr(value, "pytestmark", []))
        ]
    assert silent == []


# What no file of the project says


def tracked() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("only a checkout knows which files are the project's")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


#: Hosts of package registries: what is installed from where is the business of whoever installs.
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "npmjs" + ".org", "golang" + ".org", "crates" + ".io"]


def test_no_file_knows_the_machine() -> None:
    places = [str(ROOT)]
    if len(Path.home().parts) > 2:
        places.append(str(Path.home()))
    here = re.compile("|".join(rf"(?<![\w.~-]){re.escape(place)}(?=[/\s\"'`,;:)]|$)" for place in places))
    found = []
    for path in tracked():
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if here.search(line) or any(host in line for host in REGISTRIES):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []
