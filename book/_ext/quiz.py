"""Questions with immediate feedback: ``{question}``, checked while the book is built.

A question is its text and then a list of answers, each with what to say to whoever chose it::

    :::{question} q-linear-dw
    :chapter: /notebooks/06-gradients-linear
    :verify: F.linear_backward(np.ones((5, 3)), np.ones((5, 4)), np.ones((4, 3)))[1].shape

    `X` is (5, 4), `W` is (4, 3). What is the shape of `dW`?
    - [ ] (5, 3) :: That is the shape of `dY`.
    - [x] (4, 3) :: The gradient has the shape of its variable.
    :::

Several ``[x]`` make it a question with several right answers. With ``:answer:`` it asks for a number:
``[x]`` without a text stands for the answer, ``[ ]`` with a number for a typical mistake, ``[ ]`` without
for any other number. A mistake in a question is a warning, which ends a strict build.

The page gets native controls and every answer in a folded list, which is what a reader without JavaScript
and a reader on paper use; ``book/_static/quiz.js`` checks the answers where they stand.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

OPTION = re.compile(r"- \[([ xX])\](?: |$)")
SEPARATOR = re.compile(r"(?:^|\s)::(?:\s|$)")
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:/(\d+\.?\d*))?", re.IGNORECASE)
NAME = re.compile(r"q-[a-z0-9-]+")
KINDS = {
    "one": "One answer is right.",
    "several": "One answer or several are right.",
    "number": "Write a number, such as 0.25 or 1/4.",
}

# --- A question, read and checked --------------------------------------------------------------------------


class QuestionError(ValueError):
    """What is wrong with a question, for its author."""


@dataclass(frozen=True)
class Option:
    """An answer that can be chosen or typed, and what is said to whoever did so."""

    right: bool
    text: str
    feedback: str
    line: int  # in the directive's content


@dataclass(frozen=True)
class Question:
    name: str
    chapter: str
    text: str
    options: tuple[Option, ...]
    kind: str
    answer: float = math.nan
    tolerance: float = 0.0
    verify: str | None = None


def number(text: str) -> float:
    """Return the value of ``0.25``, ``0,25``, ``1/4`` or ``2.5e-1``, as `quiz.js` reads it.

    Raises
    ------
    QuestionError
        When the text is none of these.
    """
    found = NUMBER.fullmatch(re.sub(r"\s", "", text).replace("−", "-").replace(",", "."))
    if not found or (found[2] and not float(found[2])):
        raise QuestionError(f"{text!r} is not a number: write 0.25, 1/4 or 2.5e-1")
    return float(found[1]) / float(found[2] or 1)


def without_fence(text: str) -> str:
    return text.strip().strip("`$").strip()


def read_options(lines: Sequence[str], start: int) -> Iterator[Option]:
    """Answers from the lines that follow the text; what is indented continues one."""
    blocks: list[tuple[int, list[str]]] = []
    for at, line in enumerate(lines, start):
        if OPTION.match(line):
            blocks.append((at, [line]))
        elif line.strip() and not line.startswith("  "):
            raise QuestionError(f"indent what continues an answer, and start an answer with - [ ]: {line!r}")
        else:
            blocks[-1][1].append(line)
    for at, (first, *rest) in blocks:
        mark = OPTION.match(first)
        assert mark is not None
        whole = "\n".join([first[mark.end() :], *(line[2:] for line in rest)])
        text, *feedback = SEPARATOR.split(whole, maxsplit=1)
        if not feedback or not feedback[0].strip():
            raise QuestionError(f"an answer needs feedback: {first.strip()} :: what to say about it")
        yield Option(mark[1] != " ", text.strip(), feedback[0].strip(), at)


def read_question(name: str, options: Mapping[str, str], lines: Sequence[str]) -> Question:
    """Read a question from a directive's name, options and content.

    Raises
    ------
    QuestionError
        When no answer is right, feedback is missing, two answers are the same, or a number is none.
    """
    if not NAME.fullmatch(name):
        raise QuestionError(f"a name is q- and then small letters, digits and hyphens, got {name!r}")
    if not options.get("chapter"):
        raise QuestionError("say which chapter it is about, as in :chapter: /notebooks/06-gradients-linear")
    start = next((at for at, line in enumerate(lines) if OPTION.match(line)), len(lines))
    text = "\n".join(lines[:start]).strip()
    answers = tuple(read_options(lines[start:], start))
    if not text:
        raise QuestionError("there is no question before the answers")
    right = sum(option.right for option in answers)
    if not right:
        raise QuestionError("no answer is right: mark one with - [x]")
    verify = options.get("verify")
    try:
        ast.parse(verify or "0", mode="eval")
    except SyntaxError as error:
        raise QuestionError(f":verify: is not a Python expression ({error.msg}): {verify}") from error
    if "answer" in options:
        answer = number(options["answer"])
        default = 0.0 if answer.is_integer() else abs(answer) / 100
        tolerance = number(options["tolerance"]) if "tolerance" in options else default
        check_numbers(answers, right, answer, tolerance)
        return Question(name, options["chapter"], text, answers, "number", answer, tolerance, verify)
    if "tolerance" in options:
        raise QuestionError(":tolerance: belongs to a question with :answer:")
    texts = [option.text for option in answers]
    if len(texts) < 3 or "" in texts or len(set(texts)) < len(texts):
        raise QuestionError("a choice needs three answers or more, each with a text of its own")
    if right == len(texts):
        raise QuestionError("every answer is right: a choice needs a wrong one")
    return Question(
        name, options["chapter"], text, answers, "one" if right == 1 else "several", verify=verify
    )


def check_numbers(answers: Sequence[Option], right: int, answer: float, tolerance: float) -> None:
    if right != 1 or any(option.right and option.text for option in answers):
        raise QuestionError("the number stands in :answer:, its feedback in one line - [x] :: …")
    if sum(not option.right and not option.text for option in answers) != 1:
        raise QuestionError("say what any other number is told, in one line - [ ] :: …")
    values = [answer, *(number(option.text) for option in answers if not option.right and option.text)]
    if len(values) < 2:
        raise QuestionError("give a typical wrong number its own feedback: - [ ] 0.5 :: …")
    if any(abs(a - b) <= tolerance for a, b in combinations(values, 2)):
        raise QuestionError("two numbers are closer than the tolerance")


def read_page(path: Path) -> list[Question]:
    """Return the questions of a Markdown page, read as the build reads them."""
    from myst_parser.parsers.directives import parse_directive_text

    fence = re.compile(r"^(:{3,}|`{3,})\{question\} *([^\n]*)\n(.*?)^\1 *$", re.MULTILINE | re.DOTALL)
    found = []
    for match in fence.finditer(path.read_text("utf-8")):
        parsed = parse_directive_text(QuestionDirective, match[2], match[3])
        found.append(read_question(parsed.arguments[0], parsed.options, parsed.body))
    return found


def is_right(question: Question, found: Any) -> bool:
    """Tell whether the value of ``:verify:`` confirms the question.

    It is the number, or a list of it and the typical mistakes; the text of the right answer, or one truth
    value for each answer; or simply True.
    """
    if question.kind == "number":
        values = [question.answer, *(number(o.text) for o in question.options if o.text)]
        given = found if isinstance(found, list) else [found]
        if isinstance(found, list) and len(found) != len(values):
            return False
        return all(abs(a - b) <= question.tolerance + 1e-9 for a, b in zip(given, values, strict=False))
    if isinstance(found, list):
        return [bool(one) for one in found] == [option.right for option in question.options]
    if found is True:
        return True
    chosen = [option.right for option in question.options if without_fence(option.text) == str(found)]
    return question.kind == "one" and chosen == [True]


# --- A question in a page ----------------------------------------------------------------------------------


class QuestionDirective(SphinxDirective):
    """Controls for the answers, and the answers with their feedback in a folded list."""

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012 (docutils' own way)
        "chapter": directives.unchanged,
        "answer": directives.unchanged,
        "tolerance": directives.unchanged,
        "verify": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        try:
            question = read_question(self.arguments[0], self.options, list(self.content))
            chapter = self.env.relfn2path(question.chapter)[0]
            if chapter not in self.env.found_docs:
                raise QuestionError(f"there is no page {question.chapter}")
            taken = self.env.__dict__.setdefault("quiz_names", {})
            if question.name in taken:
                raise QuestionError(f"another question has this name, in {taken[question.name]}")
        except QuestionError as error:
            logging.getLogger(__name__).warning(
                "question %s: %s", self.arguments[0], error, location=self.get_location()
            )
            return []
        taken[question.name] = self.env.docname
        return [*self.controls(question), *self.answers(question), *self.source(question), html("</div>")]

    def parsed(self, text: str, line: int) -> list[nodes.Node]:
        """Markdown as nodes; a single paragraph as the words in it, which may stand in a label."""
        box = nodes.container()
        source = self.state_machine.get_source_and_line(self.lineno)[0]
        self.state.nested_parse(StringList(text.splitlines(), source), self.content_offset + line, box)
        if len(box) == 1 and isinstance(box[0], nodes.paragraph):
            return [nodes.inline("", "", *box[0].children, classes=["quiz-words"])]
        return list(box.children)

    def controls(self, question: Question) -> list[nodes.Node]:
        name, kind = question.name, question.kind
        count = self.env.temp_data["quiz_count"] = self.env.temp_data.get("quiz_count", 0) + 1
        numbers = f' data-answer="{question.answer!r}" data-tolerance="{question.tolerance!r}"'
        result: list[nodes.Node] = [
            html(
                f'<div class="quiz-question" id="{name}" data-kind="{kind}"'
                f"{numbers if kind == 'number' else ''}>\n"
                f'<fieldset aria-describedby="{name}-text"><legend>Question {count}</legend>\n'
                f'<div class="quiz-text" id="{name}-text">'
            ),
            *self.parsed(question.text, 0),
            html(f'</div>\n<p class="quiz-hint">{KINDS[kind]}</p>'),
        ]
        if kind == "number":
            # type="text": the number pads of phones have neither a minus sign nor a slash
            result.append(
                html(
                    f'<label class="quiz-number">Your answer <input type="text" name="{name}" size="12" '
                    'autocomplete="off" autocapitalize="off" spellcheck="false"></label>'
                )
            )
        control = "radio" if kind == "one" else "checkbox"
        for at, option in enumerate(question.options if kind != "number" else ()):
            result += [
                html(
                    f'<label class="quiz-option"><input type="{control}" name="{name}" value="{at}">'
                    f'<span class="quiz-letter">{letter(at)}</span><span class="quiz-answer">'
                ),
                *self.parsed(option.text, option.line),
                html("</span></label>"),
            ]
        status = '<div class="quiz-feedback" role="status"></div>'
        button = '<button type="button" class="quiz-check" hidden>Check</button>'
        return [*result, html(f"{button}\n{status}\n</fieldset>")]

    def answers(self, question: Question) -> list[nodes.Node]:
        result: list[nodes.Node] = [
            html('<details class="quiz-answers"><summary>All answers, with the reasons</summary><ul>')
        ]
        for at, option in enumerate(question.options):
            verdict = "right" if option.right else "wrong"
            typed = question.kind == "number" and option.text
            value = f' data-value="{number(option.text)!r}"' if typed else ""
            result += [
                html(
                    f'<li data-option="{at}" data-verdict="{verdict}"{value}>'
                    f'<strong class="quiz-verdict">{sign(option.right)} {self.title(question, at)}</strong> '
                    '<div class="quiz-reason">'
                ),
                *self.parsed(option.feedback, option.line),
                html("</div></li>"),
            ]
        return [*result, html("</ul></details>")]

    @staticmethod
    def title(question: Question, at: int) -> str:
        option = question.options[at]
        if question.kind != "number":
            return f"{letter(at)} is {'right' if option.right else 'wrong'}."
        if option.right:
            return f"{question.answer:.6g} is right."
        return f"{escape(option.text)} is wrong." if option.text else "Any other number is wrong."

    def source(self, question: Question) -> list[nodes.Node]:
        link = pending_xref(
            "", nodes.inline(), refdomain="std", reftype="doc", reftarget=question.chapter, refexplicit=False,
            refwarn=True, refdoc=self.env.docname,
        )  # fmt: skip
        return [nodes.paragraph("", "Read about it in ", link, classes=["quiz-source"])]


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def letter(at: int) -> str:
    return chr(ord("A") + at)


def sign(right: bool) -> str:
    return "✓" if right else "✗"


# --- Sphinx ------------------------------------------------------------------------------------------------


def forget(app: Sphinx, env: Any, docname: str) -> None:
    """Drop the names of a page that is read again."""
    names = env.__dict__.setdefault("quiz_names", {})
    env.quiz_names = {name: page for name, page in names.items() if page != docname}


def merge(app: Sphinx, env: Any, docnames: Sequence[str], other: Any) -> None:
    """Join what processes that read in parallel found."""
    names = env.__dict__.setdefault("quiz_names", {})
    for name, page in getattr(other, "quiz_names", {}).items():
        if names.setdefault(name, page) != page:
            logging.getLogger(__name__).warning(
                "question %s: another question has this name, in %s", name, names[name], location=page
            )


def load_where_needed(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if 'class="quiz-question"' in context.get("body", ""):
        app.add_js_file("quiz.js", loading_method="defer")
        app.add_css_file("quiz.css")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("question", QuestionDirective)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("html-page-context", load_where_needed)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
