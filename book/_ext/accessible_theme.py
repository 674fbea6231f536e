"""Mend what the theme and Sphinx write in a way that screen readers or the keyboard cannot use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# The name of the course stands in the left column, outside every landmark: make the column one.
SIDEBAR = '<div id="pst-primary-sidebar" '
LANDMARK = '<div id="pst-primary-sidebar" role="complementary" aria-label="Course" '

# ARIA has withdrawn this role; the entries stand in an element with the role of a list.
BIBLIOGRAPHY_ENTRY = ('role="doc-biblioentry"', 'role="listitem"')

# The corner of a table with row names heads nothing: it is a cell like any other.
EMPTY_HEADER = re.compile(r"<th[^>]*>\s*(?:<p>\s*</p>)?\s*</th>")

SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)

# A box that scrolls must be reachable by the keyboard, and only such a box is a stop on the way. The theme
# looks only when the page loads or the window changes, so what lies in a folded solution is missed: look
# whenever a box changes its size. A formula has its width when MathJax has drawn it: watch it from then on.
SCROLLABLE = """document.addEventListener("DOMContentLoaded", () => {
  const formulas = ".math, mjx-container";
  const look = (box) => {
    const wide = box.scrollWidth > box.clientWidth, long = box.scrollHeight > box.clientHeight;
    if (!box.matches(formulas)) box.tabIndex = wide || long ? 0 : -1;
    else if (wide && getComputedStyle(box).overflowX === "auto") name(box);
    else ["tabindex", "role", "aria-label"].forEach((attribute) => box.removeAttribute(attribute));
  };
  const name = (formula) => {
    formula.tabIndex = 0;
    formula.setAttribute("role", "group");
    formula.setAttribute("aria-label", "Wide formula, scrolls sideways");
  };
  const watch = new ResizeObserver((entries) => entries.forEach(({ target }) => look(target)));
  const observe = (boxes) =>
    document.querySelectorAll(`article :is(${boxes})`).forEach((box) => watch.observe(box));
  observe("pre, .cell_output > .output, .pst-scrollable-table-container");
  addEventListener("load", () => window.MathJax?.startup?.promise?.then(() => observe(formulas)));
});"""


def without_list(signature: re.Match[str]) -> str:
    """Lines of a long signature are a list of definitions without terms: make them plain lines."""
    text = signature.group()
    for old, new in (("dl", "signature-lines"), ("dd", "signature-line")):
        text = text.replace(f"<{old}>", f'<div class="{new}">').replace(f"</{old}>", "</div>")
    return text


def mended(html: str) -> str:
    html = html.replace(SIDEBAR + "class", LANDMARK + "class")
    html = html.replace(*BIBLIOGRAPHY_ENTRY)
    return SIGNATURE.sub(without_list, EMPTY_HEADER.sub("<td></td>", html))


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    sidebars = 0
    for page in Path(app.outdir).rglob("*.html"):
        old = page.read_text(encoding="utf-8")
        new = mended(old)
        sidebars += LANDMARK in new
        if new != old:
            page.write_text(new, encoding="utf-8")
    if not sidebars:
        raise ExtensionError(f"no page has {SIDEBAR}: the theme changed, look at accessible_theme.py")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_js_file(None, body=SCROLLABLE)
    app.connect("build-finished", mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
