"""One browser and one local server for all tests of the built book."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from nnlib.explorers import ENGINES, Explorer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

# Page names in the order of _toc.yml, which is a list of ``root:`` and ``file:`` entries.
PAGES = re.findall(
    r"^[\s-]*(?:root|file):\s*([\w./-]+)\s*$", (ROOT / "_toc.yml").read_text("utf-8"), re.MULTILINE
)


def settle(page: Page) -> None:
    """Wait for the network, and for MathJax where the page has formulas."""
    page.wait_for_load_state("networkidle")
    if page.locator(".math").count():
        page.wait_for_function("window.MathJax?.startup?.promise !== undefined")
        page.evaluate("MathJax.startup.promise.then(() => true)")


def choose_another(within: Locator | Page, engine: Explorer) -> None:
    """Take the second entry of the first dropdown among the ipywidgets, and do the same to the engine."""
    control = next(control for control in engine.controls if control.kind == "choice")
    value, text = next(
        (value, text) for value, text in control.choices if value != engine.settings[control.name]
    )
    label = getattr(within, "page", within).get_by_text(control.label, exact=True)
    row = within.locator(".jupyter-widgets.widget-inline-hbox").filter(has=label)
    row.locator("select").select_option(label=text)
    engine.set(**{control.name: value})


def at_rest(view: Locator) -> tuple[int, float]:
    """Step and loss once they have stood still for a second; steps on their way may arrive until then."""
    deadline, before = time.monotonic() + 20, None
    while (now := (view.get_attribute("data-step"), view.get_attribute("data-loss"))) != before:
        assert time.monotonic() < deadline, f"still moving: {before} and then {now}"
        before = now
        view.page.wait_for_timeout(1000)
    return int(now[0] or "nan"), float(now[1] or "nan")


def unavailable(reason: str) -> NoReturn:
    """Skip on a reader's machine; fail in CI, where a skipped test would go unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: this must not be skipped)", pytrace=False)
    pytest.skip(reason)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """A local server that lets a busy browser wait: five connections in line, the default, are too few."""

    request_queue_size = 128


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book: _build/html, or what BOOK_HTML names."""
    folder = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
    if not (folder / "index.html").is_file():
        unavailable(f"no built book in {folder}: run make book first")
    return folder


@pytest.fixture(scope="session")
def where(html: Path) -> dict[str, str]:
    """Explorer -> a page that shows it; the playground first."""
    pages = sorted(html.glob("*/*.html"), key=lambda path: path.stem != "playground")
    found: dict[str, str] = {}
    for path in pages:
        for name in re.findall(r'<div class="explorer" data-explorer="([\w-]+)"', path.read_text("utf-8")):
            found.setdefault(name, path.relative_to(html).as_posix())
    assert set(found) == set(ENGINES), "every explorer stands in a page"
    return found


@pytest.fixture(scope="session")
def site(html: Path) -> Iterator[str]:
    """The address of a local server for the built book, ending in a slash."""
    handler = functools.partial(QuietHandler, directory=str(html))
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        unavailable("playwright is not installed: pip install -e '.[browser]'")
    executable = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if executable is None:
        unavailable("no Chromium on the PATH: install chromium with your system's package manager")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe_script() -> str:
    """Return the source of axe-core, to be run in a page."""
    try:
        from axe_playwright_python.base import AXE_SCRIPT
    except ModuleNotFoundError:
        unavailable("axe-playwright-python is not installed: pip install -e '.[browser]'")
    return AXE_SCRIPT
