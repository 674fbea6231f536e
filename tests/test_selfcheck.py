"""What a student reads when a problem is not solved yet: sentences that help, and no false alarm."""

import functools
import inspect

import numpy as np
import pytest

import nnlib
from nnlib import functional as F
from nnlib.selfcheck import _functions, expect, same, unchanged, without_nnlib


@pytest.mark.parametrize(
    ("got", "expected", "says"),
    [
        (None, 1.0, "gives nothing yet"),
        (..., 1.0, "gives nothing yet"),
        ("three", 3.0, "should be numbers, but it is str 'three'"),
        ([[1, 2], [3]], [1.0], "should be numbers, but it is list"),
        (np.ones((2, 3)), np.ones((3, 2)), r"should have shape \(3, 2\), but it has shape \(2, 3\)"),
        ([1.0, 2.0], [1.0, 2.5], r"f\(x\)\[1\] should be 2.5, but it is 2 \(1 of 2 entries are off\)"),
        (0.5, 0.25, r"f\(x\) should be 0.25, but it is 0.5\."),
        (np.nan, 0.0, "should be 0, but it is nan"),
        (1.0, np.nan, "should be nan"),
    ],
)
def test_what_is_wrong_is_said_in_words(got, expected, says):
    with pytest.raises(AssertionError, match=says):
        same("f(x)", got, expected)


def test_a_hint_follows_only_where_numbers_differ():
    with pytest.raises(AssertionError, match=r"it is 2\. Count again\.$"):
        same("n", 2, 3, hint="Count again.")
    with pytest.raises(AssertionError, match=r"shape \(1,\)\.$"):
        same("n", [2], 3, hint="Count again.")


def test_equal_numbers_pass_whatever_holds_them():
    same("n", [1, 2], np.array([1.0, 2.0 + 1e-9], dtype=np.float32))
    same("n", 1e9 + 1, 1e9, tolerance=1e-8)  # relative for large numbers
    expect(True, "never said")
    with pytest.raises(AssertionError, match="said"):
        expect(False, "said")


def test_an_input_that_was_changed_is_named():
    X, W = np.array([1.0, np.nan]), np.ones(2)
    with unchanged(X=X, W=W):
        pass
    with pytest.raises(AssertionError, match="changed W itself"), unchanged(X=X, W=W):
        W *= 2


def test_nnlib_refuses_to_help_and_is_whole_again_afterwards():
    layer, loss, rule = nnlib.ReLU(), nnlib.MSE(), nnlib.SGD(0.1)
    before = {function: function.__code__ for function in _functions()}
    borrowed, partly = F.softmax_backward, functools.partial(F.linear, np.ones((2, 3)))
    for helped in (
        lambda: F.relu(np.ones(2)),
        lambda: borrowed(np.ones((1, 2)), np.ones((1, 2))),  # a name from before the block
        lambda: partly(np.ones((3, 1)), np.ones(1)),
        lambda: layer.forward(np.ones((1, 2))),
        lambda: loss.forward(np.ones((1, 1)), np.ones((1, 1))),
        lambda: rule.step({"W": np.ones(1)}, {"W": np.ones(1)}),
        lambda: nnlib.numerical_gradient(np.sum, np.ones(2)),
        lambda: nnlib.minibatches(np.ones((2, 1)), np.ones(2), 1, rng=np.random.default_rng()),
        lambda: nnlib.initializers.he_normal((2, 3), rng=np.random.default_rng()),
        lambda: nnlib.Linear(2, 3, rng=np.random.default_rng()),
    ):
        with pytest.raises(AssertionError, match="may not call nnlib"), without_nnlib():
            helped()
    assert set(before) >= {inspect.unwrap(getattr(F, name)) for name in F.__all__}
    assert {function: function.__code__ for function in _functions()} == before
    assert layer.forward(np.ones((1, 2))).shape == (1, 2)
    with pytest.raises(ZeroDivisionError), without_nnlib():
        1 / 0  # noqa: B018
    np.testing.assert_array_equal(F.relu(np.array([-1.0, 2.0])), [0, 2])
