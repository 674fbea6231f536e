"""W7: how fast nnlib is in Pyodide, the Python of the browser, run by Node from the course's own files.

One process, no other library and one thread: nnlib and naive NumPy take turns. `run.py` calls
`measure_pyodide`; `rounds_in_pyodide` is what runs inside.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PARTS = {"W7 images": ("W1", {"rows": 3_200}), "W7 XOR": ("W4", {"epochs": 500})}
ABOUT = {
    "W7 images": {"title": "the MLP of W1 in Pyodide", "steps": 50, "images": 3_200},
    "W7 XOR": {"title": "XOR as in W4 in Pyodide", "steps": 500},
}
KEYS = ("nnlib", "nnlib-loop", "naive", "limit")
BASE = "naive"


def pyodide_folder() -> Path | None:
    """Where building the book has put Pyodide: NNLIB_PYODIDE, the user's cache, or the built book."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "nnlib")
    built = HERE.parent / "_build" / "html" / "_static" / "pyodide"
    folders = [Path(os.environ.get("NNLIB_PYODIDE", built)), *sorted(cache.glob("pyodide-*"))[::-1], built]
    return next((folder for folder in folders if (folder / "pyodide.mjs").exists()), None)


def measure_pyodide(rounds: int) -> dict[str, dict[str, Any]]:
    """One run for images and one for XOR; where Node or Pyodide are missing, their peers are absent."""
    node, folder = shutil.which("node"), pyodide_folder()
    if node is None or folder is None:
        reason = "Node is not installed" if node is None else "no Pyodide: run `make book` once"
        return {part: result(part, {key: {"absent": reason} for key in KEYS}) for part in PARTS}
    command = [node, str(HERE / "browser.mjs"), str(folder), str(HERE.parent), str(rounds)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    about = {key: answer[key] for key in ("python", "versions", "startup")}
    return {part: result(part, peers) | about for part, peers in answer["parts"].items()}


def result(part: str, peers: dict[str, Any]) -> dict[str, Any]:
    return {**ABOUT[part], "threads": 1, "base": BASE, "peers": peers}


def rounds_in_pyodide(rounds: int, keys: Sequence[str] = KEYS) -> str:
    import sys

    from peers import load
    from worker import trained
    from workloads import WORKLOADS, data, judged, np

    parts: dict[str, dict[str, Any]] = {}
    for part, (name, change) in PARTS.items():
        work = replace(WORKLOADS[name], **change)
        X, y = data(work)
        X_test, y_test = (half[:2_000] for half in data(work, "test"))
        peers = {key: load(key)(work, X[: work.rows], y[: work.rows]) for key in keys}
        found: dict[str, Any] = {key: {"seconds": [], "cpu": [], "loss": []} for key in keys}
        for number in range(rounds + 1):
            for key in random.sample(list(peers), len(peers)):
                answer = trained(peers[key], work, number)
                if number == 0:
                    found[key]["first"] = answer["seconds"]
                    continue
                for what, values in found[key].items():
                    if isinstance(values, list):
                        values.append(answer[what])
        for key, peer in peers.items():
            if weights := peer.weights():
                loss, accuracy, size = judged(work, weights, X_test, y_test)
                found[key] |= {"test_loss": [loss], "accuracy": [accuracy], "parameters": size}
        parts[part] = found
    versions = {"numpy": np.__version__}
    return json.dumps({"parts": parts, "python": sys.version.split()[0], "versions": versions})
