"""Training: shuffled mini-batches, `fit`, and what may happen between its epochs."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlib._shapes import Array, check_rng
from nnlib.losses import Loss
from nnlib.network import Sequential
from nnlib.optimizers import Optimizer, Schedule
from nnlib.parameters import Parameters

__all__ = ["Callback", "DivergenceError", "EarlyStopping", "History", "State", "fit", "minibatches"]

Metric = Callable[[Array, Array], float]


def minibatches(
    X: Array, Y: Array, batch_size: int, *, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """All rows once, in random order, in batches; the last batch may be smaller.

    Parameters
    ----------
    X, Y : arrays with N rows each
    batch_size : rows in a batch
    rng : generator of the order, which differs on each call

    Yields
    ------
    pairs of new arrays, rows of X with the same rows of Y

    Raises
    ------
    ValueError
        When X and Y differ in length, are empty, or batch_size is not a whole number above 0.

    Examples
    --------
    >>> X, y = np.arange(5.0).reshape(5, 1), np.arange(5)
    >>> [b.tolist() for _, b in minibatches(X, y, 2, rng=np.random.default_rng(0))]
    [[2, 4], [3, 0], [1]]
    """
    _check_rows(X, Y)
    _check_whole("batch_size", batch_size)
    check_rng(rng)

    def draw() -> Iterator[tuple[Array, Array]]:
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            yield X.take(rows, axis=0), Y.take(rows, axis=0)

    return draw()


def _check_rows(X: Array, Y: Array, names: str = "X and Y") -> None:
    if len(X) != len(Y) or len(X) == 0:
        raise ValueError(
            f"{names} must have the same number of rows, at least one, got {len(X)} and {len(Y)}"
        )


def _check_whole(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0, got {value!r}")


class History(dict[str, list[float]]):
    """What `fit` recorded, one number per epoch under each key.

    Keys are ``loss`` and each metric on the training batches as they came, ``val_loss`` and
    ``val_<metric>`` where there is validation data, and ``lr``.

    Attributes
    ----------
    stopped : why training ended early, or None
    steps : number of updates made
    seconds : wall time
    """

    stopped: str | None = None
    steps: int = 0
    seconds: float = 0.0

    def __repr__(self) -> str:
        last = ", ".join(f"{key}={values[-1]:.4g}" for key, values in self.items() if values)
        epochs = max(map(len, self.values()), default=0)
        ended = f", stopped: {self.stopped}" if self.stopped else ""
        return f"History({epochs} epochs, {last}{ended})"


class DivergenceError(FloatingPointError):
    """Training produced nan or inf; `history` holds what was recorded until then."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


@dataclass
class State:
    """What a callback sees: where training is, and the live objects."""

    epoch: int  # epochs completed
    epochs: int
    step: int  # updates made
    loss: float  # of the last batch
    net: Sequential
    optimizer: Optimizer
    history: History


class Callback:
    """Base of callbacks; return True from a hook to stop training.

    A plain function of a `State` may be passed as well: it is called after each epoch.
    """

    def on_batch_end(self, state: State) -> bool | None:
        """After each update."""

    def on_epoch_end(self, state: State) -> bool | None:
        """After each epoch and its validation."""

    def on_train_end(self, state: State) -> None:
        """Once, however training ended."""


class _AfterEpoch(Callback):
    def __init__(self, function: Callable[[State], bool | None]) -> None:
        self.function = function

    def on_epoch_end(self, state: State) -> bool | None:
        return self.function(state)


class EarlyStopping(Callback):
    """Stop when a recorded number has not improved for some epochs.

    Parameters
    ----------
    monitor : key of the history, smaller is better (larger, where the key ends in "accuracy")
    patience : epochs without improvement that are allowed
    min_delta : how much counts as an improvement
    restore_best : put the parameters of the best epoch back at the end

    Raises
    ------
    ValueError
        When patience is not a whole number above 0, or the history lacks the key.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        _check_whole("patience", patience)
        self.monitor, self.patience, self.min_delta, self.restore_best = (
            monitor,
            patience,
            min_delta,
            restore_best,
        )
        self.best, self.waited, self.best_params = math.inf, 0, dict[str, Array]()

    def on_epoch_end(self, state: State) -> bool | None:  # noqa: D102
        if self.monitor not in state.history:
            raise ValueError(
                f"EarlyStopping monitors {self.monitor!r}, got a history of {sorted(state.history)}"
            )
        value = state.history[self.monitor][-1]
        value = -value if self.monitor.endswith("accuracy") else value
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            self.best_params = {name: theta.copy() for name, theta in state.net.params().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def on_train_end(self, state: State) -> None:  # noqa: D102
        if self.restore_best:
            for name, theta in self.best_params.items():
                state.net.params()[name][...] = theta


def fit(
    net: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    X: Array,
    Y: Array,
    *,
    epochs: int,
    batch_size: int | None,
    rng: np.random.Generator,
    validation: tuple[Array, Array] | None = None,
    metrics: Mapping[str, Metric] | Iterable[Metric] | None = None,
    schedule: Schedule | None = None,
    callbacks: Iterable[Callback | Callable[[State], bool | None]] = (),
    augment: Callable[[Array, np.random.Generator], Array] | None = None,
    progress: bool = False,
) -> History:
    """Train a network: for each epoch, for each mini-batch, forward, loss, backward, step.

    Parameters
    ----------
    net, loss, optimizer : trained in place
    X, Y : N examples (N, ...) and their targets
    epochs, batch_size : passes over the data, and rows per update (None: all of them, in their order)
    rng : generator of the shuffling
    validation : (X, Y) measured after each epoch, never trained on
    metrics : functions of (output, target), as a list or under names of your choice
    schedule : function of progress (0 at the first step, 1 at the end) that sets the learning rate
    callbacks : `Callback` objects, or functions of a `State` called after each epoch
    augment : function of (batch, rng) that returns a changed copy of a training batch
    progress : show a progress bar (needs tqdm)

    Returns
    -------
    History; after Ctrl-C too, with what was done until then and the reason in ``stopped``

    Raises
    ------
    ValueError, TypeError
        When data or settings do not fit together; the network has not been touched then.
    DivergenceError
        When the loss or a parameter becomes nan or inf; says where and the likely cause, and
        carries the history.

    Examples
    --------
    >>> from nnlib import MSE, SGD, Linear
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 1))
    >>> net = Sequential([Linear(1, 1, rng=rng)])
    >>> history = fit(net, MSE(), SGD(0.1), X, 3 * X + 1, epochs=20, batch_size=10, rng=rng)
    >>> net.params()["0.W"].round(3), net.params()["0.b"].round(3)
    (array([[3.]]), array([1.]))
    """
    X, Y = np.asarray(X), np.asarray(Y)
    check_rng(rng)
    _check_whole("epochs", epochs)
    shuffled = batch_size is not None
    batch_size = len(X) if batch_size is None else batch_size
    measures = _name_metrics(metrics)
    _dry_run(net, loss, X, Y, "X", "Y")
    if validation is not None:
        validation = np.asarray(validation[0]), np.asarray(validation[1])
        _dry_run(net, loss, *validation, "validation X", "validation Y")
    minibatches(X, Y, batch_size, rng=rng)  # checks its arguments, draws nothing
    hooks = [c if isinstance(c, Callback) else _AfterEpoch(c) for c in callbacks]

    _keep_freed_memory()
    history, recorded = History(), ["loss", *measures]
    steps_per_epoch = math.ceil(len(X) / batch_size)
    state = State(0, epochs, 0, math.nan, net, optimizer, history)
    started = time.perf_counter()
    # overflow is not hidden: it turns the loss into inf or nan, which ends training with a reason
    with (
        _progress_bar(epochs * steps_per_epoch, progress) as bar,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        try:
            for state.epoch in range(1, epochs + 1):
                sums = dict.fromkeys(recorded, 0.0)
                batches = minibatches(X, Y, batch_size, rng=rng) if shuffled else [(X.copy(), Y.copy())]
                for X_batch, Y_batch in batches:
                    if schedule is not None:
                        optimizer.lr = schedule(state.step / (epochs * steps_per_epoch))
                    if augment is not None:
                        X_batch = augment(X_batch, rng)
                    output = net.forward(X_batch)
                    state.loss = loss.forward(output, Y_batch)
                    if not math.isfinite(state.loss):
                        raise DivergenceError(_why(state, loss, steps_per_epoch), history)
                    net.backward(loss.backward(), input_gradient=False)
                    params = net.params()
                    optimizer.step(params, net.grads())
                    state.step += 1
                    sums["loss"] += state.loss * len(X_batch)
                    for name, measure in measures.items():
                        sums[name] += measure(output, Y_batch) * len(X_batch)
                    if progress:
                        bar.update()
                    if hooks and any([hook.on_batch_end(state) for hook in hooks]):  # noqa: C419  all run
                        history.stopped = f"by a callback in epoch {state.epoch}"
                        return history
                _check_parameters(state, params)
                for name, total in sums.items():
                    history.setdefault(name, []).append(total / len(X))
                history.setdefault("lr", []).append(optimizer.lr)
                if validation is not None:
                    output = net.predict(validation[0])
                    for name, measure in {"loss": copy.copy(loss).forward, **measures}.items():
                        history.setdefault(f"val_{name}", []).append(measure(output, validation[1]))
                if progress:
                    bar.set_postfix({k: f"{values[-1]:.4g}" for k, values in history.items()}, refresh=False)
                if hooks and any([hook.on_epoch_end(state) for hook in hooks]):  # noqa: C419
                    history.stopped = f"by a callback after epoch {state.epoch}"
                    return history
        except KeyboardInterrupt:
            history.stopped = f"interrupted in epoch {state.epoch} of {epochs}"
        finally:
            history.steps, history.seconds = state.step, time.perf_counter() - started
            for hook in hooks:
                hook.on_train_end(state)
    return history


@functools.cache  # once is enough
def _keep_freed_memory() -> None:
    """Let freed arrays stay with the program, for the next batch to use.

    The C library of Linux gives an array of more than 128 kB back to the system as soon as it is freed, and
    the system clears the pages of the next one. One array of nearly 32 MB, which nobody ever writes to,
    teaches it that such sizes come and go (see malloc's M_MMAP_THRESHOLD).
    """
    if sys.platform == "linux":
        np.empty(2**25 - 2**16, dtype=np.uint8)


def _name_metrics(metrics: Mapping[str, Metric] | Iterable[Metric] | None) -> dict[str, Metric]:
    if metrics is None:
        return {}
    named = dict(metrics) if isinstance(metrics, Mapping) else {m.__name__: m for m in metrics}
    for name, metric in named.items():
        if not callable(metric) or name in ("loss", "lr"):
            raise TypeError(
                f"metrics must be functions of (output, target) under names other than loss and lr, "
                f"got {name!r}: {metric!r}"
            )
    return named


def _dry_run(net: Sequential, loss: Loss, X: Array, Y: Array, x_name: str, y_name: str) -> None:
    """Everything that can be wrong with the data, found before the first update."""
    _check_rows(X, Y, f"{x_name} and {y_name}")
    for name, values in ((x_name, X), (y_name, Y)):
        # a thousand rows at a time: what says which numbers are finite is a quarter of the data
        parts = (values[i : i + 1000] for i in range(0, len(values), 1000))
        if values.dtype.kind == "f" and not all(np.isfinite(part).all() for part in parts):
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise ValueError(f"{name} holds {values[where]} at index {where}: remove or fill such rows first")
    output = net.predict(X[:1])
    # the first output stands in for all of them: shapes and targets are checked, not values
    copy.copy(loss).forward(np.broadcast_to(output, (len(X), *output.shape[1:])), Y)


def _check_parameters(state: State, params: Mapping[str, Array]) -> None:
    if isinstance(params, Parameters) and math.isfinite(params.vector.dot(params.vector)):
        return  # too large a sum, which is not an error, is found out below
    for name, theta in params.items():
        if not np.isfinite(theta).all():
            raise DivergenceError(
                f"parameter {name} became nan or inf in epoch {state.epoch} (step {state.step}). "
                f"Likely cause: the learning rate {state.optimizer.lr:g} is too large; "
                f"try a tenth of it.",
                state.history,
            )


def _why(state: State, loss: Loss, steps_per_epoch: int) -> str:
    step = state.step + 1
    batch = step - (state.epoch - 1) * steps_per_epoch
    where = f"the loss became {state.loss} in epoch {state.epoch}, batch {batch} (step {step})"
    if (
        math.isinf(state.loss)
        and "Logits" not in type(loss).__name__
        and "CrossEntropy" in type(loss).__name__
    ):
        cause = (
            "a predicted probability of exactly 0 for what happened; train on the scores, with "
            "BinaryCrossEntropyWithLogits or SoftmaxCrossEntropy, or lower the learning rate"
        )
    else:
        cause = (
            f"the learning rate {state.optimizer.lr:g} is too large; try a tenth of it, or scale the inputs"
        )
    return f"{where}. Likely cause: {cause}."


def _progress_bar(total: int, show: bool) -> Any:
    if not show:
        return contextlib.nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, unit="step", mininterval=0.2)
