"""A default run as text: the first frame, and of each later one only what changed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from nnlib.explorers.engine import Explorer
from nnlib.explorers.panels import encode, to_json

__all__ = ["changes", "difference", "fitting", "frames", "patch", "record"]


def frames(explorer: Explorer, digits: int = 4) -> list[dict[str, Any]]:
    """Run an explorer from its start and return the frames, encoded.

    Parameters
    ----------
    explorer : a fresh engine, left at the end of its run
    digits : significant digits of each number

    Returns
    -------
    frames : as many as the explorer declares in `recorded`, fewer when it finishes earlier
    """
    count, steps = explorer.recorded
    shown = [encode(explorer.frame(), digits)]
    while len(shown) < count and explorer.step(steps):
        shown.append(encode(explorer.frame(), digits))
    return shown


def changes(shown: list[Any]) -> list[Any]:
    """Return the first frame and then only differences."""
    return [shown[0], *(difference(old, new) for old, new in pairwise(shown))]


def fitting(shown: list[Any], budget: int) -> list[Any]:
    """Return the changes of frames that need at most so many bytes of JSON.

    Where all frames are too many every other one is left out, but not the first and the last.
    """
    while len(shown) > 2 and len(to_json(changes(shown))) > budget:
        shown = [shown[0], *shown[:0:-2][::-1]]
    return changes(shown)


def record(explorer: Explorer, budget: int = 100_000) -> list[Any]:
    """Run a fresh engine and return its recording: the first frame, then differences."""
    return fitting(frames(explorer), budget)


def difference(old: Any, new: Any) -> Any:
    """Return what turns `old` into `new`, or None when they are equal.

    ``{"=": value}`` replaces, ``{"+": tail}`` appends to a list, ``{"~": {key: difference}}`` goes into a
    dict or a list. `static/view.js` has the other half.

    Examples
    --------
    >>> difference({"y": [1, 2], "x": 0}, {"y": [1, 2, 3], "x": 0})
    {'~': {'y': {'+': [3]}}}
    """
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return {"~": {key: change for key in new if (change := difference(old[key], new[key])) is not None}}
    if isinstance(old, list) and isinstance(new, list) and old:
        if len(new) > len(old) and new[: len(old)] == old:
            return {"+": new[len(old) :]}
        if len(new) == len(old) and all(isinstance(entry, dict | list) for entry in old + new):
            pairs = enumerate(zip(old, new, strict=True))
            return {"~": {str(i): change for i, (a, b) in pairs if (change := difference(a, b)) is not None}}
    return {"=": new}


def patch(old: Any, change: Any) -> Any:
    """Return `old` with a difference applied; `old` itself stays as it is.

    Examples
    --------
    >>> patch({"y": [1, 2], "x": 0}, {"~": {"y": {"+": [3]}}})
    {'y': [1, 2, 3], 'x': 0}
    """
    if change is None:
        return old
    if "=" in change:
        return change["="]
    if "+" in change:
        return [*old, *change["+"]]
    if isinstance(old, dict):
        return old | {key: patch(old[key], entry) for key, entry in change["~"].items()}
    return [patch(entry, change["~"].get(str(i))) for i, entry in enumerate(old)]
