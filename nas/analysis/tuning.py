"""What the tuning of a design's arms gave: each setting of each arm, and which was chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from nas.analysis.results import StudyResults, score_of
from nas.study.setting import Setting
from nas.study.tuning import at_the_edge
from trials.measurement import Measurement


@dataclass(frozen=True)
class TuningRow:
    """One setting of one arm.

    Attributes:
        scores: of its complete trainings, in the order of their seeds.
        failed: trainings without a score.
        is_chosen: the arm was screened with it.
    """

    arm: str
    setting: Setting
    scores: tuple[float, ...]
    failed: int
    is_chosen: bool


def tuning_rows(results: StudyResults) -> Iterator[TuningRow]:
    """A row for each setting that was tried, in the order in which they were."""
    tried: dict[tuple[str, Setting], list[Measurement]] = defaultdict(list)
    for training in results.tuning:
        tried[training.control_of, training.setting].append(training.measurement)
    for (arm, setting), measurements in tried.items():
        scores = tuple(score_of(m) for m in measurements if m.score is not None)
        screened = results.arms.get(arm)
        is_chosen = screened is not None and screened.setting == setting
        yield TuningRow(arm, setting, scores, len(measurements) - len(scores), is_chosen)


def edges(results: StudyResults) -> Iterator[str]:
    """Arms for which the highest or lowest was best of what was tried, a line for each."""
    if results.file.tune is not None:
        for name, first in results.arms.items():
            if not first.control_of:
                yield from at_the_edge(name, first.setting, results.file.tune)
