"""Hygiene of the chapters: what nbval cannot see because it only re-executes.

nbval compares nothing where an execution count is missing, so each chapter must be committed executed.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def markdown(notebook):
    return "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")


def test_there_are_chapters():
    assert len(CHAPTERS) >= 2


@every_chapter
def test_it_is_committed_executed_from_top_to_bottom(path):
    cells = code(read(path))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@every_chapter
def test_it_holds_no_errors_no_stderr_and_no_widget_state(path):
    notebook = read(path)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    for cell in code(notebook):
        assert "execution" not in cell["metadata"], "timestamps change on every run"
        for output in cell["outputs"]:
            assert output["output_type"] != "error" or "raises-exception" in cell["metadata"].get("tags", [])
            assert output.get("name") != "stderr", "".join(output["text"])
            assert "application/vnd.jupyter.widget-state+json" not in output.get("data", {})


@every_chapter
def test_a_cell_that_is_not_compared_asserts_its_claim_or_only_draws(path):
    for cell in code(read(path)):
        source = "".join(cell["source"])
        tags = cell["metadata"].get("tags", [])
        assert not {"nbval-skip", "skip-execution"} & set(tags), "every cell runs in CI"
        if "nbval-ignore-output" in tags and any(o["output_type"] == "stream" for o in cell["outputs"]):
            assert re.search(r"^\s*(assert |np\.testing\.)", source, re.M), f"nothing is asserted:\n{source}"


@every_chapter
def test_every_figure_has_a_caption_a_name_and_a_text_for_those_who_cannot_see_it(path):
    names = []
    for cell in code(read(path)):
        if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            settings = cell["metadata"].get("mystnb", {})
            assert len(settings.get("image", {}).get("alt", "")) > 40, "".join(cell["source"])
            assert len(settings["figure"]["caption"]) > 20
            assert "plt.show()" in "".join(cell["source"])
            names.append(settings["figure"]["name"])
    assert len(names) == len(set(names))


@every_chapter
def test_it_is_in_the_table_of_contents_and_small(path):
    assert f"notebooks/{path.stem}" in (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert path.stat().st_size < 1_500_000


@every_chapter
def test_it_has_the_parts_of_a_chapter_and_at_least_six_exercises_with_solutions(path):
    text = markdown(read(path))
    for heading in ("## Predict", "## Exercises", "## Summary", "## Further reading"):
        assert heading in text
    exercises = set(re.findall(r"\{exercise(?:-start)?\}.*\n:label: (\S+)", text))
    solutions = set(re.findall(r"\{solution(?:-start)?\} (\S+)", text))
    assert len(exercises) >= 6
    assert exercises == solutions


@every_chapter
def test_it_opens_with_what_you_can_do_afterwards_what_you_need_and_how_long_it_takes(path):
    opening = "".join(read(path)["cells"][0]["source"])
    assert re.match(rf"# {int(path.stem[:2])}\. \S", opening)
    for part in ("**After this chapter you can** ", "**You need** ", "**Time** "):
        assert part in opening


@every_chapter
def test_it_ends_with_a_summary_of_at_least_five_points(path):
    summary = re.search(r"^## Summary\n(.*?)(?=^## |\Z)", markdown(read(path)), re.M | re.S)
    assert summary
    assert len(re.findall(r"^- \S", summary[1], re.M)) >= 5


def test_each_equation_label_occurs_once_in_the_whole_book():
    texts = [markdown(read(path)) for path in CHAPTERS]
    texts += [page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("*.md")]
    texts = [re.sub(r"^```.*?^```", "", text, flags=re.M | re.S) for text in texts]
    labels = Counter(label for text in texts for label in re.findall(r"^\$\$\s*\((eq-[\w-]+)\)", text, re.M))
    assert labels
    assert [label for label, count in labels.items() if count > 1] == []


def test_no_time_is_claimed_in_the_browser_where_a_program_cannot_count_its_own():
    """There the clock on the wall is the only one, and it runs on while others have the core."""
    measured = "gain|cost|whole|share|slopes|curves"
    chapter = read(ROOT / "notebooks" / "18-why-is-this-fast.ipynb")
    cells = ["".join(cell["source"]) for cell in code(chapter)]
    claims = re.findall(rf"^\s*assert .*\b(?:{measured})\b.*", "\n".join(cells), re.M)
    assert len(claims) > 20
    assert [claim for claim in claims if not claim.strip().startswith("assert in_browser or ")] == []


def test_nbval_refuses_another_output_and_shows_what_a_failed_cell_printed(tmp_path):
    cell = {"cell_type": "code", "execution_count": 1, "outputs": []}
    printed = [{"output_type": "stream", "name": "stdout", "text": "1.50\n"}]
    cells = [
        cell | {"id": "same", "metadata": {}, "source": "print('1.50')", "outputs": printed},
        cell | {"id": "other", "metadata": {}, "source": "print('1.40')", "outputs": printed},
        cell | {"id": "claim", "metadata": {}, "source": "x = 7\nprint(f'{6 * x} times')\nassert x > 8"},
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "page.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "conftest", "--color=no"]
    run = subprocess.run([*command, tmp_path / "page.ipynb"], cwd=ROOT, capture_output=True, text=True)
    assert "2 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    assert re.search(r"^\W*mismatch 'stdout'", run.stdout, re.M)
    assert re.search(r"Printed by the cell -+\n42 times$", run.stdout, re.M)
