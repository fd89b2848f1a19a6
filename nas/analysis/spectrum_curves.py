"""Accuracy along the spectrum as a curve, for each family of arms; no verdict rests on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.analysis.families import families
from nas.architecture.position import PLAIN_POSITION, position
from nas.statistics.paired import without_seed_effects
from nas.statistics.spectrum_fit import SpectrumFit, fit_spectrum

if TYPE_CHECKING:  # figures need the data of a study, not what reads it
    from nas.analysis.results import StudyResults
    from nas.study.design import Stage


@dataclass(frozen=True)
class SpectrumCurve:
    """The curve of one family.

    Attributes:
        stage: whose trainings it is fitted to, the one that has all arms.
        fit: through the arms that have two steps.
    """

    family: str
    stage: Stage
    fit: SpectrumFit


def spectrum_curves(results: StudyResults) -> Iterator[SpectrumCurve]:
    """The curves of a design, of families with arms at four places or more.

    What a seed does to all arms is taken out where all have the same seeds. In a race they have
    not; left in, it makes the intervals wider.
    """
    stage = results.first_stage
    trainings = results.of_stage(stage, others=False)
    if not results.is_design or not trainings.common_seeds:
        return
    if results.is_race:
        scores = {arm: list(trainings.scores(arm)) for arm in trainings}
    else:
        aligned = without_seed_effects(list(trainings.accuracies().values()))
        scores = dict(zip(trainings, aligned.tolist(), strict=True))
    networks = {arm: results.arms[arm].architecture for arm in trainings}
    positions = {arm: position(network) for arm, network in networks.items()}
    for family, names in families(networks).items():
        arms = [arm for arm in names if positions[arm] > PLAIN_POSITION]
        fit = fit_spectrum([positions[arm] for arm in arms], [scores[arm] for arm in arms])
        if fit is not None:
            yield SpectrumCurve(family, stage, fit)
