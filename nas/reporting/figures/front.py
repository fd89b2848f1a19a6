"""Accuracy against cost, with the front."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nas.architecture.description import describe_architecture
from nas.reporting.figures.style import ACCENT, MUTED, styled
from nas.space.objectives import OBJECTIVES
from nas.statistics.pareto import knee

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.study.records import Records
    from nas.study.trial_record import TrialRecord


@dataclass(frozen=True)
class FrontPoint:
    """One complete trial.

    Attributes:
        cost: the objective that is minimized, the first of two.
        second_cost: the other one; None where there is none.
        values: accuracy and costs in words.
        architecture: lines that describe it.
    """

    trial: int
    accuracy: float
    cost: float
    second_cost: float | None
    values: str
    architecture: tuple[str, ...]


@dataclass(frozen=True)
class FrontInfo:
    """All complete trials, those of the front by increasing cost, and the front's knee.

    Attributes:
        goal: name of the objective that is maximized.
        cost: name of the objective that is minimized; MACs where only the goal counts.
        second_cost: of the other one that is minimized; None where there is none.
    """

    goal: str
    cost: str
    second_cost: str | None
    dominated: tuple[FrontPoint, ...]
    front: tuple[FrontPoint, ...]
    knee: int | None


def front_info(records: Records) -> FrontInfo:
    """What the figure shows."""
    costs = records.objectives[1:] or ("macs",)
    points = {trial.number: _point(records, trial) for trial in records.complete}
    front = [trial.number for trial in records.front]
    chosen = records.complete[knee(records.points)].number if records.complete else None
    return FrontInfo(
        records.objectives[0],
        costs[0],
        costs[1] if len(costs) > 1 else None,
        tuple(point for number, point in points.items() if number not in front),
        tuple(points[number] for number in front),
        chosen,
    )


def _point(records: Records, trial: TrialRecord) -> FrontPoint:
    costs = trial.values[1:] or (float(trial.macs),)
    told = dict.fromkeys(("accuracy", "macs", "params", *records.objectives))
    return FrontPoint(
        trial.number,
        trial.values[0],
        costs[0],
        costs[1] if len(costs) > 1 else None,
        ", ".join(OBJECTIVES[name].in_words(records.value(trial, name)) for name in told),
        describe_architecture(trial.architecture),
    )


def plot_front(info: FrontInfo) -> go.Figure:
    """Draw it: cost on a logarithmic axis, the second cost of the front's points by colour.

    Points of a front with two costs are not joined: between them there are no steps that hold for
    both.
    """
    figure = go.Figure()
    joined = "lines+markers" if info.second_cost is None else "markers"
    for name, points, marker, mode in (
        ("dominated", info.dominated, {"color": MUTED, "size": 8}, "markers"),
        ("front", info.front, _front_marker(info), joined),
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
    title = OBJECTIVES[info.cost].title
    goal = OBJECTIVES[info.goal]
    styled(figure, f"{goal.noun.capitalize()} against cost", title, goal.title)
    figure.update_xaxes(type="log")
    return figure


def _front_marker(info: FrontInfo) -> dict[str, Any]:
    """One colour, or the second cost by its logarithm, with a bar that tells it."""
    costs = [point.second_cost for point in info.front if point.second_cost is not None]
    if info.second_cost is None or not costs:
        return {"color": ACCENT, "size": 10}
    objective = OBJECTIVES[info.second_cost]
    low, high = log10(min(costs)), log10(max(costs))
    ticks = [low + (high - low) * step / 4 for step in range(5)]
    return {
        "color": [log10(cost) for cost in costs],
        "colorscale": "Cividis",
        "size": 12,
        "line": {"color": "white", "width": 1},
        "colorbar": {
            "title": {"text": objective.title, "side": "right"},
            "tickvals": ticks,
            "ticktext": [objective.amount(10**tick) for tick in ticks],
            "thickness": 14,
        },
    }


def _hover(point: FrontPoint) -> str:
    return "<br>".join([f"<b>trial {point.trial}</b>: {point.values}", *point.architecture])
