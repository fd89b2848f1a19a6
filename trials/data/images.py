"""What a loaded data set is: uint8 images, labels, and the statistics to normalise them by.

Images may be clips: what is said of (N, H, W, C) is then of (N, T, H, W, C), for T frames.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trials.data.image_file import ImageFile
    from trials.data.streamed import StreamedPictures

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
ManyLabels = NDArray[np.uint8]
AnyLabels = Labels | ManyLabels

CHUNK = 2**24
"""Bytes of images that are looked at together."""


class DataError(ValueError):
    """A data set that cannot be used.

    Attributes:
        field: of `DataConfig`, the one to change.
        hint: what to do about it.
    """

    def __init__(self, message: str, field: str = "source", hint: str = "") -> None:
        super().__init__(message)
        self.field, self.hint = field, hint

    def __reduce__(self) -> tuple[type[DataError], tuple[str, str, str]]:
        return type(self), (str(self), self.field, self.hint)


Layout = Literal["NHWC", "NCHW", "NTHWC", "NCTHW"]


@dataclass(frozen=True)
class Resize:
    """What pictures are made the same size by, antialiased.

    Attributes:
        size: (height, width).
        mode: ``crop`` fills the size and cuts off what is over, half at each side; ``pad`` fits
            into it and fills up with black; ``stretch`` changes the proportions.
    """

    size: tuple[int, int]
    mode: Literal["crop", "pad", "stretch"] = "crop"


@dataclass(frozen=True)
class DataConfig:
    """Which images.

    Attributes:
        source: ``digits``, ``synthetic``, ``parquet:DIR``, ``hub:NAME``, ``images:DIR`` (a folder
            per class, under ``train``, ``val`` and ``test`` or not), ``webdataset:PATTERN`` (tar
            files), ``frames:DIR`` (clips: a folder of frames each) or ``npz:FILE``.
        validation: fraction of the training split that trials are judged on, where the source has
            no validation split of its own.
        limit: use only so many images of the training split, the same share of each class.
        shape: (channels, height, width), or (channels, frames, height, width) of clips, checked
            against the images; read from them where missing.
        classes: checked against the labels; read from them where missing.
        image_column: where a table has several columns of images, or a sample several files.
        label_column: where a table has several columns of labels; of a sample a file or a key.
        layout: of an archive's images, where their shape does not tell.
        resize: of pictures; without it all have to have one size.
        half: whatever is in it draws half of the validation images, which only trainings that judge
            are handed; None leaves all of them for everybody.
        stream: whether pictures that would go into that file are decoded each time that they are
            asked for instead: by one long training, and not by many short ones.
        memory: bytes of a split's decoded pictures above which they are kept in a file of the
            user's cache; None keeps all in memory.
    """

    source: str
    validation: float = 0.2
    limit: int | None = None
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    image_column: str | None = None
    label_column: str | None = None
    layout: Layout | None = None
    resize: Resize | None = None
    half: str | None = None
    memory: int | None = 2 * 10**9
    stream: bool = False


@dataclass(frozen=True)
class Split:
    """Images (N, H, W, C) or clips (N, T, H, W, C), uint8, and labels (N,).

    Where an image may have many labels, or none, they are (N, classes), uint8: 1 for each it has.
    """

    images: Images | ImageFile | StreamedPictures
    labels: AnyLabels

    def __len__(self) -> int:
        return len(self.labels)


def part_of(
    images: Images | ImageFile | StreamedPictures, start: int, end: int
) -> Images | ImageFile | StreamedPictures:
    """Some images after each other, of which nothing is copied or read."""
    return images[start:end] if isinstance(images, np.ndarray) else images.part(start, end)


def chunks(images: Images | ImageFile | StreamedPictures) -> Iterator[Images]:
    """All images in order, some megabytes at a time."""
    count = max(1, CHUNK // math.prod(images.shape[1:]))
    for start in range(0, len(images), count):
        yield images[start : start + count]


@dataclass(frozen=True)
class DataSummary:
    """What has to be known of a data set once it is gone.

    Attributes:
        fingerprint: sixteen hexadecimal digits over all images, labels and class names, in order.
        classes: their names, in the order of the labels.
        mean: of each channel of the training images, in units of 0 to 255.
        std: standard deviation of each channel, in the same units.
        images: in the training and in the validation split.
        majority: share of the most frequent class in the validation split; None where images have
            many labels, and in studies of versions that did not keep it.
        many_labels: whether an image may have several labels, or none.
    """

    fingerprint: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: tuple[int, int]
    majority: float | None = None
    many_labels: bool = False


@dataclass(frozen=True)
class ImageData:
    """A training and a validation split; never the test split, which only the confirmation reads.

    Attributes:
        classes: their names, in the order of the labels.
        mean: of each channel of the training images, in units of 0 to 255.
        std: standard deviation of each channel, in the same units, at least 1.
        notes: where validation images are from, what was left out, what was resized, in words.
        half: of the validation images, where one is left to judge by; ``validation`` is the other.
        pool: images of both splits in one piece, those to train on first, where the validation
            images were cut off from the source's training split; both are views of it.
    """

    train: Split
    validation: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()
    half: Split | None = None
    pool: Images | ImageFile | StreamedPictures | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: images that are in the pool travel once."""
        if self.pool is None:
            return self.__dict__
        labels = {"train": self.train.labels, "validation": self.validation.labels}
        return self.__dict__ | labels

    def __setstate__(self, state: dict[str, Any]) -> None:
        pool = state["pool"]
        if pool is not None:
            train, validation, count = state["train"], state["validation"], len(state["train"])
            state = state | {
                "train": Split(part_of(pool, 0, count), train),
                "validation": Split(part_of(pool, count, len(pool)), validation),
            }
        self.__dict__.update(state)

    @property
    def splits(self) -> tuple[Split, ...]:
        """Training and validation images, and the half of the latter that judges."""
        return self.train, self.validation, *([self.half] if self.half is not None else [])

    @property
    def many_labels(self) -> bool:
        """Whether an image may have several labels, or none."""
        return self.train.labels.ndim == 2

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Training images of each class, (C,)."""
        return count_images(self.train.labels, len(self.classes))

    @property
    def imbalanced(self) -> bool:
        """Whether a class has more than three times another's images: accuracy tells less then.

        Where images have many labels there is no accuracy.
        """
        return not self.many_labels and bool(self.class_counts.max() > 3 * self.class_counts.min())

    @property
    def majority(self) -> float:
        """Share of the validation images that are of their most frequent class.

        What a network is right on that has learnt nothing but that.
        """
        return float(np.bincount(self.validation.labels).max()) / len(self.validation)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(channels, height, width), or (channels, frames, height, width) of clips."""
        _, *size, channels = self.train.images.shape
        return channels, *size

    @cached_property
    def summary(self) -> DataSummary:
        """Everything but the images."""
        digest = hashlib.sha256(repr((self.classes, self.input_shape, len(self.train))).encode())
        for split in self.splits:
            for content in _contents(split.images):
                digest.update(content)
            digest.update(np.ascontiguousarray(split.labels).data)
        return DataSummary(
            digest.hexdigest()[:16],
            self.classes,
            self.mean,
            self.std,
            (len(self.train), len(self.validation)),
            None if self.many_labels else self.majority,
            self.many_labels,
        )


def _contents(images: Images | ImageFile | StreamedPictures) -> Iterator[bytes | memoryview]:
    """What tells images from others; of those that are never all decoded, the names of files."""
    if named := getattr(images, "named", None):
        yield named()
    else:
        yield from (np.ascontiguousarray(some).data for some in chunks(images))


def count_images(labels: AnyLabels, classes: int) -> NDArray[np.int64]:
    """Images of each class, (C,)."""
    if labels.ndim == 2:
        counts: NDArray[np.int64] = labels.sum(axis=0, dtype=np.int64)
        return counts
    return np.bincount(labels, minlength=classes)
