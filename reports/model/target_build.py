"""Collects what a target reports of its own build, such as its version, from the exchanges of a run."""

from __future__ import annotations

import json
import re

from conformance.events import ExchangeEvent, RequestRecord
from conformance.text import cut

__all__ = ["TargetBuild"]

#: Headers in which servers report their build. Other headers describe the response.
_BUILD_HEADERS = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "x-", "x-api-", "x-app-", "x-service-")
    for name in ("version", "build", "build-id", "revision", "commit", "release")
) | {"server"}

#: Members that report a build, in the data of a call without arguments: at the top or one level down.
_BUILD_MEMBER = re.compile(
    r"(?:api|app|service|server)?_?(?:version|build|revision|commit|release)(?:id|number)?", re.I
)

#: Identifiers. A value that has one is an object of the target, and its revision is not the target's build.
_IDENTIFIER = re.compile(r"(?:^id|(?<!build)(?<!version)(?<!release)(?:Id|_id))$")

MAX_NAMES = 6
#: Instances behind one address may report different builds.
MAX_VALUES_PER_NAME = 4
MAX_VALUE_CHARACTERS = 120


class TargetBuild:
    """What a target reports of its own build, collected from the exchanges of a run."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, None]] = {}

    def take(self, event: ExchangeEvent) -> None:
        """Collect what the response of an exchange reports."""
        response = event.response
        if response is None:
            return
        for name, value in response.headers.items():
            if name.lower() in _BUILD_HEADERS:
                self._add(name.lower(), value)
        if response.status == 200 and _without_arguments(event.request):
            self._add_from_data(event.function or "", response.body)

    def _add_from_data(self, function: str, body: str) -> None:
        try:
            envelope = json.loads(body)
        except (ValueError, RecursionError):
            return
        data = envelope.get("data") if isinstance(envelope, dict) else None
        if not isinstance(data, dict) or envelope.get("isError") is not False:
            return
        for name, value in data.items():
            if isinstance(value, dict) and any(_IDENTIFIER.search(str(key)) for key in value):
                continue
            inner = value.items() if isinstance(value, dict) else [(name, value)]
            for member, value_of_member in inner:
                if _BUILD_MEMBER.fullmatch(str(member)) and isinstance(value_of_member, str | int | float):
                    path = f"{name}/{member}" if isinstance(value, dict) else str(member)
                    self._add(f"{function} /{path}", value_of_member)

    def _add(self, name: str, value: object) -> None:
        text = str(value).strip()
        if not text or isinstance(value, bool) or (name not in self.values and len(self.values) >= MAX_NAMES):
            return
        known = self.values.setdefault(name, {})
        if len(known) < MAX_VALUES_PER_NAME:
            known[cut(text, MAX_VALUE_CHARACTERS)] = None

    def record(self) -> dict[str, list[str]] | None:
        """Return the reported values by the header or member that has them; None if there are none."""
        return {name: list(values) for name, values in self.values.items()} or None


def _without_arguments(request: RequestRecord | None) -> bool:
    try:
        call = json.loads(request.body) if request is not None else None
    except (ValueError, RecursionError):
        return False
    return isinstance(call, dict) and not call.get("data")
