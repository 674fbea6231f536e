"""Parameters side by side: arrays by name that are views of one vector.

What is done to every number alike, such as a step of an optimizer, can then be done to all arrays at once.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlib._shapes import Array

__all__ = ["Parameters"]


class Parameters(dict[str, Array]):
    """Arrays by name; `vector` holds all of their numbers, one array after the other.

    Raises
    ------
    ValueError
        When there are no arrays, or they differ in dtype.

    Examples
    --------
    >>> params = Parameters({"W": np.ones((2, 2)), "b": np.zeros(2)})
    >>> params.vector *= 3
    >>> params["W"][1], params["b"]
    (array([3., 3.]), array([0., 0.]))
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        if len({array.dtype for array in arrays.values()}) != 1:
            raise ValueError(
                f"Parameters expects arrays of one dtype, got {[str(a.dtype) for a in arrays.values()]}"
            )
        self.vector: Array = np.concatenate([array.ravel() for array in arrays.values()])
        start = 0
        for name, array in arrays.items():
            self[name] = self.vector[start : start + array.size].reshape(array.shape)
            start += array.size
        self._views = tuple(self.values())

    @property
    def whole(self) -> bool:
        """Whether all arrays are still here; one may be taken out so that it stays as it is."""
        return len(self) == len(self._views) and all(map(operator.is_, self.values(), self._views))

    def zeros(self) -> Parameters:
        """Zeros under the same names and of the same shapes."""
        return Parameters({name: np.zeros_like(array) for name, array in self.items()})

    def gather(self, arrays: Mapping[str, Array], out: Array) -> Array:
        """Arrays of the same names and shapes, copied into one vector `out`."""
        return np.concatenate([arrays[name].ravel() for name in self], out=out)

    def __reduce__(self) -> tuple[Any, ...]:  # a copy has a vector of its own, with views of its own
        return Parameters, (dict(self),)
