"""What a load sends: the mix's shares, bytes prepared ahead, data that is valid, and nothing left behind."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.protocol import profile_reader
from conformance.protocol.profile import Profile
from load.workload import created, mix
from load.workload.calls import Call
from load.workload.mix import WeightedCycle
from load.workload.workload import Work
from tests.support.events import record_of
from tests.support.judging import foreign, serving
from tests.support.load_driving import Answer, Driver, Outsider, driving, embedded, without_mix
from tests.support.loading import Limiter

MIX = {"course.find": 6, "course.read": 3, "course.add": 1}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def target(url: str) -> tuple[Profile, Catalog]:
    return embedded(url)


@pytest.fixture
def outsider(target: tuple[Profile, Catalog]) -> Iterator[Outsider]:
    somebody = Outsider(*target)
    yield somebody
    somebody.close()


def body_of(call: Call) -> dict[str, Any]:
    head, _, body = call.raw.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    assert lengths == [b"Content-Length: %d" % len(body)]
    found: dict[str, Any] = json.loads(body)
    return found


def tokens_of(call: Call) -> list[str]:
    head = call.raw.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("token:")]


# -- shares ------------------------------------------------------------------------------------------------


def deal(weighted_cycle: WeightedCycle, count: int) -> Counter[int]:
    return Counter(weighted_cycle.next() for _ in range(count))


def test_every_round_holds_the_shares_exactly() -> None:
    weighted_cycle = WeightedCycle([Fraction(6), Fraction(3), Fraction(1)], random.Random(1))
    assert weighted_cycle.round == 10
    rounds = [[weighted_cycle.next() for _ in range(10)] for _ in range(30)]
    assert all(Counter(each) == {0: 6, 1: 3, 2: 1} for each in rounds)
    assert len({tuple(each) for each in rounds}) > 10


@pytest.mark.parametrize(
    ("shares", "length"), [(("0.5", "1.5"), 4), (("2", "4"), 3), (("0.25", "0.05"), 6), (("7",), 1)]
)
def test_a_round_is_as_short_as_the_shares_let_it(shares: tuple[str, ...], length: int) -> None:
    weighted_cycle = WeightedCycle([Fraction(share) for share in shares], random.Random(1))
    assert weighted_cycle.round == length
    whole = sum(Fraction(share) for share in shares)
    wanted = {at: int(Fraction(share) * length / whole) for at, share in enumerate(shares)}
    assert deal(weighted_cycle, length) == wanted


def test_what_a_round_cannot_hold_is_paid_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix, "MAX_ROUND_CALLS", 10)
    # One in 31: no round of ten holds it exactly, 31 of them do.
    weighted_cycle = WeightedCycle([Fraction(30), Fraction(1)], random.Random(1))
    assert weighted_cycle.round == 10
    assert deal(weighted_cycle, 10 * 31) == {0: 300, 1: 10}


def test_the_mix_is_sent_as_its_shares_say(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix=MIX, isolation=0) as driver:
        for _ in range(5):
            assert driver.drive(10) == MIX
        assert {status for _, status in driver.statuses} == {200}
        assert driver.work.functions == list(MIX)


def test_a_mix_may_be_the_profiles(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, isolation=0) as driver:
        assert driver.drive(20) == {name: 2 * share for name, share in MIX.items()}


# -- bytes -------------------------------------------------------------------------------------------------


def test_a_call_is_a_whole_request_in_its_members_session(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix={**MIX, "course.catalog": 2}, isolation=0) as driver:
        for _ in range(48):
            call = driver.work.next()
            entity, _, function = call.function.partition(".")
            assert call.raw.startswith(f"POST /api/{entity} HTTP/1.1\r\nHost: ".encode())
            assert body_of(call)["method"] == function
            assert driver.work.functions[call.index] == call.function
            if call.function == "course.catalog":
                assert call.virtual_user is None
                assert tokens_of(call) == []
            else:
                assert call.virtual_user is not None
                assert tokens_of(call) == [call.virtual_user.token]
                assert call.epoch == call.virtual_user.epoch == 1


def test_data_is_valid_and_varied(target: tuple[Profile, Catalog]) -> None:
    profile, catalog = target
    mix = {"course.add": 2, "course.update": 2, "course.find": 2, "lesson.find": 1}
    with driving(profile, catalog, mix=mix, isolation=0) as driver:
        seen: dict[str, set[str]] = {name: set() for name in mix}
        for _ in range(140):
            call = driver.work.next()
            data = body_of(call)["data"]
            assert catalog[call.function].data.valid(data), data
            seen[call.function].add(json.dumps(data, sort_keys=True))
        assert all(len(different) >= 10 for name, different in seen.items() if name != "lesson.find"), seen
        assert len(seen["lesson.find"]) >= 4


def test_texts_of_creates_carry_the_tag_and_a_number_of_their_own(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix={"course.add": 1}, isolation=0) as driver:
        titles = [body_of(driver.work.next())["data"]["title"] for _ in range(100)]
        driver.work.created.unanswered.clear()  # they were never sent
        assert len(set(titles)) == 100
        assert all(title.startswith(driver.work.tag) for title in titles)


def test_lists_are_asked_for_in_pages(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix={"course.find": 1}, isolation=0) as driver:
        bodies = [body_of(driver.work.next()) for _ in range(30)]
    assert {body["pageLength"] for body in bodies} == {10, 20, 50}
    assert {body["pageStart"] for body in bodies} == {0}


def test_the_same_seed_makes_the_same_calls(target: tuple[Profile, Catalog]) -> None:
    def calls(seed: int) -> list[tuple[str, Any]]:
        with driving(*target, mix={"course.find": 3, "course.add": 1}, seed=seed) as driver:
            made = [driver.work.next() for _ in range(60)]
            driver.work.created.unanswered.clear()
            return [
                # Identifiers are the target's, which gives others each time.
                (call.function, {**body_of(call)["data"], "prerequisites": None})
                for call in made
            ]

    first, again, other = calls(5), calls(5), calls(6)
    assert first == again
    assert first != other


def test_members_take_turns(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix={"course.find": 1}, users=6, isolation=0) as driver:
        virtual_users = Counter(call.virtual_user for call in (driver.work.next() for _ in range(60)))
    assert list(virtual_users.values()) == [10] * 6


# -- rights ------------------------------------------------------------------------------------------------


def test_functions_of_a_role_go_to_those_who_have_it(target: tuple[Profile, Catalog]) -> None:
    mix = {"sys.stats": 1, "course.find": 3}
    with driving(*target, mix=mix, users=6, isolation=0) as driver:
        driver.drive(40)
        users: dict[str, set[str]] = {}
        for call in driver.calls:
            assert call.virtual_user is not None
            users.setdefault(call.function, set()).add(call.virtual_user.user)
        assert users == {"sys.stats": {"admin"}, "course.find": {"owner", "peer", "admin"}}
        assert {status for _, status in driver.statuses} == {200}


def test_a_role_that_nobody_has_is_refused(target: tuple[Profile, Catalog]) -> None:
    profile, catalog = target
    users = {name: user for name, user in profile.users.items() if name != "admin"}
    with pytest.raises(UsageError, match=r'sys\.stats cannot be called: it needs the role "admin"'):
        Work.prepare(replace(profile, users=users), catalog, mix={"sys.stats": 1})


WRONG = [
    ({"course.fnid": 1}, r'mix: the catalogue has no function course\.fnid; did you mean "course\.find"\?'),
    ({"course.find": 0}, r"there is nothing to send: give \[load\] mix functions"),
    ({"auth.logout": 1}, r"auth\.logout cannot be called: it ends the session that it is called in"),
    ({"course.remove": 1}, r"course\.remove uses up a course .* give course\.add a share of 1 or more"),
    ({"course.remove": 2, "course.add": 1}, r"give course\.add a share of 2 or more"),
]


@pytest.mark.parametrize(("mix", "message"), WRONG, ids=[next(iter(mix)) + str(len(mix)) for mix, _ in WRONG])
def test_a_mix_that_cannot_be_sent_is_refused(
    target: tuple[Profile, Catalog], mix: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Work.prepare(*target, mix=mix)


def test_a_read_only_load_only_reads(target: tuple[Profile, Catalog], outsider: Outsider) -> None:
    before = outsider.call("course.find")
    with driving(*target, mix=MIX, read_only=True, isolation=0) as driver:
        assert driver.work.left_out == [("course.add", "it does not only read, and this run is read-only")]
        assert driver.drive(30) == {"course.find": 20, "course.read": 10}
        assert {status for _, status in driver.statuses} == {200}
    assert outsider.call("course.find") == before


def test_a_read_only_load_of_writes_alone_is_refused(target: tuple[Profile, Catalog]) -> None:
    with pytest.raises(UsageError, match=r"nothing to send \(course\.add: it does not only read"):
        Work.prepare(*target, mix={"course.add": 1}, read_only=True)


def test_only_a_test_environment_is_loaded(target: tuple[Profile, Catalog]) -> None:
    profile, catalog = target
    profile.refuse_load()
    Profile.empty("http://localhost:9/api/").refuse_load()
    with pytest.raises(UsageError, match=r'live\.example\.com is no test environment.*environment = "test"'):
        Work.prepare(Profile.empty("https://live.example.com/api/"), catalog, mix=MIX, read_only=True)
    production = replace(profile, target=replace(profile.target, environment="production"))
    with pytest.raises(UsageError, match="is no test environment"):
        Work.prepare(production, catalog, mix=MIX)
    listed = replace(profile, target=replace(profile.target, production=(profile.host,)))
    with pytest.raises(UsageError, match="is a production host"):
        Work.prepare(listed, catalog, mix=MIX)


# -- objects -----------------------------------------------------------------------------------------------


def test_what_a_load_makes_is_removed(target: tuple[Profile, Catalog], outsider: Outsider) -> None:
    before = outsider.call("course.find")
    with driving(*target, mix=MIX, users=3, isolation=0) as driver:
        driver.drive(60)
        during = outsider.call("course.find")
        assert len(during["courses"]) >= len(before["courses"]) + 3
        assert driver.close() == []
    assert outsider.call("course.find") == before
    assert outsider.call("course.find", user="peer") is not None


def test_reads_and_updates_are_of_the_members_own_objects(target: tuple[Profile, Catalog]) -> None:
    mix = {"course.read": 1, "course.update": 1}
    with driving(*target, mix=mix, isolation=0) as driver:
        owners = {resource.id: resource.user for resource in driver.work.resources.owned()}
        driver.drive(60)
        for call in driver.calls:
            assert call.virtual_user is not None
            assert owners[body_of(call)["data"]["courseId"]] == call.virtual_user.user
        assert {status for _, status in driver.statuses} == {200}


def test_deletes_are_only_of_what_the_load_made(target: tuple[Profile, Catalog], outsider: Outsider) -> None:
    before = outsider.call("course.find")
    mix = {"course.add": 1, "course.remove": 1, "course.find": 2}
    with driving(*target, mix=mix, isolation=0) as driver:
        driver.drive(200)
        assert {status for _, status in driver.statuses} == {200}
        assert driver.work.substituted == 0
        deleted = [
            body_of(call)["data"]["courseId"] for call in driver.calls if call.function == "course.remove"
        ]
        assert len(set(deleted)) == len(deleted) == 50
        known = {row["courseId"] for row in before["courses"]}
        assert not known & set(deleted)
        assert driver.close() == []
    assert outsider.call("course.find") == before


def test_a_delete_that_would_name_something_else_is_withheld_and_reported(
    target: tuple[Profile, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    with driving(*target, mix={"course.add": 1, "course.remove": 1}, isolation=0) as driver:
        assert driver.drive(4) == {"course.add": 2, "course.remove": 2}
        assert not any("not sent" in remark for remark in driver.work.remarks())
        ownership = driver.work.resources.ownership
        monkeypatch.setattr(ownership, "data", lambda method, data: "courseId: it could be any course")
        # The mix goes on with calls that create.
        assert driver.drive(4)["course.remove"] == 0
        monkeypatch.undo()
        (remark,) = (remark for remark in driver.work.remarks() if "not sent" in remark)
        assert "could have acted on an object that the run did not make: course.remove (2)" in remark


def test_where_nothing_is_left_to_delete_something_is_made(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix={"course.add": 1, "course.remove": 1}, users=2, isolation=0) as driver:
        spares = sum(map(len, driver.work.stock.spares.values()))
        # Nothing is ever answered: what is made stays unknown.
        calls = [driver.work.next() for _ in range(100)]
        counts = Counter(call.function for call in calls)
        assert counts == {"course.remove": spares, "course.add": 100 - spares}
        assert driver.work.substituted == 50 - spares
        assert driver.work.remarks() == [
            f"{50 - spares} calls of functions that delete had nothing left to delete: "
            "as many more were of those that create"
        ]


def test_creates_without_an_answer_are_looked_for(
    target: tuple[Profile, Catalog], outsider: Outsider
) -> None:
    before = outsider.call("course.find")
    driver = Driver(Work.prepare(*target, mix={"course.add": 1}, users=2, seed=3, isolation=0))
    for _ in range(6):
        call = driver.work.next()
        learn, call.learn = call.learn, None
        driver.send(call)
        assert learn is not None
        learn(call, Answer(failure="timeout"))
    assert len(outsider.call("course.find")["courses"]) > len(before["courses"])
    assert driver.close() == []
    assert outsider.call("course.find") == before


def test_what_a_process_made_is_removed_by_another_from_what_it_reported(
    target: tuple[Profile, Catalog], outsider: Outsider
) -> None:
    before = outsider.call("course.find")
    mix = {"course.add": 2, "course.remove": 1, "lesson.add": 1}
    with driving(*target, mix=mix, users=2, seed=5, index=1, of=2, isolation=0) as driver:
        made: dict[str, None] = {}
        reported = 0
        for _ in range(4):
            driver.drive(12)
            news = json.loads(json.dumps(driver.work.news()))
            reported += len(news["made"])
            made.update(dict.fromkeys(news["made"]))
            for text in news["gone"]:
                del made[text]
        assert 0 < len(made) < reported  # what is deleted again is reported, too
        assert driver.work.news() == {"made": [], "gone": [], "beyond": {}}
        driver.drive(12)  # nobody hears of these any more
        options: dict[str, Any] = {"seed": 5, "index": 1, "of": 2}
        assert Work.inherit(*target, made, {}, (), **options) == []
        user = driver.work.virtual_users.all[0].user
        late = [json.dumps(row) for row in outsider.call("course.find", user=user)["courses"]]
        assert any(f"{driver.work.tag}-" in row for row in late)
        assert Work.inherit(*target, (), {}, ("course.add",), **options) == []
        late = [json.dumps(row) for row in outsider.call("course.find", user=user)["courses"]]
        assert not any(f"{driver.work.tag}-" in row for row in late)
    assert outsider.call("course.find") == before


def test_what_another_cannot_remove_either_is_listed(
    target: tuple[Profile, Catalog], outsider: Outsider
) -> None:
    with driving(*target, mix={"course.add": 1}, users=2, isolation=0) as driver:
        driver.drive(4)
        news = driver.work.news()
        profile, catalog = target
        lost = profile.with_target("http://127.0.0.1:1/api/")
        left_over = Work.inherit(lost, catalog, news["made"], {"note": 3}, ("course.add",), seed=7)
        left = [record_of(event) for event in left_over]
        assert len([each for each in left if each["event"] == "leftover"]) == len(news["made"]) + 1
        assert left[len(news["made"])]["id"] == "3 more"
        assert "could not sign in" in left[0]["reason"]


def test_the_tenth_workers_objects_are_not_taken_for_the_first_ones(
    target: tuple[Profile, Catalog], outsider: Outsider
) -> None:
    with driving(*target, mix={"course.add": 1}, users=1, seed=5, index=10, of=11, isolation=0) as driver:
        driver.drive(3)
        user = driver.work.virtual_users.all[0].user
        there = outsider.call("course.find", user=user)
        assert Work.inherit(*target, (), {}, ("course.add",), seed=5, index=1, of=1) == []
        assert outsider.call("course.find", user=user) == there


def test_what_cannot_be_removed_is_listed(
    target: tuple[Profile, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(created, "MAX_LISTED", 5)
    with driving(*target, mix={"payment.add": 1}, users=2, isolation=0) as driver:
        driver.drive(12)
        left = [each for each in driver.close() if each["kind"] == "payment"]
    assert {each["reason"] for each in left} == {"the catalogue has no function that deletes it"}
    assert len([each for each in left if each["id"].startswith("pay_")]) == 5
    assert [each["id"] for each in left if not each["id"].startswith("pay_")] == ["7 more"]
    assert set(left[0]) == {"event", "kind", "id", "function", "reason"}


def test_a_removal_that_is_interrupted_says_what_is_left(
    target: tuple[Profile, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(Work.prepare(*target, mix={"course.add": 1}, users=2, isolation=0))
    driver.drive(5)
    made = {str(resource.id) for resource in (*driver.work.created.objects, *driver.work.resources.owned())}
    resources = driver.work.resources
    remove = resources.remove

    def interrupted(resource: Any) -> str | None:
        raise KeyboardInterrupt

    monkeypatch.setattr(resources, "remove", interrupted)
    left = driver.close()
    assert {each["id"] for each in left} == made
    assert {each["reason"] for each in left} == {"the removal was interrupted"}
    monkeypatch.setattr(resources, "remove", remove)
    assert driver.work.close() == []


@pytest.mark.parametrize(("status", "after"), [(429, "1"), (503, "0"), (429, None)])
def test_a_removal_that_the_target_puts_off_is_tried_again(status: int, after: str | None) -> None:
    with serving() as url, Limiter(url, status, after) as limiter:
        driver = Driver(Work.prepare(*embedded(limiter.url), mix={"course.add": 1}, users=2, isolation=0))
        driver.drive(20)
        limiter.limit = 12
        assert driver.close() == []
        assert limiter.refused > 0
        outsider = Outsider(*embedded(url))
        assert "conform-load" not in json.dumps(outsider.call("course.find", page_length=100))
        outsider.close()


def test_a_removal_that_is_put_off_for_longer_than_there_is_is_listed() -> None:
    with serving() as url, Limiter(url, 429, "3600") as limiter:
        driver = Driver(Work.prepare(*embedded(limiter.url), mix={"course.add": 1}, users=2, isolation=0))
        driver.drive(4)
        limiter.limit = 0
        left = driver.close()
    assert len(left) >= 4
    assert all("429" in each["reason"] for each in left)


def test_what_is_left_on_a_target_that_went_away_is_listed() -> None:
    with serving() as url:
        driver = Driver(Work.prepare(*embedded(url), mix={"course.add": 1}, users=2, isolation=0))
        driver.drive(6)
        made = {
            str(resource.id) for resource in (*driver.work.created.objects, *driver.work.resources.owned())
        }
    left = driver.close()
    assert len(made) >= 6
    assert {each["id"] for each in left} == made
    assert all("no answer" in each["reason"] for each in left)


def test_what_piles_up_is_removed_while_the_load_goes_on(
    target: tuple[Profile, Catalog], monkeypatch: pytest.MonkeyPatch, outsider: Outsider
) -> None:
    monkeypatch.setattr(created, "MAX_OBJECTS", 10)
    monkeypatch.setattr(created, "SWEEP_OBJECTS", 5)
    before = outsider.call("course.find")
    with driving(*target, mix={"course.add": 1, "course.read": 1}, users=2, isolation=0) as driver:
        for _ in range(8):
            driver.drive(20)
            driver.work.clean_up.sweep()
        assert len(driver.work.created.objects) <= 10
        assert {status for _, status in driver.statuses} == {200}
        assert driver.close() == []
    assert outsider.call("course.find") == before


# -- without a mix, and other targets ----------------------------------------------------------------------


def test_without_a_mix_the_reads_are_sent_and_creates_with_their_deletes(
    target: tuple[Profile, Catalog],
) -> None:
    profile, catalog = target
    with driving(without_mix(profile), catalog, isolation=0) as driver:
        assert driver.work._weighted_cycle is not None
        sent = driver.drive(driver.work._weighted_cycle.round)
        assert {status for _, status in driver.statuses} == {200}
        for name in sent:
            method = catalog[name]
            pair = method.object is not None and method.object.does in ("create", "delete")
            assert method.effect == "read" or pair, name
        assert sent["course.find"] == 6 * sent["course.add"] == 6 * sent["course.remove"]
        assert sent["course.read"] == 3 * sent["course.add"]
        assert sum(sent.values()) == driver.work._weighted_cycle.round
        # Payments cannot be removed, so none is made just to be read.
        assert "payment.add" not in sent
        assert driver.close() == []


def test_logins_in_a_mix_are_ended(target: tuple[Profile, Catalog], outsider: Outsider) -> None:
    with driving(*target, mix={"auth.login": 1, "auth.loginHmac": 1}, users=2, isolation=0) as driver:
        answers = [driver.send(driver.work.next()) for _ in range(10)]
        assert {answer.status for answer in answers} == {200}
        tokens = [json.loads(answer.body)["data"]["sessionId"] for answer in answers]
        assert len(set(tokens)) == 10
        driver.close()
        for token in tokens:
            assert outsider.caller.call("auth.status", {}, token=token).status == 401


@pytest.mark.parametrize("module", ["library", "tickets"])
def test_other_domains_are_loaded_as_well(module: str) -> None:
    with foreign(module) as ready:
        profile = profile_reader.load(Path(ready["profile"])).with_target(ready["url"])
        catalog = Catalog.load(ready["catalog"])
        for given in (profile, without_mix(profile)):
            with driving(given, catalog, isolation=0) as driver:
                assert driver.work._weighted_cycle is not None
                sent = driver.drive(max(40, driver.work._weighted_cycle.round))
                # What lies beyond the schema may be refused (DAT-1); nothing else is.
                wrong = {
                    (name, status)
                    for name, status in driver.statuses
                    if status != 200 and not (status == 400 and catalog[name].beyond_schema)
                }
                assert not wrong
                assert len(sent) > 1


def test_a_target_without_a_catalogue_says_what_is_lacking(url: str) -> None:
    profile = Profile.empty(url)
    with pytest.raises(UsageError, match=r"nothing to send.*a catalogue"):
        Work.prepare(profile, Catalog.implicit(profile.auth.effects))
    with pytest.raises(UsageError, match=r"no function course\.find: the profile names no catalogue"):
        Work.prepare(profile, Catalog.implicit(profile.auth.effects), mix={"course.find": 1})
