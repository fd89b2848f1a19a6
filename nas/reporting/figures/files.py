"""Figures as files, for papers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import plotly.graph_objects as go
import plotly.io

from nas.reporting.figures.catalogue import NAMES
from nas.reporting.figures.style import HEIGHT, title_room

KINDS = ("png", "svg", "pdf")
NO_RENDERER = "figures as PNG, SVG and PDF need Chrome or Chromium, which was not found or failed"
_WIDTH = 900
_LETTER, _LEGEND_LETTER, _AXIS_LETTER, _HEADING = 6.0, 7.0, 8.0, 8.5
"""Pixels of a letter under a title and of a panel's, in a legend, of an axis and in a title."""
_PLOT, _BELOW, _ROW = 150, 70, 20
"""Height of the least plot, of what an axis writes below it, and of a line of words, in pixels."""


@dataclass(frozen=True)
class Size:
    """Of a figure, in pixels; a PNG has twice as many in each direction.

    Attributes:
        height: of figures that have room in it; more of those with many panels, classes or lines.
    """

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
    fitted = [_fitted(f, size or Size(_WIDTH, f.layout.height or HEIGHT)) for f in shown.values()]
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
    """The figure with its words broken to this width; higher where all would not be seen."""
    heading, *lines = (figure.layout.title.text or "").split("<br>")
    letters = int((size.width - 40) / _LETTER)
    title = textwrap.wrap(heading, int((size.width - 40) / _HEADING))
    title += [
        f"<sub>{part}</sub>"
        for line in lines
        for part in textwrap.wrap(line.removeprefix("<sub>").removesuffix("</sub>"), letters)
    ]
    text = "<br>".join(title)
    fitted = go.Figure(figure)
    fitted.update_layout(title={"text": text}, margin={"t": title_room(text)}, width=size.width)
    _break_panel_titles(fitted, size.width)
    below = _break_axis_title(fitted, size.width) + _ROW * _legend_rows(fitted, size.width)
    own = figure.layout.height if figure.layout.height != HEIGHT else 0  # for rows of its own
    least = max(own or 0, title_room(text) + _PLOT + _BELOW + below)
    fitted.update_layout(height=max(size.height, least))
    return fitted


def _break_axis_title(figure: go.Figure, width: int) -> int:
    """Break the title of the x axis where it would not fit; returns what that needs, in pixels."""
    text = figure.layout.xaxis.title.text or ""
    lines = textwrap.wrap(text, int((width - 120) / _AXIS_LETTER))
    if len(lines) < 2:
        return 0
    figure.update_layout(xaxis={"title": {"text": "<br>".join(lines)}})
    return _ROW * (len(lines) - 1)


def _break_panel_titles(figure: go.Figure, width: int) -> None:
    """The titles of panels beside each other are annotations."""
    panels = max(1, len({annotation.x for annotation in figure.layout.annotations}))
    letters = int((width - 120) / panels / _LETTER)
    for annotation in figure.layout.annotations:
        annotation.text = "<br>".join(textwrap.wrap(annotation.text, letters))


def _legend_rows(figure: go.Figure, width: int) -> int:
    """About as many as Plotly will need: in columns where the entries do not fit beside another."""
    if figure.layout.showlegend is False or len(figure.data) < 2:
        return 0
    names = [
        len(trace.name) for trace in figure.data if trace.name and trace.showlegend is not False
    ]
    columns = max(1, int((width - 120) / (_LEGEND_LETTER * max(names, default=1) + 50)))
    return ceil(len(names) / columns)
