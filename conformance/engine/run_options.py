"""The options of a check that `conform` and pytest have in common.

Each function takes `add`: the method `add_argument` of a parser or a group of argparse, or `addoption` of pytest.
Both take the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable

from conformance.engine import budgets
from conformance.engine.harness import duration, named_path, per_second, positive, requirement

__all__ = ["Add", "add_budget", "add_plan", "add_rules", "add_selection", "add_target"]

Add = Callable[..., object]


def add_target(add: Add, *, out: str = "reports/runs/<UTC time>-<verb>") -> None:
    """Add the options that name the target and what may be done with it; `out` is the default of --out."""
    add("--target", metavar="URL", help="the target's base URL (default: the embedded service)")
    add("--profile", metavar="FILE", type=named_path, help="default: conform.toml here, when there is one")
    add("--read-only", action="store_true", help="call only functions that read")
    add("--seed", type=int, metavar="N", help="the same seed sends the same requests")
    add("--out", metavar="DIR", type=named_path, help=f"the folder of the run (default: {out})")


def add_rules(add: Add) -> None:
    """Add the option of a team's own rules."""
    add(
        "--rules",
        action="append",
        default=[],
        type=named_path,
        metavar="FILE",
        help="judge the rules of your own in this Python file, too (repeatable)",
    )


def add_selection(add: Add) -> None:
    """Add the options that choose rules and findings, and those of the gate."""
    add("--rule", action="append", default=[], metavar="ID", help="judge this rule alone (repeatable)")
    add("--area", action="append", default=[], metavar="AREA", help="judge this area alone (repeatable)")
    add("--all", action="store_true", dest="every", help="show every finding, not the causes")
    add(
        "--require",
        action="append",
        default=[],
        type=requirement,
        metavar="WHAT",
        help="fail unless this was judged: an area, a rule, or 'judged >= N' (repeatable)",
    )
    add(
        "--baseline-findings",
        type=named_path,
        metavar="RUN",
        help="what this earlier run found is known: fail on new findings only",
    )


def add_budget(add: Add) -> None:
    """Add the options that say how much is sent, and how fast."""
    add(
        "--budget",
        choices=budgets.BUDGETS,
        default="standard",
        help="how much is sent (default: standard)",
    )
    add(
        "--for",
        dest="generate_for",
        type=duration,
        metavar="DURATION",
        help="time for generated payloads, as in 90s, 10m, 1h30m",
    )
    add("--cases", type=named_path, metavar="DIR", help="play the case files of this folder first")
    add("--jobs", type=positive, default=1, metavar="N", help="calls at the same time")
    add(
        "--rate-limit",
        type=per_second,
        metavar="RATE",
        help="requests per second at most, as in 20 or 0.5 (default: [target] rate, else no limit)",
    )


def add_plan(add: Add) -> None:
    """Add --plan."""
    add("--plan", action="store_true", help="send nothing; print what would be sent")
