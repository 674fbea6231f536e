"""Sequential: layers in a row, their parameters by name, and a file to keep them in."""

from __future__ import annotations

import inspect
import json
import operator
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnlib import layers as nnlib_layers
from nnlib._shapes import Array
from nnlib.layers import Conv2D, Layer, Linear, Shape
from nnlib.parameters import Parameters

__all__ = ["Sequential"]


class Sequential:
    """A network whose layers follow one another.

    The arrays of its `Linear` and `Conv2D` layers become views of one vector, side by side, which makes the
    steps of an optimizer fast. Take them from `params`, or from the layers, once they are in the network.

    Parameters
    ----------
    layers : the layers, first to last; `add` appends more

    Raises
    ------
    TypeError
        When something is not a `Layer`.
    ValueError
        When a layer cannot take what the layer before it gives, or is used twice.

    Examples
    --------
    >>> from nnlib import Linear, Sigmoid
    >>> rng = np.random.default_rng(0)
    >>> net = Sequential([Linear(2, 3, rng=rng), Sigmoid()])
    >>> net.add(Linear(3, 1, rng=rng)).forward(np.zeros((4, 2))).shape
    (4, 1)
    >>> list(net.params())
    ['0.W', '0.b', '2.W', '2.b']
    """

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        self.layers: list[Layer] = []
        self._side_by_side: Parameters | None = None
        for layer in layers:
            self._append(layer)
        self._gather()

    def add(self, layer: Layer) -> Sequential:
        """Append a layer; returns the network, so that calls can be chained."""
        self._append(layer)
        self._gather()
        return self

    def _append(self, layer: Layer) -> None:
        if not isinstance(layer, Layer):
            hint = ": write it with brackets, ReLU()" if isinstance(layer, type) else ""
            raise TypeError(f"Sequential expects layers, got {layer!r}{hint}")
        if any(layer is other for other in self.layers):
            raise ValueError(
                f"{layer!r} is in the network already: make a new one, a layer remembers one batch only"
            )
        try:
            self._shapes([*self.layers, layer])
        except ValueError as error:
            raise ValueError(f"layer {len(self.layers)} does not fit: {error}") from None
        self.layers.append(layer)

    def _gather(self) -> None:
        """Put the parameters of all layers side by side in one vector, of which the layers get views.

        Left undone where a layer is not one of nnlib's: it may know its arrays under other names as well.
        """
        owners = [layer for layer in self.layers if layer.params]
        self._side_by_side, self._gathered = None, list(self.layers)
        params = self.params()
        if all(type(o) in (Linear, Conv2D) for o in owners) and len({v.dtype for v in params.values()}) == 1:
            self._side_by_side = Parameters(params)
            views = iter(self._side_by_side.values())
            for layer in owners:
                layer.params.update(zip(layer.params, views, strict=False))

    @staticmethod
    def _shapes(layers: list[Layer], shape: Shape | None = None) -> list[Shape | None]:
        """Shape of one row after each layer, as far as it is known."""
        shapes = []
        for layer in layers:
            shape = layer.output_shape(shape)
            shapes.append(shape)
        return shapes

    def forward(self, X: Array) -> Array:
        """Output for a batch; every layer remembers what its backward needs."""
        for layer in self._nonempty():
            X = layer.forward(X)
        return X

    def backward(self, dY: Array, *, input_gradient: bool = True) -> Array:
        """Gradient with respect to the input; fills the gradients of all layers.

        With `input_gradient=False`, as in training, the first layer may leave it out.
        """
        first, *others = self._nonempty()
        for layer in reversed(others):
            dY = layer.backward(dY)
        return first.backward(dY) if input_gradient else first.backward_parameters(dY)

    def predict(self, X: Array, *, batch_size: int = 1000) -> Array:
        """Output in use rather than in training, computed in slices; changes nothing.

        Parameters
        ----------
        X : (N, ...)
        batch_size : rows at a time, which bounds the memory

        Returns
        -------
        the output of the last layer for all N rows
        """
        X = np.asarray(X)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        outputs = []
        for start in range(0, max(len(X), 1), batch_size):
            batch = X[start : start + batch_size]
            for layer in self._nonempty():
                batch = layer.infer(batch)
            outputs.append(batch)
        return np.concatenate(outputs) if len(outputs) > 1 else outputs[0]

    def _nonempty(self) -> list[Layer]:
        if not self.layers:
            raise ValueError("the network has no layers: add one first")
        return self.layers

    def params(self) -> dict[str, Array]:
        """The very arrays of all parameters, named ``"0.W"``, ``"0.b"``, ``"2.W"`` ..."""
        arrays = [theta for layer in self.layers for theta in layer.params.values()]
        kept = self._side_by_side
        # as long as layers and arrays are those that were gathered: both may be changed from outside
        same = kept is not None and self._gathered == self.layers and len(kept) == len(arrays)
        if kept is not None and same and all(map(operator.is_, kept.values(), arrays)):
            return kept
        return {f"{i}.{k}": v for i, layer in enumerate(self.layers) for k, v in layer.params.items()}

    def grads(self) -> dict[str, Array]:
        """Gradients from the last `backward`, under the names of `params`."""
        return {f"{i}.{k}": v for i, layer in enumerate(self.layers) for k, v in layer.grads.items()}

    def summary(self, input_shape: Shape | None = None) -> str:
        """Table of layers, output shapes and parameter counts.

        Parameters
        ----------
        input_shape : shape of one example, such as (1, 28, 28), where the first layer does not tell

        Examples
        --------
        >>> from nnlib import Linear, ReLU
        >>> print(Sequential([Linear(2, 3, rng=np.random.default_rng(0)), ReLU()]).summary())
        layer     output  parameters
        0 Linear  (N, 3)           9
        1 ReLU    (N, 3)           0
        total                      9
        """
        shapes = self._shapes(self.layers, input_shape)
        counts = [sum(p.size for p in layer.params.values()) for layer in self.layers]
        rows = [("layer", "output", "parameters")]
        for i, (layer, shape, count) in enumerate(zip(self.layers, shapes, counts, strict=True)):
            output = "?" if shape is None else f"({', '.join(['N', *map(str, shape)])})"
            rows.append((f"{i} {type(layer).__name__}", output, f"{count:,}"))
        rows.append(("total", "", f"{sum(counts):,}"))
        a, b, c = (max(len(row[i]) for row in rows) for i in range(3))
        return "\n".join(f"{x:<{a}}  {y:<{b}}  {z:>{c}}" for x, y, z in rows)

    def __repr__(self) -> str:
        inner = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Sequential([\n{inner}])" if inner else "Sequential([])"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers and parameters to an ``.npz`` file: all of it or, on failure, nothing.

        Parameters
        ----------
        path : file to write; an older file is replaced only once the new one is complete
        """
        architecture = [[type(layer).__name__, layer.config()] for layer in self.layers]
        path = Path(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, architecture=np.array(json.dumps(architecture)), **self.params())  # type: ignore[arg-type]
            # mkstemp makes files that only their owner can read; the umask may open them to others,
            # and must not close them to the owner: Pyodide's is 0o777
            os.chmod(temporary, 0o600 | (0o666 & ~_umask()))
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, custom: Mapping[str, type[Layer]] | None = None
    ) -> Sequential:
        """Network from a file that `save` wrote; pickled data is refused.

        Parameters
        ----------
        path : the file
        custom : your own layer classes, by class name

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When the file is not one that `save` wrote, or its parameters do not fit its layers.
        """
        known = {name: getattr(nnlib_layers, name) for name in nnlib_layers.__all__ if name != "Layer"}
        known.update(custom or {})
        try:
            with open(path, "rb") as file:
                archive = np.load(file, allow_pickle=False)
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise ValueError("it holds a single array")
                stored = {name: archive[name] for name in archive.files}
            architecture = json.loads(str(stored.pop("architecture")))
            net = cls(_rebuild(name, config, known) for name, config in architecture)
            _fill(net.params(), stored)
        except FileNotFoundError:
            raise
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, OSError) as error:
            raise ValueError(f"{path} is not a network that Sequential.save wrote: {error}") from error
        return net


def _umask() -> int:
    mask = os.umask(0)  # there is no way to read it without setting it
    os.umask(mask)
    return mask


def _rebuild(name: str, config: dict[str, Any], known: dict[str, type[Layer]]) -> Layer:
    if name not in known:
        raise ValueError(f"unknown layer {name}: pass it as load(path, custom={{{name!r}: {name}}})")
    if "rng" in inspect.signature(known[name]).parameters:
        config = {**config, "rng": np.random.default_rng()}  # drawn weights are replaced at once
    return known[name](**config)


def _fill(params: dict[str, Array], stored: dict[str, Array]) -> None:
    if params.keys() != stored.keys():
        raise ValueError(f"expected parameters {sorted(params)}, got {sorted(stored)}")
    for name, value in stored.items():
        if value.shape != params[name].shape or value.dtype != params[name].dtype:
            raise ValueError(
                f"expected {name} as {params[name].dtype} of shape {params[name].shape}, "
                f"got {value.dtype} of shape {value.shape}"
            )
    for name, value in stored.items():
        params[name][...] = value
