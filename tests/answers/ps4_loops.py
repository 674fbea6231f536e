"""Problem set 4 by someone who writes every loop of the equation, and trains with little code of nnlib."""
# ruff: noqa  answers as students write them

import numpy as np

import nnlib


# %% init
def he_normal(D, M, rng):
    return rng.normal(0, (2 / D) ** 0.5, size=(D, M))


def xavier_uniform(D, M, rng):
    a = np.sqrt(6) / np.sqrt(D + M)
    return 2 * a * rng.random((D, M)) - a


# %% conv
def conv2d(X, W, b, stride=1, padding=0):
    (N, _, H, width), (F, _, KH, KW) = X.shape, W.shape
    OH, OW = (H + 2 * padding - KH) // stride + 1, (width + 2 * padding - KW) // stride + 1
    Y = np.zeros((N, F, OH, OW))
    for i in range(OH):
        for j in range(OW):
            Y[:, :, i, j] = b
            for k in range(KH):
                for l in range(KW):
                    row, column = stride * i + k - padding, stride * j + l - padding
                    if 0 <= row < H and 0 <= column < width:
                        Y[:, :, i, j] += X[:, :, row, column] @ W[:, :, k, l].T
    return Y


# %% conv-backward
def conv2d_backward(dY, X, W, stride=1, padding=0):
    H, width = X.shape[2:]
    (KH, KW), (OH, OW) = W.shape[2:], dY.shape[2:]
    dX, dW, db = np.zeros_like(X), np.zeros_like(W), np.zeros(len(W))
    for i in range(OH):
        for j in range(OW):
            d = dY[:, :, i, j]
            db += d.sum(axis=0)
            for k in range(KH):
                for l in range(KW):
                    row, column = stride * i + k - padding, stride * j + l - padding
                    if row < 0 or column < 0 or row >= H or column >= width:
                        continue
                    dX[:, :, row, column] += d @ W[:, :, k, l]
                    dW[:, :, k, l] += d.T @ X[:, :, row, column]
    return dX, dW, db


# %% pool
def max_pool2d(X, K):
    N, C, H, W = X.shape
    Y = np.empty((N, C, H // K, W // K))
    for i in range(H // K):
        for j in range(W // K):
            Y[:, :, i, j] = X[:, :, i * K : i * K + K, j * K : j * K + K].max(axis=(2, 3))
    return Y


def max_pool2d_backward(dY, X, K):
    dX = np.zeros(X.shape)
    for n, c, i, j in np.ndindex(dY.shape):
        window = X[n, c, i * K : (i + 1) * K, j * K : (j + 1) * K]
        k, l = np.unravel_index(np.argmax(window), window.shape)
        dX[n, c, i * K + k, j * K + l] = dY[n, c, i, j]
    return dX


# %% digits
def train_digits(X, y, seed):
    rng = np.random.default_rng(seed)
    single = np.float32
    net = nnlib.Sequential([
        nnlib.Linear(784, 128, rng=rng, dtype=single), nnlib.Tanh(),
        nnlib.Linear(128, 10, rng=rng, dtype=single),
    ])  # fmt: skip
    loss, optimizer = nnlib.SoftmaxCrossEntropy(), nnlib.SGD(0.1, momentum=0.9)
    for epoch in range(16):
        optimizer.lr = 0.1 * (1 - epoch / 16)
        moved = nnlib.data.shift_images(X, rng=rng)
        for X_batch, y_batch in nnlib.minibatches(moved, y, 50, rng=rng):
            loss.forward(net.forward(X_batch), y_batch)
            net.backward(loss.backward())
            optimizer.step(net.params(), net.grads())
    return net
