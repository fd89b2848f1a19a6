"""Accuracy against cost, with the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.architecture.description import describe_architecture
from nas.reporting.figures.style import ACCENT, COST_TITLES, MUTED, styled
from nas.space.quantities import format_count
from nas.statistics.pareto import knee

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.study.records import Records


@dataclass(frozen=True)
class FrontPoint:
    """One complete trial.

    Attributes:
        cost: the objective that is minimized.
        latency_ms: nothing where it was not measured.
        architecture: lines that describe it.
    """

    trial: int
    accuracy: float
    cost: float
    macs: int
    params: int
    latency_ms: float | None
    architecture: tuple[str, ...]


@dataclass(frozen=True)
class FrontInfo:
    """All complete trials, those of the front by increasing cost, and the front's knee.

    Attributes:
        cost: name of the objective that is minimized; MACs where only accuracy counts.
    """

    cost: str
    dominated: tuple[FrontPoint, ...]
    front: tuple[FrontPoint, ...]
    knee: int | None


def front_info(records: Records) -> FrontInfo:
    """What the figure shows."""
    cost = records.objectives[1] if len(records.objectives) > 1 else "macs"
    points = {
        trial.number: FrontPoint(
            trial.number,
            trial.accuracy or 0.0,
            trial.values[1] if len(trial.values) > 1 else float(trial.macs),
            trial.macs,
            trial.params,
            trial.latency_ms,
            describe_architecture(trial.architecture),
        )
        for trial in records.complete
    }
    front = [trial.number for trial in records.front]
    chosen = records.complete[knee(records.points)].number if records.complete else None
    return FrontInfo(
        cost,
        tuple(point for number, point in points.items() if number not in front),
        tuple(points[number] for number in front),
        chosen,
    )


def plot_front(info: FrontInfo) -> go.Figure:
    """Draw it: cost on a logarithmic axis."""
    figure = go.Figure()
    for name, points, marker, mode in (
        ("dominated", info.dominated, {"color": MUTED, "size": 8}, "markers"),
        ("front", info.front, {"color": ACCENT, "size": 10}, "lines+markers"),
    ):
        figure.add_scatter(
            x=[point.cost for point in points],
            y=[point.accuracy for point in points],
            mode=mode,
            name=name,
            marker=marker,
            line={"color": ACCENT, "width": 1.5, "shape": "hv"},
            text=[_hover(point) for point in points],
            hovertemplate="%{text}<extra></extra>",
        )
    chosen = [point for point in info.front if point.trial == info.knee]
    figure.add_scatter(
        x=[point.cost for point in chosen],
        y=[point.accuracy for point in chosen],
        mode="markers",
        name="knee",
        marker={"size": 17, "color": "rgba(0,0,0,0)", "line": {"color": "#d55e00", "width": 2.5}},
        hoverinfo="skip",
    )
    styled(figure, "Accuracy against cost", COST_TITLES[info.cost], "validation accuracy")
    figure.update_xaxes(type="log")
    return figure


def _hover(point: FrontPoint) -> str:
    costs = [f"{format_count(point.macs)} MACs", f"{format_count(point.params)} parameters"]
    costs += [] if point.latency_ms is None else [f"{point.latency_ms:.3g} ms"]
    head = f"<b>trial {point.trial}</b>: accuracy {point.accuracy:.4f}, {', '.join(costs)}"
    return "<br>".join([head, *point.architecture])
