"""The map of the course: what each chapter builds on, drawn from what the chapters say themselves.

``{course-map}`` draws one box a chapter, each a link, and an arrow from each chapter to those that need it.
The arrows are the links in the paragraph **You need** of each chapter, without those that follow from others;
only the places of the boxes are written here. ``{course-table}`` and ``{course-ways}`` make the page's tables
in the same way, so nothing in them can be out of date.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from nnlib.proofs import written

PARTS = {"Foundations": (1, 4), "Gradients": (5, 8), "Training": (9, 13), "Beyond": (14, 18)}
# Number of a chapter -> its short name, lane (0 left, 1 middle, 2 right) and row.
PLACES = {
    1: ("Linear algebra", 1, 0), 2: ("One neuron", 1, 1), 3: ("Forward pass", 1, 2), 4: ("Losses", 0, 3),
    5: ("Chain rule", 1, 4), 6: ("Gradients I", 1, 5), 7: ("Gradients II", 1, 6), 8: ("Checking", 1, 7),
    9: ("XOR", 1, 8), 10: ("Experiments", 0, 9), 12: ("Initialization", 2, 9), 11: ("Optimizers", 0, 10),
    13: ("MNIST", 1, 11), 14: ("Convolution", 0, 12), 16: ("Five projects", 1, 12), 17: ("Batch norm", 2, 12),
    15: ("Clinic", 0, 13), 18: ("Speed", 1, 13),
}  # fmt: skip
LANES, GUTTERS = (
    (66, 190, 314),
    (128, 252),
)  # where the boxes of a lane have their middle, and what is between
ROW, WIDTH, HEIGHT, TITLE = 64, 108, 42, 26  # TITLE: room for the name of a part
STYLE = """.course-map { display: block; width: 100%; max-width: 30rem; margin: 1rem auto; }
.course-map text { font-size: 14px; text-anchor: middle; fill: var(--pst-color-text-base); }
.course-map .part { font-weight: 600; text-anchor: start; fill: var(--pst-color-text-muted); }
.course-map .number { font-weight: 600; }
.course-map .band { fill: var(--pst-color-surface); }
.course-map .box { fill: var(--pst-color-background); stroke: var(--pst-color-text-muted); }
.course-map a:is(:hover, :focus-visible) .box { stroke: var(--pst-color-link); stroke-width: 3.5; }
.course-map a { outline: none; text-decoration: none; }
.course-map .arrow { fill: none; stroke: var(--pst-color-text-muted); stroke-width: 1.75; }
.course-map .head { fill: var(--pst-color-text-muted); }"""


# --- What the chapters say about themselves ------------------------------------------------------------


@dataclass(frozen=True)
class Chapter:
    number: int
    stem: str
    title: str
    needs: tuple[int, ...]  # numbers of chapters
    minutes: int  # to read and work through
    run: str  # how long it runs, in words
    path: Path


OPENING = re.compile(
    r"\A# (?P<number>\d+)\. (?P<title>[^\n]+).*?\*\*After this chapter you can\*\*.*?"
    r"\*\*You need\*\*(?P<needs>.*?)\*\*Time\*\* (?P<minutes>\d+) minutes[^;]*; "
    r"(?:it runs in )?(?P<run>[^.,;]*?)(?: to run)?[.,;]",
    re.DOTALL,
)
NEED = re.compile(r"notebooks/(\d\d)-")


def read_chapter(path: Path) -> Chapter:
    """Read the opening of a chapter: its first cell.

    Raises
    ------
    ValueError
        When the cell lacks a part.
    """
    found = OPENING.match("".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"]))
    if not found:
        raise ValueError(
            f"the first cell of {path.name} must have: # N. Title, **After this chapter you can** …, "
            "**You need** … with links to chapters, **Time** M minutes to read and work through; S to run."
        )
    needs = tuple(sorted({int(number) for number in NEED.findall(found["needs"])}))
    return Chapter(
        int(found["number"]), path.stem, found["title"], needs, int(found["minutes"]), found["run"], path
    )


def read_chapters(folder: Path) -> dict[int, Chapter]:
    """Return the chapters of a folder by number."""
    chapters = map(read_chapter, sorted(folder.glob("[0-9][0-9]-*.ipynb")))
    return {chapter.number: chapter for chapter in chapters}


def before(number: int, needs: Mapping[int, Iterable[int]]) -> set[int]:
    """Return all that a chapter builds on, directly or not."""
    return {found for need in needs.get(number, ()) for found in {need, *before(need, needs)}}


def arrows(needs: Mapping[int, Iterable[int]]) -> list[tuple[int, int]]:
    """Pairs (from, to), without those that follow from the others."""
    return [
        (need, number)
        for number, given in needs.items()
        for need in given
        if not any(need in before(other, needs) for other in given if other != need)
    ]


# --- The drawing ------------------------------------------------------------------------------------------


def place(number: int) -> tuple[int, int]:
    """Middle of a box's upper edge."""
    _, lane, row = PLACES[number]
    part = [first <= number <= last for first, last in PARTS.values()].index(True)
    return LANES[lane], row * ROW + (part + 1) * TITLE


def way(start: int, end: int, drawn: Iterable[int]) -> str:
    """Path of an arrow: straight where it can, else along a lane or a gutter without boxes."""
    (x, y), (goal, tip) = place(start), place(end)
    y, tip = y + HEIGHT, tip - 7
    row, last = PLACES[start][2], PLACES[end][2]
    bend = (ROW - HEIGHT) // 2
    if last - row == 1:
        return f"M{x} {y}C{x} {y + bend} {goal} {tip - bend} {goal} {tip}"
    taken = {PLACES[number][1] for number in drawn if row < PLACES[number][2] < last}
    free = [LANES[PLACES[at][1]] for at in (start, end) if PLACES[at][1] not in taken]
    middle = free[0] if free else min(GUTTERS, key=lambda gutter: abs(gutter - x) + abs(gutter - goal))
    down, up = y + 2 * bend, tip - 2 * bend
    return (
        f"M{x} {y}C{x} {y + bend} {middle} {down - bend} {middle} {down}"
        f"L{middle} {up}C{middle} {up + bend} {goal} {tip - bend} {goal} {tip}"
    )


def drawing(chapters: Mapping[int, Chapter], address: Mapping[int, str]) -> str:
    """SVG for a page: colors from the theme, boxes that are links."""
    needs = {number: chapter.needs for number, chapter in chapters.items()}
    parts, height = [], 0
    for name, (first, last) in PARTS.items():
        inside = [place(number)[1] for number in chapters if first <= number <= last]
        if inside:
            top, height = min(inside) - TITLE, max(inside) + HEIGHT + 10
            parts += [
                f'<rect class="band" x="-2" y="{top}" width="384" height="{height - top}" rx="8"/>',
                f'<text class="part" x="246" y="{top + 19}">{name}</text>',
            ]
    for start, end in arrows(needs):
        x, y = place(end)
        parts += [
            f'<path class="arrow" data-from="{start}" data-to="{end}" d="{way(start, end, chapters)}"/>',
            f'<path class="head" d="M{x} {y - 1}l-4.5 -9h9z"/>',
        ]
    for number, chapter in chapters.items():
        x, y = place(number)
        parts.append(
            f'<a href="{escape(address[number])}" aria-label="Chapter {number}: {escape(chapter.title)}">'
            f'<rect class="box" x="{x - WIDTH // 2}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7"/>'
            f'<text class="number" x="{x}" y="{y + 17}">{number}</text>'
            f'<text x="{x}" y="{y + 34}">{PLACES[number][0]}</text></a>'
        )
    return (
        f'<svg class="course-map" viewBox="-4 -2 388 {height + 4}" role="group" '
        f'aria-labelledby="course-map-title" aria-describedby="course-map-words">'
        f'<title id="course-map-title">Which chapter builds on which</title>'
        f'<desc id="course-map-words">{words(needs)}</desc><style>{STYLE}</style>{"".join(parts)}</svg>'
    )


def words(needs: Mapping[int, Iterable[int]]) -> str:
    """Say in words what the arrows show."""
    direct: dict[int, list[str]] = {}
    for start, end in arrows(needs):
        direct.setdefault(end, []).append(str(start))
    return " ".join(f"Chapter {end} builds on {' and '.join(starts)}." for end, starts in direct.items())


# --- Directives --------------------------------------------------------------------------------------------


class FromChapters(SphinxDirective):
    """A directive that reads the chapters."""

    def chapters(self) -> dict[int, Chapter]:
        try:
            chapters = read_chapters(Path(self.env.srcdir, "notebooks"))
        except ValueError as error:
            raise self.error(str(error)) from error
        for chapter in chapters.values():
            self.env.note_dependency(str(chapter.path))
        return chapters

    def table(self, head: str, rows: Iterable[str]) -> list[nodes.Node]:
        lines = [head, "|---" * (head.count("|") - 1) + "|", *rows]
        box = nodes.container()
        self.state.nested_parse(StringList(lines, self.env.docname), self.content_offset, box)
        return list(box.children)


class CourseMap(FromChapters):
    def run(self) -> list[nodes.Node]:
        chapters, uri = self.chapters(), self.env.app.builder.get_relative_uri
        if lost := set(chapters) - set(PLACES):
            raise self.error(f"give chapter {', '.join(map(str, lost))} a place in course_map.py")
        address = {n: uri(self.env.docname, f"notebooks/{chapter.stem}") for n, chapter in chapters.items()}
        return [nodes.raw("", drawing(chapters, address), format="html")]


class CourseTable(FromChapters):
    """Lines such as ``6: what you can do afterwards``, and ``quiz-page: its chapters`` between them."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        chapters = self.chapters()
        equations = Counter(int(display.notebook[:2]) for display in written().values())
        rows, told = [], set()
        for key, text in (line.split(": ", 1) for line in self.content if line.strip()):
            if not key.isdigit():
                rows.append(f"| {{doc}}`/book/{key}` | {text} | say which chapters to read again | 20 | | |")
                continue
            told.add(int(key))
            if int(key) in chapters:
                chapter = chapters[int(key)]
                needs = ", ".join(map(str, chapter.needs)) or "some Python, school calculus"
                rows.append(
                    f"| {key}. {{doc}}`{chapter.title} </notebooks/{chapter.stem}>` | {needs} | {text} "
                    f"| {chapter.minutes} | {chapter.run} | {equations[chapter.number]} |"
                )
        if wrong := told ^ set(chapters):
            raise self.error(f"table and chapters do not agree about {', '.join(map(str, sorted(wrong)))}")
        return self.table("| chapter | you need | you can afterwards | minutes | runs | equations |", rows)


class CourseWays(FromChapters):
    """Lines such as ``an afternoon: 3, 6, 9``: a table with the time that it takes."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        chapters, rows = self.chapters(), []
        for name, way in (line.rsplit(":", 1) for line in self.content if line.strip()):
            numbers = list(chapters) if way.strip() == "all" else [int(n) for n in way.split(",")]
            if lost := set(numbers) - set(chapters):
                raise self.error(f"there is no chapter {', '.join(map(str, sorted(lost)))}")
            hours = sum(chapters[number].minutes for number in numbers) / 60
            rows.append(f"| {name} | {way} | {hours:.0f} |")
        return self.table("| you have, or want | read | hours |", rows)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("course-map", CourseMap)
    app.add_directive("course-table", CourseTable)
    app.add_directive("course-ways", CourseWays)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
