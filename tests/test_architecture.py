"""The packages import what they may, every rule is judged, and the guide shows both as they are."""

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
        module = ROOT / f"{folder}.py"
        yield from [module] if module.is_file() else sorted((ROOT / folder).rglob("*.py"))


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
    assert ("reports.model.phases", "conformance.rulebook.model") in edges
    assert ("reports.model.files", "reports.render.junit") in edges
    assert ("fixtures.service.server", "fixtures.service.service") in edges
    assert any(each.lazy for each in found)
    assert len(found) > 100


#: Modules that import nothing of ours but each other, and that every package may import.
LEAVES = ("conformance.errors", "conformance.text", "conformance.units")

#: What each package may import of ours, beside itself and the leaves. A package includes what lies below it.
_EXCHANGE = (
    "conformance.protocol.exchange",
    "conformance.protocol.redaction",
    "conformance.protocol.strict_json",
)
#: The typed events of a run.
_EVENTS = "conformance.events"
_CALLS = ("conformance.protocol", "conformance.catalog", "conformance.schema")
_RUNS = (
    *_CALLS,
    "conformance.generation",
    "conformance.resources",
    "conformance.rulebook",
    "conformance.cases",
    _EVENTS,
)
ARROWS: dict[str, tuple[str, ...]] = {
    _EVENTS: (),
    "conformance.rulebook": (*_EXCHANGE, "conformance.catalog.contract", _EVENTS),
    "conformance.schema": (),
    "conformance.catalog": ("conformance.schema",),
    "conformance.generation": ("conformance.schema", "conformance.catalog"),
    "conformance.protocol": ("conformance.catalog", "conformance.schema", _EVENTS),
    "conformance.resources": (*_CALLS, "conformance.generation"),
    "conformance.cases": (*_CALLS, "conformance.resources", "conformance.rulebook", _EVENTS),
    "conformance.engine": _RUNS,
    "conformance.engine.pytest_plugin": (*_RUNS, "conformance.engine", "reports"),
    "conformance.own_tests": (*_RUNS, "conformance.engine"),
    "conformance.traffic": (*_RUNS, "conformance.engine"),
    "conformance.helpers": (*_RUNS, "conformance.engine"),
    "conformance.stateful": (*_RUNS, "conformance.engine", "conformance.helpers"),
    "conformance.suites": (*_RUNS, "conformance.engine", "conformance.helpers", "conformance.stateful"),
    "conformance.learning": (*_CALLS, "conformance.traffic"),
    "conformance.commands": ("conformance", "fixtures", "load", "reports"),
    "load": (
        *_CALLS,
        "conformance.generation",
        "conformance.resources",
        "conformance.rulebook",
        _EVENTS,
    ),
    "reports": (_EVENTS, "conformance.rulebook", "load.metrics.histogram"),
    "fixtures.service": ("fixtures.explorer",),
    "fixtures.explorer": (),
    "fixtures": (),
    "tests.servers": (),
}


def shown_arrows() -> dict[str, set[str]]:
    """Return the arrows that CONTRIBUTING.md shows, with full names."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    short = {name.partition(".")[2]: name for name in ARROWS if name.startswith("conformance.")}
    groups: dict[str, list[str]] = {"nothing": []}

    def names(listed: str) -> list[str]:
        found = []
        for name in listed.split(", "):
            first, dot, rest = name.partition(".")
            found += groups.get(name, [short.get(first, first) + dot + rest])
        return found

    for name, listed in re.findall(r"^(\w+) = (.*)$", text, re.M):
        groups[name] = names(listed)
    return {
        short.get(name, name): set(names(listed))
        for name, listed in re.findall(r"^([\w.]+) → (.*)$", text, re.M)
    }


def test_the_guide_shows_the_arrows() -> None:
    assert shown_arrows() == {package: set(allowed) for package, allowed in ARROWS.items()}


def test_the_guide_shows_every_package() -> None:
    tree = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("```text\n")[2].partition("```")[0]
    shown, folder = set(), ""
    for name in re.findall(r"^( *[\w.]+)/", tree, re.M):
        folder = folder if name.startswith(" ") else name
        shown.add(folder if folder == name else f"{folder}/{name.strip()}")
    packages = {
        "/".join(path.parent.relative_to(ROOT).parts[:2])
        for path in sources("conformance", "load", "reports", "fixtures", "benchmarks")
    }
    # A package within a package of engine, and the like, is part of it.
    assert packages - shown == set()
    assert [name for name in sorted(shown) if not (ROOT / name).is_dir()] == []


def test_every_package_is_on_the_map() -> None:
    known = {*ARROWS, "conformance"}
    for path in sources("conformance", "load", "reports", "fixtures"):
        package = name_of(path.parent / "__init__.py")
        on_map = any(within(package, each) for each in known - {"conformance"})
        assert on_map or package in known, f"{package} has no entry in ARROWS"


@pytest.mark.parametrize("package", list(ARROWS))
def test_a_package_imports_what_its_arrows_allow(package: str) -> None:
    narrower = [other for other in ARROWS if other != package and within(other, package)]
    for each in inner_imports(package.replace(".", "/")):
        if any(within(each.by, other) for other in narrower):
            continue
        allowed = (package, *ARROWS[package], *LEAVES)
        assert within(each.module, *allowed) or each.module == "conformance", each


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_imports_nothing_of_ours(leaf: str) -> None:
    path = ROOT / (leaf.replace(".", "/") + ".py")
    ours = [module for _, module, _ in imports_of(path) if module.partition(".")[0] in OURS]
    assert [module for module in ours if module not in LEAVES] == []


def test_the_exchange_imports_no_other_part_of_the_protocol() -> None:
    """The rulebook imports it, so it must not need a client, a profile or a catalogue."""
    allowed = {"conformance.catalog.contract", "conformance.protocol.curl", _EVENTS, *_EXCHANGE}
    for each in inner_imports("conformance/protocol"):
        if each.by in (*_EXCHANGE, "conformance.protocol.curl"):
            assert each.module in allowed, each


def test_nothing_of_ours_patches_sockets() -> None:
    """Locust patches them, by gevent.monkey, so it has a process of its own, and what tests run in that, too."""
    apart = {"tests.support.load_scene", "tests.support.load_fold"}
    for path in sources("conformance", "reports", "fixtures", "tests"):
        for node, module, _ in imports_of(path):
            where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
            patches = module.partition(".")[0] == "locust" or module == "gevent.monkey"
            # The load's event loop is gevent's; a test of it uses that, and patches nothing.
            foreign = module.partition(".")[0] == "gevent" and not where.startswith("tests.load.")
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


# The rules and the tests that judge them


def judged() -> dict[str, set[str]]:
    """Return the rules that suite tests name, each with the tests that do."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "conformance" / "suites").glob("test_*.py")):
        module = importlib.import_module(f"conformance.suites.{path.stem}")
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
    assert has_one, f"{rule} is neither judged on every exchange nor by a suite test"


def test_every_suite_test_names_its_rules() -> None:
    silent = []
    for path in sorted((ROOT / "conformance" / "suites").glob("test_*.py")):
        module = importlib.import_module(f"conformance.suites.{path.stem}")
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
