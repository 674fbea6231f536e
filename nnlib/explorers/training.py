"""What explorers that train a network share: the update, optimizers by name, curves that thin themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlib._shapes import Array
from nnlib.experiments import mlp
from nnlib.explorers.engine import Button, Explorer
from nnlib.explorers.panels import Series
from nnlib.initializers import Initializer
from nnlib.layers import Linear
from nnlib.losses import Loss
from nnlib.network import Sequential
from nnlib.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from nnlib.training import minibatches

__all__ = ["ACTIVATION_NAMES", "OPTIMIZERS", "OPTIMIZER_NAMES", "History", "Trainer"]

OPTIMIZERS: Mapping[str, Callable[[float], Optimizer]] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "nesterov": partial(SGD, momentum=0.9, nesterov=True),
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}
OPTIMIZER_NAMES = {
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "nesterov": "Nesterov momentum",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamw": "AdamW",
}
ACTIVATION_NAMES = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU", "none": "none"}


class History:
    """Numbers over the steps; when there are too many, every second one goes and every second step counts.

    Parameters
    ----------
    every : steps between two entries, at first
    most : entries that are kept at most

    Attributes
    ----------
    steps : steps at which there is an entry
    columns : name -> one number for each of them

    Examples
    --------
    >>> history = History(most=3)
    >>> for step in range(6):
    ...     if history.due(step):
    ...         history.add(step, loss=10.0 - step)
    >>> history.steps, history.columns
    ([0, 2, 4], {'loss': [10.0, 8.0, 6.0]})
    """

    def __init__(self, every: int = 1, most: int = 150) -> None:
        self.every, self.most = every, most
        self.steps: list[int] = []
        self.columns: dict[str, list[float]] = {}

    def due(self, step: int) -> bool:
        """Whether this step is to be added."""
        return step % self.every == 0

    def add(self, step: int, **values: float) -> None:
        """Add one number to each column."""
        self.steps.append(step)
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)
        if len(self.steps) > self.most:
            self.every *= 2
            kept = [i for i, step in enumerate(self.steps) if self.due(step)]
            self.steps = [self.steps[i] for i in kept]
            self.columns = {name: [column[i] for i in kept] for name, column in self.columns.items()}

    def series(self, name: str, column: str, now: tuple[int, float] | None = None) -> Series:
        """Return one column as a line; `now` is where it ends, when that is not an entry yet."""
        x, y = list(self.steps), list(self.columns[column])
        if now is not None and now[0] != x[-1]:
            x, y = [*x, now[0]], [*y, now[1]]
        return {"name": name, "x": np.array(x), "y": np.array(y)}


class Trainer(Explorer):
    """Base of the explorers that train; `start` of a subclass calls `prepare`.

    Attributes
    ----------
    net, criterion, optimizer : what is trained, its loss function, and what changes it
    X, Y : training examples and the targets that the loss function expects
    marks : (step, text) where a setting was changed on the way
    """

    buttons = (Button("epoch", "Epoch"),)
    ends: ClassVar[tuple[int, int]]  # inputs and outputs of the network

    net: Sequential
    criterion: Loss
    optimizer: Optimizer
    X: Array
    Y: Array
    first_loss: float

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer."""
        return [self.settings["hidden_size"]] * self.settings["hidden_layers"]

    @property
    def sizes(self) -> list[int]:
        """Units of each layer, from the inputs to the outputs."""
        return [self.ends[0], *self.hidden, self.ends[1]]

    def layers(self) -> str:
        """Return the architecture in words."""
        kind = ACTIVATION_NAMES[self.settings["activation"]].replace("none", "linear")
        kinds = ["input", *[f"{kind} unit"] * len(self.hidden), "output"]
        return ", ".join(f"{n} {kind}{'s' * (n != 1)}" for n, kind in zip(self.sizes, kinds, strict=True))

    def build(self, init: Initializer, dtype: DTypeLike = np.float64) -> Sequential:
        """Return a fresh network as the settings say."""
        activation = self.settings["activation"]
        return mlp(
            self.sizes,
            activation=None if activation == "none" else activation,
            rng=self.rng,
            init=init,
            dtype=dtype,
        )

    def prepare(self, net: Sequential, criterion: Loss, X: Array, Y: Array) -> None:
        """Take up a fresh network, its loss function and the training data."""
        self.net, self.criterion, self.X, self.Y = net, criterion, X, Y
        self.marks: list[tuple[float, str]] = []
        self.diverged = ""
        self.learn_with(set(self.settings))

    @property
    def batch_size(self) -> int:
        """Rows in a mini-batch."""
        size = self.settings["batch_size"]
        return len(self.X) if size == "full" else min(int(size), len(self.X))

    @property
    def steps_per_epoch(self) -> int:
        """Updates until each row has been seen once."""
        return math.ceil(len(self.X) / self.batch_size)

    def learn_with(self, names: set[str]) -> None:
        """Take over the settings of that name that concern the update."""
        if "optimizer" in names:
            self.optimizer = OPTIMIZERS[self.settings["optimizer"]](self.settings["learning_rate"])
        self.optimizer.lr = self.settings["learning_rate"]
        if "batch_size" in names:
            self.batches: Iterator[tuple[Array, Array]] = iter(())
            self.batches_left = 0

    def next_batch(self) -> tuple[Array, Array]:
        """Return the next rows; when all have been seen, in a new random order."""
        if self.batches_left == 0:
            self.batches = minibatches(self.X, self.Y, self.batch_size, rng=self.rng)
            self.batches_left = self.steps_per_epoch
        self.batches_left -= 1
        return next(self.batches)

    def update(self) -> tuple[Array, Array, float]:
        """Make one update and return the targets of its batch, the scores and the loss before it.

        A loss or a parameter that is not finite ends the run with a message.
        """
        X, Y = self.next_batch()
        with np.errstate(over="ignore", invalid="ignore"):  # what blows up is reported below
            scores = self.net.forward(X)
            loss = self.criterion.forward(scores, Y)
            if self.steps == 0:
                self.first_loss = loss
            if math.isfinite(loss):
                self.net.backward(self.criterion.backward())
                self.optimizer.step(self.net.params(), self.net.grads())
        if not math.isfinite(loss):
            self.diverge("the loss", loss, self.steps + 1)
        for name, theta in self.net.params().items():
            if not np.isfinite(theta).all():
                self.diverge(f"parameter {name}", float(theta[~np.isfinite(theta)][0]), self.steps + 1)
        return Y, scores, loss

    def diverge(self, what: str, value: float, step: int) -> None:
        """Say what happened and what to do; the first reason counts."""
        self.diverged = self.diverged or (
            f"{what[0].upper()}{what[1:]} became {value} at step {step}: the learning rate "
            f"{self.optimizer.lr:g} is too large. Lower it and press Reset."
        )
        self.message = self.diverged

    @property
    def warning(self) -> str:
        """What may go wrong: units that saturate keep a loss finite that a step too large has ruined.

        The words stay the same while the loss moves: they are read aloud once.
        """
        if self.steps < 10 or self.loss is None or not self.loss > 1.5 * self.first_loss:
            return ""
        return (
            f"The loss has risen above the {self.first_loss:.3g} of the first step: the learning rate "
            f"{self.optimizer.lr:g} is too large. Lower it; press Reset if the loss does not fall again."
        )

    def changed(self, names: set[str]) -> None:  # noqa: D102
        self.message = self.diverged  # no setting brings lost weights back
        self.learn_with(names)
        texts = [self.words(name) for name in ("optimizer", "learning_rate", "batch_size") if name in names]
        if texts and self.steps:
            earlier = [mark for mark in self.marks if mark[0] != self.steps]
            self.marks = [*earlier[-2:], (self.steps, ", ".join(texts))]

    def words(self, name: str) -> str:
        """Return a setting in words, short enough for a mark in a plot."""
        value = self.settings[name]
        if name == "learning_rate":
            return f"rate {value:.3g}"
        return OPTIMIZER_NAMES[value] if name == "optimizer" else f"batch {value}"

    def act_epoch(self) -> None:
        """Go on until every row of this pass has been seen."""
        self.run_until(self.steps + (self.batches_left or self.steps_per_epoch))

    def frame(self) -> dict[str, Any]:  # noqa: D102
        if self.loss is not None and not math.isfinite(self.loss):
            self.diverge("the loss", self.loss, self.steps)
        with np.errstate(over="ignore", invalid="ignore"):
            return super().frame()


def matrices(net: Sequential) -> list[Array]:
    """Weights of the linear layers, first to last: the very arrays."""
    return [layer.params["W"] for layer in net.layers if isinstance(layer, Linear)]


def ratios(before: Sequence[Array], after: Sequence[Array]) -> list[float]:
    """Size of a change relative to what was changed; nan where either is nothing.

    Examples
    --------
    >>> ratios([np.array([3.0, 4.0])], [np.array([3.0, 4.5])])
    [0.1]
    """
    sizes = [
        (float(np.linalg.norm(b - a)), float(np.linalg.norm(a))) for a, b in zip(before, after, strict=True)
    ]
    return [change / size if change and size else math.nan for change, size in sizes]
