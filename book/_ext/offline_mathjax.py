"""Copy MathJax into the built book, so that formulas need no connection.

The files come from the package ``sphinx-mathjax-offline``. That package is not loaded as an
extension itself because it insists on MathJax's web fonts: at some sizes their hinting drops
the bar of the transpose sign. Here MathJax draws outlines (SVG) instead, and only the parts that
this output can ask for are copied, 7 MB instead of 24.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.fileutil import copy_asset

PACKAGE = "sphinx-mathjax-offline"
PARTS = ("tex-svg.js", "input/tex/extensions", "a11y", "sre")


def mathjax_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ExtensionError(f"{PACKAGE} is not installed: pip install -r requirements.txt")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        path = source / part
        if not path.exists():
            raise ExtensionError(f"{PACKAGE} has no {part}: the book needs a version that ships it")
        destination = target / part
        folder = destination if path.is_dir() else destination.parent
        folder.mkdir(parents=True, exist_ok=True)
        copy_asset(str(path), str(folder))


def setup(app: Sphinx) -> dict[str, Any]:
    mathjax_folder()  # fail before the build, not after it
    app.config.mathjax_path = f"mathjax/{PARTS[0]}"
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
