"""What every test shares: strict NumPy, a seeded generator, a fixed Hypothesis profile, one thread."""

import io
import os
from contextlib import contextmanager
from unittest import mock

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


@pytest.fixture(autouse=True, scope="module")
def _environment_stays_as_it_was():
    """Whoever changes the environment changes the notebooks that this process runs later."""
    before = dict(os.environ)
    yield
    changed = {name for name, _ in before.items() ^ os.environ.items()}
    # what joblib and PyTorch set when they are imported
    harmless = {"PYTEST_CURRENT_TEST", "KMP_INIT_AT_FORK", "TORCHINDUCTOR_CACHE_DIR"}
    assert changed <= harmless, "these tests leave a changed environment behind"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Show what a failed cell of a notebook had printed, the times behind a claim about times above all."""
    report = yield
    printed = "".join(out.get("text", "") for out in getattr(item, "test_outputs", None) or [])
    if report.failed and printed:
        report.sections.append(("Printed by the cell", printed))
    return report


@pytest.fixture
def sphinx_page(tmp_path):
    """Build one page in `tmp_path`: a function of its file's name, its text and a conf.py."""

    def build(name, text, conf):
        from sphinx.application import Sphinx
        from sphinx.util.docutils import docutils_namespace

        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / "conf.py").write_text(f"{conf}\nhtml_theme = 'basic'\n", encoding="utf-8")
        folder, said = str(tmp_path), io.StringIO()
        with docutils_namespace():  # what this application registers goes with it
            Sphinx(
                folder, folder, f"{folder}/out", f"{folder}/doctrees", "html", status=None, warning=said
            ).build()
        return (tmp_path / "out" / "index.html").read_text("utf-8"), said.getvalue()

    return build


@pytest.fixture(scope="session")
def dask_cluster():
    """Workers of Dask on this machine: a context manager, a function of their number."""
    distributed = pytest.importorskip("distributed")

    @contextmanager
    def workers(n):
        # The environment is kept, since Dask writes into it before it starts a worker. One setting of its own
        # takes away the memory that NumPy frees, at once, and kernels of notebooks would inherit it.
        # The workers log what they do, to standard error, at their own pace: silence.
        with (
            mock.patch.dict(os.environ),
            distributed.LocalCluster(
                n_workers=n,
                processes=True,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            ) as cluster,
        ):
            yield cluster

    return workers


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
