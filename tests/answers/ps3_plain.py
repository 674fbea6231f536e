"""Problem set 3 by someone who fills memories with zeros first and keeps several dictionaries."""
# ruff: noqa  answers as students write them

import numpy as np

import nnlib


# %% sgd
def sgd_step(params, grads, lr):
    for name in grads:
        np.subtract(params[name], lr * grads[name], out=params[name])


# %% momentum
def momentum_step(params, grads, state, lr, mu):
    if not state:
        for name in params:
            state[name] = np.zeros(params[name].shape)
    for name in params:
        v = state[name]
        v *= mu
        v += grads[name]
        params[name][...] = params[name] - lr * v


# %% adam
def adam_step(params, grads, state, lr):
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    if "steps" not in state:
        state["steps"] = 0
        state["mean"] = {name: np.zeros_like(theta) for name, theta in params.items()}
        state["square"] = {name: np.zeros_like(theta) for name, theta in params.items()}
    state["steps"] += 1
    for name in params:
        state["mean"][name] = beta1 * state["mean"][name] + (1 - beta1) * grads[name]
        state["square"][name] = beta2 * state["square"][name] + (1 - beta2) * grads[name] * grads[name]
        m_hat = state["mean"][name] / (1 - beta1 ** state["steps"])
        v_hat = state["square"][name] / (1 - beta2 ** state["steps"])
        params[name] -= lr * m_hat / (np.sqrt(v_hat) + eps)


# %% batches
def batches(X, y, batch_size, rng):
    order = np.arange(len(X))
    rng.shuffle(order)
    X_new, y_new = X[order], y[order]
    result = []
    while len(X_new) > 0:
        result.append((X_new[:batch_size], y_new[:batch_size]))
        X_new, y_new = X_new[batch_size:], y_new[batch_size:]
    return result


# %% train
def train_xor(seed):
    rng = np.random.default_rng(seed)
    net = nnlib.Sequential([nnlib.Linear(2, 6, rng=rng), nnlib.Tanh(), nnlib.Linear(6, 1, rng=rng)])
    X, y = nnlib.data.xor()
    targets, state = 2 * y[:, None] - 1, {}
    for _ in range(500):
        scores = net.forward(X)
        net.backward(2 * (scores - targets) / 4)  # squared error at -1 and 1
        momentum_step(net.params(), net.grads(), state, 0.05, 0.9)
    return net


# %% patients
diagnosis = dict(bias="gradient", softmax="gradient", velocity="optimizer", shuffle="rows", dropout="modes")


def bias_gradient(dY):
    db = 0
    for row in dY:
        db = db + row
    return db


def softmax_backward(dP, P):
    result = []
    for dp, p in zip(dP, P):
        result.append(p * (dp - dp @ p))
    return np.array(result)


def velocity_step(params, grads, state, lr, mu):
    """A step with momentum."""
    for name, theta in params.items():
        key = name, theta.shape
        state[key] = mu * state.get(key, 0) + grads[name]
        theta -= lr * state[key]


def shuffled(X, y, rng):
    pairs = list(zip(X, y))
    order = rng.permutation(len(pairs))
    return np.array([pairs[i][0] for i in order]), np.array([pairs[i][1] for i in order])


def dropout(X, p, rng, training):
    if training:
        keep = 1 - p
        return X * rng.binomial(1, keep, X.shape) / keep
    return X.copy()
