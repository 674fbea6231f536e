"""One judge for all peers: what are the weights worth that they return?

python judge.py WORKLOAD FOLDER        prints JSON; FOLDER holds data and WORKLOAD~PEER~ROUND.npz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workloads import WORKLOADS, first_weights, judged, np, stored

EXAMPLES = 2_000  # enough where accuracy is not the aim


def main(name: str, folder: Path) -> dict[str, Any]:
    work = WORKLOADS[name]
    count = None if work.target else EXAMPLES
    X, y = (part[:count] for part in stored(folder, work, "test"))
    found: dict[str, Any] = {
        "title": work.title,
        "steps": work.steps,
        "images": None if work.binary else work.epochs * work.rows,
        "target": work.target,
        "random": work.shift,
        "before": judged(work, first_weights(work, 0), X, y)[0],
        "peers": {},
    }
    for path in sorted(folder.glob(f"{name}~*.npz"), key=lambda path: int(path.stem.split("~")[2])):
        with np.load(path) as arrays:
            weights = list(arrays.values())
        if weights:
            loss, accuracy, size = judged(work, weights, X, y)
            verdict = found["peers"].setdefault(path.stem.split("~")[1], {"test_loss": [], "accuracy": []})
            verdict["test_loss"].append(loss)
            verdict["accuracy"].append(accuracy)
            verdict["parameters"] = size
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
