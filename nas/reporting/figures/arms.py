"""Learning curves of arms: mean and spread over their seeds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.reporting.figures.style import SERIES, band, styled

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import StudyResults

MAX_ARMS = 12
"""Shown at first; the others are in the legend."""


@dataclass(frozen=True)
class ArmCurve:
    """Validation accuracy after each epoch.

    Attributes:
        deviation: over the seeds; zero of a single one.
    """

    arm: str
    seeds: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class ArmCurvesInfo:
    """A curve for each arm by the screening seeds, controls left out, the most accurate first."""

    curves: tuple[ArmCurve, ...]


def arm_curves_info(results: StudyResults) -> ArmCurvesInfo:
    """What the figure shows."""
    curves: dict[str, list[tuple[float, ...]]] = {}
    for training in results.trainings:
        if training.stage == "screening" and training.is_complete and not training.control_of:
            curve = tuple(accuracy for _, _, accuracy in training.measurement.curve)
            curves.setdefault(training.arm, []).append(curve)
    arms = [
        ArmCurve(
            arm,
            len(trainings),
            tuple(fmean(epoch) for epoch in zip(*trainings, strict=True)),
            tuple(
                stdev(epoch) if len(trainings) > 1 else 0.0
                for epoch in zip(*trainings, strict=True)
            ),
        )
        for arm, trainings in curves.items()
    ]
    return ArmCurvesInfo(tuple(sorted(arms, key=lambda curve: -curve.mean[-1])))


def plot_arm_curves(info: ArmCurvesInfo) -> go.Figure:
    """Draw each mean with a band of one standard deviation."""
    figure = go.Figure()
    for index, curve in enumerate(info.curves):
        color = SERIES[index % len(SERIES)]
        epochs = list(range(1, len(curve.mean) + 1))
        dash = ("solid", "dash", "dot")[index // len(SERIES) % 3]
        shown = True if index < MAX_ARMS else "legendonly"
        upper = [m + d for m, d in zip(curve.mean, curve.deviation, strict=True)]
        lower = [m - d for m, d in zip(curve.mean, curve.deviation, strict=True)]
        figure.add_scatter(**band(lower, upper, color), legendgroup=curve.arm, visible=shown)
        figure.add_scatter(
            x=epochs,
            y=list(curve.mean),
            mode="lines",
            name=curve.arm,
            legendgroup=curve.arm,
            visible=shown,
            line={"color": color, "width": 1.8, "dash": dash},
            hovertemplate=f"{curve.arm}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    styled(
        figure,
        "Learning curves of the arms<br><sub>mean and deviation over the screening seeds</sub>",
        "epoch",
        "validation accuracy",
    )
    # Names of arms are long: at the side they cost the curves no height.
    legend = {"orientation": "v", "x": 1.02, "y": 1}
    figure.update_layout(margin={"t": 70}, height=480, legend=legend)
    figure.update_xaxes(dtick=max(1, max((len(c.mean) for c in info.curves), default=1) // 10))
    return figure
