"""The Python that the pages and the README print runs, and says what they say it says."""

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

import course_map
import nbformat

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{i}")
    for page in [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
    if not page.name.startswith("quiz-")  # code in questions is often wrong on purpose
    for i, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    )
]


def test_there_are_such_blocks():
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS)
def test_a_printed_block_of_python_runs(block, capsys):
    exec(compile(block, "page", "exec"), {})
    promised = re.findall(r"print\(.*\)\s+# (.+)$", block, re.M)
    assert capsys.readouterr().out.splitlines() == promised


def test_the_page_on_use_names_the_chapters_that_do_less_in_the_browser():
    page = (ROOT / "book" / "how-to-use.md").read_text("utf-8")
    named = re.findall(r"^\| \{doc\}`/notebooks/([\w-]+)` \|", page, re.M)
    less = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if does_less(path)]
    assert named == less


def does_less(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return bool(re.search(r"\bif (in_)?browser\b", code, re.IGNORECASE))


# --- The map and the introduction say what the chapters say -------------------------------------------------

CHAPTERS = course_map.read_chapters(ROOT / "notebooks")
NEEDS = {number: chapter.needs for number, chapter in CHAPTERS.items()}


def test_the_introduction_lists_every_chapter_with_the_minutes_that_it_gives():
    index = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    for chapter in CHAPTERS.values():
        row = (
            rf"\[{chapter.number}\. [^]]+\]\(\.\./notebooks/{chapter.stem}\.ipynb\).*\| {chapter.minutes} \|"
        )
        assert re.search(row, index), f"index.md lacks {chapter.stem} with {chapter.minutes} minutes"


def test_every_chapter_but_the_first_builds_on_earlier_ones():
    assert NEEDS[1] == ()
    for number, needs in NEEDS.items():
        assert needs or number == 1, f"chapter {number} does not say what it needs"
        assert set(needs) <= set(range(1, number)), f"chapter {number} needs {needs}"


def test_the_chapters_stand_in_the_table_of_contents_in_their_order():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = [int(number) for number in re.findall(r"file: notebooks/(\d\d)-", toc)]
    assert listed == sorted(listed)
    assert set(CHAPTERS) <= set(listed)


def test_the_map_has_an_arrow_for_every_need_or_a_way_of_arrows():
    drawn = course_map.arrows(NEEDS)
    direct = {number: [start for start, end in drawn if end == number] for number in NEEDS}
    for number, needs in NEEDS.items():
        assert set(needs) <= course_map.before(number, direct)
        assert set(direct[number]) <= set(needs), "and none besides"


def test_an_arrow_that_follows_from_others_is_left_out():
    assert course_map.arrows({1: (), 2: (1,), 3: (1, 2)}) == [(1, 2), (2, 3)]


def test_arrows_of_the_map_lead_down_and_cross_no_box():
    for start, end in course_map.arrows(NEEDS):
        path = [float(n) for n in re.findall(r"-?[\d.]+", course_map.way(start, end, CHAPTERS))]
        points = list(zip(path[::2], path[1::2], strict=True))
        assert points[0][1] < points[-1][1], (start, end)
        for number in set(CHAPTERS) - {start, end}:
            x, y = course_map.place(number)
            for (x1, y1), (x2, y2) in pairwise(points):
                beside = max(x1, x2) < x - course_map.WIDTH / 2 or min(x1, x2) > x + course_map.WIDTH / 2
                assert beside or max(y1, y2) < y or min(y1, y2) > y + course_map.HEIGHT, (start, end, number)


def test_the_map_is_drawn_with_a_link_for_every_chapter_and_says_the_arrows_in_words():
    svg = course_map.drawing(CHAPTERS, {number: f"{number}.html" for number in CHAPTERS})
    assert re.findall(r'<a href="(\d+)\.html"', svg) == [str(number) for number in CHAPTERS]
    assert svg.count('class="arrow"') == len(course_map.arrows(NEEDS))
    assert "Chapter 7 builds on 4 and 6." in svg


@pytest.mark.parametrize(
    "part",
    ["# 3. T", "**After this chapter you can**", "**You need**", "**Time** 60 minutes; a second to run."],
)
def test_an_opening_that_lacks_a_part_is_refused(part, tmp_path):
    opening = (
        "# 3. T\n\n**After this chapter you can** x. **You need** {doc}`/notebooks/02-b`. "
        "**Time** 60 minutes; a second to run."
    )
    path = tmp_path / "03-t.ipynb"
    path.write_text(json.dumps({"cells": [{"source": [opening]}]}), encoding="utf-8")
    chapter = course_map.read_chapter(path)
    assert (chapter.number, chapter.needs, chapter.minutes, chapter.run) == (3, (2,), 60, "a second")
    path.write_text(json.dumps({"cells": [{"source": [opening.replace(part, "")]}]}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the first cell of 03-t\.ipynb must have"):
        course_map.read_chapter(path)


# --- The page of the problem sets says what the sets say ----------------------------------------------------

RELEASED = {path.stem: path for path in sorted((ROOT / "assignments" / "release").glob("*/*.ipynb"))}
PAGE = (ROOT / "book" / "problem-sets.md").read_text(encoding="utf-8")


def problem_set(name):
    return nbformat.read(RELEASED[name], as_version=4).cells


@pytest.mark.parametrize("name", RELEASED)
def test_the_page_lists_each_set_with_its_title_points_and_chapters(name):
    text = problem_set(name)[0].source
    [title] = re.findall(r"^# .*?: (.+)$", text, re.M)
    assert f"### {name}: {title}\n\n:::{{problem-set}} {name}\n:::" in PAGE
    [(points, by_hand)] = re.findall(r"\*\*Points\*\* (\d+): \d+ by tests, (\d+) by hand", text)
    [(chapter, hours, *listed)] = re.findall(
        rf"^\| \[{name}\]\S+ \| \[(\d+)\]\S+ \| (.+) \| (\d+) \| (\d+) \|", PAGE, re.M
    )
    assert listed == [points, by_hand]
    words = {"2": "two", "2¼": "two and a quarter", "2½": "two and a half", "6": "six"}
    assert f"**Time** about {words[hours.split()[0]]} hours." in text
    # a set says which chapters it asks about; the project, which layer is worked out already, and where
    assert re.search(rf"chapter(s \d+ to)? {chapter}\b", text)


@pytest.mark.parametrize("name", RELEASED)
def test_the_page_says_for_each_problem_where_to_look(name):
    problems = sum(cell.source.startswith("## Problem") for cell in problem_set(name))
    section = PAGE.split(f":::{{problem-set}} {name}\n:::")[1].split("\n#")[0]
    named = re.findall(r"(\d+)(?: to (\d+))?", re.sub(r"\(\.\..*?\)", "", section))
    assert {n for a, b in named for n in range(int(a), int(b or a) + 1)} == set(range(1, problems + 1))


ANSWERS = [
    ("ps1", "neuron", None, "NotImplementedError"),
    ("ps1", "neuron", "def neuron(X, w, b):\n    return 1 / (1 + np.exp(-(X @ w)))", "Is the bias in it?"),
    ("ps1", "losses", "def mse(P, Y):\n    np.mean((P - Y) ** 2)", "gives nothing yet"),
    ("ps1", "activations", "def relu(Z):\n    Z[Z < 0] = 0\n    return Z", "Your function changed Z itself."),
    (
        "ps2",
        "linear",
        "def linear_backward(dY, X, W):\n    return dY @ W.T, X.T @ dY, dY.sum(0, keepdims=True)",
        "should have shape",
    ),
    (
        "ps2",
        "activations",
        "def relu_backward(dA, Z):\n    import nnlib\n    return nnlib.functional.relu_backward(dA, Z)",
        "you may not call nnlib",
    ),
]


@pytest.mark.parametrize(("name", "problem", "wrong", "part"), ANSWERS)
def test_the_page_quotes_answers_of_checks_as_they_are(name, problem, wrong, part):
    namespace = {}
    if name == "ps2":
        exec("import nnlib\ndef numerical_gradient(f, x): return nnlib.numerical_gradient(f, x)", namespace)
    setup, *cells = [cell for cell in problem_set(name) if cell.cell_type == "code"]
    exec(setup.source, namespace)
    [at] = [n for n, cell in enumerate(cells) if cell.metadata.nbgrader.grade_id == problem]
    exec(wrong or cells[at].source, namespace)
    with pytest.raises((AssertionError, NotImplementedError)) as caught:
        exec(cells[at + 1].source, namespace)
    said = ": ".join(filter(None, (caught.typename, str(caught.value))))
    assert part in said
    assert f"\n`{said}`\n: " in PAGE


@pytest.mark.parametrize("lite", [True, False])
def test_a_problem_set_can_be_downloaded_and_opened_where_there_is_jupyterlite(lite, sphinx_page, tmp_path):
    folder = tmp_path / "assignments" / "release" / "ps1"
    folder.mkdir(parents=True)
    text = "# Set\n\n**For whom** you.\n\n**You practice** to *add*.\n\n**Rules.** None."
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), folder / "ps1.ipynb"
    )
    conf = f"""
import jupyterlite_site
extensions, myst_enable_extensions = ["myst_parser"], ["colon_fence"]
exclude_patterns = ["assignments"]
def setup(app):
    app.add_config_value("lite_available", {lite}, "html")
    app.add_directive("problem-set", jupyterlite_site.ProblemSet)
    app.connect("doctree-resolved", jupyterlite_site.add_links)
"""
    html, said = sphinx_page("index.md", "# Title\n\n:::{problem-set} ps1\n:::\n", conf)
    assert said == ""
    assert "<strong>You practice</strong> to <em>add</em>." in html
    assert re.search(r'download="" href="_downloads/\w+/ps1\.ipynb"', html)
    assert ("lite/notebooks/index.html?path=problem-sets/ps1.ipynb" in html) == lite
    assert "Rules" not in html
