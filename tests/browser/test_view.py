"""The view on its own: frames made by hand, in a page without a book, a kernel or a network."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nnlib.explorers import panels
from nnlib.explorers.panels import Shades, to_json
from nnlib.explorers.recording import difference

from .conftest import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

STATIC = Path(panels.__file__).parent / "static"
PAGE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>view</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="view.css"></head>
<body><main><div class="explorer"><div id="root"></div></div></main>
<script type="module">
import { createView, patch } from "./view.js";
Object.assign(window, { createView, patch, asked: [] });
const host = { act: (name, value) => asked.push([name, value]) };
window.view = createView(document.getElementById("root"), host);
</script></body></html>"""
X, Y = np.meshgrid(np.linspace(-1, 1, 32), np.linspace(1, -1, 32))


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/page":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(Handler, directory=str(STATIC))
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/page"
        server.shutdown()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 900, "height": 900})
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_function("window.view")
    yield page
    page.close()
    assert not errors


def frame(*shown: dict[str, Any], step: int = 7, **more: Any) -> dict[str, Any]:
    made = {"step": step, "loss": 0.1 + 0.2, "accuracy": 0.75, "message": "", "describe": f"Step {step}."}
    told: dict[str, Any] = json.loads(to_json(made | {"panels": list(shown)} | more))
    return told


def show(page: Page, *shown: dict[str, Any], **more: Any) -> None:
    page.evaluate(
        "frame => { view.show(frame); return new Promise(requestAnimationFrame); }", frame(*shown, **more)
    )


def every_kind() -> list[dict[str, Any]]:
    curve = {"name": "loss", "x": [0, 1, 2], "y": [1.0, 0.1, np.nan]}
    weights = [np.array([[1.0, -2.0], [0.5, 0.0]]), np.array([[1.0], [np.nan]])]
    return [
        panels.curves("Loss", [curve, curve | {"points": True}], ylog=True, marks=[(1, "here")]),
        panels.plane(
            "Surface", extent=(-1, 1, -1, 1), field=Shades(X * Y, -1, 1), levels=[0, 0.5], action="point"
        ),
        panels.pictures("Units", [Shades(X, -1, 1)] * 3, titles=["a", "b", "c"]),
        panels.network("Network", sizes=[2, 2, 1], weights=weights, values=[None, np.array([0.5, -1]), None]),
        panels.matrix("dW", [[0.5, None], [2.0, 3.0]], hidden=[(1, 1)], action="reveal", role="gradient"),
        panels.bars("Digits", ["0", "1"], [0.9, 0.1], high=1, strong=0),
        panels.histograms("Outputs", [np.array([1, 2, 3])], titles=["layer 1"], ranges=[(0, 1)]),
        panels.formula("Gradient", r"dW = X^\top dY", label="eq-linear-dw", numbers="2 · 3 = 6"),
        panels.text("Words", "A sentence with <b>signs</b>."),
        panels.question("Your turn", "What is dW?", "predict", feedback="Right."),
        panels.drawing("Draw a digit", "draw"),
    ]


def test_every_kind_is_drawn_and_named(page: Page) -> None:
    show(page, *every_kind())
    kinds = page.eval_on_selector_all(".explorer-panel", "all => all.map(one => one.dataset.kind)")
    assert kinds == [panel["kind"] for panel in every_kind()]
    assert page.locator(".explorer-panel-body:empty").count() == 0
    unnamed = page.eval_on_selector_all(
        "canvas", "all => all.filter(c => c.role !== 'img' || !c.ariaLabel).length"
    )
    assert unnamed == 0
    assert page.get_by_text("A sentence with <b>signs</b>.").is_visible()  # text, not markup


def test_the_numbers_are_on_the_element_in_full_precision(page: Page) -> None:
    show(page)
    data = page.eval_on_selector("#root", "root => ({...root.dataset})")
    assert data == {"step": "7", "loss": str(0.1 + 0.2), "accuracy": "0.75"}
    show(page, loss=None, accuracy=None, message="The loss became nan at step 8.")
    data = page.eval_on_selector("#root", "root => ({...root.dataset})")
    assert data == {"step": "7", "loss": "nan", "accuracy": ""}
    assert page.get_by_role("alert").inner_text() == "The loss became nan at step 8."


def test_the_live_region_is_spared_while_frames_come_fast_and_tells_the_last(page: Page) -> None:
    said = page.evaluate(
        """async frame => {
            const said = [], status = document.querySelector("[role=status]");
            const observer = new MutationObserver(() => said.push(status.textContent));
            observer.observe(status, { childList: true, subtree: true });
            for (let i = 0; i < 30; i++) {
                view.show({ ...frame, step: i, describe: `Step ${i}.` });
                await new Promise(done => setTimeout(done, 20));
            }
            await new Promise(done => setTimeout(done, 700));
            return said;
        }""",
        frame(),
    )
    assert said == ["Step 0.", "Step 29."]


def test_unchanged_panels_are_left_alone(page: Page) -> None:
    first, second = panels.text("a", "one"), panels.matrix("m", [[1.0, 2.0]])
    show(page, first, second)
    page.evaluate("window.cell = document.querySelector('td')")
    show(page, panels.text("a", "two"), second, step=8)
    assert page.evaluate("cell.isConnected && cell.textContent") == "1"
    show(page, panels.text("a", "two"), panels.matrix("m", [[1.0, 3.0]]), step=9)
    assert page.evaluate("cell.isConnected && cell.nextSibling.textContent") == "3"


def test_a_click_on_the_plane_asks_for_that_point(page: Page) -> None:
    show(page, panels.plane("Surface", extent=(0, 2, 0, 4), action="point"))
    canvas = page.locator(".explorer-plane canvas")
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] / 2 + 16, "y": 8 + (box["height"] - 42) / 2})
    [[name, value]] = page.evaluate("asked")
    assert name == "point"
    assert value == pytest.approx([1, 2], abs=0.05)


def test_the_plane_can_be_used_with_the_keyboard(page: Page) -> None:
    show(page, panels.plane("Surface", extent=(0, 2, 0, 4), action="point"))
    page.get_by_role("application").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    [[name, value]] = page.evaluate("asked")
    assert (name, value) == ("point", pytest.approx([1.05, 2.2]))


def test_a_hidden_cell_asks_to_be_revealed_and_does_not_give_itself_away(page: Page) -> None:
    show(page, panels.matrix("dW", [[0.5, 42.5]], hidden=[(0, 1)], action="reveal"))
    assert "42.5" not in page.locator(".explorer-panel").inner_html()
    page.get_by_role("button", name="Reveal dW").click()
    assert page.evaluate("asked") == [["reveal", [0, 1]]]


def test_enter_answers_the_question_with_a_number(page: Page) -> None:
    show(page, panels.question("Your turn", "What is dW?", "predict"))
    answer = page.get_by_label("What is dW?")
    answer.fill("-0.125")
    answer.press("Enter")
    assert page.evaluate("asked") == [["predict", -0.125]]


def ink(asked: list[Any]) -> np.ndarray:
    name, value = asked
    assert name == "draw"
    assert value["shape"] == [112, 112]
    return np.frombuffer(base64.b64decode(value["u8"]), dtype=np.uint8).reshape(112, 112)


def test_a_stroke_of_the_pointer_is_sent_as_ink(page: Page) -> None:
    show(page, panels.drawing("Draw a digit", "draw"))
    box = page.locator(".explorer-pad canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 3 / 4, box["y"] + box["height"] / 2, steps=10)
    page.mouse.up()
    drawn = ink(page.evaluate("asked.at(-1)"))
    rows, columns = np.nonzero(drawn > 128)
    assert (rows.mean(), columns.mean()) == pytest.approx((55.5, 55.5), abs=2)
    assert 6 <= np.ptp(rows) <= 14  # as thick as a pen
    assert 56 <= np.ptp(columns) <= 72
    assert len(np.unique(drawn)) > 10  # with soft edges
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("asked.at(-1)") == ["draw", {}]


def test_the_keyboard_draws_too(page: Page) -> None:
    show(page, panels.drawing("Draw a digit", "draw"))
    page.get_by_role("application").focus()
    for key in ("Home", "Space", *["ArrowDown"] * 5, "Space"):
        page.keyboard.press(key)
    rows, columns = np.nonzero(ink(page.evaluate("asked.at(-1)")) > 128)
    assert np.ptp(rows) > 2 * np.ptp(columns)


def test_a_level_line_runs_where_the_field_has_that_value(page: Page) -> None:
    show(page, panels.plane("Surface", extent=(-1, 1, -1, 1), field=Shades(X, -1, 1), levels=[0.5]))
    dark = page.eval_on_selector(
        ".explorer-plane canvas",
        """canvas => {
            const ratio = devicePixelRatio, w = canvas.width - 48 * ratio, row = canvas.height >> 1;
            const line = canvas.getContext("2d").getImageData(0, row, canvas.width, 1).data;
            const found = [], dark = i => line[4 * i] + line[4 * i + 1] + line[4 * i + 2] < 250;
            for (let i = 0; i < canvas.width; i++)
                if (dark(i)) found.push((2 * (i - 40 * ratio)) / w - 1);
            return found.filter(x => x > -0.95 && x < 0.95);
        }""",
    )
    assert dark
    assert dark == pytest.approx([0.5] * len(dark), abs=0.03)


def test_dark_and_light_are_other_colours_of_the_same_picture(page: Page) -> None:
    show(page, panels.plane("Surface", extent=(-1, 1, -1, 1), field=Shades(0 * X, -1, 1)))

    def middle() -> list[int]:
        pixel: list[int] = page.eval_on_selector(
            ".explorer-plane canvas",
            "c => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data.slice(0, 3)]",
        )
        return pixel

    assert min(middle()) > 250
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    deadline = time.monotonic() + 10
    while max(middle()) >= 60:
        assert time.monotonic() < deadline, "the plane stays light"
        page.wait_for_timeout(50)


def test_a_phone_shows_one_panel_a_row_and_nothing_wider_than_itself(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    wide = panels.matrix("Wide", np.full((2, 30), -1.234567))
    show(page, *every_kind(), wide)
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    lefts = page.eval_on_selector_all(
        ".explorer-panel:not([data-width=third])", "all => all.map(p => p.getBoundingClientRect().left)"
    )
    assert len(set(lefts)) == 1
    region = page.get_by_role("region", name="Wide")
    assert region.get_attribute("tabindex") == "0"


def test_patch_is_the_other_half_of_difference(page: Page) -> None:
    old = {"step": 1, "message": None, "panels": [{"y": [1, 2], "t": "a"}, {"y": []}]}
    new = {"step": 2, "message": "m", "panels": [{"y": [1, 2, 3], "t": "a"}, {"y": [4]}]}
    for a, b in [(old, new), (new, old), (old, old), (old, {"other": 1}), (new, new | {"step": None})]:
        before = json.loads(json.dumps(a))
        patched, kept = page.evaluate("([a, d]) => [patch(a, d), a]", [a, difference(a, b)])
        assert patched == b
        assert kept == before


def test_a_view_that_is_destroyed_leaves_nothing(page: Page) -> None:
    show(page, *every_kind())
    page.evaluate("view.destroy()")
    assert page.locator("#root > *").count() == 0
