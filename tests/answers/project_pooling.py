"""Project: average pooling with any window and stride. It has no parameters."""
# ruff: noqa  answers as students write them

import numpy as np

from nnlib.layers import Layer


# %% layer
class MyLayer(Layer):
    """Means of windows of K x K, s apart: X (N, C, H, W) to Y (N, C, OH, OW)."""

    settings = ("window", "stride")

    def __init__(self, window, stride):
        self.window, self.stride = window, stride

    def places(self, shape):
        for i in range((shape[2] - self.window) // self.stride + 1):
            for j in range((shape[3] - self.window) // self.stride + 1):
                top, left = i * self.stride, j * self.stride
                yield i, j, np.s_[:, :, top : top + self.window, left : left + self.window]

    def forward(self, X):
        self.shape = X.shape
        OH, OW = ((size - self.window) // self.stride + 1 for size in X.shape[2:])
        Y = np.zeros((*X.shape[:2], OH, OW))
        for i, j, window in self.places(X.shape):
            Y[:, :, i, j] = X[window].mean(axis=(2, 3))
        return Y

    def backward(self, dY):
        dX = np.zeros(self.shape)
        for i, j, window in self.places(self.shape):
            dX[window] += dY[:, :, i, j, None, None] / self.window**2
        return dX


def make(rng):
    return MyLayer(2, 1), rng.normal(size=(3, 2, 5, 4))
