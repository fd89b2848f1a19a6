"""From labels as they are stored, integers or names, to numbers with one meaning in all splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataConfig, DataError, Labels
from trials.data.raw_split import RawSplit

MAX_LETTERS = 200
"""Of a label: an array of names takes the longest for each."""

_OTHER = "is this a column of something else?"


def checked_labels(values: NDArray[Any], what: str, name: Callable[[int], str]) -> NDArray[Any]:
    """Labels (N,) that are integers, booleans or names; others are refused.

    Args:
        values: as NumPy or a table has them.
        what: the array or column, for messages.
        name: the file or row of a label, for messages.

    Raises:
        DataError: they are something else, or some are missing, or longer than a name.
    """
    if values.dtype.kind == "O":
        missing = sum(value is None for value in values)
        if missing:
            raise DataError(f"{what}: {missing} of {len(values)} labels are missing")
        if all(isinstance(value, int | np.integer) for value in values):
            return values.astype(np.int64)
        if not all(isinstance(value, str | bytes) for value in values):
            raise DataError(f"{what} must hold integers or names, all of one kind")
    if values.dtype.kind in "OSU":
        texts = [_decoded(v, what) if isinstance(v, bytes) else str(v) for v in values]
        _check_names(texts, name)
        return np.array(texts, np.str_)
    if values.dtype.kind == "b":
        return values.astype(np.str_)
    if values.dtype.kind == "f" and np.isnan(values).any():
        missing = int(np.isnan(values).sum())
        raise DataError(f"{what}: {missing} of {len(values)} labels are missing")
    if values.dtype.kind not in "iu":
        raise DataError(f"{what} must hold integers or names; it holds {values.dtype}")
    return values.astype(np.int64)


def _check_names(texts: Sequence[str], name: Callable[[int], str]) -> None:
    for index, text in enumerate(texts):
        if len(text) > MAX_LETTERS:
            raise DataError(
                f"{name(index)}: the label {shortened(text)!r} has {len(text):,} letters, "
                f"more than {MAX_LETTERS}",
                hint=_OTHER,
            )
        if text.strip().lower() in ("", "nan"):
            raise DataError(
                f"{name(index)}: {text!r} is no label",
                hint="it stands for a missing value: give the image its label, or leave it out",
            )


def shortened(text: str) -> str:
    """For messages: a text, or how it begins."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _decoded(name: bytes, what: str) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise DataError(f"{what}: {bytes(name[:60])!r} is not UTF-8") from None


def class_names(raw: RawSplit, config: DataConfig) -> tuple[str, ...]:
    """Names of the classes of a training split, in the order of their numbers.

    Of integers without names the numbers themselves, from 0; of strings the strings, sorted.

    Raises:
        DataError: there are fewer than two, another number than configured, or labels that cannot
            be classes.
    """
    if len(raw.labels) == 0:
        raise DataError("there are no images")
    names = raw.classes
    if raw.labels.ndim == 2:
        names = _columns(raw, config)
    elif names is None:
        names = _counted(raw, config) if raw.labels.dtype.kind == "i" else _distinct(raw)
    if config.classes is not None and len(names) != config.classes:
        raise DataError(
            f"the data has {len(names)} classes; got classes: {config.classes}", "classes"
        )
    if len(names) < 2:
        raise DataError(f"a data set has at least 2 classes; this one has {len(names)}")
    return names


def _columns(raw: RawSplit, config: DataConfig) -> tuple[str, ...]:
    """Of images with many labels."""
    images, count = raw.labels.shape
    total = int(raw.labels.sum(dtype=np.int64))
    used = int(raw.labels.any(axis=0).sum())
    if total == 0:
        raise DataError("no image has a label")
    if raw.classes is None and count > images:
        raise DataError(
            f"{images} images have labels up to {count - 1}, which cannot be numbers of classes",
            hint=f"labels count classes from 0; {_OTHER}",
        )
    if used > 1 and total == images * used:
        raise DataError(
            f"all {images} images have the same {used} labels: there is nothing to tell apart",
            hint="are these lists of a 0 or 1 for each class? A list has the labels that an image "
            "has",
        )
    names = raw.classes or tuple(map(str, range(max(count, config.classes or 0))))
    if used > max(2, total // 2):
        raise too_many_names(total, images, names)
    return names


def too_many_names(labels: int, images: int, names: tuple[str, ...]) -> DataError:
    """That most labels are alone in their class; to be raised."""
    return DataError(
        f"{labels} labels of {images} images have {len(names)} different names, "
        f"such as {', '.join(map(repr, names[:3]))}",
        hint=f"most labels are alone in their class; {_OTHER}",
    )


def _counted(raw: RawSplit, config: DataConfig) -> tuple[str, ...]:
    count = config.classes
    if count is None:
        if raw.labels.min() < 0:
            index = int(raw.labels.argmin())
            raise DataError(f"{raw.name(index)}: label {raw.labels[index]} is below 0")
        largest = int(raw.labels.max())
        if largest >= len(raw.labels):
            raise no_number(raw.name(int(raw.labels.argmax())), largest, len(raw.labels))
        count = largest + 1
    return tuple(map(str, range(count)))


def no_number(name: str, label: int, images: int) -> DataError:
    """That a label is too large to count classes; to be raised."""
    return DataError(
        f"{name}: label {label} among {images} images cannot be the number of a class",
        hint=f"labels count classes from 0; {_OTHER}",
    )


def _distinct(raw: RawSplit) -> tuple[str, ...]:
    names = tuple(map(str, np.unique(raw.labels)))
    if len(names) > max(2, len(raw.labels) // 2):
        raise DataError(
            f"{len(raw.labels)} images have {len(names)} different labels, "
            f"such as {', '.join(map(repr, names[:3]))}",
            hint=f"most images are alone in their class; {_OTHER}",
        )
    return names


def numbered(raw: RawSplit, names: tuple[str, ...], config: DataConfig) -> Labels:
    """Labels (N,) as positions in ``names``, whatever the split itself numbers.

    Raises:
        DataError: a label is not one of them.
    """
    labels = raw.labels
    own = raw.classes
    if labels.ndim == 2:
        index = int((labels.sum(axis=1, dtype=np.int64) != 1).argmax())
        raise DataError(
            f"{raw.name(index)}: {labels[index].sum()} labels, and every training image has one",
            hint="label all splits alike",
        )
    if labels.dtype.kind == "i":
        _check_range(raw, len(own or names), config)
        if own is None and names != tuple(map(str, range(len(names)))):
            raise DataError(
                f"{raw.name(0)}: the label {labels[0]} is a number, and the training images have "
                f"names for labels, such as {names[0]}",
                hint="label all splits alike",
            )
        if own is None or own == names:
            return labels
        labels, own = np.asarray(own)[labels], None
    places = {name: place for place, name in enumerate(names)}
    unknown = np.flatnonzero(~np.isin(labels, names))
    if len(unknown):
        index = int(unknown[0])
        raise DataError(
            f"{raw.name(index)}: class {labels[index]} is none of the training images' classes, "
            f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        )
    return np.fromiter((places[str(label)] for label in labels), np.int64, len(labels))


def _check_range(raw: RawSplit, classes: int, config: DataConfig) -> None:
    outside = np.flatnonzero((raw.labels < 0) | (raw.labels >= classes))
    if len(outside):
        index = int(outside[0])
        raise DataError(
            f"{raw.name(index)}: label {raw.labels[index]} is not one of the {classes} classes, "
            f"0 to {classes - 1}",
            "classes" if config.classes else "source",
        )
