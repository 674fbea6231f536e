"""Each bug of the clinic is caught by exactly the checks stated, and planting it leaves no trace."""

import importlib
import inspect
import sys
from types import ModuleType

import numpy as np
import pytest

import nnlib
from nnlib import clinic
from nnlib import functional as F
from nnlib.clinic import BUGS, CHECKS, Bug

every_bug = pytest.mark.parametrize("name", BUGS)


@pytest.fixture(scope="module")
def rows():
    with np.errstate(all="ignore"):
        return clinic.matrix()


@every_bug
def test_a_bug_is_caught_by_exactly_the_checks_stated(name, rows):
    seen, stated = rows[name], BUGS[name].caught_by
    assert seen == stated, clinic.table({f"{name} seen": seen, f"{name} stated": stated})
    assert seen | BUGS[name].missed_by == set(CHECKS)
    assert not seen & BUGS[name].missed_by


@pytest.mark.parametrize("seed", range(8))
def test_a_healthy_nnlib_passes_every_check(seed):
    findings = clinic.examine(seed=seed)
    assert all(findings.values()), str(findings)


@pytest.mark.parametrize(
    "name", ["missing-n", "double-n", "early-update", "wide-weights", "adam-uncorrected"]
)
@pytest.mark.parametrize("seed", range(1, 4))
def test_rows_with_bugs_that_train_do_not_depend_on_the_seed(name, seed):
    assert clinic.matrix([name], seed=seed)[name] == BUGS[name].caught_by


def test_every_check_earns_its_place_and_none_is_enough(rows):
    for check in CHECKS:
        assert 1 <= sum(check in seen for seen in rows.values()) < len(BUGS), check
    assert all(rows.values()), "a bug that nothing catches"


def test_there_are_bugs_of_each_kind():
    assert len(BUGS) >= 20
    families = [bug.family for bug in BUGS.values()]
    assert {family: families.count(family) >= 2 for family in families} == dict.fromkeys(families, True)
    assert len(set(families)) == 6


def references():
    """What each name of nnlib's modules, each attribute of its classes and each default refers to."""
    found = {}
    for key, module in sys.modules.items():
        if key.split(".")[0] != "nnlib" or not isinstance(module, ModuleType):
            continue
        for name, value in vars(module).items():
            found[key, name] = value
            if isinstance(value, type) and value.__module__ == key:
                for attribute, member in vars(value).items():
                    found[key, name, attribute] = member
                    if inspect.isfunction(member):
                        for default, standard in (member.__kwdefaults__ or {}).items():
                            found[key, name, attribute, default] = standard
    return found


def changed(before):
    now = references()
    return {place for place, value in before.items() if now.get(place) is not value} | (
        now.keys() - before.keys()
    )


@every_bug
def test_planting_reaches_every_reference_and_is_undone_even_after_an_error(name):
    bug, before = BUGS[name], references()
    originals = [clinic._resolve(target) for target in (bug.target, *bug.also)]

    def refers(value):
        return any(value is right for right in originals) or (
            isinstance(value, tuple) and any(map(refers, value))
        )

    def body():
        with bug.planted():
            assert clinic._resolve(bug.target) is bug.wrong
            assert changed(before)
            assert [place for place, value in references().items() if refers(value)] == []
            raise KeyError("in the body")

    with pytest.raises(KeyError, match="in the body"):
        body()
    assert changed(before) == set()


def test_layers_losses_and_default_arguments_use_what_is_planted(rng):
    loss = nnlib.MSE()
    with BUGS["mse-n-not-nm"].planted():
        loss.forward(np.ones((2, 4)), np.zeros((2, 4)))
        assert loss.backward()[0, 0] == 1  # 2 / N; sound is 2 / (N M)
    assert loss.backward()[0, 0] == 0.25
    with BUGS["zero-weights"].planted():
        assert not nnlib.Linear(4, 3, rng=rng).params["W"].any()
    assert nnlib.Linear(4, 3, rng=rng).params["W"].any()
    X = np.arange(8.0)
    with BUGS["shuffled-apart"].planted():
        pairs = next(iter(nnlib.minibatches(X, X, 8, rng=rng)))
        assert pairs[1].tolist() == X.tolist() != pairs[0].tolist()


def test_two_bugs_can_be_planted_at_once_and_each_is_undone():
    right = F.mse, F.mse_backward
    with BUGS["mse-broadcast"].planted(), BUGS["uphill"].planted():
        assert F.mse is BUGS["mse-broadcast"].wrong
        assert nnlib.SGD.update is BUGS["uphill"].wrong
    assert (F.mse, F.mse_backward) == right


@every_bug
def test_the_wrong_function_takes_the_arguments_of_the_right_one(name):
    bug = BUGS[name]
    right = inspect.signature(clinic._resolve(bug.target)).parameters
    wrong = inspect.signature(bug.wrong).parameters
    assert list(wrong) == list(right)[: len(wrong)]
    assert all(wrong[key].kind == right[key].kind for key in wrong)
    left_out = list(right)[len(wrong) :]
    assert all(right[key].default is not inspect.Parameter.empty for key in left_out)


@every_bug
def test_source_and_patch_are_code_that_runs_where_the_right_function_stood(name):
    bug = BUGS[name]
    assert bug.source() != bug.right_source()
    lines = bug.patch(context=99).splitlines()
    assert {line[0] for line in lines if line} <= set("+- ")
    assert [line[1:] for line in lines if line[:1] != "-"] == bug.source().splitlines()
    assert [line[1:] for line in lines if line[:1] != "+"] == bug.right_source().splitlines()
    module = importlib.import_module(f"nnlib.{bug.target.split('.')[0]}")
    names = dict(vars(module))
    exec(bug.source(), names)
    pasted = names[bug.target.split(".")[-1]]
    again = Bug(**{**vars(bug), "wrong": pasted})
    check = next(
        c
        for c in ("known", "gradient", "optimizer", "modes", "rows", "ratio", "chance", "shapes")
        if c in bug.caught_by
    )
    with again.planted():
        finding = CHECKS[check]()
    with bug.planted():
        assert finding == CHECKS[check]()
    assert not finding


@every_bug
def test_a_patch_shows_the_first_line_and_every_change(name):
    whole, shown = BUGS[name].patch(context=99).splitlines(), BUGS[name].patch().splitlines()
    assert shown[0] == whole[0]
    assert [line for line in shown if line[0] in "+-"] == [line for line in whole if line[0] in "+-"]
    assert " ..." not in whole


def test_a_patch_says_where_lines_are_left_out():
    assert BUGS["momentum-reset"].patch(context=1).splitlines() == [
        " def update(self, theta, g, **state):",
        " ...",
        "     if self.momentum:",
        '-        v = state["v"]',
        "+        v = np.zeros_like(theta)",
        "         v *= self.momentum",
        " ...",
    ]


@every_bug
def test_stories_are_told(name):
    bug = BUGS[name]
    assert name == bug.name
    assert 100 < len(bug.story) < 500
    assert bug.story.count(". ") + 1 in range(2, 5)
    assert bug.symptom.endswith(".")
    assert not bug.title.endswith(".")


@pytest.mark.parametrize("name", [name for name, bug in BUGS.items() if bug.target.endswith(".update")])
def test_a_wrong_update_still_knows_weight_decay(name):
    bug, ends = BUGS[name], []
    optimizer = getattr(nnlib, bug.target.split(".")[1])
    for weight_decay in (0.0, 0.5):
        theta = np.ones(3)
        with bug.planted():
            optimizer(0.1, weight_decay=weight_decay).step({"p": theta}, {"p": np.arange(3.0)})
        ends.append(theta)
    assert not np.array_equal(*ends)


def test_a_bias_gradient_with_one_axis_too_many_has_the_wrong_shape(monkeypatch):
    def as_row(dY, X, W):
        return dY @ W.T, X.T @ dY, dY.sum(axis=0, keepdims=True)

    monkeypatch.setattr(F, "linear_backward", as_row)
    assert CHECKS["shapes"]().evidence == "shapes do not fit in: Linear"


QUIET = {"relu-in-place", "tanh-overflow"}  # their stories say that training does not show them


@every_bug
def test_each_bug_changes_what_training_computes_unless_its_story_says_no(name):
    bug = BUGS[name]
    healthy = clinic.course(bug.setup, epochs=4)
    with bug.planted():
        sick = clinic.course(bug.setup, epochs=4)
    assert all(np.isfinite(healthy))
    assert np.allclose(healthy, sick) if name in QUIET else not np.array_equal(healthy, sick)


def test_a_run_that_explodes_gives_what_was_measured_until_then():
    with BUGS["sigmoid-keeps-z"].planted():
        assert len(clinic.course("sigmoid and mse")) < 30
    with pytest.raises(ValueError, match="choose from softmax"):
        clinic.course("tea leaves")


def test_a_check_whose_code_stops_fails_with_the_reason(monkeypatch):
    def stops(*args):
        raise RuntimeError("no more")

    monkeypatch.setattr(F, "relu", stops)
    assert str(CHECKS["known"]()) == "FAILS   stops: no more"


def test_findings_are_printed_one_a_line_and_unknown_checks_are_refused():
    lines = str(clinic.examine(["rows", "modes"])).splitlines()
    assert [line.split()[:2] for line in lines] == [["rows", "passes"], ["modes", "passes"]]
    with pytest.raises(ValueError, match="choose from chance, overfit"):
        clinic.examine(["blood pressure"])


def test_the_table_fits_a_page(rows):
    lines = clinic.table(rows).splitlines()
    assert len(lines) == len(BUGS) + 2
    assert max(map(len, lines)) <= 101
    assert [int(n) for n in lines[-1].split()[1:]] == [
        sum(c in seen for seen in rows.values()) for c in CHECKS
    ]


PATIENTS = range(1, 7)


@pytest.mark.parametrize("number", PATIENTS)
def test_a_patient_has_one_bug_that_only_the_right_name_diagnoses(number):
    answers = {name: clinic.diagnose(number, name) for name in BUGS}
    right = [name for name, answer in answers.items() if answer.startswith("Right")]
    assert len(right) == 1
    hidden = right.pop()
    for name, answer in answers.items():
        if name != hidden:
            assert answer.startswith(f"Not {name!r}")
            assert hidden not in answer
            assert BUGS[hidden].title not in answer
    with clinic.patient(number):
        assert clinic._resolve(BUGS[hidden].target) is BUGS[hidden].wrong


def test_gradients_that_are_zero_both_times_are_named_and_not_counted_as_a_factor():
    with BUGS["zero-weights"].planted():
        evidence = CHECKS["batch"]().evidence
    assert evidence == "gradients change by factors 1.00 to 1.00; zero both times: 0.W, 0.b, 2.W"


def test_an_answer_is_told_the_first_check_that_tells_it_from_the_patient():
    hidden = clinic._diagnosis(2)
    with hidden.planted():
        seen = {name for name, finding in clinic.examine().items() if not finding}
    answer = clinic.diagnose(2, "tanh-overflow")
    check = answer.split("the check '")[1].split("'")[0]
    assert (check in seen) != (check in BUGS["tanh-overflow"].caught_by)
    assert f"patient 2 {'fails' if check in seen else 'passes'} it" in answer


def test_patients_are_all_different_and_their_names_cannot_be_read():
    assert (
        len({clinic._diagnosis(number).name for number in PATIENTS}) == len(PATIENTS) == len(clinic._PATIENTS)
    )
    hidden = {clinic._diagnosis(number).name for number in PATIENTS}
    text = inspect.getsource(clinic)
    assert not any(f'"{name}"' in text.split("# --- Patients")[1] for name in hidden)


def test_strangers_and_unknown_names_get_a_helpful_answer():
    assert "names are the keys" in clinic.diagnose(1, "gout")
    for call in (lambda: clinic.patient(7).__enter__(), lambda: clinic.diagnose(0, "uphill")):
        with pytest.raises(ValueError, match="numbers 1 to 6"):
            call()
