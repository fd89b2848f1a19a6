"""From a source to arrays: choose, decode, check, split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trials.data.decoding import Watch, decode, unwatched
from trials.data.halves import halves
from trials.data.image_file import ImageFile
from trials.data.images import (
    AnyLabels,
    DataConfig,
    DataError,
    ImageData,
    Images,
    Split,
    chunks,
    count_images,
    part_of,
)
from trials.data.labels import class_names, numbered
from trials.data.many_labels import by_name, one_label_each
from trials.data.raw_split import Indices, RawSplit, SplitName, no_split
from trials.data.sources import open_source, stratified
from trials.data.streamed import StreamedPictures

SPLIT_SEED = 0
"""Of the validation split and of ``limit``: the same images in every study of a data set."""


class Probe(NamedTuple):
    """What a network has to fit.

    Attributes:
        input_shape: (channels, height, width) of the first image; see `ImageData`.
        classes: their number.
        many_labels: whether an image may have several labels, or none; None where that is not
            known before the labels are read.
    """

    input_shape: tuple[int, ...]
    classes: int
    many_labels: bool | None


def probe(config: DataConfig) -> Probe:
    """What can be told without the images, but the first, and where it is configured without any.

    Raises:
        DataError: the source cannot be read.
    """
    if config.shape and config.classes:
        return Probe(config.shape, config.classes, None)
    raw = one_label_each(open_source(config).read("train"))
    classes = len(class_names(raw, config))
    *size, channels = next(raw.images(np.array([0]))).shape
    return Probe((channels, *size), classes, raw.labels.ndim == 2)


def load(config: DataConfig, watch: Watch = unwatched) -> ImageData:
    """Read and check the images that a search may see.

    The validation split is the source's own, or else a fraction of each class of its training
    split. Images may have many labels, or none, unless every training image has exactly one.

    Raises:
        DataError: an unreadable image, mixed sizes, labels out of range, a class that is missing
            from a split; the message names the file or row.
    """
    source = open_source(config)
    raw = one_label_each(source.read("train"))
    names, many = class_names(raw, config), raw.labels.ndim == 2
    labels = _labels(raw, names, config, many)
    indices = _limited(raw, labels, config)
    labels, notes, pool = labels[indices], [*raw.notes], None
    if "validation" in source.splits():
        _check_classes(labels, names, config, least=1)
        (images,) = decode(raw, [indices], config, watch=watch)
        train = Split(images, labels)
        validation = _other_split("validation", names, train, config, watch)
        notes.append("the source's own validation split")
    else:
        _check_classes(labels, names, config, least=2)
        held_out = _held_out(labels, names, config)
        parts = [np.flatnonzero(~held_out), *halves(np.flatnonzero(held_out), labels, config)]
        (images,) = decode(raw, [indices[np.concatenate(parts)]], config, watch=watch)
        train, *validation = _in_parts(images, [labels[part] for part in parts])
        pool = part_of(images, 0, len(train) + len(validation[0]))
    if many and not all(split.labels.any() for split in validation):
        raise DataError("no validation image has a label: there is nothing to judge a network by")
    mean, std = _statistics(train.images)
    if config.resize:
        notes.append("resized to {} x {} ({})".format(*config.resize.size, config.resize.mode))
    notes += _cached((train, *validation))
    if len(validation) > 1:
        notes.append(f"{len(validation[1]):,} more validation images are left to judge by")
    half = validation[1] if len(validation) > 1 else None
    return ImageData(train, validation[0], names, mean, std, tuple(notes), half, pool)


def _in_parts(
    images: Images | ImageFile | StreamedPictures, labels: Sequence[AnyLabels]
) -> Iterator[Split]:
    """Splits of images that are one after the other in one piece."""
    ends = np.cumsum([len(of_part) for of_part in labels]).tolist()
    return map(Split, map(part_of, repeat(images), [0, *ends], ends), labels)


def load_test(config: DataConfig, data: ImageData, watch: Watch = unwatched) -> Split:
    """The test split of the data set that ``data`` was loaded from: for the confirmation only.

    Raises:
        DataError: there is none, or it does not fit the training split.
    """
    whole = replace(config, half=None)
    (test,) = _other_split("test", data.classes, data.train, whole, watch)
    if not test.labels.any() and data.many_labels:
        raise DataError("no test image has a label: there is nothing to judge a network by")
    return test


def check_test_split(config: DataConfig, hint: str) -> None:
    """Check that there is a test split, without reading it.

    Args:
        hint: what to do where there is none.

    Raises:
        DataError: there is none.
    """
    source = open_source(config)
    if "test" not in source.splits():
        raise no_split(source, "test", hint)


def describe(data: ImageData) -> str:
    """What was read, in a line: ``3 classes of 40 to 52 training images, 3 x 32 x 32``."""
    return "; ".join(_described(data))


def _described(data: ImageData) -> Iterator[str]:
    low, high = int(data.class_counts.min()), int(data.class_counts.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    shape = " x ".join(map(str, data.input_shape))
    yield f"{len(data.classes)} classes of {each} training images, {shape}"
    if data.many_labels:
        yield from _described_labels(data)
    if data.imbalanced:
        share = f"{data.majority:.1%} of the validation images are of one class"
        yield f"{share}: balanced accuracy is measured, too"
    yield from data.notes
    if missing := missing_classes(data.validation, data):
        yield f"no validation images of {missing}"


def _described_labels(data: ImageData) -> Iterator[str]:
    """Of images with many labels."""
    each = data.train.labels.sum(axis=1, dtype=np.int64)
    yield f"{each.mean():.1f} labels an image"
    if without := int((each == 0).sum()):
        yield f"{without:,} training image{'' if without == 1 else 's'} without a label"
    if missing := missing_classes(data.train, data):
        yield f"no training images of {missing}"


def missing_classes(split: Split, data: ImageData) -> str:
    """Names of the classes that a split has no image of."""
    counts = count_images(split.labels, len(data.classes))
    names = [name for name, count in zip(data.classes, counts, strict=True) if count == 0]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} others" if len(names) > 10 else "")


def check_batch_size(data: ImageData, batch_size: int) -> None:
    """A batch has to fit into the training images.

    Raises:
        DataError: it does not.
    """
    if len(data.train) < batch_size:
        raise DataError(
            f"{len(data.train)} training images are fewer than a batch of {batch_size}",
            "batch_size",
        )


def _labels(raw: RawSplit, names: tuple[str, ...], config: DataConfig, many: bool) -> AnyLabels:
    """By the training images' classes; where these have many labels, (N, C)."""
    if not many:
        return numbered(one_label_each(raw), names, config)
    if raw.labels.ndim == 2:
        return by_name(raw, names)
    labels = np.zeros((len(raw.labels), len(names)), np.uint8)
    labels[np.arange(len(labels)), numbered(raw, names, config)] = 1
    return labels


def _held_out(labels: AnyLabels, names: tuple[str, ...], config: DataConfig) -> NDArray[np.bool_]:
    """Which images validate, (N,): some of every class, and not all of any."""
    held_out = stratified(labels, config.validation, np.random.default_rng(SPLIT_SEED))
    left = count_images(labels[~held_out], len(names))
    for label, name in enumerate(names):
        if labels.ndim == 1 and left[label] == 0:
            raise DataError(
                f"class {name} has only {int((labels == label).sum())} images, "
                f"which leaves none to train on with validation: {config.validation}",
                "validation",
            )
    return held_out


def _other_split(
    split: SplitName, names: tuple[str, ...], train: Split, config: DataConfig, watch: Watch
) -> list[Split]:
    """Another split, of the images and classes of the training split; see `halves`."""
    _, *size, channels = train.images.shape
    config = replace(config, shape=(channels, *size))
    source = open_source(config)
    raw = source.read(split)
    if len(raw.labels) == 0:
        raise DataError(f"the {split} split of {source.location} has no images")
    labels = _labels(raw, names, config, many=train.labels.ndim == 2)
    parts = halves(np.arange(len(labels)), labels, config)
    decoded = decode(raw, parts, config, of_training=True, watch=watch)
    return list(map(Split, decoded, (labels[part] for part in parts)))


def _statistics(
    images: Images | ImageFile | StreamedPictures,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (at least 1) of each channel, exactly, from histograms.

    Of pictures that are decoded each time, those of some thousand.
    """
    if isinstance(images, StreamedPictures):
        images = images.some()
    counts = np.zeros((images.shape[-1], 256), dtype=np.int64)
    for some in chunks(images):
        for channel, of_level in enumerate(counts):
            plane = np.ascontiguousarray(some[..., channel]).reshape(-1, some.shape[-2])
            of_level += Image.fromarray(
                plane
            ).histogram()  # Pillow's counts four times NumPy's speed
    levels = np.arange(256.0)
    means, stds = [], []
    for share in counts / counts[0].sum():
        mean = float(share @ levels)
        means.append(mean)
        stds.append(max(1.0, float(share @ (levels - mean) ** 2) ** 0.5))
    return tuple(means), tuple(stds)


def _cached(splits: Sequence[Split]) -> Iterator[str]:
    """Where images are that were not decoded into memory, in words."""
    streamed = [s.images for s in splits if isinstance(s.images, StreamedPictures)]
    if streamed:
        size = sum(prod(images.shape) for images in streamed) / 1e9
        yield f"pictures are decoded at each step: {size:,.1f} GB once they are"
    files = (split.images.path for split in splits if isinstance(split.images, ImageFile))
    for path in dict.fromkeys(files):
        yield f"cached {path.stat().st_size / 1e9:,.1f} GB in {path}"


def _check_classes(
    labels: AnyLabels, names: tuple[str, ...], config: DataConfig, least: int
) -> None:
    """Of many labels, one that no image has is said, and no error: see `describe`."""
    if labels.ndim == 2:
        return
    purpose = "one to train on and one to validate" if least == 2 else "one to train on"
    counts = count_images(labels, len(names))
    for name, count in zip(names, counts, strict=True):
        if count < least:
            raise DataError(
                f"class {name} has {count} images; each needs {purpose}",
                "limit" if config.limit else "source",
            )


def _limited(raw: RawSplit, labels: AnyLabels, config: DataConfig) -> Indices:
    """Indices in use: all, or ``limit`` of them with every class in proportion."""
    if config.limit is None or raw.limited:
        return np.arange(len(labels))
    if config.limit > len(labels):
        raise DataError(
            f"limit {config.limit} is more than the {len(labels)} training images", "limit"
        )
    if labels.ndim == 2:
        return _limited_many(labels, config.limit)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    # Rank of each image within its class, as a fraction: the smallest fractions come first.
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(rank, kind="stable")[: config.limit])


def _limited_many(labels: AnyLabels, limit: int) -> Indices:
    """So many images, of each label about its share."""
    rng = np.random.default_rng(SPLIT_SEED)
    chosen = stratified(labels, limit / len(labels), rng)
    first, others = map(rng.permutation, (np.flatnonzero(chosen), np.flatnonzero(~chosen)))
    return np.sort(np.concatenate((first, others))[:limit])
