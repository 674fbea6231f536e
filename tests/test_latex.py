"""The evaluator reads what the subset allows, refuses the rest, and never guesses."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import functional as F
from nnlib.latex import LatexError, evaluate, parse, tokenize

N, D, M = 5, 4, 3


@pytest.fixture
def s(rng):
    Z = rng.choice([-1, 1], (N, M)) * rng.uniform(0.1, 2, (N, M))
    return {
        "X": rng.standard_normal((N, D)), "W": rng.standard_normal((D, M)), "b": rng.standard_normal(M),
        "dY": rng.standard_normal((N, M)), "Z": Z, "P": F.softmax(Z), "y": rng.integers(0, M, N),
        "w": rng.standard_normal(D), "N": N, "M": M, "D": D, "h": 1e-6, "x": 0.7, "f": np.sin, "t": 3,
        "beta_1": 0.9, "eta": 0.1, "W^[1]": rng.standard_normal((D, M)), "x_new": 4.0, "m_hat": 9.0,
        "fan-in": 6.0, "r": np.hypot,
    }  # fmt: skip


RIGHT = {
    # index form
    r"Y_{nm} = \sum_d X_{nd} W_{dm} + b_m": lambda s: s["X"] @ s["W"] + s["b"],
    r"Y_{nm} = b_m + \sum_{d=1}^{D} X_{nd} \cdot W_{dm}": lambda s: s["X"] @ s["W"] + s["b"],
    r"\frac{\partial L}{\partial W_{dm}} = \sum_n X_{nd}\, dY_{nm}": lambda s: s["X"].T @ s["dY"],
    r"\frac{\partial P_{nk}}{\partial Z_{nj}} = P_{nk} (\delta_{kj} - P_{nj})": lambda s: np.stack(
        [np.diag(p) - np.outer(p, p) for p in s["P"]]
    ),
    r"s = \sum_{n,m} Z_{nm} P_{nm}": lambda s: np.sum(s["Z"] * s["P"]),
    r"s = \sum_n \sum_m Z_{nm}": lambda s: np.sum(s["Z"]),
    r"m_n = \max_j Z_{nj}": lambda s: s["Z"].max(axis=1),
    r"L = -\frac{1}{N} \sum_n \log P_{n,y_n}": lambda s: -np.log(s["P"][np.arange(N), s["y"]]).mean(),
    r"s_n = \log \sum_j e^{Z_{nj}}": lambda s: np.log(np.exp(s["Z"]).sum(axis=1)),
    r"Y_{mn} = Z_{nm}": lambda s: s["Z"].T,
    r"Y_{nm} = Z_{nm} \mathbf{1}[n \ne m]": lambda s: s["Z"] * (1 - np.eye(N, M)),
    r"Y_{nm} = Z_{n,m-1} + 0 Z_{nm}": lambda s: np.hstack([np.zeros((N, 1)), s["Z"][:, :-1]]),
    r"Y_{nm} = Z_{1m} + \sum_d 0 X_{nd}": lambda s: np.tile(s["Z"][0], (N, 1)),
    r"Y_{n1} = \sum_m Z_{nm}": lambda s: s["Z"].sum(axis=1, keepdims=True),
    # matrix form
    r"Y = X W + b": lambda s: s["X"] @ s["W"] + s["b"],
    r"Y = b + X W": lambda s: s["X"] @ s["W"] + s["b"],
    r"dW = X^\top dY": lambda s: s["X"].T @ s["dY"],
    r"dW = X^{\top} dY": lambda s: s["X"].T @ s["dY"],
    r"dX = dY\, \big(W\big)^\top": lambda s: s["dY"] @ s["W"].T,
    r"dX = dY\, W^{[1]\top}": lambda s: s["dY"] @ s["W^[1]"].T,
    r"dZ = dY \odot \mathbf{1}[Z > 0]": lambda s: s["dY"] * (s["Z"] > 0),
    r"dZ = dY \odot \mathbf{1}\{Z \le 0\}": lambda s: s["dY"] * (s["Z"] <= 0),
    r"A = \max(0, Z)": lambda s: np.maximum(0, s["Z"]),
    r"A = \min(Z, 0)": lambda s: np.minimum(0, s["Z"]),
    r"A = \tanh Z": lambda s: np.tanh(s["Z"]),
    r"A = \sigma(Z)": lambda s: F.sigmoid(s["Z"]),
    r"P = \operatorname{softmax}(Z)": lambda s: s["P"],
    r"A = |Z|": lambda s: np.abs(s["Z"]),
    r"A = \lvert Z \rvert^2": lambda s: s["Z"] ** 2,
    r"A = e^{-|Z|}": lambda s: np.exp(-np.abs(s["Z"])),
    r"A = \frac{Z}{\sqrt{Z^2}}": lambda s: np.sign(s["Z"]),
    r"z = w^\top w": lambda s: s["w"] @ s["w"],
    # numbers and functions
    r"g = \frac{f(x + h) - f(x - h)}{2h}": lambda s: np.cos(0.7),
    r"g = x(1 - x)": lambda s: 0.21,
    r"g = N(1 - x)": lambda s: 1.5,
    r"g = 1 - \beta_1^t": lambda s: 1 - 0.729,
    r"g = \cos(\pi x)": lambda s: np.cos(np.pi * 0.7),
    r"g = +x_{\text{new}} / 2": lambda s: 2.0,
    r"g = \sqrt{\hat m} - \hat{m}": lambda s: -6.0,
    r"g = \sqrt{\frac{6}{\text{fan-in}}}": lambda s: 1.0,
    r"g = \begin{cases} x & x > 1 \\ -x, & \text{if } x \le 1 \end{cases}": lambda s: -0.7,
    r"\sigma'(x) = \sigma(x) (1 - \sigma(x))": lambda s: F.sigmoid(0.7) * (1 - F.sigmoid(0.7)),
    r"\eta \leftarrow \eta / 2": lambda s: 0.05,
    r"g = x - h \cdot 0 = x": lambda s: 0.7,
    r"g = \begin{cases} x & x > 1, \\ -x & x \le 1. \end{cases}": lambda s: -0.7,
    r"g = r(x, h)": lambda s: 0.7,
    "\\begin{aligned}\ng &= x\n\\end{aligned} .": lambda s: 0.7,
    r"g = \exp(x) .": lambda s: np.exp(0.7),
    # several equations in one display
    r"Z = X W, \qquad A = \max(0, Z)": lambda s: np.maximum(0, s["X"] @ s["W"]),
    "\\begin{aligned}\nZ &= X W \\\\\nA &= \\tanh Z\n\\end{aligned}": lambda s: np.tanh(s["X"] @ s["W"]),
    "\\begin{aligned}\ng &= x \\\\\n&\\quad + h\n\\end{aligned}": lambda s: 0.7 + 1e-6,
}


@pytest.mark.parametrize("latex", RIGHT)
def test_what_the_subset_allows_has_the_value_that_a_reader_expects(latex, s):
    result = list(evaluate(latex, s).values())[-1]
    expected = RIGHT[latex](s)
    assert np.shape(result) == np.shape(expected)
    np.testing.assert_allclose(result, expected, rtol=1e-9)


WRONG = {
    # what cannot be read
    r"Y": "expected '=' or",
    r"Y = ": "ends where a symbol was expected",
    r"Y = X +": "ends where a symbol was expected",
    r"Y = (X": r"expected '\)'",
    r"Y = \frac12": "LaTeX takes only the first digit of 12",
    r"Y = X^": "expected one symbol or a group",
    r"Y = \foo": r"\\foo is not part of the subset",
    r"Y = X \approx Z": "not part of the subset",
    r"c = \sum_n 1": "range of index n",
    r"Y = X )": "did not expect",
    r"Y = ]": "expected a symbol",
    r"Y_{nm} = Z_{n,m)}": "did not expect",
    r"Y = \sum_{n \ne m} Z_{nm}": "a sum binds single letters",
    r"Y = \sum_n^N Z_{nm}": "a sum with an upper limit starts with n=1",
    r"Y_{nm} = Z_{n-m}": "indices are letters",
    r"Y = \max Z": "max takes its arguments in parentheses",
    r"Y = \sum_{n": "never closed",
    r"g = \begin{matrix} x \end{matrix}": "only aligned",
    r"g = \begin{cases} x & x \end{cases}": "expected a comparison",
    r"g = \max(x)": "max got 1 arguments",
    r"X + X = Z": "expected '=' or",
    r"2 = Z": "left side must be one symbol",
    r"Y_{nn} = Z_{nn}": "different letters",
    r"Y_{n,m+1} = Z_{nm}": "different letters",
    # what could be read in two ways
    r"Y_{nm} = \log P_{nm} Z_{nm}": "put parentheses",
    r"g = \cos \pi x": "put parentheses",
    r"s = \sum_n Z_{nm} \cdot \sum_m P_{nm} Z_{nm}": "neither on the left nor bound",
    # what does not fit
    r"Y = Q": "Q is not bound",
    r"Y_{nm} = Q_{nm}": "Q is not bound",
    r"Y_{nm} = Z_{n}": "Z has 2 axes, got 1 indices",
    r"Y_{nm} = Z_{nm} + X_{nm}": "index m ranges over",
    r"Y_{nm} = Z_{nm} + b": "no indices in an equation in index form",
    r"Y_{nm} = Z_{nk}": "neither on the left nor bound",
    r"Y_{nm} = \sum_n Z_{nm}": "index n is bound already",
    r"Y_{nq} = X_{nd}": "index d is neither",
    r"Y_{nq} = \sum_d X_{nd}": "range of index q is not known",
    r"Y_{nm} = \sum_q Z_{nm}": "range of index q is not known",
    r"Y_{nm} = \sum_{d=1}^{N} X_{nd} W_{dm}": "the sum ends at 5, but index d ranges over 4",
    r"Y_{nm} = Z_{nm}^\top": "a transpose belongs to a matrix",
    r"Y_{nm} = Z_{n,m/2} + Z_{nm}": "whole numbers",
    r"Y = W X": "matrix product",
    r"Y = X + W": "cannot be added",
    r"Y = X \odot W": "equal shapes",
    r"Y = X / W": "cannot be divided",
    r"Y = x^\top": "a transpose belongs to a matrix",
    r"g = f": "f is a function",
    r"g = q(x)": "not bound to a function or a number",
    r"g = x = h": "does not equal the one before",
}


@pytest.mark.parametrize("latex", WRONG)
def test_what_lies_outside_is_refused_with_its_column(latex, s):
    with pytest.raises(LatexError, match=r"^column \d+: ") as caught:
        evaluate(latex, s)
    assert caught.match(WRONG[latex])
    assert caught.value.position <= len(latex)


def test_the_column_points_at_the_fault():
    with pytest.raises(LatexError) as caught:
        parse(r"Y = X + \foo")
    assert str(caught.value).splitlines()[-1].index("^") - 2 == r"Y = X + \foo".index(r"\foo")


def test_later_equations_see_earlier_ones_and_the_symbols_stay_as_they_are(s):
    kept = s["Z"].copy()
    found = evaluate(r"Z = X W + b, \qquad A = \tanh Z", s)
    assert list(found) == ["Z", "A"]
    np.testing.assert_array_equal(s["Z"], kept)


def test_a_range_that_no_array_tells_can_be_given(s):
    assert evaluate(r"Y_{nq} = \sum_d X_{nd}", s, sizes={"q": 2})["Y"].shape == (N, 2)


# --- properties ---------------------------------------------------------------------------------


def numbers():
    return st.floats(-3, 3).map(lambda x: round(x, 2))


expressions = st.recursive(
    st.sampled_from(["a", "b", r"\eta", "2", "0.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", " - ", r" \cdot "]), inner).map(
            lambda t: f"({t[0]}{t[1]}{t[2]})"
        ),
        inner.map(lambda e: rf"\tanh({e})"),
        inner.map(lambda e: f"|{e}|" if "|" not in e else f"-({e})"),
        st.tuples(inner, inner).map(lambda t: rf"\frac{{{t[0]}}}{{1 + ({t[1]})^2}}"),
        st.tuples(inner, inner).map(lambda t: rf"\max({t[0]}, {t[1]})"),
    ),
    max_leaves=8,
)


def as_python(latex):
    """The same expression for Python's own parser, by another road."""
    out, depth = latex, 0
    while r"\frac" in out:
        start = out.rindex(r"\frac")
        ends, i, parts = [], start + 5, []
        for _ in range(2):
            first, depth = i, 0
            while True:
                depth += (out[i] == "{") - (out[i] == "}")
                i += 1
                if not depth:
                    break
            parts.append(out[first + 1 : i - 1])
            ends.append(i)
        out = f"{out[:start]}(({parts[0]})/({parts[1]})){out[ends[1] :]}"
    while "|" in out:
        first = out.index("|")
        second = out.index("|", first + 1)
        out = f"{out[:first]}abs({out[first + 1 : second]}){out[second + 1 :]}"
    for latex_name, name in (
        (r"\tanh", "np.tanh"),
        (r"\max", "max"),
        (r"\cdot", "*"),
        (r"\eta", "eta"),
        ("^", "**"),
    ):
        out = out.replace(latex_name, name)
    return out


@given(expressions, numbers(), numbers(), numbers())
def test_an_expression_has_the_value_that_python_gives_it(latex, a, b, eta):
    value = evaluate(f"g = {latex}", {"a": a, "b": b, "eta": eta})["g"]
    expected = eval(as_python(latex), {"np": np, "a": a, "b": b, "eta": eta, "abs": abs, "max": max})
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(expressions)
def test_spacing_and_sizes_of_brackets_change_nothing(latex):
    loose = latex.replace("(", r"\big( ").replace(")", r" \, \big)").replace(" + ", r" \; + \, ")
    symbols = {"a": 1.5, "b": -0.5, "eta": 0.25}
    assert evaluate(f"g = {loose}", symbols) == evaluate(f"g = {latex}", symbols)


@given(st.integers(0, 2**32 - 1), st.permutations("nd"))
def test_the_name_of_an_index_does_not_matter(seed, letters):
    rng = np.random.default_rng(seed)
    symbols = {"X": rng.standard_normal((N, D)), "W": rng.standard_normal((D, M))}
    n, d = letters
    renamed = evaluate(rf"Y_{{{n}m}} = \sum_{d} X_{{{n}{d}}} W_{{{d}m}}", symbols)["Y"]
    np.testing.assert_array_equal(renamed, evaluate(r"Y_{nm} = \sum_d X_{nd} W_{dm}", symbols)["Y"])


@given(st.text(alphabet=r"XZnd_{}^\sum()+-=| ", max_size=30))
def test_any_text_is_read_or_refused_and_never_crashes(text):
    with contextlib.suppress(LatexError):
        evaluate(text, {"X": np.ones((2, 3)), "Z": np.ones((2, 3)), "n": 1.0, "d": 2.0})


def test_tokens_know_what_touches_them():
    assert [(t.text, t.glued) for t in tokenize(r"dW d\, W")] == [
        ("d", False),
        ("W", True),
        ("d", False),
        ("W", False),
    ]
