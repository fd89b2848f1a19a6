"""Learning curves of the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.reporting.figures.style import SERIES, styled
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import format_count

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.study.records import Records


@dataclass(frozen=True)
class CurvesInfo:
    """The score after each epoch, by trial of the front, cheapest first."""

    curves: tuple[tuple[str, tuple[float, ...]], ...]
    score: str = "accuracy"


def curves_info(records: Records) -> CurvesInfo:
    """What the figure shows."""
    return CurvesInfo(
        tuple(
            (f"trial {trial.number}, {format_count(trial.macs)} MACs", trial.curve)
            for trial in records.front
        ),
        records.score,
    )


def plot_curves(info: CurvesInfo) -> go.Figure:
    """Draw a line for each."""
    figure = go.Figure()
    for position, (name, curve) in enumerate(info.curves):
        figure.add_scatter(
            x=list(range(1, len(curve) + 1)),
            y=list(curve),
            mode="lines+markers",
            name=name,
            line={"color": SERIES[position % len(SERIES)], "width": 1.8},
            marker={"size": 5},
            hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    styled(figure, "Learning curves of the front", "epoch", OBJECTIVES[info.score].title)
    figure.update_xaxes(dtick=max(1, max((len(c) for _, c in info.curves), default=1) // 10))
    return figure
