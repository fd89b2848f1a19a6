"""Paired comparisons over seeds: an exact test, the interval that belongs to it, and its power.

Two networks are trained with the same seeds, so the noise that they share (data order and
augmentation) cancels in the differences. Where a difference is as likely to be some amount above
its mean as below it, flipping the signs of any of them about the true mean gives an equally likely
sample. That symmetry is an assumption: a network that collapses in one training of ten breaks it,
and with it the error rates, which is why every single difference is shown with a verdict.

For the sum of n differences this test has a closed form (Hartigan 1969, "Using subsample values as
typical values"): flipping the signs of a subset A leaves the sum as large as it was exactly if the
mean of A is at most the shift. So the p-value of a shift counts the subsets whose mean is at most
the shift, and the interval that the test does not reject lies between order statistics of the
subset means. Test and interval can therefore never contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

MAX_EXACT = 14
"""Differences up to which all subsets are counted; of more, as many random ones are drawn."""

TIE = 1e-9
"""Accuracies are fractions of the images: what differs by less is equal but for rounding."""


class Interval(NamedTuple):
    """A mean difference of accuracies and its confidence bounds; infinite with too few seeds."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Comparison:
    """Differences between two arms, seed by seed.

    Attributes:
        differences: (n,), the first arm's accuracy minus the second's.
        subset_means: (2**n - 1,) sorted; of all subsets, or of as many random ones.
    """

    differences: NDArray[np.float64]
    subset_means: NDArray[np.float64]

    @classmethod
    def of(cls, first: ArrayLike, second: ArrayLike) -> Comparison:
        """Compare two arms.

        Args:
            first: (n,) accuracies; entry by entry with the same seeds as ``second``.
            second: (n,).

        Raises:
            ValueError: no seeds, different numbers of them, or numbers that are not finite.
        """
        a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
        if a.ndim != 1 or a.shape != b.shape or a.size == 0:
            raise ValueError(
                f"paired arms have the same seeds, at least one; got shapes {a.shape}, {b.shape}"
            )
        differences = a - b
        if not np.isfinite(differences).all():
            raise ValueError("accuracies are finite numbers")
        return cls(differences, np.sort(subset_means(differences)))

    @property
    def seeds(self) -> int:
        """How many pairs there are."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """The estimate."""
        return float(self.differences.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation of a single difference; nan of a single one."""
        return float(self.differences.std(ddof=1)) if self.seeds > 1 else float("nan")

    def p_greater(self, shift: float) -> float:
        """P-value of the hypothesis that the true mean is at most ``shift``."""
        extreme = int(np.searchsorted(self.subset_means, shift + TIE, side="right"))
        return (1 + extreme) / (1 + len(self.subset_means))

    def p_less(self, shift: float) -> float:
        """P-value of the hypothesis that the true mean is at least ``shift``."""
        below = int(np.searchsorted(self.subset_means, shift - TIE, side="left"))
        return (1 + len(self.subset_means) - below) / (1 + len(self.subset_means))

    def lower(self, alpha: float) -> float:
        """What the true mean is above with confidence 1 - alpha; -inf with too few seeds."""
        rank = self._rank(alpha)
        return float(self.subset_means[rank - 1]) if rank >= 1 else -np.inf

    def upper(self, alpha: float) -> float:
        """What the true mean is below with confidence 1 - alpha; inf with too few seeds."""
        rank = self._rank(alpha)
        return float(self.subset_means[-rank]) if rank >= 1 else np.inf

    def interval(self, alpha: float) -> Interval:
        """The estimate between its two bounds, each with confidence 1 - alpha."""
        return Interval(self.mean, self.lower(alpha), self.upper(alpha))

    def _rank(self, alpha: float) -> int:
        """How many of the outermost subset means the level leaves outside."""
        # A product such as 0.05 * 20 is a hair below its value.
        return int(np.floor(alpha * (1 + len(self.subset_means)) * (1 + 1e-12)))


def noise_components(accuracies: ArrayLike) -> tuple[float, float]:
    """Standard deviations of a training by itself, and of what a seed does to all arms.

    By the two-way analysis of variance without interaction.

    Args:
        accuracies: (arms, seeds), at least two of each.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    arms, seeds = values.shape
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    own = (rest**2).sum() / ((arms - 1) * (seeds - 1))
    of_seeds = values.mean(axis=0).var(ddof=1)
    return float(np.sqrt(own)), float(np.sqrt(max(0.0, of_seeds - own / arms)))


def paired_intervals(
    accuracies: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of the means of paired arms, for figures (Cousineau 2005, Morey 2008).

    What a seed does to all arms is taken out first, so that arms whose intervals are far apart
    differ, however much the seeds do.

    Args:
        accuracies: (arms, seeds).

    Returns:
        Lower and upper bounds (arms,); of a single seed the accuracies themselves.
    """
    values = without_seed_effects(accuracies)
    seeds, means = values.shape[1], values.mean(axis=1)
    if seeds < 2:
        return means, means
    half = stats.t.ppf((1 + confidence) / 2, seeds - 1) * values.std(axis=1, ddof=1) / seeds**0.5
    return means - half, means + half


def without_seed_effects(accuracies: ArrayLike) -> NDArray[np.float64]:
    """Paired arms (arms, seeds) without what a seed does to all of them; their means stay.

    What is left of each arm is stretched to the variance that it has by itself (Morey 2008).
    """
    values = np.asarray(accuracies, dtype=np.float64)
    arms = len(values)
    if arms < 2:
        return values
    means = values.mean(axis=1, keepdims=True)
    own = values - means - (values.mean(axis=0) - values.mean())
    found: NDArray[np.float64] = means + own * (arms / (arms - 1)) ** 0.5
    return found


def mean_interval(accuracies: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of a mean; of a single seed the accuracy itself."""
    values = np.asarray(accuracies, dtype=np.float64)
    if len(values) < 2:
        return float(values[0]), float(values[0])
    error = values.std(ddof=1) / len(values) ** 0.5
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error
    return float(values.mean() - half), float(values.mean() + half)


def subset_means(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of all subsets of (..., n) but the empty one (..., 2**n - 1).

    Of as many random ones as `MAX_EXACT` would give where there are too many.
    """
    n = differences.shape[-1]
    if n <= MAX_EXACT:
        subsets = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1  # (2**n - 1, n)
    else:
        rng = np.random.default_rng(0)
        subsets = rng.integers(0, 2, (2**MAX_EXACT - 1, n))
        subsets[~subsets.any(axis=1)] = 1
    means: NDArray[np.float64] = differences @ (subsets / subsets.sum(axis=1, keepdims=True)).T
    return means
