"""How fast the explorers of the built book are: measured in headless Chromium from a local server.

    make book
    pip install -e '.[browser]'
    python benchmarks/explorers.py [--runs 5] [--html _build/html] > benchmarks/explorers.md

Prints medians over fresh browser contexts (nothing cached), as Markdown for the book's page on speed.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from report import markdown

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PLAYGROUND = "book/playground.html"
GOALS = {
    "interactive with the recording, s": ("at most", 1.0),
    "first live frame after load, s": ("at most", 5.0),
    "XOR: control to changed frame, ms": ("at most", 100.0),
    "XOR: frames per second": ("at least", 20.0),
    "MNIST: frames per second": ("at least", 5.0),
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a local server for a folder."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def mount(name: str) -> str:
    return f'.explorer[data-explorer="{name}"]'


def wait_live(page: Page, name: str) -> None:
    page.wait_for_selector(f'{mount(name)}[data-state="live"]', timeout=120_000)


BYTES = """['navigation', 'resource'].flatMap(type => performance.getEntriesByType(type))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""


def loading(browser: Browser, site: str) -> dict[str, float]:
    """From a click on a link to the page until its first explorer plays, and until it is alive."""
    context = browser.new_context()
    page = context.new_page()
    started = time.perf_counter()
    page.goto(site + PLAYGROUND, wait_until="commit")
    page.wait_for_selector(f"{mount('decision-boundary')} [role=status]:not(:empty)", state="attached")
    interactive = time.perf_counter() - started
    wait_live(page, "decision-boundary")
    live = time.perf_counter() - started
    page.wait_for_load_state("networkidle")
    entries, worker = page.evaluate(BYTES), page.workers[0].evaluate(BYTES)
    context.close()
    return {
        "interactive with the recording, s": interactive,
        "first live frame after load, s": live,
        "downloaded by the page, kB": entries / 1000,
        "downloaded by the worker, kB": worker / 1000,
    }


FRAMES_PER_SECOND = """async ({name, seconds}) => {
  const root = document.querySelector(`.explorer[data-explorer="${name}"]`);
  let frames = 0;
  const observer = new MutationObserver(() => { frames += 1; });
  observer.observe(root, {attributes: true, attributeFilter: ["data-step"]});
  const started = performance.now(), from = Number(root.dataset.step);
  await new Promise(resolve => setTimeout(resolve, 1000 * seconds));
  observer.disconnect();
  const passed = (performance.now() - started) / 1000;
  return {frames: frames / passed, steps: (Number(root.dataset.step) - from) / passed};
}"""

LATENCY = """async ({name, control, value}) => {
  const root = document.querySelector(`.explorer[data-explorer="${name}"]`);
  const input = root.querySelector(`[name=${control}]`);
  const changed = new Promise(resolve => {
    new MutationObserver((_, observer) => {
      observer.disconnect(); // the frame is here; it is painted before the second picture from now
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
    }).observe(root, {attributes: true, attributeFilter: ["data-loss"]});
  });
  const started = performance.now();
  input.value = value;
  input.dispatchEvent(new Event(input.tagName === "SELECT" ? "change" : "input", {bubbles: true}));
  return await changed - started;
}"""


def playing(browser: Browser, site: str) -> dict[str, float]:
    """Frames and steps per second of XOR and of MNIST, and how soon a control is answered."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(site + PLAYGROUND)
    found: dict[str, float] = {}
    for name, label, seconds in (("decision-boundary", "XOR", 4), ("mnist", "MNIST", 10)):
        root = page.locator(mount(name))
        root.scroll_into_view_if_needed()
        wait_live(page, name)
        if name == "decision-boundary":
            found["XOR: control to changed frame, ms"] = statistics.median(
                page.evaluate(LATENCY, {"name": name, "control": "hidden_size", "value": value})
                for value in (3, 5, 6, 2, 4)
            )
        root.locator("[name=play]").click()
        page.wait_for_timeout(1000)
        rates = page.evaluate(FRAMES_PER_SECOND, {"name": name, "seconds": seconds})
        found[f"{label}: frames per second"] = rates["frames"]
        found[f"{label}: steps per second"] = rates["steps"]
        root.locator("[name=play]").click()
    context.close()
    return found


def repeated(measure: Callable[[], dict[str, float]], runs: int) -> dict[str, list[float]]:
    collected: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, value in measure().items():
            collected.setdefault(name, []).append(value)
    return collected


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    options = parser.parse_args()
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with served(options.html) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        found = repeated(lambda: loading(browser, site), options.runs)
        found |= repeated(lambda: playing(browser, site), options.runs)
        browser.close()
    rows = [
        [name, *(f"{value:,.1f}" for value in (statistics.median(values), min(values), max(values))),
         "{} {:g}".format(*GOALS[name]) if name in GOALS else ""]
        for name, values in found.items()
    ]  # fmt: skip
    print(markdown(["", "median", "smallest", "largest", "goal"], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
