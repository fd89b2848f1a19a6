"""How the answers of searches grow with their training time, with bands over repeats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.reporting.figures.style import SERIES, band, log_ticks, styled

BAND = (0.1, 0.9)
"""Quantiles of the repeats."""


def draw(minutes: NDArray[np.float64], shares: Mapping[str, NDArray[np.float64]]) -> go.Figure:
    """Medians and bands.

    Args:
        minutes: of training, of all workers together (times,).
        shares: of the best hypervolume (repeats, times), by the name of the search.
    """
    figure = go.Figure()
    for color, (name, values) in zip(SERIES, shares.items(), strict=False):
        low, middle, high = np.quantile(values, [BAND[0], 0.5, BAND[1]], axis=0)
        figure.add_scatter(**band(list(minutes), list(low), list(high), color))
        figure.add_scatter(x=minutes, y=middle, name=name, line={"color": color, "width": 2})
    title = "Hypervolume over training time, median and 80% of the searches"
    styled(figure, title, "minutes of training, all workers together", "share of the best front's")
    figure.update_xaxes(type="log", **log_ticks(minutes, "{:g}".format))
    figure.update_yaxes(range=[0.9, 1.0], tickformat=".0%")
    return figure


def write(figure: go.Figure, path: Path) -> None:
    """As the kind that the file's name says; needs Chrome or Chromium."""
    figure.write_image(path, width=900, height=480)
