"""A checker that cannot fail proves nothing: twenty wrong backwards, each must be caught."""

import numpy as np
import pytest

from nnlib import (
    MSE,
    BinaryCrossEntropyWithLogits,
    CategoricalCrossEntropy,
    Conv2D,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    Loss,
    MaxPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    check_function,
    check_layer,
    check_loss,
    check_network,
    numerical_gradient,
)
from nnlib import functional as F
from nnlib.gradcheck import Report
from nnlib.metrics import one_hot

N, D, M = 5, 4, 3


def linear_problem(rng):
    return {"X": rng.standard_normal((N, D)), "W": rng.standard_normal((D, M)), "b": rng.standard_normal(M)}


def linear_with(**wrong):
    """Backward of linear with some of its three lines replaced."""

    def backward(dY, X, W, b):
        right = {"dX": dY @ W.T, "dW": X.T @ dY, "db": dY.sum(axis=0)}
        return tuple(wrong[key](dY, X, W) if key in wrong else right[key] for key in right)

    return F.linear, backward, linear_problem


def rows(f, backward):
    return f, backward, lambda rng: {"Z": rng.standard_normal((N, M))}


LABELS = np.array([0, 2, 1, 1, 0])


def cross_entropy(backward):
    return (
        lambda Z: F.softmax_cross_entropy(Z, LABELS),
        lambda dL, Z: dL * backward(F.softmax(Z), one_hot(LABELS, M)),
        lambda rng: {"Z": rng.standard_normal((N, M))},
    )


def mse(backward):
    Y = np.arange(N * M).reshape(N, M) / 10
    return (
        lambda P: F.mse(P, Y),
        lambda dL, P: dL * backward(P, Y),
        lambda rng: {"P": rng.standard_normal((N, M))},
    )


def damaging(dY, X, W):
    dY *= 2
    return dY @ W.T / 2


CALLS = []


def accumulating(dY, X, W):
    CALLS.append(X.T @ dY)
    return np.sum(CALLS, axis=0)


def conv(flip):
    def backward(dY, X, W, b):
        dX, dW, db = F.conv2d_backward(dY, X, W[:, :, ::-1, ::-1] if flip == "dX" else W)
        return dX, dW[:, :, ::-1, ::-1] if flip == "dW" else dW, db

    def problem(rng):
        return {
            "X": rng.standard_normal((2, 2, 5, 4)),
            "W": rng.standard_normal((3, 2, 3, 2)),
            "b": rng.standard_normal(3),
        }

    return F.conv2d, backward, problem


WRONG = {
    "softmax backward as the identity": rows(F.softmax, lambda dP, Z: dP),
    "softmax backward with the diagonal only": rows(
        F.softmax, lambda dP, Z: dP * F.softmax(Z) * (1 - F.softmax(Z))
    ),
    "softmax backward that returns zero": rows(F.softmax, lambda dP, Z: 0 * dP),
    "sigmoid derivative taken at a where z belongs": rows(
        F.sigmoid, lambda dA, Z: F.sigmoid_backward(dA, F.sigmoid(F.sigmoid(Z)))
    ),
    "tanh derivative without the square": rows(F.tanh, lambda dA, Z: dA * (1 - np.tanh(Z))),
    "relu mask from the wrong side": rows(F.relu, lambda dA, Z: dA * (Z < 0)),
    "relu derivative ignores the upstream gradient": rows(F.relu, lambda dA, Z: 1.0 * (Z > 0)),
    "leaky relu with the slope of relu": rows(F.leaky_relu, lambda dA, Z: dA * (Z > 0)),
    "log-softmax without the sum over classes": rows(F.log_softmax, lambda dA, Z: dA * (1 - F.softmax(Z))),
    "extra 1/N in dW": linear_with(dW=lambda dY, X, W: X.T @ dY / len(X)),
    "bias gradient averaged over the batch": linear_with(db=lambda dY, X, W: dY.mean(axis=0)),
    "bias gradient of shape (1, M)": linear_with(db=lambda dY, X, W: dY.sum(axis=0, keepdims=True)),
    "sign of dX": linear_with(dX=lambda dY, X, W: -dY @ W.T),
    "columns of dX reversed": linear_with(dX=lambda dY, X, W: (dY @ W.T)[:, ::-1]),
    "dW squared in the upstream gradient": linear_with(dW=lambda dY, X, W: X.T @ dY**2),
    "dX damages the upstream gradient": linear_with(dX=damaging),
    "dW accumulates over calls": linear_with(dW=accumulating),
    "dW in float32": linear_with(dW=lambda dY, X, W: (X.T @ dY).astype(np.float32)),
    "cross-entropy without 1/N": cross_entropy(lambda P, Y: P - Y),
    "cross-entropy with 1/N twice": cross_entropy(lambda P, Y: (P - Y) / N**2),
    "cross-entropy with the sign reversed": cross_entropy(lambda P, Y: (Y - P) / N),
    "mse divided by N instead of N M": mse(lambda P, Y: 2 * (P - Y) / N),
    "mse without the 2": mse(lambda P, Y: (P - Y) / P.size),
    "kernel not flipped in dX": conv("dX"),
    "dW flipped": conv("dW"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_backward_is_caught(name, rng):
    CALLS.clear()
    forward, backward, problem = WRONG[name]
    report = check_function(forward, backward, problem(rng), rng=rng)
    assert not report.ok, f"{name} got through"
    assert "WRONG" in str(report)


def test_there_are_at_least_twenty_wrong_backwards():
    assert len(WRONG) >= 20


@pytest.mark.parametrize("seed", range(20))
def test_the_right_backward_passes_whatever_the_seed(seed):
    rng = np.random.default_rng(seed)
    forward, backward, problem = linear_with()
    assert check_function(forward, backward, problem(rng), rng=rng)


def test_the_report_names_parameter_and_index_of_the_error(rng):
    def one_wrong_entry(dY, X, W):
        dW = X.T @ dY
        dW[2, 1] += 0.01
        return dW

    forward, backward, problem = linear_with(dW=one_wrong_entry)
    report = check_function(forward, backward, problem(rng), rng=rng)
    assert (report.worst.name, report.worst.index) == ("W", (2, 1))
    assert "W[2, 1]: backward says" in str(report)
    assert "WRONG in 1 of 12 entries" in str(report)
    assert report.table["X"] < 1e-9 < report.table["W"]


def test_a_kink_is_accepted_between_its_two_slopes_and_reported():
    Z = np.array([[0.0, 1.0, -1.0]])
    report = check_layer(ReLU(), Z, rng=np.random.default_rng(0))
    assert report.ok
    assert "1 at a kink" in str(report)
    beyond = check_function(F.relu, lambda dA, Z: 3 * dA * (Z >= 0), {"Z": Z}, rng=np.random.default_rng(0))
    assert not beyond.ok


def test_a_forward_that_changes_its_input_or_its_mind_is_caught(rng):
    def damages(Z):
        Z *= 2
        return Z / 2

    report = check_function(damages, lambda dY, Z: dY, {"Z": np.ones((2, 2))}, rng=rng)
    assert "forward changes Z in place" in str(report)
    report = check_function(
        lambda Z: Z + rng.standard_normal(), lambda dY, Z: dY, {"Z": np.ones((2, 2))}, rng=rng
    )
    assert "forward gives another answer" in str(report)


def test_a_backward_that_changes_parameters_or_forgets_one_is_caught(rng):
    def damages(dY, X, W, b):
        W -= 0.1
        return F.linear_backward(dY, X, W + 0.1)

    report = check_function(F.linear, damages, linear_problem(rng), rng=rng)
    assert "backward changes W in place" in str(report)
    report = check_function(F.linear, lambda dY, X, W, b: (dY @ W.T, X.T @ dY), linear_problem(rng), rng=rng)
    assert "backward returns 2 gradients for 3 inputs" in str(report)


def test_an_input_may_be_declared_not_differentiable(rng):
    report = check_function(
        F.linear, lambda dY, X, W, b: (None, X.T @ dY, None), linear_problem(rng), rng=rng
    )
    assert report.ok
    assert list(report.table) == ["W"]


LAYERS = {
    "Linear": (lambda rng: Linear(D, M, rng=rng), (N, D)),
    "Conv2D": (lambda rng: Conv2D(2, 3, (3, 2), stride=2, padding=1, rng=rng), (2, 2, 5, 4)),
    "MaxPool2D": (lambda rng: MaxPool2D(2), (2, 3, 4, 6)),
    "Flatten": (lambda rng: Flatten(), (2, 3, 4, 5)),
    "Dropout": (lambda rng: Dropout(0.4, rng=rng), (N, D)),
    "ReLU": (lambda rng: ReLU(), (N, D)),
    "LeakyReLU": (lambda rng: LeakyReLU(0.2), (N, D)),
    "Tanh": (lambda rng: Tanh(), (N, D)),
    "Sigmoid": (lambda rng: Sigmoid(), (N, D)),
    "Softmax": (lambda rng: Softmax(), (N, D)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("rows", [1, None])
def test_every_layer_passes_and_is_left_as_it_was(name, rows, rng):
    make, shape = LAYERS[name]
    layer = make(rng)
    for key in layer.params:
        layer.params[key] = rng.standard_normal(layer.params[key].shape)  # biases too: zeros hide errors
    before = {key: value.copy() for key, value in layer.params.items()}
    X = rng.standard_normal(shape if rows is None else (rows, *shape[1:]))
    report = check_layer(layer, X, rng=rng)
    assert report.ok, str(report)
    assert list(report.table) == ["X", *before]
    assert all(np.array_equal(layer.params[key], before[key]) for key in before)
    assert not layer.grads


def test_a_layer_whose_gradients_add_up_over_calls_is_caught(rng):
    class Accumulates(Linear):
        def backward(self, dY):
            before = self.grads.get("W", 0)
            dX = super().backward(dY)
            self.grads["W"] = self.grads["W"] + before
            return dX

    report = check_layer(Accumulates(D, M, rng=rng), rng.standard_normal((N, D)), rng=rng)
    assert "gradients must be overwritten" in str(report)


LOSSES = {
    "MSE": (MSE(), lambda rng: rng.standard_normal((N, M)), lambda rng: rng.standard_normal((N, M))),
    "BCE with logits": (
        BinaryCrossEntropyWithLogits(),
        lambda rng: rng.standard_normal((N, M)),
        lambda rng: rng.integers(0, 2, (N, M)),
    ),
    "CCE": (
        CategoricalCrossEntropy(),
        lambda rng: F.softmax(rng.standard_normal((N, M))),
        lambda rng: LABELS,
    ),
    "softmax CE": (SoftmaxCrossEntropy(), lambda rng: rng.standard_normal((N, M)), lambda rng: LABELS),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_passes(name, rng):
    loss, prediction, target = LOSSES[name]
    report = check_loss(loss, prediction(rng), target(rng), rng=rng)
    assert report.ok, str(report)
    assert list(report.table) == ["prediction"]


def network(rng):
    return Sequential([Linear(D, 6, rng=rng), Tanh(), Dropout(0.3, rng=rng), Linear(6, M, rng=rng)])


def test_a_network_is_checked_parameter_by_parameter(rng):
    net = network(rng)
    report = check_network(net, SoftmaxCrossEntropy(), rng.standard_normal((N, D)), LABELS)
    assert report.ok, str(report)
    assert set(report.table) == set(net.params())
    assert report.worst.name in net.params()
    assert "4 layers with SoftmaxCrossEntropy()" in str(report)


def test_a_choice_of_entries_is_checked_where_asked_for(rng):
    report = check_network(
        network(rng), SoftmaxCrossEntropy(), rng.standard_normal((N, D)), LABELS, max_entries=2, rng=rng
    )
    assert report.ok
    assert "8 entries checked" in str(report)


def test_a_network_with_one_wrong_bias_gradient_is_caught_by_name(rng):
    class Averaging(Linear):
        def backward(self, dY):
            dX = super().backward(dY)
            self.grads["b"] = dY.mean(axis=0)
            return dX

    net = Sequential([Linear(D, 6, rng=rng), Tanh(), Averaging(6, M, rng=rng)])
    report = check_network(net, SoftmaxCrossEntropy(), rng.standard_normal((N, D)), LABELS)
    assert [name for name, error in report.table.items() if error > 1e-3] == ["2.b"]
    assert report.worst.name == "2.b"


def test_a_network_that_updates_itself_in_backward_is_refused(rng):
    class Impatient(Linear):
        def backward(self, dY):
            dX = super().backward(dY)
            self.params["W"] -= 0.1 * self.grads["W"]
            return dX

    net = Sequential([Impatient(D, M, rng=rng)])
    with pytest.raises(RuntimeError, match=r"changed the parameters \['0.W'\]"):
        check_network(net, SoftmaxCrossEntropy(), rng.standard_normal((N, D)), LABELS)


def test_differences_in_float32_are_refused(rng):
    net = Sequential([Linear(D, M, rng=rng, dtype=np.float32)])
    with pytest.raises(TypeError, match="float64"):
        check_network(net, MSE(), rng.standard_normal((N, D)), rng.standard_normal((N, M)))
    with pytest.raises(TypeError, match="float64"):
        numerical_gradient(lambda x: float(x.sum()), np.zeros(3, dtype=np.float32))


def test_numerical_gradient_leaves_its_point_alone():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    g = numerical_gradient(lambda x: float(np.sum(x**3)), x)
    np.testing.assert_allclose(g, 3 * x**2, rtol=1e-9)
    assert x.tolist() == [[1, 2], [3, 4]]


def test_an_empty_report_has_no_worst_entry():
    assert Report("nothing").worst is None
    assert Report("nothing").ok


def test_the_base_loss_repeats_the_pair_it_was_given(rng):
    class Absolute(Loss):
        pair = (lambda P, Y: float(np.abs(P - Y).mean())), (lambda P, Y: np.sign(P - Y) / P.size)

    assert check_loss(Absolute(), rng.standard_normal((N, M)), np.zeros((N, M)), rng=rng)
