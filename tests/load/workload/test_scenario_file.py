"""What a scenario file names is read from its text, and checked before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from load.command import Locust
from load.options import Wish, settle
from load.workload.scenario_file import read_scenario_file
from tests.support.load_driving import embedded

BUYER = """
from load import RpcUser, task


class Buyer(RpcUser):
    profile_user = "owner"

    @task
    def buy(self):
        self.call("course.find", query="x")
        self.resource("course")
        name = "course.read"
        self.call(name)


class Admin(Buyer):
    @task
    def look(self):
        self.call("user.list")
"""


def written(folder: Path, text: str, name: str = "checkout.py") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def test_it_names_functions_kinds_and_users(tmp_path: Path) -> None:
    found = read_scenario_file(written(tmp_path, BUYER))
    assert found.called == ["course.find", "user.list"]
    assert found.by_class == {"Buyer": ("course.find",), "Admin": ("user.list",)}
    assert [(name.text, name.line) for name in (*found.kinds, *found.users)] == [("course", 11), ("owner", 6)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = \n", r"checkout\.py:1: invalid syntax$"),
        ("x = 1\n", r"checkout\.py: has no user: write a class derived from load.RpcUser"),
        ("x = '\0'\n", r"checkout\.py"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        read_scenario_file(written(tmp_path, text))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "course.find",
            "course.fnid",
            r':10: the catalogue has no function course.fnid; did you mean "course.find"',
        ),
        (
            'resource("course")',
            'resource("cuorse")',
            r":11: the catalogue has no kind of objects cuorse; did you mean",
        ),
        ('"owner"', '"oscar"', r":6: the profile has no user oscar \(it has: owner"),
        ("course.find", "course.add", r":10: course.add does not only read, and this run is read-only"),
    ],
)
def test_what_the_catalogue_or_the_profile_lacks_is_said_with_its_line(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    profile, catalog = embedded("http://127.0.0.1:9/api/")
    found = read_scenario_file(
        written(tmp_path, BUYER.replace(old, new).replace('self.call("user.list")', "pass"))
    )
    with pytest.raises(UsageError, match=why):
        found.check(profile, catalog, writable=False)


def test_without_a_catalogue_any_function_may_be_called(tmp_path: Path) -> None:
    profile, _ = embedded("http://127.0.0.1:9/api/")
    text = BUYER.replace('self.resource("course")', "pass")
    read_scenario_file(written(tmp_path, text)).check(
        profile, Catalog.implicit(profile.auth.effects), writable=True
    )


def test_the_options_name_the_file_or_the_profile_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, BUYER)
    monkeypatch.chdir(tmp_path)
    settings = settle(Wish(scenario_file="checkout.py", rate="5/s"), Profile.empty())
    assert (settings.scenario_file, settings.scenario.name, settings.scenario.tasks) == (
        file,
        "checkout.py",
        True,
    )
    line = Locust(
        Wish(scenario_file="checkout.py"), settings, None, "http://127.0.0.1:9/", 1, tmp_path / "log"
    ).line()
    assert [one for one in line if "scenario" in one] == [f"--scenario-file={file}"]
    profile = Profile(
        load={"scenario_file": "checkout.py", "mix": {"a.b": 1.0}}, path=tmp_path / "conform.toml"
    )
    monkeypatch.chdir("/")
    settings = settle(Wish(), profile)
    assert (settings.scenario_file, settings.mix) == (file, None)
    assert settle(Wish(scenario="steady"), profile).scenario_file is None


@pytest.mark.parametrize(
    ("wish", "load", "why"),
    [
        (Wish(scenario_file="none.py"), {}, r"--scenario-file: there is no file .*none\.py$"),
        (
            Wish(scenario_file="x.py", scenario="steady"),
            {},
            r"--scenario-file and --scenario: .* leave one out",
        ),
        (Wish(scenario_file="x.py", mix="a.b=1"), {}, r"--scenario-file and --mix: .* leave one out"),
        (
            Wish(),
            {"scenario_file": "x.py", "scenario": "steady"},
            r"\[load\] scenario and scenario_file: leave one out",
        ),
        (Wish(), {"scenario_file": "none.py"}, r"\[load\] scenario_file: there is no file"),
    ],
)
def test_options_that_contradict_are_refused(wish: Wish, load: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        settle(wish, Profile(load=load))
