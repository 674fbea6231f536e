"""The explorers that train: what they show is what nnlib computes, and settings do what they say."""

import base64
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import accuracy, check_network, confusion_matrix, data, numerical_gradient
from nnlib import functional as F
from nnlib.explorers import mnist as mnist_module
from nnlib.explorers.decision_boundary import DATASETS, GRID, INITIALIZERS, DecisionBoundary
from nnlib.explorers.mnist import MNIST, _digits, centre_digit
from nnlib.explorers.panels import to_json
from nnlib.explorers.recording import record
from nnlib.explorers.training import OPTIMIZER_NAMES, OPTIMIZERS, History, matrices, ratios
from nnlib.optimizers import SGD, Adam, AdamW, RMSProp

SMALL = {"hidden_size": 8, "batch_size": "16"}  # an MNIST network that trains at once


def panel(engine, start):
    """The panel whose title starts so."""
    (found,) = [p for p in engine.panels() if p["title"].startswith(start)]
    return found


def weights(engine):
    return {name: theta.copy() for name, theta in engine.net.params().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# ------------------------------------------------------------------------------- history


@given(st.integers(1, 2000), st.integers(1, 7), st.integers(2, 40))
def test_a_history_stays_short_and_even(steps, every, most):
    history = History(every, most)
    for step in range(steps + 1):
        if history.due(step):
            history.add(step, double=2 * step)
    assert len(history.steps) <= most
    assert history.steps == list(range(0, steps + 1, history.every))
    assert history.columns == {"double": [2 * step for step in history.steps]}


def test_a_line_ends_at_the_present_step():
    history = History()
    history.add(0, loss=3.0)
    history.add(4, loss=2.0)
    for now, x, y in (
        (None, [0, 4], [3, 2]),
        ((4, 2.0), [0, 4], [3, 2]),
        ((5, 1.0), [0, 4, 5], [3, 2, 1]),
    ):
        line = history.series("a", "loss", now)
        assert (line["name"], line["x"].tolist(), line["y"].tolist()) == ("a", x, y)
    assert history.steps == [0, 4]


def test_a_relative_change_of_nothing_or_to_nothing_is_no_number():
    zero, one = np.zeros((2, 2)), np.ones((2, 2))
    assert ratios([one], [one + 0.1]) == [pytest.approx(0.1)]
    assert all(math.isnan(ratio) for ratio in ratios([zero, one], [one, one]))


def test_each_optimizer_is_the_one_it_is_called():
    made = {name: make(0.5) for name, make in OPTIMIZERS.items()}
    assert made.keys() == OPTIMIZER_NAMES.keys()
    kinds = {"sgd": SGD, "momentum": SGD, "nesterov": SGD, "rmsprop": RMSProp, "adam": Adam, "adamw": AdamW}
    assert {name: type(optimizer) for name, optimizer in made.items()} == kinds
    assert [made[name].momentum for name in ("sgd", "momentum", "nesterov")] == [0, 0.9, 0.9]
    assert [made[name].nesterov for name in ("sgd", "momentum", "nesterov")] == [False, False, True]
    assert {optimizer.lr for optimizer in made.values()} == {0.5}


# ------------------------------------------------------------------------------- decision boundary: learning


def test_the_default_run_solves_xor_slowly_at_first_and_then_at_once():
    engine = DecisionBoundary()
    count, steps = engine.recorded
    losses = [engine.loss]
    for _ in range(count - 1):
        engine.step(steps)
        losses.append(engine.loss)
    assert engine.steps <= 300
    assert engine.accuracy == 1
    assert np.array_equal(engine.net.predict(engine.X)[:, 0] > 0, engine.y == 1)
    assert losses[-1] < 0.05
    falls = -np.diff(losses)
    assert falls.max() > 3 * falls[1:4].mean()  # watchable: it hesitates, then it turns
    assert 5 <= falls.argmax() <= 12


def test_the_recording_of_the_default_run_fits_into_a_page():
    assert len(json.dumps(record(DecisionBoundary()))) < 110_000


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_loss_falls_on_every_data_set(dataset):
    engine = DecisionBoundary(dataset=dataset, optimizer="adam", learning_rate=0.05, hidden_size=8)
    first = engine.loss
    engine.step(150)
    assert engine.loss < 0.8 * first
    assert engine.accuracy > 0.65


def test_data_are_those_of_nnlib_and_held_out_points_are_others():
    for gate in ("xor", "and", "or", "nand"):
        engine = DecisionBoundary(dataset=gate)
        X, y = data.logic_gate(gate)
        assert np.array_equal(engine.X, X)
        assert np.array_equal(engine.y, y)
        assert engine.X_test is None
        assert len(panel(engine, "Probability")["points"]) == 2
        assert [s["name"] for s in panel(engine, "Loss")["series"]] == ["training"]
    engine = DecisionBoundary(dataset="moons", seed=3)
    rng = np.random.default_rng(3)
    assert np.array_equal(engine.X, data.moons(200, rng=rng)[0])
    assert np.array_equal(engine.X_test, data.moons(100, rng=rng)[0])
    groups = panel(engine, "Probability")["points"]
    assert [(g["name"], g["group"], g.get("hollow", False), len(g["x"])) for g in groups] == [
        ("class 0", 0, False, 100), ("class 1", 1, False, 100),
        ("class 0, held out", 0, True, 50), ("class 1, held out", 1, True, 50),
    ]  # fmt: skip
    x0, x1, y0, y1 = panel(engine, "Probability")["extent"]
    assert ([x0, y0] < engine.X).all()
    assert ([x1, y1] > engine.X).all()


@pytest.mark.parametrize("loss", ["bce", "mse"])
@pytest.mark.parametrize("dataset", ["xor", "circles"])
def test_loss_and_accuracy_are_those_of_all_training_points(loss, dataset):
    engine = DecisionBoundary(dataset=dataset, loss=loss, batch_size="4")
    engine.step(30)
    out, y = engine.net.predict(engine.X), engine.y[:, None]
    P = out if loss == "mse" else F.sigmoid(out)
    assert engine.loss == pytest.approx(F.mse(P, y) if loss == "mse" else F.binary_cross_entropy(P, y))
    assert engine.accuracy == np.mean((P > 0.5) == y)
    assert panel(engine, "Loss")["series"][0]["y"][-1] == engine.loss == engine.frame()["loss"]
    assert panel(engine, "Accuracy")["series"][0]["y"][-1] == engine.accuracy
    if dataset == "circles":
        right = accuracy(engine.net.predict(engine.X_test), engine.y_test, threshold=0.5 * (loss == "mse"))
        assert panel(engine, "Accuracy")["series"][1]["y"][-1] == right
        assert f"held out: {right:.0%}".replace("%", " %") in engine.describe()


def test_an_epoch_is_one_permutation_of_the_points():
    engine = DecisionBoundary(dataset="linear", batch_size="16", seed=4)
    seen = [engine.next_batch()[0] for _ in range(engine.steps_per_epoch)]
    assert [len(batch) for batch in seen] == [16] * 12 + [8]
    assert sorted(map(tuple, np.concatenate(seen))) == sorted(map(tuple, engine.X))
    again = np.concatenate([engine.next_batch()[0] for _ in range(13)])
    assert not np.array_equal(again, np.concatenate(seen))
    assert sorted(map(tuple, again)) == sorted(map(tuple, engine.X))


@pytest.mark.parametrize(("batch_size", "steps"), [("full", 1), ("1", 200), ("16", 13), ("32", 7)])
def test_the_epoch_button_runs_to_the_end_of_the_pass(batch_size, steps):
    engine = DecisionBoundary(dataset="clouds", batch_size=batch_size)
    engine.act("epoch")
    assert engine.frame()["command"] == "play"
    assert engine.step(1000) == steps
    assert engine.frame()["command"] == "pause"
    engine.step(max(1, steps // 2))
    engine.act("epoch")
    engine.step(1000)
    assert engine.steps % steps == 0
    assert engine.batches_left == 0


def test_a_batch_larger_than_the_data_is_the_data():
    engine = DecisionBoundary(batch_size="32")
    assert (engine.batch_size, engine.steps_per_epoch) == (4, 1)


# ------------------------------------------------------------------------------- decision boundary: settings


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 0.1}, {"optimizer": "adam"}, {"batch_size": "1"}, {"shows": "gradients"}],
    ids=lambda change: next(iter(change)),
)
def test_these_changes_go_on_with_the_same_weights(change):
    engine = DecisionBoundary()
    engine.step(20)
    before = weights(engine)
    engine.set(**change)
    assert engine.steps == 20
    assert same(weights(engine), before)
    engine.step()
    assert engine.steps == 21
    assert not same(weights(engine), before)


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "and"}, {"activation": "relu"}, {"hidden_size": 3}, {"hidden_layers": 2},
        {"loss": "mse"}, {"init": "he_normal"}, {"seed": 2},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_these_changes_start_again(change):
    engine = DecisionBoundary()
    engine.step(20)
    engine.set(**change)
    assert engine.steps == 0
    assert to_json(engine.frame()) == to_json(DecisionBoundary(**change).frame())


def test_a_new_learning_rate_holds_from_the_next_step_and_keeps_the_memory_of_the_optimizer():
    engine, twin = DecisionBoundary(optimizer="adam"), DecisionBoundary(optimizer="adam")
    engine.step(10)
    twin.step(10)
    engine.set(learning_rate=0.01)
    twin.optimizer.lr = 0.01
    engine.step(5)
    twin.step(5)
    assert same(weights(engine), weights(twin))
    assert engine.optimizer.t == 15
    engine.set(optimizer="rmsprop")
    assert isinstance(engine.optimizer, RMSProp)
    assert (engine.optimizer.lr, engine.optimizer.t) == (0.01, 0)


def test_a_new_batch_size_begins_a_new_pass():
    engine = DecisionBoundary(dataset="moons", batch_size="16")
    engine.step(3)
    engine.set(batch_size="32")
    assert len(engine.next_batch()[0]) == 32
    assert engine.batches_left == engine.steps_per_epoch - 1 == 6


def test_the_curves_mark_what_was_changed_on_the_way():
    engine = DecisionBoundary()
    engine.set(learning_rate=0.25)
    assert "marks" not in panel(engine, "Loss")
    engine.step(10)
    engine.set(learning_rate=0.3)
    engine.set(learning_rate=0.1, optimizer="adam")
    assert panel(engine, "Loss")["marks"] == [(10, "Adam, rate 0.1")]
    engine.step(5)
    engine.set(batch_size="1", shows="gradients")
    engine.set(shows="weights")
    assert panel(engine, "Accuracy")["marks"] == [(10, "Adam, rate 0.1"), (15, "batch 1")]
    for _ in range(5):
        engine.step()
        engine.set(optimizer="sgd" if engine.settings["optimizer"] == "adam" else "adam")
    assert [step for step, _ in engine.marks] == [18, 19, 20]
    engine.reset()
    assert engine.marks == []


@pytest.mark.parametrize("change", [{"learning_rate": 1.0}, {"batch_size": "4"}])
def test_runs_are_the_same_again(change):
    runs = []
    for _ in range(2):
        engine = DecisionBoundary(dataset="spirals", batch_size="32", seed=7)
        engine.step(30)
        engine.set(**change)
        engine.step(30)
        runs.append(to_json(engine.frame()))
    assert runs[0] == runs[1]
    assert runs[0] != to_json(DecisionBoundary(dataset="spirals", seed=8).frame())


def test_looking_does_not_change_the_run():
    for shows in ("weights", "activations", "gradients"):
        watched, alone = (DecisionBoundary(dataset="moons", batch_size="4", shows=shows) for _ in range(2))
        for _ in range(60):
            watched.step()
            watched.frame()
        alone.step(60)
        assert same(weights(watched), weights(alone))
        assert to_json(watched.frame()) == to_json(alone.frame())


@pytest.mark.parametrize("init", INITIALIZERS)
def test_the_first_weights_come_from_the_initializer_of_that_name(init):
    engine = DecisionBoundary(init=init, hidden_size=16, hidden_layers=3)
    W = matrices(engine.net)[1]
    spread = {"normal": 0.01, "zeros": 0, "uniform": 1 / math.sqrt(3)}.get(
        init, math.sqrt(2 / 32 if "xavier" in init else 2 / 16)
    )
    assert W.std() == pytest.approx(spread, rel=0.2)
    engine.step(3)
    json.loads(to_json(engine.frame()))


# ------------------------------------------------------------------------------- decision boundary: pictures


ARCHITECTURES = [
    {"hidden_layers": layers, "activation": activation, "loss": "mse" if layers % 2 else "bce"}
    for layers in (0, 1, 2, 3)
    for activation in ("sigmoid", "tanh", "relu", "none")
]
every_architecture = pytest.mark.parametrize(
    "settings", ARCHITECTURES, ids=lambda s: f"{s['hidden_layers']}-{s['activation']}"
)


def probability(engine, X):
    out = engine.net.predict(X)
    return out if engine.settings["loss"] == "mse" else F.sigmoid(out)


@every_architecture
def test_the_surface_is_the_probability_of_class_1(settings):
    engine = DecisionBoundary(dataset="clouds", **settings)
    engine.step(20)
    surface = panel(engine, "Probability")
    x0, x1, y0, y1 = surface["extent"]
    assert surface["levels"] == [0.5]
    assert surface["field"].bytes.shape == (GRID, GRID)
    assert (surface["field"].low, surface["field"].high) == (0, 1)
    for row, column, place in ((0, 0, (x0, y1)), (GRID - 1, GRID - 1, (x1, y0)), (0, GRID - 1, (x1, y1))):
        p = probability(engine, np.array([place])).item()
        assert surface["field"].bytes[row, column] / 255 == pytest.approx(p, abs=1 / 255)


@every_architecture
def test_the_maps_are_the_outputs_of_every_hidden_layer(settings):
    engine = DecisionBoundary(hidden_size=3, **settings)
    engine.step(20)
    maps = [p for p in engine.panels() if p["kind"] == "pictures"]
    layers = settings["hidden_layers"]
    assert [p["title"] for p in maps] == [
        [], ["Hidden layer"], ["First hidden layer", "Last hidden layer"],
        ["First hidden layer", "Second hidden layer", "Last hidden layer"],
    ][layers]  # fmt: skip
    x0, _, _, y1 = engine.extent
    corner = np.array([[x0, y1]])
    block = 1 if settings["activation"] == "none" else 2
    for depth, shown in enumerate(maps, 1):
        A = corner
        for layer in engine.net.layers[: block * depth]:
            A = layer.infer(A)
        assert len(shown["images"]) == 3
        for image, a in zip(shown["images"], A[0], strict=True):
            assert image.bytes.shape == (16, 16)
            step = (image.high - image.low) / 255
            assert image.low + image.bytes[0, 0] * step == pytest.approx(a, abs=step)


def test_weights_and_biases_are_shown_as_they_are():
    engine = DecisionBoundary(hidden_layers=2, hidden_size=3)
    engine.step(5)
    shown, params = panel(engine, "Weights and biases"), engine.net.params()
    assert shown["sizes"] == [2, 3, 3, 1]
    assert all(a is b for a, b in zip(shown["weights"], [params[f"{i}.W"] for i in (0, 2, 4)], strict=True))
    assert shown["values"][0] is None
    assert all(
        a is b for a, b in zip(shown["values"][1:], [params[f"{i}.b"] for i in (0, 2, 4)], strict=True)
    )


@pytest.mark.parametrize("loss", ["bce", "mse"])
@pytest.mark.parametrize("batch_size", ["full", "1"])
def test_the_gradients_shown_are_those_that_finite_differences_give(loss, batch_size):
    engine = DecisionBoundary(
        dataset="moons", loss=loss, batch_size=batch_size, hidden_layers=2, hidden_size=3, shows="gradients"
    )
    engine.step(25)
    before = weights(engine)
    shown = panel(engine, "Gradient of the loss")
    assert shown["shows"] == "gradients"
    assert check_network(engine.net, engine.criterion, engine.X, engine.Y).ok
    for part, kind in ((shown["weights"], "W"), (shown["values"][1:], "b")):
        for gradient, index in zip(part, (0, 2, 4), strict=True):
            theta = engine.net.params()[f"{index}.{kind}"]

            def at(value, theta=theta):
                kept = theta.copy()
                theta[...] = value
                result = engine.criterion.pair[0](engine.net.predict(engine.X), engine.Y)
                theta[...] = kept
                return result

            assert gradient == pytest.approx(numerical_gradient(at, theta), rel=1e-5, abs=1e-9)
            assert np.array_equal(gradient, engine.grads()[f"{index}.{kind}"])
    assert same(weights(engine), before)


def test_a_step_of_full_batch_descent_follows_the_gradient_shown():
    engine = DecisionBoundary(learning_rate=0.5)
    before, gradient = weights(engine), engine.grads()
    engine.step()
    for name, theta in engine.net.params().items():
        assert theta == pytest.approx(before[name] - 0.5 * gradient[name], abs=1e-12)


@pytest.mark.parametrize("activation", ["sigmoid", "none"])
def test_the_activations_shown_are_those_of_the_chosen_point(activation):
    engine = DecisionBoundary(activation=activation, hidden_layers=2, hidden_size=3)
    engine.step(5)
    assert "chosen point" not in [g["name"] for g in panel(engine, "Probability")["points"]]
    engine.act("point", [0.2, 0.9])
    assert engine.settings["shows"] == "activations"
    shown = panel(engine, "Activations for the point (0, 1)")
    assert panel(engine, "Probability")["points"][-1] == {
        "name": "chosen point", "x": [0], "y": [1], "group": 2
    }  # fmt: skip
    W, b = zip(
        *[(layer.params["W"], layer.params["b"]) for layer in engine.net.layers if layer.params], strict=True
    )
    f = F.sigmoid if activation == "sigmoid" else (lambda Z: Z)
    A1 = f(np.array([0, 1]) @ W[0] + b[0])
    A2 = f(A1 @ W[1] + b[1])
    P = F.sigmoid(A2 @ W[2] + b[2])
    for values, expected in zip(shown["values"], ([0, 1], A1, A2, P), strict=True):
        assert values == pytest.approx(expected)
    assert f"Point (0, 1) of class 1: probability of class 1 {P.item():.3g}." in engine.describe()


def test_points_can_be_chosen_one_after_the_other_without_a_mouse():
    engine = DecisionBoundary()
    seen = []
    for _ in range(5):
        engine.act("point")
        seen.append(engine.chosen)
    assert seen == [0, 1, 2, 3, 0]
    engine.act("point", [9, 9])
    engine.set(dataset="moons")
    assert engine.chosen == len(engine.X) - 1


def test_the_ratio_is_the_size_of_the_update_over_that_of_the_weights():
    engine = DecisionBoundary(hidden_layers=2)
    engine.step(7)
    before = [W.copy() for W in matrices(engine.net)]
    engine.step()
    shown = panel(engine, "Update size")
    assert shown["ylog"]
    for i, (old, new) in enumerate(zip(before, matrices(engine.net), strict=True)):
        line = shown["series"][i]
        assert line["name"] == f"layer {i + 1}"
        assert line["x"][-1] == 8
        assert line["y"][-1] == pytest.approx(np.linalg.norm(new - old) / np.linalg.norm(old))
        assert math.isnan(line["y"][0])
    assert shown["series"][-1]["y"] == [1e-3, 1e-3]


def test_the_state_is_told_in_words():
    engine = DecisionBoundary()
    start = f"Step 0: loss {engine.loss:.3g}, accuracy {100 * engine.accuracy:.0f} %."
    assert engine.describe() == f"{start} 2 inputs, 4 tanh units, 1 output."
    engine = DecisionBoundary(hidden_layers=2, hidden_size=1, activation="none")
    assert engine.describe().endswith("2 inputs, 1 linear unit, 1 linear unit, 1 output.")
    assert DecisionBoundary(hidden_layers=0).describe().endswith("2 inputs, 1 output.")
    assert "4 ReLU units" in DecisionBoundary(activation="relu").describe()


# ------------------------------------------------------------------------------- divergence

WILD = {
    "activation": "none",
    "hidden_layers": 3,
    "hidden_size": 16,
    "learning_rate": 100,
    "dataset": "spirals",
}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_a_run_that_blows_up_stops_says_why_and_recovers(optimizer):
    engine = DecisionBoundary(**WILD, optimizer=optimizer)
    while engine.step(50):
        json.loads(to_json(engine.frame()))
    assert engine.finished
    said = engine.message
    step = engine.steps
    assert f"at step {step}: the learning rate 100 is too large. Lower it and press Reset." in said
    assert engine.frame()["command"] == "pause"
    for shows in ("activations", "gradients", "weights"):
        engine.set(learning_rate=0.01, shows=shows)
        assert engine.message == said, "a lower rate alone does not bring the weights back"
        json.loads(to_json(engine.frame()))
        assert engine.step() == 0
    engine.reset()
    assert engine.message == ""
    assert engine.step(20) == 20
    assert math.isfinite(engine.loss)
    engine.set(learning_rate=100)
    engine.step(2000)
    assert engine.message
    engine.set(seed=5, learning_rate=0.01)
    assert engine.message == ""
    assert engine.step() == 1


def test_a_loss_that_is_no_number_ends_the_run_before_the_update():
    engine = DecisionBoundary()
    engine.net.params()["0.W"][0, 0] = np.inf
    engine.measured = None
    assert engine.step(10) == 1
    assert engine.message.startswith("The loss became nan at step 1")
    assert np.isfinite(engine.net.params()["2.W"]).all()


def test_a_frame_notices_what_a_mini_batch_did_not():
    engine = DecisionBoundary()
    engine.step(3)
    engine.net.params()["2.b"][0], engine.measured = np.nan, None
    assert engine.frame()["message"].startswith("The loss became nan at step 3")
    assert engine.step() == 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("learning_rate", [0.001, 100])
def test_no_optimizer_raises_or_warns_at_either_end(optimizer, learning_rate):
    for activation in ("relu", "sigmoid"):
        engine = DecisionBoundary(
            optimizer=optimizer, learning_rate=learning_rate, activation=activation, hidden_layers=3
        )
        engine.step(200)
        json.loads(to_json(engine.frame()))
        assert engine.message or engine.steps == 200


# ------------------------------------------------------------------------------- digits: learning


def test_the_default_run_reads_more_than_nine_digits_of_ten():
    engine = MNIST()
    shown = record(engine)
    assert engine.steps == 500
    assert 20 <= len(shown) <= 25
    assert engine.accuracy > 0.9
    assert len(json.dumps(shown)) < 110_000
    read = engine.net.predict(_digits()[2])
    assert engine.accuracy == accuracy(read, _digits()[3])
    assert np.array_equal(engine.confusion, confusion_matrix(read, _digits()[3], 10))
    assert f"accuracy {100 * engine.accuracy:.1f} % on 2,000 test images at step 500." in engine.describe()
    assert {theta.dtype.name for theta in engine.net.params().values()} == {"float32"}


def test_the_training_loss_is_the_mean_over_the_last_mini_batches():
    engine, losses = MNIST(**SMALL), []
    X, y, _, _ = _digits()
    start = engine.net.predict(X[:500])
    assert engine.loss == pytest.approx(F.softmax_cross_entropy(start, y[:500]))
    update = engine.update

    def spy():
        batch = update()
        losses.append(batch[2])
        return batch

    engine.update = spy
    for step in range(1, 31):
        engine.step()
        assert engine.loss == pytest.approx(np.mean(losses[-20:]))
        assert panel(engine, "Loss")["series"][0]["x"][-1] == step
    assert panel(engine, "Loss")["series"][0]["x"].tolist() == [0, 5, 10, 15, 20, 25, 30]
    assert panel(engine, "Loss")["series"][0]["y"][-1] == engine.loss


def test_test_images_are_looked_at_every_so_many_steps_only():
    engine = MNIST(**SMALL)
    first, pictures = engine.accuracy, engine.pictures
    engine.step(49)
    assert engine.accuracy == first
    engine.step(1)
    assert engine.accuracy != first
    assert panel(engine, "Accuracy")["series"][1]["x"].tolist() == [0, 50]
    engine.step(49)
    assert engine.pictures is pictures
    engine.step(1)
    assert [p["title"][-8:] for p in engine.pictures] == ["step 100"] * 2
    assert "at step 100." in engine.describe()


@pytest.mark.parametrize(("batch_size", "steps"), [("256", 40), ("128", 79)])
def test_an_epoch_of_digits_sees_each_image_once(batch_size, steps):
    engine = MNIST(hidden_size=0, batch_size=batch_size)
    engine.act("epoch")
    assert engine.step(10_000) == steps
    assert engine.batches_left == 0


def test_digits_go_on_or_start_again_as_declared():
    engine = MNIST(**SMALL)
    engine.step(10)
    before = weights(engine)
    engine.set(learning_rate=0.1, optimizer="momentum", batch_size="32")
    assert engine.steps == 10
    assert same(weights(engine), before)
    assert panel(engine, "Loss")["marks"] == [(10, "SGD with momentum, rate 0.1, batch 32")]
    for change in ({"hidden_size": 12}, {"second_size": 16}, {"activation": "tanh"}, {"seed": 1}):
        engine.step(2)
        engine.set(**change)
        assert engine.steps == 0
    assert engine.describe().endswith("784 inputs, 12 tanh units, 16 tanh units, 10 outputs.")
    engine.set(hidden_size=0)
    assert engine.describe().endswith("784 inputs, 16 tanh units, 10 outputs.")


def test_digits_that_blow_up_stop_and_recover():
    engine = MNIST(**SMALL, optimizer="sgd", activation="none", second_size=8, learning_rate=10)
    engine.act("draw", sent(np.ones((112, 112))))
    engine.step(500)
    assert "the learning rate 10 is too large. Lower it and press Reset." in engine.message
    assert engine.finished
    assert panel(engine, "How it reads")["kind"] == "text"
    json.loads(to_json(engine.frame()))
    engine.reset(learning_rate=0.01)
    assert engine.step(50) == 50
    assert panel(engine, "How it reads")["kind"] == "bars"


# ------------------------------------------------------------------------------- digits: pictures


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "none"])
def test_the_weight_images_are_columns_of_the_first_matrix_on_one_scale(activation):
    engine = MNIST(hidden_size=12, activation=activation)
    shown = panel(engine, "Weights of the first layer at step 0")
    W = engine.net.params()["0.W"]
    assert shown["titles"] == [f"unit {i}" for i in range(1, 9)]
    most = float(abs(W[:, :8]).max())
    for image, column in zip(shown["images"], W.T, strict=False):
        assert (image.low, image.high) == (-most, most)
        assert image.bytes / 255 * 2 * most - most == pytest.approx(column.reshape(28, 28), abs=most / 250)


def test_without_hidden_layers_there_is_a_weight_image_for_each_digit():
    shown = panel(MNIST(hidden_size=0), "Weights of the first layer")
    assert shown["titles"] == list("0123456789")
    assert panel(MNIST(hidden_size=4), "Weights of the first layer")["titles"][-1] == "unit 4"


def test_the_wrong_digits_are_the_surest_mistakes():
    engine = MNIST(**SMALL)
    engine.step(100)
    _, _, X, y = _digits()
    P = F.softmax(engine.net.predict(X))
    wrong = np.flatnonzero(P.argmax(axis=1) != y)
    worst = wrong[P[wrong].max(axis=1).argmax()]
    shown = panel(engine, "Wrong, and surest of it, at step 100")
    assert len(shown["images"]) == 4
    assert shown["titles"][0] == f"{P[worst].argmax()}, not {y[worst]} ({100 * P[worst].max():.0f} %)"
    assert shown["images"][0].bytes == pytest.approx(X[worst].reshape(28, 28) * 255, abs=0.5)
    sure = [int(title.split("(")[1].split()[0]) for title in shown["titles"]]
    assert sure == sorted(sure, reverse=True)


def test_the_confusion_matrix_counts_the_test_images():
    counts = np.array(panel(MNIST(**SMALL), "Test images")["values"])
    assert counts.sum() == 2000
    assert np.array_equal(counts.sum(axis=1), np.bincount(_digits()[3], minlength=10))


# ------------------------------------------------------------------------------- digits: drawing


def sent(ink):
    """What the pad sends for ink from 0 to 1."""
    raw = np.round(np.asarray(ink) * 255).astype(np.uint8)
    return {"shape": list(raw.shape), "u8": base64.b64encode(raw.tobytes()).decode()}


def upscaled(x, factor=4):
    return np.kron(x.reshape(28, 28), np.ones((factor, factor)))


def moved(ink, size, rng):
    """The ink somewhere on a pad, whole."""
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    pad = np.zeros((size, size))
    top, left = (rng.integers(0, size + 1 - side) for side in crop.shape)
    pad[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return pad


def test_before_a_drawing_there_are_hints_and_wiping_brings_them_back():
    engine = MNIST(**SMALL)
    hint = to_json(engine.frame())
    assert [panel(engine, t)["kind"] for t in ("Draw a digit", "What the network", "How it reads")] == [
        "drawing", "text", "text"
    ]  # fmt: skip
    assert panel(engine, "Draw a digit")["action"] == "draw"
    engine.act("draw", sent(upscaled(_digits()[2][0])))
    assert to_json(engine.frame()) != hint
    for wiped in ({}, sent(np.zeros((112, 112)))):
        engine.act("draw", sent(upscaled(_digits()[2][0])))
        engine.act("draw", wiped)
        assert to_json(engine.frame()) == hint


def test_a_drawing_is_read_by_the_network_as_it_is_now_and_outlives_a_reset():
    engine = MNIST(hidden_size=16)
    engine.step(200)
    _, _, X, y = _digits()
    engine.act("draw", sent(upscaled(X[0])))
    P = F.softmax(engine.net.predict(X[:1]))[0]
    shown = panel(engine, "How it reads")
    assert shown["values"] == pytest.approx(P, abs=6e-4)
    assert shown["strong"] == P.argmax() == y[0] == 7
    assert engine.describe().endswith(f"Your drawing is read as 7, probability {100 * P.max():.0f} %.")
    image = panel(engine, "What the network sees")["images"][0]
    assert np.array_equal(image.bytes, np.round(X[0].reshape(28, 28) * 255))
    engine.reset()
    assert panel(engine, "How it reads")["values"] != pytest.approx(P, abs=1e-2)
    assert engine.ink is not None


@pytest.mark.parametrize(
    "value",
    [
        {"shape": [112, 112]},
        {"u8": "AAAA"},
        {"shape": [2, 2], "u8": "AAA"},
        {"shape": [2, 2], "u8": "AAAA"},
        {"shape": [2, 2], "u8": "AAAA!AA=="},
        {"shape": 4, "u8": "AAAAAA=="},
        {"shape": [2, 2], "u8": 7},
        {"shape": [4], "u8": "AAAAAA=="},
    ],
)
def test_something_else_than_a_drawing_is_refused_and_changes_nothing(value):
    engine = MNIST(hidden_size=0)
    engine.act("draw", sent(upscaled(_digits()[2][0])))
    before = to_json(engine.frame())
    with pytest.raises(ValueError, match="a drawing is"):
        engine.act("draw", value)
    assert to_json(engine.frame()) == before


def test_an_empty_pad_gives_zeros():
    for shape in ((112, 112), (28, 28), (3, 50)):
        image = centre_digit(np.zeros(shape))
        assert image.shape == (28, 28)
        assert not image.any()


@given(st.integers(0, 1999), st.integers(1, 5))
def test_an_mnist_digit_comes_back_as_it_was_at_any_size(n, factor):
    x = _digits()[2][n].reshape(28, 28)
    assert centre_digit(upscaled(x, factor)) == pytest.approx(x, abs=1e-6)


@given(st.integers(0, 1999), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_where_on_the_pad_a_digit_is_drawn_does_not_matter(n, factor, seed):
    ink = upscaled(_digits()[2][n], factor)
    rng = np.random.default_rng(seed)
    assert np.array_equal(centre_digit(moved(ink, 112, rng)), centre_digit(ink))


@given(
    st.lists(st.tuples(*[st.integers(0, 111)] * 4, st.integers(1, 20)), min_size=1, max_size=4),
    st.sampled_from([0.1, 0.5, 1.0]),
)
def test_whatever_is_drawn_becomes_a_picture_of_mnist(strokes, shade):
    pad = np.zeros((112, 112))
    for top, left, height, width, thick in strokes:  # strokes may touch every edge
        pad[top : top + height + 1, left : left + thick] = shade
        pad[top : top + thick, left : left + width + 1] = shade
    image = centre_digit(pad)
    assert image.shape == (28, 28)
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.max() > 0
    sides = [np.ptp(np.flatnonzero(image.any(axis=axis))) + 1 for axis in (0, 1)]
    assert max(sides) == 20
    box = [np.ptp(np.flatnonzero(pad.any(axis=axis))) + 1 for axis in (0, 1)]
    assert abs(min(sides) - 20 * min(box) / max(box)) <= 1, "the aspect ratio is kept"
    ink, mass = pad.sum() * (20 / max(box)) ** 2, image.sum()
    assert mass == pytest.approx(ink), "averages over areas lose no ink"
    for side in (0, 1):
        line = image.sum(axis=side)
        centre = line @ np.arange(28) / line.sum()
        inked = np.flatnonzero(line)
        if inked[0] > 0 and inked[-1] < 27:  # there is room: it is as near to the middle as whole pixels go
            assert abs(centre - 14) <= 0.5 + 1e-9


def test_a_stroke_at_the_edge_is_drawn_whole():
    pad = np.zeros((112, 112))
    pad[:, :8] = 1
    image = centre_digit(pad)
    assert image.any(axis=1).sum() == 20
    assert image.sum() == pytest.approx(112 * 8 * (20 / 112) ** 2)
    assert centre_digit(pad.T) == pytest.approx(image.T)


def test_a_drawing_with_its_mass_at_one_side_stays_inside_the_picture():
    pad = np.zeros((112, 112))
    pad[:, :20] = pad[50:52, :] = 1
    for ink in (pad, pad[:, ::-1], pad.T, pad.T[::-1]):
        assert centre_digit(ink).sum() == pytest.approx(ink.sum() * (20 / 112) ** 2)


def test_a_drawing_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"centre_digit expects ink of shape \(H, W\), got \(5,\)"):
        centre_digit(np.ones(5))


def test_digits_drawn_anywhere_are_read_as_well_as_the_originals(rng):
    engine = MNIST(hidden_size=16)
    engine.step(300)
    X, y = _digits()[2][:500], _digits()[3][:500]
    pads = [moved(upscaled(x), 112, rng) for x in X]
    centred = np.array([centre_digit(pad) for pad in pads]).reshape(-1, 784).astype(np.float32)
    shrunk = np.array([pad.reshape(28, 4, 28, 4).mean(axis=(1, 3)) for pad in pads]).reshape(-1, 784)
    originals = accuracy(engine.net.predict(X), y)
    assert originals > 0.85
    assert accuracy(engine.net.predict(centred), y) == pytest.approx(originals, abs=0.005)
    assert accuracy(engine.net.predict(shrunk.astype(np.float32)), y) < 0.5, "centring is needed"


# ------------------------------------------------------------------------------- digits: data


def test_the_digits_are_the_first_ones_of_mnist():
    X, y, X_test, y_test = _digits()
    assert (X.shape, X_test.shape, X.dtype, y.dtype) == ((10_000, 784), (2_000, 784), np.float32, np.int64)
    for split, images, labels in (("train", X, y), ("test", X_test, y_test)):
        all_images, all_labels = data.mnist(split)
        assert np.array_equal(images, all_images[: len(images)])
        assert np.array_equal(labels, all_labels[: len(labels)])
    assert _digits() is _digits()


def test_the_small_file_of_a_page_gives_the_same_numbers(tmp_path, monkeypatch):
    pixels = [np.round(X * 255).astype(np.uint8) for X in (_digits()[0], _digits()[2])]
    labels = [y.astype(np.uint8) for y in (_digits()[1], _digits()[3])]
    names = ("X_train", "X_test", "y_train", "y_test")
    for shape in ((-1, 784), (-1, 28, 28)):
        parts = [*(part.reshape(shape) for part in pixels), *labels]
        np.savez_compressed(tmp_path / "mnist-sample.npz", **dict(zip(names, parts, strict=True)))
        monkeypatch.setenv("NNLIB_DATA", str(tmp_path))
        fresh = _digits.__wrapped__()
        assert all(np.array_equal(a, b) for a, b in zip(fresh, _digits(), strict=True))
        assert [a.dtype for a in fresh] == [a.dtype for a in _digits()]
    (tmp_path / "mnist-sample.npz").unlink()
    assert all(np.array_equal(a, b) for a, b in zip(_digits.__wrapped__(), _digits(), strict=True))


def test_importing_loads_no_data():
    code = "from nnlib.explorers import mnist; print(mnist._digits.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_without_data_the_message_says_where_to_put_it(tmp_path, monkeypatch):
    def nowhere(*files):
        raise FileNotFoundError("MNIST is in none of these folders")

    monkeypatch.setattr(mnist_module.data, "_mnist_folder", nowhere)
    monkeypatch.setattr(mnist_module, "_digits", _digits.__wrapped__)
    with pytest.raises(FileNotFoundError, match="none of these folders"):
        MNIST()


def test_a_learning_rate_that_ruins_a_bounded_network_is_announced_and_goes_on():
    engine = DecisionBoundary(learning_rate=100.0)
    engine.step(9)
    assert engine.frame()["message"] == ""
    engine.step(1)
    assert engine.frame()["message"].startswith("The loss has risen above the 0.734 of the first step")
    assert engine.step(5) == 5, "it is a warning, not an end"
    engine.reset(learning_rate=0.5)
    engine.step(300)
    assert engine.frame()["message"] == ""
    assert engine.accuracy == 1
