"""Docstrings of nnlib in the reference: prose parameters, and links to the equations.

The docstrings follow numpydoc, but what stands behind ``name :`` is a phrase, not a type, and may run
on: it is shown as the description. Labels in the section *Equation* become links to the equation as soon
as a page of the book has it; until then they are shown as code.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

PROSE = {"Parameters", "Other Parameters", "Attributes"}
EQUATIONS = {"Equation", "Equations"}
ENTRY = re.compile(r"(\S.*?) : (.+)")
LABEL = re.compile(r"\beq-[a-z0-9-]+")


class equation_label(nodes.literal):  # noqa: N801 (how docutils names nodes)
    """The label of an equation, to be linked once all pages are read."""


def rewrite(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    section, result = "", []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below.startswith("---") and not below.strip("-"):
            section = line.strip()
        entry = ENTRY.fullmatch(line)
        if section in PROSE and entry:
            result += [entry[1], f"    {entry[2]}"]
        elif section in EQUATIONS:
            result.append(LABEL.sub(r":equation-label:`\g<0>`", line))
        else:
            result.append(line)
    lines[:] = result


def equation_label_role(
    name: str, rawtext: str, text: str, lineno: int, inliner: Inliner, *args: Any, **kwargs: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    return [equation_label(rawtext, text)], []


class LinkEquations(SphinxPostTransform):
    default_priority = 5  # before references are resolved

    def run(self, **kwargs: Any) -> None:
        equations = self.env.get_domain("math").equations  # type: ignore[attr-defined]
        for node in list(self.document.findall(equation_label)):
            label = node.astext()
            new: nodes.Element = nodes.literal(label, label)
            if label in equations:
                xref = pending_xref(
                    "", new, refdomain="math", reftype="eq", reftarget=label, refexplicit=True, refwarn=True
                )
                xref["refdoc"] = self.env.docname
                new = nodes.inline("", "", nodes.literal(label, label), nodes.Text(" "), xref)
            node.replace_self(new)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(equation_label)
    app.add_role("equation-label", equation_label_role)
    app.add_post_transform(LinkEquations)
    app.connect("autodoc-process-docstring", rewrite, priority=400)  # before napoleon
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
