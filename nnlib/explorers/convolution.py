"""A convolution one window at a time: forward, the gradient of the image, the gradient of the kernel."""

from __future__ import annotations

import numpy as np

from nnlib import functional as F
from nnlib._shapes import Array
from nnlib.explorers.engine import Explorer, choice, whole
from nnlib.explorers.panels import Panel, factor, formula, matrix, number, text

__all__ = ["IMAGES", "KERNELS", "Convolution"]


def picture(rows: str) -> Array:
    """Return a picture written with blanks for 0 and digits for the rest.

    Examples
    --------
    >>> picture("1. .1").astype(int)
    array([[1, 0],
           [0, 1]])
    """
    return np.array([[float(mark.replace(".", "0")) for mark in row] for row in rows.split()])


IMAGES = {
    "edge": picture("...333 ...333 ...333 ...333 ...333 ...333"),
    "cross": picture("...1... ...1... ...1... 1111111 ...1... ...1... ...1..."),
    "digit": picture("........ .222222. .....22. ....22.. ...22... ..22.... ..22.... ........"),
}
KERNELS = {
    "sobel": np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "blur": np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]),
    "identity": np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "corner": np.array([[1.0, 1, 0], [1, -2, -1], [0, -1, 0]]),
}
FORMULAS = {
    "forward": ("eq-conv2d", r"""\begin{aligned}
&Y_{nfij} = b_f \\
&\; + \sum_{c,k,l} X_{n,c,\,si+k-p,\,sj+l-p}\, W_{fckl}
\end{aligned}"""),
    "dX": ("eq-conv2d-dx", r"""\begin{aligned}
&R_{ikh} = \mathbf{1}[si + k - p = h] \\
&Q_{jlw} = \mathbf{1}[sj + l - p = w] \\
&dV_{ncijkl} = \sum_f dY_{nfij}\, W_{fckl} \\
&dX_{nchw} = \sum_{ijkl} dV_{ncijkl}\, R_{ikh}\, Q_{jlw}
\end{aligned}"""),
    "dW": ("eq-conv2d-dw", r"""\begin{aligned}
&V_{ncijkl} = X_{n,c,\,si+k-p,\,sj+l-p} \\
&dW_{fckl} = \sum_{n,i,j} dY_{nfij}\, V_{ncijkl}
\end{aligned}"""),
}  # fmt: skip


def alone(values: Array) -> Array:
    """Return one image, or one kernel, as the batch with one channel that the functions expect."""
    return values[None, None]


class Convolution(Explorer):
    """Slide a 3x3 kernel over a small picture, and send a gradient back through it. All numbers are whole.

    A step is one position of the window. Nothing is computed but by `conv2d` and `conv2d_backward`: both
    gradients are linear in dY, so what the first positions have given is the gradient for a dY that is 0
    at the others. The bias is 0.

    Parameters
    ----------
    settings : image, kernel, stride, padding, direction, seed

    Examples
    --------
    >>> explorer = Convolution(image="edge", kernel="sobel")
    >>> explorer.step(2)
    2
    >>> explorer.describe()
    'Position 2 of 16: rows 0 to 2, columns 1 to 3 of the image. Y[0, 1] = 12.'
    """

    name = "convolution"
    title = "Convolution, one window at a time"
    caption = (
        "Forward gathers a window into one number. Backward takes the same windows and spreads one number."
    )
    controls = (
        choice(
            "image", "Image", "edge",
            {"edge": "vertical edge", "cross": "cross", "digit": "digit 7", "random": "random"},
            restarts=True,
        ),
        choice(
            "kernel", "Kernel", "sobel",
            {"sobel": "Sobel", "blur": "blur (times 16)", "identity": "identity", "corner": "corner",
             "random": "random"}, restarts=True,
        ),
        whole("stride", "Stride", 1, 1, 2, restarts=True),
        whole("padding", "Padding", 0, 0, 1, restarts=True),
        choice(
            "direction", "Pass", "forward",
            {"forward": "forward: Y", "dX": "backward: dX", "dW": "backward: dW"}, restarts=True,
        ),
        whole("seed", "Seed", 0, 0, 99, restarts=True),
    )  # fmt: skip
    recorded = (17, 1)
    pace = 4.0

    def start(self) -> None:
        """Draw what is random and compute the whole forward pass; no position has been shown."""
        # drawn in any case, so that a seed gives the same dY for every picture of a size
        image = self.rng.integers(0, 4, (6, 6), dtype=np.int64).astype(np.float64)
        kernel = self.rng.integers(-2, 3, (3, 3), dtype=np.int64).astype(np.float64)
        self.X = IMAGES.get(self.settings["image"], image)
        self.W = KERNELS.get(self.settings["kernel"], kernel)
        self.how = {name: self.settings[name] for name in ("stride", "padding")}
        self.Y = F.conv2d(alone(self.X), alone(self.W), np.zeros(1), **self.how)[0, 0]
        self.dY = self.rng.integers(-2, 4, self.Y.shape, dtype=np.int64).astype(np.float64)

    def advance(self) -> None:
        """Go to the next position; how far the run is says everything."""

    @property
    def finished(self) -> bool:
        """Whether the window has been everywhere."""
        return self.steps >= int(self.Y.size)

    def gradients(self, first: int, last: int) -> tuple[Array, Array]:
        """Return what the positions from `first` up to but without `last` give to dX and to dW."""
        index = np.arange(self.Y.size).reshape(self.Y.shape)
        dY = np.where((first <= index) & (index < last), self.dY, 0)
        dX, dW, _ = F.conv2d_backward(alone(dY), alone(self.X), alone(self.W), **self.how)
        return dX[0, 0], dW[0, 0]

    @property
    def position(self) -> tuple[int, int]:
        """Row and column of the output that is shown."""
        i, j = divmod(max(self.steps - 1, 0), self.Y.shape[1])
        return i, j

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the image at the first corner of the window; -1 is in the padding."""
        (i, j), stride, padding = self.position, self.how["stride"], self.how["padding"]
        return stride * i - padding, stride * j - padding

    def panels(self) -> list[Panel]:
        """Return the formula with its numbers, a sentence, and the tables of the pass."""
        direction = self.settings["direction"]
        label, latex = FORMULAS[direction]
        tables = {"forward": self._forward, "dX": self._back_to_x, "dW": self._back_to_w}[direction]
        return [
            formula(self._heading(), latex, label=label, numbers=self._numbers()),
            text("What happens", self._words(), width="full"),
            *tables(),
        ]

    def describe(self) -> str:
        """Return the position and what it gives."""
        if not self.steps:
            return f"{self.Y.size} positions, none visited yet. Pass: {self.settings['direction']}."
        row, column = self.corner
        place = f"rows {number(row)} to {number(row + 2)}, columns {number(column)} to {number(column + 2)}"
        return f"Position {self.steps} of {self.Y.size}: {place} of the image. {self._result()}" + (
            " The window has been everywhere." if self.finished else ""
        )

    def _heading(self) -> str:
        return f"Position {self.steps} of {self.Y.size}"

    def _words(self) -> str:
        return {
            "forward": "Multiply the window with the kernel, entry by entry, and add up: one number of Y. "
            "The bias is 0.",
            "dX": "Each pixel of the window went into this output times its weight. So dY times the kernel "
            "is added to the window of dX; what falls into the padding is dropped.",
            "dW": "Each weight met one pixel of the window. So dY times the window is added to dW.",
        }[self.settings["direction"]]

    def _result(self) -> str:
        """The number that the position gives; of a gradient, one of the numbers."""
        i, j = self.position
        if self.settings["direction"] == "forward":
            return f"Y[{i}, {j}] = {number(self.Y[i, j])}."
        name, at, _ = self._entry()
        return f"{name}[{at[0]}, {at[1]}] = {number(self._gradient(self.steps)[at])}."

    def _numbers(self) -> str:
        """The same with the numbers plugged in."""
        if not self.steps:
            return "Press Step."
        i, j = self.position
        if self.settings["direction"] == "forward":
            pairs = zip(self._under().ravel(), self.W.ravel(), strict=True)
            products = " + ".join(f"{factor(x)} · {factor(w)}" for x, w in pairs)
            return f"Y[{i}, {j}] = {products} = {number(self.Y[i, j])}"
        name, at, met = self._entry()
        before, after = self._gradient(self.steps - 1)[at], self._gradient(self.steps)[at]
        return (
            f"{name}[{at[0]}, {at[1]}] = {number(before)} + {factor(self.dY[i, j])} · {factor(met)} "
            f"= {number(after)}"
        )

    def _gradient(self, steps: int) -> Array:
        """The gradient of the present pass after so many positions."""
        return self.gradients(0, steps)[self.settings["direction"] == "dW"]

    def _entry(self) -> tuple[str, tuple[int, int], float]:
        """The entry of the gradient that changes most at this position, and what dY meets there."""
        name, (row, column) = self.settings["direction"], self.corner
        k, l = self._met()  # noqa: E741  as in the equation
        if name == "dW":
            return name, (k, l), float(self._under()[k, l])
        return name, (row + k, column + l), float(self.W[k, l])

    def _met(self) -> tuple[int, int]:
        """Row and column of that entry in the kernel."""
        row, column = self.corner
        sizes = np.abs(self._under())
        if self.settings["direction"] == "dX":  # weights over the padding give to no pixel
            inside = np.pad(np.ones(self.X.shape), 1)[row + 1 : row + 4, column + 1 : column + 4]
            sizes = np.where(inside > 0, np.abs(self.W), -1)
        k, l = np.unravel_index(np.argmax(sizes), sizes.shape)  # noqa: E741
        return int(k), int(l)

    def _under(self) -> Array:
        """What lies under the window, zeros in the padding: (3, 3)."""
        (row, column), padding = self.corner, self.how["padding"]
        under: Array = self._padded()[row + padding :, column + padding :][:3, :3]
        return under

    def _padded(self) -> Array:
        return np.pad(self.X, self.how["padding"])

    def _window(self, padding: int) -> list[tuple[int, int]]:
        """Cells under the window, in a picture with so much padding around it."""
        if not self.steps:
            return []
        row, column = self.corner
        H, W = self.X.shape
        cells = [(row + k, column + l) for k in range(3) for l in range(3)]  # noqa: E741  as in the equation
        return [
            (h + padding, w + padding)
            for h, w in cells
            if -padding <= h < H + padding and -padding <= w < W + padding
        ]

    def _table(self, name: str, values: Array, highlight: list[tuple[int, int]], *, first: int = 0) -> Panel:
        """A table of whole numbers with its indices; nan is an empty cell."""
        entries = [[None if np.isnan(value) else int(value) for value in row] for row in values]
        rows, columns = ([number(first + index) for index in range(size)] for size in values.shape)
        return matrix(
            name, entries, rows=rows, columns=columns, heat="diverging", highlight=highlight,
            role="gradient" if name.startswith("d") else "value",
        )  # fmt: skip

    def _image(self) -> Panel:
        padding = self.how["padding"]
        name = "X with its padding" if padding else "X"
        return self._table(name, self._padded(), self._window(padding), first=-padding)

    def _forward(self) -> list[Panel]:
        shown = np.where(np.arange(self.Y.size).reshape(self.Y.shape) < self.steps, self.Y, np.nan)
        return [self._image(), self._table("W", self.W, []), self._table("Y", shown, self._here())]

    def _back_to_x(self) -> list[Panel]:
        met = [self._met()] if self.steps else []
        return [
            self._table("dY", self.dY, self._here()),
            self._table("W", self.W, met),
            self._table("dX so far", self._gradient(self.steps), self._window(0)),
        ]

    def _back_to_w(self) -> list[Panel]:
        met = [self._met()] if self.steps else []
        return [
            self._table("dY", self.dY, self._here()),
            self._image(),
            self._table("dW so far", self._gradient(self.steps), met),
        ]

    def _here(self) -> list[tuple[int, int]]:
        return [self.position] if self.steps else []
