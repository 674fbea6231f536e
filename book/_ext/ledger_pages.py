"""Pages and previews made from the ledger of equations.

``{every-gradient}`` lists every gradient of the course: the equation as it stands in its chapter, a shape
line, the source in nnlib, and numbers. The LaTeX of all labelled equations also goes into a small script, so
that a reference such as Eq. (5) can show its equation in place, on any page and without a server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from nnlib.equations import LEDGER, card, source_of
from nnlib.proofs import Entry, written


def bare(latex: str) -> str:
    return latex.strip().rstrip(".,").strip()


class EveryGradient(SphinxDirective):
    """One box for each backward of nnlib, in the order of the chapters."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        for display in written().values():
            self.env.note_dependency(str(Path("notebooks") / f"{display.notebook}.ipynb"))
        boxes = nodes.container(classes=["gradient-sheet"])
        # one box a function; of two forms of the same gradient the matrix form, which comes second
        shown = {(entry.source, *entry.wrt): label for label, entry in self.gradients().items()}
        functions: dict[Any, list[str]] = {}
        for (function, *_), label in shown.items():
            functions.setdefault(function, []).append(label)
        for function, labels in functions.items():
            boxes += self.box(function, labels)
        return [boxes]

    @staticmethod
    def gradients() -> dict[str, Entry]:
        """Gradients that nnlib computes, in the order of the chapters that derive them."""
        chapters = ("06-", "07-", "14-")
        found = [
            label
            for label, entry in LEDGER.items()
            if label in written() and entry.wrt and written()[label].notebook.startswith(chapters)
            and entry.source is not None and entry.source.__name__.endswith("_backward")
        ]  # fmt: skip
        # dicts keep the place of the first: put index forms before matrix forms
        found.sort(key=lambda label: (written()[label].notebook, not label.endswith("-index")))
        return {label: LEDGER[label] for label in found}

    def box(self, function: Any, labels: list[str]) -> nodes.container:
        box, numbers = nodes.container(classes=["gradient-box"]), dict[str, str]()
        for label in labels:
            shown = card(label)
            number = pending_xref(
                "", nodes.literal(label, label), refdomain="math", reftype="eq", reftarget=label,
                refexplicit=True, refwarn=True, refdoc=self.env.docname,
            )  # fmt: skip
            shapes = nodes.inline(shown.shapes, shown.shapes)
            box += nodes.paragraph("", "", number, nodes.Text(" · "), shapes, classes=["shapes"])
            latex = bare(written()[label].latex)
            box += nodes.math_block(
                latex, latex, nowrap=False, number=None, label=None, docname=self.env.docname
            )
            numbers |= shown.numbers()
        code = source_of(function)
        box += nodes.literal_block(code, code, language="python")
        text = "\n".join(numbers.values())
        box += nodes.literal_block(text, text, language="text", classes=["numbers"])
        return box


def write_previews(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        equations = {label: bare(display.latex) for label, display in written().items()}
        text = f"window.courseEquations = {json.dumps(equations, indent=0, sort_keys=True)};\n"
        (Path(app.outdir) / "_static" / "equations-data.js").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("every-gradient", EveryGradient)
    app.add_js_file("equations-data.js")
    app.add_js_file("equation-preview.js", loading_method="defer")
    app.connect("build-finished", write_previews)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
