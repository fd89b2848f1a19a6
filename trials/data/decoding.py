"""From a split of a source to arrays: in memory, or in a file of the cache where they are many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from trials.data.cache import cached_images, entry_key
from trials.data.image_file import ImageFile
from trials.data.images import DataConfig, DataError, Images, part_of
from trials.data.raw_split import Indices, RawSplit
from trials.data.streamed import StreamedPictures

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Bytes that the processes of a container may have together."""

Watch = Callable[[Iterator[Images], int], Iterator[Images]]
"""Passes images on, and shows how many of so many have been decoded."""


def unwatched(images: Iterator[Images], _count: int) -> Iterator[Images]:
    """Show nothing."""
    return images


def decode(
    raw: RawSplit,
    parts: Sequence[Indices],
    config: DataConfig,
    of_training: bool = False,
    watch: Watch = unwatched,
) -> list[Images | ImageFile | StreamedPictures]:
    """Images (N, H, W, C) of each part of a split, all of the shape of the first.

    Args:
        parts: indices of their images.
        of_training: whether ``config.shape`` is that of the training images, not one that was
            configured.

    Raises:
        DataError: an image is unreadable or has another shape; memory or disk would not hold them.
    """
    indices = np.concatenate(parts)
    images = _Placed(raw, indices, watch)
    _check_shape(images.first, raw.name(int(indices.min())), config, of_training)
    size = prod(images.shape)
    decoded: Images | ImageFile | StreamedPictures
    if raw.files and raw.cropped and config.stream and size > (config.memory or 0):
        decoded = StreamedPictures(raw, indices, images.shape[1:], config)
    elif raw.files is None or config.memory is None or size <= config.memory:
        _check_memory(size, "" if raw.files is None else ", or lower data.memory to use a file")
        decoded = np.empty(images.shape, dtype=np.uint8)
        for place, image in images:
            decoded[place] = image
    else:
        settings = config.shape, config.resize, config.image_column
        key = entry_key(raw.files(), settings, indices.astype(np.int64).tobytes())
        decoded = cached_images(key, images.shape, images.write)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return [part_of(decoded, start, end) for start, end in zip([0, *ends], ends, strict=False)]


class _Placed:
    """Decodes images in the order of their source, with the place of each among those wanted.

    Attributes:
        first: the first one, decoded.
        shape: (N, H, W, C) of all.
    """

    def __init__(self, raw: RawSplit, indices: Indices, watch: Watch) -> None:
        self.name = raw.name
        self.indices, self.order = indices, np.argsort(indices)
        self.images = watch(_readable(raw.images(indices[self.order])), len(indices))
        self.first = next(self.images)
        self.shape = (len(indices), *self.first.shape)

    def __iter__(self) -> Iterator[tuple[int, Images]]:
        for place, image in zip(self.order, chain([self.first], self.images), strict=True):
            if image.shape != self.first.shape:
                raise _mixed_shapes(self.name(int(self.indices[place])), image, self.first)
            yield int(place), image

    def write(self, file: BinaryIO, offset: int) -> None:
        """Write all to a file, the first one after so many bytes."""
        for place, image in self:
            file.seek(offset + place * image.nbytes)
            file.write(np.ascontiguousarray(image).data)


def _readable(images: Iterator[Images]) -> Iterator[Images]:
    """Images of a source that may fail, which is no failure of where they are kept."""
    try:
        yield from images
    except OSError as error:
        raise DataError(f"the images cannot be read: {error}") from None


def _check_shape(image: Images, name: str, config: DataConfig, of_training: bool) -> None:
    *size, channels = image.shape
    if config.shape and config.shape != (channels, *size):
        expected = "the training images have" if of_training else "got shape:"
        axes = "channels, frames, height, width" if len(size) == 3 else "channels, height, width"
        raise DataError(
            f"{name}: the image has {' x '.join(map(str, (channels, *size)))} "
            f"({axes}); {expected} {list(config.shape)}",
            "source" if of_training else "shape",
        )


def _mixed_shapes(name: str, image: Images, first: Images) -> DataError:
    return DataError(
        f"{name}: the image is {' x '.join(map(str, image.shape))}, "
        f"the first is {' x '.join(map(str, first.shape))}",
        hint="all images must have the same size",
    )


def _check_memory(size: int, instead: str) -> None:
    """Raise `DataError` where images are too many bytes to be held: nothing would be said later."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no limit is the word max, or no file
        memory = min(memory, int(CONTAINER_LIMIT.read_text()))
    if size > memory / 2:
        raise DataError(
            f"the images are {size / 1e9:,.1f} GB once they are decoded, more than half of this "
            f"machine's {memory / 1e9:,.1f} GB of memory",
            hint=f"use fewer (data.limit) or make them smaller (data.resize){instead}",
        )
