"""Is the best interior point of the spectrum better than the best end, at equal cost?

The interior point is chosen on screening seeds and judged on confirmation seeds, which nothing has
seen before, so choosing it among many costs no correction. It has to beat *every* end: the p-value
is the largest over the ends (an intersection-union test, Berger 1982), so not knowing which end is
the best one costs none either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.statistics.paired import Comparison, Interval
from nas.statistics.sensitivity import seeds_that_settle, smallest_detectable

Outcome = Literal["supported", "refuted", "inconclusive"]


@dataclass(frozen=True)
class Claim:
    """The best interior point beats the best end by more than ``delta``.

    Attributes:
        ends: arms at the two ends of the spectrum; all others are interior points.
        delta: accuracy, as a fraction: 0.005 is half a percentage point.
        alpha: accepted probability of a wrong verdict.
    """

    ends: tuple[str, ...]
    delta: float = 0.005
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not self.ends:
            raise ValueError("a claim names at least one end of the spectrum")
        check_levels(self.delta, self.alpha)


def check_levels(delta: float, alpha: float) -> None:
    """Refuse a claim that cannot be meant.

    Raises:
        ValueError: delta or alpha is out of range.
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is between 0 and 0.5; got {alpha}")
    if not 0 <= delta < 1:
        raise ValueError(f"delta is a difference of accuracies from 0 to 1; got {delta}")


@dataclass(frozen=True)
class Verdict:
    """The answer, and what it rests on.

    Attributes:
        chosen: the interior point, by the screening seeds.
        best_end: by the confirmation seeds.
        estimate: accuracy of the chosen point minus that of the best end.
        differences: the chosen point minus the best end, seed by seed.
        lower: what the point's advantage over the best of all ends is above, with confidence
            1 - alpha: supported exactly where it is above delta.
        upper: what it is below, with the same confidence.
        p_value: of the hypothesis that the difference is at most delta.
        p_refuted: of the hypothesis that it is more, for some interior point.
        accuracies: of each judged arm, seed by seed.
        against_best_end: of each judged arm, uncorrected; None of the best end itself.
    """

    claim: Claim
    outcome: Outcome
    chosen: str
    best_end: str
    estimate: float
    differences: tuple[float, ...]
    lower: float
    upper: float
    p_value: float
    p_refuted: float
    accuracies: Mapping[str, tuple[float, ...]]
    against_best_end: Mapping[str, Interval | None]

    @property
    def interior(self) -> tuple[str, ...]:
        """The judged arms that are no ends."""
        return tuple(name for name in self.against_best_end if name not in self.claim.ends)

    @cached_property
    def detectable(self) -> float:
        """The smallest advantage over all ends that would have been found in 4 of 5 such studies.

        By simulated studies, as `more_seeds`: it takes tenths of a second.
        """
        own = np.array(self.accuracies[self.chosen])
        differences = [own - self.accuracies[end] for end in self.claim.ends]
        return smallest_detectable(differences, self.claim.alpha, self.claim.delta)

    @cached_property
    def more_seeds(self) -> int | None:
        """Seeds that would settle it with 80% if the estimates were right.

        None if it would take more than 10,000, or they cannot be told by a single seed; 0 where it
        is settled.
        """
        seeds = len(self.differences)
        if self.outcome != "inconclusive":
            return 0
        if seeds < 2:
            return None
        needed = seeds_that_settle(
            [self.accuracies[name] for name in self.interior],
            [self.accuracies[name] for name in self.claim.ends],
            self.interior.index(self.chosen),
            self.claim.alpha,
            self.claim.delta,
        )
        return None if needed is None else max(1, needed - seeds)


def judge(
    screening: Mapping[str, ArrayLike], confirmation: Mapping[str, ArrayLike], claim: Claim
) -> Verdict:
    """Judge a claim.

    Args:
        screening: accuracies of each arm on the screening seeds.
        confirmation: accuracies (seeds,) of each arm on the confirmation seeds, the same seeds in
            the same order; of all ends and at least one interior point.

    Raises:
        ValueError: an end or every interior point is missing, or the seeds are not paired.
    """
    fresh = {name: _checked(name, values) for name, values in confirmation.items()}
    chosen = _best_interior(screening, fresh, claim)
    best_end = max(claim.ends, key=lambda end: fresh[end].mean())
    against = {end: Comparison.of(fresh[chosen], fresh[end]) for end in claim.ends}
    p_value = max(comparison.p_greater(claim.delta) for comparison in against.values())
    p_refuted = max(_p_not_better(fresh, name, claim) for name in fresh if name not in claim.ends)
    outcome: Outcome = "inconclusive"
    if p_value <= claim.alpha:
        outcome = "supported"
    elif p_refuted <= claim.alpha:
        outcome = "refuted"
    return Verdict(
        claim=claim,
        outcome=outcome,
        chosen=chosen,
        best_end=best_end,
        estimate=against[best_end].mean,
        differences=tuple(map(float, against[best_end].differences)),
        lower=min(end.lower(claim.alpha) for end in against.values()),
        upper=min(end.upper(claim.alpha / len(claim.ends)) for end in against.values()),
        p_value=p_value,
        p_refuted=p_refuted,
        accuracies={name: tuple(values.tolist()) for name, values in fresh.items()},
        against_best_end=_intervals(fresh, best_end, claim.alpha),
    )


def _best_interior(
    screening: Mapping[str, ArrayLike], fresh: Mapping[str, NDArray[np.float64]], claim: Claim
) -> str:
    """The interior point that screening puts first, of those that are confirmed."""
    screened = {name: float(_checked(name, values).mean()) for name, values in screening.items()}
    missing = [end for end in claim.ends if end not in fresh]
    interior = [name for name in fresh if name not in claim.ends]
    if missing or not interior:
        raise ValueError(f"not confirmed: {', '.join(missing) or 'any interior point'}")
    unscreened = [name for name in interior if name not in screened]
    if unscreened:
        raise ValueError(f"not screened: {', '.join(unscreened)}")
    return max(interior, key=screened.__getitem__)


def _p_not_better(fresh: Mapping[str, NDArray[np.float64]], name: str, claim: Claim) -> float:
    """P-value of the hypothesis that an interior point beats every end by at least delta.

    One end that it does not beat is enough, and which one is not known before: Bonferroni.
    """
    least = min(Comparison.of(fresh[name], fresh[end]).p_less(claim.delta) for end in claim.ends)
    return min(1.0, len(claim.ends) * least)


def _intervals(
    fresh: Mapping[str, NDArray[np.float64]], best_end: str, alpha: float
) -> dict[str, Interval | None]:
    return {
        name: None
        if name == best_end
        else Comparison.of(values, fresh[best_end]).interval(alpha / 2)
        for name, values in fresh.items()
    }


def _checked(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"arm {name} needs finite accuracies, one for each seed")
    return array
