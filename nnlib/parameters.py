"""Parameters side by side: arrays by name that are views of one vector.

What is done to every number alike, such as a step of an optimizer, can then be done to all arrays at once.
"""

from __future__ import annotations

import itertools
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

    def runs(self, alone: int) -> list[tuple[list[str], slice]]:
        """Names in order and where they lie: arrays of `alone` numbers or more singly, smaller ones together.

        Examples
        --------
        >>> Parameters({"W": np.ones((3, 3)), "b": np.ones(3), "a": np.ones(1)}).runs(alone=5)
        [(['W'], slice(0, 9, None)), (['b', 'a'], slice(9, 13, None))]
        """
        runs: list[list[str]] = []
        for large, group in itertools.groupby(self, key=lambda name: self[name].size >= alone):
            names = list(group)
            runs += [[name] for name in names] if large else [names]
        ends = list(itertools.accumulate(sum(self[name].size for name in names) for names in runs))
        return [(names, slice(start, end)) for names, start, end in zip(runs, [0, *ends], ends, strict=False)]

    def __reduce__(self) -> tuple[Any, ...]:  # a copy has a vector of its own, with views of its own
        return Parameters, (dict(self),)
