"""The experiments do what their chapters say."""

import subprocess
import sys

import numpy as np
import pytest

from nnlib import data, experiments, layers, losses, optimizers
from nnlib.experiments import COMPARISONS, RECIPES, Recipe, Setting
from nnlib.layers import Layer
from nnlib.losses import Loss


def final(runs, dataset, setting):
    return [run for run in runs if (run.dataset, run.setting) == (dataset, setting)]


def test_importing_the_experiments_needs_neither_matplotlib_nor_tqdm():
    code = "import sys, nnlib.cli; print({'matplotlib', 'tqdm'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


# --- mlp


def test_mlp_puts_an_activation_between_layers_and_none_at_the_end():
    net = experiments.mlp([3, 5, 4, 2], activation="relu", rng=np.random.default_rng(0))
    assert [type(layer).__name__ for layer in net.layers] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert net.predict(np.zeros((7, 3))).shape == (7, 2)


def test_mlp_without_activation_is_linear_whatever_its_depth():
    rng = np.random.default_rng(0)
    net = experiments.mlp([2, 4, 4, 1], activation=None, rng=rng)
    a, b = rng.standard_normal((2, 6, 2))
    np.testing.assert_allclose(net.predict(a + b), net.predict(a) + net.predict(b), atol=1e-12)


def test_mlp_refuses_what_it_does_not_know():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="sigmoid, tanh, relu or None, got 'swish'"):
        experiments.mlp([2, 1], activation="swish", rng=rng)
    with pytest.raises(ValueError, match=r"inputs and the outputs, got \[2\]"):
        experiments.mlp([2], activation=None, rng=rng)


# --- comparisons


def test_each_comparison_changes_one_factor():
    base = Setting("")
    for name, factor in {
        "learning-rate": "learning_rate",
        "hidden-size": "hidden_sizes",
        "activation": "activation",
    }.items():
        for setting in COMPARISONS[name]:
            changed = {key for key, value in vars(setting).items() if value != vars(base)[key]}
            assert changed <= {"name", factor}
        assert len({vars(setting)[factor] for setting in COMPARISONS[name]}) == len(COMPARISONS[name])


def test_same_seed_same_numbers_and_another_seed_others():
    def losses_of(seed):
        return [run.losses for run in experiments.compare([Setting("a")], seeds=[seed], epochs=5)]

    np.testing.assert_array_equal(losses_of(3), losses_of(3))
    assert not np.array_equal(losses_of(3), losses_of(4))


def test_settings_with_one_seed_see_the_same_data(monkeypatch):
    seen = []

    def linear(n, *, rng):
        X, y = data.linear(n, rng=rng)
        seen.append(X)
        return X, y

    monkeypatch.setattr(experiments, "DATASETS", {"linear": linear})
    list(experiments.compare([Setting("a"), Setting("b", hidden_sizes=(7,))], seeds=[0], epochs=1))
    train_a, test_a, train_b, test_b = seen
    np.testing.assert_array_equal(train_a, train_b)
    np.testing.assert_array_equal(test_a, test_b)
    assert not np.array_equal(train_a, test_a)


def test_without_activation_the_line_is_learned_and_xor_is_not():
    runs = list(experiments.compare(COMPARISONS["no-activation"], seeds=[0]))
    for setting in COMPARISONS["no-activation"]:
        assert final(runs, "linear", setting.name)[0].accuracy >= 0.9
    assert final(runs, "XOR", "sigmoid")[0].accuracy == 1
    for setting in ("at the end only", "none, rate 0.1"):
        (run,) = final(runs, "XOR", setting)
        assert run.losses[-1] == pytest.approx(0.25, abs=0.001)  # what answering 0.5 everywhere costs
        assert run.accuracy < 0.8


def test_learning_rate_can_be_too_small_and_too_large():
    runs = list(experiments.compare(COMPARISONS["learning-rate"], seeds=[0]))
    ends = {rate: final(runs, "XOR", rate)[0].losses[-1] for rate in ("0.3", "3", "300")}
    assert ends["3"] < 0.01 < 0.2 < min(ends["0.3"], ends["300"])


def test_one_hidden_unit_a_layer_cannot_learn_xor():
    runs = list(experiments.compare(COMPARISONS["hidden-size"][:2], seeds=range(3), datasets=["XOR"]))
    assert max(run.accuracy for run in final(runs, "XOR", "1")) < 0.8
    assert max(run.accuracy for run in final(runs, "XOR", "2")) == 1


def test_ctrl_c_ends_a_comparison_and_the_unfinished_run_is_not_among_the_results(monkeypatch):
    steps = 0

    def step(self, params, grads):
        nonlocal steps
        steps += 1
        if steps == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(optimizers.SGD, "step", step)
    runs = experiments.compare([Setting("a")], seeds=range(5), epochs=5)
    assert len(next(runs).losses) == 5
    with pytest.raises(KeyboardInterrupt):
        next(runs)


def test_table_has_a_line_for_each_data_set_and_setting():
    runs = list(experiments.compare(COMPARISONS["activation"], seeds=[0, 1], epochs=3))
    head, *lines = experiments.comparison_table(runs, "activation").splitlines()
    assert " ".join(head.split()) == (
        "data activation runs final loss (min to max) test accuracy (min to max) below 90 %"
    )
    assert [line.split()[:3] for line in lines] == [
        [name, activation, "2"] for name in ("linear", "XOR") for activation in ("sigmoid", "tanh", "relu")
    ]
    column = head.index("final loss")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)


def test_table_counts_the_runs_below_90_percent():
    runs = [
        experiments.Run("XOR", "a", seed, np.ones(1), right) for seed, right in enumerate((0.89, 0.9, 0.5))
    ]
    assert experiments.comparison_table(runs).splitlines()[1].split()[-1] == "2"


def test_one_data_set_can_be_asked_for_and_an_unknown_one_is_refused():
    runs = list(experiments.compare([Setting("a")], seeds=[0], epochs=1, datasets=["XOR"]))
    assert [run.dataset for run in runs] == ["XOR"]
    with pytest.raises(ValueError, match=r"datasets must be among linear, XOR, got \['moons'\]"):
        experiments.compare([Setting("a")], datasets=["moons"])


def test_figure_has_a_panel_for_each_data_set_and_one_legend():
    plt = pytest.importorskip("matplotlib.pyplot")
    runs = list(experiments.compare(COMPARISONS["activation"], seeds=[0, 1], epochs=30))
    figure = experiments.comparison_figure(runs, "activation")
    assert [ax.get_title() for ax in figure.axes] == ["linear data", "XOR data"]
    assert [len(ax.get_lines()) for ax in figure.axes] == [3, 3]
    assert all(ax.get_legend() is None for ax in figure.axes)
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "activation"
    assert [text.get_text() for text in legend.get_texts()] == ["sigmoid", "tanh", "relu"]
    plt.close(figure)


# --- XOR


@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("sizes", [(2,), (4, 4)])
def test_xor_is_solved_with_the_default_seed(sizes, loss):
    net, history = experiments.train_xor(sizes, loss=loss)
    X, y = data.xor()
    np.testing.assert_array_equal(net.predict(X).ravel().round(), y)
    assert history["loss"][-1] < 0.05


def test_xor_gives_probabilities_for_both_losses():
    for loss in ("mse", "bce"):
        net, _ = experiments.train_xor(loss=loss, epochs=1)
        outputs = net.predict(data.xor()[0])
        assert ((outputs > 0) & (outputs < 1)).all()


def test_xor_refuses_a_loss_it_does_not_know():
    with pytest.raises(ValueError, match="loss must be mse or bce, got 'hinge'"):
        experiments.train_xor(loss="hinge")


# --- two classes from a file


def test_classifier_does_not_care_about_the_units_of_its_features():
    rng = np.random.default_rng(0)
    X, y = data.xor_clouds(80, rng=rng)
    in_other_units = X * [1e4, 1e-3] + [5e6, 3.0]
    answers = []
    for features in (X, in_other_units):
        net, history = experiments.train_classifier(
            features, y, epochs=200, learning_rate=0.5, rng=np.random.default_rng(1)
        )
        answers.append((net.predict(features), history["loss"]))
    np.testing.assert_allclose(answers[0][0], answers[1][0], rtol=1e-6)
    np.testing.assert_allclose(answers[0][1], answers[1][1], rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_classifier_ignores_a_feature_that_never_changes(value):
    rng = np.random.default_rng(0)
    X, y = data.linear(30, rng=rng)
    net, _ = experiments.train_classifier(
        np.column_stack([X, np.full(30, value)]), y, epochs=300, learning_rate=0.5, rng=rng
    )
    assert np.mean(net.predict(np.column_stack([X, np.full(30, value)])).ravel().round() == y) > 0.9


def test_classifier_records_the_loss_on_validation_data_scaled_like_the_training_data():
    rng = np.random.default_rng(0)
    X, y = data.linear(30, rng=rng)
    net, history = experiments.train_classifier(X, y, epochs=3, rng=rng, validation=(X, y))
    loss = losses.BinaryCrossEntropy().forward(net.predict(X), y[:, None].astype(float))
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-9)


# --- MNIST


def fake_mnist(rng, n=400):
    """Images whose class is the row of pixels that is lit."""
    y = rng.integers(0, 10, n)
    X = np.zeros((n, 28, 28), dtype=np.float32)
    X[np.arange(n), 4 + 2 * y, 4:24] = 1
    return X.reshape(n, -1), y


def test_recipes_are_the_two_networks_that_the_course_talks_about():
    assert RECIPES["best"].hidden_sizes == (256, 128)
    assert RECIPES["best"].activation == "relu"
    assert RECIPES["baseline"] == Recipe((128, 64), "sigmoid", 1e-3, epochs=10, batch_size=64)


@pytest.mark.parametrize("name", ["best", "baseline"])
def test_recipes_train_float32_networks_that_return_probabilities(name):
    rng = np.random.default_rng(0)
    train, test = fake_mnist(rng), fake_mnist(rng, 50)
    net, history = experiments.train_mnist(RECIPES[name], train, test)
    P = net.predict(test[0])
    assert P.dtype == np.float32
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
    assert history["loss"][-1] < history["loss"][0]
    assert len(history["val_accuracy"]) == RECIPES[name].epochs
    assert (len(set(history["lr"])) > 1) == RECIPES[name].cycle


# --- gradients


def test_gradient_checks_cover_every_layer_and_every_loss_and_a_network():
    reports = list(experiments.gradient_checks())
    assert all(report.ok for report in reports), [str(report) for report in reports if not report.ok]
    titles = " ".join(report.title for report in reports)
    bases = (Layer.__name__, Loss.__name__)
    for name in [*layers.__all__, *losses.__all__]:
        assert name in bases or f"{name}(" in titles
    assert "network of 5 layers" in titles


def test_gradient_checks_find_a_wrong_sign(monkeypatch):
    right = layers.Tanh.backward
    monkeypatch.setattr(layers.Tanh, "backward", lambda self, dY: -right(self, dY))
    wrong = [report.title for report in experiments.gradient_checks() if not report.ok]
    assert wrong == ["Tanh()", "network of 5 layers with SoftmaxCrossEntropy()"]
