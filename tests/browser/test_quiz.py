"""The quizzes in a real browser: mouse, keyboard, what is said and kept, without JavaScript, from disk."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import PAGES, PHONE, ROOT, WIDE, settle

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import quiz

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

QUIZZES = [name for name in PAGES if name.startswith("book/quiz-")]
SOURCE = {name: quiz.read_page(ROOT / f"{name}.md") for name in QUIZZES}
Open = Callable[[str], "Page"]


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Open]:
    """Open a page in a browser that has stored nothing."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")

    def go(name: str) -> Page:
        page = context.new_page()
        page.goto(f"{site}{name}.html")
        page.locator(".quiz-tally").wait_for()
        return page

    yield go
    context.close()


def of_kind(name: str, kind: str) -> quiz.Question:
    return next(question for question in SOURCE[name] if question.kind == kind)


def box(page: Page, question: quiz.Question) -> Locator:
    return page.locator(f"#{question.name}")


def tick(page: Page, question: quiz.Question, *which: int) -> None:
    for at in which:
        box(page, question).locator("input").nth(at).check()


def check(page: Page, question: quiz.Question) -> str:
    """Press the button and return what is said."""
    box(page, question).get_by_role("button", name="Check").click()
    return box(page, question).get_by_role("status").inner_text()


def right(question: quiz.Question) -> list[int]:
    return [at for at, option in enumerate(question.options) if option.right]


def wrong(question: quiz.Question) -> int:
    return next(at for at, option in enumerate(question.options) if not option.right)


def answer(page: Page, question: quiz.Question) -> str:
    """Give the right answer."""
    if question.kind == "number":
        box(page, question).locator("input").fill(repr(question.answer))
    else:
        tick(page, question, *right(question))
    return check(page, question)


def straight(text: str) -> str:
    """Text in one line, with the quotation marks of the source."""
    return re.sub("[“”]", '"', " ".join(text.split()).replace("’", "'"))


def words(text: str) -> str:
    """The longest run of plain words in a text, to be found again."""
    return straight(max(re.split(r"\$[^$]*\$|`[^`]*`|[*\\]", text), key=len))


def test_every_part_has_its_quiz() -> None:
    assert len(QUIZZES) == 4


@pytest.mark.parametrize("name", QUIZZES)
def test_every_right_answer_of_a_page_is_accepted_and_counted(visit: Open, name: str) -> None:
    page = visit(name)
    total = len(SOURCE[name])
    assert page.locator(".quiz-question").count() == total
    for done, question in enumerate(SOURCE[name], 1):
        said = answer(page, question)
        assert said.startswith("✓ Right."), f"{question.name}: {said}"
        assert page.locator(".quiz-count").inner_text() == f"{done} of {total} right"


@pytest.mark.parametrize("name", QUIZZES)
def test_every_wrong_answer_of_a_page_gets_its_own_feedback(visit: Open, name: str) -> None:
    page = visit(name)
    for question in SOURCE[name]:
        for at, option in enumerate(question.options):
            if option.right:
                continue
            if question.kind == "number":
                box(page, question).locator("input").fill(option.text or "987654")
            else:
                page.evaluate(
                    "name => document.querySelectorAll(`#${name} input`).forEach(e => e.checked = false)",
                    question.name,
                )
                tick(page, question, at)
            said = check(page, question)
            assert said.startswith("✗ Not right."), f"{question.name}: {said}"
            assert words(option.feedback) in straight(said)
    assert page.locator(".quiz-count").inner_text() == f"0 of {len(SOURCE[name])} right"


def test_a_changed_answer_is_not_judged_until_it_is_checked(visit: Open) -> None:
    page = visit(QUIZZES[0])
    question = of_kind(QUIZZES[0], "one")
    assert answer(page, question).startswith("✓")
    assert box(page, question).locator("label[data-verdict=right]").count() == 1
    tick(page, question, wrong(question))
    assert box(page, question).get_by_role("status").inner_text() == ""
    assert box(page, question).locator("label[data-verdict]").count() == 0
    assert page.locator(".quiz-count").inner_text().startswith("0 of")


def test_of_several_right_answers_one_is_not_enough_and_a_wrong_one_is_too_much(visit: Open) -> None:
    name = "book/quiz-gradients"
    page, question = visit(name), of_kind(name, "several")
    hits = right(question)
    tick(page, question, hits[0])
    said = check(page, question)
    assert said.startswith(
        "✗ Not right. Right among what you chose: 1 of 1. A right answer is not chosen yet."
    )
    tick(page, question, *hits[1:], wrong(question))
    said = check(page, question)
    assert said.startswith(f"✗ Not right. Right among what you chose: {len(hits)} of {len(hits) + 1}.")
    assert "not chosen yet" not in said
    assert f"✗ {quiz.letter(wrong(question))} is wrong." in said, "each answer that was chosen is explained"
    box(page, question).locator("input").nth(wrong(question)).uncheck()
    assert check(page, question).startswith("✓ Right.")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("1/4", "✓ Right."), ("0.25", "✓ Right."), ("0,25", "✓ Right."), (" 2.5e-1 ", "✓ Right."),
        ("0.2500001", "✓ Right."), ("0.5", "✗ Not right."), ("-0.25", "✗ Not right."),
        ("−1/4", "✗ Not right."), ("a quarter", "This is not a number."), ("1/0", "This is not a number."),
        ("1,000.5", "This is not a number."), ("", "Choose or write an answer first."),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(visit: Open, typed: str, said: str) -> None:
    page = visit("book/quiz-gradients")
    question = next(q for q in SOURCE["book/quiz-gradients"] if q.name == "q-mse-scale")
    box(page, question).locator("input").fill(typed)
    assert check(page, question).startswith(said)


def test_a_quiz_can_be_done_with_the_keyboard_alone(visit: Open) -> None:
    page = visit(QUIZZES[0])
    one, number = SOURCE[QUIZZES[0]][:2]
    assert (one.kind, number.kind) == ("one", "number")
    keys = page.keyboard
    box(page, one).locator("input").first.focus()
    keys.press("Space")
    for _ in range(right(one)[0]):
        keys.press("ArrowDown")
    keys.press("Tab")
    assert page.evaluate("document.activeElement.className") == "quiz-check"
    assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
    keys.press("Enter")
    assert box(page, one).get_by_role("status").inner_text().startswith("✓ Right.")
    box(page, number).locator("input").focus()
    keys.type(repr(number.answer))
    keys.press("Enter")
    assert box(page, number).get_by_role("status").inner_text().startswith("✓ Right.")
    assert page.locator(".quiz-count").inner_text().startswith("2 of")


def test_verdicts_are_announced_and_controls_have_names(visit: Open) -> None:
    page = visit(QUIZZES[0])
    question = SOURCE[QUIZZES[0]][1]
    region = box(page, question).locator(".quiz-feedback")
    assert region.get_attribute("role") == "status"
    page.evaluate(
        """name => { window.changes = [];
             new MutationObserver(all => all.forEach(one => window.changes.push(one.target.className)))
               .observe(document.querySelector(`#${name} [role=status]`), {childList: true}); }""",
        question.name,
    )
    answer(page, question)
    assert page.evaluate("window.changes.length") > 0, "the region was there, and its contents changed"
    group = page.get_by_role("group", name="Question 2", exact=True)
    assert group.get_by_role("textbox", name="Your answer").count() == 1
    described = box(page, question).locator("fieldset").get_attribute("aria-describedby")
    assert described
    assert words(question.text) in straight(page.locator(f"#{described}").inner_text())


def test_answers_stay_while_the_tab_is_open_and_try_again_clears_them(visit: Open) -> None:
    page = visit(QUIZZES[0])
    first, second = SOURCE[QUIZZES[0]][:2]
    answer(page, first)
    answer(page, second)
    page.reload()
    assert page.locator(".quiz-count").inner_text().startswith("2 of")
    assert box(page, first).get_by_role("status").inner_text().startswith("✓")
    assert page.evaluate("[localStorage, document.cookie].every(e => !JSON.stringify(e).includes('quiz'))")
    page.get_by_role("button", name="Try again").click()
    assert page.locator(".quiz-count").inner_text().startswith("0 of")
    assert page.locator(".quiz-question input:checked").count() == 0
    assert box(page, second).locator("input").input_value() == ""
    assert page.evaluate("document.activeElement.name") == first.name, (
        "and the focus is on the first question"
    )
    page.reload()
    assert page.locator(".quiz-count").inner_text().startswith("0 of")


def test_all_answers_can_be_read_once_the_question_is_answered(visit: Open) -> None:
    page = visit(QUIZZES[0])
    question = SOURCE[QUIZZES[0]][0]
    folded = box(page, question).locator("details.quiz-answers")
    assert not folded.is_visible()
    answer(page, question)
    folded.locator("summary").click()
    text = straight(folded.inner_text())
    assert all(words(option.feedback) in text for option in question.options)


def test_on_paper_every_answer_is_there(visit: Open) -> None:
    page = visit(QUIZZES[0])
    page.emulate_media(media="print")
    lists = page.locator("details.quiz-answers")
    assert all(item.is_visible() for item in lists.locator("li").all()), "the style sheet unfolds them"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.quiz-answers[open]").count() == lists.count(), "and so does the script"
    assert not page.locator(".quiz-tally").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.quiz-answers[open]").count() == 0


def test_without_javascript_the_answers_are_folded_below_each_question(browser: Browser, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}{QUIZZES[0]}.html")
    for question in SOURCE[QUIZZES[0]]:
        assert box(page, question).locator("details > summary").is_visible()
        assert not box(page, question).locator("input").first.is_visible(), "no dead control"
        assert not box(page, question).locator("button").is_visible()
    question = of_kind(QUIZZES[0], "one")
    box(page, question).locator("summary").click()
    reasons = box(page, question).locator("details li")
    assert reasons.nth(right(question)[0]).is_visible()
    letter = quiz.letter(right(question)[0])
    assert f"✓ {letter} is right." in reasons.nth(right(question)[0]).inner_text()
    assert box(page, question).locator(".quiz-letter").first.is_visible()
    context.close()


def test_a_page_that_is_opened_from_disk_answers_too(browser: Browser, html: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((html / f"{QUIZZES[0]}.html").as_uri())
    page.locator(".quiz-tally").wait_for()
    for question in SOURCE[QUIZZES[0]][:3]:
        assert answer(page, question).startswith("✓ Right.")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_in_answered_questions(
    visit: Open, axe_script: str, theme: str, size: dict[str, int]
) -> None:
    page = visit("book/quiz-gradients")
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    settle(page)
    for at, question in enumerate(SOURCE["book/quiz-gradients"]):
        if at % 2 and question.kind != "number":
            tick(page, question, wrong(question))
            check(page, question)
        else:
            answer(page, question)
    page.evaluate("document.querySelectorAll('details.quiz-answers').forEach(e => { e.open = true; })")
    page.evaluate(axe_script)
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    found = page.evaluate("options => axe.run('article', options).then(result => result.violations)", options)
    assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chapter_of_the_map_is_a_link_that_can_be_read(
    browser: Browser, site: str, html: Path, axe_script: str, theme: str
) -> None:
    page = browser.new_page(viewport={"width": PHONE["width"], "height": PHONE["height"]})
    page.goto(f"{site}book/map.html")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    links = page.locator("svg.course-map a")
    chapters = [name for name in PAGES if name.startswith("notebooks/")]
    targets = [(link.get_attribute("href") or "").removeprefix("../") for link in links.all()]
    assert sorted(targets) == sorted(f"{name}.html" for name in chapters)
    assert all((html / target).is_file() for target in targets)
    small = page.evaluate(
        """() => [...document.querySelectorAll('svg.course-map text')]
               .filter(e => e.getBoundingClientRect().height < 12).map(e => e.textContent)"""
    )
    assert small == []
    outside = page.evaluate(
        """() => [...document.querySelectorAll('svg.course-map a')].filter(a => {
             const [box, ...texts] = [...a.children].map(e => e.getBoundingClientRect());
             return texts.some(t => t.left < box.left || t.right > box.right || t.bottom > box.bottom);
           }).map(a => a.textContent)"""
    )
    assert outside == [], "names fit their boxes"
    page.evaluate(axe_script)
    found = page.evaluate("axe.run('svg.course-map').then(result => result.violations.map(rule => rule.id))")
    assert found == []
    links.nth(5).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/notebooks/**")
    page.close()
