"""The engines behind a line of text: a request in, an answer out, both JSON. The worker of a page uses it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from typing import Any

from nnlib.explorers.engine import Explorer
from nnlib.explorers.panels import to_json

__all__ = ["Session"]


class Session:
    """Engines that are open, each under an id of its own.

    A request is ``{"id": ..., "do": ..., ...}`` with `do` one of

    * ``open``: explorer, settings. Makes the engine.
    * ``set``: settings. The run goes on or starts again, as the controls declare.
    * ``reset``: settings. Starts again.
    * ``step``: budget (a number of steps, 1 if absent).
    * ``run``: seconds. As many steps as fit.
    * ``act``: name, value. A button or a part of the picture.
    * ``close``: forgets the engine.

    The answer is ``{"id", "frame"}``, with the declaration after ``open``; or ``{"id", "error", "details"}``,
    and then the engine is as it was.

    Parameters
    ----------
    explorers : name -> engine class

    Examples
    --------
    >>> from nnlib.explorers import ENGINES
    >>> session = Session(ENGINES)
    >>> answer = session.handle('{"id": "a", "do": "open", "explorer": "decision-boundary", "settings": {}}')
    >>> json.loads(answer)["frame"]["step"]
    0
    """

    def __init__(self, explorers: Mapping[str, type[Explorer]]) -> None:
        self.explorers = explorers
        self.open: dict[str, Explorer] = {}

    def handle(self, request: str) -> str:
        """Answer one request; errors are answers too."""
        asked: dict[str, Any] = json.loads(request)
        try:
            return to_json({"id": asked["id"], "do": asked["do"]} | self._answer(asked))
        except Exception as error:  # the page shows it: an error in a worker would be seen by nobody
            return to_json(
                {"id": asked.get("id"), "do": asked.get("do"), "error": f"{type(error).__name__}: {error}",
                 "details": traceback.format_exc()}
            )  # fmt: skip

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        do, key, settings = asked["do"], asked["id"], asked.get("settings", {})
        if do == "open":
            if asked["explorer"] not in self.explorers:
                raise ValueError(
                    f"{asked['explorer']} is not one of nnlib's own explorers: here it is a recording, in a "
                    "notebook it is alive"
                )
            engine = self.open[key] = self.explorers[asked["explorer"]](**settings)
            return {"frame": engine.frame(), "declaration": engine.declaration()}
        if do == "close":
            del self.open[key]
            return {}
        engine = self.open[key]
        if do == "set":
            engine.set(**settings)
        elif do == "reset":
            engine.reset(**settings)
        elif do == "step":
            engine.step(asked.get("budget", 1))
        elif do == "run":
            engine.run(asked["seconds"])
        elif do == "act":
            engine.act(asked["name"], asked.get("value"))
        else:
            raise ValueError(f"there is no request {do!r}")
        return {"frame": engine.frame()}
