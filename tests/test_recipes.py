"""Files for teachers: submissions from elsewhere go to the right student or to nobody."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "assignments" / "recipes"
PREFIX = "_12345_assignsubmission_file"
ROSTER = """id,first_name,last_name,email,github
u1,Ada,Lovelace,,Countess
u2,José,Núñez Cañas,,
u3,Sam,Smith,,
u4,Sam,Smith,,
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "class"
    root.mkdir()
    (root / "roster.csv").write_text(ROSTER, "utf-8")
    return root


def collect(kind: str, source: Path, root: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(RECIPES / "collect.py"), kind, "ps1", str(source), "--class", str(root), *words],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, name)
    return path


def handed_in(root: Path) -> set[str]:
    return {
        str(path.relative_to(root / "submitted")) for path in root.glob("submitted/**/*") if path.is_file()
    }


@pytest.mark.parametrize("between", ["_ps1.ipynb", "/ps1.ipynb", "_/ps1.ipynb"])
@pytest.mark.parametrize(("name", "student"), [("Ada Lovelace", "u1"), ("nunez canas JOSE", "u2")])
def test_a_moodle_archive_with_folders_or_not_is_matched_by_name(tmp_path, root, between, name, student):
    code, text = collect("moodle", archive(tmp_path / "a.zip", f"{name}{PREFIX}{between}"), root)
    assert (code, handed_in(root)) == (0, {f"{student}/ps1/ps1.ipynb"}), text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Sam Smith" + PREFIX + "_ps1.ipynb"], "2 people of this name"),
        (["Eve Stranger" + PREFIX + "_ps1.ipynb"], "nobody of this name"),
        (["Ada Lovelace" + PREFIX + "_ps1.pdf"], "not a submitted notebook"),
        (["Ada Lovelace" + PREFIX + "/a.ipynb", "Ada Lovelace" + PREFIX + "/b.ipynb"], "2 notebooks"),
        (["../../Ada" + PREFIX + "/../../../ps1.ipynb"], "nobody of this name"),
    ],
)
def test_what_is_not_certain_is_listed_and_left_out(tmp_path, root, names, said):
    code, text = collect("moodle", archive(tmp_path / "a.zip", *names), root)
    assert code == 1
    assert said in text
    assert handed_in(root) == set()


def test_a_path_in_an_archive_never_leads_out_of_the_class(tmp_path, root):
    collect("moodle", archive(tmp_path / "a.zip", f"Ada Lovelace{PREFIX}/../../../../out.ipynb"), root)
    assert handed_in(root) == {"u1/ps1/out.ipynb"}


def test_a_new_submission_takes_the_place_of_the_old_one(tmp_path, root):
    for file in ("_first.ipynb", "_second.ipynb"):
        collect("moodle", archive(tmp_path / "a.zip", f"Ada Lovelace{PREFIX}{file}"), root)
    assert handed_in(root) == {"u1/ps1/second.ipynb"}


def git(folder: Path, *words: str, date: str = "2027-01-20T10:00:00+01:00") -> None:
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
           for key, value in (("NAME", "t"), ("EMAIL", "t@example.org"), ("DATE", date))}  # fmt: skip
    subprocess.run(
        ["git", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**who, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    for account, file in (("ps1-countess", "ps1.ipynb"), ("bob", "ps1.ipynb"), ("ps1-lost", "other.ipynb")):
        folder = tmp_path / "clones" / account
        (folder / "ps1").mkdir(parents=True)
        git(folder, "init", "-q")
        for text, date in (("early", "2027-01-20T10:00:00+01:00"), ("late", "2027-01-23T10:00:00+01:00")):
            (folder / "ps1" / file).write_text(text)
            git(folder, "add", "-A")
            git(folder, "commit", "-qm", text, date=date)
    return tmp_path / "clones"


@pytest.mark.parametrize(
    ("words", "text", "day"), [([], "late", 23), (["--until", "2027-01-22T23:59+01:00"], "early", 20)]
)
def test_clones_give_the_last_commit_and_its_time(repositories, root, words, text, day):
    code, said = collect("clones", repositories, root, *words)
    assert code == 1
    assert "lost: not collected" in said
    for student in ("u1", "bob"):
        folder = root / "submitted" / student / "ps1"
        assert (folder / "ps1.ipynb").read_text() == text
        assert (folder / "timestamp.txt").read_text().strip() == f"2027-01-{day}T10:00:00+01:00"
    assert not (root / "submitted" / "lost").exists()


def test_the_workflow_needs_no_secret_and_the_template_has_all_it_runs():
    text = (RECIPES / "github" / "checks.yml").read_text("utf-8")
    assert "secrets" not in text
    assert "contents: read" in text
    assert re.findall(r"run: (.+)", text) == [
        "python -m pip install -r requirements.txt",
        "python run_checks.py",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [(None, 1), ("source", 0)])
def test_the_visible_checks_fail_on_an_empty_set_and_pass_on_a_solved_one(tmp_path, answer, code):
    name = "ps1"
    notebook = nbformat.read(ROOT / "assignments" / "release" / name / f"{name}.ipynb", 4)
    if answer:
        solved = nbformat.read(ROOT / "assignments" / "source" / name / f"{name}.ipynb", 4)
        answers = {
            c.metadata.nbgrader.grade_id: c.source
            for c in solved.cells
            if c.metadata.nbgrader.get("solution")
        }
        for cell in notebook.cells:
            cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    (tmp_path / name).mkdir()
    nbformat.write(notebook, tmp_path / name / f"{name}.ipynb")
    (tmp_path / "run_checks.py").write_text(
        (RECIPES / "github" / "run_checks.py").read_text("utf-8"), "utf-8"
    )
    done = subprocess.run(
        [sys.executable, "run_checks.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
