"""Facts about the tests of the suites that pytest collected: their rules, parameter, area and order."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.cases.format import Case
from conformance.engine.context import FURTHER
from conformance.engine.markers import SUITES, describe
from conformance.rulebook.model import AREAS

__all__ = [
    "FOLDER",
    "NOT_SHED",
    "area_of",
    "continuation",
    "function_name",
    "is_suite",
    "names_suites",
    "order_of",
    "parameter_of",
    "rules_of",
]

#: The folder of the suites.
FOLDER = Path(__file__).resolve().parents[2] / "suites"

#: Tests that always run: those that were asked for by name, and those that send nothing.
NOT_SHED = ("test_a_case", "test_every_exchange")


def is_suite(path: Path) -> bool:
    """Return whether a file is one of the suites."""
    return path.parent == FOLDER


def names_suites(argument: str) -> bool:
    """Return whether an argument of pytest's command line selects suites."""
    path = Path(argument.partition("::")[0]).absolute()
    return path in (FOLDER, FOLDER.parent) or FOLDER in path.parents


def rules_of(item: pytest.Item) -> tuple[str, ...]:
    """Return the ids of the rules that a test judges."""
    marker = item.get_closest_marker("judges")
    case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
    if isinstance(case, Case):
        return (case.rule,)
    return tuple(marker.args) if marker else ()


def function_name(item: pytest.Item) -> str:
    """Return the name of the test's function, without its parameter."""
    return item.name.removesuffix(FURTHER).partition("[")[0]


def parameter_of(item: pytest.Item) -> tuple[str, str]:
    """Return the name of a test's parameter and the id of its value."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for name, value in parameters.items():
        return name, describe(value)
    return "tests", function_name(item)


def continuation(item: pytest.Item) -> pytest.Item:
    """Return a second run of a test, which continues it once all tests ran."""
    assert isinstance(item, pytest.Function)
    return pytest.Function.from_parent(
        item.parent,
        name=item.name + FURTHER,
        callspec=getattr(item, "callspec", None),
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,
        originalname=item.originalname + FURTHER,
    )


#: Areas of the progress bar, by suite; for other suites the first rule of the test decides.
_AREAS = {
    "test_request": "REQ",
    "test_envelope": "ENV",
    "test_codes": "COD",
    "test_authentication": "AUT",
    "test_key_login": "AUT",
    "test_claims": "ACC",
    "test_framing": "SEC",
    "test_access": "ACC",
    "test_naming": "NAM",
    "test_paging": "PAG",
    "test_state": "STA",
    "test_concurrency": "STA",
    "test_security": "SEC",
    "test_http": "HTTP",
    "test_data": "DAT",
    "test_stored": "DAT",
    "test_refused": "DAT",
    "test_injected": "DAT",
    "test_sequences": "STA",
}


def area_of(item: pytest.Item) -> str:
    """Return the area under which the progress bar counts a test."""
    rules = rules_of(item)
    return _AREAS.get(item.path.stem) or (rules[0].split("-")[0] if rules else next(iter(AREAS)))


def order_of(item: pytest.Item) -> tuple[int, int]:
    """Return the sort key of a test: cases, the suites in their order, continuations, then rules of every exchange."""
    if function_name(item) == "test_a_case":
        return 0, 0
    stem = item.path.stem
    place = SUITES.index(stem) if stem in SUITES else len(SUITES)
    if function_name(item) == "test_every_exchange":
        return 3, place
    return (2 if item.name.endswith(FURTHER) else 1), place
