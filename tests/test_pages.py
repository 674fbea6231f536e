"""The Python that the pages and the README print runs, and says what they say it says."""

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

import course_map

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
