"""Popular wrong answers to problem set 3. Each loses points; the rest of the answers is right."""
# ruff: noqa  each part stands by itself; right_NAME is the solution's

import numpy as np

import nnlib


# %% sgd_step: a new array, the layers keep the old one
def sgd_step(params, grads, lr):
    for name in params:
        params[name] = params[name] - lr * grads[name]


# %% sgd_step: the gradients are scaled in place
def sgd_step(params, grads, lr):
    for name in params:
        grads[name] *= lr
        params[name] -= grads[name]


# %% sgd_step: by position
def sgd_step(params, grads, lr):
    params["W"] -= lr * grads["W"]
    params["b"] -= lr * grads["b"]


# %% sgd_step: weights only
def sgd_step(params, grads, lr):
    for name in params:
        if params[name].ndim > 1:
            params[name] -= lr * grads[name]


# %% sgd_step: nnlib does the work
def sgd_step(params, grads, lr):
    nnlib.SGD(lr).step(params, grads)


# %% momentum_step: the velocity is averaged
def momentum_step(params, grads, state, lr, mu):
    for name, theta in params.items():
        state[name] = mu * state.get(name, 0) + (1 - mu) * grads[name]
        theta -= lr * state[name]


# %% momentum_step: Nesterov
def momentum_step(params, grads, state, lr, mu):
    for name, theta in params.items():
        state[name] = mu * state.get(name, 0) + grads[name]
        theta -= lr * (grads[name] + mu * state[name])


# %% momentum_step: the rate is inside of the velocity
def momentum_step(params, grads, state, lr, mu):
    for name, theta in params.items():
        state[name] = mu * state.get(name, 0) + lr * grads[name]
        theta -= lr * state[name]


# %% momentum_step: the first gradient becomes the velocity itself
def momentum_step(params, grads, state, lr, mu):
    for name, theta in params.items():
        if name in state:
            state[name] *= mu
            state[name] += grads[name]
        else:
            state[name] = grads[name]
        theta -= lr * state[name]


# %% momentum_step: the old velocity moves the parameter
def momentum_step(params, grads, state, lr, mu):
    for name, theta in params.items():
        v = state.get(name, 0)
        theta -= lr * v
        state[name] = mu * v + grads[name]


# %% momentum_step: the 0.9 of the check
def momentum_step(params, grads, state, lr, mu):
    for name, theta in params.items():
        state[name] = 0.9 * state.get(name, 0) + grads[name]
        theta -= lr * state[name]


# %% adam_step: t counts parameters
def adam_step(params, grads, state, lr):
    for name, theta in params.items():
        t = state["t"] = state.get("t", 0) + 1
        m, v = state.get(name, (0, 0))
        m, v = 0.9 * m + 0.1 * grads[name], 0.999 * v + 0.001 * grads[name] ** 2
        state[name] = m, v
        theta -= lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


# %% adam_step: t starts at 0
def adam_step(params, grads, state, lr):
    t = state["t"] = state.get("t", -1) + 1
    for name, theta in params.items():
        m, v = state.get(name, (0, 0))
        m, v = 0.9 * m + 0.1 * grads[name], 0.999 * v + 0.001 * grads[name] ** 2
        state[name] = m, v
        theta -= lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


# %% adam_step: the two factors exchanged
def adam_step(params, grads, state, lr):
    t = state["t"] = state.get("t", 0) + 1
    for name, theta in params.items():
        m, v = state.get(name, (0, 0))
        m, v = 0.999 * m + 0.001 * grads[name], 0.9 * v + 0.1 * grads[name] ** 2
        state[name] = m, v
        theta -= lr * (m / (1 - 0.999**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-8)


# %% adam_step: no memory, the sign of the gradient
def adam_step(params, grads, state, lr):
    for name, theta in params.items():
        theta -= lr * grads[name] / (np.abs(grads[name]) + 1e-8)


# %% adam_step: no square, the absolute value
def adam_step(params, grads, state, lr):
    t = state["t"] = state.get("t", 0) + 1
    for name, theta in params.items():
        m, v = state.get(name, (0, 0))
        m, v = 0.9 * m + 0.1 * grads[name], 0.999 * v + 0.001 * np.abs(grads[name])
        state[name] = m, v
        theta -= lr * (m / (1 - 0.9**t)) / (v / (1 - 0.999**t) + 1e-8)


# %% batches: the last rows are left out
def batches(X, y, batch_size, rng):
    order = rng.permutation(len(X))
    parts = [order[i : i + batch_size] for i in range(0, len(X) - batch_size + 1, batch_size)]
    return [(X[rows], y[rows]) for rows in parts]


# %% batches: no shuffling
def batches(X, y, batch_size, rng):
    return [(X[i : i + batch_size], y[i : i + batch_size]) for i in range(0, len(X), batch_size)]


# %% batches: rows drawn with replacement
def batches(X, y, batch_size, rng):
    order = rng.integers(0, len(X), len(X))
    return [
        (X[order[i : i + batch_size]], y[order[i : i + batch_size]]) for i in range(0, len(X), batch_size)
    ]


# %% batches: the data themselves are shuffled
def batches(X, y, batch_size, rng):
    order = rng.permutation(len(X))
    X[:], y[:] = X[order], y[order]
    return [(X[i : i + batch_size], y[i : i + batch_size]) for i in range(0, len(X), batch_size)]


# %% batches: another generator than the one handed in
def batches(X, y, batch_size, rng):
    order = np.random.permutation(len(X))
    return [
        (X[order[i : i + batch_size]], y[order[i : i + batch_size]]) for i in range(0, len(X), batch_size)
    ]


# %% batches: batches in random order, neighbors stay together
def batches(X, y, batch_size, rng):
    starts = rng.permutation(np.arange(0, len(X), batch_size))
    return [(X[i : i + batch_size], y[i : i + batch_size]) for i in starts]


# %% batches: nnlib does the work
def batches(X, y, batch_size, rng):
    return list(nnlib.minibatches(X, y, batch_size, rng=rng))


# %% train_xor: no hidden layer
def train_xor(seed):
    return nnlib.Sequential([nnlib.Linear(2, 1, rng=np.random.default_rng(seed))])


# %% train_xor: nine units
def train_xor(seed):
    rng = np.random.default_rng(seed)
    return nnlib.Sequential([nnlib.Linear(2, 9, rng=rng), nnlib.Tanh(), nnlib.Linear(9, 1, rng=rng)])


# %% train_xor: not trained
def train_xor(seed):
    rng = np.random.default_rng(seed)
    return nnlib.Sequential([nnlib.Linear(2, 8, rng=rng), nnlib.Tanh(), nnlib.Linear(8, 1, rng=rng)])


# %% train_xor: set by hand, whatever the seed
def train_xor(seed):
    rng = np.random.default_rng(0)
    net = nnlib.Sequential([nnlib.Linear(2, 2, rng=rng), nnlib.ReLU(), nnlib.Linear(2, 1, rng=rng)])
    for theta, value in zip(net.params().values(), (1.0, [0, -1], [[2.0], [-4.0]], -1.0)):
        theta[...] = value
    return net


# %% train_xor: a probability, not a score
def train_xor(seed):
    rng = np.random.default_rng(seed)
    net = nnlib.Sequential(
        [nnlib.Linear(2, 2, rng=rng), nnlib.ReLU(), nnlib.Linear(2, 1, rng=rng), nnlib.Sigmoid()]
    )
    for theta, value in zip(net.params().values(), (1.0, [0, -1], [[20.0], [-40.0]], -10.0)):
        theta[...] = value
    return net


# %% train_xor: the seed is not used for the weights
def train_xor(seed):
    rng = np.random.default_rng()
    net = nnlib.Sequential([nnlib.Linear(2, 2, rng=rng), nnlib.ReLU(), nnlib.Linear(2, 1, rng=rng)])
    scale = rng.uniform(1, 2)
    for theta, value in zip(net.params().values(), (scale, [0, -scale], [[2.0], [-4.0]], -scale)):
        theta[...] = value
    return net


# %% diagnosis: all the same
diagnosis = dict.fromkeys(["bias", "softmax", "velocity", "shuffle", "dropout"], "gradient")


# %% bias_gradient: not repaired
def bias_gradient(dY):
    return dY.mean(axis=0)


# %% bias_gradient: over the units
def bias_gradient(dY):
    return dY.sum(axis=1)


# %% softmax_backward: over the batch
def softmax_backward(dP, P):
    return P * (dP - np.sum(dP * P))


# %% shuffled: turned round
def shuffled(X, y, rng):
    return X[::-1], y[::-1]


# %% shuffled: in place
def shuffled(X, y, rng):
    order = rng.permutation(len(X))
    X[:], y[:] = X[order], y[order]
    return X, y


# %% shuffled: always the same order
def shuffled(X, y, rng):
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


# %% dropout: whole rows
def dropout(X, p, rng, training):
    return X * (rng.random((len(X), 1)) >= p) / (1 - p) if training else X


# %% dropout: kept with probability p
def dropout(X, p, rng, training):
    return X * (rng.random(X.shape) < p) / p if training else X


# %% dropout: works in its input
def dropout(X, p, rng, training):
    if training:
        X *= (rng.random(X.shape) >= p) / (1 - p)
    return X


# %% dropout: exactly a share p, the same places each time
def dropout(X, p, rng, training):
    if not training:
        return X
    mask = np.arange(X.size) % 100 >= 100 * p
    return X * mask.reshape(X.shape) / (1 - p)


# %% velocity_step: one velocity for all
def velocity_step(params, grads, state, lr, mu):
    for name, theta in params.items():
        state["v"] = mu * state.get("v", 0) + grads[name]
        theta -= lr * state["v"]
