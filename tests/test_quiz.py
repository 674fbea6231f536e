"""The quizzes: how a question is read, refused and shown, and that every answer is what it claims to be."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nnlib
from nnlib import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

import quiz

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    path.stem: quiz.read_page(path)
    for path in [
        ROOT / "book" / f"quiz-{part}.md" for part in ("foundations", "gradients", "training", "beyond")
    ]
}
QUESTIONS = [question for page in PAGES.values() for question in page]
VERIFIED = [question for question in QUESTIONS if question.verify]


def found(question):
    """What the expression of a question gives."""
    names = {"np": np, "nnlib": nnlib, "F": F, "rng": np.random.default_rng(0)}
    with np.errstate(all="ignore"):
        return eval(question.verify, names)


# --- The questions of the course ----------------------------------------------------------------------------


@pytest.mark.parametrize("question", VERIFIED, ids=lambda question: question.name)
def test_the_answer_of_a_question_is_computed_and_right(question):
    value = found(question)
    assert quiz.is_right(question, value), f"the expression gives {value}"


def with_another_answer(question):
    """The same question, with a mistake in the key."""
    if question.kind == "number":
        return replace(question, answer=question.answer + 3 * max(question.tolerance, 0.01))
    flags = [option.right for option in question.options]
    turned = zip(question.options, flags[1:] + flags[:1], strict=True)
    return replace(question, options=tuple(replace(option, right=flag) for option, flag in turned))


def test_a_mistake_in_the_key_of_a_quiz_is_found():
    values = [(question, found(question)) for question in VERIFIED]
    values = [
        pair for pair in values if pair[1] is not True
    ]  # True proves the reason, not which answer has it
    assert len(values) >= 0.6 * len(QUESTIONS)
    assert [
        question.name for question, value in values if quiz.is_right(with_another_answer(question), value)
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_part_of_the_book_has_ten_to_twelve_questions_of_every_kind(page):
    assert 10 <= len(PAGES[page]) <= 12
    assert {"one", "number"} <= {question.kind for question in PAGES[page]}


def test_nine_in_ten_questions_are_verified_by_computation():
    assert len(VERIFIED) >= 0.9 * len(QUESTIONS)
    assert {question.kind for question in VERIFIED} == set(quiz.KINDS)


def test_names_are_taken_once_and_questions_are_about_chapters_of_their_part():
    names = [question.name for question in QUESTIONS]
    assert len(names) == len(set(names))
    for page, (first, last) in zip(PAGES, [(1, 4), (5, 8), (9, 13), (14, 18)], strict=True):
        chapters = {int(re.search(r"/notebooks/(\d\d)-", question.chapter)[1]) for question in PAGES[page]}
        assert chapters == set(range(first, last + 1)), page


def test_the_right_answer_has_no_place_of_its_own():
    places = [
        [option.right for option in question.options].index(True)
        for question in QUESTIONS
        if question.kind == "one"
    ]
    assert max(map(places.count, range(4))) < 0.6 * len(places)


def test_every_quiz_is_the_last_page_of_its_part():
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    parts = re.findall(r"caption: (\w+)\n    chapters:\n((?:      - file: .*\n)+)", toc)
    ends = {name.lower(): files.split()[-1] for name, files in parts}
    for page in PAGES:
        assert ends[page.removeprefix("quiz-")] == f"book/{page}"


# --- A question is read -----------------------------------------------------------------------------------

GOOD = """`X` is (5, 4). What is the shape of $X^\\top$?

- [ ] (5, 4) :: Turned.
- [x] (4, 5) :: Right.
  In two lines, with `x[::2]`.
- [ ] (5,) :: No.
"""
NUMBER = """How much is a half of a half?

- [x] :: Right.
- [ ] 1/2 :: One half too many.
- [ ] :: Multiply.
"""
CHAPTER = {"chapter": "/index"}


def read(text, **options):
    return quiz.read_question("q-test", CHAPTER | options, text.splitlines())


def test_a_choice_is_read_with_feedback_that_goes_on_in_the_next_line():
    question = read(GOOD)
    assert question.kind == "one"
    assert question.text == "`X` is (5, 4). What is the shape of $X^\\top$?"
    assert [option.text for option in question.options] == ["(5, 4)", "(4, 5)", "(5,)"]
    assert question.options[1].feedback == "Right.\nIn two lines, with `x[::2]`."


def test_several_right_answers_make_another_kind():
    assert read(GOOD.replace("- [ ] (5,)", "- [x] (5,)")).kind == "several"


def test_a_number_has_an_answer_a_tolerance_and_typical_mistakes():
    question = read(NUMBER, answer="1/4")
    assert (question.kind, question.answer, question.tolerance) == ("number", 0.25, 0.0025)
    assert read(NUMBER, answer="3").tolerance == 0, "integers are exact"
    assert read(NUMBER, answer="0.25", tolerance="0.1").tolerance == 0.1


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.25", 0.25), ("0,25", 0.25), (" 1/4 ", 0.25), ("−2", -2), ("2.5e-1", 0.25), (".5", 0.5), ("+3", 3)],
)
def test_numbers_are_read_as_people_write_them(text, value):
    assert quiz.number(text) == value


@pytest.mark.parametrize("text", ["", "a half", "1/0", "1,000.5", "1//4", "nan", "1e"])
def test_what_is_not_a_number_is_refused(text):
    with pytest.raises(quiz.QuestionError, match="is not a number"):
        quiz.number(text)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (GOOD.replace("[x]", "[ ]"), {}, "no answer is right"),
        (GOOD.replace("[ ]", "[x]"), {}, "every answer is right"),
        (GOOD.replace(":: No.", ""), {}, "needs feedback"),
        (GOOD.replace(":: No.", "::"), {}, "needs feedback"),
        (GOOD.replace("(5,)", "(5, 4)"), {}, "a text of its own"),
        (GOOD.replace("- [ ] (5,) :: No.\n", ""), {}, "three answers or more"),
        (GOOD.replace("  In two", "In two"), {}, "indent what continues"),
        (GOOD[GOOD.index("- [") :], {}, "no question before"),
        (GOOD, {"chapter": ""}, "say which chapter"),
        (GOOD, {"tolerance": "1"}, "belongs to a question with :answer:"),
        (GOOD, {"verify": "1 +"}, "not a Python expression"),
        (GOOD, {"answer": "1"}, "the number stands in :answer:"),
        (NUMBER, {}, "a text of its own"),
        (NUMBER, {"answer": "many"}, "is not a number"),
        (NUMBER, {"answer": "1/2"}, "closer than the tolerance"),
        (NUMBER.replace("1/2", "half"), {"answer": "1/4"}, "is not a number"),
        (
            NUMBER.replace("- [ ] 1/2 :: One half too many.\n", ""),
            {"answer": "1/4"},
            "a typical wrong number",
        ),
        (NUMBER.replace("- [ ] :: Multiply.\n", ""), {"answer": "1/4"}, "any other number"),
    ],
)
def test_a_mistake_in_a_question_is_named(text, options, message):
    with pytest.raises(quiz.QuestionError, match=message):
        read(text, **options)


def test_a_name_starts_with_q():
    with pytest.raises(quiz.QuestionError, match="a name is q-"):
        quiz.read_question("Shapes", CHAPTER, GOOD.splitlines())


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ((4, 5), True), ((5, 4), False), ((4, 4), False), (True, True), (False, False),
        ([False, True, False], True), ([False, True, True], False), ([False, True], False),
    ],
)  # fmt: skip
def test_a_choice_is_confirmed_by_its_text_by_one_truth_value_each_or_by_true(value, right):
    assert quiz.is_right(read(GOOD), value) is right


@pytest.mark.parametrize(
    ("value", "right"),
    [(0.25, True), (0.26, False), (True, False), ([0.25, 0.5], True), ([0.25, 0.6], False), ([0.25], False)],
)
def test_a_number_is_confirmed_alone_or_with_its_typical_mistakes(value, right):
    assert quiz.is_right(read(NUMBER, answer="1/4"), value) is right


# --- A question in a page ---------------------------------------------------------------------------------


def directive(text, name="q-test", **options):
    lines = [f":{key}: {value}" for key, value in (CHAPTER | options).items()]
    return "\n".join([f":::{{question}} {name}", *lines, "", text.strip(), ":::"])


@pytest.fixture
def built(sphinx_page):
    """The HTML of a page with only this extension, and what Sphinx said."""
    conf = "extensions = ['myst_parser', 'quiz']\nmyst_enable_extensions = ['colon_fence', 'dollarmath']"
    return lambda source: sphinx_page("index.md", f"# Title\n\n{source}\n", conf)


def test_a_choice_is_shown_with_native_controls_and_folded_answers(built):
    html, said = built(directive(GOOD))
    assert said == ""
    assert html.count('<input type="radio" name="q-test"') == 3
    assert '<fieldset aria-describedby="q-test-text"><legend>Question 1</legend>' in html
    assert '<div class="quiz-feedback" role="status"></div>' in html
    assert re.findall(r'<li data-option="\d" data-verdict="(\w+)"', html) == ["wrong", "right", "wrong"]
    assert '<details class="quiz-answers">' in html
    assert "✓ B is right." in html
    assert "quiz.js" in html
    assert '<span class="pre">x[::2]</span>' in html, "Markdown works in feedback"
    assert html.count('class="math') == 1, "and formulas in the question"
    assert re.search(r'Read about it in <a class="reference internal" href="#">.*Title', html)


def test_several_right_answers_get_boxes_and_a_number_a_field(built):
    several = directive(GOOD.replace("- [ ] (5,)", "- [x] (5,)"), "q-several")
    html, said = built(f"{several}\n\n{directive(NUMBER, 'q-number', answer='1/4')}")
    assert said == ""
    assert html.count('type="checkbox"') == 3
    assert 'data-kind="number" data-answer="0.25" data-tolerance="0.0025"' in html
    assert 'data-value="0.5"' in html
    assert "<legend>Question 2</legend>" in html


def test_a_question_may_be_fenced_with_backticks_and_hold_code(built):
    code = GOOD.replace("What is", "Look:\n\n```python\nX.T\n```\n\nWhat is")
    html, said = built(directive(code).replace(":::", "````"))
    assert said == ""
    assert 'class="highlight-python' in html


def test_a_page_without_questions_loads_nothing_of_them(built):
    assert "quiz." not in built("Words.")[0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (directive(GOOD.replace("[x]", "[ ]")), "no answer is right"),
        (directive(GOOD, chapter="/notebooks/99-none"), "there is no page /notebooks/99-none"),
        (f"{directive(GOOD)}\n\n{directive(GOOD)}", "another question has this name, in index"),
    ],
)
def test_a_mistake_in_a_page_is_a_warning(source, message, built):
    assert f"WARNING: question q-test: {message}" in built(source)[1]


def test_a_page_that_is_read_again_may_keep_its_names(built):
    assert built(directive(GOOD))[1] == ""
    assert built(f"New words.\n\n{directive(GOOD)}")[1] == ""
