"""What a fixed design could have found, and what it would take to settle it: by simulating it.

The interior point is compared with all ends at once, and what those comparisons have in common is
the point itself. Simulated studies have that, too; a sum over single comparisons does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nas.statistics.paired import subset_means

STUDIES = 2000

POWER = 0.8
"""Probability with which the smallest detectable advantage would have been detected."""

MAX_SIMULATED = 10
"""Seeds up to which bounds are those of the sign-flip test; with more, Student's are close."""


def smallest_detectable(differences: ArrayLike, alpha: float, delta: float) -> float:
    """The advantage over every end that would have been found in at least 4 of 5 such studies.

    Args:
        differences: (ends, seeds) of the judged point from each end.
        alpha: accepted probability of a wrong verdict.
        delta: that the advantage has to be above.

    Returns:
        Infinite where no advantage could have been found: too few seeds for the level.
    """
    values = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    noise = _noise(values, values.shape[1])  # (studies, ends, seeds)
    lower = lower_bounds(noise, alpha).min(axis=1)
    if np.isinf(lower[0]):
        return np.inf
    # A bound moves with the mean of its sample, so one simulation serves all advantages.
    return float(np.quantile(delta - lower, POWER))


def seeds_that_settle(
    interior: ArrayLike,
    ends: ArrayLike,
    chosen: int,
    alpha: float,
    delta: float,
    most: int = 10_000,
) -> int | None:
    """Seeds with which a study is supported or refuted with 80%, if its means were right.

    Args:
        interior: (arms, seeds) accuracies of the judged interior points, by at least two seeds.
        ends: (ends, seeds), the same seeds.
        chosen: index of the interior point that has to beat all ends.
        most: None where it would take more.
    """
    points, others = np.asarray(interior, dtype=np.float64), np.asarray(ends, dtype=np.float64)
    differences = points[:, None, :] - others  # (arms, ends, seeds)
    flat = differences.reshape(-1, differences.shape[-1])
    means = flat.mean(axis=1)[:, None]

    def settled(seeds: int) -> float:
        samples = (means + _noise(flat, seeds)).reshape(-1, *differences.shape[:2], seeds)
        above = lower_bounds(samples[:, chosen], alpha) > delta  # (studies, ends)
        below = -lower_bounds(-samples, alpha / len(others)) < delta  # (studies, arms, ends)
        return float(np.mean(np.all(above, axis=1) | np.all(np.any(below, axis=2), axis=1)))

    few, many = 1, 2
    while settled(many) < POWER:
        few, many = many, 2 * many
        if few > most:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if settled(middle) < POWER else (few, middle)
    return many if many <= most else None


def lower_bounds(samples: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """What the means of samples (..., seeds) are above with confidence 1 - alpha (...)."""
    seeds = samples.shape[-1]
    if 2.0**-seeds > alpha:
        return np.full(samples.shape[:-1], -np.inf)
    if seeds <= MAX_SIMULATED:
        means = subset_means(samples)
        rank = int(np.floor(alpha * (1 + means.shape[-1]) * (1 + 1e-12)))
        found: NDArray[np.float64] = np.partition(means, rank - 1, axis=-1)[..., rank - 1]
        return found
    error = samples.std(axis=-1, ddof=1) / seeds**0.5
    bounds: NDArray[np.float64] = samples.mean(axis=-1) - stats.t.ppf(1 - alpha, seeds - 1) * error
    return bounds


def _noise(values: NDArray[np.float64], seeds: int) -> NDArray[np.float64]:
    """Normal errors (studies, rows, seeds) that vary together as the rows of values do."""
    rng = np.random.default_rng(0)
    residuals = values - values.mean(axis=1, keepdims=True)
    studies = max(200, min(STUDIES, 2_000_000 // (len(values) * seeds)))
    draws = rng.normal(size=(studies, values.shape[1], seeds))
    found: NDArray[np.float64] = residuals / max(values.shape[1] - 1, 1) ** 0.5 @ draws
    return found
