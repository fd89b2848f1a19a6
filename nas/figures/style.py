"""One look for all figures: colours that stay apart for colour-blind readers, few lines."""

from __future__ import annotations

import plotly.graph_objects as go

ACCENT = "#0072b2"
MUTED = "#b4bcc6"
INK = "#24292f"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's palette."""

COST_TITLES = {
    "macs": "multiply-accumulates (MACs) of an image",
    "params": "parameters",
    "latency_ms": "latency of one image, ms",
}


def faded(color: str) -> str:
    """A colour of the palette for a band behind its line."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def styled(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    """Titles, fonts and grid lines."""
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "font": {"size": 16}},
        template="plotly_white",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        margin={"l": 70, "r": 20, "t": 50, "b": 60},
        height=430,
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "y": -0.22, "x": 0},
    )
    figure.update_xaxes(title=x, gridcolor="#edf0f3", zeroline=False)
    figure.update_yaxes(title=y, gridcolor="#edf0f3", zeroline=False)
    return figure
