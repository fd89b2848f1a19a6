"""Accuracy against the number of segments, block by block."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.architecture.position import block_position
from nas.reporting.figures.style import SERIES, styled

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.study.records import Records


@dataclass(frozen=True)
class SegmentsGroup:
    """Trials whose block has one choice of segments.

    Attributes:
        choice: as the file has it: ``3``, ``C/4``, ``C``, or ``plain``.
        trials: their numbers.
        accuracies: in the same order.
    """

    block: int
    choice: str
    trials: tuple[int, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class SegmentsInfo:
    """Groups by block and choice.

    Attributes:
        choices: from the regular end of the spectrum to the depthwise one.
    """

    choices: tuple[str, ...]
    groups: tuple[SegmentsGroup, ...]


def segments_info(records: Records) -> SegmentsInfo:
    """What the figure shows."""
    members: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
    positions: dict[str, list[float]] = defaultdict(list)
    for trial in records.complete:
        for index, (block, in_channels) in enumerate(trial.architecture.blocks_with_input()):
            point = block.point
            choice = "plain" if point.order == "plain" else str(point.segments)
            members[index, choice].append((trial.number, trial.validation_accuracy))
            positions[choice].append(block_position(block, in_channels))
    order = sorted(positions, key=lambda choice: (fmean(positions[choice]), choice))
    groups = tuple(
        SegmentsGroup(
            block, choice, tuple(n for n, _ in trials), tuple(accuracy for _, accuracy in trials)
        )
        for (block, choice), trials in sorted(
            members.items(), key=lambda item: (item[0][0], order.index(item[0][1]))
        )
    )
    return SegmentsInfo(tuple(order), groups)


def plot_segments(info: SegmentsInfo) -> go.Figure:
    """Draw each trial, and a line through the means of each block."""
    figure = go.Figure()
    for block in sorted({group.block for group in info.groups}):
        color = SERIES[block % len(SERIES)]
        groups = [group for group in info.groups if group.block == block]
        shared = {"legendgroup": str(block), "name": f"block {block}"}
        figure.add_scatter(
            x=[group.choice for group in groups for _ in group.trials],
            y=[accuracy for group in groups for accuracy in group.accuracies],
            text=[f"trial {trial}" for group in groups for trial in group.trials],
            mode="markers",
            marker={"color": color, "size": 6, "opacity": 0.35},
            showlegend=False,
            hovertemplate="%{text}, %{x} segments: %{y:.4f}<extra></extra>",
            **shared,
        )
        figure.add_scatter(
            x=[group.choice for group in groups],
            y=[fmean(group.accuracies) for group in groups],
            mode="lines+markers",
            marker={"color": color, "size": 10},
            line={"color": color, "width": 1.5},
            hovertemplate=f"block {block}, %{{x}}: mean %{{y:.4f}}<extra></extra>",
            **shared,
        )
    styled(
        figure,
        "Accuracy against segments (points: trials, lines: means; costs differ)",
        "segments, from regular to depthwise separable",
        "validation accuracy",
    )
    figure.update_xaxes(categoryorder="array", categoryarray=list(info.choices), type="category")
    return figure
