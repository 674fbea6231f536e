r"""Gradient checking: is a backward the derivative of its forward.

Each entry of each gradient is compared with a central difference

.. math:: \frac{f(x + h) - f(x - h)}{2h}, \qquad h = 6 \cdot 10^{-6} \max(1, |x|)

in float64, under a random upstream gradient. Besides the numbers the contract is checked: forward
and backward give the same answer twice, nothing is changed in place, gradients have the shape and
dtype of what they belong to, a zero upstream gradient gives zero, and twice the upstream gradient
gives twice the gradient.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnlib._shapes import Array, check_rng
from nnlib.layers import Layer
from nnlib.losses import Loss
from nnlib.network import Sequential

__all__ = [
    "Comparison",
    "Entry",
    "Report",
    "check_function",
    "check_layer",
    "check_loss",
    "check_network",
    "numerical_gradient",
]

STEP = 6e-6  # about the cube root of the float64 epsilon, where rounding and truncation balance
ATOL, RTOL = 1e-8, 1e-5


@dataclass(frozen=True)
class Entry:
    """One entry of one gradient, by its name and index."""

    name: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float  # |analytic - numeric|

    def __str__(self) -> str:
        index = ", ".join(map(str, self.index))
        return f"{self.name}[{index}]: backward says {self.analytic:.9g}, differences say {self.numeric:.9g}"


@dataclass(frozen=True)
class Comparison:
    """All checked entries of the gradient of one array."""

    name: str
    shape: tuple[int, ...]
    indices: list[tuple[int, ...]]
    analytic: Array
    numeric: Array
    accepted: Array  # bool, per entry
    kinked: Array  # bool, per entry: left and right slope differ, and backward lies between them

    @property
    def kinks(self) -> int:
        """Number of entries at a kink."""
        return int(np.count_nonzero(self.kinked))

    @property
    def errors(self) -> Array:
        """Absolute differences, per entry."""
        errors: Array = np.abs(self.analytic - self.numeric)
        return errors

    @property
    def relative_error(self) -> float:
        """Largest difference away from kinks, relative to the largest entry of the gradient."""
        scale = max(np.abs(self.numeric).max(initial=0), np.abs(self.analytic).max(initial=0), ATOL)
        return float(self.errors[~self.kinked].max(initial=0) / scale)

    @property
    def ok(self) -> bool:
        """Whether every entry is accepted."""
        return bool(self.accepted.all())

    def worst(self, count: int = 1) -> list[Entry]:
        """Entries with the largest error, rejected ones first."""
        order = np.lexsort((-np.nan_to_num(self.errors, nan=np.inf), self.accepted))[:count]
        return [
            Entry(
                self.name,
                self.indices[i],
                float(self.analytic[i]),
                float(self.numeric[i]),
                float(self.errors[i]),
            )
            for i in order
        ]


@dataclass
class Report:
    """Result of a check; true when everything agrees, and readable when printed."""

    title: str
    comparisons: list[Comparison] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all numbers agree and the contract holds."""
        return not self.problems and all(c.ok for c in self.comparisons)

    @property
    def worst(self) -> Entry | None:
        """Entry that is furthest off, rejected ones first."""
        entries = [(c.ok, -c.relative_error, c.worst()[0]) for c in self.comparisons if c.indices]
        return min(entries, key=lambda item: item[:2])[2] if entries else None

    @property
    def table(self) -> dict[str, float]:
        """Largest relative error for each name."""
        return {c.name: c.relative_error for c in self.comparisons}

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        checked = sum(len(c.indices) for c in self.comparisons)
        lines = [f"{self.title}: {'ok' if self.ok else 'WRONG'}, {checked} entries checked"]
        width = max((len(c.name) for c in self.comparisons), default=0)
        for c in self.comparisons:
            kinks = f", {c.kinks} at a kink" if c.kinks else ""
            verdict = (
                "ok" if c.ok else f"WRONG in {np.count_nonzero(~c.accepted)} of {len(c.indices)} entries"
            )
            error = f"relative error {c.relative_error:.1e}"
            lines.append(f"  {c.name:<{width}}  {c.shape!s:<14} {error}  {verdict}{kinks}")
            if not c.ok:
                lines += [f"    {entry}" for entry in c.worst(3)]
        lines += [f"  {problem}" for problem in self.problems]
        return "\n".join(lines)


def numerical_gradient(f: Callable[[Array], float], x: Array, *, h: float = STEP) -> Array:
    r"""Gradient of a scalar function by central differences, one entry after the other.

    .. math::

        \frac{\partial f}{\partial x_i} \approx \frac{f(x + h_i e_i) - f(x - h_i e_i)}{2 h_i}, \qquad
        h_i = h \max(1, |x_i|)

    Parameters
    ----------
    f : function of an array like x that returns one number
    x : float64 array of any shape; it is not changed
    h : step

    Returns
    -------
    array of the shape of x

    Raises
    ------
    TypeError
        When x is not float64: differences of float32 numbers have no digits left.

    Examples
    --------
    >>> numerical_gradient(lambda x: float((x**2).sum()), np.array([1.0, -3.0])).round(6)
    array([ 2., -6.])
    """
    x = _float64("x", x).copy()
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        centre = float(x[index])
        step = h * max(1.0, abs(centre))
        x[index] = centre + step
        above = float(f(x))
        x[index] = centre - step
        below = float(f(x))
        x[index] = centre
        gradient[index] = (above - below) / (2 * step)
    return gradient


def check_function(
    forward: Callable[..., Array | float],
    backward: Callable[..., Array | Sequence[Array | None]],
    inputs: Mapping[str, Array],
    *,
    rng: np.random.Generator,
    atol: float = ATOL,
    rtol: float = RTOL,
    max_entries: int | None = None,
    title: str | None = None,
) -> Report:
    """Check a pair of functions, each gradient that backward returns.

    Parameters
    ----------
    forward : called with the arrays of `inputs` in order; returns an array or a float
    backward : called with the upstream gradient and then the same arrays; returns the gradient of
        each of them in order (None: not differentiable), or one array where there is one input
    inputs : float64 arrays under the names that the report uses
    rng : draws the upstream gradient
    atol, rtol : an entry is accepted within ``atol + rtol * |numeric|``
    max_entries : check a random choice of that many entries of each array (None: every entry)

    Returns
    -------
    Report

    Raises
    ------
    TypeError
        When an input is not float64.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((5, 3))
    >>> print(check_function(lambda Z: Z**3, lambda dY, Z: dY * 3 * Z**2, {"Z": Z}, rng=rng))
    <lambda>: ok, 15 entries checked
      Z  (5, 3)         relative error 1.7e-11  ok
    >>> bool(check_function(lambda Z: Z**3, lambda dY, Z: dY * 3 * Z, {"Z": Z}, rng=rng))
    False
    """
    check_rng(rng)
    values = {name: _float64(name, value).copy() for name, value in inputs.items()}
    report = Report(title or str(getattr(forward, "__name__", "function")))
    Y = np.array(forward(*values.values()), dtype=np.float64)
    dY = rng.standard_normal(Y.shape)
    _check_unchanged(report, "forward", inputs, values)
    if not np.array_equal(forward(*values.values()), Y):
        report.problems.append("forward gives another answer when called again")

    def gradients(upstream: Array) -> list[Array | None]:
        result = backward(upstream, *values.values())
        return [
            None if g is None else np.array(g)
            for g in (result if isinstance(result, tuple | list) else (result,))
        ]

    kept = dY.copy()
    analytic = gradients(dY)
    if not np.array_equal(dY, kept):
        report.problems.append("backward changes the upstream gradient in place")
        dY = kept.copy()
    _check_unchanged(report, "backward", inputs, values)
    _check_contract(report, list(values.items()), analytic, gradients, dY)

    for (name, value), gradient in zip(values.items(), analytic, strict=False):
        if gradient is None:
            continue
        if gradient.shape != value.shape:
            continue  # reported as a problem; its entries cannot be compared one by one

        def scalar(_: Array) -> float:
            return float(np.sum(dY * forward(*values.values())))

        indices = list(np.ndindex(value.shape))
        if max_entries is not None and max_entries < len(indices):
            indices = [indices[i] for i in np.sort(rng.choice(len(indices), max_entries, replace=False))]
        report.comparisons.append(_compare(name, scalar, value, gradient, indices, atol, rtol))
    return report


def _check_unchanged(report: Report, who: str, inputs: Mapping[str, Array], values: dict[str, Array]) -> None:
    for name, original in inputs.items():
        if not np.array_equal(values[name], original):
            report.problems.append(f"{who} changes {name} in place")
            values[name][...] = original


def _check_contract(
    report: Report,
    values: list[tuple[str, Array]],
    analytic: list[Array | None],
    gradients: Callable[[Array], list[Array | None]],
    dY: Array,
) -> None:
    if len(analytic) != len(values):
        report.problems.append(f"backward returns {len(analytic)} gradients for {len(values)} inputs")
    zero, twice, again = gradients(np.zeros_like(dY)), gradients(2 * dY), gradients(dY.copy())
    for (name, value), g, g0, g2, g1 in zip(values, analytic, zero, twice, again, strict=False):
        if g is None or g0 is None or g1 is None or g2 is None:
            continue
        if g.shape != value.shape:
            report.problems.append(f"gradient of {name} has shape {g.shape}, expected {value.shape}")
        if g.dtype != value.dtype:
            report.problems.append(f"gradient of {name} has dtype {g.dtype}, expected {value.dtype}")
        if not np.array_equal(g, g1):
            report.problems.append(f"backward gives another gradient of {name} when called again")
        if np.any(g0 != 0):
            report.problems.append(f"a zero upstream gradient gives a gradient of {name} that is not zero")
        if g.shape == g2.shape and not np.allclose(g2, 2 * g, rtol=1e-12, atol=0):
            report.problems.append(f"twice the upstream gradient does not give twice the gradient of {name}")


def _compare(
    name: str,
    f: Callable[[Array], float],
    x: Array,
    gradient: Array,
    indices: list[tuple[int, ...]],
    atol: float,
    rtol: float,
) -> Comparison:
    analytic = np.array([gradient[i] for i in indices])
    numeric = np.zeros(len(indices))
    accepted, kinked = np.zeros((2, len(indices)), dtype=bool)
    middle = f(x)
    for row, index in enumerate(indices):
        centre = float(x[index])
        h = STEP * max(1.0, abs(centre))
        x[index] = centre + h
        above = f(x)
        x[index] = centre - h
        below = f(x)
        x[index] = centre
        numeric[row] = (above - below) / (2 * h)
        tolerance = atol + rtol * abs(numeric[row])
        accepted[row] = abs(analytic[row] - numeric[row]) <= tolerance
        if not accepted[row]:
            low, high = sorted([(above - middle) / h, (middle - below) / h])
            # two different finite slopes: a kink such as ReLU at 0, where any slope between is right
            is_kink = 1e-3 * max(1.0, abs(low), abs(high)) < high - low < 1e4
            if is_kink and low - tolerance <= analytic[row] <= high + tolerance:
                accepted[row] = kinked[row] = True
    return Comparison(name, gradient.shape, indices, analytic, numeric, accepted, kinked)


def check_layer(
    layer: Layer,
    X: Array,
    *,
    rng: np.random.Generator,
    atol: float = ATOL,
    rtol: float = RTOL,
    max_entries: int | None = None,
) -> Report:
    """Check a layer: the gradient of its input and of each parameter. The layer is not changed.

    Parameters
    ----------
    layer : any `Layer`, in float64; random layers are checked under one fixed draw
    X : (N, ...) float64, best with N > 1 and sizes that all differ
    rng, atol, rtol, max_entries : as in `check_function`

    Returns
    -------
    Report with the names "X" and those of the parameters

    Raises
    ------
    TypeError
        When X or a parameter is not float64.

    Examples
    --------
    >>> from nnlib import Linear
    >>> rng = np.random.default_rng(0)
    >>> report = check_layer(Linear(4, 3, rng=rng), rng.standard_normal((5, 4)), rng=rng)
    >>> report.ok, list(report.table)
    (True, ['X', 'W', 'b'])
    """
    layer = copy.deepcopy(layer)
    rewind = _rewinder([layer])
    extra: list[str] = []

    def forward(X: Array, *params: Array) -> Array:
        layer.params.update(zip(layer.params, params, strict=True))
        rewind()
        return layer.forward(X)

    def backward(dY: Array, X: Array, *params: Array) -> list[Array | None]:
        forward(X, *params)
        once = [np.array(layer.backward(dY)), *(np.array(layer.grads[k]) for k in layer.params)]
        twice = [layer.backward(dY), *(layer.grads[k] for k in layer.params)]
        if not all(np.array_equal(a, b) for a, b in zip(once, twice, strict=True)):
            extra[:] = [
                "a second backward after one forward gives another answer: gradients must be overwritten"
            ]
        return [*once]

    inputs = {"X": X, **{name: theta.copy() for name, theta in layer.params.items()}}
    report = check_function(
        forward,
        backward,
        inputs,
        rng=rng,
        atol=atol,
        rtol=rtol,
        max_entries=max_entries,
        title=repr(layer),
    )
    report.problems += extra
    return report


def check_loss(
    loss: Loss,
    prediction: Array,
    target: Array,
    *,
    rng: np.random.Generator,
    atol: float = ATOL,
    rtol: float = RTOL,
) -> Report:
    """Check a loss: the gradient of its prediction. The loss is not changed.

    Parameters
    ----------
    loss : any `Loss`
    prediction : float64; away from the edges of what the loss accepts
    target : as the loss expects it

    Returns
    -------
    Report with the name "prediction"

    Examples
    --------
    >>> from nnlib import SoftmaxCrossEntropy
    >>> rng = np.random.default_rng(0)
    >>> Z, y = rng.standard_normal((5, 3)), np.array([0, 2, 1, 1, 0])
    >>> bool(check_loss(SoftmaxCrossEntropy(), Z, y, rng=rng))
    True
    """
    loss = copy.deepcopy(loss)

    def forward(P: Array) -> float:
        return loss.forward(P, target)

    def backward(dL: Array, P: Array) -> Array:
        forward(P)
        return dL * loss.backward()

    inputs = {"prediction": prediction}
    return check_function(forward, backward, inputs, rng=rng, atol=atol, rtol=rtol, title=repr(loss))


def check_network(
    net: Sequential,
    loss: Loss,
    X: Array,
    Y: Array,
    *,
    rng: np.random.Generator | None = None,
    atol: float = ATOL,
    rtol: float = 1e-4,
    max_entries: int | None = None,
) -> Report:
    """Check a whole network and its loss, parameter by parameter. Neither is changed.

    Parameters
    ----------
    net, loss : in float64
    X, Y : a small batch, best with at least 3 rows; for one row a wrong 1/N cannot show
    rng : chooses entries where `max_entries` asks for a choice
    atol, rtol, max_entries : as in `check_function`

    Returns
    -------
    Report with the names of ``net.params()``

    Raises
    ------
    TypeError
        When a parameter is not float64.

    Examples
    --------
    >>> from nnlib import MSE, Linear, Tanh
    >>> rng = np.random.default_rng(0)
    >>> net = Sequential([Linear(2, 3, rng=rng), Tanh(), Linear(3, 1, rng=rng)])
    >>> report = check_network(net, MSE(), rng.standard_normal((5, 2)), rng.standard_normal((5, 1)))
    >>> report.ok, list(report.table)
    (True, ['0.W', '0.b', '2.W', '2.b'])
    """
    rng = np.random.default_rng(0) if rng is None else rng
    net, loss = copy.deepcopy(net), copy.deepcopy(loss)
    params = net.params()
    rewind = _rewinder(net.layers)

    def assign(values: tuple[Array, ...]) -> None:
        for theta, value in zip(params.values(), values, strict=True):
            theta[...] = value
        rewind()

    def forward(*values: Array) -> float:
        assign(values)
        return loss.forward(net.forward(X), Y)

    def backward(dL: Array, *values: Array) -> list[Array | None]:
        forward(*values)
        net.backward(dL * loss.backward())
        changed = [
            name
            for (name, theta), value in zip(params.items(), values, strict=True)
            if not np.array_equal(theta, value)
        ]
        if changed:
            raise RuntimeError(f"backward changed the parameters {changed}: only the optimizer may")
        grads = net.grads()
        return [np.array(grads[name]) for name in params]

    inputs = {name: theta.copy() for name, theta in params.items()}
    title = f"network of {len(net.layers)} layers with {loss!r}"
    return check_function(
        forward,
        backward,
        inputs,
        rng=rng,
        atol=atol,
        rtol=rtol,
        max_entries=max_entries,
        title=title,
    )


def _rewinder(layers: list[Layer]) -> Callable[[], None]:
    """Function that puts every generator found on the layers back to where it is now."""
    generators = [v for layer in layers for v in vars(layer).values() if isinstance(v, np.random.Generator)]
    states = [g.bit_generator.state for g in generators]

    def rewind() -> None:
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state

    return rewind


def _float64(name: str, value: Array) -> Array:
    value = np.asarray(value)
    if value.dtype != np.float64:
        raise TypeError(
            f"gradient checks need float64, got {name} of {value.dtype}: differences of shorter numbers "
            f"have too few digits; build the layers with dtype=np.float64"
        )
    return value
