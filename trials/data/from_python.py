"""Images and labels that are in memory already, as an archive that ``npz:FILE`` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sized
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from PIL import Image

from trials.atomic_file import atomic_write
from trials.data.images import DataError, Images, Labels


class MapDataset(Protocol):
    """A map-style data set, such as a `torch.utils.data.Dataset` with a length."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and the label of an index."""


PythonData = MapDataset | tuple[Any, Any]
"""A map-style data set of (image, label), or a pair of arrays or tensors (images, labels).

Images are uint8, or floats from 0 to 1, which are rounded to uint8; arrays and pictures are
(N, H, W, C) or (N, H, W), tensors (N, C, H, W) as PyTorch has them. Labels are integers from 0.
"""


def write_archive(images: Images, labels: Labels, folder: Path) -> Path:
    """Write an archive named by its content, unless it is there; returns its absolute path.

    So other data never replaces that of a study.
    """
    digest = hashlib.sha256(repr(images.shape).encode())
    for array in (images, labels):
        digest.update(np.ascontiguousarray(array).data)
    path = folder.absolute() / f"data-{digest.hexdigest()[:16]}.npz"
    if not path.is_file():  # it is written whole or not at all
        with atomic_write(path) as file:
            np.savez(file, images=images, labels=labels)
    return path


def arrays_of(data: PythonData) -> tuple[Images, Labels]:
    """Images (N, H, W, C), uint8, and labels (N,).

    Raises:
        DataError: a size, type or value is not as `PythonData` says; the message names the image.
    """
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"a pair is (images, labels); got a tuple of {len(data)}")
        images, labels = _batch(data[0]), _array(data[1], "the labels")
    else:
        images, labels = _items(data)
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        raise DataError(
            f"labels must be {len(images)} integers; got {labels.dtype} of shape {labels.shape}"
        )
    return images, labels.astype(np.int64)


def _items(data: MapDataset) -> tuple[Images, np.ndarray[Any, Any]]:
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
    pixels = _uint8(_array(image, name, channels_first=3), name)
    if pixels.ndim not in (2, 3):
        raise DataError(f"{name}: an image is (H, W) or (H, W, C); got shape {pixels.shape}")
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _batch(images: object) -> Images:
    """All images, (N, H, W, C)."""
    pixels = _uint8(_array(images, "the images", channels_first=4), "the images")
    if pixels.ndim not in (3, 4) or len(pixels) == 0:
        raise DataError(f"images are (N, H, W) or (N, H, W, C); got shape {pixels.shape}")
    return pixels[..., None] if pixels.ndim == 3 else pixels


def _array(values: object, name: str, channels_first: int = 0) -> np.ndarray[Any, Any]:
    """As NumPy's; tensors of as many dimensions have their channels moved to the end."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
        values = values.movedim(-3, -1) if values.ndim == channels_first else values
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name}: no array can be made of them: {error}") from None


def _uint8(pixels: np.ndarray[Any, Any], name: str) -> Images:
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
