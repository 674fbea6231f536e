"""Project: dropout of whole columns, one draw for all rows of a batch."""
# ruff: noqa  answers as students write them

import numpy as np

from nnlib.layers import Layer


# %% layer
class MyLayer(Layer):
    """Columns of X (N, M) are switched off together while training; in use nothing happens."""

    settings = ("p",)

    def __init__(self, p, rng=None):
        self.p = p
        self.rng = rng or np.random.default_rng()

    def forward(self, X):
        self.mask = (self.rng.random(X.shape[1]) >= self.p) / (1 - self.p)
        return X * self.mask

    def backward(self, dY):
        return dY * self.mask

    def infer(self, X):
        return X


def make(rng):
    return MyLayer(0.4, rng=np.random.default_rng(rng.integers(1000))), rng.normal(size=(4, 7))
