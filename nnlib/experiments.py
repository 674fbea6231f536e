"""Experiments with nnlib, as functions that return what they found.

The command line prints these results and the chapters draw them: the four comparisons on a linear and
an XOR data set, the smallest network that solves XOR, a classifier for a CSV file, two recipes for
MNIST, and a gradient check of everything. Each is seeded: the same seed gives the same run, up to how
the machine's matrix products round, which shows in long training only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from nnlib import data
from nnlib._shapes import Array
from nnlib.gradcheck import Report, check_layer, check_loss, check_network
from nnlib.initializers import Initializer, he_normal, xavier_uniform
from nnlib.layers import (
    Conv2D,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from nnlib.losses import (
    MSE,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CategoricalCrossEntropy,
    Loss,
    SoftmaxCrossEntropy,
)
from nnlib.metrics import accuracy, one_hot
from nnlib.network import Sequential
from nnlib.optimizers import SGD, Adam, one_cycle
from nnlib.sweeps import sweep
from nnlib.training import Callback, History, State, fit

if TYPE_CHECKING:
    from distributed import Client
    from matplotlib.figure import Figure

__all__ = [
    "ACTIVATIONS",
    "COMPARISONS",
    "RECIPES",
    "Recipe",
    "Run",
    "Setting",
    "compare",
    "comparison_figure",
    "comparison_table",
    "fold_scaling",
    "gradient_checks",
    "mlp",
    "train_classifier",
    "train_mnist",
    "train_xor",
]

ACTIVATIONS: Mapping[str, type[Layer]] = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU}


def mlp(
    sizes: Sequence[int],
    *,
    activation: str | None,
    rng: np.random.Generator,
    init: Initializer = xavier_uniform,
    dtype: DTypeLike = np.float64,
) -> Sequential:
    """Fully connected network: one number of units per layer, an activation between each two.

    Parameters
    ----------
    sizes : features of the input, units of each hidden layer, outputs
    activation : "sigmoid", "tanh", "relu", or None for nothing between the layers
    rng, init, dtype : as in `Linear`

    Returns
    -------
    network without an activation after its last layer: what comes out are scores

    Raises
    ------
    ValueError
        When there is no such activation, or fewer than two sizes.

    Examples
    --------
    >>> mlp([2, 4, 1], activation="tanh", rng=np.random.default_rng(0))
    Sequential([
        Linear(in_features=2, out_features=4, dtype='float64'),
        Tanh(),
        Linear(in_features=4, out_features=1, dtype='float64'),
    ])
    """
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)} or None, got {activation!r}")
    if len(sizes) < 2:
        raise ValueError(f"sizes must name at least the inputs and the outputs, got {list(sizes)}")
    net = Sequential()
    for depth, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        if depth > 0 and activation is not None:
            net.add(ACTIVATIONS[activation]())
        net.add(Linear(fan_in, fan_out, rng=rng, init=init, dtype=dtype))
    return net


def _column(y: Array) -> Array:
    return y[:, None].astype(np.float64)


# ------------------------------------------------------------------------------- comparisons


@dataclass(frozen=True)
class Setting:
    """One way to train; what is not said is a 2-4-4-1 network, all sigmoid, learning rate 3."""

    name: str
    learning_rate: float = 3.0
    hidden_sizes: tuple[int, ...] = (4, 4)
    activation: str | None = "sigmoid"  # of the hidden layers
    squash: bool = True  # a sigmoid after the last layer


COMPARISONS: Mapping[str, tuple[Setting, ...]] = {
    "learning-rate": tuple(Setting(f"{lr:g}", learning_rate=lr) for lr in (0.3, 3.0, 30.0, 300.0)),
    "hidden-size": tuple(Setting(f"{size}", hidden_sizes=(size, size)) for size in (1, 2, 4, 8)),
    "activation": tuple(Setting(name, activation=name) for name in ACTIVATIONS),
    "no-activation": (
        Setting("sigmoid"),
        Setting("at the end only", activation=None),
        # its loss has no bound, so that the step must be smaller: learning rate 3 diverges
        Setting("none, rate 0.1", activation=None, squash=False, learning_rate=0.1),
    ),
}

SEEDS, EPOCHS = range(20), 400  # of a comparison, where nothing else is said
SOLVED = 0.9  # a run with a lower test accuracy counts as failed

DATASETS: Mapping[str, Callable[..., tuple[Array, Array]]] = {
    "linear": data.linear,
    "XOR": data.xor_clouds,
}


@dataclass(frozen=True)
class Run:
    """One training of a comparison, and how it ended."""

    dataset: str
    setting: str
    seed: int
    losses: Array  # (epochs,), mean squared error on the training points
    accuracy: float  # on test points, which training has not seen


def compare(
    settings: Iterable[Setting],
    *,
    seeds: Iterable[int] = SEEDS,
    epochs: int = EPOCHS,
    points: int = 100,
    datasets: Iterable[str] | None = None,
    n_jobs: int = 1,
    dask: Client | str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Iterator[Run]:
    """Train with every setting, on the linear and on the XOR data, with every seed.

    Full-batch gradient descent on the mean squared error. The seed decides the data and the first
    weights; settings with the same seed see the same data. So the runs are the same numbers, in the same
    order, wherever they are computed.

    Parameters
    ----------
    settings : for example ``COMPARISONS["learning-rate"]``
    seeds : one run each
    epochs : updates per run
    points : to train on, and again as many to test on
    datasets : "linear", "XOR" or both; None: both
    n_jobs, dask, store, progress : processes, a Dask cluster, a file to resume from and a progress bar, as
        in `sweep`

    Yields
    ------
    Run, one after the other

    Raises
    ------
    SweepError
        When all the others are done and a loss became nan or inf in some; it names setting, data and seed.
    ValueError
        When there is no such data set, or the store is no file of results.
    KeyboardInterrupt
        On Ctrl-C; the runs yielded before it are complete, and the message says how to go on.

    Examples
    --------
    >>> for run in compare(COMPARISONS["activation"][:1], seeds=[0], epochs=5):
    ...     print(run.dataset, run.setting, run.seed, run.losses.shape)
    linear sigmoid 0 (5,)
    XOR sigmoid 0 (5,)
    """
    settings, seeds = list(settings), list(seeds)
    datasets = list(DATASETS if datasets is None else datasets)
    if set(datasets) - set(DATASETS):
        raise ValueError(f"datasets must be among {', '.join(DATASETS)}, got {datasets}")
    planned = list(product(datasets, settings, map(int, seeds)))
    results = sweep(
        _train,
        [
            {"dataset": dataset, "seed": seed, "epochs": epochs, "points": points, **_decisive(setting)}
            for dataset, setting, seed in planned
        ],
        labels=[
            f"setting {setting.name!r} on the {dataset} data, seed {seed}"
            for dataset, setting, seed in planned
        ],
        n_jobs=n_jobs,
        dask=dask,
        store=store,
        progress=progress,
    )
    return (
        Run(dataset, setting.name, seed, np.array(result["losses"]), result["accuracy"])
        for (dataset, setting, seed), result in zip(planned, results, strict=True)
    )


def _decisive(setting: Setting) -> dict[str, Any]:
    """What the numbers depend on: all but the name."""
    return {name: value for name, value in vars(setting).items() if name != "name"}


def _train(
    dataset: str,
    seed: int,
    epochs: int,
    points: int,
    learning_rate: float,
    hidden_sizes: Sequence[int],
    activation: str | None,
    squash: bool,
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    X, y = DATASETS[dataset](points, rng=rng)
    X_test, y_test = DATASETS[dataset](points, rng=rng)
    net = mlp([2, *hidden_sizes, 1], activation=activation, rng=rng)
    if squash:
        net.add(Sigmoid())
    history = fit(net, MSE(), SGD(learning_rate), X, _column(y), epochs=epochs, batch_size=None, rng=rng)
    if history.stopped:
        raise KeyboardInterrupt
    return {"losses": history["loss"], "accuracy": accuracy(net.predict(X_test), y_test)}


def _groups(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.dataset, run.setting), []).append(run)
    return groups


def comparison_table(runs: Iterable[Run], factor: str = "setting") -> str:
    """Aligned text: for each data set and setting the median over the seeds, the range, and the failures.

    Parameters
    ----------
    runs : from `compare`
    factor : head of the column of settings

    Examples
    --------
    >>> runs = [Run("XOR", "tanh", s, np.array([0.3, 0.2 * s]), 0.8 + 0.2 * s) for s in (0, 1)]
    >>> print(comparison_table(runs, "activation"))
    data  activation  runs  final loss (min to max)  test accuracy (min to max)  below 90 %
    XOR   tanh           2  0.1 (0 to 0.2)           90.0 % (80.0 to 100.0)               1
    """
    failed = f"below {100 * SOLVED:g} %"
    rows = [("data", factor, "runs", "final loss (min to max)", "test accuracy (min to max)", failed)]
    for (dataset, setting), group in _groups(runs).items():
        loss = _median_and_range([run.losses[-1] for run in group])
        right = _median_and_range([100 * run.accuracy for run in group])
        rows.append(
            (
                dataset,
                setting,
                str(len(group)),
                "{:.2g} ({:.2g} to {:.2g})".format(*loss),
                "{:.1f} % ({:.1f} to {:.1f})".format(*right),
                str(sum(run.accuracy < SOLVED for run in group)),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, "<<><<>", widths, strict=True))
        for row in rows
    )


def _median_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    return float(np.median(values)), min(values), max(values)


def comparison_figure(runs: Iterable[Run], factor: str = "setting") -> Figure:
    """Loss curves: one panel a data set; a line for the median run, a band from lowest to highest.

    Parameters
    ----------
    runs : from `compare`, at least one
    factor : title of the legend

    Returns
    -------
    figure; needs Matplotlib
    """
    import matplotlib.pyplot as plt

    from nnlib import plotting

    groups = _groups(runs)
    names = list(dict.fromkeys(dataset for dataset, _ in groups))
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.6 * len(names) + 1.8, 4.0), sharey=True, squeeze=False, layout="constrained"
    )
    panels = dict(zip(names, axes[0], strict=True))
    top = 0.0
    for (dataset, setting), group in groups.items():
        losses = np.array([run.losses for run in group])
        plotting.spread(losses, label=setting, ax=panels[dataset])
        top = max(top, losses[:, losses.shape[1] // 20 :].max())  # the very first steps may be far off
    for dataset, ax in panels.items():
        ax.set(title=f"{dataset} data", ylim=(0, 1.05 * top or 1))
        ax.get_legend().remove()
    axes[0, 0].set_ylabel("mean squared error")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), title=factor, loc="outside right upper")
    return figure


# ------------------------------------------------------------------------------- XOR


def train_xor(
    hidden_sizes: Sequence[int] = (2,),
    *,
    activation: str = "sigmoid",
    loss: str = "mse",
    learning_rate: float = 1.0,
    epochs: int = 5000,
    seed: int = 0,
    progress: bool = False,
) -> tuple[Sequential, History]:
    """Train a network on the four rows of XOR, all four in each update.

    Parameters
    ----------
    hidden_sizes, activation : of the hidden layers; the output is a sigmoid
    loss : "mse", or "bce" for binary cross-entropy, computed from the scores
    learning_rate, epochs, seed : of plain gradient descent
    progress : show a progress bar

    Returns
    -------
    the network, whose outputs are probabilities, and the history

    Raises
    ------
    ValueError
        When there is no such loss or activation.

    Examples
    --------
    >>> net, history = train_xor()
    >>> X, y = data.xor()
    >>> net.predict(X).ravel().round(1), y
    (array([0., 1., 1., 0.]), array([0, 1, 1, 0]))
    """
    if loss not in ("mse", "bce"):
        raise ValueError(f"loss must be mse or bce, got {loss!r}")
    rng = np.random.default_rng(seed)
    X, y = data.xor()
    scores = mlp([2, *hidden_sizes, 1], activation=activation, rng=rng)
    probabilities = Sequential([*scores.layers, Sigmoid()])
    net, objective = (probabilities, MSE()) if loss == "mse" else (scores, BinaryCrossEntropyWithLogits())
    optimizer = SGD(learning_rate)
    history = fit(
        net, objective, optimizer, X, _column(y), epochs=epochs, batch_size=None, rng=rng, progress=progress
    )
    return probabilities, history


# ------------------------------------------------------------------------------- two classes from a file


def train_classifier(
    X: Array,
    y: Array,
    *,
    hidden_size: int = 5,
    learning_rate: float = 0.01,
    epochs: int = 5000,
    batch_size: int | None = None,
    rng: np.random.Generator,
    validation: tuple[Array, Array] | None = None,
    progress: bool = False,
) -> tuple[Sequential, History]:
    """Two classes, one hidden layer of ReLU units, a sigmoid output and binary cross-entropy.

    The features are scaled to mean 0 and standard deviation 1 for training. Afterwards the scaling
    becomes part of the first layer, so the network that is returned takes features as they are.

    Parameters
    ----------
    X, y : (N, D) features and (N,) labels, 0 or 1
    hidden_size, learning_rate, epochs : of the network and of plain gradient descent
    batch_size : rows in an update; None: all of them
    rng : draws the first weights and shuffles
    validation : (X, y) whose loss is recorded after each epoch
    progress : show a progress bar

    Returns
    -------
    the network, whose outputs are probabilities, and the history

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, y = data.linear(50, rng=rng)
    >>> net, history = train_classifier(100 * X + 7, y, learning_rate=0.5, epochs=500, rng=rng)
    >>> accuracy(net.predict(100 * X + 7), y) > 0.95
    True
    """
    mean, std = data.scaling(X)
    scores = mlp([X.shape[1], hidden_size, 1], activation="relu", rng=rng, init=he_normal)
    if validation is not None:
        validation = (validation[0] - mean) / std, _column(validation[1])
    history = fit(
        scores,
        BinaryCrossEntropyWithLogits(),
        SGD(learning_rate),
        (X - mean) / std,
        _column(y),
        epochs=epochs,
        batch_size=batch_size,
        rng=rng,
        validation=validation,
        progress=progress,
    )
    fold_scaling(scores, mean, std)
    return scores.add(Sigmoid()), history


def fold_scaling(net: Sequential, mean: Array, std: Array) -> None:
    r"""Make a network that was trained on standardized features take the features as they are.

    .. math:: \frac{X - \mu}{\sigma} W + b = X \frac{W}{\sigma} + \Big(b - \frac{\mu}{\sigma} W\Big)

    Parameters
    ----------
    net : its first layer is a `Linear`; it is changed in place
    mean, std : (D,), what the features were shifted and divided by

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, mean, std = rng.standard_normal((8, 2)), np.array([5.0, -1.0]), np.array([3.0, 0.1])
    >>> net = mlp([2, 3, 1], activation="relu", rng=rng)
    >>> before = net.predict((X - mean) / std)
    >>> fold_scaling(net, mean, std)
    >>> bool(np.allclose(net.predict(X), before))
    True
    """
    W, b = net.layers[0].params["W"], net.layers[0].params["b"]
    W /= std[:, None]
    b -= mean @ W


# ------------------------------------------------------------------------------- MNIST


@dataclass(frozen=True)
class Recipe:
    """How to train a fully connected network on MNIST with Adam."""

    hidden_sizes: tuple[int, ...]
    activation: str
    learning_rate: float
    epochs: int
    batch_size: int
    cycle: bool = False  # one-cycle schedule, with `learning_rate` as its peak
    shift: bool = False  # move the training images by up to a pixel


RECIPES: Mapping[str, Recipe] = {
    "best": Recipe((256, 128), "relu", learning_rate=4e-3, epochs=5, batch_size=128, cycle=True, shift=True),
    "baseline": Recipe((128, 64), "sigmoid", learning_rate=1e-3, epochs=10, batch_size=64),
}


def train_mnist(
    recipe: Recipe,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    *,
    seed: int = 0,
    callbacks: Iterable[Callback | Callable[[State], bool | None]] = (),
    progress: bool = False,
) -> tuple[Sequential, History]:
    """Train by a recipe in float32; the test accuracy is recorded after each epoch, never used.

    Parameters
    ----------
    recipe : for example ``RECIPES["best"]``, changed with ``dataclasses.replace``
    train, test : (X, y) as from `data.mnist`
    seed : decides first weights, order and shifts
    callbacks, progress : as in `fit`

    Returns
    -------
    the network, whose outputs are probabilities, and the history
    """
    rng = np.random.default_rng(seed)
    X, y = train
    init = he_normal if recipe.activation == "relu" else xavier_uniform
    sizes = [X.shape[1], *recipe.hidden_sizes, 10]
    scores = mlp(sizes, activation=recipe.activation, rng=rng, init=init, dtype=np.float32)
    history = fit(
        scores,
        SoftmaxCrossEntropy(),
        Adam(recipe.learning_rate),
        X,
        y,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        rng=rng,
        validation=test,
        metrics=[accuracy],
        schedule=one_cycle(recipe.learning_rate, warmup=0.25) if recipe.cycle else None,
        augment=data.shift_images if recipe.shift else None,
        callbacks=callbacks,
        progress=progress,
    )
    return scores.add(Softmax()), history


# ------------------------------------------------------------------------------- gradients


def gradient_checks(seed: int = 0) -> Iterator[Report]:
    """Check every layer, every loss and one small network, on random numbers and odd shapes.

    Examples
    --------
    >>> all(gradient_checks())
    True
    """
    rng = np.random.default_rng(seed)
    for layer, shape in _layers(rng):
        yield check_layer(layer, rng.standard_normal(shape), rng=rng)
    for loss, prediction, target in _losses(rng):
        yield check_loss(loss, prediction, target, rng=rng)
    head = [Flatten(), Linear(18, 3, rng=rng)]
    net = Sequential([Conv2D(1, 2, 3, padding=1, rng=rng), Tanh(), MaxPool2D(2), *head])
    X, y = rng.standard_normal((5, 1, 6, 7)), np.array([0, 2, 1, 1, 0])
    yield check_network(net, SoftmaxCrossEntropy(), X, y)


def _layers(rng: np.random.Generator) -> list[tuple[Layer, tuple[int, ...]]]:
    images, rows = (2, 3, 5, 6), (5, 4)
    return [
        (Linear(4, 3, rng=rng), rows),
        (Conv2D(3, 2, (3, 2), stride=2, padding=1, rng=rng), images),
        (MaxPool2D(3, stride=2), images),
        (Flatten(), images),
        (Dropout(0.4, rng=rng), rows),
        (ReLU(), rows),
        (LeakyReLU(0.1), rows),
        (Tanh(), rows),
        (Sigmoid(), rows),
        (Softmax(), rows),
    ]


def _losses(rng: np.random.Generator) -> list[tuple[Loss, Array, Array]]:
    scores, bits, labels = rng.standard_normal((5, 3)), rng.integers(0, 2, (5, 3)), np.array([0, 2, 1, 1, 0])
    inside = rng.uniform(0.1, 0.9, (5, 3))
    return [
        (MSE(), scores, rng.standard_normal((5, 3))),
        (BinaryCrossEntropy(), inside, bits),
        (BinaryCrossEntropyWithLogits(), scores, bits),
        (CategoricalCrossEntropy(), inside / inside.sum(axis=1, keepdims=True), one_hot(labels, 3)),
        (SoftmaxCrossEntropy(), scores, labels),
    ]
