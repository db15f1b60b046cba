"""Scenarios name no function: the catalogue says which are called, and what is missing is reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.protocol import profile_reader
from conformance.protocol.profile import Profile
from load.options import SCENARIOS
from load.workload.scenarios import PARTS, cast
from tests.support.judging import foreign, serving
from tests.support.load_driving import PROFILE, ROOT, Outsider, driving, embedded


@pytest.fixture(scope="module")
def library() -> Iterator[tuple[Profile, Catalog]]:
    with foreign("library") as ready:
        yield profile_reader.load(Path(ready["profile"])), Catalog.load(ready["catalog"])


@pytest.fixture(scope="module")
def tickets() -> Iterator[tuple[Profile, Catalog]]:
    with foreign("tickets") as ready:
        yield profile_reader.load(Path(ready["profile"])), Catalog.load(ready["catalog"])


def test_every_scenario_of_tasks_has_its_parts() -> None:
    assert {name for name, scenario in SCENARIOS.items() if scenario.tasks} == set(PARTS)


def test_the_embedded_service_plays_them_all() -> None:
    target = embedded("http://127.0.0.1:9/api/")
    student, teacher, storm = (cast(name, *target) for name in ("student", "teacher", "signin"))
    assert student.kind == teacher.kind == "course"
    assert student.functions == {"list": "course.find", "read": "course.read", "whoami": "auth.status"}
    assert teacher.functions == {
        "create": "course.add",
        "read": "course.read",
        "update": "course.update",
        "list": "course.find",
        "delete": "course.remove",
    }
    assert storm.functions == {"login": "auth.login", "whoami": "auth.status"}
    assert storm.kind is None


def test_other_names_for_the_same_objects_do_as_well(library: tuple[Profile, Catalog]) -> None:
    profile, catalog = library
    for name in PARTS:
        played = cast(name, profile, catalog)
        for part, function in played.functions.items():
            if part in ("login", "whoami"):
                continue
            role = catalog[function].object
            assert role is not None
            assert (role.kind, role.does) == (played.kind, part)


def test_what_the_catalogue_lacks_is_said(tickets: tuple[Profile, Catalog]) -> None:
    profile, catalog = tickets
    assert cast("student", profile, catalog).kind == "ticket"
    message = (
        r'"teacher" creates, reads and changes objects of one kind, and the catalogue has none such: '
        r"the nearest is ticket, of which no function that the profile's users may call changes it"
    )
    with pytest.raises(UsageError, match=message):
        cast("teacher", profile, catalog)


LACKS = [
    ("student", {"catalog": None}, r"lists and reads objects .* there is no catalogue to tell how"),
    ("teacher", {"writable": False}, r"creates, reads and changes objects .* which a read-only run may not"),
    ("signin", {"login": None}, r'"signin" signs users in, and the profile names no login function'),
    ("signin", {"users": {}}, r'"signin" signs users in, and the profile names no users'),
    ("student", {"objects": False}, r"says of no function what it does with objects: add x-object"),
]


@pytest.mark.parametrize(("name", "without", "message"), LACKS)
def test_what_else_may_be_lacking(name: str, without: dict[str, Any], message: str) -> None:
    profile, catalog = embedded("http://127.0.0.1:9/api/")
    if "login" in without:
        profile = replace(profile, auth=replace(profile.auth, login=None))
    if "users" in without:
        profile = replace(profile, users={})
    if "catalog" in without:
        catalog = Catalog.implicit(profile.auth.effects)
    if "objects" in without:
        catalog = Catalog({each.name: replace(each, object=None) for each in catalog})
    with pytest.raises(UsageError, match=message):
        cast(name, profile, catalog, writable=without.get("writable", True))


def test_a_users_session_is_nobody_elses() -> None:
    with serving() as url, driving(*embedded(url), mix={}, also=("course.find",), users=2) as driver:
        joined = [driver.work.join(("course.find",)) for _ in range(4)]
        assert None not in joined
        assert len({virtual_user.token for virtual_user in joined if virtual_user}) == 4
        assert joined[0] is not None
        driver.work.leave(joined[0])
        assert driver.work.join() is joined[0]
        reply = driver.send(driver.work.call("course.find", joined[3]))
        assert reply.status == 200


@pytest.mark.parametrize("name", ["student", "teacher", "signin"])
def test_locust_plays_it(name: str, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with serving() as url:
        outsider = Outsider(*embedded(url))
        before = outsider.call("course.find")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", "load/locustfile.py", "--headless", "--only-summary"),
                *("--profile", str(PROFILE), "--host", url, "-u", "3", "-r", "100", "--seed", "3"),
                *("--scenario", name, "--rate", "40/s", "--duration", "1s"),
            ],
            cwd=ROOT,
            env={**os.environ, "CONFORM_LOAD_EVENTS": str(events)},
            capture_output=True,
            text=True,
            timeout=600,
        )
        # 3: this machine may be too busy to say anything of the target, and says so.
        assert done.returncode in (0, 3), done.stdout + done.stderr
        assert outsider.call("course.find") == before
        outsider.close()
    end = [json.loads(line) for line in events.read_text().splitlines()][-1]
    assert end["event"] == "load-end"
    counts = end["functions"] if "functions" in end else end["load"]["functions"]
    used = {function for function, count in counts.items() if count["requests"]}
    main = {"student": {"course.find"}, "teacher": {"course.read", "course.update"}, "signin": {"auth.login"}}
    assert main[name] <= used
    assert "left over" not in done.stderr


def test_locust_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    profile = tmp_path / "conform.toml"
    profile.write_text('[target]\nurl = "http://127.0.0.1:9/api/"\n')
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", "load/locustfile.py", "--headless"),
            *("--profile", str(profile), "--scenario", "student"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert 'locust: the scenario "student" lists and reads objects' in done.stderr
