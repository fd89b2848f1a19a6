"""A race between the points of a spectrum and its ends, looked at several times.

At each look the leading interior arms and the ends are trained with fresh seeds; whoever is out of
the race costs no more trainings. What is compared at a look was chosen by the looks before it, on
other seeds, so choosing costs no correction; only the first look, which chooses by itself, has one
(Sidak 1967). Each stage gives a statistic from its own fresh seeds; the stages are combined with
weights that were planned, and compared with boundaries that spend one level over all looks.

Each arm has a variance of its own (Welch 1947): a pooled one is wrong where one arm is noisier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nas.statistics.boundaries import boundaries, combined
from nas.statistics.decision import check_levels
from nas.statistics.race_samples import Samples, sidak, welch_z

LEADERS = 2
"""Interior arms that are trained at a look, the first excepted, which trains all."""

BEHIND = 0.001
"""Level, over all ends, at which an end that is behind another one is dropped at a look."""


@dataclass(frozen=True)
class RacePlan:
    """What is written down before the first training of a race.

    Attributes:
        interior: arms between the ends.
        ends: arms at the ends of the spectrum.
        looks: seeds of an arm that has been trained up to each look; the last are the most.
        delta: of the claim that an interior arm beats every end by more than it, as a fraction.
        alpha: accepted probability of a wrong decision, over all looks.
    """

    interior: tuple[str, ...]
    ends: tuple[str, ...]
    looks: tuple[int, ...]
    delta: float = 0.005
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not self.interior or not self.ends:
            raise ValueError("a race has an end of the spectrum, and a point between them")
        if len(set(self.arms)) < len(self.arms):
            raise ValueError("the arms of a race have different names")
        if not self.looks or self.looks[0] < 2 or min(np.diff(self.looks), default=1) < 1:
            raise ValueError(f"looks increase from two seeds or more; got {self.looks}")
        check_levels(self.delta, self.alpha)

    @property
    def arms(self) -> tuple[str, ...]:
        """All of them, interior ones first."""
        return (*self.interior, *self.ends)

    @cached_property
    def stages(self) -> tuple[int, ...]:
        """Fresh seeds of each look."""
        return tuple(np.diff(self.looks, prepend=0).tolist())

    @cached_property
    def boundaries(self) -> tuple[float, ...]:
        """What a statistic has to reach at each look."""
        return boundaries(self.looks, self.alpha)


@dataclass(frozen=True)
class Look:
    """What was compared at a look, as the looks before it had chosen, and what came of it.

    Attributes:
        seeds: of each arm that has been trained up to it.
        interior: arms that were trained, the leading one first; all of them at the first look.
        ends: that were trained, the best one first, by the looks before; in their order at the
            first look.
        supported: whether an interior arm was found to beat every end by more than delta.
        refuted: interior arms that were found not to.
        dropped: ends that were found to be behind another one.
    """

    seeds: int
    interior: tuple[str, ...]
    ends: tuple[str, ...]
    supported: bool = False
    refuted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Race:
    """A race as far as its trainings go.

    Attributes:
        samples: scores that arms are compared by.
        choosing: scores that leaders and the best end are chosen by.
        looks: those whose trainings are all there.
        missing: seeds that arms have still to be trained up to for the next look; none where the
            race is over.
    """

    plan: RacePlan
    samples: Samples = field(compare=False)
    choosing: Samples = field(compare=False)
    looks: tuple[Look, ...] = ()
    missing: dict[str, int] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the claim is decided, or there is no look any more."""
        return self.missing is None

    @property
    def supported(self) -> bool:
        """Whether an interior arm beats every end by more than delta."""
        return any(look.supported for look in self.looks)

    @property
    def refuted(self) -> tuple[str, ...]:
        """Interior arms that do not."""
        return tuple(arm for look in self.looks for arm in look.refuted)

    @property
    def is_refuted(self) -> bool:
        """Whether that is all of them."""
        return len(self.refuted) == len(self.plan.interior)

    @property
    def trained(self) -> dict[str, int]:
        """Seeds that arms have been trained with, by the last of these looks that each was in."""
        return {arm: look.seeds for look in self.looks for arm in (*look.interior, *look.ends)}

    @property
    def ends(self) -> tuple[str, ...]:
        """Ends that no other one was found to be ahead of, the best one first."""
        dropped = {arm for look in self.looks for arm in look.dropped}
        left = [arm for arm in self.plan.ends if arm not in dropped]
        if not self.looks:
            return tuple(left)
        seeds = self.looks[-1].seeds
        return tuple(sorted(left, key=lambda arm: -self.choosing.mean(arm, seeds)))

    @property
    def ranking(self) -> tuple[str, ...]:
        """Interior arms that are not refuted, the best one first.

        By what they are above the ends with the seeds that they have been trained with: a seed
        that is easy for all arms is no merit of those that were trained with it.
        """
        refuted, trained = self.refuted, self.trained
        left = [arm for arm in self.plan.interior if arm not in refuted]
        if not self.looks:
            return tuple(left)
        samples = self.choosing
        level = samples.values[[samples.rows[end] for end in self.ends]].mean(axis=0)

        def above(arm: str) -> float:
            seeds = trained[arm]
            return float((samples.values[samples.rows[arm], :seeds] - level[:seeds]).mean())

        return tuple(sorted(left, key=lambda arm: -above(arm)))


def run_race(
    plan: RacePlan,
    scores: Mapping[str, Sequence[float]],
    choosing: Mapping[str, Sequence[float]] | None = None,
) -> Race:
    """Go through the looks of a race by the scores that are there.

    Everything follows from plan and scores, so that a race that was interrupted goes on as if it
    had not been.

    Args:
        scores: of each arm, in the order of the race's seeds, without a gap.
        choosing: of the same trainings, on the images that leaders are chosen by; the same unless
            given.

    Raises:
        ValueError: a score is not finite.
    """
    samples = Samples.of(plan.arms, plan.looks, scores)
    chosen_by = samples if choosing is None else Samples.of(plan.arms, plan.looks, choosing)
    race = Race(plan, samples, chosen_by)
    for number, seeds in enumerate(plan.looks):
        look = Look(seeds, race.ranking[:LEADERS] if number else plan.interior, race.ends)
        while True:
            trained = (*look.interior, *look.ends)
            if missing := tuple(arm for arm in trained if not race.samples.has(arm, seeds)):
                return replace(race, missing=dict.fromkeys(missing, seeds))
            look = _decided(race, look)
            waiting = [arm for arm in race.ranking if arm not in look.interior]
            if look.supported or not waiting or len(look.refuted) < len(look.interior):
                break
            # Those behind may be decided with the seeds that the ends have already.
            look = replace(look, interior=(*look.interior, *waiting[:LEADERS]))
        race = replace(race, looks=(*race.looks, look))
        if race.supported or race.is_refuted:
            break
    return race


def _decided(race: Race, look: Look) -> Look:
    """A look with what it decides."""
    plan, looks = race.plan, (*race.looks, look)
    bounds = plan.boundaries[: len(looks)]
    return replace(
        look,
        supported=bool(support(race, looks, plan.delta)[-1] >= bounds[-1]),
        refuted=tuple(
            arm
            for arm in look.interior
            if (refutation(race, looks, arm, plan.delta) >= bounds).any()
        ),
        dropped=_behind(race.samples, look, len(plan.ends)),
    )


def support(race: Race, looks: Sequence[Look], shift: float) -> NDArray[np.float64]:
    """Statistics, at each look, of the hypothesis that no arm beats every end by more than a shift.

    The leader of the looks before stands for all arms; at the first look each may be it. Where the
    hypothesis is true no arm beats the best end, and the least statistic over the ends is at most
    that of the best one: not knowing which one that is costs no correction (Berger 1982).
    """
    z, statistics = race.samples.z, []
    for end in looks[-1].ends:
        highest = max(z(0, arm, end, shift) for arm in race.plan.interior)
        stages = [sidak(highest, len(race.plan.interior))]
        stages += [z(k, look.interior[0], end, shift) for k, look in enumerate(looks) if k]
        statistics.append(combined(race.plan.stages, stages))
    least: NDArray[np.float64] = np.min(statistics, axis=0)
    return least


def refutation(race: Race, looks: Sequence[Look], arm: str, shift: float) -> NDArray[np.float64]:
    """Statistics, at each look, of the hypothesis that an arm beats every end by a shift or more.

    The end that it does not beat is the best one of the looks before; at the first each may be.
    """
    z = race.samples.z
    highest = max(z(0, end, arm, -shift) for end in race.plan.ends)
    stages = [sidak(highest, len(race.plan.ends))]
    stages += [z(k, look.ends[0], arm, -shift) for k, look in enumerate(looks) if k]
    return combined(race.plan.stages, stages)


def _behind(samples: Samples, look: Look, count: int) -> tuple[str, ...]:
    """Ends that are behind another one of so many, by all seeds so far.

    On the images that judge: what is dropped has no part in the claim any more.
    """
    rows = [samples.rows[end] for end in look.ends]
    values = samples.values[rows, : look.seeds]
    means, variances = values.mean(axis=1), values.var(axis=1, ddof=1)
    behind = welch_z(
        means[:, None] - means, variances[:, None], variances, look.seeds, look.seeds
    ).max(axis=0)
    bound = -special.ndtri(BEHIND / count)
    return tuple(end for end, z in zip(look.ends, behind, strict=True) if z > bound)
