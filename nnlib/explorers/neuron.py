"""One neuron whose weights are sliders: what it says in the plane, its loss, and the slope of the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlib import data
from nnlib import functional as F
from nnlib._shapes import Array
from nnlib.explorers.engine import Explorer, choice, log_slider, slider
from nnlib.explorers.panels import (
    Panel,
    Shades,
    bars,
    curves,
    factor,
    formula,
    matrix,
    number,
    plane,
)
from nnlib.metrics import accuracy
from nnlib.optimizers import SGD

__all__ = ["Neuron"]

EDGE, GRID, HISTORY = 8.0, 21, 150
PARAMETERS = ("w1", "w2", "b")

Pair = tuple[Callable[[Array], Array], Callable[[Array, Array, Array], Array]]
FUNCTIONS: dict[str, Pair] = {  # a = f(z), and dz from da, z and a
    "sigmoid": (F.sigmoid, lambda da, z, a: F.sigmoid_backward(da, a)),
    "tanh": (F.tanh, lambda da, z, a: F.tanh_backward(da, a)),
    "relu": (F.relu, lambda da, z, a: F.relu_backward(da, z)),
    "none": (lambda z: z, lambda da, z, a: da),
}
TARGETS = {"sigmoid": (0, 1), "relu": (0, 1), "tanh": (-1, 1), "none": (-1, 1)}
A = {
    "sigmoid": ("eq-neuron-a", r"a_n = \sigma(z_n)"),
    "tanh": ("eq-tanh", r"A = \tanh Z"),
    "relu": ("eq-relu", r"A = \max(0, Z)"),
    "none": ("", r"a_n = z_n"),
}
DZ = {
    "sigmoid": ("eq-neuron-dz", r"dz_n = \frac{2}{N} (a_n - y_n)\, a_n (1 - a_n)"),
    "tanh": ("", r"dz_n = \frac{2}{N} (a_n - y_n)\, (1 - a_n^2)"),
    "relu": ("", r"dz_n = \frac{2}{N} (a_n - y_n)\, \mathbf{1}[z_n > 0]"),
    "none": ("", r"dz_n = \frac{2}{N} (a_n - y_n)"),
}
HANDFUL = (
    np.array([[2.0, 1.0], [1.0, 3.0], [3.0, 2.0], [-1.0, 1.0], [0.0, -2.0]]),
    np.array([1, 1, 1, 0, 0]),
)


def points(dataset: str) -> tuple[Array, Array, tuple[float, float, float, float]]:
    """Return X (N, 2), its classes (N,) and a piece of the plane around them.

    Examples
    --------
    >>> points("xor")[1]
    array([0, 1, 1, 0])
    """
    if dataset == "handful":
        return *HANDFUL, (-3.0, 4.0, -3.0, 4.0)
    return *data.logic_gate(dataset), (-0.75, 1.75, -0.75, 1.75)


def boundary(w1: float, w2: float, b: float, extent: tuple[float, float, float, float]) -> Array:
    """Return the two points where the line w·x + b = 0 meets the edge of a box, or none: (2, 2) or (0, 2).

    Examples
    --------
    >>> boundary(1.0, 1.0, -1.0, (0.0, 1.0, 0.0, 1.0))
    array([[0., 1.],
           [1., 0.]])
    """
    left, right, low, high = extent
    met = [(x, -(b + w1 * x) / w2) for x in (left, right) if w2]
    met += [(-(b + w2 * y) / w1, y) for y in (low, high) if w1]
    slack = 1e-9 * (right - left)
    inside = [p for p in met if left - slack <= p[0] <= right + slack and low - slack <= p[1] <= high + slack]
    return np.array([min(inside), max(inside)]) + 0.0 if inside else np.empty((0, 2))


class Neuron(Explorer):
    """Turn the weights of one neuron by hand, or let gradient descent turn them.

    A step is one step of gradient descent on the mean squared error of all points. It moves the
    settings `w1`, `w2` and `b` themselves, so the sliders follow. Turning a slider does not start again: the
    count and the curve go on from the new place. Reset goes back to where the reader last left the
    sliders, not to where descent has taken them.

    Targets are 0 and 1, or -1 and 1 for tanh and no activation, so that the line z = 0 stands in the middle.

    Parameters
    ----------
    settings : w1, w2, b, activation, dataset, learning_rate

    Examples
    --------
    >>> explorer = Neuron(w1=1.0, w2=-1.0, b=0.0)
    >>> explorer.step(100)
    100
    >>> explorer.accuracy
    1.0
    """

    name = "neuron"
    title = "One neuron"
    caption = (
        "Turn w₁, w₂ and b: the line is where z = 0, and w stands on it. "
        "Then step, and watch which way the slopes send them."
    )
    controls = (
        slider("w1", "w₁", -1.0, -EDGE, EDGE, 0.01),
        slider("w2", "w₂", 1.0, -EDGE, EDGE, 0.01),
        slider("b", "b", 0.0, -EDGE, EDGE, 0.01),
        choice(
            "activation", "Activation", "sigmoid",
            {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU", "none": "none"}, restarts=True,
        ),
        choice(
            "dataset", "Data", "handful",
            {"handful": "a handful", "and": "AND", "or": "OR", "xor": "XOR"}, restarts=True,
        ),
        log_slider("learning_rate", "Learning rate", 0.5, 0.01, 10.0),
    )  # fmt: skip
    recorded = (20, 3)
    pace = 20.0
    limit = 3000

    def __init__(self, **settings: Any) -> None:
        self.turned: dict[str, float] = {}  # where the reader left the sliders
        super().__init__(**settings)

    def reset(self, **settings: Any) -> None:
        """Start again from where the reader left the sliders, with some settings changed."""
        super().reset(**self.turned | settings)
        self.turned = {name: self.settings[name] for name in PARAMETERS}

    def start(self) -> None:
        """Take the points; the parameters are the settings."""
        self.X, self.classes, self.extent = points(self.settings["dataset"])
        self.targets = np.array(TARGETS[self.settings["activation"]], dtype=np.float64)
        self.y = self.targets[self.classes][:, None]
        axes = np.linspace(*self.extent[:2], GRID), np.linspace(*self.extent[:1:-1], GRID)
        self.grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        self.chosen = 0
        self._compute()
        self.history, self.every = [(0, self._loss)], 1

    def _compute(self) -> None:
        """Forward and backward on all points."""
        f, f_backward = FUNCTIONS[self.settings["activation"]]
        self.W = np.array([[self.settings["w1"]], [self.settings["w2"]]])
        self.b = np.array([self.settings["b"]])
        self.z = F.linear(self.X, self.W, self.b)
        self.a = f(self.z)
        self._loss = F.mse(self.a, self.y)
        self.dz = f_backward(F.mse_backward(self.a, self.y), self.z, self.a)
        _, self.dW, self.db = F.linear_backward(self.dz, self.X, self.W)

    @property
    def loss(self) -> float:
        """Mean squared error of all points."""
        return self._loss

    @property
    def accuracy(self) -> float:
        """Share of points on whose side of the middle between the targets the neuron is."""
        return accuracy(self.a, self.classes, threshold=float(self.targets.mean()))

    def advance(self) -> None:
        """Make a step of gradient descent; at the edge of a slider the parameter stays there."""
        SGD(self.settings["learning_rate"]).step({"W": self.W, "b": self.b}, {"W": self.dW, "b": self.db})
        moved = dict(zip(PARAMETERS, (*self.W[:, 0], *self.b), strict=True))
        for name, value in moved.items():
            self.settings = self.settings | {name: float(np.clip(value, -EDGE, EDGE))}
            if abs(value) > EDGE:
                self.message = (
                    f"{name} has reached the edge of its slider, {number(self.settings[name])}. "
                    f"Turn it back, or lower the learning rate and press Reset."
                )
        self._compute()
        if (self.steps + 1) % self.every == 0:
            self.history.append((self.steps + 1, self._loss))
        if len(self.history) > HISTORY:
            self.history, self.every = self.history[::2], 2 * self.every

    def changed(self, names: set[str]) -> None:
        """Go on from where the reader has turned the sliders; the curve shows the jump."""
        if names & set(PARAMETERS):
            self.turned = {name: self.settings[name] for name in PARAMETERS}
            self._compute()
            before = [(step, loss) for step, loss in self.history if step < self.steps]
            self.history = [*before, (self.steps, self._loss)]

    def act_point(self, value: list[float]) -> None:
        """Choose the point nearest to a place in the plane."""
        self.chosen = int(np.argmin(((self.X - np.array(value)) ** 2).sum(axis=1)))

    def act_row(self, value: list[int]) -> None:
        """Choose a point by its row in the table."""
        if not 0 <= value[0] < len(self.X):
            raise ValueError(f"row expects a row from 0 to {len(self.X) - 1}, got {value[0]}")
        self.chosen = int(value[0])

    def describe(self) -> str:
        """Return the parameters, the loss and its slopes as a sentence."""
        w1, w2, b = (number(self.settings[name], 3) for name in PARAMETERS)
        names = ("dw₁", "dw₂", "db")
        slopes = ", ".join(f"{d} {number(v, 3)}" for d, v in zip(names, self._slopes(), strict=True))
        return (
            f"Step {self.steps}: w₁ {w1}, w₂ {w2}, b {b}. Loss {number(self.loss)}, "
            f"{round(self.accuracy * len(self.X))} of {len(self.X)} points right. Slopes: {slopes}."
        )

    def panels(self) -> list[Panel]:
        """Return the plane, the slopes, the points, the loss so far, and the formulas of the chosen point."""
        slopes = self._slopes()
        steps, losses = zip(*self.history, strict=True)
        return [
            self._plane(),
            self._table(),
            matrix(
                "Slopes of the loss", slopes[None], columns=["dw₁", "dw₂", "db"], digits=4, role="gradient"
            ),
            bars("Size of each slope", ["|dw₁|", "|dw₂|", "|db|"], np.abs(slopes), width="half"),
            curves("Loss", [{"name": "loss", "x": steps, "y": losses}], ylabel="loss"),
            *self._formulas(),
        ]  # fmt: skip

    def _slopes(self) -> Array:
        return np.concatenate([self.dW[:, 0], self.db])

    def _plane(self) -> Panel:
        """What the neuron says everywhere, its line, and w standing on the line."""
        w1, w2, b = (self.settings[name] for name in PARAMETERS)
        low, high = TARGETS[self.settings["activation"]]
        said = FUNCTIONS[self.settings["activation"]][0](F.linear(self.grid, self.W, self.b))
        line = boundary(w1, w2, b, self.extent)
        paths = []
        if len(line):
            foot = line.mean(axis=0)
            arrow = np.stack([foot, foot + np.array([w1, w2]) * (self.extent[1] - self.extent[0]) / 12])
            paths = [
                {"name": name, "x": path[:, 0], "y": path[:, 1], "group": group}
                for group, (name, path) in enumerate((("z = 0", line), ("w, reduced", arrow)), start=3)
            ]
        groups = [
            {"name": f"target {target:g}", "x": x, "y": y, "group": group}
            for group, target in enumerate(self.targets)
            for x, y in [self.X[self.classes == group].T]
        ]
        x, y = self.X[self.chosen]
        groups.append({"name": f"point {self.chosen}", "x": [x], "y": [y], "group": 2})
        return plane(
            "What the neuron says", extent=self.extent, field=Shades(said.reshape(GRID, GRID), low, high),
            points=groups, paths=paths, action="point",
        )  # fmt: skip

    def _table(self) -> Panel:
        return matrix(
            "All points: choose one",
            np.hstack([self.X, self.y, self.z, self.a, self.dz]),
            rows=[str(n) for n in range(len(self.X))], columns=["x₁", "x₂", "y", "z", "a", "dz"],
            highlight=[(self.chosen, column) for column in range(6)], action="row", width="half",
        )  # fmt: skip

    def _formulas(self) -> list[Panel]:
        """The six equations of chapter 2, with the numbers of the chosen point, or of all in the sums."""
        n, N, kind = self.chosen, len(self.X), self.settings["activation"]
        a, y, z = (float(column[n, 0]) for column in (self.a, self.y, self.z))
        values, (w1, w2, b) = self.X[n], (factor(self.settings[name]) for name in PARAMETERS)
        error = f"2 / {N} · ({number(a)} − {factor(y)})"
        pairs = zip(self.a[:, 0], self.y[:, 0], strict=True)
        squares = " + ".join(f"({number(p)} − {factor(t)})²" for p, t in pairs)
        said = {
            "sigmoid": f"σ({number(z)})", "tanh": f"tanh({number(z)})",
            "relu": f"max(0, {number(z)})", "none": number(z),
        }  # fmt: skip
        slope = {
            "sigmoid": f" · {number(a)} · (1 − {number(a)})", "tanh": f" · (1 − {factor(a)}²)",
            "relu": f" · 1[{number(z)} > 0]", "none": "",
        }  # fmt: skip
        steps = [factor(v) for v in self.dz[:, 0]]
        dw = [
            " + ".join(f"{factor(x)} · {step}" for x, step in zip(column, steps, strict=True))
            for column in self.X.T
        ]
        lines = [
            (f"What goes in, point {n}", "eq-neuron-z", r"z_n = \sum_d X_{nd} w_d + b",
             f"z = {factor(values[0])} · {w1} + {factor(values[1])} · {w2} + {b} = {number(z)}"),
            (f"What comes out, point {n}", *A[kind], f"a = {said[kind]} = {number(a)}"),
            ("Loss of all points", "eq-neuron-loss", r"L = \frac{1}{N} \sum_n (a_n - y_n)^2",
             f"L = ({squares}) / {N} = {number(self.loss)}"),
            (f"Back to z, point {n}", *DZ[kind], f"dz = {error}{slope[kind]} = {number(self.dz[n, 0])}"),
            ("Slopes of the weights", "eq-neuron-dw", r"dw_d = \sum_n X_{nd}\, dz_n",
             "; ".join(f"dw{s} = {terms} = {number(v)}"
                       for s, terms, v in zip("₁₂", dw, self.dW[:, 0], strict=True))),
            ("Slope of the bias", "eq-neuron-db", r"db = \sum_n dz_n",
             f"db = {' + '.join(steps)} = {number(self.db[0])}"),
        ]  # fmt: skip
        return [
            formula(title, latex, label=label, numbers=line, width="half")
            for title, label, latex, line in lines
        ]
