"""scikit-learn's MLPClassifier without its L2 penalty, in float32."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from workloads import Array, Workload

from . import Absent


class Classifier:
    def __init__(self, work: Workload, X: Array, y: Array) -> None:
        if work.images:
            raise Absent("has no convolutions")
        if work.target:
            raise Absent("not run: it has neither the schedule nor the shifts of the recipe")
        self.work, self.X, self.y = work, X, y.ravel().astype(int)
        warnings.simplefilter("ignore", ConvergenceWarning)  # we say how many epochs

    def start(self, weights: list[Array]) -> None:
        work = self.work
        self.model = MLPClassifier(
            [W.shape[1] for W in weights[:-2:2]],
            activation=next(kind for kind, *sizes in work.layers if not sizes),
            solver=work.optimizer,
            alpha=0,
            batch_size=work.batch,
            learning_rate_init=work.lr,
            momentum=work.momentum,
            nesterovs_momentum=False,
            shuffle=False,  # the rows come in the order that all peers get
            warm_start=True,  # fit goes on from these weights, with a fresh optimizer
            tol=0,
            n_iter_no_change=10**9,
        )
        few = np.resize(np.unique(self.y, return_index=True)[1], work.batch)
        self.model.partial_fit(self.X[few], self.y[few], classes=np.unique(self.y))
        self.model.coefs_[:] = [W.copy() for W in weights[::2]]
        self.model.intercepts_[:] = [b.copy() for b in weights[1::2]]

    def train(self, orders: Array, seed: int) -> float:
        if orders.shape[1] == self.work.batch:  # all rows in every step
            X, y = self.X, self.y
            self.model.set_params(max_iter=len(orders))
        else:
            (order,) = orders
            X, y = self.X[order], self.y[order]
            self.model.set_params(max_iter=1)
        before = len(self.model.loss_curve_)
        self.model.fit(X, y)
        return float(np.mean(self.model.loss_curve_[before:]))

    def weights(self) -> list[Array]:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [array for pair in pairs for array in pair]
