"""The probability of being on the front, given all trainings: the best of many is partly luck.

Networks of one search differ in truth by some amount that is not known either. Where it is small
beside the noise, most of an accuracy that stands out is luck, and what is likely of a network lies
closer to the mean of all: the hierarchical normal model (Gelman et al., Bayesian Data Analysis,
section 5.4), with a flat prior on the mean and on the standard deviation between networks. It needs
no correction for having chosen whom to train again by earlier results, if these are among the
trainings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 4000
STEPS = 80
"""Values of the standard deviation between networks that are tried."""

LEAST = 1e-6
"""Standard error that is never undercut: equal accuracies may be chance."""


def front_probabilities(
    means: ArrayLike, errors: ArrayLike, costs: ArrayLike, tie: float = 0.0, seed: int = 0
) -> NDArray[np.float64]:
    """P(on the front) of each network (n,): that none of at most its costs is better by more.

    Args:
        means: (n,) mean accuracies.
        errors: (n,) their standard errors.
        costs: (n,) or (n, m), exact.
        tie: by how much another has to be better at least, such as one validation image.
        seed: of the draws.
    """
    values = np.asarray(means, dtype=np.float64)
    prices = np.asarray(costs, dtype=np.float64).reshape(len(values), -1)
    variances = np.maximum(np.asarray(errors, dtype=np.float64), LEAST) ** 2
    drawn = likely_means(values, variances, np.random.default_rng(seed))
    rivals = [(prices <= price).all(axis=1) for price in prices]
    best = np.stack([drawn[:, as_cheap].max(axis=1) for as_cheap in rivals], axis=1)  # (draws, n)
    probabilities: NDArray[np.float64] = (drawn >= best - tie).mean(axis=0)
    return probabilities


def likely_means(
    values: NDArray[np.float64], variances: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Accuracies (draws, n) that networks may have in truth, given means and their variances."""
    widest = 2 * max(float(values.std()), float(variances.min()) ** 0.5)
    between = np.linspace(0.0, widest, STEPS) ** 2  # (steps,)
    weights = 1 / (variances + between[:, None])  # (steps, n)
    total = weights.sum(axis=1)
    centre = (weights * values).sum(axis=1) / total
    misfit = (weights * (values - centre[:, None]) ** 2).sum(axis=1)
    likelihood = 0.5 * (np.log(weights).sum(axis=1) - np.log(total) - misfit)
    share = np.exp(likelihood - likelihood.max())
    step = rng.choice(STEPS, DRAWS, p=share / share.sum())
    middle = centre[step] + rng.standard_normal(DRAWS) / np.sqrt(total[step])  # (draws,)
    shrunk = variances / (variances + between[step][:, None])  # (draws, n)
    likely = shrunk * middle[:, None] + (1 - shrunk) * values
    spread = np.sqrt((1 - shrunk) * variances)
    drawn: NDArray[np.float64] = likely + spread * rng.standard_normal(likely.shape)
    return drawn
