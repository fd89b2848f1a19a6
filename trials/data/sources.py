"""Where images come from: scikit-learn, a generator, an archive; tables are in their own file."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataConfig, DataError, Images, Labels
from trials.data.raw_split import RawSplit, Source
from trials.data.tables import TableSource

MAX_SYNTHETIC = 2**30
"""Values of all generated images together."""


def open_source(config: DataConfig) -> Source:
    """Find a source without reading its images.

    Raises:
        DataError: there is no such source.
    """
    kind, colon, location = config.source.partition(":")
    if not colon and kind == "digits":
        return _Digits()
    if not colon and kind == "synthetic":
        return _Synthetic(config)
    if location and kind == "npz":
        return _Npz(location)
    if location and kind in ("parquet", "images", "hub"):
        return TableSource(kind, location, config)
    raise DataError(
        f"no such source: {config.source}",
        hint="digits, synthetic, parquet:DIR, hub:NAME, images:DIR or npz:FILE",
    )


def stratified(labels: Labels, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask with this fraction of each class, at least one image of it."""
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: max(1, round(fraction * len(members)))]] = True
    return chosen


def _from_arrays(images: Images, labels: Labels, what: str) -> RawSplit:
    return RawSplit(
        labels,
        lambda indices: (images[index] for index in indices),
        lambda index: f"{what}, image {index}",
    )


class _Digits:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, a fifth of them held out for the test."""

    classes = tuple("0123456789")

    def _split(self, test: bool) -> RawSplit:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        labels = digits.target.astype(np.int64)
        held_out = stratified(labels, 0.2, np.random.default_rng(0))
        chosen = held_out if test else ~held_out
        return _from_arrays(images[chosen], labels[chosen], "digits")

    def train(self) -> RawSplit:
        return self._split(test=False)

    def test(self) -> RawSplit:
        return self._split(test=True)


class _Synthetic:
    """Noisy class patterns, generated from a fixed seed: easy, but not trivially so."""

    def __init__(self, config: DataConfig) -> None:
        self.shape = config.shape or (3, 16, 16)
        self.classes = tuple(f"class {index}" for index in range(config.classes or 10))
        self.images = config.limit or 2000
        values = self.images * math.prod(self.shape)
        if values > MAX_SYNTHETIC:
            raise DataError(
                f"{self.images:,} images of {' x '.join(map(str, self.shape))} are {values:,} "
                f"values, more than {MAX_SYNTHETIC:,}",
                "limit",
            )

    def _split(self, seed: int, images: int) -> RawSplit:
        channels, height, width = self.shape
        # Coarse patterns, so that small convolutions on small images can tell them apart.
        coarse = np.random.default_rng(0).normal(size=(len(self.classes), 4, 4, channels))
        rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
        labels = np.random.default_rng(seed).permutation(np.arange(images) % len(self.classes))

        def image(index: int) -> Images:
            pattern = coarse[labels[index]][rows][:, columns]
            noise = np.random.default_rng((seed, index)).normal(scale=1.5, size=pattern.shape)
            pixels: Images = np.clip(128 + 40 * (pattern + noise), 0, 255).astype(np.uint8)
            return pixels

        return RawSplit(
            labels.astype(np.int64),
            lambda indices: (image(int(index)) for index in indices),
            lambda index: f"synthetic, image {index}",
            limited=True,
        )

    def train(self) -> RawSplit:
        return self._split(seed=1, images=self.images)

    def test(self) -> RawSplit:
        return self._split(seed=2, images=max(len(self.classes), self.images // 5))


_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and Python raise on an archive that was cut off or overwritten."""


class _Npz:
    """A NumPy archive: ``x_train, y_train, x_test, y_test`` or ``train_images, train_labels, ...``
    or, without a test split, ``images, labels``. Images are (N, H, W) or (N, H, W, C), uint8.
    """

    classes = None

    def __init__(self, location: str) -> None:
        self.path = Path(location)
        if not self.path.is_file():
            raise DataError(f"no such file: {location}")

    def _split(self, pairs: Sequence[tuple[str, str]]) -> RawSplit:
        try:
            archive = np.load(self.path, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{self.path} is a single array, not an archive of several (.npz)")
            with archive:
                names = next((pair for pair in pairs if set(pair) <= set(archive.files)), None)
                if names is None:
                    raise DataError(
                        f"{self.path} has no arrays {' and '.join(pairs[0])}; "
                        f"it has {', '.join(archive.files) or 'none'}"
                    )
                images, labels = (archive[name] for name in names)
        except _DAMAGED as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path} cannot be read: {error}") from None
        images = images[..., None] if images.ndim == 3 else images
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(
                f"{self.path}: {names[0]} must be uint8 of shape (N, H, W) or (N, H, W, C); "
                f"got {images.dtype} of shape {images.shape}"
            )
        labels = labels.reshape(-1) if labels.size == len(labels) else labels
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
            raise DataError(
                f"{self.path}: {names[1]} must be {len(images)} integers; "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        return _from_arrays(images, labels.astype(np.int64), f"{self.path}: {names[0]}")

    def train(self) -> RawSplit:
        names = [("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels")]
        return self._split(names)

    def test(self) -> RawSplit:
        return self._split([("x_test", "y_test"), ("test_images", "test_labels")])
