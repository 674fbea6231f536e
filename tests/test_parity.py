"""The same numbers as PyTorch: outputs, every gradient, and fifty steps of every optimizer."""

import numpy as np
import pytest

from nnlib import (
    MSE,
    SGD,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CategoricalCrossEntropy,
    Conv2D,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2D,
    ReLU,
    RMSProp,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    one_hot,
)

NETWORKS = 200
ACTIVATIONS = [ReLU, LeakyReLU, Tanh, Sigmoid, Softmax]


def random_network(rng):
    """Layers of random kinds and sizes, ending in K outputs that suit the loss drawn."""
    N, K = int(rng.integers(1, 8)), int(rng.integers(1, 6))
    loss = rng.choice(["mse", "bce", "bce_logits", "cce", "softmax_ce"])
    layers, features = [], int(rng.integers(1, 9))
    shape = (N, features)
    if rng.random() < 0.4:
        C, H, W = (int(rng.integers(low, high)) for low, high in ((1, 4), (6, 11), (6, 11)))
        shape = (N, C, H, W)
        for _ in range(rng.integers(1, 3)):
            F, k = int(rng.integers(1, 5)), (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
            stride, padding = int(rng.integers(1, 3)), int(rng.integers(0, 3))
            layers.append(Conv2D(C, F, k, stride=stride, padding=padding, rng=rng))
            H, W = ((n + 2 * padding - m) // stride + 1 for n, m in zip((H, W), k, strict=True))
            C = F
            layers.append(rng.choice(ACTIVATIONS[:4])())
            if min(H, W) >= 3:
                size, step = int(rng.integers(2, 4)), int(rng.integers(1, 3))
                layers.append(MaxPool2D(size, stride=step))
                H, W = (H - size) // step + 1, (W - size) // step + 1
            if min(H, W) < 3:
                break
        layers.append(Flatten())
        features = C * H * W
    for _ in range(rng.integers(0, 4)):
        hidden = int(rng.integers(1, 9))
        layers += [Linear(features, hidden, rng=rng), rng.choice(ACTIVATIONS)()]
        features = hidden
    layers.append(Linear(features, K, rng=rng))
    layers += {"bce": [Sigmoid()], "cce": [Softmax()]}.get(loss, [])
    net = Sequential(layers)
    for theta in net.params().values():  # biases too
        theta[...] = rng.standard_normal(theta.shape) / np.sqrt(theta[0].size)
    Y = {
        "mse": lambda: rng.standard_normal((N, K)),
        "bce": lambda: rng.integers(0, 2, (N, K)).astype(float),
        "bce_logits": lambda: rng.random((N, K)),
        "cce": lambda: rng.integers(0, K, N),
        "softmax_ce": lambda: rng.integers(0, K, N),
    }[loss]()
    return net, loss, rng.standard_normal(shape), Y


def in_torch(torch, net, X, params):
    """The same network, written with PyTorch's own operations."""
    f = torch.nn.functional
    for i, layer in enumerate(net.layers):
        W, b = params.get(f"{i}.W"), params.get(f"{i}.b")
        match layer:
            case Linear():
                X = f.linear(X, W.T, b)
            case Conv2D():
                X = f.conv2d(X, W, b, stride=layer.stride, padding=layer.padding)
            case MaxPool2D():
                X = f.max_pool2d(X, layer.kernel_size, layer.stride)
            case Flatten():
                X = X.flatten(1)
            case ReLU():
                X = f.relu(X)
            case LeakyReLU():
                X = f.leaky_relu(X, layer.slope)
            case Tanh():
                X = torch.tanh(X)
            case Sigmoid():
                X = torch.sigmoid(X)
            case Softmax():
                X = torch.softmax(X, -1)
    return X


def torch_loss(torch, name, P, Y):
    f = torch.nn.functional
    match name:
        case "mse":
            return f.mse_loss(P, Y)
        case "bce":
            return f.binary_cross_entropy(P, Y)
        case "bce_logits":
            return f.binary_cross_entropy_with_logits(P, Y)
        case "cce":
            return f.nll_loss(torch.log(P), Y)
        case "softmax_ce":
            return f.cross_entropy(P, Y)


OURS = {
    "mse": MSE,
    "bce": BinaryCrossEntropy,
    "bce_logits": BinaryCrossEntropyWithLogits,
    "cce": CategoricalCrossEntropy,
    "softmax_ce": SoftmaxCrossEntropy,
}


def relative(a, b):
    return np.abs(a - b).max(initial=0) / max(np.abs(b).max(initial=0), 1e-12)


def test_gradients_of_random_networks_equal_those_of_pytorch(torch):
    seen, worst = set(), 0.0
    for seed in range(NETWORKS):
        rng = np.random.default_rng(seed)
        net, name, X, Y = random_network(rng)
        loss = OURS[name]()
        value = loss.forward(net.forward(X), Y)
        dX = net.backward(loss.backward())

        X_t = torch.tensor(X, requires_grad=True)
        params = {k: torch.tensor(v, requires_grad=True) for k, v in net.params().items()}
        expected = torch_loss(torch, name, in_torch(torch, net, X_t, params), torch.tensor(Y))
        expected.backward()
        pairs = {"loss": (np.array(value), expected.detach().numpy()), "X": (dX, X_t.grad.numpy())}
        pairs |= {k: (g, params[k].grad.numpy()) for k, g in net.grads().items()}
        for key, (ours, theirs) in pairs.items():
            assert ours.shape == theirs.shape
            # a gradient that cancels to nothing has no relative error: judge it against 1
            error = min(relative(ours, theirs), np.abs(ours - theirs).max(initial=0) * 1e4)
            assert error < 1e-10, f"network {seed}, {key}: {error:.1e}\n{net!r}"
            worst = max(worst, error)
        seen |= {name, *(type(layer).__name__ for layer in net.layers)}
    assert seen == {*OURS, "Conv2D", "MaxPool2D", "Flatten", "Linear", *(a.__name__ for a in ACTIVATIONS)}
    print(f"{NETWORKS} networks, worst relative error {worst:.1e}")


OPTIMIZERS = {
    "SGD": (lambda: SGD(0.1), lambda o, p: o.SGD(p, 0.1)),
    "SGD with weight decay": (
        lambda: SGD(0.1, weight_decay=0.1),
        lambda o, p: o.SGD(p, 0.1, weight_decay=0.1),
    ),
    "momentum": (lambda: SGD(0.1, momentum=0.9), lambda o, p: o.SGD(p, 0.1, momentum=0.9)),
    "momentum with weight decay": (
        lambda: SGD(0.1, momentum=0.9, weight_decay=0.01),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    ),
    "Nesterov": (
        lambda: SGD(0.1, momentum=0.9, nesterov=True),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9, nesterov=True),
    ),
    "Adam": (lambda: Adam(0.01), lambda o, p: o.Adam(p, 0.01)),
    "Adam with other settings": (
        lambda: Adam(0.01, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1),
        lambda o, p: o.Adam(p, 0.01, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1),
    ),
    "AdamW": (lambda: AdamW(0.01, weight_decay=0.1), lambda o, p: o.AdamW(p, 0.01, weight_decay=0.1)),
    "RMSProp": (lambda: RMSProp(0.01), lambda o, p: o.RMSprop(p, 0.01)),
    "RMSProp with weight decay": (
        lambda: RMSProp(0.01, alpha=0.9, weight_decay=0.1),
        lambda o, p: o.RMSprop(p, 0.01, alpha=0.9, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_follow_pytorch(name, torch):
    ours, theirs = OPTIMIZERS[name]
    rng = np.random.default_rng(1)
    net = Sequential([Linear(4, 6, rng=rng), Tanh(), Linear(6, 3, rng=rng)])
    params = {k: torch.tensor(v.copy(), requires_grad=True) for k, v in net.params().items()}
    mine, other = ours(), theirs(torch.optim, list(params.values()))
    loss = SoftmaxCrossEntropy()
    for _ in range(50):
        X, y = rng.standard_normal((8, 4)), rng.integers(0, 3, 8)
        loss.forward(net.forward(X), y)
        net.backward(loss.backward())
        mine.step(net.params(), net.grads())
        other.zero_grad()
        torch_loss(
            torch, "softmax_ce", in_torch(torch, net, torch.tensor(X), params), torch.tensor(y)
        ).backward()
        other.step()
        for key, theta in net.params().items():
            assert relative(theta, params[key].detach().numpy()) < 1e-10, key


def test_the_exponential_average_differs_from_pytorch_by_the_first_step_only(torch):
    """PyTorch leaves dampening out of step one; nnlib follows the equation, and says so."""
    theta, other = np.array([1.0]), torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    mine, theirs = (
        SGD(0.1, momentum=0.9, dampening=0.9),
        torch.optim.SGD([other], 0.1, momentum=0.9, dampening=0.9),
    )
    steps = []
    for _ in range(3):
        before = theta.copy(), other.detach().numpy().copy()
        mine.step({"w": theta}, {"w": np.array([1.0])})
        other.grad = torch.ones(1, dtype=torch.float64)
        theirs.step()
        steps.append((before[0] - theta, before[1] - other.detach().numpy()))
    velocities = np.array(steps).squeeze() / 0.1
    np.testing.assert_allclose(velocities[:, 0], [0.1, 0.19, 0.271])
    np.testing.assert_allclose(velocities[:, 1], [1.0, 1.0, 1.0])


def test_soft_targets_agree_too(torch):
    rng = np.random.default_rng(2)
    Z, Y = rng.standard_normal((5, 4)), 0.9 * one_hot(np.array([0, 1, 2, 3, 0]), 4) + 0.025
    Z_t = torch.tensor(Z, requires_grad=True)
    torch.nn.functional.cross_entropy(Z_t, torch.tensor(Y)).backward()
    loss = SoftmaxCrossEntropy()
    loss.forward(Z, Y)
    assert relative(loss.backward(), Z_t.grad.numpy()) < 1e-12
