"""The explorers that go step by step: backpropagation, one neuron, convolution."""

import json
import math
import re

import numpy as np
import pytest

from nnlib import MSE, SGD, BinaryCrossEntropyWithLogits, Linear, ReLU, Sequential, Sigmoid, Tanh
from nnlib import functional as F
from nnlib.explorers.backprop import ROUNDS, Backprop
from nnlib.explorers.convolution import IMAGES, KERNELS, Convolution
from nnlib.explorers.neuron import EDGE, FUNCTIONS, HISTORY, Neuron, boundary
from nnlib.explorers.panels import to_json
from nnlib.explorers.recording import record
from nnlib.gradcheck import check_network, numerical_gradient
from nnlib.latex import evaluate
from nnlib.proofs import written

LAYERS = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU}
NETWORKS = [
    {"activation": activation, "loss": loss, "hidden_size": size, "examples": examples}
    for activation in LAYERS
    for loss in ("mse", "bce")
    for size, examples in ((1, 1), (2, 4), (3, 2))
]
PARAMETERS = {"W1": "0.W", "b1": "0.b", "W2": "2.W", "b2": "2.b"}


def panels(explorer, kind):
    return [panel for panel in explorer.panels() if panel["kind"] == kind]


def table(explorer, title):
    (found,) = [panel for panel in panels(explorer, "matrix") if panel["title"] == title]
    return found


def shown(explorer, title):
    return np.array(table(explorer, title)["values"], dtype=np.float64)


def calculate(code):
    names = {name: getattr(math, name) for name in ("tanh", "log", "e")}
    names |= {"σ": lambda z: 1 / (1 + math.exp(-z)), "max": max}
    return float(eval(code, {"__builtins__": {}}, names))


def in_python(line):
    """A line such as ``dW[0, 1] = 2 · (−3) = −6`` as the code of what it computes and the number it says."""
    _, *middle, result = re.split(" = | ← ", line)
    code = " = ".join(middle).replace("−", "-").replace("·", "*").replace("²", "**2")
    code = re.sub(r"1\[(.+?)\]", r"(\1)", code.replace("e^", "e**"))
    return code, float(result.replace("−", "-"))


def agrees_with_its_numbers(line):
    code, said = in_python(line)
    size = abs(calculate(code.replace("-", "+")))  # what could cancel
    return calculate(code) == pytest.approx(said, rel=0, abs=2e-3 * size)  # of four digits


def as_ledger(latex):
    return " ".join(latex.split())


# --- backpropagation


def twin(explorer):
    """The same network and loss, as the objects of nnlib."""
    rng, settings = np.random.default_rng(0), explorer.settings
    size = settings["hidden_size"]
    net = Sequential([Linear(2, size, rng=rng), LAYERS[settings["activation"]](), Linear(size, 1, rng=rng)])
    loss = BinaryCrossEntropyWithLogits()
    if settings["loss"] == "mse":
        net.add(Sigmoid())
        loss = MSE()
    for box, name in PARAMETERS.items():
        net.params()[name][...] = explorer.boxes[box]
    return net, loss


def to_the_updates(explorer):
    explorer.step(len(explorer.operations) - 4)
    return explorer


@pytest.mark.parametrize("settings", NETWORKS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_gradients_are_those_of_the_network_and_of_finite_differences(settings, seed):
    explorer = Backprop(**settings, seed=seed)
    net, loss = twin(explorer)
    X, Y = explorer.boxes["X"], explorer.boxes["Y"]
    to_the_updates(explorer)
    assert explorer.loss == pytest.approx(loss.forward(net.forward(X), Y), rel=1e-12)
    net.backward(loss.backward())
    report = check_network(net, loss, X, Y)
    assert report.ok
    for box, name in PARAMETERS.items():
        np.testing.assert_allclose(explorer.boxes[f"d{box}"], net.grads()[name], rtol=1e-12)
        gradient = np.atleast_2d(net.grads()[name])
        np.testing.assert_allclose(shown(explorer, box_title(f"d{box}")), gradient, rtol=1e-12)


def box_title(name):
    return name.translate(str.maketrans("12", "₁₂"))


@pytest.mark.parametrize("settings", NETWORKS)
def test_rounds_are_steps_of_gradient_descent(settings):
    explorer = Backprop(**settings, learning_rate=0.5)
    net, loss = twin(explorer)
    X, Y, descent = explorer.boxes["X"], explorer.boxes["Y"], SGD(0.5)
    for _ in range(3):
        value = loss.forward(net.forward(X), Y)
        net.backward(loss.backward())
        descent.step(net.params(), net.grads())
        explorer.step(len(explorer.operations))
        assert explorer.loss == pytest.approx(value, rel=1e-12)
        for box, name in PARAMETERS.items():
            np.testing.assert_allclose(explorer.boxes[box], net.params()[name], rtol=1e-12)


@pytest.mark.parametrize("settings", NETWORKS)
def test_the_equation_of_each_operation_stands_in_a_chapter_and_gives_its_result(settings):
    explorer = Backprop(**settings)
    for operation in explorer.operations:
        explorer.step()
        (formula,) = panels(explorer, "formula")
        assert as_ledger(formula["latex"]) == as_ledger(written()[formula["label"]].latex)
        old, layer = explorer.before, operation.result[-1]
        symbols = {re.sub(r"([12])$", r"^[\1]", name): box for name, box in old.items()}
        symbols |= {name: old.get(f"{name}{layer}") for name in ("A", "dA", "Z")}  # general equations
        symbols |= {"Z": old.get("Z1" if layer == "1" else "Z2")}
        symbols |= {"sigma": F.sigmoid, "eta": float(old["eta"])}
        symbols |= {"theta": old.get(operation.result), "dtheta": old.get(f"d{operation.result}")}
        symbols |= {"N": len(old["X"]), "M": 1, "H": explorer.settings["hidden_size"]}
        (result,) = evaluate(operation.latex, {k: v for k, v in symbols.items() if v is not None}).values()
        np.testing.assert_allclose(result, explorer.boxes[operation.result].reshape(np.shape(result)))


@pytest.mark.parametrize("settings", NETWORKS)
def test_the_numbers_plugged_in_give_every_entry(settings):
    explorer = Backprop(**settings, seed=2)
    for operation in explorer.operations:
        explorer.step()
        for entry in np.ndindex(np.atleast_2d(explorer.boxes[operation.result]).shape):
            explorer.act("entry", list(entry))
            line = panels(explorer, "formula")[0]["numbers"]
            assert agrees_with_its_numbers(line), line


def test_the_check_of_the_numbers_sees_a_wrong_sign():
    assert agrees_with_its_numbers("dW[0] = 0.62 · 0.13 + 0.41 · (−0.08) = 0.0478")
    assert not agrees_with_its_numbers("dW[0] = 0.62 · 0.13 + 0.41 · 0.08 = 0.0478")
    assert agrees_with_its_numbers("dZ[0, 0] = 0.5 · 1[−0.2 > 0] = 0")


def framed(explorer):
    cells = {panel["title"]: panel["highlight"] for panel in panels(explorer, "matrix")}
    return {title: framed for title, framed in cells.items() if framed}


def test_the_numbers_of_an_entry_are_framed_in_their_boxes():
    explorer = to_the_updates(Backprop(hidden_size=3))
    explorer.step()
    explorer.act("entry", [1, 2])
    assert framed(explorer) == {"W₁": [(1, 2)], "dW₁": [(1, 2)]}
    explorer.reset()
    explorer.step()
    explorer.act("entry", [1, 2])
    assert framed(explorer) == {"X": [(1, 0), (1, 1)], "W₁": [(0, 2), (1, 2)], "b₁": [(0, 2)], "Z₁": [(1, 2)]}


@pytest.mark.parametrize("settings", NETWORKS)
def test_boxes_are_empty_until_they_are_computed_and_each_gradient_has_the_shape_of_its_value(settings):
    explorer = Backprop(**settings)
    known = {"X", "Y", "W₁", "b₁", "W₂", "b₂"}
    for operation in explorer.operations:
        full = {panel["title"] for panel in panels(explorer, "matrix") if np.isfinite(panel["values"]).all()}
        empty = {panel["title"] for panel in panels(explorer, "matrix") if np.isnan(panel["values"]).all()}
        assert full == known
        assert len(full) + len(empty) == len(panels(explorer, "matrix"))
        explorer.step()
        known.add(box_title(operation.result))
    for panel in panels(explorer, "matrix"):
        gradient = panel["title"].startswith("d")
        assert panel["role"] == ("gradient" if gradient else "value")
        if gradient:
            assert panel["values"].shape == table(explorer, panel["title"][1:])["values"].shape
    explorer.step()
    assert np.isnan(table(explorer, "A₁")["values"]).all()  # a new round


def test_an_operation_is_described_with_its_shape_and_an_entry():
    explorer = Backprop()
    assert explorer.describe() == "Operation 1 of 17: Z₁ = X W₁ + b₁. Nothing has been computed yet."
    assert panels(explorer, "formula")[0]["numbers"] == "Press Step."
    explorer.step(9)
    operation, said, *_ = explorer.describe().split(". ")
    assert operation == "Operation 9 of 17: db₂ = sum of the rows of dZ₂"
    assert said.startswith("Shape (1,), db₂[0] = ")
    explorer.step(9)
    assert "Operation 1 of 17" in explorer.describe()
    assert "Round 2" in explorer.describe()
    assert Backprop(loss="bce").describe().startswith("Operation 1 of 15")


def test_the_loss_is_the_last_one_computed():
    explorer = Backprop()
    explorer.step(4)
    assert explorer.loss is None
    explorer.step()
    first = explorer.loss
    explorer.step(16)
    assert explorer.loss == first
    explorer.step()
    assert explorer.loss == F.mse(explorer.boxes["P"], explorer.boxes["Y"]) < first


def test_the_network_shows_activations_on_the_way_forward_and_gradients_on_the_way_back():
    explorer = Backprop()
    (network,) = panels(explorer, "network")
    assert (network["sizes"], network["shows"]) == ([2, 2, 1], "activations")
    assert network["values"][1] is network["values"][2] is None
    explorer.step(5)
    (network,) = panels(explorer, "network")
    row = int(network["title"].split()[-1])
    np.testing.assert_array_equal(network["weights"][0], explorer.boxes["W1"])
    np.testing.assert_array_equal(network["values"][0], explorer.boxes["X"][row])
    np.testing.assert_array_equal(network["values"][1], explorer.boxes["A1"][row])
    np.testing.assert_array_equal(network["values"][2], explorer.boxes["P"][row])
    explorer.step(8)
    (network,) = panels(explorer, "network")
    row = int(network["title"].split()[-1])
    assert network["shows"] == "gradients"
    assert network["values"][0] is None
    np.testing.assert_array_equal(network["values"][1], explorer.boxes["dZ1"][row])
    np.testing.assert_array_equal(network["values"][2], explorer.boxes["dZ2"][row])
    np.testing.assert_array_equal(network["weights"][1], explorer.boxes["dW2"])


@pytest.mark.parametrize("settings", NETWORKS)
def test_a_hidden_entry_is_nowhere_in_the_frame_until_it_is_revealed(settings):
    explorer = Backprop(**settings, predict=True, seed=2)
    operations = explorer.operations
    for operation in operations:
        assert explorer.step() == 1
        assert explorer.hidden
        value, frame = explorer.boxes[operation.result], explorer.frame()
        entry = float(np.atleast_2d(value)[explorer.entry])
        assert f"predict {explorer._entry_name()}. " in frame["describe"]
        assert frame["panels"][0]["numbers"].endswith(" = ?")
        box = table(explorer, box_title(operation.result))
        assert box["hidden"] == [explorer.entry]
        assert np.isnan(box["values"][explorer.entry])
        elsewhere = sum(np.count_nonzero(known == entry) for known in (value, *explorer.before.values()))
        assert elsewhere > 1 or repr(entry) not in to_json(frame)
        assert explorer.step() == 1
        assert not explorer.hidden
        assert table(explorer, box_title(operation.result))["values"][explorer.entry] == entry
        assert "It is" in panels(explorer, "question")[0]["feedback"]
    assert explorer.made == len(operations) == explorer.steps / 2


def test_a_right_prediction_is_told_from_a_wrong_one_and_both_reveal():
    verdicts = {1: "Right", 1.019: "Right", 0.981: "Right", 1.021: "Off by", -1: "Off by"}
    for factor, verdict in verdicts.items():
        explorer = Backprop(predict=True)
        explorer.step(15)
        assert explorer.operation.result == "dW2"
        assert "What is dW₂" in panels(explorer, "question")[0]["prompt"]
        entry, value = explorer.entry, float(explorer.boxes["dW2"][explorer.entry])
        explorer.act("predict", value * factor)
        (question,) = panels(explorer, "question")
        assert question["feedback"].startswith(verdict)
        assert f"{value:.4g}".replace("-", "−") in question["feedback"]
        assert table(explorer, "dW₂")["values"][entry] == value
        assert explorer.steps == 15
        explorer.act("predict", 7.0)  # nothing is asked any more
        assert panels(explorer, "question")[0]["feedback"] == question["feedback"]
        explorer.step()
        assert panels(explorer, "question")[0]["feedback"] == ""
    explorer = Backprop(predict=True)
    explorer.step()
    explorer.act("predict", explorer.boxes["Z1"][explorer.entry] + 0.25)
    assert panels(explorer, "question")[0]["feedback"].startswith("Off by 0.25: Z₁")


def test_a_hidden_loss_is_not_given_away():
    explorer = Backprop(predict=True)
    explorer.step(9)
    assert explorer.operation.result == "L"
    assert explorer.frame()["loss"] is None
    assert "loss" not in explorer.describe()
    explorer.act("predict", 0.0)
    assert explorer.frame()["loss"] == explorer.boxes["L"][0, 0]


def test_a_question_pauses_and_switching_it_off_reveals():
    explorer = Backprop(predict=True)
    assert panels(explorer, "question")[0]["prompt"].startswith("Press Step")
    assert explorer.frame()["command"] is None
    explorer.step()
    assert explorer.frame()["command"] == "pause"
    explorer.act("entry", [0, 0])
    assert explorer.entry != (0, 0)  # the question stays with its entry
    assert explorer.hidden
    explorer.set(learning_rate=2.0)
    assert explorer.hidden
    explorer.set(predict=False)
    assert not explorer.hidden
    assert explorer.frame()["command"] is None
    assert np.isfinite(table(explorer, "Z₁")["values"]).all()
    assert not panels(explorer, "question")


def test_the_hidden_cell_reveals_itself_when_it_is_chosen():
    explorer = Backprop(predict=True)
    explorer.step()
    explorer.act("entry", list(explorer.entry))
    assert not explorer.hidden
    assert explorer.steps == explorer.made == 1
    assert panels(explorer, "question")[0]["feedback"].startswith("It is Z₁")


@pytest.mark.parametrize("predict", [False, True])
def test_the_round_is_played_to_its_last_update_without_questions(predict):
    explorer = Backprop(predict=predict)
    explorer.step(3)
    explorer.act("round")
    assert explorer.frame()["command"] == "play"
    explorer.step(1000)
    assert (explorer.made, explorer.operation.result, explorer.hidden) == (17, "b2", False)
    assert explorer.frame()["command"] == "pause"
    explorer.act("round")
    explorer.step(1000)
    assert explorer.made == 34


def test_a_new_learning_rate_counts_from_the_next_update():
    explorer = Backprop()
    to_the_updates(explorer)
    explorer.step()
    explorer.set(learning_rate=0.1)
    assert explorer.made == 14
    assert "− 1 · " in panels(explorer, "formula")[0]["numbers"]
    explorer.step()
    assert "− 0.1 · " in panels(explorer, "formula")[0]["numbers"]


@pytest.mark.parametrize("activation", LAYERS)
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("rate", [0.01, 10.0])
def test_all_rounds_end_with_finite_numbers_even_at_the_ends_of_the_slider(activation, loss, rate):
    for seed in range(5):
        explorer = Backprop(activation=activation, loss=loss, learning_rate=rate, seed=seed, hidden_size=3)
        assert explorer.step(10_000) == ROUNDS * len(explorer.operations)
        assert explorer.finished
        assert all(np.isfinite(box).all() for box in explorer.boxes.values())
        assert explorer.describe().endswith("All 20 rounds are done: press Reset.")
        explorer.reset()
        assert not explorer.finished


def test_the_last_question_is_answered_before_the_end():
    explorer = Backprop(predict=True)
    explorer.step(2 * 17 * ROUNDS - 1)
    assert not explorer.finished
    explorer.step()
    assert explorer.finished
    assert explorer.step() == 0


@pytest.mark.parametrize("value", ["much", None, True, math.nan, math.inf])
def test_a_prediction_that_is_no_number_is_refused(value):
    explorer = Backprop(predict=True)
    explorer.step()
    with pytest.raises(ValueError, match="predict expects a number"):
        explorer.act_predict(value)
    assert explorer.hidden


def test_an_entry_outside_its_table_is_refused():
    explorer = Backprop()
    with pytest.raises(ValueError, match=r"cell of a 4x2 table, got \[4, 0\]"):
        explorer.act("entry", [4, 0])


def test_fewer_rows_are_the_last_ones_of_xor():
    assert Backprop(examples=1).boxes["X"].tolist() == [[1, 1]]
    assert Backprop(examples=3).boxes["Y"].ravel().tolist() == [1, 1, 0]


# --- one neuron

NEURONS = [(a, d) for a in FUNCTIONS for d in ("handful", "and", "or", "xor")]


def neuron_loss(explorer, theta):
    f = FUNCTIONS[explorer.settings["activation"]][0]
    return F.mse(f(F.linear(explorer.X, theta[:2, None], theta[2:])), explorer.y)


def theta_of(explorer):
    return np.array([explorer.settings[name] for name in ("w1", "w2", "b")])


@pytest.mark.parametrize(("activation", "dataset"), NEURONS)
def test_the_slopes_of_a_neuron_are_those_of_finite_differences(activation, dataset):
    explorer = Neuron(activation=activation, dataset=dataset, w1=0.7, w2=-0.4, b=0.15)
    theta = theta_of(explorer)
    assert explorer.loss == neuron_loss(explorer, theta)
    numeric = numerical_gradient(lambda t: neuron_loss(explorer, t), theta)
    np.testing.assert_allclose(shown(explorer, "Slopes of the loss")[0], numeric, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(panels(explorer, "bars")[0]["values"], np.abs(numeric), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("activation", "dataset"), NEURONS)
def test_a_step_moves_the_sliders_against_the_slopes(activation, dataset):
    explorer = Neuron(activation=activation, dataset=dataset, learning_rate=0.05)
    before, slopes = theta_of(explorer), shown(explorer, "Slopes of the loss")[0]
    explorer.step()
    np.testing.assert_allclose(theta_of(explorer), before - 0.05 * slopes, rtol=1e-12)
    assert explorer.frame()["settings"] == explorer.settings
    assert explorer.loss <= neuron_loss(explorer, before)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "none"])
def test_a_neuron_separates_a_handful_of_points_and_never_xor(activation):
    rate = 0.05 if activation == "none" else 0.5
    explorer = Neuron(activation=activation, learning_rate=rate)
    assert explorer.accuracy < 1
    explorer.step(300)
    assert explorer.accuracy == 1
    assert "5 of 5 points right" in explorer.describe()
    explorer.set(dataset="xor")
    assert explorer.steps == 0
    explorer.step(500)
    assert explorer.accuracy < 1


@pytest.mark.parametrize(("activation", "dataset"), NEURONS)
def test_the_numbers_of_a_neuron_are_right_for_every_point(activation, dataset):
    explorer = Neuron(activation=activation, dataset=dataset, w1=0.71, w2=-0.4, b=0.15)
    for n in range(len(explorer.X)):
        explorer.act("row", [n, 0])
        for formula in panels(explorer, "formula"):
            for line in formula["numbers"].split("; "):
                if line.count(" = ") > 1:
                    assert agrees_with_its_numbers(line), line


def test_the_equations_of_a_neuron_are_those_of_the_chapters():
    labels = {a: [p["label"] for p in panels(Neuron(activation=a), "formula")] for a in FUNCTIONS}
    names = ("z", "a", "loss", "dz", "dw", "db")
    assert labels["sigmoid"] == [f"eq-neuron-{name}" for name in names]
    assert labels["tanh"][1:4] == ["eq-tanh", "eq-neuron-loss", ""]
    for activation in FUNCTIONS:
        explorer = Neuron(activation=activation, w1=0.7, w2=-0.4, b=0.15)
        z, a, y = explorer.z[:, 0], explorer.a[:, 0], explorer.y[:, 0]
        known = {"X": explorer.X, "w": explorer.W[:, 0], "b": 0.15, "z": z, "a": a, "y": y, "Z": z}
        known |= {"N": len(z), "dz": explorer.dz[:, 0], "sigma": F.sigmoid}
        expected = (z, a, explorer.loss, explorer.dz[:, 0], explorer.dW[:, 0], explorer.db[0])
        for formula, value in zip(panels(explorer, "formula"), expected, strict=True):
            if formula["label"]:
                assert as_ledger(formula["latex"]) == as_ledger(written()[formula["label"]].latex)
            (result,) = evaluate(formula["latex"], known).values()
            np.testing.assert_allclose(result, value, rtol=1e-12)


def test_turning_a_slider_goes_on_and_reset_returns_to_where_the_reader_left_it():
    explorer = Neuron(w1=0.5)
    explorer.step(20)
    moved = theta_of(explorer)
    explorer.set(b=2.0)
    explorer.set(b=1.0)
    assert explorer.steps == 20
    np.testing.assert_array_equal(theta_of(explorer), [moved[0], moved[1], 1.0])
    assert explorer.loss == neuron_loss(explorer, theta_of(explorer))
    assert explorer.history[-2:][0][0] == 19
    assert explorer.history[-1] == (20, explorer.loss)
    explorer.step(20)
    explorer.set(learning_rate=1.0)
    assert explorer.steps == 40
    explorer.reset()
    assert explorer.steps == 0
    np.testing.assert_array_equal(theta_of(explorer), [moved[0], moved[1], 1.0])
    explorer.reset(w1=0.25)
    assert explorer.settings["w1"] == 0.25
    explorer.step(5)
    explorer.set(activation="tanh")
    assert (explorer.steps, explorer.settings["w1"]) == (0, 0.25)


def test_a_parameter_stops_at_the_edge_of_its_slider_and_says_so():
    explorer = Neuron(dataset="and", learning_rate=10.0)
    explorer.step(1000)
    assert explorer.finished
    assert explorer.settings["b"] == -EDGE
    assert explorer.message.startswith(f"b has reached the edge of its slider, −{EDGE:g}. Turn it back")
    explorer.check(explorer.settings)  # still values that the sliders can have
    explorer.set(b=-4.0)
    assert explorer.message == ""
    assert explorer.step() == 1


def test_the_slopes_belong_to_the_place_where_a_parameter_was_stopped():
    explorer = Neuron(activation="none", learning_rate=10.0)
    explorer.step()
    numeric = numerical_gradient(lambda t: neuron_loss(explorer, t), theta_of(explorer))
    assert np.abs(theta_of(explorer)).max() == EDGE
    np.testing.assert_allclose(shown(explorer, "Slopes of the loss")[0], numeric, rtol=1e-7)


def test_the_line_is_where_z_is_zero_and_w_stands_on_it():
    explorer = Neuron(w1=2.0, w2=1.0, b=-1.0)
    line, arrow = panels(explorer, "plane")[0]["paths"]
    z = F.linear(np.stack([line["x"], line["y"]], axis=1), explorer.W, explorer.b)
    np.testing.assert_allclose(z, 0, atol=1e-12)
    along = np.array([np.ptp(line["x"]), line["y"][1] - line["y"][0]])
    w = np.array([arrow["x"][1] - arrow["x"][0], arrow["y"][1] - arrow["y"][0]])
    np.testing.assert_allclose(w / w[1], [2.0, 1.0])
    assert along @ w == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("parameters", "points"),
    [
        ((0.0, 0.0, 1.0), []),
        ((0.0, 0.0, 0.0), []),
        ((1.0, 0.0, -5.0), []),
        ((2.0, 0.0, -1.0), [[0.5, 0.0], [0.5, 1.0]]),
        ((0.0, 2.0, -1.0), [[0.0, 0.5], [1.0, 0.5]]),
        ((1e-320, 0.0, 1.0), []),
    ],
)
def test_a_line_that_is_upright_flat_or_out_of_sight_is_drawn_as_far_as_it_is_there(parameters, points):
    assert boundary(*parameters, (0.0, 1.0, 0.0, 1.0)).tolist() == points
    explorer = Neuron(w1=0.0, w2=0.0, b=1.0)
    assert panels(explorer, "plane")[0]["paths"] == []


def test_the_picture_is_what_the_neuron_says():
    explorer = Neuron(activation="sigmoid", dataset="xor", w1=8.0, w2=0.0, b=-4.0)
    field = panels(explorer, "plane")[0]["field"].bytes
    assert (field[:, 0] == 0).all()
    assert (field[:, -1] == 255).all()
    explorer.set(w1=0.0, w2=8.0)
    field = panels(explorer, "plane")[0]["field"].bytes
    assert (field[0] == 255).all()  # row 0 is at the top, where x₂ is largest
    assert (field[-1] == 0).all()


def test_a_point_is_chosen_in_the_plane_or_in_the_table():
    explorer = Neuron(dataset="xor")
    explorer.act("point", [0.9, 0.2])
    assert explorer.chosen == 2
    assert [cell[0] for cell in table(explorer, "All points: choose one")["highlight"]] == [2] * 6
    marked = panels(explorer, "plane")[0]["points"][-1]
    assert marked == {"name": "point 2", "x": [1.0], "y": [0.0], "group": 2}
    explorer.act("row", [1, 3])
    assert panels(explorer, "formula")[0]["title"] == "What goes in, point 1"
    with pytest.raises(ValueError, match="row from 0 to 3, got 4"):
        explorer.act("row", [4, 0])


def test_the_loss_curve_of_a_neuron_stays_short():
    explorer = Neuron(dataset="xor")
    for _ in range(200):
        explorer.set(w1=float(explorer.rng.uniform(-1, 1)))  # a slider that is dragged
    assert len(explorer.history) <= HISTORY
    explorer.step(700)
    steps = [step for step, _ in explorer.history]
    assert HISTORY / 2 <= len(steps) <= HISTORY
    assert steps == sorted(set(steps))
    assert steps[0] == 0


# --- convolution

CONVOLUTIONS = [
    {"image": image, "kernel": kernel, "stride": stride, "padding": padding}
    for image in (*IMAGES, "random")
    for kernel in (*KERNELS, "random")
    for stride in (1, 2)
    for padding in (0, 1)
]
LAST = {"forward": "Y", "dX": "dX so far", "dW": "dW so far"}


def by_nnlib(explorer):
    """Y, dX and dW of the whole picture, from the functions of nnlib."""
    how = {"stride": explorer.settings["stride"], "padding": explorer.settings["padding"]}
    X, W, dY = (part[None, None] for part in (explorer.X, explorer.W, explorer.dY))
    Y = F.conv2d(X, W, np.zeros(1), **how)
    dX, dW, _ = F.conv2d_backward(dY, X, W, **how)
    return {"forward": Y[0, 0], "dX": dX[0, 0], "dW": dW[0, 0]}


@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=lambda s: "-".join(map(str, s.values())))
def test_the_last_position_leaves_the_whole_result(settings):
    for direction in LAST:
        explorer = Convolution(**settings, direction=direction, seed=3)
        result = by_nnlib(explorer)[direction]
        positions = explorer.Y.size
        assert explorer.step(1000) == positions
        assert explorer.finished
        np.testing.assert_array_equal(shown(explorer, LAST[direction]), result)
        assert explorer.describe().endswith("The window has been everywhere.")


@pytest.mark.parametrize("settings", CONVOLUTIONS[::7], ids=lambda s: "-".join(map(str, s.values())))
def test_both_gradients_are_those_of_finite_differences(settings):
    how = {"stride": settings["stride"], "padding": settings["padding"]}
    for direction, name in (("dX", "X"), ("dW", "W")):
        explorer = Convolution(**settings, direction=direction)
        explorer.step(1000)

        def upstream(value, name=name, explorer=explorer):
            parts = {"X": explorer.X, "W": explorer.W} | {name: value}
            Y = F.conv2d(parts["X"][None, None], parts["W"][None, None], np.zeros(1), **how)
            return float((explorer.dY * Y[0, 0]).sum())

        numeric = numerical_gradient(upstream, getattr(explorer, name))
        np.testing.assert_allclose(shown(explorer, LAST[direction]), numeric, atol=1e-6)


@pytest.mark.parametrize("padding", [0, 1])
def test_for_stride_1_the_gradient_of_the_image_is_a_convolution_with_the_flipped_kernel(padding):
    explorer = Convolution(kernel="random", image="random", padding=padding, direction="dX", seed=5)
    explorer.step(1000)
    flipped = explorer.W[::-1, ::-1][None, None]
    spread = F.conv2d(np.pad(explorer.dY, 2 - padding)[None, None], flipped, np.zeros(1))
    np.testing.assert_array_equal(shown(explorer, "dX so far"), spread[0, 0])


@pytest.mark.parametrize("direction", LAST)
@pytest.mark.parametrize("settings", CONVOLUTIONS[::11], ids=lambda s: "-".join(map(str, s.values())))
def test_the_numbers_at_each_position_are_right(settings, direction):
    explorer = Convolution(**settings, direction=direction, seed=1)
    assert panels(explorer, "formula")[0]["numbers"] == "Press Step."
    while explorer.step():
        line = panels(explorer, "formula")[0]["numbers"]
        code, said = in_python(line)
        assert calculate(code) == said
        name, i, j = re.match(r"(\w+)\[(\d+), (\d+)\]", line).groups()
        assert shown(explorer, name if name == "Y" else f"{name} so far")[int(i), int(j)] == said
        assert f"{name}[{i}, {j}] = " in explorer.describe()


def test_y_fills_one_number_a_step_in_reading_order():
    explorer = Convolution()
    for steps in range(1, 17):
        explorer.step()
        known = np.isfinite(shown(explorer, "Y"))
        assert known.ravel().tolist() == [True] * steps + [False] * (16 - steps)
        assert table(explorer, "Y")["highlight"] == [divmod(steps - 1, 4)]


def test_the_frame_lies_on_the_window_that_is_read():
    explorer = Convolution(stride=2, padding=1)
    assert table(explorer, "X with its padding")["highlight"] == []
    explorer.step(5)
    assert explorer.describe().startswith("Position 5 of 9: rows 1 to 3, columns 1 to 3")
    framed = table(explorer, "X with its padding")
    assert framed["highlight"] == [(2 + k, 2 + column) for k in range(3) for column in range(3)]
    assert framed["rows"] == ["−1", "0", "1", "2", "3", "4", "5", "6"]
    np.testing.assert_array_equal(np.array(framed["values"])[1:-1, 1:-1], explorer.X)


def test_what_falls_into_the_padding_is_no_part_of_the_gradient():
    explorer = Convolution(padding=1, direction="dX")
    explorer.step()
    assert table(explorer, "dX so far")["highlight"] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert "rows −1 to 1" in explorer.describe()


@pytest.mark.parametrize("direction", LAST)
def test_a_position_adds_dy_times_what_it_meets_and_nothing_elsewhere(direction):
    explorer = Convolution(direction=direction, image="random", kernel="random", seed=2)
    for i, j in np.ndindex(explorer.Y.shape):
        before = explorer.gradients(0, explorer.steps)
        explorer.step()
        dX, dW = (new - old for new, old in zip(explorer.gradients(0, explorer.steps), before, strict=True))
        spread = np.zeros_like(explorer.X)
        spread[i : i + 3, j : j + 3] = explorer.dY[i, j] * explorer.W
        np.testing.assert_array_equal(dX, spread)
        np.testing.assert_array_equal(dW, explorer.dY[i, j] * explorer.X[i : i + 3, j : j + 3])


@pytest.mark.parametrize("direction", LAST)
def test_all_numbers_of_a_convolution_are_whole_and_small(direction):
    for settings in CONVOLUTIONS[::3]:
        explorer = Convolution(**settings, direction=direction, seed=7)
        explorer.step(4)
        for panel in panels(explorer, "matrix"):
            entries = [entry for row in panel["values"] for entry in row if entry is not None]
            assert all(type(entry) is int and abs(entry) < 100 for entry in entries)
            assert panel["role"] == ("gradient" if panel["title"].startswith("d") else "value")


def test_the_formula_of_each_pass_is_the_one_of_the_chapter():
    for direction, label in (("forward", "eq-conv2d"), ("dX", "eq-conv2d-dx"), ("dW", "eq-conv2d-dw")):
        (formula,) = panels(Convolution(direction=direction), "formula")
        assert formula["label"] == label
        assert as_ledger(formula["latex"]) == as_ledger(written()[label].latex)


def test_a_seed_gives_the_same_convolution_and_another_one_another():
    one, same, other = (Convolution(image="random", kernel="random", seed=seed) for seed in (1, 1, 2))
    for name in ("X", "W", "dY"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))


def test_a_convolution_starts_over_by_reset_and_by_any_change():
    explorer = Convolution()
    explorer.step(3)
    explorer.reset()
    assert explorer.describe() == "16 positions, none visited yet. Pass: forward."
    explorer.step(3)
    explorer.set(stride=2)
    assert explorer.steps == 0
    assert explorer.loss is None


# --- all three


@pytest.mark.parametrize("engine", [Backprop, Neuron, Convolution])
def test_a_recording_is_small_and_worth_watching(engine):
    recording = record(engine())
    assert len(json.dumps(recording)) < 60_000
    assert len(recording) == engine().recorded[0]
    assert all(change is not None for change in recording[1:])
