import io
import json
import struct

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.image import imread

from nnlib.explorers import panels, picture
from nnlib.explorers.panels import Shades, to_json

LONG = "a name that is longer than the room that there is for it"
RNG = np.random.default_rng(0)
FIELD = Shades(np.linspace(0, 1, 12).reshape(3, 4), 0, 1)


def frame(*shown, message=""):
    """As a view gets it: through JSON."""
    return json.loads(to_json({"panels": list(shown), "message": message}))


def drawn(*shown, message=""):
    return picture.draw(frame(*shown, message=message))


def words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts if text.get_text()]


def plots(figure):
    """The axes that show something other than text."""
    return [ax for ax in figure.axes if ax.lines or ax.images or ax.collections or ax.patches]


CURVES = [
    {"name": "train", "x": [0, 1, 2], "y": [3.0, 2, 1]},
    {"name": "test", "x": [0, 1, 2], "y": [3.0, 2, 2]},
]

EDGE_CASES = {
    "no panel": [],
    "no series": [panels.curves("c", [])],
    "an empty series": [panels.curves("c", [{"name": "a", "x": [], "y": []}])],
    "only nan on a log axis": [
        panels.curves("c", [{"name": "a", "x": [0, 1], "y": [np.nan, np.inf]}], ylog=True)
    ],
    "one point": [panels.curves("c", [{"name": "a", "x": [1], "y": [1.0]}], xlog=True, ylog=True)],
    "zero and negative on log axes": [
        panels.curves("c", [{"name": LONG, "x": [-1, 0, 1, 9], "y": [1, 2, 0, -4]}] * 2, xlog=True, ylog=True)
    ],
    "marks and limits": [
        panels.curves("c", CURVES, xlim=(0, 9), ylim=(0, 1), marks=[(1, "$x$"), (99, LONG)])
    ],
    "an empty plane": [panels.plane("p", extent=(0, 9, 0, 1))],
    "a constant field": [
        panels.plane("p", extent=(0, 1, 0, 1), field=Shades(np.ones((2, 2)), 1, 1), levels=[0.5, 1])
    ],
    "a field of one number": [panels.plane("p", extent=(0, 1, 0, 1), field=Shades(np.ones((1, 1)), 0, 1))],
    "an empty path and one of nan": [
        panels.plane(
            "p",
            extent=(0, 1, 0, 1),
            paths=[{"name": LONG, "x": x, "y": x, "group": 9} for x in ([], [np.nan])],
        )
    ],
    "no picture": [panels.pictures("i", [])],
    "784 pixels, many times": [
        panels.pictures("i", [Shades(RNG.normal(size=(28, 28)), -1, 1)] * 16, smooth=True)
    ],
    "one unit": [panels.network("n", sizes=[1, 1], weights=[np.zeros((1, 1))], values=[np.zeros(1), None])],
    "one layer": [panels.network("n", sizes=[3])],
    "64 units": [
        panels.network("n", sizes=[2, 64, 1], weights=[RNG.normal(size=s) for s in ((2, 64), (64, 1))])
    ],
    "nan in a network": [
        panels.network(
            "n", sizes=[1, 2], weights=[np.array([[np.nan, -1]])], values=[None, np.array([np.nan, 2])]
        )
    ],
    "an empty matrix": [panels.matrix("m", [])],
    "a matrix of nothing": [panels.matrix("m", [[None, None]], heat="sequential")],
    "no bar": [panels.bars("b", [], [])],
    "bars of nan and 0 on a log axis": [panels.bars("b", ["a", LONG], [np.nan, 0], log=True)],
    "no histogram": [panels.histograms("h", [], titles=[], ranges=[])],
    "histograms of nothing": [
        panels.histograms("h", [np.zeros(3)] * 7, titles=["a"] * 7, ranges=[(0, 0)] * 7)
    ],
    "an empty formula": [panels.formula("", "")],
    "an empty text": [panels.text("", "")],
    "a long title": [panels.text(LONG * 4, LONG * 9, width="third")],
}


@pytest.mark.parametrize("shown", EDGE_CASES.values(), ids=EDGE_CASES.keys())
def test_nothing_that_a_panel_may_hold_stops_or_warns(shown):
    assert picture.png(frame(*shown)).startswith(b"\x89PNG")


def test_every_kind_of_panel_can_be_drawn_but_for_those_that_ask():
    asks = {"question", "drawing"}
    makers = {
        name
        for name, made in vars(panels).items()
        if getattr(made, "__annotations__", {}).get("return") == "Panel"
    }
    assert set(picture.KINDS) == makers - asks - {"_panel"}
    assert not drawn(panels.question("q", "How much?", "predict"), panels.drawing("d", "draw")).axes


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match=r"one of curves, .*, got 'pie'"):
        picture.draw({"panels": [{"kind": "pie", "title": ""}], "message": ""})


def test_the_figure_is_8_inches_wide_and_as_high_as_its_rows():
    half = panels.curves("c", CURVES)
    one, two = drawn(half, half), drawn(half, half, half)
    assert one.get_figwidth() == two.get_figwidth() == 8
    assert two.get_figheight() == pytest.approx(2 * one.get_figheight(), rel=0.1)


def test_the_title_and_the_message_can_be_read():
    shown = words(drawn(panels.text("Note", "The loss falls."), message="The loss became nan."))
    assert shown == ["The loss became nan.", "Note", "The loss falls."]


def test_dollars_in_words_are_no_mathematics():
    assert r"costs \$1 or \$2" in words(drawn(panels.text("", "costs $1 or $2")))


def test_curves_differ_by_dash_as_well_as_by_colour_and_have_names():
    (ax,) = plots(drawn(panels.curves("c", CURVES, ylabel="loss", ylog=True)))
    first, second = ax.lines
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]
    assert (ax.get_yscale(), ax.get_xscale()) == ("log", "linear")
    assert list(first.get_ydata()) == [3, 2, 1]


def test_points_have_a_mark_and_no_line():
    (ax,) = plots(drawn(panels.curves("c", [CURVES[0] | {"points": True}])))
    assert ax.lines[0].get_linestyle() == "None"
    assert ax.lines[0].get_marker() == "o"
    assert ax.get_legend() is None


def test_the_field_lies_where_it_belongs_and_its_first_row_is_at_the_top():
    (ax,) = plots(drawn(panels.plane("p", extent=(0, 3, 0, 2), field=FIELD, levels=[0.5, 0.2])))
    (image,) = ax.images
    assert image.get_extent() == [-0.5, 3.5, -0.5, 2.5]  # cells 1 wide and high, centred on the grid
    assert image.get_array()[0, 0] == 0
    assert image.get_array()[2, 3] == 1
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 3), (0, 2))
    strong, weak = (line.get_linewidths()[0] for line in ax.collections)
    assert strong > weak


def test_groups_of_points_and_paths_are_told_apart_and_named():
    group = {"x": [0, 1], "y": [1, 0]}
    points = [group | {"name": "class 0", "group": 0}, group | {"name": "class 1", "group": 1}]
    paths = [group | {"name": "adam", "group": 2}]
    (ax,) = plots(drawn(panels.plane("p", extent=(0, 1, 0, 1), points=points, paths=paths)))
    colours = {to_hex(dots.get_facecolor()[0]) for dots in ax.collections}
    assert len(colours) == 2
    assert len({len(dots.get_paths()[0].vertices) for dots in ax.collections}) == 2  # circle and square
    assert ax.lines[-1].get_markevery() == [1]  # a mark at the end only
    assert sorted(t.get_text() for t in ax.get_legend().get_texts()) == ["adam", "class 0", "class 1"]


def test_pictures_have_their_titles_and_share_rows_evenly():
    figure = drawn(
        panels.pictures("i", [FIELD] * 10, titles=[f"{k}, not 1" for k in range(10)], palette="gray")
    )
    axes = plots(figure)
    assert [ax.get_title(loc="left") for ax in axes] == [f"{k}, not 1" for k in range(10)]
    rows = [ax.get_position().y0 for ax in axes]
    assert len(axes) == 10
    assert {np.round(rows, 6).tolist().count(y) for y in np.round(rows, 6)} == {5}


def test_a_large_weight_is_thick_and_a_negative_one_blue_and_dashed():
    weights = [np.array([[2.0, -1.0, 0.0]])]
    (ax,) = plots(
        drawn(panels.network("n", sizes=[1, 3], weights=weights, values=[None, np.array([-1, 0, 1])]))
    )
    large, negative, none = ax.lines
    assert large.get_linewidth() > negative.get_linewidth() > none.get_linewidth()
    assert (large.get_color(), negative.get_color()) == ("#D55E00", "#0072B2")
    assert large.get_linestyle() == "-" != negative.get_linestyle()
    assert {"2", "−1", "0"} <= {text.get_text() for text in ax.texts}


def test_the_numbers_of_a_network_stand_apart():
    for n, m in [(2, 4), (4, 1), (2, 2), (1, 1)]:
        spots = []
        for i, j in np.ndindex(n, m):
            part = picture._part(i, j, n, m)
            height = ((n - 1) / 2 - i) * (1 - part) + ((m - 1) / 2 - j) * part
            spots.append((part * 3, height))
        gaps = [
            max(abs(a - c) / 0.6, abs(b - d) / 0.25) for a, b in spots for c, d in spots if (a, b) != (c, d)
        ]
        assert min(gaps, default=1) >= 0.9, (n, m)


def test_a_network_names_its_ends_and_counts_the_units_it_leaves_out():
    names = [["x₁", LONG], None, ["p"]]
    figure = drawn(panels.network("n", sizes=[2, 20, 1], weights=None, names=names, shows="gradients"))
    assert {"x₁", "p", "+4"} <= set(words(figure))
    assert LONG not in words(figure)


def test_gradients_are_called_gradients():
    (ax,) = plots(drawn(panels.network("n", sizes=[1, 1], weights=[np.ones((1, 1))], shows="gradients")))
    assert ax.get_title(loc="left").startswith("gradient dW: thickest 1")


def test_value_and_gradient_boxes_differ_by_border_and_by_name():
    values = np.array([[1.0, -2.5]])
    figure = drawn(panels.matrix("W", values, role="value"), panels.matrix("dW", values, role="gradient"))
    value, gradient = plots(figure)
    assert {"W (value)", "dW (gradient)", "−2.5"} <= set(words(figure))
    assert value.patches[0].get_linestyle() != gradient.patches[0].get_linestyle()


def test_a_hidden_cell_is_not_given_away_and_a_framed_one_stands_out():
    values = [[1.5, 4.25], ["half", None]]
    figure = drawn(
        panels.matrix(
            "m",
            values,
            rows=["a", "b"],
            columns=["c", "d"],
            heat="diverging",
            hidden=[(0, 1)],
            highlight=[(0, 0)],
        )
    )
    assert {"1.5", "?", "half", "a", "b", "c", "d"} <= set(words(figure))
    assert "4.25" not in words(figure)
    framed, hidden, *_ = plots(figure)[0].patches
    assert framed.get_linewidth() > hidden.get_linewidth()
    assert to_hex(hidden.get_facecolor()) == "#ffffff"


@pytest.mark.parametrize("heat", ["diverging", "sequential"])
def test_numbers_can_be_read_on_every_shade(heat):
    figure = drawn(panels.matrix("m", np.linspace(-1 if heat == "diverging" else 0, 1, 11)[None], heat=heat))
    (ax,) = plots(figure)

    def luminance(colour):
        rgb = np.array(to_rgb(colour))
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    for box, text in zip(ax.patches, ax.texts, strict=True):
        low, high = sorted([luminance(box.get_facecolor()[:3]), luminance(text.get_color())])
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_bars_go_from_0_and_the_strong_one_stands_out():
    figure = drawn(panels.bars("b", ["a", "b", "c"], [0.25, 0.5, 0.25], high=1, strong=1))
    (ax,) = plots(figure)
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.5, 0.25]
    assert ax.get_xlim() == (0, 1)
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == ["#0072b2", "#d55e00", "#0072b2"]
    assert [text.get_fontweight() for text in ax.texts] == ["normal", "bold", "normal"]


def test_negative_bars_go_to_the_left():
    (ax,) = plots(drawn(panels.bars("b", ["a", "b"], [-2, 1])))
    assert ax.get_xlim() == (-2, 2)
    assert ax.patches[0].get_width() == -2


def test_bars_on_a_log_axis_leave_out_0_and_write_it():
    figure = drawn(panels.bars("b", ["a", "b"], [1e-6, 0], log=True))
    (ax,) = plots(figure)
    assert len(ax.patches) == 1
    assert ax.get_xscale() == "log"
    assert {"1e−6", "0"} <= set(words(figure))


def test_histograms_stand_side_by_side_over_their_own_ranges():
    figure = drawn(
        panels.histograms("h", [np.array([1, 3])] * 2, titles=["one", "two"], ranges=[(-1, 1), (0, 8)])
    )
    first, second = plots(figure)
    assert (first.get_title(), second.get_title()) == ("one", "two")
    assert [label.get_text() for label in second.get_xticklabels()] == ["0", "8"]
    assert list(first.patches[0].get_data().values) == [1, 3]


def test_a_formula_is_set_where_matplotlib_can_and_shown_as_code_where_not():
    figure = drawn(
        panels.formula("", r"dW = X^\top dY", numbers="0.5 · 2 = 1"),
        panels.formula("", r"\begin{aligned} a &= b \\ &\qquad + c \end{aligned}"),
        panels.formula("", r"\begin{cases} a \end{cases}"),
    )
    assert words(figure) == [
        "$dW = X^T dY$",
        "0.5 · 2 = 1",
        "$a = b$",
        "$+ c$",
        r"\begin{cases} a \end{cases}",
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3.0, "3"),
        (-2, "−2"),
        (1 / 3, "0.333"),
        (1.5e-7, "1.5e−7"),
        (2e9, "2e9"),
        (None, "–"),
        (np.inf, "–"),
        ("a$", r"a\$"),
    ],
)
def test_numbers_are_written_as_the_view_writes_them(value, written):
    assert picture._write(value, 3) == written


def test_nothing_global_changes():
    before, figures = dict(mpl.rcParams), plt.get_fignums()
    picture.png(frame(panels.curves("c", CURVES)))
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == figures


def test_the_picture_is_small_sharp_and_keeps_white_and_the_colours_of_lines():
    maps = [Shades(np.tanh(3 * RNG.normal() * np.mgrid[-1:1:16j, -1:1:16j][k % 2]), -1, 1) for k in range(8)]
    x, bowl = np.arange(150), np.hypot(*np.mgrid[-1:1:32j, -1:1:32j])
    file = picture.png(
        frame(
            panels.plane("Surface", extent=(0, 1, 0, 1), field=Shades(bowl, 0, 1), levels=[0.5]),
            panels.network(
                "Network", sizes=[2, 4, 1], weights=[RNG.normal(size=(2, 4)), RNG.normal(size=(4, 1))]
            ),
            panels.curves(
                "Loss", [{"name": str(k), "x": x, "y": np.exp(-x / (9 + 50 * k))} for k in range(3)]
            ),
            panels.pictures("Hidden units", maps, titles=[f"unit {k}" for k in range(8)]),
        )
    )
    assert len(file) <= 40_000
    assert struct.unpack(">I", file[16:20]) == (768,)
    pixels = imread(io.BytesIO(file))[..., :3]
    assert (pixels[0, 0] == 1).all()
    for colour in ("#0072B2", "#D55E00", "#009E73"):
        assert np.isclose(pixels, to_rgb(colour), atol=1 / 255).all(axis=-1).any()
