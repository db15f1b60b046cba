"""The page of a run in a real headless Chromium: opened, filtered, searched, copied from, printed, looked over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from reports.compare import render as compare_show
from reports.compare.rules import compare
from reports.model.store import Stored
from reports.render.html import index
from reports.render.html import load_section as loads
from reports.render.html import page as html
from tests.support.browsing import browser, grave
from tests.support.reporting import hostile, loaded, sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: What a CI server that shows artifacts may send: no script runs, no style counts.
STRICT = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"


#: Two loads, the second with a reset, errors, and slower.
LOADS = (
    loaded(seconds=40, seed=1),
    loaded(seconds=40, seed=2, slower=2, stall=20, errors={"timeout": 40, "status 503": 12}),
)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    paths = {}
    for name, report in (("sample", sample()), ("hostile", hostile())):
        paths[name] = folder / f"{name}.html"
        paths[name].write_bytes(html.render(report))
    runs = [Stored(folder / f"run {number}", report) for number, report in enumerate(LOADS)]
    runs.append(Stored(folder / "check", sample()))
    comparison = compare(runs[0], runs[1])
    made = {
        "load": html.render(runs[1].report, comparison=comparison),
        "compare": compare_show.page(comparison),
        "index": index.render(runs),
    }
    for name, data in made.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_bytes(data)
    return paths


class Opened:
    """A page that was opened from its file, with everything that it complained of or asked for."""

    def __init__(self, chrome: Browser, path: Path, fragment: str = "", **context: Any) -> None:
        self.context = chrome.new_context(**context)
        self.page: Page = self.context.new_page()
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri() + fragment)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert self.troubles == []
        assert len(self.asked) == 1, self.asked


def rules(page: Page) -> list[str]:
    return [each.inner_text() for each in page.locator(".rule:visible > summary .id").all()]


def test_it_filters_by_verdict_area_and_function(chrome: Browser, files: dict[str, Path]) -> None:
    with Opened(chrome, files["sample"]) as page:
        assert len(rules(page)) == 7
        assert page.locator("#seen").inner_text() == "7 of 7 rules, 5 findings"
        page.locator("button[data-verdict=pass]").click()
        assert rules(page) == ["ENV-5", "ENV-8", "ENV-6", "PAG-1", "SEC-1"]
        page.locator("#area").select_option("ENV")
        assert rules(page) == ["ENV-5", "ENV-8", "ENV-6"]
        page.locator("#function").select_option("course.find")
        assert rules(page) == ["ENV-5", "ENV-8"]
        assert page.locator("#seen").inner_text() == "2 of 7 rules, 2 findings"
        page.locator("#clear").click()
        assert len(rules(page)) == 7


def test_it_searches(chrome: Browser, files: dict[str, Path]) -> None:
    with Opened(chrome, files["sample"]) as page:
        page.keyboard.press("/")
        page.keyboard.type("number timeout")
        expect(page.locator(".rule:visible")).to_have_count(1)
        assert rules(page) == ["ENV-5"]
        page.locator(".rule:visible > summary").click()
        assert page.locator(".finding:visible").count() == 1
        page.locator("#search").fill("nothing has these words")
        page.locator("#none").wait_for(state="visible")
        assert rules(page) == []


def test_a_link_opens_what_it_leads_to(chrome: Browser, files: dict[str, Path]) -> None:
    place = html.anchor_of("ENV-5", "course.read", "blank")
    with Opened(chrome, files["sample"], f"#{place}") as page:
        assert page.locator(f"#{place}").is_visible()
        page.locator(".tile", has_text="PAG-1").click()
        assert page.locator("#PAG-1").is_visible()
        page.locator("#search").fill("ENV-5")
        expect(page.locator(".rule:visible")).to_have_count(1)
        page.evaluate("location.hash = '#COD-1'")  # of a rule that the search has hidden
        page.locator("#COD-1").wait_for(state="visible")


def test_it_expands_by_keyboard(chrome: Browser, files: dict[str, Path]) -> None:
    with Opened(chrome, files["sample"]) as page:
        page.locator(".rule > summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator(".rule").first.get_attribute("open") is not None
        page.locator("#expand").click()
        assert page.locator(".rule[open]").count() == 7


def test_it_copies(chrome: Browser, files: dict[str, Path]) -> None:
    place = html.anchor_of("ENV-5", "course.read", "blank")
    with Opened(
        chrome, files["sample"], f"#{place}", permissions=["clipboard-read", "clipboard-write"]
    ) as page:
        page.locator(f"#{place} button.copy").first.click()
        expect(page.locator("#heard")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == "curl -sS https://t-api.example/api/course"


def test_the_difference_is_marked(chrome: Browser, files: dict[str, Path]) -> None:
    place = html.anchor_of("ENV-5", "course.read", "blank")
    with Opened(chrome, files["sample"], f"#{place}") as page:
        marks = [text.strip() for text in page.locator(f"#{place} mark").all_inner_texts()]
        assert marks == ['"errMsg": "",']


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_axe_finds_nothing_grave(chrome: Browser, files: dict[str, Path], scheme: str, width: int) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    for name in ("sample", "hostile"):
        with Opened(chrome, files[name], **look) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if name == "hostile" and scheme == "dark":
                continue  # its colours are those of the sample
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
            assert grave(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if name != "sample":
                continue
            page.locator("#search").fill("nothing has these words")
            page.locator("#none").wait_for(state="visible")
            page.locator("button[data-verdict]").first.click()
            # What is closed and filtered is a part of what was examined above, but for this line.
            assert grave(page) == []


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [("load", "light", 360), ("load", "dark", 1280), ("compare", "light", 360), ("index", "dark", 360)],
)
def test_axe_finds_nothing_grave_in_loads(
    chrome: Browser, files: dict[str, Path], name: str, scheme: str, width: int
) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with Opened(chrome, files[name], **look) as page:
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert grave(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_chart_reports_its_values(chrome: Browser, files: dict[str, Path]) -> None:
    with Opened(chrome, files["load"], viewport={"width": 1280, "height": 900}) as page:
        chart = page.locator(".chart", has_text="Latency over time")
        plot = chart.locator("svg.plot")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        reported = chart.locator(".readout").inner_text()
        at = int(reported.split(" s:")[0])
        assert 10 < at < 30
        second = LOADS[1]["load"]["series"][at]
        assert f"p99 {loads.milliseconds(second['p99'])}" in reported
        plot.focus()
        page.keyboard.press("ArrowRight")
        assert chart.locator(".readout").inner_text().startswith(f"{at + 1} s: ")
        assert chart.locator("svg.plot g title").all_text_contents() == [
            "warm-up over",
            "reset: the target was reset",
        ]
        chart.locator("details summary").click()
        assert chart.locator("table tbody tr").count() >= 20


def test_nothing_of_a_hostile_target_runs(chrome: Browser, files: dict[str, Path]) -> None:
    with Opened(chrome, files["hostile"]) as page:
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        page.locator("#function").select_option(index=1)
        page.mouse.move(200, 400)
        assert page.evaluate("window.broken") is None
        assert page.title().startswith("nonconformant: http://h/</script><script>window.broken=1</script>")
        assert page.locator("iframe, img, svg[onload]").count() == 0


@pytest.mark.parametrize("name", ["sample", "hostile"])
def test_all_is_to_be_read_under_a_strict_policy(chrome: Browser, files: dict[str, Path], name: str) -> None:
    """No script runs and no style counts, as on an artifact page; what is hidden then opens as elements do."""
    context = chrome.new_context()
    try:
        page = context.new_page()
        body = files[name].read_bytes()
        headers = {"Content-Security-Policy": STRICT, "Content-Type": "text/html; charset=utf-8"}
        page.route("**/*", lambda route: route.fulfill(status=200, headers=headers, body=body))
        place = html.anchor_of("ENV-5", "course.read", "blank")
        page.goto(f"http://artifacts.example/report.html#{place}")
        assert page.locator("h1").inner_text() == "Nonconformant"
        assert page.locator("#tools").is_hidden()
        assert page.locator("button.copy:visible").count() == 0
        if name == "sample":
            assert page.locator(f"#{place}").is_visible()  # the browser opens what a fragment leads to
        page.locator(".rule > summary").last.click()
        assert page.locator(".rule > .body").last.is_visible()
    finally:
        context.close()


def test_it_prints(chrome: Browser, files: dict[str, Path], tmp_path: Path) -> None:
    with Opened(chrome, files["sample"]) as page:
        page.emulate_media(media="print")
        assert page.locator("#tools").is_hidden()
        assert page.locator("#ENV-5").is_visible()
        assert page.locator(f"#{html.anchor_of('ENV-5', 'course.find', 'blank')} pre").first.is_visible()
        data = page.pdf()
        assert data.startswith(b"%PDF-")
        assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 2
