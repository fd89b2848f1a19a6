"""Where images come from: a source by its name, and the two that need no files."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trials.data.archives import ArchiveSource
from trials.data.folders import FolderSource
from trials.data.frames import FrameSource
from trials.data.images import AnyLabels, DataConfig, DataError, Images
from trials.data.many_labels import stratified_many
from trials.data.raw_split import RawSplit, Source, SplitName, require
from trials.data.shards import ShardSource
from trials.data.tables import TableSource

_WITH_LOCATION: dict[str, Callable[[str, DataConfig], Source]] = {
    "parquet": partial(TableSource, "parquet"),
    "hub": partial(TableSource, "hub"),
    "images": FolderSource,
    "webdataset": ShardSource,
    "frames": FrameSource,
    "npz": ArchiveSource,
}

PICTURES = ("parquet", "hub", "images", "webdataset")
"""Sources of single pictures."""

RESIZED = (*PICTURES, "frames")
"""Sources whose images can be resized."""

CLIPS = "clips are folders of frames (frames:DIR), or arrays (N, T, H, W, C) of npz:FILE"
"""Where else to look, for messages."""

MAX_SYNTHETIC = 2**30
"""Values of all generated images together."""


def open_source(config: DataConfig) -> Source:
    """Find a source without reading its images.

    Raises:
        DataError: there is no such source.
    """
    kind, colon, location = config.source.partition(":")
    if (colon and not location) or (kind in _WITH_LOCATION) != bool(colon):
        kind = ""
    source: Source
    if kind in _WITH_LOCATION:
        source = _WITH_LOCATION[kind](location, config)
    elif kind == "digits":
        source = _Digits()
    elif kind == "synthetic":
        source = _Synthetic(config)
    else:
        raise DataError(
            f"no such source: {config.source}",
            hint="digits, synthetic, parquet:DIR, hub:NAME, images:DIR, webdataset:PATTERN, "
            "frames:DIR or npz:FILE",
        )
    if config.resize and kind not in (*RESIZED, "npz"):
        raise DataError(f"only pictures are resized: {', '.join(RESIZED)}", "resize")
    if config.layout and kind != "npz":
        raise DataError("only the arrays of npz:FILE have a layout", "layout")
    return source


def stratified(labels: AnyLabels, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask with this fraction of each class, at least one image of it."""
    if labels.ndim == 2:
        return stratified_many(labels, fraction, rng)
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: max(1, round(fraction * len(members)))]] = True
    return chosen


class _Digits:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, a fifth of them held out for the test."""

    location = "digits"

    def splits(self) -> tuple[SplitName, ...]:
        return "train", "test"

    def read(self, split: SplitName) -> RawSplit:
        require(self, split)
        rows = np.loadtxt(_digits_file(), delimiter=",")  # 64 values of 0 to 16, then the label
        images = np.round(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
        labels = rows[:, -1].astype(np.int64)
        held_out = stratified(labels, 0.2, np.random.default_rng(0))
        chosen = held_out if split == "test" else ~held_out
        images, labels = images[chosen], labels[chosen]
        return RawSplit(
            labels,
            lambda indices: (images[index] for index in indices),
            lambda index: f"digits, image {index}",
            tuple("0123456789"),
        )


def _digits_file() -> Path:
    """That of `sklearn.datasets.load_digits`, which loads for a second, SciPy and all."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("the digits come with scikit-learn, which is not installed")
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"


class _Synthetic:
    """Noisy class patterns, generated from a fixed seed: easy, but not trivially so."""

    location = "synthetic"

    def __init__(self, config: DataConfig) -> None:
        self.shape = config.shape or (3, 16, 16)
        if len(self.shape) != 3:
            raise DataError("synthetic images are no clips", hint=CLIPS)
        self.classes = tuple(f"class {index}" for index in range(config.classes or 10))
        self.images = config.limit or 2000
        values = self.images * math.prod(self.shape)
        if values > MAX_SYNTHETIC:
            raise DataError(
                f"{self.images:,} images of {' x '.join(map(str, self.shape))} are {values:,} "
                f"values, more than {MAX_SYNTHETIC:,}",
                "limit",
            )

    def splits(self) -> tuple[SplitName, ...]:
        return "train", "test"

    def read(self, split: SplitName) -> RawSplit:
        require(self, split)
        if split == "train":
            return self._generated(seed=1, images=self.images)
        return self._generated(seed=2, images=max(len(self.classes), self.images // 5))

    def _generated(self, seed: int, images: int) -> RawSplit:
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
            self.classes,
            limited=True,
        )
