"""Numbers that people read: accuracy, confusion matrix; and one-hot targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from nnlib._shapes import Array

__all__ = ["accuracy", "confusion_matrix", "one_hot", "to_labels"]


def one_hot(y: Array, num_classes: int, *, dtype: DTypeLike = np.float64) -> Array:
    r"""Labels as rows of zeros with a single one.

    .. math:: Y_{nk} = \mathbf{1}[y_n = k]

    Parameters
    ----------
    y : (N,) whole numbers from 0 to num_classes - 1
    num_classes : K, the number of columns
    dtype : dtype of the result

    Returns
    -------
    Y : (N, K) array of `dtype`

    Raises
    ------
    ValueError
        When y is not one-dimensional, holds fractions, or a label is out of range.

    Examples
    --------
    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    labels = as_labels(y, num_classes)
    Y = np.zeros((len(labels), num_classes), dtype=dtype)
    Y[np.arange(len(labels)), labels] = 1
    return Y


def as_labels(y: Array, num_classes: int) -> Array:
    """Y as whole numbers in [0, num_classes), or a ValueError that says which one is not."""
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"labels have shape (N,), got {y.shape}: use y.ravel() if it is one column")
    if y.dtype.kind not in "biuf":
        raise TypeError(f"labels are whole numbers, got dtype {y.dtype}: number the classes from 0")
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.floor(y)).all()):
        raise ValueError("labels are whole numbers, got fractions, nan or inf among them")
    labels = y.astype(np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        raise ValueError(
            f"labels lie between 0 and {num_classes - 1} for {num_classes} classes, "
            f"got {labels[wrong[0]]} at index {wrong[0]}"
        )
    return labels


def to_labels(P: Array, *, threshold: float = 0.5) -> Array:
    """The class that a prediction stands for.

    Parameters
    ----------
    P : (N, K) scores or probabilities: the largest column wins, the first of equals; or
        (N, 1) or (N,) probabilities of class 1: larger than `threshold` means class 1; or
        (N,) whole numbers of an integer dtype, which are labels already
    threshold : 0.5 for probabilities, 0.0 for logits

    Returns
    -------
    y : (N,) int64

    Examples
    --------
    >>> to_labels(np.array([[0.1, 0.9], [0.8, 0.2]]))
    array([1, 0])
    >>> to_labels(np.array([[0.3], [0.7]]))
    array([0, 1])
    """
    P = np.asarray(P)
    if P.ndim not in (1, 2):
        raise ValueError(f"predictions have shape (N, K), (N, 1) or (N,), got {P.shape}")
    if P.ndim == 2 and P.shape[1] > 1:
        labels: Array = P.argmax(axis=1)
        return labels
    if P.ndim == 1 and P.dtype.kind in "iu":
        return P
    return (P.reshape(len(P)) > threshold).astype(np.int64)


def accuracy(prediction: Array, target: Array, *, threshold: float = 0.5) -> float:
    r"""Fraction of rows whose predicted class is the true one.

    .. math:: \frac{1}{N} \sum_n \mathbf{1}[\hat y_n = y_n]

    Parameters
    ----------
    prediction : (N, K) scores, or (N, 1) or (N,) probabilities of class 1
    target : (N,) labels, or the same shape as `prediction` (one-hot, or a column of 0 and 1)
    threshold : see `to_labels`; pass 0.0 when the prediction is a logit

    Raises
    ------
    ValueError
        When there are no rows, or the two do not have the same number of rows.

    Examples
    --------
    >>> accuracy(np.array([[0.9], [0.2], [0.6]]), np.array([[1], [0], [0]]))
    0.6666666666666666
    """
    predicted = to_labels(prediction, threshold=threshold)
    target = np.asarray(target)
    if len(target) != len(predicted) or len(predicted) == 0:
        raise ValueError(
            f"accuracy expects as many targets as predictions and at least one, "
            f"got {len(predicted)} predictions and {len(target)} targets"
        )
    true = target if target.ndim == 1 else to_labels(target)
    return float(np.mean(predicted == true))


def confusion_matrix(prediction: Array, target: Array, num_classes: int) -> Array:
    """How often each class is taken for each other one.

    Parameters
    ----------
    prediction, target : (N,) labels, or anything that `to_labels` understands
    num_classes : K

    Returns
    -------
    C : (K, K) int64; C[i, j] counts rows of true class i predicted as class j

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    array([[1, 1],
           [0, 1]])
    """

    def labels(values: Array) -> Array:
        return as_labels(to_labels(values), num_classes)

    predicted, true = labels(prediction), labels(target)
    if len(predicted) != len(true):
        raise ValueError(
            f"confusion_matrix expects as many targets as predictions, "
            f"got {len(predicted)} predictions and {len(true)} targets"
        )
    C = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(C, (true, predicted), 1)
    return C
