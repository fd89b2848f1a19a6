"""What is written down of a race before its first training, beside claim and arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.space.schema import SpaceFile
from nas.study.design import Arm, design_seeds
from trials.data import DataSummary

DIGITS = 8
"""Of weights and boundaries as they are written down."""


@dataclass(frozen=True)
class RaceTerms:
    """What a race is decided by, beside claim and arms.

    Attributes:
        interior: names of the arms between the ends.
        looks: seeds of an arm that is trained up to each look.
        weights: of the statistic of each look's fresh seeds; their squares sum up to one.
        boundaries: what the statistic has to reach at each look.
        failed_score: what a training that fails scores: what guessing would.
    """

    interior: tuple[str, ...]
    looks: tuple[int, ...]
    weights: tuple[float, ...]
    boundaries: tuple[float, ...]
    failed_score: float

    def last_look(self, trained: Mapping[str, int]) -> int:
        """Seeds at the last look that is complete; 0 before the first one is.

        Args:
            trained: seeds that each arm has been trained with, the failed ones too.
        """
        last = 0
        for before, seeds in zip((0, *self.looks), self.looks, strict=False):
            further = [count for count in trained.values() if count > before]
            if not further or min(further) < seeds:
                break
            last = seeds
        return last

    def __str__(self) -> str:
        looks = ", ".join(map(str, self.looks))
        return (
            f"looks at {looks} seeds, {len(self.interior)} interior arms, a training that fails "
            f"scores {self.failed_score:.4g}"
        )


def terms_of(file: SpaceFile, arms: Sequence[Arm], data: DataSummary) -> RaceTerms | None:
    """What is written down of a design that is a race; None of another one."""
    if file.design is None or not file.design.is_race:
        return None
    from nas.statistics.race import RacePlan  # SciPy loads for half a second

    interior = tuple(arm.name for arm in arms if arm.role == "interior")
    ends = tuple(arm.name for arm in arms if arm.role == "end")
    looks = file.design.seeds_of_looks
    plan = RacePlan(interior, ends, looks, file.claim.delta, file.claim.alpha)
    # Rounded: what another version of SciPy finds is no other plan.
    weights = tuple(round((stage / looks[-1]) ** 0.5, DIGITS) for stage in plan.stages)
    bounds = tuple(round(bound, DIGITS) for bound in plan.boundaries)
    # Of images with many labels a guess has no average precision to speak of.
    guess = 0.0 if data.many_labels else 1 / len(data.classes)
    return RaceTerms(interior, looks, weights, bounds, guess)


def race_seeds(file: SpaceFile, terms: RaceTerms) -> tuple[int, ...]:
    """Seeds of all arms, as many as there may be."""
    return design_seeds(file.name, file.study.seed, "race", terms.looks[-1])
