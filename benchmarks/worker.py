"""One peer in a process of its own: reads a request a line, answers with a line of JSON.

    python worker.py WORKLOAD PEER THREADS FOLDER        (`run.py` starts these)

The first line tells who it is, or why the peer is absent. A request is ``{"seed": 3, "save": "file"}``:
train from the first weights with the order of this seed. ``"small": true`` trains a few batches only.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

FEW = 20  # batches of a small round
WAKE = 0.2  # seconds: a core that has rested is slow at first, which would count most in the shortest rounds
FIRST_WEIGHTS = 0  # seed of the first weights where every round starts from the same


def peak() -> float | None:
    """Most memory that this process had until now, in MB."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def confine(threads: int) -> None:
    """To as many cores as threads, where the system can: some libraries ignore every other limit."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def busy() -> float | None:
    """Seconds that all cores together have worked since the system started, for whomever."""
    try:
        counts = Path("/proc/stat").read_text("utf-8").split("\n")[0].split()[1:9]
        user, nice, system, _, _, interrupts, soft, stolen = map(int, counts)
        return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):  # not Linux
        return None


def small(work: Any) -> Any:
    return replace(work, rows=min(work.rows, FEW * work.batch), epochs=min(work.epochs, FEW))


def wake() -> None:
    """Keep the core busy until it is as fast as it gets."""
    end = time.perf_counter() + WAKE
    while time.perf_counter() < end:
        pass


def trained(peer: Any, work: Any, seed: int) -> dict[str, float | None]:
    """Seconds of wall and processor time for one round, and the mean loss of its steps.

    `others` is the processor time that other programs took meanwhile.
    """
    from workloads import first_weights

    orders = work.orders(seed)
    # to an accuracy, luck with the first weights is part of the result
    peer.start(first_weights(work, seed if work.target else FIRST_WEIGHTS))
    gc.collect()
    wake()
    before, wall, cpu = busy(), time.perf_counter(), time.process_time()
    loss = peer.train(orders, seed)
    wall, cpu, after = time.perf_counter() - wall, time.process_time() - cpu, busy()
    others = None if before is None or after is None else after - before - cpu
    return {"seconds": wall, "cpu": cpu, "others": others, "loss": loss}


def serve(name: str, key: str, threads: int, folder: Path, say: Callable[[dict[str, Any]], None]) -> None:
    confine(threads)
    from peers import Absent, load

    try:
        make = load(key)
        from workloads import WORKLOADS, np, stored

        work, memory = WORKLOADS[name], {"imported": peak()}
        X, y = stored(folder, work)
        memory["data"] = peak()
        peer = make(work, X, y)
    except Absent as reason:
        return say({"absent": str(reason)})
    say({"memory": memory})
    for line in sys.stdin:
        request = json.loads(line)
        answer = trained(peer, small(work) if request.get("small") else work, request["seed"])
        if request.get("save"):
            np.savez(request["save"], *peer.weights())
        say(answer | {"peak": peak()})


def main() -> None:
    name, key, threads, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like an answer
    say = partial(print, file=answers, flush=True)
    serve(name, key, int(threads), Path(folder), lambda answer: say(json.dumps(answer)))


if __name__ == "__main__":
    main()
