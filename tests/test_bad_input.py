"""Every bad call gets expected, got and a hint, and changes nothing.

``python tests/test_bad_input.py`` prints the table of calls and messages.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from nnlib import (
    MSE,
    SGD,
    Adam,
    BinaryCrossEntropyWithLogits,
    Conv2D,
    Dropout,
    EarlyStopping,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2D,
    ReLU,
    RMSProp,
    Sequential,
    SoftmaxCrossEntropy,
    accuracy,
    check_network,
    fit,
    initializers,
    minibatches,
    numerical_gradient,
    one_hot,
)
from nnlib import functional as F


@dataclass
class World:
    """A small training run in mid-flight, whose state no bad call may touch."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self):
        rng = self.rng
        self.X, self.y = rng.standard_normal((6, 4)), np.array([0, 1, 2, 2, 1, 0])
        self.net = Sequential([Linear(4, 5, rng=rng), ReLU(), Linear(5, 3, rng=rng)])
        self.loss, self.optimizer = SoftmaxCrossEntropy(), Adam(0.01)
        self.images = rng.standard_normal((2, 1, 6, 6))
        self.conv = Conv2D(1, 2, 3, rng=rng)
        self.narrow = Linear(4, 3, rng=rng, dtype=np.float32)
        for _ in range(3):
            self.loss.forward(self.net.forward(self.X), self.y)
            self.net.backward(self.loss.backward())
            self.optimizer.step(self.net.params(), self.net.grads())

    def fit(self, X=None, Y=None, **settings):
        given = {"epochs": 1, "batch_size": 2, "rng": self.rng, **settings}
        X = self.X if X is None else X
        return fit(self.net, self.loss, self.optimizer, X, self.y if Y is None else Y, **given)

    def state(self):
        arrays = {
            **{f"param {k}": v for k, v in self.net.params().items()},
            **{f"grad {k}": v for k, v in self.net.grads().items()},
            **{f"{m} of {k}": v for k, s in self.optimizer.state.items() for m, v in s.items()},
            "X": self.X, "y": self.y, "P": self.loss._memory[0],
        }  # fmt: skip
        scalars = {"t": self.optimizer.t, "lr": self.optimizer.lr, "layers": len(self.net.layers)}
        generator = self.rng.bit_generator.state["state"]
        return {k: v.copy() for k, v in arrays.items()}, scalars, generator


def with_nan(X):
    X = X.copy()
    X[4, 2] = np.nan
    return X


BAD = {
    # shapes
    "linear: W does not fit X": (lambda w: F.linear(w.X, np.ones((3, 2)), np.ones(2)), ValueError, r"W of shape \(D, M\) = \(4, M\), got \(3, 2\)"),
    "linear: bias as a row matrix": (lambda w: F.linear(w.X, np.ones((4, 2)), np.ones((1, 2))), ValueError, r"b of shape \(M,\) = \(2,\), got \(1, 2\)"),
    "linear: bias as a number": (lambda w: F.linear(w.X, np.ones((4, 2)), 1.0), ValueError, r"b of shape .*got \(\)"),
    "linear: one example as a vector": (lambda w: F.linear(w.X[0], np.ones((4, 2)), np.ones(2)), ValueError, r"X of shape \(N, D\), got \(4,\)"),
    "linear_backward: dY with other rows": (lambda w: F.linear_backward(np.ones((5, 2)), w.X, np.ones((4, 2))), ValueError, r"X of shape \(N, D\) = \(5, D\), got \(6, 4\)"),
    "Linear: images not flattened": (lambda w: Linear(784, 10, rng=w.rng.spawn(1)[0]).forward(np.ones((32, 28, 28))), ValueError, r"X of shape \(N, 784\), got \(N, 28, 28\): add Flatten\(\) before it"),
    "Linear: one example without its row": (lambda w: w.net.forward(np.ones(4)), ValueError, r"X\[None, :\]|got \(N,\)"),
    "Linear: wrong number of features": (lambda w: w.net.forward(np.ones((2, 5))), ValueError, r"\(N, 4\), got \(N, 5\)"),
    "Linear.backward: dY of another width": (lambda w: w.net.backward(np.ones((6, 4))), ValueError, r"dY"),
    "Conv2D: flat images": (lambda w: w.conv.forward(np.ones((2, 36))), ValueError, r"\(N, 1, H, W\), got \(N, 36\): reshape"),
    "Conv2D: wrong number of channels": (lambda w: w.conv.forward(np.ones((2, 3, 6, 6))), ValueError, r"\(N, 1, H, W\), got \(N, 3, 6, 6\)"),
    "Conv2D: kernel larger than the image": (lambda w: w.conv.forward(np.ones((2, 1, 2, 2))), ValueError, r"smaller window or more padding"),
    "conv2d: kernel larger than the image": (lambda w: F.conv2d(w.images, np.ones((1, 1, 7, 7)), np.ones(1)), ValueError, r"7x7 kernel on 6x6"),
    "conv2d: stride 0": (lambda w: F.conv2d(w.images, np.ones((1, 1, 2, 2)), np.ones(1), stride=0), ValueError, r"stride to be a whole number >= 1, got 0"),
    "conv2d: padding -1": (lambda w: F.conv2d(w.images, np.ones((1, 1, 2, 2)), np.ones(1), padding=-1), ValueError, r"padding .*got -1"),
    "conv2d_backward: dY of another size": (lambda w: F.conv2d_backward(np.ones((2, 1, 6, 6)), w.images, np.ones((1, 1, 3, 3))), ValueError, r"\(4, 4\), got \(6, 6\)"),
    "max_pool2d: window of 0": (lambda w: F.max_pool2d(w.images, kernel_size=0), ValueError, r"kernel_size|stride"),
    "MaxPool2D: flat images": (lambda w: MaxPool2D(2).forward(np.ones((2, 36))), ValueError, r"\(N, C, H, W\), got \(N, 36\)"),
    "flatten_backward: wrong shape": (lambda w: F.flatten_backward(np.ones((2, 5)), (2, 2, 3)), ValueError, r"\(2, 6\), got \(2, 5\)"),
    "flatten: a number": (lambda w: F.flatten(np.float64(1)), ValueError, r"X of shape \(N, \.\.\.\), got \(\)"),
    "relu_backward: shapes differ": (lambda w: F.relu_backward(np.ones((2, 3)), np.ones((2, 4))), ValueError, r"Z of shape \(\.\.\.\) = \(2, 3\), got \(2, 4\)"),
    "softmax: a number": (lambda w: F.softmax(1.0), ValueError, r"softmax expects Z"),
    # losses and targets
    "mse: (N, 1) against (N,)": (lambda w: F.mse(np.ones((6, 1)), np.ones(6)), ValueError, r"\(6, 1\), got \(6,\): use Y\.reshape\(6, 1\)"),
    "mse: (N,) against (N, 1)": (lambda w: F.mse(np.ones(6), np.ones((6, 1))), ValueError, r"\(6,\), got \(6, 1\): use Y\.reshape\(6,\)"),
    "mse: empty batch": (lambda w: F.mse(np.ones((0, 1)), np.ones((0, 1))), ValueError, r"at least one example"),
    "bce: scores given for probabilities": (lambda w: F.binary_cross_entropy(np.array([2.0]), np.array([1])), ValueError, r"P between 0 and 1, got 2: did you pass scores"),
    "bce: label 2": (lambda w: F.binary_cross_entropy_with_logits(np.zeros(2), np.array([0, 2])), ValueError, r"Y between 0 and 1, got 2"),
    "bce: label nan": (lambda w: F.binary_cross_entropy_with_logits(np.zeros(2), np.array([0, np.nan])), ValueError, r"Y between 0 and 1, got nan"),
    "cross-entropy: label out of range": (lambda w: w.loss.forward(np.zeros((2, 3)), np.array([0, 3])), ValueError, r"between 0 and 2 for 3 classes, got 3 at index 1"),
    "cross-entropy: labels as a column": (lambda w: w.loss.forward(np.zeros((2, 3)), np.array([[0], [1]])), ValueError, r"use Y\.ravel"),
    "cross-entropy: rows that do not add up to 1": (lambda w: w.loss.forward(np.zeros((1, 3)), np.array([[1, 1, 0]])), ValueError, r"add up to 1, got 2 in row 0"),
    "cross-entropy: negative target": (lambda w: w.loss.forward(np.zeros((1, 3)), np.array([[2, -1, 0]])), ValueError, r"Y between 0 and 1"),
    "cross-entropy: scores of one example": (lambda w: w.loss.forward(np.zeros(3), np.array([0])), ValueError, r"Z of shape \(N, K\), got \(3,\)"),
    "cross-entropy: empty batch": (lambda w: w.loss.forward(np.zeros((0, 3)), np.zeros(0)), ValueError, r"at least one example"),
    "cce: scores given for probabilities": (lambda w: F.categorical_cross_entropy(np.array([[3.0, -1.0]]), np.array([0])), ValueError, r"use softmax_cross_entropy"),
    "cross-entropy: text labels": (lambda w: w.loss.forward(np.zeros((2, 3)), np.array(["a", "b"])), TypeError, r"labels are whole numbers"),
    "one_hot: fractions": (lambda w: one_hot(np.array([0.5]), 2), ValueError, r"fractions"),
    "accuracy: nothing to measure": (lambda w: accuracy(np.zeros((0, 2)), np.zeros(0)), ValueError, r"at least one"),
    # dtypes
    "linear: text": (lambda w: F.linear(np.array([["a"]]), np.ones((1, 1)), np.ones(1)), TypeError, r"X to hold numbers"),
    "Linear: complex input": (lambda w: w.net.forward(w.X * 1j), TypeError, r"real numbers, got dtype complex128"),
    "Linear(float32): float64 input": (lambda w: w.narrow.forward(w.X), TypeError, r"pass X\.astype\(np\.float32\)"),
    "Linear: integer dtype": (lambda w: Linear(2, 2, rng=np.random.default_rng(0), dtype=int), TypeError, r"floating dtype, got int64"),
    "mse: complex prediction": (lambda w: F.mse(np.array([1j]), np.array([0.0])), TypeError, r"real numbers"),
    "check_network: float32 network": (lambda w: check_network(Sequential([w.narrow]), MSE(), w.X, np.ones((6, 3))), TypeError, r"float64"),
    "numerical_gradient: whole numbers": (lambda w: numerical_gradient(lambda x: 0.0, np.array([1, 2])), TypeError, r"float64, got x of int64"),
    # settings
    "Linear: 0 features": (lambda w: Linear(0, 2, rng=w.rng), ValueError, r"in_features to be a whole number >= 1, got 0"),
    "Linear: 2.5 features": (lambda w: Linear(2.5, 2, rng=w.rng), ValueError, r"got 2\.5"),
    "Linear: a seed for a generator": (lambda w: Linear(2, 2, rng=42), TypeError, r"use np\.random\.default_rng\(seed\)"),
    "Linear: initializer of the wrong shape": (lambda w: Linear(2, 3, rng=w.rng, init=lambda s, *, rng, dtype: np.ones((3, 2))), ValueError, r"initializer to return float64 of shape \(2, 3\)"),
    "Conv2D: three kernel sizes": (lambda w: Conv2D(1, 1, (2, 2, 2), rng=w.rng), ValueError, r"K or \(KH, KW\)"),
    "he_normal: fan-in of a vector": (lambda w: initializers.he_normal((3,), rng=w.rng), ValueError, r"fan-in is defined for shapes"),
    "uniform: bounds reversed": (lambda w: initializers.uniform(1, -1), ValueError, r"low < high"),
    "Dropout: p = 1": (lambda w: Dropout(1.0, rng=w.rng), ValueError, r"0 <= p < 1, got 1\.0"),
    "Dropout: no generator": (lambda w: Dropout(0.5, rng=None), TypeError, r"default_rng"),
    "LeakyReLU: slope nan": (lambda w: LeakyReLU(float("nan")), ValueError, r"finite slope"),
    "SGD: negative learning rate": (lambda w: SGD(-0.1), ValueError, r"lr must be a finite number >= 0, got -0\.1"),
    "optimizer.lr set to nan": (lambda w: setattr(w.optimizer, "lr", float("nan")), ValueError, r"lr must be a finite number"),
    "SGD: momentum 1": (lambda w: SGD(0.1, momentum=1.0), ValueError, r"momentum must be .* in \[0, 1\)"),
    "SGD: nesterov without momentum": (lambda w: SGD(0.1, nesterov=True), ValueError, r"nesterov needs momentum"),
    "Adam: one beta": (lambda w: Adam(betas=0.9), ValueError, r"two numbers"),
    "Adam: beta2 above 1": (lambda w: Adam(betas=(0.9, 1.5)), ValueError, r"beta2 must be"),
    "RMSProp: learning rate as text": (lambda w: RMSProp("fast"), ValueError, r"lr must be a finite number"),
    "EarlyStopping: patience 0": (lambda w: EarlyStopping(patience=0), ValueError, r"patience must be a whole number above 0"),
    # networks
    "Sequential: a class for a layer": (lambda w: w.net.add(ReLU), TypeError, r"write it with brackets, ReLU\(\)"),
    "Sequential: layers that do not fit": (lambda w: w.net.add(Linear(4, 2, rng=np.random.default_rng(0))), ValueError, r"layer 3 does not fit: Linear expects X of shape \(N, 4\), got \(N, 3\)"),
    "Sequential: the same layer twice": (lambda w: w.net.add(w.net.layers[1]), ValueError, r"in the network already"),
    "Sequential: no layers": (lambda w: Sequential().forward(w.X), ValueError, r"no layers: add one"),
    "predict: batch_size 0": (lambda w: w.net.predict(w.X, batch_size=0), ValueError, r"at least 1"),
    "backward before forward": (lambda w: Linear(2, 2, rng=np.random.default_rng(0)).backward(np.ones((1, 2))), RuntimeError, r"call forward\(X\) first"),
    "loss.backward before forward": (lambda w: BinaryCrossEntropyWithLogits().backward(), RuntimeError, r"call forward\(prediction, target\) first"),
    "step: gradient missing": (lambda w: w.optimizer.step(w.net.params(), {}), ValueError, r"no gradient for parameter '0\.W': call backward before step"),
    "step: gradient of another shape": (lambda w: w.optimizer.step(w.net.params(), {k: np.ones(1) for k in w.net.params()}), ValueError, r"must have shape \(4, 5\), got \(1,\)"),
    "step: whole-number parameters": (lambda w: SGD(0.1).step({"w": np.array([1])}, {"w": np.array([1])}), TypeError, r"floating numbers, got int64"),
    "step: an optimizer for another network": (lambda w: w.optimizer.step({"0.W": np.ones((2, 2))}, {"0.W": np.ones((2, 2))}), ValueError, r"one optimizer for each network"),
    "load: no such file": (lambda w: Sequential.load("/nowhere/net.npz"), FileNotFoundError, r"net\.npz"),
    "load: a foreign file": (lambda w: Sequential.load(__file__), ValueError, r"is not a network that Sequential\.save wrote"),
    "save: no such folder": (lambda w: w.net.save("/nowhere/net.npz"), FileNotFoundError, r"nowhere"),
    # training
    "fit: rows of X and Y differ": (lambda w: w.fit(Y=w.y[:5]), ValueError, r"same number of rows, at least one, got 6 and 5"),
    "fit: no rows": (lambda w: w.fit(X=w.X[:0], Y=w.y[:0]), ValueError, r"at least one, got 0 and 0"),
    "fit: nan in the data": (lambda w: w.fit(X=with_nan(w.X)), ValueError, r"X holds nan at index \(4, 2\)"),
    "fit: inf in the validation data": (lambda w: w.fit(validation=(np.full((1, 4), np.inf), np.array([0]))), ValueError, r"validation X holds inf"),
    "fit: last label out of range": (lambda w: w.fit(Y=np.array([0, 1, 2, 2, 1, 3])), ValueError, r"got 3 at index 5"),
    "fit: data of another width": (lambda w: w.fit(X=w.X[:, :3]), ValueError, r"\(N, 4\), got \(N, 3\)"),
    "fit: 0 epochs": (lambda w: w.fit(epochs=0), ValueError, r"epochs must be a whole number above 0, got 0"),
    "fit: batch_size 0": (lambda w: w.fit(batch_size=0), ValueError, r"batch_size must be a whole number above 0"),
    "fit: batch_size 2.5": (lambda w: w.fit(batch_size=2.5), ValueError, r"got 2\.5"),
    "fit: a seed for a generator": (lambda w: w.fit(rng=0), TypeError, r"default_rng"),
    "fit: a metric that is no function": (lambda w: w.fit(metrics={"accuracy": 0.5}), TypeError, r"functions of \(output, target\)"),
    "fit: a metric named loss": (lambda w: w.fit(metrics={"loss": accuracy}), TypeError, r"other than loss and lr"),
    "minibatches: batch_size -1": (lambda w: minibatches(w.X, w.y, -1, rng=w.rng), ValueError, r"above 0, got -1"),
    "Flatten first, then a Linear that does not fit": (lambda w: Sequential([Flatten(), Linear(9, 2, rng=np.random.default_rng(0))]).forward(w.images), ValueError, r"\(N, 9\), got \(N, 36\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_is_explained_and_changes_nothing(name):
    call, kind, message = BAD[name]
    world = World()
    arrays, scalars, generator = world.state()
    with pytest.raises(kind, match=message) as caught:
        call(world)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    after_arrays, after_scalars, after_generator = world.state()
    assert arrays.keys() == after_arrays.keys()
    for key, value in arrays.items():
        np.testing.assert_array_equal(after_arrays[key], value, err_msg=f"{key} changed")
    assert after_scalars == scalars
    assert after_generator == generator


def test_there_are_at_least_forty_bad_calls():
    assert len(BAD) >= 40


if __name__ == "__main__":
    for name, (call, _, _) in BAD.items():
        try:
            call(World())
        except Exception as error:
            print(f"| {name} | {type(error).__name__}: {error} |")
