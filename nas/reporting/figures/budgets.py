"""Interior arms against an end at each budget and at all of them together: a forest plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nas.reporting.figures.style import INK, SERIES, as_text, bars, styled

if TYPE_CHECKING:  # a figure needs what was found, not what finds it
    from nas.analysis.budgets import BudgetsAnswer

TOGETHER = "together"
_ROW = 24
"""Pixels of one estimate."""


@dataclass(frozen=True)
class ForestMark:
    """One estimate in percentage points, with its 95% interval.

    Attributes:
        of: a budget, or all together.
    """

    arm: str
    end: str
    of: str
    difference: float
    lower: float
    upper: float


@dataclass(frozen=True)
class BudgetsInfo:
    """What the figure shows: a panel for each end, in it a group of marks for each arm.

    Attributes:
        budgets: their names.
    """

    budgets: tuple[str, ...]
    arms: tuple[str, ...]
    ends: tuple[str, ...]
    marks: tuple[ForestMark, ...]


def budgets_info(found: BudgetsAnswer) -> BudgetsInfo:
    """Every difference whose interval is known."""
    from nas.analysis.budgets import interval_of

    names = tuple(one.budget for one in found.budgets)
    marks = []
    for arm in found.arms:
        intervals = {
            name: interval_of(effect)
            for name, effect in zip(names, arm.effects, strict=True)
            if effect is not None
        }
        intervals[TOGETHER] = arm.together.mean if arm.together else None
        for name, interval in intervals.items():
            if interval is not None:
                numbers = (100 * value for value in interval)
                marks.append(ForestMark(arm.arm, arm.end, name, *numbers))
    arms = tuple(dict.fromkeys(arm.arm for arm in found.arms))
    ends = tuple(dict.fromkeys(arm.end for arm in found.arms))
    return BudgetsInfo(names, arms, ends, tuple(marks))


def plot_budgets(info: BudgetsInfo) -> go.Figure:
    """Draw it."""
    figure = make_subplots(
        rows=1,
        cols=len(info.ends),
        shared_yaxes=True,
        subplot_titles=[f"against {as_text(end)}" for end in info.ends],
    )
    groups = (*info.budgets, TOGETHER)
    for column, end in enumerate(info.ends, start=1):
        for number, group in enumerate(groups):
            shown = [mark for mark in info.marks if (mark.end, mark.of) == (end, group)]
            figure.add_trace(_trace(info, shown, number, len(groups), column == 1), 1, column)
        figure.add_vline(x=0, line={"color": INK, "width": 1}, row=1, col=column)
    styled(
        figure,
        "Interior points against each end, at each budget<br><sub>difference with its 95% interval "
        "over seeds (Student); diamonds: all budgets together (random effects), descriptive</sub>",
        "percentage points",
        "",
    )
    figure.update_layout(height=max(430, 150 + _ROW * len(groups) * len(info.arms)))
    places = list(range(len(info.arms)))
    names = [as_text(arm) for arm in info.arms]
    figure.update_yaxes(tickvals=places, ticktext=names, autorange="reversed", automargin=True)
    return figure


def _trace(
    info: BudgetsInfo, shown: list[ForestMark], number: int, groups: int, named: bool
) -> go.Scatter:
    """The marks of one budget, or of all together, in one panel."""
    together = number == groups - 1
    color = INK if together else SERIES[number % len(SERIES)]
    below = 0.7 * (number - (groups - 1) / 2) / groups
    return go.Scatter(
        x=[mark.difference for mark in shown],
        y=[info.arms.index(mark.arm) + below for mark in shown],
        error_x=bars([(m.lower, m.difference, m.upper) for m in shown]) | {"color": color},
        mode="markers",
        marker={"color": color, "size": 10, "symbol": "diamond" if together else "circle"},
        name=TOGETHER if together else info.budgets[number],
        legendgroup=str(number),
        showlegend=named,
        customdata=[as_text(mark.arm) for mark in shown],
        hovertemplate="%{customdata}: %{x:+.2f}<extra></extra>",
    )
