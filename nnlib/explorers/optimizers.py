"""Five optimizers walk down the same surface from the same start, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from nnlib._shapes import Array
from nnlib.explorers.engine import Explorer, choice, log_slider, slider, toggle, whole
from nnlib.explorers.panels import Panel, Series, Shades, curves, plane
from nnlib.optimizers import SGD, Adam, Optimizer, RMSProp

__all__ = ["SURFACES", "Optimizers", "Surface"]

NAMES = {
    "sgd": "SGD",
    "momentum": "momentum",
    "nesterov": "Nesterov",
    "rmsprop": "RMSProp",
    "adam": "Adam",
}
EXTENT = (-3.0, 3.0, -2.0, 2.0)
FAR = np.array([6.0, 4.0])  # twice the picture: an overshoot may come back, a walk beyond this does not
FLOOR = 1e-12  # smallest loss on a logarithmic axis
HISTORY = 150


class Surface(NamedTuple):
    """A loss of two parameters, with its gradient in closed form and its lowest points.

    `loss` and `gradient` take the two parameters and the steepness; both are 0 at a minimum.
    """

    title: str
    loss: Callable[[Array, Array, float], Array]
    gradient: Callable[[Array, Array, float], tuple[Array, Array]]
    minima: tuple[tuple[float, float], ...]


SURFACES: Mapping[str, Surface] = {
    "ravine": Surface(
        "straight ravine",
        lambda x, y, c: 0.5 * (x**2 + c * y**2),
        lambda x, y, c: (x, c * y),
        ((0.0, 0.0),),
    ),
    "rosenbrock": Surface(
        "bent ravine (Rosenbrock)",
        lambda x, y, c: (1 - x) ** 2 + c * (y - x**2) ** 2,
        lambda x, y, c: (2 * (x - 1) - 4 * c * x * (y - x**2), 2 * c * (y - x**2)),
        ((1.0, 1.0),),
    ),
    "saddle": Surface(
        "saddle between two hollows",
        lambda x, y, c: 0.25 * (x**2 - 1) ** 2 + 0.5 * c * y**2,
        lambda x, y, c: (x**3 - x, c * y),
        ((-1.0, 0.0), (1.0, 0.0)),
    ),
}


class Walk:
    """One optimizer on its way: where it is, how it came there, and when it left the picture."""

    def __init__(self, optimizer: Optimizer, theta: Array, loss: float) -> None:
        self.optimizer, self.theta, self.loss = optimizer, theta, loss
        self.seen: list[tuple[float, float, float, float]] = []  # step, both parameters, loss
        self.every, self.left_at = 1, 0

    def here(self, steps: int) -> tuple[float, float, float, float]:
        """Return what is remembered of the present point."""
        return steps, float(self.theta[0]), float(self.theta[1]), self.loss

    def remember(self, steps: int) -> None:
        """Keep the present point; when there are too many, every second one."""
        if steps % self.every == 0:
            self.seen.append(self.here(steps))
        if len(self.seen) > HISTORY:
            self.seen, self.every = self.seen[::2], 2 * self.every

    def track(self, steps: int) -> Array:
        """Return all that is remembered, and the present point, as rows."""
        return np.array([*self.seen, self.here(self.left_at or steps)])


class Optimizers(Explorer):
    """SGD, momentum, Nesterov, RMSProp and Adam on one surface, all with the same learning rate.

    One step is one step of each. An optimizer that gets far out of the picture stops; the others go on.

    Attributes
    ----------
    surface : the `Surface`
    walks : name -> where that optimizer is and how it came there
    """

    name = "optimizers"
    title = "Optimizers on a ravine"
    caption = (
        "The steep direction limits the learning rate, the flat one needs a large one. "
        "Watch who zigzags, who overshoots and who cuts the corner."
    )
    controls = (
        choice("surface", "Surface", "ravine", {k: s.title for k, s in SURFACES.items()}, restarts=True),
        log_slider("condition", "How much steeper across than along", 25, 1, 1000, restarts=True),
        log_slider("learning_rate", "Learning rate", 0.03, 1e-5, 10),
        slider("beta", "Momentum (and β₁ of Adam)", 0.9, 0, 0.99, 0.01),
        slider("noise", "Noise of the gradient", 0, 0, 5, 0.1),
        slider("start_x", "Start, θ₁", -2.5, -3, 3, 0.01, restarts=True),
        slider("start_y", "Start, θ₂", 1.5, -2, 2, 0.01, restarts=True),
        *(toggle(name, label, True) for name, label in NAMES.items()),
        whole("seed", "Seed of the noise", 0, 0, 99, restarts=True),
    )
    recorded = (21, 6)
    pace = 20
    limit = 3000

    def start(self) -> None:
        """Put every optimizer at the start."""
        s = self.settings
        self.surface = SURFACES[s["surface"]]
        self.walks = {name: self._walk(self._optimizer(name)) for name in NAMES}
        self._tune()
        x, y = np.linspace(*EXTENT[:2], 49), np.linspace(EXTENT[3], EXTENT[2], 33)
        field = np.log10(self.surface.loss(x, y[:, None], s["condition"]) + 1e-3)
        low, high = float(field.min()), float(field.max())
        self.field = Shades(field, low, high)
        # the first level is drawn as a strong line; at the lowest value there is none
        self.levels = [low, *np.quantile(field, np.linspace(0.05, 0.95, 8)).tolist()]

    def _walk(self, optimizer: Optimizer) -> Walk:
        theta = np.array([self.settings["start_x"], self.settings["start_y"]])
        return Walk(optimizer, theta, self.loss_at(theta))

    def _optimizer(self, name: str) -> Optimizer:
        rate = self.settings["learning_rate"]
        optimizers: dict[str, Callable[[], Optimizer]] = {
            "sgd": lambda: SGD(rate),
            "momentum": lambda: SGD(rate, momentum=0.9),
            "nesterov": lambda: SGD(rate, momentum=0.9, nesterov=True),
            "rmsprop": lambda: RMSProp(rate, alpha=0.9),  # as in chapter 11
            "adam": lambda: Adam(rate),
        }
        return optimizers[name]()

    def _tune(self) -> None:
        """Give every optimizer the present learning rate and momentum; they keep their memory."""
        beta = self.settings["beta"]
        for name, walk in self.walks.items():
            optimizer = walk.optimizer
            optimizer.lr = self.settings["learning_rate"]
            if isinstance(optimizer, Adam):
                optimizer.betas = (beta, optimizer.betas[1])
            elif isinstance(optimizer, SGD) and name != "sgd":
                optimizer.momentum = beta

    def loss_at(self, theta: Array) -> float:
        """Return the height of the surface at a point (2,)."""
        return float(self.surface.loss(theta[0], theta[1], self.settings["condition"]))

    def gradient_at(self, theta: Array) -> Array:
        """Return the gradient of the surface at a point (2,), without noise."""
        return np.array(self.surface.gradient(theta[0], theta[1], self.settings["condition"]))

    def advance(self) -> None:
        """Make one step of every optimizer that is still in sight; all get the same noise."""
        noise = self.settings["noise"] * self.rng.standard_normal(2)
        for walk in self.walks.values():
            if walk.left_at:
                continue
            walk.remember(self.steps)
            walk.optimizer.step({"theta": walk.theta}, {"theta": self.gradient_at(walk.theta) + noise})
            walk.loss = self.loss_at(walk.theta)
            if np.any(np.abs(walk.theta) > FAR):
                walk.left_at = self.steps + 1
        self._report()

    def _report(self) -> None:
        """Say so when nobody is left."""
        shown = self._shown()
        if shown and all(walk.left_at for walk in shown.values()):
            who = "Every optimizer" if len(shown) > 1 else NAMES[next(iter(shown))]
            self.message = (
                f"{who} has left the picture: the learning rate {self.settings['learning_rate']:g} is too "
                f"large here. Lower it and press Reset."
            )

    def _shown(self) -> dict[str, Walk]:
        return {name: walk for name, walk in self.walks.items() if self.settings[name]}

    def changed(self, names: set[str]) -> None:
        """Take over learning rate and momentum; optimizers that were hidden have walked along."""
        self._tune()
        self._report()

    def act_start(self, point: tuple[float, float]) -> None:
        """Start again from a point of the plane."""
        x, y = np.clip(np.round(point, 2), EXTENT[::2], EXTENT[1::2])
        self.reset(start_x=float(x), start_y=float(y))

    @property
    def loss(self) -> float | None:
        """Smallest loss of the optimizers that are shown and still in sight."""
        return min((w.loss for w in self._shown().values() if not w.left_at), default=None)

    def panels(self) -> list[Panel]:
        """Return the surface with all paths, and the losses."""
        shown = self._shown()
        tracks = {name: walk.track(self.steps) for name, walk in shown.items()}
        groups = {name: i for i, name in enumerate(NAMES)}
        x, y = self.settings["start_x"], self.settings["start_y"]
        lows = np.array(self.surface.minima)
        return [
            plane(
                "The walks, over log₁₀ of the loss",
                extent=EXTENT,
                field=self.field,
                palette="sequential",
                levels=self.levels,
                points=[
                    {"name": "start", "x": [x], "y": [y], "group": 5, "hollow": True},
                    {"name": "lowest", "x": lows[:, 0], "y": lows[:, 1], "group": 5},
                ],
                paths=[
                    {"name": NAMES[name], "x": np.clip(track[:, 1], *EXTENT[:2]),
                     "y": np.clip(track[:, 2], *EXTENT[2:]), "group": groups[name]}
                    for name, track in tracks.items()
                ],
                xlabel="θ₁",
                ylabel="θ₂",
                action="start",
            ),
            curves("Loss", [_losses(name, tracks.get(name)) for name in NAMES], ylog=True),
        ]  # fmt: skip

    def describe(self) -> str:
        """Return the losses from the best to the worst, and who has left."""
        shown = self._shown()
        inside = sorted((walk.loss, NAMES[name]) for name, walk in shown.items() if not walk.left_at)
        sentences = [", ".join(f"{name} {loss:.3g}" for loss, name in inside)] if inside else []
        sentences += [
            f"{NAMES[name]} left the picture at step {walk.left_at}"
            for name, walk in shown.items()
            if walk.left_at
        ]
        return f"Step {self.steps}, loss: {'. '.join(sentences) or 'no optimizer is shown'}."


def _losses(name: str, track: Array | None) -> Series:
    if track is None:  # keeps its place, so that the others keep their colours
        return {"name": f"{NAMES[name]} (off)", "x": [], "y": []}
    return {"name": NAMES[name], "x": track[:, 0], "y": np.maximum(track[:, 3], FLOOR)}
