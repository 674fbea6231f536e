"""The Sphinx extension that joins the view and the page's host, and puts explorers into prose."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

import live_explorers
from sphinx.errors import ExtensionError

VIEW = "const a = 1;\nfunction createView() {}\n\nexport { createView, a };\n"


def test_the_view_becomes_a_function_that_returns_its_exports():
    script = live_explorers.classic_script(VIEW, "createView(a);")
    assert "export" not in script
    assert "return { createView, a };" in script
    assert script.index("const { createView, a } =") < script.index("createView(a);")


@pytest.mark.parametrize("view", ["export const a = 1;\n", VIEW + "a;\n", "const a = 1;\n"])
def test_a_view_that_does_not_end_in_its_exports_stops_the_build(view):
    with pytest.raises(ExtensionError, match="must end in one statement"):
        live_explorers.classic_script(view, "")


def test_the_real_view_can_be_joined():
    sources = (live_explorers.VIEW / "view.js", live_explorers.HOST / "page.js")
    script = live_explorers.classic_script(*(path.read_text("utf-8") for path in sources))
    assert "\nexport " not in script
    assert "import(" not in script


@pytest.mark.parametrize(
    ("text", "value"), [("0.5", 0.5), ("3", 3), ("true", True), ("moons", "moons"), ('"1"', "1")]
)
def test_settings_of_the_directive_are_numbers_flags_or_texts(text, value):
    assert live_explorers.number_or_text(text) == value


@pytest.fixture
def built(sphinx_page):
    """The HTML of a page with only this extension, and what Sphinx said."""
    conf = "extensions = ['live_explorers']"
    return lambda source: sphinx_page("index.rst", f"Title\n=====\n\n{source}\n", conf)


def test_a_page_of_prose_can_show_an_explorer(built, tmp_path):
    html, said = built(".. explorer:: convolution kernel=blur stride=2")
    assert said == ""
    assert '<div class="explorer" data-explorer="convolution" data-state="recorded">' in html
    assert '"settings":{"kernel":"blur","stride":2}' in html
    assert "live/explorers.js" in html
    assert (tmp_path / "out" / "_static" / "live" / "worker.js").is_file()


def test_a_page_without_an_explorer_loads_nothing_of_them(built):
    assert "live/explorers" not in built("Words.")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("perpetuum", "there is no explorer 'perpetuum'"),
        ("convolution stride=9", "stride must be a whole number"),
    ],
)
def test_a_mistake_in_a_page_is_named(arguments, message, built):
    assert message in built(f".. explorer:: {arguments}")[1]
