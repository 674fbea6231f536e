"""Put the sources of the answer key into a folder, ready for `jupyter-book build`.

    python assignments/teacher-book/stage.py _build/teacher/source

The pages of this folder, the configuration of the main book with what `_config.yml` here changes, each problem
set with the outputs of a fresh run, the tables of points, the keys of the quizzes, and the chapters' exercises
with their solutions. All is made from the files that students get theirs from; nothing outside of the
given folder is written. Solutions and hidden tests that do not run end it with an error.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = HERE.parent / "source"
SETS = sorted(
    (path.name for path in SOURCE.iterdir() if path.is_dir()), key=lambda name: (name == "project", name)
)
QUIZZES = ("foundations", "gradients", "training", "beyond")
SECONDS = 600  # for one cell of a problem set

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import course_map
import quiz

from nnlib.proofs import written

# --- What stands in a problem set ---------------------------------------------------------------------------

HEADING = re.compile(r"^## (?P<title>.+?) \((?P<points>\d+) points?\b(?P<rest>[^()]*)\)\s*$", re.MULTILINE)
TOTALS = re.compile(r"\*\*Points\*\* (\d+): (\d+) by tests, (\d+) by hand")
HOURS = re.compile(r"\*\*Time\*\* ([^.]*)\.")
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)\n### END HIDDEN TESTS", re.DOTALL)
CODE = re.compile(r"\w+\(.*\)|\w*_\w*")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@dataclass(frozen=True)
class Part:
    """A cell that gives points."""

    problem: str
    name: str  # its grade_id
    points: int
    by: str  # tests or hand
    minutes: int | None  # of the whole problem, told at its first part
    hidden: str  # what the hidden tests add, as Markdown


@dataclass(frozen=True)
class Totals:
    title: str
    points: int
    tests: int
    hand: int
    time: str


def read(name: str) -> NotebookNode:
    return nbformat.read(SOURCE / name / f"{name}.ipynb", as_version=4)


def grade(cell: NotebookNode) -> Any:
    return cell.metadata.get("nbgrader", {})


def totals(notebook: NotebookNode) -> Totals:
    """What the first cell of a problem set promises."""
    text = notebook.cells[0].source
    found, time = TOTALS.search(text), HOURS.search(text)
    if not found or not time:
        raise ValueError("the first cell must say **Time** …. and **Points** N: T by tests, H by hand.")
    return Totals(text.partition("\n")[0].removeprefix("# "), *map(int, found.groups()), time[1])


def parts(notebook: NotebookNode) -> list[Part]:
    """Every cell that gives points, in order; they must add up to what the set promises."""
    found, heading, told = list[Part](), None, True
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (new := HEADING.search(cell.source)):
            heading, told = new, False
        if not grade(cell).get("grade"):
            continue
        if heading is None:
            raise ValueError(
                f"{grade(cell).grade_id} has points, but no heading such as ## Problem 1: x (5 points)"
            )
        minutes = re.search(r"(\d+) minutes", heading["rest"])
        hidden = HIDDEN.search(cell.source)
        found.append(
            Part(
                heading["title"],
                grade(cell).grade_id,
                int(grade(cell).points),
                "tests" if cell.cell_type == "code" else "hand",
                int(minutes[1]) if minutes and not told else None,
                added(hidden[1]) if hidden else "",
            )
        )
        told = True
    said = totals(notebook)
    for kind, promised in (("tests", said.tests), ("hand", said.hand)):
        given = sum(part.points for part in found if part.by == kind)
        if given != promised:
            raise ValueError(
                f"{said.title}: expected {promised} points by {kind}, got {given}: mend the first cell"
            )
    return found


def added(code: str) -> str:
    """Say what hidden tests check, read from their loops and from what they would say."""
    sizes, words, claims = list[str](), dict[str, list[str]](), list[str]()
    for node in sorted(
        (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.For | ast.Call)),
        key=lambda node: (node.lineno, node.col_offset),
    ):
        if isinstance(node, ast.Call):
            claims += checked(node, words)
            continue
        target, values = ast.unparse(node.target).strip("()"), node.iter
        if isinstance(values, ast.Tuple) and not any(isinstance(n, ast.Name) for n in ast.walk(values)):
            sizes.append(f"`{target}` = {', '.join(map(whole, values.elts))}")
        elif ast.unparse(values).startswith("zip("):
            words[target.split(",")[0]] = literals(values.args[0])
        elif ast.unparse(values).startswith("range("):
            sizes.append(f"`{target}` in `{ast.unparse(values)}`")
    return "; ".join(dict.fromkeys([*sizes, *claims])) or "other numbers"


def whole(node: ast.expr) -> str:
    """Python that is not broken over two lines."""
    return ast.unparse(node).replace(", ", ",\N{NO-BREAK SPACE}")


def literals(node: ast.expr) -> list[str]:
    return [e.value for e in getattr(node, "elts", []) if isinstance(e, ast.Constant)]


def checked(call: ast.Call, words: dict[str, list[str]]) -> list[str]:
    """What `same`, `expect` or a check of the set's own says about; nothing for other calls."""
    function = ast.unparse(call.func)
    if function == "expect":
        return spoken(call.args[1], words)
    if function == "same" or function.startswith("check_"):
        return [f"`{text}`" if CODE.fullmatch(text) else text for text in spoken(call.args[0], words)]
    return []


def spoken(node: ast.expr, words: dict[str, list[str]]) -> list[str]:
    """Texts that a string can be: numbers become dots, names of a loop become each of their values."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if not isinstance(node, ast.JoinedStr):
        return words.get(ast.unparse(node), [])
    texts = [""]
    for piece in node.values:
        found = ["…"]
        if isinstance(piece, ast.Constant):
            found = [piece.value]
        elif isinstance(piece, ast.FormattedValue):
            found = words.get(ast.unparse(piece.value), found)
        texts = [text + new for text in texts for new in dict.fromkeys(found)]
    return [text.split("\n")[0].rstrip(":") for text in texts]


# --- Rubrics ------------------------------------------------------------------------------------------------

CRITERION = re.compile(r"(?P<what>\S.*?) (?P<points>\d+)(?:[,;.]\s*|$)")
LETTER = re.compile(r"\((?P<letter>[a-z])\) (?P<points>\d+)(?: points?)?: ")


def rubric(text: str, points: int) -> list[tuple[str, str, int]]:
    """Rows (part, what is asked, points) of a rubric such as ``(a) 3: both rates 1, formula 2.``

    Raises
    ------
    ValueError
        When the points of a part, or all of them, do not add up.
    """
    pieces = LETTER.split(text)
    groups = list(zip(pieces[1::3], map(int, pieces[2::3]), pieces[3::3], strict=True)) or [
        ("", points, text)
    ]
    rows = []
    for letter, expected, criteria in groups:
        found = [
            (letter, match["what"], int(match["points"])) for match in CRITERION.finditer(criteria.strip())
        ]
        if sum(row[2] for row in found) != expected:
            raise ValueError(
                f"rubric {f'({letter}) ' if letter else ''}should give {expected} points, but its criteria give "
                f"{sum(row[2] for row in found)}: write each as words and a number, with commas between: {criteria}"
            )
        rows += found
    if sum(row[2] for row in rows) != points:
        raise ValueError(
            f"the rubric should give {points} points, but it gives {sum(r[2] for r in rows)}: {text}"
        )
    return rows


# --- A problem set as a page --------------------------------------------------------------------------------


def box(title: str, kind: str, body: str) -> str:
    return f"::::::{{admonition}} {title}\n:class: {kind}\n\n{body.strip()}\n::::::"


def block(code: str, language: str = "python", marked: Sequence[int] = ()) -> str:
    option = f":emphasize-lines: {','.join(map(str, marked))}\n" if marked else ""
    return f"```{{code-block}} {language}\n{option}\n{code}\n```"


def many(points: float) -> str:
    return f"{int(points)} point{'s' * (points != 1)}"


def apart(notebook: NotebookNode) -> NotebookNode:
    """The same code, with each hidden test in a cell of its own, so that its outputs are its own."""
    cells = []
    for cell in notebook.cells:
        found = HIDDEN.search(cell.source) if cell.cell_type == "code" else None
        if found:
            cell.source = (cell.source[: found.start()] + cell.source[found.end() :]).strip()
        cells.append(cell)
        if found:
            cells.append(new_code_cell(found[1], metadata={"hidden": grade(cell).grade_id}))
            cell.metadata["has_hidden"] = True
    notebook.cells = cells
    return notebook


def execute(notebook: NotebookNode, name: str) -> NotebookNode:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    try:
        NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", extra_arguments=["--log-level=40"]
        ).execute()
    except CellExecutionError as error:
        raise SystemExit(f"{name}: the solution does not pass its own tests.\n{error}") from error
    return notebook


def page(notebook: NotebookNode, name: str) -> NotebookNode:
    """A problem set for teachers: frames around what students do not see, points at each part."""
    cells = []
    for cell in notebook.cells:
        if hidden := cell.metadata.get("hidden"):
            cells.append(new_markdown_cell(hidden_tests(cell, hidden)))
        elif grade(cell).get("solution") and cell.cell_type == "markdown":
            cells.append(new_markdown_cell(by_hand(cell, name)))
        elif grade(cell).get("solution"):
            cells.append(new_markdown_cell(solution(cell)))
        else:
            if grade(cell).get("grade"):
                cells.append(new_markdown_cell(label(cell, name)))
            cells.append(cell)
    notebook.cells = cells
    return notebook


def target(name: str, cell: NotebookNode) -> str:
    return f"({name}-{grade(cell).grade_id})="


def label(cell: NotebookNode, name: str) -> str:
    more = "" if cell.metadata.get("has_hidden") else " There are no hidden tests."
    text = f"Check `{grade(cell).grade_id}`: **{many(grade(cell).points)}**, by tests. Students see it.{more}"
    return f"{target(name, cell)}\n::::::{{div}} check-label\n{text}\n::::::"


def hidden_tests(cell: NotebookNode, name: str) -> str:
    outputs = "".join(output.get("text", "") for output in cell.outputs).strip()
    shown = f"\n\n{block(outputs, 'text')}" if outputs else ""
    return box(f"Hidden from students: more of `{name}`", "warning", block(cell.source) + shown)


def solution(cell: NotebookNode) -> str:
    """Code with the lines of the solution marked, without the marks of nbgrader."""
    lines, marked, inside = list[str](), list[int](), False
    for line in cell.source.splitlines():
        if line.strip() in (BEGIN, END):
            inside = line.strip() == BEGIN
            continue
        lines.append(line)
        if inside and line.strip():
            marked.append(len(lines))
    title = f"Solution of `{grade(cell).grade_id}`: students write the marked lines"
    return box(title, "tip", block("\n".join(lines), marked=marked))


def by_hand(cell: NotebookNode, name: str) -> str:
    """A model answer, if there is one, and its rubric as a table."""
    info = grade(cell)
    inside = cell.source.split(BEGIN)[1].split(END)[0]
    answer, mark, criteria = inside.rpartition("Rubric")
    if not mark:
        raise ValueError(
            f"{name}, {info.grade_id}: an answer graded by hand needs a paragraph that starts with Rubric"
        )
    rows = rubric(criteria.strip(".: \n"), int(info.points))
    head = "| for | points |\n|---|---|"
    lines = [f"| {f'({letter}) ' if letter else ''}{what} | {points} |" for letter, what, points in rows]
    boxes = [box(f"Model answer of `{info.grade_id}`", "tip", answer)] if answer.strip() else []
    title = f"Rubric of `{info.grade_id}`: {many(info.points)}, by hand"
    return "\n\n".join([target(name, cell), *boxes, box(title, "note", "\n".join([head, *lines]))])


# --- Tables and keys ----------------------------------------------------------------------------------------


def overview() -> str:
    """One row a problem set."""
    rows = ["| set | points | by tests | by hand | about |", "|---|---|---|---|---|"]
    all_totals = [totals(read(name)) for name in SETS]
    for name, said in zip(SETS, all_totals, strict=True):
        counts = f"{said.points} | {said.tests} | {said.hand} | {said.time.removeprefix('about ')}"
        rows.append(f"| [{said.title.partition(':')[0]}]({name}.ipynb) | {counts} |")
    sums = [sum(getattr(said, key) for said in all_totals) for key in ("points", "tests", "hand")]
    return "\n".join([*rows, f"| **together** | {' | '.join(map(str, sums))} | |"])


def points_table(name: str) -> str:
    """One row for each cell that gives points."""
    lines = [
        "| problem and cell | points | by | minutes | what the hidden tests add |",
        "|---|---|---|---|---|",
    ]
    for part in parts(read(name)):
        extra = part.hidden or ("no hidden tests" if part.by == "tests" else "")
        extra = re.sub(r"[|*]", r"\\\g<0>", extra)
        lines.append(
            f"| {part.problem}<br>[`{part.name}`](#{name}-{part.name}) | {part.points} | {part.by} "
            f"| {part.minutes or ''} | {extra} |"
        )
    return "::::::{div} points-table\n" + "\n".join(lines) + "\n::::::"


def right_answers(question: quiz.Question) -> Iterator[tuple[str, quiz.Option]]:
    """Short name and option of each right answer."""
    for at, option in enumerate(question.options):
        if option.right:
            yield (f"{question.answer:.6g}" if question.kind == "number" else quiz.letter(at)), option


def keys(part: str) -> str:
    """The key of a quiz: a short table, then each question with its right answers and why."""
    questions = quiz.read_page(ROOT / "book" / f"quiz-{part}.md")
    lines = ["| question | right | chapter |", "|---|---|---|"]
    body = []
    for number, question in enumerate(questions, 1):
        right = list(right_answers(question))
        chapter = int(question.chapter.rpartition("/")[2][:2])
        lines.append(f"| {number} | {', '.join(name for name, _ in right)} | {chapter} |")
        body.append(f"### {part.capitalize()}, question {number}\n\n{question.text}")
        body += [box(f"{name} is right", "tip", reason(question, option)) for name, option in right]
    return "\n\n".join([f"## {part.capitalize()}", "\n".join(lines), *body])


def reason(question: quiz.Question, option: quiz.Option) -> str:
    if question.kind != "number":
        return f"{option.text}\n\n{option.feedback}"
    near = f"\n\nNumbers up to {question.tolerance:.3g} away count as right." if question.tolerance else ""
    return option.feedback + near


# --- Exercises of the chapters ------------------------------------------------------------------------------

OPENS = re.compile(r"(`{3,}|:{3,})\{(exercise|solution|solution-end)(?:-start)?\}")
ROLE = re.compile(r"\{([a-z:]+)\}`([^`]*)`")


def without_links(text: str) -> str:
    """Markdown without the links that lead out of a chapter; equations are linked here too."""

    def words(found: re.Match[str]) -> str:
        role, target = found.groups()
        said, _, rest = target.partition(" <")
        if role == "eq":
            return found[0]
        if role == "numref":
            return "the figure in the chapter"
        if role == "doc":
            number = f"chapter {int((rest or target).rpartition('/')[2][:2])}"
            return f"{said} ({number})" if rest else number
        return "" if role == "cite:p" else said

    return ROLE.sub(words, text).replace(":class: dropdown\n", "")


def exercises(chapter: course_map.Chapter) -> NotebookNode:
    """The exercises of a chapter, each with its solution unfolded, as the chapter has them."""
    cells = [new_markdown_cell(f"# Exercises of chapter {chapter.number}: {chapter.title}")]
    keep, closes = False, ""
    for cell in nbformat.read(chapter.path, as_version=4).cells:
        if cell.cell_type == "code":
            cells += [cell] * keep
            continue
        lines = []
        for line in cell.source.splitlines():
            if found := OPENS.match(line):
                keep, closes = True, found[1] if found[2] != "exercise" and "-start" not in line else ""
            lines += [line] * keep
            if closes and line == closes:
                keep, closes = False, ""
        if lines:
            cells.append(new_markdown_cell(without_links("\n".join(lines))))
    return nbformat.v4.new_notebook(cells=cells, metadata=read(SETS[0]).metadata)


def equations(notebooks: Iterable[NotebookNode]) -> str:
    """The equations that exercises name, with the labels that the chapters give them."""
    text = "\n".join(cell.source for notebook in notebooks for cell in notebook.cells)
    named = dict.fromkeys(target for role, target in ROLE.findall(text) if role == "eq")
    here = set(re.findall(r"\$\$ *\(([\w-]+)\)", text))
    shown = [(name, written()[name]) for name in named if name not in here]
    return "\n\n".join(
        f"`{name}`, chapter {int(display.notebook[:2])}:\n\n$$\n{display.latex.strip()}\n$$ ({name})"
        for name, display in shown
    )


# --- The folder ---------------------------------------------------------------------------------------------


def merged(old: Any, new: Any) -> Any:
    """`old` with the entries of `new`. Null takes an entry out; a list is changed by {without: […], with: […]}."""
    if isinstance(old, list) and isinstance(new, dict):
        return [entry for entry in old if entry not in new.get("without", ())] + new.get("with", [])
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    both = old | {key: merged(old[key], value) if key in old else value for key, value in new.items()}
    return {key: value for key, value in both.items() if value is not None}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def save(path: Path, settings: Any) -> None:
    write(path, yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.rstrip() + "\n", encoding="utf-8")


def write_set(name: str, folder: Path, run: bool) -> None:
    notebook = apart(read(name))
    if run:
        execute(notebook, name)
    nbformat.write(page(notebook, name), folder / f"{name}.ipynb")


def stage(folder: Path, run: bool = True) -> None:
    """Write the sources of the answer key into a folder that is new or made by an earlier call."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("_ext", "_static"):
        shutil.copytree(
            ROOT / "book" / part, folder / "book" / part, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )  # fmt: skip
    shutil.copytree(HERE / "_static", folder / "_static", dirs_exist_ok=True)
    for path in HERE.glob("*.md"):
        shutil.copy(path, folder)
    save(folder / "_config.yml", merged(load(ROOT / "_config.yml"), load(HERE / "_config.yml")))
    pages = {
        f"exercises-{n:02}": exercises(c) for n, c in course_map.read_chapters(ROOT / "notebooks").items()
    }
    toc = load(HERE / "_toc.yml")
    toc["parts"].append(
        {"caption": "Exercises", "chapters": [{"file": name} for name in [*pages, "equations"]]}
    )
    save(folder / "_toc.yml", toc)
    for name, notebook in pages.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    generated = folder / "generated"
    write(generated / "overview.txt", overview())
    write(
        generated / "points.txt",
        "\n\n".join(f"## {totals(read(n)).title}\n\n{points_table(n)}" for n in SETS),
    )
    write(generated / "equations.txt", equations(pages.values()))
    write(generated / "keys.txt", "\n\n".join(map(keys, QUIZZES)))
    with ThreadPoolExecutor(max_workers=max(2, (os.cpu_count() or 2) // 2)) as pool:
        list(pool.map(lambda name: write_set(name, folder, run), SETS))


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the sources of the answer key into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-run", action="store_true", help="leave out the outputs, to be quicker")
    asked = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # kernels run side by side
    stage(asked.folder, run=not asked.no_run)


if __name__ == "__main__":
    main()
