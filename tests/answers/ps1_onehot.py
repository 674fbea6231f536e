"""Problem set 1 by someone who likes other formulas: tanh, logaddexp, einsum, one-hot matrices."""
# ruff: noqa  answers as students write them

import numpy as np

# %% neuron
logistic = lambda z: 0.5 * (1 + np.tanh(0.5 * z))


def neuron(X, w, b):
    return logistic(np.einsum("nd,d->n", X, w) + b)


# %% gates
nand_w, nand_b = np.array([-1.0, -1.0]) * 7, 10.5
only_first_w, only_first_b = np.array([8, -9]), -4


# %% linear
def linear(X, W, b):
    if np.ndim(b) != 1 or W.shape != (X.shape[-1], b.size):
        raise ValueError(X.shape, W.shape, b.shape)
    extended = np.hstack([X, np.ones((len(X), 1))])  # the bias as one more row of the weights
    return extended @ np.vstack([W, b])


# %% activations
def relu(Z):
    return (Z + np.abs(Z)) / 2


def leaky_relu(Z, slope=0.01):
    return np.clip(Z, 0, None) + slope * np.clip(Z, None, 0)


def sigmoid(Z):
    return np.exp(-np.logaddexp(0, -Z))


# %% forward
class Network:
    def __init__(self, *parameters):
        self.W1, self.b1, self.W2, self.b2 = parameters

    def __call__(self, X):
        Z1 = linear(X, self.W1, self.b1)
        return logistic(linear(Z1 * (Z1 > 0), self.W2, self.b2))


def forward(X, W1, b1, W2, b2):
    return Network(W1, b1, W2, b2)(X)


# %% xor
xor_W1, xor_b1 = np.array([[-5.0, -5.0], [-5.0, -5.0]]), np.array([10.0, 5.0])
xor_W2, xor_b2 = np.array([[1.0], [-2.0]]) * 3, np.array([-7.0])


# %% losses
def mse(P, Y):
    if not P.shape == Y.shape:
        raise ValueError("shapes differ")
    difference = (P - Y).ravel()
    return np.dot(difference, difference) / difference.size


def bce_from_scores(Z, Y):
    if not Z.shape == Y.shape:
        raise ValueError("shapes differ")
    return (np.logaddexp(0, Z) - Y * Z).mean()


# %% softmax
def log_softmax(scores, axis=-1):
    return scores - np.logaddexp.reduce(scores, axis=axis, keepdims=True)


def softmax(Z):
    return np.exp(log_softmax(Z))


def one_hot(labels, K):
    return (np.arange(K) == labels[:, None]).astype(float)


def cross_entropy(Z, labels):
    return -(one_hot(labels, Z.shape[1]) * log_softmax(Z, axis=1)).sum() / len(Z)
