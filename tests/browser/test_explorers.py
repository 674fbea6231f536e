"""The explorers of the built book, used as a reader uses them and compared with nnlib outside the browser."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nnlib import check_network, data
from nnlib.explorers import ENGINES
from nnlib.explorers.display import page_element
from nnlib.explorers.panels import encode
from nnlib.explorers.recording import patch
from nnlib.gradcheck import numerical_gradient

from .conftest import at_rest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route

pytestmark = pytest.mark.browser

WIDE = {"width": 1280, "height": 900}
every_explorer = pytest.mark.parametrize("name", ENGINES)


SAYS = "(root, text) => root.querySelector('[role=status]').textContent === text"


class Reader:
    """One browser context that sees only the local server and remembers what went wrong."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.context, self.site = context, site
        self.page: Page = context.new_page()
        self.foreign: list[str] = []
        self.errors: list[str] = []
        context.route("**/*", self.guard)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def guard(self, route: Route) -> None:
        if route.request.url.startswith((self.site, "data:", "blob:", "file:")):
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()

    def open(self, path: str, name: str, fragment: str = "") -> Explorer:
        self.page.goto(f"{self.site}{path}{fragment}")
        return Explorer(self.page, name)


class Explorer:
    """What a reader sees of an explorer."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name
        self.root: Locator = page.locator(f'.explorer[data-explorer="{name}"]').first

    def get(self, field: str) -> str:
        return self.root.get_attribute(f"data-{field}") or ""

    @property
    def step(self) -> int:
        return int(self.get("step"))

    @property
    def loss(self) -> float:
        return float(self.get("loss") or "nan")

    @property
    def frame(self) -> dict[str, Any]:
        return self.root.evaluate("root => root.frame")

    @property
    def status(self) -> str:
        return self.root.locator("[role=status]").first.inner_text()

    def button(self, name: str) -> Locator:
        return self.root.locator(f"button[name={name}]")

    def control(self, name: str) -> Locator:
        return self.root.locator(f"[name={name}]")

    def live(self) -> Explorer:
        self.root.scroll_into_view_if_needed()
        self.wait('root => ["live", "failed"].includes(root.dataset.state)', 120)
        assert self.get("state") == "live", self.root.locator("[role=alert]").all_inner_texts()
        return self

    def wait(self, condition: str, seconds: float = 30, argument: Any = None) -> None:
        """Wait until a function of the element (and an argument) is true."""
        self.page.wait_for_function(
            f"([root, argument]) => ({condition})(root, argument)",
            arg=[self.root.element_handle(), argument],
            timeout=1000 * seconds,
        )

    def after(self, action: Callable[[], Any]) -> None:
        """Do something and wait until a new frame has come."""
        self.root.evaluate("root => { root.seen = root.frame; }")
        action()
        self.wait("root => root.frame !== root.seen")

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.after(self.button("step").click)

    def choose(self, name: str, value: Any) -> None:
        """Set a control by hand."""
        control = self.control(name)
        kind = control.evaluate("node => node.type")
        if kind == "select-one":
            control.select_option(value)
        elif kind == "checkbox":
            control.set_checked(value)
        else:
            control.fill(str(value))


@pytest.fixture(scope="module")
def shared(browser: Browser, site: str) -> Iterator[Reader]:
    """One reader for tests that each open a page of their own."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
    reader = Reader(context, site)
    yield reader
    assert reader.foreign == []
    context.close()


@pytest.fixture
def reader(shared: Reader) -> Iterator[Reader]:
    shared.errors.clear()
    yield shared
    assert shared.errors == []
    shared.page.goto("about:blank")


def near(shown: Any, expected: Any, path: str = "frame", digits: float = 1e-6) -> None:
    """Both frames hold the same texts and, to so many digits, the same numbers."""
    if isinstance(expected, dict):
        assert shown.keys() == expected.keys(), path
        for key, value in expected.items():
            if key == "u8":  # shades: a number on the edge of two may fall to either side
                apart = np.subtract(shades(shown[key]), shades(value), dtype=int)
                assert np.abs(apart).max(initial=0) <= 1, f"{path}.{key}"
            else:
                near(shown[key], value, f"{path}.{key}", digits)
    elif isinstance(expected, list):
        assert len(shown) == len(expected), path
        for i, value in enumerate(expected):
            near(shown[i], value, f"{path}[{i}]", digits)
    elif isinstance(expected, float) and not isinstance(shown, bool) and shown is not None:
        assert math.isclose(shown, expected, rel_tol=digits, abs_tol=digits), (
            f"{path}: {shown} and {expected}"
        )
    else:
        assert shown == expected, path


def shades(text: str) -> Any:
    return np.frombuffer(base64.b64decode(text), np.uint8)


def frame_of(engine: Any) -> Any:
    """The frame of an engine in CPython, as a page would get it."""
    return json.loads(json.dumps(encode(engine.frame())))


def same_as(twin: Any, explorer: Explorer) -> None:
    """The page shows what the engine in CPython shows."""
    near(explorer.frame, frame_of(twin))


EXACT = [name for name in ENGINES if name not in ("mnist", "finite-difference")]  # see the first test


# ------------------------------------------------------------------------------- every explorer


@every_explorer
def test_it_shows_a_recording_at_once_and_then_computes_what_nnlib_computes(
    reader: Reader, where: dict[str, str], name: str
) -> None:
    explorer = reader.open(where[name], name)
    explorer.wait("root => root.dataset.step !== undefined", 10)
    assert explorer.get("state") in ("recorded", "loading", "live")
    assert explorer.status
    explorer.live()
    assert explorer.step == 0

    twin = ENGINES[name](**explorer.frame["settings"])
    digits = 1e-3 if name == "mnist" else 1e-6  # MNIST trains in float32, whose sums have an order
    heard = {explorer.status}
    for _ in range(3):
        explorer.steps(1)
        twin.step()
        expected = frame_of(twin)
        if name == "finite-difference":  # draws rounding errors: they are each machine's own
            explorer.root.evaluate("root => { root.frame.panels = []; }")
            expected["panels"] = []
        assert explorer.step == twin.steps
        if twin.loss is not None:
            assert math.isclose(explorer.loss, twin.loss, rel_tol=digits, abs_tol=digits)
        if name != "mnist":
            near(explorer.frame, expected)
        explorer.wait(SAYS, 5, twin.describe())
        heard.add(explorer.status)
    assert len(heard) == 4, "the live region says something new at each step"


@every_explorer
def test_each_of_its_controls_answers(reader: Reader, where: dict[str, str], name: str) -> None:
    explorer = reader.open(where[name], name).live()
    twin = ENGINES[name](**explorer.frame["settings"])
    for control in ENGINES[name].controls:
        values = [value for value, _ in control.choices] or [control.low, control.high]
        if control.kind == "toggle":
            values = [True, False]
        if control.kind in ("whole", "slider") and name == "mnist":
            values = [control.low, control.low + control.step]
        value = next(value for value in values if value != twin.settings[control.name])
        assert explorer.control(control.name).count() == 1
        text = f"{value:g}" if isinstance(value, float) else value
        explorer.after(lambda name=control.name, text=text: explorer.choose(name, text))
        explorer.wait("(root, want) => root.frame.settings[want[0]] === want[1]", 60, [control.name, value])
        twin.set(**{control.name: value})
        assert explorer.step == twin.steps
        assert explorer.frame["message"] == twin.message
        if name in EXACT:
            same_as(twin, explorer)


@pytest.mark.parametrize(("name", "settings"), [
    ("backprop", {}), ("backprop", {"predict": True}), ("convolution", {"direction": "dX"}),
    ("convolution", {"direction": "dW"}),
])  # fmt: skip
def test_the_operations_of_a_whole_pass_show_what_nnlib_computes(
    reader: Reader, where: dict[str, str], name: str, settings: dict[str, Any]
) -> None:
    explorer = reader.open(where[name], name).live()
    for setting, value in settings.items():
        explorer.after(lambda setting=setting, value=value: explorer.choose(setting, value))
    twin = ENGINES[name](**explorer.frame["settings"])
    for _ in range(20):  # a pass of the stepper has 17 operations
        explorer.steps(1)
        twin.step()
        same_as(twin, explorer)


@pytest.mark.parametrize("name", ["neuron", "optimizers"])
def test_the_loss_falls_while_it_plays(reader: Reader, where: dict[str, str], name: str) -> None:
    explorer = reader.open(where[name], name).live()
    explorer.steps(1)
    explorer.button("play").click()
    explorer.wait(
        """root => {
          const loss = parseFloat(root.dataset.loss);
          root.first ??= Number.isNaN(loss) ? undefined : loss;
          return loss < 0.98 * root.first;
        }""",
        60,
    )


def test_a_prediction_is_asked_for_answered_and_revealed(reader: Reader, where: dict[str, str]) -> None:
    explorer = reader.open(where["backprop"], "backprop").live()
    explorer.after(lambda: explorer.choose("predict", True))
    explorer.steps(1)
    twin = ENGINES["backprop"](**explorer.frame["settings"])
    twin.step()
    assert "predict" in explorer.frame["describe"]
    question = explorer.root.locator(".explorer-question")
    question.locator("input").fill(repr(float(twin._value())))
    explorer.after(lambda: question.locator("input").press("Enter"))
    explorer.wait("root => /Right/.test(root.textContent)")
    twin.act("predict", float(twin._value()))
    same_as(twin, explorer)


@every_explorer
def test_it_can_be_used_with_the_keyboard_alone(reader: Reader, where: dict[str, str], name: str) -> None:
    explorer = reader.open(where[name], name).live()
    reachable = explorer.root.evaluate(
        """root => [...root.querySelectorAll('button, input, select')]
             .filter(node => node.offsetParent && !node.disabled && node.tabIndex >= 0).length"""
    )
    assert reachable >= len(ENGINES[name].controls) + 3
    explorer.button("step").focus()
    explorer.after(lambda: explorer.page.keyboard.press("Enter"))
    assert explorer.step == 1
    numbers = (c for c in ENGINES[name].controls if c.kind in ("slider", "log", "whole"))
    control = next(c for c in numbers if c.name != "seed")
    before = explorer.frame["settings"][control.name]
    explorer.control(control.name).focus()
    explorer.after(lambda: explorer.page.keyboard.press("ArrowUp" if before < control.high else "ArrowDown"))
    explorer.wait("(root, was) => root.frame.settings[was[0]] !== was[1]", 30, [control.name, before])
    explorer.button("reset").focus()
    explorer.after(lambda: explorer.page.keyboard.press("Space"))
    assert explorer.step == 0


@pytest.mark.parametrize(("value", "shown"), [(0.00125, "0.00125"), (0.000316, "3.16e-4"), (0.0001, "1e-4")])
def test_a_small_number_can_be_read_in_its_field(
    reader: Reader, where: dict[str, str], value: float, shown: str
) -> None:
    explorer = reader.open(where["finite-difference"], "finite-difference", f"#finite-difference?h={value}")
    explorer.live().wait("(root, value) => root.frame.settings.h === value", 30, value)
    field = explorer.control("h")
    assert field.input_value() == shown
    assert field.evaluate("node => node.scrollWidth <= node.clientWidth")


# ------------------------------------------------------------------------------- the decision boundary


@pytest.fixture
def boundary(reader: Reader, where: dict[str, str]) -> Explorer:
    return reader.open(where["decision-boundary"], "decision-boundary").live()


def test_playing_makes_the_loss_fall_and_the_boundary_move(boundary: Explorer) -> None:
    first, loss, picture = boundary.frame, boundary.loss, boundary.root.locator("canvas").first.screenshot()
    boundary.button("play").click()
    boundary.wait("root => Number(root.dataset.loss) < 0.1 && root.dataset.accuracy === '1'", 60)
    assert boundary.button("play").inner_text() == "Pause"
    boundary.button("play").click()
    at_rest(boundary.root)  # paused means paused
    assert boundary.loss < loss
    assert boundary.frame["panels"] != first["panels"]
    assert boundary.root.locator("canvas").first.screenshot() != picture


def test_a_new_learning_rate_goes_on_and_a_new_size_starts_again(boundary: Explorer) -> None:
    boundary.steps(3)
    boundary.after(lambda: boundary.choose("learning_rate", 0.25))
    assert boundary.step == 3
    boundary.after(lambda: boundary.choose("hidden_size", 8))
    assert boundary.step == 0


def test_the_gradients_shown_equal_numerical_ones(boundary: Explorer) -> None:
    boundary.steps(4)
    boundary.after(lambda: boundary.choose("shows", "gradients"))
    network = next(panel for panel in boundary.frame["panels"] if panel["kind"] == "network")
    assert network["shows"] == "gradients"
    twin = ENGINES["decision-boundary"](**boundary.frame["settings"])
    twin.step(4)
    assert check_network(twin.net, twin.criterion, twin.X, twin.Y).ok
    parameters = twin.net.params().items()
    for key, kind in (("weights", ".W"), ("values", ".b")):
        shown = [values for values in network[key] if values is not None]  # inputs have no bias
        arrays = [theta for name, theta in parameters if name.endswith(kind)]
        for values, theta in zip(shown, arrays, strict=True):
            numeric = numerical_gradient(loss_as_function_of(twin, theta), theta.copy())
            np.testing.assert_allclose(np.array(values), numeric, atol=1e-6)


def loss_as_function_of(engine: Any, W: Any) -> Callable[[Any], float]:
    """The loss of the engine's network, where one of its arrays is an argument."""

    def loss(values: Any) -> float:
        before = W.copy()
        W[...] = values
        value = engine.criterion.forward(engine.net.forward(engine.X), engine.Y)
        W[...] = before
        return float(value)

    return loss


@pytest.mark.parametrize("activation", ["tanh", "none"])
def test_a_learning_rate_of_100_is_announced_and_can_be_mended(boundary: Explorer, activation: str) -> None:
    """A network of bounded units is ruined with a finite loss; without them the loss becomes nan."""
    boundary.choose("activation", activation)
    boundary.choose("learning_rate", 100)
    boundary.button("play").click()
    boundary.wait("root => root.frame.message", 30)
    message = boundary.frame["message"]
    assert "100 is too large" in message
    assert message in boundary.root.locator("[role=alert]").all_inner_texts()
    if activation == "none":
        boundary.wait("root => root.querySelector('[name=play]').textContent === 'Play'")  # stopped by itself
        assert boundary.get("loss") == "nan"
    boundary.choose("learning_rate", 0.5)
    boundary.after(boundary.button("reset").click)
    boundary.wait("root => !root.frame.message && root.frame.settings.learning_rate === 0.5")
    boundary.steps(2)
    assert math.isfinite(boundary.loss)


def test_settings_before_it_is_alive_are_not_lost(reader: Reader, where: dict[str, str]) -> None:
    explorer = reader.open(where["decision-boundary"], "decision-boundary")
    explorer.control("hidden_size").wait_for()
    explorer.choose("hidden_size", 7)
    explorer.choose("dataset", "moons")
    explorer.live()
    explorer.wait("root => root.frame.settings.hidden_size === 7 && root.frame.settings.dataset === 'moons'")


def test_a_link_opens_the_same_settings(reader: Reader, where: dict[str, str]) -> None:
    path = where["decision-boundary"]
    explorer = reader.open(path, "decision-boundary").live()
    explorer.choose("learning_rate", 0.03)
    explorer.choose("dataset", "circles")
    explorer.after(lambda: explorer.choose("seed", 5))
    reader.context.grant_permissions(["clipboard-read", "clipboard-write"])
    explorer.button("copy-link").click()
    address = reader.page.url
    assert reader.page.evaluate("navigator.clipboard.readText()") == address
    reader.page.goto("about:blank")
    reader.page.goto(address)
    explorer.live()
    explorer.wait("root => root.frame.settings.seed === 5")
    shown = explorer.frame["settings"]
    assert (shown["learning_rate"], shown["dataset"], shown["seed"]) == (0.03, "circles", 5)
    reader.page.evaluate("location.hash = location.hash.replace('seed=5', 'seed=6')")  # without loading again
    explorer.wait("root => root.frame.settings.seed === 6")
    assert explorer.control("seed").input_value() == "6"


def test_out_of_sight_it_rests(boundary: Explorer) -> None:
    boundary.choose("dataset", "spirals")
    boundary.button("play").click()
    boundary.wait("root => Number(root.dataset.step) > 3")
    boundary.page.set_viewport_size({"width": 1280, "height": 300})
    boundary.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    resting, _ = at_rest(boundary.root)
    boundary.page.set_viewport_size(WIDE)
    boundary.root.scroll_into_view_if_needed()
    boundary.wait("(root, step) => Number(root.dataset.step) > step", 30, resting)
    boundary.button("play").click()


def test_in_a_hidden_page_it_rests(boundary: Explorer) -> None:
    boundary.choose("dataset", "spirals")
    boundary.button("play").click()
    boundary.wait("root => Number(root.dataset.step) > 3")
    hide = """hidden => {
      Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    boundary.page.evaluate(hide, True)
    resting, _ = at_rest(boundary.root)
    boundary.page.evaluate(hide, False)
    boundary.wait("(root, step) => Number(root.dataset.step) > step", 30, resting)
    boundary.button("play").click()


def test_python_is_not_loaded_before_an_explorer_is_near_and_then_once(
    reader: Reader, where: dict[str, str]
) -> None:
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))
    reader.page.goto(reader.site + where["backprop"])
    reader.page.wait_for_load_state("networkidle")
    far = Explorer(reader.page, "backprop")
    box = far.root.bounding_box()
    assert box
    assert box["y"] > WIDE["height"] + 400, "the explorer stands far below"
    assert far.get("state") == "recorded"
    assert reader.page.workers == []
    assert [url for url in asked if url.endswith((".wasm", "worker.js"))] == []
    first = reader.open(where["decision-boundary"], "decision-boundary").live()
    Explorer(reader.page, "mnist").live()
    first.live()
    assert len(reader.page.workers) == 1


@pytest.mark.parametrize("fragment", ["#neuron", "#neuron?", "#neuron?%E0%A4", "#neuron?seed=nonsense"])
def test_a_link_without_settings_and_a_damaged_one_lead_to_the_explorer(
    reader: Reader, where: dict[str, str], fragment: str
) -> None:
    explorer = reader.open(where["neuron"], "neuron", fragment)
    explorer.wait("root => Math.abs(root.getBoundingClientRect().top) < 200")
    explorer.live()
    assert explorer.frame["settings"] == ENGINES["neuron"](**explorer.frame["settings"]).settings


def test_200_restarts_leave_no_memory_behind(boundary: Explorer) -> None:
    worker = boundary.page.workers[0]
    session = boundary.page.context.new_cdp_session(boundary.page)

    def restart(count: int) -> tuple[float, float]:
        for i in range(count):
            boundary.after(lambda i=i: boundary.choose("hidden_size", 3 + i % 5))
        session.send("HeapProfiler.collectGarbage")
        page = session.send("Runtime.getHeapUsage")["usedSize"]
        python = worker.evaluate("ready.then(({pyodide}) => pyodide._module.HEAP8.length)")
        return page / 1e6, python / 1e6

    page_before, python_before = restart(20)
    page_after, python_after = restart(200)
    assert page_after - page_before < 3, "megabytes of the page"
    assert python_after - python_before < 3, "megabytes of Python"


# ------------------------------------------------------------------------------- MNIST

SEVEN = [(0.25, 0.2), (0.75, 0.2), (0.68, 0.35), (0.58, 0.55), (0.5, 0.7), (0.45, 0.85)]


def test_a_drawn_seven_is_read_after_training_in_the_page(reader: Reader, where: dict[str, str]) -> None:
    explorer = reader.open(where["mnist"], "mnist").live()
    explorer.button("play").click()
    explorer.wait("root => Number(root.dataset.accuracy) > 0.92", 150)
    explorer.button("play").click()
    pad = explorer.root.locator("canvas[tabindex='0'], [tabindex='0'] canvas").first
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box
    mouse = reader.page.mouse
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    mouse.move(*points[0])
    mouse.down()
    for point in points[1:]:
        mouse.move(*point, steps=8)
    mouse.up()
    explorer.wait("root => /read as 7/.test(root.querySelector('[role=status]').textContent)", 20)


# ------------------------------------------------------------------------------- when it cannot be alive


def test_without_python_it_plays_its_recording_and_says_so(
    browser: Browser, site: str, where: dict[str, str]
) -> None:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    manifest = json.dumps({"available": False, "reason": "there was no connection"})
    page.route("**/pyodide/manifest.json", lambda route: route.fulfill(body=manifest))
    page.goto(site + where["decision-boundary"])
    explorer = Explorer(page, "decision-boundary")
    explorer.wait("root => root.dataset.state === 'failed'")
    assert "there was no connection" in explorer.root.locator("[role=alert]").first.inner_text()
    plays_only_its_recording(explorer)
    context.close()


@pytest.mark.parametrize("missing", ["**/*.wasm", "**/worker.js*", "**/nnlib*.whl"])
def test_what_stops_python_is_said_and_the_recording_plays(
    browser: Browser, site: str, where: dict[str, str], missing: str
) -> None:
    context = browser.new_context(viewport=WIDE)
    context.route(missing, lambda route: route.fulfill(status=404))
    page = context.new_page()
    page.goto(site + where["decision-boundary"])
    explorer = Explorer(page, "decision-boundary")
    explorer.wait("root => root.dataset.state === 'failed'", 60)
    said = explorer.root.locator("[role=alert]").first.inner_text()
    assert said.startswith("Python could not be started in this browser: ")
    plays_only_its_recording(explorer)
    context.close()


def test_on_disk_it_plays_its_recording_and_says_how_to_go_live(
    browser: Browser, html: Path, where: dict[str, str]
) -> None:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto((html / where["decision-boundary"]).as_uri())
    explorer = Explorer(page, "decision-boundary")
    explorer.wait("root => root.dataset.state === 'failed'")
    assert "make serve" in explorer.root.locator("[role=alert]").first.inner_text()
    plays_only_its_recording(explorer)
    context.close()


def plays_only_its_recording(explorer: Explorer) -> None:
    assert not explorer.control("learning_rate").is_visible(), "no dead control is shown"
    assert not explorer.button("play").is_visible()
    explorer.root.scroll_into_view_if_needed()
    explorer.wait("root => Number(root.querySelector('.explorer-scrubber input').value) > 5")
    assert explorer.step > 0


def test_without_scripts_there_is_a_picture_with_words(
    browser: Browser, site: str, where: dict[str, str]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name, path in where.items():
        page.goto(site + path)
        picture = page.locator(f'.explorer[data-explorer="{name}"] img').first
        assert picture.is_visible()
        assert len(picture.get_attribute("alt") or "") > 30
    context.close()


RECORDED = re.compile(
    r'<div class="explorer".*?<script type="application/json">(.*?)</script>.*?</div>', re.S
)


def test_recordings_are_small(html: Path) -> None:
    for path in html.glob("*/*.html"):
        sizes = [len(found.group()) for found in RECORDED.finditer(path.read_text("utf-8"))]
        assert all(size <= 150_000 for size in sizes), path.name
        assert sum(sizes) <= 600_000, path.name


def told(text: str) -> Iterator[dict[str, Any]]:
    """What a page tells its explorers: controls, settings, recording."""
    for found in RECORDED.finditer(text):
        yield json.loads(found[1])


def test_every_recording_of_the_book_is_what_nnlib_computes_now(html: Path) -> None:
    seen = set()
    for path in sorted(html.glob("*/*.html")):
        for page in told(path.read_text("utf-8")):
            name, settings = page["explorer"], page["settings"]
            seen.add((path.stem, name))
            [fresh] = told(page_element(ENGINES[name](**settings), settings))
            shown, expected = (list(accumulate(run.pop("recording"), patch)) for run in (page, fresh))
            assert page == fresh, path.stem
            assert [frame["step"] for frame in shown] == [frame["step"] for frame in expected], path.stem
            for now, before in zip(expected, shown, strict=True):
                where = f"{path.stem}, {name}, step {now['step']}"
                if name in EXACT:
                    near(before, now, where, digits=1e-3)  # four are recorded
                elif now["loss"] is not None:
                    assert math.isclose(before["loss"], now["loss"], rel_tol=1e-2), where
    assert {name for _, name in seen} == set(ENGINES)
    assert len(seen) >= 12


def test_the_sample_of_the_page_is_the_real_thing(html: Path) -> None:
    sample = np.load(html / "_static" / "pyodide" / "mnist-sample.npz")
    X, y = data.mnist("test")
    np.testing.assert_array_equal(sample["y_test"], y[:2000])
    np.testing.assert_allclose(sample["X_test"] / 255, X[:2000], atol=1e-7)
