"""Scores of a race's arms by the stages of its looks, and what each stage says of two arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

MOST = 8.0
"""Of a standard normal statistic: what is further away is as good as certain."""


@dataclass(frozen=True)
class Samples:
    """What is known of each arm at each look; nan where it has not been trained up to it.

    Attributes:
        rows: of each arm's name.
        values: (arms, seeds) scores.
        looks: seeds of an arm that has been trained up to each look.
        means: (looks, arms) of the fresh seeds of each look.
        variances: (looks, arms) of a single score, by all seeds up to each look.
    """

    rows: Mapping[str, int]
    values: NDArray[np.float64]
    looks: tuple[int, ...]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    @classmethod
    def of(
        cls, arms: Sequence[str], looks: tuple[int, ...], scores: Mapping[str, Sequence[float]]
    ) -> Samples:
        """The scores of some arms, in the order of the race's seeds.

        Raises:
            ValueError: a score is not finite.
        """
        values = np.full((len(arms), looks[-1]), np.nan)
        for row, arm in enumerate(arms):
            known = np.asarray(scores.get(arm, ()), dtype=np.float64)[: looks[-1]]
            if not np.isfinite(known).all():
                raise ValueError(f"the scores of {arm} are finite numbers")
            values[row, : len(known)] = known
        stages = list(zip((0, *looks), looks, strict=False))
        means = np.stack([values[:, before:seeds].mean(axis=1) for before, seeds in stages])
        variances = np.stack([values[:, :seeds].var(axis=1, ddof=1) for seeds in looks])
        return cls({arm: row for row, arm in enumerate(arms)}, values, looks, means, variances)

    def has(self, arm: str, seeds: int) -> bool:
        """Whether an arm has been trained with so many seeds."""
        return bool(np.isfinite(self.values[self.rows[arm], :seeds]).all())

    def mean(self, arm: str, seeds: int) -> float:
        """Of an arm's first seeds."""
        return float(self.values[self.rows[arm], :seeds].mean())

    def z(
        self, look: int, first: Sequence[str], second: Sequence[str], shift: float
    ) -> NDArray[np.float64]:
        """How far arms are above others by more than a shift, by the fresh seeds of a look.

        Welch's t (1947), as the standard normal number that is as improbable.

        Returns:
            (first, second); infinite numbers are cut at `MOST`.
        """
        a, b = [self.rows[arm] for arm in first], [self.rows[arm] for arm in second]
        above = self.means[look, a][:, None] - self.means[look, b] - shift
        seeds = self.looks[look]
        fresh = seeds - (self.looks[look - 1] if look else 0)
        own, other = self.variances[look, a][:, None], self.variances[look, b]
        return welch_z(above, own, other, fresh, seeds)


def welch_z(
    above: NDArray[np.float64],
    own: NDArray[np.float64],
    other: NDArray[np.float64],
    observations: int,
    degrees_of: int,
) -> NDArray[np.float64]:
    """Welch's t of differences of means, as standard normal numbers that are as improbable.

    Args:
        above: differences of the means.
        own: variances of a single observation of the first sample, estimated.
        other: of the second.
        observations: of each mean.
        degrees_of: observations that each variance was estimated from.
    """
    variance = np.maximum(own + other, 1e-300)  # none at all: the difference alone counts
    freedom = (degrees_of - 1) * variance**2 / np.maximum(own**2 + other**2, 1e-300)
    freedom = np.clip(freedom, degrees_of - 1, 2 * (degrees_of - 1))
    t = above / np.sqrt(variance / observations)
    # Of the tail that is small, so that nothing is lost to rounding.
    tail = special.stdtr(freedom, -np.abs(t))
    z: NDArray[np.float64] = -np.sign(t) * np.maximum(special.ndtri(tail), -MOST)
    return z


def sidak(z: ArrayLike, count: int) -> NDArray[np.float64]:
    """The largest of so many statistics, as one that was not chosen (Sidak 1967)."""
    p = special.ndtr(-np.asarray(z, dtype=np.float64))
    corrected: NDArray[np.float64] = -special.ndtri(-np.expm1(count * np.log1p(-p)))
    return np.clip(corrected, -MOST, MOST)
