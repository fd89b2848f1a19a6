"""Images with many labels, or none: from how they are stored to a 0 or 1 for each class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.data.images import AnyLabels, DataError, ManyLabels
from trials.data.labels import checked_labels, no_number, too_many_names
from trials.data.raw_split import RawSplit

MAX_CLASSES = 100_000
MAX_VALUES = 2**32
"""Images times classes: what labels could claim is not allocated."""

MAX_UNLIKELY = 2**28
"""The same where there are more numbers than images, or most names are there once."""

ONE_EACH = "every image has exactly one label: they are classes"
"""Said where images could have more."""


def labels_of_lists(
    lengths: NDArray[np.int64],
    values: NDArray[Any],
    names: tuple[str, ...] | None,
    what: str,
    name: Callable[[int], str],
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Labels (N, C) of a list for each image, and the classes' names where there are any.

    Labels (N,), as they are stored, where every list has one.

    Args:
        lengths: labels of each image, (N,).
        values: all lists one after the other: numbers of classes, or names.
        names: that numbers count from 0.
        what: the column, for messages.
        name: the file or row of an image, for messages.

    Raises:
        DataError: a label is none, or is there twice.
    """
    rows = np.repeat(np.arange(len(lengths)), lengths)
    if len(values) == 0:
        return np.zeros((len(lengths), len(names or ())), np.uint8), names or ()

    def holder(index: int) -> str:
        return name(int(rows[index]))

    values = checked_labels(values, what, holder)
    if (lengths == 1).all():
        return values, names
    columns, count, names = _numbered(values, names, holder)
    if len(lengths) * count > MAX_UNLIKELY:
        _check_likely(values, names, len(lengths), holder)
    _check_size(len(lengths), count, what)
    labels = np.zeros((len(lengths), count), np.uint8)
    labels[rows, columns] = 1
    _check_twice(labels, lengths, name)
    return labels, names


def _numbered(
    values: NDArray[Any], names: tuple[str, ...] | None, name: Callable[[int], str]
) -> tuple[NDArray[np.int64], int, tuple[str, ...] | None]:
    """Labels as numbers, of how many classes, and the names of these where there are any."""
    if values.dtype.kind == "i":
        count = len(names) if names else int(values.max()) + 1
        _check_numbers(values, count, name)
        return values, count, names
    distinct, columns = np.unique(values, return_inverse=True)
    return columns, len(distinct), tuple(map(str, distinct))


def _check_twice(
    labels: ManyLabels, lengths: NDArray[np.int64], name: Callable[[int], str]
) -> None:
    if int(labels.sum(dtype=np.int64)) < int(lengths.sum()):
        short = int(np.flatnonzero(labels.sum(axis=1, dtype=np.int64) < lengths)[0])
        raise DataError(
            f"{name(short)}: a label is there twice",
            hint="a list has the labels that an image has, not a 0 or 1 for each class",
        )


def _check_numbers(values: NDArray[Any], count: int, name: Callable[[int], str]) -> None:
    outside = np.flatnonzero((values < 0) | (values >= min(count, MAX_CLASSES)))
    if len(outside):
        first = int(outside[0])
        raise DataError(
            f"{name(first)}: label {values[first]} is not the number of a class",
            hint="labels count classes from 0; is this a column of something else?",
        )


def _check_likely(
    values: NDArray[Any], names: tuple[str, ...] | None, images: int, name: Callable[[int], str]
) -> None:
    """That labels are of classes, before so many are allocated."""
    if names is None and values.max() >= images:
        raise no_number(name(int(values.argmax())), int(values.max()), images)
    if values.dtype.kind == "U" and names and len(names) > len(values) // 2:
        raise too_many_names(len(values), images, names)


def _check_size(images: int, classes: int, what: str) -> None:
    if classes > MAX_CLASSES or images * classes > MAX_VALUES:
        raise DataError(
            f"{what}: {images:,} images with {classes:,} classes are more than "
            f"{MAX_CLASSES:,} classes or {MAX_VALUES:,} values"
        )


_ARRAYS = "labels are (N,), or (N, classes) with a 1 for each class that an image has"


def labels_of_array(
    values: NDArray[Any], images: int, what: str, name: Callable[[int], str]
) -> NDArray[Any]:
    """Labels (N,), integers or names, or (N, C), each 0 or 1.

    Raises:
        DataError: they are something else.
    """
    if values.ndim > 1 and values.size == len(values):
        values = values.reshape(-1)
    if values.shape[:1] != (images,) or values.ndim > 2:
        raise DataError(
            f"{what} must be of {images} images; got {values.dtype} of shape {values.shape}",
            hint=_ARRAYS,
        )
    if values.ndim == 1:
        return checked_labels(values, what, name)
    _check_size(len(values), values.shape[1], what)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{what} of shape {values.shape} must be 0 or 1; they are {values.dtype}")
    other = np.argwhere((values != 0) & (values != 1))
    if len(other):
        row, column = map(int, other[0])
        raise DataError(
            f"{name(row)}: label {values[row, column]} in column {column} is neither 0 nor 1",
            hint=_ARRAYS,
        )
    return values.astype(np.uint8)


def one_label_each(raw: RawSplit) -> RawSplit:
    """A split with classes where every image has exactly one of many labels; else as it is."""
    labels = raw.labels
    if labels.ndim == 1 or len(labels) == 0 or (labels.sum(axis=1, dtype=np.int64) != 1).any():
        return raw
    classes = raw.classes or tuple(map(str, range(labels.shape[1])))
    return replace(
        raw, labels=labels.argmax(axis=1).astype(np.int64), classes=classes,
        notes=(*raw.notes, ONE_EACH),
    )  # fmt: skip


def by_name(raw: RawSplit, names: tuple[str, ...]) -> ManyLabels:
    """Labels (N, C) in the order of ``names``, whatever that of the split itself.

    Raises:
        DataError: an image has a class that is not among them.
    """
    labels: ManyLabels = raw.labels
    own = raw.classes or tuple(map(str, range(labels.shape[1])))
    if own == names:
        return labels
    places = {name: place for place, name in enumerate(names)}
    sorted_labels = np.zeros((len(labels), len(names)), np.uint8)
    for column, name in enumerate(own):
        if name in places:
            sorted_labels[:, places[name]] = labels[:, column]
        elif labels[:, column].any():
            first = raw.name(int(labels[:, column].argmax()))
            raise DataError(
                f"{first}: class {name} is none of the training images' classes, "
                f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
            )
    return sorted_labels


def stratified_many(
    labels: AnyLabels, fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """A mask with about this fraction of each class' images, and of those without a label.

    Class after class, the one with the fewest undecided images first (as Sechidis et al. 2011, "On
    the stratification of multi-label data"): of these as many are taken as are still wanted. Of
    each class at least one image is taken and one left, where it has two and those that were
    decided before leave the choice.
    """
    chosen = np.zeros(len(labels), bool)
    undecided = np.ones(len(labels), bool)
    totals = labels.sum(axis=0, dtype=np.int64)
    remaining = totals.copy()
    waiting = totals > 0
    while waiting.any():
        label = int(np.where(waiting, remaining, len(labels) + 1).argmin())
        waiting[label] = False
        has = labels[:, label] == 1
        members = rng.permutation(np.flatnonzero(has & undecided))
        wanted = min(max(1, round(fraction * totals[label])), totals[label] - 1)
        taken = members[: max(0, wanted - int(chosen[has].sum()))]
        chosen[taken] = True
        undecided[members] = False
        remaining -= labels[members].sum(axis=0, dtype=np.int64)
    rest = rng.permutation(np.flatnonzero(undecided))  # without a label
    chosen[rest[: round(fraction * len(rest))]] = True
    return chosen
