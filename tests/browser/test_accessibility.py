"""Every page of the built book under axe-core: light and dark, wide and narrow, folded solutions open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
TOC = (Path(__file__).resolve().parents[2] / "_toc.yml").read_text("utf-8")
PAGES = [*re.findall(r"^[\s-]*(?:root|file):\s*([\w./-]+)\s*$", TOC, re.MULTILINE), "genindex", "search"]

COLORS = ["color-contrast", "link-in-text-block"]  # slow, and the only rules for which the theme matters
ALL = {"rules": {"target-size": {"enabled": True}}}  # axe's default (with best practices) and one more
ONLY_COLORS = {"runOnly": COLORS}
ALL_BUT_COLORS = {"rules": {**ALL["rules"], **{rule: {"enabled": False} for rule in COLORS}}}

# Opens what is folded. Then takes away what axe would measure again and again: outlines of glyphs, which it
# cannot judge, and tokens of code in a colour that the page has shown before.
PREPARE = """() => {
  document.querySelectorAll('details').forEach(e => { e.open = true; });
  document.querySelectorAll('.toggle-button[aria-expanded=false]').forEach(e => e.click());
  const seen = new Set();
  const again = [...document.querySelectorAll('article pre span')].filter(e => {
    if (e.id || e.children.length) return false;
    const looks = `${e.className} ${getComputedStyle(e).color}`;
    return seen.has(looks) || !seen.add(looks);
  });
  again.forEach(e => e.replaceWith(e.textContent));  // after all reading, or each read lays out the page
  document.querySelectorAll('article mjx-container svg').forEach(e => e.replaceChildren());
}"""


def settle(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    if page.locator(".math").count():
        page.wait_for_function("window.MathJax?.startup?.promise !== undefined")
        page.evaluate("MathJax.startup.promise.then(() => true)")


@pytest.fixture(scope="module")
def axe_script() -> str:
    return pytest.importorskip("axe_playwright_python.base", reason="pip install -e '.[browser]'").AXE_SCRIPT


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, browser: Browser, site: str, axe_script: str) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{site}{request.param}.html")
    settle(page)
    page.evaluate(PREPARE)
    page.evaluate(axe_script)
    yield page
    context.close()


def violations(page: Page, options: dict[str, Any]) -> list[str]:
    """What axe finds: rule, what it asks for, and where."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    run = "options => axe.run({resultTypes: ['violations'], ...options}).then(r => r.violations)"
    found: list[dict[str, Any]] = page.evaluate(run, options)
    return [
        f"{rule['id']}: {rule['help']}\n    at {node['target']}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def use(page: Page, theme: str) -> None:
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)


def check(page: Page, options: dict[str, Any]) -> None:
    found = violations(page, options)
    assert not found, f"{len(found)} violations on {page.url}\n" + "\n".join(found)


def test_axe_finds_nothing_in_the_light_theme(page: Page) -> None:
    use(page, "light")
    check(page, ALL)


def test_axe_finds_no_pale_text_in_the_dark_theme(page: Page) -> None:
    use(page, "dark")
    check(page, ONLY_COLORS)


def test_axe_finds_nothing_on_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    check(page, ALL_BUT_COLORS)
    page.set_viewport_size(WIDE)
