"""nnlib: neural networks from scratch with NumPy, written to be read next to their derivation.

>>> import numpy as np
>>> import nnlib
>>> rng = np.random.default_rng(0)
>>> net = nnlib.Sequential([nnlib.Linear(2, 4, rng=rng), nnlib.Tanh(), nnlib.Linear(4, 1, rng=rng)])
>>> X, y = nnlib.data.xor()
>>> history = nnlib.fit(
...     net, nnlib.BinaryCrossEntropyWithLogits(), nnlib.Adam(0.05), X, y[:, None],
...     epochs=200, batch_size=4, rng=rng,
... )
>>> (net.predict(X) > 0).ravel().astype(int)
array([0, 1, 1, 0])
"""

from nnlib import data, functional, gradcheck, initializers, metrics, optimizers
from nnlib.gradcheck import (
    check_function,
    check_layer,
    check_loss,
    check_network,
    numerical_gradient,
)
from nnlib.layers import (
    Conv2D,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from nnlib.losses import (
    MSE,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CategoricalCrossEntropy,
    Loss,
    SoftmaxCrossEntropy,
)
from nnlib.metrics import accuracy, confusion_matrix, one_hot
from nnlib.network import Sequential
from nnlib.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from nnlib.training import Callback, DivergenceError, EarlyStopping, History, State, fit, minibatches

__version__ = "0.1.0"

__all__ = [
    "MSE", "SGD", "Adam", "AdamW", "BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "Callback",
    "CategoricalCrossEntropy", "Conv2D", "DivergenceError", "Dropout", "EarlyStopping", "Flatten", "History",
    "Layer", "LeakyReLU", "Linear", "Loss", "MaxPool2D", "Optimizer", "RMSProp", "ReLU", "Sequential",
    "Sigmoid", "Softmax", "SoftmaxCrossEntropy", "State", "Tanh", "accuracy", "check_function",
    "check_layer", "check_loss", "check_network", "confusion_matrix", "data", "fit", "functional",
    "gradcheck", "initializers", "metrics", "minibatches", "numerical_gradient", "one_hot",
    "optimizers",
]  # fmt: skip
