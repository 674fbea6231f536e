"""Gates of the problem sets: a right answer gets all points however it is written, a wrong one loses some.

``python tests/test_assignments.py`` plants every bug of the clinic and prints who noticed.

Cells run here by exec, in one namespace, as a kernel would. What nbgrader makes of them is tested elsewhere.
"""
# ruff: noqa: E501  a table: one place a line

import ast
import contextlib
import functools
import io
import itertools
import re
import time
import warnings
from collections import defaultdict
from pathlib import Path

import nbformat
import numpy as np
import pytest

from nnlib import clinic

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "assignments" / "source"
SETS = sorted(path.name for path in SOURCE.iterdir())
SOLUTION = re.compile(r"([ \t]*)### BEGIN SOLUTION\n.*?### END SOLUTION\n?", re.DOTALL)
HIDDEN = "### BEGIN HIDDEN TESTS"
SLOW = {"test-train", "test-digits", "test-digits-93"}  # training: left out where something else is wrong


# --- Running a problem set --------------------------------------------------------------------------


@functools.cache
def cells(name):
    return nbformat.read(SOURCE / name / f"{name}.ipynb", as_version=4).cells


def info(cell):
    return cell.metadata.nbgrader


def code_cells(name):
    return [cell for cell in cells(name) if cell.cell_type == "code"]


def solution(name):
    """Source of every answer cell with code, by its name."""
    return {info(cell).grade_id: cell.source for cell in code_cells(name) if info(cell).solution}


def points(name):
    """Points of every test cell, by its name."""
    return {info(cell).grade_id: info(cell).points for cell in code_cells(name) if info(cell).grade}


def stub(source):
    """What students get: nothing between the marks, inside of functions a line that says so."""
    return SOLUTION.sub(lambda m: m[1] + ("raise NotImplementedError\n" if m[1] else ""), source)


@functools.cache
def compiled(source, name):
    # hidden tests say when they begin, for those who listen
    return compile(source.replace(HIDDEN, "_hidden = True"), name, "exec")


@contextlib.contextmanager
def fresh_numbers(seed):
    """Hidden tests draw new numbers in each run; here the same ones for the same seed, so that a run can be told."""
    make, seeds = np.random.default_rng, itertools.count(1000 * seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "default_rng", lambda s=None: make(next(seeds) if s is None else s))
        yield


def run(name, answers=None, planted=None, skip=SLOW, seed=0):
    """What the tests of a problem set raise, by test.

    Parameters
    ----------
    answers : source of answer cells that replaces that of the solution
    planted : function of the namespace, called after each answer cell with its name
    skip : tests that are not run
    seed : of the numbers that hidden tests draw
    """
    namespace, raised = {}, {}
    with (
        fresh_numbers(seed),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),  # outside of a test, as in a notebook, an overflow is only a warning
    ):
        warnings.simplefilter("ignore")
        for cell in code_cells(name):
            cell_id = info(cell).grade_id
            if cell_id in skip:
                continue
            namespace["_hidden"] = False
            try:
                exec(compiled((answers or {}).get(cell_id, cell.source), cell_id), namespace)
            except Exception as error:
                raised[cell_id] = error
            if planted and info(cell).solution:
                planted(namespace)
    return raised


def slow_tests_but(*answers):
    """Slow tests of other answers than these."""
    return {test for test in SLOW if not any(test.startswith(f"test-{answer}") for answer in answers)}


def sections(path):
    """Source by the title of a ``# %%`` line."""
    _, *parts = re.split(r"^# %% ", path.read_text("utf-8"), flags=re.MULTILINE)
    result = dict(part.split("\n", 1) for part in parts)
    assert len(result) == len(parts), f"two sections of one name in {path.name}"
    return result


def defines(source):
    """Names that a piece of code binds at its top level."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        else:
            names |= {
                n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
    return names


# --- The solution, and an empty answer ----------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_the_solution_gets_all_points(name):
    assert run(name, skip=()) == {}


@pytest.mark.parametrize("name", SETS)
def test_whoever_only_opens_and_hands_in_gets_nothing(name):
    answers = {cell_id: stub(source) for cell_id, source in solution(name).items()}
    assert set(run(name, answers, skip=())) >= set(points(name))


@pytest.mark.parametrize("name", SETS)
def test_points_ids_and_marks_are_as_nbgrader_wants_them(name):
    ids = [info(cell).grade_id for cell in cells(name)]
    assert len(set(ids)) == len(ids)
    for cell in cells(name):
        for part in ("SOLUTION", "HIDDEN TESTS"):
            assert cell.source.count(f"### BEGIN {part}") == cell.source.count(f"### END {part}")
        if info(cell).solution:
            assert "### BEGIN SOLUTION" in cell.source, "an answer that is not cut out"
        if cell.cell_type == "code":
            ast.parse(stub(cell.source))
            assert not cell.outputs


HEADING = re.compile(r"^## .*\((\d+) points, (\d+) minutes(, graded by hand)?\)$", re.MULTILINE)


@pytest.mark.parametrize("name", SETS)
def test_the_text_says_points_and_minutes_as_they_are(name):
    graded, said, section = defaultdict(float), {}, None
    for cell in cells(name):
        if found := HEADING.search(cell.source):
            section = found[0]
            said[section] = int(found[1]), bool(found[3])
        if "points" in info(cell):
            graded[section, cell.cell_type == "markdown"] += info(cell).points
    assert {(section, hand): worth for section, (worth, hand) in said.items()} == graded

    intro = cells(name)[0].source
    total, by_tests, by_hand = map(
        int, re.search(r"\*\*Points\*\* (\d+): (\d+) by tests, (\d+) by hand", intro).groups()
    )
    assert total == by_tests + by_hand == sum(graded.values())
    assert by_hand == sum(worth for (_, hand), worth in graded.items() if hand)
    assert "**You practice**" in intro
    words = {"two": 2, "two and a quarter": 2.25, "two and a half": 2.5, "six": 6}
    hours = words[re.search(r"\*\*Time\*\* about ([a-z ]+) hours", intro)[1]]
    minutes = sum(int(found[2]) for found in HEADING.finditer("\n".join(c.source for c in cells(name))))
    assert abs(minutes - 60 * hours) <= 15


# --- Right answers, written differently ---------------------------------------------------------------

OTHERS = sorted(path.stem for path in (HERE / "answers").glob("*_*.py"))


def other(stem):
    """Set and answers of a file in answers/."""
    return stem.split("_")[0], sections(HERE / "answers" / f"{stem}.py")


def test_each_problem_set_has_two_other_answers_that_are_complete():
    for name in SETS:
        mine = [other(stem)[1] for stem in OTHERS if other(stem)[0] == name]
        assert len(mine) >= 2
        assert all(set(answers) == set(solution(name)) for answers in mine)


@pytest.mark.parametrize("stem", OTHERS)
def test_another_right_answer_gets_all_points(stem):
    name, answers = other(stem)
    assert run(name, answers, skip=()) == {}
    for seed in range(1, 20):
        assert run(name, answers, seed=seed) == {}


def helpers(stem):
    """Functions and classes of another answer that its problem set does not ask for."""
    name, answers = other(stem)
    asked = set().union(*(defines(source) for source in solution(name).values()))
    found = set()
    for node in ast.parse("\n".join(answers.values())).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            found |= defines(ast.unparse(node))
    return found - asked


@pytest.mark.parametrize("stem", [stem for stem in OTHERS if helpers(stem)])
def test_the_tests_use_no_helper_of_the_student(stem):
    name, answers = other(stem)
    pattern = rf"(?<!\.)\b({'|'.join(helpers(stem))})\b"
    renamed = {cell_id: re.sub(pattern, r"my_own_\1", source) for cell_id, source in answers.items()}
    assert renamed != answers
    assert run(name, renamed) == {}


@pytest.mark.parametrize("name", SETS)
def test_the_tests_take_no_name_that_somebody_else_uses(name):
    """Whoever calls a helper softmax must not find it replaced by the softmax of a test."""
    setup = defines(next(cell.source for cell in code_cells(name) if info(cell).grade_id == "setup"))
    asked = set().union(*(defines(source) for source in solution(name).values()))
    theirs = set().union(*(helpers(stem) for stem in OTHERS if other(stem)[0] == name))
    for cell in code_cells(name):
        if info(cell).grade:
            assert not defines(cell.source) & (setup | asked | theirs)
            functions = [
                node.name for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)
            ]
            assert all(function.startswith(("check_", "true_")) for function in functions)


# --- Fresh shapes -------------------------------------------------------------------------------------

# the sizes of the arrays each function gets, a letter an axis; arguments of other kinds are left out
SIZES = {
    "ps1": {
        "neuron": "ND D", "linear": "ND DM M", "relu": "NM", "leaky_relu": "NM", "sigmoid": "NM",
        "forward": "ND DH H HM M", "mse": "NM NM", "bce_from_scores": "NM NM", "softmax": "NK",
        "cross_entropy": "NK N",
    },
    "ps2": {
        "numerical_gradient": "NM", "linear_backward": "NM ND DM", "relu_backward": "NM NM",
        "sigmoid_backward": "NM NM", "tanh_backward": "NM NM", "mse_backward": "NM NM",
        "binary_cross_entropy_backward": "NM NM", "binary_cross_entropy_with_logits_backward": "NM NM",
        "softmax_backward": "NK NK", "softmax_cross_entropy_backward": "NK N",
        "network_gradients": "ND N DH H HK K",
    },
    "ps3": {
        "sgd_step": "", "momentum_step": "", "adam_step": "", "velocity_step": "", "batches": "ND N",
        "bias_gradient": "NM", "softmax_backward": "NK NK", "shuffled": "ND N", "dropout": "NM",
    },
    "ps4": {
        "he_normal": "", "xavier_uniform": "", "conv2d": "NCHW FCKL F",
        "conv2d_backward": "NFOP NCHW FCKL", "max_pool2d": "NCHW", "max_pool2d_backward": "NCOP NCHW",
    },
    "project": {},
}  # fmt: skip
FUNCTIONS = [(name, function) for name in SETS for function in SIZES[name]]


def wrapped(function, wrap):
    """Plants ``wrap(right, namespace)`` in the place of a function."""

    def plant(namespace):
        right = namespace.get(function)
        if right is not None and not hasattr(right, "wrapped"):
            namespace[function] = functools.wraps(right)(wrap(right, namespace))
            namespace[function].wrapped = True

    return plant


def test_every_function_that_is_asked_for_stands_in_the_table():
    for name in SETS:
        functions = set()
        for source in solution(name).values():
            functions |= {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
        assert functions - {"train_xor", "train_digits", "make"} == set(SIZES[name])


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_a_hidden_test_uses_three_examples_and_no_two_equal_sizes(name, function):
    seen = []

    def listen(right, namespace):
        def listening(*args, **kwargs):
            arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
            if namespace["_hidden"]:
                seen.append([a.shape for a in arrays])
            return right(*args, **kwargs)

        return listening

    assert run(name, planted=wrapped(function, listen)) == {}
    assert seen, "no hidden test calls it"
    letters = SIZES[name][function].split()

    def good(shapes):
        if [len(shape) for shape in shapes] != [len(symbols) for symbols in letters]:
            return False
        sizes = dict(zip("".join(letters), itertools.chain(*shapes), strict=True))
        return len(set(sizes.values())) == len(sizes) and sizes["N"] >= 3 and min(sizes.values()) > 1

    assert not letters or any(map(good, seen)), f"fresh shapes: {seen}"


# --- Ways of being wrong that fit every function --------------------------------------------------------


def changed(result, change):
    """A result with all its arrays changed."""
    if isinstance(result, dict):
        return {key: changed(value, change) for key, value in result.items()}
    if isinstance(result, tuple | list):
        return type(result)(changed(value, change) for value in result)
    return change(np.array(result, dtype=float))


def add_to(value):
    """Change an array, or all arrays of a dictionary, in place."""
    for array in value.values() if isinstance(value, dict) else [value]:
        if isinstance(array, np.ndarray):
            array += 1


def in_place(function):
    return function.endswith("_step")


def parrot(right, namespace):
    """Right in the check that the student sees, and nowhere else."""

    def wrong(*args, **kwargs):
        if not namespace["_hidden"]:
            return right(*args, **kwargs)
        return None if in_place(right.__name__) else changed(right(*args, **kwargs), lambda a: 0 * a)

    return wrong


def meddler(right, namespace):
    """Leaves other numbers in the array it was given (of an update: in the gradients)."""

    def wrong(*args, **kwargs):
        given = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray | dict)]
        result = right(*args, **kwargs)
        result = result if in_place(right.__name__) else changed(result, np.copy)
        add_to(given[1 if in_place(right.__name__) else 0])
        return result

    return wrong


def only_changing(change):
    def mutant(right, namespace):
        return lambda *args, **kwargs: changed(right(*args, **kwargs), change)

    return mutant


def last_row_lost(array):
    if array.ndim:
        array[-1] = 0
        return array
    return 0.9 * array


EVERYWHERE = {
    "only the check": parrot,
    "changes what it was given": meddler,
    "an axis too many": only_changing(lambda a: a[..., None]),
    "two decimals": only_changing(lambda a: np.round(a, 2)),
    "the last row is lost": only_changing(last_row_lost),
    "N times too large": only_changing(lambda a: a * 3),
    "the other sign": only_changing(lambda a: -a),
    "nan": only_changing(lambda a: a * np.nan),
}


def fits(function, how):
    if function in ("he_normal", "xavier_uniform"):  # of random numbers only the distribution can be wrong
        return how in ("only the check", "an axis too many", "N times too large", "nan")
    return how in ("only the check", "changes what it was given") or not in_place(function)


@pytest.mark.parametrize(
    ("name", "function", "how"),
    [(name, function, how) for name, function in FUNCTIONS for how in EVERYWHERE if fits(function, how)],
)
def test_a_function_that_is_wrong_in_a_general_way_loses_points(name, function, how):
    raised = run(name, planted=wrapped(function, EVERYWHERE[how]))
    assert raised


# --- Popular wrong answers --------------------------------------------------------------------------------

WRONG = [
    (path.stem, title) for path in sorted((HERE / "wrong_answers").glob("p*.py")) for title in sections(path)
]


def run_wrong(name, title):
    """The solution with one part of it replaced; the part knows the right one as right_NAME."""
    source, right = sections(HERE / "wrong_answers" / f"{name}.py")[title], solution(name)
    names = defines(source)
    part = next(cell_id for cell_id in right if defines(right[cell_id]) & names)
    keep = "".join(f"right_{n} = {n}\n" for n in sorted(names & defines(right[part])))
    with pytest.MonkeyPatch.context() as patch:
        for clock in ("perf_counter", "process_time"):
            patch.setattr(time, clock, getattr(time, clock))  # put back, whatever the answer does to it
        return run(name, {part: f"{right[part]}\n{keep}{source}"}, skip=slow_tests_but(part))


def test_every_problem_set_has_a_dozen_popular_wrong_answers():
    assert all(sum(name == problem_set for name, _ in WRONG) >= 12 for problem_set in SETS)


@pytest.mark.parametrize(("name", "title"), WRONG)
def test_a_popular_wrong_answer_loses_points(name, title):
    raised = run_wrong(name, title)
    assert set(raised) & set(points(name))
    assert not any(isinstance(error, NameError | SyntaxError) for error in raised.values())


# --- Bugs of the clinic -----------------------------------------------------------------------------------

TANH = "{0} = (np.exp({1}) - np.exp(-{1})) / (np.exp({1}) + np.exp(-{1}))"
ONE_LINE = "return dY @ W.T, X.T @ dY, dY.sum(axis=0)"
SOFTMAX = "return P * (dP - np.sum(dP * P, axis=1, keepdims=True))"
GAMMA_BETA = 'self.grads["gamma"], self.grads["beta"] = (dY * X_hat).sum(axis=0), dY.sum(axis=0)'
SIGMOID_TWICE = "S = 1 / (1 + np.exp(-A))\n    return dA * S * (1 - S)"

# problem set -> bug -> places: the solution or a file in answers/, the cell, the right text, the wrong text
PLANTED = {
    "ps1": {
        "relu-in-place": [
            ("ps1", "activations", "return np.maximum(Z, 0)", "Z[Z < 0] = 0\n    return Z"),
            ("ps1_loops", "activations", "result = Z.copy()\n    result[result", "result = Z\n    result[result"),
        ],
        "no-minus": [
            ("ps1", "softmax", "np.mean(logsumexp - S", "np.mean(-logsumexp + S"),
            ("ps1_onehot", "softmax", "return -(one_hot", "return (one_hot"),
        ],
        "mse-broadcast": [
            ("ps1", "losses", "if P.shape != Y.shape:", "if False:"),
            ("ps1_onehot", "losses", "if not P.shape == Y.shape:", "if False:"),
        ],
        "labels-shifted": [
            ("ps1", "softmax", "S[np.arange(len(Z)), labels]", "S[np.arange(len(Z)), labels - 1]"),
            ("ps1_loops", "softmax", "z[label]", "z[label - 1]"),
        ],
    },
    "ps2": {
        "softmax-identity": [
            ("ps2", "softmax", SOFTMAX, "return dP"),
            ("ps2_einsum", "softmax", "return P * dP - P * along[:, np.newaxis]", "return dP"),
        ],
        "softmax-diagonal": [
            ("ps2", "softmax", SOFTMAX, "return dP * P * (1 - P)"),
            ("ps2_loops", "softmax", "np.diag(p) - np.outer(p, p)", "np.diag(p * (1 - p))"),
        ],
        "sigmoid-twice": [
            ("ps2", "activations", "return dA * A * (1 - A)", SIGMOID_TWICE),
            ("ps2_loops", "activations", "return dA * (A - A * A)", SIGMOID_TWICE),
        ],
        "sigmoid-keeps-z": [
            ("ps2", "network", "tanh_backward(dA1, A1)", "tanh_backward(dA1, X @ W1 + b1)"),
            ("ps2_einsum", "network", "np.tanh(Z)\n        return self.A", "Z\n        return np.tanh(Z)"),
        ],
        "relu-wrong-mask": [
            ("ps2", "activations", "dA * (Z > 0)", "dA * (dA > 0)"),
            ("ps2_einsum", "activations", "np.where(Z > 0", "np.where(dA > 0"),
        ],
        "relu-in-place": [
            ("ps2", "activations", "return dA * (Z > 0)", "dA[Z <= 0] = 0\n    return dA"),
            ("ps2_loops", "activations", "dA.copy()", "dA"),
        ],
        "tanh-overflow": [
            ("ps2", "network", "A1 = np.tanh(X @ W1 + b1)", f"Z = X @ W1 + b1\n    {TANH.format('A1', 'Z')}"),
            ("ps2_loops", "network", "a = np.tanh(x @ W1 + b1)", f"z = x @ W1 + b1\n        {TANH.format('a', 'z')}"),
        ],
        "double-n": [
            ("ps2", "linear", ONE_LINE, "return dY @ W.T, X.T @ dY / len(X), dY.mean(axis=0)"),
            ("ps2_loops", "linear", "return [dX, dW, db]", "return [dX, dW / N, db / N]"),
        ],
        "bias-mean": [
            ("ps2", "linear", "dY.sum(axis=0)", "dY.mean(axis=0)"),
            ("ps2_einsum", "linear", 'np.einsum("nm->m", dY)', 'np.einsum("nm->m", dY) / len(dY)'),
        ],
        "bias-forgotten": [
            ("ps2", "linear", "dY.sum(axis=0)", "np.zeros(W.shape[1])"),
            ("ps2_loops", "linear", "db[m] += dY[n, m]", "pass"),
        ],
        "delta-update": [
            ("ps2", "linear", "X.T @ dY", "np.zeros(W.shape) + dY.sum(axis=0)"),
            ("ps2_loops", "linear", "X[n, d] * dY[n, m]", "dY[n, m]"),
        ],
        "not-transposed": [
            ("ps2", "linear", "dY @ W.T", "dY @ W"),
            ("ps2_einsum", "linear", '"nm,dm->nd"', '"nm,md->nd"'),
        ],
        "grads-add-up": [
            (
                "ps2", "linear", ONE_LINE,
                "db = linear_backward.__dict__\n    db[W.shape] = db.get(W.shape, 0) + dY.sum(axis=0)\n"
                "    return dY @ W.T, X.T @ dY, db[W.shape].copy()",
            ),
            (
                "ps2", "network", "    return loss, {",
                "    sums = network_gradients.__dict__\n"
                "    db2 = sums[W1.shape, b2.shape] = sums.get((W1.shape, b2.shape), 0) + db2\n    return loss, {",
            ),
            ("ps2_einsum", "linear", "return dX, dW, db", "linear_backward.db = db = getattr(linear_backward, 'db', 0 * db) + db\n    return dX, dW, db"),
            (
                "ps2_einsum", "network", "first, _, second = layers",
                "first, _, second = layers\n    memory = Dense.__dict__.get(f'memory {W1.shape}')\n"
                "    first.dW = first.dW + (0 if memory is None else memory)\n"
                "    setattr(Dense, f'memory {W1.shape}', first.dW)",
            ),
        ],
        "early-update": [
            ("ps2", "linear", ONE_LINE, "dW = X.T @ dY\n    W = W - 0.1 * dW\n    return dY @ W.T, dW, dY.sum(axis=0)"),
            (
                "ps2", "network", "dA1, dW2, db2 = linear_backward(dZ2, A1, W2)",
                "_, dW2, db2 = linear_backward(dZ2, A1, W2)\n    W2 -= 0.1 * dW2\n    dA1 = dZ2 @ W2.T",
            ),
            (
                "ps2_einsum", "network", "dX, self.dW, self.db = linear_backward(dY, self.X, self.W)",
                "_, self.dW, self.db = linear_backward(dY, self.X, self.W)\n"
                "        self.W = self.W - 0.1 * self.dW\n        dX = dY @ self.W.T",
            ),
        ],
        "no-minus": [
            ("ps2", "network", "np.mean(np.log(np.exp(S).sum(axis=1)) - S", "np.mean(-np.log(np.exp(S).sum(axis=1)) + S"),
            ("ps2_einsum", "network", "loss = -np.take", "loss = np.take"),
        ],
        "missing-n": [
            ("ps2", "softmax", "return P / len(Z)", "return P"),
            ("ps2_einsum", "softmax", "one_hot(labels, K)) / N", "one_hot(labels, K))"),
        ],
        "mse-n-not-nm": [
            ("ps2", "losses", "2 * (P - Y) / P.size", "2 * (P - Y) / len(P)"),
            ("ps2_loops", "losses", "result /= N * M", "result /= N"),
        ],
        "bce-fused": [
            ("ps2", "losses", "(P - Y) / (P * (1 - P)) / P.size", "(P - Y) / P.size"),
            ("ps2_einsum", "losses", "-mean_over_all(Y / P - (1 - Y) / (1 - P))", "mean_over_all(P - Y)"),
        ],
        "labels-shifted": [
            ("ps2", "softmax", "labels] -= 1", "labels - 1] -= 1"),
            ("ps2_einsum", "softmax", "np.eye(classes)[labels]", "np.eye(classes)[labels - 1]"),
        ],
    },
    "ps3": {
        "softmax-identity": [
            ("ps3", "patients", SOFTMAX, "return dP"),
            ("ps3_plain", "patients", "p * (dp - dp @ p)", "dp"),
        ],
        "softmax-diagonal": [
            ("ps3", "patients", SOFTMAX, "return dP * P * (1 - P)"),
            ("ps3_plain", "patients", "p * (dp - dp @ p)", "dp * p * (1 - p)"),
        ],
        "bias-mean": [
            ("ps3", "patients", "return dY.sum(axis=0)", "return dY.mean(axis=0)"),
            ("ps3_plain", "patients", "return db", "return db / len(dY)"),
        ],
        "bias-forgotten": [
            ("ps3", "patients", "return dY.sum(axis=0)", "return np.zeros(dY.shape[1])"),
            ("ps3_objects", "patients", "np.ones(len(dY)) @ dY", "0 * dY[0]"),
        ],
        "uphill": [
            ("ps3", "sgd", "theta -=", "theta +="),
            ("ps3", "momentum", "theta -=", "theta +="),
            ("ps3", "adam", "theta -=", "theta +="),
            ("ps3_plain", "adam", "params[name] -=", "params[name] +="),
            ("ps3_objects", "sgd", "-rate * direction", "rate * direction"),
        ],
        "momentum-reset": [
            ("ps3", "momentum", "mu * state.get(name, 0) +", "mu * 0 +"),
            ("ps3", "patients", "mu * state.get(name, 0) +", "mu * 0 +"),
            ("ps3_plain", "momentum", "v = state[name]", "v = np.zeros(params[name].shape)"),
            ("ps3_objects", "momentum", "state.setdefault(name, Velocity())", "Velocity()"),
        ],
        "shared-velocity": [
            ("ps3", "momentum", "for name, theta in params.items():\n        state[name] = mu * state.get(name, 0) + grads[name]\n        theta -= lr * state[name]",
             "for name, theta in params.items():\n        key = theta.shape\n        state[key] = mu * state.get(key, 0) + grads[name]\n        theta -= lr * state[key]"),
            ("ps3", "adam", "m, v = state.get(name, (0, 0))", "name = theta.shape\n        m, v = state.get(name, (0, 0))"),
            ("ps3_plain", "patients", "key = name, theta.shape", "key = theta.shape"),
            ("ps3_objects", "momentum", "state.setdefault(name,", "state.setdefault(params[name].shape,"),
            ("ps3_objects", "adam", "for name, theta in params.items():\n        if name not in state:\n            state[name] = Moments(theta.shape)\n        move(theta, state[name].step(grads[name]), lr)",
             "for name, theta in params.items():\n        key = theta.shape\n        if key not in state:\n            state[key] = Moments(theta.shape)\n        move(theta, state[key].step(grads[name]), lr)"),
        ],
        "adam-uncorrected": [
            ("ps3", "adam", "(m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)", "m / (np.sqrt(v) + 1e-8)"),
            ("ps3_objects", "adam", "return self.m / (1 - b1**self.t) / (root + eps)", "return self.m / (np.sqrt(self.v) + eps)"),
        ],
        "adam-eps-inside": [
            ("ps3", "adam", "(np.sqrt(v / (1 - 0.999**t)) + 1e-8)", "np.sqrt(v / (1 - 0.999**t) + 1e-8)"),
            ("ps3_plain", "adam", "(np.sqrt(v_hat) + eps)", "np.sqrt(v_hat + eps)"),
        ],
        "dropout-in-use": [
            ("ps3", "patients", "if not training:\n        return X\n    return", "return"),
            ("ps3_plain", "patients", "if training:", "if True:"),
        ],
        "dropout-unscaled": [
            ("ps3", "patients", "(rng.random(X.shape) >= p) / (1 - p)", "(rng.random(X.shape) >= p)"),
            ("ps3_plain", "patients", "X.shape) / keep", "X.shape)"),
        ],
        "shuffled-apart": [
            ("ps3", "batches", "return [(X[rows], y[rows]) for rows in parts]",
             "return [(X[rows], y[i * batch_size : i * batch_size + len(rows)]) for i, rows in enumerate(parts)]"),
            ("ps3", "patients", "return X[order], y[order]", "return X[order], y"),
            ("ps3_plain", "batches", "X[order], y[order]", "X[order], y"),
            ("ps3_objects", "patients", "np.take(y, where)", "y"),
        ],
    },
    "ps4": {
        "zero-weights": [
            ("ps4", "init", "return rng.uniform(-a, a, (D, M))", "return np.zeros((D, M))"),
            ("ps4", "init", "return np.sqrt(2 / D) * rng.standard_normal((D, M))", "return np.zeros((D, M))"),
            ("ps4_loops", "init", "2 * a * rng.random((D, M)) - a", "np.zeros((D, M))"),
        ],
        "wide-weights": [
            ("ps4", "init", "return rng.uniform(-a, a, (D, M))", "return rng.standard_normal((D, M))"),
            ("ps4", "init", "np.sqrt(2 / D) * rng", "rng"),
            ("ps4_windows", "init", "W * np.sqrt(2.0 / W.shape[0])", "W"),
        ],
        "kernel-flip": [
            ("ps4", "conv-backward", '"nfij,fc->ncij", dY, W[:, :, k, l]', '"nfij,fc->ncij", dY, W[:, :, KH - 1 - k, KW - 1 - l]'),
            ("ps4_windows", "conv-backward", "W[:, :, ::-1, ::-1].swapaxes", "W.swapaxes"),
        ],
        "pool-to-all": [
            ("ps4", "pool", "dX[entry] = dY * first", "dX[entry] = dY"),
            ("ps4_windows", "pool", "np.put_along_axis(spread, winner, dY[..., None], axis=-1)", "spread[...] = dY[..., None]"),
        ],
        "bias-mean": [
            ("ps4", "conv-backward", "dY.sum(axis=(0, 2, 3))", "dY.mean(axis=0).sum(axis=(1, 2))"),
            ("ps4_windows", "conv-backward", "rows.sum(axis=0)", "rows.sum(axis=0) / N"),
        ],
        "bias-forgotten": [
            ("ps4", "conv-backward", "dY.sum(axis=(0, 2, 3))", "np.zeros(len(W))"),
            ("ps4_loops", "conv-backward", "db += d.sum(axis=0)", "pass"),
        ],
        "double-n": [
            ("ps4", "conv-backward", "dW, dY.sum(axis=(0, 2, 3))", "dW / len(X), dY.sum(axis=(0, 2, 3)) / len(X)"),
            ("ps4_loops", "conv-backward", "return dX, dW, db", "return dX, dW / len(X), db / len(X)"),
        ],
        "delta-update": [
            ("ps4", "conv-backward", 'np.einsum("nfij,ncij->fc", dY, padded[window])', "dY.sum(axis=(0, 2, 3))[:, None]"),
            ("ps4_loops", "conv-backward", "d.T @ X[:, :, row, column]", "d.sum(axis=0)[:, None]"),
        ],
    },
    "project": {
        "grads-add-up": [
            ("project", "layer", GAMMA_BETA, GAMMA_BETA + ' + self.grads.get("beta", 0)'),
            ("project_softplus", "layer", '(dY * (slope * Z - Y))', 'self.grads.get("log_beta", 0) + (dY * (slope * Z - Y))'),
            ("project_residual", "layer", "= A.T @ dY", '= self.grads.get("V", 0) + A.T @ dY'),
        ],
        "early-update": [
            ("project", "layer", 'd = dY * self.params["gamma"]', 'self.params["gamma"] -= 0.1 * self.grads["gamma"]\n        d = dY * self.params["gamma"]'),
            ("project_residual", "layer", "return dY + dZ", 'self.params["U"] -= 0.1 * self.grads["U"]\n        return dY + dZ'),
        ],
        "bias-mean": [
            ("project", "layer", ", dY.sum(axis=0)", ", dY.mean(axis=0)"),
            ("project_residual", "layer", "dZ.sum(axis=0)", "dZ.mean(axis=0)"),
            ("project_softplus", "layer", ".sum(axis=0)", ".mean(axis=0)"),
        ],
        "bias-forgotten": [
            ("project", "layer", ", dY.sum(axis=0)", ", np.zeros(self.features)"),
            ("project_residual", "layer", "dZ.sum(axis=0)", "np.zeros(self.H)"),
        ],
        "double-n": [
            ("project", "layer", GAMMA_BETA, GAMMA_BETA.replace("sum", "mean")),
            ("project_residual", "layer", "X.T @ dZ", "X.T @ dZ / len(X)"),
        ],
        "delta-update": [
            ("project", "layer", "(dY * X_hat).sum(axis=0)", "dY.sum(axis=0)"),
            ("project_residual", "layer", "X.T @ dZ", "np.zeros((self.D, self.H)) + dZ.sum(axis=0)"),
        ],
        "sigmoid-keeps-z": [
            ("project", "layer", "self._remember(X_hat, s)", "self._remember(X, s)"),
            ("project_residual", "layer", "= X, A\n", '= X, X @ self.params["U"] + self.params["c"]\n'),
            ("project_softplus", "layer", "self._remember(X.copy(), Y)", "self._remember(Y, Y)"),
        ],
        "relu-in-place": [
            ("project", "layer", "X_hat = (X - X.mean(axis=1, keepdims=True)) / s", "X -= X.mean(axis=1, keepdims=True)\n        X_hat = X / s"),
            ("project_channels", "layer", "return X * self.mask", "X *= self.mask\n        return X"),
        ],
        "not-transposed": [
            ("project_residual", "layer", 'self.params["V"].T', 'self.params["V"]'),
            ("project_residual", "layer", 'self.params["U"].T', 'self.params["U"]'),
        ],
        "dropout-in-use": [
            ("project_channels", "layer", "def infer(self, X):", "def in_use(self, X):"),
        ],
        "dropout-unscaled": [
            ("project_channels", "layer", " / (1 - self.p)", ""),
        ],
    },
}  # fmt: skip

# what no problem set asks for where one would look for it
NOT_ASKED = {
    (
        "ps2",
        "mse-broadcast",
    ): "its gradient is right for equal shapes, and ps2 promises those; ps1 has the loss",
}
# layers that the project's solution, layer normalization, has no place for: planted in other projects only
ELSEWHERE = {"not-transposed", "dropout-in-use", "dropout-unscaled"}


def run_planted(stem, cell, right, wrong):
    name, answers = (stem, solution(stem)) if stem in SETS else other(stem)
    assert answers[cell].count(right) == 1, f"{right!r} is to stand once in {cell} of {stem}"
    return run(name, {**answers, cell: answers[cell].replace(right, wrong)}, skip=slow_tests_but(cell))


PLACES = [
    (name, bug, *place) for name in PLANTED for bug, places in PLANTED[name].items() for place in places
]


@pytest.mark.parametrize(
    ("name", "bug", "stem", "cell", "right", "wrong"),
    PLACES,
    ids=[f"{bug}-in-{cell}-of-{stem}" for _, bug, stem, cell, _, _ in PLACES],
)
def test_a_bug_of_the_clinic_loses_points(name, bug, stem, cell, right, wrong):
    raised = run_planted(stem, cell, right, wrong)
    assert set(raised) & set(points(name))
    assert not any(isinstance(error, NameError | SyntaxError | TypeError) for error in raised.values())


def targets(bug):
    """Functions that a bug takes the place of; methods have names that say nothing."""
    bug = clinic.BUGS[bug]
    return {target.split(".")[1] for target in (bug.target, *bug.also) if target.count(".") == 1}


def test_every_bug_is_planted_wherever_it_applies_in_the_solution_and_in_another_answer():
    assert set().union(*PLANTED.values()) == set(clinic.BUGS)
    for name in SETS:
        for bug, places in PLANTED[name].items():
            answers = {stem for stem, *_ in places}
            if name != "project" or bug not in ELSEWHERE:
                assert name in answers, f"{bug} is not in the solution of {name}"
                assert len(answers) >= 2, f"{bug} is in no other answer of {name}"
    for name, bug in itertools.product(SETS, clinic.BUGS):
        functions = set().union(*(defines(source) for source in solution(name).values()))
        if functions & targets(bug):
            assert (bug in PLANTED[name]) != ((name, bug) in NOT_ASKED), f"{bug} in {name}"


def kill_table(name):
    """Lines that say for each bug of a problem set which tests noticed it and what it costs."""
    lines, killed, total = [], 0, 0
    for bug, places in PLANTED[name].items():
        for stem, cell, right, wrong in places:
            raised = set(run_planted(stem, cell, right, wrong)) & set(points(name))
            lost = sum(points(name)[test] for test in raised)
            total, killed = total + 1, killed + bool(raised)
            noticed = ", ".join(sorted(raised)) or "NOBODY"
            lines.append(f"  {bug:<18} {stem:<18} {cell:<14} -{lost:<4g} {noticed}")
    head = f"{name}: {len(PLANTED[name])} bugs of the clinic in {total} places, {killed} noticed"
    return [head, f"  {'bug':<18} {'answer':<18} {'cell':<14} points, tests that notice", *lines]


if __name__ == "__main__":
    for problem_set in SETS:
        print("\n".join(kill_table(problem_set)), end="\n\n")
    for problem_set in SETS:
        titles = [title for name, title in WRONG if name == problem_set]
        unnoticed = [title for title in titles if not run_wrong(problem_set, title)]
        print(
            f"{problem_set}: {len(titles)} popular wrong answers, unnoticed: {', '.join(unnoticed) or 'none'}"
        )
    for stem in OTHERS:
        problem_set, answers = other(stem)
        rejected = [raised for raised in (run(problem_set, answers) for _ in range(20)) if raised]
        print(f"{stem}: rejected {len(rejected)} times of 20 {rejected[:1] or ''}")
