"""Losses: thin objects over the pure pairs of `nnlib.functional`.

``forward(prediction, target) -> float`` remembers both, ``backward() -> dprediction``. The only 1/N
of the course stands in these formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from nnlib import functional as F
from nnlib._shapes import Array

__all__ = [
    "MSE", "BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "CategoricalCrossEntropy", "Loss",
    "SoftmaxCrossEntropy",
]  # fmt: skip


class Loss:
    """Base of all losses: a pair of functions, and the last prediction and target.

    Examples
    --------
    >>> loss = MSE()
    >>> loss.forward(np.array([[3.0]]), np.array([[1.0]])), loss.backward()
    (4.0, array([[4.]]))
    """

    pair: ClassVar[tuple[Callable[[Array, Array], float], Callable[[Array, Array], Array]]]
    _memory: tuple[Array, Array] | None = None
    _checked: tuple[Array, Array] | None = None  # the same, as the check of the pair returned it

    def forward(self, prediction: Array, target: Array) -> float:
        """Loss of a batch; remembers it for `backward`."""
        function: Any = self.pair[0]
        # copies: the caller may go on to change its own arrays
        batch, checked = (np.array(prediction), np.array(target)), None
        if hasattr(function, "check"):
            checked = function.check(*batch)
        value: float = function(*batch) if checked is None else function.__wrapped__(*checked)
        self._memory, self._checked = batch, checked
        return value

    def backward(self) -> Array:
        """Gradient of the loss with respect to the prediction."""
        if self._memory is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward needs a forward before it: "
                f"call forward(prediction, target) first"
            )
        function: Any = self.pair[1]
        if self._checked is not None and hasattr(function, "check"):  # once is enough
            function, batch = function.__wrapped__, self._checked
        else:
            batch = self._memory
        dP: Array = function(*batch)
        return dP

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MSE(Loss):
    """Mean squared error over all entries; see `functional.mse`.

    Examples
    --------
    >>> MSE().forward(np.array([[1.0], [3.0]]), np.array([[0.0], [0.0]]))
    5.0
    """

    pair = F.mse, F.mse_backward


class BinaryCrossEntropy(Loss):
    """Binary cross-entropy of probabilities; see `functional.binary_cross_entropy`.

    Examples
    --------
    >>> round(BinaryCrossEntropy().forward(np.array([[0.5]]), np.array([[1]])), 3)
    0.693
    """

    pair = F.binary_cross_entropy, F.binary_cross_entropy_backward


class BinaryCrossEntropyWithLogits(Loss):
    """Binary cross-entropy of σ(scores); see `functional.binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> round(BinaryCrossEntropyWithLogits().forward(np.array([[0.0]]), np.array([[1]])), 3)
    0.693
    """

    pair = F.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits_backward


class CategoricalCrossEntropy(Loss):
    """Cross-entropy of probabilities; see `functional.categorical_cross_entropy`.

    Examples
    --------
    >>> round(CategoricalCrossEntropy().forward(np.array([[0.5, 0.5]]), np.array([1])), 3)
    0.693
    """

    pair = F.categorical_cross_entropy, F.categorical_cross_entropy_backward


class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of softmax(scores); see `functional.softmax_cross_entropy`.

    Examples
    --------
    >>> round(SoftmaxCrossEntropy().forward(np.array([[0.0, 0.0]]), np.array([1])), 3)
    0.693
    """

    pair = F.softmax_cross_entropy, F.softmax_cross_entropy_backward
