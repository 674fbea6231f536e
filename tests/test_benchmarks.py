"""The benchmarks: their arithmetic, and that all peers train the same. Nothing here is timed."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import parts  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import workloads  # noqa: E402
from peers.limit import products  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

TRAINING = ("W1", "W2", "W3", "W4")
NOT_HERE = {"limit", "torch-compile"}  # trains nothing; needs a compiler and half a minute


def example(**changes):
    """A run as run.py writes it, with numbers that are easy to divide."""
    seconds = {"torch": [1.0, 2.0, 4.0], "nnlib": [0.5, 0.5, 3.0]}
    measured = {
        key: {
            "seconds": values,
            "cpu": [2 * value for value in values],
            "others": [0.0, 0.0, 0.55],
            "loss": [0.5] * 3,
            "accuracy": [0.9, 0.95, 0.97],
            "memory": {"data": 100.0, "peak": 150.0},
            "first": 7.0,
        }
        for key, values in seconds.items()
    }
    return {
        "date": "2026-01-02T03:04:05", "processor": "a processor", "cores": 2, "system": "Linux",
        "python": "3.11.7", "versions": {"numpy": "2.4.6", "torch": "2.13.0"},
        "workload": "W1", "title": "a title", "steps": 10, "rounds": 3, "threads": 2, "load": [0.1, 0.2],
        "base": "torch", "peers": {**measured, "jax": {"absent": "not installed"}}, **changes,
    }  # fmt: skip


# ---------------------------------------------------------------------------- the table


def test_a_ratio_divides_by_the_base_of_the_same_round():
    assert report.ratios(example(), "nnlib") == [0.5, 0.25, 0.75]
    assert report.ratios(example(), "torch") == [1, 1, 1]


def test_without_the_base_there_are_no_ratios_but_still_times():
    alone = example(base="limit")
    assert report.ratios(alone, "nnlib") is None
    assert report.ratios(alone, "jax") is None
    assert line(report.table(alone), "nnlib") == ["nnlib", "50 ms"]


def test_spread_is_smallest_quartiles_largest():
    assert report.spread([5, 1, 3, 2, 4]) == (1, 2, 3, 4, 5)
    assert report.spread([2.0]) == (2, 2, 2, 2, 2)


def test_the_table_shows_median_spread_time_a_step_and_what_proves_equal_work():
    text = report.table(example())
    name, ratio, quartiles, extremes, step = line(text, "nnlib")[:5]
    assert (name, ratio, quartiles) == ("nnlib", "0.500", "0.375 to 0.625")
    assert (extremes, step) == ("0.250 to 0.750", "50 ms")
    proof = line(text, "nnlib", which=1)
    assert proof == ["nnlib", "2.00", "50", "150", "0.5000", "95.00 %", "6.5 s"]


def test_a_race_to_an_accuracy_shows_the_whole_time_and_how_often_it_arrived():
    text = report.table(example(target=0.95))
    assert line(text, "nnlib")[4] == "500 ms"
    assert "2 of 3" in line(text, "nnlib", which=1)


def test_the_table_tells_how_much_other_programs_disturbed():
    assert "Other programs took 0.10 cores.\n" in report.table(example())
    loud = example()
    loud["peers"]["nnlib"]["others"] = [4, 4, 4]
    assert "Other programs took 1.14 cores. **Too much" in report.table(loud)
    loud["peers"]["nnlib"]["others"] = [None] * 3
    assert "Load 0.1 to 0.2.\n" in report.table(loud)


def test_the_fastest_stands_first():
    assert report.present(example()) == ["nnlib", "torch"]


def test_who_is_absent_is_listed_with_the_reason():
    assert "Absent: JAX, jit a step (not installed)." in report.table(example())


def test_the_summary_has_a_column_a_workload_and_a_row_a_peer_even_an_absent_one():
    text = report.summary([example(), example(workload="W2"), example(threads=1), example(workload="W5")])
    assert line(text, "2 threads") == ["2 threads", "W1", "W2"]
    assert line(text, "1 thread") == ["1 thread", "W1"]
    assert line(text, "nnlib", which=1) == ["nnlib", "**0.500**", "**0.500**"]
    assert line(text, "JAX, jit a step", which=1) == ["JAX, jit a step", "absent", "absent"]
    assert line(text, "*goal for nnlib*") == ["*goal for nnlib*", "*0.50*"]


def test_the_summary_says_what_was_measured_where_and_shows_each_part():
    arrived = example(workload="W5", target=0.95)
    in_pyodide = example(workload="W7 images", title="the MLP", base="torch", threads=1)
    text = report.summary([example(), example(threads=1), arrived, in_pyodide])
    assert "on 2026-01-02 on 2 cores of an a processor (Linux), with Python 3.11.7, numpy 2.4.6" in text
    assert line(text, "W5, nnlib") == ["W5, nnlib", "**0.500**", "500 ms", "95.00 %", "2 of 3"]
    assert line(text, "the MLP, nnlib") == ["the MLP, nnlib", "50 ms"]
    assert line(text, "MB") == ["MB", "W1"]
    assert line(text.split("<!-- memory -->")[1], "nnlib") == ["nnlib", "50"]


def test_the_summary_says_how_far_nnlib_is_from_its_matrix_products():
    run = example()
    run["peers"]["limit"] = run["peers"]["nnlib"] | {"seconds": [0.2, 0.25, 0.25]}
    text = report.summary([run, example(workload="W2", threads=1)]).split("<!-- limit -->")[1]
    head = "nnlib to its matrix products"
    assert line(text, head) == [head, "W1", "W2"]
    assert line(text, "2 threads") == ["2 threads", "2.50", "–"]
    assert line(text, "1 thread") == ["1 thread", "–", "absent"]
    assert line(text, "*goal*") == ["*goal*", "*2.00*", "*1.70*"]


def line(text, first, which=0):
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()]
    return [row for row in rows if row[0] == first][which]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_plot_is_drawn(tmp_path, ending):
    path = tmp_path / f"plot.{ending}"
    report.plot([example(), example(workload="W2"), example(base="limit")], path)
    assert path.stat().st_size > 1_000


# ---------------------------------------------------------------------------- the peers


@pytest.mark.parametrize("library", ["torch", "jax", "sklearn"])
def test_a_library_that_is_not_installed_makes_its_peers_absent(monkeypatch, library):
    for module in ("pytorch", "with_jax", "scikit"):
        monkeypatch.delitem(sys.modules, f"peers.{module}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(peers.Absent, match=rf"not installed \(.*{library}.*\)"):
        peers.load(library)


def few(name):
    """The first steps of a workload, and its data."""
    work = WORKLOADS[name]
    work = replace(work, rows=min(work.rows, 5 * work.batch), epochs=min(work.epochs, 20))
    X, y = workloads.data(work)
    return work, np.ascontiguousarray(X[: work.rows]), y[: work.rows]


@pytest.fixture(scope="module")
def trained():
    """name -> key -> (mean loss of the steps, weights) for all peers that are here."""
    found = {}
    for name in TRAINING:
        work, X, y = few(name)
        found[name] = {}
        for key in set(peers.PEERS) - NOT_HERE:
            try:
                peer = peers.load(key)(work, X.copy(), y)
            except peers.Absent:
                continue
            peer.start(workloads.first_weights(work, 0))
            found[name][key] = peer.train(work.orders(3), 3), peer.weights()
    return found


@pytest.mark.parametrize("name", TRAINING)
def test_all_peers_train_the_same(trained, name):
    losses = {key: loss for key, (loss, _) in trained[name].items()}
    tolerance = {key: run.LIKE_LOSS.get(key, run.SAME_LOSS) for key in losses}
    assert {"nnlib", "nnlib-loop", "naive"} <= set(losses)
    assert run.disagreeing(losses, tolerance) == set(), losses
    before = workloads.first_weights(WORKLOADS[name], 0)
    reference = trained[name]["naive"][1]
    for key, (_, weights) in trained[name].items():
        for first, theta, wanted in zip(before, weights, reference, strict=True):
            gap = np.abs(theta - wanted).mean() / np.abs(wanted - first).mean()
            assert gap < (0.05 if key in run.LIKE_LOSS else 1e-3), (key, theta.shape, gap)


@pytest.mark.parametrize("name", TRAINING)
def test_the_loss_of_every_peer_falls_and_all_have_the_same_number_of_parameters(trained, name):
    work, X, y = few(name)
    before, _, size = workloads.judged(work, workloads.first_weights(work, 0), X, y)
    for key, (_, weights) in trained[name].items():
        after, _, parameters = workloads.judged(work, weights, X, y)
        assert after < before, key
        assert parameters == size, key


def test_the_judge_refuses_weights_of_another_shape():
    work, X, y = few("W4")
    weights = workloads.first_weights(work, 0)
    with pytest.raises(ValueError, match=r"a peer must return weights of shape \(2, 4\), got \(4, 2\)"):
        workloads.judged(work, [weights[0].T, *weights[1:]], X, y)


def test_a_loss_that_differs_is_found():
    tolerance = dict.fromkeys("abc", 1e-5)
    assert run.disagreeing({"a": 1.0, "b": 1.000001, "c": 1.001}, tolerance) == {"c"}
    assert run.disagreeing({"a": 0.999, "b": 1.000001, "c": 1.0}, tolerance) == {"a"}
    assert run.disagreeing({"a": 1.0, "b": 1.0, "c": float("nan")}, tolerance) == {"c"}


@pytest.mark.parametrize("name", ["W5", "W6"])
def test_peers_that_cannot_do_a_workload_say_why(name):
    work = WORKLOADS[name]
    nothing = np.zeros((2, 1, 28, 28), np.float32), np.array([0, 1])
    for key in ("nnlib-loop", "naive", "limit"):
        with pytest.raises(peers.Absent, match=r"\w+ .*\w+"):
            peers.load(key)(work, *nothing)


def test_the_limit_has_the_products_of_the_step_and_none_for_the_data():
    work = WORKLOADS["W1"]
    operations = sum(2 * left.size * right.shape[1] for left, right, _ in products(work))
    weights = [784 * 128, 128 * 64, 64 * 10]
    assert operations == 2 * 64 * (3 * sum(weights) - weights[0])
    images = list(products(WORKLOADS["W3"]))
    assert [images[i][2].shape for i in (0, 2, 5)] == [(8, 26 * 26 * 64), (16, 11 * 11 * 64), (64, 10)]
    for left, right, out in images:
        assert (left.shape[0], right.shape[1]) == out.shape
        np.dot(left, right, out)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_epoch_has_every_row_once_in_an_order_of_its_own(name):
    work = replace(WORKLOADS[name], epochs=min(2, WORKLOADS[name].epochs))
    orders = work.orders(1)
    assert orders.shape == (work.epochs, work.rows)
    assert (np.sort(orders) == np.arange(work.rows)).all()
    assert np.array_equal(orders, work.orders(1))
    assert not np.array_equal(orders, work.orders(2)) or name == "W4"


# ---------------------------------------------------------------------------- the whole


def test_a_run_writes_results_and_prints_a_table(tmp_path):
    path = tmp_path / "results.json"
    command = [sys.executable, str(BENCHMARKS / "run.py"), "W4", "--rounds", "2", "--threads", "1"]
    done = subprocess.run(
        [*command, "--peers", "nnlib-loop", "naive", "limit", "--out", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    [result] = json.loads(path.read_text("utf-8"))
    assert (result["workload"], result["rounds"], result["threads"]) == ("W4", 2, 1)
    assert {"processor", "cores", "python", "versions", "date", "load"} <= set(result)
    for peer in result["peers"].values():
        assert len(peer["seconds"]) == len(peer["cpu"]) == 2
        assert peer["memory"]["imported"] <= peer["memory"]["data"] <= peer["memory"]["peak"]
    assert result["peers"]["naive"]["parameters"] == 17
    assert result["peers"]["naive"]["accuracy"] == [1, 1]
    assert "naive NumPy" in done.stdout


def test_short_workloads_run_with_each_number_of_threads_and_long_ones_with_the_most():
    assert run.settings(["W1", "W6", "W7"], [1, 2]) == [("W1", 1), ("W1", 2), ("W6", 2), ("W7", 1)]


def test_a_run_replaces_the_older_one_of_the_same_workload_and_threads(tmp_path):
    path = tmp_path / "results.json"
    for threads, date in ((2, "old"), (1, "other"), (2, "new")):
        run.keep({"workload": "W1", "threads": threads, "date": date}, path)
    kept = [(run["threads"], run["date"]) for run in json.loads(path.read_text("utf-8"))]
    assert kept == [(1, "other"), (2, "new")]


def test_a_peer_that_breaks_is_absent_with_its_last_words(tmp_path):
    worker = run.Worker("W4", "naive", 1, tmp_path)  # no data have been stored there
    assert worker.hello["absent"].startswith("failed: FileNotFoundError")
    worker.stop()


def test_without_pyodide_w7_is_absent(monkeypatch):
    import browser

    monkeypatch.setattr(browser, "pyodide_folder", lambda: None)
    monkeypatch.setattr(browser.shutil, "which", lambda name: "/usr/bin/node")
    for found in browser.measure_pyodide(9).values():
        assert all("make book" in peer["absent"] for peer in found["peers"].values())


def test_the_parts_of_a_step_are_those_of_fit_and_add_up():
    lines = parts.table("W4", 20).splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.count("|") > 3]
    assert {"a batch", "Linear forward", "Tanh forward", "loss", "Linear backward", "optimizer"} <= set(names)
    numbers = [float(line.split("|")[2].replace(",", "")) for line in lines[4:-1]]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.06 * len(numbers))


# ---------------------------------------------------------------------------- the page of the book

RESULTS = json.loads((BENCHMARKS / "results.json").read_text("utf-8"))
PARTS_SHOWN = (BENCHMARKS / "parts.md").read_text("utf-8")
TORCH = ("torch", "torch-fused", "torch-compile")


def result(workload, threads=1):
    return next(run for run in RESULTS if (run["workload"], run["threads"]) == (workload, threads))


def median(workload, key):
    return report.spread(report.ratios(result(workload), key))[2]


def shares(workload):
    """Part of a step -> its share with one thread, as the page shows it."""
    [rows] = re.findall(rf"\*\*{workload}: [^*]*1 thread\.\*\*\n\n(.*?)\n\n", PARTS_SHOWN, re.S)
    cells = [row.strip("|").split("|") for row in rows.splitlines()[2:]]
    return {part.strip(" *"): int(share.strip(" %")) for part, _, share in cells}


def test_the_tables_of_the_page_are_those_of_the_results():
    shown = (BENCHMARKS / "results.md").read_text("utf-8")
    tables = "\n".join(map(report.table, RESULTS))
    assert shown == f"{report.summary(RESULTS)}\n<!-- details -->\n\n{tables}\n"


def test_every_workload_was_measured_nine_times_and_every_peer_is_there_or_absent_for_a_reason():
    measured = [(run["workload"], run["threads"]) for run in RESULTS]
    assert measured == [
        *((name, threads) for name in ("W1", "W2", "W3", "W4") for threads in (1, 2)),
        ("W5", 2), ("W6", 2), ("W7 XOR", 1), ("W7 images", 1),
    ]  # fmt: skip
    for found in RESULTS:
        assert found["rounds"] >= 9
        if not found["workload"].startswith("W7"):
            assert set(found["peers"]) == set(peers.PEERS)
        for key, peer in found["peers"].items():
            measured = len(peer.get("seconds", ())) == found["rounds"]
            assert measured or "not installed" not in peer["absent"], key


def test_what_the_page_says_about_the_ratios():
    for name in ("W1", "W2", "W3", "W4"):
        assert all(median(name, "nnlib") < median(name, key) for key in TORCH), name
    for name in ("W1", "W2", "W4"):
        assert median(name, "nnlib") < median(name, "sklearn")
        assert median(name, "jax") < median(name, "nnlib")
    assert "sklearn" in report.absent(result("W3"))
    assert median("W3", "nnlib") < median("W3", "jax")
    assert 0.6 < median("W4", "naive") / median("W4", "nnlib") < 1.4
    assert [name for name, goal in report.GOALS.items() if median(name, "nnlib") <= goal] == ["W3"]


def test_what_the_page_says_about_the_limit():
    found = {name: report.ratios(result(name), "nnlib", "limit") for name in report.GOALS}
    distance = {name: report.spread(values)[2] for name, values in found.items()}
    assert [name for name, goal in report.LIMIT_GOALS.items() if distance[name] <= goal] == ["W2"]
    assert max(distance, key=distance.get) == "W4"


def test_what_the_page_says_about_the_parts_of_a_step():
    for name in ("W1", "W2"):
        parts_of = shares(name)
        whole, products = parts_of.pop("all of it"), parts_of.pop("matrix products alone")
        assert whole == 100
        others = {part: share for part, share in parts_of.items() if not part.startswith("Linear")}
        assert products > max(others.values())
        assert set(sorted(others, key=others.get)[-3:]) == {"optimizer", "a batch", "loss"}
        assert name == "W2" or others.pop("optimizer") > sum(others.values())
    assert shares("W3")["MaxPool2D backward"] > shares("W3")["MaxPool2D forward"]
    assert shares("W4")["matrix products alone"] < 10


def test_in_each_workload_nnlib_needs_less_memory_than_pytorch():
    for name in ("W1", "W2", "W3", "W4"):
        ours, theirs = (result(name)["peers"][key]["memory"] for key in ("nnlib", "torch"))
        assert ours["peak"] - ours["data"] < theirs["peak"] - theirs["data"]
