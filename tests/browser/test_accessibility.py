"""Every page of the built book under axe-core and under the keyboard: light and dark, wide and narrow, folded
solutions open, explorers live, still loading, and without Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from nnlib.explorers import ENGINES

from .conftest import PAGES, PHONE, WIDE, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route

pytestmark = pytest.mark.browser

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
  // axe finds no text in MathML, which screen readers do read: a header may be a formula
  document.querySelectorAll('article th mjx-assistive-mml').forEach(e => { e.textContent = e.textContent; });
}"""
DRAWN = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))"


def reach(explorer: Locator, state: str) -> None:
    """Scroll to an explorer and wait for its state."""
    explorer.scroll_into_view_if_needed()
    explorer.page.wait_for_function(
        "([root, state]) => [state, 'failed'].includes(root.dataset.state)",
        arg=[explorer.element_handle(), state],
        timeout=120_000,
    )
    assert explorer.get_attribute("data-state") == state, explorer.locator("[role=alert]").all_inner_texts()


SOURCES = ["functional", "explorers/engine"]  # between them they have every kind of token
GENERATED = ["genindex", "search", "_modules/index", *(f"_modules/nnlib/{name}" for name in SOURCES)]


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One context for all pages, so that MathJax and Python are fetched once."""
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture(scope="module", params=[*PAGES, *GENERATED])
def page(
    request: pytest.FixtureRequest, context: BrowserContext, site: str, axe_script: str
) -> Iterator[Page]:
    page = context.new_page()
    page.goto(f"{site}{request.param}.html")
    settle(page)
    for explorer in page.locator(".explorer[data-explorer]").all():
        reach(explorer, "live")
    page.evaluate(PREPARE)
    page.evaluate(axe_script)
    yield page
    page.close()


def violations(page: Page, options: dict[str, Any], part: str = "html") -> list[str]:
    """What axe finds: rule, what it asks for, and where."""
    page.evaluate(DRAWN)
    run = "([part, options]) => axe.run(part, options).then(result => result.violations)"
    found: list[dict[str, Any]] = page.evaluate(run, [part, {"resultTypes": ["violations"], **options}])
    return [
        f"{rule['id']}: {rule['help']}\n    at {node['target']}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def use(page: Page, theme: str) -> None:
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)


def check(page: Page, options: dict[str, Any], part: str = "html") -> None:
    found = violations(page, options, part)
    assert not found, f"{len(found)} violations on {page.url}\n" + "\n".join(found)


def test_axe_finds_nothing_in_the_light_theme(page: Page) -> None:
    use(page, "light")
    check(page, ALL)


def test_axe_finds_no_pale_text_in_the_dark_theme(page: Page) -> None:
    use(page, "dark")
    check(page, ONLY_COLORS)


@pytest.fixture
def phone(page: Page) -> Iterator[Page]:
    page.set_viewport_size(PHONE)
    page.evaluate(DRAWN)
    yield page
    page.set_viewport_size(WIDE)


def test_axe_finds_nothing_on_a_phone(phone: Page) -> None:
    check(phone, ALL_BUT_COLORS)


STOPS = """() => {
  const scrolls = box => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === 'auto';
  const formulas = [...document.querySelectorAll('article :is(.math, .math mjx-container)')]
    .filter(box => box.checkVisibility());
  return {
    needless: formulas.filter(box => box.tabIndex >= 0 && !scrolls(box)).length,
    unreachable: formulas.filter(box => scrolls(box) && box.tabIndex < 0).length,
    nameless: formulas.filter(box => box.tabIndex >= 0 && !box.getAttribute('aria-label')).length,
  };
}"""


def test_a_formula_is_a_stop_for_the_keyboard_only_when_it_scrolls(page: Page, phone: Page) -> None:
    assert phone.evaluate(STOPS) == {"needless": 0, "unreachable": 0, "nameless": 0}
    page.set_viewport_size({"width": 240, "height": 844})  # a magnified page: here many formulas scroll
    page.evaluate(DRAWN)
    assert page.evaluate(STOPS) == {"needless": 0, "unreachable": 0, "nameless": 0}
    page.set_viewport_size(WIDE)
    page.evaluate(DRAWN)
    assert page.evaluate(STOPS) == {"needless": 0, "unreachable": 0, "nameless": 0}


def test_a_wide_formula_scrolls_with_the_arrow_keys(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 240, "height": 844})
    page.goto(f"{site}notebooks/07-gradients-losses.html")
    settle(page)
    page.evaluate(DRAWN)
    formula = page.locator("article div.math mjx-container[tabindex='0']").first
    formula.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("box => box.scrollLeft > 0", arg=formula.element_handle())
    page.close()


# ------------------------------------------------------------------------------- explorers


@pytest.mark.parametrize("name", ENGINES)
def test_axe_finds_nothing_in_an_explorer_that_loads_or_has_no_python(
    context: BrowserContext, site: str, where: dict[str, str], axe_script: str, name: str
) -> None:
    page = context.new_page()
    held: list[Route] = []
    page.route("**/pyodide/manifest.json", lambda route: held.append(route))
    page.goto(site + where[name])
    reach(explorer := page.locator(f'.explorer[data-explorer="{name}"]').first, "loading")
    page.evaluate(axe_script)
    for state in ("loading", "failed"):
        if state == "failed":
            for route in held:
                route.fulfill(body='{"available": false, "reason": "there was no connection"}')
            reach(explorer, "failed")
        for theme in ("light", "dark"):
            use(page, theme)
            check(page, ALL, f'.explorer[data-explorer="{name}"]')
    page.close()


STOP = """() => {
  const stop = document.activeElement, look = getComputedStyle(stop);
  const shape = stop.querySelector(':scope > circle');
  return {
    inside: Boolean(stop.closest('.explorer')),
    name: (stop.getAttribute('aria-label') || stop.labels?.[0]?.textContent || stop.textContent).trim(),
    seen: stop.matches(':focus-visible') && (shape
      ? parseFloat(getComputedStyle(shape).strokeWidth) >= 3
      : look.outlineStyle === 'solid' && parseFloat(look.outlineWidth) >= 2),
  };
}"""


def opened(context: BrowserContext, url: str, name: str) -> Locator:
    page = context.new_page()
    page.goto(url)
    explorer = page.locator(f'.explorer[data-explorer="{name}"]').first
    reach(explorer, "live")
    return explorer


@pytest.mark.parametrize("name", ENGINES)
def test_every_stop_in_an_explorer_has_a_name_and_shows_the_focus(
    context: BrowserContext, site: str, where: dict[str, str], name: str
) -> None:
    explorer = opened(context, site + where[name], name)
    explorer.locator("form :is(select, input)").first.focus()
    stops = []
    while (stop := explorer.page.evaluate(STOP))["inside"] and len(stops) < 60:
        stops.append(stop)
        explorer.page.keyboard.press("Tab")
    assert len(stops) >= len(ENGINES[name].controls)
    assert [stop for stop in stops if not stop["name"] or not stop["seen"]] == []
    units = [stop for stop in stops if re.search(r"\(input 1\)|unit to unit", stop["name"])]
    assert len(units) == 1 or name != "decision-boundary", (
        "the network is one stop: arrow keys go from unit to unit"
    )
    explorer.page.close()


def test_a_digit_drawn_with_the_keyboard_changes_the_probabilities(
    context: BrowserContext, site: str, where: dict[str, str]
) -> None:
    explorer = opened(context, site + where["mnist"], "mnist")
    bars = explorer.locator("[data-kind=bars]")
    assert bars.count() == 0, "nothing is drawn yet"
    pad = explorer.locator(".explorer-pad")
    words = pad.locator("xpath=..").locator("[aria-live=polite]")
    keys = explorer.page.keyboard
    pad.focus()
    for key in ["ArrowUp"] * 8 + ["Space"]:
        keys.press(key)
    assert words.inner_text() == "Pen down, 50 % across, 21 % down."
    for key in ["ArrowDown"] * 16 + ["Space"]:
        keys.press(key)
    assert words.inner_text() == "Pen up, 50 % across, 79 % down."
    bars.wait_for()
    upright = bars.inner_text()
    heard = explorer.locator("[role=status]").filter(has_text="Your drawing is read as")
    heard.wait_for()
    for key in ["Space"] + ["ArrowRight"] * 8 + ["Space"]:  # the 1 becomes an L
        keys.press(key)
    explorer.page.wait_for_function(
        "([bars, before]) => bars.innerText !== before", arg=[bars.element_handle(), upright]
    )
    keys.press("Delete")
    bars.wait_for(state="detached")
    explorer.page.close()
