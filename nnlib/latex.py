r"""Evaluate equations as they stand in the text: a parser for a stated subset of LaTeX.

`evaluate` takes the LaTeX of an equation and the arrays of its symbols, and returns what stands on its left.

Two ways of writing are understood, and one equation keeps to one of them:

* **index form**: every array carries its indices. Indices on the left are free, ``\sum`` binds the others.
  ``X_{nd}`` takes one letter for each axis, ``X_{n,si+k-p}`` one expression for each axis.
* **matrix form**: arrays stand without indices. Factors side by side are matrix products, ``\odot``
  multiplies entry by entry, ``^\top`` transposes, sums broadcast over rows as NumPy does.

The page *Writing equations* of the book states the subset in full. Whatever lies outside is refused
with the column at which it stands; nothing is guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from nnlib._shapes import Array

__all__ = ["Equation", "LatexError", "Node", "evaluate", "evaluate_equations", "parse", "tokenize"]


class LatexError(ValueError):
    """An equation that leaves the subset, with the column at which it does."""

    def __init__(self, message: str, source: str, position: int) -> None:
        self.message, self.source, self.position = message, source, position
        shown = source.replace("\n", " ")
        super().__init__(f"column {position + 1}: {message}\n  {shown}\n  {' ' * position}^")


@dataclass(frozen=True)
class Token:
    """A piece of LaTeX and where it stands."""

    text: str
    position: int
    glued: bool  # nothing stands between it and the token before


TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+\.?\d*|\.\d+|[^\s]")
# What only changes the look. A thin space parts factors, so it also ends a symbol such as dW.
SPACING = {
    r"\,", r"\;", r"\:", r"\!", r"\ ", "~", r"\displaystyle", r"\textstyle", r"\left", r"\right", r"\big",
    r"\Big", r"\bigg", r"\Bigg", r"\bigl", r"\bigr", r"\Bigl", r"\Bigr", r"\biggl", r"\biggr", r"\limits",
}  # fmt: skip
SEPARATORS = {r"\quad", r"\qquad", r"\\"}
GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "eta", "theta", "lambda", "mu", "rho",
    "sigma", "tau", "phi", "omega", "ell", "Delta", "Sigma",
}  # fmt: skip
ACCENTS = {r"\hat": "hat", r"\bar": "bar", r"\tilde": "tilde", r"\widehat": "hat"}
TEXT = {r"\text", r"\mathrm", r"\operatorname", r"\mathbf", r"\mathit"}
RELATIONS = {"<": np.less, ">": np.greater, r"\le": np.less_equal, r"\leq": np.less_equal,
             r"\ge": np.greater_equal, r"\geq": np.greater_equal, "=": np.equal, r"\ne": np.not_equal,
             r"\neq": np.not_equal}  # fmt: skip


def tokenize(source: str) -> list[Token]:
    """Tokens of a formula without spacing; comments (%) are not part of the subset."""
    tokens: list[Token] = []
    end = -1
    for match in TOKEN.finditer(source):
        if match[0] not in SPACING:
            tokens.append(Token(match[0], match.start(), match.start() == end))
            end = match.end()
    return tokens


# --- The tree ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A node of the tree: its kind, what it holds, and where it stands."""

    kind: str
    value: Any
    position: int
    children: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Equation:
    """``target = value`` or ``target <- value``, parsed; several values when the signs are chained."""

    target: Node
    values: tuple[Node, ...]
    source: str = field(repr=False)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source, self.tokens, self.at = source, tokenize(source), 0
        self.cases = 0
        self.bars = 0  # absolute values that are open: a bar closes one instead of starting another

    # -- moving along the tokens

    def peek(self, ahead: int = 0) -> str:
        i = self.at + ahead
        return self.tokens[i].text if i < len(self.tokens) else ""

    def position(self) -> int:
        return self.tokens[self.at].position if self.at < len(self.tokens) else len(self.source)

    def take(self, expected: str | None = None) -> str:
        text = self.peek()
        if expected is not None and text != expected:
            raise self.error(f"expected {expected!r}, got {text or 'the end'!r}")
        self.at += 1
        return text

    def error(self, message: str) -> LatexError:
        return LatexError(message, self.source, self.position())

    def group(self) -> str:
        """Raw text of a braced group, or of the one token that stands in for it."""
        if self.peek() != "{":
            return self.take()
        start = self.tokens[self.at].position + 1
        depth = 0
        while True:
            text = self.take()
            if text == "":
                raise self.error("this group is never closed: a '}' is missing")
            depth += (text == "{") - (text == "}")
            if depth == 0:
                return self.source[start : self.tokens[self.at - 1].position]

    # -- equations

    def equations(self) -> list[Equation]:
        if self.peek() == r"\begin" and self.source[self.tokens[self.at + 1].position :].startswith(
            "{aligned}"
        ):
            self.take()
            self.group()
            self.tokens = [t for t in self.tokens if t.text != "&" or self._inside_cases(t)]
            found = self._system(stop=r"\end")
            self.take(r"\end")
            self.group()
        else:
            found = self._system(stop="")
        while self.peek() in (".", ","):
            self.take()
        if self.peek():
            raise self.error(f"did not expect {self.peek()!r} here")
        return found

    def _inside_cases(self, token: Token) -> bool:
        before = self.source[: token.position]
        return before.count(r"\begin{cases}") > before.count(r"\end{cases}")

    def _system(self, stop: str) -> list[Equation]:
        found = []
        while True:
            found.append(self._equation())
            parted = False
            while self.peek() in {",", ".", ";", *SEPARATORS}:
                self.take()
                parted = True
            if self.peek() in {stop, ""} or not parted:
                return found

    def _equation(self) -> Equation:
        target = self.factor()
        if self.peek() not in ("=", r"\leftarrow"):
            raise self.error(
                f"expected '=' or '\\leftarrow' after the target, got {self.peek() or 'the end'!r}"
            )
        values = []
        while self.peek() in ("=", r"\leftarrow"):
            self.take()
            values.append(self.expression())
        return Equation(target, tuple(values), self.source)

    # -- expressions: sums of products of powers

    def expression(self) -> Node:
        position = self.position()
        negative = False
        if self.peek() in ("-", "+"):
            negative = self.take() == "-"
        node = self.product()
        if negative:
            node = Node("negative", None, position, (node,))
        # an aligned sum may go on in the next line; a line of cases may not
        while self.peek() in ("+", "-") or (self.peek() == r"\\" and not self.cases and self._continues()):
            if self.peek() == r"\\":
                self.take()
                while self.peek() in SEPARATORS:
                    self.take()
            position, sign = self.position(), self.take()
            node = Node("add" if sign == "+" else "subtract", None, position, (node, self.product()))
        return node

    def _continues(self) -> bool:
        ahead = 1
        while self.peek(ahead) in SEPARATORS:
            ahead += 1
        return self.peek(ahead) in ("+", "-")

    def product(self) -> Node:
        node = last = self.factor()
        while True:
            text, position = self.peek(), self.position()
            if text in (r"\cdot", r"\times", r"\odot", "/"):
                self.take()
                kind = {r"\odot": "odot", "/": "divide"}.get(text, "times")
            elif self._starts_factor():
                kind = "times"
            else:
                return node
            if last.kind in ("call", "big") and last.value[-1] == "bare":
                raise LatexError(
                    "a factor follows the bare argument of a function or sum: "
                    "put parentheses around one of them",
                    self.source,
                    position,
                )
            last = self.factor()
            node = Node(kind, None, position, (node, last))

    def _starts_factor(self) -> bool:
        text = self.peek()
        if not text or text in {*SEPARATORS, *RELATIONS, r"\leftarrow", r"\end", "&"}:
            return False
        if text in ("|", r"\lvert"):
            return not self.bars
        closing = (r"\}", r"\rvert", r"\cdot", r"\times", r"\odot")
        return text[0].isalnum() or text in "{([" or (text.startswith("\\") and text not in closing)

    def factor(self) -> Node:
        node = self.atom()
        while self.peek() == "^":
            position = self.position()
            self.take()
            if self.peek() == r"\top" or (self.peek() == "{" and self.peek(1) == r"\top"):
                self.group()
                node = Node("transpose", None, position, (node,))
            else:
                node = Node("power", None, position, (node, self._braced()))
        return node

    def _braced(self) -> Node:
        """What stands in braces, or the single token that stands in for it."""
        if self.peek() != "{":
            text = self.peek()
            if not (text[:1].isalnum() or text[1:] in GREEK):
                raise self.error(f"expected one symbol or a group in braces, got {text or 'the end'!r}")
            if text.isdigit() and len(text) > 1:
                raise self.error(f"LaTeX takes only the first digit of {text}: put it in braces")
            return self.atom()
        self.take("{")
        node = self.expression()
        self.take("}")
        return node

    def atom(self) -> Node:
        position, text = self.position(), self.peek()
        if text == "":
            raise self.error("the formula ends where a symbol was expected")
        if text[0].isdigit() or text[0] == ".":
            self.take()
            return Node("number", float(text), position)
        if text in ("(", "["):
            self.take()
            node = self.expression()
            self.take(")" if text == "(" else "]")
            return Node("group", None, position, (node,))
        if text == "{":
            return self._braced()
        if text in ("|", r"\lvert"):
            self.take()
            self.bars += 1
            node = self.expression()
            self.bars -= 1
            self.take("|" if text == "|" else r"\rvert")
            return Node("call", ("abs", "closed"), position, (node,))
        if text in (r"\frac", r"\tfrac", r"\dfrac"):
            return self._fraction(position)
        if text == r"\sqrt":
            self.take()
            return Node("call", ("sqrt", "closed"), position, (self._braced(),))
        if text in (r"\sum", r"\max") and (text == r"\sum" or self.peek(1) == "_"):
            return self._big(position)
        if text == r"\begin":
            return self._cases(position)
        if text == r"\mathbf" and self._indicator_ahead():
            return self._indicator(position)
        if text == "e" and self.peek(1) == "^":
            self.take()
            self.take("^")
            return Node("call", ("exp", "closed"), position, (self._braced(),))
        if text in FUNCTIONS and not (text == r"\sigma" and self.peek(1) not in ("(", r"\big", r"\left")):
            return self._call(position)
        if text == r"\pi":
            self.take()
            return Node("number", math.pi, position)
        return self._symbol(position)

    def _fraction(self, position: int) -> Node:
        self.take()
        if self.peek() == "{" and self.peek(1) == r"\partial":
            return self._partial(position)
        top = self._braced()
        return Node("divide", None, position, (top, self._braced()))

    def _partial(self, position: int) -> Node:
        r"""``\frac{\partial L}{\partial W_{dm}}`` is the symbol dW; for Y over Z it is dY/dZ."""
        symbols = []
        for _ in range(2):
            self.take("{")
            self.take(r"\partial")
            symbols.append(self._symbol(self.position()))
            self.take("}")
        above, below = symbols
        name = f"d{below.value[0]}" if above.value == ("L", None) else f"d{above.value[0]}/d{below.value[0]}"
        indices = [i for s in symbols for i in (s.value[1] or ())]
        distinct = tuple(dict.fromkeys(indices))
        return Node("symbol", (name, distinct if indices else None), position, ())

    def _big(self, position: int) -> Node:
        r"""``\sum_{n,k}``, ``\sum_{n=1}^{N}``, ``\max_j``: bind indices over the term that follows."""
        operator = self.take()
        self.take("_")
        at = self.position()
        spec = self.group()
        upper = None
        if self.peek() == "^":
            self.take()
            upper = self._braced()
        names = re.sub(r"\s|\\,|=\s*1$", "", spec)
        if not re.fullmatch(r"[a-zA-Z](,?[a-zA-Z])*", names):
            raise LatexError(
                f"a sum binds single letters, such as n or n,k or n=1, got {spec!r}", self.source, at
            )
        if upper is not None and "=" not in spec:
            raise LatexError("a sum with an upper limit starts with n=1", self.source, at)
        bound = tuple(names.replace(",", ""))
        body = self.product()
        return Node("big", (operator, bound, upper, "bare"), position, (body,))

    def _cases(self, position: int) -> Node:
        self.take(r"\begin")
        at = self.position()
        if self.group() != "cases":
            raise LatexError("only aligned (around everything) and cases are understood", self.source, at)
        branches: list[Node] = []
        self.cases += 1
        while True:
            value = self.expression()
            while self.peek() == ",":
                self.take()
            self.take("&")
            if self.peek() == r"\text":
                self.take()
                self.group()
            branches += [value, self._condition()]
            while self.peek() in (",", "."):
                self.take()
            if self.peek() == r"\\":
                self.take()
            if self.peek() == r"\end":
                break
        self.take(r"\end")
        self.group()
        self.cases -= 1
        return Node("cases", None, position, tuple(branches))

    def _condition(self) -> Node:
        position = self.position()
        left = self.expression()
        if self.peek() not in RELATIONS:
            raise self.error(f"expected a comparison, got {self.peek() or 'the end'!r}")
        relation = self.take()
        return Node("compare", relation, position, (left, self.expression()))

    def _indicator_ahead(self) -> bool:
        return [self.peek(i) for i in range(1, 5)] == ["{", "1", "}", "["] or [
            self.peek(i) for i in range(1, 6)
        ] == ["{", "1", "}", r"\{", self.peek(5)]

    def _indicator(self, position: int) -> Node:
        self.take()
        self.group()
        opening = self.take()
        condition = self._condition()
        self.take("]" if opening == "[" else r"\}")
        return Node("indicator", None, position, (condition,))

    def _call(self, position: int) -> Node:
        name = FUNCTIONS[self.take()]
        if self.peek() == "(":
            self.take()
            arguments = [self.expression()]
            while self.peek() == ",":
                self.take()
                arguments.append(self.expression())
            self.take(")")
            return Node("call", (name, "closed"), position, tuple(arguments))
        if name == "max":
            raise self.error("max takes its arguments in parentheses, or an index below it")
        return Node("call", (name, "bare"), position, (self.factor(),))

    def _symbol(self, position: int) -> Node:
        name, transposed = self._name(), 0
        indices: tuple[Any, ...] | None = None
        while self.peek() in ("_", "^", "'"):
            if self.peek() == "'":
                self.take()
                name += "'"
            elif self.peek() == "^":
                if not (self.peek(1) == "{" and self.peek(2) == "["):
                    break  # a power or a transpose
                self.take()
                layer, transposed = re.subn(r"\\top$", "", re.sub(r"\s", "", self.group()))
                name += "^" + layer
            else:
                self.take()
                at = self.position()
                text = self.group()
                if re.fullmatch(r"\d+|\\text\{.*\}|\\mathrm\{.*\}", text.strip()):
                    name += "_" + re.sub(r"\\(text|mathrm)\{(.*)\}", r"\2", text.strip())
                else:
                    indices = self._indices(text, at)
        if self.peek() == "(" and self.tokens[self.at].glued and indices is None:
            return self._application(name, position)
        symbol = Node("symbol", (name, indices), position)
        return Node("transpose", None, position, (symbol,)) if transposed else symbol

    def _application(self, name: str, position: int) -> Node:
        """``f(x + h)``: a call where f is bound to a function, a product otherwise."""
        self.take("(")
        arguments = [self.expression()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.expression())
        self.take(")")
        return Node("apply", name, position, tuple(arguments))

    def _name(self) -> str:
        text = self.take()
        if text in ACCENTS:
            braced = self.peek() == "{"
            if braced:
                self.take()
            inner = self._name()
            if braced:
                self.take("}")
            return f"{inner}_{ACCENTS[text]}"
        if text in TEXT:
            return self.group()
        if text == "d" and self._glued_name():
            return "d" + self._name()
        if text.startswith("\\"):
            if text[1:] not in GREEK:
                self.at -= 1
                raise self.error(f"{text} is not part of the subset")
            return text[1:]
        if len(text) == 1 and text.isalpha():
            return text
        self.at -= 1
        raise self.error(f"expected a symbol, got {text or 'the end'!r}")

    def _glued_name(self) -> bool:
        if self.at >= len(self.tokens) or not self.tokens[self.at].glued:
            return False
        text = self.peek()
        return (len(text) == 1 and text.isalpha()) or text[1:] in GREEK or text in ACCENTS

    def _indices(self, text: str, at: int) -> tuple[Any, ...]:
        """One letter for each axis; with commas, one expression for each axis."""
        if "," not in text.replace(r"\,", " "):
            letters = re.sub(r"\s|\\,", "", text)
            if not letters.isalnum():
                raise LatexError(
                    f"indices are letters, digits, or expressions parted by commas, got {text!r}",
                    self.source,
                    at,
                )
            # the text counts rows from 1, arrays from 0
            return tuple(x if x.isalpha() else Node("number", float(x) - 1, at) for x in letters)
        result: list[Any] = []
        for item in re.sub(r"\\,", " ", text).split(","):
            item = item.strip()
            if re.fullmatch(r"[a-zA-Z]+", item):
                result += item if len(item) > 1 and not result else [item]
            else:
                result.append(_Parser(item).whole_expression())
        return tuple(result)

    def whole_expression(self) -> Node:
        node = self.expression()
        if self.peek():
            raise self.error(f"did not expect {self.peek()!r} here")
        return node


FUNCTIONS = {
    r"\exp": "exp", r"\log": "log", r"\ln": "log", r"\tanh": "tanh", r"\sigma": "sigmoid", r"\cos": "cos",
    r"\max": "max", r"\min": "min",
}  # fmt: skip


@cache
def parse(source: str) -> tuple[Equation, ...]:
    r"""Equations of one display, in the order in which they stand.

    Raises
    ------
    LatexError
        When something lies outside the subset; the message gives the column.

    Examples
    --------
    >>> [equation.target.value for equation in parse(r"Z = X W + b, \qquad A = \max(0, Z)")]
    [('Z', None), ('A', None)]
    """
    return tuple(_Parser(source).equations())


def evaluate(
    source: str, symbols: Mapping[str, Any], *, sizes: Mapping[str, int] | None = None
) -> dict[str, Any]:
    r"""Values that the equations of a display give to the symbols on their left.

    Parameters
    ----------
    source : LaTeX, without the dollar signs
    symbols : name -> number, array or function; ``dW``, ``W^[1]``, ``beta_1``, ``m_hat`` are names
    sizes : range of indices that no array tells, such as the pixels of an image that is computed

    Returns
    -------
    name -> value, for the target of each equation in turn; later equations see earlier targets

    Raises
    ------
    LatexError
        When the equation leaves the subset, a symbol is unknown, or the shapes do not fit.

    Examples
    --------
    >>> X, dY = np.array([[1.0, 2.0]]), np.array([[10.0]])
    >>> evaluate(r"dW_{dm} = \sum_n X_{nd} \, dY_{nm}", {"X": X, "dY": dY})["dW"]
    array([[10.],
           [20.]])
    >>> evaluate(r"dW = X^\top dY", {"X": X, "dY": dY})["dW"]
    array([[10.],
           [20.]])
    """
    return evaluate_equations(parse(source), symbols, sizes=sizes)


def evaluate_equations(
    equations: Sequence[Equation], symbols: Mapping[str, Any], *, sizes: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """As `evaluate`, for equations that are parsed already."""
    known, found = dict(symbols), dict[str, Any]()
    for equation in equations:
        name, value = _Evaluator(equation, known, dict(sizes or {})).run()
        known[name] = found[name] = value
    return found


class _Evaluator:
    """Evaluates one equation on a grid with one axis for each index letter."""

    def __init__(self, equation: Equation, symbols: dict[str, Any], sizes: dict[str, int]) -> None:
        self.equation, self.source, self.symbols, self.sizes = equation, equation.source, symbols, sizes
        self.letters: list[str] = []
        self.active: set[str] = set()

    def error(self, node: Node, message: str) -> LatexError:
        return LatexError(message, self.source, node.position)

    def run(self) -> tuple[str, Any]:
        target = self.equation.target
        free: tuple[Any, ...]
        if target.kind == "apply":
            name, free, ones = target.value, (), []
        elif target.kind == "symbol":
            name, free = target.value[0], target.value[1] or ()
            ones = [
                axis
                for axis, i in enumerate(free)
                if isinstance(i, Node) and (i.kind, i.value) == ("number", 0)
            ]
            free = tuple(i for axis, i in enumerate(free) if axis not in ones)  # column 1 of 1 column
        else:
            raise self.error(target, "the left side must be one symbol")
        if not all(isinstance(i, str) for i in free) or len(set(free)) < len(free):
            raise self.error(target, "the indices on the left must be different letters")
        for node in (target, *self.equation.values):
            self._collect(node)
        self.index_form = bool(self.letters)
        self.active = set(free)
        values = [self._finish(value, self.value(value), free) for value in self.equation.values]
        for node, value in zip(self.equation.values[1:], values[1:], strict=True):
            if not np.allclose(value, values[0], rtol=1e-9, atol=1e-12):
                raise self.error(node, "this link of the chain does not equal the one before it")
        return name, np.expand_dims(values[-1], ones) if ones else values[-1]

    def _finish(self, node: Node, value: Any, free: tuple[str, ...]) -> Any:
        if not self.index_form:
            return value
        for letter in free:
            self._size(letter, node)
        shape = [self.sizes[x] if x in free else 1 for x in self.letters]
        full = np.broadcast_to(value, shape)
        order = [self.letters.index(x) for x in free]
        rest = [i for i in range(len(self.letters)) if i not in order]
        result = full.transpose(order + rest).reshape([self.sizes[x] for x in free])
        return result.copy() if free else result[()]

    # -- indices and their ranges

    def _collect(self, node: Node) -> None:
        """Find the index letters, and their ranges from the shapes of the arrays that carry them."""
        if node.kind == "symbol" and node.value[1]:
            name, indices = node.value
            array = None if node is self.equation.target else self._array(node)
            for axis, index in enumerate(indices):
                if not isinstance(index, str):
                    continue
                if index not in self.letters:
                    self.letters.append(index)
                if array is not None:
                    size = array.shape[axis]
                    if self.sizes.setdefault(index, size) != size:
                        raise self.error(
                            node,
                            f"index {index} ranges over {self.sizes[index]} elsewhere and {size} in {name}",
                        )
        if node.kind == "big":
            self.letters += [x for x in node.value[1] if x not in self.letters]
        for child in node.children:
            self._collect(child)

    def _array(self, node: Node) -> Array | None:
        """The array that an indexed symbol stands for; None for the Kronecker delta."""
        name, indices = node.value
        if name not in self.symbols:
            if name == "delta" and len(indices) == 2:
                return None
            raise self.error(node, f"{name} is not bound; known: {', '.join(sorted(self.symbols))}")
        array: Array = np.asarray(self.symbols[name])
        if array.ndim != len(indices):
            raise self.error(node, f"{name} has {array.ndim} axes, got {len(indices)} indices")
        return array

    def _size(self, letter: str, node: Node) -> int:
        if letter not in self.sizes:
            raise self.error(node, f"the range of index {letter} is not known from any array")
        return self.sizes[letter]

    def _range(self, letter: str, node: Node) -> Array:
        if letter not in self.active:
            raise self.error(node, f"index {letter} is neither on the left nor bound by a sum around it")
        shape = [1] * len(self.letters)
        shape[self.letters.index(letter)] = self._size(letter, node)
        return np.arange(self.sizes[letter]).reshape(shape)

    # -- values

    def value(self, node: Node) -> Any:
        return getattr(self, f"_value_{node.kind}")(node)

    def _value_number(self, node: Node) -> Any:
        return node.value

    def _value_group(self, node: Node) -> Any:
        return self.value(node.children[0])

    def _value_negative(self, node: Node) -> Any:
        return -self.value(node.children[0])

    def _value_symbol(self, node: Node) -> Any:
        name, indices = node.value
        if indices is None:
            if self.index_form and name in self.letters:
                return self._range(name, node)
            if name not in self.symbols:
                raise self.error(
                    node, f"{name} is not bound; known symbols are {', '.join(sorted(self.symbols))}"
                )
            array = self.symbols[name]
            if callable(array):
                raise self.error(
                    node, f"{name} is a function: write its argument in parentheses right behind it"
                )
            if self.index_form and np.ndim(array):
                raise self.error(
                    node, f"{name} has {np.ndim(array)} axes and no indices in an equation in index form"
                )
            return array
        grid = [self._range(i, node) if isinstance(i, str) else self.value(i) for i in indices]
        array = self._array(node)
        if array is None:
            return (grid[0] == grid[1]).astype(float)
        return self._lookup(node, array, indices, grid)

    def _lookup(self, node: Node, array: Array, indices: tuple[Any, ...], grid: list[Any]) -> Any:
        inside: Any = True
        places = []
        for axis, (index, place) in enumerate(zip(indices, grid, strict=True)):
            place = np.asarray(place)
            if not isinstance(index, str):  # an expression may point outside, where the array counts as 0
                if not np.array_equal(place, np.rint(place)):
                    raise self.error(node, "an index expression must give whole numbers")
                place = place.astype(int)
                within = (place >= 0) & (place < array.shape[axis])
                inside, place = inside & within, np.where(within, place, 0)
            places.append(place)
        values = array[tuple(np.broadcast_arrays(*places))]
        return values if inside is True else np.where(inside, values, 0)

    def _value_add(self, node: Node, sign: int = 1) -> Any:
        a, b = (self.value(child) for child in node.children)
        if not self.index_form and not _adds(np.shape(a), np.shape(b)):
            raise self.error(node, f"shapes {np.shape(a)} and {np.shape(b)} cannot be added")
        return a + sign * b

    def _value_subtract(self, node: Node) -> Any:
        return self._value_add(node, -1)

    def _value_times(self, node: Node) -> Any:
        a, b = (self.value(child) for child in node.children)
        if self.index_form or not np.ndim(a) or not np.ndim(b):
            return a * b
        if np.shape(a)[-1] != np.shape(b)[0]:
            raise self.error(
                node, f"the matrix product of shapes {np.shape(a)} and {np.shape(b)} does not exist"
            )
        return a @ b

    def _value_odot(self, node: Node) -> Any:
        a, b = (self.value(child) for child in node.children)
        if not self.index_form and np.shape(a) != np.shape(b):
            raise self.error(node, f"\\odot needs equal shapes, got {np.shape(a)} and {np.shape(b)}")
        return a * b

    def _value_divide(self, node: Node) -> Any:
        a, b = (self.value(child) for child in node.children)
        if not self.index_form and np.ndim(b) and np.shape(a) != np.shape(b):
            raise self.error(node, f"shapes {np.shape(a)} and {np.shape(b)} cannot be divided entry by entry")
        return a / b

    def _value_power(self, node: Node) -> Any:
        base, exponent = (self.value(child) for child in node.children)
        return base**exponent

    def _value_transpose(self, node: Node) -> Any:
        value = self.value(node.children[0])
        if self.index_form or np.ndim(value) not in (1, 2):
            raise self.error(node, "a transpose belongs to a matrix without indices")
        return value.T

    def _value_big(self, node: Node) -> Any:
        operator, bound, upper, _ = node.value
        for letter in bound:
            if letter in self.active:
                raise self.error(node, f"index {letter} is bound already")
        if upper is not None:
            limit = int(self.value(upper))
            if len(bound) != 1 or self.sizes.setdefault(bound[0], limit) != limit:
                raise self.error(
                    node, f"the sum ends at {limit}, but index {bound[0]} ranges over {self.sizes[bound[0]]}"
                )
        self.active |= set(bound)
        body = np.asarray(self.value(node.children[0]))
        if body.ndim == 0:
            body = body.reshape([1] * len(self.letters))
        for letter in bound:
            axis = self.letters.index(letter)
            shape = list(body.shape)
            shape[axis] = self._size(letter, node)
            body = np.broadcast_to(body, shape)
            body = (
                body.sum(axis=axis, keepdims=True)
                if operator == r"\sum"
                else body.max(axis=axis, keepdims=True)
            )
        self.active -= set(bound)
        return body

    def _value_compare(self, node: Node) -> Any:
        a, b = (np.real(self.value(child)) for child in node.children)
        return RELATIONS[node.value](a, b)

    def _value_indicator(self, node: Node) -> Any:
        return np.asarray(self.value(node.children[0])).astype(float)

    def _value_cases(self, node: Node) -> Any:
        pairs = list(zip(node.children[::2], node.children[1::2], strict=True))
        result: Any = np.nan
        for value, condition in reversed(pairs):
            result = np.where(self.value(condition), self.value(value), result)
        return result[()]

    def _value_call(self, node: Node) -> Any:
        name = node.value[0]
        arguments = [self.value(child) for child in node.children]
        if len(arguments) != (2 if name in ("max", "min") else 1):
            raise self.error(node, f"{name} got {len(arguments)} arguments")
        return CALLS[name](*arguments)

    def _value_apply(self, node: Node) -> Any:
        arguments = [self.value(child) for child in node.children]
        function = self.symbols.get(node.value, BUILTINS.get(node.value))
        if callable(function):
            return function(*arguments)
        if function is None or len(arguments) != 1:
            raise self.error(node, f"{node.value} is not bound to a function or a number")
        symbol = Node("symbol", (node.value, None), node.position)
        return self._value_times(
            Node("times", None, node.position, (symbol, Node("group", None, node.position, node.children)))
        )


def _adds(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Equal shapes, a number and anything, or one row and many rows."""
    return a == b or not a or not b or (len(a) != len(b) and a[-len(b) :] == b[-len(a) :])


def _absolute(x: Any) -> Any:
    return np.where(np.real(x) >= 0, x, -x)  # analytic on both sides of 0, for the complex step


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(Z: Any) -> Any:
    E = np.exp(Z)
    return E / E.sum(axis=-1, keepdims=True)


CALLS: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sqrt": np.sqrt, "cos": np.cos, "abs": _absolute,
    "sigmoid": _sigmoid, "max": np.maximum, "min": np.minimum,
}  # fmt: skip
BUILTINS: dict[str, Callable[..., Any]] = {"softmax": _softmax}
