"""The ledger: every labelled equation of the course, and what proves it.

One entry a label. The LaTeX itself stands in the notebook; here stands how its symbols are bound, which
function of nnlib computes the same thing, and which forward equations a gradient is the derivative
of. The tests run `nnlib.proofs.prove` on every entry; `card` shows one to a reader.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlib import functional as F
from nnlib import gradcheck, initializers, optimizers
from nnlib._shapes import Array
from nnlib.latex import Node
from nnlib.proofs import LEDGER, SMALL, Draw, Entry, Symbols, _find, prove, value, written

__all__ = ["LEDGER", "Card", "card", "prove"]


def _function(target: str, function: Callable[..., Any], *names: str) -> Callable[[Symbols], Symbols]:
    """Witness that calls a function of nnlib with the symbols of these names."""
    return lambda s: {target: function(*(s[name] for name in names))}


def _part(target: str, index: int, function: Callable[..., Any], *names: str) -> Callable[[Symbols], Symbols]:
    """Witness for one of several results, such as dW of (dX, dW, db)."""
    return lambda s: {target: function(*(s[name] for name in names))[index]}


def _elementwise(name: str, f: Callable[..., Array]) -> dict[str, Entry]:
    """A = f(Z) and its gradient, from the output A where nnlib does so, else from Z."""
    backward = getattr(F, f"{f.__name__}_backward")
    by = "A" if "A" in inspect.signature(backward).parameters else "Z"
    slope: tuple[str, ...] = ("s",) if name == "leaky-relu" else ()

    def symbols(d: Draw) -> Symbols:
        return {"Z": d.normal("N M"), "dA": d.normal("N M"), "s": 0.1}

    return {
        f"eq-{name}": Entry(symbols, _function("A", f, "Z", *slope), f),
        f"eq-{name}-dz": Entry(
            symbols, _function("dZ", backward, "dA", by, *slope), backward, {"dZ": "Z"}, (f"eq-{name}",), "dA",
            given=(f"eq-{name}",),
        ),
    }  # fmt: skip


# --- Chapter 1: linear algebra and derivatives --------------------------------------------------------


def _at(d: Draw) -> Symbols:
    return {"f": np.exp, "x": d.number(0.5, 1.5), "h": 1e-3}


LEDGER |= {
    "eq-matmul": Entry(
        lambda d: {"X": d.normal("N D"), "W": d.normal("D M")}, lambda s: {"Y": s["X"] @ s["W"]}
    ),
    "eq-inner": Entry(
        lambda d: {"A": d.normal("N M"), "B": d.normal("N M")}, lambda s: {"s": np.vdot(s["A"], s["B"])}
    ),
    "eq-broadcast": Entry(
        lambda d: {"Z": d.normal("N M"), "b": d.normal("M")}, lambda s: {"Y": s["Z"] + s["b"]}
    ),
    "eq-forward-difference": Entry(_at, lambda s: {"g": (np.exp(s["x"] + s["h"]) - np.exp(s["x"])) / s["h"]}),
    "eq-central-difference": Entry(
        _at,
        lambda s: {
            "g": gradcheck.numerical_gradient(np.exp, np.array(s["x"]), h=s["h"] / max(1, abs(s["x"])))
        },
        gradcheck.numerical_gradient,
    ),
    "eq-step-size": Entry(
        lambda d: {"h": 1e-5, "x": np.array([0.5, -3.0, 1.5])},
        lambda s: {"s": np.array([1e-5, 3e-5, 1.5e-5])},
    ),
}

# --- Chapter 2: one neuron -------------------------------------------------------------------------------


def _neuron(d: Draw) -> Symbols:
    return {"X": d.normal("N D"), "w": d.normal("D"), "b": d.number(0.2, 1), "y": d.binary("N")}


NEURON = ("eq-neuron-z", "eq-neuron-a", "eq-neuron-loss")


def _neuron_backward(s: Symbols) -> tuple[Array, Array, Array]:
    dz = F.sigmoid_backward(F.mse_backward(s["a"], s["y"]), s["a"])
    _, dw, db = F.linear_backward(dz[:, None], s["X"], s["w"][:, None])
    return dz, dw[:, 0], db[0]


LEDGER |= {
    "eq-neuron-z": Entry(_neuron, lambda s: {"z": F.linear(s["X"], s["w"][:, None], np.array([s["b"]]))[:, 0]}, F.linear),
    "eq-neuron-a": Entry(_neuron, _function("a", F.sigmoid, "z"), F.sigmoid, given=NEURON[:1]),
    "eq-neuron-loss": Entry(_neuron, _function("L", F.mse, "a", "y"), F.mse, given=NEURON[:2]),
    "eq-neuron-dz": Entry(
        _neuron, lambda s: {"dz": _neuron_backward(s)[0]}, None, {"dz": "z"}, NEURON[1:], given=NEURON[:2]
    ),
    "eq-neuron-dw": Entry(
        _neuron, lambda s: {"dw": _neuron_backward(s)[1]}, F.linear_backward, {"dw": "w"}, NEURON,
        given=(*NEURON[:2], "eq-neuron-dz"),
    ),
    "eq-neuron-db": Entry(
        _neuron, lambda s: {"db": _neuron_backward(s)[2]}, F.linear_backward, {"db": "b"}, NEURON,
        given=(*NEURON[:2], "eq-neuron-dz"),
    ),
}  # fmt: skip

# --- Chapters 3 and 6: linear layers and activations -----------------------------------------------------


def _linear(d: Draw) -> Symbols:
    return {"X": d.normal("N D"), "W": d.normal("D M"), "b": d.normal("M"), "dY": d.normal("N M")}


def _linear_gradient(target: str, index: int) -> Entry:
    computes = _part(target, index, F.linear_backward, "dY", "X", "W")
    return Entry(_linear, computes, F.linear_backward, {target: target[1:]}, ("eq-linear",), "dY")


def _two_layers(d: Draw) -> Symbols:
    return {"X": d.normal("N D"), "W^[1]": d.normal("D K"), "b^[1]": d.normal("K"),
            "W^[2]": d.normal("K M"), "b^[2]": d.normal("M")}  # fmt: skip


def _collapsed(s: Symbols) -> Symbols:
    """The one layer that two linear layers are, found by feeding them unit rows and a row of zeros."""
    X = np.vstack([np.eye(len(s["W^[1]"])), np.zeros(len(s["W^[1]"]))])
    Y = F.linear(F.linear(X, s["W^[1]"], s["b^[1]"]), s["W^[2]"], s["b^[2]"])
    return {"W_tilde": Y[:-1] - Y[-1], "b_tilde": Y[-1]}


def _dropout(d: Draw) -> Symbols:
    return {"X": d.normal("N D"), "R": 2 * d.binary("N D"), "dY": d.normal("N D")}


LEDGER |= {
    "eq-linear": Entry(_linear, _function("Y", F.linear, "X", "W", "b"), F.linear),
    "eq-linear-dx": _linear_gradient("dX", 0),
    "eq-linear-dw": _linear_gradient("dW", 1),
    "eq-linear-db": _linear_gradient("db", 2),
    "eq-linear-dx-index": _linear_gradient("dX", 0),
    "eq-linear-dw-index": _linear_gradient("dW", 1),
    "eq-linear-linear": Entry(_two_layers, _collapsed),
    **_elementwise("relu", F.relu),
    **_elementwise("leaky-relu", F.leaky_relu),
    **_elementwise("tanh", F.tanh),
    **_elementwise("sigmoid", F.sigmoid),
    "eq-sigmoid-prime": Entry(
        lambda d: {"z": d.number(0.5, 1.5)},
        lambda s: {"sigma'": F.sigmoid_backward(np.array([1.0]), np.atleast_1d(F.sigmoid(s["z"])))[0]},
        F.sigmoid_backward,
    ),
    "eq-dropout": Entry(_dropout, _function("Y", F.dropout, "X", "R"), F.dropout),
    "eq-dropout-dx": Entry(
        _dropout,
        _function("dX", F.dropout_backward, "dY", "R"),
        F.dropout_backward,
        {"dX": "X"},
        ("eq-dropout",),
        "dY",
    ),
}

# --- Chapters 4 and 7: losses, softmax, flatten ------------------------------------------------------------


def _numbers(d: Draw) -> Symbols:
    return {"P": d.normal("N M"), "Y": d.normal("N M")}


def _binary(d: Draw) -> Symbols:
    return {"P": d.between("N M"), "Z": d.normal("N M"), "Y": d.binary("N M")}


def _classes(d: Draw) -> Symbols:
    return {
        "P": d.between("N K"),
        "Z": d.normal("N K"),
        "Y": d.hot("N K"),
        "dP": d.normal("N K"),
        "dell": d.normal("N K"),
    }


def _loss(
    label: str, symbols: Callable[[Draw], Symbols], name: str, suffix: str, given: tuple[str, ...] = ()
) -> dict[str, Entry]:
    """A loss of one prediction, and its gradient."""
    f, backward = (getattr(F, label_function) for label_function in (suffix, f"{suffix}_backward"))
    return {
        label: Entry(symbols, _function("L", f, name, "Y"), f),
        f"{label}-d{name.lower()}": Entry(
            symbols,
            _function(f"d{name}", backward, name, "Y"),
            backward,
            {f"d{name}": name},
            (label,),
            given=given,
        ),
    }


def _images(d: Draw) -> Symbols:
    sizes = d.sizes
    return {
        "X": d.normal("N C H W"),
        "dY": d.rng.standard_normal((sizes["N"], sizes["C"] * sizes["H"] * sizes["W"])),
    }


LEDGER |= {
    **_loss("eq-mse", _numbers, "P", "mse"),
    **_loss("eq-bce", _binary, "P", "binary_cross_entropy"),
    **_loss("eq-bce-logits", _binary, "Z", "binary_cross_entropy_with_logits"),
    **_loss("eq-cce", _classes, "P", "categorical_cross_entropy"),
    **_loss("eq-softmax-ce", _classes, "Z", "softmax_cross_entropy", given=("eq-softmax",)),
    "eq-softmax": Entry(_classes, _function("P", F.softmax, "Z"), F.softmax),
    "eq-softmax-jacobian": Entry(
        _classes, lambda s: {"dP/dZ": np.stack([np.diag(p) - np.outer(p, p) for p in s["P"]])}, None,
        {"dP/dZ": "Z"}, ("eq-softmax",), jacobian="njnk->nkj", given=("eq-softmax",),
    ),
    "eq-softmax-dz": Entry(
        _classes, _function("dZ", F.softmax_backward, "dP", "P"), F.softmax_backward, {"dZ": "Z"},
        ("eq-softmax",), "dP", given=("eq-softmax",),
    ),
    "eq-logsumexp": Entry(
        _classes, lambda s: {"m": s["Z"].max(axis=1), "s": np.logaddexp.reduce(s["Z"], axis=1)}
    ),
    "eq-log-softmax": Entry(_classes, _function("ell", F.log_softmax, "Z"), F.log_softmax),
    "eq-log-softmax-dz": Entry(
        _classes, _function("dZ", F.log_softmax_backward, "dell", "ell"), F.log_softmax_backward, {"dZ": "Z"},
        ("eq-log-softmax",), "dell", given=("eq-log-softmax",),
    ),
    "eq-chance": Entry(
        lambda d: {}, lambda s: {"L": F.softmax_cross_entropy(np.zeros((4, s["K"])), np.arange(4) % s["K"])}
    ),
    "eq-flatten": Entry(
        _images, _function("Y", F.flatten, "X"), F.flatten, ranges={"q": lambda s: s["X"][0].size}
    ),
    "eq-flatten-dx": Entry(
        _images, lambda s: {"dX": F.flatten_backward(s["dY"], s["X"].shape)}, F.flatten_backward, {"dX": "X"},
        ("eq-flatten",), "dY", ranges={"c": "C", "h": "H", "w": "W"},
    ),
}  # fmt: skip

# --- Chapter 5: the chain rule on a graph -----------------------------------------------------------------

GRAPH = ("eq-graph-u", "eq-graph-v", "eq-graph-s", "eq-graph-loss")
GRAPH_BACK = ("eq-graph-ds", "eq-graph-du", "eq-graph-dv")


def _graph(d: Draw) -> Symbols:
    sign = float(d.rng.choice([-1, 1]))  # either side of the maximum, from draw to draw
    return {"x_1": d.number(0.5, 2), "x_2": sign * d.number(0.5, 2), "x_3": d.number(-0.3, 0.3)}


def _graph_by_hand(s: Symbols) -> Symbols:
    """Values of the graph (x1 x2 + max(x2, x3))², in Python."""
    u, v = s["x_1"] * s["x_2"], max(s["x_2"], s["x_3"])
    return {"u": u, "v": v, "s": u + v, "L": (u + v) ** 2}


def _graph_forward(target: str, known: int) -> Entry:
    return Entry(_graph, lambda s: {target: _graph_by_hand(s)[target]}, given=GRAPH[:known])


def _graph_gradient(target: str, start: int, known: int) -> Entry:
    """Gradient of the symbol that equation number `start` of the graph is the first to read."""
    return Entry(
        _graph, None, None, {target: target[1:]}, GRAPH[start:], given=(*GRAPH[:3], *GRAPH_BACK[:known])
    )


def _graph_local(label: str, of: str, *inputs: str) -> dict[str, Entry]:
    name = of.removeprefix("eq-graph-")
    wrt = {f"d{name}/d{x}": x for x in inputs}
    return {label: Entry(_graph, None, None, wrt, (of,), given=GRAPH[:2])}


def _branches(d: Draw) -> Symbols:
    return {"x": d.number(0.2, 1), "w": d.normal("K"), "du": d.normal("K")}


def _nested(d: Draw) -> Symbols:
    return {"x": d.number(0.5, 1.5)}


def _sandwich(d: Draw) -> Symbols:
    return {"U": d.normal("K N"), "X": d.normal("N D"), "V": d.normal("D M"), "dY": d.normal("K M")}


SANDWICH = Entry(_sandwich, None, None, {"dX": "X"}, ("eq-graph-sandwich",), "dY")

LEDGER |= {
    "eq-graph-u": _graph_forward("u", 0),
    "eq-graph-v": _graph_forward("v", 1),
    "eq-graph-s": _graph_forward("s", 2),
    "eq-graph-loss": _graph_forward("L", 3),
    **_graph_local("eq-graph-u-local", "eq-graph-u", "x_1", "x_2"),
    **_graph_local("eq-graph-v-local", "eq-graph-v", "x_2", "x_3"),
    **_graph_local("eq-graph-s-local", "eq-graph-s", "u", "v"),
    "eq-graph-ds": _graph_gradient("ds", 3, 0),
    "eq-graph-du": _graph_gradient("du", 2, 1),
    "eq-graph-dv": _graph_gradient("dv", 2, 1),
    "eq-graph-dx1": _graph_gradient("dx_1", 0, 3),
    "eq-graph-dx2": _graph_gradient("dx_2", 0, 3),
    "eq-graph-dx3": _graph_gradient("dx_3", 0, 3),
    "eq-graph-branches": Entry(_branches, lambda s: {"u": np.tanh(s["w"] * s["x"])}),
    "eq-graph-branches-local": Entry(
        _branches, None, None, {"du/dx": "x"}, ("eq-graph-branches",), jacobian="k->k", given=("eq-graph-branches",)
    ),
    "eq-fan-out": Entry(
        _branches, None, None, {"dx": "x"}, ("eq-graph-branches",), "du",
        given=("eq-graph-branches", "eq-graph-branches-local"),
    ),
    "eq-graph-nested": Entry(_nested, lambda s: {"L": np.log1p(np.exp(s["x"] * np.tanh(s["x"] ** 2 + s["x"])))}),
    "eq-graph-nested-dx": Entry(_nested, None, None, {"dx": "x"}, ("eq-graph-nested",)),
    "eq-graph-sandwich": Entry(_sandwich, lambda s: {"Y": s["U"] @ s["X"] @ s["V"]}),
    "eq-graph-sandwich-dx-index": SANDWICH,
    "eq-graph-sandwich-dx": SANDWICH,
}  # fmt: skip

# --- Chapter 8: gradient checking ---------------------------------------------------------------------


def _compared(d: Draw) -> Symbols:
    """An analytic and a numeric slope: any of the two may be the larger, and of any sign."""
    a, n = d.rng.choice([-1, 1], 2) * d.rng.uniform(0.5, 2, 2)
    return {"a": float(a), "n": float(n), "alpha": 1e-3, "rho": 0.1}


LEDGER |= {
    "eq-check-scalar": Entry(
        lambda d: {"Y": d.normal("N M"), "dY": d.normal("N M")}, lambda s: {"L": np.vdot(s["dY"], s["Y"])}
    ),
    "eq-relative-error": Entry(
        _compared, lambda s: {"r": abs(s["a"] - s["n"]) / max(abs(s["a"]), abs(s["n"]))}
    ),
    "eq-check-tolerance": Entry(
        _compared, lambda s: {"e": abs(s["a"] - s["n"]), "t": s["alpha"] + s["rho"] * abs(s["n"])}
    ),
}

# --- Chapter 9: training on XOR ----------------------------------------------------------------------------

XOR = ("eq-xor-z1", "eq-xor-a1", "eq-xor-z2", "eq-xor-p", "eq-xor-loss")
XOR_BACK = ("eq-xor-dp", "eq-xor-dz2", "eq-xor-da1", "eq-xor-dz1")


def _xor(d: Draw) -> Symbols:
    return {**_two_layers(d), "Y": d.binary("N M")}


def _xor_backward(s: Symbols) -> Symbols:
    """All gradients of the network, by nnlib's own functions."""
    A = F.sigmoid(F.linear(s["X"], s["W^[1]"], s["b^[1]"]))
    P = F.sigmoid(F.linear(A, s["W^[2]"], s["b^[2]"]))
    dP = F.mse_backward(P, s["Y"])
    dZ2 = F.sigmoid_backward(dP, P)
    dA, dW2, db2 = F.linear_backward(dZ2, A, s["W^[2]"])
    dZ1 = F.sigmoid_backward(dA, A)
    _, dW1, db1 = F.linear_backward(dZ1, s["X"], s["W^[1]"])
    return {"dP": dP, "dZ^[2]": dZ2, "dW^[2]": dW2, "db^[2]": db2, "dA^[1]": dA, "dZ^[1]": dZ1,
            "dW^[1]": dW1, "db^[1]": db1}  # fmt: skip


def _xor_gradient(target: str, start: int, known: int) -> Entry:
    """Gradient of the symbol that equation number `start` of the forward pass reads."""
    return Entry(
        _xor, lambda s: {target: _xor_backward(s)[target]}, None, {target: target[1:]}, XOR[start:],
        given=(*XOR[:4], *XOR_BACK[:known]),
    )  # fmt: skip


def _update(d: Draw) -> Symbols:
    return {
        "theta": d.normal("D M"),
        "dtheta": d.normal("D M"),
        "g": d.normal("D M"),
        "eta": 0.1,
        "lambda": 0.05,
    }


def _level(s: Symbols) -> Symbols:
    """K of four points share one output, the best constant; j of those have target 1."""
    j, k = s["j"], s["k"]
    Y = np.array([1.0] * j + [0.0] * (4 - j))
    return {"L": F.mse(np.where(np.arange(4) < k, j / k, Y), Y)}


LEDGER |= {
    "eq-xor-z1": Entry(_xor, _function("Z^[1]", F.linear, "X", "W^[1]", "b^[1]"), F.linear),
    "eq-xor-a1": Entry(_xor, _function("A^[1]", F.sigmoid, "Z^[1]"), F.sigmoid, given=XOR[:1]),
    "eq-xor-z2": Entry(_xor, _function("Z^[2]", F.linear, "A^[1]", "W^[2]", "b^[2]"), F.linear, given=XOR[:2]),
    "eq-xor-p": Entry(_xor, _function("P", F.sigmoid, "Z^[2]"), F.sigmoid, given=XOR[:3]),
    "eq-xor-loss": Entry(_xor, _function("L", F.mse, "P", "Y"), F.mse, given=XOR[:4]),
    "eq-xor-dp": _xor_gradient("dP", 4, 0),
    "eq-xor-dz2": _xor_gradient("dZ^[2]", 3, 1),
    "eq-xor-dw2": _xor_gradient("dW^[2]", 2, 2),
    "eq-xor-db2": _xor_gradient("db^[2]", 2, 2),
    "eq-xor-da1": _xor_gradient("dA^[1]", 2, 2),
    "eq-xor-dz1": _xor_gradient("dZ^[1]", 1, 3),
    "eq-xor-dw1": _xor_gradient("dW^[1]", 0, 4),
    "eq-xor-db1": _xor_gradient("db^[1]", 0, 4),
    "eq-xor-update": Entry(_update, lambda s: {"theta": _stepped(optimizers.SGD(s["eta"]), s["theta"], s["dtheta"])}),
    "eq-xor-level": Entry(lambda d: {"j": int(d.rng.integers(1, 3)), "k": int(d.rng.integers(3, 5))}, _level),
    "eq-xor-plateau": Entry(
        lambda d: {"A^[1]": d.rng.uniform(0.1, 0.9, (4, d.sizes["K"]))},
        lambda s: {"dW^[2]": s["A^[1]"].T @ F.sigmoid_backward(
            F.mse_backward(np.full((4, 1), 0.5), np.array([[0.0], [1], [1], [0]])), np.full((4, 1), 0.5))},
        ranges={"m": lambda s: 1},
    ),
}  # fmt: skip

# --- Chapter 11: optimizers and schedules -------------------------------------------------------------


def _stepped(optimizer: optimizers.Optimizer, theta: Array, g: Array, **state: Array) -> Array:
    """Theta after one update; the state is changed in place."""
    optimizer.update(theta, g, **state)
    return theta


def _memory(d: Draw) -> Symbols:
    """A parameter in mid-training: its gradient, and the memories that optimizers keep."""
    return {
        **{name: d.normal("D M") for name in ("theta", "g", "v", "m")}, "eta": 0.1, "mu": 0.9, "tau": 0.4, "alpha": 0.8,
        "epsilon": 0.01, "beta_1": 0.9, "beta_2": 0.7, "t": 3, "lambda": 0.05,
    }  # fmt: skip


def _squares(d: Draw) -> Symbols:
    """As `_memory`, with an average of squares in v."""
    symbols = _memory(d)
    return {**symbols, "v": symbols["v"] ** 2}


def _momentum(s: Symbols, nesterov: bool = False) -> Symbols:
    optimizer = optimizers.SGD(s["eta"], s["mu"], 0 if nesterov else s["tau"], nesterov)
    return {"theta": _stepped(optimizer, s["theta"], s["g"], v=s["v"]), "v": s["v"]}


def _rmsprop(s: Symbols) -> Symbols:
    optimizer = optimizers.RMSProp(s["eta"], s["alpha"], s["epsilon"])
    return {"theta": _stepped(optimizer, s["theta"], s["g"], v=s["v"]), "v": s["v"]}


def _adam(*targets: str) -> Callable[[Symbols], Symbols]:
    def computes(s: Symbols) -> Symbols:
        optimizer = optimizers.Adam(s["eta"], (s["beta_1"], s["beta_2"]), s["epsilon"])
        optimizer.t = s["t"]
        m, v = (s[f"{name} before"] if f"{name} before" in s else s[name] for name in "mv")
        theta = _stepped(optimizer, s["theta"], s["g"], m=m, v=v)
        return {k: x for k, x in {"theta": theta, "m": m, "v": v}.items() if k in targets}

    return computes


def _before(d: Draw) -> Symbols:
    """As `_squares`, with copies of m and v, which the given equations are about to update."""
    symbols = _squares(d)
    return {**symbols, "m before": symbols["m"].copy(), "v before": symbols["v"].copy()}


def _decay(s: Symbols) -> Symbols:
    """AdamW with gradient and memories 0 does nothing but decay."""
    zero = np.zeros_like(s["theta"])
    optimizer = optimizers.AdamW(s["eta"], (0.9, 0.9), 1.0, s["lambda"])
    optimizer.t = 1
    return {"theta": _stepped(optimizer, s["theta"], zero, m=zero.copy(), v=zero.copy())}


def _schedule(
    make: Callable[[Symbols], optimizers.Schedule], extra: Callable[[Symbols], Symbols] | None = None
) -> Entry:
    def symbols(d: Draw) -> Symbols:
        w = d.number(0.2, 0.4)
        return {
            "eta_0": 0.4,
            "eta_1": 0.02,
            "s": 0.1,
            "f": 0.3,
            "w": w,
            "a": np.array([0.2, 0.5, 0.9]),
            "t": d.number(0, 1),
        }

    return Entry(symbols, lambda s: {"eta": make(s)(s["t"]), **({} if extra is None else extra(s))})


LEDGER |= {
    "eq-sgd": Entry(
        _memory, lambda s: {"theta": _stepped(optimizers.SGD(s["eta"]), s["theta"], s["g"])}, optimizers.SGD.update
    ),
    "eq-momentum": Entry(_memory, _momentum, optimizers.SGD.update),
    "eq-nesterov": Entry(_memory, lambda s: _momentum(s, nesterov=True), optimizers.SGD.update),
    "eq-weight-decay": Entry(
        _memory,
        lambda s: {"g": s["theta"] - _stepped(optimizers.SGD(1, weight_decay=s["lambda"]), s["theta"].copy(), s["g"])},
    ),
    "eq-rmsprop": Entry(_squares, _rmsprop, optimizers.RMSProp.update),
    "eq-adam-m": Entry(_squares, _adam("m"), optimizers.Adam.update),
    "eq-adam-v": Entry(_squares, _adam("v"), optimizers.Adam.update),
    "eq-adam-step": Entry(_before, _adam("theta"), optimizers.Adam.update, given=("eq-adam-m", "eq-adam-v")),
    "eq-adamw": Entry(_memory, _decay, optimizers.AdamW._decay),
    "eq-schedule-step": _schedule(lambda s: optimizers.step(s["eta_0"], factor=s["f"], at=list(s["a"]))),
    "eq-schedule-cosine": _schedule(lambda s: optimizers.cosine(s["eta_0"], final=s["eta_1"])),
    "eq-schedule-one-cycle": _schedule(
        lambda s: optimizers.one_cycle(s["eta_0"], warmup=s["w"], start=s["s"], final=s["f"]),
        lambda s: {"u": (s["t"] - s["w"]) / (1 - s["w"])},  # where in its fall the rate is
    ),
}  # fmt: skip

# --- Chapter 12: initialization -----------------------------------------------------------------------


class _Recorder(np.random.Generator):
    """Generator that gives away what an initializer asks it for."""

    def uniform(self, low: Any = 0, high: Any = 1, size: Any = None) -> Any:
        """The upper bound, instead of numbers below it."""
        return np.full(size, high)

    def standard_normal(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Ones, so that the standard deviation is what comes out."""
        return np.ones(size)


class _Repeater(np.random.Generator):
    """Generator that has drawn its numbers already."""

    drawn: Array

    def standard_normal(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The numbers drawn."""
        return self.drawn


def _initializer(target: str, init: initializers.Initializer) -> Entry:
    """The bound or standard deviation that an initializer uses."""

    def computes(s: Symbols) -> Symbols:
        return {target: init((s["fan-in"], s["fan-out"]), rng=_Recorder(np.random.PCG64()))[0, 0]}

    return Entry(lambda d: {"fan-in": d.sizes["D"], "fan-out": d.sizes["K"]}, computes, init)


def _scaled(s: Symbols) -> Symbols:
    repeater = _Repeater(np.random.PCG64())
    repeater.drawn = s["G"]
    return {"W": initializers.normal(s["G"].shape, rng=repeater, std=s["s"])}


def _all_signs(n: int) -> Array:
    """Every row of n signs: the coin tosses whose averages are exact."""
    return np.array(list(itertools.product([-1.0, 1.0], repeat=n)))


def _signals(d: Draw) -> Symbols:
    """Values that meet weights of either sign, and the mean squares of both."""
    X, dY, g, v = d.normal("N D"), d.normal("N M"), d.normal("K"), 0.3
    return {
        "X": X,
        "dY": dY,
        "g": g,
        "v_w": v,
        "q_x": np.mean(X**2),
        "q_dy": np.mean(dY**2),
        "q_g": np.mean(g**2),
    }


def _mean_square(values: Array, v: float) -> Any:
    """Mean square of values times weights ±sqrt(v), over all rows and all choices of signs."""
    return np.mean((values @ _all_signs(values.shape[1]).T * np.sqrt(v)) ** 2)


def _symmetric(s: Symbols) -> Symbols:
    Z = np.concatenate([s["Z"], -s["Z"]])
    return {"q_a": np.mean(F.relu(Z) ** 2)}


def _quadrature(s: Symbols) -> Symbols:
    """Mean of x² over [-a, a], by a rule that is exact for it."""
    points, weights = np.polynomial.legendre.leggauss(3)
    return {"v_w": np.sum(weights / 2 * (s["a"] * points) ** 2)}


LEDGER |= {
    "eq-init-variance": Entry(_signals, lambda s: {"v_z": _mean_square(s["X"], s["v_w"])}),
    "eq-init-backward-variance": Entry(_signals, lambda s: {"v_dx": _mean_square(s["dY"], s["v_w"])}),
    "eq-init-factor": Entry(
        _signals, lambda s: {"r": np.sqrt(_mean_square(s["dY"], s["v_w"]) * np.mean(s["g"] ** 2) / s["q_dy"])}
    ),
    "eq-init-relu-moment": Entry(
        lambda d: (lambda Z: {"Z": Z, "v_z": np.mean(Z**2)})(d.normal("N M")), _symmetric, F.relu
    ),
    "eq-init-normal": Entry(lambda d: {"s": 0.3, "G": d.normal("D M")}, _scaled, initializers.normal),
    "eq-init-uniform": Entry(
        lambda d: {"low": -0.5, "high": 2.0, "U": np.random.default_rng(5).random(d.shape("D M"))},
        lambda s: {
            "W": initializers.uniform(s["low"], s["high"])(s["U"].shape, rng=np.random.default_rng(5))
        },
        initializers.uniform,
    ),
    "eq-init-uniform-variance": Entry(lambda d: {"a": d.number(0.5, 2)}, _quadrature),
    "eq-init-xavier-uniform": _initializer("a", initializers.xavier_uniform),
    "eq-init-xavier-normal": _initializer("s", initializers.xavier_normal),
    "eq-init-he-uniform": _initializer("a", initializers.he_uniform),
    "eq-init-he-normal": _initializer("s", initializers.he_normal),
}

# --- Chapter 7 also holds the rule for a whole hidden layer --------------------------------------------------


def _hidden(d: Draw) -> Symbols:
    return {"dZ^[l+1]": d.normal("N M"), "W^[l+1]": d.normal("D M"), "Z^[l]": d.normal("N D")}


LEDGER |= {
    "eq-hidden-dz": Entry(
        _hidden,
        lambda s: {"dZ^[l]": F.relu_backward(s["dZ^[l+1]"] @ s["W^[l+1]"].T, s["Z^[l]"])},
        F.relu_backward,
    ),
}

# --- Chapter 13: MNIST -----------------------------------------------------------------------------------------


def _layer(d: Draw) -> Symbols:
    return {
        "A^[l-1]": d.normal("N D"),
        "W^[l]": d.normal("D M"),
        "b^[l]": d.normal("M"),
        "dA^[l]": d.normal("N M"),
    }


def _layer_backward(s: Symbols) -> Symbols:
    dZ = F.relu_backward(s["dA^[l]"], s["Z^[l]"])
    dA, dW, db = F.linear_backward(dZ, s["A^[l-1]"], s["W^[l]"])
    return {"dW^[l]": dW, "db^[l]": db, "dA^[l-1]": dA}


LEDGER |= {
    "eq-mnist-forward": Entry(_layer, lambda s: {"A^[l]": F.relu(F.linear(s["A^[l-1]"], s["W^[l]"], s["b^[l]"]))}),
    "eq-mnist-loss": Entry(
        lambda d: {"Z^[3]": d.normal("N K"), "Y": d.hot("N K")},
        lambda s: {"P": F.softmax(s["Z^[3]"]), "L": F.softmax_cross_entropy(s["Z^[3]"], s["Y"])},
        F.softmax_cross_entropy,
    ),
    "eq-mnist-dz3": Entry(
        lambda d: {"Z^[3]": d.normal("N K"), "Y": d.hot("N K")},
        _function("dZ^[3]", F.softmax_cross_entropy_backward, "Z^[3]", "Y"), F.softmax_cross_entropy_backward,
        {"dZ^[3]": "Z^[3]"}, ("eq-mnist-loss",), given=("eq-mnist-loss",),
    ),
    "eq-mnist-relu": Entry(
        _layer, _function("dZ^[l]", F.relu_backward, "dA^[l]", "Z^[l]"), F.relu_backward, given=("eq-mnist-forward",)
    ),
    "eq-mnist-linear": Entry(
        _layer, _layer_backward, F.linear_backward,
        {"dW^[l]": "W^[l]", "db^[l]": "b^[l]", "dA^[l-1]": "A^[l-1]"}, ("eq-mnist-forward",), "dA^[l]",
        given=("eq-mnist-forward", "eq-mnist-relu"),
    ),
    "eq-mnist-bound": Entry(
        lambda d: {"E": 2, "N": 7},
        # the cheapest errors there are: probability 1/2 for the truth; all others are certain and right
        lambda s: {"B": F.categorical_cross_entropy(np.array([[0.5, 0.5]] * 2 + [[1.0, 0.0]] * 5), np.zeros(7))},
    ),
}  # fmt: skip


# --- Chapter 14: convolution ----------------------------------------------------------------------------------------


def _signal(d: Draw) -> Symbols:
    x, w = d.normal("H"), d.normal("KH")
    return {"x": x, "w": w, "dy": d.normal("H")[: len(x) - len(w) + 1]}


def _convolution(d: Draw, stride: int = 2) -> Symbols:
    """Images, kernels and an upstream gradient; small examples slide by one and have no border."""
    s, p = (1, 0) if d.digits is not None else (stride, 1)
    X, W, b = d.normal("N C H W"), d.normal("F C KH KW"), d.normal("F")
    shape = F.conv2d(X, W, b, stride=s, padding=p).shape
    dY = d._round(d.rng.standard_normal(shape))
    return {"X": X, "W": W, "b": b, "s": s, "p": p, "dY": dY}


def _pooling(d: Draw) -> Symbols:
    K, s = (2, 1) if d.digits is not None else (3, 2)
    shape = d.shape("N C H W")
    X = d._round(d.rng.permutation(np.arange(float(np.prod(shape)))).reshape(shape) / 50 - 2)
    if d.digits is None:
        # the same largest number in several windows, never twice in one: a maximum must be sought where
        # it belongs, not wherever the number stands
        peaks = X[:, :, 2:6:3, 2:6:3]
        peaks[d.rng.random(peaks.shape) < 0.5] = 30
    dY = d._round(d.rng.standard_normal(F.max_pool2d(X, kernel_size=K, stride=s).shape))
    return {"X": X, "K": K, "s": s, "dY": dY}


OUTPUT = {"i": lambda s: s["dY"].shape[2], "j": lambda s: s["dY"].shape[3]}
INPUT = {"h": lambda s: s["X"].shape[2], "w": lambda s: s["X"].shape[3]}
WINDOW = {"k": lambda s: s["K"], "l": lambda s: s["K"]}
KERNEL = {"k": lambda s: s["W"].shape[2], "l": lambda s: s["W"].shape[3]}


def _conv2d_gradient(target: str, index: int, ranges: dict[str, Any], stride: int = 2) -> Entry:
    def computes(s: Symbols) -> Symbols:
        return {target: F.conv2d_backward(s["dY"], s["X"], s["W"], stride=s["s"], padding=s["p"])[index]}

    # the forward equation finds the ranges of i and j here too
    return Entry(
        lambda d: _convolution(d, stride), computes, F.conv2d_backward, {target: target[1:]}, ("eq-conv2d",), "dY",
        ranges={**OUTPUT, **ranges},
    )  # fmt: skip


LEDGER |= {
    "eq-conv1d": Entry(
        _signal, lambda s: {"y": np.correlate(s["x"], s["w"], "valid")}, ranges={"i": lambda s: len(s["dy"])}
    ),
    "eq-conv1d-dx": Entry(_signal, None, None, {"dx": "x"}, ("eq-conv1d",), "dy", ranges={"j": lambda s: len(s["x"])}),
    "eq-conv1d-dw": Entry(_signal, None, None, {"dw": "w"}, ("eq-conv1d",), "dy", ranges={"k": lambda s: len(s["w"])}),
    "eq-conv2d": Entry(
        _convolution, lambda s: {"Y": F.conv2d(s["X"], s["W"], s["b"], stride=s["s"], padding=s["p"])}, F.conv2d,
        ranges=OUTPUT,
    ),
    "eq-conv2d-dx": _conv2d_gradient("dX", 0, {**INPUT, **KERNEL}),
    "eq-conv2d-dx-flip": _conv2d_gradient("dX", 0, {**INPUT, **KERNEL}, stride=1),
    "eq-conv2d-dw": _conv2d_gradient("dW", 1, KERNEL),
    "eq-conv2d-db": _conv2d_gradient("db", 2, {}),
    "eq-max-pool2d": Entry(
        _pooling, lambda s: {"Y": F.max_pool2d(s["X"], kernel_size=s["K"], stride=s["s"])}, F.max_pool2d,
        ranges={**OUTPUT, **WINDOW},
    ),
    "eq-max-pool2d-dx": Entry(
        _pooling,
        lambda s: {"dX": F.max_pool2d_backward(s["dY"], s["X"], kernel_size=s["K"], stride=s["s"])},
        F.max_pool2d_backward, {"dX": "X"}, ("eq-max-pool2d",), "dY", given=("eq-max-pool2d",),
        ranges={**OUTPUT, **INPUT},
    ),
}  # fmt: skip


# --- Chapter 17: batch normalization ---------------------------------------------------------------------------------

BATCHNORM = ("eq-batchnorm-mu", "eq-batchnorm-v", "eq-batchnorm-s", "eq-batchnorm-xhat", "eq-batchnorm-y")
BATCHNORM_BACK = ("eq-batchnorm-dxhat", "eq-batchnorm-dv", "eq-batchnorm-dmu")


def _batchnorm(d: Draw) -> Symbols:
    """A batch and its upstream gradient; epsilon is large, so that a missing one shows."""
    rows = {name: d.normal("N M") for name in ("X", "dY")}
    columns = {name: d.normal("M") for name in ("gamma", "beta", "mu_bar")}
    return {**rows, **columns, "v_bar": d.between("M"), "epsilon": 0.1, "rho": 0.3}


def _batchnorm_forward(s: Symbols) -> Symbols:
    """Mean, variance and standard deviation of the columns, normalized values and output."""
    mu, v = s["X"].mean(axis=0), s["X"].var(axis=0)
    std = np.sqrt(v + s["epsilon"])
    X_hat = (s["X"] - mu) / std
    return {"mu": mu, "v": v, "s": std, "X_hat": X_hat, "Y": s["gamma"] * X_hat + s["beta"]}


def _batchnorm_backward(s: Symbols) -> Symbols:
    """All gradients; that of X by the Jacobian of each column, which the chapter never builds."""
    f, dX_hat, N = _batchnorm_forward(s), s["dY"] * s["gamma"], len(s["X"])
    jacobian = np.eye(N)[..., None] - (1 + f["X_hat"][:, None] * f["X_hat"]) / N
    return {
        "dbeta": np.ones(N) @ s["dY"], "dgamma": np.einsum("nm,nm->m", s["dY"], f["X_hat"]), "dX_hat": dX_hat,
        "dv": np.einsum("nm,nm->m", dX_hat, f["X_hat"]) / (-2 * f["s"] ** 2), "dmu": -np.ones(N) @ dX_hat / f["s"],
        "dX": np.einsum("nkm,km->nm", jacobian, dX_hat) / f["s"],
    }  # fmt: skip


def _batchnorm_value(target: str, known: int) -> Entry:
    return Entry(_batchnorm, lambda s: {target: _batchnorm_forward(s)[target]}, given=BATCHNORM[:known])


def _batchnorm_gradient(target: str, start: int, *known: str) -> Entry:
    """Gradient of the symbol that equation number `start` of the forward pass is the first to read."""
    return Entry(
        _batchnorm, lambda s: {target: _batchnorm_backward(s)[target]}, None, {target: target[1:]}, BATCHNORM[start:],
        "dY", given=(*BATCHNORM[:4], *known),
    )  # fmt: skip


def _running(target: str, name: str, known: int) -> Entry:
    """Running statistics move by the share rho towards those of the batch."""
    return Entry(
        _batchnorm,
        lambda s: {target: s[target] + s["rho"] * (_batchnorm_forward(s)[name] - s[target])},
        given=BATCHNORM[:known],
    )


def _batchnorm_scales(d: Draw) -> Symbols:
    """Sizes in a network of square layers: s follows from the weights and the layer below."""
    symbols = {name: d.number(0.2, 0.9) for name in ("v_w", "q_g", "v_a")}
    return {**symbols, "s": np.sqrt(d.sizes["M"] * symbols["v_w"] * symbols["v_a"])}


LEDGER |= {
    "eq-batchnorm-mu": _batchnorm_value("mu", 0),
    "eq-batchnorm-v": _batchnorm_value("v", 1),
    "eq-batchnorm-s": _batchnorm_value("s", 2),
    "eq-batchnorm-xhat": _batchnorm_value("X_hat", 3),
    "eq-batchnorm-y": _batchnorm_value("Y", 4),
    "eq-batchnorm-dbeta": _batchnorm_gradient("dbeta", 4),
    "eq-batchnorm-dgamma": _batchnorm_gradient("dgamma", 4),
    "eq-batchnorm-dxhat": _batchnorm_gradient("dX_hat", 4),
    "eq-batchnorm-dv": _batchnorm_gradient("dv", 2, *BATCHNORM_BACK[:1]),
    "eq-batchnorm-dmu": _batchnorm_gradient("dmu", 1, *BATCHNORM_BACK[:1]),
    "eq-batchnorm-dx": _batchnorm_gradient("dX", 0, *BATCHNORM_BACK),
    "eq-batchnorm-dx-collapsed": _batchnorm_gradient("dX", 0),
    "eq-batchnorm-dx-short": _batchnorm_gradient("dX", 0, "eq-batchnorm-dbeta", "eq-batchnorm-dgamma"),
    "eq-batchnorm-running-mu": _running("mu_bar", "mu", 1),
    "eq-batchnorm-running-v": _running("v_bar", "v", 2),
    "eq-batchnorm-infer": Entry(
        _batchnorm,
        lambda s: {"Y": s["beta"] + s["gamma"] * (s["X"] - s["mu_bar"]) * (s["v_bar"] + s["epsilon"]) ** -0.5},
    ),
    "eq-batchnorm-factor": Entry(_batchnorm_scales, lambda s: {"r": np.exp(0.5 * np.log(s["q_g"] / s["v_a"]))}),
}  # fmt: skip


# --- One entry, shown to a reader ----------------------------------------------------------------------------


def source_of(function: Callable[..., Any]) -> str:
    """Source of a function as it stands in nnlib, without decorator, docstring and annotations."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    for argument in (
        *tree.args.posonlyargs,
        *tree.args.args,
        *tree.args.kwonlyargs,
        tree.args.vararg,
        tree.args.kwarg,
    ):
        if argument is not None:
            argument.annotation = None
    signature = f"def {tree.name}({ast.unparse(tree.args)}):"
    return "\n".join([signature, *source.splitlines()[body[0].lineno - 1 : tree.end_lineno]])


class Card:
    """Shapes, source and numbers of one labelled equation, for a notebook cell."""

    def __init__(self, label: str) -> None:
        self.label, (self.entry, _) = label, _find(label)
        self.symbols = self.entry.bind(Draw(np.random.default_rng(1), SMALL, digits=1))
        self.result = value(label, self.symbols)

    @property
    def shapes(self) -> str:
        """Shape line, such as (N, D)ᵀ (N, M) → (D, M)."""
        names = _axis_names(self.label)
        equation = written()[self.label].parse()[-1]
        target = equation.target.value[0] if equation.target.kind == "symbol" else equation.target.value
        symbols = [n for n in _nodes(equation.values[-1]) if n.kind == "symbol"]
        if any(n.value[1] for n in symbols):  # index form: what goes in, as the indices say the rest
            inputs = dict.fromkeys(n.value[0] for n in symbols if n.value[0] in names)
            right = ", ".join(f"{name} {names[name]}" for name in inputs)
        else:
            right = _shape_line(equation.values[-1], names)
        return f"{right} → {names.get(target, 'a number')}"

    def numbers(self) -> dict[str, str]:
        """The equation on a small example: what goes in, and what the LaTeX of the page gives."""
        equations = written()[self.label].parse()
        used = {n.value[0] for e in equations for v in e.values for n in _nodes(v) if n.kind == "symbol"}
        inputs = {name: x for name, x in self.symbols.items() if name in used and not callable(x)}
        # an update gives a symbol a new value: show both
        after = {f"{name} after" if name in inputs else name: x for name, x in self.result.items()}
        return {name: _show(name, x) for name, x in {**inputs, **after}.items()}

    def _repr_markdown_(self) -> str:
        parts = [f"**Shapes** {self.shapes}"] if "(" in self.shapes else []
        if self.entry.source is not None:
            name = f"nnlib.{self.entry.source.__module__.removeprefix('nnlib.')}.{self.entry.source.__qualname__}"
            parts.append(f"**Code** `{name}`\n\n```python\n{source_of(self.entry.source)}\n```")
        numbers = "\n".join(self.numbers().values())
        parts.append(f"**Numbers**\n\n```text\n{numbers}\n```")
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return f"Card({self.label!r})"


def card(label: str) -> Card:
    """Show a labelled equation: the shapes, the exact source in nnlib, and numbers.

    Raises
    ------
    EquationError
        When the label is not in the ledger, or in no notebook.

    Examples
    --------
    >>> card("eq-linear")
    Card('eq-linear')
    """
    return Card(label)


def _nodes(node: Node) -> list[Node]:
    return [node, *(n for child in node.children for n in _nodes(child))]


def _axis_names(label: str) -> dict[str, str]:
    """Symbol -> shape in letters, read off from sizes that all differ."""
    draw = Draw(np.random.default_rng(0))
    letters = {size: name for name, size in reversed(list(draw.sizes.items()))}
    letters[draw.sizes["C"] * draw.sizes["H"] * draw.sizes["W"]] = "CHW"
    symbols = LEDGER[label].bind(draw)
    symbols |= value(label, symbols)
    names = {}
    for name, array in symbols.items():
        if np.ndim(array) and not callable(array):
            axes = [letters.get(n, str(n)) for n in np.shape(array)]
            names[name] = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
    return names


def _shape_line(node: Node, names: dict[str, str]) -> str:
    parts = [_shape_line(child, names) for child in node.children]
    known = [part for part in parts if part]
    match node.kind:
        case "symbol":
            return names.get(node.value[0], "")
        case "transpose":
            return f"{parts[0]}ᵀ"
        case "add" | "subtract" if len(known) == 2:
            return f"{parts[0]} {'+' if node.kind == 'add' else '−'} {parts[1]}"
        case "divide" if len(known) == 2:
            return f"{parts[0]} / {parts[1]}"
        case "odot" if len(known) == 2:
            return f"{parts[0]} ⊙ {parts[1]}"
        case "group" if len(known) == 1 and " " in known[0].replace(", ", ""):
            return f"[{known[0]}]"
        case _:
            return " ".join(known)


def _show(name: str, array: Any) -> str:
    array = np.asarray(array)
    words = np.vectorize(_digits, otypes=[object])(array)
    width = max(map(len, words.flat), default=0)
    text = np.array2string(words, separator="  ", formatter={"object": lambda word: word.rjust(width)})  # type: ignore[arg-type]
    return textwrap.indent(f"{name} = {text}", " " * (len(name) + 3)).lstrip()


def _digits(x: float) -> str:
    return f"{round(float(x), 3) + 0.0:g}" if abs(x) >= 0.001 or x == 0 else f"{x:.3g}"
