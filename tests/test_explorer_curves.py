"""The explorers of activations, optimizers and step sizes say what they compute, and compute what is true."""

import itertools
import json
import math

import numpy as np
import pytest

from nnlib import data, numerical_gradient
from nnlib import functional as F
from nnlib.equations import LEDGER
from nnlib.explorers.activation import LAYERS, Activation, slope
from nnlib.explorers.finite_difference import FUNCTIONS, FiniteDifference
from nnlib.explorers.optimizers import NAMES, SURFACES, Optimizers
from nnlib.explorers.panels import to_json
from nnlib.explorers.recording import record
from nnlib.gradcheck import check_network
from nnlib.losses import MSE
from nnlib.optimizers import RMSProp

ENGINES = [Activation, Optimizers, FiniteDifference]


def panel(explorer, title):
    return next(p for p in explorer.frame()["panels"] if p["title"] == title)


def series(explorer, title):
    return {line["name"]: line for line in panel(explorer, title)["series"]}


# --- All of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_settings_give_the_same_run(engine):
    assert to_json(record(engine())) == to_json(record(engine()))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reset_gives_the_same_run_again(engine):
    explorer = engine()
    first = to_json(record(explorer))
    explorer.reset()
    assert to_json(record(explorer)) == first


@pytest.mark.parametrize("engine", ENGINES)
def test_a_recording_is_small_and_worth_watching(engine):
    changes = record(engine())
    assert len(json.dumps(changes)) < 90_000
    assert len(changes) >= 20
    assert all(changes)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_choice_starts_steps_and_shows(engine):
    choices = [c for c in engine.controls if c.kind in ("choice", "toggle")]
    for control in choices:
        for value in dict(control.choices) or (True, False):
            explorer = engine(**{control.name: value})
            assert explorer.step(2) == 2
            assert json.loads(to_json(explorer.frame()))["describe"]
            assert not explorer.message


@pytest.mark.parametrize("engine", ENGINES)
def test_every_label_of_a_formula_is_in_the_ledger(engine):
    for choice in dict(engine.controls[0].choices):
        explorer = engine(**{engine.controls[0].name: choice})
        labels = [p["label"] for p in explorer.panels() if p["kind"] == "formula"]
        assert set(labels) <= set(LEDGER)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_told_changes_with_every_step(engine):
    explorer = engine()
    told = [explorer.describe() for _ in range(4) if explorer.step()]
    assert len(set(told)) == 4


# --- Activations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", LAYERS)
def test_the_derivative_shown_is_the_derivative_of_the_curve(activation):
    z = np.array([-5.9, -2.0, -0.3, 0.4, 1.0, 5.9])
    numeric = numerical_gradient(lambda v: slope(activation, v)[0].sum(), z)
    np.testing.assert_allclose(slope(activation, z)[1], numeric, atol=1e-9)


@pytest.mark.parametrize(
    ("activation", "z", "rule"),
    [
        ("sigmoid", 0.0, "1 · 0.5 · (1 − 0.5) = 0.25"),
        ("tanh", -0.5, "1 · (1 − (−0.4621) · (−0.4621)) = 0.7864"),
        ("relu", 2.0, "1 · 1 = 1"),
        ("relu", 0.0, "1 · 0 = 0"),
        ("leaky_relu", 0.1, "1 · 1 = 1"),
        ("leaky_relu", -3.0, "1 · 0.01 = 0.01"),
    ],
)
def test_the_rule_is_shown_with_its_numbers(activation, z, rule):
    assert panel(Activation(activation=activation, z=z), "The derivative at z")["numbers"].endswith(rule)


def test_the_gradients_shown_are_those_of_finite_differences():
    explorer = Activation(activation="tanh", depth=3, width=16)
    explorer.step(5)
    assert check_network(explorer.net, MSE(), explorer.X, explorer.y).ok
    shown = series(explorer, "Size of the gradient, layer by layer")["now"]["y"]

    def loss(Z, later):
        for layer in later:
            Z = layer.forward(Z)
        return F.mse(Z, explorer.y)

    Z, layers = explorer.X, explorer.net.layers
    for size, depth in zip(shown, range(0, 7, 2), strict=True):
        Z = layers[depth].forward(Z if depth == 0 else layers[depth - 1].forward(Z))
        numeric = numerical_gradient(lambda at, later=layers[depth + 1 :]: loss(at, later), Z)
        assert size == pytest.approx(math.sqrt((numeric**2).mean()), rel=1e-6)


def test_twenty_sigmoids_leave_less_than_a_millionth_of_the_gradient():
    sizes = Activation(activation="sigmoid", depth=20, init="xavier").sizes
    assert sizes[0] < 1e-6 * sizes[-1]


@pytest.mark.parametrize("seed", range(3))
def test_twenty_relus_keep_the_gradient_with_he_and_lose_it_with_xavier(seed):
    he, xavier = (
        Activation(activation="relu", depth=20, init=init, seed=seed).sizes for init in ("he", "xavier")
    )
    assert max(he) / min(he) < 50
    assert xavier[0] < 1e-2 * xavier[-2]


def test_vanished_gradients_do_not_train_and_others_do():
    stuck, learns = Activation(activation="sigmoid"), Activation(activation="relu", init="he")
    stuck.step(400)
    learns.step(400)
    assert stuck.loss == pytest.approx(stuck.constant, rel=1e-3)
    assert learns.loss < 0.01 * learns.constant
    assert learns.constant == stuck.constant  # the same batch


def test_with_small_normal_weights_outputs_and_gradients_vanish_with_relu_too():
    explorer = Activation(activation="relu", init="normal", scale=0.01)
    assert np.abs(explorer.hidden[-1]).max() < 1e-10
    assert max(explorer.sizes[:-2]) < 1e-3 * explorer.sizes[-1]
    assert explorer.sizes[0] < 1e-10


def test_a_gradient_of_exactly_zero_leaves_a_gap_on_the_logarithmic_axis():
    explorer = Activation(activation="relu", depth=20)
    for layer in explorer.net.layers[::2]:
        layer.params["b"][:] = -100.0
        layer.params["W"][:] = 0.0
    explorer.step()
    shown = series(explorer, "Size of the gradient, layer by layer")["now"]["y"]
    assert explorer.sizes[0] == 0
    assert np.isnan(shown[0])


@pytest.mark.parametrize(("depth", "shown"), [(1, [1]), (6, [1, 2, 3, 4, 5, 6]), (20, [1, 5, 9, 12, 16, 20])])
def test_at_most_six_layers_are_shown_with_the_first_and_the_last(depth, shown):
    outputs = panel(Activation(depth=depth), "Outputs of the units, by hidden layer")
    assert outputs["titles"] == [f"layer {i}" for i in shown]
    assert all(counts.sum() == 64 * 32 for counts in outputs["counts"])


@pytest.mark.parametrize("activation", LAYERS)
def test_the_histograms_share_one_scale_that_holds_every_output(activation):
    explorer = Activation(activation=activation, init="he")
    ranges = panel(explorer, "Outputs of the units, by hidden layer")["ranges"]
    (low, high), values = ranges[0], np.concatenate([h.ravel() for h in explorer.hidden])
    assert set(ranges) == {(low, high)}
    assert low <= values.min()
    assert values.max() <= high


def test_the_marked_z_and_the_learning_rate_do_not_restart_but_the_network_does():
    explorer = Activation(learning_rate=0.01)
    explorer.step(5)
    loss = explorer.loss
    explorer.set(z=1.0, learning_rate=0.05)
    assert (explorer.steps, explorer.loss, explorer.optimizer.lr) == (5, loss, 0.05)
    assert panel(explorer, "Sigmoid and its derivative")["marks"] == [(1.0, "z = 1")]
    for setting in ({"activation": "relu"}, {"depth": 3}, {"width": 16}, {"init": "he"}, {"seed": 1}):
        explorer.step(5)
        explorer.set(**setting)
        assert explorer.steps == 0


@pytest.mark.parametrize(("init", "also"), [("he", ""), ("normal", " or the scale 1 of the weights")])
def test_a_learning_rate_that_is_too_large_is_announced_and_a_reset_recovers(init, also):
    explorer = Activation(activation="leaky_relu", init=init, scale=1, learning_rate=100)
    assert explorer.step(50) < 50
    assert explorer.finished
    assert f"the learning rate 100{also} is too large" in explorer.message
    assert str(explorer.steps) in explorer.message
    assert json.loads(to_json(explorer.frame()))["message"].endswith("press Reset.")
    explorer.set(learning_rate=0.01)  # alone this cannot help
    assert explorer.message
    assert explorer.step() == 0
    explorer.reset(init="he")
    assert explorer.step(10) == 10
    assert not explorer.message


def test_a_long_run_keeps_its_curve_short_and_its_ends():
    explorer = Activation(depth=1, width=16)
    explorer.step(700)
    line = series(explorer, "Loss")["mean squared error"]
    assert len(line["x"]) <= 152
    assert (line["x"][0], line["x"][-1], line["y"][-1]) == (0, 700, explorer.loss)
    assert np.all(np.diff(line["x"]) > 0)


# --- Optimizers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [1, 25, 1000])
@pytest.mark.parametrize("surface", SURFACES)
def test_the_gradient_of_a_surface_is_that_of_finite_differences(surface, condition, rng):
    explorer = Optimizers(surface=surface, condition=condition)
    for _ in range(10):
        theta = rng.uniform(-2, 2, 2)
        numeric = numerical_gradient(explorer.loss_at, theta)
        np.testing.assert_allclose(explorer.gradient_at(theta), numeric, rtol=1e-6, atol=1e-6)
    for minimum in SURFACES[surface].minima:
        assert explorer.loss_at(np.array(minimum)) == 0
        assert not explorer.gradient_at(np.array(minimum)).any()


def test_sgd_walks_as_worked_out_by_hand():
    explorer = Optimizers(condition=25, learning_rate=0.05, start_x=-2, start_y=1)
    explorer.step(3)
    # θ₁ is multiplied by 1 − 0.05, θ₂ by 1 − 0.05 · 25
    np.testing.assert_allclose(explorer.walks["sgd"].theta, [-2 * 0.95**3, (-0.25) ** 3])


def steps_to(explorer, name, goal):
    return next(n for n in itertools.count(1) if explorer.step() and explorer.walks[name].loss < goal)


def test_momentum_reaches_the_bottom_of_the_ravine_in_fewer_steps_than_sgd():
    settings = {"condition": 100, "learning_rate": 0.01}
    sgd, momentum = (steps_to(Optimizers(**settings), name, 1e-3) for name in ("sgd", "momentum"))
    assert momentum < 0.5 * sgd


def test_without_momentum_all_three_are_sgd():
    explorer = Optimizers(beta=0)
    explorer.step(20)
    for name in ("momentum", "nesterov"):
        np.testing.assert_array_equal(explorer.walks[name].theta, explorer.walks["sgd"].theta)


def test_sgd_is_stable_below_two_over_the_curvature_and_leaves_above_it():
    below, above = (Optimizers(condition=25, learning_rate=r) for r in (0.079, 0.081))
    below.step(100)
    above.step(100)
    assert not below.walks["sgd"].left_at
    assert above.walks["sgd"].left_at


def test_one_that_leaves_stops_and_is_named_while_the_others_go_on():
    explorer = Optimizers(learning_rate=0.06)
    explorer.step(10)
    left = explorer.walks["nesterov"]
    assert left.left_at < 10
    assert f"Nesterov left the picture at step {left.left_at}" in explorer.describe()
    assert not explorer.message
    where, others = left.theta.copy(), explorer.loss
    explorer.step(100)
    np.testing.assert_array_equal(left.theta, where)
    assert explorer.loss < others
    path = next(
        p for p in panel(explorer, "The walks, over log₁₀ of the loss")["paths"] if p["name"] == "Nesterov"
    )
    assert len(path["x"]) == left.left_at + 1
    assert np.all(np.abs(path["y"]) <= 2)  # on the edge, not beyond


def test_when_all_have_left_the_message_says_what_to_do_and_a_reset_recovers():
    explorer = Optimizers(learning_rate=10)
    explorer.step(10)
    assert explorer.finished
    assert explorer.loss is None
    assert "Every optimizer has left the picture: the learning rate 10 is too large" in explorer.message
    explorer.set(learning_rate=0.01)
    assert explorer.message  # they do not come back by themselves
    explorer.reset()
    assert explorer.step(10) == 10


def test_the_only_one_shown_is_named_when_it_has_left():
    shown = {name: name == "sgd" for name in NAMES}
    explorer = Optimizers(learning_rate=0.1, **shown)
    explorer.step(50)
    assert explorer.message.startswith("SGD has left the picture")
    explorer.set(adam=True)  # has walked along
    assert not explorer.message
    assert explorer.step() == 1


def test_hidden_optimizers_are_neither_drawn_nor_counted():
    explorer = Optimizers(sgd=False, adam=False)
    explorer.step(10)
    names = [path["name"] for path in panel(explorer, "The walks, over log₁₀ of the loss")["paths"]]
    assert names == ["momentum", "Nesterov", "RMSProp"]
    assert len(series(explorer, "Loss")["SGD (off)"]["x"]) == 0
    assert "SGD" not in explorer.describe()
    explorer.set(momentum=False, nesterov=False, rmsprop=False)
    assert explorer.loss is None
    assert "no optimizer is shown" in explorer.describe()
    assert explorer.step() == 1


def test_rmsprop_has_the_short_memory_of_chapter_11():
    explorer = Optimizers(surface="ravine", condition=25, learning_rate=0.03)
    theta = explorer.walks["rmsprop"].theta.copy()
    RMSProp(0.03, alpha=0.9).step({"theta": theta}, {"theta": theta * [1, 25]})
    explorer.step()
    np.testing.assert_allclose(explorer.walks["rmsprop"].theta, theta)


def test_the_loss_is_the_best_of_those_shown():
    explorer = Optimizers()
    explorer.step(30)
    assert explorer.loss == min(walk.loss for walk in explorer.walks.values())


def test_learning_rate_momentum_and_noise_continue_and_the_memory_stays():
    explorer = Optimizers()
    explorer.step(5)
    velocity = explorer.walks["momentum"].optimizer.state["theta"]["v"].copy()
    explorer.set(learning_rate=0.001, beta=0.5, noise=1, adam=False)
    assert explorer.steps == 5
    np.testing.assert_array_equal(explorer.walks["momentum"].optimizer.state["theta"]["v"], velocity)
    assert {walk.optimizer.lr for walk in explorer.walks.values()} == {0.001}
    assert explorer.walks["nesterov"].optimizer.momentum == 0.5
    assert explorer.walks["adam"].optimizer.betas == (0.5, 0.999)
    for setting in ({"surface": "saddle"}, {"condition": 3}, {"start_x": 1}, {"start_y": 1}, {"seed": 3}):
        explorer.step(5)
        explorer.set(**setting)
        assert explorer.steps == 0


def test_a_click_sets_the_start_within_the_picture():
    explorer = Optimizers()
    explorer.step(5)
    explorer.act("start", [1.2512, -9])
    assert explorer.steps == 0
    assert (explorer.settings["start_x"], explorer.settings["start_y"]) == (1.25, -2)
    assert all(walk.theta.tolist() == [1.25, -2] for walk in explorer.walks.values())


def test_noise_depends_on_the_seed_and_is_the_same_for_all():
    still, noisy, other = Optimizers(), Optimizers(noise=1), Optimizers(noise=1, seed=1)
    for explorer in (still, noisy, other):
        explorer.step()
    moved = {name: noisy.walks[name].theta - still.walks[name].theta for name in ("sgd", "momentum")}
    np.testing.assert_allclose(moved["sgd"], moved["momentum"], atol=1e-15)
    assert moved["sgd"].any()
    assert np.any(noisy.walks["sgd"].theta != other.walks["sgd"].theta)


def test_on_the_ridge_of_the_saddle_nothing_moves_without_noise():
    still, noisy = (Optimizers(surface="saddle", start_x=0, start_y=0, noise=noise) for noise in (0, 0.1))
    still.step(200)
    noisy.step(200)
    assert still.loss == 0.25
    assert noisy.loss < 0.01


def test_a_long_walk_keeps_few_points_with_its_ends():
    explorer = Optimizers(learning_rate=0.001)
    explorer.step(1000)
    path = panel(explorer, "The walks, over log₁₀ of the loss")["paths"][0]
    assert len(path["x"]) <= 152
    assert (path["x"][0], path["x"][-1]) == (-2.5, explorer.walks["sgd"].theta[0])


# --- Finite differences ----------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_true_derivative_is_that_of_a_good_central_difference(function):
    for x in (-2.0, -0.4, 0.0, 0.7):
        explorer = FiniteDifference(function=function, x=x)
        assert explorer.derivative == pytest.approx(explorer.central(6e-6), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_best_step_is_near_the_root_of_epsilon_and_errors_rise_on_both_sides(function, dtype):
    explorer = FiniteDifference(function=function, dtype=dtype)
    h = np.logspace(-16, 0, 65)
    for method, root in (("forward", math.sqrt), ("central", math.cbrt)):
        errors = explorer.swept[method]
        best, theory = h[errors.argmin()], root(explorer.epsilon)
        assert theory / 20 < best < 20 * theory
        near = errors[(h > theory / 3) & (h < 3 * theory)].max()
        assert errors[h < 1e-3 * theory].max() > 10 * near
        assert errors[h > 100 * theory].max() > 10 * near


def test_the_central_difference_is_better_than_the_forward_one_at_their_best():
    swept = FiniteDifference().swept
    assert swept["central"].min() < 0.01 * swept["forward"].min()


def test_the_complex_step_only_gets_better():
    swept = FiniteDifference(function="exp").swept["complex step"]
    assert swept[:32].max() < 1e-15  # h up to 1e-8
    assert "complex step" not in FiniteDifference(function="network").results


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_truncation_and_rounding_together_account_for_the_error(function, dtype):
    explorer = FiniteDifference(function=function, dtype=dtype)
    for h in np.logspace(-2 if dtype == "float32" else -12, -1, 12):
        off = abs(explorer.central(h) - explorer.derivative)
        assert off < 4 * (explorer.truncation(h) + explorer.rounding(h))
    h = 0.1
    assert abs(explorer.central(h) - explorer.derivative) == pytest.approx(explorer.truncation(h), rel=0.2)


def test_one_step_divides_h_by_the_root_of_ten_down_to_the_smallest():
    explorer = FiniteDifference()
    explorer.step(2)
    assert explorer.settings["h"] == explorer.frame()["settings"]["h"] == 0.1
    assert explorer.step(1000) == 30
    assert explorer.settings["h"] == 1e-16
    assert explorer.frame()["command"] == "pause"
    assert explorer.loss == 1  # x + s is x
    explorer.set(**explorer.settings)  # what a page sends back is in range


def test_a_reset_goes_back_to_where_the_sweep_began():
    explorer = FiniteDifference(h=0.01)
    explorer.step(3)
    explorer.reset()
    assert (explorer.settings["h"], explorer.steps) == (0.01, 0)
    explorer.set(h=1e-3)
    explorer.step(100)
    explorer.reset()
    assert explorer.settings["h"] == 1e-3
    assert FiniteDifference().settings["h"] == 1  # nothing is shared


def test_another_point_function_or_dtype_does_not_restart_the_sweep():
    explorer = FiniteDifference()
    explorer.step(4)
    for setting in ({"x": -0.5}, {"function": "exp"}, {"dtype": "float32"}, {"h": 0.2}):
        explorer.set(**setting)
        assert explorer.steps == 4
    fresh = FiniteDifference(x=-0.5, function="exp", dtype="float32", h=0.2)
    assert to_json(explorer.panels()) == to_json(fresh.panels())


def test_the_formula_has_the_numbers_plugged_in():
    explorer = FiniteDifference(function="cube", x=1.0, h=1e-16)
    explorer.set(h=1.0)
    forward, central = (panel(explorer, f"{name} difference")["numbers"] for name in ("Forward", "Central"))
    assert forward == "g = (8 − 1) / 1 = 7"
    assert central == "g = (8 − 0) / (2 · 1) = 4"
    error = panel(explorer, "Relative error of the central difference")
    assert error["numbers"] == "a = 3, n = 4: r = 0.25"
    explorer.set(x=-2.0)
    assert panel(explorer, "Step")["numbers"] == "s = 1 · max(1, 2) = 2, in place of h"
    assert panel(explorer, "Central difference")["numbers"] == "g = (0 − (−64)) / (2 · 2) = 16"


def test_in_float32_the_numbers_have_the_digits_of_float32():
    numbers = panel(FiniteDifference(dtype="float32", h=0.1), "Forward difference")["numbers"]
    above = float(numbers.split("(")[1].split(" ")[0])
    assert above == np.float32(above).item() or abs(above - np.float32(above)) < 1e-8
    assert len(str(above)) < 14


def test_the_lens_shows_a_straight_line_at_first_and_then_the_steps_of_the_numbers():
    title = "The same through a lens, as the computer has it"
    fine, coarse = FiniteDifference(h=1e-5), FiniteDifference(h=1e-16)
    smooth = series(fine, title)
    np.testing.assert_allclose(smooth["f"]["y"], smooth["f"]["x"] * fine.derivative, atol=1e-4)
    assert len(set(series(coarse, title)["f"]["y"])) <= 5


@pytest.mark.parametrize(("h", "part"), [(0.1, "Truncation"), (1e-12, "Rounding")])
def test_the_verdict_names_the_larger_part(h, part):
    explorer = FiniteDifference(h=h)
    assert f"{part} is the larger part" in panel(explorer, "Truncation or rounding")["text"]
    assert f"mostly {part.lower()}" in explorer.describe()


def test_where_the_slope_is_zero_the_verdict_says_that_relative_errors_mean_nothing():
    explorer = FiniteDifference(function="cube", x=0.0, h=0.1)
    assert explorer.loss == 1
    assert "the slope is 0 here" in panel(explorer, "Truncation or rounding")["text"]


def test_the_network_is_the_same_in_both_dtypes():
    double, single = (FUNCTIONS["network"].value(dtype(0.7)) for dtype in (np.float64, np.float32))
    assert single == pytest.approx(double, rel=1e-6)
    assert single != double
    assert F.mse(np.zeros((4, 1)), data.xor()[1][:, None] * 1.0) == 0.5  # what the network is measured by
