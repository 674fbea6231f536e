"""Where a training step of nnlib goes: the median time of each part, next to the bare matrix products.

    python benchmarks/parts.py                            W1 to W4 with one thread, as Markdown
    OPENBLAS_NUM_THREADS=2 python benchmarks/parts.py W1  with two

The parts are those that `nnlib.fit` puts together, with a clock between them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
from peers.limit import Products  # noqa: E402
from peers.with_nnlib import Fit  # noqa: E402
from report import in_words, markdown  # noqa: E402
from workloads import WORKLOADS, Array, Workload, data, first_weights  # noqa: E402

import nnlib  # noqa: E402

Batch = tuple[Array, Array]
STEPPED = [name for name, work in WORKLOADS.items() if work.target is None]


class Clock:
    """Seconds under each name, step by step."""

    def __init__(self) -> None:
        self.step: dict[str, float] = {}
        self.steps: list[dict[str, float]] = []

    def __call__(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        started = time.perf_counter()
        result = function(*args)
        self.step[name] = self.step.get(name, 0.0) + time.perf_counter() - started
        return result

    def next_step(self) -> None:
        self.steps.append(self.step)
        self.step = {}

    def medians(self) -> dict[str, float]:
        """Median of each name, over all steps but the first fifth."""
        warm = self.steps[len(self.steps) // 5 :]
        return {name: statistics.median(step[name] for step in warm) for name in warm[0]}


def batches(work: Workload, X: Array, y: Array) -> Iterator[Batch]:
    rng = np.random.default_rng(0)
    while True:
        whole = work.rows == work.batch
        yield from [(X.copy(), y.copy())] if whole else nnlib.minibatches(X, y, work.batch, rng=rng)


def parts(work: Workload, steps: int) -> dict[str, float]:
    """Seconds that each part of a training step takes."""
    X, y = (values[: work.rows] for values in data(work))
    peer, clock, source = Fit(work, X, y), Clock(), batches(work, X, y)
    peer.start(first_weights(work, 0))
    net, loss, optimizer = peer.net, peer.loss, peer.optimizer
    first, *others = net.layers
    for _ in range(steps):
        H, target = clock("a batch", next, source)
        for layer in net.layers:
            H = clock(f"{type(layer).__name__} forward", layer.forward, H)
        clock("loss", loss.forward, H, target)
        dY = clock("gradient of the loss", loss.backward)
        for layer in reversed(others):
            dY = clock(f"{type(layer).__name__} backward", layer.backward, dY)
        clock(f"{type(first).__name__} backward", first.backward_parameters, dY)
        params, grads = clock("parameters and gradients by name", lambda: (net.params(), net.grads()))
        clock("optimizer", optimizer.step, params, grads)
        clock.next_step()
    return clock.medians()


def alone(work: Workload, steps: int) -> float:
    """Seconds of the matrix products of a step."""
    products, clock = Products(work, *data(work)), Clock()
    for _ in range(steps):
        clock("products", products.train, np.zeros(work.batch), 0)
        clock.next_step()
    return clock.medians()["products"]


def table(name: str, steps: int) -> str:
    work = WORKLOADS[name]
    seconds, limit = parts(work, steps), alone(work, steps)
    whole, threads = sum(seconds.values()), int(os.environ["OPENBLAS_NUM_THREADS"])
    times = seconds | {"all of it": whole, "*matrix products alone*": limit}
    rows = [[part, f"{t * 1e6:,.1f}", f"{t / whole:.0%}"] for part, t in times.items()]
    title = f"**{name}: {work.title}, {in_words(threads)}.**"
    return f"{title}\n\n{markdown(['part of a step', 'µs', 'share'], rows)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="W", choices=[[], *STEPPED], default=[])
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    for name in options.workloads or STEPPED:
        print(table(name, options.steps))


if __name__ == "__main__":
    main()
