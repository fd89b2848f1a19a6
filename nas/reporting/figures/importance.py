"""Which choices the accuracy depended on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import plotly.graph_objects as go

from nas.reporting.figures.style import ACCENT, styled


@dataclass(frozen=True)
class ImportanceInfo:
    """Share of the accuracy's variance by parameter (fANOVA), largest first."""

    shares: tuple[tuple[str, float], ...]


def importance_info(importances: Mapping[str, float]) -> ImportanceInfo:
    """What the figure shows."""
    return ImportanceInfo(tuple(sorted(importances.items(), key=lambda item: -item[1])))


def plot_importance(info: ImportanceInfo) -> go.Figure:
    """Draw it as bars."""
    rows = info.shares[::-1]
    figure = go.Figure()
    figure.add_bar(
        x=[share for _, share in rows],
        y=[name for name, _ in rows],
        orientation="h",
        marker={"color": ACCENT},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    styled(figure, "Importance of each choice for the accuracy", "share of variance", "")
    figure.update_yaxes(automargin=True)
    return figure
