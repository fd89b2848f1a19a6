"""What a source gives: labels at once, and images that are decoded on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trials.data.images import Images, Labels

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class RawSplit:
    """Labels, and images that are decoded on demand.

    Attributes:
        images: decodes the images of these indices, in order: (H, W, C) uint8 each.
        name: the file or row of an index, for messages.
        limited: whether ``limit`` has been kept to, as where so many images were generated.
    """

    labels: Labels
    images: Callable[[Indices], Iterator[Images]]
    name: Callable[[int], str]
    limited: bool = False


class Source(Protocol):
    """A data set that has not been read yet."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Their names, where the source has them; known once a split has been read."""

    def train(self) -> RawSplit:
        """The training split."""

    def test(self) -> RawSplit:
        """The test split: for the final report only."""
