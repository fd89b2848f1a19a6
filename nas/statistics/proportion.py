"""How far a share of images may be from that of all images like them."""

from __future__ import annotations

from math import sqrt

from scipy import stats


def share_deviation(share: float, images: int) -> float:
    """Standard deviation of a share of so many images.

    About as much as seeds make of it too, where the images are few.
    """
    return sqrt(share * (1 - share) / images)


def share_interval(share: float, images: int, alpha: float = 0.05) -> tuple[float, float]:
    """Interval of a proportion, by its score (Wilson 1927).

    Args:
        share: of the images that are right, from 0 to 1.
        images: how many there are; independent of each other.
    """
    found = stats.binomtest(round(share * images), images)
    interval = found.proportion_ci(1 - alpha, method="wilson")
    return float(interval.low), float(interval.high)
