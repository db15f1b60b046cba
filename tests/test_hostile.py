"""Targets that misbehave below the protocol: each is outlived, told of, and blamed for no more than it did.

The whole of it, every misbehaviour by itself and amid answers, is `python -m benchmarks.hostile_table`; and thorough.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.hostile_table import FAULT, Ran, profile_in, run
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, Request, Response, Vault, read_json
from conformance.protocol.wire import VALUES
from fixtures.hostile import HOSTILE, Server, serving
from fixtures.hostile.registry import hostile
from fixtures.hostile.text import POISON
from tests.recording import ROOT, command, ran, report_in

#: Those whose every request costs much, so that even a few rules take a while.
HEAVY = frozenset({"body.just-below", "body.endless-chunks", "connection.hangs"})

SMALL = ("--rule", "ENV-5", "--rule", "COD-8", "--rule", "REQ-1", "--rule", "HTTP-4", "--rule", "COD-2")


def checked(name: str, *options: str, every: int | None = None, after: int | None = None) -> Ran:
    """Check a misbehaving server by a few rules, and look at what is left of the run as the table does."""
    faulty = ("--fault", FAULT) if every is not None or after is not None else ()
    with serving(name, every=every, after=after, options=faulty) as server:
        told = run(server, name, *options, timeout=1.0, budget="quick", found=bool(faulty))
        if server.strayed:
            told.wrong.append("a request went to another host")
    return told


ALWAYS = [name for name, kind in HOSTILE.items() if not kind.behind]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.thorough] * (name in HEAVY)) for name in ALWAYS]
)
def test_who_always_misbehaves(name: str) -> None:
    told = checked(name, *SMALL)
    assert told.wrong == [], told


AMID = [
    "connection.silent",
    "connection.flaky",
    "connection.dies",
    "connection.dies-talking",
    "connection.outages",
    "body.bomb",
    "body.deep-enough",
    "body.short",
    "head.garbage",
    "head.ten-thousand",
    "text.raw-poison",
]
