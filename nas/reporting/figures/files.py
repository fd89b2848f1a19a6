"""Figures as files, for papers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import plotly.graph_objects as go
import plotly.io

from nas.reporting.figures.catalogue import NAMES
from nas.reporting.figures.style import title_room

KINDS = ("png", "svg", "pdf")
NO_RENDERER = "figures as PNG, SVG and PDF need Chrome or Chromium, which was not found or failed"
_WIDTH = 900
_LETTER, _AXIS_LETTER, _AXIS_LINE = 6.0, 8.0, 20
"""Width of a letter under a title and of an axis, height of a line of the latter, in pixels."""
_BELOW, _LEGEND = 100, 62
"""Pixels below the axes, and from there to the legend."""


@dataclass(frozen=True)
class Size:
    """Of a figure, in pixels; a PNG has twice as many in each direction."""

    width: int
    height: int


def write_study_images(
    drawn: Mapping[str, go.Figure], folder: Path, size: Size | None = None
) -> bool:
    """`write_images` into a study's folder: what it no longer has would tell of another network."""
    for name in set(NAMES) - set(drawn):
        for kind in KINDS:
            (folder / f"{name}.{kind}").unlink(missing_ok=True)
    return write_images(drawn, folder, size)


def write_images(drawn: Mapping[str, go.Figure], folder: Path, size: Size | None = None) -> bool:
    """Write each figure as PNG, SVG and PDF; returns whether there is a browser that can.

    Args:
        size: of all; by default 900 pixels wide and as high as each is in the report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = {name: figure for name, figure in drawn.items() if len(figure.data)}
    if not shown:
        return True
    fitted = [_fitted(f, size or Size(_WIDTH, f.layout.height or 430)) for f in shown.values()]
    files = [folder / f"{name}.{kind}" for name in shown for kind in KINDS]
    try:
        plotly.io.write_images(
            [figure for figure in fitted for _ in KINDS],
            files,
            width=[figure.layout.width for figure in fitted for _ in KINDS],
            height=[figure.layout.height for figure in fitted for _ in KINDS],
            scale=[2 if file.suffix == ".png" else 1 for file in files],
        )
    except RuntimeError:  # what Plotly makes of a browser that is missing or broken
        return False
    return True


def _fitted(figure: go.Figure, size: Size) -> go.Figure:
    """The figure with room for what stands above and below it in a picture of this size."""
    heading, *lines = (figure.layout.title.text or "").split("<br>")
    letters = int((size.width - 40) / _LETTER)
    broken = [
        f"<sub>{part}</sub>"
        for line in lines
        for part in textwrap.wrap(line.removeprefix("<sub>").removesuffix("</sub>"), letters)
    ]
    title = "<br>".join((heading, *broken))
    fitted = go.Figure(figure)
    fitted.update_layout(title={"text": title}, margin={"t": title_room(title)}, **asdict(size))
    below = _below(fitted, size)
    if fitted.layout.legend.orientation == "h" and len(fitted.data) > 1:
        plot = max(50, size.height - title_room(title) - _BELOW - below)
        legend = {"y": -(_LEGEND + below) / plot}
        fitted.update_layout(legend=legend, margin={"b": _BELOW + below})
    return fitted


def _below(figure: go.Figure, size: Size) -> int:
    """Break the title of the x axis where it would not fit; returns what that needs, in pixels."""
    text = figure.layout.xaxis.title.text or ""
    lines = textwrap.wrap(text, int((size.width - 120) / _AXIS_LETTER))
    if len(lines) < 2:
        return 0
    figure.update_layout(xaxis={"title": {"text": "<br>".join(lines)}})
    return _AXIS_LINE * (len(lines) - 1)
