"""The documentation page in a real browser: over `conform explore`, and as the reference service gives it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import conform
from conformance.harness import Embedded
from conformance.protocol.catalog import Catalog
from tests.browsing import browser, grave
from tests.exploring import PROFILE, Explore, Target, exploring, target
from tests.judging import foreign
from tests.service_client import PASSWORDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not os.environ.get("CI"):
        pytest.importorskip("playwright", reason="playwright is not installed")
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    embedded = Embedded("--fault", "envelope.blank-message")
    try:
        yield embedded.url
    finally:
        embedded.stop()


@pytest.fixture(scope="module")
def explore(service: str) -> Iterator[Explore]:
    with exploring("--target", service, "--profile", str(PROFILE)) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, explore: Explore) -> Iterator[Page]:
    yield from opened(chromium, explore.url)


def opened(chromium: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a page; whatever its scripts or its policy complain of fails the test."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    made = context.new_page()
    made.set_default_timeout(10_000)
    wrong: list[str] = []

    def refuse(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text) if is_ours(said.type, said.text) else None)
    made.on("dialog", refuse)
    # Nothing is asked of anybody but of who gave the page.
    home = "/".join(url.split("/")[:3]) + "/"
    made.on(
        "request", lambda asked: None if asked.url.startswith((home, "blob:")) else wrong.append(asked.url)
    )
    made.goto(url)
    made.wait_for_selector("html[data-ready]")
    yield made
    context.close()
    assert wrong == []


def is_ours(kind: str, text: str) -> bool:
    # Chromium itself writes down every answer of 400 and above.
    return kind in ("error", "warning") and "Failed to load resource" not in text


def function(page: Page, name: str) -> Locator:
    """Open a function, and wait for its form."""
    entity, _, method = name.partition(".")
    collection = page.locator(f'li.collection[data-url$="/{entity}"]')
    if not collection.locator("> details").evaluate("each => each.open"):
        collection.locator("> details > summary").click()
    item = collection.locator(f'li.procedure[data-method="{method}"]')
    if not item.locator("> details").evaluate("each => each.open"):
        item.locator("> details > summary").click()
    item.locator("form.try").wait_for()
    return item


def answered(item: Locator) -> Locator:
    item.locator("button.primary").click()
    item.locator(".result, .failure").first.wait_for()
    return item.locator(".result")


def log_in(page: Page, name: str) -> None:
    before = page.locator("#sessions li").count()
    page.locator("#users-list button", has_text=name).first.click()
    page.locator("#sessions li").nth(before).wait_for()


def test_endpoints_open_to_functions_and_functions_to_parameters(page: Page) -> None:
    row = page.locator('li.collection[data-url="/api/course"] li[data-method="read"] tr', has_text="courseId")
    assert not row.is_visible()
    function(page, "course.read")
    assert row.is_visible()
    assert "int" in row.locator("td.type").inner_text()
    assert "identifies a course" in row.inner_text()


def test_toggle_all(page: Page) -> None:
    summaries = page.locator("li.procedure > details > summary")
    assert not summaries.first.is_visible()
    page.click("#toggle-all")
    assert all(summaries.nth(at).is_visible() for at in range(summaries.count()))
    page.wait_for_selector('#toggle-all[aria-pressed="true"]')
    page.click("#toggle-all")
    assert not summaries.first.is_visible()


def test_the_fragment_keeps_what_is_open(page: Page, chromium: Browser) -> None:
    function(page, "course.find")
    page.fill("#search", "course")
    page.wait_for_url(re.compile("q=course"))
    url = page.url
    assert "#/course,course.find?q=course" in url
    for other in opened(chromium, url):
        other.locator('li[data-method="find"] form.try').first.wait_for()
        assert other.input_value("#search") == "course"
        assert not other.locator('li.collection[data-url="/api/sys"]').is_visible()


def test_search(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("lessonId withdraw")
    page.wait_for_selector("#none:not([hidden])")
    page.fill("#search", "withdraw")
    page.locator("#found", has_text=re.compile("^1 function$")).wait_for()
    assert page.locator('li[data-method="remove"]:visible').count() == 1
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""
    assert page.locator("li.collection:visible").count() == page.locator("li.collection").count()
    assert page.locator("li.procedure:visible").count() == 0


def test_the_keyboard_alone(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("sys.ping")
    page.locator("#found", has_text=re.compile("^1 function$")).wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.locator('li[data-method="ping"] form').wait_for()
    while page.evaluate("document.activeElement.textContent") != "Test":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator('li[data-method="ping"] .result .status.ok').wait_for()


def test_a_public_a_protected_and_a_forbidden_function(page: Page) -> None:
    result = answered(function(page, "sys.ping"))
    assert "200 OK" in result.inner_text()
    assert "rules kept" in result.locator(".rules-title").inner_text()
    assert " ms" in result.locator(".result-head").inner_text()
    result.locator("summary", has_text="curl").click()
    assert "curl -sS http://127.0.0.1" in result.locator(".curl code").inner_text()
    result.locator("summary", has_text="Response headers").click()
    assert "application/json" in result.locator(".headers").first.inner_text()

    assert "401 Unauthorized" in answered(function(page, "course.find")).inner_text()
    log_in(page, "owner")
    item = function(page, "course.find")
    item.locator("tr", has_text="pageLength").locator("input.number").fill("1")
    item.locator("button.primary").click()
    item.locator(".result .status.ok").wait_for()
    assert "as owner" in item.inner_text()
    item.locator("summary", has_text="Request body").click()
    assert '"pageLength": 1' in item.locator(".try > details pre").inner_text()

    forbidden = answered(function(page, "sys.stats"))
    assert "403 Forbidden" in forbidden.inner_text()
    # The service has a fault: a refusal without a message.
    assert "1 rule broken" in forbidden.locator(".rules-title").inner_text()
    verdict = forbidden.locator(".verdicts li.fail")
    assert "errMsg: a string with something in it" in verdict.inner_text()
    verdict.locator("a").click()
    page.wait_for_selector("#rule-ENV-5:target")
    assert page.locator("#rule-ENV-5").is_visible()


def test_a_form_of_every_kind_of_field(page: Page) -> None:
    log_in(page, "owner")
    item = function(page, "course.add")

    def cell(name: str) -> Locator:
        return item.locator("tr", has=page.locator(f'input[aria-label="Send {name}"]'))

    cell("title").locator("input:not([type=checkbox])").fill("Größe 👩‍🎓")
    cell("price").locator("input.number").fill("9.50")
    cell("isPrivate").locator("[role=switch]").check()
    cell("level").locator("select").select_option("advanced")
    for tag in ("one", "two"):
        cell("tags").locator("button.add").click()
        cell("tags").locator(".items input").last.fill(tag)
    cell("contact").locator("button.fill").click()
    cell("contact").get_by_label("contact.name", exact=True).fill("Ada")
    cell("contact").get_by_label("contact.email", exact=True).fill("ada@example.com")
    cell("labels").locator("textarea").fill('{"a": "b"}')
    item.locator("button.primary").click()
    item.locator(".result .status.ok").wait_for()
    item.locator("summary", has_text="Request body").click()
    sent = json.loads(item.locator(".try > details pre").inner_text())
    assert sent == {
        "method": "add",
        "data": {
            "title": "Größe 👩‍🎓",
            "price": 9.5,
            "isPrivate": True,
            "level": "advanced",
            "tags": ["one", "two"],
            "contact": {"name": "Ada", "email": "ada@example.com"},
            "labels": {"a": "b"},
        },
    }
    assert '"price":9.50' in item.locator(".try > details pre").inner_text().replace(" ", "")


def test_what_will_be_refused_is_told_and_sent_all_the_same(page: Page) -> None:
    log_in(page, "owner")
    item = function(page, "course.read")
    field = item.locator("input.number")
    field.fill("0.5")
    item.locator("button.primary").click()
    assert "courseId must be integer, not number" in item.locator(".complaints").inner_text()
    assert item.locator(".result").count() == 0
    item.locator(".complaints button").click()
    assert field.evaluate("each => each === document.activeElement")
    item.locator("button.primary", has_text="Send all the same").click()
    item.locator(".result").wait_for()
    assert "400 Bad Request" in item.locator(".result").inner_text()
    # Raw JSON is the way out of every field.
    item.locator("button.json-toggle").click()
    item.locator("textarea").fill("[1, {}")
    item.locator("button.primary").click()
    assert "is no JSON" in item.locator(".complaints").inner_text()


def test_a_complaint_names_its_place_and_marks_it(page: Page) -> None:
    log_in(page, "owner")
    item = function(page, "course.add")
    item.get_by_label("title", exact=True).fill("x")
    item.get_by_label("Add an item to tags").click()
    item.get_by_label("Fill in contact").click()
    item.get_by_label("contact.email", exact=True).fill("ada@example.com")
    item.locator("button.primary").click()
    assert item.locator(".complaints li").all_inner_texts() == [
        "tags[0] needs at least 1 character",
        "contact.name needs at least 1 character",
    ]
    marked = item.locator("[aria-invalid]")
    assert [each.get_attribute("aria-label") for each in marked.all()] == ["tags, item 1", "contact.name"]
    item.get_by_role("button", name="contact.name", exact=True).click()
    page.keyboard.type("Ada")
    assert marked.count() == 0
    assert item.get_by_label("contact.name", exact=True).input_value() == "Ada"


def test_the_focus_is_never_lost(page: Page) -> None:
    def focused() -> str:
        told: str = page.evaluate(
            "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
        )
        return told

    ping = function(page, "sys.ping")
    ping.locator("button.primary").focus()
    for count in (1, 2):  # a second time from where the first has left it
        page.keyboard.press("Enter")
        page.locator("#history-list > li").nth(count - 1).wait_for()
        page.wait_for_selector("button[aria-disabled]", state="detached")
        assert focused() == "Test"
    page.locator("#users-list button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#sessions li")
    page.get_by_role("button", name="Log out owner").focus()
    page.keyboard.press("Enter")
    page.locator("#login-results", has_text="The session of owner has ended.").wait_for()
    assert focused().startswith("owner")
    function(page, "course.add").get_by_label("Fill in contact").focus()
    page.keyboard.press("Enter")
    assert focused() == "contact.name"
    page.locator("#forget").focus()
    page.keyboard.press("Enter")
    assert focused().startswith("The calls that you make")


def test_a_phone_has_the_places_too(chromium: Browser, explore: Explore) -> None:
    for page in opened(
        chromium, explore.url, viewport={"width": 390, "height": 844}, reduced_motion="reduce"
    ):
        page.locator(".places a", has_text="Log in").click()
        page.wait_for_function("document.querySelector('#login').getBoundingClientRect().top < innerHeight")
        assert page.locator("#environment").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_login_form_and_two_sessions_side_by_side(page: Page) -> None:
    page.fill("#login-form [name=identity]", "admin@example.com")
    page.fill("#login-form [name=credential]", PASSWORDS["admin"])
    page.click("#login-form button")
    page.wait_for_selector("#sessions li")
    assert "admin" in page.locator("#sessions li").inner_text()
    assert page.input_value("#login-form [name=credential]") == ""
    log_in(page, "peer")
    item = function(page, "auth.status")
    item.locator("button", has_text="Compare sessions").click()
    item.locator(".comparison").wait_for()
    assert "3 different answers" in item.locator(".compared").inner_text()
    shown = item.locator(".result")
    assert shown.count() == 3
    assert "without a session" in shown.nth(0).inner_text()
    assert "admin@example.com" in shown.nth(1).inner_text()
    assert "peer@example.com" in shown.nth(2).inner_text()
    page.locator("#sessions li", has_text="peer").locator("button").click()
    page.locator("#sessions li").nth(1).wait_for(state="detached")
    assert PASSWORDS["admin"] not in page.content()


def test_a_wrong_login_is_shown(page: Page) -> None:
    page.fill("#login-form [name=identity]", "admin@example.com")
    page.fill("#login-form [name=credential]", "Not-The-Word-1")
    page.click("#login-form button")
    page.locator("#login-results .status").wait_for()
    assert page.locator("#sessions li").count() == 0
    assert "Not-The-Word-1" not in page.content()


def test_a_raw_command_with_each_verb(page: Page) -> None:
    raw = page.locator("#raw-form")
    raw.locator("[name=endpoint]").fill("sys")
    raw.locator("[name=body]").fill('{"method":"ping"')
    assert "No JSON: line 1, column 17" in raw.locator("#raw-check").inner_text()
    raw.locator("[name=body]").type("}")
    assert raw.locator("#raw-check").inner_text() == "JSON"
    raw.locator("[name=body]").press("Control+Enter")
    raw.locator(".status.ok", has_text="200 OK").wait_for()
    calls = page.locator("#history-list > li")
    for count, verb in enumerate(("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"), 1):
        raw.locator("[name=verb]").select_option(verb)
        raw.locator("[type=submit]").click()
        calls.nth(count).wait_for()
        assert "405" in calls.first.inner_text()
        assert f"{verb} sys.ping" in calls.first.inner_text()


def test_the_history_repeats(page: Page) -> None:
    answered(function(page, "sys.ping"))
    assert page.locator("#history-list > li").count() == 1
    page.get_by_role("button", name="Repeat sys.ping").click()
    page.locator("#history-list > li").nth(1).wait_for()
    page.get_by_role("button", name="Show sys.ping").first.click()
    assert "200 OK" in page.locator("#history-list .result").inner_text()
    page.click("#forget")
    assert page.locator("#history-list > li").count() == 0


def test_a_case_file_is_saved(page: Page, tmp_path: Path) -> None:
    item = function(page, "sys.ping")
    answered(item)
    with page.expect_download() as waiting:
        item.get_by_role("button", name="Save as case file").click()
    assert waiting.value.suggested_filename.endswith(".json")
    waiting.value.save_as(tmp_path / "case.json")
    assert json.loads((tmp_path / "case.json").read_text("utf-8"))["steps"][0]["function"] == "sys.ping"


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}‮"


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[tuple[Explore, Target]]:
    """An explorer whose catalogue and target both say what no page should run."""
    method = {
        "name": "evil.run",
        "description": HOSTILE,
        "params": [
            {
                "name": f"p{HOSTILE}",
                "description": HOSTILE,
                "schema": {"type": "string", "default": HOSTILE, "pattern": HOSTILE.replace("{{", "")},
            },
            {"name": "choice", "schema": {"enum": [HOSTILE, 1]}},
        ],
    }
    document = {"openrpc": "1.3.2", "info": {"title": HOSTILE, "version": "1"}, "methods": [method]}
    (tmp_path / "c.json").write_text(json.dumps(document), "utf-8")
    with target() as made:
        made.answer = json.dumps(
            {"isError": True, "errMsg": HOSTILE, HOSTILE: 9007199254740993, "data": {"__proto__": [HOSTILE]}},
            ensure_ascii=False,
        ).encode()
        made.heads = f"X-Odd: {HOSTILE[:-1]}\r\n"
        profile = tmp_path / "conform.toml"
        profile.write_text(f'[target]\nurl = "{made.url}"\ncatalog = "c.json"\n', "utf-8")
        with exploring("--profile", str(profile)) as running:
            yield running, made


def test_hostile_strings_are_text(chromium: Browser, hostile: tuple[Explore, Target]) -> None:
    explore, made = hostile
    for page in opened(chromium, explore.url):
        assert page.locator("h1").inner_text() == HOSTILE
        item = function(page, "evil.run")
        item.locator("button.primary").click()
        if item.locator("button.primary", has_text="Send all the same").count():
            item.locator("button.primary").click()
        item.locator(".result").wait_for()
        # What would turn the rest of the line around is shown as an escape.
        assert HOSTILE[:-1] + "\\u202e" in item.locator(".result .body").first.inner_text()
        # Numbers are shown as they came, not as a browser would round them.
        assert "9007199254740993" in item.locator(".result .body").first.inner_text()
        for summary in item.locator(".result summary").all():
            summary.click()
        page.wait_for_timeout(200)
        assert "\u202e" not in item.locator(".result").inner_text()
        assert page.locator("main script, main img").count() == 0
        assert len(made.got) == 1


@pytest.mark.parametrize(
    ("name", "opener", "function_", "fields"),
    [
        ("library", "marian", "book.create", {"title": "Tove"}),
        ("tickets", "olof", "ticket.open", {"subject": "?"}),
    ],
)
def test_a_target_of_another_domain(
    chromium: Browser, name: str, opener: str, function_: str, fields: dict[str, str], tmp_path: Path
) -> None:
    with (
        foreign(name) as server,
        exploring("--target", server["url"], "--profile", server["profile"]) as running,
    ):
        original = Catalog.load(Path(server["catalog"]))
        for page in opened(chromium, running.url):
            log_in(page, opener)
            item = function(page, function_)
            for field, value in fields.items():
                item.get_by_label(field, exact=True).fill(value)
            assert "200 OK" in answered(item).inner_text()
            assert f"as {opener}" in item.locator(".result-head").inner_text()
            assert grave(page) == []
        # The page is read back by our own importer.
        out = tmp_path / "back.json"
        assert conform.main(["catalog", "import", running.url, "--out", str(out)]) == 0
        back = Catalog.load(out)
        assert list(back.methods) == list(original.methods)
        for method in original:
            assert [(param.name, param.required) for param in back[method.name].params] == [
                (param.name, param.required)
                for param in sorted(method.params, key=lambda param: not param.required)
            ]


def test_defaults_and_examples_are_filled_in_and_limits_explained(chromium: Browser, tmp_path: Path) -> None:
    schemas = {
        "fallback": {"type": "string", "default": "as it stands", "examples": ["no"], "pattern": "^[a-z ]+$"},
        "shown": {"type": "integer", "examples": [17], "minimum": 3, "maximum": 20},
        "choice": {"enum": ["one", "two"], "default": "two"},
        "many": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"], "maxItems": 4},
        "inner": {
            "type": "object",
            "properties": {"at": {"type": "number", "examples": [0.5]}},
            "required": ["at"],
        },
        "odd": {"type": "integer"},
    }
    params = [{"name": each, "required": True, "schema": schema} for each, schema in schemas.items()]
    document: dict[str, Any] = {"openrpc": "1.3.2", "info": {"title": "T", "version": "1"}}
    document["methods"] = [{"name": "thing.make", "params": params, "x-auth": "none"}]
    (tmp_path / "c.json").write_text(json.dumps(document), "utf-8")
    with target() as made:
        profile = tmp_path / "conform.toml"
        profile.write_text(f'[target]\nurl = "{made.url}"\ncatalog = "c.json"\n', "utf-8")
        with exploring("--profile", str(profile)) as running:
            for page in opened(chromium, running.url):
                item = function(page, "thing.make")
                words = item.locator("table").inner_text()
                for limit in ("matches ^[a-z ]+$", "3 to 20", "at most 4 items"):
                    assert limit in words
                item.locator("button.primary").click()
                assert item.locator(".complaints li").all_inner_texts() == ["odd is empty"]
                item.get_by_label("odd", exact=True).fill("1")
                answered(item)
        assert json.loads(made.got[-1].partition(b"\r\n\r\n")[2])["data"] == {
            "fallback": "as it stands",
            "shown": 17,
            "choice": "two",
            "many": ["a", "b"],
            "inner": {"at": 0.5},
            "odd": 1,
        }


def test_a_target_of_which_nothing_is_known(chromium: Browser, service: str) -> None:
    with exploring("--target", service) as running:
        for page in opened(chromium, running.url):
            assert "conform catalog import" in page.locator("#none").inner_text()
            assert not page.locator("#login-form").is_visible()
            page.fill("#raw-form [name=endpoint]", "sys")
            page.fill("#raw-form [name=body]", '{"method":"ping"}')
            page.click("#raw-form [type=submit]")
            page.locator("#raw-form .status.ok").wait_for()
            assert grave(page) == []


def test_the_service_gives_the_page_itself(chromium: Browser, service: str) -> None:
    for page in opened(chromium, service.replace("/api/", "/docs/")):
        assert "401" in answered(function(page, "auth.status")).inner_text()
        page.fill("#login-form [name=identity]", "owner@example.com")
        page.fill("#login-form [name=credential]", PASSWORDS["owner"])
        page.click("#login-form button")
        page.wait_for_selector("#sessions li")
        item = function(page, "auth.status")
        item.locator("button.primary").click()
        item.locator(".result .status.ok").wait_for()
        assert "owner@example.com" in item.locator(".result").inner_text()
        assert "conform explore" in item.locator(".rules-side").inner_text()
        login = function(page, "auth.login")
        login.get_by_label("identity", exact=True).fill("peer@example.com")
        login.get_by_label("credential", exact=True).fill(PASSWORDS["peer"])
        result = answered(login)
        assert '"sessionId": "***"' in result.inner_text()
        assert page.locator("#sessions li").count() == 2
        result.locator("summary", has_text="curl").click()
        assert PASSWORDS["peer"] not in result.inner_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_grave(chromium: Browser, explore: Explore, scheme: str, width: int) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 844}}
    for page in opened(chromium, explore.url, **options):
        log_in(page, "owner")
        page.click("#toggle-all")
        page.locator(".rules > summary").nth(2).click()
        item = function(page, "course.add")
        item.locator("button.primary").click()
        item.locator(".complaints ul").wait_for()
        item.locator("button.fill").first.click()
        stats = function(page, "sys.stats")
        answered(stats)
        for summary in stats.locator(".result summary").all():
            summary.click()
        compared = function(page, "auth.status")
        compared.locator("button", has_text="Compare sessions").click()
        compared.locator(".comparison").wait_for()
        assert grave(page) == []
        # Nothing sticks out to the side.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
