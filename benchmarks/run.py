"""How fast nnlib is next to its peers, measured fairly (README.md has the rules).

    python benchmarks/run.py                     all workloads, about an hour
    python benchmarks/run.py W1 W4 --rounds 15 --threads 1
    python benchmarks/run.py --check             a few steps each: does everybody train the same?

Results go to benchmarks/results.json; `report.py` makes a table and a plot of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

# This process stays small and imports no library: a worker's peak of memory starts from its parent's.
from peers import PEERS, label
from report import table

HERE = Path(__file__).resolve().parent
ALL = ("W1", "W2", "W3", "W4", "W5", "W6", "W7")
LIBRARIES = ("numpy", "torch", "jax", "scikit-learn")
PAUSE = 0.3  # seconds between rounds: idle threads of the last peer still spin for a while
BASE = "torch"
SAME_LOSS = 1e-5  # relative, after a few equal batches in float32 or float64
LIKE_LOSS = {"sklearn": 1e-3}  # its Adam adds epsilon before the correction of the bias, not after
OTHER_SHIFTS = 0.2  # W5: who moves which image is drawn by each peer
BUSY = 0.75  # load before the run, per core asked for, that makes a measurement doubtful


class Worker:
    """A process with one peer, waiting for requests."""

    def __init__(self, name: str, key: str, threads: int, folder: Path) -> None:
        self.errors = open(folder / f"{name}-{key}.log", "w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), name, key, str(threads), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(threads),
        )
        self.hello = self.answer()

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)  # type: ignore[no-any-return]
        self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().strip().splitlines() or [f"exit code {self.process.returncode}"]
        return {"absent": f"failed: {words[-1]}"}

    def stop(self) -> None:
        self.process.communicate()  # closes its input, which ends it
        self.errors.close()


def environment(threads: int) -> dict[str, str]:
    """Every library gets the same number of threads, and finds nnlib and this folder."""
    limits = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    path = os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])
    return os.environ | dict.fromkeys(limits, str(threads)) | {"PYTHONPATH": path.rstrip(os.pathsep)}


def measure(name: str, keys: Sequence[str], rounds: int, threads: int, folder: Path) -> dict[str, Any]:
    """All peers on one workload: each round lets every peer train once, in random order."""
    workers = {key: Worker(name, key, threads, folder) for key in keys}
    found: dict[str, dict[str, Any]] = {key: dict(worker.hello) for key, worker in workers.items()}
    running = {key: worker for key, worker in workers.items() if "absent" not in worker.hello}
    brief = name in ("W5", "W6")  # too long to be thrown away: a few batches warm up as well
    try:
        for number in range(rounds + 1):
            for key in random.sample(sorted(running), len(running)):
                time.sleep(PAUSE)
                save = None if number == 0 else str(folder / f"{name}~{key}~{number}.npz")
                answer = running[key].ask(seed=number, save=save, small=brief and number == 0)
                if "absent" in answer:
                    found[key] = answer
                    del running[key]
                elif number == 0:
                    found[key] |= {} if brief else {"first": answer["seconds"]}
                else:
                    for what in ("seconds", "cpu", "others", "loss"):
                        found[key].setdefault(what, []).append(answer[what])
                    found[key]["memory"]["peak"] = answer["peak"]
            print(f"\r{name}: round {number} of {rounds}", end="", file=sys.stderr, flush=True)
    finally:
        for worker in workers.values():
            worker.stop()
        print(file=sys.stderr)
    verdict = judge(name, folder)
    for key, values in verdict["peers"].items():
        found[key] |= values
    return verdict | {"base": BASE, "peers": found}


def check(name: str, keys: Sequence[str], threads: int, folder: Path) -> int:
    """Train a few batches with every peer; return how many had other losses, or learned nothing."""
    workers = {key: Worker(name, key, threads, folder) for key in keys}
    found = {key: dict(worker.hello) for key, worker in workers.items()}
    for key, worker in workers.items():
        if "absent" not in worker.hello:
            found[key] = worker.ask(seed=1, small=True, save=str(folder / f"{name}~{key}~1.npz"))
        worker.stop()
    verdict = judge(name, folder)
    losses = {key: found[key]["loss"] for key in verdict["peers"]}
    tolerance = {key: OTHER_SHIFTS if verdict["random"] else LIKE_LOSS.get(key, SAME_LOSS) for key in keys}
    odd = disagreeing(losses, tolerance)
    for key in keys:
        if key not in losses:
            print(f"{name}  {label(key):<32}{found[key].get('absent', 'trains nothing')}")
            continue
        before, [after] = verdict["before"], verdict["peers"][key]["test_loss"]
        idle = after >= before
        complaint = "  DIFFERS" * (key in odd) + "  LEARNS NOTHING" * idle
        losing = f"loss of the steps {losses[key]:.6f}, test loss {before:.3f} -> {after:.3f}"
        print(f"{name}  {label(key):<32}{losing}{complaint}")
        odd |= {key} if idle else set()
    return len(odd)


def disagreeing(losses: Mapping[str, float], tolerance: Mapping[str, float]) -> set[str]:
    """Peers whose loss is further from the median of all than their tolerance, relatively."""
    middle = statistics.median(losses.values()) if losses else 0.0
    return {key for key, loss in losses.items() if not abs(loss - middle) <= tolerance[key] * abs(middle)}


def judge(name: str, folder: Path) -> dict[str, Any]:
    """Loss and accuracy of what every peer has trained, told by one judge."""
    command = [sys.executable, str(HERE / "judge.py"), name, str(folder)]
    done = subprocess.run(command, check=True, env=environment(1), stdout=subprocess.PIPE)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in LIBRARIES if (version := installed(name))},
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def keep(run: dict[str, Any], path: Path) -> None:
    """Put a run into the file, in place of an older one of the same workload and threads."""
    runs = json.loads(path.read_text("utf-8")) if path.exists() else []
    same = (run["workload"], run["threads"])
    runs = [other for other in runs if (other["workload"], other["threads"]) != same]
    runs = sorted([*runs, run], key=lambda run: (run["workload"], run["threads"]))
    path.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="W", help=f"some of {', '.join(ALL)}; default: all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N",
                        help="run W1 to W4 with each of these, W5 and W6 with the most")  # fmt: skip
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS), metavar="PEER")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    parser.add_argument("--check", action="store_true", help="compare losses after a few steps, time nothing")
    chosen = parser.parse_args()
    if unknown := set(chosen.workloads) - set(ALL):
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; choose from {', '.join(ALL)}")
    chosen.workloads = chosen.workloads or list(ALL)
    return chosen


def settings(workloads: Sequence[str], threads: Sequence[int]) -> list[tuple[str, int]]:
    """What is measured, with how many threads: W5 and W6 with the most, W7 with the browser's one."""
    fixed = {"W5": [max(threads)], "W6": [max(threads)], "W7": [1]}
    return [(name, number) for name in workloads for number in fixed.get(name, threads)]


def main() -> int:
    chosen = options()
    if load() > BUSY * max(chosen.threads):
        print(f"The load is {load():.1f}: other programs will disturb what is measured.", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = [sys.executable, "-c", "import sys, pathlib, workloads;"
                 "workloads.store(pathlib.Path(sys.argv[1]), sys.argv[2:])"]  # fmt: skip
        trained = [name for name in chosen.workloads if name != "W7"]
        subprocess.run([*store, name, *trained], check=True, env=environment(1))
        if chosen.check:
            return min(1, sum(check(name, chosen.peers, max(chosen.threads), folder) for name in trained))
        for workload, threads in settings(chosen.workloads, chosen.threads):
            setting = {"threads": threads, "rounds": chosen.rounds, "load": [load()], **machine()}
            date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            if workload == "W7":
                from browser import measure_pyodide

                measured = measure_pyodide(chosen.rounds)
            else:
                for weights in folder.glob("*.npz"):
                    weights.unlink()  # those of a run before
                measured = {workload: measure(workload, chosen.peers, chosen.rounds, threads, folder)}
            for part, found in measured.items():
                run = {"workload": part, "date": date, **setting, **found}
                run["load"] = [*setting["load"], load()]
                keep(run, chosen.out)
                print(f"\n{table(run)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
