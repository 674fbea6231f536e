"""Layers: thin objects that keep parameters and remember what backward needs.

Every formula lives in `nnlib.functional`. A layer has ``forward(X) -> Y``, ``backward(dY) -> dX`` and
two dicts with equal keys, ``params`` and ``grads``. ``backward`` overwrites ``grads`` (there is nothing
to reset between steps) and writes nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlib import functional as F
from nnlib._shapes import Array, check_rng
from nnlib.initializers import Initializer, he_normal, xavier_uniform, zeros

__all__ = [
    "Conv2D", "Dropout", "Flatten", "Layer", "LeakyReLU", "Linear", "MaxPool2D", "ReLU", "Sigmoid",
    "Softmax", "Tanh",
]  # fmt: skip

Shape = tuple[int, ...]
Backward = Callable[..., tuple[Array, Array, Array]]


class Layer:
    """Base of all layers; write `forward` and `backward` to make your own.

    `params` maps names to arrays, which the optimizer changes in place; `grads` has the same keys after
    `backward`.

    Examples
    --------
    >>> class Double(Layer):
    ...     def forward(self, X):
    ...         self._remember(X)
    ...         return 2 * X
    ...     def backward(self, dY):
    ...         self._recall()
    ...         return 2 * dY
    >>> Double().forward(np.array([[1.0, 2.0]]))
    array([[2., 4.]])
    """

    settings: ClassVar[tuple[str, ...]] = ()  # constructor arguments that `save` must keep

    _memory: tuple[Any, ...] | None = None

    # made on first use, so that your own layers need not call super().__init__()
    @cached_property
    def params(self) -> dict[str, Array]:
        """Parameter arrays by name."""
        return {}

    @cached_property
    def grads(self) -> dict[str, Array]:
        """Gradients by the name of their parameter, from the last `backward`."""
        return {}

    def forward(self, X: Array) -> Array:
        """Output for a batch; remembers what `backward` will need."""
        raise NotImplementedError(f"{type(self).__name__} has no forward yet: define forward(self, X)")

    def backward(self, dY: Array) -> Array:
        """Gradient with respect to the input; fills `grads` for the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no backward yet: define backward(self, dY)")

    def backward_parameters(self, dY: Array) -> Array:
        """`backward` for the first layer in training, where nobody uses dX.

        A layer whose `backward` takes the keyword `input_gradient` is called with False and may return an
        array without entries. Any other layer, such as one of your own, just runs its `backward`.
        """
        backward: Any = self.backward  # looked up on each call: a method that was overridden counts
        offers = "input_gradient" in (getattr(backward, "__kwdefaults__", None) or ())
        dX: Array = backward(dY, input_gradient=False) if offers else backward(dY)
        return dX

    def infer(self, X: Array) -> Array:
        """Output for a batch in use rather than in training; remembers nothing."""
        return copy.copy(self).forward(X)

    def output_shape(self, shape: Shape | None) -> Shape | None:
        """Shape of one output row for one input row; None when it is not known.

        Raises
        ------
        ValueError
            When the layer cannot take rows of that shape.
        """
        return None

    def config(self) -> dict[str, Any]:
        """Constructor arguments that rebuild the layer (without its parameters)."""
        return {name: getattr(self, name) for name in self.settings}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"

    def _remember(self, *values: Any) -> None:
        self._memory = values

    def _recall(self) -> tuple[Any, ...]:
        if self._memory is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward needs a forward before it: call forward(X) first"
            )
        return self._memory


def _as_input(layer: str, X: Array, dtype: np.dtype[Any] | None = None, name: str = "X") -> Array:
    """X as floating numbers of the layer's dtype; never narrowed, never complex."""
    if dtype is None and type(X) is np.ndarray and X.dtype.kind == "f":
        return X
    X = np.asarray(X)
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{layer} expects {name} to hold real numbers, got dtype {X.dtype}")
    if dtype is None:
        return X if X.dtype.kind == "f" else X.astype(np.float64)
    if X.dtype.kind == "f" and X.dtype.itemsize > dtype.itemsize:
        raise TypeError(
            f"{layer} computes in {dtype}, got {name} of {X.dtype}, which would lose digits: "
            f"pass {name}.astype(np.{dtype}), or build the layer with dtype=np.{X.dtype}"
        )
    return X.astype(dtype, copy=False)


def _check_size(layer: str, name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{layer} expects {name} to be a whole number >= {least}, got {value!r}")
    return int(value)


def _check_dtype(layer: str, dtype: DTypeLike) -> np.dtype[Any]:
    result = np.dtype(dtype)
    if result.kind != "f":
        raise TypeError(f"{layer} expects a floating dtype, got {result}: use np.float64 or np.float32")
    return result


def _bare(function: Any, fits: bool) -> Any:
    """One of nnlib's functions without its check of shapes, where the caller has seen that they fit."""
    return function.__wrapped__ if fits and hasattr(function, "__shapes__") else function


class _Parametric(Layer):
    """What Linear and Conv2D share: weights, a bias and a dtype."""

    dtype: str
    _no_inputs: ClassVar[Any]  # index that leaves no inputs in W

    def _initialize(
        self,
        shape: Shape,
        outputs: int,
        rng: np.random.Generator,
        init: Initializer,
        bias_init: Initializer,
        dtype: DTypeLike,
    ) -> None:
        name = type(self).__name__
        self._dtype = _check_dtype(name, dtype)
        self.dtype = self._dtype.name
        for key, draw, wanted in (("W", init, shape), ("b", bias_init, (outputs,))):
            value = np.asarray(draw(wanted, rng=rng, dtype=self.dtype))
            if value.shape != wanted or value.dtype != self.dtype:
                raise ValueError(
                    f"{name} expects its initializer to return {self.dtype} of shape {wanted}, "
                    f"got {value.dtype} of shape {value.shape}"
                )
            self.params[key] = value

    def _input(self, X: Array, name: str = "X") -> Array:
        if type(X) is np.ndarray and X.dtype is self._dtype:
            return X
        return _as_input(type(self).__name__, X, self._dtype, name)

    def _gradients(self, f_backward: Backward, dY: Array, input_gradient: bool, **how: int) -> Array:
        """Fill `grads` and return dX, without entries where it is not wanted."""
        (X,), dY, W = self._recall(), self._input(dY, "dY"), self.params["W"]
        fits = dY.ndim == X.ndim and dY.shape[:2] == (len(X), len(self.params["b"]))
        function: Backward = _bare(f_backward, fits)
        if not input_gradient and function is not f_backward:
            W = W[self._no_inputs]  # dX for none of the inputs needs none of the weights, and costs nothing
        dX, self.grads["W"], self.grads["b"] = function(dY, X, W, **how)
        return dX


class Linear(_Parametric):
    """Fully connected layer, ``Y = XW + b``.

    Parameters
    ----------
    in_features, out_features : D and M
    rng : generator that draws the first weights
    init, bias_init : initializers of W (D, M) and b (M,)
    dtype : np.float64 or np.float32; the layer computes in it throughout

    Raises
    ------
    ValueError, TypeError
        When a size is not a whole number above 0, or an argument has the wrong type.

    Examples
    --------
    >>> layer = Linear(3, 2, rng=np.random.default_rng(0))
    >>> layer.forward(np.zeros((5, 3))).shape
    (5, 2)
    >>> layer.backward(np.ones((5, 2))).shape, layer.grads["W"].shape, layer.grads["b"]
    ((5, 3), (3, 2), array([5., 5.]))
    """

    settings = ("in_features", "out_features", "dtype")
    _no_inputs = np.s_[:0]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rng: np.random.Generator,
        init: Initializer = xavier_uniform,
        bias_init: Initializer = zeros,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.in_features = _check_size("Linear", "in_features", in_features)
        self.out_features = _check_size("Linear", "out_features", out_features)
        self._initialize(
            (self.in_features, self.out_features), self.out_features, rng, init, bias_init, dtype
        )

    def forward(self, X: Array) -> Array:  # noqa: D102  inherited
        X, W, b = self._input(X), self.params["W"], self.params["b"]
        fits = X.ndim == 2 and b.ndim == 1 and W.shape == (X.shape[1], b.size)
        if not fits:
            self.output_shape(X.shape[1:])  # says what is wrong
        self._remember(X)
        Y: Array = _bare(F.linear, fits)(X, W, b)
        return Y

    def backward(self, dY: Array, *, input_gradient: bool = True) -> Array:  # noqa: D102
        return self._gradients(F.linear_backward, dY, input_gradient)

    def output_shape(self, shape: Shape | None) -> Shape:  # noqa: D102
        if shape is not None and shape != (self.in_features,):
            got = ", ".join(["N", *map(str, shape)]) + ("," if not shape else "")
            hint = ": add Flatten() before it" if len(shape) > 1 else ""
            if not shape:
                hint = ": one example is a row, X[None, :]"
            raise ValueError(f"Linear expects X of shape (N, {self.in_features}), got ({got}){hint}")
        return (self.out_features,)


class Conv2D(_Parametric):
    """Convolution over images (N, C, H, W), with the kernels W (F, C, KH, KW) and one bias per kernel.

    Parameters
    ----------
    in_channels, out_channels : C and F
    kernel_size : K for square kernels, or (KH, KW)
    stride, padding : step of the kernel, and rows and columns of zeros added on every side
    rng, init, bias_init, dtype : as in `Linear`

    Raises
    ------
    ValueError, TypeError
        When a size is not a whole number in range, or an argument has the wrong type.

    Examples
    --------
    >>> layer = Conv2D(1, 8, 3, padding=1, rng=np.random.default_rng(0))
    >>> layer.forward(np.zeros((2, 1, 28, 28))).shape
    (2, 8, 28, 28)
    """

    settings = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dtype")
    _no_inputs = np.s_[:, :0]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int = 0,
        rng: np.random.Generator,
        init: Initializer = he_normal,
        bias_init: Initializer = zeros,
        dtype: DTypeLike = np.float64,
    ) -> None:
        pair = kernel_size if isinstance(kernel_size, tuple | list) else (kernel_size, kernel_size)
        if len(pair) != 2:
            raise ValueError(f"Conv2D expects kernel_size as K or (KH, KW), got {kernel_size!r}")
        self.in_channels = _check_size("Conv2D", "in_channels", in_channels)
        self.out_channels = _check_size("Conv2D", "out_channels", out_channels)
        self.kernel_size = tuple(_check_size("Conv2D", "kernel_size", k) for k in pair)
        self.stride = _check_size("Conv2D", "stride", stride)
        self.padding = _check_size("Conv2D", "padding", padding, least=0)
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        self._initialize(shape, self.out_channels, rng, init, bias_init, dtype)

    def forward(self, X: Array) -> Array:  # noqa: D102
        X = self._input(X)
        self.output_shape(X.shape[1:])
        self._remember(X)
        return F.conv2d(X, self.params["W"], self.params["b"], stride=self.stride, padding=self.padding)

    def backward(self, dY: Array, *, input_gradient: bool = True) -> Array:  # noqa: D102
        how = {"stride": self.stride, "padding": self.padding}
        return self._gradients(F.conv2d_backward, dY, input_gradient, **how)

    def output_shape(self, shape: Shape | None) -> Shape | None:  # noqa: D102
        if shape is None:
            return None
        if len(shape) != 3 or shape[0] != self.in_channels:
            got = ", ".join(["N", *map(str, shape)])
            raise ValueError(
                f"Conv2D expects X of shape (N, {self.in_channels}, H, W), got ({got}): "
                f"reshape the images, for MNIST X.reshape(-1, 1, 28, 28)"
            )
        H, W = (
            _windows("Conv2D", n + 2 * self.padding, k, self.stride)
            for n, k in zip(shape[1:], self.kernel_size, strict=True)
        )
        return self.out_channels, H, W


def _windows(layer: str, size: int, kernel: int, stride: int) -> int:
    if kernel > size:
        raise ValueError(
            f"{layer} expects images at least as large as its window of {kernel}, got {size}: "
            f"use a smaller window or more padding"
        )
    return (size - kernel) // stride + 1


class MaxPool2D(Layer):
    """Largest entry of each window; `stride` defaults to `kernel_size`.

    Raises
    ------
    ValueError
        When a size is not a whole number above 0.

    Examples
    --------
    >>> MaxPool2D(2).forward(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    settings = ("kernel_size", "stride")

    def __init__(self, kernel_size: int, *, stride: int | None = None) -> None:
        self.kernel_size = _check_size("MaxPool2D", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else _check_size("MaxPool2D", "stride", stride)

    def forward(self, X: Array) -> Array:  # noqa: D102
        X = _as_input("MaxPool2D", X)
        self.output_shape(X.shape[1:])
        self._remember(X)
        return F.max_pool2d(X, kernel_size=self.kernel_size, stride=self.stride)

    def backward(self, dY: Array) -> Array:  # noqa: D102
        (X,) = self._recall()
        return F.max_pool2d_backward(dY, X, kernel_size=self.kernel_size, stride=self.stride)

    def output_shape(self, shape: Shape | None) -> Shape | None:  # noqa: D102
        if shape is None:
            return None
        if len(shape) != 3:
            raise ValueError(
                f"MaxPool2D expects X of shape (N, C, H, W), got ({', '.join(['N', *map(str, shape)])})"
            )
        return shape[0], *(_windows("MaxPool2D", n, self.kernel_size, self.stride) for n in shape[1:])


class Flatten(Layer):
    """Each example as one row: (N, C, H, W) -> (N, C H W).

    Examples
    --------
    >>> Flatten().forward(np.zeros((2, 1, 28, 28))).shape
    (2, 784)
    """

    def forward(self, X: Array) -> Array:  # noqa: D102
        X = _as_input("Flatten", X)
        self._remember(X.shape)
        return F.flatten(X)

    def backward(self, dY: Array) -> Array:  # noqa: D102
        (shape,) = self._recall()
        return F.flatten_backward(dY, shape)

    def output_shape(self, shape: Shape | None) -> Shape | None:  # noqa: D102
        return None if shape is None or None in shape else (int(np.prod(shape)),)


class Dropout(Layer):
    """Switch each entry off with probability `p` while training; do nothing in use.

    What stays on is scaled by 1/(1-p), so the expected output is the input.

    Parameters
    ----------
    p : probability of switching off, 0 <= p < 1
    rng : generator that draws the masks

    Raises
    ------
    ValueError, TypeError
        When p is out of range or rng is not a Generator.

    References
    ----------
    Srivastava et al., 2014.

    Examples
    --------
    >>> layer = Dropout(0.5, rng=np.random.default_rng(0))
    >>> layer.forward(np.ones((1, 4))), layer.infer(np.ones((1, 4)))
    (array([[2., 0., 0., 0.]]), array([[1., 1., 1., 1.]]))
    """

    settings = ("p",)

    def __init__(self, p: float, *, rng: np.random.Generator) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"Dropout expects 0 <= p < 1, got {p!r}: p is the share that is switched off")
        check_rng(rng)
        self.p, self.rng = p, rng

    def forward(self, X: Array) -> Array:  # noqa: D102
        X = _as_input("Dropout", X)
        mask = ((self.rng.random(X.shape) >= self.p) / (1 - self.p)).astype(X.dtype)
        self._remember(mask)
        return F.dropout(X, mask)

    def backward(self, dY: Array) -> Array:  # noqa: D102
        (mask,) = self._recall()
        return F.dropout_backward(dY, mask)

    def infer(self, X: Array) -> Array:  # noqa: D102
        return _as_input("Dropout", X)

    def output_shape(self, shape: Shape | None) -> Shape | None:  # noqa: D102
        return shape


class _Activation(Layer):
    """An activation acts on each row and keeps its shape."""

    def _pull_back(self, f_backward: Callable[..., Array], dY: Array, *how: float) -> Array:
        """Gradient dX, from dY and what forward has remembered."""
        (kept,) = self._recall()
        fits = type(dY) is np.ndarray and dY.shape == kept.shape and dY.dtype.kind == "f"
        dX: Array = _bare(f_backward, fits)(dY, kept, *how)
        return dX

    def output_shape(self, shape: Shape | None) -> Shape | None:
        return shape


class ReLU(_Activation):
    """Rectified linear unit, max(0, z).

    Examples
    --------
    >>> ReLU().forward(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """

    def forward(self, X: Array) -> Array:  # noqa: D102
        Z = _as_input("ReLU", X)
        self._remember(Z)
        return F.relu(Z)

    def backward(self, dY: Array) -> Array:  # noqa: D102
        return self._pull_back(F.relu_backward, dY)


class LeakyReLU(_Activation):
    """ReLU that multiplies negative input by `slope` instead of 0.

    Raises
    ------
    ValueError
        When the slope is not a finite number.

    Examples
    --------
    >>> LeakyReLU(0.1).forward(np.array([[-1.0, 2.0]]))
    array([[-0.1,  2. ]])
    """

    settings = ("slope",)

    def __init__(self, slope: float = 0.01) -> None:
        if not np.isfinite(slope):
            raise ValueError(f"LeakyReLU expects a finite slope, got {slope!r}")
        self.slope = float(slope)

    def forward(self, X: Array) -> Array:  # noqa: D102
        Z = _as_input("LeakyReLU", X)
        self._remember(Z)
        return F.leaky_relu(Z, self.slope)

    def backward(self, dY: Array) -> Array:  # noqa: D102
        return self._pull_back(F.leaky_relu_backward, dY, self.slope)


class Tanh(_Activation):
    """Hyperbolic tangent.

    Examples
    --------
    >>> Tanh().forward(np.array([[0.0]]))
    array([[0.]])
    """

    def forward(self, X: Array) -> Array:  # noqa: D102
        A = F.tanh(_as_input("Tanh", X))
        self._remember(A.copy())  # the caller may change the array that is returned
        return A

    def backward(self, dY: Array) -> Array:  # noqa: D102
        return self._pull_back(F.tanh_backward, dY)


class Sigmoid(_Activation):
    """Logistic function, 1 / (1 + e^-z).

    Examples
    --------
    >>> Sigmoid().forward(np.array([[0.0]]))
    array([[0.5]])
    """

    def forward(self, X: Array) -> Array:  # noqa: D102
        A = F.sigmoid(_as_input("Sigmoid", X))
        self._remember(A.copy())
        return A

    def backward(self, dY: Array) -> Array:  # noqa: D102
        return self._pull_back(F.sigmoid_backward, dY)


class Softmax(_Activation):
    """Scores to probabilities along the last axis, with its full backward.

    For training, leave it out and use `nnlib.SoftmaxCrossEntropy` on the scores: the same network,
    faster, and exact where softmax rounds to 0.

    Examples
    --------
    >>> Softmax().forward(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """

    def forward(self, X: Array) -> Array:  # noqa: D102
        P = F.softmax(_as_input("Softmax", X))
        self._remember(P.copy())
        return P

    def backward(self, dY: Array) -> Array:  # noqa: D102
        return self._pull_back(F.softmax_backward, dY)
