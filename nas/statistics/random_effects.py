"""One difference that was estimated several times, such as at several budgets, as a whole.

Random effects: the true difference is another one each time, about a mean and with a variance of
its own, which are what is estimated. It is a description; nothing is decided by it.

The variance between is Paule and Mandel's (1982, "Consensus values and weighting factors"): the one
at which the weighted squares about the mean are as large as they are on average. With it the
interval of Hartung and Knapp (2001) and of Sidik and Jonkman (2002) is the usual standard error
with Student's quantile: the factor that they correct it by is one, for it is those weighted squares
by their degrees of freedom. Where the squares are smaller without any variance between, it would be
less than one, and the interval shorter than that of equal true differences; so it stays one
(Roever, Knapp and Friede 2015, "Hartung-Knapp-Sidik-Jonkman approach and its modification for
random-effects meta-analysis with few studies").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from nas.statistics.paired import Interval

LEAST_TO_PREDICT = 3
"""Estimates from which on a new true difference has an interval."""


@dataclass(frozen=True)
class RandomEffects:
    """What several estimates of a difference say together.

    Attributes:
        mean: of the true differences, with its interval.
        tau: their standard deviation.
        i_squared: the share of what the estimates vary by that is not their own noise (Higgins and
            Thompson 2002).
        new: what the next true difference will be, with its interval (Higgins, Thompson and
            Spiegelhalter 2009); None of fewer than three estimates.
        estimates: how many there are.
    """

    mean: Interval
    tau: float
    i_squared: float
    new: Interval | None
    estimates: int


def random_effects(
    differences: ArrayLike, errors: ArrayLike, confidence: float = 0.95
) -> RandomEffects:
    """Estimates of one difference, each with a standard error, as a whole.

    The errors are taken to be known. They are estimated, and of few seeds roughly so.

    Args:
        differences: (n,), at least two.
        errors: (n,), their standard errors, above zero.
        confidence: of the intervals.

    Raises:
        ValueError: fewer than two, or numbers that cannot be a difference and its error.
    """
    y, variances = np.asarray(differences, np.float64), np.asarray(errors, np.float64) ** 2
    if y.ndim != 1 or y.shape != variances.shape or len(y) < 2:
        raise ValueError(f"two differences or more have an error each; got {y.size}")
    if not (np.isfinite(y).all() and np.isfinite(variances).all() and variances.min() > 0):
        raise ValueError("differences are finite numbers, and their errors above zero")
    between = _variance_between(y, variances)
    mean, error = _weighted_mean(y, variances + between)
    freedom, tail = len(y) - 1, (1 + confidence) / 2
    half = stats.t.ppf(tail, freedom) * error
    squares = _weighted_squares(y, variances)
    new = None
    if len(y) >= LEAST_TO_PREDICT:
        reach = stats.t.ppf(tail, freedom - 1) * (between + error**2) ** 0.5
        new = Interval(mean, mean - reach, mean + reach)
    return RandomEffects(
        Interval(mean, mean - half, mean + half),
        between**0.5,
        max(0.0, 1 - freedom / squares) if squares > 0 else 0.0,
        new,
        len(y),
    )


def _weighted_mean(y: NDArray[np.float64], variances: NDArray[np.float64]) -> tuple[float, float]:
    """By inverse variances, with its standard error."""
    weights = 1 / variances
    return float(weights @ y / weights.sum()), float(weights.sum() ** -0.5)


def _weighted_squares(y: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """About the weighted mean: Cochran's Q. They fall as variances grow."""
    mean, _ = _weighted_mean(y, variances)
    return float(((y - mean) ** 2 / variances).sum())


def _variance_between(y: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """At which the weighted squares are as many as their degrees of freedom; 0 if less at 0."""
    freedom = len(y) - 1

    def excess(between: float) -> float:
        return _weighted_squares(y, variances + between) - freedom

    if excess(0.0) <= 0:
        return 0.0
    # With variances of at least this the squares, unweighted, are divided by more than they are;
    # of tiny errors that is so by a rounding, and with twice as much it is beyond doubt.
    most = float(((y - y.mean()) ** 2).sum()) / freedom
    return float(optimize.brentq(excess, 0.0, 2 * most, xtol=most * 1e-12))
