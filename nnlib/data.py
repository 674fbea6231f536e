r"""Data: toy sets drawn from a formula, a CSV of your own, and MNIST.

Every set is a pair ``(X, y)``: X is (N, D), one example a row, and y is (N,), its class, counted
from 0. Nothing here downloads anything, and nothing is random but through the `rng` passed.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import operator
import os
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from nnlib._shapes import Array, check_rng

__all__ = [
    "MNIST_SHA256",
    "circles",
    "linear",
    "load_csv",
    "logic_gate",
    "mnist",
    "moons",
    "read_idx",
    "scaling",
    "shift_images",
    "spirals",
    "standardize",
    "train_test_split",
    "train_validation_test_split",
    "xor",
    "xor_clouds",
]

# ---------------------------------------------------------------------------- toy sets

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
GATES = {
    "and": (0, 0, 0, 1),
    "or": (0, 1, 1, 1),
    "nand": (1, 1, 1, 0),
    "nor": (1, 0, 0, 0),
    "xor": (0, 1, 1, 0),
    "xnor": (1, 0, 0, 1),
}


def logic_gate(name: str) -> tuple[Array, Array]:
    """Truth table of a gate with two inputs.

    Parameters
    ----------
    name : "and", "or", "nand", "nor", "xor" or "xnor", in upper or lower case

    Returns
    -------
    X : (4, 2) float64, the corners of the unit square
    y : (4,) int64, what the gate gives there

    Raises
    ------
    ValueError
        When there is no gate of that name.

    Examples
    --------
    >>> X, y = logic_gate("NAND")
    >>> y
    array([1, 1, 1, 0])
    """
    if str(name).lower() not in GATES:
        raise ValueError(f"logic_gate expects one of {', '.join(GATES)}, got {name!r}")
    return np.array(CORNERS, dtype=np.float64), np.array(GATES[name.lower()], dtype=np.int64)


def xor() -> tuple[Array, Array]:
    """Exclusive or: the smallest problem that no straight line solves.

    Returns
    -------
    X : (4, 2) float64, the corners of the unit square
    y : (4,) int64, 1 where exactly one input is 1

    Examples
    --------
    >>> X, y = xor()
    >>> X.tolist(), y.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    return logic_gate("xor")


def linear(n: int = 100, *, rng: np.random.Generator, margin: float = 0.0) -> tuple[Array, Array]:
    r"""Points of the unit square, split by the diagonal: a straight line is enough.

    .. math:: y_n = \mathbf{1}[x_{n1} > x_{n2}]

    Parameters
    ----------
    n : number of points, half of them on each side
    rng : source of randomness
    margin : distance that every point keeps from the line, below :math:`1/\sqrt{2}`

    Returns
    -------
    X : (n, 2) float64
    y : (n,) int64

    Raises
    ------
    ValueError, TypeError
        When n or margin is out of range, or rng is not a Generator.

    Examples
    --------
    >>> X, y = linear(6, rng=np.random.default_rng(0))
    >>> bool(((X[:, 0] > X[:, 1]) == y).all())
    True
    """
    y = _balanced(n, 2, rng)
    gap = math.sqrt(2) * _amount("margin", margin, below=math.sqrt(0.5))
    low, high = np.sort((1 - gap) * rng.random((n, 2))).T
    below, above = np.column_stack([high + gap, low]), np.column_stack([low, high + gap])
    return np.where(y[:, None] == 1, below, above), y


def xor_clouds(n: int = 200, *, rng: np.random.Generator, noise: float = 0.15) -> tuple[Array, Array]:
    r"""Four Gaussian clouds around :math:`(\pm 1, \pm 1)`, labelled as XOR: opposite corners agree.

    Parameters
    ----------
    n : number of points, at least 4
    rng : source of randomness
    noise : standard deviation of each cloud

    Returns
    -------
    X : (n, 2) float64
    y : (n,) int64, 1 where the signs of the two coordinates of the cloud differ

    Raises
    ------
    ValueError, TypeError
        When n or noise is out of range, or rng is not a Generator.

    Examples
    --------
    >>> X, y = xor_clouds(200, rng=np.random.default_rng(0))
    >>> bool(((X[:, 0] * X[:, 1] < 0) == y).all())
    True
    """
    corner = _balanced(n, 4, rng)
    centres = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
    return _blur(centres[corner], noise, rng), corner % 2


def moons(n: int = 200, *, rng: np.random.Generator, noise: float = 0.1) -> tuple[Array, Array]:
    r"""Two interleaved half circles.

    .. math:: (\cos t, \sin t) \quad\text{and}\quad (1 - \cos t, \tfrac12 - \sin t),
       \quad 0 \le t \le \pi

    Parameters
    ----------
    n : number of points, at least 2
    rng : source of randomness
    noise : standard deviation of the Gaussian noise on each coordinate

    Returns
    -------
    X : (n, 2) float64
    y : (n,) int64, 0 on the upper moon

    Raises
    ------
    ValueError, TypeError
        When n or noise is out of range, or rng is not a Generator.

    Examples
    --------
    >>> X, y = moons(50, rng=np.random.default_rng(0), noise=0)
    >>> bool((np.hypot(*X[y == 0].T).round(12) == 1).all())
    True
    """
    y = _balanced(n, 2, rng)
    arc = _polar(np.pi * rng.random(n))
    return _blur(np.where(y[:, None] == 0, arc, np.array([1, 0.5]) - arc), noise, rng), y


def circles(
    n: int = 200, *, rng: np.random.Generator, noise: float = 0.05, factor: float = 0.5
) -> tuple[Array, Array]:
    """Draw a circle inside a circle.

    Parameters
    ----------
    n : number of points, at least 2
    rng : source of randomness
    noise : standard deviation of the Gaussian noise on each coordinate
    factor : radius of the inner circle; that of the outer one is 1

    Returns
    -------
    X : (n, 2) float64
    y : (n,) int64, 1 on the inner circle

    Raises
    ------
    ValueError, TypeError
        When n, noise or factor is out of range, or rng is not a Generator.

    Examples
    --------
    >>> X, y = circles(50, rng=np.random.default_rng(0), noise=0)
    >>> bool((np.hypot(*X.T).round(12) == np.where(y == 1, 0.5, 1)).all())
    True
    """
    y = _balanced(n, 2, rng)
    radius = np.where(y == 1, _amount("factor", factor, below=1), 1)
    return _blur(radius[:, None] * _polar(2 * np.pi * rng.random(n)), noise, rng), y


def spirals(
    n: int = 200,
    *,
    rng: np.random.Generator,
    noise: float = 0.02,
    classes: int = 2,
    turns: float = 1.0,
) -> tuple[Array, Array]:
    r"""Spiral arms wound into each other, one a class.

    .. math:: (r \cos\varphi, r \sin\varphi), \quad
       \varphi = 2\pi \left(\text{turns} \cdot r + y / K\right), \quad 0 \le r \le 1

    Parameters
    ----------
    n : number of points, at least one a class
    rng : source of randomness
    noise : standard deviation of the Gaussian noise on each coordinate
    classes : K, number of arms, at least 2
    turns : how often each arm winds around the centre

    Returns
    -------
    X : (n, 2) float64
    y : (n,) int64, the number of the arm

    Raises
    ------
    ValueError, TypeError
        When n, noise, classes or turns is out of range, or rng is not a Generator.

    Examples
    --------
    >>> X, y = spirals(300, rng=np.random.default_rng(0), classes=3)
    >>> X.shape, np.unique(y, return_counts=True)[1].tolist()
    ((300, 2), [100, 100, 100])
    """
    y = _balanced(n, _whole("classes", classes, 2), rng)
    r = rng.random(n)
    angle = 2 * np.pi * (_amount("turns", turns) * r + y / classes)
    return _blur(r[:, None] * _polar(angle), noise, rng), y


def _balanced(n: int, classes: int, rng: np.random.Generator) -> Array:
    """Labels in random order, every class as often as the others, or once more."""
    labels = np.arange(_whole("n", n, classes), dtype=np.int64) % classes
    return check_rng(rng).permutation(labels)


def _polar(angle: Array) -> Array:
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _blur(X: Array, noise: float, rng: np.random.Generator) -> Array:
    return X + _amount("noise", noise) * rng.standard_normal(X.shape)


def _whole(name: str, value: int, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    return number


def _amount(name: str, value: float, *, below: float = math.inf) -> float:
    if not 0 <= value < below:
        limit = "finite" if below == math.inf else f"below {below:.4g}"
        raise ValueError(f"{name} must be at least 0 and {limit}, got {value}")
    return value


# ---------------------------------------------------------------------------- splits


def train_test_split(
    X: Array,
    y: Array,
    *,
    test_size: float = 0.2,
    rng: np.random.Generator,
    stratify: bool = False,
) -> tuple[Array, Array, Array, Array]:
    r"""Put some rows aside, at random, to test on.

    .. math:: N_\text{test} = \lceil \text{test\_size} \cdot N \rceil

    Parameters
    ----------
    X : (N, ...) examples
    y : (N, ...) targets
    test_size : fraction of the rows to test on, between 0 and 1
    rng : source of randomness
    stratify : keep the proportions of the classes on both sides; y is then (N,)

    Returns
    -------
    X_train, X_test, y_train, y_test : copies, in random order, each row with its own target

    Raises
    ------
    ValueError, TypeError
        When X and y differ in length, a side (or with `stratify` a class on a side) would be
        empty, or rng is not a Generator.

    Examples
    --------
    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, rng=np.random.default_rng(0))
    >>> X_train.shape, X_test.shape
    ((4, 2), (1, 2))
    """
    X, y = _paired(X, y)
    n_test = _share("test_size", test_size, len(X))
    _refuse_empty(train=len(X) - n_test, test=n_test)
    order = check_rng(rng).permutation(len(X))
    if stratify:
        order = _stratified(order, y, n_test)
    test, train = order[:n_test], order[n_test:]
    return X[train], X[test], y[train], y[test]


def train_validation_test_split(
    X: Array,
    y: Array,
    *,
    validation_size: float = 0.2,
    test_size: float = 0.2,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Three parts: one to train on, one to make choices with, one to look at once, at the end.

    Parameters
    ----------
    X : (N, ...) examples
    y : (N, ...) targets
    validation_size, test_size : fractions of all rows, each rounded up to whole rows
    rng : source of randomness

    Returns
    -------
    X_train, X_val, X_test, y_train, y_val, y_test : copies, in random order

    Raises
    ------
    ValueError, TypeError
        When X and y differ in length, a part would be empty, or rng is not a Generator.

    Examples
    --------
    >>> X, y = np.zeros((10, 2)), np.zeros(10, dtype=int)
    >>> parts = train_validation_test_split(X, y, rng=np.random.default_rng(0))
    >>> [len(part) for part in parts]
    [6, 2, 2, 6, 2, 2]
    """
    X, y = _paired(X, y)
    n_val = _share("validation_size", validation_size, len(X))
    n_test = _share("test_size", test_size, len(X))
    _refuse_empty(train=len(X) - n_val - n_test, validation=n_val, test=n_test)
    order = check_rng(rng).permutation(len(X))
    test, val, train = np.split(order, [n_test, n_test + n_val])
    return X[train], X[val], X[test], y[train], y[val], y[test]


def _paired(X: Array, y: Array) -> tuple[Array, Array]:
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(f"a split expects as many rows in X as in y, got shapes {X.shape} and {y.shape}")
    return X, y


def _share(name: str, fraction: float, n: int) -> int:
    if not 0 < fraction < 1:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, got {fraction}")
    return math.ceil(fraction * n)


def _refuse_empty(**sizes: int) -> None:
    if min(sizes.values()) < 1:
        parts = ", ".join(f"{max(size, 0)} to {name}" for name, size in sizes.items())
        raise ValueError(
            f"every part of a split needs a row, got {parts}: bring more rows or change the sizes"
        )


def _stratified(order: Array, y: Array, n_test: int) -> Array:
    """Bring each class's share of the test rows to the front; the order stays random."""
    if y.ndim != 1:
        raise ValueError(f"stratify expects labels of shape (N,), got {y.shape}")
    values, index, counts = np.unique(y[order], return_inverse=True, return_counts=True)
    exact = counts * n_test / len(y)
    take = exact.astype(np.int64)
    # The rows that rounding down left over go to the largest remainders.
    take[np.argsort(take - exact, kind="stable")[: n_test - take.sum()]] += 1
    rare = np.flatnonzero((take == 0) | (take == counts))
    if rare.size:
        raise ValueError(
            f"stratify needs rows of every class on both sides, got {counts[rare[0]]} of class "
            f"{values[rare[0]]} for {n_test} test rows of {len(y)}: use stratify=False"
        )
    for_test = np.zeros(len(y), dtype=bool)
    for k, count in enumerate(take):
        for_test[np.flatnonzero(index == k)[:count]] = True
    return np.concatenate([order[for_test], order[~for_test]])


def scaling(X: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column; 1 where a column is constant.

    Examples
    --------
    >>> scaling(np.array([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]]))[1].round(2)
    array([1.  , 1.63])
    """
    # the standard deviation of a constant column can come out as 1e-17 instead of 0
    constant = X.min(axis=0) == X.max(axis=0)
    return X.mean(axis=0), np.where(constant, 1.0, X.std(axis=0))


def standardize(X_train: Array, *others: Array) -> tuple[Array, ...]:
    r"""Give each feature mean 0 and standard deviation 1, as measured on the training rows alone.

    .. math:: X_{nd} \leftarrow (X_{nd} - \mu_d) / \sigma_d

    Parameters
    ----------
    X_train : (N, D), the rows that the mean and the standard deviation are taken from
    others : (M, D), scaled by the same numbers: test rows are scaled, never measured

    Returns
    -------
    scaled : as many arrays as were passed; a feature that never changes becomes 0

    Raises
    ------
    ValueError
        When the arrays do not have the same number of columns, or X_train has no rows.

    Examples
    --------
    >>> X_train, X_test = standardize(np.array([[1.0], [3.0]]), np.array([[5.0]]))
    >>> X_train.ravel(), X_test.ravel()
    (array([-1.,  1.]), array([3.]))
    """
    arrays = [np.asarray(X) for X in (X_train, *others)]
    given = [X.shape for X in arrays]
    if any(len(shape) != 2 or shape[1] != given[0][-1] for shape in given) or given[0][0] == 0:
        raise ValueError(f"standardize expects (N, D), then (M, D) for the others, got {given}")
    mean, std = scaling(arrays[0])
    return tuple((X - mean) / std for X in arrays)


# ---------------------------------------------------------------------------- CSV


def load_csv(path: str | os.PathLike[str]) -> tuple[Array, Array]:
    r"""Two-class data from a CSV file of numbers; the last column is the label.

    Commas, semicolons or tabs; with or without a line of names; blank lines are skipped. The
    labels may be any two numbers (0 and 1, 1 and 2, -1 and 1): the smaller becomes class 0.

    Parameters
    ----------
    path : the file, as UTF-8 text

    Returns
    -------
    X : (N, D) float64
    y : (N,) int64, 0 or 1

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file is not such a table; the message gives the line and the column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "tiny.csv")
    ...     _ = file.write_text("height;weight;label\n1.5;2;-1\n2.5;4;1\n")
    ...     load_csv(file)
    (array([[1.5, 2. ],
           [2.5, 4. ]]), array([0, 1]))
    """
    path = Path(path)
    rows = _csv_rows(path, _csv_text(path))
    _check_table(path, rows)
    if not any(_is_number(cell) for cell in rows[0][1]):
        rows = rows[1:]
    if not rows:
        raise ValueError(f"{path} has a line of names and no rows: expected numbers below it")
    table = np.array([_numbers(path, line, cells) for line, cells in rows])
    values, y = np.unique(table[:, -1], return_inverse=True)
    if len(values) != 2:
        found = ", ".join(f"{value:g}" for value in values[:5]) + ", ..." * (len(values) > 5)
        raise ValueError(
            f"{path}: expected two different labels in the last column, "
            f"got {len(values)} ({found}): is the label the last column?"
        )
    return table[:, :-1], y.astype(np.int64)


def _csv_text(path: Path) -> str:
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected a CSV file")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected a CSV file (from {Path.cwd()})")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start}): save it as CSV in UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{path} is a binary file: expected a CSV file")
    return text


def _csv_rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    lines = [(n, line) for n, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip()]
    if not lines:
        raise ValueError(f"{path} is empty: expected rows of numbers")
    # A decimal comma stands on as many lines as the semicolon between two such numbers, so on a
    # tie the comma comes last.
    delimiter = max("\t;,", key=lambda mark: sum(mark in line for _, line in lines))
    rows = []
    for n, line in lines:
        try:
            cells = next(csv.reader([line], delimiter=delimiter))
        except csv.Error as error:
            raise ValueError(f"{path}, line {n}: not a line of CSV ({error})") from None
        rows.append((n, [cell.strip() for cell in cells]))
    return rows


def _check_table(path: Path, rows: Sequence[tuple[int, list[str]]]) -> None:
    first, names = rows[0]
    if len(names) < 2:
        raise ValueError(
            f"{path}, line {first}: expected at least one feature and the label, separated by "
            f"comma, semicolon or tab, got one column"
        )
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {line}: expected {len(names)} columns as in line {first}, got {len(cells)}"
            )
        if "" in cells:
            raise ValueError(
                f"{path}, line {line}, column {cells.index('') + 1}: the value is missing: "
                f"fill it in, or leave out the row or the column"
            )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a number, nobody else does


def _numbers(path: Path, line: int, cells: Sequence[str]) -> list[float]:
    for column, cell in enumerate(cells, 1):
        if not _is_number(cell):
            hint = "write decimals with a point" if "," in cell else "only numbers are read"
            if column == len(cells):
                hint = "number the two classes 0 and 1"
            raise ValueError(f"{path}, line {line}, column {column}: expected a number, got {cell!r}: {hint}")
        if not math.isfinite(float(cell)):
            raise ValueError(
                f"{path}, line {line}, column {column}: expected a finite number, got {cell!r}: "
                f"fill it in, or leave out the row"
            )
    return [float(cell) for cell in cells]


# ---------------------------------------------------------------------------- MNIST

MNIST_SIDE = 28
MNIST_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
# Two compressions of the same bytes: the files of this repository, then the files as first
# published, which most mirrors serve.
MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte.gz": (
        "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte.gz": (
        "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}


def mnist(split: Literal["train", "test"] = "train", dtype: DTypeLike = np.float32) -> tuple[Array, Array]:
    r"""Handwritten digits, 28 by 28 pixels: 60 000 to train on, 10 000 to test on.

    .. math:: X_{nd} = \text{pixel}_{nd} / 255

    The files are looked for in ``$NNLIB_DATA`` and its folder ``mnist``, in ``data/mnist`` of the
    repository, and in the user's cache (``~/.cache/nnlib/mnist``), and are used only when their
    checksums are right.

    Parameters
    ----------
    split : "train" or "test"
    dtype : floating type of X

    Returns
    -------
    X : (N, 784) of `dtype`, from 0 (paper) to 1 (ink), row after row of the image
    y : (N,) int64, the digits

    Raises
    ------
    FileNotFoundError
        When the files are in none of these places.
    ValueError, TypeError
        When a file is damaged or another's, there is no such split, or dtype is not floating.

    Examples
    --------
    >>> X, y = mnist("test")
    >>> X.shape, X.dtype, y[:5]
    ((10000, 784), dtype('float32'), array([7, 2, 1, 0, 4]))
    """
    if split not in MNIST_FILES:
        raise ValueError(f'mnist expects split "train" or "test", got {split!r}')
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"mnist expects a floating dtype such as np.float32, got {dtype}")
    images, labels = MNIST_FILES[split]
    folder = _mnist_folder(images, labels)
    pixels = _parse_idx(folder / images, _verified(folder / images))
    y = _parse_idx(folder / labels, _verified(folder / labels))
    X = np.divide(pixels.reshape(len(pixels), -1), 255, dtype=dtype)
    return X, y.astype(np.int64)


def _mnist_folder(*files: str) -> Path:
    """First folder that has all of the files."""
    folders = []
    if os.environ.get("NNLIB_DATA"):
        chosen = Path(os.environ["NNLIB_DATA"]).expanduser()
        folders += [chosen, chosen / "mnist"]
    folders.append(Path(__file__).resolve().parents[1] / "data" / "mnist")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folders.append(Path(cache, "nnlib", "mnist"))
    for folder in folders:
        if all((folder / file).is_file() for file in files):
            return folder
    raise FileNotFoundError(
        "MNIST is in none of these folders:\n"
        + "".join(f"  {folder}\n" for folder in folders)
        + f"Copy the files {', '.join(MNIST_SHA256)} into one of them (they are in data/mnist of "
        "the course's repository), or set the environment variable NNLIB_DATA to the folder "
        "that has them."
    )


def _verified(path: Path) -> bytes:
    """Contents of one of the four files, provided that its checksum is right."""
    raw = path.read_bytes()
    got = hashlib.sha256(raw).hexdigest()
    if got in MNIST_SHA256[path.name]:
        return raw
    twin = next((name for name, sums in MNIST_SHA256.items() if got in sums), None)
    cause = f"this is {twin} under another name" if twin else "the file is damaged or incomplete"
    raise ValueError(
        f"{path}: expected sha256 {MNIST_SHA256[path.name][0]}, got {got}: {cause}; copy {path.name} again"
    )


IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Array from a file in the IDX format, which MNIST and its relatives come in.

    Two zero bytes, a byte for the type, a byte for the number of axes, their sizes as big-endian
    32-bit integers, then the numbers.

    Parameters
    ----------
    path : the file, plain or compressed by gzip

    Returns
    -------
    array : of the shape and type that the file states

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file is not IDX, or is shorter or longer than it says.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "three-bytes.idx")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 10, 20, 30]))
    ...     read_idx(file)
    array([10, 20, 30], dtype=uint8)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is a folder: expected an IDX file")
    return _parse_idx(path, path.read_bytes())


def _parse_idx(path: Path, raw: bytes) -> Array:
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"{path}: the gzip file is damaged or incomplete ({error}): copy it again"
            ) from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in IDX_TYPES:
        raise ValueError(
            f"{path} is not an IDX file: expected it to start with 00 00, a type from 08 to 0e "
            f"and the number of axes, got {raw[:4].hex(' ') or 'an empty file'}"
        )
    dtype, start = np.dtype(IDX_TYPES[raw[2]]), 4 + 4 * raw[3]
    if len(raw) < start:
        raise ValueError(f"{path}: expected {start} bytes of header, got {len(raw)}: copy it again")
    shape = tuple(np.frombuffer(raw[4:start], dtype=">u4").tolist())
    size = start + math.prod(shape) * dtype.itemsize
    if len(raw) != size:
        raise ValueError(f"{path}: expected {size} bytes for shape {shape}, got {len(raw)}")
    numbers = np.frombuffer(raw, dtype=dtype, offset=start).reshape(shape)
    return numbers.astype(dtype.newbyteorder("="))


def shift_images(X: Array, rng: np.random.Generator, *, pixels: int = 1, groups: int = 4) -> Array:
    """Move MNIST digits by a pixel or so: new training data for free, as a moved 7 is still a 7.

    The rows are cut into a few groups, and each group moves as one: with shuffled mini-batches
    that is as random as moving every image by itself, and far faster.

    Parameters
    ----------
    X : (N, 784) images of 28 by 28 pixels
    rng : source of randomness
    pixels : how far at most, up, down and sideways
    groups : number of groups

    Returns
    -------
    moved : (N, 784), a new array of the same dtype; what comes in at the edge is 0

    Raises
    ------
    ValueError, TypeError
        When X has another shape, pixels or groups is out of range, or rng is not a Generator.

    Examples
    --------
    >>> X = np.zeros((1, 784))
    >>> X[0, 28 * 14 + 14] = 1
    >>> moved = shift_images(X, np.random.default_rng(0))
    >>> [int(i) for i in np.unravel_index(moved.argmax(), (28, 28))]
    [13, 13]
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != MNIST_SIDE**2:
        raise ValueError(
            f"shift_images expects X of shape (N, {MNIST_SIDE**2}), got {X.shape}: "
            f"use X.reshape(len(X), -1) for images"
        )
    pixels, groups = _whole("pixels", pixels, 0), _whole("groups", groups, 1)
    if pixels >= MNIST_SIDE:
        raise ValueError(f"pixels must be below {MNIST_SIDE}, got {pixels}")
    images = X.reshape(-1, MNIST_SIDE, MNIST_SIDE)
    moved = np.zeros_like(images)
    cuts = [len(X) * g // groups for g in range(groups + 1)]
    steps = check_rng(rng).integers(-pixels, pixels + 1, size=(groups, 2)).tolist()
    for (first, last), (down, right) in zip(pairwise(cuts), steps, strict=True):
        (to_y, from_y), (to_x, from_x) = _overlap(down), _overlap(right)
        moved[first:last, to_y, to_x] = images[first:last, from_y, from_x]
    return moved.reshape(X.shape)


def _overlap(step: int) -> tuple[slice, slice]:
    """Where a line of pixels lands when it moves by `step`, and where it comes from."""
    to = slice(max(step, 0), MNIST_SIDE + min(step, 0))
    return to, slice(to.start - step, to.stop - step)
