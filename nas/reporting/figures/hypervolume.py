"""How the front grew: the hypervolume after each trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.reporting.figures.style import ACCENT, styled
from nas.space.objectives import OBJECTIVES
from nas.statistics.pareto import GrowingFront, hypervolume, reference_point

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.study.records import Records


@dataclass(frozen=True)
class HypervolumeInfo:
    """Share of the box between the reference and the ideal point that the front covers.

    The ideal is an accuracy of 1 at no cost. With one objective it is the best accuracy so far.

    Attributes:
        reference: accuracy and costs of a point that is worse than every trial; accuracy alone
            where there is one objective.
        shares: after each complete trial.
        goal: name of the objective that is maximized.
    """

    reference: tuple[float, ...]
    shares: tuple[float, ...]
    goal: str = "accuracy"


def hypervolume_info(records: Records) -> HypervolumeInfo:
    """What the figure shows."""
    points = records.points
    if len(points) == 0:
        return HypervolumeInfo((), ())
    if points.shape[1] == 1:
        best = tuple(np.maximum.accumulate(points[:, 0]))
        return HypervolumeInfo((0.0,), best, records.objectives[0])
    reference = reference_point(points[:, 1:])
    box = prod(reference[1:])
    return HypervolumeInfo(reference, tuple(_shares(points, reference, box)), records.objectives[0])


def _shares(
    points: NDArray[np.float64], reference: tuple[float, ...], box: float
) -> Iterator[float]:
    """After each point; most are not on the front of those before them, and change nothing."""
    front, share = GrowingFront(), 0.0
    for number, point in enumerate(map(tuple, points.tolist())):
        front.add(number, point)
        if number in front.points:
            share = hypervolume(list(front.points.values()), reference) / box
        yield share


def plot_hypervolume(info: HypervolumeInfo) -> go.Figure:
    """Draw it as steps, without the points between them."""
    figure = go.Figure()
    last = len(info.shares) - 1
    steps = [
        place
        for place, share in enumerate(info.shares)
        if place in (0, last) or share != info.shares[place - 1]
    ]
    figure.add_scatter(
        x=[place + 1 for place in steps],
        y=[info.shares[place] for place in steps],
        mode="lines",
        line={"color": ACCENT, "shape": "hv", "width": 2},
        hovertemplate="after %{x} trials: %{y:.4f}<extra></extra>",
    )
    costly = len(info.reference) > 1
    goal = OBJECTIVES[info.goal]
    title = "Hypervolume over trials" if costly else f"Best {goal.noun} over trials"
    unit = "share of cost x score covered" if costly else goal.title
    return styled(figure, title, "complete trials", unit)
