"""A class of thirty hands in problem set 2; each gets what the work deserves, and nothing stops the others.

`python tests/test_classroom.py FOLDER` builds the class there, grades it, and prints who got what and why.
"""

import csv
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest

from nnlib import clinic

ROOT = Path(__file__).resolve().parents[1]
CLASSROOM = ROOT / "assignments" / "classroom.py"
SETS = ["project", "ps1", "ps2", "ps3", "ps4"]
pytestmark = pytest.mark.slow

if importlib.util.find_spec("nbgrader") is None:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
        "nbgrader is not installed: pip install -e '.[classroom]'", allow_module_level=True
    )

SETTINGS = """
[course]
id = "test"
[due]
ps2 = 2026-03-01T12:00:00+00:00
[late]
grace_minutes = 15
percent_per_day = 10
most_percent = 50
[limits]
cell_seconds = 12
cpu_seconds = 120
wall_seconds = 240
megabytes = 2500
"""


@cache
def notebook(name, kind):
    return (ROOT / "assignments" / kind / name / f"{name}.ipynb").read_text("utf-8")


def cells_by_id(nb):
    return {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in nb.cells}


def released(name="ps2", **answers):
    """The students' version, with some answers filled in."""
    nb = nbformat.reads(notebook(name, "release"), 4)
    for grade_id, text in answers.items():
        cells_by_id(nb)[grade_id.replace("_", "-")].source = text
    return nb


def solutions(name="ps2"):
    """Reference answers, without the marks."""
    cells = cells_by_id(nbformat.reads(notebook(name, "source"), 4))
    return {
        grade_id: re.sub(r"\s*### (BEGIN|END) SOLUTION", "", cell.source)
        for grade_id, cell in cells.items()
        if grade_id and cell.metadata.nbgrader.solution
    }


def full(**instead):
    """A complete submission, some answers replaced."""
    return released(**{**solutions(), **instead})


def after(grade_id, text):
    """A complete submission with more text behind one answer."""
    return full(**{grade_id: solutions()[grade_id] + "\n\n" + text})


def with_cell(nb, text, place):
    nb.cells.insert(place, nbformat.v4.new_code_cell(text))
    return nb


def without(nb, *grade_ids):
    nb.cells = [c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") not in grade_ids]
    return nb


def reordered(nb):
    """The last problems first, and one answer copied."""
    copied = nbformat.from_dict({**cells_by_id(nb)["losses"], "id": "copied"})
    nb.cells = [*nb.cells[8:], *nb.cells[:8], copied]
    return nb


# Bugs of the clinic -> the answer that has them
PLACES = {
    "functional.linear_backward": "linear",
    "functional.relu_backward": "activations",
    "functional.sigmoid_backward": "activations",
    "functional.mse_backward": "losses",
    "functional.binary_cross_entropy_backward": "losses",
    "functional.softmax_backward": "softmax",
    "functional.softmax_cross_entropy_backward": "softmax",
}
BUGS = [name for name, bug in clinic.BUGS.items() if bug.target in PLACES]
HELPERS = """
def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def softmax(Z):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _pair(P, Y):
    return P, Y


def _classes(Z, Y):
    return Z, np.eye(Z.shape[1])[Y]


def _checked(check, **limits):
    return lambda function: lambda P, Y: function(*check(P, Y))


"""


def with_bug(name):
    bug = clinic.BUGS[name]
    return after(PLACES[bug.target], HELPERS + bug.source())


SPOILT = """
np.testing.assert_allclose = np.testing.assert_array_equal = lambda *a, **k: None
same = expect = zip = lambda *a, **k: []
np.array_equal = np.allclose = lambda *a, **k: True
get_ipython().set_custom_exc((Exception,), lambda *a, **k: None)
get_ipython().showtraceback = lambda *a, **k: None
import nnlib.selfcheck
nnlib.selfcheck.AssertionError = type("Quiet", (SystemExit,), {})


def linear_backward(dY, X, W):
    return 0, 0, 0
"""
BORROWED = """
from nnlib.functional import linear_backward as theirs, softmax_backward


def linear_backward(dY, X, W):
    return theirs(dY, X, W)
"""
SPY = f"""
for path in ({str(ROOT / "assignments" / "source" / "ps2" / "ps2.ipynb")!r}, "../../gradebook.db"):
    try:
        print(open(path, errors="replace").read())
    except PermissionError as error:
        print("no:", error)
"""
LISTENER = """
import inspect

print(In, list(globals().get("_ih", [])))
print([inspect.getsource(f) for f in (true_bce,)])
"""

# student -> submission, points of 60 (10 of them by hand), words that the report must have
CLASS = {
    "ada": (lambda: full(), 50, []),
    "bo-other-code": (
        lambda: full(
            linear="def linear_backward(up, inp, w):\n    out = np.einsum('nm,dm->nd', up, w)\n    g = sum("
            "np.outer(i, u) for i, u in zip(inp, up))\n    return out, g, np.ones(len(up)) @ up",
        ), 50, [],
    ),
    "chi-half": (lambda: released(**{k: solutions()[k] for k in ("numerical", "linear", "activations")}), 22,
                 ["NotImplementedError"]),
    "dee-empty": (lambda: released(), 0, ["NotImplementedError"]),
    "eli-late": (lambda: full(), 40, ["late: -10"]),
    **{f"bug-{name}": (lambda name=name: with_bug(name), None, []) for name in BUGS},
    "loop": (lambda: after("losses", "while True:\n    pass"), 50, ["losses: ran longer than 12 seconds"]),
    "loop-in-function": (lambda: after("losses", "def mse_backward(P, Y):\n    while 1:\n        pass"), 42,
                         ["test-losses (-8): ran longer than 12 seconds"]),
    "hog": (lambda: after("losses", "def mse_backward(P, Y):\n    return np.ones((10**6, 10**4))"), 42,
            ["MemoryError"]),
    "syntax": (lambda: full(losses="def mse_backward(P, Y)\n    return P"), 42, ["SyntaxError"]),
    "deleted": (lambda: without(full(), "test-losses", "activations"), 30,
                ["deleted cells, put back: activations, test-losses"]),
    "reordered": (lambda: reordered(full()), 50, ["moved cells", "copied cell: losses"]),
    "renamed": (lambda: full(), 50, ["renamed: ps2 (1).ipynb"]),
    "spoilt": (lambda: after("linear", SPOILT), 30,
               ["replaced same", "replaced zip", "replaced numpy.array_equal", "changed how cells run"]),
    "borrowed": (lambda: after("linear", BORROWED), 30, ["may not call nnlib"]),
    "spy": (lambda: with_cell(full(), SPY, 5), 50, ["tried to read"]),
    "listener": (lambda: with_cell(full(), LISTENER, len(full().cells)), 50, ["source code not available"]),
    "edited-test": (lambda: full(test_losses="1", losses=solutions()["losses"].replace("/ Z.size", "")),
                    42, ["test-losses (-8): AssertionError", "changed cells, put back: test-losses"]),
    "network": (lambda: after("linear", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')"),
                50, ["use the network"]),
    "exit": (lambda: after("linear", "import os\nos._exit(0)"), 0, ["the kernel died"]),
    "damaged": (lambda: None, 0, ["damaged: ps2.ipynb"]),
    "missing": (lambda: None, 0, ["missing: no notebook"]),
}  # fmt: skip


def build(folder, students=None):
    """Write the submissions of a class."""
    (folder / "classroom.toml").write_text(SETTINGS)
    (folder / "roster.csv").write_text("id,first_name,last_name,email\nmissing,Mo,Missing,mo@example.org\n")
    for student, (make, _, _) in CLASS.items():
        if students is not None and student not in students:
            continue
        place = folder / "submitted" / student / "ps2"
        if student == "missing":
            continue
        place.mkdir(parents=True)
        came = "2026-03-03T12:00:00+00:00" if student == "eli-late" else "2026-03-01T11:00:00+00:00"
        (place / "timestamp.txt").write_text(came)
        if student == "damaged":
            (place / "ps2.ipynb").write_text(json.dumps(full())[:2000])
        else:
            name = "ps2 (1).ipynb" if student == "renamed" else "ps2.ipynb"
            nbformat.write(make(), place / name)


def classroom(*words):
    done = subprocess.run([sys.executable, CLASSROOM, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(path, key="student"):
    with path.open(newline="", encoding="utf-8") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def everything(folder):
    """All files of the submissions, as bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    build(folder)
    before = everything(folder / "submitted")
    classroom("grade", "ps2", "--class", folder)
    assert everything(folder / "submitted") == before, "grading changed a submission"
    return folder


def test_there_are_thirty_students_and_all_of_them_are_in_both_tables(graded):
    assert len(CLASS) >= 30
    assert set(read(graded / "grades.csv")) == set(read(graded / "report.csv")) == set(CLASS)


@pytest.mark.parametrize("student", [s for s in CLASS if not s.startswith("bug-")])
def test_each_student_gets_what_the_work_deserves(student, graded):
    _, points, words = CLASS[student]
    row, said = read(graded / "grades.csv")[student], read(graded / "report.csv")[student]
    assert float(row["ps2 total"]) == points, said["notes"]
    for word in words:
        assert word in said["notes"]
    if student in ("ada", "bo-other-code"):
        assert said["notes"] == ""


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_costs_the_points_of_its_problem_and_of_what_is_built_on_it(bug, graded):
    row, said = read(graded / "grades.csv")[f"bug-{bug}"], read(graded / "report.csv")[f"bug-{bug}"]
    assert re.search(r"should be .*, but it is|should have shape|ValueError: matmul", said["notes"])
    problem = {"linear": 2, "activations": 3, "losses": 4, "softmax": 5}[PLACES[clinic.BUGS[bug].target]]
    got = [float(v) for k, v in row.items() if k.startswith(f"ps2.{problem} ")]
    assert got == [0]
    assert 60 - 10 - 8 - 12 <= float(row["ps2 total"]) <= 60 - 10 - 8


def test_whoever_answered_waits_for_a_grade_by_hand_and_nobody_else(graded):
    report = read(graded / "report.csv")
    assert report["ada"]["status"] == "grade by hand: derive"
    assert report["dee-empty"]["status"] == "graded"
    assert report["missing"]["status"] == report["damaged"]["status"] == "not submitted"


def test_nobody_sees_hidden_tests_or_solutions(graded):
    hidden = 'dict(zip(("W1", "b1", "W2", "b2"), net.grads'
    assert "nnlib.Sequential([nnlib.Linear(D, H, rng=fresh)" in notebook("ps2", "source")
    pages = sorted(graded.glob("feedback/*/ps2/ps2.html"))
    assert len(pages) == len(CLASS) - 1, "a page for everyone who handed something in"
    for page in pages:
        text = page.read_text("utf-8")
        for secret in ("nnlib.Linear(D, H", "HIDDEN TESTS", "BEGIN SOLUTION", "fresh.integers", hidden):
            assert secret not in text.replace("&quot;", '"'), (page.parent.parent.name, secret)
        assert not re.search(r"(src|href)=.https?:", text), "a page that asks another host"
    assert (graded / "feedback/ada/ps2/ps2.html").read_text().count("<math") > 10
    assert "more tests, on other numbers, ran here" in (graded / "feedback/ada/ps2/ps2.html").read_text()
    assert "no: a problem set may not do this" in (graded / "feedback/spy/ps2/ps2.html").read_text()
    assert "kernel died" in (graded / "feedback/exit/ps2/ps2.html").read_text()


def test_a_second_run_gives_the_same_grades_and_keeps_those_given_by_hand(tmp_path, graded):
    from nbgrader.api import Gradebook

    some = ["ada", "eli-late", "chi-half", "exit"]
    build(tmp_path, some)
    classroom("grade", "ps2", "--class", tmp_path)
    first, again = read(graded / "grades.csv"), read(tmp_path / "grades.csv")
    assert {s: again[s] for s in (*some, "missing")} == {s: first[s] for s in (*some, "missing")}
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        for student in ("ada", "eli-late"):
            grade = gradebook.find_grade("derive", "ps2", "ps2", student)
            grade.manual_score, grade.needs_manual_grade = 9, False
        gradebook.find_comment("derive", "ps2", "ps2", "ada").manual_comment = "A clear derivation."
        gradebook.db.commit()
    classroom("feedback", "--class", tmp_path)
    by_hand = read(tmp_path / "grades.csv")
    assert by_hand["ada"]["ps2 total"] == "59"
    assert by_hand["eli-late"]["ps2 total"] == "47.2", "points given by hand are late as well"
    assert read(tmp_path / "report.csv")["ada"]["status"] == "graded"
    assert "A clear derivation." in (tmp_path / "feedback/ada/ps2/ps2.html").read_text()
    classroom("grade", "ps2", "--class", tmp_path)
    assert read(tmp_path / "grades.csv") == by_hand
    assert read(tmp_path / "report.csv")["ada"]["status"] == "grade by hand: derive", "to be looked at again"


def test_the_source_gets_all_points_of_the_tests_and_the_released_version_none(tmp_path):
    others = [name for name in SETS if name != "ps2"]
    for name in others:
        for kind in ("source", "release"):
            place = tmp_path / "submitted" / kind / name
            shutil.copytree(ROOT / "assignments" / kind / name, place)
    classroom("grade", "--class", tmp_path)
    grades, report = read(tmp_path / "grades.csv"), tmp_path / "report.csv"
    for name in others:
        cells = cells_by_id(nbformat.reads(notebook(name, "source"), 4)).values()
        marks = [c.metadata.nbgrader for c in cells if c.metadata.get("nbgrader", {}).get("grade")]
        by_tests = sum(mark.points for mark in marks if not mark.solution)
        assert float(grades["source"][f"{name} total"]) == by_tests, report.read_text()
        assert float(grades["release"][f"{name} total"]) == 0, report.read_text()


def test_the_committed_release_is_what_the_sources_give_and_holds_nothing_secret(tmp_path):
    sys.path.insert(0, str(CLASSROOM.parent))
    try:
        import classroom as tool
    finally:
        sys.path.remove(str(CLASSROOM.parent))
    tool.release(SETS, tmp_path / "release", root=tmp_path)
    for name in SETS:
        fresh = nbformat.read(tmp_path / "release" / name / f"{name}.ipynb", 4)
        assert fresh == nbformat.reads(notebook(name, "release"), 4), f"{name}: run make assignments"
        assert not any(cell.get("outputs") for cell in fresh.cells)
        text = notebook(name, "release")
        assert "SOLUTION" not in text
        assert "HIDDEN" not in text
        for cell in nbformat.reads(notebook(name, "source"), 4).cells:
            secret = re.findall(r"### BEGIN [A-Z ]+\n(.*?)### END", cell.source, re.DOTALL)
            seen = re.sub(r"### BEGIN.*?### END", "", cell.source, flags=re.DOTALL)
            lines = {line.strip() for line in "".join(secret).splitlines() if len(line.strip()) > 25}
            mine = cells_by_id(fresh)[cell.metadata.nbgrader.grade_id].source
            assert not [line for line in lines if line in mine and line not in seen]


def test_what_the_teacher_got_wrong_is_said(tmp_path):
    for words, says in (
        (["grade", "--class", tmp_path], "no submissions: expected"),
        (["grade", "ps9", "--class", tmp_path], "no problem set ps9: there are project, ps1"),
        (
            ["grade", "ps1", "--class", tmp_path / "own"],
            "nbgrader_config.py would change how this class is graded",
        ),
    ):
        (tmp_path / "own" / "submitted" / "ada" / "ps1").mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / "nbgrader_config.py").touch()
        done = subprocess.run([sys.executable, CLASSROOM, *map(str, words)], capture_output=True, text=True)
        assert done.returncode != 0
        assert says in done.stderr


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    build(folder)
    classroom("grade", "ps2", "--class", folder)
    for student, row in read(folder / "report.csv").items():
        print(f"{student:22} {row['points']:>4} of {row['out of']}  {row['status']:24} {row['notes'][:300]}")


if __name__ == "__main__":
    main()
