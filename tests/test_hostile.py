"""Targets that misbehave below the protocol: each is outlived, told of, and blamed for no more than it did.

The whole of it, every misbehaviour by itself and amid answers, with users and all functions, is
`python -m benchmarks.hostile_table`; here each is met once, and the parts that hold it are looked at one by one.
"""

from __future__ import annotations

import pytest

from benchmarks.hostile_table import FAULT, RULE, Ran, run
from fixtures.hostile import HOSTILE, serving

#: Those of which every answer costs much; the table has them.
HEAVY = frozenset({"body.just-below", "body.endless-chunks", "body.many-members", "body.deep-enough"})

ALWAYS = [name for name, kind in HOSTILE.items() if not kind.behind]


def checked(name: str, *options: str, every: int | None = None, after: int | None = None) -> Ran:
    """Check a misbehaving server, and look at what is left of the run as the table does."""
    amid = every is not None or after is not None
    with serving(name, every=every, after=after, options=("--fault", FAULT) if amid else ()) as server:
        told = run(server, name, *options, timeout=1.0, budget="quick", found=amid, whole=amid)
        if server.strayed:
            told.wrong.append("a request went to another host")
    return told


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.thorough] * (name in HEAVY)) for name in ALWAYS]
)
def test_who_always_misbehaves(name: str) -> None:
    told = checked(name)
    assert told.wrong == [], told


@pytest.mark.parametrize(
    ("name", "every", "after"),
    [
        ("connection.silent", 60, 0),
        ("connection.closed", 25, 0),
        ("connection.dies", 1, 120),
        ("connection.dies-talking", 1, 120),
        ("connection.outages", 90, 0),
        ("body.short", 25, 0),
        ("body.bomb", 25, 0),
        ("head.garbage", 25, 0),
        ("head.ten-thousand", 25, 0),
    ],
)
def test_what_was_found_amid_misbehaviour_is_told(name: str, every: int, after: int) -> None:
    told = checked(name, "--rule", RULE, every=every, after=after)
    assert told.wrong == [], told


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name, kind in HOSTILE.items() if kind.behind])
def test_who_misbehaves_now_and_then(name: str) -> None:
    with serving(name) as server:
        told = run(server, name, timeout=2.0, budget="quick", found=False)
    assert told.wrong == [], told
