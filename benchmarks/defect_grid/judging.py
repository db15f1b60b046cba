"""Judge one defect, in a process that does nothing else meanwhile."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from typing import Any

import benchmarks
import fixtures
import tests
from benchmarks.defect_grid import (
    access,
    answers,
    lists,
    requests,
    sessions,
    states,
    targets,
    template,
    values,
    violations,
)
from benchmarks.defect_grid.catalogue_view import View

Result = dict[str, Any]

#: Seconds that the check of one defect may take, so that one that hangs does not stop the run.
MAX_SECONDS = 240.0

#: Importing them registers the templates.
MODULES = (access, answers, lists, requests, sessions, states, values, violations)

# They are those of this checkout, whatever checkout the suite is of.
HERE = (benchmarks.__path__, fixtures.__path__, tests.__path__)


@functools.cache
def _view(server: str) -> View:
    return targets.view_of(server)


def judged(key: str, server: str, budget: str, seed: int, *, full: bool, near: bool) -> Result:
    """Judge one defect, and return the line of JSON for it."""
    from conformance.rulebook import RULES
    from tests.support import judging

    view = _view(server)
    mechanism = template.TEMPLATES[key.split(" ")[1]]
    instance = next(found for found in template.instances(view, server, mechanism) if found.key == key)
    began, cpu = time.monotonic(), time.process_time()
    result: Result = {
        "key": key, "server": server, "template": mechanism.name, "place": instance.label, "kind": instance.kind,
        "budget": budget, "seed": seed, "full": full, "rules": [], "caught": False, "located": False, "error": None,
        "requests": 0, "findings": [],
    }  # fmt: skip
    named, near_by = (
        tuple(rule for rule in rules if rule in RULES) for rules in (mechanism.tells, mechanism.areas)
    )
    stages = (
        [((), named)]
        if full or mechanism.whole
        else [(rules, rules) for rules in (named, near_by if near else ()) if rules]
    )
    try:
        for rules, until in stages:
            with targets.serving(server, view, instance.apply) as (url, profile):
                report = judging.judge(
                    target=url,
                    profile=profile,
                    rules=rules,
                    seed=seed,
                    budget=budget,
                    until_any=until,
                    seconds=MAX_SECONDS,
                )
            found = judging.broken(report)
            result["requests"] += report["requests"]
            if found:
                result["rules"] = sorted(found)
                result["caught"] = True
                result["located"] = bool(set(found) & set(mechanism.tells))
                result["findings"] = [f"{rule} {lines[0][:200]}" for rule, lines in sorted(found.items())[:3]]
                break
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    result["seconds"] = round(time.monotonic() - began, 1)
    result["cpu"] = round(time.process_time() - cpu, 1)
    return result


def use_suite(path: str | None) -> None:
    """Take the suite of another checkout: `conformance`, `reports` and `load` are imported from there."""
    if path is not None:
        sys.path.insert(0, path)
    with contextlib.suppress(ImportError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
