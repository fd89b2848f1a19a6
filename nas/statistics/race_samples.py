"""Scores of a race's arms by the stages of its looks, and what each stage says of two arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
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
    _known: dict[tuple[int, float], NDArray[np.float64]] = field(default_factory=dict, repr=False)

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

    def z(self, look: int, first: str, second: str, shift: float) -> float:
        """How far an arm is above another one by more than a shift, by a look's fresh seeds.

        Welch's t (1947), as the standard normal number that is as improbable.
        """
        return float(self._pairs(look, shift)[self.rows[first], self.rows[second]])

    def _pairs(self, look: int, shift: float) -> NDArray[np.float64]:
        """Of all arms, each against each (arms, arms): as fast as of two, and asked for often."""
        if (look, shift) not in self._known:
            seeds = self.looks[look]
            fresh = seeds - (self.looks[look - 1] if look else 0)
            means, variances = self.means[look], self.variances[look]
            above = means[:, None] - means - shift
            self._known[look, shift] = welch_z(above, variances[:, None], variances, fresh, seeds)
        return self._known[look, shift]


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


def sidak(z: float, count: int) -> float:
    """The largest of so many statistics, as one that was not chosen (Sidak 1967)."""
    p = -np.expm1(count * special.log_ndtr(z))
    return float(np.clip(-special.ndtri(p), -MOST, MOST))
