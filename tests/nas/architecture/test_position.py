"""Where a network is on the spectrum, and what the same network is at the ends of it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from nas.architecture.position import ends_of, is_end, position, segment_width
from nas.architecture.specification import (
    PLAIN_VALUES,
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


def test_the_point_of_these_tests_has_a_choice_in_every_field():
    """A new axis has to be added to it."""
    unchosen = [f.name for f in fields(CHOSEN) if getattr(CHOSEN, f.name) == f.default]
    assert unchosen == []


def test_an_end_is_the_network_in_all_that_the_end_does_not_fix():
    ends = ends_of(NETWORK, ("spatial_first", "pointwise_first"))
    fixed = {
        "plain": {**PLAIN_VALUES, "order": "plain"},
        "C, spatial first": {"segments": "C", "order": "spatial_first"},
        "C, pointwise first": {"segments": "C", "order": "pointwise_first"},
    }
    assert set(ends) == set(fixed)
    for name, end in ends.items():
        assert is_end(end)
        for block in end.blocks:
            for field in fields(CHOSEN):
                expected = fixed[name].get(field.name, getattr(CHOSEN, field.name))
                assert getattr(block.point, field.name) == expected, (name, field.name)


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
