"""The validation images in two halves: one to choose by, one to judge by what was chosen."""

from __future__ import annotations

import hashlib

import numpy as np

from trials.data.images import AnyLabels, DataConfig, DataError
from trials.data.raw_split import Indices
from trials.data.sources import stratified


def halves(images: Indices, labels: AnyLabels, config: DataConfig) -> list[Indices]:
    """Validation images as they are used: all of them, or those to choose by and those to judge by.

    Half of each class is drawn, by what ``config.half`` says and nothing else: the same images
    whenever the same data is read.

    Args:
        images: of the split, by their places among the labels.
        labels: of all images.

    Raises:
        DataError: one half would be empty.
    """
    if config.half is None:
        return [images]
    digest = hashlib.sha256(config.half.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8]))
    judging = stratified(labels[images], 0.5, rng)
    if judging.all():
        raise DataError(
            f"half of {len(images)} validation images leaves none to choose by",
            "validation",
            "more validation images, or claim: {on: test}",
        )
    return [images[~judging], images[judging]]
