"""What single choices do: residual (Fig. 9 of the paper), activation (Fig. 10), order.

Arms that differ in one choice alone are compared, seed by seed, so that everything else cancels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.reporting.figures.style import SERIES, epoch_band, styled
from nas.space.ablation import ablation_groups, in_words
from nas.space.claim_section import Ablated
from nas.space.objectives import OBJECTIVES
from nas.statistics.paired import paired_intervals

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import ArmRun, StudyResults
    from trials.measurement import Measurement

ABLATION_AXES: tuple[Ablated, ...] = get_args(Ablated)


@dataclass(frozen=True)
class Level:
    """One choice.

    Attributes:
        curve: the score after each epoch, mean over arms and seeds.
        lower: of the 95% interval of each epoch's mean over seeds, what a seed does to all choices
            taken out.
        upper: of the same interval.
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
        score: name of the objective that arms are judged by.
    """

    axis: Ablated
    arms: int
    seeds: int
    levels: tuple[Level, ...]
    score: str = "accuracy"


def ablation_info(results: StudyResults, axis: Ablated) -> AblationInfo | None:
    """What the figure shows; None where no arms differ in this choice alone."""
    networks = {name: training.architecture for name, training in uniform_arms(results)}
    full = ablation_groups(networks, axis)
    if not full:
        return None
    levels = list(full[0])
    trainings = results.of_stage(results.first_stage).of(
        name for group in full for name in group.values()
    )
    seeds = trainings.common_seeds
    if not seeds:
        return None
    # (levels, arms, seeds, epochs), then the mean over the arms, for one seed at a time.
    curves = np.array(
        [
            [[_curve(trainings[group[level]][seed]) for seed in seeds] for group in full]
            for level in levels
        ]
    ).mean(axis=1)
    found = tuple(_levels([in_words(axis, level) for level in levels], curves))
    return AblationInfo(axis, len(full), len(seeds), found, results.score)


def _levels(names: Iterable[str], curves: NDArray[np.float64]) -> Iterator[Level]:
    """Each choice by its curves (levels, seeds, epochs)."""
    bounds = [paired_intervals(curves[:, :, epoch]) for epoch in range(curves.shape[2])]
    for index, name in enumerate(names):
        yield Level(
            name,
            tuple(curves[index].mean(axis=0).tolist()),
            tuple(float(lower[index]) for lower, _ in bounds),
            tuple(float(upper[index]) for _, upper in bounds),
        )


def uniform_arms(results: StudyResults) -> Iterator[tuple[str, ArmRun]]:
    """Arms with a result whose blocks are all at the same point; no controls."""
    screening = results.of_stage(results.first_stage)
    for name, training in results.arms.items():
        points = {(block.point, block.residual) for block in training.architecture.blocks}
        if len(points) == 1 and training.is_compared and name in screening:
            yield name, training


def _curve(measurement: Measurement) -> list[float]:
    return [score for _, _, score in measurement.curve]


def plot_ablation(info: AblationInfo) -> go.Figure:
    """Draw a learning curve for each choice, with its interval."""
    figure = go.Figure()
    for index, level in enumerate(info.levels):
        color = SERIES[index % len(SERIES)]
        epochs = list(range(1, len(level.curve) + 1))
        figure.add_scatter(**epoch_band(level.lower, level.upper, color))
        figure.add_scatter(
            x=epochs,
            y=list(level.curve),
            mode="lines+markers",
            name=level.name,
            line={"color": color, "width": 1.8},
            marker={"size": 5},
            hovertemplate=f"{level.name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    styled(
        figure,
        f"{info.axis.capitalize()}<br><sub>mean and 95% interval over {info.seeds} seeds, "
        f"{info.arms} {'arm' if info.arms == 1 else 'arms'} of each</sub>",
        "epoch",
        OBJECTIVES[info.score].title,
    )
    figure.update_xaxes(dtick=max(1, len(info.levels[0].curve) // 10))
    return figure
