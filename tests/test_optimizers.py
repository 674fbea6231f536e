"""Updates follow their equations, worked by hand and step by step."""

import math
import tracemalloc

import numpy as np
import pytest

from nnlib import SGD, Adam, AdamW, Optimizer, RMSProp
from nnlib.optimizers import cosine, one_cycle, step


def trajectory(optimizer, steps, start=1.0):
    """Minimize f(x) = x²/2, whose gradient is x, and return the points visited."""
    theta, points = np.array([start]), []
    for _ in range(steps):
        optimizer.step({"x": theta}, {"x": theta.copy()})
        points.append(theta[0])
    return points


def test_plain_gradient_descent_by_hand():
    assert trajectory(SGD(0.1), 3) == pytest.approx([0.9, 0.81, 0.729])


def test_momentum_by_hand():
    # v: 1, 0.9·1 + 0.9 = 1.8, 0.9·1.8 + 0.72 = 2.34
    assert trajectory(SGD(0.1, momentum=0.9), 3) == pytest.approx([0.9, 0.72, 0.486])


def test_the_exponential_average_by_hand():
    # v: 0.5·0 + 0.5·1 = 0.5, 0.5·0.5 + 0.5·0.95 = 0.725
    averaging = SGD(0.1, momentum=0.5, dampening=0.5)
    assert trajectory(averaging, 2) == pytest.approx([0.95, 0.8775])


def test_both_momenta_are_the_same_walk_once_the_rate_is_rescaled():
    plain = trajectory(SGD(0.01, momentum=0.9), 30)
    average = trajectory(SGD(0.1, momentum=0.9, dampening=0.9), 30)
    assert plain == pytest.approx(average)


def test_nesterov_by_hand():
    # v = 1, step 1 + 0.9·1 = 1.9
    assert trajectory(SGD(0.1, momentum=0.9, nesterov=True), 1) == pytest.approx([0.81])


def test_the_first_step_of_adam_has_the_size_of_the_learning_rate():
    theta = np.array([0.0, 0.0, 0.0])
    Adam(0.01).step({"x": theta}, {"x": np.array([1e-3, -5.0, 1e4])})
    np.testing.assert_allclose(theta, [-0.01, 0.01, -0.01], rtol=1e-4)


def test_adam_counts_one_step_for_all_parameters():
    adam, params = Adam(0.01), {"a": np.zeros(2), "b": np.zeros(3)}
    adam.step(params, {"a": np.ones(2), "b": np.ones(3)})
    assert adam.t == 1
    np.testing.assert_allclose(params["a"][0], params["b"][0])


def test_rmsprop_by_hand():
    # v = 0.01·1, step 0.1·1/0.1 = 1
    assert trajectory(RMSProp(0.1, alpha=0.99, eps=0), 1) == pytest.approx([0.0], abs=1e-12)


def test_adamw_decays_the_weight_and_not_the_gradient():
    theta = np.array([2.0])
    AdamW(0.1, weight_decay=0.1).step({"x": theta}, {"x": np.array([1.0])})
    assert theta[0] == pytest.approx(2 * 0.99 - 0.1)


@pytest.mark.parametrize("make", [SGD, Adam, RMSProp])
def test_weight_decay_pulls_towards_zero_without_any_gradient(make):
    theta = np.array([1.0])
    make(0.1, weight_decay=0.5).step({"x": theta}, {"x": np.array([0.0])})
    assert theta[0] < 1


@pytest.mark.parametrize("make", [SGD, Adam, AdamW, RMSProp])
def test_the_very_arrays_move_and_the_gradients_do_not(make):
    theta, g = np.ones((2, 3)), np.ones((2, 3))
    alias, kept = theta, g.copy()
    make(0.1).step({"x": theta}, {"x": g})
    assert alias is theta
    assert (theta < 1).all()
    np.testing.assert_array_equal(g, kept)


@pytest.mark.parametrize("make", [SGD, Adam, AdamW, RMSProp])
def test_float32_stays_float32(make):
    theta = np.ones(3, dtype=np.float32)
    optimizer = make(0.1, weight_decay=0.1)
    optimizer.step({"x": theta}, {"x": np.ones(3, dtype=np.float32)})
    assert theta.dtype == np.float32
    assert all(m.dtype == np.float32 for m in optimizer.state["x"].values())


def test_memory_is_kept_by_name():
    optimizer = SGD(0.1, momentum=0.9)
    a, b = np.zeros(2), np.zeros((3, 2))
    optimizer.step({"0.b": a, "1.W": b}, {"0.b": np.ones(2), "1.W": -np.ones((3, 2))})
    assert (optimizer.state["0.b"]["v"] == 1).all()
    assert (optimizer.state["1.W"]["v"] == -1).all()


def test_nothing_moves_when_any_gradient_is_wrong():
    optimizer, params = SGD(0.1), {"a": np.ones(2), "b": np.ones(3)}
    for grads in ({"a": np.ones(2)}, {"a": np.ones(2), "b": np.ones(4)}):
        with pytest.raises(ValueError, match="'b'"):
            optimizer.step(params, grads)
    assert params["a"].tolist() == [1, 1]
    assert optimizer.t == 0


def test_the_learning_rate_may_change_while_training():
    optimizer, theta = SGD(0.1), np.array([1.0])
    optimizer.lr = 0.5
    optimizer.step({"x": theta}, {"x": np.array([1.0])})
    assert theta[0] == 0.5
    assert repr(optimizer) == "SGD(lr=0.5)"


def test_an_optimizer_without_a_rule_says_so():
    with pytest.raises(NotImplementedError, match="define update"):
        Optimizer(0.1).step({"x": np.ones(1)}, {"x": np.ones(1)})


def test_schedules_start_peak_and_end_where_they_say():
    assert [step(1.0)(t) for t in (0, 0.49, 0.5, 0.75)] == pytest.approx([1, 1, 0.1, 0.01])
    assert [cosine(1.0, final=0.2)(t) for t in (0, 0.5, 1)] == pytest.approx([1, 0.6, 0.2])
    cycle = one_cycle(2.0, warmup=0.2, start=0.1, final=0.01)
    assert [cycle(t) for t in (0, 0.1, 0.2, 1)] == pytest.approx([0.2, 1.1, 2.0, 0.02])
    assert max(cycle(t) for t in np.linspace(0, 1, 101)) == 2.0
    assert one_cycle(1.0, warmup=0)(0) == 1
    assert math.isclose(one_cycle(1.0, warmup=0)(0.5), cosine(1.0)(0.5))


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(0.1, 0.9, nesterov=True),
        RMSProp(0.1, weight_decay=0.1),
        Adam(0.1, weight_decay=0.1),
        AdamW(0.1),
    ],
    ids=repr,
)
def test_a_step_makes_no_new_array_of_the_size_of_a_parameter(optimizer):
    """Such an array can cost more time than all arithmetic of the step: the system has to find its memory."""
    params = {"W": np.ones((300, 200)), "b": np.ones(200)}
    grads = {name: theta / 2 for name, theta in params.items()}
    optimizer.step(params, grads)
    tracemalloc.start()
    try:
        optimizer.step(params, grads)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < params["W"].nbytes / 10
