"""A quadratic of the accuracy in the place on the spectrum: peak, band, and whether it fits.

The curve is fitted by least squares to the means of the arms, each weighted by its number of seeds,
which is the ordinary least-squares fit to all trainings. Its errors come from each arm's own
variance (Welch's way: nothing is pooled, for one arm may be noisier). Weights of one over that
variance would be best if it were known; estimated from four seeds they favour arms that happen to
vary little. Simulated with eight arms of equal noise, the fit then is a fifth less accurate, and a
95% band as if they were known holds the curve in 70% of studies; this one's in 97%.

All intervals hold at once. For the estimated slopes b (q of them) with covariance V, the region
(b - beta)' V^-1 (b - beta) <= c^2 gives every linear combination of them the half width
c x standard error (Scheffe 1959, "The Analysis of Variance", section 3.5); of the whole curve,
level included, it is the band of Working and Hotelling (1929, JASA 24, supplement, 73-85). Since V
is estimated arm by arm, c^2 = q f / (f - q + 1) F(q, f - q + 1), with the degrees of freedom f of
Krishnamoorthy and Yu (2004, Statistics & Probability Letters 66, 161-169).

A place may be the peak's if the curve is significantly higher nowhere else. That is the region of
Box and Hunter (1954, Biometrika 41, 190-199), for one factor Fieller's, held to the places that
there are (Peterson, Cahya and del Castillo 2002, Biometrics 58, 422-431). No bootstrap: of a flat
curve, its percentiles find a peak above both ends, for a highest point is never below an end.

Arms count as independent. What a seed does to all of them is to be taken out before, where they
share their seeds (`nas.statistics.paired.without_seed_effects`). Left in, it moves the whole curve
by more than the band shows; peak, heights and test are then surer than they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nas.statistics.paired import TIE

Array = NDArray[np.float64]

LEAST_POSITIONS = 4
"""A quadratic goes through any three."""

GRID = 101
"""Places at which the curve is looked at, from one end to the other."""


class Estimate(NamedTuple):
    """A number between the bounds that hold for all numbers of a fit at once."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class LackOfFit:
    """A test of whether the means of the arms are on the curve, against what seeds differ by.

    Attributes:
        statistic: F.
        freedom: degrees of freedom of its numerator and its denominator.
        p_value: nan where seeds do not differ at all.
    """

    statistic: float
    freedom: tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class SpectrumFit:
    """A quadratic between the outermost positions.

    Attributes:
        coefficients: of 1, x and x squared.
        ends: the outermost positions; peak and curve are between them.
        peak: position of the highest point.
        over_first: height of the highest point over the curve at the first end.
        over_last: the same over the last end.
        places: (`GRID`,) positions.
        curve: the fit and its simultaneous band at each of these.
        lack_of_fit: what speaks against a quadratic.
    """

    coefficients: tuple[float, ...]
    ends: tuple[float, float]
    peak: Estimate
    over_first: Estimate
    over_last: Estimate
    places: tuple[float, ...]
    curve: tuple[Estimate, ...]
    lack_of_fit: LackOfFit


def fit_spectrum(
    positions: ArrayLike, accuracies: Sequence[ArrayLike], confidence: float = 0.95
) -> SpectrumFit | None:
    """Fit a quadratic to arms along the spectrum.

    Args:
        positions: (arms,), 0 for one segment to 1 for a segment per channel.
        accuracies: of each arm, one for each of its seeds; arms may differ in their number.
        confidence: of all intervals at once.

    Returns:
        None for fewer than four different positions, or an arm of a single seed.

    Raises:
        ValueError: as many positions as arms are needed.
    """
    x = np.asarray(positions, dtype=np.float64)
    samples = [np.asarray(sample, dtype=np.float64) for sample in accuracies]
    if x.shape != (len(samples),):
        raise ValueError(f"each arm has one position; got {x.shape} for {len(samples)} arms")
    if len(np.unique(x)) < LEAST_POSITIONS or min(map(len, samples)) < 2:
        return None
    means = np.array([sample.mean() for sample in samples])
    variances = np.array([sample.var(ddof=1) for sample in samples])
    seeds = np.array([len(sample) for sample in samples], dtype=np.float64)
    return _fitted(x, means, variances, seeds, confidence)


def _powers(x: Array) -> Array:
    return np.stack([np.ones_like(x), x, x**2], axis=-1)


def _fitted(
    x: Array, means: Array, variances: Array, seeds: Array, confidence: float
) -> SpectrumFit:
    design = _powers(x)
    operator = np.linalg.pinv(design * np.sqrt(seeds)[:, None]) * np.sqrt(seeds)  # (3, arms)
    coefficients = operator @ means
    first, last = float(x.min()), float(x.max())
    places, peak = np.linspace(first, last, GRID), _peak(coefficients, first, last)
    added = (operator * np.sqrt(variances / seeds)).T  # (arms, 3), errors that each arm adds
    errors = np.asarray(added, dtype=np.float64)
    band = _Region.of(errors, seeds - 1, confidence)
    slopes = _Region.of(errors[:, 1:], seeds - 1, confidence)
    candidates = np.append(places, peak)  # of the peak
    return SpectrumFit(
        tuple(map(float, coefficients)),
        (first, last),
        Estimate(peak, *_where_it_may_be(candidates, coefficients, slopes)),
        _height(candidates, first, coefficients, slopes),
        _height(candidates, last, coefficients, slopes),
        tuple(map(float, places)),
        tuple(_estimates(_powers(places) @ coefficients, band.half_widths(_powers(places)))),
        _lack_of_fit(design, means, variances, seeds),
    )


@dataclass(frozen=True)
class _Region:
    """Simultaneous bounds for linear combinations of q coefficients.

    Attributes:
        errors: (arms, q), standard error that each arm adds to each coefficient.
        critical: half width of an interval in standard errors.
    """

    errors: Array
    critical: float

    @classmethod
    def of(cls, errors: Array, freedom: Array, confidence: float) -> _Region:
        covariance = errors.T @ errors
        q = int(np.linalg.matrix_rank(covariance, hermitian=True))
        if q == 0:  # without noise
            return cls(errors, 0.0)
        inverse = np.linalg.pinv(covariance, hermitian=True)
        shares = np.einsum("ai,ij,aj->a", errors, inverse, errors)  # add up to q
        f = (q + q**2) / (2 * (shares**2 / freedom).sum())
        if f <= q - 1 + TIE:  # the seeds are too few for any bound
            return cls(errors, np.inf)
        quantile = stats.f.ppf(confidence, q, f - q + 1)
        return cls(errors, float(np.sqrt(q * f / (f - q + 1) * quantile)))

    def half_widths(self, combinations: Array) -> Array:
        """Of the intervals of linear combinations (..., q)."""
        error: Array = np.linalg.norm(combinations @ self.errors.T, axis=-1)
        half: Array = np.multiply(self.critical, error, out=np.zeros_like(error), where=error > 0)
        return half


def _estimates(values: Array, half: Array) -> list[Estimate]:
    bounds = zip(values, values - half, values + half, strict=True)
    return [Estimate(*map(float, bound)) for bound in bounds]


def _peak(coefficients: Array, first: float, last: float) -> float:
    """The highest place of the curve between its ends."""
    _, slope, curvature = coefficients
    places = [first, last]
    if curvature < 0:
        places.append(float(np.clip(-slope / (2 * curvature), first, last)))
    heights = _powers(np.array(places)) @ coefficients
    return places[int(heights.argmax())]


def _where_it_may_be(places: Array, coefficients: Array, slopes: _Region) -> tuple[float, float]:
    """First and last of the places that are significantly below no other."""
    rises = _powers(places)[:, None, 1:] - _powers(places)[None, :, 1:]  # of each over each
    highest = rises @ coefficients[1:] + slopes.half_widths(rises)
    possible = places[(highest >= -TIE).all(axis=1)]
    return float(possible.min()), float(possible.max())


def _height(places: Array, end: float, coefficients: Array, slopes: _Region) -> Estimate:
    """The peak's over an end: where all heights are between bounds, so is the largest of them."""
    rises = _powers(places)[:, 1:] - _powers(np.array(end))[1:]
    heights, half = rises @ coefficients[1:], slopes.half_widths(rises)
    largest = (heights.max(), (heights - half).max(), (heights + half).max())
    return Estimate(*map(float, largest))


def _lack_of_fit(design: Array, means: Array, variances: Array, seeds: Array) -> LackOfFit:
    """F test of the distance between means and curve against the variance within arms.

    With equal variances it has the statistic of the usual test of lack of fit against pure error.
    Each arm's own variance enters as in Brown and Forsythe (1974, Technometrics 16, 129-132): the
    denominator is what the numerator is without lack of fit, on average, with Satterthwaite's
    degrees of freedom; those of the numerator are of Box (1954, Annals of Mathematical Statistics
    25, 290-302, theorem 3.1; Mehrotra 1997, Communications in Statistics: Simulation and
    Computation 26, 1139-1145).
    """
    weighted = design * np.sqrt(seeds)[:, None]
    residual = np.eye(len(means)) - weighted @ np.linalg.pinv(weighted)
    distance = float(((residual @ (np.sqrt(seeds) * means)) ** 2).sum())
    expected = residual * variances  # its trace is the distance that noise makes
    parts = np.diag(expected)
    if parts.sum() <= TIE**2:
        return LackOfFit(np.nan, (np.nan, np.nan), np.nan)
    numerator = parts.sum() ** 2 / np.trace(expected @ expected)
    denominator = parts.sum() ** 2 / (parts**2 / (seeds - 1)).sum()
    statistic = distance / parts.sum()
    return LackOfFit(
        float(statistic),
        (float(numerator), float(denominator)),
        float(stats.f.sf(statistic, numerator, denominator)),
    )
