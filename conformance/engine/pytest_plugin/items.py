"""Facts about the tests of the suites that pytest collected, and which test of the engine each of them is."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.engine.context import FURTHER

__all__ = ["FOLDER", "continuation", "is_suite", "key_of", "names_suites"]

#: The folder of the suites.
FOLDER = Path(__file__).resolve().parents[2] / "suites"


def is_suite(path: Path) -> bool:
    """Return whether a file is one of the suites."""
    return path.parent == FOLDER


def names_suites(argument: str) -> bool:
    """Return whether an argument of pytest's command line selects suites."""
    path = Path(argument.partition("::")[0]).absolute()
    return path in (FOLDER, FOLDER.parent) or FOLDER in path.parents


def key_of(item: pytest.Function) -> tuple[str, str, int]:
    """Return the suite and the function of a test, and the position of its parameter's value among all values."""
    indices = item.callspec.indices if hasattr(item, "callspec") else {}
    return item.path.stem, item.originalname, next(iter(indices.values()), 0)


def continuation(item: pytest.Function) -> pytest.Function:
    """Return a second run of a test, which continues it once all tests ran."""
    return pytest.Function.from_parent(
        item.parent,
        name=item.name + FURTHER,
        callspec=getattr(item, "callspec", None),
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,
        originalname=item.originalname + FURTHER,
    )
