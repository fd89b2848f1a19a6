"""Images and labels that are in memory already, as an archive that every source reader reads."""

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


def keep_as_npz(data: PythonData, path: Path) -> Path:
    """Write data to an archive (``images``, ``labels``), unless it is there as it is.

    Raises:
        DataError: it is no data of that kind; the message names the image.
    """
    images, labels = arrays_of(data)
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(labels.data)
    digest.update(repr(images.shape).encode())
    fingerprint = np.array(digest.hexdigest())
    if not (path.is_file() and _fingerprint_of(path) == digest.hexdigest()):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            np.savez(file, images=images, labels=labels, fingerprint=fingerprint)
    return path


def arrays_of(data: PythonData) -> tuple[Images, Labels]:
    """Images (N, H, W, C), uint8, and labels (N,).

    Raises:
        DataError: a size, type or value is not as `PythonData` says; the message names the image.
    """
    if isinstance(data, tuple) and len(data) == 2:
        images, labels = _batch(data[0]), np.asarray(data[1])
    else:
        images, labels = _items(cast("MapDataset", data))
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        raise DataError(
            f"data: labels must be {len(images)} integers; got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    return images, labels.astype(np.int64)


def _items(data: MapDataset) -> tuple[Images, Labels]:
    if not isinstance(data, Sized):
        raise DataError(f"data has no length: a map-style data set is needed; got {type(data)}")
    items = [data[index] for index in range(len(data))]
    if not items:
        raise DataError("data has no images")
    images = [_image(image, f"data[{index}]") for index, (image, _) in enumerate(items)]
    for index, image in enumerate(images):
        if image.shape != images[0].shape:
            raise DataError(
                f"data[{index}]: the image has shape {image.shape}, the first has "
                f"{images[0].shape}",
                hint="all images must have the same size",
            )
    return np.stack(images), np.array([int(label) for _, label in items])


def _image(image: object, name: str) -> Images:
    """One image, (H, W, C)."""
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    if isinstance(image, torch.Tensor):
        if image.ndim == 3:
            image = image.permute(1, 2, 0)
        image = image.cpu().numpy()
    pixels = _uint8(np.asarray(image), name)
    if pixels.ndim not in (2, 3):
        raise DataError(f"{name}: an image is (H, W) or (H, W, C); got shape {pixels.shape}")
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _batch(images: object) -> Images:
    """All images, (N, H, W, C)."""
    if isinstance(images, torch.Tensor):
        if images.ndim == 4:
            images = images.permute(0, 2, 3, 1)
        images = images.cpu().numpy()
    pixels = _uint8(np.asarray(images), "data")
    if pixels.ndim not in (3, 4) or len(pixels) == 0:
        raise DataError(f"data: images are (N, H, W) or (N, H, W, C); got shape {pixels.shape}")
    return pixels[..., None] if pixels.ndim == 3 else pixels


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


def _fingerprint_of(path: Path) -> str:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return str(archive["fingerprint"])
    except (OSError, KeyError, ValueError):
        return ""
