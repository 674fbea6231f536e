"""The command line: ``python -m nnlib COMMAND``, or ``nnlib COMMAND`` where the package is installed.

Results go to standard output, progress and errors to standard error. The exit status is 0 when the
work was done, 1 when it failed, 2 when the command was not understood and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

import nnlib
from nnlib import data, experiments
from nnlib._shapes import Array
from nnlib.losses import BinaryCrossEntropyWithLogits
from nnlib.metrics import accuracy, confusion_matrix, to_labels
from nnlib.network import Sequential
from nnlib.sweeps import SweepError
from nnlib.training import History, State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["main"]

INTERRUPTED, BROKEN_PIPE = 130, 141  # 128 + the number of the signal, as shells report it
DATA_PATH = "data/basic_dataset.csv"
T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : the words after the program's name; None: those the program was started with

    Returns
    -------
    exit status: 0 done, 1 failed, 130 interrupted

    Raises
    ------
    SystemExit
        With status 2 when the command was not understood, with 0 after ``--help`` and ``--version``.

    Examples
    --------
    >>> main(["xor", "--quiet"])
    XOR solved: all four outputs are on the right side of 0.5
    0
    """
    args, unknown = _parser().parse_known_args(argv)
    if unknown:
        _Parser(prog=f"nnlib {args.command}").error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        _check_outputs(args)
        # a training that overflows ends with a reason, so NumPy's own warnings would only be noise
        with np.errstate(over="ignore", invalid="ignore"):
            status: int = args.run(args)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _fail(args, "interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone, as in `nnlib train | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ValueError, OSError, FloatingPointError, MemoryError, ModuleNotFoundError, SweepError) as error:
        return _fail(args, str(error) or "out of memory", 1)


def _fail(args: argparse.Namespace, message: str, status: int) -> int:
    print(f"nnlib {args.command}: error: {' '.join(message.split())}", file=sys.stderr)
    return status


# ------------------------------------------------------------------------------- what is shown


def _say(args: argparse.Namespace, text: str = "") -> None:
    """Print what --quiet leaves out."""
    if not args.quiet:
        _result(text)


def _result(text: str) -> None:
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(text, flush=True)
    else:  # above the progress bar instead of across it
        tqdm.tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()


def _progress(args: argparse.Namespace) -> bool:
    wanted = not args.quiet and sys.stderr.isatty()
    return wanted and importlib.util.find_spec("tqdm") is not None


def _tracked(args: argparse.Namespace, items: Iterable[T], total: int) -> Iterable[T]:
    if not _progress(args):
        return items
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(items, total=total, unit="run", leave=False)
    return bar


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _field(name: str, text: str) -> str:
    return f"{name:<9} {text}"


def _summary(args: argparse.Namespace, net: Sequential) -> None:
    _say(args, "network\n" + textwrap.indent(net.summary(), "  "))


def _ending(history: History, epochs: int) -> str:
    """One line on how training went, with what the reader should know before trusting the result."""
    losses = history.get("loss", [])
    line = _field("trained", f"{len(losses)} of {epochs} epochs, {history.steps} updates")
    line += f", {history.seconds:.1f} seconds"
    if history.stopped:
        line += "\n" + _field("stopped", f"{history.stopped}: what follows is the network as it was then")
    if losses and losses[-1] > losses[0]:
        rose = f"the loss rose from {losses[0]:.4g} to {losses[-1]:.4g}"
        line += "\n" + _field("note", f"{rose}: the learning rate is probably too large")
    return line


def _status(history: History) -> int:
    return INTERRUPTED if history.stopped else 0


# ------------------------------------------------------------------------------- what is written


def _check_outputs(args: argparse.Namespace) -> None:
    """Find out before the work, rather than after it, that its result could not be written."""
    for path in (vars(args).get(option) for option in ("save", "plot", "resume")):
        if path is None:
            continue
        if path.is_dir():
            raise IsADirectoryError(f"cannot write {path}: it is a folder, name a file in it")
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise PermissionError(f"cannot write {path}: {folder} is not a folder that can be written to")
    if vars(args).get("plot") is not None:
        _check_figure(args.plot)


def _check_figure(path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError(
            "figures need Matplotlib, which is not installed: python -m pip install matplotlib"
        )
    import matplotlib
    from matplotlib.backend_bases import FigureCanvasBase

    matplotlib.use("Agg")  # figures go to files: no window, no display needed
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower()[1:] not in known:
        raise ValueError(
            f"cannot write {path}: the name of a figure must end in one of .{', .'.join(sorted(known))}"
        )


def _save(args: argparse.Namespace, net: Sequential) -> None:
    if args.save is not None:
        args.save.parent.mkdir(parents=True, exist_ok=True)
        net.save(args.save)
        _say(args, _field("saved", f"the network in {args.save}: nnlib.Sequential.load reads it"))


def _plot(args: argparse.Namespace, draw: Callable[[], Figure]) -> None:
    """Draw and write a figure: all of it or, on failure, nothing."""
    if args.plot is None:
        return
    import matplotlib.pyplot as plt

    from nnlib import plotting

    args.plot.parent.mkdir(parents=True, exist_ok=True)
    part = args.plot.with_name(f".{args.plot.name}.{os.getpid()}.part")
    with plt.rc_context():
        plotting.use_style()
        figure = draw()
        try:
            figure.savefig(part, format=args.plot.suffix[1:].lower(), dpi=150)
            os.replace(part, args.plot)
        finally:
            part.unlink(missing_ok=True)
            plt.close(figure)
    _say(args, _field("saved", f"the figure in {args.plot}"))


# ------------------------------------------------------------------------------- train


def _train(args: argparse.Namespace) -> int:
    path = _data_path(args.data_path)
    X, y = data.load_csv(path)
    rng = np.random.default_rng(args.seed)
    X_train, X_test, y_train, y_test = data.train_test_split(X, y, test_size=args.test_size, rng=rng)
    counts = np.unique(y, return_counts=True)[1]
    shape = f"{X.shape[0]} rows, {X.shape[1]} features, {counts[0]} of class 0 and {counts[1]} of class 1"
    batches = "all rows in each update" if args.batch_size is None else f"batches of {args.batch_size}"
    _say(args, _field("data", f"{path}: {shape}"))
    _say(
        args, _field("split", f"{len(y_train)} rows to train on, {len(y_test)} to test on, seed {args.seed}")
    )
    _say(args, _field("scaling", "mean 0 and standard deviation 1, as measured on the rows to train on"))
    plan = (
        f"{X.shape[1]}-{args.hidden_size}-1 network, gradient descent, learning rate {args.learning_rate:g}"
    )
    _say(args, _field("training", f"{plan}, {batches}"))
    net, history = experiments.train_classifier(
        X_train,
        y_train,
        hidden_size=args.hidden_size,
        learning_rate=args.learning_rate,
        epochs=args.epochs,
        batch_size=args.batch_size,
        rng=rng,
        validation=None if args.plot is None else (X_test, y_test),
        progress=_progress(args),
    )
    _summary(args, net)
    _say(args, _ending(history, args.epochs))
    for name, rows, labels in (("train", X_train, y_train), ("test", X_test, y_test)):
        loss, right = _evaluate(net, rows, labels)
        _result(_field(name, f"loss {loss:.4f}, accuracy {_percent(right)}"))
    _save(args, net)
    _plot(args, lambda: _train_figure(net, history, X, y))
    return _status(history)


def _data_path(path: Path) -> Path:
    """The default file is found from everywhere, other files from where the reader is."""
    shipped = Path(nnlib.__file__).resolve().parents[1] / DATA_PATH
    return shipped if path == Path(DATA_PATH) and not path.exists() else path


def _evaluate(net: Sequential, X: Array, y: Array) -> tuple[float, float]:
    """Loss and accuracy, from the scores before the sigmoid: exact where it rounds to 0 or 1."""
    scores = Sequential(net.layers[:-1]).predict(X)
    loss = BinaryCrossEntropyWithLogits().forward(scores, y[:, None])
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} after training. Likely cause: the learning rate is too large; "
            f"try a tenth of it"
        )
    return loss, accuracy(scores, y, threshold=0.0)


def _train_figure(net: Sequential, history: History, X: Array, y: Array) -> Figure:
    import matplotlib.pyplot as plt

    from nnlib import plotting

    planar = X.shape[1] == 2
    figure, axes = plt.subplots(
        1, 1 + planar, figsize=(5.5 * (1 + planar), 4.2), squeeze=False, layout="constrained"
    )
    _loss_curves(axes[0, 0], history, "binary cross-entropy")
    if planar:
        plotting.decision_boundary(net, X, y, ax=axes[0, 1])
        axes[0, 1].set_title("all rows, and what the network says between them")
    return figure


def _loss_curves(ax: Axes, history: History, ylabel: str) -> None:
    from nnlib import plotting

    epochs = len(history.get("loss", []))
    if epochs:  # otherwise training was stopped in its first epoch, and the panel stays empty
        runs = {"training": {"loss": history["loss"]}, "test": {"loss": history["val_loss"]}}
        plotting.curves(runs, ax=ax, ylabel=ylabel)
    ax.set(title=f"{epochs} epochs", ylim=(0, None))


# ------------------------------------------------------------------------------- mnist


def _mnist(args: argparse.Namespace) -> int:
    asked = {name: vars(args)[name] for name in ("hidden_sizes", "learning_rate", "epochs", "batch_size")}
    changes = {name: value for name, value in asked.items() if value is not None}
    recipe = replace(experiments.RECIPES[args.recipe], **changes)
    train, test = data.mnist("train"), data.mnist("test")
    shape = "-".join(map(str, (train[0].shape[1], *recipe.hidden_sizes, 10)))
    plan = f"{shape} network, Adam, learning rate {recipe.learning_rate:g}, batches of {recipe.batch_size}"
    plan += ", one cycle" * recipe.cycle + ", images moved by up to a pixel" * recipe.shift
    _say(args, _field("data", f"MNIST: {len(train[1])} images to train on, {len(test[1])} to test on"))
    _say(args, _field("training", plan))
    started = time.perf_counter()

    def report(state: State) -> None:
        loss, right = state.history["loss"][-1], state.history["val_accuracy"][-1]
        numbers = f"train loss {loss:.4f}, test accuracy {_percent(right)}"
        seconds = time.perf_counter() - started
        _say(args, _field("epoch", f"{state.epoch:>2} of {state.epochs}: {numbers}, {seconds:.1f} seconds"))

    net, history = experiments.train_mnist(
        recipe, train, test, seed=args.seed, callbacks=[report], progress=_progress(args)
    )
    _summary(args, net)
    _say(args, _ending(history, recipe.epochs))
    predicted = to_labels(net.predict(test[0]))
    matrix = confusion_matrix(predicted, test[1], 10)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    _result(_field("test", f"accuracy {_percent(right / total)}: {right} of {total} images"))
    _say(args, _field("mistakes", _worst(matrix)))
    _save(args, net)
    _plot(args, lambda: _mnist_figure(history, matrix))
    return _status(history)


def _worst(matrix: Array, count: int = 5) -> str:
    """The most frequent mistakes in words."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    cells = [(*divmod(int(cell), len(matrix)), int(wrong.flat[cell])) for cell in order]
    lines = [f"{true} read as {guess} ({times} times)" for true, guess, times in cells if times]
    return ", ".join(lines) or "none"


def _mnist_figure(history: History, matrix: Array) -> Figure:
    import matplotlib.pyplot as plt

    from nnlib import plotting

    figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    _loss_curves(axes[0], history, "cross-entropy")
    plotting.confusion(matrix, ax=axes[1])
    axes[1].set_title(f"{matrix.sum()} test images, {_percent(np.trace(matrix) / matrix.sum())} right")
    return figure


# ------------------------------------------------------------------------------- xor


def _xor(args: argparse.Namespace) -> int:
    settings = {name: vars(args)[name] for name in ("activation", "loss", "learning_rate", "epochs")}
    shape = "-".join(map(str, (2, *args.hidden_sizes, 1)))
    loss = {"mse": "mean squared error", "bce": "binary cross-entropy"}[args.loss]
    _say(args, _field("network", f"{shape}, {args.activation} in the hidden layers, sigmoid at the end"))
    plan = f"{loss}, gradient descent, learning rate {args.learning_rate:g}, {args.epochs} epochs"
    _say(args, _field("training", plan))
    if args.seeds > 1:
        return _xor_seeds(args, settings)
    net, history = experiments.train_xor(
        args.hidden_sizes, **settings, seed=args.seed, progress=_progress(args)
    )
    _say(args, _ending(history, args.epochs))
    X, y = data.xor()
    outputs = net.predict(X).ravel()
    for (a, b), output, target in zip(X, outputs, y, strict=True):
        _say(args, f"  {a:g} xor {b:g} = {target}: the network says {output:.4f}")
    wrong = int(np.count_nonzero((outputs > 0.5) != y))
    if wrong == 0:
        _result("XOR solved: all four outputs are on the right side of 0.5")
    else:
        _result(
            f"XOR not solved: {wrong} of 4 outputs on the wrong side of 0.5. "
            f"Try another --seed, more --hidden-sizes or another --learning-rate"
        )
    return _status(history)


def _xor_seeds(args: argparse.Namespace, settings: dict[str, Any]) -> int:
    X, y = data.xor()
    solved: list[int] = []
    failed: list[int] = []
    status = 0
    seeds = range(args.seed, args.seed + args.seeds)
    for seed in _tracked(args, seeds, args.seeds):
        net, history = experiments.train_xor(args.hidden_sizes, **settings, seed=seed)
        if history.stopped:
            status = INTERRUPTED
            break
        (solved if accuracy(net.predict(X), y) == 1 else failed).append(seed)
    done = len(solved) + len(failed)
    if done < args.seeds:
        _say(args, _field("stopped", f"interrupted after {done} of {args.seeds} seeds"))
    if done:
        _result(f"XOR solved with {len(solved)} of {done} seeds ({100 * len(solved) / done:.0f} %)")
    if failed:
        _say(args, f"not solved with seed {', '.join(map(str, failed))}")
    return status


# ------------------------------------------------------------------------------- compare


def _compare(args: argparse.Namespace) -> int:
    settings = experiments.COMPARISONS[args.factor]
    args.plot = Path(str(args.plot).replace("{name}", args.factor))
    factor = args.factor.removeprefix("no-").replace("-", " ")
    seeds = range(args.seed, args.seed + args.seeds)
    plan = f"2-4-4-1 networks, mean squared error, {args.epochs} epochs, {args.seeds} seeds"
    _say(args, f"{factor}, one factor at a time: {plan}\n")
    runs: list[experiments.Run] = []
    status = 0
    try:
        for run in experiments.compare(
            settings,
            seeds=seeds,
            epochs=args.epochs,
            n_jobs=args.jobs,
            dask=args.dask,
            store=args.resume,
            progress=_progress(args),
        ):
            runs.append(run)
    except KeyboardInterrupt as stop:
        status = INTERRUPTED
        _say(args, _field("stopped", str(stop) or "interrupted"))
    if runs:
        _result(experiments.comparison_table(runs, factor))
        _plot(args, lambda: experiments.comparison_figure(runs, factor))
    return status


# ------------------------------------------------------------------------------- check


def _check(args: argparse.Namespace) -> int:
    reports = []
    for report in experiments.gradient_checks(args.seed):
        reports.append(report)
        if args.verbose or not report.ok:
            _result(str(report))
        else:
            _say(args, str(report).splitlines()[0])
    wrong = sum(not report.ok for report in reports)
    verdict = f"{wrong} of {len(reports)} checks wrong" if wrong else f"all {len(reports)} checks ok"
    _result(f"{verdict}: backward against central differences of forward")
    return 1 if wrong else 0


# ------------------------------------------------------------------------------- the words


class _Help(argparse.HelpFormatter):
    """Wrapped paragraphs, indented lines as they are, defaults after the options that have one."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        filled = [p if p.startswith("  ") else textwrap.fill(p, width) for p in paragraphs]
        return "\n\n".join(filled)

    def _get_help_string(self, action: argparse.Action) -> str:
        silent = action.default is None or action.default is False or action.default == argparse.SUPPRESS
        return str(action.help) if silent else f"{action.help} (default: %(default)s)"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_Help, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number >= {least}, got {text!r}")
        return value

    return parse


def _between(low: float, high: float) -> Callable[[str], float]:
    limits = f"above {low:g}" if high == math.inf else f"between {low:g} and {high:g}, both excluded"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low < value < high:
            raise argparse.ArgumentTypeError(f"expected a finite number {limits}, got {text!r}")
        return value

    return parse


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(_whole(1)(size) for size in text.split(","))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"expected whole numbers >= 1 with commas between them, such as 4,4, got {text!r}"
        ) from None


Option = tuple[Any, str]  # how a text becomes a value (a function, or the choices), and the help
OPTIONS: dict[str, Option] = {
    "data-path": (Path, "CSV file of numbers; the last column is the label"),
    "hidden-size": (_whole(1), "units in the hidden layer"),
    "hidden-sizes": (_sizes, "units in each hidden layer, with commas between them"),
    "activation": (tuple(experiments.ACTIVATIONS), "activation of the hidden layers"),
    "loss": (("mse", "bce"), "mean squared error or binary cross-entropy"),
    "recipe": (tuple(experiments.RECIPES), "what the options below are taken from when they are not given"),
    "learning-rate": (_between(0, math.inf), "size of the steps"),
    "epochs": (_whole(1), "passes over the training data"),
    "batch-size": (_whole(1), "rows in an update; when not given, as described above"),
    "test-size": (_between(0, 1), "share of the rows to test on"),
    "seed": (_whole(0), "decides everything that is random; the same seed gives the same run"),
    "seeds": (_whole(1), "how many seeds to try, from --seed upwards"),
    "jobs": (_whole(1), "runs at the same time, each in a process of its own; more than one needs joblib"),
    "dask": (str, "run on the Dask cluster whose scheduler has this address, such as tcp://10.0.0.5:8786"),
    "resume": (Path, "keep each finished run in this file, and take from it the runs that it has already"),
    "save": (Path, "write the trained network to this .npz file"),
    "plot": (Path, "write a figure to this file (.png, .svg, .pdf)"),
    "verbose": (None, "print every gradient that is checked"),
    "quiet": (None, "print nothing but the result, and no progress bar"),
}

EXAMPLES = """
examples:

  nnlib train --data-path data/large_dataset.csv --learning-rate 0.1 --plot runs/ring.png
  nnlib mnist --save runs/mnist.npz
  nnlib xor --hidden-sizes 4,4 --activation tanh --loss bce --learning-rate 0.5
  nnlib xor --seeds 20
  nnlib compare learning-rate
  nnlib compare activation --jobs 2 --resume runs/activation.jsonl
  nnlib check --verbose

The exit status is 0 when the work was done, 1 when it failed, 2 when the command was not understood and
130 after Ctrl-C, which ends training early and keeps what was done. Figures need Matplotlib; progress bars
appear in a terminal where tqdm is installed.
"""

TRAIN = """
Train a classifier for two classes on a CSV file: one hidden layer of ReLU units that starts with
he_normal weights, a sigmoid output, binary cross-entropy, plain gradient descent with all rows in each
update. The loss is computed from the scores before the sigmoid, which is the same network and the same
loss without rounding to 0. Features are scaled to mean 0 and standard deviation 1, as measured on the
training rows. The saved network has the scaling inside its first layer: it takes features as they are.
"""
MNIST = """
Train a fully connected network on the 60,000 training images of MNIST and test it on the other 10,000.
The recipe "best" is 784-256-128-10 with ReLU, Adam under a one-cycle schedule whose peak is the learning
rate, and images moved by up to a pixel; it passes 98.42 % in a few seconds. The recipe "baseline" is
784-128-64-10 with sigmoids and Adam, as an earlier project had it. The test images choose nothing: their
accuracy is only shown.
"""
XOR = """
Train the smallest network that can compute exclusive or, 2-2-1 with sigmoids, on its four rows. It does
not succeed from every start; --seeds counts how often it does. Not solving XOR is a result, so the exit
status is 0 then, too.
"""
COMPARE = """
Train 2-4-4-1 networks (sigmoid, mean squared error, learning rate 3) on points that a straight line
separates and on four clouds that it does not, changing one factor at a time: the learning rate, the size
of the hidden layers, their activation, or whether there is any. Prints the median over the seeds with the
range and how many runs stay below 90 % of the test points, and draws the loss curves. Each seed draws its own
points and first weights, so the table is the same with any number of --jobs and on a --dask cluster. With
--resume FILE a comparison that was stopped, even by force, goes on where it was.
"""
CHECK = """
Compare every gradient that nnlib computes with central differences: all layers, all losses and a small
network that joins them. The exit status is 1 when one is wrong.
"""


def _parser() -> argparse.ArgumentParser:
    about = "Neural networks from scratch with NumPy: train, compare and check them from the command line."
    parser = _Parser(prog="nnlib", description=about, epilog=EXAMPLES)
    parser.add_argument("--version", action="version", version=f"nnlib {nnlib.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str, **defaults: Any) -> _Parser:
        sub: _Parser = commands.add_parser(name, description=about, help=about.replace("%", "%%"))
        sub.set_defaults(run=run)
        for option, default in {**defaults, "quiet": False}.items():
            _add(sub, option.replace("_", "-"), default)
        return sub

    command(
        "train", _train, TRAIN, data_path=DATA_PATH, hidden_size=5, learning_rate=0.01, epochs=5000,
        batch_size=None, test_size=0.2, seed=42, save=None, plot=None,
    )  # fmt: skip
    command(
        "mnist", _mnist, MNIST, recipe="best", hidden_sizes=None, learning_rate=None, epochs=None,
        batch_size=None, seed=0, save=None, plot=None,
    )  # fmt: skip
    command(
        "xor", _xor, XOR, hidden_sizes="2", activation="sigmoid", loss="mse", learning_rate=1.0,
        epochs=5000, seed=0, seeds=1,
    )  # fmt: skip
    compare = command(
        "compare", _compare, COMPARE, epochs=experiments.EPOCHS, seed=0, seeds=len(experiments.SEEDS),
        jobs=1, dask=None, resume=None,
    )  # fmt: skip
    compare.add_argument("factor", choices=experiments.COMPARISONS, help="what to change")
    compare.add_argument(
        "--output",
        dest="plot",
        type=Path,
        default="runs/compare-{name}.png",
        metavar="FILE",
        help="write the figure to this file (.png, .svg, .pdf)",
    )
    command("check", _check, CHECK, seed=0, verbose=False)
    return parser


def _add(parser: argparse.ArgumentParser, option: str, default: Any) -> None:
    convert, about = OPTIONS[option]
    if convert is None:
        parser.add_argument(f"--{option}", action="store_true", help=about)
    elif isinstance(convert, tuple):
        parser.add_argument(f"--{option}", choices=convert, default=default, help=about)
    else:
        metavar = {Path: "FILE", str: "ADDRESS"}.get(convert, option.rpartition("-")[2].upper())
        parser.add_argument(f"--{option}", type=convert, default=default, metavar=metavar, help=about)
