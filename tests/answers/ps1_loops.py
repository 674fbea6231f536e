"""Problem set 1 by someone who thinks one example at a time: loops, lists, masks."""
# ruff: noqa  answers as students write them

import numpy as np

# %% neuron
import math


def one_output(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else 1 - 1 / (1 + math.exp(z))


def neuron(X, w, b):
    outputs = []
    for x in X:
        z = b
        for d in range(len(w)):
            z += x[d] * w[d]
        outputs.append(one_output(z))
    return outputs


# %% gates
nand_w, nand_b = [-2, -2], 3
only_first_w = np.array([3, -3])
only_first_b = -1.5


# %% linear
def linear(X, W, b):
    (N, D), (rows, M) = X.shape, W.shape
    if rows != D:
        raise ValueError("X has another number of columns than W has rows")
    if len(b) != M:
        raise ValueError("one bias for each unit, please")
    Y = np.empty((N, M))
    for n in range(N):
        for m in range(M):
            Y[n, m] = sum(X[n, d] * W[d, m] for d in range(D)) + b[m]
    return Y


# %% activations
def relu(Z):
    result = Z.copy()
    result[result < 0] = 0
    return result


def leaky_relu(Z, slope=0.01):
    result = Z.copy()
    negative = result < 0
    result[negative] = result[negative] * slope
    return result


def sigmoid(Z):
    Z = np.array(Z)
    A = np.empty(Z.shape)
    positive = Z > 0
    A[positive] = 1 / (1 + np.exp(-Z[positive]))
    e = np.exp(Z[~positive])
    A[~positive] = e / (1 + e)
    return A


# %% forward
def forward(X, W1, b1, W2, b2):
    print("hidden layer with", len(b1), "units")
    hidden_layer = relu(linear(X, W1, b1))
    return sigmoid(linear(hidden_layer, W2, b2))


# %% xor
xor_W1 = [[1, -1], [-1, 1]]  # each unit sees one of the two cases
xor_b1 = [0, 0]
xor_W2 = [[20], [20]]
xor_b2 = [-10]


# %% losses
def must_have_same_shape(first, second):
    if np.shape(first) != np.shape(second):
        raise ValueError(f"{np.shape(first)} is not {np.shape(second)}")


def mse(P, Y):
    must_have_same_shape(P, Y)
    total, count = 0.0, 0
    for row, target in zip(P, Y):
        for p, y in zip(row, target):
            total += (p - y) ** 2
            count += 1
    return total / count


def bce_from_scores(Z, Y):
    must_have_same_shape(Z, Y)
    total = 0.0
    for z, y in zip(Z.flatten(), Y.flatten()):
        total += (z if z > 0 else 0) + math.log(1 + math.exp(-abs(z))) - y * z
    return total / Z.size


# %% softmax
def softmax(Z):
    rows = []
    for z in Z:
        e = [math.exp(value - max(z)) for value in z]
        rows.append([value / sum(e) for value in e])
    return np.array(rows)


def cross_entropy(Z, labels):
    total = 0.0
    for z, label in zip(Z, labels):
        total += math.log(sum(math.exp(value - max(z)) for value in z)) - (z[label] - max(z))
    return total / len(Z)
