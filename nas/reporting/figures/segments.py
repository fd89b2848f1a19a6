"""Accuracy against the number of segments, block by block."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.architecture.position import block_position
from nas.reporting.figures.style import SERIES, styled, thinned
from nas.space.objectives import OBJECTIVES

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.study.records import Records

_SPREAD = 0.7
"""Of the room between two choices, how much the blocks of one share."""


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
    score: str = "accuracy"


def segments_info(records: Records) -> SegmentsInfo:
    """What the figure shows."""
    members: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
    positions: dict[str, list[float]] = defaultdict(list)
    for trial in records.complete:
        for index, (block, in_channels) in enumerate(trial.architecture.blocks_with_input()):
            point = block.point
            choice = "plain" if point.order == "plain" else str(point.segments)
            members[index, choice].append((trial.number, trial.score))
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
    return SegmentsInfo(tuple(order), groups, records.score)


def plot_segments(info: SegmentsInfo) -> go.Figure:
    """Draw each trial, and a line through the means of each block; blocks side by side."""
    figure = go.Figure()
    blocks = sorted({group.block for group in info.groups})
    for block in blocks:
        shift = _SPREAD * ((blocks.index(block) + 0.5) / len(blocks) - 0.5)
        _add_block(figure, info, block, shift)
    styled(
        figure,
        f"{OBJECTIVES[info.score].headline} against segments<br><sub>points: {_points(info)}; "
        "lines: means of each block; costs differ</sub>",
        "segments, from regular to depthwise separable",
        OBJECTIVES[info.score].title,
    )
    numbers = list(range(len(info.choices)))
    figure.update_xaxes(tickvals=numbers, ticktext=list(info.choices), showgrid=False)
    return figure


def _points(info: SegmentsInfo) -> str:
    """What of the trials is drawn: for the means all of them count."""
    trials: Counter[int] = Counter()
    for group in info.groups:
        trials[group.block] += len(group.trials)
    most = max(trials.values(), default=0)
    drawn = len(thinned(range(most)))
    return "trials" if drawn == most else f"{drawn:,} of {most:,} trials, evenly"


def _add_block(figure: go.Figure, info: SegmentsInfo, block: int, shift: float) -> None:
    """The trials of a block beside those of the others, and their means."""
    color = SERIES[block % len(SERIES)]
    groups = [group for group in info.groups if group.block == block]
    places = [info.choices.index(group.choice) + shift for group in groups]
    shared = {"legendgroup": str(block), "name": f"block {block}"}
    trials = [
        (place, accuracy, f"trial {trial}, {group.choice} segments")
        for place, group in zip(places, groups, strict=True)
        for trial, accuracy in zip(group.trials, group.accuracies, strict=True)
    ]
    shown = thinned(trials)
    figure.add_scatter(
        x=[place for place, _, _ in shown],
        y=[accuracy for _, accuracy, _ in shown],
        text=[text for _, _, text in shown],
        mode="markers",
        marker={"color": color, "size": 6, "opacity": 0.35},
        showlegend=False,
        hovertemplate="%{text}: %{y:.4f}<extra></extra>",
        **shared,
    )
    figure.add_scatter(
        x=places,
        y=[fmean(group.accuracies) for group in groups],
        text=[f"block {block}, {group.choice}" for group in groups],
        mode="lines+markers",
        marker={"color": color, "size": 10, "line": {"color": "white", "width": 1}},
        line={"color": color, "width": 1.5},
        hovertemplate="%{text}: mean %{y:.4f}<extra></extra>",
        **shared,
    )
