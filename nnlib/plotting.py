"""Pictures in one style: colours that everyone can tell apart, and never by colour alone.

Each function draws on the `ax` it is given, or on a new one, and returns it (or the figure); none
calls ``plt.show()``. This is the only module of the core that needs Matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnlib._shapes import Array

__all__ = [
    "COLOURS",
    "confusion",
    "curves",
    "decision_boundary",
    "filters",
    "images",
    "spread",
    "use_style",
]

# Okabe and Ito's palette without yellow, which is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Blue for low, right or class 0; orange-red for high, wrong or class 1.
DIVERGING = LinearSegmentedColormap.from_list("nnlib", [COLOURS[0], "#FFFFFF", COLOURS[1]])


def use_style() -> None:
    """Use the course's style for all plots from now on.

    White ground, so that a plot reads the same on a light and on a dark page.

    Examples
    --------
    >>> use_style()
    >>> plt.rcParams["axes.grid"]
    True
    """
    plt.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=COLOURS[:4], linestyle=LINES),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.facecolor": "white",
            "figure.figsize": (6.0, 4.0),
            "figure.dpi": 100,
            "font.size": 11,
            "grid.alpha": 0.3,
            "image.cmap": "gray_r",
            "legend.frameon": False,
            "lines.linewidth": 2.0,
            "savefig.facecolor": "white",
        }
    )


def decision_boundary(
    predict: Any,
    X: Array,
    y: Array,
    *,
    ax: Axes | None = None,
    resolution: int = 200,
    padding: float = 0.5,
    threshold: float = 0.5,
    labels: Sequence[str] | None = None,
) -> Axes:
    """Show what a classifier says everywhere in the plane, and the points it learned from.

    Parameters
    ----------
    predict : function of (M, 2) points, or an object with such a method ``predict``; it returns
        probabilities of class 1, (M,) or (M, 1), or scores (M, K), or whole numbers (M,): classes
    X : (N, 2) points
    y : (N,) their classes, from 0
    ax : where to draw
    resolution : points of the grid along each axis
    padding : how far the picture goes beyond the points
    threshold : 0.5 for probabilities, 0.0 when predict returns logits
    labels : names of the classes

    Returns
    -------
    ax : with the plane shaded by probability and cut at the threshold, or one colour a class

    Raises
    ------
    ValueError, TypeError
        When a shape does not fit, the prediction is not finite, or predict is not a function.

    Examples
    --------
    >>> X, y = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 1])
    >>> ax = decision_boundary(lambda X: X.mean(axis=1), X, y)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['class 0', 'class 1']
    """
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
    if X.ndim != 2 or X.shape[1] != 2 or y.shape != X.shape[:1] or len(y) == 0:
        raise ValueError(
            f"decision_boundary expects X of shape (N, 2) and y of shape (N,) with N > 0, "
            f"got {X.shape} and {y.shape}: choose two columns of X, and use y.ravel() on a column"
        )
    if y.dtype.kind not in "biuf" or (y < 0).any() or (y != np.floor(y)).any():
        raise ValueError("decision_boundary expects y to hold classes 0, 1, ...: whole numbers")
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, got {resolution}")
    low, high = X.min(axis=0) - padding, X.max(axis=0) + padding
    x1, x2 = np.linspace(low, high, resolution).T
    grid = np.stack(np.meshgrid(x1, x2), axis=-1)
    values = _predictions(predict, grid.reshape(-1, 2))
    classes = int(y.max()) + 1
    if values.ndim == 2 or values.dtype.kind in "biu":
        region = values.argmax(axis=1) if values.ndim == 2 else values.astype(np.int64)
        classes = max(classes, int(region.max()) + 1, *values.shape[1:])
    classes = max(classes, 2)
    names = [f"class {k}" for k in range(classes)] if labels is None else list(labels)
    if len(names) < classes:
        raise ValueError(f"labels must name {classes} classes, got {len(names)}")

    ax = _axes(ax)
    if values.ndim == 1 and values.dtype.kind == "f":
        field = values.reshape(resolution, resolution) - threshold
        shades = np.linspace(-0.5, 0.5, 11)
        ax.contourf(x1, x2, field, levels=shades, cmap=DIVERGING, alpha=0.6, extend="both")
        if field.min() < 0 < field.max():
            ax.contour(x1, x2, field, levels=[0], colors="black", linewidths=1.5)
    else:
        owner = region.reshape(resolution, resolution)
        tints = ListedColormap([_tint(_pick(COLOURS, k)) for k in range(classes)])
        ax.pcolormesh(x1, x2, owner, cmap=tints, vmin=-0.5, vmax=classes - 0.5, rasterized=True)
        for k in np.unique(owner)[1:]:
            ax.contour(x1, x2, owner >= k, levels=[0.5], colors="black", linewidths=1.5)
    for k in range(classes):
        ax.scatter(
            X[y == k, 0],
            X[y == k, 1],
            s=30 if len(X) > 20 else 90,
            marker=_pick(MARKERS, k),
            color=_pick(COLOURS, k),
            edgecolors="white",
            linewidths=0.7,
            label=names[k],
        )
    ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.grid(False)
    ax.legend(loc="best", frameon=True)
    return ax


def _predictions(predict: Any, points: Array) -> Array:
    function: Callable[[Array], Any] = getattr(predict, "predict", predict)
    if not callable(function):
        raise TypeError(f"predict must be a function or have a method predict, got {type(predict).__name__}")
    values = np.asarray(function(points))
    if values.shape == (len(points), 1):
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != len(points) or values.size == 0:
        raise ValueError(
            f"predict must return shape ({len(points)},), ({len(points)}, 1) or "
            f"({len(points)}, K) for {len(points)} points, got {values.shape}"
        )
    if values.dtype.kind == "i" and values.ndim == 1 and values.min() < 0:
        raise ValueError("predict must return classes 0, 1, ... when it returns whole numbers")
    if not np.isfinite(values).all():
        raise ValueError("predict must return finite numbers, got nan or inf: has training diverged?")
    return values


def curves(
    histories: Mapping[str, Any],
    *,
    keys: Sequence[str] = ("loss",),
    ax: Axes | None = None,
    ylabel: str | None = None,
    log: bool = False,
) -> Axes:
    """Loss or accuracy against the epoch, for one run or for several.

    Parameters
    ----------
    histories : one history (name -> one number an epoch), or several (run -> history)
    keys : which of the series to draw
    ax : where to draw
    ylabel : name of the vertical axis; by default the first key
    log : logarithmic vertical axis

    Returns
    -------
    ax : one line a run and key; with several of both, colour tells the run and the dash the key

    Raises
    ------
    ValueError
        When there is nothing to draw, or a run lacks a key.

    Examples
    --------
    >>> ax = curves({"loss": [0.7, 0.3, 0.2], "val_loss": [0.8, 0.5, 0.4]}, keys=("loss", "val_loss"))
    >>> [line.get_label() for line in ax.get_lines()]
    ['loss', 'val_loss']
    """
    keys = (keys,) if isinstance(keys, str) else tuple(keys)
    several = bool(histories) and all(isinstance(run, Mapping) for run in histories.values())
    runs: Mapping[str, Any] = histories if several else {"": histories}
    if not histories or not keys:
        raise ValueError("curves expects at least one history and one key, got none")
    ax, drawn = _axes(ax), 0
    for i, (name, run) in enumerate(runs.items()):
        for j, key in enumerate(keys):
            colour, dash = (i, j) if several and len(keys) > 1 else (drawn, drawn)
            series = _series(name, run, key)
            ax.plot(
                np.arange(1, len(series) + 1),
                series,
                color=_pick(COLOURS, colour),
                linestyle=_pick(LINES, dash),
                label=" ".join(part for part in (name, key if len(keys) > 1 else "") if part) or key,
            )
            drawn += 1
    ax.set(xlabel="epoch", ylabel=keys[0] if ylabel is None else ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if log:
        ax.set_yscale("log")
    if drawn > 1:
        ax.legend()
    return ax


def _series(name: str, run: Mapping[str, Any], key: str) -> Array:
    of = f" of {name!r}" if name else ""
    if key not in run:
        raise ValueError(f"the history{of} has no {key!r}: it has {', '.join(map(str, run)) or 'nothing'}")
    series = np.asarray(run[key], dtype=np.float64)
    if series.ndim != 1 or series.size == 0:
        raise ValueError(f"{key!r}{of} must be one number an epoch, got shape {series.shape}")
    return series


def spread(
    runs: Sequence[Sequence[float]] | Array,
    *,
    label: str | None = None,
    ax: Axes | None = None,
    band: Literal["range", "quartiles"] = "range",
    ylabel: str | None = None,
    log: bool = False,
) -> Axes:
    """Many runs as one line and one band: the median, and how far the runs lie apart.

    Parameters
    ----------
    runs : (R, E), one row a run (for example a seed), one number an epoch
    label : name in the legend
    ax : where to draw; each call on the same ax gets the next colour
    band : from the lowest run to the highest, or the middle half
    ylabel : name of the vertical axis
    log : logarithmic vertical axis

    Returns
    -------
    ax : with the line and the band

    Raises
    ------
    ValueError
        When the runs do not have the same length, or band is unknown.

    Examples
    --------
    >>> ax = spread([[3, 2, 1], [5, 4, 1], [4, 2, 1]], label="three seeds")
    >>> ax.get_lines()[0].get_ydata()
    array([4., 2., 1.])
    """
    lengths = {np.size(run) for run in runs}
    if len(lengths) != 1 or np.ndim(runs) != 2 or 0 in lengths:
        raise ValueError(
            f"spread expects runs of shape (R, E), all of one length, got {len(runs)} runs "
            f"of lengths {sorted(lengths)}"
        )
    edges = {"range": (0, 100), "quartiles": (25, 75)}
    if band not in edges:
        raise ValueError(f"band must be 'range' or 'quartiles', got {band!r}")
    values = np.asarray(runs, dtype=np.float64)
    low, high = np.percentile(values, edges[band], axis=0)
    ax = _axes(ax)
    colour, dash = _pick(COLOURS, len(ax.get_lines())), _pick(LINES, len(ax.get_lines()))
    epochs = np.arange(1, values.shape[1] + 1)
    ax.plot(epochs, np.median(values, axis=0), color=colour, linestyle=dash, label=label)
    ax.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.set(xlabel="epoch")
    if ylabel is not None:
        ax.set_ylabel(ylabel)
    if log:
        ax.set_yscale("log")
    if label is not None:
        ax.legend()
    return ax


def images(
    X: Array,
    *,
    titles: Sequence[object] | None = None,
    shape: tuple[int, int] = (28, 28),
    columns: int = 5,
) -> Figure:
    """Rows of X as pictures, dark ink on white paper.

    Parameters
    ----------
    X : (N, H*W) or (N, H, W); the smallest number is paper, the largest is ink
    titles : N texts, one above each picture
    shape : (H, W)
    columns : pictures side by side

    Returns
    -------
    figure

    Raises
    ------
    ValueError
        When the shape of X or the number of titles does not fit.

    Examples
    --------
    >>> figure = images(np.eye(4).reshape(1, 16), shape=(4, 4), titles=["diagonal"])
    >>> figure.axes[0].get_title()
    'diagonal'
    """
    X = np.asarray(X)
    height, width = shape
    if X.ndim < 2 or len(X) == 0 or X[0].size != height * width:
        raise ValueError(
            f"images expects X of shape (N, {height * width}) for pictures of {height} by {width}, "
            f"got {X.shape}: pass shape=(height, width), and X[None] for a single picture"
        )
    if titles is not None and len(titles) != len(X):
        raise ValueError(f"images expects {len(X)} titles, one a picture, got {len(titles)}")
    return _tiles(X.reshape(-1, height, width), titles, columns, "gray_r", (X.min(), X.max()))[0]


def filters(
    W: Array,
    *,
    shape: tuple[int, int] = (28, 28),
    columns: int = 8,
    titles: Sequence[object] | None = None,
) -> Figure:
    """First-layer weights as pictures: what each hidden unit looks for.

    Parameters
    ----------
    W : (H*W, M), one column a hidden unit
    shape : (H, W) of the input picture
    columns : pictures side by side
    titles : M texts, one above each picture

    Returns
    -------
    figure : all units on one scale, symmetric around 0: white is 0, blue negative, orange positive

    Raises
    ------
    ValueError
        When the shape of W or the number of titles does not fit, or W is not finite.

    Examples
    --------
    >>> figure = filters(np.random.default_rng(0).normal(size=(784, 3)))
    >>> len(figure.axes)  # three pictures and the colour bar
    4
    """
    W = np.asarray(W)
    height, width = shape
    if W.ndim != 2 or W.shape[0] != height * width or W.shape[1] == 0:
        raise ValueError(
            f"filters expects W of shape ({height * width}, M), one column a hidden unit, "
            f"got {W.shape}: pass shape=(height, width) of the input, or W.T"
        )
    if not np.isfinite(W).all():
        raise ValueError("filters expects finite weights, got nan or inf: has training diverged?")
    if titles is not None and len(titles) != W.shape[1]:
        raise ValueError(f"filters expects {W.shape[1]} titles, one a unit, got {len(titles)}")
    limit = np.abs(W).max() or 1
    figure, shown = _tiles(W.T.reshape(-1, height, width), titles, columns, DIVERGING, (-limit, limit))
    figure.colorbar(shown, ax=figure.axes, shrink=0.8, label="weight")
    return figure


def _tiles(
    pictures: Array,
    titles: Sequence[object] | None,
    columns: int,
    cmap: Any,
    limits: tuple[float, float],
) -> tuple[Figure, Any]:
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    size = (1.2 * columns + 0.4, (1.2 + 0.3 * (titles is not None)) * rows + 0.4)
    figure = plt.figure(figsize=size, layout="constrained")
    for i, picture in enumerate(pictures):
        ax = figure.add_subplot(rows, columns, i + 1)
        shown = ax.imshow(picture, cmap=cmap, vmin=limits[0], vmax=limits[1])
        ax.set_axis_off()
        if titles is not None:
            ax.set_title(str(titles[i]), fontsize=10)
    return figure, shown


def confusion(matrix: Array, *, labels: Sequence[object] | None = None, ax: Axes | None = None) -> Axes:
    """Confusion matrix, with the count in each cell.

    The diagonal is blue, by the share of its row that is right. Mistakes are orange on a scale of
    their own, so that ten mistakes in a thousand can be seen.

    Parameters
    ----------
    matrix : (K, K) counts, true class by predicted class, as `nnlib.metrics.confusion_matrix` gives
    labels : names of the K classes
    ax : where to draw

    Returns
    -------
    ax

    Raises
    ------
    ValueError
        When the matrix is not square or holds negative numbers, or the labels are not K.

    Examples
    --------
    >>> ax = confusion(np.array([[8, 2], [1, 9]]), labels=["cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['8', '2', '1', '9']
    """
    C = np.asarray(matrix)
    if C.ndim != 2 or C.shape[0] != C.shape[1] or C.size == 0 or (C < 0).any():
        raise ValueError(f"confusion expects a (K, K) matrix of counts, got shape {C.shape}")
    names = list(range(len(C))) if labels is None else list(labels)
    if len(names) != len(C):
        raise ValueError(f"confusion expects {len(C)} labels, got {len(names)}")
    wrong = np.where(np.eye(len(C), dtype=bool), 0, C)
    right = np.diag(C) / np.maximum(C.sum(axis=1), 1)
    shade = wrong / max(wrong.max(), 1) - np.diag(right)
    if ax is None:
        side = max(3.0, 0.5 * len(C) + 1)
        ax = plt.subplots(figsize=(side, side), layout="constrained")[1]
    # Half of the colour map at most, so that black figures stay readable on every cell.
    ax.imshow(shade, cmap=DIVERGING, vmin=-1.5, vmax=1.5)
    for (i, j), count in np.ndenumerate(C):
        ink = "#999999" if count == 0 else "black"
        ax.text(j, i, f"{count:g}", ha="center", va="center", color=ink, fontsize=9)
    ticks = range(len(C))
    ax.set_xticks(ticks, [str(name) for name in names])
    ax.set_yticks(ticks, [str(name) for name in names])
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.grid(False)
    return ax


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def _pick(options: Sequence[str], i: int) -> str:
    return options[i % len(options)]


def _tint(colour: str) -> tuple[float, ...]:
    """The colour, mixed with white, for the ground that points stand on."""
    return tuple(1 - 0.35 * (1 - channel) for channel in to_rgb(colour))
