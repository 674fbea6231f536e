"""The page *Notation* says that rows and columns are the same mathematics: here is the same network twice."""

import numpy as np

from nnlib import BinaryCrossEntropy, Linear, ReLU, Sequential, Sigmoid


def in_columns(X, y, W1, b1, W2, b2):
    """One ReLU layer and a sigmoid, examples as columns, W of shape (outputs, inputs), 1/m in the end.

    The derivation of the fifth project, with the delta of one example free of 1/m.
    """
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.maximum(0, Z1)
    Z2 = W2 @ A1 + b2
    A2 = 1 / (1 + np.exp(-Z2))
    J = -(y * np.log(A2) + (1 - y) * np.log(1 - A2)).sum() / m
    dZ2 = A2 - y
    dW2, db2 = dZ2 @ A1.T / m, dZ2.sum(axis=1, keepdims=True) / m
    dZ1 = (W2.T @ dZ2) * (Z1 > 0)
    dW1, db1 = dZ1 @ X.T / m, dZ1.sum(axis=1, keepdims=True) / m
    return J, dW1, db1, dW2, db2


def test_the_same_network_in_both_conventions_gives_the_same_numbers(rng):
    net = Sequential([Linear(4, 3, rng=rng), ReLU(), Linear(3, 1, rng=rng), Sigmoid()])
    for theta in net.params().values():
        theta[...] = rng.standard_normal(theta.shape)
    X, Y, loss = rng.standard_normal((5, 4)), rng.integers(0, 2, (5, 1)), BinaryCrossEntropy()
    value = loss.forward(net.forward(X), Y)
    net.backward(loss.backward())
    ours, p = net.grads(), net.params()

    J, dW1, db1, dW2, db2 = in_columns(X.T, Y.T, p["0.W"].T, p["0.b"][:, None], p["2.W"].T, p["2.b"][:, None])
    np.testing.assert_allclose(value, J, rtol=1e-12)
    for name, theirs in {"0.W": dW1.T, "0.b": db1[:, 0], "2.W": dW2.T, "2.b": db2[:, 0]}.items():
        np.testing.assert_allclose(ours[name], theirs, rtol=1e-10)
