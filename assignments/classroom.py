"""Release problem sets and grade a class: one command each, over nbgrader.

    python assignments/classroom.py release                 # the students' version of every problem set
    python assignments/classroom.py grade ps1               # everything in submitted/*/ps1
    python assignments/classroom.py grade --class ../mine   # all problem sets, of a class kept elsewhere
    python assignments/classroom.py feedback                # after grading by hand: feedback and tables again

`release` writes release/NAME/. `grade` reads CLASS/submitted/STUDENT/NAME/, never changes it, and writes
CLASS/feedback/STUDENT/NAME/NAME.html, CLASS/grades.csv (points, for an LMS) and CLASS/report.csv (what
happened to whom). A submission that is missing, damaged, endless or up to no good costs its own points and
nothing else.
"""

from __future__ import annotations

import argparse
import csv
import html
import json
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import determine_grade
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
KERNEL = "graded-python"
LARGEST = 20 * 2**20  # bytes of a notebook
MARKS = re.compile(r"[^\n]*BEGIN HIDDEN TESTS.*?END HIDDEN TESTS[^\n]*", re.DOTALL)
MATH = re.compile(
    r"```.*?```|`[^`]*`|\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$\s](?:[^$\n]*[^$\s])?)\$", re.DOTALL
)
SCRIPT = re.compile(r"<script[^>]* src=[^>]*>\s*</script>")  # nbconvert asks another host for MathJax
HEADING = re.compile(r"^## (?:Problem )?(\d+)[.:] (.+?)(?: \(.*\))?$", re.MULTILINE)


# --- Settings ------------------------------------------------------------------------------------------


@cache
def settings() -> dict[str, Any]:
    """What classroom.toml says; the one of the class, where it has one."""
    own = Path(os.environ.get("CLASSROOM_ROOT", HERE)) / "classroom.toml"
    return tomllib.loads((own if own.is_file() else HERE / "classroom.toml").read_text("utf-8"))


def configure(c: Any) -> None:
    """Settings for every nbgrader command that runs in this folder, the formgrader included."""
    c.CourseDirectory.course_id = settings()["course"]["id"]
    c.CourseDirectory.root = os.environ.get("CLASSROOM_ROOT", str(HERE))
    c.CourseDirectory.source_directory = str(HERE / "source")
    c.CourseDirectory.submitted_directory = "collected"
    c.ClearSolutions.code_stub = {"python": "raise NotImplementedError  # your code replaces this line"}
    c.ClearSolutions.text_stub = "*Your answer replaces this line.*"
    c.Execute.timeout = settings()["limits"]["cell_seconds"]
    c.AssignLatePenalties.plugin_class = "classroom.PercentPerDay"
    c.GenerateFeedback.preprocessors = [
        "nbgrader.preprocessors.GetGrades", "classroom.ForStudents", "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
    ]  # fmt: skip


class PercentPerDay(LateSubmissionPlugin):  # type: ignore[misc]
    """Some percent of the points for each day begun after a time of grace, up to a limit."""

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float:
        late = settings()["late"]
        days = math.ceil((total_seconds_late - 60 * late["grace_minutes"]) / 86_400)
        return score * min(max(days, 0) * late["percent_per_day"], late["most_percent"]) / 100


class ForStudents(NbGraderPreprocessor):  # type: ignore[misc]
    """What students get: no hidden tests, nor lines of them in tracebacks; formulas that need no script."""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        if cell.cell_type == "markdown":
            cell.source = MATH.sub(as_mathml, cell.source)
        elif MARKS.search(cell.source):
            cell.source = MARKS.sub("# more tests, on other numbers, ran here", cell.source)
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources


def as_mathml(found: re.Match[str]) -> str:
    """A formula as browsers draw it; code, and what is no formula, as it is."""
    text = found["display"] or found["inline"]
    try:
        return found[0] if text is None else convert(text, display="block" if found["display"] else "inline")
    except Exception:  # students write all kinds of things between dollars
        return found[0]


# --- Release -------------------------------------------------------------------------------------------


def problem_sets() -> list[str]:
    """Names of all problem sets."""
    return sorted(path.parent.name for path in HERE.glob("source/*/*.ipynb"))


def nbgrader(*words: str, root: Path, seconds: float = 600, **environment: str) -> tuple[int, str]:
    """Run one nbgrader command: exit code and text. When its time is over, it and all it started are ended."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables = {"PATH": path, "CLASSROOM_ROOT": str(root), "OPENBLAS_NUM_THREADS": "1", **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "nbgrader", *words], cwd=HERE, env={**os.environ, **variables},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        out, _ = process.communicate(timeout=seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):  # Ctrl-C ends the class, not one submission
            raise
    return process.returncode, out


def release(names: Sequence[str], folder: Path, *, root: Path) -> None:
    """Write the students' version of problem sets, and enter their tests and dates into a gradebook."""
    due = settings().get("due", {})
    for name in names:
        code, text = nbgrader(
            "generate_assignment", name, "--force", f"--CourseDirectory.release_directory={folder}", root=root
        )
        if code:
            raise SystemExit(f"{name} could not be released:\n{text[-3000:]}")
        with gradebook_of(root) as gradebook:
            gradebook.update_or_create_assignment(name, duedate=due.get(name))


def gradebook_of(root: Path) -> Gradebook:
    """The class's gradebook."""
    return Gradebook(f"sqlite:///{root / 'gradebook.db'}")


# --- Submissions as they come --------------------------------------------------------------------------


@dataclass
class Submission:
    """What one student handed in, and what is to be said about it."""

    student: str
    notebook: NotebookNode | None = None
    notes: list[str] = field(default_factory=list)


def students(root: Path) -> dict[str, dict[str, str]]:
    """Who is in the class: those of roster.csv and those who handed something in, with what is known of them."""
    known: dict[str, dict[str, str]] = {}
    if (root / "roster.csv").is_file():
        with (root / "roster.csv").open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                known[row["id"]] = {
                    key: row[key] for key in ("first_name", "last_name", "email") if row.get(key)
                }
    if (root / "submitted").is_dir():
        known |= {
            path.name: {} for path in (root / "submitted").iterdir()
            if path.is_dir() and path.name[0] != "." and path.name not in known
        }  # fmt: skip
    return dict(sorted(known.items()))


def collect(folder: Path, name: str) -> Submission:
    """Find and read a submission, whatever state it is in."""
    submission = Submission(folder.parent.name)
    files = [path for path in sorted(folder.glob("*.ipynb")) if path.is_file()]
    expected = folder / f"{name}.ipynb"
    if expected in files:
        files = [expected]
    if not files:
        submission.notes.append(f"missing: no notebook in submitted/{folder.parent.name}/{name}")
    elif len(files) > 1:
        submission.notes.append(f"unclear: {len(files)} notebooks, none of them called {expected.name}")
    else:
        if files[0] != expected:
            submission.notes.append(f"renamed: {files[0].name} was taken for {expected.name}")
        submission.notebook = read(files[0], submission.notes)
    return submission


def read(path: Path, notes: list[str]) -> NotebookNode | None:
    """The notebook, or None and a note."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path.stat().st_size / 2**20:.0f} MB are more than {LARGEST / 2**20:.0f} MB")
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # whatever a damaged file raises, it must not stop the others
        notes.append(
            f"damaged: {path.name} is not a notebook ({(str(error) or 'empty').splitlines()[0][:120]})"
        )
        return None
    return notebook


def grade_id(cell: NotebookNode) -> str | None:
    """Name of a cell that belongs to the problem set."""
    named = cell.metadata.get("nbgrader", {})
    name = named.get("grade_id") if isinstance(named, dict) else None
    return name if isinstance(name, str) else None


def rebuild(released: NotebookNode, submitted: NotebookNode, notes: list[str]) -> NotebookNode:
    """The released notebook with the student's answers in it.

    Cells that were deleted, moved, copied or changed against the rules do not matter then: the answer to each
    problem stands where the problem set has it, and cells of the student's own follow the cell that they
    followed.
    """
    expected = [name for cell in released.cells if (name := grade_id(cell)) is not None]
    texts = {cell.source for cell in released.cells}
    answers: dict[str, str] = {}
    extra: dict[str, list[NotebookNode]] = {}
    last = ""
    for cell in submitted.cells:
        name = grade_id(cell)
        if name in expected:
            if name in answers:
                notes.append(f"copied cell: {name} is there more than once, the first one counts")
                continue
            answers[name] = cell.source
            last = name
        elif cell.source not in texts and cell.source.strip():
            make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
            extra.setdefault(last, []).append(make(cell.source))
    if missing := [name for name in expected if name not in answers]:
        notes.append(f"deleted cells, put back: {', '.join(missing)}")
    if list(answers) != [name for name in expected if name in answers]:
        notes.append("moved cells: put back in their order")
    cells, changed = extra.get("", []), []
    for cell in released.cells:
        name = grade_id(cell) or ""
        if name in answers and cell.metadata.nbgrader.get("locked"):
            if cell.source != answers[name] and cell.cell_type == "code":
                changed.append(name)
        elif name in answers:
            cell.source = answers[name]
        cells += [cell, *(extra.get(name, []) if name else [])]
    if changed:
        notes.append(f"changed cells, put back: {', '.join(changed)}")
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return nbformat.v4.new_notebook(metadata=released.metadata, cells=cells)


# --- Grading -------------------------------------------------------------------------------------------


def grade(name: str, *, root: Path = HERE) -> None:
    """Grade all submissions of one problem set."""
    if root != HERE and (root / "nbgrader_config.py").exists():
        raise SystemExit(
            f"{root}/nbgrader_config.py would change how this class is graded: move it elsewhere"
        )
    released_to = root / "collected" / ".release"
    release([name], released_to, root=root)  # the tests as they are now
    released = released_to / name / f"{name}.ipynb"
    first = first_cell(nbformat.read(released, 4))
    everyone = students(root)
    with gradebook_of(root) as gradebook:
        for student, facts in everyone.items():
            gradebook.update_or_create_student(student, **facts)
    progress = tqdm(everyone, desc=name, unit="submission", disable=not sys.stderr.isatty())
    for student in progress:
        submission = collect(root / "submitted" / student / name, name)
        for folder in ("collected", "autograded", "feedback"):
            shutil.rmtree(root / folder / student / name, ignore_errors=True)
        if submission.notebook is None:
            without_points(root, name, student)
        else:
            rebuilt = rebuild(nbformat.read(released, 4), submission.notebook, submission.notes)
            hand_over(root, name, submission, rebuilt)
            run(root, name, submission, first)
        keep_notes(root, name, submission)


def hand_over(root: Path, name: str, submission: Submission, rebuilt: NotebookNode) -> None:
    """Put a rebuilt submission, and when it came, where nbgrader looks for it."""
    clean = root / "collected" / submission.student / name
    clean.mkdir(parents=True)
    nbformat.write(rebuilt, clean / f"{name}.ipynb")
    copy_slips(root / "submitted" / submission.student / name, clean)


def copy_slips(source: Path, target: Path) -> None:
    """When it came, and the key by which a hub gives feedback back."""
    for slip in ("timestamp.txt", "submission_secret.txt"):
        if (source / slip).is_file():
            shutil.copy(source / slip, target)


def run(root: Path, name: str, submission: Submission, first: str) -> None:
    """Let nbgrader grade a submission in the sandbox; add what happened to its notes."""
    limits, folder = settings()["limits"], root / "collected" / submission.student / name
    report = folder / "sandbox.jsonl"
    with tempfile.TemporaryDirectory(prefix="grading-") as work, tempfile.TemporaryDirectory() as kernels:
        write_kernel(Path(kernels))
        code, text = nbgrader(
            "autograde", name, "--student", submission.student, "--force", f"--Execute.kernel_name={KERNEL}",
            root=root, seconds=limits["wall_seconds"], JUPYTER_PATH=kernels, IPYTHONDIR=f"{kernels}/ipython",
            GRADER_FOLDER=work, GRADER_REPORT=str(report), GRADER_MEGABYTES=str(limits["megabytes"]),
            GRADER_CPU_SECONDS=str(limits["cpu_seconds"]), GRADER_FIRST_CELL=first,
        )  # fmt: skip
    if report.exists():
        tried = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
        submission.notes += [f"forbidden: {what}" for what in tried]
    if code == -signal.SIGKILL:
        submission.notes.append(f"ended after {limits['wall_seconds']} seconds: no points")
    elif code:
        died = "DeadKernelError" in text or "Kernel died" in text
        reason = "the kernel died (memory, processor time, or an exit): no points" if died else text[-300:]
        submission.notes.append(f"not graded to the end: {reason}")
    if code:
        shutil.rmtree(root / "autograded" / submission.student / name, ignore_errors=True)
        without_points(root, name, submission.student)
    else:
        graded = root / "autograded" / submission.student / name / f"{name}.ipynb"
        submission.notes += lost_points(nbformat.read(graded, 4))


def first_cell(released: NotebookNode) -> str:
    """Source of the problem set's own first cell, which imports what the tests use."""
    cells = (cell for cell in released.cells if cell.cell_type == "code")
    return next(str(cell.source) for cell in cells if cell.metadata.get("nbgrader", {}).get("locked"))


def write_kernel(folder: Path) -> None:
    """A kernel specification that starts the sandbox."""
    spec = folder / "kernels" / KERNEL
    spec.mkdir(parents=True)
    argv = [sys.executable, str(HERE / "sandbox.py"), "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "grading", "language": "python"})
    )


def without_points(root: Path, name: str, student: str) -> None:
    """Zero for every part of a submission that could not be run."""
    with warnings.catch_warnings(), gradebook_of(root) as gradebook:
        warnings.simplefilter("ignore")  # of SQLAlchemy, on how nbgrader adds rows
        submission = gradebook.update_or_create_submission(name, student)
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                grade.auto_score, grade.needs_manual_grade = 0.0, False
        gradebook.db.commit()


def lost_points(graded: NotebookNode) -> Iterator[str]:
    """What went wrong in a graded notebook, one line a cell."""
    quiet = logging.getLogger(__name__)
    for cell in graded.cells:
        messages = [
            f"{output.ename}: {output.evalue}".strip(": ")
            for output in cell.get("outputs", []) if output.output_type == "error"
        ]  # fmt: skip
        if any(message.startswith("CellTimeoutError") for message in messages):
            messages = [f"ran longer than {settings()['limits']['cell_seconds']} seconds"]
        if messages:
            points = cell.metadata.get("nbgrader", {}).get("points")
            cost = f" (-{points - (determine_grade(cell, quiet)[0] or 0):g})" if points else ""
            yield f"{grade_id(cell) or 'own cell'}{cost}: {messages[0][:200]}".replace("\n", " ")


def keep_notes(root: Path, name: str, submission: Submission) -> None:
    """Remember what is to be said, for the tables and for those who get no graded notebook back."""
    folder = root / "collected" / submission.student / name
    folder.mkdir(parents=True, exist_ok=True)
    status = "graded" if submission.notebook is not None else "not submitted"
    (folder / "notes.json").write_text(json.dumps({"status": status, "notes": submission.notes}), "utf-8")


# --- What comes out ------------------------------------------------------------------------------------


def feedback(name: str, *, root: Path = HERE) -> None:
    """A page for each student, without the hidden tests."""
    penalize(name, root)
    code, text = nbgrader("generate_feedback", name, "--force", root=root)
    if code and "No notebooks were matched" not in text:
        print(f"feedback on {name} was not written for everyone:\n{text[-1000:]}", file=sys.stderr)
    for student in students(root):
        page = root / "feedback" / student / name / f"{name}.html"
        handed_in = (root / "submitted" / student / name).is_dir()
        if page.is_file():
            page.write_text(SCRIPT.sub("", page.read_text("utf-8")), "utf-8")
        elif handed_in and (notes := notes_of(root, name, student)):
            page.parent.mkdir(parents=True, exist_ok=True)
            lines = "".join(f"<li>{html.escape(note)}</li>" for note in notes["notes"])
            page.write_text(
                f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title><h1>{name}</h1>'
                f"<p>Your submission got no points, because it could not be run.</p><ul>{lines}</ul></html>",
                "utf-8",
            )


def penalize(name: str, root: Path) -> None:
    """The late rule, on the points as they are now: those given by hand count too."""
    rule = PercentPerDay()
    with gradebook_of(root) as gradebook:
        for submission in gradebook.assignment_submissions(name):
            late = submission.total_seconds_late
            for notebook in submission.notebooks:
                late_points = rule.late_submission_penalty(submission.student.id, notebook.score, late)
                notebook.late_submission_penalty = late_points if late > 0 else 0.0
        gradebook.db.commit()


def notes_of(root: Path, name: str, student: str) -> dict[str, Any]:
    """What was said about a submission when it was graded."""
    path = root / "collected" / student / name / "notes.json"
    notes: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return notes


@cache
def columns(name: str) -> dict[str, list[str]]:
    """Problems of a set -> names of the cells that give points for them."""
    found: dict[str, list[str]] = {}
    problem = name
    for cell in nbformat.read(HERE / "source" / name / f"{name}.ipynb", 4).cells:
        if heading := HEADING.search(cell.source if cell.cell_type == "markdown" else ""):
            problem = f"{name}.{heading[1]} {heading[2]}"
        if cell.metadata.get("nbgrader", {}).get("grade"):
            found.setdefault(problem, []).append(str(grade_id(cell)))
    return found


def tables(root: Path = HERE) -> tuple[Path, Path]:
    """Write grades.csv and report.csv for all problem sets that have been graded."""
    everyone = students(root)
    names = [n for n in problem_sets() if any(notes_of(root, n, student) for student in everyone)]
    grades, report = root / "grades.csv", root / "report.csv"
    with (
        gradebook_of(root) as gradebook,
        grades.open("w", newline="", encoding="utf-8") as numbers,
        report.open("w", newline="", encoding="utf-8") as words,
    ):
        points, texts = csv.writer(numbers), csv.writer(words)
        heads = [
            f"{column}" for name in names for column in (*columns(name), f"{name} late", f"{name} total")
        ]
        points.writerow(["student", *heads])
        texts.writerow(["student", "problem set", "points", "out of", "status", "notes"])
        for student in everyone:
            row: list[str] = []
            for name in names:
                cells, line = scores(gradebook, root, name, student)
                row += cells
                texts.writerow([student, name, *line])
            points.writerow([student, *row])
    return grades, report


def scores(gradebook: Gradebook, root: Path, name: str, student: str) -> tuple[list[str], list[str]]:
    """Cells of both tables for one student and problem set."""
    kept = notes_of(root, name, student)
    try:
        entry = gradebook.find_submission(name, student)
    except MissingEntry:  # came into the class after this set was graded
        return [""] * (len(columns(name)) + 2), ["", "", "not graded", ""]
    marks = {grade.name: grade for notebook in entry.notebooks for grade in notebook.grades}
    each = [sum(marks[cell].score for cell in cells) for cells in columns(name).values()]
    waiting = [cell for cell, grade in marks.items() if grade.needs_manual_grade]
    late = entry.late_submission_penalty
    total = sum(each) - late
    status = f"grade by hand: {', '.join(waiting)}" if waiting else kept.get("status", "not graded")
    notes = [f"late: -{late:g}"] * (late > 0) + kept.get("notes", [])
    row = [f"{value:g}" for value in (*each, late, total)]
    return row, [
        f"{total:g}",
        f"{sum(grade.max_score for grade in marks.values()):g}",
        status,
        "; ".join(notes),
    ]


# --- The command line ----------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Release, grade, or write feedback and tables again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["release", "grade", "feedback"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="problem sets; without names all of them")
    parser.add_argument("--class", dest="root", type=Path, default=HERE, help="folder of the class")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(problem_sets()):
        parser.error(f"no problem set {', '.join(sorted(unknown))}: there are {', '.join(problem_sets())}")
    if args.command == "release":
        with tempfile.TemporaryDirectory() as root:  # its gradebook is of no use: grading makes the class's
            release(args.names or problem_sets(), HERE / "release", root=Path(root))
        print(f"students' versions: {HERE / 'release'}")
        return 0
    root = args.root.resolve()
    os.environ["CLASSROOM_ROOT"] = str(root)
    handed_in = [name for name in problem_sets() if any(root.glob(f"submitted/*/{name}"))]
    names = args.names or handed_in
    if not handed_in:
        parser.error(
            f"no submissions: expected {root}/submitted/STUDENT/NAME/NAME.ipynb, NAME one of {problem_sets()}"
        )
    for name in names:
        if args.command == "grade":
            grade(name, root=root)
        feedback(name, root=root)
    print("grades: {}\nwhat happened: {}".format(*tables(root)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
