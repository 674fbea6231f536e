"""Equations that cannot be wrong: each label is executed, proved, and proved to be able to fail."""

import inspect
import json
import re

import numpy as np
import pytest

import nnlib
from nnlib import equations, functional, initializers, optimizers, proofs
from nnlib.equations import LEDGER, card
from nnlib.proofs import (
    NOTEBOOKS,
    Draw,
    EquationError,
    Written,
    displays,
    mutants,
    prove,
    read_equations,
    value,
    written,
)

LABELS = sorted(written())
every_label = pytest.mark.parametrize("label", LABELS)


def test_no_label_is_left_over_on_either_side():
    assert sorted(LEDGER) == LABELS


def test_every_numbered_equation_of_the_book_stands_in_a_notebook_where_it_is_executed():
    for page in (NOTEBOOKS.parent / "book").glob("*.md"):
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        assert [label for _, label in displays(text) if label] == [], page.name


@every_label
def test_the_equation_in_the_page_agrees_with_every_witness(label):
    for seed in range(3):
        proof = prove(label, seed=seed)
        assert proof.ok, str(proof)


@every_label
def test_a_gradient_is_compared_with_finite_differences_of_its_forward(label):
    targets = [e.target for e in written()[label].parse()]
    gradients = [t.value[0] for t in targets if t.kind == "symbol" and re.match(r"d[A-Za-z]", t.value[0])]
    assert set(gradients) >= set(LEDGER[label].wrt)
    if gradients and label not in NO_FORWARD:
        assert LEDGER[label].wrt, f"{label} has a gradient on its left and no finite differences"


# gradients whose forward stands in words, with the reason
NO_FORWARD = {
    "eq-hidden-dz": "two steps at once, each proved on its own: eq-linear-dx and eq-relu-dz",
    "eq-mnist-relu": "the forward display computes Z and A together; the pair relu is proved in eq-relu-dz",
    "eq-xor-plateau": "holds at one point only, where nnlib's backward is the witness",
}


def test_there_are_enough_of_each_kind():
    gradients = [label for label, entry in LEDGER.items() if entry.wrt]
    settings = [label for label in LEDGER if re.match(SETTINGS, label)]
    assert len(LEDGER) >= 50
    assert len(gradients) >= 25
    assert len(settings) >= 10


SETTINGS = r"eq-(sgd|momentum|nesterov|rmsprop|adam|schedule|weight-decay|init|xor-update)"


# --- what can be wrong ------------------------------------------------------------------------------


@every_label
def test_every_equation_with_one_thing_wrong_is_caught(label):
    """A mutant survives only where it is the same mathematics, such as commuting factors."""
    caught, same = 0, []
    for what, mutant in mutants(label):
        if is_caught(label, mutant):
            caught += 1
        else:
            assert means_the_same(label, mutant), f"{label}: '{what}' got through"
            assert what == "factors swapped" or (label, what) in SAME, f"{label}: why is '{what}' the same?"
            same.append(what)
    assert caught > 0
    print(f"{label}: {caught} mutants caught, {len(same)} are the same mathematics: {sorted(set(same))}")


# mutants other than a swap of commuting factors that are the same mathematics, with the reason
SAME: dict[tuple[str, str], str] = {}


def is_caught(label, mutant):
    try:
        with np.errstate(all="ignore"):  # the logarithm of a negative number is as wrong as a wrong number
            return not all(prove(label, seed=seed, equations=mutant).ok for seed in range(5))
    except EquationError:
        return True


def means_the_same(label, mutant):
    """Equal values on many fresh draws."""
    for seed in range(100, 120):
        symbols = LEDGER[label].bind(Draw(np.random.default_rng(seed)))
        right, other = value(label, symbols), value(label, symbols, mutant)
        if not all(np.allclose(right[k], other[k], rtol=1e-12, atol=1e-14) for k in right):
            return False
    return True


# --- the code and the equations know each other ------------------------------------------------------


def labels_in(doc):
    section = re.search(r"Equations?\n-+\n(.*?)(?:\n\n|\Z)", doc or "", re.S)
    return re.findall(r"eq-[\w-]+", section[1]) if section else []


def documented():
    for module in (functional, optimizers, initializers):
        for name in module.__all__:
            for label in labels_in(inspect.getdoc(getattr(module, name))):
                yield module, name, label


@pytest.mark.parametrize(
    ("name", "label"), [(f"{m.__name__.removeprefix('nnlib.')}.{n}", label) for m, n, label in documented()]
)
def test_every_label_in_a_docstring_is_in_the_ledger(name, label):
    assert label in LEDGER, f"{name} names {label}"


def test_every_backward_of_nnlib_is_the_source_of_an_entry():
    shown = {entry.source for entry in LEDGER.values()}
    missing = [
        n for n in functional.__all__ if n.endswith("_backward") and getattr(functional, n) not in shown
    ]
    assert missing == []


# --- reading notebooks -------------------------------------------------------------------------------


def notebook(folder, name, *cells):
    content = {"cells": [{"cell_type": "markdown", "source": [c]} for c in cells], "nbformat": 4}
    (folder / f"{name}.ipynb").write_text(json.dumps(content), encoding="utf-8")


def test_displays_are_found_with_and_without_label_on_one_line_and_on_many(tmp_path):
    notebook(
        tmp_path, "01-a",
        "text\n\n$$\na = b\n$$ (eq-a)\n\nmore $x$ text\n\n$$ c = d $$ (eq-c)\n\n$$\nno = label\n$$\n",
    )  # fmt: skip
    found = read_equations(tmp_path)
    assert {k: w.latex.strip() for k, w in found.items()} == {"eq-a": "a = b", "eq-c": "c = d"}
    assert str(found["eq-a"]) == "eq-a in notebooks/01-a.ipynb, cell 1"


def test_a_label_that_occurs_twice_is_refused_with_both_places(tmp_path):
    notebook(tmp_path, "01-a", "$$\na = b\n$$ (eq-a)")
    notebook(tmp_path, "02-b", "text", "$$\na = c\n$$ (eq-a)")
    with pytest.raises(
        EquationError, match=r"eq-a in notebooks/02-b\.ipynb, cell 2: the label stands in .*01-a"
    ):
        read_equations(tmp_path)


def test_an_equation_outside_the_subset_is_named_with_label_notebook_and_column():
    with pytest.raises(
        EquationError, match=r"eq-a in notebooks/01-a\.ipynb, cell 3: column 5: \\foo is not part"
    ):
        Written("eq-a", r"a = \foo", "01-a", 3).parse()


def test_an_entry_without_its_equation_is_named(monkeypatch):
    monkeypatch.delitem(written(), "eq-linear")
    with pytest.raises(EquationError, match=r"eq-linear is in the ledger and in no notebook"):
        prove("eq-linear", seed=99)


def test_without_notebooks_the_reason_is_given(tmp_path):
    with pytest.raises(FileNotFoundError, match="read from a checkout of the course"):
        read_equations(tmp_path)


def test_a_changed_sign_in_a_notebook_fails_and_names_label_and_notebook(monkeypatch):
    label = "eq-softmax-ce-dz"
    changed = Written(label, written()[label].latex.replace("-", "+", 1), written()[label].notebook, 1)
    monkeypatch.setitem(written(), label, changed)
    proof = prove(label)
    assert not proof.ok
    assert label in str(proof)
    assert "07-gradients-losses.ipynb" in str(proof)
    assert "DISAGREES" in str(proof)


def test_a_changed_backward_fails(monkeypatch):
    from nnlib import proofs

    proofs._witnesses.cache_clear()
    monkeypatch.setattr(equations.F, "softmax_cross_entropy_backward", lambda Z, Y: functional.softmax(Z) - Y)
    monkeypatch.setitem(
        LEDGER,
        "eq-softmax-ce-dz",
        equations._loss("eq-softmax-ce", equations._classes, "Z", "softmax_cross_entropy", ("eq-softmax",))[
            "eq-softmax-ce-dz"
        ],
    )
    proof = prove("eq-softmax-ce-dz", seed=7)
    assert not proof.ok
    assert proof.errors["differences"] < 1e-7 < proof.errors["nnlib"]


# --- cards -------------------------------------------------------------------------------------------


@every_label
def test_a_card_shows_shapes_and_numbers(label):
    shown = card(label)._repr_markdown_()
    assert ("**Shapes**" in shown) == ("(" in card(label).shapes)
    assert "**Numbers**" in shown
    if LEDGER[label].source is not None:
        assert f"def {LEDGER[label].source.__name__}(" in shown
        assert '"""' not in shown


def test_the_card_of_the_weight_gradient_reads_as_the_course_writes_it():
    shown = card("eq-linear-dw")
    assert shown.shapes == "(N, D)ᵀ (N, M) → (D, M)"
    assert "dW = X.T @ dY" in shown._repr_markdown_()
    with pytest.raises(ValueError, match=r"has no entry in nnlib/equations\.py"):
        card("eq-nothing")


def test_the_version_is_the_one_of_the_package():
    assert nnlib.__version__ == "0.1.0"


def test_without_notebooks_equations_come_from_the_file_that_the_book_packs(tmp_path, monkeypatch):
    packed = {"eq-x": {"notebook": "01-x", "cell": 3, "latex": "y = x"}}
    (tmp_path / "equations.json").write_text(json.dumps(packed), encoding="utf-8")
    monkeypatch.setattr(proofs, "PACKED", tmp_path / "equations.json")
    monkeypatch.setattr(proofs, "NOTEBOOKS", tmp_path / "notebooks")
    found = proofs.written.__wrapped__()
    assert str(found["eq-x"]) == "eq-x in notebooks/01-x.ipynb, cell 3"
    assert found["eq-x"].latex == "y = x"
