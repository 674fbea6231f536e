"""Training sees every row once an epoch, says why it stops, and never loses what it has recorded."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import (
    MSE,
    SGD,
    Adam,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    Callback,
    Conv2D,
    DivergenceError,
    EarlyStopping,
    Flatten,
    Layer,
    Linear,
    MaxPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
    accuracy,
    data,
    fit,
    minibatches,
)
from nnlib.optimizers import one_cycle


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_an_epoch_holds_every_row_once_with_its_own_target(n, batch_size, seed):
    X, Y = np.arange(n)[:, None] * 1.0, np.arange(n) * 10
    batches = list(minibatches(X, Y, batch_size, rng=np.random.default_rng(seed)))
    assert sorted(np.concatenate([b for _, b in batches])) == sorted(Y)
    assert all((b == a[:, 0] * 10).all() for a, b in batches)
    assert [len(b) for _, b in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(batches) == math.ceil(n / batch_size)


def test_two_epochs_mix_the_rows_into_different_batches(rng):
    X = np.arange(8.0)[:, None]
    seen = {frozenset(b[:, 0]) for _ in range(20) for b, _ in minibatches(X, X, 4, rng=rng)}
    assert len(seen) > 10


def line(rng, n=50):
    X = rng.standard_normal((n, 1))
    return Sequential([Linear(1, 1, rng=rng)]), X, 3 * X + 1


def test_fit_finds_the_line(rng):
    net, X, Y = line(rng)
    history = fit(net, MSE(), SGD(0.1), X, Y, epochs=30, batch_size=10, rng=rng)
    assert net.params()["0.W"].item() == pytest.approx(3, abs=1e-3)
    assert history["loss"][-1] < 1e-5 < history["loss"][0]
    assert len(history["loss"]) == len(history["lr"]) == 30
    assert history.steps == 150
    assert history.stopped is None
    assert history.seconds > 0
    assert "30 epochs, loss=" in repr(history)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_xor_is_learned(seed):
    rng = np.random.default_rng(seed)
    X, y = data.xor()
    net = Sequential([Linear(2, 8, rng=rng), Tanh(), Linear(8, 1, rng=rng)])
    fit(net, BinaryCrossEntropyWithLogits(), Adam(0.05), X, y[:, None], epochs=200, batch_size=None, rng=rng)
    assert ((net.predict(X) > 0).ravel() == y).all()


def test_the_same_seed_gives_the_same_training():
    def run():
        rng = np.random.default_rng(3)
        net, X, Y = line(rng)
        fit(net, MSE(), Adam(0.01), X, Y, epochs=3, batch_size=7, rng=rng)
        return net.params()["0.W"].item()

    assert run() == run()


def test_fit_takes_the_steps_that_a_loop_with_full_gradients_takes(rng):
    """`fit` does not ask the first layer for its input gradient; no parameter can tell."""
    X, y = rng.standard_normal((30, 1, 6, 6)), rng.integers(0, 3, 30)
    nets = []
    for by_hand in (False, True):
        rng, loss, optimizer = np.random.default_rng(5), SoftmaxCrossEntropy(), Adam(0.01)
        net = Sequential(
            [Conv2D(1, 2, 3, rng=rng), MaxPool2D(2), ReLU(), Flatten(), Linear(8, 3, rng=rng)]
        )  # fmt: skip
        nets.append(net)
        if not by_hand:
            fit(net, loss, optimizer, X, y, epochs=3, batch_size=8, rng=rng)
            continue
        for _ in range(3):
            for X_batch, y_batch in minibatches(X, y, 8, rng=rng):
                loss.forward(net.forward(X_batch), y_batch)
                assert net.backward(loss.backward()).shape == X_batch.shape
                optimizer.step(net.params(), net.grads())
    for name, theta in nets[0].params().items():
        np.testing.assert_array_equal(theta, nets[1].params()[name])


def test_a_first_layer_of_your_own_takes_part_in_training(rng):
    class Scale(Layer):
        def __init__(self):
            self.params["s"] = np.ones(1)

        def forward(self, X):
            self._remember(X)
            return self.params["s"] * X

        def backward(self, dY):
            (X,) = self._recall()
            self.grads["s"] = np.array([np.sum(dY * X)])
            return self.params["s"] * dY

    X = rng.standard_normal((50, 1))
    net = Sequential([Scale()])
    fit(net, MSE(), SGD(0.1), X, 3 * X, epochs=50, batch_size=10, rng=rng)
    assert net.params()["0.s"].item() == pytest.approx(3)


def test_metrics_and_validation_are_recorded_under_their_names(rng):
    X, y = rng.standard_normal((60, 2)), rng.integers(0, 2, 60)
    net = Sequential([Linear(2, 2, rng=rng)])
    history = fit(
        net, SoftmaxCrossEntropy(), SGD(0.1), X, y, epochs=2, batch_size=8, rng=rng,
        validation=(X[:20], y[:20]), metrics=[accuracy],
    )  # fmt: skip
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy", "lr"}
    assert history["val_accuracy"][-1] == accuracy(net.predict(X[:20]), y[:20])
    named = fit(
        net, SoftmaxCrossEntropy(), SGD(0.1), X, y, epochs=1, batch_size=8, rng=rng,
        metrics={"rate": accuracy},
    )  # fmt: skip
    assert "rate" in named


def test_the_recorded_loss_is_the_mean_over_examples_not_over_batches(rng):
    X, Y = np.ones((5, 1)), np.arange(5.0)[:, None]
    net = Sequential([Linear(1, 1, rng=rng)])
    expected = MSE().forward(net.predict(X), Y)
    history = fit(net, MSE(), SGD(0.0), X, Y, epochs=1, batch_size=2, rng=rng)
    assert history["loss"] == [pytest.approx(expected)]


def test_a_schedule_sets_the_rate_of_every_step(rng):
    net, X, Y = line(rng)
    seen = []

    class Watch(Callback):
        def on_batch_end(self, state):
            seen.append(state.optimizer.lr)

    fit(
        net, MSE(), SGD(9.0), X, Y, epochs=4, batch_size=5, rng=rng,
        schedule=one_cycle(0.1, warmup=0.25), callbacks=[Watch()],
    )  # fmt: skip
    assert seen[0] == pytest.approx(0.01)
    assert max(seen) == seen[10] == pytest.approx(0.1)
    assert seen[-1] < 0.001


def test_augmentation_changes_training_batches_only(rng):
    net, X, Y = line(rng)
    kept = X.copy()
    history = fit(
        net, MSE(), SGD(0.1), X, Y, epochs=20, batch_size=10, rng=rng,
        augment=lambda batch, rng: 0 * batch, validation=(X, Y),
    )  # fmt: skip
    np.testing.assert_array_equal(X, kept)
    assert abs(net.params()["0.b"].item() - Y.mean()) < 0.5  # saw only zeros
    assert history["val_loss"][-1] > 1


def test_a_callback_can_stop_training(rng):
    net, X, Y = line(rng)
    history = fit(
        net, MSE(), SGD(0.1), X, Y, epochs=50, batch_size=10, rng=rng,
        callbacks=[lambda state: state.history["loss"][-1] < 1.0],
    )  # fmt: skip
    assert history["loss"][-1] < 1.0 <= history["loss"][-2]
    assert history.stopped == f"by a callback after epoch {len(history['loss'])}"

    class AfterThree(Callback):
        def on_batch_end(self, state):
            return state.step == 3

    history = fit(net, MSE(), SGD(0.1), X, Y, epochs=5, batch_size=10, rng=rng, callbacks=[AfterThree()])
    assert history.steps == 3
    assert history.stopped == "by a callback in epoch 1"


def test_early_stopping_puts_the_best_parameters_back(rng):
    net, X, Y = line(rng)
    rates = {1: 0.1, 2: 0.1, 3: 0.1, 4: 2.2}

    def disturb(state):
        state.optimizer.lr = rates.get(state.epoch, 2.2)

    stopping = EarlyStopping(patience=2)
    history = fit(
        net, MSE(), SGD(0.1), X, Y, epochs=20, batch_size=None, rng=rng,
        validation=(X, Y), callbacks=[disturb, stopping],
    )  # fmt: skip
    assert history.stopped
    assert MSE().forward(net.predict(X), Y) == pytest.approx(min(history["val_loss"]))


def test_early_stopping_understands_accuracy_and_names_what_it_misses(rng):
    X, y = rng.standard_normal((30, 2)), rng.integers(0, 2, 30)
    net = Sequential([Linear(2, 2, rng=rng)])

    def run(monitor, **settings):
        return fit(
            net, SoftmaxCrossEntropy(), SGD(0.0), X, y, epochs=9, batch_size=10, rng=rng,
            metrics=[accuracy], callbacks=[EarlyStopping(monitor, **settings)],
        )  # fmt: skip

    assert len(run("accuracy", patience=2, restore_best=False)["loss"]) == 3
    with pytest.raises(
        ValueError, match=r"monitors 'val_loss', got a history of \['accuracy', 'loss', 'lr'\]"
    ):
        run("val_loss")


def test_divergence_is_announced_with_place_cause_and_history(rng):
    net, X, Y = line(rng)
    with pytest.raises(
        DivergenceError, match=r"epoch \d+, batch \d+ .*learning rate 10 is too large"
    ) as caught:
        fit(net, MSE(), SGD(10.0), X, Y, epochs=1000, batch_size=10, rng=rng)
    assert caught.value.history["loss"]
    assert caught.value.history.steps > 0


def test_a_saturated_probability_is_named_as_the_cause():
    rng = np.random.default_rng(0)
    net = Sequential([Linear(1, 1, rng=rng), Sigmoid()])
    net.params()["0.W"][...] = 2000
    with pytest.raises(DivergenceError, match=r"probability of exactly 0.*BinaryCrossEntropyWithLogits"):
        fit(
            net, BinaryCrossEntropy(), SGD(0.1), -np.ones((2, 1)), np.ones((2, 1)),
            epochs=1, batch_size=2, rng=rng,
        )  # fmt: skip


def test_parameters_that_overflow_in_the_last_step_are_found(rng):
    net, X, Y = line(rng)
    with pytest.raises(DivergenceError, match=r"parameter 0\.\w became nan or inf in epoch 1 \(step 1\)"):
        fit(net, MSE(), SGD(1e308), X, 1e10 * Y, epochs=1, batch_size=None, rng=rng)


def test_an_interrupt_keeps_the_history_and_runs_the_last_hook(rng):
    net, X, Y = line(rng)
    ended = []

    class Impatient(Callback):
        def on_epoch_end(self, state):
            if state.epoch == 3:
                raise KeyboardInterrupt

        def on_train_end(self, state):
            ended.append(state.step)

    history = fit(net, MSE(), SGD(0.1), X, Y, epochs=50, batch_size=10, rng=rng, callbacks=[Impatient()])
    assert len(history["loss"]) == 3
    assert history.stopped == "interrupted in epoch 3 of 50"
    assert ended == [history.steps] == [15]
    assert "stopped: interrupted" in repr(history)


def test_progress_is_shown_when_asked_for(rng, capsys):
    net, X, Y = line(rng)
    fit(net, MSE(), SGD(0.1), X, Y, epochs=2, batch_size=10, rng=rng, progress=True)
    shown = capsys.readouterr().err
    assert "10/10" in shown
    assert "loss=" in shown


def test_a_dead_relu_network_stays_where_it_is():
    """Why some runs stop at a loss of 1/4: a unit that is off for every row gets no gradient."""
    rng = np.random.default_rng(0)
    net = Sequential([Linear(2, 2, rng=rng), ReLU(), Linear(2, 1, rng=rng)])
    net.params()["0.b"][...] = -10
    X, y = data.xor()
    before = net.params()["0.W"].copy()
    history = fit(net, MSE(), SGD(0.5), X, y[:, None], epochs=200, batch_size=None, rng=rng)
    np.testing.assert_array_equal(net.params()["0.W"], before)
    assert history["loss"][-1] == pytest.approx(0.25)
