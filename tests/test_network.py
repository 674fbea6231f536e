"""Sequential: names, the very arrays, prediction that changes nothing, files that cannot hurt."""

import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import (
    SGD,
    Conv2D,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2D,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
)


def small(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return Sequential([Linear(4, 6, rng=rng, dtype=dtype), ReLU(), Linear(6, 3, rng=rng, dtype=dtype)])


def convolutional(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential(
        [
            Conv2D(1, 3, 3, padding=1, rng=rng), LeakyReLU(0.1), MaxPool2D(2), Flatten(),
            Dropout(0.5, rng=rng), Linear(3 * 4 * 4, 2, rng=rng),
        ]
    )  # fmt: skip


def test_params_are_the_very_arrays_under_qualified_names():
    net = small()
    assert list(net.params()) == ["0.W", "0.b", "2.W", "2.b"]
    assert net.params()["0.W"] is net.layers[0].params["W"]


def test_grads_have_the_names_of_params_after_backward(rng):
    net, loss = small(), SoftmaxCrossEntropy()
    assert net.grads() == {}
    loss.forward(net.forward(rng.standard_normal((5, 4))), rng.integers(0, 3, 5))
    dX = net.backward(loss.backward())
    assert dX.shape == (5, 4)
    assert list(net.grads()) == list(net.params())


@pytest.mark.parametrize("make", [small, convolutional])
def test_parameters_have_the_same_gradients_with_and_without_an_input_gradient(make, rng):
    net = make()
    X = rng.standard_normal((5, 4) if make is small else (5, 1, 8, 8))
    dY = rng.standard_normal(net.forward(X).shape)
    assert net.backward(dY).shape == X.shape
    full = {name: g.copy() for name, g in net.grads().items()}
    assert net.backward(dY, input_gradient=False).size == 0
    assert net.grads().keys() == full.keys()
    for name, g in net.grads().items():
        np.testing.assert_array_equal(g, full[name])


def test_layers_can_be_added_one_by_one(rng):
    net = Sequential()
    net.add(Linear(4, 6, rng=rng)).add(ReLU())
    net.add(Linear(6, 3, rng=rng))
    assert net.forward(np.ones((2, 4))).shape == (2, 3)


def test_predict_equals_forward_in_slices_and_leaves_backward_alone(rng):
    net = small()
    X, Z = rng.standard_normal((7, 4)), rng.standard_normal((5, 4))
    expected = net.forward(X)
    np.testing.assert_allclose(net.predict(X, batch_size=3), expected, rtol=1e-12)
    net.backward(np.ones((7, 3)))
    before = {k: g.copy() for k, g in net.grads().items()}
    net.forward(X)
    net.predict(Z)  # another batch in between
    net.backward(np.ones((7, 3)))
    for name, g in net.grads().items():
        np.testing.assert_array_equal(g, before[name])


def test_predict_does_not_drop_anything_out(rng):
    net = convolutional()
    X = rng.standard_normal((4, 1, 8, 8))
    np.testing.assert_array_equal(net.predict(X), net.predict(X))
    assert not np.array_equal(net.forward(X), net.forward(X))


@given(st.permutations(range(6)))
def test_rows_are_independent_so_reordering_them_reorders_the_output(order):
    X = np.random.default_rng(1).standard_normal((6, 4))
    np.testing.assert_allclose(small().forward(X[order]), small().forward(X)[order], rtol=1e-12)


def test_prediction_for_no_rows_has_the_right_width():
    assert small().predict(np.empty((0, 4))).shape == (0, 3)


def test_summary_counts_parameters_and_shows_shapes():
    table = convolutional().summary((1, 8, 8))
    assert "0 Conv2D     (N, 3, 8, 8)          30" in table
    assert "2 MaxPool2D  (N, 3, 4, 4)           0" in table
    assert table.splitlines()[-1].endswith("128")
    assert "?" in convolutional().summary()
    assert "Linear(in_features=4" in repr(small())
    assert repr(Sequential()) == "Sequential([])"


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small, convolutional, lambda seed: small(seed, np.float32)])
def test_a_saved_network_comes_back_bit_for_bit(make, tmp_path, rng):
    net, path = make(1), tmp_path / "net.npz"
    net.save(path)
    again = Sequential.load(path)
    assert repr(again) == repr(net)
    for name, theta in net.params().items():
        assert again.params()[name].dtype == theta.dtype
        np.testing.assert_array_equal(again.params()[name], theta)
    SGD(0.1).step(again.params(), again.params())  # trainable, and its own
    assert not np.array_equal(next(iter(again.params().values())), next(iter(net.params().values())))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o777, 0o600)])
def test_a_saved_file_is_for_those_the_umask_allows_and_always_for_its_owner(umask, mode, tmp_path):
    before = os.umask(umask)  # Pyodide's is 0o777
    try:
        small().save(tmp_path / "net.npz")
    finally:
        os.umask(before)
    assert (tmp_path / "net.npz").stat().st_mode & 0o777 == mode


def test_saving_replaces_an_older_file_only_when_complete(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    small(1).save(path)
    before = path.read_bytes()

    def disk_full(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.raises(OSError, match="no space"):
        small(2).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.npz"]


def test_a_layer_of_your_own_is_loaded_when_named(tmp_path):
    class Double(Layer):
        def forward(self, X):
            return 2 * X

    path = tmp_path / "net.npz"
    Sequential([Double()]).save(path)
    with pytest.raises(ValueError, match="unknown layer Double: pass it as load"):
        Sequential.load(path)
    assert Sequential.load(path, custom={"Double": Double}).forward(np.ones((1, 1))) == 2


class Bomb:
    exploded = False

    def __reduce__(self):
        return setattr, (Bomb, "exploded", True)


def write(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive",
        pickle.dumps({"0.W": 1}),
        pickle.dumps(Bomb()),
        b"PK\x03\x04 truncated",
    ],
)
def test_foreign_and_pickled_files_are_refused_and_never_run(content, tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.npz is not a network that Sequential\.save wrote"):
        Sequential.load(path)
    assert not Bomb.exploded


def test_pickles_inside_an_archive_are_refused_and_never_run(tmp_path):
    path = tmp_path / "net.npz"
    write(path, architecture=np.array(Bomb(), dtype=object))
    with pytest.raises(ValueError, match="not a network"):
        Sequential.load(path)
    assert not Bomb.exploded


def test_wrong_names_shapes_and_single_arrays_are_refused(tmp_path):
    path, net = tmp_path / "net.npz", small()
    net.save(path)
    with np.load(path) as archive:
        stored = dict(archive)
    for change, message in [
        ({"0.W": None}, "expected parameters"),
        ({"0.W": np.zeros((3, 3))}, r"expected 0\.W as float64 of shape \(4, 6\)"),
        ({"0.W": np.zeros((4, 6), dtype=np.float32)}, "got float32"),
        ({"architecture": np.array("[[]")}, "not a network"),
        ({"architecture": np.array('[["Linear", {"in_features": 0}]]')}, "not a network"),
        ({"architecture": None}, "architecture"),
    ]:
        changed = {k: v for k, v in {**stored, **change}.items() if v is not None}
        write(path, **changed)
        with pytest.raises(ValueError, match=message):
            Sequential.load(path)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="single array"):
        Sequential.load(path)
    with pytest.raises(FileNotFoundError):
        Sequential.load(tmp_path / "absent.npz")
