"""What a race says: whether points between the ends win, and by how much, with bounds.

A bound is the outermost shift that the race's own test does not reject (Jennison and Turnbull 1989,
"Interim analyses: the repeated confidence interval approach"), so that tests and bounds cannot
contradict each other, whenever the race ended and for whatever reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import optimize

from nas.statistics.boundaries import boundaries, combined
from nas.statistics.decision import Outcome
from nas.statistics.paired import Interval
from nas.statistics.race import Race, RacePlan, refutation, support

RaceOutcome = Literal[
    "wins by more than delta",
    "wins",
    "equivalent within delta",
    "ends win",
    "no win by delta",
    "open",
]

WIDEST = 1.0
"""No two accuracies are further apart."""


@dataclass(frozen=True)
class ArmOutcome:
    """An interior arm by itself.

    Attributes:
        upper: what its advantage over the best end is below, with confidence 1 - alpha; infinite
            where nothing is known.
        refuted: whether it was found not to beat every end by more than delta.
        against: of each end, the difference with bounds, each with confidence 1 - alpha / 2; by the
            seeds that both were trained with, not corrected for the number of arms.
    """

    upper: float
    refuted: bool
    against: Mapping[str, Interval]


@dataclass(frozen=True)
class RaceDecision:
    """The outcome of a race, and what it rests on.

    Attributes:
        claim: whether an interior arm beats every end by more than delta.
        delta: of the claim.
        leader: the interior arm that is ahead of the others of the last look.
        best_end: of those that were not found to be behind another one.
        estimate: accuracy of the leader minus that of the best end, by the seeds of both.
        lower: what the best interior arm's advantage over the best end is above, with confidence
            1 - alpha.
        upper: what it is below, with the same confidence.
        arms: the interior ones.
    """

    outcome: RaceOutcome
    claim: Outcome
    delta: float
    leader: str
    best_end: str
    estimate: float
    lower: float
    upper: float
    arms: Mapping[str, ArmOutcome]


def decide(race: Race, delta: float | None = None, alpha: float | None = None) -> RaceDecision:
    """The outcome of a race as far as it has gone.

    Args:
        delta, alpha: of another claim than the one that the race was run for: who was trained at
            each look stays as it was, and the bounds hold for whatever is asked of them.

    Raises:
        ValueError: its first look is not complete.
    """
    if not race.looks:
        raise ValueError("the first look of this race is not complete")
    delta = race.plan.delta if delta is None else delta
    alpha = race.plan.alpha if alpha is None else alpha
    plan = replace(race.plan, delta=delta, alpha=alpha)
    arms = {arm: _arm_outcome(race, plan, arm) for arm in plan.interior}
    leader, best_end = _leader(race), race.ends[0]
    claim = _claim(race, plan)
    return RaceDecision(
        outcome=_outcome(race, plan, claim),
        claim=claim,
        delta=delta,
        leader=leader,
        best_end=best_end,
        estimate=_difference(race, leader, best_end),
        lower=_lower(race, plan),
        upper=max(arm.upper for arm in arms.values()),
        arms=arms,
    )


def outcome_of(race: Race) -> RaceOutcome:
    """The outcome alone, for which no bound has to be found.

    Raises:
        ValueError: its first look is not complete.
    """
    if not race.looks:
        raise ValueError("the first look of this race is not complete")
    return _outcome(race, race.plan, _claim(race, race.plan))


def _claim(race: Race, plan: RacePlan) -> Outcome:
    if _support(race, plan, plan.delta) >= 0:
        return "supported"
    return "refuted" if _is_below(race, plan, plan.delta) else "inconclusive"


def _outcome(race: Race, plan: RacePlan, claim: Outcome) -> RaceOutcome:
    if claim == "supported":
        return "wins by more than delta"
    if _support(race, plan, 0) > 0:
        return "wins"
    if _is_below(race, plan, 0):
        return "ends win"
    if claim == "refuted":
        is_above = _support(race, plan, -plan.delta) > 0
        return "equivalent within delta" if is_above else "no win by delta"
    return "open"


def _is_below(race: Race, plan: RacePlan, advantage: float) -> bool:
    """Whether no interior arm has such an advantage over the best end."""
    return all(_refutation(race, plan, arm)(-advantage) >= 0 for arm in plan.interior)


def _leader(race: Race) -> str:
    """Of the arms of the last look, those that are not refuted before the others.

    One that was left behind may be ahead of them by now, but by the luck of its few seeds.
    """
    last = race.looks[-1]
    if left := [arm for arm in race.ranking if arm in last.interior]:
        return left[0]
    return max(last.interior, key=lambda arm: race.samples.mean(arm, last.seeds))


def _difference(race: Race, arm: str, end: str) -> float:
    seeds = min(race.trained[arm], race.trained[end])
    return race.samples.mean(arm, seeds) - race.samples.mean(end, seeds)


def _arm_outcome(race: Race, plan: RacePlan, arm: str) -> ArmOutcome:
    excess = _refutation(race, plan, arm)
    against = {end: _against(race, plan, arm, end) for end in plan.ends}
    return ArmOutcome(-_furthest(excess), excess(-plan.delta) >= 0, against)


def _refutation(race: Race, plan: RacePlan, arm: str) -> Callable[[float], float]:
    """Of a shift, the statistic's largest excess over the boundaries of the looks of an arm."""
    looks = [look for look in race.looks if look.seeds <= race.trained[arm]]
    bounds = np.array(plan.boundaries[: len(looks)])
    return lambda shift: float((refutation(race, looks, arm, -shift) - bounds).max())


def _support(race: Race, plan: RacePlan, shift: float) -> float:
    """The statistic's excess over the boundary of the last look."""
    return float(support(race, race.looks, shift)[-1]) - plan.boundaries[len(race.looks) - 1]


def _lower(race: Race, plan: RacePlan) -> float:
    return _furthest(lambda shift: _support(race, plan, shift))


def _against(race: Race, plan: RacePlan, arm: str, end: str) -> Interval:
    """By the last look that both were trained up to."""
    samples = race.samples
    seeds = min(race.trained[arm], race.trained[end])
    number = plan.looks.index(seeds)
    bound = boundaries(plan.looks, plan.alpha / 2)[number]

    def excess(first: str, second: str, shift: float) -> float:
        z = [samples.z(k, first, second, shift) for k in range(number + 1)]
        return float(combined(plan.stages, z)[-1]) - bound

    return Interval(
        _difference(race, arm, end),
        _furthest(lambda shift: excess(arm, end, shift)),
        -_furthest(lambda shift: excess(end, arm, shift)),
    )


def _furthest(excess: Callable[[float], float]) -> float:
    """The largest shift at which a statistic reaches its boundary; -inf where there is none.

    Args:
        excess: of the statistic over its boundary; it falls as the shift grows.
    """
    if excess(-WIDEST) < 0:
        return -np.inf
    if excess(WIDEST) >= 0:
        return WIDEST
    return float(optimize.brentq(excess, -WIDEST, WIDEST, xtol=1e-9))
