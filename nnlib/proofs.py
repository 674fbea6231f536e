"""Proofs of equations: the LaTeX of a page against finite differences and against nnlib.

The LaTeX stands once, in a notebook's Markdown, and is read there. An `Entry` of the ledger says how
its symbols are bound to arrays, which function computes the same thing, and, for a gradient, which
forward equations it is the derivative of. `prove` then compares

* the LaTeX, evaluated as it stands in the page,
* central differences, and the complex step, of the forward LaTeX,
* what nnlib returns.

`mutants` yields every equation with one thing wrong, to prove that the proofs can fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nnlib._shapes import Array
from nnlib.latex import Equation, LatexError, Node, evaluate_equations, parse
from nnlib.metrics import one_hot

__all__ = [
    "LEDGER", "Draw", "Entry", "EquationError", "Proof", "Written", "displays", "mutants", "prove",
    "read_equations", "value", "written",
]  # fmt: skip

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PACKED = Path(__file__).resolve().with_name("equations.json")  # only in the wheel that goes into the book
# Sizes that all differ, so that a wrong index or transpose cannot hide. The names are those of the shapes.
SIZES = {"N": 5, "D": 4, "M": 3, "K": 6, "C": 2, "H": 7, "W": 8, "F": 9, "KH": 3, "KW": 2}
SMALL = {"N": 3, "D": 4, "M": 2, "K": 5, "C": 1, "H": 3, "W": 4, "F": 2, "KH": 2, "KW": 2}

Symbols = dict[str, Any]


class EquationError(ValueError):
    """An equation in a notebook that cannot be evaluated, with its label and place."""


# --- The LaTeX, where it stands ---------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A labelled display: its LaTeX and where it stands."""

    label: str
    latex: str
    notebook: str
    cell: int

    def parse(self) -> tuple[Equation, ...]:
        """Equations of the display, or an `EquationError` that says where it leaves the subset."""
        try:
            return parse(self.latex)
        except LatexError as error:
            raise EquationError(f"{self}: {error}") from None

    def __str__(self) -> str:
        return f"{self.label} in notebooks/{self.notebook}.ipynb, cell {self.cell}"


def displays(markdown: str) -> Iterator[tuple[str, str | None]]:
    """LaTeX of each ``$$`` display of a Markdown text, with its label or None."""
    for match in re.finditer(
        r"^\$\$(?P<latex>.*?)\$\$[ \t]*(?:\((?P<label>[\w-]+)\))?[ \t]*$", markdown, re.M | re.S
    ):
        yield match["latex"].strip("\n"), match["label"]


def read_equations(folder: Path | None = None) -> dict[str, Written]:
    """All labelled equations of the notebooks, by label.

    Raises
    ------
    EquationError
        When a label occurs twice.
    FileNotFoundError
        When there are no notebooks: nnlib was installed without the course.
    """
    folder = NOTEBOOKS if folder is None else folder
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise FileNotFoundError(f"no notebooks in {folder}: equations are read from a checkout of the course")
    found: dict[str, Written] = {}
    for path in paths:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for number, cell in enumerate(cells, start=1):
            if cell["cell_type"] != "markdown":
                continue
            for latex, label in displays("".join(cell["source"])):
                if label is None:
                    continue
                display = Written(label, latex, path.stem, number)
                if label in found:
                    raise EquationError(f"{display}: the label stands in {found[label]} already")
                found[label] = display
    return found


@cache
def written() -> dict[str, Written]:
    """The labelled equations of the course, read once: from the notebooks, or as the book packed them."""
    if PACKED.is_file() and not NOTEBOOKS.is_dir():
        packed = json.loads(PACKED.read_text(encoding="utf-8"))
        return {label: Written(label, **entry) for label, entry in packed.items()}
    return read_equations()


# --- Arrays for the symbols -----------------------------------------------------------------------


@dataclass
class Draw:
    """Random arrays by the names of their axes; rounded where people will read them."""

    rng: np.random.Generator
    sizes: Mapping[str, int] = field(default_factory=lambda: SIZES)
    digits: int | None = None

    def shape(self, axes: str) -> tuple[int, ...]:
        """Sizes of axes that are given by name, such as "N D"."""
        return tuple(self.sizes[axis] for axis in axes.split())

    def normal(self, axes: str) -> Array:
        """Numbers of both signs that keep away from 0, where ReLU has its kink."""
        shape = self.shape(axes)
        values: Array = self._round(self.rng.choice([-1.0, 1.0], shape) * self.rng.uniform(0.2, 2, shape))
        return values

    def between(self, axes: str, low: float = 0.1, high: float = 0.9) -> Array:
        """Numbers such as probabilities."""
        values: Array = self._round(self.rng.uniform(low, high, self.shape(axes)))
        return values

    def labels(self, rows: str, classes: str) -> Array:
        """Class numbers from 0."""
        labels: Array = self.rng.permutation(np.arange(self.sizes[rows]) % self.sizes[classes])
        return labels

    def hot(self, axes: str) -> Array:
        """One-hot rows."""
        rows, classes = axes.split()
        return one_hot(self.labels(rows, classes), self.sizes[classes])

    def binary(self, axes: str) -> Array:
        """Zeros and ones, about as many of each."""
        shape = self.shape(axes)
        return self.rng.permutation(np.arange(np.prod(shape)) % 2).reshape(shape).astype(float)

    def number(self, low: float, high: float) -> float:
        """One number between two bounds."""
        return float(self._round(self.rng.uniform(low, high)))

    def _round(self, values: Any) -> Any:
        return values if self.digits is None else np.round(values, self.digits)


# --- An entry and its proof -------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """How one labelled equation is bound, computed and proved.

    Attributes
    ----------
    symbols : function of a `Draw` that returns the arrays of the symbols
    computes : function of the symbols that returns what nnlib (or NumPy) says, by target
    source : the function of nnlib that implements it
    wrt : for a gradient, its target -> the symbol that is moved
    of : labels of the forward equations, in order, that the gradient is the derivative of
    upstream : symbol of the upstream gradient; None when the last forward value is the loss
    jacobian : for a Jacobian instead of a gradient, the einsum that picks its entries from the
        derivative of every output (last axes) by every input (first axes)
    given : labels evaluated beforehand, whose targets become symbols
    ranges : letter -> name of a size, for indices that no array tells
    """

    symbols: Callable[[Draw], Symbols]
    computes: Callable[[Symbols], Symbols] | None = None
    source: Callable[..., Any] | None = None
    wrt: Mapping[str, str] = field(default_factory=dict)
    of: tuple[str, ...] = ()
    upstream: str | None = None
    jacobian: str | None = None
    given: tuple[str, ...] = ()
    ranges: Mapping[str, Any] = field(default_factory=dict)

    def bind(self, draw: Draw) -> Symbols:
        """Symbols of the equation, those of `given` included."""
        symbols = {**{k: v for k, v in draw.sizes.items() if k in "NDMKCHWF"}, **self.symbols(draw)}
        for label in self.given:
            symbols |= value(label, symbols)
        return symbols

    def sizes(self, symbols: Symbols) -> dict[str, int]:
        """Ranges of the letters that no array tells."""
        return {k: int(v(symbols)) if callable(v) else int(symbols[v]) for k, v in self.ranges.items()}


LEDGER: dict[str, Entry] = {}


def _find(label: str) -> tuple[Entry, Written]:
    """Entry and display of a label, or an `EquationError` that says which of the two is missing."""
    import nnlib.equations  # noqa: F401  fills the ledger

    if label not in LEDGER:
        raise EquationError(f"{label} has no entry in nnlib/equations.py: add one, or correct the label")
    if label not in written():
        raise EquationError(
            f"{label} is in the ledger and in no notebook: write the equation, or drop the entry"
        )
    return LEDGER[label], written()[label]


def value(label: str, symbols: Symbols, equations: tuple[Equation, ...] | None = None) -> Symbols:
    """What the equation in the notebook gives for these symbols, by target.

    Raises
    ------
    EquationError
        When the equation leaves the subset or does not fit its symbols.
    """
    entry, display = _find(label)
    try:
        return evaluate_equations(equations or display.parse(), symbols, sizes=entry.sizes(symbols))
    except LatexError as error:
        raise EquationError(f"{display}: {error}") from None


TOLERANCES = {"differences": 1e-7, "complex step": 1e-12, "nnlib": 1e-12}


@dataclass(frozen=True)
class Proof:
    """Largest relative disagreement of the LaTeX with each witness."""

    label: str
    errors: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """Whether there is a witness and all of them agree."""
        return bool(self.errors) and all(
            error <= TOLERANCES[witness.split(" of ")[0]] for witness, error in self.errors.items()
        )

    def __str__(self) -> str:
        witnesses = ", ".join(f"{witness} {error:.0e}" for witness, error in self.errors.items())
        return (
            f"{written()[self.label]}: {'agrees' if self.ok else 'DISAGREES'} ({witnesses or 'no witness'})"
        )


def prove(label: str, *, seed: int = 0, equations: tuple[Equation, ...] | None = None) -> Proof:
    """Compare the LaTeX of one label with every witness there is.

    Parameters
    ----------
    label : of an equation in the ledger
    seed : of the random arrays
    equations : evaluate these instead of the ones in the notebook (for mutations)

    Raises
    ------
    EquationError
        When the equation cannot be evaluated.
    """
    symbols, witnesses = _witnesses(label, seed)
    kept = {name: np.array(v) for name, v in symbols.items() if not callable(v)}
    found = value(label, symbols, equations)
    assert all(np.array_equal(kept[name], symbols[name]) for name in kept), f"{label} changed its symbols"
    errors = {
        witness: _distance(found[target], expected) if target in found else np.inf
        for witness, (target, expected) in witnesses.items()
    }
    return Proof(label, errors)


@cache
def _witnesses(label: str, seed: int) -> tuple[Symbols, dict[str, tuple[str, Any]]]:
    """Symbols of an equation, and what each witness says about its targets."""
    entry, _ = _find(label)
    symbols = entry.bind(Draw(np.random.default_rng(seed)))
    witnesses: dict[str, tuple[str, Any]] = {}
    for target, name in entry.wrt.items():
        of = f" of {target}" if len(entry.wrt) > 1 else ""
        witnesses[f"differences{of}"] = target, _slopes(entry, symbols, name, None)
        witnesses[f"complex step{of}"] = target, _slopes(entry, symbols, name, 1e-20)
    if entry.computes is not None:
        copies = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in symbols.items()}
        expected = entry.computes(copies)
        for target, right in expected.items():
            of = f" of {target}" if len(expected) > 1 else ""
            witnesses[f"nnlib{of}"] = target, right
    return symbols, witnesses


def _distance(a: Any, b: Any) -> float:
    if np.shape(a) != np.shape(b):
        return np.inf
    a, b = np.asarray(a), np.asarray(b)
    scale = max(float(np.abs(b).max(initial=0)), 1e-3)
    distance = float(np.abs(a - b).max(initial=0) / scale)
    return np.inf if np.isnan(distance) else distance


def _slopes(entry: Entry, symbols: Symbols, name: str, tiny: float | None) -> Array:
    """Derivative of the forward LaTeX with respect to one symbol, entry by entry."""
    dtype = complex if tiny else float
    x = np.array(symbols[name], dtype=dtype)
    outputs = np.shape(_scalar(entry, symbols, name, x))
    slopes = np.zeros((x.size, int(np.prod(outputs))))
    for i, index in enumerate(np.ndindex(x.shape)):
        centre = x[index]
        if tiny:
            x[index] = centre + 1j * tiny
            slopes[i] = np.ravel(_scalar(entry, symbols, name, x)).imag / tiny
        else:
            h = 6e-6 * max(1.0, float(abs(centre)))
            x[index] = centre + h
            above = _scalar(entry, symbols, name, x)
            x[index] = centre - h
            slopes[i] = np.ravel(above - _scalar(entry, symbols, name, x)) / (2 * h)
        x[index] = centre
    slopes = slopes.reshape(x.shape + outputs)
    return np.einsum(entry.jacobian, slopes) if entry.jacobian else slopes


def _forward(entry: Entry, symbols: Symbols) -> Any:
    current, last = dict(symbols), None
    for label in entry.of:
        found = value(label, current)
        current |= found
        last = list(found.values())[-1]
    return last


def _scalar(entry: Entry, symbols: Symbols, name: str, x: Array) -> Any:
    output = _forward(entry, {**symbols, name: x if x.ndim else x[()]})
    return output if entry.upstream is None else np.sum(symbols[entry.upstream] * output)


# --- Mutations: a proof that cannot fail proves nothing -----------------------------------------------


def mutants(label: str) -> Iterator[tuple[str, tuple[Equation, ...]]]:
    """Every equation of a label with one thing wrong, and what that is."""
    equations = written()[label].parse()
    letters = sorted({i for e in equations for n in _walk(e) for i in _indices(n)})
    for number, equation in enumerate(equations):
        for position, node in enumerate(equation.values):
            for what, changed in _mutate(node, letters):
                values = (*equation.values[:position], changed, *equation.values[position + 1 :])
                yield what, (*equations[:number], replace(equation, values=values), *equations[number + 1 :])


def _walk(equation: Equation) -> Iterator[Node]:
    stack = [equation.target, *equation.values]
    while stack:
        node = stack.pop()
        yield node
        stack += node.children


def _indices(node: Node) -> list[str]:
    if node.kind == "symbol" and node.value[1]:
        return [i for i in node.value[1] if isinstance(i, str)]
    return list(node.value[1]) if node.kind == "big" else []


def _mutate(node: Node, letters: list[str]) -> Iterator[tuple[str, Node]]:
    yield "sign of the whole", Node("negative", None, node.position, (node,))
    yield from _mutate_inside(node, letters)


def _mutate_inside(node: Node, letters: list[str]) -> Iterator[tuple[str, Node]]:
    yield from _mutate_here(node, letters)
    for i, child in enumerate(node.children):
        for what, changed in _mutate_inside(child, letters):
            yield what, replace(node, children=(*node.children[:i], changed, *node.children[i + 1 :]))
    if node.kind == "symbol" and node.value[1]:
        name, indices = node.value
        for i, index in enumerate(indices):
            if isinstance(index, Node):
                for what, changed in _mutate_inside(index, letters):
                    yield what, replace(node, value=(name, (*indices[:i], changed, *indices[i + 1 :])))


def _mutate_here(node: Node, letters: list[str]) -> Iterator[tuple[str, Node]]:
    at, children = node.position, node.children
    match node.kind:
        case "add":
            yield "+ to -", replace(node, kind="subtract")
            yield "term dropped", children[0]
        case "subtract":
            yield "- to +", replace(node, kind="add")
            yield "term dropped", children[0]
        case "negative":
            yield "minus dropped", children[0]
        case "transpose":
            yield "transpose dropped", children[0]
        case "times" | "odot":
            yield "factors swapped", replace(node, children=children[::-1])
            yield "left factor dropped", children[1]
            yield "right factor dropped", children[0]
            yield "product to sum", replace(node, kind="add")
        case "divide":
            yield "divisor lost (such as 1/N)", children[0]
            yield "fraction upside down", replace(node, children=children[::-1])
        case "power":
            yield "exponent lost", children[0]
        case "number":
            yield "number + 1", replace(node, value=node.value + 1)
        case "call":
            if len(children) == 1:
                yield f"{node.value[0]} lost", children[0]
                other = {"exp": "tanh", "log": "exp", "tanh": "sigmoid", "sigmoid": "tanh", "sqrt": "exp"}
                name = other.get(node.value[0], "exp")
                yield f"{node.value[0]} to {name}", replace(node, value=(name, node.value[1]))
            else:
                swap = {"max": "min", "min": "max"}[node.value[0]]
                yield f"{node.value[0]} to {swap}", replace(node, value=(swap, node.value[1]))
        case "big":
            operator, bound, upper, style = node.value
            other_operator = r"\max" if operator == r"\sum" else r"\sum"
            yield (
                f"{operator} to {other_operator}",
                replace(node, value=(other_operator, bound, upper, style)),
            )
            for letter in bound:
                rest = tuple(x for x in bound if x != letter)
                yield (
                    f"{letter} not summed",
                    replace(node, value=(operator, rest, None, style)) if rest else children[0],
                )
        case "compare":
            opposite = {"<": ">", ">": "<", r"\le": ">", r"\leq": ">", r"\ge": "<", r"\geq": "<", "=": r"\ne"}
            yield "comparison reversed", replace(node, value=opposite.get(node.value, "="))
        case "indicator":
            yield "indicator lost", Node("number", 1.0, at)
        case "symbol" if node.value[1]:
            name, indices = node.value
            for i, index in enumerate(indices):
                for letter in letters if isinstance(index, str) else ():
                    if letter != index:
                        changed = (*indices[:i], letter, *indices[i + 1 :])
                        yield f"index {index} of {name} to {letter}", replace(node, value=(name, changed))
