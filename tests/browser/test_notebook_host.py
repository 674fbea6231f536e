"""Explorers in a real JupyterLab and a real Notebook 7: moved by hand, and compared with plain Python."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from nnlib.explorers import ENGINES, Explorer
from nnlib.explorers.decision_boundary import DecisionBoundary

from .conftest import at_rest, choose_another

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
# the second cell is what a reader might write: it shows what Python sees
CHAPTER = """\
import json
from nnlib.explorers import {name}Explorer
shown = {name}Explorer()
explorer = shown.widget
shown
"""
ECHOES = """\
import ipywidgets
echo = ipywidgets.HTML()
def tell(_):
    view = explorer.view
    told = {"step": view.step, "loss": view.loss, "settings": view.settings, "message": view.message}
    echo.value = f'<span class="echo">{json.dumps(told)}</span>'
explorer.view.observe(tell, "frame")
tell(None)
echo
"""


@dataclass
class Server:
    """A Jupyter server of one application in a folder of its own."""

    application: str
    url: str
    folder: Path

    def address(self, notebook: str) -> str:
        return f"{self.url}{'lab/tree' if self.application == 'lab' else 'notebooks'}/{notebook}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url + "api", timeout=1) as answer:
        return answer.status == 200
    return False


@pytest.fixture(scope="module", params=["lab", "notebook"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp(request.param)
    folder, settings = home / "notebooks", home / "settings" / "@jupyterlab" / "apputils-extension"
    folder.mkdir()
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet), "utf-8")
    app = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[request.param]
    port = free_port()
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {name: str(home / name.lower()) for name in folders}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable, "-m", "jupyter", request.param, "--no-browser", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}",
        f"--{app}.expose_app_in_browser=True", "--allow-root",
    ]  # fmt: skip
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=folder)
        try:
            url, deadline = f"http://127.0.0.1:{port}/", time.monotonic() + 45
            while not answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the server did not start:\n{(home / 'log').read_text('utf-8')}")
                time.sleep(0.2)
            yield Server(request.param, url, folder)
        finally:
            process.terminate()  # the server ends its kernels
            process.wait(20)


@dataclass
class Visit:
    """A notebook that is open in the browser, and what went wrong meanwhile."""

    page: Page
    server: Server
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def guard(self, route: Route) -> None:
        url = route.request.url
        if url.startswith((self.server.url, "data:", "blob:")):
            route.continue_()
        else:
            self.foreign.append(url)
            route.abort()

    def command(self, name: str) -> None:
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def run(self, *cells: str) -> Locator:
        """Write a notebook, open it, run all of its cells, and return the view of its explorer."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.server.folder / "scratch.ipynb")
        self.page.goto(self.server.address("scratch.ipynb"))
        panel = "window.jupyterapp?.shell.currentWidget"
        self.page.wait_for_function(f"() => {panel}?.content?.widgets?.length > 0")
        self.page.wait_for_function(f"() => {panel}.sessionContext.session?.kernel?.status === 'idle'")
        self.errors.clear()  # those of the application and its other extensions
        self.command("notebook:run-all-cells")
        view = self.page.locator(".explorer[data-step]")
        view.first.wait_for()
        return view

    def control(self, name: str) -> Locator:
        """The ipywidget of a setting of the decision boundary."""
        label = next(control.label for control in DecisionBoundary.controls if control.name == name)
        rows = self.page.locator(".jupyter-widgets.widget-inline-hbox")
        return rows.filter(has=self.page.get_by_text(label, exact=True))

    def press(self, name: str, key: str) -> None:
        """Press a key on the slider of a setting, and wait until Python knows: what a kernel that lags
        answers to one press would undo the next."""
        before = self.told()["settings"][name]
        self.control(name).locator(".noUi-handle").press(key)
        self.page.wait_for_function(
            "([name, old]) => JSON.parse(document.querySelector('.echo').innerText).settings[name] !== old",
            arg=[name, before],
        )

    def button(self, name: str) -> Locator:
        return self.page.locator("button.jupyter-button", has_text=re.compile(f"^{name}$"))

    def told(self) -> dict[str, Any]:
        """What Python code in the notebook sees."""
        told: dict[str, Any] = json.loads(self.page.locator(".echo").inner_text())
        return told


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    context.set_default_timeout(40_000)
    visit = Visit(context.new_page(), server)
    visit.page.route("**/*", visit.guard)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("console", lambda m: visit.errors.append(m.text) if m.type == "error" else None)
    yield visit
    visit.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    context.close()
    assert visit.foreign == []
    assert visit.errors == []


def number(view: Locator, name: str) -> float:
    return float(view.get_attribute(f"data-{name}") or "nan")


def until(view: Locator, test: str) -> None:
    """Wait until a condition on the view's element holds: `test` is JavaScript about `data`."""
    view.page.wait_for_function(
        "([element, test]) => new Function('data', `return ${test}`)(element.dataset)",
        arg=[view.element_handle(), test],
    )


def test_a_reader_trains_a_network_by_hand(visit: Visit) -> None:
    view = visit.run(CHAPTER.format(name="DecisionBoundary"), ECHOES)
    status = view.get_by_role("status")
    assert number(view, "loss") == pytest.approx(DecisionBoundary().loss, rel=1e-6)
    assert visit.told()["settings"] == DecisionBoundary().settings, "drawing the sliders changes nothing"
    # the learning-rate slider, the hidden units and a choice, moved as a reader does
    for _ in range(3):
        visit.press("learning_rate", "ArrowRight")
    visit.press("hidden_size", "ArrowRight")
    visit.control("activation").locator("select").select_option(label="sigmoid")
    visit.page.locator(".echo", has_text='"activation": "sigmoid"').wait_for()
    settings = visit.told()["settings"]
    assert settings["learning_rate"] == pytest.approx(10**-0.24)
    assert settings["hidden_size"] == DecisionBoundary().settings["hidden_size"] + 1
    until(view, "data.step === '0'")
    # play, and pause
    said, start = status.inner_text(), number(view, "loss")
    play = visit.page.locator(".widget-play button").first
    play.click()
    until(view, "Number(data.step) > 60")
    assert number(view, "loss") < start
    play.click()
    step, loss = at_rest(view)  # after a pause nothing moves any more
    assert status.inner_text() != said
    alone = DecisionBoundary(**settings)
    alone.step(step)
    assert loss == pytest.approx(alone.loss, rel=1e-6)
    assert visit.told()["loss"] == loss
    # one step, and back to the start
    visit.button("Step").click()
    until(view, f"data.step === '{step + 1}'")
    alone.step()
    assert number(view, "loss") == pytest.approx(alone.loss, rel=1e-6)
    visit.button("Reset").click()
    until(view, "data.step === '0'")
    assert number(view, "loss") == pytest.approx(start, rel=1e-6)


def test_divergence_is_announced_and_reset_recovers(visit: Visit) -> None:
    settings = (
        'explorer.controls["activation"].value = "none"\nexplorer.controls["learning_rate"].value = 100'
    )
    view = visit.run(CHAPTER.format(name="DecisionBoundary"), ECHOES, settings)
    visit.page.locator(".echo", has_text='"learning_rate": 100.0').wait_for()
    visit.page.locator(".widget-play button").first.click()
    alert = view.get_by_role("alert")
    alert.get_by_text("learning rate 100").wait_for()  # a warning while the loss grows
    alert.get_by_text("became").wait_for()  # and the end of the run when it has become nan
    assert "learning rate 100" in visit.told()["message"]
    at_rest(view)  # playing has stopped
    visit.button("Reset").click()
    until(view, "data.step === '0'")


def test_two_displays_show_the_same_and_nothing_is_cut(visit: Visit) -> None:
    view = visit.run(CHAPTER.format(name="DecisionBoundary"), ECHOES, "explorer")
    view.nth(1).wait_for()
    visit.button("Step").nth(1).click()
    for number_shown in (0, 1):
        until(view.nth(number_shown), "data.step === '1'")
    # a picture that is drawn before its element is on the screen has no colours, only gray
    coloured = """canvas => {
        const picture = canvas.getContext("2d");
        const { data } = picture.getImageData(0, 0, canvas.width, canvas.height);
        return data.some((shade, i) => i % 4 === 0 && shade !== data[i + 2]);
    }"""
    assert view.first.locator("canvas").first.evaluate(coloured)
    cut = "labels => labels.filter(l => l.scrollWidth > l.clientWidth).map(l => l.textContent)"
    assert visit.page.locator(".jupyter-widgets .widget-label").evaluate_all(cut) == []


def test_keys_pressed_in_the_view_are_not_shortcuts_of_the_notebook(visit: Visit) -> None:
    view = visit.run(CHAPTER.format(name="DecisionBoundary"), ECHOES)
    cells = visit.page.locator(".jp-Cell").count()
    plane = view.get_by_role("application").first
    for key in ("b", "a", "ArrowRight", "Enter"):
        plane.press(key)
    assert visit.page.locator(".jp-Cell").count() == cells
    assert plane.evaluate("element => element === document.activeElement")


def test_an_error_of_the_engine_is_shown(visit: Visit) -> None:
    breaks = "explorer.engine.advance = lambda: 1 / 0"
    visit.run(CHAPTER.format(name="DecisionBoundary"), ECHOES, breaks)
    visit.page.get_by_text("[3]:", exact=True).first.wait_for()  # the last cell has run
    visit.button("Step").click()
    visit.page.get_by_role("alert").get_by_text("ZeroDivisionError").wait_for()


@pytest.mark.parametrize("engine_class", ENGINES.values(), ids=ENGINES)
def test_every_explorer_of_a_chapter_shows_its_state_makes_a_step_and_follows_a_dropdown(
    visit: Visit, engine_class: type[Explorer]
) -> None:
    engine = engine_class()
    view = visit.run(CHAPTER.format(name=engine_class.__name__), ECHOES)
    visit.page.get_by_role("status").get_by_text(engine.describe()).wait_for()
    visit.button("Step").click()
    until(view, "data.step === '1'")
    engine.step()
    visit.page.get_by_role("status").get_by_text(engine.describe()).wait_for()
    told = visit.told()
    assert told["loss"] == (None if engine.loss is None else pytest.approx(engine.loss, rel=1e-6))
    assert told["settings"] == pytest.approx(engine.settings)
    choose_another(visit.page, engine)
    until(view, f"data.step === '{engine.steps}'")
    visit.page.get_by_role("status").get_by_text(engine.describe()).wait_for()
    assert visit.told()["settings"] == pytest.approx(engine.settings)
