"""PyTorch on the CPU: eager, with a fused optimizer, and compiled.

Batches are taken from one tensor by their indices, without a DataLoader, which costs a fifth more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from workloads import Array, Workload

from nnlib.data import shift_images
from nnlib.optimizers import one_cycle

from . import Absent

LAYERS: dict[str, Callable[..., nn.Module]] = {
    "linear": nn.Linear,
    "conv": nn.Conv2d,
    "pool": lambda: nn.MaxPool2d(2),
    "flatten": nn.Flatten,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


class Eager:
    fused: bool | None = None  # what PyTorch does by default

    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        self.work, self.X, self.y = work, torch.from_numpy(X), torch.from_numpy(y)
        self.net = nn.Sequential(*(LAYERS[kind](*sizes) for kind, *sizes in work.layers))
        self.loss = nn.BCEWithLogitsLoss() if work.binary else nn.CrossEntropyLoss()

    @torch.no_grad()
    def start(self, weights: list[Array]) -> None:
        for theta, first in zip(self.net.parameters(), weights, strict=True):
            theta.copy_(torch.from_numpy(in_layout(first)))
        settings = {"lr": self.work.lr, "fused": self.fused}
        if self.work.optimizer == "adam":
            self.optimizer: torch.optim.Optimizer = torch.optim.Adam(self.net.parameters(), **settings)
        else:
            momentum = self.work.momentum
            self.optimizer = torch.optim.SGD(self.net.parameters(), momentum=momentum, **settings)

    def train(self, orders: Array, seed: int) -> float:
        total, steps, schedule = 0.0, 0, one_cycle(self.work.lr)
        all_steps = len(orders) * math.ceil(orders.shape[1] / self.work.batch)
        for X, y in self.batches(torch.from_numpy(orders), np.random.default_rng(seed)):
            if self.work.cycle:
                self.optimizer.param_groups[0]["lr"] = schedule(steps / all_steps)
            self.optimizer.zero_grad()
            loss = self.objective(X, y)
            loss.backward()
            self.optimizer.step()
            total, steps = total + loss.item(), steps + 1
        return total / steps

    def batches(
        self, orders: torch.Tensor, rng: np.random.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for order in orders:
            if len(order) == self.work.batch:  # all rows in every step
                yield self.X, self.y
                continue
            for rows in order.split(self.work.batch):
                X = self.X[rows]
                yield (torch.from_numpy(shift_images(X.numpy(), rng)) if self.work.shift else X), self.y[rows]

    def objective(self, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.loss(self.net(X), y)

    def weights(self) -> list[Array]:
        return [in_layout(theta.detach().numpy()) for theta in self.net.parameters()]


class Fused(Eager):
    fused = True


class Compiled(Fused):
    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        if work.target:
            raise Absent("not run: the first batches that are shorter would compile again")
        super().__init__(work, X, y)
        self.objective = torch.compile(super().objective)  # type: ignore[method-assign]


def in_layout(W: Array) -> Array:
    """PyTorch stores the weights of a linear layer as (outputs, inputs)."""
    return W.T if W.ndim == 2 else W
