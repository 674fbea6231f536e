"""A network learns to read handwritten digits, and reads yours."""

from __future__ import annotations

import base64
import binascii
import math
import os
from collections import deque
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nnlib import data
from nnlib import functional as F
from nnlib._shapes import Array
from nnlib.explorers import panels
from nnlib.explorers.engine import choice, log_slider, whole
from nnlib.explorers.panels import Panel, Shades
from nnlib.explorers.training import ACTIVATION_NAMES, OPTIMIZER_NAMES, History, Trainer, matrices
from nnlib.initializers import he_normal, xavier_uniform
from nnlib.losses import SoftmaxCrossEntropy
from nnlib.metrics import accuracy, confusion_matrix

__all__ = ["MNIST", "centre_digit"]

TRAIN, TEST = 10_000, 2_000  # images of each part: what a page can load
SIDE, BOX = 28, 20  # pixels of an image, and of the longer side of the digit in it
PAD = 112  # pixels of the pad on each side
FIRST_LOOK = 500  # images that stand for the training data before the first step
SHOWN = 8  # weight images
WRONG = 4  # wrong digits
DIGITS = [str(digit) for digit in range(10)]


class MNIST(Trainer):
    """Train a network on handwritten digits, look at what it has learned, and draw a digit for it.

    Parameters
    ----------
    hidden_size, second_size : units of the first and of the second hidden layer; 0 for no such layer
    activation : of the hidden units, "sigmoid", "tanh", "relu" or "none"
    optimizer : "sgd", "momentum", "nesterov", "rmsprop", "adam" or "adamw"
    learning_rate : may be changed while training, as may the optimizer and the batch size
    batch_size : images a step
    seed : decides the first weights and the order of the images

    Raises
    ------
    FileNotFoundError
        When MNIST is not on this machine; see `nnlib.data.mnist`.

    Examples
    --------
    >>> engine = MNIST(hidden_size=16)
    >>> engine.step(50), engine.accuracy > 0.5
    (50, True)
    """

    name = "mnist"
    title = "Handwritten digits"
    caption = "Train a network on 10,000 digits, see what its units look for, and draw a digit of your own."
    controls = (
        log_slider("learning_rate", "Learning rate", 0.005, 0.0001, 10),
        choice("optimizer", "Optimizer", "adam", OPTIMIZER_NAMES),
        choice("batch_size", "Batch size", "64", {size: size for size in ("16", "32", "64", "128", "256")}),
        choice("activation", "Activation", "relu", ACTIVATION_NAMES, restarts=True),
        whole("hidden_size", "Units, first layer", 64, 0, 128, step=4, restarts=True),
        whole("second_size", "Units, second layer", 0, 0, 128, step=4, restarts=True),
        whole("seed", "Seed", 0, 0, 999, restarts=True),
    )
    recorded = (21, 25)
    ends = SIDE**2, 10

    ink: Array | None = None  # the drawing outlives a reset

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer."""
        return [size for size in (self.settings["hidden_size"], self.settings["second_size"]) if size]

    def start(self) -> None:  # noqa: D102
        X, y, self.X_test, self.y_test = _digits()
        init = he_normal if self.settings["activation"] == "relu" else xavier_uniform
        net = self.build(init, np.float32)
        self.prepare(net, SoftmaxCrossEntropy(), X, y)
        self.train, self.test = History(every=5), History(every=50, most=80)
        scores = net.predict(X[:FIRST_LOOK])
        self.recent = deque([self._score(scores, y[:FIRST_LOOK])], maxlen=20)
        self.train.add(0, **self.lately())
        self.look(0)

    # Training

    def advance(self) -> None:  # noqa: D102
        step = self.steps + 1
        if self.steps == 0:
            self.recent.clear()
        y, scores, loss = self.update()
        self.recent.append((loss, accuracy(scores, y)))
        if self.train.due(step):
            self.train.add(step, **self.lately())
        if self.test.due(step) and not self.message:
            self.look(step)

    def lately(self) -> dict[str, float]:
        """Return loss and accuracy, averaged over the last mini-batches."""
        losses, rights = zip(*self.recent, strict=True)
        return {"loss": math.fsum(losses) / len(losses), "accuracy": math.fsum(rights) / len(rights)}

    def look(self, step: int) -> None:
        """Measure on the test images: that is slow, and happens every so many steps only."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self.net.predict(self.X_test)
            loss, right = self._score(scores, self.y_test)
            P = F.softmax(scores)
        self.test.add(step, loss=loss, accuracy=right)
        self.confusion = confusion_matrix(scores, self.y_test, 10)
        if step % (2 * self.test.every) == 0:
            self.pictures = [self._weights(step), self._wrong(step, P)]

    def _score(self, scores: Array, y: Array) -> tuple[float, float]:
        return self.criterion.pair[0](scores, y), accuracy(scores, y)

    @property
    def loss(self) -> float:
        """Loss, averaged over the last 20 mini-batches."""
        return self.lately()["loss"]

    @property
    def accuracy(self) -> float:
        """Share of the test images that were read rightly when that was last measured."""
        return self.test.columns["accuracy"][-1]

    # Drawing

    def act_draw(self, value: Mapping[str, Any]) -> None:
        """Take over the pad: ``{"shape": [112, 112], "u8": base64 text}``, or ``{}`` when it was wiped."""
        ink = _decode(value) if value else np.zeros((1, 1))
        self.ink = centre_digit(ink) if ink.any() else None

    def read(self) -> Array | None:
        """Return the probability of each digit for the drawing, (10,), or None when there is no drawing."""
        if self.ink is None or self.diverged:
            return None
        scores = self.net.predict(self.ink.reshape(1, -1).astype(np.float32))
        P: Array = F.softmax(scores)[0].astype(np.float64)
        return P

    # What there is to see

    def panels(self) -> list[Panel]:  # noqa: D102
        counts = self.confusion.tolist()
        return [
            self._curves("Loss", "loss"),
            self._curves("Accuracy", "accuracy", ylim=(0, 1.02)),
            self.pictures[0],
            *self._pad(),
            panels.matrix(
                "Test images: true digit (row), read as (column)",
                counts,
                rows=DIGITS,
                columns=DIGITS,
                heat="sequential",
                width="half",
            ),
            self.pictures[1],
        ]

    def _curves(self, title: str, what: str, ylim: tuple[float, float] | None = None) -> Panel:
        series = [
            self.train.series("training", what, (self.steps, self.lately()[what])),
            self.test.series("test", what),
        ]
        return panels.curves(
            title, series, ylabel=title.lower(), ylim=ylim, marks=self.marks or None, width="third"
        )

    def _pad(self) -> list[Panel]:
        pad = panels.drawing("Draw a digit", "draw")
        P = self.read()
        if self.ink is None or P is None:
            hint = (
                "Draw a large digit on the pad. It is cut out, shrunk to 20 pixels and centred, as in MNIST."
            )
            told = "The probability of each digit appears here as you draw."
            return [
                pad,
                panels.text("What the network sees", hint, width="third"),
                panels.text("How it reads your digit", told, width="third"),
            ]
        return [
            pad,
            panels.pictures("What the network sees", [Shades(self.ink, 0, 1)], palette="gray", width="third"),
            panels.bars("How it reads your digit", DIGITS, P.round(3), high=1, strong=int(P.argmax())),
        ]

    def _weights(self, step: int) -> Panel:
        W = matrices(self.net)[0]
        last = not self.hidden
        shown = W.T if last else W.T[:SHOWN]
        most = float(np.abs(shown).max())
        return panels.pictures(
            f"Weights of the first layer at step {step}",
            [Shades(unit.reshape(SIDE, SIDE), -most, most) for unit in shown],
            titles=DIGITS if last else [f"unit {i}" for i in range(1, len(shown) + 1)],
            width="third",
        )

    def _wrong(self, step: int, P: Array) -> Panel:
        read = P.argmax(axis=1)
        wrong = np.flatnonzero(read != self.y_test)
        worst = wrong[np.argsort(-P[wrong, read[wrong]], kind="stable")[:WRONG]]
        return panels.pictures(
            f"Wrong, and surest of it, at step {step}",
            [Shades(self.X_test[n].reshape(SIDE, SIDE), 0, 1) for n in worst],
            titles=[f"{read[n]}, not {self.y_test[n]} ({P[n].max():.0%})".replace("%", " %") for n in worst],
            palette="gray",
        )

    def describe(self) -> str:  # noqa: D102
        words = (
            f"Step {self.steps}: loss {self.loss:.3g}, accuracy {self.accuracy:.1%} on {TEST:,} test images "
            f"at step {self.test.steps[-1]}. {self.layers()}."
        )
        P = self.read()
        if P is not None:
            words += f" Your drawing is read as {P.argmax()}, probability {P.max():.0%}."
        return words.replace("%", " %")


# ------------------------------------------------------------------------------- a drawing as MNIST has it


def centre_digit(ink: Array) -> Array:
    """Prepare a drawing as MNIST was prepared: cut out, shrink to 20 pixels, centre by its mass.

    The bounding box of the ink is cut out and scaled until its longer side is 20 pixels, each of them the
    average over the area that it covers; then it is put, by whole pixels, where its centre of mass is
    nearest to the middle of 28 by 28 pixels.

    Parameters
    ----------
    ink : (H, W) from 0 (paper) to 1 (ink), of any size

    Returns
    -------
    image : (28, 28) float64 from 0 to 1; all 0 when there is no ink

    Raises
    ------
    ValueError
        When ink is not a matrix.

    Examples
    --------
    >>> stroke = np.zeros((112, 112))
    >>> stroke[10:90, 20:24] = 1  # 80 high, 4 wide: 20 by 1 pixel
    >>> image = centre_digit(stroke)
    >>> [int(side) for side in (image > 0).any(axis=1).nonzero()[0][[0, -1]]], float(image.sum())
    ([4, 23], 20.0)
    """
    ink = np.asarray(ink, dtype=np.float64)
    if ink.ndim != 2:
        raise ValueError(f"centre_digit expects ink of shape (H, W), got {ink.shape}")
    image = np.zeros((SIDE, SIDE))
    if not (ink > 0).any():
        return image
    crop = ink[np.ix_(*(_span(ink.max(axis=axis)) for axis in (1, 0)))]
    scale = BOX / max(crop.shape)
    rows, columns = (_areas(size, scale) for size in crop.shape)
    digit = np.minimum(rows @ crop @ columns.T, 1)  # sums of areas can come out a rounding above 1
    top, left = (_offset(digit.sum(axis=axis)) for axis in (1, 0))
    image[top : top + len(digit), left : left + digit.shape[1]] = digit
    return image


def _span(line: Array) -> Array:
    """Indices from the first to the last entry with ink."""
    inked = np.flatnonzero(line > 0)
    return np.arange(inked[0], inked[-1] + 1)


def _areas(size: int, scale: float) -> Array:
    """Share of each new pixel that each old one covers, when `size` pixels shrink: (new, old)."""
    new = np.arange(math.ceil(size * scale - 1e-9))[:, None]
    old = np.arange(size) * scale
    covered: Array = np.clip(np.minimum(new + 1, old + scale) - np.maximum(new, old), 0, None)
    return covered


def _offset(mass: Array) -> int:
    """Where a line of pixels starts when its centre of mass is next to the middle."""
    centre = float(mass @ np.arange(len(mass)) / mass.sum())
    return min(max(round(SIDE / 2 - centre), 0), SIDE - len(mass))


def _decode(value: Mapping[str, Any]) -> Array:
    """Ink from 0 to 1 from what a pad sends."""
    try:
        raw = np.frombuffer(base64.b64decode(value["u8"], validate=True), dtype=np.uint8)
        height, width = value["shape"]
        ink: Array = raw.reshape(int(height), int(width)) / 255
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ValueError(
            f'a drawing is {{"shape": [{PAD}, {PAD}], "u8": the pixels in base64}}, '
            f"got something else: {error}"
        ) from error
    return ink


# ------------------------------------------------------------------------------- data


@cache
def _digits() -> tuple[Array, Array, Array, Array]:
    """X, y to train on and X, y to test on; a page has them in one small file of their own."""
    folder = os.environ.get("NNLIB_DATA", "")
    sample = Path(folder, "mnist-sample.npz")
    if folder and sample.is_file():
        with np.load(sample, allow_pickle=False) as file:
            X, X_test = (
                np.divide(file[name].reshape(-1, SIDE**2), 255, dtype=np.float32)
                for name in ("X_train", "X_test")
            )
            y, y_test = (file[name].astype(np.int64) for name in ("y_train", "y_test"))
    else:
        (X, y), (X_test, y_test) = data.mnist("train"), data.mnist("test")
    return X[:TRAIN].copy(), y[:TRAIN].copy(), X_test[:TEST].copy(), y_test[:TEST].copy()
