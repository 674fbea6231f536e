"""Where weights start.

An initializer is a function ``(shape, *, rng, dtype) -> array``. For a matrix of shape (D, M) the
fan-in is D and the fan-out M; for a kernel of shape (F, C, KH, KW) they are C KH KW and F KH KW.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from nnlib._shapes import Array, check_rng

__all__ = [
    "Initializer",
    "he_normal",
    "he_uniform",
    "normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


class Initializer(Protocol):
    """Anything that makes a parameter of a given shape."""

    def __call__(self, shape: tuple[int, ...], *, rng: np.random.Generator, dtype: DTypeLike = ...) -> Array:
        """Return a new array of that shape and dtype."""
        ...


def zeros(
    shape: tuple[int, ...], *, rng: np.random.Generator | None = None, dtype: DTypeLike = np.float64
) -> Array:
    """All zeros: right for biases, wrong for weights (all units would stay the same for ever).

    Examples
    --------
    >>> zeros((3,))
    array([0., 0., 0.])
    """
    return np.zeros(shape, dtype=dtype)


def normal(
    shape: tuple[int, ...],
    *,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float64,
    std: float = 0.01,
) -> Array:
    r"""Gaussian with mean 0 and the given standard deviation.

    .. math:: W \sim \mathcal{N}(0, \text{std}^2)

    Equation
    --------
    eq-init-normal

    Examples
    --------
    >>> round(float(normal((1000, 100), rng=np.random.default_rng(0), std=0.5).std()), 2)
    0.5
    """
    check_rng(rng)
    return (std * rng.standard_normal(shape)).astype(dtype)


def uniform(low: float, high: float) -> Initializer:
    r"""Make an initializer that draws evenly between two bounds.

    .. math:: W \sim \mathcal{U}(\text{low}, \text{high})

    Equation
    --------
    eq-init-uniform

    Raises
    ------
    ValueError
        When the bounds are not finite or not in order.

    Examples
    --------
    >>> W = uniform(-1, 1)((2, 3), rng=np.random.default_rng(0))
    >>> W.shape, bool((abs(W) <= 1).all())
    ((2, 3), True)
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"uniform expects finite bounds with low < high, got low={low}, high={high}")

    def draw(shape: tuple[int, ...], *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        check_rng(rng)
        return rng.uniform(low, high, shape).astype(dtype)

    return draw


def xavier_uniform(
    shape: tuple[int, ...], *, rng: np.random.Generator, dtype: DTypeLike = np.float64
) -> Array:
    r"""Glorot and Bengio's uniform initialization, for tanh and sigmoid units.

    .. math:: W \sim \mathcal{U}(-a, a), \qquad a = \sqrt{\frac{6}{\text{fan-in} + \text{fan-out}}}

    Equation
    --------
    eq-init-xavier-uniform

    References
    ----------
    Glorot and Bengio, 2010.

    Examples
    --------
    >>> W = xavier_uniform((4, 2), rng=np.random.default_rng(0))
    >>> bool((abs(W) <= 1).all())
    True
    """
    fan_in, fan_out = _fans(shape)
    bound = math.sqrt(6 / (fan_in + fan_out))
    return uniform(-bound, bound)(shape, rng=rng, dtype=dtype)


def xavier_normal(
    shape: tuple[int, ...], *, rng: np.random.Generator, dtype: DTypeLike = np.float64
) -> Array:
    r"""Glorot and Bengio's initialization, Gaussian.

    .. math:: W \sim \mathcal{N}\Big(0, \frac{2}{\text{fan-in} + \text{fan-out}}\Big)

    Equation
    --------
    eq-init-xavier-normal

    References
    ----------
    Glorot and Bengio, 2010.

    Examples
    --------
    >>> W = xavier_normal((300, 100), rng=np.random.default_rng(0))
    >>> round(float(W.std() * np.sqrt(200)), 1)
    1.0
    """
    fan_in, fan_out = _fans(shape)
    return normal(shape, rng=rng, dtype=dtype, std=math.sqrt(2 / (fan_in + fan_out)))


def he_uniform(shape: tuple[int, ...], *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
    r"""He et al.'s uniform initialization, for ReLU units.

    .. math:: W \sim \mathcal{U}(-a, a), \qquad a = \sqrt{\frac{6}{\text{fan-in}}}

    Equation
    --------
    eq-init-he-uniform

    References
    ----------
    He et al., 2015.

    Examples
    --------
    >>> W = he_uniform((6, 2), rng=np.random.default_rng(0))
    >>> bool((abs(W) <= 1).all())
    True
    """
    bound = math.sqrt(6 / _fans(shape)[0])
    return uniform(-bound, bound)(shape, rng=rng, dtype=dtype)


def he_normal(shape: tuple[int, ...], *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
    r"""He et al.'s initialization, Gaussian.

    .. math:: W \sim \mathcal{N}\Big(0, \frac{2}{\text{fan-in}}\Big)

    Equation
    --------
    eq-init-he-normal

    References
    ----------
    He et al., 2015.

    Examples
    --------
    >>> W = he_normal((200, 100), rng=np.random.default_rng(0))
    >>> round(float(W.std() * np.sqrt(100)), 1)
    1.0
    """
    return normal(shape, rng=rng, dtype=dtype, std=math.sqrt(2 / _fans(shape)[0]))


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs that feed one output, and outputs that one input feeds."""
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) == 4:
        F, C, KH, KW = shape
        return C * KH * KW, F * KH * KW
    raise ValueError(f"fan-in is defined for shapes (D, M) and (F, C, KH, KW), got {shape}")
