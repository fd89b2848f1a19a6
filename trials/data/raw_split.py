"""What a source gives: labels at once, and images that are decoded on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataError, Images

Indices = NDArray[np.intp]
Box = tuple[float, float, float, float]
Crop = Callable[[int, int], Box]
"""From (width, height) of a picture to the left, top, right and bottom edge of a part of it."""

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class RawSplit:
    """Labels, and images that are decoded on demand.

    Attributes:
        labels: (N,), as they are stored: integers or strings; or, of images with many labels or
            none, (N, C) uint8: 1 for each class that an image has.
        images: decodes the images of these indices, in order: (H, W, C) uint8 each.
        name: the file or row of an index, for messages.
        classes: names that integers count from 0, or of the columns; None where there are only the
            labels.
        limited: whether ``limit`` has been kept to, as where so many images were generated.
        notes: what of the source was left out or changed, in words.
        cropped: decodes parts of the pictures of these indices, resized to the size of all images;
            None where images are arrays already.
        files: that images are decoded from, by names that do not change where their folder is
            moved: none of them changes while the images are the same. None where the images are in
            memory as they are.
        stored: reads the encoded pictures of these indices, where names and sizes of files do not
            tell whether they are the same. None where they do, or are taken to.
    """

    labels: NDArray[Any]
    images: Callable[[Indices], Iterator[Images]]
    name: Callable[[int], str]
    classes: tuple[str, ...] | None = None
    limited: bool = False
    notes: tuple[str, ...] = ()
    files: Callable[[], Iterator[tuple[str, Path]]] | None = None
    cropped: Callable[[Indices, Iterable[Crop]], Iterator[Images]] | None = None
    stored: Callable[[Indices], Iterator[bytes]] | None = None


class Source(Protocol):
    """A data set that has not been read yet."""

    @property
    def location(self) -> str:
        """Where it is, for messages."""

    def splits(self) -> tuple[SplitName, ...]:
        """The splits that there are."""

    def read(self, split: SplitName) -> RawSplit:
        """One of them. The test split is for the confirmation only."""


def require(source: Source, split: SplitName) -> None:
    """Check that a source has a split.

    Raises:
        DataError: it has not.
    """
    if split not in source.splits():
        raise no_split(source, split)


def no_split(source: Source, split: SplitName, hint: str = "") -> DataError:
    """That a source has no such split, and which it has; to be raised."""
    there = " and ".join(source.splits()) or "no other"
    return DataError(f"{source.location} has no {split} split; it has {there}", hint=hint)
