"""The command line does what its help says, and says what went wrong in one line."""

import contextlib
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nnlib
from nnlib import cli, data, experiments, layers, optimizers
from nnlib.cli import main

ROOT = Path(nnlib.__file__).resolve().parents[1]
LARGE = ROOT / "data" / "large_dataset.csv"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """Run a command; its exit status, standard output and standard error."""

    def run(command):
        try:
            status = main(command.split())
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def files(folder="."):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def without_seconds(text):
    return re.sub(r"[\d.]+ seconds", "", text)


def interrupt_after(monkeypatch, optimizer, steps):
    """Ctrl-C during that update."""
    right, made = optimizer.step, 0

    def step(self, params, grads):
        nonlocal made
        made += 1
        if made > steps:
            raise KeyboardInterrupt
        right(self, params, grads)

    monkeypatch.setattr(optimizer, "step", step)


# --- help


def test_version(run):
    assert run("--version") == (0, f"nnlib {nnlib.__version__}\n", "")


def test_help_describes_every_command_and_gives_examples_that_are_understood(run):
    status, out, _ = run("--help")
    assert status == 0
    for command in ("train", "mnist", "xor", "compare", "check"):
        assert re.search(rf"^    {command} .*\n( {{14}}.*\n)+", out, re.MULTILINE), command
    examples = re.findall(r"^  nnlib (.+)$", out, re.MULTILINE)
    assert len(examples) >= 5
    for example in examples:
        cli._parser().parse_args(example.split())
    assert "98.42 %" in out


@pytest.mark.parametrize("command", ["train", "mnist", "xor", "compare", "check"])
def test_help_of_a_command_shows_the_defaults(run, command):
    status, out, _ = run(f"{command} --help")
    assert status == 0
    text = " ".join(out.split())
    assert re.search(r"--seed SEED .* \(default: \d+\)", text)
    assert "None" not in text
    assert "False" not in text
    assert "==" not in text


def test_train_has_the_flags_and_defaults_of_the_earlier_project():
    command = (
        "train --data-path data/basic_dataset.csv --hidden-size 5 --learning-rate 0.01 --epochs 5000 "
        "--test-size 0.2 --seed 42"
    )
    assert cli._parser().parse_args(command.split()) == cli._parser().parse_args(["train"])


# --- train


@pytest.mark.parametrize(("path", "least"), [("", 100.0), (f"--data-path {LARGE}", 97.0)])
def test_train_learns_both_files_with_its_defaults(run, path, least):
    status, out, err = run(f"train {path}")
    assert (status, err) == (0, "")
    for name in ("train", "test"):
        loss, right = re.search(rf"^{name} +loss ([\d.]+), accuracy ([\d.]+) %$", out, re.MULTILINE).groups()
        assert float(right) >= least
        assert float(loss) < 0.12
    assert "5000 of 5000 epochs" in out
    assert "2-5-1 network" in out
    assert re.search(r"total +21$", out, re.MULTILINE)


def test_train_reports_shape_and_split(run):
    _, out, _ = run("train --epochs 1")
    assert "12 rows, 2 features, 6 of class 0 and 6 of class 1" in out
    assert "9 rows to train on, 3 to test on, seed 42" in out
    assert "standard deviation 1, as measured on the rows to train on" in out


def test_train_finds_the_default_file_from_everywhere_but_prefers_the_one_here(run):
    _, out, _ = run("train --epochs 1")
    assert str(ROOT / "data" / "basic_dataset.csv") in out
    Path("data").mkdir()
    Path("data/basic_dataset.csv").write_text("1,0\n2,0\n3,1\n4,1\n")
    _, out, _ = run("train --epochs 1")
    assert "data/basic_dataset.csv: 4 rows, 1 features" in out


def test_train_same_seed_same_output_and_another_seed_another(run):
    first, again, other = (without_seconds(run(f"train --epochs 50 --seed {seed}")[1]) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_train_with_mini_batches_makes_more_updates(run):
    _, out, _ = run("train --epochs 10 --batch-size 4")
    assert "batches of 4" in out
    assert "10 of 10 epochs, 30 updates" in out


def test_saved_network_takes_features_as_they_are_and_gives_probabilities(run):
    status, out, _ = run(
        f"train --data-path {LARGE} --epochs 1500 --learning-rate 0.1 --save deep/er/net.npz"
    )
    assert status == 0
    assert "deep/er/net.npz" in out
    X, y = data.load_csv(LARGE)
    P = nnlib.Sequential.load("deep/er/net.npz").predict(X)
    assert P.min() >= 0
    assert P.max() <= 1
    assert nnlib.accuracy(P, y) > 0.97


def test_quiet_prints_the_result_and_nothing_else(run):
    status, out, err = run("train --epochs 20 --quiet --save net.npz --plot curve.png")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["train", "test"]
    assert err == ""
    assert files() == ["curve.png", "net.npz"]


def test_plot_is_a_figure_of_the_kind_that_its_name_says(run):
    for name, magic in {"a.png": b"\x89PNG", "b.pdf": b"%PDF", "c.SVG": b"<?xml"}.items():
        assert run(f"train --epochs 5 --plot {name}")[0] == 0
        assert Path(name).read_bytes().startswith(magic)


def test_plot_works_for_more_than_two_features(run):
    Path("three.csv").write_text("1,2,3,0\n2,1,5,1\n3,3,3,0\n4,1,1,1\n5,5,2,0\n")
    assert run("train --data-path three.csv --epochs 3 --plot three.png")[0] == 0
    assert files() == ["three.csv", "three.png"]


def test_a_loss_that_rose_is_not_passed_over(run):
    status, out, _ = run(f"train --data-path {LARGE} --learning-rate 100 --epochs 200")
    assert status == 0
    assert re.search(r"note +the loss rose from 0\.\d+ to .*learning rate is probably too large", out)


# --- what goes wrong

BAD = {
    "": (2, "required: COMMAND"),
    "fly": (2, "invalid choice: 'fly'"),
    "train --hidden-size 0": (2, "--hidden-size: expected a whole number >= 1, got '0'"),
    "train --hidden-size many": (2, "whole number >= 1, got 'many'"),
    "train --learning-rate -1": (2, "finite number above 0, got '-1'"),
    "train --learning-rate 0": (2, "finite number above 0"),
    "train --learning-rate nan": (2, "finite number above 0"),
    "train --learning-rate inf": (2, "finite number above 0"),
    "train --learning-rate fast": (2, "finite number above 0, got 'fast'"),
    "train --test-size 1.5": (2, "between 0 and 1, both excluded, got '1.5'"),
    "train --epochs 0": (2, "whole number >= 1, got '0'"),
    "train --epochs 2.5": (2, "whole number >= 1, got '2.5'"),
    "train --seed -1": (2, "whole number >= 0, got '-1'"),
    "train --batch 3": (2, "unrecognized arguments: --batch 3"),
    "train --data-path none.csv": (1, "none.csv does not exist"),
    "train --data-path .": (1, "is a folder"),
    "train --data-path bad.csv": (1, "bad.csv, line 2, column 1: expected a number, got 'x'"),
    "train --data-path small.csv": (1, "every part of a split needs a row"),
    f"train --data-path {LARGE} --learning-rate 1e6": (1, r"epoch \d+, batch 1 .* learning rate 1e\+06"),
    f"train --data-path {LARGE} --learning-rate 1e300 --epochs 1": (1, "inf|nan"),
    "train --save .": (1, "cannot write .: it is a folder"),
    "train --save bad.csv/net.npz": (1, "bad.csv is not a folder"),
    "train --plot bad.csv/deep/net.png": (1, "bad.csv is not a folder"),
    "train --plot curve.doc": (1, "must end in one of .*png"),
    "train --plot curve": (1, "must end in one of .*png"),
    "mnist --recipe perfect": (2, "invalid choice: 'perfect'"),
    "mnist --hidden-sizes 256,": (2, "such as 4,4, got '256,'"),
    "xor --hidden-sizes 4,0": (2, "such as 4,4, got '4,0'"),
    "xor --activation swish": (2, "invalid choice: 'swish'"),
    "xor --seeds 0": (2, "whole number >= 1, got '0'"),
    "compare everything": (2, "invalid choice: 'everything'"),
    "compare": (2, "required: factor"),
    "compare activation --output runs.doc": (1, "must end in one of .*png"),
}


@pytest.mark.parametrize("command", BAD)
def test_bad_input_gets_one_line_and_leaves_no_file(run, command):
    Path("bad.csv").write_text("1,0\nx,1\n")
    Path("small.csv").write_text("1,0\n2,1\n")
    if "small" in command:
        command += " --test-size 0.9"
    status, message = BAD[command.removesuffix(" --test-size 0.9")]
    got, _, err = run(f"{command}")
    assert got == status
    program = " ".join(["nnlib", *(word for word in command.split()[:1] if word != "fly")])
    assert err.startswith(f"{program}: error: ")
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert files() == ["bad.csv", "small.csv"]


def test_a_loss_that_overflowed_in_the_last_update_is_not_reported_as_a_result(run):
    command = f"train --data-path {LARGE} --learning-rate 1e6 --save net.npz --epochs "
    last = next(epochs for epochs in range(40, 10, -1) if "epoch" not in run(command + str(epochs))[2])
    status, out, err = run(command + str(last))
    assert status == 1
    assert "after training" in err
    assert "accuracy" not in out
    assert files() == []


def test_a_folder_without_write_permission_is_noticed_before_training(run, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    status, out, err = run("train --save net.npz")
    assert (status, out) == (1, "")
    assert "is not a folder that can be written to" in err


def test_mnist_without_its_files_says_where_they_were_looked_for(run, monkeypatch):
    monkeypatch.setattr(data, "MNIST_FILES", {"train": ("no-images.gz", "no-labels.gz")})
    status, _, err = run("mnist")
    assert status == 1
    assert err.startswith("nnlib mnist: error: MNIST is in none of these folders: ")
    assert err.count("\n") == 1


def test_figures_need_matplotlib_and_say_so_before_training(run, monkeypatch):
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    for command in ("train --plot a.png", "compare activation"):
        status, out, err = run(command)
        assert (status, out) == (1, "")
        assert "python -m pip install matplotlib" in err


def test_running_out_of_memory_is_one_line(run, monkeypatch):
    monkeypatch.setattr(data, "load_csv", lambda path: (_ for _ in ()).throw(MemoryError))
    assert run("train") == (1, "", "nnlib train: error: out of memory\n")


def test_a_figure_that_fails_half_way_leaves_the_old_one(run, monkeypatch):
    from matplotlib.figure import Figure

    def savefig(self, path, **settings):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    Path("curve.png").write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", savefig)
    status, _, err = run("train --epochs 2 --plot curve.png")
    assert (status, err) == (1, "nnlib train: error: disk full\n")
    assert files() == ["curve.png"]
    assert Path("curve.png").read_bytes() == b"old"


def test_a_reader_that_goes_away_ends_the_command_quietly(monkeypatch, capfd):
    def gone(args, text=""):
        raise BrokenPipeError

    replaced = []
    monkeypatch.setattr(cli, "_say", gone)
    monkeypatch.setattr(os, "dup2", lambda new, old: replaced.append((new, old)))
    assert main(["check"]) == 141
    ((null, _),) = replaced
    os.close(null)
    assert capfd.readouterr() == ("", "")


# --- Ctrl-C


def test_ctrl_c_keeps_what_was_done(run, monkeypatch):
    interrupt_after(monkeypatch, optimizers.SGD, 30)
    status, out, err = run("train --save net.npz --plot curve.png")
    assert (status, err) == (130, "")
    assert "30 of 5000 epochs, 30 updates" in out
    assert "interrupted in epoch 31 of 5000" in out
    assert re.search(r"^test +loss", out, re.MULTILINE)
    assert files() == ["curve.png", "net.npz"]


def test_ctrl_c_in_the_first_epoch_still_gives_a_network_and_a_figure(run, monkeypatch):
    interrupt_after(monkeypatch, optimizers.SGD, 0)
    status, out, _ = run("train --save net.npz --plot curve.png")
    assert status == 130
    assert "0 of 5000 epochs, 0 updates" in out
    assert files() == ["curve.png", "net.npz"]


def test_ctrl_c_outside_of_training_is_one_line(run, monkeypatch):
    monkeypatch.setattr(data, "load_csv", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("train") == (130, "", "nnlib train: error: interrupted\n")


def test_ctrl_c_ends_counting_seeds_with_the_count_until_then(run, monkeypatch):
    interrupt_after(monkeypatch, optimizers.SGD, 5000 + 100)
    status, out, _ = run("xor --seeds 7")
    assert status == 130
    assert "interrupted after 1 of 7 seeds" in out
    assert "XOR solved with 1 of 1 seeds" in out


def test_ctrl_c_with_the_first_seed_counts_nothing(run, monkeypatch):
    interrupt_after(monkeypatch, optimizers.SGD, 100)
    status, out, _ = run("xor --seeds 7")
    assert status == 130
    assert "solved" not in out


def test_ctrl_c_ends_a_comparison_with_the_runs_until_then(run, monkeypatch):
    interrupt_after(monkeypatch, optimizers.SGD, 75)
    status, out, _ = run("compare activation --epochs 20 --seeds 2")
    assert status == 130
    assert "interrupted after 3 of 12 runs" in out
    assert "tanh" in out
    assert "XOR " not in out
    assert files() == ["runs/compare-activation.png"]


def test_ctrl_c_in_the_first_run_of_a_comparison_leaves_no_figure(run, monkeypatch):
    interrupt_after(monkeypatch, optimizers.SGD, 3)
    status, out, _ = run("compare activation --epochs 20")
    assert status == 130
    assert "interrupted after 0 of 120 runs" in out
    assert files() == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_real_ctrl_c_ends_a_real_process_with_status_130(tmp_path):
    command = [sys.executable, "-m", "nnlib", "train", "--epochs", "100000000", "--save", "net.npz"]
    process = subprocess.Popen(
        [*command, "--plot", "curve.png"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # also where tests run in background
    )
    out = ""
    with contextlib.closing(process.stdout):
        while not out.endswith("in each update\n"):  # the last line before training
            line = process.stdout.readline()
            assert line
            out += line
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""
    assert re.search(r"interrupted in epoch \d+ of 100000000", rest)
    assert re.search(r"^test +loss", rest, re.MULTILINE)
    assert files(tmp_path) == ["curve.png", "net.npz"]
    nnlib.Sequential.load(tmp_path / "net.npz")


def test_the_module_runs_as_a_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nnlib", "xor", "--quiet"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("nnlib", run_name="__main__")
    assert stop.value.code == 0
    assert "XOR solved" in capsys.readouterr().out


# --- progress


def test_progress_is_shown_in_a_terminal_only(run, monkeypatch):
    pytest.importorskip("tqdm")
    commands = ("train --epochs 30", "xor --seeds 2 --epochs 30", "compare activation --epochs 2 --seeds 1")
    for command in commands:
        assert run(command)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for command in commands:
        assert "%|" in run(command)[2]
        assert "%|" not in run(f"{command} --quiet")[2]
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    status, _, err = run("train --epochs 30")
    assert (status, err) == (0, "")


def test_lines_are_printed_whether_tqdm_is_loaded_or_not(run, monkeypatch):
    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    plain = run("xor")[1]
    pytest.importorskip("tqdm")
    assert without_seconds(run("xor")[1]) == without_seconds(plain)


# --- MNIST


def fake_mnist(split):
    rng = np.random.default_rng(split == "test")
    y = rng.integers(0, 10, 400)
    X = np.zeros((400, 28, 28), dtype=np.float32)
    X[np.arange(400), 4 + 2 * y, 4:24] = 1
    return X.reshape(400, -1), y


@pytest.fixture
def small_mnist(monkeypatch):
    monkeypatch.setattr(data, "mnist", fake_mnist)


@pytest.mark.usefixtures("small_mnist")
def test_mnist_prints_a_line_for_each_epoch_and_the_test_accuracy(run):
    status, out, err = run("mnist --save net.npz --plot digits.png")
    assert (status, err) == (0, "")
    assert "784-256-128-10 network, Adam, learning rate 0.004, batches of 128, one cycle, images moved" in out
    line = r"^epoch +(\d) of 5: train loss [\d.]+, test accuracy [\d.]+ %, [\d.]+ seconds$"
    assert re.findall(line, out, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    assert re.search(r"^test +accuracy [\d.]+ %: \d+ of 400 images$", out, re.MULTILINE)
    assert re.search(r"^mistakes +(\d read as \d|none)", out, re.MULTILINE)
    assert files() == ["digits.png", "net.npz"]
    X, y = fake_mnist("test")
    P = nnlib.Sequential.load("net.npz").predict(X)
    assert re.search(rf"{round(400 * nnlib.accuracy(P, y))} of 400 images", out)


@pytest.mark.usefixtures("small_mnist")
def test_mnist_baseline_is_the_network_of_the_earlier_project(run):
    _, out, _ = run("mnist --recipe baseline")
    assert "784-128-64-10 network, Adam, learning rate 0.001, batches of 64\n" in out
    assert out.count("Sigmoid") == 2
    assert "10 of 10 epochs, 70 updates" in out


@pytest.mark.usefixtures("small_mnist")
def test_mnist_options_change_the_recipe(run):
    options = "--hidden-sizes 32 --epochs 2 --batch-size 50 --learning-rate 0.01 --seed 3"
    _, out, _ = run(f"mnist {options}")
    assert "784-32-10 network, Adam, learning rate 0.01, batches of 50, one cycle" in out
    assert "2 of 2 epochs, 16 updates" in out
    assert without_seconds(out) == without_seconds(run(f"mnist {options}")[1])


@pytest.mark.usefixtures("small_mnist")
def test_mnist_keeps_what_was_done_after_ctrl_c(run, monkeypatch):
    interrupt_after(monkeypatch, optimizers.Adam, 1)
    status, out, _ = run("mnist --save net.npz --plot digits.png")
    assert status == 130
    assert "interrupted in epoch 1 of 5" in out
    assert "of 400 images" in out
    assert files() == ["digits.png", "net.npz"]


def test_worst_mistakes_are_those_that_happened_most():
    matrix = np.array([[9, 2, 0], [5, 9, 0], [0, 1, 9]])
    assert cli._worst(matrix) == "1 read as 0 (5 times), 0 read as 1 (2 times), 2 read as 1 (1 times)"
    assert cli._worst(matrix, 1) == "1 read as 0 (5 times)"
    assert cli._worst(np.eye(3, dtype=int)) == "none"


@pytest.mark.slow
def test_mnist_passes_98_42_percent_with_its_defaults(run):
    _, out, _ = run("mnist --quiet")
    assert float(re.search(r"accuracy ([\d.]+) %: \d+ of 10000", out)[1]) >= 98.42


# --- XOR


@pytest.mark.parametrize(
    "options",
    ["", "--hidden-sizes 4,4", "--loss bce", "--hidden-sizes 3 --activation tanh", "--seed 1 --epochs 6000"],
)
def test_xor_is_solved(run, options):
    status, out, _ = run(f"xor {options}")
    assert status == 0
    assert "XOR solved" in out
    outputs = [float(value) for value in re.findall(r"the network says ([\d.]+)", out)]
    assert [round(value) for value in outputs] == [0, 1, 1, 0]


def test_xor_not_solved_is_said_and_is_no_error(run):
    status, out, err = run("xor --epochs 1")
    assert (status, err) == (0, "")
    assert re.search(r"XOR not solved: [1-4] of 4 outputs on the wrong side of 0\.5", out)


def test_xor_over_seeds_counts_successes_and_names_failures(run):
    status, out, _ = run("xor --seeds 3 --seed 8 --epochs 3000")
    assert status == 0
    assert "XOR solved with 2 of 3 seeds (67 %)\nnot solved with seed 9\n" in out


def test_xor_over_seeds_without_failures_names_none(run):
    _, out, _ = run("xor --seeds 2 --epochs 3000")
    assert "XOR solved with 2 of 2 seeds (100 %)" in out
    assert "not solved" not in out


# --- compare


@pytest.mark.parametrize("factor", experiments.COMPARISONS)
def test_compare_prints_a_table_and_writes_a_figure(run, factor):
    status, out, err = run(f"compare {factor} --epochs 3 --seeds 2")
    assert (status, err) == (0, "")
    rows = [line for line in out.splitlines() if line.startswith(("linear ", "XOR "))]
    assert len(rows) == 2 * len(experiments.COMPARISONS[factor])
    assert files() == [f"runs/compare-{factor}.png"]


def test_compare_same_seed_same_table(run):
    command = "compare hidden-size --epochs 5 --seeds 2 --quiet --output here/figure.png --seed "
    first, again, other = (run(command + seed)[1] for seed in "001")
    assert first == again
    assert first != other
    assert files() == ["here/figure.png"]


def table(out):
    """The lines of the table among what is printed."""
    return [line for line in out.splitlines() if line.startswith(("data ", "linear ", "XOR "))]


def test_compare_prints_the_table_of_the_chapter(run):
    _, out, _ = run("compare activation --epochs 5 --seeds 2")
    runs = experiments.compare(experiments.COMPARISONS["activation"], seeds=range(2), epochs=5)
    assert table(out) == experiments.comparison_table(runs, "activation").splitlines()


def test_compare_has_the_defaults_of_the_chapter():
    args = cli._parser().parse_args(["compare", "activation"])
    assert (range(args.seed, args.seed + args.seeds), args.epochs) == (experiments.SEEDS, experiments.EPOCHS)


def test_compare_with_two_jobs_and_on_a_cluster_prints_the_same_table(run, dask_cluster):
    command = "compare hidden-size --epochs 3 --seeds 2 --quiet"
    expected = run(command)
    assert run(f"{command} --jobs 2") == expected
    with dask_cluster(2) as cluster:
        assert run(f"{command} --dask {cluster.scheduler_address}") == expected


def test_compare_resumes_what_was_interrupted(run, monkeypatch):
    command = "compare activation --epochs 20 --seeds 2 --resume runs/kept.jsonl"
    with monkeypatch.context() as patch:
        interrupt_after(patch, optimizers.SGD, 75)
        status, out, _ = run(command)
    assert status == 130
    assert "interrupted after 3 of 12 runs; runs/kept.jsonl keeps them, and the same call goes on" in out
    made = 0
    right = optimizers.SGD.step

    def step(self, params, grads):
        nonlocal made
        made += 1
        right(self, params, grads)

    monkeypatch.setattr(optimizers.SGD, "step", step)
    status, out, _ = run(command)
    assert (status, made) == (0, (12 - 3) * 20)
    assert table(out) == table(run("compare activation --epochs 20 --seeds 2")[1])


def test_compare_refuses_a_file_that_is_something_else_before_it_trains(run):
    Path("notes.txt").write_text("mine\n")
    status, out, err = run("compare activation --quiet --resume notes.txt")
    assert (status, out) == (1, "")
    assert err.startswith("nnlib compare: error: notes.txt must begin with the line")
    assert Path("notes.txt").read_text() == "mine\n"
    assert run("compare activation --quiet --resume .")[2] == (
        "nnlib compare: error: cannot write .: it is a folder, name a file in it\n"
    )


def test_compare_says_which_run_failed(run, monkeypatch):
    wild = experiments.Setting("wild", activation=None, squash=False, learning_rate=100.0)
    monkeypatch.setattr(experiments, "COMPARISONS", {"activation": (wild,)})
    status, _, err = run("compare activation --seeds 1 --quiet")
    assert status == 1
    assert err.startswith(
        "nnlib compare: error: 2 of 2 runs failed: setting 'wild' on the linear data, seed 0: "
    )


def test_compare_says_what_to_install_for_jobs(run, monkeypatch):
    monkeypatch.setattr(
        "nnlib.sweeps.importlib.util.find_spec", lambda name: None if name == "joblib" else "x"
    )
    status, _, err = run("compare activation --jobs 2 --quiet")
    assert status == 1
    assert "pip install joblib" in err


# --- check


def test_check_has_a_line_for_every_check(run):
    status, out, _ = run("check")
    assert status == 0
    lines = out.splitlines()
    assert all(": ok, " in line for line in lines[:-1])
    assert lines[-1] == f"all {len(lines) - 1} checks ok: backward against central differences of forward"


def test_check_verbose_shows_each_gradient(run):
    _, out, _ = run("check --verbose")
    assert re.search(r"^  W +\(4, 3\) +relative error \S+  ok$", out, re.MULTILINE)


def test_check_finds_a_wrong_gradient_and_shows_it(run, monkeypatch):
    right = layers.Linear.backward
    monkeypatch.setattr(layers.Linear, "backward", lambda self, dY: 0.5 * right(self, dY))
    status, out, _ = run("check --quiet")
    assert status == 1
    assert "WRONG in" in out
    assert "2 of 16 checks wrong" in out
