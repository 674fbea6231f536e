"""The panels of a frame with Matplotlib: the picture that is printed, and shown where nothing can move.

`draw` takes a frame as `to_json` writes it, so that it sees what `static/view.js` sees. It makes its own
figure and touches no global state, neither Pyplot's figures nor the style.
"""

from __future__ import annotations

import base64
import io
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.patches import Rectangle
from PIL import Image

from nnlib._shapes import Array
from nnlib.explorers.panels import text
from nnlib.plotting import COLOURS, DIVERGING, LINES, MARKERS

__all__ = ["KINDS", "draw", "png"]

Panel = Mapping[str, Any]
Point = tuple[float, float]

WIDTH = 8.0  # inches of the whole picture
MARGIN = 0.1  # inches around each panel
ROW, LINE = 0.21, 0.15  # inches of a row of a table, of a line of text
MUTED = "#57606A"
MIDDLE: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6.5}
COLUMNS = {"full": 12, "half": 6, "third": 4, "quarter": 3, "sixth": 2}
PALETTES: dict[str, Colormap] = {
    "diverging": DIVERGING,
    "sequential": LinearSegmentedColormap.from_list("slate", ["#FFFFFF", "#A9BDCB", "#3F6480"]),
    "gray": LinearSegmentedColormap.from_list("ink", ["#FFFFFF", "#16181C"]),
}
MOST_UNITS = 16  # drawn in one layer
MOST_NUMBERS = 12  # lines whose numbers are written beside them
STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#818A95",
    "axes.grid": False,
    "axes.labelcolor": "#57606A",
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.size": 8,
    "grid.color": "#E7EAEE",
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.facecolor": "white",
    "text.color": "#1C2128",
    "xtick.color": "#57606A",
    "xtick.labelsize": 7,
    "ytick.color": "#57606A",
    "ytick.labelsize": 7,
}


@dataclass(frozen=True)
class Place:
    """A rectangle of a figure, in inches from its lower left corner."""

    figure: Figure
    left: float
    bottom: float
    width: float
    height: float

    def axes(self, left: float = 0, bottom: float = 0, right: float = 0, top: float = 0) -> Axes:
        """Return axes that leave so many inches free at each edge."""
        across, up = self.figure.get_size_inches()
        width, height = max(self.width - left - right, 0.1), max(self.height - bottom - top, 0.1)
        corner = (self.left + left) / across, (self.bottom + bottom) / up
        return self.figure.add_axes((*corner, width / across, height / up))

    def blank(self) -> Axes:
        """Return axes without axes, in inches from the upper left corner."""
        ax = self.axes()
        ax.set_axis_off()
        ax.set(xlim=(0, self.width), ylim=(self.height, 0))
        return ax

    def grid(self, count: int, across: int, gap: float = 0.08) -> list[Place]:
        """Return so many equal rectangles, row by row."""
        rows = max(-(-count // across), 1)
        width, height = (self.width + gap) / across, (self.height + gap) / rows
        lefts = [self.left + width * (i % across) for i in range(count)]
        bottoms = [self.bottom + height * (rows - 1 - i // across) for i in range(count)]
        return [
            Place(self.figure, x, y, width - gap, height - gap) for x, y in zip(lefts, bottoms, strict=True)
        ]


def draw(frame: Mapping[str, Any]) -> Figure:
    """Return the panels of a frame as a figure, 8 inches wide.

    Parameters
    ----------
    frame : what ``json.loads(to_json(explorer.frame()))`` gives; what only a reader who can act has a use
        for, a question or a pad, is left out

    Raises
    ------
    ValueError
        When there is no such kind of panel.

    Examples
    --------
    >>> from nnlib.explorers.panels import text
    >>> float(draw({"panels": [text("Note", "The loss falls.")], "message": ""}).get_figwidth())
    8.0
    """
    panels = [panel for panel in frame["panels"] if panel["kind"] not in ("question", "drawing")]
    for panel in panels:
        if panel["kind"] not in KINDS:
            raise ValueError(f"a panel must be one of {', '.join(KINDS)}, got {panel['kind']!r}")
    if frame["message"]:
        panels.insert(0, text("", frame["message"], width="full"))
    rows = _rows(panels)
    heights = [max(map(_height, row)) for row in rows]
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, sum(heights) + MARGIN))
        FigureCanvasAgg(figure)
        top = sum(heights)
        for row, height in zip(rows, heights, strict=True):
            top -= height
            left = 0.0
            for panel in row:
                _draw_panel(Place(figure, left, top, _inches(panel), height), panel)
                left += _inches(panel)
        figure.draw_without_rendering()  # ticks are made now, while the style holds
    return figure


def png(frame: Mapping[str, Any], dpi: int = 96) -> bytes:
    r"""Return the picture of a frame as a small PNG file, in the few colours that it has.

    Parameters
    ----------
    frame : as for `draw`
    dpi : pixels an inch; the picture is 8 inches wide

    Examples
    --------
    >>> png({"panels": [], "message": "The loss is nan."})[:4]
    b'\x89PNG'
    """
    file = io.BytesIO()
    draw(frame).savefig(file, format="rgba", dpi=dpi)
    picture = np.frombuffer(file.getvalue(), dtype=np.uint8).reshape(-1, int(WIDTH * dpi), 4)[..., :3]
    colours = _few_colours()
    found, which = np.unique(picture.reshape(-1, 3) @ [65536, 256, 1], return_inverse=True)
    channels = found[:, None] // [65536, 256, 1] % 256
    nearest = ((channels[:, None] - colours) ** 2).sum(axis=-1).argmin(axis=-1).astype(np.uint8)
    image = Image.fromarray(nearest[which].reshape(picture.shape[:2]), mode="P")
    image.putpalette(colours.astype(np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, format="png", optimize=True)
    return file.getvalue()


def _few_colours() -> Array:
    """At most 256 colours, (K, 3): tints of the course's, for edges and shades, and slate.

    A palette chosen by counting pixels would give a thin line the colour of something larger.
    """
    ramps = [
        LinearSegmentedColormap.from_list("tint", ["white", colour])(np.linspace(0, 1, 45 if i < 2 else 17))
        for i, colour in enumerate((*COLOURS, MUTED))
    ]
    ramps.append(PALETTES["sequential"](np.linspace(0, 1, 45)))
    return np.asarray((np.vstack(ramps)[:, :3] * 255).round(), dtype=np.int64)


def _draw_panel(cell: Place, panel: Panel) -> None:
    title, body, width = _title(panel), max(_body(panel), LINE), cell.width - 2 * MARGIN
    ax = Place(cell.figure, cell.left + MARGIN, cell.bottom, width, cell.height).blank()
    ax.text(0, 0.05, "\n".join(title), fontsize=9, fontweight="bold", va="top")
    bottom = cell.bottom + cell.height - MARGIN - 0.17 * len(title) - body
    KINDS[panel["kind"]](Place(cell.figure, cell.left + MARGIN, bottom, width, body), panel)


def _title(panel: Panel) -> list[str]:
    role = f" ({panel['role']})" if panel.get("role") else ""
    return _lines(panel["title"] + role, int(_inches(panel) * 12.5))


def _rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Fill rows of twelve columns, in order."""
    rows: list[list[Panel]] = []
    free = 0
    for panel in panels:
        wanted = COLUMNS[panel["width"]]
        if wanted > free:
            rows.append([])
            free = 12
        rows[-1].append(panel)
        free -= wanted
    return rows


def _inches(panel: Panel) -> float:
    return WIDTH * COLUMNS[panel["width"]] / 12


def _height(panel: Panel) -> float:
    """Inches that a panel wants, with its title and margins."""
    return max(_body(panel), LINE) + 0.17 * len(_title(panel)) + 2 * MARGIN


def _body(panel: Panel) -> float:
    kind, width = panel["kind"], _inches(panel) - 2 * MARGIN
    if kind == "plane":
        return float(min((min(width, 3.5) - 0.5) / _shape(panel), 3.0) + 0.45 + _legend_height(panel))
    if kind == "network":
        tallest = max(min(size, MOST_UNITS) for size in panel["sizes"])
        return float(min(max(1.3, 0.45 * tallest), 2.8) + 0.15)
    if kind == "pictures":
        across = _across(panel)
        rows = -(-len(panel["images"]) // across)
        return float(rows * (min(width / across, 1.6) + 0.17))
    if kind == "matrix":
        return float(ROW * (len(panel["values"]) + bool(panel.get("columns"))))
    if kind == "bars":
        return float(ROW * len(panel["names"]) + 0.25 * bool(panel["log"]))
    if kind == "histograms":
        return 0.95 * -(-len(panel["counts"]) // 6)
    if kind == "formula":
        return 0.42 * len(_maths(panel["latex"])) + LINE * len(_numbers_in_words(panel))
    if kind == "text":
        return LINE * len(_words(panel))
    return 1.7 + 0.16 * bool(panel.get("ylabel")) + _legend_height(panel)


def _curves(place: Place, panel: Panel) -> None:
    ylabel, legend = panel.get("ylabel", ""), _legend_height(panel)
    label = 0.16 if ylabel else 0.0
    ax = place.axes(left=0.45, bottom=0.35, right=0.1, top=0.06 + label + legend)
    ax_height = place.height - 0.41 - label - legend
    seen = 0
    for i, line in enumerate(panel["series"]):
        x, y = _numbers(line["x"]), _numbers(line["y"])
        if panel.get("xlog"):
            x = np.where(x > 0, x, np.nan)
        if panel.get("ylog"):
            y = np.where(y > 0, y, np.nan)
        known = int(np.isfinite(x * y).sum())
        seen += known
        ax.plot(
            x, y, color=_pick(COLOURS, i), label=_plain(line["name"]), markersize=4,
            marker=_pick(MARKERS, i) if line.get("points") or known == 1 else None,
            linestyle="none" if line.get("points") else _pick(LINES, i),
        )  # fmt: skip
    for side in "xy":
        if panel.get(f"{side}log"):
            ax.set(**{f"{side}scale": "log"} | ({} if seen else {f"{side}lim": (0.1, 10)}))
        if panel.get(f"{side}lim"):
            ax.set(**{f"{side}lim": panel[f"{side}lim"]})
    for at, words in panel.get("marks", []):
        ax.axvline(at, color=MUTED, linestyle=":", linewidth=1)
        ax.annotate(_plain(words), (at, 0.98), xycoords=("data", "axes fraction"), fontsize=7, va="top")
    ax.set_xlabel(_plain(panel.get("xlabel", "")), labelpad=1)
    place.blank().text(0, legend + 0.08, _plain(ylabel), fontsize=7, color=MUTED, va="center")
    ax.grid(True)
    _legend(ax, panel, above=label / ax_height)


def _shape(panel: Panel) -> float:
    """Width by height of a plane: true to scale, unless that made a strip of it."""
    left, right, bottom, top = panel["extent"]
    shape = float((right - left) / (top - bottom))
    return shape if 0.5 < shape < 2.2 else 1.3


def _named(panel: Panel) -> list[Mapping[str, Any]]:
    return [*panel.get("series", []), *panel.get("points", []), *panel.get("paths", [])]


def _legend_height(panel: Panel) -> float:
    """Inches of the names above a plane or above curves; a single curve needs none."""
    count = len(_named(panel))
    return 0.17 * -(-count // _legend_columns(panel)) if count > (panel["kind"] == "curves") else 0.0


def _legend_columns(panel: Panel) -> int:
    long = max((len(named["name"]) for named in _named(panel)), default=0)
    return max(1, int((_inches(panel) - 0.3) / (0.55 + 0.065 * long)))


def _legend(ax: Axes, panel: Panel, above: float = 0) -> None:
    if _legend_height(panel):
        ax.legend(
            loc="lower left", bbox_to_anchor=(0, 1 + above), ncols=_legend_columns(panel), handlelength=2.6,
            borderaxespad=0.1, columnspacing=1, labelspacing=0.3,
        )  # fmt: skip


def _plane(place: Place, panel: Panel) -> None:
    legend = _legend_height(panel)
    height = place.height - 0.4 - legend
    width = min(height * _shape(panel), place.width - 0.5)
    ax = place.axes(left=0.45, bottom=0.4, right=place.width - 0.45 - width, top=legend)
    left, right, bottom, top = panel["extent"]
    if panel.get("field"):
        _field(ax, panel)
    else:
        ax.grid(True)
    for i, path in enumerate(panel.get("paths", [])):
        group, x, y = path.get("group", i), _numbers(path["x"]), _numbers(path["y"])
        known = np.flatnonzero(np.isfinite(x * y))
        ax.plot(x, y, color="white", linewidth=3)
        ax.plot(
            x, y, color=_pick(COLOURS, group), linestyle=_pick(LINES, group), label=_plain(path["name"]),
            marker=_pick(MARKERS, group), markevery=list(known[-1:]), markeredgecolor="white",
        )  # fmt: skip
    many = sum(len(points["x"]) for points in panel.get("points", []))
    for i, points in enumerate(panel.get("points", [])):
        group = points.get("group", i)
        colour, hollow = _pick(COLOURS, group), points.get("hollow", False)
        ax.scatter(
            _numbers(points["x"]), _numbers(points["y"]), s=14 if many > 60 else 42,
            color="none" if hollow else colour, edgecolors=colour if hollow else "white", linewidths=0.7,
            marker=_pick(MARKERS, group), zorder=3, label=_plain(points["name"]),
        )  # fmt: skip
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="auto")
    ax.spines[["top", "right"]].set_visible(True)
    ax.set_xlabel(_plain(panel.get("xlabel", "")), labelpad=1)
    ax.set_ylabel(_plain(panel.get("ylabel", "")), labelpad=1)
    _legend(ax, panel)


def _field(ax: Axes, panel: Panel) -> None:
    left, right, bottom, top = panel["extent"]
    field, palette, values = panel["field"], panel["palette"], _shades(panel["field"])
    rows, columns = values.shape
    # The outermost numbers lie on the edges, so half a cell of the picture lies beyond on each side.
    dx, dy = (right - left) / max(columns - 1, 1) / 2, (top - bottom) / max(rows - 1, 1) / 2
    ax.imshow(
        values, cmap=PALETTES[palette], vmin=field["low"], vmax=field["high"], interpolation="bilinear",
        extent=(left - dx, right + dx, bottom - dy, top + dy), alpha=0.62 if palette == "diverging" else 1,
    )  # fmt: skip
    for i, level in enumerate(panel.get("levels", [])):
        if values.min() < level < values.max():
            ax.contour(
                np.linspace(left, right, columns), np.linspace(top, bottom, rows), values, levels=[level],
                colors="black", linewidths=0.7 if i else 1.6, alpha=0.5 if i else 1, linestyles="solid",
            )  # fmt: skip


def _across(panel: Panel) -> int:
    """Pictures side by side, in rows of about one length."""
    count = max(len(panel["images"]), 1)
    most = max(1, int(_inches(panel) / (0.7 if count > 4 else 0.9)))
    return -(-count // -(-count // most))


def _pictures(place: Place, panel: Panel) -> None:
    images, across = panel["images"], _across(panel)
    titles = panel.get("titles") or [""] * len(images)
    for cell, image, title in zip(place.grid(len(images), across), images, titles, strict=True):
        ax = cell.axes(top=0.17)
        ax.imshow(
            _shades(image), cmap=PALETTES[panel["palette"]], vmin=image["low"], vmax=image["high"],
            interpolation="bilinear" if panel["smooth"] else "nearest",
        )  # fmt: skip
        ax.set_anchor("W")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color="#D5DAE0")
        ax.set_title(_plain(title), fontsize=6.5, pad=2, loc="left")


def _network(place: Place, panel: Panel) -> None:
    sizes, weights = panel["sizes"], panel.get("weights") or []
    values = panel.get("values") or [None] * len(sizes)
    names = panel.get("names") or [None] * len(sizes)
    shown = [min(size, MOST_UNITS) for size in sizes]
    few = sum(a * b for a, b in pairwise(shown)) <= MOST_NUMBERS
    widest, strongest, ax = _largest(weights), _largest([values]), place.axes(top=0.15)

    def at(layer: int, unit: int) -> tuple[float, float]:
        return layer, (shown[layer] - 1) / 2 - unit

    for layer, matrix in enumerate(weights):
        for i, j in np.ndindex(shown[layer], shown[layer + 1]):
            ends = at(layer, i), at(layer + 1, j)
            _edge(ax, *ends, matrix[i][j], widest)
            if few:
                _number(ax, *ends, matrix[i][j], _part(i, j, shown[layer], shown[layer + 1]))
    radius = 290 if few else max(20, 180 - 9 * max(shown))
    for layer, size in enumerate(sizes):
        for unit in range(shown[layer]):
            value = values[layer][unit] if values[layer] else None
            fill = "white" if value is None else DIVERGING(0.5 + 0.5 * value / strongest)
            ax.scatter(*at(layer, unit), s=radius, color=[fill], edgecolors=MUTED, linewidths=0.8, zorder=3)
            if few and value is not None:
                ax.text(*at(layer, unit), _write(value, 2), color=_ink(fill), zorder=4, **MIDDLE)
        if names[layer] and layer in (0, len(sizes) - 1):
            side = "right" if layer == 0 else "left"
            for unit, name in enumerate(names[layer][: shown[layer]]):
                shift = (-11 if layer == 0 else 11, 0)
                words = textwrap.shorten(_plain(name), 18, placeholder="…")
                ax.annotate(
                    words,
                    at(layer, unit),
                    shift,
                    textcoords="offset points",
                    ha=side,
                    va="center",
                    fontsize=7,
                )
        if size > shown[layer]:
            ax.text(layer, -max(shown) / 2, f"+{size - shown[layer]}", **MIDDLE)
    ax.set(xlim=(-0.45, len(sizes) - 0.55), ylim=(-max(shown) / 2 - 0.3, max(shown) / 2))
    ax.set_axis_off()
    if weights:
        what = "gradient dW" if panel["shows"] == "gradients" else "weight"
        note = f"{what}: thickest {_write(widest, 3)}, dashed is negative"
        ax.set_title(note, fontsize=7, color=MUTED, loc="left", pad=2)


def _edge(ax: Axes, start: Point, end: Point, value: float | None, widest: float) -> None:
    share = abs(value or 0) / widest
    colour, dash = (COLOURS[1], "-") if (value or 0) > 0 else (COLOURS[0], (0, (3, 2)))
    ax.plot(
        *zip(start, end, strict=True), color=colour if value else MUTED, linestyle=dash if value else "-",
        linewidth=0.4 + 2.6 * share, alpha=0.3 + 0.7 * share, zorder=1,
    )  # fmt: skip


def _part(i: int, j: int, n: int, m: int) -> float:
    """Where on its line a number stands: where the lines of many units have parted."""
    if m >= n:
        return 0.8 - 0.3 * i / (n - 1) if n > 1 else 0.5
    return 0.22 + 0.3 * j / max(m - 1, 1)


def _number(ax: Axes, start: Point, end: Point, value: float | None, part: float) -> None:
    (x, y), (u, v) = start, end
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    ax.text(x + part * (u - x), y + part * (v - y), _write(value, 2), bbox=box, zorder=2, **MIDDLE)


def _matrix(place: Place, panel: Panel) -> None:
    values, rows, columns = panel["values"], panel.get("rows") or [], panel.get("columns") or []
    role, heat, largest = panel.get("role"), panel.get("heat"), _largest([values])
    edge = {"value": COLOURS[0], "gradient": COLOURS[1]}.get(role or "", "#D5DAE0")
    left = 0.065 * max(map(len, rows), default=0) + 0.1 * bool(rows)
    top, count = ROW * bool(columns), max(map(len, values), default=0)
    width = min(0.58, (place.width - left) / max(count, 1))
    ax = place.blank()
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            x, y = left + j * width, top + i * ROW
            hidden, strong = [i, j] in panel.get("hidden", []), [i, j] in panel.get("highlight", [])
            ground: Any = "white"
            if heat and not hidden and isinstance(value, int | float):
                low = -largest if heat == "diverging" else 0.0
                ground = PALETTES[heat]((value - low) / (largest - low))
            dash = "--" if role == "gradient" and not strong else "-"
            box = Rectangle((x + 0.01, y + 0.01), width - 0.02, ROW - 0.02, facecolor=ground, clip_on=False)
            box.set(edgecolor="black" if strong else edge, linewidth=1.8 if strong else 0.7, linestyle=dash)
            ax.add_patch(box)
            words = "?" if hidden else "" if value is None else _write(value, panel["digits"])
            size = min(6.5, 118 * width / max(len(words), 1))
            ax.text(x + width / 2, y + ROW / 2, words, color=_ink(ground), **MIDDLE | {"fontsize": size})
    for i, name in enumerate(rows):
        ax.text(left - 0.06, top + (i + 0.5) * ROW, _plain(name), color=MUTED, **MIDDLE | {"ha": "right"})
    for j, name in enumerate(columns):
        ax.text(left + (j + 0.5) * width, ROW / 2, _plain(name), color=MUTED, **MIDDLE)


def _bars(place: Place, panel: Panel) -> None:
    values, log, strong = _numbers(panel["values"]), panel["log"], panel.get("strong")
    names = [_plain(name) for name in panel["names"]]
    left = min(0.1 + 0.065 * max(map(len, names), default=0), place.width / 2)
    ax = place.axes(left=left, bottom=0.25 if log else 0, right=0.55)
    high = panel.get("high") or _largest([[panel["values"]]])
    low = -high if (values < 0).any() else 0.0
    if log:
        positive = values[values > 0]
        low = 10.0 ** math.floor(math.log10(min(positive, default=high / 10)) - 0.3)
        ax.set_xscale("log")
    for i, value in enumerate(values):
        if math.isfinite(value) and (value > 0 or not log):
            start = low if log else 0.0
            ax.barh(
                i, value - start, 0.6, start, color=COLOURS[1] if i == strong or value < 0 else COLOURS[0]
            )
        weight = "bold" if i == strong else "normal"
        ax.annotate(
            _write(float(value), panel["digits"]), (1.03, i), xycoords=("axes fraction", "data"), va="center",
            fontsize=7, fontweight=weight,
        )  # fmt: skip
    ax.axvline(low if log else 0, color=MUTED, linewidth=0.8)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(low, high), ylim=(max(len(names), 1) - 0.5, -0.5))
    ax.tick_params(left=False, bottom=log, labelbottom=log)
    ax.spines[:].set_visible(False)


def _histograms(place: Place, panel: Panel) -> None:
    cells = place.grid(len(panel["counts"]), min(max(len(panel["counts"]), 1), 6), gap=0.15)
    for cell, bins, title, (low, high) in zip(
        cells, panel["counts"], panel["titles"], panel["ranges"], strict=True
    ):
        ax = cell.axes(bottom=0.2, top=0.17)
        ax.stairs(_numbers(bins), np.linspace(0, 1, len(bins) + 1), fill=True, color=COLOURS[0])
        ax.set_title(_plain(title), fontsize=7, pad=2)
        ax.set_yticks([])
        ax.set_xticks([0, 1], [_write(low, 2), _write(high, 2)])
        ax.spines["left"].set_visible(False)


def _formula(place: Place, panel: Panel) -> None:
    ax = place.blank()
    lines = _maths(panel["latex"])
    for i, latex in enumerate(lines):
        maths, size = _mathtext(latex)
        ax.text(0.2 * bool(i), 0.2 + 0.42 * i, maths, fontsize=size, va="center")
    ax.text(0, 0.42 * len(lines), "\n".join(_numbers_in_words(panel)), fontsize=7.5, va="top")


def _text(place: Place, panel: Panel) -> None:
    place.blank().text(0, 0, "\n".join(_words(panel)), fontsize=8, va="top")


KINDS: dict[str, Callable[[Place, Panel], None]] = {
    "curves": _curves,
    "plane": _plane,
    "pictures": _pictures,
    "network": _network,
    "matrix": _matrix,
    "bars": _bars,
    "histograms": _histograms,
    "formula": _formula,
    "text": _text,
}


def _numbers(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _shades(shades: Mapping[str, Any]) -> Array:
    """The numbers of a picture, as near as 256 shades tell them."""
    shape, low, high = shades["shape"], shades["low"], shades["high"]
    steps = np.frombuffer(base64.b64decode(shades["u8"]), dtype=np.uint8).reshape(shape)
    return np.asarray(low + steps / 255 * (high - low), dtype=np.float64)


def _largest(tables: Sequence[Any]) -> float:
    """The largest size of a number, or 1 where there is none but 0."""
    sizes = [
        abs(value)
        for table in tables
        for row in table
        for value in row or []
        if isinstance(value, int | float)
    ]
    return max(sizes, default=0.0) or 1.0


def _write(value: Any, digits: int) -> str:
    """A number with so many significant digits, as the view writes it."""
    if isinstance(value, str):
        return _plain(value)
    if value is None or not math.isfinite(value):
        return "–"
    whole = value == int(value) and abs(value) < 1e6
    words = f"{int(value)}" if whole else f"{value:.{digits}g}"
    mantissa, _, exponent = words.partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", "−")


def _ink(ground: Any) -> str:
    """Black or white, whichever reads better."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(ground))
    return "black" if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 else "white"


def _pick(options: Sequence[str], i: int) -> str:
    return options[i % len(options)]


def _plain(words: str) -> str:
    """The words with nothing that Matplotlib would take for mathematics."""
    return words.replace("$", r"\$")


def _lines(words: str, long: int) -> list[str]:
    return [line for part in _plain(words).splitlines() for line in textwrap.wrap(part, long) or [""]]


def _words(panel: Panel) -> list[str]:
    return _lines(panel["text"], int(_inches(panel) * 15))


def _numbers_in_words(panel: Panel) -> list[str]:
    return _lines(panel["numbers"], int(_inches(panel) * 16))


def _maths(latex: str) -> list[str]:
    """The lines of a formula, without the signs that align them."""
    inside = re.sub(r"\\(begin|end)\{aligned\}", "", latex)
    return [line.replace("&", "").replace(r"\qquad", "").strip() for line in inside.split(r"\\")]


def _mathtext(latex: str) -> tuple[str, float]:
    """The formula as Matplotlib can set it, and the size for it; as code where it cannot."""
    maths = " ".join(latex.split()).replace(r"\top", "T").replace(r"\tfrac", r"\frac")
    try:
        MathTextParser("path").parse(f"${maths}$")
    except ValueError:
        return _plain(" ".join(latex.split())), 7
    return f"${maths}$", 11
