"""Keras' files, read with h5py alone: ``.keras``, ``.weights.h5`` and older ``.h5``.

Nothing in a file is run or unpickled: of a model's description as JSON two facts are read, and of
its weights those arrays whose shapes the network has. What reaches outside the file is refused.
"""

from __future__ import annotations

import math
import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nas.network.keras_layers import KerasFileError, KerasLayer, Kind, Shapes, StoredLayer, fill
from nas.network.scratch import scratch_folder
from trials.bounded_json import JsonError, parse_json

_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"
_MAX_CONFIG = 2**26
_OVERHEAD = 8
"""A file's bytes for each byte of the network's weights: optimizers keep several of each, too."""
_LEAST = 2**29
"""Bytes that weights may have in any case: those of another network are to be named."""

_HINT = "a file that Keras has saved whole: .keras, .weights.h5 or .h5"


def read_weights(path: Path, layers: Sequence[KerasLayer], norm_epsilon: float) -> None:
    """Write a file's weights into a network, each layer found by its kind and shapes.

    Args:
        layers: of the network.
        norm_epsilon: of its batch norms, which a description in the file is compared with.

    Raises:
        KerasFileError: it cannot be read, is of another network, or has what is not to be.
    """
    parameters = sum(math.prod(shape) for layer in layers for shape in layer.shapes)
    try:
        most = max(_LEAST, _OVERHEAD * 4 * parameters)
        with _opened(path, most, partial(_check_config, norm_epsilon)) as file:
            fill(layers, list(_stored_layers(file)))
    except KerasFileError:
        raise
    except Exception as error:  # of HDF5 and zip, for files that are damaged or made to harm
        reason = str(error).strip("'\"").partition("\n")[0] or type(error).__name__
        raise KerasFileError(f"cannot be read: {reason}", _HINT) from None


@contextmanager
def _opened(
    path: Path, most: int, check_config: Callable[[str | bytes], None]
) -> Iterator[h5py.File]:
    """The weights, once the description of the model, where there is one, is checked.

    Args:
        most: bytes that weights are unpacked to.
    """
    if not path.is_file():
        raise KerasFileError("no such file", _HINT)
    with path.open("rb") as file:
        begins = file.read(4)
    if begins == b"\x89HDF":
        with h5py.File(path, "r") as weights:
            if (described := weights.attrs.get("model_config")) is not None:
                check_config(described)
            yield weights
    elif begins == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive, scratch_folder("nas-keras-") as folder:
            _check_members(archive)
            check_config(archive.read(_member(archive, _CONFIG, _MAX_CONFIG)))
            member = _member(archive, _WEIGHTS, most)
            extracted = folder / "weights.h5"
            with archive.open(member) as source, extracted.open("wb") as target:
                shutil.copyfileobj(source, target)  # no more than the size that it has said
            with h5py.File(extracted, "r") as weights:
                yield weights
    else:
        raise KerasFileError(f"neither HDF5 nor a zip archive; it begins with {begins!r}", _HINT)


def _check_members(archive: zipfile.ZipFile) -> None:
    """Nothing is unpacked under the name that it has; what has a strange one is no Keras file."""
    for member in archive.infolist():
        parts = member.filename.replace("\\", "/").split("/")
        if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise KerasFileError(f"members of a .keras file stay in it; got {member.filename!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise KerasFileError(f"a .keras file has no links; got {member.filename!r}")


def _member(archive: zipfile.ZipFile, name: str, most: int) -> zipfile.ZipInfo:
    found = [member for member in archive.infolist() if member.filename == name]
    if len(found) != 1:
        raise KerasFileError(f"a .keras file has one {name}; got {len(found)}", _HINT)
    if found[0].flag_bits & 1:
        raise KerasFileError(f"{name} is not encrypted; got one that is")
    if found[0].file_size > most:
        size = f"{found[0].file_size:,}"
        raise KerasFileError(f"{name} has at most {most:,} bytes for this network; got {size}")
    return found[0]


def _check_config(norm_epsilon: float, config: str | bytes) -> None:
    """Refuses code, and batch norms of another epsilon, which no shape would tell."""
    try:
        text = config.decode() if isinstance(config, bytes) else config
        described = parse_json(text, finite=False, most=_MAX_CONFIG)
    except (JsonError, UnicodeDecodeError) as error:
        raise KerasFileError(f"the model's description: {error}", _HINT) from None
    for layer in _described(described):
        options = layer.get("config")
        if layer["class_name"] in ("Lambda", "__lambda__"):
            rule = "a network of this project has no Lambda layer, whose code is pickled"
            hint = "build the network without it in Keras, and save its weights alone"
            raise KerasFileError(f"{rule}; got {_name(options)}, not read", hint)
        if layer["class_name"] == "BatchNormalization" and isinstance(options, dict):
            epsilon = options.get("epsilon", norm_epsilon)
            if not isinstance(epsilon, int | float) or not math.isclose(epsilon, norm_epsilon):
                rule = f"batch norms have the epsilon {norm_epsilon:g}"
                hint = "the preset's option norm_epsilon"
                raise KerasFileError(f"{rule}; got {epsilon!r} in {_name(options)}", hint)


def _described(value: object) -> Iterator[dict[str, Any]]:
    """All objects of a description that have a class."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _described(item)


def _name(options: object) -> str:
    return repr(options.get("name", "one")) if isinstance(options, dict) else "one"


def _stored_layers(file: h5py.File) -> Iterator[StoredLayer]:
    """Of the two ways in which Keras has kept weights."""
    for name in ("layers", "_layer_checkpoint_dependencies"):  # Keras 3; 2.12
        if name in file:
            yield from _numbered_layers(_group(file, name))
            return
    root = _group(file, "model_weights") if "model_weights" in file else file
    if "layer_names" not in root.attrs and "layer_names0" not in root.attrs:
        raise KerasFileError("it has no weights where Keras keeps them", _HINT)
    for name in _names(root, "layer_names"):
        group = _group(root, name)
        if weights := _names(group, "weight_names"):
            yield _stored(name, [_dataset(group, weight) for weight in weights])


def _numbered_layers(layers: h5py.Group) -> Iterator[StoredLayer]:
    """Keras 3: ``separable_conv2d_3/vars/0``, numbered by class in the order of the layers."""
    for key in sorted(layers, key=_by_number):
        layer = _group(layers, key)
        if "vars" not in layer:
            continue
        arrays = _group(layer, "vars")
        if len(arrays):
            name = arrays.attrs.get("name", key)
            found = [_dataset(arrays, index) for index in sorted(arrays, key=_by_number)]
            yield _stored(name if isinstance(name, str) else key, found)


def _by_number(name: str) -> tuple[str, int]:
    """A name without its number, and the number: the first of a class has none."""
    found = re.fullmatch(r"(.*?)_?(\d{1,9})?", name, re.DOTALL)
    return (found[1], int(found[2] or 0)) if found else (name, 0)


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """Names that an attribute lists, in several parts where they are many."""
    numbered = takewhile(group.attrs.__contains__, (f"{attribute}{part}" for part in count()))
    parts = [attribute] if attribute in group.attrs else list(numbered)
    found = [name for part in parts for name in np.atleast_1d(group.attrs[part]).tolist()]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    found = _inside(parent, name)
    if not isinstance(found, h5py.Group):
        raise KerasFileError(f"{name} is a group; got {type(found).__name__}", _HINT)
    return found


def _dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    """An array of numbers whose bytes are in this file."""
    found = _inside(parent, name)
    if not isinstance(found, h5py.Dataset) or found.dtype.kind != "f" or found.shape is None:
        raise KerasFileError(f"{name} is an array of floating-point numbers; got another", _HINT)
    if found.external or found.is_virtual:
        raise KerasFileError(f"the numbers of {name} are in the file; got another file's")
    if found.chunks and math.prod(found.chunks) > math.prod(found.shape):
        raise KerasFileError(f"a piece of {name} is no larger than it; got {found.chunks}")
    return found


def _inside(parent: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """What a path leads to, by no link to another place or file."""
    found = parent
    for part in path.split("/"):
        if not isinstance(found, h5py.Group) or part not in found:
            raise KerasFileError(f"{path} is in {parent.name}; got nothing", _HINT)
        if not isinstance(found.get(part, getlink=True), h5py.HardLink):
            raise KerasFileError(f"links are not followed; got {path}")
        found = found[part]
    return found


def _stored(name: str, arrays: Sequence[h5py.Dataset]) -> StoredLayer:
    """A layer by the shapes of its arrays, the same in every format."""
    shapes = tuple(tuple(map(int, array.shape)) for array in arrays)
    kind = _kind(shapes)
    if kind == "dense":  # MobileNet's is a 1 x 1 convolution with a bias
        shapes = (shapes[0][-2:], shapes[1])
    expected = shapes

    def read() -> list[NDArray[np.float32]]:
        values = [np.asarray(array[()], dtype=np.float32) for array in arrays]
        return [value.reshape(shape) for value, shape in zip(values, expected, strict=True)]

    return StoredLayer(name, kind, shapes, read)


def _kind(shapes: Shapes) -> Kind:
    match tuple(map(len, shapes)):
        case (4,):
            height, width, _, multiplier = shapes[0]
            return "depthwise_conv2d" if multiplier == 1 and height * width > 1 else "conv2d"
        case (4, 4):
            return "separable_conv2d"
        case (1, 1, 1) | (1, 1, 1, 1):
            return "batch_normalization"
        case (2, 1):
            return "dense"
        case (4, 1) if shapes[0][:2] == (1, 1):
            return "dense"
    return "other"
