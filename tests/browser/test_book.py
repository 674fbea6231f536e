"""The built book in a real browser: every page of _toc.yml, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import PAGES, PHONE, WIDE, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser


@dataclass
class Visit:
    """A page that has been loaded and has come to rest, and what happened meanwhile."""

    name: str
    page: Page
    status: int = 0
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def watch(visit: Visit, site: str) -> None:
    """Record errors and answers, and let no request out to another host."""

    def guard(route: Route) -> None:
        url = route.request.url
        if url.startswith((site, "data:", "blob:")):
            route.continue_()
        else:
            visit.foreign.append(url)
            route.abort()

    page = visit.page
    page.route("**/*", guard)
    page.on("console", lambda message: visit.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on(
        "response",
        lambda answer: visit.failed.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )


@pytest.fixture(scope="module", params=PAGES)
def visit(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Visit]:
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    visit = Visit(request.param, context.new_page())
    watch(visit, site)
    answer = visit.page.goto(f"{site}{request.param}.html")
    visit.status = answer.status if answer else 0
    settle(visit.page)
    yield visit
    context.close()


@pytest.fixture
def wide(visit: Visit) -> Page:
    visit.page.set_viewport_size(WIDE)
    return visit.page


@pytest.fixture
def phone(visit: Visit) -> Iterator[Page]:
    visit.page.set_viewport_size(PHONE)
    yield visit.page
    visit.page.set_viewport_size(WIDE)


def test_toc_names_pages() -> None:
    assert PAGES[0] == "book/index"
    assert len(PAGES) == len(set(PAGES)) >= 2


def test_page_loads_with_a_title(visit: Visit) -> None:
    assert visit.status == 200
    assert visit.page.title().strip()
    headings = visit.page.locator("article h1").all_inner_texts()
    assert len(headings) == 1, f"a page has one title, found {headings}"
    assert headings[0].strip(" #\n")


def test_page_asks_nothing_of_other_hosts(visit: Visit) -> None:
    assert visit.foreign == []
    loads = visit.page.evaluate(
        """() => [...document.querySelectorAll(
                 'script[src], img[src], iframe[src], link:is([rel~=stylesheet], [rel~=preload])')]
               .map(e => e.src || e.href)
               .filter(url => new URL(url).host !== location.host && !url.startsWith('data:'))"""
    )
    assert loads == []


def test_page_has_no_errors(visit: Visit) -> None:
    assert visit.failed == []
    assert visit.errors == []


def test_formulas_are_drawn(visit: Visit) -> None:
    page = visit.page
    formulas = page.locator("article .math").count()
    drawn = page.locator("article .math mjx-container svg").count()
    assert drawn >= formulas
    undrawn = page.evaluate(
        """() => [...document.querySelectorAll('article .math')]
               .filter(e => !e.querySelector('mjx-container')).map(e => e.textContent)"""
    )
    assert undrawn == []
    # A syntax error becomes an merror node, an unknown command red text.
    wrong = page.evaluate(
        """() => [...document.querySelectorAll('mjx-merror, merror, [data-mjx-error], mtext[mathcolor=red]')]
               .map(e => e.getAttribute('data-mjx-error') || e.textContent)"""
    )
    assert wrong == []


def test_no_formula_is_left_as_source(visit: Visit) -> None:
    text = visit.page.evaluate(
        """() => {
             const copy = document.querySelector('article').cloneNode(true);
             copy.querySelectorAll('pre, code, script, style, mjx-container').forEach(e => e.remove());
             return copy.textContent;
           }"""
    )
    left = re.findall(r"\\\(|\\\[|\$\$|\\(?:frac|sum|top|odot|partial)\b", text)
    assert left == []


def test_images_have_alt_texts(visit: Visit) -> None:
    alts: list[dict[str, Any]] = visit.page.evaluate(
        """() => [...document.querySelectorAll('article img')]
               .map(e => ({alt: e.getAttribute('alt'), src: e.getAttribute('src'), width: e.naturalWidth}))"""
    )
    for image in alts:
        alt = (image["alt"] or "").strip()
        assert alt, f"{image['src']} has no alt text"
        assert not re.search(r"\.(png|svg|jpe?g|gif)$|_images/|^[0-9a-f]{16,}$", alt), f"{alt} is a file name"
        assert image["width"] > 0, f"{image['src']} did not load"
    rest = visit.page.locator("img:not([alt])").count()
    assert rest == 0


SEARCH_BOXES = "input[type=search], .search-button-field, .search-button"


def visible(page: Page, selector: str) -> int:
    return page.evaluate(
        "selector => [...document.querySelectorAll(selector)].filter(e => e.checkVisibility()).length",
        selector,
    )


def test_one_search_box(wide: Page) -> None:
    assert visible(wide, SEARCH_BOXES) == 1


def test_one_search_box_on_a_phone(phone: Page) -> None:
    assert visible(phone, SEARCH_BOXES) == 1


def test_page_fits_a_phone(phone: Page) -> None:
    scrolls = phone.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert scrolls <= 0, f"the page is {scrolls} pixels wider than the screen"


CONTRAST = """selector => {
  const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(selector)]
    .filter(e => e.checkVisibility() && !e.matches(".headerlink") && e.textContent.trim())
    .map(e => {
      const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return {ratio, text: e.textContent.trim().slice(0, 60)};
    })
    .filter(e => e.ratio < 4.5)
    .map(e => `${e.ratio.toFixed(2)}: ${e.text}`);
}"""
PROSE = "article :is(p, li, h1, h2, h3, td, th, dt, figcaption, a), .bd-sidebar-primary :is(a, p), .bd-toc a"


def test_dark_mode_toggles_and_both_modes_are_readable(wide: Page) -> None:
    seen = set()
    switch = wide.locator(".theme-switch-button").first
    for _ in range(3):  # auto, light and dark take turns
        theme = wide.evaluate("document.documentElement.dataset.theme")
        if theme not in seen:
            seen.add(theme)
            pale = wide.evaluate(CONTRAST, PROSE)
            assert pale == [], f"contrast below 4.5 in the {theme} theme"
        switch.click()
    assert seen == {"light", "dark"}


def test_search_opens_from_the_keyboard(browser: Browser, site: str) -> None:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(f"{site}{PAGES[0]}.html")
    settle(page)
    page.keyboard.press("Control+k")
    assert page.locator("#pst-search-dialog input[type=search]").is_visible()
    page.keyboard.type("gradient")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li")
    assert "search.html" in page.url
    context.close()


CUT_FORMULAS = """() => [...document.querySelectorAll('article div.math')].filter((box) => {
    const drawn = box.querySelector('mjx-container svg');
    const edge = Math.min(box.getBoundingClientRect().right, document.documentElement.clientWidth);
    return box.offsetParent && drawn && drawn.getBoundingClientRect().right > edge + 2;
}).map((box) => ({
    name: box.id || box.textContent.trim().slice(0, 40),
    scrolls: [box, ...box.querySelectorAll('mjx-container')].some(
        (e) => e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX !== 'visible'),
}))"""


def test_no_formula_is_cut_on_a_phone(phone: Page, visit: Visit) -> None:
    cut = phone.evaluate(CUT_FORMULAS)
    if visit.name == "book/api":  # formulas of docstrings are written for a terminal: they may scroll
        cut = [formula for formula in cut if not formula["scrolls"]]
    assert cut == []


def test_a_reference_shows_its_equation_in_place(browser: Browser, site: str) -> None:
    page = browser.new_page(viewport=WIDE)
    page.goto(f"{site}notebooks/07-gradients-losses.html")
    page.wait_for_function("() => Boolean(window.MathJax?.tex2svgPromise)")
    reference = page.locator('article a.reference[href*="#equation-"]').first
    reference.hover()
    preview = page.locator(".equation-preview")
    preview.locator("mjx-container svg").wait_for()
    assert reference.get_attribute("aria-describedby") == preview.get_attribute("id")
    page.keyboard.press("Escape")
    preview.wait_for(state="detached")
    reference.focus()  # the keyboard shows it as well
    preview.locator("mjx-container svg").wait_for()
    page.close()
