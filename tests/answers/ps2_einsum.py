"""Problem set 2 by someone who reads einsum off the index form and writes a class for each layer."""
# ruff: noqa  answers as students write them

import numpy as np

# %% numerical
from itertools import product


def numerical_gradient(f, x, h=1e-5):
    result = np.empty(x.shape)
    for i in product(*map(range, x.shape)):
        above, below = np.array(x), np.array(x)
        above[i] += h
        below[i] -= h
        result[i] = (f(above) - f(below)) / h / 2
    return result


# %% linear
def linear_backward(dY, X, W):
    dX = np.einsum("nm,dm->nd", dY, W)
    dW = np.einsum("nd,nm->dm", X, dY)
    db = np.einsum("nm->m", dY)
    return dX, dW, db


# %% activations
def relu_backward(dA, Z):
    return np.where(Z > 0, dA, 0)


def sigmoid_backward(dA, A):
    slope = 0.25 - (A - 0.5) ** 2
    return dA * slope


def tanh_backward(dA, A):
    return dA - dA * np.square(A)


# %% losses
def mean_over_all(gradient):
    return gradient / np.prod(gradient.shape)


def mse_backward(P, Y):
    return mean_over_all(2 * P - 2 * Y)


def binary_cross_entropy_backward(P, Y):
    return -mean_over_all(Y / P - (1 - Y) / (1 - P))


def binary_cross_entropy_with_logits_backward(Z, Y):
    return mean_over_all(0.5 + 0.5 * np.tanh(Z / 2) - Y)


# %% softmax
def one_hot(labels, classes):
    return np.eye(classes)[labels]


def softmax_backward(dP, P):
    along = np.einsum("nk,nk->n", dP, P)
    return P * dP - P * along[:, np.newaxis]


def probabilities(Z):
    return np.exp(Z - np.logaddexp.reduce(Z, axis=1)[:, None])


def softmax_cross_entropy_backward(Z, labels):
    N, K = Z.shape
    return (probabilities(Z) - one_hot(labels, K)) / N


# %% network
class Dense:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dY):
        dX, self.dW, self.db = linear_backward(dY, self.X, self.W)
        return dX


class Squash:
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A

    def backward(self, dA):
        return tanh_backward(dA, self.A)


def network_gradients(X, labels, W1, b1, W2, b2):
    layers = [Dense(W1, b1), Squash(), Dense(W2, b2)]
    signal = X
    for layer in layers:
        signal = layer.forward(signal)
    scores = signal
    log_p = scores - np.logaddexp.reduce(scores, axis=1)[:, None]
    loss = -np.take_along_axis(log_p, labels[:, None], axis=1).mean()
    signal = softmax_cross_entropy_backward(scores, labels)
    for layer in reversed(layers):
        signal = layer.backward(signal)
    first, _, second = layers
    return loss, dict(W1=first.dW, b1=first.db, W2=second.dW, b2=second.db)
