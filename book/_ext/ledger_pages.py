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
from nnlib.proofs import written


def bare(latex: str) -> str:
    return latex.strip().rstrip(".,").strip()


class EveryGradient(SphinxDirective):
    """One box for each gradient in the ledger, in the order of the chapters."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        for display in written().values():
            self.env.note_dependency(str(Path("notebooks") / f"{display.notebook}.ipynb"))
        boxes = nodes.container(classes=["gradient-sheet"])
        seen: set[str] = set()
        for label in sorted(LEDGER, key=lambda label: (written()[label].notebook, list(LEDGER).index(label))):
            if LEDGER[label].wrt and bare(written()[label].latex) not in seen:
                seen.add(bare(written()[label].latex))
                boxes += self.box(label)
        return [boxes]

    def box(self, label: str) -> nodes.container:
        shown, entry = card(label), LEDGER[label]
        box = nodes.container(classes=["gradient-box"])
        number = pending_xref(
            "", nodes.literal(label, label), refdomain="math", reftype="eq", reftarget=label, refexplicit=True,
            refwarn=True, refdoc=self.env.docname,
        )  # fmt: skip
        box += nodes.paragraph("", "", number, nodes.Text("  "), nodes.inline(shown.shapes, shown.shapes), classes=["shapes"])
        latex = bare(written()[label].latex)
        box += nodes.math_block(latex, latex, nowrap=False, number=None, label=None, docname=self.env.docname)
        if entry.source is not None:
            code = source_of(entry.source)
            block = nodes.literal_block(code, code, language="python")
            box += block
        numbers = shown.numbers()
        box += nodes.literal_block(numbers, numbers, language="text", classes=["numbers"])
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
