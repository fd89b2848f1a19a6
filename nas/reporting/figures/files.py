"""Figures as files, for papers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
import plotly.io

NO_RENDERER = "figures as PNG and SVG need Chrome or Chromium, which was not found or failed"


def write_images(drawn: Mapping[str, go.Figure], folder: Path) -> bool:
    """Write each figure as PNG and SVG; returns whether there is a browser that can."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = {name: figure for name, figure in drawn.items() if len(figure.data)}
    if not shown:
        return True
    files = [folder / f"{name}.{kind}" for name in shown for kind in ("png", "svg")]
    try:
        plotly.io.write_images(
            [figure for figure in shown.values() for _ in ("png", "svg")],
            files,
            width=900,
            scale=[2 if file.suffix == ".png" else 1 for file in files],
        )
    except RuntimeError:  # what Plotly makes of a browser that is missing or broken
        return False
    return True
