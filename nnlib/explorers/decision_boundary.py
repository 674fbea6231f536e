"""A small network learns to tell two classes of points apart, in the plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import numpy as np

from nnlib import data
from nnlib import functional as F
from nnlib._shapes import Array
from nnlib.explorers import panels
from nnlib.explorers.engine import choice, log_slider, whole
from nnlib.explorers.panels import Panel, Series, Shades, number
from nnlib.explorers.training import ACTIVATION_NAMES, OPTIMIZER_NAMES, History, Trainer, matrices, ratios
from nnlib.initializers import (
    Initializer,
    he_normal,
    he_uniform,
    normal,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from nnlib.layers import Sigmoid
from nnlib.losses import MSE, BinaryCrossEntropyWithLogits
from nnlib.metrics import accuracy

__all__ = ["DecisionBoundary"]

CLOUDS: Mapping[str, Callable[..., tuple[Array, Array]]] = {
    "linear": partial(data.linear, margin=0.03),
    "clouds": partial(data.xor_clouds, noise=0.3),
    "moons": data.moons,
    "circles": partial(data.circles, noise=0.08),
    "spirals": data.spirals,
}
DATASETS = {
    "xor": "XOR, 4 points",
    "and": "AND, 4 points",
    "or": "OR, 4 points",
    "nand": "NAND, 4 points",
    "linear": "split by a line",
    "clouds": "XOR clouds",
    "moons": "two moons",
    "circles": "two circles",
    "spirals": "two spirals",
}
INITIALIZERS: Mapping[str, Initializer] = {
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "normal": normal,
    "uniform": uniform(-1, 1),
    "zeros": zeros,
}
INITIALIZER_NAMES = {
    "xavier_uniform": "Xavier, uniform",
    "xavier_normal": "Xavier, normal",
    "he_uniform": "He, uniform",
    "he_normal": "He, normal",
    "normal": "normal, σ = 0.01",
    "uniform": "uniform, −1 to 1",
    "zeros": "zeros",
}
BATCHES = {"full": "all points", "1": "1", "4": "4", "16": "16", "32": "32"}
GRID = 31  # points of the surface on each side; every second one is in the maps of the hidden units
POINTS, HELD_OUT = 200, 100
MOST_MAPS = 16


class DecisionBoundary(Trainer):
    """Train a small network on points in the plane and watch how it divides it.

    Parameters
    ----------
    dataset : "xor", "and", "or", "nand", "linear", "clouds", "moons", "circles" or "spirals"
    hidden_layers, hidden_size : hidden layers and units in each
    activation : of the hidden units, "sigmoid", "tanh", "relu" or "none"
    loss : "bce" (cross-entropy, from the scores) or "mse" (of the probability)
    optimizer : "sgd", "momentum", "nesterov", "rmsprop", "adam" or "adamw"
    learning_rate : may be changed while training, as may the optimizer and the batch size
    batch_size : "full" or a number of points
    init : where the weights start: an initializer of `nnlib.initializers`, "uniform" being from -1 to 1
    seed : decides the data, the first weights and the order of the points
    shows : what the network picture shows: "weights", "activations" or "gradients"

    Examples
    --------
    >>> engine = DecisionBoundary(learning_rate=1.0, seed=1)
    >>> engine.step(10), engine.steps
    (10, 10)
    """

    name = "decision-boundary"
    title = "Decision boundary"
    caption = "Watch how the hidden units cut the plane, and how the output puts the pieces together."
    controls = (
        choice("dataset", "Data", "xor", DATASETS, restarts=True),
        log_slider("learning_rate", "Learning rate", 0.5, 0.001, 100),
        choice("optimizer", "Optimizer", "sgd", OPTIMIZER_NAMES),
        choice("batch_size", "Batch size", "full", BATCHES),
        choice("activation", "Activation", "tanh", ACTIVATION_NAMES, restarts=True),
        whole("hidden_layers", "Hidden layers", 1, 0, 3, restarts=True),
        whole("hidden_size", "Units a layer", 4, 1, 16, restarts=True),
        choice("loss", "Loss", "bce", {"bce": "cross-entropy", "mse": "squared error"}, restarts=True),
        choice("init", "First weights", "xavier_uniform", INITIALIZER_NAMES, restarts=True),
        whole("seed", "Seed", 1, 0, 999, restarts=True),
        choice(
            "shows", "Network shows", "weights",
            {"weights": "weights", "activations": "activations", "gradients": "gradients"},
        ),
    )  # fmt: skip
    ends = 2, 1

    def start(self) -> None:  # noqa: D102
        self.X_test: Array | None = None
        self.y_test: Array | None = None
        if self.settings["dataset"] in CLOUDS:
            draw = CLOUDS[self.settings["dataset"]]
            X, self.y = draw(POINTS, rng=self.rng)
            self.X_test, self.y_test = draw(HELD_OUT, rng=self.rng)
        else:
            X, self.y = data.logic_gate(self.settings["dataset"])
        net = self.build(INITIALIZERS[self.settings["init"]])
        logits = self.settings["loss"] == "bce"
        if not logits:
            net.add(Sigmoid())
        criterion = BinaryCrossEntropyWithLogits() if logits else MSE()
        self.prepare(net, criterion, X, self.y[:, None].astype(np.float64))
        self.extent = _frame_around(X)
        clouds = self.settings["dataset"] in CLOUDS
        self.pace = None if clouds else 120  # four points: slow enough to watch
        self.recorded = (24, 60 if clouds else 12)
        self.chosen = len(X) - 1
        self.history = History()
        self.measured: dict[str, float] | None = None
        self.record(0, [math.nan] * (len(self.sizes) - 1))

    # Training

    def advance(self) -> None:  # noqa: D102
        step = self.steps + 1
        due = self.history.due(step)
        before = [W.copy() for W in matrices(self.net)] if due else []
        self.update()
        self.measured = None
        if due:
            with np.errstate(over="ignore", invalid="ignore"):
                self.record(step, ratios(before, matrices(self.net)))

    def record(self, step: int, changes: list[float]) -> None:
        """Add what is true after this step to the curves."""
        self.history.add(step, **self.measure(), **{f"ratio{i}": r for i, r in enumerate(changes)})

    def measure(self) -> dict[str, float]:
        """Return loss and accuracy on all training points and on the held-out ones."""
        if self.measured is None:
            self.measured = self._score("", self.X, self.y)
            if self.X_test is not None and self.y_test is not None:
                self.measured |= self._score("test_", self.X_test, self.y_test)
        return self.measured

    def _score(self, prefix: str, X: Array, y: Array) -> dict[str, float]:
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self.net.predict(X)
            loss = self.criterion.pair[0](scores, y[:, None])
        right = accuracy(scores, y, threshold=0.5 if self.settings["loss"] == "mse" else 0.0)
        return {f"{prefix}loss": loss, f"{prefix}accuracy": right}

    @property
    def loss(self) -> float:
        """Loss on all training points."""
        return self.measure()["loss"]

    @property
    def accuracy(self) -> float:
        """Share of the training points that are classified rightly."""
        return self.measure()["accuracy"]

    def grads(self) -> dict[str, Array]:
        """Return the gradient of the loss on all training points, by the names of ``net.params()``."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.criterion.forward(self.net.forward(self.X), self.Y)
            self.net.backward(self.criterion.backward())
        return {name: gradient.copy() for name, gradient in self.net.grads().items()}

    def outputs(self, X: Array) -> list[Array]:
        """Return the outputs of each hidden layer, and last the probability of class 1, (N, 1)."""
        block = 1 if self.settings["activation"] == "none" else 2  # layers of the net for a hidden layer
        after = []
        with np.errstate(over="ignore", invalid="ignore"):
            for layer in self.net.layers:
                X = layer.infer(X)
                after.append(X)
            probability = X if self.settings["loss"] == "mse" else F.sigmoid(X)
        return [*after[block - 1 : block * self.settings["hidden_layers"] : block], probability]

    # Actions

    def act_point(self, value: list[float] | None = None) -> None:
        """Choose the training point next to a place in the plane, or without one the next in the list."""
        if value is None:
            self.chosen = (self.chosen + 1) % len(self.X)
        else:
            self.chosen = int(np.argmin(np.linalg.norm(self.X - np.asarray(value, dtype=np.float64), axis=1)))
        self.settings = self.settings | {"shows": "activations"}

    # What there is to see

    def panels(self) -> list[Panel]:  # noqa: D102
        *hidden, probability = self.outputs(_grid(self.extent))
        return [
            self._surface(probability),
            self._picture(),
            self._curves("Loss", "loss", ylim=None),
            self._curves("Accuracy", "accuracy", ylim=(0, 1.02)),
            self._ratios(),
            *self._maps(hidden),
        ]

    def _surface(self, probability: Array) -> Panel:
        points = _groups(self.X, self.y, "class {}")
        if self.X_test is not None and self.y_test is not None:
            points += _groups(self.X_test, self.y_test, "class {}, held out", hollow=True)
        if self.settings["shows"] == "activations":
            x, y = self.X[self.chosen].round(3)
            points.append({"name": "chosen point", "x": [x], "y": [y], "group": 2})
        return panels.plane(
            "Probability of class 1",
            extent=self.extent,
            field=Shades(probability.reshape(GRID, GRID), 0, 1),
            levels=[0.5],
            points=points,
            action="point",
        )

    def _picture(self) -> Panel:
        shows = self.settings["shows"]
        params = self.grads() if shows == "gradients" else self.net.params()
        edges = [value for name, value in params.items() if name.endswith("W")]
        biases = [value for name, value in params.items() if name.endswith("b")]
        units: list[Array | None] = [None, *biases]
        title = "Weights and biases" if shows == "weights" else "Gradient of the loss, weights and biases"
        if shows == "activations":
            x = self.X[self.chosen : self.chosen + 1]
            units = [x[0], *(A[0] for A in self.outputs(x))]
            title = f"Activations for the point {self._place()}"
        names = [["x₁", "x₂"], *[None] * self.settings["hidden_layers"], ["p"]]
        return panels.network(title, sizes=self.sizes, weights=edges, values=units, names=names, shows=shows)

    def _curves(self, title: str, what: str, ylim: tuple[float, float] | None) -> Panel:
        columns = {"training": what} | ({} if self.X_test is None else {"held out": f"test_{what}"})
        series = [
            self.history.series(name, column, (self.steps, self.measure()[column]))
            for name, column in columns.items()
        ]
        return panels.curves(
            title, series, ylabel=title.lower(), ylim=ylim, marks=self.marks or None, width="third"
        )

    def _maps(self, hidden: list[Array]) -> list[Panel]:
        places = [
            [],
            ["Hidden"],
            ["First hidden", "Last hidden"],
            ["First hidden", "Second hidden", "Last hidden"],
        ]
        return [self._map(f"{place} layer", A) for place, A in zip(places[len(hidden)], hidden, strict=True)]

    def _map(self, title: str, A: Array) -> Panel:
        activation = self.settings["activation"]
        most = float(np.abs(A).max()) or 1.0
        scales = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, most), "none": (-most, most)}
        low, high = scales[activation]
        layers = self.settings["hidden_layers"]
        images = [Shades(unit.reshape(GRID, GRID)[::2, ::2], low, high) for unit in A.T[:MOST_MAPS]]
        return panels.pictures(
            title,
            images,
            titles=[f"unit {i}" for i in range(1, len(images) + 1)],
            palette="sequential" if activation in ("sigmoid", "relu") else "diverging",
            smooth=True,
            width="full" if len(images) > 4 and layers == 1 else "half" if layers < 3 else "third",
        )

    def _ratios(self) -> Panel:
        layers = [self.history.series(f"layer {i + 1}", f"ratio{i}") for i in range(len(self.sizes) - 1)]
        thumb: Series = {"name": "rule of thumb, 0.001", "x": [0, max(self.steps, 1)], "y": [1e-3, 1e-3]}
        return panels.curves(
            "Update size, ‖ΔW‖ / ‖W‖",
            [*layers, thumb],
            ylog=True,
            marks=self.marks or None,
            width="third",
        )

    def _place(self) -> str:
        x, y = self.X[self.chosen]
        return f"({number(x, 3)}, {number(y, 3)})"

    def describe(self) -> str:  # noqa: D102
        numbers = self.measure()
        held = f" (held out: {numbers['test_accuracy']:.0%})" if "test_accuracy" in numbers else ""
        words = (
            f"Step {self.steps}: loss {self.loss:.3g}, accuracy {self.accuracy:.0%}{held}. {self.layers()}."
        )
        if self.settings["shows"] == "activations":
            p = self.outputs(self.X[self.chosen : self.chosen + 1])[-1].item()
            words += f" Point {self._place()} of class {self.y[self.chosen]}: probability of class 1 {p:.3g}."
        return words.replace("%", " %")


def _frame_around(X: Array) -> tuple[float, float, float, float]:
    """A square with all points inside: x from, x to, y from, y to."""
    low, high = X.min(axis=0), X.max(axis=0)
    middle, half = (low + high) / 2, 0.65 * float((high - low).max())
    x, y = (float(value) for value in middle)
    return round(x - half, 2), round(x + half, 2), round(y - half, 2), round(y + half, 2)


@lru_cache(maxsize=8)
def _grid(extent: tuple[float, float, float, float]) -> Array:
    """Points of a regular grid, row after row from the top: (GRID², 2)."""
    x, y = np.meshgrid(np.linspace(*extent[:2], GRID), np.linspace(extent[3], extent[2], GRID))
    return np.column_stack([x.ravel(), y.ravel()])


def _groups(X: Array, y: Array, name: str, **more: bool) -> list[dict[str, object]]:
    """The points of each class, rounded as far as a picture needs them."""
    return [
        {"name": name.format(k), "x": X[y == k, 0].round(3), "y": X[y == k, 1].round(3), "group": k} | more
        for k in (0, 1)
    ]
