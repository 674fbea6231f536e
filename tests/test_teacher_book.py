"""The answer key: all of it is made from the sources, adds up, and none of it is in the published book."""

from __future__ import annotations

import html as html_entities
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "assignments" / "teacher-book"))

import quiz
import stage

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {name: stage.read(name) for name in stage.SETS}
SOLUTION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", re.DOTALL)


def cells(name, pattern):
    """Every text between the marks, in cells that have them."""
    return [text for cell in SOURCES[name].cells for text in pattern.findall(cell.source)]


def graded(name):
    return [cell for cell in SOURCES[name].cells if stage.grade(cell).get("grade")]


def text_of(folder, name):
    return "\n\n".join(cell.source for cell in nbformat.read(folder / f"{name}.ipynb", as_version=4).cells)


def files_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".ipynb", ".md", ".yml")}


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """The sources of the answer key, without outputs."""
    folder = tmp_path_factory.mktemp("teacher") / "source"
    before = files_below(ROOT / "assignments") | files_below(ROOT / "book")
    stage.stage(folder, run=False)
    assert files_below(ROOT / "assignments") | files_below(ROOT / "book") == before
    return folder


# --- Points -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", stage.SETS)
def test_every_cell_that_gives_points_has_one_row_with_its_points(staged, name):
    table = (staged / "generated/points.txt").read_text("utf-8")
    rows = re.findall(rf"\(#{name}-([\w-]+)\) \| (\d+) \| (tests|hand) \|", table)
    kind = {"code": "tests", "markdown": "hand"}
    assert rows == [
        (stage.grade(cell).grade_id, str(int(stage.grade(cell).points)), kind[cell.cell_type])
        for cell in graded(name)
    ]


@pytest.mark.parametrize("name", stage.SETS)
def test_the_points_of_a_set_add_up_to_what_its_first_cell_says(name):
    said = stage.totals(SOURCES[name])
    assert sum(stage.grade(cell).points for cell in graded(name)) == said.points == said.tests + said.hand
    for kind, points in (("tests", said.tests), ("hand", said.hand)):
        assert sum(part.points for part in stage.parts(SOURCES[name]) if part.by == kind) == points


def test_the_overview_adds_up(staged):
    *rows, together = re.findall(
        r"\| (\d+) \| (\d+) \| (\d+) \|", (staged / "generated/overview.txt").read_text("utf-8")
    )
    assert [sum(map(int, column)) for column in zip(*rows, strict=True)] == list(map(int, together))
    assert len(rows) == len(stage.SETS)


def small_set(rubric="Rubric: words 2, more words 1.", points=(4, 3), check="assert f() == 1"):
    """A set with a cell graded by tests and one graded by hand."""
    first = "# Set: small\n\n**Time** an hour. **Points** 7: 4 by tests, 3 by hand."
    marks = [{"grade_id": "f", "solution": True, "grade": False}]
    marks += [{"grade_id": "test-f", "solution": False, "grade": True, "points": points[0]}]
    marks += [{"grade_id": "why", "solution": True, "grade": True, "points": points[1]}]
    hidden = f"print('seen')\n### BEGIN HIDDEN TESTS\n{check}\n### END HIDDEN TESTS"
    made = [
        new_markdown_cell(first),
        new_markdown_cell("## Problem 1: one (4 points, 8 minutes)"),
        new_code_cell("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"),
        new_code_cell(hidden),
        new_markdown_cell("## Problem 2: why (3 points, 5 minutes, graded by hand)"),
        new_markdown_cell(f"### BEGIN SOLUTION\nBecause.\n\n{rubric}\n### END SOLUTION"),
    ]
    for cell, info in zip((made[2], made[3], made[5]), marks, strict=True):
        cell.metadata["nbgrader"] = info
    return new_notebook(cells=made)


def test_points_that_do_not_add_up_end_the_build():
    assert [part.minutes for part in stage.parts(small_set())] == [8, 5]
    with pytest.raises(ValueError, match="expected 4 points by tests, got 5: mend the first cell"):
        stage.parts(small_set(points=(5, 3)))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("for N, D in ((5, 3), (1, 4)):\n    same('f(X)', f(N), D)", "`N, D` = (5, 3), (1, 4); `f(X)`"),
        ("for name, a in zip(('dX', 'db'), found):\n    same(f'the {name}', a, 0)", "the dX; the db"),
        ("for i in range(3):\n    expect(ok, f'{i} fails:\\n{report}')", "`i` in `range(3)`; … fails"),
        ("check_refused('b of shape (3,)', b)", "b of shape (3,)"),
        ("x = rng.normal()\nassert x", "other numbers"),
    ],
)  # fmt: skip
def test_what_hidden_tests_add_is_read_from_them(code, said):
    assert stage.added(code).replace("\N{NO-BREAK SPACE}", " ") == said


# --- Rubrics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", stage.SETS)
def test_every_answer_graded_by_hand_has_a_rubric_that_gives_its_points(staged, name):
    by_hand = [cell for cell in graded(name) if cell.cell_type == "markdown"]
    assert by_hand
    page = text_of(staged, name)
    for cell in by_hand:
        info = stage.grade(cell)
        [table] = re.findall(rf"Rubric of `{info.grade_id}`: .*?\n::::::\n?$", page, re.DOTALL | re.MULTILINE)
        assert sum(map(int, re.findall(r"\| (\d+) \|$", table, re.MULTILINE))) == info.points


def test_a_rubric_becomes_rows_with_letters():
    text = "(a) 3: both rates 1, formula, with N > 1 2. (b) 1 points: one draw 1"
    assert stage.rubric(text, 4) == [
        ("a", "both rates", 1),
        ("a", "formula, with N > 1", 2),
        ("b", "one draw", 1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "(a) 3: one 1, two 1. (b) 1: three 1",
            r"rubric \(a\) should give 3 points, but its criteria give 2",
        ),
        ("(a) 2: one 1, two 1. (b) 1: three 1", "should give 4 points, but it gives 3"),
        ("one 1, two 1", "should give 4 points, but its criteria give 2"),
    ],
)
def test_a_rubric_that_does_not_add_up_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        stage.rubric(text, 4)


# --- Solutions and hidden tests ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", stage.SETS)
def test_a_page_has_every_solution_and_hidden_test_and_no_mark_of_nbgrader(staged, name):
    page = text_of(staged, name)
    assert "### BEGIN" not in page
    assert "### END" not in page
    for cell in SOURCES[name].cells:
        if cell.cell_type == "code":
            for line in cell.source.splitlines():
                assert line in page or line.strip().startswith("### "), line
    hidden = re.findall(r"\{admonition\} Hidden from students.*?\n::::::$", page, re.DOTALL | re.MULTILINE)
    assert len(hidden) == len(cells(name, HIDDEN)) > 0
    for box, code in zip(hidden, cells(name, HIDDEN), strict=True):
        assert code.strip() in box


@pytest.mark.parametrize("name", stage.SETS)
def test_in_a_solution_exactly_the_lines_between_the_marks_are_marked(name):
    for cell in SOURCES[name].cells:
        if cell.cell_type == "code" and stage.grade(cell).get("solution"):
            shown = stage.solution(cell)
            code = shown.split("```")[1].split("\n\n", 1)[1].splitlines()
            marked = [code[int(n) - 1] for n in re.search(r"emphasize-lines: (.*)", shown)[1].split(",")]
            written = [line for text in SOLUTION.findall(cell.source) for line in text.splitlines()]
            assert marked == [line for line in written if line.strip() and "### " not in line]


def test_a_page_shows_what_the_solution_prints(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "read", lambda name: small_set())
    stage.write_set("small", tmp_path, run=True)
    made = nbformat.read(tmp_path / "small.ipynb", as_version=4).cells
    assert [output.text for cell in made for output in cell.get("outputs", [])] == ["seen\n"]


def test_a_solution_that_its_own_hidden_tests_refuse_ends_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "read", lambda name: small_set(check="assert f() == 2, 'f is another number'"))
    with pytest.raises(SystemExit, match=r"(?s)small: the solution does not pass.*f is another number"):
        stage.write_set("small", tmp_path, run=True)


# --- Keys of the quizzes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", stage.QUIZZES)
def test_the_key_is_what_the_quiz_grades_as_right(part, sphinx_page):
    source = (ROOT / "book" / f"quiz-{part}.md").read_text("utf-8")
    conf = "extensions = ['myst_parser', 'quiz']\nmyst_enable_extensions = ['colon_fence', 'dollarmath']"
    page, _ = sphinx_page("index.md", re.sub(r":chapter: \S+", ":chapter: /index", source), conf)
    graded_right = []
    for question in page.split('<div class="quiz-question"')[1:]:
        right = re.findall(r'<li data-option="(\d+)" data-verdict="right"', question)
        number = re.search(r'data-answer="([^"]+)"', question)
        graded_right.append([float(number[1])] if number else [quiz.letter(int(at)) for at in right])
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| \d+ \|$", stage.keys(part), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(graded_right) + 1))
    for (_, key), right in zip(rows, graded_right, strict=True):
        assert key.split(", ") == right or float(key) == pytest.approx(right[0], rel=1e-5)


@pytest.mark.parametrize("part", stage.QUIZZES)
def test_a_key_gives_each_question_its_right_answers_and_why(part):
    questions = quiz.read_page(ROOT / "book" / f"quiz-{part}.md")
    pieces = re.split(r"^### .*, question \d+$", stage.keys(part), flags=re.MULTILINE)[1:]
    for question, piece in zip(questions, pieces, strict=True):
        assert question.text in piece
        for option in question.options:
            assert (option.feedback in piece) == option.right
        assert piece.count(" is right\n") == sum(option.right for option in question.options)


# --- Exercises --------------------------------------------------------------------------------------------

CHAPTERS = stage.course_map.read_chapters(ROOT / "notebooks")


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_exercise_of_a_chapter_is_there_with_its_solution_unfolded(staged, number):
    chapter = "\n".join(c.source for c in nbformat.read(CHAPTERS[number].path, as_version=4).cells)
    page = text_of(staged, f"exercises-{number:02}")
    for directive in (r"\{exercise(?:-start)?\} .+\n:label: (\S+)", r"\{solution(?:-start)?\} (\S+)"):
        found = re.findall(directive, chapter)
        assert found
        assert re.findall(directive, page) == found
    assert "dropdown" not in page
    assert len(re.findall("-start}", page)) == len(re.findall("-end}", page))


def test_links_out_of_a_chapter_become_words_and_equations_stay_links():
    text = "{term}`Weight decay <weight decay>`, {doc}`/notebooks/04-losses`, {eq}`eq-x`{cite:p}`ba2016`"
    assert stage.without_links(text) == "Weight decay, chapter 4, {eq}`eq-x`"


# --- The pages --------------------------------------------------------------------------------------------


def test_lists_of_the_configuration_are_changed_and_entries_taken_out():
    old = {"a": ["x", "y"], "b": {"c": 1, "d": 2}, "e": 3}
    new = {"a": {"without": ["x"], "with": ["z"]}, "b": {"c": None}, "e": None}
    assert stage.merged(old, new) == {"a": ["y", "z"], "b": {"d": 2}}


@pytest.fixture(scope="module")
def pages(staged):
    """The built answer key, without outputs; a warning ends the build."""
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", staged, "-n", "-W", "--keep-going", "-q"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return staged / "_build" / "html"


@pytest.mark.slow
def test_the_pages_look_like_the_book_and_ask_not_to_be_found(pages):
    for name in ("index", "points", "keys", *stage.SETS):
        page = (pages / f"{name}.html").read_text("utf-8")
        assert re.search(
            r'<meta content="noindex, nofollow" name="robots"|<meta name="robots" content="noindex', page
        )
        assert "_static/course.css" in page
        assert "_static/teacher.css" in page
        assert not re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//[^"]*"', page)
    assert (pages / "_static" / "mathjax" / "tex-svg.js").is_file()


# --- The published book -----------------------------------------------------------------------------------

MARKS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
LONG = {"code": 40, "markdown": 24}  # letters that two authors do not write alike by chance


def bare(text, tags=False):
    """Letters without blanks, ways to write line ends and, in HTML, tags: what any kind of file has alike."""
    if tags:
        text = html_entities.unescape(re.sub(r"<[^>]*>", "", text))
    return re.sub(r"\s|\\n|\\", "", text)


def secrets():
    """Pieces of solutions, model answers and hidden tests that are long enough to be known again.

    Rubrics are no secret: students may know what points are given for.
    """
    found = {}
    for name in stage.SETS:
        for cell in SOURCES[name].cells:
            pieces = SOLUTION.findall(cell.source) + HIDDEN.findall(cell.source)
            if cell.cell_type == "markdown":  # formulas and code in it are written another way in a page
                pieces = [
                    p for text in pieces for p in re.split(r"\$[^$]*\$|[`*]|\n", text.split("Rubric")[0])
                ]
            where = f"{name}, {stage.grade(cell).grade_id}"
            found |= {bare(p): where for p in pieces if len(bare(p)) >= LONG[cell.cell_type]}
    return found


def texts(folder):
    """(path, text) of every file that can hold text, and of those in the archives of nnlib."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (
            path.suffix in (".html", ".txt", ".md", ".ipynb", ".json", ".py", ".xml", ".csv")
            or name == "searchindex.js"
        ):
            yield name, path.read_text("utf-8")
        elif path.suffix in (".whl", ".zip") and "nnlib" in path.name:
            with zipfile.ZipFile(path) as archive:
                yield name, "\n".join(archive.read(n).decode("utf-8", "ignore") for n in archive.namelist())


def leaks(folder, known):
    found = []
    for name, text in texts(folder):
        whole = bare(text, tags=name.endswith(".html"))
        found += [f"{name}: {where}" for piece, where in known.items() if piece in whole]
    return found


@pytest.fixture(scope="module")
def published():
    folder = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
    if not (folder / "index.html").is_file():
        pytest.skip(f"no built book in {folder}: run make book first")
    return folder


def test_there_is_something_to_look_for():
    found = secrets()
    assert {where.split(",")[0] for where in found.values()} == set(stage.SETS)
    assert len(found) >= 60


@pytest.mark.slow
def test_what_is_looked_for_is_found_in_the_answer_key(pages):
    known = secrets()
    assert {line.split(": ", 1)[1] for line in leaks(pages, known)} == set(known.values())


def test_the_published_book_has_no_solution_and_no_hidden_test(published):
    assert leaks(published, secrets()) == []


def test_the_published_book_has_no_mark_of_nbgrader_but_where_a_page_explains_them(published):
    explained = {path.stem for path in (ROOT / "book").glob("*.md") if MARKS[0] in path.read_text("utf-8")}
    for name, text in texts(published):
        if Path(name).stem not in explained:
            assert [mark for mark in MARKS if mark in text] == [], name


def test_the_published_book_and_its_search_have_no_page_of_the_answer_key(published):
    assert not [path for path in published.rglob("*") if "teacher-book" in path.name]
    listed = re.search(
        r'docnames:\[(.*?)\]|"docnames": ?\[(.*?)\]', (published / "searchindex.js").read_text("utf-8")
    )
    assert "book/index" in listed[0]
    assert not re.search(r'"(?:assignments|_build|[^"]*teacher-book)', listed[0])


def test_the_target_writes_beside_the_book_only():
    recipe = re.search(
        r"^teacher-book:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )[1]
    assert "_build/teacher/html/index.html" in recipe
    places = re.findall(r"_build/[\w./]*", recipe)
    assert [place for place in places if not place.startswith("_build/teacher")] == []
    assert re.findall(r"rm .*", recipe) == ["rm -rf _build/teacher"]
