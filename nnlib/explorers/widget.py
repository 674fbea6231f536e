"""An explorer in a notebook: its controls as ipywidgets, and under them the view as an anywidget."""

from __future__ import annotations

import html
import math
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from nnlib.explorers.engine import Control, Explorer
from nnlib.explorers.panels import to_json

__all__ = ["ExplorerWidget", "View"]

STATIC = Path(__file__).parent / "static"
RUN = 0.04  # seconds of steps at each tick of playing
TICK = 50  # milliseconds between two ticks, more than a run: the kernel stays free for what a reader does
STOP = 0.02  # of a power of ten: a stop of a slider is 5 % above the one before
COLUMNS = "repeat(auto-fit, minmax(min(26em, 100%), 1fr))"  # as many controls in a row as there is room for


class View(anywidget.AnyWidget):
    """The picture of an explorer; its traits are the present state, for Python code to observe.

    Attributes
    ----------
    explorer : name of the engine
    frame : all that is drawn, JSON text
    step, loss, accuracy, settings, message : as in the engine; they change together, before `frame`
    """

    _esm = (STATIC / "view.js").read_text("utf-8") + (STATIC / "notebook.js").read_text("utf-8")
    _css = (STATIC / "view.css").read_text("utf-8")

    explorer = traitlets.Unicode().tag(sync=True)
    frame = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int()
    loss = traitlets.Float(None, allow_none=True)
    accuracy = traitlets.Float(None, allow_none=True)
    settings = traitlets.Dict()
    message = traitlets.Unicode()

    def show(self, frame: dict[str, Any]) -> None:
        """Take over a frame of the engine."""
        with self.hold_trait_notifications():
            self.step = frame["step"]
            self.loss = None if frame["loss"] is None else float(frame["loss"])
            self.accuracy = None if frame["accuracy"] is None else float(frame["accuracy"])
            self.settings = dict(frame["settings"])
            self.message = frame["message"]
            self.frame = to_json(frame)


class Steady:
    """A slider whose value stays as it is when a front end draws it.

    Drawing rounds to the slider's stops and sends the result, possibly after code has chosen another
    value. So a value sent counts as drawn when it is the stop of one of the last few values.
    """

    def __init__(self, **traits: Any) -> None:
        self.recent = deque([traits["value"]], maxlen=4)  # set by code since a reader moved the slider
        super().__init__(**traits)
        self.observe(lambda change: self.recent.append(change["new"]), "value")  # type: ignore[attr-defined]

    def set_state(self: Any, sync_data: dict[str, Any]) -> None:
        """Take over what the front end sends, except for its rounding."""
        if "value" not in sync_data:
            super().set_state(sync_data)  # type: ignore[misc]
        elif any(self._is_stop_of(sync_data["value"], value) for value in self.recent):
            super().set_state(sync_data | {"value": self.value})  # type: ignore[misc]
        else:
            self.recent.clear()
            super().set_state(sync_data)  # type: ignore[misc]

    def _is_stop_of(self: Any, drawn: float, value: float) -> bool:
        place = math.log10 if isinstance(self, ipywidgets.FloatLogSlider) else float
        stop = float((place(drawn) - self.min) / self.step)
        exact = float((place(value) - self.min) / self.step)
        return abs(stop - exact) < 0.5 + 1e-6 and abs(stop - round(stop)) < 1e-6


class Slider(Steady, ipywidgets.FloatSlider):  # type: ignore[misc]  # ipywidgets has no types
    """A slider of evenly spaced stops that also holds the numbers between them."""


class LogSlider(Steady, ipywidgets.FloatLogSlider):  # type: ignore[misc]
    """A slider of powers of ten that also holds the numbers between its stops."""


class ExplorerWidget(ipywidgets.VBox):  # type: ignore[misc]
    """An explorer with controls, buttons and a view; a change by code does what a change by hand does.

    Parameters
    ----------
    engine : what is explored; steps made before count

    Attributes
    ----------
    engine : the engine
    controls : name of a setting -> ipywidget; observe them, link them, or pass them to ``interactive_output``
    play : ipywidgets.Play; its stop button goes back to the start, with repeat a finished run starts again
    buttons : "step", "reset" and those of the engine -> ipywidgets.Button
    progress : steps made, of those that playing will make
    view : the `View`
    error : the traceback of what went wrong, an ipywidgets.HTML

    Examples
    --------
    >>> from nnlib.explorers.decision_boundary import DecisionBoundary
    >>> explorer = ExplorerWidget(DecisionBoundary(seed=1))
    >>> explorer.controls["learning_rate"].value = 0.5
    >>> explorer.engine.settings["learning_rate"], explorer.view.step
    (0.5, 0)
    >>> explorer.close()
    """

    def __init__(self, engine: Explorer) -> None:
        self.engine = engine
        interval = TICK if engine.pace is None else max(TICK, 1000 / engine.pace)
        width = f"{max((len(control.label) for control in engine.controls), default=0) * 0.6:.1f}em"
        self.controls = {c.name: make_control(c, engine.settings[c.name], width) for c in engine.controls}
        self.play = ipywidgets.Play(max=2**31 - 1, interval=interval)
        self.progress = ipywidgets.IntProgress(max=engine.limit, layout={"width": "10em"})
        names = {"step": "Step", "reset": "Reset"} | {b.name: b.label for b in engine.buttons}
        self.buttons = {
            name: ipywidgets.Button(description=label, layout={"width": "auto", "min_width": "6em"})
            for name, label in names.items()
        }
        self.view = View(explorer=engine.name)
        self.error = ipywidgets.HTML()
        self._show()
        self._listen()
        title = f"<strong>{html.escape(engine.title)}</strong> {html.escape(engine.caption)}"
        wrap, grid = {"flex_flow": "row wrap"}, {"display": "grid", "grid_template_columns": COLUMNS}
        super().__init__([
            ipywidgets.HTML(title),
            ipywidgets.Box(tuple(self.controls.values()), layout=grid),
            ipywidgets.Box((self.play, *self.buttons.values(), self.progress), layout=wrap),
            self.view,
            self.error,
        ])  # fmt: skip

    def _listen(self) -> None:
        for name, control in self.controls.items():
            control.observe(partial(self._set, name), "value")
        self.play.observe(self._tick, "value")
        own: dict[str, Callable[[Any], None]] = {"step": self._step, "reset": self._reset}
        for name, button in self.buttons.items():
            button.on_click(own.get(name) or partial(self._act, name))
        self.view.on_msg(self._asked)

    # What a reader or code asks for

    def _set(self, name: str, change: Any) -> None:
        declared = next(c for c in self.engine.controls if c.name == name)
        value = change["new"]
        if declared.kind == "log":  # the ends of the slider are stops, and may be outside
            value = min(max(value, declared.low), declared.high)
        if value != self.engine.settings[name]:  # equal when the control follows the engine
            self._do(partial(self.engine.set, **{name: value}))

    def _step(self, _button: Any) -> None:
        self._do(self.engine.step)

    def _reset(self, _button: Any) -> None:
        self.play.playing = False
        self._do(self.engine.reset)

    def _tick(self, change: Any) -> None:
        if self.play.playing:
            self._do(self._run)
        elif change["new"] == 0 and self.engine.steps:  # the stop button
            self._do(self.engine.reset)

    def _run(self) -> None:
        if self.play.repeat and self.engine.finished and not self.engine.message:
            self.engine.reset()
        if self.engine.pace is None:
            self.engine.run(RUN)
        else:
            self.engine.step(max(1, round(self.engine.pace * self.play.interval / 1000)))

    def _asked(self, _view: Any, asked: Any, _buffers: Any) -> None:
        self._act(asked["act"], value=asked.get("value"))

    def _act(self, name: str, _button: Any = None, *, value: Any = None) -> None:
        self._do(partial(self.engine.act, name, value), acts=True)

    # What happens then

    def _do(self, ask: Callable[[], Any], acts: bool = False) -> None:
        """Ask the engine and show the outcome; an error stops playing, is shown, and is raised again."""
        try:
            ask()
            self._show(acts)
        except Exception:
            self.play.playing = False
            self.error.value = f'<pre role="alert">{html.escape(traceback.format_exc())}</pre>'
            self._follow()
            raise
        self.error.value = ""

    def _show(self, acts: bool = False) -> None:
        goal = self.engine.until or self.engine.limit
        frame = self.engine.frame()
        self.view.show(frame)
        self.progress.max, self.progress.value = max(goal, self.engine.steps), self.engine.steps
        self._follow()
        repeats = self.play.repeat and self.engine.finished and not self.engine.message
        if frame["command"] == "pause" and not repeats:
            self.play.playing = False
        if frame["command"] == "play" and acts:  # a step on the way to a goal does not start playing
            self.play.playing = True
        if not self.play.playing:
            self.play.value = min(self.engine.steps, 1)  # above 0 the stop button has something to tell

    def _follow(self) -> None:
        """Let the controls show the settings, which an engine may change by itself."""
        for name, control in self.controls.items():
            control.value = self.engine.settings[name]

    def close(self) -> None:
        """Free the controls and the view, in the kernel and on the screen."""
        if self.comm is not None:
            for child in all_within(self):
                ipywidgets.Widget.close(child)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.engine!r})"


def all_within(widget: Any) -> list[Any]:
    """Return a widget, its layout and its style, and the same of everything inside it."""
    own = [widget, *(part for part in (widget.layout, getattr(widget, "style", None)) if part is not None)]
    return own + [part for child in getattr(widget, "children", ()) for part in all_within(child)]


def make_control(control: Control, value: Any, label_width: str = "initial") -> Any:
    """Return the ipywidget of a declared control, with the value that the engine has."""
    shared = {
        "value": value,
        "description": control.label,
        "style": {"description_width": label_width},
        "layout": {"width": "auto"},
    }
    low, high = control.low, control.high
    if control.kind == "slider":
        return Slider(min=low, max=high, step=control.step, **shared)
    if control.kind == "log":
        first, last = exponents(low, high)
        # the screen shows the nearest stop: with two digits, that is nearly always the value itself
        return LogSlider(min=first, max=last, step=STOP, readout_format=".2g", **shared)
    if control.kind == "whole":
        kind = ipywidgets.BoundedIntText if control.name == "seed" else ipywidgets.IntSlider
        return kind(min=int(low), max=int(high), step=int(control.step), **shared)
    if control.kind == "choice":
        return ipywidgets.Dropdown(options=[(words, key) for key, words in control.choices], **shared)
    return ipywidgets.Checkbox(indent=False, **shared)


def exponents(low: float, high: float) -> tuple[float, float]:
    """Return the ends of a slider of powers of ten, on its stops, with both numbers between them.

    Examples
    --------
    >>> exponents(0.001, 100), exponents(0.003, 300)
    ((-3.0, 2.0), (-2.54, 2.48))
    """
    stops = round(1 / STOP)
    return math.floor(math.log10(low) * stops) / stops, math.ceil(math.log10(high) * stops) / stops
