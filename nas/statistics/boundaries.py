"""Boundaries of a group sequential test: how large a statistic has to be at each of several looks.

Whoever looks at results several times, and stops when they are significant, is wrong more often
than the level of one look says. The level is therefore spent over the looks (Lan and DeMets 1983,
"Discrete sequential boundaries for clinical trials"): by the function of Pocock's type,
alpha * ln(1 + (e - 1) t) has been spent when the share t of the data is there.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

NODES = 200
"""Of the integration over what the statistic was at the look before: exact to 1e-9 with these."""

FAR = 8.5
"""Standard deviations beyond which nothing is left of a normal distribution."""


def pocock_spending(fraction: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """What has been spent of a level when a share of the data is there."""
    spent: NDArray[np.float64] = alpha * np.log1p((np.e - 1) * np.asarray(fraction))
    return spent


@functools.cache
def boundaries(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """What the statistic has to reach at each look, one-sided.

    The statistic of look k is sum(sqrt(m_j) z_j) / sqrt(sum(m_j)) over the stages up to it, each z
    standard normal and independent of the others where the hypothesis is true. Its path is
    integrated look after look (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000,
    chapter 19).

    Args:
        looks: observations that are there at each look, all of them at the last one.
        alpha: level over all looks.

    Raises:
        ValueError: the looks do not increase.
    """
    stages = np.diff(looks, prepend=0)
    if len(looks) == 0 or (stages <= 0).any():
        raise ValueError(f"looks increase from one to the next; got {looks}")
    spending = np.diff(pocock_spending(np.array(looks) / looks[-1], alpha), prepend=0.0)
    # On the scale of the sum: the last look's boundary, nodes below it, their probability.
    nodes, mass = np.zeros(1), np.ones(1)
    found = []
    for observations, stage, level in zip(looks, stages, spending, strict=True):
        step, spread = np.sqrt(stage), np.sqrt(observations)
        bound = optimize.brentq(
            lambda b, u, w, s, a: w @ special.ndtr((u - b) / s) - a,
            -FAR * spread,
            FAR * spread,
            args=(nodes, mass, step, level),
            xtol=1e-12,
        )
        found.append(float(bound / spread))
        nodes, mass = _below(bound, -FAR * spread, nodes, mass, step)
    return tuple(found)


def _below(
    bound: float,
    lowest: float,
    nodes: NDArray[np.float64],
    mass: NDArray[np.float64],
    step: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes below a boundary, and the probability that the sum is at each after a further stage."""
    points, weights = np.polynomial.legendre.leggauss(NODES)
    half = (bound - lowest) / 2
    below = lowest + half * (points + 1)
    density = np.exp(-(((below[:, None] - nodes) / step) ** 2) / 2) @ mass
    return below, half * weights * density / (step * np.sqrt(2 * np.pi))


def combined(stages: Sequence[int], z: ArrayLike) -> NDArray[np.float64]:
    """The statistic of each look, by the inverse normal method (Lehmacher and Wassmer 1999).

    The weights are those of the planned stages, so that the level holds whatever was decided
    between two looks.

    Args:
        stages: observations of each stage.
        z: (stages, ...) statistic of each, from its own observations alone.
    """
    weights = np.sqrt(np.asarray(stages, dtype=np.float64))
    values = np.asarray(z, dtype=np.float64)
    weights = weights[: len(values)].reshape(-1, *(1,) * (values.ndim - 1))
    found: NDArray[np.float64] = np.cumsum(weights * values, axis=0)
    found /= np.sqrt(np.cumsum(weights**2, axis=0))
    return found
