"""Which taps of a kernel reach which rows, or columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Axis(NamedTuple):
    """One axis of a convolution or pooling; ``before`` is its padding above or to the left."""

    size: int
    result: int
    kernel: int
    stride: int
    dilation: int
    before: int

    def forward(self) -> NDArray[np.int32]:
        """For each position of the result, the taps that are not on the padding."""
        return _table(
            [
                [
                    (tap, position * self.stride - self.before + tap * self.dilation)
                    for tap in range(self.kernel)
                ]
                for position in range(self.result)
            ],
            self.size,
        )

    def backward(self) -> NDArray[np.int32]:
        """For each position of the input, the taps that it was read at, and for which results."""
        return _table(
            [
                [
                    (tap, (position + self.before - tap * self.dilation) // self.stride)
                    for tap in range(self.kernel)
                    if (position + self.before - tap * self.dilation) % self.stride == 0
                ]
                for position in range(self.size)
            ],
            self.result,
        )


def _table(reaches: list[list[tuple[int, int]]], size: int) -> NDArray[np.int32]:
    """(positions, 5): first tap, step, taps, first source, step; ``Reach`` in convolution.h."""
    rows = []
    for pairs in reaches:
        inside = [(tap, source) for tap, source in pairs if 0 <= source < size]
        first = inside[0] if inside else (0, 0)
        # Stride and dilation are never both above one, so that taps are evenly spaced.
        second = inside[1] if len(inside) > 1 else (first[0] + 1, first[1])
        steps = (second[0] - first[0], second[1] - first[1])
        rows.append((first[0], steps[0], len(inside), first[1], steps[1]))
    return np.array(rows, dtype=np.int32).reshape(-1, 5)
