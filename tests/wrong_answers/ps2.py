"""Popular wrong answers to problem set 2. Each loses points; the rest of the answers is right."""
# ruff: noqa  each part stands by itself; right_NAME is the solution's

import numpy as np


# %% numerical_gradient: forward differences
def numerical_gradient(f, x, h=1e-5):
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        g[i] = (f(x + step) - f(x)) / h
    return g


# %% numerical_gradient: h instead of 2h below
def numerical_gradient(f, x, h=1e-5):
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        g[i] = (f(x + step) - f(x - step)) / h
    return g


# %% numerical_gradient: all entries at once
def numerical_gradient(f, x, h=1e-5):
    return np.full(x.shape, (f(x + h) - f(x - h)) / (2 * h))


# %% numerical_gradient: a copy forgotten, x stays moved
def numerical_gradient(f, x, h=1e-5):
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        x[i] += h
        above = f(x)
        x[i] -= 2 * h
        g[i] = (above - f(x)) / (2 * h)
    return g


# %% numerical_gradient: a step of its own
def numerical_gradient(f, x, h=1e-5):
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-5
        g[i] = (f(x + step) - f(x - step)) / 2e-5
    return g


# %% linear_backward: dW transposed
def linear_backward(dY, X, W):
    return dY @ W.T, dY.T @ X, dY.sum(axis=0)


# %% linear_backward: db with two axes
def linear_backward(dY, X, W):
    return dY @ W.T, X.T @ dY, dY.sum(axis=0, keepdims=True)


# %% linear_backward: another order
def linear_backward(dY, X, W):
    return X.T @ dY, dY.sum(axis=0), dY @ W.T


# %% linear_backward: the upstream gradient is taken for 1
def linear_backward(dY, X, W):
    one = np.ones_like(dY)
    return one @ W.T, X.T @ one, one.sum(axis=0)


# %% linear_backward: nnlib does the work
from nnlib.functional import linear_backward


# %% relu_backward: 1 at zero
def relu_backward(dA, Z):
    return dA * (Z >= 0)


# %% relu_backward: works in its input
def relu_backward(dA, Z):
    dA *= Z > 0
    return dA


# %% sigmoid_backward: without the upstream gradient
def sigmoid_backward(dA, A):
    return A * (1 - A)


# %% tanh_backward: of the input
def tanh_backward(dA, A):
    return dA * (1 - np.tanh(A) ** 2)


# %% tanh_backward: a slip
def tanh_backward(dA, A):
    return dA * (1 - A) ** 2


# %% mse_backward: no factor 2
def mse_backward(P, Y):
    return (P - Y) / P.size


# %% mse_backward: no mean
def mse_backward(P, Y):
    return 2 * (P - Y)


# %% mse_backward: the wrong way round
def mse_backward(P, Y):
    return 2 * (Y - P) / P.size


# %% binary_cross_entropy_backward: only the targets 1
def binary_cross_entropy_backward(P, Y):
    return -Y / P / P.size


# %% binary_cross_entropy_backward: mean over the rows
def binary_cross_entropy_backward(P, Y):
    return (P - Y) / (P * (1 - P)) / len(P)


# %% binary_cross_entropy_with_logits_backward: scores taken for probabilities
def binary_cross_entropy_with_logits_backward(Z, Y):
    return (Z - Y) / Z.size


# %% binary_cross_entropy_with_logits_backward: overflows to nan
def binary_cross_entropy_with_logits_backward(Z, Y):
    return (np.exp(Z) / (1 + np.exp(Z)) - Y) / Z.size


# %% softmax_backward: sum over the rows
def softmax_backward(dP, P):
    return P * (dP - np.sum(dP * P, axis=0, keepdims=True))


# %% softmax_backward: sum over everything
def softmax_backward(dP, P):
    return P * (dP - np.sum(dP * P))


# %% softmax_backward: only right behind a cross-entropy
def softmax_backward(dP, P):
    return P - (dP != 0)


# %% softmax_cross_entropy_backward: 1 is taken from its input
def softmax_cross_entropy_backward(Z, labels):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    Z[np.arange(len(Z)), labels] -= 1
    return P / len(Z)


# %% softmax_cross_entropy_backward: 1 is taken from whole columns
def softmax_cross_entropy_backward(Z, labels):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    P[:, labels] -= 1
    return P / len(Z)


# %% softmax_cross_entropy_backward: mean over all entries
def softmax_cross_entropy_backward(Z, labels):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    P[np.arange(len(Z)), labels] -= 1
    return P / Z.size


# %% softmax_cross_entropy_backward: nothing is subtracted
def softmax_cross_entropy_backward(Z, labels):
    P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    P[np.arange(len(Z)), labels] -= 1
    return P / len(Z)


# %% network_gradients: tanh is not undone
def network_gradients(X, labels, W1, b1, W2, b2):
    A1 = np.tanh(X @ W1 + b1)
    Z2 = A1 @ W2 + b2
    loss = float(np.mean(np.log(np.exp(Z2).sum(axis=1)) - Z2[np.arange(len(X)), labels]))
    dZ2 = softmax_cross_entropy_backward(Z2, labels)
    dA1, dW2, db2 = linear_backward(dZ2, A1, W2)
    _, dW1, db1 = linear_backward(dA1, X, W1)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


# %% network_gradients: the sum of the losses
def network_gradients(X, labels, W1, b1, W2, b2):
    A1 = np.tanh(X @ W1 + b1)
    Z2 = A1 @ W2 + b2
    loss = float(np.sum(np.log(np.exp(Z2).sum(axis=1)) - Z2[np.arange(len(X)), labels]))
    dZ2 = softmax_cross_entropy_backward(Z2, labels) * len(X)
    dA1, dW2, db2 = linear_backward(dZ2, A1, W2)
    _, dW1, db1 = linear_backward(tanh_backward(dA1, A1), X, W1)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


# %% network_gradients: one class too few
def network_gradients(X, labels, W1, b1, W2, b2):
    A1 = np.tanh(X @ W1 + b1)
    Z2 = A1 @ W2 + b2
    P = 1 / (1 + np.exp(Z2[:, 0] - Z2[:, 1]))
    loss = float(-np.mean(np.where(labels == 1, np.log(P), np.log(1 - P))))
    d = ((P - labels) / len(X))[:, None] * np.array([-1, 1])
    dZ1 = d @ W2.T * (1 - A1**2)
    return loss, {"W1": X.T @ dZ1, "b1": dZ1.sum(axis=0), "W2": A1.T @ d, "b2": d.sum(axis=0)}


# %% network_gradients: a step of descent on the way
def network_gradients(X, labels, W1, b1, W2, b2):
    A1 = np.tanh(X @ W1 + b1)
    Z2 = A1 @ W2 + b2
    loss = float(np.mean(np.log(np.exp(Z2).sum(axis=1)) - Z2[np.arange(len(X)), labels]))
    dZ2 = softmax_cross_entropy_backward(Z2, labels)
    dA1, dW2, db2 = linear_backward(dZ2, A1, W2)
    _, dW1, db1 = linear_backward(tanh_backward(dA1, A1), X, W1)
    for theta, g in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
        theta -= 0.1 * g
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
