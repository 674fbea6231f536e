import gzip
import importlib.util
import math
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlib import data

REPOSITORY = Path(__file__).resolve().parents[1]
MNIST = REPOSITORY / "data" / "mnist"
TOYS = (data.linear, data.xor_clouds, data.moons, data.circles, data.spirals)


def seeded(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------------------- toy sets


@pytest.mark.parametrize("name", data.GATES)
def test_a_gate_is_its_truth_table_whatever_the_case_of_its_name(name):
    a, b = np.array(data.CORNERS).T
    basic = {"and": a & b, "or": a | b, "xor": a ^ b}
    basic |= {"nand": 1 - basic["and"], "nor": 1 - basic["or"], "xnor": 1 - basic["xor"]}
    X, y = data.logic_gate(name.upper())
    assert np.array_equal(X, [[0, 0], [0, 1], [1, 0], [1, 1]])
    assert np.array_equal(y, basic[name])
    assert (X.dtype, y.dtype) == (np.float64, np.int64)


def test_an_unknown_gate_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="and, or, nand, nor, xor, xnor, got 'maybe'"):
        data.logic_gate("maybe")


def test_xor_can_be_changed_without_changing_the_next_one():
    data.xor()[0][:] = 9
    assert data.xor()[0].max() == 1


@pytest.mark.parametrize("make", TOYS)
@given(n=st.integers(4, 60), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_toy_sets_are_balanced_finite_and_reproducible(make, n, seed):
    X, y = make(n, rng=seeded(seed))
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((n, 2), np.float64, (n,), np.int64)
    assert np.isfinite(X).all()
    assert abs(int((y == 0).sum()) - int((y == 1).sum())) <= 1
    again = make(n, rng=seeded(seed))
    assert np.array_equal(X, again[0])
    assert np.array_equal(y, again[1])


@pytest.mark.parametrize("make", TOYS)
def test_toy_sets_come_in_random_order(make):
    y = make(100, rng=seeded())[1]
    assert not np.array_equal(y, np.sort(y))
    assert not np.array_equal(y, np.arange(100) % 2)


@pytest.mark.parametrize("make", TOYS)
def test_toy_sets_need_a_generator_and_a_sensible_number_of_points(make):
    with pytest.raises(TypeError, match=r"Generator, got int: use np.random.default_rng\(seed\)"):
        make(10, rng=0)
    with pytest.raises(TypeError, match=r"n must be a whole number, got 10.5"):
        make(10.5, rng=seeded())
    with pytest.raises(ValueError, match=r"n must be at least [24], got 1"):
        make(1, rng=seeded())


@pytest.mark.parametrize("noise", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize("make", TOYS[1:])
def test_noise_is_a_finite_number_from_zero_on(make, noise):
    with pytest.raises(ValueError, match="noise must be at least 0 and finite, got"):
        make(10, rng=seeded(), noise=noise)


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5])
def test_linear_keeps_its_margin_from_the_diagonal_and_fills_the_square(margin):
    X, y = data.linear(5000, rng=seeded(), margin=margin)
    distance = (X[:, 0] - X[:, 1]) / math.sqrt(2) * np.where(y == 1, 1, -1)
    assert distance.min() >= margin - 1e-12
    assert distance.min() < margin + 0.01
    assert 0 <= X.min() < 0.02
    assert 0.98 < X.max() <= 1 + 1e-12


def test_linear_without_margin_is_uniform():
    X, _ = data.linear(20_000, rng=seeded())
    assert np.histogramdd(X, bins=4, range=[(0, 1)] * 2)[0] == pytest.approx(20_000 / 16, rel=0.15)


def test_a_margin_wider_than_the_square_is_refused():
    with pytest.raises(ValueError, match=r"margin must be at least 0 and below 0.7071"):
        data.linear(10, rng=seeded(), margin=0.71)


def test_the_clouds_stand_on_the_corners_and_opposite_corners_agree():
    X, y = data.xor_clouds(400, rng=seeded(), noise=0)
    assert np.array_equal(np.unique(X, axis=0), [[-1, -1], [-1, 1], [1, -1], [1, 1]])
    assert np.array_equal(y, X[:, 0] * X[:, 1] < 0)
    assert np.unique(X, axis=0, return_counts=True)[1].tolist() == [100] * 4


def test_noise_is_a_standard_deviation():
    still, _ = data.moons(5000, rng=seeded(), noise=0)
    moved, _ = data.moons(5000, rng=seeded(), noise=0.3)
    assert (moved - still).std() == pytest.approx(0.3, rel=0.03)


def test_the_moons_are_half_circles():
    X, y = data.moons(500, rng=seeded(), noise=0)
    assert np.hypot(*X[y == 0].T) == pytest.approx(1)
    assert np.hypot(*(X[y == 1] - [1, 0.5]).T) == pytest.approx(1)
    assert X[y == 0, 1].min() >= 0
    assert X[y == 1, 1].max() <= 0.5


def test_the_inner_circle_has_the_radius_asked_for():
    X, y = data.circles(500, rng=seeded(), noise=0, factor=0.3)
    assert np.hypot(*X.T) == pytest.approx(np.where(y == 1, 0.3, 1))
    with pytest.raises(ValueError, match="factor must be at least 0 and below 1, got 1"):
        data.circles(10, rng=seeded(), factor=1)


def test_spiral_arms_differ_by_a_rotation_alone():
    X, y = data.spirals(600, rng=seeded(), noise=0, classes=3, turns=1.5)
    r, angle = np.hypot(*X.T), np.arctan2(X[:, 1], X[:, 0])
    assert np.exp(1j * angle) == pytest.approx(np.exp(2j * np.pi * (1.5 * r + y / 3)))
    assert np.bincount(y).tolist() == [200] * 3
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        data.spirals(10, rng=seeded(), classes=1)
    with pytest.raises(ValueError, match="turns must be at least 0 and finite, got -1"):
        data.spirals(10, rng=seeded(), turns=-1)


# ---------------------------------------------------------------------------- splits


@given(
    n=st.integers(2, 60),
    test_size=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_a_split_has_every_row_once_with_its_own_target(n, test_size, seed):
    X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n)
    if math.ceil(test_size * n) == n:
        with pytest.raises(ValueError, match="every part of a split needs a row, got 0 to train"):
            data.train_test_split(X, y, test_size=test_size, rng=seeded(seed))
        return
    parts = data.train_test_split(X, y, test_size=test_size, rng=seeded(seed))
    X_train, X_test, y_train, y_test = parts
    assert len(X_test) == len(y_test) == math.ceil(test_size * n)
    assert sorted([*y_train, *y_test]) == list(range(n))
    for rows, targets in ((X_train, y_train), (X_test, y_test)):
        assert np.array_equal(rows, X[targets])
        assert not np.shares_memory(rows, X)


@given(n=st.integers(10, 60), seed=st.integers(0, 1000))
def test_a_split_in_three_has_every_row_once_with_its_own_target(n, seed):
    X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n)
    parts = data.train_validation_test_split(X, y, validation_size=0.25, test_size=0.1, rng=seeded(seed))
    assert [len(part) for part in parts[1:3]] == [math.ceil(0.25 * n), math.ceil(0.1 * n)]
    assert sorted(np.concatenate(parts[3:])) == list(range(n))
    for rows, targets in zip(parts[:3], parts[3:], strict=True):
        assert np.array_equal(rows, X[targets])


def test_a_split_in_three_refuses_an_empty_part():
    with pytest.raises(ValueError, match="got 0 to train, 1 to validation, 1 to test"):
        data.train_validation_test_split(np.zeros((2, 2)), np.zeros(2), rng=seeded())
    with pytest.raises(ValueError, match="validation_size must lie between 0 and 1"):
        data.train_validation_test_split(np.zeros((9, 2)), np.zeros(9), validation_size=0, rng=seeded())


@pytest.mark.parametrize("test_size", [0, 1, -0.2, 3, math.nan])
def test_a_test_size_is_a_fraction(test_size):
    with pytest.raises(ValueError, match="test_size must lie between 0 and 1"):
        data.train_test_split(np.zeros((9, 2)), np.zeros(9), test_size=test_size, rng=seeded())


@pytest.mark.parametrize(("X", "y"), [(np.zeros((3, 2)), np.zeros(4)), (1.0, [1]), ([1], 1.0)])
def test_rows_without_targets_cannot_be_split(X, y):
    with pytest.raises(ValueError, match="as many rows in X as in y, got shapes"):
        data.train_test_split(X, y, rng=seeded())


def test_a_split_needs_a_generator():
    with pytest.raises(TypeError, match=r"rng must be a np.random.Generator, got NoneType"):
        data.train_test_split(np.zeros((9, 2)), np.zeros(9), rng=None)


@given(
    counts=st.lists(st.integers(5, 40), min_size=2, max_size=4),
    test_size=st.floats(0.2, 0.8),
    seed=st.integers(0, 1000),
)
def test_a_stratified_split_keeps_the_proportions_to_within_a_row(counts, test_size, seed):
    y = seeded(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    X_train, X_test, y_train, y_test = data.train_test_split(
        np.arange(len(y)), y, test_size=test_size, rng=seeded(seed), stratify=True
    )
    assert sorted([*X_train, *X_test]) == list(range(len(y)))
    assert np.array_equal(y[X_test], y_test)
    assert np.array_equal(y[X_train], y_train)
    assert len(y_test) == math.ceil(test_size * len(y))
    exact = np.array(counts) * len(y_test) / len(y)
    assert np.abs(np.bincount(y_test, minlength=len(counts)) - exact).max() < 1


def test_stratify_refuses_a_class_too_rare_for_both_sides():
    y = np.array([0] * 20 + [1])
    with pytest.raises(ValueError, match="got 1 of class 1 for 5 test rows of 21"):
        data.train_test_split(y, y, rng=seeded(), stratify=True)
    with pytest.raises(ValueError, match=r"labels of shape \(N,\), got \(21, 1\)"):
        data.train_test_split(y, y[:, None], rng=seeded(), stratify=True)


def test_standardize_measures_the_training_rows_alone():
    X, other = seeded().normal(3, 5, (50, 4)), seeded(1).normal(0, 1, (7, 4))
    X[:, 2] = 8
    scaled, rest = data.standardize(X, other)
    assert scaled.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert scaled.std(axis=0) == pytest.approx([1, 1, 0, 1])
    assert rest * np.where(X.std(axis=0), X.std(axis=0), 1) + X.mean(axis=0) == pytest.approx(other)


@pytest.mark.parametrize("shapes", [[(3,)], [(3, 2), (3, 3)], [(0, 2)], [()], [(2, 2), (2,)]])
def test_standardize_refuses_what_is_not_a_table_of_the_same_columns(shapes):
    with pytest.raises(ValueError, match="standardize expects"):
        data.standardize(*[np.zeros(shape) for shape in shapes])


# ---------------------------------------------------------------------------- CSV

TABLE = ([[1.5, 2.0], [3.0, -4e3]], [0, 1])
GOOD = {
    "with names": b"a,b,label\n1.5,2,0\n3,-4e3,1\n",
    "without names": b"1.5,2,0\n3,-4e3,1",
    "semicolons": b"a;b;label\n1.5;2;0\n3;-4e3;1\n",
    "tabs": b"a\tb\tlabel\n1.5\t2\t0\n3\t-4e3\t1\n",
    "blank lines": b"\n\na,b,label\n\n1.5,2,0\n   \n3,-4e3,1\n\n",
    "byte order mark": b"\xef\xbb\xbfa,b,label\n1.5,2,0\n3,-4e3,1\n",
    "byte order mark, no names": b"\xef\xbb\xbf1.5,2,0\n3,-4e3,1\n",
    "Windows line ends": b"a,b,label\r\n1.5,2,0\r\n3,-4e3,1\r\n",
    "old Mac line ends": b"a,b,label\r1.5,2,0\r3,-4e3,1\r",
    "spaces": b" a , b , label \n 1.5 , 2 , 0 \n 3,-4e3,1\n",
    "quotes": b'"a","b, in cm","label"\n"1.5","2","0"\n3,-4e3,1\n',
    "another mark in a name": b'"a;b",b,label\n1.5,2,0\n3,-4e3,1\n',
    "labels 1 and 2": b"1.5,2,1\n3,-4e3,2\n",
    "labels -1 and 1": b"1.5,2,-1\n3,-4e3,1\n",
    "labels as fractions": b"1.5,2,0.0\n3,-4e3,1.0\n",
}
BAD = {
    "empty": (b"", "is empty: expected rows of numbers"),
    "blank": (b"\n  \n\n", "is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "is empty"),
    "only names": (b"a,b,label\n", "has a line of names and no rows"),
    "a word": (b"a,b,y\n1,2,0\n3,x,1\n", "line 3, column 2: expected a number, got 'x'"),
    "a word in the first line": (b"1,x,0\n3,4,1\n", "line 1, column 2: expected a number, got 'x'"),
    "a word after blank lines": (b"\n\n1,2,0\n\nx,4,1\n", "line 5, column 1: expected a number"),
    "names twice": (b"a,b,y\n1,2,0\na,b,y\n3,4,1\n", "line 3, column 1: expected a number"),
    "decimal commas": (b"1,5;2;0\n3,1;4;1\n", "got '1,5': write decimals with a point"),
    "thousands": (b"1_000,2,0\n3,4,1\n", "column 1: expected a number, got '1_000'"),
    "labels as words": (b"1,2,cat\n3,4,dog\n", "column 3: .* got 'cat': number the two classes"),
    "missing": (b"a,b,y\n1,,0\n3,4,1\n", "line 2, column 2: the value is missing"),
    "missing label": (b"1,2,0\n3,4,\n", "line 2, column 3: the value is missing"),
    "missing name": (b",b,y\n1,2,0\n3,4,1\n", "line 1, column 1: the value is missing"),
    "nan": (b"1,nan,0\n3,4,1\n", "line 1, column 2: expected a finite number, got 'nan'"),
    "inf": (b"1,2,0\n-inf,4,1\n", "line 2, column 1: expected a finite number, got '-inf'"),
    "too large": (b"1,2,0\n1e999,4,1\n", "line 2, column 1: expected a finite number"),
    "nan as label": (b"1,2,0\n3,4,nan\n", "line 2, column 3: expected a finite number"),
    "short row": (b"a,b,y\n1,2,0\n3,1\n", "line 3: expected 3 columns as in line 1, got 2"),
    "long row": (b"1,2,0\n3,4,5,1\n", "line 2: expected 3 columns as in line 1, got 4"),
    "short line of names": (b"a,y\n1,2,0\n", "line 2: expected 2 columns as in line 1, got 3"),
    "one class": (b"1,2,1\n3,4,1\n", r"expected two different labels .* got 1 \(1\)"),
    "three classes": (b"1,2,0\n3,4,1\n5,6,2\n", r"got 3 \(0, 1, 2\): is the label the last"),
    "a regression": (b"".join(b"1,%d\n" % i for i in range(9)), r"got 9 \(0, 1, 2, 3, 4, \.\.\.\)"),
    "no feature": (b"y\n0\n1\n", "line 1: expected at least one feature and the label"),
    "spaces between": (b"1 2 0\n3 4 1\n", "separated by comma, semicolon or tab, got one column"),
    "another encoding": ("größe,y\n1,0\n2,1\n".encode("latin-1"), r"not UTF-8 text \(byte 2\)"),
    "UTF-16": ("a,y\n1,0\n2,1\n".encode("utf-16"), r"not UTF-8 text \(byte 0\)"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0", "is not UTF-8 text"),
    "zero bytes": (b"1,2\0,0\n3,4,1\n", "is a binary file"),
    "a huge cell": (b"1" * 200_000 + b",0\n2,1\n", "line 1: not a line of CSV"),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_a_csv_is_read_however_it_is_written(tmp_path, content):
    (tmp_path / "good.csv").write_bytes(content)
    X, y = data.load_csv(str(tmp_path / "good.csv"))
    assert (X.dtype, y.dtype) == (np.float64, np.int64)
    assert (X.tolist(), y.tolist()) == TABLE


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_bad_csv_is_refused_with_the_file_and_the_reason(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        data.load_csv(path)
    assert str(path) in str(error.value)


def test_a_csv_that_is_a_folder_or_nowhere_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder: expected a CSV file"):
        data.load_csv(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv does not exist"):
        data.load_csv(tmp_path / "nowhere.csv")


def test_the_csv_files_are_what_their_readme_says():
    X, y = data.load_csv(REPOSITORY / "data" / "basic_dataset.csv")
    assert (X.shape, np.bincount(y).tolist()) == ((12, 2), [6, 6])
    X, y = data.load_csv(REPOSITORY / "data" / "large_dataset.csv")
    assert (X.shape, np.bincount(y).tolist()) == ((2000, 2), [1000, 1000])


def test_making_the_files_again_changes_no_byte(tmp_path):
    script = REPOSITORY / "data" / "make_datasets.py"
    spec = importlib.util.spec_from_file_location("make_datasets", script)
    make_datasets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_datasets)
    make_datasets.main(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (REPOSITORY / "data" / made.name).read_bytes(), made.name


# ---------------------------------------------------------------------------- MNIST


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No MNIST anywhere: an empty repository, an empty cache, NNLIB_DATA unset."""
    monkeypatch.setattr(data, "__file__", str(tmp_path / "repository" / "nnlib" / "data.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NNLIB_DATA", raising=False)
    return tmp_path


def copy_test_files(folder):
    folder.mkdir(parents=True)
    for name in data.MNIST_FILES["test"]:
        shutil.copy(MNIST / name, folder)
    return folder


@pytest.mark.parametrize(("split", "n", "first"), [("train", 60_000, 5), ("test", 10_000, 7)])
def test_mnist_is_all_there(split, n, first):
    X, y = data.mnist(split)
    assert (X.shape, X.dtype) == ((n, 784), np.float32)
    assert (y.shape, y.dtype, y[0]) == ((n,), np.int64, first)
    assert (X.min(), X.max(), y.min(), y.max()) == (0, 1, 0, 9)
    assert X.flags.c_contiguous
    assert X.flags.writeable
    assert y.flags.writeable


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_pixel_is_divided_by_255_and_by_nothing_else(dtype):
    X, _ = data.mnist("test", dtype=dtype)
    pixels = data.read_idx(MNIST / "t10k-images-idx3-ubyte.gz").reshape(10_000, 784)
    assert X.dtype == dtype
    assert np.array_equal(X, pixels.astype(dtype) / dtype(255))


def test_a_dtype_that_cannot_hold_fractions_or_a_split_that_is_none_is_refused():
    with pytest.raises(TypeError, match=r"floating dtype such as np.float32, got uint8"):
        data.mnist("test", dtype=np.uint8)
    with pytest.raises(ValueError, match='"train" or "test", got \'validation\''):
        data.mnist("validation")


@pytest.mark.parametrize("place", ["chosen", "chosen/mnist", "repository/data/mnist", "cache/nnlib/mnist"])
def test_mnist_is_found_in_each_of_its_places(nowhere, monkeypatch, place):
    monkeypatch.setenv("NNLIB_DATA", str(nowhere / "chosen"))
    copy_test_files(nowhere / place)
    assert len(data.mnist("test")[0]) == 10_000


def test_without_xdg_cache_home_the_cache_is_in_the_home_folder(nowhere, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(nowhere))
    monkeypatch.setenv("USERPROFILE", str(nowhere))
    copy_test_files(nowhere / ".cache" / "nnlib" / "mnist")
    assert len(data.mnist("test")[0]) == 10_000


def test_absent_mnist_says_where_it_looked_for_what_and_what_to_do(nowhere, monkeypatch):
    monkeypatch.setenv("NNLIB_DATA", str(nowhere / "chosen"))
    copy_test_files(nowhere / "chosen")
    with pytest.raises(FileNotFoundError) as error:  # the test files alone do not make a train set
        data.mnist("train")
    message = str(error.value)
    for place in ("chosen", "chosen/mnist", "repository/data/mnist", "cache/nnlib/mnist"):
        assert f"  {nowhere / place}\n" in message
    for name in data.MNIST_SHA256:
        assert name in message
    assert "set the environment variable NNLIB_DATA" in message


def test_a_damaged_file_is_named_with_both_checksums(nowhere, monkeypatch):
    folder = copy_test_files(nowhere / "chosen")
    monkeypatch.setenv("NNLIB_DATA", str(folder))
    name = "t10k-labels-idx1-ubyte.gz"
    whole = (folder / name).read_bytes()
    for damaged in (whole[:-1], whole[:2000] + b"!" + whole[2001:], b"", whole + b"\0"):
        (folder / name).write_bytes(damaged)
        with pytest.raises(ValueError, match="the file is damaged or incomplete") as error:
            data.mnist("test")
        message = str(error.value)
        assert str(folder / name) in message
        assert f"expected sha256 {data.MNIST_SHA256[name][0]}, got " in message


def test_swapped_files_are_recognised(nowhere, monkeypatch):
    folder = copy_test_files(nowhere / "chosen")
    monkeypatch.setenv("NNLIB_DATA", str(folder))
    shutil.copy(MNIST / "train-labels-idx1-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(ValueError, match=r"this is train-labels-idx1-ubyte.gz under another name"):
        data.mnist("test")


def test_another_compression_of_the_same_bytes_is_accepted_when_its_checksum_is_listed(nowhere, monkeypatch):
    folder = copy_test_files(nowhere / "chosen")
    monkeypatch.setenv("NNLIB_DATA", str(folder))
    name = "t10k-labels-idx1-ubyte.gz"
    content = gzip.compress(gzip.decompress((folder / name).read_bytes()), 1, mtime=0)
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match="expected sha256"):
        data.mnist("test")
    digest = data.hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(data.MNIST_SHA256, name, (data.MNIST_SHA256[name][0], digest))
    assert data.mnist("test")[1][:3].tolist() == [7, 2, 1]


# ---------------------------------------------------------------------------- IDX


def idx(array, code):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("code", data.IDX_TYPES)
def test_idx_files_of_every_type_are_read_back(tmp_path, code, pack):
    array = np.arange(24).reshape(2, 3, 4).astype(np.dtype(data.IDX_TYPES[code]).newbyteorder("="))
    (tmp_path / "array.idx").write_bytes(pack(idx(array, code)))
    read = data.read_idx(tmp_path / "array.idx")
    assert np.array_equal(read, array)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.flags.writeable


LABELS = idx(np.arange(5, dtype=np.uint8), 0x08)
BAD_IDX = {
    "empty": (b"", "not an IDX file: .* got an empty file"),
    "text": (b"label\n1\n", "not an IDX file: .* got 6c 61 62 65"),
    "unknown type": (b"\0\0\x0a\x01" + LABELS[4:], "not an IDX file: .* got 00 00 0a 01"),
    "three bytes": (LABELS[:3], "not an IDX file"),
    "short header": (LABELS[:7], "expected 8 bytes of header, got 7"),
    "too short": (LABELS[:-1], r"expected 13 bytes for shape \(5,\), got 12"),
    "too long": (LABELS + b"\0", r"expected 13 bytes for shape \(5,\), got 14"),
    "absurd size": (b"\0\0\x08\x02" + b"\xff" * 8, r"for shape \(4294967295, 4294967295\), got 12"),
    "truncated gzip": (gzip.compress(LABELS)[:-6], "the gzip file is damaged or incomplete"),
    "only a gzip header": (b"\x1f\x8b", "the gzip file is damaged or incomplete"),
    "wrong gzip checksum": (gzip.compress(LABELS)[:-8] + b"\0" * 8, "the gzip file is damaged"),
    "garbage in gzip": (gzip.compress(LABELS)[:10] + b"\xff" * 20, "the gzip file is damaged"),
}


@pytest.mark.parametrize(("content", "message"), BAD_IDX.values(), ids=BAD_IDX)
def test_a_bad_idx_file_is_refused_with_the_file_and_the_reason(tmp_path, content, message):
    path = tmp_path / "bad.idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        data.read_idx(path)
    assert str(path) in str(error.value)
    assert not isinstance(error.value, zlib.error)


def test_an_absent_idx_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.idx does not exist or is a folder"):
        data.read_idx(tmp_path / "nowhere.idx")


# ---------------------------------------------------------------------------- augmentation


@given(
    n=st.integers(0, 12),
    pixels=st.integers(0, 27),
    groups=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_every_image_is_moved_as_numpy_roll_would_but_with_zeros_coming_in(n, pixels, groups, seed):
    X = seeded(seed).random((n, 784), dtype=np.float32)
    before = X.copy()
    moved = data.shift_images(X, seeded(seed), pixels=pixels, groups=groups)
    assert (moved.shape, moved.dtype) == (X.shape, X.dtype)
    assert np.array_equal(X, before)
    assert not np.shares_memory(moved, X)
    steps = seeded(seed).integers(-pixels, pixels + 1, size=(groups, 2))
    for i, (image, result) in enumerate(zip(X, moved, strict=True)):
        group = next(g for g in range(groups) if n * g // groups <= i < n * (g + 1) // groups)
        down, right = steps[group]
        wide = np.pad(image.reshape(28, 28), 28)
        expected = np.roll(wide, (down, right), axis=(0, 1))[28:56, 28:56]
        assert np.array_equal(result.reshape(28, 28), expected)


def test_shifts_reach_every_direction():
    X = np.zeros((400, 784))
    X[:, 28 * 14 + 14] = 1
    places = data.shift_images(X, seeded(), pixels=1, groups=400).argmax(axis=1)
    assert {divmod(int(p), 28) for p in places} == {(i, j) for i in (13, 14, 15) for j in (13, 14, 15)}


def test_shift_images_refuses_what_it_cannot_do():
    X = np.zeros((2, 784))
    with pytest.raises(ValueError, match=r"shape \(N, 784\), got \(2, 28, 28\): use X.reshape"):
        data.shift_images(X.reshape(2, 28, 28), seeded())
    with pytest.raises(ValueError, match="pixels must be below 28, got 28"):
        data.shift_images(X, seeded(), pixels=28)
    with pytest.raises(ValueError, match="pixels must be at least 0, got -1"):
        data.shift_images(X, seeded(), pixels=-1)
    with pytest.raises(ValueError, match="groups must be at least 1, got 0"):
        data.shift_images(X, seeded(), groups=0)
    with pytest.raises(TypeError, match=r"rng must be a np.random.Generator, got int"):
        data.shift_images(X, 0)
