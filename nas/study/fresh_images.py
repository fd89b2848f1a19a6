"""Which images the fresh seeds of a search are judged on.

Where few images validate, and were cut off from the training split, each seed has other ones: more
images judge then, and none that the search has chosen by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from nas.space.confirm_section import ConfirmSection
from nas.space.schema import SpaceFile
from nas.study.plan import Plan
from nas.study.trial_record import TrialRecord
from trials.data import DataSummary, ImageData
from trials.data.folds import Fold, parts_for

FEW = 2000
"""Validation images below which each fresh seed is judged on other ones."""


def folds_for(file: SpaceFile, data: ImageData, before: Plan | None) -> int:
    """Parts of the training images, of which each seed has another; 0 for the validation images.

    Args:
        before: what was planned of this study. A confirmation that was planned goes on as it was.
    """
    same = isinstance(file.confirm, ConfirmSection) and file.confirm.splits == "same"
    if file.design is not None or not file.fresh_seeds or same:
        return 0
    if before is not None and before.confirmation_seeds:
        return before.folds
    elsewhere = data.pool is None or data.half is not None or file.claim.on != "validation"
    if elsewhere or len(data.validation) >= FEW:
        return 0
    folds, images = parts_for(data), len(data.train) + len(data.validation)
    left = images - Fold(0, folds).size(len(data.train))
    return folds if left >= file.training.full_recipe.batch_size else 0


def judged_as_planned(trials: Iterable[TrialRecord], plan: Plan) -> tuple[TrialRecord, ...]:
    """Of a confirmation's trainings those on the images of its plan: all means are of the same."""
    if not plan.folds:
        return tuple(trial for trial in trials if trial.fold is None)
    planned = {Fold(number, plan.folds) for number in range(plan.confirmation_seeds)}
    return tuple(trial for trial in trials if trial.fold in planned)


@dataclass(frozen=True)
class FreshImages:
    """Those that the fresh seeds of a search are judged on.

    Attributes:
        of_seed: how many each seed is judged on.
        folds: parts of the training images that these are; 0 where they are those that validate.
        training: images of the training split.
    """

    of_seed: tuple[int, ...]
    folds: int
    training: int

    @classmethod
    def of(cls, data: DataSummary, seeds: int, folds: int) -> FreshImages:
        """Those of so many seeds."""
        training, validation = data.images
        each = [Fold(i, folds).size(training) if folds else validation for i in range(seeds)]
        return cls(tuple(each), folds, training)

    @property
    def different(self) -> int:
        """How many different images judge."""
        if not self.folds:
            return self.of_seed[0]
        return sum(self.of_seed[: self.folds])

    @property
    def in_words(self) -> str:
        """What judges which seed, in a line."""
        if not self.folds:
            return f"all seeds are judged on the {self.of_seed[0]:,} validation images"
        sizes = " or ".join(f"{size:,}" for size in sorted(set(self.of_seed)))
        anew = f", dealt anew after {self.folds} seeds" if len(self.of_seed) > self.folds else ""
        return (
            f"few images validate: each seed is judged on another part of the {self.training:,} "
            f"training images ({sizes} of them{anew}), and trained on all others and on those that "
            f"validate; {self.different:,} images judge, none of which the search chose by"
        )

    @property
    def one_more(self) -> float:
        """How much higher a network's mean is at the most where it is right of one image more.

        Of that image with each seed that it judges: all of them, or one of each deal.
        """
        seeds = len(self.of_seed)
        judged = ceil(seeds / self.folds) if self.folds else seeds
        return judged / (min(self.of_seed) * seeds)
