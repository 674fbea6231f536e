import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from nnlib import data, plotting

X, Y = data.xor()


@pytest.fixture(autouse=True)
def _close_figures():
    with plt.rc_context():
        yield
    plt.close("all")


def xor_probability(points):
    return 1 / (1 + np.exp(-3 + 8 * np.abs(points.sum(axis=1) - 1)))


def three_scores(points):
    return np.column_stack([points[:, 0], points[:, 1], 1 - points.sum(axis=1)])


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def drawn(ax):
    ax.figure.canvas.draw()  # whatever is wrong with a plot shows when it is drawn
    return ax


def test_the_style_tells_lines_apart_by_colour_and_by_dash():
    plotting.use_style()
    cycle = plt.rcParams["axes.prop_cycle"].by_key()
    assert len(set(cycle["color"])) == len(set(cycle["linestyle"])) == 4
    assert plt.rcParams["figure.facecolor"] == "white"


@pytest.mark.parametrize("draw", ["decision_boundary", "curves", "spread", "confusion"])
def test_a_plot_is_drawn_on_the_ax_given_or_on_a_new_one(draw):
    arguments = {
        "decision_boundary": (xor_probability, X, Y),
        "curves": ({"loss": [2, 1]},),
        "spread": ([[2, 1]],),
        "confusion": (np.eye(2),),
    }[draw]
    figure, ax = plt.subplots()
    assert getattr(plotting, draw)(*arguments, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]
    assert drawn(getattr(plotting, draw)(*arguments)) is not ax
    assert len(plt.get_fignums()) == 2


# ---------------------------------------------------------------------------- boundary


class Model:
    def __call__(self, points):
        raise NotImplementedError("an object is asked to predict, not called")

    def predict(self, points):
        return xor_probability(points)[:, None]


def test_a_function_a_column_and_an_object_with_predict_give_the_same_picture():
    pictures = []
    for predict in (xor_probability, lambda P: xor_probability(P)[:, None], Model()):
        ax = drawn(plotting.decision_boundary(predict, X, Y, resolution=20))
        pictures.append(np.asarray(ax.figure.canvas.buffer_rgba()))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])


def test_the_line_is_drawn_where_the_probability_is_a_half():
    ax = plotting.decision_boundary(lambda P: P[:, 0], X, Y)
    line = ax.collections[1].get_paths()[0].vertices
    assert line[:, 0] == pytest.approx(0.5)
    assert line[:, 1].min() == -0.5
    assert line[:, 1].max() == 1.5
    assert ax.get_xlim() == ax.get_ylim() == (-0.5, 1.5)


def test_logits_are_cut_at_zero():
    ax = plotting.decision_boundary(lambda P: 8 * P[:, 0] - 2, X, Y, threshold=0.0)
    assert ax.collections[1].get_paths()[0].vertices[:, 0] == pytest.approx(0.25)


def test_a_classifier_that_never_decides_has_no_line():
    ax = drawn(plotting.decision_boundary(lambda P: np.full(len(P), 0.9), X, Y))
    assert len(ax.collections) == 1 + 2  # the plane and the points of two classes


def test_predictions_beyond_0_and_1_are_drawn_like_0_and_1():
    drawn(plotting.decision_boundary(lambda P: 5 * P[:, 0] - 2, X, Y))


def test_points_differ_by_marker_as_well_as_by_colour():
    ax = plotting.decision_boundary(xor_probability, X, Y, labels=["equal", "different"])
    zero, one = ax.collections[-2:]
    assert legend(ax) == ["equal", "different"]
    assert to_hex(zero.get_facecolor()[0]) != to_hex(one.get_facecolor()[0])
    assert zero.get_paths()[0].vertices.shape != one.get_paths()[0].vertices.shape
    assert np.array_equal(one.get_offsets(), X[Y == 1])


def test_scores_paint_the_plane_by_the_largest():
    ax = drawn(plotting.decision_boundary(three_scores, X, Y, resolution=50))
    assert legend(ax) == ["class 0", "class 1", "class 2"]
    mesh = ax.collections[0].get_array().reshape(50, 50)
    assert mesh[0, -1] == 0  # right, bottom
    assert mesh[-1, 0] == 1  # left, top
    assert mesh[0, 0] == 2
    assert len(ax.collections) == 1 + 2 + 3  # plane, borders, points


@pytest.mark.parametrize("dtype", [bool, int, np.uint8])
def test_whole_numbers_are_classes(dtype):
    ax = drawn(plotting.decision_boundary(lambda P: (P[:, 0] > 0.5).astype(dtype), X, Y))
    assert set(ax.collections[0].get_array().ravel()) == {0, 1}


def test_data_of_one_class_are_drawn_too():
    assert legend(plotting.decision_boundary(xor_probability, X, np.zeros(4))) == [
        "class 0",
        "class 1",
    ]


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda P: P[:-1, 0], r"must return shape \(2500,\), \(2500, 1\) or \(2500, K\)"),
        (lambda P: P.reshape(-1, 1, 2), "must return shape"),
        (lambda P: np.zeros((len(P), 0)), "must return shape"),
        (lambda P: 0.5, "must return shape"),
        (lambda P: np.full(len(P), np.nan), "finite numbers, got nan or inf"),
        (lambda P: np.sign(P[:, 0]).astype(int), r"classes 0, 1, \.\.\. when it returns whole"),
    ],
)
def test_a_prediction_of_another_shape_is_refused(predict, message):
    with pytest.raises(ValueError, match=message):
        plotting.decision_boundary(predict, X, Y, resolution=50)


def test_what_cannot_predict_is_refused():
    with pytest.raises(TypeError, match="must be a function or have a method predict, got int"):
        plotting.decision_boundary(3, X, Y)


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (X[:, :1], Y, {}, r"X of shape \(N, 2\) .* got \(4, 1\) and \(4,\)"),
        (X[0], Y, {}, r"got \(2,\) and \(4,\)"),
        (X, Y[:, None], {}, r"got \(4, 2\) and \(4, 1\): .* y.ravel\(\)"),
        (X[:0], Y[:0], {}, "with N > 0"),
        (X, Y - 1, {}, r"classes 0, 1, \.\.\.: whole numbers"),
        (X, Y + 0.5, {}, "whole numbers"),
        (X, np.array(list("abba")), {}, "whole numbers"),
        (X, Y, {"resolution": 1}, "resolution must be at least 2, got 1"),
        (X, Y, {"labels": ["only one"]}, "labels must name 2 classes, got 1"),
    ],
)
def test_points_that_do_not_fit_are_refused(X, y, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.decision_boundary(xor_probability, X, y, **options)


# ---------------------------------------------------------------------------- curves

RUN = {"loss": [3.0, 2.0, 1.0], "val_loss": [4.0, 3.0, 2.5]}


def test_one_history_is_one_line_a_key_from_epoch_1_on():
    ax = drawn(plotting.curves(RUN, keys=("loss", "val_loss"), ylabel="cross-entropy"))
    first, second = ax.get_lines()
    assert first.get_xdata().tolist() == [1, 2, 3]
    assert second.get_ydata().tolist() == RUN["val_loss"]
    assert first.get_linestyle() != second.get_linestyle()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "cross-entropy")
    assert legend(ax) == ["loss", "val_loss"]


def test_a_single_line_needs_no_legend_and_a_key_need_not_be_a_tuple():
    ax = drawn(plotting.curves(RUN, keys="val_loss", log=True))
    assert ax.get_legend() is None
    assert (ax.get_ylabel(), ax.get_yscale()) == ("val_loss", "log")


def test_several_runs_differ_by_colour_and_by_dash():
    ax = plotting.curves({f"lr {lr}": RUN for lr in (0.1, 0.2, 0.3)})
    assert legend(ax) == ["lr 0.1", "lr 0.2", "lr 0.3"]
    assert len({line.get_color() for line in ax.get_lines()}) == 3
    assert len({line.get_linestyle() for line in ax.get_lines()}) == 3


def test_with_several_runs_and_keys_colour_tells_the_run_and_dash_the_key():
    ax = plotting.curves({"a": RUN, "b": RUN}, keys=("loss", "val_loss"))
    assert legend(ax) == ["a loss", "a val_loss", "b loss", "b val_loss"]
    colours = [line.get_color() for line in ax.get_lines()]
    dashes = [line.get_linestyle() for line in ax.get_lines()]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert dashes[0] == dashes[2] != dashes[1] == dashes[3]


def test_a_run_that_diverged_is_drawn_as_far_as_it_went():
    drawn(plotting.curves({"loss": [1.0, 10.0, np.inf, np.nan]}))


@pytest.mark.parametrize(
    ("histories", "keys", "message"),
    [
        ({}, ("loss",), "at least one history and one key"),
        (RUN, (), "at least one history and one key"),
        (RUN, ("accuracy",), "the history has no 'accuracy': it has loss, val_loss"),
        ({"a": RUN, "b": {}}, ("loss",), "the history of 'b' has no 'loss': it has nothing"),
        ({"loss": []}, ("loss",), r"'loss' must be one number an epoch, got shape \(0,\)"),
        ({"a": {"loss": [[1]]}}, ("loss",), "'loss' of 'a' must be one number an epoch"),
    ],
)
def test_histories_without_the_series_are_refused(histories, keys, message):
    with pytest.raises(ValueError, match=message):
        plotting.curves(histories, keys=keys)


# ---------------------------------------------------------------------------- spread

RUNS = [[5.0, 4.0], [1.0, 2.0], [2.0, 2.0], [3.0, 3.0], [9.0, 9.0]]


@pytest.mark.parametrize(("band", "low", "high"), [("range", [1, 2], [9, 9]), ("quartiles", [2, 2], [5, 4])])
def test_a_spread_is_the_median_and_a_band(band, low, high):
    ax = drawn(plotting.spread(RUNS, band=band, ylabel="loss", log=True))
    assert ax.get_lines()[0].get_ydata().tolist() == [3, 3]
    corners = ax.collections[0].get_paths()[0].vertices
    for epoch in (1, 2):
        heights = corners[corners[:, 0] == epoch, 1]
        assert (heights.min(), heights.max()) == (low[epoch - 1], high[epoch - 1])
    assert (ax.get_ylabel(), ax.get_yscale()) == ("loss", "log")
    assert ax.get_legend() is None


def test_the_next_spread_on_the_same_ax_looks_different():
    ax = plotting.spread(RUNS, label="SGD")
    first, second = plotting.spread(np.array(RUNS), label="Adam", ax=ax).get_lines()
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert legend(ax) == ["SGD", "Adam"]


def test_runs_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"got 2 runs of lengths \[1, 2\]"):
        plotting.spread([[1, 2], [1]])
    with pytest.raises(ValueError, match="got 0 runs"):
        plotting.spread([])
    with pytest.raises(ValueError, match=r"of lengths \[1\]"):
        plotting.spread([1, 2])
    with pytest.raises(ValueError, match=r"of lengths \[0\]"):
        plotting.spread([[], []])
    with pytest.raises(ValueError, match="band must be 'range' or 'quartiles', got 'std'"):
        plotting.spread(RUNS, band="std")


# ---------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("rows", [np.arange(84.0).reshape(7, 12), np.arange(84).reshape(7, 3, 4)])
def test_rows_become_pictures_in_order_with_their_titles(rows):
    figure = plotting.images(rows, shape=(3, 4), columns=3, titles=range(7))
    drawn(figure.axes[0])
    assert [ax.get_title() for ax in figure.axes] == list("0123456")
    for ax, row in zip(figure.axes, rows, strict=True):
        assert np.array_equal(ax.get_images()[0].get_array(), row.reshape(3, 4))
        assert ax.get_images()[0].get_clim() == (0, 83)
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (3, 3)


def test_fewer_pictures_than_columns_leave_no_gap():
    figure = plotting.images(np.zeros((2, 784)))
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (1, 2)


def test_filters_are_the_columns_of_w_on_one_scale_around_zero():
    W = np.random.default_rng(0).normal(size=(12, 5))
    figure = plotting.filters(W, shape=(3, 4), columns=3, titles="abcde")
    *units, bar = drawn(figure.axes[0]).figure.axes
    assert len(units) == 5
    assert bar.get_ylabel() == "weight"
    for ax, column in zip(units, W.T, strict=True):
        shown = ax.get_images()[0]
        assert np.array_equal(shown.get_array(), column.reshape(3, 4))
        assert shown.get_clim() == (-np.abs(W).max(), np.abs(W).max())
    assert to_hex(plotting.DIVERGING(0.5)) in ("#ffffff", "#fffffe", "#fefeff", "#fffefe")


def test_weights_that_are_all_zero_are_white():
    drawn(plotting.filters(np.zeros((784, 2))).axes[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.images(np.zeros((2, 10))), r"\(N, 784\) for pictures of 28 by 28, got"),
        (lambda: plotting.images(np.zeros(784)), r"X\[None\] for a single picture"),
        (lambda: plotting.images(np.zeros((0, 784))), r"got \(0, 784\)"),
        (lambda: plotting.images(np.zeros((2, 784)), titles=["a"]), "2 titles, one a picture, got 1"),
        (lambda: plotting.images(np.zeros((2, 784)), columns=0), "columns must be at least 1"),
        (lambda: plotting.filters(np.zeros((3, 784))), r"\(784, M\).* got \(3, 784\).* or W.T"),
        (lambda: plotting.filters(np.zeros(784)), r"got \(784,\)"),
        (lambda: plotting.filters(np.zeros((784, 0))), r"got \(784, 0\)"),
        (lambda: plotting.filters(np.full((784, 1), np.inf)), "finite weights, got nan or inf"),
        (lambda: plotting.filters(np.zeros((784, 2)), titles="abc"), "2 titles, one a unit, got 3"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------------- confusion


def test_a_rare_mistake_is_visible_beside_a_thousand_hits():
    ax = drawn(plotting.confusion(np.array([[1000, 3], [0, 990]])))
    shade = np.asarray(ax.get_images()[0].get_array())
    assert shade[0, 1] == 1  # the most frequent mistake has the full colour
    assert shade[1, 0] == 0
    assert shade.diagonal() == pytest.approx([-1000 / 1003, -1])
    assert [text.get_text() for text in ax.texts] == ["1000", "3", "0", "990"]


def test_rows_are_true_classes_and_columns_are_predicted():
    ax = plotting.confusion(np.array([[1, 2, 0], [0, 1, 0], [0, 0, 1]]), labels=["a", "b", "c"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b", "c"]
    two = next(text for text in ax.texts if text.get_text() == "2")
    assert two.get_position() == (1, 0)  # x is the predicted class, y the true one


def test_a_class_without_examples_and_a_perfect_classifier_can_be_drawn():
    drawn(plotting.confusion(np.diag([5, 0, 7])))


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), np.zeros(4), np.zeros((0, 0)), -np.eye(2)])
def test_what_is_no_confusion_matrix_is_refused(matrix):
    with pytest.raises(ValueError, match=r"expects a \(K, K\) matrix of counts, got shape"):
        plotting.confusion(matrix)


def test_labels_must_be_one_a_class():
    with pytest.raises(ValueError, match="confusion expects 2 labels, got 3"):
        plotting.confusion(np.eye(2), labels="abc")
