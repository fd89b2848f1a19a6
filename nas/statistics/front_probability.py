"""The probability of being on the front, given all trainings: the best of many is partly luck.

Networks of one search differ in truth by some amount that is not known either. Where it is small
beside the noise, most of an accuracy that stands out is luck, and what is likely of a network lies
closer to the mean of all: the hierarchical normal model (Gelman et al., Bayesian Data Analysis,
section 5.4), with a flat prior on the mean and on the standard deviation between networks. It needs
no correction for having chosen whom to train again by earlier results, if these are among the
trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 4000
STEPS = 80
"""Values of the standard deviation between networks that are tried."""

LEAST = 1e-6
"""Standard error that is never undercut: equal accuracies may be chance."""


@dataclass(frozen=True)
class OtherImages:
    """What other images add to the accuracies of all networks alike, where some are judged on them.

    Nobody knows it: those are the likeliest to be on the front, which have been lucky before.

    Attributes:
        share: of each mean, that was measured on the other images (n,).
        added: by the networks that were measured on both.
        error: standard error of that.
    """

    share: NDArray[np.float64]
    added: float
    error: float

    @classmethod
    def of(cls, share: ArrayLike, differences: ArrayLike, errors: ArrayLike) -> OtherImages:
        """From each network's accuracy on the other images minus the one before.

        Args:
            share: see `OtherImages`.
            differences: (m,) of the networks that were measured on both.
            errors: (m,) their standard errors.
        """
        precision = 1 / np.maximum(np.asarray(errors, dtype=np.float64), LEAST) ** 2
        added = float(np.average(np.asarray(differences, dtype=np.float64), weights=precision))
        return cls(np.asarray(share, dtype=np.float64), added, float(precision.sum()) ** -0.5)


def front_probabilities(
    means: ArrayLike,
    errors: ArrayLike,
    costs: ArrayLike,
    tie: float = 0.0,
    seed: int = 0,
    other: OtherImages | None = None,
) -> NDArray[np.float64]:
    """P(on the front) of each network (n,): that none of at most its costs is better by more.

    Args:
        means: (n,) mean accuracies.
        errors: (n,) their standard errors.
        costs: (n,) or (n, m), exact.
        tie: by how much another has to be better at least, such as one validation image.
        seed: of the draws.
        other: where some accuracies are of other images than all are.
    """
    values = np.asarray(means, dtype=np.float64)
    prices = np.asarray(costs, dtype=np.float64).reshape(len(values), -1)
    variances = np.maximum(np.asarray(errors, dtype=np.float64), LEAST) ** 2
    drawn = likely_means(values, variances, np.random.default_rng(seed), other)
    rivals = [(prices <= price).all(axis=1) for price in prices]
    best = np.stack([drawn[:, as_cheap].max(axis=1) for as_cheap in rivals], axis=1)  # (draws, n)
    probabilities: NDArray[np.float64] = (drawn >= best - tie).mean(axis=0)
    return probabilities


def likely_means(
    values: NDArray[np.float64],
    variances: NDArray[np.float64],
    rng: np.random.Generator,
    other: OtherImages | None = None,
) -> NDArray[np.float64]:
    """Accuracies (draws, n) that networks may have in truth, given means and their variances.

    Args:
        other: where a part of some means is of other images; the truth is that of those before.
    """
    alike = values if other is None else values - other.share * other.added
    widest = 2 * max(float(alike.std()), float(variances.min()) ** 0.5)
    between = np.linspace(0.0, widest, STEPS) ** 2  # (steps,)
    weights = 1 / (variances + between[:, None])  # (steps, n)
    # What all have in common: the mean of all networks, and what the other images add.
    common, expected, known = np.ones((len(values), 1)), np.zeros(1), np.zeros((1, 1))
    if other is not None:
        common = np.column_stack([common, other.share])
        expected, known = np.array([0.0, other.added]), np.diag([0.0, other.error**-2])
    precision = np.einsum("sn,ni,nj->sij", weights, common, common) + known
    centre = np.linalg.solve(
        precision, ((weights * values) @ common + known @ expected)[..., None]
    )[..., 0]  # (steps, 1 or 2)
    misfit = (weights * (values - centre @ common.T) ** 2).sum(axis=1)
    misfit += np.einsum("si,ij,sj->s", centre - expected, known, centre - expected)
    determinant = np.linalg.slogdet(precision).logabsdet
    likelihood = 0.5 * (np.log(weights).sum(axis=1) - determinant - misfit)
    share = np.exp(likelihood - likelihood.max())
    step = rng.choice(STEPS, DRAWS, p=share / share.sum())
    spread_of_common = np.linalg.cholesky(np.linalg.inv(precision))[step]  # (draws, 2, 2)
    noise = rng.standard_normal((DRAWS, common.shape[1], 1))
    drawn_common = centre[step] + (spread_of_common @ noise)[..., 0]
    middle = drawn_common[:, :1]  # (draws, 1)
    measured = values - drawn_common[:, 1:] @ common[:, 1:].T  # as on the images before
    shrunk = variances / (variances + between[step][:, None])  # (draws, n)
    likely = shrunk * middle + (1 - shrunk) * measured
    spread = np.sqrt((1 - shrunk) * variances)
    drawn: NDArray[np.float64] = likely + spread * rng.standard_normal(likely.shape)
    return drawn
