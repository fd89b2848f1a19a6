"""Several paired comparisons at once: which differ, and which are equivalent.

Each is judged by the exact test of `nas.statistics.paired`, and all of them together by Holm's
procedure (Holm 1979, "A simple sequentially rejective multiple test procedure"): the smallest
p-value is held against alpha over all comparisons, the next against alpha over one fewer, and so on
until one is not small enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.statistics.paired import Comparison, Interval


@dataclass(frozen=True)
class Judged:
    """What one of several comparisons shows.

    Attributes:
        interval: of the difference, at the level at which Holm's procedure came to it: it is on one
            side of zero exactly where the difference is significant.
        p_different: of the hypothesis of no difference, two-sided, adjusted for all comparisons.
        p_equivalent: of the hypothesis that the difference is ``delta`` or more, either way, as
            adjusted.
        differs: whether there is a difference; its sign is the interval's.
        equivalent: whether the difference is less than delta, either way.
    """

    interval: Interval
    p_different: float
    p_equivalent: float
    differs: bool
    equivalent: bool


def judge_all(comparisons: Sequence[Comparison], delta: float, alpha: float) -> tuple[Judged, ...]:
    """Judge all comparisons of one family.

    With probability alpha at most any is called a difference that is none, and with alpha at most
    any equivalent that is not.

    Args:
        delta: differences that are smaller are equivalent, as a fraction.
    """
    different = [min(1.0, 2 * min(c.p_less(0.0), c.p_greater(0.0))) for c in comparisons]
    equivalent = [max(c.p_greater(-delta), c.p_less(delta)) for c in comparisons]
    levels = holm_levels(different, alpha)
    return tuple(
        Judged(comparison.interval(level / 2), p, q, p <= alpha, q <= alpha)
        for comparison, level, p, q in zip(
            comparisons, levels, holm(different), holm(equivalent), strict=True
        )
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: at most alpha exactly where his procedure rejects at alpha."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, (len(p_values) - step) * p_values[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level that each hypothesis is held against; where the procedure ends, that of its end."""
    levels, level, going = [alpha] * len(p_values), alpha, True
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        level = alpha / (len(p_values) - step) if going else level
        going = going and p_values[index] <= level
        levels[index] = level
    return levels
