"""A browser, and a page that is opened in it: what the console says and what the page asks for is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Opened(NamedTuple):
    """A page in the browser, and what went wrong: errors, warnings of the console, and requests but for the file's."""

    page: Any
    wrong: list[str]

    def cell(self, text: str) -> Any:
        """The first button with a number."""
        return self.page.locator("button[data-cell]", has_text=text).first


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium here (on Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])  # which root has to say
        yield made
        made.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable[..., Opened]]:
    """Opens a file, as a browser of the given width, scheme and so on would."""
    contexts = []

    def open_(path: Path, *, width: int = 1200, height: int = 900, **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page, wrong = context.new_page(), []
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        local = (path.resolve().as_uri(), "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(local) or wrong.append(f"asked for {request.url}"))
        page.goto(path.resolve().as_uri())
        return Opened(page, wrong)

    yield open_
    for context in contexts:
        context.close()
