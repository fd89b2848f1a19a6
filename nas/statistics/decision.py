"""Is the best interior point of the spectrum better than the best end, at equal cost?

The interior point is chosen on screening seeds and judged on confirmation seeds, which nothing has
seen before, so choosing it among many costs no correction. It has to beat *every* end: the p-value
is the largest over the ends (an intersection-union test, Berger 1982), so not knowing which end is
the best one costs none either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.statistics.paired import POWER, Comparison, seeds_needed, smallest_detectable_effect

Outcome = Literal["supported", "refuted", "inconclusive"]


@dataclass(frozen=True)
class Claim:
    """The best interior point beats the best end by more than ``delta``.

    Attributes:
        ends: arms at the two ends of the spectrum; all others are interior points.
        delta: accuracy, as a fraction: 0.005 is half a percentage point.
        alpha: probability of a wrong verdict that is put up with.
    """

    ends: tuple[str, ...]
    delta: float = 0.005
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not self.ends:
            raise ValueError("a claim names at least one end of the spectrum")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha is between 0 and 0.5; got {self.alpha}")
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta is a difference of accuracies from 0 to 1; got {self.delta}")


@dataclass(frozen=True)
class JudgedArm:
    """One row of the table.

    Attributes:
        accuracy: mean over the confirmation seeds.
        deviation: over them.
        screening: mean over the screening seeds.
        against_best_end: mean difference with its interval; of an end itself None.
    """

    name: str
    seeds: int
    accuracy: float
    deviation: float
    screening: float
    against_best_end: tuple[float, float, float] | None

    @property
    def shrinkage(self) -> float:
        """By how much screening was too optimistic: the winner's curse."""
        return self.screening - self.accuracy


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
        upper: what it is below, likewise.
        p_value: of the hypothesis that the difference is at most delta.
        p_refuted: of the hypothesis that it is more, for some interior point.
        detectable: the smallest advantage over all ends that this study would have found with a
            probability of at least 80%.
        more_seeds: that would settle it with 80% if the estimate were right; None if it would take
            more than 10,000, 0 where it is settled.
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
    detectable: float
    more_seeds: int | None
    arms: tuple[JudgedArm, ...]


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
    runs = {name: _checked(name, values) for name, values in confirmation.items()}
    screened = {name: float(_checked(name, values).mean()) for name, values in screening.items()}
    missing = [end for end in claim.ends if end not in runs]
    interior = [name for name in runs if name not in claim.ends]
    if missing or not interior:
        raise ValueError(f"not confirmed: {', '.join(missing) or 'any interior point'}")
    unscreened = [name for name in interior if name not in screened]
    if unscreened:
        raise ValueError(f"not screened: {', '.join(unscreened)}")

    chosen = max(interior, key=screened.__getitem__)
    best_end = max(claim.ends, key=lambda end: runs[end].mean())
    against = {end: Comparison.of(runs[chosen], runs[end]) for end in claim.ends}
    alpha, delta, ends = claim.alpha, claim.delta, len(claim.ends)
    p_value = max(comparison.p_greater(delta) for comparison in against.values())
    p_refuted = max(_p_not_better(runs, name, claim) for name in interior)
    outcome: Outcome = "inconclusive"
    # Confidence bounds of the same tests: what is printed cannot contradict what is said.
    if p_value <= alpha:
        outcome = "supported"
    elif p_refuted <= alpha:
        outcome = "refuted"

    seeds = len(runs[chosen])
    deviation = max(comparison.deviation for comparison in against.values())
    estimate = against[best_end].mean
    level = alpha if estimate > delta else alpha / ends
    # To beat all ends with 80%, each of them may be missed with its part of the other 20%.
    each = 1 - (1 - POWER) / ends
    needed = seeds_needed(abs(estimate - delta), deviation, level, each) if seeds > 1 else None
    more = None if needed is None else max(1, needed - seeds)
    return Verdict(
        claim=claim,
        outcome=outcome,
        chosen=chosen,
        best_end=best_end,
        estimate=estimate,
        differences=tuple(map(float, against[best_end].differences)),
        lower=min(comparison.lower(alpha) for comparison in against.values()),
        upper=min(comparison.upper(alpha / ends) for comparison in against.values()),
        p_value=p_value,
        p_refuted=p_refuted,
        detectable=delta + smallest_detectable_effect(deviation, seeds, alpha, each),
        more_seeds=more if outcome == "inconclusive" else 0,
        arms=tuple(_arm(name, runs, screened, best_end, alpha) for name in runs),
    )


def _p_not_better(runs: Mapping[str, NDArray[np.float64]], name: str, claim: Claim) -> float:
    """Of the hypothesis that an interior point beats every end by at least delta.

    One end that it does not beat is enough, and which one is not known before: Bonferroni.
    """
    least = min(Comparison.of(runs[name], runs[end]).p_less(claim.delta) for end in claim.ends)
    return min(1.0, len(claim.ends) * least)


def _arm(
    name: str,
    runs: Mapping[str, NDArray[np.float64]],
    screened: Mapping[str, float],
    best_end: str,
    alpha: float,
) -> JudgedArm:
    values = runs[name]
    against = None
    if name != best_end:
        comparison = Comparison.of(values, runs[best_end])
        against = (comparison.mean, comparison.lower(alpha / 2), comparison.upper(alpha / 2))
    deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return JudgedArm(
        name,
        len(values),
        float(values.mean()),
        deviation,
        screened.get(name, float("nan")),
        against,
    )


def _checked(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"arm {name} needs finite accuracies, one for each seed")
    return array
