"""The kinds of picture that a frame is made of: plain data, drawn by `static/view.js` and by `picture.py`.

Each function returns one panel as a dict of numbers, texts and small arrays. A panel has a title, and a
width that says how much of the row it wants: "full", "half", "third", "quarter" or "sixth".
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np

from nnlib._shapes import Array

__all__ = [
    "Panel",
    "Shades",
    "bars",
    "curves",
    "drawing",
    "encode",
    "factor",
    "formula",
    "histograms",
    "matrix",
    "network",
    "number",
    "pictures",
    "plane",
    "question",
    "text",
]

Panel = dict[str, Any]
Width = Literal["full", "half", "third", "quarter", "sixth"]


class Series(TypedDict):
    """One line of `curves`."""

    name: str
    x: Sequence[float] | Array
    y: Sequence[float] | Array
    points: NotRequired[bool]  # marks instead of a line


class Shades:
    """A picture of numbers in 256 shades: 0 is `low`, 255 is `high`; rows from the top.

    Parameters
    ----------
    values : (H, W)
    low, high : the ends of the scale; values beyond them get its last shade
    """

    def __init__(self, values: Array, low: float, high: float) -> None:
        values = np.asarray(values, dtype=np.float64)
        scaled = np.nan_to_num((values - low) / (high - low if high > low else 1.0), nan=0.5)
        # rounded first: what lies between two shades must not fall to the side of a machine's last digit
        levels = np.floor(np.round(scaled * 255, 6) + 0.5)
        self.bytes = np.clip(levels, 0, 255).astype(np.uint8)
        self.low, self.high = float(low), float(high)

    def encode(self) -> dict[str, Any]:
        """Return the picture as text."""
        data = base64.b64encode(self.bytes.tobytes()).decode("ascii")
        return {"shape": list(self.bytes.shape), "u8": data, "low": self.low, "high": self.high}


def encode(value: Any, digits: int | None = None) -> Any:
    """Return a frame as plain lists, dicts, numbers and texts, ready for `json.dumps`.

    Parameters
    ----------
    value : what to encode
    digits : significant digits of each float, or None for all of them

    Examples
    --------
    >>> encode({"loss": np.float64(1 / 3), "y": np.array([1.0, np.nan])}, digits=3)
    {'loss': 0.333, 'y': [1.0, None]}
    """
    if isinstance(value, Shades):
        return encode(value.encode(), digits)
    if isinstance(value, Mapping):
        return {str(key): encode(entry, digits) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return encode(value.tolist(), digits)
    if isinstance(value, list | tuple):
        return [encode(entry, digits) for entry in value]
    if isinstance(value, np.generic):
        return encode(value.item(), digits)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None  # JSON has no nan and no infinity
        return value if digits is None else float(f"{value:.{digits}g}")
    return value


def to_json(value: Any) -> str:
    """Return a frame as JSON text, with all digits."""
    try:  # json walks the frame itself, which is several times faster, as long as all is finite
        return json.dumps(value, default=_plain, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(encode(value), separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    return value.encode() if isinstance(value, Shades) else value.tolist()


def number(value: float | np.generic, digits: int = 4) -> str:
    """Return a number as readers write it: a few significant digits, no trailing zeros, a true minus sign.

    Examples
    --------
    >>> number(-0.123456), number(2.0)
    ('−0.1235', '2')
    """
    return f"{float(value) + 0.0:.{digits}g}".replace("-", "−")  # + 0.0: there is no −0


def factor(value: float | np.generic, digits: int = 4) -> str:
    """Return a number as it stands in a product or a sum: a negative one in parentheses.

    Examples
    --------
    >>> f"2 · {factor(-3.0)} + {factor(0.5)}"
    '2 · (−3) + 0.5'
    """
    text = number(value, digits)
    return f"({text})" if text.startswith("−") else text


def _panel(kind: str, title: str, width: Width, **fields: Any) -> Panel:
    return {"kind": kind, "title": title, "width": width} | {k: v for k, v in fields.items() if v is not None}


def curves(
    title: str,
    series: Sequence[Series],
    *,
    xlabel: str = "step",
    ylabel: str = "",
    xlog: bool = False,
    ylog: bool = False,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    marks: Sequence[tuple[float, str]] | None = None,
    width: Width = "half",
) -> Panel:
    """Lines over a common axis; `marks` are vertical lines (x, label)."""
    return _panel(
        "curves", title, width, series=list(series), xlabel=xlabel, ylabel=ylabel, xlog=xlog, ylog=ylog,
        xlim=xlim, ylim=ylim, marks=marks,
    )  # fmt: skip


def plane(
    title: str,
    *,
    extent: tuple[float, float, float, float],
    field: Shades | None = None,
    palette: Literal["diverging", "sequential", "gray"] = "diverging",
    levels: Sequence[float] | None = None,
    points: Sequence[Mapping[str, Any]] | None = None,
    paths: Sequence[Mapping[str, Any]] | None = None,
    xlabel: str = "x₁",
    ylabel: str = "x₂",
    action: str | None = None,
    width: Width = "half",
) -> Panel:
    """A plane seen from above.

    Parameters
    ----------
    title : heading of the panel
    extent : x from, x to, y from, y to; row 0 of the field is at the top (y to)
    field : its shade at each point of a regular grid, the outermost on the edges
    levels : values of the field at which a line is drawn; the first is the strong one
    points : groups ``{"name", "x", "y", "group"}``: colour and mark tell the group; with ``"hollow": True``
        only the outline of each mark, for points that are looked at but not learned from
    paths : lines ``{"name", "x", "y", "group"}`` with a mark at their end
    action : what a click asks for, with value [x, y]
    """
    return _panel(
        "plane", title, width, extent=extent, field=field, palette=palette, levels=levels,
        points=points, paths=paths, xlabel=xlabel, ylabel=ylabel, action=action,
    )  # fmt: skip


def pictures(
    title: str,
    images: Sequence[Shades],
    *,
    titles: Sequence[str] | None = None,
    palette: Literal["diverging", "sequential", "gray"] = "diverging",
    smooth: bool = False,
    width: Width = "half",
) -> Panel:
    """Several small pictures side by side, each with its title; "gray" is dark ink on white paper."""
    return _panel(
        "pictures", title, width, images=list(images), titles=titles, palette=palette, smooth=smooth
    )


def network(
    title: str,
    *,
    sizes: Sequence[int],
    weights: Sequence[Array] | None = None,
    values: Sequence[Array | None] | None = None,
    names: Sequence[Sequence[str] | None] | None = None,
    shows: str = "weights",
    width: Width = "half",
) -> Panel:
    """Units in columns, joined by lines: thick is large, colour and dash tell the sign.

    Parameters
    ----------
    title : heading of the panel
    sizes : units of each layer, from the inputs to the outputs
    weights : one (D, M) matrix between each two layers; what it holds is named by `shows`
    values : one number a unit, or None, for each layer
    names : what to call the units of a layer
    shows : "weights", "activations" or "gradients"
    """
    return _panel(
        "network", title, width, sizes=list(sizes), weights=weights, values=values, names=names, shows=shows
    )


def matrix(
    title: str,
    values: Array | Sequence[Sequence[Any]],
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    digits: int = 3,
    heat: Literal["diverging", "sequential"] | None = None,
    highlight: Sequence[tuple[int, int]] | None = None,
    hidden: Sequence[tuple[int, int]] | None = None,
    role: Literal["value", "gradient"] | None = None,
    action: str | None = None,
    width: Width = "third",
) -> Panel:
    """A table of numbers (or short texts).

    Parameters
    ----------
    title : heading of the panel
    values : (rows, columns); None is an empty cell
    rows, columns : headings
    digits : significant digits shown
    heat : shade the cells by their value
    highlight : cells (row, column) with a frame
    hidden : cells that show "?" until they are revealed
    role : value boxes and gradient boxes look different
    action : what a click on a cell asks for, with value [row, column]
    """
    return _panel(
        "matrix", title, width, values=values, rows=rows, columns=columns, digits=digits, heat=heat,
        highlight=highlight, hidden=hidden, role=role, action=action,
    )  # fmt: skip


def bars(
    title: str,
    names: Sequence[str],
    values: Sequence[float] | Array,
    *,
    high: float | None = None,
    log: bool = False,
    strong: int | None = None,
    digits: int = 3,
    width: Width = "third",
) -> Panel:
    """Horizontal bars from 0 to `high`, each with its number; `strong` is the index of the one to note."""
    return _panel(
        "bars",
        title,
        width,
        names=list(names),
        values=values,
        high=high,
        log=log,
        strong=strong,
        digits=digits,
    )


def histograms(
    title: str,
    counts: Sequence[Array],
    *,
    titles: Sequence[str],
    ranges: Sequence[tuple[float, float]],
    width: Width = "full",
) -> Panel:
    """Several small histograms side by side, each with evenly spaced bins over its own range."""
    return _panel("histograms", title, width, counts=list(counts), titles=list(titles), ranges=list(ranges))


def formula(title: str, latex: str, *, label: str = "", numbers: str = "", width: Width = "full") -> Panel:
    """An equation (`label` in the ledger, `latex` where it is not one) and the same with numbers, as text."""
    return _panel("formula", title, width, latex=latex, label=label, numbers=numbers)


def text(title: str, words: str, *, width: Width = "half") -> Panel:
    """A sentence or two."""
    return _panel("text", title, width, text=words)


def question(title: str, prompt: str, action: str, *, feedback: str = "", width: Width = "half") -> Panel:
    """A number to predict: asks for `action` with the reader's answer, a float."""
    return _panel("question", title, width, prompt=prompt, action=action, feedback=feedback)


def drawing(title: str, action: str, *, width: Width = "third") -> Panel:
    """A pad to draw on.

    Asks for `action` with {"shape": [112, 112], "u8": base64 text}, 0 for paper and 255 for ink, or
    with {} when it was wiped.
    """
    return _panel("drawing", title, width, action=action)
