"""Where a network is on the spectrum, and what the same network is at the ends of it."""

from __future__ import annotations

import pytest

from nas.architecture.position import is_end, position, segment_width
from nas.architecture.specification import (
    Architecture,
    Block,
    SpectrumPoint,
    Stem,
)

CHOSEN = SpectrumPoint(
    "C/4",
    "relu",
    "pointwise_first",
    kernel=5,
    multiplier=2,
    dilation=2,
    pointwise_groups=4,
    norm_between=True,
)
"""A point with another value than the default in every field."""

NETWORK = Architecture((3, 16, 16), 4, Stem((8,)), (Block((8, 16), CHOSEN), Block((16,), CHOSEN)))


def test_the_width_of_a_segment_is_the_geometric_mean_over_the_convolutions():
    """Of 8 channels one by one, of 16 in two halves, and of 4 not divided: 1, 8 and 4."""
    blocks = (
        Block((16,), SpectrumPoint("C")),
        Block((4,), SpectrumPoint(2)),
        Block((4,), SpectrumPoint(1, order="plain")),
    )
    network = Architecture((3, 16, 16), 4, Stem((8,)), blocks)
    assert segment_width(network) == pytest.approx((1 * 8 * 4) ** (1 / 3))


def test_a_network_between_the_ends_is_none():
    assert not is_end(NETWORK)
    assert 0 < position(NETWORK) < 1
