"""Rank agreement between signals, and how much of what is possible it is.

Two long trainings of the same architectures with different seeds do not rank them alike either:
that agreement is the ceiling for another single training. A signal that is less noisy than a
training is may exceed it.

The best third is each long seed's own, not that of their mean: among the best by the mean of two
seeds one seed is low where the other is high, so that their agreement, the ceiling, would come out
too low, and a signal's share of it too high.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b between a signal and the long trainings, with its bootstrap interval.

    Attributes:
        tau: mean over the long seeds.
        of_ceiling: tau as a share of the ceiling; None where the ceiling's interval reaches zero.
        of_ceiling_interval: of that share; None where that is.
        top: tau among the best third alone, as each long seed has it.
        above_baseline: tau less the baseline's; None of the baseline itself.
    """

    signal: str
    tau: float
    lower: float
    upper: float
    of_ceiling: float | None
    of_ceiling_interval: tuple[float, float] | None
    top: Estimate | None = None
    above_baseline: Estimate | None = None


@dataclass(frozen=True)
class Fidelity:
    """All agreements of a study.

    Attributes:
        ceiling: mean tau between any two seeds of the long trainings, with its interval.
    """

    architectures: int
    ceiling: Agreement
    signals: tuple[Agreement, ...]


def measure_fidelity(
    long: ArrayLike,
    signals: Mapping[str, ArrayLike],
    baseline: str | None = None,
    seed: int = 0,
) -> Fidelity:
    """Compare signals with long trainings.

    The bootstrap draws architectures, the same ones for all signals, and the best third anew.

    Args:
        long: accuracies (architectures, seeds) of long trainings, at least two seeds.
        signals: (architectures,) each; larger means better, and what is no number is worst. One
            that is the same for all, such as equal MACs, ranks nothing and is left out.
        baseline: the signal that the others are compared with.
        seed: of the draws.

    Raises:
        ValueError: fewer than three architectures or two seeds, or shapes that do not fit.
    """
    reference, values = _checked(long, signals)
    weights = _drawn(len(reference), seed)
    whole = [weights] * reference.shape[1]
    thirds = [_best_third(of_seed, weights) for of_seed in reference.T]
    ceilings = _ceiling(reference, whole)
    ceiling = _agreement("seed to seed", ceilings, _ceiling(reference, thirds))
    taus = {name: _mean_tau(signal, reference, whole) for name, signal in values.items()}
    tops = {name: _mean_tau(signal, reference, thirds) for name, signal in values.items()}
    agreements = [
        _agreement(
            name,
            taus[name],
            tops[name],
            ceilings if ceiling.lower > 0 else None,
            taus.get(baseline or "") if name != baseline else None,
        )
        for name in values
    ]
    return Fidelity(len(reference), ceiling, tuple(agreements))


def agreement(name: str, reference: ArrayLike, signal: ArrayLike, seed: int = 0) -> Agreement:
    """Compare a signal with a single other one; there is no ceiling.

    Args:
        reference: (architectures,), three or more; larger means better, as of ``signal``.
        seed: of the bootstrap's draws of architectures.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (reference, signal))
    return _agreement(name, _tau(a, b, _drawn(len(a), seed)))


def _agreement(
    name: str,
    taus: NDArray[np.float64],
    tops: NDArray[np.float64] | None = None,
    ceilings: NDArray[np.float64] | None = None,
    baseline: NDArray[np.float64] | None = None,
) -> Agreement:
    """Of what was measured, the first of each, and its draws."""
    tau, share = _estimate(taus), None
    if ceilings is not None:
        share = _estimate(taus / np.where(ceilings > 0, ceilings, np.nan))
    return Agreement(
        name,
        tau.value,
        tau.lower,
        tau.upper,
        of_ceiling=share.value if share else None,
        of_ceiling_interval=(share.lower, share.upper) if share else None,
        top=None if tops is None else _estimate(tops),
        above_baseline=None if baseline is None else _estimate(taus - baseline),
    )


def _drawn(architectures: int, seed: int) -> NDArray[np.float64]:
    """How often each architecture is in each draw; the first row is what was measured."""
    draws = np.random.default_rng(seed).integers(0, architectures, (DRAWS, architectures))
    counts = [np.bincount(draw, minlength=architectures) for draw in draws]
    return np.vstack([np.ones(architectures), counts])


def _checked(
    long: ArrayLike, signals: Mapping[str, ArrayLike]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    reference = np.asarray(long, dtype=np.float64)
    values = {name: _places(signal) for name, signal in signals.items()}
    if reference.ndim != 2 or reference.shape[0] < 3 or reference.shape[1] < 2:
        raise ValueError(
            "rank agreement needs three architectures or more, and two long seeds for its "
            f"ceiling; got {reference.shape}"
        )
    if any(signal.shape != reference.shape[:1] for signal in values.values()):
        raise ValueError("a signal has one value for each architecture")
    return reference, {name: signal for name, signal in values.items() if np.ptp(signal) > 0}


def _places(signal: ArrayLike) -> NDArray[np.float64]:
    """The order of a signal's values, worst first; equal ones share a place."""
    values = np.asarray(signal, dtype=np.float64)
    _, places = np.unique(np.where(np.isnan(values), -np.inf, values), return_inverse=True)
    return places.reshape(values.shape).astype(np.float64)


def _best_third(of_seed: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each draw the best third, and what is as good as the last of it; no less than three."""
    best_first = np.argsort(-of_seed)
    wanted = best_count(len(of_seed))
    last = np.argmax(np.cumsum(drawn[:, best_first], axis=1) >= wanted, axis=1)  # (draws,)
    chosen: NDArray[np.float64] = drawn * (of_seed >= of_seed[best_first][last][:, None])
    return chosen


def best_count(architectures: int) -> int:
    """How many are in the best third."""
    return max(3, -(-architectures // 3))


def _ceiling(
    long: NDArray[np.float64], drawn: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Mean tau between any two seeds (draws,), among what the first of them drew."""
    pairs = itertools.permutations(range(len(drawn)), 2)
    ceilings: NDArray[np.float64] = np.mean(
        [_tau(long[:, first], long[:, second], drawn[first]) for first, second in pairs], axis=0
    )
    return ceilings


def _mean_tau(
    signal: NDArray[np.float64], long: NDArray[np.float64], drawn: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Mean tau with the seeds (draws,), each among what it drew."""
    pairs = zip(long.T, drawn, strict=True)
    taus: NDArray[np.float64] = np.mean(
        [_tau(signal, of_seed, weights) for of_seed, weights in pairs], axis=0
    )
    return taus


def _tau(
    first: NDArray[np.float64], second: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Kendall's tau-b of draws with repetition (draws,), given how often each value is in each.

    Zero where all values of one are equal, which says nothing of an order.
    """
    a, b = (np.sign(values[:, None] - values) for values in (first, second))  # (n, n)
    concordance, first_differ, second_differ = (
        np.einsum("di,ij,dj->d", weights, pairs, weights, optimize=True)
        for pairs in (a * b, a * a, b * b)
    )
    largest = np.sqrt(first_differ * second_differ)
    tau: NDArray[np.float64] = concordance / np.where(largest > 0, largest, 1.0)
    return tau


def _estimate(values: NDArray[np.float64]) -> Estimate:
    """The first of the values, which was measured, with the interval of the others, drawn."""
    low, high = np.nanquantile(values[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(values[0]), float(low), float(high))
