"""Which figures a study has, by the names that they have in the report and as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.reporting.figures.ablation import ABLATION_AXES, ablation_info, plot_ablation
from nas.reporting.figures.arms import arm_curves_info, plot_arm_curves
from nas.reporting.figures.attainment import attainment_info, plot_attainment
from nas.reporting.figures.confusion import ConfusionInfo, plot_confusion
from nas.reporting.figures.curves import curves_info, plot_curves
from nas.reporting.figures.front import front_info, plot_front
from nas.reporting.figures.hypervolume import hypervolume_info, plot_hypervolume
from nas.reporting.figures.importance import importance_info, plot_importance
from nas.reporting.figures.latency import latency_info, plot_latency
from nas.reporting.figures.segments import plot_segments, segments_info
from nas.reporting.figures.spectrum import plot_spectrum, spectrum_info
from nas.reporting.figures.widths import plot_widths, widths_info

if TYPE_CHECKING:  # figures need the data of a study, not what reads it
    from nas.analysis.results import StudyResults
    from nas.study.importances import Importance
    from nas.study.records import Records


NAMES = (
    "spectrum", "attainment", "arms", *ABLATION_AXES, "widths", "front", "hypervolume", "segments",
    "importance", "curves", "latency", "confusion", "budgets",
)  # fmt: skip
"""Of all figures that a study may have."""


def arm_figures(results: StudyResults) -> dict[str, go.Figure]:
    """The figures of arms and seeds; of a search that of its confirmed front alone."""
    drawn: dict[str, go.Figure] = {}
    if results.is_design:
        drawn["spectrum"] = plot_spectrum(spectrum_info(results))
    attainment = attainment_info(results)
    if attainment is not None:
        drawn["attainment"] = plot_attainment(attainment)
    if results.is_design:
        drawn["arms"] = plot_arm_curves(arm_curves_info(results))
        for axis in ABLATION_AXES:
            ablation = ablation_info(results, axis)
            if ablation is not None:
                drawn[axis] = plot_ablation(ablation)
        widths = widths_info(results)
        if widths is not None:
            drawn["widths"] = plot_widths(widths)
    return drawn


def study_figures(
    records: Records,
    importances: Sequence[Importance],
    results: StudyResults | None = None,
    confusion: ConfusionInfo | None = None,
) -> dict[str, go.Figure]:
    """The figures of trials, which every study has.

    Args:
        results: the single trainings, for error bars.
        confusion: of the knee, where it is known.
    """
    drawn = {
        "front": plot_front(front_info(records, results)),
        "hypervolume": plot_hypervolume(hypervolume_info(records)),
        "segments": plot_segments(segments_info(records)),
        "importance": plot_importance(importance_info(importances, records.objectives[0])),
        "curves": plot_curves(curves_info(records)),
    }
    latency = latency_info(records)
    if latency is not None:
        drawn["latency"] = plot_latency(latency)
    if confusion is not None:
        drawn["confusion"] = plot_confusion(confusion)
    return drawn
