"""What a notebook cell shows: a widget where there is a kernel, and for every other reader a page element."""

from __future__ import annotations

import base64
import html
import json
import sys
from functools import cached_property
from importlib.util import find_spec
from typing import Any, ClassVar

from nnlib.explorers.engine import Explorer
from nnlib.explorers.panels import to_json
from nnlib.explorers.recording import fitting, frames

__all__ = ["Display"]

BUDGET = 148_000  # bytes of an element in a page: its recording, its picture, its controls


class Display:
    """An explorer that can be shown: the engine, and on demand its controls as ipywidgets.

    Parameters
    ----------
    settings : values of some controls by name

    Attributes
    ----------
    engine : the `Explorer`, which needs no screen
    widget : controls and view, an ipywidgets container
    controls : name -> ipywidget; observe them, link them, or pass them to ``interactive_output``

    Raises
    ------
    ValueError
        When there is no such setting, or its value is out of range.
    """

    engine_class: ClassVar[type[Explorer]]

    def __init__(self, **settings: Any) -> None:
        self._given = settings
        self.engine = self.engine_class(**settings)

    @cached_property
    def widget(self) -> Any:
        """The controls and the view as one ipywidget."""
        from nnlib.explorers.widget import ExplorerWidget

        return ExplorerWidget(self.engine)

    @property
    def controls(self) -> dict[str, Any]:
        """The controls as ipywidgets, by the name of their setting."""
        controls: dict[str, Any] = self.widget.controls
        return controls

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._given.items())})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if sys.platform != "emscripten":  # in the browser the widget is all there is to see
            bundle["text/html"] = page_element(self.engine_class(**self._given), self._given)
        if find_spec("ipywidgets") and find_spec("anywidget"):
            bundle |= self.widget._repr_mimebundle_()
            bundle["text/plain"] = repr(self)
        return bundle


def page_element(explorer: Explorer, settings: dict[str, Any]) -> str:
    """Return the element that a rendered page makes alive: a recording and a picture of its last frame.

    Parameters
    ----------
    explorer : a fresh engine; it is run to the end of its recording
    settings : what differs from the defaults of its controls
    """
    settings = {name: explorer.settings[name] for name in settings}  # as the controls have them
    run = frames(explorer)
    picture = base64.b64encode(_picture(explorer)).decode("ascii")
    declared = explorer.declaration() | {"settings": settings}
    left = BUDGET - len(picture) - len(to_json(declared))
    told = to_json(declared | {"recording": fitting(run, left)})
    told = told.replace("<", "\\u003c")  # a text with </script> would end the element
    alt = html.escape(f"{explorer.title}: {explorer.describe()}", quote=True)
    return (
        f'<div class="explorer" data-explorer="{explorer.name}" data-state="recorded">\n'
        f'<img class="explorer-picture" alt="{alt}" src="data:image/png;base64,{picture}">\n'
        f'<script type="application/json">{told}</script>\n'
        "</div>"
    )


def _picture(explorer: Explorer) -> bytes:
    """Return the picture of the present frame, as sharp as a third of the budget allows."""
    from nnlib.explorers.picture import png

    frame = json.loads(to_json(explorer.frame()))
    for dpi in (96, 72, 54):
        file = png(frame, dpi)
        if len(file) <= BUDGET / 4:
            break
    return file
