"""How small the step should be when a derivative is checked by differences."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from nnlib import data
from nnlib import functional as F
from nnlib._shapes import Array
from nnlib.experiments import mlp
from nnlib.explorers.engine import Explorer, choice, log_slider, slider
from nnlib.explorers.panels import Panel, Series, curves, factor, formula, matrix, number, text
from nnlib.gradcheck import numerical_gradient
from nnlib.losses import MSE
from nnlib.network import Sequential

__all__ = ["FUNCTIONS", "FiniteDifference", "Function"]

DTYPES: Mapping[str, Any] = {"float64": np.float64, "float32": np.float32}
SMALLEST = 1e-16
STEPS = np.logspace(-16, 0, 65)  # four a power of ten
WINDOW = np.linspace(-1.5, 1.5, 61)
LENS = np.linspace(-2, 2, 81)


class Function(NamedTuple):
    """A function of one number: its value (in the dtype of the number) and its derivative (in float64).

    `analytic` is the function for complex numbers, None where there is none.
    """

    title: str
    value: Callable[[Any], Any]
    derivative: Callable[[float], float]
    analytic: Callable[[Any], Any] | None


@functools.cache
def _network(dtype: str) -> Sequential:
    return mlp([2, 3, 1], activation="tanh", rng=np.random.default_rng(3), dtype=dtype)


def network_loss(w: Any) -> float:
    """Return the loss of a 2-3-1 network on XOR; its first weight is w and it computes in the dtype of w."""
    return _forward(w)[0]


def network_slope(w: float) -> float:
    """Return the derivative of that loss with respect to w: what backward says in float64."""
    _, net, loss = _forward(np.float64(w))
    net.backward(loss.backward())
    return float(net.grads()["0.W"][0, 0])


def _forward(w: Any) -> tuple[float, Sequential, MSE]:
    net, (X, y), loss = _network(w.dtype.name), data.xor(), MSE()
    net.params()["0.W"][0, 0] = w
    return loss.forward(net.forward(X.astype(w.dtype)), y[:, None].astype(w.dtype)), net, loss


FUNCTIONS: Mapping[str, Function] = {
    "sin": Function("sin x", np.sin, np.cos, np.sin),
    "exp": Function("eˣ", np.exp, np.exp, np.exp),
    "cube": Function("x³", lambda x: x**3, lambda x: 3 * x**2, lambda x: x**3),
    "sigmoid": Function(
        "sigmoid σ(x)",
        F.sigmoid,
        lambda x: float(F.sigmoid_backward(np.array(1.0), F.sigmoid(np.array(x)))),
        lambda x: 1 / (1 + np.exp(-x)),
    ),
    "network": Function(
        "loss of a network in one weight",
        network_loss,
        network_slope,
        None,  # layers refuse complex numbers
    ),
}


def relative_error(a: float, n: float) -> float:
    """Return |a - n| / max(|a|, |n|), and 0 for two zeros.

    Examples
    --------
    >>> relative_error(2.0, 1.0), relative_error(0.0, 0.0)
    (0.5, 0.0)
    """
    larger = max(abs(a), abs(n))
    return abs(a - n) / larger if larger else 0.0


class FiniteDifference(Explorer):
    """A derivative by differences: too large a step truncates, too small a one rounds.

    One step divides h by the root of ten, down to 1e-16.

    Attributes
    ----------
    x : the point, rounded to the chosen dtype
    derivative : the true derivative there
    """

    name = "finite-difference"
    title = "The step size of a finite difference"
    caption = (
        "A smaller step is better until rounding takes over: for the central difference at about the cube "
        "root of the machine's precision ε, for the forward difference at its square root."
    )
    controls = (
        choice("function", "Function", "sin", {name: f.title for name, f in FUNCTIONS.items()}),
        slider("x", "x", 1.1, -3, 3, 0.1),
        log_slider("h", "Step size h", 1.0, SMALLEST, 1),
        choice("dtype", "Numbers", "float64", {"float64": "float64", "float32": "float32"}),
    )
    recorded = (21, 1)
    pace = 3
    began = 1.0  # the h that a reset returns to

    def reset(self, **settings: Any) -> None:
        """Start again, with some settings changed; the sweep goes back to where it began."""
        super().reset(**({"h": self.began} | settings))

    def start(self) -> None:
        """Compute everything for the present settings."""
        self.began = self.settings["h"]
        self._look()
        self._measure()

    def changed(self, names: set[str]) -> None:
        """Compute anew what depends on the settings that changed; nothing starts again."""
        if "h" in names:
            self.began = self.settings["h"]
        if names - {"h"}:
            self._look()
        self._measure()

    def advance(self) -> None:
        """Divide h by the root of ten; twelve digits, so that every second step is a power of ten."""
        h = max(float(f"{self.settings['h'] / math.sqrt(10):.12g}"), SMALLEST)
        self.settings = self.settings | {"h": h}
        self._measure()

    @property
    def finished(self) -> bool:
        """Whether h cannot get smaller."""
        return bool(self.settings["h"] <= SMALLEST)

    # The derivatives

    def value(self, x: float) -> float:
        """Return the function at x, computed in the chosen dtype."""
        return float(self.function.value(self.dtype(x)))

    def scaled(self, h: float) -> float:
        """Return the step s for a step size h."""
        return h * max(1.0, abs(self.x))

    def forward(self, h: float) -> float:
        """Return the forward difference."""
        s = self.scaled(h)
        return (self.value(self.x + s) - self.value(self.x)) / s

    def central(self, h: float) -> float:
        """Return the central difference, by `numerical_gradient`."""
        return float(numerical_gradient(lambda v: self.value(v[0]), np.array([self.x]), h=h)[0])

    def complex_step(self, h: float) -> float:
        """Return Im f(x + is) / s: no difference is taken, so no digits are lost."""
        s = self.scaled(h)
        dtype = np.complex64 if self.dtype is np.float32 else np.complex128
        return float(self.function.analytic(dtype(complex(self.x, s))).imag) / s  # type: ignore[misc]

    @property
    def methods(self) -> dict[str, Callable[[float], float]]:
        """The ways to take a derivative, by name."""
        methods: dict[str, Callable[[float], float]] = {"forward": self.forward, "central": self.central}
        return methods | ({"complex step": self.complex_step} if self.function.analytic else {})

    @property
    def loss(self) -> float:
        """Relative error of the central difference."""
        return self.errors["central"]

    def truncation(self, h: float) -> float:
        """Return what the central difference leaves out, in theory: s² |f'''| / 6."""
        return self.scaled(h) ** 2 * abs(self.third) / 6

    def rounding(self, h: float) -> float:
        """Return what rounding adds, at most about ε (|f| + |x f'|) / 2s: f and its argument are rounded."""
        size = abs(self.value(self.x)) + abs(self.x * self.derivative)
        return self.epsilon * size / (2 * self.scaled(h))

    # What there is to see

    def _look(self) -> None:
        """Everything that does not depend on h."""
        self.function = FUNCTIONS[self.settings["function"]]
        self.dtype = DTYPES[self.settings["dtype"]]
        self.epsilon = float(np.finfo(self.dtype).eps)
        self.x = float(self.dtype(self.settings["x"]))
        self.derivative = float(self.function.derivative(self.x))
        d = 1e-2  # the third derivative need not be known well
        ends = [float(self.function.value(np.float64(self.x + k * d))) for k in (-2, -1, 1, 2)]
        self.third = float(np.dot([-1, 2, -2, 1], ends)) / (2 * d**3)
        self.swept = {
            name: np.array([relative_error(self.derivative, method(h)) for h in STEPS])
            for name, method in self.methods.items()
        }
        self.window = self.x + WINDOW * max(1.0, abs(self.x))
        self.curve = self._values(self.window)

    def _values(self, points: Array) -> Array:
        return np.array([self.value(point) for point in points])

    def _measure(self) -> None:
        """Everything that depends on h."""
        h = self.settings["h"]
        self.results = {name: method(h) for name, method in self.methods.items()}
        self.errors = {name: relative_error(self.derivative, g) for name, g in self.results.items()}
        self.lens = (self._values(self.x + LENS * self.scaled(h)) - self.value(self.x)) / self.scaled(h)

    def _chords(self, x: float, y: tuple[float, float, float], s: float) -> list[Series]:
        """Return the secants through the points at x - s, x and x + s, where the function is y."""
        below, here, above = y
        return [
            {"name": "forward", "x": [x, x + s], "y": [here, above]},
            {"name": "central", "x": [x - s, x + s], "y": [below, above]},
        ]

    def _curve(self) -> Panel:
        s, x = self.scaled(self.settings["h"]), self.x
        y = self.value(x - s), self.value(x), self.value(x + s)
        ends = self.window[[0, -1]]
        return curves(
            "The function, its tangent and the secants",
            [
                *self._chords(x, y, s),
                {"name": "f", "x": self.window, "y": self.curve},
                {"name": "tangent", "x": ends, "y": y[1] + self.derivative * (ends - x)},
            ],
            xlabel="x" if self.settings["function"] != "network" else "weight",
        )

    def _lens(self) -> Panel:
        at = {float(t): float(v) for t, v in zip(LENS[::20], self.lens[::20], strict=True)}
        return curves(
            "The same through a lens, as the computer has it",
            [
                *self._chords(0, (at[-1.0], at[0.0], at[1.0]), 1),
                {"name": "f", "x": LENS, "y": self.lens},
                {"name": "tangent", "x": [-2, 2], "y": [-2 * self.derivative, 2 * self.derivative]},
            ],
            xlabel="steps s to the right of x",
            ylabel="steps s above f(x)",
        )

    def _sweep(self) -> Panel:
        h = self.settings["h"]
        floor = self.epsilon / 10  # 0 has no place on a logarithmic axis
        lines: list[Series] = [
            {"name": name, "x": STEPS, "y": np.maximum(errors, floor)} for name, errors in self.swept.items()
        ]
        now: Series = {
            "name": "now", "x": [h] * len(self.errors), "y": [max(e, floor) for e in self.errors.values()],
            "points": True,
        }  # fmt: skip
        return curves(
            "Relative error against the step size",
            [*lines, now],
            xlabel="h",
            ylabel="relative error",
            xlog=True,
            ylog=True,
            marks=[(math.sqrt(self.epsilon), "√ε"), (math.cbrt(self.epsilon), "∛ε")],
        )

    def _formulas(self) -> list[Panel]:
        h, x = self.settings["h"], self.x
        s, digits = self.scaled(h), 17 if self.dtype is np.float64 else 9
        step = number(s, 6)
        below, here, above = (factor(self.value(at), digits) for at in (x - s, x, x + s))
        a, n = number(self.derivative, 10), number(self.results["central"], 10)
        return [
            formula(
                "Step",
                r"s = h \max(1, |x|)",
                label="eq-step-size",
                numbers=f"s = {number(h, 6)} · max(1, {number(abs(x), 6)}) = {step}, in place of h",
                width="half",
            ),
            formula(
                "Forward difference",
                r"g = \frac{f(x + h) - f(x)}{h}",
                label="eq-forward-difference",
                numbers=f"g = ({above} − {here}) / {step} = {number(self.results['forward'], 10)}",
                width="half",
            ),
            formula(
                "Central difference",
                r"g = \frac{f(x + h) - f(x - h)}{2h}",
                label="eq-central-difference",
                numbers=f"g = ({above} − {below}) / (2 · {step}) = {n}",
                width="half",
            ),
            formula(
                "Relative error of the central difference",
                r"r = \frac{|a - n|}{\max(|a|, |n|)}",
                label="eq-relative-error",
                numbers=f"a = {a}, n = {n}: r = {number(self.loss, 3)}",
                width="half",
            ),
        ]

    def _verdict(self) -> str:
        h = self.settings["h"]
        truncation, rounding = self.truncation(h), self.rounding(h)
        off = abs(self.results["central"] - self.derivative)
        if truncation > rounding:
            verdict = "Truncation is the larger part: a smaller step helps."
        else:
            verdict = "Rounding is the larger part: a larger step helps."
        if abs(self.derivative) < 1e-9:
            verdict += " But the slope is 0 here, and no error is small relative to 0."
        return (
            f"The central difference leaves out about s² |f′′′| / 6 = {number(truncation, 2)} (truncation), "
            f"and rounding adds up to about ε (|f| + |x f′|) / 2s = {number(rounding, 2)}. "
            f"It is off by {number(off, 2)}. {verdict}"
        )

    def panels(self) -> list[Panel]:
        """Return the error against h, the secants, the formulas with numbers, and the verdict."""
        rows = [[number(self.results[n], 10), number(self.errors[n], 2)] for n in self.results]
        return [
            self._sweep(),
            self._lens(),
            self._curve(),
            matrix(
                f"The derivative is {number(self.derivative, 10)}",
                rows,
                rows=list(self.results),
                columns=["result", "relative error"],
                width="half",
            ),
            *self._formulas(),
            text("Truncation or rounding", self._verdict(), width="full"),
        ]

    def describe(self) -> str:
        """Return the step and the errors that it makes."""
        errors = ", ".join(f"{name} {error:.2g}" for name, error in self.errors.items())
        h = self.settings["h"]
        part = "truncation" if self.truncation(h) > self.rounding(h) else "rounding"
        return (
            f"Step size {h:.3g}, relative errors: {errors}. "
            f"The error of the central difference is mostly {part}."
        )
