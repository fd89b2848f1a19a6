"""How sure the front is: accuracies of a few seeds vary from seed to seed, costs are exact.

Each draw of the bootstrap is a front that other seeds might have given. An architecture that is on
nearly all of them is on the front, one on nearly none is dominated, and the others are undecided:
the ones that further seeds should go to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.statistics.paired import noise_components
from nas.statistics.pareto import hypervolume, pareto_front

DRAWS = 2000
SURE = 0.95

FEW = 10
"""Seeds below which the deviations of an architecture say too little of the tails of its noise."""

Label = Literal["front", "dominated", "undecided"]


@dataclass(frozen=True)
class FrontBootstrap:
    """Fronts of the bootstrap's draws.

    Attributes:
        probabilities: (n,) share of the draws in which each architecture is on the front.
        labels: ``dominated`` where one certain other is better, with confidence 95% after
            correcting for how many others there are; ``front`` where it is on 95% of the fronts.
        volumes: (draws,) the hypervolume of each.
        volume: of the means.
        noise: standard deviation of one training, pooled over all architectures.
    """

    probabilities: NDArray[np.float64]
    labels: tuple[Label, ...]
    volumes: NDArray[np.float64]
    volume: float
    noise: float

    @property
    def undecided(self) -> NDArray[np.intp]:
        """Indices of those that further seeds should go to, the least decided first."""
        doubt = np.abs(self.probabilities - 0.5)
        order = np.argsort(doubt, kind="stable")
        return order[[self.labels[index] == "undecided" for index in order]]

    def volume_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval of the hypervolume, with confidence 1 - alpha.

        The basic bootstrap: noise makes the front of measured means look better than it is, and
        that of the draws by as much again, which is turned around here.
        """
        low, high = np.quantile(self.volumes, [alpha / 2, 1 - alpha / 2])
        return 2 * self.volume - float(high), 2 * self.volume - float(low)


def bootstrap_front(
    accuracies: ArrayLike,
    costs: ArrayLike,
    reference: ArrayLike,
    seed: int = 0,
    noise: float | None = None,
) -> FrontBootstrap:
    """Bootstrap the front over seeds.

    Seeds are drawn for all architectures at once, so that what a seed does to all of them stays
    common to them. Deviations are scaled by sqrt(n / (n - 1)), for those of n seeds from their own
    mean are too small. Where an architecture has few seeds, its noise is the pooled one: the few
    fronts that those could be drawn to would rule out most of what may be true. Where all have the
    same few seeds, what a seed does to all of them is told apart from it.

    Args:
        accuracies: (n, seeds), nan where an architecture was not trained with a seed.
        costs: (n,), such as MACs, or (n, m) of several kinds.
        reference: accuracy and costs of the hypervolume's reference point.
        seed: of the draws.
        noise: standard deviation of one training, pooled over others than these: where each of
            these was trained with seeds of its own, one perhaps.

    Raises:
        ValueError: an architecture without a training, or none with two and no noise given.
    """
    values, prices = np.asarray(accuracies, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    known = _known(values, prices, noise)
    prices = prices.reshape(len(values), -1)  # (n, m)
    means = np.nanmean(values, axis=1)
    errors = _Errors.of(values, known, noise)
    rng = np.random.default_rng(seed)
    draws = np.stack([errors.draw(rng) for _ in range(DRAWS)])
    drawn = np.round(means + draws, 9)  # (draws, n); ties stay ties
    probabilities = _on_front(drawn, prices).mean(axis=0)
    rivals = pareto_front(np.column_stack([means, prices]))
    surest = np.max([_dominated(drawn, prices, rival).mean(axis=0) for rival in rivals], axis=0)
    volume, *volumes = _volumes(np.vstack([means, drawn]), prices, reference)
    labels = _labels(probabilities, surest)
    return FrontBootstrap(probabilities, labels, np.array(volumes), float(volume), errors.noise)


def _known(
    values: NDArray[np.float64], prices: NDArray[np.float64], noise: float | None
) -> NDArray[np.bool_]:
    """Which architecture was trained with which seed (n, seeds); refuses what tells nothing."""
    if values.ndim != 2 or prices.shape[:1] != values.shape[:1]:
        raise ValueError(f"got accuracies of shape {values.shape} and costs of {prices.shape}")
    known = np.isfinite(values)
    trainings = known.sum(axis=1)
    if (trainings == 0).any():
        raise ValueError(f"architecture {int(np.argmin(trainings))} was never trained")
    if noise is None and (trainings < 2).all():
        raise ValueError("the noise is unknown: no architecture was trained with two seeds")
    return known


def _on_front(drawn: NDArray[np.float64], prices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which architectures none dominates in each draw (draws, n); equal ones do not each other."""
    on_front = np.empty(drawn.shape, dtype=bool)
    for index, price in enumerate(prices):
        at_most, equal = (prices <= price).all(axis=1), (prices == price).all(axis=1)
        cheaper = drawn[:, at_most & ~equal].max(axis=1, initial=-np.inf)
        of_its_price = drawn[:, equal].max(axis=1)
        on_front[:, index] = (drawn[:, index] > cheaper) & (drawn[:, index] >= of_its_price)
    return on_front


def _dominated(
    drawn: NDArray[np.float64], prices: NDArray[np.float64], rival: int
) -> NDArray[np.bool_]:
    """Which architectures one of them dominates in each draw (draws, n)."""
    higher, cheaper = drawn[:, [rival]] - drawn, prices - prices[rival]
    least = np.minimum(higher, cheaper.min(axis=1))
    most = np.maximum(higher, cheaper.max(axis=1))
    dominated: NDArray[np.bool_] = (least >= 0) & (most > 0)
    return dominated


def _volumes(
    drawn: NDArray[np.float64], prices: NDArray[np.float64], reference: ArrayLike
) -> NDArray[np.float64]:
    """Hypervolume of each draw (draws,); of one cost the area under what each cost buys."""
    if prices.shape[1] > 1:
        return np.array([hypervolume(np.column_stack([d, prices]), reference) for d in drawn])
    worst, limit = np.asarray(reference, dtype=np.float64)
    order = np.argsort(prices[:, 0], kind="stable")
    steps = np.diff(np.append(np.minimum(prices[order, 0], limit), limit))
    best = np.maximum.accumulate(np.maximum(drawn[:, order] - worst, 0.0), axis=1)
    volumes: NDArray[np.float64] = best @ steps
    return volumes


def _labels(
    probabilities: NDArray[np.float64], surest_rival: NDArray[np.float64]
) -> tuple[Label, ...]:
    """Labels by P(on the front), and by how often the surest rival dominates."""
    dominated = surest_rival >= 1 - (1 - SURE) / max(1, len(probabilities) - 1)
    return tuple(
        "dominated" if is_dominated else "front" if p >= SURE else "undecided"
        for p, is_dominated in zip(probabilities, dominated, strict=True)
    )


@dataclass(frozen=True)
class _Errors:
    """Errors of the architectures' means, to be drawn from.

    Attributes:
        residuals: (n, seeds) from each architecture's mean; zero where it was not trained.
        own: standard deviation of one training, where it is known without what a seed does to all.
        shared: standard deviation of what a seed does to all; zero where it is not known.
        noise: of both together.
    """

    residuals: NDArray[np.float64]
    known: NDArray[np.bool_]
    own: float
    shared: float
    noise: float

    @classmethod
    def of(
        cls, values: NDArray[np.float64], known: NDArray[np.bool_], noise: float | None
    ) -> _Errors:
        trainings = known.sum(axis=1)
        means = np.nanmean(values, axis=1)
        residuals = np.where(known, values - means[:, None], 0.0)
        if noise is not None:
            return cls(residuals, known, noise, 0.0, noise)
        noise = float(np.sqrt((residuals**2).sum() / (trainings - 1).sum()))
        own, shared = noise, 0.0
        if known.all() and min(values.shape) > 1:
            own, shared = noise_components(values)
        return cls(residuals, known, own, shared, noise)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Errors (n,) that one draw of seeds would give."""
        seeds = self.residuals.shape[1]
        columns = rng.integers(0, seeds, seeds)
        trainings = self.known.sum(axis=1)
        counts = self.known[:, columns].sum(axis=1)
        sums = self.residuals[:, columns].sum(axis=1)
        # sqrt(n / (n - 1)), and the mean of `counts` drawn trainings stands for that of n of them.
        scale = np.sqrt(counts / np.maximum(trainings - 1, 1))
        resampled = sums / np.maximum(counts, 1) * scale
        common = rng.normal(0, self.shared) / np.sqrt(seeds)
        pooled = rng.normal(0, self.own, len(trainings)) / np.sqrt(trainings) + common
        drawn: NDArray[np.float64] = np.where((trainings < FEW) | (counts == 0), pooled, resampled)
        return drawn
