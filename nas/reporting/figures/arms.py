"""Learning curves of arms: mean and spread over their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nas.reporting.figures.style import ACCENT, MUTED, epoch_band, styled
from nas.space.objectives import OBJECTIVES

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import StudyResults

MAX_ARMS = 24
"""Panels; arms beyond them are the least accurate."""

COLUMNS = 3
"""Panels beside each other."""


@dataclass(frozen=True)
class ArmCurve:
    """The score after each epoch.

    Attributes:
        deviation: over the seeds; zero of a single one.
    """

    arm: str
    seeds: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class ArmCurvesInfo:
    """A curve for each arm of the first stage, controls left out, the most accurate first."""

    curves: tuple[ArmCurve, ...]
    score: str = "accuracy"


def arm_curves_info(results: StudyResults) -> ArmCurvesInfo:
    """What the figure shows."""
    curves: dict[str, list[tuple[float, ...]]] = {}
    for training in results.trainings:
        if (
            training.stage == results.first_stage
            and training.is_complete
            and not training.control_of
        ):
            curve = tuple(score for _, _, score in training.measurement.curve)
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
    return ArmCurvesInfo(tuple(sorted(arms, key=lambda curve: -curve.mean[-1])), results.score)


def plot_arm_curves(info: ArmCurvesInfo) -> go.Figure:
    """Draw a panel for each arm: its mean with a band of one standard deviation, others in grey."""
    shown = info.curves[:MAX_ARMS]
    rows = max(1, ceil(len(shown) / COLUMNS))
    figure = make_subplots(
        rows,
        COLUMNS,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[curve.arm for curve in shown],
        horizontal_spacing=0.03,
        vertical_spacing=min(0.12, 0.3 / rows),
    )
    for index, curve in enumerate(shown):
        place = {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
        others = [other.mean for other in shown if other is not curve]
        figure.add_scatter(**_lines(others), **place)
        upper = [m + d for m, d in zip(curve.mean, curve.deviation, strict=True)]
        lower = [m - d for m, d in zip(curve.mean, curve.deviation, strict=True)]
        figure.add_scatter(**epoch_band(lower, upper, ACCENT), **place)
        figure.add_scatter(
            x=list(range(1, len(curve.mean) + 1)),
            y=list(curve.mean),
            mode="lines",
            line={"color": ACCENT, "width": 2},
            hovertemplate=f"{curve.arm}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            **place,
        )
    most = f"the {len(shown)} best of {len(info.curves)} arms, " if info.curves[MAX_ARMS:] else ""
    title = f"{most}mean and deviation over the seeds; grey: the other arms"
    styled(figure, f"Learning curves of the arms<br><sub>{title}</sub>", "", "")
    figure.update_annotations(font={"size": 12})
    figure.update_layout(height=130 + 170 * rows, showlegend=False)
    figure.update_xaxes(dtick=max(1, max((len(c.mean) for c in shown), default=1) // 5))
    for column in range(1, COLUMNS + 1):
        figure.update_xaxes(title="epoch", row=rows, col=column)
    figure.update_yaxes(title=OBJECTIVES[info.score].noun, col=1)
    return figure


def _lines(curves: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Plotly's arguments for many grey curves over epochs as one, with gaps between them."""
    return {
        "x": [epoch for curve in curves for epoch in (*range(1, len(curve) + 1), None)],
        "y": [accuracy for curve in curves for accuracy in (*curve, None)],
        "mode": "lines",
        "line": {"color": MUTED, "width": 1},
        "opacity": 0.5,
        "hoverinfo": "skip",
    }
