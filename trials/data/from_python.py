"""Images and labels that are in memory already, as an archive that ``npz:FILE`` reads."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from trials.atomic_file import atomic_write
from trials.data.archives import ARRAYS, certain_layout
from trials.data.images import DataConfig, DataError, Images
from trials.data.labels import checked_labels
from trials.data.raw_split import SplitName
from trials.data.tables import split_of_table


class MapDataset(Protocol):
    """A map-style data set, such as a `torch.utils.data.Dataset` with a length."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and the label of an index."""


PythonData = MapDataset | tuple[Any, Any] | Mapping[str, Any]
"""A map-style data set of (image, label), a pair of arrays or tensors (images, labels), or a
`datasets.Dataset`; or a mapping with one of these as ``train`` and, where there are such,
``validation`` and ``test``.

Images are uint8, or floats from 0 to 1, which are rounded to uint8. Where their shape does not tell
the layout, arrays and pictures are (N, H, W, C), tensors (N, C, H, W) as PyTorch has them. Labels
are integers from 0, or names.
"""

Arrays = dict[str, NDArray[Any]]


def write_archive(arrays: Arrays, folder: Path) -> Path:
    """Write an archive named by its content, unless it is there; returns its absolute path.

    So other data never replaces that of a study.
    """
    digest = hashlib.sha256()
    for name, array in arrays.items():
        about = "" if name in ("images", "labels") else name
        about += repr(array.shape) if array.ndim > 1 else ""
        digest.update(about.encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    path = folder.absolute() / f"data-{digest.hexdigest()[:16]}.npz"
    if not path.is_file():  # it is written whole or not at all
        with atomic_write(path) as file:
            np.savez(file, **cast("dict[str, Any]", arrays))
    return path


def arrays_of(data: PythonData) -> Arrays:
    """Arrays as `trials.data.archives` names them.

    Raises:
        DataError: a size, type or value is not as `PythonData` says; the message names the image.
    """
    if not isinstance(data, Mapping):
        images, labels = _split(data)
        return {"images": images, "labels": labels}
    if unknown := [name for name in data if name not in ARRAYS]:
        raise DataError(
            f"{unknown[0]!r} is no split", hint="a mapping has train, validation and test"
        )
    if "train" not in data:
        raise DataError(f"there is no train split; there is {', '.join(data) or 'none'}")
    arrays = {}
    for name in cast("tuple[SplitName, ...]", tuple(data)):
        of_images, of_labels = ARRAYS[name][0]
        arrays[of_images], arrays[of_labels] = _split(data[name])
    return arrays


def layout_of(arrays: Arrays) -> str | None:
    """The layout that has to be said of images as `arrays_of` returns them."""
    images = next(iter(arrays.values()))
    return None if certain_layout(images.shape) else "NHWC"


def _split(data: MapDataset | tuple[Any, Any]) -> tuple[Images, NDArray[Any]]:
    """Images (N, H, W, C), uint8, and labels (N,), integers or names."""
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"a pair is (images, labels); got a tuple of {len(data)}")
        images, labels = _batch(data[0]), _array(data[1], "the labels")
    elif _is_table(data):
        return _table(data)
    else:
        images, labels = _items(data)
    if labels.shape != (len(images),):
        raise DataError(
            f"labels must be {len(images)} integers or names; "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    return images, checked_labels(labels, "the labels")


def _is_table(data: object) -> bool:
    """Whether it is a `datasets.Dataset`, which takes a second to load where nobody uses it."""
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(data, datasets.Dataset)


def _table(data: Any) -> tuple[Images, NDArray[Any]]:  # noqa: ANN401  # `datasets` is untyped
    table = data.flatten_indices()  # as it was shuffled or selected from
    raw = split_of_table(table, "the data set", Path.cwd(), DataConfig("a data set in Python"))
    if len(raw.labels) == 0:
        raise DataError("there are no images")
    images = np.stack(list(raw.images(np.arange(len(raw.labels)))))
    names = raw.labels if raw.classes is None else np.asarray(raw.classes)[raw.labels]
    return images, names


def _items(data: MapDataset) -> tuple[Images, NDArray[Any]]:
    if not isinstance(data, Sized):
        raise DataError(f"a map-style data set has a length; {type(data).__name__} has none")
    images, labels = [], []
    for index in range(len(data)):
        item = data[index]
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise DataError(f"data[{index}]: an item is (image, label); got {type(item).__name__}")
        images.append(_image(item[0], f"data[{index}]"))
        labels.append(item[1])
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"data[{index}]: the image has shape {images[-1].shape}, the first has "
                f"{images[0].shape}",
                hint="all images must have the same size",
            )
    if not images:
        raise DataError("there are no images")
    return np.stack(images), _array(labels, "the labels")


def _image(image: object, name: str) -> Images:
    """One image, (H, W, C)."""
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    pixels = _uint8(_array(image, name), name)
    if pixels.ndim not in (2, 3):
        raise DataError(f"{name}: an image is (H, W) or (H, W, C); got shape {pixels.shape}")
    of_one: Images = _channels_last(pixels[None], isinstance(image, torch.Tensor))[0]
    return of_one


def _batch(images: object) -> Images:
    """All images, (N, H, W, C)."""
    pixels = _uint8(_array(images, "the images"), "the images")
    if pixels.ndim not in (3, 4) or len(pixels) == 0:
        raise DataError(f"images are (N, H, W) or (N, H, W, C); got shape {pixels.shape}")
    return _channels_last(pixels, isinstance(images, torch.Tensor))


def _channels_last(pixels: Images, tensor: bool) -> Images:
    if pixels.ndim == 3:
        return pixels[..., None]
    layout = certain_layout(pixels.shape) or ("NCHW" if tensor else "NHWC")
    return np.moveaxis(pixels, 1, 3) if layout == "NCHW" else pixels


def _array(values: object, name: str) -> NDArray[Any]:
    """As NumPy's."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name}: no array can be made of them: {error}") from None


def _uint8(pixels: NDArray[Any], name: str) -> Images:
    if pixels.dtype == np.uint8:
        return cast("Images", pixels)
    if pixels.dtype.kind == "f" and pixels.size:
        low, high = float(pixels.min()), float(pixels.max())
        if 0 <= low <= high <= 1:
            return cast("Images", np.round(pixels * 255).astype(np.uint8))
        raise DataError(
            f"{name}: floats are from 0 to 1; got {low:g} to {high:g}",
            hint="give images as they are, before any normalisation",
        )
    raise DataError(f"{name}: images are uint8, or floats from 0 to 1; got {pixels.dtype}")
