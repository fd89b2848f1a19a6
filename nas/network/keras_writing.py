"""A network's weights as a file that Keras loads, written with h5py alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from nas.network.keras_layers import KerasFileError, KerasLayer, Kind
from trials.atomic_file import atomic_write


def write_weights(path: Path, layers: Sequence[KerasLayer], convolution_head: bool) -> None:
    """Write ``.weights.h5`` of Keras 3 or, with any other ``.h5``, what earlier versions had.

    Args:
        layers: of the network.
        convolution_head: the linear layer as a 1 x 1 convolution, as Keras' MobileNet has it.

    Raises:
        KerasFileError: another ending: a ``.keras`` file has the whole model's description.
    """
    if path.suffix != ".h5":
        hint = "NAME.weights.h5, which model.load_weights of the same network in Keras reads"
        raise KerasFileError("weights alone are .weights.h5 or .h5; got another ending", hint)
    with h5py.File("weights", "w", driver="core", backing_store=False) as file:
        write = _write_numbered if path.name.endswith(".weights.h5") else _write_named
        write(file, list(_as_kept(layers, convolution_head)))
        file.flush()
        content = file.id.get_file_image()
    with atomic_write(path) as target:
        target.write(content)


_Kept = tuple[str, dict[str, NDArray[np.float32]]]
"""A layer by its class and number, and its arrays by name."""


def _as_kept(layers: Sequence[KerasLayer], convolution_head: bool) -> Iterator[_Kept]:
    numbers: Counter[Kind] = Counter()
    for layer in layers:
        kind, values = layer.kind, layer.values()
        if kind == "dense" and convolution_head:
            kind, values = "conv2d", [values[0][None, None], values[1]]
        number = numbers[kind]
        numbers[kind] += 1
        names = [array.name for array in layer.arrays]
        yield f"{kind}_{number}" if number else kind, dict(zip(names, values, strict=True))


def _write_numbered(file: h5py.File, layers: Sequence[_Kept]) -> None:
    for name, arrays in layers:
        group = file.create_group(f"layers/{name}/vars")
        for index, values in enumerate(arrays.values()):
            group[str(index)] = values


def _write_named(file: h5py.File, layers: Sequence[_Kept]) -> None:
    """In the order that Keras lists layers in: it loads by that order alone."""
    file.attrs["layer_names"] = np.array([name.encode() for name, _ in layers])
    file.attrs["backend"] = b"tensorflow"  # whose layouts these are
    file.attrs["keras_version"] = b"2.15.0"
    for name, arrays in layers:
        group = file.create_group(name)
        names = {f"{name}/{array}:0": values for array, values in arrays.items()}
        group.attrs["weight_names"] = np.array([key.encode() for key in names])
        for key, values in names.items():
            group[key] = values
