"""No surprise from speed: what is fast gives the numbers of the equations, and shows nobody its buffers."""

import copy
import os
import pickle
import platform
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from nnlib import (
    SGD,
    Adam,
    AdamW,
    BinaryCrossEntropyWithLogits,
    Conv2D,
    Flatten,
    Layer,
    Linear,
    MaxPool2D,
    ReLU,
    RMSProp,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
    check_network,
    fit,
    minibatches,
    optimizers,
    training,
)
from nnlib import functional as F
from nnlib.optimizers import Optimizer, elementwise
from nnlib.parameters import Parameters

N, D, H, K = 24, 5, 4, 3


def mlp(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return Sequential(
        [Linear(D, H, rng=rng, dtype=dtype), Tanh(), Linear(H, H, rng=rng, dtype=dtype), ReLU(),
         Linear(H, K, rng=rng, dtype=dtype)]
    )  # fmt: skip


def digits(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((N, D)).astype(dtype), rng.integers(0, K, N)
    return X, y


# --- The same numbers as the equations -----------------------------------------------------------------


def sgd(theta, g, memory, t):
    v = memory["v"] = 0.9 * memory.get("v", 0) + g
    return theta - 0.1 * v


def nesterov(theta, g, memory, t):
    g = g + 0.01 * theta
    v = memory["v"] = 0.9 * memory.get("v", 0) + g
    return theta - 0.1 * (g + 0.9 * v)


def dampened(theta, g, memory, t):
    v = memory["v"] = 0.8 * memory.get("v", 0) + (1 - 0.8) * g
    return theta - 0.1 * v


def rmsprop(theta, g, memory, t):
    v = memory["v"] = 0.99 * memory.get("v", 0) + (1 - 0.99) * g**2
    return theta - 0.01 * g / (np.sqrt(v) + 1e-8)


def adam(theta, g, memory, t, eps=1e-3):
    m = memory["m"] = 0.9 * memory.get("m", 0) + (1 - 0.9) * g
    v = memory["v"] = 0.999 * memory.get("v", 0) + (1 - 0.999) * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return theta - 0.01 * m_hat / (np.sqrt(v_hat) + eps)


def adamw(theta, g, memory, t):
    return adam((1 - 0.01 * 0.1) * theta, g, memory, t)


RULES = {
    "momentum": (sgd, lambda: SGD(0.1, 0.9)),
    "nesterov and decay": (nesterov, lambda: SGD(0.1, 0.9, nesterov=True, weight_decay=0.01)),
    "dampening": (dampened, lambda: SGD(0.1, 0.8, dampening=0.8)),
    "rmsprop": (rmsprop, lambda: RMSProp(0.01)),
    "adam": (adam, lambda: Adam(0.01, eps=1e-3)),
    "adamw": (adamw, lambda: AdamW(0.01, eps=1e-3, weight_decay=0.1)),
}
every_rule = pytest.mark.parametrize("name", RULES)


def by_the_equations(theta, X, y, rule, batches):
    """Training with the pure functions and rules as they stand in the book; no layer, no kept array."""
    theta, memories = {k: v.copy() for k, v in theta.items()}, {k: {} for k in theta}
    for t, (X, y) in enumerate(batches, 1):
        Z1 = F.linear(X, theta["0.W"], theta["0.b"])
        A1 = F.tanh(Z1)
        Z2 = F.linear(A1, theta["2.W"], theta["2.b"])
        A2 = F.relu(Z2)
        Z3 = F.linear(A2, theta["4.W"], theta["4.b"])
        dZ3 = F.softmax_cross_entropy_backward(Z3, y)
        dA2, dW3, db3 = F.linear_backward(dZ3, A2, theta["4.W"])
        dA1, dW2, db2 = F.linear_backward(F.relu_backward(dA2, Z2), A1, theta["2.W"])
        _, dW1, db1 = F.linear_backward(F.tanh_backward(dA1, A1), X, theta["0.W"])
        g = {"0.W": dW1, "0.b": db1, "2.W": dW2, "2.b": db2, "4.W": dW3, "4.b": db3}
        theta = {k: rule(theta[k], g[k], memories[k], t) for k in theta}
    return theta


@pytest.fixture(params=["all together", "the largest alone"])
def together(request, monkeypatch):
    """Gradients of large arrays are not copied; here that is the first matrix, with 20 numbers."""
    monkeypatch.setattr(optimizers, "COPIED", 18 if request.param == "the largest alone" else 20_000)


@every_rule
@pytest.mark.usefixtures("together")
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_fit_gives_the_numbers_of_the_equations(name, dtype, tolerance):
    rule, make = RULES[name]
    X, y = digits(dtype)
    net, rng = mlp(dtype), np.random.default_rng(1)
    first = {k: v.astype(np.float64) for k, v in net.params().items()}
    batches = [batch for _ in range(3) for batch in minibatches(X.astype(np.float64), y, 10, rng=rng)]
    fit(net, SoftmaxCrossEntropy(), make(), X, y, epochs=3, batch_size=10, rng=np.random.default_rng(1))
    expected = by_the_equations(first, X, y, rule, batches)
    for k, theta in net.params().items():
        assert theta.dtype == dtype
        np.testing.assert_allclose(theta, expected[k], rtol=0, atol=tolerance, err_msg=k)
        assert not np.allclose(theta, first[k], rtol=0, atol=1e-3), f"{k} has been trained"


@every_rule
@pytest.mark.usefixtures("together")
def test_all_parameters_at_once_move_as_they_do_one_by_one(name, rng):
    net, (at_once, one_by_one) = mlp(), (RULES[name][1]() for _ in range(2))
    params = net.params()
    assert isinstance(params, Parameters)
    alone = {k: v.copy() for k, v in params.items()}
    for _ in range(4):
        grads = {k: rng.standard_normal(v.shape) for k, v in params.items()}
        kept = copy.deepcopy(grads)
        at_once.step(params, grads)
        one_by_one.step(alone, grads)
        assert all(np.array_equal(grads[k], kept[k]) for k in kept), "gradients stay as they are"
    for k in params:
        np.testing.assert_array_equal(params[k], alone[k])
        assert at_once.state[k].keys() == one_by_one.state[k].keys()
        for memory in at_once.state[k]:
            np.testing.assert_array_equal(at_once.state[k][memory], one_by_one.state[k][memory])


def test_gradients_are_checked_on_the_arrays_that_training_uses():
    net, (X, y) = mlp(), digits()
    fit(net, SoftmaxCrossEntropy(), Adam(), X, y, epochs=2, batch_size=8, rng=np.random.default_rng(0))
    assert isinstance(net.params(), Parameters)
    assert check_network(net, SoftmaxCrossEntropy(), X, y).ok


# --- What a reader holds stays what it was --------------------------------------------------------------


def images(rng):
    layers = [Conv2D(1, 2, 3, rng=rng), MaxPool2D(2), Sigmoid(), Flatten(), Linear(18, K, rng=rng)]
    return Sequential(layers), rng.standard_normal((N, 1, 8, 8)), rng.integers(0, K, N)


@pytest.mark.parametrize("kind", ["rows", "images"])
def test_arrays_that_were_returned_stay_as_they_were_in_the_next_step(kind, rng):
    net, X, y = images(rng) if kind == "images" else (mlp(), *digits())
    loss, optimizer, held = SoftmaxCrossEntropy(), Adam(), []
    for batch, target in minibatches(X, y, 8, rng=rng):
        Y = net.forward(batch)
        loss.forward(Y, target)
        dY = loss.backward()
        arrays = [batch, target, Y, dY, net.backward(dY), *net.grads().values()]
        optimizer.step(net.params(), net.grads())
        held.append([(array, array.copy()) for array in arrays])
    for array, then in (pair for step in held for pair in step):
        np.testing.assert_array_equal(array, then)


def test_a_callback_may_keep_what_it_sees():
    held = []

    def keep(state):
        held.append([(g, g.copy()) for g in state.net.grads().values()])

    X, y = digits()
    fit(mlp(), SoftmaxCrossEntropy(), Adam(), X, y, epochs=4, batch_size=8, rng=np.random.default_rng(0),
        callbacks=[keep])  # fmt: skip
    assert len(held) == 4
    for g, then in (pair for epoch in held for pair in epoch):
        np.testing.assert_array_equal(g, then)


def test_the_data_and_what_params_returned_before_training_are_the_same_arrays_after_it():
    net, (X, y) = mlp(), digits()
    before, kept = net.params(), (X.copy(), y.copy())
    arrays, layer = dict(before), net.layers[0].params["W"]
    fit(net, SoftmaxCrossEntropy(), SGD(0.1), X, y, epochs=2, batch_size=None, rng=np.random.default_rng(0))
    assert np.array_equal(X, kept[0])
    assert np.array_equal(y, kept[1])
    assert layer is arrays["0.W"] is net.params()["0.W"] is net.layers[0].params["W"]


# --- Parameters side by side ------------------------------------------------------------------------------


def trained(net, optimizer=None, epochs=2):
    X, y = digits()
    fit(net, SoftmaxCrossEntropy(), optimizer or Adam(0.01), X, y, epochs=epochs, batch_size=8,
        rng=np.random.default_rng(3))  # fmt: skip
    return {k: v.copy() for k, v in net.params().items()}


def same(a, b):
    assert a.keys() == b.keys()
    return all(np.array_equal(a[k], b[k]) for k in a)


def test_layers_hold_views_of_one_vector():
    net = mlp()
    vector = net.params().vector
    assert vector.size == sum(theta.size for theta in net.params().values())
    vector[:] = 7
    assert all((layer.params["W"] == 7).all() for layer in net.layers if layer.params)


def test_an_array_that_is_put_in_the_place_of_a_parameter_is_trained():
    net, expected = mlp(), trained(mlp())
    mine = net.layers[2].params["W"].copy()
    net.layers[2].params["W"] = mine
    assert net.params()["2.W"] is mine
    assert same(trained(net), expected)
    assert np.array_equal(mine, expected["2.W"])


def test_layers_may_be_inserted_and_taken_out_by_hand():
    net = mlp()
    first = net.params()
    net.layers.insert(1, Sigmoid())
    assert list(net.params()) == ["0.W", "0.b", "3.W", "3.b", "5.W", "5.b"]
    assert list(net.grads()) == []
    assert trained(net).keys() == net.grads().keys()
    del net.layers[1]
    assert net.params() is first


def test_a_parameter_that_is_left_out_stays_as_it_is():
    net, ones = mlp(), {k: np.ones_like(v) for k, v in mlp().params().items()}
    before, params = copy.deepcopy(dict(net.params())), net.params()
    del params["0.W"]
    Adam(0.01).step(params, ones)
    assert same({"0.W": net.params()["0.W"]}, {"0.W": before["0.W"]})
    assert not np.array_equal(net.params()["0.b"], before["0.b"])
    assert list(net.params()) == list(before), "what is done to the dict is not done to the network"


def test_two_networks_may_share_a_layer():
    one = mlp()
    other = Sequential([one.layers[0], Tanh(), Linear(H, K, rng=np.random.default_rng(5))])
    assert one.params()["0.W"] is other.params()["0.W"]
    before = one.params()["4.W"].copy()
    trained(other)
    assert not np.array_equal(one.params()["0.W"], mlp().params()["0.W"])
    assert np.array_equal(one.params()["4.W"], before)
    assert not np.array_equal(trained(one)["4.W"], before)


class Scale(Layer):
    """A layer that knows its parameter under a name of its own, as readers write them."""

    def __init__(self):
        self.a = self.params["a"] = np.ones(K)

    def forward(self, X):
        self._remember(X)
        return X * self.a

    def backward(self, dY):
        (X,) = self._recall()
        self.grads["a"] = (dY * X).sum(axis=0)
        return dY * self.a


def test_arrays_of_a_layer_of_ones_own_are_left_to_it():
    net, scale = mlp(), Scale()
    net.add(scale)
    trained(net)
    assert net.params()["5.a"] is scale.a
    assert not np.array_equal(scale.a, np.ones(K))


def test_layers_of_two_dtypes_are_left_apart():
    rng = np.random.default_rng(0)
    net = Sequential([Linear(D, H, rng=rng, dtype=np.float32), Linear(H, K, rng=rng, dtype=np.float64)])
    assert type(net.params()) is dict
    with pytest.raises(ValueError, match=r"one dtype, got \['float32', 'float64'\]"):
        Parameters({"a": np.ones(1, np.float32), "b": np.ones(1)})


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("again", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_copies_train_as_the_original_would_and_leave_it_alone(again):
    optimizer, net = Adam(0.01), mlp()
    trained(net, optimizer)
    kept = {k: v.copy() for k, v in net.params().items()}
    net2, optimizer2 = again((net, optimizer))
    trained(net2, optimizer2)
    assert same(net.params(), kept)
    assert same(trained(net, optimizer), {k: v.copy() for k, v in net2.params().items()})


def test_memory_that_is_put_back_is_used():
    optimizer, net = SGD(0.1, 0.9), mlp()
    trained(net, optimizer)
    saved, weights = copy.deepcopy(optimizer.state), copy.deepcopy(dict(net.params()))
    expected = trained(net, optimizer)
    for k, theta in net.params().items():
        theta[...] = weights[k]
    optimizer.state = saved
    assert same(trained(net, optimizer), expected)


@pytest.mark.parametrize("forget", [lambda o: o.state.clear(), lambda o: setattr(o, "state", {})])
def test_memory_that_is_taken_away_starts_again(forget):
    optimizer, net = SGD(0.1, 0.9), mlp()
    ones = {k: np.ones_like(v) for k, v in net.params().items()}
    optimizer.step(net.params(), ones)
    forget(optimizer)
    for expected in (0.1, 0.19):
        before = {k: v.copy() for k, v in net.params().items()}
        optimizer.step(net.params(), ones)
        for k, theta in net.params().items():
            np.testing.assert_allclose(before[k] - theta, expected)


def test_an_optimizer_that_has_met_single_arrays_goes_on_with_them():
    optimizer, net = SGD(0.1, 0.9), mlp()
    params, ones = net.params(), {k: np.ones_like(v) for k, v in net.params().items()}
    optimizer.step(dict(params), ones)
    before = {k: v.copy() for k, v in params.items()}
    optimizer.step(params, ones)
    for k, theta in params.items():
        np.testing.assert_allclose(before[k] - theta, 0.19)  # the velocity of the first step counts


def test_an_optimizer_that_goes_on_with_another_network_of_these_sizes_keeps_its_memory():
    optimizer, one, other = SGD(0.1, 0.9), mlp(), mlp(seed=1)
    ones = {k: np.ones_like(v) for k, v in one.params().items()}
    before = {k: v.copy() for k, v in other.params().items()}
    optimizer.step(one.params(), ones)
    optimizer.step(other.params(), ones)
    for k, theta in other.params().items():
        np.testing.assert_allclose(before[k] - theta, 0.19)


class Clipped(SGD):
    """A rule that looks at the gradient of an array as a whole."""

    calls = 0

    def update(self, theta, g, **state):
        self.calls += 1
        super().update(theta, g / max(1, np.linalg.norm(g)), **state)


def test_a_rule_without_the_mark_is_called_for_each_array():
    optimizer, net = Clipped(1.0), mlp()
    before, big = {k: v.copy() for k, v in net.params().items()}, {}
    for k, theta in net.params().items():
        big[k] = np.full(theta.shape, 100.0)
    optimizer.step(net.params(), big)
    assert optimizer.calls == len(before)
    for k, theta in net.params().items():
        assert np.linalg.norm(before[k] - theta) == pytest.approx(1)


def test_a_rule_of_ones_own_with_the_mark_is_called_once_and_for_large_arrays_alone(monkeypatch):
    shapes = []

    class Sign(Optimizer):
        @elementwise
        def update(self, theta, g):
            shapes.append(theta.shape)
            theta -= self.lr * np.sign(g)

    net = mlp()
    Sign(0.5).step(net.params(), {k: np.ones_like(v) for k, v in net.params().items()})
    assert shapes == [net.params().vector.shape]
    monkeypatch.setattr(optimizers, "COPIED", 18)
    shapes.clear()
    Sign(0.5).step(net.params(), {k: np.ones_like(v) for k, v in net.params().items()})
    assert shapes == [(20,), (net.params().vector.size - 20,)]


# --- Memory and cost ----------------------------------------------------------------------------------------


def test_training_needs_little_memory_beside_the_data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 128), dtype=np.float32)
    y = np.zeros((len(X), 1), np.float32)
    net = Sequential([Linear(128, 1, rng=rng, dtype=np.float32)])

    def train(rows):
        fit(
            net,
            BinaryCrossEntropyWithLogits(),
            SGD(0.1),
            X[:rows],
            y[:rows],
            epochs=1,
            batch_size=100,
            rng=rng,
        )

    train(1)  # the first training asks for 32 MB that it never touches, and releases them
    tracemalloc.start()
    train(len(X))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 8


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the C library of most Linux systems")
def test_after_a_training_large_arrays_come_from_memory_that_the_program_has_already():
    """A new array of 4 MB is a thousand pages; each that is cleared by the system is counted as a fault."""
    count = (
        "import resource, numpy as np; from nnlib import MSE, SGD, Linear, Sequential, fit\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(20): np.empty(10**6, np.float32).fill(1)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "before = faults(); rng = np.random.default_rng(0); net = Sequential([Linear(1, 1, rng=rng)])\n"
        "fit(net, MSE(), SGD(0.1), np.ones((1, 1)), np.ones((1, 1)), epochs=1, batch_size=1, rng=rng)\n"
        "faults(); print(before, faults())"
    )
    # whoever sets one of these, as Dask does for its workers, decides alone about such memory
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", count], check=True, capture_output=True, text=True, env=own)
    before, after = map(int, done.stdout.split())
    assert after < before / 10


def test_in_the_browser_whose_memory_only_grows_none_is_asked_for_in_advance(monkeypatch):
    monkeypatch.setattr(training.sys, "platform", "emscripten")
    ask = training._keep_freed_memory.__wrapped__
    tracemalloc.start()
    ask()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6
