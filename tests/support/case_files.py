"""Case files for tests: a run without tests, valid cases and invalid ones."""

from __future__ import annotations

import json
from typing import Any

from conformance.cases.format import (
    Case,
    Expect,
    Step,
)
from conformance.engine.conclusion import Options
from conformance.engine.harness import Harness, Request
from conformance.engine.runner import Run
from tests.support.recording import PROFILE

OBJECT = {"$object": {"kind": "course", "of": "owner", "name": "course1"}}


def opened(url: str, **options: Any) -> Run:
    """Return a run on a server, without any test."""
    harness = Harness.prepare(Request(target=url, profile=PROFILE, seed=7))
    harness.connect()
    return Run(
        harness.profile,
        harness.catalog,
        Options(seed=7, rules=frozenset(), deadline=120.0, **options),
        lambda event: None,
        confirm=False,
    )


# --- the format ---

STEPS = [
    Step(function="sys.ping"),
    Step(user="owner", function="course.read", data={"courseId": OBJECT}, expect=Expect(status=(403, 404))),
    Step(user="owner", session=2, function="course.find", data=None, page_start=0, page_length=False),
    Step(user="owner", opens=3, function="auth.login", data={"identity": {"$user": "owner"}}),
    Step(function="course.add", data={}, gives="course1", together=0, saw={"status": 200, "data": {}}),
    Step(verb="GET", target="course?x=1", body="", content_type=None, chunked=True),
    Step(target="/etc", body={"$bytes": "AP8="}, headers=(("Cookie", {"$token": 3}), ("X", "y"))),
    Step(function="course.read", body={"$text": ["{", OBJECT, {"$bytes": "/w=="}]}, token_header="TOKEN"),
    Step(raw={"$text": ["POST ", {"$base": "path"}, " HTTP/1.1\r\n\r\n"]}, token={"$token": 0}),
    Step(
        function="course.find",
        data=[],
        expect=Expect(rule="ENV-5", equals={"": 1, "/a": None}, has=(OBJECT,), lacks=(1,)),
    ),
]


def a_case(*steps: Step, **members: Any) -> Case:
    whole: dict[str, Any] = {"rule": "REQ-8", "function": "course.read", "kind": "k", "message": "m"}
    return Case(**(whole | {"expected": "e", "actual": "a", "steps": steps or (STEPS[0],)} | members))


def invalid_data(**members: Any) -> str:
    return json.dumps(a_case().to_json() | members)


def with_step(**members: Any) -> str:
    return invalid_data(steps=[Step(function="a.b").to_json(), {"as": None, "function": "a.b"} | members])


BAD = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("[]", "object"),
    ("\ud800", "UTF-8"),
    ("[" * 100_000, "deep"),
    ('{"format": NaN}', "NaN"),
    ("{}", "no format"),
    (invalid_data(format=2), "format 2"),
    (invalid_data(format=True), "format True"),
    (invalid_data(rule="ENV-99"), "ENV-99"),
    (invalid_data(rule=None), "rule"),
    (invalid_data(steps=[]), "steps"),
    (invalid_data(steps={}), "steps"),
    (invalid_data(surplus=1), "surplus"),
    (invalid_data(users={"owner": []}), "users.owner"),
    (with_step(function="course"), "steps[1]"),
    (with_step(function=None), "steps[1]"),
    (with_step(surplus=1), "steps[1].surplus"),
    (with_step(session="1"), "steps[1].session"),
    (with_step(session=1), "steps[1]"),
    (with_step(session=True, **{"as": "owner"}), "steps[1].session"),
    (with_step(opens=1), "steps[1]"),
    (with_step(headers=[["a"]]), "steps[1].headers"),
    (with_step(headers=[["a\r\nb", "c"]]), "steps[1]"),
    (with_step(verb="G T", body=""), "steps[1]"),
    (with_step(body=1), "steps[1].body"),
    (with_step(body="", raw=""), "steps[1]"),
    (with_step(body="", body64=""), "steps[1]"),
    (with_step(body64="?"), "$bytes"),
    (with_step(expect={"status": [1]}), "steps[1].expect.status"),
    (with_step(expect={"status": 200}), "steps[1].expect.status"),
    (with_step(expect={"rule": "STA-1"}), "steps[1].expect.rule"),
    (with_step(expect={"equals": {"a": 1}}), "steps[1].expect.equals"),
    (with_step(data={"x": [{"$object": {"kind": "course"}}]}), "$object"),
    (with_step(data={"$secret": "/etc/passwd"}), "$secret"),
    (with_step(data={"$text": [1]}), "$text"),
    (with_step(token={"$token": -1}), "$token"),
]
