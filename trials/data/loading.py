"""From a source to arrays: choose, decode, check, split."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from trials.data.images import DataConfig, DataError, ImageData, Images, Labels, Split
from trials.data.labels import class_names, numbered
from trials.data.raw_split import Indices, RawSplit, SplitName, no_split
from trials.data.sources import open_source, stratified

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Bytes that the processes of a container may have together."""

SPLIT_SEED = 0
"""Of the validation split and of ``limit``: the same images in every study of a data set."""


def probe(config: DataConfig) -> tuple[tuple[int, int, int], int]:
    """(channels, height, width) of the first image and the number of classes.

    Raises:
        DataError: the source cannot be read.
    """
    if config.shape and config.classes:
        return config.shape, config.classes
    source = open_source(config)
    raw = source.read("train")
    classes = len(class_names(raw, config))
    height, width, channels = next(raw.images(np.array([0]))).shape
    return (channels, height, width), classes


def load(config: DataConfig) -> ImageData:
    """Read and check the images that a search may see.

    The validation split is the source's own, or else a fraction of each class of its training
    split.

    Raises:
        DataError: an unreadable image, mixed sizes, labels out of range, a class that is missing
            from a split; the message names the file or row.
    """
    source = open_source(config)
    raw = source.read("train")
    names = class_names(raw, config)
    labels = numbered(raw, names, config)
    indices = _limited(raw, labels, config)
    labels = labels[indices]
    notes = list(raw.notes)
    if "validation" in source.splits():
        _check_classes(labels, names, config, least=1)
        train = Split(_decode_all(raw, indices, config.shape), labels)
        validation = _whole_split("validation", names, train, config)
        notes.append("the source's own validation split")
    else:
        _check_classes(labels, names, config, least=2)
        train, validation = _cut(_decode_all(raw, indices, config.shape), labels, names, config)
    mean, std = _statistics(train.images)
    if config.resize:
        height, width = config.resize.size
        notes.append(f"resized to {height} x {width} ({config.resize.mode})")
    return ImageData(train, validation, names, mean, std, tuple(notes))


def load_test(config: DataConfig, data: ImageData) -> Split:
    """The test split of the data set that ``data`` was loaded from: for the confirmation only.

    Raises:
        DataError: there is none, or it does not fit the training split.
    """
    return _whole_split("test", data.classes, data.train, config)


def check_test_split(config: DataConfig) -> None:
    """Check that there is a test split, without reading it.

    Raises:
        DataError: there is none.
    """
    source = open_source(config)
    if "test" not in source.splits():
        hint = "a confirmation reads it: add a test split, or leave confirm out"
        raise no_split(source, "test", hint)


def describe(data: ImageData) -> str:
    """What was read, in a line: ``3 classes of 40 to 52 training images, 3 x 32 x 32``."""
    return "; ".join(_described(data))


def _described(data: ImageData) -> Iterator[str]:
    low, high = int(data.class_counts.min()), int(data.class_counts.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    shape = " x ".join(map(str, data.input_shape))
    yield f"{len(data.classes)} classes of {each} training images, {shape}"
    if data.imbalanced:
        share = f"{data.majority:.1%} of the validation images are of one class"
        yield f"{share}: balanced accuracy is measured, too"
    yield from data.notes
    if missing := missing_classes(data.validation, data):
        yield f"no validation images of {missing}"


def missing_classes(split: Split, data: ImageData) -> str:
    """Names of the classes that a split has no image of."""
    counts = np.bincount(split.labels, minlength=len(data.classes))
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


def _cut(
    images: Images, labels: Labels, names: tuple[str, ...], config: DataConfig
) -> tuple[Split, Split]:
    """A training and a validation split of the same images, every class in both."""
    held_out = stratified(labels, config.validation, np.random.default_rng(SPLIT_SEED))
    for label, name in enumerate(names):
        if not (labels[~held_out] == label).any():
            raise DataError(
                f"class {name} has only {int((labels == label).sum())} images, "
                f"which leaves none to train on with validation: {config.validation}",
                "validation",
            )
    return Split(images[~held_out], labels[~held_out]), Split(images[held_out], labels[held_out])


def _whole_split(
    split: SplitName, names: tuple[str, ...], train: Split, config: DataConfig
) -> Split:
    """Another split, whose images and classes have to be those of the training split."""
    _, height, width, channels = train.images.shape
    shape = (channels, height, width)
    source = open_source(replace(config, shape=shape))
    raw = source.read(split)
    if len(raw.labels) == 0:
        raise DataError(f"the {split} split of {source.location} has no images")
    labels = numbered(raw, names, config)
    return Split(_decode_all(raw, np.arange(len(labels)), shape, of_training=True), labels)


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (at least 1) of each channel, exactly, from histograms."""
    levels = np.arange(256.0)
    means, stds = [], []
    for channel in range(images.shape[-1]):
        share = np.bincount(images[..., channel].ravel(), minlength=256) / images[..., 0].size
        mean = float(share @ levels)
        means.append(mean)
        stds.append(max(1.0, float(share @ (levels - mean) ** 2) ** 0.5))
    return tuple(means), tuple(stds)


def _check_classes(labels: Labels, names: tuple[str, ...], config: DataConfig, least: int) -> None:
    purpose = "one to train on and one to validate" if least == 2 else "one to train on"
    counts = np.bincount(labels, minlength=len(names))
    for name, count in zip(names, counts, strict=True):
        if count < least:
            raise DataError(
                f"class {name} has {count} images; each needs {purpose}",
                "limit" if config.limit else "source",
            )


def _limited(raw: RawSplit, labels: Labels, config: DataConfig) -> Indices:
    """Indices in use: all, or ``limit`` of them with every class in proportion."""
    if config.limit is None or raw.limited:
        return np.arange(len(labels))
    if config.limit > len(labels):
        raise DataError(
            f"limit {config.limit} is more than the {len(labels)} training images", "limit"
        )
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    # Rank of each image within its class, as a fraction: the smallest fractions come first.
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(rank, kind="stable")[: config.limit])


def _decode_all(
    raw: RawSplit,
    indices: Indices,
    shape: tuple[int, int, int] | None,
    of_training: bool = False,
) -> Images:
    """(N, H, W, C), all of the shape of the first.

    Args:
        shape: (channels, height, width) that they have to have.
        of_training: whether it is that of the training images, not the one that is configured.
    """

    def name(position: int) -> str:
        return raw.name(int(indices[position]))

    images: Images | None = None
    for position, image in enumerate(raw.images(indices)):
        height, width, channels = image.shape
        if images is None:
            if shape and shape != (channels, height, width):
                expected = "the training images have" if of_training else "got shape:"
                raise DataError(
                    f"{name(position)}: the image has {channels} x {height} x {width} "
                    f"(channels, height, width); {expected} {list(shape)}",
                    "source" if of_training else "shape",
                )
            _check_memory(len(indices) * image.size)
            images = np.empty((len(indices), *image.shape), dtype=np.uint8)
        if image.shape != images.shape[1:]:
            raise DataError(
                f"{name(position)}: the image is {height} x {width} x {channels}, "
                f"the first is {' x '.join(map(str, images.shape[1:]))}",
                hint="all images must have the same size",
            )
        images[position] = image
    assert images is not None  # `class_names` has seen to it that there are some
    return images


def _check_memory(size: int) -> None:
    """Raise `DataError` where images are too many bytes to be held: nothing would be said later."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no limit is the word max, or no file
        memory = min(memory, int(CONTAINER_LIMIT.read_text()))
    if size > memory / 2:
        raise DataError(
            f"the images are {size / 1e9:,.1f} GB once they are decoded, more than half of this "
            f"machine's {memory / 1e9:,.1f} GB of memory",
            hint="use fewer (data.limit) or make them smaller (data.resize)",
        )
