"""From a source to arrays: choose, decode, check, split."""

from __future__ import annotations

import numpy as np

from trials.data.images import DataConfig, DataError, ImageData, Images, Labels, Split
from trials.data.raw_split import Indices, RawSplit, Source
from trials.data.sources import open_source, stratified

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
    raw = source.train()
    classes = len(_class_names(source, raw, config))
    height, width, channels = next(raw.images(np.array([0]))).shape
    return (channels, height, width), classes


def load(config: DataConfig) -> ImageData:
    """Read, check and split the training images.

    Raises:
        DataError: an unreadable image, mixed sizes, labels out of range, a class that is missing
            from a split; the message names the file or row.
    """
    source = open_source(config)
    raw = source.train()
    names = _class_names(source, raw, config)
    indices = _limited(raw, config)
    _check_classes(raw.labels[indices], names, config)
    images = _decode_all(raw, indices, config)
    labels = raw.labels[indices]

    held_out = stratified(labels, config.validation, np.random.default_rng(SPLIT_SEED))
    for label, name in enumerate(names):
        if not (labels[~held_out] == label).any():
            raise DataError(
                f"class {name} has only {int((labels == label).sum())} images, "
                f"which leaves none to train on with validation: {config.validation}",
                "validation",
            )
    train = Split(images[~held_out], labels[~held_out])
    mean, std = _statistics(train.images)
    return ImageData(
        train=train,
        validation=Split(images[held_out], labels[held_out]),
        classes=names,
        mean=mean,
        std=std,
    )


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


def load_test(config: DataConfig, data: ImageData) -> Split:
    """The test split of the data set that ``data`` was loaded from: for a final report only.

    Raises:
        DataError: there is none, or it does not fit the training split.
    """
    source = open_source(config)
    raw = source.test()
    _check_range(raw, len(data.classes), config)
    channels, height, width = data.input_shape
    whole = DataConfig(config.source, shape=(channels, height, width))
    return Split(_decode_all(raw, np.arange(len(raw.labels)), whole), raw.labels)


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


def _class_names(source: Source, raw: RawSplit, config: DataConfig) -> tuple[str, ...]:
    named = source.classes
    count = config.classes or (len(named) if named else int(raw.labels.max(initial=0)) + 1)
    if named and len(named) != count:
        raise DataError(f"the data has {len(named)} classes; got classes: {count}", "classes")
    if len(raw.labels) == 0:
        raise DataError("there are no images")
    _check_range(raw, count, config)
    if count < 2:
        raise DataError(f"a data set has at least 2 classes; this one has {count}")
    return named or tuple(map(str, range(count)))


def _check_range(raw: RawSplit, classes: int, config: DataConfig) -> None:
    outside = np.flatnonzero((raw.labels < 0) | (raw.labels >= classes))
    if len(outside):
        index = int(outside[0])
        raise DataError(
            f"{raw.name(index)}: label {raw.labels[index]} is not one of the {classes} classes, "
            f"0 to {classes - 1}",
            "classes" if config.classes else "source",
        )


def _check_classes(labels: Labels, names: tuple[str, ...], config: DataConfig) -> None:
    counts = np.bincount(labels, minlength=len(names))
    for name, count in zip(names, counts, strict=True):
        if count < 2:
            raise DataError(
                f"class {name} has {count} images; each needs one to train on and one to validate",
                "limit" if config.limit else "source",
            )


def _limited(raw: RawSplit, config: DataConfig) -> Indices:
    """Indices in use: all, or ``limit`` of them with every class in proportion."""
    labels = raw.labels
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


def _decode_all(raw: RawSplit, indices: Indices, config: DataConfig) -> Images:
    """(N, H, W, C), all of the shape of the first or of the one that is configured."""

    def name(position: int) -> str:
        return raw.name(int(indices[position]))

    images: Images | None = None
    for position, image in enumerate(raw.images(indices)):
        if images is None:
            height, width, channels = image.shape
            if config.shape and config.shape != (channels, height, width):
                raise DataError(
                    f"{name(position)}: the image has {channels} x {height} x {width} "
                    f"(channels, height, width); got shape: {list(config.shape)}",
                    "shape",
                )
            images = np.empty((len(indices), *image.shape), dtype=np.uint8)
        if image.shape != images.shape[1:]:
            height, width, channels = image.shape
            raise DataError(
                f"{name(position)}: the image is {height} x {width} x {channels}, "
                f"the first is {' x '.join(map(str, images.shape[1:]))}",
                hint="all images must have the same size",
            )
        images[position] = image
    assert images is not None  # `_class_names` has seen to it that there are some
    return images
