"""The implementations that are compared. Each is a class with three methods:

``start(weights)``
    take these weights and a fresh optimizer; not timed
``train(orders, seed)``
    train, one row of `orders` an epoch, and return the mean loss of all steps; timed
``weights()``
    the weights now, as NumPy arrays in nnlib's layout; not timed

A peer that cannot do a workload raises `Absent` with the reason when it is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

PEERS = {
    "nnlib": ("nnlib", "with_nnlib", "Fit"),
    "nnlib-loop": ("nnlib, four lines", "with_nnlib", "FourLines"),
    "torch": ("PyTorch eager", "pytorch", "Eager"),
    "torch-fused": ("PyTorch, fused optimizer", "pytorch", "Fused"),
    "torch-compile": ("torch.compile, fused optimizer", "pytorch", "Compiled"),
    "jax": ("JAX, jit a step", "with_jax", "Step"),
    "jax-scan": ("JAX, jit an epoch", "with_jax", "Epoch"),
    "sklearn": ("scikit-learn", "scikit", "Classifier"),
    "naive": ("naive NumPy", "naive", "Naive"),
    "limit": ("matrix products only", "limit", "Products"),
}


class Absent(Exception):  # noqa: N818  no error: it is reported and the others go on
    """A peer, and why it does not take part."""


def load(key: str) -> Any:
    """Class of a peer, with its library imported."""
    _, module, name = PEERS[key]
    try:
        return getattr(import_module(f"peers.{module}"), name)
    except ImportError as error:
        raise Absent(f"not installed ({error})") from None


def label(key: str) -> str:
    return PEERS[key][0]
