"""Figures of a study: each is what it shows (an info object) and how Plotly draws it."""

from nas.reporting.figures.ablation import (
    ABLATION_AXES,
    AblationInfo,
    ablation_info,
    plot_ablation,
)
from nas.reporting.figures.arms import ArmCurvesInfo, arm_curves_info, plot_arm_curves
from nas.reporting.figures.attainment import AttainmentInfo, attainment_info, plot_attainment
from nas.reporting.figures.catalogue import arm_figures, study_figures
from nas.reporting.figures.confusion import ConfusionInfo, plot_confusion
from nas.reporting.figures.curves import CurvesInfo, curves_info, plot_curves
from nas.reporting.figures.front import FrontInfo, front_info, plot_front
from nas.reporting.figures.hypervolume import HypervolumeInfo, hypervolume_info, plot_hypervolume
from nas.reporting.figures.importance import ImportanceInfo, importance_info, plot_importance
from nas.reporting.figures.latency import LatencyInfo, latency_info, plot_latency
from nas.reporting.figures.segments import SegmentsInfo, plot_segments, segments_info
from nas.reporting.figures.spectrum import SpectrumInfo, plot_spectrum, spectrum_info
from nas.reporting.figures.widths import WidthsInfo, plot_widths, widths_info

__all__ = [
    "ABLATION_AXES",
    "AblationInfo",
    "ArmCurvesInfo",
    "AttainmentInfo",
    "ConfusionInfo",
    "CurvesInfo",
    "FrontInfo",
    "HypervolumeInfo",
    "ImportanceInfo",
    "LatencyInfo",
    "SegmentsInfo",
    "SpectrumInfo",
    "WidthsInfo",
    "ablation_info",
    "arm_curves_info",
    "arm_figures",
    "attainment_info",
    "curves_info",
    "front_info",
    "hypervolume_info",
    "importance_info",
    "latency_info",
    "plot_ablation",
    "plot_arm_curves",
    "plot_attainment",
    "plot_confusion",
    "plot_curves",
    "plot_front",
    "plot_hypervolume",
    "plot_importance",
    "plot_latency",
    "plot_segments",
    "plot_spectrum",
    "plot_widths",
    "segments_info",
    "spectrum_info",
    "study_figures",
    "widths_info",
]
