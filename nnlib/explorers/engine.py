"""What every explorer is made of: declared controls, a state that steps, and frames that show it.

An `Explorer` knows nothing of screens. It keeps the settings, counts the steps, and describes its state
twice: as a frame of `panels` for those who see and as a sentence for those who listen. Three hosts run
the same engines: the widgets of a notebook, the worker behind a rendered page, and the tests.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from nnlib.explorers.panels import Panel

__all__ = ["Button", "Control", "Explorer", "choice", "log_slider", "slider", "toggle", "whole"]

Kind = Literal["slider", "log", "whole", "choice", "toggle"]


@dataclass(frozen=True)
class Control:
    """A setting that a reader can change; `slider`, `log_slider`, `whole`, `choice` and `toggle` make one.

    Attributes
    ----------
    name : the setting, a Python name such as ``learning_rate``
    label : what the reader sees
    kind : "slider", "log" (a slider of powers), "whole" (numbers), "choice" or "toggle"
    default : value at the start
    low, high, step : range of a number, both ends included
    choices : value -> what the reader sees
    restarts : whether a change starts the run again
    """

    name: str
    label: str
    kind: Kind
    default: Any
    low: float = 0
    high: float = 1
    step: float = 0.01
    choices: tuple[tuple[str, str], ...] = ()
    restarts: bool = False

    def check(self, value: Any) -> Any:
        """Return the value as the type of the control, or say what was expected."""
        if self.kind == "choice":
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)  # a batch size of 16 is the choice "16"
            if value not in dict(self.choices):
                raise ValueError(f"{self.name} must be one of {', '.join(dict(self.choices))}, got {value!r}")
            return value
        if self.kind == "toggle":
            if value not in (True, False):
                raise ValueError(f"{self.name} must be True or False, got {value!r}")
            return bool(value)
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high or (self.kind == "whole" and value != int(value)):
            what = "a whole number" if self.kind == "whole" else "a number"
            raise ValueError(f"{self.name} must be {what} from {self.low:g} to {self.high:g}, got {value!r}")
        return int(value) if self.kind == "whole" else float(value)


def slider(
    name: str, label: str, default: float, low: float, high: float, step: float, *, restarts: bool = False
) -> Control:
    """Return the control of a number with evenly spaced values."""
    return Control(name, label, "slider", default, low, high, step, restarts=restarts)


def log_slider(
    name: str, label: str, default: float, low: float, high: float, *, restarts: bool = False
) -> Control:
    """Return the control of a number whose order of magnitude matters; both ends are above 0."""
    return Control(name, label, "log", default, low, high, 0, restarts=restarts)


def whole(
    name: str, label: str, default: int, low: int, high: int, *, step: int = 1, restarts: bool = False
) -> Control:
    """Return the control of a whole number."""
    return Control(name, label, "whole", default, low, high, step, restarts=restarts)


def choice(
    name: str, label: str, default: str, choices: Mapping[str, str], *, restarts: bool = False
) -> Control:
    """Return the control of one of several named choices: value -> what the reader sees."""
    return Control(name, label, "choice", default, choices=tuple(choices.items()), restarts=restarts)


def toggle(name: str, label: str, default: bool, *, restarts: bool = False) -> Control:
    """Return the control of something that is on or off."""
    return Control(name, label, "toggle", default, restarts=restarts)


@dataclass(frozen=True)
class Button:
    """Something that a reader can ask for; the engine's method ``act_<name>`` does it."""

    name: str
    label: str


class Explorer:
    """Base of the engines. A subclass declares its controls and says how to start, advance and show.

    Parameters
    ----------
    settings : values of some controls by name; the others have their defaults

    Attributes
    ----------
    name, title, caption : as in a page: ``decision-boundary``, a heading, one sentence on what to look for
    controls : the declared controls
    buttons : more buttons than play, step and reset
    recorded : (frames, steps between two frames) of the run that a page plays before it is alive
    pace : steps per second at most while playing, or None for as many as fit; may change with the settings
    limit : steps after which playing stops by itself
    settings : name -> value
    steps : steps made since the start
    rng : the only source of randomness, seeded by the setting ``seed`` where there is one
    message : what ended the run before its time, in words, or ""

    Raises
    ------
    ValueError
        When there is no such setting, or its value is out of range; nothing has changed then.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    caption: ClassVar[str]
    controls: ClassVar[tuple[Control, ...]]
    buttons: ClassVar[tuple[Button, ...]] = ()
    recorded: tuple[int, int] = (25, 20)
    pace: float | None = None
    limit: ClassVar[int] = 20_000

    def __init__(self, **settings: Any) -> None:
        self.settings = {control.name: control.default for control in self.controls}
        self.reset(**settings)

    # What a subclass writes

    def start(self) -> None:
        """Build the state for the present settings; `self.rng` is fresh."""
        raise NotImplementedError

    def advance(self) -> None:
        """Make one step."""
        raise NotImplementedError

    def panels(self) -> list[Panel]:
        """Return what there is to see now."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return the state as a sentence or two, for readers who listen."""
        raise NotImplementedError

    def changed(self, names: set[str]) -> None:
        """Take over new values of settings that do not start the run again."""

    @property
    def loss(self) -> float | None:
        """The number that the run makes smaller, where there is one."""
        return None

    @property
    def accuracy(self) -> float | None:
        """Share of right answers, from 0 to 1, where there is one."""
        return None

    @property
    def warning(self) -> str:
        """What may go wrong, in words; the run goes on."""
        return ""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.message) or self.steps >= self.limit

    # What a host calls

    def check(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with the types of their controls."""
        known = {control.name: control for control in self.controls}
        for name in settings:
            if name not in known:
                raise ValueError(f"{self.name} has no setting {name!r}; it has {', '.join(known)}")
        return {name: known[name].check(value) for name, value in settings.items()}

    def reset(self, **settings: Any) -> None:
        """Start again, with some settings changed."""
        self.settings = self.settings | self.check(settings)
        self.rng = np.random.default_rng(self.settings.get("seed", 0))
        self.steps, self.message = 0, ""
        self.until: int | None = None
        self.start()

    def set(self, **settings: Any) -> None:
        """Change settings; the run goes on where it can and starts again where it must."""
        new = self.check(settings)
        names = {name for name, value in new.items() if value != self.settings[name]}
        if any(control.restarts and control.name in names for control in self.controls):
            self.reset(**new)
        elif names:
            self.settings = self.settings | new
            self.message = ""
            self.changed(names)

    def step(self, budget: int = 1) -> int:
        """Make up to so many steps and return how many were made."""
        made = 0
        while made < budget and not self.finished and self.steps != self.until:
            self.advance()
            self.steps += 1
            made += 1
        return made

    def run(self, seconds: float) -> int:
        """Make steps for about so long, at least one, and return how many were made."""
        started, made = time.perf_counter(), 0
        while self.step() and (made := made + 1) and time.perf_counter() - started < seconds:
            pass
        return made

    def act(self, name: str, value: Any = None) -> None:
        """Do what a button or a part of the picture asks for."""
        action = getattr(self, f"act_{name}", None)
        if action is None:
            raise ValueError(f"{self.name} has no action {name!r}")
        action() if value is None else action(value)

    def run_until(self, steps: int) -> None:
        """Ask the host to play until so many steps have been made."""
        self.until = steps

    def frame(self) -> dict[str, Any]:
        """Return everything that a view needs to draw: numbers, sentences and panels."""
        paused = self.finished or self.steps == self.until
        command = "pause" if paused else "play" if self.until is not None else None
        if paused:
            self.until = None
        return {
            "step": self.steps,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "message": self.message or self.warning,
            "describe": self.describe(),
            "command": command,
            "pace": self.pace,
            "settings": self.settings,
            "panels": self.panels(),
        }

    @classmethod
    def declaration(cls) -> dict[str, Any]:
        """Return what a host needs to build the controls."""
        return {
            "explorer": cls.name,
            "title": cls.title,
            "caption": cls.caption,
            "controls": [asdict(control) for control in cls.controls],
            "buttons": [asdict(button) for button in cls.buttons],
        }

    def __repr__(self) -> str:
        loss = "" if self.loss is None or not math.isfinite(self.loss) else f", loss {self.loss:.4g}"
        return f"{type(self).__name__}(step {self.steps}{loss})"
