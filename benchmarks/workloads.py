"""What is trained: the workloads W1 to W6, their data, first weights and order of examples.

Every peer gets the same of each, so that all of them do the same work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import nnlib
from nnlib import Conv2D, Flatten, Linear, MaxPool2D, ReLU, Sequential, Tanh
from nnlib.initializers import he_normal

Array = np.ndarray[Any, Any]
Layers = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Workload:
    title: str
    layers: Layers
    optimizer: str  # "adam", or "sgd" with this momentum
    lr: float
    rows: int  # examples to train on; in W1 to W4 a whole number of batches
    batch: int
    epochs: int = 1
    momentum: float = 0.0
    cycle: bool = False  # one-cycle schedule with its peak at `lr`
    shift: bool = False  # images move by up to a pixel
    target: float | None = None  # accuracy on the test images that counts as arrived

    @property
    def steps(self) -> int:
        return self.epochs * -(-self.rows // self.batch)

    @property
    def binary(self) -> bool:
        return self.layers[-1][-1] == 1

    @property
    def images(self) -> bool:
        return self.layers[0][0] == "conv"

    def orders(self, seed: int) -> Array:
        """(epochs, rows): the order that `nnlib.fit` draws from a generator of this seed."""
        rows, rng = np.arange(self.rows), np.random.default_rng(seed)
        epochs = [nnlib.minibatches(rows, rows, self.batch, rng=rng) for _ in range(self.epochs)]
        return np.array([np.concatenate([batch for _, batch in epoch]) for epoch in epochs])


def mlp(*sizes: int, activation: str = "relu") -> Layers:
    layers: list[tuple[Any, ...]] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [("linear", fan_in, fan_out), (activation,)]
    return tuple(layers[:-1])


def convnet(*channels: int) -> Layers:
    """The networks of chapter 14: convolutions of 3 by 3 without padding, each of the first two pooled."""
    layers: list[tuple[Any, ...]] = []
    side = 28
    for depth, (inputs, outputs) in enumerate(pairwise((1, *channels))):
        side -= 2
        layers.append(("conv", inputs, outputs, 3))
        if depth < 2:
            side //= 2
            layers.append(("pool",))
        layers.append(("relu",))
    return (*layers, ("flatten",), ("linear", channels[-1] * side**2, 10))


SMALL = mlp(784, 128, 64, 10)
WORKLOADS = {
    "W1": Workload("MNIST, MLP 784-128-64-10, Adam", SMALL, "adam", 1e-3, rows=59_904, batch=64),
    "W2": Workload("MNIST, same MLP, SGD with momentum", SMALL, "sgd", 0.05, 59_904, 128, momentum=0.9),
    "W3": Workload("MNIST, convolutions 8-16, Adam", convnet(8, 16), "adam", 1e-3, rows=6_400, batch=64),
    "W4": Workload("XOR 2-4-1, SGD", mlp(2, 4, 1, activation="tanh"), "sgd", 0.5, 4, 4, epochs=24_000),
    "W5": Workload(
        "MLP to 98.42 %", mlp(784, 256, 128, 10), "adam", 4e-3, 60_000, 128, 5, cycle=True, shift=True,
        target=0.9842,
    ),
    "W6": Workload(
        "convolutions to 99.0 %", convnet(16, 32, 64), "adam", 5e-3, 55_000, 64, 4, cycle=True, target=0.99
    ),
}  # fmt: skip

KINDS = {"linear": Linear, "conv": Conv2D, "pool": lambda: MaxPool2D(2), "flatten": Flatten, "relu": ReLU,
         "tanh": Tanh}  # fmt: skip


def network(work: Workload, rng: np.random.Generator) -> Sequential:
    drawn = {"rng": rng, "init": he_normal, "dtype": np.float32}
    return Sequential([KINDS[kind](*sizes, **(drawn if sizes else {})) for kind, *sizes in work.layers])


def first_weights(work: Workload, seed: int) -> list[Array]:
    """W, b, W, b, ... in float32; linear W as (inputs, outputs)."""
    return list(network(work, np.random.default_rng(seed)).params().values())


def data(work: Workload, split: str = "train") -> tuple[Array, Array]:
    """X in float32 in the shape that the network takes, and its targets; all rows there are."""
    if work.binary:
        X, y = nnlib.data.xor()
        return X.astype(np.float32), y.astype(np.float32)[:, None]
    X, y = nnlib.data.mnist(split)  # type: ignore[arg-type]
    return (X.reshape(-1, 1, 28, 28) if work.images else X), y


def store(folder: Path, names: Sequence[str]) -> None:
    """Write the data as plain arrays: workers load them without a peak in their memory."""
    for split in ("train", "test"):
        for binary in {WORKLOADS[name].binary for name in names}:
            work = next(WORKLOADS[name] for name in names if WORKLOADS[name].binary is binary)
            for part, values in zip("Xy", data(work, split), strict=True):
                np.save(folder / f"{'xor' if binary else 'mnist'}-{split}-{part}.npy", values)


def stored(folder: Path, work: Workload, split: str = "train") -> tuple[Array, Array]:
    """What `store` wrote, no more rows than the workload trains on."""
    count = work.rows if split == "train" else None
    X, y = (
        first_rows(folder / f"{'xor' if work.binary else 'mnist'}-{split}-{part}.npy", count) for part in "Xy"
    )
    return (X if work.binary else X.reshape((-1, 1, 28, 28) if work.images else (-1, 784))), y


def first_rows(path: Path, count: int | None) -> Array:
    """Part of an array in a file; the rest never comes into memory, which is measured."""
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        rows = shape[0] if count is None else min(count, shape[0])
        return np.fromfile(file, dtype, rows * math.prod(shape[1:])).reshape(rows, *shape[1:])


def judged(work: Workload, weights: Sequence[Array], X: Array, y: Array) -> tuple[float, float, int]:
    """Loss and accuracy of a trained network, and how many parameters it has; nnlib judges them all."""
    net = network(work, np.random.default_rng(0))
    for theta, trained in zip(net.params().values(), weights, strict=True):
        if theta.shape != trained.shape:
            raise ValueError(f"a peer must return weights of shape {theta.shape}, got {trained.shape}")
        theta[...] = trained
    output = net.predict(X, batch_size=250)
    loss = nnlib.BinaryCrossEntropyWithLogits() if work.binary else nnlib.SoftmaxCrossEntropy()
    right = (output > 0) == y if work.binary else output.argmax(axis=1) == y
    return float(loss.forward(output, y)), float(right.mean()), sum(map(np.size, weights))
