"""How far the accuracies of a front may be off: by their seeds, or by the images alone."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from nas.space.objectives import OBJECTIVES, SHARES
from nas.statistics.proportion import share_interval

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import StudyResults
    from nas.study.design import Stage
    from nas.study.records import Records
    from nas.study.trial_record import TrialRecord


@dataclass(frozen=True)
class Spread:
    """A value with its bounds.

    Attributes:
        score: the value, of whatever is maximized.
        seeds: that it is the mean of: then the bounds are one standard deviation away; of a single
            one they are the 95% interval of a share of so many images, which says nothing of seeds.
        words: what the bounds are.
    """

    score: float
    lower: float
    upper: float
    seeds: int
    words: str


def seeds_spread(
    results: StudyResults | None, trial: TrialRecord, stage: Stage | None, goal: str
) -> Spread | None:
    """Mean and standard deviation over the seeds of a stage; None where they are not several.

    Args:
        stage: the first one where it is None.
    """
    if results is None:
        return None
    trainings = results.of_stage(stage or results.first_stage).get(
        trial.arm or f"trial {trial.number}", {}
    )
    measured = [getattr(training, OBJECTIVES[goal].measured) for training in trainings.values()]
    if len(measured) < 2 or None in measured:
        return None
    mean, deviation, seeds = fmean(measured), stdev(measured), len(measured)
    fresh = "fresh " if stage == "confirmation" else ""
    words = f"{mean:.4f} ± {deviation:.4f} over {seeds} {fresh}seeds"
    return Spread(mean, mean - deviation, mean + deviation, seeds, words)


def images_spread(records: Records, trial: TrialRecord) -> Spread | None:
    """Of one training by the number of images; None where what is maximized is no share of them."""
    if records.objectives[0] not in SHARES or len(trial.seeds) > 1:
        return None
    images, value = records.data.images[1], trial.values[0]
    lower, upper = share_interval(value, images)
    words = f"{lower:.4f} to {upper:.4f} by {images:,} images (Wilson, 95%), one seed"
    return Spread(value, lower, upper, 1, words)
