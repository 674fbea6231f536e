"""NumPy as one writes it the first time: float64, a new array for every result, loops over places."""

from __future__ import annotations

from typing import Any

import numpy as np
from workloads import Array, Workload

from . import Absent


class Linear:
    def __init__(self, W: Array, b: Array) -> None:
        self.params = [W.astype(float), b.astype(float)]

    def forward(self, X: Array) -> Array:
        self.X = X
        return X @ self.params[0] + self.params[1]

    def backward(self, dY: Array) -> Array:
        self.grads = [self.X.T @ dY, dY.sum(axis=0)]
        return dY @ self.params[0].T


class Conv:
    def __init__(self, W: Array, b: Array) -> None:
        self.params, self.K = [W.astype(float), b.astype(float)], W.shape[2]

    def places(self, dY_shape: tuple[int, ...]) -> Any:
        """Each place of the output, and the window of the input that it sees."""
        for i, j in np.ndindex(dY_shape[2:]):
            yield i, j, np.s_[:, :, i : i + self.K, j : j + self.K]

    def forward(self, X: Array) -> Array:
        W, b = self.params
        N, _, H, width = X.shape
        self.X, Y = X, np.zeros((N, len(W), H - self.K + 1, width - self.K + 1))
        for i, j, window in self.places(Y.shape):
            Y[:, :, i, j] = X[window].reshape(N, -1) @ W.reshape(len(W), -1).T + b
        return Y

    def backward(self, dY: Array) -> Array:
        W, N = self.params[0], len(dY)
        dW, dX = np.zeros_like(W), np.zeros_like(self.X)
        for i, j, window in self.places(dY.shape):
            dW += (dY[:, :, i, j].T @ self.X[window].reshape(N, -1)).reshape(W.shape)
            dX[window] += (dY[:, :, i, j] @ W.reshape(len(W), -1)).reshape(dX[window].shape)
        self.grads = [dW, dY.sum(axis=(0, 2, 3))]
        return dX


class Plain:
    """A layer without parameters."""

    params: list[Array] = []  # noqa: RUF012
    grads: list[Array] = []  # noqa: RUF012


class Pool(Plain):
    def forward(self, X: Array) -> Array:
        N, C, H, W = X.shape
        self.shape = X.shape
        squares = X[:, :, : H // 2 * 2, : W // 2 * 2].reshape(N, C, H // 2, 2, W // 2, 2)
        self.squares = squares.transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H // 2, W // 2, 4)
        return self.squares.max(axis=-1)

    def backward(self, dY: Array) -> Array:
        N, C, H, W = dY.shape
        first = self.squares.argmax(axis=-1)[..., None] == np.arange(4)
        spread = (first * dY[..., None]).reshape(N, C, H, W, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        dX = np.zeros(self.shape)
        dX[:, :, : 2 * H, : 2 * W] = spread.reshape(N, C, 2 * H, 2 * W)
        return dX


class Flatten(Plain):
    def forward(self, X: Array) -> Array:
        self.shape = X.shape
        return X.reshape(len(X), -1)

    def backward(self, dY: Array) -> Array:
        return dY.reshape(self.shape)


class ReLU(Plain):
    def forward(self, X: Array) -> Array:
        self.X = X
        return np.maximum(X, 0)

    def backward(self, dY: Array) -> Array:
        return dY * (self.X > 0)


class Tanh(Plain):
    def forward(self, X: Array) -> Array:
        self.Y = np.tanh(X)
        return self.Y

    def backward(self, dY: Array) -> Array:
        return dY * (1 - self.Y**2)


def cross_entropy(scores: Array, y: Array) -> tuple[float, Array]:
    P = np.exp(scores - scores.max(axis=1, keepdims=True))
    P = P / P.sum(axis=1, keepdims=True)
    return -np.log(P[np.arange(len(y)), y]).mean(), (P - np.eye(P.shape[1])[y]) / len(y)


def binary_cross_entropy(scores: Array, y: Array) -> tuple[float, Array]:
    P = 1 / (1 + np.exp(-scores))
    return -(y * np.log(P) + (1 - y) * np.log(1 - P)).mean(), (P - y) / y.size


LAYERS: dict[str, Any] = {
    "linear": Linear, "conv": Conv, "pool": Pool, "flatten": Flatten, "relu": ReLU, "tanh": Tanh,
}  # fmt: skip


class Naive:
    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        if work.target:
            raise Absent("not run: the recipe is written for nnlib and PyTorch")
        self.work, self.X, self.y = work, X.astype(float), y
        self.loss = binary_cross_entropy if work.binary else cross_entropy

    def start(self, weights: list[Array]) -> None:
        left = iter(weights)
        make = [(LAYERS[kind], sizes) for kind, *sizes in self.work.layers]
        self.layers = [layer(next(left), next(left)) if sizes else layer() for layer, sizes in make]
        self.t, self.m, self.v = 0, [0.0 * w for w in weights], [0.0 * w for w in weights]

    def train(self, orders: Array, seed: int) -> float:
        losses = []
        for order in orders:
            for first in range(0, len(order), self.work.batch):
                rows = order[first : first + self.work.batch]
                losses.append(self.step(self.X[rows], self.y[rows]))
        return float(np.mean(losses))

    def step(self, X: Array, y: Array) -> float:
        for layer in self.layers:
            X = layer.forward(X)
        loss, dY = self.loss(X, y)
        for layer in reversed(self.layers):
            dY = layer.backward(dY)
        self.update()
        return loss

    def update(self) -> None:
        self.t, lr, grads = self.t + 1, self.work.lr, [g for layer in self.layers for g in layer.grads]
        for i, (theta, g) in enumerate(zip(self.weights(), grads, strict=True)):
            if self.work.optimizer == "sgd":
                self.v[i] = self.work.momentum * self.v[i] + g
                theta -= lr * self.v[i]
            else:
                self.m[i] = 0.9 * self.m[i] + 0.1 * g
                self.v[i] = 0.999 * self.v[i] + 0.001 * g**2
                m, v = self.m[i] / (1 - 0.9**self.t), self.v[i] / (1 - 0.999**self.t)
                theta -= lr * m / (np.sqrt(v) + 1e-8)

    def weights(self) -> list[Array]:
        return [theta for layer in self.layers for theta in layer.params]
