"""Popular wrong answers to problem set 4. Each loses points; the rest of the answers is right."""
# ruff: noqa  each part stands by itself; right_NAME is the solution's

import numpy as np

import nnlib


# %% he_normal: the other size
def he_normal(D, M, rng):
    return np.sqrt(2 / M) * rng.standard_normal((D, M))


# %% he_normal: variance taken for the standard deviation
def he_normal(D, M, rng):
    return rng.normal(0, 2 / D, (D, M))


# %% he_normal: a generator of its own
def he_normal(D, M, rng):
    return np.sqrt(2 / D) * np.random.randn(D, M)


# %% he_normal: nnlib does the work
def he_normal(D, M, rng):
    return nnlib.initializers.he_normal((D, M), rng=rng)


# %% xavier_uniform: a normal distribution
def xavier_uniform(D, M, rng):
    return np.sqrt(2 / (D + M)) * rng.standard_normal((D, M))


# %% xavier_uniform: the bound is a standard deviation
def xavier_uniform(D, M, rng):
    a = np.sqrt(2 / (D + M))
    return rng.uniform(-a, a, (D, M))


# %% xavier_uniform: only positive numbers
def xavier_uniform(D, M, rng):
    return rng.uniform(0, np.sqrt(6 / (D + M)), (D, M))


# %% xavier_uniform: always the same numbers
def xavier_uniform(D, M, rng):
    a = np.sqrt(6 / (D + M))
    return np.random.default_rng(0).uniform(-a, a, (D, M))


# %% conv2d: no bias
def conv2d(X, W, b, stride=1, padding=0):
    return right_conv2d(X, W, 0 * b, stride, padding)


# %% conv2d: the kernel is flipped
def conv2d(X, W, b, stride=1, padding=0):
    return right_conv2d(X, W[:, :, ::-1, ::-1], b, stride, padding)


# %% conv2d: the stride is ignored
def conv2d(X, W, b, stride=1, padding=0):
    return right_conv2d(X, W, b, 1, padding)


# %% conv2d: the padding is ignored
def conv2d(X, W, b, stride=1, padding=0):
    return right_conv2d(X, W, b, stride, 0)


# %% conv2d: the edge is repeated instead of zeros
def conv2d(X, W, b, stride=1, padding=0):
    p = padding
    return right_conv2d(np.pad(X, ((0, 0), (0, 0), (p, p), (p, p)), mode="edge"), W, b, stride, 0)


# %% conv2d: the first channel only
def conv2d(X, W, b, stride=1, padding=0):
    return right_conv2d(X[:, :1], W[:, :1], b, stride, padding)


# %% conv2d: square kernels only
def conv2d(X, W, b, stride=1, padding=0):
    K = W.shape[2]
    return right_conv2d(X, W[:, :, :K, :K], b, stride, padding)[
        :, :, :, : (X.shape[3] + 2 * padding - K) // stride + 1
    ]


# %% conv2d: adds to its bias
def conv2d(X, W, b, stride=1, padding=0):
    Y = right_conv2d(X, W, b, stride, padding)
    b += 1.0
    return Y


# %% conv2d_backward: the first example only
def conv2d_backward(dY, X, W, stride=1, padding=0):
    dX, _, _ = right_conv2d_backward(dY, X, W, stride, padding)
    _, dW, db = right_conv2d_backward(dY[:1], X[:1], W, stride, padding)
    return dX, dW, db


# %% conv2d_backward: the frame is not cut off
def conv2d_backward(dY, X, W, stride=1, padding=0):
    p = padding
    framed = np.pad(X, ((0, 0), (0, 0), (p, p), (p, p)))
    return right_conv2d_backward(dY, framed, W, stride, 0)


# %% conv2d_backward: windows that overlap overwrite one another
def conv2d_backward(dY, X, W, stride=1, padding=0):
    s, p = stride, padding
    (KH, KW), (OH, OW) = W.shape[2:], dY.shape[2:]
    _, dW, db = right_conv2d_backward(dY, X, W, s, p)
    d = np.zeros((*X.shape[:2], X.shape[2] + 2 * p, X.shape[3] + 2 * p))
    for k in range(KH):
        for l in range(KW):
            d[:, :, k : k + s * OH : s, l : l + s * OW : s] = np.einsum("nfij,fc->ncij", dY, W[:, :, k, l])
    return d[:, :, p : p + X.shape[2], p : p + X.shape[3]], dW, db


# %% conv2d_backward: db over the images only
def conv2d_backward(dY, X, W, stride=1, padding=0):
    dX, dW, _ = right_conv2d_backward(dY, X, W, stride, padding)
    return dX, dW, dY.sum(axis=0)


# %% conv2d_backward: right for stride 1
def conv2d_backward(dY, X, W, stride=1, padding=0):
    rows, columns = dY.shape[2] + W.shape[2] - 1 - 2 * padding, dY.shape[3] + W.shape[3] - 1 - 2 * padding
    dX, dW, db = right_conv2d_backward(dY, X[:, :, :rows, :columns], W, 1, padding)
    return dX, dW, db


# %% conv2d_backward: the kernel is flipped in dW
def conv2d_backward(dY, X, W, stride=1, padding=0):
    dX, dW, db = right_conv2d_backward(dY, X, W, stride, padding)
    return dX, dW[:, :, ::-1, ::-1], db


# %% conv2d_backward: nnlib does the work
def conv2d_backward(dY, X, W, stride=1, padding=0):
    return nnlib.functional.conv2d_backward(dY, X, W, stride=stride, padding=padding)


# %% max_pool2d: the mean
def max_pool2d(X, K):
    N, C, H, W = X.shape
    return X[:, :, : H // K * K, : W // K * K].reshape(N, C, H // K, K, W // K, K).mean(axis=(3, 5))


# %% max_pool2d: never below zero
def max_pool2d(X, K):
    N, C, H, W = X.shape
    Y = np.zeros((N, C, H // K, W // K))
    for k in range(K):
        for l in range(K):
            Y = np.maximum(Y, X[:, :, k : H // K * K : K, l : W // K * K : K])
    return Y


# %% max_pool2d: the rest at the right and below counts as a window
def max_pool2d(X, K):
    N, C, H, W = X.shape
    rows, columns = -(-H // K) * K, -(-W // K) * K
    bigger = np.full((N, C, rows, columns), -np.inf)
    bigger[:, :, :H, :W] = X
    return bigger.reshape(N, C, rows // K, K, columns // K, K).max(axis=(3, 5))


# %% max_pool2d: rows and columns of the windows exchanged
def max_pool2d(X, K):
    N, C, H, W = X.shape
    return X[:, :, : H // K * K, : W // K * K].reshape(N, C, K, H // K, K, W // K).max(axis=(2, 4))


# %% max_pool2d_backward: all of the largest
def max_pool2d_backward(dY, X, K):
    OH, OW = dY.shape[2:]
    dX, Y = np.zeros(X.shape), max_pool2d(X, K)
    for k in range(K):
        for l in range(K):
            entry = np.s_[:, :, k : OH * K : K, l : OW * K : K]
            dX[entry] = dY * (X[entry] == Y)
    return dX


# %% max_pool2d_backward: shared among the largest
def max_pool2d_backward(dY, X, K):
    OH, OW = dY.shape[2:]
    big = np.kron(max_pool2d(X, K), np.ones((1, 1, K, K)))
    hit = X[:, :, : OH * K, : OW * K] == big
    count = np.kron(hit.reshape(*X.shape[:2], OH, K, OW, K).sum(axis=(3, 5)), np.ones((1, 1, K, K)))
    dX = np.zeros(X.shape)
    dX[:, :, : OH * K, : OW * K] = hit * np.kron(dY, np.ones((1, 1, K, K))) / count
    return dX


# %% max_pool2d_backward: the last of the largest
def max_pool2d_backward(dY, X, K):
    OH, OW = dY.shape[2:]
    dX = np.zeros(X.shape)
    for n, c, i, j in np.ndindex(dY.shape):
        window = X[n, c, i * K : (i + 1) * K, j * K : (j + 1) * K]
        k, l = np.argwhere(window == window.max())[-1]
        dX[n, c, i * K + k, j * K + l] = dY[n, c, i, j]
    return dX


# %% max_pool2d_backward: as for a mean
def max_pool2d_backward(dY, X, K):
    OH, OW = dY.shape[2:]
    dX = np.zeros(X.shape)
    dX[:, :, : OH * K, : OW * K] = np.kron(dY, np.ones((1, 1, K, K))) / K**2
    return dX


# %% train_digits: not trained
def train_digits(X, y, seed):
    return nnlib.Sequential([nnlib.Linear(784, 10, rng=np.random.default_rng(seed))])


# %% train_digits: labels not shuffled with their digits
def train_digits(X, y, seed):
    rng = np.random.default_rng(seed)
    net = nnlib.Sequential([nnlib.Linear(784, 10, rng=rng)])
    nnlib.fit(
        net,
        nnlib.SoftmaxCrossEntropy(),
        nnlib.Adam(0.01),
        X,
        rng.permutation(y),
        epochs=2,
        batch_size=64,
        rng=rng,
    )
    return net


# %% train_digits: one layer, a few digits
def train_digits(X, y, seed):
    rng = np.random.default_rng(seed)
    net = nnlib.Sequential([nnlib.Linear(784, 10, rng=rng)])
    nnlib.fit(
        net,
        nnlib.SoftmaxCrossEntropy(),
        nnlib.Adam(0.01),
        X[:100],
        y[:100],
        epochs=10,
        batch_size=20,
        rng=rng,
    )
    return net


# %% train_digits: one layer, all digits
def train_digits(X, y, seed):
    rng = np.random.default_rng(seed)
    net = nnlib.Sequential([nnlib.Linear(784, 10, rng=rng)])
    nnlib.fit(net, nnlib.SoftmaxCrossEntropy(), nnlib.Adam(0.002), X, y, epochs=5, batch_size=64, rng=rng)
    return net


# %% train_digits: too slow
def train_digits(X, y, seed):
    import time

    # nobody waits here: a minute is written on the clocks
    for clock in ("perf_counter", "process_time"):
        setattr(time, clock, lambda right=getattr(time, clock): right() + 61)
    net = right_train_digits(X, y, seed)
    return net
