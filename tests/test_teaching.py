"""The pages for teachers say what the chapters, the explorers, the quizzes and the problem sets say."""

from __future__ import annotations

import ast
import json
import re
import sys
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np
import pytest
from docutils.nodes import make_id

from nnlib import functional as F
from nnlib.explorers import ENGINES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

import course_map

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = course_map.read_chapters(ROOT / "notebooks")
TEACHING = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
NOTES = (ROOT / "book" / "lecture-notes.md").read_text(encoding="utf-8")
BLOCKS = {int(text.split(".")[0]): text for text in re.split(r"^## ", NOTES, flags=re.M)[1:]}
SOURCES = ROOT / "assignments" / "source"
HOURS = {"two": 120, "three": 180, "four": 240, "five": 300, "six": 360}
PARTS_OF_AN_HOUR = {None: 0, "a quarter": 15, "a half": 30, "three quarters": 45}
QUIZ_MINUTES, MEETING, LESSON = 20, 90, 45


def section(title: str) -> str:
    """Return a section of the page on teaching."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEACHING, re.M | re.S)[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for above, row in zip([None, *tables], tables, strict=False) if not head(row, tables)]


def head(row: list[str], tables: list[list[str]]) -> bool:
    """Whether a row is a line of dashes or stands right above one."""
    below = tables[tables.index(row) + 1 :][:1]
    return any(set("".join(cells)) <= set("-") and any(cells) for cells in [row, *below])


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


# --- Links to explorers ----------------------------------------------------------------------------------


class Link(NamedTuple):
    """An address in the notes: which page, which explorer, which settings on top of the page's own."""

    page: str
    mount: str
    query: str

    @property
    def explorer(self) -> str:
        """Return its name: an explorer that shares it with a heading is numbered."""
        return re.sub(r"-\d$", "", self.mount)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the explorer is given: what the page's cell says, then what the link says."""
        return page_settings(self.page, self.explorer) | dict(
            as_control(self.explorer, name, text)
            for name, text in parse_qsl(self.query, keep_blank_values=True, strict_parsing=True)
        )


def page_settings(page: str, explorer: str) -> dict[str, Any]:
    """Return the settings with which a page shows an explorer."""
    if page == "playground":
        directives = re.findall(
            r"^```\{explorer\} (.+)$", (ROOT / "book/playground.md").read_text("utf-8"), re.M
        )
        assert explorer in directives, f"the playground shows {directives}, without settings"
        return {}
    cells = json.loads((ROOT / "notebooks" / f"{page}.ipynb").read_text("utf-8"))["cells"]
    codes = ["".join(cell["source"]) for cell in cells if "Explorer(" in "".join(cell["source"])]
    [call] = [ast.parse(code).body[-1].value for code in codes]
    assert call.func.id.lower() == f"{explorer.replace('-', '')}explorer", f"{page} shows {call.func.id}"
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


def headings(path: Path) -> set[str]:
    """Return the ids of a chapter's sections."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    texts = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return {make_id(title) for text in texts for title in re.findall(r"^#+ (.+)$", text, re.M)}


def as_control(explorer: str, name: str, text: str) -> tuple[str, Any]:
    """Read a setting as the page's script reads it."""
    [control] = [one for one in ENGINES[explorer].controls if one.name == name]
    if control.kind == "choice":
        return name, control.check(text)
    if control.kind == "toggle":
        return name, control.check({"true": True, "false": False}[text])
    number = float(text)
    return name, control.check(int(number) if control.kind == "whole" and number == int(number) else number)


def links(text: str) -> list[Link]:
    found = re.findall(r'<a\s+href="(?:\.\./notebooks/)?([\w-]+)\.html#([\w-]+)\?([^"]*)"', text)
    return [Link(page, explorer, unescape(query)) for page, explorer, query in found]


LINKS = [(chapter, i, link) for chapter, text in BLOCKS.items() for i, link in enumerate(links(text))]


def test_every_chapter_has_a_block_of_notes_with_a_link_a_board_and_two_questions():
    assert list(BLOCKS) == list(CHAPTERS)
    for chapter, text in BLOCKS.items():
        assert f"</notebooks/{CHAPTERS[chapter].stem}>" in text
        assert links(text), f"chapter {chapter} shows no explorer"
        for part in ("**Open with:**", "**Board**", "**Show**", "*Predict", "**End with:**"):
            assert part in text, f"chapter {chapter} lacks {part}"
        board = text.split("**Board**")[1].split("**Show**")[0]
        assert 3 <= len(re.findall(r"^\d\. ", board, re.M)) <= 5


def test_no_link_of_the_notes_is_overlooked():
    assert len(LINKS) == NOTES.count("<a")


@pytest.mark.parametrize(("chapter", "i", "link"), LINKS, ids=[f"{c}-{i}" for c, i, _ in LINKS])
def test_the_explorer_of_a_link_stands_in_that_page_and_takes_the_settings(chapter, i, link):
    engine = ENGINES[link.explorer](**link.settings)
    assert engine.settings | link.settings == engine.settings
    if "seed" in engine.settings:
        assert "seed=" in link.query, "a link says its seed"
    if link.page != "playground":
        assert link.page == CHAPTERS[chapter].stem
        taken = link.explorer in headings(CHAPTERS[chapter].path)
        assert link.mount == link.explorer + "-2" * taken, "page.js numbers an explorer whose name is taken"


def test_a_setting_that_an_explorer_does_not_have_or_take_is_noticed():
    for query in ("sede=1", "learning_rate=1000", "seed=1.5", "activation=swish", "seed="):
        with pytest.raises(ValueError):  # noqa: PT011 (several reasons, one kind)
            dict(Link("playground", "decision-boundary", query).settings)


# --- What happens after a link: as the notes tell it ------------------------------------------------------


def central(engine: Any) -> float:
    return float(re.search(r"central ([\d.e-]+\d)", engine.describe())[1])


def forward(engine: Any) -> float:
    return float(re.search(r"forward ([\d.e-]+\d)", engine.describe())[1])


def loss(engine: Any) -> float:
    return engine.loss


def right(engine: Any) -> float:
    return engine.accuracy


def first_gradient(engine: Any) -> float:
    return engine.first_sizes[0]


def box(name: str) -> Any:
    return lambda engine: float(engine.boxes[name].flat[0])


def spread(layer: int) -> Any:
    return lambda engine: float(engine.hidden[layer].std(axis=0).mean())


def said(row: int) -> Any:
    return lambda engine: float(engine.net.predict(engine.X)[row, 0])


# chapter, link, steps, what is measured, the number, how far it may be off (relative), the words in the notes
OUTCOMES = [
    (1, 0, 6, central, 2e-7, 0.05, "2 · 10⁻⁷"),
    (1, 0, 6, forward, 0.0011, 0.05, "0.0011"),
    (1, 0, 16, central, 1e-9, 9, "some 10⁻⁹"),
    (1, 1, 0, central, 0.01, 2, "off by a percent"),
    (2, 0, 1, lambda e: e.settings["b"], -0.25, 0.001, "$b$ is −0.25 after one step"),
    (2, 0, 100, lambda e: e.settings["w1"], 2.62, 0.005, "$w_1 = w_2 = 2.62$"),
    (2, 0, 100, loss, 0.032, 0.02, "loss 0.032"),
    (2, 0, 3000, lambda e: e.steps, 839, 0.01, "At step 839"),
    (2, 1, 400, loss, 0.25, 1e-6, "by step 400 it is 0.25"),
    (3, 0, 500, right, 0.90, 0.01, "90 % are right"),
    (3, 0, 2000, loss, 0.205, 0.01, "loss 0.205"),
    (3, 1, 500, right, 1.0, 0.005, "100 % after 500 steps"),
    (3, 1, 500, loss, 0.0015, 0.1, "loss 0.0015"),
    (5, 0, 17, box("L"), 0.3537, 1e-3, "$L = 0.3537$"),
    (5, 0, 17, box("P"), 0.5947, 1e-3, "$P = 0.5947$"),
    (5, 0, 17, box("dP"), 1.189, 1e-3, "$dP = 1.189$"),
    (5, 0, 17, box("dZ2"), 0.2867, 1e-3, "$dZ_2 = 0.2867$"),
    (7, 0, 15, box("Z2"), -0.5025, 1e-3, "$Z_2 = -0.5025$"),
    (7, 0, 15, box("dZ2"), 0.0942, 1e-3, "0.0942"),
    (7, 1, 17, box("dZ2"), 0.0443, 2e-3, "the entry is 0.0443"),
    (8, 0, 0, central, 0.54, 0.9, "8 % or\nmore"),
    (8, 1, 0, central, 1e-9, 9, "10⁻⁹"),
    (9, 0, 1500, loss, 0.0037, 0.02, "0.0037, solved"),
    (9, 1, 1500, loss, 0.127, 0.01, "0.127"),
    (9, 1, 1500, said(2), 0.498, 0.002, "0.498"),
    (9, 1, 1500, said(3), 0.502, 0.002, "0.502"),
    (9, 2, 1500, loss, 0.0011, 0.03, "0.0011"),
    (10, 0, 500, loss, 0.25, 0.01, "0.25 and 0.0041"),
    (10, 1, 500, loss, 0.0041, 0.02, "0.25 and 0.0041"),
    (10, 2, 20, loss, 0.5, 0.05, "near 0.5 within twenty steps"),
    (10, 3, 300, loss, 0.0066, 0.02, "0.0066"),
    (10, 4, 300, loss, 0.0108, 0.02, "0.0108"),
    (10, 5, 300, loss, 0.0094, 0.02, "0.0094"),
    (10, 6, 300, loss, 0.0038, 0.02, "0.0038"),
    (11, 0, 50, loss, 0.0022, 0.02, "0.07 has loss 0.0022 at step 50"),
    (11, 1, 200, loss, 28.1, 0.01, "loss 28.1"),
    (11, 2, 100, lambda e: e.walks["sgd"].left_at, 40, 0.01, "leaves the picture at step 40"),
    (12, 0, 0, first_gradient, 2e-9, 0.05, "2 · 10⁻⁹"),
    (12, 0, 0, lambda e: e.first_sizes[-1], 0.029, 0.03, "0.029"),
    (12, 0, 200, loss, 0.770, 0.001, "0.770"),
    (12, 0, 200, lambda e: e.constant, 0.770, 0.001, "what the best constant gives"),
    (12, 1, 200, loss, 0.769, 0.002, "0.769 and 0.0073"),
    (12, 2, 200, loss, 0.0073, 0.02, "0.769 and 0.0073"),
    (12, 1, 0, first_gradient, 5e-6, 0.02, "5 · 10⁻⁶"),
    (12, 2, 0, first_gradient, 0.0057, 0.02, "0.0057"),
    (13, 0, 157, right, 0.89, 0.015, "about 89 %"),
    (13, 1, 157, right, 0.87, 0.015, "about\n87 %"),
    (13, 2, 157, right, 0.15, 1 / 3, "10 to 20 %"),
    (15, 0, 1000, loss, np.log(2), 1e-6, "loss 0.693 for ever"),
    (15, 1, 0, loss, 0.83, 0.01, "0.83"),
    (15, 1, 1000, loss, np.log(2), 1e-6, "0.693 after 1,000 steps"),
    (15, 2, 0, loss, 0.73, 0.01, "from 0.73 to ten and more"),
    (15, 3, 0, loss, 32.4, 0.01, "32.4"),
    (15, 3, 0, lambda e: e.constant, 0.77, 0.001, "the best constant has 0.77"),
    (15, 3, 0, lambda e: np.mean(np.abs(e.hidden) > 0.99), 0.6, 0.05, "six in ten outputs"),
    (16, 0, 3000, loss, 0.126, 0.005, "0.126"),
    (16, 1, 3000, loss, 0.00047, 0.02, "0.00047"),
    (17, 0, 0, spread(0), 0.205, 0.005, "0.205, 0.047, 0.010, 0.0025"),
    (17, 0, 0, spread(3), 0.0025, 0.03, "0.205, 0.047, 0.010, 0.0025"),
    (17, 1, 0, first_gradient, 9e-5, 0.05, "9 · 10⁻⁵"),
    (17, 1, 200, loss, 0.747, 0.002, "0.747"),
    (18, 0, 40, loss, 0.389, 0.02, "0.389"),
    (18, 1, 625, loss, 0.225, 0.03, "0.225"),
]


@pytest.mark.parametrize(
    ("chapter", "i", "steps", "measure", "number", "off", "words"),
    OUTCOMES,
    ids=[f"{c}-{i}-{s}-{w[:12]}" for c, i, s, *_, w in OUTCOMES],
)
def test_what_the_notes_promise_happens(chapter, i, steps, measure, number, off, words):
    assert words in BLOCKS[chapter]
    link = links(BLOCKS[chapter])[i]
    engine = ENGINES[link.explorer](
        **link.settings | ({"predict": False} if link.explorer == "backprop" else {})
    )
    engine.step(steps)
    assert abs(measure(engine) - number) <= off * abs(number)


@pytest.fixture(params=[chapter for chapter in BLOCKS if chapter in (4, 9, 11, 14, 15, 16)])
def block(request):
    engines = [ENGINES[link.explorer](**link.settings) for link in links(BLOCKS[request.param])]
    return request.param, BLOCKS[request.param], engines


def first_step(engine: Any, reached: Any, most: int = 3000) -> int:
    """Steps until something is true for the first time."""
    while not reached(engine) and engine.steps < most:
        engine.step()
    return engine.steps


def test_what_the_notes_promise_about_more_than_one_number_happens(block):
    chapter, text, engines = block
    if chapter == 4:
        steps = [first_step(engine, lambda e: e.accuracy >= 0.9) for engine in engines]
        assert steps == numbers("265 173")
        assert "step 265 and step 173" in text
    if chapter == 9:  # of ten seeds one fails
        solved = [solves(engines[0], seed, 1500) for seed in range(10)]
        assert [seed for seed in range(10) if not solved[seed]] == [9]
        assert "Of the seeds 0 to 9 only this one fails" in text
        engines[1].step(1500)
        assert all(np.any(gradient != 0) for gradient in engines[1].grads().values())
    if chapter == 11:
        steps = [first_step(engines[3], lambda e, name=n: e.walks[name].loss < 1e-3) for n in
                 ("nesterov", "momentum", "rmsprop", "sgd", "adam")]  # fmt: skip
        assert steps == [29, 66, 100, 133, 157]
        assert "Nesterov at\nstep 29, momentum 66, RMSProp 100, SGD 133, Adam 157" in text
    if chapter == 14:
        sobel, stride = engines
        assert sobel.Y.tolist() == [[0, 12, 12, 0]] * 4
        images = (array[None, None] for array in (stride.dY, stride.X, stride.W))
        zero = F.conv2d_backward(*images, stride=2)[0][0, 0] == 0
        assert zero[-1].all()
        assert zero[:, -1].all()
        assert zero[:-1, :-1].sum() == 4
        assert "11 of 36" in text
    if chapter == 15:
        zeros, dead, rate, _ = engines
        for engine in (zeros, dead):
            engine.step(1000)
            assert not any(np.abs(gradient).max() > 1e-12 for gradient in engine.grads().values())
        assert all(np.any(W != 0) for name, W in dead.net.params().items() if name.endswith("W"))
        assert not dead.outputs(dead.X)[0].any()
        rate.step(300)
        assert rate.warning
        assert max(rate.history.columns["loss"]) > 10
    if chapter == 16:
        assert [seed for seed in range(12) if not solves(engines[0], seed, 3000)] == [6, 9, 11]
        assert "of 0 to 11, three fail, 6, 9 and 11" in text


def solves(engine: Any, seed: int, steps: int) -> bool:
    """Whether the network is right about all points after so many steps from this seed."""
    engine.reset(seed=seed)
    while engine.accuracy < 1 and engine.steps < steps:
        engine.step(100)
    return engine.accuracy == 1


# --- The plans --------------------------------------------------------------------------------------------


def set_minutes(name: str) -> int:
    """Minutes that a problem set states in its first cell."""
    opening = "".join(json.loads((SOURCES / name / f"{name}.ipynb").read_text("utf-8"))["cells"][0]["source"])
    hours, more = re.search(r"\*\*Time\*\* about (\w+)(?: and ([a-z ]+))? hours\.", opening).groups()
    return HOURS[hours] + PARTS_OF_AN_HOUR[more]


def test_the_ten_weeks_have_every_chapter_once_and_minutes_that_add_up():
    *weeks, total = rows(section("Ten weeks"))
    assert [int(week[0]) for week in weeks] == list(range(1, 11))
    taught = [number for week in weeks for number in numbers(week[1])]
    assert taught == list(CHAPTERS)
    for week, chapters, reading, due, home in weeks:
        minutes = sum(CHAPTERS[number].minutes for number in numbers(chapters))
        assert int(reading) == minutes, f"week {week}"
        minutes += sum(map(set_minutes, re.findall(r"ps\d", due)))
        assert int(home) == minutes + QUIZ_MINUTES * ("quiz" in due), f"week {week}"
    assert total[0] == "all"
    assert int(total[2]) == sum(chapter.minutes for chapter in CHAPTERS.values())
    assert int(total[4]) == sum(int(week[4]) for week in weeks)
    assert re.findall(r"ps\d", " ".join(week[3] for week in weeks)) == ["ps1", "ps2", "ps3", "ps4"]
    hours = f"{MEETING * len(weeks) // 60} hours in class and {round(int(total[4]) / 60)} at home"
    assert hours in section("Ten weeks")
    for minutes, name in re.findall(r"(\d+) \((ps\d)\)", section("Ten weeks")):
        assert int(minutes) == set_minutes(name)
    assert f"another {set_minutes('project')}\nminutes" in section("Ten weeks")


def test_a_set_is_due_after_its_last_chapter_and_a_quiz_is_taken_after_its_part():
    done: list[int] = []
    parts = list(course_map.PARTS)
    assert [part.lower() for part in parts] == re.findall(r"`quiz-(\w+)`", section("Ten weeks"))
    for _, chapters, _, due, _ in rows(section("Ten weeks"))[:-1]:
        done += numbers(chapters)
        for name in re.findall(r"ps\d", due):
            opening = json.loads((SOURCES / name / f"{name}.ipynb").read_text("utf-8"))["cells"][0]["source"]
            assert max(numbers(re.search(r"chapters (\d+ to \d+)", "".join(opening))[1])) in done
        if "quiz" in due:
            assert course_map.PARTS[parts.pop(0)][1] in done
    assert parts == []


def test_a_week_has_time_for_its_chapters():
    for _, chapters, *_ in rows(section("Ten weeks"))[:-1]:
        assert len(numbers(chapters)) * LESSON <= MEETING


def clock(text: str) -> int:
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)


def test_the_two_days_take_what_their_chapters_state_and_blocks_do_not_overlap():
    last, taught = 0, []
    for when, block, minutes in rows(section("Two days")):
        start, end = map(clock, when.split("–"))
        last = 0 if start < last and clock("9:00") == start else last  # the second day
        assert last <= start, when
        last = end
        expected = QUIZ_MINUTES if block.startswith("quiz") else CHAPTERS[numbers(block)[0]].minutes
        taught += numbers(block)
        assert end - start == int(minutes) == expected, when
    assert taught == list(range(2, 10))
    assert f"{CHAPTERS[1].minutes} minutes, alone" in section("Two days")


def test_the_sections_to_leave_out_exist():
    told = re.search(r"leave out these sections: (.*?)\. Never", section("Two days"), re.S)[1]
    groups = re.findall(r"(.+?) \((\d)\)(?:, |$)", told.replace("\n", " "))
    assert len(groups) >= 5
    for titles, number in groups:
        notebook = CHAPTERS[int(number)].path.read_text("utf-8")
        for title in re.findall(r"\*(.+?)\*", titles):
            assert f'"## {title}' in notebook, f"chapter {number} has no section {title}"


def test_the_table_of_chapters_says_what_the_chapters_say():
    table = rows(section("What each chapter needs and gives"))
    assert [int(row[0]) for row in table] == list(CHAPTERS)
    for number, minutes, needs, gives, used in table:
        chapter = CHAPTERS[int(number)]
        assert int(minutes) == chapter.minutes
        assert tuple(numbers(needs)) == chapter.needs
        assert numbers(used) == [n for n, other in CHAPTERS.items() if int(number) in other.needs]
        assert gives


# --- Questions and rubrics ---------------------------------------------------------------------------------


def test_every_chapter_has_a_wrong_idea_with_one_question():
    entries = re.split(
        r"^(?=\*\*\d+\. )", section("What goes wrong, and the question that shows it"), flags=re.M
    )
    assert [int(entry[2:].split(".")[0]) for entry in entries[1:]] == list(CHAPTERS)
    for number, entry in zip(CHAPTERS, entries[1:], strict=True):
        asked = re.findall(r'href="(quiz-\w+)\.html#(q-[\w-]+)"', entry)
        if not asked:
            told = int(re.search(r"prediction\s(\d)", entry)[1])
            cells = json.loads(CHAPTERS[number].path.read_text("utf-8"))["cells"]
            opening = next(text for cell in cells if "## Predict" in (text := "".join(cell["source"])))
            assert re.search(rf"^{told}\. ", opening, re.M)
            assert f"</notebooks/{CHAPTERS[number].stem}>" in entry
            continue
        [(page, name)] = asked
        quiz = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
        question = re.search(rf"^:::\{{question\}} {name}\n:chapter: /notebooks/(\d+)-", quiz, re.M)
        assert question, f"{page} has no question {name}"
        assert int(question[1]) == number


def hand_graded() -> dict[str, tuple[str, float, str]]:
    """Grade id -> its set, points, and what the source says between the marks of the solution."""
    found = {}
    for path in sorted(SOURCES.glob("*/*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            grading = cell["metadata"].get("nbgrader", {})
            if grading.get("grade") and grading.get("solution"):
                found[grading["grade_id"]] = path.stem, grading["points"], "".join(cell["source"])
    return found


def test_every_part_graded_by_hand_has_a_rubric_whose_points_add_up():
    entries = re.findall(
        r"^\*\*(.+?)\*\* \(([\w-]+), (\d+) points\)\.(.*?)(?=\n\n)", section("Rubrics"), re.M | re.S
    )
    by_hand = hand_graded()
    assert {name for _, name, _, _ in entries} == set(by_hand)
    for title, name, points, text in entries:
        assert title.lower().startswith(by_hand[name][0])
        assert int(points) == by_hand[name][1]
        parts = numbers(re.sub(r"\*Part \w, \d+:\*|400 words", "", text))
        assert sum(parts) == int(points), f"{title}: {parts}"
        for told, inside in re.findall(r"\*Part \w, (\d+):\*(.*?)(?=\*Part|\Z)", text, re.S):
            assert sum(numbers(inside)) == int(told), title


def test_the_page_gives_no_solution_away():
    words = re.sub(r"\W+", " ", TEACHING)
    for name, (_, _, source) in hand_graded().items():
        solution = re.sub(r"\W+", " ", source.split("Rubric")[0].split("SOLUTION")[1])
        for at in range(0, max(len(solution) - 40, 0)):
            assert solution[at : at + 40] not in words, f"{name}: {solution[at : at + 40]!r}"
