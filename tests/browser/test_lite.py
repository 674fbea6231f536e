"""Chapters and problem sets that run in the browser: the buttons on the pages, and JupyterLite behind them.

Every chapter is run from top to bottom on the kernel that readers get, and so are every explorer and every
problem set, unsolved and solved.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import nbformat
import pytest

from nnlib import explorers

from .conftest import at_rest, choose_another

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
LABEL = "Run this chapter in the browser"
AT_ONCE = 2  # chapters that run at the same time, each on a kernel of its own
EXPLORERS = sorted(name for name in explorers.__all__ if name != "Explorer" and name.endswith("Explorer"))
MINUTES = 60_000  # ms
PATIENCE = 20  # minutes for one chapter, on a machine with much else to do

NOTEBOOK = "window.jupyterapp?.shell?.currentWidget"
# Both: on a busy machine the kernel may be there before the file, and the notebook is one empty cell then.
READY = f"({NOTEBOOK}?.context?.isReady && {NOTEBOOK}.sessionContext?.session?.kernel?.status === 'idle')"
RUN_ALL = """() => {
    window.finished = false;
    window.jupyterapp.commands.execute("notebook:run-all-cells").finally(() => { window.finished = true; });
}"""
OUTPUTS = f"""() => {{
    const cells = [...{NOTEBOOK}.content.model.cells].filter((cell) => cell.type === "code");
    return cells.map((cell) => cell.toJSON());
}}"""


@pytest.fixture(scope="module")
def lite(html: Path) -> Path:
    manifest = json.loads((html / "_static" / "pyodide" / "manifest.json").read_text("utf-8"))
    if not manifest["available"]:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(f"this book has no Pyodide: {manifest['reason']}")
    return html / "lite"


@contextmanager
def watched(browser: Browser, site: str, **settings: Any) -> Iterator[BrowserContext]:
    """A reader's browser; an error when it asks another host for anything."""
    foreign: list[str] = []
    context = browser.new_context(**settings)
    local = (site, "data:", "blob:")
    context.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(local) else None)
    yield context
    context.close()
    assert not foreign


def listen(where: BrowserContext | Page) -> list[str]:
    """Errors in the console of a page or of all; browsers ask for an icon of their own accord."""
    errors: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        address = message.location["url"]
        if message.type == "error" and not address.endswith("/favicon.ico"):
            errors.append(f"{message.text} {address}")

    where.on("console", hear)
    return errors


@pytest.fixture
def reader(browser: Browser, site: str, lite: Path) -> Iterator[BrowserContext]:
    # tall: a notebook draws only the cells that are on the screen
    with watched(browser, site, viewport={"width": 1280, "height": 12_000}) as context:
        errors = listen(context)
        yield context
        assert not errors


def wait_for_kernel(page: Page) -> None:
    page.wait_for_function(READY, timeout=3 * MINUTES)


def run_all(page: Page, minutes: float = 10) -> list[dict[str, Any]]:
    """Run all code cells from a fresh start, and return them."""
    wait_for_kernel(page)
    page.evaluate(f"() => [...{NOTEBOOK}.content.model.cells].forEach((cell) => cell.clearExecution?.())")
    page.evaluate(RUN_ALL)
    page.wait_for_function("window.finished", timeout=minutes * MINUTES)
    cells: list[dict[str, Any]] = page.evaluate(OUTPUTS)
    return cells


def complaints(cells: list[dict[str, Any]]) -> list[str]:
    """Errors, text on stderr, and cells that did not run."""
    found = [f"code cell {n} did not run" for n, cell in enumerate(cells, 1) if not cell["execution_count"]]
    for n, cell in enumerate(cells, 1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"code cell {n}: {output['ename']}: {output['evalue']}")
            elif output.get("name") == "stderr":
                found.append(f"code cell {n}, stderr: {''.join(output['text'])[:200]}")
    return found


def open_notebook(reader: BrowserContext, site: str, cells: list[str]) -> Page:
    """A notebook of the test's own, in the folder of the chapters."""
    content = {
        "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python", "display_name": "Python"}},
        "cells": [
            {"id": f"c{n}", "cell_type": "code", "source": source, "metadata": {}, "outputs": [],
             "execution_count": None} for n, source in enumerate(cells)
        ],
    }  # fmt: skip
    page = reader.new_page()
    page.goto(f"{site}lite/tree/index.html")
    page.wait_for_function("window.jupyterapp?.serviceManager?.contents !== undefined")
    page.evaluate(
        """content => window.jupyterapp.serviceManager.contents.save("notebooks/own.ipynb",
               {type: "notebook", format: "json", content})""",
        content,
    )
    page.goto(f"{site}lite/notebooks/index.html?path=notebooks/own.ipynb")
    return page


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_links_to_its_notebook(chapter: str, html: Path, lite: Path) -> None:
    page = (html / "notebooks" / f"{chapter}.html").read_text("utf-8")
    [line] = re.findall(r'<p><a class="run-in-browser[^>]*href="([^"]+)"[^>]*>([^<]+)</a></p>', page)
    assert line[1] == LABEL
    assert page.count(line[0]) == 2, "one link under the title, one button in the header"
    address, path = line[0].split("?path=")
    assert (html / "notebooks" / address).resolve().is_file()
    assert (lite / "files" / unquote(path)).is_file()


def test_the_site_has_one_pyodide_and_asks_no_index(lite: Path) -> None:
    assert not list(lite.rglob("*.wasm"))
    assert not list(lite.rglob("*.map"))
    config = json.loads((lite / "jupyter-lite.json").read_text("utf-8"))["jupyter-config-data"]
    kernel = config["litePluginSettings"]["@jupyterlite/pyodide-kernel-extension:kernel"]
    assert kernel["disablePyPIFallback"] is True
    assert (lite / kernel["pyodideUrl"]).is_file()


def test_every_wheel_of_the_kernel_is_there_and_is_the_one_that_is_locked(lite: Path) -> None:
    import hashlib

    packages = json.loads((lite / "kernel" / "pyodide-lock.json").read_text("utf-8"))["packages"]
    assert {"nnlib", "anywidget", "ipywidgets", "pyodide-kernel"} <= set(packages)
    for package in packages.values():
        file = lite.parent / "_static" / "pyodide" / package["file_name"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == package["sha256"], file.name


def test_a_chapter_opens_by_its_button_and_runs(reader: BrowserContext, site: str) -> None:
    page = reader.new_page()
    page.goto(f"{site}notebooks/05-chain-rule.html")
    button = page.get_by_role("link", name=LABEL).and_(page.locator("p > a"))
    button.focus()
    with reader.expect_page() as opened:
        page.keyboard.press("Enter")
    assert not complaints(run_all(opened.value))


def test_the_data_of_the_course_are_found_without_a_cell_that_installs(
    reader: BrowserContext, site: str
) -> None:
    page = open_notebook(reader, site, [
        "from nnlib import data\nX, y = data.load_csv('../data/basic_dataset.csv')",
        "X, y = data.mnist('train')\nassert X.shape == (60000, 784)",
        "X, y = data.mnist('test')\nassert y[:5].tolist() == [7, 2, 1, 0, 4]",
    ])  # fmt: skip
    assert not complaints(run_all(page))


def test_mnist_is_fetched_only_when_it_is_used(reader: BrowserContext, site: str) -> None:
    asked: list[str] = []
    reader.on("request", lambda request: asked.append(request.url))
    page = open_notebook(reader, site, ["import nnlib", "nnlib.data.xor()"])
    assert not complaints(run_all(page))
    assert any("kernel/pyodide.js" in url for url in asked)
    assert not [url for url in asked if "ubyte" in url]


COUNTER = '''
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = """export default {render({model, el}) {
        const button = document.createElement("button");
        const show = () => { button.textContent = `twice is ${model.get("twice")}`; };
        button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
        model.on("change:twice", show);
        show();
        el.append(button);
    }}"""
    count, twice = (traitlets.Int(0).tag(sync=True) for _ in "12")

    @traitlets.observe("count")
    def double(self, change):
        self.twice = 2 * change.new

Counter()
'''
MENU = """
import ipywidgets
menu, label = ipywidgets.Dropdown(options=["relu", "tanh"]), ipywidgets.Label("start")
menu.observe(lambda change: setattr(label, "value", f"now {change.new}"), "value")
ipywidgets.VBox([menu, label])
"""


def test_widgets_talk_to_python_and_back(reader: BrowserContext, site: str) -> None:
    page = open_notebook(reader, site, [COUNTER, MENU])
    assert not complaints(run_all(page))
    page.get_by_role("button", name="twice is 0").click()
    page.get_by_role("button", name="twice is 2").wait_for()
    page.locator(".widget-dropdown select").select_option("tanh")
    page.get_by_text("now tanh", exact=True).wait_for()


# --- Explorers -----------------------------------------------------------------------------------------


def until(view: Locator, condition: str) -> None:
    """Wait until a condition on the numbers of a view holds: JavaScript about `data`."""
    view.page.wait_for_function(
        "([element, condition]) => new Function('data', `return ${condition}`)(element.dataset)",
        arg=[view.element_handle(), condition],
        timeout=MINUTES,
    )


def assert_same_state(view: Locator, engine: explorers.Explorer) -> None:
    until(view, f"data.step === '{engine.steps}'")
    view.get_by_role("status").get_by_text(engine.describe(), exact=True).wait_for()
    if engine.loss is not None:
        assert float(view.get_attribute("data-loss") or "nan") == pytest.approx(engine.loss, rel=1e-6)


def test_every_explorer_opens_makes_a_step_and_follows_a_dropdown_as_in_python(
    reader: BrowserContext, site: str
) -> None:
    assert len(EXPLORERS) == len(explorers.ENGINES)
    page = open_notebook(reader, site, [f"from nnlib.explorers import {n}\n\n{n}()" for n in EXPLORERS])
    assert not complaints(run_all(page))
    for number, name in enumerate(EXPLORERS):
        engine = getattr(explorers, name)().engine
        cell = page.locator(".jp-CodeCell").nth(number)
        view = cell.locator(".explorer[data-step]")
        assert_same_state(view, engine)
        cell.get_by_role("button", name="Step", exact=True).click()
        engine.step()
        assert_same_state(view, engine)
        choose_another(cell, engine)
        assert_same_state(view, engine)


BOUNDARY = """
import json
import ipywidgets
from nnlib.explorers import DecisionBoundaryExplorer

explorer = DecisionBoundaryExplorer()
echo = ipywidgets.HTML()
def tell(_):
    echo.value = f'<span class="echo">{json.dumps(explorer.engine.settings)}</span>'
explorer.widget.view.observe(tell, "frame")
tell(None)
ipywidgets.VBox([explorer.widget, echo])
"""


def test_a_reader_trains_a_network_by_hand_and_gets_the_numbers_of_python(
    reader: BrowserContext, site: str
) -> None:
    page = open_notebook(reader, site, [BOUNDARY])
    assert not complaints(run_all(page))
    view = page.locator(".explorer[data-step]")
    labels = {control.name: control.label for control in explorers.ENGINES["decision-boundary"].controls}

    def control(name: str) -> Locator:
        rows = page.locator(".jupyter-widgets.widget-inline-hbox")
        return rows.filter(has=page.get_by_text(labels[name], exact=True))

    def settings() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(page.locator(".echo").inner_text())
        return told

    before = settings()
    for name in ("learning_rate", "hidden_size"):
        control(name).locator(".noUi-handle").press("ArrowRight")
    control("activation").locator("select").select_option(label="sigmoid")
    page.locator(".echo", has_text='"activation": "sigmoid"').wait_for()
    after = settings()
    assert after["learning_rate"] > before["learning_rate"]
    assert after["hidden_size"] == before["hidden_size"] + 1

    play = page.locator(".widget-play button").first
    play.click()
    until(view, "Number(data.step) > 20")
    play.click()
    steps, _ = at_rest(view)
    page.get_by_role("button", name="Step", exact=True).click()
    engine = explorers.DecisionBoundaryExplorer(**after).engine
    engine.step(steps + 1)
    assert_same_state(view, engine)


def test_divergence_is_announced_and_reset_recovers(reader: BrowserContext, site: str) -> None:
    settings = "explorer = DecisionBoundaryExplorer(activation='none', learning_rate=100)"
    page = open_notebook(reader, site, [BOUNDARY.replace("explorer = DecisionBoundaryExplorer()", settings)])
    assert not complaints(run_all(page))
    view = page.locator(".explorer[data-step]")
    alert = view.get_by_role("alert")
    page.locator(".widget-play button").first.click()
    alert.get_by_text("100 is too large").wait_for(timeout=MINUTES)
    page.get_by_text("Learning rate", exact=True).locator("..").locator(".noUi-handle").press("Home")
    page.get_by_role("button", name="Reset", exact=True).click()
    until(view, "data.step === '0'")
    page.get_by_role("button", name="Step", exact=True).click()
    until(view, "data.step === '1' && Number.isFinite(Number(data.loss))")
    assert not alert.count() or not alert.inner_text()


# --- Problem sets ----------------------------------------------------------------------------------------

ASSIGNMENTS = ROOT / "assignments"
SETS = sorted(path.stem for path in (ASSIGNMENTS / "release").glob("*/*.ipynb"))
# What a check may raise while its problem is unsolved. The project's cell ends before it defines anything.
UNSOLVED = {"NotImplementedError", "AssertionError"}
RUN_EACH = f"""async () => {{
    const notebook = {NOTEBOOK}.content;
    for (let n = 0; n < notebook.model.cells.length; n++) {{
        notebook.activeCellIndex = n;  // one by one: Run All ends at the first error
        await window.jupyterapp.commands.execute("notebook:run-cell");
    }}
}}"""
WRITE = f"""answers => {{
    for (const cell of {NOTEBOOK}.content.model.cells) {{
        const answer = answers[cell.getMetadata("nbgrader")?.grade_id];
        if (answer !== undefined) cell.sharedModel.setSource(answer);
    }}
}}"""


def set_in_browser(reader: BrowserContext, site: str, name: str) -> Page:
    page = reader.new_page()
    page.goto(f"{site}lite/notebooks/index.html?path=problem-sets/{name}.ipynb")
    wait_for_kernel(page)
    return page


def run_each(page: Page) -> list[dict[str, Any]]:
    """Run all cells one by one, errors or not, and return the code cells."""
    page.set_default_timeout(PATIENCE * MINUTES)
    page.evaluate(RUN_EACH)
    cells: list[dict[str, Any]] = page.evaluate(OUTPUTS)
    return cells


def errors(cell: dict[str, Any]) -> list[str]:
    """Names of the errors under a cell, which this kernel writes as <class 'NameError'>."""
    found = [output["ename"] for output in cell["outputs"] if output["output_type"] == "error"]
    return [re.sub(r"<class '(\w+)'>", r"\1", name) for name in found]


def answers(name: str) -> dict[str, str]:
    """Problem -> code that solves it."""
    source = nbformat.read(ASSIGNMENTS / "source" / name / f"{name}.ipynb", as_version=4)
    solved = [c for c in source.cells if c.cell_type == "code" and c.metadata.nbgrader.solution]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in solved}


@pytest.mark.parametrize("name", SETS)
def test_each_check_of_a_set_says_what_is_missing_and_then_that_all_is_fine(
    name: str, reader: BrowserContext, site: str
) -> None:
    page = set_in_browser(reader, site, name)
    cells = run_each(page)
    assert all(cell["execution_count"] for cell in cells), "the notebook goes on after each error"
    checks = [cell for cell in cells if cell["metadata"]["nbgrader"]["grade"]]
    assert checks
    for cell in checks:
        grade_id = cell["metadata"]["nbgrader"]["grade_id"]
        assert set(errors(cell)) & UNSOLVED, f"{grade_id} says {errors(cell)}"

    page.evaluate(WRITE, answers(name))
    start = time.monotonic()
    assert not complaints(run_each(page))
    print(f"{name}: {time.monotonic() - start:.0f} s in the browser")


@pytest.mark.parametrize("name", SETS)
def test_the_page_of_the_problem_sets_downloads_what_was_released_and_opens_it(
    name: str, reader: BrowserContext, site: str
) -> None:
    page = reader.new_page()
    page.goto(f"{site}book/problem-sets.html")
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {name}").click()
    assert download.value.suggested_filename == f"{name}.ipynb"
    released = nbformat.read(ASSIGNMENTS / "release" / name / f"{name}.ipynb", as_version=4)
    assert nbformat.read(download.value.path(), as_version=4) == released
    with reader.expect_page() as opened:
        page.get_by_role("link", name=f"Open {name} in the browser").press("Enter")
    opened.value.wait_for_function(f"{NOTEBOOK}?.context?.isReady", timeout=MINUTES)
    sources = opened.value.evaluate(
        f"() => [...{NOTEBOOK}.content.model.cells].map((c) => c.sharedModel.source)"
    )
    assert sources == [cell.source for cell in released.cells]


def test_a_page_opened_as_a_file_says_how_to_open_a_set_and_hands_it_out(
    browser: Browser, html: Path, lite: Path
) -> None:
    page = browser.new_page()
    page.goto((html / "book" / "problem-sets.html").as_uri())
    assert page.get_by_text("make serve").count() >= len(SETS)
    assert page.get_by_role("link", name=re.compile("^Open .* in the browser$")).count() == 0
    # Chromium shows a file that a page from a file links to; elsewhere it is saved.
    page.get_by_role("link", name="Download ps1").click()
    page.wait_for_url("**/ps1.ipynb")
    assert "Problem set 1" in page.inner_text("body")
    page.close()


def test_work_stays_in_the_browser_can_be_taken_out_and_started_again(
    reader: BrowserContext, site: str
) -> None:
    page = set_in_browser(reader, site, "ps1")
    page.evaluate(WRITE, {"neuron": "mine = 1"})
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.get_by_role("menuitem", name="File", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Download", exact=True).click()
    assert "mine = 1" in download.value.path().read_text("utf-8")

    page.get_by_role("menuitem", name="File", exact=True).click()
    with reader.expect_page() as opened:
        page.get_by_role("menuitem", name="Open…", exact=True).click()
    files = opened.value
    folder, ps1 = (
        files.locator(".jp-DirListing-item", has_text=name) for name in ("problem-sets", "ps1.ipynb")
    )
    ps1.or_(folder).first.wait_for()
    if not ps1.count():
        folder.dblclick()
    ps1.click()
    with files.expect_download() as download:
        files.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "ps1.ipynb"
    assert "mine = 1" in download.value.path().read_text("utf-8")
    files.get_by_role("button", name="Delete").click()
    files.locator(".jp-Dialog").get_by_role("button", name="Delete").click()
    files.locator(".jp-Dialog").wait_for(state="detached")
    page.close()
    again = set_in_browser(reader, site, "ps1")
    assert "mine = 1" not in json.dumps(again.evaluate(OUTPUTS))


# --- Chapters ------------------------------------------------------------------------------------------

# Runs a chapter as soon as its kernel is ready, so that two pages need one who looks now and then.
RUN_WHEN_READY = f"""const waiting = setInterval(() => {{
    if (!{READY}) return;
    clearInterval(waiting);
    for (const cell of {NOTEBOOK}.content.model.cells) cell.clearExecution?.();
    ({RUN_ALL})();
}}, 250);"""


STOOD_STILL = "OSError|did not run$"


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, browser: Browser, site: str, lite: Path
) -> dict[str, tuple[list[dict[str, Any]], list[str]]]:
    """Chapter -> its code cells after a run, and errors in the console; the last, which take long, first.

    Where a file did not come or a cell did not run, as happens when a machine stands still for a while, the
    chapter gets one more visit, as a reader would give it.
    """
    tests = [item for item in request.session.items if "runs" in getattr(item, "fixturenames", ())]
    waiting = sorted(item.callspec.params["chapter"] for item in tests)  # type: ignore[attr-defined]
    running: dict[str, tuple[Page, float, list[str]]] = {}
    done: dict[str, tuple[list[dict[str, Any]], list[str]]] = {}
    again: set[str] = set()
    with watched(browser, site) as context:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                chapter, page = waiting.pop(), context.new_page()
                page.add_init_script(RUN_WHEN_READY)
                errors = listen(page)
                page.goto(f"{site}lite/notebooks/index.html?path=notebooks/{chapter}.ipynb")
                running[chapter] = page, time.monotonic(), errors
            time.sleep(0.25)
            for chapter, (page, start, errors) in list(running.items()):
                seconds = time.monotonic() - start
                if page.evaluate("window.finished === true") or seconds > 60 * PATIENCE:
                    cells = page.evaluate(OUTPUTS)
                    done[chapter] = cells, errors
                    print(f"{chapter}: {seconds:.0f} s in the browser")
                    page.close()
                    del running[chapter]
                    found = complaints(cells)
                    if found and chapter not in again and all(map(re.compile(STOOD_STILL).search, found)):
                        print(f"{chapter} once more: {found}")
                        again.add(chapter)
                        waiting.append(chapter)
    return done


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_chapter_runs_from_top_to_bottom_in_the_browser(
    chapter: str, runs: dict[str, tuple[list[dict[str, Any]], list[str]]]
) -> None:
    source = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4)
    cells, errors = runs[chapter]
    assert len(cells) == sum(cell.cell_type == "code" for cell in source.cells)
    assert not complaints(cells)
    assert not errors
    for cell in cells:
        if "from nnlib.explorers import" in cell["source"]:
            [shown] = cell["outputs"]
            assert "application/vnd.jupyter.widget-view+json" in shown["data"]
