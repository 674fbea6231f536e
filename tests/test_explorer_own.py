"""The page that shows how to build an explorer: its code runs, prints what it says, and is short."""

import re
from pathlib import Path

import pytest

from nnlib.explorers.engine import Explorer
from nnlib.explorers.panels import to_json
from nnlib.explorers.recording import record

PAGE = (Path(__file__).resolve().parents[1] / "book" / "own-explorer.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"^```(?:python|{code-block} python)\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", PAGE, re.M | re.S
)
CONTROLS = ["Display", "controls", "ipywidgets"]  # blocks that need the widgets


def shown(capsys):
    """Return what was printed; outside a notebook an output area also sends codes that wipe a line."""
    return re.sub(r"\x1b\[2K\s*", "", capsys.readouterr().out)


def run(blocks, capsys):
    """Run the blocks one after another, as in a notebook; what each prints is what stands under it."""
    names = {"__name__": "page"}
    for code, promised in blocks:
        exec(compile(code, "own-explorer.md", "exec"), names)
        printed = [line.rstrip() for line in shown(capsys).splitlines()]
        assert printed == [line.rstrip() for line in promised.splitlines()]
    return names


def needs_widgets(code):
    return any(word in code for word in CONTROLS)


def without_widgets():
    first, *others = BLOCKS
    return [first, *(block for block in others if not needs_widgets(block[0]))]


@pytest.fixture
def names(capsys):
    return run(without_widgets(), capsys)


def test_the_page_prints_what_it_says_and_its_own_tests_pass(names):
    assert sum(name.startswith("test_") for name in names) == 3
    run_tests(names)


def run_tests(names):
    for name in [name for name in names if name.startswith("test_")]:
        names[name]()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("- slope[0]", "+ slope[0]"), ("* slope[1]", "* -slope[1]"), ("0.01, 2)", "0.01, 2, restarts=True)")],
)
def test_a_broken_engine_fails_the_tests_of_the_page(right, wrong, names):
    code = BLOCKS[0][0]
    assert right in code
    exec(compile(code.replace(right, wrong), "own-explorer.md", "exec"), names)
    with pytest.raises(AssertionError):
        run_tests(names)


def test_the_example_is_an_engine_like_the_others_and_can_be_recorded(names):
    engine = names["Newton"]
    assert issubclass(engine, Explorer)
    assert to_json(record(engine())) == to_json(record(engine()))
    assert len(record(engine())) == engine.recorded[0]


def test_the_class_takes_about_thirty_lines():
    body = BLOCKS[0][0].split("class Newton")[1]
    assert len([line for line in body.splitlines() if line.strip()]) <= 34


def test_the_turning_point_on_the_page_is_the_turning_point(names):
    near, far = names["Newton"](start_x=1.05), names["Newton"](start_x=1.1)
    near.step(40)
    far.step(40)
    assert not near.message
    assert far.message
    turning = names["Newton"]()
    turning.walks["Newton"][0] = 1.0886
    turning.advance()
    assert turning.walks["Newton"][-1] == pytest.approx(-1.0886, abs=1e-3)


def test_the_controls_can_be_watched_linked_and_used(capsys):
    pytest.importorskip("anywidget")
    names = run(BLOCKS, capsys)
    names["explorer"].controls["learning_rate"].value = 0.25
    assert "multiplied by 0.75" in shown(capsys)
    names["explorer"].widget.close()
    names["other"].widget.close()
