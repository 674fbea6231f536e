"""Every backward is the derivative of its forward, and the formulas hold where naive ones break."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from nnlib import functional as F
from nnlib.gradcheck import check_function
from nnlib.metrics import one_hot

N, D, M = 5, 4, 3  # all different, none 1: a wrong transpose or sum cannot hide


def off_kink(rng, *shape):
    """Numbers that stay away from 0, where ReLU has no derivative."""
    return rng.choice([-1, 1], shape) * rng.uniform(0.1, 2, shape)


def pairs(rng):
    """Name -> (forward, backward(dY, *inputs), inputs), for every pair in the module."""
    Z, P = off_kink(rng, N, M), rng.uniform(0.1, 0.9, (N, M))
    Y, y = rng.integers(0, 2, (N, M)), rng.integers(0, M, N)
    X, W, b = rng.standard_normal((N, D)), rng.standard_normal((D, M)), rng.standard_normal(M)
    mask = (rng.random((N, M)) > 0.5) * 2.0
    images, K, kb = (
        rng.standard_normal((2, 3, 7, 6)),
        rng.standard_normal((4, 3, 3, 2)),
        rng.standard_normal(4),
    )
    conv = {"stride": 2, "padding": 1}
    pool = {"kernel_size": 3, "stride": 2}

    def loss(f, f_backward, target):
        return (lambda A: f(A, target)), (lambda dL, A: dL * f_backward(A, target))

    def by_output(f, f_backward):
        return f, (lambda dA, Z: f_backward(dA, f(Z)))

    return {
        "linear": (F.linear, lambda dY, X, W, b: F.linear_backward(dY, X, W), {"X": X, "W": W, "b": b}),
        "relu": (F.relu, F.relu_backward, {"Z": Z}),
        "leaky_relu": (F.leaky_relu, F.leaky_relu_backward, {"Z": Z}),
        "tanh": (*by_output(F.tanh, F.tanh_backward), {"Z": Z}),
        "sigmoid": (*by_output(F.sigmoid, F.sigmoid_backward), {"Z": Z}),
        "softmax": (*by_output(F.softmax, F.softmax_backward), {"Z": Z}),
        "log_softmax": (*by_output(F.log_softmax, F.log_softmax_backward), {"Z": Z}),
        "dropout": (
            lambda X: F.dropout(X, mask.astype(X.dtype)),
            lambda dY, X: F.dropout_backward(dY, mask.astype(X.dtype)),
            {"X": Z},
        ),
        "flatten": (F.flatten, lambda dY, X: F.flatten_backward(dY, X.shape), {"X": images}),
        "conv2d": (
            lambda X, W, b: F.conv2d(X, W, b, **conv),
            lambda dY, X, W, b: F.conv2d_backward(dY, X, W, **conv),
            {"X": images, "W": K, "b": kb},
        ),
        "max_pool2d": (
            lambda X: F.max_pool2d(X, **pool),
            lambda dY, X: F.max_pool2d_backward(dY, X, **pool),
            {"X": images},
        ),
        "mse": (*loss(F.mse, F.mse_backward, rng.standard_normal((N, M))), {"P": Z}),
        "binary_cross_entropy": (*loss(F.binary_cross_entropy, F.binary_cross_entropy_backward, Y), {"P": P}),
        "binary_cross_entropy_with_logits": (
            *loss(F.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits_backward, Y),
            {"Z": Z},
        ),
        "categorical_cross_entropy": (
            *loss(F.categorical_cross_entropy, F.categorical_cross_entropy_backward, y),
            {"P": P},
        ),
        "softmax_cross_entropy": (
            *loss(F.softmax_cross_entropy, F.softmax_cross_entropy_backward, y),
            {"Z": Z},
        ),
    }


PAIRS = sorted(name for name in F.__all__ if not name.endswith("_backward"))


@pytest.mark.parametrize("name", PAIRS)
def test_backward_is_the_derivative_of_forward(name, rng):
    forward, backward, inputs = pairs(rng)[name]
    report = check_function(forward, backward, inputs, rng=rng, title=name)
    assert report.ok, str(report)
    assert report.worst.error < 1e-8


def test_every_pair_of_the_module_is_checked(rng):
    assert sorted(pairs(rng)) == PAIRS
    assert {f"{name}_backward" for name in PAIRS} <= set(F.__all__)


@pytest.mark.parametrize("name", F.__all__)
def test_every_docstring_names_its_equation_its_shapes_and_an_example(name):
    doc = inspect.getdoc(getattr(F, name))
    for section in ("Equation\n--------\neq-", "Shapes\n------", ".. math::", ">>>"):
        assert section in doc


def test_relu_has_derivative_zero_at_zero():
    # a central difference would say 1/2 there: this is a convention and needs its own test
    assert F.relu_backward(np.ones(3), np.array([-1.0, 0.0, 1.0])).tolist() == [0, 0, 1]
    assert F.leaky_relu_backward(np.ones(3), np.array([-1.0, 0.0, 1.0]), 0.1).tolist() == [0.1, 0.1, 1]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softmax", "log_softmax"])
def test_the_complex_step_agrees_to_the_last_digits(name, rng):
    """Im f(Z + ih)/h is the directional derivative, without any subtraction."""
    f, f_backward = getattr(F, name), getattr(F, f"{name}_backward")
    Z, V, dA = (rng.standard_normal((N, M)) for _ in range(3))
    directional = np.sum(dA * f(Z + 1e-20j * V).imag) / 1e-20
    np.testing.assert_allclose(np.sum(V * f_backward(dA, f(Z))), directional, rtol=1e-13)


# --- numbers that break naive formulas --------------------------------------------------------


def test_sigmoid_neither_overflows_nor_loses_small_probabilities():
    A = F.sigmoid(np.array([-1000.0, -40.0, 0.0, 40.0, 1000.0]))
    assert A[0] == 0
    assert A[4] == 1
    np.testing.assert_allclose(A[1], np.exp(-40.0), rtol=1e-12)
    assert F.sigmoid(0.0) == 0.5


@given(st.floats(-700, 700))
def test_sigmoid_is_symmetric(z):
    np.testing.assert_allclose(F.sigmoid(-z), 1 - F.sigmoid(z), rtol=1e-12, atol=1e-16)


@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4))
def test_softmax_gives_probabilities_even_with_huge_numbers(seed, shift):
    Z = np.random.default_rng(seed).uniform(-1e4, 1e4, (N, M))
    P = F.softmax(Z)
    assert (P >= 0).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(F.softmax(Z + shift), P, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("shape", [(7,), (5, 1), (5, 100), (5, 101), (2, 3, 4), (2, 3, 300)])
def test_softmax_of_rows_of_any_length_and_number_of_axes_is_the_quotient_of_the_equation(rng, shape):
    Z = rng.standard_normal(shape)
    P = np.exp(Z) / np.exp(Z).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(F.softmax(Z), P, rtol=1e-12)
    np.testing.assert_allclose(F.log_softmax(Z), np.log(P), rtol=1e-12)
    np.testing.assert_allclose(F.softmax(Z.tolist()), P, rtol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_each_row_of_the_gradient_of_softmax_adds_up_to_zero(seed):
    rng = np.random.default_rng(seed)
    P = F.softmax(3 * rng.standard_normal((N, M)))
    np.testing.assert_allclose(F.softmax_backward(rng.standard_normal((N, M)), P).sum(axis=1), 0, atol=1e-14)


def test_cross_entropy_from_scores_is_finite_where_probabilities_round_to_zero():
    Z, y = np.array([[800.0, 0.0, -800.0]]), np.array([2])
    assert F.softmax_cross_entropy(Z, y) == 1600
    np.testing.assert_allclose(F.softmax_cross_entropy_backward(Z, y), [[1, 0, -1]])
    assert F.categorical_cross_entropy(F.softmax(Z), y) == np.inf  # what the equation says; no clipping
    assert F.binary_cross_entropy_with_logits(np.array([800.0]), np.array([0])) == 800
    assert F.binary_cross_entropy(np.array([1.0]), np.array([0])) == np.inf
    assert F.binary_cross_entropy(np.array([1.0, 0.0]), np.array([1, 0])) == 0
    assert F.binary_cross_entropy_backward(np.array([1.0, 0.0]), np.array([1, 0])).tolist() == [-0.5, 0.5]


def test_a_tiny_loss_keeps_its_digits():
    tiny = np.log1p(np.exp(-40.0))
    for Z, Y in ((40.0, 1), (-40.0, 0)):
        found = F.binary_cross_entropy_with_logits(np.array([Z]), np.array([Y]))
        np.testing.assert_allclose(found, tiny, rtol=1e-12)


def test_the_loss_from_scores_is_the_loss_of_the_probabilities(rng):
    Z, y = rng.standard_normal((N, M)), rng.integers(0, M, N)
    np.testing.assert_allclose(F.softmax_cross_entropy(Z, y), F.categorical_cross_entropy(F.softmax(Z), y))
    Y = one_hot(y, M)
    np.testing.assert_allclose(
        F.binary_cross_entropy_with_logits(Z, Y), F.binary_cross_entropy(F.sigmoid(Z), Y)
    )


def test_softmax_then_cross_entropy_backward_contracts_to_p_minus_y(rng):
    Z, y = rng.standard_normal((N, M)), rng.integers(0, M, N)
    P = F.softmax(Z)
    long_way = F.softmax_backward(F.categorical_cross_entropy_backward(P, y), P)
    np.testing.assert_allclose(long_way, F.softmax_cross_entropy_backward(Z, y), atol=1e-16)
    np.testing.assert_allclose(long_way, (P - one_hot(y, M)) / N, atol=1e-16)


def test_labels_and_one_hot_rows_are_the_same_target(rng):
    Z, y = rng.standard_normal((N, M)), rng.integers(0, M, N)
    assert F.softmax_cross_entropy(Z, y) == F.softmax_cross_entropy(Z, one_hot(y, M))


def test_a_loss_is_a_mean_so_a_batch_given_twice_changes_nothing(rng):
    Z, y = rng.standard_normal((N, M)), rng.integers(0, M, N)
    Z2, y2 = np.vstack([Z, Z]), np.concatenate([y, y])
    np.testing.assert_allclose(F.softmax_cross_entropy(Z2, y2), F.softmax_cross_entropy(Z, y))
    np.testing.assert_allclose(
        2 * F.softmax_cross_entropy_backward(Z2, y2)[:N], F.softmax_cross_entropy_backward(Z, y)
    )
    assert F.mse(Z2, Z2 + 1) == pytest.approx(F.mse(Z, Z + 1))


# --- convolution and pooling against the equation, loop by loop -------------------------------


def conv2d_by_loops(X, W, b, stride, padding):
    X = np.pad(X, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (F_, _, KH, KW) = W.shape
    OH, OW = (X.shape[2] - KH) // stride + 1, (X.shape[3] - KW) // stride + 1
    Y = np.empty((len(X), F_, OH, OW))
    for n, f, i, j in np.ndindex(Y.shape):
        window = X[n, :, stride * i : stride * i + KH, stride * j : stride * j + KW]
        Y[n, f, i, j] = b[f] + np.sum(window * W[f])
    return Y


shapes = st.fixed_dictionaries(
    {
        "N": st.integers(1, 3), "C": st.integers(1, 3), "F": st.integers(1, 4), "KH": st.integers(1, 4),
        "KW": st.integers(1, 4), "stride": st.integers(1, 3), "padding": st.integers(0, 2),
        "extra_h": st.integers(0, 4), "extra_w": st.integers(0, 4), "seed": st.integers(0, 2**32 - 1),
    }
)  # fmt: skip


def draw_convolution(s):
    rng = np.random.default_rng(s["seed"])
    H, W = (max(1, s[k] + s[e] - 2 * s["padding"]) for k, e in (("KH", "extra_h"), ("KW", "extra_w")))
    X = rng.standard_normal((s["N"], s["C"], H, W))
    K = rng.standard_normal((s["F"], s["C"], s["KH"], s["KW"]))
    return X, K, rng.standard_normal(s["F"]), {"stride": s["stride"], "padding": s["padding"]}, rng


@given(shapes)
def test_convolution_is_the_sum_that_the_equation_writes(s):
    X, K, b, how, _ = draw_convolution(s)
    np.testing.assert_allclose(F.conv2d(X, K, b, **how), conv2d_by_loops(X, K, b, **how), atol=1e-12)


@given(shapes)
def test_convolution_backward_is_the_adjoint_of_forward(s):
    """<conv(V), dY> = <V, dX> for every V, and likewise for W and b: no differences needed."""
    X, K, b, how, rng = draw_convolution(s)
    Y = F.conv2d(X, K, b, **how)
    dY, V, U = (rng.standard_normal(a.shape) for a in (Y, X, K))
    dX, dW, db = F.conv2d_backward(dY, X, K, **how)
    zero = np.zeros_like(b)
    np.testing.assert_allclose(np.sum(F.conv2d(V, K, zero, **how) * dY), np.sum(V * dX), atol=1e-11)
    np.testing.assert_allclose(np.sum(F.conv2d(X, U, zero, **how) * dY), np.sum(U * dW), atol=1e-11)
    np.testing.assert_allclose(dY.sum(axis=(0, 2, 3)), db, atol=1e-12)


def correlate(X, W, pad_h, pad_w):
    """Stride 1, by the letters of the equation; negative padding crops."""
    X = np.pad(X, ((0, 0), (0, 0), (max(pad_h, 0),) * 2, (max(pad_w, 0),) * 2))
    crop_h, crop_w = max(-pad_h, 0), max(-pad_w, 0)
    X = X[:, :, crop_h : X.shape[2] - crop_h, crop_w : X.shape[3] - crop_w]
    return np.einsum("ncijkl,fckl->nfij", sliding_window_view(X, W.shape[2:], axis=(2, 3)), W)


@given(shapes)
def test_the_input_gradient_is_a_correlation_with_the_flipped_kernel(s):
    """For a stride too, once the zeros that it skips stand between the entries of dY."""
    X, K, b, how, rng = draw_convolution(s)
    dY = rng.standard_normal(F.conv2d(X, K, b, **how).shape)
    p, KH, KW = s["padding"], *K.shape[2:]
    H, W = X.shape[2] + 2 * p, X.shape[3] + 2 * p
    spread = np.zeros((*dY.shape[:2], H - KH + 1, W - KW + 1))  # the output that a stride of 1 would have
    spread[:, :, :: s["stride"], :: s["stride"]] = dY
    flipped = K[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    dX = correlate(spread, flipped, KH - 1 - p, KW - 1 - p)
    np.testing.assert_allclose(F.conv2d_backward(dY, X, K, **how)[0], dX, atol=1e-12)


@given(shapes)
def test_the_kernel_gradient_is_a_correlation_without_a_flip(s):
    X, K, b, how, rng = draw_convolution(s)
    dY = rng.standard_normal(F.conv2d(X, K, b, **how).shape)
    p, step = s["padding"], s["stride"]
    X_padded = np.pad(X, ((0, 0), (0, 0), (p, p), (p, p)))
    windows = sliding_window_view(X_padded, K.shape[2:], axis=(2, 3))[:, :, ::step, ::step]
    dW = np.einsum("nfij,ncijkl->fckl", dY, windows)
    np.testing.assert_allclose(F.conv2d_backward(dY, X, K, **how)[1], dW, atol=1e-12)


@given(shapes)
def test_convolution_is_a_linear_layer_on_the_matrix_of_windows(s):
    """im2col: one row per window; the way back adds every entry to the pixel that it was copied from."""
    X, K, b, how, rng = draw_convolution(s)
    Y = F.conv2d(X, K, b, **how)
    dY, p = rng.standard_normal(Y.shape), s["padding"]
    number = np.pad(np.arange(1, X.size + 1).reshape(X.shape), ((0, 0), (0, 0), (p, p), (p, p)))
    origin = sliding_window_view(number, K.shape[2:], axis=(2, 3))[:, :, :: s["stride"], :: s["stride"]]
    origin = origin.transpose(0, 2, 3, 1, 4, 5).reshape(-1, K[0].size)  # number of the pixel; 0: padding
    U = np.append(0, X)[origin]
    W, rows = K.reshape(len(K), -1).T, dY.transpose(0, 2, 3, 1).reshape(-1, len(K))
    as_rows = Y.transpose(0, 2, 3, 1).reshape(-1, len(K))
    np.testing.assert_allclose(F.linear(U, W, b), as_rows, atol=1e-12)
    dU, dW, db = F.linear_backward(rows, U, W)
    dX = np.zeros(X.size + 1)
    np.add.at(dX, origin, dU)
    for ours, expected in zip(
        F.conv2d_backward(dY, X, K, **how), (dX[1:].reshape(X.shape), dW.T.reshape(K.shape), db), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-12)


@given(shapes, st.permutations(range(4)), st.booleans())
def test_images_may_lie_in_memory_in_any_order_and_are_not_written_to(s, order, reverse):
    X, K, b, how, rng = draw_convolution(s)
    dY = rng.standard_normal(F.conv2d(X, K, b, **how).shape)
    expected = F.conv2d(X, K, b, **how), *F.conv2d_backward(dY, X, K, **how)

    def lay(A):
        A = np.ascontiguousarray(A.transpose(order)).transpose(np.argsort(order))
        A = A[::-1].copy(order="K")[::-1] if reverse else A  # backwards in memory
        A.flags.writeable = False
        return A

    X, K, dY = map(lay, (X, K, dY))
    for ours, right in zip(
        (F.conv2d(X, K, b, **how), *F.conv2d_backward(dY, X, K, **how)), expected, strict=True
    ):
        np.testing.assert_allclose(ours, right, atol=1e-12)
    pooled = F.max_pool2d(X, kernel_size=1)
    np.testing.assert_array_equal(pooled, X)
    np.testing.assert_array_equal(F.max_pool2d_backward(pooled, X, kernel_size=1), X)


def test_a_kernel_with_a_single_one_crops_the_image(rng):
    X, W = rng.standard_normal((2, 1, 5, 5)), np.zeros((1, 1, 3, 3))
    W[0, 0, 2, 0] = 1
    np.testing.assert_array_equal(F.conv2d(X, W, np.zeros(1))[:, 0], X[:, 0, 2:, :3])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_max_pooling_takes_the_largest_of_each_window(kernel_size, stride, extra, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((2, 3, kernel_size + extra, kernel_size + 2 * extra))
    Y = F.max_pool2d(X, kernel_size=kernel_size, stride=stride)
    for n, c, i, j in np.ndindex(Y.shape):
        rows, columns = (slice(stride * a, stride * a + kernel_size) for a in (i, j))
        assert Y[n, c, i, j] == X[n, c, rows, columns].max()
    dY = rng.standard_normal(Y.shape)
    dX = F.max_pool2d_backward(dY, X, kernel_size=kernel_size, stride=stride)
    np.testing.assert_allclose(dX.sum(), dY.sum(), atol=1e-12)  # nothing is lost, nothing doubled


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_max_pooling_backward_gives_each_window_to_its_first_largest_entry(kernel_size, stride, extra, seed):
    """Loop by loop, on numbers with many ties, with windows that overlap or leave gaps."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, (2, 3, kernel_size + extra, kernel_size + 2 * extra)) * 1.0
    dY = rng.standard_normal(F.max_pool2d(X, kernel_size=kernel_size, stride=stride).shape)
    dX = np.zeros(X.shape)
    for n, c, i, j in np.ndindex(dY.shape):
        window = X[n, c, stride * i :, stride * j :][:kernel_size, :kernel_size]
        k, l = np.unravel_index(window.argmax(), window.shape)  # noqa: E741
        dX[n, c, stride * i + k, stride * j + l] += dY[n, c, i, j]
    np.testing.assert_allclose(
        F.max_pool2d_backward(dY, X, kernel_size=kernel_size, stride=stride), dX, atol=1e-12
    )


def test_of_equal_entries_the_first_gets_the_gradient():
    dX = F.max_pool2d_backward(np.ones((1, 1, 1, 1)), np.ones((1, 1, 2, 2)), kernel_size=2)
    assert dX[0, 0].tolist() == [[1, 0], [0, 0]]


# --- dtypes and shapes --------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
def test_float32_in_gives_float32_out(name, rng):
    forward, backward, inputs = pairs(rng)[name]
    inputs = {key: value.astype(np.float32) for key, value in inputs.items()}
    Y = forward(*inputs.values())
    if isinstance(Y, float):
        dY = 1.0
    else:
        assert Y.dtype == np.float32
        dY = np.ones_like(Y, dtype=np.float32)
    gradients = backward(dY, *inputs.values())
    for g in gradients if isinstance(gradients, tuple) else (gradients,):
        assert g.dtype == np.float32


def test_an_empty_batch_has_an_output_and_zero_gradients():
    X, W, b = np.empty((0, D)), np.ones((D, M)), np.ones(M)
    assert F.linear(X, W, b).shape == (0, M)
    dX, dW, db = F.linear_backward(np.empty((0, M)), X, W)
    assert dX.shape == (0, D)
    assert not dW.any()
    assert not db.any()
    assert F.flatten(np.empty((0, 2, 3))).shape == (0, 6)
    images, kernels = np.empty((0, 2, 5, 4)), np.ones((3, 2, 2, 2))
    Y = F.conv2d(images, kernels, np.ones(3))
    assert Y.shape == (0, 3, 4, 3)
    dX, dW, db = F.conv2d_backward(Y, images, kernels)
    assert dX.shape == images.shape
    assert dW.shape == kernels.shape
    assert not dW.any()
    assert not db.any()
    assert (
        F.max_pool2d_backward(F.max_pool2d(images, kernel_size=2), images, kernel_size=2).shape
        == images.shape
    )


def test_losses_take_keywords_and_say_which_argument_is_missing():
    P, Y = np.array([[3.0]]), np.array([[1.0]])
    assert F.mse(P=P, Y=Y) == F.mse(P, Y=Y) == F.mse(Y=Y, P=P) == 4
    assert F.softmax_cross_entropy(Z=np.zeros((1, 2)), Y=np.array([1])) == pytest.approx(np.log(2))
    with pytest.raises(TypeError, match="missing a required argument: 'Y'"):
        F.mse(P)
    with pytest.raises(ValueError, match="mse expects Y of the shape of P"):
        F.mse(P, Y=np.ones(3))


def test_the_contract_holds_for_keywords_and_missing_arguments_too():
    X, W, b = np.ones((N, D)), np.ones((D, M)), np.ones(M)
    np.testing.assert_array_equal(F.linear(X=X, b=b, W=W), F.linear(X, W, b))
    with pytest.raises(ValueError, match=r"W of shape \(D, M\) = \(4, M\), got \(3, 3\)"):
        F.linear(X=X, W=np.ones((M, M)), b=b)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        F.linear(X, W)
    with pytest.raises(ValueError, match=r"got \(2, 3\)$"):  # no reshape would help: no hint
        F.mse(np.ones((3, 2)), np.ones((2, 3)))


def test_shapes_that_were_right_before_do_not_excuse_others():
    dY, X, W = np.ones((5, 3)), np.ones((5, 4)), np.ones((4, 3))
    for _ in range(2):  # the second time they are known
        F.linear_backward(dY, X, W)
        with pytest.raises(ValueError, match=r"expects W of shape \(D, M\) = \(4, 3\), got \(3, 4\)"):
            F.linear_backward(dY, X, W.T)
        with pytest.raises(TypeError, match="dtype object"):
            F.linear_backward(dY, X, W.astype(object))
