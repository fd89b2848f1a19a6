"""How sure the front is: accuracies of a few seeds are noisy, costs are exact.

Each draw of the bootstrap is a front that other seeds might have given. An architecture that is on
nearly all of them is on the front, one on nearly none is dominated, and the others are undecided:
the ones that further seeds should go to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.pareto import hypervolume, pareto_front

DRAWS = 2000
SURE = 0.95

FEW = 5
"""Seeds below which the deviations of an architecture say too little of its noise."""

Label = Literal["front", "dominated", "undecided"]


@dataclass(frozen=True)
class NoisyFront:
    """Fronts of the bootstrap's draws.

    Attributes:
        probabilities: (n,) share of the draws in which each architecture is on the front.
        volumes: (draws,) the hypervolume of each.
        noise: standard deviation of one training, pooled over all architectures.
    """

    probabilities: NDArray[np.float64]
    volumes: NDArray[np.float64]
    noise: float

    @property
    def labels(self) -> tuple[Label, ...]:
        """What can be said of each architecture."""
        return tuple(
            "front" if p >= SURE else "dominated" if p <= 1 - SURE else "undecided"
            for p in self.probabilities
        )

    @property
    def undecided(self) -> NDArray[np.intp]:
        """Indices of those that further seeds should go to, the least decided first."""
        doubt = np.abs(self.probabilities - 0.5)
        order = np.argsort(doubt, kind="stable")
        return order[doubt[order] < SURE - 0.5]

    def volume_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Quantiles of the hypervolume, with confidence 1 - alpha."""
        low, high = np.quantile(self.volumes, [alpha / 2, 1 - alpha / 2])
        return float(low), float(high)


def noisy_front(
    accuracies: ArrayLike, costs: ArrayLike, reference: ArrayLike, seed: int = 0
) -> NoisyFront:
    """Bootstrap the front over seeds.

    Seeds are drawn for all architectures at once, so that what a seed does to all of them stays
    common to them. Deviations are scaled by sqrt(n / (n - 1)), for those of n seeds from their own
    mean are too small. Where an architecture has few seeds, its noise is the pooled one:
    the few fronts that those could be drawn to would rule out most of what may be true.

    Args:
        accuracies: (n, seeds), nan where an architecture was not trained with a seed.
        costs: (n,), such as MACs.
        reference: accuracy and cost of the hypervolume's corner.
        seed: of the draws.

    Raises:
        ValueError: an architecture without a run, or none with two, which leaves the noise unknown.
    """
    values, prices = np.asarray(accuracies, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    if values.ndim != 2 or prices.shape != values.shape[:1]:
        raise ValueError(f"got accuracies of shape {values.shape} and costs of {prices.shape}")
    known = np.isfinite(values)
    runs = known.sum(axis=1)
    if (runs == 0).any():
        raise ValueError(f"architecture {int(np.argmin(runs))} was never trained")
    if (runs < 2).all():
        raise ValueError("the noise is unknown: no architecture was trained with two seeds")
    means = np.nanmean(values, axis=1)
    residuals = np.where(known, values - means[:, None], 0.0)
    noise = float(np.sqrt((residuals**2).sum() / (runs - 1).sum()))
    rng = np.random.default_rng(seed)
    probabilities = np.zeros(len(values))
    volumes = np.empty(DRAWS)
    for draw in range(DRAWS):
        drawn = means + _errors(residuals, known, runs, noise, rng)
        points = np.column_stack([drawn, prices])
        probabilities[pareto_front(points)] += 1 / DRAWS
        volumes[draw] = hypervolume(points, reference)
    return NoisyFront(probabilities, volumes, noise)


def _errors(
    residuals: NDArray[np.float64],
    known: NDArray[np.bool_],
    runs: NDArray[np.intp],
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Errors (n,) of the means that one draw of seeds would give."""
    columns = rng.integers(0, residuals.shape[1], residuals.shape[1])
    counts = known[:, columns].sum(axis=1)
    sums = residuals[:, columns].sum(axis=1)
    # sqrt(n / (n - 1)), and the mean of `counts` drawn runs stands for that of n of them.
    scale = np.sqrt(counts / np.maximum(runs - 1, 1))
    resampled = sums / np.maximum(counts, 1) * scale
    unknown = (runs < FEW) | (counts == 0)
    replaced = rng.normal(0, noise, len(runs)) / np.sqrt(runs)
    return np.where(unknown, replaced, resampled)
