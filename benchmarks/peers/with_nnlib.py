"""nnlib through its public interface."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from workloads import Array, Workload, network

import nnlib

from . import Absent


class Fit:
    """`nnlib.fit`, as in every chapter."""

    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        self.work, self.X, self.y = work, X, y

    def start(self, weights: list[Array]) -> None:
        self.net = network(self.work, np.random.default_rng(0))
        for theta, first in zip(self.net.params().values(), weights, strict=True):
            theta[...] = first
        self.loss = nnlib.BinaryCrossEntropyWithLogits() if self.work.binary else nnlib.SoftmaxCrossEntropy()
        adam = self.work.optimizer == "adam"
        self.optimizer = nnlib.Adam(self.work.lr) if adam else nnlib.SGD(self.work.lr, self.work.momentum)

    def train(self, orders: Array, seed: int) -> float:
        epochs, rows = orders.shape  # fit draws the same order from the same seed
        history = nnlib.fit(
            self.net,
            self.loss,
            self.optimizer,
            self.X[:rows],
            self.y[:rows],
            epochs=epochs,
            batch_size=None if rows == self.work.batch else self.work.batch,
            rng=np.random.default_rng(seed),
            schedule=nnlib.optimizers.one_cycle(self.work.lr) if self.work.cycle else None,
            augment=nnlib.data.shift_images if self.work.shift else None,
        )
        return float(np.mean(history["loss"]))

    def weights(self) -> list[Array]:
        return list(self.net.params().values())


class FourLines(Fit):
    """The loop that a reader writes: forward, loss, backward, step."""

    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        if work.target:
            raise Absent("not run: schedule and shifts are part of fit")
        super().__init__(work, X, y)

    def train(self, orders: Array, seed: int) -> float:
        net, loss, optimizer, total = self.net, self.loss, self.optimizer, 0.0
        for X, y in self.batches(orders, seed):
            total += loss.forward(net.forward(X), y)
            net.backward(loss.backward())
            optimizer.step(net.params(), net.grads())
        return total / (orders.size // self.work.batch)

    def batches(self, orders: Array, seed: int) -> Iterator[tuple[Array, Array]]:
        epochs, rows = orders.shape
        rng = np.random.default_rng(seed)
        for _ in range(epochs):
            if rows == self.work.batch:
                yield self.X, self.y
            else:
                yield from nnlib.minibatches(self.X[:rows], self.y[:rows], self.work.batch, rng=rng)
