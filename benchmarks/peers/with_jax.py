"""JAX on the CPU: one compiled function a step, or one an epoch."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from workloads import Array, Workload

from . import Absent


def forward(work: Workload, weights: list[Any], X: Any) -> Any:
    left = iter(weights)
    for kind, *_ in work.layers:
        if kind == "linear":
            X = X @ next(left) + next(left)
        elif kind == "conv":
            X = lax.conv(X, next(left), (1, 1), "VALID") + next(left)[:, None, None]
        elif kind == "pool":
            X = lax.reduce_window(X, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        elif kind == "flatten":
            X = X.reshape(len(X), -1)
        else:
            X = jnp.tanh(X) if kind == "tanh" else jax.nn.relu(X)
    return X


def objective(work: Workload, weights: list[Any], X: Any, y: Any) -> Any:
    scores = forward(work, weights, X)
    if work.binary:
        return jnp.mean(jax.nn.softplus(scores) - y * scores)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], axis=1)
    return -chosen.mean()


def updated(work: Workload, state: dict[str, Any], grads: list[Any]) -> dict[str, Any]:
    each = jax.tree.map
    if work.optimizer == "sgd":
        v = each(lambda v, g: work.momentum * v + g, state["v"], grads)
        return {"w": each(lambda w, v: w - work.lr * v, state["w"], v), "v": v}
    t = state["t"] + 1
    m = each(lambda m, g: 0.9 * m + 0.1 * g, state["m"], grads)
    v = each(lambda v, g: 0.999 * v + 0.001 * g**2, state["v"], grads)
    # 1 - beta^t, exact also where float32 has rounded beta^t
    rate = work.lr / -jnp.expm1(t * math.log(0.9))
    root = jnp.sqrt(-jnp.expm1(t * math.log(0.999)))
    w = each(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), state["w"], m, v)
    return {"w": w, "m": m, "v": v, "t": t}


class Step:
    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        if work.target:
            raise Absent("not run: the recipe is written for nnlib and PyTorch")
        self.work, self.X, self.y = work, jnp.asarray(X), jnp.asarray(y)
        self.compiled = jax.jit(self.step, donate_argnums=0)

    def step(self, state: Any, X: Any, y: Any, rows: Any) -> Any:
        """State and loss after a step; the whole data are arguments, or they would be constants."""
        if len(rows) < len(X):
            X, y = X[rows], y[rows]
        loss, grads = jax.value_and_grad(partial(objective, self.work))(state["w"], X, y)
        return updated(self.work, state, grads), loss

    def start(self, weights: list[Array]) -> None:
        def zeros() -> list[Any]:
            return [jnp.zeros_like(w) for w in weights]

        self.state = {"w": [jnp.array(w) for w in weights], "v": zeros()}
        if self.work.optimizer == "adam":
            self.state |= {"m": zeros(), "t": jnp.float32(0)}

    def train(self, orders: Array, seed: int) -> float:
        losses = []
        for rows in self.batches(orders):
            self.state, loss = self.compiled(self.state, self.X, self.y, rows)
            losses.append(loss)
        return float(np.mean(jax.device_get(losses)))

    def batches(self, orders: Array) -> Any:
        if orders.shape[1] == self.work.batch:  # all rows in every step
            return [jnp.arange(self.work.batch)] * len(orders)
        return orders.astype(np.int32).reshape(-1, self.work.batch)

    def weights(self) -> list[Array]:
        return [np.asarray(w) for w in self.state["w"]]


class Epoch(Step):
    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        super().__init__(work, X, y)
        self.compiled = jax.jit(self.epoch, donate_argnums=0)

    def epoch(self, state: Any, X: Any, y: Any, batches: Any) -> Any:
        return lax.scan(lambda state, rows: self.step(state, X, y, rows), state, batches)

    def train(self, orders: Array, seed: int) -> float:
        batches = orders.astype(np.int32).reshape(-1, self.work.batch)
        self.state, losses = self.compiled(self.state, self.X, self.y, batches)
        return float(losses.mean())
