"""Write the two CSV files and the README of this folder: ``python data/make_datasets.py``.

Seeded, so that running it again changes no byte.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from nnlib.data import MNIST_SHA256

HERE = Path(__file__).resolve().parent

README = """\
# Data

Everything the course trains on, small enough to ship. `nnlib.data` reads it, and draws the toy
sets (XOR, gates, clouds, moons, circles, spirals) from formulas, so those need no files.

| file | what | rows | source | licence | sha256 |
| --- | --- | --- | --- | --- | --- |
{rows}

## The CSV files

Two features and a label, 0 or 1, with a line of names: `nnlib.data.load_csv(path)`.
`basic_dataset.csv` has six points of each class, which a straight line separates: enough to follow
a training run by hand. `large_dataset.csv` has a round cloud and three quarters of a ring around it,
1000 points each: no straight line separates them, and five hidden units are enough.
`python data/make_datasets.py` writes both files and this page; it is seeded, so running it again
changes nothing.

## MNIST

70 000 handwritten digits, 28 by 28 grey pixels, in the four IDX files that it was published in,
compressed again by gzip without loss: `nnlib.data.mnist("train")` and `nnlib.data.mnist("test")`.
Yann LeCun and Corinna Cortes hold the copyright of MNIST, which is derived from NIST's Special
Databases 1 and 3; it is available under the terms of the
[Creative Commons Attribution-Share Alike 3.0 licence](https://creativecommons.org/licenses/by-sa/3.0/).
To cite it: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
document recognition", *Proceedings of the IEEE* 86(11):2278-2324, 1998.

## Verify

From this folder, every line must say OK:

```bash
sha256sum --check <<'END'
{sums}
END
```

`nnlib.data.mnist` does so whenever it reads a file, and names the file that is damaged. It also
accepts the files as first published, whose compression and thus whose checksums differ
(`nnlib.data.MNIST_SHA256` has both).

## Keep the data elsewhere

`nnlib.data.mnist` looks for the four files in `$NNLIB_DATA` and `$NNLIB_DATA/mnist`, then in
`data/mnist` of the repository, then in `~/.cache/nnlib/mnist` (or `$XDG_CACHE_HOME/nnlib/mnist`):

```bash
export NNLIB_DATA=/path/to/the/folder
```
"""


def basic(rng):
    """Two clouds, six points each, on either side of a line."""
    y = np.arange(12) % 2
    centres = np.array([[-1.5, -1.0], [1.5, 1.0]])
    return centres[y] + 0.6 * rng.standard_normal((12, 2)), y


def large(rng, n=2000):
    """A disc of radius 1 (class 0) in three quarters of a ring of radius 3 (class 1), blurred.

    A whole ring needs so many of five hidden units that one run in twenty misses 90 %.
    """
    y = rng.permutation(np.arange(n) % 2)
    angle = 2 * np.pi * rng.random(n) * np.where(y == 1, 0.75, 1)
    radius = np.where(y == 1, 3, np.sqrt(rng.random(n)))  # the root spreads the disc evenly
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return X + 0.35 * rng.standard_normal((n, 2)), y


def csv(X, y):
    rows = [f"{a:.4f},{b:.4f},{label}" for (a, b), label in zip(X, y, strict=True)]
    return "\n".join(["x1,x2,label", *rows, ""]).encode()


def readme(files):
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    sums |= {f"mnist/{name}": published[0] for name, published in MNIST_SHA256.items()}
    mnist = "LeCun and Cortes, from NIST SD 1 and 3 | CC BY-SA 3.0"
    ours = "made by `make_datasets.py` | MIT, as the code"
    about = {
        "basic_dataset.csv": f"two separable clouds | 12 | {ours}",
        "large_dataset.csv": f"a cloud in most of a ring | 2000 | {ours}",
        "mnist/train-images-idx3-ubyte.gz": f"digits to train on | 60 000 | {mnist}",
        "mnist/train-labels-idx1-ubyte.gz": f"their labels | 60 000 | {mnist}",
        "mnist/t10k-images-idx3-ubyte.gz": f"digits to test on | 10 000 | {mnist}",
        "mnist/t10k-labels-idx1-ubyte.gz": f"their labels | 10 000 | {mnist}",
    }
    rows = [f"| `{name}` | {text} | `{sums[name]}` |" for name, text in about.items()]
    lines = [f"{digest}  {name}" for name, digest in sums.items()]
    return README.format(rows="\n".join(rows), sums="\n".join(lines)).encode()


def main(folder=HERE):
    files = {
        "basic_dataset.csv": csv(*basic(np.random.default_rng(12))),
        "large_dataset.csv": csv(*large(np.random.default_rng(2000))),
    }
    files["README.md"] = readme(files)
    for name, content in files.items():
        Path(folder, name).write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
