"""Decoded images in a file, read when they are asked for: for more than memory would hold."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataError, Images


@dataclass(frozen=True)
class ImageFile:
    """Images one after the other in a file; processes give each other its path alone.

    They are read by their position and not mapped into memory, where every page that was looked at
    would count as the process's own. What memory is free keeps them all the same: the system's
    cache of files, one for all processes.

    Attributes:
        path: of the file.
        offset: bytes before the first image.
        shape: (N, H, W, C), of uint8.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def image_size(self) -> int:
        """Bytes of one image."""
        return math.prod(self.shape[1:])

    def part(self, start: int, stop: int) -> ImageFile:
        """Images from ``start`` up to ``stop``, which are not read yet."""
        offset = self.offset + start * self.image_size
        return ImageFile(self.path, offset, (stop - start, *self.shape[1:]))

    def __getitem__(self, wanted: slice | NDArray[np.integer]) -> Images:
        """Read images into a new array, (B, H, W, C)."""
        numbers = np.arange(len(self))[wanted]
        images: Images = np.empty((len(numbers), *self.shape[1:]), dtype=np.uint8)
        self.read(numbers, images)
        return images

    def read(self, numbers: NDArray[np.integer], images: Images) -> None:
        """Read images (B,) into an array (B, H, W, C).

        Raises:
            DataError: the file is gone, or shorter than it was.
        """
        descriptor, size = self._file.fileno(), self.image_size
        for image, number in zip(images, numbers, strict=True):
            if os.preadv(descriptor, [image], self.offset + int(number) * size) != size:
                raise DataError(f"{self.path} ends before image {number}", "memory")

    def open(self) -> None:
        """Open the file, which stays readable from now on, whoever removes it.

        Raises:
            DataError: it is not on this machine.
        """
        _ = self._file

    @cached_property
    def _file(self) -> FileIO:
        try:
            return FileIO(self.path)
        except OSError as error:
            raise DataError(
                f"{self.path}, which has the decoded images, cannot be read on "
                f"{socket.gethostname()}: {error.strerror}",
                "memory",
                "the machines of a cluster need a cache that they share (XDG_CACHE_HOME), "
                "or --no-cache",
            ) from None

    def __reduce__(self) -> tuple[Callable[..., ImageFile], tuple[object, ...]]:
        return ImageFile, (self.path, self.offset, self.shape)
