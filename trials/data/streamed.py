"""Pictures that are decoded each time: for more than memory or a disk would hold once they are.

Which batches come next is said before each epoch, so that they are decoded while others are trained
on. The order is that of images in memory: to go on in the middle of an epoch is to begin at another
place of it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from math import exp, log, prod, sqrt
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataConfig, Images
from trials.data.raw_split import Box, Crop, RawSplit

BATCHES_AHEAD = 2
STATISTICS_OF = 10_000
"""Pictures that the normalisation is measured on."""

RATIOS = 3 / 4, 4 / 3
"""Of a random crop's width to its height, as is usual."""

_ATTEMPTS = 10


class StreamedPictures:
    """Images of some pictures of a split, in the place of an array or an `ImageFile`.

    Attributes:
        shape: (N, H, W, C), of uint8.
    """

    def __init__(
        self, raw: RawSplit, indices: NDArray[np.intp], shape: Sequence[int], config: DataConfig
    ) -> None:
        self.raw, self.indices, self.config = raw, indices, config
        self.shape = (len(indices), *shape)
        self._ahead: _Ahead | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def part(self, start: int, stop: int) -> StreamedPictures:
        """Those from ``start`` up to ``stop``."""
        return StreamedPictures(self.raw, self.indices[start:stop], self.shape[1:], self.config)

    def __getitem__(self, wanted: slice | NDArray[np.integer]) -> Images:
        """Decode images into a new array, (B, H, W, C)."""
        numbers = np.arange(len(self))[wanted]
        images: Images = np.empty((len(numbers), *self.shape[1:]), dtype=np.uint8)
        self.read(numbers, images)
        return images

    def read(self, numbers: NDArray[np.integer], images: Images) -> None:
        """Decode images (B,) into an array (B, H, W, C): those that come next, or any others.

        Raises:
            DataError: one of them cannot be read.
        """
        decoded = self._ahead.take(numbers) if self._ahead else None
        for place, image in enumerate(decoded or self.raw.images(self.indices[numbers])):
            images[place] = image

    def read_ahead(self, order: NDArray[np.integer], crops: Iterator[Crop] | None) -> None:
        """Begin to decode the batches (steps, B) that will be asked for, one after the other.

        Args:
            crops: of each picture, in that order; None decodes them as all others.
        """
        if self._ahead:
            self._ahead.close()
        indices = self.indices[order.reshape(-1)]
        if crops is None:
            images = self.raw.images(indices)
        else:
            assert self.raw.cropped is not None  # or it would not be streamed
            images = self.raw.cropped(indices, crops)
        self._ahead = _Ahead(order, images)

    def some(self) -> StreamedPictures:
        """A few thousand of them, evenly over all."""
        step = -(-len(self) // STATISTICS_OF)
        return StreamedPictures(self.raw, self.indices[::step], self.shape[1:], self.config)

    def named(self) -> bytes:
        """What tells these pictures from others without decoding them: names, sizes, order.

        Of shards it is the CRC32 of each picture as well, for which all are read once.

        Raises:
            DataError: one of them cannot be read.
        """
        assert self.raw.files is not None  # or it would not be streamed
        listed = [(name, file.stat().st_size) for name, file in self.raw.files()]
        settings = self.config.shape, self.config.resize, self.config.image_column, prod(self.shape)
        digest = hashlib.sha256(repr((listed, settings)).encode("utf-8", "surrogateescape"))
        digest.update(self.indices.astype(np.int64).tobytes())
        if self.raw.stored:
            contents = self.raw.stored(np.sort(self.indices))  # as they lie in their files
            digest.update(np.fromiter(map(crc32, contents), np.uint32).tobytes())
        return digest.digest()


class _Ahead:
    """Batches that a thread decodes before they are asked for."""

    def __init__(self, order: NDArray[np.integer], images: Iterator[Images]) -> None:
        self.left, self.images = deque(order), images
        self.thread = ThreadPoolExecutor(1)
        self.waiting: deque[tuple[NDArray[np.integer], Future[list[Images]]]] = deque()
        for _ in range(BATCHES_AHEAD):
            self._decode_next()

    def _decode_next(self) -> None:
        if self.left:
            numbers = self.left.popleft()
            decoded = self.thread.submit(lambda: list(islice(self.images, len(numbers))))
            self.waiting.append((numbers, decoded))

    def take(self, numbers: NDArray[np.integer]) -> list[Images] | None:
        """The next batch, if these are its images."""
        if not self.waiting or not np.array_equal(self.waiting[0][0], numbers):
            return None
        _, decoded = self.waiting.popleft()
        self._decode_next()
        return decoded.result()

    def close(self) -> None:
        """Decode no more."""
        self.left.clear()
        self.thread.shutdown(cancel_futures=True)


def random_crops(least: float, seed: int, epoch: int, places: Iterable[int]) -> Iterator[Crop]:
    """Random parts of pictures of an epoch, each by its place in it alone.

    Args:
        least: share of a picture's area.
        places: of the pictures.
    """
    return (_Drawn(least, (seed, epoch, place)) for place in places)


class _Drawn:
    """A crop that is drawn once the size of its picture is known."""

    def __init__(self, least: float, seeds: tuple[int, int, int]) -> None:
        self.least, self.seeds = least, seeds

    def __call__(self, width: int, height: int) -> Box:
        """A part of this area and these proportions that fits; else all that fits of the middle."""
        rng = np.random.default_rng(self.seeds)
        for _ in range(_ATTEMPTS):
            area = width * height * rng.uniform(self.least, 1)
            ratio = exp(rng.uniform(log(RATIOS[0]), log(RATIOS[1])))
            wide, high = sqrt(area * ratio), sqrt(area / ratio)
            if wide <= width and high <= height:
                left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
                return left, top, left + wide, top + high
        ratio = min(max(width / height, RATIOS[0]), RATIOS[1])
        wide, high = min(width, height * ratio), min(height, width / ratio)
        left, top = (width - wide) / 2, (height - high) / 2
        return left, top, left + wide, top + high
