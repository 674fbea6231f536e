"""Explorers: play with what a chapter derives, in a notebook, in a rendered page, or without a screen.

>>> explorer = DecisionBoundaryExplorer(learning_rate=1.0, hidden_size=4, seed=1)
>>> explorer.engine.step(10)
10
"""

from collections.abc import Mapping

from nnlib.explorers.activation import Activation
from nnlib.explorers.backprop import Backprop
from nnlib.explorers.convolution import Convolution
from nnlib.explorers.decision_boundary import DecisionBoundary
from nnlib.explorers.display import Display
from nnlib.explorers.engine import Button, Control, Explorer, choice, log_slider, slider, toggle, whole
from nnlib.explorers.finite_difference import FiniteDifference
from nnlib.explorers.mnist import MNIST
from nnlib.explorers.neuron import Neuron
from nnlib.explorers.optimizers import Optimizers

__all__ = [
    "ENGINES",
    "ActivationExplorer",
    "BackpropExplorer",
    "Button",
    "Control",
    "ConvolutionExplorer",
    "DecisionBoundaryExplorer",
    "Display",
    "Explorer",
    "FiniteDifferenceExplorer",
    "MNISTExplorer",
    "NeuronExplorer",
    "OptimizersExplorer",
    "choice",
    "log_slider",
    "slider",
    "toggle",
    "whole",
]

ENGINES: Mapping[str, type[Explorer]] = {
    engine.name: engine
    for engine in (
        DecisionBoundary,
        MNIST,
        Backprop,
        Neuron,
        Activation,
        Optimizers,
        Convolution,
        FiniteDifference,
    )
}


class DecisionBoundaryExplorer(Display):
    """A network bends its decision boundary around points in a plane."""

    engine_class = DecisionBoundary


class MNISTExplorer(Display):
    """A network learns handwritten digits, then reads yours."""

    engine_class = MNIST


class BackpropExplorer(Display):
    """Forward, loss, backward, update: one operation at a time."""

    engine_class = Backprop


class NeuronExplorer(Display):
    """One neuron whose weights you turn by hand or let the gradient turn."""

    engine_class = Neuron


class ActivationExplorer(Display):
    """Activations, their slopes, and what a deep network does to gradients."""

    engine_class = Activation


class OptimizersExplorer(Display):
    """Optimizers side by side on a ravine."""

    engine_class = Optimizers


class ConvolutionExplorer(Display):
    """A convolution and its gradients, one window at a time."""

    engine_class = Convolution


class FiniteDifferenceExplorer(Display):
    """The step size of a finite difference."""

    engine_class = FiniteDifference
