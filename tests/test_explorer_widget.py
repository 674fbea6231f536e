"""The notebook's explorer without a browser: what a front end would send is handed to the real handlers."""

import json
import math
import time

import ipywidgets
import pytest

from nnlib.explorers import ENGINES
from nnlib.explorers.engine import Button, Explorer, choice, log_slider, slider, toggle, whole
from nnlib.explorers.panels import text
from nnlib.explorers.widget import ExplorerWidget, LogSlider, View, all_within, exponents


class Descent(Explorer):
    """Minimises x² from a start; a step halves `h` as well, so one setting changes by itself."""

    name, title, caption = "descent", "Descent <of x²>", "Watch x fall."
    controls = (
        slider("x0", "Start", 1.0, -2, 2, 0.1, restarts=True),
        slider("h", "Step size that follows", 1.0, 0, 1, 0.01),
        log_slider("learning_rate", "Learning rate", 0.3, 0.003, 300),
        whole("size", "Size", 4, 2, 8, step=2, restarts=True),
        whole("seed", "Seed", 1, 0, 2**31 - 1, restarts=True),
        choice("optimizer", "Optimizer", "sgd", {"sgd": "SGD", "adam": "Adam"}),
        toggle("measured", "Measured", True),
    )
    buttons = (Button("epoch", "Epoch"), Button("fail", "Fail"))
    limit = 50

    def start(self):
        self.x = self.settings["x0"]

    def advance(self):
        time.sleep(0.002)
        if not math.isfinite(self.x):
            raise FloatingPointError("x is <inf>")
        self.x -= self.settings["learning_rate"] * 2 * self.x
        self.settings = self.settings | {"h": self.settings["h"] / 2}
        if abs(self.x) > 1e6:
            self.message = "Diverged. Press Reset."

    def act_epoch(self):
        self.run_until(self.steps + 3)

    def act_fail(self):
        self.x = math.inf

    def act_point(self, value):
        self.x = value[0]

    def panels(self):
        return [text("x", f"{self.x}")]

    def describe(self):
        return f"Step {self.steps}: x is {self.x:.4g}."

    @property
    def loss(self):
        return self.x**2

    @property
    def accuracy(self):
        return float(abs(self.x) < 0.1) if self.settings["measured"] else None


class Paced(Descent):
    pace = 4


class Fast(Descent):
    pace = 60


@pytest.fixture
def explorer():
    explorer = ExplorerWidget(Descent())
    yield explorer
    explorer.close()


def front_end(widget, **state):
    """What the kernel receives when a reader moves a control."""
    widget._handle_msg(
        {"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []}
    )


def sent(widget, content):
    """What the kernel receives when a button or the view sends a message."""
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def click(button):
    sent(button, {"event": "click"})


def play(explorer, ticks):
    """Press play, and let the front end's timer tick."""
    front_end(explorer.play, playing=True, value=explorer.play.value + 1)
    for _ in range(ticks - 1):
        front_end(explorer.play, value=explorer.play.value + 1)


def shown(explorer):
    return json.loads(explorer.view.frame)


# Controls


def test_each_kind_of_control_is_the_widget_that_readers_know(explorer):
    kinds = {name: type(control).__name__ for name, control in explorer.controls.items()}
    assert kinds == {
        "x0": "Slider", "h": "Slider", "learning_rate": "LogSlider", "size": "IntSlider",
        "seed": "BoundedIntText", "optimizer": "Dropdown", "measured": "Checkbox",
    }  # fmt: skip
    assert [control.description for control in explorer.controls.values()] == [
        declared.label for declared in Descent.controls
    ]
    assert explorer.controls["optimizer"].options == (("SGD", "sgd"), ("Adam", "adam"))
    assert (explorer.controls["size"].min, explorer.controls["size"].max, explorer.controls["size"].step) == (
        2,
        8,
        2,
    )


def test_controls_start_with_the_settings_of_the_engine():
    explorer = ExplorerWidget(Descent(learning_rate=0.07, optimizer="adam", measured=False))
    values = {name: control.value for name, control in explorer.controls.items()}
    assert values == explorer.engine.settings
    assert values["learning_rate"] == 0.07


@pytest.mark.parametrize(("low", "high"), [(0.003, 300), (1e-16, 1), (0.001, 100), (0.3, 0.7), (1.7, 1234.5)])
def test_a_log_slider_holds_both_of_its_ends_exactly(low, high):
    first, last = exponents(low, high)
    slider = LogSlider(value=low, min=first, max=last)
    assert slider.value == low
    slider.value = high
    assert slider.value == high


@pytest.mark.parametrize(
    ("name", "value", "drawn", "moved"),
    [("learning_rate", 0.5, 10**-0.3, 10**-0.28), ("x0", 0.123, 0.1, 0.2), ("x0", -1.97, -2.0, -1.9)],
)
def test_drawing_a_slider_does_not_round_the_value_and_moving_it_does(explorer, name, value, drawn, moved):
    control = explorer.controls[name]
    control.value = value
    front_end(control, value=drawn)  # ipywidgets' front end sends this when it draws the slider
    assert control.value == explorer.engine.settings[name] == value
    front_end(control, value=moved)
    assert control.value == explorer.engine.settings[name] == moved
    control.value = drawn
    assert explorer.engine.settings[name] == drawn, "code may choose a stop that is near"


def test_a_drawing_that_comes_late_does_not_undo_what_code_has_chosen(explorer):
    control = explorer.controls["learning_rate"]
    control.value = 100
    front_end(control, value=10**-0.52)  # of 0.3, the value before
    assert control.value == explorer.engine.settings["learning_rate"] == 100
    front_end(control, value=1.0)
    front_end(control, value=10**-0.52)
    assert control.value == 10**-0.52, "a reader may go back to it"


@pytest.mark.parametrize("end", ["low", "high"])
def test_a_log_slider_at_its_end_asks_for_no_more_than_the_engine_takes(explorer, end):
    declared = next(c for c in Descent.controls if c.name == "learning_rate")
    front_end(explorer.controls["learning_rate"], value={"low": 1e-9, "high": 1e9}[end])
    assert explorer.engine.settings["learning_rate"] == getattr(declared, end)
    assert explorer.controls["learning_rate"].value == getattr(declared, end)


def test_a_change_by_code_does_what_a_change_by_hand_does(explorer):
    explorer.controls["learning_rate"].value = 0.1
    assert explorer.engine.settings["learning_rate"] == 0.1
    front_end(explorer.controls["optimizer"], index=1)
    assert explorer.engine.settings["optimizer"] == "adam"
    assert shown(explorer)["settings"] == explorer.engine.settings


def test_a_restarting_setting_resets_the_run_and_the_others_do_not(explorer):
    explorer.engine.step(5)
    front_end(explorer.controls["learning_rate"], value=0.2)
    assert shown(explorer)["step"] == explorer.engine.steps == 5
    front_end(explorer.controls["size"], value=6)
    assert shown(explorer)["step"] == explorer.engine.steps == 0


def test_controls_follow_a_setting_that_the_engine_changes_without_echo(explorer, monkeypatch):
    asked = []
    monkeypatch.setattr(explorer.engine, "set", lambda **settings: asked.append(settings))
    click(explorer.buttons["step"])
    assert explorer.controls["h"].value == 0.5
    assert asked == []


def test_linked_widgets_and_interactive_output_see_every_change(explorer):
    rate, seen = ipywidgets.FloatText(), []
    link = ipywidgets.link((explorer.controls["learning_rate"], "value"), (rate, "value"))
    ipywidgets.interactive_output(lambda **settings: seen.append(settings), explorer.controls)
    rate.value = 0.25
    assert explorer.engine.settings["learning_rate"] == 0.25
    assert seen[-1] == explorer.engine.settings
    click(explorer.buttons["step"])
    assert seen[-1]["h"] == 0.5
    front_end(explorer.controls["learning_rate"], description="Rate")
    assert rate.value == 0.25
    link.unlink()


def test_an_observer_may_change_another_setting(explorer):
    rate = explorer.controls["learning_rate"]
    explorer.controls["h"].observe(lambda _: setattr(rate, "value", 0.05), "value")
    click(explorer.buttons["step"])
    assert explorer.engine.settings["learning_rate"] == rate.value == 0.05
    assert shown(explorer)["settings"]["learning_rate"] == 0.05


# Traits of the view


def test_python_code_can_observe_the_state(explorer):
    seen = []
    names = ["step", "loss", "frame"]
    explorer.view.observe(lambda change: seen.append((change["name"], explorer.view.step)), names)
    click(explorer.buttons["step"])
    assert {name for name, _ in seen} == set(names)
    assert {step for _, step in seen} == {1}, "all traits have changed when the first observer is called"
    assert explorer.view.loss == explorer.engine.loss == shown(explorer)["loss"]
    assert explorer.view.accuracy == 0
    assert explorer.view.settings == explorer.engine.settings
    explorer.controls["measured"].value = False
    assert explorer.view.accuracy is None


def test_a_loss_that_does_not_exist_is_none():
    class Plain(Descent):
        loss = None

    explorer = ExplorerWidget(Plain())
    assert explorer.view.loss is None
    assert shown(explorer)["loss"] is None


def test_the_numbers_shown_are_those_of_the_engine_alone(explorer):
    click(explorer.buttons["step"])
    explorer.controls["learning_rate"].value = 0.01
    click(explorer.buttons["step"])
    alone = Descent()
    alone.step()
    alone.set(learning_rate=0.01)
    alone.step()
    assert shown(explorer)["loss"] == alone.loss
    assert shown(explorer)["describe"] == alone.describe()


# Playing


def test_playing_makes_many_steps_at_each_tick_and_stops_at_the_limit(explorer):
    play(explorer, 1)
    assert 1 <= shown(explorer)["step"] < 50
    ticks = 1
    while explorer.play.playing:
        front_end(explorer.play, value=explorer.play.value + 1)
        ticks += 1
    assert ticks < 50
    assert shown(explorer)["step"] == 50
    assert (explorer.progress.value, explorer.progress.max) == (50, 50)


def test_a_late_tick_after_pause_changes_nothing(explorer):
    play(explorer, 2)
    front_end(explorer.play, playing=False)
    steps = explorer.engine.steps
    front_end(explorer.play, value=explorer.play.value + 1)
    assert explorer.engine.steps == steps


def test_nothing_happens_when_nobody_plays(explorer):
    frame = explorer.view.frame
    time.sleep(0.15)
    assert explorer.view.frame is frame


@pytest.mark.parametrize(("engine", "interval", "steps"), [(Paced, 250, 1), (Fast, 50, 3)])
def test_pace_limits_the_steps_of_a_second(engine, interval, steps):
    explorer = ExplorerWidget(engine())
    assert explorer.play.interval == interval
    play(explorer, 4)
    assert explorer.engine.steps == 4 * steps


def test_settings_changed_while_playing_count_at_the_next_tick(explorer):
    play(explorer, 1)
    front_end(explorer.controls["learning_rate"], value=0.5)  # x becomes exactly 0
    front_end(explorer.play, value=explorer.play.value + 1)
    assert explorer.play.playing
    assert explorer.view.loss == 0


def test_the_stop_button_goes_back_to_the_start(explorer):
    play(explorer, 2)
    front_end(explorer.play, playing=False)
    front_end(explorer.play, value=0)
    assert explorer.engine.steps == shown(explorer)["step"] == 0


def test_the_stop_button_has_something_to_do_after_single_steps(explorer):
    click(explorer.buttons["step"])
    assert explorer.play.value > explorer.play.min
    front_end(explorer.play, playing=False, value=0)
    assert explorer.engine.steps == 0


def test_reset_stops_playing(explorer):
    play(explorer, 2)
    click(explorer.buttons["reset"])
    assert not explorer.play.playing
    assert shown(explorer)["step"] == explorer.play.value == explorer.progress.value == 0


def test_with_repeat_a_finished_run_starts_again(explorer):
    front_end(explorer.play, repeat=True)
    explorer.engine.step(49)
    play(explorer, 1)
    assert explorer.engine.finished
    assert explorer.play.playing
    front_end(explorer.play, value=explorer.play.value + 1)
    assert 1 <= explorer.engine.steps < 50


def test_a_button_with_a_goal_plays_until_it_is_reached(explorer):
    click(explorer.buttons["step"])
    click(explorer.buttons["epoch"])
    assert explorer.play.playing
    assert explorer.progress.max == 4
    while explorer.play.playing:
        front_end(explorer.play, value=explorer.play.value + 1)
    assert explorer.engine.steps == 4


def test_a_step_on_the_way_to_a_goal_does_not_start_playing(explorer):
    click(explorer.buttons["epoch"])
    front_end(explorer.play, playing=False)
    click(explorer.buttons["step"])
    assert not explorer.play.playing


def test_divergence_is_told_stops_playing_and_reset_recovers(explorer):
    explorer.controls["learning_rate"].value = 100
    front_end(explorer.play, repeat=True)
    play(explorer, 3)
    assert explorer.view.message == shown(explorer)["message"] == "Diverged. Press Reset."
    assert not explorer.play.playing
    click(explorer.buttons["reset"])
    assert explorer.view.message == ""


# The view asks


def test_the_view_asks_for_actions_with_a_value(explorer):
    sent(explorer.view, {"act": "point", "value": [0.5, 0]})
    assert shown(explorer)["loss"] == 0.25
    sent(explorer.view, {"act": "epoch"})
    assert explorer.play.playing


# Errors


def test_an_error_is_shown_stops_playing_and_is_raised_again(explorer):
    explorer.play.playing = True
    click(explorer.buttons["fail"])
    with pytest.raises(FloatingPointError, match="x is <inf>"):
        explorer.play.value += 1
    assert not explorer.play.playing
    assert 'role="alert"' in explorer.error.value
    assert "Traceback" in explorer.error.value
    assert "x is &lt;inf&gt;" in explorer.error.value
    click(explorer.buttons["reset"])
    assert explorer.error.value == ""


def test_an_error_of_a_message_reaches_the_log(explorer, caplog):
    explorer.view.log.propagate = True
    sent(explorer.view, {"act": "fly"})
    assert "has no action" in explorer.error.value
    assert any(record.exc_info for record in caplog.records)


def test_after_a_refused_value_the_control_shows_what_counts(explorer):
    control = explorer.controls["x0"]
    control.max = 5
    with pytest.raises(ValueError, match="x0 must be a number from -2 to 2, got 3"):
        control.value = 3.0
    assert control.value == explorer.engine.settings["x0"] == 1.0
    assert "x0 must be" in explorer.error.value


# What is shown, and the end


def test_the_widget_shows_title_controls_buttons_and_view(explorer):
    inside = all_within(explorer)
    assert explorer.children[0].value == "<strong>Descent &lt;of x²&gt;</strong> Watch x fall."
    parts = [
        *explorer.controls.values(),
        explorer.play,
        *explorer.buttons.values(),
        explorer.view,
        explorer.error,
    ]
    assert all(part in inside for part in parts)
    assert [button.description for button in explorer.buttons.values()] == ["Step", "Reset", "Epoch", "Fail"]
    assert repr(explorer) == "ExplorerWidget(Descent(step 0, loss 1))"


def test_two_displays_show_the_same_models(explorer):
    kind = "application/vnd.jupyter.widget-view+json"
    assert explorer._repr_mimebundle_()[kind] == explorer._repr_mimebundle_()[kind]


def test_close_frees_every_widget():
    before = set(ipywidgets.widgets.widget._instances)
    explorer = ExplorerWidget(Descent())
    assert set(ipywidgets.widgets.widget._instances) > before
    explorer.close()
    explorer.close()
    assert set(ipywidgets.widgets.widget._instances) == before


def test_the_text_for_the_browser_is_one_module_with_one_default_export():
    module = str(View._esm)
    assert module.count("export {") == module.count("export default") == 1
    assert " import " not in module


@pytest.mark.parametrize("engine_class", ENGINES.values(), ids=ENGINES)
def test_every_engine_opens_steps_and_shows_its_state(engine_class):
    explorer, alone = ExplorerWidget(engine_class()), engine_class()
    assert {name: control.value for name, control in explorer.controls.items()} == alone.settings
    for _ in range(3):
        click(explorer.buttons["step"])
        alone.step()
    assert explorer.error.value == ""
    assert explorer.view.step == 3
    assert explorer.view.loss == alone.loss
    assert shown(explorer)["describe"] == alone.describe()
    explorer.close()
