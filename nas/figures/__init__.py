"""Figures of a study: each is what it shows (an info object) and how Plotly draws it."""

from nas.figures.curves import CurvesInfo, curves_info, plot_curves
from nas.figures.front import FrontInfo, front_info, plot_front
from nas.figures.hypervolume import HypervolumeInfo, hypervolume_info, plot_hypervolume
from nas.figures.importance import ImportanceInfo, importance_info, plot_importance
from nas.figures.segments import SegmentsInfo, plot_segments, segments_info

__all__ = [
    "CurvesInfo",
    "FrontInfo",
    "HypervolumeInfo",
    "ImportanceInfo",
    "SegmentsInfo",
    "curves_info",
    "front_info",
    "hypervolume_info",
    "importance_info",
    "plot_curves",
    "plot_front",
    "plot_hypervolume",
    "plot_importance",
    "plot_segments",
    "segments_info",
]
