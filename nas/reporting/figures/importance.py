"""Which choices the objective that is maximized depended on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.reporting.figures.style import ACCENT, INK, bars, styled
from nas.space.objectives import OBJECTIVES

if TYPE_CHECKING:  # a figure needs what was found, not what finds it
    from nas.study.importances import Importance


@dataclass(frozen=True)
class ImportanceInfo:
    """Share of the goal's variance by parameter (fANOVA), largest first.

    Attributes:
        goal: name of the objective that is maximized.
    """

    shares: tuple[Importance, ...]
    goal: str = "accuracy"


def importance_info(importances: Sequence[Importance], goal: str = "accuracy") -> ImportanceInfo:
    """What the figure shows."""
    return ImportanceInfo(tuple(sorted(importances, key=lambda found: -found.share)), goal)


def plot_importance(info: ImportanceInfo) -> go.Figure:
    """Draw it as bars with their intervals."""
    rows = info.shares[::-1]
    figure = go.Figure()
    figure.add_bar(
        x=[row.share for row in rows],
        y=[row.parameter for row in rows],
        orientation="h",
        marker={"color": ACCENT},
        error_x=bars([(row.lower, row.share, row.upper) for row in rows]) | {"color": INK},
        customdata=[(row.lower, row.upper) for row in rows],
        hovertemplate="%{y}: %{x:.3f}, %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
    )
    title = f"Importance of each choice for the {OBJECTIVES[info.goal].noun}"
    about = f"<sub>fANOVA{_of_trials(info)}; lines: 95% interval over trials drawn again</sub>"
    styled(figure, f"{title}<br>{about}", "share of variance", "")
    figure.update_layout(height=max(430, 180 + 22 * len(rows)))
    figure.update_yaxes(automargin=True)
    return figure


def _of_trials(info: ImportanceInfo) -> str:
    used, complete = info.shares[0].trials if info.shares else (0, 0)
    return f" of {used:,} of {complete:,} trials, drawn at random" if used < complete else ""
