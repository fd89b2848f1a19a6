"""NumPy archives: the reader behind ``npz:FILE``."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from trials.data.images import DataConfig, DataError, Layout
from trials.data.many_labels import labels_of_array
from trials.data.raw_split import RawSplit, SplitName, no_split

ARRAYS: dict[SplitName, Sequence[tuple[str, str]]] = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels")),
    "validation": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}

MAX_BYTES = 64 * 2**30
"""Of one array: what the head of a damaged file claims is not allocated."""

_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and Python raise on an archive that was cut off, overwritten or encrypted."""


class ArchiveSource:
    """``x_train, y_train, x_test, y_test`` or ``train_images, train_labels, ...``, with
    ``x_val, y_val`` or ``val_images, val_labels`` or without; or just ``images, labels``.

    Images are uint8, (N, H, W), (N, H, W, C) or (N, C, H, W); clips of T frames (N, T, H, W, C) or
    (N, C, T, H, W). Labels are (N,), or (N, classes) with
    a 1 for each class that an image has.
    """

    def __init__(self, location: str, config: DataConfig) -> None:
        self.location, self.config = location, config
        self.path = Path(location)
        if not self.path.is_file():
            raise DataError(f"no such file: {location}")

    def splits(self) -> tuple[SplitName, ...]:
        return tuple(name for name in get_args(SplitName) if self._names(name))

    def read(self, split: SplitName) -> RawSplit:
        names = self._names(split)
        if names is None:
            if split == "train":
                arrays = ", ".join(self._arrays) or "none"
                raise DataError(
                    f"{self.path} has no arrays {' and '.join(ARRAYS[split][0])}; it has {arrays}"
                )
            raise no_split(self, split)
        images, labels = (self._array(name) for name in names)
        if images.dtype != np.uint8 or images.ndim not in (3, 4, 5):
            raise DataError(
                f"{self.path}: {names[0]} must be uint8 of shape (N, H, W), (N, H, W, C) or "
                "(N, C, H, W), or (N, T, H, W, C) or (N, C, T, H, W) of clips; "
                f"got {images.dtype} of shape {images.shape}",
                hint=_conversion(images),
            )
        images = channels_last(images, self.config.layout, f"{self.path}: {names[0]}")
        if self.config.resize and images.shape[-3:-1] != self.config.resize.size:
            height, width = images.shape[-3:-1]
            raise DataError(
                f"{self.path}: {names[0]} are {height} x {width}; arrays are not resized, only "
                "pictures: resize says how these were",
                "resize",
            )

        def name(index: int) -> str:
            return f"{self.path}: {names[0]}, image {index}"

        labels = labels_of_array(labels, len(images), f"{self.path}: {names[1]}", name)
        classes = self._classes()
        if labels.ndim == 2 and classes and len(classes) != labels.shape[1]:
            classes = None
        return RawSplit(labels, lambda indices: (images[i] for i in indices), name, classes)

    def _classes(self) -> tuple[str, ...] | None:
        if "classes" not in self._arrays:
            return None
        names = self._array("classes")
        if names.ndim != 1 or names.dtype.kind != "U" or len(np.unique(names)) < len(names):
            return None  # something of the user's own
        return tuple(map(str, names))

    def _names(self, split: SplitName) -> tuple[str, str] | None:
        """The arrays of a split's images and labels."""
        return next((pair for pair in ARRAYS[split] if set(pair) <= self._arrays.keys()), None)

    @cached_property
    def _arrays(self) -> dict[str, zipfile.ZipInfo]:
        """What is in the archive, by name."""
        with self.path.open("rb") as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise DataError(f"{self.path} is a single array, not an archive of several (.npz)")
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except _DAMAGED as error:
            raise self._unreadable(error) from None
        return {member.filename.removesuffix(".npy"): member for member in members}

    def _array(self, name: str) -> NDArray[Any]:
        """An array whose head and size agree: nothing is allocated for one that claims more."""
        member = self._arrays[name]
        try:
            with zipfile.ZipFile(self.path) as archive:
                with archive.open(member) as file:
                    shape, dtype = _head(file)
                    size = math.prod(shape) * dtype.itemsize
                    if size != member.file_size - file.tell() or size > MAX_BYTES:
                        raise ValueError(
                            f"{name} claims {size:,} bytes and has {member.file_size:,}"
                        )
                with archive.open(member) as file:
                    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
                    return array
        except _DAMAGED as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"{self.path} cannot be read: {error}")


def _head(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:  # noqa: ANN401  # a zip's member
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("arrays of Python objects are not read: they may run a program")
    return shape, dtype


def channels_last(images: NDArray[Any], layout: Layout | None, what: str) -> NDArray[Any]:
    """Images (N, H, W, C) of (N, H, W), (N, H, W, C) or (N, C, H, W); of clips alike.

    Raises:
        DataError: the shape does not tell the layout, and it is not given; or one is given that has
            another number of axes.
    """
    if images.ndim == 3:
        return images[..., None]
    known: tuple[Layout, Layout] = ("NHWC", "NCHW") if images.ndim == 4 else ("NTHWC", "NCTHW")
    hint = f"say which: data.layout: {' or '.join(known)}"
    layout = layout or certain_layout(images.shape)
    if layout is None:
        either = " or ".join(f"({', '.join(axes)})" for axes in known)
        message = f"{what} has shape {images.shape}, which may be {either}"
        raise DataError(message, "layout", hint)
    if layout not in known:
        message = f"{what} has shape {images.shape}, which is not {', '.join(layout)}"
        raise DataError(message, "layout", hint)
    return np.moveaxis(images, 1, -1) if layout == known[1] else images


def certain_layout(shape: tuple[int, ...]) -> Layout | None:
    """What a shape of four dimensions, or five of clips, says of its layout.

    Images have one to four channels, and more rows and columns than that, and clips more frames:
    where only one of the two layouts is such, it is certain.
    """
    first, last = shape[1] <= 4, shape[-1] <= 4
    if first == last:
        return None
    if len(shape) == 5:
        return "NCTHW" if first else "NTHWC"
    return "NCHW" if first else "NHWC"


def _conversion(images: NDArray[Any]) -> str:
    """How to write them as they are expected."""
    if images.dtype.kind != "f" or images.size == 0:
        return ""
    low, high = np.nanmin(images), np.nanmax(images)
    if low >= 0 and high <= 1:
        return "floats from 0 to 1: save (images * 255).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return "floats from 0 to 255: save images.round().astype('uint8')"
    return "save the images as they were before they were normalised, as uint8 from 0 to 255"
