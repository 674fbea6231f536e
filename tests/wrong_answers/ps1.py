"""Popular wrong answers to problem set 1. Each loses points; the rest of the answers is right."""
# ruff: noqa  each part stands by itself; right_NAME is the solution's

import numpy as np


# %% neuron: the bias is forgotten
def neuron(X, w, b):
    return 1 / (1 + np.exp(-(X @ w)))


# %% neuron: a column where a vector is asked for
def neuron(X, w, b):
    return 1 / (1 + np.exp(-(X @ w[:, None] + b)))


# %% neuron: the score instead of the output
def neuron(X, w, b):
    return X @ w + b


# %% neuron: only the rows of the example
def neuron(X, w, b):
    z = np.array([X[0] @ w, X[1] @ w, X[-1] @ w]) + b
    return 1 / (1 + np.exp(-z))


# %% neuron: nnlib does the work
import nnlib


def neuron(X, w, b):
    return nnlib.functional.sigmoid(X @ w + b)


# %% neuron: nnlib does the work under another name
from nnlib.functional import sigmoid as squash


def neuron(X, w, b):
    return squash(X @ w + b)


# %% gates: NAND is AND
nand_w, nand_b = np.array([10.0, 10.0]), -15.0

# %% gates: too close to one half
nand_w, nand_b = np.array([-0.1, -0.1]), 0.15


# %% linear: no check of the bias
def linear(X, W, b):
    return X @ W + b


# %% linear: adds the bias to its input
def linear(X, W, b):
    if b.shape != (W.shape[1],) or X.shape[1] != len(W):
        raise ValueError("shapes")
    Y = X @ W
    b += Y[0] * 0 + 1e-3
    return Y + b - 1e-3


# %% linear: weights as (outputs, inputs)
def linear(X, W, b):
    return np.array([W.T @ x for x in X.T]).T + b


# %% sigmoid: by its definition, overflows
def sigmoid(Z):
    return np.where(Z >= 0, 1 / (1 + np.exp(-Z)), np.exp(Z) / (1 + np.exp(Z)))


# %% sigmoid: clipped at the numbers of the check
def sigmoid(Z):
    return 1 / (1 + np.exp(-np.clip(Z, -3, 3)))


# %% leaky_relu: the slope of the check
def leaky_relu(Z, slope=0.01):
    return np.where(Z > 0, Z, 0.1 * Z)


# %% leaky_relu: works in its input
def leaky_relu(Z, slope=0.01):
    Z[Z < 0] *= slope
    return Z


# %% relu: an absolute value
def relu(Z):
    return np.abs(Z)


# %% forward: no activation between the layers
def forward(X, W1, b1, W2, b2):
    return sigmoid(linear(linear(X, W1, b1), W2, b2))


# %% forward: ReLU at the end, too
def forward(X, W1, b1, W2, b2):
    return sigmoid(relu(linear(relu(linear(X, W1, b1)), W2, b2)))


# %% forward: sigmoid in the middle
def forward(X, W1, b1, W2, b2):
    return sigmoid(linear(sigmoid(linear(X, W1, b1)), W2, b2))


# %% xor: OR
xor_W1, xor_b1 = np.eye(2), np.zeros(2)
xor_W2, xor_b2 = np.array([[10.0], [10.0]]), np.array([-5.0])

# %% xor: W2 as a vector
xor_W1, xor_b1 = np.ones((2, 2)), np.array([0.0, -1.0])
xor_W2, xor_b2 = np.array([10.0, -20.0]), np.array([-5.0])


# %% mse: the sum
def mse(P, Y):
    if P.shape != Y.shape:
        raise ValueError
    return np.sum((P - Y) ** 2)


# %% mse: the mean over rows of sums over columns
def mse(P, Y):
    if P.shape != Y.shape:
        raise ValueError
    return np.mean(np.sum((P - Y) ** 2, axis=1))


# %% mse: with the half of other books
def mse(P, Y):
    if P.shape != Y.shape:
        raise ValueError
    return np.mean((P - Y) ** 2) / 2


# %% mse: one number a column
def mse(P, Y):
    if P.shape != Y.shape:
        raise ValueError
    return np.mean((P - Y) ** 2, axis=0)


# %% mse: one entry fewer, as for a variance
def mse(P, Y):
    if P.shape != Y.shape:
        raise ValueError
    return np.sum((P - Y) ** 2) / (P.size - 1)


# %% bce_from_scores: through the sigmoid, log of 0
def bce_from_scores(Z, Y):
    if Z.shape != Y.shape:
        raise ValueError
    P = sigmoid(Z)
    return -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P))


# %% bce_from_scores: probabilities clipped
def bce_from_scores(Z, Y):
    if Z.shape != Y.shape:
        raise ValueError
    P = np.clip(sigmoid(Z), 1e-12, 1 - 1e-12)
    return -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P))


# %% bce_from_scores: only the targets 1
def bce_from_scores(Z, Y):
    if Z.shape != Y.shape:
        raise ValueError
    return np.mean(Y * np.logaddexp(0, -Z))


# %% softmax: along the columns
def softmax(Z):
    e = np.exp(Z - Z.max(axis=0))
    return e / e.sum(axis=0)


# %% softmax: over all entries
def softmax(Z):
    e = np.exp(Z - Z.max())
    return e / e.sum()


# %% softmax: nothing is subtracted
def softmax(Z):
    return np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)


# %% softmax: the largest of all is subtracted from every row
def softmax(Z):
    e = np.exp(Z - Z.max())
    return e / e.sum(axis=1, keepdims=True)


# %% cross_entropy: the logarithm of a probability that is 0
def cross_entropy(Z, labels):
    return -np.mean(np.log(softmax(Z)[np.arange(len(Z)), labels]))


# %% cross_entropy: a small number saves the logarithm
def cross_entropy(Z, labels):
    return -np.mean(np.log(softmax(Z)[np.arange(len(Z)), labels] + 1e-12))


# %% cross_entropy: the sum
def cross_entropy(Z, labels):
    S = Z - Z.max(axis=1, keepdims=True)
    return np.sum(np.log(np.exp(S).sum(axis=1)) - S[np.arange(len(Z)), labels])


# %% cross_entropy: every row with every label
def cross_entropy(Z, labels):
    S = Z - Z.max(axis=1, keepdims=True)
    return np.mean((np.log(np.exp(S).sum(axis=1))[:, None] - S)[:, labels])
