"""The equations: pure functions in pairs, ``f`` and ``f_backward``.

Argument names are the symbols of the equations. Rows are examples: X is (N, D), W is (D, M).
``dX`` stands for the derivative of the loss with respect to X and has the shape of X. Each backward
takes the gradient of its output and what the derivation needs, and returns new arrays: nothing is
written in place. Layers sum over the batch; the only 1/N stands in the losses at the end.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nnlib._shapes import Array, shapes
from nnlib.metrics import one_hot

F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_backward",
    "binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits_backward",
    "categorical_cross_entropy", "categorical_cross_entropy_backward",
    "conv2d", "conv2d_backward", "dropout", "dropout_backward", "flatten", "flatten_backward",
    "leaky_relu", "leaky_relu_backward", "linear", "linear_backward",
    "log_softmax", "log_softmax_backward", "max_pool2d", "max_pool2d_backward",
    "mse", "mse_backward", "relu", "relu_backward", "sigmoid", "sigmoid_backward",
    "softmax", "softmax_backward", "softmax_cross_entropy", "softmax_cross_entropy_backward",
    "tanh", "tanh_backward",
]  # fmt: skip


# --- Linear ---------------------------------------------------------------------------------------


@shapes(X="N D", W="D M", b="M")
def linear(X: Array, W: Array, b: Array) -> Array:
    r"""Affine map of every row.

    .. math:: Y = X W + b

    Equation
    --------
    eq-linear

    Shapes
    ------
    X (N, D), W (D, M), b (M,) -> Y (N, M)

    Raises
    ------
    ValueError
        When the shapes do not fit together.

    Examples
    --------
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    return X @ W + b


@shapes(dY="N M", X="N D", W="D M")
def linear_backward(dY: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
    r"""Gradients of the affine map.

    .. math:: dX = dY\, W^\top, \qquad dW = X^\top dY, \qquad db = \textstyle\sum_n dY_{n}

    Equation
    --------
    eq-linear-dx, eq-linear-dw, eq-linear-db

    Shapes
    ------
    dY (N, M), X (N, D), W (D, M) -> dX (N, D), dW (D, M), db (M,)

    Raises
    ------
    ValueError
        When the shapes do not fit together.

    Examples
    --------
    >>> X, W = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
    >>> dX, dW, db = linear_backward(np.array([[10.0]]), X, W)
    >>> dX, dW.ravel(), db
    (array([[30., 40.]]), array([10., 20.]), array([10.]))
    """
    dX = dY @ W.T
    dW = X.T @ dY
    db = dY.sum(axis=0)
    return dX, dW, db


# --- Activations ----------------------------------------------------------------------------------


def relu(Z: Array) -> Array:
    r"""Rectified linear unit.

    .. math:: A = \max(0, Z)

    Equation
    --------
    eq-relu

    Shapes
    ------
    Z any shape -> A the same shape

    Examples
    --------
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    A: Array = np.maximum(Z, 0)
    return A


@shapes(dA="*S", Z="*S")
def relu_backward(dA: Array, Z: Array) -> Array:
    r"""Gradient of ReLU; at the kink the derivative is taken as 0.

    .. math:: dZ = dA \odot \mathbf{1}[Z > 0]

    Equation
    --------
    eq-relu-dz

    Shapes
    ------
    dA, Z the same shape -> dZ that shape

    Raises
    ------
    ValueError
        When dA and Z differ in shape.

    Examples
    --------
    >>> relu_backward(np.array([5.0, 5.0, 5.0]), np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 5.])
    """
    return dA * (Z > 0)


def leaky_relu(Z: Array, slope: float = 0.01) -> Array:
    r"""ReLU that lets a fraction of negative input through.

    .. math:: A = Z \odot (\mathbf{1}[Z > 0] + s\, \mathbf{1}[Z \le 0])

    Equation
    --------
    eq-leaky-relu

    Shapes
    ------
    Z any shape -> A the same shape

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 2.0]), slope=0.1)
    array([-0.1,  2. ])
    """
    A: Array = np.where(np.greater(Z, 0), Z, np.multiply(slope, Z))
    return A


@shapes(dA="*S", Z="*S")
def leaky_relu_backward(dA: Array, Z: Array, slope: float = 0.01) -> Array:
    r"""Gradient of leaky ReLU; at the kink the derivative is taken as `slope`.

    .. math:: dZ = dA \odot (\mathbf{1}[Z > 0] + s\, \mathbf{1}[Z \le 0])

    Equation
    --------
    eq-leaky-relu-dz

    Shapes
    ------
    dA, Z the same shape -> dZ that shape

    Raises
    ------
    ValueError
        When dA and Z differ in shape.

    Examples
    --------
    >>> leaky_relu_backward(np.array([5.0, 5.0]), np.array([-1.0, 2.0]), slope=0.1)
    array([0.5, 5. ])
    """
    dZ: Array = np.where(Z > 0, dA, slope * dA)
    return dZ


def tanh(Z: Array) -> Array:
    r"""Hyperbolic tangent.

    .. math:: A = \tanh Z

    Equation
    --------
    eq-tanh

    Shapes
    ------
    Z any shape -> A the same shape

    Examples
    --------
    >>> tanh(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    A: Array = np.tanh(Z)
    return A


@shapes(dA="*S", A="*S")
def tanh_backward(dA: Array, A: Array) -> Array:
    r"""Gradient of tanh, written with its output A.

    .. math:: dZ = dA \odot (1 - A \odot A)

    Equation
    --------
    eq-tanh-dz

    Shapes
    ------
    dA, A the same shape -> dZ that shape

    Raises
    ------
    ValueError
        When dA and A differ in shape.

    Examples
    --------
    >>> tanh_backward(np.array([2.0]), np.array([0.5]))
    array([1.5])
    """
    dZ: Array = dA * (1 - A * A)
    return dZ


def sigmoid(Z: Array) -> Array:
    r"""Logistic function, without overflow for inputs of any size.

    .. math:: A = \sigma(Z) = \frac{1}{1 + e^{-Z}}

    Equation
    --------
    eq-sigmoid

    Shapes
    ------
    Z any shape -> A the same shape

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    Z = np.asarray(Z)
    A: Array = np.exp(np.minimum(Z, 0)) / (1 + np.exp(np.minimum(Z, -Z)))  # no exponent is above 0
    return A


@shapes(dA="*S", A="*S")
def sigmoid_backward(dA: Array, A: Array) -> Array:
    r"""Gradient of the logistic function, written with its output A.

    .. math:: dZ = dA \odot A \odot (1 - A)

    Equation
    --------
    eq-sigmoid-dz

    Shapes
    ------
    dA, A the same shape -> dZ that shape

    Raises
    ------
    ValueError
        When dA and A differ in shape.

    Examples
    --------
    >>> sigmoid_backward(np.array([2.0]), np.array([0.5]))
    array([0.5])
    """
    dZ: Array = dA * A * (1 - A)
    return dZ


@shapes(Z="*B K")
def softmax(Z: Array) -> Array:
    r"""Scores to probabilities along the last axis.

    .. math:: P_{nk} = \frac{e^{Z_{nk}}}{\sum_j e^{Z_{nj}}}

    The largest score of each row is subtracted first: the quotient stays the same and nothing
    overflows.

    Equation
    --------
    eq-softmax

    Shapes
    ------
    Z (..., K) -> P (..., K), each row adds up to 1

    Raises
    ------
    ValueError
        When Z has no axis.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0, -1000.0]]))
    array([[0.5, 0.5, 0. ]])
    """
    E = np.exp(Z - _row_max(Z))
    P: Array = E / E.sum(axis=-1, keepdims=True)
    return P


@shapes(dP="*B K", P="*B K")
def softmax_backward(dP: Array, P: Array) -> Array:
    r"""Gradient of softmax: its Jacobian, contracted with dP without ever being built.

    .. math:: dZ_{nk} = P_{nk} \Big( dP_{nk} - \sum_j dP_{nj} P_{nj} \Big)

    Equation
    --------
    eq-softmax-dz

    Shapes
    ------
    dP, P (..., K) -> dZ (..., K), each row adds up to 0

    Raises
    ------
    ValueError
        When dP and P differ in shape.

    Examples
    --------
    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    dZ: Array = P * (dP - np.sum(dP * P, axis=-1, keepdims=True))
    return dZ


@shapes(Z="*B K")
def log_softmax(Z: Array) -> Array:
    r"""Logarithm of softmax, finite even where softmax rounds to 0.

    .. math:: \ell_{nk} = Z_{nk} - \log \sum_j e^{Z_{nj}}

    Equation
    --------
    eq-log-softmax

    Shapes
    ------
    Z (..., K) -> LogP (..., K)

    Raises
    ------
    ValueError
        When Z has no axis.

    Examples
    --------
    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    Z = Z - _row_max(Z)
    LogP: Array = Z - np.log(np.exp(Z).sum(axis=-1, keepdims=True))
    return LogP


@shapes(dLogP="*B K", LogP="*B K")
def log_softmax_backward(dLogP: Array, LogP: Array) -> Array:
    r"""Gradient of log-softmax.

    .. math:: dZ_{nk} = d\ell_{nk} - e^{\ell_{nk}} \sum_j d\ell_{nj}

    Equation
    --------
    eq-log-softmax-dz

    Shapes
    ------
    dLogP, LogP (..., K) -> dZ (..., K)

    Raises
    ------
    ValueError
        When dLogP and LogP differ in shape.

    Examples
    --------
    >>> log_softmax_backward(np.array([[1.0, 0.0]]), np.log(np.array([[0.5, 0.5]])))
    array([[ 0.5, -0.5]])
    """
    dZ: Array = dLogP - np.exp(LogP) * np.sum(dLogP, axis=-1, keepdims=True)
    return dZ


def _row_max(Z: Array) -> Array:
    """Largest entry along the last axis, which stays as an axis of length 1."""
    Z = np.asarray(Z)
    if Z.shape[-1] > 100:
        largest: Array = np.max(Z, axis=-1, keepdims=True)
    else:  # many short rows: NumPy is three times as fast down the columns of a copy
        largest = Z.T.copy().max(axis=0).T[..., None]
    return largest


# --- Dropout and Flatten --------------------------------------------------------------------------


@shapes(X="*S", R="*S")
def dropout(X: Array, R: Array) -> Array:
    r"""Switch entries off; `R` holds 0 for off and 1/(1-p) for on.

    .. math:: Y = X \odot R

    Equation
    --------
    eq-dropout

    Shapes
    ------
    X, R the same shape -> Y that shape

    Raises
    ------
    ValueError
        When X and R differ in shape.

    Examples
    --------
    >>> dropout(np.array([3.0, 4.0]), np.array([0.0, 2.0]))
    array([0., 8.])
    """
    return X * R


@shapes(dY="*S", R="*S")
def dropout_backward(dY: Array, R: Array) -> Array:
    r"""Gradient of dropout: what was switched off gets nothing.

    .. math:: dX = dY \odot R

    Equation
    --------
    eq-dropout-dx

    Shapes
    ------
    dY, R the same shape -> dX that shape

    Raises
    ------
    ValueError
        When dY and R differ in shape.

    Examples
    --------
    >>> dropout_backward(np.array([1.0, 1.0]), np.array([0.0, 2.0]))
    array([0., 2.])
    """
    return dY * R


@shapes(X="N *S")
def flatten(X: Array) -> Array:
    r"""All axes but the first in one row (a view of X where NumPy can make one).

    .. math:: Y_{n,\,(cH + h)W + w} = X_{nchw}

    Equation
    --------
    eq-flatten

    Shapes
    ------
    X (N, C, H, W) or (N, ...) -> Y (N, C H W)

    Raises
    ------
    ValueError
        When X has no axis.

    Examples
    --------
    >>> flatten(np.arange(8).reshape(2, 2, 2))
    array([[0, 1, 2, 3],
           [4, 5, 6, 7]])
    """
    return X.reshape(len(X), math.prod(X.shape[1:]))


def flatten_backward(dY: Array, shape: tuple[int, ...]) -> Array:
    r"""Gradient of flatten: the same numbers, back in the shape of X.

    .. math:: dX_{nchw} = dY_{n,\,(cH + h)W + w}

    Equation
    --------
    eq-flatten-dx

    Shapes
    ------
    dY (N, C H W), shape = (N, C, H, W) -> dX of that shape

    Raises
    ------
    ValueError
        When dY does not hold as many rows and entries as `shape`.

    Examples
    --------
    >>> flatten_backward(np.array([[1, 2, 3, 4]]), (1, 2, 2))
    array([[[1, 2],
            [3, 4]]])
    """
    expected = (shape[0], math.prod(shape[1:]))
    if np.shape(dY) != expected:
        raise ValueError(f"flatten_backward expects dY of shape {expected}, got {np.shape(dY)}")
    return dY.reshape(shape)


# --- Convolution and pooling ----------------------------------------------------------------------


@shapes(X="N C H W", W="F C KH KW", b="F")
def conv2d(X: Array, W: Array, b: Array, *, stride: int = 1, padding: int = 0) -> Array:
    r"""Slide F kernels over each image (cross-correlation, as in every deep-learning library).

    .. math:: Y_{nfij} = b_f + \sum_{c,k,l} X_{n,c,\,si+k-p,\,sj+l-p}\, W_{fckl}

    X counts as zero outside the image.

    Equation
    --------
    eq-conv2d

    Shapes
    ------
    X (N, C, H, W), W (F, C, KH, KW), b (F,) -> Y (N, F, OH, OW) with OH = (H + 2p - KH) // s + 1

    Raises
    ------
    ValueError
        When the shapes do not fit together or the kernel is larger than the padded image.

    Examples
    --------
    >>> X = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(X, np.ones((1, 1, 2, 2)), np.zeros(1))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    N, F, (OH, OW) = len(X), len(W), _output_size("conv2d", X, W.shape[2:], stride, padding)
    columns = _im2col(X, W.shape[2:], stride, padding)  # (C KH KW, OH OW N)
    Y = W.reshape(F, -1) @ columns + b[:, None]
    return _batch_first(Y.reshape(F, OH, OW, N))


@shapes(dY="N F OH OW", X="N C H W", W="F C KH KW")
def conv2d_backward(
    dY: Array, X: Array, W: Array, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Array, Array]:
    r"""Gradients of the convolution.

    .. math::

        dW_{fckl} = \sum_{n,i,j} dY_{nfij}\, X_{n,c,\,si+k-p,\,sj+l-p}, \qquad
        db_f = \sum_{n,i,j} dY_{nfij}

    .. math:: dX_{nc,\,si+k-p,\,sj+l-p} \mathrel{+}= dY_{nfij}\, W_{fckl} \quad \text{for all } f,i,j,k,l

    Equation
    --------
    eq-conv2d-dx, eq-conv2d-dw, eq-conv2d-db

    Shapes
    ------
    dY (N, F, OH, OW), X (N, C, H, W), W (F, C, KH, KW) -> dX, dW, db (F,)

    Raises
    ------
    ValueError
        When the shapes do not fit together.

    Examples
    --------
    >>> X, W = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> dX, dW, db = conv2d_backward(np.ones((1, 1, 2, 2)), X, W)
    >>> dX[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    >>> dW[0, 0], db
    (array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """
    (N, F), (C, KH, KW), p = dY.shape[:2], W.shape[1:], padding
    OH, OW = _output_size("conv2d_backward", X, (KH, KW), stride, p, dY)
    columns = _im2col(X, (KH, KW), stride, p)  # (C KH KW, OH OW N)
    dY2 = _batch_last(dY).reshape(F, OH * OW * N)
    # dW = dY2 @ columns.T; a sum over so many windows is slow in one piece: one product per output row
    U, G = columns.reshape(len(columns), OH, OW * N), dY2.reshape(F, OH, OW * N)
    dW = (U.transpose(1, 0, 2) @ G.transpose(1, 2, 0)).sum(axis=0).T.reshape(F, X.shape[1], KH, KW)
    db = dY2.sum(axis=1)
    dcolumns = (W.reshape(F, C * KH * KW).T @ dY2).reshape(C, KH, KW, OH, OW, N)
    dXp = np.zeros((C, X.shape[2] + 2 * p, X.shape[3] + 2 * p, N), dtype=dcolumns.dtype)
    for k in range(KH):
        for l in range(KW):  # noqa: E741  the letters of the equation
            dXp[:, k : k + stride * OH : stride, l : l + stride * OW : stride] += dcolumns[:, k, l]
    dX = _batch_first(dXp[:, p : p + X.shape[2], p : p + X.shape[3]])
    return dX, dW, db


@shapes(X="N C H W")
def max_pool2d(X: Array, *, kernel_size: int, stride: int | None = None) -> Array:
    r"""Largest entry of each window.

    .. math:: Y_{ncij} = \max_{0 \le k,l < K} X_{n,c,\,si+k,\,sj+l}

    Equation
    --------
    eq-max-pool2d

    Shapes
    ------
    X (N, C, H, W) -> Y (N, C, OH, OW) with OH = (H - K) // s + 1; `stride` defaults to K

    Raises
    ------
    ValueError
        When X does not have four axes or the window is larger than the image.

    Examples
    --------
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    K, s = kernel_size, kernel_size if stride is None else stride
    OH, OW = _output_size("max_pool2d", X, (K, K), s, 0)
    X = _batch_last(X)
    Y = X[:, : s * OH : s, : s * OW : s]
    for k in range(K):
        for l in range(K):  # noqa: E741  the letters of the equation
            Y = np.maximum(Y, X[:, k : k + s * OH : s, l : l + s * OW : s])
    return _batch_first(Y)


@shapes(dY="N C OH OW", X="N C H W")
def max_pool2d_backward(dY: Array, X: Array, *, kernel_size: int, stride: int | None = None) -> Array:
    r"""Gradient of max-pooling: each window passes its gradient to its (first) largest entry.

    .. math::

        dX_{nc,\,si+k^*,\,sj+l^*} \mathrel{+}= dY_{ncij}, \qquad
        (k^*, l^*) = \arg\max_{k,l} X_{n,c,\,si+k,\,sj+l}

    Equation
    --------
    eq-max-pool2d-dx

    Shapes
    ------
    dY (N, C, OH, OW), X (N, C, H, W) -> dX (N, C, H, W)

    Raises
    ------
    ValueError
        When the shapes do not fit together.

    Examples
    --------
    >>> X = np.array([[[[1.0, 4.0], [3.0, 2.0]]]])
    >>> max_pool2d_backward(np.array([[[[5.0]]]]), X, kernel_size=2)[0, 0]
    array([[0., 5.],
           [0., 0.]])
    """
    K, s = kernel_size, kernel_size if stride is None else stride
    OH, OW = _output_size("max_pool2d_backward", X, (K, K), s, 0, dY)
    X, Y, dY = map(_batch_last, (X, max_pool2d(X, kernel_size=K, stride=s), dY))
    dX = np.zeros(X.shape, dtype=np.result_type(X, dY))
    waiting = np.ones(Y.shape, dtype=bool)  # windows whose largest entry has not come up yet
    for k in range(K):
        for l in range(K):  # noqa: E741  the letters of the equation
            entry = (slice(None), slice(k, k + s * OH, s), slice(l, l + s * OW, s))
            largest = waiting & (X[entry] == Y)
            dX[entry] += dY * largest
            waiting &= ~largest
    return _batch_first(dX)


def _batch_last(X: Array) -> Array:
    """(N, C, H, W) -> (C, H, W, N): one pixel of all images side by side in memory, fast to copy and add."""
    return np.ascontiguousarray(X.transpose(1, 2, 3, 0))


def _batch_first(X: Array) -> Array:
    """(C, H, W, N) -> (N, C, H, W), without copying; `_batch_last` of the result copies nothing either."""
    return X.transpose(3, 0, 1, 2)


def _im2col(X: Array, kernel: tuple[int, ...], stride: int, padding: int) -> Array:
    """Each window of X as a column: (N, C, H, W) -> (C KH KW, OH OW N), the "im2col" matrix."""
    padded = np.pad(_batch_last(X), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = sliding_window_view(padded, kernel, axis=(1, 2))[:, ::stride, ::stride]
    C, OH, OW, N, KH, KW = windows.shape
    return windows.transpose(0, 4, 5, 1, 2, 3).reshape(C * KH * KW, OH * OW * N)


def _output_size(
    name: str, X: Array, kernel: tuple[int, ...], stride: int, padding: int, dY: Array | None = None
) -> tuple[int, int]:
    """Height and width of the output, once the settings and dY are known to fit."""
    for setting, value, least in (
        ("stride", stride, 1),
        ("padding", padding, 0),
        ("kernel_size", min(kernel), 1),
    ):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} expects {setting} to be a whole number >= {least}, got {value!r}")
    H, W = X.shape[2] + 2 * padding, X.shape[3] + 2 * padding
    if kernel[0] > H or kernel[1] > W:
        raise ValueError(
            f"{name} expects a kernel that fits the padded image, "
            f"got a {kernel[0]}x{kernel[1]} kernel on {H}x{W}: use a smaller kernel or more padding"
        )
    size = (H - kernel[0]) // stride + 1, (W - kernel[1]) // stride + 1
    if dY is not None and dY.shape[2:] != size:
        raise ValueError(f"{name} expects dY with height and width {size}, got {dY.shape[2:]}")
    return size


# --- Losses: the only place where 1/N stands --------------------------------------------------------


def _checked(check: Callable[..., tuple[Array, Array]], **how: Any) -> Callable[[F], F]:
    """Let a function of prediction and target see only what `check` lets pass, and as it returns it.

    The check stands beside the function as its attribute ``check``: `nnlib.losses` checks a batch once.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if kwargs or len(args) != 2:  # the signature says what is missing
                args = inspect.signature(function).bind(*args, **kwargs).args
            return function(*checked.check(*args))  # type: ignore[attr-defined]

        checked.check = functools.partial(check, function.__name__, **how)  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def _floating(function: str, name: str, values: Any) -> Array:
    if type(values) is np.ndarray and values.dtype.kind == "f":
        return values
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{function} expects {name} to hold real numbers, got dtype {values.dtype}")
    floating: Array = values if values.dtype.kind == "f" else values.astype(np.float64)
    return floating


def _pair(
    function: str,
    P: Array,
    Y: Array,
    *,
    P_within: tuple[float, float] | None = None,
    Y_within: tuple[float, float] | None = None,
    name: str = "P",
) -> tuple[Array, Array]:
    """Prediction and target of the same shape and dtype, or an error that says what to do."""
    P, Y = _floating(function, name, P), _floating(function, "Y", Y)
    if P.shape != Y.shape:
        hint = ""
        if P.size == Y.size and {P.ndim, Y.ndim} == {1, 2}:
            hint = f": use Y.reshape({P.shape[0]}, {'1' if P.ndim == 2 else ''})".replace(", )", ",)")
        raise ValueError(f"{function} expects Y of the shape of {name}, {P.shape}, got {Y.shape}{hint}")
    if P.size == 0:
        raise ValueError(f"{function} expects at least one example, got {name} of shape {P.shape}")
    if P_within is not None:
        _within(function, name, P, P_within, "did you pass scores? use the loss 'with logits'")
    if Y_within is not None:
        _within(function, "Y", Y, Y_within, "labels are 0 or 1")
    return P, Y if Y.dtype is P.dtype else Y.astype(P.dtype, copy=False)


def _classes(function: str, P: Array, Y: Array, *, probabilities: bool = False) -> tuple[Array, Array]:
    """Scores (N, K) and one-hot targets (N, K), or an error that says what to do."""
    name = "P" if probabilities else "Z"
    P, Y = _floating(function, name, P), np.asarray(Y)
    if P.ndim != 2:
        raise ValueError(f"{function} expects {name} of shape (N, K), got {P.shape}")
    N, K = P.shape
    if N == 0 or K == 0:
        raise ValueError(f"{function} expects at least one example, got {name} of shape {P.shape}")
    if Y.shape not in ((N,), (N, K)):
        hint = ": use Y.ravel()" if Y.shape == (N, 1) else ""
        raise ValueError(
            f"{function} expects Y as labels of shape ({N},) or one-hot of shape ({N}, {K}), "
            f"got {Y.shape}{hint}"
        )
    if Y.ndim == 1:
        Y = one_hot(Y, K, dtype=P.dtype)
    else:
        Y = _floating(function, "Y", Y).astype(P.dtype, copy=False)
        _within(function, "Y", Y, (0, 1), "each row is a distribution over the classes")
        wrong = np.flatnonzero(np.abs(Y.sum(axis=1) - 1) > 1e-5)
        if wrong.size:
            raise ValueError(
                f"{function} expects each row of Y to add up to 1, "
                f"got {float(Y[wrong[0]].sum()):g} in row {wrong[0]}"
            )
    if probabilities:
        hint = "did you pass scores? use softmax_cross_entropy"
        _within(function, name, P, (0, 1 + 1e-6), hint)  # a float32 softmax can round above 1
    return P, Y


def _within(function: str, name: str, values: Array, limits: tuple[float, float], hint: str) -> None:
    low, high = limits
    if values.size < 20:  # so few are compared faster one by one, as Python's own numbers
        within = all([low <= value <= high for value in values.ravel().tolist()])  # noqa: C419  faster
    else:
        within = low <= values.min() and values.max() <= high
    if not within:
        outside = values[~((values >= low) & (values <= high))]
        raise ValueError(
            f"{function} expects {name} between {low:g} and {high:g}, got {float(outside[0]):g}: {hint}"
        )


@_checked(_pair)
def mse(P: Array, Y: Array) -> float:
    r"""Mean squared error over all N M entries.

    .. math:: L = \frac{1}{NM} \sum_{n,m} (P_{nm} - Y_{nm})^2

    Equation
    --------
    eq-mse

    Shapes
    ------
    P, Y the same shape -> a float

    Raises
    ------
    ValueError
        When the shapes differ (nothing is broadcast) or there are no entries.

    Examples
    --------
    >>> mse(np.array([[1.0], [3.0]]), np.array([[0.0], [0.0]]))
    5.0
    """
    return float(((P - Y) ** 2).sum() / P.size)


@_checked(_pair)
def mse_backward(P: Array, Y: Array) -> Array:
    r"""Gradient of the mean squared error.

    .. math:: dP_{nm} = \frac{2}{NM} (P_{nm} - Y_{nm})

    Equation
    --------
    eq-mse-dp

    Shapes
    ------
    P, Y the same shape -> dP that shape

    Raises
    ------
    ValueError
        As `mse`.

    Examples
    --------
    >>> mse_backward(np.array([[1.0], [3.0]]), np.array([[0.0], [0.0]]))
    array([[1.],
           [3.]])
    """
    return 2 * (P - Y) / P.size


@_checked(_pair, P_within=(0, 1), Y_within=(0, 1))
def binary_cross_entropy(P: Array, Y: Array) -> float:
    r"""Binary cross-entropy of probabilities, averaged over all N M entries.

    .. math:: L = -\frac{1}{NM} \sum_{n,m} \big[ Y_{nm} \log P_{nm} + (1 - Y_{nm}) \log (1 - P_{nm}) \big]

    A probability of exactly 0 for something that happened gives an infinite loss, as the equation
    says. When P comes from a sigmoid, `binary_cross_entropy_with_logits` stays finite.

    Equation
    --------
    eq-bce

    Shapes
    ------
    P, Y the same shape -> a float

    Raises
    ------
    ValueError
        When the shapes differ, there are no entries, or P or Y leaves [0, 1].

    Examples
    --------
    >>> binary_cross_entropy(np.array([0.5, 0.5]), np.array([0, 1]))  # log 2
    0.6931471805599453
    """
    return float(0 - (_times_log(Y, P) + _times_log(1 - Y, 1 - P)).sum() / P.size)


@_checked(_pair, P_within=(0, 1), Y_within=(0, 1))
def binary_cross_entropy_backward(P: Array, Y: Array) -> Array:
    r"""Gradient of the binary cross-entropy with respect to the probabilities.

    .. math:: dP_{nm} = \frac{1}{NM} \Big( \frac{1 - Y_{nm}}{1 - P_{nm}} - \frac{Y_{nm}}{P_{nm}} \Big)

    Equation
    --------
    eq-bce-dp

    Shapes
    ------
    P, Y the same shape -> dP that shape

    Raises
    ------
    ValueError
        As `binary_cross_entropy`.

    Examples
    --------
    >>> binary_cross_entropy_backward(np.array([0.5, 0.5]), np.array([0, 1]))
    array([ 1., -1.])
    """
    return (_over(1 - Y, 1 - P) - _over(Y, P)) / P.size


@_checked(_pair, Y_within=(0, 1), name="Z")
def binary_cross_entropy_with_logits(Z: Array, Y: Array) -> float:
    r"""Binary cross-entropy of σ(Z), straight from the scores and finite for all of them.

    .. math::

        L = \frac{1}{NM} \sum_{n,m} \big[ \max(Z_{nm}, 0) - Z_{nm} Y_{nm} + \log(1 + e^{-|Z_{nm}|}) \big]

    Equation
    --------
    eq-bce-logits

    Shapes
    ------
    Z, Y the same shape -> a float

    Raises
    ------
    ValueError
        When the shapes differ, there are no entries, or Y leaves [0, 1].

    Examples
    --------
    >>> binary_cross_entropy_with_logits(np.array([-800.0, 800.0]), np.array([1, 0]))
    800.0
    """
    return float((np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z)))).sum() / Z.size)


@_checked(_pair, Y_within=(0, 1), name="Z")
def binary_cross_entropy_with_logits_backward(Z: Array, Y: Array) -> Array:
    r"""Gradient of sigmoid and binary cross-entropy together.

    .. math:: dZ_{nm} = \frac{1}{NM} \big( \sigma(Z_{nm}) - Y_{nm} \big)

    Equation
    --------
    eq-bce-logits-dz

    Shapes
    ------
    Z, Y the same shape -> dZ that shape

    Raises
    ------
    ValueError
        As `binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> binary_cross_entropy_with_logits_backward(np.array([0.0, 0.0]), np.array([1, 0]))
    array([-0.25,  0.25])
    """
    return (sigmoid(Z) - Y) / Z.size


@_checked(_classes, probabilities=True)
def categorical_cross_entropy(P: Array, Y: Array) -> float:
    r"""Cross-entropy of probabilities, averaged over the N rows.

    .. math:: L = -\frac{1}{N} \sum_{n,k} Y_{nk} \log P_{nk}

    Equation
    --------
    eq-cce

    Shapes
    ------
    P (N, K), Y labels (N,) or one-hot (N, K) -> a float

    Raises
    ------
    ValueError
        When the shapes do not fit, a label is out of range, a row of Y does not add up to 1, or P
        leaves [0, 1].

    Examples
    --------
    >>> categorical_cross_entropy(np.array([[0.25, 0.75]]), np.array([0]))  # log 4
    1.3862943611198906
    """
    return float(0 - _times_log(Y, P).sum() / len(P))


@_checked(_classes, probabilities=True)
def categorical_cross_entropy_backward(P: Array, Y: Array) -> Array:
    r"""Gradient of the cross-entropy with respect to the probabilities.

    .. math:: dP_{nk} = -\frac{1}{N} \frac{Y_{nk}}{P_{nk}}

    Equation
    --------
    eq-cce-dp

    Shapes
    ------
    P (N, K), Y labels (N,) or one-hot (N, K) -> dP (N, K)

    Raises
    ------
    ValueError
        As `categorical_cross_entropy`.

    Examples
    --------
    >>> categorical_cross_entropy_backward(np.array([[0.25, 0.75]]), np.array([0]))
    array([[-4.,  0.]])
    """
    return 0 - _over(Y, P) / len(P)


@_checked(_classes)
def softmax_cross_entropy(Z: Array, Y: Array) -> float:
    r"""Cross-entropy of softmax(Z), straight from the scores and finite for all of them.

    .. math:: L = -\frac{1}{N} \sum_{n,k} Y_{nk} \Big( Z_{nk} - \log \sum_j e^{Z_{nj}} \Big)

    Equation
    --------
    eq-softmax-ce

    Shapes
    ------
    Z (N, K), Y labels (N,) or one-hot (N, K) -> a float

    Raises
    ------
    ValueError
        When the shapes do not fit, a label is out of range, or a row of Y does not add up to 1.

    Examples
    --------
    >>> softmax_cross_entropy(np.array([[0.0, 800.0]]), np.array([0]))
    800.0
    """
    return float(0 - (Y * log_softmax(Z)).sum() / len(Z))


@_checked(_classes)
def softmax_cross_entropy_backward(Z: Array, Y: Array) -> Array:
    r"""Gradient of softmax and cross-entropy together: what was said minus what was true.

    .. math:: dZ_{nk} = \frac{1}{N} (P_{nk} - Y_{nk}), \qquad P = \operatorname{softmax}(Z)

    Equation
    --------
    eq-softmax-ce-dz

    Shapes
    ------
    Z (N, K), Y labels (N,) or one-hot (N, K) -> dZ (N, K)

    Raises
    ------
    ValueError
        As `softmax_cross_entropy`.

    Examples
    --------
    >>> softmax_cross_entropy_backward(np.array([[0.0, 0.0]]), np.array([0]))
    array([[-0.5,  0.5]])
    """
    return (softmax(Z) - Y) / len(Z)


def _times_log(Y: Array, P: Array) -> Array:
    """Y log P with 0 log 0 = 0: the term of a thing that cannot happen and did not."""
    with np.errstate(divide="ignore"):  # log 0 = -inf is the true value when Y > 0
        LogP: Array = np.log(P, out=np.zeros_like(P), where=Y > 0)
    return Y * LogP


def _over(Y: Array, P: Array) -> Array:
    """Y / P with 0 / 0 = 0, as the term is absent from the loss where Y = 0."""
    with np.errstate(divide="ignore", over="ignore"):
        quotient: Array = np.divide(Y, P, out=np.zeros_like(P), where=Y > 0)
    return quotient
