"""The interval of a share, against its closed form."""

from __future__ import annotations

from math import sqrt

import pytest

from nas.statistics.proportion import share_interval


def wilson(share: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson (1927), solved by hand for the bounds."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return middle - half, middle + half


@pytest.mark.parametrize(("right", "images"), [(0, 10), (9, 10), (10, 10), (284, 287), (1, 2)])
def test_the_interval_is_wilsons(right, images):
    expected = wilson(right / images, images)
    assert share_interval(right / images, images) == pytest.approx(expected, abs=1e-9)


def test_a_published_value():
    """Newcombe 1998, table I, method 3: 81 of 263."""
    assert share_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
