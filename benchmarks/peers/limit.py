"""The limit: the matrix products of each step and nothing else, into arrays that stand ready.

Nothing is trained. What NumPy does with one call of BLAS for each product cannot be faster than this;
an image becomes a matrix by im2col, which is not part of the work either.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from workloads import Array, Workload

from . import Absent


def products(work: Workload) -> Iterator[tuple[Array, Array, Array]]:
    """Left factor, right factor and result, forward and backward; no gradient of the data."""

    def full(*shape: int) -> Array:
        return np.full(shape, 0.5, np.float32)

    side, first = 28, True
    for kind, *sizes in work.layers:
        if kind == "pool":
            side //= 2
        if kind == "linear":
            D, M = sizes
            X, W, Y = full(work.batch, D), full(D, M), full(work.batch, M)
            yield X, W, Y
            yield X.T, Y, full(D, M)
            if not first:
                yield Y, W.T, full(work.batch, D)
        if kind == "conv":
            C, F, K = sizes
            side -= K - 1
            places = side**2 * work.batch
            columns, W, Y = full(C * K * K, places), full(F, C * K * K), full(F, places)
            yield W, columns, Y
            yield Y, columns.T, full(F, C * K * K)
            if not first:
                yield W.T, Y, full(C * K * K, places)
        first = False


class Products:
    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        if work.target:
            raise Absent("trains nothing, so it does not arrive")
        self.work, self.products = work, list(products(work))

    def start(self, weights: list[Array]) -> None:
        pass

    def train(self, orders: Array, seed: int) -> None:
        dot, todo = np.dot, self.products
        for _ in range(orders.size // self.work.batch):
            for left, right, out in todo:
                dot(left, right, out)

    def weights(self) -> list[Array]:
        return []
