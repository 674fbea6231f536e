"""Optimizers and learning-rate schedules.

``step(params, grads)`` changes the parameter arrays in place. Memory such as a velocity is kept per
parameter name. `lr` may be changed between steps. The rules write what comes between (`out=`) into arrays
that are kept: new ones of this size in each step would cost more time than the sums in them. A rule that
treats every number alike runs once for all small arrays of a `Sequential`, which lie side by side. A
schedule is a function of progress t, from 0 at the first step to 1 at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnlib._shapes import Array
from nnlib.parameters import Parameters

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSProp",
    "Schedule",
    "cosine",
    "elementwise",
    "one_cycle",
    "step",
]


def _check(name: str, value: float, low: float = 0.0, high: float = math.inf) -> float:
    if not (isinstance(value, int | float | np.number) and math.isfinite(value) and low <= value < high):
        limits = f">= {low:g}" if high == math.inf else f"in [{low:g}, {high:g})"
        raise ValueError(f"{name} must be a finite number {limits}, got {value!r}")
    return float(value)


Update = Callable[..., None]
COPIED = 20_000  # gradients of arrays with fewer numbers are copied side by side: it costs less than calls


def elementwise(update: Update) -> Update:
    """Mark an update rule that treats every number alike: it may get many parameters as one vector.

    A rule that looks at an array as a whole, such as one that limits the norm of each gradient, is left
    without the mark and called once for each array.

    Examples
    --------
    >>> class SignSGD(Optimizer):
    ...     @elementwise
    ...     def update(self, theta, g):
    ...         theta -= self.lr * np.sign(g)
    """
    update.elementwise = True  # type: ignore[attr-defined]
    return update


class Optimizer:
    """Base of all optimizers: checks, counts steps, keeps memory by parameter name.

    Attributes
    ----------
    lr : learning rate; may be changed while training
    t : number of steps taken
    state : parameter name -> name of the memory -> array
    """

    memories: tuple[str, ...] = ()

    def __init__(self, lr: float, *, weight_decay: float = 0.0) -> None:
        self.lr = lr
        self.weight_decay = _check("weight_decay", weight_decay)
        self.t = 0
        self.state: dict[str, dict[str, Array]] = {}
        self._known: dict[str, Array] = {}
        self._params: Parameters | None = None
        self._memory: dict[str, Parameters] = {}
        self._runs: list[tuple[list[str], Array, Array, dict[str, Array]]] = []
        self._kept: dict[tuple[int, ...], tuple[Array, Array]] = {}

    @property
    def lr(self) -> float:
        """Learning rate, a finite number >= 0."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = _check("lr", value)

    def step(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Move every parameter against its gradient, in place.

        Raises
        ------
        ValueError
            When a gradient is missing or does not have the shape of its parameter. Nothing has
            been changed then.
        TypeError
            When a parameter does not hold floating numbers.
        """
        for name, theta in params.items():
            found = grads.get(name)
            if found is None:
                raise ValueError(f"no gradient for parameter {name!r}: call backward before step")
            if found.shape != theta.shape:
                raise ValueError(f"gradient of {name!r} must have shape {theta.shape}, got {found.shape}")
            if self._known.get(name) is not theta:
                self._meet(name, theta)
        self.t += 1
        if isinstance(params, Parameters) and params.whole and self._at_once(params):
            for names, theta, g, state in self._runs:
                if len(names) == 1:
                    g = grads[names[0]].ravel()
                else:
                    for name in names:
                        self._g[name][...] = grads[name]
                self.update(theta, g, **state)
            return
        for name, theta in params.items():
            if name not in self.state:
                self.state[name] = {memory: np.zeros_like(theta) for memory in self.memories}
            self.update(theta, grads[name], **self.state[name])

    def _meet(self, name: str, theta: Array) -> None:
        """Check a parameter that is new, or another array under its name."""
        if theta.dtype.kind != "f":
            raise TypeError(f"parameter {name!r} must hold floating numbers, got {theta.dtype}")
        for memory in self.state.get(name, {}).values():
            if memory.shape != theta.shape:
                raise ValueError(
                    f"this optimizer remembers {name!r} with shape {memory.shape}, got {theta.shape}: "
                    f"use one optimizer for each network"
                )
        self._known[name] = theta

    def _at_once(self, params: Parameters) -> bool:
        """Whether arrays side by side may be updated as one; readies their memory."""
        if not getattr(self.update, "elementwise", False):
            return False
        if self._params is not params:
            if not self.state.keys().isdisjoint(params):
                return False  # there is memory from elsewhere
            self._params, self._g = params, params.zeros()
            self._memory = {memory: params.zeros() for memory in self.memories}
            self._runs = []
            for names, run in params.runs(alone=COPIED):
                state = {memory: values.vector[run] for memory, values in self._memory.items()}
                self._runs.append((names, params.vector[run], self._g.vector[run], state))
            for name in params:
                self.state[name] = {memory: values[name] for memory, values in self._memory.items()}
        for memory, values in self._memory.items():
            for name, view in values.items():
                if self.state.get(name, {}).get(memory) is not view:
                    return False  # somebody has taken it away or put another in its place
        return True

    def update(self, theta: Array, g: Array, **state: Array) -> None:
        """Update rule for one parameter array, in place."""
        raise NotImplementedError(f"{type(self).__name__} has no update rule: define update(self, theta, g)")

    def _between(self, theta: Array) -> tuple[Array, Array]:
        """Two arrays like theta to compute in; what they hold is undefined."""
        kept = self._kept.get(theta.shape)
        if kept is None or kept[0].dtype != theta.dtype:
            kept = self._kept[theta.shape] = np.empty_like(theta), np.empty_like(theta)
        return kept

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.lr:g})"


class SGD(Optimizer):
    r"""Gradient descent, with or without momentum.

    .. math:: v \leftarrow \mu v + (1 - \tau)\, g, \qquad \theta \leftarrow \theta - \eta v

    With Nesterov's look-ahead the step is :math:`\theta \leftarrow \theta - \eta (g + \mu v)`. The
    velocity starts at 0. `dampening` τ = 0 is the plain form; τ = μ is the exponential average
    :math:`v \leftarrow \mu v + (1 - \mu) g`. (PyTorch leaves τ out of the very first step; this
    class follows the equation. They agree for τ = 0.)

    Equation
    --------
    eq-sgd, eq-momentum, eq-nesterov

    Parameters
    ----------
    lr : learning rate η
    momentum : μ in [0, 1)
    dampening : τ in [0, 1)
    nesterov : look ahead along the velocity; needs momentum > 0 and no dampening
    weight_decay : λ, adds λθ to the gradient

    Raises
    ------
    ValueError
        When a setting is out of range.

    References
    ----------
    Polyak, 1964; Nesterov, 1983; Sutskever et al., 2013.

    Examples
    --------
    >>> theta = np.array([1.0])
    >>> SGD(0.1).step({"w": theta}, {"w": np.array([2.0])})
    >>> theta
    array([0.8])
    """

    def __init__(
        self,
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay)
        self.momentum = _check("momentum", momentum, high=1.0)
        self.dampening = _check("dampening", dampening, high=1.0)
        self.nesterov = nesterov
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                f"nesterov needs momentum > 0 and dampening = 0, "
                f"got momentum={momentum}, dampening={dampening}"
            )
        self.memories = ("v",) if self.momentum else ()

    @elementwise
    def update(self, theta: Array, g: Array, **state: Array) -> None:  # noqa: D102
        s, r = self._between(theta)
        if self.weight_decay:
            g = np.add(g, np.multiply(theta, self.weight_decay, out=s), out=r)
        if self.momentum:
            v = state["v"]
            v *= self.momentum
            v += np.multiply(g, 1 - self.dampening, out=s) if self.dampening else g
            g = np.add(g, np.multiply(v, self.momentum, out=s), out=r) if self.nesterov else v
        theta -= np.multiply(g, self.lr, out=s)


class RMSProp(Optimizer):
    r"""Steps divided by a running root mean square of the gradient.

    .. math::

        v \leftarrow \alpha v + (1 - \alpha)\, g^2, \qquad
        \theta \leftarrow \theta - \eta \frac{g}{\sqrt{v} + \epsilon}

    Equation
    --------
    eq-rmsprop

    Parameters
    ----------
    lr, alpha, eps : η, α in [0, 1), ε
    weight_decay : λ, adds λθ to the gradient

    Raises
    ------
    ValueError
        When a setting is out of range.

    References
    ----------
    Hinton, Srivastava and Swersky, 2012.

    Examples
    --------
    >>> theta = np.array([1.0])
    >>> RMSProp(0.1, alpha=0.75).step({"w": theta}, {"w": np.array([5.0])})
    >>> theta.round(6)
    array([0.8])
    """

    memories = ("v",)

    def __init__(
        self, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay)
        self.alpha = _check("alpha", alpha, high=1.0)
        self.eps = _check("eps", eps)

    @elementwise
    def update(self, theta: Array, g: Array, **state: Array) -> None:  # noqa: D102
        (s, r), v = self._between(theta), state["v"]
        if self.weight_decay:
            g = np.add(g, np.multiply(theta, self.weight_decay, out=s), out=r)
        g_squared = np.multiply(g, g, out=s)
        v *= self.alpha
        v += np.multiply(g_squared, 1 - self.alpha, out=s)
        root = np.sqrt(v, out=s)
        root += self.eps
        step = np.multiply(g, self.lr, out=r)
        theta -= np.divide(step, root, out=s)


class Adam(Optimizer):
    r"""Averages of the gradient and of its square, with their bias corrected.

    .. math::

        m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2

    .. math::

        \hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t}, \qquad
        \theta \leftarrow \theta - \eta \frac{\hat m}{\sqrt{\hat v} + \epsilon}

    Equation
    --------
    eq-adam-m, eq-adam-v, eq-adam-step

    Parameters
    ----------
    lr, betas, eps : η, (β1, β2) each in [0, 1), ε
    weight_decay : λ, adds λθ to the gradient

    Raises
    ------
    ValueError
        When a setting is out of range.

    References
    ----------
    Kingma and Ba, 2015.

    Examples
    --------
    The first step has the size of the learning rate, whatever the size of the gradient:

    >>> theta = np.array([1.0, 1.0])
    >>> Adam(0.1).step({"w": theta}, {"w": np.array([0.001, -1000.0])})
    >>> theta.round(4)
    array([0.9, 1.1])
    """

    memories = ("m", "v")

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay)
        if not isinstance(betas, Sequence) or len(betas) != 2:
            raise ValueError(f"betas must be two numbers (beta1, beta2), got {betas!r}")
        self.betas = _check("beta1", betas[0], high=1.0), _check("beta2", betas[1], high=1.0)
        self.eps = _check("eps", eps)

    @elementwise
    def update(self, theta: Array, g: Array, **state: Array) -> None:  # noqa: D102
        m, v, (beta1, beta2) = state["m"], state["v"], self.betas
        s, r = self._between(theta)
        if self.weight_decay:
            g = self._decay(theta, g, s, r)
        m *= beta1
        m += np.multiply(g, 1 - beta1, out=s)
        g_squared = np.multiply(g, g, out=s)
        v *= beta2
        v += np.multiply(g_squared, 1 - beta2, out=s)
        # the corrections are numbers: m_hat / (sqrt(v_hat) + eps) = (c2 / c1) m / (sqrt(v) + c2 eps)
        c1, c2 = 1 - beta1**self.t, math.sqrt(1 - beta2**self.t)
        root = np.sqrt(v, out=s)
        root += self.eps * c2
        step = np.divide(m, root, out=s)
        step *= self.lr * c2 / c1
        theta -= step

    def _decay(self, theta: Array, g: Array, s: Array, r: Array) -> Array:
        return np.add(g, np.multiply(theta, self.weight_decay, out=s), out=r)


class AdamW(Adam):
    r"""Adam with weight decay applied to the parameters instead of the gradient.

    .. math:: \theta \leftarrow (1 - \eta \lambda)\, \theta \quad \text{and then a step of Adam}

    Equation
    --------
    eq-adamw

    Parameters
    ----------
    lr, betas, eps : as in `Adam`
    weight_decay : λ, 0.01 unless told otherwise

    Raises
    ------
    ValueError
        When a setting is out of range.

    References
    ----------
    Loshchilov and Hutter, 2019.

    Examples
    --------
    >>> theta = np.array([1.0])
    >>> AdamW(0.1, weight_decay=0.5).step({"w": theta}, {"w": np.array([0.0])})
    >>> theta
    array([0.95])
    """

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)

    def _decay(self, theta: Array, g: Array, s: Array, r: Array) -> Array:
        theta *= 1 - self.lr * self.weight_decay
        return g


# --- Schedules ------------------------------------------------------------------------------------

Schedule = Callable[[float], float]


def step(lr: float, *, factor: float = 0.1, at: Sequence[float] = (0.5, 0.75)) -> Schedule:
    r"""Multiply the learning rate by `factor` each time progress passes one of the points `at`.

    .. math:: \eta(t) = \eta_0 \, f^{k(t)}, \qquad k(t) = \#\{ a : t \ge a \}

    Equation
    --------
    eq-schedule-step

    Examples
    --------
    >>> schedule = step(0.1, factor=0.5, at=(0.5,))
    >>> schedule(0.0), schedule(0.5)
    (0.1, 0.05)
    """
    lr, factor = _check("lr", lr), _check("factor", factor)
    points = [_check("at", point, high=1.0) for point in at]
    return lambda t: lr * factor ** sum(t >= point for point in points)


def cosine(lr: float, *, final: float = 0.0) -> Schedule:
    r"""Fall from `lr` to `final` along half a cosine wave.

    .. math:: \eta(t) = \eta_1 + \tfrac12 (\eta_0 - \eta_1)(1 + \cos \pi t)

    Equation
    --------
    eq-schedule-cosine

    References
    ----------
    Loshchilov and Hutter, 2017.

    Examples
    --------
    >>> schedule = cosine(0.1)
    >>> schedule(0.0), round(schedule(0.5), 3), schedule(1.0)
    (0.1, 0.05, 0.0)
    """
    lr, final = _check("lr", lr), _check("final", final)
    return lambda t: final + (lr - final) * (1 + math.cos(math.pi * t)) / 2


def one_cycle(lr: float, *, warmup: float = 0.25, start: float = 0.1, final: float = 0.0) -> Schedule:
    r"""Rise in a straight line from ``start * lr`` to `lr`, then fall along a cosine to ``final * lr``.

    .. math::

        \eta(t) = \begin{cases}
            \eta_0 \big( s + (1 - s)\, t / w \big) & t < w \\
            \eta_0 \big( f + \tfrac12 (1 - f)(1 + \cos \pi \tfrac{t - w}{1 - w}) \big) & t \ge w
        \end{cases}

    Equation
    --------
    eq-schedule-one-cycle

    Parameters
    ----------
    lr : the largest rate η0
    warmup : share w of the training that rises, in [0, 1)
    start, final : first and last rate, as shares s and f of `lr`

    References
    ----------
    Smith and Topin, 2019.

    Examples
    --------
    >>> schedule = one_cycle(0.4, warmup=0.25)
    >>> round(schedule(0.0), 3), schedule(0.25), schedule(1.0)
    (0.04, 0.4, 0.0)
    """
    lr, warmup = _check("lr", lr), _check("warmup", warmup, high=1.0)
    start, final = _check("start", start), _check("final", final)

    def schedule(t: float) -> float:
        if t < warmup:
            return lr * (start + (1 - start) * t / warmup)
        wave = (1 + math.cos(math.pi * (t - warmup) / (1 - warmup))) / 2
        return lr * (final + (1 - final) * wave)

    return schedule
