"""Layers keep their promises: shapes, dtypes, memory of one batch, nothing changed behind your back."""

import numpy as np
import pytest

from nnlib import (
    MSE,
    Conv2D,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    initializers,
)
from nnlib import functional as F

N = 5
LAYERS = {
    "Linear": (lambda rng, dtype: Linear(4, 3, rng=rng, dtype=dtype), (4,)),
    "Conv2D": (lambda rng, dtype: Conv2D(2, 3, 3, padding=1, rng=rng, dtype=dtype), (2, 6, 5)),
    "MaxPool2D": (lambda rng, dtype: MaxPool2D(2), (3, 4, 6)),
    "Flatten": (lambda rng, dtype: Flatten(), (3, 4, 2)),
    "Dropout": (lambda rng, dtype: Dropout(0.5, rng=rng), (4,)),
    "ReLU": (lambda rng, dtype: ReLU(), (4,)),
    "LeakyReLU": (lambda rng, dtype: LeakyReLU(), (4,)),
    "Tanh": (lambda rng, dtype: Tanh(), (4,)),
    "Sigmoid": (lambda rng, dtype: Sigmoid(), (4,)),
    "Softmax": (lambda rng, dtype: Softmax(), (4,)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def make(name, rng, dtype=np.float64):
    build, shape = LAYERS[name]
    return build(rng, dtype), rng.standard_normal((N, *shape)).astype(dtype)


@every_layer
def test_backward_before_forward_says_so(name, rng):
    layer, X = make(name, rng)
    with pytest.raises(RuntimeError, match=f"{name}.backward needs a forward before it"):
        layer.backward(X)


@every_layer
def test_infer_remembers_nothing(name, rng):
    layer, X = make(name, rng)
    layer.infer(X)
    with pytest.raises(RuntimeError):
        layer.backward(X)


@every_layer
def test_output_has_the_promised_shape(name, rng):
    layer, X = make(name, rng)
    assert layer.forward(X).shape == (N, *layer.output_shape(X.shape[1:]))
    assert layer.output_shape(None) is None or name == "Linear"


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays_what_it_is(name, dtype, rng):
    layer, X = make(name, rng, dtype)
    Y = layer.forward(X)
    assert Y.dtype == dtype
    assert layer.backward(np.ones_like(Y)).dtype == dtype
    assert all(g.dtype == dtype for g in layer.grads.values())


@every_layer
def test_changing_a_returned_array_does_not_change_the_gradient(name, rng):
    layer, X = make(name, rng)
    twin, _ = make(name, np.random.default_rng(20))
    Y, expected = layer.forward(X), twin.forward(X)
    dY = rng.standard_normal(Y.shape)
    if name != "Flatten":  # a view of X, and its backward needs no numbers
        Y *= 0
    twin.params, layer.rng = layer.params, None
    if name == "Dropout":
        assert layer.backward(dY).any()
    else:
        twin.forward(X)
        np.testing.assert_array_equal(layer.backward(dY), twin.backward(dY))
    assert expected.shape == Y.shape


@every_layer
def test_backward_refuses_a_gradient_of_another_shape(name, rng):
    layer, X = make(name, rng)
    Y = layer.forward(X)
    with pytest.raises(ValueError, match=r"expects .* shape|height and width"):
        layer.backward(np.ones((N, *(n + 1 for n in Y.shape[1:]))))


@pytest.mark.parametrize("name", ["Linear", "Conv2D"])
def test_grads_have_the_keys_and_shapes_of_params_and_are_overwritten(name, rng):
    layer, X = make(name, rng)
    Y = layer.forward(X)
    layer.backward(np.ones_like(Y))
    once = {key: g.copy() for key, g in layer.grads.items()}
    layer.backward(np.ones_like(Y))
    assert once.keys() == layer.params.keys() == layer.grads.keys()
    for key in once:
        assert once[key].shape == layer.params[key].shape
        np.testing.assert_array_equal(layer.grads[key], once[key])


@pytest.mark.parametrize(
    ("key", "shape"), [("b", (3, 1)), ("b", (1, 3)), ("b", ()), ("b", (4,)), ("W", (2, 4)), ("W", (2, 3, 1))]
)
def test_a_parameter_put_in_with_another_shape_is_refused_where_numpy_would_stretch_it(key, shape, rng):
    layer = Linear(2, 3, rng=rng)
    layer.params[key] = np.ones(shape)
    with pytest.raises(ValueError, match=r"linear expects (W|b) of shape"):
        layer.forward(np.ones((3, 2)))


@pytest.mark.parametrize("name", ["Linear", "Conv2D"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_leaving_out_the_input_gradient_leaves_the_other_gradients_as_they_are(name, dtype, rng):
    layer, X = make(name, rng, dtype)
    dY = rng.standard_normal(layer.forward(X).shape).astype(dtype)
    assert layer.backward(dY).shape == X.shape
    full = dict(layer.grads)
    layer.grads.clear()
    assert layer.backward(dY, input_gradient=False).size == 0
    assert layer.grads.keys() == full.keys()
    for key, g in layer.grads.items():
        assert g.shape == layer.params[key].shape
        assert g.dtype == dtype
        np.testing.assert_array_equal(g, full[key])  # to the last bit


@pytest.mark.parametrize("name", ["Linear", "Conv2D"])
def test_without_an_input_gradient_too_a_wrong_shape_is_refused(name, rng):
    layer, X = make(name, rng)
    Y = layer.forward(X)
    for shape in [(N + 1, *Y.shape[1:]), (N, Y.shape[1] + 1, *Y.shape[2:]), (N,)]:
        with pytest.raises(
            ValueError, match=f"{'linear' if name == 'Linear' else 'conv2d'}_backward expects"
        ):
            layer.backward(np.ones(shape), input_gradient=False)
    assert layer.grads == {}


@every_layer
def test_every_layer_can_be_the_first_of_a_network(name, rng):
    layer, X = make(name, rng)
    dY = rng.standard_normal(layer.forward(X).shape)
    layer.backward(dY)
    full = dict(layer.grads)
    layer.backward_parameters(dY)
    assert layer.grads.keys() == full.keys()
    for key, g in layer.grads.items():
        np.testing.assert_array_equal(g, full[key])


def test_a_backward_of_your_own_is_never_passed_over(rng, monkeypatch):
    calls = []

    class Watched(Linear):
        def backward(self, dY):
            calls.append("subclass")
            return super().backward(dY)

    def watched_function(dY, X, W):
        calls.append("function")
        return original(dY, X, W)

    original, X = F.linear_backward, rng.standard_normal((N, 4))
    for layer in (Watched(4, 3, rng=rng), Linear(4, 3, rng=rng)):
        layer.forward(X)
        layer.backward_parameters(np.ones((N, 3)))
        assert layer.grads["W"].shape == (4, 3)
    assert calls == ["subclass"]
    monkeypatch.setattr(F, "linear_backward", watched_function)
    layer.backward_parameters(np.ones((N, 3)))
    assert calls == ["subclass", "function"]
    monkeypatch.setattr(layer, "backward", lambda dY: calls.append("instance"))
    layer.backward_parameters(np.ones((N, 3)))
    assert calls[-1] == "instance"


def test_images_of_bytes_become_floats_before_any_arithmetic(rng):
    X = np.full((2, 3), 200, dtype=np.uint8)
    layer = Linear(3, 1, rng=rng, init=lambda shape, *, rng, dtype: np.ones(shape, dtype))
    assert layer.forward(X).ravel().tolist() == [600, 600]
    assert ReLU().forward(X).dtype == np.float64


def test_float32_input_is_widened_and_float64_input_is_not_narrowed(rng):
    wide, narrow = Linear(3, 2, rng=rng), Linear(3, 2, rng=rng, dtype=np.float32)
    assert wide.forward(np.ones((1, 3), dtype=np.float32)).dtype == np.float64
    with pytest.raises(TypeError, match=r"Linear computes in float32, got X of float64.*astype"):
        narrow.forward(np.ones((1, 3)))


def test_dropout_keeps_the_expected_value_and_is_silent_in_use():
    layer = Dropout(0.25, rng=np.random.default_rng(0))
    X = np.ones((1000, 100))
    Y = layer.forward(X)
    assert set(np.unique(Y)) == {0, 1 / 0.75}
    assert Y.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(layer.infer(X), X)
    np.testing.assert_array_equal(layer.backward(X), Y)  # the same entries are on


def test_one_stream_of_randomness_gives_the_same_network_again():
    a, b = (Linear(4, 3, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(a.params["W"], b.params["W"])


def test_weights_and_biases_can_be_bounded_as_one_of_the_projects_does(rng):
    bounds = initializers.uniform(-1, 1)
    layer = Linear(50, 40, rng=rng, init=bounds, bias_init=bounds)
    for theta in layer.params.values():
        assert np.abs(theta).max() <= 1
        assert theta.std() == pytest.approx(1 / np.sqrt(3), rel=0.3)


def test_a_layer_of_your_own_needs_two_methods_and_no_constructor_call(rng):
    class Scale(Layer):
        settings = ("factor",)

        def __init__(self, factor):
            self.factor = factor

        def forward(self, X):
            self._remember(X)
            return self.factor * X

        def backward(self, dY):
            self._recall()
            return self.factor * dY

    net = Sequential([Linear(2, 2, rng=rng), Scale(3.0)])
    assert net.forward(np.ones((1, 2))).shape == (1, 2)
    assert net.backward(np.ones((1, 2))).shape == (1, 2)
    assert repr(Scale(3.0)) == "Scale(factor=3.0)"
    assert Scale(3.0).output_shape((2,)) is None
    with pytest.raises(NotImplementedError, match="define forward"):
        Layer().forward(np.ones(1))
    with pytest.raises(NotImplementedError, match="define backward"):
        Layer().backward(np.ones(1))


def test_a_loss_needs_a_forward_and_keeps_its_own_copy(rng):
    loss = MSE()
    with pytest.raises(RuntimeError, match=r"MSE.backward needs a forward before it"):
        loss.backward()
    P, Y = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    loss.forward(P, Y)
    expected = F.mse_backward(P, Y)
    P *= 0
    np.testing.assert_array_equal(loss.backward(), expected)
    assert repr(loss) == "MSE()"


# --- initializers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "shape", "std"),
    [
        (initializers.xavier_uniform, (400, 200), np.sqrt(2 / 600)),
        (initializers.xavier_normal, (400, 200), np.sqrt(2 / 600)),
        (initializers.he_uniform, (400, 200), np.sqrt(2 / 400)),
        (initializers.he_normal, (400, 200), np.sqrt(2 / 400)),
        (initializers.he_normal, (64, 16, 5, 5), np.sqrt(2 / (16 * 25))),
        (initializers.xavier_normal, (64, 16, 5, 5), np.sqrt(2 / (16 * 25 + 64 * 25))),
        (initializers.normal, (400, 200), 0.01),
        (initializers.uniform(-3, 3), (400, 200), np.sqrt(3)),
    ],
)
def test_initial_weights_have_the_spread_that_their_equation_says(init, shape, std, rng):
    W = init(shape, rng=rng, dtype=np.float32)
    assert W.dtype == np.float32
    assert W.shape == shape
    assert W.mean() == pytest.approx(0, abs=std / 50)
    assert W.std() == pytest.approx(std, rel=0.02)


def test_he_keeps_the_size_of_the_signal_through_relu_layers(rng):
    A = rng.standard_normal((1000, 500))
    for _ in range(10):
        A = F.relu(F.linear(A, initializers.he_normal((500, 500), rng=rng), np.zeros(500)))
    assert np.mean(A**2) == pytest.approx(1, rel=0.5)
