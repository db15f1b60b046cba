"""A real headless Chromium for tests; where there is none, they are left out, but in CI they fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.lacking import lacking

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

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
    """Run a headless Chromium."""
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
