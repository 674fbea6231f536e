"""Accuracy and confusion count what they say, for every form of prediction and target."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import accuracy, confusion_matrix, one_hot
from nnlib.metrics import to_labels


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_one_hot_and_back(labels):
    y = np.array(labels)
    Y = one_hot(y, 5)
    assert (Y.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(to_labels(Y), y)
    assert accuracy(Y, y) == accuracy(Y, Y) == 1


def test_accuracy_understands_every_form():
    y = np.array([0, 1, 1, 0])
    P = np.array([0.2, 0.7, 0.4, 0.1])
    assert accuracy(P, y) == accuracy(P[:, None], y[:, None]) == accuracy(P[:, None], y) == 0.75
    assert accuracy(np.array([-2.0, 3.0, 1.0, -1.0]), y, threshold=0.0) == 1
    assert accuracy(np.array([0, 1, 2, 0]), np.array([0, 1, 1, 0])) == 0.75  # labels as predictions


def test_confusion_has_true_classes_as_rows():
    C = confusion_matrix(np.array([1, 1, 2, 0]), np.array([0, 1, 2, 0]), 3)
    assert C.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    P = one_hot(np.array([1, 1, 2, 0]), 3)
    np.testing.assert_array_equal(confusion_matrix(P, np.array([0, 1, 2, 0]), 3), C)


@given(st.integers(0, 2**32 - 1))
def test_the_diagonal_of_the_confusion_is_the_accuracy(seed):
    rng = np.random.default_rng(seed)
    P, y = rng.random((40, 4)), rng.integers(0, 4, 40)
    C = confusion_matrix(P, y, 4)
    assert C.sum() == 40
    assert np.trace(C) / 40 == pytest.approx(accuracy(P, y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_hot(np.array([0, 3]), 3), "got 3 at index 1"),
        (lambda: one_hot(np.array([-1]), 3), "got -1 at index 0"),
        (lambda: one_hot(np.array([0.5]), 3), "fractions"),
        (lambda: one_hot(np.array([np.nan]), 3), "nan"),
        (lambda: one_hot(np.array([[1], [0]]), 3), r"y\.ravel"),
        (lambda: accuracy(np.empty((0, 3)), np.empty(0)), "at least one"),
        (lambda: accuracy(np.ones((3, 2)), np.ones(4)), "3 predictions and 4 targets"),
        (lambda: to_labels(np.ones((2, 2, 2))), r"got \(2, 2, 2\)"),
        (lambda: confusion_matrix(np.array([0]), np.array([0, 1]), 2), "1 predictions and 2 targets"),
    ],
)
def test_bad_labels_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_text_is_no_label():
    with pytest.raises(TypeError, match="number the classes"):
        one_hot(np.array(["cat"]), 2)
