"""What every test shares: strict NumPy, a seeded generator, a fixed Hypothesis profile, one thread."""

import os

# Tests run in several processes: threads of their matrix products would only wait for one another.
# Notebooks are executed by kernels that inherit this.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import settings

matplotlib.use("Agg")  # not by environment variable: the notebooks' kernels draw inline

# the same examples on every machine; more of them with HYPOTHESIS_PROFILE=thorough
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("thorough", derandomize=False, deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def _numpy_errors_raise():
    """Overflow, nan and division by zero are errors in every test."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        yield
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"


@pytest.fixture(scope="session")
def torch():
    """PyTorch, for parity; absent on a reader's machine, required in CI."""
    if in_ci():
        import torch
    else:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e .[parity]")
    torch.set_num_threads(1)
    return torch
