"""Accuracies and their differences as they are shown: in percent and percentage points."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean, stdev

from nas.statistics.paired import Interval


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points."""
    if not isfinite(fraction):
        return "unbounded"
    return f"{100 * fraction:+.2f}"


def bounds(lower: float, upper: float) -> str:
    """An interval of such a difference in words."""
    if not isfinite(lower) and not isfinite(upper):
        return "unbounded with so few seeds"
    if not isfinite(lower):
        return f"at most {points(upper)}"
    if not isfinite(upper):
        return f"at least {points(lower)}"
    return f"{points(lower)} to {points(upper)}"


def points_interval(interval: Interval | None) -> str:
    """A difference with its interval in brackets; nothing where there is none."""
    if interval is None:
        return ""
    return f"{points(interval.mean)} [{points(interval.lower)}, {points(interval.upper)}]"


def mean_and_deviation(accuracies: Sequence[float]) -> str:
    """Mean and standard deviation in percent, and of how many trainings."""
    if not accuracies:
        return ""
    spread = f" ± {100 * stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{100 * fmean(accuracies):.2f}{spread} ({len(accuracies)})"
