"""Make the explorers of a page alive: one script with the view and the page's host, and the worker.

``{explorer} decision-boundary dataset=moons seed=3`` puts an explorer into a page of prose; a notebook shows
one by itself.

The view is an ES module, as the notebook needs it. Browsers load no modules from ``file://``, so the build
turns it into a function and joins it with the host into one classic script. Only pages that show an
explorer load it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from nnlib.explorers import ENGINES
from nnlib.explorers.display import page_element

HOST = Path(__file__).parents[1] / "live"
VIEW = Path(__file__).parents[2] / "nnlib" / "explorers" / "static"
EXPORTS = re.compile(r"^export \{([\w\s,]+)\};\s*\Z", re.MULTILINE)


class ExplorerDirective(SphinxDirective):
    """The element that a notebook's cell would show, recorded while the book is built."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        name, given = self.arguments[0], " ".join(self.arguments[1:])
        if name not in ENGINES:
            raise self.error(f"there is no explorer {name!r}; there are {', '.join(ENGINES)}")
        settings = dict(word.split("=", 1) for word in shlex.split(given))
        try:
            values = {setting: number_or_text(text) for setting, text in settings.items()}
            html = page_element(ENGINES[name](**values), values)
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", html, format="html")]


def number_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def classic_script(view: str, host: str) -> str:
    """Both sources as one script that leaves no global names."""
    found = EXPORTS.search(view)
    if found is None:
        raise ExtensionError("view.js must end in one statement `export { ... };`")
    names = " ".join(found[1].split()).rstrip(",")
    body = EXPORTS.sub(f"return {{ {names} }};", view)
    return f'"use strict";\n(() => {{\nconst {{ {names} }} = (() => {{\n{body}\n}})();\n\n{host}\n}})();\n'


def load_where_needed(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if 'class="explorer"' in context.get("body", ""):
        app.add_js_file("live/explorers.js", loading_method="defer")
        app.add_css_file("live/explorers.css")


def write_scripts(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "live"
    folder.mkdir(parents=True, exist_ok=True)
    sources = ((VIEW / "view.js").read_text("utf-8"), (HOST / "page.js").read_text("utf-8"))
    (folder / "explorers.js").write_text(classic_script(*sources), encoding="utf-8")
    shutil.copyfile(HOST / "worker.js", folder / "worker.js")
    shutil.copyfile(VIEW / "view.css", folder / "explorers.css")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("explorer", ExplorerDirective)
    app.connect("html-page-context", load_where_needed)
    app.connect("build-finished", write_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
