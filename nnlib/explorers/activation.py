"""Activations and what their slopes do to a gradient that has to pass through many layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from nnlib._shapes import Array
from nnlib.explorers.engine import Explorer, choice, log_slider, slider, whole
from nnlib.explorers.panels import Panel, curves, factor, formula, histograms, number
from nnlib.initializers import Initializer, he_normal, normal, xavier_normal
from nnlib.layers import Layer, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from nnlib.losses import MSE
from nnlib.network import Sequential
from nnlib.optimizers import SGD

__all__ = ["Activation"]

LAYERS: dict[str, type[Layer]] = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU, "leaky_relu": LeakyReLU}
NAMES = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU", "leaky_relu": "leaky ReLU"}
RULES = {
    "sigmoid": ("eq-sigmoid-dz", r"dZ = dA \odot A \odot (1 - A)"),
    "tanh": ("eq-tanh-dz", r"dZ = dA \odot (1 - A \odot A)"),
    "relu": ("eq-relu-dz", r"dZ = dA \odot \mathbf{1}[Z > 0]"),
    "leaky_relu": ("eq-leaky-relu-dz", r"dZ = dA \odot (\mathbf{1}[Z > 0] + s\, \mathbf{1}[Z \le 0])"),
}
Z = np.linspace(-6, 6, 121)
ROWS, BINS, SHOWN, HISTORY = 64, 24, 6, 150


def slope(activation: str, z: Array) -> tuple[Array, Array]:
    """Return the activation of z and its derivative there: its backward with dA = 1.

    Parameters
    ----------
    activation : "sigmoid", "tanh", "relu" or "leaky_relu"
    z : (N,)

    Examples
    --------
    >>> slope("tanh", np.array([0.0, 100.0]))
    (array([0., 1.]), array([1., 0.]))
    """
    layer = LAYERS[activation]()
    a = layer.forward(z[:, None])
    return a[:, 0], layer.backward(np.ones_like(a))[:, 0]


def rms(values: Array) -> float:
    """Return the root of the mean of the squares."""
    return math.sqrt(float(np.mean(values**2)))


def spread(count: int, shown: int) -> list[int]:
    """Return at most `shown` of the indices below `count`, evenly spaced, with the first and the last.

    Examples
    --------
    >>> spread(11, 6), spread(2, 6)
    ([0, 2, 4, 6, 8, 10], [0, 1])
    """
    return [round(i) for i in np.linspace(0, count - 1, min(count, shown))]


def round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20 ...: the end of a scale that does not change all the time.

    Examples
    --------
    >>> round_up(3.2), round_up(0.011), round_up(0.0)
    (5.0, 0.02, 1.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(n * power for n in (1.0, 2.0, 5.0, 10.0) if n * power >= value)


def initializer(name: str, scale: float) -> Initializer:
    """Return the initializer with that name; `scale` is the standard deviation of "normal"."""
    rules: dict[str, Initializer | Callable[..., Array]] = {
        "xavier": xavier_normal,
        "he": he_normal,
        "normal": partial(normal, std=scale),
    }
    return rules[name]


class Activation(Explorer):
    """A deep network that learns to repeat its first input, and the gradients in each of its layers.

    Every row of one batch (64 rows of standard normal numbers) has its own first entry as its target. One
    step is one update with gradient descent on the mean squared error of the whole batch.

    Attributes
    ----------
    net, X, y : the network, its inputs (64, width) and its targets (64, 1)
    sizes : rms of dZ of each layer, from the first to the output
    """

    name = "activation"
    title = "Activations and vanishing gradients"
    caption = (
        "On its way back dZ is multiplied by weights and by a slope in every layer. Where that makes it "
        "smaller each time, the first layers hear nothing, and the loss stays at what the best constant "
        "answer gives."
    )
    controls = (
        choice("activation", "Activation", "sigmoid", NAMES, restarts=True),
        slider("z", "Marked z", 2.0, -6, 6, 0.1),
        whole("depth", "Hidden layers", 10, 1, 20, restarts=True),
        whole("width", "Units in a layer", 32, 16, 64, step=16, restarts=True),
        choice(
            "init",
            "Initialization",
            "xavier",
            {"xavier": "Xavier", "he": "He", "normal": "normal, with the scale below"},
            restarts=True,
        ),
        log_slider("scale", "Scale of the normal weights", 0.1, 0.01, 1, restarts=True),
        log_slider("learning_rate", "Learning rate", 0.02, 1e-4, 100),
        whole("seed", "Seed", 0, 0, 99, restarts=True),
    )
    recorded = (25, 4)
    limit = 5000

    def start(self) -> None:
        """Draw the batch and the weights, and make the first forward and backward."""
        s = self.settings
        self.X = self.rng.standard_normal((ROWS, s["width"]))
        self.y = self.X[:, :1].copy()
        self.constant = float(self.y.var())  # loss of the best constant answer
        self.net = self._network(s["depth"], s["width"])
        self._loss = MSE()
        self.optimizer = SGD(s["learning_rate"])
        self.history: list[tuple[int, float]] = []
        self.every, self.trouble = 1, ""
        self._mark()
        self._measure()
        self.first_sizes = self.sizes

    def _network(self, depth: int, width: int) -> Sequential:
        init = initializer(self.settings["init"], self.settings["scale"])
        net = Sequential()
        for _ in range(depth):
            net.add(Linear(width, width, rng=self.rng, init=init)).add(LAYERS[self.settings["activation"]]())
        return net.add(Linear(width, 1, rng=self.rng, init=init))

    def _measure(self) -> None:
        """Forward, loss and backward at the present weights."""
        with np.errstate(over="ignore", invalid="ignore"):
            output, self.hidden = self.X, []
            for layer in self.net.layers:
                output = layer.forward(output)
                if not isinstance(layer, Linear):
                    self.hidden.append(output)
            self.value = self._loss.forward(output, self.y)
            gradient, sizes = self._loss.backward(), []
            for layer in reversed(self.net.layers):
                if isinstance(layer, Linear):  # what arrives here is dZ of its layer
                    sizes.append(rms(gradient))
                gradient = layer.backward(gradient)
            self.sizes = sizes[::-1]

    def _trouble(self) -> str:
        """Return what went wrong in the step just made, or nothing."""
        if math.isfinite(self.value) and math.isfinite(sum(self.sizes)):
            return ""
        s = self.settings
        cause = f"the learning rate {s['learning_rate']:g} is too large. Lower it"
        if s["init"] == "normal":
            cause = (
                f"the learning rate {s['learning_rate']:g} or the scale {s['scale']:g} of the weights is too "
                f"large. Lower one of them"
            )
        return f"The loss became {self.value:.3g} at step {self.steps + 1}: {cause} and press Reset."

    def advance(self) -> None:
        """Make one update, then measure again."""
        if self.steps % self.every == 0:
            self.history.append((self.steps, self.value))
        if len(self.history) > HISTORY:  # a curve of any length, in few points
            self.history, self.every = self.history[::2], 2 * self.every
        with np.errstate(over="ignore", invalid="ignore"):
            self.optimizer.step(self.net.params(), self.net.grads())
        self._measure()
        self.message = self.trouble = self._trouble()

    def changed(self, names: set[str]) -> None:
        """Take over the learning rate and the marked z; a run that blew up stays so until it is reset."""
        self.optimizer.lr = self.settings["learning_rate"]
        self._mark()
        self.message = self.trouble

    @property
    def loss(self) -> float:
        """Mean squared error of the batch."""
        return self.value

    # What there is to see

    def _mark(self) -> None:
        """Curve, derivative and formula: they depend on the settings alone."""
        kind, z = self.settings["activation"], self.settings["z"]
        A, dZ = slope(kind, Z)
        a, da = (float(v[0]) for v in slope(kind, np.array([z])))
        self.curve_panel = curves(
            f"{NAMES[kind][0].upper()}{NAMES[kind][1:]} and its derivative",
            [
                {"name": "activation a", "x": Z, "y": A},
                {"name": "derivative", "x": Z, "y": dZ},
                {"name": "at the marked z", "x": [z, z], "y": [a, da], "points": True},
            ],
            xlabel="z",
            xlim=(-6, 6),
            marks=[(z, f"z = {number(z)}")],
        )
        label, latex = RULES[kind]
        self.rule_panel = formula(
            "The derivative at z", latex, label=label, numbers=_numbers(kind, z, a, da), width="half"
        )

    def _histograms(self) -> Panel:
        shown = spread(len(self.hidden), SHOWN)
        span = self._span(shown)
        counts = [np.histogram(self.hidden[i], bins=BINS, range=span)[0] for i in shown]
        titles = [f"layer {i + 1}" for i in shown]
        return histograms(
            "Outputs of the units, by hidden layer", counts, titles=titles, ranges=[span] * len(shown)
        )

    def _span(self, shown: list[int]) -> tuple[float, float]:
        """Return the common scale of the histograms."""
        bounded = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
        if self.settings["activation"] in bounded:
            return bounded[self.settings["activation"]]
        ends = [float(end(self.hidden[i])) for i in shown for end in (np.min, np.max)]
        if not all(map(math.isfinite, ends)):
            return 0.0, 1.0
        low = -round_up(-min(ends)) if min(ends) < 0 else 0.0
        return low, round_up(max(ends))

    def panels(self) -> list[Panel]:
        """Return the curve, the rule, the outputs, the gradients and the loss."""
        layers = np.arange(1, len(self.sizes) + 1)
        history = [*self.history, (self.steps, self.value)]
        steps = [step for step, _ in history]
        return [
            self.curve_panel,
            self.rule_panel,
            self._histograms(),
            curves(
                "Size of the gradient, layer by layer",
                [
                    {"name": "now", "x": layers, "y": _visible(self.sizes)},
                    {"name": "at the start", "x": layers, "y": _visible(self.first_sizes)},
                ],
                xlabel="layer (the last one is the output)",
                ylabel="rms of dZ",
                ylog=True,
            ),
            curves(
                "Loss",
                [
                    {"name": "mean squared error", "x": steps, "y": [value for _, value in history]},
                    {"name": "best constant answer", "x": [0, steps[-1]], "y": [self.constant] * 2},
                ],
            ),
        ]

    def describe(self) -> str:
        """Return the loss and how much of the gradient reaches the first layer."""
        s, last = self.settings, len(self.sizes)
        layers = "1 hidden layer" if s["depth"] == 1 else f"{s['depth']} hidden layers"
        return (
            f"Step {self.steps}: loss {self.value:.4g}; the best constant answer has {self.constant:.4g}. "
            f"{layers} of {s['width']} {NAMES[s['activation']]} units. Size of the gradient: "
            f"{self.sizes[0]:.3g} in layer 1, {self.sizes[-1]:.3g} in layer {last} "
            f"(at the start {self.first_sizes[0]:.3g} and {self.first_sizes[-1]:.3g})."
        )


def _visible(sizes: list[float]) -> Array:
    """Sizes for a logarithmic axis, on which 0 has no place."""
    return np.array([size if size > 0 else np.nan for size in sizes])


def _numbers(kind: str, z: float, a: float, da: float) -> str:
    """Return the rule with dA = 1 and the numbers at z."""
    height = factor(a)
    told = {
        "sigmoid": f"1 · {height} · (1 − {height})",
        "tanh": f"1 · (1 − {height} · {height})",
        "relu": "1 · 1" if z > 0 else "1 · 0",
        "leaky_relu": "1 · 1" if z > 0 else "1 · 0.01",
    }
    return f"z = {number(z)}, a = {number(a)}, dA = 1: dZ = {told[kind]} = {number(da)}"
