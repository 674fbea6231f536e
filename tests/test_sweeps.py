"""A sweep gives the same results wherever it runs, and computes nothing twice."""

import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nnlib
from nnlib import experiments, sweeps
from nnlib.experiments import COMPARISONS
from nnlib.sweeps import HEADER, SweepError, sweep

ROOT = Path(nnlib.__file__).resolve().parents[1]
SETTINGS = [*COMPARISONS["activation"], COMPARISONS["learning-rate"][3]]
small_compare = functools.partial(experiments.compare, SETTINGS, seeds=range(3), epochs=25, points=12)


def power(base, exponent):
    return base**exponent


TASKS = [{"base": base, "exponent": exponent} for base in (2, 0.1) for exponent in (1, 2, 3)]
POWERS = [power(**task) for task in TASKS]


def counting(function=power):
    """The function, and a list of what it was called with."""
    calls = []

    @functools.wraps(function)
    def counted(**task):
        calls.append(task)
        return function(**task)

    return counted, calls


def bits(runs):
    return [(run.dataset, run.setting, run.seed, run.losses.tobytes(), run.accuracy) for run in runs]


@pytest.fixture(scope="module")
def cluster(dask_cluster):
    with dask_cluster(2) as cluster:
        yield cluster


# --- the same results everywhere


def test_results_come_in_the_order_of_the_tasks():
    assert list(sweep(power, TASKS)) == POWERS


def test_two_processes_give_the_same_bits_as_one():
    pytest.importorskip("joblib")
    assert bits(small_compare(n_jobs=2)) == bits(small_compare())


def test_a_dask_cluster_gives_the_same_bits_as_one_process(cluster):
    distributed = pytest.importorskip("distributed")
    expected = bits(small_compare())
    assert bits(small_compare(dask=cluster.scheduler_address)) == expected
    with distributed.Client(cluster, set_as_default=False) as client:
        assert bits(small_compare(dask=client)) == expected
        assert client.status == "running", "a client that was given stays open"


def where(k, seconds):
    time.sleep(seconds)
    return [k, os.getpid(), os.environ.get("OPENBLAS_NUM_THREADS")]


def test_work_is_shared_by_processes_with_one_blas_thread_each_and_order_is_kept(cluster):
    pytest.importorskip("joblib")
    tasks = [{"k": k, "seconds": 0.3 if k == 0 else 0.05} for k in range(8)]  # the first ends late
    for place in ({"n_jobs": 2}, {"dask": cluster.scheduler_address}):
        order, processes, threads = zip(*sweep(importable(where), tasks, **place), strict=True)
        assert list(order) == list(range(8))
        assert len(set(processes)) == 2
        assert os.getpid() not in processes
        assert set(threads) == {"1"}


def importable(function):
    """A copy that goes to other processes by value: they cannot import this file."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return function


def test_equal_tasks_are_computed_once():
    function, calls = counting()
    assert list(sweep(function, [TASKS[0], TASKS[1], TASKS[0]])) == [2, 4, 2]
    assert calls == TASKS[:2]


def test_results_are_what_json_gives_back_stored_or_not(tmp_path):
    odd = [{"value": (1, 0.1 + 0.2, [True, None, "µ", 1e-300, 5e-324])}]
    (plain,) = sweep(lambda value: value, odd)
    for _ in range(2):
        assert list(sweep(lambda value: value, odd, store=tmp_path / "s")) == [plain]
    assert plain == [1, 0.1 + 0.2, [True, None, "µ", 1e-300, 5e-324]]


def test_a_sweep_that_is_left_early_ends_quietly(tmp_path):
    pytest.importorskip("joblib")
    results = sweep(importable(where), [{"k": k, "seconds": 0.01} for k in range(30)], n_jobs=2)
    assert next(results)[0] == 0
    results.close()


def test_with_one_job_nothing_but_numpy_is_imported():
    code = """
import sys
from nnlib import experiments
list(experiments.compare(experiments.COMPARISONS["activation"], seeds=[0], epochs=1))
print({"joblib", "dask", "distributed", "tqdm", "matplotlib"} & set(sys.modules))"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "set()"


# --- resuming


def test_what_is_stored_is_not_computed_again(tmp_path):
    function, calls = counting()
    store = tmp_path / "new" / "folder" / "powers.jsonl"
    assert list(sweep(function, TASKS[:4], store=store)) == POWERS[:4]
    assert list(sweep(function, reversed(TASKS), store=store)) == POWERS[::-1]
    assert calls == [*TASKS[:4], TASKS[5], TASKS[4]]
    before = store.read_bytes()
    assert list(sweep(function, TASKS, store=store)) == POWERS
    assert len(calls) == 6
    assert store.read_bytes() == before


def test_stored_runs_have_the_same_bits(tmp_path):
    fresh = bits(small_compare(store=tmp_path / "s"))
    assert fresh == bits(small_compare(store=tmp_path / "s")) == bits(small_compare())


def test_each_result_is_in_the_file_before_the_next_is_computed(tmp_path):
    store = tmp_path / "s"
    lines = []

    def look(k):
        lines.append(store.read_bytes().count(b"\n") - 1)
        return k

    list(sweep(look, [{"k": k} for k in range(3)], store=store))
    assert lines == [0, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"points": 20},
        {"seeds": [5]},
        {"settings": [experiments.Setting("a", learning_rate=2.0)]},
        {"settings": [experiments.Setting("a", hidden_sizes=(4, 3))]},
        {"settings": [experiments.Setting("a", activation="tanh")]},
        {"settings": [experiments.Setting("a", squash=False, learning_rate=0.01)]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_file_of_other_settings_never_answers(tmp_path, change):
    asked = {"settings": [experiments.Setting("a")], "epochs": 2, "points": 12, "seeds": [0]}
    list(experiments.compare(**asked, store=tmp_path / "s"))
    other = {**asked, **change}
    assert bits(experiments.compare(**other, store=tmp_path / "s")) == bits(experiments.compare(**other))
    assert bits(experiments.compare(**asked, store=tmp_path / "s")) == bits(experiments.compare(**asked))


def test_the_name_of_a_setting_decides_nothing_so_comparisons_share_runs(tmp_path, monkeypatch):
    one, two = experiments.Setting("one"), experiments.Setting("two")
    list(experiments.compare([one], seeds=[0], epochs=2, store=tmp_path / "s"))
    monkeypatch.setattr(experiments, "fit", None)  # nothing is trained from here on
    (run, _) = experiments.compare([two], seeds=[0], epochs=2, store=tmp_path / "s")
    assert run.setting == "two"


def test_another_function_or_another_nnlib_computes_anew(tmp_path, monkeypatch):
    list(sweep(power, TASKS, store=tmp_path / "s"))
    assert list(sweep(lambda base, exponent: base, TASKS, store=tmp_path / "s")) == [2] * 3 + [0.1] * 3
    function, calls = counting()
    monkeypatch.setattr(nnlib, "__version__", "0.0.0")
    list(sweep(function, TASKS, store=tmp_path / "s"))
    assert len(calls) == len(TASKS)


KILLED = """
import sys, time
from nnlib.sweeps import sweep

def slow(k):
    with open("calls", "a") as file:
        file.write(f"{k} ")
    time.sleep(0.1)
    return k / 3

print(list(sweep(slow, [{"k": k} for k in range(12)], n_jobs=int(sys.argv[1]), store="s", progress=True)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("stop", ["SIGKILL", "SIGINT"])
def test_a_sweep_that_was_killed_goes_on_where_it_was(tmp_path, jobs, stop):
    pytest.importorskip("joblib")
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    start = functools.partial(
        subprocess.Popen,
        [sys.executable, "-W", "error", str(script), jobs],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, as a terminal makes one
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    store, calls = tmp_path / "s", tmp_path / "calls"

    def stored():
        return max(0, store.read_bytes().count(b"\n") - 1) if store.exists() else 0

    with start() as process:
        while stored() < 4:
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, getattr(signal, stop))
        _, err = process.communicate(timeout=60)
    kept, started = stored(), len(calls.read_text().split())
    assert 4 <= kept < 12
    if stop == "SIGINT":
        assert err.rstrip().endswith(
            f"KeyboardInterrupt: interrupted after {kept} of 12 runs; "
            "s keeps them, and the same call goes on from there"
        )
    with start() as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == f"{[k / 3 for k in range(12)]}\n"
    assert len(calls.read_text().split()) - started == 12 - kept
    assert f"{kept}/12" in err, "what was resumed counts as done"


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_torn_last_line_is_mended_and_its_run_computed_again(tmp_path, cut):
    function, calls = counting()
    store = tmp_path / "s"
    list(sweep(function, TASKS, store=store))
    whole = store.read_bytes()
    store.write_bytes(whole[:-cut])
    assert list(sweep(function, TASKS, store=store)) == POWERS
    assert calls[len(TASKS) :] == TASKS[-1:]
    assert store.read_bytes() == whole


@pytest.mark.parametrize("begun", [b"", HEADER[:7], HEADER])
def test_a_file_that_was_only_begun_is_used(tmp_path, begun):
    store = tmp_path / "s"
    store.write_bytes(begun)
    assert list(sweep(power, TASKS, store=store)) == POWERS
    assert store.read_bytes().startswith(HEADER + b'\n{"key": ')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"x,y\n1,2\n",
            r"must begin with the line .*, got b'x,y\\n1,2\\n'.* left as it is, name another file",
        ),
        (b"\x89PNG\r\n\x1a\n\xff", "must begin with the line"),
        (b"notes without an end of line", "must begin with the line"),
        (b"\n", "must begin with the line"),
        (HEADER.replace(b"1", b"2") + b"\n", 'must begin with .*"version": 1.* got .*"version": 2'),
        (HEADER + b"\n{}\n", r"line 2 of .* must hold a key and a result, got b'{}': .* remove that line"),
        (HEADER + b'\n{"key": 1, "result": 2}\n\0\0\n{"key": 1, "result": 2}\n', "line 3 of"),
        (HEADER + b"\n[]\n", "line 2 of"),
    ],
)
def test_a_file_that_is_something_else_or_damaged_is_refused_and_left_as_it_is(tmp_path, content, message):
    store = tmp_path / "s"
    store.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        sweep(power, TASKS, store=store)
    assert store.read_bytes() == content


# --- errors


def fails_at(k, bad):
    if k in bad:
        raise ZeroDivisionError(f"no {k}")
    return k


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_names_its_task_and_the_others_are_finished_and_stored(tmp_path, jobs):
    pytest.importorskip("joblib")
    tasks = [{"k": k, "bad": [1, 4]} for k in range(6)]
    labels = [f"number {k}" for k in range(6)]
    results = sweep(importable(fails_at), tasks, n_jobs=jobs, store=tmp_path / "s", labels=labels)
    assert next(results) == 0
    with pytest.raises(SweepError, match=r"^2 of 6 runs failed: ") as caught:
        next(results)
    assert sorted(caught.value.failures) == [f"number {k}: ZeroDivisionError: no {k}" for k in (1, 4)]
    stored = [json.loads(line)["result"] for line in (tmp_path / "s").read_text().splitlines()[1:]]
    assert sorted(stored) == [0, 2, 3, 5]


def test_many_errors_are_named_up_to_three():
    with pytest.raises(SweepError, match=r"^5 of 5 runs failed: .*no 0; .*no 1; .*no 2; \.\.\.$") as caught:
        list(sweep(fails_at, [{"k": k, "bad": list(range(5))} for k in range(5)]))
    assert len(caught.value.failures) == 5


def test_a_run_that_diverges_is_named_by_setting_data_and_seed():
    wild = experiments.Setting("too large", activation=None, squash=False, learning_rate=100.0)
    runs = experiments.compare([experiments.Setting("fine"), wild], seeds=[7], epochs=500, datasets=["XOR"])
    assert next(runs).setting == "fine"
    with pytest.raises(SweepError, match=r"setting 'too large' on the XOR data, seed 7: Diverg.*rate"):
        next(runs)


def dies(k):
    if k == 2:
        os._exit(3)
    return k


def test_a_process_that_dies_ends_the_sweep_instead_of_stalling_it(tmp_path):
    pytest.importorskip("joblib")
    with pytest.raises(SweepError, match=r"a worker ended after \d of 4 runs \(A worker .* keeps them"):
        list(sweep(importable(dies), [{"k": k} for k in range(4)], n_jobs=2, store=tmp_path / "s"))


def test_a_dask_worker_that_dies_again_and_again_ends_the_sweep_instead_of_stalling_it(dask_cluster):
    with (
        pytest.importorskip("dask").config.set({"distributed.scheduler.allowed-failures": 0}),
        dask_cluster(1) as doomed,
        pytest.raises(SweepError, match=r"a worker ended after .* all those workers died while running it"),
    ):
        list(sweep(importable(dies), [{"k": 2}], dask=doomed.scheduler_address))


def test_no_scheduler_at_the_address_is_said(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(sweeps, "PATIENCE", 0.2)
    with pytest.raises(OSError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        list(sweep(power, TASKS, dask="tcp://127.0.0.1:9"))
    assert distributed


def test_workers_with_another_nnlib_are_refused(cluster, monkeypatch):
    assert sweeps._version() == nnlib.__version__  # what a worker answers
    monkeypatch.setattr(nnlib, "__version__", "99")
    with pytest.raises(ValueError, match=r"workers must have nnlib 99, got \{'\d"):
        list(sweep(power, TASKS, dask=cluster.scheduler_address))


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("joblib", {"n_jobs": 2}, r"several jobs need joblib, .*pip install joblib, .* extra \[sweep\]"),
        ("joblib", {"dask": "tcp://127.0.0.1:9"}, "need joblib"),
        ("distributed", {"dask": "tcp://127.0.0.1:9"}, r"a Dask cluster needs distributed, .* \[dask\]"),
        ("tqdm", {"progress": True}, r"the progress bar needs tqdm, .* \[progress\]"),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_install_it(monkeypatch, module, arguments, message):
    def find_spec(name):
        return None if name == module else "found"

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(ModuleNotFoundError, match=message):
        sweep(power, TASKS, **arguments)


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, True, "2"])
def test_a_number_of_jobs_that_is_none_is_refused(n_jobs):
    with pytest.raises(ValueError, match="n_jobs must be a whole number above 0, or -1 for all cores, got"):
        sweep(power, TASKS, n_jobs=n_jobs)


@pytest.mark.parametrize("value", [np.zeros(3), {1, 2}, float("nan"), 1j])
def test_a_task_that_json_cannot_write_is_refused(value):
    with pytest.raises(TypeError, match="a task must hold numbers, text and lists, got"):
        sweep(power, [{"base": value, "exponent": 1}])


def test_a_result_that_json_cannot_write_is_an_error_of_its_task():
    with pytest.raises(SweepError, match="TypeError: Object of type ndarray is not JSON serializable"):
        list(sweep(np.zeros, [{"shape": 3}]))


def test_labels_must_be_as_many_as_tasks():
    with pytest.raises(ValueError, match="labels must name each task: expected 6, got 1"):
        sweep(power, TASKS, labels=["a"])


# --- Ctrl-C and progress


@pytest.mark.parametrize(("store", "advice"), [(None, "with a file to resume from"), ("s", "s keeps them")])
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path, monkeypatch, store, advice):
    monkeypatch.chdir(tmp_path)

    def stopped(k):
        if k == 2:
            raise KeyboardInterrupt
        return k

    results = sweep(stopped, [{"k": k} for k in range(5)], store=store)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(KeyboardInterrupt, match=f"interrupted after 2 of 5 runs; {advice}"):
        next(results)


def test_progress_counts_what_is_stored_as_done(tmp_path, capsys):
    pytest.importorskip("tqdm")
    list(sweep(power, TASKS[:4], store=tmp_path / "s"))
    list(sweep(power, TASKS, store=tmp_path / "s", progress=True))
    err = capsys.readouterr().err
    assert "4/6" in err
    assert "0/6" not in err
    list(sweep(power, TASKS))
    assert capsys.readouterr() == ("", "")
