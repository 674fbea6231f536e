"""Turn results.json into Markdown tables and a plot.

    python benchmarks/report.py                          prints the tables
    python benchmarks/report.py --plot benchmarks.svg    draws as well (needs Matplotlib)

A ratio is the time of a peer divided by the time of the base in the same round; below 1 is faster.
The tables give its median over the rounds, the quartiles, and the smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from peers import PEERS, label  # noqa: E402

# ratios of nnlib to PyTorch eager that the project aims at
GOALS = {"W1": 0.5, "W2": 0.6, "W3": 0.7, "W4": 0.1}
LIMIT_GOALS = {"W1": 2.0, "W2": 1.7}  # and ratios to its matrix products alone
DISTURBED = 0.15  # cores in use by other programs that make a measurement worthless

Run = dict[str, Any]  # one workload, as run.py writes it


def ratios(run: Run, key: str, base: str = "") -> list[float] | None:
    """Time over the base's time, round by round; None where one of the two is absent."""
    mine, other = (run["peers"].get(name, {}).get("seconds") for name in (key, base or run["base"]))
    return [a / b for a, b in zip(mine, other, strict=True)] if mine and other else None


def spread(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Smallest, first quartile, median, third quartile, largest."""
    quartiles = [values[0]] * 3 if len(values) == 1 else statistics.quantiles(values, n=4, method="inclusive")
    return (min(values), *quartiles, max(values))  # type: ignore[return-value]


def present(run: Run) -> list[str]:
    """Peers that were measured, fastest first."""
    measured = [key for key, peer in run["peers"].items() if "seconds" in peer]
    return sorted(
        measured, key=lambda key: statistics.median(ratios(run, key) or run["peers"][key]["seconds"])
    )


def absent(run: Run) -> dict[str, str]:
    return {key: peer["absent"] for key, peer in run["peers"].items() if "absent" in peer}


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def speed_row(run: Run, key: str) -> list[str]:
    found, values = ratios(run, key), run["peers"][key]["seconds"]
    median = statistics.median(values)
    cells = ["–"] * 3
    if found:
        low, first, middle, third, high = spread(found)
        cells = [f"{middle:.3f}", f"{first:.3f} to {third:.3f}", f"{low:.3f} to {high:.3f}"]
    each = duration(median if run.get("target") else median / run["steps"])
    images = f"{run['images'] / median:,.0f}" if run.get("images") else "–"
    return [label(key), *cells, each, images]


def proof_row(run: Run, key: str) -> list[str]:
    """What shows that a peer did the same work, within the same limits."""
    peer = run["peers"][key]
    busy = statistics.median(c / s for c, s in zip(peer["cpu"], peer["seconds"], strict=True))
    memory, loss, accuracy = peer.get("memory", {}), peer["loss"], peer.get("accuracy")
    return [
        label(key),
        f"{busy:.2f}" if busy else "–",  # Pyodide has no clock for it
        beyond(memory) or "–",
        f"{memory['peak']:.0f}" if memory.get("peak") else "–",
        f"{statistics.mean(loss):.4f}" if None not in loss else "–",
        f"{100 * statistics.median(accuracy):.2f} %" if accuracy else "–",
        reached(run, accuracy) if accuracy else "–",
        duration(max(0.0, peer["first"] - statistics.median(peer["seconds"]))) if "first" in peer else "–",
    ]


def beyond(memory: dict[str, float]) -> str:
    """Megabytes at the peak beyond those with the data loaded; nothing where they were not measured."""
    return f"{memory['peak'] - memory['data']:.0f}" if memory.get("peak") else ""


def disturbance(run: Run) -> str:
    """How many cores other programs kept busy while peers were timed."""
    measured = [run["peers"][key] for key in present(run)]
    others = [value for peer in measured for value in peer.get("others", [None])]
    if None in others or not others:  # Pyodide, macOS and Windows do not tell
        return " Load {:.1f} to {:.1f}.".format(*run["load"])
    cores = max(0.0, sum(others) / sum(value for peer in measured for value in peer["seconds"]))
    doubt = " **Too much: threads that wait for each other lose most; measure again.**"
    return f" Other programs took {cores:.2f} cores." + doubt * (cores > DISTURBED)


def reached(run: Run, accuracy: Sequence[float]) -> str:
    target = run.get("target")
    return f"{sum(a >= target for a in accuracy)} of {len(accuracy)}" if target else "–"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown that is readable as text too; columns of "–" only are left out."""
    rows = list(rows)
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] != "–" for row in rows)]
    lines = [[line[i] for i in kept] for line in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, rule)
    return "\n".join(
        "| " + " | ".join(f"{cell:{'<' if i == 0 else '>'}{widths[i]}}" for i, cell in enumerate(line)) + " |"
        for line in lines
    )


def heading(run: Run) -> str:
    return f"{run['workload']}: {run['title']}, {in_words(run['threads'])}"


def in_words(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def table(run: Run) -> str:
    """Heading, ratios, proof, and who is absent and why."""
    keys = present(run)
    unit = "the whole" if run.get("target") else "a step"
    alone = run["base"] not in keys
    ratio = f"no ratios, as {label(run['base'])} is absent" if alone else f"ratio to {label(run['base'])}"
    parts = [
        f"**{heading(run)}.** {run['rounds']} rounds, {ratio}."
        + disturbance(run)
        + (f" Pyodide started in {duration(run['startup'])}." if "startup" in run else ""),
        markdown(
            ["", "ratio", "quartiles", "smallest to largest", unit, "images/s"],
            [speed_row(run, key) for key in keys],
        ),
        markdown(
            ["", "CPU/wall", "memory, MB", "in all, MB", "loss", "accuracy", "reached", "first round, more"],
            [proof_row(run, key) for key in keys],
        ),
    ]
    if gone := absent(run):
        parts.append("Absent: " + "; ".join(f"{label(key)} ({why})" for key, why in gone.items()) + ".")
    return "\n\n".join(parts) + "\n"


def summary(runs: Sequence[Run]) -> str:
    """What the book shows, part by part; a comment before each says where it begins."""
    parts = {
        "machine": machine(runs[0]) if runs else "",
        "ratios": ratio_tables(runs),
        "limit": limits(runs),
        "arrivals": arrivals(runs),
        "browser": browser(runs),
        "memory": memory(runs),
    }
    return "\n\n".join(f"<!-- {name} -->\n\n{part}" for name, part in parts.items()) + "\n"


def machine(run: Run) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return (
        f"Measured on {run['date'][:10]} on {run['cores']} cores of an {run['processor']} ({run['system']}), "
        f"with Python {run['python']}, {versions}; {run['rounds']} rounds."
    )


def ratio_tables(runs: Sequence[Run]) -> str:
    """Median ratios of all peers, a column a workload, a table for each number of threads."""
    parts = []
    for threads in sorted({run["threads"] for run in runs}):
        columns = [run for run in runs if run["threads"] == threads and run["workload"] in GOALS]
        if not columns:
            continue
        head = [in_words(threads), *(run["workload"] for run in columns)]
        rows = [[label(key), *(short(run, key) for run in columns)] for key in PEERS]
        goal = ["*goal for nnlib*", *(f"*{GOALS[run['workload']]:.2f}*" for run in columns)]
        parts.append(markdown(head, [*rows, goal]))
    return "\n\n".join(parts)


def limits(runs: Sequence[Run]) -> str:
    """How many times as long as its matrix products alone a step of nnlib takes."""
    found: dict[int, dict[str, str]] = {}
    for run in (run for run in runs if run["workload"] in GOALS):
        values = ratios(run, "nnlib", base="limit")
        shown = f"{statistics.median(values):.2f}" if values else "absent"
        found.setdefault(run["threads"], {})[run["workload"]] = shown
    rows = [
        [in_words(threads), *(found[threads].get(name, "–") for name in GOALS)] for threads in sorted(found)
    ]
    goal = ["*goal*", *(f"*{LIMIT_GOALS[name]:.2f}*" if name in LIMIT_GOALS else "–" for name in GOALS)]
    return markdown(["nnlib to its matrix products", *GOALS], [*rows, goal])


def arrivals(runs: Sequence[Run]) -> str:
    """W5 and W6: the time that a whole training took, and how often it reached its accuracy."""
    rows = []
    for run in (run for run in runs if run.get("target")):
        for key in present(run):
            time, (accuracy, reached_in) = speed_row(run, key)[4], proof_row(run, key)[5:7]
            rows.append([f"{run['workload']}, {label(key)}", short(run, key), time, accuracy, reached_in])
    return markdown(["", "ratio", "time", "accuracy", "reached"], rows)


def browser(runs: Sequence[Run]) -> str:
    """W7: what a step takes in Pyodide, and how many images a second that makes."""
    rows = []
    for run in (run for run in runs if run["workload"].startswith("W7")):
        for key in present(run):
            row = speed_row(run, key)
            rows.append([f"{run['title']}, {row[0]}", row[-2], row[-1]])
    return markdown(["", "a step", "images/s"], rows)


def memory(runs: Sequence[Run]) -> str:
    """Megabytes at the peak beyond what there was when the data were loaded, with one thread."""
    columns = [run for run in runs if run["workload"] in GOALS and run["threads"] == 1]
    found = {key: [run["peers"].get(key, {}).get("memory", {}) for run in columns] for key in PEERS}
    rows = [[label(key), *(beyond(memory) or "absent" for memory in found[key])] for key in PEERS]
    return markdown(["MB", *(run["workload"] for run in columns)], rows)


def short(run: Run, key: str) -> str:
    found = ratios(run, key)
    median = f"{statistics.median(found):.3f}" if found else "absent"
    return f"**{median}**" if key == "nnlib" else median


def plot(runs: Sequence[Run], path: Path) -> None:
    """A panel a workload: median as a mark, quartiles as a thick line, all rounds as a thin one.

    Marks are filled for the smallest number of threads and hollow for more.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from nnlib import plotting

    plotting.use_style()
    runs = [run for run in runs if any(ratios(run, key) for key in present(run))]
    panels = {run["workload"]: [r for r in runs if r["workload"] == run["workload"]] for run in runs}
    heights = [len(present(group[0])) for group in panels.values()]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(6.5, 0.3 * sum(heights) + len(panels)),
        squeeze=False,
        layout="constrained",
        height_ratios=heights,
    )
    for ax, group in zip(axes[:, 0], panels.values(), strict=True):
        keys = present(group[0])[::-1]
        drawn = [ratio for run in group for key in keys for ratio in ratios(run, key) or []]
        for more, run in enumerate(group):
            for row, key in enumerate(keys):
                if not (found := ratios(run, key)):
                    continue
                low, first, middle, third, high = spread(found)
                y = row + (len(group) - 1) * (0.18 - 0.36 * more)
                mine = key.startswith("nnlib")
                colour = plotting.COLOURS[1] if mine else plotting.COLOURS[0]
                fill = "white" if more else colour
                ax.plot([low, high], [y, y], "-", color=colour, lw=1)
                ax.plot([first, third], [y, y], "-", color=colour, lw=3)
                ax.plot(middle, y, "s" if mine else "o", color=colour, ms=5.5, markerfacecolor=fill)
                ax.annotate(
                    f"{middle:.2g}", (high, y), (6, 0), textcoords="offset points", va="center", size=8
                )
        ax.axvline(1, color="black", lw=1)
        ax.set(
            xscale="log", yticks=range(len(keys)), yticklabels=map(label, keys), ylim=(-0.6, len(keys) - 0.4)
        )
        ax.set_title(f"{group[0]['workload']}: {group[0]['title']}", loc="left", fontsize=10)
        wide = max(drawn) > 30 * min(drawn)
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.12)
        ax.grid(visible=False, axis="y")
    bases = " or ".join(dict.fromkeys(label(run["base"]) for run in runs))
    axes[-1, 0].set_xlabel(f"time, {bases} = 1 (left is faster)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="?", type=Path, default=HERE / "results.json")
    parser.add_argument("--plot", type=Path, help="picture to write; its ending chooses SVG or PNG")
    options = parser.parse_args()
    if not options.results.exists():
        parser.error(f"there is no {options.results} yet: run benchmarks/run.py first")
    runs = json.loads(options.results.read_text("utf-8"))
    print(f"{summary(runs)}\n<!-- details -->\n")
    print("\n".join(map(table, runs)))
    if options.plot:
        plot(runs, options.plot)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
