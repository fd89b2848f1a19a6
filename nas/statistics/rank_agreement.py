"""Rank agreement between signals, and how much of what is possible it is.

Two long trainings of the same architectures with different seeds do not rank them alike either:
that agreement is the ceiling for another single training. A signal that is less noisy than a
training is may exceed it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b between a signal and the long trainings, with its bootstrap interval.

    Attributes:
        tau: mean over the long seeds.
        of_ceiling: tau as a share of the ceiling; None where the ceiling's interval reaches zero.
        of_ceiling_interval: of that share; None where that is.
    """

    signal: str
    tau: float
    lower: float
    upper: float
    of_ceiling: float | None
    of_ceiling_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Fidelity:
    """All agreements of a study.

    Attributes:
        ceiling: mean tau between any two seeds of the long trainings, with its interval.
    """

    architectures: int
    ceiling: Agreement
    signals: tuple[Agreement, ...]


def measure_fidelity(long: ArrayLike, signals: Mapping[str, ArrayLike], seed: int = 0) -> Fidelity:
    """Compare signals with long trainings.

    The bootstrap draws architectures, the same ones for all signals.

    Args:
        long: accuracies (architectures, seeds) of long trainings, at least two seeds.
        signals: (architectures,) each; larger means better.
        seed: of the draws.

    Raises:
        ValueError: fewer than three architectures or two seeds, or shapes that do not fit.
    """
    reference, values = _checked(long, signals)
    weights = _drawn(len(reference), seed)
    ceilings = _ceiling(reference, weights)
    found, (low, high) = float(ceilings[0]), _interval(ceilings[1:])
    agreements = []
    for name, signal in values.items():
        if np.ptp(signal) == 0:
            continue  # ranks nothing, such as MACs that are all equal
        taus = np.mean([_tau(signal, of_seed, weights) for of_seed in reference.T], axis=0)
        share, shares = None, None
        if low > 0:
            ratios = taus / np.where(ceilings > 0, ceilings, np.nan)
            share, shares = float(ratios[0]), _interval(ratios[1:])
        agreements.append(Agreement(name, float(taus[0]), *_interval(taus[1:]), share, shares))
    ceiling = Agreement("seed to seed", found, low, high, None, None)
    return Fidelity(len(reference), ceiling, tuple(agreements))


def agreement(name: str, reference: ArrayLike, signal: ArrayLike, seed: int = 0) -> Agreement:
    """Compare a signal with a single other one; there is no ceiling.

    Args:
        reference: (architectures,), three or more; larger means better, as of ``signal``.
        seed: of the bootstrap's draws of architectures.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (reference, signal))
    taus = _tau(a, b, _drawn(len(a), seed))
    return Agreement(name, float(taus[0]), *_interval(taus[1:]), None, None)


def _drawn(architectures: int, seed: int) -> NDArray[np.float64]:
    """How often each architecture is in each draw; the first row is what was measured."""
    draws = np.random.default_rng(seed).integers(0, architectures, (DRAWS, architectures))
    counts = [np.bincount(draw, minlength=architectures) for draw in draws]
    return np.vstack([np.ones(architectures), counts])


def _checked(
    long: ArrayLike, signals: Mapping[str, ArrayLike]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    reference = np.asarray(long, dtype=np.float64)
    values = {name: np.asarray(signal, dtype=np.float64) for name, signal in signals.items()}
    if reference.ndim != 2 or reference.shape[0] < 3 or reference.shape[1] < 2:
        raise ValueError(
            "rank agreement needs three architectures or more, and two long seeds for its "
            f"ceiling; got {reference.shape}"
        )
    if any(signal.shape != reference.shape[:1] for signal in values.values()):
        raise ValueError("a signal has one value for each architecture")
    return reference, values


def _ceiling(long: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean tau between any two seeds (draws,)."""
    pairs = itertools.combinations(long.T, 2)
    ceilings: NDArray[np.float64] = np.mean([_tau(a, b, weights) for a, b in pairs], axis=0)
    return ceilings


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


def _interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
