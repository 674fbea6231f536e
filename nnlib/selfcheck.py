"""Checks for problem sets: they compare what you wrote with what is right, and answer in sentences.

Each returns nothing when all is well and raises an AssertionError otherwise. Its text says what was
expected, what your function gave, and where to look.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np

__all__ = ["expect", "same", "unchanged", "without_nnlib"]


def expect(condition: object, message: str) -> None:
    """Raise with this message unless the condition holds.

    Examples
    --------
    >>> expect(1 + 1 == 2, "arithmetic is broken")
    """
    if not condition:
        raise AssertionError(message)


def same(name: str, got: Any, expected: Any, *, tolerance: float = 1e-7, hint: str = "") -> None:
    """Raise unless both are the same numbers in the same shape.

    Parameters
    ----------
    name : what to call the result, such as "linear(X, W, b)"
    got, expected : numbers or arrays
    tolerance : largest difference allowed, relative to the larger of 1 and the expected number
    hint : a sentence for those whose numbers differ

    Examples
    --------
    >>> same("1 + 1", 1 + 1, 2)
    >>> same("W", np.ones((2, 3)), np.ones((3, 2)))
    Traceback (most recent call last):
    AssertionError: W should have shape (3, 2), but it has shape (2, 3).
    """
    if got is None or got is Ellipsis:
        raise AssertionError(f"{name} gives nothing yet: write the function, and return its result.")
    try:
        got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        raise AssertionError(
            f"{name} should be numbers, but it is {type(got).__name__} {got!r:.80}."
        ) from None
    if got.shape != expected.shape:
        raise AssertionError(f"{name} should have shape {expected.shape}, but it has shape {got.shape}.")
    off = ~(np.abs(got - expected) <= tolerance * np.maximum(1, np.abs(expected)))  # nan is off
    if off.any():
        where = tuple(int(i) for i in np.argwhere(off)[0])
        entry = f"{name}[{', '.join(map(str, where))}]" if where else name
        count = f" ({off.sum()} of {off.size} entries are off)" if off.size > 1 else ""
        raise AssertionError(
            f"{entry} should be {expected[where]:.6g}, but it is {got[where]:.6g}{count}."
            + f" {hint}" * bool(hint)
        )


@contextlib.contextmanager
def unchanged(**arrays: Any) -> Iterator[None]:
    """Raise when one of these arrays is another one after the block.

    Examples
    --------
    >>> X = np.ones(3)
    >>> with unchanged(X=X):
    ...     Y = 2 * X
    """
    before = copy.deepcopy(arrays)
    yield
    for name, array in arrays.items():
        if not np.array_equal(array, before[name], equal_nan=True):
            raise AssertionError(
                f"Your function changed {name} itself. Work on a new array, for example {name} * 1.0."
            )


@contextlib.contextmanager
def without_nnlib() -> Iterator[None]:
    """Inside of the block nnlib's functions and methods refuse to work, under whatever name one has them.

    Examples
    --------
    >>> from nnlib.functional import relu as borrowed
    >>> with without_nnlib():
    ...     borrowed(np.ones(2))
    Traceback (most recent call last):
    AssertionError: Write this with NumPy: here you may not call nnlib, which has the answer.
    """
    codes = {function: function.__code__ for function in _functions()}
    try:
        for function in codes:  # the code itself: a name that was imported before would still lead to it
            function.__code__ = _refuse.__code__
        yield
    finally:
        for function, code in codes.items():
            function.__code__ = code


def _refuse(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("Write this with NumPy: here you may not call nnlib, which has the answer.")


def _functions() -> Iterator[FunctionType]:
    """Functions and methods of nnlib, those of this module left out."""
    for key, module in list(sys.modules.items()):
        if key.partition(".")[0] == "nnlib" and key != __name__:
            own = [value for value in vars(module).values() if getattr(value, "__module__", None) == key]
            for owner in (module, *(value for value in own if isinstance(value, type))):
                for value in list(vars(owner).values()):
                    if isinstance(value, FunctionType) and value.__module__ == key:
                        function = inspect.unwrap(value)  # under a check of shapes, and whoever calls that
                        if (
                            not function.__closure__
                        ):  # another code cannot replace one with variables around it
                            yield function
