"""A real headless Chromium for tests; where there is none, they are left out, but in CI they fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.lacking import lacking

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

#: Where Chromium may be; CONFORM_CHROMIUM names another.
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Return the path of a Chromium, or skip the test with the reason; in CI, fail it."""
    path = os.environ.get("CONFORM_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        lacking("there is no Chromium (apt-get install chromium, or name one in CONFORM_CHROMIUM)")
    return path


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a headless Chromium; where playwright is not installed, the tests are left out, but in CI they fail."""
    if not os.environ.get("CI"):
        pytest.importorskip("playwright", reason="playwright is not installed")
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()


def grave(page: Page) -> list[str]:
    """Return what axe-core finds of serious or critical trouble in the page as it stands."""
    from axe_playwright_python.sync_playwright import Axe

    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def opened(chromium: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a page; whatever its scripts or its policy complain of fails the test."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    made = context.new_page()
    made.set_default_timeout(240_000)
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
