"""Rank agreement between signals, and how much of what is possible it is.

Two long trainings of the same architectures with different seeds do not rank them alike either:
that agreement is the ceiling for another single training. A signal that is less noisy than a
training is may exceed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

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
    reference = np.asarray(long, dtype=np.float64)
    values = {name: np.asarray(signal, dtype=np.float64) for name, signal in signals.items()}
    if reference.ndim != 2 or reference.shape[0] < 3 or reference.shape[1] < 2:
        raise ValueError(
            "rank agreement needs three architectures or more, and two long seeds for its "
            f"ceiling; got {reference.shape}"
        )
    if any(signal.shape != reference.shape[:1] for signal in values.values()):
        raise ValueError("a signal has one value for each architecture")
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(reference), (DRAWS, len(reference)))
    ceilings = np.array([_ceiling(reference[draw]) for draw in draws])
    found = _ceiling(reference)
    low, high = _interval(ceilings)
    agreements = []
    for name, signal in values.items():
        if np.ptp(signal) == 0:
            continue  # ranks nothing, such as MACs that are all equal
        tau = _agreement(signal, reference)
        taus = np.array([_agreement(signal[draw], reference[draw]) for draw in draws])
        share, shares = None, None
        if low > 0:
            share, shares = tau / found, _interval(taus / np.where(ceilings > 0, ceilings, np.nan))
        agreements.append(Agreement(name, tau, *_interval(taus), share, shares))
    ceiling = Agreement("seed to seed", found, low, high, None, None)
    return Fidelity(len(reference), ceiling, tuple(agreements))


def _ceiling(long: NDArray[np.float64]) -> float:
    count = long.shape[1]
    return fmean(_tau(long[:, i], long[:, j]) for i in range(count) for j in range(i))


def _agreement(signal: NDArray[np.float64], long: NDArray[np.float64]) -> float:
    return fmean(_tau(signal, long[:, seed]) for seed in range(long.shape[1]))


def _tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Kendall's tau-b; zero where all values of one are equal, which says nothing of an order."""
    tau = float(stats.kendalltau(first, second).statistic)
    return tau if np.isfinite(tau) else 0.0


def _interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
