"""Sweeps: one function called with many settings, in parallel, and never twice for the same settings.

A task is a dictionary of keyword arguments that decides its result: numbers, text, lists. The result holds
the same kinds of values, so both fit in a line of JSON. With one job nothing but the standard library is
needed; several jobs run through joblib, which also knows how to use a Dask cluster.
"""

from __future__ import annotations

import importlib.util
import json
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nnlib

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["SweepError", "sweep"]

Task = Mapping[str, Any]
Outcome = tuple[str, Any, str | None]  # key of the task, its result, what went wrong

HEADER = b'{"file": "results of nnlib.sweeps", "version": 1}'  # the first line of a store
PATIENCE = 10  # seconds to wait for the scheduler of a cluster


class SweepError(RuntimeError):
    """Some tasks of a sweep failed; all others were finished, and stored if there is a store.

    Attributes
    ----------
    failures : one line for each task that failed: which one it was, and the error
    """

    def __init__(self, message: str, failures: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


def sweep(
    function: Callable[..., Any],
    tasks: Iterable[Task],
    *,
    n_jobs: int = 1,
    dask: Client | str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
    labels: Iterable[str] | None = None,
) -> Iterator[Any]:
    """Call a function with the keywords of each task; results in the order of the tasks.

    The results do not depend on `n_jobs` or `dask`, as long as `function` depends on its arguments only:
    a seed belongs into the task. Tasks that are equal are computed once.

    Parameters
    ----------
    function : ``function(**task)`` returns what JSON can hold: numbers, text, lists, dictionaries of these
    tasks : keyword arguments, again what JSON can hold; together they decide the result
    n_jobs : processes to use, -1 for all cores; more than one needs joblib
    dask : client, or address of the scheduler, of a Dask cluster to run on, in the place of local processes
    store : file that keeps each result as soon as it is there; tasks that it holds are not computed again.
        The key of a result is the task, the name of `function` and the version of nnlib, not the code of
        `function`: name another file when you change the code
    progress : show a progress bar; results from the store count as done
    labels : what error messages call the tasks

    Yields
    ------
    results, as JSON gives them back: tuples have become lists

    Raises
    ------
    SweepError
        After the last task, when some have failed.
    ModuleNotFoundError
        When joblib, distributed or tqdm is needed and missing.
    ValueError, TypeError
        When an argument is wrong, the store is no file of results, or JSON cannot hold a task or a result.
    KeyboardInterrupt
        On Ctrl-C, with a message that says how to go on.

    Examples
    --------
    >>> list(sweep(pow, [{"base": 2, "exp": k} for k in range(4)]))
    [1, 2, 4, 8]
    """
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0 or n_jobs < -1:
        raise ValueError(f"n_jobs must be a whole number above 0, or -1 for all cores, got {n_jobs!r}")
    tasks = [dict(task) for task in tasks]
    names = [str(task) for task in tasks] if labels is None else list(labels)
    if len(names) != len(tasks):
        raise ValueError(f"labels must name each task: expected {len(tasks)}, got {len(names)}")
    if dask is not None or n_jobs != 1:
        _check_installed("joblib", "several jobs need", "sweep")
    if dask is not None:
        _check_installed("distributed", "a Dask cluster needs", "dask")
    if progress:
        _check_installed("tqdm", "the progress bar needs", "progress")
    keys = [_key(function, task) for task in tasks]
    path = None if store is None else Path(store)
    results = {} if path is None else _read(path)
    pending = {key: task for key, task in zip(keys, tasks, strict=True) if key not in results}
    total = len(set(keys))
    outcomes = _outcomes(function, pending, n_jobs, dask)
    labelled = dict(zip(keys, names, strict=True))
    finished = _finished(outcomes, labelled, total - len(pending), path, progress)
    return _in_order(keys, results, finished)


def _key(function: Callable[..., Any], task: Task) -> str:
    """Everything that decides a result, as one text."""
    name = f"{function.__module__}.{function.__qualname__}"
    parts = {"function": name, "nnlib": nnlib.__version__, "task": task}
    try:
        return json.dumps(parts, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"a task must hold numbers, text and lists, got {task!r}: {error}") from None


def _in_order(
    keys: Sequence[str], results: dict[str, Any], finished: Generator[tuple[str, Any]]
) -> Iterator[Any]:
    """Hand out each result as soon as it and all before it are there."""
    with closing(finished):
        for key in keys:
            while key not in results:
                done, result = next(finished)
                results[done] = result
            yield results[key]


def _finished(
    outcomes: Generator[Outcome], labels: Mapping[str, str], done: int, path: Path | None, progress: bool
) -> Generator[tuple[str, Any]]:
    """Store what succeeds, and collect what fails until all the others are done."""
    total, failures = len(labels), list[str]()
    with closing(outcomes), _appending(path) as save:
        try:
            for key, result, error in _tracked(outcomes, total, done) if progress else outcomes:
                if error is not None:
                    failures.append(f"{labels[key]}: {error}")
                    continue
                save(key, result)
                done += 1
                yield key, result
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted after {done} of {total} runs; {_next_time(path)}") from None
        except BrokenExecutor as error:
            reason = str(error).partition("\n")[0]
            raise SweepError(
                f"a worker ended after {done} of {total} runs ({reason}); {_next_time(path)}"
            ) from error
    # who still waits, now that all have ended, waits for one that failed
    shown = "; ".join(failures[:3]) + "; ..." * (len(failures) > 3)
    raise SweepError(f"{len(failures)} of {total} runs failed: {shown}", failures)


def _next_time(path: Path | None) -> str:
    if path is None:
        return "with a file to resume from, finished runs would be kept"
    return f"{path} keeps them, and the same call goes on from there"


def _tracked(outcomes: Iterable[Outcome], total: int, done: int) -> Iterable[Outcome]:
    from tqdm import tqdm

    bar: Iterable[Outcome] = tqdm(outcomes, total=total, initial=done, unit="run", leave=False)
    return bar


def _check_installed(module: str, needs: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(
            f"{needs} {module}, which is not installed: python -m pip install {module}, "
            f"or install nnlib with its extra [{extra}]"
        )


# ------------------------------------------------------------------------------- where tasks run


def _outcomes(
    function: Callable[..., Any], tasks: Mapping[str, Task], n_jobs: int, dask: Client | str | None
) -> Generator[Outcome]:
    """Run the tasks; what became of each, as they finish."""
    if not tasks or (dask is None and n_jobs == 1):
        yield from (_attempt(function, key, task) for key, task in tasks.items())
        return
    import joblib

    with ExitStack() as stack:
        backend: dict[str, Any] = {"backend": "loky", "n_jobs": n_jobs, "inner_max_num_threads": 1}
        if dask is not None:  # its nannies, too, start workers with one BLAS thread
            backend = {"backend": _dask_backend(stack.enter_context(_client(dask))), "n_jobs": -1}
        with joblib.parallel_config(**backend):
            # one task a batch, so that each comes back, and is stored, when it is finished
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        running = parallel(joblib.delayed(_attempt)(function, key, task) for key, task in tasks.items())
        try:
            for outcome in running:  # noqa: UP028  `yield from` would close it before what follows
                yield outcome
        finally:
            with warnings.catch_warnings():
                # whoever stops early knows that tasks were cancelled
                warnings.filterwarnings("ignore", ".*You could benefit from adjusting", UserWarning)
                running.close()


def _attempt(function: Callable[..., Any], key: str, task: Task) -> Outcome:
    """Run one task; an error becomes text, since not every exception survives the way back."""
    try:
        return key, json.loads(json.dumps(function(**task))), None
    except Exception as error:
        return key, None, f"{type(error).__name__}: {error}"


def _dask_backend(client: Client) -> Any:
    """The backend of joblib for Dask, mended in two places.

    Alone it would wait forever for a task whose workers died, and run nothing on a cluster of one thread.
    """
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):  # type: ignore[misc]  # joblib has no types
        def effective_n_jobs(self, n_jobs: int) -> int:
            threads: int = super().effective_n_jobs(n_jobs)
            return max(2, threads)  # for one job joblib would not leave this process

        def submit(self, task: Any, callback: Callable[[Any], None]) -> Future[Any]:
            future: Future[Any] = super().submit(task, callback)
            future.add_done_callback(lambda done: callback(done) if done.exception() else None)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, Future):
                raise BrokenExecutor(str(out.exception()))
            return super().retrieve_result_callback(out)

    return Backend(client=client)


@contextmanager
def _client(dask: Client | str) -> Iterator[Client]:
    """A client of the cluster, all of whose workers have this nnlib; closed if it was opened here."""
    with ExitStack() as stack:
        client = stack.enter_context(_connect(dask)) if isinstance(dask, str) else dask
        versions = set(client.run(_version).values())
        if versions - {nnlib.__version__}:
            raise ValueError(f"the workers must have nnlib {nnlib.__version__}, got {versions}")
        yield client


def _connect(address: str) -> Client:
    from distributed import Client

    try:
        return Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {address!r}: {error}") from error


def _version() -> str:
    return nnlib.__version__


# ------------------------------------------------------------------------------- the file


def _read(path: Path) -> dict[str, Any]:
    """Results by key; a file that is not of this kind, or is damaged, is refused and left as it is."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    *lines, torn = content.split(b"\n")  # what follows the last newline was not finished
    if not lines and HEADER.startswith(torn):
        return {}
    if lines[:1] != [HEADER]:
        raise ValueError(
            f"{path} must begin with the line {HEADER.decode()}, got {content[:60]!r}: it holds no results "
            f"of this version of nnlib.sweeps and is left as it is, name another file"
        )
    results = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            entry = json.loads(line)
            results[json.dumps(entry["key"], sort_keys=True)] = entry["result"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"line {number} of {path} must hold a key and a result, got {line[:60]!r}: the file is left "
                f"as it is, remove that line or name another file"
            ) from None
    return results


@contextmanager
def _appending(path: Path | None) -> Iterator[Callable[[str, Any], None]]:
    """A function that adds a result to the file at once."""
    if path is None:
        yield lambda key, result: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        end = path.read_bytes().rfind(b"\n") + 1
        file.truncate(end)  # a torn last line makes room

        def write(line: bytes) -> None:
            file.write(line + b"\n")
            file.flush()

        if end == 0:
            write(HEADER)
        yield lambda key, result: write(json.dumps({"key": json.loads(key), "result": result}).encode())
