"""Problem sets: the solutions pass, an answer that is missing or wrong loses its points."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from nnlib import clinic

SOURCE = Path(__file__).resolve().parents[1] / "assignments" / "source"
SETS = sorted(path.name for path in SOURCE.iterdir())
SOLUTION = re.compile(r"([ \t]*)### BEGIN SOLUTION\n.*?### END SOLUTION\n?", re.DOTALL)


def cells(name):
    return nbformat.read(SOURCE / name / f"{name}.ipynb", as_version=4).cells


def info(cell):
    return cell.metadata.nbgrader


def stub(source):
    """What students get: nothing between the marks, inside of functions a line that says so."""
    return SOLUTION.sub(lambda m: m[1] + ("raise NotImplementedError\n" if m[1] else ""), source)


def failed(name, answers=None, planted=None):
    """Names of the tests that fail, when answers are replaced or functions are planted after the answers."""
    namespace, lost = {}, []
    for cell in cells(name):
        if cell.cell_type != "code":
            continue
        cell_id = info(cell).grade_id
        source = (answers or {}).get(cell_id, cell.source)
        try:
            exec(compile(source, cell_id, "exec"), namespace)
        except (Exception, AssertionError):
            lost.append(cell_id)
        if info(cell).solution:
            namespace.update({k: f for k, f in (planted or {}).items() if k in namespace})
    return lost


@pytest.mark.parametrize("name", SETS)
def test_the_solution_gets_all_points(name, capsys):
    assert failed(name) == []


@pytest.mark.parametrize("name", SETS)
def test_whoever_only_opens_and_hands_in_gets_nothing(name, capsys):
    answers = {info(c).grade_id: stub(c.source) for c in cells(name) if c.cell_type == "code"}
    tests = [info(c).grade_id for c in cells(name) if c.cell_type == "code" and info(c).grade]
    assert set(tests) <= set(failed(name, answers))


@pytest.mark.parametrize("name", SETS)
def test_points_ids_and_marks_are_as_nbgrader_wants_them(name):
    ids = [info(cell).grade_id for cell in cells(name)]
    assert len(set(ids)) == len(ids)
    points = sum(info(cell).get("points", 0) for cell in cells(name))
    [said] = re.findall(r"\*\*Points\*\* (\d+)", cells(name)[0].source)
    assert points == int(said)
    assert sum(map(int, re.findall(r"\((\d+) points,", "".join(c.source for c in cells(name))))) == points
    for cell in cells(name):
        for part in ("SOLUTION", "HIDDEN TESTS"):
            assert cell.source.count(f"### BEGIN {part}") == cell.source.count(f"### END {part}")
        if info(cell).solution:
            assert "### BEGIN SOLUTION" in cell.source, "an answer that is not cut out"
        if cell.cell_type == "code":
            ast.parse(stub(cell.source))
            assert not cell.outputs


PLANTED = [
    (name, bug)
    for name in SETS
    for bug in clinic.BUGS
    if bug not in ("mse-broadcast", "relu-in-place")
    and clinic.BUGS[bug].target.startswith("functional.")
    and re.search(
        rf"^def {clinic.BUGS[bug].target.split('.')[1]}\(", "\n".join(c.source for c in cells(name)), re.M
    )
]


@pytest.mark.parametrize(("name", "bug"), PLANTED)
def test_a_bug_of_the_clinic_in_the_solution_loses_points(name, bug, capsys):
    target = clinic.BUGS[bug].target.split(".")[1]
    wrong = clinic.BUGS[bug].wrong

    def planted(*args, **kwargs):
        if target in ("conv2d_backward", "max_pool2d_backward"):  # called with positions in problem sets
            names = ("stride", "padding") if "conv" in target else ("kernel_size",)
            many = 3 if "conv" in target else 2
            kwargs |= dict(zip(names, args[many:], strict=False))
            args = args[:many]
        return wrong(*args, **kwargs)

    assert failed(name, planted={target: planted})


def test_many_bugs_of_the_clinic_fit_into_the_problem_sets():
    assert len(PLANTED) >= 10
