"""Activation x segment width: does the best activation depend on the segments (section 4.7)?"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.reporting.figures.ablation import uniform_arms
from nas.reporting.figures.style import SERIES, error_bars, styled
from nas.space.objectives import OBJECTIVES
from nas.statistics.paired import paired_intervals

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import StudyResults


@dataclass(frozen=True)
class WidthCell:
    """Mean score at one activation and one segment width, with its 95% interval over seeds."""

    activation: str
    segments: str
    score: float
    lower: float
    upper: float


@dataclass(frozen=True)
class WidthsInfo:
    """Activation x segment width (the conjecture of section 4.7), from regular to depthwise."""

    segments: tuple[str, ...]
    cells: tuple[WidthCell, ...]
    score: str = "accuracy"


def widths_info(results: StudyResults) -> WidthsInfo | None:
    """What the figure shows; None where activation and segments do not both vary."""
    cells: dict[tuple[str, str], list[str]] = {}
    for name, training in uniform_arms(results):
        point = training.architecture.blocks[0].point
        if point.order != "plain":
            cells.setdefault((point.activation, str(point.segments)), []).append(name)
    activations = list(dict.fromkeys(activation for activation, _ in cells))
    segments = list(dict.fromkeys(segments for _, segments in cells))
    if min(len(activations), len(segments)) < 2:
        return None
    if len({len(names) for names in cells.values()}) > 1:
        return None  # some combination is missing: cells would be means of different things
    trainings = results.of_stage(results.first_stage).of(
        name for names in cells.values() for name in names
    )
    if not trainings.common_seeds:
        return None
    accuracies = trainings.accuracies()
    table = [  # (cells, seeds), each the mean over the cell's arms
        [fmean(of_seed) for of_seed in zip(*(accuracies[name] for name in names), strict=True)]
        for names in cells.values()
    ]
    lower, upper = paired_intervals(table)
    return WidthsInfo(
        tuple(segments),
        tuple(
            WidthCell(*cell, fmean(table[i]), float(lower[i]), float(upper[i]))
            for i, cell in enumerate(cells)
        ),
        results.score,
    )


def plot_widths(info: WidthsInfo) -> go.Figure:
    """Draw a line for each activation."""
    figure = go.Figure()
    activations = list(dict.fromkeys(cell.activation for cell in info.cells))
    for index, activation in enumerate(activations):
        cells = {c.segments: c for c in info.cells if c.activation == activation}
        row = [cells[segments] for segments in info.segments if segments in cells]
        color = SERIES[index % len(SERIES)]
        figure.add_scatter(
            x=[cell.segments for cell in row],
            y=[cell.score for cell in row],
            error_y=error_bars(row),
            mode="lines+markers",
            name="no activation" if activation == "none" else activation,
            line={"color": color, "width": 1.6},
            marker={"size": 9, "color": color},
        )
    styled(
        figure,
        "Activation x segment width<br><sub>mean and 95% interval over seeds</sub>",
        "segments, from regular to depthwise separable",
        OBJECTIVES[info.score].title,
    )
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(info.segments))
    return figure
