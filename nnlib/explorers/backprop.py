"""Backpropagation one operation at a time: forward, loss, backward, update, with the numbers plugged in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlib import data
from nnlib import functional as F
from nnlib._shapes import Array
from nnlib.explorers.engine import Button, Explorer, choice, log_slider, toggle, whole
from nnlib.explorers.panels import Panel, Width, factor, formula, matrix, network, number, question, text
from nnlib.optimizers import SGD

__all__ = ["Backprop", "Operation", "operations"]

ROUNDS = 20
TOLERANCE = 0.02  # of the number itself: readers round

State = dict[str, Array]
SUBSCRIPTS = str.maketrans("12", "₁₂")


class Reading:
    """Writes entries of named boxes into a formula, and remembers which cells it read."""

    def __init__(self, boxes: State) -> None:
        self.boxes = boxes
        self.cells: dict[str, list[tuple[int, int]]] = {}

    def bare(self, name: str, i: int = 0, j: int = 0) -> str:
        """Return one entry, for a place where a sign needs no parentheses."""
        self.cells.setdefault(name, []).append((i, j))
        return number(np.atleast_2d(self.boxes[name])[i, j])

    def __call__(self, name: str, i: int = 0, j: int = 0) -> str:
        """Return one entry as a factor or a summand."""
        self.bare(name, i, j)
        return factor(np.atleast_2d(self.boxes[name])[i, j])

    def rows(self, name: str) -> range:
        """Return the indices of the rows of a box."""
        return range(len(self.boxes[name]))


Plugged = Callable[[Reading, int, int], str]


@dataclass(frozen=True)
class Operation:
    """One line of the algorithm.

    Attributes
    ----------
    result : the box that it fills, such as ``dW2``
    words : the line as plain text
    label, latex : its equation in the chapters
    why : a sentence on it
    compute : boxes -> the result
    plugged : the right side for one entry (i, j) with the numbers plugged in
    phase : "forward", "backward" or "update"
    """

    result: str
    words: str
    label: str
    latex: str
    why: str
    compute: Callable[[State], Array]
    plugged: Plugged
    phase: str


def _affine(X: str, W: str, b: str) -> Plugged:
    def plugged(at: Reading, i: int, j: int) -> str:
        return " + ".join([*(f"{at(X, i, d)} · {at(W, d, j)}" for d in at.rows(W)), at(b, 0, j)])

    return plugged


def _over_rows(A: str, dZ: str) -> Plugged:
    return lambda at, i, j: " + ".join(f"{at(A, n, i)} · {at(dZ, n, j)}" for n in at.rows(dZ))


def _sum_of_rows(dZ: str) -> Plugged:
    return lambda at, _, j: " + ".join(at(dZ, n, j) for n in at.rows(dZ))


def _activation(name: str, Z: str) -> Plugged:
    if name == "relu":
        return lambda at, i, j: f"max(0, {at.bare(Z, i, j)})"
    return lambda at, i, j: f"{'σ' if name == 'sigmoid' else 'tanh'}({at.bare(Z, i, j)})"


def _slope(name: str, dA: str, A: str, Z: str) -> Plugged:
    """Upstream gradient times the slope, from what the backward of that activation is given."""
    if name == "relu":
        return lambda at, i, j: f"{at(dA, i, j)} · 1[{at.bare(Z, i, j)} > 0]"
    if name == "tanh":
        return lambda at, i, j: f"{at(dA, i, j)} · (1 − {at(A, i, j)}²)"
    return lambda at, i, j: f"{at(dA, i, j)} · {at(A, i, j)} · (1 − {at.bare(A, i, j)})"


def _squares(at: Reading, _i: int, _j: int) -> str:
    terms = " + ".join(f"({at.bare('P', n)} − {at.bare('Y', n)})²" for n in at.rows("P"))
    return f"({terms}) / {len(at.rows('P'))}"


def _entropies(at: Reading, _i: int, _j: int) -> str:
    rows = at.rows("Z2")
    terms = " + ".join(
        f"max({at.bare('Z2', n)}, 0) − {at('Z2', n)} · {at('Y', n)} "
        f"+ log(1 + e^(−{number(abs(at.boxes['Z2'][n, 0]))}))"
        for n in rows
    )
    return f"({terms}) / {len(rows)}"


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"sigmoid": F.sigmoid, "tanh": F.tanh, "relu": F.relu}
A1 = {
    "sigmoid": ("A₁ = σ(Z₁)", "eq-xor-a1", r"A^{[1]} = \sigma(Z^{[1]})"),
    "tanh": ("A₁ = tanh(Z₁)", "eq-tanh", r"A = \tanh Z"),
    "relu": ("A₁ = max(0, Z₁)", "eq-relu", r"A = \max(0, Z)"),
}
DZ1: dict[str, tuple[str, str, str, Callable[[State], Array]]] = {
    "sigmoid": (
        "dZ₁ = dA₁ ⊙ A₁ ⊙ (1 − A₁)", "eq-xor-dz1", r"dZ^{[1]} = dA^{[1]} \odot A^{[1]} \odot (1 - A^{[1]})",
        lambda s: F.sigmoid_backward(s["dA1"], s["A1"]),
    ),
    "tanh": (
        "dZ₁ = dA₁ ⊙ (1 − A₁ ⊙ A₁)", "eq-tanh-dz", r"dZ = dA \odot (1 - A \odot A)",
        lambda s: F.tanh_backward(s["dA1"], s["A1"]),
    ),
    "relu": (
        "dZ₁ = dA₁ ⊙ 1[Z₁ > 0]", "eq-relu-dz", r"dZ = dA \odot \mathbf{1}[Z > 0]",
        lambda s: F.relu_backward(s["dA1"], s["Z1"]),
    ),
}  # fmt: skip


def _loss_operations(loss: str) -> list[Operation]:
    """From the scores Z₂ to the loss and back to dZ₂."""
    if loss == "bce":
        return [
            Operation(
                "L", "L = binary cross-entropy of σ(Z₂)", "eq-bce-logits",
                r"""\begin{aligned}
L &= \frac{1}{NM} \sum_{n,m} \big[ \max(Z_{nm}, 0) \\
&\qquad - Z_{nm} Y_{nm} \\
&\qquad + \log(1 + e^{-|Z_{nm}|}) \big]
\end{aligned}""",
                "One number for the whole batch, straight from the scores: the mean over the rows.",
                lambda s: np.array([[F.binary_cross_entropy_with_logits(s["Z2"], s["Y"])]]),
                _entropies, "forward",
            ),
            Operation(
                "dZ2", "dZ₂ = (σ(Z₂) − Y) / N", "eq-bce-logits-dz",
                r"dZ_{nm} = \frac{1}{NM} \big( \sigma(Z_{nm}) - Y_{nm} \big)",
                "Backward starts: prediction minus target. The only 1/N of the pass stands here.",
                lambda s: F.binary_cross_entropy_with_logits_backward(s["Z2"], s["Y"]),
                lambda at, i, j: f"1 / {len(at.rows('Y'))} · (σ({at.bare('Z2', i, j)}) − {at('Y', i, j)})",
                "backward",
            ),
        ]  # fmt: skip
    return [
        Operation(
            "P", "P = σ(Z₂)", "eq-xor-p", r"P = \sigma(Z^{[2]})",
            "The sigmoid turns each score into a number between 0 and 1.",
            lambda s: F.sigmoid(s["Z2"]), _activation("sigmoid", "Z2"), "forward",
        ),
        Operation(
            "L", "L = mean of (P − Y)²", "eq-xor-loss",
            r"L = \frac{1}{N M} \sum_{n,m} (P_{nm} - Y_{nm})^2",
            "One number for the whole batch: the mean over the rows.",
            lambda s: np.array([[F.mse(s["P"], s["Y"])]]), _squares, "forward",
        ),
        Operation(
            "dP", "dP = 2/N (P − Y)", "eq-xor-dp", r"dP_{nm} = \frac{2}{N M} (P_{nm} - Y_{nm})",
            "Backward starts. The only 1/N of the pass stands here.",
            lambda s: F.mse_backward(s["P"], s["Y"]),
            lambda at, i, j: f"2 / {len(at.rows('P'))} · ({at.bare('P', i, j)} − {at('Y', i, j)})",
            "backward",
        ),
        Operation(
            "dZ2", "dZ₂ = dP ⊙ P ⊙ (1 − P)", "eq-xor-dz2", r"dZ^{[2]} = dP \odot P \odot (1 - P)",
            "What arrives from above, times the slope of the sigmoid, entry by entry.",
            lambda s: F.sigmoid_backward(s["dP"], s["P"]), _slope("sigmoid", "dP", "P", "Z2"), "backward",
        ),
    ]  # fmt: skip


def _update(name: str) -> Operation:
    def compute(s: State) -> Array:
        theta = s[name].copy()
        SGD(float(s["eta"])).step({name: theta}, {name: s[f"d{name}"]})
        return theta

    shown = name.translate(SUBSCRIPTS)
    return Operation(
        name, f"{shown} ← {shown} − η d{shown}", "eq-xor-update",
        r"\theta \leftarrow \theta - \eta\, d\theta",
        "A step against the gradient. The other boxes still show what the old parameters gave.",
        compute, lambda at, i, j: f"{at(name, i, j)} − {at('eta')} · {at(f'd{name}', i, j)}", "update",
    )  # fmt: skip


def operations(activation: str, loss: str) -> tuple[Operation, ...]:
    """Return one round of training a 2-H-1 network, line by line.

    Parameters
    ----------
    activation : of the hidden units: "sigmoid", "tanh" or "relu"
    loss : "mse" of a sigmoid, or "bce", binary cross-entropy from the scores

    Examples
    --------
    >>> [operation.result for operation in operations("tanh", "bce")]  # doctest: +NORMALIZE_WHITESPACE
    ['Z1', 'A1', 'Z2', 'L', 'dZ2', 'dW2', 'db2', 'dA1', 'dZ1', 'dW1', 'db1', 'W1', 'b1', 'W2', 'b2']
    """
    words, label, latex, slope = DZ1[activation]
    return (
        Operation(
            "Z1", "Z₁ = X W₁ + b₁", "eq-xor-z1", r"Z^{[1]} = X W^{[1]} + b^{[1]}",
            "Each row of X meets each column of W₁. The same bias is added to every row.",
            lambda s: F.linear(s["X"], s["W1"], s["b1"]), _affine("X", "W1", "b1"), "forward",
        ),
        Operation(
            "A1", *A1[activation], "The activation takes every entry by itself.",
            lambda s: ACTIVATIONS[activation](s["Z1"]), _activation(activation, "Z1"), "forward",
        ),
        Operation(
            "Z2", "Z₂ = A₁ W₂ + b₂", "eq-xor-z2", r"Z^{[2]} = A^{[1]} W^{[2]} + b^{[2]}",
            "What the hidden units say is the input of the output unit.",
            lambda s: F.linear(s["A1"], s["W2"], s["b2"]), _affine("A1", "W2", "b2"), "forward",
        ),
        *_loss_operations(loss),
        Operation(
            "dW2", "dW₂ = A₁ᵀ dZ₂", "eq-xor-dw2", r"dW^{[2]} = A^{[1]\top} dZ^{[2]}",
            "Every row adds its input times what arrives from above. dW₂ has the shape of W₂.",
            lambda s: F.linear_backward(s["dZ2"], s["A1"], s["W2"])[1], _over_rows("A1", "dZ2"), "backward",
        ),
        Operation(
            "db2", "db₂ = sum of the rows of dZ₂", "eq-xor-db2", r"db^{[2]}_m = \sum_n dZ^{[2]}_{nm}",
            "The bias was added to every row, so every row adds to its gradient.",
            lambda s: F.linear_backward(s["dZ2"], s["A1"], s["W2"])[2], _sum_of_rows("dZ2"), "backward",
        ),
        Operation(
            "dA1", "dA₁ = dZ₂ W₂ᵀ", "eq-xor-da1", r"dA^{[1]} = dZ^{[2]}\, W^{[2]\top}",
            "The gradient goes back to each hidden unit through the weight that its output went through.",
            lambda s: F.linear_backward(s["dZ2"], s["A1"], s["W2"])[0],
            lambda at, i, j: f"{at('dZ2', i, 0)} · {at('W2', j, 0)}", "backward",
        ),
        Operation(
            "dZ1", words, label, latex,
            "What arrives from above, times the slope of the activation, entry by entry.",
            slope, _slope(activation, "dA1", "A1", "Z1"), "backward",
        ),
        Operation(
            "dW1", "dW₁ = Xᵀ dZ₁", "eq-xor-dw1", r"dW^{[1]} = X^\top dZ^{[1]}",
            "As for dW₂: input times what arrives from above, summed over the rows.",
            lambda s: F.linear_backward(s["dZ1"], s["X"], s["W1"])[1], _over_rows("X", "dZ1"), "backward",
        ),
        Operation(
            "db1", "db₁ = sum of the rows of dZ₁", "eq-xor-db1", r"db^{[1]}_h = \sum_n dZ^{[1]}_{nh}",
            "As for db₂: the sum over the rows.",
            lambda s: F.linear_backward(s["dZ1"], s["X"], s["W1"])[2], _sum_of_rows("dZ1"), "backward",
        ),
        *map(_update, ("W1", "b1", "W2", "b2")),
    )  # fmt: skip


def _gradients(boxes: list[tuple[str, Width]]) -> list[tuple[str, Width]]:
    return [(f"d{name}", width) for name, width in boxes]


def tenths(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from -2.0, -1.9, ... 2.0, all as likely: first parameters that fit into a formula."""
    drawn: Array = rng.integers(-20, 21, shape, dtype=np.int64) / 10
    return drawn


class Backprop(Explorer):
    """Step through forward, loss, backward and update of a 2-H-1 network on rows of XOR.

    A step is one operation. With `predict` on, an operation that has just been made hides one entry of
    its result and asks for it. An answer reveals it; so does choosing the cell, and so does the next step,
    which then makes no operation. Playing pauses at each question; the button for a round asks none.

    Parameters
    ----------
    settings : examples, hidden_size, activation, loss, learning_rate, seed, predict

    Examples
    --------
    >>> explorer = Backprop()
    >>> explorer.step(8)
    8
    >>> explorer.describe()
    'Operation 8 of 17: dW₂ = A₁ᵀ dZ₂. Shape (2, 1), dW₂[1, 0] = 0.008398. Round 1, loss 0.2618.'
    """

    name = "backprop"
    title = "Backpropagation, one operation at a time"
    caption = (
        "Watch each box fill from boxes that are known already, "
        "and each gradient take the shape of its value."
    )
    controls = (
        whole("examples", "Rows of XOR", 4, 1, 4, restarts=True),
        whole("hidden_size", "Hidden units", 2, 1, 3, restarts=True),
        choice(
            "activation", "Hidden activation", "sigmoid",
            {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU"}, restarts=True,
        ),
        choice(
            "loss", "Loss", "mse", {"mse": "mean squared error", "bce": "binary cross-entropy"}, restarts=True
        ),
        log_slider("learning_rate", "Learning rate", 1.0, 0.01, 10.0),
        whole("seed", "Seed", 1, 0, 99, restarts=True),
        toggle("predict", "Ask before revealing", False),
    )  # fmt: skip
    buttons = (Button("round", "Finish the round"),)
    pace = 1.0

    def start(self) -> None:
        """Draw the parameters; no operation has been made."""
        settings = self.settings
        X, y = (part[-settings["examples"] :] for part in data.xor())
        self.operations = operations(settings["activation"], settings["loss"])
        self.recorded = (len(self.operations) + 1, 1)  # one round: its last frame has every box filled
        size = settings["hidden_size"]
        parameters = {"W1": (2, size), "b1": (size,), "W2": (size, 1), "b2": (1,)}
        self.boxes: State = {"X": X, "Y": y[:, None].astype(np.float64)}
        self.boxes |= {name: tenths(shape, self.rng) for name, shape in parameters.items()}
        self.before = self.boxes
        self.shapes = {name: np.atleast_2d(box).shape for name, box in self.boxes.items()}
        hidden, output = (len(X), size), (len(X), 1)
        self.shapes |= {"Z1": hidden, "A1": hidden, "Z2": output, "P": output, "L": (1, 1)}
        self.made, self.entry, self.row = 0, (0, 0), 0
        self.hidden, self.feedback, self._loss = False, "", None

    _loss: float | None = None

    @property
    def loss(self) -> float | None:
        """Loss as it was last computed and shown."""
        return self._loss

    @property
    def finished(self) -> bool:
        """Whether all rounds are done and nothing is hidden."""
        return self.made == ROUNDS * len(self.operations) and not self.hidden

    @property
    def operation(self) -> Operation:
        """The operation made last, or the first one before any."""
        return self.operations[max(self.made - 1, 0) % len(self.operations)]

    def advance(self) -> None:
        """Reveal what is hidden, or make the next operation."""
        if self.hidden:
            return self._tell()
        if self.made % len(self.operations) == 0:  # a new round knows the data and the parameters only
            self.boxes = {name: self.boxes[name] for name in ("X", "Y", "W1", "b1", "W2", "b2")}
        self.before = self.boxes | {"eta": np.array(self.settings["learning_rate"])}
        self.made += 1
        result = self.operation.result
        self.boxes = self.boxes | {result: self.operation.compute(self.before)}
        self._look_at(np.unravel_index(np.argmax(np.abs(self._table(result))), self._table(result).shape))
        self.feedback = ""
        self.hidden = bool(self.settings["predict"]) and self.until is None
        if not self.hidden:
            self._reveal()

    def changed(self, names: set[str]) -> None:
        """Reveal what is hidden when questions are switched off."""
        if self.hidden and not self.settings["predict"]:
            self._reveal()

    def act_predict(self, value: float) -> None:
        """Take the reader's answer, say how good it is, and reveal the entry."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"predict expects a number, got {value!r}")
        if not self.hidden:
            return
        true = self._value()
        right = abs(value - true) <= TOLERANCE * abs(true)
        verdict = "Right" if right else f"Off by {number(abs(value - true))}"
        self.feedback = f"{verdict}: {self._entry_name()} = {number(true)}."
        self._reveal()

    def act_entry(self, value: list[int]) -> None:
        """Plug in the numbers of another entry of the result, or reveal the hidden one."""
        i, j = value
        rows, columns = self._table(self.operation.result).shape
        if not (0 <= i < rows and 0 <= j < columns):
            raise ValueError(f"entry expects a cell of a {rows}x{columns} table, got [{i}, {j}]")
        if not self.hidden:
            self._look_at((i, j))
        elif self.entry == (i, j):
            self._tell()

    def act_round(self) -> None:
        """Play until the last update of this round."""
        self._reveal()
        count = len(self.operations)
        self.run_until(self.steps + count - self.made % count)

    def frame(self) -> dict[str, Any]:
        """Return the frame of the base; playing pauses at a question."""
        frame = super().frame()
        return frame | {"command": "pause"} if self.hidden else frame

    def panels(self) -> list[Panel]:
        """Return the operation with its numbers, the network, a question or a sentence, and all boxes."""
        operation, numbers = self.operation, Reading(self.before)
        line = ""
        if self.made:
            arrow = "←" if operation.phase == "update" else "="
            line = f"{self._entry_name()} {arrow} {operation.plugged(numbers, *self.entry)} = "
            line += "?" if self.hidden else number(self._value())
        return [
            formula(
                self._heading(),
                operation.latex,
                label=operation.label,
                numbers=line or "Press Step.",
                width="half",
            ),
            self._network(),
            self._question()
            if self.settings["predict"]
            else text("What happens", f"{operation.why} Next: {self._next()}.", width="third"),
            *(self._box(name, width, numbers.cells.get(name, [])) for name, width in self._places()),
        ]

    def describe(self) -> str:
        """Return the operation as a sentence, with one entry of its result."""
        if not self.made:
            return f"{self._heading()}. Nothing has been computed yet."
        name = self._entry_name()
        said = f"predict {name}" if self.hidden else f"{name} = {number(self._value())}"
        turn = (self.made - 1) // len(self.operations) + 1
        loss = "" if self.loss is None else f", loss {number(self.loss)}"
        end = f" All {ROUNDS} rounds are done: press Reset." if self.finished else ""
        shape = self.boxes[self.operation.result].shape if self.operation.result != "L" else ()
        return f"{self._heading()}. Shape {shape}, {said}. Round {turn}{loss}.{end}"

    def _heading(self) -> str:
        place = max(self.made - 1, 0) % len(self.operations) + 1
        return f"Operation {place} of {len(self.operations)}: {self.operation.words}"

    def _next(self) -> str:
        """Name of the box that the next operation fills."""
        return self.operations[self.made % len(self.operations)].result.translate(SUBSCRIPTS)

    def _places(self) -> list[tuple[str, Width]]:
        """Boxes with their widths: data and loss, then for each layer its values, and below them gradients.

        The updates fill no box of their own; what this loss has no use for has none.
        """
        made = {operation.result for operation in self.operations}
        wide: Width = "third" if self.settings["hidden_size"] > 2 else "quarter"
        end: Width = "quarter" if "P" in made else "half"  # without P its place stays free
        first = [(name, wide) for name in ("W1", "b1", "Z1", "A1")]
        second: list[tuple[str, Width]] = [
            ("W2", "quarter"),
            ("b2", "quarter"),
            ("Z2", end),
            ("P", "quarter"),
        ]
        top: list[tuple[str, Width]] = [("X", "third"), ("Y", "sixth"), ("L", "sixth")]
        layers = [*first, *_gradients(first), *second, *_gradients(second)]
        return [*top, *((name, width) for name, width in layers if "P" in made or name not in ("P", "dP"))]

    def _table(self, name: str) -> Array:
        """A box as rows and columns: nan where nothing is known, and where an entry is hidden."""
        if name not in self.boxes:
            return np.full(self.shapes[name.removeprefix("d")], np.nan)
        table: Array = np.atleast_2d(self.boxes[name]).astype(np.float64)
        if self.hidden and name == self.operation.result:
            table[self.entry] = np.nan
        return table

    def _value(self) -> float:
        return float(np.atleast_2d(self.boxes[self.operation.result])[self.entry])

    def _entry_name(self) -> str:
        result = self.operation.result
        index = {"L": "", "b": f"[{self.entry[1]}]"}.get(result.removeprefix("d")[0], str(list(self.entry)))
        return result.translate(SUBSCRIPTS) + index

    def _look_at(self, entry: tuple[Any, ...]) -> None:
        self.entry = (int(entry[0]), int(entry[1]))
        if self.operation.result[-2:] in ("Z1", "A1", "Z2", "P", "dP"):
            self.row = self.entry[0]  # the picture of the network follows the row that is talked about

    def _tell(self) -> None:
        self.feedback = f"It is {self._entry_name()} = {number(self._value())}."
        self._reveal()

    def _reveal(self) -> None:
        self.hidden = False
        if "L" in self.boxes:
            self._loss = float(self.boxes["L"][0, 0])

    def _box(self, name: str, width: Width, read: list[tuple[int, int]]) -> Panel:
        table, current = self._table(name), bool(self.made) and name == self.operation.result
        rows, columns = (list(map(str, range(size))) for size in table.shape)
        return matrix(
            name.translate(SUBSCRIPTS), table, rows=rows, columns=columns, digits=4,
            role="gradient" if name.startswith("d") else "value",
            highlight=[*read, *([self.entry] if current and self.entry not in read else [])],
            hidden=[self.entry] if current and self.hidden else None,
            action="entry" if current else None, width=width,
        )  # fmt: skip

    def _network(self) -> Panel:
        """What flows: activations of one row on the way forward, gradients on the way back."""
        back = self.operation.phase != "forward" and bool(self.made)
        prefix, outputs = ("d", ("dZ2", "dP")) if back else ("", ("P", "Z2"))

        def units(*names: str) -> Array | None:
            known = [self._table(name)[self.row] for name in names if name in self.boxes]
            return known[0] if known and np.isfinite(known[0]).all() else None

        inputs = None if back else self.boxes["X"][self.row]
        hidden = units("dZ1", "dA1") if back else units("A1", "Z1")
        size = self.settings["hidden_size"]
        return network(
            f"{'Gradients' if back else 'Activations'} of row {self.row}",
            sizes=[2, size, 1],
            weights=[np.nan_to_num(self._table(f"{prefix}W{layer}")) for layer in (1, 2)],
            values=[inputs, hidden, units(*outputs)],
            names=[["x₁", "x₂"], [f"h{'₁₂₃'[k]}" for k in range(size)], ["out"]],
            shows="gradients" if back else "activations",
        )

    def _question(self) -> Panel:
        prompt = "Press Step: one entry of the result will be hidden."
        if self.hidden:
            prompt = f"What is {self._entry_name()}? The numbers to put in are framed."
        return question("Predict", prompt, "predict", feedback=self.feedback, width="third")
