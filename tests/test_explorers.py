"""What holds for every explorer: its declaration, its frames, its recording, and what a cell shows."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nnlib import explorers
from nnlib.explorers import ENGINES, Display, Explorer
from nnlib.explorers.engine import Button, choice, log_slider, slider, toggle, whole
from nnlib.explorers.panels import Shades, encode, to_json
from nnlib.explorers.recording import difference, frames, patch, record
from nnlib.explorers.session import Session

NAMES = (
    "decision-boundary", "mnist", "backprop", "neuron",
    "activation", "optimizers", "convolution", "finite-difference",
)  # fmt: skip
every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


class Halving(Explorer):
    """Halve a number: the smallest engine that has every kind of control."""

    name = "halving"
    title = "Halving"
    caption = "Watch it shrink."
    controls = (
        slider("start_at", "Start", 8.0, 0, 10, 0.5, restarts=True),
        log_slider("rate", "Rate", 1.0, 0.01, 100),
        whole("seed", "Seed", 0, 0, 9, restarts=True),
        choice("mode", "Mode", "half", {"half": "Half", "third": "Third"}),
        toggle("shout", "Shout", False),
    )
    buttons = (Button("twice", "Twice"), Button("to", "To"))
    recorded = (4, 2)
    limit = 100

    def start(self):
        self.x, self.told = self.settings["start_at"], set()

    def advance(self):
        self.x /= 2 if self.settings["mode"] == "half" else 3

    def changed(self, names):
        self.told |= names

    def act_twice(self):
        self.run_until(self.steps + 2)

    def act_to(self, x):
        self.x = x

    @property
    def loss(self):
        return self.x

    def panels(self):
        return [{"kind": "text", "title": "x", "width": "full", "text": f"{self.x}"}]

    def describe(self):
        return f"x is {self.x:g}."


# ------------------------------------------------------------------------------- the base


def test_a_setting_has_the_type_of_its_control():
    engine = Halving(start_at=8, seed=3.0, rate=1)
    assert [type(engine.settings[name]) for name in ("start_at", "seed", "rate")] == [float, int, float]


def test_a_choice_of_numbers_takes_a_number():
    engine = ENGINES["mnist"](batch_size=64)
    assert engine.settings["batch_size"] == "64"
    element = explorers.display.page_element(ENGINES["decision-boundary"](batch_size=1), {"batch_size": 1})
    assert '"settings":{"batch_size":"1"}' in element.replace(", ", ",").replace(": ", ":")
    with pytest.raises(ValueError, match="batch_size must be one of"):
        ENGINES["mnist"](batch_size=63)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": 1}, "halving has no setting 'speed'; it has start_at, rate, seed, mode, shout"),
        ({"start_at": 11}, "start_at must be a number from 0 to 10, got 11"),
        ({"start_at": "8"}, "start_at must be a number from 0 to 10, got '8'"),
        ({"start_at": float("nan")}, "start_at must be a number from 0 to 10, got nan"),
        ({"seed": 1.5}, "seed must be a whole number from 0 to 9, got 1.5"),
        ({"seed": True}, "seed must be a whole number from 0 to 9, got True"),
        ({"mode": "fourth"}, "mode must be one of half, third, got 'fourth'"),
        ({"shout": "yes"}, "shout must be True or False, got 'yes'"),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(settings, message):
    engine = Halving()
    engine.step(3)
    before = engine.frame()
    for change in (engine.set, engine.reset, Halving):
        with pytest.raises(ValueError, match=re.escape(message)):
            change(**settings)
    assert engine.frame() == before


def test_some_settings_go_on_and_others_start_again():
    engine = Halving()
    engine.step(2)
    engine.set(rate=0.1, shout=True, mode="half")
    assert (engine.steps, engine.told) == (2, {"rate", "shout"})
    engine.set(rate=0.1)
    assert engine.told == {"rate", "shout"}
    engine.set(start_at=4, rate=1)
    assert (engine.steps, engine.x, engine.settings["rate"]) == (0, 4, 1)
    engine.set(start_at=4)
    assert engine.steps == 0


def test_steps_stop_at_the_limit():
    engine = Halving()
    assert (engine.step(), engine.step(98), engine.step(98)) == (1, 98, 1)
    assert engine.finished
    assert engine.run(0.001) == 0
    assert engine.frame()["command"] == "pause"


def test_running_makes_at_least_one_step_and_minds_the_time():
    engine = Halving()
    assert engine.run(0) == 1
    assert engine.run(10) == 99  # the limit comes first


def test_an_action_can_ask_the_host_to_play_until_a_step():
    engine = Halving()
    assert engine.frame()["command"] is None
    engine.act("twice")
    assert engine.frame()["command"] == "play"
    assert engine.step(10) == 2
    assert engine.frame()["command"] == "pause"
    assert engine.step(10) == 10


def test_an_action_can_carry_a_value_and_an_unknown_one_is_named():
    engine = Halving()
    engine.act("to", 5.0)
    assert engine.x == 5
    with pytest.raises(ValueError, match="halving has no action 'fly'"):
        engine.act("fly")


def test_an_engine_prints_where_it_is():
    assert repr(Halving()) == "Halving(step 0, loss 8)"
    engine = Halving()
    engine.x = float("nan")
    assert repr(engine) == "Halving(step 0)"


def test_a_subclass_that_forgets_something_says_so():
    class Bare(Explorer):
        name = "bare"
        controls = ()

        def start(self):
            pass

    bare = Bare()
    assert (bare.loss, bare.accuracy) == (None, None)
    bare.changed(set())
    for method in (bare.advance, bare.panels, bare.describe, lambda: Explorer.start(bare)):
        with pytest.raises(NotImplementedError):
            method()


# ------------------------------------------------------------------------------- frames as text


def test_shades_have_256_levels_and_their_ends():
    shades = Shades(np.array([[-1.0, 0.0], [1.0, np.nan]]), -1, 1)
    assert shades.bytes.tolist() == [[0, 128], [255, 128]]
    assert encode(shades) == {"shape": [2, 2], "u8": "AID/gA==", "low": -1.0, "high": 1.0}
    assert Shades(np.ones((1, 1)), 1, 1).bytes.tolist() == [[0]]


def test_encoding_keeps_all_digits_unless_told_otherwise():
    value = {"a": (np.float64(1 / 3), np.int64(2), None, "x", float("inf")), 1: True}
    assert encode(value) == {"a": [1 / 3, 2, None, "x", None], "1": True}
    assert encode(value, 3)["a"][0] == 0.333
    assert json.loads(to_json(value)) == encode(value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, {"a": [2, 2, 3]}),
        ({"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 1}, {"x": 3}]}),
        ({"a": []}, {"a": [1]}),
        ([1, 2], [2, 1]),
        ([[1], [2]], [[1], [2, 3]]),
    ],
)
def test_a_difference_leads_from_the_old_to_the_new(old, new):
    before = json.dumps(old)
    assert patch(old, json.loads(json.dumps(difference(old, new)))) == new
    assert json.dumps(old) == before


# ------------------------------------------------------------------------------- the session of a worker


def asked(session, **request):
    return json.loads(session.handle(json.dumps({"id": "h", **request})))


@pytest.fixture
def session():
    session = Session({"halving": Halving})
    asked(session, do="open", explorer="halving", settings={"start_at": 4})
    return session


def test_a_session_opens_steps_sets_resets_acts_and_closes(session):
    assert asked(session, do="step")["frame"]["loss"] == 2
    assert asked(session, do="step", budget=2)["frame"]["loss"] == 0.5
    assert asked(session, do="run", seconds=0)["frame"]["step"] == 4
    assert asked(session, do="set", settings={"rate": 2})["frame"]["settings"]["rate"] == 2
    assert asked(session, do="act", name="to", value=3)["frame"]["loss"] == 3
    assert asked(session, do="act", name="twice")["frame"]["command"] == "play"
    assert asked(session, do="reset", settings={"start_at": 10})["frame"]["loss"] == 10
    assert asked(session, do="close") == {"id": "h", "do": "close"}
    assert "KeyError" in asked(session, do="step")["error"]


def test_an_open_tells_the_declaration():
    answer = asked(Session({"halving": Halving}), do="open", explorer="halving")
    assert answer["declaration"] == json.loads(to_json(Halving.declaration()))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"do": "set", "settings": {"rate": 0}}, "ValueError: rate must be a number from 0.01 to 100, got 0"),
        (
            {"do": "open", "explorer": "own"},
            "ValueError: own is not one of nnlib's own explorers: "
            "here it is a recording, in a notebook it is alive",
        ),
        ({"do": "fly"}, "ValueError: there is no request 'fly'"),
        ({}, "KeyError: 'do'"),
    ],
)
def test_a_session_answers_errors_with_a_message_and_goes_on(session, request_, message):
    answer = asked(session, **request_)
    assert answer["error"] == message
    assert "Traceback" in answer["details"]
    assert asked(session, do="step")["frame"]["step"] == 1


# ------------------------------------------------------------------------------- every engine


def test_all_eight_explorers_have_their_names():
    assert tuple(ENGINES) == NAMES
    for engine in ENGINES.values():
        shown = getattr(explorers, f"{engine.__name__}Explorer")
        assert shown.engine_class is engine


@every_engine
def test_it_declares_itself_in_words(engine):
    declared = json.loads(to_json(engine.declaration()))
    assert declared["title"]
    assert declared["caption"].endswith(".")
    names = [control["name"] for control in declared["controls"]]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and name == name.lower() for name in names)
    for control in engine.controls:
        assert control.check(control.default) == control.default
        assert control.label


@every_engine
def test_the_same_settings_give_the_same_frames(engine):
    runs = []
    for _ in range(2):
        explorer = engine()
        explorer.step(5)
        runs.append(to_json(explorer.frame()))
    assert runs[0] == runs[1]


@every_engine
def test_reset_comes_back_to_the_first_frame(engine):
    explorer = engine()
    first = to_json(explorer.frame())
    explorer.step(3)
    assert explorer.steps == 3
    assert to_json(explorer.frame()) != first
    explorer.reset()
    again = json.loads(to_json(explorer.frame()))
    assert again["step"] == 0
    assert again["loss"] == json.loads(first)["loss"]


@every_engine
def test_the_state_is_told_in_a_sentence_that_changes(engine):
    explorer = engine()
    before = explorer.describe()
    explorer.step(3)
    assert before != explorer.describe()
    assert explorer.describe().endswith(".")


@every_engine
def test_every_choice_and_both_ends_of_every_control_can_be_shown(engine):
    for control in engine.controls:
        values = [value for value, _ in control.choices] or [control.low, control.high]
        for value in [True, False] if control.kind == "toggle" else values:
            if engine.name == "mnist" and control.restarts and value == control.high:
                continue  # large networks are for those who wait
            explorer = engine(**{control.name: value})
            explorer.step(2)
            json.loads(to_json(explorer.frame()))


@every_engine
def test_its_recording_is_small_and_ends_at_the_last_frame(engine):
    recording = json.loads(json.dumps(record(engine())))
    shown = frames(engine())
    assert played(recording) == json.loads(json.dumps(shown[-1]))
    assert len(recording) > 5


def played(recording):
    frame = recording[0]
    for change in recording[1:]:
        frame = patch(frame, change)
    return frame


def test_a_recording_that_would_be_long_has_fewer_frames_but_the_first_and_the_last():
    whole, short = record(Halving(), 10_000), record(Halving(), 500)
    assert (len(whole), len(short)) == (4, 3)
    assert short[0] == whole[0]
    assert played(short) == played(whole)
    assert len(record(Halving(), 0)) == 2
    crowded = explorers.DecisionBoundaryExplorer(dataset="spirals", hidden_layers=3, hidden_size=16)
    assert len(crowded._repr_mimebundle_()["text/html"]) <= 150_000


# ------------------------------------------------------------------------------- what a cell shows


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.script = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags[-1][0] == "script":
            self.script += data


def read(html):
    reader = Reader()
    reader.feed(html)
    (_, mount), (_, picture), (_, _) = reader.tags
    return mount, picture, json.loads(reader.script)


@every_engine
def test_a_cell_shows_a_widget_and_for_pages_a_recording_with_a_picture(engine):
    shown = getattr(explorers, f"{engine.__name__}Explorer")()
    bundle = shown._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert bundle["text/plain"] == f"{engine.__name__}Explorer()"
    mount, picture, told = read(bundle["text/html"])
    assert mount == {"class": "explorer", "data-explorer": engine.name, "data-state": "recorded"}
    assert picture["alt"].startswith(engine.title)
    assert picture["src"].startswith("data:image/png;base64,")
    assert told["controls"] == json.loads(to_json(engine.declaration()))["controls"]
    assert len(bundle["text/html"]) <= 150_000
    assert shown.engine.steps == 0, "showing leaves the engine alone"


class HalvingExplorer(Display):
    engine_class = Halving


def test_what_was_asked_for_is_what_is_shown(monkeypatch):
    shown = HalvingExplorer(mode="third", start_at=9)
    assert repr(shown) == "HalvingExplorer(mode='third', start_at=9)"
    told = read(shown._repr_mimebundle_()["text/html"])[2]
    assert told["settings"] == {"mode": "third", "start_at": 9}
    assert patch(told["recording"][0], told["recording"][1])["loss"] == 1
    assert shown.controls["mode"].value == "third"


def test_without_widgets_and_in_the_browser_there_is_less_to_show(monkeypatch):
    monkeypatch.setattr("nnlib.explorers.display.find_spec", lambda name: None)
    assert set(HalvingExplorer()._repr_mimebundle_()) == {"text/plain", "text/html"}
    monkeypatch.setattr("nnlib.explorers.display.sys.platform", "emscripten")
    assert set(HalvingExplorer()._repr_mimebundle_()) == {"text/plain"}


def test_a_text_cannot_end_the_element_that_holds_it():
    class Rude(Halving):
        caption = "</script><b>"

    html = explorers.display.page_element(Rude(), {})
    assert html.count("</script>") == 1
    assert read(html)[2]["caption"] == "</script><b>"
