"""Scripts as the steps of case files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance.cases.format import Expect
from conformance.cases.format import Step as CaseStep
from conformance.catalog.model import Catalog
from conformance.stateful.entities import Disagreement
from conformance.stateful.executor import OLDEST
from conformance.stateful.script import Ref, StepResult, numbered

__all__ = ["case_of"]

#: The statuses that are right for the last step where a check failed.
_RIGHT: dict[str, tuple[int, ...]] = {
    "dead read": (400, 403, 404),
    "dead changed": (400, 403, 404),
    "dead deleted": (400, 403, 404),
    "dead used": (400, 403, 404),
    "missing": (200,),
    "not found": (200,),
    "stranger": (403, 404),
    "session dead": (401,),
    "session refused": (200,),
}


def case_of(catalog: Catalog, found: Disagreement, script: Sequence[StepResult]) -> list[dict[str, Any]]:
    """Return a script as the steps of a case file, with an expectation for the last one."""
    owners: dict[str, dict[str, Any]] = {}
    steps: list[CaseStep] = []
    sessions: dict[str, list[str]] = {}
    for result in numbered(script):
        step = result.step
        if step.does == "create" and step.about is not None and step.kind is not None:
            owners.setdefault(step.about, {"kind": step.kind, "of": step.user, "name": step.about})
        number = 0
        # The oldest session of a user is the run's own, which has the number 0 in a case file.
        if step.session and not step.session.endswith(OLDEST):
            own = sessions.setdefault(step.user, [step.user])
            if step.session not in own:
                own.append(step.session)
            number = own.index(step.session) + 1
        message = result.exchange.message
        saw: dict[str, Any] = {"status": result.status}
        if isinstance(message, str):
            saw["errMsg"] = message[:200]
        paging: dict[str, Any] = {}
        if result.page is not None:
            paging = {"page_start": result.page[0], "page_length": result.page[1]}
        steps.append(
            CaseStep(
                user=step.user or None,
                session=0 if step.does == "login" else number,
                function=step.function,
                data=_symbolic(step.data, owners),
                opens=number if step.does == "login" else None,
                gives=step.about if step.does == "create" and result.status == 200 else None,
                together=step.at_once or None,
                saw=saw,
                **paging,
            )
        )
    if steps:
        steps[-1] = replace(steps[-1], expect=_expected(catalog, found, script, owners))
    return [step.to_json() for step in steps]


def _expected(
    catalog: Catalog, found: Disagreement, script: Sequence[StepResult], owners: dict[str, dict[str, Any]]
) -> Expect:
    """Return what a case expects of the last step of a script."""
    last = script[-1].step
    about = owners.get(found.about or "")
    if found.check in _RIGHT:
        return Expect(status=_RIGHT[found.check])
    if about is not None and found.check == "list dead":
        return Expect(status=(200,), lacks=({"$object": about},))
    if about is not None and found.check == "list missing":
        return Expect(status=(200,), has=({"$object": about},))
    method = catalog.methods.get(last.function)
    if found.member is None or last.does != "read" or method is None or method.object is None:
        return Expect()
    given = [
        result.step.data[found.member]
        for result in script
        if result.step.about == found.about
        and result.step.does in ("create", "update")
        and result.status == 200
        and isinstance(result.step.data, dict)
        and found.member in result.step.data
    ]
    if not given:
        return Expect(status=(200,))
    pointer = f"{method.object.at}/{found.member.replace('~', '~0').replace('/', '~1')}"
    return Expect(status=(200,), equals={pointer: _symbolic(given[-1], owners)})


def _symbolic(data: Any, owners: dict[str, dict[str, Any]]) -> Any:
    """Return data with references in the form of case files."""
    if isinstance(data, Ref):
        return {"$object": owners.get(data.name, {"name": data.name})}
    if isinstance(data, dict):
        return {name: _symbolic(value, owners) for name, value in data.items()}
    if isinstance(data, list):
        return [_symbolic(value, owners) for value in data]
    return data
