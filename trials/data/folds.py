"""Other splits of the same images: part of the training images judges, all others are trained on.

For validation images that were cut off from the training split and are few. What was chosen by them
is judged by other images in this way, and by more of them: another part for each training.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from trials.data.images import AnyLabels, ImageData
from trials.data.raw_split import Indices


class Fold(NamedTuple):
    """A part of the training images, which takes the place of the validation images.

    The training images are dealt into parts of the same size, of each class about as many to each.
    The validation images judge nothing then, and are trained on with the other parts.

    Attributes:
        number: from 0 on; once all parts have judged, the images are dealt anew.
        parts: that the training images are dealt into.
    """

    number: int
    parts: int

    def size(self, images: int) -> int:
        """How many of so many training images judge."""
        return len(range(self.number % self.parts, images, self.parts))

    def fingerprint(self, data: str) -> str:
        """Of the data set as it is split here: sixteen hexadecimal digits.

        Args:
            data: its fingerprint as it was split before, which all images are in.
        """
        text = f"{data}/part {self.number} of {self.parts}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def rows(self, data: ImageData) -> tuple[Indices, Indices]:
        """Images to train on and to judge by, in order, by their places in `ImageData.pool`."""
        deal, part = divmod(self.number, self.parts)
        judging = np.sort(_dealt(data.train.labels, deal)[part :: self.parts])
        everything = np.arange(len(data.train) + len(data.validation))
        return np.delete(everything, judging), judging


def _dealt(labels: AnyLabels, deal: int) -> Indices:
    """Images in the order in which they are dealt, those of a class after each other.

    Of images with many labels those that have the same ones, beginning with the rarest label.
    """
    order = np.random.default_rng(deal).permutation(len(labels))
    if labels.ndim == 1:
        return order[np.argsort(labels[order], kind="stable")]
    common_first = np.argsort(-labels.sum(axis=0, dtype=np.int64), kind="stable")
    return order[np.lexsort(labels[order][:, common_first].T)]


def parts_for(data: ImageData) -> int:
    """Parts of about as many images as validate."""
    return max(1, round(len(data.train) / len(data.validation)))
