"""What single choices do: residual (Fig. 9 of the paper), activation (Fig. 10), order.

Arms that differ in one choice alone are compared, seed by seed, so that everything else cancels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go

from nas.reporting.figures.style import SERIES, band, error_bars, styled
from nas.statistics.paired import paired_intervals

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import ArmRun, StudyResults
    from nas.architecture.specification import Architecture
    from trials.measurement import Measurement

Axis = Literal["residual", "activation", "order"]
AXES: tuple[Axis, ...] = ("residual", "activation", "order")


@dataclass(frozen=True)
class Level:
    """One choice.

    Attributes:
        curve: validation accuracy after each epoch, mean over arms and seeds.
        lower: of the 95% interval of each epoch's mean over seeds, what a seed does to all choices
            taken out.
        upper: likewise.
    """

    name: str
    curve: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True)
class AblationInfo:
    """The choices of one axis over the arms that exist with every one of them.

    Attributes:
        arms: of each choice.
        seeds: that all these arms have.
    """

    axis: Axis
    arms: int
    seeds: int
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class WidthCell:
    """Mean accuracy at one activation and one segment width, with its 95% interval over seeds."""

    activation: str
    segments: str
    accuracy: float
    lower: float
    upper: float


@dataclass(frozen=True)
class WidthsInfo:
    """Activation x segment width (the conjecture of section 4.7), from regular to depthwise."""

    segments: tuple[str, ...]
    cells: tuple[WidthCell, ...]


def ablation_info(results: StudyResults, axis: Axis) -> AblationInfo | None:
    """What the figure shows; None where no arms differ in this choice alone."""
    groups: dict[object, dict[str, str]] = {}
    for name, run in _uniform(results):
        level, rest = _split(run.architecture, axis)
        groups.setdefault(rest, {})[level] = name
    levels = list(dict.fromkeys(level for group in groups.values() for level in group))
    full = [group for group in groups.values() if len(group) == len(levels)]
    if len(levels) < 2 or not full:
        return None
    screening = results.of_stage("screening")
    seeds = _common_seeds(screening, (name for group in full for name in group.values()))
    if not seeds:
        return None
    # (levels, arms, seeds, epochs), then the mean over the arms, for one seed at a time.
    curves = np.array(
        [
            [[_curve(screening[group[level]][seed]) for seed in seeds] for group in full]
            for level in levels
        ]
    ).mean(axis=1)
    bounds = [paired_intervals(curves[:, :, epoch]) for epoch in range(curves.shape[2])]
    shown = tuple(
        Level(
            level,
            tuple(curves[index].mean(axis=0).tolist()),
            tuple(float(lower[index]) for lower, _ in bounds),
            tuple(float(upper[index]) for _, upper in bounds),
        )
        for index, level in enumerate(levels)
    )
    return AblationInfo(axis, len(full), len(seeds), shown)


def widths_info(results: StudyResults) -> WidthsInfo | None:
    """What the figure shows; None where activation and segments do not both vary."""
    cells: dict[tuple[str, str], list[str]] = {}
    for name, run in _uniform(results):
        point = run.architecture.blocks[0].point
        if point.order != "plain":
            cells.setdefault((point.activation, str(point.segments)), []).append(name)
    activations = list(dict.fromkeys(activation for activation, _ in cells))
    segments = list(dict.fromkeys(segments for _, segments in cells))
    if min(len(activations), len(segments)) < 2:
        return None
    screening = results.of_stage("screening")
    if len({len(names) for names in cells.values()}) > 1:
        return None  # some combination is missing: cells would be means of different things
    seeds = _common_seeds(screening, (name for names in cells.values() for name in names))
    if not seeds:
        return None
    table = [
        [fmean(screening[name][seed].accuracy or 0.0 for name in names) for seed in seeds]
        for names in cells.values()
    ]
    lower, upper = paired_intervals(table)
    return WidthsInfo(
        tuple(segments),
        tuple(
            WidthCell(*cell, fmean(table[i]), float(lower[i]), float(upper[i]))
            for i, cell in enumerate(cells)
        ),
    )


def _uniform(results: StudyResults) -> Iterable[tuple[str, ArmRun]]:
    """Arms with a result whose blocks are all at the same point; no controls."""
    screening = results.of_stage("screening")
    for name, run in results.arms.items():
        points = {(block.point, block.residual) for block in run.architecture.blocks}
        if len(points) == 1 and not run.control_of and name in screening:
            yield name, run


def _split(architecture: Architecture, axis: Axis) -> tuple[str, object]:
    """The choice on an axis, and everything else about the point."""
    block = architecture.blocks[0]
    if axis == "residual":
        return "with residual" if block.residual else "without residual", block.point
    if axis == "activation":
        rest = (replace(block.point, activation="none"), block.residual)
        return block.point.activation, rest
    # A plain convolution has no order: it is no counterpart of the others.
    rest_point = replace(block.point, order="spatial_first") if block.point.order != "plain" else 0
    return block.point.order.replace("_", " "), (rest_point, block.residual)


def _common_seeds(runs: dict[str, dict[int, Measurement]], names: Iterable[str]) -> list[int]:
    return sorted(set.intersection(*(set(runs[name]) for name in names)))


def _curve(measurement: Measurement) -> list[float]:
    return [accuracy for _, _, accuracy in measurement.curve]


def plot_ablation(info: AblationInfo) -> go.Figure:
    """Draw a learning curve for each choice, with its interval."""
    figure = go.Figure()
    for index, level in enumerate(info.levels):
        color = SERIES[index % len(SERIES)]
        epochs = list(range(1, len(level.curve) + 1))
        figure.add_scatter(**band(level.lower, level.upper, color))
        figure.add_scatter(
            x=epochs,
            y=list(level.curve),
            mode="lines+markers",
            name=level.name if level.name != "none" else "no activation",
            line={"color": color, "width": 1.8},
            marker={"size": 5},
            hovertemplate=f"{level.name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    styled(
        figure,
        f"{info.axis.capitalize()}<br><sub>mean and 95% interval over {info.seeds} seeds, "
        f"{info.arms} {'arm' if info.arms == 1 else 'arms'} of each</sub>",
        "epoch",
        "validation accuracy",
    )
    figure.update_layout(margin={"t": 70})
    figure.update_xaxes(dtick=max(1, len(info.levels[0].curve) // 10))
    return figure


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
            y=[cell.accuracy for cell in row],
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
        "validation accuracy",
    )
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(info.segments))
    figure.update_layout(margin={"t": 70})
    return figure
